/* tuf.h - a client of The Update Framework, specification 1.0: what may be trusted of a repository that an
 * attacker may have in hand.
 *
 *   trusted root.json --1.root, 2.root ...--> newest root --> timestamp --> snapshot --> targets --> delegations
 *   DIR/root.json      each signed by the one before and by itself                         (pre-order, depth first)
 *   DIR/timestamp.json ...                                       kept as trusted, durable, for the next time
 *
 * Invariants: (1) the trusted files of DIR are replaced only by metadata that was checked whole: signatures by a
 * threshold of different keys, type, version, expiry, length and hashes; (2) versions never go back, within a
 * role and in what snapshot says of others; a changed timestamp or snapshot key lets them start anew; (3) the
 * clock is read once per refresh; (4) every download is bounded; (5) verified delegated roles are remembered by
 * (delegator's metadata, role): what one role says of a key holds for its own delegation alone; (6) after a failure
 * DIR is what it was, or newer and just as good; the next refresh starts from there.
 */
#ifndef FW_TRUST_TUF_H
#define FW_TRUST_TUF_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/env.h"
#include "base/hash.h"
#include "base/status.h"

typedef struct fw_tuf_limits {
    uint32_t root_rotations_max;   /* 0: 256 */
    uint32_t delegations_max;      /* roles looked at for one target; 0: 32 */
    size_t root_max_bytes, timestamp_max_bytes, snapshot_max_bytes, targets_max_bytes; /* 0: 512 KB, 16 KB, 2 MB, 5 MB */
} fw_tuf_limits;

/* Where bytes come from. path: below the metadata or the targets address, percent-encoded. *bytes is malloc'd.
 * FW_NOT_FOUND: not there (404, 403); FW_TOO_BIG over max_bytes; anything else: the line failed. */
typedef struct fw_tuf_fetch {
    void *self;
    fw_status (*metadata)(void *self, const char *path, size_t max_bytes, char **bytes, size_t *size_bytes,
                          fw_error *error);
    /* A target's bytes from offset on, written to an open file that stands there: a download that was cut goes on.
     * From a server that has no such offset, or does not know ranges, FW_MISMATCH: it is tried again from 0. */
    fw_status (*target)(void *self, const char *path, uint64_t offset, size_t max_bytes, int fd, fw_error *error);
} fw_tuf_fetch;

typedef struct fw_tuf_client fw_tuf_client;

/* DIR/root.json from a root that the owner of this machine trusts. FW_EXISTS: there is one already. */
fw_status fw_tuf_init(const fw_env *env, const char *folder, const void *root, size_t root_bytes, fw_error *error) FW_MUST;
/* folder: DIR, with its root.json; limits may be NULL. fetch and texts outlive the client. */
fw_status fw_tuf_open(const fw_env *env, const char *folder, const fw_tuf_fetch *fetch, const fw_tuf_limits *limits,
                      fw_tuf_client **out, fw_error *error) FW_MUST;
void fw_tuf_close(fw_tuf_client *client);
/* The workflow of the specification, section 5.3 to 5.6. FW_MISMATCH: something does not have the signatures,
 * versions, hashes it must; FW_TIMEOUT: something expired (a freeze); FW_CORRUPT: no metadata; the line's own
 * failures as they are. */
fw_status fw_tuf_refresh(fw_tuf_client *client, fw_error *error) FW_MUST;

/* What trusted targets metadata says of a target. */
typedef struct fw_tuf_target {
    char path[256];
    uint64_t length_bytes;
    fw_hash sha256;   /* empty when it names only sha512 */
    char sha512[129]; /* lower-case hex; empty */
    json_t *custom;   /* NULL: none; belongs to the client, until its next refresh */
} fw_tuf_target;

/* Looks through top-level targets and delegations (section 5.6.7), after a refresh. FW_NOT_FOUND: nobody speaks of
 * it; FW_MISMATCH, FW_TIMEOUT: a role on the way cannot be had as it was signed, or expired. */
fw_status fw_tuf_find(fw_tuf_client *client, const char *path, fw_tuf_target *out, fw_error *error) FW_MUST;
/* Calls `each` for the targets that the top-level role itself lists and we could check; false ends it. */
void fw_tuf_each(const fw_tuf_client *client, bool (*each)(void *self, const fw_tuf_target *target), void *self);
/* Into `path`, through `path`.part, which may hold the beginning of it from before; durable, renamed only when
 * length and hashes are right. What is there already and right is not fetched again. FW_CLOSED and the line's own
 * failures leave the part for the next time; FW_MISMATCH (other bytes than were signed) and FW_TOO_BIG remove it. */
fw_status fw_tuf_download(fw_tuf_client *client, const fw_tuf_target *target, const char *path, fw_error *error) FW_MUST;
/* Version of a trusted top-level role ("root", "timestamp", ...); 0: none. */
int64_t fw_tuf_version(const fw_tuf_client *client, const char *role);

#endif
