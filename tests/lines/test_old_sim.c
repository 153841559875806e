/* The simulator and PPO on a synthetic street: traffic reacts, learning learns, threads change
 * nothing. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "lines/driving/act/policy.h"
#include "lines/driving/learn/ppo.h"
#include "lines/driving/learn/old_sim.h"
#include "synthetic.h"

static fw_old_scenario *scenario_with(float brake_at_s) {
    fw_drive_recording *recording = synthetic_recording(300, brake_at_s);
    fw_old_scenario *scenario = NULL;
    assert_int_equal(fw_old_scenario_new(recording, &scenario, NULL), FW_OK);
    fw_drive_recording_free(recording);
    return scenario;
}

static fw_old_sim_end drive(const fw_old_scenario *scenario, fw_policy_kind kind, float *metres) {
    const fw_policy policy = {.kind = kind};
    fw_policy_session session;
    assert_int_equal(fw_policy_session_open(&policy, &session, NULL), FW_OK);
    fw_old_sim sim = fw_old_sim_new(1);
    fw_drive_obs obs;
    fw_drive_action action;
    fw_old_sim_outcome out = {0, FW_OLD_SIM_RUNS};
    fw_old_sim_begin(&sim, scenario, 0, 0);
    float start = sim.s_m;
    while (out.end == FW_OLD_SIM_RUNS) {
        fw_old_sim_observe(&sim, &obs);
        fw_policy_act(&policy, &session, &obs, &action);
        out = fw_old_sim_step(&sim, action);
    }
    *metres = sim.s_m - start;
    fw_old_sim_free(&sim);
    fw_policy_session_close(&session);
    return out.end;
}

static void test_constant_crashes_idm_does_not(void **state) {
    (void)state;
    fw_old_scenario *scenario = scenario_with(5);
    float metres;
    assert_int_equal(drive(scenario, FW_POLICY_CONSTANT, &metres), FW_OLD_SIM_COLLISION);
    assert_int_equal(drive(scenario, FW_POLICY_IDM, &metres), FW_OLD_SIM_TIME_OUT);
    assert_true(metres > 60);
    fw_old_scenario_free(scenario);
}

static void test_too_short_is_refused(void **state) {
    (void)state;
    fw_drive_recording *recording = synthetic_recording(FW_OLD_SCENARIO_TICKS_MIN - 1, 1);
    fw_old_scenario *scenario = NULL;
    fw_error error = {""};
    assert_int_equal(fw_old_scenario_new(recording, &scenario, &error), FW_INVALID);
    assert_non_null(strstr(error.text, "ticks"));
    assert_null(scenario);
    fw_drive_recording_free(recording);
}

/* A training from nothing; its parameters are the caller's to free. */
typedef struct run {
    float *params;
    size_t bytes;
    double clean;
    fw_driving_point last;
    uint32_t points;
} run;

static void take_point(void *self, const fw_driving_point *point) {
    run *r = self;
    r->last = *point;
    r->points++;
}

static void train(uint32_t threads, uint64_t steps, run *out) {
    fw_old_scenario *scenarios[3];
    fw_nn_graph *network;
    fw_nn_layout layout;
    fw_pool *pool;
    fw_ppo_report report;
    *out = (run){0};
    for (int i = 0; i < 3; i++) scenarios[i] = scenario_with(3 + 4 * (float)i);
    fw_ppo_config config = {.scenarios = (const fw_old_scenario *const *)scenarios,
                            .scenario_count = 3, .threads = threads, .seed = 3,
                            .ranks = &fw_nn_ranks_alone,
                            .agent_steps = steps,
                            .progress = {.self = out, .point = take_point}};
    assert_int_equal(fw_pool_new(threads, &pool, NULL), FW_OK);
    assert_int_equal(fw_drive_network_graph(FW_DRIVE_HIDDEN, &network, NULL), FW_OK);
    assert_int_equal(fw_nn_layout_make(network, &layout, NULL), FW_OK);
    out->params = fw_nn_vector_new(layout.floats);
    out->bytes = layout.floats * sizeof *out->params;
    fw_nn_initialise(network, &layout, 3, out->params);
    fw_error error;
    if (fw_ppo_train(&config, pool, network, out->params, &report, &error) != FW_OK)
        fail_msg("%s", error.text);
    out->clean = report.clean_share;
    fw_nn_layout_clear(&layout);
    fw_nn_graph_free(network);
    fw_pool_free(pool);
    for (int i = 0; i < 3; i++) fw_old_scenario_free(scenarios[i]);
}

static void test_threads_change_nothing(void **state) {
    (void)state;
    static const uint32_t threads[] = {1, 2, 4};
    run runs[3];
    for (int i = 0; i < 3; i++) {
        train(threads[i], 3 * 16384, &runs[i]);
        assert_memory_equal(runs[0].params, runs[i].params, runs[0].bytes);
        assert_memory_equal(&runs[0].last, &runs[i].last, sizeof runs[0].last);
    }
    for (int i = 0; i < 3; i++) free(runs[i].params);
}

static void test_learns_to_brake(void **state) {
    (void)state;
    run r;
    train(2, 500000, &r);
    printf("clean share of the last tenth, seed 3: %.3f; entropy %.2f, value loss %.3f\n", r.clean,
           r.last.entropy, r.last.value_loss);
    assert_true(r.clean > 0.9);
    free(r.params);
}

/* Each update gives a point; its figures start where they must. */
static void test_points_of_the_curve(void **state) {
    (void)state;
    run r;
    train(1, 2 * 16384, &r);
    assert_int_equal(r.points, 2);
    assert_int_equal(r.last.agent_steps, 2 * 16384);
    double even = log(FW_ACCELS) + log(FW_STEERS); /* a fresh network prefers hardly anything */
    assert_true(r.last.entropy > 0.8 * even && r.last.entropy <= even);
    assert_true(isfinite(r.last.loss) && r.last.value_loss > 0 && r.last.gradient_norm > 0);
    assert_true(r.last.clean_share >= 0 && r.last.clean_share <= 1);
    free(r.params);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constant_crashes_idm_does_not),
        cmocka_unit_test(test_too_short_is_refused),
        cmocka_unit_test(test_threads_change_nothing),
        cmocka_unit_test(test_points_of_the_curve),
        cmocka_unit_test(test_learns_to_brake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
