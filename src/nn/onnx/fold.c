/* fold.c - nodes of constants alone, computed while a file is read. Integers (shapes, indices, masks)
 * are int64, numbers are float. */
#include <math.h>
#include <string.h>

#include "nn/onnx/constant.h"
#include "onnx.pb-c.h"

typedef fw_onnx_constant constant;
typedef struct fold {
    fw_onnx_pool *pool;
    fw_onnx_proto *node;
    const constant *const *in;
    constant *out;
} fold;

#define FOLD(name) static fw_status name(fold *f, fw_error *error)

static const constant *input(const fold *f, size_t i) {
    return i < f->node->n_input ? f->in[i] : NULL;
}

/* Room for the data of f->out, by its have. */
static fw_status room(fold *f, void **data, fw_error *error) {
    size_t total = 1;
    for (uint32_t i = 0; i < f->out->rank; i++)
        if (f->out->have[i] < 0 || f->out->have[i] > FW_NN_ELEMENTS_MAX ||
            (total *= (size_t)f->out->have[i]) > FW_NN_ELEMENTS_MAX)
            FW_ONNX_REFUSE("a constant of too many elements");
    *data = fw_onnx_take(f->pool, total * (f->out->whole ? sizeof(int64_t) : sizeof(float)));
    if (!*data) return fw_fail(error, FW_NO_MEMORY, "constants of this file ask for too much memory");
    f->out->data = *data;
    return FW_OK;
}

static size_t each_bytes(const constant *c) {
    return c->whole ? sizeof(int64_t) : sizeof(float);
}
static void put(const constant *c, void *data, size_t at, double number, int64_t integer) {
    if (c->whole) ((int64_t *)data)[at] = integer;
    else ((float *)data)[at] = (float)number;
}

/* Element `at` of `out`'s data as an element of c, by strides (0: it repeats). */
static size_t from_index(const constant *out, size_t at, const size_t *strides) {
    size_t from = 0;
    for (uint32_t i = out->rank; i-- > 0;) {
        from += at % (size_t)out->have[i] * strides[i];
        at /= (size_t)out->have[i];
    }
    return from;
}
static void strides_of(const constant *c, uint32_t rank, size_t *strides) {
    size_t step = 1;
    for (uint32_t i = rank; i-- > 0;) {
        bool there = i + c->rank >= rank;
        int64_t have = there ? c->have[i + c->rank - rank] : 1;
        strides[i] = have > 1 ? step : 0;
        step *= (size_t)have;
    }
}

/* ---- one number after another ---- */

/* dims and have of the broadcast of (count) inputs. */
static fw_status spread(fold *f, size_t count, fw_error *error) {
    for (size_t n = 0; n < count; n++)
        if (input(f, n)->rank > f->out->rank) f->out->rank = input(f, n)->rank;
    for (uint32_t i = 0; i < f->out->rank; i++) f->out->dims[i] = f->out->have[i] = 1;
    for (size_t n = 0; n < count; n++) {
        const constant *c = input(f, n);
        for (uint32_t i = 0; i < c->rank; i++) {
            uint32_t to = f->out->rank - c->rank + i;
            if (c->dims[i] != 1 && f->out->dims[to] != 1 && c->dims[i] != f->out->dims[to])
                return fw_fail(error, FW_CORRUPT, "its constants do not fit each other");
            if (c->dims[i] != 1) f->out->dims[to] = c->dims[i];
            if (c->have[i] != 1) f->out->have[to] = c->have[i];
        }
    }
    return FW_OK;
}

static const char *const unary_names[] = {"Neg", "Sqrt", "Reciprocal", "Exp", "Cos", "Sin",
                                          "Floor", "Ceil", "Not", "Abs", "Log"};
static const char *const binary_names[] = {"Add", "Sub", "Mul", "Div", "Pow", "Equal", "Less",
                                           "Greater", "LessOrEqual", "GreaterOrEqual", "And", "Or",
                                           "Min", "Max", "Mod"};
enum { ADD, SUB, MUL, DIV, POW, EQUAL, LESS, GREATER, NOT_OVER, NOT_UNDER, AND, OR, MIN, MAX, MOD };
enum { UNARY_NAMES = sizeof unary_names / sizeof *unary_names,
       BINARY_NAMES = sizeof binary_names / sizeof *binary_names };

static uint32_t which(const char *name, const char *const *names, uint32_t count) {
    uint32_t i = 0;
    while (i < count && strcmp(names[i], name) != 0) i++;
    return i;
}

static double unary_of(uint32_t op, double x) {
    switch (op) {
    case 0: return -x;
    case 1: return sqrt(x);
    case 2: return 1 / x;
    case 3: return exp(x);
    case 4: return cos(x);
    case 5: return sin(x);
    case 6: return floor(x);
    case 7: return ceil(x);
    case 8: return x == 0;
    case 9: return fabs(x);
    default: return log(x);
    }
}

FOLD(unary) {
    uint32_t op = which(f->node->op_type, unary_names, UNARY_NAMES);
    const constant *x = input(f, 0);
    void *data;
    if (!x) FW_ONNX_REFUSE("its input is missing");
    bool keeps = op == 0 || op == 8 || op == 9;
    *f->out = *x;
    if (x->whole && !keeps) FW_ONNX_REFUSE("it is of integers");
    FW_TRY(room(f, &data, error));
    for (size_t i = 0; i < fw_onnx_had(x); i++) {
        double y = unary_of(op, fw_onnx_at(x, i));
        int64_t whole = x->whole ? ((const int64_t *)x->data)[i] : 0;
        if (op == 0 || (op == 9 && whole < 0)) whole = (int64_t)(0 - (uint64_t)whole);
        put(f->out, data, i, y, op == 8 ? whole == 0 : whole);
    }
    return FW_OK;
}

static double float_of(uint32_t op, double a, double b) {
    switch (op) {
    case ADD: return a + b;
    case SUB: return a - b;
    case MUL: return a * b;
    case DIV: return a / b;
    case POW: return pow(a, b);
    case EQUAL: return a == b;
    case LESS: return a < b;
    case GREATER: return a > b;
    case NOT_OVER: return a <= b;
    case NOT_UNDER: return a >= b;
    case MIN: return a < b ? a : b;
    case MAX: return a > b ? a : b;
    default: return fmod(a, b);
    }
}

/* False: it has no answer. */
static bool whole_of(uint32_t op, int64_t a, int64_t b, int64_t *out) {
    bool divides = b != 0 && !(a == INT64_MIN && b == -1);
    switch (op) {
    case ADD: return !__builtin_add_overflow(a, b, out);
    case SUB: return !__builtin_sub_overflow(a, b, out);
    case MUL: return !__builtin_mul_overflow(a, b, out);
    case DIV: return divides && (*out = a / b, true);
    case MOD: return divides && (*out = (a % b + b) % b, true);
    case EQUAL: return *out = a == b, true;
    case LESS: return *out = a < b, true;
    case GREATER: return *out = a > b, true;
    case NOT_OVER: return *out = a <= b, true;
    case NOT_UNDER: return *out = a >= b, true;
    case AND: return *out = a && b, true;
    case OR: return *out = a || b, true;
    case MIN: return *out = a < b ? a : b, true;
    case MAX: return *out = a > b ? a : b, true;
    default: return false;
    }
}

FOLD(binary) {
    uint32_t op = which(f->node->op_type, binary_names, BINARY_NAMES);
    const constant *a = input(f, 0), *b = input(f, 1);
    size_t sa[FW_ONNX_RANK_MAX], sb[FW_ONNX_RANK_MAX];
    void *data;
    if (f->node->n_input != 2 || !a || !b) FW_ONNX_REFUSE("it has not two inputs");
    bool whole = a->whole && b->whole, truth = op >= EQUAL && op <= OR;
    if (a->whole != b->whole && op != POW) FW_ONNX_REFUSE("it mixes integers and numbers");
    f->out->whole = whole || truth;
    FW_TRY(spread(f, 2, error));
    FW_TRY(room(f, &data, error));
    strides_of(a, f->out->rank, sa);
    strides_of(b, f->out->rank, sb);
    for (size_t i = 0; i < fw_onnx_had(f->out); i++) {
        size_t x = from_index(f->out, i, sa), y = from_index(f->out, i, sb);
        int64_t integer = 0;
        double number = 0;
        if (whole && !whole_of(op, ((const int64_t *)a->data)[x], ((const int64_t *)b->data)[y], &integer))
            FW_ONNX_REFUSE("its integers have no answer");
        if (!whole) number = float_of(op, fw_onnx_at(a, x), fw_onnx_at(b, y));
        put(f->out, data, i, number, whole ? integer : number != 0);
    }
    return FW_OK;
}

FOLD(where) {
    size_t strides[3][FW_ONNX_RANK_MAX], at[3];
    void *data;
    for (size_t n = 0; n < 3; n++)
        if (!input(f, n)) FW_ONNX_REFUSE("an input is missing");
    if (input(f, 1)->whole != input(f, 2)->whole) FW_ONNX_REFUSE("it mixes integers and numbers");
    f->out->whole = input(f, 1)->whole;
    FW_TRY(spread(f, 3, error));
    FW_TRY(room(f, &data, error));
    for (size_t n = 0; n < 3; n++) strides_of(input(f, n), f->out->rank, strides[n]);
    for (size_t i = 0; i < fw_onnx_had(f->out); i++) {
        for (size_t n = 0; n < 3; n++) at[n] = from_index(f->out, i, strides[n]);
        size_t taken = fw_onnx_at(input(f, 0), at[0]) != 0 ? 1 : 2;
        memcpy((char *)data + i * each_bytes(f->out),
               (const char *)input(f, taken)->data + at[taken] * each_bytes(f->out),
               each_bytes(f->out));
    }
    return FW_OK;
}

FOLD(cast) {
    const constant *x = input(f, 0);
    void *data;
    int64_t to = fw_onnx_int_of(f->node, "to", 0);
    if (!x) FW_ONNX_REFUSE("its input is missing");
    *f->out = *x;
    bool truth = to == ONNX__TENSOR_PROTO__DATA_TYPE__BOOL;
    f->out->whole = truth || to == ONNX__TENSOR_PROTO__DATA_TYPE__INT64 ||
                    to == ONNX__TENSOR_PROTO__DATA_TYPE__INT32;
    if (!f->out->whole && to != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT &&
        to != ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE)
        FW_ONNX_REFUSE("the type %lld is not read", (long long)to);
    FW_TRY(room(f, &data, error));
    for (size_t i = 0; i < fw_onnx_had(x); i++) {
        double v = fw_onnx_at(x, i);
        bool fits = x->whole || (v > -9e18 && v < 9e18);
        int64_t whole = x->whole ? ((const int64_t *)x->data)[i] : fits ? (int64_t)v : 0;
        put(f->out, data, i, v, truth ? v != 0 : whole);
    }
    return FW_OK;
}

/* ---- made of nothing ---- */

FOLD(given) {
    const Onnx__AttributeProto *a;
    constant *c = NULL;
    void *data;
    if ((a = fw_onnx_attribute(f->node, "value")) && a->t) {
        FW_TRY(fw_onnx_constant_read(f->pool, a->t, &c, error));
        *f->out = *c;
        return FW_OK;
    }
    if ((a = fw_onnx_attribute(f->node, "value_int")) || (a = fw_onnx_attribute(f->node, "value_float"))) {
        f->out->whole = a->has_i != 0;
        FW_TRY(room(f, &data, error));
        put(f->out, data, 0, (double)a->f, a->i);
        return FW_OK;
    }
    if (!(a = fw_onnx_attribute(f->node, "value_ints")) && !(a = fw_onnx_attribute(f->node, "value_floats")))
        FW_ONNX_REFUSE("a constant must be a tensor, integers or numbers");
    f->out->whole = a->n_ints > 0;
    f->out->rank = 1;
    f->out->dims[0] = f->out->have[0] = (int64_t)(a->n_ints ? a->n_ints : a->n_floats);
    FW_TRY(room(f, &data, error));
    for (size_t i = 0; i < fw_onnx_had(f->out); i++)
        put(f->out, data, i, a->n_ints ? 0 : (double)a->floats[i], a->n_ints ? a->ints[i] : 0);
    return FW_OK;
}

static fw_status dims_by(const constant *c, constant *out, fw_error *error) {
    if (!c || !c->whole || c->rank > 1 || (c->rank == 1 && c->dims[0] > FW_ONNX_RANK_MAX))
        FW_ONNX_REFUSE("its shape is no list of up to %d integers", FW_ONNX_RANK_MAX);
    out->rank = c->rank ? (uint32_t)c->dims[0] : 1;
    for (uint32_t i = 0; i < out->rank; i++) {
        out->dims[i] = ((const int64_t *)c->data)[fw_onnx_had(c) > 1 ? i : 0];
        if (out->dims[i] < 1) FW_ONNX_REFUSE("its shape has an empty or negative dimension");
    }
    return FW_OK;
}

FOLD(filled) {
    const Onnx__AttributeProto *a = fw_onnx_attribute(f->node, "value");
    constant *c = NULL;
    void *data;
    FW_TRY(dims_by(input(f, 0), f->out, error));
    if (a && a->t) FW_TRY(fw_onnx_constant_read(f->pool, a->t, &c, error));
    if (c && fw_onnx_had(c) != 1) FW_ONNX_REFUSE("its value is not one number");
    f->out->whole = c && c->whole;
    for (uint32_t i = 0; i < f->out->rank; i++) f->out->have[i] = 1;
    FW_TRY(room(f, &data, error));
    if (c) memcpy(data, c->data, each_bytes(c));
    return FW_OK;
}

FOLD(range) {
    double v[3];
    void *data;
    for (size_t i = 0; i < 3; i++)
        if (!fw_onnx_uniform(input(f, i), &v[i])) FW_ONNX_REFUSE("its ends are not known");
    double count = v[2] != 0 ? ceil((v[1] - v[0]) / v[2]) : -1;
    if (!(count >= 1 && count <= FW_NN_ELEMENTS_MAX)) FW_ONNX_REFUSE("it is empty, or too long");
    f->out->whole = input(f, 0)->whole;
    f->out->rank = 1;
    f->out->dims[0] = f->out->have[0] = (int64_t)count;
    FW_TRY(room(f, &data, error));
    for (size_t i = 0; i < (size_t)count; i++)
        put(f->out, data, i, v[0] + (double)i * v[2], (int64_t)(v[0] + (double)i * v[2]));
    return FW_OK;
}

/* ---- moved ---- */

/* f->out's data from x's, whose element for index i of the axes lies at sum of i * strides + first. */
static fw_status moved(fold *f, const constant *x, const int64_t *strides, int64_t first,
                       fw_error *error) {
    void *data;
    FW_TRY(room(f, &data, error));
    for (size_t n = 0; n < fw_onnx_had(f->out); n++) {
        size_t rest = n;
        int64_t from = first;
        for (uint32_t i = f->out->rank; i-- > 0;) {
            from += (int64_t)(rest % (size_t)f->out->have[i]) * strides[i];
            rest /= (size_t)f->out->have[i];
        }
        memcpy((char *)data + n * each_bytes(x), (const char *)x->data + (size_t)from * each_bytes(x),
               each_bytes(x));
    }
    return FW_OK;
}

static void row_strides(const constant *c, int64_t *strides) {
    int64_t step = 1;
    for (uint32_t i = c->rank; i-- > 0; step *= c->have[i]) strides[i] = step;
}

FOLD(sliced) {
    const constant *x = input(f, 0);
    fw_onnx_range ranges[FW_ONNX_RANK_MAX];
    int64_t strides[FW_ONNX_RANK_MAX], first = 0;
    uint32_t count = 0;
    if (!x) FW_ONNX_REFUSE("its input is missing");
    FW_TRY(fw_onnx_slices(f->node, f->in, x->rank, x->dims, ranges, &count, error));
    *f->out = *x;
    row_strides(x, strides);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t axis = ranges[i].axis;
        bool there = x->have[axis] > 1;
        if (ranges[i].count == 0) FW_ONNX_REFUSE("it takes nothing");
        f->out->dims[axis] = ranges[i].count;
        if (!there) continue;
        f->out->have[axis] = ranges[i].count;
        first += ranges[i].first * strides[axis];
        strides[axis] *= ranges[i].step;
    }
    return moved(f, x, strides, first, error);
}

FOLD(transposed) {
    const constant *x = input(f, 0);
    fw_onnx_ilist perm;
    int64_t from[FW_ONNX_RANK_MAX], strides[FW_ONNX_RANK_MAX];
    uint32_t seen = 0, axis;
    if (!x) FW_ONNX_REFUSE("its input is missing");
    FW_TRY(fw_onnx_ints_of(f->node, "perm", NULL, &perm, error));
    if (perm.count && perm.count != x->rank) return fw_fail(error, FW_CORRUPT, "its order is none");
    *f->out = *x;
    row_strides(x, from);
    for (uint32_t i = 0; i < x->rank; i++) {
        FW_TRY(fw_onnx_axis(perm.count ? perm.at[i] : (int64_t)(x->rank - 1 - i), x->rank, &axis, error));
        if (seen & 1u << axis) return fw_fail(error, FW_CORRUPT, "its order is none");
        seen |= 1u << axis;
        f->out->dims[i] = x->dims[axis];
        f->out->have[i] = x->have[axis];
        strides[i] = from[axis];
    }
    return moved(f, x, strides, 0, error);
}

FOLD(reshaped) {
    const constant *x = input(f, 0);
    if (!x) FW_ONNX_REFUSE("its input is missing");
    if (fw_onnx_had(x) != 1) FW_TRY(fw_onnx_constant_full(f->pool, x, &x, error));
    *f->out = *x;
    FW_TRY(fw_onnx_new_dims(f->node, f->in, x->rank, x->dims, &f->out->rank, f->out->dims, error));
    for (uint32_t i = 0; i < f->out->rank; i++) f->out->have[i] = fw_onnx_had(x) == 1 ? 1 : f->out->dims[i];
    return FW_OK;
}

/* Axes of 1 come and go without a look at the others. */
FOLD(squeezed) {
    const constant *x = input(f, 0);
    uint32_t rank, used = 0;
    if (!x) FW_ONNX_REFUSE("its input is missing");
    *f->out = *x;
    FW_TRY(fw_onnx_new_dims(f->node, f->in, x->rank, x->dims, &rank, f->out->dims, error));
    for (uint32_t i = 0; i < rank; i++) {
        while (used < x->rank && x->dims[used] == 1) used++;
        f->out->have[i] = f->out->dims[i] == 1 ? 1 : x->have[used++];
    }
    f->out->rank = rank;
    return FW_OK;
}

FOLD(gathered) {
    const constant *x = input(f, 0), *ids = input(f, 1);
    uint32_t axis = 0, used = 0;
    void *data;
    if (!x || !ids || !ids->whole || x->rank == 0) FW_ONNX_REFUSE("its inputs are missing, or no indices");
    FW_TRY(fw_onnx_axis(fw_onnx_int_of(f->node, "axis", 0), x->rank, &axis, error));
    if (x->rank - 1 + ids->rank > FW_ONNX_RANK_MAX) FW_ONNX_REFUSE("it makes too many dimensions");
    f->out->whole = x->whole;
    size_t before = 1, after = 1, picked = fw_onnx_had(ids);
    for (uint32_t i = 0; i < x->rank + ids->rank; i++) {
        bool id = i >= axis && i < axis + ids->rank;
        uint32_t from = i < axis ? i : i - ids->rank;
        if (!id && i == axis + ids->rank) continue;
        f->out->dims[used] = id ? ids->dims[i - axis] : x->dims[from];
        f->out->have[used++] = id ? ids->have[i - axis] : x->have[from];
        if (!id && i < axis) before *= (size_t)x->have[from];
        if (!id && i > axis) after *= (size_t)x->have[from];
    }
    f->out->rank = used;
    FW_TRY(room(f, &data, error));
    for (size_t b = 0; b < before; b++)
        for (size_t n = 0; n < picked; n++) {
            int64_t id = ((const int64_t *)ids->data)[n];
            if (id < 0) id += x->dims[axis];
            if (id < 0 || id >= x->dims[axis]) return fw_fail(error, FW_CORRUPT, "an index lies outside");
            if (x->have[axis] == 1) id = 0;
            memcpy((char *)data + (b * picked + n) * after * each_bytes(x),
                   (const char *)x->data + (b * (size_t)x->have[axis] + (size_t)id) * after * each_bytes(x),
                   after * each_bytes(x));
        }
    return FW_OK;
}

FOLD(joined) {
    const constant *first = input(f, 0), *full;
    uint32_t axis = 0;
    size_t before = 1, after = 1, at = 0;
    void *data;
    if (!first || first->rank == 0) FW_ONNX_REFUSE("its input is missing, or one number");
    FW_TRY(fw_onnx_axis(fw_onnx_int_of(f->node, "axis", 0), first->rank, &axis, error));
    *f->out = *first;
    f->out->dims[axis] = 0;
    for (size_t n = 0; n < f->node->n_input; n++) {
        const constant *x = input(f, n);
        if (!x || x->rank != first->rank || x->whole != first->whole) FW_ONNX_REFUSE("its inputs differ in kind");
        for (uint32_t i = 0; i < x->rank; i++)
            if (i != axis && x->dims[i] != first->dims[i])
                return fw_fail(error, FW_CORRUPT, "its inputs do not fit each other");
        if (__builtin_add_overflow(f->out->dims[axis], x->dims[axis], &f->out->dims[axis]))
            FW_ONNX_REFUSE("it is too long");
    }
    memcpy(f->out->have, f->out->dims, sizeof f->out->have);
    for (uint32_t i = 0; i < first->rank; i++) {
        if (i < axis) before *= (size_t)first->dims[i];
        if (i > axis) after *= (size_t)first->dims[i];
    }
    FW_TRY(room(f, &data, error));
    for (size_t n = 0; n < f->node->n_input; n++) {
        FW_TRY(fw_onnx_constant_full(f->pool, input(f, n), &full, error));
        size_t run = (size_t)full->dims[axis] * after, row = (size_t)f->out->dims[axis] * after;
        for (size_t b = 0; b < before; b++)
            memcpy((char *)data + (b * row + at) * each_bytes(full),
                   (const char *)full->data + b * run * each_bytes(full), run * each_bytes(full));
        at += run;
    }
    return FW_OK;
}

FOLD(expanded) {
    constant to = {0};
    const constant *x = input(f, 0);
    if (!x) FW_ONNX_REFUSE("its input is missing");
    FW_TRY(dims_by(input(f, 1), &to, error));
    uint32_t rank = x->rank > to.rank ? x->rank : to.rank;
    f->out->whole = x->whole;
    f->out->rank = rank;
    f->out->data = x->data;
    for (uint32_t i = 0; i < rank; i++) {
        bool own = i + x->rank >= rank, wanted = i + to.rank >= rank;
        int64_t have = own ? x->have[i + x->rank - rank] : 1, dim = own ? x->dims[i + x->rank - rank] : 1;
        int64_t want = wanted ? to.dims[i + to.rank - rank] : 1;
        if (dim != 1 && want != 1 && dim != want)
            return fw_fail(error, FW_CORRUPT, "it does not fit its shape");
        f->out->dims[i] = dim != 1 ? dim : want;
        f->out->have[i] = have;
    }
    return FW_OK;
}

/* What lies on one side of a diagonal is kept, the rest is 0. */
FOLD(triangle) {
    const constant *x = input(f, 0);
    double k = 0;
    void *data;
    if (!x || x->rank < 2 || (input(f, 1) && !fw_onnx_uniform(input(f, 1), &k)))
        FW_ONNX_REFUSE("its input has not two axes, or its diagonal is not known");
    FW_TRY(fw_onnx_constant_full(f->pool, x, &x, error));
    bool upper = fw_onnx_int_of(f->node, "upper", 1) != 0;
    *f->out = *x;
    FW_TRY(room(f, &data, error));
    size_t rows = (size_t)x->dims[x->rank - 2], columns = (size_t)x->dims[x->rank - 1];
    for (size_t i = 0; i < fw_onnx_had(x); i++) {
        double row = (double)(i / columns % rows), column = (double)(i % columns);
        if (upper ? column - row >= k : column - row <= k)
            memcpy((char *)data + i * each_bytes(x), (const char *)x->data + i * each_bytes(x), each_bytes(x));
    }
    return FW_OK;
}

FOLD(same) {
    if (!input(f, 0)) FW_ONNX_REFUSE("its input is missing");
    *f->out = *input(f, 0);
    return FW_OK;
}

FOLD(shape) {
    const constant *x = input(f, 0);
    constant *c = NULL;
    if (!x) FW_ONNX_REFUSE("its input is missing");
    FW_TRY(fw_onnx_shape_list(f->pool, f->node, x->rank, x->dims, &c, error));
    *f->out = *c;
    return FW_OK;
}

/* ---- */

static const struct {
    const char *name;
    fw_status (*fold)(fold *, fw_error *);
} folds[] = {{"Constant", given},      {"ConstantOfShape", filled}, {"Range", range},
             {"Identity", same},       {"Dropout", same},           {"Cast", cast},
             {"Where", where},         {"Slice", sliced},           {"Transpose", transposed},
             {"Reshape", reshaped},    {"Flatten", reshaped},       {"Squeeze", squeezed},
             {"Unsqueeze", squeezed},  {"Gather", gathered},        {"Concat", joined},
             {"Expand", expanded},     {"Trilu", triangle},         {"Shape", shape}};

fw_status fw_onnx_fold(fw_onnx_pool *pool, fw_onnx_proto *node, const fw_onnx_constant *const *in,
                       fw_onnx_constant **out, fw_error *error) {
    fw_status (*by)(fold *, fw_error *) = NULL;
    *out = NULL;
    for (size_t i = 0; i < sizeof folds / sizeof *folds && !by; i++)
        if (fw_onnx_is(node, folds[i].name)) by = folds[i].fold;
    if (!by && which(node->op_type, unary_names, UNARY_NAMES) < UNARY_NAMES) by = unary;
    if (!by && which(node->op_type, binary_names, BINARY_NAMES) < BINARY_NAMES) by = binary;
    if (!by) return FW_OK;
    constant *made = fw_onnx_take(pool, sizeof *made);
    if (!made) return fw_fail(error, FW_NO_MEMORY, "no memory for a tensor");
    fold f = {pool, node, in, made};
    FW_TRY(by(&f, error));
    *out = made;
    return FW_OK;
}
