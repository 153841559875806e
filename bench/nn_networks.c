#include "nn_networks.h"

#include <stdio.h>

#include "nn/run/layers.h"

static void finish(fw_nn_graph *g, fw_nn_value y, uint32_t width, bool loss) {
    fw_nn_output_add(g, "y", y);
    if (!loss) return;
    fw_nn_value t = fw_nn_input(g, "t", FW_NN_F32, fw_nn_shape1(width));
    fw_nn_output_add(g, "loss", fw_nn_apply2(g, FW_NN_MSE, "mse", y, t));
}

void bench_build_mlp(fw_nn_graph *g, bool loss) {
    fw_nn_value x = fw_nn_input(g, "x", FW_NN_F32, fw_nn_shape1(64));
    x = fw_nn_apply(g, FW_NN_RELU, "a0", fw_nn_linear(g, "l0", x, 256, true));
    x = fw_nn_apply(g, FW_NN_RELU, "a1", fw_nn_linear(g, "l1", x, 256, true));
    finish(g, fw_nn_linear(g, "l2", x, 8, true), 8, loss);
}

void bench_build_pilot(fw_nn_graph *g, bool loss) {
    static const uint32_t sizes[][3] = {{24, 5, 2}, {36, 5, 2}, {48, 5, 2}, {64, 3, 1}, {64, 3, 1}};
    static const uint32_t widths[] = {100, 50, 10, 1};
    fw_nn_value x = fw_nn_input(g, "x", FW_NN_F32, fw_nn_shape3(3, 66, 200));
    char name[16];
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "c%d", i);
        x = fw_nn_conv(g, name, x,
                       (fw_nn_conv_options){.out = sizes[i][0], .kernel_y = sizes[i][1],
                                            .kernel_x = sizes[i][1], .stride_y = sizes[i][2],
                                            .stride_x = sizes[i][2]});
        snprintf(name, sizeof name, "ca%d", i);
        x = fw_nn_apply(g, FW_NN_RELU, name, x);
    }
    x = fw_nn_reshape(g, "flat", x, fw_nn_shape1(1152));
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "l%d", i);
        x = fw_nn_linear(g, name, x, widths[i], true);
        snprintf(name, sizeof name, "a%d", i);
        if (i < 3) x = fw_nn_apply(g, FW_NN_RELU, name, x);
    }
    finish(g, x, 1, loss);
}

void bench_build_gpt(fw_nn_graph *g, bool loss) {
    enum { CONTEXT = 256, WIDTH = 384, LAYERS = 6, HEADS = 6, VOCABULARY = 256 };
    fw_nn_value ids = fw_nn_input(g, "ids", FW_NN_I32, fw_nn_shape1(CONTEXT));
    fw_nn_value x = fw_nn_embedding(g, "tokens", ids, VOCABULARY, WIDTH);
    fw_nn_value places = fw_nn_parameter(g, "places", fw_nn_shape2(CONTEXT, WIDTH),
                                         FW_NN_INIT_NORMAL, 0.02f);
    x = fw_nn_apply2(g, FW_NN_ADD, "placed", x, places);
    for (int i = 0; i < LAYERS; i++) {
        char name[8][16];
        static const char *const parts[] = {"n1", "at", "r1", "n2", "up", "act", "dn", "r2"};
        for (int k = 0; k < 8; k++) snprintf(name[k], sizeof name[k], "b%d.%s", i, parts[k]);
        fw_nn_value y = fw_nn_layer_norm(g, name[0], x, 1e-5f);
        y = fw_nn_self_attention(g, name[1], y,
                                 (fw_nn_attention_options){.heads = HEADS, .causal = true,
                                                           .mask = FW_NN_NONE});
        x = fw_nn_apply2(g, FW_NN_ADD, name[2], x, y);
        y = fw_nn_layer_norm(g, name[3], x, 1e-5f);
        y = fw_nn_apply(g, FW_NN_GELU, name[5], fw_nn_linear(g, name[4], y, 4 * WIDTH, true));
        x = fw_nn_apply2(g, FW_NN_ADD, name[7], x, fw_nn_linear(g, name[6], y, WIDTH, true));
    }
    x = fw_nn_linear(g, "head", fw_nn_layer_norm(g, "norm", x, 1e-5f), VOCABULARY, true);
    fw_nn_output_add(g, "y", x);
    if (!loss) return;
    fw_nn_value t = fw_nn_input(g, "t", FW_NN_I32, fw_nn_shape1(CONTEXT));
    fw_nn_output_add(g, "loss", fw_nn_apply2(g, FW_NN_CROSS_ENTROPY, "ce", x, t));
}

void bench_build_lstm(fw_nn_graph *g, bool loss) {
    fw_nn_value x = fw_nn_input(g, "x", FW_NN_F32, fw_nn_shape2(30, 14));
    x = fw_nn_lstm(g, "r1", fw_nn_lstm(g, "r0", x, 64), 64);
    x = fw_nn_reshape(g, "last", fw_nn_slice(g, "cut", x, 0, 29, 1), fw_nn_shape1(64));
    finish(g, fw_nn_linear(g, "head", x, 4, true), 4, loss);
}
