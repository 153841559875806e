/* flywheel campaign: add, list, show, end. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/args.h"
#include "base/env.h"
#include "base/file.h"
#include "campaign/campaign.h"
#include "cli/ask.h"
#include "cli/cli.h"

enum { SECONDS_MAX = 100000 };

static const char help_text[] =
    "usage: flywheel campaign [list] [--json] [--url URL]\n"
    "       flywheel campaign show ID [--json] [--url URL]\n"
    "       flywheel campaign add --id ID --when CONDITION [OPTIONS]\n"
    "       flywheel campaign add --file CAMPAIGN.json [OPTIONS]\n"
    "       flywheel campaign end ID [--json] [--url URL]\n\n"
    "Asks units to capture the seconds around what a condition describes. add says first what it\n"
    "would cost, by the recordings that the factory has, and asks before it launches.\n\n"
    "  --id ID            its name, used once: recordings carry it\n"
    "  --when CONDITION   'rising(/action.accel_mps2 < -4)'; docs/campaigns.md\n"
    "  --before S         seconds before the trigger, 0 to 60 (default 10)\n"
    "  --after S          seconds after it, 0 to 60 (default 5)\n"
    "  --sample SHARE     share of the triggers to capture, over 0 and up to 1 (default 1)\n"
    "  --cooldown S       no new trigger for so long after one (default 0)\n"
    "  --priority P       0 to 100: what is uploaded first and kept longest (default 50)\n"
    "  --budget-bytes N   the campaign ends when so much has arrived\n"
    "  --budget-count N   the campaign ends when so many captures have arrived\n"
    "  --expires WHEN     2026-12-31, 2026-12-31T12:00:00Z (UTC), or +90m, +12h, +7d from now\n"
    "  --units A,B        only these units (default all)\n"
    "  --file FILE        a campaign as JSON; the options above replace what it says\n"
    "  --estimate-only    say what it would cost, launch nothing\n"
    "  --yes              launch without asking\n"
    "  --json             print what the API answers\n"
    "  --url URL          the factory (default FLYWHEEL_URL or http://127.0.0.1:8080)\n";

static const fw_ask_column columns[] = {
    {"campaign", "id", FW_ASK_TEXT, -20},        {"state", "state", FW_ASK_TEXT, -5},
    {"why", "why", FW_ASK_TEXT, -7},             {"captures", "captures", FW_ASK_NUMBER, 8},
    {"size", "captured_bytes", FW_ASK_BYTES, 9}, {"units", "captured_units", FW_ASK_NUMBER, 5},
    {"launched (UTC)", "created_ns", FW_ASK_TIME, -19}, {"when", "campaign.when", FW_ASK_TEXT, -1}};

typedef struct options {
    fw_ask ask;
    const char *id, *when, *before, *after, *sample, *cooldown, *expires, *units, *file;
    uint64_t priority, budget_bytes, budget_count; /* UINT64_MAX: not given */
    bool yes, estimate_only;
} options;

static fw_status read_options(int argc, char **argv, options *o, fw_error *error) {
    const char *from_env = getenv("FLYWHEEL_URL");
    const uint64_t most = 1ull << 53;
    *o = (options){.ask.url = from_env && *from_env ? from_env : "http://127.0.0.1:8080",
                   .priority = UINT64_MAX,
                   .budget_bytes = UINT64_MAX,
                   .budget_count = UINT64_MAX};
    const fw_arg table[] = {{"--json", FW_ARG_FLAG, &o->ask.json, 0, 0},
                            {"--url", FW_ARG_TEXT, &o->ask.url, 8, 300},
                            {"--ca", FW_ARG_TEXT, &o->ask.ca, 1, 400},
                            {"--token", FW_ARG_TEXT, &o->ask.token, 1, 200},
                            {"--id", FW_ARG_TEXT, &o->id, 1, FW_CAMPAIGN_ID_MAX - 1},
                            {"--when", FW_ARG_TEXT, &o->when, 1, FW_CAMPAIGN_WHEN_MAX},
                            {"--before", FW_ARG_TEXT, &o->before, 1, 20},
                            {"--after", FW_ARG_TEXT, &o->after, 1, 20},
                            {"--sample", FW_ARG_TEXT, &o->sample, 1, 20},
                            {"--cooldown", FW_ARG_TEXT, &o->cooldown, 1, 20},
                            {"--priority", FW_ARG_U64, &o->priority, 0, FW_CAMPAIGN_PRIORITY_MAX},
                            {"--budget-bytes", FW_ARG_U64, &o->budget_bytes, 0, most},
                            {"--budget-count", FW_ARG_U64, &o->budget_count, 0, most},
                            {"--expires", FW_ARG_TEXT, &o->expires, 1, 40},
                            {"--units", FW_ARG_TEXT, &o->units, 1, 4000},
                            {"--file", FW_ARG_TEXT, &o->file, 1, 400},
                            {"--estimate-only", FW_ARG_FLAG, &o->estimate_only, 0, 0},
                            {"--yes", FW_ARG_FLAG, &o->yes, 0, 0}};
    return fw_args_parse(argc, argv, table, sizeof table / sizeof *table, error);
}

/* ---- options to JSON; the factory checks what it means ---- */

static fw_status set_number(json_t *json, const char *field, const char *option, const char *text,
                            fw_error *error) {
    char *end;
    if (!text) return FW_OK;
    double number = strtod(text, &end);
    if (*end || !(text[0] >= '0' && text[0] <= '9') || !(number <= SECONDS_MAX))
        return fw_fail(error, FW_INVALID, "%s: '%s' is no number from 0 to %d", option, text,
                       SECONDS_MAX);
    json_object_set_new(json, field, json_real(number));
    return FW_OK;
}

static void set_integer(json_t *json, const char *field, uint64_t value) {
    if (value != UINT64_MAX) json_object_set_new(json, field, json_integer((json_int_t)value));
}

/* "+90m" as nanoseconds; 0: not so written. */
static int64_t from_now(const char *text) {
    char *end;
    if (text[0] != '+' || !isdigit((unsigned char)text[1])) return 0;
    unsigned long long count = strtoull(text + 1, &end, 10);
    int64_t unit_s = *end == 's'   ? 1
                     : *end == 'm' ? 60
                     : *end == 'h' ? 3600
                     : *end == 'd' ? 86400
                                   : 0;
    if (unit_s == 0 || end[1] || count == 0 || count > 36500) return 0;
    return (int64_t)count * unit_s * 1000000000;
}

static fw_status set_expires(json_t *json, const char *text, fw_error *error) {
    struct tm utc = {0};
    if (!text) return FW_OK;
    int64_t ahead_ns = from_now(text), at_ns = 0;
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    if (!end || *end) {
        utc = (struct tm){0};
        end = strptime(text, "%Y-%m-%d", &utc);
    }
    if (ahead_ns)
        at_ns = fw_env_wall_ns(fw_env_real()) + ahead_ns;
    else if (end && !*end && utc.tm_year > 70 && utc.tm_year < 300)
        at_ns = (int64_t)timegm(&utc) * 1000000000;
    else
        return fw_fail(error, FW_INVALID,
                       "--expires: '%s' is no time; write 2026-12-31, 2026-12-31T12:00:00Z, or +90m, "
                       "+12h, +7d from now",
                       text);
    json_object_set_new(json, "expires_ns", json_integer(at_ns));
    return FW_OK;
}

static void set_units(json_t *json, const char *text) {
    if (!text) return;
    json_t *list = json_array();
    for (;;) {
        size_t size = strcspn(text, ",");
        json_array_append_new(list, json_stringn(text, size));
        if (!text[size]) break;
        text += size + 1;
    }
    json_object_set_new(json, "units", list);
}

static fw_status read_file(const char *path, json_t **out, fw_error *error) {
    char *text;
    size_t size;
    json_error_t where;
    FW_TRY(fw_file_read(path, FW_CAMPAIGN_JSON_MAX, &text, &size, error));
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
    free(text);
    if (json_is_object(json)) {
        *out = json;
        return FW_OK;
    }
    fw_status status =
        json ? fw_fail(error, FW_INVALID, "%s is no JSON object", path)
             : fw_fail(error, FW_INVALID, "%s is no JSON: line %d column %d: %s", path, where.line,
                       where.column, where.text);
    json_decref(json);
    return status;
}

/* What is asked for as JSON text, malloc'd. */
static fw_status campaign_text(const options *o, char **out, fw_error *error) {
    json_t *json = NULL;
    if (o->file)
        FW_TRY(read_file(o->file, &json, error));
    else
        json = json_object();
    if (o->id) json_object_set_new(json, "id", json_string(o->id));
    if (o->when) json_object_set_new(json, "when", json_string(o->when));
    fw_status status = set_number(json, "before_s", "--before", o->before, error);
    if (status == FW_OK) status = set_number(json, "after_s", "--after", o->after, error);
    if (status == FW_OK) status = set_number(json, "sample", "--sample", o->sample, error);
    if (status == FW_OK) status = set_number(json, "cooldown_s", "--cooldown", o->cooldown, error);
    if (status == FW_OK) status = set_expires(json, o->expires, error);
    set_integer(json, "priority", o->priority);
    set_integer(json, "budget_bytes", o->budget_bytes);
    set_integer(json, "budget_count", o->budget_count);
    set_units(json, o->units);
    char *text = status == FW_OK ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(json);
    if (status == FW_OK && !text) status = fw_fail(error, FW_INVALID, "the options are no UTF-8 text");
    if (status == FW_OK) *out = text;
    return status;
}

/* ---- calls ---- */

static fw_status post(const options *o, const char *path, const char *body, char **answer,
                      fw_error *error) {
    const char *const headers[] = {"Content-Type: application/json", NULL};
    fw_http_call call = {
        .method = "POST", .headers = headers, .body = body, .body_bytes = strlen(body)};
    return fw_ask_perform(&o->ask, &call, path, answer, error);
}

/* "NUMBER captures, SIZE" of two fields of an estimate; false where they are not known. */
static bool print_cost(FILE *to, const json_t *json, const char *captures, const char *bytes) {
    const fw_ask_column column = {"", bytes, FW_ASK_BYTES, 0};
    const json_t *count = json_object_get(json, captures);
    char size[40];
    if (!json_is_number(count)) return false;
    fw_ask_cell(json, &column, size, sizeof size);
    double number = json_number_value(count);
    fprintf(to, "%.*f captures, %s\n", number < 100 ? 1 : 0, number, size);
    return true;
}

static void print_estimate(FILE *to, const json_t *json) {
    const fw_ask_column text = {"", "text", FW_ASK_TEXT, 0};
    char words[400];
    fw_ask_cell(json, &text, words, sizeof words);
    fprintf(to, "estimate: %s\n", words);
    if (json_integer_value(json_object_get(json, "recordings_looked_at")) == 0) return;
    fprintf(to, "  looked at           %.2f h of driving: %lld triggers\n",
            json_number_value(json_object_get(json, "hours_looked_at")),
            (long long)json_integer_value(json_object_get(json, "triggers")));
    fprintf(to, "  a unit, an hour     ");
    print_cost(to, json, "captures_per_unit_hour", "bytes_per_unit_hour");
    fprintf(to, "  %4lld units, in all   ",
            (long long)json_integer_value(json_object_get(json, "units")));
    if (!print_cost(to, json, "captures_expected", "bytes_expected"))
        fprintf(to, "without end: no --expires and no budget is given\n");
    double hours = json_number_value(json_object_get(json, "hours_expected"));
    if (hours > 0) fprintf(to, "  until it ends       %.1f h\n", hours);
}

/* Asks a person; only yes is yes. */
static bool agreed(void) {
    char answer[16] = "";
    fputs("launch it? [y/N] ", stderr);
    if (!fgets(answer, sizeof answer, stdin)) return false;
    return answer[0] == 'y' || answer[0] == 'Y';
}

/* Prints a campaign's answer: its id, or all of it. */
static fw_status print_answer(const options *o, const char *answer, fw_error *error) {
    json_t *json = json_loads(answer, 0, NULL);
    const fw_ask_column id = {"", "id", FW_ASK_TEXT, 0};
    char text[100];
    fw_status status = json_is_object(json)
                           ? FW_OK
                           : fw_fail(error, FW_CORRUPT,
                                     "the answer is no campaign: is this a Flywheel factory?");
    fw_ask_cell(json, &id, text, sizeof text);
    if (status == FW_OK) puts(o->ask.json ? answer : text);
    json_decref(json);
    return status;
}

/* ---- verbs ---- */

static fw_status launch(const options *o, const char *body, fw_error *error) {
    char *answer = NULL;
    if (!o->yes && !isatty(STDIN_FILENO))
        return fw_fail(error, FW_DENIED, "nothing is launched: say --yes, as nobody can be asked");
    if (!o->yes && !agreed()) return fw_fail(error, FW_DENIED, "nothing is launched");
    FW_TRY(post(o, "/v1/campaigns", body, &answer, error));
    fw_status status = print_answer(o, answer, error);
    free(answer);
    return status;
}

static fw_status add(const options *o, fw_error *error) {
    char *body = NULL, *answer = NULL;
    FW_TRY(campaign_text(o, &body, error));
    fw_status status = post(o, "/v1/campaigns/estimate", body, &answer, error);
    json_t *estimate = status == FW_OK ? json_loads(answer, 0, NULL) : NULL;
    if (status == FW_OK && !json_is_object(estimate))
        status = fw_fail(error, FW_CORRUPT,
                         "the answer is no estimate: is this a Flywheel factory?");
    if (status == FW_OK && o->estimate_only && o->ask.json)
        puts(answer);
    else if (status == FW_OK) /* data when it is what was asked for, else talk */
        print_estimate(o->estimate_only ? stdout : stderr, estimate);
    if (status == FW_OK && !o->estimate_only) status = launch(o, body, error);
    json_decref(estimate);
    free(body);
    free(answer);
    return status;
}

static fw_status list(const options *o, fw_error *error) {
    char *text;
    fw_http_call call = {.method = "GET"};
    FW_TRY(fw_ask_perform(&o->ask, &call, "/v1/campaigns", &text, error));
    json_t *rows = json_loads(text, 0, NULL);
    bool good = json_is_array(rows);
    if (good && o->ask.json)
        puts(text);
    else if (good)
        fw_ask_print_rows(rows, columns, sizeof columns / sizeof *columns);
    json_decref(rows);
    free(text);
    return good ? FW_OK : fw_fail(error, FW_CORRUPT,
                                  "the answer is no list: is this a Flywheel factory?");
}

/* Is it a campaign's name, so that it may stand in an address? */
static fw_status check_id(const char *id, fw_error *error) {
    size_t size = strlen(id);
    for (size_t i = 0; i < size; i++)
        if (!isalnum((unsigned char)id[i]) && !strchr("._-", id[i])) size = 0;
    if (size > 0 && size < FW_CAMPAIGN_ID_MAX) return FW_OK;
    return fw_fail(error, FW_INVALID, "'%.70s' is no campaign's name", id);
}

static fw_status show(const options *o, const char *id, fw_error *error) {
    char *text, path[100];
    FW_TRY(check_id(id, error));
    snprintf(path, sizeof path, "/v1/campaigns/%s", id);
    fw_http_call call = {.method = "GET"};
    FW_TRY(fw_ask_perform(&o->ask, &call, path, &text, error));
    json_t *json = json_loads(text, 0, NULL);
    char *shown = json ? json_dumps(json, o->ask.json ? JSON_COMPACT : JSON_INDENT(2)) : NULL;
    if (shown) puts(shown);
    fw_status status = shown ? FW_OK
                             : fw_fail(error, FW_CORRUPT,
                                       "the answer is no campaign: is this a Flywheel factory?");
    free(shown);
    json_decref(json);
    free(text);
    return status;
}

static fw_status end(const options *o, const char *id, fw_error *error) {
    char *answer, path[100];
    FW_TRY(check_id(id, error));
    snprintf(path, sizeof path, "/v1/campaigns/%s/end", id);
    FW_TRY(post(o, path, "", &answer, error));
    fw_status status = print_answer(o, answer, error);
    free(answer);
    return status;
}

int fw_cmd_campaign(int argc, char **argv) {
    static const char *const flags[] = {"--json", "--help", "--estimate-only", "--yes", NULL};
    const char *words[2] = {NULL, NULL};
    int count = 0;
    options o;
    fw_error error = {""};
    if (fw_cli_asks_help(argc, argv, help_text)) return FW_CLI_DONE;
    if (fw_cli_words(&argc, argv, flags, words, 2, &count, &error) != FW_OK ||
        read_options(argc, argv, &o, &error) != FW_OK)
        return fw_cli_usage("campaign", &error);
    const char *verb = count ? words[0] : "list";
    fw_status status = FW_OK;
    if (strcmp(verb, "list") == 0 && count <= 1)
        status = list(&o, &error);
    else if (strcmp(verb, "show") == 0 && count == 2)
        status = show(&o, words[1], &error);
    else if (strcmp(verb, "end") == 0 && count == 2)
        status = end(&o, words[1], &error);
    else if (strcmp(verb, "add") == 0 && count == 1 && (o.file || (o.id && o.when)))
        status = add(&o, &error);
    else
        return fw_cli_usage("campaign", &(fw_error){"want list, show ID, end ID, or add with --id "
                                                    "and --when, or with --file"});
    return status == FW_OK ? FW_CLI_DONE : fw_cli_fail(&error);
}
