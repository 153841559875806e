/* What a driving tick offers to the conditions of campaigns, and what is absent when. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lines/driving/act/signals.h"

static double signals[FW_DRIVE_SIGNAL_COUNT];

static double of(const char *name) {
    for (uint32_t i = 0; i < fw_drive_signals.count; i++)
        if (strcmp(fw_drive_signals.names[i], name) == 0) return signals[i];
    fail_msg("no signal %s", name);
    return 0;
}

static void assert_is(const char *name, double value) {
    if (!(fabs(of(name) - value) < 1e-5)) fail_msg("%s is %g, not %g", name, of(name), value);
}

static void test_an_empty_road(void **state) {
    (void)state;
    static const fw_drive_obs obs = {.speed_mps = 7.5f, .light = FW_DRIVE_LIGHT_NONE};
    static const fw_drive_decision decision = {.veto = 0};
    fw_drive_signals_of(&obs, &decision, 0, signals);
    assert_is("/ego.speed_mps", 7.5);
    assert_is("/users.count", 0);
    assert_is("/signal.light", 0);
    assert_true(isnan(of("/users.nearest_m")));
    assert_true(isnan(of("/signal.light_s_m")));
    for (uint32_t i = 0; i < fw_drive_signals.count; i++) /* nothing else is absent */
        assert_int_equal(isnan(signals[i]), i == FW_DRIVE_SIGNAL_NEAREST || i == FW_DRIVE_SIGNAL_LIGHT_S);
}

static void test_every_value_has_its_place(void **state) {
    (void)state;
    static const fw_drive_obs obs = {
        .x_m = 10, .y_m = 20, .speed_mps = 1, .accel_mps2 = 2, .curvature_pm = 3, .impact_mps2 = 4,
        .route_left_m = 5, .light = FW_DRIVE_LIGHT_RED, .light_s_m = 6, .user_count = 2,
        .conflict_count = 1, .users = {{.x_m = 13, .y_m = 24}, {.x_m = 500}}};
    static const fw_drive_decision decision = {.policy = {7, 8}, .action = {9, 10}, .veto = 2,
                                               .uncertainty = 11};
    static const struct {
        const char *name;
        double value;
    } rows[] = {{"/ego.x_m", 10}, {"/ego.y_m", 20}, {"/ego.speed_mps", 1}, {"/ego.accel_mps2", 2},
                {"/ego.curvature_pm", 3}, {"/ego.impact_mps2", 4}, {"/ego.route_left_m", 5},
                {"/signal.light", 3}, {"/signal.light_s_m", 6}, {"/users.count", 2},
                {"/users.nearest_m", 5}, {"/conflicts.count", 1}, {"/action.policy_accel_mps2", 7},
                {"/action.policy_curvature_pm", 8}, {"/action.accel_mps2", 9},
                {"/action.curvature_pm", 10}, {"/action.uncertainty", 11}, {"/guard.veto", 2}, {"/event.hard_brake", 0},
                {"/event.veto", 0}, {"/event.impact", 0}, {"/event.low_ttc", 0},
                {"/event.uncertain", 0}};
    assert_int_equal(sizeof rows / sizeof *rows, fw_drive_signals.count); /* none forgotten here */
    fw_drive_signals_of(&obs, &decision, 0, signals);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) assert_is(rows[i].name, rows[i].value);
}

static void test_events(void **state) {
    (void)state;
    static const fw_drive_obs obs = {.speed_mps = 1};
    static const fw_drive_decision decision = {.veto = 0};
    static const struct {
        fw_drive_event event;
        const char *name;
    } rows[] = {{FW_DRIVE_EVENT_HARD_BRAKE, "/event.hard_brake"}, {FW_DRIVE_EVENT_VETO, "/event.veto"},
                {FW_DRIVE_EVENT_IMPACT, "/event.impact"}, {FW_DRIVE_EVENT_LOW_TTC, "/event.low_ttc"},
                {FW_DRIVE_EVENT_UNCERTAIN, "/event.uncertain"}};
    assert_int_equal(sizeof rows / sizeof *rows, FW_DRIVE_EVENT_COUNT);
    for (size_t i = 0; i < FW_DRIVE_EVENT_COUNT; i++) {
        fw_drive_signals_of(&obs, &decision, 1u << rows[i].event, signals);
        for (size_t k = 0; k < FW_DRIVE_EVENT_COUNT; k++) assert_is(rows[k].name, i == k);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_road),
        cmocka_unit_test(test_every_value_has_its_place),
        cmocka_unit_test(test_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
