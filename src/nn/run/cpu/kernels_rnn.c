/* kernels_rnn.c - reference kernels of GRU (Cho et al. 2014) and LSTM (Hochreiter and Schmidhuber 1997)
 * in the form of PyTorch: two biases, gates in the order r z n and i f g o. */
#include <math.h>
#include <string.h>

#include "nn/run/ops.h"

size_t fw_nn_scratch_GRU(const fw_nn_call *call);
size_t fw_nn_scratch_LSTM(const fw_nn_call *call);

static float sigmoid(float x) {
    return 1 / (1 + expf(-x));
}

/* out[g] = sum over i of w[g][i] x[i] + b[g] */
static void project(const float *w, const float *b, const float *x, size_t outputs, size_t inputs,
                    float *out) {
    for (size_t g = 0; g < outputs; g++) {
        float sum = b[g];
        for (size_t i = 0; i < inputs; i++) sum += w[g * inputs + i] * x[i];
        out[g] = sum;
    }
}

/* The first state of example n, or zeros. */
static void first_state(const fw_nn_call *call, uint32_t input, size_t n, size_t hidden,
                        float *out) {
    if (call->input_count <= input) {
        memset(out, 0, hidden * sizeof *out);
        return;
    }
    const float *state = fw_nn_in(call, input) + (call->in[input].batched ? n * hidden : 0);
    memcpy(out, state, hidden * sizeof *out);
}

size_t fw_nn_scratch_GRU(const fw_nn_call *call) {
    return 7 * (size_t)call->in[2].shape.d[1] * sizeof(float);
}

/* Kept for the gradient, each (H): r, z, n, and U_n h + c_n. */
static void gru_step(const float *from_x, const float *from_h, size_t hidden, float *h,
                     float *gates) {
    for (size_t j = 0; j < hidden; j++) {
        float r = sigmoid(from_x[j] + from_h[j]);
        float z = sigmoid(from_x[hidden + j] + from_h[hidden + j]);
        float n = tanhf(from_x[2 * hidden + j] + r * from_h[2 * hidden + j]);
        gates[j] = r;
        gates[hidden + j] = z;
        gates[2 * hidden + j] = n;
        gates[3 * hidden + j] = from_h[2 * hidden + j];
        h[j] = (1 - z) * n + z * h[j];
    }
}

void fw_nn_kernel_GRU(const fw_nn_call *call) {
    size_t steps = call->in[0].shape.d[0], width = call->in[0].shape.d[1];
    size_t hidden = call->in[2].shape.d[1];
    float *h = call->scratch, *from_x = h + hidden, *from_h = from_x + 3 * hidden;
    float *y = fw_nn_out(call, 0), *gates = fw_nn_out(call, 1);
    for (size_t n = 0; n < fw_nn_arrays(call, &call->out[0]); n++) {
        const float *x = fw_nn_in(call, 0) + (call->in[0].batched ? n * steps * width : 0);
        first_state(call, 5, n, hidden, h);
        for (size_t t = 0; t < steps; t++, x += width, y += hidden, gates += 4 * hidden) {
            project(fw_nn_in(call, 1), fw_nn_in(call, 3), x, 3 * hidden, width, from_x);
            project(fw_nn_in(call, 2), fw_nn_in(call, 4), h, 3 * hidden, hidden, from_h);
            gru_step(from_x, from_h, hidden, h, gates);
            memcpy(y, h, hidden * sizeof *y);
        }
    }
}

size_t fw_nn_scratch_LSTM(const fw_nn_call *call) {
    return 10 * (size_t)call->in[2].shape.d[1] * sizeof(float);
}

static void lstm_step(const float *from_x, const float *from_h, size_t hidden, float *h, float *c,
                      float *gates) {
    for (size_t j = 0; j < hidden; j++) {
        float i = sigmoid(from_x[j] + from_h[j]);
        float f = sigmoid(from_x[hidden + j] + from_h[hidden + j]);
        float g = tanhf(from_x[2 * hidden + j] + from_h[2 * hidden + j]);
        float o = sigmoid(from_x[3 * hidden + j] + from_h[3 * hidden + j]);
        gates[j] = i;
        gates[hidden + j] = f;
        gates[2 * hidden + j] = g;
        gates[3 * hidden + j] = o;
        c[j] = f * c[j] + i * g;
        h[j] = o * tanhf(c[j]);
    }
}

void fw_nn_kernel_LSTM(const fw_nn_call *call) {
    size_t steps = call->in[0].shape.d[0], width = call->in[0].shape.d[1];
    size_t hidden = call->in[2].shape.d[1];
    float *h = call->scratch, *c = h + hidden, *from_x = c + hidden, *from_h = from_x + 4 * hidden;
    float *y = fw_nn_out(call, 0), *cells = fw_nn_out(call, 1), *gates = fw_nn_out(call, 2);
    for (size_t n = 0; n < fw_nn_arrays(call, &call->out[0]); n++) {
        const float *x = fw_nn_in(call, 0) + (call->in[0].batched ? n * steps * width : 0);
        first_state(call, 5, n, hidden, h);
        first_state(call, 6, n, hidden, c);
        for (size_t t = 0; t < steps; t++) {
            project(fw_nn_in(call, 1), fw_nn_in(call, 3), x, 4 * hidden, width, from_x);
            project(fw_nn_in(call, 2), fw_nn_in(call, 4), h, 4 * hidden, hidden, from_h);
            lstm_step(from_x, from_h, hidden, h, c, gates);
            memcpy(y, h, hidden * sizeof *y);
            memcpy(cells, c, hidden * sizeof *cells);
            x += width, y += hidden, cells += hidden, gates += 4 * hidden;
        }
    }
}
