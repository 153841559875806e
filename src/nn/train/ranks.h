/* ranks.h - several processes train one network: what they say to each other.
 *
 * A rank is a process with a number. Ranks hold the same parameters, divide the lanes of each step
 * (trainer.h) and add their gradients; every one then does the same optimiser step. All of it rests on one
 * function, `exchange`: two ranks swap bytes. nn/mpi/mpi.h is that function over MPI; a test's is over pipes.
 *
 *      lanes    0 1   2 3   4 5   6 7        rank r owns lanes r * lanes / count and on: a subtree of
 *               (+)   (+)   (+)   (+)        trainer.h's tree, which the ranks then continue
 *      ranks     0     1     2     3
 *      round 1   └──+──┘     └──+──┘         each round two ranks `apart` swap halves of what they still
 *      round 2      └─────+─────┘            hold and add: after the last, a rank has its part of the sum
 *      back         parts are swapped in the opposite order: all have all of it
 *
 *      bytes a rank sends: 2 (count - 1) / count vectors
 *
 * Invariants: (1) every element is added by the same tree, whatever the number of ranks: the bits of one
 * rank; (2) all ranks call the same functions in the same order; (3) a failure of one rank becomes one of all
 * where they agree, with its number and its text.
 */
#ifndef FW_NN_TRAIN_RANKS_H
#define FW_NN_TRAIN_RANKS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

enum { FW_NN_RANKS_MAX = 64 };

typedef struct fw_nn_ranks {
    uint32_t rank, count; /* a power of two, at most FW_NN_RANKS_MAX */
    void *self;
    /* Sends `out` to `partner` while it receives `in` from there, which calls it at the same time with
     * the sizes swapped. Nothing travels in a direction of 0 bytes. FW_CLOSED: the partner is gone. */
    fw_status (*exchange)(void *self, uint32_t partner, const void *out, size_t out_bytes, void *in,
                          size_t in_bytes, fw_error *error);
} fw_nn_ranks;

/* One process by itself. */
extern const fw_nn_ranks fw_nn_ranks_alone;

/* values (count): the sum over all ranks, the same bits on each. scratch: (count + 1) / 2 floats. */
fw_status fw_nn_ranks_sum(const fw_nn_ranks *ranks, float *values, size_t count, float *scratch,
                          fw_error *error) FW_MUST;
/* blocks (ranks->count, block_bytes): each rank has filled its own, at its number; then all are there. */
fw_status fw_nn_ranks_gather(const fw_nn_ranks *ranks, void *blocks, size_t block_bytes,
                             fw_error *error) FW_MUST;
/* Rank 0's bytes, on all. */
fw_status fw_nn_ranks_broadcast(const fw_nn_ranks *ranks, void *bytes, size_t size_bytes,
                                fw_error *error) FW_MUST;
/* Each rank says how it went; FW_OK where all did well. Else all return the failure of the lowest rank
 * that failed, as "rank 2: its text"; a failure that all have alike is returned as it is. One that lost
 * its partner (FW_CLOSED) counts only where nobody has another reason. */
fw_status fw_nn_ranks_agree(const fw_nn_ranks *ranks, fw_status status, fw_error *error) FW_MUST;
/* *any: whether one of them said so. */
fw_status fw_nn_ranks_any(const fw_nn_ranks *ranks, bool mine, bool *any, fw_error *error) FW_MUST;
/* FW_MISMATCH unless all ranks have the same text; the message has both. what: "CPU class". */
fw_status fw_nn_ranks_same(const fw_nn_ranks *ranks, const char *what, const char *text,
                           fw_error *error) FW_MUST;

#endif
