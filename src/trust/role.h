/* role.h - TUF's four top-level roles, and how its files write names and times. */
#ifndef FW_TRUST_ROLE_H
#define FW_TRUST_ROLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

#define FW_TUF_SPEC_VERSION "1.0.31"

typedef enum fw_tuf_role { FW_TUF_ROOT, FW_TUF_TARGETS, FW_TUF_SNAPSHOT, FW_TUF_TIMESTAMP, FW_TUF_ROLES } fw_tuf_role;
/* "root", "targets", "snapshot", "timestamp": the role's name, also its metadata's "_type". */
const char *fw_tuf_role_text(fw_tuf_role role);
/* FW_TUF_ROLES for any other word. */
fw_tuf_role fw_tuf_role_parse(const char *text);

/* "1985-10-21T01:21:00Z" to seconds since 1970; false for any other form. */
bool fw_tuf_time_read(const char *text, int64_t *seconds);

/* A role's or target's name as it stands in an address or as a file's name: all but letters, digits and "_.-~"
 * (and "/" where keep_slash) percent-encoded. FW_TOO_BIG. */
fw_status fw_tuf_quote(const char *name, bool keep_slash, char *out, size_t out_size, fw_error *error) FW_MUST;

#endif
