/* A model's self-test: the same answers pass, another model's do not, and a text that is none is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "lines/driving/act/self_test.h"
#include "lines/driving/learn/learn.h"

static void load_network(uint64_t seed, fw_policy *policy) {
    char path[] = "/tmp/fw_self_test_XXXXXX";
    fw_hash hash;
    fw_error error = {""};
    int file = mkstemp(path);
    assert_true(file >= 0);
    if (fw_driving_untrained(seed, path, &hash, &error) != FW_OK) fail_msg("%s", error.text);
    assert_int_equal(fw_policy_load_file(path, policy, &error), FW_OK);
    remove(path);
}

static fw_status check(const fw_policy *policy, const char *text, fw_error *error) {
    return fw_drive_self_test_check(policy, text, strlen(text), error);
}

static void every_kind_of_model_passes_its_own(void **state) {
    (void)state;
    fw_policy policies[3] = {{.kind = FW_POLICY_CONSTANT}, {.kind = FW_POLICY_IDM}};
    load_network(1, &policies[2]);
    for (int i = 0; i < 3; i++) {
        char *text;
        fw_error error = {""};
        assert_int_equal(fw_drive_self_test_make(&policies[i], UINT64_MAX, FW_DRIVE_SELF_TEST_FRAMES_MAX, &text, &error), FW_OK);
        assert_true(strlen(text) < FW_DRIVE_SELF_TEST_MAX_BYTES);
        if (check(&policies[i], text, &error) != FW_OK) fail_msg("%s", error.text);
        for (int other = 0; other < 3; other++)
            if (other != i) assert_int_equal(check(&policies[other], text, &error), FW_MISMATCH);
        free(text);
    }
    fw_policy_clear(&policies[2]);
}

/* Noise that a CPU class could make passes; a weight matrix that came out wrong does not. */
static void broken_weights_fail(void **state) {
    (void)state;
    fw_policy sound, broken;
    char *text;
    fw_error error = {""};
    char path[] = "/tmp/fw_self_test_XXXXXX";
    fw_nn_graph *graph;
    fw_nn_layout layout;
    fw_random r = fw_random_named(5, "weights");
    assert_true(mkstemp(path) >= 0);
    assert_int_equal(fw_drive_network_graph(FW_DRIVE_HIDDEN, &graph, &error), FW_OK);
    assert_int_equal(fw_nn_layout_make(graph, &layout, &error), FW_OK);
    float *params = fw_nn_vector_new(layout.floats);
    for (size_t i = 0; i < layout.floats; i++) params[i] = 0.2f * fw_random_normal(&r);
    assert_int_equal(fw_drive_network_save(graph, params, NULL, path, NULL, &error), FW_OK);
    assert_int_equal(fw_policy_load_file(path, &sound, &error), FW_OK);
    assert_int_equal(fw_drive_self_test_make(&sound, 11, FW_DRIVE_SELF_TEST_FRAMES, &text, &error), FW_OK);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < layout.floats; i++) params[i] *= round == 0 ? 1.0000001f : 0.7f;
        assert_int_equal(fw_drive_network_save(graph, params, NULL, path, NULL, &error), FW_OK);
        assert_int_equal(fw_policy_load_file(path, &broken, &error), FW_OK);
        assert_int_equal(check(&broken, text, &error), round == 0 ? FW_OK : FW_MISMATCH);
        fw_policy_clear(&broken);
    }
    remove(path);
    free(text);
    free(params);
    fw_policy_clear(&sound);
    fw_nn_layout_clear(&layout);
    fw_nn_graph_free(graph);
}

static void frames_are_scenes_of_their_seed(void **state) {
    (void)state;
    static uint8_t wire[FW_DRIVE_OBS_WIRE_MAX], again[FW_DRIVE_OBS_WIRE_MAX];
    fw_drive_obs obs, decoded;
    int different = 0;
    for (uint32_t i = 0; i < FW_DRIVE_SELF_TEST_FRAMES_MAX; i++) {
        fw_error error = {""};
        fw_drive_self_test_frame(3, i, &obs);
        size_t size = fw_drive_obs_encode(&obs, wire);
        if (fw_drive_obs_decode(wire, size, &decoded, &error) != FW_OK) fail_msg("frame %u: %s", i, error.text);
        fw_drive_self_test_frame(3, i, &obs);
        assert_int_equal(fw_drive_obs_encode(&obs, again), size);
        assert_memory_equal(wire, again, size);
        fw_drive_self_test_frame(4, i, &obs);
        different += fw_drive_obs_encode(&obs, again) != size || memcmp(wire, again, size) != 0;
    }
    assert_int_equal(different, FW_DRIVE_SELF_TEST_FRAMES_MAX);
}

static void what_is_no_self_test_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "", "7", "[]", "{}", "{\"seed\":-1,\"frames\":1,\"actions\":[\"0\",\"0\"],\"tolerance\":\"0.1\"}",
        "{\"seed\":1,\"frames\":0,\"actions\":[],\"tolerance\":\"0.1\"}",
        "{\"seed\":1,\"frames\":65,\"actions\":[],\"tolerance\":\"0.1\"}",
        "{\"seed\":1,\"frames\":1,\"actions\":[\"0\"],\"tolerance\":\"0.1\"}",
        "{\"seed\":1,\"frames\":1,\"actions\":[0,0],\"tolerance\":\"0.1\"}",
        "{\"seed\":1,\"frames\":1,\"actions\":[\"nan\",\"0\"],\"tolerance\":\"0.1\"}",
        "{\"seed\":1,\"frames\":1,\"actions\":[\"1e3\",\"0\"],\"tolerance\":\"0.1\"}",
        "{\"seed\":1,\"frames\":1,\"actions\":[\"0\",\"0\"],\"tolerance\":\"2\"}",
        "{\"seed\":1,\"frames\":1,\"actions\":[\"0\",\"0\"],\"tolerance\":\"-0.1\"}",
        "{\"seed\":1,\"seed\":1,\"frames\":1,\"actions\":[\"0\",\"0\"],\"tolerance\":\"0.1\"}"};
    fw_drive_self_test test;
    fw_error error;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(fw_drive_self_test_read(bad[i], strlen(bad[i]), &test, &error), FW_CORRUPT);
    static const char good[] = "{\"seed\":1,\"frames\":1,\"actions\":[\"-1.25\",\"0\"],\"tolerance\":\"0.1\"}";
    assert_int_equal(fw_drive_self_test_read(good, strlen(good), &test, &error), FW_OK);
    assert_true(test.actions[0].accel_mps2 == -1.25f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_model_passes_its_own), cmocka_unit_test(broken_weights_fail),
        cmocka_unit_test(frames_are_scenes_of_their_seed), cmocka_unit_test(what_is_no_self_test_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
