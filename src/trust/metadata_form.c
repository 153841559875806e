/* metadata_form.c - the forms of root, timestamp, snapshot and targets (metadata_form.h). */
#include "trust/metadata_form.h"

#include "trust/tuf_digest.h"

/* jansson's loops want values that can be changed. */
static json_t *loop(const json_t *json) { return (json_t *)(uintptr_t)json; }

bool fw_metadata_form_version(const json_t *json, int64_t *version) {
    if (!json_is_integer(json) || json_integer_value(json) < 1 || json_integer_value(json) == INT64_MAX) return false;
    *version = json_integer_value(json);
    return true;
}

/* ---- pieces ---- */

static bool are_texts(const json_t *list) {
    const json_t *entry;
    size_t i;
    if (!json_is_array(list)) return false;
    json_array_foreach(list, i, entry)
        if (!json_string_value(entry)) return false;
    return true;
}

static fw_status check_keys(const json_t *keys, fw_error *error) {
    const char *id;
    json_t *key;
    if (!json_is_object(keys)) return fw_fail(error, FW_CORRUPT, "no keys");
    json_object_foreach(loop(keys), id, key)
        if (json_typeof(key) != JSON_OBJECT) return fw_fail(error, FW_CORRUPT, "key %.70s is no object", id);
    return FW_OK;
}

static fw_status check_role(const json_t *role, const char *name, fw_error *error) {
    const json_t *threshold = json_object_get(role, "threshold");
    if (!are_texts(json_object_get(role, "keyids"))) return fw_fail(error, FW_CORRUPT, "role %.80s has no keyids", name);
    if (!json_is_integer(threshold) || json_integer_value(threshold) < 1)
        return fw_fail(error, FW_CORRUPT, "role %.80s has no positive threshold", name);
    return FW_OK;
}

static bool is_length(const json_t *json) { return json_is_integer(json) && json_integer_value(json) >= 0; }

static fw_status check_hashes(const json_t *hashes, const char *name, fw_error *error) {
    const char *kind;
    json_t *value;
    if (json_object_size(hashes) == 0) return fw_fail(error, FW_CORRUPT, "no hashes of %.80s", name);
    json_object_foreach(loop(hashes), kind, value)
        if (!json_string_value(value) || !fw_tuf_digest_form(kind, json_string_value(value)))
            return fw_fail(error, FW_CORRUPT, "the %.20s of %.80s is no hash", kind, name);
    return FW_OK;
}

static bool is_yes_or_no(const json_t *json) { return json_typeof(json) == JSON_TRUE || json_typeof(json) == JSON_FALSE; }

/* What timestamp says of snapshot, and snapshot of targets. */
static fw_status check_metafile(const json_t *file, const char *name, fw_error *error) {
    const json_t *length = json_object_get(file, "length"), *hashes = json_object_get(file, "hashes");
    int64_t version;
    if (!fw_metadata_form_version(json_object_get(file, "version"), &version))
        return fw_fail(error, FW_CORRUPT, "no version of %.80s", name);
    if (length && !is_length(length)) return fw_fail(error, FW_CORRUPT, "the length of %.80s is no length", name);
    return hashes ? check_hashes(hashes, name, error) : FW_OK;
}

/* ---- the four types ---- */

static fw_status check_root(const json_t *content, fw_error *error) {
    const json_t *roles = json_object_get(content, "roles"), *consistent = json_object_get(content, "consistent_snapshot");
    FW_TRY(check_keys(json_object_get(content, "keys"), error));
    for (fw_tuf_role role = FW_TUF_ROOT; role < FW_TUF_ROLES; role++)
        FW_TRY(check_role(json_object_get(roles, fw_tuf_role_text(role)), fw_tuf_role_text(role), error));
    if (consistent && !is_yes_or_no(consistent)) return fw_fail(error, FW_CORRUPT, "consistent_snapshot is not yes or no");
    return FW_OK;
}

static fw_status check_timestamp(const json_t *content, fw_error *error) {
    return check_metafile(json_object_get(json_object_get(content, "meta"), "snapshot.json"), "snapshot.json", error);
}

static fw_status check_snapshot(const json_t *content, fw_error *error) {
    const json_t *meta = json_object_get(content, "meta");
    const char *name;
    json_t *file;
    if (!json_object_get(meta, "targets.json")) return fw_fail(error, FW_CORRUPT, "no version of targets.json");
    json_object_foreach(loop(meta), name, file)
        FW_TRY(check_metafile(file, name, error));
    return FW_OK;
}

static fw_status check_target(const json_t *target, const char *path, fw_error *error) {
    const json_t *custom = json_object_get(target, "custom");
    if (!is_length(json_object_get(target, "length"))) return fw_fail(error, FW_CORRUPT, "no length of %.80s", path);
    if (custom && json_typeof(custom) != JSON_OBJECT) return fw_fail(error, FW_CORRUPT, "custom of %.80s is no object", path);
    return check_hashes(json_object_get(target, "hashes"), path, error);
}

/* names: those seen so far. */
static fw_status check_delegation(const json_t *role, json_t *names, fw_error *error) {
    const char *name = json_string_value(json_object_get(role, "name"));
    const json_t *paths = json_object_get(role, "paths"), *prefixes = json_object_get(role, "path_hash_prefixes");
    const json_t *terminating = json_object_get(role, "terminating");
    char quoted[FW_TUF_ROLE_NAME_MAX];
    if (!name || !*name || fw_tuf_role_parse(name) != FW_TUF_ROLES)
        return fw_fail(error, FW_CORRUPT, "a delegation needs a name of its own");
    if (fw_tuf_quote(name, false, quoted, sizeof quoted, error) != FW_OK) return FW_CORRUPT;
    FW_TRY(check_role(role, name, error));
    if (json_object_get(names, name)) return fw_fail(error, FW_CORRUPT, "two delegations are named %.80s", name);
    if (json_object_set_new(names, name, json_true()) != 0) return fw_fail(error, FW_NO_MEMORY, "no memory for metadata");
    if (terminating && !is_yes_or_no(terminating))
        return fw_fail(error, FW_CORRUPT, "terminating of %.80s is not yes or no", name);
    if (!paths == !prefixes || !are_texts(paths ? paths : prefixes))
        return fw_fail(error, FW_CORRUPT, "role %.80s needs paths or path_hash_prefixes", name);
    return FW_OK;
}

static fw_status check_delegations(const json_t *delegations, fw_error *error) {
    const json_t *roles = json_object_get(delegations, "roles"), *role;
    size_t i;
    FW_TRY(check_keys(json_object_get(delegations, "keys"), error));
    if (!json_is_array(roles)) return fw_fail(error, FW_CORRUPT, "delegations without roles");
    json_t *names = json_object();
    fw_status status = names ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory for metadata");
    json_array_foreach(roles, i, role)
        if (status == FW_OK) status = check_delegation(role, names, error);
    json_decref(names);
    return status;
}

static fw_status check_targets(const json_t *content, fw_error *error) {
    const json_t *targets = json_object_get(content, "targets"), *delegations = json_object_get(content, "delegations");
    const char *path;
    json_t *target;
    if (!json_is_object(targets)) return fw_fail(error, FW_CORRUPT, "no targets");
    json_object_foreach(loop(targets), path, target)
        FW_TRY(check_target(target, path, error));
    return delegations ? check_delegations(delegations, error) : FW_OK;
}

fw_status fw_metadata_form(fw_tuf_role type, const json_t *content, fw_error *error) {
    switch (type) {
    case FW_TUF_ROOT: return check_root(content, error);
    case FW_TUF_TIMESTAMP: return check_timestamp(content, error);
    case FW_TUF_SNAPSHOT: return check_snapshot(content, error);
    default: return check_targets(content, error);
    }
}
