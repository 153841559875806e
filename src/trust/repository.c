/* repository.c - targets, snapshot and timestamp written and published (repository.h). */
#include "trust/repository.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "trust/canonical.h"
#include "trust/sign.h"

struct fw_repository {
    fw_repository_config config;
    char folder[FW_PATH_MAX];
    fw_roots *roots;
    json_t *bodies;    /* role -> its "signed" part: targets, snapshot, timestamp, delegated roles */
    json_t *published; /* role -> {"version","length","hashes"} as readers find it; "snapshot", "timestamp": a number */
    json_t *changed;   /* role -> true: differs from what is published */
    bool stale;        /* a publish failed: what readers find must be read again */
};

static const int64_t default_life_s[FW_TUF_ROLES] = {365 * 86400, 90 * 86400, 7 * 86400, 86400};

static int64_t life_of(const fw_repository *r, fw_tuf_role role) {
    return r->config.life_s[role] > 0 ? r->config.life_s[role] : default_life_s[role];
}

static fw_status no_memory(fw_error *error) {
    return fw_fail(error, FW_NO_MEMORY, "no memory for the repository");
}

/* ---- files ---- */

enum { FILE_PATH_MAX = FW_PATH_MAX + 80 };

static void path_of(const fw_repository *r, const char *role, int64_t version, char path[FILE_PATH_MAX]) {
    if (strcmp(role, "timestamp") == 0) snprintf(path, FILE_PATH_MAX, "%s/timestamp.json", r->folder);
    else snprintf(path, FILE_PATH_MAX, "%s/%lld.%.40s.json", r->folder, (long long)version, role);
}

/* The "signed" part of a file; the caller owns it. */
static fw_status load_body(const fw_repository *r, const char *role, int64_t version, json_t **body, fw_error *error) {
    char path[FILE_PATH_MAX], *text = NULL;
    size_t size = 0;
    json_t *whole = NULL;
    path_of(r, role, version, path);
    FW_TRY(fw_file_read(path, FW_REPOSITORY_METADATA_MAX, &text, &size, error));
    fw_status status = fw_canonical_read(text, size, &whole, error);
    free(text);
    if (status != FW_OK) return status;
    *body = json_incref(json_object_get(whole, "signed"));
    json_decref(whole);
    return *body ? FW_OK : fw_fail(error, FW_CORRUPT, "%s is no metadata", path);
}

static int64_t version_of(const json_t *object) { return json_integer_value(json_object_get(object, "version")); }

/* "targets.json" -> "targets" */
static bool role_of_file(const char *file, char role[FW_REPOSITORY_ROLE_MAX]) {
    size_t size = strlen(file);
    if (size < 6 || size - 5 >= FW_REPOSITORY_ROLE_MAX || strcmp(file + size - 5, ".json") != 0) return false;
    memcpy(role, file, size - 5);
    role[size - 5] = '\0';
    return true;
}

/* What readers find: timestamp -> snapshot -> the rest. Bodies too, when they are wanted. */
static fw_status load_published(fw_repository *r, bool bodies, fw_error *error) {
    json_t *timestamp = NULL, *snapshot = NULL, *meta;
    const char *file;
    FW_TRY(load_body(r, "timestamp", 0, &timestamp, error));
    int64_t version = version_of(json_object_get(json_object_get(timestamp, "meta"), "snapshot.json"));
    fw_status status = load_body(r, "snapshot", version, &snapshot, error);
    json_object_clear(r->published);
    if (status == FW_OK) {
        json_object_set_new(r->published, "timestamp", json_integer(version_of(timestamp)));
        json_object_set_new(r->published, "snapshot", json_integer(version));
    }
    json_object_foreach(json_object_get(snapshot, "meta"), file, meta) {
        char role[FW_REPOSITORY_ROLE_MAX];
        json_t *body = NULL;
        if (status != FW_OK || !role_of_file(file, role)) continue;
        json_object_set(r->published, role, meta);
        if (!bodies) continue;
        status = load_body(r, role, version_of(meta), &body, error);
        if (status == FW_OK) json_object_set_new(r->bodies, role, body);
    }
    if (status == FW_OK && bodies) {
        json_object_set(r->bodies, "snapshot", snapshot);
        json_object_set(r->bodies, "timestamp", timestamp);
    }
    json_decref(snapshot);
    json_decref(timestamp);
    return status;
}

/* ---- opening ---- */

/* Nothing was ever published here (or not to its end). */
static fw_status begin(fw_repository *r, fw_error *error) {
    json_t *targets = json_pack("{s:s,s:s,s:{}}", "_type", "targets", "spec_version", FW_TUF_SPEC_VERSION, "targets");
    if (!targets || json_object_set_new(r->bodies, "targets", targets) != 0) return no_memory(error);
    json_object_set_new(r->changed, "targets", json_true());
    return fw_repository_publish(r, error);
}

static fw_status open_files(fw_repository *r, fw_error *error) {
    char path[FILE_PATH_MAX];
    const fw_roots_config roots = {.env = r->config.env, .folder = r->config.folder, .keys = r->config.keys,
                                   .elsewhere = r->config.keys_elsewhere, .life_s = life_of(r, FW_TUF_ROOT)};
    FW_TRY(fw_roots_open(&roots, &r->roots, error));
    path_of(r, "timestamp", 0, path);
    return fw_file_exists(path) ? load_published(r, true, error) : begin(r, error);
}

fw_status fw_repository_open(const fw_repository_config *config, fw_repository **out, fw_error *error) {
    fw_repository *r = calloc(1, sizeof *r);
    if (!r) return no_memory(error);
    r->config = *config;
    snprintf(r->folder, sizeof r->folder, "%s", config->folder);
    r->bodies = json_object();
    r->published = json_object();
    r->changed = json_object();
    fw_status status = r->bodies && r->published && r->changed ? open_files(r, error) : no_memory(error);
    if (status != FW_OK) {
        fw_repository_close(r);
        return status;
    }
    *out = r;
    return FW_OK;
}

void fw_repository_close(fw_repository *r) {
    if (!r) return;
    fw_roots_close(r->roots);
    json_decref(r->bodies);
    json_decref(r->published);
    json_decref(r->changed);
    free(r);
}

/* ---- targets ---- */

static const json_t *delegations_of(const fw_repository *r) {
    return json_object_get(json_object_get(json_object_get(r->bodies, "targets"), "delegations"), "roles");
}

static bool role_takes(const json_t *delegation, const char *path) {
    const json_t *patterns = json_object_get(delegation, "paths");
    for (size_t i = 0; i < json_array_size(patterns); i++) {
        const char *pattern = json_string_value(json_array_get(patterns, i));
        if (pattern && fnmatch(pattern, path, FNM_PATHNAME) == 0) return true;
    }
    return false;
}

static const char *role_for(const fw_repository *r, const char *path) {
    const json_t *roles = delegations_of(r);
    for (size_t i = 0; i < json_array_size(roles); i++) {
        const json_t *delegation = json_array_get(roles, i);
        if (role_takes(delegation, path)) return json_string_value(json_object_get(delegation, "name"));
    }
    return "targets";
}

static json_t *targets_of(const fw_repository *r, const char *role) {
    return json_object_get(json_object_get(r->bodies, role), "targets");
}

const json_t *fw_repository_target(const fw_repository *r, const char *path, const char **role) {
    const char *const roles[2] = {"targets", role_for(r, path)}; /* readers ask the top-level role first */
    for (int i = 0; i < 2; i++) {
        const json_t *target = json_object_get(targets_of(r, roles[i]), path);
        if (!target) continue;
        if (role) *role = roles[i];
        return target;
    }
    return NULL;
}

fw_status fw_repository_set(fw_repository *r, const char *path, uint64_t length_bytes, const fw_hash *sha256,
                            const json_t *custom, fw_error *error) {
    const char *role = role_for(r, path);
    fw_repository_target(r, path, &role); /* one that is there is replaced where it is */
    if (!*path || strlen(path) > 255 || path[0] == '/' || strstr(path, ".."))
        return fw_fail(error, FW_INVALID, "'%.80s' is no target's path", path);
    json_t *target = json_pack("{s:I,s:{s:s}}", "length", (json_int_t)length_bytes, "hashes", "sha256", sha256->hex);
    if (target && custom) json_object_set_new(target, "custom", json_deep_copy(custom));
    if (!target || json_object_set_new(targets_of(r, role), path, target) != 0) return no_memory(error);
    json_object_set_new(r->changed, role, json_true());
    return FW_OK;
}

fw_status fw_repository_remove(fw_repository *r, const char *path, fw_error *error) {
    const char *role = NULL;
    if (!fw_repository_target(r, path, &role)) return fw_fail(error, FW_NOT_FOUND, "no target %.80s", path);
    json_object_del(targets_of(r, role), path);
    json_object_set_new(r->changed, role, json_true());
    return FW_OK;
}

void fw_repository_each(const fw_repository *r, bool (*each)(void *self, const char *path, const json_t *target),
                        void *self) {
    const char *role, *path;
    json_t *body, *target;
    json_object_foreach(r->bodies, role, body)
        json_object_foreach(json_object_get(body, "targets"), path, target)
            if (!each(self, path, target)) return;
}

const json_t *fw_repository_body(const fw_repository *r, const char *role) {
    return json_object_get(r->bodies, role);
}

const fw_roots *fw_repository_roots(const fw_repository *r) { return r->roots; }

/* ---- publishing ---- */

/* A file signed and ready to be written. */
typedef struct ready {
    char role[FW_REPOSITORY_ROLE_MAX];
    int64_t version;
    char *text;
    size_t size_bytes;
} ready;
enum { READY_MAX = 32 };

/* The roles of one publish, in the order of writing. */
typedef struct batch {
    ready items[READY_MAX];
    size_t count;
} batch;

static fw_tuf_role life_role(const char *role) {
    fw_tuf_role known = fw_tuf_role_parse(role);
    return known == FW_TUF_ROLES ? FW_TUF_TARGETS : known;
}

static fw_status sign_into(const fw_repository *r, const char *role, int64_t version, batch *b, fw_error *error) {
    char expires[FW_SIGN_TIME_MAX];
    json_t *body = json_object_get(r->bodies, role);
    if (b->count == READY_MAX) return fw_fail(error, FW_TOO_BIG, "more than %d roles at once", READY_MAX);
    ready *item = &b->items[b->count];
    *item = (ready){.version = version};
    snprintf(item->role, sizeof item->role, "%s", role);
    fw_sign_time(fw_env_wall_ns(r->config.env) / 1000000000 + life_of(r, life_role(role)), expires);
    json_object_set_new(body, "version", json_integer(version));
    json_object_set_new(body, "expires", json_string(expires));
    if (r->config.unit) json_object_set_new(body, "unit", json_string(r->config.unit));
    FW_TRY(fw_roots_sign(r->roots, role, body, &item->text, &item->size_bytes, error));
    b->count++;
    return item->size_bytes <= FW_REPOSITORY_METADATA_MAX
               ? FW_OK
               : fw_fail(error, FW_TOO_BIG, "%s metadata would have %zu bytes, the limit is %d", role,
                         item->size_bytes, FW_REPOSITORY_METADATA_MAX);
}

/* {"version","length","hashes"} of a file. */
static json_t *meta_of(const ready *item) {
    fw_hash hash = fw_hash_bytes(item->text, item->size_bytes);
    return json_pack("{s:I,s:I,s:{s:s}}", "version", (json_int_t)item->version, "length",
                     (json_int_t)item->size_bytes, "hashes", "sha256", hash.hex);
}

/* Delegated roles, then targets: what snapshot will list. */
static fw_status sign_targets(const fw_repository *r, batch *b, json_t *meta, fw_error *error) {
    const char *role;
    json_t *body;
    for (int top = 0; top < 2; top++)
        json_object_foreach(r->bodies, role, body) {
            fw_tuf_role known = fw_tuf_role_parse(role);
            char file[FW_REPOSITORY_ROLE_MAX + 8];
            if (known != (top ? FW_TUF_TARGETS : FW_TUF_ROLES)) continue;
            json_t *old = json_object_get(r->published, role);
            snprintf(file, sizeof file, "%s.json", role);
            if (!json_object_get(r->changed, role)) {
                json_object_set(meta, file, old);
                continue;
            }
            FW_TRY(sign_into(r, role, version_of(old) + 1, b, error));
            json_object_set_new(meta, file, meta_of(&b->items[b->count - 1]));
        }
    return FW_OK;
}

/* Puts a body of this type with this meta into the bodies. */
static fw_status set_meta(fw_repository *r, const char *role, json_t *meta /* taken */, fw_error *error) {
    json_t *body = json_pack("{s:s,s:s,s:o}", "_type", role, "spec_version", FW_TUF_SPEC_VERSION, "meta", meta);
    return body && json_object_set_new(r->bodies, role, body) == 0 ? FW_OK : no_memory(error);
}

static fw_status sign_all(fw_repository *r, batch *b, fw_error *error) {
    json_t *meta = json_object();
    if (!meta) return no_memory(error);
    bool lists = json_object_size(r->changed) > (json_object_get(r->changed, "timestamp") ? 1 : 0);
    int64_t snapshot = json_integer_value(json_object_get(r->published, "snapshot"));
    int64_t timestamp = json_integer_value(json_object_get(r->published, "timestamp"));
    fw_status status = sign_targets(r, b, meta, error);
    if (status != FW_OK || !lists) {
        json_decref(meta);
        if (status != FW_OK) return status;
        return sign_into(r, "timestamp", timestamp + 1, b, error); /* the same snapshot as before */
    }
    FW_TRY(set_meta(r, "snapshot", meta, error));
    FW_TRY(sign_into(r, "snapshot", snapshot + 1, b, error));
    meta = json_pack("{s:o}", "snapshot.json", meta_of(&b->items[b->count - 1]));
    if (!meta) return no_memory(error);
    FW_TRY(set_meta(r, "timestamp", meta, error));
    return sign_into(r, "timestamp", timestamp + 1, b, error);
}

static fw_status write_all(const fw_repository *r, const batch *b, fw_error *error) {
    char path[FILE_PATH_MAX];
    for (size_t i = 0; i < b->count; i++) {
        path_of(r, b->items[i].role, b->items[i].version, path);
        FW_TRY(fw_file_write_durable(r->config.env, path, b->items[i].text, b->items[i].size_bytes, error));
    }
    return FW_OK;
}

/* Versions that no reader can be in the middle of any more. */
static void prune(const fw_repository *r, const batch *b) {
    char path[FILE_PATH_MAX];
    for (size_t i = 0; i < b->count; i++) {
        if (strcmp(b->items[i].role, "timestamp") == 0) continue;
        path_of(r, b->items[i].role, b->items[i].version - FW_REPOSITORY_KEEP, path);
        unlink(path);
    }
}

fw_status fw_repository_publish(fw_repository *r, fw_error *error) {
    batch b = {.count = 0};
    if (json_object_size(r->changed) == 0) return FW_OK;
    if (r->stale) FW_TRY(load_published(r, false, error));
    r->stale = false;
    fw_status status = sign_all(r, &b, error);
    if (status == FW_OK) {
        r->stale = true;
        status = write_all(r, &b, error);
    }
    if (status == FW_OK) {
        prune(r, &b);
        json_object_clear(r->changed);
        status = load_published(r, false, error);
        r->stale = status != FW_OK;
    }
    for (size_t i = 0; i < b.count; i++) free(b.items[i].text);
    return status;
}

/* ---- freshness, rotation, delegation ---- */

fw_status fw_repository_freshen(fw_repository *r, fw_error *error) {
    const char *role;
    json_t *body;
    int64_t now_s = fw_env_wall_ns(r->config.env) / 1000000000;
    FW_TRY(fw_roots_freshen(r->roots, NULL, error));
    json_object_foreach(r->bodies, role, body) {
        char soon[FW_SIGN_TIME_MAX];
        const char *expires = json_string_value(json_object_get(body, "expires"));
        fw_sign_time(now_s + life_of(r, life_role(role)) / 2, soon);
        if ((expires && strcmp(expires, soon) > 0) || !fw_roots_has_key(r->roots, role)) continue;
        json_object_set_new(r->changed, role, json_true());
    }
    return fw_repository_publish(r, error);
}

fw_status fw_repository_rotate(fw_repository *r, fw_tuf_role role, fw_error *error) {
    const char *text = fw_tuf_role_text(role);
    FW_TRY(fw_repository_publish(r, error));
    FW_TRY(fw_roots_next(r->roots, role, error));
    if (role != FW_TUF_ROOT) {
        json_object_set_new(r->changed, text, json_true());
        FW_TRY(fw_repository_publish(r, error)); /* signed by both */
    }
    return fw_roots_rotate(r->roots, role, error);
}

static bool role_name_valid(const char *role) {
    size_t size = strlen(role);
    return size > 0 && size < FW_REPOSITORY_ROLE_MAX &&
           strspn(role, "abcdefghijklmnopqrstuvwxyz0123456789_-") == size &&
           fw_tuf_role_parse(role) == FW_TUF_ROLES;
}

static fw_status add_delegation(json_t *targets, const char *role, const char *const *patterns, bool terminating,
                                const fw_public_key *key, fw_error *error) {
    fw_hash id = fw_public_key_id(key);
    json_t *delegations = json_object_get(targets, "delegations"), *paths = json_array();
    if (!delegations) {
        delegations = json_pack("{s:{},s:[]}", "keys", "roles");
        if (json_object_set_new(targets, "delegations", delegations) != 0) return no_memory(error);
    }
    for (size_t i = 0; patterns[i]; i++) json_array_append_new(paths, json_string(patterns[i]));
    int bad = json_object_set_new(json_object_get(delegations, "keys"), id.hex, fw_public_key_json(key));
    bad |= json_array_append_new(json_object_get(delegations, "roles"),
                                 json_pack("{s:s,s:[s],s:i,s:b,s:o}", "name", role, "keyids", id.hex, "threshold", 1,
                                           "terminating", terminating, "paths", paths));
    return bad ? no_memory(error) : FW_OK;
}

fw_status fw_repository_delegate(fw_repository *r, const char *role, const char *const *patterns, bool terminating,
                                 fw_error *error) {
    fw_private_key *key = NULL;
    fw_public_key *public_half = NULL;
    if (!role_name_valid(role)) return fw_fail(error, FW_INVALID, "'%.40s' is no name of a role: a-z, 0-9, _ and -", role);
    if (!patterns[0]) return fw_fail(error, FW_INVALID, "a delegated role needs a pattern");
    if (json_object_get(r->bodies, role)) return fw_fail(error, FW_EXISTS, "there is a role '%s' already", role);
    if (!fw_roots_has_key(r->roots, "targets")) FW_TRY(fw_roots_key(r->roots, "targets", &key, error));
    FW_TRY(fw_roots_make_key(r->roots, role, error));
    FW_TRY(fw_roots_key(r->roots, role, &key, error));
    fw_status status = fw_private_key_public(key, &public_half, error);
    if (status == FW_OK)
        status = add_delegation(json_object_get(r->bodies, "targets"), role, patterns, terminating, public_half, error);
    fw_public_key_free(public_half);
    fw_private_key_free(key);
    if (status != FW_OK) return status;
    json_t *body = json_pack("{s:s,s:s,s:{}}", "_type", "targets", "spec_version", FW_TUF_SPEC_VERSION, "targets");
    if (!body || json_object_set_new(r->bodies, role, body) != 0) return no_memory(error);
    json_object_set_new(r->changed, role, json_true());
    json_object_set_new(r->changed, "targets", json_true());
    return fw_repository_publish(r, error);
}

fw_status fw_repository_root(const fw_repository *r, char **bytes, size_t *size_bytes, fw_error *error) {
    return fw_roots_read(r->roots, bytes, size_bytes, error);
}
