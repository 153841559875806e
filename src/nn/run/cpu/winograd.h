/* winograd.h - private: convolutions of kernels up to 3 x 3, or 6 x 6 with stride 2, by Winograd's minimal
 * filtering F(2 x 2, 3 x 3) (Lavin and Gray, 2015): 4 multiplications an output instead of 9; for a
 * 5 x 5 kernel with stride 2, 12.25 instead of 25.
 *
 * Along one axis, two outputs y of a kernel g of three taps over four inputs d:
 *
 *     m0 = (d0 - d2) g0                m1 = (d1 + d2) (g0 + g1 + g2) / 2       y0 = m0 + m1 + m2
 *     m3 = (d1 - d3) g2                m2 = (d2 - d1) (g0 - g1 + g2) / 2       y1 = m1 - m2 - m3
 *
 * Stride 2: even and odd inputs are two sequences with every second tap each; their products add up
 * before y is formed. A sequence of two taps has g2 = 0, so its m3 is left out.
 *
 *   x (C, H, W) --split--> planes (C, a, b, tiles y, tiles x): input (S ty + a, S tx + b), S twice the
 *                          stride; so neighbours in a plane belong to neighbouring tiles, and a panel
 *                          of 16 tiles is read as vectors wherever its inputs are
 *     for each panel:
 *       inputs   (point, k, 16)     k: sequence and channel        16 points: 4 along y x 4 along x
 *       products (point, O, 16) = weights (point, O, k) inputs     6 x 16 in registers
 *       y        from the 16 points, + bias, activation, stored
 *
 * Order of sums: k ascending within a point (sequences, their channels), then the points as above, rows
 * before columns; bias last. It depends on the shapes alone. */
#ifndef FW_NN_RUN_WINOGRAD_H
#define FW_NN_RUN_WINOGRAD_H

#include "nn/run/cpu/fast_conv.h"

enum { FW_WINOGRAD_POINTS = 16, FW_WINOGRAD_LANES = 16, FW_WINOGRAD_OUTS = 6 };

/* One of the sequences: every stride-th input from (y, x) on. */
typedef struct fw_winograd_phase {
    size_t y, x;
    size_t points_y, points_x; /* 3 or 4 */
    size_t slot[FW_WINOGRAD_POINTS]; /* its place among the phases that have the point */
} fw_winograd_phase;

typedef struct fw_winograd {
    fw_conv conv;
    size_t split_y, split_x;         /* planes along y and x */
    size_t tiles_y, tiles_x, pitch;  /* pitch: tiles of a row of a plane, one more than tiles_x */
    size_t outs;                     /* out_channels in whole sixes */
    fw_winograd_phase phases[4];
    size_t phase_count;
    size_t sharing[FW_WINOGRAD_POINTS]; /* phases that have the point */
    size_t first[FW_WINOGRAD_POINTS];   /* k of all points before it */
    size_t depth;                       /* k of all points */
} fw_winograd;

/* false: the shape is not one of these, or gains nothing. */
bool fw_winograd_of(const fw_conv *conv, fw_winograd *out);
size_t fw_winograd_packed_floats(const fw_winograd *winograd);
void fw_winograd_pack(const fw_winograd *winograd, const float *weights, float *packed);
size_t fw_winograd_scratch_bytes(const fw_winograd *winograd);
/* One image; packed, scratch: 64-byte aligned; bias may be NULL. */
void fw_winograd_run(const fw_winograd *winograd, const float *x, const float *packed,
                     const float *bias, bool relu, float *y, void *scratch);

#endif
