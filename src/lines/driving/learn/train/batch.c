#include "lines/driving/learn/train/batch.h"

#include <math.h>
#include <stdlib.h>

enum { ROWS = FW_LEARN_ROWS, CARS = FW_LEARN_CARS, STEPS = FW_LEARN_STEPS, TILES = FW_LEARN_TILES };

static const float discount = 0.985f, trace = 0.93f;

fw_status fw_learn_batch_open(fw_learn_batch *out, fw_error *error) {
    enum { FLOAT_ARRAYS = 6 };
    fw_learn_batch b = {0};
    float *at = calloc((size_t)ROWS * (FW_FEATURES + FLOAT_ARRAYS) + TILES * CARS, sizeof *at);
    uint8_t *rest = calloc(ROWS, 2 * sizeof(int32_t) + 1);
    b.owned[0] = at, b.owned[1] = rest;
    if (!at || !rest) {
        fw_learn_batch_close(&b);
        return fw_fail(error, FW_NO_MEMORY, "no memory for a batch of drives");
    }
    b.x = at, at += (size_t)ROWS * FW_FEATURES;
    float **const arrays[FLOAT_ARRAYS] = {&b.log_p,  &b.value,     &b.spread,
                                          &b.reward, &b.advantage, &b.target};
    for (int i = 0; i < FLOAT_ARRAYS; i++, at += ROWS) *arrays[i] = at;
    b.last_value = at;
    b.accel = (int32_t *)(void *)rest;
    b.steer = b.accel + ROWS;
    b.row = rest + 2 * ROWS * sizeof(int32_t);
    *out = b;
    return FW_OK;
}

void fw_learn_batch_close(fw_learn_batch *batch) {
    free(batch->owned[0]);
    free(batch->owned[1]);
}

float fw_learn_value_loss(float output, float target) {
    float miss = fabsf(output - target), delta = FW_LEARN_VALUE_DELTA;
    return miss <= delta ? 0.5f * miss * miss : delta * (miss - 0.5f * delta);
}

typedef struct sums {
    double rows, advantage, square, loss;
} sums;

/* One car's steps, from the last to the first. */
static void estimate_car(fw_learn_batch *b, size_t tile, size_t car, sums *sum) {
    float next_value = b->last_value[tile * CARS + car], carry = 0;
    for (size_t step = STEPS; step-- > 0;) {
        size_t row = (tile * STEPS + step) * CARS + car;
        uint8_t state = b->row[row];
        if (state == FW_LEARN_VACANT) continue;
        float follow = state == FW_LEARN_OVER  ? 0
                       : state == FW_LEARN_CUT ? b->value[row]
                                               : next_value;
        float delta = b->reward[row] + discount * follow - b->value[row];
        carry = delta + (state == FW_LEARN_RUNS ? discount * trace * carry : 0);
        b->advantage[row] = carry;
        b->target[row] = (carry + b->value[row]) / FW_DRIVE_VALUE_SCALE;
        next_value = b->value[row];
        sum->rows++;
        sum->advantage += (double)carry;
        sum->square += (double)carry * (double)carry;
        sum->loss += (double)fw_learn_value_loss(b->value[row] / FW_DRIVE_VALUE_SCALE, b->target[row]);
    }
}

double fw_learn_estimate(fw_learn_batch *b) {
    sums sum = {0, 0, 0, 0};
    for (size_t tile = 0; tile < TILES; tile++)
        for (size_t car = 0; car < CARS; car++) estimate_car(b, tile, car, &sum);
    double rows = fmax(1, sum.rows), mean = sum.advantage / rows;
    float spread = (float)sqrt(fmax(1e-8, sum.square / rows - mean * mean));
    for (size_t row = 0; row < ROWS; row++)
        b->advantage[row] = b->row[row] == FW_LEARN_VACANT ? 0 : (b->advantage[row] - (float)mean) / (spread + 1e-6f);
    return sum.loss / rows;
}
