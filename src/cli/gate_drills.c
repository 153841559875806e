/* flywheel gate drills: bad candidates pushed through the gate; gate_drill.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/args.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/gate.h"
#include "cli/gate_drill.h"
#include "cli/stop.h"
#include "cli/table.h"
#include "lines/driving/act/policy.h"

enum { RECORDINGS_MAX = FW_GATE_CLUSTERS_MAX, HELD_OUT_EVERY = 3 };

/* ---- through the gate ---- */

static fw_status judge(const fw_gate_ground *g, const fw_gate_candidate *candidate, fw_driving_gate_result *out,
                       fw_error *error) {
    const fw_driving_gate_config config = {.recordings = g->held_out, .recording_count = g->held_out_count,
                                           .champion_path = g->champion, .candidate_path = candidate->path,
                                           .candidate_hash = candidate->trained.hex[0] ? candidate->trained.hex : NULL,
                                           .threads = g->threads, .progress = g->progress};
    return fw_driving_gate(&config, out, error);
}

fw_status fw_gate_drill_all(const fw_gate_ground *g, json_t *rows, fw_error *error) {
    static const struct {
        const char *name;
        fw_status (*make)(const fw_gate_ground *ground, fw_gate_candidate *out, fw_error *error);
    } drills[] = {
#define X(text, name) {text, fw_gate_make_##name},
        FW_GATE_DRILLS(X)
#undef X
    };
    for (size_t i = 0; i < sizeof drills / sizeof drills[0]; i++) {
        fw_gate_candidate candidate = {.note = ""};
        fw_driving_gate_result got;
        FW_TRY(drills[i].make(g, &candidate, error));
        FW_TRY(judge(g, &candidate, &got, error));
        json_array_append_new(rows, json_pack("{s:s,s:s,s:s,s:s,s:b}", "drill", drills[i].name, "decision",
                                              got.promote ? "promoted" : "refused", "reason", got.reason, "note",
                                              candidate.note, "held", (int)!got.promote));
        fw_driving_gate_clear(&got);
    }
    return FW_OK;
}

/* ---- the command ---- */

typedef struct wish {
    const char *champion;
    uint64_t seed, agent_steps, threads;
    bool json;
    const char *recordings[RECORDINGS_MAX];
    int recording_count;
    fw_gate_talk talk;
} wish;

static fw_status read_words(int argc, char **argv, wish *w, fw_error *error) {
    static const char *const flags[] = {"--json", "--short", NULL};
    bool brief = false;
    const fw_arg table[] = {{"--champion", FW_ARG_TEXT, &w->champion, 1, 500},
                            {"--agent-steps", FW_ARG_U64, &w->agent_steps, 1000, 1000000000},
                            {"--seed", FW_ARG_U64, &w->seed, 0, INT64_MAX},
                            {"--threads", FW_ARG_U64, &w->threads, 1, 16},
                            {"--short", FW_ARG_FLAG, &brief, 0, 0},
                            {"--json", FW_ARG_FLAG, &w->json, 0, 0}};
    FW_TRY(fw_cli_words(&argc, argv, flags, w->recordings, RECORDINGS_MAX, &w->recording_count, error));
    FW_TRY(fw_args_parse(argc, argv, table, sizeof table / sizeof *table, error));
    if (brief) w->agent_steps /= 10;
    if (w->recording_count < HELD_OUT_EVERY)
        return fw_fail(error, FW_INVALID, "want %d recordings or more: RECORDING...", HELD_OUT_EVERY);
    return FW_OK;
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static fw_status lay_out(wish *w, fw_gate_ground *g, fw_error *error) {
    const char *temporary = getenv("TMPDIR");
    *g = (fw_gate_ground){.seed = w->seed, .agent_steps = w->agent_steps, .threads = (uint32_t)w->threads,
                          .progress = {&w->talk, fw_gate_report, NULL}};
    snprintf(g->folder, sizeof g->folder, "%.400s/flywheel-drills-XXXXXX", temporary && *temporary ? temporary : "/tmp");
    if (!mkdtemp(g->folder)) {
        g->folder[0] = 0;
        return fw_fail_errno(error, "cannot make a folder for drills");
    }
    g->held_out = calloc((size_t)w->recording_count, sizeof *g->held_out);
    g->train = calloc((size_t)w->recording_count, sizeof *g->train);
    if (!g->held_out || !g->train) return fw_fail(error, FW_NO_MEMORY, "no memory for drills");
    qsort(w->recordings, (size_t)w->recording_count, sizeof *w->recordings, by_name);
    for (int i = 0; i < w->recording_count; i++) {
        if (i % HELD_OUT_EVERY == 0) g->held_out[g->held_out_count++] = w->recordings[i];
        else g->train[g->train_count++] = w->recordings[i];
    }
    return FW_OK;
}

/* Who is to be beaten: the named model, or a network trained here. */
static fw_status crown(const wish *w, fw_gate_ground *g, fw_error *error) {
    fw_policy policy;
    fw_path_join(g->trained, sizeof g->trained, g->folder, "trained.safetensors");
    if (w->champion) {
        FW_TRY(fw_policy_load_file(w->champion, &policy, error));
        const bool network = policy.kind == FW_POLICY_NETWORK;
        fw_policy_clear(&policy);
        snprintf(g->champion, sizeof g->champion, "%.500s", w->champion);
        if (network) snprintf(g->trained, sizeof g->trained, "%.500s", w->champion);
        if (network) return FW_OK;
    } else snprintf(g->champion, sizeof g->champion, "%s", g->trained);
    return fw_gate_train(g, g->train, g->train_count, NULL, g->trained, error);
}

static bool print_rows(const json_t *rows, bool json) {
    const json_t *row = NULL;
    size_t i = 0, held = 0;
    json_array_foreach((json_t *)(uintptr_t)rows, i, row) {
        held += json_is_true(json_object_get(row, "held"));
        if (json) continue;
        printf("%-13s %s: %s\n", json_string_value(json_object_get(row, "drill")),
               json_string_value(json_object_get(row, "decision")), json_string_value(json_object_get(row, "reason")));
        const char *note = json_string_value(json_object_get(row, "note"));
        if (note[0]) printf("%-13s %s\n", "", note);
    }
    if (json) json_dumpf(rows, stdout, JSON_COMPACT);
    else printf("%zu of %zu refused", held, i);
    putchar('\n');
    return held == i;
}

static fw_status run(wish *w, bool *held, fw_error *error) {
    fw_gate_ground g;
    fw_error ignored;
    json_t *rows = json_array();
    w->talk = (fw_gate_talk){.what = "drills:", .unit = "steps"};
    fw_status status = lay_out(w, &g, error);
    if (status == FW_OK) status = crown(w, &g, error);
    if (status == FW_OK) status = fw_gate_drill_all(&g, rows, error);
    fw_gate_hush(&w->talk);
    if (status == FW_OK) *held = print_rows(rows, w->json);
    if (g.folder[0] && fw_folder_remove(g.folder, &ignored) != FW_OK) fw_log_warn("%s", ignored.text);
    free(g.held_out);
    free(g.train);
    json_decref(rows);
    return status;
}

int fw_gate_drills_verb(int argc, char **argv) {
    fw_error error = {""};
    bool held = false;
    wish *w = calloc(1, sizeof *w);
    if (!w) return fw_cli_fail(&(fw_error){"no memory"});
    w->seed = w->threads = 1, w->agent_steps = 1000000;
    fw_status status = read_words(argc, argv, w, &error);
    if (status != FW_OK) {
        free(w);
        return fw_cli_usage("gate", &error);
    }
    fw_cli_catch_stop();
    status = run(w, &held, &error);
    free(w);
    if (status != FW_OK) return fw_cli_fail(&error);
    return held ? FW_CLI_DONE : FW_CLI_FAILED;
}
