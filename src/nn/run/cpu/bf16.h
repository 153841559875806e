/* bf16.h - linear layers on a few examples with weights kept as bf16, in plans that store BF16: half the
 * bytes of fp32 to fetch, which is what bounds them (gemv.h). Widened in registers, products and sums in
 * fp32. Everything else of such a plan runs on the fast kernels behind a conversion (convert.h).
 *
 *   panel of 32 (16) outputs; for each k, 16 outputs are eight words:
 *     word i    | output i + 8 | output i |     low half: shifted up; high half: masked; no shuffle
 *
 * Order of sums: weight k in strand k mod 2 (panel of 32) or k mod 4 (16), strand 0 begins with the bias,
 * strands as a tree of neighbours.
 */
#ifndef FW_NN_RUN_BF16_H
#define FW_NN_RUN_BF16_H

#include "nn/run/plan.h"

extern const fw_nn_backend fw_nn_backend_bf16;
/* {bf16, fast, NULL}: for plans of inference with `pack` and store BF16, parameters rounded
 * (fw_nn_round_bf16). */
extern const fw_nn_backend *const fw_nn_backends_bf16[];

#endif
