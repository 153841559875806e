/* Intervals: what they are on paper, and that they cover the truth as often as they say. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/statistics.h"

static uint64_t seed;

static void test_wilson_by_hand(void **state) {
    (void)state;
    fw_interval none = fw_wilson95(0, 0), ten = fw_wilson95(8, 10), all = fw_wilson95(20, 20);
    assert_true(none.low == 0 && none.high == 1);
    assert_true(fabs(ten.low - 0.4902) < 1e-4 && fabs(ten.high - 0.9433) < 1e-4);
    assert_true(fabs(all.low - 0.8389) < 1e-4 && all.high == 1);
}

static void test_equal_clusters_have_no_width(void **state) {
    (void)state;
    const double top[] = {1, 2, 3}, bottom[] = {2, 4, 6};
    fw_interval i = fw_cluster_bootstrap95(top, bottom, 3, 500, seed);
    assert_true(i.low == 0.5 && i.high == 0.5);
}

/* Two clusters: nothing narrower than both is honest. */
static void test_two_clusters_give_all_there_is(void **state) {
    (void)state;
    const double top[] = {0, 4}, bottom[] = {4, 4};
    fw_interval i = fw_cluster_bootstrap95(top, bottom, 2, 500, seed);
    assert_true(i.low == 0 && i.high == 1);
}

static void test_draws_without_a_denominator_say_nothing(void **state) {
    (void)state;
    const double top[] = {0, 0, 3}, bottom[] = {0, 0, 4}, zero[] = {0, 0, 0};
    fw_interval i = fw_cluster_bootstrap95(top, bottom, 3, 500, seed);
    assert_true(i.low == 0.75 && i.high == 0.75);
    i = fw_cluster_bootstrap95(zero, zero, 3, 500, seed);
    assert_true(i.low == 0 && i.high == 0);
}

static void test_same_seed_same_interval(void **state) {
    (void)state;
    const double top[] = {1, 0, 3, 2, 5}, bottom[] = {2, 3, 4, 4, 9};
    fw_interval a = fw_cluster_bootstrap95(top, bottom, 5, 700, seed);
    fw_interval b = fw_cluster_bootstrap95(top, bottom, 5, 700, seed);
    assert_true(a.low == b.low && a.high == b.high && a.low < a.high);
}

/* ---- coverage: simulated clusters whose truth is known ---- */

enum { CLUSTERS_MAX = 40, TRIALS = 1500, DRAWS = 600, SIZE_MAX_OF_CLUSTER = 12 };

typedef struct sample {
    double top[2][CLUSTERS_MAX], bottom[CLUSTERS_MAX];
} sample;

/* Drives of a cluster share its difficulty, so they are not independent: drive i of row r succeeds with the
 * cluster's probability, uniform in base[r] +- 0.2. The truth of row r is base[r]. */
static void draw(fw_random *r, size_t clusters, const double base[2], sample *out) {
    *out = (sample){0};
    for (size_t c = 0; c < clusters; c++) {
        double mood = 0.4 * (double)fw_random_unit(r) - 0.2;
        out->bottom[c] = 1 + fw_random_below(r, SIZE_MAX_OF_CLUSTER);
        for (int i = 0; i < (int)out->bottom[c]; i++)
            for (int row = 0; row < 2; row++) out->top[row][c] += (double)fw_random_unit(r) < base[row] + mood;
    }
}

static bool inside(fw_interval i, double truth) { return i.low <= truth && truth <= i.high; }

static void expect_coverage(size_t clusters) {
    static const double base[2] = {0.7, 0.6};
    unsigned one = 0, both = 0;
    fw_random r = fw_random_indexed(seed, clusters);
    for (unsigned t = 0; t < TRIALS; t++) {
        sample s;
        draw(&r, clusters, base, &s);
        one += inside(fw_cluster_bootstrap95(s.top[0], s.bottom, clusters, DRAWS, t), base[0]);
        both += inside(fw_cluster_difference95((fw_ratio){s.top[0], s.bottom}, (fw_ratio){s.top[1], s.bottom},
                                               clusters, DRAWS, t),
                       base[0] - base[1]);
    }
    double share = one / (double)TRIALS, paired = both / (double)TRIALS;
    printf("%zu clusters, seed %llu: covered %.3f, paired %.3f of %d\n", clusters, (unsigned long long)seed, share,
           paired, TRIALS);
    assert_true(share >= 0.93 && share <= 0.97);
    assert_true(paired >= 0.93 && paired <= 0.97);
}

static void test_intervals_cover_the_truth(void **state) {
    (void)state;
    expect_coverage(8);
    expect_coverage(15);
    expect_coverage(CLUSTERS_MAX);
}

int main(void) {
    const char *text = getenv("FLYWHEEL_SEED");
    seed = text ? strtoull(text, NULL, 10) : 5;
    printf("FLYWHEEL_SEED=%llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wilson_by_hand),
        cmocka_unit_test(test_equal_clusters_have_no_width),
        cmocka_unit_test(test_two_clusters_give_all_there_is),
        cmocka_unit_test(test_draws_without_a_denominator_say_nothing),
        cmocka_unit_test(test_same_seed_same_interval),
        cmocka_unit_test(test_intervals_cover_the_truth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
