/* Scenarios of scenes: smoothing, matching, routes, the area, files, suites; and what NGSIM comes to. */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/random.h"
#include "import/import.h"
#include "lines/driving/learn/scenario/area.h"
#include "lines/driving/learn/scenario/smooth.h"
#include "lines/driving/learn/scenario/suite.h"
#include "synthetic_scene.h"

/* ---- smoothing ---- */

static void a_parabola_stays_what_it_is(void **state) {
    (void)state;
    enum { N = 50 };
    double given[N], weight[N], z[N], work[4 * N];
    for (int i = 0; i < N; i++) given[i] = 3 + 2.0 * i - 0.1 * i * i, weight[i] = i != 20 && i != 21;
    double whole = given[20];
    given[20] = NAN; /* missing ticks are filled in */
    fw_smooth_line(given, weight, N, fw_smooth_lambda(0.1, 2), z, work);
    for (int i = 0; i < N; i++) assert_true(fabs(z[i] - (i == 20 ? whole : 3 + 2.0 * i - 0.1 * i * i)) < 1e-4);
}

static void waves_at_the_cutoff_are_halved(void **state) {
    (void)state;
    enum { N = 400 };
    double given[N], weight[N], z[N], work[4 * N], most = 0;
    for (int i = 0; i < N; i++) given[i] = sin(2 * M_PI * 0.1 * i * FW_SMOOTH_CUTOFF_HZ), weight[i] = 1;
    fw_smooth_line(given, weight, N, fw_smooth_lambda(0.1, 1 / FW_SMOOTH_CUTOFF_HZ), z, work);
    for (int i = 100; i < 300; i++) most = fmax(most, fabs(z[i]));
    assert_true(fabs(most - 0.5) < 0.02);
}

/* The heading of a car in a bend comes from its path: its rear axle does not slip. */
static void a_bend_is_driven_without_slip(void **state) {
    (void)state;
    fw_scenario *s = synthetic_scenario(synthetic_curve(110));
    assert_non_null(s);
    const fw_scenario_track *t = &s->tracks[0];
    double back = (double)(t->kind.length_m / 2 - t->kind.rear_overhang_m);
    for (uint32_t i = 1; i < t->count; i++) {
        double dx = (double)(t->x_m[i] - t->x_m[i - 1]) - back * (double)(t->cos_yaw[i] - t->cos_yaw[i - 1]);
        double dy = (double)(t->y_m[i] - t->y_m[i - 1]) - back * (double)(t->sin_yaw[i] - t->sin_yaw[i - 1]);
        double middle = (double)t->yaw_rad[i - 1] + remainder((double)(t->yaw_rad[i] - t->yaw_rad[i - 1]), 2 * M_PI) / 2;
        assert_true(fabs(dy * cos(middle) - dx * sin(middle)) < 0.02);
        assert_true(fabs((double)t->speed_mps[i] - 8) < 0.3);
    }
    double sharpest = 0;
    for (uint32_t i = 0; i < t->count; i++) sharpest = fmax(sharpest, (double)t->curvature_pm[i]);
    assert_true(fabs(sharpest - 1.0 / 30) < 0.005);
    fw_scenario_free(s);
}

/* ---- routes ---- */

static void check_grid(const fw_scenario_route *r) {
    assert_true(r->count > 10 && fabsf(r->end_s_m - 2 * (float)(r->count - 1)) < 1e-3f);
    for (uint32_t i = 0; i + 1 < r->count; i++) {
        float step = hypotf(r->points[i + 1].x_m - r->points[i].x_m, r->points[i + 1].y_m - r->points[i].y_m);
        assert_true(fabsf(step - FW_DRIVE_GRID_M) < 0.05f);
        assert_true(fabsf(r->curvature_pm[i]) <= FW_DRIVE_CURVATURE_MAX_PM);
        assert_true(r->points[i].width_m >= 2 && r->points[i].limit_mps > 3);
    }
}

static void a_street_gives_three_drives(void **state) {
    (void)state;
    fw_scenario *s = synthetic_scenario(synthetic_street(60));
    assert_non_null(s);
    assert_true(s->scene && s->track_count == 3 && s->route_count == 3 && s->lane_count == 8 && s->ticks == 60);
    assert_int_equal(s->start_count, 3); /* from tick 50 on 10 are left: too few */
    for (uint32_t r = 0; r < 3; r++) {
        const fw_scenario_track *t = &s->tracks[r];
        const fw_scenario_route *route = &s->routes[t->route];
        check_grid(route);
        float lane_y = r == 2 ? (float)SYNTHETIC_LANE_M : 0;
        for (uint32_t i = 0; i < route->count; i++) assert_true(fabsf(route->points[i].y_m - lane_y) < 0.01f);
        float back = t->kind.length_m / 2 - t->kind.rear_overhang_m;
        assert_true(fabsf(route->points[0].x_m - (t->x_m[0] - back - 20)) < 0.6f);
        assert_true(route->end_s_m >= route->goal_s_m + FW_SCENARIO_BEYOND_M);
        assert_true(fabsf(route->goal_x_m - t->x_m[59]) < 1e-3f && fabsf(t->way_m[59] - t->speed_mps[30] * 5.9f) < 0.1f);
    }
    assert_int_equal(s->active_at[60] - s->active_at[59], 3);
    fw_scenario_free(s);
}

static void a_long_drive_starts_again_every_five_seconds(void **state) {
    (void)state;
    fw_scenario *s = synthetic_scenario(synthetic_street(145));
    assert_non_null(s);
    assert_int_equal(s->start_count, 9);
    for (uint32_t i = 0; i < 9; i++) {
        assert_int_equal(s->starts[i].tick, 50 * (i % 3));
        assert_int_equal(s->starts[i].ticks, 145 - 50 * (i % 3));
    }
    fw_scenario_free(s);
}

static void a_lane_change_is_blended_where_the_log_crossed(void **state) {
    (void)state;
    fw_scenario *s = synthetic_scenario(synthetic_change(120));
    assert_non_null(s);
    const fw_scenario_route *r = &s->routes[0];
    bool widened = false;
    check_grid(r);
    for (uint32_t i = 0; i < r->count; i++) {
        const fw_drive_point *p = &r->points[i];
        if (p->x_m < 130) assert_true(fabsf(p->y_m) < 0.1f && p->width_m < 4);
        if (p->x_m > 170) assert_true(fabsf(p->y_m - 3.5f) < 0.1f && p->width_m < 4);
        if (fabsf(p->x_m - 150) < 2) assert_true(fabsf(p->y_m - 1.75f) < 0.5f);
        widened |= p->width_m > 6.9f;
    }
    assert_true(widened);
    fw_scenario_free(s);
}

static void who_stands_or_is_soon_gone_is_not_driven(void **state) {
    (void)state;
    fw_scene *scene = synthetic_road(4, 40);
    fw_scene_report report;
    fw_scenario *s = NULL;
    fw_error error = {""};
    synthetic_straight(scene, 40, 100, 0, 0);
    synthetic_straight(scene, 19, 40, 0, 12);
    synthetic_straight(scene, 40, 40, 40, 12); /* off every lane */
    synthetic_straight(scene, 40, 40, 0, 12);
    scene->objects[3].vehicle = false;
    assert_int_equal(fw_scenario_of_scene(scene, fw_vehicles_builtin(), &s, &report, &error), FW_INVALID);
    assert_int_equal(report.tracks, 4);
    assert_int_equal(report.fates[FW_SCENE_STOOD], 1);
    assert_int_equal(report.fates[FW_SCENE_SHORT], 1);
    assert_int_equal(report.fates[FW_SCENE_NO_LANE], 1);
    assert_int_equal(report.fates[FW_SCENE_NO_VEHICLE], 1);
    scene->objects[3].vehicle = true;
    assert_int_equal(fw_scenario_of_scene(scene, fw_vehicles_builtin(), &s, &report, &error), FW_OK);
    assert_int_equal(s->route_count, 1);
    fw_scenario_free(s);
    fw_scene_free(scene);
}

/* ---- the area ---- */

static void edges_between_neighbours_do_not_count(void **state) {
    (void)state;
    fw_random random;
    uint64_t seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 10) : 7;
    random = fw_random_named(seed, "places");
    print_message("SEED=%llu\n", (unsigned long long)seed);
    fw_scenario *s = synthetic_scenario(synthetic_street(60));
    assert_non_null(s);
    for (int i = 0; i < 20000; i++) { /* the road is y -1.75 .. 5.25; it goes on beyond its ends */
        float x = 20 + 120 * fw_random_unit(&random), y = -8 + 20 * fw_random_unit(&random);
        float truth = fmaxf(-FW_SCENARIO_AREA_FAR_M, fminf(y + 1.75f, 5.25f - y));
        assert_true(fabsf(fw_scenario_area_at(&s->area, x, y) - truth) < 0.02f);
    }
    assert_true(fw_scenario_area_at(&s->area, 1e6f, 0) == -FW_SCENARIO_AREA_FAR_M);
    assert_true(fw_scenario_area_at(&s->area, NAN, 0) == -FW_SCENARIO_AREA_FAR_M);
    fw_scenario_free(s);
}

static void small_gaps_are_closed_and_wide_ones_are_not(void **state) {
    (void)state;
    for (int wide = 0; wide < 2; wide++) {
        fw_scene *scene = synthetic_street(60);
        for (uint32_t i = 0; i < scene->point_count / 2; i++) /* lane 1 moves away from lane 0 */
            scene->points[scene->point_count / 2 + i].y_m += wide ? 0.6 : 0.25;
        fw_scenario *s = synthetic_scenario(scene);
        assert_non_null(s);
        float middle = fw_scenario_area_at(&s->area, 80, 1.75f + (wide ? 0.3f : 0.125f));
        assert_true(wide ? fabsf(middle + 0.3f) < 0.1f : middle > 3);
        fw_scenario_free(s);
    }
}

static void a_bend_has_its_edges(void **state) {
    (void)state;
    fw_scenario *s = synthetic_scenario(synthetic_curve(110));
    assert_non_null(s);
    for (double along = 30; along < 130; along += 0.37)
        for (double side = -5; side <= 5; side += 0.31) {
            double x, y, heading;
            synthetic_bend(along, &x, &y, &heading);
            x -= sin(heading) * side, y += cos(heading) * side;
            double truth = SYNTHETIC_LANE_M / 2 - fabs(side);
            assert_true(fabs((double)fw_scenario_area_at(&s->area, (float)x, (float)y) - truth) < 0.1);
        }
    fw_scenario_free(s);
}

/* ---- suites ---- */

static fw_suite_item item_of(const char *text, bool sealed) {
    fw_suite_item item = {.hash = fw_hash_bytes(text, strlen(text)), .sealed = sealed};
    snprintf(item.file, sizeof item.file, "scenes/%s.mcap", item.hash.hex);
    snprintf(item.tags.site, sizeof item.tags.site, "US101");
    snprintf(item.tags.group, sizeof item.tags.group, "%s", text);
    return item;
}

static void suites_come_back_as_written(void **state) {
    (void)state;
    char folder[] = "/tmp/flywheel-suite-XXXXXX", path[FW_PATH_MAX], file[FW_PATH_MAX];
    fw_suite_item items[] = {item_of("106", false), item_of("85", true)};
    fw_suite suite = {.name = "both", .count = 2, .items = items}, back;
    fw_error error = {""};
    assert_non_null(mkdtemp(folder));
    fw_path_join(path, sizeof path, folder, "both.json");
    assert_int_equal(fw_suite_write(path, &suite, &error), FW_OK);
    assert_int_equal(fw_suite_write(path, &suite, &error), FW_OK); /* the same again */
    assert_int_equal(fw_suite_read(path, &back, &error), FW_OK);
    assert_int_equal(back.count, 2);
    assert_true(memcmp(&back.items[1], &items[1], sizeof items[1]) == 0);
    assert_int_equal(fw_suite_path(path, &back.items[0], file, &error), FW_OK);
    assert_memory_equal(file, folder, strlen(folder));
    fw_suite_clear(&back);
    suite.count = 1;
    assert_int_equal(fw_suite_write(path, &suite, &error), FW_EXISTS);
    assert_int_equal(fw_folder_remove(folder, &error), FW_OK);
}

static void broken_suites_are_refused(void **state) {
    (void)state;
#define HASH "0000000000000000000000000000000000000000000000000000000000000000"
#define ITEM(file, group, sealed) \
    "{\"file\":\"" file "\",\"sha256\":\"" HASH "\",\"site\":\"a\",\"group\":\"" group "\",\"sealed\":" sealed "}"
#define SUITE(items) "{\"format\":1,\"name\":\"a\",\"items\":[" items "]}"
    static const char *const bad[] = {
        "", "[]", "{\"format\":2,\"name\":\"a\",\"items\":[]}", "{\"format\":1,\"items\":[]}",
        "{\"format\":1,\"name\":\"a\"}", SUITE("1"), SUITE(ITEM("/a", "1", "true")), SUITE(ITEM("../a", "1", "true")),
        SUITE(ITEM("a/../../b", "1", "true")), SUITE(ITEM("a/..", "1", "true")), SUITE(ITEM("", "1", "true")),
        SUITE(ITEM("a", "", "true")), SUITE(ITEM("a", "1", "1")), SUITE(ITEM("a", "1", "true") "," ITEM("b", "2", "true")),
    };
    static const char good[] = SUITE(ITEM("a..b/c", "1", "true"));
    fw_suite suite = {.count = 0};
    fw_error error;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        error.text[0] = '\0';
        assert_int_not_equal(fw_suite_parse(bad[i], strlen(bad[i]), &suite, &error), FW_OK);
        assert_true(error.text[0] && suite.count == 0 && !suite.items);
    }
    assert_int_equal(fw_suite_parse(good, strlen(good), &suite, &error), FW_OK);
    fw_suite_clear(&suite);
}

static void a_quarter_is_held_out_whatever_the_order(void **state) {
    (void)state;
    const char *groups[] = {"1", "2", "3", "4", "5", "6", "7", "8"}, *turned[8];
    bool out[8], again[8];
    uint32_t count = 0;
    fw_error error;
    for (int i = 0; i < 8; i++) turned[i] = groups[7 - i];
    assert_int_equal(fw_suite_hold_out("US101", groups, 8, out, &error), FW_OK);
    assert_int_equal(fw_suite_hold_out("US101", turned, 8, again, &error), FW_OK);
    for (int i = 0; i < 8; i++) {
        count += out[i];
        assert_int_equal(out[i], again[7 - i]);
    }
    assert_int_equal(count, 2);
}

/* ---- NGSIM (docs/data.md) ---- */

/* A scene imported into `folder`; the caller frees it. */
static fw_scene *import_scene(const char *source, const char *folder) {
    const fw_import_label labels[] = {{"site", "here"}, {"group", "57"}};
    fw_import_request request = {.source = source, .unit = "ngsim", .line = "driving", .folder = folder,
                                 .labels = labels, .label_count = 2};
    fw_import_result made;
    fw_error error = {""};
    char *bytes = NULL;
    size_t size = 0;
    fw_scene *scene = NULL;
    if (fw_import("commonroad", &request, &made, &error) != FW_OK) fail_msg("%s", error.text);
    assert_int_equal(fw_file_read(made.files[0].path, FW_SCENARIO_FILE_MAX, &bytes, &size, &error), FW_OK);
    assert_true(fw_scene_is(bytes, size));
    assert_int_equal(fw_scene_parse(bytes, size, &scene, &error), FW_OK);
    assert_string_equal(scene->source.hex, made.files[0].hash.hex);
    assert_string_equal(scene->tags.group, "57");
    assert_string_equal(scene->tags.site, "here");
    free(bytes);
    fw_import_result_clear(&made);
    return scene;
}

/* What the data is known to be, and what no route may be. */
static void real_scenes_give_drives(void **state) {
    (void)state;
    static const char *const names[] = {"USA_US101-22_1_T-1", "USA_US101-10_1_T-1", "USA_US101-13_1_T-1",
                                        "USA_Lanker-2_10_T-1", "USA_Lanker-2_25_T-1", "USA_Lanker-1_2_T-1"};
    const char *data = getenv("FLYWHEEL_DATA");
    char folder[] = "/tmp/flywheel-scenes-XXXXXX";
    uint32_t starts = 0, off = 0, sideways = 0, routes = 0;
    fw_error error;
    if (!data) skip();
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[FW_PATH_MAX];
        fw_scene_report r;
        fw_scenario *s = NULL;
        snprintf(path, sizeof path, "%.300s/ngsim/%s.xml.gz", data, names[i]);
        fw_scene *scene = import_scene(path, folder);
        assert_int_equal(fw_scenario_of_scene(scene, fw_vehicles_builtin(), &s, &r, &error), FW_OK);
        assert_true(r.residual_rms_m < 0.15 && r.residual_p99_m < 0.5);
        assert_true(r.accel_after.low > r.accel_before.low / 1.4 && r.accel_after.high < r.accel_before.high / 1.4);
        assert_true(r.curvature_max_pm <= (double)FW_DRIVE_CURVATURE_MAX_PM && r.fates[FW_SCENE_SHARP] == 0);
        for (uint32_t k = 0; k < s->route_count; k++) check_grid(&s->routes[k]);
        starts += r.starts, off += r.off_area, sideways += r.fates[FW_SCENE_SIDEWAYS], routes += s->route_count;
        fw_scenario_free(s);
        fw_scene_free(scene);
    }
    print_message("%u starts, %u off the area, %u of %u goals beside their route\n", starts, off, sideways, routes);
    assert_true(starts > 300 && (double)off / starts < 0.25 && (double)sideways / routes < 0.02);
    assert_int_equal(fw_folder_remove(folder, &error), FW_OK);
}

static void broken_scenes_are_refused(void **state) {
    (void)state;
    fw_scene *scene = NULL;
    fw_error error = {""};
    assert_false(fw_scene_is("", 0));
    assert_int_not_equal(fw_scene_parse("", 0, &scene, &error), FW_OK);
    assert_true(error.text[0] && !scene);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_parabola_stays_what_it_is),
        cmocka_unit_test(waves_at_the_cutoff_are_halved),
        cmocka_unit_test(a_bend_is_driven_without_slip),
        cmocka_unit_test(a_street_gives_three_drives),
        cmocka_unit_test(a_long_drive_starts_again_every_five_seconds),
        cmocka_unit_test(a_lane_change_is_blended_where_the_log_crossed),
        cmocka_unit_test(who_stands_or_is_soon_gone_is_not_driven),
        cmocka_unit_test(edges_between_neighbours_do_not_count),
        cmocka_unit_test(small_gaps_are_closed_and_wide_ones_are_not),
        cmocka_unit_test(a_bend_has_its_edges),
        cmocka_unit_test(suites_come_back_as_written),
        cmocka_unit_test(broken_suites_are_refused),
        cmocka_unit_test(a_quarter_is_held_out_whatever_the_order),
        cmocka_unit_test(broken_scenes_are_refused),
        cmocka_unit_test(real_scenes_give_drives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
