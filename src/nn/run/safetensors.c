#include "nn/run/safetensors.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    uint32_t bytes;
} dtypes[FW_TENSOR_DTYPE_COUNT] = {
#define X(dtype, text, size) {text, size},
    FW_TENSOR_DTYPES(X)
#undef X
};

uint32_t fw_tensor_dtype_bytes(fw_tensor_dtype dtype) {
    return dtypes[dtype].bytes;
}
const char *fw_tensor_dtype_name(fw_tensor_dtype dtype) {
    return dtypes[dtype].name;
}

uint64_t fw_tensor_elements(const fw_tensor *tensor) {
    uint64_t product = 1;
    for (uint32_t d = 0; d < tensor->dims; d++) product *= tensor->shape[d];
    return product;
}

/* ---- reading ---- */

static fw_status parse_dtype(const json_t *entry, fw_tensor *tensor, fw_error *error) {
    const char *name = json_string_value(json_object_get(entry, "dtype"));
    for (uint32_t i = 0; name && i < FW_TENSOR_DTYPE_COUNT; i++)
        if (strcmp(name, dtypes[i].name) == 0) {
            tensor->dtype = (fw_tensor_dtype)i;
            return FW_OK;
        }
    return fw_fail(error, FW_UNSUPPORTED, "tensor %s: dtype %.20s is not read", tensor->name,
                   name ? name : "missing");
}

/* Shape, and the bytes it takes. */
static fw_status parse_shape(const json_t *shape, fw_tensor *tensor, uint64_t *bytes,
                             fw_error *error) {
    size_t dims = json_array_size(shape);
    if (!json_is_array(shape) || dims > FW_TENSOR_DIMS_MAX)
        return fw_fail(error, FW_CORRUPT, "tensor %s: bad shape, %d dimensions at most",
                       tensor->name, FW_TENSOR_DIMS_MAX);
    uint64_t product = dtypes[tensor->dtype].bytes;
    for (size_t i = 0; i < dims; i++) {
        const json_t *n = json_array_get(shape, i);
        if (!json_is_integer(n) || json_integer_value(n) < 0 ||
            json_integer_value(n) > (json_int_t)1 << 40)
            return fw_fail(error, FW_CORRUPT, "tensor %s: bad dimension", tensor->name);
        tensor->shape[i] = (uint64_t)json_integer_value(n);
        if (__builtin_mul_overflow(product, tensor->shape[i], &product))
            return fw_fail(error, FW_CORRUPT, "tensor %s: too many elements", tensor->name);
    }
    tensor->dims = (uint32_t)dims;
    *bytes = product;
    return FW_OK;
}

static fw_status parse_range(const json_t *entry, const char *name, uint64_t data_bytes,
                             uint64_t range[2], fw_error *error) {
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(last) ||
        json_integer_value(first) < 0 || json_integer_value(last) < json_integer_value(first) ||
        (uint64_t)json_integer_value(last) > data_bytes)
        return fw_fail(error, FW_CORRUPT, "tensor %s: offsets outside the file", name);
    range[0] = (uint64_t)json_integer_value(first);
    range[1] = (uint64_t)json_integer_value(last);
    return FW_OK;
}

static fw_status parse_tensor(const char *name, const json_t *entry, const char *data,
                              uint64_t data_bytes, fw_tensor *tensor, fw_error *error) {
    uint64_t range[2] = {0}, bytes = 0;
    if (strlen(name) >= sizeof tensor->name)
        return fw_fail(error, FW_CORRUPT, "tensor name over %d bytes", FW_TENSOR_NAME_MAX - 1);
    strcpy(tensor->name, name);
    if (json_object_size(entry) != 3)
        return fw_fail(error, FW_CORRUPT, "tensor %s: not dtype, shape and data_offsets alone", name);
    FW_TRY(parse_dtype(entry, tensor, error));
    FW_TRY(parse_shape(json_object_get(entry, "shape"), tensor, &bytes, error));
    FW_TRY(parse_range(entry, name, data_bytes, range, error));
    if (range[1] - range[0] != bytes)
        return fw_fail(error, FW_CORRUPT, "tensor %s: %llu bytes do not match its shape", name,
                       (unsigned long long)(range[1] - range[0]));
    tensor->data = data + range[0];
    return FW_OK;
}

static uint64_t tensor_bytes(const fw_tensor *tensor) {
    return dtypes[tensor->dtype].bytes * fw_tensor_elements(tensor);
}

static int compare_names(const void *a, const void *b, void *self) {
    const fw_tensor *tensors = self;
    return strcmp(tensors[*(const uint32_t *)a].name, tensors[*(const uint32_t *)b].name);
}

/* By place; empty ones before the one that begins where they lie. */
static int compare_places(const void *a, const void *b, void *self) {
    const fw_tensor *tensors = self;
    const fw_tensor *x = &tensors[*(const uint32_t *)a], *y = &tensors[*(const uint32_t *)b];
    const char *from_x = x->data, *from_y = y->data;
    if (from_x != from_y) return from_x < from_y ? -1 : 1;
    uint64_t size_x = tensor_bytes(x), size_y = tensor_bytes(y);
    return size_x < size_y ? -1 : size_x > size_y;
}

/* Ranges must tile the data: sorted by start, each begins where the one before ended. */
static fw_status check_tiling(const fw_safetensors *file, uint32_t *order, const char *data,
                              uint64_t data_bytes, fw_error *error) {
    const char *at = data;
    qsort_r(order, file->count, sizeof *order, compare_places, file->tensors);
    for (uint32_t i = 0; i < file->count; i++) {
        const fw_tensor *tensor = &file->tensors[order[i]];
        if ((const char *)tensor->data != at)
            return fw_fail(error, FW_CORRUPT, "tensors overlap or leave a gap at byte %llu",
                           (unsigned long long)(at - data));
        at += tensor_bytes(tensor);
    }
    if (at != data + data_bytes)
        return fw_fail(error, FW_CORRUPT, "%llu bytes after the last tensor",
                       (unsigned long long)(data + data_bytes - at));
    return FW_OK;
}

static fw_status check_metadata(const json_t *metadata, fw_error *error) {
    if (!json_is_object(metadata))
        return fw_fail(error, FW_CORRUPT, "__metadata__ is not an object");
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)metadata, key, value) {
        if (!json_is_string(value))
            return fw_fail(error, FW_CORRUPT, "metadata %.40s is not a string", key);
    }
    return FW_OK;
}

static fw_status parse_header(json_t *header, const char *data, uint64_t data_bytes,
                              fw_safetensors *out, fw_error *error) {
    const char *name;
    json_t *entry;
    json_object_foreach(header, name, entry) {
        if (strcmp(name, "__metadata__") == 0) {
            FW_TRY(check_metadata(entry, error));
            out->metadata = entry;
            continue;
        }
        FW_TRY(parse_tensor(name, entry, data, data_bytes, &out->tensors[out->count], error));
        out->count++;
    }
    uint32_t *order = (uint32_t *)(out->tensors + json_object_size(header));
    for (uint32_t i = 0; i < out->count; i++) order[i] = i;
    FW_TRY(check_tiling(out, order, data, data_bytes, error));
    qsort_r(order, out->count, sizeof *order, compare_names, out->tensors);
    out->by_name = order;
    return FW_OK;
}

/* Brackets open at one time, outside of strings: a parser's stack is not for the file to choose. */
static bool is_shallow(const char *text, size_t size) {
    size_t depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '{' || c == '['))
            depth++;
        else if (!quoted && (c == '}' || c == ']') && depth > 0)
            depth--;
        if (depth > FW_SAFETENSORS_DEPTH_MAX) return false;
    }
    return true;
}

static fw_status load_header(const char *text, size_t size, json_t **out, fw_error *error) {
    json_error_t problem;
    if (!is_shallow(text, size))
        return fw_fail(error, FW_CORRUPT, "model header nested deeper than %d",
                       FW_SAFETENSORS_DEPTH_MAX);
    json_t *header = json_loadb(text, size, JSON_REJECT_DUPLICATES, &problem);
    fw_status status = FW_OK;
    if (!header)
        status = fw_fail(error, FW_CORRUPT, "model header is not JSON: %.120s", problem.text);
    else if (!json_is_object(header))
        status = fw_fail(error, FW_CORRUPT, "model header is not a JSON object");
    else if (json_object_size(header) > FW_TENSORS_MAX + 1)
        status = fw_fail(error, FW_TOO_BIG, "more than %d tensors", FW_TENSORS_MAX);
    if (status != FW_OK) json_decref(header);
    else *out = header;
    return status;
}

fw_status fw_safetensors_read(const void *bytes, size_t size_bytes, fw_safetensors *out,
                              fw_error *error) {
    const unsigned char *raw = bytes;
    json_t *header = NULL;
    if (size_bytes < 8) return fw_fail(error, FW_CORRUPT, "model file of %zu bytes", size_bytes);
    uint64_t header_bytes = 0;
    for (int i = 7; i >= 0; i--) header_bytes = header_bytes << 8 | raw[i];
    if (header_bytes > FW_SAFETENSORS_HEADER_MAX || header_bytes > size_bytes - 8)
        return fw_fail(error, FW_CORRUPT, "model header of %llu bytes in a file of %zu",
                       (unsigned long long)header_bytes, size_bytes);
    FW_TRY(load_header((const char *)raw + 8, (size_t)header_bytes, &header, error));
    size_t room = json_object_size(header);
    fw_safetensors file = {0};
    file.owned = calloc(room + 1, sizeof *file.tensors + sizeof *file.by_name);
    file.tensors = file.owned;
    fw_status status = FW_OK;
    if (!file.owned) status = fw_fail(error, FW_NO_MEMORY, "no memory for %zu tensors", room);
    if (status == FW_OK)
        status = parse_header(header, (const char *)raw + 8 + header_bytes,
                              size_bytes - 8 - header_bytes, &file, error);
    if (status == FW_OK) {
        json_incref(file.metadata);
        *out = file;
    } else {
        free(file.owned);
    }
    json_decref(header);
    return status;
}

void fw_safetensors_clear(fw_safetensors *file) {
    json_decref(file->metadata);
    free(file->owned);
    *file = (fw_safetensors){0};
}

const fw_tensor *fw_safetensors_find_any(const fw_safetensors *file, const char *name) {
    if (!file->by_name) {
        for (uint32_t i = 0; i < file->count; i++)
            if (strcmp(file->tensors[i].name, name) == 0) return &file->tensors[i];
        return NULL;
    }
    uint32_t low = 0, high = file->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const fw_tensor *tensor = &file->tensors[file->by_name[middle]];
        int order = strcmp(tensor->name, name);
        if (order == 0) return tensor;
        if (order < 0) low = middle + 1;
        else high = middle;
    }
    return NULL;
}

const fw_tensor *fw_safetensors_find(const fw_safetensors *file, const char *name,
                                     uint64_t elements) {
    const fw_tensor *tensor = fw_safetensors_find_any(file, name);
    if (!tensor || tensor->dtype != FW_TENSOR_F32) return NULL;
    return elements == 0 || fw_tensor_elements(tensor) == elements ? tensor : NULL;
}

const char *fw_safetensors_text(const fw_safetensors *file, const char *key) {
    return json_string_value(json_object_get(file->metadata, key));
}

/* ---- writing ---- */

/* An entry of the header; *at moves on by the tensor's bytes. */
static fw_status add_entry(json_t *header, const fw_tensor *tensor, uint64_t *at,
                           fw_error *error) {
    json_t *shape = json_array();
    for (uint32_t d = 0; d < tensor->dims; d++)
        json_array_append_new(shape, json_integer((json_int_t)tensor->shape[d]));
    if (tensor->name[0] == '\0' || strcmp(tensor->name, "__metadata__") == 0 ||
        json_object_get(header, tensor->name)) {
        json_decref(shape);
        return fw_fail(error, FW_INVALID, "tensor name \"%s\" is none, or is taken", tensor->name);
    }
    uint64_t end = *at + tensor_bytes(tensor);
    json_t *entry = json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtypes[tensor->dtype].name, "shape",
                              shape, "data_offsets", (json_int_t)*at, (json_int_t)end);
    if (!entry || json_object_set_new(header, tensor->name, entry) != 0)
        return fw_fail(error, FW_INVALID, "tensor %s: its name is no UTF-8, or no memory",
                       tensor->name);
    *at = end;
    return FW_OK;
}

static fw_status header_text(const fw_safetensors *file, char **text, uint64_t *data_bytes,
                             fw_error *error) {
    json_t *header = json_object();
    fw_status status = FW_OK;
    *data_bytes = 0;
    for (uint32_t i = 0; i < file->count && status == FW_OK; i++)
        status = add_entry(header, &file->tensors[i], data_bytes, error);
    if (status == FW_OK && file->metadata)
        json_object_set(header, "__metadata__", file->metadata);
    if (status == FW_OK) {
        *text = json_dumps(header, JSON_COMPACT | JSON_SORT_KEYS);
        if (!*text) status = fw_fail(error, FW_NO_MEMORY, "no memory for a model header");
    }
    json_decref(header);
    return status;
}

fw_status fw_safetensors_write(const fw_safetensors *file, char **bytes, size_t *size_bytes,
                               fw_error *error) {
    uint64_t data_bytes = 0;
    char *text = NULL;
    if (file->count > FW_TENSORS_MAX)
        return fw_fail(error, FW_TOO_BIG, "more than %d tensors", FW_TENSORS_MAX);
    FW_TRY(header_text(file, &text, &data_bytes, error));
    size_t text_bytes = strlen(text), padded = (text_bytes + 7) & ~(size_t)7;
    fw_status status = FW_OK;
    char *buffer = NULL;
    if (padded > FW_SAFETENSORS_HEADER_MAX)
        status = fw_fail(error, FW_TOO_BIG, "a model header of %zu bytes, the limit is %d", padded,
                         FW_SAFETENSORS_HEADER_MAX);
    else if (!(buffer = malloc(8 + padded + data_bytes)))
        status = fw_fail(error, FW_NO_MEMORY, "no memory for a model of %llu bytes",
                         (unsigned long long)data_bytes);
    if (status == FW_OK) {
        for (int i = 0; i < 8; i++) buffer[i] = (char)((uint64_t)padded >> (8 * i));
        memcpy(buffer + 8, text, text_bytes);
        memset(buffer + 8 + text_bytes, ' ', padded - text_bytes);
        char *at = buffer + 8 + padded;
        for (uint32_t i = 0; i < file->count; i++) {
            uint64_t part = tensor_bytes(&file->tensors[i]);
            if (part > 0) memcpy(at, file->tensors[i].data, part);
            at += part;
        }
        *bytes = buffer;
        *size_bytes = 8 + padded + data_bytes;
    }
    free(text);
    return status;
}
