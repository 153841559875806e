/* The parts of a training, each by numbers worked out by hand: what rows are worth, what a human would have
 * chosen, the quantile of a spread. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lines/driving/learn/train/batch.h"
#include "lines/driving/learn/train/label.h"
#include "lines/driving/learn/train/spread.h"

/* ---- batch.h ---- */

static size_t row_of(size_t tile, size_t step, size_t car) {
    return (tile * FW_LEARN_STEPS + step) * FW_LEARN_CARS + car;
}

static void put(fw_learn_batch *b, size_t step, fw_learn_row state, float value, float reward) {
    size_t row = row_of(2, step, 5);
    b->row[row] = (uint8_t)state, b->value[row] = value, b->reward[row] = reward;
}

static float target_of(const fw_learn_batch *b, size_t step) {
    return b->target[row_of(2, step, 5)] * FW_DRIVE_VALUE_SCALE;
}

static void rows_are_worth_what_follows(void **state) {
    (void)state;
    fw_learn_batch b;
    assert_int_equal(fw_learn_batch_open(&b, NULL), FW_OK);
    put(&b, 0, FW_LEARN_RUNS, 1, 0.5f);
    put(&b, 1, FW_LEARN_OVER, 2, -8);
    /* 2 to 28: vacant */
    put(&b, 29, FW_LEARN_CUT, 3, 0.25f);
    put(&b, 30, FW_LEARN_RUNS, 0, 0);
    put(&b, 31, FW_LEARN_RUNS, 1, 1);
    b.last_value[2 * FW_LEARN_CARS + 5] = 4;
    double loss = fw_learn_estimate(&b);
    assert_float_equal(target_of(&b, 1), -8, 1e-5); /* nothing follows */
    float first = 0.5f + 0.985f * 2 - 1 + 0.985f * 0.93f * (-8 - 2);
    assert_float_equal(target_of(&b, 0), first + 1, 1e-4);
    assert_float_equal(target_of(&b, 29), 0.25f + 0.985f * 3, 1e-5); /* as it stood */
    float last = 1 + 0.985f * 4 - 1;
    assert_float_equal(target_of(&b, 31), last + 1, 1e-5);
    assert_float_equal(target_of(&b, 30), 0.985f * 1 + 0.985f * 0.93f * last, 1e-4);
    double mean = 0, square = 0, misses = 0;
    static const size_t steps[] = {0, 1, 29, 30, 31};
    for (size_t i = 0; i < 5; i++) {
        size_t row = row_of(2, steps[i], 5);
        mean += (double)b.advantage[row] / 5, square += (double)(b.advantage[row] * b.advantage[row]) / 5;
        misses += (double)fw_learn_value_loss(b.value[row] / FW_DRIVE_VALUE_SCALE, b.target[row]) / 5;
    }
    assert_float_equal(mean, 0, 1e-5);
    assert_float_equal(square, 1, 1e-3);
    assert_float_equal(loss, misses, 1e-6);
    assert_true(b.advantage[row_of(2, 7, 5)] == 0); /* vacant */
    fw_learn_batch_close(&b);
}

static void each_head_learns_from_two_thirds(void **state) {
    (void)state;
    for (uint32_t tile = 0; tile < FW_LEARN_TILES; tile++) {
        uint32_t heads = 0;
        for (uint32_t head = 0; head < FW_VALUES; head++) heads += fw_learn_head_learns(head, tile);
        assert_int_equal(heads, FW_VALUES - 1);
    }
}

/* ---- label.h ---- */

enum { TICKS = 60 };
typedef struct log_made {
    float block[5][TICKS];
    fw_scenario_track track;
} log_made;

/* Eastwards at 10 m/s from x = 0, drifting sideways, speeding up by accel. */
static void make_log(log_made *log, float accel_mps2, float sideways_mps) {
    *log = (log_made){.track = {.count = TICKS, .kind = {.length_m = 5, .rear_overhang_m = 1}}};
    fw_scenario_track *t = &log->track;
    t->x_m = log->block[0], t->y_m = log->block[1], t->speed_mps = log->block[2];
    t->cos_yaw = log->block[3], t->sin_yaw = log->block[4];
    for (int i = 0; i < TICKS; i++) {
        float s = 0.1f * (float)i;
        t->x_m[i] = 10 * s + 0.5f * accel_mps2 * s * s, t->y_m[i] = sideways_mps * s;
        t->speed_mps[i] = 10 + accel_mps2 * s, t->cos_yaw[i] = 1;
    }
}

/* Our rear axle at (x, y), eastwards on a straight path along y = 0. */
static fw_learn_label label_at(const log_made *log, uint32_t tick, float x_m, float y_m, float speed_mps) {
    enum { POINTS = 64 };
    fw_drive_point path[POINTS];
    float heading[POINTS], curvature[POINTS];
    for (int i = 0; i < POINTS; i++) path[i] = (fw_drive_point){(float)i * FW_DRIVE_GRID_M - 10, 0, 3.5f, 14};
    fw_drive_path_shape(path, POINTS, heading, curvature);
    fw_drive_scene scene = {.x_m = x_m, .y_m = y_m, .cos_yaw = 1, .speed_mps = speed_mps, .length_m = 5,
                            .width_m = 1.8f, .rear_overhang_m = 1, .s_m = x_m + 10, .route_left_m = 90,
                            .path_count = POINTS, .path = path, .heading_rad = heading,
                            .curvature_pm_path = curvature};
    fw_drive_view view;
    fw_drive_look(&scene, &view);
    return fw_learn_label_of(&log->track, tick, &scene, &view);
}

static uint32_t standing_choice(void) {
    uint32_t k = 0;
    while (fw_drive_accels_mps2[k] < 0) k++;
    return k;
}

static void the_human_is_followed(void **state) {
    (void)state;
    log_made log;
    const uint32_t none = standing_choice(), middle = FW_STEERS / 2;
    make_log(&log, 0, 0);
    float at = -1.5f; /* of the rear axle at tick 0: 2.5 - 1 behind the centre */
    fw_learn_label label = label_at(&log, 0, at, 0, 10);
    assert_int_equal(label.accel, none);
    assert_int_equal(label.steer, middle);
    assert_true(label_at(&log, 0, at - 4, 0, 10).accel > none); /* behind it */
    assert_true(label_at(&log, 0, at + 4, 0, 10).accel < none); /* ahead of it */
    assert_true(label_at(&log, 0, at, 0, 13).accel < none);     /* faster than it */
    assert_int_equal(label_at(&log, TICKS + 5, at + 64, 0, 10).steer, middle); /* the log is over */
    make_log(&log, -3, 0);
    float braking = fw_drive_accels_mps2[label_at(&log, 0, at, 0, 10).accel];
    assert_true(braking < -1.4f && braking > -4.6f);
    make_log(&log, 0, 0.5f); /* 0.5 m a second to the left */
    assert_true(label_at(&log, 0, at, 0, 10).steer > middle);
    make_log(&log, 0, -0.5f);
    assert_true(label_at(&log, 0, at, 0, 10).steer < middle);
}

/* ---- spread.h ---- */

static void a_quantile_to_one_bin(void **state) {
    (void)state;
    fw_learn_spread spread = {0};
    assert_true(fw_learn_spread_quantile(&spread, 0.99) == 0);
    for (int i = 1; i <= 10000; i++) fw_learn_spread_add(&spread, 1e-3f * (float)i);
    double got = fw_learn_spread_quantile(&spread, 0.99);
    assert_true(got >= 9.9 && got < 9.9 * 1.024);
    fw_learn_spread_add(&spread, 0); /* below and above what bins reach */
    fw_learn_spread_add(&spread, 1e9f);
    assert_true(fw_learn_spread_quantile(&spread, 0) > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_worth_what_follows),
        cmocka_unit_test(each_head_learns_from_two_thirds),
        cmocka_unit_test(the_human_is_followed),
        cmocka_unit_test(a_quantile_to_one_bin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
