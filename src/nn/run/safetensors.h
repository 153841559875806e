/* safetensors.h - model files: an 8-byte little-endian header size, a JSON header, raw tensors.
 *
 * Form: https://github.com/huggingface/safetensors (format section). Hostile files are refused with
 * a reason: header over the limit, offsets past the end, overlaps, gaps, sizes that do not match
 * shape and dtype, duplicate names. Only F32 is read and written; other dtypes are refused.
 */
#ifndef FW_NN_RUN_SAFETENSORS_H
#define FW_NN_RUN_SAFETENSORS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { FW_TENSOR_NAME_MAX = 64, FW_TENSOR_DIMS_MAX = 4, FW_TENSORS_MAX = 64,
       FW_SAFETENSORS_HEADER_MAX = 1 << 20 };

typedef struct fw_tensor {
    char name[FW_TENSOR_NAME_MAX];
    uint32_t dims;
    uint64_t shape[FW_TENSOR_DIMS_MAX];
    const float *data; /* into the file's bytes when read (may be unaligned there: copy out with
                          memcpy); the caller's when written */
} fw_tensor;

typedef struct fw_safetensors {
    uint32_t count;
    fw_tensor tensors[FW_TENSORS_MAX];
    json_t *metadata; /* object of strings, or NULL; owned */
} fw_safetensors;

/* Reads; tensors point into bytes. The caller calls fw_safetensors_clear. */
fw_status fw_safetensors_read(const void *bytes, size_t size_bytes, fw_safetensors *out,
                              fw_error *error) FW_MUST;
void fw_safetensors_clear(fw_safetensors *file);
/* Tensor by name with the wanted element count (0: any) or NULL. */
const fw_tensor *fw_safetensors_find(const fw_safetensors *file, const char *name,
                                     uint64_t elements);
/* Writes; keys sorted, header padded with spaces to 8 bytes, so that the same tensors and
 * metadata give the same bytes. *bytes is malloc'd, the caller frees. */
fw_status fw_safetensors_write(const fw_safetensors *file, char **bytes, size_t *size_bytes,
                               fw_error *error) FW_MUST;

#endif
