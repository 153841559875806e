/* rollout.c - the states of a rollout and who runs what (rollout.h). */
#include "factory/rollout/rollout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "factory/rollout/rollout_state.h"

enum { SAVE_S = 30, SIGN_RETRY_S = 5 };

static bool passed(int64_t since_ns, int64_t now_ns, double seconds) {
    return since_ns == 0 || (double)(now_ns - since_ns) >= seconds * 1e9;
}

/* ---- life ---- */

/* The open one, when memory has none: after a start, and after a failure that cost it. */
static fw_status take_up(fw_rollouts *r, sqlite3 *db, fw_error *error) {
    int64_t n = 0;
    if (r->open.n) return FW_OK;
    FW_TRY(fw_db_int(db, error, &n,
                     "SELECT coalesce(max(n),0) FROM rollouts WHERE state NOT IN('done','rolled_back')", ""));
    return n ? fw_rollout_load(r, db, n, error) : FW_OK;
}

fw_status fw_rollouts_open(const fw_rollouts_config *config, fw_rollouts **out, fw_error *error) {
    fw_rollouts *r = calloc(1, sizeof *r);
    if (!r) return fw_fail(error, FW_NO_MEMORY, "no memory for rollouts");
    r->config = *config;
    pthread_mutex_init(&r->lock, NULL);
    sqlite3 *db = fw_catalogue_read(config->catalogue);
    fw_status status = fw_setting_get(db, "champion", r->champion, sizeof r->champion, error);
    if (status == FW_OK) status = fw_rollout_load_pins(r, db, error);
    if (status == FW_OK) status = take_up(r, db, error);
    fw_catalogue_read_end(config->catalogue);
    if (status != FW_OK) {
        fw_rollouts_close(r);
        return status;
    }
    *out = r;
    return FW_OK;
}

void fw_rollouts_close(fw_rollouts *r) {
    if (!r) return;
    fw_rollout_free(&r->open);
    fw_names_free(&r->pinned);
    fw_names_free(&r->assigned);
    free(r->pins);
    free(r->assignments);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

/* ---- who runs what ---- */

static const char *target_of(fw_rollouts *rollouts, const char *unit) {
    fw_rollout *r = &rollouts->open;
    const fw_member *m = fw_rollout_member(r, unit);
    bool turned_back = fw_rollout_is(r, "rolling_back");
    if (m && !turned_back && (m->state == FW_MEMBER_told || m->state == FW_MEMBER_active)) return r->model;
    uint32_t pin = fw_names_find(&rollouts->pinned, unit);
    return pin == FW_NAMES_NONE ? rollouts->champion : rollouts->pins[pin];
}

/* The champion may be set by others (POST /v1/models). */
static fw_status read_champion(fw_rollouts *r, fw_error *error) {
    sqlite3 *db = fw_catalogue_read(r->config.catalogue);
    fw_status status = fw_setting_get(db, "champion", r->champion, sizeof r->champion, error);
    fw_catalogue_read_end(r->config.catalogue);
    return status;
}

void fw_rollout_target(fw_rollouts *rollouts, const char *unit, char out[FW_HASH_HEX + 1]) {
    fw_error error;
    pthread_mutex_lock(&rollouts->lock);
    (void)!read_champion(rollouts, &error); /* else as it was a moment ago */
    snprintf(out, FW_HASH_HEX + 1, "%s", target_of(rollouts, unit));
    pthread_mutex_unlock(&rollouts->lock);
}

void fw_rollout_shadow(fw_rollouts *rollouts, const char *unit, char out[FW_HASH_HEX + 1]) {
    pthread_mutex_lock(&rollouts->lock);
    const fw_member *m = fw_rollout_member(&rollouts->open, unit);
    bool shadows = m && m->state == FW_MEMBER_shadow && fw_rollout_is(&rollouts->open, "rolling");
    snprintf(out, FW_HASH_HEX + 1, "%s", shadows ? rollouts->open.model : "");
    pthread_mutex_unlock(&rollouts->lock);
}

/* ---- the director is told ---- */

typedef struct wanted {
    fw_rollouts *rollouts;
    fw_names units; /* whose assignment is another one now */
    bool short_of_memory;
} wanted;

static void want(void *self, const fw_unit *unit) {
    wanted *w = self;
    fw_rollouts *r = w->rollouts;
    const char *target = target_of(r, unit->name);
    uint32_t place = fw_names_find(&r->assigned, unit->name);
    if (!*target || (place != FW_NAMES_NONE && strcmp(r->assignments[place], target) == 0)) return;
    w->short_of_memory = !fw_names_add(&w->units, unit->name) || w->short_of_memory;
}

static void count_left(void *self, const fw_unit *unit) {
    fw_rollouts *r = self;
    uint32_t place = fw_names_find(&r->assigned, unit->name);
    const char *target = target_of(r, unit->name);
    r->left_out += *target && (place == FW_NAMES_NONE || strcmp(r->assignments[place], target) != 0);
}

static bool remember(fw_rollouts *r, const char *unit, const char *model) {
    uint32_t place = fw_names_find(&r->assigned, unit);
    if (place == FW_NAMES_NONE) {
        char(*grown)[FW_HASH_HEX + 1] = realloc(r->assignments, (r->assigned.count + 1) * sizeof *grown);
        if (grown) r->assignments = grown;
        if (!grown || !fw_names_add(&r->assigned, unit)) return false;
        place = r->assigned.count - 1;
    }
    memcpy(r->assignments[place], model, FW_HASH_HEX + 1);
    return true;
}

/* Assigns; *assigned: whom. A model that is not released (FW_NOT_FOUND) is left out, and why kept in *error. */
static fw_status assign_all(fw_rollouts *r, const fw_names *units, fw_names *assigned, fw_error *error) {
    const fw_rollout_signer *signer = &r->config.signer;
    sqlite3 *db = fw_catalogue_begin(r->config.catalogue, error);
    if (!db) return FW_IO;
    fw_status status = FW_OK;
    for (uint32_t i = 0; i < units->count && status == FW_OK; i++) {
        const char *unit = units->names[i];
        status = signer->assign(signer->self, db, unit, target_of(r, unit), error);
        if (status == FW_OK && !fw_names_add(assigned, unit))
            status = fw_fail(error, FW_NO_MEMORY, "no memory to assign models");
        if (status == FW_NOT_FOUND) status = FW_OK;
    }
    return fw_catalogue_end(r->config.catalogue, status, error);
}

static fw_status assign(fw_rollouts *r, const fw_names *units, bool *left_out, fw_error *error) {
    fw_names assigned = {0};
    fw_status status = assign_all(r, units, &assigned, error);
    for (uint32_t i = 0; status == FW_OK && i < assigned.count; i++)
        if (!remember(r, assigned.names[i], target_of(r, assigned.names[i])))
            status = fw_fail(error, FW_NO_MEMORY, "no memory to assign models");
    *left_out = assigned.count < units->count;
    fw_names_free(&assigned);
    return status;
}

/* Brings the director's word in step with target_of. What is not released yet is asked again, after a while. */
static fw_status reconcile(fw_rollouts *r, int64_t now_ns, fw_error *error) {
    wanted w = {.rollouts = r};
    fw_error why = {""};
    bool left_out = false;
    if (!r->config.signer.assign || (fw_rollout_is(&r->open, "rolling_back") && !r->open.released)) return FW_OK;
    fw_units_each(r->config.units, want, &w);
    bool same = w.units.count == r->left_out && r->left_out > 0;
    if (w.units.count == 0 || (same && !passed(r->signed_ns, now_ns, SIGN_RETRY_S))) {
        fw_names_free(&w.units);
        return FW_OK;
    }
    fw_status status = w.short_of_memory ? fw_fail(&why, FW_NO_MEMORY, "no memory to assign models")
                                         : assign(r, &w.units, &left_out, &why);
    if (left_out && r->left_out == 0) fw_log_warn("some units are assigned no model: %s", why.text);
    fw_names_free(&w.units);
    r->left_out = 0;
    r->signed_ns = now_ns;
    if (status != FW_OK) return fw_fail(error, status, "%s", why.text);
    if (left_out) fw_units_each(r->config.units, count_left, r);
    return FW_OK;
}

/* ---- steps: in the catalogue, then here ---- */

typedef struct step {
    const char *state, *kind, *text;
    uint32_t ring;
    const fw_rollout_evidence *evidence;
    bool crown; /* the fleet's model is the rollout's now; uncrown: the one before */
    bool uncrown;
} step;

static fw_status commit_step(fw_rollouts *r, const step *s, fw_error *error) {
    sqlite3 *db = fw_catalogue_begin(r->config.catalogue, error);
    if (!db) return FW_IO;
    fw_status status = fw_rollout_save(r, db, true, error);
    if (status == FW_OK)
        status = fw_rollout_step(r, db, s->state, s->ring, s->kind, s->text, s->evidence, error);
    if (status == FW_OK && (s->crown || s->uncrown))
        status = fw_setting_set(db, "champion", s->crown ? r->open.model : r->open.previous, error);
    FW_TRY(fw_catalogue_end(r->config.catalogue, status, error));
    fw_rollout_saved(r, true);
    snprintf(r->open.state, sizeof r->open.state, "%s", s->state);
    if (s->crown || s->uncrown)
        snprintf(r->champion, sizeof r->champion, "%s", s->crown ? r->open.model : r->open.previous);
    return FW_OK;
}

/* After a commit that failed, memory is what the catalogue says. */
static fw_status take_step(fw_rollouts *r, const step *s, fw_error *error) {
    fw_status status = commit_step(r, s, error);
    if (status == FW_OK) return FW_OK;
    fw_error ignored;
    int64_t n = r->open.n;
    sqlite3 *db = fw_catalogue_read(r->config.catalogue);
    fw_status again = fw_rollout_load(r, db, n, &ignored);
    fw_catalogue_read_end(r->config.catalogue);
    if (again != FW_OK) fw_log_error("rollout %lld cannot be read: %s", (long long)n, ignored.text);
    return status;
}

static bool of_whole_fleet(const fw_rollout *r) {
    const char *group = json_string_value(r->plan.group);
    return group && strcmp(group, "*") == 0;
}

static fw_status finish(fw_rollouts *r, fw_error *error) {
    sqlite3 *db = fw_catalogue_read(r->config.catalogue);
    fw_status status = fw_rollout_load_pins(r, db, error);
    fw_catalogue_read_end(r->config.catalogue);
    fw_rollout_free(&r->open);
    return status;
}

static fw_status done(fw_rollouts *r, const char *text, const fw_rollout_evidence *evidence, fw_error *error) {
    const step s = {.state = "done",
                    .kind = "done",
                    .text = text,
                    .ring = r->open.ring,
                    .evidence = evidence,
                    .crown = of_whole_fleet(&r->open)};
    FW_TRY(take_step(r, &s, error));
    return finish(r, error);
}

/* The next ring that brings somebody; ring_count when all have it. */
static uint32_t next_ring(const fw_rollout *r) {
    uint32_t next = r->plan.ring_count;
    for (uint32_t i = 0; i < r->count; i++) {
        const fw_member *m = &r->members[i];
        bool waits = m->state == FW_MEMBER_waiting || m->state == FW_MEMBER_shadow;
        uint32_t comes = m->ring > r->ring ? m->ring : r->ring + 1;
        if (waits && comes < next) next = comes;
    }
    return next;
}

static fw_status advance(fw_rollouts *r, const fw_rollout_evidence *evidence, fw_error *error) {
    uint32_t next = next_ring(&r->open);
    if (next == r->open.plan.ring_count) return done(r, evidence->reason, evidence, error);
    const step s = {.state = "rolling",
                    .kind = "ring",
                    .text = evidence->reason,
                    .ring = next,
                    .evidence = evidence};
    fw_rollout_begin_ring(r, s.ring);
    return take_step(r, &s, error);
}

static void turn_members_back(fw_rollout *r) {
    for (uint32_t i = 0; i < r->count; i++) {
        fw_member *m = &r->members[i];
        if (m->state == FW_MEMBER_told || m->state == FW_MEMBER_active) m->state = FW_MEMBER_back;
        if (m->state == FW_MEMBER_shadow) m->state = FW_MEMBER_waiting;
    }
}

static fw_status turn_back(fw_rollouts *r, const char *kind, const char *text, const fw_rollout_evidence *evidence,
                           bool uncrown, fw_error *error) {
    const step s = {.state = "rolling_back",
                    .kind = kind,
                    .text = text,
                    .ring = r->open.ring,
                    .evidence = evidence,
                    .uncrown = uncrown};
    turn_members_back(&r->open);
    FW_TRY(take_step(r, &s, error));
    r->open.ring_ns = fw_env_mono_ns(r->config.env);
    r->open.released = false;
    return FW_OK;
}

/* ---- looks ---- */

/* Reports into members; written when a state changed, and every SAVE_S. */
static fw_status take_reports(fw_rollouts *r, int64_t now_ns, fw_error *error) {
    bool all = passed(r->saved_ns, now_ns, SAVE_S), changed = false;
    sqlite3 *db = fw_catalogue_begin(r->config.catalogue, error);
    if (!db) return FW_IO;
    fw_status status = fw_rollout_take_reports(r, db, error);
    for (uint32_t i = 0; i < r->open.count; i++) changed = changed || r->open.members[i].changed;
    if (status == FW_OK && (all || changed)) status = fw_rollout_save(r, db, all, error);
    FW_TRY(fw_catalogue_end(r->config.catalogue, status, error));
    fw_rollout_saved(r, all);
    return FW_OK;
}

/* True when every unit heard of runs something else again. */
static bool all_back(const fw_rollout *r, uint32_t *left) {
    *left = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        const fw_member *m = &r->members[i];
        *left += m->state == FW_MEMBER_back && m->on && m->heard;
    }
    return *left == 0;
}

/* Units take the model before only with a release counter above that of the model they have. */
static fw_status release_again(fw_rollouts *r, fw_error *error) {
    const fw_rollout_signer *signer = &r->config.signer;
    if (r->open.released) return FW_OK;
    if (signer->release && r->open.previous[0]) FW_TRY(signer->release(signer->self, r->open.previous, error));
    r->open.released = true;
    return FW_OK;
}

static fw_status look_back(fw_rollouts *r, int64_t now_ns, fw_error *error) {
    char text[120];
    uint32_t left;
    bool late = passed(r->open.ring_ns, now_ns, r->open.plan.rings[r->open.ring].time_max_s);
    fw_status released = release_again(r, error);
    if (released != FW_OK && !late) return released;
    if (!all_back(&r->open, &left) && !late) return FW_OK;
    snprintf(text, sizeof text, left ? "%u units still run it; time is over for them" : "no unit runs it any more", left);
    const step s = {.state = "rolled_back", .kind = "rolled_back", .text = text, .ring = r->open.ring};
    FW_TRY(take_step(r, &s, error));
    return finish(r, error);
}

static fw_status look_ahead(fw_rollouts *r, int64_t now_ns, fw_error *error) {
    fw_rollout *o = &r->open;
    fw_rollout_evidence *seen = &o->seen;
    if (o->count == 0) return done(r, "no unit is known yet to take it", NULL, error);
    fw_rollout_unit *units = fw_rollout_units_of(o);
    if (!units) return fw_fail(error, FW_NO_MEMORY, "no memory for a look at a rollout");
    fw_rollout_look(&o->plan, o->ring, (double)(now_ns - o->ring_ns) / 1e9, o->settled, units, o->count, seen);
    fw_rollout_settle(o, seen->settled);
    free(units);
    if (seen->action == FW_ROLLOUT_ADVANCE) return advance(r, seen, error);
    if (seen->action == FW_ROLLOUT_HALT) return turn_back(r, "halt", seen->reason, seen, false, error);
    return seen->action == FW_ROLLOUT_DONE ? done(r, seen->reason, seen, error) : FW_OK;
}

static fw_status look(fw_rollouts *r, int64_t now_ns, bool decide, fw_error *error) {
    r->looked_ns = now_ns;
    FW_TRY(take_reports(r, now_ns, error));
    r->changes = fw_catalogue_changes(r->config.catalogue); /* what is decided now is looked at again */
    if (fw_rollout_is(&r->open, "rolling_back")) return look_back(r, now_ns, error);
    return decide && fw_rollout_is(&r->open, "rolling") ? look_ahead(r, now_ns, error) : FW_OK;
}

static bool is_due(const fw_rollouts *r, int64_t now_ns) {
    return fw_catalogue_changes(r->config.catalogue) != r->changes ||
           passed(r->looked_ns, now_ns, FW_ROLLOUT_LOOK_MS / 1e3);
}

fw_status fw_rollouts_tick(fw_rollouts *r, fw_error *error) {
    int64_t now_ns = fw_env_mono_ns(r->config.env);
    pthread_mutex_lock(&r->lock);
    sqlite3 *db = fw_catalogue_read(r->config.catalogue);
    fw_status status = take_up(r, db, error);
    fw_catalogue_read_end(r->config.catalogue);
    if (status == FW_OK) status = read_champion(r, error);
    if (status == FW_OK && r->open.n && is_due(r, now_ns)) status = look(r, now_ns, !r->open.plan.looks_asked, error);
    if (status == FW_OK) status = reconcile(r, now_ns, error);
    pthread_mutex_unlock(&r->lock);
    return status;
}

/* ---- what people say ---- */

typedef struct entrants {
    fw_rollout *rollout;
    bool short_of_memory;
} entrants;

static void enter(void *self, const fw_unit *unit) {
    entrants *e = self;
    const fw_member waiting = {.changed = true, .last = unit->health, .reported_ns = unit->reported_ns};
    if (!fw_rollout_plan_takes(&e->rollout->plan, unit->name)) return;
    if (!fw_rollout_add(e->rollout, unit->name, &waiting)) e->short_of_memory = true;
}

static fw_status parse_plan(fw_rollouts *r, sqlite3 *db, const char *text, fw_error *error) {
    if (!text) return fw_rollout_plan_of(r, db, &r->open.plan, error);
    fw_units_share share = fw_units_share_of(r->config.units, "");
    return fw_rollout_plan_parse(text, strlen(text), share.known, &r->open.plan, error);
}

static fw_status may_start(fw_rollouts *r, sqlite3 *db, const char *model, fw_error *error) {
    int64_t models = 0;
    if (r->open.n) return fw_fail(error, FW_BUSY, "rollout %lld is open; one at a time", (long long)r->open.n);
    FW_TRY(fw_db_int(db, error, &models, "SELECT count(*) FROM models WHERE hash=?", "t", model));
    if (models == 0) return fw_fail(error, FW_NOT_FOUND, "no model %.12s in the registry", model);
    FW_TRY(fw_setting_get(db, "champion", r->champion, sizeof r->champion, error));
    if (strcmp(r->champion, model) != 0) return FW_OK;
    return fw_fail(error, FW_INVALID, "%.12s is the fleet's model already", model);
}

/* Within a transaction; the open rollout is half made when it fails. */
static fw_status start(fw_rollouts *r, sqlite3 *db, int64_t generation, const char *model, const char *plan,
                       fw_error *error) {
    fw_rollout *o = &r->open;
    char text[120];
    FW_TRY(parse_plan(r, db, plan, error));
    o->generation = generation;
    snprintf(o->model, sizeof o->model, "%s", model);
    snprintf(o->previous, sizeof o->previous, "%s", r->champion);
    FW_TRY(fw_rollout_insert(r, db, error));
    entrants e = {.rollout = o};
    fw_units_each(r->config.units, enter, &e);
    if (e.short_of_memory) return fw_fail(error, FW_NO_MEMORY, "no memory for a rollout's units");
    FW_TRY(fw_rollout_deal(o, error));
    fw_rollout_begin_ring(r, 0);
    FW_TRY(fw_rollout_save(r, db, true, error));
    snprintf(text, sizeof text, "%u units, %u rings", o->count, o->plan.ring_count);
    return fw_rollout_step(r, db, "rolling", 0, "start", text, NULL, error);
}

/* What the gate let through is released; what a person chose may not be yet, or has a counter that units refuse. */
static fw_status release_first(fw_rollouts *r, const char *model, fw_error *error) {
    const fw_rollout_signer *signer = &r->config.signer;
    sqlite3 *db = fw_catalogue_read(r->config.catalogue);
    fw_status status = may_start(r, db, model, error);
    fw_catalogue_read_end(r->config.catalogue);
    return status == FW_OK && signer->release ? signer->release(signer->self, model, error) : status;
}

static fw_status start_locked(fw_rollouts *r, int64_t generation, const char *model, const char *plan, int64_t *n,
                              fw_error *error) {
    if (generation == 0) FW_TRY(release_first(r, model, error));
    sqlite3 *db = fw_catalogue_begin(r->config.catalogue, error);
    bool mine = db && r->open.n == 0;
    fw_status status = db ? may_start(r, db, model, error) : FW_IO;
    if (status == FW_OK) status = start(r, db, generation, model, plan, error);
    if (db) status = fw_catalogue_end(r->config.catalogue, status, error);
    if (status == FW_OK) {
        fw_rollout_saved(r, true);
        *n = r->open.n;
    } else if (mine)
        fw_rollout_free(&r->open);
    return status;
}

fw_status fw_rollouts_start(fw_rollouts *r, int64_t generation, const char *model, const char *plan, int64_t *n,
                            fw_error *error) {
    pthread_mutex_lock(&r->lock);
    fw_status status = start_locked(r, generation, model, plan, n, error);
    pthread_mutex_unlock(&r->lock);
    return status;
}

/* With the lock held: is it the open one, in this state? */
static fw_status expect(const fw_rollouts *r, int64_t n, const char *state, fw_error *error) {
    if (r->open.n != n) return fw_fail(error, FW_NOT_FOUND, "rollout %lld is not open", (long long)n);
    if (fw_rollout_is(&r->open, state)) return FW_OK;
    return fw_fail(error, FW_INVALID, "rollout %lld is %s, not %s", (long long)n, r->open.state, state);
}

fw_status fw_rollouts_halt(fw_rollouts *r, int64_t n, const char *reason, fw_error *error) {
    pthread_mutex_lock(&r->lock);
    const step s = {.state = "halted", .kind = "halt", .text = reason, .ring = r->open.ring};
    fw_status status = expect(r, n, "rolling", error);
    if (status == FW_OK) status = take_step(r, &s, error);
    pthread_mutex_unlock(&r->lock);
    return status;
}

fw_status fw_rollouts_resume(fw_rollouts *r, int64_t n, fw_error *error) {
    pthread_mutex_lock(&r->lock);
    const step s = {.state = "rolling", .kind = "resume", .text = "goes on with this ring", .ring = r->open.ring};
    fw_status status = expect(r, n, "halted", error);
    if (status == FW_OK) fw_rollout_begin_ring(r, s.ring);
    if (status == FW_OK) status = take_step(r, &s, error);
    pthread_mutex_unlock(&r->lock);
    return status;
}

/* The last rollout that is done may be turned back too, as long as its model is the fleet's. */
static fw_status reopen(fw_rollouts *r, int64_t n, fw_error *error) {
    sqlite3 *db = fw_catalogue_read(r->config.catalogue);
    fw_status status = fw_setting_get(db, "champion", r->champion, sizeof r->champion, error);
    if (status == FW_OK) status = fw_rollout_load(r, db, n, error);
    fw_catalogue_read_end(r->config.catalogue);
    FW_TRY(status);
    if (fw_rollout_is(&r->open, "done") && of_whole_fleet(&r->open) && r->open.previous[0] &&
        strcmp(r->open.model, r->champion) == 0)
        return FW_OK;
    fw_rollout_free(&r->open);
    return fw_fail(error, FW_INVALID, "rollout %lld is over, and its model is not the fleet's", (long long)n);
}

fw_status fw_rollouts_rollback(fw_rollouts *r, int64_t n, const char *reason, fw_error *error) {
    pthread_mutex_lock(&r->lock);
    bool was_open = r->open.n != 0;
    fw_status status = was_open ? expect(r, n, r->open.state, error) : reopen(r, n, error);
    if (status == FW_OK && fw_rollout_is(&r->open, "rolling_back"))
        status = fw_fail(error, FW_INVALID, "rollout %lld is being turned back already", (long long)n);
    if (status == FW_OK) status = turn_back(r, "rollback", reason, NULL, !was_open, error);
    if (status != FW_OK && !was_open) fw_rollout_free(&r->open);
    pthread_mutex_unlock(&r->lock);
    return status;
}

fw_status fw_rollouts_look(fw_rollouts *r, int64_t n, fw_error *error) {
    pthread_mutex_lock(&r->lock);
    int64_t now_ns = fw_env_mono_ns(r->config.env);
    fw_status status = r->open.n == n ? look(r, now_ns, true, error)
                                      : fw_fail(error, FW_NOT_FOUND, "rollout %lld is not open", (long long)n);
    if (status == FW_OK) status = reconcile(r, now_ns, error);
    pthread_mutex_unlock(&r->lock);
    return status;
}
