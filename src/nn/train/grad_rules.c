/* grad_rules.c - the gradient of each operator, as nodes (grad.h). */
#include <stdio.h>

#include "nn/train/grad.h"

#define RULE(op) static void rule_##op(fw_nn_rule_call *c)

static fw_nn_value in(const fw_nn_rule_call *c, uint32_t i) {
    return c->node.inputs[i];
}
static fw_nn_value out(const fw_nn_rule_call *c, uint32_t i) {
    return c->node.outputs[i];
}

/* A node called NAME.grad.PART, with the forward node's attributes. */
static fw_nn_value put(fw_nn_rule_call *c, uint32_t op, const char *part,
                       const fw_nn_value *inputs, uint32_t count, fw_nn_attr attr,
                       fw_nn_value *outputs) {
    char name[FW_NN_NAME_MAX];
    snprintf(name, sizeof name, "%.40s.grad.%s", c->node.name, part);
    return fw_nn_node_add(c->graph, op, name, inputs, count, attr, outputs);
}

#define PUT(op, part, ...)                                                                         \
    put(c, FW_NN_##op, part, (fw_nn_value[]){__VA_ARGS__},                                         \
        sizeof((fw_nn_value[]){__VA_ARGS__}) / sizeof(fw_nn_value), c->node.attr, NULL)

RULE(LINEAR) {
    if (c->wanted[0]) c->to[0] = PUT(LINEAR_GRAD_X, "x", c->from[0], in(c, 1));
    if (c->wanted[1]) c->to[1] = PUT(LINEAR_GRAD_W, "w", c->from[0], in(c, 0));
    if (c->wanted[2]) c->to[2] = PUT(REDUCE_TO, "b", c->from[0], in(c, 2));
}

RULE(CONV) {
    if (c->wanted[0]) c->to[0] = PUT(CONV_GRAD_X, "x", c->from[0], in(c, 1), in(c, 0));
    if (c->wanted[1]) c->to[1] = PUT(CONV_GRAD_W, "w", c->from[0], in(c, 0), in(c, 1));
    if (c->wanted[2]) c->to[2] = PUT(CHANNEL_SUM, "b", c->from[0]);
}

RULE(MAX_POOL) {
    c->to[0] = PUT(MAX_POOL_GRAD, "x", c->from[0], in(c, 0));
}
RULE(MEAN_POOL) {
    c->to[0] = PUT(MEAN_POOL_GRAD, "x", c->from[0], in(c, 0));
}

RULE(EMBEDDING) {
    c->to[1] = PUT(EMBEDDING_GRAD, "table", c->from[0], in(c, 0), in(c, 1));
}
RULE(GATHER) {
    c->to[0] = PUT(GATHER_GRAD, "x", c->from[0], in(c, 1), in(c, 0));
}

RULE(LAYER_NORM) {
    if (c->wanted[0])
        c->to[0] = PUT(NORM_GRAD_X, "x", c->from[0], in(c, 0), in(c, 1), out(c, 1), out(c, 2));
    if (c->wanted[1])
        c->to[1] = PUT(NORM_GRAD_GAIN, "gain", c->from[0], in(c, 0), out(c, 1), out(c, 2));
    if (c->wanted[2]) c->to[2] = PUT(REDUCE_TO, "bias", c->from[0], in(c, 2));
}

RULE(RMS_NORM) {
    if (c->wanted[0]) c->to[0] = PUT(RMS_GRAD_X, "x", c->from[0], in(c, 0), in(c, 1), out(c, 1));
    if (c->wanted[1]) c->to[1] = PUT(RMS_GRAD_GAIN, "gain", c->from[0], in(c, 0), out(c, 1));
}

RULE(SOFTMAX) {
    c->to[0] = PUT(SOFTMAX_GRAD, "x", c->from[0], out(c, 0));
}

RULE(ATTENTION) {
    fw_nn_value inputs[] = {c->from[0], in(c, 0),  in(c, 1), in(c, 2),
                            out(c, 0),  out(c, 1), in(c, 3)};
    fw_nn_value made[FW_NN_OUTPUTS_MAX];
    if (c->from[0] == FW_NN_NONE || c->from[1] != FW_NN_NONE) return;
    (void)put(c, FW_NN_ATTENTION_GRAD, "qkv", inputs, c->node.input_count == 4 ? 7 : 6,
              c->node.attr, made);
    for (int i = 0; i < 3; i++) c->to[i] = made[i];
}

RULE(ROPE) {
    c->to[0] = PUT(ROPE_GRAD, "x", c->from[0]);
}

/* An input's gradient came for each example: of an input that all share, their sum. */
static void share(fw_nn_rule_call *c, uint32_t i) {
    if (!c->wanted[i] || c->graph->values[in(c, i)].batched) return;
    char part[8] = {'s', (char)('0' + i)};
    c->to[i] = PUT(REDUCE_TO, part, c->to[i], in(c, i));
}

RULE(GRU) {
    fw_nn_value inputs[] = {c->from[0], in(c, 0),  in(c, 1), in(c, 2),
                            out(c, 0),  out(c, 1), in(c, 5)};
    fw_nn_value made[FW_NN_OUTPUTS_MAX];
    if (c->from[0] == FW_NN_NONE || c->from[1] != FW_NN_NONE) return;
    (void)put(c, FW_NN_GRU_GRAD, "all", inputs, c->node.input_count == 6 ? 7 : 6, c->node.attr,
              made);
    for (uint32_t i = 0; i < c->node.input_count; i++) c->to[i] = made[i];
    for (uint32_t i = 5; i < c->node.input_count; i++) share(c, i);
}

RULE(LSTM) {
    fw_nn_value inputs[] = {c->from[0], in(c, 0),  in(c, 1),  in(c, 2), out(c, 0),
                            out(c, 1),  out(c, 2), in(c, 5), in(c, 6)};
    fw_nn_value made[FW_NN_OUTPUTS_MAX];
    if (c->from[0] == FW_NN_NONE || c->from[1] != FW_NN_NONE || c->from[2] != FW_NN_NONE) return;
    (void)put(c, FW_NN_LSTM_GRAD, "all", inputs, c->node.input_count == 7 ? 9 : 7, c->node.attr,
              made);
    for (uint32_t i = 0; i < c->node.input_count; i++) c->to[i] = made[i];
    for (uint32_t i = 5; i < c->node.input_count; i++) share(c, i);
}

RULE(SET_MAX) {
    c->to[0] = PUT(SET_MAX_GRAD, "x", c->from[0], out(c, 1), in(c, 0));
}
RULE(SET_MEAN) {
    c->to[0] = PUT(SET_MEAN_GRAD, "x", c->from[0], in(c, 1), in(c, 0));
}
RULE(SET_ATTENTION) {
    fw_nn_value made[FW_NN_OUTPUTS_MAX];
    if (c->from[0] == FW_NN_NONE || c->from[1] != FW_NN_NONE) return;
    (void)put(c, FW_NN_SET_ATTENTION_GRAD, "all",
              (fw_nn_value[]){c->from[0], in(c, 0), out(c, 1)}, 3, c->node.attr, made);
    c->to[0] = made[0];
    c->to[1] = made[1];
    share(c, 1);
}

RULE(RELU) {
    c->to[0] = PUT(RELU_GRAD, "x", c->from[0], out(c, 0));
}
RULE(GELU) {
    c->to[0] = PUT(GELU_GRAD, "x", c->from[0], in(c, 0));
}
RULE(SILU) {
    c->to[0] = PUT(SILU_GRAD, "x", c->from[0], in(c, 0));
}
RULE(TANH) {
    c->to[0] = PUT(TANH_GRAD, "x", c->from[0], out(c, 0));
}
RULE(SIGMOID) {
    c->to[0] = PUT(SIGMOID_GRAD, "x", c->from[0], out(c, 0));
}
RULE(EXP) {
    c->to[0] = PUT(MULTIPLY, "x", c->from[0], out(c, 0));
}
/* 2 / sqrt(pi) exp(-x^2), the factor within exp() */
RULE(ERF) {
    fw_nn_value square = PUT(MULTIPLY, "square", in(c, 0), in(c, 0));
    fw_nn_value power = put(c, FW_NN_AFFINE, "power", &square, 1,
                            (fw_nn_attr){.f = {-1, 0.12078224f}}, NULL);
    c->to[0] = PUT(MULTIPLY, "x", c->from[0], PUT(EXP, "slope", power));
}
RULE(CLAMP) {
    c->to[0] = PUT(CLAMP_GRAD, "x", c->from[0], in(c, 0));
}

static fw_nn_value scaled(fw_nn_rule_call *c, const char *part, fw_nn_value x, float factor) {
    return put(c, FW_NN_AFFINE, part, &x, 1, (fw_nn_attr){.f = {factor}}, NULL);
}

RULE(AFFINE) {
    c->to[0] = scaled(c, "x", c->from[0], c->node.attr.f[0]);
}
RULE(ADD) {
    if (c->wanted[0]) c->to[0] = c->from[0];
    if (c->wanted[1]) c->to[1] = PUT(REDUCE_TO, "b", c->from[0], in(c, 1));
}
RULE(SUBTRACT) {
    if (c->wanted[0]) c->to[0] = c->from[0];
    if (!c->wanted[1]) return;
    fw_nn_value negative = scaled(c, "minus", c->from[0], -1);
    c->to[1] = PUT(REDUCE_TO, "b", negative, in(c, 1));
}
RULE(MULTIPLY) {
    if (c->wanted[0]) c->to[0] = PUT(MULTIPLY, "a", c->from[0], in(c, 1));
    if (!c->wanted[1]) return;
    fw_nn_value product = PUT(MULTIPLY, "b_all", c->from[0], in(c, 0));
    c->to[1] = PUT(REDUCE_TO, "b", product, in(c, 1));
}

RULE(RESHAPE) {
    fw_nn_shape shape = c->graph->values[in(c, 0)].shape;
    fw_nn_attr attr = {.i = {(int32_t)shape.dims}};
    for (uint32_t i = 0; i < shape.dims; i++) attr.i[1 + i] = (int32_t)shape.d[i];
    c->to[0] = put(c, FW_NN_RESHAPE, "x", &c->from[0], 1, attr, NULL);
}

RULE(TRANSPOSE) {
    fw_nn_attr attr = {.i = {0}};
    for (int32_t i = 0; i < (int32_t)c->graph->values[in(c, 0)].shape.dims; i++)
        attr.i[c->node.attr.i[i]] = i;
    c->to[0] = put(c, FW_NN_TRANSPOSE, "x", &c->from[0], 1, attr, NULL);
}

RULE(CONCAT) {
    int32_t along = c->node.attr.i[0], first = 0;
    for (uint32_t k = 0; k < c->node.input_count; k++) {
        char part[8];
        int32_t count = (int32_t)c->graph->values[in(c, k)].shape.d[along];
        fw_nn_attr attr = {.i = {along, first, count}};
        snprintf(part, sizeof part, "x%u", k % 100);
        if (c->wanted[k]) c->to[k] = put(c, FW_NN_SLICE, part, &c->from[0], 1, attr, NULL);
        first += count;
    }
}

RULE(SLICE) {
    c->to[0] = PUT(SLICE_GRAD, "x", c->from[0], in(c, 0));
}
RULE(SUM_LAST) {
    c->to[0] = PUT(REPEAT_LAST, "x", c->from[0], in(c, 0));
}
RULE(ENTROPY) {
    c->to[0] = PUT(ENTROPY_GRAD, "x", c->from[0], in(c, 0));
}
/* The same draw on the gradient. */
RULE(DROPOUT) {
    c->to[0] = PUT(DROPOUT, "x", c->from[0]);
}

/* Targets get no gradient: to[] stays empty, and differentiation says so if one is wanted. */
RULE(MSE) {
    if (c->wanted[0]) c->to[0] = PUT(MSE_GRAD, "x", c->from[0], in(c, 0), in(c, 1));
}
RULE(HUBER) {
    if (c->wanted[0]) c->to[0] = PUT(HUBER_GRAD, "x", c->from[0], in(c, 0), in(c, 1));
}
RULE(CROSS_ENTROPY) {
    c->to[0] = PUT(CROSS_ENTROPY_GRAD, "x", c->from[0], in(c, 0), in(c, 1));
}
RULE(QUANTILE) {
    if (c->wanted[0]) c->to[0] = PUT(QUANTILE_GRAD, "x", c->from[0], in(c, 0), in(c, 1));
}
RULE(PPO) {
    if (c->wanted[0]) c->to[0] = PUT(PPO_GRAD, "x", c->from[0], in(c, 0), in(c, 1), in(c, 2));
}
RULE(GAUSSIAN_NLL) {
    fw_nn_value made[FW_NN_OUTPUTS_MAX];
    (void)put(c, FW_NN_GAUSSIAN_NLL_GRAD, "x",
              (fw_nn_value[]){c->from[0], in(c, 0), in(c, 1), in(c, 2)}, 4, c->node.attr, made);
    c->to[0] = made[0];
    c->to[1] = made[1];
}

fw_nn_rule *fw_nn_rule_of(uint32_t op) {
    static fw_nn_rule *const rules[FW_NN_OP_COUNT] = {
#define X(op, name, least, most, outputs) [FW_NN_##op] = rule_##op,
        FW_NN_OPS(X)
#undef X
    };
    return op < FW_NN_OP_COUNT ? rules[op] : NULL;
}
