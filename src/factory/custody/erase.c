/* erase.c - one unit forgotten, step by step (erase.h). */
#include "factory/custody/erase.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "factory/catalogue/duplicates.h"
#include "factory/custody/erase_sign.h"
#include "factory/catalogue/recordings.h"

enum { MANIFEST_MAX_BYTES = 1 << 20 };

/* ---- what is there ---- */

typedef struct gathered {
    const fw_eraser *eraser;
    const char *unit;
    json_t *objects, *datasets;
    int64_t bytes;
} gathered;

static bool take_object(void *self, sqlite3_stmt *row) {
    gathered *g = self;
    json_array_append_new(g->objects, json_string(fw_db_column(row, 0)));
    g->bytes += sqlite3_column_int64(row, 1);
    return true;
}

/* Does the manifest name a recording of the unit? */
static bool names_unit(const gathered *g, const char *dataset) {
    char path[FW_PATH_MAX], *text;
    size_t size, at;
    fw_error ignored;
    json_t *entry;
    bool found = false;
    fw_objects_path(g->eraser->objects, dataset, path);
    if (fw_file_read(path, MANIFEST_MAX_BYTES, &text, &size, &ignored) != FW_OK) return false;
    json_t *json = fw_json_load(text, size, 0, NULL);
    free(text);
    json_array_foreach(json_object_get(json, "recordings"), at, entry) {
        const char *unit = json_string_value(json_object_get(entry, "unit"));
        found |= unit && strcmp(unit, g->unit) == 0;
    }
    json_decref(json);
    return found;
}

static bool take_dataset(void *self, sqlite3_stmt *row) {
    gathered *g = self;
    const char *id = fw_db_column(row, 0);
    if (names_unit(g, id)) json_array_append_new(g->datasets, json_string(id));
    return true;
}

/* ["hash", ...] of a query with one value. */
static fw_status list(sqlite3 *db, const char *sql, const char *value, json_t **out,
                      fw_error *error) {
    char *text = NULL;
    FW_TRY(fw_db_text(db, error, &text, sql, "t", value));
    *out = fw_json_load_text(text);
    free(text);
    return *out ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory for a list");
}

/* Models trained on the data sets, and those that descend from them. */
static fw_status list_models(sqlite3 *db, const json_t *datasets, json_t **models,
                             json_t **descendants, fw_error *error) {
    char *text = json_dumps(datasets, JSON_COMPACT);
    if (!text) return fw_fail(error, FW_NO_MEMORY, "no memory for a list");
    fw_status status = list(db,
                            "SELECT json_group_array(hash) FROM (SELECT hash FROM models WHERE "
                            "dataset IN (SELECT value FROM json_each(?)) ORDER BY sequence)",
                            text, models, error);
    if (status == FW_OK)
        status = list(db,
                      "WITH RECURSIVE direct AS (SELECT hash FROM models WHERE dataset IN (SELECT "
                      "value FROM json_each(?1))), line(hash) AS (SELECT hash FROM direct UNION "
                      "SELECT m.hash FROM models m JOIN line ON m.parent=line.hash) SELECT "
                      "json_group_array(hash) FROM (SELECT hash FROM models WHERE hash IN (SELECT "
                      "hash FROM line) AND hash NOT IN (SELECT hash FROM direct) ORDER BY sequence)",
                      text, descendants, error);
    free(text);
    return status;
}

static fw_status known(sqlite3 *db, const char *unit, fw_error *error) {
    int64_t found = 0;
    FW_TRY(fw_db_int(db, error, &found,
                     "SELECT (SELECT count(*) FROM recordings WHERE unit=?1)+(SELECT count(*) FROM "
                     "units WHERE unit=?1)+(SELECT count(*) FROM record_streams WHERE unit=?1)+"
                     "(SELECT count(*) FROM unit_notes WHERE unit=?1)",
                     "t", unit));
    return found ? FW_OK : fw_fail(error, FW_NOT_FOUND, "nothing is known of unit %.40s", unit);
}

/* The statement's text in one line; malloc'd. */
static fw_status state(const fw_eraser *e, sqlite3 *db, const char *unit, const char *reason,
                       char **text, fw_error *error) {
    gathered g = {.eraser = e, .unit = unit, .objects = json_array(), .datasets = json_array()};
    json_t *models = NULL, *descendants = NULL;
    fw_status status = known(db, unit, error);
    if (status == FW_OK)
        status = fw_db_each(db, error, take_object, &g,
                            "SELECT o.sha256,CASE o.state WHEN 'kept' THEN o.size_bytes ELSE 0 END "
                            "FROM recordings r JOIN objects o USING(sha256) WHERE r.unit=? ORDER BY "
                            "o.sequence",
                            "t", unit);
    if (status == FW_OK)
        status = fw_db_each(db, error, take_dataset, &g, "SELECT id FROM datasets ORDER BY generation",
                            "");
    if (status == FW_OK) status = list_models(db, g.datasets, &models, &descendants, error);
    json_t *json = status != FW_OK
                       ? NULL
                       : json_pack("{s:i,s:s,s:s,s:s,s:I,s:I,s:O,s:O,s:O,s:O}", "v", 1, "kind",
                                   "erasure", "unit", unit, "reason", reason, "time_ns",
                                   (json_int_t)fw_env_wall_ns(e->env), "bytes", (json_int_t)g.bytes,
                                   "objects", g.objects, "datasets", g.datasets, "models", models,
                                   "descendants", descendants);
    *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    if (status == FW_OK && fw_json_short())
        status = fw_fail(error, FW_NO_MEMORY, "no memory for an erasure");
    if (status == FW_OK && !*text)
        status = fw_fail(error, FW_INVALID, "the reason is no text (UTF-8)");
    json_decref(json);
    json_decref(g.objects);
    json_decref(g.datasets);
    json_decref(models);
    json_decref(descendants);
    return status;
}

/* ---- the steps behind the tombstone ---- */

/* (2) Rows go; the objects' rows stay and say so. Inside a transaction. */
static fw_status erase_rows(const fw_eraser *e, sqlite3 *db, const char *id, const json_t *statement,
                            const char *text, fw_error *error) {
    const char *unit = json_string_value(json_object_get(statement, "unit"));
    json_t *entry;
    size_t at;
    int64_t followers = 0;
    char *objects = json_dumps(json_object_get(statement, "objects"), JSON_COMPACT), line[600];
    if (!objects || !unit) {
        free(objects);
        return fw_fail(error, FW_CORRUPT, "tombstone %.12s has no unit or no objects", id);
    }
    fw_status status = fw_db_int(db, error, &followers,
                                 "SELECT count(*) FROM recordings WHERE duplicate_of IN (SELECT "
                                 "value FROM json_each(?))",
                                 "t", objects);
    if (status == FW_OK)
        status = fw_db_run(db, error,
                           "UPDATE objects SET state='erased' WHERE sha256 IN (SELECT value FROM "
                           "json_each(?))",
                           "t", objects);
    free(objects);
    FW_TRY(status);
    json_array_foreach(json_object_get(statement, "objects"), at, entry)
        FW_TRY(fw_recordings_delete(db, json_string_value(entry), error));
    FW_TRY(fw_db_run(db, error, "DELETE FROM units WHERE unit=?", "t", unit));
    FW_TRY(fw_db_run(db, error, "DELETE FROM unit_notes WHERE unit=?", "t", unit));
    FW_TRY(fw_db_run(db, error, "DELETE FROM unit_keys WHERE unit=?", "t", unit));
    if (followers) FW_TRY(fw_duplicates_relabel(db, error));
    FW_TRY(fw_db_run(db, error,
                     "INSERT INTO erasures(id,unit,time_ns,state,statement) VALUES(?,?,?,'open',?) "
                     "ON CONFLICT(id) DO NOTHING",
                     "ttit", id, unit,
                     (int64_t)json_integer_value(json_object_get(statement, "time_ns")), text));
    snprintf(line, sizeof line, "unit %s: %zu recordings erased (%.400s)", unit,
             json_array_size(json_object_get(statement, "objects")),
             json_string_value(json_object_get(statement, "reason")));
    return fw_log_add(db, fw_env_wall_ns(e->env), "erase", line, error);
}

/* (3) Files of the objects, and slices, which may hold copies. */
static fw_status erase_files(const fw_eraser *e, const json_t *statement, fw_error *error) {
    char path[FW_PATH_MAX], folder[FW_PATH_MAX], slices[FW_PATH_MAX];
    json_t *entry;
    size_t at;
    bool touched[256] = {false};
    json_array_foreach(json_object_get(statement, "objects"), at, entry) {
        const char *sha256 = json_string_value(entry);
        if (!fw_hash_valid(sha256)) continue;
        fw_objects_remove(e->objects, sha256);
        fw_objects_part_path(e->objects, sha256, path);
        unlink(path);
        touched[strtoul((char[3]){sha256[0], sha256[1], 0}, NULL, 16)] = true;
    }
    for (unsigned i = 0; i < 256; i++) {
        if (!touched[i]) continue;
        int used = snprintf(folder, sizeof folder, "%s/%02x", e->objects->folder, i);
        FW_ASSERT(used > 0 && used < (int)sizeof folder);
        FW_TRY(fw_folder_sync(e->env, folder, error));
    }
    fw_path_join(slices, sizeof slices, e->data_folder, "slices");
    return fw_folder_remove(slices, error);
}

/* One statement in a transaction of its own. */
static fw_status run_alone(const fw_eraser *e, const char *sql, const char *value,
                           fw_error *error) {
    sqlite3 *db = fw_catalogue_begin(e->catalogue, error);
    if (!db) return FW_IO;
    fw_status status = fw_db_run(db, error, sql, "t", value);
    return fw_catalogue_end(e->catalogue, status, error);
}

/* Waits for the question that is being answered, which reads the log. */
static fw_status empty_log(const fw_eraser *e, fw_error *error) {
    int64_t busy = 1;
    sqlite3 *db;
    FW_TRY(fw_catalogue_ask(e->catalogue, &db, error));
    db = fw_catalogue_read(e->catalogue);
    fw_status status = fw_db_int(db, error, &busy, "PRAGMA wal_checkpoint(TRUNCATE)", "");
    fw_catalogue_read_end(e->catalogue);
    fw_catalogue_ask_end(e->catalogue);
    FW_TRY(status);
    if (!busy) return FW_OK;
    return fw_fail(error, FW_BUSY,
                   "another program reads the catalogue; the erasure is ended at the next start");
}

/* (4) Nothing is left in the log either; free pages were zeroed (PRAGMA secure_delete). */
static fw_status finish(const fw_eraser *e, const char *id, const char *unit, fw_error *error) {
    FW_TRY(run_alone(e, "DELETE FROM unit_notes WHERE unit=?", unit, error)); /* noted meanwhile */
    FW_TRY(empty_log(e, error));
    return run_alone(e, "UPDATE erasures SET state='done' WHERE id=?", id, error);
}

static fw_status after_rows(const fw_eraser *e, const char *id, const json_t *statement,
                            fw_error *error) {
    const char *unit = json_string_value(json_object_get(statement, "unit"));
    FW_TRY(erase_files(e, statement, error));
    if (e->erase_records) FW_TRY(e->erase_records(e->records, unit, error));
    return finish(e, id, unit, error);
}

/* ---- erase ---- */

static char *with_id(const json_t *statement, const char *id) {
    json_t *json = json_deep_copy(statement);
    json_object_set_new(json, "id", json_string(id));
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

fw_status fw_erase_unit(const fw_eraser *e, const char *unit, const char *reason, char **json,
                        fw_error *error) {
    char *text = NULL;
    fw_hash id;
    if (!reason[0] || strlen(reason) > FW_ERASE_REASON_MAX || strpbrk(reason, "\r\n"))
        return fw_fail(error, FW_INVALID, "an erasure needs a reason: one line of up to %d bytes",
                       FW_ERASE_REASON_MAX);
    sqlite3 *db = fw_catalogue_begin(e->catalogue, error);
    if (!db) return FW_IO;
    fw_status status = state(e, db, unit, reason, &text, error);
    if (status == FW_OK) status = fw_tombstone_write(e->env, e->data_folder, text, &id, error);
    json_t *statement = status == FW_OK ? fw_json_load_text(text) : NULL;
    if (status == FW_OK) status = erase_rows(e, db, id.hex, statement, text, error);
    status = fw_catalogue_end(e->catalogue, status, error);
    if (status == FW_OK) status = after_rows(e, id.hex, statement, error);
    if (status == FW_OK && !(*json = with_id(statement, id.hex)))
        status = fw_fail(error, FW_NO_MEMORY, "no memory for an answer");
    if (status == FW_OK) fw_log_info("unit %s was erased: tombstone %s", unit, id.hex);
    json_decref(statement);
    free(text);
    return status;
}

/* ---- after a crash ---- */

static fw_status resume_one(void *self, const char *id, const char *text, bool valid,
                            fw_error *error) {
    const fw_eraser *e = self;
    int64_t done = 0;
    sqlite3 *db = fw_catalogue_read(e->catalogue);
    fw_status status = fw_db_int(db, error, &done,
                                 "SELECT count(*) FROM erasures WHERE id=? AND state='done'", "t",
                                 id);
    fw_catalogue_read_end(e->catalogue);
    if (status != FW_OK || done) return status;
    if (!valid) {
        fw_log_warn("tombstone %.12s is not signed by this factory: passed over", id);
        return FW_OK;
    }
    fw_log_info("goes on with erasure %.12s", id);
    json_t *statement = fw_json_load_text(text);
    db = fw_catalogue_begin(e->catalogue, error);
    status = db ? erase_rows(e, db, id, statement, text, error) : FW_IO;
    if (db) status = fw_catalogue_end(e->catalogue, status, error);
    if (status == FW_OK) status = after_rows(e, id, statement, error);
    json_decref(statement);
    return status;
}

fw_status fw_erase_resume(const fw_eraser *eraser, fw_error *error) {
    return fw_tombstone_each(eraser->data_folder, resume_one, (void *)(uintptr_t)eraser, error);
}

/* ---- for a rebuild ---- */

static fw_status read_one(void *self, const char *id, const char *text, bool valid,
                          fw_error *error) {
    sqlite3 *db = self;
    if (!valid) return FW_OK;
    FW_TRY(fw_db_run(db, error,
                     "INSERT INTO main.erasures(id,unit,time_ns,state,statement) SELECT "
                     "?1,?2->>'unit',?2->>'time_ns','open',?2 WHERE true ON CONFLICT(id) DO NOTHING",
                     "tt", id, text));
    return fw_db_run(db, error,
                     "INSERT OR IGNORE INTO temp.erased_objects SELECT value FROM "
                     "json_each(?,'$.objects')",
                     "t", text);
}

fw_status fw_erase_read_tombstones(sqlite3 *db, const char *data_folder, fw_error *error) {
    return fw_tombstone_each(data_folder, read_one, db, error);
}

/* ---- verifying ---- */

typedef struct verifying {
    fw_objects objects;
    void (*say)(void *self, const char *id, const char *statement, bool valid);
    void *self;
    fw_erase_verdict verdict;
} verifying;

static fw_status verify_one(void *self, const char *id, const char *text, bool valid,
                            fw_error *error) {
    verifying *v = self;
    char path[FW_PATH_MAX];
    size_t at;
    json_t *json = fw_json_load_text(text), *entry;
    (void)error;
    json_array_foreach(json_object_get(json, "objects"), at, entry) {
        if (!fw_hash_valid(json_string_value(entry))) continue;
        fw_objects_path(&v->objects, json_string_value(entry), path);
        v->verdict.recordings++;
        v->verdict.still_here += fw_file_exists(path);
    }
    json_decref(json);
    v->verdict.tombstones++;
    v->verdict.invalid += !valid;
    if (v->say) v->say(v->self, id, text, valid);
    return FW_OK;
}

fw_status fw_erase_verify(const char *data_folder,
                          void (*say)(void *self, const char *id, const char *statement, bool valid),
                          void *self, fw_erase_verdict *verdict, fw_error *error) {
    verifying v = {.say = say, .self = self};
    fw_path_join(v.objects.folder, sizeof v.objects.folder, data_folder, "objects");
    FW_TRY(fw_tombstone_each(data_folder, verify_one, &v, error));
    *verdict = v.verdict;
    return FW_OK;
}
