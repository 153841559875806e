#include "nn/train/grad.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Gradients found so far, by value of the forward graph. */
typedef struct backward {
    fw_nn_graph *graph;
    uint32_t values; /* of the forward graph */
    fw_nn_value *of; /* (values) the sum so far, FW_NN_NONE */
    bool *needed;    /* (values) a parameter lies behind it */
    fw_nn_training *training;
    uint32_t sums; /* for names */
} backward;

void fw_nn_training_clear(fw_nn_training *training) {
    fw_nn_graph_free(training->graph);
    free(training->gradients);
    *training = (fw_nn_training){0};
}

/* A value needs a gradient when it is a parameter, or is made from one that does. */
static void find_needed(backward *b) {
    const fw_nn_graph *g = b->graph;
    for (uint32_t i = 0; i < b->values; i++)
        b->needed[i] = g->values[i].kind == FW_NN_PARAMETER;
    for (uint32_t n = 0; n < g->node_count; n++) {
        const fw_nn_node *node = &g->nodes[n];
        bool any = false;
        for (uint32_t i = 0; i < node->input_count; i++) any |= b->needed[node->inputs[i]];
        for (uint32_t i = 0; i < node->output_count; i++)
            b->needed[node->outputs[i]] = any && g->values[node->outputs[i]].dtype != FW_NN_I32;
    }
}

/* Whether the node that makes it may add it to what is there. Of recurrent layers: weights and biases. */
static bool adds_up(const fw_nn_graph *g, const fw_nn_value_info *made) {
    if (made->kind != FW_NN_MADE || made->batched) return false;
    uint32_t op = g->nodes[made->node].op;
    if (op == FW_NN_GRU_GRAD || op == FW_NN_LSTM_GRAD) return made->output >= 1 && made->output <= 4;
    return op == FW_NN_LINEAR_GRAD_W || op == FW_NN_CONV_GRAD_W || op == FW_NN_CHANNEL_SUM ||
           op == FW_NN_EMBEDDING_GRAD || op == FW_NN_NORM_GRAD_GAIN || op == FW_NN_RMS_GRAD_GAIN ||
           op == FW_NN_REDUCE_TO;
}

/* The gradient of a parameter as a node makes it that can add it up. shared: it is another value's gradient
 * as well, which must not be added to. */
static fw_nn_value settle(backward *b, fw_nn_value parameter, fw_nn_value gradient, bool shared) {
    char name[FW_NN_NAME_MAX];
    if (gradient >= b->graph->value_count) return gradient;
    if (!shared && adds_up(b->graph, &b->graph->values[gradient])) return gradient;
    snprintf(name, sizeof name, "grad.settle%u", b->sums++);
    return fw_nn_node_add(b->graph, FW_NN_REDUCE_TO, name, (fw_nn_value[]){gradient, parameter}, 2,
                          (fw_nn_attr){0}, NULL);
}

/* A parameter's gradients are added by whoever runs the plan; others' by a node. */
static fw_status add_gradient(backward *b, fw_nn_value value, fw_nn_value gradient, bool shared,
                              fw_error *error) {
    char name[FW_NN_NAME_MAX];
    if (b->graph->values[value].kind == FW_NN_PARAMETER) {
        fw_nn_training *t = b->training;
        gradient = settle(b, value, gradient, shared);
        FW_TRY(fw_nn_graph_check(b->graph, error));
        fw_nn_gradient *grown =
            realloc(t->gradients, (t->gradient_count + 1) * sizeof *grown);
        if (!grown) return fw_fail(error, FW_NO_MEMORY, "no memory for gradients");
        t->gradients = grown;
        t->gradients[t->gradient_count++] = (fw_nn_gradient){value, gradient};
        return FW_OK;
    }
    if (b->of[value] == FW_NN_NONE) {
        b->of[value] = gradient;
        return FW_OK;
    }
    snprintf(name, sizeof name, "grad.sum%u", b->sums++);
    b->of[value] = fw_nn_node_add(b->graph, FW_NN_ADD, name,
                                  (fw_nn_value[]){b->of[value], gradient}, 2, (fw_nn_attr){0},
                                  NULL);
    return fw_nn_graph_check(b->graph, error);
}

/* Whether a rule handed an output's gradient on as it came. */
static bool handed_on(const fw_nn_rule_call *call, fw_nn_value gradient) {
    for (uint32_t i = 0; i < call->node.output_count; i++)
        if (call->from[i] == gradient) return true;
    return false;
}

static fw_status step_back(backward *b, uint32_t n, fw_error *error) {
    fw_nn_rule_call call = {.graph = b->graph, .node = b->graph->nodes[n]};
    const fw_nn_node *node = &call.node;
    bool any_from = false, any_wanted = false;
    for (uint32_t i = 0; i < node->output_count; i++) {
        call.from[i] = b->of[node->outputs[i]];
        any_from |= call.from[i] != FW_NN_NONE;
    }
    for (uint32_t i = 0; i < FW_NN_INPUTS_MAX; i++) {
        call.to[i] = FW_NN_NONE;
        call.wanted[i] = i < node->input_count && b->needed[node->inputs[i]];
        any_wanted |= call.wanted[i];
    }
    if (!any_from || !any_wanted) return FW_OK;
    fw_nn_rule *rule = fw_nn_rule_of(node->op);
    if (!rule)
        return fw_fail(error, FW_UNSUPPORTED, "node %s (%s) has no gradient", node->name,
                       fw_nn_op_name(node->op));
    rule(&call);
    FW_TRY(fw_nn_graph_check(b->graph, error));
    for (uint32_t i = 0; i < node->input_count; i++) {
        if (!call.wanted[i]) continue;
        if (call.to[i] == FW_NN_NONE)
            return fw_fail(error, FW_UNSUPPORTED, "node %s (%s) has no gradient by its input %u",
                           node->name, fw_nn_op_name(node->op), i);
        FW_TRY(add_gradient(b, node->inputs[i], call.to[i], handed_on(&call, call.to[i]), error));
    }
    return FW_OK;
}

static fw_status walk(backward *b, fw_nn_value loss, fw_error *error) {
    uint32_t nodes = b->graph->node_count;
    find_needed(b);
    b->training->loss = loss;
    b->training->seed = fw_nn_input(b->graph, "loss.seed", FW_NN_F32, fw_nn_shape0());
    FW_TRY(fw_nn_graph_check(b->graph, error));
    b->of[loss] = b->training->seed;
    for (uint32_t n = nodes; n-- > 0;) FW_TRY(step_back(b, n, error));
    if (b->training->gradient_count == 0)
        return fw_fail(error, FW_INVALID, "the loss depends on no parameter");
    return FW_OK;
}

fw_status fw_nn_differentiate(const fw_nn_graph *graph, fw_nn_value loss, fw_nn_training *out,
                              fw_error *error) {
    fw_nn_training training = {0};
    fw_nn_gradients_register();
    FW_TRY(fw_nn_graph_check(graph, error));
    if (loss >= graph->value_count || graph->values[loss].shape.dims != 0 ||
        !graph->values[loss].batched)
        return fw_fail(error, FW_INVALID, "the loss must be a scalar an example");
    FW_TRY(fw_nn_graph_copy(graph, &training.graph, error));
    backward b = {.graph = training.graph, .values = graph->value_count, .training = &training};
    b.of = malloc(b.values * sizeof *b.of);
    b.needed = calloc(b.values, sizeof *b.needed);
    fw_status status =
        b.of && b.needed ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory for gradients");
    if (status == FW_OK) {
        for (uint32_t i = 0; i < b.values; i++) b.of[i] = FW_NN_NONE;
        status = walk(&b, loss, error);
    }
    free(b.of);
    free(b.needed);
    if (status != FW_OK) {
        fw_nn_training_clear(&training);
        return status;
    }
    *out = training;
    return FW_OK;
}
