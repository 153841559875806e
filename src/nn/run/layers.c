#include "nn/run/layers.h"

#include <math.h>
#include <stdio.h>

/* NAME.part */
static const char *joined(char out[FW_NN_NAME_MAX], const char *name, const char *part) {
    snprintf(out, FW_NN_NAME_MAX, "%.40s.%s", name, part);
    return out;
}

static fw_nn_value uniform(fw_nn_graph *g, const char *name, const char *part, fw_nn_shape shape,
                           uint32_t fan_in) {
    char full[FW_NN_NAME_MAX];
    return fw_nn_parameter(g, joined(full, name, part), shape, FW_NN_INIT_UNIFORM,
                           1 / sqrtf((float)(fan_in ? fan_in : 1)));
}

static fw_nn_shape shape_of(const fw_nn_graph *g, fw_nn_value x) {
    return x < g->value_count ? g->values[x].shape : fw_nn_shape0();
}

static uint32_t width_of(const fw_nn_graph *g, fw_nn_value x) {
    fw_nn_shape shape = shape_of(g, x);
    return shape.dims ? shape.d[shape.dims - 1] : 1;
}

fw_nn_value fw_nn_apply(fw_nn_graph *g, fw_nn_op op, const char *name, fw_nn_value x) {
    return fw_nn_node_add(g, op, name, &x, 1, (fw_nn_attr){0}, NULL);
}

fw_nn_value fw_nn_apply2(fw_nn_graph *g, fw_nn_op op, const char *name, fw_nn_value a,
                         fw_nn_value b) {
    return fw_nn_node_add(g, op, name, (fw_nn_value[]){a, b}, 2, (fw_nn_attr){0}, NULL);
}

fw_nn_value fw_nn_linear(fw_nn_graph *g, const char *name, fw_nn_value x, uint32_t out, bool bias) {
    uint32_t in = width_of(g, x);
    fw_nn_value inputs[3] = {x, uniform(g, name, "weight", fw_nn_shape2(out, in), in)};
    if (bias) inputs[2] = uniform(g, name, "bias", fw_nn_shape1(out), in);
    return fw_nn_node_add(g, FW_NN_LINEAR, name, inputs, bias ? 3 : 2, (fw_nn_attr){0}, NULL);
}

static int32_t or_one(uint32_t value) {
    return value ? (int32_t)value : 1;
}

fw_nn_value fw_nn_conv(fw_nn_graph *g, const char *name, fw_nn_value x, fw_nn_conv_options o) {
    uint32_t groups = (uint32_t)or_one(o.groups), channels = shape_of(g, x).d[0] / groups;
    fw_nn_shape shape = fw_nn_shape4(o.out, channels ? channels : 1, (uint32_t)or_one(o.kernel_y),
                                     (uint32_t)or_one(o.kernel_x));
    uint32_t fan_in = shape.d[1] * shape.d[2] * shape.d[3];
    fw_nn_value inputs[3] = {x, uniform(g, name, "weight", shape, fan_in),
                             uniform(g, name, "bias", fw_nn_shape1(o.out), fan_in)};
    fw_nn_attr attr = {.i = {or_one(o.stride_y), or_one(o.stride_x), (int32_t)o.pad_y,
                             (int32_t)o.pad_x, (int32_t)groups}};
    return fw_nn_node_add(g, FW_NN_CONV, name, inputs, 3, attr, NULL);
}

fw_nn_value fw_nn_conv1d(fw_nn_graph *g, const char *name, fw_nn_value x, uint32_t out,
                         uint32_t kernel, uint32_t stride, uint32_t pad) {
    char part[FW_NN_NAME_MAX];
    fw_nn_shape shape = shape_of(g, x);
    fw_nn_value image = fw_nn_reshape(g, joined(part, name, "image"), x,
                                      fw_nn_shape3(shape.d[0], 1, shape.dims > 1 ? shape.d[1] : 1));
    fw_nn_value y = fw_nn_conv(g, name, image,
                               (fw_nn_conv_options){.out = out, .kernel_x = kernel,
                                                    .stride_x = stride, .pad_x = pad});
    fw_nn_shape made = shape_of(g, y);
    return fw_nn_reshape(g, joined(part, name, "series"), y, fw_nn_shape2(made.d[0], made.d[2]));
}

fw_nn_value fw_nn_embedding(fw_nn_graph *g, const char *name, fw_nn_value ids, uint32_t count,
                            uint32_t width) {
    char full[FW_NN_NAME_MAX];
    fw_nn_value table = fw_nn_parameter(g, joined(full, name, "weight"),
                                        fw_nn_shape2(count, width), FW_NN_INIT_NORMAL, 0.02f);
    return fw_nn_apply2(g, FW_NN_EMBEDDING, name, ids, table);
}

fw_nn_value fw_nn_layer_norm(fw_nn_graph *g, const char *name, fw_nn_value x, float epsilon) {
    char full[FW_NN_NAME_MAX];
    fw_nn_shape shape = fw_nn_shape1(width_of(g, x));
    fw_nn_value gain =
        fw_nn_parameter(g, joined(full, name, "weight"), shape, FW_NN_INIT_ONE, 0);
    fw_nn_value bias = fw_nn_parameter(g, joined(full, name, "bias"), shape, FW_NN_INIT_ZERO, 0);
    return fw_nn_node_add(g, FW_NN_LAYER_NORM, name, (fw_nn_value[]){x, gain, bias}, 3,
                          (fw_nn_attr){.f = {epsilon}}, NULL);
}

fw_nn_value fw_nn_rms_norm(fw_nn_graph *g, const char *name, fw_nn_value x, float epsilon) {
    char full[FW_NN_NAME_MAX];
    fw_nn_value gain = fw_nn_parameter(g, joined(full, name, "weight"),
                                       fw_nn_shape1(width_of(g, x)), FW_NN_INIT_ONE, 0);
    return fw_nn_node_add(g, FW_NN_RMS_NORM, name, (fw_nn_value[]){x, gain}, 2,
                          (fw_nn_attr){.f = {epsilon}}, NULL);
}

static fw_nn_value rotate(fw_nn_graph *g, const char *name, fw_nn_value x, uint32_t heads,
                          float base) {
    return fw_nn_node_add(g, FW_NN_ROPE, name, &x, 1,
                          (fw_nn_attr){.i = {(int32_t)heads}, .f = {base}}, NULL);
}

fw_nn_value fw_nn_self_attention(fw_nn_graph *g, const char *name, fw_nn_value x,
                                 fw_nn_attention_options o) {
    char part[FW_NN_NAME_MAX];
    uint32_t width = width_of(g, x), groups = o.key_heads ? o.key_heads : o.heads;
    uint32_t keys = o.heads ? width / o.heads * groups : width;
    fw_nn_value q = fw_nn_linear(g, joined(part, name, "q"), x, width, true);
    fw_nn_value k = fw_nn_linear(g, joined(part, name, "k"), x, keys, true);
    fw_nn_value v = fw_nn_linear(g, joined(part, name, "v"), x, keys, true);
    if (o.rope_base > 0) {
        q = rotate(g, joined(part, name, "q_rope"), q, o.heads, o.rope_base);
        k = rotate(g, joined(part, name, "k_rope"), k, groups, o.rope_base);
    }
    fw_nn_attr attr = {.i = {(int32_t)o.heads, (int32_t)groups, o.causal}};
    fw_nn_value y = fw_nn_node_add(g, FW_NN_ATTENTION, name, (fw_nn_value[]){q, k, v, o.mask},
                                   o.mask == FW_NN_NONE ? 3 : 4, attr, NULL);
    return fw_nn_linear(g, joined(part, name, "o"), y, width, true);
}

static fw_nn_value recurrent(fw_nn_graph *g, fw_nn_op op, const char *name, fw_nn_value x,
                             uint32_t gates, uint32_t hidden) {
    uint32_t in = width_of(g, x);
    fw_nn_value inputs[5] = {
        x,
        uniform(g, name, "weight_ih", fw_nn_shape2(gates * hidden, in), hidden),
        uniform(g, name, "weight_hh", fw_nn_shape2(gates * hidden, hidden), hidden),
        uniform(g, name, "bias_ih", fw_nn_shape1(gates * hidden), hidden),
        uniform(g, name, "bias_hh", fw_nn_shape1(gates * hidden), hidden)};
    return fw_nn_node_add(g, op, name, inputs, 5, (fw_nn_attr){0}, NULL);
}

fw_nn_value fw_nn_gru(fw_nn_graph *g, const char *name, fw_nn_value x, uint32_t hidden) {
    return recurrent(g, FW_NN_GRU, name, x, 3, hidden);
}

fw_nn_value fw_nn_lstm(fw_nn_graph *g, const char *name, fw_nn_value x, uint32_t hidden) {
    return recurrent(g, FW_NN_LSTM, name, x, 4, hidden);
}

fw_nn_value fw_nn_dropout(fw_nn_graph *g, const char *name, fw_nn_value x, float share) {
    fw_nn_attr attr = {.i = {(int32_t)g->node_count + 1}, .f = {share}};
    return fw_nn_node_add(g, FW_NN_DROPOUT, name, &x, 1, attr, NULL);
}

fw_nn_value fw_nn_reshape(fw_nn_graph *g, const char *name, fw_nn_value x, fw_nn_shape shape) {
    fw_nn_attr attr = {.i = {(int32_t)shape.dims}};
    for (uint32_t i = 0; i < shape.dims && i < FW_NN_DIMS_MAX; i++)
        attr.i[1 + i] = (int32_t)shape.d[i];
    return fw_nn_node_add(g, FW_NN_RESHAPE, name, &x, 1, attr, NULL);
}

fw_nn_value fw_nn_slice(fw_nn_graph *g, const char *name, fw_nn_value x, uint32_t along,
                        uint32_t first, uint32_t count) {
    fw_nn_attr attr = {.i = {(int32_t)along, (int32_t)first, (int32_t)count}};
    return fw_nn_node_add(g, FW_NN_SLICE, name, &x, 1, attr, NULL);
}

fw_nn_value fw_nn_concat(fw_nn_graph *g, const char *name, const fw_nn_value *parts,
                         uint32_t count, uint32_t along) {
    return fw_nn_node_add(g, FW_NN_CONCAT, name, parts, count,
                          (fw_nn_attr){.i = {(int32_t)along}}, NULL);
}

fw_nn_value fw_nn_affine(fw_nn_graph *g, const char *name, fw_nn_value x, float factor,
                         float offset) {
    return fw_nn_node_add(g, FW_NN_AFFINE, name, &x, 1, (fw_nn_attr){.f = {factor, offset}}, NULL);
}
