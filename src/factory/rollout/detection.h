/* detection.h - how soon a rollout notices a harmful model: the engine against fleets that are made up.
 *
 *   seed -> units with habits of their own -> steps of half an hour: who drives, events, vetoes, late ticks, crashes
 *        -> fw_rollout_look -> advance, halt, done -> who had the model by then
 *
 * What is assumed, and stands in fw_detection_world:
 *   events      0.05 per km: harsh braking of ordinary drivers in telematics is of the order of 1 in 10 to 100 km. The
 *               rate sets how long everything takes, not what passes: half the rate, twice the kilometres
 *   vetoes      0.2 per km; late ticks 1 in 10,000; crashes 1 in 10,000 hours of driving
 *   scatter     a unit's own factor on events and vetoes: gamma of shape 2 (a tenth of the units over twice the mean);
 *               each unit and hour: gamma of shape 4; the same hour for all: 1 + 0.5 sin of the day
 *   driving     a unit drives in a fifth of its half hours, at 30 km/h, 10 ticks a second; 3 % never answer
 *   taking      of the units told, half take the model in each half hour
 *
 * Control: FW_DETECTION_CONTROL of the units not reached yet, drawn by the order of the rollout; to simulate
 * all of them would only lower the control's own error. Same seed, same figures.
 */
#ifndef FW_FACTORY_ROLLOUT_DETECTION_H
#define FW_FACTORY_ROLLOUT_DETECTION_H

#include "factory/rollout/engine.h"

enum { FW_DETECTION_CONTROL = 1000, FW_DETECTION_UNITS_MAX = 100000 };

/* What the model does to the units that run it. */
typedef struct fw_harm {
    const char *name;
    double events, vetoes;  /* rate, times the champion's */
    double late_share;      /* of its ticks; < 0: as the champion */
    double crash_share;     /* of its units crash on start and fall back */
} fw_harm;

/* The table: x1 (harmless), x1.2, x1.5, x2, x5, crash on start, on 1 unit in 20, slow tick. */
const fw_harm *fw_harms(int *count);

typedef struct fw_detection_world {
    double events_per_km, vetoes_per_km, late_share, crashes_per_hour;
    double unit_shape, hour_shape, day_swing, driving_share, speed_kmh, takes_share, silent_share;
} fw_detection_world;
fw_detection_world fw_detection_world_of(void);

typedef struct fw_detection {
    fw_rollout_action end;  /* halt or done */
    uint32_t ring;          /* where it ended */
    uint32_t exposed;       /* units that were told to run the model until then, of all */
    double hours, exposed_km; /* from the start; driven with the model */
    char reason[240];
} fw_detection;

/* One rollout. FW_NO_MEMORY. */
fw_status fw_detect(const fw_rollout_plan *plan, const fw_detection_world *world, const fw_harm *harm, uint32_t units,
                    uint64_t seed, fw_detection *out, fw_error *error) FW_MUST;

#endif
