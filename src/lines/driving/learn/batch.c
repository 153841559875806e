#include "lines/driving/learn/batch.h"

#include <math.h>
#include <stdlib.h>

#include "lines/driving/act/network.h"

static const float discount = 0.985f, trace = 0.93f;

fw_status fw_ppo_batch_open(fw_ppo_batch *out, fw_error *error) {
    enum { ROWS = FW_PPO_ROWS, FLOAT_ARRAYS = 6 };
    fw_ppo_batch b = {0};
    size_t floats = (size_t)ROWS * (FW_FEATURES + FLOAT_ARRAYS) + FW_PPO_TILES * FW_PPO_CARS;
    float *at = calloc(floats, sizeof *at);
    uint8_t *rest = calloc(ROWS, 2 * sizeof(int32_t) + 1);
    b.owned[0] = at, b.owned[1] = rest;
    if (!at || !rest) {
        fw_ppo_batch_close(&b);
        return fw_fail(error, FW_NO_MEMORY, "no memory for a batch of drives");
    }
    b.x = at, at += (size_t)ROWS * FW_FEATURES;
    float **const arrays[FLOAT_ARRAYS] = {&b.log_p,     &b.value,     &b.reward,
                                          &b.out_value, &b.advantage, &b.target};
    for (int i = 0; i < FLOAT_ARRAYS; i++, at += ROWS) *arrays[i] = at;
    b.last_value = at;
    b.accel = (int32_t *)(void *)rest;
    b.steer = b.accel + ROWS;
    b.ended = rest + 2 * ROWS * sizeof(int32_t);
    *out = b;
    return FW_OK;
}

void fw_ppo_batch_close(fw_ppo_batch *batch) {
    free(batch->owned[0]);
    free(batch->owned[1]);
}

float fw_ppo_value_loss(float output, float target) {
    float miss = fabsf(output - target), delta = FW_PPO_VALUE_DELTA;
    return miss <= delta ? 0.5f * miss * miss : delta * (miss - 0.5f * delta);
}

typedef struct sums {
    double advantage, square, loss;
} sums;

/* One car's steps, from the last to the first. */
static void estimate_car(fw_ppo_batch *b, size_t car, sums *sum) {
    float next_value = b->last_value[car], carry = 0;
    for (size_t step = FW_PPO_STEPS; step-- > 0;) {
        size_t row = car * FW_PPO_STEPS + step;
        float follow = b->ended[row] == FW_PPO_OVER  ? 0
                       : b->ended[row] == FW_PPO_CUT ? b->out_value[row]
                                                     : next_value;
        float delta = b->reward[row] + discount * follow - b->value[row];
        carry = delta + (b->ended[row] ? 0 : discount * trace * carry);
        b->advantage[row] = carry;
        b->target[row] = (carry + b->value[row]) / FW_DRIVE_VALUE_SCALE;
        next_value = b->value[row];
        sum->advantage += (double)carry;
        sum->square += (double)carry * (double)carry;
        sum->loss +=
            (double)fw_ppo_value_loss(b->value[row] / FW_DRIVE_VALUE_SCALE, b->target[row]);
    }
}

double fw_ppo_estimate(fw_ppo_batch *b) {
    sums sum = {0, 0, 0};
    for (size_t car = 0; car < FW_PPO_TILES * FW_PPO_CARS; car++) estimate_car(b, car, &sum);
    double mean = sum.advantage / FW_PPO_ROWS;
    float spread = (float)sqrt(fmax(1e-8, sum.square / FW_PPO_ROWS - mean * mean));
    for (size_t row = 0; row < FW_PPO_ROWS; row++)
        b->advantage[row] = (b->advantage[row] - (float)mean) / (spread + 1e-6f);
    return sum.loss / FW_PPO_ROWS;
}
