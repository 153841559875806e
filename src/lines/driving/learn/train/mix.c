#include "lines/driving/learn/train/mix.h"

#include <math.h>

/* The recipe. */
static const float self_play_share = 0.5f,  /* of the rows that drive in scenes */
    reactive_share = 0.6f,                  /* of single drives in scenes; the rest: replayed */
    scene_share_least = 0.2f,               /* of all rows, where there are both kinds; likewise units' */
    undisturbed_share = 0.2f,               /* of drives: exactly as logged */
    other_tick_share = 0.3f,                /* of drives in scenes: from any tick of the log */
    event_share = 0.5f, start_share = 0.1f, /* of drives in units' recordings: from before an event; the start */
    failed_share = 0.25f,                   /* of single drives: one that failed, again */
    other_kind_share = 0.1f;                /* of drives: a van, truck or bus */
enum { BEFORE_EVENT_LEAST = 30, BEFORE_EVENT_MOST = 90 /* ticks */ };

fw_status fw_learn_mix_of(const fw_learn_set *set, fw_learn_mode mode, uint32_t rows, fw_learn_mix *out,
                          fw_error *error) {
    float share = (float)set->scene_count / (float)set->count;
    *out = (fw_learn_mix){.set = set, .mode = mode, .single_scene_share = 1};
    if (mode == FW_LEARN_IMITATE)
        return set->scene_count > 0 ? FW_OK
                                    : fw_fail(error, FW_INVALID, "imitation needs recorded scenes: units' "
                                                                 "recordings are not imitated");
    if (share > 0 && share < 1) share = fminf(1 - scene_share_least, fmaxf(scene_share_least, share));
    float scene_rows = share * (float)rows;
    out->self_play_rows = (uint32_t)(self_play_share * scene_rows);
    out->single_scene_share =
        (scene_rows - (float)out->self_play_rows) / (float)(rows - out->self_play_rows);
    return FW_OK;
}

/* ---- what all drives share ---- */

static void disturb(fw_random *random, fw_sim_start *start) {
    const fw_vehicles *kinds = fw_vehicles_builtin();
    bool as_logged = fw_random_unit(random) < undisturbed_share;
    start->jitter = as_logged ? 0.0f : 1.0f;
    start->manners = as_logged ? 0.0f : 1.0f;
    start->kind = NULL;
    if (fw_random_unit(random) < other_kind_share && kinds->count > 1)
        start->kind = &kinds->kinds[1 + fw_random_below(random, kinds->count - 1)];
}

static const fw_scenario *any_scene(const fw_learn_mix *mix, fw_random *random) {
    uint32_t group = fw_random_below(random, mix->set->group_count), first = mix->set->groups[group];
    return mix->set->items[first + fw_random_below(random, mix->set->groups[group + 1] - first)];
}

/* A start of a scene, or, now and then, another tick of its log with enough behind it. */
static uint32_t draw_start(const fw_scenario *s, fw_random *random, uint32_t *tick) {
    const fw_scenario_start *start = &s->starts[fw_random_below(random, s->start_count)];
    *tick = start->tick;
    if (fw_random_unit(random) < other_tick_share && start->ticks > FW_SCENARIO_TICKS_MIN)
        *tick += fw_random_below(random, start->ticks - FW_SCENARIO_TICKS_MIN + 1);
    return start->track;
}

/* ---- self-play ---- */

typedef struct near_tracks {
    uint32_t count, room;
    uint32_t *tracks; /* nearest first */
    float square_m2[FW_LEARN_WORLD_AGENTS];
} near_tracks;

static void add_near(near_tracks *n, uint32_t track, float square_m2) {
    if (n->count == n->room && square_m2 >= n->square_m2[n->count - 1]) return;
    uint32_t at = n->count < n->room ? n->count++ : n->count - 1;
    for (; at > 0 && n->square_m2[at - 1] > square_m2; at--) {
        n->square_m2[at] = n->square_m2[at - 1];
        n->tracks[at] = n->tracks[at - 1];
    }
    n->square_m2[at] = square_m2;
    n->tracks[at] = track;
}

static bool drives_at(const fw_scenario_track *t, uint32_t tick) {
    return t->route != FW_SCENARIO_NONE && tick >= t->first && tick + FW_SCENARIO_TICKS_MIN <= t->first + t->count;
}

void fw_learn_draw_self_play(const fw_learn_mix *mix, fw_random *random, uint32_t room, fw_learn_drive *out) {
    const fw_scenario *s = any_scene(mix, random);
    uint32_t tick, centre = draw_start(s, random, &tick);
    const fw_scenario_track *middle = &s->tracks[centre];
    float x_m = middle->x_m[tick - middle->first], y_m = middle->y_m[tick - middle->first];
    near_tracks near = {.room = room, .tracks = out->tracks};
    for (uint32_t i = s->active_at[tick]; i < s->active_at[tick + 1]; i++) {
        const fw_scenario_track *t = &s->tracks[s->active[i]];
        if (!drives_at(t, tick)) continue;
        float dx = t->x_m[tick - t->first] - x_m, dy = t->y_m[tick - t->first] - y_m;
        add_near(&near, s->active[i], dx * dx + dy * dy);
    }
    out->again = false;
    out->start = (fw_sim_start){.scenario = s, .tick = tick, .traffic = FW_SIM_SELF_PLAY,
                                .tracks = out->tracks, .track_count = near.count};
    disturb(random, &out->start);
}

/* ---- single drives ---- */

static void draw_in_scene(const fw_learn_mix *mix, fw_random *random, fw_learn_drive *out) {
    const fw_scenario *s = any_scene(mix, random);
    uint32_t tick;
    out->tracks[0] = draw_start(s, random, &tick);
    bool reacts = mix->mode != FW_LEARN_IMITATE && fw_random_unit(random) < reactive_share;
    out->start = (fw_sim_start){.scenario = s, .tick = tick,
                                .traffic = reacts ? FW_SIM_REACTIVE : FW_SIM_REPLAYED,
                                .tracks = out->tracks, .track_count = 1};
    disturb(random, &out->start);
    if (mix->mode == FW_LEARN_IMITATE) out->start.kind = NULL; /* whose log it is */
}

static void draw_in_units(const fw_learn_mix *mix, fw_random *random, fw_learn_drive *out) {
    uint32_t scenes = mix->set->scene_count;
    const fw_scenario *s = mix->set->items[scenes + fw_random_below(random, mix->set->count - scenes)];
    uint32_t latest = s->recorded - FW_SCENARIO_TICKS_MIN, tick = 0;
    float draw = fw_random_unit(random);
    if (draw < event_share && s->event_count > 0) {
        uint32_t event = s->event_ticks[fw_random_below(random, s->event_count)];
        uint32_t before =
            BEFORE_EVENT_LEAST + fw_random_below(random, BEFORE_EVENT_MOST - BEFORE_EVENT_LEAST);
        tick = event > before ? event - before : 0;
    } else if (draw < 1 - start_share) {
        tick = fw_random_below(random, latest + 1);
    }
    out->tracks[0] = 0;
    out->start = (fw_sim_start){.scenario = s, .tick = tick < latest ? tick : latest,
                                .traffic = FW_SIM_REACTIVE, .tracks = out->tracks, .track_count = 1};
    disturb(random, &out->start);
}

void fw_learn_note_failure(fw_learn_failures *f, const fw_scenario *scenario, uint32_t track, uint32_t tick) {
    f->items[f->next].scenario = scenario;
    f->items[f->next].track = track, f->items[f->next].tick = tick;
    f->next = (f->next + 1) % FW_LEARN_FAILURES;
    if (f->count < FW_LEARN_FAILURES) f->count++;
}

static void draw_failed(const fw_learn_failures *f, fw_random *random, fw_learn_drive *out) {
    uint32_t i = fw_random_below(random, f->count);
    const fw_scenario *s = f->items[i].scenario;
    bool reacts = !s->scene || fw_random_unit(random) < reactive_share;
    out->again = true;
    out->tracks[0] = f->items[i].track;
    out->start = (fw_sim_start){.scenario = s, .tick = f->items[i].tick,
                                .traffic = reacts ? FW_SIM_REACTIVE : FW_SIM_REPLAYED,
                                .tracks = out->tracks, .track_count = 1};
    disturb(random, &out->start);
}

void fw_learn_draw_single(const fw_learn_mix *mix, const fw_learn_failures *failures, fw_random *random,
                          fw_learn_drive *out) {
    bool again = mix->mode == FW_LEARN_REINFORCE && failures->count > 0 && fw_random_unit(random) < failed_share;
    out->again = false;
    if (again) draw_failed(failures, random, out);
    else if (fw_random_unit(random) < mix->single_scene_share) draw_in_scene(mix, random, out);
    else draw_in_units(mix, random, out);
}
