/* observe.c - one car's observation: only what a car would know (drive.h). */
#include <math.h>
#include <string.h>

#include "worlds/sumo/internal.h"

static void see_path(const fw_car *car, fw_drive_obs *o) {
    const float behind = car->s_m - (float)FW_PATH_BEHIND_M;
    const uint32_t last = car->path.point_count - 1;
    uint32_t first = behind > 0 ? (uint32_t)(behind / FW_DRIVE_GRID_M) : 0;
    if (first > last) first = last;
    o->path_first = first;
    o->path_count = last + 1 - first < FW_DRIVE_PATH_MAX ? last + 1 - first : FW_DRIVE_PATH_MAX;
    memcpy(o->path, &car->path.points[first], o->path_count * sizeof *o->path);
}

static fw_drive_light light_of(char state) {
    switch (state) {
    case 'G':
    case 'g':
        return FW_DRIVE_LIGHT_GREEN;
    case 'y':
    case 'Y':
        return FW_DRIVE_LIGHT_YELLOW;
    case 'r':
    case 'R':
    case 'u':
        return FW_DRIVE_LIGHT_RED;
    default:
        return FW_DRIVE_LIGHT_NONE;
    }
}

static void see_light(const fw_world *world, const fw_car *car, fw_drive_obs *o) {
    const float end = (float)(o->path_first + o->path_count - 1) * FW_DRIVE_GRID_M;
    for (uint32_t i = 0; i < car->path.link_count; i++) {
        const fw_path_link *link = &car->path.links[i];
        if (link->s0_m < car->front_s_m) continue;
        if (link->s0_m > end) return;
        const fw_drive_light light = light_of(fw_city_light(&world->city, link->link));
        if (light == FW_DRIVE_LIGHT_NONE) continue;
        o->light = light;
        o->light_s_m = link->s0_m;
        return;
    }
}

typedef struct seen {
    float square_m2;
    uint32_t slot;
} seen;

/* Keeps the nearest FW_DRIVE_USERS_MAX, sorted; ties by slot. */
static void keep_nearest(seen *list, uint32_t *count, seen one) {
    uint32_t at = *count;
    if (at == FW_DRIVE_USERS_MAX && one.square_m2 >= list[at - 1].square_m2) return;
    if (at < FW_DRIVE_USERS_MAX)
        (*count)++;
    else
        at--;
    for (; at > 0 && list[at - 1].square_m2 > one.square_m2; at--) list[at] = list[at - 1];
    list[at] = one;
}

static void see_users(fw_world *world, const fw_car *car, float x, float y, uint32_t *slots,
                      fw_drive_obs *o) {
    seen list[FW_DRIVE_USERS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < world->city.vehicle_count; i++) {
        const fw_vehicle *v = &world->city.vehicles[i];
        if (!v->used || !v->known || v->gone || i == car->vehicle) continue;
        const float dx = v->x_m - x, dy = v->y_m - y, square = dx * dx + dy * dy;
        if (square <= FW_DRIVE_RANGE_M * FW_DRIVE_RANGE_M)
            keep_nearest(list, &count, (seen){square, i});
    }
    for (uint32_t i = 0; i < count; i++) {
        const fw_vehicle *v = &world->city.vehicles[list[i].slot];
        slots[i] = list[i].slot;
        o->users[i] = (fw_drive_user){.id = v->serial,
                                      .lane = v->lane,
                                      .x_m = v->x_m,
                                      .y_m = v->y_m,
                                      .yaw_rad = v->yaw_rad,
                                      .speed_mps = v->speed_mps,
                                      .length_m = v->length_m,
                                      .width_m = v->width_m};
    }
    o->user_count = count;
}

/* The left-hand city: the same, seen in a mirror along the x axis. */
static void mirror(fw_drive_obs *o) {
    o->y_m = -o->y_m;
    o->yaw_rad = -o->yaw_rad;
    o->curvature_pm = -o->curvature_pm;
    for (uint32_t i = 0; i < o->path_count; i++) o->path[i].y_m = -o->path[i].y_m;
    for (uint32_t i = 0; i < o->user_count; i++) {
        o->users[i].y_m = -o->users[i].y_m;
        o->users[i].yaw_rad = -o->users[i].yaw_rad;
    }
}

void fw_world_observe(fw_world *world, uint32_t index) {
    fw_car *car = &world->cars[index];
    fw_drive_obs *o = &car->obs;
    memset(o, 0, sizeof *o);
    o->drive = car->drive;
    o->tick = world->tick;
    o->time_ns = (int64_t)world->tick * 100000000;
    o->x_m = car->x_m;
    o->y_m = car->y_m;
    o->yaw_rad = car->yaw_rad;
    o->speed_mps = car->speed_mps;
    o->accel_mps2 = car->accel_mps2;
    o->curvature_pm = car->curvature_pm;
    o->length_m = car->length_m;
    o->width_m = car->width_m;
    o->rear_overhang_m = car->overhang_m;
    o->s_m = car->s_m;
    o->route_left_m = fw_path_length_m(&car->path) - car->front_s_m;
    const float middle = fw_car_middle_m(car);
    uint32_t slots[FW_DRIVE_USERS_MAX];
    see_path(car, o);
    see_light(world, car, o);
    see_users(world, car, car->x_m + middle * cosf(car->yaw_rad),
              car->y_m + middle * sinf(car->yaw_rad), slots, o);
    fw_world_conflicts(world, car, slots, o);
    if (car->mirrored) mirror(o);
    car->has_obs = true;
}
