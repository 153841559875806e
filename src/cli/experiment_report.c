/* experiment_report.c - cells into figures; see experiment.h
 *
 *   rows          one for each arm and generation: means and sums over seeds
 *   differences   loop - frozen, loop - random: at the last generation and over all from 2 on
 *   shifts        the generation before a change of the city, its first one, and the last
 *   fixes         how long a failure lasted (experiment_fix.h)
 *   slices        clean share of each generation's model on each slice, with what was forgotten
 *   costs         wall and core seconds: the only figures that another run does not repeat
 */
#include <math.h>
#include <string.h>

#include "cli/experiment_figures.h"
#include "cli/experiment_fix.h"

static json_t *real_or_null(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static void put(json_t *object, const char *name, double value) {
    json_object_set_new(object, name, real_or_null(value));
}

/* ---- rows ---- */

typedef struct sums {
    double seeds, promoted, ticks, vetoes, captures, uploaded, recorded, steps, drives, clean;
} sums;

static sums sum_of(const fw_experiment_all *all, fw_experiment_arm arm, uint32_t generation) {
    sums t = {0};
    for (uint32_t s = 0; s < all->seeds; s++) {
        const fw_experiment_figures *f = fw_experiment_at(all, s, arm, generation);
        if (!f->there) continue;
        t.seeds++;
        t.promoted += f->promoted;
        t.ticks += f->ticks;
        t.vetoes += f->vetoes;
        t.captures += f->captures;
        t.uploaded += f->uploaded_bytes;
        t.recorded += f->recorded_bytes;
        t.steps += f->agent_steps;
        t.drives += f->prequential.drives;
        t.clean += f->prequential.clean;
    }
    return t;
}

static json_t *row_of(const fw_experiment_all *all, fw_experiment_arm arm, uint32_t g) {
    const sums t = sum_of(all, arm, g);
    json_t *row = json_pack("{s:s, s:i}", "arm", fw_experiment_arm_names[arm], "generation", (int)g);
    json_t *clean = json_object();
    for (uint32_t k = 0; k < all->slices; k++)
        put(clean, all->slice[k], fw_experiment_share(all, arm, (fw_experiment_scope){k, g, g}));
    put(row, "clean", fw_experiment_share(all, arm, (fw_experiment_scope){FW_EXPERIMENT_EVERY, g, g}));
    json_object_set_new(row, "clean_by_slice", clean);
    put(row, "living_clean", fw_experiment_share(all, arm, (fw_experiment_scope){FW_EXPERIMENT_LIVING, g, g}));
    put(row, "living_drives", t.drives);
    put(row, "failures_per_car_hour", (t.drives - t.clean) / (t.ticks / 36000));
    put(row, "veto_share", t.vetoes / t.ticks);
    put(row, "captures", t.captures);
    put(row, "uploaded_bytes", t.uploaded);
    put(row, "recorded_bytes", t.recorded);
    put(row, "agent_steps", t.steps);
    put(row, "promoted", t.promoted);
    put(row, "seeds", t.seeds);
    return row;
}

static json_t *rows_of(const fw_experiment_all *all) {
    json_t *rows = json_array();
    json_array_append_new(rows, row_of(all, FW_EXPERIMENT_FIRST, 1));
    for (uint32_t g = 2; g <= all->generations; g++)
        for (int arm = FW_EXPERIMENT_FROZEN; arm < FW_EXPERIMENT_ARMS; arm++)
            json_array_append_new(rows, row_of(all, (fw_experiment_arm)arm, g));
    return rows;
}

/* ---- differences ---- */

static void add_difference(const fw_experiment_all *all, fw_experiment_arm other, const char *figure,
                           const char *when, fw_experiment_scope scope, json_t *list) {
    char what[60];
    snprintf(what, sizeof what, "loop - %s", fw_experiment_arm_names[other]);
    fw_experiment_difference d = fw_experiment_compare(all, FW_EXPERIMENT_LOOP, other, scope);
    bool apart = d.interval.low > 0 || d.interval.high < 0;
    json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:b}", "what", what, "figure",
                                          figure, "when", when, "mean", real_or_null(d.mean), "low",
                                          real_or_null(d.interval.low), "high",
                                          real_or_null(d.interval.high), "apart", apart));
}

static json_t *differences_of(const fw_experiment_all *all) {
    static const fw_experiment_arm others[] = {FW_EXPERIMENT_FROZEN, FW_EXPERIMENT_RANDOM};
    const uint32_t last = all->generations;
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        for (uint32_t k = 0; k <= all->slices; k++) {
            bool every = k == all->slices;
            if (!every && all->detail[k]) continue;
            const char *figure = every ? "sealed, all slices" : all->slice[k];
            uint32_t slice = every ? (uint32_t)FW_EXPERIMENT_EVERY : k;
            add_difference(all, others[i], figure, "last", (fw_experiment_scope){slice, last, last}, list);
            add_difference(all, others[i], figure, "mean", (fw_experiment_scope){slice, 2, last}, list);
        }
        /* what drove in generation 3 is what was learned in 2 */
        if (last > 2)
            add_difference(all, others[i], "living phases", "mean",
                           (fw_experiment_scope){FW_EXPERIMENT_LIVING, 3, last}, list);
    }
    return list;
}

/* ---- what was forgotten ---- */

/* One arm on one slice: its share after each generation; the best before the last one less the last; the
 * last less the first. */
static json_t *memory_of(const fw_experiment_all *all, fw_experiment_arm arm, uint32_t slice) {
    json_t *shares = json_array();
    double best = NAN, first = NAN, last = NAN;
    for (uint32_t g = 1; g <= all->generations; g++) {
        last = fw_experiment_share(all, arm, (fw_experiment_scope){slice, g, g});
        json_array_append_new(shares, real_or_null(last));
        if (g == 1) first = last;
        if (g < all->generations) best = fmax(best, last); /* fmax passes NaN over */
    }
    json_t *out = json_pack("{s:s, s:s, s:o}", "arm", fw_experiment_arm_names[arm], "slice",
                            all->slice[slice], "clean", shares);
    put(out, "forgotten", fmax(0, best - last));
    put(out, "backward_transfer", last - first);
    return out;
}

static json_t *memories_of(const fw_experiment_all *all) {
    json_t *list = json_array();
    for (int arm = FW_EXPERIMENT_LOOP; arm <= FW_EXPERIMENT_RANDOM; arm++)
        for (uint32_t k = 0; k < all->slices; k++)
            json_array_append_new(list, memory_of(all, (fw_experiment_arm)arm, k));
    return list;
}

/* ---- shifts ---- */

typedef double figure_of(const sums *t);
static double living_clean(const sums *t) { return t->clean / t->drives; }
static double veto_share(const sums *t) { return t->vetoes / t->ticks; }
/* Uploaded windows: no more of them than the budget allows, however often a trigger fires. */
static double windows_per_car_hour(const sums *t) { return t->captures / (t->ticks / 36000); }

/* A figure of an arm's row before a shift, in its first generation and at the end. */
static json_t *around(const fw_experiment_all *all, fw_experiment_arm arm, uint32_t g, figure_of *figure) {
    const uint32_t at[] = {g - 1, g, all->generations};
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        const sums t = sum_of(all, at[i] == 1 ? FW_EXPERIMENT_FIRST : arm, at[i]);
        json_array_append_new(list, real_or_null(figure(&t)));
    }
    return list;
}

static json_t *shift_of(const fw_experiment_all *all, const fw_experiment_shift *shift, fw_experiment_arm arm) {
    const uint32_t g = (uint32_t)shift->generation;
    return json_pack("{s:s, s:I, s:s, s:o, s:o, s:o}", "shift", shift->conditions, "generation", (json_int_t)g, "arm",
                     fw_experiment_arm_names[arm], "living_clean", around(all, arm, g, living_clean), "veto_share",
                     around(all, arm, g, veto_share), "windows_per_car_hour",
                     around(all, arm, g, windows_per_car_hour));
}

static json_t *shifts_of(const fw_experiment *e, const fw_experiment_all *all) {
    fw_experiment_shift shifts[FW_EXPERIMENT_SHIFTS_MAX];
    uint32_t count = 0;
    fw_error ignored;
    json_t *list = json_array();
    if (fw_experiment_shifts(&e->set, shifts, &count, &ignored) != FW_OK) return list;
    for (uint32_t i = 0; i < count; i++)
        for (int arm = FW_EXPERIMENT_FROZEN; arm < FW_EXPERIMENT_ARMS; arm++)
            json_array_append_new(list, shift_of(all, &shifts[i], (fw_experiment_arm)arm));
    return list;
}

/* ---- budgets and costs ---- */

/* Sums over generations 2 on, where the arms differ. */
static json_t *budget_of(const fw_experiment_all *all, fw_experiment_arm arm) {
    double uploaded = 0, recorded = 0, steps = 0;
    for (uint32_t g = 2; g <= all->generations; g++) {
        const sums t = sum_of(all, arm, g);
        uploaded += t.uploaded;
        recorded += t.recorded;
        steps += t.steps;
    }
    json_t *out = json_pack("{s:s}", "arm", fw_experiment_arm_names[arm]);
    put(out, "uploaded_bytes", uploaded);
    put(out, "recorded_bytes", recorded);
    put(out, "uploaded_share", uploaded / recorded);
    put(out, "agent_steps", steps);
    return out;
}

static json_t *cost_of(const fw_experiment_all *all, fw_experiment_arm arm) {
    double living = 0, learning = 0, exam = 0, core = 0;
    const bool first = arm == FW_EXPERIMENT_FIRST;
    for (uint32_t s = 0; s < all->seeds; s++)
        for (uint32_t g = first ? 1 : 2; g <= (first ? 1 : all->generations); g++) {
            const fw_experiment_figures *f = fw_experiment_at(all, s, arm, g);
            living += f->living_s;
            learning += f->learning_s;
            exam += f->exam_s;
            core += f->core_s;
        }
    json_t *out = json_pack("{s:s}", "arm", fw_experiment_arm_names[arm]);
    put(out, "training_core_s", core);
    put(out, "living_wall_s", living);
    put(out, "learning_wall_s", learning);
    put(out, "exam_wall_s", exam);
    return out;
}

/* ---- the whole ---- */

static json_t *settings_of(const fw_experiment *e) {
    const fw_experiment_settings *s = &e->set;
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:s, s:s}", "seed",
                     (json_int_t)s->seed, "seeds", (json_int_t)s->seeds, "generations",
                     (json_int_t)s->generations, "cars", (json_int_t)s->cars, "ticks", (json_int_t)s->ticks,
                     "agent_steps", (json_int_t)s->agent_steps, "exam_drives", (json_int_t)s->exam_drives,
                     "exam_runs", (json_int_t)s->exam_runs, "share_percent", (json_int_t)s->share_percent,
                     "short", s->short_form, "shifts", s->shifts, "suite", s->suite);
}

static fw_status fixes_of(const fw_experiment *e, json_t *list, fw_error *error) {
    for (int arm = FW_EXPERIMENT_LOOP; arm <= FW_EXPERIMENT_RANDOM; arm++) {
        json_t *one = NULL;
        FW_TRY(fw_experiment_fixes(e, (fw_experiment_arm)arm, &one, error));
        json_array_append_new(list, one);
    }
    return FW_OK;
}

static json_t *report_of(const fw_experiment *e, const fw_experiment_all *all) {
    json_t *budgets = json_array(), *costs = json_array();
    for (int arm = 0; arm < FW_EXPERIMENT_ARMS; arm++) {
        if (arm > 0) json_array_append_new(budgets, budget_of(all, (fw_experiment_arm)arm));
        json_array_append_new(costs, cost_of(all, (fw_experiment_arm)arm));
    }
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "flywheel", FW_VERSION, "settings",
                     settings_of(e), "rows", rows_of(all), "differences", differences_of(all), "shifts",
                     shifts_of(e, all), "memory", memories_of(all), "budgets", budgets, "costs", costs);
}

fw_status fw_experiment_report(const fw_experiment *e, json_t **out, fw_error *error) {
    fw_experiment_all all;
    json_t *fixes = json_array();
    fw_status status = fixes_of(e, fixes, error);
    if (status == FW_OK) status = fw_experiment_load(e, &all, error);
    if (status == FW_OK) {
        *out = report_of(e, &all);
        json_object_set(*out, "fixes", fixes);
        fw_experiment_clear(&all);
    }
    json_decref(fixes);
    return status;
}
