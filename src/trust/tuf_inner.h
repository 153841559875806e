/* tuf_inner.h - what the files of the TUF client share: tuf.c (refresh), tuf_store.c (trusted files and
 * downloads of metadata), tuf_find.c (delegations), tuf_download.c (targets). */
#ifndef FW_TRUST_TUF_INNER_H
#define FW_TRUST_TUF_INNER_H

#include "base/file.h"
#include "trust/metadata.h"
#include "trust/metadata_form.h"
#include "trust/tuf.h"

/* Delegated roles remembered until the next refresh. */
enum { FW_TUF_HELD_MAX = 128 };

/* A delegated role as one delegator vouches for it. The delegator is its verified metadata, not its name: two
 * delegators of one name may name other keys. */
typedef struct fw_tuf_held {
    const fw_metadata *delegator;
    char name[FW_TUF_ROLE_NAME_MAX];
    fw_metadata *metadata;
} fw_tuf_held;

struct fw_tuf_client {
    const fw_env *env;
    fw_tuf_fetch fetch;
    fw_tuf_limits limits;
    char folder[FW_PATH_MAX];
    fw_metadata *trusted[FW_TUF_ROLES]; /* NULL: none */
    fw_tuf_held *held;                  /* (held_count), verified */
    size_t held_count, held_room;
    int64_t now_s; /* read once per refresh */
    bool fresh;    /* the last refresh went through */
};

/* How much of a file is fetched at most. */
size_t fw_tuf_limit(const fw_tuf_client *client, fw_tuf_role type);
/* FW_TIMEOUT when it is no longer good at the refresh's time. */
fw_status fw_tuf_check_expiry(const fw_tuf_client *client, const fw_metadata *metadata, const char *name,
                              fw_error *error) FW_MUST;

/* DIR/NAME.json, NULL when it is not there or no such metadata: signatures are the caller's to check. */
fw_status fw_tuf_load(const fw_tuf_client *client, fw_tuf_role type, const char *name, fw_metadata **out,
                      fw_error *error) FW_MUST;
/* The bytes become DIR/NAME.json, durable. */
fw_status fw_tuf_keep(const fw_tuf_client *client, const char *name, const fw_metadata *metadata, fw_error *error) FW_MUST;
/* DIR/NAME.json is no longer trusted. */
fw_status fw_tuf_forget(const fw_tuf_client *client, const char *name, fw_error *error) FW_MUST;
/* NAME.json, or VERSION.NAME.json for version > 0, from the repository. said: what is known of the file, or NULL. */
fw_status fw_tuf_fetch_metadata(const fw_tuf_client *client, fw_tuf_role type, const char *name, int64_t version,
                                const json_t *said, fw_metadata **out, fw_error *error) FW_MUST;

/* How the keys of a file are found: by root for a top-level role, by the delegator for a delegated one. */
typedef fw_status fw_tuf_verify(const fw_tuf_client *client, const void *authority, const fw_metadata *metadata,
                                fw_error *error);
/* Metadata of which `said` is signed (version, length?, hashes?): from DIR when that is it, else fetched. Further
 * checks that belong to one role come as `check` (may be NULL), before it is kept. */
typedef struct fw_tuf_wanted {
    fw_tuf_role type;
    const char *name; /* of the role, quoted */
    const json_t *said;
    const void *authority;
    fw_tuf_verify *verify;
    fw_status (*check)(const fw_metadata *old, const fw_metadata *fresh, fw_error *error);
} fw_tuf_wanted;
fw_status fw_tuf_obtain(fw_tuf_client *client, const fw_tuf_wanted *wanted, fw_metadata **out, fw_error *error) FW_MUST;

/* Are targets' and metadata's names prefixed? */
bool fw_tuf_consistent(const fw_tuf_client *client);

/* ---- tuf_match.c ---- */

/* A shell pattern against a path: "*" and "?" and "[a-z]" within one part between slashes. */
bool fw_tuf_match(const char *pattern, const char *path);
/* Is the path one that a delegation's role may speak of? path_hash: its SHA-256. */
bool fw_tuf_delegates(const json_t *role, const char *path, const char *path_hash);

#endif
