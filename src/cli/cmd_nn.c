/* flywheel nn: looks into networks, measures them, and takes them to ONNX and back. */
#include "cli/cmd_nn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/args.h"
#include "base/file.h"
#include "base/random.h"
#include "cli/cli.h"
#include "nn/onnx/onnx.h"
#include "nn/run/cost.h"
#include "nn/run/fast.h"

static const char help_text[] =
    "usage: flywheel nn summary|profile|check MODEL [OPTIONS]\n"
    "       flywheel nn export MODEL --out FILE.onnx\n"
    "       flywheel nn import FILE.onnx --out MODEL\n\n"
    "  summary          nodes with shapes, parameters and FLOPs; memory of a run\n"
    "  profile          time of each node, against what this machine could do at best\n"
    "  check            loads it, runs it twice on the same numbers, compares bit for bit\n"
    "  export, import   to ONNX (operator set 17) and from it\n\n"
    "  --onnx FILE      an ONNX file in the place of MODEL\n"
    "  --out FILE       what is written\n"
    "  --rows N         examples of a run (default 1)\n"
    "  --runs N         runs of a profile (default 30)\n"
    "  --seed N         of the inputs (default 1)\n"
    "  --json           as JSON\n";

/* ---- loading ---- */

static fw_status load_onnx(const char *path, fw_nn_model *out, fw_error *error) {
    char *bytes = NULL;
    size_t size = 0;
    fw_error why = {""};
    FW_TRY(fw_file_read(path, FW_ONNX_FILE_MAX, &bytes, &size, error));
    fw_status status = fw_onnx_import(bytes, size, out, &why);
    free(bytes);
    return status == FW_OK ? FW_OK : fw_fail(error, status, "%s: %s", path, why.text);
}

static fw_status load(const fw_nn_words *w, fw_nn_model *out, fw_error *error) {
    if (w->onnx) return load_onnx(w->onnx, out, error);
    if (strcmp(w->action, "import") == 0) return load_onnx(w->path, out, error);
    return fw_nn_model_load(w->path, out, error);
}

/* ---- running ---- */

/* Indices stay small: few tables have under two rows, and what lies outside reads as zeros. */
static void *random_input(const fw_nn_value_info *info, uint32_t rows, fw_random *random) {
    size_t count = rows * fw_nn_elements(info->shape);
    float *values = malloc((count + 1) * sizeof *values);
    for (size_t i = 0; values && i < count; i++) {
        if (info->dtype == FW_NN_I32) ((int32_t *)values)[i] = (int32_t)fw_random_below(random, 2);
        else values[i] = fw_random_normal(random);
    }
    return values;
}

fw_status fw_nn_bench_open(const fw_nn_graph *graph, uint32_t rows, uint64_t seed, bool reference,
                           fw_nn_bench *out, fw_error *error) {
    fw_nn_bench b = {.rows = rows};
    fw_nn_plan_options options = {.rows = rows, .backends = reference ? NULL : fw_nn_backends_run};
    fw_status status = fw_nn_plan_make(graph, &options, &b.plan, error);
    if (status == FW_OK) status = fw_nn_session_new(b.plan, &b.session, error);
    for (uint32_t i = 0; i < graph->value_count && status == FW_OK; i++) {
        const fw_nn_value_info *info = &graph->values[i];
        if (info->kind != FW_NN_INPUT) continue;
        fw_random random = fw_random_named(seed, info->name);
        if (b.input_count == sizeof b.inputs / sizeof *b.inputs)
            status = fw_fail(error, FW_TOO_BIG, "a network of over 64 inputs");
        else if (!(b.inputs[b.input_count++] = random_input(info, rows, &random)))
            status = fw_fail(error, FW_NO_MEMORY, "no memory for %u rows of %s", rows, info->name);
    }
    if (status == FW_OK) *out = b;
    else fw_nn_bench_close(&b);
    return status;
}

void fw_nn_bench_run(const fw_nn_bench *b, const float *params,
                     void (*after)(void *, uint32_t, const fw_nn_call *), void *self) {
    fw_nn_session_run(b->session, &(fw_nn_run_args){.parameters = params,
                                                    .inputs = (const void *const *)b->inputs,
                                                    .rows = b->rows,
                                                    .after = after,
                                                    .after_self = self});
}

void fw_nn_bench_close(fw_nn_bench *b) {
    for (uint32_t i = 0; i < b->input_count; i++) free(b->inputs[i]);
    fw_nn_session_free(b->session);
    fw_nn_plan_free(b->plan);
    *b = (fw_nn_bench){0};
}

/* ---- summary ---- */

void fw_nn_shape_text(const fw_nn_value_info *info, char *out, size_t size) {
    size_t at = (size_t)snprintf(out, size, "%s (%s", info->dtype == FW_NN_I32 ? "i32" : "f32",
                                 info->batched ? "N" : "");
    for (uint32_t i = 0; i < info->shape.dims && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%u", i || info->batched ? ", " : "",
                               info->shape.d[i]);
    if (at < size) snprintf(out + at, size - at, ")");
}

static json_t *node_json(const fw_nn_model *m, const fw_nn_node *node, uint32_t rows) {
    char shape[96];
    size_t parameters = 0;
    fw_nn_cost cost = fw_nn_cost_of(m->graph, node, rows);
    fw_nn_shape_text(&m->graph->values[node->outputs[0]], shape, sizeof shape);
    for (uint32_t i = 0; i < node->input_count; i++) {
        const fw_nn_value_info *info = &m->graph->values[node->inputs[i]];
        if (info->kind == FW_NN_PARAMETER) parameters += fw_nn_elements(info->shape);
    }
    return json_pack("{s:s, s:s, s:s, s:I, s:f, s:f}", "name", node->name, "op",
                     fw_nn_op_name(node->op), "output", shape, "parameters",
                     (json_int_t)parameters, "flops", cost.flops, "bytes", cost.bytes);
}

static json_t *values_json(const fw_nn_model *m, bool outputs) {
    json_t *list = json_object();
    char shape[96];
    for (uint32_t i = 0; outputs && i < m->graph->output_count; i++) {
        fw_nn_shape_text(&m->graph->values[m->graph->outputs[i].value], shape, sizeof shape);
        json_object_set_new(list, m->graph->outputs[i].name, json_string(shape));
    }
    for (uint32_t i = 0; !outputs && i < m->graph->value_count; i++) {
        if (m->graph->values[i].kind != FW_NN_INPUT) continue;
        fw_nn_shape_text(&m->graph->values[i], shape, sizeof shape);
        json_object_set_new(list, m->graph->values[i].name, json_string(shape));
    }
    return list;
}

static fw_status summary_json(const fw_nn_model *m, const fw_nn_words *w, json_t **out,
                              fw_error *error) {
    fw_nn_bench bench;
    double flops = 0;
    FW_TRY(fw_nn_bench_open(m->graph, (uint32_t)w->rows, w->seed, false, &bench, error));
    json_t *nodes = json_array();
    for (uint32_t i = 0; i < m->graph->node_count; i++) {
        json_t *node = node_json(m, &m->graph->nodes[i], (uint32_t)w->rows);
        flops += json_real_value(json_object_get(node, "flops"));
        json_array_append_new(nodes, node);
    }
    size_t parameters = fw_nn_parameter_elements(m->graph);
    *out = json_pack("{s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:f}", "inputs",
                     values_json(m, false), "outputs", values_json(m, true), "nodes", nodes, "rows",
                     (json_int_t)w->rows, "parameters", (json_int_t)parameters, "parameter_bytes",
                     (json_int_t)(m->layout.floats * sizeof(float)), "arena_bytes",
                     (json_int_t)fw_nn_plan_arena_bytes(bench.plan), "bound_bytes",
                     (json_int_t)fw_nn_plan_bound_bytes(bench.plan), "flops", flops);
    if (m->words) json_object_set(*out, "words", m->words);
    fw_nn_bench_close(&bench);
    return FW_OK;
}

static json_int_t whole(const json_t *json, const char *key) {
    return json_integer_value(json_object_get(json, key));
}
static double real(const json_t *json, const char *key) {
    return json_number_value(json_object_get(json, key));
}
static const char *text(const json_t *json, const char *key) {
    return json_string_value(json_object_get(json, key));
}

static void print_summary(const json_t *json) {
    const char *key;
    json_t *value;
    size_t i;
    json_object_foreach(json_object_get(json, "inputs"), key, value)
        printf("input   %-24s %s\n", key, json_string_value(value));
    json_object_foreach(json_object_get(json, "outputs"), key, value)
        printf("output  %-24s %s\n", key, json_string_value(value));
    printf("\n%-24s %-14s %-24s %12s %12s\n", "node", "operator", "output", "parameters", "MFLOP");
    json_array_foreach(json_object_get(json, "nodes"), i, value)
        printf("%-24s %-14s %-24s %12lld %12.4f\n", text(value, "name"), text(value, "op"),
               text(value, "output"), (long long)whole(value, "parameters"),
               real(value, "flops") / 1e6);
    printf("\n%lld parameters, %lld bytes; a run of %lld rows: %.4f MFLOP, arena %lld bytes "
           "(liveness bound %lld)\n",
           (long long)whole(json, "parameters"), (long long)whole(json, "parameter_bytes"),
           (long long)whole(json, "rows"), real(json, "flops") / 1e6,
           (long long)whole(json, "arena_bytes"), (long long)whole(json, "bound_bytes"));
}

static fw_status summary(const fw_nn_model *m, const fw_nn_words *w, fw_error *error) {
    json_t *json = NULL;
    FW_TRY(summary_json(m, w, &json, error));
    if (w->json) {
        json_dumpf(json, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        print_summary(json);
    }
    json_decref(json);
    return FW_OK;
}

/* ---- check ---- */

/* Largest difference of two runs' outputs; whether they are the same bits, and finite. */
typedef struct comparison {
    double largest;
    bool same, finite;
} comparison;

static comparison compare(const fw_nn_graph *g, const fw_nn_bench *a, const fw_nn_bench *b) {
    comparison c = {0, true, true};
    for (uint32_t i = 0; i < g->output_count; i++) {
        const fw_nn_value_info *info = &g->values[g->outputs[i].value];
        const float *x = fw_nn_session_value(a->session, g->outputs[i].value);
        const float *y = fw_nn_session_value(b->session, g->outputs[i].value);
        size_t count = fw_nn_elements(info->shape) * (info->batched ? a->rows : 1);
        c.same &= memcmp(x, y, count * sizeof *x) == 0;
        for (size_t n = 0; info->dtype == FW_NN_F32 && n < count; n++) {
            c.finite &= isfinite(x[n]) != 0;
            c.largest = fmax(c.largest, fabs((double)x[n] - (double)y[n]));
        }
    }
    return c;
}

static fw_status check_runs(const fw_nn_model *m, const fw_nn_words *w, fw_nn_bench b[3],
                            fw_error *error) {
    for (int i = 0; i < 3; i++)
        FW_TRY(fw_nn_bench_open(m->graph, (uint32_t)w->rows, w->seed, i == 2, &b[i], error));
    for (int i = 0; i < 3; i++) fw_nn_bench_run(&b[i], m->params, NULL, NULL);
    comparison again = compare(m->graph, &b[0], &b[1]), reference = compare(m->graph, &b[0], &b[2]);
    bool good = again.same && again.finite;
    if (w->json)
        printf("{\"ok\":%s,\"same\":%s,\"finite\":%s,\"from_reference\":%.9g}\n",
               good ? "true" : "false", again.same ? "true" : "false",
               again.finite ? "true" : "false", reference.largest);
    else
        printf("%s: two runs %s, %s; at most %.3g from the reference kernels\n",
               good ? "good" : "bad", again.same ? "give the same bits" : "differ",
               again.finite ? "all numbers finite" : "numbers that are not finite",
               reference.largest);
    return good ? FW_OK : fw_fail(error, FW_MISMATCH, "the network failed its check");
}

static fw_status check(const fw_nn_model *m, const fw_nn_words *w, fw_error *error) {
    fw_nn_bench benches[3] = {0};
    fw_status status = check_runs(m, w, benches, error);
    for (int i = 0; i < 3; i++) fw_nn_bench_close(&benches[i]);
    return status;
}

/* ---- export and import ---- */

static fw_status export_onnx(const fw_nn_model *m, const fw_nn_words *w, fw_error *error) {
    char *bytes = NULL;
    size_t size = 0;
    FW_TRY(fw_onnx_export(m, &bytes, &size, error));
    fw_status status = fw_file_write_durable(fw_env_real(), w->out, bytes, size, error);
    free(bytes);
    if (status == FW_OK) fprintf(stderr, "%s: %zu bytes\n", w->out, size);
    return status;
}

static fw_status import_onnx(const fw_nn_model *m, const fw_nn_words *w, fw_error *error) {
    return fw_nn_model_save(m->graph, m->params, m->words, w->out, error);
}

/* ---- the command ---- */

static const struct {
    const char *name;
    fw_status (*run)(const fw_nn_model *, const fw_nn_words *, fw_error *);
    bool writes;
} actions[] = {{"summary", summary, false}, {"profile", fw_nn_profile, false},
               {"check", check, false},     {"export", export_onnx, true},
               {"import", import_onnx, true}};
enum { ACTIONS = sizeof actions / sizeof *actions };

static int action_of(const char *name) {
    int i = 0;
    while (i < ACTIONS && strcmp(actions[i].name, name) != 0) i++;
    return i;
}

static fw_status read_words(int argc, char **argv, fw_nn_words *w, fw_error *error) {
    static const char *const flags[] = {"--json", "--help", NULL};
    const char *words[2] = {NULL, NULL};
    int count = 0;
    *w = (fw_nn_words){.rows = 1, .runs = 30, .seed = 1};
    const fw_arg table[] = {{"--json", FW_ARG_FLAG, &w->json, 0, 0},
                            {"--help", FW_ARG_FLAG, &w->help, 0, 0},
                            {"--onnx", FW_ARG_TEXT, &w->onnx, 1, 500},
                            {"--out", FW_ARG_TEXT, &w->out, 1, 500},
                            {"--rows", FW_ARG_U64, &w->rows, 1, 1 << 20},
                            {"--runs", FW_ARG_U64, &w->runs, 1, 10000},
                            {"--seed", FW_ARG_U64, &w->seed, 0, UINT64_MAX}};
    FW_TRY(fw_cli_words(&argc, argv, flags, words, 2, &count, error));
    FW_TRY(fw_args_parse(argc, argv, table, sizeof table / sizeof *table, error));
    w->action = words[0];
    w->path = words[1];
    if (w->help) return FW_OK;
    if (!w->action || action_of(w->action) == ACTIONS)
        return fw_fail(error, FW_INVALID, "say summary, profile, check, export or import");
    if (!w->path == !w->onnx) return fw_fail(error, FW_INVALID, "name one model");
    if (actions[action_of(w->action)].writes != (w->out != NULL))
        return fw_fail(error, FW_INVALID, "--out FILE goes with export and import");
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
    if (load(&w, &model, &error) != FW_OK) return fw_cli_fail(&error);
    fw_status status = actions[action_of(w.action)].run(&model, &w, &error);
    fw_nn_model_clear(&model);
    return status == FW_OK ? FW_CLI_DONE : fw_cli_fail(&error);
}
