#include "nn/run/cpu/bf16.h"

#include <string.h>

#include "nn/run/convert.h"
#include "nn/run/cpu/fast.h"
#include "nn/run/cpu/gemm.h"
#include "nn/run/cpu/vector.h"

enum { FEW_ROWS = 4, PANEL = 32, HALF = 16, WORDS = 8 };

typedef uint32_t words8 __attribute__((vector_size(32)));
typedef uint32_t words8u __attribute__((vector_size(32), aligned(4), may_alias));

/* sum[s] += x[k + s] w[k + s], VECTORS * 16 outputs. */
#define ADD_ROW(VECTORS, s)                                                                        \
    do {                                                                                           \
        fw_v8 all = FW_SPREAD8(x[k + (s)]);                                                        \
        _Pragma("GCC unroll 2") for (size_t v = 0; v < (VECTORS); v++) {                           \
            words8 both = *(const words8u *)(w + ((s) * (VECTORS) + v) * WORDS);                   \
            sum[s][v][0] += all * (fw_v8)(both << 16);                                             \
            sum[s][v][1] += all * (fw_v8)(both & 0xffff0000u);                                     \
        }                                                                                          \
    } while (0)

/* y of one panel of VECTORS * 16 outputs. */
#define PANEL_RUN(name, VECTORS, STRANDS)                                                          \
    FW_KERNEL static void name(size_t in, const float *x, const uint32_t *w, const float *bias,    \
                               float *y) {                                                         \
        fw_v8 sum[STRANDS][VECTORS][2];                                                            \
        size_t k = 0;                                                                              \
        _Pragma("GCC unroll 2") for (size_t v = 0; v < (VECTORS); v++) {                           \
            sum[0][v][0] = FW_LOAD8(bias + HALF * v), sum[0][v][1] = FW_LOAD8(bias + HALF * v + 8); \
            _Pragma("GCC unroll 4") for (size_t s = 1; s < (STRANDS); s++)                         \
                sum[s][v][0] = sum[s][v][1] = (fw_v8){0};                                          \
        }                                                                                          \
        for (; k + (STRANDS) <= in; k += (STRANDS), w += (STRANDS) * (VECTORS) * WORDS)            \
            _Pragma("GCC unroll 4") for (size_t s = 0; s < (STRANDS); s++) ADD_ROW(VECTORS, s);    \
        _Pragma("GCC unroll 4") for (size_t s = 0; s < (STRANDS) - 1; s++) {                       \
            if (k + s >= in) break;                                                                \
            ADD_ROW(VECTORS, s);                                                                   \
        }                                                                                          \
        _Pragma("GCC unroll 2") for (size_t v = 0; v < (VECTORS); v++)                             \
            _Pragma("GCC unroll 2") for (size_t h = 0; h < 2; h++) {                               \
                _Pragma("GCC unroll 2") for (size_t far = 1; far < (STRANDS); far *= 2)            \
                    _Pragma("GCC unroll 2") for (size_t s = 0; s < (STRANDS); s += 2 * far)        \
                        sum[s][v][h] += sum[s + far][v][h];                                        \
                FW_STORE8(y + HALF * v + 8 * h, sum[0][v][h]);                                     \
            }                                                                                      \
    }
PANEL_RUN(panel32, 2, 2)
PANEL_RUN(panel16, 1, 4)

static size_t panel_width(size_t out, size_t o) {
    return out - o <= HALF ? HALF : PANEL;
}
static size_t padded(size_t out) {
    return (out + HALF - 1) / HALF * HALF;
}

/* Weights in panels, then the bias, padded with zeros. */
static void pack(const fw_nn_call *call, void *packed) {
    size_t out = call->in[1].shape.d[0], in = call->in[1].shape.d[1];
    const float *w = fw_nn_in(call, 1);
    uint16_t *to = packed;
    for (size_t o = 0; o < padded(out); o += panel_width(out, o))
        for (size_t k = 0, width = panel_width(out, o); k < in; k++)
            for (size_t i = 0; i < width; i++, to++) {
                size_t from = o + i / HALF * HALF + i % HALF / 2 + i % 2 * 8;
                *to = 0;
                if (from < out) fw_nn_to_bf16(&w[from * in + k], to, 1);
            }
    float *bias = (float *)(void *)to;
    for (size_t o = 0; o < padded(out) + HALF; o++)
        bias[o] = o < out && call->input_count > 2 ? fw_nn_in(call, 2)[o] : 0;
}

static void one_row(const fw_nn_call *call, const float *x, float *y) {
    size_t out = call->in[1].shape.d[0], in = call->in[1].shape.d[1];
    const uint32_t *w = call->packed;
    const float *bias = (const float *)(const void *)(w + padded(out) / 2 * in);
    for (size_t o = 0, width; o < out; o += width, w += width / 2 * in) {
        float edge[PANEL];
        width = panel_width(out, o);
        float *to = o + width > out ? edge : y + o;
        (width == PANEL ? panel32 : panel16)(in, x, w, bias + o, to);
        if (to == edge) memcpy(y + o, edge, (out - o) * sizeof *y);
    }
}

static void linear(const fw_nn_call *call) {
    size_t out = call->in[1].shape.d[0], in = call->in[1].shape.d[1];
    size_t rows = fw_nn_total(call, &call->in[0]) / in;
    fw_gemm g = {.m = rows, .n = out, .c = fw_nn_out(call, 0), .c_row = out, .fused = call->fused,
                 .with = call->with.data, .epilogue = fw_gemm_epilogue_of(call->fused)};
    for (size_t r = 0; r < rows; r++) one_row(call, fw_nn_in(call, 0) + r * in, g.c + r * out);
    if (g.epilogue) g.epilogue(&g, 0, rows, 0, out);
}

static fw_status choose(const fw_nn_node *node, const fw_nn_call *call, fw_nn_choice *out,
                        fw_error *error) {
    (void)error;
    const fw_nn_view *y = &call->out[0];
    if (node->op != FW_NN_LINEAR || call->store != FW_NN_BF16 || call->training) return FW_OK;
    if (call->fused && !fw_gemm_epilogue_of(call->fused)) return FW_OK;
    if (call->fused == FW_NN_ADD &&
        (call->with.batched != y->batched || !fw_nn_shape_equal(call->with.shape, y->shape)))
        return FW_OK;
    for (uint32_t i = 1; i < call->input_count; i++)
        if (!call->in[i].packable) return FW_OK;
    size_t outs = call->in[1].shape.d[0], ins = call->in[1].shape.d[1];
    if (fw_nn_total(call, &call->in[0]) / ins > FEW_ROWS) return FW_OK;
    *out = (fw_nn_choice){.kernel = linear, .pack = pack,
                          .packed_bytes = padded(outs) * ins * sizeof(uint16_t) +
                                          (padded(outs) + HALF) * sizeof(float)};
    return FW_OK;
}

const fw_nn_backend fw_nn_backend_bf16 = {.name = "bf16", .choose = choose};
const fw_nn_backend *const fw_nn_backends_bf16[] = {&fw_nn_backend_bf16, &fw_nn_backend_fast, NULL};
