#include "lines/driving/learn/old_sim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What a drive is worth: per metre, per failure, and per tick of what is merely bad. */
static const float reward_per_m = 0.02f, reward_collision = -12, reward_bumped = -4,
                   reward_off_lane = -8, reward_red_light = -8;
static const float reward_hard_brake = -0.08f, reward_idle = -0.04f, reward_jerk = -0.004f,
                   reward_forced = -0.25f, /* for each car with priority that brakes for us */
                   reward_sideways = -0.03f, comfort_sideways_mps2 = 2.5f, /* per m/s2 beyond */
                   reward_off_centre = -0.02f;                             /* per m2 */

fw_old_sim fw_old_sim_new(uint64_t seed) {
    fw_old_sim sim = {.random = fw_random_named(seed, "sim")};
    sim.poses = calloc(FW_OLD_SCENARIO_TRACKS_MAX, sizeof *sim.poses);
    sim.late = calloc(FW_OLD_SCENARIO_TRACKS_MAX, sizeof *sim.late);
    FW_ASSERT(sim.poses && sim.late);
    return sim;
}

void fw_old_sim_free(fw_old_sim *sim) {
    free(sim->poses);
    free(sim->late);
}

static fw_old_sim_pose pose_at_way(const fw_old_scenario_track *track, float way, float speed) {
    uint32_t low = 0, high = track->count - 1;
    while (high - low > 1) {
        uint32_t middle = (low + high) / 2;
        if (track->way_m[middle] <= way) low = middle;
        else high = middle;
    }
    float step = track->way_m[high] - track->way_m[low];
    float u = step > 1e-4f ? fminf(1.0f, fmaxf(0.0f, (way - track->way_m[low]) / step)) : 0.0f;
    return (fw_old_sim_pose){track->x_m[low] + u * (track->x_m[high] - track->x_m[low]),
                         track->y_m[low] + u * (track->y_m[high] - track->y_m[low]),
                         track->yaw_rad[low] +
                             u * remainderf(track->yaw_rad[high] - track->yaw_rad[low], 6.28318531f),
                         speed, way, true, false};
}

/* True when a track moved sideways by a lane within this tick (the city's drivers change lanes at
 * once): it would have looked first, so where we now stand in its way it is taken out instead. */
static bool cut_in(const fw_old_sim_pose *before, const fw_old_sim_pose *now) {
    float dx = now->x_m - before->x_m, dy = now->y_m - before->y_m;
    return fabsf(-sinf(now->yaw_rad) * dx + cosf(now->yaw_rad) * dy) > 0.7f;
}

/* Puts every track that is not held up where it was recorded at this tick. */
static void place_tracks(fw_old_sim *sim) {
    const fw_old_scenario *s = sim->scenario;
    for (uint32_t a = s->active_at[sim->tick]; a < s->active_at[sim->tick + 1]; a++) {
        uint32_t k = s->active[a];
        const fw_old_scenario_track *track = &s->tracks[k];
        fw_old_sim_pose *pose = &sim->poses[k];
        if (sim->late[k]) continue;
        bool was = pose->there && sim->tick != sim->start_tick;
        pose->there = sim->tick >= track->first && sim->tick < track->first + track->count;
        if (!pose->there) continue;
        uint32_t i = sim->tick - track->first;
        fw_old_sim_pose now = {track->x_m[i],       track->y_m[i],   track->yaw_rad[i],
                           track->speed_mps[i], track->way_m[i], true, false};
        now.jumped = was && cut_in(pose, &now);
        *pose = now;
    }
}

void fw_old_sim_begin(fw_old_sim *sim, const fw_old_scenario *s, uint32_t tick, float jitter) {
    FW_ASSERT(tick < s->recorded);
    const fw_old_scenario_ego *e = &s->ego[tick];
    sim->scenario = s;
    sim->kind = fw_vehicles_like(fw_vehicles_builtin(), s->length_m, s->width_m);
    sim->tick = sim->start_tick = tick;
    float side = jitter * 0.25f * fw_random_normal(&sim->random);
    sim->x_m = e->x_m - sinf(e->yaw_rad) * side;
    sim->y_m = e->y_m + cosf(e->yaw_rad) * side;
    sim->yaw_rad = e->yaw_rad + jitter * 0.03f * fw_random_normal(&sim->random);
    sim->speed_mps = fmaxf(0.0f, e->speed_mps * (1 + jitter * 0.15f * fw_random_normal(&sim->random)));
    sim->accel_mps2 = e->accel_mps2;
    sim->curvature_pm = e->curvature_pm;
    sim->s_m = e->s_m;
    sim->light_hold_s = 20 * fw_random_unit(&sim->random);
    sim->other_lights = jitter > 0 && fw_random_unit(&sim->random) < 0.3f;
    sim->red_run = sim->at_fault = sim->stuck = false;
    sim->red_lights_run = 0;
    sim->hard_brakes = sim->standing_ticks = 0;
    memset(sim->late, 0, s->track_count * sizeof *sim->late);
    memset(sim->poses, 0, s->track_count * sizeof *sim->poses);
    for (uint32_t k = 0; k < s->light_count; k++) /* stop lines already behind */
        if (sim->s_m + s->length_m - s->rear_overhang_m > s->lights[k].stop_s_m)
            sim->red_lights_run |= 1u << k;
    place_tracks(sim);
}

static uint8_t light_state(const fw_old_sim *sim, const fw_old_scenario_light *light) {
    uint8_t recorded = light->state[sim->tick];
    if (sim->other_lights) {
        float phase = fmodf((float)sim->tick * FW_DRIVE_TICK_S + 3 * sim->light_hold_s +
                                light->stop_s_m, 60.0f);
        return phase < 27 ? FW_DRIVE_LIGHT_GREEN : phase < 31 ? FW_DRIVE_LIGHT_YELLOW
                                                              : FW_DRIVE_LIGHT_RED;
    }
    if (sim->tick <= light->last_tick) return recorded;
    float since = (float)(sim->tick - light->last_tick) * FW_DRIVE_TICK_S;
    if (since < sim->light_hold_s) return recorded;
    float phase = fmodf(since - sim->light_hold_s, 60.0f);
    if (recorded == FW_DRIVE_LIGHT_GREEN)
        return phase < 4 ? FW_DRIVE_LIGHT_YELLOW : phase < 30 ? FW_DRIVE_LIGHT_RED
                                                              : FW_DRIVE_LIGHT_GREEN;
    return phase < 30 ? FW_DRIVE_LIGHT_GREEN : phase < 34 ? FW_DRIVE_LIGHT_YELLOW : FW_DRIVE_LIGHT_RED;
}

static float path_end_s(const fw_old_scenario *s) {
    return (float)(s->path_first + s->path_count - 1) * FW_DRIVE_GRID_M;
}

/* Path length of a point near path length s_m, its distance from the path, the lane's width. */
static float project(const fw_old_sim *sim, float s_m, float x_m, float y_m, float *lateral,
                     float *width) {
    const fw_old_scenario *s = sim->scenario;
    int around = (int)(s_m / FW_DRIVE_GRID_M) - (int)s->path_first;
    int low = around - 2 < 0 ? 0 : around - 2, last = (int)s->path_count - 2;
    int high = around + 3 > last ? last : around + 3;
    if (low > high) low = high;
    float best = 1e30f, at = s_m;
    for (int i = low; i <= high; i++) {
        const fw_drive_point *p = &s->path[i], *q = p + 1;
        float ex = q->x_m - p->x_m, ey = q->y_m - p->y_m, n = ex * ex + ey * ey + 1e-9f;
        float u = ((x_m - p->x_m) * ex + (y_m - p->y_m) * ey) / n;
        u = fminf(i == last ? 3.0f : 1.0f, fmaxf(i == 0 ? -5.0f : 0.0f, u));
        float dx = x_m - p->x_m - u * ex, dy = y_m - p->y_m - u * ey;
        float d = dx * dx + dy * dy;
        if (d >= best) continue;
        best = d;
        at = ((float)(i + (int)s->path_first) + u) * FW_DRIVE_GRID_M;
        *width = p->width_m;
    }
    *lateral = sqrtf(best);
    return at;
}

/* Way ahead of a track's front until our box blocks it; 1e9 when it does not. */
static float blocked_after(const fw_old_sim *sim, const fw_old_scenario_track *track,
                           const fw_old_sim_pose *p, float *along) {
    const fw_old_scenario *s = sim->scenario;
    float middle = 0.5f * s->length_m - s->rear_overhang_m;
    float cx = sim->x_m + middle * cosf(sim->yaw_rad), cy = sim->y_m + middle * sinf(sim->yaw_rad);
    float dx = cx - p->x_m, dy = cy - p->y_m;
    float distance2 = dx * dx + dy * dy;
    if (distance2 > 40 * 40) return 1e9f;
    /* no way is shorter than the straight line: begin to look there */
    float from = p->way_m + fmaxf(0.0f, sqrtf(distance2) - 3.0f);
    uint32_t i = 0, high = track->count - 1;
    while (high - i > 1) {
        uint32_t m = (i + high) / 2;
        if (track->way_m[m] <= from) i = m;
        else high = m;
    }
    float next = from;
    for (; i < track->count && track->way_m[i] < p->way_m + 40; i++) {
        bool last = i + 1 == track->count; /* beyond its record it would have gone straight on */
        if (track->way_m[i] < next && !last) continue;
        next = track->way_m[i] + 1.0f;
        float ex = cx - track->x_m[i], ey = cy - track->y_m[i];
        float c = track->cos_yaw[i], n = track->sin_yaw[i];
        float forward = c * ex + n * ey, left = fabsf(-n * ex + c * ey);
        if (forward < -1.5f || forward > (last ? 14.0f : 1.5f) || left > 4.5f) continue;
        float turn = sim->yaw_rad - track->yaw_rad[i], cross = fabsf(sinf(turn));
        float half_wide = 0.5f * (s->width_m * fabsf(cosf(turn)) + s->length_m * cross);
        float half_long = 0.5f * (s->length_m * fabsf(cosf(turn)) + s->width_m * cross);
        if (left > half_wide + 0.5f * track->width_m + 0.2f) continue;
        *along = fmaxf(0.0f, sim->speed_mps * cosf(turn));
        return track->way_m[i] + forward - p->way_m - half_long - 0.5f * track->length_m;
    }
    return 1e9f;
}

static float idm(float speed, float wanted, float gap, float leader) {
    float want = 2 + fmaxf(0, speed * 1.0f + speed * (speed - leader) / (2 * 2.2f));
    float ratio = want / fmaxf(gap, 0.1f), free_term = speed / fmaxf(wanted, 0.5f);
    return 2.5f * (1 - free_term * free_term * free_term * free_term - ratio * ratio);
}

/* Room a track has before a zone in which it owes us the way; 1e9 when it owes nothing now. */
static float owed_after(const fw_old_sim *sim, uint32_t k, const fw_old_sim_pose *p) {
    const fw_old_scenario *s = sim->scenario;
    float front = sim->s_m + s->length_m - s->rear_overhang_m, room = 1e9f;
    for (uint32_t m = 0; m < s->meeting_count; m++) {
        const fw_old_scenario_meeting *meet = &s->meetings[m];
        if (meet->track != k || meet->must_yield) continue;
        float its = meet->foe_enter_m - p->way_m - 0.5f * s->tracks[k].length_m;
        float ours = meet->enter_s_m - front, rear = meet->exit_s_m - (sim->s_m - s->rear_overhang_m);
        if (its < 0 || rear < 0 || ours > 40) continue;
        float we_in = ours / fmaxf(sim->speed_mps, 1.0f), we_out = rear / fmaxf(sim->speed_mps, 1.0f);
        float it_in = its / fmaxf(p->speed_mps, 2.0f), it_out = (meet->foe_exit_m - p->way_m) / fmaxf(p->speed_mps, 2.0f);
        if (we_in < it_out + 0.5f && we_out > it_in - 0.5f && ours < sim->speed_mps * 6 + 2)
            room = fminf(room, its);
    }
    return room;
}

/* True when we owe the way to a track somewhere ahead of it. */
static bool has_priority(const fw_old_sim *sim, uint32_t k) {
    const fw_old_scenario *s = sim->scenario;
    for (uint32_t m = 0; m < s->meeting_count; m++) {
        const fw_old_scenario_meeting *meet = &s->meetings[m];
        if (meet->track == k && meet->must_yield && sim->poses[k].way_m < meet->foe_exit_m &&
            sim->s_m - s->rear_overhang_m < meet->exit_s_m + 5)
            return true;
    }
    return false;
}

/* One track that we may hold up: its pace by IDM, if that leaves it behind its record. */
static void hold_up(fw_old_sim *sim, uint32_t k) {
    const fw_old_scenario_track *track = &sim->scenario->tracks[k];
    fw_old_sim_pose *p = &sim->poses[k];
    float leader = 0, gap = blocked_after(sim, track, p, &leader), owed = owed_after(sim, k, p);
    bool held = gap < 30 || owed < 30;
    if (!sim->late[k] && !held) return;
    uint32_t i = sim->tick + 1 - track->first, last = track->count - 1;
    float wanted = fmaxf(p->speed_mps, 3.0f) + 1.5f;
    float accel = idm(p->speed_mps, wanted, gap < 30 ? gap : 1e9f, leader);
    if (owed < 30) accel = fminf(accel, idm(p->speed_mps, wanted, owed, 0));
    if (accel < -2.5f && p->speed_mps > 1 && has_priority(sim, k)) sim->forced++;
    float pace = fmaxf(0.0f, p->speed_mps + fmaxf(-5.0f, accel) * FW_DRIVE_TICK_S);
    float way = p->way_m + 0.5f * (p->speed_mps + pace) * FW_DRIVE_TICK_S;
    sim->late[k] = way < track->way_m[i < last ? i : last] - 0.02f;
    if (!sim->late[k]) return; /* as recorded */
    fw_old_sim_pose now = pose_at_way(track, way, pace);
    now.jumped = cut_in(p, &now);
    now.there = way < track->way_m[last];
    *p = now;
}

/* Moves the tracks from sim->tick to the next one; those we hold up fall behind their record. */
static void move_tracks(fw_old_sim *sim) {
    const fw_old_scenario *s = sim->scenario;
    bool as_logged = fabsf(sim->s_m - s->ego[sim->tick].s_m) < 0.7f;
    for (uint32_t a = s->active_at[sim->tick]; a < s->active_at[sim->tick + 1]; a++) {
        uint32_t k = s->active[a];
        if (!sim->poses[k].there || (as_logged && !sim->late[k])) continue;
        hold_up(sim, k);
    }
}

static fw_old_sim_end collide(fw_old_sim *sim) {
    const fw_old_scenario *s = sim->scenario;
    float middle = 0.5f * s->length_m - s->rear_overhang_m;
    float c = cosf(sim->yaw_rad), n = sinf(sim->yaw_rad);
    float cx = sim->x_m + middle * c, cy = sim->y_m + middle * n;
    for (uint32_t a = s->active_at[sim->tick]; a < s->active_at[sim->tick + 1]; a++) {
        uint32_t k = s->active[a];
        fw_old_sim_pose *p = &sim->poses[k];
        float dx = p->x_m - cx, dy = p->y_m - cy;
        if (!p->there || dx * dx + dy * dy > 15 * 15) continue;
        if (p->jumped && fw_drive_boxes_overlap(cx, cy, sim->yaw_rad, s->length_m + 6, s->width_m,
                                                p->x_m, p->y_m, p->yaw_rad, s->tracks[k].length_m,
                                                s->tracks[k].width_m)) {
            sim->late[k] = true; /* and not there: gone for the rest of this drive */
            p->there = false;
            continue;
        }
        if (!fw_drive_boxes_overlap(cx, cy, sim->yaw_rad, s->length_m, s->width_m, p->x_m, p->y_m,
                                    p->yaw_rad, s->tracks[k].length_m, s->tracks[k].width_m))
            continue;
        sim->at_fault = sim->speed_mps > 0.5f && c * dx + n * dy > 0;
        return FW_OLD_SIM_COLLISION;
    }
    return FW_OLD_SIM_RUNS;
}

static bool runs_red(fw_old_sim *sim, float front_before, float front) {
    const fw_old_scenario *s = sim->scenario;
    bool run = false;
    for (uint32_t k = 0; k < s->light_count; k++) {
        if (sim->red_lights_run & (1u << k)) continue;
        float line = s->lights[k].stop_s_m;
        if (front_before > line || front <= line) continue;
        sim->red_lights_run |= 1u << k;
        if (light_state(sim, &s->lights[k]) == FW_DRIVE_LIGHT_RED) run = true;
    }
    return run;
}

/* True where the recorded car, too far from here at this time, saw too little of what is around. */
static bool unseen(const fw_old_sim *sim) {
    float ahead = sim->s_m - sim->scenario->ego[sim->tick].s_m;
    return ahead > 30.0f || ahead < -60.0f;
}

/* Stands although neither a red light nor a car in front holds it (the world's word "stuck" begins
 * so, and ends thirty seconds later). */
static bool stands_idle(const fw_old_sim *sim) {
    const fw_old_scenario *s = sim->scenario;
    if (sim->speed_mps > 0.3f) return false;
    float front_m = s->length_m - s->rear_overhang_m, front = sim->s_m + front_m;
    for (uint32_t k = 0; k < s->light_count; k++) {
        float ahead = s->lights[k].stop_s_m - front;
        if (ahead > -0.5f && ahead < 30 && light_state(sim, &s->lights[k]) != FW_DRIVE_LIGHT_GREEN)
            return false;
    }
    float c = cosf(sim->yaw_rad), n = sinf(sim->yaw_rad);
    for (uint32_t a = s->active_at[sim->tick]; a < s->active_at[sim->tick + 1]; a++) {
        uint32_t k = s->active[a];
        const fw_old_sim_pose *p = &sim->poses[k];
        float dx = p->x_m - sim->x_m, dy = p->y_m - sim->y_m;
        float forward = c * dx + n * dy, left = fabsf(-n * dx + c * dy);
        if (p->there && forward > 0 && forward < front_m + 10 + 0.5f * s->tracks[k].length_m &&
            left < 2)
            return false;
    }
    return true;
}

fw_old_sim_outcome fw_old_sim_step(fw_old_sim *sim, fw_drive_action action) {
    const fw_old_scenario *s = sim->scenario;
    float front_m = s->length_m - s->rear_overhang_m, before = sim->s_m, lateral = 0, width = 3.2f;
    float sideways = sim->speed_mps * sim->speed_mps * fabsf(action.curvature_pm); /* asked for */
    if (sim->tick + 2 >= s->ticks) return (fw_old_sim_outcome){0, FW_OLD_SIM_TIME_OUT};
    sim->forced = 0;
    move_tracks(sim);
    fw_vehicle_state done = {sim->x_m, sim->y_m, sim->yaw_rad, sim->speed_mps, sim->accel_mps2,
                             sim->curvature_pm};
    fw_vehicle_move(&sim->kind, &done, action, FW_DRIVE_TICK_S);
    float jerk = (done.accel_mps2 - sim->accel_mps2) / FW_DRIVE_TICK_S;
    bool brakes = done.accel_mps2 <= -4.0f && sim->accel_mps2 > -4.0f;
    sim->x_m = done.x_m, sim->y_m = done.y_m, sim->yaw_rad = done.yaw_rad, sim->speed_mps = done.speed_mps;
    sim->accel_mps2 = done.accel_mps2;
    sim->curvature_pm = done.curvature_pm;
    sim->tick++;
    place_tracks(sim);
    float middle = 0.5f * s->length_m - s->rear_overhang_m;
    sim->s_m = project(sim, sim->s_m, sim->x_m, sim->y_m, &lateral, &width);
    project(sim, sim->s_m + middle, sim->x_m + middle * cosf(sim->yaw_rad),
            sim->y_m + middle * sinf(sim->yaw_rad), &lateral, &width); /* of the box's centre */
    float reward = reward_per_m * (sim->s_m - before) + reward_forced * (float)sim->forced;
    reward += reward_jerk * fminf(1.0f, fabsf(jerk) / 20.0f);
    reward += reward_sideways * fminf(10.0f, fmaxf(0.0f, sideways - comfort_sideways_mps2));
    reward += reward_off_centre * fminf(1.0f, lateral * lateral);
    if (brakes) sim->hard_brakes++;
    if (done.accel_mps2 <= -4.0f) reward += reward_hard_brake;
    if (runs_red(sim, before + front_m, sim->s_m + front_m)) {
        sim->red_run = true;
        reward += reward_red_light;
    }
    fw_old_sim_end end = collide(sim);
    if (end == FW_OLD_SIM_COLLISION) {
        reward += sim->at_fault ? reward_collision : reward_bumped;
    } else if (lateral > 0.5f * width) {
        end = FW_OLD_SIM_OFF_LANE;
        reward += reward_off_lane;
    } else if (sim->s_m + front_m + 8.0f > fminf(s->route_end_s_m, path_end_s(s))) {
        end = FW_OLD_SIM_ROUTE_DONE;
    } else if (sim->tick + 2 >= s->ticks || unseen(sim)) {
        end = FW_OLD_SIM_TIME_OUT;
    }
    if (stands_idle(sim)) {
        reward += reward_idle;
        if (++sim->standing_ticks >= 300) sim->stuck = true;
    } else {
        sim->standing_ticks = 0;
    }
    return (fw_old_sim_outcome){reward, end};
}

static void see_path(const fw_old_sim *sim, fw_drive_obs *obs) {
    const fw_old_scenario *s = sim->scenario;
    int at = (int)(sim->s_m / FW_DRIVE_GRID_M) - 5 - (int)s->path_first;
    if (at < 0) at = 0;
    if (at > (int)s->path_count - 8) at = (int)s->path_count - 8;
    uint32_t count = s->path_count - (uint32_t)at;
    obs->path_first = s->path_first + (uint32_t)at;
    obs->path_count = count < FW_DRIVE_PATH_MAX ? count : FW_DRIVE_PATH_MAX;
    memcpy(obs->path, s->path + at, obs->path_count * sizeof *obs->path);
}

/* Inserts by distance, nearest first; returns false when there is no room for it. */
static void see_user(fw_drive_obs *obs, float *near2, uint16_t *track, uint32_t k, const fw_old_sim_pose *p,
                     const fw_old_scenario_track *t, float d2) {
    uint32_t at = obs->user_count < FW_DRIVE_USERS_MAX ? obs->user_count++ : obs->user_count - 1;
    if (obs->user_count == FW_DRIVE_USERS_MAX && near2[at] > 0 && d2 >= near2[at]) return;
    while (at > 0 && near2[at - 1] > d2) {
        near2[at] = near2[at - 1];
        track[at] = track[at - 1];
        obs->users[at] = obs->users[at - 1];
        at--;
    }
    near2[at] = d2;
    track[at] = (uint16_t)k;
    obs->users[at] = (fw_drive_user){t->id,      t->lane,      p->x_m,      p->y_m,
                                     p->yaw_rad, p->speed_mps, t->length_m, t->width_m};
}

static void see_users(const fw_old_sim *sim, fw_drive_obs *obs, uint16_t *track) {
    const fw_old_scenario *s = sim->scenario;
    float near2[FW_DRIVE_USERS_MAX] = {0};
    float middle = 0.5f * s->length_m - s->rear_overhang_m;
    float cx = sim->x_m + middle * cosf(sim->yaw_rad), cy = sim->y_m + middle * sinf(sim->yaw_rad);
    for (uint32_t a = s->active_at[sim->tick]; a < s->active_at[sim->tick + 1]; a++) {
        uint32_t k = s->active[a];
        const fw_old_sim_pose *p = &sim->poses[k];
        float dx = p->x_m - cx, dy = p->y_m - cy, d2 = dx * dx + dy * dy;
        if (!p->there || d2 > FW_DRIVE_RANGE_M * FW_DRIVE_RANGE_M) continue;
        see_user(obs, near2, track, k, p, &s->tracks[k], d2);
    }
}

static void see_conflicts(const fw_old_sim *sim, fw_drive_obs *obs, const uint16_t *track) {
    const fw_old_scenario *s = sim->scenario;
    float front = sim->s_m + s->length_m - s->rear_overhang_m, rear = sim->s_m - s->rear_overhang_m;
    uint32_t grace = 30;
    for (uint32_t m = 0; m < s->meeting_count && obs->conflict_count < FW_DRIVE_CONFLICTS_MAX; m++) {
        const fw_old_scenario_meeting *meet = &s->meetings[m];
        if (sim->tick < meet->first_tick || rear > meet->exit_s_m || meet->enter_s_m > front + 80)
            continue;
        if (sim->tick > meet->last_tick + grace && !meet->passed) continue;
        uint32_t user = 0;
        while (user < obs->user_count && track[user] != meet->track) user++;
        if (user == obs->user_count) continue;
        const fw_old_sim_pose *p = &sim->poses[meet->track];
        float half = 0.5f * s->tracks[meet->track].length_m;
        if (p->way_m > meet->foe_exit_m - half) continue;
        obs->conflicts[obs->conflict_count++] = (fw_drive_conflict){
            user, meet->kind, meet->must_yield, meet->enter_s_m, meet->exit_s_m,
            meet->foe_enter_m - p->way_m - half, meet->foe_exit_m - p->way_m - half};
    }
}

void fw_old_sim_observe(const fw_old_sim *sim, fw_drive_obs *obs) {
    const fw_old_scenario *s = sim->scenario;
    uint16_t track[FW_DRIVE_USERS_MAX];
    memset(obs, 0, offsetof(fw_drive_obs, path));
    obs->tick = sim->tick;
    obs->time_ns = (int64_t)sim->tick * 100000000;
    obs->x_m = sim->x_m, obs->y_m = sim->y_m, obs->yaw_rad = sim->yaw_rad;
    obs->speed_mps = sim->speed_mps;
    obs->accel_mps2 = sim->accel_mps2;
    obs->curvature_pm = sim->curvature_pm;
    obs->length_m = s->length_m, obs->width_m = s->width_m;
    obs->rear_overhang_m = s->rear_overhang_m;
    obs->s_m = sim->s_m;
    obs->route_left_m = s->route_end_s_m - sim->s_m - s->length_m + s->rear_overhang_m;
    see_path(sim, obs);
    see_users(sim, obs, track);
    see_conflicts(sim, obs, track);
    float front = sim->s_m + s->length_m - s->rear_overhang_m, nearest = 1e9f;
    for (uint32_t k = 0; k < s->light_count; k++) {
        float ahead = s->lights[k].stop_s_m - front;
        if (ahead < -0.5f || ahead > 100 || s->lights[k].stop_s_m >= nearest) continue;
        nearest = s->lights[k].stop_s_m;
        obs->light = light_state(sim, &s->lights[k]);
        obs->light_s_m = nearest;
    }
}
