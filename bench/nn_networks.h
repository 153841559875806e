/* nn_networks.h - the networks of bench_nn, the same as in peer_nn.py. */
#ifndef FW_BENCH_NN_NETWORKS_H
#define FW_BENCH_NN_NETWORKS_H

#include "nn/run/graph.h"

/* Output "y"; with loss also the target "t" and the output "loss". */
typedef void bench_build(fw_nn_graph *g, bool loss);
bench_build bench_build_mlp, bench_build_pilot, bench_build_gpt, bench_build_lstm;

/* Multiply-adds of one example by the shapes of its parameters' nodes, forward, times 6: forward, and
 * twice backward. The first layer has no gradient of its input; that is left out. */
#define BENCH_MLP_FLOPS (6.0 * (64 * 256 + 256 * 256 + 256 * 8) - 2.0 * 64 * 256)
#define BENCH_PILOT_FLOPS                                                                                \
    (6.0 * (31.0 * 98 * 24 * 75 + 14.0 * 47 * 36 * 600 + 5.0 * 22 * 48 * 900 +                     \
            3.0 * 20 * 64 * 432 + 1.0 * 18 * 64 * 576 + 1152 * 100 + 5000 + 500 + 10) -            \
     2.0 * 31 * 98 * 24 * 75)
#define BENCH_GPT_FLOPS (6.0 * (6 * 12.0 * 384 * 384 + 384 * 256 + 6 * 384 * 256.0)) /* a token, causal */
#define BENCH_LSTM_FLOPS (6.0 * 30 * (256.0 * (14 + 64) + 256.0 * 128))

/* Bytes of the MLP's weights, which every example reads. */
#define BENCH_MLP_WEIGHTS (64 * 256 + 256 * 256 + 256 * 8)

#endif
