/* kernel.h - private: FW_SIM_KERNEL marks a loop that is worth vectors, compiled for several x86 levels and
 * picked when the program loads (nn/run/cpu/kernels.h does the same). Unlike there no multiply-adds are
 * fused: a drive has the same bits on every level. */
#ifndef FW_LINES_DRIVING_SIM_KERNEL_H
#define FW_LINES_DRIVING_SIM_KERNEL_H

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) &&       \
    !defined(__SANITIZE_THREAD__)
#define FW_SIM_KERNEL                                                                                          \
    __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"),                               \
                   optimize("O3", "fp-contract=off", "no-trapping-math")))
#else
#define FW_SIM_KERNEL
#endif

#endif
