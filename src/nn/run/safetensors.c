#include "nn/run/safetensors.h"

#include <stdlib.h>
#include <string.h>

static fw_status parse_shape(const json_t *shape, fw_tensor *tensor, uint64_t *elements,
                             fw_error *error) {
    size_t dims = json_array_size(shape);
    if (!json_is_array(shape) || dims > FW_TENSOR_DIMS_MAX)
        return fw_fail(error, FW_CORRUPT, "tensor %s: bad shape", tensor->name);
    uint64_t product = 1;
    for (size_t i = 0; i < dims; i++) {
        json_int_t n = json_integer_value(json_array_get(shape, i));
        if (!json_is_integer(json_array_get(shape, i)) || n < 0 || n > (1 << 28) ||
            (n > 0 && product > (1u << 30) / (uint64_t)n))
            return fw_fail(error, FW_CORRUPT, "tensor %s: bad dimension", tensor->name);
        tensor->shape[i] = (uint64_t)n;
        product *= (uint64_t)n;
    }
    tensor->dims = (uint32_t)dims;
    *elements = product;
    return FW_OK;
}

static fw_status parse_tensor(const char *name, const json_t *entry, const char *data,
                              uint64_t data_bytes, fw_tensor *tensor, uint64_t range[2],
                              fw_error *error) {
    if (strlen(name) >= sizeof tensor->name)
        return fw_fail(error, FW_CORRUPT, "tensor name over %d bytes", FW_TENSOR_NAME_MAX - 1);
    strcpy(tensor->name, name);
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    if (!dtype || strcmp(dtype, "F32") != 0)
        return fw_fail(error, FW_UNSUPPORTED, "tensor %s: dtype %s, only F32 is read", name,
                       dtype ? dtype : "missing");
    uint64_t elements = 0;
    FW_TRY(parse_shape(json_object_get(entry, "shape"), tensor, &elements, error));
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(last) ||
        json_integer_value(first) < 0 || json_integer_value(last) < json_integer_value(first) ||
        (uint64_t)json_integer_value(last) > data_bytes)
        return fw_fail(error, FW_CORRUPT, "tensor %s: offsets outside the file", name);
    range[0] = (uint64_t)json_integer_value(first);
    range[1] = (uint64_t)json_integer_value(last);
    if (range[1] - range[0] != elements * sizeof(float))
        return fw_fail(error, FW_CORRUPT, "tensor %s: %llu bytes do not match its shape", name,
                       (unsigned long long)(range[1] - range[0]));
    tensor->data = (const float *)(const void *)(data + range[0]);
    return FW_OK;
}

/* Ranges must tile the data: sorted by start, each begins where the one before ended. */
static fw_status check_tiling(uint64_t ranges[][2], uint32_t count, uint64_t data_bytes,
                              fw_error *error) {
    uint64_t at = 0;
    for (uint32_t done = 0; done < count; done++) {
        uint32_t next = count;
        for (uint32_t i = 0; i < count; i++)
            if (ranges[i][0] == at && ranges[i][1] != UINT64_MAX &&
                (next == count || ranges[i][1] < ranges[next][1]))
                next = i;
        if (next == count)
            return fw_fail(error, FW_CORRUPT, "tensors overlap or leave a gap at byte %llu",
                           (unsigned long long)at);
        at = ranges[next][1];
        ranges[next][0] = ranges[next][1] = UINT64_MAX;
    }
    if (at != data_bytes)
        return fw_fail(error, FW_CORRUPT, "%llu bytes after the last tensor",
                       (unsigned long long)(data_bytes - at));
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
    uint64_t ranges[FW_TENSORS_MAX][2];
    const char *name;
    json_t *entry;
    json_object_foreach(header, name, entry) {
        if (strcmp(name, "__metadata__") == 0) {
            FW_TRY(check_metadata(entry, error));
            out->metadata = entry;
            continue;
        }
        if (out->count == FW_TENSORS_MAX)
            return fw_fail(error, FW_TOO_BIG, "more than %d tensors", FW_TENSORS_MAX);
        FW_TRY(parse_tensor(name, entry, data, data_bytes, &out->tensors[out->count],
                            ranges[out->count], error));
        out->count++;
    }
    return check_tiling(ranges, out->count, data_bytes, error);
}

fw_status fw_safetensors_read(const void *bytes, size_t size_bytes, fw_safetensors *out,
                              fw_error *error) {
    const unsigned char *raw = bytes;
    if (size_bytes < 8) return fw_fail(error, FW_CORRUPT, "model file of %zu bytes", size_bytes);
    uint64_t header_bytes = 0;
    for (int i = 7; i >= 0; i--) header_bytes = header_bytes << 8 | raw[i];
    if (header_bytes > FW_SAFETENSORS_HEADER_MAX || header_bytes > size_bytes - 8)
        return fw_fail(error, FW_CORRUPT, "model header of %llu bytes in a file of %zu",
                       (unsigned long long)header_bytes, size_bytes);
    json_error_t problem;
    json_t *header = json_loadb((const char *)raw + 8, (size_t)header_bytes,
                                JSON_REJECT_DUPLICATES, &problem);
    if (!json_is_object(header)) {
        json_decref(header);
        return fw_fail(error, FW_CORRUPT, "model header is not a JSON object");
    }
    fw_safetensors file = {0};
    fw_status status = parse_header(header, (const char *)raw + 8 + header_bytes,
                                    size_bytes - 8 - header_bytes, &file, error);
    if (status == FW_OK) {
        json_incref(file.metadata);
        *out = file;
    }
    json_decref(header);
    return status;
}

void fw_safetensors_clear(fw_safetensors *file) {
    json_decref(file->metadata);
    *file = (fw_safetensors){0};
}

const fw_tensor *fw_safetensors_find(const fw_safetensors *file, const char *name,
                                     uint64_t elements) {
    for (uint32_t i = 0; i < file->count; i++) {
        const fw_tensor *tensor = &file->tensors[i];
        if (strcmp(tensor->name, name) != 0) continue;
        uint64_t product = 1;
        for (uint32_t d = 0; d < tensor->dims; d++) product *= tensor->shape[d];
        return elements == 0 || product == elements ? tensor : NULL;
    }
    return NULL;
}

static uint64_t tensor_bytes(const fw_tensor *tensor) {
    uint64_t product = sizeof(float);
    for (uint32_t d = 0; d < tensor->dims; d++) product *= tensor->shape[d];
    return product;
}

static json_t *header_of(const fw_safetensors *file, uint64_t *data_bytes) {
    json_t *header = json_object();
    uint64_t at = 0;
    for (uint32_t i = 0; i < file->count; i++) {
        const fw_tensor *tensor = &file->tensors[i];
        json_t *shape = json_array();
        for (uint32_t d = 0; d < tensor->dims; d++)
            json_array_append_new(shape, json_integer((json_int_t)tensor->shape[d]));
        uint64_t end = at + tensor_bytes(tensor);
        json_object_set_new(header, tensor->name,
                            json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F32", "shape", shape,
                                      "data_offsets", (json_int_t)at, (json_int_t)end));
        at = end;
    }
    if (file->metadata) json_object_set(header, "__metadata__", file->metadata);
    *data_bytes = at;
    return header;
}

fw_status fw_safetensors_write(const fw_safetensors *file, char **bytes, size_t *size_bytes,
                               fw_error *error) {
    uint64_t data_bytes = 0;
    json_t *header = header_of(file, &data_bytes);
    char *text = json_dumps(header, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(header);
    if (!text) return fw_fail(error, FW_NO_MEMORY, "no memory for a model header");
    size_t text_bytes = strlen(text), padded = (text_bytes + 7) & ~(size_t)7;
    char *buffer = malloc(8 + padded + data_bytes);
    if (!buffer) {
        free(text);
        return fw_fail(error, FW_NO_MEMORY, "no memory for a model of %llu bytes",
                       (unsigned long long)data_bytes);
    }
    for (int i = 0; i < 8; i++) buffer[i] = (char)((uint64_t)padded >> (8 * i));
    memcpy(buffer + 8, text, text_bytes);
    memset(buffer + 8 + text_bytes, ' ', padded - text_bytes);
    char *at = buffer + 8 + padded;
    for (uint32_t i = 0; i < file->count; i++) {
        memcpy(at, file->tensors[i].data, tensor_bytes(&file->tensors[i]));
        at += tensor_bytes(&file->tensors[i]);
    }
    free(text);
    *bytes = buffer;
    *size_bytes = 8 + padded + data_bytes;
    return FW_OK;
}
