/* Whole evaluations on streets made by arithmetic: who reaches the goal, who does not and why, what counts
 * for all rows, and that threads, rows and order change nothing. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lines/driving/learn/score/figures.h"
#include "street.h"

enum { LOG, CONSTANT, IDM, ROWS };

static void make_rows(fw_driver rows[ROWS]) {
    static const char *const names[ROWS] = {"log", "constant", "idm"};
    for (int i = 0; i < ROWS; i++) assert_int_equal(fw_driver_baseline(names[i], &rows[i], NULL), FW_OK);
}

static fw_score score_of(const fw_scenario *const *scenarios, uint32_t count, fw_score_config config) {
    fw_driver rows[ROWS];
    fw_score out;
    fw_error error = {""};
    make_rows(rows);
    config.scenarios = scenarios, config.scenario_count = count;
    config.drivers = rows, config.driver_count = ROWS;
    if (config.threads == 0) config.threads = 1;
    if (fw_score_run(&config, &out, &error) != FW_OK) fail_msg("%s", error.text);
    return out;
}

static const fw_score_config replayed = {.traffic[FW_SIM_REPLAYED] = true};

static double share(const fw_score *score, fw_sim_traffic traffic, const fw_scenario *const *scenarios, uint32_t row,
                    fw_metric_id metric) {
    fw_figures from = {scenarios, score, traffic, NULL};
    fw_figure out;
    assert_int_equal(fw_figure_of(&from, row, metric, &out, NULL), FW_OK);
    return out.value;
}

/* Alone on a straight street everybody who holds the speed is clean. */
static void test_an_empty_street(void **state) {
    (void)state;
    const street_car cars[] = {{.speed_mps = 10, .count = 60}};
    fw_scenario *s = street(cars, 1, 60);
    const fw_scenario *list[] = {s};
    fw_score score = score_of(list, 1, replayed);
    assert_int_equal(score.traffic[FW_SIM_REPLAYED].case_count, 1);
    for (uint32_t row = 0; row < ROWS; row++)
        assert_true(share(&score, FW_SIM_REPLAYED, list, row, FW_METRIC_CLEAN_GOAL) == 1);
    assert_true(share(&score, FW_SIM_REPLAYED, list, LOG, FW_METRIC_ADE) < 1e-3);
    assert_true(share(&score, FW_SIM_REPLAYED, list, CONSTANT, FW_METRIC_ADE) < 0.05);
    assert_true(fabs(share(&score, FW_SIM_REPLAYED, list, LOG, FW_METRIC_SPEED) - 10) < 0.1);
    fw_score_clear(&score);
    fw_scenario_free(s);
}

/* The log swerves around a car that stands in its lane; straight on runs into it, IDM waits behind it. */
static void test_a_car_in_the_way(void **state) {
    (void)state;
    const street_car cars[] = {{.speed_mps = 10, .count = 80}, {.x_m = 50, .count = 80, .no_route = true}};
    fw_scenario *s = street(cars, 2, 80);
    for (uint32_t i = 10; i < 80; i++) s->tracks[0].y_m[i] = fminf(4.0f, 0.2f * (float)(i - 10));
    s->routes[0].goal_y_m = 4;
    const fw_scenario *list[] = {s};
    fw_score score = score_of(list, 1, replayed);
    const fw_score_table *table = &score.traffic[FW_SIM_REPLAYED];
    assert_int_equal(table->drives[CONSTANT][0].end, FW_SIM_COLLISION);
    assert_true(table->drives[CONSTANT][0].at_fault && table->drives[CONSTANT][0].ttc_ticks > 0);
    assert_int_equal(table->drives[IDM][0].end, FW_SIM_TIME_OUT);
    assert_true(table->drives[IDM][0].progress > 0.3f && table->drives[IDM][0].progress < 0.8f);
    assert_int_equal(table->drives[LOG][0].end, FW_SIM_GOAL);
    fw_score_clear(&score);
    fw_scenario_free(s);
}

/* What the people did meets the same judge: a log that leaves the road is off it. */
static void test_the_log_is_judged(void **state) {
    (void)state;
    const street_car cars[] = {{.y_m = 4, .yaw_rad = 0.05f, .speed_mps = 10, .count = 80}};
    fw_scenario *s = street(cars, 1, 80);
    const fw_scenario *list[] = {s};
    fw_score score = score_of(list, 1, (fw_score_config){.traffic = {true, true, true}});
    for (int t = 0; t < FW_SIM_TRAFFIC_COUNT; t++)
        assert_int_equal(score.traffic[t].drives[LOG][0].end, FW_SIM_OFF_ROAD);
    fw_score_clear(&score);
    fw_scenario_free(s);
}

/* A start in another's box is nobody's drive. */
static void test_what_cannot_begin_counts_for_nobody(void **state) {
    (void)state;
    const street_car cars[] = {{.speed_mps = 10, .count = 60}, {.x_m = 2, .speed_mps = 10, .count = 60},
                               {.y_m = 4, .speed_mps = 10, .count = 60}};
    fw_scenario *s = street(cars, 3, 60);
    const fw_scenario *list[] = {s};
    fw_score score = score_of(list, 1, replayed);
    const fw_score_table *table = &score.traffic[FW_SIM_REPLAYED];
    assert_int_equal(table->case_count, 1);
    assert_int_equal(table->left_out, 2);
    assert_int_equal(table->cases[0].track, 2);
    fw_score_clear(&score);
    fw_scenario_free(s);
}

/* Who stands where its log ends is no drive: there is no goal to reach. */
static void test_who_is_there_already_does_not_count(void **state) {
    (void)state;
    const street_car cars[] = {{.speed_mps = 10, .count = 60}, {.y_m = 4, .speed_mps = 0.5f, .count = 60}};
    fw_scenario *s = street(cars, 2, 60);
    const fw_scenario *list[] = {s};
    fw_score score = score_of(list, 1, (fw_score_config){.traffic = {true, true, true}});
    for (int t = 0; t < FW_SIM_TRAFFIC_COUNT; t++) {
        assert_int_equal(score.traffic[t].case_count, 1);
        assert_int_equal(score.traffic[t].cases[0].track, 0);
    }
    fw_score_clear(&score);
    fw_scenario_free(s);
}

/* In self-play every car is a case, driven by the row: also one that comes later. */
static void test_self_play_drives_them_all(void **state) {
    (void)state;
    const street_car cars[] = {{.speed_mps = 10, .count = 60}, {.x_m = 30, .speed_mps = 10, .count = 60},
                               {.x_m = -20, .y_m = 4, .speed_mps = 10, .first = 20, .count = 60}};
    fw_scenario *s = street(cars, 3, 90);
    s->starts[s->start_count - 1].tick = 20;
    const fw_scenario *list[] = {s};
    fw_score score = score_of(list, 1, (fw_score_config){.traffic[FW_SIM_SELF_PLAY] = true});
    const fw_score_table *table = &score.traffic[FW_SIM_SELF_PLAY];
    assert_int_equal(table->case_count, 3);
    for (uint32_t row = 0; row < ROWS; row++)
        for (int i = 0; i < 3; i++) assert_int_equal(table->drives[row][i].end, FW_SIM_GOAL);
    fw_score_clear(&score);
    fw_scenario_free(s);
}

/* ---- many streets: threads, limits, stopping ---- */

enum { STREETS = 6, CARS = 5 };

static void many(fw_scenario **streets) {
    for (uint32_t i = 0; i < STREETS; i++) {
        street_car cars[CARS];
        for (uint32_t k = 0; k < CARS; k++)
            cars[k] = (street_car){.x_m = 25 * (float)k, .y_m = (float)(k % 3) * 4 - 4,
                                   .speed_mps = 12 - 2 * (float)((k + i) % 4), .count = 80};
        streets[i] = street(cars, CARS, 80);
        snprintf(streets[i]->tags.group, sizeof streets[i]->tags.group, "group-%u", (i * 7 + 1) % 3);
    }
}

static void free_all(fw_scenario **streets) {
    for (uint32_t i = 0; i < STREETS; i++) fw_scenario_free(streets[i]);
}

static void expect_same(const fw_score *a, const fw_score *b) {
    for (int t = 0; t < FW_SIM_TRAFFIC_COUNT; t++) {
        const fw_score_table *x = &a->traffic[t], *y = &b->traffic[t];
        assert_int_equal(x->case_count, y->case_count);
        assert_memory_equal(x->cases, y->cases, x->case_count * sizeof *x->cases);
        for (int row = 0; row < ROWS; row++)
            assert_memory_equal(x->drives[row], y->drives[row], x->case_count * sizeof *x->drives[row]);
    }
}

static void test_threads_change_nothing(void **state) {
    (void)state;
    fw_scenario *streets[STREETS];
    many(streets);
    const fw_scenario *const *list = (const fw_scenario *const *)streets;
    fw_score one = score_of(list, STREETS, (fw_score_config){.traffic = {true, true, true}, .seed = 3});
    fw_score four = score_of(list, STREETS, (fw_score_config){.traffic = {true, true, true}, .seed = 3, .threads = 4});
    assert_int_equal(one.cluster_count, 3);
    assert_true(one.traffic[FW_SIM_REACTIVE].case_count > STREETS);
    expect_same(&one, &four);
    fw_score_clear(&one);
    fw_score_clear(&four);
    free_all(streets);
}

/* Whoever else drives, a row's drives are its own. */
static void test_rows_do_not_see_each_other(void **state) {
    (void)state;
    fw_scenario *streets[STREETS];
    fw_driver rows[ROWS];
    many(streets);
    make_rows(rows);
    const fw_scenario *const *list = (const fw_scenario *const *)streets;
    fw_score all = score_of(list, STREETS, (fw_score_config){.traffic[FW_SIM_REACTIVE] = true});
    fw_score_config config = {.scenarios = list, .scenario_count = STREETS, .drivers = &rows[IDM], .driver_count = 1,
                              .traffic[FW_SIM_REACTIVE] = true, .threads = 1};
    fw_score alone;
    assert_int_equal(fw_score_run(&config, &alone, NULL), FW_OK);
    const fw_score_table *x = &all.traffic[FW_SIM_REACTIVE], *y = &alone.traffic[FW_SIM_REACTIVE];
    assert_int_equal(x->case_count, y->case_count);
    assert_memory_equal(x->drives[IDM], y->drives[0], x->case_count * sizeof(fw_sim_drive));
    fw_score_clear(&all);
    fw_score_clear(&alone);
    free_all(streets);
}

static void test_a_limit_takes_from_each_group_alike(void **state) {
    (void)state;
    fw_scenario *streets[STREETS];
    many(streets);
    fw_score_config config = replayed;
    config.per_group = 4;
    fw_score score = score_of((const fw_scenario *const *)streets, STREETS, config);
    const fw_score_table *table = &score.traffic[FW_SIM_REPLAYED];
    uint32_t of[3] = {0}, street_of_last = 0;
    assert_int_equal(table->case_count + table->left_out, 3 * 4);
    for (uint32_t i = 0; i < table->case_count; i++) of[table->cases[i].cluster]++, street_of_last = table->cases[i].scenario;
    for (int c = 0; c < 3; c++) assert_true(of[c] > 0 && of[c] <= 4);
    assert_int_equal(street_of_last, STREETS - 1); /* spread over the group, not its first ones */
    fw_score_clear(&score);
    free_all(streets);
}

static bool never(void *self, uint64_t done, uint64_t total) {
    assert_true(done <= total);
    ++*(int *)self;
    return false;
}

static void test_it_stops_when_asked_to(void **state) {
    (void)state;
    fw_scenario *streets[STREETS];
    fw_driver rows[ROWS];
    fw_score out;
    int asked = 0;
    many(streets);
    make_rows(rows);
    fw_score_config config = {.scenarios = (const fw_scenario *const *)streets, .scenario_count = STREETS,
                              .drivers = rows, .driver_count = ROWS, .traffic = {true, true, true}, .threads = 2,
                              .progress = {&asked, never}};
    assert_int_equal(fw_score_run(&config, &out, NULL), FW_INTERRUPTED);
    assert_true(asked == 1);
    free_all(streets);
}

static void test_nothing_to_drive_is_said(void **state) {
    (void)state;
    const street_car cars[] = {{.speed_mps = 10, .count = 60, .no_route = true}};
    fw_scenario *s = street(cars, 1, 60);
    const fw_scenario *list[] = {s};
    fw_driver rows[ROWS];
    fw_score out;
    fw_error error = {""};
    make_rows(rows);
    fw_score_config config = {.scenarios = list, .scenario_count = 1, .drivers = rows, .driver_count = ROWS,
                              .traffic = {true}, .threads = 1};
    assert_int_equal(fw_score_run(&config, &out, &error), FW_INVALID);
    assert_non_null(strstr(error.text, "nothing to drive"));
    fw_scenario_free(s);
}

static void test_times_of_decisions_are_counted(void **state) {
    (void)state;
    const street_car cars[] = {{.speed_mps = 10, .count = 60}};
    fw_scenario *s = street(cars, 1, 60);
    const fw_scenario *list[] = {s};
    fw_score score = score_of(list, 1, replayed);
    const fw_score_table *table = &score.traffic[FW_SIM_REPLAYED];
    assert_true(isnan(fw_score_cost_us(&table->costs[LOG], 0.5)));
    uint64_t decisions = 0;
    for (int i = 0; i < FW_SCORE_BINS; i++) decisions += table->costs[IDM].bins[i];
    assert_int_equal(decisions, table->drives[IDM][0].ticks);
    fw_score_clear(&score);
    fw_scenario_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_street),
        cmocka_unit_test(test_a_car_in_the_way),
        cmocka_unit_test(test_the_log_is_judged),
        cmocka_unit_test(test_what_cannot_begin_counts_for_nobody),
        cmocka_unit_test(test_who_is_there_already_does_not_count),
        cmocka_unit_test(test_self_play_drives_them_all),
        cmocka_unit_test(test_threads_change_nothing),
        cmocka_unit_test(test_rows_do_not_see_each_other),
        cmocka_unit_test(test_a_limit_takes_from_each_group_alike),
        cmocka_unit_test(test_it_stops_when_asked_to),
        cmocka_unit_test(test_nothing_to_drive_is_said),
        cmocka_unit_test(test_times_of_decisions_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
