#include "nn/train/optimiser.h"

#include <math.h>
#include <stdbool.h>

#include "nn/run/cpu/kernels.h"

static float or_default(float value, float otherwise) {
    return value == 0 ? otherwise : value;
}

fw_status fw_nn_optimiser_check(fw_nn_optimiser_options *o, fw_error *error) {
    o->rate = or_default(o->rate, 1e-3f);
    o->beta1 = or_default(o->beta1, 0.9f);
    o->beta2 = or_default(o->beta2, 0.999f);
    o->epsilon = or_default(o->epsilon, 1e-8f);
    bool fine = o->rate > 0 && o->rate < 1e6f && o->beta1 > 0 && o->beta1 < 1 && o->beta2 > 0 &&
                o->beta2 < 1 && o->epsilon > 0 && o->momentum >= 0 && o->momentum < 1 &&
                o->decay >= 0 && o->decay < 1e6f && o->clip_norm >= 0 && o->average_keep >= 0 &&
                o->average_keep < 1 && o->final_share >= 0 && o->final_share <= 1;
    if (!fine) return fw_fail(error, FW_INVALID, "a number of the optimiser is out of its range");
    if (o->schedule != FW_NN_CONSTANT && o->total_steps <= o->warmup_steps)
        return fw_fail(error, FW_INVALID, "the schedule must end after its warm-up");
    return FW_OK;
}

float fw_nn_rate(const fw_nn_optimiser_options *o, uint64_t step) {
    if (step < o->warmup_steps) return o->rate * (float)step / (float)o->warmup_steps;
    if (o->schedule == FW_NN_CONSTANT) return o->rate;
    uint64_t past = step - o->warmup_steps, length = o->total_steps - o->warmup_steps;
    double share = past >= length ? 1 : (double)past / (double)length;
    double left = o->schedule == FW_NN_COSINE ? 0.5 * (1 + cos(share * 3.14159265358979323846))
                                              : 1 - share;
    return o->rate * (o->final_share + (1 - o->final_share) * (float)left);
}

static size_t chunk_end(size_t chunk, size_t floats) {
    size_t end = (chunk + 1) * FW_NN_CHUNK;
    return end < floats ? end : floats;
}

static uint32_t chunks_of(size_t floats) {
    return (uint32_t)((floats + FW_NN_CHUNK - 1) / FW_NN_CHUNK);
}

FW_KERNEL void fw_nn_add(float *restrict into, const float *restrict other, size_t count) {
    for (size_t i = 0; i < count; i++) into[i] += other[i];
}

typedef struct norm_task {
    const float *vector;
    size_t floats;
    double *partial;
} norm_task;

/* In eight strands, which the compiler keeps in vectors; their sums in ascending order. */
FW_KERNEL static double squares(const float *x, size_t count) {
    double strands[8] = {0}, sum = 0;
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        for (size_t k = 0; k < 8; k++) strands[k] += (double)x[i + k] * (double)x[i + k];
    for (size_t k = 0; k < 8; k++) sum += strands[k];
    for (; i < count; i++) sum += (double)x[i] * (double)x[i];
    return sum;
}

static void add_squares(void *self, uint32_t chunk) {
    const norm_task *t = self;
    size_t from = (size_t)chunk * FW_NN_CHUNK;
    t->partial[chunk] = squares(t->vector + from, chunk_end(chunk, t->floats) - from);
}

double fw_nn_norm(fw_pool *pool, const float *vector, size_t floats, double *partial) {
    norm_task task = {vector, floats, partial};
    double sum = 0;
    fw_pool_run(pool, chunks_of(floats), add_squares, &task);
    for (uint32_t i = 0; i < chunks_of(floats); i++) sum += partial[i];
    return sqrt(sum);
}

typedef struct step_task {
    fw_nn_optimiser *o;
    float *params;
    const float *gradient;
    float rate, scale, correct1, correct2;
} step_task;

FW_KERNEL static void adamw(const step_task *t, size_t from, size_t count) {
    const fw_nn_optimiser_options *o = &t->o->options;
    float *restrict p = t->params + from, *restrict m = t->o->m + from;
    float *restrict v = t->o->v + from;
    const float *restrict gradient = t->gradient + from;
    const uint8_t *restrict decays = t->o->decays + from;
    float keep1 = o->beta1, keep2 = o->beta2, rate = t->rate, decay = o->decay;
    float scale = t->scale, correct1 = t->correct1, correct2 = t->correct2, epsilon = o->epsilon;
    for (size_t i = 0; i < count; i++) {
        float g = gradient[i] * scale;
        m[i] = keep1 * m[i] + (1 - keep1) * g;
        v[i] = keep2 * v[i] + (1 - keep2) * g * g;
        float along = m[i] * correct1 / (sqrtf(v[i] * correct2) + epsilon);
        p[i] -= rate * (along + decay * (float)decays[i] * p[i]);
    }
}

FW_KERNEL static void sgd(const step_task *t, size_t from, size_t count) {
    const fw_nn_optimiser_options *o = &t->o->options;
    float *restrict p = t->params + from, *restrict m = t->o->m + from;
    const float *restrict gradient = t->gradient + from;
    const uint8_t *restrict decays = t->o->decays + from;
    float momentum = o->momentum, rate = t->rate, decay = o->decay, scale = t->scale;
    for (size_t i = 0; i < count; i++) {
        float g = gradient[i] * scale + decay * (float)decays[i] * p[i];
        m[i] = momentum * m[i] + g;
        p[i] -= rate * m[i];
    }
}

FW_KERNEL static void follow(float *average, const float *p, float keep, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) average[i] = keep * average[i] + (1 - keep) * p[i];
}

static void step_chunk(void *self, uint32_t chunk) {
    const step_task *t = self;
    size_t from = (size_t)chunk * FW_NN_CHUNK, to = chunk_end(chunk, t->o->floats);
    if (t->o->options.method == FW_NN_ADAMW)
        adamw(t, from, to - from);
    else
        sgd(t, from, to - from);
    if (t->o->average) follow(t->o->average, t->params, t->o->options.average_keep, from, to);
}

void fw_nn_optimiser_step(fw_nn_optimiser *o, fw_pool *pool, float *params, const float *gradient,
                          double norm) {
    double clip = (double)o->options.clip_norm;
    o->steps++;
    step_task task = {
        .o = o,
        .params = params,
        .gradient = gradient,
        .rate = fw_nn_rate(&o->options, o->steps),
        .scale = clip > 0 && norm > clip ? (float)(clip / norm) : 1,
        .correct1 = (float)(1 / (1 - pow((double)o->options.beta1, (double)o->steps))),
        .correct2 = (float)(1 / (1 - pow((double)o->options.beta2, (double)o->steps))),
    };
    fw_pool_run(pool, chunks_of(o->floats), step_chunk, &task);
}
