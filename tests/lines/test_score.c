/* Figures of drives that are written down by hand: each metric's rule, pairs, slices, decision times, and
 * what kind of way a route is. No simulator here: test_score_run.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lines/driving/learn/score/cost.h"
#include "lines/driving/learn/score/figures.h"

/* ---- metrics, one drive at a time ---- */

/* NaN where the drive does not count. */
static double value_of(fw_metric_id metric, fw_sim_drive drive, bool scene) {
    double top = -1, bottom = -1;
    fw_metrics[metric].of(&drive, scene, &top, &bottom);
    assert_true(top >= 0 && bottom >= 0);
    return bottom > 0 ? top / bottom : NAN;
}

static void expect(fw_metric_id metric, fw_sim_drive drive, bool scene, double value) {
    double got = value_of(metric, drive, scene);
    if (isnan(value) ? !isnan(got) : !(fabs(got - value) < 1e-6))
        fail_msg("%s: %g, not %g", fw_metrics[metric].name, got, value);
}

static void test_a_goal_is_clean_unless_a_red_light_was_run(void **state) {
    (void)state;
    fw_sim_drive goal = {.end = FW_SIM_GOAL, .ticks = 50};
    expect(FW_METRIC_GOAL, goal, true, 1);
    expect(FW_METRIC_CLEAN_GOAL, goal, true, 1);
    expect(FW_METRIC_CLEAN, goal, true, NAN);
    goal.light_seen = goal.red_light = true;
    expect(FW_METRIC_GOAL, goal, true, 1);
    expect(FW_METRIC_CLEAN_GOAL, goal, true, 0);
    expect(FW_METRIC_RED_LIGHT, goal, true, 1);
}

static void test_each_end_counts_once(void **state) {
    (void)state;
    static const struct {
        fw_sim_end end;
        fw_metric_id metric;
    } ends[] = {{FW_SIM_COLLISION, FW_METRIC_COLLISION}, {FW_SIM_OFF_ROAD, FW_METRIC_OFF_ROAD},
                {FW_SIM_GOAL, FW_METRIC_GOAL},           {FW_SIM_TIME_OUT, FW_METRIC_TIME_OUT}};
    for (int e = 0; e < 4; e++)
        for (int m = 0; m < 4; m++) expect(ends[m].metric, (fw_sim_drive){.end = ends[e].end}, true, e == m);
}

static void test_fault_needs_a_collision(void **state) {
    (void)state;
    expect(FW_METRIC_AT_FAULT, (fw_sim_drive){.end = FW_SIM_COLLISION, .at_fault = true}, true, 1);
    expect(FW_METRIC_AT_FAULT, (fw_sim_drive){.end = FW_SIM_COLLISION}, true, 0);
    expect(FW_METRIC_AT_FAULT, (fw_sim_drive){.end = FW_SIM_GOAL, .at_fault = true}, true, 0);
}

static void test_no_light_no_figure(void **state) {
    (void)state;
    expect(FW_METRIC_RED_LIGHT, (fw_sim_drive){.end = FW_SIM_GOAL}, true, NAN);
    expect(FW_METRIC_RED_LIGHT, (fw_sim_drive){.light_seen = true}, true, 0);
}

/* A unit's recording has no goal: clean stands in its place. */
static void test_a_units_recording_has_no_goal(void **state) {
    (void)state;
    fw_sim_drive drive = {.end = FW_SIM_TIME_OUT, .ticks = 100, .deviation_sum_m = 5};
    static const fw_metric_id none[] = {FW_METRIC_GOAL, FW_METRIC_CLEAN_GOAL, FW_METRIC_TIME_OUT,
                                        FW_METRIC_PROGRESS, FW_METRIC_ADE, FW_METRIC_FDE};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) expect(none[i], drive, false, NAN);
    expect(FW_METRIC_CLEAN, drive, false, 1);
    drive.stuck = true;
    expect(FW_METRIC_CLEAN, drive, false, 0);
    expect(FW_METRIC_CLEAN, (fw_sim_drive){.end = FW_SIM_OFF_ROAD}, false, 0);
    expect(FW_METRIC_CLEAN, (fw_sim_drive){.end = FW_SIM_ROUTE_DONE}, false, 1);
}

static void test_means_and_shares_of_time(void **state) {
    (void)state;
    fw_sim_drive drive = {.end = FW_SIM_GOAL, .ticks = 40, .ttc_ticks = 4, .accel_ticks = 8, .jerk_ticks = 10,
                          .lateral_ticks = 20, .distance_m = 32, .progress = 0.75f, .deviation_sum_m = 60,
                          .final_deviation_m = 2.5f};
    expect(FW_METRIC_TTC, drive, true, 0.1);
    expect(FW_METRIC_ACCEL, drive, true, 0.2);
    expect(FW_METRIC_JERK, drive, true, 0.25);
    expect(FW_METRIC_LATERAL, drive, true, 0.5);
    expect(FW_METRIC_SPEED, drive, true, 8);
    expect(FW_METRIC_PROGRESS, drive, true, 0.75);
    expect(FW_METRIC_ADE, drive, true, 1.5);
    expect(FW_METRIC_FDE, drive, true, 2.5);
}

/* ---- figures: four drives in three groups, two rows ---- */

enum { CASES = 4, ROWS = 2 };

typedef struct board {
    fw_scenario scenarios[3];
    const fw_scenario *list[3];
    fw_scenario_track tracks[2];
    fw_score_case cases[CASES];
    fw_sim_drive drives[ROWS][CASES];
    fw_score score;
    fw_figures all;
} board;

/* Row 0 reaches the goal in cases 0, 1 and 3; row 1 in case 0 alone. Case 2 lies with case 1 in group 1. */
static void set_up(board *b) {
    static const bool goals[ROWS][CASES] = {{1, 1, 0, 1}, {1, 0, 0, 0}};
    static const uint32_t scenario_of[CASES] = {0, 1, 1, 2};
    memset(b, 0, sizeof *b);
    strcpy(b->tracks[0].kind.name, "car");
    strcpy(b->tracks[1].kind.name, "truck");
    for (int i = 0; i < 3; i++) {
        b->scenarios[i] = (fw_scenario){.scene = true, .tracks = b->tracks, .track_count = 2, .light_count = i == 2};
        strcpy(b->scenarios[i].tags.site, i < 2 ? "north" : "south");
        b->list[i] = &b->scenarios[i];
    }
    for (uint32_t i = 0; i < CASES; i++) {
        b->cases[i] = (fw_score_case){.scenario = scenario_of[i], .track = i == 2, .cluster = scenario_of[i],
                                      .manoeuvre = i == 3 ? FW_SCORE_TURN_LEFT : FW_SCORE_STRAIGHT};
        for (int r = 0; r < ROWS; r++)
            b->drives[r][i] = (fw_sim_drive){.end = goals[r][i] ? FW_SIM_GOAL : FW_SIM_TIME_OUT, .ticks = 10 * (i + 1),
                                             .ttc_ticks = r == 0 ? 5 : 0};
    }
    fw_score_table *table = &b->score.traffic[FW_SIM_REACTIVE];
    b->score.driver_count = ROWS;
    b->score.cluster_count = 3;
    table->case_count = CASES;
    table->cases = b->cases;
    for (int r = 0; r < ROWS; r++) table->drives[r] = b->drives[r];
    b->all = (fw_figures){b->list, &b->score, FW_SIM_REACTIVE, NULL};
}

static fw_figure figure(const fw_figures *from, uint32_t driver, fw_metric_id metric) {
    fw_figure out;
    assert_int_equal(fw_figure_of(from, driver, metric, &out, NULL), FW_OK);
    return out;
}

static void test_a_figure_by_hand(void **state) {
    (void)state;
    board b;
    set_up(&b);
    fw_figure goal = figure(&b.all, 0, FW_METRIC_GOAL), ttc = figure(&b.all, 0, FW_METRIC_TTC);
    fw_interval wilson = fw_wilson95(3, 4);
    assert_true(goal.n == 4 && goal.clusters == 3 && goal.value == 0.75);
    assert_true(goal.wilson.low == wilson.low && goal.wilson.high == wilson.high);
    assert_true(goal.cluster.low <= 0.75 && goal.cluster.high >= 0.75 && goal.cluster.low < goal.cluster.high);
    assert_true(fabs(ttc.value - 20.0 / 100) < 1e-12); /* of all time, not a mean of drives' shares */
    assert_true(isnan(ttc.wilson.low));
}

static void test_not_applicable_is_no_zero(void **state) {
    (void)state;
    board b;
    set_up(&b);
    fw_figure red = figure(&b.all, 0, FW_METRIC_RED_LIGHT);
    assert_true(red.n == 0 && isnan(red.value) && isnan(red.cluster.low) && isnan(red.wilson.low));
}

static void test_one_cluster_has_no_interval(void **state) {
    (void)state;
    board b;
    set_up(&b);
    for (int i = 0; i < CASES; i++) b.cases[i].cluster = 1;
    fw_figure goal = figure(&b.all, 0, FW_METRIC_GOAL);
    assert_true(goal.clusters == 1 && isnan(goal.cluster.low) && !isnan(goal.wilson.low));
}

static void test_a_pair_is_row_less_row(void **state) {
    (void)state;
    board b;
    set_up(&b);
    fw_figure pair, back;
    assert_int_equal(fw_figure_difference(&b.all, 0, 1, FW_METRIC_GOAL, &pair, NULL), FW_OK);
    assert_int_equal(fw_figure_difference(&b.all, 1, 0, FW_METRIC_GOAL, &back, NULL), FW_OK);
    assert_true(pair.n == 4 && fabs(pair.value - 0.5) < 1e-12 && fabs(back.value + 0.5) < 1e-12);
    assert_true(pair.cluster.low >= 0 && pair.cluster.high <= 1);
    assert_int_equal(fw_figure_difference(&b.all, 0, 0, FW_METRIC_GOAL, &pair, NULL), FW_OK);
    assert_true(pair.value == 0 && pair.cluster.low == 0 && pair.cluster.high == 0);
}

/* What counts for one row alone is no pair. */
static void test_a_pair_needs_both(void **state) {
    (void)state;
    board b;
    set_up(&b);
    for (int i = 0; i < CASES; i++) b.drives[0][i].light_seen = true;
    b.drives[1][2].light_seen = true;
    fw_figure pair;
    assert_int_equal(fw_figure_difference(&b.all, 0, 1, FW_METRIC_RED_LIGHT, &pair, NULL), FW_OK);
    assert_int_equal(pair.n, 1);
}

/* A pair sees what two intervals hide: rows that differ alike in groups that differ widely. */
static void test_pairing_takes_the_groups_out(void **state) {
    (void)state;
    enum { GROUPS = 10, EACH = 20 };
    static fw_score_case cases[GROUPS * EACH];
    static fw_sim_drive drives[2][GROUPS * EACH];
    board b;
    set_up(&b);
    for (uint32_t i = 0; i < GROUPS * EACH; i++) {
        uint32_t group = i / EACH, k = i % EACH;
        cases[i] = (fw_score_case){.cluster = group};
        drives[0][i] = (fw_sim_drive){.end = k < 2 * group + 2 ? FW_SIM_GOAL : FW_SIM_TIME_OUT, .ticks = 1};
        drives[1][i] = (fw_sim_drive){.end = k < 2 * group ? FW_SIM_GOAL : FW_SIM_TIME_OUT, .ticks = 1};
    }
    b.score.cluster_count = GROUPS;
    b.score.traffic[FW_SIM_REACTIVE].case_count = GROUPS * EACH;
    b.score.traffic[FW_SIM_REACTIVE].cases = cases;
    for (int r = 0; r < 2; r++) b.score.traffic[FW_SIM_REACTIVE].drives[r] = drives[r];
    fw_figure one = figure(&b.all, 0, FW_METRIC_GOAL), other = figure(&b.all, 1, FW_METRIC_GOAL), pair;
    assert_int_equal(fw_figure_difference(&b.all, 0, 1, FW_METRIC_GOAL, &pair, NULL), FW_OK);
    assert_true(one.cluster.low < other.cluster.high);
    assert_true(fabs(pair.value - 0.1) < 1e-9 && pair.cluster.low > 0.099 && pair.cluster.high < 0.101);
}

static void test_slices(void **state) {
    (void)state;
    board b;
    set_up(&b);
    fw_figure_slice slice = fw_figure_all;
    fw_figures part = {b.list, &b.score, FW_SIM_REACTIVE, &slice};
    slice.site = "north";
    assert_int_equal(figure(&part, 0, FW_METRIC_GOAL).n, 3);
    slice.vehicle = "truck";
    assert_int_equal(figure(&part, 0, FW_METRIC_GOAL).n, 1);
    slice = fw_figure_all, slice.manoeuvre = FW_SCORE_TURN_LEFT;
    assert_int_equal(figure(&part, 0, FW_METRIC_GOAL).n, 1);
    slice = fw_figure_all, slice.light = 0;
    assert_int_equal(figure(&part, 0, FW_METRIC_GOAL).n, 3);
    slice.site = "nowhere";
    assert_int_equal(figure(&part, 0, FW_METRIC_GOAL).n, 0);
}

/* ---- decision times ---- */

static void test_times_to_a_sixteenth_of_a_doubling(void **state) {
    (void)state;
    fw_score_cost cost = {{0}};
    assert_true(isnan(fw_score_cost_us(&cost, 0.5)));
    cost.bins[fw_score_cost_bin(20)] = 98;
    cost.bins[fw_score_cost_bin(300)] = 2;
    double median = fw_score_cost_us(&cost, 0.5), p99 = fw_score_cost_us(&cost, 0.99);
    assert_true(median >= 20 && median <= 20 * exp2(1.0 / 16));
    assert_true(p99 >= 300 && p99 <= 300 * exp2(1.0 / 16));
    assert_int_equal(fw_score_cost_bin(0), 0);
    assert_int_equal(fw_score_cost_bin(1e9), FW_SCORE_BINS - 1);
}

/* ---- what a way asks for ---- */

enum { POINTS = 60 };

/* Draws a route by its heading at each point. */
static fw_score_manoeuvre way_of(float (*heading_at)(float s_m)) {
    static fw_drive_point points[POINTS];
    static float heading[POINTS];
    float x = 0, y = 0;
    for (int i = 0; i < POINTS; i++) {
        heading[i] = heading_at((float)i * FW_DRIVE_GRID_M);
        points[i] = (fw_drive_point){.x_m = x, .y_m = y};
        x += FW_DRIVE_GRID_M * cosf(heading[i]);
        y += FW_DRIVE_GRID_M * sinf(heading[i]);
    }
    fw_scenario_route route = {.count = POINTS, .points = points, .heading_rad = heading};
    return fw_score_manoeuvre_of(&route, 10, 110);
}

static float ahead(float s_m) {
    (void)s_m;
    return 3.1f;
}

static float arc(float s_m, float from_rad, float per_m) { /* of 20 m, after 40 m */
    return remainderf(from_rad + fminf(fmaxf(s_m - 40, 0), 20) * per_m, 6.2831853f);
}

static float left(float s_m) { return arc(s_m, 3.0f, 0.07f); } /* through the heading of 180 degrees */
static float right(float s_m) { return arc(s_m, 0, -0.07f); }
static float bend(float s_m) { return 0.002f * s_m; }                         /* radius 500 m */
static float change(float s_m) { return s_m > 30 && s_m < 70 ? 0.0875f : 0; } /* about 3.5 m to the left */
static float wobble(float s_m) { return s_m > 30 && s_m < 50 ? 0.05f : 0; }   /* 1 m: within the lane */

static void test_manoeuvres_by_shape(void **state) {
    (void)state;
    assert_int_equal(way_of(ahead), FW_SCORE_STRAIGHT);
    assert_int_equal(way_of(left), FW_SCORE_TURN_LEFT);
    assert_int_equal(way_of(right), FW_SCORE_TURN_RIGHT);
    assert_int_equal(way_of(bend), FW_SCORE_STRAIGHT);
    assert_int_equal(way_of(change), FW_SCORE_LANE_CHANGE);
    assert_int_equal(way_of(wobble), FW_SCORE_STRAIGHT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_goal_is_clean_unless_a_red_light_was_run),
        cmocka_unit_test(test_each_end_counts_once),
        cmocka_unit_test(test_fault_needs_a_collision),
        cmocka_unit_test(test_no_light_no_figure),
        cmocka_unit_test(test_a_units_recording_has_no_goal),
        cmocka_unit_test(test_means_and_shares_of_time),
        cmocka_unit_test(test_a_figure_by_hand),
        cmocka_unit_test(test_not_applicable_is_no_zero),
        cmocka_unit_test(test_one_cluster_has_no_interval),
        cmocka_unit_test(test_a_pair_is_row_less_row),
        cmocka_unit_test(test_a_pair_needs_both),
        cmocka_unit_test(test_pairing_takes_the_groups_out),
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_times_to_a_sixteenth_of_a_doubling),
        cmocka_unit_test(test_manoeuvres_by_shape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
