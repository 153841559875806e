/* The moment of an event driven again: who runs into the car that brakes fails, who keeps away passes, and the same
 * again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "lines/driving/act/policy.h"
#include "lines/driving/learn/picture/again.h"
#include "synthetic_file.h"

static char folder[64], recording[100], constant[100], idm[100];

static void make_model(fw_policy_kind kind, const char *path) {
    char *bytes = NULL;
    size_t size = 0;
    fw_error error;
    assert_int_equal(fw_policy_rule_file(kind, &bytes, &size, &error), FW_OK);
    assert_int_equal(fw_file_write_durable(fw_env_real(), path, bytes, size, &error), FW_OK);
    free(bytes);
}

static int make_files(void **state) {
    (void)state;
    strcpy(folder, "/tmp/fw_again_XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(recording, sizeof recording, "%s/one.mcap", folder);
    snprintf(constant, sizeof constant, "%s/constant.safetensors", folder);
    snprintf(idm, sizeof idm, "%s/idm.safetensors", folder);
    synthetic_file(recording, "7", 8);
    make_model(FW_POLICY_CONSTANT, constant);
    make_model(FW_POLICY_IDM, idm);
    return 0;
}

static int remove_files(void **state) {
    fw_error error;
    (void)state;
    return fw_folder_remove(folder, &error) != FW_OK;
}

static fw_again event_at(double s, const char *kind, const char *old_model, const char *new_model) {
    return (fw_again){.recording = recording, .models = {old_model, new_model}, .kind = kind,
                      .time_ns = (int64_t)(s * 1e9)};
}

static json_t *drive(const fw_again *what, json_t **pictures) {
    json_t *proof = NULL;
    fw_error error = {""};
    if (fw_again_drive(what, &proof, pictures, &error) != FW_OK) fail_msg("%s", error.text);
    return proof;
}

static const json_t *of(const json_t *proof, size_t drive, const char *name) {
    return json_object_get(json_array_get(json_object_get(proof, "drives"), drive), name);
}

static void who_keeps_away_passes(void **state) {
    (void)state;
    fw_again what = event_at(9, "impact", constant, idm);
    json_t *pictures = NULL, *proof = drive(&what, &pictures);
    assert_int_equal(json_integer_value(json_object_get(proof, "event_tick")) -
                         json_integer_value(json_object_get(proof, "first_tick")),
                     FW_AGAIN_BEFORE_TICKS);
    assert_string_equal(json_string_value(json_object_get(proof, "traffic")), "reactive");
    assert_true(json_integer_value(json_object_get(proof, "recorded_mm")) > 10000);
    assert_true(json_is_true(of(proof, 1, "passed")));
    assert_true(json_integer_value(of(proof, 1, "distance_mm")) > 3000);
    assert_int_equal(json_array_size(json_object_get(pictures, "drives")), 2);
    const char *driver = json_string_value(json_object_get(json_array_get(json_object_get(pictures, "drives"), 0), "driver"));
    assert_non_null(strstr(driver, "drove then "));
    json_decref(pictures);
    json_decref(proof);
}

/* An event's own kind: the guard brakes hard for who does not, and that is what the event was. */
static void the_same_kind_again_is_no_pass(void **state) {
    (void)state;
    fw_again what = event_at(9, "veto", constant, idm);
    json_t *proof = drive(&what, NULL);
    bool vetoed = json_integer_value(of(proof, 0, "vetoes")) > 0;
    assert_true(vetoed);
    assert_true(json_is_true(of(proof, 0, "again")));
    assert_true(json_is_false(of(proof, 0, "passed")));
    json_decref(proof);
    what = event_at(9, "uncertain", constant, idm); /* not looked for */
    proof = drive(&what, NULL);
    assert_true(json_is_false(of(proof, 0, "again")));
    json_decref(proof);
}

static void the_same_again(void **state) {
    (void)state;
    fw_again what = event_at(9, "hard_brake", constant, idm);
    json_t *one = drive(&what, NULL), *two = drive(&what, NULL);
    assert_true(json_equal(one, two));
    json_decref(one), json_decref(two);
}

/* At the recording's very begin and behind its end: the drive begins where it can. */
static void at_the_edges(void **state) {
    static const double times[] = {0, 0.05, 29.9, 1e6};
    (void)state;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        fw_again what = event_at(times[i], "hard_brake", constant, idm);
        json_t *proof = drive(&what, NULL);
        assert_true(json_integer_value(json_object_get(proof, "event_tick")) < 300);
        json_decref(proof);
    }
}

static void what_is_not_there(void **state) {
    json_t *proof = NULL;
    fw_error error = {""};
    (void)state;
    fw_again what = event_at(9, "hard_brake", "/no/model", idm);
    assert_int_not_equal(fw_again_drive(&what, &proof, NULL, &error), FW_OK);
    what = event_at(9, "hard_brake", constant, idm);
    what.recording = idm; /* no recording */
    assert_int_not_equal(fw_again_drive(&what, &proof, NULL, &error), FW_OK);
    assert_true(error.text[0] != '\0');
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_keeps_away_passes), cmocka_unit_test(the_same_kind_again_is_no_pass),
        cmocka_unit_test(the_same_again),        cmocka_unit_test(at_the_edges),
        cmocka_unit_test(what_is_not_there),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
