/* flywheel nn: looks into networks, measures them, and takes them to ONNX and back. */
#include "cli/cmd_nn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/args.h"
#include "base/file.h"
#include "cli/cli.h"
#include "nn/onnx/onnx.h"

static const char help_text[] =
    "usage: flywheel nn summary|profile|check MODEL [OPTIONS]\n"
    "       flywheel nn export MODEL -o FILE.onnx\n"
    "       flywheel nn import FILE.onnx -o MODEL\n"
    "       flywheel nn quantise MODEL --with EXAMPLES.safetensors -o MODEL\n\n"
    "  summary          nodes with shapes, parameters and FLOPs; memory of a run\n"
    "  profile          time of each node, against what this machine could do at best\n"
    "  check            is it whole: runs it twice, compares bit for bit, and with the\n"
    "                   reference kernels; exit status 1 and the reason when it is not\n"
    "  export, import   to ONNX (operator set 17) and from it\n"
    "  quantise         sees on examples how large its numbers become, so that it can run in int8;\n"
    "                   prints how far each node is then from fp32\n\n"
    "  MODEL            a network file, or an ONNX file\n"
    "  --onnx FILE      an ONNX file whatever its name\n"
    "  -o, --out FILE   what is written\n"
    "  --precision P    fp32 (default), bf16, or int8 of a quantised model\n"
    "  --with FILE      examples to quantise by: a tensor (N, ..) for each input, by its name\n"
    "  --share PERCENT  of the numbers lie within a range (default 99.99; 100: all)\n"
    "  --rows N         examples of a run (default 1)\n"
    "  --runs N         runs of a profile (default 30)\n"
    "  --seed N         of the inputs (default 1)\n"
    "  --json           as JSON\n";

/* ---- loading ---- */

static bool ends_in(const char *path, const char *with) {
    size_t size = strlen(path), tail = strlen(with);
    return size >= tail && strcmp(path + size - tail, with) == 0;
}

/* A network file has a { behind the eight bytes of its header's size. */
static fw_status read_either(const fw_nn_words *w, const char *path, const char *bytes, size_t size,
                             fw_nn_model *out, fw_error *error) {
    bool forced = w->onnx || strcmp(w->action, "import") == 0 || ends_in(path, ".onnx");
    bool ours = size > 8 && bytes[8] == '{';
    fw_error why = {""};
    if (!forced && !ours && (size < 2 || bytes[0] != 8)) /* ONNX begins with its version */
        return fw_fail(error, FW_CORRUPT, "%s is no network: neither one of ours nor ONNX", path);
    fw_status status = forced || !ours ? fw_onnx_import(bytes, size, out, &why)
                                       : fw_nn_model_read(bytes, size, out, &why);
    return status == FW_OK ? FW_OK : fw_fail(error, status, "%s: %s", path, why.text);
}

static fw_status load(const fw_nn_words *w, fw_nn_model *out, fw_error *error) {
    const char *path = w->onnx ? w->onnx : w->path;
    char *bytes = NULL;
    size_t size = 0;
    FW_TRY(fw_file_read(path, FW_NN_MODEL_FILE_MAX, &bytes, &size, error));
    fw_status status = read_either(w, path, bytes, size, out, error);
    free(bytes);
    return status;
}

/* ---- export and import ---- */

/* Both names are one file: writing would take the place of what was read. */
static bool same_file(const char *a, const char *b) {
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static fw_status export_onnx(const fw_nn_model *m, const fw_nn_words *w, fw_error *error) {
    char *bytes = NULL;
    size_t size = 0;
    FW_TRY(fw_onnx_export(m, &bytes, &size, error));
    fw_status status = FW_OK;
    if (same_file(w->onnx ? w->onnx : w->path, w->out))
        status = fw_fail(error, FW_INVALID, "%s is the model itself: name another file", w->out);
    else
        status = fw_file_write_durable(fw_env_real(), w->out, bytes, size, error);
    free(bytes);
    if (status == FW_OK) fprintf(stderr, "%s: %zu bytes\n", w->out, size);
    return status;
}

static fw_status import_onnx(const fw_nn_model *m, const fw_nn_words *w, fw_error *error) {
    FW_TRY(fw_nn_model_save(m->graph, m->params, m->words, w->out, error));
    fprintf(stderr, "%s: %u nodes, %zu parameters\n", w->out, m->graph->node_count,
            fw_nn_parameter_elements(m->graph));
    return FW_OK;
}

/* ---- the command ---- */

static const struct {
    const char *name;
    fw_status (*run)(const fw_nn_model *, const fw_nn_words *, fw_error *);
    bool writes;
} actions[] = {{"summary", fw_nn_summary, false}, {"profile", fw_nn_profile, false},
               {"check", fw_nn_check, false},     {"export", export_onnx, true},
               {"import", import_onnx, true},     {"quantise", fw_nn_quantise, true}};
enum { ACTIONS = sizeof actions / sizeof *actions };

static int action_of(const char *name) {
    int i = 0;
    while (i < ACTIONS && strcmp(actions[i].name, name) != 0) i++;
    return i;
}

static fw_status share_of(const char *text, double *out, fw_error *error) {
    char *end = NULL;
    *out = text ? strtod(text, &end) / 100 : 0.9999;
    if (text && (*end || end == text || !(*out > 0 && *out <= 1)))
        return fw_fail(error, FW_INVALID, "--share is a percentage above 0, at most 100");
    return FW_OK;
}

static fw_status read_words(int argc, char **argv, fw_nn_words *w, fw_error *error) {
    static const char *const flags[] = {"--json", "--help", NULL};
    const char *words[2] = {NULL, NULL}, *share = NULL;
    int count = 0;
    *w = (fw_nn_words){.rows = 1, .runs = 30, .seed = 1};
    const fw_arg table[] = {{"--json", FW_ARG_FLAG, &w->json, 0, 0},
                            {"--help", FW_ARG_FLAG, &w->help, 0, 0},
                            {"--onnx", FW_ARG_TEXT, &w->onnx, 1, 500},
                            {"--out", FW_ARG_TEXT, &w->out, 1, 500},
                            {"--with", FW_ARG_TEXT, &w->with, 1, 500},
                            {"--share", FW_ARG_TEXT, &share, 1, 20},
                            {"--precision", FW_ARG_TEXT, &w->precision, 1, 20},
                            {"--rows", FW_ARG_U64, &w->rows, 1, 1 << 20},
                            {"--runs", FW_ARG_U64, &w->runs, 1, 10000},
                            {"--seed", FW_ARG_U64, &w->seed, 0, UINT64_MAX}};
    static char out[] = "--out";
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "-o") == 0) argv[i] = out;
    FW_TRY(fw_cli_words(&argc, argv, flags, words, 2, &count, error));
    FW_TRY(fw_args_parse(argc, argv, table, sizeof table / sizeof *table, error));
    w->action = words[0];
    w->path = words[1];
    if (w->help) return FW_OK;
    if (!w->action || action_of(w->action) == ACTIONS)
        return fw_fail(error, FW_INVALID, "say summary, profile, check, export, import or quantise");
    if (!w->path == !w->onnx) return fw_fail(error, FW_INVALID, "name one model");
    if (actions[action_of(w->action)].writes != (w->out != NULL))
        return fw_fail(error, FW_INVALID, "-o FILE goes with export, import and quantise");
    bool quantises = strcmp(w->action, "quantise") == 0;
    if (quantises != (w->with != NULL) || (share && !quantises))
        return fw_fail(error, FW_INVALID, "--with FILE and --share PERCENT go with quantise");
    FW_TRY(share_of(share, &w->share, error));
    if (w->precision && fw_nn_precision_find(w->precision, &w->dtype) != FW_OK)
        return fw_fail(error, FW_INVALID, "--precision is fp32, bf16 or int8");
    return FW_OK;
}

int fw_cmd_nn(int argc, char **argv) {
    fw_nn_words w;
    fw_nn_model model;
    fw_error error = {""};
    if (read_words(argc, argv, &w, &error) != FW_OK) return fw_cli_usage("nn", &error);
    if (w.help) {
        fputs(help_text, stdout);
        return FW_CLI_DONE;
    }
    if (load(&w, &model, &error) != FW_OK) {
        if (strcmp(w.action, "check") == 0) fw_nn_check_unreadable(&w, error.text);
        return fw_cli_fail(&error);
    }
    fw_status status = actions[action_of(w.action)].run(&model, &w, &error);
    fw_nn_model_clear(&model);
    return status == FW_OK ? FW_CLI_DONE : fw_cli_fail(&error);
}
