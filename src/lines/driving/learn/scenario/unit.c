/* unit.c - a unit's recording, what one car saw tick by tick, as a scenario.
 *
 *   recording  route polyline           -> the one route, for track 0: the unit's own car
 *              boxes seen, by id        -> tracks 1 .. n (where each was at each tick, and its own way)
 *              whom to yield to         -> meetings (zone on our way, zone on the track's own way)
 *              signals passed           -> lights (stop line, state at each tick)
 *
 * A meeting's place on a track's way is a constant of the pair: (way of the track at t) + (its distance to
 * the zone as observed at t). So it holds when the simulated car is early or late.
 *
 * What the recording lacks is filled in, so that a simulated car somewhat ahead of or behind the recorded
 * one does not meet cars out of nowhere: a road user first or last seen at the edge of sight goes on as it
 * was (standing CARRY_STANDING ticks, driving CARRY_DRIVING), gaps of sight up to GAP ticks are bridged,
 * and since a recording often ends in the failure that matters, everybody goes on as they were for
 * FW_SCENARIO_TAIL ticks beyond it.
 *
 * way_m of track 0 is path length on its route (of the rear axle), as the unit measured it.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lines/driving/learn/scenario/parts.h"

enum { GAP = 10, CARRY_STANDING = 60, CARRY_DRIVING = 25 };
#define EDGE_OF_SIGHT_M 38.0f

/* While building: one row for each sighting of a road user. */
typedef struct sighting {
    uint32_t id, tick, index;
} sighting;

static int by_id_then_tick(const void *a, const void *b) {
    const sighting *x = a, *y = b;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return (x->tick > y->tick) - (x->tick < y->tick);
}

/* Room that is never of size nought. */
static fw_status room(size_t count, size_t size, void *out, fw_error *error) {
    void *memory = calloc(count ? count : 1, size);
    if (!memory) return fw_fail(error, FW_NO_MEMORY, "scenario: no memory for a unit's recording");
    memcpy(out, &memory, sizeof memory);
    return FW_OK;
}

static fw_status all_sightings(const fw_drive_recording *r, sighting **rows, size_t *count, fw_error *error) {
    size_t total = 0, at = 0;
    for (uint32_t t = 0; t < r->tick_count; t++) total += r->ticks[t].obs.user_count;
    FW_TRY(room(total, sizeof **rows, rows, error));
    for (uint32_t t = 0; t < r->tick_count; t++)
        for (uint32_t u = 0; u < r->ticks[t].obs.user_count; u++)
            (*rows)[at++] = (sighting){r->ticks[t].obs.users[u].id, t, u};
    qsort(*rows, total, sizeof **rows, by_id_then_tick);
    *count = total;
    return FW_OK;
}

/* ---- tracks ---- */

static const fw_drive_user *seen(const fw_drive_recording *r, const sighting *row) {
    return &r->ticks[row->tick].obs.users[row->index];
}

static float mix(float a, float b, float u) { return a + u * (b - a); }

/* Fills the track's ticks between two sightings. */
static void bridge(fw_scenario_track *track, const fw_drive_recording *r, const sighting *from, const sighting *to) {
    const fw_drive_user *a = seen(r, from), *b = seen(r, to);
    float turn = remainderf(b->yaw_rad - a->yaw_rad, 6.28318531f);
    for (uint32_t t = from->tick; t <= to->tick; t++) {
        float u = to->tick > from->tick ? (float)(t - from->tick) / (float)(to->tick - from->tick) : 0.0f;
        uint32_t i = t - track->first;
        track->x_m[i] = mix(a->x_m, b->x_m, u);
        track->y_m[i] = mix(a->y_m, b->y_m, u);
        track->yaw_rad[i] = remainderf(a->yaw_rad + u * turn, 6.28318531f);
        track->speed_mps[i] = fmaxf(0.0f, mix(a->speed_mps, b->speed_mps, u));
    }
}

/* How far a sighting may be carried beyond what was seen: only at the edge of sight, for a car that
 * begins or ends in the middle of it really did (parked, or left the street). */
static uint32_t carry_ticks(const fw_drive_recording *r, const sighting *row) {
    const fw_drive_obs *obs = &r->ticks[row->tick].obs;
    const fw_drive_user *user = seen(r, row);
    float dx = user->x_m - obs->x_m, dy = user->y_m - obs->y_m;
    if (dx * dx + dy * dy < EDGE_OF_SIGHT_M * EDGE_OF_SIGHT_M) return 0;
    return user->speed_mps < 0.5f ? CARRY_STANDING : CARRY_DRIVING;
}

/* Fills tick t of a track from tick `from`: as it was then, straight on. */
static void carry(fw_scenario_track *track, uint32_t from, uint32_t t) {
    uint32_t i = t - track->first, j = from - track->first;
    float way = track->speed_mps[j] * FW_DRIVE_TICK_S * ((float)t - (float)from);
    track->x_m[i] = track->x_m[j] + way * cosf(track->yaw_rad[j]);
    track->y_m[i] = track->y_m[j] + way * sinf(track->yaw_rad[j]);
    track->yaw_rad[i] = track->yaw_rad[j];
    track->speed_mps[i] = track->speed_mps[j];
}

static fw_status make_track(const fw_drive_recording *r, const sighting *rows, size_t count,
                            const fw_vehicles *vehicles, fw_scenario *s, fw_error *error) {
    fw_scenario_track *track = &s->tracks[s->track_count];
    const sighting *begin = &rows[0], *end = &rows[count - 1];
    const fw_drive_user *user = seen(r, begin);
    uint32_t before = carry_ticks(r, begin), after = carry_ticks(r, end);
    if (end->tick + 1 == r->tick_count) after = FW_SCENARIO_TAIL;
    uint32_t last = end->tick + after < s->ticks ? end->tick + after : s->ticks - 1;
    uint32_t first = begin->tick > before ? begin->tick - before : 0;
    FW_TRY(fw_scenario_make_track(track, first, last - first + 1, error));
    s->track_count++;
    track->id = user->id;
    track->lane = user->lane;
    track->kind = fw_vehicles_like(vehicles, user->length_m, user->width_m);
    for (size_t i = 0; i < count; i++) bridge(track, r, &rows[i], &rows[i + 1 < count ? i + 1 : i]);
    for (uint32_t t = first; t < begin->tick; t++) carry(track, begin->tick, t);
    for (uint32_t t = end->tick + 1; t <= last; t++) carry(track, end->tick, t);
    fw_scenario_make_kinematics(track);
    return FW_OK;
}

static fw_status make_tracks(const fw_drive_recording *r, const fw_vehicles *vehicles, fw_scenario *s,
                             fw_error *error) {
    sighting *rows = NULL;
    size_t total = 0;
    FW_TRY(all_sightings(r, &rows, &total, error));
    fw_status status = FW_OK;
    for (size_t from = 0; from < total && status == FW_OK && s->track_count < FW_SCENARIO_TRACKS_MAX;) {
        size_t to = from + 1;
        while (to < total && rows[to].id == rows[from].id && rows[to].tick - rows[to - 1].tick <= GAP) to++;
        status = make_track(r, rows + from, to - from, vehicles, s, error);
        from = to;
    }
    free(rows);
    return status;
}

/* ---- the unit's own car: track 0, route 0 ---- */

static fw_status make_own(const fw_drive_recording *r, const fw_vehicles *vehicles, fw_scenario *s, fw_error *error) {
    const fw_drive_obs *last = &r->ticks[r->tick_count - 1].obs;
    fw_scenario_track *track = &s->tracks[0];
    FW_TRY(fw_scenario_make_track(track, 0, s->ticks, error));
    s->track_count = 1;
    track->id = UINT32_MAX; /* of no other road user's numbers */
    track->route = 0;
    track->kind = fw_vehicles_like(vehicles, last->length_m, last->width_m);
    track->kind.rear_overhang_m = last->rear_overhang_m;
    float middle = 0.5f * last->length_m - last->rear_overhang_m;
    for (uint32_t t = 0; t < r->tick_count; t++) {
        const fw_drive_obs *o = &r->ticks[t].obs;
        track->x_m[t] = o->x_m + middle * cosf(o->yaw_rad);
        track->y_m[t] = o->y_m + middle * sinf(o->yaw_rad);
        track->yaw_rad[t] = remainderf(o->yaw_rad, 6.28318531f);
        track->speed_mps[t] = fmaxf(0.0f, o->speed_mps);
        track->accel_mps2[t] = o->accel_mps2;
        track->curvature_pm[t] = o->curvature_pm;
    }
    for (uint32_t t = r->tick_count; t < s->ticks; t++) carry(track, r->tick_count - 1, t);
    fw_scenario_route *route = &s->routes[0];
    FW_TRY(fw_scenario_make_route(route, r->path_count, error));
    s->route_count = 1;
    route->first = r->path_first;
    memcpy(route->points, r->path, r->path_count * sizeof *r->path);
    route->end_s_m = last->s_m + last->length_m - last->rear_overhang_m + last->route_left_m;
    return FW_OK;
}

/* Path lengths as the unit measured them take the place of what fw_scenario_finish made of the poses. */
static void measure_own_way(const fw_drive_recording *r, fw_scenario *s) {
    const fw_scenario_track *own = &s->tracks[0];
    own->way_m[0] = r->ticks[0].obs.s_m;
    for (uint32_t t = 1; t < s->ticks; t++)
        own->way_m[t] = t < r->tick_count ? fmaxf(own->way_m[t - 1], r->ticks[t].obs.s_m)
                                          : own->way_m[t - 1] + own->speed_mps[t] * FW_DRIVE_TICK_S;
}

/* ---- meetings, lights, events, starts ---- */

static uint32_t track_of(const fw_scenario *s, uint32_t id, uint32_t tick) {
    for (uint32_t k = 1; k < s->track_count; k++)
        if (s->tracks[k].id == id && tick - s->tracks[k].first < s->tracks[k].count) return k;
    return FW_SCENARIO_NONE;
}

/* The same zone as before: who waits is told its waiting place first, and the zone once it is past that. */
static bool is_same(const fw_scenario_meeting *old, uint32_t track, const fw_drive_conflict *c) {
    if (old->track != track || old->kind != c->kind) return false;
    return fabsf(old->exit_s_m - c->exit_s_m) < 1.5f || fabsf(old->enter_s_m - c->enter_s_m) < 1.5f;
}

static void list_meeting(fw_scenario *s, const fw_drive_obs *obs, const fw_drive_conflict *c, uint32_t tick) {
    uint32_t k = track_of(s, obs->users[c->user].id, tick);
    if (k == FW_SCENARIO_NONE) return;
    const fw_scenario_track *track = &s->tracks[k];
    for (uint32_t m = s->meeting_count; m-- > 0;) {
        fw_scenario_meeting *old = &s->meetings[m];
        if (!is_same(old, k, c)) continue;
        old->last_tick = tick;
        old->wait_s_m = fminf(old->wait_s_m, c->enter_s_m);
        old->enter_s_m = fmaxf(old->enter_s_m, c->enter_s_m);
        old->must_yield |= c->must_yield;
        return;
    }
    if (s->meeting_count == FW_SCENARIO_MEETINGS_MAX) return;
    float way = track->way_m[tick - track->first], half = 0.5f * track->kind.length_m;
    s->meetings[s->meeting_count++] = (fw_scenario_meeting){
        .track = k, .kind = c->kind, .must_yield = c->must_yield,
        .enter_s_m = c->enter_s_m, .exit_s_m = c->exit_s_m, .wait_s_m = c->enter_s_m,
        /* front bumper's distance -> place of the centre on the track's way */
        .foe_enter_m = way + c->foe_enter_m + half, .foe_exit_m = way + c->foe_exit_m + half,
        .first_tick = tick, .last_tick = tick};
}

static fw_status make_meetings(const fw_drive_recording *r, fw_scenario *s, fw_error *error) {
    FW_TRY(room(FW_SCENARIO_MEETINGS_MAX, sizeof *s->meetings, &s->meetings, error));
    for (uint32_t t = 0; t < r->tick_count; t++)
        for (uint32_t c = 0; c < r->ticks[t].obs.conflict_count; c++)
            list_meeting(s, &r->ticks[t].obs, &r->ticks[t].obs.conflicts[c], t);
    for (uint32_t m = 0; m < s->meeting_count; m++) {
        fw_scenario_meeting *meeting = &s->meetings[m];
        float rear = s->tracks[0].way_m[meeting->last_tick] - s->tracks[0].kind.rear_overhang_m;
        meeting->passed = rear > meeting->exit_s_m - 3.0f;
    }
    return FW_OK;
}

static fw_status see_light(fw_scenario *s, const fw_drive_obs *obs, uint32_t tick, fw_error *error) {
    fw_scenario_light *light = NULL;
    for (uint32_t k = 0; k < s->light_count; k++)
        if (fabsf(s->lights[k].stop_s_m - obs->light_s_m) < 2.0f) light = &s->lights[k];
    if (!light) {
        if (s->light_count == FW_SCENARIO_LIGHTS_MAX) return FW_OK;
        light = &s->lights[s->light_count];
        FW_TRY(room(s->ticks, 1, &light->state, error));
        s->light_count++;
        light->stop_s_m = obs->light_s_m;
        memset(light->state, (int)obs->light, tick);
    }
    light->last_tick = tick;
    memset(light->state + tick, (int)obs->light, s->ticks - tick);
    return FW_OK;
}

static fw_status make_moments(const fw_drive_recording *r, fw_scenario *s, fw_error *error) {
    FW_TRY(room(r->tick_count, sizeof *s->event_ticks, &s->event_ticks, error));
    for (uint32_t t = 0; t < r->tick_count; t++) {
        if (r->ticks[t].events) s->event_ticks[s->event_count++] = t;
        if (r->ticks[t].obs.light != FW_DRIVE_LIGHT_NONE) FW_TRY(see_light(s, &r->ticks[t].obs, t, error));
    }
    FW_TRY(room(r->tick_count / FW_SCENARIO_EVERY + 1, sizeof *s->starts, &s->starts, error));
    for (uint32_t t = 0; t + FW_SCENARIO_TICKS_MIN <= r->tick_count; t += FW_SCENARIO_EVERY)
        s->starts[s->start_count++] = (fw_scenario_start){0, t, r->tick_count - t};
    return FW_OK;
}

/* ---- the whole ---- */

/* Drives of one car on one day in one place are alike: one cluster. */
static void name_group(const fw_drive_recording *r, fw_scenario_tags *tags) {
    snprintf(tags->site, sizeof tags->site, "%.*s", (int)sizeof tags->site - 1, r->network);
    if (r->unit[0])
        snprintf(tags->group, sizeof tags->group, "%.16s/%.16s/%lld", r->network, r->unit,
                 (long long)(r->ticks[0].obs.time_ns / 86400000000000ll));
    else
        snprintf(tags->group, sizeof tags->group, "%.16s", r->hash.hex);
}

static fw_status build(const fw_drive_recording *r, const fw_vehicles *vehicles, fw_scenario *s, fw_error *error) {
    s->source = r->hash;
    s->recorded = r->tick_count;
    s->ticks = r->tick_count + FW_SCENARIO_TAIL;
    name_group(r, &s->tags);
    FW_TRY(room(FW_SCENARIO_TRACKS_MAX, sizeof *s->tracks, &s->tracks, error));
    FW_TRY(room(1, sizeof *s->routes, &s->routes, error));
    FW_TRY(make_own(r, vehicles, s, error));
    FW_TRY(make_tracks(r, vehicles, s, error));
    FW_TRY(make_moments(r, s, error));
    FW_TRY(fw_scenario_finish(s, error));
    measure_own_way(r, s);
    return make_meetings(r, s, error);
}

fw_status fw_scenario_of_unit(const fw_drive_recording *r, const fw_vehicles *vehicles, fw_scenario **out,
                              fw_error *error) {
    if (r->tick_count < FW_SCENARIO_TICKS_MIN)
        return fw_fail(error, FW_INVALID, "recording of %u ticks, a scenario needs %d", r->tick_count,
                       FW_SCENARIO_TICKS_MIN);
    if (r->path_count < 8) return fw_fail(error, FW_INVALID, "recording with %u route points", r->path_count);
    fw_scenario *s = NULL;
    FW_TRY(room(1, sizeof *s, &s, error));
    fw_status status = build(r, vehicles, s, error);
    if (status != FW_OK) {
        fw_scenario_free(s);
        return status;
    }
    *out = s;
    return FW_OK;
}
