/* A training on made-up roads of both kinds: threads change nothing, learning learns, imitation imitates, and
 * what stands in the model's file. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "lines/driving/learn/scenario/parts.h"
#include "lines/driving/learn/train/run.h"
#include "street.h"
#include "synthetic.h"

enum { TICKS = 100 };

static fw_scenario *unit_scenario(float brake_at_s) {
    fw_drive_recording *recording = synthetic_recording(300, brake_at_s);
    fw_scenario *scenario = NULL;
    fw_error error = {""};
    if (fw_scenario_of_unit(recording, fw_vehicles_builtin(), &scenario, &error) != FW_OK)
        fail_msg("%s", error.text);
    fw_drive_recording_free(recording);
    return scenario;
}

/* Five cars on a street, the first of each lane slower than who follows it. */
static fw_scenario *scene(float fastest_mps) {
    const street_car cars[] = {{.x_m = 0, .y_m = 0, .speed_mps = fastest_mps},
                               {.x_m = 30, .y_m = 0, .speed_mps = fastest_mps - 2},
                               {.x_m = 0, .y_m = 4, .speed_mps = fastest_mps},
                               {.x_m = 40, .y_m = 4, .speed_mps = fastest_mps - 3},
                               {.x_m = 15, .y_m = -4, .speed_mps = 0.5f * fastest_mps}};
    return street(cars, 5, TICKS);
}

/* As fw_learn_set_read has it: scenes first. */
static fw_learn_set make_set(uint32_t scenes, uint32_t units) {
    fw_learn_set set = {.items = calloc(scenes + units, sizeof(fw_scenario *)), .scene_count = scenes};
    assert_non_null(set.items);
    for (uint32_t i = 0; i < scenes; i++) set.items[set.count++] = scene(8 + 2 * (float)i);
    for (uint32_t i = 0; i < units; i++) set.items[set.count++] = unit_scenario(3 + 4 * (float)i);
    assert_int_equal(fw_learn_set_group(&set, NULL), FW_OK);
    return set;
}

/* A training from nothing; its parameters are the caller's to free. */
typedef struct run {
    float *params;
    size_t bytes;
    fw_learn_run_report report;
    fw_driving_point first, last;
    uint32_t points;
    uint32_t stop_after; /* points; 0: never */
    fw_status status;
} run;

static void take_point(void *self, const fw_driving_point *point) {
    run *r = self;
    if (r->points == 0) r->first = *point;
    r->last = *point;
    r->points++;
}

static bool go_on(void *self, const char *phase, uint64_t done, uint64_t total, double clean) {
    const run *r = self;
    assert_true(done <= total && clean >= 0 && clean <= 1);
    assert_true(strcmp(phase, "train") == 0 || strcmp(phase, "imitate") == 0);
    return r->stop_after == 0 || r->points < r->stop_after;
}

static void train(fw_learn_set set, uint32_t threads, uint64_t imitation, uint64_t steps, run *out) {
    fw_nn_graph *network;
    fw_nn_layout layout;
    fw_pool *pool;
    fw_error error = {""};
    const fw_learn_run_config config = {.set = &set, .threads = threads, .seed = 3,
                                        .ranks = &fw_nn_ranks_alone, .imitation_steps = imitation,
                                        .agent_steps = steps,
                                        .progress = {.self = out, .report = go_on, .point = take_point}};
    assert_int_equal(fw_pool_new(threads, &pool, NULL), FW_OK);
    assert_int_equal(fw_drive_network_graph(FW_DRIVE_HIDDEN, &network, NULL), FW_OK);
    assert_int_equal(fw_nn_layout_make(network, &layout, NULL), FW_OK);
    out->params = fw_nn_vector_new(layout.floats);
    out->bytes = layout.floats * sizeof *out->params;
    fw_nn_initialise(network, &layout, 3, out->params);
    out->status = fw_learn_run(&config, pool, network, out->params, &out->report, &error);
    if (out->status != FW_OK && out->stop_after == 0 && set.scene_count > 0) fail_msg("%s", error.text);
    fw_nn_layout_clear(&layout);
    fw_nn_graph_free(network);
    fw_pool_free(pool);
    fw_learn_set_clear(&set);
}

static void threads_change_nothing(void **state) {
    (void)state;
    static const uint32_t threads[] = {1, 2, 3};
    run runs[3];
    for (int i = 0; i < 3; i++) {
        runs[i] = (run){0};
        train(make_set(2, 2), threads[i], FW_LEARN_ROWS, 2 * FW_LEARN_ROWS, &runs[i]);
        assert_memory_equal(runs[0].params, runs[i].params, runs[0].bytes);
        assert_memory_equal(&runs[0].last, &runs[i].last, sizeof runs[0].last);
        assert_true(runs[0].report.uncertainty_threshold == runs[i].report.uncertainty_threshold);
    }
    for (int i = 0; i < 3; i++) free(runs[i].params);
}

static void learns_to_brake(void **state) {
    (void)state;
    run r = {0};
    train(make_set(0, 3), 2, 0, 600000, &r);
    printf("units' recordings: clean share of the last tenth, seed 3: %.3f; entropy %.2f, value loss %.3f\n",
           r.report.clean_share, r.last.entropy, r.last.value_loss);
    assert_true(r.report.clean_share > 0.9);
    assert_true(r.report.uncertainty_threshold > 0 && r.report.uncertainty_threshold < 10);
    free(r.params);
}

static void imitates_the_humans(void **state) {
    (void)state;
    run r = {0};
    train(make_set(3, 0), 2, 300000, 0, &r);
    printf("scenes: loss of imitation %.3f, at first %.3f; clean %.3f\n", r.last.loss, r.first.loss,
           r.report.clean_share);
    assert_true(r.last.loss < 0.75 * r.first.loss);
    assert_true(r.report.clean_share > 0.5);
    free(r.params);
}

static void units_are_not_imitated(void **state) {
    (void)state;
    run r = {0};
    train(make_set(0, 1), 1, 1000, 1000, &r);
    assert_int_equal(r.status, FW_INVALID);
    free(r.params);
}

/* Each update gives a point; its figures start where they must. Rows without a car are few. */
static void points_of_the_curve(void **state) {
    (void)state;
    run r = {0};
    train(make_set(2, 2), 1, 0, 2 * FW_LEARN_ROWS, &r);
    assert_int_equal(r.points, 2);
    assert_true(r.last.agent_steps > 3 * FW_LEARN_ROWS / 2 && r.last.agent_steps <= 2 * FW_LEARN_ROWS);
    assert_int_equal(r.report.agent_steps, r.last.agent_steps);
    double even = log(FW_ACCELS) + log(FW_STEERS); /* a fresh network prefers hardly anything */
    assert_true(r.last.entropy > 0.8 * even && r.last.entropy <= even);
    assert_true(isfinite(r.last.loss) && r.last.value_loss > 0 && r.last.gradient_norm > 0);
    assert_true(r.last.clean_share >= 0 && r.last.clean_share + r.last.collision_share + r.last.off_road_share <= 1);
    assert_true(r.last.vacant_share >= 0 && r.last.vacant_share < 0.25);
    free(r.params);
}

static void stops_when_asked_to(void **state) {
    (void)state;
    run r = {.stop_after = 2};
    train(make_set(1, 1), 1, 0, 10 * FW_LEARN_ROWS, &r);
    assert_int_equal(r.status, FW_INTERRUPTED);
    assert_int_equal(r.points, 2);
    free(r.params);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_change_nothing), cmocka_unit_test(learns_to_brake),
        cmocka_unit_test(imitates_the_humans),    cmocka_unit_test(units_are_not_imitated),
        cmocka_unit_test(points_of_the_curve),    cmocka_unit_test(stops_when_asked_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
