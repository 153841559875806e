/* exam.c - the runs of an exam; see exam.h */
#include "worlds/exam/exam.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/random.h"
#include "lines/driving/act/guard.h"
#include "lines/driving/act/policy.h"

/* One run: which drives are in its set, and who is at which wheel. */
typedef struct exam_run {
    const fw_exam_config *config;
    const fw_policy *policy; /* NULL: SUMO drives */
    fw_world *world;
    uint32_t quota, started, ended;
    bool known[FW_WORLD_CARS_MAX];    /* this slot's drive was seen */
    bool counted[FW_WORLD_CARS_MAX];  /* and is in the set */
    uint32_t drive[FW_WORLD_CARS_MAX];
    fw_policy_session session[FW_WORLD_CARS_MAX];
    fw_drive_action actions[FW_WORLD_CARS_MAX];
    fw_exam_sums sums;
} exam_run;

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

/* Takes note of drives that began; the first `quota` of them are the set. */
static void note_start(exam_run *run, uint32_t car, const fw_drive_obs *obs) {
    if (run->known[car] && run->drive[car] == obs->drive) return;
    run->known[car] = true;
    run->drive[car] = obs->drive;
    run->counted[car] = run->started < run->quota;
    run->started += run->counted[car];
}

static void decide(exam_run *run, uint32_t car, const fw_drive_obs *obs) {
    fw_drive_action *action = &run->actions[car];
    *action = (fw_drive_action){0, 0};
    if (run->policy == NULL) return;
    fw_policy_act(run->policy, &run->session[car], obs, action);
    fw_guard_veto veto = run->config->guard ? fw_guard(obs, action) : FW_GUARD_NONE;
    if (!run->counted[car]) return;
    run->sums.decisions++;
    run->sums.vetoes += veto != FW_GUARD_NONE;
}

static void take_results(exam_run *run) {
    fw_drive_result result;
    while (fw_world_take_result(run->world, &result)) {
        uint32_t car = result.car;
        FW_ASSERT(car < FW_WORLD_CARS_MAX);
        if (!run->known[car] || result.drive != run->drive[car] || !run->counted[car]) continue;
        run->counted[car] = false;
        run->ended++;
        fw_exam_add(&run->sums, &result);
    }
}

static fw_status run_world(exam_run *run, uint32_t cars, fw_error *error) {
    uint32_t rounds = (run->quota + cars - 1) / cars + 2;
    const uint32_t wanted = run->quota, last = rounds * FW_WORLD_DRIVE_TICKS;
    for (uint32_t tick = 0; tick < last; tick++) {
        for (uint32_t car = 0; car < cars; car++) {
            const fw_drive_obs *obs = fw_world_obs(run->world, car);
            run->actions[car] = (fw_drive_action){0, 0};
            if (obs == NULL) continue;
            note_start(run, car, obs);
            decide(run, car, obs);
        }
        FW_TRY(fw_world_step(run->world, run->actions, error));
        take_results(run);
        if (run->ended == run->quota) break;
        if (tick + FW_WORLD_DRIVE_TICKS + 1 >= last) run->quota = run->started; /* too late to start */
    }
    run->sums.not_started = wanted - run->started;
    run->sums.unfinished = run->started - run->ended;
    return FW_OK;
}

static fw_status open_sessions(exam_run *run, uint32_t cars, fw_error *error) {
    for (uint32_t car = 0; run->policy && car < cars; car++)
        FW_TRY(fw_policy_session_open(run->policy, &run->session[car], error));
    return FW_OK;
}

static fw_status run_once(const fw_exam_config *config, const fw_policy *policy, uint32_t index,
                          fw_exam_sums *sums, fw_error *error) {
    exam_run *run = calloc(1, sizeof *run);
    if (run == NULL) return fw_fail(error, FW_NO_MEMORY, "no memory for an exam run");
    run->config = config;
    run->policy = policy;
    run->quota = fw_exam_quota(config);
    fw_world_config world = {.network = config->network,
                             .seed = fw_exam_seed(config->network, index),
                             .cars = cars_of(config),
                             .sumo_drives = policy == NULL};
    fw_status status = open_sessions(run, world.cars, error);
    if (status == FW_OK) status = fw_world_open(&world, &run->world, error);
    if (status == FW_OK) {
        status = run_world(run, world.cars, error);
        fw_world_close(run->world);
    }
    if (status == FW_OK) *sums = run->sums;
    for (uint32_t car = 0; car < world.cars; car++) fw_policy_session_close(&run->session[car]);
    free(run);
    return status;
}

static fw_status all_runs(const fw_exam_config *config, const fw_policy *policy, json_t **out,
                          fw_error *error) {
    fw_exam_sums sums[FW_EXAM_RUNS_MAX] = {0};
    for (uint32_t i = 0; i < config->runs; i++) {
        fw_status status = FW_CLOSED;
        for (int attempt = 0; attempt < FW_EXAM_RESTARTS_MAX && status == FW_CLOSED; attempt++)
            status = run_once(config, policy, i, &sums[i], error);
        if (status != FW_OK) return status;
        fw_log_info("exam on %s: run %u of %u, %u of %u drives clean", config->network, i + 1,
                    config->runs, sums[i].clean, sums[i].drives);
    }
    *out = fw_exam_result(config, sums, config->runs);
    return FW_OK;
}

fw_status fw_exam_run(const fw_exam_config *config, json_t **out, fw_error *error) {
    if (config->runs < 1 || config->runs > FW_EXAM_RUNS_MAX || config->cars < 1 ||
        config->cars > FW_WORLD_CARS_MAX || config->drives < config->runs ||
        config->drives > FW_EXAM_DRIVES_MAX)
        return fw_fail(error, FW_INVALID, "an exam has 1 to %d runs, 1 to %d cars, and at least one "
                       "drive a run (at most %d in all)", FW_EXAM_RUNS_MAX, FW_WORLD_CARS_MAX,
                       FW_EXAM_DRIVES_MAX);
    if (strcmp(config->policy, "sumo") == 0) return all_runs(config, NULL, out, error);
    fw_policy policy;
    FW_TRY(fw_policy_load_file(config->policy, &policy, error));
    fw_status status = all_runs(config, &policy, out, error);
    fw_policy_clear(&policy);
    return status;
}
