/* class.h - the CPU class: what decides how the kernels round.
 *
 *     x86-64-v4   FMA, AVX-512          \
 *     x86-64-v3   FMA, AVX2              > the copy of each FW_KERNEL (kernels.h) this machine loads
 *     x86-64      SSE2, no FMA          /
 *     aarch64     NEON, one copy
 *     portable    one copy of everything: another compiler, a sanitizer, another machine
 *
 * Same class, same program: same bits. It stands in checkpoints, in the lineage of a trained model, and in
 * what `flywheel train` and `flywheel nn` print.
 */
#ifndef FW_NN_RUN_CPU_H
#define FW_NN_RUN_CPU_H

/* The class of this machine and program, never NULL. */
const char *fw_nn_cpu_class(void);

#endif
