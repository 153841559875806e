#include "lines/driving/learn/old_scenario.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GAP_TICKS = 10, MEETINGS_MAX = 1024 };

/* While building: one row for each sighting of a road user. */
typedef struct sighting {
    uint32_t id, tick, index;
} sighting;

static int by_id_then_tick(const void *a, const void *b) {
    const sighting *x = a, *y = b;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return (x->tick > y->tick) - (x->tick < y->tick);
}

static void *zeroed(size_t count, size_t size) {
    void *memory = calloc(count ? count : 1, size);
    FW_ASSERT(memory);
    return memory;
}

static sighting *all_sightings(const fw_drive_recording *r, size_t *count) {
    size_t total = 0;
    for (uint32_t t = 0; t < r->tick_count; t++) total += r->ticks[t].obs.user_count;
    sighting *rows = zeroed(total, sizeof *rows);
    size_t at = 0;
    for (uint32_t t = 0; t < r->tick_count; t++)
        for (uint32_t u = 0; u < r->ticks[t].obs.user_count; u++)
            rows[at++] = (sighting){r->ticks[t].obs.users[u].id, t, u};
    qsort(rows, total, sizeof *rows, by_id_then_tick);
    *count = total;
    return rows;
}

static float mix(float a, float b, float u) { return a + u * (b - a); }

static float mix_angle(float a, float b, float u) {
    float d = remainderf(b - a, 6.28318531f);
    return a + u * d;
}

/* Fills the track's ticks between two sightings (gaps are short). */
static void fill_track(fw_old_scenario_track *track, const fw_drive_user *a, uint32_t ta,
                       const fw_drive_user *b, uint32_t tb) {
    for (uint32_t t = ta; t <= tb; t++) {
        float u = tb > ta ? (float)(t - ta) / (float)(tb - ta) : 0.0f;
        uint32_t i = t - track->first;
        track->x_m[i] = mix(a->x_m, b->x_m, u);
        track->y_m[i] = mix(a->y_m, b->y_m, u);
        track->yaw_rad[i] = mix_angle(a->yaw_rad, b->yaw_rad, u);
        track->speed_mps[i] = mix(a->speed_mps, b->speed_mps, u);
    }
}

/* How far a sighting may be carried beyond what was seen: only at the edge of the range, for a car
 * that begins or ends in the middle of it really did (parked, or left the street). */
static uint32_t carry_ticks(const fw_drive_obs *obs, const fw_drive_user *user) {
    float dx = user->x_m - obs->x_m, dy = user->y_m - obs->y_m;
    if (dx * dx + dy * dy < 38 * 38) return 0;
    return user->speed_mps < 0.5f ? 60 : 25;
}

/* Fills the ticks of track before and after what was seen, at constant speed straight on. */
static void carry(fw_old_scenario_track *track, uint32_t seen_first, uint32_t seen_last) {
    for (uint32_t t = track->first; t < track->first + track->count; t++) {
        if (t >= seen_first && t <= seen_last) continue;
        uint32_t from = (t < seen_first ? seen_first : seen_last) - track->first, i = t - track->first;
        float way = track->speed_mps[from] * FW_DRIVE_TICK_S * ((float)i - (float)from);
        track->x_m[i] = track->x_m[from] + way * cosf(track->yaw_rad[from]);
        track->y_m[i] = track->y_m[from] + way * sinf(track->yaw_rad[from]);
        track->yaw_rad[i] = track->yaw_rad[from];
        track->speed_mps[i] = track->speed_mps[from];
    }
}

static void finish_track(fw_old_scenario_track *track) {
    for (uint32_t i = 0; i < track->count; i++) {
        track->cos_yaw[i] = cosf(track->yaw_rad[i]);
        track->sin_yaw[i] = sinf(track->yaw_rad[i]);
    }
    for (uint32_t i = 1; i < track->count; i++) {
        float dx = track->x_m[i] - track->x_m[i - 1], dy = track->y_m[i] - track->y_m[i - 1];
        float along = dx * cosf(track->yaw_rad[i]) + dy * sinf(track->yaw_rad[i]);
        track->way_m[i] = track->way_m[i - 1] + fmaxf(0.0f, along);
    }
}

static void make_track(const fw_drive_recording *r, const sighting *rows, size_t count,
                       fw_old_scenario_track *track) {
    const sighting *end = &rows[count - 1];
    const fw_drive_user *user = &r->ticks[rows[0].tick].obs.users[rows[0].index];
    const fw_drive_user *left = &r->ticks[end->tick].obs.users[end->index];
    uint32_t before = carry_ticks(&r->ticks[rows[0].tick].obs, user);
    uint32_t after = carry_ticks(&r->ticks[end->tick].obs, left);
    uint32_t ticks = r->tick_count + FW_OLD_SCENARIO_TAIL;
    if (end->tick + 1 == r->tick_count) after = FW_OLD_SCENARIO_TAIL;
    uint32_t last = end->tick + after < ticks ? end->tick + after : ticks - 1;
    track->id = user->id;
    track->lane = user->lane;
    track->length_m = user->length_m;
    track->width_m = user->width_m;
    track->first = rows[0].tick > before ? rows[0].tick - before : 0;
    track->count = last - track->first + 1;
    float *block = zeroed((size_t)track->count * 7, sizeof *block);
    track->x_m = block;
    track->y_m = block + track->count;
    track->yaw_rad = block + 2 * track->count;
    track->speed_mps = block + 3 * track->count;
    track->way_m = block + 4 * track->count;
    track->cos_yaw = block + 5 * track->count;
    track->sin_yaw = block + 6 * track->count;
    for (size_t i = 0; i < count; i++) {
        size_t next = i + 1 < count ? i + 1 : i;
        fill_track(track, &r->ticks[rows[i].tick].obs.users[rows[i].index], rows[i].tick,
                   &r->ticks[rows[next].tick].obs.users[rows[next].index], rows[next].tick);
    }
    carry(track, rows[0].tick, end->tick);
    finish_track(track);
}

static void make_tracks(const fw_drive_recording *r, fw_old_scenario *s) {
    size_t total;
    sighting *rows = all_sightings(r, &total);
    s->tracks = zeroed(FW_OLD_SCENARIO_TRACKS_MAX, sizeof *s->tracks);
    for (size_t from = 0; from < total && s->track_count < FW_OLD_SCENARIO_TRACKS_MAX;) {
        size_t to = from + 1;
        while (to < total && rows[to].id == rows[from].id &&
               rows[to].tick - rows[to - 1].tick <= GAP_TICKS)
            to++;
        make_track(r, rows + from, to - from, &s->tracks[s->track_count++]);
        from = to;
    }
    free(rows);
}

static uint32_t track_of(const fw_old_scenario *s, uint32_t id, uint32_t tick) {
    for (uint32_t k = 0; k < s->track_count; k++) {
        const fw_old_scenario_track *track = &s->tracks[k];
        if (track->id == id && tick >= track->first && tick < track->first + track->count) return k;
    }
    return UINT32_MAX;
}

static void list_meeting(fw_old_scenario *s, const fw_drive_obs *obs, const fw_drive_conflict *c,
                         uint32_t tick) {
    uint32_t k = track_of(s, obs->users[c->user].id, tick);
    if (k == UINT32_MAX) return;
    const fw_old_scenario_track *track = &s->tracks[k];
    for (uint32_t m = s->meeting_count; m-- > 0;) {
        fw_old_scenario_meeting *old = &s->meetings[m];
        if (old->track != k || old->kind != c->kind || fabsf(old->enter_s_m - c->enter_s_m) > 1.5f)
            continue;
        old->last_tick = tick;
        old->must_yield |= c->must_yield;
        return;
    }
    if (s->meeting_count == MEETINGS_MAX) return;
    float way = track->way_m[tick - track->first], half = 0.5f * track->length_m;
    s->meetings[s->meeting_count++] = (fw_old_scenario_meeting){
        .track = k, .kind = c->kind, .must_yield = c->must_yield,
        .enter_s_m = c->enter_s_m, .exit_s_m = c->exit_s_m,
        /* front bumper's distance -> place of the centre on the track's way */
        .foe_enter_m = way + c->foe_enter_m + half, .foe_exit_m = way + c->foe_exit_m + half,
        .first_tick = tick, .last_tick = tick};
}

static void make_meetings(const fw_drive_recording *r, fw_old_scenario *s) {
    s->meetings = zeroed(MEETINGS_MAX, sizeof *s->meetings);
    for (uint32_t t = 0; t < r->tick_count; t++) {
        const fw_drive_obs *obs = &r->ticks[t].obs;
        for (uint32_t c = 0; c < obs->conflict_count; c++)
            list_meeting(s, obs, &obs->conflicts[c], t);
    }
    for (uint32_t m = 0; m < s->meeting_count; m++) {
        fw_old_scenario_meeting *meeting = &s->meetings[m];
        float rear = s->ego[meeting->last_tick].s_m - s->rear_overhang_m;
        meeting->passed = rear > meeting->exit_s_m - 3.0f;
    }
}

static void see_light(fw_old_scenario *s, const fw_drive_obs *obs, uint32_t tick) {
    fw_old_scenario_light *light = NULL;
    for (uint32_t k = 0; k < s->light_count; k++)
        if (fabsf(s->lights[k].stop_s_m - obs->light_s_m) < 2.0f) light = &s->lights[k];
    if (!light) {
        if (s->light_count == FW_OLD_SCENARIO_LIGHTS_MAX) return;
        light = &s->lights[s->light_count++];
        light->stop_s_m = obs->light_s_m;
        light->state = zeroed(s->ticks, 1);
        memset(light->state, (int)obs->light, tick);
    }
    light->last_tick = tick;
    memset(light->state + tick, (int)obs->light, s->ticks - tick);
}

/* Lists, for each tick, the tracks that may stand or drive somewhere then. A track that is held up
 * may still be on its way after its last sighting: listed for ten more seconds. */
static void make_active(fw_old_scenario *s) {
    enum { LATE = 100 };
    s->active_at = zeroed(s->ticks + 1, sizeof *s->active_at);
    uint32_t total = 0;
    for (int fill = 0; fill < 2; fill++) {
        total = 0;
        for (uint32_t t = 0; t < s->ticks; t++) {
            s->active_at[t] = total;
            for (uint32_t k = 0; k < s->track_count; k++) {
                const fw_old_scenario_track *track = &s->tracks[k];
                if (t < track->first || t >= track->first + track->count + LATE) continue;
                if (fill) s->active[total] = (uint16_t)k;
                total++;
            }
        }
        s->active_at[s->ticks] = total;
        if (!fill) s->active = zeroed(total, sizeof *s->active);
    }
}

static void make_ego(const fw_drive_recording *r, fw_old_scenario *s) {
    s->ego = zeroed(s->ticks, sizeof *s->ego);
    s->event_ticks = zeroed(r->tick_count, sizeof *s->event_ticks);
    for (uint32_t t = 0; t < r->tick_count; t++) {
        const fw_drive_obs *o = &r->ticks[t].obs;
        s->ego[t] = (fw_old_scenario_ego){o->x_m, o->y_m, o->yaw_rad, o->speed_mps, o->s_m,
                                      o->accel_mps2, o->curvature_pm};
        if (r->ticks[t].events) s->event_ticks[s->event_count++] = t;
        if (o->light != FW_DRIVE_LIGHT_NONE) see_light(s, o, t);
    }
    for (uint32_t t = r->tick_count; t < s->ticks; t++) {
        s->ego[t] = s->ego[t - 1];
        s->ego[t].s_m += s->ego[t].speed_mps * FW_DRIVE_TICK_S;
    }
}

fw_status fw_old_scenario_new(const fw_drive_recording *r, fw_old_scenario **out, fw_error *error) {
    if (r->tick_count < FW_OLD_SCENARIO_TICKS_MIN)
        return fw_fail(error, FW_INVALID, "recording of %u ticks, a scenario needs %d",
                       r->tick_count, FW_OLD_SCENARIO_TICKS_MIN);
    if (r->path_count < 8)
        return fw_fail(error, FW_INVALID, "recording with %u route points", r->path_count);
    fw_old_scenario *s = zeroed(1, sizeof *s);
    s->recording = r->hash;
    s->recorded = r->tick_count;
    s->ticks = r->tick_count + FW_OLD_SCENARIO_TAIL;
    s->path_first = r->path_first;
    s->path_count = r->path_count;
    s->path = zeroed(r->path_count, sizeof *s->path);
    memcpy(s->path, r->path, r->path_count * sizeof *s->path);
    const fw_drive_obs *last = &r->ticks[r->tick_count - 1].obs;
    s->length_m = last->length_m;
    s->width_m = last->width_m;
    s->rear_overhang_m = last->rear_overhang_m;
    s->route_end_s_m = last->s_m + last->length_m - last->rear_overhang_m + last->route_left_m;
    make_ego(r, s);
    make_tracks(r, s);
    make_meetings(r, s);
    make_active(s);
    *out = s;
    return FW_OK;
}

void fw_old_scenario_free(fw_old_scenario *s) {
    if (!s) return;
    for (uint32_t k = 0; k < s->track_count; k++) free(s->tracks[k].x_m);
    for (uint32_t k = 0; k < s->light_count; k++) free(s->lights[k].state);
    free(s->tracks);
    free(s->meetings);
    free(s->path);
    free(s->ego);
    free(s->event_ticks);
    free(s->active_at);
    free(s->active);
    free(s);
}
