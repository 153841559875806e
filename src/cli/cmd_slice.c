/* flywheel slice: many recordings out as one MCAP (factory/query/slice.h). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/args.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/url.h"
#include "factory/query/query.h"

enum { PIECE_BYTES = 16 << 20, MAKING_MS = 600000 };

static const char help_text[] =
    "usage: flywheel slice \"QUERY\" --out FILE [OPTIONS]\n\n"
    "Writes all recordings that match as one MCAP file, merged by time, with /unit/7/ego for /ego of\n"
    "unit 7. The query is that of flywheel query.\n\n"
    "  --out FILE       where it goes\n"
    "  --topics A,B     only these topics, as recorded (/ego,/event)\n"
    "  --before S       only around events: S seconds before each (of the kinds that the query\n"
    "                   names, else of any)\n"
    "  --after S        and S seconds after\n"
    "  --max-bytes N    the file ends there, cut (default 1073741824)\n"
    "  --json           print what the API answers\n"
    "  --url URL        the factory (default FLYWHEEL_URL or http://127.0.0.1:8080)\n"
    "  --ca FILE        the factory's authority (default FLYWHEEL_CA)\n"
    "  --token T        a token (default FLYWHEEL_TOKEN)\n";

typedef struct options {
    fw_ask ask;
    const char *query, *out, *topics, *before, *after;
    uint64_t max_bytes;
} options;

static fw_status read_options(int argc, char **argv, options *o, fw_error *error) {
    static const char *const flags[] = {"--json", "--help", NULL};
    const char *from_env = getenv("FLYWHEEL_URL"), *words[1] = {""};
    int count = 0;
    *o = (options){.ask.url = from_env && *from_env ? from_env : "http://127.0.0.1:8080",
                   .topics = ""};
    const fw_arg table[] = {{"--json", FW_ARG_FLAG, &o->ask.json, 0, 0},
                            {"--help", FW_ARG_FLAG, &o->ask.help, 0, 0},
                            {"--out", FW_ARG_TEXT, &o->out, 1, 400},
                            {"--topics", FW_ARG_TEXT, &o->topics, 1, 1000},
                            {"--before", FW_ARG_TEXT, &o->before, 1, 20},
                            {"--after", FW_ARG_TEXT, &o->after, 1, 20},
                            {"--max-bytes", FW_ARG_U64, &o->max_bytes, 1, 16ull << 30},
                            {"--ca", FW_ARG_TEXT, &o->ask.ca, 1, 400},
                            {"--token", FW_ARG_TEXT, &o->ask.token, 1, 200},
                            {"--url", FW_ARG_TEXT, &o->ask.url, 8, 300}};
    FW_TRY(fw_cli_words(&argc, argv, flags, words, 1, &count, error));
    FW_TRY(fw_args_parse(argc, argv, table, sizeof table / sizeof *table, error));
    o->query = words[0];
    if (o->ask.help) return FW_OK;
    if (count == 0) return fw_fail(error, FW_INVALID, "which recordings? name a query");
    if (!o->out) return fw_fail(error, FW_INVALID, "needs --out FILE");
    fw_query *query = NULL;
    FW_TRY(fw_query_parse(o->query, &query, error));
    fw_query_free(query);
    return FW_OK;
}

static fw_status make(const options *o, char **text, fw_error *error) {
    char encoded[3 * FW_QUERY_MAX_BYTES + 1], topics[1200], path[3 * FW_QUERY_MAX_BYTES + 1500];
    FW_TRY(fw_url_encode(o->query, encoded, sizeof encoded, error));
    FW_TRY(fw_url_encode(o->topics, topics, sizeof topics, error));
    int used = snprintf(path, sizeof path, "/v1/slice?q=%s&max_bytes=%" PRIu64, encoded,
                        o->max_bytes);
    if (topics[0])
        used += snprintf(path + used, sizeof path - (size_t)used, "&topics=%s", topics);
    if (o->before)
        used += snprintf(path + used, sizeof path - (size_t)used, "&before_s=%s", o->before);
    if (o->after)
        used += snprintf(path + used, sizeof path - (size_t)used, "&after_s=%s", o->after);
    fw_http_call call = {.method = "POST", .timeout_ms = MAKING_MS};
    return fw_ask_perform(&o->ask, &call, path, text, error);
}

/* The slice's bytes from `at` on, piece by piece. */
static fw_status fetch(const options *o, const char *name, uint64_t size_bytes, FILE *out,
                       fw_error *error) {
    char path[120], range[80];
    snprintf(path, sizeof path, "/v1/slices/%s", name);
    for (uint64_t at = 0; at < size_bytes;) {
        uint64_t end = size_bytes - at < PIECE_BYTES ? size_bytes : at + PIECE_BYTES;
        snprintf(range, sizeof range, "Range: bytes=%" PRIu64 "-%" PRIu64, at, end - 1);
        const char *const headers[] = {range, NULL};
        fw_http_call call = {.method = "GET", .headers = headers};
        fw_http_reply reply;
        FW_TRY(fw_ask_reply(&o->ask, &call, path, &reply, error));
        bool good = reply.body_bytes == end - at &&
                    fwrite(reply.body, 1, reply.body_bytes, out) == reply.body_bytes;
        bool whole = reply.body_bytes == end - at;
        fw_http_reply_clear(&reply);
        if (!whole) return fw_fail(error, FW_CORRUPT, "the factory sent another part than asked for");
        if (!good) return fw_fail_errno(error, "cannot write %s", o->out);
        at = end;
    }
    return FW_OK;
}

/* Into FILE.part, which becomes FILE when it is whole. */
static fw_status save(const options *o, const char *name, uint64_t size_bytes, fw_error *error) {
    char part[420];
    snprintf(part, sizeof part, "%s.part", o->out);
    FILE *out = fopen(part, "we");
    if (!out) return fw_fail_errno(error, "cannot write %s", part);
    fw_status status = fetch(o, name, size_bytes, out, error);
    if (fclose(out) != 0 && status == FW_OK) status = fw_fail_errno(error, "cannot write %s", part);
    if (status == FW_OK && rename(part, o->out) != 0)
        status = fw_fail_errno(error, "cannot write %s", o->out);
    if (status != FW_OK) unlink(part);
    return status;
}

static fw_status slice(const options *o, fw_error *error) {
    char *text = NULL;
    FW_TRY(make(o, &text, error));
    json_t *answer = json_loads(text, 0, NULL);
    const char *name = json_string_value(json_object_get(answer, "slice"));
    json_int_t size = json_integer_value(json_object_get(answer, "size_bytes"));
    fw_status status = name && strlen(name) < 80 && size > 0
                           ? save(o, name, (uint64_t)size, error)
                           : fw_fail(error, FW_CORRUPT,
                                     "the answer is no slice: is this a Flywheel factory?");
    if (status == FW_OK && o->ask.json)
        puts(text);
    else if (status == FW_OK)
        printf("%s: %" JSON_INTEGER_FORMAT " messages of %" JSON_INTEGER_FORMAT
               " recordings, %" JSON_INTEGER_FORMAT " bytes%s\n",
               o->out, json_integer_value(json_object_get(answer, "messages")),
               json_integer_value(json_object_get(answer, "recordings")), size,
               json_is_true(json_object_get(answer, "cut")) ? ", cut at --max-bytes" : "");
    json_decref(answer);
    free(text);
    return status;
}

int fw_cmd_slice(int argc, char **argv) {
    options o;
    fw_error error = {""};
    if (read_options(argc, argv, &o, &error) != FW_OK) return fw_cli_usage("slice", &error);
    if (o.ask.help) {
        fputs(help_text, stdout);
        return FW_CLI_DONE;
    }
    return slice(&o, &error) == FW_OK ? FW_CLI_DONE : fw_cli_fail(&error);
}
