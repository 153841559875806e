/* grad_kernels_rows.c - reference gradients of norms, softmax, attention, rotary positions and sets. */
#include <math.h>
#include <string.h>

#include "nn/train/grad_ops.h"

size_t fw_nn_scratch_ATTENTION_GRAD(const fw_nn_call *call);

/* With t = (x - mean) * scale: dx = scale * (g - mean(g) - t mean(g t)), g = dy gain. */
void fw_nn_kernel_NORM_GRAD_X(const fw_nn_call *call) {
    const float *dy = fw_nn_in(call, 0), *x = fw_nn_in(call, 1), *gain = fw_nn_in(call, 2);
    const float *mean = fw_nn_in(call, 3), *scale = fw_nn_in(call, 4);
    float *dx = fw_nn_out(call, 0);
    size_t width = fw_nn_last(call->in[1].shape), rows = fw_nn_total(call, &call->in[1]) / width;
    for (size_t r = 0; r < rows; r++, x += width, dy += width, dx += width) {
        float sum = 0, along = 0;
        for (size_t c = 0; c < width; c++) {
            sum += dy[c] * gain[c];
            along += dy[c] * gain[c] * (x[c] - mean[r]) * scale[r];
        }
        sum /= (float)width;
        along /= (float)width;
        for (size_t c = 0; c < width; c++)
            dx[c] = scale[r] * (dy[c] * gain[c] - sum - (x[c] - mean[r]) * scale[r] * along);
    }
}

void fw_nn_kernel_NORM_GRAD_GAIN(const fw_nn_call *call) {
    const float *dy = fw_nn_in(call, 0), *x = fw_nn_in(call, 1);
    const float *mean = fw_nn_in(call, 2), *scale = fw_nn_in(call, 3);
    size_t width = fw_nn_last(call->in[1].shape), rows = fw_nn_total(call, &call->in[1]) / width;
    fw_nn_start_sum(call, 0);
    for (size_t r = 0; r < rows; r++, x += width, dy += width)
        for (size_t c = 0; c < width; c++)
            fw_nn_out(call, 0)[c] += dy[c] * (x[c] - mean[r]) * scale[r];
}

void fw_nn_kernel_RMS_GRAD_X(const fw_nn_call *call) {
    const float *dy = fw_nn_in(call, 0), *x = fw_nn_in(call, 1), *gain = fw_nn_in(call, 2);
    const float *scale = fw_nn_in(call, 3);
    float *dx = fw_nn_out(call, 0);
    size_t width = fw_nn_last(call->in[1].shape), rows = fw_nn_total(call, &call->in[1]) / width;
    for (size_t r = 0; r < rows; r++, x += width, dy += width, dx += width) {
        float along = 0;
        for (size_t c = 0; c < width; c++) along += dy[c] * gain[c] * x[c] * scale[r];
        along /= (float)width;
        for (size_t c = 0; c < width; c++)
            dx[c] = scale[r] * (dy[c] * gain[c] - x[c] * scale[r] * along);
    }
}

void fw_nn_kernel_RMS_GRAD_GAIN(const fw_nn_call *call) {
    const float *dy = fw_nn_in(call, 0), *x = fw_nn_in(call, 1), *scale = fw_nn_in(call, 2);
    size_t width = fw_nn_last(call->in[1].shape), rows = fw_nn_total(call, &call->in[1]) / width;
    fw_nn_start_sum(call, 0);
    for (size_t r = 0; r < rows; r++, x += width, dy += width)
        for (size_t c = 0; c < width; c++) fw_nn_out(call, 0)[c] += dy[c] * x[c] * scale[r];
}

void fw_nn_kernel_SOFTMAX_GRAD(const fw_nn_call *call) {
    const float *dy = fw_nn_in(call, 0), *y = fw_nn_in(call, 1);
    float *dx = fw_nn_out(call, 0);
    size_t width = fw_nn_last(call->in[1].shape), rows = fw_nn_total(call, &call->in[1]) / width;
    for (size_t r = 0; r < rows; r++, y += width, dy += width, dx += width) {
        float sum = 0;
        for (size_t c = 0; c < width; c++) sum += dy[c] * y[c];
        for (size_t c = 0; c < width; c++) dx[c] = y[c] * (dy[c] - sum);
    }
}

/* ---- attention: weights are made again from the log sums (Dao et al. 2022, algorithm 4) ---- */

typedef struct head {
    const float *dy, *q, *k, *v, *y, *log_sum, *mask;
    float *dq, *dk, *dv;
    size_t queries, keys, depth, q_stride, k_stride;
    bool causal;
} head;

static void head_back(const head *h) {
    float scale = 1 / sqrtf((float)h->depth);
    for (size_t t = 0; t < h->queries; t++) {
        const float *dy = h->dy + t * h->q_stride, *q = h->q + t * h->q_stride;
        const float *y = h->y + t * h->q_stride;
        float through = 0;
        for (size_t d = 0; d < h->depth; d++) through += dy[d] * y[d];
        for (size_t s = 0; s < h->keys; s++) {
            bool later = h->causal && (int64_t)s > (int64_t)t + (int64_t)h->keys -
                                                       (int64_t)h->queries;
            if (later || (h->mask && h->mask[s] == 0)) continue;
            const float *k = h->k + s * h->k_stride, *v = h->v + s * h->k_stride;
            float score = 0, dp = 0;
            for (size_t d = 0; d < h->depth; d++) {
                score += q[d] * k[d];
                dp += dy[d] * v[d];
            }
            float p = expf(score * scale - h->log_sum[t]), ds = p * (dp - through) * scale;
            for (size_t d = 0; d < h->depth; d++) {
                h->dq[t * h->q_stride + d] += ds * k[d];
                h->dk[s * h->k_stride + d] += ds * q[d];
                h->dv[s * h->k_stride + d] += p * dy[d];
            }
        }
    }
}

size_t fw_nn_scratch_ATTENTION_GRAD(const fw_nn_call *call) {
    (void)call;
    return 0;
}

void fw_nn_kernel_ATTENTION_GRAD(const fw_nn_call *call) {
    size_t heads = (size_t)call->attr->i[0], groups = (size_t)call->attr->i[1];
    size_t queries = call->in[1].shape.d[0], keys = call->in[2].shape.d[0];
    size_t q_stride = call->in[1].shape.d[1], k_stride = call->in[2].shape.d[1];
    size_t depth = q_stride / heads;
    for (uint32_t i = 0; i < 3; i++) fw_nn_start_sum(call, i);
    for (size_t n = 0; n < fw_nn_arrays(call, &call->in[0]); n++)
        for (size_t i = 0; i < heads; i++) {
            size_t at_y = n * queries * q_stride + i * depth, group = i / (heads / groups) * depth;
            size_t at_q = (call->in[1].batched ? n : 0) * queries * q_stride + i * depth;
            size_t at_k = (call->in[2].batched ? n : 0) * keys * k_stride + group;
            size_t at_v = (call->in[3].batched ? n : 0) * keys * k_stride + group;
            const float *mask = call->input_count > 6 ? fw_nn_in(call, 6) : NULL;
            if (mask && call->in[6].batched) mask += n * keys;
            head h = {.dy = fw_nn_in(call, 0) + at_y, .q = fw_nn_in(call, 1) + at_q,
                      .k = fw_nn_in(call, 2) + at_k, .v = fw_nn_in(call, 3) + at_v,
                      .y = fw_nn_in(call, 4) + at_y,
                      .log_sum = fw_nn_in(call, 5) + (n * heads + i) * queries, .mask = mask,
                      .dq = fw_nn_out(call, 0) + at_q, .dk = fw_nn_out(call, 1) + at_k,
                      .dv = fw_nn_out(call, 2) + at_v, .queries = queries, .keys = keys,
                      .depth = depth, .q_stride = q_stride, .k_stride = k_stride,
                      .causal = call->attr->i[2] != 0};
            head_back(&h);
        }
}

void fw_nn_kernel_ROPE_GRAD(const fw_nn_call *call) {
    const float *dy = fw_nn_in(call, 0);
    float *dx = fw_nn_out(call, 0);
    size_t positions = call->in[0].shape.d[0], width = call->in[0].shape.d[1];
    size_t depth = width / (size_t)call->attr->i[0];
    for (size_t row = 0; row < fw_nn_arrays(call, &call->in[0]) * positions; row++) {
        double place = (double)(row % positions) + call->attr->i[1];
        for (size_t i = 0; i < width; i += 2, dy += 2, dx += 2) {
            double turn = place * pow((double)call->attr->f[0],
                                      -(double)(i % depth) / (double)depth);
            float c = (float)cos(turn), s = (float)sin(turn), a = dy[0], b = dy[1];
            dx[0] = a * c + b * s;
            dx[1] = b * c - a * s;
        }
    }
}

/* ---- sets ---- */

static const float *vector_of(const fw_nn_call *call, uint32_t input, size_t n) {
    const fw_nn_view *x = &call->in[input];
    return fw_nn_in(call, input) + (x->batched ? n * fw_nn_elements(x->shape) : 0);
}
static float *into(const fw_nn_call *call, uint32_t output, size_t n) {
    const fw_nn_view *x = &call->out[output];
    return fw_nn_out(call, output) + (x->batched ? n * fw_nn_elements(x->shape) : 0);
}

void fw_nn_kernel_SET_MAX_GRAD(const fw_nn_call *call) {
    const float *dy = fw_nn_in(call, 0);
    const int32_t *chosen = call->in[1].data;
    size_t width = call->in[2].shape.d[1];
    fw_nn_start_sum(call, 0);
    for (size_t n = 0; n < fw_nn_arrays(call, &call->in[0]); n++) {
        float *dx = into(call, 0, n);
        for (size_t c = 0; c < width; c++, dy++, chosen++)
            if (*chosen >= 0) dx[(size_t)*chosen * width + c] += *dy;
    }
}

void fw_nn_kernel_SET_MEAN_GRAD(const fw_nn_call *call) {
    const float *dy = fw_nn_in(call, 0);
    size_t members = call->in[2].shape.d[0], width = call->in[2].shape.d[1];
    fw_nn_start_sum(call, 0);
    for (size_t n = 0; n < fw_nn_arrays(call, &call->in[0]); n++, dy += width) {
        const float *mask = vector_of(call, 1, n);
        float *dx = into(call, 0, n), count = 0;
        for (size_t m = 0; m < members; m++) count += mask[m] != 0;
        for (size_t m = 0; m < members; m++)
            for (size_t c = 0; mask[m] != 0 && c < width; c++) dx[m * width + c] += dy[c] / count;
    }
}

void fw_nn_kernel_SET_ATTENTION_GRAD(const fw_nn_call *call) {
    const float *dy = fw_nn_in(call, 0);
    size_t members = call->in[1].shape.d[0], width = call->in[1].shape.d[1];
    fw_nn_start_sum(call, 0);
    fw_nn_start_sum(call, 1);
    for (size_t n = 0; n < fw_nn_arrays(call, &call->in[0]); n++, dy += width) {
        const float *x = vector_of(call, 1, n), *weights = vector_of(call, 2, n);
        float *dx = into(call, 0, n), *dscores = into(call, 1, n), sum = 0;
        for (size_t m = 0; m < members; m++) {
            float dw = 0;
            for (size_t c = 0; c < width; c++) {
                dx[m * width + c] += weights[m] * dy[c];
                dw += dy[c] * x[m * width + c];
            }
            sum += weights[m] * dw;
        }
        for (size_t m = 0; m < members; m++) {
            float dw = 0;
            for (size_t c = 0; c < width; c++) dw += dy[c] * x[m * width + c];
            dscores[m] += weights[m] * (dw - sum);
        }
    }
}
