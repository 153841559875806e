/* flywheel query: which recordings there are (factory/query/query.h). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/args.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/url.h"
#include "factory/query/query.h"

static const char help_text[] =
    "usage: flywheel query [\"QUERY\"] [OPTIONS]\n\n"
    "Which recordings match, newest first by the time they were recorded. For example\n\n"
    "  flywheel query 'unit = 7 and event = hard_brake and max(/ego.speed_mps) > 20'\n"
    "  flywheel query 'near(100, 250, 50) and time > 2026-11-01 and not model = 3fa1c2'\n\n"
    "  --count          only how many match, and their bytes\n"
    "  --limit N        at most N rows (default 1000)\n"
    "  --after NEXT     the rows behind an earlier answer's \"next\"\n"
    "  --json           print what the API answers\n"
    "  --url URL        the factory (default FLYWHEEL_URL or http://127.0.0.1:8080)\n"
    "  --ca FILE        the factory's authority (default FLYWHEEL_CA)\n"
    "  --token T        a token (default FLYWHEEL_TOKEN)\n\n"
    "Columns: unit line form role campaign state id duplicate_of boot event model topic bytes\n"
    "messages events sequence generation duration_s moved_s time received. Functions: min max mean\n"
    "of a field (/ego.speed_mps), count of a field, topic or event, size of a topic, near(x, y, r).\n"
    "Words: and or not in ( ) = != < <= > >= none. The whole language: docs/formats/query.md.\n";

typedef struct options {
    fw_ask ask;
    bool count;
    const char *after, *query;
} options;

static fw_status read_options(int argc, char **argv, options *o, fw_error *error) {
    static const char *const flags[] = {"--json", "--count", "--help", NULL};
    const char *from_env = getenv("FLYWHEEL_URL"), *words[1] = {""};
    int count = 0;
    *o = (options){.ask.url = from_env && *from_env ? from_env : "http://127.0.0.1:8080",
                   .after = ""};
    const fw_arg table[] = {{"--json", FW_ARG_FLAG, &o->ask.json, 0, 0},
                            {"--help", FW_ARG_FLAG, &o->ask.help, 0, 0},
                            {"--count", FW_ARG_FLAG, &o->count, 0, 0},
                            {"--after", FW_ARG_TEXT, &o->after, 1, 60},
                            {"--ca", FW_ARG_TEXT, &o->ask.ca, 1, 400},
                            {"--token", FW_ARG_TEXT, &o->ask.token, 1, 200},
                            {"--url", FW_ARG_TEXT, &o->ask.url, 8, 300},
                            {"--limit", FW_ARG_U64, &o->ask.limit, 1, FW_QUERY_LIMIT_MAX}};
    FW_TRY(fw_cli_words(&argc, argv, flags, words, 1, &count, error));
    FW_TRY(fw_args_parse(argc, argv, table, sizeof table / sizeof *table, error));
    o->query = words[0];
    if (o->ask.help) return FW_OK;
    fw_query *query = NULL; /* a mistake is wrong usage, told without asking the factory */
    FW_TRY(fw_query_parse(o->query, &query, error));
    fw_query_free(query);
    return FW_OK;
}

static void print_table(const json_t *answer, bool only_count) {
    static const fw_ask_column columns[] = {{"recording", "sha256", FW_ASK_HASH, -12},
                                            {"unit", "unit", FW_ASK_TEXT, -10},
                                            {"form", "form", FW_ASK_TEXT, -9},
                                            {"recorded (UTC)", "recorded_ns", FW_ASK_TIME, -19},
                                            {"size", "size_bytes", FW_ASK_BYTES, 9},
                                            {"messages", "messages", FW_ASK_NUMBER, 8},
                                            {"events", "events", FW_ASK_NUMBER, 6},
                                            {"model", "model", FW_ASK_HASH, -12},
                                            {"campaign", "campaign", FW_ASK_TEXT, -12},
                                            {"duplicate of", "duplicate_of", FW_ASK_HASH, -12},
                                            {"state", "state", FW_ASK_TEXT, -7}};
    static const fw_ask_column total = {"", "bytes", FW_ASK_BYTES, 1};
    char bytes[64];
    fw_ask_cell(answer, &total, bytes, sizeof bytes);
    if (!only_count)
        fw_ask_print_rows(json_object_get(answer, "recordings"), columns,
                          sizeof columns / sizeof *columns);
    FILE *out = only_count ? stdout : stderr; /* beside a table it is talk */
    fprintf(out, "%" JSON_INTEGER_FORMAT " recordings, %s\n",
            json_integer_value(json_object_get(answer, "count")), bytes);
    const char *next = json_string_value(json_object_get(answer, "next"));
    if (next && !only_count) fprintf(stderr, "more: --after %s\n", next);
}

static fw_status ask(const options *o, char **text, fw_error *error) {
    char encoded[3 * FW_QUERY_MAX_BYTES + 1], after[200], path[3 * FW_QUERY_MAX_BYTES + 300];
    FW_TRY(fw_url_encode(o->query, encoded, sizeof encoded, error));
    FW_TRY(fw_url_encode(o->after, after, sizeof after, error));
    uint64_t limit = o->ask.limit ? o->ask.limit : 1000;
    snprintf(path, sizeof path, "/v1/query?q=%s&limit=%" PRIu64 "&after=%s", encoded,
             o->count ? 0 : limit, after);
    fw_http_call call = {.method = "GET"};
    return fw_ask_perform(&o->ask, &call, path, text, error);
}

int fw_cmd_query(int argc, char **argv) {
    options o;
    fw_error error = {""};
    char *text = NULL;
    if (read_options(argc, argv, &o, &error) != FW_OK) return fw_cli_usage("query", &error);
    if (o.ask.help) {
        fputs(help_text, stdout);
        return FW_CLI_DONE;
    }
    if (ask(&o, &text, &error) != FW_OK) return fw_cli_fail(&error);
    json_t *answer = o.ask.json ? NULL : json_loads(text, 0, NULL);
    bool good = o.ask.json || json_is_array(json_object_get(answer, "recordings"));
    if (o.ask.json)
        puts(text);
    else if (good)
        print_table(answer, o.count);
    json_decref(answer);
    free(text);
    return good ? FW_CLI_DONE
                : fw_cli_fail(&(fw_error){"the answer is no list: is this a Flywheel factory?"});
}
