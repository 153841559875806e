/* flywheel nn check: whether a network is whole. What cannot be loaded is bad with the reason; what can
 * is run twice, compared with the reference kernels, and written to ONNX and read again. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd_nn.h"
#include "nn/onnx/onnx.h"
#include "nn/run/cpu/class.h"

/* What the runs showed. */
typedef struct verdict {
    double largest, size; /* furthest from the reference kernels; the largest number of an output */
    bool same, finite;
    char not_finite[FW_NN_NAME_MAX]; /* the first node that makes something else than numbers */
    fw_error onnx; /* why it is not taken to ONNX and back; empty: it is */
} verdict;

static size_t count_of(const fw_nn_value_info *info, uint32_t rows) {
    return fw_nn_elements(info->shape) * (info->batched ? rows : 1);
}

static void compare(const fw_nn_graph *g, const fw_nn_bench *a, const fw_nn_bench *b, verdict *v) {
    for (uint32_t i = 0; i < g->output_count; i++) {
        const fw_nn_value_info *info = &g->values[g->outputs[i].value];
        const float *x = fw_nn_session_value(a->runner.session, g->outputs[i].value);
        const float *y = fw_nn_session_value(b->runner.session, g->outputs[i].value);
        size_t count = count_of(info, a->rows);
        v->same &= memcmp(x, y, count * sizeof *x) == 0;
        for (size_t n = 0; info->dtype == FW_NN_F32 && n < count; n++) {
            v->finite &= isfinite(x[n]) != 0;
            v->size = fmax(v->size, fabs((double)x[n]));
            v->largest = fmax(v->largest, fabs((double)x[n] - (double)y[n]));
        }
    }
}

/* The first step whose output is not finite, by its node's name. */
typedef struct hunt {
    const fw_nn_plan *plan;
    char *name;
} hunt;

static void look(void *self, uint32_t step, const fw_nn_call *call) {
    hunt *h = self;
    const float *out = call->out[0].data;
    if (h->name[0] || call->out[0].dtype != FW_NN_F32 || !out) return;
    for (size_t i = 0; i < fw_nn_total(call, &call->out[0]); i++)
        if (!isfinite(out[i])) {
            snprintf(h->name, FW_NN_NAME_MAX, "%s", fw_nn_plan_step(h->plan, step)->name);
            return;
        }
}

static fw_status run_it(const fw_nn_model *m, const fw_nn_words *w, fw_nn_bench b[3], verdict *v,
                        fw_error *error) {
    verdict reference = {.same = true, .finite = true};
    hunt h = {NULL, v->not_finite};
    for (int i = 0; i < 3; i++)
        FW_TRY(fw_nn_bench_open(m, w, i == 2, &b[i], error));
    h.plan = b[0].runner.plan;
    fw_nn_bench_run(&b[0], look, &h);
    for (int i = 1; i < 3; i++) fw_nn_bench_run(&b[i], NULL, NULL);
    v->same = v->finite = true;
    compare(m->graph, &b[0], &b[1], v);
    compare(m->graph, &b[0], &b[2], &reference);
    v->largest = reference.largest;
    return FW_OK;
}

/* To ONNX and back: to the same file. */
static void through_onnx(const fw_nn_model *m, verdict *v) {
    char *once = NULL, *twice = NULL;
    size_t size = 0, size2 = 0;
    fw_nn_model back = {0};
    fw_status status = fw_onnx_export(m, &once, &size, &v->onnx);
    if (status == FW_OK) status = fw_onnx_import(once, size, &back, &v->onnx);
    if (status == FW_OK) status = fw_onnx_export(&back, &twice, &size2, &v->onnx);
    if (status == FW_OK && (size != size2 || memcmp(once, twice, size) != 0))
        (void)fw_fail(&v->onnx, FW_MISMATCH, "it comes back as another file");
    free(once);
    free(twice);
    fw_nn_model_clear(&back);
}

static void print_json(bool good, const verdict *v, const char *why) {
    json_t *json = json_pack("{s:b, s:s}", "ok", good, "cpu_class", fw_nn_cpu_class());
    if (why) {
        json_object_set_new(json, "error", json_string(why));
    } else {
        json_object_set_new(json, "same", json_boolean(v->same));
        json_object_set_new(json, "finite", json_boolean(v->finite));
        json_object_set_new(json, "from_reference", json_real(v->largest));
        if (v->not_finite[0]) json_object_set_new(json, "not_finite", json_string(v->not_finite));
        json_object_set_new(json, "onnx", v->onnx.text[0] ? json_string(v->onnx.text) : json_true());
    }
    json_dumpf(json, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(json);
}

static void print_verdict(const fw_nn_model *m, const fw_nn_words *w, bool good, const verdict *v) {
    printf("network   %u nodes, %zu parameters, every one finite\n", m->graph->node_count,
           fw_nn_parameter_elements(m->graph));
    printf("runs      two of %llu row%s %s\n", (unsigned long long)w->rows, w->rows == 1 ? "" : "s",
           v->same ? "give the same bits" : "differ");
    if (v->finite) printf("numbers   all finite, at most %.3g\n", v->size);
    else printf("numbers   not all finite: first at node %s\n", v->not_finite[0] ? v->not_finite : "?");
    printf("kernels   at most %.3g from the reference kernels (CPU class %s)\n", v->largest,
           fw_nn_cpu_class());
    printf("ONNX      %s\n", v->onnx.text[0] ? v->onnx.text : "written and read again: the same network");
    printf("%s\n", good ? "good" : "bad");
}

fw_status fw_nn_check(const fw_nn_model *m, const fw_nn_words *w, fw_error *error) {
    fw_nn_bench benches[3] = {0};
    verdict v = {0};
    fw_status status = run_it(m, w, benches, &v, error);
    for (int i = 0; i < 3; i++) fw_nn_bench_close(&benches[i]);
    FW_TRY(status);
    through_onnx(m, &v);
    bool good = v.same && v.finite;
    if (w->json) print_json(good, &v, NULL);
    else print_verdict(m, w, good, &v);
    return good ? FW_OK : fw_fail(error, FW_MISMATCH, "%s", v.same ? "numbers that are not finite come out of it"
                                                                   : "two runs of it differ");
}

void fw_nn_check_unreadable(const fw_nn_words *w, const char *why) {
    if (w->json) print_json(false, NULL, why);
    else printf("bad       %s\n", why);
}
