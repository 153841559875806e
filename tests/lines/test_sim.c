/* The simulator and PPO on a synthetic street: traffic reacts, learning learns, threads change
 * nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "lines/driving/act/policy.h"
#include "lines/driving/learn/ppo.h"
#include "lines/driving/learn/sim.h"
#include "synthetic.h"

static fw_scenario *scenario_with(float brake_at_s) {
    fw_drive_recording *recording = synthetic_recording(300, brake_at_s);
    fw_scenario *scenario = NULL;
    assert_int_equal(fw_scenario_new(recording, &scenario, NULL), FW_OK);
    fw_drive_recording_free(recording);
    return scenario;
}

static fw_sim_end drive(const fw_scenario *scenario, fw_policy_kind kind, float *metres) {
    fw_policy *policy = calloc(1, sizeof *policy);
    policy->kind = kind;
    fw_policy_session session = {0};
    fw_sim sim = fw_sim_new(1);
    fw_drive_obs obs;
    fw_drive_action action;
    fw_sim_outcome out = {0, FW_SIM_RUNS};
    fw_sim_begin(&sim, scenario, 0, 0);
    float start = sim.s_m;
    while (out.end == FW_SIM_RUNS) {
        fw_sim_observe(&sim, &obs);
        fw_policy_act(policy, &session, &obs, &action);
        out = fw_sim_step(&sim, action);
    }
    *metres = sim.s_m - start;
    fw_sim_free(&sim);
    free(policy);
    return out.end;
}

static void test_constant_crashes_idm_does_not(void **state) {
    (void)state;
    fw_scenario *scenario = scenario_with(5);
    float metres;
    assert_int_equal(drive(scenario, FW_POLICY_CONSTANT, &metres), FW_SIM_COLLISION);
    assert_int_equal(drive(scenario, FW_POLICY_IDM, &metres), FW_SIM_TIME_OUT);
    assert_true(metres > 60);
    fw_scenario_free(scenario);
}

static void test_too_short_is_refused(void **state) {
    (void)state;
    fw_drive_recording *recording = synthetic_recording(FW_SCENARIO_TICKS_MIN - 1, 1);
    fw_scenario *scenario = NULL;
    fw_error error = {""};
    assert_int_equal(fw_scenario_new(recording, &scenario, &error), FW_INVALID);
    assert_non_null(strstr(error.text, "ticks"));
    assert_null(scenario);
    fw_drive_recording_free(recording);
}

static void train(uint32_t threads, uint64_t steps, float *params, double *clean) {
    fw_scenario *scenarios[3];
    for (int i = 0; i < 3; i++) scenarios[i] = scenario_with(3 + 4 * (float)i);
    fw_ppo_config config = {.scenarios = (const fw_scenario *const *)scenarios,
                            .scenario_count = 3, .seed = 3, .agent_steps = steps};
    fw_ppo_report report;
    fw_pool *pool;
    assert_int_equal(fw_pool_new(threads, &pool, NULL), FW_OK);
    fw_mlp_init(fw_ppo_shape(), params, 3);
    assert_int_equal(fw_ppo_train(&config, pool, params, &report, NULL), FW_OK);
    *clean = report.clean_share;
    fw_pool_free(pool);
    for (int i = 0; i < 3; i++) fw_scenario_free(scenarios[i]);
}

static void test_threads_change_nothing(void **state) {
    (void)state;
    size_t bytes = fw_mlp_parameters(fw_ppo_shape()) * sizeof(float);
    float *one = malloc(bytes), *three = malloc(bytes);
    double clean;
    train(1, 3 * 16384, one, &clean);
    train(3, 3 * 16384, three, &clean);
    assert_memory_equal(one, three, bytes);
    free(one);
    free(three);
}

static void test_learns_to_brake(void **state) {
    (void)state;
    float *params = malloc(fw_mlp_parameters(fw_ppo_shape()) * sizeof *params);
    double clean;
    train(2, 500000, params, &clean);
    printf("clean share of the last tenth, seed 3: %.3f\n", clean);
    assert_true(clean > 0.9);
    free(params);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constant_crashes_idm_does_not),
        cmocka_unit_test(test_too_short_is_refused),
        cmocka_unit_test(test_threads_change_nothing),
        cmocka_unit_test(test_learns_to_brake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
