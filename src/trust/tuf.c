/* tuf.c - the client's workflow: root, timestamp, snapshot, targets (tuf.h; the specification's section 5). */
#include "trust/tuf.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "trust/tuf_inner.h"

static const int64_t ns_per_s = 1000000000;

/* Its files have the names of roles behind them, and a name of their own while they are written. */
enum { FOLDER_MAX = FW_PATH_MAX - FW_TUF_ROLE_NAME_MAX - 16 };

static fw_status check_folder(const char *folder, fw_error *error) {
    if (strlen(folder) < FOLDER_MAX) return FW_OK;
    return fw_fail(error, FW_TOO_BIG, "the path of the trusted folder has over %d bytes", FOLDER_MAX - 1);
}

/* ---- a root of one's own ---- */

static fw_status read_root(const void *bytes, size_t size_bytes, fw_metadata **out, fw_error *error) {
    fw_metadata *root = NULL;
    FW_TRY(fw_metadata_read(FW_TUF_ROOT, bytes, size_bytes, &root, error));
    fw_status status = fw_metadata_verify_role(root, root, FW_TUF_ROOT, error);
    if (status == FW_OK) *out = root;
    else fw_metadata_free(root);
    return status;
}

fw_status fw_tuf_init(const fw_env *env, const char *folder, const void *root, size_t root_bytes, fw_error *error) {
    char path[FW_PATH_MAX + 16];
    fw_metadata *checked = NULL;
    FW_TRY(check_folder(folder, error));
    fw_path_join(path, sizeof path, folder, "root.json");
    if (fw_file_exists(path)) return fw_fail(error, FW_EXISTS, "%s is there: this folder trusts a root already", path);
    FW_TRY(read_root(root, root_bytes, &checked, error));
    fw_metadata_free(checked);
    FW_TRY(fw_folder_make(folder, 0755, error));
    return fw_file_write_durable(env, path, root, root_bytes, error);
}

/* ---- a client ---- */

static size_t or_default(size_t value, size_t otherwise) { return value ? value : otherwise; }

static fw_tuf_limits with_defaults(const fw_tuf_limits *given) {
    fw_tuf_limits l = given ? *given : (fw_tuf_limits){0};
    return (fw_tuf_limits){
        .root_rotations_max = l.root_rotations_max ? l.root_rotations_max : 256,
        .delegations_max = l.delegations_max ? l.delegations_max : 32,
        .root_max_bytes = or_default(l.root_max_bytes, 512 << 10),
        .timestamp_max_bytes = or_default(l.timestamp_max_bytes, 16 << 10),
        .snapshot_max_bytes = or_default(l.snapshot_max_bytes, 2 << 20),
        .targets_max_bytes = or_default(l.targets_max_bytes, 5 << 20),
    };
}

static fw_status load_root(fw_tuf_client *c, fw_error *error) {
    char path[FW_PATH_MAX + 16], *bytes = NULL;
    size_t size_bytes = 0;
    fw_path_join(path, sizeof path, c->folder, "root.json");
    FW_TRY(fw_file_read(path, c->limits.root_max_bytes, &bytes, &size_bytes, error));
    fw_status status = read_root(bytes, size_bytes, &c->trusted[FW_TUF_ROOT], error);
    free(bytes);
    return status;
}

fw_status fw_tuf_open(const fw_env *env, const char *folder, const fw_tuf_fetch *fetch, const fw_tuf_limits *limits,
                      fw_tuf_client **out, fw_error *error) {
    FW_TRY(check_folder(folder, error));
    fw_tuf_client *c = calloc(1, sizeof *c);
    if (!c) return fw_fail(error, FW_NO_MEMORY, "no memory for a client");
    *c = (fw_tuf_client){.env = env, .fetch = *fetch, .limits = with_defaults(limits)};
    memcpy(c->folder, folder, strlen(folder) + 1);
    fw_status status = load_root(c, error);
    if (status != FW_OK) {
        fw_tuf_close(c);
        return status;
    }
    *out = c;
    return FW_OK;
}

static void drop(fw_tuf_client *c, fw_tuf_role role) {
    fw_metadata_free(c->trusted[role]);
    c->trusted[role] = NULL;
}

/* Everything but the root. */
static void drop_all(fw_tuf_client *c) {
    for (size_t i = 0; i < c->held_count; i++) fw_metadata_free(c->held[i].metadata);
    c->held_count = 0;
    drop(c, FW_TUF_TIMESTAMP);
    drop(c, FW_TUF_SNAPSHOT);
    drop(c, FW_TUF_TARGETS);
}

void fw_tuf_close(fw_tuf_client *c) {
    if (!c) return;
    drop_all(c);
    drop(c, FW_TUF_ROOT);
    free(c->held);
    free(c);
}

int64_t fw_tuf_version(const fw_tuf_client *client, const char *role) {
    fw_tuf_role known = fw_tuf_role_parse(role);
    return known != FW_TUF_ROLES && client->trusted[known] ? client->trusted[known]->version : 0;
}

/* ---- 5.3: root ---- */

static fw_status check_next_root(const fw_metadata *old, const fw_metadata *fresh, fw_error *error) {
    FW_TRY(fw_metadata_verify_role(fresh, old, FW_TUF_ROOT, error));
    FW_TRY(fw_metadata_verify_role(fresh, fresh, FW_TUF_ROOT, error));
    if (fresh->version == old->version + 1) return FW_OK;
    return fw_fail(error, FW_MISMATCH, "root is version %" PRId64 " where %" PRId64 " was due", fresh->version,
                   old->version + 1);
}

/* Versions that somebody pushed up with a stolen key are forgotten with that key, and before the root that says
 * so: whatever is cut here, the next refresh does not meet them. */
static fw_status accept_root(fw_tuf_client *c, fw_metadata *fresh, fw_error *error) {
    const fw_metadata *old = c->trusted[FW_TUF_ROOT];
    if (fw_metadata_rotated(old, fresh, FW_TUF_TIMESTAMP) || fw_metadata_rotated(old, fresh, FW_TUF_SNAPSHOT)) {
        FW_TRY(fw_tuf_forget(c, "timestamp", error));
        FW_TRY(fw_tuf_forget(c, "snapshot", error));
    }
    FW_TRY(fw_tuf_keep(c, "root", fresh, error));
    drop(c, FW_TUF_ROOT);
    c->trusted[FW_TUF_ROOT] = fresh;
    return FW_OK;
}

static fw_status next_root(fw_tuf_client *c, fw_error *error) {
    const fw_metadata *old = c->trusted[FW_TUF_ROOT];
    fw_metadata *fresh = NULL;
    FW_TRY(fw_tuf_fetch_metadata(c, FW_TUF_ROOT, "root", old->version + 1, NULL, &fresh, error));
    fw_status status = check_next_root(old, fresh, error);
    if (status == FW_OK) status = accept_root(c, fresh, error);
    if (status != FW_OK) fw_metadata_free(fresh);
    return status;
}

static fw_status refresh_root(fw_tuf_client *c, fw_error *error) {
    fw_status status = FW_OK;
    for (uint32_t i = 0; i < c->limits.root_rotations_max && status == FW_OK; i++) status = next_root(c, error);
    if (status != FW_OK && status != FW_NOT_FOUND) return status;
    return fw_tuf_check_expiry(c, c->trusted[FW_TUF_ROOT], "root", error);
}

/* ---- 5.4: timestamp ---- */

static fw_status verify_by_root(const fw_tuf_client *c, const void *role, const fw_metadata *metadata, fw_error *error) {
    return fw_metadata_verify_role(metadata, c->trusted[FW_TUF_ROOT], *(const fw_tuf_role *)role, error);
}

static const json_t *file_of(const fw_metadata *metadata, const char *name) {
    return json_object_get(json_object_get(metadata->content, "meta"), name);
}

static int64_t version_of(const json_t *file) { return json_integer_value(json_object_get(file, "version")); }

/* The trusted one, if it is still signed by those who sign now. */
static fw_status load_timestamp(fw_tuf_client *c, fw_error *error) {
    fw_metadata *old = NULL;
    FW_TRY(fw_tuf_load(c, FW_TUF_TIMESTAMP, "timestamp", &old, error));
    if (!old) return FW_OK;
    fw_status status = fw_metadata_verify_role(old, c->trusted[FW_TUF_ROOT], FW_TUF_TIMESTAMP, error);
    if (status == FW_OK) c->trusted[FW_TUF_TIMESTAMP] = old;
    else fw_metadata_free(old);
    return status == FW_MISMATCH ? FW_OK : status;
}

static fw_status check_timestamp(const fw_tuf_client *c, const fw_metadata *fresh, fw_error *error) {
    const fw_metadata *old = c->trusted[FW_TUF_TIMESTAMP];
    if (old && fresh->version < old->version)
        return fw_fail(error, FW_MISMATCH, "rollback: timestamp is version %" PRId64 ", we have seen %" PRId64, fresh->version,
                       old->version);
    if (old && version_of(file_of(fresh, "snapshot.json")) < version_of(file_of(old, "snapshot.json")))
        return fw_fail(error, FW_MISMATCH, "rollback: timestamp wants an older snapshot than we have seen");
    return fw_tuf_check_expiry(c, fresh, "timestamp", error);
}

/* One of the same version is no update, whatever it says. */
static fw_status take_timestamp(fw_tuf_client *c, fw_metadata *fresh, fw_error *error) {
    const fw_metadata *old = c->trusted[FW_TUF_TIMESTAMP];
    fw_status status = fw_metadata_verify_role(fresh, c->trusted[FW_TUF_ROOT], FW_TUF_TIMESTAMP, error);
    if (status == FW_OK && old && fresh->version == old->version) {
        fw_metadata_free(fresh);
        return fw_tuf_check_expiry(c, old, "timestamp", error);
    }
    if (status == FW_OK) status = check_timestamp(c, fresh, error);
    if (status == FW_OK) status = fw_tuf_keep(c, "timestamp", fresh, error);
    if (status != FW_OK) {
        fw_metadata_free(fresh);
        return status;
    }
    drop(c, FW_TUF_TIMESTAMP);
    c->trusted[FW_TUF_TIMESTAMP] = fresh;
    return FW_OK;
}

static fw_status refresh_timestamp(fw_tuf_client *c, fw_error *error) {
    fw_metadata *fresh = NULL;
    FW_TRY(load_timestamp(c, error));
    FW_TRY(fw_tuf_fetch_metadata(c, FW_TUF_TIMESTAMP, "timestamp", 0, NULL, &fresh, error));
    return take_timestamp(c, fresh, error);
}

/* ---- 5.5 and 5.6: snapshot and targets ---- */

/* No file leaves the snapshot, and none goes back. */
static fw_status check_snapshot(const fw_metadata *old, const fw_metadata *fresh, fw_error *error) {
    const char *name;
    json_t *before;
    if (fresh->version < old->version)
        return fw_fail(error, FW_MISMATCH, "rollback: snapshot is version %" PRId64 ", we have seen %" PRId64, fresh->version,
                       old->version);
    json_object_foreach(json_object_get(old->content, "meta"), name, before) {
        const json_t *after = file_of(fresh, name);
        if (!after) return fw_fail(error, FW_MISMATCH, "snapshot no longer lists %.80s", name);
        if (version_of(after) < version_of(before))
            return fw_fail(error, FW_MISMATCH, "rollback: snapshot has %.80s at version %" PRId64 ", we have seen %" PRId64,
                           name, version_of(after), version_of(before));
    }
    return FW_OK;
}

static fw_status refresh_snapshot(fw_tuf_client *c, fw_error *error) {
    static const fw_tuf_role role = FW_TUF_SNAPSHOT;
    fw_tuf_wanted wanted = {.type = role, .name = "snapshot", .authority = &role, .verify = verify_by_root,
                            .check = check_snapshot, .said = file_of(c->trusted[FW_TUF_TIMESTAMP], "snapshot.json")};
    return fw_tuf_obtain(c, &wanted, &c->trusted[role], error);
}

static fw_status refresh_targets(fw_tuf_client *c, fw_error *error) {
    static const fw_tuf_role role = FW_TUF_TARGETS;
    fw_tuf_wanted wanted = {.type = role, .name = "targets", .authority = &role, .verify = verify_by_root,
                            .said = file_of(c->trusted[FW_TUF_SNAPSHOT], "targets.json")};
    return fw_tuf_obtain(c, &wanted, &c->trusted[role], error);
}

fw_status fw_tuf_refresh(fw_tuf_client *c, fw_error *error) {
    c->fresh = false;
    drop_all(c);
    c->now_s = fw_env_wall_ns(c->env) / ns_per_s;
    FW_TRY(refresh_root(c, error));
    FW_TRY(refresh_timestamp(c, error));
    FW_TRY(refresh_snapshot(c, error));
    FW_TRY(refresh_targets(c, error));
    c->fresh = true;
    return FW_OK;
}
