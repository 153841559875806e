/* read_attention.c - attention written out, found at its last product:
 *
 *     q (.., T, D)   k^T (.., D, S)              heads are axes in front of these, in any grouping
 *          MatMul, Mul or Div by a number        the scale; also on q and k themselves
 *          Add of a mask, Where of a mask        causal, or of whole keys; a constant, or an input's
 *          Softmax
 *          MatMul with v (.., S, D)              here
 *
 * Fewer heads of k and v are repeated by Expand (or by MatMul itself): copies, which cost nothing. */
#include <math.h>
#include <string.h>

#include "nn/onnx/tensor.h"
#include "onnx.pb-c.h"

#define HIDES (-9999.0) /* what is added to a score that shall not count, or less */

enum { MASKS_MAX = 4 };
typedef enum mask_kind { ADDED, HIDDEN_WHERE, SEEN_WHERE, MULTIPLIED } mask_kind;

typedef struct pattern {
    fw_onnx_proto *scores; /* the product of q and k */
    int64_t softmax_axis;
    double scale;
    struct {
        const fw_onnx_constant *mask;
        mask_kind kind;
    } masks[MASKS_MAX];
    uint32_t mask_count;
    const fw_onnx_tensor *keys; /* a mask that is computed: which keys count; NULL: none */
} pattern;

/* ---- truth ---- */

/* x where a condition says x != 0 (or, *inverted, x == 0); NULL: it says something else. */
static const fw_onnx_tensor *truth_of(const fw_onnx_reader *r, const char *name, bool *inverted) {
    double number;
    *inverted = false;
    for (int steps = 0; steps < 8; steps++) {
        const fw_onnx_thing *at = fw_onnx_thing_of(r, name);
        if (!at->name) return NULL;
        if (at->tensor) return at->tensor;
        if (!at->node || at->node->n_input < 1) return NULL;
        bool zero = fw_onnx_is(at->node, "Equal") && fw_onnx_number_of(r, at->node, 1, &number) && number == 0;
        if (zero || fw_onnx_is(at->node, "Not")) *inverted = !*inverted;
        else if (!fw_onnx_is(at->node, "Cast") ||
                 fw_onnx_int_of(at->node, "to", 0) != ONNX__TENSOR_PROTO__DATA_TYPE__BOOL)
            return NULL;
        name = at->node->input[0];
    }
    return NULL;
}

/* Where a condition holds one, elsewhere the other: x m + c (1 - m), m being 1 where x != 0. */
FW_ONNX_READ(where) {
    bool inverted;
    double other = 0;
    size_t number = fw_onnx_number_of(r, node, 1, &other) ? 1 : 2;
    fw_onnx_tensor t, m;
    fw_nn_value in[2];
    if (node->n_input != 3) return fw_fail(error, FW_CORRUPT, "it has not three inputs");
    const fw_onnx_tensor *truth = truth_of(r, node->input[0], &inverted);
    if (!fw_onnx_number_of(r, node, number, &other)) FW_ONNX_REFUSE("it chooses between two values");
    FW_TRY(fw_onnx_want(r, node, 3 - number, &t, error));
    if (!truth) FW_ONNX_REFUSE("its condition is none that x = 0 or x != 0 says");
    if (other < -3e38) other = -3e38;
    if (other > 3e38) other = 3e38;
    m = *truth;
    in[0] = in[1] = m.value;
    FW_TRY(fw_onnx_add(r, FW_NN_MULTIPLY, in, 2, (fw_nn_attr){0}, &m.value, error));
    FW_TRY(fw_onnx_affine(r, m.value, 1e30, 0, &m.value, error));
    FW_TRY(fw_onnx_add(r, FW_NN_CLAMP, &m.value, 1, (fw_nn_attr){.f = {0, 1}}, &m.value, error));
    if (inverted == (number == 2)) FW_TRY(fw_onnx_affine(r, m.value, -1, 1, &m.value, error));
    FW_TRY(fw_onnx_of_two(r, FW_NN_MULTIPLY, t, m, &t, error));
    FW_TRY(fw_onnx_affine(r, m.value, -other, other, &m.value, error));
    FW_TRY(fw_onnx_of_two(r, FW_NN_ADD, t, m, &t, error));
    return fw_onnx_give(r, node, 0, &t, error);
}

/* ---- looking back ---- */

static bool note(pattern *p, const fw_onnx_constant *mask, mask_kind kind) {
    if (p->mask_count == MASKS_MAX) return false;
    p->masks[p->mask_count].mask = mask;
    p->masks[p->mask_count++].kind = kind;
    return true;
}

/* m of m * much - much, which is added to scores. */
static bool key_mask_added(const fw_onnx_reader *r, const fw_onnx_thing *at, fw_onnx_tensor *room, pattern *p) {
    const fw_nn_node *maker = at && at->tensor ? fw_onnx_maker(r, at->tensor->value) : NULL;
    if (!maker || maker->op != FW_NN_AFFINE || p->keys) return false;
    double factor = (double)maker->attr.f[0], offset = (double)maker->attr.f[1];
    if (factor < -HIDES || fabs(factor + offset) > 1e-3 * factor) return false;
    *room = fw_onnx_with(at->tensor, maker->inputs[0]);
    p->keys = room;
    return true;
}

/* One node of the scores: notes what it does, and leads to the scores before it. NULL: unknown. */
static const char *back_one(const fw_onnx_reader *r, fw_onnx_proto *node, fw_onnx_tensor *room, pattern *p) {
    double number = 0;
    bool inverted, two = node->n_input == 2;
    bool cast = fw_onnx_is(node, "Cast") &&
                fw_onnx_int_of(node, "to", 0) == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    if (cast || fw_onnx_is(node, "Identity") || fw_onnx_is(node, "Dropout"))
        return fw_onnx_name_in(node, 0);
    if (two && fw_onnx_is(node, "Div") && fw_onnx_number_of(r, node, 1, &number)) {
        p->scale /= number;
        return node->input[0];
    }
    for (size_t i = 0; i < 2 && two; i++) {
        const fw_onnx_constant *c = fw_onnx_constant_of(r, node, i);
        if (c && fw_onnx_is(node, "Mul") && fw_onnx_uniform(c, &number)) {
            p->scale *= number;
            return node->input[1 - i];
        }
        bool added = fw_onnx_is(node, "Add") &&
                     (c ? note(p, c, ADDED) : key_mask_added(r, fw_onnx_in(r, node, i), room, p));
        if (added) return node->input[1 - i];
    }
    if (!fw_onnx_is(node, "Where") || node->n_input != 3) return NULL;
    size_t hidden = fw_onnx_number_of(r, node, 1, &number) && number <= HIDES ? 1 : 2;
    if (!fw_onnx_number_of(r, node, hidden, &number) || number > HIDES) return NULL;
    const fw_onnx_constant *c = fw_onnx_constant_of(r, node, 0);
    if (c) return note(p, c, hidden == 1 ? HIDDEN_WHERE : SEEN_WHERE) ? node->input[3 - hidden] : NULL;
    const fw_onnx_tensor *truth = truth_of(r, node->input[0], &inverted);
    if (!truth || p->keys || inverted != (hidden == 1)) return NULL;
    p->keys = truth;
    return node->input[3 - hidden];
}

static bool look_back(const fw_onnx_reader *r, const char *name, fw_onnx_tensor *room, pattern *p) {
    bool softmax = false;
    for (int steps = 0; name && steps < 16; steps++) {
        const fw_onnx_thing *at = fw_onnx_thing_of(r, name);
        if (!at->name || !at->node) return false;
        const fw_onnx_constant *c = NULL;
        for (size_t i = 0; i < 2 && at->node->n_input == 2 && !c; i++) c = fw_onnx_constant_of(r, at->node, i);
        if (!softmax && fw_onnx_is(at->node, "Softmax")) {
            softmax = true;
            p->softmax_axis = fw_onnx_int_of(at->node, "axis", -1);
            name = at->node->input[0];
        } else if (!softmax && c && fw_onnx_is(at->node, "Mul")) { /* what is hidden once more set to 0 */
            name = at->node->input[fw_onnx_constant_of(r, at->node, 0) ? 1 : 0];
            if (!note(p, c, MULTIPLIED)) return false;
        } else if (softmax && fw_onnx_is(at->node, "MatMul")) {
            p->scores = at->node;
            return at->node->n_input == 2;
        } else {
            name = back_one(r, at->node, room, p);
            if (!softmax && (p->scale != 1 || p->mask_count)) return false;
        }
    }
    return false;
}

/* ---- masks ---- */

/* The mask's element for query t and key s; masks of heads or examples: false. */
static bool mask_at(const fw_onnx_constant *c, int64_t t, int64_t s, double *out) {
    int64_t at = 0;
    for (uint32_t i = 0; i < c->rank; i++) {
        int64_t place = i + 1 == c->rank ? s : i + 2 == c->rank ? t : 0;
        if (i + 2 < c->rank && c->have[i] != 1) return false;
        at = at * c->have[i] + (c->have[i] == 1 ? 0 : place);
        if (c->have[i] != 1 && place >= c->have[i]) return false;
    }
    *out = fw_onnx_at(c, (size_t)at);
    return true;
}

/* 1: seen, 0: hidden, -1: neither. */
static int seen_by(const pattern *p, int64_t t, int64_t s) {
    bool seen = true;
    double v;
    for (uint32_t i = 0; i < p->mask_count; i++) {
        if (!mask_at(p->masks[i].mask, t, s, &v)) return -1;
        mask_kind kind = p->masks[i].kind;
        if (kind == ADDED && v != 0 && v > HIDES) return -1;
        if (kind == ADDED) seen &= v == 0;
        if (kind == HIDDEN_WHERE) seen &= v == 0;
        if (kind == SEEN_WHERE) seen &= v != 0;
    }
    for (uint32_t i = 0; i < p->mask_count; i++)
        if (p->masks[i].kind == MULTIPLIED && mask_at(p->masks[i].mask, t, s, &v) && v != (seen ? 1 : 0) && seen)
            return -1;
    return seen;
}

/* Which of the masks we have this is: none, causal, or of whole keys. */
static fw_status mask_of(fw_onnx_reader *r, const pattern *p, int64_t queries, int64_t keys, bool *causal,
                         fw_nn_value *key_mask, fw_error *error) {
    bool all = true, whole = true;
    *causal = true;
    float *first = fw_onnx_room(r, (size_t)keys, error);
    if (!first) return FW_NO_MEMORY;
    for (int64_t t = 0; t < queries && p->mask_count; t++)
        for (int64_t s = 0; s < keys; s++) {
            int seen = seen_by(p, t, s);
            if (seen < 0) FW_ONNX_REFUSE("its mask differs by head or example, or is no mask");
            if (t == 0) first[s] = (float)seen;
            all &= seen == 1;
            whole &= (float)seen == first[s];
            *causal &= seen == (s <= t + keys - queries);
        }
    *causal = p->mask_count > 0 && *causal && !all;
    *key_mask = FW_NN_NONE;
    if (p->keys) {
        if (fw_nn_elements(fw_onnx_shape(r, p->keys->value)) != (size_t)keys || fw_onnx_own(p->keys, p->keys->rank - 1) != keys)
            FW_ONNX_REFUSE("its mask is not one of keys");
        FW_TRY(fw_onnx_reshape(r, p->keys->value, fw_nn_shape1((uint32_t)keys), key_mask, error));
    }
    if (all || *causal) return FW_OK;
    if (!whole || p->keys) FW_ONNX_REFUSE("its mask is neither causal nor one of whole keys");
    return fw_onnx_parameter(r, "key_mask", fw_nn_shape1((uint32_t)keys), first, key_mask, error);
}

/* ---- heads ---- */

/* x scaled by a number: the number into *scale, x as it was before. */
static void unscale(const fw_onnx_reader *r, fw_nn_value *x, double *scale) {
    const fw_nn_node *maker = fw_onnx_maker(r, *x);
    if (!maker || maker->op != FW_NN_AFFINE || maker->attr.f[1] != 0) return;
    *scale *= (double)maker->attr.f[0];
    *x = maker->inputs[0];
}

/* Axes (.., rows, depth), or (.., depth, rows), as a value (rows, heads * depth). like: whose heads these
 * are to be; repeated, one for several in a row. */
static fw_status heads_of(fw_onnx_reader *r, fw_onnx_tensor *t, bool crossed, const fw_onnx_tensor *like,
                          int64_t *heads, double *scale, fw_error *error) {
    uint32_t order[FW_ONNX_RANK_MAX], used = 0, rank = t->rank;
    bool repeated = false;
    *heads = 1;
    if (rank < 2 || rank != like->rank) FW_ONNX_REFUSE("its inputs have different numbers of axes");
    if (fw_onnx_batch_axis(t) != fw_onnx_batch_axis(like) ||
        (fw_onnx_batch_axis(t) != rank && fw_onnx_batch_axis(t) + 2 >= rank))
        FW_ONNX_REFUSE("the batch lies elsewhere than on an axis before the last two");
    for (uint32_t i = 0; i < t->count; i++) {
        const fw_onnx_factor *f = &t->factors[i];
        if (f->axis + 2u >= rank && f->kind == FW_ONNX_COPY) FW_ONNX_REFUSE("it repeats rows");
        if (f->axis + 2u >= rank || f->kind == FW_ONNX_BATCHED) continue;
        if (f->kind == FW_ONNX_OWN && repeated) FW_ONNX_REFUSE("its heads are repeated in turn, not in a row");
        if (f->kind == FW_ONNX_OWN) *heads *= f->size;
        bool fewer = fw_onnx_own(t, f->axis) != fw_onnx_own(like, f->axis);
        repeated |= f->kind == FW_ONNX_COPY || fewer;
    }
    unscale(r, &t->value, scale);
    order[used++] = crossed ? rank - 1 : rank - 2;
    for (uint32_t i = 0; i + 2 < rank; i++) order[used++] = i;
    order[used++] = crossed ? rank - 2 : rank - 1;
    FW_TRY(fw_onnx_permute(r, t, order, t, error));
    unscale(r, &t->value, scale);
    fw_nn_shape shape = fw_nn_shape2((uint32_t)fw_onnx_own(t, 0), (uint32_t)(*heads * fw_onnx_own(t, rank - 1)));
    return fw_onnx_shaped(r, t, shape, &t->value, error);
}

fw_status fw_onnx_attention(fw_onnx_reader *r, fw_onnx_proto *node, fw_error *error) {
    pattern p = {.scale = 1};
    fw_onnx_tensor q, k, v, like, room;
    int64_t heads, groups, value_groups;
    uint32_t back[FW_ONNX_RANK_MAX];
    double none = 1, depth;
    bool causal;
    fw_nn_value in[4];
    if (!look_back(r, fw_onnx_name_in(node, 0), &room, &p))
        FW_ONNX_REFUSE("a product of two values is read within attention alone (scores, softmax, values)");
    FW_TRY(fw_onnx_want(r, p.scores, 0, &q, error));
    FW_TRY(fw_onnx_want(r, p.scores, 1, &k, error));
    FW_TRY(fw_onnx_want(r, node, 1, &v, error));
    like = q;
    if (p.softmax_axis != -1 && p.softmax_axis != (int64_t)q.rank - 1)
        FW_ONNX_REFUSE("its softmax is not over the keys");
    FW_TRY(heads_of(r, &q, false, &like, &heads, &p.scale, error));
    FW_TRY(heads_of(r, &k, true, &like, &groups, &p.scale, error));
    FW_TRY(heads_of(r, &v, false, &like, &value_groups, &none, error));
    if (groups != value_groups || heads % groups != 0) FW_ONNX_REFUSE("its keys and values have different heads");
    if (fw_onnx_own(&v, v.rank - 1) != fw_onnx_own(&k, k.rank - 1))
        FW_ONNX_REFUSE("its values are wider than its keys, or narrower");
    depth = (double)fw_onnx_own(&q, q.rank - 1);
    p.scale *= sqrt(depth); /* ours divides by this itself */
    in[0] = q.value, in[1] = k.value, in[2] = v.value;
    if (fabs(p.scale - 1) > 2e-6) FW_TRY(fw_onnx_affine(r, in[0], p.scale, 0, &in[0], error));
    if (none != 1) FW_TRY(fw_onnx_affine(r, in[2], none, 0, &in[2], error));
    FW_TRY(mask_of(r, &p, fw_onnx_own(&q, 0), fw_onnx_own(&k, 0), &causal, &in[3], error));
    fw_nn_attr attr = {.i = {(int32_t)heads, (int32_t)groups, causal}};
    FW_TRY(fw_onnx_add(r, FW_NN_ATTENTION, in, in[3] == FW_NN_NONE ? 3 : 4, attr, &q.value, error));
    for (uint32_t i = 0; i + 2 < q.rank; i++) back[i] = i + 1;
    back[q.rank - 2] = 0;
    back[q.rank - 1] = q.rank - 1;
    FW_TRY(fw_onnx_permute(r, &q, back, &q, error));
    return fw_onnx_give(r, node, 0, &q, error);
}
