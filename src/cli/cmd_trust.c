/* flywheel trust: the keys and roots that units trust, on the factory's machine. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/args.h"
#include "base/file.h"
#include "cli/cli.h"
#include "factory/trust/manage.h"
#include "factory/trust/releases.h"

static const char help_text[] =
    "usage: flywheel trust init|status|verify --data DIR [--json]\n"
    "       flywheel trust rotate ROLE --data DIR [--director] [--keys FOLDER]\n"
    "       flywheel trust delegate ROLE PATTERN... --data DIR [--keys FOLDER]\n"
    "       flywheel trust sign --data DIR --keys FOLDER\n"
    "       flywheel trust export-root FILE --data DIR\n"
    "       flywheel trust release-key --data DIR\n\n"
    "The keys that sign models and what units are to run; the factory may run meanwhile.\n\n"
    "  init             makes keys and first roots where there are none\n"
    "  status           every role's version, expiry and key; releases; those that wait\n"
    "  verify           reads the image repository as a unit would, from its first root on\n"
    "  rotate ROLE      a new key: root, targets, snapshot or timestamp\n"
    "  delegate ROLE    a role with a key of its own for paths like 'driving/*'\n"
    "  sign             publishes releases that wait for a key that is kept elsewhere\n"
    "  export-root      what a unit trusts first, for flywheel-unit\n"
    "  release-key      the public key of models' statements and receipts\n"
    "  --data DIR       the factory's data folder\n"
    "  --director       of the director; default: of the image repository\n"
    "  --keys FOLDER    keys that are kept away from this machine, as ROLE.pem\n"
    "  --json           as JSON\n";

enum { WORDS_MAX = 12 };

typedef struct options {
    const char *words[WORDS_MAX + 1], *data, *keys;
    int count;
    bool director, json, help;
} options;

typedef fw_status (*verb_run)(const options *o, fw_trust *trust, fw_error *error);
typedef struct verb {
    const char *name;
    int least, most; /* words, itself among them */
    verb_run run;
} verb;

/* ---- verbs ---- */

static fw_status run_init(const options *o, fw_trust *trust, fw_error *error) {
    char *bytes = NULL;
    size_t size = 0;
    (void)trust;
    FW_TRY(fw_trust_root(fw_env_real(), o->data, &bytes, &size, error));
    free(bytes);
    fprintf(stderr, "flywheel: keys and roots are in %s/trust\n", o->data);
    return FW_OK;
}

static const char *text_of(const json_t *json, const char *name) {
    const char *text = json_string_value(json_object_get(json, name));
    return text ? text : "";
}

static void print_status(const json_t *status) {
    const json_t *roles = json_object_get(status, "roles");
    printf("%-9s %-12s %10s  %-20s %-12s %s\n", "of", "role", "version", "expires", "key", "kept");
    for (size_t i = 0; i < json_array_size(roles); i++) {
        const json_t *r = json_array_get(roles, i), *version = json_object_get(r, "version");
        char number[24] = "on demand";
        if (json_is_integer(version)) snprintf(number, sizeof number, "%lld", (long long)json_integer_value(version));
        printf("%-9s %-12s %10s  %-20s %-12.12s %s\n", text_of(r, "repository"), text_of(r, "role"), number,
               text_of(r, "expires"), text_of(r, "key"), json_is_true(json_object_get(r, "key_here")) ? "here" : "elsewhere");
    }
    printf("%zu releases, %zu wait for a key\n", json_array_size(json_object_get(status, "releases")),
           json_array_size(json_object_get(status, "waiting")));
}

static fw_status run_status(const options *o, fw_trust *trust, fw_error *error) {
    char *text = NULL;
    FW_TRY(fw_trust_status(trust, &text, error));
    json_t *json = o->json ? NULL : json_loads(text, 0, NULL);
    if (o->json) puts(text);
    else print_status(json);
    json_decref(json);
    free(text);
    return FW_OK;
}

static fw_status run_verify(const options *o, fw_trust *trust, fw_error *error) {
    int64_t targets = 0;
    FW_TRY(fw_trust_verify(trust, &targets, error));
    if (o->json) printf("{\"verified\":true,\"targets\":%lld}\n", (long long)targets);
    else printf("verified: %lld releases, from the first root on\n", (long long)targets);
    return FW_OK;
}

static fw_status run_rotate(const options *o, fw_trust *trust, fw_error *error) {
    fw_tuf_role role = fw_tuf_role_parse(o->words[1]);
    if (role == FW_TUF_ROLES)
        return fw_fail(error, FW_INVALID, "no role '%.40s': root, targets, snapshot or timestamp", o->words[1]);
    FW_TRY(fw_trust_rotate(trust, o->director, role, o->keys, error));
    fprintf(stderr, "flywheel: the %s's role %s has a new key\n", o->director ? "director" : "image repository",
            o->words[1]);
    return FW_OK;
}

static fw_status run_delegate(const options *o, fw_trust *trust, fw_error *error) {
    FW_TRY(fw_trust_delegate(trust, o->words[1], o->words + 2, o->keys, error));
    fprintf(stderr, "flywheel: role %s signs for %s%s\n", o->words[1], o->words[2], o->words[3] ? " ..." : "");
    return FW_OK;
}

static fw_status run_sign(const options *o, fw_trust *trust, fw_error *error) {
    int64_t count = 0;
    if (!o->keys) return fw_fail(error, FW_INVALID, "sign needs --keys FOLDER");
    FW_TRY(fw_trust_sign_waiting(trust, o->keys, &count, error));
    fprintf(stderr, "flywheel: %lld release%s published\n", (long long)count, count == 1 ? "" : "s");
    return FW_OK;
}

static fw_status run_export(const options *o, fw_trust *trust, fw_error *error) {
    char *bytes = NULL;
    size_t size = 0;
    (void)trust;
    FW_TRY(fw_trust_root(fw_env_real(), o->data, &bytes, &size, error));
    fw_status status = fw_file_write_durable(fw_env_real(), o->words[1], bytes, size, error);
    free(bytes);
    return status;
}

static fw_status run_release_key(const options *o, fw_trust *trust, fw_error *error) {
    char *text = NULL;
    FW_TRY(fw_trust_release_key(trust, &text, error));
    json_t *key = o->json ? NULL : json_loads(text, 0, NULL);
    const char *public_half = text_of(json_object_get(key, "keyval"), "public");
    if (o->json) puts(text);
    else fputs(public_half, stdout); /* PEM */
    json_decref(key);
    free(text);
    return FW_OK;
}

static const verb verbs[] = {{"init", 1, 1, run_init},       {"status", 1, 1, run_status},
                             {"verify", 1, 1, run_verify},   {"rotate", 2, 2, run_rotate},
                             {"delegate", 3, WORDS_MAX, run_delegate}, {"sign", 1, 1, run_sign},
                             {"export-root", 2, 2, run_export}, {"release-key", 1, 1, run_release_key}};
enum { VERBS = sizeof verbs / sizeof *verbs };

/* ---- the command ---- */

static fw_status read_options(int argc, char **argv, options *o, const verb **found, fw_error *error) {
    static const char *const flags[] = {"--json", "--director", "--help", NULL};
    const fw_arg table[] = {{"--data", FW_ARG_TEXT, &o->data, 1, 250},
                            {"--keys", FW_ARG_TEXT, &o->keys, 1, 400},
                            {"--director", FW_ARG_FLAG, &o->director, 0, 0},
                            {"--json", FW_ARG_FLAG, &o->json, 0, 0},
                            {"--help", FW_ARG_FLAG, &o->help, 0, 0}};
    FW_TRY(fw_cli_words(&argc, argv, flags, o->words, WORDS_MAX, &o->count, error));
    FW_TRY(fw_args_parse(argc, argv, table, sizeof table / sizeof *table, error));
    if (o->help) return FW_OK;
    for (int i = 0; i < VERBS && o->count > 0; i++)
        if (strcmp(o->words[0], verbs[i].name) == 0) *found = &verbs[i];
    if (!*found || o->count < (*found)->least || o->count > (*found)->most)
        return fw_fail(error, FW_INVALID, "want init, status, verify, rotate ROLE, delegate ROLE PATTERN, sign, "
                       "export-root FILE or release-key");
    if (!o->data) return fw_fail(error, FW_INVALID, "needs --data DIR");
    return FW_OK;
}

/* init and export-root may be the first to come; whoever else meets no folder has mistyped it, and no keys are made. */
static fw_status find_folder(const options *o, const verb *v, fw_error *error) {
    if (v->run == run_init || v->run == run_export) return fw_folder_make(o->data, 0700, error);
    if (fw_file_exists(o->data)) return FW_OK;
    return fw_fail(error, FW_NOT_FOUND, "no folder %s; `flywheel trust init` makes one", o->data);
}

int fw_cmd_trust(int argc, char **argv) {
    options o = {.count = 0};
    const verb *v = NULL;
    fw_error error = {""};
    fw_trust *trust = NULL;
    if (read_options(argc, argv, &o, &v, &error) != FW_OK) return fw_cli_usage("trust", &error);
    if (o.help) {
        fputs(help_text, stdout);
        return FW_CLI_DONE;
    }
    const fw_trust_config config = {.env = fw_env_real(), .data_folder = o.data};
    fw_status status = find_folder(&o, v, &error);
    if (status == FW_OK) status = fw_trust_open(&config, &trust, &error);
    if (status == FW_OK) status = v->run(&o, trust, &error);
    fw_trust_close(trust);
    return status == FW_OK ? FW_CLI_DONE : fw_cli_fail(&error);
}
