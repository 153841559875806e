#include "gate/trials.h"

#include <math.h>

/* Many gains of a little, rarely all lost: mean 0. */
#define SKEW_GAIN 0.05
#define SKEW_LOSS 1.0

double fw_gate_effect_most(const fw_gate_population *p) {
    double sum = 0;
    for (uint32_t i = 0; i < p->count; i++) sum += fabs(fw_gate_pairs_difference(&p->clusters[i]));
    return p->count ? sum / p->count : 0;
}

/* ---- one trial ---- */

fw_gate_trial fw_gate_trial_of(double alpha, double beta, double delta) {
    return (fw_gate_trial){fw_sequential_of(-1, 1, 0, delta, alpha, beta), fw_peer_of(0, delta, alpha, beta)};
}

void fw_gate_trial_add(fw_gate_trial *t, double x) {
    fw_sequential_add(&t->ours, x);
    fw_peer_add(&t->peer, x);
}

static void count(fw_gate_tally *tally, fw_verdict verdict, uint64_t decided_at, uint32_t clusters) {
    tally->promoted += verdict == FW_VERDICT_PROMOTE;
    tally->futile += verdict == FW_VERDICT_FUTILE;
    tally->clusters += verdict == FW_VERDICT_OPEN ? clusters : decided_at;
}

void fw_gate_trial_end(const fw_gate_trial *t, uint32_t clusters, fw_gate_trials *sum) {
    sum->trials++;
    count(&sum->ours, t->ours.verdict, t->ours.decided_at, clusters);
    count(&sum->peer, t->peer.verdict, t->peer.decided_at, clusters);
}

/* ---- draws ---- */

static double unit(fw_random *r) { return (double)fw_random_unit(r); }

/* Who is who in each cluster: the better one is the candidate with chance w. */
static double draw_measured(const fw_gate_trials_config *c, double w, fw_random *r) {
    double d = fabs(fw_gate_pairs_difference(&c->population->clusters[fw_random_below(r, c->population->count)]));
    return unit(r) < w ? d : -d;
}

static double draw(const fw_gate_trials_config *c, double w, fw_random *r) {
    if (c->kind == FW_GATE_MEASURED) return draw_measured(c, w, r);
    if (c->kind == FW_GATE_SKEWED)
        return unit(r) * (SKEW_GAIN + SKEW_LOSS) < SKEW_GAIN ? -SKEW_LOSS : SKEW_GAIN;
    double u = unit(r);
    return u < 0.25 ? 1 : u < 0.5 ? -1 : 0;
}

static double chance_of(const fw_gate_trials_config *c, double effect) {
    double most = c->kind == FW_GATE_MEASURED ? fw_gate_effect_most(c->population) : 0;
    return most > 0 ? fmin(1, 0.5 + effect / (2 * most)) : 0.5;
}

fw_gate_trials fw_gate_trials_run(const fw_gate_trials_config *c) {
    fw_gate_trials sum = {0};
    const double w = chance_of(c, c->effect);
    double total = 0;
    for (uint32_t i = 0; i < c->trials; i++) {
        fw_random r = fw_random_indexed(c->seed, i);
        fw_gate_trial trial = fw_gate_trial_of(c->alpha, c->beta, c->delta);
        for (uint32_t k = 0; k < c->clusters; k++) {
            double x = draw(c, w, &r);
            total += x;
            fw_gate_trial_add(&trial, x);
        }
        fw_gate_trial_end(&trial, c->clusters, &sum);
    }
    sum.mean_difference = total / fmax(1, (double)c->trials * c->clusters);
    return sum;
}

/* ---- epochs ---- */

static bool promoted(const fw_gate_trials_config *c, double alpha, double w, fw_random *r) {
    fw_sequential test = fw_sequential_of(-1, 1, 0, c->delta, alpha, c->beta);
    for (uint32_t k = 0; k < c->clusters && test.verdict == FW_VERDICT_OPEN; k++) fw_sequential_add(&test, draw(c, w, r));
    return test.verdict == FW_VERDICT_PROMOTE;
}

fw_gate_epochs fw_gate_epochs_run(const fw_gate_trials_config *c, uint32_t better) {
    fw_gate_epochs sum = {.epochs = c->trials};
    const double null = 0.5, good = chance_of(c, c->effect);
    for (uint32_t i = 0; i < c->trials; i++) {
        fw_random r = fw_random_indexed(c->seed, i);
        uint32_t promotions = 0, wrong = 0;
        for (uint32_t place = 1; place <= FW_GATE_PLACES; place++) {
            bool is_good = better && place % better == 0;
            if (!promoted(c, fw_gate_alpha(c->alpha, place, promotions), is_good ? good : null, &r)) continue;
            promotions++;
            wrong += !is_good;
        }
        sum.promotions += promotions;
        sum.false_promotions += wrong;
        sum.with_false += wrong > 0;
        sum.false_share += promotions ? (double)wrong / promotions / c->trials : 0;
    }
    return sum;
}
