/* world.c - opening, stepping, taking cars over and ending drives (world.h). */
#include "worlds/sumo/world.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "worlds/sumo/internal.h"

enum { BEGIN_MAX_S = 1200, WARM_UP_S = 120, WARM_UP_MORE_S = 60 };
/* The examiner's hours: begin, warm up, one minute of drives, all within the hour of demand. */
enum { SEALED_BEGIN_S = 2400, SEALED_BEGIN_MORE_S = 900 };
#define SEALED_BIT (1ULL << 63)
#define ROUTE_MIN_M 200.0f
#define LANE_LEFT_MIN_M 6.0 /* a car is not taken at the very end of its lane */
#define CORNERS_AHEAD_M 60.0f
#define CORNER_LATERAL_MPS2 3.0f
#define CORNER_BRAKE_MPS2 2.5f
#define FOLLOW_MAX_MPS 60.0
#define KEEP_LANE_S 1.0

/* ---- taking over ---- */

static bool could_be_ours(const fw_world *w, const fw_vehicle *v) {
    if (!v->used || !v->known || v->gone || !v->passenger || v->car != FW_CITY_NO_CAR ||
        v->lane == FW_NET_NONE || v->length_m <= 0)
        return false;
    const fw_net_lane *lane = &w->net->lanes[v->lane];
    return !w->net->edges[lane->edge].internal && lane->passenger &&
           v->position_m > (double)v->length_m + 0.5 &&
           v->position_m < lane->length_m - LANE_LEFT_MIN_M && v->route_index < v->route_count &&
           v->route[v->route_index] == lane->edge;
}

/* With the box of the kind that we make of it. */
static bool overlaps_any(const fw_world *w, uint32_t slot, const fw_vehicle_kind *kind) {
    const fw_vehicle *us = &w->city.vehicles[slot];
    const float x = us->front_x_m - 0.5f * kind->length_m * cosf(us->yaw_rad);
    const float y = us->front_y_m - 0.5f * kind->length_m * sinf(us->yaw_rad);
    for (uint32_t i = 0; i < w->city.vehicle_count; i++) {
        const fw_vehicle *v = &w->city.vehicles[i];
        if (i == slot || !v->used || !v->known || v->gone) continue;
        if (fw_drive_boxes_overlap(x, y, us->yaw_rad, kind->length_m + 0.5f, kind->width_m + 0.3f, v->x_m, v->y_m, v->yaw_rad, v->length_m,
                                   v->width_m))
            return true;
    }
    return false;
}

/* SUMO's copy gets the box that our car has. */
static void resize_copy(fw_world *w, const fw_car *car, fw_vehicle *v) {
    if (v->length_m == car->length_m && v->width_m == car->width_m) return;
    v->length_m = car->length_m;
    v->width_m = car->width_m;
    fw_traci_add_number(w->city.traci, FW_TRACI_VEHICLE, FW_TRACI_LENGTH, fw_vehicle_id(v), (double)car->length_m);
    fw_traci_add_number(w->city.traci, FW_TRACI_VEHICLE, FW_TRACI_WIDTH, fw_vehicle_id(v), (double)car->width_m);
}

static void start_drive(fw_world *w, uint32_t index, uint32_t slot) {
    fw_car *car = &w->cars[index];
    fw_vehicle *v = &w->city.vehicles[slot];
    v->car = (int)index;
    car->driven = true;
    car->mirrored = w->config.conditions.left_hand;
    car->vehicle = slot;
    car->serial = v->serial;
    car->drive++;
    car->speed_mps = v->speed_mps;
    car->accel_mps2 = car->curvature_pm = 0;
    car->lost_ticks = car->standing_ticks = car->jerk_count = 0;
    car->gap_m = car->lag_m = 0;
    car->jerk_square_sum = 0;
    car->ended = car->braking = false;
    car->result = (fw_drive_result){.car = index, .drive = car->drive};
    resize_copy(w, car, v);
    if (w->config.sumo_drives) return;
    fw_traci_add_mode(w->city.traci, fw_vehicle_id(v), FW_TRACI_SPEED_MODE, 0);
    fw_traci_add_mode(w->city.traci, fw_vehicle_id(v), FW_TRACI_LANE_MODE, 0);
    fw_traci_add_speed(w->city.traci, fw_vehicle_id(v), (double)v->speed_mps);
}

/* True when the car can still brake for every corner ahead: SUMO's drivers take corners at the
 * limit of the street, and a car handed over just before one could only leave the lane. */
static bool corners_in_reach(const fw_car *car, float speed_mps) {
    for (uint32_t i = (uint32_t)(car->s_m / FW_DRIVE_GRID_M) + 1; i + 1 < car->path.point_count;
         i++) {
        const float way = (float)i * FW_DRIVE_GRID_M - car->s_m;
        if (way > CORNERS_AHEAD_M) break;
        const float s = (float)i * FW_DRIVE_GRID_M;
        const float turn =
            remainderf(fw_path_yaw_at(&car->path, s + 0.5f) - fw_path_yaw_at(&car->path, s - 0.5f),
                       2 * (float)M_PI);
        const float square = CORNER_LATERAL_MPS2 * FW_DRIVE_GRID_M / fmaxf(fabsf(turn), 1e-4f);
        if (speed_mps * speed_mps > square + 2 * CORNER_BRAKE_MPS2 * fmaxf(way - 2, 0))
            return false;
    }
    return true;
}

/* Lays the path and poses the car; false when this candidate will not do. */
static bool try_candidate(fw_world *w, uint32_t index, uint32_t slot, const fw_vehicle_kind *kind) {
    fw_car *car = &w->cars[index];
    const fw_vehicle *v = &w->city.vehicles[slot];
    car->kind = kind ? *kind : fw_vehicles_like(w->config.vehicles, v->length_m, v->width_m);
    car->length_m = car->kind.length_m;
    car->width_m = car->kind.width_m;
    if (v->position_m < (double)car->length_m + 0.5 || overlaps_any(w, slot, &car->kind)) return false;
    car->overhang_m = car->kind.rear_overhang_m;
    const float front = fw_car_front_m(car);
    const fw_path_start start = {.edges = v->route + v->route_index,
                                 .edge_count = v->route_count - v->route_index,
                                 .lane = v->lane,
                                 .position_m = v->position_m,
                                 .front_m = (double)front};
    fw_error why;
    if (fw_path_build(w->net, &start, &car->path, &why) != FW_OK) return false;
    car->x_m = v->front_x_m - front * cosf(v->yaw_rad);
    car->y_m = v->front_y_m - front * sinf(v->yaw_rad);
    car->yaw_rad = v->yaw_rad;
    float lateral = 0;
    car->s_m = fw_path_project(&car->path, car->x_m, car->y_m, (float)FW_PATH_BEHIND_M, &lateral);
    car->front_s_m = car->s_m + front;
    const float turn =
        remainderf(fw_path_yaw_at(&car->path, car->s_m) - car->yaw_rad, 2 * (float)M_PI);
    return corners_in_reach(car, v->speed_mps) && fabsf(lateral) < 0.8f && fabsf(turn) < 0.35f &&
           fw_path_length_m(&car->path) - car->front_s_m >= ROUTE_MIN_M;
}

/* The kind that the next car becomes; NULL: a car with SUMO's own box. */
static const fw_vehicle_kind *draw_kind(fw_world *w) {
    const fw_conditions *c = &w->config.conditions;
    if (!c->kind[0]) return NULL;
    const bool drawn = fw_random_below(&w->random, 1000000) < (uint32_t)(c->kind_share * 1e6);
    return drawn ? fw_vehicles_find(w->config.vehicles, c->kind) : NULL;
}

/* Draws candidates in random order until one will do. */
static void take_over(fw_world *w, uint32_t index) {
    const fw_vehicle_kind *kind = draw_kind(w);
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->city.vehicle_count; i++)
        if (could_be_ours(w, &w->city.vehicles[i])) w->candidates[count++] = i;
    while (count) {
        const uint32_t draw = fw_random_below(&w->random, count);
        const uint32_t slot = w->candidates[draw];
        if (try_candidate(w, index, slot, kind)) {
            start_drive(w, index, slot);
            return;
        }
        w->candidates[draw] = w->candidates[--count];
    }
}

/* Puts the bicycle's box into the city's table, where everybody sees it. */
static void show_box(fw_world *w, const fw_car *car) {
    fw_vehicle *v = &w->city.vehicles[car->vehicle];
    const float middle = fw_car_middle_m(car);
    v->x_m = car->x_m + middle * cosf(car->yaw_rad);
    v->y_m = car->y_m + middle * sinf(car->yaw_rad);
    v->yaw_rad = car->yaw_rad;
    v->speed_mps = car->speed_mps;
}

static void leave(fw_world *w, uint32_t index) {
    fw_car *car = &w->cars[index];
    fw_vehicle *v = &w->city.vehicles[car->vehicle];
    car->driven = car->has_obs = false;
    if (!v->used || v->serial != car->serial) return;
    v->car = FW_CITY_NO_CAR;
    v->gone = true;
    fw_traci_add_remove(w->city.traci, fw_vehicle_id(v));
}

/* ---- one step ---- */

/* SUMO's coordinate of its copy of our car; false when the copy is not on our way. */
static bool copy_u(const fw_world *w, const fw_car *car, double near_u, double *u,
                   uint32_t *stretch) {
    const fw_vehicle *v = &w->city.vehicles[car->vehicle];
    if (v->lane == FW_NET_NONE) return false;
    *stretch = fw_path_stretch_of(&car->path, w->net->lanes[v->lane].edge, near_u);
    if (*stretch == FW_NET_NONE) return false;
    *u = car->path.stretches[*stretch].u0_m + v->position_m;
    return true;
}

/* Lets SUMO's copy follow: its speed so that its front bumper is where ours will be, and our lane.
 */
static void lead_copy(fw_world *w, fw_car *car) {
    const fw_vehicle *v = &w->city.vehicles[car->vehicle];
    const double target = fw_path_u_at(&car->path, (double)car->front_s_m);
    double u, speed = (double)car->speed_mps;
    uint32_t stretch;
    if (copy_u(w, car, target, &u, &stretch)) {
        car->lost_ticks = 0;
        speed = fmin(fmax((target - u) / (double)FW_DRIVE_TICK_S, 0), FOLLOW_MAX_MPS);
        if (!car->path.stretches[stretch].internal) {
            const uint32_t lane = fw_path_lane_at(&car->path, stretch, fmax(u, target));
            if (lane != v->lane)
                fw_traci_add_change_lane(w->city.traci, fw_vehicle_id(v),
                                         (uint8_t)w->net->lanes[lane].index, KEEP_LANE_S);
        }
    } else {
        car->lost_ticks++;
    }
    fw_traci_add_speed(w->city.traci, fw_vehicle_id(v), speed);
}

static void drive_car(fw_world *w, fw_car *car, fw_drive_action action) {
    if (car->mirrored) action.curvature_pm = -action.curvature_pm;
    fw_vehicle_state state = {car->x_m, car->y_m, car->yaw_rad, car->speed_mps, car->accel_mps2,
                              car->curvature_pm};
    fw_vehicle_move(&car->kind, &state, action, FW_DRIVE_TICK_S);
    car->x_m = state.x_m, car->y_m = state.y_m, car->yaw_rad = state.yaw_rad;
    car->speed_mps = state.speed_mps;
    car->accel_mps2 = state.accel_mps2, car->curvature_pm = state.curvature_pm;
    car->s_m = fw_path_project(&car->path, car->x_m, car->y_m, car->s_m, NULL);
    car->front_s_m = car->s_m + fw_car_front_m(car);
    lead_copy(w, car);
}

/* SUMO drives: our pose is its pose. */
static void watch_car(fw_world *w, fw_car *car) {
    const fw_vehicle *v = &w->city.vehicles[car->vehicle];
    const float front = fw_car_front_m(car), before = car->speed_mps, yaw = car->yaw_rad;
    double u;
    uint32_t stretch;
    if (copy_u(w, car, fw_path_u_at(&car->path, (double)car->front_s_m), &u, &stretch)) {
        car->front_s_m = fw_path_s_at(&car->path, u);
        car->s_m = car->front_s_m - front;
    }
    car->x_m = v->front_x_m - front * cosf(v->yaw_rad);
    car->y_m = v->front_y_m - front * sinf(v->yaw_rad);
    car->yaw_rad = v->yaw_rad;
    car->speed_mps = v->speed_mps;
    car->accel_mps2 = (car->speed_mps - before) / FW_DRIVE_TICK_S;
    const float way = fmaxf(car->speed_mps * FW_DRIVE_TICK_S, 0.2f);
    car->curvature_pm = remainderf(car->yaw_rad - yaw, 2 * (float)M_PI) / way;
}

static void measure_gap(fw_world *w, fw_car *car) {
    const double target = fw_path_u_at(&car->path, (double)car->front_s_m);
    double u;
    uint32_t stretch;
    car->lag_m = copy_u(w, car, target, &u, &stretch) ? (float)fabs(target - u) : 0;
    const fw_vehicle *v = &w->city.vehicles[car->vehicle];
    const float front = fw_car_front_m(car);
    car->gap_m = hypotf(car->x_m + front * cosf(car->yaw_rad) - v->front_x_m,
                        car->y_m + front * sinf(car->yaw_rad) - v->front_y_m);
    w->gap_sum_m += (double)car->gap_m;
    w->gap_max_m = fmax(w->gap_max_m, (double)car->gap_m);
    w->gap_count++;
}

/* SUMO no longer has the vehicle: it arrived, or was lost. */
static bool copy_gone(const fw_world *w, const fw_car *car) {
    const fw_vehicle *v = &w->city.vehicles[car->vehicle];
    return !v->used || v->serial != car->serial;
}

static void end_gone(const fw_world *w, fw_car *car) {
    car->ended = true;
    if (w->config.sumo_drives)
        car->result.route_done = true;
    else
        car->result.desync = true;
}

static void push_result(fw_world *w, fw_car *car) {
    const uint32_t room = sizeof w->results / sizeof *w->results;
    fw_world_finish_result(car);
    if (w->result_count == room) return; /* nobody takes them */
    w->results[(w->result_first + w->result_count++) % room] = car->result;
}

static void judge_all(fw_world *w, const float *front_before, const float *accel_before) {
    for (uint32_t i = 0; i < w->config.cars; i++) {
        fw_car *car = &w->cars[i];
        if (!car->driven) continue;
        if (copy_gone(w, car)) {
            end_gone(w, car);
            continue;
        }
        fw_world_judge(w, i, front_before[i], accel_before[i]);
    }
    for (uint32_t i = 0; i < w->config.cars; i++) {
        if (!w->cars[i].driven || !w->cars[i].ended) continue;
        push_result(w, &w->cars[i]);
        leave(w, i);
    }
}

/* Free slots get a car, everybody an observation. */
static fw_status refill(fw_world *w, fw_error *error) {
    for (uint32_t i = 0; i < w->config.cars; i++)
        if (!w->cars[i].driven) take_over(w, i);
    FW_TRY(fw_traci_exchange(w->city.traci, NULL, NULL, error));
    for (uint32_t i = 0; i < w->config.cars; i++)
        if (w->cars[i].driven) fw_world_observe(w, i);
    return FW_OK;
}

/* After SUMO's step: its poses become ours (watching), or our boxes overwrite its (driving). */
static void place_all(fw_world *w) {
    for (uint32_t i = 0; i < w->config.cars; i++) {
        fw_car *car = &w->cars[i];
        if (!car->driven || copy_gone(w, car)) continue;
        if (w->config.sumo_drives) {
            watch_car(w, car);
        } else {
            measure_gap(w, car);
            show_box(w, car);
        }
    }
}

fw_status fw_world_step(fw_world *w, const fw_drive_action *actions, fw_error *error) {
    float front_before[FW_WORLD_CARS_MAX], accel_before[FW_WORLD_CARS_MAX];
    memcpy(w->lights_before, w->city.lights, (w->net->light_count + 1) * sizeof *w->lights_before);
    for (uint32_t i = 0; i < w->config.cars; i++) {
        fw_car *car = &w->cars[i];
        front_before[i] = car->front_s_m;
        accel_before[i] = car->accel_mps2;
        car->has_last_obs = false;
        if (car->driven && !w->config.sumo_drives) drive_car(w, car, actions[i]);
    }
    FW_TRY(fw_city_step(&w->city, error));
    w->tick++;
    place_all(w);
    judge_all(w, front_before, accel_before);
    return refill(w, error);
}

/* ---- the rest ---- */

static void find_listed(fw_world *w) {
    static const char *const acosta[] = {"78", "51"};
    if (strcmp(w->network, "acosta") != 0) return;
    for (size_t i = 0; i < 2; i++) {
        const uint32_t j = fw_names_find(&w->net->junction_names, fw_text_of(acosta[i]));
        if (j != FW_NAME_NONE) w->listed[w->listed_count++] = j;
    }
}

static fw_status open_parts(fw_world *w, fw_error *error) {
    char path[FW_PATH_MAX];
    FW_TRY(fw_city_net_path(w->network, path, sizeof path, error));
    FW_TRY(fw_net_load(path, &w->net, error));
    fw_random start = fw_random_named(w->config.seed, "sumo/start");
    const bool sealed = (w->config.seed & SEALED_BIT) != 0;
    const fw_city_config config = {
        .network = w->network,
        .begin_s = sealed ? SEALED_BEGIN_S + fw_random_below(&start, SEALED_BEGIN_MORE_S + 1)
                          : fw_random_below(&start, BEGIN_MAX_S + 1),
        .warm_up_s = WARM_UP_S + fw_random_below(&start, WARM_UP_MORE_S + 1),
        .seed = fw_random_below(&start, INT32_MAX),
        .demand = w->config.conditions.demand,
        .traffic = w->config.conditions.traffic,
    };
    w->start_s = config.begin_s + config.warm_up_s;
    FW_TRY(fw_city_open(&config, w->net, &w->city, error));
    w->lights_before = calloc(w->net->light_count + 1, sizeof *w->lights_before);
    FW_ASSERT(w->lights_before);
    find_listed(w);
    return refill(w, error);
}

fw_status fw_world_open(const fw_world_config *config, fw_world **out, fw_error *error) {
    if (config->cars < 1 || config->cars > FW_WORLD_CARS_MAX)
        return fw_fail(error, FW_INVALID, "%u cars: 1 to %d are possible", config->cars,
                       FW_WORLD_CARS_MAX);
    fw_world *w = calloc(1, sizeof *w);
    FW_ASSERT(w);
    w->config = *config;
    (void)snprintf(w->network, sizeof w->network, "%s", config->network);
    w->config.network = w->network;
    if (!w->config.vehicles) w->config.vehicles = fw_vehicles_builtin();
    if (w->config.conditions.demand <= 0) w->config.conditions.demand = 1;
    w->city.pid = w->city.talk = -1;
    w->random = fw_random_named(config->seed, "sumo/take-over");
    w->cars = calloc(config->cars, sizeof *w->cars);
    w->candidates = calloc(FW_CITY_VEHICLES_MAX, sizeof *w->candidates);
    FW_ASSERT(w->cars && w->candidates);
    const fw_status status = open_parts(w, error);
    if (status != FW_OK)
        fw_world_close(w);
    else
        *out = w;
    return status;
}

void fw_world_close(fw_world *w) {
    if (!w) return;
    fw_city_close(&w->city);
    fw_net_free(w->net);
    free(w->lights_before);
    free(w->cars);
    free(w->candidates);
    free(w);
}

fw_status fw_world_shift(fw_world *w, const fw_conditions *conditions, fw_error *error) {
    FW_TRY(fw_city_shift(&w->city, conditions->demand, conditions->traffic, error));
    w->config.conditions = *conditions;
    return FW_OK;
}

uint32_t fw_world_tick(const fw_world *w) {
    return w->tick;
}

const fw_drive_obs *fw_world_obs(const fw_world *w, uint32_t car) {
    FW_ASSERT(car < w->config.cars);
    return w->cars[car].driven && w->cars[car].has_obs ? &w->cars[car].obs : NULL;
}

bool fw_world_take_result(fw_world *w, fw_drive_result *out) {
    if (!w->result_count) return false;
    *out = w->results[w->result_first];
    w->result_first = (w->result_first + 1) % (sizeof w->results / sizeof *w->results);
    w->result_count--;
    return true;
}

const fw_drive_obs *fw_world_last_obs(const fw_world *w, uint32_t car) {
    FW_ASSERT(car < w->config.cars);
    return w->cars[car].has_last_obs ? &w->cars[car].last_obs : NULL;
}

int fw_world_sumo_pid(const fw_world *w) {
    return (int)w->city.pid;
}

void fw_world_gap(const fw_world *w, double *mean_m, double *max_m) {
    *mean_m = w->gap_count ? w->gap_sum_m / (double)w->gap_count : 0;
    *max_m = w->gap_max_m;
}

bool fw_world_over(const fw_world *w) {
    const uint32_t now_s = w->start_s + w->tick / 10;
    return (w->config.seed & SEALED_BIT) == 0 && now_s >= FW_WORLD_HOURS_END_S;
}
