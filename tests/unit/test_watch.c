/* A new model is watched: every fault leads back to the last-known-good within 3 ticks, then to the safe controller;
 * a candidate in shadow decides nothing. */
#include "support.h"

#include <math.h>

#include "unit/tick/safe.h"
#include "unit/tick/shadow.h"
#include "unit/tick/watch.h"

enum { UNIT = 9 };

static int64_t cpu_now_ns, cpu_step_ns;
static int64_t cpu_ns(void) { return cpu_now_ns += cpu_step_ns; } /* each look costs so much */

typedef struct rig {
    fw_unit_shared *shared;
    fw_unit_tick *tick;
    int world, unit;
    uint32_t now;
    float gap_m; /* of the leader; 0: as on the straight road */
} rig;

static void open_tick(rig *r) {
    fw_unit_tick_config config = {.unit = UNIT, .bus_path = "unused", .cpu_ns = cpu_ns};
    assert_int_equal(fw_unit_tick_open(&config, r->shared, &r->tick, NULL), FW_OK);
}

static rig make_rig(void) {
    rig r = {.shared = make_shared()};
    int fds[2];
    cpu_step_ns = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    r.world = fds[0], r.unit = fds[1];
    open_tick(&r);
    return r;
}

static void drop_rig(rig *r) {
    fw_unit_tick_close(r->tick);
    close(r->world), close(r->unit);
    fw_unit_shared_free(r->shared);
}

/* As if the process had died, and the supervisor had started another. */
static void crash(rig *r) {
    fw_unit_tick_close(r->tick);
    open_tick(r);
}

static fw_bus_act one_tick(rig *r, fw_drive_action *action) {
    fw_drive_obs obs;
    fw_error error;
    static uint8_t payload[FW_UNIT_PIECE_MAX];
    fw_unit_piece piece;
    straight_road(1, r->now++, &obs);
    if (r->gap_m > 0) obs.users[0].x_m = obs.x_m + 6 + r->gap_m, obs.users[0].speed_mps = 0;
    send_obs(r->world, UNIT, &obs);
    assert_int_equal(fw_unit_tick_once(r->tick, r->unit, 1000, &error), FW_OK);
    while (fw_unit_ring_peek(&r->shared->ring, &piece, payload)) fw_unit_ring_pop(&r->shared->ring, &piece);
    fw_bus_act act = take_act(r->world, action);
    assert_int_equal(act.acted, 1);
    return act;
}

static void ticks(rig *r, int count) {
    for (int i = 0; i < count; i++) (void)one_tick(r, NULL);
}

/* A model that has come through its watch. */
static fw_hash make_good(rig *r, fw_policy_kind kind) {
    fw_hash hash = stage_rule(r->shared, kind);
    ticks(r, FW_UNIT_WATCH_TICKS);
    uint64_t staged = atomic_load(&r->shared->models.staged);
    assert_int_equal(atomic_load(&r->shared->model_approved), staged);
    atomic_store(&r->shared->model_good, staged); /* the courier has written it down */
    return hash;
}

/* Ticks until `hash` drives; fails over `most`. */
static void expect_within(rig *r, const fw_hash *hash, int most) {
    for (int i = 0; i < most; i++)
        if (strcmp(one_tick(r, NULL).model.hex, hash->hex) == 0) return;
    fail_msg("the last-known-good does not drive after %d ticks", most);
}

static void test_a_watch_ends_well_and_is_told(void **state) {
    (void)state;
    rig r = make_rig();
    fw_hash good = make_good(&r, FW_POLICY_IDM), next = stage_rule(r.shared, FW_POLICY_CONSTANT);
    assert_string_not_equal(good.hex, next.hex);
    ticks(&r, FW_UNIT_WATCH_TICKS - 1);
    assert_int_equal(atomic_load(&r.shared->model_approved), 1);
    assert_string_equal(one_tick(&r, NULL).model.hex, next.hex);
    assert_int_equal(atomic_load(&r.shared->model_approved), 2);
    assert_int_equal(atomic_load(&r.shared->health.sequence), 2);
    assert_int_equal(atomic_load(&r.shared->health.ticks), FW_UNIT_WATCH_TICKS);
    assert_int_equal(atomic_load(&r.shared->health.distance_mm), FW_UNIT_WATCH_TICKS * 800);
    assert_int_equal(atomic_load(&r.shared->model_refused), 0);
    drop_rig(&r);
}

static void test_a_slow_model_is_left_within_three_ticks(void **state) {
    (void)state;
    rig r = make_rig();
    fw_hash good = make_good(&r, FW_POLICY_IDM), slow = stage_rule(r.shared, FW_POLICY_CONSTANT);
    ticks(&r, 10);
    cpu_step_ns = (FW_UNIT_DECIDE_MAX_MS + 1) * INT64_C(1000000);
    ticks(&r, 2); /* twice is an accident */
    cpu_step_ns = 0;
    assert_string_equal(one_tick(&r, NULL).model.hex, slow.hex);
    cpu_step_ns = (FW_UNIT_DECIDE_MAX_MS + 1) * INT64_C(1000000);
    ticks(&r, FW_UNIT_LATE_ROW);
    cpu_step_ns = 0;
    assert_string_equal(one_tick(&r, NULL).model.hex, good.hex); /* the next one */
    assert_int_equal(atomic_load(&r.shared->model_refused), 2);
    assert_int_equal(atomic_load(&r.shared->refused_why), FW_UNIT_REFUSED_LATE);
    assert_int_equal(atomic_load(&r.shared->health.fallbacks), 1);
    ticks(&r, 2 * FW_UNIT_WATCH_TICKS);
    assert_int_equal(atomic_load(&r.shared->model_refused), 2); /* what was proven is not watched again */
    drop_rig(&r);
}

static void test_a_storm_of_vetoes_is_left(void **state) {
    (void)state;
    rig r = make_rig();
    fw_hash good = make_good(&r, FW_POLICY_IDM);
    stage_rule(r.shared, FW_POLICY_CONSTANT); /* drives on with 8 m/s, whatever stands there */
    r.gap_m = 10; /* the rule brakes for it by itself, in time */
    expect_within(&r, &good, FW_UNIT_WATCH_VETOES + 3);
    assert_int_equal(atomic_load(&r.shared->refused_why), FW_UNIT_REFUSED_VETOES);
    drop_rig(&r);
}

static void test_vetoes_that_the_good_one_would_have_too_are_no_storm(void **state) {
    (void)state;
    rig r = make_rig();
    make_good(&r, FW_POLICY_CONSTANT);
    fw_hash same = stage_rule(r.shared, FW_POLICY_CONSTANT);
    r.gap_m = 10;
    ticks(&r, FW_UNIT_WATCH_TICKS);
    assert_true(atomic_load(&r.shared->health.vetoes) > FW_UNIT_WATCH_VETOES);
    assert_int_equal(atomic_load(&r.shared->model_refused), 0);
    assert_string_equal(one_tick(&r, NULL).model.hex, same.hex);
    drop_rig(&r);
}

/* Puts a rule's ready bytes into a lane; it is not staged yet. */
static uint64_t put_rule(fw_unit_lane *lane, uint64_t keep, fw_policy_kind kind, fw_hash *hash) {
    static uint8_t ready[FW_UNIT_MODEL_MAX];
    char *bytes = NULL;
    size_t size = 0, ready_bytes = 0;
    assert_int_equal(fw_policy_rule_file(kind, &bytes, &size, NULL), FW_OK);
    *hash = fw_hash_bytes(bytes, size);
    assert_int_equal(fw_unit_tick_load(bytes, size, NULL, ready, sizeof ready, &ready_bytes, NULL), FW_OK);
    free(bytes);
    return fw_unit_lane_put(lane, keep, hash, ready, ready_bytes);
}

/* A unit that was switched off in the middle of a trial: the last-known-good has not driven since, and is asked all
 * the same. */
static void test_a_storm_after_a_restart_is_seen_too(void **state) {
    (void)state;
    rig r = make_rig();
    fw_hash good;
    atomic_store(&r.shared->model_good, put_rule(&r.shared->models, 0, FW_POLICY_IDM, &good));
    stage_rule(r.shared, FW_POLICY_CONSTANT);
    r.gap_m = 10;
    expect_within(&r, &good, FW_UNIT_WATCH_VETOES + 3);
    assert_int_equal(atomic_load(&r.shared->refused_why), FW_UNIT_REFUSED_VETOES);
    drop_rig(&r);
}

/* The line's own networks end in bounded functions; others may not. */
static void test_an_answer_that_is_no_number_is_a_fault_at_once_and_always(void **state) {
    (void)state;
    const fw_drive_action fine = {-1, 0.1f}, bad[] = {{NAN, 0}, {0, INFINITY}, {-INFINITY, NAN}};
    assert_true(fw_unit_seat_finite(&fine));
    for (int i = 0; i < 3; i++) assert_false(fw_unit_seat_finite(&bad[i]));
    for (int on = 0; on < 2; on++) {
        fw_unit_watch watch = {.on = on};
        assert_int_equal(fw_unit_watch_tick(&watch, &(fw_unit_watched){.finite = true}), FW_UNIT_REFUSED_NOT);
        assert_int_equal(fw_unit_watch_tick(&watch, &(fw_unit_watched){.finite = false}), FW_UNIT_REFUSED_NUMBERS);
    }
}

static void test_a_crash_on_trial_leads_back_at_once(void **state) {
    (void)state;
    rig r = make_rig();
    fw_hash good = make_good(&r, FW_POLICY_IDM);
    stage_rule(r.shared, FW_POLICY_CONSTANT);
    ticks(&r, 5);
    crash(&r);
    assert_string_equal(one_tick(&r, NULL).model.hex, good.hex);
    assert_int_equal(atomic_load(&r.shared->refused_why), FW_UNIT_REFUSED_CRASH);
    stage_rule(r.shared, FW_POLICY_CONSTANT); /* and one that dies while it is made ready */
    uint64_t staged = atomic_load(&r.shared->models.staged);
    atomic_store(&r.shared->model_taking, staged);
    crash(&r);
    assert_string_equal(one_tick(&r, NULL).model.hex, good.hex);
    assert_int_equal(atomic_load(&r.shared->model_refused), staged);
    drop_rig(&r);
}

static void test_what_fails_too_leads_to_the_safe_controller(void **state) {
    (void)state;
    rig r = make_rig();
    fw_drive_action action;
    fw_hash good = make_good(&r, FW_POLICY_IDM);
    for (int i = 0; i < FW_UNIT_CRASH_ROW; i++) { /* a proven one may die twice in a row */
        assert_string_equal(one_tick(&r, NULL).model.hex, good.hex);
        crash(&r);
    }
    for (int i = 0; i < 20; i++) {
        fw_bus_act act = one_tick(&r, &action);
        assert_string_equal(act.model.hex, "");
        assert_true(action.accel_mps2 <= -FW_UNIT_SAFE_BRAKE_MPS2);
        assert_true(isfinite(action.curvature_pm));
    }
    assert_true(atomic_load(&r.shared->safe));
    crash(&r); /* it holds for the process that comes after */
    assert_string_equal(one_tick(&r, NULL).model.hex, "");
    fw_hash next = stage_rule(r.shared, FW_POLICY_CONSTANT); /* until there is another model */
    assert_string_equal(one_tick(&r, NULL).model.hex, next.hex);
    assert_false(atomic_load(&r.shared->safe));
    drop_rig(&r);
}

static void test_a_unit_whose_slots_are_gone_stops_and_a_fresh_one_waits(void **state) {
    (void)state;
    rig r = make_rig();
    assert_false(fw_unit_tick_take_model(r.tick));
    atomic_store(&r.shared->safe_wanted, true);
    assert_string_equal(one_tick(&r, NULL).model.hex, "");
    drop_rig(&r);
}

static void stage_shadow(rig *r, fw_policy_kind kind) {
    fw_hash hash;
    fw_unit_lane_stage(&r->shared->shadows, put_rule(&r->shared->shadows, 0, kind, &hash));
}

static void test_a_shadow_decides_nothing_and_is_compared(void **state) {
    (void)state;
    rig with = make_rig(), without = make_rig();
    make_good(&with, FW_POLICY_IDM);
    make_good(&without, FW_POLICY_IDM);
    with.gap_m = without.gap_m = 10; /* one brakes, the other does not */
    stage_shadow(&with, FW_POLICY_CONSTANT);
    for (int i = 0; i < 40; i++) {
        fw_drive_action a, b;
        assert_string_equal(one_tick(&with, &a).model.hex, one_tick(&without, &b).model.hex);
        assert_memory_equal(&a, &b, sizeof a);
    }
    assert_int_equal(atomic_load(&with.shared->health.shadow_ticks), 40);
    assert_int_equal(atomic_load(&with.shared->health.shadow_disagreements), 40);
    stage_shadow(&with, FW_POLICY_IDM); /* the same as what drives */
    ticks(&with, 10);
    assert_int_equal(atomic_load(&with.shared->health.shadow_ticks), 10);
    assert_int_equal(atomic_load(&with.shared->health.shadow_disagreements), 0);
    cpu_step_ns = (FW_UNIT_SHADOW_MAX_MS + 1) * INT64_C(1000000);
    ticks(&with, FW_UNIT_LATE_ROW);
    assert_int_equal(atomic_load(&with.shared->shadow_active), 0);
    assert_int_equal(atomic_load(&with.shared->shadow_refused), 2);
    drop_rig(&with);
    drop_rig(&without);
}

/* A shadow that the process dies of is no fault of the model that drives, and is not tried again. */
static void test_a_shadow_that_crashes_is_to_blame_itself(void **state) {
    (void)state;
    rig r = make_rig();
    fw_hash good = make_good(&r, FW_POLICY_IDM);
    stage_shadow(&r, FW_POLICY_CONSTANT);
    ticks(&r, 5);
    assert_int_equal(atomic_load(&r.shared->shadow_taking), 0);
    for (int i = 0; i < FW_UNIT_CRASH_ROW + 1; i++) {
        uint64_t staged = atomic_load(&r.shared->shadows.staged);
        atomic_store(&r.shared->shadow_taking, staged);
        crash(&r);
        assert_int_equal(atomic_load(&r.shared->shadow_refused), staged);
        assert_string_equal(one_tick(&r, NULL).model.hex, good.hex);
        assert_int_equal(atomic_load(&r.shared->shadow_active), 0);
        if (i < FW_UNIT_CRASH_ROW) stage_shadow(&r, FW_POLICY_CONSTANT);
    }
    assert_int_equal(atomic_load(&r.shared->model_refused), 0);
    assert_int_equal(atomic_load(&r.shared->health.crashes), 0);
    drop_rig(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_watch_ends_well_and_is_told),
        cmocka_unit_test(test_a_slow_model_is_left_within_three_ticks),
        cmocka_unit_test(test_a_storm_of_vetoes_is_left),
        cmocka_unit_test(test_a_storm_after_a_restart_is_seen_too),
        cmocka_unit_test(test_vetoes_that_the_good_one_would_have_too_are_no_storm),
        cmocka_unit_test(test_an_answer_that_is_no_number_is_a_fault_at_once_and_always),
        cmocka_unit_test(test_a_crash_on_trial_leads_back_at_once),
        cmocka_unit_test(test_what_fails_too_leads_to_the_safe_controller),
        cmocka_unit_test(test_a_unit_whose_slots_are_gone_stops_and_a_fresh_one_waits),
        cmocka_unit_test(test_a_shadow_decides_nothing_and_is_compared),
        cmocka_unit_test(test_a_shadow_that_crashes_is_to_blame_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
