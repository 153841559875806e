/* reports.c - units' keys, and what units sign of what they run (trust.h). */
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "factory/ingest/ingest.h"
#include "factory/trust/trust_inner.h"

enum { KEEP_EVERY_S = 30, REFUSED_EVERY_S = 60, KEY_BODY_MAX = 4096 };

/* ---- seats: what memory knows of a unit ---- */

static uint32_t slot_for(const fw_trust_seat *seats, uint32_t count, const char *unit) {
    uint32_t hash = 2166136261u;
    for (const char *c = unit; *c; c++) hash = (hash ^ (uint8_t)*c) * 16777619u;
    uint32_t at = hash & (count - 1);
    while (*seats[at].unit && strcmp(seats[at].unit, unit) != 0) at = (at + 1) & (count - 1);
    return at;
}

static bool grow(fw_trust *t) {
    uint32_t count = t->seat_count ? 2 * t->seat_count : 64;
    if (count > FW_TRUST_SEATS_MAX) return false;
    fw_trust_seat *seats = calloc(count, sizeof *seats);
    if (!seats) return false;
    for (uint32_t i = 0; i < t->seat_count; i++)
        if (*t->seats[i].unit) seats[slot_for(seats, count, t->seats[i].unit)] = t->seats[i];
    free(t->seats);
    t->seats = seats;
    t->seat_count = count;
    return true;
}

/* The unit's seat, NULL when there is no room. The lock is held; valid until the next call. */
static fw_trust_seat *seat_of(fw_trust *t, const char *unit) {
    if (2 * (t->seats_used + 1) > t->seat_count && !grow(t)) return NULL;
    fw_trust_seat *seat = &t->seats[slot_for(t->seats, t->seat_count, unit)];
    if (!*seat->unit) {
        snprintf(seat->unit, sizeof seat->unit, "%s", unit);
        t->seats_used++;
    }
    return seat;
}

/* ---- nonces ---- */

/* Of the secret, the unit, the time slot and how many of its reports were accepted: nothing is stored, and the last
 * report's nonce is never good again. */
static void nonce_of(const fw_trust *t, const fw_trust_seat *seat, int64_t slot, char out[33]) {
    char text[96];
    uint8_t digest[32];
    unsigned size = 0;
    int used = snprintf(text, sizeof text, "%s/%lld/%llu", seat->unit, (long long)slot,
                        (unsigned long long)seat->accepted);
    FW_ASSERT(HMAC(EVP_sha256(), t->secret, sizeof t->secret, (const uint8_t *)text, (size_t)used, digest, &size));
    for (int i = 0; i < 16; i++) snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static int64_t slot_now(const fw_trust *t) {
    return fw_env_mono_ns(t->config.env) / (FW_TRUST_NONCE_S * INT64_C(1000000000));
}

void fw_trust_nonce(fw_trust *t, const char *unit, char out[33]) {
    out[0] = '\0';
    if (!fw_unit_name_valid(unit)) return;
    pthread_mutex_lock(&t->lock);
    const fw_trust_seat *seat = seat_of(t, unit);
    if (seat) nonce_of(t, seat, slot_now(t), out);
    pthread_mutex_unlock(&t->lock);
}

/* Of this slot or the one before? */
static bool fresh(const fw_trust *t, const fw_trust_seat *seat, const char *nonce) {
    int64_t slot = slot_now(t);
    for (int64_t i = 0; i < 2; i++) {
        char good[33];
        nonce_of(t, seat, slot - i, good);
        if (strlen(nonce) == 32 && CRYPTO_memcmp(good, nonce, 32) == 0) return true;
    }
    return false;
}

/* ---- keys ---- */

static fw_status read_key(const json_t *json, char **text, fw_error *error) {
    fw_public_key *key = NULL;
    FW_TRY(fw_public_key_read(json, &key, error));
    json_t *form = fw_public_key_json(key);
    *text = form ? json_dumps(form, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(form);
    fw_public_key_free(key);
    return *text ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory for a key");
}

static fw_status store_key(fw_trust *t, sqlite3 *db, const char *unit, const char *key, bool replace,
                           fw_error *error) {
    char *old = NULL, line[120];
    fw_status status = fw_db_text(db, error, &old, "SELECT public FROM unit_keys WHERE unit=?", "t", unit);
    if (status != FW_OK && status != FW_NOT_FOUND) return status;
    bool same = old && strcmp(old, key) == 0, other = old && *old && !same;
    free(old);
    if (same) return FW_OK;
    if (other && !replace)
        return fw_fail(error, FW_EXISTS, "unit %s has another key; an operator replaces it with \"replace\":true", unit);
    FW_TRY(fw_db_run(db, error,
                     "INSERT INTO unit_keys(unit,public,created_ns) VALUES(?,?,?) ON CONFLICT(unit) DO UPDATE SET "
                     "public=excluded.public,created_ns=excluded.created_ns",
                     "tti", unit, key, fw_env_wall_ns(t->config.env)));
    snprintf(line, sizeof line, "unit %s: %s key", unit, other ? "another" : "first");
    return fw_log_add(db, fw_env_wall_ns(t->config.env), "unit_key", line, error);
}

fw_status fw_trust_unit_key(fw_trust *t, const char *unit, const void *body, size_t body_bytes, bool is_operator,
                            fw_error *error) {
    char *key = NULL;
    if (!fw_unit_name_valid(unit)) return fw_fail(error, FW_INVALID, "not a unit's name");
    if (!body || body_bytes > KEY_BODY_MAX) return fw_fail(error, FW_INVALID, "want {\"public\":KEY}");
    json_t *json = fw_json_load(body, body_bytes, JSON_REJECT_DUPLICATES, NULL);
    bool replace = is_operator && json_is_true(json_object_get(json, "replace"));
    fw_status status = read_key(json_object_get(json, "public"), &key, error);
    json_decref(json);
    if (status == FW_CORRUPT || status == FW_UNSUPPORTED) return FW_INVALID;
    if (status != FW_OK) return status;
    sqlite3 *db = fw_catalogue_begin(t->config.catalogue, error);
    status = db ? fw_catalogue_end(t->config.catalogue, store_key(t, db, unit, key, replace, error), error) : FW_IO;
    free(key);
    return status;
}

/* ---- version reports ---- */

static fw_status load_key(fw_trust *t, const char *unit, fw_public_key **out, fw_error *error) {
    char *text = NULL;
    sqlite3 *db = fw_catalogue_read(t->config.catalogue);
    fw_status status = fw_db_text(db, error, &text, "SELECT public FROM unit_keys WHERE unit=?", "t", unit);
    fw_catalogue_read_end(t->config.catalogue);
    if (status == FW_NOT_FOUND || (status == FW_OK && !*text)) {
        free(text);
        return fw_fail(error, FW_NOT_FOUND, "unit %.32s has no key here", unit);
    }
    if (status != FW_OK) return status;
    json_t *json = fw_json_load_text(text);
    free(text);
    status = fw_public_key_read(json, out, error);
    json_decref(json);
    return status;
}

/* Whether the text is this unit's own, and now. On FW_OK its nonce is spent. */
static fw_status accept(fw_trust *t, const char *unit, const fw_version_report *r, bool *keep, fw_error *error) {
    fw_status status = FW_OK;
    int64_t now_ns = fw_env_mono_ns(t->config.env);
    char said[FW_HASH_HEX + 600];
    if (strcmp(r->unit, unit) != 0)
        return fw_fail(error, FW_MISMATCH, "the version report is of unit %.31s, not of %s", r->unit, unit);
    snprintf(said, sizeof said, "%s %s %s %llu %s", r->sha256.hex, r->target, r->hardware_id,
             (unsigned long long)r->release_counter, r->attack);
    fw_hash hash = fw_hash_bytes(said, strlen(said));
    pthread_mutex_lock(&t->lock);
    fw_trust_seat *seat = seat_of(t, unit);
    if (!seat) {
        status = fw_fail(error, FW_TOO_BIG, "more than %d units report", FW_TRUST_SEATS_MAX / 2);
    } else if (!fresh(t, seat, r->nonce)) {
        status = fw_fail(error, FW_TIMEOUT, "the version report's nonce is not the last answer's");
    } else {
        seat->accepted++;
        seat->refused[0] = '\0';
        *keep = strcmp(seat->kept.hex, hash.hex) != 0 || now_ns - seat->kept_ns > KEEP_EVERY_S * INT64_C(1000000000);
        if (*keep) {
            seat->kept = hash;
            seat->kept_ns = now_ns;
        }
    }
    pthread_mutex_unlock(&t->lock);
    return status;
}

static fw_status keep_report(fw_trust *t, const char *unit, const void *text, size_t text_bytes, fw_error *error) {
    char *copy = strndup(text, text_bytes);
    if (!copy) return fw_fail(error, FW_NO_MEMORY, "no memory for a version report");
    sqlite3 *db = fw_catalogue_begin(t->config.catalogue, error);
    fw_status status = FW_IO;
    if (db) {
        status = fw_db_run(db, error, "UPDATE unit_keys SET report=?,report_ns=? WHERE unit=?", "tit", copy,
                           fw_env_wall_ns(t->config.env), unit);
        status = fw_catalogue_end(t->config.catalogue, status, error);
    }
    free(copy);
    return status;
}

/* In the log of decisions, but not more often than once a minute and unit. */
static void refuse(fw_trust *t, const char *unit, const char *why) {
    char line[300];
    fw_error error;
    int64_t now_ns = fw_env_mono_ns(t->config.env);
    pthread_mutex_lock(&t->lock);
    fw_trust_seat *seat = seat_of(t, unit);
    bool tell = seat && (!*seat->refused || now_ns - seat->refused_ns > REFUSED_EVERY_S * INT64_C(1000000000));
    if (seat) snprintf(seat->refused, sizeof seat->refused, "%s", why);
    if (tell) seat->refused_ns = now_ns;
    pthread_mutex_unlock(&t->lock);
    if (!tell) return;
    snprintf(line, sizeof line, "unit %s: version report refused: %.200s", unit, why);
    fw_log_warn("%s", line);
    sqlite3 *db = fw_catalogue_begin(t->config.catalogue, &error);
    if (!db) return;
    fw_status status = fw_log_add(db, fw_env_wall_ns(t->config.env), "version_report", line, &error);
    if (fw_catalogue_end(t->config.catalogue, status, &error) != FW_OK) fw_log_warn("%s", error.text);
}

fw_status fw_trust_report(fw_trust *t, const char *unit, const void *text, size_t text_bytes,
                          fw_version_report *out, fw_error *error) {
    fw_public_key *key = NULL;
    fw_version_report report;
    fw_error why = {""};
    bool keep = false;
    if (!fw_unit_name_valid(unit)) return fw_fail(error, FW_INVALID, "not a unit's name");
    FW_TRY(load_key(t, unit, &key, error));
    fw_status status = fw_version_report_check(text, text_bytes, key, &report, &why);
    fw_public_key_free(key);
    if (status == FW_OK) status = accept(t, unit, &report, &keep, &why);
    if (status == FW_OK && keep) status = keep_report(t, unit, text, text_bytes, &why);
    if (status == FW_MISMATCH || status == FW_CORRUPT || status == FW_TOO_BIG) refuse(t, unit, why.text);
    if (status != FW_OK) return fw_fail(error, status, "%s", why.text);
    *out = report;
    return FW_OK;
}

/* ---- looking ---- */

static bool take_row(void *self, sqlite3_stmt *row) {
    json_t *json = self;
    json_t *key = fw_json_load_text(fw_db_column(row, 0)), *report = fw_json_load_text(fw_db_column(row, 3));
    const char *assigned = fw_db_column(row, 1);
    json_object_set_new(json, "public", key ? key : json_null());
    json_object_set_new(json, "assigned", *assigned ? json_string(assigned) : json_null());
    json_object_set_new(json, "assigned_version", json_integer(sqlite3_column_int64(row, 2)));
    json_object_set_new(json, "report", report ? report : json_null());
    json_object_set_new(json, "report_ns",
                        sqlite3_column_type(row, 4) == SQLITE_NULL ? json_null()
                                                                  : json_integer(sqlite3_column_int64(row, 4)));
    json_object_set_new(json, "created_ns", json_integer(sqlite3_column_int64(row, 5)));
    return false;
}

fw_status fw_trust_unit_json(fw_trust *t, const char *unit, char **out, fw_error *error) {
    json_t *json = json_object();
    sqlite3 *db = fw_catalogue_read(t->config.catalogue);
    fw_status status = fw_db_each(db, error, take_row, json,
                                  "SELECT public,assigned,assigned_version,report,report_ns,created_ns FROM "
                                  "unit_keys WHERE unit=?",
                                  "t", unit);
    fw_catalogue_read_end(t->config.catalogue);
    if (status == FW_OK && json_object_size(json) == 0)
        status = fw_fail(error, FW_NOT_FOUND, "unit %.32s has no key and no assignment", unit);
    if (status == FW_OK) {
        pthread_mutex_lock(&t->lock);
        const fw_trust_seat *seat = seat_of(t, unit);
        json_object_set_new(json, "refused", seat && *seat->refused ? json_string(seat->refused) : json_null());
        pthread_mutex_unlock(&t->lock);
        json_object_set_new(json, "unit", json_string(unit));
        *out = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
        if (!*out) status = fw_fail(error, FW_NO_MEMORY, "no memory for a unit's key");
    }
    json_decref(json);
    return status;
}
