#include "nn/run/cpu/winograd.h"

#include <string.h>

#include "nn/run/cpu/vector.h"

enum { POINTS = FW_WINOGRAD_POINTS, LANES = FW_WINOGRAD_LANES, OUTS = FW_WINOGRAD_OUTS };

/* ---- the shape ---- */

static size_t taps_of(size_t kernel, size_t stride, size_t phase) {
    return kernel > phase ? (kernel - phase + stride - 1) / stride : 0;
}

/* One axis: two or three taps in the first sequence, at least one in the others. */
static bool axis_fits(size_t kernel, size_t stride) {
    if (stride < 1 || stride > 2) return false;
    size_t first = taps_of(kernel, stride, 0);
    return first >= 2 && first <= 3;
}

/* The last point serves the third tap's second output: a lone output does without. */
static size_t points_of(size_t kernel, size_t stride, size_t phase, size_t outputs) {
    return taps_of(kernel, stride, phase) == 3 && outputs > 1 ? 4 : 3;
}

static void list_phases(fw_winograd *w) {
    const fw_conv *c = &w->conv;
    for (size_t y = 0; y < c->stride_y; y++)
        for (size_t x = 0; x < c->stride_x; x++) {
            fw_winograd_phase *p = &w->phases[w->phase_count++];
            *p = (fw_winograd_phase){.y = y, .x = x,
                                     .points_y = points_of(c->kernel_y, c->stride_y, y, c->out_high),
                                     .points_x = points_of(c->kernel_x, c->stride_x, x, c->out_wide)};
            for (size_t i = 0; i < p->points_y; i++)
                for (size_t j = 0; j < p->points_x; j++) p->slot[4 * i + j] = w->sharing[4 * i + j]++;
        }
    for (size_t i = 0; i < POINTS; i++) {
        w->first[i] = w->depth;
        w->depth += w->sharing[i] * c->channels;
    }
}

/* Tiles in their flat order, the last of each row's pitch in between. */
static size_t flat_tiles(const fw_winograd *w) {
    return (w->tiles_y - 1) * w->pitch + w->tiles_x;
}

/* Multiply-adds, and what forming inputs and outputs costs, against a matrix product's. */
static bool gains(const fw_winograd *w) {
    const fw_conv *c = &w->conv;
    size_t lanes = (flat_tiles(w) + 7) / 8 * 8;
    double own = (double)lanes * (double)(w->depth * w->outs + w->depth * 8 + w->outs * 96);
    double product = (double)((c->out_high * c->out_wide + 15) / 16 * 16) * (double)(w->outs * c->depth);
    return own < 1.2 * product;
}

bool fw_winograd_of(const fw_conv *c, fw_winograd *out) {
    if (c->groups != 1 || !axis_fits(c->kernel_y, c->stride_y) || !axis_fits(c->kernel_x, c->stride_x))
        return false;
    fw_winograd w = {.conv = *c, .split_y = 2 * c->stride_y, .split_x = 2 * c->stride_x,
                     .tiles_y = (c->out_high + 1) / 2, .tiles_x = (c->out_wide + 1) / 2,
                     .pitch = (c->out_wide + 1) / 2 + 1,
                     .outs = (c->out_channels + OUTS - 1) / OUTS * OUTS};
    list_phases(&w);
    if (!gains(&w)) return false;
    *out = w;
    return true;
}

/* ---- weights ---- */

size_t fw_winograd_packed_floats(const fw_winograd *w) {
    return w->depth * w->outs;
}

/* The four points of up to three taps. */
static void points(const float *taps, size_t step, float *out) {
    float a = taps[0], b = taps[step], c = taps[2 * step];
    out[0] = a;
    out[step] = 0.5f * (a + b + c);
    out[2 * step] = 0.5f * (a - b + c);
    out[3 * step] = c;
}

/* The 16 points of one phase of one kernel. */
static void kernel_points(const fw_winograd *w, const fw_winograd_phase *p, const float *kernel,
                          float *out) {
    const fw_conv *c = &w->conv;
    float taps[16] = {0}, rows[16];
    for (size_t y = p->y, i = 0; y < c->kernel_y; y += c->stride_y, i++)
        for (size_t x = p->x, j = 0; x < c->kernel_x; x += c->stride_x, j++)
            taps[4 * i + j] = kernel[y * c->kernel_x + x];
    for (size_t j = 0; j < 4; j++) points(taps + j, 4, rows + j);
    for (size_t i = 0; i < 4; i++) points(rows + 4 * i, 1, out + 4 * i);
}

static void pack_phase(const fw_winograd *w, const fw_winograd_phase *p, size_t channel,
                       const float *kernel, size_t o, float *packed) {
    float value[POINTS] = {0};
    if (kernel) kernel_points(w, p, kernel, value);
    for (size_t i = 0; i < p->points_y; i++)
        for (size_t j = 0; j < p->points_x; j++) {
            size_t point = 4 * i + j, deep = w->sharing[point] * w->conv.channels;
            size_t k = p->slot[point] * w->conv.channels + channel;
            packed[w->first[point] * w->outs + o / OUTS * OUTS * deep + k * OUTS + o % OUTS] =
                value[point];
        }
}

void fw_winograd_pack(const fw_winograd *w, const float *weights, float *packed) {
    const fw_conv *c = &w->conv;
    size_t area = c->kernel_y * c->kernel_x;
    for (size_t o = 0; o < w->outs; o++)
        for (size_t channel = 0; channel < c->channels; channel++)
            for (size_t i = 0; i < w->phase_count; i++)
                pack_phase(w, &w->phases[i], channel,
                           o < c->out_channels ? weights + o * c->depth + channel * area : NULL, o,
                           packed);
}

/* ---- planes ---- */

static size_t plane_floats(const fw_winograd *w) {
    return (w->tiles_y + 1) * w->pitch;
}

/* out[b][i] = line[2 i + b], `count` of each; planes `apart`. */
FW_KERNEL static void split2(const float *restrict line, size_t count, size_t apart,
                             float *restrict out) {
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        fw_v8 a = FW_LOAD8(line + 2 * i), b = FW_LOAD8(line + 2 * i + 8);
        FW_STORE8(out + i, FW_EVEN8(a, b));
        FW_STORE8(out + apart + i, FW_ODD8(a, b));
    }
    for (; i < count; i++) out[i] = line[2 * i], out[apart + i] = line[2 * i + 1];
}

/* The same with four. */
FW_KERNEL static void split4(const float *restrict line, size_t count, size_t apart,
                             float *restrict out) {
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const float *at = line + 4 * i;
        fw_v8 a = FW_LOAD8(at), b = FW_LOAD8(at + 8), c = FW_LOAD8(at + 16), d = FW_LOAD8(at + 24);
        fw_v8 even0 = FW_EVEN8(a, b), even1 = FW_EVEN8(c, d);
        fw_v8 odd0 = FW_ODD8(a, b), odd1 = FW_ODD8(c, d);
        FW_STORE8(out + i, FW_EVEN8(even0, even1));
        FW_STORE8(out + apart + i, FW_EVEN8(odd0, odd1));
        FW_STORE8(out + 2 * apart + i, FW_ODD8(even0, even1));
        FW_STORE8(out + 3 * apart + i, FW_ODD8(odd0, odd1));
    }
    for (; i < count; i++)
        for (size_t b = 0; b < 4; b++) out[b * apart + i] = line[4 * i + b];
}

/* A row of an image to its planes. Without padding it is read where it lies, with what follows it in x
 * (`left` floats): that goes to outputs beyond the last column only. line: room for a row of planes, zero. */
static void split_row(const fw_winograd *w, const float *row, size_t left, float *line, float *out) {
    const fw_conv *c = &w->conv;
    size_t room = w->split_x * w->pitch, wide = room - c->pad_x < c->wide ? room - c->pad_x : c->wide;
    if (c->pad_x > 0 || room > left) {
        memcpy(line + c->pad_x, row, wide * sizeof *line);
        row = line;
    }
    (w->split_x == 2 ? split2 : split4)(row, w->pitch, plane_floats(w), out);
}

static void fill_planes(const fw_winograd *w, const float *x, float *line, float *planes) {
    const fw_conv *c = &w->conv;
    size_t plane = plane_floats(w), area = c->high * c->wide;
    memset(line, 0, w->split_x * w->pitch * sizeof *line);
    for (size_t channel = 0; channel < c->channels; channel++)
        for (size_t a = 0; a < w->split_y; a++, planes += w->split_x * plane)
            for (size_t ty = 0; ty <= w->tiles_y; ty++) {
                size_t y = ty * w->split_y + a - c->pad_y; /* wraps below 0: then too large */
                float *out = planes + ty * w->pitch;
                if (y < c->high) {
                    size_t at = channel * area + y * c->wide;
                    split_row(w, x + at, c->channels * area - at, line, out);
                } else
                    for (size_t b = 0; b < w->split_x; b++)
                        memset(out + b * plane, 0, w->pitch * sizeof *out);
            }
}

/* ---- a panel's inputs ---- */

/* t[i] of d[0 .. 3]; d[3] is read for the fourth point only. */
#define DIFFERENCES(POINTS_, d0, d1, d2, d3, t0, t1, t2, t3)                                       \
    t0 = (d0) - (d2), t1 = (d1) + (d2), t2 = (d2) - (d1);                                          \
    if ((POINTS_) == 4) t3 = (d1) - (d3);

/* Where a phase's input (r, s) of a tile lies in its channel's planes, for r, s in 0 .. 3. */
static void place_inputs(const fw_winograd *w, const fw_winograd_phase *p, size_t *at) {
    for (size_t r = 0; r < 4; r++)
        for (size_t s = 0; s < 4; s++) {
            size_t y = r * w->conv.stride_y + p->y, x = s * w->conv.stride_x + p->x;
            at[4 * r + s] = (y % w->split_y * w->split_x + x % w->split_x) * plane_floats(w) +
                            y / w->split_y * w->pitch + x / w->split_x;
        }
}

/* Where a phase's inputs lie and its points go: at (r, s), out (point). */
typedef struct turning {
    size_t at[16];
    float *out[POINTS];
    const float *planes; /* from the panel's first tile on */
    size_t channels, channel_floats, lanes;
} turning;

/* ROWS x COLUMNS points of each channel, eight tiles at a time. */
#define TURN(ROWS, COLUMNS)                                                                        \
    {                                                                                              \
        for (size_t channel = 0, to = 0; channel < h->channels; channel++)                         \
            for (size_t half = 0; half < h->lanes; half += 8, to += 8) {                           \
                const float *x = h->planes + channel * h->channel_floats + half;                   \
                fw_v8 t[4][4];                                                                     \
                _Pragma("GCC unroll 4") for (int s = 0; s < (COLUMNS); s++) {                      \
                    fw_v8 d0 = FW_LOAD8(x + h->at[s]), d1 = FW_LOAD8(x + h->at[4 + s]);            \
                    fw_v8 d2 = FW_LOAD8(x + h->at[8 + s]);                                         \
                    fw_v8 d3 = FW_LOAD8(x + h->at[(ROWS) == 4 ? 12 + s : 8 + s]);                  \
                    DIFFERENCES(ROWS, d0, d1, d2, d3, t[0][s], t[1][s], t[2][s], t[3][s])          \
                }                                                                                  \
                _Pragma("GCC unroll 4") for (int i = 0; i < (ROWS); i++) {                         \
                    fw_v8 u0, u1, u2, u3;                                                          \
                    DIFFERENCES(COLUMNS, t[i][0], t[i][1], t[i][2], t[i][3], u0, u1, u2, u3)       \
                    *(fw_v8 *)(h->out[4 * i] + to) = u0;                                           \
                    *(fw_v8 *)(h->out[4 * i + 1] + to) = u1;                                       \
                    *(fw_v8 *)(h->out[4 * i + 2] + to) = u2;                                       \
                    if ((COLUMNS) == 4) *(fw_v8 *)(h->out[4 * i + 3] + to) = u3;                   \
                }                                                                                  \
            }                                                                                      \
    }

FW_KERNEL static void turn44(const turning *h) TURN(4, 4)
FW_KERNEL static void turn43(const turning *h) TURN(4, 3)
FW_KERNEL static void turn34(const turning *h) TURN(3, 4)
FW_KERNEL static void turn33(const turning *h) TURN(3, 3)

/* inputs (k of all points, lanes) of the tiles from `tile` on. */
static void panel_inputs(const fw_winograd *w, const float *planes, size_t tile, size_t lanes,
                         float *inputs) {
    turning h = {.planes = planes + tile, .channels = w->conv.channels, .lanes = lanes,
                 .channel_floats = w->split_y * w->split_x * plane_floats(w)};
    for (size_t i = 0; i < w->phase_count; i++) {
        const fw_winograd_phase *p = &w->phases[i];
        place_inputs(w, p, h.at);
        for (size_t q = 0; q < POINTS; q++)
            h.out[q] = inputs + (w->first[q] + p->slot[q] * h.channels) * lanes;
        if (p->points_y == 4)
            (p->points_x == 4 ? turn44 : turn43)(&h);
        else
            (p->points_x == 4 ? turn34 : turn33)(&h);
    }
}

/* ---- a panel's products ---- */

/* out (outs, 16) = weights (outs / 6, depth, 6) inputs (depth, 16) */
FW_KERNEL static void products16(const float *weights, const float *inputs, size_t depth,
                                 size_t outs, float *out) {
    for (size_t o = 0; o < outs; o += OUTS) {
        fw_v8 sum[OUTS][2] = {{{0}}};
        for (size_t k = 0; k < depth; k++, weights += OUTS) {
            fw_v8 left = *(const fw_v8 *)(inputs + 16 * k), right = *(const fw_v8 *)(inputs + 16 * k + 8);
            _Pragma("GCC unroll 6") for (int i = 0; i < OUTS; i++) {
                fw_v8 all = FW_SPREAD8(weights[i]);
                sum[i][0] += all * left;
                sum[i][1] += all * right;
            }
        }
        for (int i = 0; i < OUTS; i++, out += 16) {
            *(fw_v8 *)out = sum[i][0];
            *(fw_v8 *)(out + 8) = sum[i][1];
        }
    }
}

/* The same for 8 tiles, two sixes at a time where there are two. */
FW_KERNEL static void products8(const float *weights, const float *inputs, size_t depth,
                                size_t outs, float *out) {
    for (size_t o = 0; o < outs; o += 2 * OUTS) {
        size_t second = o + OUTS < outs ? depth * OUTS : 0;
        fw_v8 sum[2][OUTS] = {{{0}}};
        for (size_t k = 0; k < depth; k++, weights += OUTS) {
            fw_v8 both = *(const fw_v8 *)(inputs + 8 * k);
            _Pragma("GCC unroll 6") for (size_t i = 0; i < OUTS; i++) {
                sum[0][i] += FW_SPREAD8(weights[i]) * both;
                sum[1][i] += FW_SPREAD8(weights[second + i]) * both;
            }
        }
        weights += second;
        for (size_t i = 0; i < 2 * OUTS && o + i < outs; i++, out += 8)
            *(fw_v8 *)out = sum[i / OUTS][i % OUTS];
    }
}

/* ---- a panel's outputs ---- */

/* Two rows of 2 * 8 outputs of one channel from its 16 points. */
FW_KERNEL static void outputs(const float *products, size_t apart, float bias, bool relu, float *y,
                              size_t y_row) {
    fw_v8 t[2][4];
    const fw_v8 zero = {0};
    _Pragma("GCC unroll 4") for (int j = 0; j < 4; j++) {
        const float *at = products + (size_t)j * apart;
        fw_v8 m0 = *(const fw_v8 *)at, m1 = *(const fw_v8 *)(at + 4 * apart);
        fw_v8 m2 = *(const fw_v8 *)(at + 8 * apart), m3 = *(const fw_v8 *)(at + 12 * apart);
        t[0][j] = m0 + m1 + m2;
        t[1][j] = m1 - m2 - m3;
    }
    for (size_t i = 0; i < 2; i++) {
        fw_v8 left = t[i][0] + t[i][1] + t[i][2] + bias, right = t[i][1] - t[i][2] - t[i][3] + bias;
        if (relu) left = FW_MAX8(zero, left), right = FW_MAX8(zero, right);
        FW_STORE8(y + i * y_row, FW_ZIP_LOW8(left, right));
        FW_STORE8(y + i * y_row + 8, FW_ZIP_HIGH8(left, right));
    }
}

/* Of two rows of 2 * 8 outputs, what lies inside y: pieces of rows. */
typedef struct piece {
    size_t from, to, count; /* floats: in the row, in y's channel; how many */
    size_t rows;            /* 1 or 2 */
} piece;

static size_t list_pieces(const fw_winograd *w, size_t tile, piece *out) {
    const fw_conv *c = &w->conv;
    size_t count = 0;
    for (size_t lane = 0, next; lane < 8; lane = next) {
        size_t ty = (tile + lane) / w->pitch, tx = (tile + lane) % w->pitch;
        next = lane + w->pitch - tx < 8 ? lane + w->pitch - tx : 8;
        size_t end = 2 * (tx + next - lane) < c->out_wide ? 2 * (tx + next - lane) : c->out_wide;
        if (2 * tx >= end || ty >= w->tiles_y) continue;
        out[count++] = (piece){2 * lane, 2 * ty * c->out_wide + 2 * tx, end - 2 * tx,
                               2 * ty + 1 < c->out_high ? 2 : 1};
    }
    return count;
}

static void place_pieces(const piece *pieces, size_t count, const float *rows, float *y,
                         size_t y_row) {
    for (size_t i = 0; i < count; i++)
        for (size_t r = 0; r < pieces[i].rows; r++) {
            const float *from = rows + 16 * r + pieces[i].from;
            float *to = y + r * y_row + pieces[i].to;
            for (size_t n = 0; n < pieces[i].count; n++) to[n] = from[n];
        }
}

static void panel_outputs(const fw_winograd *w, const float *products, size_t tile, size_t lanes,
                          const float *bias, bool relu, float *y) {
    const fw_conv *c = &w->conv;
    size_t apart = w->outs * lanes, plane = c->out_high * c->out_wide;
    for (size_t half = 0; half < lanes; half += 8) {
        piece pieces[8];
        size_t count = list_pieces(w, tile + half, pieces);
        bool whole = count == 1 && pieces[0].count == 16 && pieces[0].rows == 2;
        for (size_t o = 0; o < c->out_channels; o++) {
            float rows[32], *to = whole ? y + o * plane + pieces[0].to : rows;
            outputs(products + o * lanes + half, apart, bias ? bias[o] : 0, relu, to,
                    whole ? c->out_wide : 16);
            if (!whole) place_pieces(pieces, count, rows, y + o * plane, c->out_wide);
        }
    }
}

/* ---- an image ---- */

typedef struct workspace {
    float *inputs, *products, *line, *planes;
    size_t floats;
} workspace;

static workspace workspace_of(const fw_winograd *w, float *at) {
    workspace s = {.inputs = at};
    size_t in = w->depth * LANES, out = POINTS * w->outs * LANES;
    size_t line = (w->split_x * w->pitch + 15) / 16 * 16;
    s.floats = in + out + line +
               w->conv.channels * w->split_y * w->split_x * plane_floats(w) + LANES;
    if (!at) return s;
    s.products = at + in;
    s.line = s.products + out;
    s.planes = s.line + line;
    return s;
}

size_t fw_winograd_scratch_bytes(const fw_winograd *w) {
    return workspace_of(w, NULL).floats * sizeof(float);
}

void fw_winograd_run(const fw_winograd *w, const float *x, const float *packed, const float *bias,
                     bool relu, float *y, void *scratch) {
    workspace s = workspace_of(w, scratch);
    size_t tiles = flat_tiles(w);
    fill_planes(w, x, s.line, s.planes);
    for (size_t tile = 0, lanes; tile < tiles; tile += lanes) {
        lanes = tiles - tile <= 8 ? 8 : LANES;
        panel_inputs(w, s.planes, tile, lanes, s.inputs);
        for (size_t q = 0; q < POINTS; q++)
            (lanes == 8 ? products8 : products16)(packed + w->first[q] * w->outs,
                                                  s.inputs + w->first[q] * lanes,
                                                  w->sharing[q] * w->conv.channels, w->outs,
                                                  s.products + q * w->outs * lanes);
        panel_outputs(w, s.products, tile, lanes, bias, relu, y);
    }
}
