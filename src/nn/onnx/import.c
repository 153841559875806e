#include "nn/onnx/onnx.h"
fw_status fw_onnx_import(const void *bytes, size_t size_bytes, fw_nn_model *out,
                         fw_error *error) {
    (void)bytes, (void)size_bytes, (void)out;
    return fw_fail(error, FW_UNSUPPORTED, "ONNX files are not read");
}
