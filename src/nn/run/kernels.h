/* kernels.h - arithmetic shared by inference and training, so that both compute the same thing.
 *
 * FW_KERNEL marks a function compiled several times for different x86 levels and picked when the
 * program loads; other compilers and machines use the portable form. Contraction to FMA is allowed
 * only inside such functions: which level was picked is the CPU class (cpu.h).
 */
#ifndef FW_NN_RUN_KERNELS_H
#define FW_NN_RUN_KERNELS_H

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) &&                            \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define FW_KERNEL_CLONES
#define FW_KERNEL                                                                                  \
    __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"),                   \
                   optimize("O3", "fp-contract=fast")))
#else
#define FW_KERNEL
#endif

/* tanh by its continued fraction to the 7th degree, clamped at +-4.97 where it reaches 1: absolute
 * error < 1e-4, no branch, no libm: vectorises. Source: Lambert's continued fraction. */
static inline float fw_tanh(float x) {
    x = x > 4.97f ? 4.97f : x;
    x = x < -4.97f ? -4.97f : x;
    float y = x * x;
    float top = x * (135135.0f + y * (17325.0f + y * (378.0f + y)));
    float bottom = 135135.0f + y * (62370.0f + y * (3150.0f + y * 28.0f));
    return top / bottom;
}

#endif
