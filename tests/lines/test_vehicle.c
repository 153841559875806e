/* Kinds of vehicles: the table that ships, broken tables, and the bicycle within each kind's limits. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/random.h"
#include "lines/driving/act/vehicle.h"

#define TICK 0.1f

/* ---- the table ---- */

static void the_program_has_what_the_file_says(void **state) {
    (void)state;
    const fw_vehicles *builtin = fw_vehicles_builtin();
    fw_vehicles read;
    fw_error error;
    if (fw_vehicles_read(FW_SOURCE_DIR "/src/lines/driving/act/vehicles.json", &read, &error) != FW_OK)
        fail_msg("%s", error.text);
    assert_int_equal(read.count, builtin->count);
    for (uint32_t i = 0; i < read.count; i++) {
        assert_string_equal(read.kinds[i].name, builtin->kinds[i].name);
        assert_memory_equal(&read.kinds[i].length_m, &builtin->kinds[i].length_m,
                            sizeof read.kinds[i] - offsetof(fw_vehicle_kind, length_m));
    }
    static const char *const names[] = {"car", "van", "truck", "bus"};
    for (size_t i = 0; i < 4; i++) assert_non_null(fw_vehicles_find(builtin, names[i]));
    assert_string_equal(builtin->kinds[0].name, "car");
    assert_null(fw_vehicles_find(builtin, "tram"));
    assert_int_equal(fw_vehicles_read("/nowhere/vehicles.json", &read, &error), FW_NOT_FOUND);
}

#define REST                                                                                       \
    "\"rear_overhang_m\":1,\"accel_max_mps2\":3,\"brake_max_mps2\":8,\"jerk_max_mps3\":30,"       \
    "\"curvature_max_pm\":0.25,\"curvature_rate_max_pm_s\":0.4,\"lateral_max_mps2\":4"
#define BOX "\"length_m\":5,\"width_m\":2,"
#define CAR "{\"name\":\"car\"," BOX REST "}"
#define TABLE(kinds) "{\"format\":1,\"vehicles\":[" kinds "]}"

static void broken_tables_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *text, *word;
    } tables[] = {
        {"", "line"},
        {"[]", "format"},
        {"{\"format\":2,\"vehicles\":[" CAR "]}", "format"},
        {TABLE(""), "1 to 16 kinds"},
        {"{\"format\":1,\"vehicles\":7}", "1 to 16 kinds"},
        {TABLE(CAR "," CAR), "car stands there twice"},
        {TABLE("7"), "needs a name"},
        {TABLE("{\"name\":\"\"," BOX REST "}"), "needs a name"},
        {TABLE("{\"name\":\"a-name-of-twenty-four-it\"," BOX REST "}"), "needs a name"},
        {TABLE("{\"name\":\"My Car\"," BOX REST "}"), "a-z"},
        {TABLE("{\"name\":\"car\",\"width_m\":2," REST "}"), "car needs a number length_m"},
        {TABLE("{\"name\":\"car\",\"length_m\":\"5\",\"width_m\":2," REST "}"), "number length_m"},
        {TABLE("{\"name\":\"car\",\"length_m\":0.4,\"width_m\":2," REST "}"), "length_m 0.4"},
        {TABLE("{\"name\":\"car\",\"length_m\":5,\"width_m\":5," REST "}"), "width_m 5"},
        {TABLE("{\"name\":\"car\",\"length_m\":1,\"width_m\":1," REST "}"), "as long as the vehicle"},
        {TABLE("{\"name\":\"car\",\"wings\":2," BOX REST "}"), "wings"},
    };
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        fw_vehicles out = {.count = 77};
        fw_error error = {""};
        assert_int_equal(fw_vehicles_parse(tables[i].text, strlen(tables[i].text), &out, &error), FW_CORRUPT);
        if (!strstr(error.text, tables[i].word))
            fail_msg("\"%s\" does not say %s", error.text, tables[i].word);
        assert_int_equal(out.count, 77); /* untouched */
    }
    fw_vehicles out;
    assert_int_equal(fw_vehicles_parse(TABLE(CAR), strlen(TABLE(CAR)), &out, NULL), FW_OK);
    assert_int_equal(out.count, 1);
    char *large = calloc(1, 1 << 20);
    assert_int_equal(fw_vehicles_parse(large, 1 << 20, &out, NULL), FW_TOO_BIG);
    free(large);
}

static void a_box_finds_its_kind(void **state) {
    (void)state;
    const fw_vehicles *all = fw_vehicles_builtin();
    fw_vehicle_kind small = fw_vehicles_like(all, 4.0f, 1.7f), van = fw_vehicles_like(all, 6.9f, 2.0f);
    assert_string_equal(small.name, "car");
    assert_string_equal(van.name, "van");
    assert_true(van.length_m == 6.9f && van.width_m == 2.0f);
    const fw_vehicle_kind *of = fw_vehicles_find(all, "van");
    assert_true(fabsf(van.rear_overhang_m - of->rear_overhang_m * 6.9f / of->length_m) < 1e-6f);
    assert_true(van.curvature_max_pm == of->curvature_max_pm);
    assert_string_equal(fw_vehicles_like(all, 12.0f, 2.6f).name, "bus");
    assert_string_equal(fw_vehicles_like(all, 18.0f, 2.4f).name, "truck");
}

/* ---- motion ---- */

static void a_circle_is_driven_exactly(void **state) {
    (void)state;
    const fw_vehicle_kind *car = &fw_vehicles_builtin()->kinds[0];
    fw_vehicle_state s = {.speed_mps = 5, .curvature_pm = 0.1f};
    for (int i = 0; i < 100; i++) {
        fw_vehicle_move(car, &s, (fw_drive_action){0, 0.1f}, TICK);
        assert_true(fabsf(hypotf(s.x_m, s.y_m - 10) - 10) < 1e-3f); /* centre (0, 10), radius 10 */
    }
    assert_true(fabsf(s.yaw_rad - (float)remainder(5.0, 2 * M_PI)) < 1e-4f);
    fw_vehicle_state coarse = {.speed_mps = 5, .curvature_pm = 0.1f}; /* one step as long as all of these */
    fw_vehicle_move(car, &coarse, (fw_drive_action){0, 0.1f}, 100 * TICK);
    assert_true(hypotf(coarse.x_m - s.x_m, coarse.y_m - s.y_m) < 2e-3f);
}

static void wild_answers_stay_within_the_limits(void **state) {
    (void)state;
    const fw_vehicle_kind *car = &fw_vehicles_builtin()->kinds[0];
    fw_vehicle_state s = {.speed_mps = 20};
    fw_vehicle_move(car, &s, (fw_drive_action){50, 9}, TICK);
    assert_true(fabsf(s.accel_mps2 - 3) < 1e-3f && fabsf(s.curvature_pm - 4 / (20.3f * 20.3f)) < 1e-5f);
    s = (fw_vehicle_state){.speed_mps = 1};
    fw_vehicle_move(car, &s, (fw_drive_action){-50, 9}, TICK);
    assert_true(fabsf(s.accel_mps2 + 3) < 1e-4f); /* 30 m/s3 for a tick */
    assert_true(fabsf(s.curvature_pm - 0.04f) < 1e-6f);
    s = (fw_vehicle_state){.speed_mps = 0.5f, .accel_mps2 = -8, .curvature_pm = 0.24f};
    fw_vehicle_move(car, &s, (fw_drive_action){-100, 9}, TICK);
    assert_true(s.speed_mps == 0 && fabsf(s.accel_mps2 + 5) < 1e-4f); /* what really happened */
    assert_true(fabsf(s.x_m * s.x_m + s.y_m * s.y_m - 0.025f * 0.025f) < 1e-6f);
    assert_true(s.curvature_pm == car->curvature_max_pm);
    fw_vehicle_move(car, &s, (fw_drive_action){-100, 0}, TICK);
    assert_true(s.speed_mps == 0 && s.accel_mps2 == 0); /* a car that stands keeps no braking */
    s = (fw_vehicle_state){.speed_mps = 20, .accel_mps2 = -6, .curvature_pm = 0.005f};
    fw_vehicle_move(car, &s, (fw_drive_action){NAN, NAN}, TICK);
    assert_true(fabsf(s.accel_mps2 + 8) < 1e-3f && s.curvature_pm == 0);
    fw_vehicle_move(car, &s, (fw_drive_action){INFINITY, -INFINITY}, TICK);
    assert_true(isfinite(s.x_m) && isfinite(s.y_m) && isfinite(s.yaw_rad) && isfinite(s.speed_mps));
}

/* Each kind's limits, whatever is asked, tick after tick. */
static void every_kind_keeps_its_limits(void **state) {
    (void)state;
    uint64_t seed = 5;
    printf("seed %llu\n", (unsigned long long)seed);
    fw_random r = fw_random_named(seed, "vehicle");
    const fw_vehicles *all = fw_vehicles_builtin();
    for (int round = 0; round < 400; round++) {
        const fw_vehicle_kind *k = &all->kinds[fw_random_below(&r, all->count)];
        fw_vehicle_state s = {.speed_mps = 15 * fw_random_unit(&r)};
        for (int t = 0; t < 100; t++) {
            fw_vehicle_state before = s;
            fw_drive_action a = {30 * fw_random_unit(&r) - 15, 2 * fw_random_unit(&r) - 1};
            fw_vehicle_move(k, &s, a, TICK);
            float jerk = (s.accel_mps2 - before.accel_mps2) / TICK;
            float rate = fabsf(s.curvature_pm - before.curvature_pm) / TICK;
            float fastest = fmaxf(s.speed_mps, before.speed_mps);
            assert_true(s.speed_mps >= 0 && fabsf(s.yaw_rad) <= 3.1416f);
            assert_true(s.accel_mps2 <= k->accel_max_mps2 + 1e-3f && s.accel_mps2 >= -k->brake_max_mps2 - 1e-3f);
            assert_true(jerk >= -k->jerk_max_mps3 - 0.02f);
            assert_true(s.speed_mps == 0 || jerk <= k->jerk_max_mps3 + 0.02f); /* a stop ends braking at once */
            assert_true(fabsf(s.curvature_pm) <= k->curvature_max_pm);
            assert_true(fabsf(s.curvature_pm) * fastest * fastest <= k->lateral_max_mps2 + 1e-3f);
            bool slid = fabsf(before.curvature_pm) * fastest * fastest > k->lateral_max_mps2;
            assert_true(slid || rate <= k->curvature_rate_max_pm_s + 1e-4f); /* too fast: straightened at once */
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_program_has_what_the_file_says),
        cmocka_unit_test(broken_tables_are_refused),
        cmocka_unit_test(a_box_finds_its_kind),
        cmocka_unit_test(a_circle_is_driven_exactly),
        cmocka_unit_test(wild_answers_stay_within_the_limits),
        cmocka_unit_test(every_kind_keeps_its_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
