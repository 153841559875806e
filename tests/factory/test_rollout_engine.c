/* Rollouts without a factory: plans as text, orders and rings, one look at made-up units, and detection over seeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "factory/rollout/detection.h"

/* ---- plans ---- */

static fw_status parse(const char *text, fw_rollout_plan *out, fw_error *error) {
    return fw_rollout_plan_parse(text, strlen(text), 8, out, error);
}

static void test_a_plan_is_the_same_as_text(void **state) {
    (void)state;
    for (uint32_t units = 8; units <= 10000; units *= 1250) {
        fw_rollout_plan plan, again;
        fw_error error;
        assert_int_equal(fw_rollout_plan_default(units, &plan, &error), FW_OK);
        json_t *json = fw_rollout_plan_json(&plan);
        char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(9));
        if (parse(text, &again, &error) != FW_OK) fail_msg("%s", error.text);
        json_t *same = fw_rollout_plan_json(&again);
        assert_true(json_equal(json, same));
        json_decref(json);
        json_decref(same);
        free(text);
        fw_rollout_plan_free(&plan);
        fw_rollout_plan_free(&again);
    }
}

static void test_bad_plans_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "", "[]", "{\"version\":2}", "{\"alpha\":0}", "{\"alpha\":1}", "{\"beta\":\"x\"}", "{\"harm_ratio\":1}",
        "{\"group\":\"\"}", "{\"group\":[]}", "{\"group\":[1]}", "{\"group\":\"*a*a*a*a*a\"}", "{\"looks\":\"never\"}",
        "{\"rings\":[]}", "{\"rings\":{}}", "{\"rings\":[{\"share\":1}]}", "{\"rings\":[{\"name\":\"a\",\"share\":0.5}]}",
        "{\"rings\":[{\"name\":\"a\",\"share\":1},{\"name\":\"b\",\"share\":0.5}]}",
        "{\"rings\":[{\"name\":\"a\",\"share\":1},{\"name\":\"b\",\"share\":1,\"mode\":\"shadow\"}]}",
        "{\"rings\":[{\"name\":\"a\",\"share\":1,\"mode\":\"shadow\"}]}",
        "{\"rings\":[{\"name\":\"a\",\"share\":0.1,\"mode\":\"shadow\",\"advance\":\"ruled_out\"},{\"name\":\"b\",\"share\":1}]}",
        "{\"rings\":[{\"name\":\"a\",\"share\":1.5}]}", "{\"rings\":[{\"name\":\"a\",\"share\":1,\"ticks_min\":-1}]}",
        "{\"rings\":[{\"name\":\"a\",\"share\":1,\"units_min\":1.5}]}", "{\"refusals_max\":-1}", "{\"crashes_max\":0.5}",
        "{\"rings\":[{\"name\":\"a name that is too long for this\",\"share\":1}]}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fw_rollout_plan plan;
        fw_error error = {""};
        if (parse(bad[i], &plan, &error) == FW_OK) fail_msg("accepted: %s", bad[i]);
        assert_string_not_equal(error.text, "");
    }
}

static void test_groups(void **state) {
    (void)state;
    fw_rollout_plan plan;
    fw_error error;
    assert_int_equal(parse("{\"group\":\"car-*\"}", &plan, &error), FW_OK);
    assert_true(fw_rollout_plan_takes(&plan, "car-7"));
    assert_false(fw_rollout_plan_takes(&plan, "bus-7"));
    fw_rollout_plan_free(&plan);
    assert_int_equal(parse("{\"group\":[\"1\",\"7\"]}", &plan, &error), FW_OK);
    assert_true(fw_rollout_plan_takes(&plan, "7"));
    assert_false(fw_rollout_plan_takes(&plan, "77"));
    fw_rollout_plan_free(&plan);
}

static void test_reach_and_order(void **state) {
    (void)state;
    fw_rollout_plan plan;
    fw_error error;
    uint32_t before = 0, first[2] = {0, 0};
    assert_int_equal(fw_rollout_plan_default(10000, &plan, &error), FW_OK);
    for (uint32_t i = 1; i < plan.ring_count; i++) { /* ring 0 shadows */
        uint32_t reach = fw_rollout_plan_reach(&plan, i, 10000);
        assert_true(reach > before);
        before = reach;
    }
    assert_int_equal(fw_rollout_plan_reach(&plan, 2, 10000), 100); /* one percent, no unit more */
    assert_int_equal(before, 10000);
    assert_int_equal(fw_rollout_plan_reach(&plan, 1, 3), 3);
    fw_rollout_plan_free(&plan);
    /* fair: who is first differs from rollout to rollout */
    for (int64_t n = 1; n <= 400; n++) first[fw_rollout_order(n, "car-1") < fw_rollout_order(n, "car-2") ? 0 : 1]++;
    assert_in_range(first[0], 150, 250);
    assert_true(fw_rollout_order(3, "car-1") == fw_rollout_order(3, "car-1"));
}

/* ---- health ---- */

static void test_health_counts_differences(void **state) {
    (void)state;
    fw_health a = {.model = fw_hash_bytes("a", 1), .ticks = 100, .events = 3, .distance_m = 50}, b = a, sum = {0};
    b.ticks = 150;
    b.events = 4;
    b.distance_m = 75;
    fw_health_since(&a, &b, &sum);
    assert_int_equal(sum.ticks, 50);
    assert_int_equal(sum.events, 1);
    assert_true(sum.distance_m == 25);
    b.ticks = 10; /* it began again */
    b.events = 2;
    fw_health_since(&a, &b, &sum);
    assert_int_equal(sum.ticks, 60);
    assert_int_equal(sum.events, 3);
    b.model = fw_hash_bytes("b", 1); /* another model: all of it */
    b.ticks = 1000;
    fw_health_since(&a, &b, &sum);
    assert_int_equal(sum.ticks, 1060);
}

static void test_health_as_text(void **state) {
    (void)state;
    static const char *const bad[] = {"{\"health\":[]}", "{\"health\":{\"ticks\":-1}}", "{\"health\":{\"events\":1.5}}",
                                      "{\"health\":{\"distance_m\":\"x\"}}", "{\"health\":{\"distance_m\":-1}}",
                                      "{\"health\":{\"model\":\"x\"}}", "{\"health\":{\"model\":5}}"};
    fw_error error;
    fw_health h = {.model = fw_hash_bytes("a", 1), .ticks = 1, .events = 2, .vetoes = 3, .late_ticks = 4, .crashes = 5,
                   .fallbacks = 6, .shadow_ticks = 7, .shadow_disagreements = 8, .distance_m = 9.5};
    fw_health again;
    json_t *json = fw_health_json(&h);
    assert_int_equal(fw_health_parse(json, &again, &error), FW_OK);
    json_t *same = fw_health_json(&again);
    assert_true(json_equal(json, same));
    json_decref(json);
    json_decref(same);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *text = json_loads(bad[i], 0, NULL);
        assert_int_equal(fw_health_parse(json_object_get(text, "health"), &again, &error), FW_INVALID);
        json_decref(text);
    }
    assert_int_equal(again.ticks, 1); /* untouched on failure */
}

/* ---- one look ---- */

enum { RING = 20, CONTROL = 200 };

/* RING units with the model, then CONTROL without; each with 100 km and so many events. */
static fw_rollout_unit *fleet(uint32_t ring_events, uint32_t control_events) {
    fw_rollout_unit *units = calloc(RING + CONTROL, sizeof *units);
    for (int i = 0; i < RING + CONTROL; i++)
        units[i] = (fw_rollout_unit){.state = i < RING ? FW_ROLLOUT_ACTIVE : FW_ROLLOUT_CONTROL,
                                     .heard = true,
                                     .window = {.ticks = 1000,
                                                .distance_m = 100e3,
                                                .events = i < RING ? ring_events : control_events,
                                                .vetoes = 20}};
    return units;
}

static fw_rollout_plan plan_of(const char *text) {
    fw_rollout_plan plan;
    fw_error error;
    if (parse(text, &plan, &error) != FW_OK) fail_msg("%s", error.text);
    return plan;
}

static const char careful[] =
    "{\"beta\":0.001,\"rings\":[{\"name\":\"a\",\"share\":0.1,\"advance\":\"ruled_out\",\"ticks_min\":500,"
    "\"distance_min_m\":1000,\"time_min_s\":10,\"time_max_s\":100},{\"name\":\"all\",\"share\":1}]}";

static fw_rollout_evidence look(const char *plan_text, uint32_t ring, double elapsed_s, fw_rollout_unit *units) {
    fw_rollout_plan plan = plan_of(plan_text);
    fw_rollout_evidence seen;
    for (int i = 0; i < RING + CONTROL; i++) units[i].lived = units[i].window;
    fw_rollout_look(&plan, ring, elapsed_s, true, units, RING + CONTROL, &seen);
    json_t *json = fw_rollout_evidence_json(&seen);
    assert_non_null(json);
    json_decref(json);
    fw_rollout_plan_free(&plan);
    return seen;
}

static void expect(const fw_rollout_evidence *seen, fw_rollout_action action, const char *reason) {
    if (seen->action != action || !strstr(seen->reason, reason))
        fail_msg("%s: %s; wanted %s: %s", fw_rollout_action_name(seen->action), seen->reason,
                 fw_rollout_action_name(action), reason);
}

static void test_equal_rates_pass(void **state) {
    (void)state;
    fw_rollout_unit *units = fleet(10, 10);
    fw_rollout_evidence seen = look(careful, 0, 20, units);
    expect(&seen, FW_ROLLOUT_ADVANCE, "ruled out");
    seen = look(careful, 1, 20, units);
    expect(&seen, FW_ROLLOUT_DONE, "exposure");
    free(units);
}

static void test_harm_halts(void **state) {
    (void)state;
    fw_rollout_unit *units = fleet(20, 10);
    fw_rollout_evidence seen = look(careful, 0, 0, units);
    expect(&seen, FW_ROLLOUT_HALT, "harm shown");
    assert_true(seen.compared[FW_MEASURE_EVENTS].log_e_harm > 10);
    free(units);
}

static void test_little_is_not_enough(void **state) {
    (void)state;
    fw_rollout_unit *units = fleet(0, 0);
    for (int i = 0; i < RING + CONTROL; i++) units[i].window.vetoes = 0;
    fw_rollout_evidence seen = look(careful, 0, 20, units);
    expect(&seen, FW_ROLLOUT_WAIT, "not ruled out yet");
    seen = look(careful, 0, 100, units);
    expect(&seen, FW_ROLLOUT_HALT, "undecided");
    free(units);
}

/* Twenty units that differ like this know less than their events say. */
static void test_scatter_between_units_weakens_evidence(void **state) {
    (void)state;
    fw_rollout_unit *units = fleet(14, 10);
    fw_rollout_evidence even = look(careful, 0, 0, units);
    for (int i = RING; i < RING + CONTROL; i++) units[i].window.events = i % 2 ? 20 : 0;
    fw_rollout_evidence uneven = look(careful, 0, 0, units);
    assert_true(even.compared[0].dispersion == 1);
    assert_true(uneven.compared[0].dispersion > 9 && uneven.compared[0].dispersion < 11);
    assert_true(uneven.compared[0].log_e_harm < even.compared[0].log_e_harm);
    free(units);
}

static void test_what_must_come_first(void **state) {
    (void)state;
    fw_rollout_unit *units = fleet(10, 10);
    fw_rollout_evidence seen = look(careful, 0, 5, units);
    expect(&seen, FW_ROLLOUT_WAIT, "5 of 10 s");
    units[3].window.ticks = 400;
    seen = look(careful, 0, 20, units);
    expect(&seen, FW_ROLLOUT_WAIT, "400 of 500 ticks");
    units[3].heard = false; /* a silent one is not waited for */
    seen = look(careful, 0, 20, units);
    expect(&seen, FW_ROLLOUT_ADVANCE, "");
    units[4].state = FW_ROLLOUT_TOLD;
    seen = look(careful, 0, 20, units);
    expect(&seen, FW_ROLLOUT_WAIT, "1 of 20 units do not have it yet");
    units[4].heard = false;
    seen = look(careful, 0, 20, units);
    expect(&seen, FW_ROLLOUT_ADVANCE, "");
    for (int i = 0; i < RING; i++) units[i].heard = false;
    seen = look(careful, 0, 20, units);
    expect(&seen, FW_ROLLOUT_WAIT, "answers");
    units[4].state = FW_ROLLOUT_ACTIVE;
    for (int i = 0; i < RING; i++) units[i].heard = true, units[i].window.distance_m = 1, units[i].window.events = units[i].window.vetoes = 0,
        units[i].window.ticks = 1000;
    seen = look(careful, 0, 20, units);
    expect(&seen, FW_ROLLOUT_WAIT, "km driven");
    free(units);
}

/* A unit that says it drove a million kilometres without an event weighs little more than another. */
static void test_one_that_lies_hides_no_harm(void **state) {
    (void)state;
    fw_rollout_unit *units = fleet(20, 10);
    units[0].window.distance_m = 1e9, units[0].window.events = units[0].window.vetoes = 0;
    fw_rollout_evidence seen = look(careful, 0, 20, units);
    expect(&seen, FW_ROLLOUT_HALT, "harm shown");
    free(units);
    units = fleet(10, 10);
    for (int i = 0; i < RING; i++) units[i].window.late_ticks = 400;
    units[0].window.ticks = 1000000000, units[0].window.late_ticks = 0;
    seen = look(careful, 0, 20, units);
    expect(&seen, FW_ROLLOUT_HALT, "late");
    free(units);
    units = fleet(10, 10); /* nor does one of the control show one */
    units[RING].window.distance_m = 1e9, units[RING].window.events = units[RING].window.vetoes = 0;
    seen = look(careful, 0, 20, units);
    expect(&seen, FW_ROLLOUT_ADVANCE, "ruled out");
    assert_true(seen.compared[FW_MEASURE_EVENTS].control_rate > 0.09);
    free(units);
}

/* As many as may refuse the model may also never take it; more may not. */
static void test_who_never_takes_it_is_left_behind(void **state) {
    (void)state;
    static const char one[] = "{\"refusals_max\":1,\"rings\":[{\"name\":\"a\",\"share\":0.1,\"time_max_s\":100},"
                              "{\"name\":\"all\",\"share\":1}]}";
    fw_rollout_unit *units = fleet(10, 10);
    units[4] = (fw_rollout_unit){.state = FW_ROLLOUT_TOLD, .heard = true};
    fw_rollout_evidence seen = look(one, 0, 49, units);
    expect(&seen, FW_ROLLOUT_WAIT, "1 of 20 units do not have it yet");
    seen = look(one, 0, 50, units);
    expect(&seen, FW_ROLLOUT_ADVANCE, "19 of 20 units run it");
    assert_true(seen.settled);
    units[5] = units[4];
    seen = look(one, 0, 99, units);
    expect(&seen, FW_ROLLOUT_WAIT, "2 of 20 units do not have it yet");
    seen = look(one, 0, 100, units);
    expect(&seen, FW_ROLLOUT_HALT, "undecided");
    units[5].state = FW_ROLLOUT_FAILED; /* it refused: that was the one */
    seen = look(one, 0, 99, units);
    expect(&seen, FW_ROLLOUT_WAIT, "1 of 20 units do not have it yet");
    free(units);
}

/* Until nobody is waited for, only a harm counts that no hour of the day makes. */
static void test_before_a_ring_is_settled(void **state) {
    (void)state;
    fw_rollout_plan plan = plan_of(careful);
    fw_rollout_evidence seen;
    fw_rollout_unit *units = fleet(14, 10);
    for (int i = 0; i < RING + CONTROL; i++) units[i].lived = units[i].window, units[i].window = (fw_health){0};
    units[0].state = FW_ROLLOUT_TOLD;
    fw_rollout_look(&plan, 0, 20, false, units, RING + CONTROL, &seen);
    expect(&seen, FW_ROLLOUT_WAIT, "do not have it yet");
    assert_false(seen.settled);
    for (int i = 1; i < RING; i++) units[i].lived.events = 40;
    fw_rollout_look(&plan, 0, 20, false, units, RING + CONTROL, &seen);
    expect(&seen, FW_ROLLOUT_HALT, "harm shown");
    for (int i = 1; i < RING; i++) units[i].lived.events = 10;
    units[0].state = FW_ROLLOUT_ACTIVE;
    fw_rollout_look(&plan, 0, 20, false, units, RING + CONTROL, &seen);
    expect(&seen, FW_ROLLOUT_WAIT, "not ruled out yet"); /* that takes windows of the same hours */
    assert_true(seen.settled);
    free(units);
    fw_rollout_plan_free(&plan);
}

static void test_limits_halt_at_once(void **state) {
    (void)state;
    static const char limits[] =
        "{\"refusals_max\":1,\"fallbacks_max\":1,\"crashes_max\":2,\"late_share_max\":0.1,\"rings\":[{\"name\":\"all\",\"share\":1}]}";
    fw_rollout_unit *units = fleet(10, 10);
    units[0].state = FW_ROLLOUT_FAILED;
    fw_rollout_evidence seen = look(limits, 0, 0, units);
    expect(&seen, FW_ROLLOUT_DONE, "");
    units[1].state = FW_ROLLOUT_FAILED;
    seen = look(limits, 0, 0, units);
    expect(&seen, FW_ROLLOUT_HALT, "2 of 20 units refused");
    units[0].fallbacks = units[1].fallbacks = 1;
    seen = look(limits, 0, 0, units);
    expect(&seen, FW_ROLLOUT_HALT, "2 fallbacks");
    free(units);
    units = fleet(10, 10);
    units[5].crashes = 3;
    seen = look(limits, 0, 0, units);
    expect(&seen, FW_ROLLOUT_HALT, "3 crashes");
    units[5].crashes = 0;
    for (int i = 0; i < RING; i++) units[i].window.late_ticks = 200;
    seen = look(limits, 0, 0, units);
    expect(&seen, FW_ROLLOUT_HALT, "late");
    for (int i = 0; i < RING + CONTROL; i++) units[i].window.late_ticks = 200; /* the machine's, not the model's */
    seen = look(limits, 0, 0, units);
    expect(&seen, FW_ROLLOUT_DONE, "");
    free(units);
}

static void test_shadow(void **state) {
    (void)state;
    static const char shadow[] = "{\"disagreement_max\":0.3,\"rings\":[{\"name\":\"s\",\"share\":0.1,\"mode\":\"shadow\","
                                 "\"ticks_min\":300},{\"name\":\"all\",\"share\":1}]}";
    fw_rollout_unit *units = fleet(10, 10);
    for (int i = 0; i < RING; i++) units[i].window.shadow_ticks = 250;
    fw_rollout_evidence seen = look(shadow, 0, 0, units);
    expect(&seen, FW_ROLLOUT_WAIT, "250 of 300 ticks");
    for (int i = 0; i < RING; i++) units[i].window.shadow_ticks = 300, units[i].window.shadow_disagreements = 60;
    seen = look(shadow, 0, 0, units);
    expect(&seen, FW_ROLLOUT_ADVANCE, "shadow it");
    for (int i = 0; i < RING; i++) units[i].window.shadow_disagreements = 120;
    seen = look(shadow, 0, 0, units);
    expect(&seen, FW_ROLLOUT_HALT, "disagrees");
    free(units);
}

static void test_a_fleet_without_distance_shows_nothing(void **state) {
    (void)state;
    fw_rollout_unit *units = fleet(10, 10);
    for (int i = 0; i < RING + CONTROL; i++) units[i].window = (fw_health){0};
    fw_rollout_evidence seen = look("{\"rings\":[{\"name\":\"all\",\"share\":1}]}", 0, 0, units);
    expect(&seen, FW_ROLLOUT_DONE, "");
    assert_true(seen.compared[0].log_e_harm == 0);
    free(units);
}

/* ---- detection, the short form of docs/results/rollout-detection.txt ---- */

static const fw_harm *harm_named(const char *name) {
    int count;
    const fw_harm *harms = fw_harms(&count);
    for (int i = 0; i < count; i++)
        if (strcmp(harms[i].name, name) == 0) return &harms[i];
    fail_msg("no harm %s", name);
    return NULL;
}

static void detect(const char *harm, uint64_t seed, fw_detection *out) {
    fw_detection_world world = fw_detection_world_of();
    fw_rollout_plan plan;
    fw_error error;
    *out = (fw_detection){0};
    assert_int_equal(fw_rollout_plan_default(10000, &plan, &error), FW_OK);
    assert_int_equal(fw_detect(&plan, &world, harm_named(harm), 10000, seed, out, &error), FW_OK);
    fw_rollout_plan_free(&plan);
}

static void test_harm_stays_within_one_percent(void **state) {
    (void)state;
    static const char *const harms[] = {"events x2", "events x5", "crash on start", "slow tick, 5 % late"};
    for (size_t h = 0; h < sizeof harms / sizeof *harms; h++)
        for (uint64_t seed = 1; seed <= 20; seed++) {
            fw_detection d;
            detect(harms[h], seed, &d);
            if (d.end != FW_ROLLOUT_HALT || d.exposed > 100)
                fail_msg("%s, seed %llu: %u units: %s", harms[h], (unsigned long long)seed, d.exposed, d.reason);
        }
}

static void test_harmless_models_arrive(void **state) {
    (void)state;
    int halted = 0;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        fw_detection d;
        detect("harmless", seed, &d);
        halted += d.end != FW_ROLLOUT_DONE;
    }
    assert_int_equal(halted, 0);
}

static void test_same_seed_same_rollout(void **state) {
    (void)state;
    fw_detection a, b;
    detect("events x1.5", 7, &a);
    detect("events x1.5", 7, &b);
    assert_true(a.hours == b.hours && a.exposed_km == b.exposed_km && a.ring == b.ring);
    assert_string_equal(a.reason, b.reason);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_plan_is_the_same_as_text),
                                       cmocka_unit_test(test_bad_plans_are_refused),
                                       cmocka_unit_test(test_groups),
                                       cmocka_unit_test(test_reach_and_order),
                                       cmocka_unit_test(test_health_counts_differences),
                                       cmocka_unit_test(test_health_as_text),
                                       cmocka_unit_test(test_equal_rates_pass),
                                       cmocka_unit_test(test_harm_halts),
                                       cmocka_unit_test(test_little_is_not_enough),
                                       cmocka_unit_test(test_scatter_between_units_weakens_evidence),
                                       cmocka_unit_test(test_what_must_come_first),
                                       cmocka_unit_test(test_one_that_lies_hides_no_harm),
                                       cmocka_unit_test(test_who_never_takes_it_is_left_behind),
                                       cmocka_unit_test(test_before_a_ring_is_settled),
                                       cmocka_unit_test(test_limits_halt_at_once),
                                       cmocka_unit_test(test_shadow),
                                       cmocka_unit_test(test_a_fleet_without_distance_shows_nothing),
                                       cmocka_unit_test(test_harm_stays_within_one_percent),
                                       cmocka_unit_test(test_harmless_models_arrive),
                                       cmocka_unit_test(test_same_seed_same_rollout)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
