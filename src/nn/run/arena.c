#include "nn/run/arena.h"

#include <stdbool.h>
#include <stdlib.h>

static int larger_first(const void *a, const void *b) {
    const fw_nn_block *x = *(fw_nn_block *const *)a, *y = *(fw_nn_block *const *)b;
    if (x->bytes != y->bytes) return x->bytes > y->bytes ? -1 : 1;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return x < y ? -1 : x > y; /* their order in the list */
}

static bool meet(const fw_nn_block *a, const fw_nn_block *b) {
    return a->first <= b->last && b->first <= a->last;
}

/* placed: (count) blocks by offset. The smallest gap between those that are alive with it. */
static size_t find_gap(fw_nn_block *const *placed, uint32_t count, const fw_nn_block *block) {
    size_t end = 0, best = SIZE_MAX, best_gap = SIZE_MAX;
    for (uint32_t i = 0; i < count; i++) {
        const fw_nn_block *other = placed[i];
        if (!meet(other, block)) continue;
        if (other->offset > end) {
            size_t gap = other->offset - end;
            if (gap >= block->bytes && gap < best_gap) best = end, best_gap = gap;
        }
        size_t other_end = other->offset + other->bytes;
        if (other_end > end) end = other_end;
    }
    return best != SIZE_MAX ? best : end;
}

static void insert(fw_nn_block **placed, uint32_t count, fw_nn_block *block) {
    uint32_t at = count;
    for (; at > 0 && placed[at - 1]->offset > block->offset; at--) placed[at] = placed[at - 1];
    placed[at] = block;
}

static size_t most_alive(const fw_nn_block *blocks, uint32_t count, uint32_t steps) {
    size_t most = 0;
    for (uint32_t step = 0; step < steps; step++) {
        size_t alive = 0;
        for (uint32_t i = 0; i < count; i++)
            if (blocks[i].first <= step && step <= blocks[i].last) alive += blocks[i].bytes;
        if (alive > most) most = alive;
    }
    return most;
}

fw_status fw_nn_arena_place(fw_nn_block *blocks, uint32_t count, uint32_t steps,
                            size_t *arena_bytes, size_t *bound_bytes, fw_error *error) {
    fw_nn_block **order = malloc((count + 1) * sizeof *order);
    fw_nn_block **placed = malloc((count + 1) * sizeof *placed);
    size_t end = 0;
    if (!order || !placed) {
        free(order);
        free(placed);
        return fw_fail(error, FW_NO_MEMORY, "no memory to plan a network");
    }
    for (uint32_t i = 0; i < count; i++) order[i] = &blocks[i];
    qsort(order, count, sizeof *order, larger_first);
    for (uint32_t i = 0; i < count; i++) {
        order[i]->offset = find_gap(placed, i, order[i]);
        insert(placed, i, order[i]);
        if (order[i]->offset + order[i]->bytes > end) end = order[i]->offset + order[i]->bytes;
    }
    *arena_bytes = end;
    *bound_bytes = most_alive(blocks, count, steps);
    free(order);
    free(placed);
    return FW_OK;
}
