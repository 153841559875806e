/* pool.h - a few named threads that share out numbered tasks.
 *
 * The result of task i must depend on i alone, never on which thread ran it or when: that is what
 * keeps training the same whatever the number of threads. One owner; run() is not reentrant.
 */
#ifndef FW_BASE_POOL_H
#define FW_BASE_POOL_H

#include <stdint.h>

#include "base/status.h"

typedef struct fw_pool fw_pool;
/* threads >= 1; one thread means: tasks run in the caller. The caller frees. */
fw_status fw_pool_new(uint32_t threads, fw_pool **out, fw_error *error) FW_MUST;
void fw_pool_free(fw_pool *pool);
/* Calls task(self, i) for every i in [0, count) and returns when all are done. */
void fw_pool_run(fw_pool *pool, uint32_t count, void (*task)(void *self, uint32_t i), void *self);

#endif
