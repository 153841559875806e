/* exam.c - the runs of an exam; see exam.h */
#include "worlds/exam/exam.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/random.h"
#include "lines/driving/act/guard.h"
#include "lines/driving/act/policy.h"
#include "worlds/exam/jobs.h"

/* One run under way: which drives are in its set, and who is at which wheel. */
typedef struct running {
    const fw_exam_config *config;
    const fw_policy *policy; /* NULL: SUMO drives */
    fw_world *world;
    uint32_t quota, started, ended;
    bool known[FW_WORLD_CARS_MAX];    /* this slot's drive was seen */
    bool counted[FW_WORLD_CARS_MAX];  /* and is in the set */
    bool signal[FW_WORLD_CARS_MAX];   /* and came to a signal */
    uint32_t drive[FW_WORLD_CARS_MAX];
    fw_policy_session session[FW_WORLD_CARS_MAX];
    fw_drive_action actions[FW_WORLD_CARS_MAX];
    fw_exam_run *out;
} running;

uint32_t fw_exam_quota(const fw_exam_config *config) {
    uint32_t quota = (config->drives + config->runs - 1) / config->runs;
    return quota + (quota + 14) / 15;
}

static uint32_t cars_of(const fw_exam_config *config) {
    uint32_t quota = fw_exam_quota(config);
    return quota < config->cars ? quota : config->cars;
}

uint64_t fw_exam_seed(const char *network, uint32_t run) {
    char name[64];
    snprintf(name, sizeof name, "exam/%.40s", network);
    return fw_seed_mix(run, name) | FW_EXAM_SEED_SEALED;
}

void fw_exam_conditions(const fw_exam_config *config, char out[FW_CONDITIONS_TEXT_MAX]) {
    fw_conditions c = config->conditions;
    if (c.demand <= 0) c.demand = 1;
    fw_conditions_write(&c, out);
}

/* Takes note of drives that began; the first `quota` of them are the set. */
static void note_start(running *run, uint32_t car, const fw_drive_obs *obs) {
    if (run->known[car] && run->drive[car] == obs->drive) return;
    run->known[car] = true;
    run->drive[car] = obs->drive;
    run->counted[car] = run->started < run->quota;
    run->started += run->counted[car];
    run->signal[car] = false;
}

static void note_signal(running *run, uint32_t car, const fw_drive_obs *obs) {
    const double ahead_m = (double)obs->light_s_m - (double)obs->s_m;
    if (obs->light != FW_DRIVE_LIGHT_NONE && ahead_m > 0 && ahead_m < FW_EXAM_SIGNAL_M) run->signal[car] = true;
}

/* A drive of the set, as it counts; also among those that came to a signal. */
static void add_result(running *run, const fw_drive_result *result) {
    fw_exam_sums *sums = &run->out->sums;
    const uint32_t drives = sums->drives, clean = sums->clean;
    fw_exam_add(run->out, result);
    if (!run->signal[result->car]) return;
    sums->signal += sums->drives - drives;
    sums->signal_clean += sums->clean - clean;
}

static void decide(running *run, uint32_t car, const fw_drive_obs *obs) {
    fw_drive_action *action = &run->actions[car];
    *action = (fw_drive_action){0, 0};
    if (run->policy == NULL) return;
    fw_drive_scene_room room;
    fw_drive_scene scene;
    fw_drive_view view;
    fw_drive_scene_of(obs, &room, &scene);
    fw_drive_look(&scene, &view);
    fw_policy_act_scene(run->policy, &run->session[car], &scene, &view, action);
    fw_guard_veto veto = run->config->guard ? fw_guard(&scene, &view, action) : FW_GUARD_NONE;
    if (!run->counted[car]) return;
    run->out->sums.decisions++;
    run->out->sums.vetoes += veto != FW_GUARD_NONE;
}

static void take_results(running *run) {
    fw_drive_result result;
    while (fw_world_take_result(run->world, &result)) {
        uint32_t car = result.car;
        FW_ASSERT(car < FW_WORLD_CARS_MAX);
        if (!run->known[car] || result.drive != run->drive[car] || !run->counted[car]) continue;
        run->counted[car] = false;
        run->ended++;
        add_result(run, &result);
    }
}

static fw_status run_world(running *run, uint32_t cars, fw_error *error) {
    uint32_t rounds = (run->quota + cars - 1) / cars + 2;
    const uint32_t wanted = run->quota, last = rounds * FW_WORLD_DRIVE_TICKS;
    for (uint32_t tick = 0; tick < last; tick++) {
        for (uint32_t car = 0; car < cars; car++) {
            const fw_drive_obs *obs = fw_world_obs(run->world, car);
            run->actions[car] = (fw_drive_action){0, 0};
            if (obs == NULL) continue;
            note_start(run, car, obs);
            note_signal(run, car, obs);
            decide(run, car, obs);
        }
        FW_TRY(fw_world_step(run->world, run->actions, error));
        take_results(run);
        if (run->ended == run->quota) break;
        if (tick + FW_WORLD_DRIVE_TICKS + 1 >= last) run->quota = run->started; /* too late to start */
    }
    run->out->sums.not_started = wanted - run->started;
    run->out->sums.unfinished = run->started - run->ended;
    return FW_OK;
}

static fw_status open_sessions(running *run, uint32_t cars, fw_error *error) {
    for (uint32_t car = 0; run->policy && car < cars; car++)
        FW_TRY(fw_policy_session_open(run->policy, &run->session[car], error));
    return FW_OK;
}

/* What the runs share. */
typedef struct exam {
    const fw_exam_config *config;
    const fw_policy *policy; /* NULL: SUMO drives */
} exam;

static fw_status run_once(const exam *e, uint32_t index, fw_exam_run *out, fw_error *error) {
    running *run = calloc(1, sizeof *run);
    if (run == NULL) return fw_fail(error, FW_NO_MEMORY, "no memory for an exam run");
    *out = (fw_exam_run){0};
    run->config = e->config;
    run->policy = e->policy;
    run->out = out;
    run->quota = fw_exam_quota(e->config);
    fw_world_config world = {.network = e->config->network,
                             .seed = fw_exam_seed(e->config->network, index),
                             .cars = cars_of(e->config),
                             .vehicles = e->config->vehicles,
                             .conditions = e->config->conditions,
                             .sumo_drives = e->policy == NULL};
    fw_status status = open_sessions(run, world.cars, error);
    if (status == FW_OK) status = fw_world_open(&world, &run->world, error);
    if (status == FW_OK) {
        status = run_world(run, world.cars, error);
        fw_world_close(run->world);
    }
    for (uint32_t car = 0; car < world.cars; car++) fw_policy_session_close(&run->session[car]);
    free(run);
    return status;
}

/* A run whose SUMO died is done again from its beginning. */
static fw_status work(const void *context, uint32_t index, fw_exam_run *out, fw_error *error) {
    fw_status status = FW_CLOSED;
    for (int attempt = 0; attempt < FW_EXAM_RESTARTS_MAX && status == FW_CLOSED; attempt++)
        status = run_once(context, index, out, error);
    return status;
}

static void say_done(const void *context, uint32_t index, const fw_exam_run *run) {
    const exam *e = context;
    fw_log_info("exam on %s: run %u of %u, %u of %u drives clean", e->config->network, index + 1,
                e->config->runs, run->sums.clean, run->sums.drives);
}

static fw_status all_runs(const exam *e, fw_exam_run *runs, fw_error *error) {
    if (e->config->jobs > 1)
        return fw_exam_jobs(work, e, e->config->runs, e->config->jobs, runs, say_done, error);
    for (uint32_t i = 0; i < e->config->runs; i++) {
        FW_TRY(work(e, i, &runs[i], error));
        say_done(e, i, &runs[i]);
    }
    return FW_OK;
}

static fw_status check(const fw_exam_config *c, fw_error *error) {
    if (c->runs < 1 || c->runs > FW_EXAM_RUNS_MAX || c->cars < 1 || c->cars > FW_WORLD_CARS_MAX ||
        c->drives < c->runs || c->drives > FW_EXAM_DRIVES_MAX || c->jobs > FW_EXAM_JOBS_MAX)
        return fw_fail(error, FW_INVALID, "an exam has 1 to %d runs, 1 to %d cars, at least one "
                       "drive a run (at most %d in all) and up to %d jobs", FW_EXAM_RUNS_MAX,
                       FW_WORLD_CARS_MAX, FW_EXAM_DRIVES_MAX, FW_EXAM_JOBS_MAX);
    return FW_OK;
}

fw_status fw_exam_take(const fw_exam_config *config, json_t **out, fw_error *error) {
    FW_TRY(check(config, error));
    const bool rule = strcmp(config->policy, "sumo") == 0;
    fw_policy policy;
    if (!rule) FW_TRY(fw_policy_load_file(config->policy, &policy, error));
    const exam e = {.config = config, .policy = rule ? NULL : &policy};
    fw_exam_run *runs = calloc(config->runs, sizeof *runs);
    fw_status status = runs ? all_runs(&e, runs, error)
                            : fw_fail(error, FW_NO_MEMORY, "no memory for an exam");
    if (status == FW_OK) *out = fw_exam_result(config, runs);
    free(runs);
    if (!rule) fw_policy_clear(&policy);
    return status;
}
