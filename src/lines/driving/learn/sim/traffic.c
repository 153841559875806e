/* traffic.c - the cars that nobody drives: as logged, or, where somebody is on their way, as IDM says.
 *
 * A log is an envelope: nobody is ever ahead of it, for what stopped its driver (a light, a cross street) is
 * not in a scenario. Who fell behind catches up at a driver's pace, and then does as logged again. Who
 * reaches the end of its way leaves where its log did; when the log ended only because the scene did, it
 * goes straight on.
 */
#include <math.h>

#include "lines/driving/learn/sim/inside.h"

#define LATE_M 0.02f  /* behind its log by less: as logged */
#define HASTE_MPS 1.5f /* above its log's speed there, to catch up; at least HASTE_MIN_MPS */
#define HASTE_MIN_MPS 3.0f

const fw_sim_manners *fw_sim_manners_of(fw_sim *sim, uint32_t slot) {
    fw_sim_other *o = &sim->others[slot];
    if (!o->mannered) {
        fw_random random = fw_random_indexed(sim->drive_seed, slot);
        o->manners = fw_sim_manners_draw(&random, sim->spread);
        o->mannered = true;
    }
    return &o->manners;
}

/* Moved sideways by a lane within a tick: the city's drivers change lanes at once. */
static bool jumps(float x_before_m, float y_before_m, const fw_sim_other *now) {
    float dx = now->x_m - x_before_m, dy = now->y_m - y_before_m;
    return fabsf(now->cos_yaw * dy - now->sin_yaw * dx) > 0.7f;
}

static bool log_is_open(const fw_sim *sim, const fw_scenario_track *track) {
    return track->first + track->count >= sim->scenario->ticks;
}

/* Straight on from the end of its log. */
static void extend(const fw_scenario_track *track, float beyond_m, fw_sim_other *o) {
    uint32_t last = track->count - 1;
    o->at = last;
    o->cos_yaw = track->cos_yaw[last];
    o->sin_yaw = track->sin_yaw[last];
    o->yaw_rad = track->yaw_rad[last];
    o->x_m = track->x_m[last] + beyond_m * o->cos_yaw;
    o->y_m = track->y_m[last] + beyond_m * o->sin_yaw;
    o->way_m = track->way_m[last] + beyond_m;
}

bool fw_sim_place_logged(fw_sim *sim, uint32_t slot, uint32_t tick) {
    const fw_scenario_track *track = fw_sim_track(sim, slot);
    fw_sim_other *o = &sim->others[slot];
    uint32_t i = tick - track->first;
    if (tick < track->first) return false;
    if (i >= track->count) {
        if (!log_is_open(sim, track)) return false;
        o->speed_mps = track->speed_mps[track->count - 1];
        extend(track, o->speed_mps * FW_DRIVE_TICK_S * (float)(i + 1 - track->count), o);
        return true;
    }
    o->x_m = track->x_m[i];
    o->y_m = track->y_m[i];
    o->yaw_rad = track->yaw_rad[i];
    o->cos_yaw = track->cos_yaw[i];
    o->sin_yaw = track->sin_yaw[i];
    o->speed_mps = track->speed_mps[i];
    o->way_m = track->way_m[i];
    o->at = i;
    return true;
}

/* On its own way, way_m from where its log began. */
static void place_at_way(const fw_scenario_track *track, float way_m, float speed_mps, fw_sim_other *o) {
    while (o->at + 1 < track->count && track->way_m[o->at + 1] <= way_m) o->at++;
    uint32_t i = o->at, j = i + 1 < track->count ? i + 1 : i;
    o->speed_mps = speed_mps;
    if (way_m >= track->way_m[track->count - 1]) {
        extend(track, way_m - track->way_m[track->count - 1], o);
        return;
    }
    float step = track->way_m[j] - track->way_m[i];
    float u = step > 1e-4f ? fw_sim_least(1.0f, fw_sim_most(0.0f, (way_m - track->way_m[i]) / step)) : 0.0f;
    o->x_m = track->x_m[i] + u * (track->x_m[j] - track->x_m[i]);
    o->y_m = track->y_m[i] + u * (track->y_m[j] - track->y_m[i]);
    o->yaw_rad = remainderf(track->yaw_rad[i] + u * remainderf(track->yaw_rad[j] - track->yaw_rad[i], 6.28318531f),
                            6.28318531f);
    o->cos_yaw = cosf(o->yaw_rad);
    o->sin_yaw = sinf(o->yaw_rad);
    o->way_m = way_m;
}

/* How far its log will have come at a tick; 1e9 when it will have gone. */
static float logged_way(const fw_sim *sim, const fw_scenario_track *track, uint32_t tick) {
    uint32_t i = tick - track->first, last = track->count - 1;
    if (i <= last) return track->way_m[i];
    if (!log_is_open(sim, track)) return 1e9f;
    return track->way_m[last] + track->speed_mps[last] * FW_DRIVE_TICK_S * (float)(i - last);
}

static bool near_driven(const fw_sim *sim, const fw_sim_other *o) {
    for (uint32_t a = 0; a < sim->here.driven; a++) {
        float dx = sim->here.x_m[a] - o->x_m, dy = sim->here.y_m[a] - o->y_m;
        if (dx * dx + dy * dy < FW_SIM_NEAR_M * FW_SIM_NEAR_M) return true;
    }
    return false;
}

/* The way an other wants to make in this tick; 1e9 when nothing keeps it from doing as logged. */
static float wanted_way(fw_sim *sim, uint32_t slot, float *pace_mps) {
    const fw_scenario_track *track = fw_sim_track(sim, slot);
    const fw_sim_other *o = &sim->others[slot];
    const fw_sim_manners *manners = fw_sim_manners_of(sim, slot);
    const bool late = sim->driver[slot] == FW_SIM_LATE;
    const fw_sim_hold hold = fw_sim_held(sim, slot);
    const bool held = hold.gap_m < FW_SIM_HEED_M || hold.wait_m < FW_SIM_HEED_M;
    if (!late && !held && manners->speed_factor >= 1) return 1e9f;
    float logged = track->speed_mps[o->at];
    float wanted = (late || held ? fw_sim_most(logged, HASTE_MIN_MPS) + HASTE_MPS : logged) * manners->speed_factor;
    float accel = fw_sim_manners_accel(manners, o->speed_mps, wanted, hold.gap_m < FW_SIM_HEED_M ? hold.gap_m : 1e9f,
                                       hold.speed_mps);
    if (hold.wait_m < FW_SIM_HEED_M)
        accel = fw_sim_least(accel, fw_sim_manners_accel(manners, o->speed_mps, wanted, hold.wait_m, 0));
    if (accel < -2.5f && o->speed_mps > 1 && fw_sim_has_priority(sim, slot)) sim->forced++;
    accel = fw_sim_most(accel, -track->kind.brake_max_mps2);
    *pace_mps = fw_sim_most(0.0f, o->speed_mps + accel * FW_DRIVE_TICK_S);
    return o->way_m + 0.5f * (o->speed_mps + *pace_mps) * FW_DRIVE_TICK_S;
}

/* Does as logged from now on, or is gone with its log. */
static void follow_log(fw_sim *sim, uint32_t slot) {
    sim->driver[slot] = (uint8_t)(fw_sim_place_logged(sim, slot, sim->tick + 1) ? FW_SIM_LOG : FW_SIM_GONE);
}

static void react(fw_sim *sim, uint32_t slot) {
    const fw_scenario_track *track = fw_sim_track(sim, slot);
    float pace = 0, way = wanted_way(sim, slot, &pace), logged = logged_way(sim, track, sim->tick + 1);
    bool late = sim->driver[slot] == FW_SIM_LATE;
    /* Whoever is on time when its log ends leaves with it; who is late has its way to go. */
    if (way >= 1e9f || (!late && logged >= 1e9f) || way >= logged - LATE_M) {
        follow_log(sim, slot);
        return;
    }
    if (logged >= 1e9f && way >= track->way_m[track->count - 1]) {
        sim->driver[slot] = FW_SIM_GONE;
        return;
    }
    sim->driver[slot] = FW_SIM_LATE;
    place_at_way(track, way, pace, &sim->others[slot]);
}

/* A unit's car where its record was: nobody who is on time need be told. */
static bool unit_as_logged(const fw_sim *sim) {
    if (sim->scenario->scene || sim->agents[0].phase != FW_SIM_DRIVES) return false;
    return fabsf(sim->agents[0].place.s_m - sim->scenario->tracks[0].way_m[sim->tick]) < 0.7f;
}

void fw_sim_move_others(fw_sim *sim) {
    const bool calm = sim->traffic == FW_SIM_REPLAYED || unit_as_logged(sim);
    for (uint32_t k = 0; k < sim->on_count; k++) {
        uint32_t slot = sim->on[k];
        fw_sim_other *o = &sim->others[slot];
        const float x_m = o->x_m, y_m = o->y_m;
        bool late = sim->driver[slot] == FW_SIM_LATE;
        if (late || (!calm && near_driven(sim, o))) react(sim, slot);
        else follow_log(sim, slot);
        o->jumped = !sim->scenario->scene && jumps(x_m, y_m, o);
    }
}
