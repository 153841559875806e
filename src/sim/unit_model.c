/* unit_model.c - a unit's promises about models: only released ones, within the ring, whole at every start. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/unit_inner.h"
#include "sim/world.h"

/* ---- rings ---- */

/* The newest rollout of a model, and this unit's place in it. */
typedef struct place {
    bool found, member;
    int64_t n, ring, of_unit;
    char state[16], member_state[16];
} place;

static bool take_place(void *self, sqlite3_stmt *row) {
    place *p = self;
    p->found = true;
    p->n = sqlite3_column_int64(row, 0);
    p->ring = sqlite3_column_int64(row, 1);
    snprintf(p->state, sizeof p->state, "%s", fw_db_column(row, 2));
    p->member = sqlite3_column_type(row, 3) != SQLITE_NULL;
    p->of_unit = sqlite3_column_int64(row, 3);
    snprintf(p->member_state, sizeof p->member_state, "%s", fw_db_column(row, 4));
    return true;
}

/* A unit that runs a rollout's model has been told so, and its ring has come. Later it stays checked by the
 * model's own history: a champion's rollout is done. */
static void check_ring(fw_sim_world *w, fw_sim_unit *u) {
    char name[16];
    place p = {0};
    fw_error error;
    fw_factory *factory = w->factory.factory;
    if (!factory || w->factory.machine.disk.dead) return;
    snprintf(name, sizeof name, "%u", u->number);
    sqlite3 *db = fw_catalogue_read(factory->catalogue);
    fw_status status = fw_db_each(db, &error, take_place, &p,
                                  "SELECT r.n,r.ring,r.state,u.ring,coalesce(u.state,'') FROM rollouts r LEFT JOIN "
                                  "rollout_units u ON u.rollout=r.n AND u.unit=? WHERE r.model=? ORDER BY r.n DESC "
                                  "LIMIT 1",
                                  "tt", name, u->model.hex);
    fw_catalogue_read_end(factory->catalogue);
    u->ring_unchecked = status != FW_OK;
    if (status != FW_OK || !p.found || strcmp(p.state, "done") == 0) return;
    if (!p.member || p.of_unit > p.ring || strcmp(p.member_state, "waiting") == 0)
        fw_sim_broken(w, "rings", u->machine.name, "it runs %.12s; rollout %" PRId64 " is %s in ring %" PRId64
                      ", the unit's ring is %" PRId64 " (%s)", u->model.hex, p.n, p.state, p.ring,
                      p.member ? p.of_unit : -1, p.member_state);
}

/* ---- what drives ---- */

static bool is_one_of(const fw_hash *hash, const fw_hash *list, int count) {
    for (int i = 0; i < count; i++)
        if (strcmp(hash->hex, list[i].hex) == 0) return true;
    return false;
}

void fw_sim_unit_check_model(fw_sim_world *w, fw_sim_unit *u) {
    fw_unit_shared *s = u->shared;
    fw_hash staged = fw_unit_lane_name(&s->models, atomic_load(&s->models.staged));
    fw_hash active = fw_unit_lane_name(&s->models, atomic_load(&s->model_active));
    if (staged.hex[0] && strcmp(staged.hex, u->staged.hex) != 0) {
        u->before = u->staged;
        u->staged = staged;
    }
    if (active.hex[0] && strcmp(active.hex, u->model.hex) != 0) {
        fw_sim_say(&w->trace, w->now_ns, u->machine.name, "runs %.12s", active.hex);
        w->result.counts.activations++;
        u->last = u->model;
        u->model = active;
        u->ring_unchecked = true;
        if (!fw_sim_operator_released(&w->op, &active))
            fw_sim_broken(w, "release", u->machine.name, "it runs %.12s, which was never released", active.hex);
    }
    if (u->ring_unchecked) check_ring(w, u);
}

void fw_sim_unit_check_boot(fw_sim_world *w, fw_sim_unit *u) {
    const fw_unit_shared *s = u->shared;
    fw_hash boots = fw_unit_lane_name(&s->models, atomic_load(&s->models.staged));
    if (!u->model.hex[0]) return; /* it never ran one */
    const fw_hash known[] = {u->model, u->last, u->staged, u->before};
    if (!boots.hex[0])
        fw_sim_broken(w, "release", u->machine.name, "it ran %.12s before, and starts with no model", u->model.hex);
    else if (!is_one_of(&boots, known, 4) && !fw_sim_operator_released(&w->op, &boots))
        fw_sim_broken(w, "release", u->machine.name, "it starts with %.12s, which is neither old nor new", boots.hex);
}
