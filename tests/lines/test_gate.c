/* The gate on recordings of a synthetic street: a car ahead brakes; constant speed runs into it, IDM does
 * not, and a network that only brakes goes nowhere. */
#include <math.h>
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

enum { RECORDINGS = 24 };

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
        synthetic_file(p->recordings[i], "car-1", 4 + 0.25f * (float)i);
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

static fw_driving_gate_config config_of(const place *p, const char *champion, const char *candidate) {
    return (fw_driving_gate_config){.recordings = p->paths, .recording_count = RECORDINGS, .champion_path = champion,
                                    .candidate_path = candidate, .threads = 1};
}

static fw_driving_gate_result decide(const fw_driving_gate_config *config) {
    fw_driving_gate_result out;
    fw_error error = {""};
    if (fw_driving_gate(config, &out, &error) != FW_OK) fail_msg("%s", error.text);
    return out;
}

static fw_driving_gate_result gate(const place *p, const char *champion, const char *candidate, uint32_t threads) {
    fw_driving_gate_config config = config_of(p, champion, candidate);
    config.threads = threads;
    return decide(&config);
}

/* Decides and wants a refusal whose reason says so. */
static void refused(const fw_driving_gate_config *config, const char *why) {
    fw_driving_gate_result got = decide(config);
    assert_false(got.promote);
    assert_true(json_is_false(json_object_get(got.record, "promote")));
    if (!strstr(got.reason, why)) fail_msg("%s: %s", why, got.reason);
    fw_driving_gate_clear(&got);
}

static void test_the_better_passes_the_worse_does_not(void **state) {
    const place *p = *state;
    fw_driving_gate_result better = gate(p, p->constant, p->idm, 1), worse = gate(p, p->idm, p->constant, 1);
    if (strncmp(better.reason, "better: ", 8) != 0) fail_msg("%s", better.reason);
    assert_true(better.promote && better.difference > 0 && better.low > 0);
    assert_false(worse.promote);
    assert_true(worse.difference < 0);
    /* stopped before the suite was through */
    assert_true(worse.scenarios < better.scenarios && better.scenarios >= RECORDINGS);
    assert_non_null(strstr(worse.reason, "not better by 0.05"));
    fw_driving_gate_clear(&better);
    fw_driving_gate_clear(&worse);
}

static void test_the_same_is_not_better(void **state) {
    const place *p = *state;
    fw_driving_gate_result same = gate(p, p->idm, p->idm, 1);
    assert_true(!same.promote && same.difference == 0 && same.low == 0 && same.high == 0);
    assert_int_equal(strncmp(same.reason, "not ", 4), 0);
    fw_driving_gate_clear(&same);
}

static void test_a_worn_suite_promotes_nobody(void **state) {
    const place *p = *state;
    fw_driving_gate_config config = config_of(p, p->constant, p->idm);
    fw_gate_plan plan = fw_gate_usual;
    plan.place = FW_GATE_PLACES + 1;
    config.plan = &plan;
    refused(&config, "worn");
    plan.place = FW_GATE_PLACES; /* a later place wants more */
    fw_driving_gate_result late = decide(&config);
    assert_true(json_number_value(json_object_get(json_object_get(late.record, "hypotheses"), "e_wanted")) > 8399);
    fw_driving_gate_clear(&late);
}

static void test_standing_still_is_no_skill(void **state) {
    const place *p = *state;
    fw_driving_gate_config config = config_of(p, p->idm, p->stands);
    refused(&config, "way 0.0");
    config.champion_path = p->constant; /* clean beside one that crashes, and yet */
    refused(&config, "way 0.");
}

/* ---- what is refused before it drives ---- */

static void copy_with(const char *from, const char *to, const char *word, const char *with, size_t flip) {
    char *bytes;
    size_t size;
    assert_int_equal(fw_file_read(from, 1 << 22, &bytes, &size, NULL), FW_OK);
    char *at = word ? memmem(bytes, size, word, strlen(word)) : bytes + size - flip;
    assert_non_null(at);
    if (word) memcpy(at, with, strlen(with));
    else at[0] ^= 0x40;
    assert_int_equal(fw_file_write_durable(fw_env_real(), to, bytes, size, NULL), FW_OK);
    free(bytes);
}

static void test_another_file_than_was_trained(void **state) {
    const place *p = *state;
    char path[120];
    fw_hash trained;
    fw_driving_gate_config config = config_of(p, p->constant, path);
    snprintf(path, sizeof path, "%s/flipped", p->folder);
    copy_with(p->stands, path, NULL, NULL, 8);
    assert_int_equal(fw_hash_file(p->stands, &trained, NULL), FW_OK);
    config.candidate_hash = trained.hex;
    refused(&config, "not the file that was trained");
}

static void test_another_schema(void **state) {
    const place *p = *state;
    char path[120];
    fw_driving_gate_config config = config_of(p, p->constant, path);
    snprintf(path, sizeof path, "%s/schema", p->folder);
    copy_with(p->stands, path, "\"features_version\":\"2\"", "\"features_version\":\"1\"", 0);
    refused(&config, "version 1 of the features");
}

static void test_a_file_that_is_no_model(void **state) {
    const place *p = *state;
    fw_driving_gate_config config = config_of(p, p->constant, p->recordings[0]);
    refused(&config, "no model for this line");
}

static void test_too_slow_is_refused_before_it_drives(void **state) {
    const place *p = *state;
    fw_driving_gate_config config = config_of(p, p->constant, p->stands);
    fw_gate_plan plan = fw_gate_usual;
    config.plan = &plan, config.deadline_us = 1;
    fw_driving_gate_result got = decide(&config);
    assert_false(got.promote);
    if (strncmp(got.reason, "decision time p99 ", 18) != 0) fail_msg("%s", got.reason);
    assert_int_equal(got.scenarios, 0);
    fw_driving_gate_clear(&got);
}

/* ---- the record ---- */

static void test_the_record_says_it_all(void **state) {
    const place *p = *state;
    fw_driving_gate_result got = gate(p, p->constant, p->idm, 1);
    const json_t *primary = json_object_get(got.record, "primary"), *row = NULL;
    size_t i = 0;
    long drives = 0;
    char suite[FW_HASH_HEX + 1];
    snprintf(suite, sizeof suite, "%s", json_string_value(json_object_get(json_object_get(got.record, "suite"), "hash")));
    assert_true(fw_hash_valid(suite));
    assert_int_equal(json_array_size(json_object_get(got.record, "clusters")), RECORDINGS);
    fw_hash last = {""}, key;
    json_array_foreach(json_object_get(got.record, "clusters"), i, row) {
        key = fw_gate_order(suite, json_string_value(json_array_get(row, 0)));
        assert_true(i == 0 || fw_hash_compare(&last, &key) < 0); /* the order was fixed before */
        last = key;
        for (size_t k = 1; k < 5; k++) drives += (long)json_integer_value(json_array_get(row, k));
    }
    assert_int_equal(drives, got.scenarios);
    assert_int_equal(json_integer_value(json_object_get(primary, "recordings")), RECORDINGS);
    assert_true(json_number_value(json_object_get(primary, "log_e")) >= log(40));
    assert_in_range(json_integer_value(json_object_get(primary, "decided_at")), 4, RECORDINGS);
    assert_in_range(json_array_size(json_object_get(got.record, "log_wealth")), 4, FW_GATE_PATH_POINTS);
    assert_true(json_array_size(json_object_get(got.record, "limits")) == 5);
    assert_true(json_array_size(json_object_get(got.record, "slices")) >= 1);
    assert_string_equal(json_string_value(json_object_get(got.record, "reason")), got.reason);
    fw_driving_gate_clear(&got);
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
    fw_driving_gate_clear(&out);
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
    fw_driving_gate_clear(&out);
    all = json_load_file(path, 0, &error);
    assert_int_equal(json_array_size(json_object_get(all, "replays")), 0);
    json_decref(all);
}

static void test_threads_change_nothing(void **state) {
    const place *p = *state;
    fw_driving_gate_result one = gate(p, p->constant, p->idm, 1), four = gate(p, p->constant, p->idm, 4);
    assert_string_equal(one.reason, four.reason);
    assert_true(json_equal(json_object_get(one.record, "clusters"), json_object_get(four.record, "clusters")));
    assert_true(json_equal(json_object_get(one.record, "slices"), json_object_get(four.record, "slices")));
    fw_driving_gate_clear(&one);
    fw_driving_gate_clear(&four);
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
        cmocka_unit_test(test_the_same_is_not_better),
        cmocka_unit_test(test_a_worn_suite_promotes_nobody),
        cmocka_unit_test(test_another_file_than_was_trained),
        cmocka_unit_test(test_another_schema),
        cmocka_unit_test(test_a_file_that_is_no_model),
        cmocka_unit_test(test_too_slow_is_refused_before_it_drives),
        cmocka_unit_test(test_the_record_says_it_all),
        cmocka_unit_test(test_standing_still_is_no_skill),
        cmocka_unit_test(test_a_failure_and_its_fix_are_written),
        cmocka_unit_test(test_threads_change_nothing),
        cmocka_unit_test(test_it_stops_when_asked_to),
        cmocka_unit_test(test_no_recording_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
