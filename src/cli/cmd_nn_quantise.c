/* flywheel nn quantise: ranges of calibration from examples, and how far int8 is then from fp32, node by
 * node. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/cmd_nn.h"
#include "cli/table.h"
#include "nn/run/calibrate.h"
#include "nn/run/cpu/int8.h"
#include "nn/run/runner.h"
#include "nn/run/safetensors.h"

enum { INPUTS_MAX = 64, RUN_ROWS = 64, RUN_FLOATS = 1 << 26 };
#define EXAMPLES_BYTES_MAX ((size_t)1 << 33)

/* ---- examples: a tensor (N, ..) for each input of the network ---- */

typedef struct examples {
    void *values[INPUTS_MAX]; /* (rows, elements), in the order of the inputs; owned */
    size_t each[INPUTS_MAX];  /* bytes of one example */
    uint32_t inputs;
    uint64_t rows;
} examples;

static void examples_clear(examples *e) {
    for (uint32_t i = 0; i < e->inputs; i++) free(e->values[i]);
}

static fw_status take_input(examples *e, const fw_nn_value_info *info, const fw_safetensors *file,
                            fw_error *error) {
    const fw_tensor *t = fw_safetensors_find_any(file, info->name);
    fw_tensor_dtype dtype = info->dtype == FW_NN_I32 ? FW_TENSOR_I32 : FW_TENSOR_F32;
    if (e->inputs == INPUTS_MAX)
        return fw_fail(error, FW_TOO_BIG, "a network of over %d inputs", INPUTS_MAX);
    if (!t) return fw_fail(error, FW_INVALID, "the examples have no tensor %s", info->name);
    bool fits = t->dtype == dtype && t->dims == info->shape.dims + 1 && t->shape[0] > 0;
    for (uint32_t d = 0; fits && d < info->shape.dims; d++)
        fits = t->shape[d + 1] == info->shape.d[d];
    if (!fits) {
        char shape[96];
        fw_nn_shape_text(info, shape, sizeof shape);
        return fw_fail(error, FW_INVALID, "tensor %s of the examples is not %s", info->name, shape);
    }
    if (e->inputs > 0 && t->shape[0] != e->rows)
        return fw_fail(error, FW_INVALID, "%s has another number of examples", info->name);
    size_t each = fw_nn_elements(info->shape) * sizeof(float), bytes = t->shape[0] * each;
    void *values = malloc(bytes + 1);
    if (!values) return fw_fail(error, FW_NO_MEMORY, "no memory for %zu bytes of examples", bytes);
    memcpy(values, t->data, bytes);
    e->values[e->inputs] = values;
    e->each[e->inputs++] = each;
    e->rows = t->shape[0];
    return FW_OK;
}

static fw_status examples_load(const fw_nn_graph *graph, const char *path, examples *e,
                               fw_error *error) {
    char *bytes = NULL;
    size_t size = 0;
    fw_safetensors file;
    fw_error why = {""};
    FW_TRY(fw_file_read(path, EXAMPLES_BYTES_MAX, &bytes, &size, error));
    fw_status status = fw_safetensors_read(bytes, size, &file, &why);
    if (status == FW_OK) {
        for (uint32_t i = 0; status == FW_OK && i < graph->value_count; i++)
            if (graph->values[i].kind == FW_NN_INPUT)
                status = take_input(e, &graph->values[i], &file, &why);
        fw_safetensors_clear(&file);
    }
    free(bytes);
    if (status == FW_OK && e->inputs == 0)
        status = fw_fail(&why, FW_INVALID, "a network without inputs has nothing to quantise by");
    return status == FW_OK ? FW_OK : fw_fail(error, status, "%s: %s", path, why.text);
}

/* Inputs of examples [first, ..), and how many run together. */
static uint32_t take_rows(const examples *e, uint64_t first, uint32_t at_once,
                          const void *inputs[INPUTS_MAX]) {
    for (uint32_t i = 0; i < e->inputs; i++)
        inputs[i] = (const char *)e->values[i] + first * e->each[i];
    return e->rows - first < at_once ? (uint32_t)(e->rows - first) : at_once;
}

/* So many that all values of a run stay within RUN_FLOATS. */
static uint32_t rows_at_once(const fw_nn_graph *graph) {
    size_t floats = 1;
    for (uint32_t i = 0; i < graph->value_count; i++)
        if (graph->values[i].batched) floats += fw_nn_elements(graph->values[i].shape);
    size_t rows = RUN_FLOATS / floats;
    return rows < 1 ? 1 : rows > RUN_ROWS ? RUN_ROWS : (uint32_t)rows;
}

/* ---- calibration ---- */

static fw_status calibrate(const fw_nn_model *m, const examples *e, double share, float *ranges,
                           fw_error *error) {
    const void *inputs[INPUTS_MAX];
    fw_nn_calibration *c = NULL;
    uint32_t at_once = rows_at_once(m->graph);
    FW_TRY(fw_nn_calibration_new(m->graph, at_once, &c, error));
    fw_status status = FW_OK;
    for (uint64_t i = 0; status == FW_OK && i < e->rows; i += at_once) {
        uint32_t rows = take_rows(e, i, at_once, inputs);
        status = fw_nn_calibration_add(c, m->params, inputs, rows, error);
    }
    if (status == FW_OK) fw_nn_calibration_ranges(c, share, ranges);
    fw_nn_calibration_free(c);
    return status;
}

/* ---- the error of each node ---- */

typedef struct node_error {
    float *fp32;      /* (rows, elements) of its step's output in this run; owned */
    uint32_t fused;   /* the operator done in the same step */
    const char *kernels;
    double square, difference; /* sums of squares: of fp32, of int8 less fp32 */
    double largest;
} node_error;

typedef struct comparing {
    const fw_nn_graph *graph;
    const fw_nn_plan *plan; /* of the run that goes on */
    bool int8, lacked;      /* lacked: memory */
    node_error *of;         /* (node_count) */
} comparing;

static void keep_output(comparing *c, node_error *n, const fw_nn_call *call, size_t count) {
    float *kept = realloc(n->fp32, (count + 1) * sizeof *kept);
    if (!kept) {
        c->lacked = true;
        return;
    }
    memcpy(kept, call->out[0].data, count * sizeof *kept);
    n->fp32 = kept;
    n->fused = call->fused;
}

static void look(void *self, uint32_t step, const fw_nn_call *call) {
    comparing *c = self;
    node_error *n = &c->of[fw_nn_plan_step(c->plan, step) - c->graph->nodes];
    size_t count = fw_nn_total(call, &call->out[0]);
    if (call->out[0].dtype != FW_NN_F32) return;
    if (!c->int8) {
        keep_output(c, n, call, count);
        return;
    }
    n->kernels = fw_nn_plan_backend(c->plan, step);
    if (!n->fp32 || n->fused != call->fused) return; /* another step there: nothing to compare */
    const float *got = fw_nn_out(call, 0);
    for (size_t i = 0; i < count; i++) {
        double wanted = (double)n->fp32[i], apart = (double)got[i] - wanted;
        n->square += wanted * wanted;
        n->difference += apart * apart;
        n->largest = fmax(n->largest, fabs(apart));
    }
}

static fw_status compare(const fw_nn_model *m, const examples *e, node_error *errors,
                         fw_nn_runner runners[2], fw_error *error) {
    const void *inputs[INPUTS_MAX];
    comparing c = {.graph = m->graph, .of = errors};
    uint32_t at_once = rows_at_once(m->graph);
    FW_TRY(fw_nn_runner_open(m, FW_NN_F32, at_once, &runners[0], error));
    FW_TRY(fw_nn_runner_open(m, FW_NN_I8, at_once, &runners[1], error));
    for (uint64_t i = 0; i < e->rows && !c.lacked; i += at_once) {
        uint32_t rows = take_rows(e, i, at_once, inputs);
        for (int k = 0; k < 2 && !c.lacked; k++) {
            c.plan = runners[k].plan;
            c.int8 = k == 1;
            runners[k].args.after = look;
            runners[k].args.after_self = &c;
            fw_nn_runner_run(&runners[k], inputs, rows);
        }
    }
    return c.lacked ? fw_fail(error, FW_NO_MEMORY, "no memory to compare with fp32") : FW_OK;
}

/* ---- what is printed ---- */

static double share_apart(const node_error *n) {
    return n->square > 0 ? sqrt(n->difference / n->square) : 0;
}

static json_t *report_json(const fw_nn_model *m, const examples *e, const node_error *errors,
                           const fw_nn_runner runners[2]) {
    json_t *nodes = json_array();
    for (uint32_t i = 0; i < m->graph->node_count; i++) {
        const fw_nn_node *node = &m->graph->nodes[i];
        if (!errors[i].kernels) continue;
        json_t *json = json_pack("{s:s, s:s, s:s, s:f, s:f}", "name", node->name, "op",
                                 fw_nn_op_name(node->op), "kernels", errors[i].kernels, "error",
                                 share_apart(&errors[i]), "largest", errors[i].largest);
        if (strcmp(errors[i].kernels, fw_nn_backend_int8.name) == 0)
            json_object_set_new(json, "range", json_real((double)m->ranges[node->inputs[0]]));
        json_array_append_new(nodes, json);
    }
    double total = 0; /* of the last step: errors add up on the way */
    for (uint32_t i = 0; i < m->graph->node_count; i++)
        if (errors[i].kernels) total = share_apart(&errors[i]);
    return json_pack("{s:o, s:I, s:f, s:I, s:I}", "nodes", nodes, "examples", (json_int_t)e->rows,
                     "error", total, "fp32_bytes",
                     (json_int_t)fw_nn_plan_packed_bytes(runners[0].plan), "int8_bytes",
                     (json_int_t)fw_nn_plan_packed_bytes(runners[1].plan));
}

static void print_report(const json_t *json) {
    size_t i;
    json_t *node;
    fw_table t = {.columns = 6,
                  .titles = {"node", "operator", "kernels", "range", "error", "largest"},
                  .right = {[3] = true, [4] = true, [5] = true}};
    json_array_foreach(json_object_get(json, "nodes"), i, node) {
        const json_t *range = json_object_get(node, "range");
        fw_table_cell(&t, "%s", json_string_value(json_object_get(node, "name")));
        fw_table_cell(&t, "%s", json_string_value(json_object_get(node, "op")));
        fw_table_cell(&t, "%s", json_string_value(json_object_get(node, "kernels")));
        if (range) fw_table_cell(&t, "%.5g", json_real_value(range));
        else fw_table_cell(&t, "-");
        fw_table_cell(&t, "%.3f %%", 100 * json_real_value(json_object_get(node, "error")));
        fw_table_cell(&t, "%.4g", json_real_value(json_object_get(node, "largest")));
    }
    fw_table_print(&t, stdout);
    fw_table_clear(&t);
    printf("\nrange: numbers that the node reads lie within +- it\n"
           "error: rms of what differs from fp32, in %% of the rms of fp32, over %lld examples\n"
           "largest: difference of a single number from fp32\n"
           "%.3f %% in the last node; packed parameters %s, in fp32 %s\n",
           (long long)json_integer_value(json_object_get(json, "examples")),
           100 * json_real_value(json_object_get(json, "error")),
           fw_cli_bytes((double)json_integer_value(json_object_get(json, "int8_bytes"))),
           fw_cli_bytes((double)json_integer_value(json_object_get(json, "fp32_bytes"))));
}

static fw_status report(const fw_nn_model *m, const examples *e, bool as_json, fw_error *error) {
    fw_nn_runner runners[2] = {0};
    node_error *errors = calloc(m->graph->node_count + 1, sizeof *errors);
    if (!errors) return fw_fail(error, FW_NO_MEMORY, "no memory to compare with fp32");
    fw_status status = compare(m, e, errors, runners, error);
    if (status == FW_OK) {
        json_t *json = report_json(m, e, errors, runners);
        if (as_json) json_dumpf(json, stdout, JSON_INDENT(2)), putchar('\n');
        else print_report(json);
        json_decref(json);
    }
    for (uint32_t i = 0; i < m->graph->node_count; i++) free(errors[i].fp32);
    free(errors);
    for (int k = 0; k < 2; k++) fw_nn_runner_close(&runners[k]);
    return status;
}

/* ---- the action ---- */

static fw_status with_ranges(const fw_nn_model *model, const fw_nn_words *w, const examples *e,
                             float *ranges, fw_error *error) {
    fw_nn_model m = *model;
    FW_TRY(calibrate(model, e, w->share, ranges, error));
    m.ranges = ranges;
    json_t *words = m.words ? json_copy(m.words) : json_object();
    fw_status status = fw_nn_ranges_note(m.graph, ranges, words, error);
    if (status == FW_OK) status = report(&m, e, w->json, error);
    if (status == FW_OK) status = fw_nn_model_save(m.graph, m.params, words, w->out, error);
    json_decref(words);
    return status;
}

fw_status fw_nn_quantise(const fw_nn_model *model, const fw_nn_words *w, fw_error *error) {
    examples e = {0};
    float *ranges = calloc(model->graph->value_count + 1, sizeof *ranges);
    if (!ranges) return fw_fail(error, FW_NO_MEMORY, "no memory for ranges");
    fw_status status = examples_load(model->graph, w->with, &e, error);
    if (status == FW_OK) status = with_ranges(model, w, &e, ranges, error);
    examples_clear(&e);
    free(ranges);
    return status;
}
