/* canonical.c - reading what is signed, and writing the bytes that are (canonical.h). */
#include "trust/canonical.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

/* ---- reading ---- */

/* jansson recurses as deep as the text nests; this looks before. */
static bool nests_too_deep(const char *bytes, size_t size_bytes) {
    int depth = 0;
    bool text = false;
    for (size_t i = 0; i < size_bytes; i++) {
        char c = bytes[i];
        if (text && c == '\\') i++;
        else if (c == '"') text = !text;
        else if (!text && (c == '{' || c == '[') && ++depth > FW_CANONICAL_DEPTH_MAX) return true;
        else if (!text && (c == '}' || c == ']')) depth--;
    }
    return false;
}

fw_status fw_canonical_read(const void *bytes, size_t size_bytes, json_t **out, fw_error *error) {
    json_error_t where;
    if (nests_too_deep(bytes, size_bytes))
        return fw_fail(error, FW_CORRUPT, "JSON: nested deeper than %d", FW_CANONICAL_DEPTH_MAX);
    fw_json_watch();
    json_t *value = fw_json_load(bytes, size_bytes, JSON_REJECT_DUPLICATES, &where);
    if (!value && fw_json_short()) return fw_fail(error, FW_NO_MEMORY, "no memory for %zu bytes of JSON", size_bytes);
    if (!value) return fw_fail(error, FW_CORRUPT, "JSON: %s (line %d)", where.text, where.line);
    *out = value;
    return FW_OK;
}

/* ---- writing ---- */

/* Grows by doubling; `failed` once memory was short. */
typedef struct text {
    char *bytes;
    size_t used, room;
    bool failed;
} text;

static void put(text *t, const char *bytes, size_t size_bytes) {
    if (t->failed) return;
    if (t->used + size_bytes + 1 > t->room) {
        size_t room = 2 * t->room + size_bytes + 64;
        char *grown = realloc(t->bytes, room);
        if (!grown) {
            t->failed = true;
            return;
        }
        t->bytes = grown;
        t->room = room;
    }
    memcpy(t->bytes + t->used, bytes, size_bytes);
    t->used += size_bytes;
    t->bytes[t->used] = '\0';
}

static void put_string(text *t, const char *value, size_t size_bytes) {
    put(t, "\"", 1);
    for (size_t i = 0; i < size_bytes; i++) {
        if (value[i] == '"' || value[i] == '\\') put(t, "\\", 1);
        put(t, &value[i], 1);
    }
    put(t, "\"", 1);
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static fw_status put_value(text *t, const json_t *value, int depth, fw_error *error);

/* UTF-8 sorts by its bytes as by its code points. */
static fw_status put_object(text *t, const json_t *object, int depth, fw_error *error) {
    size_t count = json_object_size(object), n = 0;
    const char **keys = calloc(count ? count : 1, sizeof *keys), *key;
    json_t *member;
    fw_status status = FW_OK;
    if (!keys) return fw_fail(error, FW_NO_MEMORY, "no memory for canonical JSON");
    json_object_foreach((json_t *)(uintptr_t)object, key, member)
        keys[n++] = key;
    qsort(keys, count, sizeof *keys, by_bytes);
    put(t, "{", 1);
    for (size_t i = 0; i < count && status == FW_OK; i++) {
        if (i) put(t, ",", 1);
        put_string(t, keys[i], strlen(keys[i]));
        put(t, ":", 1);
        status = put_value(t, json_object_get(object, keys[i]), depth + 1, error);
    }
    put(t, "}", 1);
    free(keys);
    return status;
}

static fw_status put_array(text *t, const json_t *array, int depth, fw_error *error) {
    put(t, "[", 1);
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i) put(t, ",", 1);
        FW_TRY(put_value(t, json_array_get(array, i), depth + 1, error));
    }
    put(t, "]", 1);
    return FW_OK;
}

static fw_status put_value(text *t, const json_t *value, int depth, fw_error *error) {
    char digits[32];
    if (depth > FW_CANONICAL_DEPTH_MAX)
        return fw_fail(error, FW_INVALID, "JSON: nested deeper than %d", FW_CANONICAL_DEPTH_MAX);
    switch (json_typeof(value)) {
    case JSON_OBJECT: return put_object(t, value, depth, error);
    case JSON_ARRAY: return put_array(t, value, depth, error);
    case JSON_STRING: put_string(t, json_string_value(value), json_string_length(value)); return FW_OK;
    case JSON_INTEGER:
        put(t, digits, (size_t)snprintf(digits, sizeof digits, "%" JSON_INTEGER_FORMAT, json_integer_value(value)));
        return FW_OK;
    case JSON_TRUE: put(t, "true", 4); return FW_OK;
    case JSON_FALSE: put(t, "false", 5); return FW_OK;
    case JSON_NULL: put(t, "null", 4); return FW_OK;
    default: return fw_fail(error, FW_INVALID, "canonical JSON has whole numbers alone");
    }
}

fw_status fw_canonical_write(const json_t *value, char **out, size_t *size_bytes, fw_error *error) {
    text t = {0};
    if (!value) return fw_fail(error, FW_NO_MEMORY, "no memory for canonical JSON");
    fw_status status = put_value(&t, value, 1, error);
    if (status == FW_OK && t.failed) status = fw_fail(error, FW_NO_MEMORY, "no memory for canonical JSON");
    if (status != FW_OK) {
        free(t.bytes);
        return status;
    }
    *out = t.bytes;
    *size_bytes = t.used;
    return FW_OK;
}
