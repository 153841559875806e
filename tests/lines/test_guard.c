/* The guard: it may only lower the acceleration, and it does so when it must. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "lines/driving/act/features.h"
#include "lines/driving/act/guard.h"
#include "lines/driving/act/policy.h"
#include "lines/driving/act/vehicle.h"

/* A car at 10 m/s on a straight street along x; its front bumper at x = 14. */
static fw_drive_obs street(float speed) {
    fw_drive_obs o = {.drive = 1, .x_m = 10, .s_m = 10, .speed_mps = speed, .length_m = 5,
                      .width_m = 1.8f, .rear_overhang_m = 1, .route_left_m = 500,
                      .path_count = FW_DRIVE_PATH_MAX};
    for (uint32_t i = 0; i < FW_DRIVE_PATH_MAX; i++)
        o.path[i] = (fw_drive_point){2.0f * (float)i, 0, 3.2f, 13.9f};
    return o;
}

static void add_user(fw_drive_obs *o, float x, float y, float yaw, float speed) {
    o->users[o->user_count++] = (fw_drive_user){o->user_count + 1, 0, x, y, yaw, speed, 5, 1.8f};
}

static void test_free_street(void **state) {
    (void)state;
    fw_drive_obs o = street(10);
    fw_drive_action a = {2, 0.01f};
    assert_int_equal(fw_guard(&o, &a), FW_GUARD_NONE);
    assert_true(a.accel_mps2 == 2 && a.curvature_pm == 0.01f);
}

static void test_standing_leader(void **state) {
    (void)state;
    fw_drive_obs o = street(10);
    add_user(&o, 14 + 11 + 2.5f, 0, 0, 0); /* 11 m gap: needs 5 m/s2 */
    fw_drive_action a = {1, 0};
    assert_int_equal(fw_guard(&o, &a), FW_GUARD_LEADER);
    assert_true(a.accel_mps2 < -4 && a.accel_mps2 >= -8);
    o.users[0].x_m += 60;
    a.accel_mps2 = 1;
    assert_int_equal(fw_guard(&o, &a), FW_GUARD_NONE);
    o.users[0].x_m -= 60;
    o.users[0].y_m = 4; /* the next lane */
    assert_int_equal(fw_guard(&o, &a), FW_GUARD_NONE);
}

static void test_already_braking_is_left_alone(void **state) {
    (void)state;
    fw_drive_obs o = street(10);
    add_user(&o, 14 + 11 + 2.5f, 0, 0, 0);
    fw_drive_action a = {-8, 0};
    assert_int_equal(fw_guard(&o, &a), FW_GUARD_NONE);
    assert_true(a.accel_mps2 == -8);
}

static void test_lights(void **state) {
    (void)state;
    fw_drive_obs o = street(10);
    o.light = FW_DRIVE_LIGHT_RED;
    o.light_s_m = 14 + 12;
    fw_drive_action a = {1, 0};
    assert_int_equal(fw_guard(&o, &a), FW_GUARD_RED_LIGHT);
    assert_true(a.accel_mps2 < -3.5f);
    a.accel_mps2 = 1;
    o.light = FW_DRIVE_LIGHT_GREEN;
    assert_int_equal(fw_guard(&o, &a), FW_GUARD_NONE);
    o.light = FW_DRIVE_LIGHT_RED;
    o.light_s_m = 14 + 3; /* too late to stop: no panic braking into the junction */
    assert_int_equal(fw_guard(&o, &a), FW_GUARD_NONE);
    o.light_s_m = 14 - 2; /* passed */
    assert_int_equal(fw_guard(&o, &a), FW_GUARD_NONE);
}

static void test_no_route_is_no_crash(void **state) {
    (void)state;
    fw_drive_obs o = street(10);
    o.path_count = 0;
    fw_drive_action a = {1, 0};
    assert_int_equal(fw_guard(&o, &a), FW_GUARD_NONE);
}

/* Whatever is seen: the acceleration is never raised, the curvature never touched, and every
 * feature and action is finite. */
static void test_only_lowers(void **state) {
    (void)state;
    uint64_t seed = 21;
    printf("seed %llu\n", (unsigned long long)seed);
    fw_random r = fw_random_named(seed, "guard");
    uint32_t vetoes = 0;
    for (int round = 0; round < 20000; round++) {
        fw_drive_obs o = street(15 * fw_random_unit(&r));
        o.yaw_rad = 6 * fw_random_unit(&r) - 3;
        o.light = fw_random_below(&r, 4);
        o.light_s_m = 100 * fw_random_unit(&r);
        for (uint32_t k = fw_random_below(&r, 8); k > 0; k--)
            add_user(&o, 60 * fw_random_unit(&r), 6 * fw_random_unit(&r) - 3,
                     6 * fw_random_unit(&r), 12 * fw_random_unit(&r));
        for (uint32_t k = 0; k < o.user_count; k++)
            o.conflicts[o.conflict_count++] = (fw_drive_conflict){
                k, fw_random_below(&r, 3), fw_random_below(&r, 2), 60 * fw_random_unit(&r), 70,
                40 * fw_random_unit(&r) - 5, 45};
        fw_drive_action before = {11 * fw_random_unit(&r) - 8, 0.5f * fw_random_unit(&r) - 0.25f};
        fw_drive_action after = before;
        vetoes += fw_guard(&o, &after) != FW_GUARD_NONE;
        assert_true(after.accel_mps2 <= before.accel_mps2);
        assert_true(after.curvature_pm == before.curvature_pm);
        fw_drive_view view;
        float features[FW_FEATURES];
        fw_drive_scene_room room;
        fw_drive_scene scene;
        fw_drive_scene_of(&o, &room, &scene);
        fw_drive_look(&scene, &view);
        fw_drive_features(&scene, &view, features);
        for (int i = 0; i < FW_FEATURES; i++)
            assert_true(isfinite(features[i]) && fabsf(features[i]) < 20);
        assert_true(isfinite(fw_idm_accel(&scene, &view)));
    }
    assert_true(vetoes > 100);
}

/* Pure pursuit closes on the route from either side. */
static void test_pursuit_converges(void **state) {
    (void)state;
    for (float side = -1; side <= 1; side += 2) {
        fw_drive_obs o = street(8);
        const fw_policy policy = {.kind = FW_POLICY_CONSTANT};
        fw_policy_session session;
        assert_int_equal(fw_policy_session_open(&policy, &session, NULL), FW_OK);
        o.y_m = side;
        for (int t = 0; t < 60; t++) {
            fw_drive_action a;
            fw_vehicle_state car = {o.x_m, o.y_m, o.yaw_rad, o.speed_mps, o.accel_mps2, o.curvature_pm};
            fw_policy_act(&policy, &session, &o, &a);
            fw_vehicle_move(&fw_vehicles_builtin()->kinds[0], &car, a, 0.1f);
            o.x_m = o.s_m = car.x_m, o.y_m = car.y_m, o.yaw_rad = car.yaw_rad;
            o.speed_mps = car.speed_mps, o.accel_mps2 = car.accel_mps2, o.curvature_pm = car.curvature_pm;
        }
        assert_true(fabsf(o.y_m) < 0.05f && fabsf(o.yaw_rad) < 0.02f);
        fw_policy_session_close(&session);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_free_street),
        cmocka_unit_test(test_standing_leader),
        cmocka_unit_test(test_already_braking_is_left_alone),
        cmocka_unit_test(test_lights),
        cmocka_unit_test(test_no_route_is_no_crash),
        cmocka_unit_test(test_only_lowers),
        cmocka_unit_test(test_pursuit_converges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
