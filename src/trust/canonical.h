/* canonical.h - canonical JSON: the bytes that a signature is over.
 *
 * The encoding that TUF names (OLPC canonical JSON): no white space, object keys sorted by their bytes, strings
 * with only `"` and `\` escaped (every other byte stands as it is, control characters too), integers in
 * decimal, no other numbers. Two texts of one value encode alike, so a signature survives indentation.
 *
 * Invariants: (1) reading refuses what could mean two things: a key that stands twice in an object, bytes that
 * are no UTF-8, text behind the value, nesting over FW_CANONICAL_DEPTH_MAX; (2) encoding refuses real numbers;
 * (3) nothing here recurses deeper than that limit.
 */
#ifndef FW_TRUST_CANONICAL_H
#define FW_TRUST_CANONICAL_H

#include <jansson.h>
#include <stddef.h>

#include "base/status.h"

enum { FW_CANONICAL_DEPTH_MAX = 64 };

/* Reads signed text. The caller owns *out. FW_CORRUPT says where. */
fw_status fw_canonical_read(const void *bytes, size_t size_bytes, json_t **out, fw_error *error) FW_MUST;
/* The canonical bytes of a value, malloc'd, with a 0 behind them. */
fw_status fw_canonical_write(const json_t *value, char **out, size_t *size_bytes, fw_error *error) FW_MUST;

#endif
