/* retention.c - the policy and its steps (retention.h). */
#include "factory/custody/retention.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"

#define DAY_NS 86400000000000LL

static fw_status get_number(sqlite3 *db, const char *name, int64_t *out, fw_error *error) {
    char text[32];
    FW_TRY(fw_setting_get(db, name, text, sizeof text, error));
    *out = strtoll(text, NULL, 10);
    return FW_OK;
}

fw_status fw_retention_get(sqlite3 *db, fw_retention *out, fw_error *error) {
    int64_t drop = 0;
    FW_TRY(get_number(db, "retention.keep_days", &out->keep_days, error));
    FW_TRY(get_number(db, "retention.keep_events_days", &out->keep_events_days, error));
    FW_TRY(get_number(db, "retention.cap_bytes", &out->cap_bytes, error));
    FW_TRY(get_number(db, "retention.drop_duplicates", &drop, error));
    out->drop_duplicates = drop != 0;
    return FW_OK;
}

fw_status fw_retention_json(fw_catalogue *catalogue, char **json, fw_error *error) {
    fw_retention r = {0};
    sqlite3 *db = fw_catalogue_read(catalogue);
    fw_status status = fw_retention_get(db, &r, error);
    fw_catalogue_read_end(catalogue);
    FW_TRY(status);
    if (asprintf(json,
                 "{\"keep_days\":%" PRId64 ",\"keep_events_days\":%" PRId64 ",\"cap_bytes\":%" PRId64
                 ",\"drop_duplicates\":%s}",
                 r.keep_days, r.keep_events_days, r.cap_bytes,
                 r.drop_duplicates ? "true" : "false") < 0)
        return fw_fail(error, FW_NO_MEMORY, "no memory for an answer");
    return FW_OK;
}

static fw_status set_number(sqlite3 *db, const char *name, const json_t *value, int64_t max,
                            fw_error *error) {
    char setting[64], text[32];
    if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > max)
        return fw_fail(error, FW_INVALID, "%s takes 0 to %" PRId64, name, max);
    snprintf(setting, sizeof setting, "retention.%s", name);
    snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return fw_setting_set(db, setting, text, error);
}

static fw_status set_field(sqlite3 *db, const char *name, const json_t *value, fw_error *error) {
    if (strcmp(name, "keep_days") == 0 || strcmp(name, "keep_events_days") == 0)
        return set_number(db, name, value, FW_RETENTION_DAYS_MAX, error);
    if (strcmp(name, "cap_bytes") == 0) return set_number(db, name, value, INT64_MAX, error);
    if (strcmp(name, "drop_duplicates") != 0)
        return fw_fail(error, FW_INVALID, "no field '%.40s' in a retention policy", name);
    if (!json_is_boolean(value))
        return fw_fail(error, FW_INVALID, "drop_duplicates takes true or false");
    return fw_setting_set(db, "retention.drop_duplicates", json_is_true(value) ? "1" : "0", error);
}

fw_status fw_retention_set(fw_catalogue *catalogue, const fw_env *env, const char *body,
                           size_t body_bytes, fw_error *error) {
    const char *name;
    json_t *value, *json = fw_json_load(body, body_bytes, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(json) || json_object_size(json) == 0) {
        json_decref(json);
        return fw_fail(error, FW_INVALID, "want {\"keep_days\":..,\"keep_events_days\":..,"
                                          "\"cap_bytes\":..,\"drop_duplicates\":..}");
    }
    sqlite3 *db = fw_catalogue_begin(catalogue, error);
    fw_status status = db ? FW_OK : FW_IO;
    json_object_foreach(json, name, value) {
        if (status == FW_OK) status = set_field(db, name, value, error);
    }
    char *text = json_dumps(json, JSON_COMPACT), line[300];
    json_decref(json);
    snprintf(line, sizeof line, "retention set: %.200s", text ? text : "");
    free(text);
    if (status == FW_OK) status = fw_log_add(db, fw_env_wall_ns(env), "retention", line, error);
    return db ? fw_catalogue_end(catalogue, status, error) : status;
}

/* ---- what is due ---- */

typedef struct due {
    char (*hashes)[65]; /* (count) of at most FW_RETENTION_STEP */
    int64_t count, bytes;
} due;

static bool take_due(void *self, sqlite3_stmt *row) {
    due *d = self;
    snprintf(d->hashes[d->count++], sizeof *d->hashes, "%s", fw_db_column(row, 0));
    d->bytes += sqlite3_column_int64(row, 1);
    return d->count < FW_RETENTION_STEP;
}

/* Recordings that may go at all, as in ingest.c. */
#define MAY_GO                                                                                     \
    "o.state='kept' AND (r.role='train' OR r.form<>'drive' OR r.line<>'driving' OR o.sequence<"     \
    "coalesce((SELECT held_out_since FROM datasets ORDER BY generation DESC LIMIT 1),"             \
    "9223372036854775807)) AND (r.generation IS NULL OR NOT EXISTS(SELECT 1 FROM generations "     \
    "WHERE stage IN('dataset','train','gate')))"

/* Marks what is due; the bytes follow after the commit. Inside a transaction. */
static fw_status mark(sqlite3 *db, const fw_retention *r, int64_t now_ns, due *d, fw_error *error) {
    int64_t plain_ns = r->keep_days ? now_ns - r->keep_days * DAY_NS : INT64_MIN;
    int64_t events_ns = r->keep_events_days ? now_ns - r->keep_events_days * DAY_NS : INT64_MIN;
    FW_TRY(fw_db_each(db, error, take_due, d,
                      "SELECT o.sha256,o.size_bytes FROM recordings r JOIN objects o USING(sha256) "
                      "WHERE " MAY_GO " AND ((r.events=0 AND o.received_ns<?1) OR (r.events>0 AND "
                      "o.received_ns<?2) OR (?3 AND EXISTS(SELECT 1 FROM objects k WHERE "
                      "k.sha256=r.duplicate_of AND k.state='kept'))) ORDER BY o.sequence",
                      "iii", plain_ns, events_ns, (int64_t)r->drop_duplicates));
    for (int64_t i = 0; i < d->count; i++)
        FW_TRY(fw_db_run(db, error, "UPDATE objects SET state='expired' WHERE sha256=?", "t",
                         d->hashes[i]));
    if (!r->cap_bytes || d->count == FW_RETENTION_STEP) return FW_OK;
    int64_t first = d->count;
    FW_TRY(fw_db_each(db, error, take_due, d,
                      "SELECT sha256,size_bytes FROM (SELECT o.sha256,o.size_bytes,sum(o.size_bytes) "
                      "OVER (ORDER BY r.events=0,o.sequence DESC ROWS UNBOUNDED PRECEDING) kept,"
                      "(" MAY_GO ") may FROM recordings r JOIN objects o USING(sha256) WHERE "
                      "o.state='kept') WHERE kept>? AND may",
                      "i", r->cap_bytes));
    for (int64_t i = first; i < d->count; i++)
        FW_TRY(fw_db_run(db, error, "UPDATE objects SET state='expired' WHERE sha256=?", "t",
                         d->hashes[i]));
    return FW_OK;
}

static bool is_set(const fw_retention *r) {
    return r->keep_days || r->keep_events_days || r->cap_bytes || r->drop_duplicates;
}

static fw_status decide(sqlite3 *db, const fw_env *env, due *d, fw_error *error) {
    fw_retention r = {0};
    char line[200];
    int64_t now_ns = fw_env_wall_ns(env);
    FW_TRY(fw_retention_get(db, &r, error));
    FW_TRY(mark(db, &r, now_ns, d, error));
    if (d->count == 0) return FW_OK;
    snprintf(line, sizeof line, "retention: %" PRId64 " recordings expired, %" PRId64 " bytes",
             d->count, d->bytes);
    fw_log_info("%s", line);
    return fw_log_add(db, now_ns, "retention", line, error);
}

fw_status fw_retention_apply(fw_catalogue *catalogue, const fw_objects *objects, const fw_env *env,
                             int64_t *count, fw_error *error) {
    fw_retention r = {0};
    sqlite3 *db = fw_catalogue_read(catalogue);
    fw_status status = fw_retention_get(db, &r, error);
    fw_catalogue_read_end(catalogue);
    *count = 0;
    if (status != FW_OK || !is_set(&r)) return status;
    due d = {.hashes = calloc(FW_RETENTION_STEP, sizeof *d.hashes)};
    if (!d.hashes) return fw_fail(error, FW_NO_MEMORY, "no memory for retention");
    db = fw_catalogue_begin(catalogue, error);
    status = db ? decide(db, env, &d, error) : FW_IO;
    if (db) status = fw_catalogue_end(catalogue, status, error);
    for (int64_t i = 0; i < d.count && status == FW_OK; i++) fw_objects_remove(objects, d.hashes[i]);
    if (status == FW_OK) *count = d.count;
    free(d.hashes);
    return status;
}

/* ---- after a crash ---- */

static bool remove_left(void *self, sqlite3_stmt *row) {
    fw_objects_remove(self, fw_db_column(row, 0));
    return true;
}

fw_status fw_retention_finish(fw_catalogue *catalogue, const fw_objects *objects,
                              fw_error *error) {
    sqlite3 *db = fw_catalogue_read(catalogue);
    fw_status status = fw_db_each(db, error, remove_left, (void *)(uintptr_t)objects,
                                  "SELECT sha256 FROM objects WHERE state='expired'", "");
    fw_catalogue_read_end(catalogue);
    return status;
}
