/* flywheel gate decide: the gate on files, without a factory. */
#include <stdio.h>
#include <stdlib.h>

#include "base/args.h"
#include "cli/cli.h"
#include "cli/gate.h"
#include "cli/stop.h"

enum { RECORDINGS_MAX = FW_GATE_CLUSTERS_MAX };

typedef struct wish {
    const char *champion, *candidate;
    uint64_t threads, deadline_us, place, promotions;
    bool json;
    const char *recordings[RECORDINGS_MAX];
    int recording_count;
} wish;

static fw_status read_words(int argc, char **argv, wish *w, fw_error *error) {
    static const char *const flags[] = {"--json", NULL};
    const fw_arg table[] = {{"--champion", FW_ARG_TEXT, &w->champion, 1, 500},
                            {"--candidate", FW_ARG_TEXT, &w->candidate, 1, 500},
                            {"--threads", FW_ARG_U64, &w->threads, 1, 16},
                            {"--deadline-us", FW_ARG_U64, &w->deadline_us, 1, 1000000},
                            {"--place", FW_ARG_U64, &w->place, 1, 1000},
                            {"--promotions", FW_ARG_U64, &w->promotions, 0, 1000},
                            {"--json", FW_ARG_FLAG, &w->json, 0, 0}};
    FW_TRY(fw_cli_words(&argc, argv, flags, w->recordings, RECORDINGS_MAX, &w->recording_count, error));
    FW_TRY(fw_args_parse(argc, argv, table, sizeof table / sizeof *table, error));
    if (!w->champion || !w->candidate || w->recording_count == 0)
        return fw_fail(error, FW_INVALID, "want --champion FILE --candidate FILE RECORDING...");
    return FW_OK;
}

static fw_status decide(const wish *w, bool *promoted, fw_error *error) {
    fw_gate_talk talk = {.what = "driving", .unit = "recordings"};
    fw_gate_plan plan = fw_gate_usual;
    fw_driving_gate_result got;
    plan.place = (uint32_t)w->place, plan.promotions = (uint32_t)w->promotions;
    const fw_driving_gate_config config = {.recordings = w->recordings,
                                           .recording_count = (uint32_t)w->recording_count,
                                           .champion_path = w->champion,
                                           .candidate_path = w->candidate,
                                           .plan = &plan,
                                           .deadline_us = (uint32_t)w->deadline_us,
                                           .threads = (uint32_t)w->threads,
                                           .progress = {&talk, fw_gate_report, NULL}};
    fw_status status = fw_driving_gate(&config, &got, error);
    fw_gate_hush(&talk);
    FW_TRY(status);
    if (w->json) {
        json_dumpf(got.record, stdout, JSON_COMPACT);
        fputc('\n', stdout);
    } else fw_gate_print(got.record, stdout);
    *promoted = got.promote;
    fw_driving_gate_clear(&got);
    return FW_OK;
}

int fw_gate_decide_verb(int argc, char **argv) {
    fw_error error = {""};
    bool promoted = false;
    wish *w = calloc(1, sizeof *w);
    if (!w) return fw_cli_fail(&(fw_error){"no memory"});
    w->threads = w->place = 1;
    fw_status status = read_words(argc, argv, w, &error);
    if (status != FW_OK) {
        free(w);
        return fw_cli_usage("gate", &error);
    }
    fw_cli_catch_stop();
    status = decide(w, &promoted, &error);
    free(w);
    if (status != FW_OK) return fw_cli_fail(&error);
    return promoted ? FW_CLI_DONE : FW_CLI_FAILED;
}
