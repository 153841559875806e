/* rollout_store.c - the rows of a rollout (rollout_state.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "factory/rollout/rollout_state.h"

/* ---- one rollout ---- */

static bool load_row(void *self, sqlite3_stmt *row) {
    fw_rollouts *rollouts = self;
    fw_rollout *r = &rollouts->open;
    const char *plan = fw_db_column(row, 5);
    fw_error error;
    const fw_env *env = rollouts->config.env;
    if (fw_rollout_plan_parse(plan, strlen(plan), 0, &r->plan, &error) != FW_OK) return false;
    r->n = sqlite3_column_int64(row, 0);
    r->generation = sqlite3_column_int64(row, 1);
    snprintf(r->model, sizeof r->model, "%s", fw_db_column(row, 2));
    snprintf(r->previous, sizeof r->previous, "%s", fw_db_column(row, 3));
    snprintf(r->state, sizeof r->state, "%s", fw_db_column(row, 4));
    r->ring = (uint32_t)sqlite3_column_int64(row, 6);
    r->ring_ns = fw_env_mono_ns(env); /* nobody could report while the factory was down: that time decides nothing */
    r->loaded_ns = fw_env_wall_ns(env);
    if (r->ring >= r->plan.ring_count) r->n = 0;
    return false;
}

static fw_member_state state_named(const char *name) {
    int state = 0;
    while (state < FW_MEMBER_STATE_COUNT && strcmp(name, fw_member_state_name((fw_member_state)state)) != 0) state++;
    return state < FW_MEMBER_STATE_COUNT ? (fw_member_state)state : FW_MEMBER_waiting;
}

/* What lies in rollout_units.health; an unreadable one counts from now on. */
static void load_health(fw_member *m, const char *text) {
    json_t *json = fw_json_load_text(text);
    fw_error error;
    if (fw_health_parse(json_object_get(json, "last"), &m->last, &error) != FW_OK ||
        fw_health_parse(json_object_get(json, "lived"), &m->lived, &error) != FW_OK)
        m->last = m->lived = (fw_health){0};
    m->fallbacks = (uint32_t)json_integer_value(json_object_get(json, "fallbacks"));
    m->crashes = (uint32_t)json_integer_value(json_object_get(json, "crashes"));
    m->on = json_is_true(json_object_get(json, "on"));
    json_decref(json);
}

static bool load_member(void *self, sqlite3_stmt *row) {
    fw_rollout *r = self;
    fw_member m = {.state = state_named(fw_db_column(row, 2)),
                   .ring = (uint32_t)sqlite3_column_int64(row, 1),
                   .told_ns = sqlite3_column_int64(row, 3),
                   .active_ns = sqlite3_column_int64(row, 4)};
    load_health(&m, fw_db_column(row, 5));
    return fw_rollout_add(r, fw_db_column(row, 0), &m);
}

fw_status fw_rollout_load(fw_rollouts *rollouts, sqlite3 *db, int64_t n, fw_error *error) {
    fw_rollout *r = &rollouts->open;
    int64_t rows = 0;
    fw_rollout_free(r);
    FW_TRY(fw_db_each(db, error, load_row, rollouts,
                      "SELECT n,coalesce(generation,0),model,previous,state,plan,ring FROM rollouts WHERE n=?",
                      "i", n));
    if (r->n == 0) return fw_fail(error, FW_NOT_FOUND, "no rollout %lld that this Flywheel can read", (long long)n);
    FW_TRY(fw_db_int(db, error, &rows, "SELECT count(*) FROM rollout_units WHERE rollout=?", "i", n));
    FW_TRY(fw_db_each(db, error, load_member, r,
                      "SELECT unit,ring,state,told_ns,active_ns,health FROM rollout_units WHERE rollout=? ORDER BY unit",
                      "i", n));
    if (r->count == (uint32_t)rows) return FW_OK;
    fw_rollout_free(r);
    return fw_fail(error, FW_NO_MEMORY, "no memory for a rollout of %lld units", (long long)rows);
}

fw_status fw_rollout_insert(fw_rollouts *rollouts, sqlite3 *db, fw_error *error) {
    fw_rollout *r = &rollouts->open;
    int64_t now_ns = fw_env_wall_ns(rollouts->config.env);
    json_t *json = fw_rollout_plan_json(&r->plan);
    char *plan = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(json);
    if (!plan) return fw_fail(error, FW_NO_MEMORY, "no memory for a rollout's plan");
    fw_status status = fw_db_run(
        db, error,
        "INSERT INTO rollouts(generation,model,previous,plan,state,ring,created_ns,ring_ns) VALUES(nullif(?,0),?,?,?,"
        "'rolling',0,?,?)",
        "itttii", r->generation, r->model, r->previous, plan, now_ns, now_ns);
    free(plan);
    r->n = sqlite3_last_insert_rowid(db);
    snprintf(r->state, sizeof r->state, "rolling");
    return status;
}

/* ---- its units ---- */

static char *health_text(const fw_member *m) {
    json_t *json = json_pack("{s:o,s:o,s:I,s:I,s:b}", "last", fw_health_json(&m->last), "lived",
                             fw_health_json(&m->lived), "fallbacks", (json_int_t)m->fallbacks, "crashes",
                             (json_int_t)m->crashes, "on", m->on);
    char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(json);
    return text;
}

/* The unit's signed report is copied when it counts. */
static fw_status save_member(const fw_rollout *r, sqlite3 *db, const char *unit, const fw_member *m, fw_error *error) {
    char *health = health_text(m);
    if (!health) return fw_fail(error, FW_NO_MEMORY, "no memory for a unit's health");
    fw_status status = fw_db_run(
        db, error,
        "INSERT INTO rollout_units(rollout,unit,ring,state,told_ns,active_ns,health,report) VALUES(?1,?2,?3,?4,"
        "nullif(?5,0),nullif(?6,0),?7,CASE WHEN ?4='active' THEN (SELECT report FROM unit_keys WHERE unit=?2) END) ON"
        " CONFLICT(rollout,unit) DO UPDATE SET ring=excluded.ring,state=excluded.state,told_ns=excluded.told_ns,"
        "active_ns=excluded.active_ns,health=excluded.health,report=coalesce(rollout_units.report,excluded.report)",
        "ititiit", r->n, unit, (int64_t)m->ring, fw_member_state_name(m->state), m->told_ns, m->active_ns, health);
    free(health);
    return status;
}

fw_status fw_rollout_save(fw_rollouts *rollouts, sqlite3 *db, bool all, fw_error *error) {
    const fw_rollout *r = &rollouts->open;
    for (uint32_t i = 0; i < r->count; i++)
        if (all || r->members[i].changed) FW_TRY(save_member(r, db, r->names.names[i], &r->members[i], error));
    return FW_OK;
}

void fw_rollout_saved(fw_rollouts *rollouts, bool all) {
    fw_rollout *r = &rollouts->open;
    for (uint32_t i = 0; i < r->count; i++) r->members[i].changed = false;
    if (all) rollouts->saved_ns = fw_env_mono_ns(rollouts->config.env);
}

/* ---- what was decided ---- */

static bool is_over(const char *state) {
    return strcmp(state, "done") == 0 || strcmp(state, "rolled_back") == 0;
}

fw_status fw_rollout_step(fw_rollouts *rollouts, sqlite3 *db, const char *state, uint32_t ring, const char *kind,
                          const char *text, const fw_rollout_evidence *evidence, fw_error *error) {
    const fw_rollout *r = &rollouts->open;
    char line[400];
    int64_t now_ns = fw_env_wall_ns(rollouts->config.env);
    json_t *json = evidence ? fw_rollout_evidence_json(evidence) : NULL;
    char *proof = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(json);
    fw_status status = fw_db_run(db, error,
                                 "UPDATE rollouts SET state=?1,ring_ns=CASE WHEN ring<>?2 OR state<>?1 THEN ?3 ELSE"
                                 " ring_ns END,ring=?2,reason=?4,done_ns=CASE WHEN ?5 THEN ?3 END WHERE n=?6",
                                 "tiitii", state, (int64_t)ring, now_ns, text, (int64_t)is_over(state), r->n);
    if (status == FW_OK)
        status = fw_db_run(db, error,
                           "INSERT INTO rollout_steps(rollout,ring,kind,text,evidence,time_ns) VALUES(?,?,?,?,?,?)",
                           "iittti", r->n, (int64_t)ring, kind, text, proof, now_ns);
    free(proof);
    snprintf(line, sizeof line, "rollout %lld of %.12s, %s, ring %s: %s", (long long)r->n, r->model, kind,
             r->plan.rings[ring].name, text);
    if (status == FW_OK) status = fw_log_add(db, now_ns, "rollout", line, error);
    if (status == FW_OK) fw_log_info("%s", line);
    return status;
}

/* ---- groups with a model of their own ---- */

typedef struct pins {
    fw_rollouts *rollouts;
    bool short_of_memory;
} pins;

static bool load_pin(void *self, sqlite3_stmt *row) {
    pins *p = self;
    fw_rollouts *rollouts = p->rollouts;
    const char *unit = fw_db_column(row, 0);
    uint32_t place = fw_names_find(&rollouts->pinned, unit);
    if (place == FW_NAMES_NONE) {
        char(*grown)[FW_HASH_HEX + 1] = realloc(rollouts->pins, (rollouts->pinned.count + 1) * sizeof *grown);
        if (grown) rollouts->pins = grown;
        p->short_of_memory = !grown || !fw_names_add(&rollouts->pinned, unit);
        if (p->short_of_memory) return false;
        place = rollouts->pinned.count - 1;
    }
    snprintf(rollouts->pins[place], sizeof rollouts->pins[place], "%s", fw_db_column(row, 1));
    return true;
}

fw_status fw_rollout_load_pins(fw_rollouts *rollouts, sqlite3 *db, fw_error *error) {
    pins p = {.rollouts = rollouts};
    fw_names_free(&rollouts->pinned);
    FW_TRY(fw_db_each(db, error, load_pin, &p,
                      "SELECT u.unit,r.model FROM rollout_units u JOIN rollouts r ON r.n=u.rollout WHERE r.state='done'"
                      " AND u.state IN('told','active') AND r.n>(SELECT coalesce(max(n),0) FROM rollouts WHERE"
                      " state='done' AND json_extract(plan,'$.group')='*') ORDER BY r.n",
                      ""));
    return p.short_of_memory ? fw_fail(error, FW_NO_MEMORY, "no memory for the groups' models") : FW_OK;
}

/* ---- the plan of rollouts to come ---- */

fw_status fw_rollout_plan_of(fw_rollouts *rollouts, sqlite3 *db, fw_rollout_plan *out, fw_error *error) {
    char *text = NULL;
    uint32_t units = fw_units_share_of(rollouts->config.units, "").known;
    fw_status status = fw_db_text(db, error, &text, "SELECT value FROM settings WHERE name='rollout_plan'", "");
    if (status == FW_NOT_FOUND) return fw_rollout_plan_default(units, out, error);
    FW_TRY(status);
    status = fw_rollout_plan_parse(text, strlen(text), units, out, error);
    free(text);
    return status;
}

fw_status fw_rollouts_plan(fw_rollouts *rollouts, char **out, fw_error *error) {
    fw_rollout_plan plan;
    sqlite3 *db = fw_catalogue_read(rollouts->config.catalogue);
    fw_status status = fw_rollout_plan_of(rollouts, db, &plan, error);
    fw_catalogue_read_end(rollouts->config.catalogue);
    FW_TRY(status);
    json_t *json = fw_rollout_plan_json(&plan);
    fw_rollout_plan_free(&plan);
    char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(json);
    if (!text) return fw_fail(error, FW_NO_MEMORY, "no memory for a rollout's plan");
    *out = text;
    return FW_OK;
}

/* Kept as it was written: what it leaves out goes on to follow the fleet's size. */
fw_status fw_rollouts_set_plan(fw_rollouts *rollouts, const char *body, size_t size_bytes, fw_error *error) {
    fw_rollout_plan plan;
    FW_TRY(fw_rollout_plan_parse(body, size_bytes, 0, &plan, error));
    fw_rollout_plan_free(&plan);
    char *text = strndup(body, size_bytes);
    sqlite3 *db = text ? fw_catalogue_begin(rollouts->config.catalogue, error) : NULL;
    fw_status status = !text ? fw_fail(error, FW_NO_MEMORY, "no memory for a rollout's plan")
                       : !db ? FW_IO
                             : fw_setting_set(db, "rollout_plan", text, error);
    if (db) status = fw_catalogue_end(rollouts->config.catalogue, status, error);
    free(text);
    return status;
}
