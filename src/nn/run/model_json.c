/* model_json.c - a graph as JSON and back (model.h). */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/run/model.h"

static const char *const dtype_names[] = {"f32", "i32"};
static const char *const init_names[] = {"zero", "one", "normal", "uniform"};
enum { DTYPES = 2, INITS = 4, ATTR_I = 8, ATTR_F = 4 };

/* ---- writing ---- */

/* Number of each value in the file; FW_NN_NONE: it is left out. */
typedef struct numbering {
    uint32_t *of;  /* (value_count) */
    bool *needed;  /* (node_count) */
} numbering;

static void mark_needed(const fw_nn_graph *graph, bool all, numbering *n) {
    for (uint32_t i = 0; i < graph->value_count; i++) n->of[i] = all ? 0 : FW_NN_NONE;
    for (uint32_t i = 0; i < graph->output_count; i++) n->of[graph->outputs[i].value] = 0;
    for (uint32_t i = graph->node_count; i-- > 0;) {
        const fw_nn_node *node = &graph->nodes[i];
        for (uint32_t k = 0; k < node->output_count; k++)
            n->needed[i] |= n->of[node->outputs[k]] == 0;
        for (uint32_t k = 0; n->needed[i] && k < node->input_count; k++)
            n->of[node->inputs[k]] = 0;
    }
}

static void count_kind(const fw_nn_graph *graph, fw_nn_kind kind, numbering *n, uint32_t *next) {
    for (uint32_t i = 0; i < graph->value_count; i++)
        if (graph->values[i].kind == kind && n->of[i] != FW_NN_NONE) n->of[i] = (*next)++;
}

static void number(const fw_nn_graph *graph, bool all, numbering *n) {
    uint32_t next = 0;
    mark_needed(graph, all, n);
    count_kind(graph, FW_NN_INPUT, n, &next);
    count_kind(graph, FW_NN_PARAMETER, n, &next);
    for (uint32_t i = 0; i < graph->node_count; i++)
        for (uint32_t k = 0; n->needed[i] && k < graph->nodes[i].output_count; k++)
            n->of[graph->nodes[i].outputs[k]] = next++;
}

static json_t *shape_json(fw_nn_shape shape) {
    json_t *array = json_array();
    for (uint32_t i = 0; i < shape.dims; i++)
        json_array_append_new(array, json_integer((json_int_t)shape.d[i]));
    return array;
}

static json_t *float_json(float value) {
    return isinf(value) ? json_string(value > 0 ? "inf" : "-inf") : json_real((double)value);
}

static bool is_zero(float value) {
    static const float zero = 0;
    return memcmp(&value, &zero, sizeof zero) == 0;
}

static json_t *node_json(const fw_nn_node *node, const numbering *n) {
    json_t *json = json_object(), *inputs = json_array(), *i = json_array(), *f = json_array();
    uint32_t used_i = ATTR_I, used_f = ATTR_F;
    while (used_i > 0 && node->attr.i[used_i - 1] == 0) used_i--;
    while (used_f > 0 && is_zero(node->attr.f[used_f - 1])) used_f--;
    for (uint32_t k = 0; k < node->input_count; k++)
        json_array_append_new(inputs, json_integer((json_int_t)n->of[node->inputs[k]]));
    for (uint32_t k = 0; k < used_i; k++) json_array_append_new(i, json_integer(node->attr.i[k]));
    for (uint32_t k = 0; k < used_f; k++) json_array_append_new(f, float_json(node->attr.f[k]));
    json_object_set_new(json, "name", json_string(node->name));
    json_object_set_new(json, "op", json_string(fw_nn_op_name(node->op)));
    json_object_set_new(json, "inputs", inputs);
    if (used_i > 0) json_object_set(json, "i", i);
    if (used_f > 0) json_object_set(json, "f", f);
    json_decref(i);
    json_decref(f);
    return json;
}

static json_t *value_json(const fw_nn_value_info *value) {
    json_t *json = json_object();
    json_object_set_new(json, "name", json_string(value->name));
    json_object_set_new(json, "shape", shape_json(value->shape));
    if (value->kind == FW_NN_INPUT) {
        json_object_set_new(json, "dtype", json_string(dtype_names[value->dtype]));
    } else {
        json_object_set_new(json, "init", json_string(init_names[value->init]));
        json_object_set_new(json, "scale", float_json(value->init_scale));
    }
    return json;
}

static json_t *graph_json(const fw_nn_graph *graph, const numbering *n) {
    json_t *json = json_object(), *inputs = json_array(), *parameters = json_array();
    json_t *nodes = json_array(), *outputs = json_array();
    for (uint32_t i = 0; i < graph->value_count; i++) {
        const fw_nn_value_info *value = &graph->values[i];
        if (value->kind == FW_NN_MADE || n->of[i] == FW_NN_NONE) continue;
        json_array_append_new(value->kind == FW_NN_INPUT ? inputs : parameters, value_json(value));
    }
    for (uint32_t i = 0; i < graph->node_count; i++)
        if (n->needed[i]) json_array_append_new(nodes, node_json(&graph->nodes[i], n));
    for (uint32_t i = 0; i < graph->output_count; i++) {
        json_t *output = json_object();
        json_object_set_new(output, "name", json_string(graph->outputs[i].name));
        json_object_set_new(output, "value",
                            json_integer((json_int_t)n->of[graph->outputs[i].value]));
        json_array_append_new(outputs, output);
    }
    json_object_set_new(json, "version", json_integer(FW_NN_MODEL_VERSION));
    json_object_set_new(json, "inputs", inputs);
    json_object_set_new(json, "parameters", parameters);
    json_object_set_new(json, "nodes", nodes);
    json_object_set_new(json, "outputs", outputs);
    return json;
}

static fw_status check_writable(const fw_nn_graph *graph, bool all, const numbering *n,
                                fw_error *error) {
    if (!all && graph->output_count == 0)
        return fw_fail(error, FW_INVALID, "a model needs an output: fw_nn_output_add names one");
    for (uint32_t i = 0; i < graph->value_count; i++)
        if (n->of[i] != FW_NN_NONE && graph->values[i].kind == FW_NN_INPUT &&
            graph->values[i].dtype >= FW_NN_BF16)
            return fw_fail(error, FW_UNSUPPORTED, "input %s: only f32 and i32 are written",
                           graph->values[i].name);
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const fw_nn_node *node = &graph->nodes[i];
        if (!n->needed[i]) continue;
        if (!all && node->op >= FW_NN_OP_COUNT)
            return fw_fail(error, FW_UNSUPPORTED, "node %s (%s): a gradient is no part of a model",
                           node->name, fw_nn_op_name(node->op));
        for (uint32_t k = 0; k < ATTR_F; k++)
            if (isnan(node->attr.f[k]))
                return fw_fail(error, FW_INVALID, "node %s: an attribute is no number", node->name);
    }
    return FW_OK;
}

fw_status fw_nn_graph_to_json(const fw_nn_graph *graph, bool all, json_t **out, fw_error *error) {
    FW_TRY(fw_nn_graph_check(graph, error));
    numbering n = {.of = calloc(graph->value_count + 1, sizeof *n.of),
                   .needed = calloc(graph->node_count + 1, sizeof *n.needed)};
    fw_status status = FW_OK;
    if (!n.of || !n.needed) {
        status = fw_fail(error, FW_NO_MEMORY, "no memory for a network");
    } else {
        number(graph, all, &n);
        status = check_writable(graph, all, &n, error);
    }
    if (status == FW_OK) *out = graph_json(graph, &n);
    free(n.of);
    free(n.needed);
    return status;
}

fw_status fw_nn_graph_numbers(const fw_nn_graph *graph, uint32_t *numbers, fw_error *error) {
    numbering n = {.of = numbers, .needed = calloc(graph->node_count + 1, sizeof *n.needed)};
    if (!n.needed) return fw_fail(error, FW_NO_MEMORY, "no memory for a network");
    number(graph, false, &n);
    free(n.needed);
    return FW_OK;
}

/* ---- reading ---- */

/* Number in the file -> value of the graph. */
typedef struct reading {
    fw_nn_graph *graph;
    fw_nn_value *values; /* (count, of room) */
    uint32_t count, room;
} reading;

static fw_status note(reading *r, fw_nn_value value, fw_error *error) {
    if (r->count == r->room) {
        uint32_t room = 2 * r->room + 64;
        fw_nn_value *grown = realloc(r->values, room * sizeof *grown);
        if (!grown) return fw_fail(error, FW_NO_MEMORY, "no memory for a network");
        r->values = grown;
        r->room = room;
    }
    r->values[r->count++] = value;
    return FW_OK;
}

static const char *text_of(const json_t *json, const char *key) {
    return json_string_value(json_object_get(json, key));
}

static bool integer_in(const json_t *json, json_int_t low, json_int_t high, json_int_t *out) {
    *out = json_integer_value(json);
    return json_is_integer(json) && *out >= low && *out <= high;
}

static bool float_of(const json_t *json, float *out) {
    const char *text = json_string_value(json);
    if (text) {
        bool up = strcmp(text, "inf") == 0, down = strcmp(text, "-inf") == 0;
        *out = up ? INFINITY : -INFINITY;
        return up || down;
    }
    double value = json_number_value(json);
    *out = (float)value;
    return json_is_number(json) && isfinite(*out);
}

static uint32_t index_in(const char *const *names, uint32_t count, const char *text) {
    uint32_t i = 0;
    while (i < count && (!text || strcmp(names[i], text) != 0)) i++;
    return i;
}

static fw_status shape_of(const json_t *json, const char *name, fw_nn_shape *out,
                          fw_error *error) {
    json_int_t value;
    *out = (fw_nn_shape){.dims = (uint32_t)json_array_size(json)};
    bool fine = json_is_array(json) && json_array_size(json) <= FW_NN_DIMS_MAX;
    for (uint32_t i = 0; fine && i < out->dims; i++) {
        fine = integer_in(json_array_get(json, i), 1, FW_NN_ELEMENTS_MAX, &value);
        out->d[i] = (uint32_t)value;
    }
    return fine ? FW_OK : fw_fail(error, FW_CORRUPT, "%s: no valid shape", name);
}

static fw_status read_input(reading *r, const json_t *json, fw_error *error) {
    const char *name = text_of(json, "name");
    fw_nn_shape shape;
    if (!name || json_object_size(json) != 3)
        return fw_fail(error, FW_CORRUPT, "an input is not name, shape and dtype alone");
    FW_TRY(shape_of(json_object_get(json, "shape"), name, &shape, error));
    uint32_t dtype = index_in(dtype_names, DTYPES, text_of(json, "dtype"));
    if (dtype == DTYPES)
        return fw_fail(error, FW_UNSUPPORTED, "input %.60s: its dtype is not f32 or i32", name);
    FW_TRY(note(r, fw_nn_input(r->graph, name, (fw_nn_dtype)dtype, shape), error));
    return fw_nn_graph_check(r->graph, error);
}

static fw_status read_parameter(reading *r, const json_t *json, fw_error *error) {
    const char *name = text_of(json, "name");
    fw_nn_shape shape;
    float scale = 0;
    if (!name || json_object_size(json) != 4)
        return fw_fail(error, FW_CORRUPT, "a parameter is not name, shape, init and scale alone");
    FW_TRY(shape_of(json_object_get(json, "shape"), name, &shape, error));
    uint32_t init = index_in(init_names, INITS, text_of(json, "init"));
    if (init == INITS || !float_of(json_object_get(json, "scale"), &scale))
        return fw_fail(error, FW_CORRUPT, "parameter %.60s: no valid init or scale", name);
    FW_TRY(note(r, fw_nn_parameter(r->graph, name, shape, (fw_nn_init)init, scale), error));
    return fw_nn_graph_check(r->graph, error);
}

static fw_status read_attr(const json_t *json, const char *name, fw_nn_attr *attr,
                           fw_error *error) {
    const json_t *i = json_object_get(json, "i"), *f = json_object_get(json, "f");
    json_int_t value = 0;
    bool fine = (!i || json_is_array(i)) && (!f || json_is_array(f)) &&
                json_array_size(i) <= ATTR_I && json_array_size(f) <= ATTR_F &&
                json_object_size(json) == 3u + (i != NULL) + (f != NULL);
    for (size_t k = 0; fine && k < json_array_size(i); k++) {
        fine = integer_in(json_array_get(i, k), INT32_MIN, INT32_MAX, &value);
        attr->i[k] = (int32_t)value;
    }
    for (size_t k = 0; fine && k < json_array_size(f); k++)
        fine = float_of(json_array_get(f, k), &attr->f[k]);
    return fine ? FW_OK : fw_fail(error, FW_CORRUPT, "node %.60s: no valid attributes", name);
}

static fw_status read_node(reading *r, const json_t *json, fw_error *error) {
    const char *name = text_of(json, "name"), *op_name = text_of(json, "op");
    const json_t *inputs = json_object_get(json, "inputs");
    fw_nn_value in[FW_NN_INPUTS_MAX], out[FW_NN_OUTPUTS_MAX];
    fw_nn_attr attr = {0};
    uint32_t op = 0;
    if (!name || !op_name) return fw_fail(error, FW_CORRUPT, "a node without name or operator");
    if (fw_nn_op_find(op_name, &op) != FW_OK || op >= FW_NN_OP_COUNT)
        return fw_fail(error, FW_UNSUPPORTED, "node %.60s: this program has no operator %.40s", name,
                       op_name);
    size_t count = json_array_size(inputs);
    if (count > FW_NN_INPUTS_MAX)
        return fw_fail(error, FW_CORRUPT, "node %.60s: too many inputs", name);
    for (size_t k = 0; k < count; k++) {
        json_int_t number = 0;
        if (!integer_in(json_array_get(inputs, k), 0, (json_int_t)r->count - 1, &number))
            return fw_fail(error, FW_CORRUPT, "node %.60s: input %zu is no value made before it",
                           name, k);
        in[k] = r->values[number];
    }
    FW_TRY(read_attr(json, name, &attr, error));
    uint32_t first = r->graph->node_count;
    (void)fw_nn_node_add(r->graph, op, name, in, (uint32_t)count, attr, out);
    FW_TRY(fw_nn_graph_check(r->graph, error));
    for (uint32_t k = 0; k < r->graph->nodes[first].output_count; k++)
        FW_TRY(note(r, out[k], error));
    return FW_OK;
}

static fw_status read_output(reading *r, const json_t *json, fw_error *error) {
    const char *name = text_of(json, "name");
    json_int_t number = 0;
    if (!name || !integer_in(json_object_get(json, "value"), 0, (json_int_t)r->count - 1, &number))
        return fw_fail(error, FW_CORRUPT, "output %.60s is no value of the network",
                       name ? name : "(none)");
    fw_nn_output_add(r->graph, name, r->values[number]);
    return fw_nn_graph_check(r->graph, error);
}

static fw_status read_list(reading *r, const json_t *json, const char *key,
                           fw_status (*read)(reading *, const json_t *, fw_error *),
                           fw_error *error) {
    const json_t *list = json_object_get(json, key);
    if (!json_is_array(list)) return fw_fail(error, FW_CORRUPT, "the network's %s are no list", key);
    for (size_t i = 0; i < json_array_size(list); i++) FW_TRY(read(r, json_array_get(list, i), error));
    return FW_OK;
}

static fw_status read_graph(reading *r, const json_t *json, fw_error *error) {
    json_int_t version = 0;
    if (!integer_in(json_object_get(json, "version"), 1, 1 << 20, &version))
        return fw_fail(error, FW_CORRUPT, "the network has no version");
    if (version > FW_NN_MODEL_VERSION)
        return fw_fail(error, FW_UNSUPPORTED, "the network has version %d, this program reads %d",
                       (int)version, FW_NN_MODEL_VERSION);
    if (json_array_size(json_object_get(json, "inputs")) +
            json_array_size(json_object_get(json, "parameters")) > FW_NN_MODEL_NAMED_MAX)
        return fw_fail(error, FW_TOO_BIG, "more than %d inputs and parameters",
                       FW_NN_MODEL_NAMED_MAX);
    FW_TRY(read_list(r, json, "inputs", read_input, error));
    FW_TRY(read_list(r, json, "parameters", read_parameter, error));
    FW_TRY(read_list(r, json, "nodes", read_node, error));
    FW_TRY(read_list(r, json, "outputs", read_output, error));
    if (r->graph->output_count == 0) return fw_fail(error, FW_CORRUPT, "the network has no output");
    return FW_OK;
}

fw_status fw_nn_graph_from_json(const json_t *json, fw_nn_graph **out, fw_error *error) {
    reading r = {0};
    if (!json_is_object(json)) return fw_fail(error, FW_CORRUPT, "the network is no JSON object");
    FW_TRY(fw_nn_graph_new(&r.graph, error));
    fw_status status = read_graph(&r, json, error);
    free(r.values);
    if (status == FW_OK) *out = r.graph;
    else fw_nn_graph_free(r.graph);
    return status;
}
