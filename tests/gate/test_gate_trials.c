/* The short form of `flywheel gate trials`: five hundred decisions of each kind on outcomes whose truth is known. The
 * bounds are three standard errors from what is stated; everything is drawn from one seed. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gate/trials.h"

enum { TRIALS = 500, SEED = 20261122 };

/* A decision as a factory met it: recordings of a few drives, most of them alike in both. */
static fw_gate_pairs measured[] = {{1, 0, 5, 0}, {4, 0, 0, 0}, {3, 0, 0, 0}, {6, 0, 0, 0}, {2, 0, 4, 0}, {4, 0, 0, 0},
                                   {0, 0, 2, 0}, {6, 0, 0, 0}, {3, 0, 3, 0}, {1, 0, 2, 0}, {2, 0, 1, 0}, {6, 0, 0, 0}};
static const fw_gate_population population = {measured, sizeof measured / sizeof *measured};

static fw_gate_trials_config config_of(fw_gate_null kind, uint32_t clusters, double effect) {
    return (fw_gate_trials_config){.population = &population, .kind = kind, .trials = TRIALS, .clusters = clusters,
                                   .alpha = 0.05, .beta = 0.1, .delta = 0.05, .effect = effect, .seed = SEED};
}

static double share(uint64_t k, uint64_t n) { return (double)k / (double)n; }
static double three_errors(double p) { return p + 3 * sqrt(p * (1 - p) / TRIALS); }

static void test_nulls_are_promoted_at_most_as_often_as_stated(void **state) {
    (void)state;
    static const uint32_t suites[] = {5, 20, 120};
    for (int kind = FW_GATE_MEASURED; kind <= FW_GATE_COINS; kind++)
        for (size_t s = 0; s < 3; s++) {
            fw_gate_trials_config config = config_of((fw_gate_null)kind, suites[s], 0);
            fw_gate_trials got = fw_gate_trials_run(&config);
            assert_int_equal(got.trials, TRIALS);
            if (share(got.ours.promoted, TRIALS) > three_errors(0.05))
                fail_msg("seed %d, null %d, suite %u: %.4f", SEED, kind, suites[s], share(got.ours.promoted, TRIALS));
            assert_true(fabs(got.mean_difference) < 0.05);
            assert_true(got.ours.clusters <= (uint64_t)TRIALS * suites[s]);
        }
}

/* What the betting is for: the peer's estimated variance does not see a rare loss in time. */
static void test_the_peer_errs_where_outcomes_are_skewed(void **state) {
    (void)state;
    fw_gate_trials_config config = config_of(FW_GATE_SKEWED, 120, 0);
    fw_gate_trials got = fw_gate_trials_run(&config);
    assert_true(share(got.peer.promoted, TRIALS) > three_errors(0.05));
    assert_true(share(got.ours.promoted, TRIALS) <= three_errors(0.05));
}

static void test_power_grows(void **state) {
    (void)state;
    double last = 0;
    for (double effect = 0.1; effect < 0.4; effect += 0.1) {
        fw_gate_trials_config config = config_of(FW_GATE_MEASURED, 60, effect);
        fw_gate_trials got = fw_gate_trials_run(&config);
        assert_true(share(got.ours.promoted, TRIALS) > last);
        assert_true(fabs(got.mean_difference - effect) < 0.02);
        last = share(got.ours.promoted, TRIALS);
    }
    assert_true(last > 0.9);
}

/* The bet of sequential.h beside a mixture of 24 fixed ones (its first form), at an epoch's first level: how many of the
 * candidates that are better by so much are promoted. */
typedef struct beside {
    int plug_in, mixture;
} beside;

static beside compare(const fw_gate_pairs *of, uint32_t count, uint32_t suite) {
    enum { BETS = 24 };
    beside out = {0, 0};
    for (int i = 0; i < TRIALS; i++) {
        fw_random r = fw_random_indexed(SEED, (uint64_t)i);
        fw_sequential t = fw_sequential_of(-1, 1, 0, 0.05, 0.025, 0.1);
        double wealth[BETS], most = 1;
        for (int b = 0; b < BETS; b++) wealth[b] = 1;
        for (uint32_t k = 0; k < suite; k++) {
            double x = fw_gate_pairs_difference(&of[fw_random_below(&r, count)]), sum = 0;
            fw_sequential_add(&t, x);
            for (int b = 0; b < BETS; b++) sum += wealth[b] *= 1 + (b + 0.5) / BETS * x;
            most = fmax(most, sum / BETS);
        }
        out.plug_in += t.verdict == FW_VERDICT_PROMOTE;
        out.mixture += most >= 40;
    }
    return out;
}

static void test_the_plug_in_bet_is_worth_it(void **state) {
    (void)state;
    beside few = compare(measured, population.count, 20);
    print_message("promoted within 20 recordings: plug-in %d, mixture %d of %d\n", few.plug_in, few.mixture, TRIALS);
    assert_true(few.plug_in >= few.mixture + TRIALS / 10);
}

/* And where it is not: recordings of one drive each, of which one in ten is a total loss. Printed, for the record. */
static void test_where_the_mixture_is_better(void **state) {
    (void)state;
    static const fw_gate_pairs single[10] = {{0, 0, 1, 0}, {0, 0, 1, 0}, {0, 0, 1, 0}, {0, 1, 0, 0}, {1, 0, 0, 0},
                                             {1, 0, 0, 0}, {1, 0, 0, 0}, {1, 0, 0, 0}, {1, 0, 0, 0}, {1, 0, 0, 0}};
    beside many = compare(single, 10, 100);
    print_message("single drives, 100 recordings: plug-in %d, mixture %d of %d\n", many.plug_in, many.mixture, TRIALS);
    assert_true(many.plug_in >= TRIALS / 4);
}

static void test_epochs_keep_the_share_of_false_promotions(void **state) {
    (void)state;
    fw_gate_trials_config config = config_of(FW_GATE_MEASURED, 60, 0.3);
    fw_gate_epochs none = fw_gate_epochs_run(&config, 0), some = fw_gate_epochs_run(&config, 4);
    assert_true(none.promotions == none.false_promotions && none.epochs == TRIALS);
    assert_true(none.false_share <= three_errors(0.05));
    assert_true(fabs(none.false_share - share(none.with_false, TRIALS)) < 1e-9);
    assert_true(some.false_share <= three_errors(0.05));
    assert_true(some.promotions - some.false_promotions > 2 * TRIALS); /* of five good ones in each epoch */
}

static void test_same_seed_same_figures(void **state) {
    (void)state;
    fw_gate_trials_config config = config_of(FW_GATE_MEASURED, 30, 0.1);
    fw_gate_trials a = fw_gate_trials_run(&config), b = fw_gate_trials_run(&config);
    config.seed++;
    fw_gate_trials c = fw_gate_trials_run(&config);
    assert_true(a.ours.promoted == b.ours.promoted && a.ours.clusters == b.ours.clusters);
    assert_true(a.ours.clusters != c.ours.clusters);
}

static void test_nothing_to_draw(void **state) {
    (void)state;
    fw_gate_pairs alike[] = {{3, 0, 0, 1}};
    fw_gate_population same = {alike, 1};
    fw_gate_trials_config config = config_of(FW_GATE_MEASURED, 100, 0.1);
    config.population = &same;
    fw_gate_trials got = fw_gate_trials_run(&config);
    assert_true(got.ours.promoted == 0 && got.ours.futile == TRIALS && got.mean_difference == 0);
    config.trials = 0;
    assert_true(fw_gate_trials_run(&config).mean_difference == 0);
    same.count = 0;
    assert_true(fw_gate_effect_most(&same) == 0);
}

static fw_status reads(const char *text, fw_gate_population *out) {
    return fw_gate_population_read(text, strlen(text), out, NULL);
}

static void test_a_record_is_a_population(void **state) {
    (void)state;
    fw_gate_population p;
    assert_int_equal(reads("{\"clusters\":[[\"a\",1,2,3,4],[\"b\",0,0,0,1]]}", &p), FW_OK);
    assert_true(p.count == 2 && p.clusters[0].candidate == 3 && fw_gate_pairs_count(&p.clusters[1]) == 1);
    fw_gate_population_clear(&p);
    assert_int_equal(reads("{\"record\":{\"clusters\":[[\"a\",1,0,0,0]]}}", &p), FW_OK);
    fw_gate_population_clear(&p);
    static const char *const bad[] = {"", "[]", "{}", "{\"clusters\":[]}", "{\"clusters\":[[\"a\"]]}", "{\"clusters\":[1]}",
                                      "{\"clusters\":[[\"a\",-1,0,0,1]]}", "{\"clusters\":[[\"a\",1000001,0,0,1]]}",
                                      "{\"clusters\":[[\"a\",1,0,0,0],[\"b\",0,0,0,0]]}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_int_equal(reads(bad[i], &p), FW_CORRUPT);
    json_t *rows = json_array(), *all = json_pack("{s:o}", "clusters", rows);
    for (int i = 0; i <= FW_GATE_CLUSTERS_MAX; i++) json_array_append_new(rows, json_pack("[s,i,i,i,i]", "a", 1, 0, 0, 0));
    char *text = json_dumps(all, JSON_COMPACT);
    assert_int_equal(reads(text, &p), FW_CORRUPT);
    free(text);
    json_decref(all);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nulls_are_promoted_at_most_as_often_as_stated),
        cmocka_unit_test(test_the_peer_errs_where_outcomes_are_skewed),
        cmocka_unit_test(test_power_grows),
        cmocka_unit_test(test_the_plug_in_bet_is_worth_it),
        cmocka_unit_test(test_where_the_mixture_is_better),
        cmocka_unit_test(test_epochs_keep_the_share_of_false_promotions),
        cmocka_unit_test(test_same_seed_same_figures),
        cmocka_unit_test(test_nothing_to_draw),
        cmocka_unit_test(test_a_record_is_a_population),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
