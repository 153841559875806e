/* city.h - SUMO's side of the world: its process, its vehicles and lights as of the last step.
 *
 * Vehicles sit in slots; a slot is freed when SUMO no longer reports its vehicle, and used again.
 * A vehicle's BOX (centre, yaw, speed) is what everybody sees; for our own cars the world
 * overwrites it with the bicycle's pose after each step, while lane and position stay SUMO's.
 *
 * Invariants: (1) slots are given in the order in which SUMO reports departures, so that the same
 * run gives the same slots; (2) a vehicle with `known` false has no position yet.
 */
#ifndef FW_WORLDS_SUMO_CITY_H
#define FW_WORLDS_SUMO_CITY_H

#include <sys/types.h>

#include "worlds/sumo/conditions.h"
#include "worlds/sumo/net.h"
#include "worlds/sumo/traci.h"

enum {
    FW_CITY_VEHICLES_MAX = 4096,
    FW_CITY_ROUTE_MAX = 1024,
    FW_CITY_AHEAD_MAX = 8,
    FW_CITY_LIGHT_LINKS_MAX = 128,
};
#define FW_CITY_NO_CAR (-1)

/* A link a vehicle is on or comes to. */
typedef struct fw_city_ahead {
    uint32_t link;
    float start_m; /* way of its front bumper to the link's start; negative: on it */
} fw_city_ahead;

typedef struct fw_vehicle {
    char id[96];
    uint32_t serial;                   /* number of this vehicle in the world, never used again */
    bool used, known, passenger, gone; /* gone: removed by us, SUMO hears of it next */
    int car;                           /* index of our car, or FW_CITY_NO_CAR */
    uint32_t seen;                     /* step of the last report */
    float length_m, width_m;
    uint32_t *route; /* (route_count) edges, owned */
    uint32_t route_count, route_index;
    /* SUMO's place */
    uint32_t lane;
    double position_m; /* of the front bumper on the lane */
    float front_x_m, front_y_m;
    /* the box */
    float x_m, y_m, yaw_rad, speed_mps;
    /* where it goes, filled by fw_city_ahead_of once a step */
    uint32_t ahead_step, ahead_count;
    fw_city_ahead ahead[FW_CITY_AHEAD_MAX];
} fw_vehicle;

typedef struct fw_city {
    const fw_net *net;
    fw_traci *traci;
    pid_t pid;
    int talk;                                  /* memory file with what SUMO said on stderr */
    uint32_t step, vehicle_count, next_serial; /* vehicle_count: slots in use, holes included */
    fw_vehicle *vehicles;                      /* (FW_CITY_VEHICLES_MAX) */
    fw_names names;                            /* id -> slot */
    char (*lights)[FW_CITY_LIGHT_LINKS_MAX];   /* [light][link index], zero beyond the end */
    uint32_t *departed;                        /* slots made in this step, not yet asked about */
    uint32_t departed_count;
    bool full; /* more vehicles than slots */
    fw_manners manners; /* as measured, once asked for */
    double traffic;     /* how aggressive SUMO's drivers are now */
} fw_city;

typedef struct fw_city_config {
    const char *network;
    uint32_t begin_s, warm_up_s, seed;
    double demand, traffic; /* conditions.h, from the warm-up on */
} fw_city_config;

/* Finds the network's folder and file. */
fw_status fw_city_net_path(const char *network, char *out, size_t out_size,
                           fw_error *error) FW_MUST;
/* Starts SUMO, connects, subscribes, warms up. `net` is the caller's and outlives the city. */
fw_status fw_city_open(const fw_city_config *config, const fw_net *net, fw_city *city,
                       fw_error *error) FW_MUST;
void fw_city_close(fw_city *city);
/* Sends what was added to city->traci, then moves one step and reads everybody's place. */
fw_status fw_city_step(fw_city *city, fw_error *error) FW_MUST;
/* The demand and the drivers from the next step on (conditions.h). */
fw_status fw_city_shift(fw_city *city, double demand, double traffic, fw_error *error) FW_MUST;
/* Fills v->ahead for this step. */
void fw_city_ahead_of(const fw_city *city, fw_vehicle *v);
/* 'G', 'g', 'y', 'r' ... of a link; 0 where it has no signal. */
char fw_city_light(const fw_city *city, uint32_t link);

static inline fw_text fw_vehicle_id(const fw_vehicle *v) {
    return fw_text_of(v->id);
}

#endif
