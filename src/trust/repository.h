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
#include "trust/roots.h"

enum {
    FW_REPOSITORY_METADATA_MAX = 5 << 20, /* of one file */
    FW_REPOSITORY_KEEP = 16,              /* older versions of targets and snapshot that stay for slow readers */
    FW_REPOSITORY_ROLE_MAX = 32           /* a delegated role's name, with its end: [a-z0-9_-] */
};

typedef struct fw_repository_config {
    const fw_env *env;
    const char *folder, *keys;  /* REPO, KEYS */
    const char *keys_elsewhere; /* a second folder, for keys kept away from this machine; or NULL */
    const char *unit;           /* whose metadata it is, said in every file but roots (uptane.h); NULL: everybody's */
    int64_t life_s[FW_TUF_ROLES]; /* 0: a year, 90 days, 7 days, 1 day */
} fw_repository_config;

typedef struct fw_repository fw_repository;

/* Opens; makes keys and a first, empty repository where there is none. */
fw_status fw_repository_open(const fw_repository_config *config, fw_repository **out, fw_error *error) FW_MUST;
void fw_repository_close(fw_repository *repository);
/* Sets or replaces a target; custom may be NULL and stays the caller's. Nothing is seen before publish. A delegated
 * role whose pattern matches gets it, the first of them; else the top-level one. */
fw_status fw_repository_set(fw_repository *repository, const char *path, uint64_t length_bytes, const fw_hash *sha256,
                            const json_t *custom, fw_error *error) FW_MUST;
/* FW_NOT_FOUND. */
fw_status fw_repository_remove(fw_repository *repository, const char *path, fw_error *error) FW_MUST;
/* Nothing to publish: FW_OK. FW_DENIED: a key is elsewhere; nothing was written. */
fw_status fw_repository_publish(fw_repository *repository, fw_error *error) FW_MUST;
/* Signs anew what expires soon and whose key is here; nothing otherwise. */
fw_status fw_repository_freshen(fw_repository *repository, fw_error *error) FW_MUST;
/* A new key for the role (root: signed by old and new), published. Readers in the middle of it find their way:
 * both keys sign before the root names the new one alone. FW_DENIED: the role's key or root's is elsewhere. */
fw_status fw_repository_rotate(fw_repository *repository, fw_tuf_role role, fw_error *error) FW_MUST;
/* A role of its own for paths that match a pattern ("driving/" and a star), signed by a key of its own in KEYS;
 * published. Targets that are there already stay where they are. FW_EXISTS. */
fw_status fw_repository_delegate(fw_repository *repository, const char *role, const char *const *patterns,
                                 bool terminating, fw_error *error) FW_MUST;
/* The first trusted root for new readers: the newest; malloc'd. */
fw_status fw_repository_root(const fw_repository *repository, char **bytes, size_t *size_bytes, fw_error *error) FW_MUST;

/* ---- looking ---- */

/* The "signed" part of a role as it will be published ("targets", "snapshot", a delegated one); NULL: none. */
const json_t *fw_repository_body(const fw_repository *repository, const char *role);
/* What the repository says of a target, with the role that says it (may be NULL); NULL: nothing. Borrowed. */
const json_t *fw_repository_target(const fw_repository *repository, const char *path, const char **role);
/* Calls `each` with every target's path and description; false ends it. */
void fw_repository_each(const fw_repository *repository, bool (*each)(void *self, const char *path, const json_t *target),
                        void *self);
const fw_roots *fw_repository_roots(const fw_repository *repository);

#endif
