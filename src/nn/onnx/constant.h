/* constant.h - private: what is known of an ONNX file without running it, and how it is computed.
 *
 * Exporters write shapes as small programs: Shape -> Gather -> Mul -> Concat -> Reshape. They are run
 * here while the file is read (fold.c), so nothing of them is left in the network. The batch, which is
 * open, counts as FW_ONNX_BATCH, a prime that no size reaches: products and quotients of shapes then
 * come out as plain numbers.
 *
 * A constant repeats along an axis whose `have` is 1 and whose dims is more:
 *
 *     zeros (2, batch, 5) of a recurrent network    dims 2 BATCH 5    have 1 1 1    data {0}
 *
 * Invariants: (1) have[i] is dims[i] or 1; (2) data holds the product of have; (3) memory comes from
 * the pool, whose limit a hostile file cannot pass.
 */
#ifndef FW_NN_ONNX_CONSTANT_H
#define FW_NN_ONNX_CONSTANT_H

#include "nn/run/graph.h"

typedef struct Onnx__NodeProto Onnx__NodeProto;
typedef struct Onnx__TensorProto Onnx__TensorProto;
typedef struct Onnx__AttributeProto Onnx__AttributeProto;
typedef const Onnx__NodeProto fw_onnx_proto;

enum { FW_ONNX_RANK_MAX = 8 };
#define FW_ONNX_BATCH ((int64_t)2147483647) /* 2^31 - 1 */

/* Everything of one reading, given back at once. */
typedef struct fw_onnx_pool {
    void *blocks;
    size_t left_bytes;
} fw_onnx_pool;
/* Zeroed, 16-byte aligned; NULL: no memory, or over the limit. */
void *fw_onnx_take(fw_onnx_pool *pool, size_t bytes);
void fw_onnx_pool_free(fw_onnx_pool *pool);

typedef struct fw_onnx_constant {
    bool whole; /* int64_t (integers, booleans); otherwise float */
    uint32_t rank;
    int64_t dims[FW_ONNX_RANK_MAX], have[FW_ONNX_RANK_MAX];
    const void *data;
} fw_onnx_constant;

/* The tensor's own bytes where they are floats or int64; others converted. FW_CORRUPT, FW_UNSUPPORTED. */
fw_status fw_onnx_constant_read(fw_onnx_pool *pool, const Onnx__TensorProto *tensor,
                                fw_onnx_constant **out, fw_error *error) FW_MUST;
/* All dimensions had: nothing repeats. */
fw_status fw_onnx_constant_full(fw_onnx_pool *pool, const fw_onnx_constant *in,
                                const fw_onnx_constant **out, fw_error *error) FW_MUST;
/* The same numbers at every place of an axis: it repeats instead. Exporters fill in a fixed batch so. */
fw_status fw_onnx_constant_fold_axis(fw_onnx_pool *pool, const fw_onnx_constant *in, uint32_t axis,
                                     const fw_onnx_constant **out, fw_error *error) FW_MUST;
size_t fw_onnx_had(const fw_onnx_constant *c); /* elements of data */
/* One number for all elements. */
bool fw_onnx_uniform(const fw_onnx_constant *c, double *out);
static inline double fw_onnx_at(const fw_onnx_constant *c, size_t i) {
    return c->whole ? (double)((const int64_t *)c->data)[i] : (double)((const float *)c->data)[i];
}

/* A node of constants alone. in: (node->n_input), NULL where it names none. *out NULL: an operator that
 * is not folded. */
fw_status fw_onnx_fold(fw_onnx_pool *pool, fw_onnx_proto *node, const fw_onnx_constant *const *in,
                       fw_onnx_constant **out, fw_error *error) FW_MUST;
/* (count) integers as a constant of one axis. */
fw_status fw_onnx_constant_list(fw_onnx_pool *pool, const int64_t *values, uint32_t count,
                                fw_onnx_constant **out, fw_error *error) FW_MUST;
/* What a Shape node says of these dims. */
fw_status fw_onnx_shape_list(fw_onnx_pool *pool, fw_onnx_proto *node, uint32_t rank,
                             const int64_t *dims, fw_onnx_constant **out, fw_error *error) FW_MUST;

/* ---- attributes ---- */

const Onnx__AttributeProto *fw_onnx_attribute(fw_onnx_proto *node, const char *name);
int64_t fw_onnx_int_of(fw_onnx_proto *node, const char *name, int64_t otherwise);
float fw_onnx_float_of(fw_onnx_proto *node, const char *name, float otherwise);
bool fw_onnx_is(fw_onnx_proto *node, const char *op);

/* Integers by attribute, or by a constant in its place; count 0: neither is there. */
enum { FW_ONNX_LIST_MAX = 64 };
typedef struct fw_onnx_ilist {
    size_t count;
    int64_t at[FW_ONNX_LIST_MAX];
} fw_onnx_ilist;
fw_status fw_onnx_ints_of(fw_onnx_proto *node, const char *name, const fw_onnx_constant *input,
                          fw_onnx_ilist *out, fw_error *error) FW_MUST;
/* axis, negative ones from the end, below rank. */
fw_status fw_onnx_axis(int64_t axis, uint32_t rank, uint32_t *out, fw_error *error) FW_MUST;
/* What a Slice or Split takes of one axis: first, count, step (1, or negative: backwards). */
typedef struct fw_onnx_range {
    uint32_t axis;
    int64_t first, count, step;
} fw_onnx_range;
/* dims: of what is cut. Sets (FW_ONNX_RANK_MAX) ranges at most. in: as of fw_onnx_fold. */
fw_status fw_onnx_slices(fw_onnx_proto *node, const fw_onnx_constant *const *in, uint32_t rank,
                         const int64_t *dims, fw_onnx_range *out, uint32_t *count,
                         fw_error *error) FW_MUST;
/* The dims of a Reshape, Flatten, Squeeze or Unsqueeze of dims. */
fw_status fw_onnx_new_dims(fw_onnx_proto *node, const fw_onnx_constant *const *in, uint32_t rank,
                           const int64_t *dims, uint32_t *out_rank, int64_t *out,
                           fw_error *error) FW_MUST;

#define FW_ONNX_REFUSE(...) return fw_fail(error, FW_UNSUPPORTED, __VA_ARGS__)

#endif
