#include "nn/run/cpu/class.h"

#include "nn/run/cpu/kernels.h"

const char *fw_nn_cpu_class(void) {
#if defined(FW_KERNEL_CLONES)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("x86-64-v4")) return "x86-64-v4";
    if (__builtin_cpu_supports("x86-64-v3")) return "x86-64-v3";
    return "x86-64";
#elif defined(__aarch64__)
    return "aarch64";
#else
    return "portable";
#endif
}
