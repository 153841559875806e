/* repository.h - the writing side of TUF: metadata made, signed and published, files that any web server can serve.
 *
 *   KEYS/root.pem, targets.pem, snapshot.pem, timestamp.pem     private; offline but for the last two, if wanted
 *   REPO/1.root.json 2.root.json ...  N.targets.json  N.snapshot.json  timestamp.json     consistent snapshots
 *
 * One `publish` writes what changed, in the order in which a reader who comes in the middle still finds a whole
 * repository: roots, delegated roles, targets, snapshot, timestamp last; each durable before the next.
 *
 * Invariants: (1) versions grow by one; (2) a publish that dies anywhere leaves the old repository or the new one
 * for readers, and the next publish goes on from there; (3) metadata is re-signed when it would expire within
 * half its life (fw_repository_freshen).
 */
#ifndef FW_TRUST_REPOSITORY_H
#define FW_TRUST_REPOSITORY_H

#include <jansson.h>
#include <stdbool.h>

#include "base/env.h"
#include "base/hash.h"
#include "trust/key.h"

typedef enum fw_tuf_role { FW_TUF_ROOT, FW_TUF_TARGETS, FW_TUF_SNAPSHOT, FW_TUF_TIMESTAMP, FW_TUF_ROLES } fw_tuf_role;

typedef struct fw_repository_config {
    const fw_env *env;
    const char *folder, *keys; /* REPO, KEYS */
    int64_t life_s[FW_TUF_ROLES]; /* 0: a year, 90 days, 7 days, 1 day */
} fw_repository_config;

typedef struct fw_repository fw_repository;

/* Opens; makes keys and a first, empty repository where there is none. */
fw_status fw_repository_open(const fw_repository_config *config, fw_repository **out, fw_error *error) FW_MUST;
void fw_repository_close(fw_repository *repository);
/* Sets or replaces a target; custom may be NULL and stays the caller's. Nothing is seen before publish. */
fw_status fw_repository_set(fw_repository *repository, const char *path, uint64_t length_bytes, const fw_hash *sha256,
                            const json_t *custom, fw_error *error) FW_MUST;
fw_status fw_repository_remove(fw_repository *repository, const char *path, fw_error *error) FW_MUST;
fw_status fw_repository_publish(fw_repository *repository, fw_error *error) FW_MUST;
/* Signs anew what expires soon; nothing otherwise. */
fw_status fw_repository_freshen(fw_repository *repository, fw_error *error) FW_MUST;
/* A new key for the role (root: signed by old and new), published. */
fw_status fw_repository_rotate(fw_repository *repository, fw_tuf_role role, fw_error *error) FW_MUST;
/* A role of its own for paths that match a pattern ("driving/" and a star), signed by a key of its own in KEYS. */
fw_status fw_repository_delegate(fw_repository *repository, const char *role, const char *const *patterns,
                                 bool terminating, fw_error *error) FW_MUST;
/* The first trusted root for new readers: the newest; malloc'd. */
fw_status fw_repository_root(const fw_repository *repository, char **bytes, size_t *size_bytes, fw_error *error) FW_MUST;

#endif
