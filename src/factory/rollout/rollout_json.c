/* rollout_json.c - rollouts as people and programs read them (docs/formats/http.md). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "factory/rollout/rollout_state.h"

#define ROLLOUT_SQL                                                                                \
    "json_object('n',n,'generation',generation,'model',model,'previous',nullif(previous,''),"      \
    "'state',state,'ring',ring,'rings',json_array_length(plan,'$.rings'),'ring_name',"             \
    "json_extract(plan,'$.rings['||ring||'].name'),'group',json_extract(plan,'$.group'),"          \
    "'reason',reason,'created_ns',created_ns,'ring_ns',ring_ns,'done_ns',done_ns,"                 \
    "'units',(SELECT count(*) FROM rollout_units u WHERE u.rollout=n),'told',(SELECT count(*) "    \
    "FROM rollout_units u WHERE u.rollout=n AND u.state NOT IN('waiting','shadow')),'active',"     \
    "(SELECT count(*) FROM rollout_units u WHERE u.rollout=n AND u.state='active'),'failed',"      \
    "(SELECT count(*) FROM rollout_units u WHERE u.rollout=n AND u.state='failed'))"

static const char units_sql[] =
    "SELECT coalesce(json_group_array(json(j)),'[]') FROM (SELECT json_object('unit',unit,'ring',ring,'state',state,"
    "'told_ns',told_ns,'active_ns',active_ns,'signed',json(iif(report IS NULL,'false','true')),'health',json(health)) j"
    " FROM rollout_units WHERE rollout=? ORDER BY ring,unit)";
static const char steps_sql[] =
    "SELECT coalesce(json_group_array(json(j)),'[]') FROM (SELECT json_object('kind',kind,'ring',ring,'text',text,"
    "'time_ns',time_ns,'evidence',json(evidence)) j FROM rollout_steps WHERE rollout=? ORDER BY sequence)";

fw_status fw_rollouts_json(fw_rollouts *rollouts, char **json, fw_error *error) {
    return fw_catalogue_json(rollouts->config.catalogue, json, error,
                             "SELECT coalesce(json_group_array(json(j)),'[]') FROM (SELECT " ROLLOUT_SQL
                             " j FROM rollouts ORDER BY n DESC LIMIT 1000)");
}

static fw_status add_part(json_t *json, const char *name, sqlite3 *db, const char *sql, int64_t n, fw_error *error) {
    char *text = NULL;
    FW_TRY(fw_db_text(db, error, &text, sql, "i", n));
    json_t *part = fw_json_load_text(text);
    free(text);
    json_object_set_new(json, name, part ? part : json_null());
    return FW_OK;
}

static fw_status read_one(sqlite3 *db, int64_t n, json_t **out, fw_error *error) {
    char *text = NULL;
    fw_status status = fw_db_text(db, error, &text, "SELECT " ROLLOUT_SQL " FROM rollouts WHERE n=?", "i", n);
    if (status == FW_NOT_FOUND) return fw_fail(error, status, "no rollout %lld", (long long)n);
    FW_TRY(status);
    json_t *json = fw_json_load_text(text);
    free(text);
    if (!json) return fw_fail(error, FW_NO_MEMORY, "no memory for a rollout");
    status = add_part(json, "plan", db, "SELECT plan FROM rollouts WHERE n=?", n, error);
    if (status == FW_OK) status = add_part(json, "members", db, units_sql, n, error);
    if (status == FW_OK) status = add_part(json, "steps", db, steps_sql, n, error);
    *out = json;
    return status;
}

fw_status fw_rollouts_json_of(fw_rollouts *rollouts, int64_t n, char **out, fw_error *error) {
    json_t *json = NULL;
    pthread_mutex_lock(&rollouts->lock);
    sqlite3 *db = fw_catalogue_read(rollouts->config.catalogue);
    fw_status status = read_one(db, n, &json, error);
    fw_catalogue_read_end(rollouts->config.catalogue);
    bool looked = status == FW_OK && rollouts->open.n == n && rollouts->open.seen.reason[0];
    if (status == FW_OK)
        json_object_set_new(json, "look", looked ? fw_rollout_evidence_json(&rollouts->open.seen) : json_null());
    pthread_mutex_unlock(&rollouts->lock);
    char *text = status == FW_OK ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (status == FW_OK && !text) return fw_fail(error, FW_NO_MEMORY, "no memory for a rollout");
    if (status == FW_OK) *out = text;
    return status;
}

/* ---- for the generation ---- */

static bool take_outcome(void *self, sqlite3_stmt *row) {
    fw_rollout_outcome *o = self;
    o->n = sqlite3_column_int64(row, 0);
    snprintf(o->state, sizeof o->state, "%s", fw_db_column(row, 1));
    snprintf(o->reason, sizeof o->reason, "%s", fw_db_column(row, 2));
    o->units = (uint32_t)sqlite3_column_int64(row, 3);
    o->active = (uint32_t)sqlite3_column_int64(row, 4);
    o->refused = (uint32_t)sqlite3_column_int64(row, 5);
    return false;
}

fw_status fw_rollouts_of_generation(fw_rollouts *rollouts, int64_t generation, fw_rollout_outcome *out,
                                    fw_error *error) {
    *out = (fw_rollout_outcome){.n = 0};
    sqlite3 *db = fw_catalogue_read(rollouts->config.catalogue);
    fw_status status = fw_db_each(
        db, error, take_outcome, out,
        "SELECT n,state,coalesce((SELECT text FROM rollout_steps WHERE rollout=n AND kind IN('halt','rollback') ORDER BY"
        " sequence DESC LIMIT 1),reason),(SELECT count(*) FROM rollout_units WHERE rollout=n),(SELECT count(*) FROM"
        " rollout_units WHERE rollout=n AND state='active'),(SELECT count(*) FROM rollout_units WHERE rollout=n AND"
        " state='failed') FROM rollouts WHERE generation=? ORDER BY n DESC LIMIT 1",
        "i", generation);
    fw_catalogue_read_end(rollouts->config.catalogue);
    return status;
}
