/* read_rnn.c - LSTM and GRU. Theirs: one array a direction, gates i o f c and z r h, both biases in one
 * list; time first, or (layout 1) the batch. Ours: gates i f g o and r z n. */
#include <string.h>

#include "nn/onnx/tensor.h"
#include "onnx.pb-c.h"

static fw_status check(fw_onnx_reader *r, fw_onnx_proto *node, bool lstm, fw_error *error) {
    const Onnx__AttributeProto *way = fw_onnx_attribute(node, "direction");
    const Onnx__AttributeProto *by = fw_onnx_attribute(node, "activations");
    static const char *const usual[] = {"Sigmoid", "Tanh", "Tanh"};
    if (way && way->has_s && way->s.len && (way->s.len != 7 || memcmp(way->s.data, "forward", 7) != 0))
        FW_ONNX_REFUSE("the direction %.*s is not read, forward is", (int)(way->s.len < 20 ? way->s.len : 20),
                       (const char *)way->s.data);
    for (size_t i = 0; by && i < by->n_strings; i++)
        if (i >= (lstm ? 3u : 2u) || by->strings[i].len != strlen(usual[i]) ||
            memcmp(by->strings[i].data, usual[i], by->strings[i].len) != 0)
            FW_ONNX_REFUSE("other activations than its own are not read");
    if (fw_onnx_attribute(node, "clip")) FW_ONNX_REFUSE("clip is not read");
    if (fw_onnx_int_of(node, "input_forget", 0)) FW_ONNX_REFUSE("input_forget is not read");
    if (!lstm && !fw_onnx_int_of(node, "linear_before_reset", 0))
        FW_ONNX_REFUSE("linear_before_reset 0 is not read, 1 (as PyTorch's) is");
    if (*fw_onnx_name_in(node, 4)) FW_ONNX_REFUSE("sequence_lens is not read");
    if (lstm && *fw_onnx_name_in(node, 7)) FW_ONNX_REFUSE("peepholes are not read");
    (void)r;
    return FW_OK;
}

/* Rows (gates * H, width) of a constant from `first` on, in our order of gates. NULL: zeros. */
static fw_status gates_of(fw_onnx_reader *r, const fw_onnx_constant *c, const char *name, bool lstm, size_t hidden,
                          size_t width, size_t first, size_t total, bool vector, fw_nn_value *out, fw_error *error) {
    static const size_t lstm_from[] = {0, 2, 3, 1}, gru_from[] = {1, 0, 2};
    size_t gates = lstm ? 4 : 3;
    const float *from = NULL;
    float *to = fw_onnx_room(r, gates * hidden * width, error);
    if (!to) return FW_NO_MEMORY;
    if (c) FW_TRY(fw_onnx_floats_in(r, c, total, &from, error));
    for (size_t g = 0; from && g < gates; g++)
        memcpy(to + g * hidden * width,
               from + first + (lstm ? lstm_from : gru_from)[g] * hidden * width, hidden * width * sizeof *to);
    fw_nn_shape shape = vector ? fw_nn_shape1((uint32_t)(gates * hidden))
                               : fw_nn_shape2((uint32_t)(gates * hidden), (uint32_t)width);
    return fw_onnx_parameter(r, name, shape, to, out, error);
}

/* A first state (1, N, H), or with layout 1 (N, 1, H), as (H). */
static fw_status state_of(fw_onnx_reader *r, fw_onnx_proto *node, size_t input, size_t hidden, fw_nn_value *out,
                          fw_error *error) {
    const fw_onnx_constant *c = fw_onnx_constant_of(r, node, input);
    fw_onnx_tensor t;
    const float *data;
    double zero = 0;
    fw_nn_shape shape = fw_nn_shape1((uint32_t)hidden);
    *out = FW_NN_NONE;
    for (uint32_t i = 0; c && i < c->rank; i++) FW_TRY(fw_onnx_constant_fold_axis(&r->pool, c, i, &c, error));
    if (!*fw_onnx_name_in(node, input) || (fw_onnx_uniform(c, &zero) && zero == 0)) return FW_OK;
    if (!c) {
        FW_TRY(fw_onnx_want(r, node, input, &t, error));
        if (fw_nn_elements(fw_onnx_shape(r, t.value)) != hidden || fw_onnx_copied(&t))
            FW_ONNX_REFUSE("its first state does not fit %zu units", hidden);
        return fw_onnx_shaped(r, &t, shape, out, error);
    }
    fw_onnx_constant last = {.whole = c->whole, .rank = 1, .data = c->data};
    last.dims[0] = c->rank ? c->dims[c->rank - 1] : 1;
    last.have[0] = c->rank ? c->have[c->rank - 1] : 1;
    if (fw_onnx_had(c) != (size_t)last.have[0]) FW_ONNX_REFUSE("its first state differs along the batch");
    FW_TRY(fw_onnx_floats_in(r, &last, hidden, &data, error));
    return fw_onnx_parameter(r, node->input[input], shape, data, out, error);
}

/* Both states, or none: what is missing is zeros. */
static fw_status states_of(fw_onnx_reader *r, fw_onnx_proto *node, bool lstm, size_t hidden, fw_nn_value in[7],
                           uint32_t *count, fw_error *error) {
    FW_TRY(state_of(r, node, 5, hidden, &in[5], error));
    in[6] = FW_NN_NONE;
    if (lstm) FW_TRY(state_of(r, node, 6, hidden, &in[6], error));
    *count = in[5] == FW_NN_NONE && in[6] == FW_NN_NONE ? 5 : lstm ? 7 : 6;
    for (uint32_t i = 5; i < *count; i++) {
        if (in[i] != FW_NN_NONE) continue;
        float *zeros = fw_onnx_room(r, hidden, error);
        if (!zeros) return FW_NO_MEMORY;
        FW_TRY(fw_onnx_parameter(r, "zeros", fw_nn_shape1((uint32_t)hidden), zeros, &in[i], error));
    }
    return FW_OK;
}

/* The last of a sequence (T, H), as output i: (1, N, H), or with layout 1 (N, 1, H). */
static fw_status give_last(fw_onnx_reader *r, fw_onnx_proto *node, size_t i, const fw_onnx_tensor *sequence,
                           fw_nn_value value, fw_error *error) {
    fw_onnx_tensor t = fw_onnx_with(sequence, value);
    fw_nn_shape shape = fw_onnx_shape(r, value);
    if (i >= node->n_output || !*node->output[i]) return FW_OK;
    fw_nn_attr attr = {.i = {0, (int32_t)shape.d[0] - 1, 1}};
    FW_TRY(fw_onnx_add(r, FW_NN_SLICE, &value, 1, attr, &t.value, error));
    FW_TRY(fw_onnx_reshape(r, t.value, fw_nn_shape1(shape.d[1]), &t.value, error));
    bool batch_first = fw_onnx_int_of(node, "layout", 0) != 0;
    fw_onnx_resize(&t, batch_first ? 1 : 0, 1);
    return fw_onnx_give(r, node, i, &t, error);
}

static fw_status give_all(fw_onnx_reader *r, fw_onnx_proto *node, const fw_onnx_tensor *x, const fw_nn_value *made,
                          bool lstm, int64_t hidden, fw_error *error) {
    fw_onnx_tensor y = fw_onnx_with(x, made[0]), wide;
    int64_t dims[FW_ONNX_RANK_MAX];
    bool batch_first = fw_onnx_int_of(node, "layout", 0) != 0;
    fw_onnx_resize(&y, 2, hidden);
    FW_TRY(give_last(r, node, 1, &y, made[0], error));
    if (lstm) FW_TRY(give_last(r, node, 2, &y, made[1], error));
    fw_onnx_dims(&y, dims);
    dims[3] = hidden;
    if (batch_first) dims[2] = 1;
    else dims[2] = dims[1], dims[1] = 1;
    FW_TRY(fw_onnx_regroup(&y, 4, dims, &wide, error));
    return fw_onnx_give(r, node, 0, &wide, error);
}

FW_ONNX_READ(recurrent) {
    bool lstm = fw_onnx_is(node, "LSTM"), batch_first = fw_onnx_int_of(node, "layout", 0) != 0;
    fw_onnx_tensor x;
    const fw_onnx_constant *w, *u, *b = NULL;
    fw_nn_value in[7], made[FW_NN_OUTPUTS_MAX];
    uint32_t count = 5;
    FW_TRY(check(r, node, lstm, error));
    FW_TRY(fw_onnx_want(r, node, 0, &x, error));
    FW_TRY(fw_onnx_want_constant(r, node, 1, &w, error));
    FW_TRY(fw_onnx_want_constant(r, node, 2, &u, error));
    if (*fw_onnx_name_in(node, 3)) FW_TRY(fw_onnx_want_constant(r, node, 3, &b, error));
    uint32_t time = batch_first ? 1 : 0, batch = fw_onnx_batch_axis(&x);
    if (x.rank != 3 || (batch != 1 - time && batch != 3) || fw_onnx_own(&x, 1 - time) != 1 || fw_onnx_copied(&x))
        FW_ONNX_REFUSE("it takes %s; the batch lies elsewhere", batch_first ? "(N, T, I)" : "(T, N, I)");
    if (w->rank != 3 || u->rank != 3 || w->dims[0] != 1 || u->dims[0] != 1 || u->dims[2] < 1 ||
        u->dims[2] > FW_NN_ELEMENTS_MAX || w->dims[2] > FW_NN_ELEMENTS_MAX)
        FW_ONNX_REFUSE("its weights are not those of one direction");
    size_t hidden = (size_t)u->dims[2], width = (size_t)w->dims[2], rows = (lstm ? 4u : 3u) * hidden;
    if ((size_t)w->dims[1] != rows || (size_t)u->dims[1] != rows || hidden > FW_NN_ELEMENTS_MAX / rows ||
        width > FW_NN_ELEMENTS_MAX / rows)
        return fw_fail(error, FW_CORRUPT, "its weights do not fit %zu units", hidden);
    fw_nn_shape sequence = fw_nn_shape2((uint32_t)fw_onnx_own(&x, time), (uint32_t)fw_onnx_own(&x, 2));
    FW_TRY(fw_onnx_shaped(r, &x, sequence, &in[0], error));
    FW_TRY(gates_of(r, w, node->input[1], lstm, hidden, width, 0, rows * width, false, &in[1], error));
    FW_TRY(gates_of(r, u, node->input[2], lstm, hidden, hidden, 0, rows * hidden, false, &in[2], error));
    const char *name = b ? node->input[3] : "zeros";
    FW_TRY(gates_of(r, b, name, lstm, hidden, 1, 0, 2 * rows, true, &in[3], error));
    FW_TRY(gates_of(r, b, name, lstm, hidden, 1, rows, 2 * rows, true, &in[4], error));
    FW_TRY(states_of(r, node, lstm, hidden, in, &count, error));
    FW_TRY(fw_onnx_add_all(r, lstm ? FW_NN_LSTM : FW_NN_GRU, in, count, (fw_nn_attr){0}, made, error));
    return give_all(r, node, &x, made, lstm, (int64_t)hidden, error);
}
