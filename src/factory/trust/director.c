/* director.c - what each unit is to run, signed when it asks (trust.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "factory/ingest/ingest.h"
#include "factory/trust/trust_inner.h"
#include "trust/sign.h"

/* ---- epochs ---- */

static void epoch_path(const fw_trust *t, char path[FW_TRUST_PATH_MAX]) {
    snprintf(path, FW_TRUST_PATH_MAX, "%s/director/epoch.json", t->folder);
}

static fw_status read_epoch(fw_trust *t, fw_error *error) {
    char path[FW_TRUST_PATH_MAX], *text = NULL;
    size_t size = 0;
    epoch_path(t, path);
    if (!fw_file_exists(path)) return FW_OK;
    FW_TRY(fw_file_read(path, 1024, &text, &size, error));
    json_t *json = fw_json_load(text, size, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    int64_t epoch = json_integer_value(json_object_get(json, "epoch"));
    json_decref(json);
    if (epoch <= 0) return fw_fail(error, FW_CORRUPT, "%s is damaged; it must hold a number above every version that "
                                   "units have seen: {\"epoch\":SECONDS SINCE 1970}", path);
    if (epoch > t->epoch) t->epoch = epoch;
    return FW_OK;
}

/* One above the last, or the clock's seconds: a restored backup is passed by, too. Durable before it is used. */
static fw_status next_epoch(fw_trust *t, int64_t now_s, fw_error *error) {
    char path[FW_TRUST_PATH_MAX], text[64];
    int fd;
    FW_TRY(fw_trust_lock_files(t, &fd, error));
    fw_status status = read_epoch(t, error);
    int64_t epoch = t->epoch + 1 > now_s ? t->epoch + 1 : now_s;
    int size = snprintf(text, sizeof text, "{\"epoch\":%lld}\n", (long long)epoch);
    epoch_path(t, path);
    if (status == FW_OK) status = fw_file_write_durable(t->config.env, path, text, (size_t)size, error);
    close(fd);
    if (status != FW_OK) return status;
    t->epoch = epoch;
    t->issued_s = now_s;
    t->epoch_due = false;
    return FW_OK;
}

fw_status fw_trust_epoch(fw_trust *t, fw_error *error) {
    int64_t now_s = fw_env_wall_ns(t->config.env) / 1000000000, age_s = now_s - t->issued_s;
    bool old = age_s >= FW_TRUST_EPOCH_S || age_s <= -FW_TRUST_EPOCH_S; /* the clock may have jumped back */
    if (!t->epoch_due && !old) return FW_OK;
    return next_epoch(t, now_s, error);
}

/* ---- assignments ---- */

fw_status fw_trust_assign(fw_trust *t, sqlite3 *db, const char *unit, const fw_hash *model, fw_error *error) {
    const char *hash = model && *model->hex ? model->hex : NULL;
    if (!fw_unit_name_valid(unit)) return fw_fail(error, FW_INVALID, "not a unit's name");
    if (hash && !fw_trust_released(t, model))
        return fw_fail(error, FW_NOT_FOUND, "model %.12s is not in the image repository", hash);
    return fw_db_run(db, error,
                     "INSERT INTO unit_keys(unit,public,created_ns,assigned,assigned_version) VALUES(?1,'',?3,?2,1) ON "
                     "CONFLICT(unit) DO UPDATE SET assigned=excluded.assigned,assigned_version=assigned_version+1 "
                     "WHERE assigned IS NOT excluded.assigned",
                     "tti", unit, hash, fw_env_wall_ns(t->config.env));
}

typedef struct seat {
    char assigned[FW_HASH_HEX + 1];
    int64_t version;
} seat;

static bool take_seat(void *self, sqlite3_stmt *row) {
    seat *s = self;
    snprintf(s->assigned, sizeof s->assigned, "%.64s", fw_db_column(row, 0));
    s->version = sqlite3_column_int64(row, 1);
    return false;
}

static fw_status seat_of(fw_trust *t, const char *unit, seat *out, fw_error *error) {
    *out = (seat){.version = 0};
    sqlite3 *db = fw_catalogue_read(t->config.catalogue);
    fw_status status = fw_db_each(db, error, take_seat, out,
                                  "SELECT assigned,assigned_version FROM unit_keys WHERE unit=?", "t", unit);
    fw_catalogue_read_end(t->config.catalogue);
    return status;
}

fw_status fw_trust_assigned(fw_trust *t, const char *unit, fw_hash *model, fw_error *error) {
    seat s;
    FW_TRY(seat_of(t, unit, &s, error));
    snprintf(model->hex, sizeof model->hex, "%s", s.assigned);
    return FW_OK;
}

/* ---- metadata of one unit ---- */

/* The one target, or none. The caller owns it. */
static json_t *targets_of(const fw_trust *t, const char *unit, const seat *s) {
    const json_t *target = NULL;
    const char *path = *s->assigned ? fw_trust_find(t, s->assigned, &target) : NULL;
    if (!path) return json_object();
    const json_t *custom = json_object_get(target, "custom");
    return json_pack("{s:{s:O,s:O,s:{s:s,s:O,s:O}}}", path, "length", json_object_get(target, "length"), "hashes",
                     json_object_get(target, "hashes"), "custom", "unit", unit, "hardware_ids",
                     json_object_get(custom, "hardware_ids"), "release_counter",
                     json_object_get(custom, "release_counter"));
}

/* {"_type","spec_version","version","expires","unit"} and the role's own member, which is taken. */
static fw_status sign_role(const fw_trust *t, const char *unit, fw_tuf_role role, int64_t version, const char *member,
                           json_t *value, char **bytes, size_t *size_bytes, fw_error *error) {
    char expires[FW_SIGN_TIME_MAX];
    fw_sign_time(t->issued_s + FW_TRUST_LIFE_S, expires);
    json_t *body = json_pack("{s:s,s:s,s:I,s:s,s:s,s:o}", "_type", fw_tuf_role_text(role), "spec_version",
                             FW_TUF_SPEC_VERSION, "version", (json_int_t)version, "expires", expires, "unit", unit,
                             member, value);
    if (!body) return fw_fail(error, FW_NO_MEMORY, "no memory for the director's metadata");
    fw_status status = fw_roots_sign(t->director, fw_tuf_role_text(role), body, bytes, size_bytes, error);
    json_decref(body);
    return status;
}

static json_t *meta_of(const char *file, int64_t version) {
    return json_pack("{s:{s:I}}", file, "version", (json_int_t)version);
}

static fw_status sign_file(const fw_trust *t, const char *unit, const seat *s, const char *file, char **bytes,
                           size_t *size_bytes, fw_error *error) {
    int64_t version = t->epoch + s->version;
    char snapshot[48], targets[48];
    snprintf(snapshot, sizeof snapshot, "%lld.snapshot.json", (long long)version);
    snprintf(targets, sizeof targets, "%lld.targets.json", (long long)version);
    if (strcmp(file, "timestamp.json") == 0)
        return sign_role(t, unit, FW_TUF_TIMESTAMP, version, "meta", meta_of("snapshot.json", version), bytes,
                         size_bytes, error);
    if (strcmp(file, snapshot) == 0)
        return sign_role(t, unit, FW_TUF_SNAPSHOT, version, "meta", meta_of("targets.json", version), bytes,
                         size_bytes, error);
    if (strcmp(file, targets) == 0)
        return sign_role(t, unit, FW_TUF_TARGETS, version, "targets", targets_of(t, unit, s), bytes, size_bytes, error);
    return fw_fail(error, FW_NOT_FOUND, "the director has no %.60s for this unit now", file);
}

/* "N.root.json" of the director's folder. */
static fw_status read_root(const fw_trust *t, const char *file, char **bytes, size_t *size_bytes, fw_error *error) {
    char path[FW_TRUST_PATH_MAX + 64];
    size_t digits = strspn(file, "0123456789");
    if (digits == 0 || digits > 18 || strcmp(file + digits, ".root.json") != 0)
        return fw_fail(error, FW_NOT_FOUND, "the director has no %.60s", file);
    snprintf(path, sizeof path, "%s/director/%.40s", t->folder, file);
    if (!fw_file_exists(path)) return fw_fail(error, FW_NOT_FOUND, "the director has no %.60s", file);
    return fw_file_read(path, FW_ROOT_MAX_BYTES, bytes, size_bytes, error);
}

fw_status fw_trust_director_file(fw_trust *t, const char *unit, const char *file, char **bytes, size_t *size_bytes,
                                 fw_error *error) {
    seat s;
    size_t size = strlen(file);
    bool root = size > 10 && strcmp(file + size - 10, ".root.json") == 0;
    if (!fw_unit_name_valid(unit)) return fw_fail(error, FW_INVALID, "not a unit's name");
    FW_TRY(seat_of(t, unit, &s, error));
    pthread_mutex_lock(&t->lock);
    fw_status status = fw_trust_ready(t, error);
    if (status == FW_OK && root) {
        status = read_root(t, file, bytes, size_bytes, error);
    } else if (status == FW_OK) {
        status = fw_trust_follow_director(t, error);
        if (status == FW_OK) status = fw_trust_look(t, error);
        if (status == FW_OK) status = fw_trust_epoch(t, error);
        if (status == FW_OK) status = sign_file(t, unit, &s, file, bytes, size_bytes, error);
    }
    pthread_mutex_unlock(&t->lock);
    return status;
}

fw_status fw_trust_image_path(fw_trust *t, const char *file, char *path, size_t path_size, fw_error *error) {
    size_t size = strlen(file);
    pthread_mutex_lock(&t->lock);
    fw_status status = fw_trust_ready(t, error);
    pthread_mutex_unlock(&t->lock);
    if (status != FW_OK) return status;
    bool good = size > 5 && size < 64 && strcmp(file + size - 5, ".json") == 0 &&
                strspn(file, "abcdefghijklmnopqrstuvwxyz0123456789_-.") == size && file[0] != '.' &&
                !strstr(file, "..");
    if (good) good = snprintf(path, path_size, "%s/image/%s", t->folder, file) < (int)path_size && fw_file_exists(path);
    return good ? FW_OK : fw_fail(error, FW_NOT_FOUND, "the image repository has no %.60s", file);
}
