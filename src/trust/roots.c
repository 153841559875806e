/* roots.c - root metadata and role keys (roots.h). */
#include "trust/roots.h"

#include <dirent.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "trust/canonical.h"
#include "trust/sign.h"

struct fw_roots {
    fw_roots_config config;
    char folder[FW_PATH_MAX], keys[FW_PATH_MAX], elsewhere[FW_PATH_MAX];
    json_t *body; /* of the newest root */
    int64_t version;
};

/* ---- keys ---- */

enum { KEY_PATH_MAX = FW_PATH_MAX + 64 };

/* Where the key lies: at home, else elsewhere. False: at neither; path then is the one at home. */
static bool find_key(const fw_roots *r, const char *role, const char *suffix, char path[KEY_PATH_MAX]) {
    if (*r->elsewhere) {
        snprintf(path, KEY_PATH_MAX, "%s/%.40s%s.pem", r->elsewhere, role, suffix);
        if (fw_file_exists(path)) return true;
    }
    snprintf(path, KEY_PATH_MAX, "%s/%.40s%s.pem", r->keys, role, suffix);
    return fw_file_exists(path);
}

/* Beside the key that it will replace. */
static void next_path(const fw_roots *r, const char *role, char path[KEY_PATH_MAX]) {
    char present[KEY_PATH_MAX];
    find_key(r, role, "", present);
    snprintf(path, KEY_PATH_MAX, "%.*s.next.pem", (int)(strlen(present) - 4), present);
}

bool fw_roots_has_key(const fw_roots *r, const char *role) {
    char path[KEY_PATH_MAX];
    return find_key(r, role, "", path);
}

fw_status fw_roots_key(const fw_roots *r, const char *role, fw_private_key **out, fw_error *error) {
    char path[KEY_PATH_MAX];
    if (!find_key(r, role, "", path))
        return fw_fail(error, FW_DENIED, "the key of '%s' is not in %s; where it is kept, `flywheel trust sign --keys "
                       "FOLDER` signs with it", role, r->keys);
    return fw_private_key_load(path, out, error);
}

static fw_status new_key(const fw_roots *r, fw_private_key **out, fw_error *error) {
    uint8_t bytes[32];
    if (!fw_env_random(r->config.env, bytes, sizeof bytes)) return fw_fail(error, FW_IO, "no random bytes for a key");
    fw_status status = fw_private_key_of_seed(bytes, out, error);
    OPENSSL_cleanse(bytes, sizeof bytes);
    return status;
}

static fw_status save_new_key(const fw_roots *r, const char *path, fw_error *error) {
    fw_private_key *key = NULL;
    FW_TRY(new_key(r, &key, error));
    fw_status status = fw_private_key_save(r->config.env, key, path, error);
    fw_private_key_free(key);
    return status;
}

fw_status fw_roots_make_key(const fw_roots *r, const char *role, fw_error *error) {
    char path[KEY_PATH_MAX];
    if (find_key(r, role, "", path)) return FW_OK;
    return save_new_key(r, path, error);
}

/* ---- signing ---- */

static fw_status load_next(const fw_roots *r, const char *role, fw_private_key **out, fw_error *error) {
    char path[KEY_PATH_MAX];
    *out = NULL;
    next_path(r, role, path);
    return fw_file_exists(path) ? fw_private_key_load(path, out, error) : FW_OK;
}

fw_status fw_roots_sign(const fw_roots *r, const char *role, const json_t *body, char **out, size_t *size_bytes,
                        fw_error *error) {
    fw_private_key *keys[2] = {NULL, NULL};
    fw_status status = fw_roots_key(r, role, &keys[0], error);
    if (status == FW_OK) status = load_next(r, role, &keys[1], error);
    if (status == FW_OK)
        status = fw_sign_metadata(body, (const fw_private_key *const *)keys, keys[1] ? 2 : 1, out, size_bytes, error);
    for (int i = 0; i < 2; i++) fw_private_key_free(keys[i]);
    return status;
}

/* ---- the root ---- */

static void root_path(const fw_roots *r, int64_t version, char path[KEY_PATH_MAX]) {
    snprintf(path, KEY_PATH_MAX, "%s/%lld.root.json", r->folder, (long long)version);
}

/* The body names this key alone for the role; other roles keep theirs. */
static fw_status name_key(json_t *body, const char *role, const fw_private_key *key, fw_error *error) {
    fw_public_key *public_half = NULL;
    FW_TRY(fw_private_key_public(key, &public_half, error));
    fw_hash id = fw_public_key_id(public_half);
    json_t *keys = json_object_get(body, "keys"), *roles = json_object_get(body, "roles");
    int bad = json_object_set_new(keys, id.hex, fw_public_key_json(public_half));
    bad |= json_object_set_new(roles, role, json_pack("{s:[s],s:i}", "keyids", id.hex, "threshold", 1));
    fw_public_key_free(public_half);
    return bad ? fw_fail(error, FW_NO_MEMORY, "no memory for a root") : FW_OK;
}

static bool role_names(const json_t *body, const char *role, const char *id) {
    const json_t *ids = json_object_get(json_object_get(json_object_get(body, "roles"), role), "keyids");
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const char *named = json_string_value(json_array_get(ids, i));
        if (named && strcmp(named, id) == 0) return true;
    }
    return false;
}

/* Keys that no role names any more are dropped. */
static void drop_unnamed(json_t *body) {
    json_t *keys = json_object_get(body, "keys"), *key;
    const char *id;
    void *next;
    json_object_foreach_safe(keys, next, id, key) {
        bool named = false;
        for (int i = 0; i < FW_TUF_ROLES; i++) named |= role_names(body, fw_tuf_role_text((fw_tuf_role)i), id);
        if (!named) json_object_del(keys, id);
    }
}

/* Signs the body as the next version and makes it durable; takes the body. */
static fw_status publish_root(fw_roots *r, json_t *body, const fw_private_key *next, fw_error *error) {
    char path[KEY_PATH_MAX], expires[FW_SIGN_TIME_MAX], *text = NULL;
    size_t size = 0;
    fw_private_key *key = NULL;
    fw_sign_time(fw_env_wall_ns(r->config.env) / 1000000000 + r->config.life_s, expires);
    json_object_set_new(body, "version", json_integer(r->version + 1));
    json_object_set_new(body, "expires", json_string(expires));
    fw_status status = fw_roots_key(r, "root", &key, error);
    const fw_private_key *keys[2] = {key, next};
    if (status == FW_OK) status = fw_sign_metadata(body, keys, next ? 2 : 1, &text, &size, error);
    root_path(r, r->version + 1, path);
    if (status == FW_OK) status = fw_file_write_durable(r->config.env, path, text, size, error);
    fw_private_key_free(key);
    free(text);
    if (status != FW_OK) {
        json_decref(body);
        return status;
    }
    json_decref(r->body);
    r->body = body;
    r->version++;
    return FW_OK;
}

static fw_status first_root(fw_roots *r, fw_error *error) {
    json_t *body = json_pack("{s:s,s:s,s:b,s:{},s:{}}", "_type", "root", "spec_version", FW_TUF_SPEC_VERSION,
                             "consistent_snapshot", 1, "keys", "roles");
    fw_status status = body ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory for a root");
    for (int i = 0; i < FW_TUF_ROLES && status == FW_OK; i++) {
        fw_private_key *key = NULL;
        status = fw_roots_make_key(r, fw_tuf_role_text((fw_tuf_role)i), error);
        if (status == FW_OK) status = fw_roots_key(r, fw_tuf_role_text((fw_tuf_role)i), &key, error);
        if (status == FW_OK) status = name_key(body, fw_tuf_role_text((fw_tuf_role)i), key, error);
        fw_private_key_free(key);
    }
    if (status == FW_OK) return publish_root(r, body, NULL, error);
    json_decref(body);
    return status;
}

/* ---- rotation ---- */

fw_status fw_roots_next(fw_roots *r, fw_tuf_role role, fw_error *error) {
    char path[KEY_PATH_MAX];
    fw_private_key *key = NULL;
    const char *const needed[2] = {"root", fw_tuf_role_text(role)};
    for (int i = 0; i < 2; i++) {
        FW_TRY(fw_roots_key(r, needed[i], &key, error));
        fw_private_key_free(key);
    }
    next_path(r, needed[1], path);
    return fw_file_exists(path) ? FW_OK : save_new_key(r, path, error);
}

/* ROLE.next.pem becomes ROLE.pem, durable. */
static fw_status take_place(const fw_roots *r, const char *role, fw_error *error) {
    char from[KEY_PATH_MAX], to[KEY_PATH_MAX], folder[KEY_PATH_MAX];
    next_path(r, role, from);
    find_key(r, role, "", to);
    snprintf(folder, sizeof folder, "%s", to);
    *strrchr(folder, '/') = '\0';
    if (r->config.env->rename(r->config.env->self, from, to) != 0)
        return fw_fail_errno(error, "cannot put the new key of '%s' in its place", role);
    return fw_folder_sync(r->config.env, folder, error);
}

fw_status fw_roots_rotate(fw_roots *r, fw_tuf_role role, fw_error *error) {
    const char *text = fw_tuf_role_text(role);
    fw_private_key *next = NULL;
    FW_TRY(load_next(r, text, &next, error));
    if (!next) return fw_fail(error, FW_INVALID, "no next key of '%s'", text);
    json_t *body = json_deep_copy(r->body);
    fw_status status = body ? name_key(body, text, next, error) : fw_fail(error, FW_NO_MEMORY, "no memory for a root");
    if (status == FW_OK) {
        drop_unnamed(body);
        status = publish_root(r, body, role == FW_TUF_ROOT ? next : NULL, error);
    } else {
        json_decref(body);
    }
    fw_private_key_free(next);
    return status == FW_OK ? take_place(r, text, error) : status;
}

/* What a rotation that died left: finished when the root names the new key, undone otherwise. */
static fw_status mend(const fw_roots *r, const char *role, fw_error *error) {
    char path[KEY_PATH_MAX];
    fw_private_key *next = NULL;
    fw_hash id;
    next_path(r, role, path);
    if (!fw_file_exists(path)) return FW_OK;
    FW_TRY(fw_private_key_load(path, &next, error));
    fw_status status = fw_sign_key_id(next, &id, error);
    fw_private_key_free(next);
    if (status != FW_OK) return status;
    if (role_names(r->body, role, id.hex)) return take_place(r, role, error);
    return unlink(path) == 0 ? FW_OK : fw_fail_errno(error, "cannot remove %s", path);
}

/* ---- opening ---- */

static int64_t newest_version(const char *folder) {
    int64_t newest = 0;
    DIR *list = opendir(folder);
    if (!list) return 0;
    for (struct dirent *entry; (entry = readdir(list));) {
        char *end;
        long long version = strtoll(entry->d_name, &end, 10);
        if (strcmp(end, ".root.json") == 0 && version > newest) newest = version;
    }
    closedir(list);
    return newest;
}

static fw_status load_root(fw_roots *r, fw_error *error) {
    char *text = NULL;
    size_t size = 0;
    json_t *whole = NULL;
    FW_TRY(fw_roots_read(r, &text, &size, error));
    fw_status status = fw_canonical_read(text, size, &whole, error);
    free(text);
    if (status != FW_OK) return status;
    r->body = json_incref(json_object_get(whole, "signed"));
    json_decref(whole);
    if (!json_is_object(json_object_get(r->body, "keys")) || !json_is_object(json_object_get(r->body, "roles")))
        return fw_fail(error, FW_CORRUPT, "%s/%lld.root.json is no root", r->folder, (long long)r->version);
    return FW_OK;
}

fw_status fw_roots_open(const fw_roots_config *config, fw_roots **out, fw_error *error) {
    fw_roots *r = calloc(1, sizeof *r);
    if (!r) return fw_fail(error, FW_NO_MEMORY, "no memory for a root");
    r->config = *config;
    snprintf(r->folder, sizeof r->folder, "%s", config->folder);
    snprintf(r->keys, sizeof r->keys, "%s", config->keys);
    snprintf(r->elsewhere, sizeof r->elsewhere, "%s", config->elsewhere ? config->elsewhere : "");
    fw_status status = fw_folder_make(r->folder, 0755, error);
    if (status == FW_OK) status = fw_folder_make(r->keys, 0700, error);
    r->version = newest_version(r->folder);
    if (status == FW_OK) status = r->version > 0 ? load_root(r, error) : first_root(r, error);
    for (int i = 0; i < FW_TUF_ROLES && status == FW_OK; i++) status = mend(r, fw_tuf_role_text((fw_tuf_role)i), error);
    if (status != FW_OK) {
        fw_roots_close(r);
        return status;
    }
    *out = r;
    return FW_OK;
}

void fw_roots_close(fw_roots *r) {
    if (!r) return;
    json_decref(r->body);
    free(r);
}

int64_t fw_roots_version(const fw_roots *r) { return r->version; }
const json_t *fw_roots_body(const fw_roots *r) { return r->body; }

fw_status fw_roots_read(const fw_roots *r, char **bytes, size_t *size_bytes, fw_error *error) {
    char path[KEY_PATH_MAX];
    root_path(r, r->version, path);
    return fw_file_read(path, FW_ROOT_MAX_BYTES, bytes, size_bytes, error);
}

fw_status fw_roots_freshen(fw_roots *r, bool *renewed, fw_error *error) {
    char soon[FW_SIGN_TIME_MAX];
    const char *expires = json_string_value(json_object_get(r->body, "expires"));
    if (renewed) *renewed = false;
    fw_sign_time(fw_env_wall_ns(r->config.env) / 1000000000 + r->config.life_s / 2, soon);
    if ((expires && strcmp(expires, soon) > 0) || !fw_roots_has_key(r, "root")) return FW_OK;
    json_t *body = json_deep_copy(r->body);
    if (!body) return fw_fail(error, FW_NO_MEMORY, "no memory for a root");
    FW_TRY(publish_root(r, body, NULL, error));
    if (renewed) *renewed = true;
    return FW_OK;
}
