/* sign.h - signed metadata written: a body becomes {"signatures":[{"keyid","sig"}],"signed":BODY}.
 *
 * The signatures are over the body's canonical JSON (canonical.h), so the text around it may be spelt in any way.
 */
#ifndef FW_TRUST_SIGN_H
#define FW_TRUST_SIGN_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "trust/key.h"

enum { FW_SIGN_TIME_MAX = 32 };

/* Signs with each of the keys, in this order; the text is malloc'd. The body stays the caller's. */
fw_status fw_sign_metadata(const json_t *body, const fw_private_key *const *keys, size_t count, char **out,
                           size_t *size_bytes, fw_error *error) FW_MUST;
/* TUF's time, "2030-01-31T12:00:00Z", of seconds since 1970. */
void fw_sign_time(int64_t time_s, char out[FW_SIGN_TIME_MAX]);
/* The key's id as root and delegations name it. */
fw_status fw_sign_key_id(const fw_private_key *key, fw_hash *id, fw_error *error) FW_MUST;

#endif
