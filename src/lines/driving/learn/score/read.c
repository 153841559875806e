/* Files to scenarios, some at a time. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/pool.h"
#include "lines/driving/learn/score/score.h"

typedef struct reading {
    const fw_score_read_config *config;
    fw_scenario **slots; /* (count): slot i belongs to path i */
    fw_error *reasons;   /* (count) */
    atomic_bool stop;
    pthread_mutex_t lock; /* guards done, and that reports come one at a time */
    uint64_t done;
} reading;

static void read_one(void *self, uint32_t i) {
    reading *r = self;
    const fw_score_progress *progress = &r->config->progress;
    if (atomic_load(&r->stop)) return;
    if (fw_scenario_read(r->config->paths[i], fw_vehicles_builtin(), &r->slots[i], &r->reasons[i]) != FW_OK)
        r->slots[i] = NULL;
    pthread_mutex_lock(&r->lock);
    r->done++;
    if (progress->report && !progress->report(progress->self, r->done, r->config->count)) atomic_store(&r->stop, true);
    pthread_mutex_unlock(&r->lock);
}

/* Takes what was read out of the slots. */
static void gather(reading *r, fw_score_set *set) {
    for (uint32_t i = 0; i < r->config->count; i++) {
        if (r->slots[i]) {
            set->path_of[set->count] = i;
            set->items[set->count++] = r->slots[i];
        } else if (set->refused++ == 0) {
            set->why = r->reasons[i];
        }
        r->slots[i] = NULL;
    }
}

static fw_status read_all(reading *r, fw_score_set *set, fw_error *error) {
    fw_pool *pool;
    FW_TRY(fw_pool_new(r->config->threads, &pool, error));
    fw_pool_run(pool, r->config->count, read_one, r);
    fw_pool_free(pool);
    gather(r, set);
    if (atomic_load(&r->stop)) return fw_fail(error, FW_INTERRUPTED, "interrupted");
    if (set->count > 0) return FW_OK;
    return fw_fail(error, FW_INVALID, "none of %u files makes a scenario; the first: %.300s", r->config->count,
                   set->why.text);
}

fw_status fw_score_read(const fw_score_read_config *config, fw_score_set *out, fw_error *error) {
    size_t room = (size_t)config->count + 1;
    fw_score_set set = {.items = calloc(room, sizeof *set.items), .path_of = calloc(room, sizeof *set.path_of)};
    reading r = {.config = config,
                 .slots = calloc(room, sizeof *r.slots),
                 .reasons = calloc(room, sizeof *r.reasons),
                 .lock = PTHREAD_MUTEX_INITIALIZER};
    fw_status status = FW_NO_MEMORY;
    if (set.items && set.path_of && r.slots && r.reasons) status = read_all(&r, &set, error);
    else status = fw_fail(error, status, "no memory for %u scenarios", config->count);
    free(r.slots);
    free(r.reasons);
    pthread_mutex_destroy(&r.lock);
    if (status == FW_OK) *out = set;
    else fw_score_set_clear(&set);
    return status;
}

void fw_score_set_clear(fw_score_set *set) {
    for (uint32_t i = 0; i < set->count; i++) fw_scenario_free(set->items[i]);
    free(set->items);
    free(set->path_of);
    *set = (fw_score_set){0};
}
