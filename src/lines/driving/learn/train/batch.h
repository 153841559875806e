/* batch.h - what the cars lived through between two updates, and what it was worth.
 *
 *   tile 0: step 0: car 0 .. 63 | step 1: car 0 .. 63 | .. | step 31 ||  tile 1: ..  || .. tile 7
 *
 * One set of arrays, one row an agent-step; row = (tile * STEPS + step) * CARS + car, so that what the
 * network sees in a step, and a tile, is one stretch of each array. A row may be vacant: its car's drive is
 * over while others of its world go on. Vacant rows are never learned from.
 */
#ifndef FW_LINES_DRIVING_LEARN_BATCH_H
#define FW_LINES_DRIVING_LEARN_BATCH_H

#include <stdint.h>

#include "base/status.h"
#include "lines/driving/act/network.h"

enum {
    FW_LEARN_TILES = 8,
    FW_LEARN_CARS = 64,  /* of a tile */
    FW_LEARN_STEPS = 32, /* of a car */
    FW_LEARN_TILE_ROWS = FW_LEARN_CARS * FW_LEARN_STEPS,
    FW_LEARN_ROWS = FW_LEARN_TILES * FW_LEARN_TILE_ROWS, /* 16384 */
};

typedef enum fw_learn_row {
    FW_LEARN_VACANT,
    FW_LEARN_RUNS,
    FW_LEARN_OVER, /* ended for good: nothing follows */
    FW_LEARN_CUT,  /* ended by time or the route's end, nobody's doing: it would have gone on */
} fw_learn_row;

typedef struct fw_learn_batch {
    float *x;               /* (rows, FW_FEATURES) */
    int32_t *accel, *steer; /* (rows) what was chosen; imitation: what should have been */
    float *log_p;           /* (rows) log probability of the pair */
    float *value, *spread;  /* (rows) of the value heads: mean, standard deviation */
    float *reward;          /* (rows) */
    float *last_value;      /* (tiles * cars) value after the last step */
    uint8_t *row;           /* (rows) fw_learn_row */
    float *advantage;       /* (rows) of mean 0 and deviation 1 over the batch: by fw_learn_estimate */
    float *target;          /* (rows) of the output `value`: by fw_learn_estimate */
    void *owned[2];
} fw_learn_batch;

fw_status fw_learn_batch_open(fw_learn_batch *out, fw_error *error) FW_MUST;
void fw_learn_batch_close(fw_learn_batch *batch);

/* Generalised advantage estimation (Schulman et al. 2016) over the whole batch. A cut drive is taken to
 * go on as well as it stood before its last step. Returns the value loss of the network that drove: the mean
 * of fw_learn_value_loss over rows that are not vacant. */
double fw_learn_estimate(fw_learn_batch *batch);

/* Huber's loss of the output `value`, as the objective has it (update.h). */
#define FW_LEARN_VALUE_DELTA 2.0f
float fw_learn_value_loss(float output, float target);

/* Whether value head `head` learns from this tile: each from its own two thirds of them, always the same, so
 * that they agree only on what the data say (bootstrap; Osband et al. 2016). */
static inline bool fw_learn_head_learns(uint32_t head, uint32_t tile) {
    return tile % FW_VALUES != head;
}

#endif
