/* convert.h - bf16: the upper half of a float, and any fp32 kernel run on values kept so.
 *
 *   bf16 operands --widened--> scratch (fp32) --kernel--> scratch (fp32) --rounded--> bf16 outputs
 *
 * Rounding is to nearest, ties to even; a NaN stays one. Widening is exact. So a product over such
 * operands is the product a bf16 unit computes with fp32 sums.
 */
#ifndef FW_NN_RUN_CONVERT_H
#define FW_NN_RUN_CONVERT_H

#include "nn/run/plan.h"

void fw_nn_to_bf16(const float *from, uint16_t *to, size_t count);
void fw_nn_from_bf16(const uint16_t *from, float *to, size_t count);
/* to = from rounded to bf16 and widened again; may be the same array. */
void fw_nn_round_bf16(const float *from, float *to, size_t count);

/* Bytes beyond the kernel's own scratch that the conversion takes. */
size_t fw_nn_convert_bytes(const fw_nn_call *call);
/* Whether any operand is bf16. */
bool fw_nn_converts(const fw_nn_call *call);
/* The same call as its kernel sees it: every bf16 operand an fp32 one. */
fw_nn_call fw_nn_widened(const fw_nn_call *call);
/* Runs it. own_bytes: the kernel's own scratch, which lies first. */
void fw_nn_convert_run(fw_nn_kernel *kernel, const fw_nn_call *call, size_t own_bytes);

#endif
