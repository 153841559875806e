/* cost.h - what a node costs at least: arithmetic, and bytes that must come and go.
 *
 *   flops   multiply and add count as two; a transcendental as one; what only moves bytes is 0;
 *           causal attention counts whole
 *   bytes   inputs and outputs once each, batched ones `rows` times; of a table only the rows read
 *
 * A machine of P flop/s and B byte/s needs at least max(flops / P, bytes / B) seconds: the roofline
 * (Williams, Waterman and Patterson 2009).
 */
#ifndef FW_NN_RUN_COST_H
#define FW_NN_RUN_COST_H

#include "nn/run/graph.h"

typedef struct fw_nn_cost {
    double flops, bytes;
} fw_nn_cost;

/* Of operators of graph.h; outputs that nobody asked for (gates, statistics) are not counted. */
fw_nn_cost fw_nn_cost_of(const fw_nn_graph *graph, const fw_nn_node *node, uint32_t rows);

#endif
