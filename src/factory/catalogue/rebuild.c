/* rebuild.c - a new catalogue from the objects (rebuild.h). */
#include "factory/catalogue/rebuild.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "factory/catalogue/duplicates.h"
#include "factory/factory.h"
#include "factory/catalogue/recordings.h"
#include "factory/catalogue/rebuild_build.h"
#include "factory/catalogue/scan.h"

/* Tables made from the objects; all others are the old catalogue's to give. */
static const char *const derived[] = {"objects",  "recordings",       "events",     "channels",
                                      "fields",   "places",           "signatures", "signature_bands",
                                      "recording_models"};
enum { DERIVED_COUNT = sizeof derived / sizeof *derived };

/* ---- what is the old catalogue's ---- */

typedef struct table_names {
    char names[64][64];
    int count;
} table_names;

static bool take_table(void *self, sqlite3_stmt *row) {
    table_names *t = self;
    const char *name = fw_db_column(row, 0);
    for (int i = 0; i < DERIVED_COUNT; i++)
        if (strcmp(name, derived[i]) == 0) return true;
    if (t->count < 64) snprintf(t->names[t->count++], sizeof t->names[0], "%.63s", name);
    return true;
}

/* Copies every table that is not made from objects; both catalogues have the same format. */
static fw_status copy_old(sqlite3 *db, fw_error *error) {
    table_names t = {.count = 0};
    char sql[220];
    FW_TRY(fw_db_each(db, error, take_table, &t,
                      "SELECT name FROM main.sqlite_master WHERE type='table' AND name NOT LIKE "
                      "'sqlite_%'",
                      ""));
    for (int i = 0; i < t.count; i++) {
        snprintf(sql, sizeof sql, "DELETE FROM main.\"%s\"; INSERT INTO main.\"%s\" SELECT * FROM old.\"%s\"",
                 t.names[i], t.names[i], t.names[i]);
        FW_TRY(fw_db_script(db, error, sql));
    }
    return FW_OK;
}

/* Sequences go on where they were. */
static fw_status copy_sequences(sqlite3 *db, fw_error *error) {
    FW_TRY(fw_db_run(db, error,
                     "INSERT INTO main.sqlite_sequence(name,seq) SELECT name,seq FROM "
                     "old.sqlite_sequence o WHERE NOT EXISTS(SELECT 1 FROM main.sqlite_sequence m "
                     "WHERE m.name=o.name)",
                     ""));
    return fw_db_run(db, error,
                     "UPDATE main.sqlite_sequence AS m SET seq=max(seq,coalesce((SELECT seq FROM "
                     "old.sqlite_sequence o WHERE o.name=m.name),0))",
                     "");
}

/* ---- one object ---- */

static fw_status copy_expired(build *b, const fw_ledger_line *line, fw_error *error) {
    static const char *const tables[] = {"recordings", "channels", "fields", "places",
                                         "recording_models"};
    char sql[200];
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        snprintf(sql, sizeof sql, "INSERT INTO main.%s SELECT * FROM old.%s WHERE %s=?", tables[i],
                 tables[i], i == 0 ? "sha256" : "recording");
        FW_TRY(fw_db_run(b->db, error, sql, "t", line->sha256));
    }
    FW_TRY(fw_db_run(b->db, error,
                     "INSERT INTO main.events(recording,unit,kind,time_ns,value,received_ns) SELECT "
                     "recording,unit,kind,time_ns,value,received_ns FROM old.events WHERE "
                     "recording=? ORDER BY id",
                     "t", line->sha256));
    char *signature = NULL;
    fw_status status = fw_db_text(b->db, error, &signature,
                                  "SELECT minhash FROM old.signatures WHERE recording=?", "t",
                                  line->sha256);
    if (status == FW_NOT_FOUND) return FW_OK;
    if (status == FW_OK) status = fw_duplicates_enter(b->db, line->sha256, signature, error);
    free(signature);
    return status;
}

static fw_recording_clock clock_of(const fw_ledger_line *line) {
    fw_recording_clock clock = {.mono_ns = line->unit_mono_ns,
                                .wall_ns = line->unit_wall_ns,
                                .recorded_ns = line->recorded_ns,
                                .moved_ns = line->moved_ns,
                                .given = line->clock_given};
    snprintf(clock.boot, sizeof clock.boot, "%s", line->boot);
    return clock;
}

/* A recording's rows: from its bytes, else from the old catalogue, else what the ledger says. */
static fw_status add_recording(build *b, const fw_ledger_line *line, bool there, fw_error *error) {
    char path[FW_PATH_MAX];
    fw_scan scan = {0};
    fw_recording_clock clock = clock_of(line);
    bool scanned = false;
    fw_objects_path(&b->objects, line->sha256, path);
    if (there) {
        fw_status status = fw_scan_recording(path, b->line, &scan, error);
        if (status == FW_NO_MEMORY) return status;
        scanned = status == FW_OK;
        if (!scanned) {
            fw_log_warn("%.12s: %s", line->sha256, error->text);
            b->report.broken++;
        }
    }
    b->report.recordings++;
    if (!scanned && b->report.had_old) return copy_expired(b, line, error);
    fw_status status = fw_recordings_insert(b->db, line->sha256, line->unit, &scan, &clock,
                                            line->received_ns, error);
    fw_scan_clear(&scan);
    return status;
}

static fw_status add_object(build *b, const fw_ledger_line *line, fw_error *error) {
    char path[FW_PATH_MAX];
    struct stat info;
    int64_t erased = 0;
    fw_objects_path(&b->objects, line->sha256, path);
    bool there = stat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_size == line->size_bytes;
    FW_TRY(fw_db_int(b->db, error, &erased,
                     "SELECT count(*) FROM temp.erased_objects WHERE sha256=?", "t", line->sha256));
    const char *state = erased ? "erased" : there ? "kept" : "expired";
    FW_TRY(fw_db_run(b->db, error,
                     "INSERT INTO main.objects(sequence,sha256,kind,size_bytes,received_ns,state) "
                     "VALUES(?,?,?,?,?,?)",
                     "ittiit", line->sequence, line->sha256, line->kind, line->size_bytes,
                     line->received_ns, state));
    b->report.objects++;
    b->report.erased += erased != 0;
    b->report.expired += !erased && !there;
    if (erased || strcmp(line->kind, "recording") != 0) return FW_OK;
    return add_recording(b, line, there, error);
}

static bool visit_line(void *self, const fw_ledger_line *line) {
    build *b = self;
    b->status = add_object(b, line, b->error);
    return b->status == FW_OK;
}

/* ---- the whole ---- */

static fw_status fill(build *b, const char *data_folder, fw_error *error) {
    b->error = error;
    FW_TRY(fw_db_script(b->db, error,
                        "CREATE TEMP TABLE erased_objects(sha256 TEXT PRIMARY KEY) WITHOUT ROWID"));
    if (b->report.had_old) FW_TRY(copy_old(b->db, error));
    FW_TRY(fw_erase_read_tombstones(b->db, data_folder, error));
    FW_TRY(fw_ledger_each(data_folder, visit_line, b, error));
    FW_TRY(b->status);
    if (b->report.had_old) {
        FW_TRY(fw_db_run(b->db, error,
                         "UPDATE main.recordings AS r SET generation=(SELECT generation FROM "
                         "old.recordings o WHERE o.sha256=r.sha256)",
                         ""));
        FW_TRY(copy_sequences(b->db, error));
    }
    return fw_setting_set(b->db, FW_LEDGER_SETTING, "1", error);
}

/* The lock is held all through; foreign keys are off, for models come before their objects. */
static fw_status build_into(build *b, const char *data_folder, const char *new_path,
                            const char *old_path, fw_error *error) {
    fw_catalogue *catalogue;
    FW_TRY(fw_catalogue_open(new_path, &catalogue, error));
    b->db = fw_catalogue_read(catalogue);
    fw_status status = fw_db_script(b->db, error, "PRAGMA foreign_keys=OFF; PRAGMA synchronous=OFF");
    if (status == FW_OK && b->report.had_old)
        status = fw_db_run(b->db, error, "ATTACH ? AS old", "t", old_path);
    if (status == FW_OK) status = fw_db_script(b->db, error, "BEGIN");
    if (status == FW_OK) status = fill(b, data_folder, error);
    if (status == FW_OK)
        status = fw_db_script(b->db, error, "COMMIT; PRAGMA synchronous=FULL");
    if (status == FW_OK && b->report.had_old) status = fw_db_script(b->db, error, "DETACH old");
    if (status == FW_OK) /* no log beside the file that will be renamed */
        status = fw_db_script(b->db, error, "PRAGMA journal_mode=DELETE");
    fw_catalogue_read_end(catalogue);
    fw_catalogue_close(catalogue);
    return status;
}

static void remove_with_logs(const char *path) {
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    char file[FW_PATH_MAX + 16];
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(file, sizeof file, "%s%s", path, ends[i]);
        unlink(file);
    }
}

/* Opens the old one, brings its format up to date and its log into the file; settles the ledger.
 * *good: its rows can be taken over. A newer one, or a foreign file, is refused, not replaced. */
static fw_status prepare_old(const fw_env *env, const char *data_folder, const char *path, bool *good,
                             fw_error *refusal) {
    fw_error error = {""};
    fw_catalogue *old;
    fw_ledger ledger;
    *good = false;
    if (!fw_file_exists(path)) return FW_OK;
    fw_status status = fw_catalogue_open(path, &old, &error);
    if (status == FW_UNSUPPORTED || status == FW_NO_MEMORY) {
        *refusal = error;
        return status;
    }
    if (status != FW_OK) {
        fw_log_warn("the old catalogue cannot be read: %s", error.text);
        return FW_OK;
    }
    if (fw_ledger_open(env, data_folder, old, &ledger, &error) == FW_OK)
        fw_ledger_close(&ledger);
    else
        fw_log_warn("%s", error.text);
    sqlite3 *db = fw_catalogue_read(old);
    char *said = NULL;
    status = fw_db_text(db, &error, &said, "PRAGMA quick_check(1)", "");
    *good = status == FW_OK && strcmp(said, "ok") == 0;
    if (*good) *good = fw_db_script(db, &error, "PRAGMA journal_mode=DELETE") == FW_OK;
    if (!*good) fw_log_warn("the old catalogue is damaged: %s", said ? said : "");
    free(said);
    fw_catalogue_read_end(old);
    fw_catalogue_close(old);
    return FW_OK;
}

fw_status fw_rebuild_into(const fw_env *env, const char *data_folder, const fw_factory_line *line,
                          const char *new_path, fw_rebuild_report *report, fw_error *error) {
    char old_path[FW_PATH_MAX];
    build *b = calloc(1, sizeof *b);
    if (!b) return fw_fail(error, FW_NO_MEMORY, "no memory to rebuild");
    b->line = line;
    fw_path_join(old_path, sizeof old_path, data_folder, "catalogue.sqlite");
    remove_with_logs(new_path);
    fw_status status = prepare_old(env, data_folder, old_path, &b->report.had_old, error);
    if (status == FW_OK) status = fw_objects_open(env, data_folder, &b->objects, error);
    if (status == FW_OK) status = build_into(b, data_folder, new_path, old_path, error);
    if (status != FW_OK) remove_with_logs(new_path);
    *report = b->report;
    free(b);
    return status;
}

/* fsync of a file that SQLite wrote, and its new name. */
static fw_status put_in_place(const fw_env *env, const char *data_folder, const char *new_path,
                              const char *path, fw_error *error) {
    char file[FW_PATH_MAX + 16];
    int fd = open(new_path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return fw_fail_errno(error, "cannot open %s", new_path);
    int synced = env->fdatasync(env->self, fd);
    close(fd);
    if (synced != 0) return fw_fail_errno(error, "cannot make %s durable", new_path);
    snprintf(file, sizeof file, "%s-wal", path); /* only a damaged one still has a log */
    unlink(file);
    snprintf(file, sizeof file, "%s-shm", path);
    unlink(file);
    if (env->rename(env->self, new_path, path) != 0)
        return fw_fail_errno(error, "cannot replace %s", path);
    return fw_folder_sync(env, data_folder, error);
}

fw_status fw_rebuild(const fw_env *env, const char *data_folder, const fw_factory_line *line,
                     fw_rebuild_report *report, fw_error *error) {
    char path[FW_PATH_MAX], new_path[FW_PATH_MAX];
    int lock;
    fw_path_join(path, sizeof path, data_folder, "catalogue.sqlite");
    fw_path_join(new_path, sizeof new_path, data_folder, "catalogue.new.sqlite");
    FW_TRY(fw_factory_lock(data_folder, &lock, error));
    fw_status status = fw_rebuild_into(env, data_folder, line, new_path, report, error);
    if (status == FW_OK) status = put_in_place(env, data_folder, new_path, path, error);
    close(lock);
    return status;
}
