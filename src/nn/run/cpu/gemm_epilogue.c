/* gemm_epilogue.c - what forward operators do to a finished tile while it lies in the first cache. */
#include "nn/run/cpu/gemm.h"
#include "nn/run/graph.h"
#include "nn/run/cpu/vector.h"

FW_GEMM_EPILOGUE(then_relu, x < 0 ? 0 : x)
FW_GEMM_EPILOGUE(then_tanh, fw_tanh_exact(x))
FW_GEMM_EPILOGUE(then_sigmoid, fw_sigmoid(x))
FW_GEMM_EPILOGUE(then_gelu, fw_gelu(x))
FW_GEMM_EPILOGUE(then_silu, x *fw_sigmoid(x))
FW_GEMM_EPILOGUE(then_add, x + with[j])

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
