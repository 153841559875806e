/* generations.c - opening, asking for and listing generations; the tick that drives their stages.
 */
#include "factory/generations/generations.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "factory/generations/generation_row.h"
#include "factory/generations/job.h"
#include "factory/catalogue/recordings.h"

static bool take_row(void *self, sqlite3_stmt *row) {
    fw_generation_row *r = self;
    r->found = true;
    r->n = sqlite3_column_int64(row, 0);
    r->seed = sqlite3_column_int64(row, 1);
    r->agent_steps = sqlite3_column_int64(row, 2);
    r->crashes = sqlite3_column_int64(row, 3);
    snprintf(r->stage, sizeof r->stage, "%s", fw_db_column(row, 4));
    snprintf(r->parent, sizeof r->parent, "%s", fw_db_column(row, 5));
    snprintf(r->dataset, sizeof r->dataset, "%s", fw_db_column(row, 6));
    snprintf(r->candidate, sizeof r->candidate, "%s", fw_db_column(row, 7));
    return false;
}

fw_status fw_generation_running(fw_catalogue *catalogue, fw_generation_row *out, fw_error *error) {
    *out = (fw_generation_row){.found = false};
    sqlite3 *db = fw_catalogue_read(catalogue);
    fw_status status = fw_db_each(
        db, error, take_row, out,
        "SELECT n,seed,agent_steps_wanted,crashes,stage,parent,dataset,candidate FROM generations "
        "WHERE stage NOT IN('done','failed') ORDER BY n LIMIT 1",
        "");
    fw_catalogue_read_end(catalogue);
    return status;
}

void fw_generation_folder(const fw_generations *g, int64_t n, char out[FW_PATH_MAX]) {
    int used = snprintf(out, FW_PATH_MAX, "%s/jobs/generation-%lld", g->data_folder, (long long)n);
    FW_ASSERT(used > 0 && used < FW_PATH_MAX);
}

void fw_generation_file(const fw_generations *g, int64_t n, const char *name,
                        char out[FW_PATH_MAX]) {
    int used = snprintf(out, FW_PATH_MAX, "%s/jobs/generation-%lld/%s", g->data_folder,
                        (long long)n, name);
    FW_ASSERT(used > 0 && used < FW_PATH_MAX);
}

/* ---- life ---- */

typedef struct stale {
    fw_generations *g;
    int count;
} stale;

static bool end_stale(void *self, sqlite3_stmt *row) {
    stale *s = self;
    pid_t pid = (pid_t)sqlite3_column_int64(row, 0);
    s->g->launcher->end_stale(s->g->launcher->self, pid, sqlite3_column_int64(row, 1));
    s->count++;
    return true;
}

fw_status fw_generations_open(fw_generations *g, fw_error *error) {
    stale s = {.g = g};
    pthread_mutex_init(&g->lock, NULL);
    g->job = (fw_job){.out_fd = -1};
    sqlite3 *db = fw_catalogue_read(g->catalogue);
    fw_status status =
        fw_db_each(db, error, end_stale, &s, "SELECT pid,start_ticks FROM leases", "");
    fw_catalogue_read_end(g->catalogue);
    if (status != FW_OK || s.count == 0) return status; /* a full disk is no reason not to start */
    db = fw_catalogue_begin(g->catalogue, error);
    if (!db) return FW_IO;
    status = fw_db_run(db, error, "DELETE FROM leases", "");
    if (status == FW_OK)
        status = fw_log_add(db, fw_env_wall_ns(g->env), "restart",
                            "the factory restarted and goes on with the stage it was in", error);
    return fw_catalogue_end(g->catalogue, status, error);
}

void fw_generations_close(fw_generations *g) {
    g->launcher->stop(g->launcher->self, &g->job);
    pthread_mutex_destroy(&g->lock);
}

fw_job_progress fw_generations_progress(fw_generations *g) {
    pthread_mutex_lock(&g->lock);
    fw_job_progress progress = g->progress;
    pthread_mutex_unlock(&g->lock);
    return progress;
}

json_t *fw_generations_progress_json(const fw_job_progress *p) {
    json_t *json =
        json_pack("{s:s,s:f,s:f,s:s}", "phase", p->phase, "done", p->done, "total", p->total,
                  "unit", fw_job_unit(p->job));
    if (isfinite(p->per_s)) json_object_set_new(json, "per_s", json_real(p->per_s));
    if (isfinite(p->left_s)) json_object_set_new(json, "left_s", json_real(p->left_s));
    return json;
}

/* ---- the tick ---- */

fw_status fw_generation_fail(fw_generations *g, const fw_generation_row *row, const char *reason,
                             fw_error *error) {
    char text[400], folder[FW_PATH_MAX];
    int64_t now_ns = fw_env_wall_ns(g->env);
    sqlite3 *db = fw_catalogue_begin(g->catalogue, error);
    if (!db) return FW_IO;
    fw_status status = fw_db_run(
        db, error,
        "UPDATE generations SET stage='failed',decision='failed',reason=?,model=parent,done_ns=? "
        "WHERE n=?",
        "tii", reason, now_ns, row->n);
    snprintf(text, sizeof text, "generation %lld failed: %s", (long long)row->n, reason);
    if (status == FW_OK) status = fw_log_add(db, now_ns, "failed", text, error);
    FW_TRY(fw_catalogue_end(g->catalogue, status, error));
    fw_log_error("%s", text);
    fw_generation_folder(g, row->n, folder);
    return fw_folder_remove(folder, error);
}

fw_status fw_generations_tick(fw_generations *g, fw_error *error) {
    fw_generation_row row;
    FW_TRY(fw_generation_running(g->catalogue, &row, error));
    if (!row.found) return FW_OK;
    if (strcmp(row.stage, "dataset") == 0) return fw_generation_dataset(g, &row, error);
    if (strcmp(row.stage, "rollout") == 0) return fw_generation_rollout(g, &row, error);
    return fw_generation_job(g, &row, error);
}

/* ---- the rollout ---- */

/* What a rollout's end means for the generation, and for what the gate had decided about its model. */
static fw_status write_end(sqlite3 *db, const fw_generation_row *row, const fw_rollout_outcome *o, bool kept,
                           int64_t now_ns, fw_error *error) {
    char reason[400];
    FW_TRY(fw_db_run(db, error,
                     "UPDATE generations SET stage='done',done_ns=?,rollout_units=?,rollout_active=?,"
                     "rollout_refused=? WHERE n=?",
                     "iiiii", now_ns, (int64_t)o->units, (int64_t)o->active, (int64_t)o->refused, row->n));
    if (kept) return FW_OK;
    snprintf(reason, sizeof reason, "rolled back: %s", o->reason);
    FW_TRY(fw_db_run(db, error, "UPDATE generations SET decision='rolled_back',reason=?,model=parent WHERE n=?", "ti",
                     reason, row->n));
    return fw_db_run(db, error, "UPDATE models SET decision='rolled_back',reason=? WHERE hash=?", "tt", reason,
                     row->candidate);
}

static fw_status end_rollout(fw_generations *g, const fw_generation_row *row, const fw_rollout_outcome *o,
                             fw_error *error) {
    char text[400];
    int64_t now_ns = fw_env_wall_ns(g->env);
    bool kept = strcmp(o->state, "done") == 0;
    sqlite3 *db = fw_catalogue_begin(g->catalogue, error);
    if (!db) return FW_IO;
    fw_status status = write_end(db, row, o, kept, now_ns, error);
    snprintf(text, sizeof text, "generation %lld: %u of %u units drive %.12s%s", (long long)row->n, o->active, o->units,
             row->candidate, kept ? "" : " no more");
    if (status == FW_OK) status = fw_log_add(db, now_ns, "rollout", text, error);
    FW_TRY(fw_catalogue_end(g->catalogue, status, error));
    fw_log_info("%s", text);
    return FW_OK;
}

fw_status fw_generation_rollout(fw_generations *g, const fw_generation_row *row, fw_error *error) {
    fw_rollout_outcome o;
    int64_t n = 0;
    FW_TRY(fw_rollouts_of_generation(g->rollouts, row->n, &o, error));
    if (o.n == 0) {
        fw_status status = fw_rollouts_start(g->rollouts, row->n, row->candidate, NULL, &n, error);
        return status == FW_BUSY ? FW_OK : status; /* somebody's own rollout goes first */
    }
    bool over = strcmp(o.state, "done") == 0 || strcmp(o.state, "rolled_back") == 0;
    return over ? end_rollout(g, row, &o, error) : FW_OK;
}

/* ---- POST ---- */

typedef struct wish {
    int64_t seed, agent_steps;
} wish;

static fw_status parse_wish(const char *body, size_t body_bytes, wish *out, fw_error *error) {
    json_t *json = fw_json_load(body ? body : "", body_bytes, JSON_REJECT_DUPLICATES, NULL);
    const json_t *seed = json_object_get(json, "seed"),
                 *steps = json_object_get(json, "agent_steps");
    bool good = json_is_integer(seed) && json_is_integer(steps) && json_integer_value(seed) >= 0 &&
                json_integer_value(steps) > 0 && json_integer_value(steps) <= 1000000000000LL;
    wish found = {json_integer_value(seed), json_integer_value(steps)};
    json_decref(json);
    if (!good)
        return fw_fail(error, FW_INVALID,
                       "want {\"seed\":0 or more,\"agent_steps\":1 to 1000000000000}");
    *out = found;
    return FW_OK;
}

/* Nothing runs, a champion is there, and so are recordings of both roles. */
static fw_status may_start(sqlite3 *db, char champion[FW_HASH_HEX + 1], fw_error *error) {
    int64_t running = 0, train = 0, held_out = 0;
    FW_TRY(fw_db_int(db, error, &running,
                     "SELECT count(*) FROM generations WHERE stage NOT IN('done','failed')", ""));
    if (running) return fw_fail(error, FW_BUSY, "a generation is in work; wait until it is done");
    FW_TRY(fw_setting_get(db, "champion", champion, FW_HASH_HEX + 1, error));
    if (!champion[0])
        return fw_fail(error, FW_NOT_FOUND,
                       "no champion model yet; add one: flywheel models add FILE --champion");
    const char *sql = "SELECT count(*) FROM recordings r JOIN objects o USING(sha256) WHERE "
                      "o.state='kept' AND r.role=? AND " FW_RECORDINGS_TRAIN;
    FW_TRY(fw_db_int(db, error, &train, sql, "t", "train"));
    FW_TRY(fw_db_int(db, error, &held_out, sql, "t", "held_out"));
    if (train == 0 || held_out == 0)
        return fw_fail(error, FW_NOT_FOUND,
                       "%lld recordings to train on and %lld held out: need at least one of each "
                       "(every fourth unit, 3, 7, 11 ..., is held out, so a fleet needs at least "
                       "4 units)",
                       (long long)train, (long long)held_out);
    return FW_OK;
}

static fw_status insert_generation(sqlite3 *db, const wish *w, const char *champion, int64_t now_ns,
                                   int64_t *index, fw_error *error) {
    FW_TRY(fw_db_run(db, error,
                     "INSERT INTO generations(seed,agent_steps_wanted,stage,parent,created_ns) "
                     "VALUES(?,?,'dataset',?,?)",
                     "iiti", w->seed, w->agent_steps, champion, now_ns));
    *index = sqlite3_last_insert_rowid(db);
    return fw_db_run(db, error,
                     "UPDATE recordings AS r SET generation=? WHERE r.generation IS NULL AND r.sha256 "
                     "IN (SELECT sha256 FROM objects WHERE state='kept') AND " FW_RECORDINGS_TRAIN,
                     "i", *index);
}

fw_status fw_generations_post(fw_generations *g, const char *body, size_t body_bytes,
                              int64_t *index, fw_error *error) {
    wish w = {0, 0};
    char champion[FW_HASH_HEX + 1];
    FW_TRY(parse_wish(body, body_bytes, &w, error));
    sqlite3 *db = fw_catalogue_begin(g->catalogue, error);
    if (!db) return FW_IO;
    fw_status status = may_start(db, champion, error);
    if (status == FW_OK)
        status = insert_generation(db, &w, champion, fw_env_wall_ns(g->env), index, error);
    return fw_catalogue_end(g->catalogue, status, error);
}

/* ---- listing ---- */

#define GENERATION_SQL                                                                             \
    "json_object('index',n,'n',n,'stage',stage,'seed',seed,'agent_steps_wanted',agent_steps_"      \
    "wanted,"                                                                                      \
    "'model',model,'candidate',candidate,'parent',nullif(parent,''),'dataset',dataset,"            \
    "'decision',decision,'reason',reason,'recordings',recordings,'bytes_uploaded',bytes_uploaded," \
    "'train_core_s',train_core_s,'agent_steps',agent_steps,'event_to_model_s',"                    \
    "CASE WHEN decision='promoted' AND stage='done' AND rollout_active>0 AND "                    \
    "rollout_active=rollout_units AND first_event_ns>0 THEN "                                     \
    "(done_ns-first_event_ns)/1e9 END,'train',json(train),'gate',json(gate),'crashes',crashes,"    \
    "'rollout',CASE WHEN rollout_units IS NOT NULL THEN json_object('units',rollout_units,"        \
    "'active',rollout_active,'refused',rollout_refused) END,"                                      \
    "'times',json_object('first_event_ns',first_event_ns,'created_ns',created_ns,'dataset_ns',"    \
    "dataset_ns,'train_ns',train_ns,'gate_ns',gate_ns,'done_ns',done_ns))"

fw_status fw_generations_json(fw_generations *g, char **json, fw_error *error) {
    return fw_catalogue_json(g->catalogue, json, error,
                             "SELECT coalesce(json_group_array(json(j)),'[]') FROM "
                             "(SELECT " GENERATION_SQL " j FROM generations ORDER BY n)");
}

/* Adds what is not in the catalogue: how far it got in the fleet, what its job says. */
static char *with_live(char *text, const fw_units_share *share, const fw_job_progress *progress) {
    json_t *json = fw_json_load_text(text);
    if (progress->running)
        json_object_set_new(json, "progress", fw_generations_progress_json(progress));
    json_object_set_new(json, "units", json_integer(share->recent));
    json_object_set_new(json, "units_staged", json_integer(share->staged));
    json_object_set_new(json, "units_active", json_integer(share->active));
    json_object_set_new(json, "units_refused", json_integer(share->refused));
    char *out = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    free(text);
    return out;
}

fw_status fw_generations_json_of(fw_generations *g, int64_t index, char **json, fw_error *error) {
    char *text = NULL, *model = NULL;
    sqlite3 *db = fw_catalogue_read(g->catalogue);
    fw_status status = fw_db_text(
        db, error, &text, "SELECT " GENERATION_SQL " FROM generations WHERE n=?", "i", index);
    if (status == FW_OK)
        status =
            fw_db_text(db, error, &model, "SELECT model FROM generations WHERE n=?", "i", index);
    fw_catalogue_read_end(g->catalogue);
    if (status != FW_OK) {
        free(text);
        return status == FW_NOT_FOUND
                   ? fw_fail(error, status, "no generation %lld", (long long)index)
                   : status;
    }
    fw_units_share share = fw_units_share_of(g->units, model);
    free(model);
    fw_job_progress progress = fw_generations_progress(g);
    progress.running = progress.running && progress.generation == index;
    *json = with_live(text, &share, &progress);
    return FW_OK;
}
