#include "base/pool.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct fw_pool {
    pthread_mutex_t lock; /* guards every field below */
    pthread_cond_t work, done;
    uint32_t helpers;     /* threads beside the caller */
    uint32_t next, count, running;
    void (*task)(void *self, uint32_t i);
    void *self;
    bool quit;
    pthread_t threads[];
};

/* Runs tasks until none is left; called and left with the lock held. */
static void drain(fw_pool *pool) {
    while (pool->next < pool->count) {
        uint32_t i = pool->next++;
        pool->running++;
        pthread_mutex_unlock(&pool->lock);
        pool->task(pool->self, i);
        pthread_mutex_lock(&pool->lock);
        pool->running--;
    }
    if (pool->running == 0) pthread_cond_broadcast(&pool->done);
}

static void *helper_main(void *arg) {
    fw_pool *pool = arg;
    pthread_mutex_lock(&pool->lock);
    while (!pool->quit) {
        if (pool->next < pool->count)
            drain(pool);
        else
            pthread_cond_wait(&pool->work, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

fw_status fw_pool_new(uint32_t threads, fw_pool **out, fw_error *error) {
    FW_ASSERT(threads >= 1);
    fw_pool *pool = calloc(1, sizeof *pool + (threads - 1) * sizeof *pool->threads);
    if (!pool) return fw_fail(error, FW_NO_MEMORY, "no memory for %u threads", threads);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->done, NULL);
    for (uint32_t i = 0; i + 1 < threads; i++) {
        if (pthread_create(&pool->threads[i], NULL, helper_main, pool) != 0) {
            fw_pool_free(pool);
            return fw_fail(error, FW_NO_MEMORY, "cannot start thread %u", i);
        }
        pool->helpers++;
    }
    *out = pool;
    return FW_OK;
}

void fw_pool_free(fw_pool *pool) {
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    pool->quit = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (uint32_t i = 0; i < pool->helpers; i++) pthread_join(pool->threads[i], NULL);
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->done);
    free(pool);
}

void fw_pool_run(fw_pool *pool, uint32_t count, void (*task)(void *self, uint32_t i), void *self) {
    pthread_mutex_lock(&pool->lock);
    pool->task = task;
    pool->self = self;
    pool->next = 0;
    pool->count = count;
    pthread_cond_broadcast(&pool->work);
    drain(pool);
    while (pool->running > 0) pthread_cond_wait(&pool->done, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}
