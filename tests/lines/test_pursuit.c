/* What a policy sees and does on a street: features stay finite however crowded it is, and pure pursuit
 * closes on the route from either side. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../nn/seed.h"
#include "base/random.h"
#include "lines/driving/act/features.h"
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

static fw_drive_obs crowded(fw_random *r) {
    fw_drive_obs o = street(15 * fw_random_unit(r));
    o.yaw_rad = 6 * fw_random_unit(r) - 3;
    o.light = fw_random_below(r, 4);
    o.light_s_m = 100 * fw_random_unit(r);
    for (uint32_t k = fw_random_below(r, 8); k > 0; k--)
        add_user(&o, 60 * fw_random_unit(r), 6 * fw_random_unit(r) - 3, 6 * fw_random_unit(r),
                 12 * fw_random_unit(r));
    for (uint32_t k = 0; k < o.user_count; k++)
        o.conflicts[o.conflict_count++] = (fw_drive_conflict){
            k, fw_random_below(r, 3), fw_random_below(r, 2), 60 * fw_random_unit(r), 70,
            40 * fw_random_unit(r) - 5, 45};
    return o;
}

static void test_features_are_finite(void **state) {
    (void)state;
    fw_random r = fw_random_named(seed_of_run(), "features");
    for (int round = 0; round < 20000; round++) {
        fw_drive_obs o = crowded(&r);
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
        cmocka_unit_test(test_features_are_finite),
        cmocka_unit_test(test_pursuit_converges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
