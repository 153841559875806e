/* experiment_figures.h - the done cells as numbers in arrays, and differences between arms.
 *
 *   cells[seed][arm][generation]   generation 1 of every arm is the first model's cell
 *      .prequential  drives and clean ones of the living phase: by the model that came into it
 *      .slice[k]     sealed drives and clean ones of each simulation run: by the model that came out
 *
 * A difference between two arms is the mean over seeds, generations and slices of (clean share of the
 * one - clean share of the other); shares are of drives, pooled over the runs of a slice. Its interval is a
 * bootstrap at two levels: seeds are drawn with replacement; within each drawn seed, for each slice, the
 * sealed simulation runs are drawn with replacement, the same ones for both arms and all generations, since
 * they drive in the same sealed runs (paired). The percentiles are widened for the number of seeds
 * (statistics.h). Living phases are one run a seed and generation: there only seeds are drawn.
 */
#ifndef FW_CLI_EXPERIMENT_FIGURES_H
#define FW_CLI_EXPERIMENT_FIGURES_H

#include "base/statistics.h"
#include "cli/experiment.h"

enum { FW_EXPERIMENT_SLICES_MAX = 24, FW_EXPERIMENT_SLICE_NAME_MAX = 40 };

typedef struct fw_experiment_tally {
    double drives, clean;
} fw_experiment_tally;

typedef struct fw_experiment_slice {
    uint32_t runs;
    fw_experiment_tally run[FW_EXPERIMENT_RUNS_MAX];
} fw_experiment_slice;

typedef struct fw_experiment_figures {
    bool there, promoted;
    fw_experiment_tally prequential;
    double ticks, vetoes, captures, uploaded_bytes, recorded_bytes, agent_steps, core_s;
    double living_s, learning_s, exam_s;
    fw_experiment_slice slice[FW_EXPERIMENT_SLICES_MAX]; /* as in fw_experiment_all.slices */
} fw_experiment_figures;

typedef struct fw_experiment_all {
    uint32_t seeds, generations, slices;
    char slice[FW_EXPERIMENT_SLICES_MAX][FW_EXPERIMENT_SLICE_NAME_MAX];
    bool detail[FW_EXPERIMENT_SLICES_MAX]; /* a part of another slice: no part of FW_EXPERIMENT_EVERY */
    fw_experiment_figures *cells; /* (seeds, arms, generations) */
} fw_experiment_all;

/* What to compare: sealed slices, one of them or FW_EXPERIMENT_EVERY, or the living phases; over generations
 * from..to (from 1). */
enum { FW_EXPERIMENT_EVERY = UINT32_MAX, FW_EXPERIMENT_LIVING = UINT32_MAX - 1 };
typedef struct fw_experiment_scope {
    uint32_t slice, from, to;
} fw_experiment_scope;

typedef struct fw_experiment_difference {
    double mean;
    fw_interval interval; /* 95 %; NaN with one seed: it says nothing of others */
} fw_experiment_difference;

/* Reads all cells that are done. The caller clears it. */
fw_status fw_experiment_load(const fw_experiment *e, fw_experiment_all *out, fw_error *error) FW_MUST;
void fw_experiment_clear(fw_experiment_all *all);
/* seed from 0, generation from 1. */
const fw_experiment_figures *fw_experiment_at(const fw_experiment_all *all, uint32_t seed,
                                              fw_experiment_arm arm, uint32_t generation);
/* Clean share of one arm, as defined above; NaN without drives. */
double fw_experiment_share(const fw_experiment_all *all, fw_experiment_arm arm, fw_experiment_scope scope);
/* a - b. */
fw_experiment_difference fw_experiment_compare(const fw_experiment_all *all, fw_experiment_arm a,
                                               fw_experiment_arm b, fw_experiment_scope scope);

#endif
