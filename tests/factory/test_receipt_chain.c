/* Receipts as documents: built from facts, chained by hashes, refused when anything in them was changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "factory/receipts/receipt.h"
#include "trust/canonical.h"

static char A[65], B[65], C[65], D[65];

static int name_hashes(void **state) {
    (void)state;
    memset(A, 'a', 64), memset(B, 'b', 64), memset(C, 'c', 64), memset(D, 'd', 64);
    return 0;
}

/* ---- facts ---- */

static json_t *facts_json(bool old_passes, bool new_passes) {
    json_error_t where;
    char text[4000];
    snprintf(text, sizeof text,
             "{\"event\":{\"id\":7,\"unit\":\"3\",\"kind\":\"hard_brake\",\"time_ns\":5000,\"value\":\"-4.5\",\"recording\":"
             "\"%s\",\"received_ns\":9000,\"recorded_ns\":3000,\"start_ns\":1000},"
             "\"recording\":{\"sha256\":\"%s\",\"bytes\":100,\"unit\":\"3\",\"role\":\"train\",\"received_ns\":9000},"
             "\"generation\":{\"n\":2,\"dataset\":\"%s\",\"dataset_ns\":10000,\"dataset_bytes\":20,\"recordings\":5,"
             "\"candidate\":\"%s\",\"candidate_bytes\":300,\"train_ns\":20000,\"core_ms\":1500,\"decision\":\"promoted\","
             "\"gate_ns\":30000,\"gate_sha256\":\"%s\",\"gate_bytes\":4},"
             "\"entry\":{\"role\":\"train\"},"
             "\"model\":{\"statement_sha256\":\"%s\",\"statement_bytes\":50,\"signed_ns\":30001},"
             "\"rollout\":{\"n\":1,\"state\":\"done\",\"units\":4,\"active\":4,\"done_ns\":47000,\"reports_sha256\":\"%s\"},"
             "\"proof\":{\"scenario\":\"%s\",\"first_tick\":0,\"drives\":[{\"model\":\"%s\",\"passed\":%s},{\"model\":"
             "\"%s\",\"passed\":%s}]}}",
             A, A, B, C, D, D, D, A, B, old_passes ? "true" : "false", C, new_passes ? "true" : "false");
    json_t *json = json_loads(text, 0, &where);
    if (!json) fail_msg("%s", where.text);
    return json;
}

static json_t *build(const json_t *json) {
    json_t *statement = NULL;
    fw_error error = {""};
    const fw_receipt_facts facts = {
        .event = json_object_get(json, "event"), .recording = json_object_get(json, "recording"),
        .generation = json_object_get(json, "generation"), .entry = json_object_get(json, "entry"),
        .model = json_object_get(json, "model"), .rollout = json_object_get(json, "rollout"),
        .proof = json_object_get(json, "proof"), .proof_ns = 50000, .proof_core_ms = 12};
    if (fw_receipt_build(&facts, 60000, &statement, &error) != FW_OK) fail_msg("%s", error.text);
    return statement;
}

static fw_receipt_view view_of(const json_t *statement) {
    fw_receipt_view view;
    fw_error error = {""};
    if (fw_receipt_check(statement, &view, &error) != FW_OK) fail_msg("%s", error.text);
    return view;
}

/* ---- whole ones ---- */

static void a_fixed_failure(void **state) {
    (void)state;
    json_t *facts = facts_json(false, true), *statement = build(facts);
    fw_receipt_view view = view_of(statement);
    assert_true(view.complete);
    assert_string_equal(view.outcome, "fixed");
    assert_int_equal(view.event, 7);
    assert_int_equal(view.failure_to_fixed_ns, 40000); /* 47000 less 3000 + (5000 - 1000) */
    assert_int_equal(json_integer_value(json_object_get(view.predicate, "bytes")), 100 + 20 + 300 + 4 + 50);
    assert_int_equal(json_integer_value(json_object_get(view.predicate, "core_ms")), 1512);
    assert_int_equal(json_array_size(json_object_get(statement, "subject")), 3);
    for (fw_receipt_hop h = 0; h < FW_RECEIPT_HOP_COUNT; h++)
        assert_true(json_is_true(json_object_get(fw_receipt_hop_of(&view, h), "done")));
    char *text = NULL;
    size_t size = 0;
    fw_error error;
    assert_int_equal(fw_canonical_write(statement, &text, &size, &error), FW_OK); /* whole numbers alone */
    free(text);
    json_decref(statement);
    json_decref(facts);
}

/* Simulated time runs faster than the clock: an event is never placed after its arrival. */
static void placed_before_it_came(void **state) {
    (void)state;
    json_t *facts = facts_json(false, true);
    json_object_set_new(json_object_get(facts, "event"), "recorded_ns", json_integer(8999));
    json_t *statement = build(facts);
    fw_receipt_view view = view_of(statement);
    const json_t *event = fw_receipt_hop_of(&view, FW_RECEIPT_EVENT);
    assert_int_equal(json_integer_value(json_object_get(event, "time_ns")), 9000);
    json_decref(statement);
    json_object_set_new(json_object_get(facts, "event"), "recorded_ns", json_null());
    statement = build(facts);
    view = view_of(statement);
    event = fw_receipt_hop_of(&view, FW_RECEIPT_EVENT);
    assert_int_equal(json_integer_value(json_object_get(event, "time_ns")), 9000);
    json_decref(statement);
    json_decref(facts);
}

static void outcomes(void **state) {
    static const struct {
        bool old_passes, new_passes, complete;
        const char *outcome;
    } cases[] = {{false, true, true, "fixed"},
                 {true, true, true, "not reproduced"},
                 {false, false, false, "not fixed"},
                 {true, false, false, "not fixed"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *facts = facts_json(cases[i].old_passes, cases[i].new_passes), *statement = build(facts);
        fw_receipt_view view = view_of(statement);
        assert_string_equal(view.outcome, cases[i].outcome);
        assert_int_equal(view.complete, cases[i].complete);
        assert_int_equal(view.failure_to_fixed_ns >= 0, i == 0);
        json_decref(statement);
        json_decref(facts);
    }
}

/* ---- incomplete ones ---- */

/* Without each part the hops from there on have not happened, and say why. */
static void what_has_not_happened(void **state) {
    static const struct {
        const char *part;
        fw_receipt_hop hop;
    } cases[] = {{"recording", FW_RECEIPT_RECORDING}, {"proof", FW_RECEIPT_SCENARIO},  {"entry", FW_RECEIPT_DATASET},
                 {"generation", FW_RECEIPT_DATASET},  {"generation", FW_RECEIPT_RUN},  {"generation", FW_RECEIPT_GATE},
                 {"model", FW_RECEIPT_SIGNATURE},     {"rollout", FW_RECEIPT_ROLLOUT}, {"proof", FW_RECEIPT_REPLAY}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *facts = facts_json(false, true);
        json_object_del(facts, cases[i].part);
        json_t *statement = build(facts);
        fw_receipt_view view = view_of(statement);
        const json_t *hop = fw_receipt_hop_of(&view, cases[i].hop);
        assert_false(view.complete);
        assert_int_equal(view.failure_to_fixed_ns, -1);
        assert_true(json_is_false(json_object_get(hop, "done")));
        assert_non_null(json_string_value(json_object_get(hop, "why")));
        assert_true(json_is_null(json_object_get(hop, "sha256")));
        assert_true(json_is_null(json_object_get(hop, "time_ns")));
        json_decref(statement);
        json_decref(facts);
    }
}

static void a_rollout_that_was_turned_back(void **state) {
    (void)state;
    json_t *facts = facts_json(false, true);
    json_object_set_new(json_object_get(facts, "rollout"), "state", json_string("rolled_back"));
    json_t *statement = build(facts);
    fw_receipt_view view = view_of(statement);
    assert_false(view.complete);
    assert_true(json_is_false(json_object_get(fw_receipt_hop_of(&view, FW_RECEIPT_ROLLOUT), "done")));
    json_decref(statement);
    json_decref(facts);
}

/* ---- changed ones ---- */

static void refused(const json_t *statement) {
    fw_receipt_view view;
    fw_error error = {""};
    assert_int_equal(fw_receipt_check(statement, &view, &error), FW_CORRUPT);
    assert_true(error.text[0] != '\0');
}

static bool change(json_t *value) {
    if (json_is_integer(value)) return json_integer_set(value, json_integer_value(value) + 1) == 0;
    if (json_is_string(value)) {
        char text[200];
        snprintf(text, sizeof text, "%.190s?", json_string_value(value));
        return json_string_set(value, text) == 0;
    }
    return false;
}

/* Every figure and text of every hop: one that is changed is found. */
static void every_change_is_found(void **state) {
    (void)state;
    json_t *facts = facts_json(false, true), *whole = build(facts);
    int changed = 0;
    for (size_t h = 0; h < FW_RECEIPT_HOP_COUNT; h++) {
        json_t *names = json_object(), *value = NULL;
        const char *name;
        const json_t *hops = json_object_get(json_object_get(whole, "predicate"), "hops");
        json_object_update(names, json_array_get(hops, h));
        json_object_foreach(names, name, value) {
            json_t *copy = json_deep_copy(whole);
            json_t *hop = json_array_get(json_object_get(json_object_get(copy, "predicate"), "hops"), h);
            json_t *field = json_object_get(hop, name);
            bool done = json_is_boolean(field) ? json_object_set_new(hop, name, json_boolean(!json_is_true(field))) == 0
                        : json_is_object(field) ? json_object_set_new(field, "more", json_integer(1)) == 0
                        : json_is_null(field)   ? json_object_set_new(hop, name, json_string("x")) == 0
                                                : change(field);
            assert_true(done);
            refused(copy);
            changed++;
            json_decref(copy);
        }
        json_decref(names);
    }
    assert_int_equal(changed, 9 * FW_RECEIPT_HOP_COUNT + FW_RECEIPT_HOP_COUNT);
    json_decref(whole);
    json_decref(facts);
}

static void sums_subjects_and_form(void **state) {
    static const char *const sums[] = {"complete", "outcome", "failure_to_fixed_ns", "bytes", "core_ms", "chain", "hops"};
    (void)state;
    json_t *facts = facts_json(false, true), *whole = build(facts);
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
        json_t *copy = json_deep_copy(whole);
        json_object_set_new(json_object_get(copy, "predicate"), sums[i], json_null());
        refused(copy);
        json_decref(copy);
    }
    json_t *copy = json_deep_copy(whole);
    json_array_remove(json_object_get(copy, "subject"), 0);
    refused(copy);
    json_object_set_new(copy, "predicateType", json_string("other"));
    refused(copy);
    json_decref(copy);
    copy = json_deep_copy(whole);
    json_array_remove(json_object_get(json_object_get(copy, "predicate"), "hops"), 3);
    refused(copy);
    json_decref(copy);
    fw_receipt_view view;
    fw_error error = {""};
    json_object_set_new(json_object_get(whole, "predicate"), "format", json_integer(2));
    assert_int_equal(fw_receipt_check(whole, &view, &error), FW_UNSUPPORTED);
    json_decref(whole);
    json_decref(facts);
}

/* Written by another program (Python's json and hashlib): the same hashes. */
static void made_elsewhere(void **state) {
    static const struct {
        const char *name;
        fw_status status;
        const char *outcome;
    } files[] = {{"fixed", FW_OK, "fixed"}, {"not_reproduced", FW_OK, "not reproduced"}, {"open", FW_OK, "not fixed"},
                 {"changed", FW_CORRUPT, NULL}, {"no_hops", FW_CORRUPT, NULL}, {"empty", FW_CORRUPT, NULL}};
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[300], *text = NULL;
        size_t size = 0;
        json_t *statement = NULL;
        fw_receipt_view view;
        fw_error error = {""};
        snprintf(path, sizeof path, "%s/tests/fuzz/corpus/receipt/%s", FW_SOURCE_DIR, files[i].name);
        assert_int_equal(fw_file_read(path, 1 << 16, &text, &size, &error), FW_OK);
        assert_int_equal(fw_canonical_read(text, size, &statement, &error), FW_OK);
        if (fw_receipt_check(statement, &view, &error) != files[i].status) fail_msg("%s: %s", files[i].name, error.text);
        if (files[i].outcome) assert_string_equal(view.outcome, files[i].outcome);
        free(text);
        json_decref(statement);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fixed_failure),          cmocka_unit_test(placed_before_it_came),
        cmocka_unit_test(outcomes),                 cmocka_unit_test(what_has_not_happened),
        cmocka_unit_test(a_rollout_that_was_turned_back), cmocka_unit_test(every_change_is_found),
        cmocka_unit_test(sums_subjects_and_form), cmocka_unit_test(made_elsewhere),
    };
    return cmocka_run_group_tests(tests, name_hashes, NULL);
}
