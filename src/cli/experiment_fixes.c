/* experiment_fixes.c - how long failures lasted; see experiment_fix.h */
#include <inttypes.h>
#include <math.h>

#include "cli/experiment_fix.h"

/* Generations that failures lasted, counted; the last place: not fixed by the end. */
typedef struct lasting {
    uint32_t windows, failures, after[FW_EXPERIMENT_GENERATIONS_MAX + 1], never;
} lasting;

/* One cell's rows: failures found here begin in `open` ({hash: generation}); those passed now are closed. */
static void take_rows(const json_t *rows, uint64_t generation, json_t *open, lasting *out) {
    json_t *row = NULL;
    size_t i = 0;
    json_array_foreach((json_t *)(uintptr_t)rows, i, row) {
        const char *hash = json_string_value(json_object_get(row, "sha256"));
        const json_t *before = json_object_get(row, "before"), *after = json_object_get(row, "after");
        if (hash == NULL) continue;
        out->windows += json_is_boolean(before);
        if (json_is_false(before)) {
            out->failures++;
            json_object_set_new(open, hash, json_integer((json_int_t)generation));
        }
        const json_t *found = json_object_get(open, hash);
        if (found == NULL || !json_is_true(after)) continue;
        uint64_t lasted = generation + 1 - (uint64_t)json_integer_value(found);
        if (lasted <= FW_EXPERIMENT_GENERATIONS_MAX) out->after[lasted]++;
        json_object_del(open, hash);
    }
}

static fw_status take_seed(const fw_experiment *e, uint64_t seed, fw_experiment_arm arm, lasting *out,
                           fw_error *error) {
    json_t *open = json_object();
    fw_status status = FW_OK;
    for (uint64_t g = 2; g <= e->set.generations && status == FW_OK; g++) {
        const fw_experiment_cell cell = {seed, g, arm};
        json_t *result = NULL;
        if (!fw_experiment_done(e, &cell)) continue;
        status = fw_experiment_result(e, &cell, &result, error);
        if (status == FW_OK) take_rows(json_object_get(result, "windows"), g, open, out);
        json_decref(result);
    }
    out->never += (uint32_t)json_object_size(open);
    json_decref(open);
    return status;
}

/* The generations within which half of the failures were fixed; NaN: they were not. */
static double median_of(const lasting *l) {
    uint32_t sum = 0;
    for (uint32_t g = 1; l->failures > 0 && g <= FW_EXPERIMENT_GENERATIONS_MAX; g++) {
        sum += l->after[g];
        if (2 * sum >= l->failures) return g;
    }
    return NAN;
}

fw_status fw_experiment_fixes(const fw_experiment *e, fw_experiment_arm arm, json_t **out,
                              fw_error *error) {
    lasting l = {0};
    for (uint64_t s = 0; s < e->set.seeds; s++) FW_TRY(take_seed(e, e->set.seed + s, arm, &l, error));
    double median = median_of(&l);
    *out = json_pack("{s:s, s:I, s:I, s:I, s:o}", "arm", fw_experiment_arm_names[arm], "windows",
                     (json_int_t)l.windows, "failures", (json_int_t)l.failures, "fixed",
                     (json_int_t)(l.failures - l.never), "median_generations",
                     isfinite(median) ? json_real(median) : json_null());
    return FW_OK;
}
