/* links: fw_nn_onnx */
/* Any bytes as an ONNX file: refused with a reason; or read, and then exported and read again to the
 * same file. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "nn/onnx/onnx.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes) {
    fw_nn_model model, back;
    fw_error error = {""};
    char *once = NULL, *twice = NULL;
    size_t size = 0, size2 = 0;
    if (fw_onnx_import(bytes, size_bytes, &model, &error) != FW_OK) {
        FW_ASSERT(error.text[0]);
        return 0;
    }
    if (fw_onnx_export(&model, &once, &size, &error) == FW_OK) {
        FW_ASSERT(fw_onnx_import(once, size, &back, &error) == FW_OK);
        FW_ASSERT(fw_onnx_export(&back, &twice, &size2, &error) == FW_OK);
        FW_ASSERT(size == size2 && memcmp(once, twice, size) == 0);
        fw_nn_model_clear(&back);
    }
    free(once);
    free(twice);
    fw_nn_model_clear(&model);
    return 0;
}
