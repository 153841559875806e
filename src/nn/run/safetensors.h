/* safetensors.h - model files: an 8-byte little-endian header size, a JSON header, raw tensors.
 *
 *   | size (8) | {"__metadata__":{..}, "name":{"dtype","shape","data_offsets"}, ..} | tensor | tensor |
 *
 * Form: https://github.com/huggingface/safetensors (format section). Any number of tensors up to
 * FW_TENSORS_MAX; the dtypes of FW_TENSOR_DTYPES, read as raw bytes.
 *
 * Invariants: (1) a hostile file is refused with a reason and without more memory than a few times its
 * header: header over the limit or nested deeply, offsets past the end, overlaps, gaps, sizes that do
 * not match shape and dtype, duplicate names, keys of an entry that are missing or unknown; (2) the
 * same tensors and metadata in the same order give the same bytes; (3) what is written reads back.
 */
#ifndef FW_NN_RUN_SAFETENSORS_H
#define FW_NN_RUN_SAFETENSORS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { FW_TENSOR_NAME_MAX = 128, FW_TENSOR_DIMS_MAX = 8, FW_TENSORS_MAX = 65536,
       FW_SAFETENSORS_HEADER_MAX = 16 << 20, FW_SAFETENSORS_DEPTH_MAX = 8 };

/* X(enum, the format's name, bytes); the first is what a tensor has that names none. */
#define FW_TENSOR_DTYPES(X)                                                                        \
    X(F32, "F32", 4)                                                                               \
    X(BF16, "BF16", 2)                                                                             \
    X(F16, "F16", 2)                                                                               \
    X(I32, "I32", 4)                                                                               \
    X(I64, "I64", 8)                                                                               \
    X(I8, "I8", 1)                                                                                 \
    X(U8, "U8", 1)                                                                                 \
    X(BOOL, "BOOL", 1)

typedef enum fw_tensor_dtype {
#define X(dtype, name, bytes) FW_TENSOR_##dtype,
    FW_TENSOR_DTYPES(X)
#undef X
        FW_TENSOR_DTYPE_COUNT
} fw_tensor_dtype;

typedef struct fw_tensor {
    char name[FW_TENSOR_NAME_MAX];
    fw_tensor_dtype dtype;
    uint32_t dims;
    uint64_t shape[FW_TENSOR_DIMS_MAX];
    const void *data; /* into the file's bytes when read (may be unaligned there: copy out with
                         memcpy); the caller's when written */
} fw_tensor;

typedef struct fw_safetensors {
    uint32_t count;
    fw_tensor *tensors; /* (count); a reader's are freed by fw_safetensors_clear, a writer's are its own */
    json_t *metadata;   /* object of strings, or NULL; owned */
    void *owned;        /* private: what the reader allocated */
    const uint32_t *by_name; /* private: (count) tensors in the order of their names, or NULL */
} fw_safetensors;

/* Reads; tensors point into bytes. The caller calls fw_safetensors_clear. */
fw_status fw_safetensors_read(const void *bytes, size_t size_bytes, fw_safetensors *out,
                              fw_error *error) FW_MUST;
void fw_safetensors_clear(fw_safetensors *file);
/* F32 tensor by name with the wanted element count (0: any) or NULL. */
const fw_tensor *fw_safetensors_find(const fw_safetensors *file, const char *name,
                                     uint64_t elements);
/* Tensor by name, of any dtype, or NULL. */
const fw_tensor *fw_safetensors_find_any(const fw_safetensors *file, const char *name);
uint64_t fw_tensor_elements(const fw_tensor *tensor);
uint32_t fw_tensor_dtype_bytes(fw_tensor_dtype dtype);
const char *fw_tensor_dtype_name(fw_tensor_dtype dtype);
/* Text of a metadata key, or NULL. */
const char *fw_safetensors_text(const fw_safetensors *file, const char *key);

/* Writes; keys sorted, header padded with spaces to 8 bytes, data in the order of the tensors, so that
 * the same tensors and metadata give the same bytes. *bytes is malloc'd, the caller frees.
 * FW_INVALID: a name twice, too long, or no UTF-8. */
fw_status fw_safetensors_write(const fw_safetensors *file, char **bytes, size_t *size_bytes,
                               fw_error *error) FW_MUST;

#endif
