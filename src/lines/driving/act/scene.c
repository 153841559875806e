#include "lines/driving/act/scene.h"

#include <math.h>
#include <string.h>

static const float pi = 3.14159265f;

static float wrap(float angle) { return remainderf(angle, 2 * pi); }

/* ---- the path ---- */

void fw_drive_path_shape(const fw_drive_point *points, uint32_t count, float *heading_rad,
                         float *curvature_pm) {
    if (count == 0) return;
    for (uint32_t i = 0; i + 1 < count; i++)
        heading_rad[i] = atan2f(points[i + 1].y_m - points[i].y_m, points[i + 1].x_m - points[i].x_m);
    heading_rad[count - 1] = count > 1 ? heading_rad[count - 2] : 0.0f;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t last = count > 1 ? count - 2 : 0; /* segment */
        uint32_t back = i >= 2 ? i - 2 : 0, ahead = i + 1 < last ? i + 1 : last;
        curvature_pm[i] = ahead > back ? wrap(heading_rad[ahead] - heading_rad[back]) /
                                             ((float)(ahead - back) * FW_DRIVE_GRID_M)
                                       : 0.0f;
    }
}

/* A message without a route: a metre-wide way straight ahead on which nothing may be driven. */
static void no_path(const fw_drive_obs *obs, fw_drive_scene_room *room, fw_drive_scene *out) {
    float s = obs->s_m > 0 && obs->s_m < 1e6f ? obs->s_m : 0.0f;
    out->path_first = (uint32_t)(s / FW_DRIVE_GRID_M);
    for (uint32_t i = 0; i < 2; i++) {
        float way = (float)(out->path_first + i) * FW_DRIVE_GRID_M - s;
        room->no_path[i] = (fw_drive_point){.x_m = obs->x_m + way * out->cos_yaw,
                                            .y_m = obs->y_m + way * out->sin_yaw, .width_m = 1};
    }
    out->s_m = s;
    out->path = room->no_path;
    out->path_count = 2;
}

/* ---- the users ---- */

typedef struct ranking {
    uint32_t count, of[FW_DRIVE_USERS_MAX]; /* rows of the message, nearest first */
    float distance2_m2[FW_DRIVE_USERS_MAX]; /* (count) in that order */
    bool meets[FW_DRIVE_USERS_MAX];         /* by row: it has a conflict with us */
} ranking;

static void rank_users(const fw_drive_obs *obs, const fw_drive_scene *scene, ranking *r) {
    float middle = 0.5f * obs->length_m - obs->rear_overhang_m;
    float x = obs->x_m + middle * scene->cos_yaw, y = obs->y_m + middle * scene->sin_yaw;
    r->count = 0;
    for (uint32_t i = 0; i < obs->user_count; i++) {
        const fw_drive_user *u = &obs->users[i];
        float dx = u->x_m - x, dy = u->y_m - y, distance2 = dx * dx + dy * dy;
        if (!(distance2 <= FW_DRIVE_RANGE_M * FW_DRIVE_RANGE_M)) continue;
        uint32_t at = r->count++;
        for (; at > 0; at--) {
            bool before = distance2 < r->distance2_m2[at - 1] ||
                          (distance2 == r->distance2_m2[at - 1] && u->id < obs->users[r->of[at - 1]].id);
            if (!before) break;
            r->distance2_m2[at] = r->distance2_m2[at - 1];
            r->of[at] = r->of[at - 1];
        }
        r->distance2_m2[at] = distance2;
        r->of[at] = i;
    }
    memset(r->meets, 0, sizeof r->meets);
    for (uint32_t i = 0; i < obs->conflict_count; i++) r->meets[obs->conflicts[i].user] = true;
}

/* Keeps the nearest; a farther one with a conflict takes the place of the farthest without. */
static void cut_to_room(ranking *r) {
    uint32_t kept = r->count < FW_DRIVE_SCENE_USERS ? r->count : FW_DRIVE_SCENE_USERS;
    for (uint32_t i = kept; i < r->count; i++) {
        if (!r->meets[r->of[i]]) continue;
        uint32_t out = kept;
        while (out > 0 && r->meets[r->of[out - 1]]) out--;
        if (out == 0) break;
        memmove(&r->of[out - 1], &r->of[out], (kept - out) * sizeof *r->of);
        r->of[kept - 1] = r->of[i]; /* farther than all before it */
    }
    r->count = kept;
}

static void take_users(const fw_drive_obs *obs, fw_drive_scene_room *room, fw_drive_scene *out) {
    uint32_t row[FW_DRIVE_USERS_MAX];
    ranking r;
    rank_users(obs, out, &r);
    cut_to_room(&r);
    for (uint32_t i = 0; i < FW_DRIVE_USERS_MAX; i++) row[i] = UINT32_MAX;
    for (uint32_t i = 0; i < r.count; i++) {
        const fw_drive_user *u = &obs->users[r.of[i]];
        row[r.of[i]] = i;
        room->users[i] = (fw_drive_neighbour){
            .id = u->id, .x_m = u->x_m, .y_m = u->y_m, .cos_yaw = cosf(u->yaw_rad),
            .sin_yaw = sinf(u->yaw_rad), .speed_mps = u->speed_mps, .length_m = u->length_m,
            .width_m = u->width_m};
    }
    out->users = room->users;
    out->user_count = r.count;
    for (uint32_t i = 0; i < obs->conflict_count; i++) {
        const fw_drive_conflict *c = &obs->conflicts[i];
        if (row[c->user] == UINT32_MAX) continue;
        room->conflicts[out->conflict_count] = *c;
        room->conflicts[out->conflict_count++].user = row[c->user];
    }
    out->conflicts = room->conflicts;
}

/* ---- the whole ---- */

void fw_drive_scene_of(const fw_drive_obs *obs, fw_drive_scene_room *room, fw_drive_scene *out) {
    float yaw = wrap(obs->yaw_rad);
    fw_drive_scene scene = {
        .x_m = obs->x_m, .y_m = obs->y_m, .yaw_rad = yaw, .cos_yaw = cosf(yaw), .sin_yaw = sinf(yaw),
        .speed_mps = obs->speed_mps, .accel_mps2 = obs->accel_mps2, .curvature_pm = obs->curvature_pm,
        .length_m = obs->length_m, .width_m = obs->width_m, .rear_overhang_m = obs->rear_overhang_m,
        .s_m = obs->s_m, .route_left_m = obs->route_left_m, .light = obs->light,
        .light_s_m = obs->light_s_m, .path_first = obs->path_first, .path_count = obs->path_count,
        .path = obs->path, .heading_rad = room->heading_rad, .curvature_pm_path = room->curvature_pm};
    if (obs->path_count < 2) no_path(obs, room, &scene);
    fw_drive_path_shape(scene.path, scene.path_count, room->heading_rad, room->curvature_pm);
    take_users(obs, room, &scene);
    *out = scene;
}
