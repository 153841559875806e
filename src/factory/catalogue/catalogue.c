#include "factory/catalogue/catalogue.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/json.h"

enum { APPLICATION_ID = 0x4657484c }; /* "FWHL" */

struct fw_catalogue {
    sqlite3 *db;
    sqlite3_stmt *rollback; /* made beforehand: it must also run when memory is short */
    pthread_mutex_t lock;   /* guards db */
    atomic_uint_fast64_t changes;
    sqlite3 *asked;           /* opened with the first question */
    int64_t ask_until_ns;     /* monotonic */
    int64_t ask_limit_ns;
    pthread_mutex_t ask_lock; /* guards these; taken before lock, or alone */
    atomic_uint asking;       /* who has the ask_lock or waits for it */
};

static const char step_1[] =
    "CREATE TABLE objects(sequence INTEGER PRIMARY KEY AUTOINCREMENT, sha256 TEXT NOT NULL UNIQUE,"
    " kind TEXT NOT NULL, size_bytes INTEGER NOT NULL, received_ns INTEGER NOT NULL,"
    " state TEXT NOT NULL DEFAULT 'kept');"
    "CREATE TABLE recordings(sha256 TEXT PRIMARY KEY REFERENCES objects(sha256), unit TEXT NOT "
    "NULL,"
    " role TEXT NOT NULL, messages INTEGER NOT NULL, start_ns INTEGER NOT NULL,"
    " end_ns INTEGER NOT NULL, events INTEGER NOT NULL, generation INTEGER) WITHOUT ROWID;"
    "CREATE INDEX recordings_generation ON recordings(generation);"
    "CREATE TABLE events(id INTEGER PRIMARY KEY, recording TEXT NOT NULL REFERENCES "
    "recordings(sha256), unit TEXT NOT NULL, kind TEXT NOT NULL, time_ns INTEGER NOT NULL,"
    " value REAL, received_ns INTEGER NOT NULL);"
    "CREATE INDEX events_recording ON events(recording);"
    "CREATE TABLE units(unit TEXT PRIMARY KEY, active TEXT NOT NULL, staged TEXT NOT NULL,"
    " tick INTEGER NOT NULL, recordings INTEGER NOT NULL, spool_bytes INTEGER NOT NULL,"
    " lost_bytes INTEGER NOT NULL, reported_ns INTEGER NOT NULL, report TEXT NOT NULL)"
    " WITHOUT ROWID;"
    "CREATE TABLE models(sequence INTEGER PRIMARY KEY AUTOINCREMENT, hash TEXT NOT NULL UNIQUE"
    " REFERENCES objects(sha256), parent TEXT, dataset TEXT, seed INTEGER, line TEXT NOT NULL,"
    " kind TEXT NOT NULL, metrics TEXT NOT NULL, gate TEXT, decision TEXT, reason TEXT,"
    " created_ns INTEGER NOT NULL);"
    "CREATE TABLE datasets(id TEXT PRIMARY KEY REFERENCES objects(sha256), generation INTEGER NOT "
    "NULL, train INTEGER NOT NULL, held_out INTEGER NOT NULL, created_ns INTEGER NOT NULL)"
    " WITHOUT ROWID;"
    "CREATE TABLE generations(n INTEGER PRIMARY KEY AUTOINCREMENT, seed INTEGER NOT NULL,"
    " agent_steps_wanted INTEGER NOT NULL, stage TEXT NOT NULL, parent TEXT NOT NULL,"
    " crashes INTEGER NOT NULL DEFAULT 0, dataset TEXT, candidate TEXT, model TEXT, decision TEXT,"
    " reason TEXT, recordings INTEGER, bytes_uploaded INTEGER, train_core_s REAL,"
    " agent_steps INTEGER, train TEXT, gate TEXT, first_event_ns INTEGER,"
    " created_ns INTEGER NOT NULL, dataset_ns INTEGER, train_ns INTEGER, gate_ns INTEGER,"
    " done_ns INTEGER);"
    "CREATE TABLE leases(generation INTEGER PRIMARY KEY, job TEXT NOT NULL, pid INTEGER NOT NULL,"
    " start_ticks INTEGER NOT NULL, started_ns INTEGER NOT NULL, heartbeat_ns INTEGER NOT NULL);"
    "CREATE TABLE settings(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE log(sequence INTEGER PRIMARY KEY AUTOINCREMENT, time_ns INTEGER NOT NULL,"
    " kind TEXT NOT NULL, text TEXT NOT NULL);";

/* How a rollout ended; from where on the newest data set's held-out recordings are. */
static const char step_2[] = "ALTER TABLE generations ADD COLUMN rollout_units INTEGER;"
                             "ALTER TABLE generations ADD COLUMN rollout_active INTEGER;"
                             "ALTER TABLE generations ADD COLUMN rollout_refused INTEGER;"
                             "ALTER TABLE datasets ADD COLUMN held_out_since INTEGER;";

/* What recordings can be asked for: whose, where, when by which clock. form: 'drive' is what the
 * driving line trains on. recorded_ns: start of the recording on the server's clock; moved_ns: how far
 * that is from what the unit's clock said (unit_wall_ns). */
static const char step_3[] =
    "ALTER TABLE recordings ADD COLUMN line TEXT NOT NULL DEFAULT 'driving';"
    "ALTER TABLE recordings ADD COLUMN form TEXT NOT NULL DEFAULT 'drive';"
    "ALTER TABLE recordings ADD COLUMN model TEXT;"
    "ALTER TABLE recordings ADD COLUMN campaign TEXT;"
    "ALTER TABLE recordings ADD COLUMN boot TEXT;"
    "ALTER TABLE recordings ADD COLUMN unit_mono_ns INTEGER;"
    "ALTER TABLE recordings ADD COLUMN unit_wall_ns INTEGER;"
    "ALTER TABLE recordings ADD COLUMN recorded_ns INTEGER;"
    "ALTER TABLE recordings ADD COLUMN moved_ns INTEGER;"
    "ALTER TABLE recordings ADD COLUMN duplicate_of TEXT;"
    "ALTER TABLE recordings ADD COLUMN x_min REAL;"
    "ALTER TABLE recordings ADD COLUMN x_max REAL;"
    "ALTER TABLE recordings ADD COLUMN y_min REAL;"
    "ALTER TABLE recordings ADD COLUMN y_max REAL;"
    "CREATE TABLE channels(recording TEXT NOT NULL REFERENCES recordings(sha256), topic TEXT NOT"
    " NULL, encoding TEXT NOT NULL, schema TEXT NOT NULL, messages INTEGER NOT NULL, bytes INTEGER"
    " NOT NULL, PRIMARY KEY(recording,topic)) WITHOUT ROWID;"
    "CREATE TABLE fields(recording TEXT NOT NULL REFERENCES recordings(sha256), name TEXT NOT NULL,"
    " count INTEGER NOT NULL, min REAL NOT NULL, max REAL NOT NULL, mean REAL NOT NULL,"
    " PRIMARY KEY(name,recording)) WITHOUT ROWID;"
    "UPDATE recordings SET recorded_ns=(SELECT received_ns FROM objects o WHERE o.sha256="
    "recordings.sha256);"
    "CREATE INDEX recordings_unit ON recordings(unit,recorded_ns);"
    "CREATE INDEX recordings_time ON recordings(recorded_ns);"
    "CREATE INDEX events_kind ON events(kind,recording);";

/* Small records (records.h): how far each stream had got when the records store was last written
 * down, and each unit's newest record of the streams that GET /v1/units shows. */
static const char step_4[] =
    "CREATE TABLE record_streams(unit TEXT NOT NULL, boot TEXT NOT NULL, stream TEXT NOT NULL,"
    " next INTEGER NOT NULL, PRIMARY KEY(unit,boot,stream)) WITHOUT ROWID;"
    "CREATE TABLE unit_notes(unit TEXT NOT NULL, stream TEXT NOT NULL, time_ns INTEGER NOT NULL,"
    " record TEXT NOT NULL, PRIMARY KEY(unit,stream)) WITHOUT ROWID;";

/* What recordings can be asked for, in more rows: boxes of where they were, every model that drove,
 * what they are like (duplicates.h; bands only of those that are no duplicate); and what was erased. */
static const char step_5[] =
    "CREATE TABLE places(recording TEXT NOT NULL REFERENCES recordings(sha256), n INTEGER NOT NULL,"
    " x_min REAL NOT NULL, x_max REAL NOT NULL, y_min REAL NOT NULL, y_max REAL NOT NULL,"
    " PRIMARY KEY(recording,n)) WITHOUT ROWID;"
    "CREATE TABLE recording_models(recording TEXT NOT NULL REFERENCES recordings(sha256), model TEXT"
    " NOT NULL, PRIMARY KEY(recording,model)) WITHOUT ROWID;"
    "CREATE TABLE signatures(recording TEXT PRIMARY KEY REFERENCES recordings(sha256), minhash TEXT"
    " NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE signature_bands(band INTEGER NOT NULL, key INTEGER NOT NULL, recording TEXT NOT"
    " NULL REFERENCES recordings(sha256), PRIMARY KEY(band,key,recording)) WITHOUT ROWID;"
    "CREATE INDEX signature_bands_recording ON signature_bands(recording);"
    "CREATE INDEX recordings_duplicate ON recordings(duplicate_of);"
    "CREATE TABLE erasures(id TEXT PRIMARY KEY, unit TEXT NOT NULL, time_ns INTEGER NOT NULL,"
    " state TEXT NOT NULL, statement TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX erasures_unit ON erasures(unit);";

/* Who may speak to the factory (identity.h): certificates of units, tokens of people by their hash. */
static const char step_6[] =
    "CREATE TABLE identities(fingerprint TEXT PRIMARY KEY, unit TEXT NOT NULL, serial TEXT NOT NULL,"
    " created_ns INTEGER NOT NULL, not_after_ns INTEGER NOT NULL, revoked_ns INTEGER) WITHOUT ROWID;"
    "CREATE INDEX identities_unit ON identities(unit);"
    "CREATE TABLE tokens(sha256 TEXT PRIMARY KEY, name TEXT NOT NULL, scope TEXT NOT NULL,"
    " created_ns INTEGER NOT NULL, not_after_ns INTEGER NOT NULL, revoked_ns INTEGER) WITHOUT ROWID;";

/* What units are asked to capture (campaigns.h). The counts are of recordings.campaign. */
static const char step_7[] =
    "CREATE TABLE campaigns(sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    " json TEXT NOT NULL, priority INTEGER NOT NULL, expires_ns INTEGER NOT NULL, budget_bytes"
    " INTEGER NOT NULL, budget_count INTEGER NOT NULL, created_ns INTEGER NOT NULL,"
    " ended_ns INTEGER, why TEXT);"
    "CREATE INDEX campaigns_open ON campaigns(sequence) WHERE ended_ns IS NULL;"
    "CREATE INDEX recordings_campaign ON recordings(campaign) WHERE campaign IS NOT NULL;";

/* How a generation's training went (curve.h). */
static const char step_8[] =
    "CREATE TABLE curves(generation INTEGER NOT NULL, part INTEGER NOT NULL, agent_steps INTEGER NOT"
    " NULL, loss REAL, value_loss REAL, entropy REAL, gradient_norm REAL, clean_share REAL,"
    " PRIMARY KEY(generation,part)) WITHOUT ROWID;";

/* Trust: where models come from and what people call them (registry/), what the gate decided on which suite
 * (gate/), who runs what since when (rollout/), the keys that units sign with, and how failures were fixed
 * (receipts/). */
static const char step_9[] =
    "ALTER TABLE models ADD COLUMN lineage TEXT;"
    "ALTER TABLE models ADD COLUMN statement TEXT;"
    "ALTER TABLE models ADD COLUMN release_counter INTEGER;"
    "ALTER TABLE models ADD COLUMN self_test TEXT;"
    "CREATE TABLE model_tags(hash TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,"
    " PRIMARY KEY(hash,key)) WITHOUT ROWID;"
    "CREATE TABLE model_aliases(line TEXT NOT NULL, alias TEXT NOT NULL, hash TEXT NOT NULL,"
    " PRIMARY KEY(line,alias)) WITHOUT ROWID;"
    "CREATE TABLE line_tags(line TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,"
    " PRIMARY KEY(line,key)) WITHOUT ROWID;"
    "CREATE TABLE gate_decisions(n INTEGER PRIMARY KEY AUTOINCREMENT, generation INTEGER, champion TEXT NOT"
    " NULL, candidate TEXT NOT NULL, suite TEXT NOT NULL, epoch INTEGER NOT NULL, place INTEGER NOT NULL,"
    " alpha REAL NOT NULL, beta REAL NOT NULL, log_e REAL NOT NULL, promoted INTEGER NOT NULL,"
    " reason TEXT NOT NULL, record TEXT NOT NULL, time_ns INTEGER NOT NULL);"
    "CREATE TABLE rollouts(n INTEGER PRIMARY KEY AUTOINCREMENT, generation INTEGER, model TEXT NOT NULL,"
    " previous TEXT NOT NULL, plan TEXT NOT NULL, state TEXT NOT NULL, ring INTEGER NOT NULL, reason TEXT,"
    " created_ns INTEGER NOT NULL, ring_ns INTEGER NOT NULL, done_ns INTEGER);"
    "CREATE TABLE rollout_units(rollout INTEGER NOT NULL REFERENCES rollouts(n), unit TEXT NOT NULL,"
    " ring INTEGER NOT NULL, state TEXT NOT NULL, told_ns INTEGER, active_ns INTEGER, report TEXT, health TEXT,"
    " PRIMARY KEY(rollout,unit)) WITHOUT ROWID;"
    "CREATE TABLE rollout_steps(sequence INTEGER PRIMARY KEY AUTOINCREMENT, rollout INTEGER NOT NULL"
    " REFERENCES rollouts(n), ring INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL, evidence TEXT,"
    " time_ns INTEGER NOT NULL);"
    "CREATE TABLE unit_keys(unit TEXT PRIMARY KEY, public TEXT NOT NULL, created_ns INTEGER NOT NULL,"
    " assigned TEXT, assigned_version INTEGER NOT NULL DEFAULT 0, report TEXT, report_ns INTEGER) WITHOUT ROWID;"
    "CREATE TABLE receipts(recording TEXT NOT NULL REFERENCES recordings(sha256) ON DELETE CASCADE, time_ns INTEGER"
    " NOT NULL, kind TEXT NOT NULL, event INTEGER NOT NULL, facts TEXT NOT NULL, complete INTEGER NOT NULL, outcome"
    " TEXT NOT NULL, generation INTEGER, event_ns INTEGER NOT NULL, fixed_ns INTEGER, envelope TEXT NOT NULL,"
    " made_ns INTEGER NOT NULL, PRIMARY KEY(recording,time_ns,kind)) WITHOUT ROWID;";

static const char *const fw_catalogue_steps[] = {step_1, step_2, step_3, step_4, step_5,
                                                 step_6, step_7, step_8, step_9};
enum { STEP_COUNT = sizeof fw_catalogue_steps / sizeof *fw_catalogue_steps };

int fw_catalogue_version(void) {
    return STEP_COUNT;
}

/* Refuses what is not ours or newer; *version is where it stands (0: new). */
static fw_status read_version(sqlite3 *db, const char *path, int64_t newest, int64_t *version,
                              fw_error *error) {
    int64_t application = 0, tables = 0;
    FW_TRY(fw_db_int(db, error, version, "PRAGMA user_version", ""));
    FW_TRY(fw_db_int(db, error, &application, "PRAGMA application_id", ""));
    FW_TRY(fw_db_int(db, error, &tables, "SELECT count(*) FROM sqlite_master", ""));
    if (tables == 0 && *version == 0) return FW_OK;
    if (application != APPLICATION_ID || *version < 1)
        return fw_fail(error, FW_UNSUPPORTED,
                       "%s is no catalogue of Flywheel; choose another data folder (--data)", path);
    if (*version > newest)
        return fw_fail(error, FW_UNSUPPORTED,
                       "%s has format %lld, this Flywheel knows up to %lld; install a newer "
                       "Flywheel or choose another data folder (--data)",
                       path, (long long)*version, (long long)newest);
    return FW_OK;
}

static fw_status migrate(sqlite3 *db, const char *path, const char *const *steps, int step_count,
                         fw_error *error) {
    int64_t version = 0;
    char sql[96];
    FW_TRY(read_version(db, path, step_count, &version, error));
    if (version == step_count) return FW_OK;
    FW_TRY(fw_db_script(db, error, "BEGIN IMMEDIATE"));
    fw_status status = FW_OK;
    for (int64_t i = version; i < step_count && status == FW_OK; i++)
        status = fw_db_script(db, error, steps[i]);
    snprintf(sql, sizeof sql, "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT",
             APPLICATION_ID, step_count);
    if (status == FW_OK) status = fw_db_script(db, error, sql);
    if (status != FW_OK) sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

fw_status fw_catalogue_open_with(const char *path, const char *const *steps, int step_count,
                                 fw_catalogue **out, fw_error *error) {
    fw_catalogue *catalogue = calloc(1, sizeof *catalogue);
    if (!catalogue) return fw_fail(error, FW_NO_MEMORY, "no memory for the catalogue");
    pthread_mutex_init(&catalogue->lock, NULL);
    pthread_mutex_init(&catalogue->ask_lock, NULL);
    catalogue->ask_limit_ns = FW_CATALOGUE_ASK_S * INT64_C(1000000000);
    fw_status status = FW_OK;
    if (sqlite3_open_v2(path, &catalogue->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK)
        status = fw_db_fail(catalogue->db, error, path);
    if (status == FW_OK)
        status = fw_db_script(catalogue->db, error,
                              "PRAGMA busy_timeout=5000; PRAGMA temp_store=MEMORY");
    int64_t ignored;
    if (status == FW_OK) /* before WAL: a refused file stays as it was */
        status = read_version(catalogue->db, path, step_count, &ignored, error);
    if (status == FW_OK)
        status = fw_db_script(catalogue->db, error,
                              "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; "
                              "PRAGMA foreign_keys=ON; PRAGMA secure_delete=ON; "
                              "PRAGMA journal_size_limit=16777216");
    if (status == FW_OK) status = migrate(catalogue->db, path, steps, step_count, error);
    if (status == FW_OK &&
        sqlite3_prepare_v2(catalogue->db, "ROLLBACK", -1, &catalogue->rollback, NULL) != SQLITE_OK)
        status = fw_db_fail(catalogue->db, error, path);
    if (status != FW_OK) {
        fw_catalogue_close(catalogue);
        return status;
    }
    *out = catalogue;
    return FW_OK;
}

fw_status fw_catalogue_open(const char *path, fw_catalogue **out, fw_error *error) {
    return fw_catalogue_open_with(path, fw_catalogue_steps, STEP_COUNT, out, error);
}

void fw_catalogue_close(fw_catalogue *catalogue) {
    if (!catalogue) return;
    sqlite3_finalize(catalogue->rollback);
    sqlite3_close(catalogue->asked);
    sqlite3_close(catalogue->db);
    pthread_mutex_destroy(&catalogue->lock);
    pthread_mutex_destroy(&catalogue->ask_lock);
    free(catalogue);
}

sqlite3 *fw_catalogue_read(fw_catalogue *catalogue) {
    pthread_mutex_lock(&catalogue->lock);
    return catalogue->db;
}

void fw_catalogue_read_end(fw_catalogue *catalogue) {
    pthread_mutex_unlock(&catalogue->lock);
}

/* ---- questions ---- */

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int ask_is_over(void *self) {
    return now_ns() > ((const fw_catalogue *)self)->ask_until_ns;
}

/* With the ask_lock held. */
static fw_status open_asked(fw_catalogue *catalogue, fw_error *error) {
    enum { OPERATIONS = 10000 }; /* between two looks at the clock */
    if (sqlite3_open_v2(sqlite3_db_filename(catalogue->db, "main"), &catalogue->asked,
                        SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
        fw_status status = fw_db_fail(catalogue->asked, error, "opening");
        sqlite3_close(catalogue->asked);
        catalogue->asked = NULL;
        return status;
    }
    sqlite3_busy_timeout(catalogue->asked, 5000);
    sqlite3_progress_handler(catalogue->asked, OPERATIONS, ask_is_over, catalogue);
    return FW_OK;
}

fw_status fw_catalogue_ask(fw_catalogue *catalogue, sqlite3 **db, fw_error *error) {
    if (atomic_fetch_add(&catalogue->asking, 1) >= FW_CATALOGUE_ASKS_MAX) {
        atomic_fetch_sub(&catalogue->asking, 1);
        return fw_fail(error, FW_TIMEOUT, "%d questions wait for an answer; ask again",
                       FW_CATALOGUE_ASKS_MAX);
    }
    pthread_mutex_lock(&catalogue->ask_lock);
    fw_status status = catalogue->asked ? FW_OK : open_asked(catalogue, error);
    catalogue->ask_until_ns = now_ns() + catalogue->ask_limit_ns;
    if (status == FW_OK) status = fw_db_script(catalogue->asked, error, "BEGIN");
    *db = catalogue->asked;
    if (status == FW_OK) return FW_OK;
    pthread_mutex_unlock(&catalogue->ask_lock);
    atomic_fetch_sub(&catalogue->asking, 1);
    return status;
}

void fw_catalogue_ask_end(fw_catalogue *catalogue) {
    catalogue->ask_until_ns = INT64_MAX;
    sqlite3_exec(catalogue->asked, "ROLLBACK", NULL, NULL, NULL);
    if (!sqlite3_get_autocommit(catalogue->asked)) { /* no memory even for that: opened anew */
        sqlite3_close(catalogue->asked);
        catalogue->asked = NULL;
    }
    pthread_mutex_unlock(&catalogue->ask_lock);
    atomic_fetch_sub(&catalogue->asking, 1);
}

void fw_catalogue_ask_limit(fw_catalogue *catalogue, int64_t limit_ns) {
    pthread_mutex_lock(&catalogue->ask_lock);
    catalogue->ask_limit_ns = limit_ns;
    pthread_mutex_unlock(&catalogue->ask_lock);
}

/* ---- transactions ---- */

sqlite3 *fw_catalogue_begin(fw_catalogue *catalogue, fw_error *error) {
    pthread_mutex_lock(&catalogue->lock);
    if (fw_db_script(catalogue->db, error, "BEGIN IMMEDIATE") == FW_OK) return catalogue->db;
    pthread_mutex_unlock(&catalogue->lock);
    return NULL;
}

fw_status fw_catalogue_end(fw_catalogue *catalogue, fw_status status, fw_error *error) {
    if (status == FW_OK && fw_json_short()) /* what is about to be kept may lack a part */
        status = fw_fail(error, FW_NO_MEMORY, "no memory for a change of the catalogue");
    if (status == FW_OK) status = fw_db_script(catalogue->db, error, "COMMIT");
    if (status != FW_OK && !sqlite3_get_autocommit(catalogue->db)) {
        (void)sqlite3_step(catalogue->rollback);
        (void)sqlite3_reset(catalogue->rollback);
    }
    if (status == FW_OK) atomic_fetch_add(&catalogue->changes, 1);
    pthread_mutex_unlock(&catalogue->lock);
    return status;
}

uint64_t fw_catalogue_changes(const fw_catalogue *catalogue) {
    return atomic_load(&catalogue->changes);
}

void fw_catalogue_touch(fw_catalogue *catalogue) {
    atomic_fetch_add(&catalogue->changes, 1);
}

fw_status fw_catalogue_json(fw_catalogue *catalogue, char **json, fw_error *error,
                            const char *sql) {
    sqlite3 *db = fw_catalogue_read(catalogue);
    fw_status status = fw_db_text(db, error, json, sql, "");
    fw_catalogue_read_end(catalogue);
    return status;
}

fw_status fw_log_add(sqlite3 *db, int64_t time_ns, const char *kind, const char *text,
                     fw_error *error) {
    return fw_db_run(db, error, "INSERT INTO log(time_ns,kind,text) VALUES(?,?,?)", "itt", time_ns,
                     kind, text);
}

fw_status fw_setting_get(sqlite3 *db, const char *name, char *out, size_t out_size,
                         fw_error *error) {
    char *text = NULL;
    fw_status status =
        fw_db_text(db, error, &text, "SELECT value FROM settings WHERE name=?", "t", name);
    if (status != FW_OK && status != FW_NOT_FOUND) return status;
    snprintf(out, out_size, "%s", text ? text : "");
    free(text);
    return FW_OK;
}

fw_status fw_setting_set(sqlite3 *db, const char *name, const char *value, fw_error *error) {
    return fw_db_run(db, error,
                     "INSERT INTO settings(name,value) VALUES(?,?) "
                     "ON CONFLICT(name) DO UPDATE SET value=excluded.value",
                     "tt", name, value);
}
