/* ops.h - what the engine knows of each operator: its shape rule and its reference kernel.
 *
 * A kernel computes a whole call: `rows` examples of batched values, one array of the others. It
 * reads its inputs, writes its outputs, and touches nothing else but its scratch: no heap, no state,
 * no clock. So the same call gives the same bits, on any thread. Reference kernels are plain C, the
 * order of every sum is that of the loops; faster ones (kernels.h) say what they change of it.
 */
#ifndef FW_NN_RUN_OPS_H
#define FW_NN_RUN_OPS_H

#include "nn/run/graph.h"

/* One operand: `rows` arrays of `shape`, one after another; rows is 1 where not batched. */
typedef struct fw_nn_view {
    void *data;
    fw_nn_dtype dtype;
    bool batched;
    fw_nn_shape shape;
    bool packable; /* a parameter that the kernel may have packed (fw_nn_choice in plan.h) */
    float range;   /* largest size of a number seen in calibration; 0: not known */
} fw_nn_view;

typedef struct fw_nn_call {
    const fw_nn_attr *attr;
    uint32_t rows;      /* examples */
    uint32_t first_row; /* of the batch: where these examples lie in it */
    uint64_t seed;      /* of this step: for dropout */
    bool training;
    fw_nn_dtype store; /* of values between nodes in this plan: with bf16, parameters are rounded to it */
    bool accumulate; /* outputs that are not batched are added to, not overwritten */
    uint32_t input_count, output_count;
    fw_nn_view in[FW_NN_INPUTS_MAX], out[FW_NN_OUTPUTS_MAX];
    void *scratch; /* as many bytes as the kernel asked for, 64-byte aligned */
    /* Of kernels a backend chose (plan.h): */
    const void *prepared; /* made with the plan, shared by its sessions */
    const void *packed;   /* the node's parameters in the kernel's own order */
    void *own;            /* this session's */
    uint32_t fused;       /* an element-wise operator done on output 0 on its way; 0: none */
    fw_nn_view with;      /* that operator's second operand, when it has one */
} fw_nn_call;

typedef void fw_nn_kernel(const fw_nn_call *call);

typedef struct fw_nn_op_info {
    const char *name;
    uint32_t least_inputs, most_inputs, outputs;
    /* Checks dtypes and shapes of in (input_count) and sets shape, dtype and batched of out. */
    fw_status (*shape)(const fw_nn_node *node, const fw_nn_value_info *const *in,
                       fw_nn_value_info *out, fw_error *error);
    fw_nn_kernel *reference;
    /* NULL: none is needed. */
    size_t (*scratch_bytes)(const fw_nn_call *call);
    /* Element by element: output 0 may take the place of input 0. */
    bool in_place;
} fw_nn_op_info;

/* Of nn/run's operators; NULL for others. */
const fw_nn_op_info *fw_nn_op_info_of(uint32_t op);

/* nn/train registers its gradient operators once, before it builds graphs: (count) from
 * FW_NN_GRADIENT_OPS on. The table is static and const. */
void fw_nn_ops_extend(const fw_nn_op_info *infos, uint32_t count);

/* ---- for kernels ---- */

static inline const float *fw_nn_in(const fw_nn_call *call, uint32_t i) {
    return call->in[i].data;
}
static inline float *fw_nn_out(const fw_nn_call *call, uint32_t i) {
    return call->out[i].data;
}
/* Arrays of an operand in this call: rows, or 1. */
static inline size_t fw_nn_arrays(const fw_nn_call *call, const fw_nn_view *view) {
    return view->batched ? call->rows : 1;
}
/* Elements of all arrays of an operand. */
static inline size_t fw_nn_total(const fw_nn_call *call, const fw_nn_view *view) {
    return fw_nn_arrays(call, view) * fw_nn_elements(view->shape);
}
static inline uint32_t fw_nn_last(fw_nn_shape shape) {
    return shape.dims ? shape.d[shape.dims - 1] : 1;
}

/* Shape rules, in shape.c; reference kernels, in kernels_<kind>.c. */
#define X(op, name, least, most, outputs)                                                          \
    fw_status fw_nn_shape_##op(const fw_nn_node *node, const fw_nn_value_info *const *in,          \
                               fw_nn_value_info *out, fw_error *error);                            \
    void fw_nn_kernel_##op(const fw_nn_call *call);
FW_NN_OPS(X)
#undef X

#endif
