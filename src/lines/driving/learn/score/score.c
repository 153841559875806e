#include "lines/driving/learn/score/score.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "lines/driving/learn/score/cases.h"
#include "lines/driving/learn/score/drive.h"

enum { TRAFFICS = FW_SIM_TRAFFIC_COUNT, THREADS_MAX = 16 };

/* What the threads share. A task is a scenario in a kind of traffic, driven by every row. */
typedef struct work {
    const fw_score_config *config;
    fw_score *score;
    uint32_t *first[TRAFFICS]; /* (scenario_count + 1): each scenario's first case */
    _Atomic uint32_t (*bins[TRAFFICS])[FW_SCORE_BINS]; /* (driver_count) */
    atomic_bool stop;
    pthread_mutex_t lock; /* guards what follows */
    uint64_t done, total;
    fw_status status;
    fw_error error;
} work;

/* ---- a task ---- */

static void note(work *w, fw_status status, const fw_error *error, uint64_t drives) {
    const fw_score_progress *progress = &w->config->progress;
    pthread_mutex_lock(&w->lock);
    w->done += drives;
    if (status != FW_OK && w->status == FW_OK) w->status = status, w->error = *error;
    if (w->status == FW_OK && progress->report && !progress->report(progress->self, w->done, w->total))
        w->status = fw_fail(&w->error, FW_INTERRUPTED, "interrupted");
    if (w->status != FW_OK) atomic_store(&w->stop, true);
    pthread_mutex_unlock(&w->lock);
}

static void drive_row(work *w, uint32_t scenario, uint32_t traffic, uint32_t driver, fw_sim *sim) {
    fw_error error = {""};
    fw_score_table *table = &w->score->traffic[traffic];
    uint32_t first = w->first[traffic][scenario];
    fw_score_run_of run = {.scenario = w->config->scenarios[scenario],
                           .driver = &w->config->drivers[driver],
                           .traffic = (fw_sim_traffic)traffic,
                           .cases = table->cases + first,
                           .count = w->first[traffic][scenario + 1] - first,
                           .ticks_max = w->config->ticks_max,
                           .seed = w->config->seed,
                           .stop = &w->stop,
                           .drives = table->drives[driver] + first,
                           .seen = table->seen[driver] + first,
                           .bins = w->bins[traffic][driver]};
    fw_status status = fw_score_drive_all(&run, sim, &error);
    note(w, status, &error, run.count);
}

static void drive_task(void *self, uint32_t i) {
    work *w = self;
    fw_error error = {""};
    fw_sim *sim = NULL;
    uint32_t scenario = i / TRAFFICS, traffic = i % TRAFFICS;
    if (!w->config->traffic[traffic] || w->first[traffic][scenario] == w->first[traffic][scenario + 1]) return;
    fw_status status = atomic_load(&w->stop) ? FW_INTERRUPTED : fw_sim_new(w->config->seed, &sim, &error);
    if (status != FW_OK) {
        note(w, status, &error, 0);
        return;
    }
    for (uint32_t d = 0; d < w->config->driver_count && !atomic_load(&w->stop); d++)
        drive_row(w, scenario, traffic, d, sim);
    fw_sim_free(sim);
}

/* ---- tables ---- */

static fw_status table_new(work *w, fw_sim_traffic traffic, const uint32_t *clusters, fw_error *error) {
    fw_score_table *table = &w->score->traffic[traffic];
    uint32_t drivers = w->config->driver_count, scenarios = w->config->scenario_count, at = 0;
    FW_TRY(fw_score_cases(w->config, traffic, clusters, w->score->cluster_count, &table->cases, &table->case_count,
                          error));
    bool fine = (w->first[traffic] = calloc((size_t)scenarios + 1, sizeof(uint32_t))) != NULL &&
                (w->bins[traffic] = calloc(drivers, sizeof *w->bins[traffic])) != NULL;
    for (uint32_t d = 0; d < drivers && fine; d++)
        fine = (table->drives[d] = calloc((size_t)table->case_count + 1, sizeof(fw_sim_drive))) != NULL &&
               (table->seen[d] = calloc((size_t)table->case_count + 1, sizeof(fw_score_seen))) != NULL;
    if (!fine) return fw_fail(error, FW_NO_MEMORY, "no memory for %u drives", table->case_count);
    for (uint32_t i = 0; i < scenarios; i++) {
        w->first[traffic][i] = at;
        while (at < table->case_count && table->cases[at].scenario == i) at++;
    }
    w->first[traffic][scenarios] = at;
    w->total += (uint64_t)drivers * table->case_count;
    return FW_OK;
}

/* Invariant 1: what did not begin for somebody counts for nobody. */
static void leave_out(fw_score_table *table, uint32_t drivers) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < table->case_count; i++) {
        bool begun = true;
        for (uint32_t d = 0; d < drivers; d++) begun = begun && table->drives[d][i].ticks > 0;
        if (!begun) continue;
        for (uint32_t d = 0; d < drivers; d++) {
            table->drives[d][kept] = table->drives[d][i];
            table->seen[d][kept] = table->seen[d][i];
        }
        table->cases[kept++] = table->cases[i];
    }
    table->left_out = table->case_count - kept;
    table->case_count = kept;
}

static void take_costs(work *w, fw_score_table *table, uint32_t traffic) {
    for (uint32_t d = 0; d < w->config->driver_count; d++)
        for (uint32_t b = 0; b < FW_SCORE_BINS; b++)
            table->costs[d].bins[b] = atomic_load(&w->bins[traffic][d][b]);
}

/* ---- the run ---- */

static fw_status prepare(work *w, fw_error *error) {
    uint32_t *clusters = NULL;
    FW_TRY(fw_score_clusters(w->config, &clusters, &w->score->cluster_count, error));
    fw_status status = FW_OK;
    for (uint32_t t = 0; t < TRAFFICS && status == FW_OK; t++)
        if (w->config->traffic[t]) status = table_new(w, (fw_sim_traffic)t, clusters, error);
    free(clusters);
    if (status == FW_OK && w->total == 0) status = fw_fail(error, FW_INVALID, "there is nothing to drive");
    return status;
}

static fw_status run(work *w, fw_error *error) {
    fw_pool *pool;
    FW_TRY(prepare(w, error));
    FW_TRY(fw_pool_new(w->config->threads, &pool, error));
    fw_pool_run(pool, w->config->scenario_count * TRAFFICS, drive_task, w);
    fw_pool_free(pool);
    if (w->status != FW_OK) return fw_fail(error, w->status, "%s", w->error.text);
    for (uint32_t t = 0; t < TRAFFICS; t++) {
        if (!w->config->traffic[t]) continue;
        leave_out(&w->score->traffic[t], w->config->driver_count);
        take_costs(w, &w->score->traffic[t], t);
    }
    return FW_OK;
}

fw_status fw_score_run(const fw_score_config *config, fw_score *out, fw_error *error) {
    FW_ASSERT(config->driver_count > 0 && config->driver_count <= FW_SCORE_DRIVERS_MAX);
    FW_ASSERT(config->threads > 0 && config->threads <= THREADS_MAX);
    fw_score score = {.driver_count = config->driver_count};
    work w = {.config = config, .score = &score, .lock = PTHREAD_MUTEX_INITIALIZER};
    fw_status status = run(&w, error);
    for (uint32_t t = 0; t < TRAFFICS; t++) {
        free(w.first[t]);
        free(w.bins[t]);
    }
    pthread_mutex_destroy(&w.lock);
    if (status == FW_OK) *out = score;
    else fw_score_clear(&score);
    return status;
}

void fw_score_clear(fw_score *score) {
    for (uint32_t t = 0; t < TRAFFICS; t++) {
        free(score->traffic[t].cases);
        for (uint32_t d = 0; d < FW_SCORE_DRIVERS_MAX; d++) {
            free(score->traffic[t].drives[d]);
            free(score->traffic[t].seen[d]);
        }
    }
    *score = (fw_score){0};
}
