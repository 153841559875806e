/* read.h - private: an ONNX file taken apart. guard.c refuses what could hurt before anything is
 * allocated; import.c knows files and our own exports; reader.h other people's operators. */
#ifndef FW_NN_ONNX_READ_H
#define FW_NN_ONNX_READ_H

#include "nn/run/model.h"

typedef struct Onnx__GraphProto Onnx__GraphProto;
typedef struct Onnx__ModelProto Onnx__ModelProto;
typedef struct Onnx__TensorProto Onnx__TensorProto;

/* Walks the wire format: well-formed down to nodes, attributes and types; no nested graphs, functions,
 * external data, sequences or maps. */
fw_status fw_onnx_guard(const uint8_t *bytes, size_t size, fw_error *error) FW_MUST;

/* A tensor's elements; FW_CORRUPT: its data do not match its shape. */
fw_status fw_onnx_count(const Onnx__TensorProto *tensor, size_t *count, fw_error *error) FW_MUST;
/* Copies a FLOAT tensor's (count) elements, or one of INT64 or INT32. */
fw_status fw_onnx_copy_floats(const Onnx__TensorProto *tensor, float *out, fw_error *error) FW_MUST;
fw_status fw_onnx_copy_ints(const Onnx__TensorProto *tensor, int64_t *out, fw_error *error) FW_MUST;

/* Reads the graph operator by operator into a zeroed model; constants computed on the way take at most
 * limit_bytes. */
fw_status fw_onnx_read_graph(const Onnx__GraphProto *graph, size_t limit_bytes, fw_nn_model *model,
                             fw_error *error) FW_MUST;

#endif
