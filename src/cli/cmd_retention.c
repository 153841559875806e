/* flywheel retention: how long recordings are kept (factory/custody/retention.h). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/args.h"
#include "cli/ask.h"
#include "cli/cli.h"

static const char help_text[] =
    "usage: flywheel retention [show] [--json] [--url URL]\n"
    "       flywheel retention set [OPTIONS] [--url URL]\n\n"
    "show       the policy; set changes what is named, the factory applies it every minute\n\n"
    "  --keep-days N           recordings without events expire after N days (0: never)\n"
    "  --keep-events-days M    recordings with events after M days (0: never)\n"
    "  --cap-bytes B           of recordings at most B bytes, the oldest without events go first\n"
    "                          (0: only serve's cap of the disk)\n"
    "  --drop-duplicates       near-duplicates of kept recordings expire at once\n"
    "  --keep-duplicates       they do not (the default)\n"
    "  --json                  print what the API answers\n"
    "  --url URL               the factory (default FLYWHEEL_URL or http://127.0.0.1:8080)\n"
    "  --ca FILE               the factory's authority (default FLYWHEEL_CA)\n"
    "  --token T               a token (default FLYWHEEL_TOKEN)\n";

typedef struct options {
    fw_ask ask;
    uint64_t keep_days, keep_events_days, cap_bytes; /* UINT64_MAX: not named */
    bool drop, keep, set;
} options;

static fw_status read_options(int argc, char **argv, options *o, fw_error *error) {
    static const char *const flags[] = {"--json", "--help", "--drop-duplicates",
                                        "--keep-duplicates", NULL};
    const char *from_env = getenv("FLYWHEEL_URL"), *words[1] = {"show"};
    int count = 0;
    *o = (options){.ask.url = from_env && *from_env ? from_env : "http://127.0.0.1:8080",
                   .keep_days = UINT64_MAX,
                   .keep_events_days = UINT64_MAX,
                   .cap_bytes = UINT64_MAX};
    const fw_arg table[] = {{"--json", FW_ARG_FLAG, &o->ask.json, 0, 0},
                            {"--help", FW_ARG_FLAG, &o->ask.help, 0, 0},
                            {"--keep-days", FW_ARG_U64, &o->keep_days, 0, 36500},
                            {"--keep-events-days", FW_ARG_U64, &o->keep_events_days, 0, 36500},
                            {"--cap-bytes", FW_ARG_U64, &o->cap_bytes, 0, INT64_MAX},
                            {"--drop-duplicates", FW_ARG_FLAG, &o->drop, 0, 0},
                            {"--keep-duplicates", FW_ARG_FLAG, &o->keep, 0, 0},
                            {"--ca", FW_ARG_TEXT, &o->ask.ca, 1, 400},
                            {"--token", FW_ARG_TEXT, &o->ask.token, 1, 200},
                            {"--url", FW_ARG_TEXT, &o->ask.url, 8, 300}};
    FW_TRY(fw_cli_words(&argc, argv, flags, words, 1, &count, error));
    FW_TRY(fw_args_parse(argc, argv, table, sizeof table / sizeof *table, error));
    if (o->ask.help) return FW_OK;
    bool named = o->keep_days != UINT64_MAX || o->keep_events_days != UINT64_MAX ||
                 o->cap_bytes != UINT64_MAX || o->drop || o->keep;
    o->set = strcmp(words[0], "set") == 0;
    if (!o->set && strcmp(words[0], "show") != 0) return fw_fail(error, FW_INVALID, "want show or set");
    if (o->set != named)
        return fw_fail(error, FW_INVALID, named ? "want set with these options" : "set what?");
    if (o->drop && o->keep) return fw_fail(error, FW_INVALID, "drop or keep duplicates, not both");
    return FW_OK;
}

static void add(json_t *json, const char *name, uint64_t value) {
    if (value != UINT64_MAX) json_object_set_new(json, name, json_integer((json_int_t)value));
}

static fw_status change(const options *o, char **text, fw_error *error) {
    json_t *json = json_object();
    add(json, "keep_days", o->keep_days);
    add(json, "keep_events_days", o->keep_events_days);
    add(json, "cap_bytes", o->cap_bytes);
    if (o->drop || o->keep) json_object_set_new(json, "drop_duplicates", json_boolean(o->drop));
    char *body = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (!body) return fw_fail(error, FW_NO_MEMORY, "no memory for a request");
    const char *const headers[] = {"Content-Type: application/json", NULL};
    fw_http_call call = {
        .method = "POST", .headers = headers, .body = body, .body_bytes = strlen(body)};
    fw_status status = fw_ask_perform(&o->ask, &call, "/v1/retention", text, error);
    free(body);
    return status;
}

static void print(const char *text) {
    json_t *json = json_loads(text, 0, NULL);
    static const char *const fields[][3] = {
        {"without events", "keep_days", "days"},
        {"with events", "keep_events_days", "days"},
        {"at most", "cap_bytes", "bytes"}};
    for (int i = 0; i < 3; i++) {
        json_int_t value = json_integer_value(json_object_get(json, fields[i][1]));
        if (value)
            printf("%-16s%" JSON_INTEGER_FORMAT " %s\n", fields[i][0], value, fields[i][2]);
        else
            printf("%-16s%s\n", fields[i][0], i < 2 ? "kept for ever" : "no limit");
    }
    printf("%-16s%s\n", "near-duplicates",
           json_is_true(json_object_get(json, "drop_duplicates")) ? "dropped" : "labelled, kept");
    json_decref(json);
}

int fw_cmd_retention(int argc, char **argv) {
    options o;
    fw_error error = {""};
    char *text = NULL;
    if (read_options(argc, argv, &o, &error) != FW_OK) return fw_cli_usage("retention", &error);
    if (o.ask.help) {
        fputs(help_text, stdout);
        return FW_CLI_DONE;
    }
    fw_http_call get = {.method = "GET"};
    fw_status status = o.set ? change(&o, &text, &error)
                             : fw_ask_perform(&o.ask, &get, "/v1/retention", &text, &error);
    if (status != FW_OK) return fw_cli_fail(&error);
    if (o.ask.json)
        puts(text);
    else
        print(text);
    free(text);
    return FW_CLI_DONE;
}
