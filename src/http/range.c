#include "http/range.h"

#include <string.h>
#include <strings.h>

static const uint64_t number_end = (uint64_t)1 << 62;

bool fw_http_parse_number(const char **at, uint64_t *out) {
    const char *c = *at;
    uint64_t value = 0;
    if (*c < '0' || *c > '9') return false;
    for (; *c >= '0' && *c <= '9'; c++) {
        uint64_t digit = (uint64_t)(*c - '0');
        if (value > (number_end - 1 - digit) / 10) return false; /* before it can wrap */
        value = value * 10 + digit;
    }
    *at = c;
    *out = value;
    return true;
}

static fw_http_range tail(const char *at, uint64_t size_bytes, uint64_t *first, uint64_t *count) {
    uint64_t wanted;
    if (!fw_http_parse_number(&at, &wanted) || *at) return FW_HTTP_RANGE_WHOLE;
    if (wanted == 0 || size_bytes == 0) return FW_HTTP_RANGE_REFUSED;
    *count = wanted < size_bytes ? wanted : size_bytes;
    *first = size_bytes - *count;
    return FW_HTTP_RANGE_PART;
}

fw_http_range fw_http_parse_range(const char *text, uint64_t size_bytes, uint64_t *first,
                                  uint64_t *count) {
    uint64_t from, to = UINT64_MAX;
    if (!text || strncmp(text, "bytes=", 6) != 0) return FW_HTTP_RANGE_WHOLE;
    const char *at = text + 6;
    if (*at == '-') return tail(at + 1, size_bytes, first, count);
    if (!fw_http_parse_number(&at, &from) || *at++ != '-') return FW_HTTP_RANGE_WHOLE;
    if (*at && (!fw_http_parse_number(&at, &to) || *at)) return FW_HTTP_RANGE_WHOLE;
    if (from >= size_bytes || from > to) return FW_HTTP_RANGE_REFUSED;
    if (to > size_bytes - 1) to = size_bytes - 1;
    *first = from;
    *count = to - from + 1;
    return FW_HTTP_RANGE_PART;
}

bool fw_http_parse_content_range(const char *text, uint64_t *first, uint64_t *last,
                                 uint64_t *total) {
    uint64_t f, l, t;
    if (strncasecmp(text, "bytes ", 6) != 0) return false;
    const char *at = text + 6;
    if (!fw_http_parse_number(&at, &f) || *at++ != '-' || !fw_http_parse_number(&at, &l) ||
        *at++ != '/' || !fw_http_parse_number(&at, &t) || *at || l < f || l >= t)
        return false;
    *first = f;
    *last = l;
    *total = t;
    return true;
}
