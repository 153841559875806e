/* shape.c - the shape rule of each operator (graph.h says them in words). */
#include "nn/run/ops.h"

#define RULE(op)                                                                                   \
    fw_status fw_nn_shape_##op(const fw_nn_node *node, const fw_nn_value_info *const *in,          \
                               fw_nn_value_info *out, fw_error *error)
#define WANT(condition, ...)                                                                       \
    do {                                                                                           \
        if (!(condition)) return fw_fail(error, FW_INVALID, __VA_ARGS__);                          \
    } while (0)

static bool is_float(const fw_nn_value_info *value) {
    return value->dtype != FW_NN_I32;
}

/* An output of this shape that is batched when one of the inputs is. */
static void make(const fw_nn_node *node, const fw_nn_value_info *const *in, fw_nn_value_info *out,
                 fw_nn_shape shape) {
    out->shape = shape;
    out->dtype = FW_NN_F32;
    for (uint32_t i = 0; i < node->input_count; i++) out->batched |= in[i]->batched;
}

static fw_status same_as_first(const fw_nn_node *node, const fw_nn_value_info *const *in,
                               fw_nn_value_info *out, fw_error *error) {
    WANT(is_float(in[0]), "it takes numbers, not indices");
    make(node, in, out, in[0]->shape);
    return FW_OK;
}

#define SAME(op)                                                                                   \
    RULE(op) {                                                                                     \
        return same_as_first(node, in, out, error);                                                \
    }
SAME(SOFTMAX)
SAME(RELU)
SAME(GELU)
SAME(SILU)
SAME(TANH)
SAME(SIGMOID)
SAME(EXP)
SAME(ERF)
SAME(AFFINE)

RULE(CLAMP) {
    WANT(node->attr.f[0] <= node->attr.f[1], "the low end lies above the high one");
    return same_as_first(node, in, out, error);
}

RULE(DROPOUT) {
    WANT(node->attr.f[0] >= 0 && node->attr.f[0] < 1, "the share must be 0 or more and under 1");
    return same_as_first(node, in, out, error);
}

RULE(LINEAR) {
    fw_nn_shape shape = in[0]->shape, w = in[1]->shape;
    WANT(is_float(in[0]) && shape.dims >= 1, "it takes features, at least one dimension of them");
    WANT(!in[1]->batched && w.dims == 2, "the weight must be a parameter (out, in)");
    WANT(w.d[1] == fw_nn_last(shape), "the weight takes %u features, the input has %u", w.d[1],
         fw_nn_last(shape));
    WANT(node->input_count < 3 ||
             (!in[2]->batched && fw_nn_shape_equal(in[2]->shape, fw_nn_shape1(w.d[0]))),
         "the bias must be one for all examples, of %u elements", w.d[0]);
    shape.d[shape.dims - 1] = w.d[0];
    make(node, in, out, shape);
    return FW_OK;
}

/* Positions of a window along one dimension; 0: it does not fit. */
static uint32_t windows(uint32_t size, uint32_t kernel, int32_t stride, int32_t pad) {
    if (stride < 1 || pad < 0 || (uint32_t)pad >= kernel || size + 2 * (uint32_t)pad < kernel)
        return 0;
    return (size + 2 * (uint32_t)pad - kernel) / (uint32_t)stride + 1;
}

RULE(CONV) {
    const int32_t *a = node->attr.i;
    fw_nn_shape x = in[0]->shape, w = in[1]->shape;
    WANT(x.dims == 3 && w.dims == 4 && !in[1]->batched, "it takes (C, H, W) and (O, C/g, KH, KW)");
    WANT(a[4] >= 1 && x.d[0] % (uint32_t)a[4] == 0 && w.d[0] % (uint32_t)a[4] == 0 &&
             w.d[1] == x.d[0] / (uint32_t)a[4],
         "%u channels in %d groups do not fit the weight's %u", x.d[0], a[4], w.d[1]);
    WANT(node->input_count < 3 ||
             (!in[2]->batched && fw_nn_shape_equal(in[2]->shape, fw_nn_shape1(w.d[0]))),
         "the bias must be one for all examples, of %u elements", w.d[0]);
    uint32_t high = windows(x.d[1], w.d[2], a[0], a[2]), wide = windows(x.d[2], w.d[3], a[1], a[3]);
    WANT(high && wide, "the kernel, stride and padding do not fit an image of %u x %u", x.d[1],
         x.d[2]);
    make(node, in, out, fw_nn_shape3(w.d[0], high, wide));
    return FW_OK;
}

static fw_status pool(const fw_nn_node *node, const fw_nn_value_info *const *in,
                      fw_nn_value_info *out, fw_error *error) {
    const int32_t *a = node->attr.i;
    fw_nn_shape x = in[0]->shape;
    WANT(x.dims == 3, "it takes (C, H, W)");
    WANT(a[0] > 0 && a[1] > 0, "the window is empty");
    uint32_t high = windows(x.d[1], (uint32_t)a[0], a[2], a[4]);
    uint32_t wide = windows(x.d[2], (uint32_t)a[1], a[3], a[5]);
    WANT(high && wide, "the window, stride and padding do not fit an image of %u x %u", x.d[1],
         x.d[2]);
    make(node, in, out, fw_nn_shape3(x.d[0], high, wide));
    return FW_OK;
}

RULE(MAX_POOL) {
    return pool(node, in, out, error);
}
RULE(MEAN_POOL) {
    return pool(node, in, out, error);
}

RULE(EMBEDDING) {
    fw_nn_shape shape = in[0]->shape;
    WANT(in[0]->dtype == FW_NN_I32, "the first input must be indices");
    WANT(in[1]->shape.dims == 2 && !in[1]->batched, "the table must be a parameter (V, C)");
    WANT(shape.dims < FW_NN_DIMS_MAX, "there is no room for one more dimension");
    shape.d[shape.dims++] = in[1]->shape.d[1];
    make(node, in, out, shape);
    return FW_OK;
}

/* Statistics of each row: the shape without its last dimension. */
static fw_nn_shape rows_of(fw_nn_shape shape) {
    shape.dims--;
    return shape;
}

static fw_status norm(const fw_nn_node *node, const fw_nn_value_info *const *in,
                      fw_nn_value_info *out, uint32_t statistics, fw_error *error) {
    fw_nn_shape x = in[0]->shape;
    WANT(is_float(in[0]) && x.dims >= 1, "it takes features, at least one dimension of them");
    for (uint32_t i = 1; i < node->input_count; i++)
        WANT(!in[i]->batched && fw_nn_shape_equal(in[i]->shape, fw_nn_shape1(fw_nn_last(x))),
             "gain and bias must have %u elements", fw_nn_last(x));
    WANT(node->attr.f[0] >= 0, "epsilon must not be negative");
    make(node, in, &out[0], x);
    for (uint32_t i = 1; i <= statistics; i++) make(node, in, &out[i], rows_of(x));
    return FW_OK;
}

RULE(LAYER_NORM) {
    return norm(node, in, out, 2, error);
}
RULE(RMS_NORM) {
    return norm(node, in, out, 1, error);
}

RULE(ATTENTION) {
    int32_t heads = node->attr.i[0], groups = node->attr.i[1];
    fw_nn_shape q = in[0]->shape, k = in[1]->shape, v = in[2]->shape;
    WANT(q.dims == 2 && k.dims == 2 && fw_nn_shape_equal(k, v),
         "it takes queries (T, H*D), keys and values (S, G*D) of one shape");
    WANT(heads > 0 && groups > 0 && heads % groups == 0 && q.d[1] % (uint32_t)heads == 0 &&
             k.d[1] == q.d[1] / (uint32_t)heads * (uint32_t)groups,
         "%d heads and %d key heads do not fit %u and %u features", heads, groups, q.d[1], k.d[1]);
    WANT(node->input_count < 4 || fw_nn_shape_equal(in[3]->shape, fw_nn_shape1(k.d[0])),
         "the mask must have %u elements", k.d[0]);
    make(node, in, &out[0], q);
    make(node, in, &out[1], fw_nn_shape2((uint32_t)heads, q.d[0]));
    return FW_OK;
}

RULE(ROPE) {
    int32_t heads = node->attr.i[0];
    fw_nn_shape x = in[0]->shape;
    WANT(x.dims == 2 && heads > 0 && (uint32_t)heads <= x.d[1] &&
             x.d[1] % (2 * (uint32_t)heads) == 0,
         "it takes (T, H*D) with D even; %d heads do not fit", heads);
    WANT(node->attr.f[0] > 1, "the base must be over 1");
    make(node, in, out, x);
    return FW_OK;
}

static fw_status recurrent(const fw_nn_node *node, const fw_nn_value_info *const *in,
                           uint32_t gates, uint32_t *hidden, fw_error *error) {
    fw_nn_shape x = in[0]->shape, w = in[1]->shape, u = in[2]->shape;
    WANT(x.dims == 2 && w.dims == 2 && u.dims == 2, "it takes (T, I), and weights (%uH, I), (%uH, H)",
         gates, gates);
    *hidden = u.d[1];
    for (uint32_t i = 1; i < 5; i++) WANT(!in[i]->batched, "weights and biases are one for all examples");
    WANT(w.d[1] == x.d[1] && w.d[0] == gates * u.d[1] && u.d[0] == gates * u.d[1],
         "weights (%u, %u) and (%u, %u) do not fit %u features", w.d[0], w.d[1], u.d[0], u.d[1],
         x.d[1]);
    for (uint32_t i = 3; i < 5; i++)
        WANT(fw_nn_shape_equal(in[i]->shape, fw_nn_shape1(gates * *hidden)),
             "a bias must have %u elements", gates * *hidden);
    for (uint32_t i = 5; i < node->input_count; i++)
        WANT(fw_nn_shape_equal(in[i]->shape, fw_nn_shape1(*hidden)),
             "a first state must have %u elements", *hidden);
    return FW_OK;
}

RULE(GRU) {
    uint32_t hidden;
    FW_TRY(recurrent(node, in, 3, &hidden, error));
    make(node, in, &out[0], fw_nn_shape2(in[0]->shape.d[0], hidden));
    make(node, in, &out[1], fw_nn_shape2(in[0]->shape.d[0], 4 * hidden));
    return FW_OK;
}

RULE(LSTM) {
    uint32_t hidden;
    FW_TRY(recurrent(node, in, 4, &hidden, error));
    WANT(node->input_count != 6, "a first state is two: h0 and c0");
    make(node, in, &out[0], fw_nn_shape2(in[0]->shape.d[0], hidden));
    make(node, in, &out[1], fw_nn_shape2(in[0]->shape.d[0], hidden));
    make(node, in, &out[2], fw_nn_shape2(in[0]->shape.d[0], 4 * hidden));
    return FW_OK;
}

static fw_status set(const fw_nn_node *node, const fw_nn_value_info *const *in,
                     fw_nn_value_info *out, fw_error *error) {
    fw_nn_shape x = in[0]->shape;
    WANT(x.dims == 2, "it takes members (N, C)");
    for (uint32_t i = 1; i < node->input_count; i++)
        WANT(fw_nn_shape_equal(in[i]->shape, fw_nn_shape1(x.d[0])),
             "scores and mask must have %u elements", x.d[0]);
    make(node, in, &out[0], fw_nn_shape1(x.d[1]));
    return FW_OK;
}

RULE(SET_MAX) {
    FW_TRY(set(node, in, out, error));
    make(node, in, &out[1], out[0].shape);
    out[1].dtype = FW_NN_I32;
    return FW_OK;
}
RULE(SET_MEAN) {
    return set(node, in, out, error);
}
RULE(SET_ATTENTION) {
    FW_TRY(set(node, in, out, error));
    make(node, in, &out[1], fw_nn_shape1(in[0]->shape.d[0]));
    return FW_OK;
}

/* The second one is equal, or the last dimensions of the first. */
static fw_status binary(const fw_nn_node *node, const fw_nn_value_info *const *in,
                        fw_nn_value_info *out, fw_error *error) {
    fw_nn_shape a = in[0]->shape, b = in[1]->shape;
    WANT(is_float(in[0]) && is_float(in[1]), "it takes numbers, not indices");
    WANT(in[0]->batched || !in[1]->batched, "the batched one must come first");
    bool fits = b.dims <= a.dims;
    for (uint32_t i = 0; fits && i < b.dims; i++)
        fits = b.d[b.dims - 1 - i] == a.d[a.dims - 1 - i];
    WANT(fits, "the second shape is not the end of the first");
    make(node, in, out, a);
    return FW_OK;
}

RULE(ADD) {
    return binary(node, in, out, error);
}
RULE(SUBTRACT) {
    return binary(node, in, out, error);
}
RULE(MULTIPLY) {
    return binary(node, in, out, error);
}

RULE(RESHAPE) {
    fw_nn_shape shape = {.dims = (uint32_t)node->attr.i[0]};
    WANT(node->attr.i[0] >= 0 && node->attr.i[0] <= FW_NN_DIMS_MAX, "too many dimensions");
    for (uint32_t i = 0; i < shape.dims; i++) {
        WANT(node->attr.i[1 + i] > 0, "a dimension must be 1 or more");
        shape.d[i] = (uint32_t)node->attr.i[1 + i];
    }
    WANT(fw_nn_elements(shape) == fw_nn_elements(in[0]->shape), "%zu elements do not fit %zu",
         fw_nn_elements(in[0]->shape), fw_nn_elements(shape));
    make(node, in, out, shape);
    out->dtype = in[0]->dtype;
    return FW_OK;
}

RULE(TRANSPOSE) {
    fw_nn_shape x = in[0]->shape, shape = {.dims = x.dims};
    uint32_t seen = 0;
    for (uint32_t i = 0; i < x.dims; i++) {
        int32_t from = node->attr.i[i];
        WANT(from >= 0 && (uint32_t)from < x.dims && !(seen & 1u << from),
             "its list is no order of %u dimensions", x.dims);
        seen |= 1u << from;
        shape.d[i] = x.d[from];
    }
    make(node, in, out, shape);
    return FW_OK;
}

RULE(CONCAT) {
    fw_nn_shape shape = in[0]->shape;
    int32_t along = node->attr.i[0];
    WANT(along >= 0 && (uint32_t)along < shape.dims, "there is no dimension %d", along);
    for (uint32_t n = 1; n < node->input_count; n++) {
        fw_nn_shape other = in[n]->shape;
        WANT(in[n]->batched == in[0]->batched, "batched and unbatched ones cannot be joined");
        bool fits = other.dims == shape.dims;
        for (uint32_t i = 0; fits && i < shape.dims; i++)
            fits = i == (uint32_t)along || other.d[i] == shape.d[i];
        WANT(fits, "input %u differs in another dimension than %d", n, along);
        shape.d[along] += other.d[along];
    }
    make(node, in, out, shape);
    return FW_OK;
}

RULE(SLICE) {
    fw_nn_shape shape = in[0]->shape;
    int32_t along = node->attr.i[0], first = node->attr.i[1], count = node->attr.i[2];
    WANT(along >= 0 && (uint32_t)along < shape.dims, "there is no dimension %d", along);
    WANT(first >= 0 && count > 0 && (uint64_t)first + (uint64_t)count <= shape.d[along],
         "%d from %d on do not lie in %u", count, first, shape.d[along]);
    shape.d[along] = (uint32_t)count;
    make(node, in, out, shape);
    return FW_OK;
}

RULE(GATHER) {
    WANT(in[0]->shape.dims == 2 && in[1]->shape.dims == 1 && in[1]->dtype == FW_NN_I32,
         "it takes (N, C) and indices (K)");
    make(node, in, out, fw_nn_shape2(in[1]->shape.d[0], in[0]->shape.d[1]));
    return FW_OK;
}

RULE(SUM_LAST) {
    WANT(in[0]->shape.dims >= 1, "it takes at least one dimension");
    make(node, in, out, rows_of(in[0]->shape));
    return FW_OK;
}

RULE(ENTROPY) {
    WANT(is_float(in[0]) && in[0]->shape.dims >= 1, "it takes scores, at least one dimension of them");
    make(node, in, out, rows_of(in[0]->shape));
    return FW_OK;
}

/* All inputs of one shape; a scalar an example. */
static fw_status loss(const fw_nn_node *node, const fw_nn_value_info *const *in,
                      fw_nn_value_info *out, fw_error *error) {
    for (uint32_t i = 0; i < node->input_count; i++)
        WANT(is_float(in[i]) && in[i]->batched && fw_nn_shape_equal(in[i]->shape, in[0]->shape),
             "input %u differs in its shape, or is not batched", i);
    make(node, in, out, fw_nn_shape0());
    return FW_OK;
}

RULE(MSE) {
    return loss(node, in, out, error);
}
RULE(GAUSSIAN_NLL) {
    return loss(node, in, out, error);
}
RULE(HUBER) {
    WANT(node->attr.f[0] > 0, "delta must be over 0");
    return loss(node, in, out, error);
}
RULE(QUANTILE) {
    WANT(node->attr.f[0] > 0 && node->attr.f[0] < 1, "the quantile must lie between 0 and 1");
    return loss(node, in, out, error);
}
RULE(PPO) {
    WANT(node->attr.f[0] > 0, "the clip must be over 0");
    return loss(node, in, out, error);
}

RULE(CROSS_ENTROPY) {
    WANT(in[0]->shape.dims >= 1 && in[1]->dtype == FW_NN_I32 && in[0]->batched && in[1]->batched &&
             fw_nn_shape_equal(in[1]->shape, rows_of(in[0]->shape)),
         "it takes scores (.., K) and classes (..)");
    make(node, in, out, fw_nn_shape0());
    return FW_OK;
}
