#include "payload/text.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -------------------------------------------------------------------------- room ----- */

static bool widen(fw_payload_text *t, size_t more) {
    size_t want = t->size_bytes + more + 1; /* one for the terminating zero */
    size_t capacity = t->capacity_bytes < 256 ? 256 : t->capacity_bytes;
    while (capacity < want) capacity *= 2;
    char *bytes = realloc(t->bytes, capacity);
    if (bytes == NULL) {
        t->failed = FW_NO_MEMORY;
        return false;
    }
    t->bytes = bytes;
    t->capacity_bytes = capacity;
    return true;
}

static char *room(fw_payload_text *t, size_t more) {
    if (t->failed == FW_OK && more > t->max_bytes - t->size_bytes) t->failed = FW_TOO_BIG;
    if (t->failed != FW_OK) return NULL;
    if (t->capacity_bytes - t->size_bytes <= more && !widen(t, more)) return NULL;
    char *at = t->bytes + t->size_bytes;
    t->size_bytes += more;
    return at;
}

void fw_payload_put(fw_payload_text *text, const void *bytes, size_t size_bytes) {
    char *at = size_bytes > 0 ? room(text, size_bytes) : NULL;
    if (at != NULL) memcpy(at, bytes, size_bytes);
}

void fw_payload_put_char(fw_payload_text *text, char c) {
    char *at = room(text, 1);
    if (at != NULL) *at = c;
}

fw_status fw_payload_text_status(fw_payload_text *text) {
    if (room(text, 0) != NULL) text->bytes[text->size_bytes] = '\0';
    return text->failed;
}

/* ----------------------------------------------------------------------- strings ----- */

size_t fw_payload_utf8(const uint8_t *at, size_t left, uint32_t *point) {
    uint8_t first = left > 0 ? at[0] : 0xff;
    size_t size = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (size == 0 || first > 0xf4 || size > left) return 0;
    uint32_t value = size == 1 ? first : first & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80) return 0;
        value = value << 6 | (at[i] & 0x3fu);
    }
    bool is_long = (size == 3 && value < 0x800) || (size == 4 && value < 0x10000);
    if (is_long || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) return 0;
    *point = value;
    return size;
}

static void put_escape(fw_payload_text *t, uint32_t point) {
    static const char hex[] = "0123456789abcdef";
    static const char *const plain = "\"\\\b\f\n\r\t", *const letter = "\"\\bfnrt";
    const char *known = point < 0x80 && point > 0 ? strchr(plain, (int)point) : NULL;
    if (known != NULL) {
        fw_payload_put(t, (char[]){'\\', letter[known - plain]}, 2);
        return;
    }
    fw_payload_put(t, (char[]){'\\', 'u', '0', '0', hex[point >> 4 & 15], hex[point & 15]}, 6);
}

void fw_payload_put_point(fw_payload_text *text, uint32_t p) {
    if (p >= 0xd800 && p < 0xe000) p = 0xfffd;
    if (p < 0x20 || p == '"' || p == '\\' || (p >= 0x7f && p < 0xa0)) {
        put_escape(text, p);
    } else if (p < 0x80) {
        fw_payload_put_char(text, (char)p);
    } else if (p < 0x800) {
        fw_payload_put(text, (char[]){(char)(0xc0 | p >> 6), (char)(0x80 | (p & 0x3f))}, 2);
    } else if (p < 0x10000) {
        fw_payload_put(text,
                       (char[]){(char)(0xe0 | p >> 12), (char)(0x80 | (p >> 6 & 0x3f)),
                                (char)(0x80 | (p & 0x3f))},
                       3);
    } else {
        fw_payload_put(text,
                       (char[]){(char)(0xf0 | p >> 18), (char)(0x80 | (p >> 12 & 0x3f)),
                                (char)(0x80 | (p >> 6 & 0x3f)), (char)(0x80 | (p & 0x3f))},
                       4);
    }
}

void fw_payload_put_string(fw_payload_text *text, const void *bytes, size_t size_bytes) {
    const uint8_t *at = bytes;
    fw_payload_put_char(text, '"');
    for (size_t i = 0; i < size_bytes && text->failed == FW_OK;) {
        size_t run = i;
        while (run < size_bytes && at[run] >= 0x20 && at[run] < 0x7f && at[run] != '"' &&
               at[run] != '\\')
            run++;
        fw_payload_put(text, at + i, run - i);
        i = run;
        if (i == size_bytes) break;
        uint32_t point = 0xfffd;
        size_t size = fw_payload_utf8(at + i, size_bytes - i, &point);
        fw_payload_put_point(text, point);
        i += size > 0 ? size : 1;
    }
    fw_payload_put_char(text, '"');
}

void fw_payload_put_base64(fw_payload_text *text, const void *bytes, size_t size_bytes) {
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *in = bytes;
    fw_payload_put_char(text, '"');
    char *out = size_bytes < SIZE_MAX / 2 ? room(text, (size_bytes + 2) / 3 * 4) : NULL;
    for (size_t i = 0; out != NULL && i < size_bytes; i += 3) {
        size_t left = size_bytes - i;
        uint32_t v = (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) |
                     (left > 2 ? in[i + 2] : 0u);
        *out++ = letters[v >> 18];
        *out++ = letters[v >> 12 & 63];
        *out++ = left > 1 ? letters[v >> 6 & 63] : '=';
        *out++ = left > 2 ? letters[v & 63] : '=';
    }
    fw_payload_put_char(text, '"');
}

/* ----------------------------------------------------------------------- numbers ----- */

void fw_payload_put_u64(fw_payload_text *text, uint64_t value) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    fw_payload_put(text, digits + at, sizeof digits - at);
}

void fw_payload_put_i64(fw_payload_text *text, int64_t value) {
    if (value < 0) fw_payload_put_char(text, '-');
    fw_payload_put_u64(text, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

/* True when the number was none and its name was put. */
static bool put_special(fw_payload_text *text, double value) {
    const char *name = isnan(value)   ? "\"NaN\""
                       : isinf(value) ? (value < 0 ? "\"-Infinity\"" : "\"Infinity\"")
                                      : NULL;
    if (name != NULL) fw_payload_put(text, name, strlen(name));
    return name != NULL;
}

/* Decimals of up to DBL_DIG digits survive the way to a double and back, so the search may start
 * there; below DBL_MIN there are fewer. The same for float. */
void fw_payload_put_double(fw_payload_text *text, double value) {
    char digits[40];
    if (put_special(text, value)) return;
    if (fabs(value) < 1e15 && value == (double)(int64_t)value && (value != 0 || !signbit(value))) {
        fw_payload_put_i64(text, (int64_t)value);
        return;
    }
    int size = 0, precision = fabs(value) < DBL_MIN ? 1 : DBL_DIG;
    do {
        size = snprintf(digits, sizeof digits, "%.*g", precision, value);
    } while (precision++ < 17 && strtod(digits, NULL) != value);
    fw_payload_put(text, digits, (size_t)size);
}

void fw_payload_put_float(fw_payload_text *text, float value) {
    char digits[40];
    if (put_special(text, (double)value)) return;
    if (fabsf(value) < 1e6f && value == (float)(int32_t)value && (value != 0 || !signbit(value))) {
        fw_payload_put_i64(text, (int32_t)value);
        return;
    }
    int size = 0, precision = fabsf(value) < FLT_MIN ? 1 : FLT_DIG;
    do {
        size = snprintf(digits, sizeof digits, "%.*g", precision, (double)value);
    } while (precision++ < 9 && strtof(digits, NULL) != value);
    fw_payload_put(text, digits, (size_t)size);
}

/* ------------------------------------------------------------------------- memory ----- */

enum { BLOCK_BYTES = 16384 };

typedef struct block {
    struct block *next;
    size_t size_bytes;
    max_align_t bytes[];
} block;

void *fw_payload_arena_take(fw_payload_arena *a, size_t size_bytes) {
    if (size_bytes > a->max_bytes) return NULL;
    size_t size =
        (size_bytes + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    if (size > a->left_bytes) {
        size_t want = size > BLOCK_BYTES ? size : BLOCK_BYTES;
        if (a->used_bytes + want > a->max_bytes + BLOCK_BYTES) return NULL;
        block *b = calloc(1, sizeof *b + want);
        if (b == NULL) return NULL;
        *b = (block){a->blocks, want};
        a->blocks = b;
        a->left_bytes = want;
        a->used_bytes += want;
    }
    block *b = a->blocks;
    char *at = (char *)b->bytes + (b->size_bytes - a->left_bytes);
    a->left_bytes -= size;
    return at;
}

char *fw_payload_arena_copy(fw_payload_arena *arena, const void *bytes, size_t size_bytes) {
    char *copy = size_bytes < SIZE_MAX ? fw_payload_arena_take(arena, size_bytes + 1) : NULL;
    if (copy != NULL && size_bytes > 0) memcpy(copy, bytes, size_bytes);
    return copy;
}

void fw_payload_arena_free(fw_payload_arena *arena) {
    for (block *b = arena->blocks, *next; b != NULL; b = next) {
        next = b->next;
        free(b);
    }
    *arena = (fw_payload_arena){0};
}

bool fw_payload_grow(void **array, size_t *capacity, size_t count, size_t item_bytes, size_t max) {
    if (count < *capacity) return true;
    if (count >= max) return false;
    size_t more = *capacity < 16 ? 16 : *capacity * 2;
    if (more > max) more = max;
    void *grown = realloc(*array, more * item_bytes);
    if (grown == NULL) return false;
    *array = grown;
    *capacity = more;
    return true;
}
