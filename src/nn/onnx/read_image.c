/* read_image.c - windows over (C, H, W), or over (C, L) as an image one high.
 *
 * Ours are padded alike on both sides and hold no gaps. Theirs are made so with zeros in the kernel:
 *
 *     dilation 2      k0 k1 k2        ->  k0 0 k1 0 k2
 *     pads 0 and 2    k0 k1 k2        ->  0 0 k0 k1 k2     padded 2 and 2
 *
 * A largest of a window is not changed by numbers twice in it: there the edge is repeated. A mean that
 * counts otherwise is a convolution with ones, divided by what counts at each place. */
#include <string.h>

#include "nn/onnx/tensor.h"
#include "onnx.pb-c.h"

typedef struct window {
    uint32_t dims; /* 1 or 2 */
    int64_t size[2], kernel[2], stride[2], before[2], after[2], gap[2], out[2]; /* y, x; 1d: x alone */
} window;

/* The value as (C, H, W). */
static fw_status image_of(fw_onnx_reader *r, fw_onnx_proto *node, fw_onnx_tensor *t, window *w,
                          fw_error *error) {
    int64_t dims[FW_ONNX_RANK_MAX];
    FW_TRY(fw_onnx_want(r, node, 0, t, error));
    uint32_t batch = fw_onnx_batch_axis(t);
    if (t->rank != 3 && t->rank != 4) FW_ONNX_REFUSE("it takes (N, C, H, W) or (N, C, L)");
    fw_onnx_dims(t, dims);
    if ((batch != 0 && batch != t->rank) || fw_onnx_own(t, 0) != 1 || fw_onnx_copied(t) ||
        (batch == t->rank && dims[0] != 1))
        FW_ONNX_REFUSE("the batch is not its first axis, or something repeats");
    w->dims = t->rank - 2;
    w->size[0] = w->dims == 2 ? dims[2] : 1;
    w->size[1] = dims[t->rank - 1];
    return fw_onnx_reshape(r, t->value, fw_nn_shape3((uint32_t)dims[1], (uint32_t)w->size[0], (uint32_t)w->size[1]),
                           &t->value, error);
}

/* (O, OH, OW) given as the node's output. */
static fw_status image_back(fw_onnx_reader *r, fw_onnx_proto *node, const fw_onnx_tensor *like,
                            fw_nn_value value, fw_error *error) {
    fw_onnx_tensor t = fw_onnx_with(like, value);
    fw_nn_shape shape = fw_onnx_shape(r, value), natural;
    fw_onnx_resize(&t, 1, shape.d[0]);
    if (t.rank == 4) fw_onnx_resize(&t, 2, shape.d[1]);
    fw_onnx_resize(&t, t.rank - 1, shape.d[2]);
    FW_TRY(fw_onnx_natural(&t, &natural, error));
    FW_TRY(fw_onnx_shaped(r, &t, natural, &t.value, error));
    return fw_onnx_give(r, node, 0, &t, error);
}

/* ---- windows ---- */

static fw_status lists_of(fw_onnx_proto *node, window *w, fw_error *error) {
    static const char *const names[] = {"kernel_shape", "strides", "dilations"};
    int64_t *to[] = {w->kernel, w->stride, w->gap};
    fw_onnx_ilist list;
    for (uint32_t n = 0; n < 3; n++) {
        to[n][0] = to[n][1] = 1;
        FW_TRY(fw_onnx_ints_of(node, names[n], NULL, &list, error));
        if (list.count == 0 && n == 0) to[n][0] = to[n][1] = 0;
        if (list.count == 0) continue;
        if (list.count != w->dims) FW_ONNX_REFUSE("its %s are not %u", names[n], w->dims);
        for (uint32_t i = 0; i < w->dims; i++) {
            if (list.at[i] < 1 || list.at[i] > 1 << 20) FW_ONNX_REFUSE("its %s are out of range", names[n]);
            to[n][2 - w->dims + i] = list.at[i];
        }
    }
    w->before[0] = w->before[1] = w->after[0] = w->after[1] = 0;
    FW_TRY(fw_onnx_ints_of(node, "pads", NULL, &list, error));
    if (list.count != 0 && list.count != 2 * w->dims) FW_ONNX_REFUSE("its pads are not %u", 2 * w->dims);
    for (uint32_t i = 0; i < list.count; i++) {
        if (list.at[i] < 0 || list.at[i] > 1 << 20) FW_ONNX_REFUSE("its pads are out of range");
        (i < w->dims ? w->before : w->after)[2 - w->dims + i % w->dims] = list.at[i];
    }
    return FW_OK;
}

/* auto_pad; then the positions along each dimension, and the padding behind that they reach. */
static fw_status window_of(fw_onnx_proto *node, window *w, bool up, fw_error *error) {
    const Onnx__AttributeProto *a = fw_onnx_attribute(node, "auto_pad");
    size_t size = a && a->has_s ? a->s.len : 0;
    const char *how = size ? (const char *)a->s.data : "";
    bool upper = size == 10 && memcmp(how, "SAME_UPPER", 10) == 0;
    bool lower = size == 10 && memcmp(how, "SAME_LOWER", 10) == 0;
    bool valid = size == 5 && memcmp(how, "VALID", 5) == 0;
    if (size && !upper && !lower && !valid && !(size == 6 && memcmp(how, "NOTSET", 6) == 0))
        FW_ONNX_REFUSE("its auto_pad is none that is known");
    for (int i = 0; i < 2; i++) {
        int64_t span = (w->kernel[i] - 1) * w->gap[i] + 1;
        if (valid) w->before[i] = w->after[i] = 0;
        if (upper || lower) {
            int64_t places = (w->size[i] + w->stride[i] - 1) / w->stride[i];
            int64_t pad = (places - 1) * w->stride[i] + span - w->size[i];
            if (pad < 0) pad = 0;
            w->before[i] = lower ? pad - pad / 2 : pad / 2;
            w->after[i] = pad - w->before[i];
        }
        int64_t room = w->size[i] + w->before[i] + w->after[i] - span;
        if (room < 0) FW_ONNX_REFUSE("its window is larger than the image");
        w->out[i] = (room + (up ? w->stride[i] - 1 : 0)) / w->stride[i] + 1;
        if (!up) continue;
        /* A window that begins behind the image and its padding in front does not count. */
        if ((w->out[i] - 1) * w->stride[i] >= w->size[i] + w->before[i]) w->out[i]--;
        w->after[i] = (w->out[i] - 1) * w->stride[i] + span - w->size[i] - w->before[i];
        if (w->after[i] < w->before[i]) w->after[i] = w->before[i];
    }
    return FW_OK;
}

/* ---- convolutions ---- */

/* The kernel with zeros where it has gaps, and where one side is padded more. */
static fw_status spaced(fw_onnx_reader *r, const float *from, int64_t planes, window *w,
                        const float **out, int64_t wide[2], fw_error *error) {
    int64_t front[2];
    for (int i = 0; i < 2; i++) {
        int64_t pad = w->before[i] > w->after[i] ? w->before[i] : w->after[i];
        front[i] = pad - w->before[i];
        wide[i] = front[i] + (w->kernel[i] - 1) * w->gap[i] + 1 + pad - w->after[i];
        w->before[i] = w->after[i] = pad;
    }
    *out = from;
    if (wide[0] == w->kernel[0] && wide[1] == w->kernel[1]) return FW_OK;
    if (wide[0] > 4096 || wide[1] > 4096 || planes * wide[0] * wide[1] > FW_NN_ELEMENTS_MAX)
        FW_ONNX_REFUSE("its window is too large once its gaps are filled");
    float *to = fw_onnx_room(r, (size_t)(planes * wide[0] * wide[1]), error);
    if (!to) return FW_NO_MEMORY;
    for (int64_t p = 0; p < planes; p++)
        for (int64_t y = 0; y < w->kernel[0]; y++)
            for (int64_t x = 0; x < w->kernel[1]; x++)
                to[(p * wide[0] + front[0] + y * w->gap[0]) * wide[1] + front[1] + x * w->gap[1]] =
                    from[(p * w->kernel[0] + y) * w->kernel[1] + x];
    *out = to;
    return FW_OK;
}

static fw_status convolve(fw_onnx_reader *r, fw_nn_value x, const float *kernel, const char *name,
                          int64_t channels, int64_t inner, int64_t groups, window *w, fw_nn_value bias,
                          fw_nn_value *out, fw_error *error) {
    int64_t wide[2];
    fw_nn_value in[3] = {x, FW_NN_NONE, bias};
    FW_TRY(spaced(r, kernel, channels * inner, w, &kernel, wide, error));
    if (w->before[0] >= wide[0] || w->before[1] >= wide[1]) FW_ONNX_REFUSE("it is padded by more than its window");
    FW_TRY(fw_onnx_parameter(r, name, fw_nn_shape4((uint32_t)channels, (uint32_t)inner, (uint32_t)wide[0], (uint32_t)wide[1]),
                             kernel, &in[1], error));
    fw_nn_attr attr = {.i = {(int32_t)w->stride[0], (int32_t)w->stride[1], (int32_t)w->before[0],
                             (int32_t)w->before[1], (int32_t)groups}};
    return fw_onnx_add(r, FW_NN_CONV, in, bias == FW_NN_NONE ? 2 : 3, attr, out, error);
}

FW_ONNX_READ(conv) {
    fw_onnx_tensor t;
    window w;
    const fw_onnx_constant *weight, *c;
    const float *kernel, *data;
    fw_nn_value bias = FW_NN_NONE, y;
    int64_t groups = fw_onnx_int_of(node, "group", 1);
    FW_TRY(image_of(r, node, &t, &w, error));
    FW_TRY(lists_of(node, &w, error));
    FW_TRY(fw_onnx_want_constant(r, node, 1, &weight, error));
    if (weight->rank != t.rank) FW_ONNX_REFUSE("its weight has %u axes, its image %u", weight->rank, t.rank);
    int64_t own[2] = {w.dims == 2 ? weight->dims[2] : 1, weight->dims[weight->rank - 1]};
    size_t count = (size_t)weight->dims[0] * (size_t)weight->dims[1];
    for (int i = 0; i < 2; i++) {
        if (w.kernel[i] == 0) w.kernel[i] = own[i];
        if (w.kernel[i] != own[i] || own[i] < 1 || own[i] > 1 << 20)
            return fw_fail(error, FW_CORRUPT, "its kernel_shape is not its weight's");
        count *= (size_t)own[i];
    }
    if (groups < 1 || groups > 1 << 20) FW_ONNX_REFUSE("%lld groups", (long long)groups);
    FW_TRY(fw_onnx_floats_in(r, weight, count, &kernel, error));
    FW_TRY(window_of(node, &w, false, error));
    if (*fw_onnx_name_in(node, 2)) {
        FW_TRY(fw_onnx_want_constant(r, node, 2, &c, error));
        FW_TRY(fw_onnx_floats_in(r, c, (size_t)weight->dims[0], &data, error));
        FW_TRY(fw_onnx_parameter(r, node->input[2], fw_nn_shape1((uint32_t)weight->dims[0]), data, &bias, error));
    }
    FW_TRY(convolve(r, t.value, kernel, node->input[1], weight->dims[0], weight->dims[1], groups, &w, bias, &y, error));
    return image_back(r, node, &t, y, error);
}

/* ---- pools ---- */

/* The edge of an image dimension repeated, as often as one side is padded more than the other. */
static fw_status repeat_edge(fw_onnx_reader *r, fw_nn_value *x, int dim, window *w, fw_error *error) {
    int64_t more = w->after[dim] - w->before[dim], times = more < 0 ? -more : more;
    fw_nn_shape shape = fw_onnx_shape(r, *x);
    fw_nn_value edge, in[8];
    fw_nn_attr cut = {.i = {1 + dim, more > 0 ? (int32_t)shape.d[1 + dim] - 1 : 0, 1}};
    if (times == 0) return FW_OK;
    if (times > 64) FW_ONNX_REFUSE("its padding differs by over 64");
    FW_TRY(fw_onnx_add(r, FW_NN_SLICE, x, 1, cut, &edge, error));
    while (times > 0) {
        uint32_t count = 0;
        if (more > 0) in[count++] = *x;
        for (; times > 0 && count < 7; times--) in[count++] = edge;
        if (more < 0) in[count++] = *x;
        FW_TRY(fw_onnx_add(r, FW_NN_CONCAT, in, count, (fw_nn_attr){.i = {1 + dim}}, x, error));
    }
    if (more < 0) w->before[dim] = w->after[dim];
    w->after[dim] = w->before[dim];
    return FW_OK;
}

static fw_status pooled(fw_onnx_reader *r, fw_nn_op op, fw_nn_value x, const window *w, fw_nn_value *out,
                        fw_error *error) {
    fw_nn_attr attr = {.i = {(int32_t)w->kernel[0], (int32_t)w->kernel[1], (int32_t)w->stride[0],
                             (int32_t)w->stride[1], (int32_t)w->before[0], (int32_t)w->before[1]}};
    if (w->before[0] >= w->kernel[0] || w->before[1] >= w->kernel[1])
        FW_ONNX_REFUSE("it is padded by more than its window");
    return fw_onnx_add(r, op, &x, 1, attr, out, error);
}

static bool even(const window *w) {
    return w->before[0] == w->after[0] && w->before[1] == w->after[1];
}

FW_ONNX_READ(max_pool) {
    fw_onnx_tensor t;
    window w;
    fw_nn_value y;
    FW_TRY(image_of(r, node, &t, &w, error));
    FW_TRY(lists_of(node, &w, error));
    for (int i = 0; i < 2; i++) {
        if (w.gap[i] != 1) FW_ONNX_REFUSE("its window has gaps");
        if (w.kernel[i] == 0) w.kernel[i] = 1;
    }
    if (node->n_output > 1 && *node->output[1]) FW_ONNX_REFUSE("its indices are not read");
    FW_TRY(window_of(node, &w, fw_onnx_int_of(node, "ceil_mode", 0) != 0, error));
    for (int i = 0; i < 2; i++) FW_TRY(repeat_edge(r, &t.value, i, &w, error));
    FW_TRY(pooled(r, FW_NN_MAX_POOL, t.value, &w, &y, error));
    return image_back(r, node, &t, y, error);
}

/* 1 over how many numbers the window at each place counts: those inside, or with the padding too. */
static fw_status shares(fw_onnx_reader *r, const window *w, const int64_t pads_after[2], bool padding,
                        fw_nn_value *out, fw_error *error) {
    float *data = fw_onnx_room(r, (size_t)(w->out[0] * w->out[1]), error);
    if (!data) return FW_NO_MEMORY;
    for (int64_t y = 0; y < w->out[0]; y++)
        for (int64_t x = 0; x < w->out[1]; x++) {
            int64_t at[2] = {y, x}, count = 1;
            for (int i = 0; i < 2; i++) {
                int64_t low = at[i] * w->stride[i] - w->before[i], high = low + w->kernel[i];
                int64_t first = padding ? -w->before[i] : 0;
                int64_t last = w->size[i] + (padding ? pads_after[i] : 0);
                count *= (high < last ? high : last) - (low > first ? low : first);
            }
            data[y * w->out[1] + x] = 1 / (float)(count > 0 ? count : 1);
        }
    return fw_onnx_parameter(r, "shares", fw_nn_shape2((uint32_t)w->out[0], (uint32_t)w->out[1]), data, out, error);
}

static fw_status mean_by_ones(fw_onnx_reader *r, fw_nn_value x, window *w, const int64_t pads_after[2],
                              bool padding, fw_nn_value *out, fw_error *error) {
    uint32_t channels = fw_onnx_shape(r, x).d[0];
    size_t count = (size_t)channels * (size_t)(w->kernel[0] * w->kernel[1]);
    fw_nn_value in[2];
    float *ones = fw_onnx_room(r, count, error);
    if (!ones) return FW_NO_MEMORY;
    for (size_t i = 0; i < count; i++) ones[i] = 1;
    FW_TRY(shares(r, w, pads_after, padding, &in[1], error));
    FW_TRY(convolve(r, x, ones, "ones", channels, 1, channels, w, FW_NN_NONE, &in[0], error));
    return fw_onnx_add(r, FW_NN_MULTIPLY, in, 2, (fw_nn_attr){0}, out, error);
}

FW_ONNX_READ(average_pool) {
    fw_onnx_tensor t;
    window w;
    fw_nn_value y;
    bool padding = fw_onnx_int_of(node, "count_include_pad", 0) != 0;
    FW_TRY(image_of(r, node, &t, &w, error));
    FW_TRY(lists_of(node, &w, error));
    for (int i = 0; i < 2; i++) {
        if (w.gap[i] != 1) FW_ONNX_REFUSE("its window has gaps");
        if (w.kernel[i] == 0) w.kernel[i] = 1;
    }
    int64_t pads_after[2] = {w.after[0], w.after[1]};
    FW_TRY(window_of(node, &w, fw_onnx_int_of(node, "ceil_mode", 0) != 0, error));
    bool none = w.before[0] + w.before[1] + w.after[0] + w.after[1] == 0;
    bool same = fw_onnx_attribute(node, "auto_pad") && !fw_onnx_attribute(node, "pads");
    if (same) pads_after[0] = w.after[0], pads_after[1] = w.after[1];
    if (none || (!padding && even(&w))) FW_TRY(pooled(r, FW_NN_MEAN_POOL, t.value, &w, &y, error));
    else FW_TRY(mean_by_ones(r, t.value, &w, pads_after, padding, &y, error));
    return image_back(r, node, &t, y, error);
}

FW_ONNX_READ(global_pool) {
    fw_onnx_tensor t;
    window w;
    fw_nn_value y;
    FW_TRY(image_of(r, node, &t, &w, error));
    for (int i = 0; i < 2; i++) {
        w.kernel[i] = w.size[i];
        w.stride[i] = 1;
        w.before[i] = w.after[i] = 0;
    }
    fw_nn_op op = fw_onnx_is(node, "GlobalMaxPool") ? FW_NN_MAX_POOL : FW_NN_MEAN_POOL;
    FW_TRY(pooled(r, op, t.value, &w, &y, error));
    return image_back(r, node, &t, y, error);
}

/* Zeros around an image: a convolution of each channel with a kernel of one 1. */
FW_ONNX_READ(pad) {
    fw_onnx_tensor t;
    window w = {0};
    fw_onnx_ilist pads;
    const fw_onnx_constant *by = NULL;
    const Onnx__AttributeProto *mode = fw_onnx_attribute(node, "mode");
    double fill = 0;
    int64_t one[2] = {0, 0};
    fw_nn_value y;
    FW_TRY(fw_onnx_want(r, node, 0, &t, error));
    if (*fw_onnx_name_in(node, 1)) FW_TRY(fw_onnx_want_constant(r, node, 1, &by, error));
    FW_TRY(fw_onnx_ints_of(node, "pads", by, &pads, error));
    bool none = pads.count == 2 * t.rank;
    for (size_t i = 0; i < pads.count; i++) none &= pads.at[i] == 0;
    if (none) return fw_onnx_give(r, node, 0, &t, error);
    FW_TRY(image_of(r, node, &t, &w, error));
    if ((mode && mode->has_s && mode->s.len && (mode->s.len != 8 || memcmp(mode->s.data, "constant", 8) != 0)) ||
        (*fw_onnx_name_in(node, 2) && !fw_onnx_number_of(r, node, 2, &fill)) || fill != 0 || *fw_onnx_name_in(node, 3))
        FW_ONNX_REFUSE("it pads with something else than zeros");
    if (pads.count != 2 * t.rank || pads.at[0] || pads.at[1] || pads.at[t.rank] || pads.at[t.rank + 1])
        FW_ONNX_REFUSE("it pads more than the image's sides");
    for (int i = 0; i < 2; i++) w.kernel[i] = w.stride[i] = w.gap[i] = 1;
    for (uint32_t i = 0; i < w.dims; i++) {
        int64_t before = pads.at[2 + i], after = pads.at[t.rank + 2 + i];
        if (before < 0 || after < 0 || before > 1024 || after > 1024) FW_ONNX_REFUSE("its pads are out of range");
        one[2 - w.dims + i] = after;
        w.kernel[2 - w.dims + i] = before + after + 1;
        w.before[2 - w.dims + i] = w.after[2 - w.dims + i] = before + after;
    }
    uint32_t channels = fw_onnx_shape(r, t.value).d[0];
    size_t each = (size_t)(w.kernel[0] * w.kernel[1]);
    float *kernel = fw_onnx_room(r, channels * each, error);
    if (!kernel) return FW_NO_MEMORY;
    for (uint32_t i = 0; i < channels; i++) kernel[i * each + (size_t)(one[0] * w.kernel[1] + one[1])] = 1;
    FW_TRY(convolve(r, t.value, kernel, "pad", channels, 1, channels, &w, FW_NN_NONE, &y, error));
    return image_back(r, node, &t, y, error);
}

/* ---- batch normalisation ---- */

/* x factor + offset by channels: into the convolution before, or as one of 1 x 1. */
static fw_status by_channel(fw_onnx_reader *r, fw_nn_value x, const float *factor, float *offset,
                            const char *name, fw_nn_value *out, fw_error *error) {
    const fw_nn_node *before = fw_onnx_maker(r, x);
    fw_nn_shape shape = fw_onnx_shape(r, x), kernel = fw_nn_shape4(shape.d[0], 1, 1, 1);
    fw_nn_value in[3] = {x};
    fw_nn_attr attr = {.i = {1, 1, 0, 0, (int32_t)shape.d[0]}};
    const float *from = NULL;
    if (before && before->op == FW_NN_CONV) {
        attr = before->attr;
        in[0] = before->inputs[0];
        kernel = fw_onnx_shape(r, before->inputs[1]);
        from = r->data[before->inputs[1]];
        name = r->names[before->inputs[1]];
        for (uint32_t c = 0; before->input_count > 2 && c < shape.d[0]; c++)
            offset[c] += factor[c] * r->data[before->inputs[2]][c];
    }
    size_t count = fw_nn_elements(kernel), each = count / shape.d[0];
    float *weights = fw_onnx_room(r, count, error);
    if (!weights) return FW_NO_MEMORY;
    for (size_t i = 0; i < count; i++) weights[i] = factor[i / each] * (from ? from[i] : 1);
    FW_TRY(fw_onnx_parameter(r, name, kernel, weights, &in[1], error));
    FW_TRY(fw_onnx_parameter(r, fw_onnx_name_in(r->node, 2), fw_nn_shape1(shape.d[0]), offset, &in[2], error));
    return fw_onnx_add(r, FW_NN_CONV, in, 3, attr, out, error);
}

FW_ONNX_READ(batch_norm) {
    fw_onnx_tensor t;
    const fw_onnx_constant *c;
    const float *data[4];
    int64_t dims[FW_ONNX_RANK_MAX];
    fw_nn_value y;
    FW_TRY(fw_onnx_want(r, node, 0, &t, error));
    if (fw_onnx_int_of(node, "training_mode", 0)) FW_ONNX_REFUSE("it is in training");
    fw_onnx_dims(&t, dims);
    uint32_t batch = fw_onnx_batch_axis(&t);
    if (t.rank < 2 || t.rank > 4 || (batch != 0 && batch != t.rank) || fw_onnx_own(&t, 0) != 1 || fw_onnx_copied(&t))
        FW_ONNX_REFUSE("it takes (N, C), (N, C, L) or (N, C, H, W)");
    size_t channels = (size_t)dims[1];
    for (size_t i = 0; i < 4; i++) {
        FW_TRY(fw_onnx_want_constant(r, node, 1 + i, &c, error));
        FW_TRY(fw_onnx_floats_in(r, c, channels, &data[i], error));
    }
    float *factor = fw_onnx_room(r, channels, error), *offset = fw_onnx_room(r, channels, error);
    if (!factor || !offset) return FW_NO_MEMORY;
    double epsilon = (double)fw_onnx_float_of(node, "epsilon", 1e-5f);
    for (size_t i = 0; i < channels; i++) {
        double f = (double)data[0][i] / __builtin_sqrt((double)data[3][i] + epsilon);
        factor[i] = (float)f;
        offset[i] = (float)((double)data[1][i] - f * (double)data[2][i]);
    }
    fw_nn_shape image = fw_nn_shape3((uint32_t)dims[1], t.rank > 3 ? (uint32_t)dims[2] : 1,
                                     t.rank > 2 ? (uint32_t)dims[t.rank - 1] : 1);
    FW_TRY(fw_onnx_reshape(r, t.value, image, &t.value, error));
    FW_TRY(by_channel(r, t.value, factor, offset, node->input[1], &y, error));
    fw_nn_shape natural;
    t.value = y;
    FW_TRY(fw_onnx_natural(&t, &natural, error));
    FW_TRY(fw_onnx_shaped(r, &t, natural, &t.value, error));
    return fw_onnx_give(r, node, 0, &t, error);
}
