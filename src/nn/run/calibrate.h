/* calibrate.h - how large the numbers become that int8 layers read (int8.h), seen on examples.
 *
 *   examples ──[session in fp32]──> after each step: |x| of the input of every linear layer and convolution
 *                                        │
 *        a histogram a value:   ▁▃▆█▇▅▃▂▁▁ ▁     ·           FW_NN_BINS bins over [0, top)
 *                                          ^99.99 %  ^largest
 *
 * The range is the least edge of a bin below which the asked share of all numbers lies, or the largest
 * number. What lies beyond saturates: a few outliers cut finer steps for all others.
 *
 * top is a power of two; a larger number doubles it and adds bins in pairs. Where a number falls does not
 * depend on what came before: the same examples in any order give the same ranges, bit for bit.
 */
#ifndef FW_NN_RUN_CALIBRATE_H
#define FW_NN_RUN_CALIBRATE_H

#include "nn/run/plan.h"

enum { FW_NN_BINS = 2048 };

typedef struct fw_nn_calibration fw_nn_calibration;

/* rows: of a run, at most. The graph outlives it. */
fw_status fw_nn_calibration_new(const fw_nn_graph *graph, uint32_t rows, fw_nn_calibration **out,
                                fw_error *error) FW_MUST;
void fw_nn_calibration_free(fw_nn_calibration *calibration);
/* One run on `rows` examples. parameters by fw_nn_layout_make of the graph; inputs as in fw_nn_run_args.
 * FW_INVALID: a number that is not finite, with the node that reads it; it is not counted. */
fw_status fw_nn_calibration_add(fw_nn_calibration *calibration, const float *parameters,
                                const void *const *inputs, uint32_t rows, fw_error *error) FW_MUST;
/* ranges: (value_count) of the graph. share in (0, 1]: of the numbers that lie within; 1 is the largest.
 * 0 for values that no int8 layer reads, and for those that were always 0. */
void fw_nn_calibration_ranges(const fw_nn_calibration *calibration, double share, float *ranges);
/* Numbers seen of a value; 0 for what no int8 layer reads. */
uint64_t fw_nn_calibration_count(const fw_nn_calibration *calibration, fw_nn_value value);

#endif
