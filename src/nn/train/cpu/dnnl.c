#include "nn/train/cpu/dnnl.h"

#include <dnnl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/run/cpu/class.h"
#include "nn/run/cpu/winograd.h"
#include "nn/train/grad_ops.h"

void omp_set_num_threads(int threads); /* libgomp's; omp.h is not every compiler's */

enum { PIECES_MAX = 30, ARGUMENTS_MAX = 6 };

/* One array of a primitive: as the plan has it, and as the primitive wants it. */
typedef struct tensor {
    int argument; /* DNNL_ARG_... */
    dnnl_memory_desc_t plain, inner;
    dnnl_primitive_t reorder; /* NULL: they are the same, and no sum is needed */
    size_t offset;            /* of inner in the scratch */
} tensor;

/* The step for a number of rows: c = primitive(a, b, [bias]). */
typedef struct piece {
    uint32_t rows;
    dnnl_primitive_t primitive;
    tensor a, b, c;
    dnnl_memory_desc_t scratchpad, bias;
    size_t scratchpad_offset;
} piece;

typedef struct prepared {
    piece pieces[PIECES_MAX]; /* the most rows first */
    uint32_t piece_count;
    size_t scratch_bytes;
    /* which operands of the call a, b, c and the bias are; -1: no bias */
    int a, b, bias;
    bool sums; /* c is a parameter's gradient: added to what is there */
} prepared;

/* Memory handles of one session: plain and inner of a, b, c, then scratchpad and bias, of each piece. */
typedef struct handles {
    dnnl_memory_t of[PIECES_MAX][8];
    dnnl_stream_t stream;
} handles;

static dnnl_engine_t engine;
static fw_status engine_status;

static void make_engine(void) {
    omp_set_num_threads(1);
    engine_status = dnnl_engine_create(&engine, dnnl_cpu, 0) == dnnl_success ? FW_OK : FW_UNSUPPORTED;
}

/* OpenMP's number of threads is a setting of each thread. */
static void one_thread(void) {
    static _Thread_local bool told;
    if (!told) omp_set_num_threads(1);
    told = true;
}

static fw_status check(dnnl_status_t status, const char *what, fw_error *error) {
    if (status == dnnl_success) return FW_OK;
    return fw_fail(error, status == dnnl_out_of_memory ? FW_NO_MEMORY : FW_UNSUPPORTED,
                   "oneDNN cannot %s (status %d)", what, (int)status);
}

/* ---- descriptions ---- */

static dnnl_memory_desc_t described(int dims, const dnnl_dim_t *sizes, const dnnl_dim_t *strides) {
    dnnl_memory_desc_t out;
    dnnl_dims_t d, s;
    for (int i = 0; i < dims; i++) d[i] = sizes[i], s[i] = strides[i];
    (void)dnnl_memory_desc_init_by_strides(&out, dims, d, dnnl_f32, s);
    return out;
}

static dnnl_memory_desc_t dense(int dims, const dnnl_dim_t *sizes) {
    dnnl_dim_t strides[6], stride = 1;
    for (int i = dims; i-- > 0; stride *= sizes[i]) strides[i] = stride;
    return described(dims, sizes, strides);
}

static dnnl_memory_desc_t any(const dnnl_memory_desc_t *plain) {
    dnnl_memory_desc_t out;
    (void)dnnl_memory_desc_init_by_tag(&out, plain->ndims, plain->dims, dnnl_f32,
                                       dnnl_format_tag_any);
    return out;
}

/* Sizes of a convolution, by its three arrays. */
typedef struct conv {
    dnnl_memory_desc_t x, w, y, bias;
    dnnl_dims_t strides, before, behind;
} conv;

static conv conv_of(fw_nn_shape x, fw_nn_shape w, fw_nn_shape y, const int32_t *attr,
                    uint32_t rows) {
    dnnl_dim_t n = rows, groups = attr[4];
    conv c = {.strides = {attr[0], attr[1]}, .before = {attr[2], attr[3]}};
    c.x = dense(4, (dnnl_dim_t[]){n, x.d[0], x.d[1], x.d[2]});
    c.y = dense(4, (dnnl_dim_t[]){n, y.d[0], y.d[1], y.d[2]});
    c.w = groups == 1
              ? dense(4, (dnnl_dim_t[]){w.d[0], w.d[1], w.d[2], w.d[3]})
              : dense(5, (dnnl_dim_t[]){groups, w.d[0] / groups, w.d[1], w.d[2], w.d[3]});
    c.bias = dense(1, (dnnl_dim_t[]){w.d[0]});
    for (int i = 0; i < 2; i++) /* what the last window needs beyond the image; may be negative */
        c.behind[i] = (y.d[1 + i] - 1) * c.strides[i] + w.d[2 + i] - x.d[1 + i] - c.before[i];
    return c;
}

/* Without ReLU: oneDNN's makes 0 of a NaN, and a training would go on with it. */
static dnnl_alg_kind_t eltwise_of(uint32_t op) {
    switch (op) {
    case FW_NN_TANH: return dnnl_eltwise_tanh;
    case FW_NN_SIGMOID: return dnnl_eltwise_logistic;
    case FW_NN_GELU: return dnnl_eltwise_gelu_tanh;
    case FW_NN_SILU: return dnnl_eltwise_swish;
    default: return dnnl_alg_kind_undef;
    }
}

/* Scratchpad of the caller; the activation as a post-op; a sum first where `sums`. */
static fw_status attributes(uint32_t fused, bool sums, dnnl_primitive_attr_t *out,
                            fw_error *error) {
    dnnl_post_ops_t ops;
    FW_TRY(check(dnnl_primitive_attr_create(out), "make attributes", error));
    dnnl_status_t status = dnnl_primitive_attr_set_scratchpad_mode(*out, dnnl_scratchpad_mode_user);
    if (status == dnnl_success) status = dnnl_post_ops_create(&ops);
    if (status == dnnl_success) {
        if (sums) status = dnnl_post_ops_append_sum(ops, 1);
        if (fused)
            status = dnnl_post_ops_append_eltwise(ops, 1, eltwise_of(fused),
                                                  fused == FW_NN_SILU ? 1 : 0, 0);
        if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(*out, ops);
        (void)dnnl_post_ops_destroy(ops);
    }
    if (status != dnnl_success) (void)dnnl_primitive_attr_destroy(*out);
    return check(status, "take the attributes of a step", error);
}

/* ---- making pieces ---- */

/* desc -> primitive description; the forward hint of a backward convolution is made on the way. */
static dnnl_status_t describe(const void *desc, dnnl_primitive_attr_t attr,
                              const dnnl_convolution_desc_t *hint, dnnl_primitive_desc_t *out) {
    dnnl_primitive_desc_t forward = NULL;
    if (hint) {
        dnnl_status_t status = dnnl_primitive_desc_create(&forward, hint, NULL, engine, NULL);
        if (status != dnnl_success) return status;
    }
    dnnl_status_t status = dnnl_primitive_desc_create(out, desc, attr, engine, forward);
    if (forward) (void)dnnl_primitive_desc_destroy(forward);
    return status;
}

static fw_status make_reorder(const dnnl_memory_desc_t *from, const dnnl_memory_desc_t *to,
                              bool sums, dnnl_primitive_t *out, fw_error *error) {
    dnnl_primitive_attr_t attr;
    dnnl_primitive_desc_t description;
    FW_TRY(attributes(0, sums, &attr, error));
    dnnl_status_t status =
        dnnl_reorder_primitive_desc_create(&description, from, engine, to, engine, attr);
    (void)dnnl_primitive_attr_destroy(attr);
    FW_TRY(check(status, "reorder an array", error));
    status = dnnl_primitive_create(out, description);
    (void)dnnl_primitive_desc_destroy(description);
    return check(status, "make a reorder", error);
}

static size_t take(size_t *used, const dnnl_memory_desc_t *md) {
    size_t at = *used;
    *used += (dnnl_memory_desc_get_size(md) + 63) / 64 * 64;
    return at;
}

static fw_status settle(tensor *t, dnnl_query_t what, dnnl_primitive_desc_t description, bool written,
                        bool sums, size_t *used, fw_error *error) {
    const dnnl_memory_desc_t *wanted = dnnl_primitive_desc_query_md(description, what, 0);
    t->inner = wanted ? *wanted : t->plain;
    if (dnnl_memory_desc_equal(&t->inner, &t->plain) && !(written && sums)) return FW_OK;
    t->offset = take(used, &t->inner);
    return written ? make_reorder(&t->inner, &t->plain, sums, &t->reorder, error)
                   : make_reorder(&t->plain, &t->inner, false, &t->reorder, error);
}

/* From the description to a piece that can run; takes the description. */
static fw_status finish(prepared *p, piece *q, dnnl_primitive_desc_t description,
                        const dnnl_query_t *what, bool reorder_sums, fw_error *error) {
    size_t used = 0;
    fw_status status = settle(&q->a, what[0], description, false, false, &used, error);
    if (status == FW_OK) status = settle(&q->b, what[1], description, false, false, &used, error);
    if (status == FW_OK)
        status = settle(&q->c, what[2], description, true, reorder_sums, &used, error);
    const dnnl_memory_desc_t *pad =
        dnnl_primitive_desc_query_md(description, dnnl_query_scratchpad_md, 0);
    if (pad) q->scratchpad = *pad;
    q->scratchpad_offset = used;
    used += dnnl_memory_desc_get_size(&q->scratchpad);
    if (used > p->scratch_bytes) p->scratch_bytes = used;
    if (status == FW_OK)
        status = check(dnnl_primitive_create(&q->primitive, description), "make a primitive", error);
    (void)dnnl_primitive_desc_destroy(description);
    return status;
}

static fw_status conv_piece(prepared *p, piece *q, const fw_nn_node *node, const fw_nn_call *call,
                            fw_error *error) {
    bool forward = node->op == FW_NN_CONV, by_x = node->op == FW_NN_CONV_GRAD_X;
    fw_nn_shape x = call->in[forward ? 0 : by_x ? 2 : 1].shape;
    fw_nn_shape w = call->in[forward || by_x ? 1 : 2].shape;
    fw_nn_shape y = forward ? call->out[0].shape : call->in[0].shape;
    conv c = conv_of(x, w, y, call->attr->i, q->rows);
    dnnl_memory_desc_t ax = any(&c.x), aw = any(&c.w), ay = any(&c.y);
    dnnl_convolution_desc_t hint, desc;
    dnnl_primitive_attr_t attr;
    dnnl_primitive_desc_t description = NULL;
    const dnnl_memory_desc_t *bias = forward && call->input_count > 2 ? &c.bias : NULL;
    dnnl_status_t status = dnnl_convolution_forward_desc_init(
        &hint, dnnl_forward_training, dnnl_convolution_direct, &ax, &aw, bias, &ay, c.strides,
        c.before, c.behind);
    if (status == dnnl_success && by_x)
        status = dnnl_convolution_backward_data_desc_init(&desc, dnnl_convolution_direct, &ax, &aw,
                                                          &ay, c.strides, c.before, c.behind);
    else if (status == dnnl_success && !forward)
        status = dnnl_convolution_backward_weights_desc_init(
            &desc, dnnl_convolution_direct, &ax, &aw, NULL, &ay, c.strides, c.before, c.behind);
    FW_TRY(check(status, "take the shape of a convolution", error));
    FW_TRY(attributes(call->fused, false, &attr, error));
    status = describe(forward ? &hint : &desc, attr, forward ? NULL : &hint, &description);
    (void)dnnl_primitive_attr_destroy(attr);
    FW_TRY(check(status, "find a convolution for this shape", error));
    if (bias) q->bias = c.bias;
    if (forward) {
        q->a = (tensor){.argument = DNNL_ARG_SRC, .plain = c.x};
        q->b = (tensor){.argument = DNNL_ARG_WEIGHTS, .plain = c.w};
        q->c = (tensor){.argument = DNNL_ARG_DST, .plain = c.y};
        return finish(p, q, description, (dnnl_query_t[]){dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md},
                      false, error);
    }
    q->a = (tensor){.argument = DNNL_ARG_DIFF_DST, .plain = c.y};
    q->b = by_x ? (tensor){.argument = DNNL_ARG_WEIGHTS, .plain = c.w}
                : (tensor){.argument = DNNL_ARG_SRC, .plain = c.x};
    q->c = by_x ? (tensor){.argument = DNNL_ARG_DIFF_SRC, .plain = c.x}
                : (tensor){.argument = DNNL_ARG_DIFF_WEIGHTS, .plain = c.w};
    return finish(p, q, description,
                  by_x ? (dnnl_query_t[]){dnnl_query_diff_dst_md, dnnl_query_weights_md, dnnl_query_diff_src_md}
                       : (dnnl_query_t[]){dnnl_query_diff_dst_md, dnnl_query_src_md, dnnl_query_diff_weights_md},
                  !by_x, error);
}

static fw_status linear_piece(prepared *p, piece *q, const fw_nn_node *node,
                              const fw_nn_call *call, fw_error *error) {
    bool forward = node->op == FW_NN_LINEAR, by_w = node->op == FW_NN_LINEAR_GRAD_W;
    fw_nn_shape w = by_w ? call->out[0].shape : call->in[1].shape;
    dnnl_dim_t out = w.d[0], in = w.d[1];
    size_t each = fw_nn_elements(call->in[0].shape);
    dnnl_dim_t rows = (dnnl_dim_t)(q->rows * each) / (forward ? in : out);
    dnnl_matmul_desc_t desc;
    dnnl_primitive_attr_t attr;
    dnnl_primitive_desc_t description = NULL;
    dnnl_memory_desc_t b, none = {0};
    q->a.plain = forward ? dense(2, (dnnl_dim_t[]){rows, in})
                 : by_w  ? described(2, (dnnl_dim_t[]){out, rows}, (dnnl_dim_t[]){1, out})
                         : dense(2, (dnnl_dim_t[]){rows, out});
    q->b.plain = forward ? described(2, (dnnl_dim_t[]){in, out}, (dnnl_dim_t[]){1, in})
                 : by_w  ? dense(2, (dnnl_dim_t[]){rows, in})
                         : dense(2, (dnnl_dim_t[]){out, in});
    q->c.plain = dense(2, (dnnl_dim_t[]){by_w ? out : rows, forward ? out : in});
    q->a.argument = DNNL_ARG_SRC, q->b.argument = DNNL_ARG_WEIGHTS, q->c.argument = DNNL_ARG_DST;
    if (forward && call->input_count > 2) q->bias = dense(2, (dnnl_dim_t[]){1, out});
    b = by_w ? q->b.plain : any(&q->b.plain); /* weights may be packed */
    FW_TRY(check(dnnl_matmul_desc_init(&desc, &q->a.plain, &b, q->bias.ndims ? &q->bias : &none,
                                       &q->c.plain), "take the shape of a linear layer", error));
    FW_TRY(attributes(call->fused, by_w, &attr, error));
    dnnl_status_t status = describe(&desc, attr, NULL, &description);
    (void)dnnl_primitive_attr_destroy(attr);
    FW_TRY(check(status, "find a matrix product for this shape", error));
    return finish(p, q, description, (dnnl_query_t[]){dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md},
                  false, error);
}

/* ---- prepared objects and handles ---- */

static void release_tensor(tensor *t) {
    if (t->reorder) (void)dnnl_primitive_destroy(t->reorder);
}

static void release(void *self) {
    prepared *p = self;
    for (uint32_t i = 0; i < PIECES_MAX; i++) {
        release_tensor(&p->pieces[i].a);
        release_tensor(&p->pieces[i].b);
        release_tensor(&p->pieces[i].c);
        if (p->pieces[i].primitive) (void)dnnl_primitive_destroy(p->pieces[i].primitive);
    }
    free(p);
}

static void close_handles(void *self) {
    handles *h = self;
    for (uint32_t i = 0; i < PIECES_MAX; i++)
        for (int k = 0; k < 8; k++)
            if (h->of[i][k]) (void)dnnl_memory_destroy(h->of[i][k]);
    if (h->stream) (void)dnnl_stream_destroy(h->stream);
    free(h);
}

static fw_status open_handles(const void *self, void **own, fw_error *error) {
    const prepared *p = self;
    handles *h = calloc(1, sizeof *h);
    if (!h) return fw_fail(error, FW_NO_MEMORY, "no memory for a session");
    dnnl_status_t status = dnnl_stream_create(&h->stream, engine, dnnl_stream_default_flags);
    for (uint32_t i = 0; i < p->piece_count && status == dnnl_success; i++) {
        const piece *q = &p->pieces[i];
        const dnnl_memory_desc_t *mds[8] = {&q->a.plain, &q->a.inner, &q->b.plain, &q->b.inner,
                                            &q->c.plain, &q->c.inner, &q->scratchpad, &q->bias};
        for (int k = 0; k < 8 && status == dnnl_success; k++)
            if (mds[k]->ndims)
                status = dnnl_memory_create(&h->of[i][k], mds[k], engine, DNNL_MEMORY_NONE);
    }
    fw_status result = check(status, "make memory handles", error);
    if (result != FW_OK)
        close_handles(h);
    else
        *own = h;
    return result;
}

/* ---- running ---- */

static void point(dnnl_memory_t memory, const void *data) {
    if (memory) (void)dnnl_memory_set_data_handle(memory, (void *)(uintptr_t)data);
}

static void reorder(const tensor *t, dnnl_stream_t stream, dnnl_memory_t from, dnnl_memory_t to) {
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    dnnl_status_t status = dnnl_primitive_execute(t->reorder, stream, 2, args);
    FW_ASSERT(status == dnnl_success);
}

/* The handle a primitive takes of a tensor, after its reorder; plain at [0], inner at [1]. */
static dnnl_memory_t ready(const tensor *t, const handles *h, dnnl_memory_t const *pair,
                           const void *data, uint8_t *scratch, bool written) {
    point(pair[0], data);
    if (!t->reorder) return pair[0];
    point(pair[1], scratch + t->offset);
    if (!written) reorder(t, h->stream, pair[0], pair[1]);
    return pair[1];
}

static void run_piece(const prepared *p, uint32_t i, const fw_nn_call *call, uint32_t done) {
    const handles *h = call->own;
    const piece *q = &p->pieces[i];
    const fw_nn_view *a = &call->in[p->a], *b = &call->in[p->b], *c = &call->out[0];
    dnnl_memory_t const *of = h->of[i];
    const float *from_a = a->data, *from_b = b->data;
    float *to = c->data;
    if (a->batched) from_a += done * fw_nn_elements(a->shape);
    if (b->batched) from_b += done * fw_nn_elements(b->shape);
    if (c->batched) to += done * fw_nn_elements(c->shape);
    dnnl_exec_arg_t args[5] = {
        {q->a.argument, ready(&q->a, h, of, from_a, call->scratch, false)},
        {q->b.argument, ready(&q->b, h, of + 2, from_b, call->scratch, false)},
        {q->c.argument, ready(&q->c, h, of + 4, to, call->scratch, true)}};
    int count = 3;
    if (of[6]) {
        point(of[6], (uint8_t *)call->scratch + q->scratchpad_offset);
        args[count++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, of[6]};
    }
    if (of[7]) {
        point(of[7], call->in[p->bias].data);
        args[count++] = (dnnl_exec_arg_t){DNNL_ARG_BIAS, of[7]};
    }
    dnnl_status_t status = dnnl_primitive_execute(q->primitive, h->stream, count, args);
    FW_ASSERT(status == dnnl_success);
    if (q->c.reorder) reorder(&q->c, h->stream, of[5], of[4]);
}

static void run(const fw_nn_call *call) {
    const prepared *p = call->prepared;
    one_thread();
    if (p->sums) fw_nn_start_sum(call, 0);
    uint32_t done = 0, i = 0;
    while (done < call->rows) {
        while (p->pieces[i].rows > call->rows - done) i++;
        run_piece(p, i, call, done);
        done += p->pieces[i].rows;
    }
}

/* ---- choosing ---- */

typedef fw_status make_piece(prepared *p, piece *q, const fw_nn_node *node, const fw_nn_call *call,
                             fw_error *error);

static fw_status prepare(make_piece *make, const fw_nn_node *node, const fw_nn_call *call,
                         prepared *p, fw_error *error) {
    uint32_t power = 1;
    while (power * 2 < call->rows) power *= 2;
    p->pieces[p->piece_count++].rows = call->rows;
    for (; power >= 1 && power < call->rows; power /= 2) p->pieces[p->piece_count++].rows = power;
    for (uint32_t i = 0; i < p->piece_count; i++)
        FW_TRY(make(p, &p->pieces[i], node, call, error));
    return FW_OK;
}

static bool is_linear(uint32_t op) {
    return op == FW_NN_LINEAR || op == FW_NN_LINEAR_GRAD_X || op == FW_NN_LINEAR_GRAD_W;
}
static bool is_conv(uint32_t op) {
    return op == FW_NN_CONV || op == FW_NN_CONV_GRAD_X || op == FW_NN_CONV_GRAD_W;
}

static bool takes(const fw_nn_node *node, const fw_nn_call *call, bool linear) {
    bool forward = node->op == FW_NN_CONV || node->op == FW_NN_LINEAR;
    if (!is_conv(node->op) && !(linear && is_linear(node->op))) return false;
    if (call->fused && !(forward && eltwise_of(call->fused) != dnnl_alg_kind_undef)) return false;
    /* rows are pieces of a batch */
    return call->in[0].batched && (is_linear(node->op) || node->op != FW_NN_CONV_GRAD_W ||
                                   call->in[1].batched);
}

static fw_status choose_with(bool linear, const fw_nn_node *node, const fw_nn_call *call,
                             fw_nn_choice *out, fw_error *error) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (!takes(node, call, linear)) return FW_OK;
    pthread_once(&once, make_engine);
    if (engine_status != FW_OK) return FW_OK;
    one_thread();
    bool by_w = node->op == FW_NN_LINEAR_GRAD_W || node->op == FW_NN_CONV_GRAD_W;
    prepared *p = calloc(1, sizeof *p);
    if (!p) return fw_fail(error, FW_NO_MEMORY, "no memory to plan a network");
    p->b = 1;
    p->bias = 2;
    p->sums = by_w;
    fw_status status = prepare(is_conv(node->op) ? conv_piece : linear_piece, node, call, p, error);
    if (status != FW_OK) release(p);
    if (status == FW_UNSUPPORTED) return FW_OK; /* another backend's, or the reference */
    if (status == FW_OK)
        *out = (fw_nn_choice){.kernel = run, .scratch_bytes = p->scratch_bytes, .prepared = p,
                              .release = release, .open = open_handles, .close = close_handles};
    return status;
}

/* AVX-512, which the kernels of nn/run do not use to the full. */
static bool is_wide(void) {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512f") != 0;
#else
    return false;
#endif
}

/* Below AVX-512 some are faster elsewhere: the gradient of weights over many inputs as a matrix product
 * (fused_conv.c: 43 against 30 to 38 GFLOP/s of one core for 36 channels of 24 x 5 x 5), convolutions
 * by minimal filtering (winograd.h, where weights are packed: 270 against 460 us an image for these). */
static bool is_better_elsewhere(const fw_nn_node *node, const fw_nn_call *call) {
    enum { MANY = 256, MANY_PLACES = 100 };
    fw_winograd winograd;
    if (is_wide()) return false;
    if (node->op == FW_NN_CONV) {
        fw_conv c = fw_conv_of(call->in[0].shape, call->in[1].shape, call->out[0].shape,
                               call->attr->i);
        return call->in[1].packable && c.depth >= MANY && c.out_high * c.out_wide >= MANY_PLACES &&
               fw_winograd_of(&c, &winograd);
    }
    return node->op == FW_NN_CONV_GRAD_W &&
           fw_nn_elements(call->in[2].shape) / call->in[2].shape.d[0] >= MANY;
}

static fw_status choose(const fw_nn_node *node, const fw_nn_call *call, fw_nn_choice *out,
                        fw_error *error) {
    if (is_better_elsewhere(node, call)) return FW_OK;
    return choose_with(is_wide(), node, call, out, error);
}

static fw_status choose_all(const fw_nn_node *node, const fw_nn_call *call, fw_nn_choice *out,
                            fw_error *error) {
    return choose_with(true, node, call, out, error);
}

const fw_nn_backend fw_nn_backend_dnnl = {.name = "oneDNN", .choose = choose};
const fw_nn_backend fw_nn_backend_dnnl_all = {.name = "oneDNN", .choose = choose_all};

static const char *isa_text(dnnl_cpu_isa_t isa) {
    switch (isa) {
    case dnnl_cpu_isa_sse41: return "sse41";
    case dnnl_cpu_isa_avx: return "avx";
    case dnnl_cpu_isa_avx2: return "avx2";
    case dnnl_cpu_isa_avx2_vnni: return "avx2_vnni";
    case dnnl_cpu_isa_avx512_mic: return "avx512_mic";
    case dnnl_cpu_isa_avx512_mic_4ops: return "avx512_mic_4ops";
    case dnnl_cpu_isa_avx512_core: return "avx512_core";
    case dnnl_cpu_isa_avx512_core_vnni: return "avx512_core_vnni";
    case dnnl_cpu_isa_avx512_core_bf16: return "avx512_core_bf16";
    case dnnl_cpu_isa_avx512_core_amx: return "avx512_core_amx";
    default: return "any";
    }
}

void fw_nn_training_class(char out[FW_NN_CLASS_MAX]) {
    const dnnl_version_t *v = dnnl_version();
    snprintf(out, FW_NN_CLASS_MAX, "%s, oneDNN %d.%d.%d %s", fw_nn_cpu_class(), v->major, v->minor,
             v->patch, isa_text(dnnl_get_effective_cpu_isa()));
}
