/* rollout_state.h - the open rollout in memory, and its rows. Private to rollout*.c.
 *
 *   members[i] <-> names place i <-> row (rollout, unit) of rollout_units
 *
 * waiting --told--> told --says so, signed--> active --back on the previous model--> failed
 *    |  \                \--refused, fell back------------------------------------> failed
 *    |   \--ring is shadow--> shadow                told, active, failed --rollback--> back
 *
 * A change is made in the catalogue first and then here, or both in one commit that ends with fw_rollout_save.
 */
#ifndef FW_FACTORY_ROLLOUT_STATE_H
#define FW_FACTORY_ROLLOUT_STATE_H

#include <pthread.h>

#include "factory/names.h"
#include "factory/rollout/rollout.h"

#define FW_MEMBER_STATES(X) X(waiting) X(shadow) X(told) X(active) X(failed) X(back)
typedef enum fw_member_state {
#define X(name) FW_MEMBER_##name,
    FW_MEMBER_STATES(X)
#undef X
        FW_MEMBER_STATE_COUNT
} fw_member_state;
const char *fw_member_state_name(fw_member_state state);

typedef struct fw_member {
    fw_member_state state;
    uint32_t ring;      /* the active ring it comes with */
    bool heard;
    int64_t told_ns, active_ns; /* 0: not */
    int64_t reported_ns;        /* of the report that was counted last */
    fw_health last;             /* what it said last */
    fw_health lived, window;    /* engine.h; the latter is not written down: a restart begins it anew */
    uint32_t fallbacks, crashes;
    bool on;                    /* by its last report it runs the model, or drives it in shadow */
    bool changed;               /* since it was written */
} fw_member;

typedef struct fw_rollout {
    int64_t n, generation;      /* n 0: none */
    char model[FW_HASH_HEX + 1], previous[FW_HASH_HEX + 1], state[16];
    fw_rollout_plan plan;
    uint32_t ring;
    int64_t ring_ns;            /* monotonic: when the ring began, or the factory that goes on with it */
    int64_t loaded_ns;          /* by the wall clock: when it was read from the catalogue; 0: begun here */
    fw_member *members;
    uint32_t count, room;
    fw_names names;
    bool settled;               /* nobody of the ring is waited for; windows began then */
    bool released;              /* turned back: previous may be assigned again */
    fw_rollout_evidence seen;   /* the last look's */
} fw_rollout;

struct fw_rollouts {
    fw_rollouts_config config;
    pthread_mutex_t lock; /* guards the rest; taken before the catalogue's */
    fw_rollout open;
    uint64_t changes; /* of the catalogue, at the last look */
    int64_t looked_ns, saved_ns, signed_ns; /* monotonic; 0: not yet */
    char champion[FW_HASH_HEX + 1]; /* as of the last reconciliation */
    fw_names pinned;                /* units whose group has a model of its own */
    char (*pins)[FW_HASH_HEX + 1];  /* (pinned.count) */
    uint32_t left_out;              /* units whose model is not released: asked again after a while */
    fw_names assigned;              /* what the director was last told */
    char (*assignments)[FW_HASH_HEX + 1];
};

/* False when none is open. */
bool fw_rollout_is(const fw_rollout *rollout, const char *state);

/* rollout_members.c: units' reports into members. */
fw_member *fw_rollout_member(fw_rollout *rollout, const char *unit); /* NULL: none */
/* Adds one; false without memory. */
bool fw_rollout_add(fw_rollout *rollout, const char *unit, const fw_member *member);
/* Deals the rings to all members by fw_rollout_order. */
fw_status fw_rollout_deal(fw_rollout *rollout, fw_error *error) FW_MUST;
/* Takes what units said since the last time; db: the catalogue, for what they signed. */
fw_status fw_rollout_take_reports(fw_rollouts *rollouts, sqlite3 *db, fw_error *error) FW_MUST;
/* The ring is settled, or not (yet): all windows begin when it becomes so. */
void fw_rollout_settle(fw_rollout *rollout, bool settled);
/* The members as the engine wants them; malloc'd. */
fw_rollout_unit *fw_rollout_units_of(const fw_rollout *rollout);
/* Tells ring `ring` (0: the first): who comes with it is told, all windows begin anew. In memory alone. */
void fw_rollout_begin_ring(fw_rollouts *rollouts, uint32_t ring);
void fw_rollout_free(fw_rollout *rollout);

/* rollout_store.c: rows. Within a transaction. */
fw_status fw_rollout_load(fw_rollouts *rollouts, sqlite3 *db, int64_t n, fw_error *error) FW_MUST;
fw_status fw_rollout_insert(fw_rollouts *rollouts, sqlite3 *db, fw_error *error) FW_MUST;
/* Members that changed (all: those that only lived on, too); fw_rollout_saved after the commit. */
fw_status fw_rollout_save(fw_rollouts *rollouts, sqlite3 *db, bool all, fw_error *error) FW_MUST;
void fw_rollout_saved(fw_rollouts *rollouts, bool all);
/* Moves state and ring, with a line in rollout_steps and in the log. */
fw_status fw_rollout_step(fw_rollouts *rollouts, sqlite3 *db, const char *state, uint32_t ring, const char *kind,
                          const char *text, const fw_rollout_evidence *evidence, fw_error *error) FW_MUST;
/* The plan of rollouts to come; the caller frees it. */
fw_status fw_rollout_plan_of(fw_rollouts *rollouts, sqlite3 *db, fw_rollout_plan *out, fw_error *error) FW_MUST;
fw_status fw_rollout_load_pins(fw_rollouts *rollouts, sqlite3 *db, fw_error *error) FW_MUST;

#endif
