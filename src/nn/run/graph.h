/* graph.h - a network as a static graph: values, and the nodes that make them. Built once by a small
 * API, shapes inferred and checked as it grows; afterwards only read.
 *
 *   input x ──┐
 *   weight ───┤[linear "l0"]── value ──[relu]── value ──[linear "l1"]── output y
 *   bias ─────┘                                          weight, bias
 *
 * The batch is no part of a shape. A value has the shape of one example, and is `batched` (one array
 * per example) or not (parameters: one array in all). So (64) batched is what others write (B, 64),
 * and a sequence (T, C) batched is (B, T, C). How many examples there are is said by who runs it.
 *
 *   graph --fw_nn_plan_make (plan.h)--> plan --fw_nn_session--> run            inference: nn/run
 *   graph --fw_nn_differentiate (nn/train/grad.h)--> graph with backward nodes  training: nn/train
 *
 * Invariants:
 *   (1) nodes stand in an order in which each reads only values made before it;
 *   (2) every value is written by exactly one node, or is an input or a parameter;
 *   (3) a graph that failed stays failed: the first error names the node, every later call returns
 *       FW_NN_NONE, and fw_nn_graph_check tells it;
 *   (4) sizes are bounded: FW_NN_VALUES_MAX values, elements of one example under FW_NN_ELEMENTS_MAX.
 *
 * To add an operator:
 *   1. a line in FW_NN_OPS with its shapes and attributes; one that goes element by element stands
 *      between RELU and MULTIPLY, and may then write over its input (ops.c);
 *   2. its shape rule in shape.c;
 *   3. its reference kernel in a cpu/kernels_*.c; scratch is asked for in ops.c; arithmetic other than
 *      one operation for each number that comes out stands in cost.c;
 *   4. its gradient in nn/train/grad_rules.c: new nodes; a kernel of its own only where no other
 *      operators compose to it (nn/train/grad.h);
 *   5. a row in the table of tests/nn/test_ops.c, which checks it against float64 and central
 *      differences. A function of math.h that no kernel called before (log1pf) is renamed for float64
 *      in tests/CMakeLists.txt (fw_nn_twin);
 *   6. to ONNX in nn/onnx/operators.c, as ONNX's own or by primitives, and from it in nn/onnx/read_*.c;
 *      in a network of tests/onnx/test_onnx.c and a row of docs/formats/onnx.md.
 * Faster kernels are added afterwards, beside the reference (cpu/fast.h), and are tested against it.
 */
#ifndef FW_NN_RUN_GRAPH_H
#define FW_NN_RUN_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum {
    FW_NN_DIMS_MAX = 4,
    FW_NN_INPUTS_MAX = 10,
    FW_NN_OUTPUTS_MAX = 8,
    FW_NN_NAME_MAX = 64,
    FW_NN_VALUES_MAX = 1 << 16,
    FW_NN_ELEMENTS_MAX = 1 << 28,
};

typedef uint32_t fw_nn_value; /* index of a value in its graph */
#define FW_NN_NONE UINT32_MAX

typedef enum fw_nn_dtype {
    FW_NN_F32,
    FW_NN_I32, /* indices, classes */
    FW_NN_BF16,
    FW_NN_I8
} fw_nn_dtype;
static inline size_t fw_nn_dtype_bytes(fw_nn_dtype dtype) {
    return dtype == FW_NN_I8 ? 1 : dtype == FW_NN_BF16 ? 2 : 4;
}

/* Of one example. dims 0 is a scalar. */
typedef struct fw_nn_shape {
    uint32_t dims;
    uint32_t d[FW_NN_DIMS_MAX];
} fw_nn_shape;
static inline size_t fw_nn_elements(fw_nn_shape shape) {
    size_t product = 1;
    for (uint32_t i = 0; i < shape.dims; i++) product *= shape.d[i];
    return product;
}
bool fw_nn_shape_equal(fw_nn_shape a, fw_nn_shape b);

/* Operators: X(enum, name, least inputs, most inputs, outputs).
 *
 * In the comments: shapes of one example, [..] optional, attributes i[] and f[] of fw_nn_attr.
 * Element-wise binaries take equal shapes; or an unbatched second one; or a second one that is the
 * first one's last dimensions (broadcast over the first dims). */
#define FW_NN_OPS(X)                                                                               \
    /* (.., I) with w (O, I), [b (O)] -> (.., O) */                                                \
    X(LINEAR, "linear", 2, 3, 1)                                                                   \
    /* (C, H, W) with w (O, C/g, KH, KW), [b (O)]; i: stride y, x, pad y, x, groups */             \
    X(CONV, "conv", 2, 3, 1)                                                                       \
    /* (C, H, W); i: kernel y, x, stride y, x, pad y, x. Max: of what lies inside; mean: likewise */ \
    X(MAX_POOL, "max_pool", 1, 1, 1)                                                               \
    X(MEAN_POOL, "mean_pool", 1, 1, 1)                                                             \
    /* indices (..) I32 with table (V, C) -> (.., C) */                                            \
    X(EMBEDDING, "embedding", 2, 2, 1)                                                             \
    /* over the last dimension (C), gain (C), [bias (C)]; f[0]: epsilon. Further outputs: mean and  \
       1/deviation (layer norm), 1/rms (rms norm), of each row, for the gradient */                \
    X(LAYER_NORM, "layer_norm", 2, 3, 3)                                                           \
    X(RMS_NORM, "rms_norm", 2, 2, 2)                                                               \
    /* over the last dimension */                                                                  \
    X(SOFTMAX, "softmax", 1, 1, 1)                                                                 \
    /* q (T, H*D), k and v (S, G*D), [mask (S) of 0 and 1] -> (T, H*D), and the log of each row's   \
       sum (H, T); i: heads H, key heads G, causal (1: query t sees keys up to t + S - T). A row    \
       that sees nothing gives zeros */                                                            \
    X(ATTENTION, "attention", 3, 4, 2)                                                             \
    /* (T, H*D): rotary positions; i: heads, first position; f[0]: base. Pairs (2j, 2j+1) */       \
    X(ROPE, "rope", 1, 1, 1)                                                                       \
    /* x (T, I), w (3H, I), u (3H, H), b (3H), c (3H), [h0 (H)] -> (T, H) and gates for the          \
       gradient; PyTorch's order r z n and form */                                                 \
    X(GRU, "gru", 5, 6, 2)                                                                         \
    /* x (T, I), w (4H, I), u (4H, H), b (4H), c (4H), [h0 (H), c0 (H)] -> (T, H), cells (T, H),      \
       gates; order i f g o */                                                                     \
    X(LSTM, "lstm", 5, 7, 3)                                                                       \
    /* (N, C), mask (N) of 0 and 1 -> (C); no member: zeros. Max also gives the members chosen */  \
    X(SET_MAX, "set_max", 2, 2, 2)                                                                 \
    X(SET_MEAN, "set_mean", 2, 2, 1)                                                               \
    /* (N, C), scores (N), mask (N) -> (C), and the weights (N): softmax of the scores */          \
    X(SET_ATTENTION, "set_attention", 3, 3, 2)                                                     \
    X(RELU, "relu", 1, 1, 1)                                                                       \
    X(GELU, "gelu", 1, 1, 1) /* the tanh form */                                                   \
    X(SILU, "silu", 1, 1, 1)                                                                       \
    X(TANH, "tanh", 1, 1, 1)                                                                       \
    X(SIGMOID, "sigmoid", 1, 1, 1)                                                                 \
    X(EXP, "exp", 1, 1, 1)                                                                         \
    X(ERF, "erf", 1, 1, 1) /* the error function; exact GELU is x (1 + erf(x / sqrt 2)) / 2 */     \
    X(CLAMP, "clamp", 1, 1, 1) /* f: low, high */                                                  \
    X(AFFINE, "affine", 1, 1, 1) /* f: factor, offset */                                           \
    X(ADD, "add", 2, 2, 1)                                                                         \
    X(SUBTRACT, "subtract", 2, 2, 1)                                                               \
    X(MULTIPLY, "multiply", 2, 2, 1)                                                               \
    X(RESHAPE, "reshape", 1, 1, 1)     /* i[0]: dims, i[1..4]: the new shape */                    \
    X(TRANSPOSE, "transpose", 1, 1, 1) /* i[0..3]: old dimension of each new one */                \
    X(CONCAT, "concat", 1, 8, 1)       /* i[0]: dimension */                                       \
    X(SLICE, "slice", 1, 1, 1)         /* i: dimension, first, count */                            \
    X(GATHER, "gather", 2, 2, 1)       /* (N, C) and indices (K) I32 -> (K, C) */                  \
    X(SUM_LAST, "sum_last", 1, 1, 1)   /* (.., C) -> (..) */                                       \
    X(ENTROPY, "entropy", 1, 1, 1)     /* scores (.., K) -> (..): of their softmax, in nats */     \
    /* f[0]: share dropped, i[0]: which dropout of the network it is; the identity outside training */ \
    X(DROPOUT, "dropout", 1, 1, 1)                                                                 \
    /* losses: a scalar an example, the mean over its elements; target is no place for a gradient */ \
    X(MSE, "mse", 2, 2, 1)                                                                         \
    X(HUBER, "huber", 2, 2, 1)                 /* f[0]: delta */                                   \
    X(CROSS_ENTROPY, "cross_entropy", 2, 2, 1) /* (.., K), classes (..) I32; -1: not counted */    \
    X(GAUSSIAN_NLL, "gaussian_nll", 3, 3, 1)   /* mean, log variance, target; without constant */  \
    X(QUANTILE, "quantile", 2, 2, 1)           /* f[0]: the quantile */                            \
    /* new and old log probability, advantage -> clipped surrogate, negative; f[0]: the clip */    \
    X(PPO, "ppo", 3, 3, 1)

typedef enum fw_nn_op {
#define X(op, name, least, most, outputs) FW_NN_##op,
    FW_NN_OPS(X)
#undef X
        FW_NN_OP_COUNT,
    FW_NN_GRADIENT_OPS = 128 /* kinds from here on belong to nn/train */
} fw_nn_op;

typedef struct fw_nn_attr {
    int32_t i[8];
    float f[4];
} fw_nn_attr;

/* How a parameter starts. */
typedef enum fw_nn_init {
    FW_NN_INIT_ZERO,
    FW_NN_INIT_ONE,
    FW_NN_INIT_NORMAL,  /* deviation init_scale */
    FW_NN_INIT_UNIFORM, /* within +- init_scale */
} fw_nn_init;

typedef enum fw_nn_kind { FW_NN_INPUT, FW_NN_PARAMETER, FW_NN_MADE } fw_nn_kind;

typedef struct fw_nn_value_info {
    char name[FW_NN_NAME_MAX]; /* of inputs and parameters; "node:output" of others is made up */
    fw_nn_kind kind;
    fw_nn_dtype dtype;
    fw_nn_shape shape;
    bool batched;
    uint32_t node, output; /* who makes it (MADE) */
    fw_nn_init init;       /* PARAMETER */
    float init_scale;
} fw_nn_value_info;

typedef struct fw_nn_node {
    char name[FW_NN_NAME_MAX];
    uint32_t op; /* fw_nn_op, or a gradient's */
    uint32_t input_count, output_count;
    fw_nn_value inputs[FW_NN_INPUTS_MAX], outputs[FW_NN_OUTPUTS_MAX];
    fw_nn_attr attr;
} fw_nn_node;

typedef struct fw_nn_output {
    char name[FW_NN_NAME_MAX];
    fw_nn_value value;
} fw_nn_output;

/* Read freely; changed only by the functions below. */
typedef struct fw_nn_graph {
    fw_nn_value_info *values; /* (value_count), owned */
    uint32_t *hashes;         /* (value_count) of the names of inputs and parameters; 0: made; owned */
    fw_nn_node *nodes;        /* (node_count), owned */
    fw_nn_output outputs[FW_NN_INPUTS_MAX];
    uint32_t value_count, node_count, output_count;
    uint32_t value_room, node_room;
    fw_status status; /* of the first failure */
    fw_error error;
} fw_nn_graph;

fw_status fw_nn_graph_new(fw_nn_graph **out, fw_error *error) FW_MUST;
void fw_nn_graph_free(fw_nn_graph *graph);
/* A copy that may grow on its own (differentiation does). */
fw_status fw_nn_graph_copy(const fw_nn_graph *graph, fw_nn_graph **out, fw_error *error) FW_MUST;
/* FW_OK, or the first failure: "node l3 (linear): the weight takes 64 features, the input has 32". */
fw_status fw_nn_graph_check(const fw_nn_graph *graph, fw_error *error) FW_MUST;

/* Batched; names are unique in a graph. */
fw_nn_value fw_nn_input(fw_nn_graph *graph, const char *name, fw_nn_dtype dtype,
                        fw_nn_shape shape);
fw_nn_value fw_nn_parameter(fw_nn_graph *graph, const char *name, fw_nn_shape shape,
                            fw_nn_init init, float init_scale);
void fw_nn_output_add(fw_nn_graph *graph, const char *name, fw_nn_value value);

/* The general door: one node of any operator. outputs may be NULL; returns the first output. */
fw_nn_value fw_nn_node_add(fw_nn_graph *graph, uint32_t op, const char *name,
                           const fw_nn_value *inputs, uint32_t input_count, fw_nn_attr attr,
                           fw_nn_value *outputs);

/* Name of an operator; gradients' names come from nn/train through fw_nn_op_info. */
const char *fw_nn_op_name(uint32_t op);
/* FW_NOT_FOUND: no such operator (of nn/run). */
fw_status fw_nn_op_find(const char *name, uint32_t *op) FW_MUST;
/* A value by the name of an input, a parameter or an output; FW_NN_NONE. */
fw_nn_value fw_nn_find(const fw_nn_graph *graph, const char *name);
/* Elements of all parameters. */
size_t fw_nn_parameter_elements(const fw_nn_graph *graph);

static inline fw_nn_shape fw_nn_shape0(void) {
    return (fw_nn_shape){0, {0}};
}
static inline fw_nn_shape fw_nn_shape1(uint32_t a) {
    return (fw_nn_shape){1, {a}};
}
static inline fw_nn_shape fw_nn_shape2(uint32_t a, uint32_t b) {
    return (fw_nn_shape){2, {a, b}};
}
static inline fw_nn_shape fw_nn_shape3(uint32_t a, uint32_t b, uint32_t c) {
    return (fw_nn_shape){3, {a, b, c}};
}
static inline fw_nn_shape fw_nn_shape4(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    return (fw_nn_shape){4, {a, b, c, d}};
}

#endif
