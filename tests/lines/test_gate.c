/* The gate on recordings of a synthetic street: a car ahead brakes; constant speed runs into it, IDM does
 * not, and a network that only brakes goes nowhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/file.h"
#include "lines/driving/act/network.h"
#include "lines/driving/act/policy.h"
#include "lines/driving/learn/score/gate.h"
#include "synthetic_file.h"

enum { RECORDINGS = 3 };

typedef struct place {
    char folder[64], recordings[RECORDINGS][100], constant[100], idm[100], stands[100];
    const char *paths[RECORDINGS];
} place;

static void write_rule(const char *path, fw_policy_kind kind) {
    char *bytes;
    size_t size;
    assert_int_equal(fw_policy_rule_file(kind, &bytes, &size, NULL), FW_OK);
    assert_int_equal(fw_file_write_durable(fw_env_real(), path, bytes, size, NULL), FW_OK);
    free(bytes);
}

/* Whatever it sees, the hardest braking scores highest. */
static void write_braking_network(const char *path) {
    fw_nn_graph *graph;
    fw_nn_layout layout;
    assert_int_equal(fw_drive_network_graph(FW_DRIVE_HIDDEN, &graph, NULL), FW_OK);
    assert_int_equal(fw_nn_layout_make(graph, &layout, NULL), FW_OK);
    float *params = fw_nn_vector_new(layout.floats);
    assert_non_null(params);
    for (uint32_t i = 0; i < graph->value_count; i++)
        if (strcmp(graph->values[i].name, "heads.bias") == 0) params[layout.offsets[i]] = 30;
    assert_int_equal(fw_drive_network_save(graph, params, NULL, path, NULL, NULL), FW_OK);
    free(params);
    fw_nn_layout_clear(&layout);
    fw_nn_graph_free(graph);
}

static int set_up(void **state) {
    place *p = calloc(1, sizeof *p);
    strcpy(p->folder, "/tmp/flywheel-gate-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    snprintf(p->constant, sizeof p->constant, "%s/constant", p->folder);
    snprintf(p->idm, sizeof p->idm, "%s/idm", p->folder);
    snprintf(p->stands, sizeof p->stands, "%s/stands", p->folder);
    write_rule(p->constant, FW_POLICY_CONSTANT);
    write_rule(p->idm, FW_POLICY_IDM);
    write_braking_network(p->stands);
    for (int i = 0; i < RECORDINGS; i++) {
        snprintf(p->recordings[i], sizeof p->recordings[i], "%s/%d.mcap", p->folder, i);
        synthetic_file(p->recordings[i], "car-1", 4 + (float)i);
        p->paths[i] = p->recordings[i];
    }
    *state = p;
    return 0;
}

static int tear_down(void **state) {
    place *p = *state;
    fw_error error;
    int failed = fw_folder_remove(p->folder, &error) != FW_OK;
    free(p);
    return failed;
}

static fw_driving_gate_result gate(const place *p, const char *champion, const char *candidate, uint32_t threads) {
    fw_driving_gate_config config = {.recordings = p->paths, .recording_count = RECORDINGS, .champion_path = champion,
                                     .candidate_path = candidate, .threads = threads};
    fw_driving_gate_result out;
    fw_error error = {""};
    if (fw_driving_gate(&config, &out, &error) != FW_OK) fail_msg("%s", error.text);
    return out;
}

static void test_the_better_passes_the_worse_does_not(void **state) {
    const place *p = *state;
    fw_driving_gate_result better = gate(p, p->constant, p->idm, 1), worse = gate(p, p->idm, p->constant, 1);
    assert_true(better.promote && better.difference > 0);
    assert_non_null(strstr(better.reason, "not worse"));
    assert_false(worse.promote);
    assert_true(worse.difference == -better.difference && worse.scenarios == better.scenarios);
    assert_int_equal(strncmp(worse.reason, "worse: ", 7), 0);
    assert_true(better.scenarios >= RECORDINGS);
}

static void test_the_same_is_not_worse(void **state) {
    const place *p = *state;
    fw_driving_gate_result same = gate(p, p->idm, p->idm, 1);
    assert_true(same.promote && same.difference == 0 && same.low == 0 && same.high == 0);
}

static void test_standing_still_is_no_skill(void **state) {
    const place *p = *state;
    fw_driving_gate_result got = gate(p, p->idm, p->stands, 1);
    assert_false(got.promote);
    if (strncmp(got.reason, "hardly moves: ", 14) != 0) fail_msg("%s", got.reason);
}

/* What people are shown: the champion's failure and the candidate passing it, from the same moment on. */
static void test_a_failure_and_its_fix_are_written(void **state) {
    const place *p = *state;
    char path[120];
    fw_driving_gate_config config = {.recordings = p->paths, .recording_count = RECORDINGS, .champion_path = p->constant,
                                     .candidate_path = p->idm, .threads = 1, .replays_path = path};
    fw_driving_gate_result out;
    json_error_t error;
    snprintf(path, sizeof path, "%s/replays.json", p->folder);
    assert_int_equal(fw_driving_gate(&config, &out, NULL), FW_OK);
    json_t *all = json_load_file(path, 0, &error);
    const json_t *list = json_object_get(all, "replays");
    assert_in_range(json_array_size(list), 1, 3);
    const json_t *drives = json_object_get(json_array_get(list, 0), "drives");
    const json_t *failed = json_array_get(drives, 0), *passed = json_array_get(drives, 1);
    assert_true(json_is_true(json_object_get(failed, "failed")) && json_is_false(json_object_get(passed, "failed")));
    size_t before = json_array_size(json_object_get(failed, "frames"));
    size_t after = json_array_size(json_object_get(passed, "frames"));
    assert_in_range(before, 2, 150);
    assert_in_range(after, 2, before + 40);
    const json_t *first[2];
    for (int i = 0; i < 2; i++) {
        const json_t *frame = json_array_get(json_object_get(json_array_get(drives, (size_t)i), "frames"), 0);
        first[i] = json_array_get(json_object_get(frame, "boxes"), 0);
        assert_int_equal(json_array_size(first[i]), 7);
    }
    if (json_integer_value(json_object_get(json_array_get(list, 0), "first_tick")) == 0)
        assert_true(json_equal(first[0], first[1]));
    json_decref(all);

    config.champion_path = p->idm;
    assert_int_equal(fw_driving_gate(&config, &out, NULL), FW_OK);
    all = json_load_file(path, 0, &error);
    assert_int_equal(json_array_size(json_object_get(all, "replays")), 0);
    json_decref(all);
}

static void test_threads_change_nothing(void **state) {
    const place *p = *state;
    fw_driving_gate_result one = gate(p, p->constant, p->idm, 1), four = gate(p, p->constant, p->idm, 4);
    assert_string_equal(one.reason, four.reason);
}

static bool stop(void *self, const char *phase, uint64_t done, uint64_t total, double reward) {
    (void)self, (void)phase, (void)done, (void)total, (void)reward;
    return false;
}

static void test_it_stops_when_asked_to(void **state) {
    const place *p = *state;
    fw_driving_gate_config config = {.recordings = p->paths, .recording_count = RECORDINGS, .champion_path = p->idm,
                                     .candidate_path = p->idm, .threads = 2, .progress.report = stop};
    fw_driving_gate_result out;
    assert_int_equal(fw_driving_gate(&config, &out, NULL), FW_INTERRUPTED);
}

static void test_no_recording_is_refused(void **state) {
    const place *p = *state;
    const char *paths[] = {p->idm};
    fw_driving_gate_config config = {.recordings = paths, .recording_count = 1, .champion_path = p->idm,
                                     .candidate_path = p->idm, .threads = 1};
    fw_driving_gate_result out;
    fw_error error = {""};
    assert_int_not_equal(fw_driving_gate(&config, &out, &error), FW_OK);
    assert_non_null(strstr(error.text, "none of 1 files"));
    config.champion_path = p->recordings[0];
    assert_int_not_equal(fw_driving_gate(&config, &out, &error), FW_OK);
    assert_non_null(strstr(error.text, p->recordings[0]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_better_passes_the_worse_does_not),
        cmocka_unit_test(test_the_same_is_not_worse),
        cmocka_unit_test(test_standing_still_is_no_skill),
        cmocka_unit_test(test_a_failure_and_its_fix_are_written),
        cmocka_unit_test(test_threads_change_nothing),
        cmocka_unit_test(test_it_stops_when_asked_to),
        cmocka_unit_test(test_no_recording_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
