#include "lines/driving/act/flattened.h"

#include <stdlib.h>
#include <string.h>

typedef struct head {
    fw_hash hash;
    uint32_t kind, part_count, output_count;
    float uncertainty_threshold;
    uint64_t floats;
} head;

/* What a graph is built of, in its order. */
typedef struct part {
    fw_nn_value_info value; /* an input or a parameter; kind MADE: it is the node below */
    fw_nn_node node;
} part;

static size_t sizes_sum(const head *h) {
    return sizeof *h + h->part_count * sizeof(part) + h->output_count * sizeof(fw_nn_output) +
           h->floats * sizeof(float);
}

static void put(uint8_t **at, const void *bytes, size_t size_bytes) {
    if (size_bytes > 0) memcpy(*at, bytes, size_bytes);
    *at += size_bytes;
}

/* Whether value i begins a part: later outputs of a node belong to its first. */
static bool begins_part(const fw_nn_graph *graph, uint32_t i) {
    return graph->values[i].kind != FW_NN_MADE || graph->values[i].output == 0;
}

static const fw_nn_graph empty;

static head head_of(const fw_nn_graph *graph, size_t floats) {
    head h;
    memset(&h, 0, sizeof h);
    h.output_count = graph->output_count, h.floats = floats;
    for (uint32_t i = 0; i < graph->value_count; i++) h.part_count += begins_part(graph, i);
    return h;
}

size_t fw_policy_flat_bytes(const fw_nn_graph *graph, size_t floats) {
    head h = head_of(graph ? graph : &empty, floats);
    return sizes_sum(&h);
}

fw_status fw_policy_flatten(const fw_policy *policy, void *out, size_t out_max_bytes,
                            size_t *out_bytes, fw_error *error) {
    const fw_nn_graph *graph = policy->model.graph ? policy->model.graph : &empty;
    head h = head_of(graph, policy->model.layout.floats);
    h.hash = policy->hash, h.kind = policy->kind;
    h.uncertainty_threshold = policy->uncertainty_threshold;
    if (sizes_sum(&h) > out_max_bytes)
        return fw_fail(error, FW_TOO_BIG, "the model takes %zu bytes in memory, there are %zu",
                       sizes_sum(&h), out_max_bytes);
    uint8_t *at = out;
    put(&at, &h, sizeof h);
    for (uint32_t i = 0; i < graph->value_count; i++) {
        const fw_nn_value_info *value = &graph->values[i];
        part one;
        if (!begins_part(graph, i)) continue;
        memset(&one, 0, sizeof one);
        one.value = *value;
        if (value->kind == FW_NN_MADE) one.node = graph->nodes[value->node];
        put(&at, &one, sizeof one);
    }
    put(&at, graph->outputs, h.output_count * sizeof(fw_nn_output));
    put(&at, policy->model.params, h.floats * sizeof(float));
    *out_bytes = sizes_sum(&h);
    return FW_OK;
}

static void take(const uint8_t **at, void *out, size_t size_bytes) {
    if (size_bytes > 0) memcpy(out, *at, size_bytes);
    *at += size_bytes;
}

static fw_status add_part(fw_nn_graph *graph, const part *p, fw_error *error) {
    const fw_nn_value_info *value = &p->value;
    const char *name = value->kind == FW_NN_MADE ? p->node.name : value->name;
    if (!memchr(name, '\0', FW_NN_NAME_MAX) || p->node.input_count > FW_NN_INPUTS_MAX)
        return fw_fail(error, FW_CORRUPT, "model: a part of it is damaged");
    if (value->kind == FW_NN_INPUT)
        (void)fw_nn_input(graph, name, value->dtype, value->shape);
    else if (value->kind == FW_NN_PARAMETER)
        (void)fw_nn_parameter(graph, name, value->shape, value->init, value->init_scale);
    else
        (void)fw_nn_node_add(graph, p->node.op, name, p->node.inputs, p->node.input_count,
                             p->node.attr, NULL);
    return fw_nn_graph_check(graph, error);
}

static fw_status take_graph(const head *h, const uint8_t **at, fw_nn_graph *graph,
                            fw_error *error) {
    for (uint32_t i = 0; i < h->part_count; i++) {
        part one;
        take(at, &one, sizeof one);
        FW_TRY(add_part(graph, &one, error));
    }
    for (uint32_t i = 0; i < h->output_count; i++) {
        fw_nn_output output;
        take(at, &output, sizeof output);
        if (!memchr(output.name, '\0', sizeof output.name))
            return fw_fail(error, FW_CORRUPT, "model: the name of an output is damaged");
        fw_nn_output_add(graph, output.name, output.value);
        FW_TRY(fw_nn_graph_check(graph, error));
    }
    return FW_OK;
}

static fw_status take_model(const head *h, const uint8_t *at, fw_nn_model *model,
                            fw_error *error) {
    FW_TRY(fw_nn_graph_new(&model->graph, error));
    FW_TRY(take_graph(h, &at, model->graph, error));
    FW_TRY(fw_nn_layout_make(model->graph, &model->layout, error));
    if (model->layout.floats != h->floats)
        return fw_fail(error, FW_CORRUPT, "model: %zu parameters, %zu were written",
                       model->layout.floats, (size_t)h->floats);
    model->params = fw_nn_vector_new(h->floats);
    if (!model->params) return fw_fail(error, FW_NO_MEMORY, "no memory for a model");
    take(&at, model->params, h->floats * sizeof(float));
    return FW_OK;
}

fw_status fw_policy_unflatten(const void *bytes, size_t size_bytes, fw_policy *out,
                              fw_error *error) {
    const uint8_t *at = bytes;
    fw_policy policy = {0};
    head h;
    if (size_bytes < sizeof h) return fw_fail(error, FW_CORRUPT, "model: cut short");
    take(&at, &h, sizeof h);
    if (h.kind > FW_POLICY_NETWORK || h.part_count > FW_NN_VALUES_MAX ||
        h.output_count > FW_NN_INPUTS_MAX || h.floats > FW_NN_ELEMENTS_MAX ||
        size_bytes != sizes_sum(&h))
        return fw_fail(error, FW_CORRUPT, "model: its sizes do not fit");
    policy.kind = (fw_policy_kind)h.kind;
    if (policy.kind == FW_POLICY_NETWORK) {
        fw_nn_model model = {0};
        fw_status status = take_model(&h, at, &model, error);
        if (status == FW_OK) status = fw_policy_of_model(&model, &policy, error);
        if (status != FW_OK) {
            fw_nn_model_clear(&model);
            return status;
        }
    }
    policy.hash = h.hash;
    policy.uncertainty_threshold = h.uncertainty_threshold;
    *out = policy;
    return FW_OK;
}
