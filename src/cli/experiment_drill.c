/* experiment_drill.c - see experiment_drill.h */
#include "cli/experiment_drill.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cli/experiment_exam.h"
#include "cli/experiment_place.h"
#include "lines/driving/learn/score/gate.h"

enum { POLL_MS = 200, CALL_MS = 20000, REPLY_MAX = 1 << 20, SEED = 1977 };
#define WORSE_AT_MOST 0.05

/* What a drill holds. */
typedef struct hand {
    const char *name;
    bool examine; /* what the gate lets through */
    fw_experiment_place *place; /* the factory runs in it */
    json_t *last;               /* result of the cell that it goes on from */
} hand;

static const char *text(const json_t *row, const char *name) {
    const char *value = json_string_value(json_object_get(row, name));
    return value ? value : "";
}

/* ---- poison ---- */

static fw_status upload(fw_demo *demo, const char *unit, const void *bytes, size_t size_bytes, fw_error *error) {
    char url[300], from[64];
    const char *const headers[] = {from, "Content-Type: application/octet-stream", NULL};
    fw_http_reply reply = {0};
    snprintf(from, sizeof from, "Flywheel-Unit: %.31s", unit);
    snprintf(url, sizeof url, "%s/v1/objects/%s", demo->factory.base_url, fw_hash_bytes(bytes, size_bytes).hex);
    const fw_http_call call = {.method = "PUT", .url = url, .headers = headers, .body = bytes,
                               .body_bytes = size_bytes, .reply_max_bytes = REPLY_MAX, .timeout_ms = CALL_MS};
    FW_TRY(demo->factory.http.perform(demo->factory.http.self, &call, &reply, error));
    int http = reply.status;
    fw_http_reply_clear(&reply);
    return http / 100 == 2 ? FW_OK : fw_fail(error, FW_IO, "the factory answered %d to a falsified window", http);
}

static fw_status poison_one(fw_demo *demo, const char *hash, const char *unit, fw_error *error) {
    char path[FW_PATH_MAX], name[FW_HASH_HEX + 8], *bytes = NULL;
    size_t size = 0;
    fw_drive_recording *recording = NULL;
    snprintf(name, sizeof name, "%.64s.mcap", hash);
    fw_path_join(path, sizeof path, demo->models, name);
    FW_TRY(fw_demo_factory_fetch(&demo->factory, hash, path, error));
    FW_TRY(fw_drive_recording_read(path, &recording, error));
    fw_status status = fw_experiment_falsify(recording, &bytes, &size, error);
    fw_drive_recording_free(recording);
    if (status == FW_OK) status = upload(demo, unit, bytes, size, error);
    free(bytes);
    return status;
}

static fw_status poison(fw_demo *demo, uint32_t *falsified, fw_error *error) {
    json_t *rows = NULL, *row = NULL;
    size_t i = 0;
    FW_TRY(fw_demo_factory_get(&demo->factory, "/v1/recordings?limit=4096", &rows, error));
    fw_status status = FW_OK;
    json_array_foreach(rows, i, row) {
        if (strcmp(text(row, "role"), "train") != 0) continue;
        status = poison_one(demo, text(row, "sha256"), text(row, "unit"), error);
        if (status != FW_OK) break;
        ++*falsified;
    }
    json_decref(rows);
    return status;
}

/* ---- the generation ---- */

/* Until the gate has decided; a rollout is not waited for, since no fleet is there. */
static fw_status decide(const fw_experiment *e, fw_demo *demo, json_t **row, fw_error *error) {
    json_t *answer = NULL;
    char path[64];
    FW_TRY(fw_demo_factory_post(&demo->factory, "/v1/generations",
                                json_pack("{s:i, s:I}", "seed", SEED, "agent_steps",
                                          (json_int_t)e->set.agent_steps), &answer, NULL, error));
    snprintf(path, sizeof path, "/v1/generations/%" JSON_INTEGER_FORMAT,
             json_integer_value(json_object_get(answer, "index")));
    json_decref(answer);
    for (;;) {
        FW_TRY(fw_demo_supervise(demo, error));
        FW_TRY(fw_demo_factory_get(&demo->factory, path, row, error));
        if (strcmp(text(*row, "stage"), "failed") == 0 || text(*row, "decision")[0]) return FW_OK;
        json_decref(*row);
        *row = NULL;
        fw_env_sleep_ns(fw_env_real(), POLL_MS * INT64_C(1000000));
    }
}

/* ---- the sealed evaluation ---- */

/* Mean clean share in the two cities as measured; NaN: none of them is in the list. */
static double mean_clean(const json_t *exams) {
    double sum = 0, count = 0;
    json_t *exam = NULL;
    size_t i = 0;
    json_array_foreach((json_t *)(uintptr_t)exams, i, exam) {
        const char *slice = text(exam, "slice");
        if (strcmp(slice, "acosta") != 0 && strcmp(slice, "pasubio") != 0) continue;
        sum += json_number_value(json_object_get(exam, "clean"));
        count++;
    }
    return count > 0 ? sum / count : (double)NAN;
}

/* Of a candidate that the gate let through; the champion's are in its cell. */
static fw_status examine(const fw_experiment *e, fw_experiment_place *place, const char *hash, double *out,
                         fw_error *error) {
    char path[FW_PATH_MAX];
    json_t *exams = NULL;
    fw_hash model;
    FW_TRY(fw_hash_parse(hash, &model, error));
    FW_TRY(fw_experiment_model_file(place, &model, path, error));
    fw_experiment plain = *e;
    plain.set.shifts[0] = plain.set.suite[0] = 0;
    FW_TRY(fw_experiment_examine(&plain, path, place->demo.logs, &exams, error));
    *out = mean_clean(exams);
    json_decref(exams);
    return FW_OK;
}

/* ---- a generation gone wrong ---- */

static json_t *number_or_null(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static fw_status judge(const fw_experiment *e, hand *h, const json_t *row, uint32_t falsified, json_t **out,
                       fw_error *error) {
    const char *decision = text(row, "decision");
    const double champion = mean_clean(json_object_get(h->last, "exams"));
    double candidate = (double)NAN;
    if (!decision[0]) return fw_fail(error, FW_IO, "the generation failed: %.200s", text(row, "reason"));
    const bool promoted = strcmp(decision, "promoted") == 0;
    if (promoted && h->examine) FW_TRY(examine(e, h->place, text(row, "candidate"), &candidate, error));
    json_t *held = promoted && !h->examine ? json_null()
                                           : json_boolean(!promoted || candidate >= champion - WORSE_AT_MOST);
    *out = json_pack("{s:s, s:s, s:s, s:i, s:I, s:o, s:o, s:o}", "drill", h->name, "decision", decision, "reason",
                     text(row, "reason"), "falsified", (int)falsified, "new_recordings",
                     json_integer_value(json_object_get(row, "recordings")), "champion_clean",
                     number_or_null(champion), "candidate_clean", number_or_null(candidate), "held",
                     held);
    return FW_OK;
}

static fw_status go_on(const fw_experiment *e, hand *h, uint32_t falsified, json_t **out, fw_error *error) {
    json_t *row = NULL;
    FW_TRY(decide(e, &h->place->demo, &row, error));
    fw_status status = judge(e, h, row, falsified, out, error);
    json_decref(row);
    return status;
}

static fw_status run_stale(const fw_experiment *e, hand *h, json_t **out, fw_error *error) {
    return go_on(e, h, 0, out, error);
}

static fw_status run_poison(const fw_experiment *e, hand *h, json_t **out, fw_error *error) {
    uint32_t falsified = 0;
    FW_TRY(poison(&h->place->demo, &falsified, error));
    return go_on(e, h, falsified, out, error);
}

/* ---- a candidate that is good offline alone ---- */

typedef struct held_out {
    uint32_t count;
    char (*paths)[FW_PATH_MAX];
    const char **path_of; /* (count) into paths, by hash */
} held_out;

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static fw_status fetch_held_out(hand *h, const json_t *rows, held_out *out, fw_error *error) {
    json_t *row = NULL;
    size_t i = 0;
    out->paths = calloc(json_array_size(rows) + 1, sizeof *out->paths);
    out->path_of = calloc(json_array_size(rows) + 1, sizeof *out->path_of);
    if (!out->paths || !out->path_of) return fw_fail(error, FW_NO_MEMORY, "no memory for held-out recordings");
    json_array_foreach((json_t *)(uintptr_t)rows, i, row) {
        if (strcmp(text(row, "role"), "held_out") != 0) continue;
        char *path = out->paths[out->count];
        snprintf(path, FW_PATH_MAX, "%.400s/%.64s.mcap", h->place->demo.models, text(row, "sha256"));
        FW_TRY(fw_demo_factory_fetch(&h->place->demo.factory, text(row, "sha256"), path, error));
        out->path_of[out->count++] = path;
    }
    if (out->count == 0) return fw_fail(error, FW_NOT_FOUND, "no unit that is held out has uploaded anything");
    qsort(out->path_of, out->count, sizeof *out->path_of, by_name);
    return FW_OK;
}

static fw_status show_gate(hand *h, const held_out *held, json_t **out, fw_error *error) {
    char champion[FW_PATH_MAX], copycat[FW_PATH_MAX];
    fw_hash hash;
    fw_experiment_offline offline[2] = {{0}};
    fw_driving_gate_result gate;
    FW_TRY(fw_hash_parse(text(h->last, "model"), &hash, error));
    FW_TRY(fw_experiment_model_file(h->place, &hash, champion, error));
    fw_path_join(copycat, sizeof copycat, h->place->demo.models, "copycat.safetensors");
    FW_TRY(fw_experiment_copycat(copycat, error));
    FW_TRY(fw_experiment_offline_of(champion, held->path_of, held->count, &offline[0], error));
    FW_TRY(fw_experiment_offline_of(copycat, held->path_of, held->count, &offline[1], error));
    const fw_driving_gate_config config = {.recordings = held->path_of, .recording_count = held->count,
                                           .champion_path = champion, .candidate_path = copycat, .threads = 1};
    FW_TRY(fw_driving_gate(&config, &gate, error));
    const bool good = offline[1].error_mps2 <= offline[0].error_mps2;
    *out = json_pack("{s:s, s:s, s:s, s:I, s:f, s:f, s:b, s:i, s:f, s:f, s:b}", "drill", h->name, "decision",
                     gate.promote ? "promoted" : "refused", "reason", gate.reason, "offline_ticks",
                     (json_int_t)offline[0].ticks, "champion_offline_mps2", offline[0].error_mps2,
                     "candidate_offline_mps2", offline[1].error_mps2, "offline_good", good, "gate_drives",
                     (int)gate.scenarios, "champion_clean", gate.champion_clean, "candidate_clean",
                     gate.candidate_clean, "held", good && !gate.promote);
    fw_driving_gate_clear(&gate);
    return FW_OK;
}

static fw_status run_offline_good(const fw_experiment *e, hand *h, json_t **out, fw_error *error) {
    held_out held = {0};
    json_t *rows = NULL;
    (void)e;
    FW_TRY(fw_demo_factory_get(&h->place->demo.factory, "/v1/recordings?limit=4096", &rows, error));
    fw_status status = fetch_held_out(h, rows, &held, error);
    if (status == FW_OK) status = show_gate(h, &held, out, error);
    json_decref(rows);
    free(held.paths);
    free(held.path_of);
    return status;
}

/* ---- the whole ---- */

static const struct drill {
    const char *name;
    fw_status (*run)(const fw_experiment *e, hand *h, json_t **out, fw_error *error);
} drills[] = {{"stale", run_stale}, {"poison", run_poison}, {"offline-good", run_offline_good}};

static const struct drill *find(const char *name) {
    for (size_t i = 0; i < sizeof drills / sizeof drills[0]; i++)
        if (strcmp(drills[i].name, name) == 0) return &drills[i];
    return NULL;
}

static fw_status run(const fw_experiment *e, const struct drill *drill, hand *h, json_t **out, fw_error *error) {
    const fw_experiment_cell cell = {e->set.seed, e->set.generations, FW_EXPERIMENT_LOOP};
    char snapshot[FW_PATH_MAX], folder[40];
    FW_TRY(fw_experiment_result(e, &cell, &h->last, error));
    fw_experiment_snapshot_path(e, &cell, snapshot);
    snprintf(folder, sizeof folder, "drill-%.20s", h->name);
    FW_TRY(fw_experiment_place_open(e, folder, snapshot, SEED, "", h->place, error));
    FW_TRY(fw_demo_start_factory(&h->place->demo, error));
    return drill->run(e, h, out, error);
}

fw_status fw_experiment_drill(const fw_experiment *e, const char *name, bool examine, json_t **out,
                              fw_error *error) {
    const fw_experiment_cell cell = {e->set.seed, e->set.generations, FW_EXPERIMENT_LOOP};
    const struct drill *drill = find(name);
    fw_error ignored;
    if (drill == NULL) return fw_fail(error, FW_INVALID, "--drill is stale, poison or offline-good");
    if (!fw_experiment_done(e, &cell))
        return fw_fail(error, FW_NOT_FOUND, "a drill begins where an experiment ended: finish this one first");
    hand h = {.name = name, .examine = examine, .place = calloc(1, sizeof *h.place)};
    if (h.place == NULL) return fw_fail(error, FW_NO_MEMORY, "no memory for a drill");
    fw_status status = run(e, drill, &h, out, error);
    fw_experiment_place_close(h.place);
    if (h.place->demo.base[0] && fw_folder_remove(h.place->demo.base, &ignored) != FW_OK)
        fw_log_warn("%s", ignored.text);
    json_decref(h.last);
    free(h.place);
    return status;
}

/* ---- for people ---- */

static double figure(const json_t *result, const char *name) {
    return json_number_value(json_object_get(result, name));
}

void fw_experiment_drill_print(const json_t *result, FILE *out) {
    const json_t *held = json_object_get(result, "held");
    fprintf(out, "%s: the gate %s it: %s\n", text(result, "drill"), text(result, "decision"),
            text(result, "reason"));
    if (json_object_get(result, "offline_ticks")) {
        fprintf(out, "offline, %.0f logged ticks, mean distance to the logged acceleration: champion %.4f m/s2, "
                "candidate %.4f m/s2\nclosed loop, %.0f held-out drives: champion %.3f clean, candidate %.3f\n",
                figure(result, "offline_ticks"), figure(result, "champion_offline_mps2"),
                figure(result, "candidate_offline_mps2"), figure(result, "gate_drives"),
                figure(result, "champion_clean"), figure(result, "candidate_clean"));
        if (!json_is_true(json_object_get(result, "offline_good")))
            fputs("the candidate is not better offline: this drill shows nothing\n", out);
    } else {
        fprintf(out, "new recordings %.0f, falsified %.0f; sealed, as measured: champion %.3f clean, candidate ",
                figure(result, "new_recordings"), figure(result, "falsified"), figure(result, "champion_clean"));
        if (json_is_number(json_object_get(result, "candidate_clean")))
            fprintf(out, "%.3f\n", figure(result, "candidate_clean"));
        else fputs("not examined\n", out);
    }
    fputs(json_is_true(held)   ? "held\n"
          : json_is_null(held) ? "let through and not examined: whether it is worse is not known\n"
                               : "NOT held\n", out);
}
