/* blocked.c - who is on a car's way, and who will cross it: what a driver of the traffic heeds.
 *
 *   its way  o--o--o--o--[other]--o      gap: along the way it logged, from bumper to box
 *                 \
 *                  + crossing: both straight on at constant speed; who would arrive later waits
 */
#include <math.h>

#include "lines/driving/learn/sim/inside.h"

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

/* Way ahead of a car's front until a box blocks it; 1e9 when it does not. */
static float blocked_after(const fw_scenario_track *track, const fw_sim_other *o, const meeting *m, float *along) {
    const fw_drive_neighbour *box = m->box;
    /* no way is shorter than the straight line: begin to look there */
    float from = o->way_m + fmaxf(0.0f, m->distance_m - 3.0f), next = from;
    uint32_t i = o->at;
    while (i + 1 < track->count && track->way_m[i + 1] <= from) i++;
    for (; i < track->count && track->way_m[i] < o->way_m + SIGHT_M; i++) {
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
        *along = fmaxf(0.0f, box->speed_mps * cos_turn);
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
    float pace = fmaxf(o->speed_mps, 1.0f), their_pace = box->speed_mps;
    float we_in = we.in_m / pace, we_out = we.out_m / pace;
    float they_in = they.in_m / their_pace, they_out = they.out_m / their_pace;
    if (we_in > HORIZON_S || they_in > HORIZON_S) return 1e9f;
    if (we_in > they_out + MARGIN_S || they_in > we_out + MARGIN_S) return 1e9f;
    if (we_in < they_in || (we_in == they_in && !gives_way)) return 1e9f;
    return we.in_m;
}

static bool heeds(const fw_sim *sim, uint32_t slot, uint32_t at) {
    uint32_t other = sim->here.slot[at];
    if (other == slot) return false;
    return at < sim->here.driven || sim->driver[slot] == FW_SIM_LATE || sim->driver[other] == FW_SIM_LATE;
}

fw_sim_hold fw_sim_held(const fw_sim *sim, uint32_t slot) {
    const fw_scenario_track *track = fw_sim_track(sim, slot);
    const fw_sim_other *o = &sim->others[slot];
    const fw_sim_here *here = &sim->here;
    fw_sim_hold hold = {1e9f, 0, fw_sim_owed_after(sim, slot)};
    for (uint32_t j = 0; j < here->count; j++) {
        float dx = here->x_m[j] - o->x_m, dy = here->y_m[j] - o->y_m, distance2 = dx * dx + dy * dy;
        if (distance2 > SIGHT_M * SIGHT_M || !heeds(sim, slot, j)) continue;
        const fw_drive_neighbour *box = &here->box[j];
        const meeting m = {box, sqrtf(distance2), o->cos_yaw * dx + o->sin_yaw * dy, o->cos_yaw * dy - o->sin_yaw * dx,
                           o->cos_yaw * box->cos_yaw + o->sin_yaw * box->sin_yaw,
                           o->cos_yaw * box->sin_yaw - o->sin_yaw * box->cos_yaw};
        if (m.forward_m < -3.0f) continue;
        if (m.distance_m - here->reach_m[j] - o->reach_m < hold.gap_m) { /* it could be nearer than the nearest */
            float along = 0, gap = blocked_after(track, o, &m, &along);
            if (gap < hold.gap_m) hold.gap_m = gap, hold.speed_mps = along;
        }
        if (sim->scenario->scene)
            hold.wait_m = fminf(hold.wait_m, crossed_after(track, o, &m, slot > here->slot[j]));
    }
    return hold;
}
