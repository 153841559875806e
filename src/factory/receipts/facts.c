#include "factory/receipts/facts.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"

enum { MANIFEST_MAX_BYTES = 64 << 20, LOOKED_AT_MAX = 32 };

/* ---- asking the catalogue for one JSON object ---- */

static fw_status read_json(char *text, json_t **out, fw_error *error) {
    *out = fw_json_load_text(text);
    free(text);
    return *out ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory for what the catalogue knows");
}

static const char event_sql[] =
    "SELECT json_object('event',json_object('id',e.id,'unit',e.unit,'kind',e.kind,'time_ns',e.time_ns,'value',"
    "CASE WHEN e.value IS NULL THEN NULL ELSE printf('%.6g',e.value) END,'recording',e.recording,'received_ns',"
    "e.received_ns,'recorded_ns',r.recorded_ns,'start_ns',r.start_ns),'recording',json_object('sha256',r.sha256,"
    "'bytes',o.size_bytes,'unit',r.unit,'role',r.role,'model',r.model,'messages',r.messages,'start_ns',r.start_ns,"
    "'end_ns',r.end_ns,'received_ns',o.received_ns,'generation',r.generation,'state',o.state)) FROM events e JOIN "
    "recordings r ON r.sha256=e.recording JOIN objects o ON o.sha256=r.sha256 WHERE e.id=?";

/* ?1: the generation that owns the recording. */
static const char generations_sql[] =
    "SELECT json_group_array(json(j)) FROM (SELECT json_object('n',g.n,'stage',g.stage,'seed',g.seed,'parent',g.parent,"
    "'dataset',g.dataset,'dataset_ns',g.dataset_ns,'dataset_bytes',d.size_bytes,'recordings',s.train+s.held_out,"
    "'held_out',s.held_out,'candidate',g.candidate,'candidate_bytes',c.size_bytes,'train_ns',g.train_ns,'core_ms',"
    "CAST(round(1000*g.train_core_s) AS INTEGER),'agent_steps',g.agent_steps,'cpu_class',"
    "json_extract(g.train,'$.cpu_class'),'train',g.train,'decision',g.decision,'reason',g.reason,'gate',g.gate,"
    "'gate_ns',g.gate_ns) j FROM generations g LEFT JOIN datasets s ON s.id=g.dataset LEFT JOIN objects d ON "
    "d.sha256=g.dataset LEFT JOIN objects c ON c.sha256=g.candidate WHERE g.n>=?1 AND (g.decision='promoted' OR g.n=?1 "
    "OR g.n=(SELECT max(n) FROM generations)) ORDER BY g.n LIMIT 32)";

static const char decision_sql[] =
    "SELECT json_object('n',n,'suite',suite,'epoch',epoch,'place',place,'alpha',printf('%.9g',alpha),'beta',"
    "printf('%.9g',beta),'log_e',printf('%.9g',log_e),'record',record) FROM gate_decisions WHERE generation=? AND "
    "candidate=? ORDER BY n DESC LIMIT 1";

static const char model_sql[] =
    "SELECT json_object('statement',statement,'lineage',lineage,'release_counter',release_counter) FROM models WHERE "
    "hash=?";

static const char rollout_sql[] =
    "SELECT json_object('n',n,'state',state,'reason',reason,'rings',ring+1,'created_ns',created_ns,'done_ns',done_ns,"
    "'units',(SELECT count(*) FROM rollout_units u WHERE u.rollout=r.n),'active',(SELECT count(*) FROM rollout_units u "
    "WHERE u.rollout=r.n AND u.state='active'),'first_active_ns',(SELECT min(active_ns) FROM rollout_units u "
    "WHERE u.rollout=r.n)) FROM rollouts r WHERE generation=? AND model=? ORDER BY n DESC LIMIT 1";

/* ---- texts become their hashes: a receipt names what it does not repeat ---- */

/* Takes object[name], a text, out; puts name_sha256 and name_bytes in. */
static fw_status hash_text(json_t *object, const char *name, const char *sha256_name, const char *bytes_name,
                           fw_error *error) {
    const char *text = json_string_value(json_object_get(object, name));
    fw_hash hash;
    if (text) {
        FW_TRY(fw_hash_bytes_try(text, strlen(text), &hash, error));
        json_object_set_new(object, sha256_name, json_string(hash.hex));
        if (bytes_name) json_object_set_new(object, bytes_name, json_integer((json_int_t)strlen(text)));
    }
    json_object_del(object, name);
    return FW_OK;
}

static void take_key(json_t *model) {
    json_t *envelope = fw_json_load_text(json_string_value(json_object_get(model, "statement")));
    const json_t *signature = json_array_get(json_object_get(envelope, "signatures"), 0);
    const json_t *key = json_object_get(signature, "keyid");
    if (json_is_string(key)) json_object_set(model, "keyid", (json_t *)(uintptr_t)key);
    json_decref(envelope);
}

typedef struct reports {
    fw_sha256 *hash;
    int64_t count;
    bool failed;
} reports;

static bool add_report(void *self, sqlite3_stmt *row) {
    reports *r = self;
    fw_error ignored;
    fw_hash of;
    const char *unit = fw_db_column(row, 0), *text = fw_db_column(row, 1);
    if (fw_hash_bytes_try(text, strlen(text), &of, &ignored) != FW_OK) return !(r->failed = true);
    fw_sha256_add(r->hash, unit, strlen(unit));
    fw_sha256_add(r->hash, " ", 1);
    fw_sha256_add(r->hash, of.hex, FW_HASH_HEX);
    fw_sha256_add(r->hash, "\n", 1);
    r->count++;
    return true;
}

/* "reports" and "reports_sha256": over lines "UNIT SHA256-OF-ITS-REPORT", in order of unit. */
static fw_status hash_reports(sqlite3 *db, json_t *rollout, fw_error *error) {
    reports r = {.hash = fw_sha256_try()};
    if (!r.hash) return fw_fail(error, FW_NO_MEMORY, "no memory for a hash");
    fw_status status = fw_db_each(db, error, add_report, &r,
                                  "SELECT unit,report FROM rollout_units WHERE rollout=? AND report IS NOT NULL "
                                  "ORDER BY unit",
                                  "i", (int64_t)json_integer_value(json_object_get(rollout, "n")));
    fw_hash hash = fw_sha256_end(r.hash);
    if (status != FW_OK) return status;
    if (r.failed) return fw_fail(error, FW_NO_MEMORY, "no memory for a hash");
    json_object_set_new(rollout, "reports", json_integer(r.count));
    json_object_set_new(rollout, "reports_sha256", json_string(hash.hex));
    return FW_OK;
}

/* ---- one generation ---- */

/* The row of a query, or JSON null without one. */
static fw_status row_or_null(fw_status status, char *text, json_t **out, fw_error *error) {
    if (status == FW_OK) return read_json(text, out, error);
    *out = status == FW_NOT_FOUND ? json_null() : NULL;
    return status == FW_NOT_FOUND ? FW_OK : status;
}

static fw_status add_decision(sqlite3 *db, json_t *try, int64_t n, const char *candidate, fw_error *error) {
    char *text = NULL;
    json_t *row = NULL;
    fw_status status = fw_db_text(db, error, &text, decision_sql, "it", n, candidate);
    FW_TRY(row_or_null(status, text, &row, error));
    json_object_set_new(try, "decision", row);
    return json_is_null(row) ? FW_OK : hash_text(row, "record", "record_sha256", NULL, error);
}

/* A promoted model is signed right before the commit of the gate's decision (registry/release.h): one time for both. */
static fw_status add_model(sqlite3 *db, json_t *try, const char *candidate, fw_error *error) {
    char *text = NULL;
    json_t *row = NULL;
    fw_status status = fw_db_text(db, error, &text, model_sql, "t", candidate);
    FW_TRY(row_or_null(status, text, &row, error));
    json_object_set_new(try, "model", row);
    if (json_is_null(row)) return FW_OK;
    take_key(row);
    json_object_set(row, "signed_ns", json_object_get(json_object_get(try, "generation"), "gate_ns"));
    FW_TRY(hash_text(row, "lineage", "lineage_sha256", NULL, error));
    return hash_text(row, "statement", "statement_sha256", "statement_bytes", error);
}

static fw_status add_rollout(sqlite3 *db, json_t *try, int64_t n, const char *candidate, fw_error *error) {
    char *text = NULL;
    json_t *row = NULL;
    fw_status status = fw_db_text(db, error, &text, rollout_sql, "it", n, candidate);
    FW_TRY(row_or_null(status, text, &row, error));
    json_object_set_new(try, "rollout", row);
    return json_is_null(row) ? FW_OK : hash_reports(db, row, error);
}

static fw_status complete_try(sqlite3 *db, json_t *try, fw_error *error) {
    json_t *g = json_object_get(try, "generation");
    int64_t n = json_integer_value(json_object_get(g, "n"));
    const char *candidate = json_string_value(json_object_get(g, "candidate"));
    FW_TRY(hash_text(g, "train", "train_sha256", NULL, error));
    FW_TRY(hash_text(g, "gate", "gate_sha256", "gate_bytes", error));
    if (!candidate) return FW_OK;
    FW_TRY(add_decision(db, try, n, candidate, error));
    FW_TRY(add_model(db, try, candidate, error));
    return add_rollout(db, try, n, candidate, error);
}

/* ---- manifests ---- */

/* What the manifest says of a recording; JSON null when it does not list it, or is no longer there. */
static json_t *entry_of(const fw_objects *objects, const json_t *generation, const char *recording) {
    const char *dataset = json_string_value(json_object_get(generation, "dataset"));
    char path[FW_PATH_MAX], *text = NULL;
    size_t size, i;
    json_t *entry, *found = NULL;
    fw_error ignored;
    if (!fw_hash_valid(dataset)) return json_null();
    fw_objects_path(objects, dataset, path);
    if (fw_file_read(path, MANIFEST_MAX_BYTES, &text, &size, &ignored) != FW_OK) return json_null();
    json_t *manifest = fw_json_load(text, size, 0, NULL);
    free(text);
    json_array_foreach(json_object_get(manifest, "recordings"), i, entry) {
        const char *sha256 = json_string_value(json_object_get(entry, "sha256"));
        if (sha256 && strcmp(sha256, recording) == 0) found = entry;
    }
    json_incref(found);
    json_decref(manifest);
    return found ? found : json_null();
}

static bool promoted(const json_t *generation) {
    const char *decision = json_string_value(json_object_get(generation, "decision"));
    return decision && strcmp(decision, "promoted") == 0;
}

/* Promoted ones that list it; else the last one looked at that does, else the last one. */
static json_t *tries_of(const fw_objects *objects, const json_t *generations, const char *recording) {
    json_t *tries = json_array(), *last = NULL, *g = NULL;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)generations, i, g) {
        json_t *try = json_pack("{s:O, s:o}", "generation", g, "entry", entry_of(objects, g, recording));
        bool listed = !json_is_null(json_object_get(try, "entry"));
        if (promoted(g) && listed && json_array_size(tries) < FW_RECEIPT_TRIES_MAX) json_array_append(tries, try);
        if (listed || !last) {
            json_decref(last);
            last = json_incref(try);
        }
        json_decref(try);
    }
    if (last && json_array_size(tries) == 0) json_array_append(tries, last);
    json_decref(last);
    return tries;
}

/* ---- the whole ---- */

static fw_status read_generations(sqlite3 *db, const json_t *facts, json_t **out, fw_error *error) {
    const json_t *owner = json_object_get(json_object_get(facts, "recording"), "generation");
    char *text = NULL;
    if (!json_is_integer(owner)) {
        *out = json_array();
        return *out ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory for what the catalogue knows");
    }
    FW_TRY(fw_db_text(db, error, &text, generations_sql, "i", (int64_t)json_integer_value(owner)));
    return read_json(text, out, error);
}

static fw_status read_facts(const fw_receipts *r, sqlite3 *db, int64_t event, json_t **out, fw_error *error) {
    char *text = NULL;
    json_t *facts = NULL, *generations = NULL, *try = NULL;
    size_t i;
    fw_status status = fw_db_text(db, error, &text, event_sql, "i", event);
    if (status == FW_NOT_FOUND) return fw_fail(error, status, "no event %lld", (long long)event);
    FW_TRY(status);
    FW_TRY(read_json(text, &facts, error));
    status = read_generations(db, facts, &generations, error);
    const char *recording = json_string_value(json_object_get(json_object_get(facts, "recording"), "sha256"));
    json_t *tries = status == FW_OK && recording ? tries_of(r->objects, generations, recording) : NULL;
    json_decref(generations);
    json_array_foreach(tries, i, try) if (status == FW_OK) status = complete_try(db, try, error);
    if (tries) json_object_set_new(facts, "tries", tries);
    if (status == FW_OK && !tries) status = fw_fail(error, FW_NO_MEMORY, "no memory for what the catalogue knows");
    if (status == FW_OK) *out = facts;
    else json_decref(facts);
    return status;
}

fw_status fw_receipt_facts_read(const fw_receipts *r, int64_t event, json_t **out, fw_error *error) {
    sqlite3 *db;
    json_t *facts = NULL;
    FW_TRY(fw_catalogue_ask(r->catalogue, &db, error));
    fw_status status = read_facts(r, db, event, &facts, error);
    fw_catalogue_ask_end(r->catalogue);
    if (status == FW_OK) *out = facts;
    return status;
}
