/* flywheel nn summary: what a network is made of, and what a run of it takes. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cmd_nn.h"
#include "cli/table.h"
#include "nn/run/cost.h"
#include "nn/run/cpu/class.h"

void fw_nn_shape_text(const fw_nn_value_info *info, char *out, size_t size) {
    size_t at = (size_t)snprintf(out, size, "%s (%s", info->dtype == FW_NN_I32 ? "i32" : "f32",
                                 info->batched ? "N" : "");
    for (uint32_t i = 0; i < info->shape.dims && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%u", i || info->batched ? ", " : "",
                               info->shape.d[i]);
    if (at < size) snprintf(out + at, size - at, ")");
}

/* ---- as JSON ---- */

/* Parameters this node reads that no node before it has read. */
static size_t new_parameters(const fw_nn_model *m, const fw_nn_node *node, bool *seen) {
    size_t sum = 0;
    for (uint32_t i = 0; i < node->input_count; i++) {
        const fw_nn_value_info *info = &m->graph->values[node->inputs[i]];
        if (info->kind != FW_NN_PARAMETER || seen[node->inputs[i]]) continue;
        seen[node->inputs[i]] = true;
        sum += fw_nn_elements(info->shape);
    }
    return sum;
}

static json_t *node_json(const fw_nn_model *m, const fw_nn_node *node, uint32_t rows, bool *seen) {
    char shape[96];
    fw_nn_cost cost = fw_nn_cost_of(m->graph, node, rows);
    fw_nn_shape_text(&m->graph->values[node->outputs[0]], shape, sizeof shape);
    return json_pack("{s:s, s:s, s:s, s:I, s:f, s:f}", "name", node->name, "op",
                     fw_nn_op_name(node->op), "output", shape, "parameters",
                     (json_int_t)new_parameters(m, node, seen), "flops", cost.flops, "bytes",
                     cost.bytes);
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
    bool *seen = calloc(m->graph->value_count + 1, sizeof *seen);
    if (!seen) return fw_fail(error, FW_NO_MEMORY, "no memory for a summary");
    fw_status status = fw_nn_bench_open(m, w, false, &bench, error);
    json_t *nodes = status == FW_OK ? json_array() : NULL;
    for (uint32_t i = 0; nodes && i < m->graph->node_count; i++) {
        json_t *node = node_json(m, &m->graph->nodes[i], (uint32_t)w->rows, seen);
        flops += json_real_value(json_object_get(node, "flops"));
        json_array_append_new(nodes, node);
    }
    free(seen);
    if (status != FW_OK) return status;
    *out = json_pack("{s:s, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:f}", "cpu_class",
                     fw_nn_cpu_class(), "inputs", values_json(m, false), "outputs",
                     values_json(m, true), "nodes", nodes, "rows", (json_int_t)w->rows,
                     "parameters", (json_int_t)fw_nn_parameter_elements(m->graph),
                     "parameter_bytes", (json_int_t)(m->layout.floats * sizeof(float)),
                     "arena_bytes", (json_int_t)fw_nn_plan_arena_bytes(bench.runner.plan), "bound_bytes",
                     (json_int_t)fw_nn_plan_bound_bytes(bench.runner.plan), "flops", flops);
    if (m->words) json_object_set(*out, "words", m->words);
    fw_nn_bench_close(&bench);
    return FW_OK;
}

/* ---- for people ---- */

static double real(const json_t *json, const char *key) {
    return json_number_value(json_object_get(json, key));
}
static const char *text(const json_t *json, const char *key) {
    return json_string_value(json_object_get(json, key));
}

static void print_pairs(const json_t *json, const char *title, const char *key) {
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(json, key), name, value) {
        printf("%-10s  %-24s  %s\n", title, name, json_string_value(value));
        title = "";
    }
}

static void print_nodes(const json_t *json) {
    fw_table t = {.columns = 6,
                  .titles = {"node", "operator", "output", "parameters", "FLOP", "of all"},
                  .right = {[3] = true, [4] = true, [5] = true}};
    size_t i;
    json_t *node;
    double flops = real(json, "flops");
    json_array_foreach(json_object_get(json, "nodes"), i, node) {
        double own = real(node, "flops"), parameters = real(node, "parameters");
        fw_table_cell(&t, "%s", text(node, "name"));
        fw_table_cell(&t, "%s", text(node, "op"));
        fw_table_cell(&t, "%s", text(node, "output"));
        if (parameters > 0) fw_table_cell(&t, "%.0f", parameters);
        else fw_table_cell(&t, "-");
        fw_table_cell(&t, "%s", own > 0 ? fw_cli_scaled(own, "") : "-");
        if (own > 0 && flops > 0) fw_table_cell(&t, "%.1f %%", 100 * own / flops);
        else fw_table_cell(&t, "-");
    }
    fw_table_print(&t, stdout);
    fw_table_clear(&t);
}

static void print_summary(const json_t *json) {
    double rows = real(json, "rows"), arena = real(json, "arena_bytes"), bound = real(json, "bound_bytes");
    print_pairs(json, "inputs", "inputs");
    print_pairs(json, "outputs", "outputs");
    print_pairs(json, "words", "words");
    printf("\n");
    print_nodes(json);
    printf("\n%zu nodes, %.0f parameters (%s)\n", json_array_size(json_object_get(json, "nodes")),
           real(json, "parameters"), fw_cli_bytes(real(json, "parameter_bytes")));
    printf("a run of %.0f row%s: %s; arena %s, ", rows, rows == 1 ? "" : "s",
           fw_cli_scaled(real(json, "flops"), "FLOP"), fw_cli_bytes(arena));
    if (arena <= bound) printf("the least that liveness allows\n");
    else printf("%.1f %% over what liveness allows (%s)\n", 100 * (arena / bound - 1), fw_cli_bytes(bound));
    printf("CPU class %s\n", text(json, "cpu_class"));
}

fw_status fw_nn_summary(const fw_nn_model *m, const fw_nn_words *w, fw_error *error) {
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
