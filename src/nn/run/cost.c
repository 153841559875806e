#include "nn/run/cost.h"

static double elements(const fw_nn_value_info *info, uint32_t rows) {
    return (double)fw_nn_elements(info->shape) * (info->batched ? rows : 1);
}

/* Arithmetic for each element of the output, of operators that go element by element or by rows. */
static double each(uint32_t op) {
    switch (op) {
    case FW_NN_RESHAPE:
    case FW_NN_TRANSPOSE:
    case FW_NN_CONCAT:
    case FW_NN_SLICE:
    case FW_NN_GATHER:
    case FW_NN_EMBEDDING:
    case FW_NN_DROPOUT: return 0;
    case FW_NN_LAYER_NORM: return 8;
    case FW_NN_RMS_NORM: return 4;
    case FW_NN_SOFTMAX: return 4;
    case FW_NN_GELU: return 9;
    case FW_NN_SILU: return 4;
    case FW_NN_SIGMOID: return 3;
    case FW_NN_ROPE: return 3;
    case FW_NN_CLAMP:
    case FW_NN_AFFINE: return 2;
    default: return 1;
    }
}

/* Arithmetic of the operators that multiply and add. */
static double dense(const fw_nn_node *node, const fw_nn_value_info *const *in,
                    const fw_nn_value_info *out, uint32_t rows) {
    fw_nn_shape a = in[0]->shape, b = node->input_count > 1 ? in[1]->shape : fw_nn_shape0();
    double outputs = elements(out, rows);
    switch (node->op) {
    case FW_NN_LINEAR: return 2 * outputs * b.d[1];
    case FW_NN_CONV: return 2 * outputs * b.d[1] * b.d[2] * b.d[3];
    case FW_NN_MAX_POOL:
    case FW_NN_MEAN_POOL: return outputs * node->attr.i[0] * node->attr.i[1];
    case FW_NN_ATTENTION: return (4.0 * a.d[1] / node->attr.i[0] + 5) * node->attr.i[0] *
                                 a.d[0] * b.d[0] * (out->batched ? rows : 1);
    case FW_NN_GRU: return outputs * (6.0 * (a.d[1] + out->shape.d[1]) + 14);
    case FW_NN_LSTM: return outputs * (8.0 * (a.d[1] + out->shape.d[1]) + 18);
    case FW_NN_SET_MAX:
    case FW_NN_SET_MEAN: return elements(in[0], rows);
    case FW_NN_SET_ATTENTION: return 2 * elements(in[0], rows);
    case FW_NN_SUM_LAST: return elements(in[0], rows);
    case FW_NN_ENTROPY: return 5 * elements(in[0], rows);
    default: return -1;
    }
}

fw_nn_cost fw_nn_cost_of(const fw_nn_graph *graph, const fw_nn_node *node, uint32_t rows) {
    const fw_nn_value_info *in[FW_NN_INPUTS_MAX], *out = &graph->values[node->outputs[0]];
    fw_nn_cost cost = {0, 0};
    for (uint32_t i = 0; i < node->input_count; i++) {
        in[i] = &graph->values[node->inputs[i]];
        bool table = node->op == FW_NN_EMBEDDING && i == 1;
        cost.bytes += 4 * (table ? elements(out, rows) : elements(in[i], rows));
    }
    cost.bytes += 4 * elements(out, rows);
    if (node->op == FW_NN_RESHAPE) cost.bytes = 0; /* a name for the same bytes */
    cost.flops = dense(node, in, out, rows);
    if (cost.flops < 0) cost.flops = each(node->op) * elements(out, rows);
    return cost;
}
