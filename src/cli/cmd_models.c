/* flywheel models: the table of its verbs, and those that are short (models.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/args.h"
#include "base/file.h"
#include "cli/cli.h"
#include "cli/models.h"
#include "lines/driving/act/policy.h"
#include "lines/driving/learn/learn.h"

enum { CARD_MAX_BYTES = 1 << 20 };

static const char help_text[] =
    "usage: flywheel models [list] [--json] [FROM]\n"
    "       flywheel models show MODEL [--json] [FROM]\n"
    "       flywheel models diff MODEL MODEL [--json] [FROM]\n"
    "       flywheel models lineage MODEL [--dot | --json] [FROM]\n"
    "       flywheel models export MODEL FOLDER [FROM]\n"
    "       flywheel models verify MODEL|FOLDER [--key KEY.json] [--json] [FROM]\n"
    "       flywheel models rebuild MODEL [--out FOLDER] [--threads N] [--json] [FROM]\n"
    "       flywheel models make constant|idm|untrained FILE [--seed S]\n"
    "       flywheel models add FILE [--champion] [--card CARD.json] [--url URL]\n\n"
    "list       every model with its decision\n"
    "show       one model's card, lineage and statement\n"
    "diff       what two cards have different, and how far their weights are apart\n"
    "lineage    what a model is made of, back to recordings; --dot: for Graphviz\n"
    "export     a folder: safetensors, lineage, statement as OpenSSF's model signing reads it, card, ONNX\n"
    "verify     statement, file and lineage against the factory's public release key\n"
    "rebuild    trains it again from its lineage and compares the SHA-256; exit 1 when it is another\n"
    "make       writes a model file: a rule, or an untrained network of a seed\n"
    "add        uploads a model file and registers it; --champion makes it the fleet's target\n\n"
    "MODEL      a hash, which may be cut to 6 digits or more\n"
    "FROM       --data DIR: a factory's folder on this machine; or --url URL, --ca FILE, --token TOKEN\n";

static const fw_ask_column columns[] = {
    {"model", "hash", FW_ASK_HASH, -12},       {"kind", "kind", FW_ASK_TEXT, -9},
    {"champion", "champion", FW_ASK_TEXT, -8}, {"decision", "decision", FW_ASK_TEXT, -8},
    {"parent", "parent", FW_ASK_HASH, -12},    {"dataset", "dataset", FW_ASK_HASH, -12},
    {"seed", "seed", FW_ASK_NUMBER, 6},        {"created (UTC)", "created_ns", FW_ASK_TIME, -19},
    {"reason", "reason", FW_ASK_TEXT, -1}};

typedef fw_models_options options;

static fw_status read_options(int argc, char **argv, options *o, fw_error *error) {
    const char *from_env = getenv("FLYWHEEL_URL");
    *o =
        (options){.ask.url = from_env && *from_env ? from_env : "http://127.0.0.1:8080", .seed = 1};
    const fw_arg table[] = {{"--json", FW_ARG_FLAG, &o->ask.json, 0, 0},
                            {"--url", FW_ARG_TEXT, &o->ask.url, 8, 300},
                            {"--ca", FW_ARG_TEXT, &o->ask.ca, 1, 400},
                            {"--token", FW_ARG_TEXT, &o->ask.token, 1, 200},
                            {"--data", FW_ARG_TEXT, &o->data, 1, FW_PATH_MAX / 2},
                            {"--key", FW_ARG_TEXT, &o->key, 1, FW_PATH_MAX - 1},
                            {"--out", FW_ARG_TEXT, &o->out, 1, FW_PATH_MAX / 2},
                            {"--threads", FW_ARG_U64, &o->threads, 1, 16},
                            {"--dot", FW_ARG_FLAG, &o->dot, 0, 0},
                            {"--champion", FW_ARG_FLAG, &o->champion, 0, 0},
                            {"--card", FW_ARG_TEXT, &o->card, 1, 400},
                            {"--seed", FW_ARG_U64, &o->seed, 0, INT64_MAX}};
    return fw_args_parse(argc, argv, table, sizeof table / sizeof *table, error);
}

static fw_status list(const options *o, const char *const *words, fw_error *error) {
    (void)words;
    fw_models_source s;
    json_t *rows;
    FW_TRY(fw_models_open(o, &s, error));
    fw_status status = fw_models_list(&s, &rows, error);
    fw_models_close(&s);
    FW_TRY(status);
    if (o->ask.json)
        json_dumpf(rows, stdout, JSON_COMPACT), putchar('\n');
    else
        fw_ask_print_rows(rows, columns, sizeof columns / sizeof *columns);
    json_decref(rows);
    return FW_OK;
}

static fw_status show(const options *o, const char *const *words, fw_error *error) {
    fw_models_source s;
    json_t *card;
    FW_TRY(fw_models_open(o, &s, error));
    fw_status status = fw_models_card(&s, words[0], &card, error);
    fw_models_close(&s);
    FW_TRY(status);
    json_dumpf(card, stdout, o->ask.json ? JSON_COMPACT : JSON_INDENT(2)), putchar('\n');
    json_decref(card);
    return FW_OK;
}

static fw_status make(const options *o, const char *const *words, fw_error *error) {
    const char *kind = words[0], *path = words[1];
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

static fw_status add(const options *o, const char *const *words, fw_error *error) {
    const char *path = words[0];
    fw_hash hash;
    char *bytes, *answer = NULL, url[100];
    size_t size;
    FW_TRY(fw_file_read(path, FW_MODELS_FILE_MAX, &bytes, &size, error));
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

static const struct {
    const char *name;
    int words; /* behind the verb */
    fw_status (*run)(const options *o, const char *const *words, fw_error *error);
} verbs[] = {{"list", 0, list},
             {"show", 1, show},
             {"diff", 2, fw_models_diff},
             {"lineage", 1, fw_models_show_lineage},
             {"export", 2, fw_models_export},
             {"verify", 1, fw_models_verify},
             {"rebuild", 1, fw_models_rebuild},
             {"make", 2, make},
             {"add", 1, add}};

int fw_cmd_models(int argc, char **argv) {
    static const char *const flags[] = {"--json", "--champion", "--dot", "--help", NULL};
    const char *words[3] = {NULL, NULL, NULL};
    int count = 0;
    options o;
    fw_error error = {""};
    if (fw_cli_asks_help(argc, argv, help_text)) return FW_CLI_DONE;
    if (fw_cli_words(&argc, argv, flags, words, 3, &count, &error) != FW_OK ||
        read_options(argc, argv, &o, &error) != FW_OK)
        return fw_cli_usage("models", &error);
    const char *verb = count ? words[0] : "list";
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(verb, verbs[i].name) != 0 || (count ? count - 1 : 0) != verbs[i].words) continue;
        return verbs[i].run(&o, words + 1, &error) == FW_OK ? FW_CLI_DONE : fw_cli_fail(&error);
    }
    return fw_cli_usage("models", &(fw_error){"want list, show, diff, lineage, export, verify, rebuild, make or add, "
                                              "with what each is about (--help)"});
}
