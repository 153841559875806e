#include "nn/run/cpu/gemv.h"

#include <string.h>

#include "nn/run/cpu/vector.h"

enum { PANEL = 32 };

/* Outputs of the panel at o, the last one's places beyond `out` included. */
static size_t panel_width(size_t out, size_t o) {
    return out - o < PANEL ? (out - o + 7) / 8 * 8 : PANEL;
}

size_t fw_gemv_packed_floats(size_t in, size_t out) {
    return in * ((out + 7) / 8 * 8);
}

void fw_gemv_pack(size_t in, size_t out, const float *weights, float *packed) {
    for (size_t o = 0; o < out; o += PANEL)
        for (size_t k = 0, width = panel_width(out, o); k < in; k++, packed += width)
            for (size_t i = 0; i < width; i++)
                packed[i] = o + i < out ? weights[(o + i) * in + k] : 0;
}

/* A panel of VECTORS * 8 outputs in STRANDS strands. bias, y: of the panel. */
#define PANEL_RUN(name, VECTORS, STRANDS)                                                          \
    FW_KERNEL static void name(size_t in, const float *x, const float *w, const float *bias,       \
                               bool relu, float *y) {                                              \
        enum { WIDTH = 8 * (VECTORS) };                                                            \
        const fw_v8 zero = {0};                                                                    \
        fw_v8 sum[STRANDS][VECTORS] = {{{0}}};                                                     \
        for (size_t v = 0; v < (VECTORS); v++) sum[0][v] = FW_LOAD8(bias + 8 * v);                 \
        size_t k = 0;                                                                              \
        for (; k + (STRANDS) <= in; k += (STRANDS), w += (STRANDS)*WIDTH)                          \
            _Pragma("GCC unroll 8") for (size_t s = 0; s < (STRANDS); s++) {                       \
                fw_v8 all = FW_SPREAD8(x[k + s]);                                                  \
                _Pragma("GCC unroll 4") for (size_t v = 0; v < (VECTORS); v++)                     \
                    sum[s][v] += all * *(const fw_v8 *)(w + s * WIDTH + 8 * v);                    \
            }                                                                                      \
        _Pragma("GCC unroll 8") for (size_t s = 0; s < (STRANDS)-1; s++) {                         \
            if (k + s >= in) break;                                                                \
            fw_v8 all = FW_SPREAD8(x[k + s]);                                                      \
            _Pragma("GCC unroll 4") for (size_t v = 0; v < (VECTORS); v++)                         \
                sum[s][v] += all * *(const fw_v8 *)(w + s * WIDTH + 8 * v);                        \
        }                                                                                          \
        _Pragma("GCC unroll 4") for (size_t v = 0; v < (VECTORS); v++) {                           \
            _Pragma("GCC unroll 3") for (size_t far = 1; far < (STRANDS); far *= 2)                \
                _Pragma("GCC unroll 4") for (size_t s = 0; s < (STRANDS); s += 2 * far)            \
                    sum[s][v] += sum[s + far][v];                                                  \
            FW_STORE8(y + 8 * v, relu ? FW_MAX8(zero, sum[0][v]) : sum[0][v]);                     \
        }                                                                                          \
    }

PANEL_RUN(panel32, 4, 2)
PANEL_RUN(panel24, 3, 2)
PANEL_RUN(panel16, 2, 4)
PANEL_RUN(panel8, 1, 8)

typedef void panel_run(size_t in, const float *x, const float *w, const float *bias, bool relu,
                       float *y);

/* The last panel's bias and outputs may end before its width: through arrays of its own. */
static void last_panel(const fw_gemv *g, panel_run *run, const float *x, const float *w, size_t o,
                       float *y) {
    float bias[PANEL] = {0}, out[PANEL];
    if (g->bias) memcpy(bias, g->bias + o, (g->out - o) * sizeof *bias);
    run(g->in, x, w, bias, g->relu, out);
    memcpy(y, out, (g->out - o) * sizeof *y);
}

void fw_gemv_run(const fw_gemv *g, size_t rows, const float *x, float *y) {
    static panel_run *const runs[] = {panel8, panel16, panel24, panel32};
    static const float no_bias[PANEL];
    const float *w = g->packed;
    for (size_t o = 0, width; o < g->out; o += width, w += width * g->in) {
        width = panel_width(g->out, o);
        panel_run *run = runs[width / 8 - 1];
        for (size_t r = 0; r < rows; r++) {
            float *to = y + r * g->out + o;
            if (o + width > g->out)
                last_panel(g, run, x + r * g->in, w, o, to);
            else
                run(g->in, x + r * g->in, w, g->bias ? g->bias + o : no_bias, g->relu, to);
        }
    }
}
