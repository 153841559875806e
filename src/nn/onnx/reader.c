#include "nn/onnx/reader.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/onnx/tensor.h"
#include "nn/run/model.h"
#include "onnx.pb-c.h"

/* ---- names ---- */

const fw_onnx_thing *fw_onnx_thing_of(const fw_onnx_reader *r, const char *name) {
    uint64_t hash = 1469598103934665603u;
    for (const char *c = name; *c; c++) hash = (hash ^ (uint8_t)*c) * 1099511628211u;
    uint32_t mask = (1u << r->bits) - 1, at = (uint32_t)(hash >> 20) & mask;
    while (r->things[at].name && strcmp(r->things[at].name, name) != 0) at = (at + 1) & mask;
    return &r->things[at];
}

const char *fw_onnx_name_in(fw_onnx_proto *node, size_t i) {
    return i < node->n_input ? node->input[i] : "";
}

const fw_onnx_thing *fw_onnx_in(const fw_onnx_reader *r, fw_onnx_proto *node, size_t i) {
    if (!*fw_onnx_name_in(node, i)) return NULL;
    const fw_onnx_thing *at = fw_onnx_thing_of(r, node->input[i]);
    return at->name ? at : NULL;
}

fw_onnx_proto *fw_onnx_made_by(const fw_onnx_reader *r, fw_onnx_proto *node, size_t i, const char *op) {
    const fw_onnx_thing *at = fw_onnx_in(r, node, i);
    return at && at->node && fw_onnx_is(at->node, op) ? at->node : NULL;
}

const fw_onnx_constant *fw_onnx_constant_of(const fw_onnx_reader *r, fw_onnx_proto *node, size_t i) {
    const fw_onnx_thing *at = fw_onnx_in(r, node, i);
    return at ? at->constant : NULL;
}

bool fw_onnx_number_of(const fw_onnx_reader *r, fw_onnx_proto *node, size_t i, double *out) {
    return fw_onnx_uniform(fw_onnx_constant_of(r, node, i), out);
}

fw_status fw_onnx_want(fw_onnx_reader *r, fw_onnx_proto *node, size_t i, fw_onnx_tensor *out,
                       fw_error *error) {
    const fw_onnx_thing *at = fw_onnx_in(r, node, i);
    if (!at) FW_ONNX_REFUSE("its input %zu is missing", i);
    if (at->why) {
        r->passed_on = true;
        FW_ONNX_REFUSE("%s", at->why);
    }
    if (!at->tensor) FW_ONNX_REFUSE("its input %zu (%.60s) is a constant, a value is needed", i, at->name);
    *out = *at->tensor;
    return FW_OK;
}

fw_status fw_onnx_want_constant(fw_onnx_reader *r, fw_onnx_proto *node, size_t i,
                                const fw_onnx_constant **out, fw_error *error) {
    const fw_onnx_thing *at = fw_onnx_in(r, node, i);
    if (!at) FW_ONNX_REFUSE("its input %zu is missing", i);
    if (at->why) {
        r->passed_on = true;
        FW_ONNX_REFUSE("%s", at->why);
    }
    if (!at->constant) FW_ONNX_REFUSE("its input %zu (%.60s) must be a constant", i, at->name);
    *out = at->constant;
    return FW_OK;
}

fw_status fw_onnx_give(fw_onnx_reader *r, fw_onnx_proto *node, size_t i, const fw_onnx_tensor *t,
                       fw_error *error) {
    if (i >= node->n_output || !*node->output[i]) return FW_OK;
    fw_onnx_thing *at = (fw_onnx_thing *)(uintptr_t)fw_onnx_thing_of(r, node->output[i]);
    if (at->name) return fw_fail(error, FW_CORRUPT, "the name %.60s is given twice", at->name);
    fw_onnx_tensor *copy = fw_onnx_take(&r->pool, sizeof *copy);
    if (!copy) return fw_fail(error, FW_NO_MEMORY, "no memory for a model");
    *copy = *t;
    *at = (fw_onnx_thing){.name = node->output[i], .node = node, .tensor = copy};
    r->used++;
    return FW_OK;
}

/* ---- adding ---- */

fw_status fw_onnx_add_all(fw_onnx_reader *r, fw_nn_op op, const fw_nn_value *in, uint32_t count,
                          fw_nn_attr attr, fw_nn_value *made, fw_error *error) {
    for (uint32_t i = 0; i < count && op != FW_NN_EMBEDDING && op != FW_NN_RESHAPE; i++)
        if (r->graph->values[in[i]].dtype == FW_NN_I32) FW_ONNX_REFUSE("it takes numbers, input %u is indices", i);
    (void)fw_nn_node_add(r->graph, op, r->node_name, in, count, attr, made);
    return fw_nn_graph_check(r->graph, error);
}

fw_status fw_onnx_add(fw_onnx_reader *r, fw_nn_op op, const fw_nn_value *in, uint32_t count,
                      fw_nn_attr attr, fw_nn_value *out, fw_error *error) {
    fw_nn_value made[FW_NN_OUTPUTS_MAX];
    FW_TRY(fw_onnx_add_all(r, op, in, count, attr, made, error));
    *out = made[0];
    return FW_OK;
}

const fw_nn_node *fw_onnx_maker(const fw_onnx_reader *r, fw_nn_value value) {
    const fw_nn_value_info *info = &r->graph->values[value];
    while (info->kind == FW_NN_MADE && r->graph->nodes[info->node].op == FW_NN_RESHAPE)
        info = &r->graph->values[r->graph->nodes[info->node].inputs[0]];
    return info->kind == FW_NN_MADE && info->output == 0 ? &r->graph->nodes[info->node] : NULL;
}

/* A reshape of a reshape is one, or none. */
fw_status fw_onnx_reshape(fw_onnx_reader *r, fw_nn_value x, fw_nn_shape shape, fw_nn_value *out,
                          fw_error *error) {
    fw_nn_attr attr = {.i = {(int32_t)shape.dims}};
    for (const fw_nn_value_info *info = &r->graph->values[x];
         info->kind == FW_NN_MADE && r->graph->nodes[info->node].op == FW_NN_RESHAPE;
         info = &r->graph->values[x])
        x = r->graph->nodes[info->node].inputs[0];
    *out = x;
    if (fw_nn_shape_equal(shape, fw_onnx_shape(r, x))) return FW_OK;
    for (uint32_t i = 0; i < shape.dims; i++) attr.i[1 + i] = (int32_t)shape.d[i];
    return fw_onnx_add(r, FW_NN_RESHAPE, &x, 1, attr, out, error);
}

/* factor x + offset; of another one, both at once. */
fw_status fw_onnx_affine(fw_onnx_reader *r, fw_nn_value x, double factor, double offset,
                         fw_nn_value *out, fw_error *error) {
    const fw_nn_node *before = fw_onnx_maker(r, x);
    if (before && before->op == FW_NN_AFFINE) {
        offset += factor * (double)before->attr.f[1];
        factor *= (double)before->attr.f[0];
        FW_TRY(fw_onnx_reshape(r, before->inputs[0], fw_onnx_shape(r, x), &x, error));
    }
    fw_nn_attr attr = {.f = {(float)factor, (float)offset}};
    *out = x;
    if (attr.f[0] == 1 && attr.f[1] == 0) return FW_OK;
    if (!isfinite(attr.f[0]) || !isfinite(attr.f[1])) FW_ONNX_REFUSE("its number is not finite");
    return fw_onnx_add(r, FW_NN_AFFINE, &x, 1, attr, out, error);
}

fw_status fw_onnx_parameter(fw_onnx_reader *r, const char *name, fw_nn_shape shape,
                            const float *data, fw_nn_value *out, fw_error *error) {
    char made[FW_NN_NAME_MAX];
    size_t count = fw_nn_elements(shape);
    for (size_t i = 0; i < count; i++)
        if (!isfinite(data[i])) FW_ONNX_REFUSE("its tensor %.60s holds a number that is not finite", name);
    snprintf(made, sizeof made, "p%u", ++r->made);
    *out = fw_nn_parameter(r->graph, made, shape, FW_NN_INIT_ZERO, 0);
    FW_TRY(fw_nn_graph_check(r->graph, error));
    r->data[*out] = data;
    r->names[*out] = name;
    return FW_OK;
}

float *fw_onnx_room(fw_onnx_reader *r, size_t floats, fw_error *error) {
    float *room = floats > FW_NN_ELEMENTS_MAX ? NULL : fw_onnx_take(&r->pool, floats * sizeof *room);
    if (!room) (void)fw_fail(error, FW_NO_MEMORY, "constants of this file ask for too much memory");
    return room;
}

fw_status fw_onnx_floats_in(fw_onnx_reader *r, const fw_onnx_constant *c, size_t count,
                            const float **out, fw_error *error) {
    if (c->whole) FW_ONNX_REFUSE("its constant is of integers");
    FW_TRY(fw_onnx_constant_full(&r->pool, c, &c, error));
    if (fw_onnx_had(c) != count)
        FW_ONNX_REFUSE("its constant has %zu elements, %zu are needed", fw_onnx_had(c), count);
    *out = c->data;
    return FW_OK;
}

/* ---- what is needed ---- */

/* A valid name that is not taken yet, made of any text. */
static void fresh_name(const fw_nn_graph *graph, const char *text, uint32_t *made,
                       char out[FW_NN_NAME_MAX]) {
    char base[FW_NN_NAME_MAX];
    snprintf(base, sizeof base, "%.48s", *text ? text : "unnamed");
    for (char *c = base; *c; c++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:", *c)) *c = '_';
    snprintf(out, FW_NN_NAME_MAX, "%s", base);
    while (fw_nn_find(graph, out) != FW_NN_NONE)
        snprintf(out, FW_NN_NAME_MAX, "%.48s-%u", base, ++*made);
}

static void mark_needed(const fw_nn_graph *g, bool *needed) {
    for (uint32_t i = 0; i < g->output_count; i++) needed[g->outputs[i].value] = true;
    for (uint32_t n = g->node_count; n-- > 0;) {
        bool wanted = false;
        for (uint32_t i = 0; i < g->nodes[n].output_count; i++) wanted |= needed[g->nodes[n].outputs[i]];
        for (uint32_t i = 0; wanted && i < g->nodes[n].input_count; i++)
            needed[g->nodes[n].inputs[i]] = true;
        for (uint32_t i = 0; i < g->nodes[n].output_count; i++) needed[g->nodes[n].outputs[i]] = wanted;
    }
}

/* to: the value there of each one here. */
static void copy_needed(const fw_onnx_reader *r, const bool *needed, fw_nn_value *to, fw_nn_graph *out) {
    const fw_nn_graph *g = r->graph;
    char name[FW_NN_NAME_MAX];
    uint32_t made = 0;
    for (uint32_t i = 0; i < g->value_count && out->status == FW_OK; i++) {
        const fw_nn_value_info *info = &g->values[i];
        if (!needed[i]) continue;
        if (info->kind == FW_NN_MADE) {
            const fw_nn_node *node = &g->nodes[info->node];
            fw_nn_value in[FW_NN_INPUTS_MAX], outputs[FW_NN_OUTPUTS_MAX];
            if (info->output > 0) continue;
            for (uint32_t n = 0; n < node->input_count; n++) in[n] = to[node->inputs[n]];
            (void)fw_nn_node_add(out, node->op, node->name, in, node->input_count, node->attr, outputs);
            for (uint32_t n = 0; n < node->output_count; n++) to[node->outputs[n]] = outputs[n];
            continue;
        }
        fresh_name(out, r->names[i], &made, name);
        to[i] = info->kind == FW_NN_INPUT
                    ? fw_nn_input(out, name, info->dtype, info->shape)
                    : fw_nn_parameter(out, name, info->shape, info->init, info->init_scale);
    }
    for (uint32_t i = 0; i < g->output_count; i++) {
        fresh_name(out, r->names[FW_NN_VALUES_MAX + i], &made, name);
        fw_nn_output_add(out, name, to[g->outputs[i].value]);
    }
}

static fw_status fill(const fw_onnx_reader *r, const bool *needed, const fw_nn_value *to,
                      const fw_nn_graph *out, float **params, fw_nn_layout *layout, fw_error *error) {
    FW_TRY(fw_nn_graph_check(out, error));
    FW_TRY(fw_nn_layout_make(out, layout, error));
    *params = fw_nn_vector_new(layout->floats);
    if (!*params) return fw_fail(error, FW_NO_MEMORY, "no memory for a model");
    for (uint32_t i = 0; i < r->graph->value_count; i++)
        if (needed[i] && r->graph->values[i].kind == FW_NN_PARAMETER)
            memcpy(*params + layout->offsets[to[i]], r->data[i],
                   fw_nn_elements(r->graph->values[i].shape) * sizeof **params);
    return FW_OK;
}

fw_status fw_onnx_keep_needed(const fw_onnx_reader *r, fw_nn_graph **out, float **params,
                              fw_nn_layout *layout, fw_error *error) {
    bool *needed = calloc(r->graph->value_count + 1, sizeof *needed);
    fw_nn_value *to = calloc(r->graph->value_count + 1, sizeof *to);
    fw_status status = FW_OK;
    if (!needed || !to) {
        status = fw_fail(error, FW_NO_MEMORY, "no memory for a model");
    } else if ((status = fw_nn_graph_new(out, error)) == FW_OK) {
        mark_needed(r->graph, needed);
        copy_needed(r, needed, to, *out);
        status = fill(r, needed, to, *out, params, layout, error);
    }
    free(needed);
    free(to);
    return status;
}
