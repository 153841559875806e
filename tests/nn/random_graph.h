/* random_graph.h - networks nobody would draw: any operator on any value that fits it, values read many
 * times or never, weights that are themselves made, inputs and parameters as outputs. Inputs named
 * "mask.." hold 0 and 1, "ids.." indices, some of them out of range.
 *
 *   pool of values --pick one, bend its shape--> an operator --> its output joins the pool
 */
#ifndef FW_TESTS_NN_RANDOM_GRAPH_H
#define FW_TESTS_NN_RANDOM_GRAPH_H

#include <stdio.h>

#include "base/random.h"
#include "nn/run/layers.h"

enum { POOL_MOST = 64, WIDE_MOST = 800 };

typedef struct random_graph {
    fw_nn_graph *g;
    fw_random *r;
    fw_nn_value pool[POOL_MOST];
    uint32_t count, names;
    char name[16];
} random_graph;

static inline uint32_t rg_up_to(random_graph *n, uint32_t most) {
    return 1 + fw_random_below(n->r, most);
}
static inline bool rg_coin(random_graph *n) {
    return fw_random_below(n->r, 2) != 0;
}
static inline const char *rg_name(random_graph *n, const char *kind) {
    snprintf(n->name, sizeof n->name, "%s%u", kind, n->names++);
    return n->name;
}
static inline const fw_nn_value_info *rg_info(const random_graph *n, fw_nn_value v) {
    return &n->g->values[v];
}
static inline fw_nn_value rg_node(random_graph *n, uint32_t op, const fw_nn_value *in, uint32_t count,
                                  fw_nn_attr attr) {
    return fw_nn_node_add(n->g, op, rg_name(n, "n"), in, count, attr, NULL);
}
static inline fw_nn_value rg_one(random_graph *n, uint32_t op, fw_nn_value x) {
    return rg_node(n, op, &x, 1, (fw_nn_attr){0});
}

/* One of the pool: mostly of the last few, so that chains come about. */
static inline fw_nn_value rg_any(random_graph *n) {
    uint32_t near = n->count < 4 ? n->count : 4;
    return rg_coin(n) ? n->pool[n->count - rg_up_to(n, near)] : n->pool[fw_random_below(n->r, n->count)];
}
static inline fw_nn_value rg_parameter(random_graph *n, fw_nn_shape shape) {
    size_t in = shape.dims > 1 ? fw_nn_elements(shape) / shape.d[0] : 4;
    float scale = in > 4 ? 1.0f / (float)in : 0.3f;
    return fw_nn_parameter(n->g, rg_name(n, "p"), shape, FW_NN_INIT_NORMAL, scale * 1.5f);
}
/* A parameter, or something made of parameters alone. */
static inline fw_nn_value rg_weight(random_graph *n, fw_nn_shape shape) {
    fw_nn_value p = rg_parameter(n, shape);
    if (fw_random_below(n->r, 5) > 0) return p;
    switch (fw_random_below(n->r, 3)) {
    case 0: return rg_one(n, FW_NN_TANH, p);
    case 1: return rg_node(n, FW_NN_ADD, (fw_nn_value[]){p, rg_parameter(n, shape)}, 2, (fw_nn_attr){0});
    default: return rg_node(n, FW_NN_ADD, (fw_nn_value[]){p, rg_one(n, FW_NN_SIGMOID, rg_parameter(n, shape))},
                            2, (fw_nn_attr){0});
    }
}
static inline fw_nn_value rg_reshape(random_graph *n, fw_nn_value x, fw_nn_shape shape) {
    return fw_nn_reshape(n->g, rg_name(n, "v"), x, shape);
}

static inline uint32_t rg_divisor(random_graph *n, uint32_t of) {
    uint32_t d = rg_up_to(n, of);
    while (of % d) d--;
    return d;
}
/* The same numbers as (.., C), `dims` of them. */
static inline fw_nn_value rg_bend(random_graph *n, fw_nn_value x, uint32_t dims) {
    fw_nn_shape s = rg_info(n, x)->shape;
    if (s.dims == dims && fw_random_below(n->r, 6)) return x;
    uint32_t left = (uint32_t)fw_nn_elements(s);
    fw_nn_shape to = {.dims = dims};
    for (uint32_t i = dims; i-- > 1; left /= to.d[i])
        to.d[i] = i == dims - 1 && s.dims > 1 ? s.d[s.dims - 1] : rg_divisor(n, left);
    to.d[0] = left;
    return rg_reshape(n, x, to);
}
/* Like v in shape, and no more batched; v itself at times. */
static inline fw_nn_value rg_partner(random_graph *n, fw_nn_value v) {
    const fw_nn_value_info info = *rg_info(n, v);
    fw_nn_shape s = info.shape;
    uint32_t start = fw_random_below(n->r, n->count);
    for (uint32_t i = 0; i < n->count && fw_random_below(n->r, 8); i++) {
        fw_nn_value other = n->pool[(start + i) % n->count];
        const fw_nn_value_info *o = rg_info(n, other);
        if (fw_nn_shape_equal(o->shape, s) && (info.batched || !o->batched)) return other;
    }
    uint32_t cut = fw_random_below(n->r, s.dims + 1);
    for (uint32_t i = cut; i < s.dims; i++) s.d[i - cut] = s.d[i];
    s.dims -= cut;
    return rg_weight(n, s);
}

static inline fw_nn_value rg_linear_to(random_graph *n, fw_nn_value x, uint32_t out) {
    fw_nn_shape s = rg_info(n, x)->shape;
    fw_nn_value in[3] = {x, rg_weight(n, fw_nn_shape2(out, s.d[s.dims - 1])), 0};
    bool bias = rg_coin(n);
    if (bias) in[2] = rg_weight(n, fw_nn_shape1(out));
    return rg_node(n, FW_NN_LINEAR, in, bias ? 3 : 2, (fw_nn_attr){0});
}
static inline fw_nn_value rg_linear(random_graph *n) {
    return rg_linear_to(n, rg_bend(n, rg_any(n), rg_up_to(n, 3)), rg_up_to(n, rg_coin(n) ? 9 : 40));
}
static inline fw_nn_value rg_conv(random_graph *n) {
    fw_nn_value x = rg_bend(n, rg_any(n), 3);
    fw_nn_shape s = rg_info(n, x)->shape;
    uint32_t ky = rg_up_to(n, s.d[1] < 4 ? s.d[1] : 4), kx = rg_up_to(n, s.d[2] < 4 ? s.d[2] : 4);
    uint32_t groups = rg_coin(n) ? 1 : rg_divisor(n, s.d[0]);
    if (rg_coin(n) && s.d[1] > 2 && s.d[2] > 2) ky = kx = 3;
    fw_nn_value in[3] = {x, rg_weight(n, fw_nn_shape4(groups * rg_up_to(n, 6), s.d[0] / groups, ky, kx)), 0};
    if (rg_coin(n)) in[2] = rg_weight(n, fw_nn_shape1(rg_info(n, in[1])->shape.d[0]));
    fw_nn_attr attr = {.i = {(int32_t)rg_up_to(n, 2), (int32_t)rg_up_to(n, 2),
                             (int32_t)fw_random_below(n->r, ky), (int32_t)fw_random_below(n->r, kx),
                             (int32_t)groups}};
    if (rg_coin(n)) attr.i[0] = attr.i[1] = 1;
    return rg_node(n, FW_NN_CONV, in, in[2] ? 3 : 2, attr);
}
static inline fw_nn_value rg_pool(random_graph *n) {
    fw_nn_value x = rg_bend(n, rg_any(n), 3);
    fw_nn_shape s = rg_info(n, x)->shape;
    uint32_t ky = rg_up_to(n, s.d[1] < 3 ? s.d[1] : 3), kx = rg_up_to(n, s.d[2] < 3 ? s.d[2] : 3);
    fw_nn_attr attr = {.i = {(int32_t)ky, (int32_t)kx, (int32_t)rg_up_to(n, 2), (int32_t)rg_up_to(n, 2),
                             (int32_t)fw_random_below(n->r, ky), (int32_t)fw_random_below(n->r, kx)}};
    return rg_node(n, rg_coin(n) ? FW_NN_MAX_POOL : FW_NN_MEAN_POOL, &x, 1, attr);
}
static inline fw_nn_value rg_norm(random_graph *n) {
    fw_nn_value x = rg_bend(n, rg_any(n), rg_up_to(n, 3));
    fw_nn_shape s = rg_info(n, x)->shape, wide = fw_nn_shape1(s.d[s.dims - 1]);
    fw_nn_attr attr = {.f = {0.1f}};
    if (rg_coin(n)) return rg_node(n, FW_NN_RMS_NORM, (fw_nn_value[]){x, rg_weight(n, wide)}, 2, attr);
    fw_nn_value gain = rg_weight(n, wide), bias = rg_weight(n, wide);
    return rg_node(n, FW_NN_LAYER_NORM, (fw_nn_value[]){x, gain, bias}, rg_coin(n) ? 2 : 3, attr);
}
static inline fw_nn_value rg_mask(random_graph *n, uint32_t count) {
    return fw_nn_input(n->g, rg_name(n, "mask"), FW_NN_F32, fw_nn_shape1(count));
}
static inline fw_nn_value rg_attention(random_graph *n) {
    fw_nn_value q = rg_bend(n, rg_any(n), 2), k = q, v = q;
    uint32_t width = rg_info(n, q)->shape.d[1], heads = rg_divisor(n, width);
    uint32_t groups = rg_divisor(n, heads);
    if (groups != heads || rg_coin(n)) {
        k = rg_linear_to(n, rg_bend(n, rg_any(n), 2), width / heads * groups);
        v = rg_coin(n) ? k : rg_weight(n, rg_info(n, k)->shape);
    }
    fw_nn_value in[4] = {q, k, v, 0};
    bool masked = rg_coin(n);
    if (masked) in[3] = rg_mask(n, rg_info(n, k)->shape.d[0]);
    return rg_node(n, FW_NN_ATTENTION, in, masked ? 4 : 3,
                   (fw_nn_attr){.i = {(int32_t)heads, (int32_t)groups, (int32_t)rg_coin(n)}});
}
static inline fw_nn_value rg_rope(random_graph *n) {
    fw_nn_value x = rg_linear_to(n, rg_bend(n, rg_any(n), 2), 2 * rg_up_to(n, 6));
    uint32_t heads = rg_divisor(n, rg_info(n, x)->shape.d[1] / 2);
    return rg_node(n, FW_NN_ROPE, &x, 1,
                   (fw_nn_attr){.i = {(int32_t)heads, (int32_t)rg_up_to(n, 5)}, .f = {100}});
}
static inline fw_nn_value rg_recurrent(random_graph *n) {
    fw_nn_value x = rg_bend(n, rg_any(n), 2), state = rg_any(n);
    bool lstm = rg_coin(n), given = rg_coin(n);
    uint32_t gates = lstm ? 4 : 3, hidden = rg_up_to(n, 12), wide = rg_info(n, x)->shape.d[1];
    fw_nn_value in[7] = {x, rg_weight(n, fw_nn_shape2(gates * hidden, wide)),
                         rg_weight(n, fw_nn_shape2(gates * hidden, hidden)),
                         rg_weight(n, fw_nn_shape1(gates * hidden)), rg_weight(n, fw_nn_shape1(gates * hidden))};
    if (given) {
        state = rg_linear_to(n, rg_bend(n, state, 1), hidden);
        if (rg_info(n, state)->batched && !rg_info(n, x)->batched) state = rg_weight(n, fw_nn_shape1(hidden));
        in[5] = state;
        in[6] = rg_coin(n) ? state : rg_weight(n, fw_nn_shape1(hidden));
    }
    return rg_node(n, lstm ? FW_NN_LSTM : FW_NN_GRU, in, 5 + (!given ? 0 : lstm ? 2 : 1), (fw_nn_attr){0});
}
static inline fw_nn_value rg_set(random_graph *n) {
    fw_nn_value x = rg_bend(n, rg_any(n), 2);
    uint32_t members = rg_info(n, x)->shape.d[0];
    if (rg_coin(n))
        return rg_node(n, rg_coin(n) ? FW_NN_SET_MAX : FW_NN_SET_MEAN,
                       (fw_nn_value[]){x, rg_mask(n, members)}, 2, (fw_nn_attr){0});
    fw_nn_value scores = rg_reshape(n, rg_linear_to(n, x, 1), fw_nn_shape1(members));
    return rg_node(n, FW_NN_SET_ATTENTION, (fw_nn_value[]){x, scores, rg_mask(n, members)}, 3,
                   (fw_nn_attr){0});
}
static inline fw_nn_value rg_look_up(random_graph *n) {
    fw_nn_value ids = fw_nn_input(n->g, rg_name(n, "ids"), FW_NN_I32, fw_nn_shape1(rg_up_to(n, 9)));
    if (rg_coin(n))
        return rg_node(n, FW_NN_EMBEDDING,
                       (fw_nn_value[]){ids, rg_weight(n, fw_nn_shape2(rg_up_to(n, 12), rg_up_to(n, 20)))}, 2,
                       (fw_nn_attr){0});
    return rg_node(n, FW_NN_GATHER, (fw_nn_value[]){rg_bend(n, rg_any(n), 2), ids}, 2, (fw_nn_attr){0});
}
static inline fw_nn_value rg_shape(random_graph *n) {
    fw_nn_value x = rg_bend(n, rg_any(n), 1 + rg_up_to(n, 3));
    fw_nn_shape s = rg_info(n, x)->shape;
    int32_t along = (int32_t)fw_random_below(n->r, s.dims);
    uint32_t size = s.d[along], first = fw_random_below(n->r, size);
    fw_nn_attr turn = {.i = {along}};
    for (int32_t i = 0, to = 1; i < (int32_t)s.dims; i++)
        if (i != along) turn.i[to++] = i;
    switch (fw_random_below(n->r, 5)) {
    case 0: return rg_node(n, FW_NN_TRANSPOSE, &x, 1, turn);
    case 1: return rg_node(n, FW_NN_SLICE, &x, 1,
                           (fw_nn_attr){.i = {along, (int32_t)first, (int32_t)rg_up_to(n, size - first)}});
    case 2: return rg_node(n, FW_NN_CONCAT, (fw_nn_value[]){x, x}, 2, (fw_nn_attr){.i = {along}});
    case 3: {
        fw_nn_value other = rg_one(n, FW_NN_TANH, x);
        return rg_node(n, FW_NN_CONCAT, (fw_nn_value[]){other, x, other}, 3, (fw_nn_attr){.i = {along}});
    }
    default: return rg_bend(n, x, rg_up_to(n, 4));
    }
}
static inline fw_nn_value rg_element(random_graph *n) {
    static const fw_nn_op ops[] = {FW_NN_RELU, FW_NN_GELU, FW_NN_SILU, FW_NN_TANH, FW_NN_SIGMOID, FW_NN_ERF};
    fw_nn_value x = rg_any(n);
    switch (fw_random_below(n->r, 10)) {
    case 0: return rg_node(n, FW_NN_CLAMP, &x, 1, (fw_nn_attr){.f = {-0.5f, 0.7f}});
    case 1: return rg_node(n, FW_NN_AFFINE, &x, 1, (fw_nn_attr){.f = {-0.7f, 0.2f}});
    case 2: return rg_one(n, FW_NN_EXP, rg_one(n, FW_NN_TANH, x));
    case 3: return rg_node(n, FW_NN_DROPOUT, &x, 1,
                           (fw_nn_attr){.i = {(int32_t)n->names}, .f = {0.3f}});
    default: return rg_one(n, ops[fw_random_below(n->r, 6)], x);
    }
}
static inline fw_nn_value rg_binary(random_graph *n) {
    static const fw_nn_op ops[] = {FW_NN_ADD, FW_NN_ADD, FW_NN_SUBTRACT, FW_NN_MULTIPLY};
    fw_nn_value x = rg_any(n), y = rg_partner(n, x);
    return rg_node(n, ops[fw_random_below(n->r, 4)], (fw_nn_value[]){x, y}, 2, (fw_nn_attr){0});
}
/* Two layers that meet: the pattern of a residual, either of them the older one. */
static inline fw_nn_value rg_residual(random_graph *n) {
    fw_nn_value x = rg_bend(n, rg_any(n), rg_up_to(n, 2));
    uint32_t width = rg_info(n, x)->shape.d[rg_info(n, x)->shape.dims - 1];
    fw_nn_value a = rg_linear_to(n, x, width), b = rg_coin(n) ? rg_linear_to(n, x, width) : x;
    fw_nn_value in[] = {a, b}, turned[] = {b, a};
    return rg_node(n, FW_NN_ADD, rg_coin(n) ? in : turned, 2, (fw_nn_attr){0});
}
static inline fw_nn_value rg_row(random_graph *n) {
    static const fw_nn_op ops[] = {FW_NN_SOFTMAX, FW_NN_SUM_LAST, FW_NN_ENTROPY};
    return rg_one(n, ops[fw_random_below(n->r, 3)], rg_bend(n, rg_any(n), rg_up_to(n, 3)));
}

static inline void rg_join(random_graph *n, fw_nn_value v) {
    if (v == FW_NN_NONE || n->count == POOL_MOST || fw_nn_elements(rg_info(n, v)->shape) > WIDE_MOST) return;
    n->pool[n->count++] = v;
}

/* `nodes` operators over one to three inputs; the pool is what may be read. */
static inline void rg_build(random_graph *n, fw_nn_graph *g, fw_random *r, uint32_t nodes) {
    typedef fw_nn_value maker(random_graph *);
    static maker *const makers[] = {rg_linear, rg_linear, rg_conv, rg_conv, rg_pool, rg_norm, rg_attention,
                                    rg_rope, rg_recurrent, rg_set, rg_look_up, rg_shape, rg_shape, rg_element,
                                    rg_element, rg_element, rg_element, rg_binary, rg_binary, rg_binary,
                                    rg_residual, rg_row};
    *n = (random_graph){.g = g, .r = r};
    for (uint32_t i = rg_up_to(n, 3); i > 0; i--) {
        fw_nn_shape s = {.dims = fw_random_below(r, 4)};
        for (uint32_t k = 0; k < s.dims; k++) s.d[k] = rg_up_to(n, s.dims == 1 ? 40 : 9);
        rg_join(n, fw_nn_input(g, rg_name(n, "x"), FW_NN_F32, s));
        if (rg_coin(n)) rg_join(n, rg_parameter(n, s));
    }
    for (uint32_t i = 0; i < nodes; i++)
        rg_join(n, makers[fw_random_below(r, sizeof makers / sizeof *makers)](n));
}

#endif
