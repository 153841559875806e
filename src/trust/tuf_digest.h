/* tuf_digest.h - the hashes that TUF metadata gives of a file, checked while its bytes go by: sha256 and sha512.
 *
 * Others are not known: a file of which only such are given cannot be checked and is refused. All that are known
 * must be right.
 */
#ifndef FW_TRUST_TUF_DIGEST_H
#define FW_TRUST_TUF_DIGEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

enum { FW_TUF_DIGEST_KINDS = 2 };

typedef struct fw_tuf_digest {
    void *state[FW_TUF_DIGEST_KINDS];
} fw_tuf_digest;

/* sha256, sha512, as they were signed; NULL: not given. */
typedef struct fw_tuf_hashes {
    const char *hex[FW_TUF_DIGEST_KINDS];
} fw_tuf_hashes;

/* Those of a "hashes" object; they live as long as it does. */
fw_tuf_hashes fw_tuf_hashes_of(const json_t *hashes);

/* Is the value a hash of its kind, in lower-case hex? True for kinds that are not known. */
bool fw_tuf_digest_form(const char *kind, const char *value);

fw_status fw_tuf_digest_begin(fw_tuf_digest *digest, fw_error *error) FW_MUST;
void fw_tuf_digest_add(fw_tuf_digest *digest, const void *bytes, size_t size_bytes);
/* Ends it and compares. FW_MISMATCH; FW_UNSUPPORTED: none was given that we know. */
fw_status fw_tuf_digest_end(fw_tuf_digest *digest, const fw_tuf_hashes *expect, const char *name, fw_error *error) FW_MUST;

#endif
