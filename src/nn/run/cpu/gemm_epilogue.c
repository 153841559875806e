/* gemm_epilogue.c - what forward operators do to a finished tile while it lies in the first cache. */
#include "nn/run/cpu/gemm.h"
#include "nn/run/graph.h"
#include "nn/run/cpu/vector.h"

/* Whole tiles have a count that the compiler knows. */
#define EPILOGUE(name, expression)                                                                 \
    static inline void name##_row(float *c, size_t columns) {                                      \
        for (size_t j = 0; j < columns; j++) {                                                     \
            float x = c[j];                                                                        \
            c[j] = expression;                                                                     \
        }                                                                                          \
    }                                                                                              \
    FW_KERNEL static void name(const fw_gemm *g, size_t row, size_t rows, size_t column,           \
                               size_t columns) {                                                   \
        for (size_t i = row; i < row + rows; i++) {                                                \
            float *c = g->c + i * g->c_row + column;                                               \
            if (columns == FW_GEMM_TILE_COLUMNS)                                                   \
                name##_row(c, FW_GEMM_TILE_COLUMNS);                                               \
            else                                                                                   \
                name##_row(c, columns);                                                            \
        }                                                                                          \
    }
EPILOGUE(then_relu, x < 0 ? 0 : x)
EPILOGUE(then_tanh, fw_tanh_exact(x))
EPILOGUE(then_sigmoid, fw_sigmoid(x))
EPILOGUE(then_gelu, fw_gelu(x))
EPILOGUE(then_silu, x *fw_sigmoid(x))

FW_KERNEL static void then_add(const fw_gemm *g, size_t row, size_t rows, size_t column,
                               size_t columns) {
    for (size_t i = row; i < row + rows; i++) {
        float *c = g->c + i * g->c_row + column;
        const float *other = g->with + i * g->c_row + column;
        for (size_t j = 0; j < columns; j++) c[j] += other[j];
    }
}

fw_gemm_epilogue *fw_gemm_epilogue_of(uint32_t op) {
    switch (op) {
    case FW_NN_RELU: return then_relu;
    case FW_NN_TANH: return then_tanh;
    case FW_NN_SIGMOID: return then_sigmoid;
    case FW_NN_GELU: return then_gelu;
    case FW_NN_SILU: return then_silu;
    case FW_NN_ADD: return then_add;
    default: return NULL;
    }
}
