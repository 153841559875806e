#include "lines/driving/learn/picture/again.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lines/driving/act/channels.h"
#include "lines/driving/learn/picture/replay.h"
#include "lines/driving/learn/recording.h"
#include "nn/run/cpu/class.h"

enum {
    STEP_TICKS = 10, /* earlier by so much where no drive can begin */
    RULE = FW_AGAIN_MODELS, /* the rule IDM drives too: how far one gets there */
    DRIVERS = FW_AGAIN_MODELS + 1
};

typedef struct moment {
    fw_scenario *scenario;
    uint32_t event_tick, first_tick, ticks_max;
    const char *kind;
} moment;

/* ---- where the drive begins ---- */

/* The recorded tick of the event: the last that is not after it. */
static uint32_t tick_at(const fw_drive_recording *r, int64_t time_ns) {
    uint32_t tick = 0;
    while (tick + 1 < r->tick_count && r->ticks[tick + 1].obs.time_ns <= time_ns) tick++;
    return tick;
}

static fw_status read_moment(const fw_again *what, moment *out, fw_error *error) {
    fw_drive_recording *recording = NULL;
    FW_TRY(fw_drive_recording_read(what->recording, &recording, error));
    *out = (moment){.event_tick = tick_at(recording, what->time_ns), .kind = what->kind};
    fw_drive_recording_free(recording);
    return fw_scenario_read(what->recording, fw_vehicles_builtin(), &out->scenario, error);
}

static fw_status drive_from(moment *m, uint32_t tick, const fw_driver *drivers, fw_trace *traces, fw_error *error) {
    m->first_tick = tick;
    m->ticks_max = m->event_tick - tick + FW_AGAIN_AFTER_TICKS;
    const fw_replay_case what = {.scenario = m->scenario, .traffic = FW_SIM_REACTIVE, .track = 0, .tick = tick,
                                 .ticks_max = m->ticks_max, .seed = FW_AGAIN_SEED};
    return fw_replay_run(&what, drivers, DRIVERS, traces, error);
}

/* From 5 s before the event, or from the first place before that where the car can be put. */
static fw_status drive(moment *m, const fw_driver *drivers, fw_trace *traces, fw_error *error) {
    uint32_t tick = m->event_tick > FW_AGAIN_BEFORE_TICKS ? m->event_tick - FW_AGAIN_BEFORE_TICKS : 0;
    for (;;) {
        fw_status status = drive_from(m, tick, drivers, traces, error);
        if (status != FW_INVALID || tick == 0) return status;
        tick = tick > STEP_TICKS ? tick - STEP_TICKS : 0;
    }
}

/* ---- what came of it ---- */

static uint32_t vetoes_of(const fw_trace *t) {
    uint32_t begun = 0;
    for (uint32_t i = 0; i < t->frame_count; i++)
        begun += t->frames[i].veto != FW_GUARD_NONE && (i == 0 || t->frames[i - 1].veto == FW_GUARD_NONE);
    return begun;
}

static bool happens_again(const char *kind, const fw_trace *t) {
    const fw_sim_drive *d = &t->drive;
    if (strcmp(kind, fw_drive_event_name(FW_DRIVE_EVENT_HARD_BRAKE)) == 0) return d->hard_brakes > 0;
    if (strcmp(kind, fw_drive_event_name(FW_DRIVE_EVENT_LOW_TTC)) == 0) return d->ttc_ticks > 0;
    if (strcmp(kind, fw_drive_event_name(FW_DRIVE_EVENT_VETO)) == 0) return vetoes_of(t) > 0;
    return strcmp(kind, fw_drive_event_name(FW_DRIVE_EVENT_IMPACT)) == 0 && d->end == FW_SIM_COLLISION;
}

static json_int_t millimetres(double metres) { return (json_int_t)llround(metres * 1e3); }

/* Of the log, over as many ticks as the drive may have. */
static double recorded_m(const moment *m) {
    const fw_scenario_track *own = &m->scenario->tracks[0];
    uint32_t last = own->count - 1, from = m->first_tick < last ? m->first_tick : last;
    uint32_t to = m->first_tick + m->ticks_max < last ? m->first_tick + m->ticks_max : last;
    if (to > m->scenario->recorded) to = m->scenario->recorded > from ? m->scenario->recorded : from;
    return (double)own->way_m[to] - (double)own->way_m[from];
}

static json_t *drive_json(const moment *m, const fw_driver *driver, const fw_trace *t, const fw_trace *rule) {
    const fw_sim_drive *d = &t->drive;
    bool again = happens_again(m->kind, t), failed = fw_trace_failed(d);
    bool moves = (double)d->distance_m >= FW_AGAIN_MOVES * (double)rule->drive.distance_m;
    return json_pack("{s:s, s:s, s:b, s:b, s:b, s:b, s:b, s:b, s:I, s:I, s:I, s:I, s:I}", "model",
                     driver->policy.hash.hex, "end", fw_trace_end_words(d), "failed", failed, "red_light", d->red_light,
                     "stuck", d->stuck, "again", again, "moves", moves, "passed", !failed && !again && moves, "ticks",
                     (json_int_t)d->ticks, "distance_mm", millimetres((double)d->distance_m), "hard_brakes",
                     (json_int_t)d->hard_brakes, "low_ttc_ticks", (json_int_t)d->ttc_ticks, "vetoes",
                     (json_int_t)vetoes_of(t));
}

static json_t *proof_json(const moment *m, const fw_driver *drivers, const fw_trace *traces) {
    json_t *list = json_array();
    for (int i = 0; i < FW_AGAIN_MODELS; i++) json_array_append_new(list, drive_json(m, &drivers[i], &traces[i], &traces[RULE]));
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:s, s:b, s:s, s:I, s:I, s:o}", "scenario", m->scenario->source.hex,
                     "first_tick", (json_int_t)m->first_tick, "event_tick", (json_int_t)m->event_tick, "ticks_max",
                     (json_int_t)m->ticks_max, "seed", (json_int_t)FW_AGAIN_SEED, "traffic",
                     fw_sim_traffic_name(FW_SIM_REACTIVE), "guard", 1, "cpu_class", fw_nn_cpu_class(),
                     "recorded_mm", millimetres(recorded_m(m)), "rule_mm",
                     millimetres((double)traces[RULE].drive.distance_m), "drives", list);
}

static fw_status drive_both(moment *m, const fw_driver *drivers, json_t **proof, json_t **pictures, fw_error *error) {
    fw_trace traces[DRIVERS];
    FW_TRY(drive(m, drivers, traces, error));
    *proof = proof_json(m, drivers, traces);
    if (pictures) *pictures = fw_trace_json(m->scenario, traces, FW_AGAIN_MODELS);
    for (int i = 0; i < DRIVERS; i++) fw_trace_clear(&traces[i]);
    if (*proof && (!pictures || *pictures)) return FW_OK;
    json_decref(*proof);
    if (pictures) json_decref(*pictures);
    return fw_fail(error, FW_NO_MEMORY, "no memory for what a drive came to");
}

/* The two models, named for people, and the rule; all with the guard, as the fleet drives. */
static fw_status load(const fw_again *what, fw_driver drivers[DRIVERS], fw_error *error) {
    for (int i = 0; i < FW_AGAIN_MODELS; i++) {
        FW_TRY(fw_driver_model(what->models[i], &drivers[i], error));
        const fw_hash model = drivers[i].policy.hash;
        snprintf(drivers[i].name, sizeof drivers[i].name, "%s %.12s", i == 0 ? "drove then" : "drives now", model.hex);
    }
    FW_TRY(fw_driver_baseline("idm", &drivers[RULE], error));
    for (int i = 0; i < DRIVERS; i++) drivers[i].guard = true;
    return FW_OK;
}

fw_status fw_again_drive(const fw_again *what, json_t **proof, json_t **pictures, fw_error *error) {
    fw_driver drivers[DRIVERS] = {0};
    moment m = {0};
    json_t *found = NULL, *seen = NULL;
    fw_status status = load(what, drivers, error);
    if (status == FW_OK) status = read_moment(what, &m, error);
    if (status == FW_OK) status = drive_both(&m, drivers, &found, pictures ? &seen : NULL, error);
    for (int i = 0; i < DRIVERS; i++) fw_driver_clear(&drivers[i]);
    fw_scenario_free(m.scenario);
    if (status != FW_OK) return status;
    *proof = found;
    if (pictures) *pictures = seen;
    return FW_OK;
}
