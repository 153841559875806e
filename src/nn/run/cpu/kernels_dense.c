/* kernels_dense.c - reference kernels: linear, convolution, pooling, embedding, gather. Sums run over
 * inputs in ascending order, in fp32. */
#include <math.h>
#include <string.h>

#include "nn/run/ops.h"

/* y = x w^T + b, over all rows of all examples. */
void fw_nn_kernel_LINEAR(const fw_nn_call *call) {
    const float *x = fw_nn_in(call, 0), *w = fw_nn_in(call, 1); /* (R, I), (O, I) */
    const float *b = call->input_count > 2 ? fw_nn_in(call, 2) : NULL;
    float *y = fw_nn_out(call, 0); /* (R, O) */
    size_t in = call->in[1].shape.d[1], out = call->in[1].shape.d[0];
    size_t rows = fw_nn_total(call, &call->in[0]) / in;
    for (size_t r = 0; r < rows; r++)
        for (size_t o = 0; o < out; o++) {
            float sum = b ? b[o] : 0;
            for (size_t i = 0; i < in; i++) sum += x[r * in + i] * w[o * in + i];
            y[r * out + o] = sum;
        }
}

/* Sizes of a convolution or a pooling. */
typedef struct window {
    size_t channels, high, wide, out_channels, out_high, out_wide;
    size_t kernel_y, kernel_x, stride_y, stride_x, pad_y, pad_x;
} window;

static window window_of(const fw_nn_call *call, const int32_t *kernel, const int32_t *stride) {
    const fw_nn_shape x = call->in[0].shape, y = call->out[0].shape;
    return (window){x.d[0], x.d[1], x.d[2], y.d[0], y.d[1], y.d[2],
                    (size_t)kernel[0], (size_t)kernel[1], (size_t)stride[0], (size_t)stride[1],
                    (size_t)stride[2], (size_t)stride[3]};
}

/* Sum of one output: over the group's channels and the kernel's places inside the image. */
static float conv_at(const window *s, const float *x, const float *w, size_t group_channels,
                     size_t first_channel, size_t oy, size_t ox) {
    float sum = 0;
    for (size_t c = 0; c < group_channels; c++)
        for (size_t ky = 0; ky < s->kernel_y; ky++)
            for (size_t kx = 0; kx < s->kernel_x; kx++) {
                size_t iy = oy * s->stride_y + ky - s->pad_y; /* wraps below 0: then too large */
                size_t ix = ox * s->stride_x + kx - s->pad_x;
                if (iy < s->high && ix < s->wide)
                    sum += x[((first_channel + c) * s->high + iy) * s->wide + ix] *
                           w[(c * s->kernel_y + ky) * s->kernel_x + kx];
            }
    return sum;
}

void fw_nn_kernel_CONV(const fw_nn_call *call) {
    const int32_t kernel[] = {(int32_t)call->in[1].shape.d[2], (int32_t)call->in[1].shape.d[3]};
    const window s = window_of(call, kernel, call->attr->i);
    const float *w = fw_nn_in(call, 1), *b = call->input_count > 2 ? fw_nn_in(call, 2) : NULL;
    size_t groups = (size_t)call->attr->i[4], group_in = s.channels / groups;
    size_t group_out = s.out_channels / groups, weights = group_in * s.kernel_y * s.kernel_x;
    for (size_t n = 0; n < fw_nn_arrays(call, &call->in[0]); n++) {
        const float *x = fw_nn_in(call, 0) + n * s.channels * s.high * s.wide;
        float *y = fw_nn_out(call, 0) + n * s.out_channels * s.out_high * s.out_wide;
        for (size_t o = 0; o < s.out_channels; o++)
            for (size_t oy = 0; oy < s.out_high; oy++)
                for (size_t ox = 0; ox < s.out_wide; ox++)
                    *y++ = conv_at(&s, x, w + o * weights, group_in, o / group_out * group_in, oy,
                                   ox) + (b ? b[o] : 0);
    }
}

/* Largest value, or mean, of the window's places inside the image. */
static float pool_at(const window *s, const float *x, size_t oy, size_t ox, bool largest) {
    float best = -INFINITY, sum = 0;
    size_t count = 0;
    for (size_t ky = 0; ky < s->kernel_y; ky++)
        for (size_t kx = 0; kx < s->kernel_x; kx++) {
            size_t iy = oy * s->stride_y + ky - s->pad_y, ix = ox * s->stride_x + kx - s->pad_x;
            if (iy >= s->high || ix >= s->wide) continue;
            float value = x[iy * s->wide + ix];
            if (value > best || value != value) best = value;
            sum += value;
            count++;
        }
    return largest ? best : sum / (float)count;
}

static void pool(const fw_nn_call *call, bool largest) {
    const window s = window_of(call, call->attr->i, call->attr->i + 2);
    const float *x = fw_nn_in(call, 0);
    float *y = fw_nn_out(call, 0);
    size_t planes = fw_nn_arrays(call, &call->in[0]) * s.channels;
    for (size_t p = 0; p < planes; p++)
        for (size_t oy = 0; oy < s.out_high; oy++)
            for (size_t ox = 0; ox < s.out_wide; ox++)
                *y++ = pool_at(&s, x + p * s.high * s.wide, oy, ox, largest);
}

void fw_nn_kernel_MAX_POOL(const fw_nn_call *call) {
    pool(call, true);
}
void fw_nn_kernel_MEAN_POOL(const fw_nn_call *call) {
    pool(call, false);
}

/* An index outside the table reads as zeros: data may be wrong, memory is not. */
void fw_nn_kernel_EMBEDDING(const fw_nn_call *call) {
    const int32_t *ids = call->in[0].data;
    const float *table = fw_nn_in(call, 1);
    float *y = fw_nn_out(call, 0);
    size_t width = call->in[1].shape.d[1], count = fw_nn_total(call, &call->in[0]);
    for (size_t i = 0; i < count; i++) {
        if ((uint32_t)ids[i] < call->in[1].shape.d[0])
            memcpy(y + i * width, table + (size_t)ids[i] * width, width * sizeof *y);
        else
            memset(y + i * width, 0, width * sizeof *y);
    }
}

void fw_nn_kernel_GATHER(const fw_nn_call *call) {
    size_t members = call->in[0].shape.d[0], width = call->in[0].shape.d[1];
    size_t chosen = call->in[1].shape.d[0];
    float *y = fw_nn_out(call, 0);
    for (size_t n = 0; n < fw_nn_arrays(call, &call->out[0]); n++) {
        const float *x = fw_nn_in(call, 0) + (call->in[0].batched ? n * members * width : 0);
        const int32_t *ids = (const int32_t *)call->in[1].data + (call->in[1].batched ? n * chosen : 0);
        for (size_t k = 0; k < chosen; k++, y += width) {
            if ((uint32_t)ids[k] < members)
                memcpy(y, x + (size_t)ids[k] * width, width * sizeof *y);
            else
                memset(y, 0, width * sizeof *y);
        }
    }
}
