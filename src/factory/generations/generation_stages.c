/* generation_stages.c - what each stage reads and what it makes durable. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/random.h"
#include "factory/gate/gate_job.h"
#include "factory/gate/ledger.h"
#include "factory/generations/generation_row.h"
#include "factory/generations/job.h"
#include "factory/catalogue/recordings.h"
#include "factory/registry/lineage.h"
#include "factory/registry/release.h"
#include "factory/generations/replays.h"

enum { RESULT_MAX_BYTES = 1 << 20, MODEL_MAX_BYTES = 64 << 20 };

/* ---- the dataset ---- */

typedef struct manifest {
    json_t *recordings;
    int64_t train, held_out;
    int64_t held_out_since; /* sequence of the oldest held-out one; INT64_MAX: none */
} manifest;

/* Which recordings a dataset takes (generations.h). ?1 generation, ?2 newest, ?3 eventful, ?4
 * held_out. */
static const char choice_sql[] =
    "WITH ranked AS (SELECT r.sha256,r.unit,r.role,r.events,o.sequence,row_number() OVER "
    "(PARTITION BY r.role ORDER BY o.sequence DESC) age FROM recordings r JOIN objects o "
    "USING(sha256) WHERE r.generation<=?1 AND o.state='kept' AND " FW_RECORDINGS_TRAIN "),"
    "older AS (SELECT sha256,row_number() OVER (ORDER BY events DESC,sequence DESC) place "
    "FROM ranked WHERE role='train' AND age>?2 AND events>0) "
    "SELECT sha256,unit,role,sequence FROM ranked WHERE (role='train' AND (age<=?2 OR sha256 IN "
    "(SELECT sha256 FROM older WHERE place<=?3))) OR (role='held_out' AND age<=?4) "
    "ORDER BY sha256";

static bool add_recording(void *self, sqlite3_stmt *row) {
    manifest *m = self;
    const char *role = fw_db_column(row, 2);
    json_array_append_new(m->recordings, json_pack("{s:s,s:s,s:s}", "sha256", fw_db_column(row, 0),
                                                   "unit", fw_db_column(row, 1), "role", role));
    if (strcmp(role, "train") == 0) {
        m->train++;
        return true;
    }
    m->held_out++;
    int64_t sequence = sqlite3_column_int64(row, 3);
    if (sequence < m->held_out_since) m->held_out_since = sequence;
    return true;
}

/* The manifest's text; malloc'd. The lock is held. */
static fw_status write_manifest(fw_generations *g, sqlite3 *db, const fw_generation_row *row,
                                manifest *m, char **text, fw_error *error) {
    char *parent = NULL;
    fw_status status = fw_db_text(db, error, &parent,
                                  "SELECT id FROM datasets WHERE generation<? "
                                  "ORDER BY generation DESC LIMIT 1",
                                  "i", row->n);
    if (status != FW_OK && status != FW_NOT_FOUND) return status;
    status = fw_db_each(db, error, add_recording, m, choice_sql, "iiii", row->n, g->limits.newest,
                        g->limits.eventful, g->limits.held_out);
    json_t *json =
        json_pack("{s:i,s:s,s:o?,s:O}", "version", 1, "line", g->line->name, "parent",
                  parent ? json_string(parent) : json_null(), "recordings", m->recordings);
    *text = status == FW_OK ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    free(parent);
    if (status == FW_OK && !*text) return fw_fail(error, FW_NO_MEMORY, "no memory for a manifest");
    return status;
}

static fw_status record_dataset(sqlite3 *db, const fw_generation_row *row, const char *id,
                                size_t size_bytes, const manifest *m, int64_t now_ns,
                                fw_error *error) {
    char text[160];
    FW_TRY(fw_db_run(db, error,
                     "INSERT INTO objects(sha256,kind,size_bytes,received_ns) VALUES(?,'dataset',"
                     "?,?) ON CONFLICT(sha256) DO NOTHING",
                     "tii", id, (int64_t)size_bytes, now_ns));
    FW_TRY(fw_db_run(db, error,
                     "INSERT OR IGNORE INTO datasets(id,generation,train,held_out,created_ns,"
                     "held_out_since) VALUES(?,?,?,?,?,?)",
                     "tiiiii", id, row->n, m->train, m->held_out, now_ns, m->held_out_since));
    FW_TRY(fw_db_run(
        db, error,
        "UPDATE generations SET stage='train',crashes=0,dataset=?1,dataset_ns=?2,"
        "recordings=(SELECT count(*) FROM recordings WHERE generation=?3),"
        "bytes_uploaded=(SELECT coalesce(sum(size_bytes),0) FROM recordings JOIN objects "
        "USING(sha256) WHERE generation=?3),"
        "first_event_ns=(SELECT min(e.received_ns) FROM events e JOIN recordings r ON "
        "r.sha256=e.recording WHERE r.generation=?3) WHERE n=?3",
        "tii", id, now_ns, row->n));
    snprintf(text, sizeof text, "generation %lld: data set %.12s of %lld recordings, %lld held out",
             (long long)row->n, id, (long long)(m->train + m->held_out), (long long)m->held_out);
    fw_log_info("%s", text);
    return fw_log_add(db, now_ns, "dataset", text, error);
}

fw_status fw_generation_dataset(fw_generations *g, const fw_generation_row *row, fw_error *error) {
    char *text = NULL, folder[FW_PATH_MAX];
    fw_hash id;
    fw_generation_folder(g, row->n, folder);
    FW_TRY(fw_folder_remove(folder, error));
    FW_TRY(fw_folder_make(folder, 0755, error));
    manifest m = {.recordings = json_array(), .held_out_since = INT64_MAX};
    sqlite3 *db = fw_catalogue_begin(g->catalogue, error);
    fw_status status = db ? write_manifest(g, db, row, &m, &text, error) : FW_IO;
    bool empty = status == FW_OK && (m.train == 0 || m.held_out == 0);
    if (status == FW_OK && !empty)
        status = fw_objects_put(g->objects, text, strlen(text), &id, error);
    if (status == FW_OK && !empty)
        status = record_dataset(db, row, id.hex, strlen(text), &m, fw_env_wall_ns(g->env), error);
    if (db) status = fw_catalogue_end(g->catalogue, status, error);
    json_decref(m.recordings);
    free(text);
    if (status == FW_OK && empty)
        return fw_generation_fail(g, row, "no recordings are left to train on or to hold out",
                                  error);
    return status;
}

/* ---- a job's result ---- */

static fw_status load_result(fw_generations *g, const fw_generation_row *row, json_t **out,
                             fw_error *error) {
    char name[24], path[FW_PATH_MAX], *text;
    size_t size;
    snprintf(name, sizeof name, "%s.json", row->stage);
    fw_generation_file(g, row->n, name, path);
    FW_TRY(fw_file_read(path, RESULT_MAX_BYTES, &text, &size, error));
    json_t *json = fw_json_load(text, size, 0, NULL);
    free(text);
    const char *dataset = json_string_value(json_object_get(json, "dataset"));
    const char *job = json_string_value(json_object_get(json, "job"));
    if (!dataset || !job || strcmp(dataset, row->dataset) != 0 || strcmp(job, row->stage) != 0 ||
        !fw_hash_valid(json_string_value(json_object_get(json, "candidate")))) {
        json_decref(json);
        return fw_fail(error, FW_CORRUPT, "%s is not this generation's", path);
    }
    *out = json;
    return FW_OK;
}

/* What training came to, without what made it: that is the lineage's. malloc'd. */
static char *metrics_of(const json_t *result) {
    json_t *metrics = json_copy((json_t *)result);
    json_object_del(metrics, "recipe");
    json_object_del(metrics, "code");
    json_object_del(metrics, "machine");
    char *text = metrics ? json_dumps(metrics, JSON_COMPACT) : NULL;
    json_decref(metrics);
    return text;
}

static fw_status write_lineage(fw_generations *g, sqlite3 *db, const fw_generation_row *row, const char *hash,
                               int64_t now_ns, const json_t *result, char **text, fw_error *error) {
    fw_lineage_trained t = {.line = g->line->name,
                            .model = hash,
                            .parent = row->parent,
                            .dataset = row->dataset,
                            .generation = row->n,
                            .trained_ns = now_ns,
                            .result = result};
    FW_TRY(fw_db_int(db, error, &t.dataset_ns, "SELECT dataset_ns FROM generations WHERE n=?", "i", row->n));
    FW_TRY(fw_db_int(db, error, &t.train_recordings, "SELECT train FROM datasets WHERE id=?", "t", row->dataset));
    FW_TRY(fw_db_int(db, error, &t.held_out_recordings, "SELECT held_out FROM datasets WHERE id=?", "t", row->dataset));
    return fw_lineage_of_training(&t, text, error);
}

static fw_status record_candidate(fw_generations *g, sqlite3 *db, const fw_generation_row *row,
                                  const char *hash, uint64_t size_bytes, const char *kind,
                                  const json_t *result, fw_error *error) {
    char text[160];
    int64_t now_ns = fw_env_wall_ns(g->env);
    FW_TRY(fw_db_run(db, error,
                     "INSERT INTO objects(sha256,kind,size_bytes,received_ns) VALUES(?,'model',?,?)"
                     " ON CONFLICT(sha256) DO NOTHING",
                     "tii", hash, (int64_t)size_bytes, now_ns));
    char *metrics = metrics_of(result), *lineage = NULL;
    fw_status status = write_lineage(g, db, row, hash, now_ns, result, &lineage, error);
    fw_model_card card = {.hash = hash,
                          .parent = row->parent,
                          .dataset = row->dataset,
                          .kind = kind,
                          .line = g->line->name,
                          .seed = row->seed,
                          .created_ns = now_ns,
                          .metrics = metrics,
                          .lineage = lineage};
    if (status == FW_OK) status = fw_registry_add(db, &card, error);
    free(lineage);
    if (status == FW_OK)
        status = fw_db_run(
            db, error,
            "UPDATE generations SET stage='gate',crashes=0,candidate=?,train=?,train_core_s=?,"
            "agent_steps=?,train_ns=? WHERE n=?",
            "ttdiii", hash, metrics, json_number_value(json_object_get(result, "core_s")),
            (int64_t)json_integer_value(json_object_get(result, "agent_steps")), now_ns, row->n);
    free(metrics);
    if (status == FW_OK) status = fw_curve_thin(db, row->n, error);
    if (status == FW_OK) status = fw_db_run(db, error, "DELETE FROM leases", "");
    snprintf(text, sizeof text, "generation %lld: candidate %.12s trained", (long long)row->n,
             hash);
    return status == FW_OK ? fw_log_add(db, now_ns, "train", text, error) : status;
}

static fw_status take_train(fw_generations *g, const fw_generation_row *row, const json_t *result,
                            fw_error *error) {
    char path[FW_PATH_MAX], kind[FW_LINE_KIND_MAX];
    const char *promised = json_string_value(json_object_get(result, "candidate"));
    fw_hash hash;
    uint64_t size_bytes;
    fw_generation_file(g, row->n, "candidate.safetensors", path);
    fw_status status = g->line->check_model(path, kind, error);
    if (status != FW_OK) return status == FW_NO_MEMORY ? status : FW_CORRUPT; /* train again */
    FW_TRY(fw_objects_put_file(g->objects, path, MODEL_MAX_BYTES, &hash, &size_bytes, error));
    if (strcmp(hash.hex, promised) != 0)
        return fw_fail(error, FW_CORRUPT, "the candidate is not the file the job promised");
    sqlite3 *db = fw_catalogue_begin(g->catalogue, error);
    if (!db) return FW_IO;
    status = record_candidate(g, db, row, hash.hex, size_bytes, kind, result, error);
    return fw_catalogue_end(g->catalogue, status, error);
}

/* What the gate decided, as it is written. */
typedef struct decision {
    bool promote;
    const char *reason, *gate; /* gate: the text of its result */
    const json_t *result;      /* the whole of it: for the gate's book */
    char *lineage;             /* with the decision; owned */
    fw_release release;        /* of a promoted one; owned */
} decision;

/* Everything that has to be durable before the commit that lets units have the model. */
static fw_status prepare_decision(fw_generations *g, const fw_generation_row *row, decision *d, fw_error *error) {
    char *before = NULL;
    FW_TRY(fw_registry_lineage(g->catalogue, row->candidate, &before, error));
    fw_status status = fw_lineage_with_gate(before, d->gate, d->promote ? "promoted" : "refused", d->reason,
                                            &d->lineage, error);
    free(before);
    if (status == FW_OK && d->promote)
        status = fw_release_make(g->registry, row->candidate, d->lineage, &d->release, error);
    return status;
}

static fw_status record_decision(fw_generations *g, sqlite3 *db, const fw_generation_row *row, const decision *d,
                                 fw_error *error) {
    char text[480];
    int64_t now_ns = fw_env_wall_ns(g->env);
    bool promote = d->promote;
    const char *word = promote ? "promoted" : "refused";
    FW_TRY(fw_db_run(db, error, "UPDATE models SET gate=?,decision=?,reason=?,lineage=? WHERE hash=?", "ttttt",
                     d->gate, word, d->reason, d->lineage, row->candidate));
    FW_TRY(fw_release_write(db, row->candidate, &d->release, error));
    FW_TRY(fw_gate_ledger_add(db, &(fw_gate_decision){row->n, now_ns, row->parent, row->candidate,
                                                      json_object_get(d->result, "turn"),
                                                      json_object_get(d->result, "record")}, error));
    FW_TRY(fw_db_run(db, error,
                     "UPDATE generations SET stage=?,crashes=0,decision=?,reason=?,model=?,gate=?,"
                     "gate_ns=?,done_ns=CASE WHEN ?='done' THEN ? END WHERE n=?",
                     "tttttitii", promote ? "rollout" : "done", word, d->reason,
                     promote ? row->candidate : row->parent, d->gate, now_ns,
                     promote ? "rollout" : "done", now_ns, row->n));
    FW_TRY(fw_db_run(db, error, "DELETE FROM leases", ""));
    snprintf(text, sizeof text, "generation %lld %s %.12s: %s", (long long)row->n, word,
             row->candidate, d->reason);
    fw_log_info("%s", text);
    return fw_log_add(db, now_ns, word, text, error);
}

static fw_status take_gate(fw_generations *g, const fw_generation_row *row, const json_t *result,
                           fw_error *error) {
    char folder[FW_PATH_MAX];
    const char *reason = json_string_value(json_object_get(result, "reason"));
    const json_t *promote = json_object_get(result, "promote");
    if (!reason || !json_is_boolean(promote) ||
        strcmp(json_string_value(json_object_get(result, "candidate")), row->candidate) != 0)
        return fw_fail(error, FW_CORRUPT, "the gate's result is not about this candidate");
    json_t *summary = fw_gate_job_summary(result);
    char *gate = summary ? json_dumps(summary, JSON_COMPACT) : NULL;
    json_decref(summary);
    decision d = {.promote = json_is_true(promote), .reason = reason, .gate = gate, .result = result};
    fw_status status = gate ? prepare_decision(g, row, &d, error) : fw_fail(error, FW_NO_MEMORY, "no memory for a decision");
    sqlite3 *db = status == FW_OK ? fw_catalogue_begin(g->catalogue, error) : NULL;
    if (status == FW_OK) status = db ? record_decision(g, db, row, &d, error) : FW_IO;
    if (db) status = fw_catalogue_end(g->catalogue, status, error);
    fw_release_clear(&d.release);
    free(d.lineage);
    free(gate);
    if (status != FW_OK) return status;
    fw_replays_keep(g, row->n);
    fw_generation_folder(g, row->n, folder);
    return fw_folder_remove(folder, error);
}

fw_status fw_generation_take_result(fw_generations *g, const fw_generation_row *row,
                                    fw_error *error) {
    json_t *result;
    FW_TRY(load_result(g, row, &result, error));
    fw_status status = strcmp(row->stage, "train") == 0 ? take_train(g, row, result, error)
                                                        : take_gate(g, row, result, error);
    json_decref(result);
    return status;
}
