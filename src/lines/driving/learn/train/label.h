/* label.h - what the human at the wheel would have chosen, by hindsight: labels for imitation.
 *
 *        our car                 the human, a moment later
 *        [====>  . . . . . . . o--> at lookahead: the steering choice whose curvature leads there
 *           \_ speed now         \_ speed after 0.7 s: the acceleration nearest to what gets us there
 *
 * The log is compared with where WE are, not with where it was: a car that lags or has drifted is led back,
 * so that states the network itself gets into have good labels too (DAgger, Ross, Gordon, Bagnell 2011).
 */
#ifndef FW_LINES_DRIVING_LEARN_LABEL_H
#define FW_LINES_DRIVING_LEARN_LABEL_H

#include "lines/driving/act/features.h"
#include "lines/driving/learn/scenario/scenario.h"

typedef struct fw_learn_label {
    uint32_t accel, steer; /* choices of features.h */
} fw_learn_label;

/* For the car that drives in place of `track` and sees this at `tick`. */
fw_learn_label fw_learn_label_of(const fw_scenario_track *track, uint32_t tick, const fw_drive_scene *scene,
                                 const fw_drive_view *view);

#endif
