/* range.h - the two headers that cut a body: Range (RFC 9110, 14.2) and Content-Range (14.4).
 *
 *     Range: bytes=2-4 | bytes=7- | bytes=-2        of a file that is sent
 *     Content-Range: bytes 1000-1999/5000           of a body that comes in
 */
#ifndef FW_HTTP_RANGE_H
#define FW_HTTP_RANGE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum fw_http_range {
    FW_HTTP_RANGE_WHOLE,  /* none, several, or not understood: send all */
    FW_HTTP_RANGE_PART,   /* first < size_bytes, count > 0, first + count <= size_bytes */
    FW_HTTP_RANGE_REFUSED /* outside the file: 416 */
} fw_http_range;

/* text may be NULL. *first and *count are set for PART alone. */
fw_http_range fw_http_parse_range(const char *text, uint64_t size_bytes, uint64_t *first,
                                  uint64_t *count);
/* False when malformed. Else first <= last < total < 2^62. */
bool fw_http_parse_content_range(const char *text, uint64_t *first, uint64_t *last,
                                 uint64_t *total);
/* A decimal number without sign below 2^62 at *at, which moves behind it. */
bool fw_http_parse_number(const char **at, uint64_t *out);

#endif
