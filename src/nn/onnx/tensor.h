/* tensor.h - private: a tensor of an ONNX file that is computed, and where its numbers lie here.
 *
 * Theirs has the batch on any axis, merged with others, or repeated along one; ours is one array an
 * example. A tensor is the list of its factors in the order of the memory, each on an axis; the batch
 * is a factor without numbers of ours, and so is a copy (what Expand made). Reshape regroups factors,
 * Transpose reorders axes, and both cost nothing here unless numbers really move:
 *
 *     (N, 6, 16)     N | 6 | 16                value (6, 16)
 *     -> (6, N, 16)  6 | N | 16                the same value: only the batch moved
 *     -> (6, N*4, 4) 6 | N 4 | 4               the same value, 16 in two factors
 *     -> (N*4, 6, 4) N 4 | 6 | 4               a transpose of (6, 4, 4)
 *
 * Factors of 1 are left out.
 */
#ifndef FW_NN_ONNX_TENSOR_H
#define FW_NN_ONNX_TENSOR_H

#include "nn/onnx/reader.h"

typedef enum fw_onnx_kind { FW_ONNX_OWN, FW_ONNX_BATCHED, FW_ONNX_COPY } fw_onnx_kind;
enum { FW_ONNX_FACTORS_MAX = 24, FW_ONNX_REGROUPED_MAX = 16 }; /* each axis may gain one */

typedef struct fw_onnx_factor {
    int64_t size;
    uint8_t axis;
    uint8_t kind; /* fw_onnx_kind */
} fw_onnx_factor;

struct fw_onnx_tensor {
    fw_nn_value value;
    uint32_t rank, count;
    fw_onnx_factor factors[FW_ONNX_FACTORS_MAX]; /* axes ascend */
};

/* A tensor of dims whose axis `batch` is the batch (rank: none is). */
fw_onnx_tensor fw_onnx_tensor_of(fw_nn_value value, uint32_t rank, const int64_t *dims,
                                 uint32_t batch);
void fw_onnx_dims(const fw_onnx_tensor *t, int64_t *dims);
int64_t fw_onnx_own(const fw_onnx_tensor *t, uint32_t axis); /* our share of an axis */
bool fw_onnx_holds(const fw_onnx_tensor *t, uint32_t axis, fw_onnx_kind kind);
bool fw_onnx_copied(const fw_onnx_tensor *t); /* somewhere a copy */
uint32_t fw_onnx_batch_axis(const fw_onnx_tensor *t); /* rank: none */

fw_status fw_onnx_regroup(const fw_onnx_tensor *t, uint32_t rank, const int64_t *dims,
                          fw_onnx_tensor *out, fw_error *error) FW_MUST;
fw_status fw_onnx_permute(fw_onnx_reader *r, const fw_onnx_tensor *t, const uint32_t *order,
                          fw_onnx_tensor *out, fw_error *error) FW_MUST;

/* The example's shape axis by axis; an axis of the batch alone is left out. */
fw_status fw_onnx_natural(const fw_onnx_tensor *t, fw_nn_shape *out, fw_error *error) FW_MUST;
/* The value in this shape, its factors' order. */
fw_status fw_onnx_shaped(fw_onnx_reader *r, const fw_onnx_tensor *t, fw_nn_shape shape,
                         fw_nn_value *out, fw_error *error) FW_MUST;
/* Axes [0, last) as one dimension if there are many, then the last one: (.., C). FW_UNSUPPORTED: the
 * last axis holds the batch or a copy. */
fw_status fw_onnx_rows(fw_onnx_reader *r, const fw_onnx_tensor *t, fw_nn_value *out,
                       fw_error *error) FW_MUST;
/* The same tensor with another value; the size of one axis changes with it. */
fw_onnx_tensor fw_onnx_with(const fw_onnx_tensor *t, fw_nn_value value);
void fw_onnx_resize(fw_onnx_tensor *t, uint32_t axis, int64_t size);

/* a op b, one of which may repeat along axes; a value each. In read_math.c. */
fw_status fw_onnx_of_two(fw_onnx_reader *r, fw_nn_op op, fw_onnx_tensor a, fw_onnx_tensor b,
                         fw_onnx_tensor *out, fw_error *error) FW_MUST;

#endif
