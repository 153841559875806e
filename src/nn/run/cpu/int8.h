/* int8.h - linear layers and convolutions in 8-bit integers, for inference on units.
 *
 *   packing, once       w (O, K) fp32 ──> bytes in panels, and a step per output: max|w[o]| / 127
 *   a run     x fp32 ──> bytes, q = round(x 127 / range), at most +-127
 *                   q · w ──> int32 sums, exact ──> sum * (range / 127 * step[o]) + bias[o], activation: fp32
 *
 * Which nodes: those whose input has a range of calibration (calibrate.h; plan options' `ranges`) and whose
 * weights the plan packs. Everything else runs in fp32 as before, so a network is int8 where it matters:
 * its products.
 *
 * Both sides are symmetric (zero is the byte 0): padding and empty lanes are zeros, no correction by the
 * sum of a row, and a product of 4 bytes by 4 bytes fits what every machine multiplies
 * (docs/decisions/0019-int8-symmetric.md).
 *
 * Invariants: (1) sums are integers and exact, and the arithmetic around them is written without fused
 * multiply-adds: an int8 layer gives the same bits on every machine, whichever variant runs; (2) what lies
 * beyond the range saturates at it; (3) a NaN in a row (linear) or an example (convolution) makes all its
 * outputs NaN before the activation, as in fp32 it would make those it meets; (4) an output channel of
 * zeros is exactly its bias.
 */
#ifndef FW_NN_RUN_INT8_H
#define FW_NN_RUN_INT8_H

#include "nn/run/plan.h"

extern const fw_nn_backend fw_nn_backend_int8;
/* {int8, fast, NULL}: for plans with `pack` and `ranges`. */
extern const fw_nn_backend *const fw_nn_backends_int8[];

/* What the integer products run on here: "avx512vnni", "avx2", "neon", "portable". */
const char *fw_nn_int8_variant(void);
/* Whether a node's input 0 is what this backend turns into bytes, given a range. */
bool fw_nn_int8_reads(const fw_nn_node *node);

#endif
