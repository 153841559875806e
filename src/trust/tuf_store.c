/* tuf_store.c - metadata from the trusted folder and from the repository (tuf_inner.h). */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "trust/tuf_inner.h"

enum { STORE_PATH_MAX = FW_PATH_MAX + FW_TUF_ROLE_NAME_MAX + 32 };

size_t fw_tuf_limit(const fw_tuf_client *client, fw_tuf_role type) {
    switch (type) {
    case FW_TUF_ROOT: return client->limits.root_max_bytes;
    case FW_TUF_TIMESTAMP: return client->limits.timestamp_max_bytes;
    case FW_TUF_SNAPSHOT: return client->limits.snapshot_max_bytes;
    default: return client->limits.targets_max_bytes;
    }
}

bool fw_tuf_consistent(const fw_tuf_client *client) {
    return json_is_true(json_object_get(client->trusted[FW_TUF_ROOT]->content, "consistent_snapshot"));
}

fw_status fw_tuf_check_expiry(const fw_tuf_client *client, const fw_metadata *metadata, const char *name, fw_error *error) {
    if (metadata->expires_s > client->now_s) return FW_OK;
    return fw_fail(error, FW_TIMEOUT, "%.80s version %" PRId64 " expired at %s: a freeze, or a repository nobody tends", name,
                   metadata->version, json_string_value(json_object_get(metadata->content, "expires")));
}

/* ---- the trusted folder ---- */

static void store_path(const fw_tuf_client *client, const char *name, char path[STORE_PATH_MAX]) {
    snprintf(path, STORE_PATH_MAX, "%s/%s.json", client->folder, name);
}

fw_status fw_tuf_load(const fw_tuf_client *client, fw_tuf_role type, const char *name, fw_metadata **out, fw_error *error) {
    char path[STORE_PATH_MAX], *bytes = NULL;
    size_t size_bytes = 0;
    store_path(client, name, path);
    *out = NULL;
    fw_status status = fw_file_read(path, fw_tuf_limit(client, type), &bytes, &size_bytes, error);
    if (status == FW_OK) status = fw_metadata_read(type, bytes, size_bytes, out, error);
    free(bytes);
    bool none = status == FW_NOT_FOUND || status == FW_TOO_BIG || status == FW_CORRUPT || status == FW_UNSUPPORTED;
    return none ? FW_OK : status;
}

fw_status fw_tuf_keep(const fw_tuf_client *client, const char *name, const fw_metadata *metadata, fw_error *error) {
    char path[STORE_PATH_MAX];
    store_path(client, name, path);
    return fw_file_write_durable(client->env, path, metadata->bytes, metadata->size_bytes, error);
}

fw_status fw_tuf_forget(const fw_tuf_client *client, const char *name, fw_error *error) {
    char path[STORE_PATH_MAX];
    store_path(client, name, path);
    if (unlink(path) != 0 && errno != ENOENT) return fw_fail_errno(error, "cannot remove %s", path);
    return fw_folder_sync(client->env, client->folder, error);
}

/* ---- the repository ---- */

/* How much of it may come: what was signed of its length, never more than the limit. */
static fw_status size_limit(const fw_tuf_client *client, fw_tuf_role type, const char *name, const json_t *said,
                            size_t *max_bytes, fw_error *error) {
    const json_t *length = json_object_get(said, "length");
    size_t limit = fw_tuf_limit(client, type);
    if (length && (uint64_t)json_integer_value(length) > limit)
        return fw_fail(error, FW_TOO_BIG, "%.80s is to have %lld bytes, the limit is %zu", name,
                       (long long)json_integer_value(length), limit);
    *max_bytes = length ? (size_t)json_integer_value(length) : limit;
    return FW_OK;
}

fw_status fw_tuf_fetch_metadata(const fw_tuf_client *client, fw_tuf_role type, const char *name, int64_t version,
                                const json_t *said, fw_metadata **out, fw_error *error) {
    char path[FW_TUF_ROLE_NAME_MAX + 32], *bytes = NULL;
    size_t size_bytes = 0, max_bytes = 0;
    if (version > 0) snprintf(path, sizeof path, "%" PRId64 ".%s.json", version, name);
    else snprintf(path, sizeof path, "%s.json", name);
    FW_TRY(size_limit(client, type, name, said, &max_bytes, error));
    FW_TRY(client->fetch.metadata(client->fetch.self, path, max_bytes, &bytes, &size_bytes, error));
    fw_status status = size_bytes > max_bytes ? fw_fail(error, FW_TOO_BIG, "%.80s is longer than %zu bytes", path, max_bytes)
                                              : fw_metadata_check_file(said, bytes, size_bytes, path, error);
    if (status == FW_OK) status = fw_metadata_read(type, bytes, size_bytes, out, error);
    free(bytes);
    return status;
}

/* ---- either ---- */

static int64_t wanted_version(const fw_tuf_wanted *wanted) {
    return json_integer_value(json_object_get(wanted->said, "version"));
}

/* Everything but the fetching: is this the file that was meant, and may it be trusted now? */
static fw_status check_wanted(const fw_tuf_client *client, const fw_tuf_wanted *wanted, const fw_metadata *metadata,
                              fw_error *error) {
    FW_TRY(wanted->verify(client, wanted->authority, metadata, error));
    if (metadata->version != wanted_version(wanted))
        return fw_fail(error, FW_MISMATCH, "%.80s is version %" PRId64 ", %" PRId64 " was signed", wanted->name,
                       metadata->version, wanted_version(wanted));
    return fw_tuf_check_expiry(client, metadata, wanted->name, error);
}

static bool is_failure_of_ours(fw_status status) { return status != FW_OK && status != FW_MISMATCH; }

/* The file of DIR: NULL unless those who sign now vouch for it, too. */
static fw_status load_verified(const fw_tuf_client *client, const fw_tuf_wanted *wanted, fw_metadata **out, fw_error *error) {
    fw_metadata *old = NULL;
    FW_TRY(fw_tuf_load(client, wanted->type, wanted->name, &old, error));
    fw_status status = old ? wanted->verify(client, wanted->authority, old, error) : FW_OK;
    if (status == FW_OK) *out = old;
    else fw_metadata_free(old);
    return is_failure_of_ours(status) ? status : FW_OK;
}

static fw_status fetch_wanted(fw_tuf_client *client, const fw_tuf_wanted *wanted, const fw_metadata *old, fw_metadata **out,
                              fw_error *error) {
    fw_metadata *fresh = NULL;
    int64_t prefix = fw_tuf_consistent(client) ? wanted_version(wanted) : 0;
    fw_status status = fw_tuf_fetch_metadata(client, wanted->type, wanted->name, prefix, wanted->said, &fresh, error);
    if (status == FW_NOT_FOUND)
        return fw_fail(error, FW_MISMATCH, "%.80s version %" PRId64 " was signed and is not there", wanted->name,
                       wanted_version(wanted));
    if (status != FW_OK) return status;
    status = check_wanted(client, wanted, fresh, error);
    if (status == FW_OK && old && wanted->check) status = wanted->check(old, fresh, error);
    if (status == FW_OK) status = fw_tuf_keep(client, wanted->name, fresh, error);
    if (status == FW_OK) *out = fresh;
    else fw_metadata_free(fresh);
    return status;
}

fw_status fw_tuf_obtain(fw_tuf_client *client, const fw_tuf_wanted *wanted, fw_metadata **out, fw_error *error) {
    fw_metadata *old = NULL;
    FW_TRY(load_verified(client, wanted, &old, error));
    if (old && check_wanted(client, wanted, old, error) == FW_OK &&
        fw_metadata_check_file(wanted->said, old->bytes, old->size_bytes, wanted->name, error) == FW_OK) {
        *out = old;
        return FW_OK;
    }
    fw_status status = fetch_wanted(client, wanted, old, out, error);
    fw_metadata_free(old);
    return status;
}
