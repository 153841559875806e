/* grad.h - the backward pass as more nodes of the same graph.
 *
 *   forward nodes  x -> linear -> relu -> linear -> loss (a scalar an example)
 *   backward nodes                                  seed -> .. -> gradient of each parameter
 *
 * fw_nn_differentiate walks the nodes from the loss back. For each it asks the operator's rule
 * (grad_rules.c), which adds the nodes that make the gradients of the inputs from those of the
 * outputs; where a value is read more than once its gradients are added, in the order of its readers
 * from the last to the first. What comes out is planned and run like any graph (nn/run/plan.h): the
 * liveness of activations, in-place work and kernels need no second mechanism.
 *
 * Gradients of batched values are batched; those of parameters are summed over the examples of a run
 * and added to what is there (fw_nn_gradient in plan.h), so several runs add up a batch.
 *
 * Operators of the backward pass, of their own kind from FW_NN_GRADIENT_OPS on: only where those of
 * graph.h do not compose to it. X(enum, name, inputs at least, at most, outputs); "dy": gradient of
 * the forward operator's output.
 */
#ifndef FW_NN_TRAIN_GRAD_H
#define FW_NN_TRAIN_GRAD_H

#include "nn/run/plan.h"

#define FW_NN_GRADIENT_OP_LIST(X)                                                                  \
    X(LINEAR_GRAD_X, "linear_grad_x", 2, 2, 1)     /* dy, w */                                     \
    X(LINEAR_GRAD_W, "linear_grad_w", 2, 2, 1)     /* dy, x -> sum over examples */                \
    X(CONV_GRAD_X, "conv_grad_x", 3, 3, 1)         /* dy, w, x (for its shape) */                  \
    X(CONV_GRAD_W, "conv_grad_w", 3, 3, 1)         /* dy, x, w (for its shape) */                  \
    X(CHANNEL_SUM, "channel_sum", 1, 1, 1)         /* dy (C, ..) -> (C), over examples as well */  \
    X(MAX_POOL_GRAD, "max_pool_grad", 2, 2, 1)     /* dy, x; the first of equal ones gets it */    \
    X(MEAN_POOL_GRAD, "mean_pool_grad", 2, 2, 1)   /* dy, x (for its shape) */                     \
    X(EMBEDDING_GRAD, "embedding_grad", 3, 3, 1)   /* dy, ids, table (for its shape) */            \
    X(GATHER_GRAD, "gather_grad", 3, 3, 1)         /* dy, ids, x (for its shape) */                \
    X(NORM_GRAD_X, "norm_grad_x", 5, 5, 1)         /* dy, x, gain, mean, scale */                  \
    X(NORM_GRAD_GAIN, "norm_grad_gain", 4, 4, 1)   /* dy, x, mean, scale -> (C) over all rows */   \
    X(RMS_GRAD_X, "rms_grad_x", 4, 4, 1)           /* dy, x, gain, scale */                        \
    X(RMS_GRAD_GAIN, "rms_grad_gain", 3, 3, 1)     /* dy, x, scale -> (C) over all rows */         \
    X(SOFTMAX_GRAD, "softmax_grad", 2, 2, 1)       /* dy, y */                                     \
    X(ATTENTION_GRAD, "attention_grad", 6, 7, 3)   /* dy, q, k, v, y, log sums, [mask] -> dq dk dv */ \
    X(ROPE_GRAD, "rope_grad", 1, 1, 1)             /* dy: turned back */                           \
    X(GRU_GRAD, "gru_grad", 6, 7, 6)  /* dy, x, w, u, y, gates, [h0] -> dx dw du db dc dh0 */       \
    X(LSTM_GRAD, "lstm_grad", 7, 9, 7) /* dy, x, w, u, y, cells, gates, [h0, c0] -> .. dh0 dc0 */   \
    X(SET_MAX_GRAD, "set_max_grad", 3, 3, 1)       /* dy, chosen, x (for its shape) */             \
    X(SET_MEAN_GRAD, "set_mean_grad", 3, 3, 1)     /* dy, mask, x (for its shape) */               \
    X(SET_ATTENTION_GRAD, "set_attention_grad", 3, 3, 2) /* dy, x, weights -> dx, dscores */       \
    X(RELU_GRAD, "relu_grad", 2, 2, 1)             /* dy, y */                                     \
    X(GELU_GRAD, "gelu_grad", 2, 2, 1)             /* dy, x */                                     \
    X(SILU_GRAD, "silu_grad", 2, 2, 1)             /* dy, x */                                     \
    X(TANH_GRAD, "tanh_grad", 2, 2, 1)             /* dy, y */                                     \
    X(SIGMOID_GRAD, "sigmoid_grad", 2, 2, 1)       /* dy, y */                                     \
    X(CLAMP_GRAD, "clamp_grad", 2, 2, 1)           /* dy, x; f: low, high */                       \
    X(REDUCE_TO, "reduce_to", 2, 2, 1)             /* dy, b: summed to b's shape (and over examples \
                                                      when b is not batched) */                    \
    X(SLICE_GRAD, "slice_grad", 2, 2, 1)           /* dy, x (for its shape); i: dimension, first */ \
    X(REPEAT_LAST, "repeat_last", 2, 2, 1)         /* dy (..), x (.., C) (for its shape) */        \
    X(ENTROPY_GRAD, "entropy_grad", 2, 2, 1)       /* dy (..), scores (.., K) */                   \
    /* dloss (scalar an example) and the loss's inputs -> gradients of the first ones */           \
    X(MSE_GRAD, "mse_grad", 3, 3, 1)                                                               \
    X(HUBER_GRAD, "huber_grad", 3, 3, 1)                                                           \
    X(CROSS_ENTROPY_GRAD, "cross_entropy_grad", 3, 3, 1)                                           \
    X(GAUSSIAN_NLL_GRAD, "gaussian_nll_grad", 4, 4, 2)                                             \
    X(QUANTILE_GRAD, "quantile_grad", 3, 3, 1)                                                     \
    X(PPO_GRAD, "ppo_grad", 4, 4, 1)

typedef enum fw_nn_gradient_op {
    FW_NN_BEFORE_GRADIENTS = FW_NN_GRADIENT_OPS - 1,
#define X(op, name, least, most, outputs) FW_NN_##op,
    FW_NN_GRADIENT_OP_LIST(X)
#undef X
        FW_NN_GRADIENT_OP_END
} fw_nn_gradient_op;

/* A graph that can be trained. */
typedef struct fw_nn_training {
    fw_nn_graph *graph; /* the forward graph and its backward pass; owned */
    fw_nn_value loss;   /* scalar an example, in graph */
    fw_nn_value seed;   /* input "loss.seed" (scalar an example): the loss's own gradient, for a mean
                           over a batch of B examples 1/B each */
    fw_nn_gradient *gradients; /* (gradient_count), owned; a parameter read twice comes twice */
    uint32_t gradient_count;
} fw_nn_training;

/* Copies the graph and adds the backward pass of `loss`. Parameters the loss does not depend on get no
 * gradient. FW_UNSUPPORTED: an operator on the way has no gradient by one of its inputs. */
fw_status fw_nn_differentiate(const fw_nn_graph *graph, fw_nn_value loss, fw_nn_training *out,
                              fw_error *error) FW_MUST;
void fw_nn_training_clear(fw_nn_training *training);

/* Registers the operators above with nn/run; fw_nn_differentiate does it, tests of single operators
 * may. Any number of times, from any thread. */
void fw_nn_gradients_register(void);

/* ---- for rules ---- */

/* What a rule works with: gradients of the node's outputs (FW_NN_NONE: none came back), and whether
 * each input's gradient is wanted at all. It sets `to` of each wanted one. */
typedef struct fw_nn_rule_call {
    fw_nn_graph *graph;
    fw_nn_node node; /* the forward node (a copy: the graph's array moves when it grows) */
    fw_nn_value from[FW_NN_OUTPUTS_MAX], to[FW_NN_INPUTS_MAX];
    bool wanted[FW_NN_INPUTS_MAX];
} fw_nn_rule_call;
typedef void fw_nn_rule(fw_nn_rule_call *call);
/* NULL: the operator has no gradient. */
fw_nn_rule *fw_nn_rule_of(uint32_t op);

#endif
