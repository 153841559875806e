/* A decision from its observations: levels, slices, limits, reasons, the record. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gate/gate.h"
#include "gate/peer.h"

/* ---- levels ---- */

static void test_the_levels_are_e_londs(void **state) {
    (void)state;
    double sum = 0;
    for (uint32_t t = 1; t <= FW_GATE_PLACES; t++) sum += fw_gate_share(t);
    assert_true(fabs(sum - 20.0 / 21) < 1e-12);
    assert_true(fw_gate_share(0) == 0 && fw_gate_share(FW_GATE_PLACES + 1) == 0);
    assert_true(fabs(fw_gate_alpha(0.05, 1, 0) - 0.025) < 1e-15);
    assert_true(fabs(fw_gate_alpha(0.05, 2, 0) - 0.05 / 6) < 1e-15);
    assert_true(fabs(fw_gate_alpha(0.05, 2, 1) - 0.05 / 3) < 1e-15); /* a promotion gives some of it back */
}

static void test_names_and_order(void **state) {
    (void)state;
    const char *one[] = {"b", "a"}, *two[] = {"a", "b"}, *three[] = {"a", "c"};
    fw_hash x = fw_gate_suite(one, 2), y = fw_gate_suite(two, 2), z = fw_gate_suite(three, 2), a, b;
    assert_int_equal(fw_hash_compare(&x, &y), 0);
    assert_int_not_equal(fw_hash_compare(&x, &z), 0);
    a = fw_gate_order(x.hex, "a"), b = fw_gate_order(z.hex, "a");
    assert_int_not_equal(fw_hash_compare(&a, &b), 0); /* another suite, another order */
}

/* ---- observations ---- */

static fw_gate_cluster cluster(int i, fw_gate_pairs pairs, const char *slice) {
    fw_gate_cluster c = {.pairs = pairs, .part_count = slice ? 1 : 0};
    snprintf(c.name, sizeof c.name, "%064d", i);
    if (slice) snprintf(c.parts[0].name, sizeof c.parts[0].name, "%s", slice), c.parts[0].pairs = pairs;
    return c;
}

static void add(fw_gate *g, int count, fw_gate_pairs pairs, const char *slice) {
    for (int i = 0; i < count; i++) {
        fw_gate_cluster c = cluster(i, pairs, slice);
        fw_gate_add(g, &c);
    }
}

static void test_pairs_are_counted(void **state) {
    (void)state;
    fw_gate_cluster c = {.part_count = 0};
    fw_gate_cluster_add(&c, NULL, true, true);
    fw_gate_cluster_add(&c, NULL, true, false);
    fw_gate_cluster_add(&c, NULL, false, true);
    fw_gate_cluster_add(&c, NULL, false, true);
    fw_gate_cluster_add(&c, NULL, false, false);
    fw_gate_cluster_add(&c, "dense", true, true);
    fw_gate_cluster_add(&c, "dense", false, true);
    assert_int_equal(fw_gate_pairs_count(&c.pairs), 5);
    assert_true(fabs(fw_gate_pairs_difference(&c.pairs) - 0.2) < 1e-15);
    assert_int_equal(c.part_count, 1);
    assert_true(fw_gate_pairs_difference(&c.parts[0].pairs) == 0.5);
    for (int i = 0; i < FW_GATE_SLICES_MAX + 3; i++) { /* what is too many is not counted */
        char name[16];
        snprintf(name, sizeof name, "slice %d", i);
        fw_gate_cluster_add(&c, name, true, true);
    }
    assert_int_equal(c.part_count, FW_GATE_SLICES_MAX);
}

static fw_gate begun(void) {
    fw_gate g;
    fw_gate_begin(&g, &fw_gate_usual);
    return g;
}

static void ends(fw_gate *g, bool promote, const char *head) {
    fw_gate_end(g);
    if (g->promote != promote || strncmp(g->reason, head, strlen(head)) != 0) fail_msg("%s", g->reason);
    fw_gate_clear(g);
}

static void test_a_better_one_is_promoted(void **state) {
    (void)state;
    fw_gate g = begun();
    fw_gate_limit(&g, "way", "of the champion's", 0.9, 0.3, true);
    fw_gate_limit(&g, "time", "us", 5, 1000, false);
    add(&g, 20, (fw_gate_pairs){1, 0, 3, 0}, "dense");
    assert_false(fw_gate_lost(&g));
    ends(&g, true, "better: clean 1.000, champion 0.250, on 80 held-out drives of 20 recordings; ");
}

static void test_no_better_one_is_not(void **state) {
    (void)state;
    fw_gate g = begun();
    ends(&g, false, "not shown to be better: clean 0.000");
    g = begun();
    add(&g, 3, (fw_gate_pairs){1, 0, 3, 0}, NULL);
    ends(&g, false, "not shown to be better: ");
    g = begun();
    add(&g, 30, (fw_gate_pairs){2, 2, 0, 0}, NULL);
    assert_true(fw_gate_lost(&g));
    ends(&g, false, "not better by 0.05: ");
}

static void test_empty_clusters_are_passed_over(void **state) {
    (void)state;
    fw_gate g = begun();
    add(&g, 3, (fw_gate_pairs){0}, NULL);
    assert_int_equal(g.cluster_count, 0);
    g.cluster_count = FW_GATE_CLUSTERS_MAX;
    add(&g, 1, (fw_gate_pairs){1, 0, 0, 0}, NULL);
    assert_int_equal(g.cluster_count, FW_GATE_CLUSTERS_MAX);
    fw_gate_clear(&g);
}

/* ---- slices ---- */

static void test_a_forgotten_slice_refuses(void **state) {
    (void)state;
    fw_gate g = begun();
    add(&g, 40, (fw_gate_pairs){1, 0, 3, 0}, "dense");
    add(&g, 15, (fw_gate_pairs){2, 2, 0, 0}, "vehicle bus"); /* few, and plainly worse */
    ends(&g, false, "forgets vehicle bus (-0.500 in 15 recordings): ");
}

static void test_a_small_slice_refuses_only_when_forgotten(void **state) {
    (void)state;
    fw_gate g = begun();
    add(&g, 40, (fw_gate_pairs){1, 0, 3, 0}, "dense");
    add(&g, 3, (fw_gate_pairs){3, 1, 0, 0}, "vehicle bus");
    fw_gate_end(&g);
    assert_true(g.promote);
    json_t *record = fw_gate_record(&g);
    const json_t *row = json_array_get(json_object_get(record, "slices"), 1);
    assert_string_equal(json_string_value(json_object_get(row, "verdict")), "too small to show");
    json_decref(record);
    fw_gate_clear(&g);
}

static void test_a_large_slice_must_be_shown_to_be_kept(void **state) {
    (void)state;
    fw_gate g = begun();
    add(&g, 40, (fw_gate_pairs){1, 0, 3, 0}, "dense");
    for (int i = 0; i < 60; i++) add(&g, 1, i % 5 ? (fw_gate_pairs){4, 0, 0, 0} : (fw_gate_pairs){2, 2, 0, 0}, "slow");
    for (int i = 0; i < 60; i++) add(&g, 1, i % 5 ? (fw_gate_pairs){4, 0, 0, 0} : (fw_gate_pairs){2, 2, 0, 0}, "fast");
    ends(&g, false, "not shown to keep slow (-0.100 in 60 recordings): "); /* the first of them is named */
}

static void test_slices_beyond_the_most_are_not_judged(void **state) {
    (void)state;
    fw_gate g = begun();
    for (int i = 0; i < FW_GATE_SLICES_MAX + 2; i++) {
        char name[16];
        snprintf(name, sizeof name, "slice %d", i);
        add(&g, 1, (fw_gate_pairs){0, 0, 1, 0}, name);
    }
    assert_int_equal(g.slice_count, FW_GATE_SLICES_MAX);
    fw_gate_clear(&g);
}

/* ---- limits ---- */

static void test_a_limit_refuses(void **state) {
    (void)state;
    fw_gate g = begun();
    fw_gate_limit(&g, "time", "us", 1500, 1000, false);
    assert_true(fw_gate_lost(&g));
    ends(&g, false, "time 1500 us, at most 1000: clean");
    g = begun();
    add(&g, 40, (fw_gate_pairs){1, 0, 3, 0}, NULL);
    fw_gate_limit(&g, "held", "", 1, 1, true);
    fw_gate_limit(&g, "way", "", NAN, 0.3, true); /* no number holds nothing */
    ends(&g, false, "way nan, at least 0.3; better: ");
}

static void test_a_refusal_of_the_callers(void **state) {
    (void)state;
    fw_gate g = begun();
    fw_gate_refuse(&g, "no model");
    json_t *record = fw_gate_record(&g);
    assert_false(g.promote);
    assert_string_equal(json_string_value(json_object_get(record, "reason")), "no model");
    json_decref(record);
    fw_gate_clear(&g);
}

static void test_a_worn_suite(void **state) {
    (void)state;
    fw_gate g;
    fw_gate_plan plan = fw_gate_usual;
    plan.place = FW_GATE_PLACES + 1;
    fw_gate_begin(&g, &plan);
    assert_true(fw_gate_lost(&g));
    add(&g, 2000, (fw_gate_pairs){0, 0, 1, 0}, NULL);
    fw_gate_end(&g);
    assert_false(g.promote);
    json_t *record = fw_gate_record(&g);
    assert_true(json_is_null(json_object_get(json_object_get(record, "hypotheses"), "e_wanted")));
    json_decref(record);
    fw_gate_clear(&g);
}

/* ---- the record ---- */

static void test_the_record(void **state) {
    (void)state;
    fw_gate g = begun();
    add(&g, 60, (fw_gate_pairs){3, 0, 1, 0}, "dense");
    fw_gate_limit(&g, "way", "", INFINITY, 0.3, true);
    fw_gate_end(&g);
    json_t *r = fw_gate_record(&g);
    const json_t *primary = json_object_get(r, "primary"), *path = json_object_get(r, "log_wealth");
    assert_true(json_is_true(json_object_get(r, "promote")));
    assert_string_equal(json_string_value(json_object_get(primary, "outcome")), "H0 is refuted");
    const json_int_t at = json_integer_value(json_object_get(primary, "decided_at"));
    assert_in_range(at, 15, 25);
    assert_int_equal(json_array_size(path), at);
    assert_int_equal(json_integer_value(json_array_get(json_array_get(path, (size_t)at - 1), 0)), at);
    assert_true(json_real_value(json_array_get(json_array_get(path, (size_t)at - 1), 1)) ==
                json_real_value(json_object_get(primary, "log_e")));
    assert_int_equal(json_array_size(json_object_get(r, "clusters")), 60);
    assert_true(json_is_null(json_object_get(json_array_get(json_object_get(r, "limits"), 0), "value")));
    assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(r, "slices"), 0), "verdict")),
                        "kept");
    json_decref(r);
    fw_gate_clear(&g);
}

static void test_a_limit_at_most(void **state) {
    (void)state;
    fw_gate g = begun();
    fw_gate_limit(&g, "time", "us", 3, 1000, false);
    json_t *r = fw_gate_record(&g);
    const json_t *row = json_array_get(json_object_get(r, "limits"), 0);
    assert_string_equal(json_string_value(json_object_get(row, "wanted")), "at most");
    assert_true(json_is_true(json_object_get(row, "held")));
    json_decref(r);
    fw_gate_clear(&g);
}

static void test_the_path_is_thinned(void **state) {
    (void)state;
    fw_gate g = begun();
    for (int i = 0; i < 500; i++) add(&g, 1, i % 2 ? (fw_gate_pairs){1, 0, 1, 0} : (fw_gate_pairs){1, 1, 0, 0}, "x");
    fw_gate_end(&g);
    json_t *r = fw_gate_record(&g);
    const json_t *path = json_object_get(r, "log_wealth");
    assert_in_range(json_array_size(path), 2, FW_GATE_PATH_POINTS);
    const char *verdict = json_string_value(json_object_get(json_array_get(json_object_get(r, "slices"), 0), "verdict"));
    assert_true(strcmp(verdict, "kept") == 0 || strcmp(verdict, "not shown to be kept") == 0);
    json_decref(r);
    fw_gate_clear(&g);
    g = begun();
    for (int i = 0; i < 60; i++) add(&g, 1, i % 5 ? (fw_gate_pairs){4, 0, 0, 0} : (fw_gate_pairs){2, 2, 0, 0}, "x");
    add(&g, 30, (fw_gate_pairs){0, 1, 0, 0}, "y");
    r = fw_gate_record(&g);
    const json_t *rows = json_object_get(r, "slices");
    assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 0), "verdict")), "not shown to be kept");
    assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 1), "verdict")), "forgotten");
    json_decref(r);
    fw_gate_clear(&g);
}

/* ---- the peer ---- */

static void test_the_peer(void **state) {
    (void)state;
    fw_peer p = fw_peer_of(0, 0.05, 0.05, 0.05);
    assert_int_equal(fw_peer_add(&p, 0.3), FW_VERDICT_OPEN);
    assert_int_equal(fw_peer_add(&p, 0.3), FW_VERDICT_OPEN); /* no variance yet: nothing is said */
    assert_true(fw_peer_llr(&p) == 0);
    int n = 2;
    while (fw_peer_add(&p, n % 2 ? 0.5 : 0.2) == FW_VERDICT_OPEN) assert_true(++n < 100);
    assert_int_equal(p.verdict, FW_VERDICT_PROMOTE);
    assert_true(fw_peer_llr(&p) >= log(19)); /* 2.94 */
    assert_int_equal(fw_peer_add(&p, -1), FW_VERDICT_PROMOTE);
    p = fw_peer_of(0, 0.05, 0.05, 0.05);
    for (n = 0; fw_peer_add(&p, n % 2 ? -0.5 : 0.2) == FW_VERDICT_OPEN; n++) assert_true(n < 1000);
    assert_int_equal(p.verdict, FW_VERDICT_FUTILE);
    assert_int_equal(p.decided_at, p.n);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_levels_are_e_londs),
        cmocka_unit_test(test_names_and_order),
        cmocka_unit_test(test_pairs_are_counted),
        cmocka_unit_test(test_a_better_one_is_promoted),
        cmocka_unit_test(test_no_better_one_is_not),
        cmocka_unit_test(test_empty_clusters_are_passed_over),
        cmocka_unit_test(test_a_forgotten_slice_refuses),
        cmocka_unit_test(test_a_small_slice_refuses_only_when_forgotten),
        cmocka_unit_test(test_a_large_slice_must_be_shown_to_be_kept),
        cmocka_unit_test(test_slices_beyond_the_most_are_not_judged),
        cmocka_unit_test(test_a_limit_refuses),
        cmocka_unit_test(test_a_refusal_of_the_callers),
        cmocka_unit_test(test_a_worn_suite),
        cmocka_unit_test(test_the_record),
        cmocka_unit_test(test_a_limit_at_most),
        cmocka_unit_test(test_the_path_is_thinned),
        cmocka_unit_test(test_the_peer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
