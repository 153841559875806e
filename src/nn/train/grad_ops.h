/* grad_ops.h - private: shape rules and reference kernels of the gradient operators (grad.h). */
#ifndef FW_NN_TRAIN_GRAD_OPS_H
#define FW_NN_TRAIN_GRAD_OPS_H

#include "nn/run/ops.h"
#include "nn/train/grad.h"

#define X(op, name, least, most, outputs)                                                          \
    fw_status fw_nn_shape_##op(const fw_nn_node *node, const fw_nn_value_info *const *in,          \
                               fw_nn_value_info *out, fw_error *error);                            \
    void fw_nn_kernel_##op(const fw_nn_call *call);
FW_NN_GRADIENT_OP_LIST(X)
#undef X

/* Before adding up: a gradient of a parameter starts from what is there, others from zero. */
void fw_nn_start_sum(const fw_nn_call *call, uint32_t output);

/* The gradient of a cross entropy, row by row: `back` writes dx of a row whose class counts, dloss being its
 * share of the loss's gradient; rows of no class get zeros. */
typedef void fw_nn_class_back(const float *x, size_t width, size_t class, float dloss, float *dx);
void fw_nn_classes_back(const fw_nn_call *call, fw_nn_class_back *back);

#endif
