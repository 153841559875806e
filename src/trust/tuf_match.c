/* tuf_match.c - which targets a delegation speaks of (tuf_inner.h). */
#include <string.h>

#include "trust/tuf_inner.h"

/* ---- patterns ---- */

/* One character of UTF-8 and where the next begins: "?" stands for a character, not for a byte. */
static const char *next_char(const char *text) {
    text++;
    while (((unsigned char)*text & 0xC0) == 0x80) text++;
    return text;
}

static bool same_char(const char *a, const char *b) {
    size_t size = (size_t)(next_char(a) - a);
    return size == (size_t)(next_char(b) - b) && !memcmp(a, b, size);
}

/* In the order of code points, which is that of UTF-8's bytes. */
static int char_order(const char *a, const char *b) {
    size_t size_a = (size_t)(next_char(a) - a), size_b = (size_t)(next_char(b) - b);
    int order = memcmp(a, b, size_a < size_b ? size_a : size_b);
    return order ? order : (int)size_a - (int)size_b;
}

/* The end of "[...]", behind its "]"; NULL: no set, the bracket stands for itself. A "]" that comes first, and one
 * behind a slash, end nothing. */
static const char *set_end(const char *set) {
    const char *c = set + 1;
    if (*c == '!') c++;
    if (*c == ']') c++;
    while (*c && *c != ']' && *c != '/') c++;
    return *c == ']' ? c + 1 : NULL;
}

static bool in_set(const char *set, const char *end, const char *c) {
    bool inverted = set[1] == '!', found = false;
    for (const char *at = set + 1 + inverted; at < end - 1;) {
        const char *last = next_char(at);
        if (*last == '-' && last + 1 < end - 1) {
            last++;
            found |= char_order(at, c) <= 0 && char_order(c, last) <= 0;
            at = next_char(last);
        } else {
            found |= same_char(at, c);
            at = last;
        }
    }
    return found != inverted;
}

/* Does the first piece of the pattern, no star, stand for the first character of the path? *next: the piece behind. */
static bool match_one(const char *pattern, const char *path, const char **next) {
    const char *end = *pattern == '[' ? set_end(pattern) : NULL;
    *next = end ? end : next_char(pattern);
    if (end || *pattern == '?') return *path != '/' && (!end || in_set(pattern, end, path));
    return same_char(pattern, path);
}

/* The last star is the only one to come back to; it takes no slash. */
bool fw_tuf_match(const char *pattern, const char *path) {
    const char *star = NULL, *taken = NULL, *next;
    while (*path) {
        if (*pattern == '*') {
            star = ++pattern;
            taken = path;
        } else if (*pattern && match_one(pattern, path, &next)) {
            pattern = next;
            path = next_char(path);
        } else if (star && *taken != '/') {
            pattern = star;
            path = taken = next_char(taken);
        } else {
            return false;
        }
    }
    while (*pattern == '*') pattern++;
    return *pattern == '\0';
}

/* ---- delegations ---- */

bool fw_tuf_delegates(const json_t *role, const char *path, const char *path_hash) {
    const json_t *paths = json_object_get(role, "paths"), *entry;
    size_t i;
    json_array_foreach(paths, i, entry)
        if (fw_tuf_match(json_string_value(entry), path)) return true;
    json_array_foreach(json_object_get(role, "path_hash_prefixes"), i, entry)
        if (!strncmp(path_hash, json_string_value(entry), json_string_length(entry))) return true;
    return false;
}
