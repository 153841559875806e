/* flywheel rollout: start, status, list, halt, resume, rollback, plan, simulate. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/args.h"
#include "base/file.h"
#include "base/hash.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/rollout.h"
#include "factory/rollout/plan.h"

static const char help_text[] =
    "usage: flywheel rollout [status [N]] [--json] [--url URL]\n"
    "       flywheel rollout list [--json] [--url URL]\n"
    "       flywheel rollout start MODEL [--plan FILE] [--group UNITS] [--json] [--url URL]\n"
    "       flywheel rollout halt N | resume N | rollback N [--reason TEXT] [--url URL]\n"
    "       flywheel rollout plan [--plan FILE] [--json] [--url URL]\n"
    "       flywheel rollout simulate [--units N] [--harm X | --table] [--seeds N] [--seed S] [--plan FILE] [--json]\n\n"
    "Sends a model to the fleet ring by ring, and takes it back when it harms (docs/rollout.md).\n"
    "MODEL is a model's hash or its first digits. status without N is about the newest rollout.\n\n"
    "  --plan FILE    rings, limits and error rates as JSON; docs/formats/rollout-plan.md. `plan --plan FILE` makes\n"
    "                 it the plan of all rollouts to come; `plan` alone shows that\n"
    "  --group UNITS  a pattern ('car-*') or names with commas (1,7,12): only these units\n"
    "  --reason TEXT  kept with the halt or the rollback\n"
    "  --json         print what the API answers, or what the simulation found\n"
    "  --url URL      the factory (default FLYWHEEL_URL or http://127.0.0.1:8080)\n\n"
    "simulate plays rollouts of a harmful model on fleets that are made up, without a factory:\n"
    "  --units N      of a fleet (default 10000)      --seeds N  rollouts (default 100), from --seed S on (default 1)\n"
    "  --harm X       events per km, times the champion's (default 2), or a name of the table\n"
    "  --table        every harm: none, x1.2, x1.5, x2, x5, crash on start, slow tick\n";

static const fw_ask_column columns[] = {
    {"n", "n", FW_ASK_NUMBER, 4},           {"model", "model", FW_ASK_HASH, -12},
    {"state", "state", FW_ASK_TEXT, -12},   {"ring", "ring_name", FW_ASK_TEXT, -10},
    {"units", "units", FW_ASK_NUMBER, 6},   {"told", "told", FW_ASK_NUMBER, 6},
    {"active", "active", FW_ASK_NUMBER, 6}, {"failed", "failed", FW_ASK_NUMBER, 6},
    {"began (UTC)", "created_ns", FW_ASK_TIME, -19}, {"reason", "reason", FW_ASK_TEXT, -1}};

typedef struct options {
    fw_ask ask;
    const char *plan, *group, *reason;
} options;

static fw_status read_options(int argc, char **argv, options *o, fw_error *error) {
    const char *from_env = getenv("FLYWHEEL_URL");
    *o = (options){.ask.url = from_env && *from_env ? from_env : "http://127.0.0.1:8080"};
    const fw_arg table[] = {{"--json", FW_ARG_FLAG, &o->ask.json, 0, 0},
                            {"--url", FW_ARG_TEXT, &o->ask.url, 8, 300},
                            {"--ca", FW_ARG_TEXT, &o->ask.ca, 1, 400},
                            {"--token", FW_ARG_TEXT, &o->ask.token, 1, 200},
                            {"--plan", FW_ARG_TEXT, &o->plan, 1, 400},
                            {"--group", FW_ARG_TEXT, &o->group, 1, 4000},
                            {"--reason", FW_ARG_TEXT, &o->reason, 1, 190}};
    return fw_args_parse(argc, argv, table, sizeof table / sizeof *table, error);
}

/* ---- calls ---- */

static fw_status not_ours(fw_error *error) {
    return fw_fail(error, FW_CORRUPT, "the answer is no rollout: is this a Flywheel factory?");
}

/* What the factory refuses is no misuse of the command. */
static fw_status refused(fw_status status) {
    return status == FW_INVALID ? FW_DENIED : status;
}

static fw_status get(const options *o, const char *path, json_t **out, fw_error *error) {
    char *text;
    fw_http_call call = {.method = "GET"};
    FW_TRY(refused(fw_ask_perform(&o->ask, &call, path, &text, error)));
    json_t *json = json_loads(text, 0, NULL);
    free(text);
    if (!json) return not_ours(error);
    *out = json;
    return FW_OK;
}

/* `body` is released. */
static fw_status post(const options *o, const char *path, json_t *body, json_t **out, fw_error *error) {
    const char *const headers[] = {"Content-Type: application/json", NULL};
    char *sent = json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(9)), *text = NULL;
    json_decref(body);
    if (!sent) return fw_fail(error, FW_INVALID, "the options are no UTF-8 text");
    fw_http_call call = {.method = "POST", .headers = headers, .body = sent, .body_bytes = strlen(sent)};
    fw_status status = refused(fw_ask_perform(&o->ask, &call, path, &text, error));
    free(sent);
    FW_TRY(status);
    *out = json_loads(text, 0, NULL);
    free(text);
    return *out ? FW_OK : not_ours(error);
}

/* ---- one rollout in words ---- */

static const char *text_of(const json_t *row, const char *name) {
    const char *value = json_string_value(json_object_get(row, name));
    return value ? value : "";
}

static long long number_of(const json_t *row, const char *name) {
    return (long long)json_integer_value(json_object_get(row, name));
}

static void print_rates(const json_t *look) {
    const char *name;
    json_t *compared;
    json_object_foreach(json_object_get(look, "compared"), name, compared) {
        const json_t *ring = json_object_get(compared, "ring_rate"), *control = json_object_get(compared, "control_rate");
        if (!json_is_number(ring)) continue;
        printf("  %-11s %.4g in the ring", name, json_number_value(ring));
        if (json_is_number(control)) printf(", %.4g in the control", json_number_value(control));
        printf("; log e of harm %.2f, of ruled out %.2f\n", json_number_value(json_object_get(compared, "log_e_harm")),
               json_number_value(json_object_get(compared, "log_e_ruled_out")));
    }
}

static void print_one(const json_t *json) {
    const json_t *look = json_object_get(json, "look");
    size_t i;
    json_t *step;
    printf("rollout %lld of %.12s: %s, ring %lld of %lld (%s)\n", number_of(json, "n"), text_of(json, "model"),
           text_of(json, "state"), number_of(json, "ring") + 1, number_of(json, "rings"), text_of(json, "ring_name"));
    printf("  units       %lld told, %lld run it, %lld failed, of %lld\n", number_of(json, "told"),
           number_of(json, "active"), number_of(json, "failed"), number_of(json, "units"));
    if (json_is_object(look)) printf("  last look   %s: %s\n", text_of(look, "action"), text_of(look, "reason"));
    if (json_is_object(look)) print_rates(look);
    json_array_foreach(json_object_get(json, "steps"), i, step) {
        const fw_ask_column time = {"", "time_ns", FW_ASK_TIME, 0};
        char when[40];
        fw_ask_cell(step, &time, when, sizeof when);
        printf("  %s  %-11s %s\n", when, text_of(step, "kind"), text_of(step, "text"));
    }
}

static fw_status print_rollout(const options *o, json_t *json, fw_error *error) {
    char *text = json_is_object(json) ? json_dumps(json, JSON_COMPACT) : NULL;
    if (text && o->ask.json) puts(text);
    else if (text) print_one(json);
    json_decref(json);
    if (!text) return not_ours(error);
    free(text);
    return FW_OK;
}

/* ---- verbs ---- */

static fw_status path_of(const char *n, const char *verb, char out[80], fw_error *error) {
    uint64_t number;
    if (fw_parse_u64(n, &number, NULL) != FW_OK || number == 0)
        return fw_fail(error, FW_INVALID, "'%.20s' is no rollout's number", n);
    snprintf(out, 80, "/v1/rollouts/%llu%s", (unsigned long long)number, verb);
    return FW_OK;
}

static fw_status status_of(const options *o, const char *n, fw_error *error) {
    char path[80], newest[24];
    json_t *json = NULL;
    if (!n) {
        FW_TRY(get(o, "/v1/rollouts", &json, error));
        long long number = number_of(json_array_get(json, 0), "n");
        json_decref(json);
        if (number == 0) return fw_fail(error, FW_NOT_FOUND, "no rollout yet");
        snprintf(newest, sizeof newest, "%lld", number);
        n = newest;
    }
    FW_TRY(path_of(n, "", path, error));
    FW_TRY(get(o, path, &json, error));
    return print_rollout(o, json, error);
}

static fw_status say(const options *o, const char *verb, const char *n, fw_error *error) {
    char path[80], tail[20];
    json_t *json = NULL;
    snprintf(tail, sizeof tail, "/%s", verb);
    FW_TRY(path_of(n, tail, path, error));
    json_t *body = o->reason ? json_pack("{s:s}", "reason", o->reason) : json_object();
    FW_TRY(post(o, path, body, &json, error));
    return print_rollout(o, json, error);
}

static fw_status read_plan(const options *o, json_t **out, fw_error *error) {
    char *text;
    size_t size;
    json_error_t where;
    FW_TRY(fw_file_read(o->plan, FW_ROLLOUT_PLAN_MAX_BYTES, &text, &size, error));
    *out = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
    free(text);
    if (*out) return FW_OK;
    return fw_fail(error, FW_INVALID, "%s is no JSON: line %d: %s", o->plan, where.line, where.text);
}

/* A pattern, or an array of names. */
static json_t *group_of(const char *text) {
    if (!strchr(text, ',')) return json_string(text);
    json_t *list = json_array();
    for (;;) {
        size_t size = strcspn(text, ",");
        json_array_append_new(list, json_stringn(text, size));
        if (!text[size]) return list;
        text += size + 1;
    }
}

/* The one model whose hash begins so. */
static fw_status find_model(const options *o, const char *prefix, char out[FW_HASH_HEX + 1], fw_error *error) {
    json_t *models = NULL, *row;
    size_t i, found = 0;
    FW_TRY(get(o, "/v1/models", &models, error));
    json_array_foreach(models, i, row) {
        const char *hash = text_of(row, "hash");
        if (strncmp(hash, prefix, strlen(prefix)) != 0) continue;
        if (found++ == 0) snprintf(out, FW_HASH_HEX + 1, "%s", hash);
    }
    json_decref(models);
    if (found == 1) return FW_OK;
    return fw_fail(error, found ? FW_INVALID : FW_NOT_FOUND, found ? "several models begin with '%.64s'" : "no model '%.64s'",
                   prefix);
}

static fw_status start(const options *o, const char *model, fw_error *error) {
    char hash[FW_HASH_HEX + 1];
    json_t *plan = NULL, *json = NULL;
    FW_TRY(find_model(o, model, hash, error));
    if (o->plan) FW_TRY(read_plan(o, &plan, error));
    if (!plan && o->group) FW_TRY(get(o, "/v1/rollout-plan", &plan, error));
    if (o->group) json_object_set_new(plan, "group", group_of(o->group));
    FW_TRY(post(o, "/v1/rollouts", json_pack("{s:s,s:o?}", "model", hash, "plan", plan), &json, error));
    return print_rollout(o, json, error);
}

static fw_status plan_of(const options *o, fw_error *error) {
    json_t *plan = NULL, *json = NULL;
    if (o->plan) {
        FW_TRY(read_plan(o, &plan, error));
        FW_TRY(post(o, "/v1/rollout-plan", plan, &json, error));
    } else
        FW_TRY(get(o, "/v1/rollout-plan", &json, error));
    char *text = json_dumps(json, o->ask.json ? JSON_COMPACT : JSON_INDENT(1));
    json_decref(json);
    if (!text) return not_ours(error);
    puts(text);
    free(text);
    return FW_OK;
}

static fw_status list(const options *o, fw_error *error) {
    char *text;
    fw_http_call call = {.method = "GET"};
    FW_TRY(fw_ask_perform(&o->ask, &call, "/v1/rollouts", &text, error));
    fw_ask_print_text(text, o->ask.json, columns, sizeof columns / sizeof *columns);
    return FW_OK;
}

static fw_status run(const options *o, const char *const *words, int count, fw_error *error) {
    const char *verb = count ? words[0] : "status";
    bool speaks = strcmp(verb, "halt") == 0 || strcmp(verb, "resume") == 0 || strcmp(verb, "rollback") == 0;
    if (strcmp(verb, "status") == 0) return status_of(o, words[1], error);
    if (strcmp(verb, "list") == 0 && count == 1) return list(o, error);
    if (strcmp(verb, "plan") == 0 && count == 1) return plan_of(o, error);
    if (strcmp(verb, "start") == 0 && count == 2) return start(o, words[1], error);
    if (speaks && count == 2) return say(o, verb, words[1], error);
    return fw_fail(error, FW_INVALID, "want status [N], list, start MODEL, halt N, resume N, rollback N, plan or simulate");
}

int fw_cmd_rollout(int argc, char **argv) {
    static const char *const flags[] = {"--json", "--help", NULL};
    const char *words[2] = {NULL, NULL};
    int count = 0;
    options o;
    fw_error error = {""};
    if (fw_cli_asks_help(argc, argv, help_text)) return FW_CLI_DONE;
    if (argc > 0 && strcmp(argv[0], "simulate") == 0) return fw_cli_rollout_simulate(argc - 1, argv + 1);
    if (fw_cli_words(&argc, argv, flags, words, 2, &count, &error) != FW_OK ||
        read_options(argc, argv, &o, &error) != FW_OK)
        return fw_cli_usage("rollout", &error);
    fw_status status = run(&o, words, count, &error);
    if (status == FW_INVALID) return fw_cli_usage("rollout", &error);
    return status == FW_OK ? FW_CLI_DONE : fw_cli_fail(&error);
}
