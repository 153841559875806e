/* Tests by betting: what one observation does, that wealth is a martingale, that verdicts stay, both sides, and the
 * test of two rates. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "gate/sequential.h"

static void test_the_first_bet_and_what_it_wins(void **state) {
    (void)state;
    fw_wager w = fw_wager_of(-1, 1, 0, true);
    assert_true(fw_wager_log_e(&w) == 0);
    double bet = fw_wager_bet(&w); /* 0.2 / (0.1 + 0.04), kept below the largest */
    assert_true(bet == FW_BET_MOST);
    fw_wager_add(&w, 0.5);
    assert_true(fabs(fw_wager_log_e(&w) - log1p(bet * 0.5)) < 1e-15);
    for (int i = 0; i < 50; i++) fw_wager_add(&w, -0.4);
    assert_true(fw_wager_bet(&w) == 0); /* who always loses bets nothing, and loses no more */
    double before = fw_wager_log_e(&w);
    fw_wager_add(&w, -1);
    assert_true(fw_wager_log_e(&w) == before && w.n == 52);
}

static void test_it_is_never_ruined(void **state) {
    (void)state;
    fw_wager up = fw_wager_of(-1, 1, -0.1, true), down = fw_wager_of(-1, 1, 0.05, false);
    for (int i = 0; i < 20; i++) fw_wager_add(&up, -1), fw_wager_add(&down, 1);
    assert_true(isfinite(fw_wager_log_e(&up)) && isfinite(fw_wager_log_e(&down)));
    assert_true(fw_wager_log_e(&up) < 0 && fw_wager_log_e(&down) < 0);
}

/* The mean of e over all paths of four fair outcomes is 1: exactly what Ville's inequality needs. */
static void test_wealth_is_a_martingale(void **state) {
    (void)state;
    static const double outcomes[] = {-1, -0.25, 0.25, 1};
    for (int above = 0; above < 2; above++) {
        double sum = 0;
        for (int path = 0; path < 256; path++) {
            fw_wager w = fw_wager_of(-1, 1, 0, above);
            for (int k = 0; k < 4; k++) fw_wager_add(&w, outcomes[path >> (2 * k) & 3]);
            sum += exp(fw_wager_log_e(&w));
        }
        assert_true(fabs(sum / 256 - 1) < 1e-12);
    }
}

static void test_verdicts_stay(void **state) {
    (void)state;
    fw_sequential t = fw_sequential_of(-1, 1, 0, 0.05, 0.05, 0.1);
    int n = 0;
    while (fw_sequential_add(&t, 0.8) == FW_VERDICT_OPEN) assert_true(++n < 20);
    assert_int_equal(t.verdict, FW_VERDICT_PROMOTE);
    assert_int_equal(t.decided_at, n + 1);
    double e = fw_wager_log_e(&t.better);
    assert_true(e >= log(20));
    for (int i = 0; i < 100; i++) assert_int_equal(fw_sequential_add(&t, -1), FW_VERDICT_PROMOTE);
    assert_true(fw_wager_log_e(&t.better) == e && t.decided_at == (uint64_t)n + 1);
}

static void test_no_difference_is_futile_in_time(void **state) {
    (void)state;
    fw_sequential t = fw_sequential_of(-1, 1, 0, 0.05, 0.05, 0.1);
    int n = 0;
    while (fw_sequential_add(&t, 0) == FW_VERDICT_OPEN) assert_true(++n < 80);
    assert_int_equal(t.verdict, FW_VERDICT_FUTILE);
    t = fw_sequential_of(-1, 1, 0, 0.05, 0.05, 0.1);
    for (n = 0; fw_sequential_add(&t, -0.5) == FW_VERDICT_OPEN; n++) assert_true(n < 20);
    assert_int_equal(t.verdict, FW_VERDICT_FUTILE);
}

static void test_two_rates(void **state) {
    (void)state;
    assert_true(fw_rate_log_e(0, 1, 0, 1, 1, true) == 0);
    assert_true(fw_rate_log_e(3, 0, 3, 1, 1, true) == 0 && fw_rate_log_e(3, 1, 3, 0, 1, true) == 0);
    assert_true(fw_rate_log_e(40, 10, 10, 10, 1, true) > log(1000));
    assert_true(fw_rate_log_e(40, 10, 10, 10, 5, true) < 0); /* four times is not five */
    assert_true(fw_rate_log_e(10, 10, 40, 10, 1, false) > log(1000));
    assert_true(fw_rate_log_e(10, 10, 40, 10, 1, true) < 0);
    assert_true(fw_rate_log_e(40, 40, 10, 10, 1, true) < 0); /* as often, farther */
    assert_true(fabs(fw_rate_log_e(0, 1, 5, 1, 1, false) - fw_rate_log_e(5, 1, 0, 1, 1, true)) < 1e-9);
}

/* Looked at after every event, two equal rates are rarely told apart. */
static void test_two_equal_rates(void **state) {
    (void)state;
    enum { TRIALS = 400, EVENTS = 200 };
    int wrong = 0;
    for (int i = 0; i < TRIALS; i++) {
        fw_random r = fw_random_indexed(11, (uint64_t)i);
        uint64_t ring = 0, control = 0;
        bool crossed = false;
        for (int k = 0; k < EVENTS; k++) {
            if (fw_random_unit(&r) < 0.5f) ring++;
            else control++;
            crossed = crossed || fw_rate_log_e(ring, 1, control, 1, 1, true) >= log(20);
        }
        wrong += crossed;
    }
    assert_in_range(wrong, 0, TRIALS / 14); /* 0.05 of them, and three standard errors */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_bet_and_what_it_wins), cmocka_unit_test(test_it_is_never_ruined),
        cmocka_unit_test(test_wealth_is_a_martingale),         cmocka_unit_test(test_verdicts_stay),
        cmocka_unit_test(test_no_difference_is_futile_in_time), cmocka_unit_test(test_two_rates),
        cmocka_unit_test(test_two_equal_rates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
