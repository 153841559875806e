/* kernels_rows.c - reference kernels over the last dimension and over positions: norms, softmax,
 * attention (Vaswani et al. 2017; grouped keys: Ainslie et al. 2023), rotary positions (Su et al. 2021),
 * set pooling. Statistics and sums in fp32, ascending. */
#include <math.h>
#include <string.h>

#include "nn/run/ops.h"

size_t fw_nn_scratch_ATTENTION(const fw_nn_call *call);

void fw_nn_kernel_LAYER_NORM(const fw_nn_call *call) {
    const float *x = fw_nn_in(call, 0), *gain = fw_nn_in(call, 1);
    const float *bias = call->input_count > 2 ? fw_nn_in(call, 2) : NULL;
    float *y = fw_nn_out(call, 0), *means = fw_nn_out(call, 1), *scales = fw_nn_out(call, 2);
    size_t width = fw_nn_last(call->in[0].shape), rows = fw_nn_total(call, &call->in[0]) / width;
    for (size_t r = 0; r < rows; r++, x += width, y += width) {
        float sum = 0, squares = 0;
        for (size_t c = 0; c < width; c++) sum += x[c];
        float mean = sum / (float)width;
        for (size_t c = 0; c < width; c++) squares += (x[c] - mean) * (x[c] - mean);
        float scale = 1 / sqrtf(squares / (float)width + call->attr->f[0]);
        for (size_t c = 0; c < width; c++)
            y[c] = (x[c] - mean) * scale * gain[c] + (bias ? bias[c] : 0);
        means[r] = mean;
        scales[r] = scale;
    }
}

void fw_nn_kernel_RMS_NORM(const fw_nn_call *call) {
    const float *x = fw_nn_in(call, 0), *gain = fw_nn_in(call, 1);
    float *y = fw_nn_out(call, 0), *scales = fw_nn_out(call, 1);
    size_t width = fw_nn_last(call->in[0].shape), rows = fw_nn_total(call, &call->in[0]) / width;
    for (size_t r = 0; r < rows; r++, x += width, y += width) {
        float squares = 0;
        for (size_t c = 0; c < width; c++) squares += x[c] * x[c];
        float scale = 1 / sqrtf(squares / (float)width + call->attr->f[0]);
        for (size_t c = 0; c < width; c++) y[c] = x[c] * scale * gain[c];
        scales[r] = scale;
    }
}

/* Turns scores into weights that add up to 1; returns the log of the sum of their exponentials. */
static float soften(float *scores, size_t count) {
    float largest = scores[0], sum = 0;
    for (size_t i = 1; i < count; i++) largest = scores[i] > largest ? scores[i] : largest;
    for (size_t i = 0; i < count; i++) {
        scores[i] = expf(scores[i] - largest);
        sum += scores[i];
    }
    for (size_t i = 0; i < count; i++) scores[i] /= sum;
    return largest + logf(sum);
}

void fw_nn_kernel_SOFTMAX(const fw_nn_call *call) {
    const float *x = fw_nn_in(call, 0);
    float *y = fw_nn_out(call, 0);
    size_t width = fw_nn_last(call->in[0].shape), total = fw_nn_total(call, &call->in[0]);
    if (y != x) memcpy(y, x, total * sizeof *y);
    for (size_t at = 0; at < total; at += width) (void)soften(y + at, width);
}

/* ---- attention ---- */

/* One head of one example. */
typedef struct head {
    const float *q, *k, *v, *mask; /* rows q_stride and k_stride apart */
    float *y, *log_sum;
    size_t queries, keys, depth, q_stride, k_stride;
    bool causal;
} head;

/* Scores of the keys that query t sees, with their places; returns how many. */
static size_t visible_scores(const head *h, size_t t, float *scores, uint32_t *places) {
    size_t count = 0, limit = h->keys;
    if (h->causal) {
        int64_t last = (int64_t)t + (int64_t)h->keys - (int64_t)h->queries;
        limit = last < 0 ? 0 : (size_t)last + 1;
    }
    float scale = 1 / sqrtf((float)h->depth);
    for (size_t s = 0; s < limit; s++) {
        if (h->mask && h->mask[s] == 0) continue;
        float sum = 0;
        for (size_t d = 0; d < h->depth; d++)
            sum += h->q[t * h->q_stride + d] * h->k[s * h->k_stride + d];
        places[count] = (uint32_t)s;
        scores[count++] = sum * scale;
    }
    return count;
}

static void attend(const head *h, float *scores, uint32_t *places) {
    for (size_t t = 0; t < h->queries; t++) {
        float *y = h->y + t * h->q_stride;
        size_t count = visible_scores(h, t, scores, places);
        for (size_t d = 0; d < h->depth; d++) y[d] = 0;
        h->log_sum[t] = count ? soften(scores, count) : 0;
        for (size_t i = 0; i < count; i++)
            for (size_t d = 0; d < h->depth; d++)
                y[d] += scores[i] * h->v[places[i] * h->k_stride + d];
    }
}

size_t fw_nn_scratch_ATTENTION(const fw_nn_call *call) {
    return call->in[1].shape.d[0] * (sizeof(float) + sizeof(uint32_t));
}

void fw_nn_kernel_ATTENTION(const fw_nn_call *call) {
    size_t heads = (size_t)call->attr->i[0], groups = (size_t)call->attr->i[1];
    size_t queries = call->in[0].shape.d[0], keys = call->in[1].shape.d[0];
    size_t q_stride = call->in[0].shape.d[1], k_stride = call->in[1].shape.d[1];
    size_t depth = q_stride / heads;
    float *scores = call->scratch;
    uint32_t *places = (uint32_t *)(scores + keys);
    for (size_t n = 0; n < fw_nn_arrays(call, &call->out[0]); n++)
        for (size_t i = 0; i < heads; i++) {
            size_t at_q = (call->in[0].batched ? n : 0) * queries * q_stride + i * depth;
            size_t group = i / (heads / groups) * depth;
            size_t at_k = (call->in[1].batched ? n : 0) * keys * k_stride + group;
            size_t at_v = (call->in[2].batched ? n : 0) * keys * k_stride + group;
            const float *mask = call->input_count > 3 ? fw_nn_in(call, 3) : NULL;
            if (mask && call->in[3].batched) mask += n * keys;
            head h = {.q = fw_nn_in(call, 0) + at_q, .k = fw_nn_in(call, 1) + at_k,
                      .v = fw_nn_in(call, 2) + at_v, .mask = mask,
                      .y = fw_nn_out(call, 0) + n * queries * q_stride + i * depth,
                      .log_sum = fw_nn_out(call, 1) + (n * heads + i) * queries,
                      .queries = queries, .keys = keys, .depth = depth, .q_stride = q_stride,
                      .k_stride = k_stride, .causal = call->attr->i[2] != 0};
            attend(&h, scores, places);
        }
}

void fw_nn_kernel_ROPE(const fw_nn_call *call) {
    const float *x = fw_nn_in(call, 0);
    float *y = fw_nn_out(call, 0);
    size_t positions = call->in[0].shape.d[0], width = call->in[0].shape.d[1];
    size_t heads = (size_t)call->attr->i[0], depth = width / heads;
    for (size_t row = 0; row < fw_nn_arrays(call, &call->in[0]) * positions; row++) {
        double place = (double)(row % positions) + call->attr->i[1];
        for (size_t i = 0; i < width; i += 2, x += 2, y += 2) {
            double turn = place * pow((double)call->attr->f[0],
                                      -(double)(i % depth) / (double)depth);
            float c = (float)cos(turn), s = (float)sin(turn), a = x[0], b = x[1];
            y[0] = a * c - b * s;
            y[1] = a * s + b * c;
        }
    }
}

/* ---- sets ---- */

/* Members of example n and its mask. */
static const float *members_of(const fw_nn_call *call, size_t n) {
    const fw_nn_view *x = &call->in[0];
    return fw_nn_in(call, 0) + (x->batched ? n * fw_nn_elements(x->shape) : 0);
}
static const float *vector_of(const fw_nn_call *call, uint32_t input, size_t n) {
    const fw_nn_view *x = &call->in[input];
    return fw_nn_in(call, input) + (x->batched ? n * fw_nn_elements(x->shape) : 0);
}

void fw_nn_kernel_SET_MAX(const fw_nn_call *call) {
    size_t members = call->in[0].shape.d[0], width = call->in[0].shape.d[1];
    float *y = fw_nn_out(call, 0);
    int32_t *chosen = call->out[1].data;
    for (size_t n = 0; n < fw_nn_arrays(call, &call->out[0]); n++) {
        const float *x = members_of(call, n), *mask = vector_of(call, 1, n);
        for (size_t c = 0; c < width; c++, y++, chosen++) {
            *y = 0;
            *chosen = -1;
            for (size_t m = 0; m < members; m++)
                if (mask[m] != 0 && (*chosen < 0 || x[m * width + c] > *y || isnan(x[m * width + c]))) {
                    *y = x[m * width + c];
                    *chosen = (int32_t)m;
                }
        }
    }
}

void fw_nn_kernel_SET_MEAN(const fw_nn_call *call) {
    size_t members = call->in[0].shape.d[0], width = call->in[0].shape.d[1];
    float *y = fw_nn_out(call, 0);
    for (size_t n = 0; n < fw_nn_arrays(call, &call->out[0]); n++, y += width) {
        const float *x = members_of(call, n), *mask = vector_of(call, 1, n);
        float count = 0;
        for (size_t c = 0; c < width; c++) y[c] = 0;
        for (size_t m = 0; m < members; m++) {
            if (mask[m] == 0) continue;
            count++;
            for (size_t c = 0; c < width; c++) y[c] += x[m * width + c];
        }
        for (size_t c = 0; count > 0 && c < width; c++) y[c] /= count;
    }
}

void fw_nn_kernel_SET_ATTENTION(const fw_nn_call *call) {
    size_t members = call->in[0].shape.d[0], width = call->in[0].shape.d[1];
    float *y = fw_nn_out(call, 0), *weights = fw_nn_out(call, 1);
    for (size_t n = 0; n < fw_nn_arrays(call, &call->out[0]); n++, y += width, weights += members) {
        const float *x = members_of(call, n), *scores = vector_of(call, 1, n);
        const float *mask = vector_of(call, 2, n);
        float largest = -INFINITY, sum = 0;
        for (size_t m = 0; m < members; m++)
            if (mask[m] != 0 && scores[m] > largest) largest = scores[m];
        for (size_t m = 0; m < members; m++) {
            weights[m] = mask[m] != 0 ? expf(scores[m] - largest) : 0;
            sum += weights[m];
        }
        for (size_t c = 0; c < width; c++) y[c] = 0;
        for (size_t m = 0; m < members; m++) {
            if (weights[m] == 0) continue;
            weights[m] /= sum;
            for (size_t c = 0; c < width; c++) y[c] += weights[m] * x[m * width + c];
        }
    }
}
