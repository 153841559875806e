/* layers.h - the graph's vocabulary: one call a layer, with the usual initial values. Names of
 * parameters are NAME.weight, NAME.bias, ... as PyTorch has them. Each returns its output, or
 * FW_NN_NONE once the graph has failed (graph.h). */
#ifndef FW_NN_RUN_LAYERS_H
#define FW_NN_RUN_LAYERS_H

#include "nn/run/graph.h"

/* A node of one input without attributes: fw_nn_apply(g, FW_NN_RELU, "l0.act", x). */
fw_nn_value fw_nn_apply(fw_nn_graph *g, fw_nn_op op, const char *name, fw_nn_value x);
fw_nn_value fw_nn_apply2(fw_nn_graph *g, fw_nn_op op, const char *name, fw_nn_value a,
                         fw_nn_value b);
/* Weights uniform within 1/sqrt(in) (PyTorch's), bias likewise. */
fw_nn_value fw_nn_linear(fw_nn_graph *g, const char *name, fw_nn_value x, uint32_t out, bool bias);

typedef struct fw_nn_conv_options {
    uint32_t out, kernel_y, kernel_x, stride_y, stride_x, pad_y, pad_x, groups; /* 0: 1 (pads: 0) */
} fw_nn_conv_options;
fw_nn_value fw_nn_conv(fw_nn_graph *g, const char *name, fw_nn_value x, fw_nn_conv_options options);
/* x (C, T): a convolution over time, as an image one high. */
fw_nn_value fw_nn_conv1d(fw_nn_graph *g, const char *name, fw_nn_value x, uint32_t out,
                         uint32_t kernel, uint32_t stride, uint32_t pad);
fw_nn_value fw_nn_embedding(fw_nn_graph *g, const char *name, fw_nn_value ids, uint32_t count,
                            uint32_t width);
fw_nn_value fw_nn_layer_norm(fw_nn_graph *g, const char *name, fw_nn_value x, float epsilon);
fw_nn_value fw_nn_rms_norm(fw_nn_graph *g, const char *name, fw_nn_value x, float epsilon);

typedef struct fw_nn_attention_options {
    uint32_t heads, key_heads; /* key_heads 0: heads */
    bool causal;
    float rope_base;  /* 0: no rotary positions */
    fw_nn_value mask; /* FW_NN_NONE: none */
} fw_nn_attention_options;
/* Self attention with its four projections: NAME.q, .k, .v, .o. */
fw_nn_value fw_nn_self_attention(fw_nn_graph *g, const char *name, fw_nn_value x,
                                 fw_nn_attention_options options);
fw_nn_value fw_nn_gru(fw_nn_graph *g, const char *name, fw_nn_value x, uint32_t hidden);
fw_nn_value fw_nn_lstm(fw_nn_graph *g, const char *name, fw_nn_value x, uint32_t hidden);
fw_nn_value fw_nn_dropout(fw_nn_graph *g, const char *name, fw_nn_value x, float share);
fw_nn_value fw_nn_reshape(fw_nn_graph *g, const char *name, fw_nn_value x, fw_nn_shape shape);
fw_nn_value fw_nn_slice(fw_nn_graph *g, const char *name, fw_nn_value x, uint32_t along,
                        uint32_t first, uint32_t count);
fw_nn_value fw_nn_concat(fw_nn_graph *g, const char *name, const fw_nn_value *parts,
                         uint32_t count, uint32_t along);
fw_nn_value fw_nn_affine(fw_nn_graph *g, const char *name, fw_nn_value x, float factor,
                         float offset);

#endif
