#include "import/npy.h"

#include <stdlib.h>
#include <string.h>

enum { HEAD_MAX = 4096 };

/* The text after 'key': in the header's dictionary; NULL when it is not there. */
static const char *after(const char *header, const char *key) {
    const char *at = strstr(header, key);
    if (!at) return NULL;
    at += strlen(key);
    while (*at == ' ' || *at == ':') at++;
    return at;
}

static bool take_type(const char *descr, fw_npy *out) {
    if (!descr || *descr != '\'') return false;
    const char order = descr[1];
    out->kind = descr[2];
    char *end;
    unsigned long bytes = strtoul(descr + 3, &end, 10);
    if (end == descr + 3 || *end != '\'' || bytes == 0 || bytes > 4096) return false;
    out->item_bytes = (uint32_t)bytes;
    bool word = out->kind == 'f' ? bytes == 4 || bytes == 8
                                 : bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
    return (order == '<' || order == '|') &&
           ((strchr("fiu", out->kind) && word) || (out->kind == 'b' && bytes == 1) ||
            out->kind == 'S');
}

/* "(N,)" or "(N, M)" */
static bool take_shape(const char *shape, fw_npy *out) {
    char *end;
    if (!shape || *shape != '(' || shape[1] < '0' || shape[1] > '9') return false;
    out->rows = strtoull(shape + 1, &end, 10);
    out->columns = 1;
    if (*end != ',') return false;
    while (*++end == ' ') continue;
    if (*end >= '0' && *end <= '9') out->columns = strtoull(end, &end, 10);
    while (*end == ',' || *end == ' ') end++;
    return *end == ')' && out->rows <= FW_IMPORT_SOURCE_MAX_BYTES && out->columns > 0 &&
           out->columns <= FW_IMPORT_FIELDS_MAX;
}

static fw_status parse(const char *bytes, size_t size, const char *name, fw_npy *out,
                       fw_error *error) {
    char header[HEAD_MAX + 1];
    if (size < 12 || memcmp(bytes, "\x93NUMPY", 6) != 0)
        return fw_fail(error, FW_CORRUPT, "%s is no NumPy array", name);
    const uint8_t *b = (const uint8_t *)bytes;
    size_t start = b[6] == 1 ? 10 : 12;
    size_t length = (size_t)b[8] | (size_t)b[9] << 8;
    if (b[6] > 1) length |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
    if (b[6] < 1 || b[6] > 3 || length > HEAD_MAX || length > size - start)
        return fw_fail(error, FW_CORRUPT, "%s: the header is cut, too long or of version %u", name,
                       b[6]);
    memcpy(header, bytes + start, length);
    header[length] = '\0';
    if (!take_type(after(header, "'descr'"), out))
        return fw_fail(error, FW_UNSUPPORTED, "%s: items of this type are not read", name);
    if (!take_shape(after(header, "'shape'"), out))
        return fw_fail(error, FW_UNSUPPORTED, "%s: only one or two dimensions are read", name);
    const char *order = after(header, "'fortran_order'");
    out->by_column = order && strncmp(order, "True", 4) == 0;
    uint64_t wanted = (uint64_t)out->rows * out->columns * out->item_bytes;
    if (wanted != size - start - length)
        return fw_fail(error, FW_CORRUPT, "%s: %zu rows of %zu do not fill the file", name,
                       out->rows, out->columns);
    out->data = b + start + length;
    return FW_OK;
}

fw_status fw_npy_parse(char *bytes, size_t size_bytes, const char *name, fw_npy *out,
                       fw_error *error) {
    fw_npy array = {0};
    FW_TRY(parse(bytes, size_bytes, name, &array, error));
    array.file = bytes;
    *out = array;
    return FW_OK;
}

fw_status fw_npy_read(fw_import_log *log, const char *path, fw_npy *out, fw_error *error) {
    char *bytes = NULL;
    size_t size = 0;
    FW_TRY(fw_import_read(log, path, &bytes, &size, error));
    fw_status status = fw_npy_parse(bytes, size, path, out, error);
    if (status != FW_OK) free(bytes);
    return status;
}

void fw_npy_clear(fw_npy *array) {
    free(array->file);
    *array = (fw_npy){0};
}

const uint8_t *fw_npy_item(const fw_npy *array, size_t row, size_t column) {
    FW_ASSERT(row < array->rows && column < array->columns);
    size_t at = array->by_column ? column * array->rows + row : row * array->columns + column;
    return array->data + at * array->item_bytes;
}

double fw_npy_number(const fw_npy *array, size_t row, size_t column) {
    const uint8_t *item = fw_npy_item(array, row, column);
    uint64_t word = 0;
    for (uint32_t i = 0; i < array->item_bytes; i++) word |= (uint64_t)item[i] << (8 * i);
    if (array->kind == 'f' && array->item_bytes == 8) {
        double value;
        memcpy(&value, &word, sizeof value);
        return value;
    }
    if (array->kind == 'f') {
        float value;
        uint32_t half = (uint32_t)word;
        memcpy(&value, &half, sizeof value);
        return (double)value;
    }
    if (array->kind != 'i') return (double)word;
    unsigned unused = 64 - 8 * array->item_bytes;
    return (double)((int64_t)(word << unused) >> unused);
}
