/* manage.c - DIR/trust looked at and changed by hand (manage.h). */
#include "factory/trust/manage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "factory/trust/releases.h"
#include "factory/trust/trust_inner.h"

/* With both locks held. */
static fw_status rotate_director(fw_trust *t, fw_tuf_role role, const char *keys, fw_error *error) {
    FW_TRY(fw_trust_load_director(t, keys, error));
    FW_TRY(fw_roots_next(t->director, role, error));
    return fw_roots_rotate(t->director, role, error);
}

static fw_status rotate_image(fw_trust *t, fw_tuf_role role, const char *keys, fw_error *error) {
    fw_repository *image = NULL;
    FW_TRY(fw_trust_open_image(t, keys, &image, error));
    fw_status status = fw_repository_rotate(image, role, error);
    fw_repository_close(image);
    return status;
}

fw_status fw_trust_rotate(fw_trust *t, bool director, fw_tuf_role role, const char *keys, fw_error *error) {
    int fd;
    pthread_mutex_lock(&t->lock);
    fw_status status = fw_trust_ready(t, error);
    if (status == FW_OK) status = fw_trust_lock_files(t, &fd, error);
    if (status == FW_OK) {
        status = director ? rotate_director(t, role, keys, error) : rotate_image(t, role, keys, error);
        if (status == FW_OK) status = fw_trust_write_bundle(t, error);
        close(fd);
    }
    pthread_mutex_unlock(&t->lock);
    return status;
}

fw_status fw_trust_delegate(fw_trust *t, const char *role, const char *const *patterns, const char *keys,
                            fw_error *error) {
    fw_repository *image = NULL;
    int fd;
    pthread_mutex_lock(&t->lock);
    fw_status status = fw_trust_ready(t, error);
    if (status == FW_OK) status = fw_trust_lock_files(t, &fd, error);
    if (status == FW_OK) {
        status = fw_trust_open_image(t, keys, &image, error);
        if (status == FW_OK) status = fw_repository_delegate(image, role, patterns, true, error);
        fw_repository_close(image);
        close(fd);
    }
    pthread_mutex_unlock(&t->lock);
    return status;
}

/* ---- status ---- */

static void add_role(json_t *list, const char *repository, const char *role, const json_t *body, const json_t *key,
                     bool here) {
    const json_t *version = json_object_get(body, "version"), *expires = json_object_get(body, "expires");
    json_array_append_new(list, json_pack("{s:s,s:s,s:O?,s:O?,s:O?,s:b}", "repository", repository, "role", role,
                                          "version", version, "expires", expires, "key", key, "key_here", here));
}

static const json_t *key_of(const json_t *root, const char *role) {
    return json_array_get(json_object_get(json_object_get(json_object_get(root, "roles"), role), "keyids"), 0);
}

static const json_t *delegated_key_of(const json_t *targets, const char *role) {
    const json_t *roles = json_object_get(json_object_get(targets, "delegations"), "roles");
    for (size_t i = 0; i < json_array_size(roles); i++) {
        const json_t *one = json_array_get(roles, i);
        const char *name = json_string_value(json_object_get(one, "name"));
        if (name && strcmp(name, role) == 0) return json_array_get(json_object_get(one, "keyids"), 0);
    }
    return NULL;
}

static void image_roles(json_t *list, const fw_repository *image) {
    const fw_roots *roots = fw_repository_roots(image);
    const json_t *root = fw_roots_body(roots), *targets = fw_repository_body(image, "targets");
    for (int i = 0; i < FW_TUF_ROLES; i++) {
        const char *role = fw_tuf_role_text((fw_tuf_role)i);
        add_role(list, "image", role, i == FW_TUF_ROOT ? root : fw_repository_body(image, role), key_of(root, role),
                 fw_roots_has_key(roots, role));
    }
    const json_t *delegated = json_object_get(json_object_get(targets, "delegations"), "roles");
    for (size_t i = 0; i < json_array_size(delegated); i++) {
        const char *role = json_string_value(json_object_get(json_array_get(delegated, i), "name"));
        add_role(list, "image", role, fw_repository_body(image, role), delegated_key_of(targets, role),
                 fw_roots_has_key(roots, role));
    }
}

static void director_roles(json_t *list, const fw_roots *roots) {
    const json_t *root = fw_roots_body(roots);
    for (int i = 0; i < FW_TUF_ROLES; i++) {
        const char *role = fw_tuf_role_text((fw_tuf_role)i);
        add_role(list, "director", role, i == FW_TUF_ROOT ? root : NULL, key_of(root, role),
                 fw_roots_has_key(roots, role));
    }
}

static bool add_release(void *self, const char *path, const json_t *target) {
    const json_t *custom = json_object_get(target, "custom");
    json_array_append_new(self, json_pack("{s:s,s:O?,s:O?,s:O?}", "path", path, "length",
                                          json_object_get(target, "length"), "release_counter",
                                          json_object_get(custom, "release_counter"), "hardware_ids",
                                          json_object_get(custom, "hardware_ids")));
    return true;
}

static fw_status add_waiting(void *self, const fw_waiting *release, const char *file, fw_error *error) {
    (void)file, (void)error;
    json_array_append_new(self, json_string(release->path));
    return FW_OK;
}

static fw_status describe(fw_trust *t, json_t *json, fw_error *error) {
    fw_repository *image = NULL;
    json_t *roles = json_array(), *releases = json_array(), *waiting = json_array();
    json_object_set_new(json, "roles", roles);
    json_object_set_new(json, "releases", releases);
    json_object_set_new(json, "waiting", waiting);
    FW_TRY(fw_trust_load_director(t, NULL, error));
    FW_TRY(fw_trust_open_image(t, NULL, &image, error));
    image_roles(roles, image);
    director_roles(roles, t->director);
    fw_repository_each(image, add_release, releases);
    fw_repository_close(image);
    return fw_trust_each_waiting(t, add_waiting, waiting, error);
}

fw_status fw_trust_status(fw_trust *t, char **out, fw_error *error) {
    int fd;
    json_t *json = json_object();
    pthread_mutex_lock(&t->lock);
    fw_status status = fw_trust_ready(t, error);
    if (status == FW_OK) status = fw_trust_lock_files(t, &fd, error);
    if (status == FW_OK) {
        status = describe(t, json, error);
        close(fd);
    }
    pthread_mutex_unlock(&t->lock);
    char *text = status == FW_OK ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (status == FW_OK && !text) status = fw_fail(error, FW_NO_MEMORY, "no memory for a status");
    if (status == FW_OK) *out = text;
    return status;
}

/* ---- verify ---- */

static fw_status read_image(void *self, const char *path, size_t max_bytes, char **bytes, size_t *size_bytes,
                            fw_error *error) {
    const fw_trust *t = self;
    char full[FW_TRUST_PATH_MAX + 200];
    snprintf(full, sizeof full, "%s/image/%.150s", t->folder, path);
    if (!fw_file_exists(full)) return fw_fail(error, FW_NOT_FOUND, "no %.150s", path);
    return fw_file_read(full, max_bytes, bytes, size_bytes, error);
}

static fw_status no_target(void *self, const char *path, uint64_t offset, size_t max_bytes, int fd, fw_error *error) {
    (void)self, (void)path, (void)offset, (void)max_bytes, (void)fd;
    return fw_fail(error, FW_NOT_FOUND, "targets are not read here");
}

/* Every target of the repository is one that its own reader finds. */
typedef struct look {
    fw_tuf_client *client;
    int64_t count;
    fw_status status;
    fw_error *error;
} look;

static bool find_it(void *self, const char *path, const json_t *target) {
    look *l = self;
    fw_tuf_target found;
    const char *sha256 = json_string_value(json_object_get(json_object_get(target, "hashes"), "sha256"));
    l->status = fw_tuf_find(l->client, path, &found, l->error);
    if (l->status == FW_OK && (!sha256 || strcmp(sha256, found.sha256.hex) != 0))
        l->status = fw_fail(l->error, FW_MISMATCH, "%s: readers find another hash", path);
    l->count++;
    return l->status == FW_OK;
}

static fw_status walk(fw_trust *t, const char *folder, const char *bundle, size_t bundle_bytes, look *l,
                      fw_error *error) {
    char unit[FW_PATH_MAX];
    fw_repository *image = NULL;
    const fw_tuf_fetch fetch = {.self = t, .metadata = read_image, .target = no_target};
    FW_TRY(fw_uptane_init(t->config.env, folder, bundle, bundle_bytes, error));
    fw_path_join(unit, sizeof unit, folder, "image");
    FW_TRY(fw_tuf_open(t->config.env, unit, &fetch, NULL, &l->client, error));
    l->error = error;
    fw_status status = fw_tuf_refresh(l->client, error);
    if (status == FW_OK) status = fw_trust_open_image(t, NULL, &image, error);
    if (status == FW_OK) fw_repository_each(image, find_it, l);
    fw_repository_close(image);
    fw_tuf_close(l->client);
    return status == FW_OK ? l->status : status;
}

fw_status fw_trust_verify(fw_trust *t, int64_t *targets, fw_error *error) {
    char folder[] = "/tmp/flywheel-trust-XXXXXX", *bundle = NULL;
    size_t size = 0;
    look l = {.status = FW_OK};
    int fd;
    FW_TRY(fw_trust_root(t->config.env, t->config.data_folder, &bundle, &size, error));
    fw_status status = mkdtemp(folder) ? FW_OK : fw_fail_errno(error, "cannot make a folder in /tmp");
    pthread_mutex_lock(&t->lock);
    if (status == FW_OK) status = fw_trust_lock_files(t, &fd, error);
    if (status == FW_OK) {
        status = walk(t, folder, bundle, size, &l, error);
        close(fd);
    }
    pthread_mutex_unlock(&t->lock);
    fw_error ignored;
    (void)!fw_folder_remove(folder, &ignored);
    free(bundle);
    if (status == FW_OK) *targets = l.count;
    return status;
}
