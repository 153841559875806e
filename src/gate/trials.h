/* trials.h - how often a gate errs: decisions over and over on outcomes whose truth is known.
 *
 *   a population of clusters (pairs of drives, as a real decision met them)
 *      --drawn with replacement; in each the two models change places with chance 1 - w--> clusters --> the gate's test
 *
 * w = 1/2 makes the two models exchangeable: their true clean shares are equal, and cluster sizes, the correlation of the
 * pair and that within a cluster are the measured ones. That is H0's boundary. w > 1/2 gives a true mean difference of
 * (2 w - 1) times the population's mean distance: the power curve. Beyond w = 1, and for pairs that no drive told apart,
 * there is nothing to draw.
 *
 * Two more kinds of nulls stand beside it, of which a test might be afraid:
 *   skewed    mean 0, many small gains and a rare total loss: what an estimated variance does not see in time
 *   coins     cluster of 1 pair, discordant with chance 1/2: the coarsest outcomes there are
 *
 * The same trials are given to Fishtest's test (peer.h). Same seed, same figures.
 */
#ifndef FW_GATE_TRIALS_H
#define FW_GATE_TRIALS_H

#include "base/random.h"
#include "gate/gate.h"
#include "gate/peer.h"

typedef struct fw_gate_population {
    fw_gate_pairs *clusters; /* (count) */
    uint32_t count;
} fw_gate_population;

/* Of a decision's record (docs/formats/gate-record.md), or of a row of the book with one inside. FW_CORRUPT: it is none,
 * or has no recordings' pairs. The caller clears it. */
fw_status fw_gate_population_read(const char *text, size_t size_bytes, fw_gate_population *out, fw_error *error) FW_MUST;
void fw_gate_population_clear(fw_gate_population *population);

typedef enum fw_gate_null { FW_GATE_MEASURED, FW_GATE_SKEWED, FW_GATE_COINS } fw_gate_null;

typedef struct fw_gate_trials_config {
    const fw_gate_population *population; /* FW_GATE_MEASURED */
    fw_gate_null kind;
    uint32_t trials, clusters; /* clusters of a suite */
    double alpha, beta, delta; /* alpha: of one decision, 1 / e wanted */
    double effect;             /* true mean difference; 0: H0's boundary */
    uint64_t seed;
} fw_gate_trials_config;

typedef struct fw_gate_tally {
    uint64_t promoted, futile, clusters; /* clusters: looked at in all, until a decision or the suite's end */
} fw_gate_tally;
typedef struct fw_gate_trials {
    uint64_t trials;
    fw_gate_tally ours, peer;
    double mean_difference; /* of all that was drawn: what the truth came to */
} fw_gate_trials;

/* The largest effect that a population can be given. */
double fw_gate_effect_most(const fw_gate_population *population);
fw_gate_trials fw_gate_trials_run(const fw_gate_trials_config *config);

/* Whole epochs: FW_GATE_PLACES candidates one after another, judged at alpha.h's levels. */
typedef struct fw_gate_epochs {
    uint64_t epochs, promotions, false_promotions, with_false; /* with_false: epochs with a false promotion */
    double false_share; /* mean over epochs of the share of false ones among its promotions, 0 without any */
} fw_gate_epochs;
/* config.trials epochs; of the candidates every `better`-th has config.effect, the others none; 0: none has. config.alpha
 * is the epoch's. */
fw_gate_epochs fw_gate_epochs_run(const fw_gate_trials_config *config, uint32_t better);

/* Adds an observation to a trial under way: for whoever draws by driving. */
typedef struct fw_gate_trial {
    fw_sequential ours;
    fw_peer peer;
} fw_gate_trial;
fw_gate_trial fw_gate_trial_of(double alpha, double beta, double delta);
void fw_gate_trial_add(fw_gate_trial *trial, double x);
void fw_gate_trial_end(const fw_gate_trial *trial, uint32_t clusters, fw_gate_trials *sum);

#endif
