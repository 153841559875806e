/* links: fw_nn_run */
/* Any bytes as a safetensors file: refused with a reason, or read so that every tensor lies inside the
 * file, and then written again to a file that reads the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "nn/run/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static void check_again(const fw_safetensors *file) {
    char *written = NULL;
    size_t size = 0;
    fw_error error = {""};
    fw_safetensors back;
    if (fw_safetensors_write(file, &written, &size, &error) != FW_OK) return; /* an empty name */
    FW_ASSERT(fw_safetensors_read(written, size, &back, &error) == FW_OK);
    FW_ASSERT(back.count == file->count);
    for (uint32_t i = 0; i < file->count; i++) {
        const fw_tensor *a = &file->tensors[i], *b = fw_safetensors_find_any(&back, a->name);
        FW_ASSERT(b && a->dtype == b->dtype && fw_tensor_elements(a) == fw_tensor_elements(b));
        FW_ASSERT(memcmp(a->data, b->data,
                         fw_tensor_elements(a) * fw_tensor_dtype_bytes(a->dtype)) == 0);
    }
    fw_safetensors_clear(&back);
    free(written);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes) {
    fw_safetensors file;
    fw_error error = {""};
    if (fw_safetensors_read(bytes, size_bytes, &file, &error) != FW_OK) {
        FW_ASSERT(error.text[0]);
        return 0;
    }
    check_again(&file);
    fw_safetensors_clear(&file);
    return 0;
}
