/* flywheel-world - worlds for tests and demonstrations, and the examiner. The factory knows none of
 * this: it sees only what units upload.
 *
 * To add a command: 1. its function, 2. a line in `commands`, 3. a line of help there.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/args.h"
#include "base/log.h"
#include "worlds/exam/compare.h"
#include "worlds/exam/publish.h"
#include "worlds/fleet/fleet.h"

enum { DONE = 0, FAILED = 1, USAGE = 2 };

typedef struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} command;

static int usage_error(const fw_error *error) {
    fprintf(stderr, "flywheel-world: %s (try flywheel-world --help)\n", error->text);
    return USAGE;
}

static int failed(const fw_error *error) {
    fprintf(stderr, "flywheel-world: %s\n", error->text);
    return FAILED;
}

/* What --vehicles, --kind and --conditions say; *kinds is filled when there is a file. */
typedef struct city_options {
    const char *vehicles, *kind, *conditions;
} city_options;

static fw_status read_city(const city_options *o, fw_vehicles *kinds, const fw_vehicles **vehicles,
                           fw_conditions *conditions, fw_error *error) {
    char words[FW_CONDITIONS_TEXT_MAX];
    *vehicles = NULL;
    *conditions = FW_CONDITIONS_MEASURED;
    if (o->vehicles) {
        FW_TRY(fw_vehicles_read(o->vehicles, kinds, error));
        *vehicles = kinds;
    }
    const fw_vehicles *table = *vehicles ? *vehicles : fw_vehicles_builtin();
    if (o->conditions) FW_TRY(fw_conditions_parse(o->conditions, table, conditions, error));
    if (!o->kind) return FW_OK;
    (void)snprintf(words, sizeof words, "kind %.100s", o->kind);
    return fw_conditions_parse(words, table, conditions, error);
}

#define CITY_ARGS(o) \
    {"--vehicles", FW_ARG_TEXT, &(o).vehicles, 1, 400}, {"--kind", FW_ARG_TEXT, &(o).kind, 1, 100}, \
    {"--conditions", FW_ARG_TEXT, &(o).conditions, 1, FW_CONDITIONS_TEXT_MAX - 1}

static int run_sumo(int argc, char **argv) {
    const char *network = "acosta", *bus = NULL, *mode = NULL;
    city_options city = {0};
    static fw_vehicles kinds;
    uint64_t seed = 1, cars = 16;
    bool realtime = false;
    const fw_arg table[] = {
        {"--network", FW_ARG_TEXT, &network, 1, 40}, {"--seed", FW_ARG_U64, &seed, 0, UINT64_MAX},
        {"--cars", FW_ARG_U64, &cars, 1, FW_WORLD_CARS_MAX}, {"--bus", FW_ARG_TEXT, &bus, 1, 100},
        {"--realtime", FW_ARG_FLAG, &realtime, 0, 0}, {"--mode", FW_ARG_TEXT, &mode, 1, 40},
        CITY_ARGS(city)};
    fw_error error = {""};
    if (fw_args_parse(argc, argv, table, sizeof table / sizeof table[0], &error) != FW_OK)
        return usage_error(&error);
    if (bus == NULL) (void)!fw_fail(&error, FW_INVALID, "sumo needs --bus PATH");
    if (seed & FW_SEED_SEALED)
        (void)!fw_fail(&error, FW_INVALID, "--seed %" PRIu64 " belongs to the examiner: training "
                       "seeds are below 2^63", seed);
    if (mode && strcmp(mode, "drive-results") != 0)
        (void)!fw_fail(&error, FW_INVALID, "--mode is drive-results");
    const fw_vehicles *vehicles = NULL;
    fw_conditions conditions = FW_CONDITIONS_MEASURED;
    if (!error.text[0]) (void)!read_city(&city, &kinds, &vehicles, &conditions, &error);
    if (error.text[0]) return usage_error(&error);
    fw_fleet_config config = {.network = network, .seed = seed, .cars = (uint32_t)cars,
                              .bus_path = bus, .realtime = realtime, .vehicles = vehicles,
                              .conditions = conditions, .in_fd = STDIN_FILENO,
                              .out_fd = STDOUT_FILENO, .env = fw_env_real()};
    return fw_fleet_serve(&config, &error) == FW_OK ? DONE : failed(&error);
}

static void print_json(json_t *object) {
    json_dumpf(object, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    putchar('\n');
}

static double figure(const json_t *result, const char *name) {
    return json_number_value(json_object_get(result, name));
}

static void print_result(const json_t *r) {
    const char *network = json_string_value(json_object_get(r, "network"));
    printf("%-8s clean %.3f [%.3f %.3f] of %.0f drives | per km: collisions %.3f, at fault %.3f, "
           "red lights %.3f, hard brakes %.2f | off lane %.3f stuck %.3f | %.1f m/s\n",
           network ? network : "?", figure(r, "clean"),
           figure(r, "clean_low"), figure(r, "clean_high"), figure(r, "drives"),
           figure(r, "collisions_per_km"), figure(r, "at_fault_per_km"),
           figure(r, "red_light_runs_per_km"), figure(r, "hard_brakes_per_km"),
           figure(r, "off_lane"), figure(r, "stuck"), figure(r, "mean_speed_mps"));
}

static fw_status list_exams(const char *store, bool as_json, fw_error *error) {
    json_t *list = NULL, *entry = NULL;
    size_t i = 0;
    FW_TRY(fw_exam_store_list(store, &list, error));
    if (as_json) print_json(list);
    else json_array_foreach(json_object_get(list, "exams"), i, entry) {
        const char *policy = json_string_value(json_object_get(entry, "policy"));
        const char *label = json_string_value(json_object_get(entry, "label"));
        printf("%.12s %-10s %-7s ", policy ? policy : "?", label ? label : "",
               json_is_true(json_object_get(entry, "guard")) ? "guarded" : "alone");
        print_result(entry);
    }
    json_decref(list);
    return FW_OK;
}

static void print_failures(const json_t *result) {
    const json_t *one = NULL;
    size_t i = 0;
    json_array_foreach(json_object_get(result, "failures"), i, one) {
        char *text = json_dumps(one, JSON_COMPACT | JSON_REAL_PRECISION(9));
        puts(text ? text : "?");
        free(text);
    }
}

/* How a result is shown. */
typedef enum show { SHOW_LINE, SHOW_JSON, SHOW_FAILURES } show;

static fw_status examine(const fw_exam_config *config, const char *store, const char *label,
                         show how, fw_error *error) {
    json_t *key = NULL, *result = NULL;
    FW_TRY(fw_exam_store_open(store, error));
    FW_TRY(fw_exam_key(config, &key, error));
    fw_status status = fw_exam_store_find(store, key, &result, error);
    if (status == FW_NOT_FOUND) {
        status = fw_exam_take(config, &result, error);
        if (status == FW_OK)
            status = fw_exam_store_put(fw_env_real(), store, key, label, result, error);
    }
    if (status == FW_OK && how == SHOW_FAILURES) print_failures(result);
    if (status == FW_OK && how == SHOW_LINE) print_result(result);
    json_object_del(result, "failures");
    if (status == FW_OK && how == SHOW_JSON) print_json(result);
    json_decref(result);
    json_decref(key);
    return status;
}

static int run_exam(int argc, char **argv) {
    const char *network = "acosta", *policy = NULL, *store = NULL, *label = NULL;
    uint64_t drives = 300, cars = 32, runs = 10, jobs = 1;
    bool guard = false, as_json = false, list = false, failures = false;
    city_options city = {0};
    static fw_vehicles kinds;
    const fw_arg table[] = {
        {"--network", FW_ARG_TEXT, &network, 1, 40}, {"--policy", FW_ARG_TEXT, &policy, 1, 400},
        {"--guard", FW_ARG_FLAG, &guard, 0, 0}, {"--store", FW_ARG_TEXT, &store, 1, 400},
        {"--drives", FW_ARG_U64, &drives, 1, FW_EXAM_DRIVES_MAX},
        {"--cars", FW_ARG_U64, &cars, 1, FW_WORLD_CARS_MAX},
        {"--runs", FW_ARG_U64, &runs, 1, FW_EXAM_RUNS_MAX},
        {"--jobs", FW_ARG_U64, &jobs, 1, FW_EXAM_JOBS_MAX},
        {"--failures", FW_ARG_FLAG, &failures, 0, 0},
        {"--label", FW_ARG_TEXT, &label, 1, 40},
        {"--json", FW_ARG_FLAG, &as_json, 0, 0}, {"--list", FW_ARG_FLAG, &list, 0, 0},
        CITY_ARGS(city)};
    fw_error error = {""};
    if (fw_args_parse(argc, argv, table, sizeof table / sizeof table[0], &error) != FW_OK)
        return usage_error(&error);
    if (store == NULL || (policy == NULL && !list)) {
        (void)!fw_fail(&error, FW_INVALID, "exam needs --store DIR, and --policy FILE or --list");
        return usage_error(&error);
    }
    if (guard && policy && strcmp(policy, "sumo") == 0) {
        (void)!fw_fail(&error, FW_INVALID, "SUMO's own drivers are examined alone, without --guard");
        return usage_error(&error);
    }
    fw_exam_config config = {.network = network, .policy = policy, .guard = guard,
                             .drives = (uint32_t)drives, .cars = (uint32_t)cars,
                             .runs = (uint32_t)(runs < drives ? runs : drives),
                             .jobs = (uint32_t)jobs};
    if (read_city(&city, &kinds, &config.vehicles, &config.conditions, &error) != FW_OK)
        return usage_error(&error);
    const show how = failures ? SHOW_FAILURES : as_json ? SHOW_JSON : SHOW_LINE;
    fw_status status = list ? list_exams(store, as_json, &error)
                            : examine(&config, store, label, how, &error);
    return status == FW_OK ? DONE : failed(&error);
}

static void print_comparison(const json_t *comparison) {
    const json_t *f = NULL;
    size_t i = 0;
    printf("%-22s %9s %9s %9s   95 %% of the difference\n", "figure", "A", "B", "B - A");
    json_array_foreach(json_object_get(comparison, "figures"), i, f) {
        const char *better = json_string_value(json_object_get(f, "better"));
        printf("%-22s %9.4f %9.4f %+9.4f   [%+.4f %+.4f]%s%s\n", json_string_value(json_object_get(f, "name")),
               figure(f, "a"), figure(f, "b"), figure(f, "difference"), figure(f, "low"), figure(f, "high"),
               better && *better ? "  better: " : "", better ? better : "");
    }
}

static int run_compare(int argc, char **argv) {
    const char *a_path = NULL, *b_path = NULL;
    bool as_json = false;
    const fw_arg table[] = {{"--a", FW_ARG_TEXT, &a_path, 1, 400},
                            {"--b", FW_ARG_TEXT, &b_path, 1, 400},
                            {"--json", FW_ARG_FLAG, &as_json, 0, 0}};
    fw_error error = {""};
    json_t *a = NULL, *b = NULL, *out = NULL;
    if (fw_args_parse(argc, argv, table, sizeof table / sizeof table[0], &error) != FW_OK)
        return usage_error(&error);
    if (a_path == NULL || b_path == NULL) {
        (void)!fw_fail(&error, FW_INVALID, "compare needs --a RESULT.json and --b RESULT.json");
        return usage_error(&error);
    }
    fw_status status = fw_exam_result_read(a_path, &a, &error);
    if (status == FW_OK) status = fw_exam_result_read(b_path, &b, &error);
    if (status == FW_OK) status = fw_exam_compare(a, b, &out, &error);
    if (status == FW_OK && as_json) print_json(out);
    else if (status == FW_OK) print_comparison(out);
    json_decref(out), json_decref(a), json_decref(b);
    return status == FW_OK ? DONE : failed(&error);
}

/* "ADDRESS:PORT" into its parts. */
static fw_status parse_listen(const char *text, char *address, size_t address_size, uint16_t *port,
                              fw_error *error) {
    const char *colon = strrchr(text, ':');
    uint64_t number = 0;
    if (colon == NULL || (size_t)(colon - text) >= address_size || colon == text ||
        fw_parse_u64(colon + 1, &number, NULL) != FW_OK || number > UINT16_MAX)
        return fw_fail(error, FW_INVALID, "'%.60s' is no ADDRESS:PORT", text);
    memcpy(address, text, (size_t)(colon - text));
    address[colon - text] = 0;
    *port = (uint16_t)number;
    return FW_OK;
}

static int run_exam_serve(int argc, char **argv) {
    const char *store = NULL, *listen_at = "127.0.0.1:8081";
    char address[64];
    uint16_t port = 0;
    const fw_arg table[] = {{"--store", FW_ARG_TEXT, &store, 1, 400},
                            {"--listen", FW_ARG_TEXT, &listen_at, 1, 80}};
    fw_error error = {""};
    if (fw_args_parse(argc, argv, table, sizeof table / sizeof table[0], &error) != FW_OK ||
        parse_listen(listen_at, address, sizeof address, &port, &error) != FW_OK)
        return usage_error(&error);
    if (store == NULL) {
        (void)!fw_fail(&error, FW_INVALID, "exam-serve needs --store DIR");
        return usage_error(&error);
    }
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    fw_exam_door door = {.folder = store};
    fw_http_app app = {.self = &door, .handle = fw_exam_door_handle};
    fw_http_config config = {.address = address, .port = port, .body_max_bytes = 1024,
                             .connections_max = 32, .idle_timeout_s = 30};
    fw_http_server *server = NULL;
    if (fw_exam_store_open(store, &error) != FW_OK ||
        fw_http_server_start(&config, &app, &server, &error) != FW_OK)
        return failed(&error);
    printf("{\"event\":\"listening\",\"port\":%u}\n", fw_http_server_port(server));
    fflush(stdout);
    int got = 0;
    sigwait(&stop, &got);
    fw_http_server_stop(server);
    return DONE;
}

static const command commands[] = {
    {"sumo", run_sumo, "sumo --bus PATH [--network acosta|pasubio] [--seed S] [--cars N] [--realtime]\n"
     "      [--mode drive-results] [--vehicles FILE] [--kind van:0.3] [--conditions TEXT]\n"
     "      the city, and our cars' units on the bus; commands on stdin: run TICKS, go TICKS, shift TEXT, quit.\n"
     "      TEXT: \"demand 2, traffic 1, kind van:0.3, left-hand on\", or one of them"},
    {"exam", run_exam, "exam --store DIR --policy FILE|sumo [--guard] [--network acosta|pasubio]\n"
     "      [--drives 300] [--cars 32] [--runs 10] [--jobs 1] [--label TEXT] [--json | --failures]\n"
     "      [--vehicles FILE] [--kind van:0.3] [--conditions TEXT],\n"
     "      or exam --store DIR --list [--json]\n"
     "      the sealed evaluation of one policy; results are kept in the store. --failures: one failed drive\n"
     "      a line, with how and where"},
    {"compare", run_compare, "compare --a RESULT.json --b RESULT.json [--json]\n"
     "      two exams of the same runs: every figure of both and B - A, paired by run, with 95 % intervals"},
    {"exam-serve", run_exam_serve, "exam-serve --store DIR [--listen 127.0.0.1:8081]\n"
     "      GET /exams.json and /report.json for the dashboard"},
};

static int help(void) {
    printf("usage: flywheel-world COMMAND [OPTIONS]\n\n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        printf("  %s\n\n", commands[i].help);
    return DONE;
}

int main(int argc, char **argv) {
    fw_log_start("flywheel-world");
    signal(SIGPIPE, SIG_IGN);
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)) return help();
    if (argc >= 2 && strcmp(argv[1], "--version") == 0) return puts(FW_VERSION), DONE;
    for (size_t i = 0; argc >= 2 && i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(argv[1], commands[i].name) == 0) return commands[i].run(argc - 2, argv + 2);
    fw_error error;
    (void)!fw_fail(&error, FW_INVALID, "%s", argc < 2 ? "a command is missing" : "unknown command");
    return usage_error(&error);
}
