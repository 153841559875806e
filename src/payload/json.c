/* JSON passed through: checked by RFC 8259's grammar, white space dropped, one stack of brackets.
 */
#include <string.h>

#include "payload/decoders.h"

typedef struct scan {
    const uint8_t *bytes;
    size_t at, size;
    fw_payload_text *out;
    const char *why; /* NULL: fine so far */
} scan;

typedef enum expect { VALUE, VALUE_OR_END, KEY, KEY_OR_END, COMMA_OR_END } expect;

static int peek(const scan *s) {
    return s->at < s->size ? s->bytes[s->at] : -1;
}

static void skip_space(scan *s) {
    while (s->at < s->size && strchr(" \t\r\n", s->bytes[s->at]) && s->bytes[s->at] != 0) s->at++;
}

static bool is_digit(int c) {
    return c >= '0' && c <= '9';
}

static bool is_hex(int c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static void digits(scan *s) {
    if (!is_digit(peek(s))) s->why = "a number without digits";
    while (is_digit(peek(s))) s->at++;
}

static void number(scan *s) {
    size_t start = s->at;
    if (peek(s) == '-') s->at++;
    if (peek(s) == '0') {
        s->at++;
        if (is_digit(peek(s))) s->why = "a number with a leading zero";
    } else {
        digits(s);
    }
    if (s->why == NULL && peek(s) == '.') {
        s->at++;
        digits(s);
    }
    if (s->why == NULL && (peek(s) == 'e' || peek(s) == 'E')) {
        s->at++;
        if (peek(s) == '+' || peek(s) == '-') s->at++;
        digits(s);
    }
    if (s->why == NULL) fw_payload_put(s->out, s->bytes + start, s->at - start);
}

static void escape(scan *s) {
    size_t left = s->size - s->at, size = 2;
    const uint8_t *at = s->bytes + s->at;
    if (left < 2 || at[1] == 0 || strchr("\"\\/bfnrtu", at[1]) == NULL) {
        s->why = "an unknown escape in a string";
        return;
    }
    if (at[1] == 'u') {
        size = 6;
        for (size_t i = 2; i < 6; i++)
            if (left < 6 || !is_hex(at[i])) s->why = "a broken \\u escape in a string";
    }
    if (s->why != NULL) return;
    fw_payload_put(s->out, at, size);
    s->at += size;
}

static void string(scan *s) {
    fw_payload_put_char(s->out, '"');
    s->at++;
    while (s->why == NULL) {
        int c = peek(s);
        uint32_t point = 0;
        if (c < 0) {
            s->why = "a string without an end";
        } else if (c == '"') {
            fw_payload_put_char(s->out, '"');
            s->at++;
            return;
        } else if (c == '\\') {
            escape(s);
        } else if (c < 0x20) {
            s->why = "a control character in a string";
        } else {
            size_t size = fw_payload_utf8(s->bytes + s->at, s->size - s->at, &point);
            fw_payload_put_point(s->out, size > 0 ? point : 0xfffd);
            s->at += size > 0 ? size : 1;
        }
    }
}

static void word(scan *s) {
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < 3; i++) {
        size_t size = strlen(words[i]);
        if (s->size - s->at < size || memcmp(s->bytes + s->at, words[i], size) != 0) continue;
        fw_payload_put(s->out, words[i], size);
        s->at += size;
        return;
    }
    s->why = "no value where one must stand";
}

/* A scalar, or the start of an object or array, which goes on the stack. */
static expect value(scan *s, char *stack, uint32_t *depth, uint32_t depth_max) {
    int c = peek(s);
    if (c == '{' || c == '[') {
        if (*depth == depth_max) {
            s->why = "nested too deeply";
            return VALUE;
        }
        stack[(*depth)++] = (char)c;
        fw_payload_put_char(s->out, (char)c);
        s->at++;
        return c == '{' ? KEY_OR_END : VALUE_OR_END;
    }
    if (c == '"')
        string(s);
    else if (c == '-' || is_digit(c))
        number(s);
    else
        word(s);
    return COMMA_OR_END;
}

static expect key(scan *s) {
    if (peek(s) != '"') {
        s->why = "no key where one must stand";
        return KEY;
    }
    string(s);
    skip_space(s);
    if (s->why == NULL && peek(s) != ':') s->why = "no colon behind a key";
    if (s->why != NULL) return KEY;
    fw_payload_put_char(s->out, ':');
    s->at++;
    return VALUE;
}

static expect comma_or_end(scan *s, const char *stack, uint32_t *depth) {
    char open = stack[*depth - 1];
    int c = peek(s);
    if (c == ',') {
        fw_payload_put_char(s->out, ',');
        s->at++;
        return open == '{' ? KEY : VALUE;
    }
    if (c != (open == '{' ? '}' : ']')) {
        s->why = "no comma and no end behind a value";
        return COMMA_OR_END;
    }
    fw_payload_put_char(s->out, (char)c);
    s->at++;
    (*depth)--;
    return COMMA_OR_END;
}

fw_status fw_payload_decode_json(char *stack, uint32_t depth_max, const uint8_t *bytes,
                                 size_t size_bytes, fw_payload_text *out, fw_error *error) {
    scan s = {.bytes = bytes, .size = size_bytes, .out = out};
    uint32_t depth = 0;
    expect next = VALUE;
    do {
        skip_space(&s);
        bool end =
            (next == VALUE_OR_END && peek(&s) == ']') || (next == KEY_OR_END && peek(&s) == '}');
        if (next == COMMA_OR_END || end)
            next = comma_or_end(&s, stack, &depth);
        else if (next == KEY || next == KEY_OR_END)
            next = key(&s);
        else
            next = value(&s, stack, &depth, depth_max);
    } while (s.why == NULL && out->failed == FW_OK && (depth > 0 || next != COMMA_OR_END));
    skip_space(&s);
    if (s.why == NULL && s.at < size_bytes && out->failed == FW_OK) s.why = "more than one value";
    if (s.why != NULL) return fw_fail(error, FW_CORRUPT, "json: byte %zu: %s", s.at, s.why);
    return FW_OK;
}
