/* engine.h - one look at a rollout: what units lived through goes in, what to do comes out.
 *
 *   plan, ring, seconds since it began        \
 *   each unit: ring or control, state, health  >--[fw_rollout_look]--> wait | advance | halt | done, evidence, reason
 *
 * Pure: no clock, no disk, no fleet; the factory, `flywheel rollout simulate` and `flywheel sim` call the same.
 *
 *   told, not yet active (and heard of)         wait       } over time_max_s: halt. From half of that on those who do not take it
 *                                                            } are not waited for when they are as few as may refuse
 *   more refusals, fallbacks, crashes than max  halt       at once, whatever the rest says
 *   late ticks of the ring's over late_share_max   halt    beyond the control's share, as soon as FW_ROLLOUT_LATE_TICKS were lived
 *   harm shown: e >= 1/alpha'                   halt       events/km, vetoes/km, late ticks/tick; ring against control
 *   exposure and time through, and (rule_out) harm_ratio ruled out: e >= 1/beta   advance; last ring: done
 *   neither                                     wait
 *
 * e is fw_rate_log_e of gate/sequential.h, valid however often one looks; alpha' = alpha / (rings * measures). Units differ:
 * per-unit counts scatter more than Poisson's. The control's Pearson dispersion D (chi^2 over degrees of freedom, at
 * least 1) divides events and exposures alike (quasi-Poisson): with shape k and m events a unit it is 1 + m/k, so that no
 * ring ever knows more than its number of units allows. Under the hypothesis that is to be ruled out the ring's
 * units have harm_ratio times the events, and scatter accordingly: 1 + harm_ratio (D - 1). D is estimated, which the e-value's proof does
 * not cover; `flywheel rollout simulate` measures what that costs (docs/rollout.md).
 *
 * Two spans of time. `lived`: since the ring began, and for who takes the model since it took it; ticks, distance, late ticks
 * and limits are of it. `window`: since the ring settled, that is since nobody was waited for any more; rates are compared
 * in it, as ring and control must live through the same hours. Until then only a harm beyond FW_ROLLOUT_UNSETTLED
 * times the control's rate counts, which no hour of the day makes.
 *
 * A unit says itself how far it drove. So that one that lies, or is broken, cannot hide the others' harm, none counts for
 * more than FW_ROLLOUT_WEIGHT times its group's median way and ticks, with its own rates; where fewer than FW_ROLLOUT_WEIGHED have driven
 * all count as they are. It can still stop a rollout, which is the safe side.
 */
#ifndef FW_FACTORY_ROLLOUT_ENGINE_H
#define FW_FACTORY_ROLLOUT_ENGINE_H

#include "factory/rollout/health.h"
#include "factory/rollout/plan.h"

typedef enum fw_rollout_state {
    FW_ROLLOUT_CONTROL,  /* on the previous model */
    FW_ROLLOUT_TOLD,     /* is to run (or shadow) the model and does not yet */
    FW_ROLLOUT_ACTIVE,   /* does */
    FW_ROLLOUT_FAILED    /* refused it, failed its self-test, or fell back from it */
} fw_rollout_state;

typedef struct fw_rollout_unit {
    fw_rollout_state state;
    bool heard;              /* of in the last minute; a silent unit is not waited for */
    uint32_t fallbacks, crashes; /* since it has the model */
    fw_health lived, window;
} fw_rollout_unit;

typedef enum fw_rollout_action { FW_ROLLOUT_WAIT, FW_ROLLOUT_ADVANCE, FW_ROLLOUT_HALT, FW_ROLLOUT_DONE } fw_rollout_action;
typedef enum fw_rollout_measure { FW_MEASURE_EVENTS, FW_MEASURE_VETOES, FW_MEASURE_LATE, FW_MEASURE_COUNT } fw_rollout_measure;
enum { FW_ROLLOUT_LATE_TICKS = 200, FW_ROLLOUT_WEIGHT = 8, FW_ROLLOUT_WEIGHED = 10 };
#define FW_ROLLOUT_UNSETTLED 1.5

typedef struct fw_rollout_compared {
    double ring_rate, control_rate; /* per km, or per tick; NaN without exposure */
    double dispersion;
    double log_e_harm, log_e_ruled_out;
} fw_rollout_compared;

typedef struct fw_rollout_evidence {
    fw_rollout_action action;
    char reason[240];
    uint32_t told, active, failed, silent, control; /* units; told counts all that have it to run */
    uint32_t heard; /* of the active ones, in the last minute */
    bool settled;   /* nobody is waited for: whoever looks begins all windows anew when this becomes true */
    uint32_t refusals, fallbacks, crashes;
    uint64_t ticks_least; /* lived by the ring's unit that lived least */
    fw_health ring, control_sum;          /* lived, as they said it */
    fw_health ring_weighed, control_weighed; /* the same, and the windows: nobody above its weight; these decide */
    fw_health ring_window, control_window;
    fw_rollout_compared compared[FW_MEASURE_COUNT];
} fw_rollout_evidence;

const char *fw_rollout_action_name(fw_rollout_action action);
const char *fw_rollout_measure_name(fw_rollout_measure measure);
/* settled: an earlier look at this ring said so. */
void fw_rollout_look(const fw_rollout_plan *plan, uint32_t ring, double elapsed_s, bool settled,
                     const fw_rollout_unit *units, uint32_t count, fw_rollout_evidence *out);
json_t *fw_rollout_evidence_json(const fw_rollout_evidence *evidence);

#endif
