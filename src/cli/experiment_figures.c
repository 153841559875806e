/* experiment_figures.c - see experiment_figures.h */
#include "cli/experiment_figures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"

enum { DRAWS = 4000, DRAW_SEED = 5 };

/* ---- loading ---- */

static double number(const json_t *object, const char *name) {
    return json_number_value(json_object_get(object, name));
}

static uint32_t slice_index(fw_experiment_all *all, const char *name) {
    for (uint32_t i = 0; i < all->slices; i++)
        if (strcmp(all->slice[i], name) == 0) return i;
    if (all->slices == FW_EXPERIMENT_SLICES_MAX) return FW_EXPERIMENT_SLICES_MAX;
    snprintf(all->slice[all->slices], sizeof all->slice[0], "%s", name);
    return all->slices++;
}

static void load_exam(fw_experiment_all *all, const json_t *exam, fw_experiment_figures *out) {
    const char *name = json_string_value(json_object_get(exam, "slice"));
    uint32_t index = name ? slice_index(all, name) : FW_EXPERIMENT_SLICES_MAX;
    const json_t *runs = json_object_get(exam, "per_run"), *clean = json_object_get(runs, "clean");
    json_t *drives = NULL;
    size_t i = 0;
    if (index == FW_EXPERIMENT_SLICES_MAX) return;
    fw_experiment_slice *slice = &out->slice[index];
    all->detail[index] = json_is_true(json_object_get(exam, "detail"));
    json_array_foreach(json_object_get(runs, "drives"), i, drives) {
        if (slice->runs == FW_EXPERIMENT_RUNS_MAX) break;
        slice->run[slice->runs++] = (fw_experiment_tally){
            json_number_value(drives), json_number_value(json_array_get(clean, i))};
    }
}

static void load_cell(fw_experiment_all *all, const json_t *r, fw_experiment_figures *out) {
    const json_t *truth = json_object_get(r, "prequential"), *seconds = json_object_get(r, "seconds");
    const char *decision = json_string_value(json_object_get(r, "decision"));
    json_t *exam = NULL;
    size_t i = 0;
    *out = (fw_experiment_figures){
        .there = true, .promoted = decision && strcmp(decision, "promoted") == 0,
        .prequential = {number(truth, "drives"), number(truth, "clean")}, .ticks = number(r, "ticks"),
        .vetoes = number(r, "vetoes"), .captures = number(r, "captures"),
        .uploaded_bytes = number(r, "uploaded_bytes"), .recorded_bytes = number(r, "recorded_bytes"),
        .agent_steps = number(r, "agent_steps"), .core_s = number(r, "train_core_s"),
        .living_s = number(seconds, "living"), .learning_s = number(seconds, "learning"),
        .exam_s = number(seconds, "exam")};
    json_array_foreach(json_object_get(r, "exams"), i, exam) load_exam(all, exam, out);
}

static fw_experiment_figures *place(const fw_experiment_all *all, uint32_t seed, fw_experiment_arm arm,
                                    uint32_t generation) {
    FW_ASSERT(seed < all->seeds && generation >= 1 && generation <= all->generations);
    return &all->cells[(seed * FW_EXPERIMENT_ARMS + (uint32_t)arm) * all->generations + generation - 1];
}

const fw_experiment_figures *fw_experiment_at(const fw_experiment_all *all, uint32_t seed,
                                              fw_experiment_arm arm, uint32_t generation) {
    return place(all, seed, arm, generation);
}

fw_status fw_experiment_load(const fw_experiment *e, fw_experiment_all *out, fw_error *error) {
    fw_experiment_all all = {.seeds = (uint32_t)e->set.seeds, .generations = (uint32_t)e->set.generations};
    all.cells = calloc((size_t)all.seeds * FW_EXPERIMENT_ARMS * all.generations, sizeof *all.cells);
    if (all.cells == NULL) return fw_fail(error, FW_NO_MEMORY, "no memory for the figures");
    fw_status status = FW_OK;
    for (uint32_t i = 0; i < fw_experiment_cells(e) && status == FW_OK; i++) {
        const fw_experiment_cell cell = fw_experiment_cell_at(e, i);
        json_t *result = NULL;
        if (!fw_experiment_done(e, &cell)) continue;
        status = fw_experiment_result(e, &cell, &result, error);
        if (status != FW_OK) break;
        uint32_t seed = (uint32_t)(cell.seed - e->set.seed), generation = (uint32_t)cell.generation;
        load_cell(&all, result, place(&all, seed, cell.arm, generation));
        for (int arm = 1; cell.arm == FW_EXPERIMENT_FIRST && arm < FW_EXPERIMENT_ARMS; arm++)
            *place(&all, seed, (fw_experiment_arm)arm, 1) = *place(&all, seed, FW_EXPERIMENT_FIRST, 1);
        json_decref(result);
    }
    if (status == FW_OK) *out = all;
    else free(all.cells);
    return status;
}

void fw_experiment_clear(fw_experiment_all *all) {
    free(all->cells);
    *all = (fw_experiment_all){0};
}

/* ---- shares ---- */

/* Which runs count in a draw, by slice; NULL: each once. */
typedef struct picks {
    uint32_t run[FW_EXPERIMENT_SLICES_MAX][FW_EXPERIMENT_RUNS_MAX];
} picks;

static double share_of(const fw_experiment_slice *slice, const uint32_t *pick) {
    double drives = 0, clean = 0;
    for (uint32_t i = 0; i < slice->runs; i++) {
        const fw_experiment_tally *run = &slice->run[pick ? pick[i] : i];
        drives += run->drives;
        clean += run->clean;
    }
    return drives > 0 ? clean / drives : NAN;
}

/* Adds what a cell has in the scope to a mean. */
static void add_cell(const fw_experiment_all *all, const fw_experiment_figures *f, uint32_t slice,
                     const picks *p, double *sum, double *count) {
    const fw_experiment_tally *living = &f->prequential;
    if (slice == FW_EXPERIMENT_LIVING) {
        if (living->drives > 0) *sum += living->clean / living->drives, *count += 1;
        return;
    }
    for (uint32_t k = 0; k < all->slices; k++) {
        double share = slice == k || (slice == FW_EXPERIMENT_EVERY && !all->detail[k])
                           ? share_of(&f->slice[k], p ? p->run[k] : NULL) : (double)NAN;
        if (isfinite(share)) *sum += share, *count += 1;
    }
}

static double seed_share(const fw_experiment_all *all, uint32_t seed, fw_experiment_arm arm,
                         fw_experiment_scope scope, const picks *p) {
    double sum = 0, count = 0;
    for (uint32_t g = scope.from; g <= scope.to; g++)
        add_cell(all, place(all, seed, arm, g), scope.slice, p, &sum, &count);
    return count > 0 ? sum / count : NAN;
}

double fw_experiment_share(const fw_experiment_all *all, fw_experiment_arm arm, fw_experiment_scope scope) {
    double sum = 0, count = 0;
    for (uint32_t s = 0; s < all->seeds; s++) {
        double share = seed_share(all, s, arm, scope, NULL);
        if (isfinite(share)) sum += share, count++;
    }
    return count > 0 ? sum / count : NAN;
}

/* ---- differences ---- */

/* Every cell of a slice has as many runs: those of the sealed seeds. */
static void draw_runs(const fw_experiment_all *all, uint32_t seed, fw_random *r, picks *out) {
    for (uint32_t k = 0; k < all->slices; k++) {
        uint32_t runs = place(all, seed, FW_EXPERIMENT_FIRST, 1)->slice[k].runs;
        for (uint32_t i = 0; i < runs; i++) out->run[k][i] = fw_random_below(r, runs);
    }
}

static double seed_difference(const fw_experiment_all *all, uint32_t seed, fw_experiment_arm a,
                              fw_experiment_arm b, fw_experiment_scope scope, const picks *p) {
    return seed_share(all, seed, a, scope, p) - seed_share(all, seed, b, scope, p);
}

fw_experiment_difference fw_experiment_compare(const fw_experiment_all *all, fw_experiment_arm a,
                                               fw_experiment_arm b, fw_experiment_scope scope) {
    static double values[DRAWS];
    static picks p;
    unsigned used = 0;
    fw_random r = fw_random_named(DRAW_SEED, "experiment");
    for (unsigned d = 0; d < DRAWS; d++) {
        double sum = 0, count = 0;
        for (uint32_t s = 0; s < all->seeds; s++) {
            uint32_t seed = fw_random_below(&r, all->seeds);
            draw_runs(all, seed, &r, &p);
            double one = seed_difference(all, seed, a, b, scope, &p);
            if (isfinite(one)) sum += one, count++;
        }
        if (count > 0) values[used++] = sum / count;
    }
    const fw_interval none = {NAN, NAN};
    return (fw_experiment_difference){
        fw_experiment_share(all, a, scope) - fw_experiment_share(all, b, scope),
        all->seeds > 1 && used > 0 ? fw_bootstrap_interval95(values, used, all->seeds) : none};
}
