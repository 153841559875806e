/* zoo.h - small networks that together use every operator of inference, for tests of formats. Inputs
 * whose name begins with "mask" hold 0 and 1 ("mask_first": the first member is always in); "ids<N>" holds
 * indices below N. */
#ifndef FW_TESTS_NN_ZOO_H
#define FW_TESTS_NN_ZOO_H

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "nn/run/layers.h"

static inline fw_nn_value zoo_input(fw_nn_graph *g, const char *name, fw_nn_shape shape) {
    return fw_nn_input(g, name, strncmp(name, "ids", 3) == 0 ? FW_NN_I32 : FW_NN_F32, shape);
}

static inline void zoo_mlp(fw_nn_graph *g) {
    static const fw_nn_op ops[] = {FW_NN_TANH, FW_NN_RELU, FW_NN_GELU, FW_NN_SILU, FW_NN_SIGMOID};
    fw_nn_value x = zoo_input(g, "x", fw_nn_shape1(13)), target;
    for (uint32_t i = 0; i < 5; i++) {
        char name[16] = {'l', (char)('0' + i)};
        x = fw_nn_linear(g, name, x, 9 + i, i != 2);
        name[0] = 'a';
        x = fw_nn_apply(g, ops[i], name, x);
        if (i == 1) x = fw_nn_dropout(g, "drop", x, 0.1f);
    }
    target = zoo_input(g, "target", fw_nn_shape1(13));
    (void)fw_nn_apply2(g, FW_NN_MSE, "loss", x, target);
    fw_nn_output_add(g, "y", fw_nn_linear(g, "head", x, 4, true));
    fw_nn_output_add(g, "hidden", x);
}

static inline void zoo_elements(fw_nn_graph *g) {
    fw_nn_value x = zoo_input(g, "x", fw_nn_shape2(5, 7)), v = zoo_input(g, "v", fw_nn_shape1(7));
    fw_nn_value p = fw_nn_parameter(g, "p", fw_nn_shape1(7), FW_NN_INIT_NORMAL, 1);
    fw_nn_value q = fw_nn_parameter(g, "q", fw_nn_shape2(5, 7), FW_NN_INIT_UNIFORM, 1);
    fw_nn_value s = fw_nn_parameter(g, "s", fw_nn_shape0(), FW_NN_INIT_NORMAL, 1);
    x = fw_nn_apply2(g, FW_NN_ADD, "add", x, v);
    x = fw_nn_apply2(g, FW_NN_MULTIPLY, "scale", x, fw_nn_apply2(g, FW_NN_SUBTRACT, "pq", q, p));
    x = fw_nn_apply2(g, FW_NN_SUBTRACT, "minus", x, p);
    x = fw_nn_apply2(g, FW_NN_ADD, "scalar", x, s);
    x = fw_nn_node_add(g, FW_NN_CLAMP, "clamp", &x, 1, (fw_nn_attr){.f = {-1.5f, 2.5f}}, NULL);
    x = fw_nn_affine(g, "affine", x, -0.75f, 0.125f);
    fw_nn_output_add(g, "soft", fw_nn_apply(g, FW_NN_SOFTMAX, "softmax", x));
    x = fw_nn_apply(g, FW_NN_EXP, "exp", x);
    fw_nn_output_add(g, "erf", fw_nn_apply(g, FW_NN_ERF, "error", x));
    fw_nn_output_add(g, "sum", fw_nn_apply(g, FW_NN_SUM_LAST, "total", x));
    fw_nn_output_add(g, "y", fw_nn_linear(g, "last", x, 3, false));
}

static inline void zoo_cnn(fw_nn_graph *g) {
    fw_nn_value x = zoo_input(g, "x", fw_nn_shape3(3, 9, 8));
    x = fw_nn_conv(g, "c0", x, (fw_nn_conv_options){6, 3, 3, 1, 1, 1, 1, 0});
    x = fw_nn_apply(g, FW_NN_RELU, "a0", x);
    x = fw_nn_node_add(g, FW_NN_MAX_POOL, "p0", &x, 1, (fw_nn_attr){.i = {3, 3, 2, 2, 1, 1}}, NULL);
    x = fw_nn_conv(g, "c1", x, (fw_nn_conv_options){8, 3, 2, 2, 1, 1, 0, 2});
    x = fw_nn_node_add(g, FW_NN_MEAN_POOL, "p1", &x, 1, (fw_nn_attr){.i = {2, 2, 1, 1, 1, 1}}, NULL);
    fw_nn_shape shape = g->values[x].shape;
    x = fw_nn_reshape(g, "flat", x, fw_nn_shape1(shape.d[0] * shape.d[1] * shape.d[2]));
    fw_nn_output_add(g, "y", fw_nn_linear(g, "head", x, 5, true));
}

static inline void zoo_series(fw_nn_graph *g) {
    fw_nn_value x = zoo_input(g, "x", fw_nn_shape2(4, 11));
    x = fw_nn_apply(g, FW_NN_TANH, "a0", fw_nn_conv1d(g, "c0", x, 6, 3, 2, 1));
    fw_nn_output_add(g, "y", x);
}

static inline void zoo_transformer(fw_nn_graph *g) {
    fw_nn_value x = fw_nn_embedding(g, "words", zoo_input(g, "ids11", fw_nn_shape1(6)), 11, 16);
    fw_nn_value h = fw_nn_layer_norm(g, "norm1", x, 1e-5f);
    h = fw_nn_self_attention(g, "attn", h, (fw_nn_attention_options){.heads = 4, .key_heads = 2,
                                                                     .causal = true, .rope_base = 10000,
                                                                     .mask = FW_NN_NONE});
    x = fw_nn_apply2(g, FW_NN_ADD, "add1", x, h);
    h = fw_nn_rms_norm(g, "norm2", x, 1e-5f);
    h = fw_nn_apply(g, FW_NN_GELU, "gelu", fw_nn_linear(g, "up", h, 32, true));
    x = fw_nn_apply2(g, FW_NN_ADD, "add2", x, fw_nn_linear(g, "down", h, 16, true));
    fw_nn_output_add(g, "y", fw_nn_linear(g, "out", x, 11, true));
}

/* Queries on other keys, with a mask that may leave nothing to see; causal the two ways. */
static inline void zoo_attention(fw_nn_graph *g) {
    fw_nn_value q = zoo_input(g, "q", fw_nn_shape2(5, 8)), k = zoo_input(g, "k", fw_nn_shape2(3, 8));
    fw_nn_value v = zoo_input(g, "v", fw_nn_shape2(3, 8)), mask = zoo_input(g, "mask", fw_nn_shape1(3));
    fw_nn_value first = fw_nn_parameter(g, "keys", fw_nn_shape2(7, 4), FW_NN_INIT_NORMAL, 1);
    fw_nn_value in[] = {q, k, v, mask}, learned[] = {q, first, first};
    fw_nn_output_add(g, "masked", fw_nn_node_add(g, FW_NN_ATTENTION, "masked_attention", in, 4,
                                                 (fw_nn_attr){.i = {2, 2, 0}}, NULL));
    fw_nn_output_add(g, "both", fw_nn_node_add(g, FW_NN_ATTENTION, "causal_attention", in, 4,
                                               (fw_nn_attr){.i = {4, 4, 1}}, NULL));
    fw_nn_output_add(g, "learned", fw_nn_node_add(g, FW_NN_ATTENTION, "learned_keys", learned, 3,
                                                  (fw_nn_attr){.i = {4, 2, 1}}, NULL));
    fw_nn_attr turn = {.i = {2, 3}, .f = {100}};
    fw_nn_output_add(g, "turned", fw_nn_node_add(g, FW_NN_ROPE, "rope", &q, 1, turn, NULL));
}

static inline void zoo_recurrent(fw_nn_graph *g) {
    fw_nn_value x = zoo_input(g, "x", fw_nn_shape2(7, 4));
    fw_nn_output_add(g, "lstm_y", fw_nn_lstm(g, "lstm", x, 5));
    fw_nn_output_add(g, "gru_y", fw_nn_gru(g, "gru", x, 6));
}

/* With first states: of each example, and learned. */
static inline void zoo_states(fw_nn_graph *g) {
    fw_nn_value x = zoo_input(g, "x", fw_nn_shape2(6, 3)), h = zoo_input(g, "h", fw_nn_shape1(5));
    fw_nn_value c = fw_nn_parameter(g, "c0", fw_nn_shape1(5), FW_NN_INIT_NORMAL, 1);
    fw_nn_value in[7] = {x}, y[3];
    static const char *const names[] = {"w", "u", "b", "c"};
    const fw_nn_shape lstm[] = {fw_nn_shape2(20, 3), fw_nn_shape2(20, 5), fw_nn_shape1(20),
                                fw_nn_shape1(20)};
    const fw_nn_shape gru[] = {fw_nn_shape2(15, 3), fw_nn_shape2(15, 5), fw_nn_shape1(15),
                               fw_nn_shape1(15)};
    char name[16];
    for (uint32_t i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "lstm.%s", names[i]);
        in[1 + i] = fw_nn_parameter(g, name, lstm[i], FW_NN_INIT_UNIFORM, 0.5f);
    }
    in[5] = h, in[6] = c;
    (void)fw_nn_node_add(g, FW_NN_LSTM, "lstm", in, 7, (fw_nn_attr){0}, y);
    fw_nn_output_add(g, "y", y[0]);
    for (uint32_t i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "gru.%s", names[i]);
        in[1 + i] = fw_nn_parameter(g, name, gru[i], FW_NN_INIT_UNIFORM, 0.5f);
    }
    fw_nn_output_add(g, "z", fw_nn_node_add(g, FW_NN_GRU, "gru", in, 6, (fw_nn_attr){0}, NULL));
}

static inline void zoo_sets(fw_nn_graph *g) {
    fw_nn_value x = zoo_input(g, "x", fw_nn_shape2(6, 4)), mask = zoo_input(g, "mask", fw_nn_shape1(6));
    fw_nn_value scores = zoo_input(g, "scores", fw_nn_shape1(6));
    fw_nn_output_add(g, "max", fw_nn_apply2(g, FW_NN_SET_MAX, "set_max", x, mask));
    fw_nn_output_add(g, "mean", fw_nn_apply2(g, FW_NN_SET_MEAN, "set_mean", x, mask));
    fw_nn_value in[] = {x, scores, mask}, y[2];
    (void)fw_nn_node_add(g, FW_NN_SET_ATTENTION, "set_attention", in, 3, (fw_nn_attr){0}, y);
    fw_nn_output_add(g, "pooled", y[0]);
    fw_nn_output_add(g, "weights", y[1]);
}

static inline void zoo_shapes(fw_nn_graph *g) {
    fw_nn_value x = zoo_input(g, "x", fw_nn_shape3(2, 3, 4)), ids = zoo_input(g, "ids6", fw_nn_shape1(5));
    fw_nn_attr turn = {.i = {2, 0, 1}};
    fw_nn_value t = fw_nn_node_add(g, FW_NN_TRANSPOSE, "turn", &x, 1, turn, NULL);
    fw_nn_value flat = fw_nn_reshape(g, "fold", x, fw_nn_shape2(6, 4));
    fw_nn_value other = fw_nn_reshape(g, "fold2", t, fw_nn_shape2(6, 4));
    fw_nn_value both = fw_nn_concat(g, "both", (fw_nn_value[]){flat, other}, 2, 1);
    fw_nn_output_add(g, "slice", fw_nn_slice(g, "cut", both, 1, 2, 3));
    fw_nn_output_add(g, "chosen", fw_nn_apply2(g, FW_NN_GATHER, "choose", both, ids));
    fw_nn_value table = fw_nn_parameter(g, "table", fw_nn_shape2(6, 3), FW_NN_INIT_NORMAL, 1);
    fw_nn_output_add(g, "from_table", fw_nn_apply2(g, FW_NN_GATHER, "look", table, ids));
}

typedef struct zoo_entry {
    const char *name;
    void (*build)(fw_nn_graph *);
} zoo_entry;

static const zoo_entry zoo[] = {{"mlp", zoo_mlp}, {"elements", zoo_elements}, {"cnn", zoo_cnn},
                                {"series", zoo_series}, {"transformer", zoo_transformer},
                                {"attention", zoo_attention}, {"recurrent", zoo_recurrent},
                                {"states", zoo_states}, {"sets", zoo_sets}, {"shapes", zoo_shapes}};
enum { ZOO = sizeof zoo / sizeof *zoo };

/* Values of an input for `rows` examples; the first example's masks are all 0. free() it. */
static inline void *zoo_values(const fw_nn_value_info *info, uint32_t rows, fw_random *r) {
    size_t each = fw_nn_elements(info->shape);
    float *values = calloc(rows * each + 1, sizeof *values);
    int32_t *ids = (int32_t *)values;
    for (size_t i = 0; i < rows * each; i++) {
        if (strncmp(info->name, "ids", 3) == 0)
            ids[i] = (int32_t)fw_random_below(r, (uint32_t)atoi(info->name + 3));
        else if (strncmp(info->name, "mask", 4) == 0)
            values[i] = (i >= each && fw_random_below(r, 3) > 0) ||
                                (strcmp(info->name, "mask_first") == 0 && i % each == 0) ? 1.0f : 0.0f;
        else
            values[i] = fw_random_normal(r);
    }
    return values;
}

#endif
