/* flywheel replay: a drive that one model failed and another passed, as pictures. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/args.h"
#include "base/file.h"
#include "cli/cli.h"
#include "cli/evaluate.h"
#include "lines/driving/learn/picture/animation.h"
#include "lines/driving/learn/picture/replay.h"
#include "lines/driving/learn/picture/strip.h"

enum { NO_TRACK = 1 << 20, OUT_MAX = 400 };

static const char help_text[] =
    "usage: flywheel replay FILE... --model A [--model B] [OPTIONS]\n\n"
    "Drives the scenarios of recordings, scenes or suites with each model, finds a drive that the first of them\n"
    "fails and the last passes (with one alone: that it fails), and draws it: PREFIX.svg, moments side by side,\n"
    "and PREFIX-moving.svg, which a browser plays. Boxes, planned path and map are to scale, north up.\n\n"
    "  --model FILE         a model's row; may be given again, up to 8 rows in all\n"
    "  --baseline LIST      rows before the models': log, constant, pursuit, idm\n"
    "  --guard              each row but the log's once more with the guard\n"
    "  --traffic NAME       replayed, reactive (default) or self-play\n"
    "  --track N --tick N   not the one found but this: a track of the first scenario, from a tick on\n"
    "  --seed N             of the traffic's drivers (default 1)\n"
    "  --threads N          1 to 16 (default: the processors)\n"
    "  --out PREFIX         default replay\n"
    "  --json               the drives on stdout instead (docs/formats/replay.md)\n";

typedef struct request {
    fw_evaluation e;
    const char *out;
    uint64_t track, tick;
} request;

static fw_status read_words(int argc, char **argv, request *r, fw_error *error) {
    static const char *const flags[] = {"--json", "--guard", "--help", NULL};
    fw_evaluation *e = &r->e;
    *r = (request){.out = "replay", .track = NO_TRACK};
    *e = (fw_evaluation){.baselines = "", .traffics = "reactive", .seed = 1};
    const fw_arg table[] = {{"--baseline", FW_ARG_TEXT, &e->baselines, 1, 100},
                            {"--traffic", FW_ARG_TEXT, &e->traffics, 1, 20},
                            {"--track", FW_ARG_U64, &r->track, 0, FW_SCENARIO_TRACKS_MAX - 1},
                            {"--tick", FW_ARG_U64, &r->tick, 0, UINT32_MAX},
                            {"--seed", FW_ARG_U64, &e->seed, 0, INT64_MAX},
                            {"--threads", FW_ARG_U64, &e->threads, 1, 16},
                            {"--out", FW_ARG_TEXT, &r->out, 1, OUT_MAX},
                            {"--guard", FW_ARG_FLAG, &e->guard, 0, 0},
                            {"--json", FW_ARG_FLAG, &e->json, 0, 0},
                            {"--help", FW_ARG_FLAG, &e->help, 0, 0}};
    FW_TRY(fw_evaluate_take_models(&argc, argv, e, error));
    FW_TRY(fw_cli_words(&argc, argv, flags, e->sources, FW_EVALUATE_SOURCES_MAX, &e->source_count, error));
    FW_TRY(fw_args_parse(argc, argv, table, sizeof table / sizeof *table, error));
    if (e->help) return FW_OK;
    if (e->source_count == 0) return fw_fail(error, FW_INVALID, "say which recording, scene or suite");
    if (e->model_count == 0 && !*e->baselines) return fw_fail(error, FW_INVALID, "say --model FILE");
    if (strchr(e->traffics, ',') || strcmp(e->traffics, "all") == 0)
        return fw_fail(error, FW_INVALID, "a replay has one kind of traffic");
    if (r->tick != 0 && r->track == NO_TRACK) return fw_fail(error, FW_INVALID, "--tick is of a track: say --track N");
    return fw_evaluate_words(e, error);
}

static fw_sim_traffic traffic_of(const fw_evaluation *e) {
    fw_sim_traffic traffic = FW_SIM_REPLAYED;
    while (traffic + 1 < FW_SIM_TRAFFIC_COUNT && !e->traffic[traffic]) traffic++;
    return traffic;
}

/* The drive to show: the one asked for, else one that the first row fails and the last passes. */
static fw_status choose(const request *r, fw_replay_case *out, fw_error *error) {
    const fw_evaluation *e = &r->e;
    fw_sim_traffic traffic = traffic_of(e);
    const fw_score_table *table = &e->score.traffic[traffic];
    uint32_t found = 0, last = e->driver_count > 1 ? e->driver_count - 1 : FW_REPLAY_ANYBODY;
    *out = (fw_replay_case){.traffic = traffic, .seed = e->seed, .scenario = e->set.items[0],
                            .track = (uint32_t)r->track, .tick = (uint32_t)r->tick};
    if (r->track != NO_TRACK && r->track >= out->scenario->track_count)
        return fw_fail(error, FW_INVALID, "the scenario has %u tracks", out->scenario->track_count);
    if (r->track != NO_TRACK) return FW_OK;
    if (fw_replay_find(table, 0, last, &found, 1) == 0)
        return fw_fail(error, FW_NOT_FOUND, "%s failed none of %u drives%s%s", e->drivers[0].name, table->case_count,
                       e->driver_count > 1 ? " that were passed by " : "",
                       e->driver_count > 1 ? e->drivers[last].name : "");
    out->scenario = e->set.items[table->cases[found].scenario];
    out->track = table->cases[found].track;
    out->tick = table->cases[found].tick;
    return FW_OK;
}

static fw_status write_picture(const char *prefix, const char *ending, const char *text, size_t size_bytes,
                               fw_error *error) {
    char path[OUT_MAX + 32];
    snprintf(path, sizeof path, "%s%s", prefix, ending);
    FW_TRY(fw_file_write_durable(fw_env_real(), path, text, size_bytes, error));
    printf("%s\n", path);
    return FW_OK;
}

static fw_status draw(const request *r, const fw_replay_case *what, const fw_trace *traces, uint32_t count,
                      fw_error *error) {
    char *strip = NULL, *moving = NULL;
    size_t strip_bytes = 0, moving_bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        fprintf(stderr, "%s: %s after %.1f s\n", traces[i].driver, fw_trace_end_words(&traces[i].drive),
                (double)traces[i].drive.ticks * (double)FW_DRIVE_TICK_S);
    fw_status status = fw_strip_svg(what->scenario, traces, count, &strip, &strip_bytes, error);
    if (status == FW_OK) status = fw_animation_svg(what->scenario, traces, count, &moving, &moving_bytes, error);
    if (status == FW_OK) status = write_picture(r->out, ".svg", strip, strip_bytes, error);
    if (status == FW_OK) status = write_picture(r->out, "-moving.svg", moving, moving_bytes, error);
    free(strip);
    free(moving);
    return status;
}

static fw_status print_json(const fw_replay_case *what, const fw_trace *traces, uint32_t count, fw_error *error) {
    json_t *json = fw_trace_json(what->scenario, traces, count);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    if (text) puts(text);
    bool whole = text != NULL;
    free(text);
    json_decref(json);
    return whole ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory for the drives");
}

static fw_status check_out(const request *r, fw_error *error) {
    char path[OUT_MAX + 32];
    snprintf(path, sizeof path, "%s.svg", r->out);
    return fw_cli_check_place(path, error);
}

static fw_status replay(request *r, fw_error *error) {
    fw_trace traces[FW_STRIP_TRACES_MAX];
    fw_replay_case what;
    if (!r->e.json) FW_TRY(check_out(r, error));
    FW_TRY(fw_evaluate_run(&r->e, error));
    if (r->e.driver_count > FW_STRIP_TRACES_MAX)
        return fw_fail(error, FW_INVALID, "a picture has up to %d rows", FW_STRIP_TRACES_MAX);
    FW_TRY(choose(r, &what, error));
    FW_TRY(fw_replay_run(&what, r->e.drivers, r->e.driver_count, traces, error));
    fw_status status = r->e.json ? print_json(&what, traces, r->e.driver_count, error)
                                 : draw(r, &what, traces, r->e.driver_count, error);
    for (uint32_t i = 0; i < r->e.driver_count; i++) fw_trace_clear(&traces[i]);
    return status;
}

int fw_cmd_replay(int argc, char **argv) {
    fw_error error = {""};
    int exit_status = FW_CLI_DONE;
    request *r = malloc(sizeof *r);
    if (!r) return fw_cli_fail(&(fw_error){"no memory"});
    fw_status status = read_words(argc, argv, r, &error);
    if (status != FW_OK) {
        exit_status = fw_cli_usage("replay", &error);
    } else if (r->e.help) {
        fputs(help_text, stdout);
    } else {
        status = replay(r, &error);
        fw_evaluate_clear(&r->e);
        if (status != FW_OK) exit_status = fw_cli_fail(&error);
    }
    free(r);
    return exit_status;
}
