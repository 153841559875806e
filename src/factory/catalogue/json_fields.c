/* json_fields.c - top-level fields of a JSON object (json_fields.h). */
#include "factory/catalogue/json_fields.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct cursor {
    const char *at, *end;
} cursor;

static void skip_space(cursor *c) {
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t' || *c->at == '\r'))
        c->at++;
}

static bool take(cursor *c, char wanted) {
    skip_space(c);
    if (c->at == c->end || *c->at != wanted) return false;
    c->at++;
    return true;
}

/* A text behind its opening quote; escaped says that it holds a backslash. */
static bool take_text(cursor *c, const char **text, size_t *size, bool *escaped) {
    *text = c->at;
    *escaped = false;
    for (; c->at < c->end; c->at++) {
        if (*c->at == '"') {
            *size = (size_t)(c->at++ - *text);
            return true;
        }
        if (*c->at != '\\') continue;
        *escaped = true;
        if (++c->at == c->end) return false;
    }
    return false;
}

/* Over an array or object whose opening bracket was taken, by counting brackets. */
static bool skip_nested(cursor *c) {
    const char *text;
    size_t size, depth = 1;
    bool escaped;
    while (c->at < c->end) {
        char byte = *c->at++;
        if (byte == '"') {
            if (!take_text(c, &text, &size, &escaped)) return false;
        } else if (byte == '[' || byte == '{') {
            depth++;
        } else if ((byte == ']' || byte == '}') && --depth == 0) {
            return true;
        }
    }
    return false;
}

/* Up to 15 digits with a point are exact by one division; all else goes to strtod. */
static bool to_number(const char *text, size_t size, double *out) {
    static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    uint64_t digits = 0;
    int count = 0, after = -1;
    size_t i = size > 0 && text[0] == '-' ? 1 : 0;
    for (; i < size && count <= 15; i++) {
        if (text[i] == '.' && after < 0 && count > 0) {
            after = 0;
            continue;
        }
        if (text[i] < '0' || text[i] > '9') break;
        digits = digits * 10 + (uint64_t)(text[i] - '0');
        count++;
        if (after >= 0) after++;
    }
    if (i == size && count > 0 && count <= 15 && after != 0) {
        double value = (double)digits / powers[after > 0 ? after : 0];
        *out = text[0] == '-' ? -value : value;
        return true;
    }
    char copy[64], *end;
    if (size == 0 || size >= sizeof copy) return false;
    memcpy(copy, text, size);
    copy[size] = '\0';
    *out = strtod(copy, &end);
    return *end == '\0' && isfinite(*out);
}

/* true, false, null or a number: up to what ends a value. */
static bool take_word(cursor *c, fw_json_field *field) {
    const char *start = c->at;
    while (c->at < c->end && !strchr(",}] \t\r\n", *c->at)) c->at++;
    size_t size = (size_t)(c->at - start);
    if (size == 0) return false;
    if (*start != '-' && (*start < '0' || *start > '9')) return true;
    field->is_number = to_number(start, size, &field->number);
    return true;
}

/* A value; found says whether it is one to show. */
static bool take_value(cursor *c, fw_json_field *field, bool *found) {
    bool escaped = false;
    *found = false;
    skip_space(c);
    if (c->at == c->end) return false;
    if (*c->at == '"') {
        c->at++;
        if (!take_text(c, &field->text, &field->text_bytes, &escaped)) return false;
        *found = !escaped;
        return true;
    }
    if (*c->at == '[' || *c->at == '{') {
        c->at++;
        return skip_nested(c);
    }
    if (!take_word(c, field)) return false;
    *found = field->is_number;
    return true;
}

bool fw_json_fields(const void *bytes, size_t size_bytes, fw_json_field_visit visit, void *self) {
    cursor c = {bytes, (const char *)bytes + size_bytes};
    if (!take(&c, '{')) return false;
    if (take(&c, '}')) return true;
    for (;;) {
        fw_json_field field = {0};
        bool escaped, found;
        if (!take(&c, '"') || !take_text(&c, &field.name, &field.name_bytes, &escaped) ||
            !take(&c, ':') || !take_value(&c, &field, &found))
            return false;
        if (found && !escaped) visit(self, &field);
        if (take(&c, ',')) continue;
        return take(&c, '}');
    }
}
