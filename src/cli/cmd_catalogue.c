/* flywheel catalogue: made again from the objects, or compared with them (factory/catalogue/rebuild.h). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/args.h"
#include "cli/cli.h"
#include "factory/catalogue/rebuild.h"

static const char help_text[] =
    "usage: flywheel catalogue rebuild --data DIR [--json]\n"
    "       flywheel catalogue check --data DIR [--deep] [--json]\n\n"
    "serve must be stopped.\n\n"
    "rebuild    makes the catalogue anew from DIR/objects; it answers every query as before. What is\n"
    "           in no object (models, generations, settings, the log) comes from the old one\n"
    "check      says whether catalogue and objects agree; exit 1 when they do not\n\n"
    "  --data DIR       the factory's data folder\n"
    "  --deep           check: look through every recording again and compare every row\n"
    "  --json           the figures as JSON\n";

typedef struct options {
    const char *data;
    bool deep, json, help, rebuild;
} options;

static fw_status read_options(int argc, char **argv, options *o, fw_error *error) {
    static const char *const flags[] = {"--json", "--deep", "--help", NULL};
    const char *words[1] = {""};
    int count = 0;
    *o = (options){.data = NULL};
    const fw_arg table[] = {{"--data", FW_ARG_TEXT, &o->data, 1, 250},
                            {"--deep", FW_ARG_FLAG, &o->deep, 0, 0},
                            {"--json", FW_ARG_FLAG, &o->json, 0, 0},
                            {"--help", FW_ARG_FLAG, &o->help, 0, 0}};
    FW_TRY(fw_cli_words(&argc, argv, flags, words, 1, &count, error));
    FW_TRY(fw_args_parse(argc, argv, table, sizeof table / sizeof *table, error));
    if (o->help) return FW_OK;
    o->rebuild = strcmp(words[0], "rebuild") == 0;
    if (!o->rebuild && strcmp(words[0], "check") != 0)
        return fw_fail(error, FW_INVALID, "want rebuild or check");
    if (o->rebuild && o->deep) return fw_fail(error, FW_INVALID, "--deep is for check");
    if (!o->data) return fw_fail(error, FW_INVALID, "needs --data DIR");
    return FW_OK;
}

static fw_status rebuild(const options *o, fw_error *error) {
    fw_rebuild_report r = {0};
    FW_TRY(fw_rebuild(fw_env_real(), o->data, &fw_line_driving, &r, error));
    if (o->json)
        printf("{\"objects\":%" PRId64 ",\"recordings\":%" PRId64 ",\"expired\":%" PRId64
               ",\"erased\":%" PRId64 ",\"broken\":%" PRId64 ",\"had_old\":%s}\n",
               r.objects, r.recordings, r.expired, r.erased, r.broken,
               r.had_old ? "true" : "false");
    else
        printf("%" PRId64 " objects, of them %" PRId64 " recordings (%" PRId64 " expired, %" PRId64
               " erased, %" PRId64 " broken)%s\n",
               r.objects, r.recordings, r.expired, r.erased, r.broken,
               r.had_old ? "" : "; the old catalogue could not be read: models, generations, "
                                "settings and the log are gone");
    return FW_OK;
}

static fw_status check(const options *o, fw_error *error) {
    fw_check_report r = {0};
    FW_TRY(fw_catalogue_check(fw_env_real(), o->data, &fw_line_driving, o->deep, &r, error));
    bool equal = fw_check_equal(&r);
    if (o->json)
        printf("{\"equal\":%s,\"objects\":%" PRId64 ",\"missing\":%" PRId64 ",\"left_over\":%" PRId64
               ",\"unlisted\":%" PRId64 ",\"unknown\":%" PRId64 ",\"differing\":%" PRId64
               ",\"unacked\":%" PRId64 "}\n",
               equal ? "true" : "false", r.objects, r.missing, r.left_over, r.unlisted, r.unknown,
               r.differing, r.unacked);
    else if (equal)
        printf("the catalogue equals its %" PRId64 " objects; %" PRId64 " files were never acked\n",
               r.objects, r.unacked);
    if (equal) return FW_OK;
    return fw_fail(error, FW_MISMATCH,
                   "the catalogue does not equal the objects: %" PRId64 " missing, %" PRId64
                   " left over, %" PRId64 " not in the ledger, %" PRId64 " only in the ledger, %" PRId64
                   " rows differ; see flywheel catalogue rebuild",
                   r.missing, r.left_over, r.unlisted, r.unknown, r.differing);
}

int fw_cmd_catalogue(int argc, char **argv) {
    options o;
    fw_error error = {""};
    if (read_options(argc, argv, &o, &error) != FW_OK) return fw_cli_usage("catalogue", &error);
    if (o.help) {
        fputs(help_text, stdout);
        return FW_CLI_DONE;
    }
    fw_status status = o.rebuild ? rebuild(&o, &error) : check(&o, &error);
    return status == FW_OK ? FW_CLI_DONE : fw_cli_fail(&error);
}
