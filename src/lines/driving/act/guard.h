/* guard.h - the fixed, learning-free rules between every policy and the wheels: they may only brake.
 *
 *   scene --view.h--> view --+--> policy --> action --+
 *                            `----------------------> fw_guard --> the action carried out, and which rule lowered it
 *
 * Each rule works out one figure, its DEMAND: the braking (m/s2) it would need in a moment (`react`) if the
 * action had its way until then. A demand under `firm` can wait, so that a policy which brakes in time is never
 * touched. From `firm` on the car brakes: with the largest demand that there would be after braking firmly for
 * that moment, `keep` at least. While it brakes with `keep` or more, `keep` takes the place of `firm`: a policy
 * that brakes too late does not get its way again every other tick. v: our speed then; d: way left then.
 *
 *   LEADER     [us]--->  gap  [vehicle]-->w     v^2 / 2(gap - standoff + w^2 / 2 leader_brake);
 *                                               firm at least when gap / (v - w) < ttc
 *   RED_LIGHT  [us]--->      d      |line       v^2 / 2(d - line_gap), while it can still be kept: now at most
 *                                               red_last of braking for red (and for a yellow that
 *                                               we brake for already), yellow_last for yellow
 *   CORRIDOR   [us]--->   d   ,-- bend k        (v^2 - u^2) / 2d over the bends ahead, u^2 = min(lateral,
 *                           ,'                  8 r / reach^2) / |k|; r: room beside us in the lane. A car that
 *                                               steers at a point L ahead cuts the bend by k L^2 / 8 (sagitta)
 *   ZONE       [us]--->   d   |zone|<---[foe]   v^2 / 2(d - zone_gap), while now at most zone_last: before a zone
 *                                               with a foe in it, or with one that we yield to when its time
 *                                               in the zone and ours overlap (by zone_slack)
 *   CREEP      [us][box]                        full braking: slower than creep_mps nothing moves into a box
 *                                               within creep_m of the front bumper
 *
 * Why nobody waits for ever. Who has priority waits only for a foe that is inside: `nose` or more beyond the
 * zone's start, and then its own front is not (rule ZONE lets go a front that is). A foe that we yield to
 * and that stands outside waits for something; it is not waited for. Too late to stop before a zone or a
 * line means driving on, not stopping in it.
 *
 * Invariants: (1) after fw_guard action->accel_mps2 <= what it was; (2) the curvature is untouched; (3) both
 * whatever numbers came in; (4) no state, no allocation; (5) every branch and every figure is tested
 * (tests/lines/guard_coverage.sh, guard_mutants.sh). What the figures cost and save: docs/guard.md.
 *
 * To add a rule: 1. a line in FW_GUARD_RULES, 2. its figures in FW_GUARD_FIGURES, 3. its demand in guard.c,
 * 4. its case in tests/lines/test_guard.c, 5. docs/guard.md.
 */
#ifndef FW_LINES_DRIVING_GUARD_H
#define FW_LINES_DRIVING_GUARD_H

#include "lines/driving/act/view.h"

/* X(enum, name): the order is that of recordings' `veto` figure; NONE is 0. */
#define FW_GUARD_RULES(X)                                                                          \
    X(LEADER, "leader")                                                                            \
    X(RED_LIGHT, "red_light")                                                                      \
    X(CORRIDOR, "corridor")                                                                        \
    X(ZONE, "zone")                                                                                \
    X(CREEP, "creep")

typedef enum fw_guard_veto {
    FW_GUARD_NONE,
#define X(name, text) FW_GUARD_##name,
    FW_GUARD_RULES(X)
#undef X
    FW_GUARD_COUNT
} fw_guard_veto;

/* X(field, value, text): all that the rules know. */
#define FW_GUARD_FIGURES(X)                                                                        \
    X(firm_mps2, 3.5f, "braking that cannot wait: no rule asks for less")                          \
    X(keep_mps2, 2.0f, "but braking that hard already, none lets go while it needs that much")     \
    X(react_s, 0.2f, "the policy is taken to have its way for so long: brakes take time to grip")  \
    X(leader_brake_mps2, 6.0f, "what the vehicle ahead may brake with")                            \
    X(standoff_m, 1.0f, "to keep behind it when both stand")                                       \
    X(ttc_s, 0.8f, "least time to collision with it")                                              \
    X(line_gap_m, 0.2f, "to keep before a stop line")                                              \
    X(red_last_mps2, 8.0f, "braking that still keeps a red light")                                 \
    X(yellow_last_mps2, 4.0f, "and a yellow one; else it is driven through")                       \
    X(lateral_mps2, 3.2f, "sideways acceleration in a bend")                                       \
    X(reach_s, 1.1f, "how far ahead steering aims")                                                \
    X(room_least_m, 0.1f, "room beside us that is never taken as less")                            \
    X(bend_least_m, 0.5f, "way to a bend that is never taken as less")                             \
    X(zone_gap_m, 0.3f, "to keep before a zone")                                                   \
    X(zone_last_mps2, 6.0f, "braking that still stops before a zone")                              \
    X(zone_slack_s, 0.5f, "between who leaves a zone and who enters it")                           \
    X(nose_m, 0.5f, "beyond a zone's start: who is farther is inside")                             \
    X(go_mps2, 1.5f, "acceleration of who enters a zone, theirs and ours")                         \
    X(stands_mps, 0.5f, "a slower foe stands")                                                     \
    X(creep_mps, 1.0f, "slower is creeping")                                                       \
    X(creep_m, 0.4f, "ahead of the front bumper that must be free to creep")

/* "none", "leader" ... */
const char *fw_guard_veto_name(fw_guard_veto veto);

/* Lowers action->accel_mps2 where a rule asks for it; says whose demand was the largest. view: of scene. */
fw_guard_veto fw_guard(const fw_drive_scene *scene, const fw_drive_view *view, fw_drive_action *action);

#endif
