#include "cli/ask.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/args.h"
#include "cli/cli.h"

enum { REPLY_MAX_BYTES = 64 << 20, TIMEOUT_MS = 30000 };

fw_status fw_ask_options(int argc, char **argv, fw_ask *ask, fw_error *error) {
    const char *from_env = getenv("FLYWHEEL_URL");
    *ask = (fw_ask){.url = from_env && *from_env ? from_env : "http://127.0.0.1:8080"};
    const fw_arg table[] = {{"--json", FW_ARG_FLAG, &ask->json, 0, 0},
                            {"--help", FW_ARG_FLAG, &ask->help, 0, 0},
                            {"--url", FW_ARG_TEXT, &ask->url, 8, 300},
                            {"--ca", FW_ARG_TEXT, &ask->ca, 1, 400},
                            {"--token", FW_ARG_TEXT, &ask->token, 1, 200},
                            {"--limit", FW_ARG_U64, &ask->limit, 1, 100000}};
    return fw_args_parse(argc, argv, table, sizeof table / sizeof *table, error);
}

static fw_status status_of(int http_status) {
    bool later = http_status == 429 || http_status == 503 || http_status == 507;
    return http_status == 404 ? FW_NOT_FOUND : later ? FW_BUSY : FW_INVALID;
}

fw_status fw_ask_perform(const fw_ask *ask, fw_http_call *call, const char *path, char **text,
                         fw_error *error) {
    fw_http_reply reply;
    FW_TRY(fw_ask_reply(ask, call, path, &reply, error));
    *text = reply.body;
    return FW_OK;
}

fw_status fw_ask_reply(const fw_ask *ask, fw_http_call *call, const char *path,
                       fw_http_reply *out, fw_error *error) {
    fw_http_client client;
    fw_http_reply reply;
    char url[8192];
    int used = snprintf(url, sizeof url, "%s%s", ask->url, path);
    if (used < 0 || used >= (int)sizeof url)
        return fw_fail(error, FW_TOO_BIG, "the address is too long");
    call->url = url;
    call->reply_max_bytes = REPLY_MAX_BYTES;
    if (call->timeout_ms == 0) call->timeout_ms = TIMEOUT_MS;
    const fw_http_client_options options = {
        .ca_path = ask->ca ? ask->ca : getenv("FLYWHEEL_CA"),
        .token = ask->token ? ask->token : getenv("FLYWHEEL_TOKEN")};
    FW_TRY(fw_http_client_curl_with(&options, &client, error));
    fw_error why = {""};
    fw_status status = client.perform(client.self, call, &reply, &why);
    client.free(client.self);
    call->url = NULL;
    if (status != FW_OK)
        return fw_fail(error, status,
                       "no factory answers at %s (%s); start one with flywheel "
                       "serve, or name it with --url",
                       ask->url, why.text);
    if (reply.status < 400) {
        *out = reply;
        return FW_OK;
    }
    json_t *json = json_loadb(reply.body, reply.body_bytes, 0, NULL);
    const char *reason = json_string_value(json_object_get(json, "error"));
    status = fw_fail(error, status_of(reply.status), "%s",
                     reason ? reason : "the factory refused without a reason");
    json_decref(json);
    fw_http_reply_clear(&reply);
    return status;
}

/* ---- tables ---- */

static const json_t *field_of(const json_t *row, const char *field) {
    char name[64];
    for (;;) {
        size_t size = strcspn(field, ".");
        snprintf(name, sizeof name, "%.*s", (int)size, field);
        row = json_object_get(row, name);
        if (!field[size]) return row;
        field += size + 1;
    }
}

static void put_time(int64_t time_ns, char *out, size_t out_size) {
    time_t seconds = (time_t)(time_ns / 1000000000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    if (strftime(out, out_size, "%Y-%m-%d %H:%M:%S", &utc) == 0) *out = '\0';
}

static void put_bytes(double value, char *out, size_t out_size) {
    static const char *const names[] = {"B", "kB", "MB", "GB", "TB"};
    int i = 0;
    for (; value >= 1000 && i < 4; i++) value /= 1000;
    snprintf(out, out_size, i == 0 ? "%.0f %s" : "%.1f %s", value, names[i]);
}

void fw_ask_cell(const json_t *row, const fw_ask_column *column, char *out, size_t out_size) {
    const json_t *value = field_of(row, column->field);
    const char *text = json_string_value(value);
    snprintf(out, out_size, "-");
    if (text && column->form == FW_ASK_HASH)
        snprintf(out, out_size, "%.12s", text);
    else if (text && *text)
        snprintf(out, out_size, "%s", text);
    else if (json_is_boolean(value))
        snprintf(out, out_size, "%s", json_is_true(value) ? "yes" : "no");
    else if (json_is_number(value) && column->form == FW_ASK_BYTES)
        put_bytes(json_number_value(value), out, out_size);
    else if (json_is_integer(value) && column->form == FW_ASK_TIME)
        put_time(json_integer_value(value), out, out_size);
    else if (json_is_integer(value))
        snprintf(out, out_size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        snprintf(out, out_size, "%.*f",
                 json_real_value(value) == floor(json_real_value(value)) ? 0 : 3,
                 json_real_value(value));
    for (char *c = out; *c; c++) /* the server's text must not steer the terminal */
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = ' ';
}

void fw_ask_print_rows(const json_t *rows, const fw_ask_column *columns, int column_count) {
    const json_t *row;
    size_t at;
    char cell[400];
    for (int i = 0; i < column_count; i++)
        printf("%*s%s", columns[i].width, columns[i].title, i + 1 < column_count ? "  " : "\n");
    json_array_foreach(rows, at, row) {
        for (int i = 0; i < column_count; i++) {
            fw_ask_cell(row, &columns[i], cell, sizeof cell);
            printf("%*s%s", columns[i].width, cell, i + 1 < column_count ? "  " : "\n");
        }
    }
}

void fw_ask_print_text(char *text, bool json, const fw_ask_column *columns, int column_count) {
    json_t *rows = json ? NULL : json_loads(text, 0, NULL);
    if (json)
        puts(text);
    else
        fw_ask_print_rows(rows, columns, column_count);
    json_decref(rows);
    free(text);
}

int fw_ask_list(const char *command, const char *help, int argc, char **argv, const char *path,
                const fw_ask_column *columns, int column_count) {
    fw_ask ask;
    fw_error error = {""};
    char *text = NULL, full[200];
    if (fw_ask_options(argc, argv, &ask, &error) != FW_OK) return fw_cli_usage(command, &error);
    if (ask.help) {
        fputs(help, stdout);
        return FW_CLI_DONE;
    }
    snprintf(full, sizeof full, "%s", path);
    if (ask.limit) snprintf(full, sizeof full, "%s?limit=%" PRIu64, path, ask.limit);
    fw_http_call call = {.method = "GET"};
    if (fw_ask_perform(&ask, &call, full, &text, &error) != FW_OK) return fw_cli_fail(&error);
    json_t *rows = ask.json ? NULL : json_loads(text, 0, NULL);
    if (ask.json)
        puts(text);
    else if (json_is_array(rows))
        fw_ask_print_rows(rows, columns, column_count);
    bool good = ask.json || json_is_array(rows);
    json_decref(rows);
    free(text);
    return good ? FW_CLI_DONE
                : fw_cli_fail(&(fw_error){"the answer is no list: is this a Flywheel factory?"});
}
