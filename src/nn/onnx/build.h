/* build.h - private: an ONNX graph under construction. Everything lies in blocks that fw_onnx_free
 * gives back at once. After a failure (no memory, or fw_onnx_refuse) calls do nothing and return "";
 * fw_onnx_pack tells it. */
#ifndef FW_NN_ONNX_BUILD_H
#define FW_NN_ONNX_BUILD_H

#include "nn/run/model.h"

typedef struct Onnx__NodeProto Onnx__NodeProto;
typedef struct fw_onnx_block fw_onnx_block;

typedef struct fw_onnx {
    const fw_nn_model *model;
    const fw_nn_node *node; /* the one that is written now */
    const char **names;     /* (value_count) the tensor that holds a value; NULL: none does */
    fw_onnx_block *blocks;
    void **nodes, **tensors; /* grown lists of NodeProto and TensorProto */
    size_t node_count, tensor_count, node_room, tensor_room;
    uint32_t made; /* tensors named within this node */
    fw_status status;
    fw_error error;
} fw_onnx;

void *fw_onnx_new(fw_onnx *e, size_t bytes); /* zeroed; never NULL before a failure */
const char *fw_onnx_text(fw_onnx *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
void fw_onnx_refuse(fw_onnx *e, const char *why);
void fw_onnx_free(fw_onnx *e);
fw_status fw_onnx_pack(fw_onnx *e, char **bytes, size_t *size_bytes, fw_error *error) FW_MUST;

/* A node with one output, whose name comes back. op's name; inputs may be "". */
const char *fw_onnx_node(fw_onnx *e, const char *op, const char *const *inputs, size_t count,
                         Onnx__NodeProto **out);
#define FW_ONNX_OP(e, op, ...)                                                                     \
    fw_onnx_node(e, op, (const char *const[]){__VA_ARGS__},                                        \
                 sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *), NULL)
#define FW_ONNX_WITH(e, out, op, ...)                                                              \
    fw_onnx_node(e, op, (const char *const[]){__VA_ARGS__},                                        \
                 sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *), out)
void fw_onnx_int(fw_onnx *e, Onnx__NodeProto *node, const char *name, int64_t value);
void fw_onnx_float(fw_onnx *e, Onnx__NodeProto *node, const char *name, float value);
void fw_onnx_list(fw_onnx *e, Onnx__NodeProto *node, const char *name, const int64_t *values,
                  size_t count);
#define FW_ONNX_LIST(e, node, name, ...)                                                           \
    fw_onnx_list(e, node, name, (const int64_t[]){__VA_ARGS__},                                    \
                 sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))
/* Constants; the data is copied. */
const char *fw_onnx_ints(fw_onnx *e, const int64_t *values, size_t count);
#define FW_ONNX_INTS(e, ...)                                                                       \
    fw_onnx_ints(e, (const int64_t[]){__VA_ARGS__},                                                \
                 sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))
const char *fw_onnx_floats(fw_onnx *e, const char *name, const float *values, const int64_t *dims,
                           size_t dim_count);
const char *fw_onnx_scalar(fw_onnx *e, float value);

/* Writes e->node; sets e->names of its outputs. In operators.c. */
void fw_onnx_write_node(fw_onnx *e);

#endif
