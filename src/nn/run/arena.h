/* arena.h - private: places of values in the arena (plan.h), by liveness. */
#ifndef FW_NN_RUN_ARENA_H
#define FW_NN_RUN_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* One block: alive from step first to step last, both included. */
typedef struct fw_nn_block {
    uint32_t first, last;
    size_t bytes, offset; /* offset is the answer */
} fw_nn_block;

/* Places (count) blocks; no two that are alive at one step overlap. Largest first, each in the
 * smallest gap that takes it. *arena_bytes is the end of the last one; *bound_bytes the most that is
 * alive at a step. */
fw_status fw_nn_arena_place(fw_nn_block *blocks, uint32_t count, uint32_t steps,
                            size_t *arena_bytes, size_t *bound_bytes, fw_error *error) FW_MUST;

#endif
