/* dnnl.h - kernels of oneDNN (Debian's libdnnl-dev 2.6) as a backend. dnnl.c is the one file that knows
 * its API: another version is another file behind these names.
 *
 *   plan      for each step a primitive for the plan's rows and for every smaller power of two: fewer
 *             rows are run in such pieces, so nothing is made while running
 *   session   memory handles and a stream of its own for each step
 *   run       plain array -> reorder -> primitive -> reorder -> plain array, all in the plan's scratch
 *
 * oneDNN's own threads are off (its sums depend on their number): each thread that runs a step says so
 * to OpenMP first, and a tile of the batch is one thread's. Same sizes, same CPU: same bits.
 */
#ifndef FW_NN_TRAIN_DNNL_H
#define FW_NN_TRAIN_DNNL_H

#include "nn/run/plan.h"

enum { FW_NN_CLASS_MAX = 64 };
/* The class of a training: the kernels' (nn/run/cpu/class.h) and oneDNN's, "x86-64-v3, oneDNN 2.6.3 avx2". */
void fw_nn_training_class(char out[FW_NN_CLASS_MAX]);

/* Convolutions and their gradients; linear layers as well where the CPU has AVX-512, whose kernels are
 * wider than those of nn/run/cpu/gemm.h. */
extern const fw_nn_backend fw_nn_backend_dnnl;
/* Linear layers on every CPU: for tests and comparisons. */
extern const fw_nn_backend fw_nn_backend_dnnl_all;

#endif
