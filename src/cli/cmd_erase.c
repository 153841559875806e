/* flywheel erase: one unit forgotten, with a signed tombstone (factory/custody/erase.h). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/args.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/url.h"
#include "factory/api/api_erase.h"

static const char help_text[] =
    "usage: flywheel erase --unit U --reason TEXT --yes [--data DIR | --url URL] [OPTIONS]\n"
    "       flywheel erase --verify --data DIR [--json]\n\n"
    "Removes all recordings and records of one unit for good, and leaves a signed tombstone that\n"
    "lists them, and the data sets and models that they touched.\n\n"
    "  --unit U         whose\n"
    "  --reason TEXT    why; it stands in the tombstone\n"
    "  --yes            do it: it cannot be undone\n"
    "  --data DIR       in this data folder, serve being stopped\n"
    "  --verify         check every tombstone's signature, and that what it names is gone\n"
    "  --json           print the statement as JSON\n"
    "  --url URL        the factory (default FLYWHEEL_URL or http://127.0.0.1:8080)\n"
    "  --ca FILE        the factory's authority (default FLYWHEEL_CA)\n"
    "  --token T        a token (default FLYWHEEL_TOKEN)\n";

typedef struct options {
    fw_ask ask;
    const char *unit, *reason, *data;
    bool yes, verify;
} options;

static fw_status read_options(int argc, char **argv, options *o, fw_error *error) {
    const char *from_env = getenv("FLYWHEEL_URL");
    *o = (options){.ask.url = from_env && *from_env ? from_env : "http://127.0.0.1:8080"};
    const fw_arg table[] = {{"--json", FW_ARG_FLAG, &o->ask.json, 0, 0},
                            {"--help", FW_ARG_FLAG, &o->ask.help, 0, 0},
                            {"--yes", FW_ARG_FLAG, &o->yes, 0, 0},
                            {"--verify", FW_ARG_FLAG, &o->verify, 0, 0},
                            {"--unit", FW_ARG_TEXT, &o->unit, 1, 31},
                            {"--reason", FW_ARG_TEXT, &o->reason, 1, FW_ERASE_REASON_MAX},
                            {"--data", FW_ARG_TEXT, &o->data, 1, 250},
                            {"--ca", FW_ARG_TEXT, &o->ask.ca, 1, 400},
                            {"--token", FW_ARG_TEXT, &o->ask.token, 1, 200},
                            {"--url", FW_ARG_TEXT, &o->ask.url, 8, 300}};
    FW_TRY(fw_args_parse(argc, argv, table, sizeof table / sizeof *table, error));
    if (o->ask.help) return FW_OK;
    if (o->verify) return o->data ? FW_OK : fw_fail(error, FW_INVALID, "--verify needs --data DIR");
    if (!o->unit || !fw_unit_name_valid(o->unit))
        return fw_fail(error, FW_INVALID, "needs --unit U, the unit's name");
    if (!o->reason) return fw_fail(error, FW_INVALID, "needs --reason TEXT");
    if (!o->yes) return fw_fail(error, FW_INVALID, "erasing cannot be undone; add --yes to do it");
    return FW_OK;
}

static void print_list(const json_t *statement, const char *title, const char *field) {
    const json_t *list = json_object_get(statement, field), *entry;
    size_t at;
    printf("%-12s%zu\n", title, json_array_size(list));
    json_array_foreach(list, at, entry) printf("  %.12s\n", json_string_value(entry));
}

static void print_statement(const json_t *s) {
    printf("erased      unit %s\ntombstone   %s\n", json_string_value(json_object_get(s, "unit")),
           json_string_value(json_object_get(s, "id")));
    printf("recordings  %zu, %" JSON_INTEGER_FORMAT " bytes\n",
           json_array_size(json_object_get(s, "objects")),
           json_integer_value(json_object_get(s, "bytes")));
    print_list(s, "data sets", "datasets");
    print_list(s, "models", "models");
    print_list(s, "descendants", "descendants");
}

static fw_status erase_over_http(const options *o, char **text, fw_error *error) {
    char path[80];
    json_t *json = json_pack("{s:s}", "reason", o->reason);
    char *body = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (!body) return fw_fail(error, FW_INVALID, "the reason is no text (UTF-8)");
    snprintf(path, sizeof path, "/v1/units/%s/erase", o->unit);
    const char *const headers[] = {"Content-Type: application/json", NULL};
    fw_http_call call = {.method = "POST",
                         .headers = headers,
                         .body = body,
                         .body_bytes = strlen(body),
                         .timeout_ms = 600000};
    fw_status status = fw_ask_perform(&o->ask, &call, path, text, error);
    free(body);
    return status;
}

/* In a data folder that nobody serves: the factory is opened, and does nothing but this. */
static fw_status erase_in_folder(const options *o, char **text, fw_error *error) {
    char path[FW_PATH_MAX];
    fw_factory *factory;
    fw_path_join(path, sizeof path, o->data, "catalogue.sqlite");
    if (!fw_file_exists(path))
        return fw_fail(error, FW_NOT_FOUND, "%s is no data folder of a factory", o->data);
    fw_factory_config config = {.data_folder = o->data,
                                .program = "flywheel",
                                .env = fw_env_real(),
                                .line = &fw_line_driving,
                                .launcher = fw_launcher_processes(),
                                .threads = 1};
    FW_TRY(fw_factory_open(&config, &factory, error));
    fw_eraser eraser = fw_factory_eraser(factory);
    fw_status status = fw_erase_unit(&eraser, o->unit, o->reason, text, error);
    fw_factory_close(factory);
    return status;
}

static fw_status erase(const options *o, fw_error *error) {
    char *text = NULL;
    FW_TRY(o->data ? erase_in_folder(o, &text, error) : erase_over_http(o, &text, error));
    json_t *statement = json_loads(text, 0, NULL);
    if (o->ask.json)
        puts(text);
    else
        print_statement(statement);
    json_decref(statement);
    free(text);
    return FW_OK;
}

static void say(void *self, const char *id, const char *statement, bool valid) {
    const options *o = self;
    json_t *json = json_loads(statement, 0, NULL);
    const char *unit = json_string_value(json_object_get(json, "unit"));
    if (!o->ask.json)
        printf("%.12s  unit %-12s %6zu recordings  %s\n", id, unit ? unit : "?",
               json_array_size(json_object_get(json, "objects")),
               valid ? "signature fits" : "SIGNATURE DOES NOT FIT");
    json_decref(json);
}

static fw_status verify(const options *o, fw_error *error) {
    fw_erase_verdict v;
    FW_TRY(fw_erase_verify(o->data, say, (void *)(uintptr_t)o, &v, error));
    if (o->ask.json)
        printf("{\"tombstones\":%" PRId64 ",\"recordings\":%" PRId64 ",\"invalid\":%" PRId64
               ",\"still_here\":%" PRId64 "}\n",
               v.tombstones, v.recordings, v.invalid, v.still_here);
    if (v.invalid == 0 && v.still_here == 0) return FW_OK;
    return fw_fail(error, FW_MISMATCH,
                   "%" PRId64 " tombstones are not signed by this factory, %" PRId64
                   " erased recordings are still here",
                   v.invalid, v.still_here);
}

int fw_cmd_erase(int argc, char **argv) {
    options o;
    fw_error error = {""};
    if (read_options(argc, argv, &o, &error) != FW_OK) return fw_cli_usage("erase", &error);
    if (o.ask.help) {
        fputs(help_text, stdout);
        return FW_CLI_DONE;
    }
    fw_status status = o.verify ? verify(&o, &error) : erase(&o, &error);
    return status == FW_OK ? FW_CLI_DONE : fw_cli_fail(&error);
}
