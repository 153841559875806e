/* flywheel enroll: certificates for units, on the factory's machine. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/args.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/local.h"
#include "factory/identity/authority.h"
#include "factory/identity/identity.h"
#include "factory/trust/trust.h"

static const char help_text[] =
    "usage: flywheel enroll UNIT --data DIR [--days N] [--out FOLDER | --csr FILE]\n"
    "       flywheel enroll --list --data DIR [--json]\n"
    "       flywheel enroll --revoke UNIT|FINGERPRINT --data DIR\n\n"
    "Gives a unit its certificate, on the factory's machine; the factory may run meanwhile.\n\n"
    "  --data DIR       the factory's data folder\n"
    "  --days N         until it ends, 1 to 3650 (default 825)\n"
    "  --out FOLDER     cert.pem, key.pem, ca.pem and root.json (what it trusts first) go\n"
    "                   there (default: UNIT); bring them to the unit, and remove key.pem here\n"
    "  --csr FILE       signs a request, so that the key never leaves the unit; made there with\n"
    "                   openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes\n"
    "                     -subj /CN=UNIT -keyout key.pem -out request.pem\n"
    "                   writes all but key.pem\n"
    "  --list           every certificate\n"
    "  --revoke WHOM    all certificates of a unit, or one by 8 digits of its fingerprint;\n"
    "                   a running factory keeps to it within a second\n"
    "  --json           the list as JSON\n";

typedef struct options {
    const char *unit, *data, *out, *csr, *revoke;
    uint64_t days;
    bool list, json, help;
} options;

static fw_status read_options(int argc, char **argv, options *o, fw_error *error) {
    static const char *const flags[] = {"--list", "--json", "--help", NULL};
    const char *words[1] = {NULL};
    int count = 0;
    *o = (options){.days = FW_IDENTITY_DAYS};
    const fw_arg table[] = {{"--data", FW_ARG_TEXT, &o->data, 1, 250},
                            {"--out", FW_ARG_TEXT, &o->out, 1, 250},
                            {"--csr", FW_ARG_TEXT, &o->csr, 1, 400},
                            {"--revoke", FW_ARG_TEXT, &o->revoke, 1, FW_HASH_HEX},
                            {"--days", FW_ARG_U64, &o->days, 1, 3650},
                            {"--list", FW_ARG_FLAG, &o->list, 0, 0},
                            {"--json", FW_ARG_FLAG, &o->json, 0, 0},
                            {"--help", FW_ARG_FLAG, &o->help, 0, 0}};
    FW_TRY(fw_cli_words(&argc, argv, flags, words, 1, &count, error));
    FW_TRY(fw_args_parse(argc, argv, table, sizeof table / sizeof *table, error));
    o->unit = words[0];
    if (o->help) return FW_OK;
    if ((o->unit != NULL) + o->list + (o->revoke != NULL) != 1)
        return fw_fail(error, FW_INVALID, "want UNIT, --list or --revoke WHOM");
    if (!o->data) return fw_fail(error, FW_INVALID, "needs --data DIR");
    return FW_OK;
}

/* What the unit trusts first: without it it takes no model from the network. */
static fw_status write_root(const options *o, const char *folder, fw_error *error) {
    char *bytes = NULL;
    size_t size = 0;
    FW_TRY(fw_trust_root(fw_env_real(), o->data, &bytes, &size, error));
    fw_status status = fw_authority_write(fw_env_real(), folder, "root.json", bytes, 0600, error);
    free(bytes);
    return status;
}

static fw_status write_files(const options *o, const fw_enrolled *e, fw_error *error) {
    const fw_env *env = fw_env_real();
    const char *folder = o->out ? o->out : o->unit;
    FW_TRY(fw_folder_make(folder, 0700, error));
    if (e->key_pem) FW_TRY(fw_authority_write(env, folder, "key.pem", e->key_pem, 0600, error));
    FW_TRY(fw_authority_write(env, folder, "cert.pem", e->cert_pem, 0600, error));
    FW_TRY(fw_authority_write(env, folder, "ca.pem", e->ca_pem, 0600, error));
    FW_TRY(write_root(o, folder, error));
    fprintf(stderr, "flywheel: unit %s: %scert.pem, ca.pem and root.json are in %s\n", e->unit,
            e->key_pem ? "key.pem, " : "", folder);
    puts(e->fingerprint);
    return FW_OK;
}

static fw_status enroll(const options *o, fw_catalogue *catalogue, fw_error *error) {
    char *csr = NULL;
    size_t size;
    fw_enrolled e;
    if (o->csr) FW_TRY(fw_file_read(o->csr, FW_IDENTITY_CSR_MAX_BYTES, &csr, &size, error));
    fw_status status = fw_identity_enroll(fw_env_real(), catalogue, o->data, o->unit, (int)o->days,
                                          csr, &e, error);
    free(csr);
    if (status != FW_OK) return status;
    status = write_files(o, &e, error);
    fw_enrolled_clear(&e);
    return status;
}

static fw_status revoke(const options *o, fw_catalogue *catalogue, fw_error *error) {
    int64_t count = 0;
    FW_TRY(fw_identity_revoke(fw_env_real(), catalogue, o->revoke, &count, error));
    fprintf(stderr, "flywheel: revoked %lld certificate%s of %s\n", (long long)count,
            count == 1 ? "" : "s", o->revoke);
    return FW_OK;
}

static fw_status list(const options *o, fw_catalogue *catalogue, fw_error *error) {
    static const fw_ask_column columns[] = {{"unit", "unit", FW_ASK_TEXT, -16},
                                            {"fingerprint", "fingerprint", FW_ASK_HASH, -12},
                                            {"made", "created_ns", FW_ASK_TIME, -19},
                                            {"ends", "not_after_ns", FW_ASK_TIME, -19},
                                            {"revoked", "revoked_ns", FW_ASK_TIME, -19}};
    char *text = NULL;
    FW_TRY(fw_identity_list(catalogue, &text, error));
    fw_ask_print_text(text, o->json, columns, sizeof columns / sizeof *columns);
    return FW_OK;
}

int fw_cmd_enroll(int argc, char **argv) {
    options o;
    fw_error error = {""};
    fw_catalogue *catalogue;
    if (read_options(argc, argv, &o, &error) != FW_OK) return fw_cli_usage("enroll", &error);
    if (o.help) {
        fputs(help_text, stdout);
        return FW_CLI_DONE;
    }
    if (fw_cli_catalogue(o.data, &catalogue, &error) != FW_OK) return fw_cli_fail(&error);
    fw_status status = o.list     ? list(&o, catalogue, &error)
                       : o.revoke ? revoke(&o, catalogue, &error)
                                  : enroll(&o, catalogue, &error);
    fw_catalogue_close(catalogue);
    return status == FW_OK ? FW_CLI_DONE : fw_cli_fail(&error);
}
