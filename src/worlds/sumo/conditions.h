/* conditions.h - what the city is like: as measured, or shifted, from a drive's start or in the middle of a run.
 *
 *   "demand 2, traffic 1, kind van:0.3, left-hand on"  --parse--> fw_conditions --fw_world_shift--> the world
 *
 *   demand D       SUMO starts D cars for each of the measured demand (0.1 .. 4), from now on
 *   traffic A      how aggressive SUMO's drivers are, 0 (as measured) .. 1: shorter headways and gaps, faster, keener
 *                  on lane changes (the table in conditions.c); those on the road, and those to come
 *   kind NAME:P    a share P of the cars that we take from now on are of this kind (act/vehicle.h)
 *   left-hand on   the mirrored city, for drives that begin from now on: everything between SUMO and such a car is
 *                  mirrored (y to -y: places, yaw, curvature), so that it keeps left, and turns right across the
 *                  traffic, while SUMO drives the original. Exact, and nothing else is different.
 *
 * One state, not a list of events: two worlds with the same seed, the same states at the same ticks and the same
 * actions are the same to the bit.
 */
#ifndef FW_WORLDS_SUMO_CONDITIONS_H
#define FW_WORLDS_SUMO_CONDITIONS_H

#include <stdbool.h>

#include "lines/driving/act/vehicle.h"
#include "worlds/sumo/traci.h"

typedef struct fw_conditions {
    double demand, traffic, kind_share;
    char kind[FW_VEHICLE_NAME_MAX]; /* "": all are cars */
    bool left_hand;
} fw_conditions;

#define FW_CONDITIONS_MEASURED ((fw_conditions){.demand = 1})
enum { FW_CONDITIONS_TEXT_MAX = 200 };

/* Changes what `text` names, and leaves the rest. FW_INVALID with what would be right; *io untouched then. */
fw_status fw_conditions_parse(const char *text, const fw_vehicles *vehicles, fw_conditions *io,
                              fw_error *error) FW_MUST;
/* All of it, in the form that parse reads; the same state gives the same text. */
void fw_conditions_write(const fw_conditions *conditions, char out[FW_CONDITIONS_TEXT_MAX]);

/* SUMO's kinds of drivers, as they were measured. */
enum { FW_MANNERS_TYPES_MAX = 64 };
typedef struct fw_manners {
    uint32_t count;
    struct {
        char id[64];
        double tau_s, sigma, min_gap_m, speed_factor, accel_mps2;
    } types[FW_MANNERS_TYPES_MAX]; /* of passenger cars */
} fw_manners;

/* Asks SUMO for them. */
fw_status fw_manners_read(fw_traci *traci, fw_manners *out, fw_error *error) FW_MUST;
/* Adds what makes all of them `traffic` aggressive; and a vehicle that is or comes on the road. */
void fw_manners_add(fw_traci *traci, const fw_manners *manners, double traffic);
void fw_manners_add_vehicle(fw_traci *traci, fw_text vehicle, double traffic, bool on_the_road);

#endif
