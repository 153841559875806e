/* releases.c - what is genuine: models put into the image repository (trust.h). */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "factory/trust/releases.h"
#include "factory/trust/trust_inner.h"

/* ---- what is released ---- */

static bool take(void *self, const char *path, const json_t *target) {
    return json_object_set_new(self, path, json_deep_copy(target)) == 0;
}

/* Does a target that was there say something else now, or nothing? Then units' metadata changes with it. */
static bool changed(json_t *before, const json_t *after) {
    const char *path;
    json_t *target;
    json_object_foreach(before, path, target)
        if (!json_equal(target, json_object_get(after, path))) return true;
    return false;
}

static fw_status read_targets(fw_trust *t, const fw_repository *image, fw_error *error) {
    json_t *targets = json_object();
    if (!targets) return fw_fail(error, FW_NO_MEMORY, "no memory for the releases");
    fw_repository_each(image, take, targets);
    t->epoch_due |= changed(t->targets, targets);
    json_decref(t->targets);
    t->targets = targets;
    return FW_OK;
}

static bool same_file(const struct stat *a, const struct stat *b) {
    return a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static bool stat_image(const fw_trust *t, struct stat *info) {
    char path[FW_TRUST_PATH_MAX];
    snprintf(path, sizeof path, "%s/image/timestamp.json", t->folder);
    return stat(path, info) == 0;
}

fw_status fw_trust_look(fw_trust *t, fw_error *error) {
    struct stat now;
    fw_repository *image = NULL;
    int fd;
    if (stat_image(t, &now) && same_file(&now, &t->seen)) return FW_OK;
    FW_TRY(fw_trust_lock_files(t, &fd, error));
    fw_status status = fw_trust_open_image(t, NULL, &image, error);
    if (status == FW_OK) status = read_targets(t, image, error);
    if (status == FW_OK) (void)stat_image(t, &t->seen);
    fw_repository_close(image);
    close(fd);
    return status;
}

const char *fw_trust_find(const fw_trust *t, const char *sha256, const json_t **target) {
    const char *path;
    json_t *value;
    json_object_foreach(t->targets, path, value) {
        const char *hash = json_string_value(json_object_get(json_object_get(value, "hashes"), "sha256"));
        if (!hash || strcmp(hash, sha256) != 0) continue;
        if (target) *target = value;
        return path;
    }
    return NULL;
}

bool fw_trust_released(fw_trust *t, const fw_hash *model) {
    fw_error error;
    pthread_mutex_lock(&t->lock);
    bool found = fw_trust_ready(t, &error) == FW_OK && fw_trust_look(t, &error) == FW_OK &&
                 fw_trust_find(t, model->hex, NULL) != NULL;
    pthread_mutex_unlock(&t->lock);
    return found;
}

/* ---- releasing ---- */

static int64_t counter_of(const json_t *target) {
    return json_integer_value(json_object_get(json_object_get(target, "custom"), "release_counter"));
}

typedef struct span {
    char lowest_path[256];
    int64_t lowest, highest;
    size_t count;
} span;

static bool measure(void *self, const char *path, const json_t *target) {
    span *s = self;
    int64_t counter = counter_of(target);
    if (s->count++ == 0 || counter < s->lowest) {
        s->lowest = counter;
        snprintf(s->lowest_path, sizeof s->lowest_path, "%s", path);
    }
    if (counter > s->highest) s->highest = counter;
    return true;
}

/* The custom part as it will be published: with hardware ids and a counter. The caller owns it. */
static json_t *complete(const fw_repository *image, const json_t *custom) {
    span s = {.count = 0};
    json_t *whole = json_is_object(custom) ? json_deep_copy(custom) : json_object();
    fw_repository_each(image, measure, &s);
    if (!json_object_get(whole, "release_counter"))
        json_object_set_new(whole, "release_counter", json_integer(s.highest + 1));
    if (!json_object_get(whole, "hardware_ids"))
        json_object_set_new(whole, "hardware_ids", json_pack("[s]", FW_TRUST_HARDWARE));
    return whole;
}

/* Those of the lowest counters go, until the rest fits. */
static fw_status make_room(fw_repository *image, fw_error *error) {
    for (;;) {
        span s = {.count = 0};
        fw_repository_each(image, measure, &s);
        if (s.count <= FW_TRUST_RELEASES_MAX) return FW_OK;
        FW_TRY(fw_repository_remove(image, s.lowest_path, error));
    }
}

/* Does what is published say all that the release wants? */
static bool says_it_already(const json_t *target, const fw_hash *model, uint64_t length_bytes, const json_t *custom) {
    const char *hash = json_string_value(json_object_get(json_object_get(target, "hashes"), "sha256"));
    const json_t *length = json_object_get(target, "length"), *published = json_object_get(target, "custom");
    const char *key;
    json_t *value;
    if (!hash || strcmp(hash, model->hex) != 0 || (uint64_t)json_integer_value(length) != length_bytes) return false;
    json_object_foreach((json_t *)(uintptr_t)custom, key, value)
        if (!json_equal(value, json_object_get(published, key))) return false;
    return true;
}

static fw_status publish(fw_repository *image, const fw_waiting *r, fw_error *error) {
    const json_t *target = fw_repository_target(image, r->path, NULL);
    if (target && says_it_already(target, &r->model, r->length_bytes, r->custom)) return FW_OK;
    json_t *custom = complete(image, r->custom);
    if (!custom) return fw_fail(error, FW_NO_MEMORY, "no memory for a release");
    fw_status status = fw_repository_set(image, r->path, r->length_bytes, &r->model, custom, error);
    json_decref(custom);
    if (status == FW_OK) status = make_room(image, error);
    return status == FW_OK ? fw_repository_publish(image, error) : status;
}

/* ---- releases that wait for a key ---- */

static fw_status keep_waiting(const fw_trust *t, const fw_waiting *r, fw_error *error) {
    char folder[FW_TRUST_PATH_MAX], path[FW_TRUST_PATH_MAX + 80];
    snprintf(folder, sizeof folder, "%s/waiting", t->folder);
    snprintf(path, sizeof path, "%s/%s.json", folder, r->model.hex);
    json_t *json = json_pack("{s:s,s:s,s:I,s:O?}", "path", r->path, "sha256", r->model.hex, "length",
                             (json_int_t)r->length_bytes, "custom", r->custom);
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(json);
    if (!text) return fw_fail(error, FW_NO_MEMORY, "no memory for a release");
    fw_status status = fw_folder_make(folder, 0755, error);
    if (status == FW_OK) status = fw_folder_sync(t->config.env, t->folder, error);
    if (status == FW_OK) status = fw_file_write_durable(t->config.env, path, text, strlen(text), error);
    free(text);
    return status;
}

/* One file of DIR/trust/waiting. json owns what r points to. */
static bool read_waiting(const char *path, json_t **json, fw_waiting *r) {
    char *text = NULL;
    size_t size = 0;
    fw_error error;
    if (fw_file_read(path, FW_TRUST_CUSTOM_MAX + 1024, &text, &size, &error) != FW_OK) return false;
    *json = fw_json_load(text, size, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    const char *name = json_string_value(json_object_get(*json, "path"));
    const char *hash = json_string_value(json_object_get(*json, "sha256"));
    if (name && hash && fw_hash_parse(hash, &r->model, &error) == FW_OK && strlen(name) < sizeof r->path) {
        snprintf(r->path, sizeof r->path, "%s", name);
        r->length_bytes = (uint64_t)json_integer_value(json_object_get(*json, "length"));
        const json_t *custom = json_object_get(*json, "custom");
        r->custom = json_is_object(custom) ? custom : NULL;
        return true;
    }
    json_decref(*json);
    *json = NULL;
    return false;
}

fw_status fw_trust_each_waiting(fw_trust *t, fw_status (*each)(void *self, const fw_waiting *r, const char *file,
                                                               fw_error *error),
                                void *self, fw_error *error) {
    char folder[FW_TRUST_PATH_MAX], path[FW_TRUST_PATH_MAX + 80];
    struct dirent **names = NULL;
    fw_status status = FW_OK;
    snprintf(folder, sizeof folder, "%s/waiting", t->folder);
    int count = scandir(folder, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        fw_waiting r;
        json_t *json = NULL;
        snprintf(path, sizeof path, "%s/%.70s", folder, names[i]->d_name);
        size_t size = strlen(names[i]->d_name);
        bool named = size == FW_HASH_HEX + 5 && strcmp(names[i]->d_name + FW_HASH_HEX, ".json") == 0;
        if (status == FW_OK && named && read_waiting(path, &json, &r)) {
            status = each(self, &r, path, error);
            json_decref(json);
        }
        free(names[i]);
    }
    free(names);
    return status;
}

typedef struct signing {
    fw_repository *image;
    int64_t count;
} signing;

static fw_status sign_one(void *self, const fw_waiting *r, const char *file, fw_error *error) {
    signing *s = self;
    FW_TRY(publish(s->image, r, error));
    if (unlink(file) != 0) return fw_fail_errno(error, "cannot remove %s", file);
    s->count++;
    return FW_OK;
}

fw_status fw_trust_sign_waiting(fw_trust *t, const char *keys, int64_t *count, fw_error *error) {
    signing s = {.count = 0};
    int fd;
    pthread_mutex_lock(&t->lock);
    fw_status status = fw_trust_ready(t, error);
    if (status == FW_OK) status = fw_trust_lock_files(t, &fd, error);
    if (status == FW_OK) {
        status = fw_trust_open_image(t, keys, &s.image, error);
        if (status == FW_OK) status = fw_trust_each_waiting(t, sign_one, &s, error);
        if (status == FW_OK) status = fw_repository_freshen(s.image, error);
        fw_repository_close(s.image);
        if (status == FW_OK) status = fw_trust_write_bundle(t, error);
        close(fd);
    }
    pthread_mutex_unlock(&t->lock);
    *count = s.count;
    return status;
}

/* ---- the calls ---- */

static fw_status check_custom(const json_t *custom, fw_error *error) {
    const json_t *counter = json_object_get(custom, "release_counter");
    if (custom && !json_is_object(custom)) return fw_fail(error, FW_INVALID, "a release's custom part is an object");
    if (counter && (!json_is_integer(counter) || json_integer_value(counter) < 0 ||
                    json_integer_value(counter) > FW_UPTANE_COUNTER_MAX))
        return fw_fail(error, FW_INVALID, "a release counter is a whole number from 0 to 2^53");
    if (custom && json_dumpb(custom, NULL, 0, JSON_COMPACT) > FW_TRUST_CUSTOM_MAX)
        return fw_fail(error, FW_TOO_BIG, "a release's custom part has more than %d bytes", FW_TRUST_CUSTOM_MAX);
    return FW_OK;
}

/* With both locks held. */
static fw_status release_locked(fw_trust *t, const fw_waiting *r, fw_error *error) {
    fw_repository *image = NULL;
    FW_TRY(fw_trust_open_image(t, NULL, &image, error));
    fw_status status = publish(image, r, error);
    fw_repository_close(image);
    if (status != FW_DENIED) return status;
    fw_log_warn("model %.12s waits for `flywheel trust sign`: %s", r->model.hex, error ? error->text : "");
    fw_status kept = keep_waiting(t, r, error);
    return kept == FW_OK ? FW_DENIED : kept;
}

static fw_status change_image(fw_trust *t, fw_status (*change)(fw_trust *t, const fw_waiting *r, fw_error *error),
                              const fw_waiting *r, fw_error *error) {
    int fd;
    pthread_mutex_lock(&t->lock);
    fw_status status = fw_trust_ready(t, error);
    if (status == FW_OK) status = fw_trust_look(t, error);
    if (status == FW_OK) status = fw_trust_lock_files(t, &fd, error);
    if (status == FW_OK) {
        status = change(t, r, error);
        close(fd);
    }
    fw_error ignored;
    if (status == FW_OK) status = fw_trust_look(t, error);
    else if (t->ready) (void)!fw_trust_look(t, &ignored);
    pthread_mutex_unlock(&t->lock);
    return status;
}

fw_status fw_trust_release(fw_trust *t, const char *line, const fw_hash *model, uint64_t length_bytes,
                           const json_t *custom, fw_error *error) {
    fw_waiting r = {.model = *model, .length_bytes = length_bytes, .custom = custom};
    if (!*line || strlen(line) > 64 || strspn(line, "abcdefghijklmnopqrstuvwxyz0123456789_-") != strlen(line))
        return fw_fail(error, FW_INVALID, "'%.64s' is no name of a line", line);
    if (!fw_hash_valid(model->hex)) return fw_fail(error, FW_INVALID, "a release needs a SHA-256");
    FW_TRY(check_custom(custom, error));
    snprintf(r.path, sizeof r.path, "%s/%s.safetensors", line, model->hex);
    return change_image(t, release_locked, &r, error);
}

static fw_status withdraw_locked(fw_trust *t, const fw_waiting *r, fw_error *error) {
    fw_repository *image = NULL;
    const char *path = fw_trust_find(t, r->model.hex, NULL);
    if (!path) return fw_fail(error, FW_NOT_FOUND, "model %.12s is not released", r->model.hex);
    FW_TRY(fw_trust_open_image(t, NULL, &image, error));
    fw_status status = fw_repository_remove(image, path, error);
    if (status == FW_OK) status = fw_repository_publish(image, error);
    fw_repository_close(image);
    return status;
}

fw_status fw_trust_withdraw(fw_trust *t, const fw_hash *model, fw_error *error) {
    const fw_waiting r = {.model = *model};
    return change_image(t, withdraw_locked, &r, error);
}
