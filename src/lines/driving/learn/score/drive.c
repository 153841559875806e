#include "lines/driving/learn/score/drive.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "lines/driving/learn/score/cost.h"

static double cpu_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec * 1e-3;
}

/* The same traffic for every row: scenario, track and tick decide, nothing else. */
static uint64_t seed_of(const fw_score_run_of *run, uint32_t track, uint32_t tick) {
    uint64_t scenario = fw_seed_mix(run->seed, run->scenario->source.hex);
    return fw_seed_mix(scenario ^ ((uint64_t)track << 32 | tick), "score");
}

/* A decision that is no number: braking as hard as a passenger takes. */
static const fw_drive_action no_number = {-3, 0};

static void take_note(fw_score_seen *seen, bool *before, fw_guard_veto veto, fw_drive_action *action) {
    if (!isfinite(action->accel_mps2) || !isfinite(action->curvature_pm)) {
        *action = no_number;
        if (seen) seen->no_numbers++;
    }
    if (seen && veto != FW_GUARD_NONE && !*before) seen->vetoes++;
    *before = veto != FW_GUARD_NONE;
}

static void decide(const fw_score_run_of *run, fw_driver_seat *seat, const fw_sim *sim, uint32_t agent,
                   fw_score_seen *seen, bool *vetoed, fw_drive_action *action) {
    fw_drive_scene scene;
    fw_sim_scene(sim, agent, &scene);
    double before_us = cpu_us();
    fw_guard_veto veto = fw_driver_act(run->driver, seat, &scene, action);
    atomic_fetch_add_explicit(&run->bins[fw_score_cost_bin(cpu_us() - before_us)], 1, memory_order_relaxed);
    take_note(seen, vetoed, veto, action);
    if (run->watch) run->watch->decided(run->watch->self, sim, agent, *action, veto);
}

static void look_on(const fw_score_run_of *run, const fw_sim *sim) {
    for (uint32_t a = 0; run->watch && a < fw_sim_agents(sim); a++)
        if (fw_sim_running(sim, a))
            run->watch->decided(run->watch->self, sim, a, (fw_drive_action){0}, FW_GUARD_NONE);
}

/* seen: of its first agent, NULL: nobody asks. */
static void drive_through(const fw_score_run_of *run, fw_sim *sim, fw_driver_seat *seats, fw_score_seen *seen) {
    bool vetoed[FW_SIM_AGENTS_MAX] = {false};
    fw_drive_action actions[FW_SIM_AGENTS_MAX];
    fw_sim_outcome outcomes[FW_SIM_AGENTS_MAX];
    uint32_t agents = fw_sim_agents(sim);
    for (uint32_t t = 0; !fw_sim_over(sim) && (run->ticks_max == 0 || t < run->ticks_max); t++) {
        if (run->driver->kind == FW_DRIVER_LOG) {
            look_on(run, sim);
            fw_sim_step_logged(sim, outcomes);
            continue;
        }
        for (uint32_t a = 0; a < agents; a++)
            if (fw_sim_running(sim, a)) decide(run, &seats[a], sim, a, seen ? &seen[a] : NULL, &vetoed[a], &actions[a]);
        fw_sim_step(sim, actions, outcomes);
    }
}

/* Cases [at, at + count) in one world; a world that cannot begin leaves them as they are: not begun. */
static void drive_world(const fw_score_run_of *run, fw_sim *sim, fw_driver_seat *seats, uint32_t at, uint32_t count) {
    uint32_t tracks[FW_SIM_AGENTS_MAX];
    bool logged = run->driver->kind == FW_DRIVER_LOG;
    fw_error ignored;
    for (uint32_t i = 0; i < count; i++) tracks[i] = run->cases[at + i].track;
    fw_sim_start start = {.scenario = run->scenario,
                          .tick = run->cases[at].tick,
                          .traffic = logged ? FW_SIM_REPLAYED : run->traffic,
                          .tracks = tracks,
                          .track_count = count};
    for (uint32_t i = 1; i < count; i++)
        if (run->cases[at + i].tick < start.tick) start.tick = run->cases[at + i].tick;
    fw_sim_seed(sim, seed_of(run, count > 1 ? FW_SCENARIO_NONE : tracks[0], start.tick));
    if (fw_sim_begin(sim, &start, &ignored) != FW_OK) return;
    drive_through(run, sim, seats, run->seen ? run->seen + at : NULL);
    for (uint32_t i = 0; i < count; i++) run->drives[at + i] = *fw_sim_drive_of(sim, i);
}

static uint32_t at_once(const fw_score_run_of *run) {
    bool together = run->traffic == FW_SIM_SELF_PLAY && run->driver->kind != FW_DRIVER_LOG;
    if (!together) return 1;
    return run->count < FW_SIM_AGENTS_MAX ? run->count : FW_SIM_AGENTS_MAX;
}

static void rise_all(fw_driver_seat *seats, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) fw_driver_rise(&seats[i]);
}

fw_status fw_score_drive_all(const fw_score_run_of *run, fw_sim *sim, fw_error *error) {
    fw_driver_seat seats[FW_SIM_AGENTS_MAX];
    uint32_t together = at_once(run), seated = 0;
    fw_status status = FW_OK;
    for (; seated < together && status == FW_OK; seated += status == FW_OK)
        status = fw_driver_sit(run->driver, &seats[seated], error);
    for (uint32_t i = 0; i < run->count && status == FW_OK; i += together) {
        uint32_t left = run->count - i;
        if (atomic_load(run->stop)) status = fw_fail(error, FW_INTERRUPTED, "interrupted");
        else drive_world(run, sim, seats, i, left < together ? left : together);
    }
    rise_all(seats, seated);
    return status;
}
