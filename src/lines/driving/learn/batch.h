/* batch.h - what the cars lived through between two updates, and what it was worth.
 *
 *   tile 0: car 0: step 0 .. 63 | car 1: step 0 .. 63 | .. | car 31 ||  tile 1: ..  || .. tile 7
 *
 * One set of arrays, one row an agent-step; row = (tile * CARS + car) * STEPS + step, so that a tile,
 * and a car, is one stretch of each array.
 */
#ifndef FW_LINES_DRIVING_BATCH_H
#define FW_LINES_DRIVING_BATCH_H

#include <stdint.h>

#include "base/status.h"

enum {
    FW_PPO_TILES = 8,
    FW_PPO_CARS = 32,  /* of a tile */
    FW_PPO_STEPS = 64, /* of a car */
    FW_PPO_TILE_ROWS = FW_PPO_CARS * FW_PPO_STEPS,
    FW_PPO_ROWS = FW_PPO_TILES * FW_PPO_TILE_ROWS, /* 16384 agent-steps */
};

typedef enum fw_ppo_ended {
    FW_PPO_RUNS,
    FW_PPO_OVER, /* for good: nothing follows */
    FW_PPO_CUT,  /* by time or the route's end: out_value follows */
} fw_ppo_ended;

typedef struct fw_ppo_batch {
    float *x;               /* (rows, FW_FEATURES) */
    int32_t *accel, *steer; /* (rows) what was chosen */
    float *log_p;           /* (rows) log probability of the pair */
    float *value, *reward;  /* (rows) */
    float *out_value;       /* (rows) value of the state a cut came in */
    float *last_value;      /* (tiles * cars) value after the last step */
    uint8_t *ended;         /* (rows) fw_ppo_ended */
    float *advantage;       /* (rows) of mean 0 and deviation 1 over the batch: by fw_ppo_estimate */
    float *target;          /* (rows) of the output `value`: by fw_ppo_estimate */
    void *owned[2];
} fw_ppo_batch;

fw_status fw_ppo_batch_open(fw_ppo_batch *out, fw_error *error) FW_MUST;
void fw_ppo_batch_close(fw_ppo_batch *batch);

/* Generalised advantage estimation (Schulman et al. 2016) over the whole batch. Returns the value loss
 * of the network that drove: the mean of fw_ppo_value_loss. */
double fw_ppo_estimate(fw_ppo_batch *batch);

/* Huber's loss of the output `value`, as the objective has it (update.h). */
#define FW_PPO_VALUE_DELTA 2.0f
float fw_ppo_value_loss(float output, float target);

#endif
