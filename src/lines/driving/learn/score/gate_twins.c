#include "lines/driving/learn/score/gate_twins.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/pool.h"
#include "lines/driving/learn/score/metrics.h"
#include "lines/driving/learn/score/score.h"

enum { COPIES = 2 };

/* One trial's outcome, kept by its number so that threads change nothing. */
typedef struct outcome {
    fw_gate_trial trial;
    uint32_t clusters;
    uint64_t drives, clean, pairs, discordant;
} outcome;

typedef struct work {
    const fw_gate_twins_config *config;
    fw_driver driver;
    fw_score_set set;
    outcome *outcomes; /* (trials) */
    atomic_bool stop;
    pthread_mutex_t lock; /* guards what follows */
    uint32_t done;
    fw_status status;
    fw_error error;
} work;

/* ---- a drive ---- */

typedef struct seat {
    fw_sim *sim;
    fw_driver_seat at;
} seat;

static bool drive(const work *w, seat *s, const fw_scenario *scenario, const fw_scenario_start *start, uint64_t seed,
                  bool *clean) {
    fw_error ignored;
    fw_drive_scene scene;
    fw_drive_action action = {0, 0};
    fw_sim_outcome came;
    const fw_sim_start begin = {.scenario = scenario, .tick = start->tick, .traffic = FW_SIM_REACTIVE,
                                .tracks = &start->track, .track_count = 1, .jitter = 1, .manners = 1};
    fw_sim_seed(s->sim, seed);
    if (fw_sim_begin(s->sim, &begin, &ignored) != FW_OK) return false;
    for (uint32_t t = 0; t < w->config->ticks && !fw_sim_over(s->sim); t++) {
        if (fw_sim_running(s->sim, 0)) {
            fw_sim_scene(s->sim, 0, &scene);
            fw_driver_act(&w->driver, &s->at, &scene, &action);
        }
        fw_sim_step(s->sim, &action, &came);
    }
    const fw_sim_drive *came_to = fw_sim_drive_of(s->sim, 0);
    double top, counts;
    if (came_to->ticks == 0) return false;
    fw_metrics[FW_METRIC_CLEAN].of(came_to, scenario->scene, &top, &counts);
    *clean = top > 0;
    return true;
}

/* ---- a trial ---- */

static uint64_t seed_of(const work *w, uint32_t trial, uint32_t recording, uint32_t start, uint32_t copy) {
    uint64_t of = fw_seed_mix(w->config->seed ^ ((uint64_t)trial << 32 | recording), "twins");
    return fw_seed_mix(of ^ ((uint64_t)start << 32), copy ? "b" : "a");
}

/* Spread over the recording. */
static const fw_scenario_start *start_of(const work *w, const fw_scenario *scenario, uint32_t k) {
    uint32_t count = w->config->starts < scenario->start_count ? w->config->starts : scenario->start_count;
    return k < count ? &scenario->starts[(uint64_t)k * scenario->start_count / count] : NULL;
}

static void try_recording(const work *w, seat *s, uint32_t trial, uint32_t i, outcome *o) {
    const fw_scenario *scenario = w->set.items[i];
    fw_gate_pairs pairs = {0};
    const fw_scenario_start *start;
    for (uint32_t k = 0; (start = start_of(w, scenario, k)) != NULL; k++) {
        bool clean[COPIES];
        if (!drive(w, s, scenario, start, seed_of(w, trial, i, k, 0), &clean[0]) ||
            !drive(w, s, scenario, start, seed_of(w, trial, i, k, 1), &clean[1]))
            continue;
        if (clean[0] && clean[1]) pairs.both++;
        else if (clean[0]) pairs.champion++;
        else if (clean[1]) pairs.candidate++;
        else pairs.neither++;
        o->drives += COPIES, o->pairs++;
        o->clean += (uint64_t)clean[0] + clean[1];
        o->discordant += clean[0] != clean[1];
    }
    if (fw_gate_pairs_count(&pairs) == 0) return;
    fw_gate_trial_add(&o->trial, fw_gate_pairs_difference(&pairs));
    o->clusters++;
}

static void note(work *w, fw_status status, const fw_error *error) {
    const fw_driving_progress *progress = &w->config->progress;
    pthread_mutex_lock(&w->lock);
    w->done++;
    if (status != FW_OK && w->status == FW_OK) w->status = status, w->error = *error;
    if (w->status == FW_OK && progress->report && !progress->report(progress->self, "twins", w->done, w->config->trials, 0))
        w->status = fw_fail(&w->error, FW_INTERRUPTED, "interrupted");
    if (w->status != FW_OK) atomic_store(&w->stop, true);
    pthread_mutex_unlock(&w->lock);
}

static void try_one(void *self, uint32_t trial) {
    work *w = self;
    seat s = {0};
    fw_error error = {""};
    if (atomic_load(&w->stop)) return;
    fw_status status = fw_sim_new(1, &s.sim, &error);
    if (status == FW_OK) {
        status = fw_driver_sit(&w->driver, &s.at, &error);
        outcome *o = &w->outcomes[trial];
        o->trial = fw_gate_trial_of(w->config->alpha, w->config->beta, w->config->delta);
        for (uint32_t i = 0; i < w->set.count && status == FW_OK && !atomic_load(&w->stop); i++)
            try_recording(w, &s, trial, i, o);
        if (status == FW_OK) fw_driver_rise(&s.at);
        fw_sim_free(s.sim);
    }
    note(w, status, &error);
}

/* ---- all of them ---- */

static void sum_up(const work *w, fw_gate_twins *out) {
    uint64_t clean = 0, pairs = 0, discordant = 0;
    *out = (fw_gate_twins){.recordings = w->set.count};
    for (uint32_t i = 0; i < w->config->trials; i++) {
        const outcome *o = &w->outcomes[i];
        fw_gate_trial_end(&o->trial, o->clusters, &out->trials);
        out->drives += o->drives;
        clean += o->clean, pairs += o->pairs, discordant += o->discordant;
    }
    if (pairs == 0) return;
    out->clean = (double)clean / (double)out->drives;
    out->discordant = (double)discordant / (double)pairs;
}

static fw_status run(work *w, fw_error *error) {
    fw_pool *pool;
    const fw_score_read_config read = {.paths = w->config->recordings, .count = w->config->recording_count,
                                       .threads = w->config->threads};
    FW_TRY(fw_driver_model(w->config->model_path, &w->driver, error));
    FW_TRY(fw_score_read(&read, &w->set, error));
    w->outcomes = calloc((size_t)w->config->trials + 1, sizeof *w->outcomes);
    if (!w->outcomes) return fw_fail(error, FW_NO_MEMORY, "no memory for %u trials", w->config->trials);
    FW_TRY(fw_pool_new(w->config->threads, &pool, error));
    fw_pool_run(pool, w->config->trials, try_one, w);
    fw_pool_free(pool);
    return w->status == FW_OK ? FW_OK : fw_fail(error, w->status, "%s", w->error.text);
}

fw_status fw_gate_twins_run(const fw_gate_twins_config *config, fw_gate_twins *out, fw_error *error) {
    work w = {.config = config, .lock = PTHREAD_MUTEX_INITIALIZER};
    fw_status status = run(&w, error);
    if (status == FW_OK) sum_up(&w, out);
    fw_score_set_clear(&w.set);
    fw_driver_clear(&w.driver);
    free(w.outcomes);
    pthread_mutex_destroy(&w.lock);
    return status;
}
