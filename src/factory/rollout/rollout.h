/* rollout.h - a model goes to the fleet, ring by ring, and comes back when it harms.
 *
 *            +---------- look: wait
 *            v     |
 *   start -> rolling --look: advance--> next ring --- ... --last ring through--> done   (champion moves, same commit)
 *              | ^ \
 *         halt | |  \--look: harm, limit, time over----+
 *  (a person)  v | resume                              v
 *            halted -----------rollback---------> rolling_back --every unit heard of is back--> rolled_back
 *
 * One at a time. The catalogue has everything (rollouts, rollout_units, rollout_steps), in the commit that decides it, so
 * a factory that dies goes on where it was. settings.champion is what the fleet runs when no rollout is open; it moves when
 * one of the whole fleet ("group":"*") is done. A group's own rollout leaves it: its units keep what they got until a
 * rollout of the whole fleet.
 *
 * Invariants: (1) at most reach(ring) units of the group are told the model (plan.h), in the order of fw_rollout_order; (2) a
 * ring is begun only after a look at the one before said so; (3) a unit's target is the model when it was told it and
 * the rollout was not turned back, else the champion (or its group's model); (4) a unit counts as updated when it says so
 * itself: in a version report signed with its key (unit_keys.report), or unsigned when it never gave a key; (5) units that are new while a rollout is open wait
 * for the last ring.
 */
#ifndef FW_FACTORY_ROLLOUT_H
#define FW_FACTORY_ROLLOUT_H

#include "base/env.h"
#include "base/hash.h"
#include "factory/catalogue/catalogue.h"
#include "factory/rollout/engine.h"
#include "factory/units.h"

typedef struct fw_rollouts fw_rollouts;

/* What signs; calls may be NULL. Called with the rollouts' lock held. */
typedef struct fw_rollout_signer {
    void *self;
    /* Within a transaction: the unit is to run this model. FW_NOT_FOUND: nothing like it is released. */
    fw_status (*assign)(void *self, sqlite3 *db, const char *unit, const char *model, fw_error *error);
    /* Outside: a model may run, or run again, with a release counter above all others. */
    fw_status (*release)(void *self, const char *model, fw_error *error);
} fw_rollout_signer;

typedef struct fw_rollouts_config {
    const fw_env *env;
    fw_catalogue *catalogue;
    fw_units *units;
    fw_rollout_signer signer;
} fw_rollouts_config;

/* Takes up what was open. */
fw_status fw_rollouts_open(const fw_rollouts_config *config, fw_rollouts **out, fw_error *error) FW_MUST;
void fw_rollouts_close(fw_rollouts *rollouts);
/* One look, when something was said since the last one or FW_ROLLOUT_LOOK_MS passed. */
fw_status fw_rollouts_tick(fw_rollouts *rollouts, fw_error *error) FW_MUST;
enum { FW_ROLLOUT_LOOK_MS = 500 };

/* What a unit is to run ("" nothing), and what in shadow ("" nothing). From any thread. */
void fw_rollout_target(fw_rollouts *rollouts, const char *unit, char out[FW_HASH_HEX + 1]);
void fw_rollout_shadow(fw_rollouts *rollouts, const char *unit, char out[FW_HASH_HEX + 1]);

/* Starts one; generation 0: of none; plan: JSON text or NULL (fw_rollouts_plan).
 * FW_BUSY: one is open. FW_NOT_FOUND: no such model. FW_INVALID: the plan. */
fw_status fw_rollouts_start(fw_rollouts *rollouts, int64_t generation, const char *model, const char *plan,
                            int64_t *n, fw_error *error) FW_MUST;
/* The plan of rollouts to come, as JSON text, malloc'd; and another one. {}: the default. */
fw_status fw_rollouts_plan(fw_rollouts *rollouts, char **json, fw_error *error) FW_MUST;
fw_status fw_rollouts_set_plan(fw_rollouts *rollouts, const char *text, size_t size_bytes, fw_error *error) FW_MUST;
/* What people say; FW_NOT_FOUND, FW_INVALID (not in this state). */
fw_status fw_rollouts_halt(fw_rollouts *rollouts, int64_t n, const char *reason, fw_error *error) FW_MUST;
fw_status fw_rollouts_resume(fw_rollouts *rollouts, int64_t n, fw_error *error) FW_MUST;
fw_status fw_rollouts_rollback(fw_rollouts *rollouts, int64_t n, const char *reason, fw_error *error) FW_MUST;
/* One look now. */
fw_status fw_rollouts_look(fw_rollouts *rollouts, int64_t n, fw_error *error) FW_MUST;

/* JSON text, malloc'd: all, newest first; one with its rings, units, steps and last look. */
fw_status fw_rollouts_json(fw_rollouts *rollouts, char **json, fw_error *error) FW_MUST;
fw_status fw_rollouts_json_of(fw_rollouts *rollouts, int64_t n, char **json, fw_error *error) FW_MUST;

/* How a generation's rollout stands; n 0: it has none yet. */
typedef struct fw_rollout_outcome {
    int64_t n;
    char state[16], reason[300];
    uint32_t units, active, refused; /* refused: all that failed */
} fw_rollout_outcome;
fw_status fw_rollouts_of_generation(fw_rollouts *rollouts, int64_t generation, fw_rollout_outcome *out,
                                    fw_error *error) FW_MUST;

#endif
