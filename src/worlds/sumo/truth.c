/* truth.c - what a drive was worth, by the world's own measure; definitions in docs/truth.md. */
#include <math.h>

#include "worlds/sumo/internal.h"

#define HARD_BRAKE_MPS2 -4.0f
#define HARD_BRAKE_OVER_MPS2 -3.0f /* a new one begins only after this */
#define STANDS_MPS 0.1f
#define MOVES_MPS 0.5f
#define STUCK_TICKS 300
#define RED_IN_FRONT_M 30.0f
#define CAR_IN_FRONT_M 15.0f
#define ROUTE_DONE_M 8.0f
#define DESYNC_M 5.0f      /* along the way */
#define DESYNC_POSE_M 9.0f /* anywhere: paths round corners that SUMO takes with a kink */
#define DESYNC_TICKS 20
#define FOLLOWS_M 5.0
#define IN_LINE_SHARE 0.8f /* centres this far apart, of half both lengths: bumper to bumper */
#define LISTED_AROUND_M 10.0

static void middle_of(const fw_car *car, float *x, float *y) {
    const float middle = fw_car_middle_m(car);
    *x = car->x_m + middle * cosf(car->yaw_rad);
    *y = car->y_m + middle * sinf(car->yaw_rad);
}

/* A driver of SUMO's behind us on our own way, who kept its distance along it. SUMO measures along lanes and drives
 * its boxes straight through their kinks: what overlaps there is geometry, and not a collision. */
static bool follows(const fw_world *world, const fw_car *car, const fw_vehicle *v) {
    if (v->car != FW_CITY_NO_CAR || v->lane == FW_NET_NONE) return false;
    const fw_path *p = &car->path;
    const double rear_u = fw_path_u_at(p, (double)car->front_s_m) - (double)car->length_m;
    const uint32_t k = fw_path_stretch_of(p, world->net->lanes[v->lane].edge, rear_u);
    if (k == FW_NET_NONE) return false;
    const double u = p->stretches[k].u0_m + v->position_m;
    return u < rear_u && u > rear_u - FOLLOWS_M && fw_path_lane_at(p, k, u) == v->lane;
}

/* The vehicle whose box meets ours, or NULL. */
static const fw_vehicle *find_collision(const fw_world *world, fw_car *car) {
    float x, y;
    middle_of(car, &x, &y);
    for (uint32_t i = 0; i < world->city.vehicle_count; i++) {
        const fw_vehicle *v = &world->city.vehicles[i];
        if (!v->used || !v->known || v->gone || i == car->vehicle) continue;
        if (fw_drive_boxes_overlap(x, y, car->yaw_rad, car->length_m, car->width_m, v->x_m, v->y_m,
                                   v->yaw_rad, v->length_m, v->width_m)) {
            if (!follows(world, car, v)) return v;
            car->result.bend_overlap = true;
        }
    }
    return NULL;
}

/* What the accelerometer feels in a bump of equal masses: half the speed difference in one tick. */
static float impact_of(const fw_car *car, const fw_vehicle *v) {
    const float dx = car->speed_mps * cosf(car->yaw_rad) - v->speed_mps * cosf(v->yaw_rad);
    const float dy = car->speed_mps * sinf(car->yaw_rad) - v->speed_mps * sinf(v->yaw_rad);
    return fmaxf(10, 0.5f * hypotf(dx, dy) / FW_DRIVE_TICK_S);
}

static bool in_junction(const fw_car *car) {
    const float rear = car->front_s_m - car->length_m;
    for (uint32_t i = 0; i < car->path.link_count; i++)
        if (car->path.links[i].s0_m < car->front_s_m && car->path.links[i].s1_m > rear) return true;
    return false;
}

static bool in_change(const fw_car *car) {
    const float rear = car->front_s_m - car->length_m;
    for (uint32_t i = 0; i < car->path.change_count; i++)
        if (car->path.changes[i].s0_m < car->front_s_m && car->path.changes[i].s1_m > rear)
            return true;
    return false;
}

/* Bumper to bumper, or by what we were doing. */
static fw_drive_met how_met(const fw_car *car, const fw_vehicle *v, float ahead_m) {
    const float turn = remainderf(v->yaw_rad - car->yaw_rad, 2 * (float)M_PI);
    const bool in_line = fabsf(turn) < (float)M_PI / 4 &&
                         fabsf(ahead_m) > IN_LINE_SHARE * 0.5f * (car->length_m + v->length_m);
    if (in_line) return ahead_m > 0 ? FW_DRIVE_MET_AHEAD : FW_DRIVE_MET_BEHIND;
    if (in_change(car)) return FW_DRIVE_MET_CHANGE;
    return in_junction(car) ? FW_DRIVE_MET_JUNCTION : FW_DRIVE_MET_BESIDE;
}

static void judge_collision(fw_world *world, uint32_t index) {
    fw_car *car = &world->cars[index];
    const fw_vehicle *other = find_collision(world, car);
    if (!other) return;
    float x, y;
    middle_of(car, &x, &y);
    const float ahead =
        (other->x_m - x) * cosf(car->yaw_rad) + (other->y_m - y) * sinf(car->yaw_rad);
    car->result.collision = true;
    car->result.at_fault = car->speed_mps > MOVES_MPS && ahead > 0;
    car->result.met = how_met(car, other, ahead);
    car->result.met_ours = other->car != FW_CITY_NO_CAR;
    car->ended = true;
    const float impact = impact_of(car, other);
    fw_world_observe(world, index);
    car->last_obs = car->obs;
    car->last_obs.impact_mps2 = impact;
    car->has_last_obs = true;
}

static bool near_corridor(const fw_world *world, const fw_car *car, float x, float y) {
    const fw_path *p = &car->path;
    const double u = fw_path_u_at(p, (double)(car->s_m + fw_car_middle_m(car)));
    for (uint32_t k = 0; k < p->stretch_count; k++) {
        const fw_path_stretch *s = &p->stretches[k];
        if (u < s->u0_m - FW_PATH_BEHIND_M || u > s->u0_m + s->length_m + FW_PATH_BEHIND_M)
            continue;
        const uint32_t low = s->lane_in < s->lane_out ? s->lane_in : s->lane_out;
        const uint32_t high = s->lane_in < s->lane_out ? s->lane_out : s->lane_in;
        /* All lanes between only while a change is going on; else the one that is wanted. */
        for (uint32_t lane = low; lane <= high; lane++) {
            bool counts = lane == fw_path_lane_at(p, k, u);
            for (uint32_t i = 0; i < p->change_count; i++) {
                const fw_path_change *c = &p->changes[i];
                if (c->stretch == k && u >= c->u0_m - 2 && u <= c->u1_m + 5)
                    counts = counts || c->from_lane == lane || c->to_lane == lane;
            }
            if (counts && fw_net_lane_distance(world->net, lane, (double)x, (double)y) <=
                              0.5 * world->net->lanes[lane].width_m)
                return true;
        }
    }
    return false;
}

static void judge_corridor(const fw_world *world, fw_car *car) {
    float x, y, lateral = 0;
    middle_of(car, &x, &y);
    const float s = fw_path_project(&car->path, x, y, car->s_m + fw_car_middle_m(car), &lateral);
    uint32_t i = s > 0 ? (uint32_t)(s / FW_DRIVE_GRID_M) : 0;
    if (i >= car->path.point_count) i = car->path.point_count - 1;
    if (fabsf(lateral) <= 0.5f * car->path.points[i].width_m) return;
    if (near_corridor(world, car, x, y)) return;
    car->result.off_lane = true;
    car->ended = true;
}

static bool was_red(const fw_world *world, uint32_t link) {
    const fw_net_link *l = &world->net->links[link];
    if (l->light == FW_NET_NONE || l->light_index >= FW_CITY_LIGHT_LINKS_MAX) return false;
    const char state = world->lights_before[l->light][l->light_index];
    return state == 'r' || state == 'R' || state == 'u';
}

static void judge_red_light(const fw_world *world, fw_car *car, float front_before) {
    for (uint32_t i = 0; i < car->path.link_count; i++) {
        const fw_path_link *link = &car->path.links[i];
        if (link->s0_m < front_before || link->s0_m >= car->front_s_m) continue;
        if (!was_red(world, link->link)) continue;
        car->result.red_light = true;
        car->result.red_light_runs++;
    }
}

static bool red_in_front(const fw_world *world, const fw_car *car) {
    for (uint32_t i = 0; i < car->path.link_count; i++) {
        const fw_path_link *link = &car->path.links[i];
        const float way = link->s0_m - car->front_s_m;
        if (way < -1) continue;
        if (way > RED_IN_FRONT_M) return false;
        const char state = fw_city_light(&world->city, link->link);
        if (state == 'r' || state == 'R' || state == 'u' || state == 'y' || state == 'Y')
            return true;
    }
    return false;
}

/* A box that reaches into the strip of our own width over the next CAR_IN_FRONT_M of our path. */
static bool car_in_front(const fw_world *world, const fw_car *car) {
    for (float way = 1; way <= CAR_IN_FRONT_M; way += 2) {
        const float at = (car->front_s_m + way) / FW_DRIVE_GRID_M;
        const uint32_t i = (uint32_t)at;
        if (i + 1 >= car->path.point_count) return false;
        const fw_drive_point *a = &car->path.points[i], *b = a + 1;
        const float t = at - (float)i;
        const float x = a->x_m + t * (b->x_m - a->x_m), y = a->y_m + t * (b->y_m - a->y_m);
        const float yaw = fw_path_yaw_at(&car->path, car->front_s_m + way);
        for (uint32_t j = 0; j < world->city.vehicle_count; j++) {
            const fw_vehicle *v = &world->city.vehicles[j];
            if (!v->used || !v->known || v->gone || j == car->vehicle) continue;
            if (fw_drive_boxes_overlap(x, y, yaw, 2, car->width_m, v->x_m, v->y_m, v->yaw_rad,
                                       v->length_m, v->width_m))
                return true;
        }
    }
    return false;
}

static void judge_stuck(const fw_world *world, fw_car *car) {
    if (car->speed_mps > MOVES_MPS) car->standing_ticks = 0;
    if (car->speed_mps > STANDS_MPS) return;
    if (red_in_front(world, car) || car_in_front(world, car)) return;
    if (++car->standing_ticks < STUCK_TICKS) return;
    car->result.stuck = true;
    car->ended = true;
}

static void judge_comfort(fw_car *car, float accel_before) {
    fw_drive_result *r = &car->result;
    const float accel = car->accel_mps2;
    if (accel <= HARD_BRAKE_MPS2 && !car->braking) r->hard_brakes++;
    if (accel <= HARD_BRAKE_MPS2) car->braking = true;
    if (accel > HARD_BRAKE_OVER_MPS2) car->braking = false;
    r->ticks++;
    r->distance_m += (double)(car->speed_mps * FW_DRIVE_TICK_S);
    if (r->ticks == 1) return; /* a drive has no acceleration before its first tick */
    const double jerk = (double)(accel - accel_before) / (double)FW_DRIVE_TICK_S;
    car->jerk_square_sum += jerk * jerk;
    car->jerk_count++;
}

static void judge_place(const fw_world *world, fw_car *car) {
    float x, y;
    middle_of(car, &x, &y);
    for (uint32_t i = 0; i < world->listed_count; i++) {
        const fw_net_junction *j = &world->net->junctions[world->listed[i]];
        if ((double)x > j->x_low_m - LISTED_AROUND_M && (double)x < j->x_high_m + LISTED_AROUND_M &&
            (double)y > j->y_low_m - LISTED_AROUND_M && (double)y < j->y_high_m + LISTED_AROUND_M)
            car->result.listed_junction = true;
    }
}

static void judge_end(const fw_world *world, fw_car *car) {
    fw_drive_result *r = &car->result;
    if (car->ended) return;
    if (fw_path_length_m(&car->path) - car->front_s_m < ROUTE_DONE_M) {
        r->route_done = true;
        car->ended = true;
    } else if (!world->config.sumo_drives && (car->lag_m > DESYNC_M || car->gap_m > DESYNC_POSE_M ||
                                              car->lost_ticks > DESYNC_TICKS)) {
        r->desync = true;
        car->ended = true;
    } else if (r->ticks >= FW_WORLD_DRIVE_TICKS) {
        car->ended = true;
    }
}

void fw_world_judge(fw_world *world, uint32_t index, float front_before_m,
                    float accel_before_mps2) {
    fw_car *car = &world->cars[index];
    judge_comfort(car, accel_before_mps2);
    judge_collision(world, index);
    if (!world->config.sumo_drives) judge_corridor(world, car);
    judge_red_light(world, car, front_before_m);
    judge_stuck(world, car);
    judge_end(world, car);
    judge_place(world, car);
}

void fw_world_finish_result(fw_car *car) {
    fw_drive_result *r = &car->result;
    const double time_s = r->ticks * (double)FW_DRIVE_TICK_S;
    r->mean_speed_mps = time_s > 0 ? r->distance_m / time_s : 0;
    middle_of(car, &r->x_m, &r->y_m);
    r->jerk_rms_mps3 = car->jerk_count ? sqrt(car->jerk_square_sum / car->jerk_count) : 0;
}
