/* trust.c - DIR/trust opened, kept fresh and closed; statements (trust.h). */
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/log.h"
#include "factory/trust/trust_inner.h"
#include "trust/dsse.h"

/* ---- files ---- */

static void path_in(const fw_trust *t, const char *name, char path[FW_TRUST_PATH_MAX]) {
    snprintf(path, FW_TRUST_PATH_MAX, "%s/%s", t->folder, name);
}

fw_status fw_trust_lock_files(const fw_trust *t, int *out, fw_error *error) {
    char path[FW_TRUST_PATH_MAX];
    path_in(t, "lock", path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return fw_fail_errno(error, "cannot open %s", path);
    if (flock(fd, LOCK_EX) != 0) {
        fw_status status = fw_fail_errno(error, "cannot lock %s", path);
        close(fd);
        return status;
    }
    *out = fd;
    return FW_OK;
}

fw_status fw_trust_open_image(const fw_trust *t, const char *keys_elsewhere, fw_repository **out, fw_error *error) {
    char folder[FW_TRUST_PATH_MAX], keys[FW_TRUST_PATH_MAX];
    path_in(t, "image", folder);
    path_in(t, "keys/image", keys);
    const fw_repository_config config = {
        .env = t->config.env, .folder = folder, .keys = keys, .keys_elsewhere = keys_elsewhere};
    return fw_repository_open(&config, out, error);
}

static bool has_newest_root(const fw_trust *t) {
    char next[FW_TRUST_PATH_MAX + 32];
    if (!t->director) return false;
    snprintf(next, sizeof next, "%s/director/%lld.root.json", t->folder, (long long)fw_roots_version(t->director) + 1);
    return !fw_file_exists(next);
}

fw_status fw_trust_follow_director(fw_trust *t, fw_error *error) {
    int fd;
    if (has_newest_root(t)) return FW_OK;
    FW_TRY(fw_trust_lock_files(t, &fd, error));
    fw_status status = fw_trust_load_director(t, NULL, error);
    close(fd);
    return status;
}

fw_status fw_trust_load_director(fw_trust *t, const char *keys_elsewhere, fw_error *error) {
    char folder[FW_TRUST_PATH_MAX], keys[FW_TRUST_PATH_MAX];
    path_in(t, "director", folder);
    path_in(t, "keys/director", keys);
    if (!keys_elsewhere && has_newest_root(t)) return FW_OK;
    const fw_roots_config config = {.env = t->config.env, .folder = folder, .keys = keys,
                                    .elsewhere = keys_elsewhere, .life_s = 365 * 86400};
    fw_roots *roots = NULL;
    FW_TRY(fw_roots_open(&config, &roots, error));
    t->epoch_due |= t->director != NULL;
    fw_roots_close(t->director);
    t->director = roots;
    return FW_OK;
}

/* ECDSA P-256, which every verifier of model signatures knows; where random numbers are given, Ed25519, whose
 * signatures follow from them. */
static fw_status make_release_key(const fw_trust *t, const char *path, fw_error *error) {
    fw_private_key *key = NULL;
    uint8_t bytes[32];
    fw_status status;
    if (t->config.env->random) {
        if (!fw_env_random(t->config.env, bytes, sizeof bytes)) return fw_fail(error, FW_IO, "no random bytes");
        status = fw_private_key_of_seed(bytes, &key, error);
        OPENSSL_cleanse(bytes, sizeof bytes);
    } else {
        status = fw_private_key_make(FW_KEY_ECDSA_P256, &key, error);
    }
    if (status == FW_OK) status = fw_private_key_save(t->config.env, key, path, error);
    fw_private_key_free(key);
    return status;
}

fw_status fw_trust_write_bundle(const fw_trust *t, fw_error *error) {
    char path[FW_TRUST_PATH_MAX], *image = NULL, *director = NULL, *text = NULL, *old = NULL;
    size_t size = 0, old_size = 0;
    fw_repository *repository = NULL;
    FW_TRY(fw_trust_open_image(t, NULL, &repository, error));
    fw_status status = fw_repository_root(repository, &image, &size, error);
    if (status == FW_OK) status = fw_roots_read(t->director, &director, &size, error);
    if (status == FW_OK && asprintf(&text, "{\"image\":%s,\"director\":%s}\n", image, director) < 0)
        status = fw_fail(error, FW_NO_MEMORY, "no memory for a bundle of roots");
    path_in(t, "root.json", path);
    bool same = status == FW_OK && fw_file_exists(path) &&
                fw_file_read(path, 2 * FW_ROOT_MAX_BYTES, &old, &old_size, NULL) == FW_OK && strcmp(old, text) == 0;
    if (status == FW_OK && !same)
        status = fw_file_write_durable(t->config.env, path, text, strlen(text), error);
    fw_repository_close(repository);
    free(image);
    free(director);
    free(text);
    free(old);
    return status;
}

/* ---- life ---- */

/* Under DIR/trust/lock. */
static fw_status make_all(fw_trust *t, fw_error *error) {
    char path[FW_TRUST_PATH_MAX];
    FW_TRY(fw_trust_load_director(t, NULL, error));
    path_in(t, "keys/release.pem", path);
    if (!fw_file_exists(path)) FW_TRY(make_release_key(t, path, error));
    if (!t->release) FW_TRY(fw_private_key_load(path, &t->release, error));
    return fw_trust_write_bundle(t, error);
}

static bool has_roots(const fw_trust *t) {
    char path[FW_TRUST_PATH_MAX];
    path_in(t, "director/1.root.json", path);
    return fw_file_exists(path);
}

fw_status fw_trust_ready(fw_trust *t, fw_error *error) {
    char path[FW_TRUST_PATH_MAX];
    int fd;
    if (t->ready) return FW_OK;
    if (t->assigned_before && !has_roots(t))
        return fw_fail(error, FW_CORRUPT, "%s is gone, and units trust its keys: bring it back from a copy; new ones "
                       "(`flywheel trust init`) mean a new root.json for every unit", t->folder);
    path_in(t, "keys", path);
    FW_TRY(fw_folder_make(t->folder, 0755, error));
    FW_TRY(fw_folder_make(path, 0700, error));
    FW_TRY(fw_trust_lock_files(t, &fd, error));
    fw_status status = make_all(t, error);
    close(fd);
    if (status != FW_OK) return status;
    t->ready = true;
    t->epoch_due = true;
    return fw_folder_sync(t->config.env, t->config.data_folder, error);
}

static bool take_any(void *self, sqlite3_stmt *row) {
    (void)row;
    *(bool *)self = true;
    return false;
}

/* Was any unit ever told what to run? Then there were keys. */
static fw_status look_at_units(fw_trust *t, fw_error *error) {
    if (!t->config.catalogue) return FW_OK;
    sqlite3 *db = fw_catalogue_read(t->config.catalogue);
    fw_status status = fw_db_each(db, error, take_any, &t->assigned_before,
                                  "SELECT 1 FROM unit_keys WHERE assigned IS NOT NULL LIMIT 1", "");
    fw_catalogue_read_end(t->config.catalogue);
    return status;
}

fw_status fw_trust_open(const fw_trust_config *config, fw_trust **out, fw_error *error) {
    if (strlen(config->data_folder) > FW_PATH_MAX / 2)
        return fw_fail(error, FW_TOO_BIG, "the path of the data folder is too long");
    fw_trust *t = calloc(1, sizeof *t);
    if (!t) return fw_fail(error, FW_NO_MEMORY, "no memory for the factory's trust");
    t->config = *config;
    fw_path_join(t->folder, sizeof t->folder, config->data_folder, "trust");
    t->targets = json_object();
    if (!t->targets || !fw_env_random(config->env, t->secret, sizeof t->secret)) {
        json_decref(t->targets);
        free(t);
        return fw_fail(error, FW_IO, "no memory or no random bytes for the factory's trust");
    }
    fw_status status = look_at_units(t, error);
    if (status != FW_OK) {
        json_decref(t->targets);
        free(t);
        return status;
    }
    pthread_mutex_init(&t->lock, NULL);
    *out = t;
    return FW_OK;
}

void fw_trust_close(fw_trust *t) {
    if (!t) return;
    fw_private_key_free(t->release);
    fw_roots_close(t->director);
    json_decref(t->targets);
    free(t->seats);
    pthread_mutex_destroy(&t->lock);
    OPENSSL_cleanse(t->secret, sizeof t->secret);
    free(t);
}

static fw_status freshen(fw_trust *t, fw_error *error) {
    fw_repository *image = NULL;
    bool renewed = false;
    FW_TRY(fw_trust_load_director(t, NULL, error)); /* a command may have made a newer one */
    FW_TRY(fw_trust_open_image(t, NULL, &image, error));
    int64_t before = fw_roots_version(fw_repository_roots(image));
    fw_status status = fw_repository_freshen(image, error);
    renewed = fw_roots_version(fw_repository_roots(image)) != before;
    fw_repository_close(image);
    bool director = false;
    if (status == FW_OK) status = fw_roots_freshen(t->director, &director, error);
    return status == FW_OK && (renewed || director) ? fw_trust_write_bundle(t, error) : status;
}

fw_status fw_trust_tick(fw_trust *t, fw_error *error) {
    char path[FW_TRUST_PATH_MAX];
    int fd;
    fw_status status = FW_OK;
    int64_t now_ns = fw_env_mono_ns(t->config.env);
    path_in(t, "root.json", path);
    pthread_mutex_lock(&t->lock);
    bool due = t->freshened_ns == 0 || now_ns - t->freshened_ns > FW_TRUST_FRESHEN_S * INT64_C(1000000000);
    if (due && (t->ready || fw_file_exists(path))) {
        t->freshened_ns = now_ns;
        status = fw_trust_ready(t, error);
        if (status == FW_OK) status = fw_trust_lock_files(t, &fd, error);
        if (status == FW_OK) {
            status = freshen(t, error);
            close(fd);
        }
    }
    pthread_mutex_unlock(&t->lock);
    return status;
}

fw_status fw_trust_root(const fw_env *env, const char *data_folder, char **bytes, size_t *size_bytes,
                        fw_error *error) {
    const fw_trust_config config = {.env = env, .data_folder = data_folder};
    char path[FW_TRUST_PATH_MAX];
    fw_trust *t = NULL;
    FW_TRY(fw_trust_open(&config, &t, error));
    path_in(t, "root.json", path);
    pthread_mutex_lock(&t->lock);
    fw_status status = fw_file_exists(path) ? FW_OK : fw_trust_ready(t, error);
    pthread_mutex_unlock(&t->lock);
    if (status == FW_OK) status = fw_file_read(path, 2 * FW_ROOT_MAX_BYTES, bytes, size_bytes, error);
    fw_trust_close(t);
    return status;
}

/* ---- statements ---- */

fw_status fw_trust_sign_statement(fw_trust *t, const char *statement, size_t statement_bytes, char **out,
                                  fw_error *error) {
    pthread_mutex_lock(&t->lock);
    fw_status status = fw_trust_ready(t, error);
    if (status == FW_OK) status = fw_dsse_sign(FW_DSSE_IN_TOTO, statement, statement_bytes, t->release, out, error);
    pthread_mutex_unlock(&t->lock);
    return status;
}

fw_status fw_trust_release_key(fw_trust *t, char **json, fw_error *error) {
    fw_public_key *half = NULL;
    pthread_mutex_lock(&t->lock);
    fw_status status = fw_trust_ready(t, error);
    if (status == FW_OK) status = fw_private_key_public(t->release, &half, error);
    pthread_mutex_unlock(&t->lock);
    if (status != FW_OK) return status;
    json_t *key = fw_public_key_json(half);
    char *text = key ? json_dumps(key, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(key);
    fw_public_key_free(half);
    if (!text) return fw_fail(error, FW_NO_MEMORY, "no memory for a key");
    *json = text;
    return FW_OK;
}
