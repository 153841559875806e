/* flywheel token: tokens for people, on the factory's machine. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/args.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/local.h"
#include "factory/identity/identity.h"

static const char help_text[] =
    "usage: flywheel token create NAME --scope read|operate|admin --data DIR [--days N]\n"
    "       flywheel token list --data DIR [--json]\n"
    "       flywheel token revoke NAME --data DIR\n\n"
    "Tokens for people and programs that speak to a factory with TLS. A token is shown once, on\n"
    "stdout; the factory keeps its SHA-256. Commands take it from FLYWHEEL_TOKEN, a browser\n"
    "as the password that it asks for (any user name).\n\n"
    "  --data DIR       the factory's data folder; the factory may run meanwhile\n"
    "  --scope SCOPE    read: look at everything; operate: also change (models, generations,\n"
    "                   campaigns, imports); admin: also erase\n"
    "  --days N         until it ends, 1 to 3650 (default 365)\n"
    "  --json           the list as JSON\n";

typedef struct options {
    const char *verb, *name, *data, *scope;
    uint64_t days;
    bool json, help;
} options;

static fw_status check(const options *o, fw_error *error) {
    bool create = o->verb && strcmp(o->verb, "create") == 0;
    bool revoke = o->verb && strcmp(o->verb, "revoke") == 0;
    bool list = o->verb && strcmp(o->verb, "list") == 0;
    if (!(create && o->name) && !(revoke && o->name) && !(list && !o->name))
        return fw_fail(error, FW_INVALID, "want create NAME, list or revoke NAME");
    if (create && (!o->scope || fw_scope_parse(o->scope) == FW_SCOPE_NONE))
        return fw_fail(error, FW_INVALID, "--scope takes read, operate or admin");
    if (!o->data) return fw_fail(error, FW_INVALID, "needs --data DIR");
    return FW_OK;
}

static fw_status read_options(int argc, char **argv, options *o, fw_error *error) {
    static const char *const flags[] = {"--json", "--help", NULL};
    const char *words[2] = {NULL, NULL};
    int count = 0;
    *o = (options){.days = FW_IDENTITY_TOKEN_DAYS};
    const fw_arg table[] = {{"--data", FW_ARG_TEXT, &o->data, 1, 250},
                            {"--scope", FW_ARG_TEXT, &o->scope, 1, 16},
                            {"--days", FW_ARG_U64, &o->days, 1, 3650},
                            {"--json", FW_ARG_FLAG, &o->json, 0, 0},
                            {"--help", FW_ARG_FLAG, &o->help, 0, 0}};
    FW_TRY(fw_cli_words(&argc, argv, flags, words, 2, &count, error));
    FW_TRY(fw_args_parse(argc, argv, table, sizeof table / sizeof *table, error));
    o->verb = words[0];
    o->name = words[1];
    return o->help ? FW_OK : check(o, error);
}

static fw_status create(const options *o, fw_catalogue *catalogue, fw_error *error) {
    char token[FW_IDENTITY_TOKEN_MAX];
    FW_TRY(fw_token_create(fw_env_real(), catalogue, o->name, fw_scope_parse(o->scope),
                           (int)o->days, token, error));
    fprintf(stderr, "flywheel: token %s may %s; it is shown this once:\n", o->name, o->scope);
    puts(token);
    return FW_OK;
}

static fw_status list(const options *o, fw_catalogue *catalogue, fw_error *error) {
    static const fw_ask_column columns[] = {{"name", "name", FW_ASK_TEXT, -16},
                                            {"may", "scope", FW_ASK_TEXT, -8},
                                            {"made", "created_ns", FW_ASK_TIME, -19},
                                            {"ends", "not_after_ns", FW_ASK_TIME, -19},
                                            {"revoked", "revoked_ns", FW_ASK_TIME, -19}};
    char *text = NULL;
    FW_TRY(fw_token_list(catalogue, &text, error));
    fw_ask_print_text(text, o->json, columns, sizeof columns / sizeof *columns);
    return FW_OK;
}

int fw_cmd_token(int argc, char **argv) {
    options o;
    fw_error error = {""};
    fw_catalogue *catalogue;
    if (read_options(argc, argv, &o, &error) != FW_OK) return fw_cli_usage("token", &error);
    if (o.help) {
        fputs(help_text, stdout);
        return FW_CLI_DONE;
    }
    if (fw_cli_catalogue(o.data, &catalogue, &error) != FW_OK) return fw_cli_fail(&error);
    fw_status status = strcmp(o.verb, "create") == 0 ? create(&o, catalogue, &error)
                       : strcmp(o.verb, "list") == 0
                           ? list(&o, catalogue, &error)
                           : fw_token_revoke(fw_env_real(), catalogue, o.name, &error);
    fw_catalogue_close(catalogue);
    return status == FW_OK ? FW_CLI_DONE : fw_cli_fail(&error);
}
