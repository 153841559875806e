/* plan.h - how a model goes to the fleet: rings, what lets a ring pass, what stops it.
 *
 *   group ---> order by hash(rollout, unit) ---> |canary| 1 % |    10 %    |    50 %     |      all      |
 *                                                 rings take from the front; who is not reached yet is the control
 *
 *   {"version":1,"group":"*" | "car-*" | ["1","7"],"looks":"always"|"asked",
 *    "alpha":0.01,"beta":0.00001,"harm_ratio":2,"control_units_min":20,"refusals_max":0,"fallbacks_max":0,"crashes_max":0,
 *    "failures_share_max":0,"late_share_max":0.01,"disagreement_max":1,"rings":[{"name":"canary","mode":"active"|"shadow","share":0.001,"units_min":1,
 *       "advance":"exposure"|"ruled_out","ticks_min":0,"distance_min_m":0,"time_min_s":0,"time_max_s":86400}, ...]}
 *
 *   alpha        chance to stop a model that does no harm, over all rings and measures (divided between them)
 *   harm_ratio   a ring with "ruled_out" passes only when events and vetoes per km at harm_ratio times the control's are
 *   beta         ruled out: the chance that a model so harmful passes that ring
 *   "exposure"   passes when the stated ticks and metres are through and no harm was shown: for small fleets,
 *                where nothing can be ruled out in reasonable time. Whatever passes so is not proved harmless.
 *   *_max        of the whole rollout: one more refusal, fallback or crash stops it at once
 *   looks        "asked": decides only at POST /v1/rollouts/{n}/look, so that in lockstep it happens at named ticks
 *
 * Invariants: (1) shares of active rings grow, the last one is 1; shadow rings come first; (2) at most FW_RINGS_MAX rings;
 * (3) a plan as text and as struct say the same (test_rollout_plan).
 */
#ifndef FW_FACTORY_ROLLOUT_PLAN_H
#define FW_FACTORY_ROLLOUT_PLAN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

enum { FW_ROLLOUT_PLAN_VERSION = 1, FW_RINGS_MAX = 12, FW_RING_NAME_MAX = 24, FW_ROLLOUT_PLAN_MAX_BYTES = 1 << 16,
       FW_ROLLOUT_FLEET = 1000 }; /* so many units and more: the plan that rules harm out */

typedef struct fw_ring {
    char name[FW_RING_NAME_MAX];
    bool shadow;         /* beside the champion: nothing acts on it */
    bool rule_out;       /* else exposure */
    double share;        /* of the group, with all rings before it */
    uint32_t units_min;  /* and at least so many */
    uint64_t ticks_min;  /* by each unit of it */
    double distance_min_m; /* by all of them together */
    double time_min_s, time_max_s; /* time_max_s: undecided then stops the rollout */
} fw_ring;

typedef struct fw_rollout_plan {
    json_t *group; /* string: a pattern, * and ?; or an array of names; owned */
    bool looks_asked;
    double alpha, beta, harm_ratio, failures_share_max, late_share_max;
    double disagreement_max; /* of shadow ticks; 1: any */
    uint32_t control_units_min; /* fewer: between-unit scatter cannot be measured and is not corrected for */
    uint32_t refusals_max, fallbacks_max, crashes_max;
    uint32_t ring_count;
    fw_ring rings[FW_RINGS_MAX];
} fw_rollout_plan;

/* What a fleet of so many units gets when nobody says otherwise. */
fw_status fw_rollout_plan_default(uint32_t units, fw_rollout_plan *out, fw_error *error) FW_MUST;
/* FW_INVALID with the field; what is left out is as in the default for `units`. */
fw_status fw_rollout_plan_parse(const char *text, size_t size_bytes, uint32_t units, fw_rollout_plan *out,
                                fw_error *error) FW_MUST;
json_t *fw_rollout_plan_json(const fw_rollout_plan *plan);
void fw_rollout_plan_free(fw_rollout_plan *plan);

/* Is the unit of the group? */
bool fw_rollout_plan_takes(const fw_rollout_plan *plan, const char *unit);
/* How many of `units` have the model in ring `ring` (of shadow rings: run it in shadow). */
uint32_t fw_rollout_plan_reach(const fw_rollout_plan *plan, uint32_t ring, uint32_t units);
/* A unit's place in the order of a rollout: small goes first. */
uint64_t fw_rollout_order(int64_t rollout, const char *unit);

#endif
