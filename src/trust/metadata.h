/* metadata.h - one signed file of TUF: read whole, checked, and what it says.
 *
 *   {"signed":{"_type","spec_version","version","expires", ...}, "signatures":[{"keyid","sig"}]}
 *      root        keys, roles {root, timestamp, snapshot, targets: keyids, threshold}, consistent_snapshot
 *      timestamp   meta {"snapshot.json": version, length?, hashes?}
 *      snapshot    meta {"targets.json" and every delegated role's}
 *      targets     targets {path: length, hashes, custom?}, delegations {keys, roles [name, keyids, threshold,
 *                  terminating?, paths | path_hash_prefixes]}
 *
 * Reading checks the form, verifying the signatures; neither looks at a clock or a disk.
 *
 * Invariants: (1) what is read has every field of its type, of the right kind, so that nobody who holds an
 * fw_metadata checks again; fields that we do not know are kept and signed over; (2) key ids are names: two ids
 * of one key count once towards a threshold, keys and signatures that we cannot read do not count; a key id that
 * signs twice is refused, as the specification says.
 */
#ifndef FW_TRUST_METADATA_H
#define FW_TRUST_METADATA_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "trust/role.h"

typedef struct fw_metadata {
    json_t *whole;              /* owns the two below */
    const json_t *content;      /* "signed" */
    json_t *signatures;         /* {keyid: sig}, owned */
    char *bytes, *canonical;    /* the file as it came; what is signed */
    size_t size_bytes, canonical_bytes;
    int64_t version, expires_s; /* since 1970 */
} fw_metadata;

/* bytes are copied. FW_CORRUPT: no such metadata; FW_UNSUPPORTED: not of specification 1. */
fw_status fw_metadata_read(fw_tuf_role type, const void *bytes, size_t size_bytes, fw_metadata **out,
                           fw_error *error) FW_MUST;
void fw_metadata_free(fw_metadata *metadata);

/* Is it signed by a threshold of the role's keys? keys: {keyid: key}; role: {"keyids","threshold"}. name is for the
 * message. FW_MISMATCH. */
fw_status fw_metadata_verify(const fw_metadata *metadata, const json_t *keys, const json_t *role, const char *name,
                             fw_error *error) FW_MUST;
/* The same with the keys that a root has for a top-level role. */
fw_status fw_metadata_verify_role(const fw_metadata *metadata, const fw_metadata *root, fw_tuf_role role,
                                  fw_error *error) FW_MUST;
/* Did somebody leave the role between two roots? A key that only came is no rotation. */
bool fw_metadata_rotated(const fw_metadata *before, const fw_metadata *after, fw_tuf_role role);

/* Length and hashes of a file against what other metadata says of it ({"length"?,"hashes"?}). FW_MISMATCH;
 * FW_UNSUPPORTED when it has hashes and we know none of them. */
fw_status fw_metadata_check_file(const json_t *said, const void *bytes, size_t size_bytes, const char *name,
                                 fw_error *error) FW_MUST;

#endif
