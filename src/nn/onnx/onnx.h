/* onnx.h - models to ONNX (operator set 17) and from it, for engines that are not ours.
 *
 *   fw_nn_model --export--> ModelProto bytes --> ONNX Runtime, TensorRT, vendors' compilers
 *   fw_nn_model <--import-- ModelProto bytes <-- other exporters' networks; our own exports, exactly
 *
 * The batch is the first dimension of every input and output, named "N". Parameters keep their names.
 * What ONNX has no operator for is written by its primitives: attention, rotary positions, RMS norm,
 * set pooling, GELU's tanh form, SiLU. Dropout is left out; losses, unbatched convolutions and the
 * gates and statistics kept for gradients are refused by the node's name. An index outside its table
 * reads as zeros here and is an error there.
 *
 * An export carries the graph in its metadata ("flywheel.graph"). Import takes that graph only when
 * exporting it again gives the very same bytes; every other file is read operator by operator
 * (reader.h, docs/formats/onnx.md): what is written out in primitives (norms, attention, GELU, SiLU) is
 * found again, shapes that are computed in the file are computed while it is read, and what nothing
 * needs is dropped. The batch may lie on any axis there; here it is the first.
 *
 * Hostile files are refused: nested graphs, functions, external data and types other than tensors
 * before anything is allocated for them; sizes are checked by the builder (nn/run/graph.h), and what a
 * file may ask for while it is read is bounded by its own size.
 */
#ifndef FW_NN_ONNX_ONNX_H
#define FW_NN_ONNX_ONNX_H

#include "nn/run/model.h"

enum { FW_ONNX_OPSET = 17, FW_ONNX_IR = 8, FW_ONNX_NODES_MAX = 16384 };
#define FW_ONNX_FILE_MAX ((size_t)1 << 31)

/* *bytes is malloc'd; the same model gives the same bytes. FW_UNSUPPORTED names the node. */
fw_status fw_onnx_export(const fw_nn_model *model, char **bytes, size_t *size_bytes,
                         fw_error *error) FW_MUST;
/* FW_CORRUPT, FW_UNSUPPORTED, FW_INVALID, FW_TOO_BIG, FW_NO_MEMORY. */
fw_status fw_onnx_import(const void *bytes, size_t size_bytes, fw_nn_model *out,
                         fw_error *error) FW_MUST;

#endif
