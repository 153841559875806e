/* int8.c - the backend: which nodes, their weights packed once, and a run of a linear layer or a
 * convolution. A linear layer is a convolution of one pixel: packing does not tell them apart. */
#include "nn/run/cpu/int8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/run/cpu/fast.h"
#include "nn/run/cpu/int8_parts.h"

enum {
    DEPTH_MAX = 1 << 17, /* of a sum: 127 * 127 * 2^17 < 2^31 */
    QUAD = 4,
    LINE = FW_NN_ALIGN_BYTES
};
#define IMAGE_BYTES_MAX ((size_t)1 << 31)
#define RANGE_LEAST 1e-30f

/* What is known when the plan is made; read by packing and by every session. */
typedef struct layer {
    const fw_int8_variant *variant;
    float inverse, step; /* 127 / range, range / 127 */
    size_t groups, outs, channels; /* outs and channels of a group */
    size_t kernel_y, kernel_x, blocks, quads;
    size_t high, wide; /* of the padded image */
    size_t pad_y, pad_x, in_high, in_wide;
    size_t pixels;
    uint32_t *places;  /* (quads) of a patch, from its corner */
    uint32_t *corners; /* (pixels) of a convolution, from the group's start */
} layer;

static size_t up_to(size_t value, size_t to) {
    return (value + to - 1) / to * to;
}
static size_t outs8(const layer *l) {
    return up_to(l->outs, FW_INT8_HALF);
}

/* ---- packed weights: of each group scales, biases, totals, panels ---- */

typedef struct group {
    float *scale, *bias;
    int32_t *totals;
    int8_t *panels;
} group;

static size_t list_bytes(const layer *l) {
    return up_to(outs8(l) * sizeof(float), LINE);
}
static size_t group_bytes(const layer *l) {
    return 3 * list_bytes(l) + up_to(outs8(l) * l->quads * QUAD, LINE);
}

static group group_at(const layer *l, const void *packed, size_t g) {
    uint8_t *at = (uint8_t *)(uintptr_t)packed + g * group_bytes(l);
    size_t list = list_bytes(l);
    return (group){(void *)at, (void *)(at + list), (void *)(at + 2 * list), (void *)(at + 3 * list)};
}

/* Where weight (output o, quad q, byte b) lies in its panel. */
static size_t place_of(const layer *l, size_t o, size_t q, size_t b) {
    size_t first = o / FW_INT8_PANEL * FW_INT8_PANEL;
    size_t width = outs8(l) - first < FW_INT8_PANEL ? FW_INT8_HALF : FW_INT8_PANEL;
    return (first * l->quads + q * width + o - first) * QUAD + b;
}

/* One output's weights w (channels, kernel_y, kernel_x). */
static void pack_output(const layer *l, const float *w, size_t o, group *to) {
    size_t taps = l->kernel_y * l->kernel_x;
    float most = 0, inverse;
    for (size_t i = 0; i < l->channels * taps; i++) most = fmaxf(most, fabsf(w[i]));
    inverse = most > RANGE_LEAST ? 127.0f / most : 0;
    to->scale[o] = most > RANGE_LEAST ? l->step * (most / 127.0f) : 0;
    to->totals[o] = 0;
    for (size_t c = 0; c < l->channels; c++)
        for (size_t t = 0; t < taps; t++) {
            float q = rintf(w[c * taps + t] * inverse);
            int8_t byte = (int8_t)(q < 127 ? q > -127 ? q : -127 : 127);
            to->panels[place_of(l, o, c / QUAD * taps + t, c % QUAD)] = byte;
            to->totals[o] += byte;
        }
}

static void pack(const fw_nn_call *call, void *packed) {
    const layer *l = call->prepared;
    const float *w = fw_nn_in(call, 1), *b = call->input_count > 2 ? fw_nn_in(call, 2) : NULL;
    size_t depth = l->channels * l->kernel_y * l->kernel_x;
    memset(packed, 0, l->groups * group_bytes(l));
    for (size_t g = 0; g < l->groups; g++) {
        group to = group_at(l, packed, g);
        for (size_t o = 0; o < l->outs; o++) {
            size_t n = g * l->outs + o;
            pack_output(l, w + n * depth, o, &to);
            to.bias[o] = b ? b[n] : 0;
        }
    }
}

/* ---- running ---- */

static void fill_nan(float *y, size_t count) {
    for (size_t i = 0; i < count; i++) y[i] = NAN;
}

/* Scratch: the rows' or the image's bytes, then sums. */
static size_t row_bytes(const layer *l) {
    return l->quads * QUAD;
}

/* y (count, outs) of x (count, channels), count <= FW_INT8_ROWS. */
static void linear_rows(const fw_nn_call *call, const float *x, size_t count, float *y) {
    const layer *l = call->prepared;
    const group w = group_at(l, call->packed, 0);
    int8_t *bytes = call->scratch;
    fw_int8_product p = {.count = count, .places = l->places, .quads = l->quads, .panels = w.panels,
                         .totals = w.totals, .outs = outs8(l), .stride = outs8(l)};
    p.sums = (int32_t *)(void *)(bytes + up_to(FW_INT8_ROWS * row_bytes(l), LINE));
    uint32_t flags[FW_INT8_ROWS];
    for (size_t r = 0; r < count; r++) {
        int8_t *row = bytes + r * row_bytes(l);
        p.rows[r] = row;
        flags[r] = fw_int8_quantise(x + r * l->channels, l->channels, l->inverse, row);
        memset(row + l->channels, 0, row_bytes(l) - l->channels);
        p.negative |= (flags[r] & FW_INT8_NEGATIVE) != 0;
    }
    l->variant->multiply(&p);
    for (size_t r = 0; r < count; r++) {
        fw_int8_finish(p.sums + r * p.stride, w.scale, w.bias, l->outs, call->fused == FW_NN_RELU,
                       y + r * l->outs);
        if (flags[r] & FW_INT8_NAN) fill_nan(y + r * l->outs, l->outs);
    }
}

static void linear(const fw_nn_call *call) {
    const layer *l = call->prepared;
    size_t rows = fw_nn_total(call, &call->in[0]) / l->channels;
    const float *x = fw_nn_in(call, 0), *with = call->with.data;
    float *y = fw_nn_out(call, 0);
    for (size_t r = 0; r < rows; r += FW_INT8_ROWS) {
        size_t count = rows - r < FW_INT8_ROWS ? rows - r : FW_INT8_ROWS;
        linear_rows(call, x + r * l->channels, count, y + r * l->outs);
        fw_int8_activate(call->fused, y + r * l->outs, with ? with + r * l->outs : NULL,
                         count * l->outs);
    }
}

static size_t block_bytes(const layer *l) {
    return l->high * l->wide * QUAD;
}

/* One block of four channels of x (its first channel), `count` of which exist. */
static uint32_t image_block(const layer *l, const float *x, size_t count, int8_t *out) {
    size_t plane = l->in_high * l->in_wide;
    uint32_t flags = 0;
    if (l->pad_y || l->pad_x) memset(out, 0, block_bytes(l));
    for (size_t y = 0; y < l->in_high; y++) {
        const float *rows[QUAD], *row = x + y * l->in_wide;
        float inverse[QUAD];
        for (size_t c = 0; c < QUAD; c++) { /* what lacks is another channel times zero */
            rows[c] = row + (c < count ? c : 0) * plane;
            inverse[c] = c < count ? l->inverse : 0;
        }
        flags |= fw_int8_quantise4(rows, inverse, l->in_wide,
                                   out + ((y + l->pad_y) * l->wide + l->pad_x) * QUAD);
    }
    return flags;
}

static uint32_t image_of(const layer *l, const float *x, int8_t *out) {
    uint32_t flags = 0;
    for (size_t g = 0; g < l->groups; g++)
        for (size_t c = 0; c < l->channels; c += QUAD, out += block_bytes(l)) {
            size_t count = l->channels - c < QUAD ? l->channels - c : QUAD;
            flags |= image_block(l, x + (g * l->channels + c) * l->in_high * l->in_wide, count, out);
        }
    return flags;
}

/* One panel of a group's outputs at all pixels. */
static void convolve_panel(const fw_nn_call *call, const int8_t *image, bool negative, size_t g,
                           size_t o, int32_t *sums, float *y) {
    const layer *l = call->prepared;
    const group w = group_at(l, call->packed, g);
    size_t left = outs8(l) - o, wide = l->outs - o;
    fw_int8_product p = {.places = l->places, .quads = l->quads, .negative = negative,
                         .panels = w.panels + o * l->quads * QUAD, .totals = w.totals + o,
                         .outs = left < FW_INT8_PANEL ? FW_INT8_HALF : FW_INT8_PANEL,
                         .sums = sums, .stride = FW_INT8_PANEL};
    if (wide > p.outs) wide = p.outs;
    for (size_t at = 0; at < l->pixels; at += p.count) {
        p.count = l->pixels - at < FW_INT8_ROWS ? l->pixels - at : FW_INT8_ROWS;
        for (size_t i = 0; i < p.count; i++) p.rows[i] = image + l->corners[at + i];
        l->variant->multiply(&p);
        fw_int8_finish_turned(sums, w.scale + o, w.bias + o, p.count, wide,
                              call->fused == FW_NN_RELU, y + o * l->pixels + at, l->pixels);
    }
}

static void conv(const fw_nn_call *call) {
    const layer *l = call->prepared;
    size_t each = l->groups * l->outs * l->pixels, group_image = l->blocks * block_bytes(l);
    size_t inputs = l->groups * l->channels * l->in_high * l->in_wide;
    int8_t *image = call->scratch;
    int32_t *sums = (int32_t *)(void *)(image + up_to(l->groups * group_image, LINE));
    const float *with = call->with.data;
    for (size_t n = 0; n < fw_nn_arrays(call, &call->in[0]); n++) {
        float *y = fw_nn_out(call, 0) + n * each;
        uint32_t flags = image_of(l, fw_nn_in(call, 0) + n * inputs, image);
        for (size_t g = 0; g < l->groups; g++)
            for (size_t o = 0; o < l->outs; o += FW_INT8_PANEL)
                convolve_panel(call, image + g * group_image, flags & FW_INT8_NEGATIVE, g, o, sums,
                               y + g * l->outs * l->pixels);
        if (flags & FW_INT8_NAN) fill_nan(y, each);
        fw_int8_activate(call->fused, y, with ? with + n * each : NULL, each);
    }
}

/* ---- choosing ---- */

static void release(void *prepared) {
    layer *l = prepared;
    free(l->places);
    free(l->corners);
    free(l);
}

static layer shape_of(const fw_nn_call *call, bool linear_layer) {
    fw_nn_shape x = call->in[0].shape, w = call->in[1].shape, y = call->out[0].shape;
    const int32_t *a = call->attr->i;
    layer l = {.variant = fw_int8_best(), .inverse = 127.0f / call->in[0].range,
               .step = call->in[0].range / 127.0f, .groups = 1, .outs = w.d[0], .channels = w.d[1],
               .kernel_y = 1, .kernel_x = 1, .high = 1, .wide = 1, .pixels = 1};
    if (!linear_layer) {
        l.groups = (size_t)a[4];
        l.outs = w.d[0] / l.groups;
        l.kernel_y = w.d[2], l.kernel_x = w.d[3];
        l.pad_y = (size_t)a[2], l.pad_x = (size_t)a[3];
        l.in_high = x.d[1], l.in_wide = x.d[2];
        l.high = l.in_high + 2 * l.pad_y, l.wide = l.in_wide + 2 * l.pad_x;
        l.pixels = (size_t)y.d[1] * y.d[2];
    }
    l.blocks = (l.channels + QUAD - 1) / QUAD;
    l.quads = l.blocks * l.kernel_y * l.kernel_x;
    return l;
}

static void fill_tables(layer *l, const fw_nn_call *call) {
    uint32_t *at = l->places;
    for (size_t b = 0; b < l->blocks; b++)
        for (size_t ky = 0; ky < l->kernel_y; ky++)
            for (size_t kx = 0; kx < l->kernel_x; kx++)
                *at++ = (uint32_t)(b * block_bytes(l) + (ky * l->wide + kx) * QUAD);
    if (!l->corners) return;
    size_t wide = call->out[0].shape.d[2];
    const int32_t *stride = call->attr->i;
    for (size_t i = 0; i < l->pixels; i++)
        l->corners[i] = (uint32_t)((i / wide * (size_t)stride[0] * l->wide +
                                    i % wide * (size_t)stride[1]) * QUAD);
}

bool fw_nn_int8_reads(const fw_nn_node *node) {
    return node->op == FW_NN_LINEAR || node->op == FW_NN_CONV;
}

static bool takes(const fw_nn_node *node, const fw_nn_call *call) {
    const fw_nn_view *x = &call->in[0], *y = &call->out[0];
    if (!fw_nn_int8_reads(node) || !fw_int8_activates(call->fused) || call->training) return false;
    if (x->dtype != FW_NN_F32 || !isfinite(x->range) || x->range < RANGE_LEAST) return false;
    for (uint32_t i = 1; i < call->input_count; i++)
        if (!call->in[i].packable) return false;
    return call->fused != FW_NN_ADD || (call->with.batched == y->batched &&
                                        fw_nn_shape_equal(call->with.shape, y->shape));
}

static fw_status choose(const fw_nn_node *node, const fw_nn_call *call, fw_nn_choice *out,
                        fw_error *error) {
    bool linear_layer = node->op == FW_NN_LINEAR;
    if (!takes(node, call)) return FW_OK;
    layer l = shape_of(call, linear_layer);
    size_t image = l.groups * l.blocks * block_bytes(&l);
    if (l.quads * QUAD > DEPTH_MAX || image > IMAGE_BYTES_MAX) return FW_OK;
    layer *kept = malloc(sizeof *kept);
    l.places = calloc(l.quads, sizeof *l.places);
    if (!linear_layer) l.corners = calloc(l.pixels, sizeof *l.corners);
    if (!kept || !l.places || (!linear_layer && !l.corners)) {
        free(kept), free(l.places), free(l.corners);
        return fw_fail(error, FW_NO_MEMORY, "node %s: no memory to plan it in int8", node->name);
    }
    fill_tables(&l, call);
    *kept = l;
    size_t bytes = linear_layer ? FW_INT8_ROWS * row_bytes(&l) : image;
    size_t sums = FW_INT8_ROWS * (linear_layer ? outs8(&l) : FW_INT8_PANEL) * sizeof(int32_t);
    *out = (fw_nn_choice){.kernel = linear_layer ? linear : conv,
                          .scratch_bytes = up_to(bytes, LINE) + sums,
                          .packed_bytes = l.groups * group_bytes(&l), .pack = pack,
                          .prepared = kept, .release = release};
    return FW_OK;
}

const char *fw_nn_int8_variant(void) {
    return fw_int8_best()->name;
}

const fw_nn_backend fw_nn_backend_int8 = {.name = "int8", .choose = choose};
const fw_nn_backend *const fw_nn_backends_int8[] = {&fw_nn_backend_int8, &fw_nn_backend_fast, NULL};
