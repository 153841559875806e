/* optimiser.h - how parameters move along their gradient: AdamW and SGD with momentum, the norm of the
 * gradient bounded, the rate by a schedule, and an average of the weights on the way.
 *
 *   norm      = sqrt(sum g^2) in float64: chunks of FW_NN_CHUNK floats, each in eight strands,
 *               added in their order
 *   g         = g * min(1, clip / norm)
 *   AdamW     m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2;  step counts from 1
 *             p = p - rate * (m / (1 - b1^step) / (sqrt(v / (1 - b2^step)) + epsilon) + decay p)
 *             (Loshchilov and Hutter 2019, algorithm 2)
 *   SGD       m = momentum m + g + decay p;  p = p - rate m            (PyTorch's form)
 *   average   a = keep a + (1 - keep) p                                 (Polyak)
 *
 * Chunks are independent and of fixed size, so any number of threads gives the same bits.
 */
#ifndef FW_NN_TRAIN_OPTIMISER_H
#define FW_NN_TRAIN_OPTIMISER_H

#include <stddef.h>
#include <stdint.h>

#include "base/pool.h"
#include "base/status.h"

enum { FW_NN_CHUNK = 4096 };

typedef enum fw_nn_method { FW_NN_ADAMW, FW_NN_SGD } fw_nn_method;
typedef enum fw_nn_schedule { FW_NN_CONSTANT, FW_NN_LINEAR_DOWN, FW_NN_COSINE } fw_nn_schedule;

/* 0 takes the default in brackets. */
typedef struct fw_nn_optimiser_options {
    fw_nn_method method;
    float rate;                  /* highest one [1e-3] */
    float beta1, beta2, epsilon; /* AdamW [0.9, 0.999, 1e-8] */
    float momentum;              /* SGD [0] */
    float decay;                 /* of weights [0]; not of vectors: biases and gains */
    float clip_norm;             /* [0: none] */
    float average_keep;          /* [0: no average] */
    fw_nn_schedule schedule;
    uint64_t warmup_steps;       /* the rate rises evenly from 0 [0] */
    uint64_t total_steps;        /* where the schedule ends; constant does not need it */
    float final_share;           /* of rate, at the end [0] */
} fw_nn_optimiser_options;

/* Rate of a step, counted from 1. */
float fw_nn_rate(const fw_nn_optimiser_options *options, uint64_t step);

/* All vectors have `floats` elements; the caller owns them. */
typedef struct fw_nn_optimiser {
    fw_nn_optimiser_options options; /* defaults filled in */
    size_t floats;
    uint64_t steps;
    float *m, *v, *average; /* v: AdamW only; average: NULL without one */
    const uint8_t *decays;  /* 1: decay applies to this element */
} fw_nn_optimiser;

/* Fills defaults in. FW_INVALID: a number out of its range. */
fw_status fw_nn_optimiser_check(fw_nn_optimiser_options *options, fw_error *error) FW_MUST;
/* into += other. */
void fw_nn_add(float *into, const float *other, size_t count);
/* Euclidean norm of a vector, as above. partial: (floats / FW_NN_CHUNK + 1) doubles of scratch. */
double fw_nn_norm(fw_pool *pool, const float *vector, size_t floats, double *partial);
/* One step; norm is the gradient's. */
void fw_nn_optimiser_step(fw_nn_optimiser *optimiser, fw_pool *pool, float *params,
                          const float *gradient, double norm);

#endif
