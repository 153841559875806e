/* flywheel models: list, show, make, add. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/args.h"
#include "base/file.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "lines/driving/act/policy.h"
#include "lines/driving/learn/learn.h"

enum { MODEL_MAX_BYTES = 64 << 20, CARD_MAX_BYTES = 1 << 20 };

static const char help_text[] =
    "usage: flywheel models [list] [--json] [--url URL]\n"
    "       flywheel models show HASH [--json] [--url URL]\n"
    "       flywheel models make constant|idm|untrained FILE [--seed S]\n"
    "       flywheel models add FILE [--champion] [--card CARD.json] [--url URL]\n\n"
    "list       every model with its decision\n"
    "show       one model's card; HASH may be cut to 6 digits or more\n"
    "make       writes a model file: a rule, or an untrained network of a seed\n"
    "add        uploads a model file and registers it; --champion makes it the fleet's target\n";

static const fw_ask_column columns[] = {
    {"model", "hash", FW_ASK_HASH, -12},       {"kind", "kind", FW_ASK_TEXT, -9},
    {"champion", "champion", FW_ASK_TEXT, -8}, {"decision", "decision", FW_ASK_TEXT, -8},
    {"parent", "parent", FW_ASK_HASH, -12},    {"dataset", "dataset", FW_ASK_HASH, -12},
    {"seed", "seed", FW_ASK_NUMBER, 6},        {"created (UTC)", "created_ns", FW_ASK_TIME, -19},
    {"reason", "reason", FW_ASK_TEXT, -1}};

typedef struct options {
    fw_ask ask;
    bool champion;
    const char *card;
    uint64_t seed;
} options;

static fw_status read_options(int argc, char **argv, options *o, fw_error *error) {
    const char *from_env = getenv("FLYWHEEL_URL");
    *o =
        (options){.ask.url = from_env && *from_env ? from_env : "http://127.0.0.1:8080", .seed = 1};
    const fw_arg table[] = {{"--json", FW_ARG_FLAG, &o->ask.json, 0, 0},
                            {"--url", FW_ARG_TEXT, &o->ask.url, 8, 300},
                            {"--champion", FW_ARG_FLAG, &o->champion, 0, 0},
                            {"--card", FW_ARG_TEXT, &o->card, 1, 400},
                            {"--seed", FW_ARG_U64, &o->seed, 0, INT64_MAX}};
    return fw_args_parse(argc, argv, table, sizeof table / sizeof *table, error);
}

static fw_status get_models(const options *o, char **text, json_t **rows, fw_error *error) {
    fw_http_call call = {.method = "GET"};
    FW_TRY(fw_ask_perform(&o->ask, &call, "/v1/models", text, error));
    *rows = json_loads(*text, 0, NULL);
    if (json_is_array(*rows)) return FW_OK;
    json_decref(*rows);
    free(*text);
    return fw_fail(error, FW_CORRUPT, "the answer is no list: is this a Flywheel factory?");
}

static fw_status list(const options *o, fw_error *error) {
    char *text;
    json_t *rows;
    FW_TRY(get_models(o, &text, &rows, error));
    if (o->ask.json)
        puts(text);
    else
        fw_ask_print_rows(rows, columns, sizeof columns / sizeof *columns);
    json_decref(rows);
    free(text);
    return FW_OK;
}

static fw_status show(const options *o, const char *hash, fw_error *error) {
    char *text;
    json_t *rows, *row, *found = NULL;
    size_t at, count = 0, size = strlen(hash);
    if (size < 6 || size > FW_HASH_HEX || strspn(hash, "0123456789abcdef") != size)
        return fw_fail(error, FW_INVALID, "'%.70s' is no hash (6 to 64 hex digits)", hash);
    FW_TRY(get_models(o, &text, &rows, error));
    json_array_foreach(rows, at, row) {
        const char *name = json_string_value(json_object_get(row, "hash"));
        if (name && strncmp(name, hash, size) == 0) found = row, count++;
    }
    fw_status status = FW_OK;
    if (count == 1) {
        char *card = json_dumps(found, o->ask.json ? JSON_COMPACT : JSON_INDENT(2));
        if (card) puts(card);
        free(card);
    } else {
        status =
            fw_fail(error, FW_NOT_FOUND,
                    count ? "more than one model begins with %s" : "no model begins with %s", hash);
    }
    json_decref(rows);
    free(text);
    return status;
}

static fw_status make(const options *o, const char *kind, const char *path, fw_error *error) {
    fw_hash hash;
    if (strcmp(kind, "untrained") == 0) {
        FW_TRY(fw_driving_untrained(o->seed, path, &hash, error));
    } else {
        bool constant = strcmp(kind, "constant") == 0;
        char *bytes;
        size_t size;
        if (!constant && strcmp(kind, "idm") != 0)
            return fw_fail(error, FW_INVALID, "make takes constant, idm or untrained, not '%.40s'",
                           kind);
        FW_TRY(fw_policy_rule_file(constant ? FW_POLICY_CONSTANT : FW_POLICY_IDM, &bytes, &size,
                                   error));
        hash = fw_hash_bytes(bytes, size);
        fw_status status = fw_file_write_durable(fw_env_real(), path, bytes, size, error);
        free(bytes);
        FW_TRY(status);
    }
    puts(hash.hex);
    return FW_OK;
}

static fw_status read_card(const char *path, json_t **card, fw_error *error) {
    char *text;
    size_t size;
    *card = json_object();
    if (!path) return FW_OK;
    json_decref(*card);
    FW_TRY(fw_file_read(path, CARD_MAX_BYTES, &text, &size, error));
    *card = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    if (json_is_object(*card)) return FW_OK;
    json_decref(*card);
    return fw_fail(error, FW_CORRUPT, "%s is no JSON object", path);
}

static fw_status post_model(const options *o, const char *hash, fw_error *error) {
    json_t *card;
    char *answer = NULL;
    FW_TRY(read_card(o->card, &card, error));
    json_t *json =
        json_pack("{s:s,s:o,s:b}", "hash", hash, "card", card, "champion", (int)o->champion);
    char *body = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (!body) return fw_fail(error, FW_NO_MEMORY, "no memory for a card");
    const char *const headers[] = {"Content-Type: application/json", NULL};
    fw_http_call call = {
        .method = "POST", .headers = headers, .body = body, .body_bytes = strlen(body)};
    fw_status status = fw_ask_perform(&o->ask, &call, "/v1/models", &answer, error);
    free(body);
    free(answer);
    return status;
}

static fw_status add(const options *o, const char *path, fw_error *error) {
    fw_hash hash;
    char *bytes, *answer = NULL, url[100];
    size_t size;
    FW_TRY(fw_file_read(path, MODEL_MAX_BYTES, &bytes, &size, error));
    hash = fw_hash_bytes(bytes, size);
    snprintf(url, sizeof url, "/v1/objects/%s", hash.hex);
    const char *const headers[] = {"Flywheel-Kind: model", NULL};
    fw_http_call call = {.method = "PUT", .headers = headers, .body = bytes, .body_bytes = size};
    fw_status status = fw_ask_perform(&o->ask, &call, url, &answer, error);
    free(bytes);
    free(answer);
    if (status == FW_OK) status = post_model(o, hash.hex, error);
    if (status == FW_OK) puts(hash.hex);
    return status;
}

int fw_cmd_models(int argc, char **argv) {
    static const char *const flags[] = {"--json", "--champion", "--help", NULL};
    const char *words[3] = {NULL, NULL, NULL};
    int count = 0;
    options o;
    fw_error error = {""};
    if (fw_cli_asks_help(argc, argv, help_text)) return FW_CLI_DONE;
    if (fw_cli_words(&argc, argv, flags, words, 3, &count, &error) != FW_OK ||
        read_options(argc, argv, &o, &error) != FW_OK)
        return fw_cli_usage("models", &error);
    const char *verb = count ? words[0] : "list";
    fw_status status = FW_OK;
    if (strcmp(verb, "list") == 0 && count <= 1)
        status = list(&o, &error);
    else if (strcmp(verb, "show") == 0 && count == 2)
        status = show(&o, words[1], &error);
    else if (strcmp(verb, "make") == 0 && count == 3)
        status = make(&o, words[1], words[2], &error);
    else if (strcmp(verb, "add") == 0 && count == 2)
        status = add(&o, words[1], &error);
    else
        return fw_cli_usage("models", &(fw_error){"want list, show HASH, make KIND FILE or add "
                                                  "FILE"});
    return status == FW_OK ? FW_CLI_DONE : fw_cli_fail(&error);
}
