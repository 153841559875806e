/* rollout_members.c - who takes part in a rollout, and what their reports say of it (rollout_state.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "factory/rollout/rollout_state.h"

static const char *const state_names[FW_MEMBER_STATE_COUNT] = {
#define X(name) #name,
    FW_MEMBER_STATES(X)
#undef X
};

const char *fw_member_state_name(fw_member_state state) {
    return state_names[state];
}

bool fw_rollout_is(const fw_rollout *rollout, const char *state) {
    return rollout->n != 0 && strcmp(rollout->state, state) == 0;
}

void fw_rollout_free(fw_rollout *r) {
    free(r->members);
    fw_names_free(&r->names);
    fw_rollout_plan_free(&r->plan);
    *r = (fw_rollout){0};
}

fw_member *fw_rollout_member(fw_rollout *r, const char *unit) {
    uint32_t place = r->n ? fw_names_find(&r->names, unit) : FW_NAMES_NONE;
    return place == FW_NAMES_NONE ? NULL : &r->members[place];
}

bool fw_rollout_add(fw_rollout *r, const char *unit, const fw_member *member) {
    if (r->count == r->room) {
        uint32_t room = r->room ? 2 * r->room : 64;
        fw_member *grown = realloc(r->members, room * sizeof *grown);
        if (!grown) return false;
        r->members = grown;
        r->room = room;
    }
    if (!fw_names_add(&r->names, unit)) return false;
    r->members[r->count++] = *member;
    return true;
}

/* ---- rings ---- */

typedef struct place {
    uint64_t order;
    uint32_t member;
} place;

static int by_order(const void *a, const void *b) {
    const place *x = a, *y = b;
    if (x->order != y->order) return x->order < y->order ? -1 : 1;
    return x->member < y->member ? -1 : x->member > y->member;
}

/* The first active ring that reaches so far. */
static uint32_t ring_of(const fw_rollout *r, uint32_t rank) {
    for (uint32_t i = 0; i + 1 < r->plan.ring_count; i++)
        if (!r->plan.rings[i].shadow && rank < fw_rollout_plan_reach(&r->plan, i, r->count)) return i;
    return r->plan.ring_count - 1;
}

static place *in_order(const fw_rollout *r) {
    place *places = malloc((r->count + 1) * sizeof *places);
    if (!places) return NULL;
    for (uint32_t i = 0; i < r->count; i++)
        places[i] = (place){fw_rollout_order(r->n, r->names.names[i]), i};
    qsort(places, r->count, sizeof *places, by_order);
    return places;
}

fw_status fw_rollout_deal(fw_rollout *r, fw_error *error) {
    place *places = in_order(r);
    if (!places) return fw_fail(error, FW_NO_MEMORY, "no memory for a rollout's rings");
    for (uint32_t i = 0; i < r->count; i++) r->members[places[i].member].ring = ring_of(r, i);
    free(places);
    return FW_OK;
}

/* Who comes in the earliest rings goes first: what it will run is then known to it. */
static void begin_shadow(fw_rollout *r, uint32_t ring) {
    uint32_t wanted = fw_rollout_plan_reach(&r->plan, ring, r->count), begun = 0;
    for (uint32_t first = ring; first < r->plan.ring_count; first++)
        for (uint32_t i = 0; i < r->count && begun < wanted; i++) {
            fw_member *m = &r->members[i];
            if (m->ring != first || m->state != FW_MEMBER_waiting) continue;
            m->state = FW_MEMBER_shadow;
            m->changed = true;
            begun++;
        }
}

void fw_rollout_begin_ring(fw_rollouts *rollouts, uint32_t ring) {
    fw_rollout *r = &rollouts->open;
    const fw_env *env = rollouts->config.env;
    bool shadow = r->plan.rings[ring].shadow;
    for (uint32_t i = 0; i < r->count; i++) {
        fw_member *m = &r->members[i];
        m->lived = m->window = (fw_health){0};
        m->changed = true;
        bool comes = !shadow && m->ring <= ring && (m->state == FW_MEMBER_waiting || m->state == FW_MEMBER_shadow);
        if (m->state == FW_MEMBER_shadow) m->state = FW_MEMBER_waiting;
        if (!comes) continue;
        m->state = FW_MEMBER_told;
        m->told_ns = fw_env_wall_ns(env);
    }
    if (shadow) begin_shadow(r, ring);
    r->ring = ring;
    r->settled = false;
    r->ring_ns = fw_env_mono_ns(env);
}

/* ---- reports ---- */

static bool is(const char *model, const fw_hash *hash) {
    return *model && strcmp(model, hash->hex) == 0;
}

/* Did the unit sign that it runs this? Also yes when it has no key. */
static fw_status has_signed(sqlite3 *db, const char *unit, const char *model, bool *out, fw_error *error) {
    char *text = NULL;
    fw_status status = fw_db_text(db, error, &text,
                                  "SELECT CASE WHEN json_valid(report) THEN json_extract(report,"
                                  "'$.signed.sha256') END FROM unit_keys WHERE unit=? AND public<>''",
                                  "t", unit);
    if (status != FW_OK && status != FW_NOT_FOUND) return status;
    *out = status == FW_NOT_FOUND || strcmp(text, model) == 0;
    free(text);
    return FW_OK;
}

/* Counts what a member lived since its last report; of the model that its state is about. */
static void live_on(const fw_rollout *r, fw_member *m, const fw_unit *unit) {
    if (!unit->health.model.hex[0]) return; /* it says nothing this time */
    bool has = is(r->model, &unit->health.model), should = m->state == FW_MEMBER_active;
    if (unit->health.fallbacks > m->last.fallbacks && m->state == FW_MEMBER_told)
        m->fallbacks += (uint32_t)(unit->health.fallbacks - m->last.fallbacks);
    if (has && unit->health.crashes > m->crashes) m->crashes = (uint32_t)unit->health.crashes;
    if (has == should) fw_health_since(&m->last, &unit->health, &m->lived);
    if (has == should) fw_health_since(&m->last, &unit->health, &m->window);
    m->last = unit->health;
}

static void become(fw_rollouts *rollouts, fw_member *m, fw_member_state state) {
    m->state = state;
    m->changed = true;
    m->lived = m->window = (fw_health){0};
    if (state == FW_MEMBER_active) m->active_ns = fw_env_wall_ns(rollouts->config.env);
    if (state == FW_MEMBER_active && m->last.ticks) fw_health_since(&(fw_health){0}, &m->last, &m->lived);
}

static fw_status take_report(fw_rollouts *rollouts, sqlite3 *db, fw_member *m, const fw_unit *unit, fw_error *error) {
    fw_rollout *r = &rollouts->open;
    bool told = m->state == FW_MEMBER_told, active = m->state == FW_MEMBER_active, runs = is(r->model, &unit->active);
    bool has_it = false;
    live_on(r, m, unit);
    m->on = runs;
    if (told && runs) FW_TRY(has_signed(db, unit->name, r->model, &has_it, error));
    if (has_it)
        become(rollouts, m, FW_MEMBER_active);
    else if ((told || active) && !runs && (m->fallbacks > 0 || is(r->model, &unit->refused)))
        become(rollouts, m, FW_MEMBER_failed);
    else if (active && !runs) {
        m->fallbacks++;
        become(rollouts, m, FW_MEMBER_failed);
    }
    return FW_OK;
}

typedef struct reports {
    fw_rollouts *rollouts;
    sqlite3 *db;
    fw_error *error;
    fw_status status;
    int64_t now_ns;
} reports;

static fw_member *join(fw_rollout *r, const fw_unit *unit) {
    const fw_member late = {.ring = r->plan.ring_count - 1, .changed = true};
    if (!fw_rollout_is(r, "rolling") || !fw_rollout_plan_takes(&r->plan, unit->name)) return NULL;
    if (!fw_rollout_add(r, unit->name, &late)) return NULL; /* it gets the model when all do */
    return &r->members[r->count - 1];
}

static void take_unit(void *self, const fw_unit *unit) {
    reports *all = self;
    fw_rollout *r = &all->rollouts->open;
    fw_member *m = fw_rollout_member(r, unit->name);
    if (!m) m = join(r, unit);
    if (!m || all->status != FW_OK) return;
    const int64_t since_ns = unit->reported_ns > r->loaded_ns ? unit->reported_ns : r->loaded_ns;
    m->heard = all->now_ns - since_ns <= FW_UNIT_RECENT_S * INT64_C(1000000000);
    if (unit->reported_ns == m->reported_ns) return;
    m->reported_ns = unit->reported_ns;
    all->status = take_report(all->rollouts, all->db, m, unit, all->error);
}

fw_status fw_rollout_take_reports(fw_rollouts *rollouts, sqlite3 *db, fw_error *error) {
    reports all = {.rollouts = rollouts, .db = db, .error = error, .now_ns = fw_env_wall_ns(rollouts->config.env)};
    fw_units_each(rollouts->config.units, take_unit, &all);
    return all.status;
}

/* ---- for the engine ---- */

static fw_rollout_state state_of(const fw_rollout *r, const fw_member *m) {
    bool shadow = r->plan.rings[r->ring].shadow;
    if (m->state == FW_MEMBER_shadow && shadow)
        return m->lived.shadow_ticks ? FW_ROLLOUT_ACTIVE : FW_ROLLOUT_TOLD;
    return m->state == FW_MEMBER_told     ? FW_ROLLOUT_TOLD
           : m->state == FW_MEMBER_active ? FW_ROLLOUT_ACTIVE
           : m->state == FW_MEMBER_failed ? FW_ROLLOUT_FAILED
                                          : FW_ROLLOUT_CONTROL;
}

void fw_rollout_settle(fw_rollout *r, bool settled) {
    for (uint32_t i = 0; settled && !r->settled && i < r->count; i++) r->members[i].window = (fw_health){0};
    r->settled = settled;
}

fw_rollout_unit *fw_rollout_units_of(const fw_rollout *r) {
    fw_rollout_unit *units = calloc(r->count + 1, sizeof *units);
    for (uint32_t i = 0; units && i < r->count; i++) {
        const fw_member *m = &r->members[i];
        units[i] = (fw_rollout_unit){.state = state_of(r, m),
                                     .heard = m->heard,
                                     .fallbacks = m->fallbacks,
                                     .crashes = m->state == FW_MEMBER_active || m->state == FW_MEMBER_told ? m->crashes : 0,
                                     .lived = m->lived,
                                     .window = m->window};
    }
    return units;
}
