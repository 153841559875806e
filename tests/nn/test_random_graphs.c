/* Random networks (random_graph.h) through every set of kernels and every way to plan them, against the
 * reference kernels in a plan that keeps every value, where nothing shares a byte:
 *
 *   a value changes after it was made and before it was last read      never, in any plan: bytes are
 *                                                                       compared at each reading
 *   outputs and gradients                                              those of the references
 *   an arena full of NaN before a run                                  changes nothing
 *
 * How far off bf16 may be is measured, not guessed: a small difference of large numbers loses more than
 * any fixed tolerance. The references, with the parameters that bf16 runs have, run in fp32 a few times
 * more with each input and each made value disturbed as rounding to bf16 may (up to 2^-8 of it); what
 * that moves an array by, times DISTURBED, is allowed beside the tolerance. Rounding to 6 bits instead of
 * bf16's 8 is caught within some 50 networks.
 *
 * FLYWHEEL_SEED=N repeats one, FLYWHEEL_TRIALS=N asks for more. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nn/run/cpu/bf16.h"
#include "nn/run/convert.h"
#include "nn/run/plan_parts.h"
#include "nn/train/cpu/dnnl.h"
#include "nn/train/cpu/fused.h"
#include "nn/train/grad.h"
#include "random_graph.h"
#include "seed.h"

#define BF16_TOLERANCE 0.01 /* of the largest number of an array */

enum { INPUTS_MOST = 64, KEEPS_MOST = 4, ARRAYS_MOST = 255 };
enum { DISTURBED_RUNS = 8, DISTURBED = 4 };

static uint64_t seed;
static uint32_t trials = 400;
static const fw_nn_backend *const by_hand[] = {&fw_nn_backend_fused, &fw_nn_backend_fast, NULL};
static const fw_nn_backend *const by_dnnl[] = {&fw_nn_backend_dnnl_all, NULL};

/* One network with its numbers. */
typedef struct subject {
    uint64_t seed;
    fw_nn_graph *g;
    const fw_nn_training *training; /* NULL: inference */
    fw_nn_layout layout;
    float *params, *rounded, *nans;
    const void *inputs[INPUTS_MOST], *bad_inputs[INPUTS_MOST];
    uint32_t input_count, most, rows, first_row;
    float start; /* what the gradients are before a run */
    fw_nn_value keeps[KEEPS_MOST];
    uint32_t keep_count;
} subject;

/* ---- numbers ---- */

static float input_number(const fw_nn_value_info *v, fw_random *r) {
    int32_t index = (int32_t)fw_random_below(r, 16) - 2;
    float number = fw_random_normal(r) * 0.7f;
    if (strncmp(v->name, "mask", 4) == 0) number = (float)(fw_random_below(r, 3) != 0);
    if (v->dtype == FW_NN_I32) memcpy(&number, &index, sizeof number);
    return number;
}

static void fill_inputs(subject *s, fw_random *r) {
    for (uint32_t i = 0; i < s->g->value_count; i++) {
        const fw_nn_value_info *v = &s->g->values[i];
        if (v->kind != FW_NN_INPUT) continue;
        size_t count = s->most * fw_nn_elements(v->shape);
        float *good = malloc(count * sizeof *good), *bad = malloc(count * sizeof *bad);
        assert_true(good && bad && s->input_count < INPUTS_MOST);
        for (size_t k = 0; k < count; k++) {
            good[k] = input_number(v, r);
            bad[k] = v->dtype == FW_NN_I32 ? good[k] : NAN;
        }
        s->inputs[s->input_count] = good;
        s->bad_inputs[s->input_count++] = bad;
    }
}

static void fill(subject *s, fw_random *r) {
    fw_error error;
    assert_int_equal(fw_nn_layout_make(s->g, &s->layout, &error), FW_OK);
    size_t bytes = (s->layout.floats + 16) * sizeof(float);
    s->params = aligned_alloc(64, bytes);
    s->rounded = aligned_alloc(64, bytes);
    s->nans = aligned_alloc(64, bytes);
    assert_true(s->params && s->rounded && s->nans);
    fw_nn_initialise(s->g, &s->layout, fw_random_u32(r), s->params);
    fw_nn_round_bf16(s->params, s->rounded, s->layout.floats);
    for (size_t i = 0; i < s->layout.floats; i++) s->nans[i] = NAN;
    fill_inputs(s, r);
}

static void clear(subject *s) {
    for (uint32_t i = 0; i < s->input_count; i++) {
        free((void *)(uintptr_t)s->inputs[i]);
        free((void *)(uintptr_t)s->bad_inputs[i]);
    }
    free(s->params), free(s->rounded), free(s->nans);
    fw_nn_layout_clear(&s->layout);
}

/* ---- a run, each reading watched ---- */

typedef struct manner {
    const char *name;
    const fw_nn_backend *const *backends;
    bool pack, keep_all;
    fw_nn_dtype store;
    double tolerance; /* of the largest number of an array */
    fw_random *disturb; /* of each value, once made; NULL: nothing */
} manner;

typedef struct watch {
    const subject *s;
    const manner *way;
    const fw_nn_plan *plan;
    const fw_nn_session *session;
    uint64_t *made; /* (value_count) hash of its bytes */
    bool *known;
} watch;

static uint64_t hash_value(const watch *w, fw_nn_value v) {
    const fw_nn_value_info *info = &w->s->g->values[v];
    size_t bytes = fw_nn_elements(info->shape) * (info->batched ? w->s->rows : 1) *
                   fw_nn_dtype_bytes(w->plan->dtypes[v]);
    const uint8_t *at = fw_nn_session_value(w->session, v);
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < bytes; i++) hash = (hash ^ at[i]) * 1099511628211u;
    return hash;
}

static void look(const watch *w, fw_nn_value v, const char *reader) {
    if (w->s->g->values[v].kind != FW_NN_MADE) return;
    const fw_nn_graph *g = w->s->g;
    fw_nn_value from = v; /* a reshape is its input's bytes */
    while (g->values[from].kind == FW_NN_MADE && g->nodes[g->values[from].node].op == FW_NN_RESHAPE)
        from = g->nodes[g->values[from].node].inputs[0];
    if (w->s->g->values[from].kind != FW_NN_MADE) return;
    if (!w->known[from])
        fail_msg("seed %llu, %s: %s reads %s, which was never made", (unsigned long long)w->s->seed,
                 w->way->name, reader, w->s->g->values[v].name);
    if (hash_value(w, from) != w->made[from])
        fail_msg("seed %llu, %s: %s changed before %s read it", (unsigned long long)w->s->seed,
                 w->way->name, w->s->g->values[v].name, reader);
}

static void look_ahead(const watch *w, uint32_t step) {
    if (step >= w->plan->step_count) return;
    uint32_t n = w->plan->steps[step].node, with = w->plan->decisions[n].with;
    const fw_nn_node *node = &w->s->g->nodes[n];
    for (uint32_t i = 0; i < node->input_count; i++) look(w, node->inputs[i], node->name);
    if (with != FW_NN_ALONE && fw_nn_plan_second(w->plan, n) != FW_NN_NONE)
        look(w, fw_nn_plan_second(w->plan, n), node->name);
}

/* As rounding to bf16 may: by up to 2^-8 of each number, either way. */
static void disturb(fw_random *r, float *numbers, size_t count) {
    for (size_t i = 0; i < count; i++) numbers[i] *= 1 + (2 * fw_random_unit(r) - 1) / 256;
}

static void disturb_value(const watch *w, fw_nn_value v) {
    const fw_nn_value_info *info = &w->s->g->values[v];
    if (w->plan->dtypes[v] != FW_NN_F32 || w->s->g->nodes[info->node].op == FW_NN_RESHAPE) return;
    disturb(w->way->disturb, (float *)(uintptr_t)fw_nn_session_value(w->session, v),
            fw_nn_elements(info->shape) * (info->batched ? w->s->rows : 1));
}

static void after(void *self, uint32_t step, const fw_nn_call *call) {
    watch *w = self;
    uint32_t n = w->plan->steps[step].node;
    (void)call;
    for (uint32_t i = 0; w->way->disturb && i < w->s->g->nodes[n].output_count; i++)
        disturb_value(w, fw_nn_plan_made_by(w->plan, n, i));
    for (uint32_t i = 0; i < w->s->g->nodes[n].output_count; i++) {
        fw_nn_value v = fw_nn_plan_made_by(w->plan, n, i);
        w->made[v] = hash_value(w, v);
        w->known[v] = true;
    }
    look_ahead(w, step + 1);
}

typedef enum kind { SHARED, EXAMPLES, SUM } kind;

/* Arrays of the answers, one after another: outputs, what is kept, gradients. */
typedef struct answer {
    float *numbers;
    size_t count;
    size_t starts[ARRAYS_MOST + 1];
    const char *names[ARRAYS_MOST];
    kind of[ARRAYS_MOST];
    uint32_t arrays;
} answer;

static void extend(answer *a, const void *from, size_t count) {
    a->numbers = realloc(a->numbers, (a->count + count) * sizeof(float) + 1);
    assert_non_null(a->numbers);
    memcpy(a->numbers + a->count, from, count * sizeof(float));
    a->count += count;
    a->starts[a->arrays] = a->count;
}

static void take(answer *a, const char *name, kind of, const void *from, size_t count) {
    assert_true(a->arrays < ARRAYS_MOST);
    a->names[a->arrays] = name;
    a->of[a->arrays++] = of;
    extend(a, from, count);
}

static void collect(const subject *s, const watch *w, const float *gradients, answer *out) {
    fw_nn_value seen[32];
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->g->output_count; i++) seen[count++] = s->g->outputs[i].value;
    for (uint32_t i = 0; i < s->keep_count; i++) seen[count++] = s->keeps[i];
    for (uint32_t i = 0; i < count; i++) {
        const fw_nn_value_info *info = &s->g->values[seen[i]];
        look(w, seen[i], "the caller");
        take(out, info->name, info->batched ? EXAMPLES : SHARED, fw_nn_session_value(w->session, seen[i]),
             fw_nn_elements(info->shape) * (info->batched ? s->rows : 1));
    }
    for (uint32_t i = 0; s->training && i < s->g->value_count; i++)
        if (s->g->values[i].kind == FW_NN_PARAMETER)
            take(out, s->g->values[i].name, SUM, gradients + s->layout.offsets[i],
                 fw_nn_elements(s->g->values[i].shape));
}

static fw_nn_plan *plan_of(const subject *s, const manner *way) {
    fw_error error;
    fw_nn_plan *plan;
    fw_nn_value *all = malloc((s->g->value_count + 1) * sizeof *all);
    assert_non_null(all);
    for (uint32_t i = 0; i < s->g->value_count; i++) all[i] = i;
    fw_nn_plan_options o = {.rows = s->most, .training = s->training != NULL, .backends = way->backends,
                            .pack = way->pack, .store = way->store,
                            .keep = way->keep_all ? all : s->keeps,
                            .keep_count = way->keep_all ? s->g->value_count : s->keep_count};
    if (s->training) o.gradients = s->training->gradients, o.gradient_count = s->training->gradient_count;
    if (fw_nn_plan_make(s->g, &o, &plan, &error) != FW_OK) fail_msg("%s", error.text);
    free(all);
    return plan;
}

static void run(const subject *s, const manner *way, answer *out) {
    fw_error error;
    fw_nn_session *session;
    fw_nn_plan *plan = plan_of(s, way);
    assert_int_equal(fw_nn_session_new(plan, &session, &error), FW_OK);
    assert_true(fw_nn_plan_bound_bytes(plan) <= fw_nn_plan_arena_bytes(plan));
    const float *params = way->store == FW_NN_BF16 ? s->rounded : s->params;
    size_t floats = s->layout.floats + 16;
    void *packed = aligned_alloc(64, (fw_nn_plan_packed_bytes(plan) + 127) / 64 * 64);
    float *gradients = malloc(floats * sizeof *gradients);
    watch w = {.s = s, .way = way, .plan = plan, .session = session,
               .made = calloc(s->g->value_count, sizeof *w.made),
               .known = calloc(s->g->value_count, sizeof *w.known)};
    assert_true(packed && gradients && w.made && w.known);
    for (int good = 0; good < 2; good++) {
        for (size_t i = 0; i < floats; i++) gradients[i] = s->start;
        memset(packed, 0xff, fw_nn_plan_packed_bytes(plan));
        fw_nn_plan_pack(plan, good ? params : s->nans, packed);
        if (good) look_ahead(&w, 0);
        fw_nn_run_args args = {.parameters = good ? params : s->nans, .packed = packed, .gradients = gradients,
                               .inputs = good ? s->inputs : s->bad_inputs, .rows = good ? s->rows : s->most,
                               .first_row = s->first_row, .seed = 5, .first = good && s->rows % 2,
                               .after = good ? after : NULL, .after_self = &w};
        fw_nn_session_run(session, &args);
    }
    collect(s, &w, gradients, out);
    fw_nn_session_free(session);
    fw_nn_plan_free(plan);
    free(packed), free(gradients), free(w.made), free(w.known);
}

/* Example by example with the references: what they answer, and the sum of their gradients. */
static void run_each(const subject *s, const manner *way, answer *out) {
    subject one = *s;
    answer part[32] = {{0}};
    const void *inputs[INPUTS_MOST];
    assert_true(s->rows <= 32);
    one.most = one.rows = 1;
    for (uint32_t r = 0; r < s->rows; r++) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < s->g->value_count; i++)
            if (s->g->values[i].kind == FW_NN_INPUT) {
                inputs[count] = (const float *)s->inputs[count] + r * fw_nn_elements(s->g->values[i].shape);
                count++;
            }
        memcpy(one.inputs, inputs, sizeof inputs);
        one.first_row = r;
        run(&one, way, &part[r]);
    }
    for (uint32_t k = 0; k < part[0].arrays; k++) {
        size_t from = part[0].starts[k], each = part[0].starts[k + 1] - from;
        take(out, part[0].names[k], part[0].of[k], part[0].numbers + from, each);
        for (uint32_t r = 1; r < s->rows; r++)
            if (part[0].of[k] == EXAMPLES)
                extend(out, part[r].numbers + from, each);
            else
                for (size_t i = 0; part[0].of[k] == SUM && i < each; i++)
                    out->numbers[out->count - each + i] += part[r].numbers[from + i];
    }
    for (uint32_t r = 0; r < s->rows; r++) free(part[r].numbers);
}

/* ---- comparisons ---- */

static double largest_of(const answer *a, uint32_t k) {
    double largest = 0;
    for (size_t i = a->starts[k]; i < a->starts[k + 1]; i++)
        largest = fmax(largest, fabs((double)a->numbers[i]));
    return largest;
}

/* slack: beside the tolerance, of each array; NULL: none. */
static void compare(const subject *s, const manner *way, const answer *got, const answer *wanted,
                    const double *slack) {
    double most = 0;
    assert_int_equal(got->count, wanted->count);
    for (uint32_t k = 0; k < wanted->arrays; k++) most = fmax(most, largest_of(wanted, k));
    for (uint32_t k = 0; k < wanted->arrays; k++) {
        /* 0.02: a small array, as the large ones' errors pass through it */
        double least = fmax(0.02 * most, largest_of(wanted, k));
        double allowed = way->tolerance * least + (slack ? slack[k] : 0);
        for (size_t i = wanted->starts[k]; i < wanted->starts[k + 1]; i++)
            if (!(fabs((double)got->numbers[i] - (double)wanted->numbers[i]) <= allowed))
                fail_msg("seed %llu, %s, %u of %u rows: %s, element %zu is %.9g, by the reference %.9g "
                         "(largest %.3g, allowed %.3g)",
                         (unsigned long long)s->seed, way->name, s->rows, s->most, wanted->names[k],
                         i - wanted->starts[k], (double)got->numbers[i], (double)wanted->numbers[i], least,
                         allowed);
    }
}

/* One more run of the references, inputs and made values disturbed: how far each array moves at most. */
static void disturbed_run(const subject *s, fw_random *r, const answer *wanted, double *slack) {
    subject one = *s;
    for (uint32_t i = 0, k = 0; i < s->g->value_count; i++) {
        const fw_nn_value_info *v = &s->g->values[i];
        if (v->kind != FW_NN_INPUT) continue;
        size_t count = s->most * fw_nn_elements(v->shape);
        float *copy = malloc(count * sizeof *copy);
        assert_non_null(copy);
        memcpy(copy, s->inputs[k], count * sizeof *copy);
        if (v->dtype == FW_NN_F32) disturb(r, copy, count);
        one.inputs[k++] = copy;
    }
    answer moved = {0};
    run(&one, &(manner){"disturbed", NULL, false, true, FW_NN_F32, 0, r}, &moved);
    for (uint32_t k = 0; k < wanted->arrays; k++)
        for (size_t i = wanted->starts[k]; i < wanted->starts[k + 1]; i++)
            slack[k] = fmax(slack[k], DISTURBED * fabs((double)moved.numbers[i] - (double)wanted->numbers[i]));
    free(moved.numbers);
    for (uint32_t k = 0; k < s->input_count; k++) free((void *)(uintptr_t)one.inputs[k]);
}

/* bf16 of networks that only answer, against the references in fp32 on the parameters that bf16 has. */
static void narrow_ways(subject *s) {
    static const manner narrow[] = {
        {"bf16: references", NULL, false, false, FW_NN_BF16, BF16_TOLERANCE, NULL},
        {"bf16: by hand, packed", by_hand, true, false, FW_NN_BF16, BF16_TOLERANCE, NULL},
        {"bf16: training's own", fw_nn_backends_train, true, false, FW_NN_BF16, BF16_TOLERANCE, NULL},
        {"bf16: few examples", fw_nn_backends_bf16, true, false, FW_NN_BF16, BF16_TOLERANCE, NULL},
    };
    fw_random r = fw_random_named(s->seed, "disturbed");
    double slack[ARRAYS_MOST] = {0};
    answer wanted = {0};
    subject rounded = *s;
    rounded.params = s->rounded;
    run(&rounded, &(manner){"references, rounded", NULL, false, true, FW_NN_F32, 0, NULL}, &wanted);
    for (int i = 0; i < DISTURBED_RUNS && !s->training; i++) disturbed_run(&rounded, &r, &wanted, slack);
    for (size_t i = 0; i < sizeof narrow / sizeof *narrow; i++) {
        answer got = {0};
        run(s, &narrow[i], &got);
        if (!s->training) compare(s, &narrow[i], &got, &wanted, slack);
        free(got.numbers);
    }
    free(wanted.numbers);
}

static void all_ways(subject *s) {
    static const manner ways[] = {
        {"references sharing bytes", NULL, false, false, FW_NN_F32, 0, NULL},
        {"by hand", by_hand, false, false, FW_NN_F32, 1e-3, NULL},
        {"by hand, packed", by_hand, true, false, FW_NN_F32, 1e-3, NULL},
        {"by hand, packed, all kept", by_hand, true, true, FW_NN_F32, 1e-3, NULL},
        {"oneDNN", by_dnnl, false, false, FW_NN_F32, 1e-3, NULL},
        {"training's own", fw_nn_backends_train, true, false, FW_NN_F32, 1e-3, NULL},
    };
    static const manner alone = {"example by example", NULL, false, true, FW_NN_F32, 1e-4, NULL};
    static const manner plain = {"references, all kept", NULL, false, true, FW_NN_F32, 0, NULL};
    answer wanted = {0};
    run(s, &plain, &wanted);
    answer each = {0};
    run_each(s, &plain, &each);
    compare(s, &alone, &each, &wanted, NULL);
    free(each.numbers);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        answer got = {0};
        run(s, &ways[i], &got);
        compare(s, &ways[i], &got, &wanted, NULL);
        free(got.numbers);
    }
    narrow_ways(s);
    free(wanted.numbers);
}

/* Outputs and values kept: any of the pool, inputs and parameters among them. */
static void choose_answers(subject *s, const random_graph *n, fw_random *r) {
    char name[16];
    for (uint32_t i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "y%u", i);
        fw_nn_output_add(s->g, name, n->pool[i ? fw_random_below(r, n->count) : n->count - 1]);
    }
    s->keep_count = fw_random_below(r, KEEPS_MOST);
    for (uint32_t i = 0; i < s->keep_count; i++) s->keeps[i] = n->pool[fw_random_below(r, n->count)];
}

static void trial(uint64_t number, bool training) {
    static const uint32_t sizes[] = {1, 2, 3, 4, 5, 9, 17};
    fw_error error;
    fw_random r = fw_random_named(number, "random graph");
    subject s = {.seed = number, .most = sizes[fw_random_below(&r, 7)]};
    random_graph n;
    fw_nn_training t = {0};
    assert_int_equal(fw_nn_graph_new(&s.g, &error), FW_OK);
    rg_build(&n, s.g, &r, 2 + fw_random_below(&r, 16));
    fw_nn_value loss = FW_NN_NONE;
    fw_nn_graph *forward = s.g;
    if (training) {
        fw_nn_value y = n.pool[n.count - 1];
        for (uint32_t i = n.count; i > 0 && !s.g->values[y].batched; i--) y = n.pool[i - 1];
        fw_nn_value target = fw_nn_input(s.g, "target", FW_NN_F32, s.g->values[y].shape);
        loss = rg_node(&n, fw_random_below(&r, 2) ? FW_NN_MSE : FW_NN_HUBER, (fw_nn_value[]){y, target}, 2,
                       (fw_nn_attr){.f = {0.5f}});
        n.pool[n.count < POOL_MOST ? n.count++ : POOL_MOST - 1] = loss;
    }
    choose_answers(&s, &n, &r);
    if (fw_nn_graph_check(s.g, &error) != FW_OK) fail_msg("seed %llu: %s", (unsigned long long)number, error.text);
    fw_status status = training ? fw_nn_differentiate(s.g, loss, &t, &error) : FW_OK;
    if (status == FW_OK) {
        if (training) s.g = t.graph, s.training = &t;
        fill(&s, &r);
        s.rows = 1 + fw_random_below(&r, s.most);
        if (fw_random_below(&r, 2)) s.rows = s.most;
        all_ways(&s);
        clear(&s);
    } else if (status != FW_INVALID || !strstr(error.text, "no parameter")) {
        print_message("seed %llu: no gradient: %s\n", (unsigned long long)number, error.text);
    }
    fw_nn_training_clear(&t);
    fw_nn_graph_free(forward);
}

static void inference(void **state) {
    (void)state;
    for (uint32_t i = 0; i < trials; i++) trial(seed + i, false);
}

static void training(void **state) {
    (void)state;
    for (uint32_t i = 0; i < trials; i++) trial(seed + i, true);
}

/* A weight that is the sum of two parameters: each has the weight's whole gradient,
 * added to what is there. */
static void a_weight_of_two(void **state) {
    fw_error error;
    fw_nn_graph *g;
    fw_nn_training t;
    subject s = {.most = 2, .rows = 2, .start = 1};
    fw_random r = fw_random_named(seed, "two");
    (void)state;
    assert_int_equal(fw_nn_graph_new(&g, &error), FW_OK);
    fw_nn_value x = fw_nn_input(g, "x", FW_NN_F32, fw_nn_shape1(4));
    fw_nn_value target = fw_nn_input(g, "t", FW_NN_F32, fw_nn_shape1(5));
    fw_nn_value p = fw_nn_parameter(g, "p", fw_nn_shape2(5, 4), FW_NN_INIT_NORMAL, 1);
    fw_nn_value q = fw_nn_parameter(g, "q", fw_nn_shape2(5, 4), FW_NN_INIT_NORMAL, 1);
    fw_nn_value in[] = {x, fw_nn_apply2(g, FW_NN_ADD, "w", p, q)};
    fw_nn_value y = fw_nn_node_add(g, FW_NN_LINEAR, "l", in, 2, (fw_nn_attr){0}, NULL);
    fw_nn_value loss = fw_nn_apply2(g, FW_NN_MSE, "loss", y, target);
    assert_int_equal(fw_nn_differentiate(g, loss, &t, &error), FW_OK);
    s.g = t.graph, s.training = &t;
    fill(&s, &r);
    answer got = {0};
    run(&s, &(manner){"references", NULL, false, false, FW_NN_F32, 0, NULL}, &got);
    assert_int_equal(got.count, 40);
    for (size_t i = 0; i < 20; i++) {
        assert_true(got.numbers[i] != 1);
        assert_true(got.numbers[i] == got.numbers[20 + i]);
    }
    free(got.numbers);
    clear(&s);
    fw_nn_training_clear(&t);
    fw_nn_graph_free(g);
}

int main(void) {
    const char *more = getenv("FLYWHEEL_TRIALS");
    seed = seed_of_run();
    if (getenv("FLYWHEEL_SEED")) trials = 1;
    if (more) trials = (uint32_t)strtoul(more, NULL, 10);
    const struct CMUnitTest tests[] = {cmocka_unit_test(inference), cmocka_unit_test(training),
                                       cmocka_unit_test(a_weight_of_two)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
