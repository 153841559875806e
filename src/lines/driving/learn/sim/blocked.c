/* blocked.c - who is on a car's way, and who will cross it: what a driver of the traffic heeds.
 *
 *   its way  o--o--o--o--[other]--o      gap: along the way it logged, from bumper to box
 *                 \
 *                  + crossing: both straight on at constant speed; who would arrive later waits
 */
#include <math.h>

#include "lines/driving/learn/sim/inside.h"
#include "nn/run/cpu/kernels.h"

#define SIGHT_M 45.0f
#define ASIDE_M 0.2f /* beside a box by less: it is in the way */
#define PASSED_M 4.0f /* a way that has passed a car by more does not come back to it */
#define HORIZON_S 4.0f
#define MARGIN_S 0.3f

/* One car that may be in the way, against the one that goes. */
typedef struct meeting {
    const fw_drive_neighbour *box;
    float distance_m;
    float forward_m, left_m, cos_turn, sin_turn; /* in the frame of the one that goes */
} meeting;

/* The last tick of a log, from `at` on, at which its way was no longer than way_m: by halves, for slow cars have
 * many ticks a metre. */
static uint32_t tick_of_way(const fw_scenario_track *track, uint32_t at, float way_m) {
    uint32_t beyond = track->count;
    while (at + 1 < beyond) {
        uint32_t middle = at + (beyond - at) / 2;
        bool before = track->way_m[middle] <= way_m;
        at = before ? middle : at;
        beyond = before ? beyond : middle;
    }
    return at;
}

/* Way ahead of a car's front until a box blocks it; 1e9 when it does not. */
static float blocked_after(const fw_scenario_track *track, const fw_sim_other *o, const meeting *m, float *along) {
    const fw_drive_neighbour *box = m->box;
    /* no way is shorter than the straight line: begin to look there */
    float from = o->way_m + fw_sim_most(0.0f, m->distance_m - 3.0f), next = from;
    for (uint32_t i = tick_of_way(track, o->at, from); i < track->count && track->way_m[i] < o->way_m + SIGHT_M; i++) {
        bool last = i + 1 == track->count; /* beyond its log it goes straight on */
        if (track->way_m[i] < next && !last) continue;
        next = track->way_m[i] + 1.0f;
        float c = track->cos_yaw[i], n = track->sin_yaw[i];
        float ex = box->x_m - track->x_m[i], ey = box->y_m - track->y_m[i];
        float forward = c * ex + n * ey, left = fabsf(c * ey - n * ex);
        if (forward < -PASSED_M) break;
        if (forward < -1.5f || forward > (last ? SIGHT_M : 1.5f) || left > 4.5f) continue;
        float cos_turn = c * box->cos_yaw + n * box->sin_yaw, sin_turn = fabsf(c * box->sin_yaw - n * box->cos_yaw);
        float half_wide = 0.5f * (box->width_m * fabsf(cos_turn) + box->length_m * sin_turn);
        float half_long = 0.5f * (box->length_m * fabsf(cos_turn) + box->width_m * sin_turn);
        if (left > half_wide + 0.5f * track->kind.width_m + ASIDE_M) continue;
        *along = fw_sim_most(0.0f, box->speed_mps * cos_turn);
        return track->way_m[i] + forward - o->way_m - half_long - 0.5f * track->kind.length_m;
    }
    return 1e9f;
}

/* Distance of a front to the zone that two straight strips share, and of the rear out of it. */
typedef struct zone {
    float in_m, out_m;
} zone;

static zone zone_of(float middle_m, float length_m, float width_m, float other_width_m, const meeting *m) {
    float half = 0.5f * (other_width_m + width_m * fabsf(m->cos_turn)) / fabsf(m->sin_turn) + 0.5f * length_m;
    return (zone){middle_m - half, middle_m + half};
}

/* Room before a zone in which somebody crosses first; 1e9 when nobody does. */
static float crossed_after(const fw_scenario_track *track, const fw_sim_other *o, const meeting *m, bool gives_way) {
    const fw_drive_neighbour *box = m->box;
    if (fabsf(m->sin_turn) < 0.5f || box->speed_mps < 0.5f) return 1e9f;
    float theirs = -m->left_m / m->sin_turn, ours = m->forward_m + theirs * m->cos_turn;
    zone we = zone_of(ours, track->kind.length_m, track->kind.width_m, box->width_m, m);
    zone they = zone_of(theirs, box->length_m, box->width_m, track->kind.width_m, m);
    if (we.in_m < 0 || they.out_m < 0) return 1e9f; /* in it already, or they have passed */
    float pace = fw_sim_most(o->speed_mps, 1.0f), their_pace = box->speed_mps;
    float we_in = we.in_m / pace, we_out = we.out_m / pace;
    float they_in = they.in_m / their_pace, they_out = they.out_m / their_pace;
    if (we_in > HORIZON_S || they_in > HORIZON_S) return 1e9f;
    if (we_in > they_out + MARGIN_S || they_in > we_out + MARGIN_S) return 1e9f;
    if (we_in < they_in || (we_in == they_in && !gives_way)) return 1e9f;
    return we.in_m;
}

/* Whom a car might heed: near, and not behind it. Indices in here; `upto`: the late heed everybody. */
FW_KERNEL_EXACT static uint32_t ahead_of(const fw_sim_here *here, uint32_t upto, const fw_sim_other *o, uint16_t *at) {
    int32_t is_ahead[FW_SIM_SLOTS];
    const float x = o->x_m, y = o->y_m, c = o->cos_yaw, n = o->sin_yaw;
    for (uint32_t j = 0; j < upto; j++) {
        float dx = here->x_m[j] - x, dy = here->y_m[j] - y;
        is_ahead[j] = (dx * dx + dy * dy < SIGHT_M * SIGHT_M) & (c * dx + n * dy > -3.0f);
    }
    uint32_t count = 0;
    for (uint32_t j = 0; j < upto; j++) {
        at[count] = (uint16_t)j;
        count += (uint32_t)is_ahead[j];
    }
    return count;
}

static void heed(const fw_sim *sim, uint32_t slot, uint32_t j, fw_sim_hold *hold) {
    const fw_scenario_track *track = fw_sim_track(sim, slot);
    const fw_sim_other *o = &sim->others[slot];
    const fw_drive_neighbour *box = &sim->here.box[j];
    float dx = box->x_m - o->x_m, dy = box->y_m - o->y_m;
    const meeting m = {box, sqrtf(dx * dx + dy * dy), o->cos_yaw * dx + o->sin_yaw * dy,
                       o->cos_yaw * dy - o->sin_yaw * dx, o->cos_yaw * box->cos_yaw + o->sin_yaw * box->sin_yaw,
                       o->cos_yaw * box->sin_yaw - o->sin_yaw * box->cos_yaw};
    /* it could be nearer than the nearest, and near enough to matter */
    if (m.distance_m - sim->here.reach_m[j] - o->reach_m < fw_sim_least(hold->gap_m, FW_SIM_HEED_M)) {
        float along = 0, gap = blocked_after(track, o, &m, &along);
        if (gap < hold->gap_m) hold->gap_m = gap, hold->speed_mps = along;
    }
    if (!sim->scenario->scene) return; /* a unit's recording says who meets whom */
    hold->wait_m = fw_sim_least(hold->wait_m, crossed_after(track, o, &m, slot > sim->here.slot[j]));
}

fw_sim_hold fw_sim_held(const fw_sim *sim, uint32_t slot) {
    const fw_sim_here *here = &sim->here;
    uint16_t at[FW_SIM_SLOTS + 1];
    uint32_t upto = sim->driver[slot] == FW_SIM_LATE ? here->count : here->heeded;
    uint32_t count = ahead_of(here, upto, &sim->others[slot], at);
    fw_sim_hold hold = {1e9f, 0, sim->scenario->meeting_count ? fw_sim_owed_after(sim, slot) : 1e9f};
    for (uint32_t k = 0; k < count; k++)
        if (here->slot[at[k]] != slot) heed(sim, slot, at[k], &hold);
    return hold;
}
