#include "nn/run/calibrate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/run/cpu/fast.h"
#include "nn/run/cpu/int8.h"

/* Of one value. */
typedef struct histogram {
    uint64_t bins[FW_NN_BINS];
    uint64_t count, run; /* run: the last that counted it; several nodes may read one value */
    double top; /* a power of two */
    float most;
} histogram;

struct fw_nn_calibration {
    const fw_nn_graph *graph;
    fw_nn_plan *plan;
    fw_nn_session *session;
    void *packed;
    histogram **of; /* (value_count) NULL: read by no int8 layer */
    uint64_t runs;
    const fw_nn_node *failed; /* read something that is not finite in this run */
};

/* ---- one histogram ---- */

static void double_top(histogram *h) {
    for (size_t i = 0; i < FW_NN_BINS / 2; i++) h->bins[i] = h->bins[2 * i] + h->bins[2 * i + 1];
    memset(h->bins + FW_NN_BINS / 2, 0, sizeof h->bins / 2);
    h->top *= 2;
}

static void count_number(histogram *h, float size) {
    while ((double)size >= h->top) double_top(h);
    size_t bin = (size_t)((double)size / h->top * FW_NN_BINS); /* exact */
    h->bins[bin]++;
    h->most = size > h->most ? size : h->most;
    h->count++;
}

static float range_of(const histogram *h, double share) {
    uint64_t seen = 0;
    for (size_t i = 0; share < 1 && i < FW_NN_BINS; i++) {
        seen += h->bins[i];
        float edge = (float)(h->top * (double)(i + 1) / FW_NN_BINS);
        if ((double)seen >= share * (double)h->count) return edge < h->most ? edge : h->most;
    }
    return h->most;
}

/* ---- runs ---- */

static bool all_finite(const float *x, size_t count) {
    bool finite = true;
    for (size_t i = 0; i < count; i++) finite &= isfinite(x[i]) != 0;
    return finite;
}

static void look(void *self, uint32_t step, const fw_nn_call *call) {
    fw_nn_calibration *c = self;
    const fw_nn_node *node = fw_nn_plan_step(c->plan, step);
    histogram *h = fw_nn_int8_reads(node) ? c->of[node->inputs[0]] : NULL;
    if (!h || h->run == c->runs || c->failed) return;
    const float *x = fw_nn_in(call, 0);
    size_t count = fw_nn_total(call, &call->in[0]);
    if (!all_finite(x, count)) {
        c->failed = node;
        return;
    }
    h->run = c->runs;
    for (size_t i = 0; i < count; i++) count_number(h, fabsf(x[i]));
}

fw_status fw_nn_calibration_add(fw_nn_calibration *c, const float *parameters,
                                const void *const *inputs, uint32_t rows, fw_error *error) {
    c->runs++;
    c->failed = NULL;
    if (c->packed) fw_nn_plan_pack(c->plan, parameters, c->packed);
    fw_nn_session_run(c->session, &(fw_nn_run_args){.parameters = parameters, .packed = c->packed,
                                                    .inputs = inputs, .rows = rows, .after = look,
                                                    .after_self = c});
    if (!c->failed) return FW_OK;
    return fw_fail(error, FW_INVALID, "node %s reads a number that is not finite", c->failed->name);
}

static fw_status open_all(fw_nn_calibration *c, uint32_t rows, fw_error *error) {
    const fw_nn_graph *g = c->graph;
    fw_nn_plan_options options = {.rows = rows, .backends = fw_nn_backends_run};
    FW_TRY(fw_nn_plan_make(g, &options, &c->plan, error));
    FW_TRY(fw_nn_session_new(c->plan, &c->session, error));
    size_t packed = fw_nn_plan_packed_bytes(c->plan);
    c->of = calloc(g->value_count + 1, sizeof *c->of);
    if (packed > 0) c->packed = aligned_alloc(FW_NN_ALIGN_BYTES, packed);
    bool had = c->of && (c->packed || packed == 0);
    for (uint32_t i = 0; had && i < g->node_count; i++) {
        fw_nn_value value = g->nodes[i].inputs[0];
        if (!fw_nn_int8_reads(&g->nodes[i]) || c->of[value]) continue;
        histogram *h = calloc(1, sizeof *h);
        had = (c->of[value] = h) != NULL;
        if (had) h->top = 1.0 / 1024;
    }
    return had ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory for a calibration");
}

fw_status fw_nn_calibration_new(const fw_nn_graph *graph, uint32_t rows, fw_nn_calibration **out,
                                fw_error *error) {
    fw_nn_calibration *c = calloc(1, sizeof *c);
    if (!c) return fw_fail(error, FW_NO_MEMORY, "no memory for a calibration");
    c->graph = graph;
    fw_status status = open_all(c, rows, error);
    if (status == FW_OK) *out = c;
    else fw_nn_calibration_free(c);
    return status;
}

void fw_nn_calibration_free(fw_nn_calibration *c) {
    if (!c) return;
    for (uint32_t i = 0; c->of && i < c->graph->value_count; i++) free(c->of[i]);
    free(c->of);
    free(c->packed);
    fw_nn_session_free(c->session);
    fw_nn_plan_free(c->plan);
    free(c);
}

void fw_nn_calibration_ranges(const fw_nn_calibration *c, double share, float *ranges) {
    for (uint32_t i = 0; i < c->graph->value_count; i++)
        ranges[i] = c->of[i] ? range_of(c->of[i], share) : 0;
}

uint64_t fw_nn_calibration_count(const fw_nn_calibration *c, fw_nn_value value) {
    return c->of[value] ? c->of[value]->count : 0;
}
