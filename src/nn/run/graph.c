#include "nn/run/graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/run/ops.h"

bool fw_nn_shape_equal(fw_nn_shape a, fw_nn_shape b) {
    bool equal = a.dims == b.dims;
    for (uint32_t i = 0; equal && i < a.dims; i++) equal = a.d[i] == b.d[i];
    return equal;
}

fw_status fw_nn_graph_new(fw_nn_graph **out, fw_error *error) {
    fw_nn_graph *graph = calloc(1, sizeof *graph);
    if (!graph) return fw_fail(error, FW_NO_MEMORY, "no memory for a network");
    *out = graph;
    return FW_OK;
}

void fw_nn_graph_free(fw_nn_graph *graph) {
    if (!graph) return;
    free(graph->values);
    free(graph->hashes);
    free(graph->nodes);
    free(graph);
}

fw_status fw_nn_graph_copy(const fw_nn_graph *graph, fw_nn_graph **out, fw_error *error) {
    fw_nn_graph *copy = calloc(1, sizeof *copy);
    if (!copy) return fw_fail(error, FW_NO_MEMORY, "no memory for a network");
    *copy = *graph;
    copy->value_room = graph->value_count + 1;
    copy->node_room = graph->node_count + 1;
    copy->values = malloc(copy->value_room * sizeof *copy->values);
    copy->hashes = malloc(copy->value_room * sizeof *copy->hashes);
    copy->nodes = malloc(copy->node_room * sizeof *copy->nodes);
    if (!copy->values || !copy->hashes || !copy->nodes) {
        fw_nn_graph_free(copy);
        return fw_fail(error, FW_NO_MEMORY, "no memory for a network");
    }
    if (graph->values) memcpy(copy->values, graph->values, graph->value_count * sizeof *copy->values);
    if (graph->hashes) memcpy(copy->hashes, graph->hashes, graph->value_count * sizeof *copy->hashes);
    if (graph->nodes) memcpy(copy->nodes, graph->nodes, graph->node_count * sizeof *copy->nodes);
    *out = copy;
    return FW_OK;
}

fw_status fw_nn_graph_check(const fw_nn_graph *graph, fw_error *error) {
    if (graph->status == FW_OK) return FW_OK;
    return fw_fail(error, graph->status, "%s", graph->error.text);
}

/* Remembers the first failure. */
static fw_nn_value broken(fw_nn_graph *graph, fw_status status, const fw_error *why) {
    if (graph->status == FW_OK) {
        graph->status = status;
        graph->error = *why;
    }
    return FW_NN_NONE;
}

static fw_nn_value fail(fw_nn_graph *graph, const char *what, const char *name, const char *why) {
    fw_error error;
    fw_status status = fw_fail(&error, FW_INVALID, "%s %.60s: %s", what, name, why);
    return broken(graph, status, &error);
}

/* Room for `more` values and one node. */
static bool make_room(fw_nn_graph *graph, uint32_t more) {
    fw_error error;
    if (graph->value_count + more > FW_NN_VALUES_MAX) {
        fw_status status =
            fw_fail(&error, FW_TOO_BIG, "a network has at most %d values", FW_NN_VALUES_MAX);
        (void)broken(graph, status, &error);
        return false;
    }
    if (graph->value_count + more > graph->value_room) {
        uint32_t room = 2 * (graph->value_count + more) + 16;
        fw_nn_value_info *grown = realloc(graph->values, room * sizeof *grown);
        if (grown) graph->values = grown;
        uint32_t *hashes = realloc(graph->hashes, room * sizeof *hashes);
        if (hashes) graph->hashes = hashes;
        if (grown && hashes) graph->value_room = room;
    }
    if (graph->node_count + 1 > graph->node_room) {
        uint32_t room = 2 * graph->node_count + 16;
        fw_nn_node *grown = realloc(graph->nodes, room * sizeof *grown);
        if (grown) graph->nodes = grown, graph->node_room = room;
    }
    if (graph->value_count + more <= graph->value_room && graph->node_count < graph->node_room)
        return true;
    fw_status status = fw_fail(&error, FW_NO_MEMORY, "no memory for a network");
    (void)broken(graph, status, &error);
    return false;
}

static bool name_valid(const char *name) {
    size_t size = strlen(name);
    return size > 0 && size < FW_NN_NAME_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:") ==
               size;
}

/* Of a name; never 0. Looking for a name goes over these, not over the values themselves. */
static uint32_t hash_of(const char *name) {
    uint32_t hash = 2166136261u;
    for (const char *c = name; *c; c++) hash = (hash ^ (uint8_t)*c) * 16777619u;
    return hash ? hash : 1;
}

fw_nn_value fw_nn_find(const fw_nn_graph *graph, const char *name) {
    uint32_t hash = hash_of(name);
    for (uint32_t i = 0; i < graph->value_count; i++)
        if (graph->hashes[i] == hash && strcmp(graph->values[i].name, name) == 0) return i;
    for (uint32_t i = 0; i < graph->output_count; i++)
        if (strcmp(graph->outputs[i].name, name) == 0) return graph->outputs[i].value;
    return FW_NN_NONE;
}

static bool shape_valid(fw_nn_shape shape) {
    uint64_t product = 1;
    if (shape.dims > FW_NN_DIMS_MAX) return false;
    for (uint32_t i = 0; i < shape.dims; i++) {
        if (shape.d[i] == 0 || shape.d[i] > FW_NN_ELEMENTS_MAX) return false;
        product *= shape.d[i];
        if (product > FW_NN_ELEMENTS_MAX) return false;
    }
    return true;
}

static fw_nn_value add_value(fw_nn_graph *graph, const char *what, const char *name,
                             fw_nn_value_info info) {
    if (graph->status != FW_OK) return FW_NN_NONE;
    if (!name_valid(name)) return fail(graph, what, name, "no valid name");
    if (fw_nn_find(graph, name) != FW_NN_NONE) return fail(graph, what, name, "the name is taken");
    if (!shape_valid(info.shape)) return fail(graph, what, name, "no valid shape");
    if (!make_room(graph, 1)) return FW_NN_NONE;
    snprintf(info.name, sizeof info.name, "%s", name);
    graph->values[graph->value_count] = info;
    graph->hashes[graph->value_count] = hash_of(name);
    return graph->value_count++;
}

fw_nn_value fw_nn_input(fw_nn_graph *graph, const char *name, fw_nn_dtype dtype,
                        fw_nn_shape shape) {
    return add_value(graph, "input", name,
                     (fw_nn_value_info){.kind = FW_NN_INPUT, .dtype = dtype, .shape = shape,
                                        .batched = true});
}

fw_nn_value fw_nn_parameter(fw_nn_graph *graph, const char *name, fw_nn_shape shape,
                            fw_nn_init init, float init_scale) {
    return add_value(graph, "parameter", name,
                     (fw_nn_value_info){.kind = FW_NN_PARAMETER, .dtype = FW_NN_F32,
                                        .shape = shape, .init = init, .init_scale = init_scale});
}

void fw_nn_output_add(fw_nn_graph *graph, const char *name, fw_nn_value value) {
    if (graph->status != FW_OK) return;
    if (value >= graph->value_count)
        (void)fail(graph, "output", name, "there is no such value");
    else if (graph->output_count == FW_NN_INPUTS_MAX)
        (void)fail(graph, "output", name, "there are too many outputs");
    else if (!name_valid(name) || fw_nn_find(graph, name) != FW_NN_NONE)
        (void)fail(graph, "output", name, "no valid name, or it is taken");
    else {
        fw_nn_output *output = &graph->outputs[graph->output_count++];
        snprintf(output->name, sizeof output->name, "%s", name);
        output->value = value;
    }
}

/* The node's outputs by its shape rule; the error then begins with the node's name. */
static fw_status infer(const fw_nn_graph *graph, const fw_nn_op_info *info,
                       const fw_nn_node *node, fw_nn_value_info *out, fw_error *error) {
    const fw_nn_value_info *in[FW_NN_INPUTS_MAX];
    fw_error why = {""};
    for (uint32_t i = 0; i < node->input_count; i++) in[i] = &graph->values[node->inputs[i]];
    fw_status status = info->shape(node, in, out, &why);
    for (uint32_t i = 0; status == FW_OK && i < info->outputs; i++)
        if (!shape_valid(out[i].shape))
            status = fw_fail(&why, FW_INVALID, "its output %u has no valid shape", i);
    if (status == FW_OK) return FW_OK;
    return fw_fail(error, status, "node %s (%s): %s", node->name, info->name, why.text);
}

fw_nn_value fw_nn_node_add(fw_nn_graph *graph, uint32_t op, const char *name,
                           const fw_nn_value *inputs, uint32_t input_count, fw_nn_attr attr,
                           fw_nn_value *outputs) {
    const fw_nn_op_info *info = fw_nn_op_info_of(op);
    fw_nn_value_info made[FW_NN_OUTPUTS_MAX] = {0};
    fw_error error;
    if (outputs)
        for (uint32_t i = 0; info && i < info->outputs; i++) outputs[i] = FW_NN_NONE;
    if (graph->status != FW_OK) return FW_NN_NONE;
    if (!info) return fail(graph, "node", name, "there is no such operator");
    if (!name_valid(name)) return fail(graph, "node", name, "no valid name");
    if (input_count < info->least_inputs || input_count > info->most_inputs)
        return fail(graph, "node", name, "the operator takes another number of inputs");
    FW_ASSERT(info->most_inputs <= FW_NN_INPUTS_MAX && info->outputs <= FW_NN_OUTPUTS_MAX);
    fw_nn_node node = {.op = op, .input_count = input_count, .output_count = info->outputs,
                       .attr = attr};
    snprintf(node.name, sizeof node.name, "%s", name);
    for (uint32_t i = 0; i < input_count; i++) {
        if (inputs[i] >= graph->value_count)
            return fail(graph, "node", name, "an input is no value of this network");
        node.inputs[i] = inputs[i];
    }
    fw_status status = infer(graph, info, &node, made, &error);
    if (status != FW_OK) return broken(graph, status, &error);
    if (!make_room(graph, info->outputs)) return FW_NN_NONE;
    for (uint32_t i = 0; i < info->outputs; i++) {
        made[i].kind = FW_NN_MADE;
        made[i].node = graph->node_count;
        made[i].output = i;
        snprintf(made[i].name, sizeof made[i].name, "%.50s:%u", name, i);
        node.outputs[i] = graph->value_count;
        graph->hashes[graph->value_count] = 0;
        graph->values[graph->value_count++] = made[i];
        if (outputs) outputs[i] = node.outputs[i];
    }
    graph->nodes[graph->node_count++] = node;
    return node.outputs[0];
}

size_t fw_nn_parameter_elements(const fw_nn_graph *graph) {
    size_t sum = 0;
    for (uint32_t i = 0; i < graph->value_count; i++)
        if (graph->values[i].kind == FW_NN_PARAMETER) sum += fw_nn_elements(graph->values[i].shape);
    return sum;
}
