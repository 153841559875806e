/* internal.h - what the files of this folder share about the world (world.h).
 *
 *   world.c    open, step, take over, end a drive        observe.c  what a car sees
 *   truth.c    what a drive was worth                    conflicts.c  whom to yield to
 */
#ifndef FW_WORLDS_SUMO_INTERNAL_H
#define FW_WORLDS_SUMO_INTERNAL_H

#include "base/random.h"
#include "lines/driving/act/vehicle.h"
#include "worlds/sumo/city.h"
#include "worlds/sumo/path.h"
#include "worlds/sumo/world.h"

/* One of our cars: a slot, and in it one drive after the other. */
typedef struct fw_car {
    bool driven;
    bool mirrored; /* this drive is in the left-hand city: conditions.h */
    uint32_t vehicle; /* slot in the city */
    uint32_t serial;  /* of that vehicle, to notice when the slot was given away */
    uint32_t drive;   /* number of this drive */
    fw_vehicle_kind kind; /* what it can do; of its own length and width */
    float length_m, width_m, overhang_m;
    /* pose of the rear axle: the truth */
    float x_m, y_m, yaw_rad, speed_mps, accel_mps2, curvature_pm;
    float s_m;           /* its path length */
    float front_s_m;     /* of the front bumper */
    uint32_t lost_ticks; /* SUMO's copy is not on our way */
    float gap_m;         /* between our front bumper and SUMO's */
    float lag_m;         /* the same along the way */
    /* the drive's sums */
    fw_drive_result result;
    bool ended, braking;
    uint32_t standing_ticks;
    double jerk_square_sum;
    uint32_t jerk_count;
    fw_path path;
    fw_drive_obs obs, last_obs;
    bool has_obs, has_last_obs;
} fw_car;

struct fw_world {
    fw_world_config config;
    char network[32];
    fw_net *net;
    fw_city city;
    fw_random random;
    uint32_t tick;
    char (*lights_before)[FW_CITY_LIGHT_LINKS_MAX]; /* as the drivers saw them */
    uint32_t start_s;                               /* of the demand's hour, at tick 0 */
    uint32_t listed[2], listed_count;               /* junctions */
    fw_car *cars;                                   /* (config.cars) */
    uint32_t *candidates;                           /* (FW_CITY_VEHICLES_MAX) scratch */
    fw_drive_result results[2 * FW_WORLD_CARS_MAX];
    uint32_t result_first, result_count;
    double gap_sum_m, gap_max_m; /* pose gap statistics */
    uint64_t gap_count;
};

static inline float fw_car_front_m(const fw_car *car) { /* rear axle to front bumper */
    return car->length_m - car->overhang_m;
}
static inline float fw_car_middle_m(const fw_car *car) { /* rear axle to the box's centre */
    return 0.5f * car->length_m - car->overhang_m;
}

/* observe.c: fills car->obs. */
void fw_world_observe(fw_world *world, uint32_t car);
/* conflicts.c: fills obs->conflicts; users[i] is the vehicle slot of obs->users[i]. */
void fw_world_conflicts(fw_world *world, const fw_car *car, const uint32_t *users,
                        fw_drive_obs *obs);
/* truth.c: after a step, with all boxes in place. Sets car->ended and the result. */
void fw_world_judge(fw_world *world, uint32_t car, float front_before_m, float accel_before_mps2);
void fw_world_finish_result(fw_car *car);
/* Mean and maximum of the gap between our poses and SUMO's copies (developer's figure). */
void fw_world_gap(const fw_world *world, double *mean_m, double *max_m);

#endif
