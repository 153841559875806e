/* cmd_experiment.c - `flywheel experiment`: options and settings; see experiment.h */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/args.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/demo.h"
#include "cli/experiment.h"
#include "cli/experiment_drill.h"

enum { SETTINGS_MAX_BYTES = 1 << 16 };

/* Demand doubles, the long van joins, traffic becomes aggressive, the city is mirrored. */
static const char usual_shifts[] = "3:demand 2; 4:kind van:0.3; 5:traffic 1; 6:left-hand on";

static const char help_text[] =
    "usage: flywheel experiment --data DIR [OPTIONS]\n\n"
    "Is the loop the cause? Fleets that learn from what their triggers chose, from as many bytes\n"
    "chosen at random, and not at all, in the same worlds; docs/experiment.md. The same command\n"
    "goes on where it was stopped; on a finished folder it only prints the report.\n\n"
    "  --data DIR          where everything is kept\n"
    "  --short             a smoke test of 2 seeds and 3 generations: claims nothing\n"
    "  --seeds N           default 5\n"
    "  --generations N     default 6; the first is the same in every arm\n"
    "  --seed S            the first seed, default 1\n"
    "  --cars N            4 to 64 (every fourth only tests), default 16\n"
    "  --ticks T           of 0.1 s, driven in each generation, default 1200\n"
    "  --agent-steps A     training of each generation, default 1500000\n"
    "  --share-percent P   of the driven time that loop may upload, default 6\n"
    "  --exam-drives D     sealed drives a city and model, default 60\n"
    "  --exam-runs R       in so many simulation runs, default 4\n"
    "  --shifts LIST       changes of the city that stay: \"3:demand 2; 4:kind van:0.3\", or usual\n"
    "  --suite FILE        sealed scenes that every model drives as well, as flywheel suite writes them\n"
    "  --drill NAME        stale, poison or offline-good: what the gate does, on a finished experiment\n"
    "  --skip-exam         of a drill: what the gate lets through is not examined, and not judged\n"
    "  --jobs N            cells side by side, default half the cores, at least 2\n"
    "  --json              the report as JSON\n";

typedef struct options {
    fw_experiment_settings set;
    const char *data, *cell, *shifts, *suite, *drill;
    uint64_t jobs;
    bool short_form, skip_exam, as_json, help;
} options;

/* ---- settings ---- */

typedef struct field {
    const char *name;
    uint64_t *value;
} field;
enum { FIELDS = 9 };

static void fields_of(fw_experiment_settings *s, field out[FIELDS]) {
    const field all[FIELDS] = {{"seed", &s->seed}, {"seeds", &s->seeds}, {"generations", &s->generations},
                               {"cars", &s->cars}, {"ticks", &s->ticks}, {"agent_steps", &s->agent_steps},
                               {"exam_drives", &s->exam_drives}, {"exam_runs", &s->exam_runs},
                               {"share_percent", &s->share_percent}};
    memcpy(out, all, sizeof all);
}

static json_t *settings_json(fw_experiment_settings *s) {
    field fields[FIELDS];
    json_t *json = json_pack("{s:i, s:s, s:b, s:s, s:s}", "format", FW_EXPERIMENT_FORMAT, "flywheel",
                             FW_VERSION, "short", s->short_form, "shifts", s->shifts, "suite", s->suite);
    fields_of(s, fields);
    for (int i = 0; i < FIELDS; i++)
        json_object_set_new(json, fields[i].name, json_integer((json_int_t)*fields[i].value));
    return json;
}

static void settings_of(const json_t *json, fw_experiment_settings *s) {
    field fields[FIELDS];
    const char *shifts = json_string_value(json_object_get(json, "shifts"));
    const char *suite = json_string_value(json_object_get(json, "suite"));
    fields_of(s, fields);
    for (int i = 0; i < FIELDS; i++)
        *fields[i].value = (uint64_t)json_integer_value(json_object_get(json, fields[i].name));
    s->short_form = json_is_true(json_object_get(json, "short"));
    snprintf(s->shifts, sizeof s->shifts, "%s", shifts ? shifts : "");
    snprintf(s->suite, sizeof s->suite, "%s", suite ? suite : "");
}

static fw_status load_settings(const char *path, json_t **out, fw_error *error) {
    char *bytes = NULL;
    size_t size = 0;
    FW_TRY(fw_file_read(path, SETTINGS_MAX_BYTES, &bytes, &size, error));
    *out = json_loadb(bytes, size, 0, NULL);
    free(bytes);
    if (json_integer_value(json_object_get(*out, "format")) == FW_EXPERIMENT_FORMAT) return FW_OK;
    json_decref(*out);
    *out = NULL;
    return fw_fail(error, FW_UNSUPPORTED, "%s is of another format: choose another --data, or remove it",
                   path);
}

/* The folder's settings must be ours; a new folder gets them. */
static fw_status agree_settings(fw_experiment *e, fw_error *error) {
    char path[FW_PATH_MAX];
    json_t *mine = settings_json(&e->set), *theirs = NULL;
    fw_path_join(path, sizeof path, e->root, "experiment.json");
    fw_status status = load_settings(path, &theirs, error);
    if (status == FW_OK && !json_equal(mine, theirs))
        status = fw_fail(error, FW_INVALID, "%s was begun with other options or another version (they are "
                         "in experiment.json): repeat those, or choose another --data", e->root);
    if (status == FW_NOT_FOUND) {
        char *text = json_dumps(mine, JSON_INDENT(1));
        status = text ? fw_file_write_durable(fw_env_real(), path, text, strlen(text), error)
                      : fw_fail(error, FW_NO_MEMORY, "no memory for settings");
        free(text);
    }
    json_decref(mine);
    json_decref(theirs);
    return status;
}

/* ---- options ---- */

static void set_defaults(options *o) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    *o = (options){.jobs = cores >= 4 ? (uint64_t)cores / 2 : 2};
    if (o->jobs > FW_EXPERIMENT_JOBS_MAX) o->jobs = FW_EXPERIMENT_JOBS_MAX;
    o->set = (fw_experiment_settings){.seed = 1, .seeds = 5, .generations = 6, .cars = 16, .ticks = 1200,
                                      .agent_steps = 1500000, .exam_drives = 60, .exam_runs = 4,
                                      .share_percent = 6};
}

/* Absolute, for every cell is a process of its own. */
static fw_status find_suite(options *o, fw_error *error) {
    char path[PATH_MAX];
    if (o->suite == NULL) return FW_OK;
    if (realpath(o->suite, path) == NULL) return fw_fail(error, FW_INVALID, "--suite: cannot open %s", o->suite);
    if (strlen(path) >= sizeof o->set.suite) return fw_fail(error, FW_INVALID, "--suite: too long a path");
    snprintf(o->set.suite, sizeof o->set.suite, "%.*s", FW_PATH_MAX - 1, path);
    return FW_OK;
}

static fw_status read_options(int argc, char **argv, options *o, fw_error *error) {
    set_defaults(o);
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--short") == 0) o->set.seeds = 2, o->set.generations = 3;
    fw_experiment_settings *s = &o->set;
    const fw_arg table[] = {
        {"--data", FW_ARG_TEXT, &o->data, 1, 250},
        {"--cell", FW_ARG_TEXT, &o->cell, 1, FW_EXPERIMENT_NAME_MAX - 1},
        {"--short", FW_ARG_FLAG, &s->short_form, 0, 0},
        {"--seeds", FW_ARG_U64, &s->seeds, 1, FW_EXPERIMENT_SEEDS_MAX},
        {"--generations", FW_ARG_U64, &s->generations, 2, FW_EXPERIMENT_GENERATIONS_MAX},
        {"--seed", FW_ARG_U64, &s->seed, 0, INT32_MAX},
        {"--cars", FW_ARG_U64, &s->cars, FW_DEMO_UNITS_MIN, FW_DEMO_UNITS_MAX},
        {"--ticks", FW_ARG_U64, &s->ticks, 100, 20000},
        {"--agent-steps", FW_ARG_U64, &s->agent_steps, 1, UINT64_C(1) << 40},
        {"--share-percent", FW_ARG_U64, &s->share_percent, 1, 100},
        {"--exam-drives", FW_ARG_U64, &s->exam_drives, 2, 10000},
        {"--exam-runs", FW_ARG_U64, &s->exam_runs, 1, FW_EXPERIMENT_RUNS_MAX},
        {"--shifts", FW_ARG_TEXT, &o->shifts, 1, sizeof s->shifts - 1},
        {"--suite", FW_ARG_TEXT, &o->suite, 1, 400},
        {"--drill", FW_ARG_TEXT, &o->drill, 1, 20},
        {"--skip-exam", FW_ARG_FLAG, &o->skip_exam, 0, 0},
        {"--jobs", FW_ARG_U64, &o->jobs, 1, FW_EXPERIMENT_JOBS_MAX},
        {"--json", FW_ARG_FLAG, &o->as_json, 0, 0},
        {"--help", FW_ARG_FLAG, &o->help, 0, 0}};
    FW_TRY(fw_args_parse(argc, argv, table, sizeof table / sizeof table[0], error));
    if (o->help) return FW_OK;
    if (o->data == NULL) return fw_fail(error, FW_INVALID, "needs --data DIR");
    fw_experiment_shift shifts[FW_EXPERIMENT_SHIFTS_MAX];
    uint32_t count = 0;
    const bool usual = o->shifts && strcmp(o->shifts, "usual") == 0;
    snprintf(s->shifts, sizeof s->shifts, "%s", usual ? usual_shifts : o->shifts ? o->shifts : "");
    FW_TRY(fw_experiment_shifts(s, shifts, &count, error));
    FW_TRY(find_suite(o, error));
    if (s->exam_runs > s->exam_drives)
        return fw_fail(error, FW_INVALID, "--exam-runs cannot be more than --exam-drives");
    return FW_OK;
}

/* ---- the command ---- */

static fw_status find_programs(fw_experiment *e, fw_error *error) {
    FW_TRY(fw_child_program("flywheel", e->program, error));
    FW_TRY(fw_child_program("flywheel-unit", e->unit_program, error));
    return fw_child_program("flywheel-world", e->world_program, error);
}

static fw_status open_root(fw_experiment *e, const char *data, fw_error *error) {
    char root[PATH_MAX], path[FW_PATH_MAX];
    static const char *const folders[] = {"cells", "snapshots", "running", "exam", "logs"};
    FW_TRY(fw_folder_make(data, 0700, error));
    if (realpath(data, root) == NULL) return fw_fail_errno(error, "cannot open %s", data);
    if (strlen(root) > 250) return fw_fail(error, FW_TOO_BIG, "%s is too long a path", root);
    snprintf(e->root, sizeof e->root, "%.250s", root);
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        fw_path_join(path, sizeof path, e->root, folders[i]);
        FW_TRY(fw_folder_make(path, 0700, error));
    }
    return FW_OK;
}

/* One at a time in a folder; held until the process ends. */
static fw_status lock_root(const fw_experiment *e, fw_error *error) {
    char path[FW_PATH_MAX];
    fw_path_join(path, sizeof path, e->root, "lock");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return fw_fail_errno(error, "cannot open %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) return FW_OK;
    close(fd);
    return fw_fail(error, FW_BUSY, "another experiment runs in %s", e->root);
}

/* Hidden: one cell, started by experiment_run.c. */
static fw_status one_cell(fw_experiment *e, const char *name, fw_error *error) {
    char path[FW_PATH_MAX];
    json_t *settings = NULL;
    fw_experiment_cell cell;
    fw_path_join(path, sizeof path, e->root, "experiment.json");
    FW_TRY(load_settings(path, &settings, error));
    settings_of(settings, &e->set);
    json_decref(settings);
    FW_TRY(fw_experiment_cell_parse(e, name, &cell, error));
    return fw_experiment_cell_run(e, &cell, error);
}

static fw_status write_file(const fw_experiment *e, const char *name,
                            void (*print)(const json_t *report, FILE *out), const json_t *report,
                            fw_error *error) {
    char path[FW_PATH_MAX], *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) return fw_fail(error, FW_NO_MEMORY, "no memory for %s", name);
    print(report, out);
    fclose(out);
    fw_path_join(path, sizeof path, e->root, name);
    fw_status status = fw_file_write_durable(fw_env_real(), path, text, size, error);
    free(text);
    return status;
}

static void print_json(const json_t *report, FILE *out) {
    json_dumpf(report, out, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    fputc('\n', out);
}

/* What cells of a killed run left behind. */
static void clear_work(const fw_experiment *e) {
    char path[FW_PATH_MAX];
    fw_error why;
    fw_path_join(path, sizeof path, e->root, "running");
    if (fw_folder_remove(path, &why) != FW_OK) fw_log_warn("%s", why.text);
}

static fw_status whole(fw_experiment *e, bool as_json, fw_error *error) {
    json_t *report = NULL;
    FW_TRY(lock_root(e, error));
    FW_TRY(agree_settings(e, error));
    clear_work(e);
    FW_TRY(fw_experiment_run(e, error));
    FW_TRY(fw_experiment_report(e, &report, error));
    fw_status status = write_file(e, "report.json", print_json, report, error);
    if (status == FW_OK) status = write_file(e, "report.md", fw_experiment_print, report, error);
    if (status == FW_OK) status = write_file(e, "report.svg", fw_experiment_draw, report, error);
    if (status == FW_OK) (as_json ? print_json : fw_experiment_print)(report, stdout);
    json_decref(report);
    return status;
}

/* A drill on the finished folder; *held: the gate did its work. */
static fw_status drill(fw_experiment *e, const options *o, bool *held, fw_error *error) {
    json_t *result = NULL;
    FW_TRY(lock_root(e, error));
    FW_TRY(agree_settings(e, error));
    FW_TRY(fw_experiment_drill(e, o->drill, !o->skip_exam, &result, error));
    *held = json_is_true(json_object_get(result, "held"));
    (o->as_json ? print_json : fw_experiment_drill_print)(result, stdout);
    json_decref(result);
    return FW_OK;
}

int fw_cmd_experiment(int argc, char **argv) {
    options o;
    bool held = true;
    fw_error error = {""};
    fw_experiment *e = calloc(1, sizeof *e);
    fw_status status = e ? FW_OK : fw_fail(&error, FW_NO_MEMORY, "no memory");
    if (status != FW_OK) return fw_cli_fail(&error);
    if (read_options(argc, argv, &o, &error) != FW_OK) {
        free(e);
        return fw_cli_usage("experiment", &error);
    }
    if (o.help) fputs(help_text, stdout);
    if (!o.help) {
        e->set = o.set;
        e->jobs = o.jobs;
        fw_demo_catch_signals();
        status = find_programs(e, &error);
        if (status == FW_OK) status = open_root(e, o.data, &error);
        if (status == FW_OK)
            status = o.cell    ? one_cell(e, o.cell, &error)
                     : o.drill ? drill(e, &o, &held, &error)
                               : whole(e, o.as_json, &error);
    }
    free(e);
    if (status != FW_OK) return fw_cli_fail(&error);
    return held ? FW_CLI_DONE : FW_CLI_FAILED;
}
