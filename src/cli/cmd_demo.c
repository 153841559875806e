/* cmd_demo.c - `flywheel demo`: options, and the two ways to run; see demo.h */
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/args.h"
#include "base/confine.h"
#include "base/log.h"
#include "base/pace.h"
#include "cli/cli.h"
#include "cli/demo.h"
#include "lines/driving/act/policy.h"
#include "lines/driving/learn/learn.h"

enum { DONE = 0, FAILED = 1, USAGE = 2 };
enum { HEADLESS_STEPS = 12000000, LIVE_STEPS = 4000000 }; /* agent-steps of a loop */
enum { BUS_PATH_MAX = 100, LIVE_EXAM_DRIVES = 64, WORKERS = 2, EXAM_POLL_MS = 100,
       EXAMS_A_MODEL = 4 };
/* Drives wanted in each simulation run of an exam; runs are 1 to FW_DEMO_EXAM_RUNS_MAX, so that a
 * report's 300 drives are 10 runs of 30 each, and the 64 beside the loop are 4 of 16. */
enum { DRIVES_PER_RUN = 8, LIVE_DRIVES_PER_RUN = 16 };
enum { LOG_MAX_BYTES = 8 << 20, DISK_CAP_MIN_BYTES = 512 << 20 };

static const char help_text[] =
    "usage: flywheel demo --data DIR [OPTIONS]\n\n"
    "A fleet of cars in Bologna's streets records, uploads, learns and is updated, over and over.\n"
    "Without --headless it goes on until Ctrl-C, and the next start goes on where it was.\n\n"
    "  --data DIR                   where everything is kept\n"
    "  --headless                   run --generations loops, examine every model, report, end\n"
    "  --generations N              default 3\n"
    "  --seed S                     default 1; same seed, same figures (not with --realtime)\n"
    "  --cars N                     4 to 64 (every fourth only tests), default 16\n"
    "  --report FILE                where the JSON report goes (headless)\n"
    "  --realtime                   10 Hz by the clock instead of lockstep\n"
    "  --ticks-per-generation T     ticks of 0.1 s driven in each loop, default 3000\n"
    "  --agent-steps A              training budget of each loop, default 12000000 headless,\n"
    "                               4000000 without end: a first decision within two minutes\n"
    "  --exam-drives D              sealed drives per exam, default 300\n"
    "  --exam-store DIR             the examiner's store, default DIR/exam\n"
    "  --listen ADDRESS:PORT        the factory's page, default 127.0.0.1:8080; the examiner's\n"
    "                               results are served on the next port\n"
    "  --disk-cap-bytes B           of the data folder: three quarters for the factory, the rest for\n"
    "                               spools and logs; default 4 GiB\n"
    "  --no-browser                 only print the page's address\n";

static fw_status read_options(int argc, char **argv, fw_demo_options *o, fw_error *error) {
    *o = (fw_demo_options){.listen = "127.0.0.1:8080", .seed = 1, .cars = 16, .generations = 3,
                           .exam_drives = 300, .ticks = 3000,
                           .disk_cap_bytes = UINT64_C(4) << 30};
    const fw_arg table[] = {
        {"--data", FW_ARG_TEXT, &o->data, 1, 300},
        {"--headless", FW_ARG_FLAG, &o->headless, 0, 0},
        {"--generations", FW_ARG_U64, &o->generations, 1, 1000},
        {"--seed", FW_ARG_U64, &o->seed, 0, INT64_MAX},
        {"--cars", FW_ARG_U64, &o->cars, FW_DEMO_UNITS_MIN, FW_DEMO_UNITS_MAX},
        {"--report", FW_ARG_TEXT, &o->report, 1, 400},
        {"--realtime", FW_ARG_FLAG, &o->realtime, 0, 0},
        {"--exam-drives", FW_ARG_U64, &o->exam_drives, 2, 10000},
        {"--ticks-per-generation", FW_ARG_U64, &o->ticks, 1, 1000000},
        {"--agent-steps", FW_ARG_U64, &o->agent_steps, 1, UINT64_C(1) << 40},
        {"--listen", FW_ARG_TEXT, &o->listen, 3, 60},
        {"--exam-store", FW_ARG_TEXT, &o->exam_store, 1, 300},
        {"--disk-cap-bytes", FW_ARG_U64, &o->disk_cap_bytes, DISK_CAP_MIN_BYTES,
         INT64_MAX},
        {"--no-browser", FW_ARG_FLAG, &o->no_browser, 0, 0}};
    FW_TRY(fw_args_parse(argc, argv, table, sizeof table / sizeof table[0], error));
    if (o->agent_steps == 0) o->agent_steps = o->headless ? HEADLESS_STEPS : LIVE_STEPS;
    if (o->data == NULL) return fw_fail(error, FW_INVALID, "demo needs --data DIR");
    if (o->report && !o->headless)
        return fw_fail(error, FW_INVALID, "--report goes with --headless");
    return FW_OK;
}

/* ---- the data folder ---- */

static fw_status check_format(const char *folder, const fw_demo_options *o, fw_error *error) {
    char path[FW_PATH_MAX], *bytes = NULL;
    size_t size = 0;
    fw_path_join(path, sizeof path, folder, "demo.json");
    fw_status status = fw_file_read(path, 1 << 16, &bytes, &size, error);
    if (status == FW_NOT_FOUND) {
        char text[160];
        int n = snprintf(text, sizeof text, "{\"format\": %d, \"seed\": %" PRIu64 ", \"flywheel\": "
                         "\"%s\"}\n", FW_DEMO_FORMAT, o->seed, FW_VERSION);
        return fw_file_write_durable(fw_env_real(), path, text, (size_t)n, error);
    }
    if (status != FW_OK) return status;
    json_t *object = json_loadb(bytes, size, 0, NULL);
    json_int_t format = json_integer_value(json_object_get(object, "format"));
    free(bytes);
    json_decref(object);
    if (format == FW_DEMO_FORMAT) return FW_OK;
    return fw_fail(error, FW_UNSUPPORTED, "%s has format %" JSON_INTEGER_FORMAT ", this Flywheel "
                   "knows %d: choose another --data, or remove that folder", folder, format,
                   FW_DEMO_FORMAT);
}

/* One conductor at a time in a folder; the lock is held until the process ends. */
static fw_status lock_folder(const char *folder, fw_error *error) {
    char path[FW_PATH_MAX];
    fw_path_join(path, sizeof path, folder, "demo.lock");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return fw_fail_errno(error, "cannot open %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) return FW_OK;
    close(fd);
    return fw_fail(error, FW_BUSY, "another demo runs in %s: stop it, or choose another --data",
                   folder);
}

/* The store must be where the confined factory cannot look: not in its data, not by its program, not
 * in the system's folders. */
static fw_status check_store(const fw_demo *demo, fw_error *error) {
    char programs[FW_PATH_MAX], factory[FW_PATH_MAX];
    bool open = false;
    FW_TRY(fw_child_folder(programs, error));
    fw_path_join(factory, sizeof factory, demo->base, "factory");
    FW_TRY(fw_folder_make(factory, 0700, error));
    FW_TRY(fw_confine_reaches(factory, programs, demo->store, &open, error));
    if (open)
        return fw_fail(error, FW_INVALID, "--exam-store %s lies where the factory may read: choose "
                       "another folder", demo->store);
    return FW_OK;
}

static fw_status make_folders(fw_demo *demo, fw_error *error) {
    const fw_demo_options *o = demo->options;
    FW_TRY(fw_folder_make(o->data, 0700, error));
    char root[PATH_MAX];
    if (realpath(o->data, root) == NULL) return fw_fail_errno(error, "cannot open %s", o->data);
    if (strlen(root) > FW_PATH_MAX - 100)
        return fw_fail(error, FW_TOO_BIG, "%s is too long a path for a data folder", root);
    snprintf(demo->base, sizeof demo->base, "%.*s%s", FW_PATH_MAX - 100, root,
             o->headless ? "/headless" : "");
    if (o->exam_store) snprintf(demo->store, sizeof demo->store, "%s", o->exam_store);
    else snprintf(demo->store, sizeof demo->store, "%.*s/exam", FW_PATH_MAX - 100, root);
    FW_TRY(check_format(root, o, error));
    FW_TRY(lock_folder(root, error));
    if (o->headless) FW_TRY(fw_folder_remove(demo->base, error));
    FW_TRY(fw_folder_make(demo->base, 0700, error));
    FW_TRY(fw_folder_make(demo->store, 0700, error));
    FW_TRY(check_store(demo, error));
    fw_path_join(demo->logs, sizeof demo->logs, demo->base, "logs");
    fw_path_join(demo->models, sizeof demo->models, demo->base, "models");
    FW_TRY(fw_folder_make(demo->logs, 0700, error));
    FW_TRY(fw_folder_make(demo->models, 0700, error));
    fw_path_join(demo->bus, sizeof demo->bus, demo->base, "bus.sock");
    if (strlen(demo->bus) > BUS_PATH_MAX) /* a socket's name is short: 107 bytes */
        snprintf(demo->bus, sizeof demo->bus, "/tmp/flywheel-%u-%ld.sock", getuid(), (long)getpid());
    return FW_OK;
}

static fw_status find_programs(fw_demo *demo, fw_error *error) {
    FW_TRY(fw_child_program("flywheel", demo->serve_program, error));
    FW_TRY(fw_child_program("flywheel-unit", demo->unit_program, error));
    return fw_child_program("flywheel-world", demo->world_program, error);
}

/* The page's address, and the examiner's on the next port. */
static fw_status set_addresses(fw_demo *demo, fw_error *error) {
    const char *listen_at = demo->options->listen, *colon = strrchr(listen_at, ':');
    uint64_t port = 0;
    if (colon == NULL || fw_parse_u64(colon + 1, &port, NULL) != FW_OK || port < 1 || port > 65534)
        return fw_fail(error, FW_INVALID, "--listen takes ADDRESS:PORT, with a port below 65535");
    snprintf(demo->factory.base_url, sizeof demo->factory.base_url, "http://%s", listen_at);
    snprintf(demo->exam_listen, sizeof demo->exam_listen, "%.*s:%" PRIu64,
             (int)(colon - listen_at), listen_at, port + 1);
    snprintf(demo->examiner.base_url, sizeof demo->examiner.base_url, "http://%s",
             demo->exam_listen);
    return FW_OK;
}

/* Logs of earlier starts are kept while they are small. */
static fw_status trim_logs(const fw_demo *demo, fw_error *error) {
    if (fw_folder_size_bytes(demo->logs) < LOG_MAX_BYTES) return FW_OK;
    FW_TRY(fw_folder_remove(demo->logs, error));
    return fw_folder_make(demo->logs, 0700, error);
}

static fw_status prepare(fw_demo *demo, fw_error *error) {
    FW_TRY(set_addresses(demo, error));
    FW_TRY(find_programs(demo, error));
    FW_TRY(make_folders(demo, error));
    FW_TRY(trim_logs(demo, error));
    FW_TRY(fw_http_client_curl(&demo->factory.http, error));
    FW_TRY(fw_http_client_curl(&demo->examiner.http, error));
    demo->veto_by_model = json_object();
    demo->truth = json_object();
    return FW_OK;
}

/* ---- both ways ---- */

static fw_status count_phases(fw_demo *demo, fw_error *error) {
    json_t *answer = NULL, *row = NULL;
    size_t i = 0;
    FW_TRY(fw_demo_factory_get(&demo->factory, "/v1/generations", &answer, error));
    json_array_foreach(answer, i, row) {
        json_int_t index = json_integer_value(json_object_get(row, "index"));
        if (index > demo->first_phase) demo->first_phase = (uint32_t)index;
    }
    json_decref(answer);
    return FW_OK;
}

static fw_status start_all(fw_demo *demo, fw_hash *model, fw_error *error) {
    FW_TRY(fw_demo_start_factory(demo, error));
    FW_TRY(fw_demo_start_door(demo, error));
    FW_TRY(count_phases(demo, error));
    FW_TRY(fw_demo_first_model(demo, model, error));
    FW_TRY(fw_demo_start_fleet(demo, error));
    return fw_demo_wait_staged(demo, model->hex, error);
}

/* A model of the factory as a file for the examiner. */
static fw_status model_file(fw_demo *demo, const char *hash, char path[FW_PATH_MAX],
                            fw_error *error) {
    char name[FW_HASH_HEX + 16];
    snprintf(name, sizeof name, "%.64s.safetensors", hash);
    fw_path_join(path, FW_PATH_MAX, demo->models, name);
    return fw_demo_factory_fetch(&demo->factory, hash, path, error);
}

static void set_up_exams(const fw_demo *demo, fw_demo_exams *exams) {
    snprintf(exams->program, sizeof exams->program, "%s", demo->world_program);
    snprintf(exams->store, sizeof exams->store, "%s", demo->store);
    snprintf(exams->logs, sizeof exams->logs, "%s", demo->logs);
    exams->drives = (uint32_t)demo->options->exam_drives;
    exams->drives_per_run = DRIVES_PER_RUN;
    exams->workers = WORKERS;
}

/* ---- headless ---- */

static json_t *text_or_null(const json_t *row, const char *name) {
    json_t *value = json_object_get(row, name);
    const char *text = json_string_value(value);
    return value && !(text && text[0] == 0) ? json_incref(value) : json_null();
}

/* The report's row of a generation from the factory's row of it; the latter is released. */
static json_t *report_row(uint32_t index, const char *model, json_t *row) {
    static const char *const names[] = {"parent", "dataset", "candidate", "decision", "reason",
                                        "recordings", "bytes_uploaded", "train_core_s",
                                        "agent_steps", "event_to_model_s", "gate", "train",
                                        "loop_s", "drive_s"};
    json_t *out = json_pack("{s:i, s:s}", "index", (int)index, "model", model);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        json_object_set_new(out, names[i], text_or_null(row, names[i]));
    json_decref(row);
    return out;
}

static json_t *first_row(const char *model) {
    return report_row(0, model, json_pack("{s:s, s:i, s:i, s:i, s:i, s:i}", "decision", "first",
                                          "recordings", 0, "bytes_uploaded", 0, "train_core_s", 0,
                                          "agent_steps", 0, "loop_s", 0));
}

/* The loops; `generations` gets a row each. */
static fw_status run_loops(fw_demo *demo, fw_hash *model, json_t *generations, fw_error *error) {
    json_array_append_new(generations, first_row(model->hex));
    for (uint32_t g = 1; g <= demo->options->generations; g++) {
        json_t *row = NULL;
        FW_TRY(fw_demo_phase(demo, fw_demo_phase_seed(demo->options->seed, g), &row, error));
        const char *next = json_string_value(json_object_get(row, "model"));
        const char *decision = json_string_value(json_object_get(row, "decision"));
        if (next && fw_hash_valid(next) && decision && strcmp(decision, "promoted") == 0)
            FW_TRY(fw_hash_parse(next, model, error));
        json_array_append_new(generations, report_row(g, model->hex, row));
    }
    /* Past the last loop, and in nobody's time: what the last model's vetoes are on the road. */
    return fw_demo_run(demo, (uint32_t)demo->options->ticks, true, error);
}

/* A rule's or a network's file under its hash, as the models of the factory. */
static fw_status keep_file(fw_demo *demo, const void *bytes, size_t size_bytes,
                           char path[FW_PATH_MAX], fw_error *error) {
    char name[FW_HASH_HEX + 16];
    snprintf(name, sizeof name, "%s.safetensors", fw_hash_bytes(bytes, size_bytes).hex);
    fw_path_join(path, FW_PATH_MAX, demo->models, name);
    return fw_file_write_durable(fw_env_real(), path, bytes, size_bytes, error);
}

static fw_status rule_file(fw_demo *demo, fw_policy_kind kind, char path[FW_PATH_MAX],
                           fw_error *error) {
    char *bytes = NULL;
    size_t size = 0;
    FW_TRY(fw_policy_rule_file(kind, &bytes, &size, error));
    fw_status status = keep_file(demo, bytes, size, path, error);
    free(bytes);
    return status;
}

enum { BASELINES = 4 };
static const char *const baseline_names[BASELINES] = {"constant", "untrained", "idm", "sumo"};

static fw_status baseline_files(fw_demo *demo, char paths[BASELINES][FW_PATH_MAX],
                                fw_error *error) {
    char untrained[FW_PATH_MAX], *bytes = NULL;
    size_t size = 0;
    fw_hash hash;
    FW_TRY(rule_file(demo, FW_POLICY_CONSTANT, paths[0], error));
    FW_TRY(rule_file(demo, FW_POLICY_IDM, paths[2], error));
    snprintf(paths[3], FW_PATH_MAX, "sumo");
    fw_path_join(untrained, sizeof untrained, demo->models, "untrained.safetensors");
    FW_TRY(fw_driving_untrained(demo->options->seed, untrained, &hash, error));
    FW_TRY(fw_file_read(untrained, FW_POLICY_FILE_MAX, &bytes, &size, error));
    fw_status status = keep_file(demo, bytes, size, paths[1], error);
    free(bytes);
    return status;
}

/* first: what is done already was taken over, and says nothing of the pace. */
static void show_exams(const fw_demo_exams *exams, bool first, fw_pace *pace) {
    char words[96];
    int64_t now_ns = fw_env_mono_ns(fw_env_real());
    if (first)
        fw_pace_start(pace, now_ns, exams->done);
    else
        fw_pace_note(pace, now_ns, exams->done);
    fw_pace_words(fw_pace_per_s(pace), fw_pace_left_s(pace, exams->count), "exams", words,
                  sizeof words);
    fprintf(stderr, "  exams: %u of %u%s%s\n", exams->done, exams->count, words[0] ? ", " : "", words);
}

static fw_status run_exams(fw_demo_exams *exams, fw_error *error) {
    bool all_done = false;
    uint32_t shown = UINT32_MAX;
    fw_pace pace;
    while (!all_done) {
        if (fw_demo_stopping()) return fw_fail(error, FW_INTERRUPTED, "stopped");
        FW_TRY(fw_demo_exams_pump(exams, &all_done, error));
        if (exams->done != shown) show_exams(exams, shown == UINT32_MAX, &pace);
        shown = exams->done;
        fw_env_sleep_ns(fw_env_real(), EXAM_POLL_MS * INT64_C(1000000));
    }
    return FW_OK;
}

/* Exams of the baselines; `late`: after all others. */
static fw_status add_baselines(fw_demo *demo, fw_demo_exams *exams,
                               char paths[BASELINES][FW_PATH_MAX], bool late, fw_error *error) {
    FW_TRY(baseline_files(demo, paths, error));
    for (int b = 0; b < BASELINES; b++)
        fw_demo_add_exams(exams, paths[b], baseline_names[b], strcmp(paths[b], "sumo") != 0, late);
    return FW_OK;
}

/* Exams of every generation's model and of the baselines, into the report. */
static fw_status examine(fw_demo *demo, fw_demo_exams *exams, json_t *report, fw_error *error) {
    char paths[BASELINES][FW_PATH_MAX], path[FW_PATH_MAX];
    json_t *row = NULL, *generations = json_object_get(report, "generations");
    json_t *baselines = json_object();
    size_t i = 0;
    json_object_set_new(report, "baselines", baselines);
    FW_TRY(add_baselines(demo, exams, paths, false, error));
    json_array_foreach(generations, i, row) {
        FW_TRY(model_file(demo, json_string_value(json_object_get(row, "model")), path, error));
        fw_demo_add_exams(exams, path, NULL, true, false);
    }
    FW_TRY(run_exams(exams, error));
    for (int b = 0; b < BASELINES; b++)
        json_object_set_new(baselines, baseline_names[b], fw_demo_evals(exams, paths[b]));
    json_array_foreach(generations, i, row) {
        FW_TRY(model_file(demo, json_string_value(json_object_get(row, "model")), path, error));
        json_t *evals = fw_demo_evals(exams, path);
        json_object_update(row, evals);
        json_decref(evals);
    }
    return FW_OK;
}

/* Says the factory of itself that it cannot open the examiner's store? */
static bool factory_confined(fw_demo *demo) {
    json_t *status = NULL;
    fw_error ignored;
    if (fw_demo_factory_get(&demo->factory, "/v1/status", &status, &ignored) != FW_OK) return false;
    bool confined = json_is_true(json_object_get(status, "confined"));
    json_decref(status);
    return confined;
}

static json_t *new_report(fw_demo *demo, json_t *generations) {
    bool confined = factory_confined(demo);
    json_t *row = NULL;
    size_t i = 0;
    double loop_total_s = 0;
    json_array_foreach(generations, i, row) {
        const char *model = json_string_value(json_object_get(row, "model"));
        loop_total_s += json_number_value(json_object_get(row, "loop_s"));
        json_object_set_new(row, "veto_share", json_real(fw_demo_veto_share(demo, model)));
    }
    json_t *world = json_pack("{s:s, s:I, s:I, s:f, s:b, s:i, s:I, s:O}", "network", "acosta", "cars",
                              (json_int_t)demo->options->cars, "ticks",
                              (json_int_t)demo->ticks_total, "simulated_s",
                              (double)demo->ticks_total / 10, "realtime", demo->options->realtime,
                              "sumo_restarts", (int)demo->sumo_restarts, "misses",
                              (json_int_t)demo->misses, "drives", demo->truth);
    return json_pack("{s:I, s:f, s:f, s:s, s:i, s:b, s:o, s:O}", "seed",
                     (json_int_t)demo->options->seed, "veto_share", fw_demo_veto_share(demo, NULL),
                     "loop_total_s", loop_total_s, "flywheel", FW_VERSION, "faults",
                     (int)demo->faults, "factory_confined", confined, "world", world,
                     "generations", generations);
}

static fw_status write_report(const fw_demo *demo, const json_t *report, fw_error *error) {
    char beside[FW_PATH_MAX];
    char *text = json_dumps(report, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    FW_ASSERT(text != NULL);
    fw_path_join(beside, sizeof beside, demo->store, "report.json");
    fw_status status = fw_file_write_durable(fw_env_real(), beside, text, strlen(text), error);
    if (status == FW_OK && demo->options->report)
        status = fw_file_write_durable(fw_env_real(), demo->options->report, text, strlen(text),
                                       error);
    free(text);
    return status;
}

static fw_status headless(fw_demo *demo, fw_error *error) {
    fw_hash model;
    json_t *generations = json_array(), *report = NULL;
    fw_demo_exams *exams = calloc(1, sizeof *exams);
    FW_ASSERT(exams != NULL);
    set_up_exams(demo, exams);
    fw_status status = start_all(demo, &model, error);
    if (status == FW_OK) status = run_loops(demo, &model, generations, error);
    fw_demo_stop_fleet(demo);
    if (status == FW_OK) {
        report = new_report(demo, generations);
        status = examine(demo, exams, report, error);
    }
    if (status == FW_OK) status = write_report(demo, report, error);
    if (status == FW_OK) fw_demo_print_table(stdout, report);
    fw_demo_exams_stop(exams);
    json_decref(report);
    json_decref(generations);
    free(exams);
    return status;
}

/* ---- without end ---- */

static void open_browser(const fw_demo *demo) {
    const char *display = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");
    static const char *const places[] = {"/usr/bin/xdg-open", "/usr/local/bin/xdg-open"};
    fprintf(stderr, "\n  the factory's page: %s\n\n", demo->factory.base_url);
    if (demo->options->no_browser || (display == NULL && wayland == NULL)) return;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        const char *const argv[] = {places[i], demo->factory.base_url, NULL};
        char log[FW_PATH_MAX];
        fw_child browser;
        fw_path_join(log, sizeof log, demo->logs, "browser.log");
        fw_child_spec spec = {.name = "browser", .argv = argv, .log_path = log};
        fw_error ignored;
        if (access(places[i], X_OK) != 0) continue;
        (void)!fw_child_start(&spec, &browser, &ignored);
        return;
    }
}

/* The newest model's exams go on in the background; a newer model waits for its turn. The baselines,
 * which the page draws as lines, are examined once, whenever no model is due. */
static fw_status examine_newest(fw_demo *demo, const char *hash, fw_error *error) {
    fw_demo_exams *exams = demo->background;
    char path[FW_PATH_MAX], paths[BASELINES][FW_PATH_MAX];
    if (!fw_demo_exams_only_late(exams)) return FW_OK;
    if (fw_demo_exams_idle(exams)) {
        fw_demo_exams_clear(exams);
        FW_TRY(fw_folder_remove(demo->models, error)); /* of models examined before */
        FW_TRY(fw_folder_make(demo->models, 0700, error));
    }
    if (exams->count + EXAMS_A_MODEL > FW_DEMO_EXAMS_MAX) return FW_OK;
    FW_TRY(model_file(demo, hash, path, error));
    fw_demo_add_exams(exams, path, NULL, true, false);
    if (demo->baselines_queued) return FW_OK;
    demo->baselines_queued = true;
    return add_baselines(demo, exams, paths, true, error);
}

static fw_status endless_loops(fw_demo *demo, fw_hash *model, fw_error *error) {
    for (uint32_t g = demo->first_phase + 1;; g++) {
        json_t *row = NULL;
        FW_TRY(examine_newest(demo, model->hex, error));
        FW_TRY(fw_demo_phase(demo, fw_demo_phase_seed(demo->options->seed, g), &row, error));
        const char *next = json_string_value(json_object_get(row, "model"));
        if (next && fw_hash_valid(next)) FW_TRY(fw_hash_parse(next, model, error));
        json_decref(row);
    }
}

static fw_status endless(fw_demo *demo, fw_error *error) {
    fw_hash model;
    fw_demo_exams *exams = calloc(1, sizeof *exams);
    FW_ASSERT(exams != NULL);
    set_up_exams(demo, exams);
    exams->drives = LIVE_EXAM_DRIVES;
    exams->drives_per_run = LIVE_DRIVES_PER_RUN;
    exams->workers = 1;
    exams->low_priority = true;
    fprintf(stderr, "  a fleet of %" PRIu64 " cars; Ctrl-C stops it, the next start goes on\n",
            demo->options->cars);
    fw_status status = start_all(demo, &model, error);
    if (status == FW_OK) open_browser(demo);
    demo->background = exams;
    if (status == FW_OK) status = endless_loops(demo, &model, error);
    demo->background = NULL;
    fw_demo_exams_stop(exams);
    free(exams);
    return status;
}

int fw_cmd_demo(int argc, char **argv) {
    fw_demo_options options;
    fw_error error = {""};
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0) return fputs(help_text, stdout), DONE;
    if (read_options(argc, argv, &options, &error) != FW_OK) {
        fprintf(stderr, "flywheel demo: %s (try flywheel demo --help)\n", error.text);
        return USAGE;
    }
    fw_demo *demo = calloc(1, sizeof *demo);
    FW_ASSERT(demo != NULL);
    demo->options = &options;
    fw_demo_catch_signals();
    fw_status status = prepare(demo, &error);
    if (status == FW_OK) {
        fprintf(stderr, "  data in %s, at most %.1f GiB\n", options.data,
                (double)options.disk_cap_bytes / (1 << 30));
        status = options.headless ? headless(demo, &error) : endless(demo, &error);
    }
    bool stopped = fw_demo_stopping();
    if (stopped) fprintf(stderr, "\n  stopping\n");
    fw_demo_stop_all(demo);
    if (demo->factory.http.free) demo->factory.http.free(demo->factory.http.self);
    if (demo->examiner.http.free) demo->examiner.http.free(demo->examiner.http.self);
    json_decref(demo->veto_by_model);
    json_decref(demo->truth);
    json_decref(demo->paused);
    free(demo);
    if (status == FW_OK || (stopped && !options.headless)) return DONE;
    fprintf(stderr, "flywheel demo: %s\n", error.text);
    return FAILED;
}
