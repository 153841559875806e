/* demo_loop.c - the phases of the loop; see demo.h */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/pace.h"
#include "base/random.h"
#include "cli/demo_wait.h"
#include "lines/driving/act/policy.h"

enum { UPLOAD_QUIET_MS = 20000, STAGE_MS = 60000 };

uint64_t fw_demo_phase_seed(uint64_t seed, uint32_t index) {
    char name[40];
    snprintf(name, sizeof name, "generation/%u", index);
    return fw_seed_mix(seed, name) & 0x7FFFFFFF;
}

/* Counts the recordings of one answer that are newer than `since`; *newest and *oldest are of the
 * whole answer. */
static void count_rows(fw_demo *demo, json_t *answer, json_int_t since, json_int_t *newest,
                       json_int_t *oldest, bool count) {
    json_t *row = NULL;
    size_t i = 0;
    *newest = since;
    *oldest = since;
    json_array_foreach(answer, i, row) {
        json_int_t sequence = json_integer_value(json_object_get(row, "sequence"));
        uint32_t index = fw_demo_unit_index(row, "unit");
        if (sequence > *newest) *newest = sequence;
        if (i == 0 || sequence < *oldest) *oldest = sequence;
        if (count && sequence > since && index < FW_DEMO_UNITS_MAX) demo->arrived[index]++;
    }
}

/* Takes note of what came in since the last look: the newest rows, or all when those do not do. */
static fw_status note_arrivals(fw_demo *demo, bool count, fw_error *error) {
    json_t *answer = NULL;
    json_int_t newest = 0, oldest = 0;
    FW_TRY(fw_demo_get(demo, "/v1/recordings?limit=200", &answer, error));
    count_rows(demo, answer, demo->sequence, &newest, &oldest, false);
    if (json_array_size(answer) >= 200 && oldest > demo->sequence) {
        json_decref(answer);
        FW_TRY(fw_demo_get(demo, "/v1/recordings?limit=100000", &answer, error));
    }
    count_rows(demo, answer, demo->sequence, &newest, &oldest, count);
    demo->sequence = newest;
    json_decref(answer);
    return FW_OK;
}

static fw_status wait_uploaded(fw_demo *demo, fw_error *error) {
    int64_t quiet_since = fw_demo_now_ms();
    for (;;) {
        bool all = true;
        json_int_t before = demo->sequence;
        FW_TRY(note_arrivals(demo, true, error));
        for (uint32_t i = 0; i < demo->options->cars; i++)
            all = all && demo->arrived[i] >= demo->expected[i];
        if (all) return FW_OK;
        if (demo->sequence != before) quiet_since = fw_demo_now_ms();
        if (fw_demo_now_ms() - quiet_since > fw_demo_patience_ms(demo, UPLOAD_QUIET_MS)) break;
        FW_TRY(fw_demo_beat(demo, error));
    }
    fw_demo_give_up(demo, "some recordings did not arrive (lost with a unit that died?)");
    memcpy(demo->expected, demo->arrived, sizeof demo->expected);
    return FW_OK;
}

static fw_status find_champion(fw_demo *demo, fw_hash *hash, fw_error *error) {
    json_t *status = NULL;
    FW_TRY(fw_demo_get(demo, "/v1/status", &status, error));
    const char *champion = fw_demo_text(status, "champion");
    fw_status found = FW_NOT_FOUND;
    if (fw_hash_valid(champion)) found = fw_hash_parse(champion, hash, error);
    json_decref(status);
    return found;
}

fw_status fw_demo_first_model(fw_demo *demo, fw_hash *hash, fw_error *error) {
    FW_TRY(fw_demo_plan_rollouts(demo, error));
    FW_TRY(note_arrivals(demo, false, error));
    fw_status status = find_champion(demo, hash, error);
    if (status != FW_NOT_FOUND) return status;
    char *bytes = NULL;
    size_t size = 0;
    FW_TRY(fw_policy_rule_file(FW_POLICY_CONSTANT, &bytes, &size, error));
    json_t *card = json_pack("{s:s, s:s, s:n, s:n, s:o}", "line", "driving", "kind", "constant",
                             "parent", "dataset", "metrics", json_object());
    status = fw_demo_factory_model(&demo->factory, bytes, size, card, true, hash, error);
    free(bytes);
    return status;
}

/* How many of our units name `model` in one of the two fields. */
static fw_status units_with(fw_demo *demo, const char *model, bool staged_counts, uint32_t *out,
                            fw_error *error) {
    json_t *answer = NULL, *row = NULL;
    size_t i = 0;
    uint32_t count = 0;
    FW_TRY(fw_demo_get(demo, "/v1/units", &answer, error));
    json_array_foreach(answer, i, row) {
        if (fw_demo_unit_index(row, "id") >= demo->options->cars) continue;
        bool active = strcmp(fw_demo_text(row, "active"), model) == 0;
        count += active || (staged_counts && strcmp(fw_demo_text(row, "staged"), model) == 0);
    }
    json_decref(answer);
    *out = count;
    return FW_OK;
}

/* Waits until all units have the model; *reached says whether they did in time. */
static fw_status wait_units(fw_demo *demo, const char *model, bool staged_counts, int timeout_ms,
                            bool *reached, fw_error *error) {
    int64_t begin = fw_demo_now_ms();
    uint32_t have = 0;
    for (;;) {
        FW_TRY(units_with(demo, model, staged_counts, &have, error));
        *reached = have >= demo->options->cars;
        if (*reached || fw_demo_now_ms() - begin > fw_demo_patience_ms(demo, timeout_ms)) return FW_OK;
        FW_TRY(fw_demo_beat(demo, error));
    }
}

fw_status fw_demo_wait_staged(fw_demo *demo, const char *model, fw_error *error) {
    bool reached = false;
    FW_TRY(wait_units(demo, model, true, STAGE_MS, &reached, error));
    if (!reached) fw_demo_give_up(demo, "not every unit has staged the new model");
    return FW_OK;
}

static bool is_over(const json_t *row) {
    const char *stage = fw_demo_text(row, "stage");
    return strcmp(stage, "done") == 0 || strcmp(stage, "failed") == 0;
}

/* The newest generation, and whether it is in work. */
static fw_status newest_generation(fw_demo *demo, json_int_t *index, bool *running,
                                   fw_error *error) {
    json_t *answer = NULL, *row = NULL;
    size_t i = 0;
    *index = 0;
    *running = false;
    FW_TRY(fw_demo_get(demo, "/v1/generations", &answer, error));
    json_array_foreach(answer, i, row) {
        json_int_t one = json_integer_value(json_object_get(row, "index"));
        if (one >= *index) *index = one, *running = !is_over(row);
    }
    json_decref(answer);
    return FW_OK;
}

/* Starts a generation, or takes on one that is in work. A factory that dies around the answer is
 * asked what became of it. */
static fw_status begin_generation(fw_demo *demo, uint64_t seed, json_int_t *index,
                                  fw_error *error) {
    json_int_t before = 0;
    bool running = false;
    FW_TRY(newest_generation(demo, &before, &running, error));
    for (;;) {
        json_t *answer = NULL;
        fw_error now;
        json_t *body = json_pack("{s:I, s:I}", "seed", (json_int_t)seed, "agent_steps",
                                 (json_int_t)demo->options->agent_steps);
        fw_status status = fw_demo_factory_post(&demo->factory, "/v1/generations", body, &answer,
                                                NULL, error);
        json_decref(answer);
        FW_TRY(newest_generation(demo, index, &running, &now));
        if (*index > before || running) return FW_OK;
        if (status != FW_OK && status != FW_BUSY) return status;
        FW_TRY(fw_demo_beat(demo, error));
    }
}

static double figure(const json_t *row, const char *name) {
    const json_t *value = json_object_get(row, name);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* " 25%, 51 k agent-steps/s, 12 s left" of the running job; "" when none runs or says so. */
static void say_figures(const json_t *progress, char *out, size_t out_size) {
    char pace[96];
    double share = figure(progress, "done") / figure(progress, "total");
    out[0] = '\0';
    if (!isfinite(share)) return;
    fw_pace_words(figure(progress, "per_s"), figure(progress, "left_s"), fw_demo_text(progress, "unit"), pace,
                  sizeof pace);
    snprintf(out, out_size, " %.0f%%%s%s", 100 * share, pace[0] ? ", " : "", pace);
}

static void show_progress(const json_t *row, char last[160]) {
    char line[160], figures[120] = "";
    bool terminal = isatty(STDERR_FILENO);
    if (terminal) say_figures(json_object_get(row, "progress"), figures, sizeof figures);
    snprintf(line, sizeof line, "  generation %" JSON_INTEGER_FORMAT ": %.30s%s",
             json_integer_value(json_object_get(row, "index")), fw_demo_text(row, "stage"), figures);
    if (strcmp(line, last) == 0) return;
    memcpy(last, line, sizeof line);
    fprintf(stderr, terminal ? "\r\033[K%s" : "%s\n", line);
}

static fw_status follow(fw_demo *demo, json_int_t n, json_t **generation, fw_error *error) {
    char path[64], last[160] = "";
    bool rolled = false;
    snprintf(path, sizeof path, "/v1/generations/%" JSON_INTEGER_FORMAT, n);
    for (;;) {
        json_t *row = NULL;
        FW_TRY(fw_demo_get(demo, path, &row, error));
        show_progress(row, last);
        bool rollout = strcmp(fw_demo_text(row, "stage"), "rollout") == 0;
        fw_status status = FW_OK;
        if (rollout && !rolled && !demo->options->realtime) {
            rolled = true;
            status = fw_demo_roll_out(demo, n, error);
        } else if (is_over(row)) {
            *generation = row;
            return FW_OK;
        } else if (demo->options->realtime) {
            status = fw_demo_run(demo, FW_DEMO_ROLLOUT_TICKS, false, error); /* they drive on */
        }
        json_decref(row);
        FW_TRY(status);
        FW_TRY(fw_demo_beat(demo, error));
    }
}

fw_status fw_demo_live(fw_demo *demo, fw_error *error) {
    FW_TRY(fw_demo_run(demo, (uint32_t)demo->options->ticks, true, error));
    return wait_uploaded(demo, error);
}

fw_status fw_demo_learn(fw_demo *demo, uint64_t seed, json_t **generation, fw_error *error) {
    json_int_t n = 0;
    FW_TRY(begin_generation(demo, seed, &n, error));
    return follow(demo, n, generation, error);
}

fw_status fw_demo_phase(fw_demo *demo, uint64_t seed, json_t **generation, fw_error *error) {
    int64_t begin = fw_demo_now_ms();
    json_t *row = NULL;
    FW_TRY(fw_demo_run(demo, (uint32_t)demo->options->ticks, true, error));
    double drive_s = (double)(fw_demo_now_ms() - begin) / 1000;
    FW_TRY(wait_uploaded(demo, error));
    FW_TRY(fw_demo_learn(demo, seed, &row, error));
    double loop_s = (double)(fw_demo_now_ms() - begin) / 1000;
    json_object_set_new(row, "loop_s", json_real(loop_s));
    json_object_set_new(row, "drive_s", json_real(drive_s));
    fprintf(stderr, "%s  generation %" JSON_INTEGER_FORMAT ": %s in %.1f s: %s\n",
            isatty(STDERR_FILENO) ? "\r\033[K" : "", json_integer_value(json_object_get(row, "index")),
            fw_demo_text(row, "decision"), loop_s, fw_demo_text(row, "reason"));
    *generation = row;
    return FW_OK;
}
