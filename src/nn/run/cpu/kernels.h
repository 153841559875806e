/* kernels.h - FW_KERNEL marks a function compiled several times for different x86 levels and picked when
 * the program loads; other compilers and machines use the portable form. Contraction to FMA is allowed
 * only inside such functions: which level was picked is the CPU class (class.h). No floating-point traps
 * are used, so both sides of a choice may be computed, without which loops with one are not vectorised.
 */
#ifndef FW_NN_RUN_KERNELS_H
#define FW_NN_RUN_KERNELS_H

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) &&                            \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define FW_KERNEL_CLONES
#define FW_KERNEL_CONTRACT(contract)                                                               \
    __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"),                   \
                   optimize("O3", contract, "no-trapping-math")))
#else
#define FW_KERNEL_CONTRACT(contract)
#endif
#define FW_KERNEL FW_KERNEL_CONTRACT("fp-contract=fast")
/* The same without contraction, for loops that must give the same bits on every level. */
#define FW_KERNEL_EXACT FW_KERNEL_CONTRACT("fp-contract=off")

#endif
