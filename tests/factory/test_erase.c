/* Erasing one unit: nothing is left but a signed statement, and whoever asks is told. */
#include "drives.h"

#include "factory/api/api_erase.h"

static const drive secret = {.unit = "7", .x_m = 3.4, .speed_mps = 11.3, .seconds = 30, .brakes = 2};

static void prepare(fixture *f, fw_hash *hash) {
    drive other = secret;
    assert_int_equal(put_drive(f, "7", &secret, hash), 201);
    other.unit = "8", other.start_ns = 500; /* a near-duplicate by another unit */
    assert_int_equal(put_drive(f, "8", &other, NULL), 201);
    other.start_ns = 900;
    assert_int_equal(put_drive(f, "8", &other, NULL), 201);
    assert_int_equal(call(f, "POST", "/v1/units/7/report", "{\"tick\":1}", NULL), 200);
}

static int erase(fixture *f, const char *unit, json_t **json) {
    char path[80];
    snprintf(path, sizeof path, "/v1/units/%s/erase", unit);
    return call(f, "POST", path, "{\"reason\":\"asked by its owner\"}", json);
}

static bool error_says(json_t *json, const char *word) {
    const char *text = json_string_value(json_object_get(json, "error"));
    bool says = text && strstr(text, word);
    json_decref(json);
    return says;
}

/* Does any file of the folder hold the text? */
static bool anywhere(const char *folder, const char *text) {
    char command[300];
    snprintf(command, sizeof command, "grep -rqF --exclude-dir=tombstones --exclude=ledger.ndjson -- "
                                      "'%s' %s", text, folder);
    return system(command) == 0;
}

static void nothing_is_left_but_the_statement(void **state) {
    fixture *f = *state;
    fw_hash hash;
    char path[FW_PATH_MAX];
    json_t *json;
    prepare(f, &hash);
    assert_int_equal(found(f, "duplicate_of != none"), 2);
    fw_objects_path(&f->factory->objects, hash.hex, path);
    assert_true(fw_file_exists(path));
    assert_int_equal(erase(f, "7", &json), 200);
    assert_string_equal(json_string_value(json_object_get(json, "unit")), "7");
    assert_string_equal(json_string_value(json_array_get(json_object_get(json, "objects"), 0)),
                        hash.hex);
    assert_true(fw_hash_valid(json_string_value(json_object_get(json, "id"))));
    json_decref(json);
    assert_false(fw_file_exists(path));
    assert_int_equal(found(f, ""), 2);
    assert_int_equal(found(f, "duplicate_of != none"), 1); /* of each other now */
    assert_int_equal(call(f, "GET", "/v1/units", NULL, &json), 200);
    assert_int_equal(json_array_size(json), 0);
    json_decref(json);
    fw_erase_verdict v;
    fw_error error;
    assert_int_equal(fw_erase_verify(f->data, NULL, NULL, &v, &error), FW_OK);
    assert_true(v.tombstones == 1 && v.recordings == 1 && v.invalid == 0 && v.still_here == 0);
}

static void whoever_asks_is_told(void **state) {
    fixture *f = *state;
    fw_hash hash;
    json_t *json;
    char path[120], text[120];
    prepare(f, &hash);
    assert_int_equal(erase(f, "7", NULL), 200);
    snprintf(path, sizeof path, "/v1/objects/%s", hash.hex);
    assert_int_equal(call(f, "GET", path, NULL, &json), 410);
    assert_true(error_says(json, "erased"));
    assert_int_equal(call(f, "HEAD", path, NULL, NULL), 410);
    assert_int_equal(query(f, "unit = 7", &json), 410);
    assert_true(error_says(json, "erased: unit 7"));
    snprintf(text, sizeof text, "id = %.12s", hash.hex);
    assert_int_equal(query(f, text, &json), 410);
    assert_true(error_says(json, "erased: recording"));
    assert_int_equal(ask(f, "/v1/slice", (const char *const[]){"q", "unit in (7, 8)", NULL}, &json),
                     410);
    assert_true(error_says(json, "erased: unit 7"));
    assert_int_equal(put_drive(f, "7", &secret, NULL), 410); /* not taken again */
    drive next = secret;
    next.seconds = 12;
    assert_int_equal(put_drive(f, "7", &next, NULL), 201); /* a new life is allowed */
    assert_int_equal(found(f, "unit = 7"), 1);
}

static void a_generation_on_erased_data_gives_up(void **state) {
    fixture *f = *state;
    json_t *json;
    fw_error error;
    add_champion(f, "generation 0");
    for (int i = 0; i < 4; i++) {
        char unit[8];
        snprintf(unit, sizeof unit, "%d", i);
        drive d = {.unit = unit, .seconds = 4 + i, .speed_mps = 1};
        assert_int_equal(put_drive(f, unit, &d, NULL), 201);
    }
    f->jobs.script[0] = ACT_HANG;
    assert_int_equal(call(f, "POST", "/v1/generations", "{\"seed\":7,\"agent_steps\":10}", NULL), 201);
    for (int i = 0; i < 4; i++) assert_int_equal(fw_factory_tick(f->factory, &error), FW_OK);
    assert_int_equal(f->jobs.started, 1);
    assert_int_equal(erase(f, "2", &json), 200);
    assert_int_equal(json_array_size(json_object_get(json, "datasets")), 1);
    json_decref(json);
    assert_int_equal(fw_factory_tick(f->factory, &error), FW_OK);
    assert_int_equal(call(f, "GET", "/v1/generations/1", NULL, &json), 200);
    assert_string_equal(json_string_value(json_object_get(json, "stage")), "failed");
    assert_non_null(strstr(json_string_value(json_object_get(json, "reason")), "erased"));
    json_decref(json);
}

static void models_it_touched_are_listed(void **state) {
    fixture *f = *state;
    json_t *json;
    fw_error error;
    add_champion(f, "generation 0");
    for (int i = 0; i < 4; i++) {
        char unit[8];
        snprintf(unit, sizeof unit, "%d", i);
        drive d = {.unit = unit, .seconds = 4 + i, .speed_mps = 1};
        assert_int_equal(put_drive(f, unit, &d, NULL), 201);
    }
    f->jobs.script[0] = f->jobs.script[1] = ACT_SUCCEED;
    assert_int_equal(call(f, "POST", "/v1/generations", "{\"seed\":7,\"agent_steps\":10}", NULL), 201);
    for (int i = 0; i < 20; i++) assert_int_equal(fw_factory_tick(f->factory, &error), FW_OK);
    assert_int_equal(erase(f, "2", &json), 200);
    assert_int_equal(json_array_size(json_object_get(json, "datasets")), 1);
    assert_int_equal(json_array_size(json_object_get(json, "models")), 1);
    json_decref(json);
}

/* Cut off at every write, flush and rename: after the next start all of it has happened, or nothing. */
static void a_crash_anywhere_is_gone_on_with(void **state) {
    (void)state;
    for (unsigned n = 1; n < 40; n++) {
        void *opened;
        fixture_open(&opened);
        fixture *f = opened;
        fw_hash hash;
        char path[FW_PATH_MAX];
        prepare(f, &hash);
        fw_objects_path(&f->factory->objects, hash.hex, path);
        f->faults.calls = 0, f->faults.fail_at = n, f->faults.fail_errno = EIO, f->faults.stays = true;
        int status = erase(f, "7", NULL);
        bool reached = f->faults.calls >= n;
        f->faults.fail_at = 0, f->faults.stays = false;
        fixture_stop(f);
        fixture_start(f);
        fw_erase_verdict v;
        fw_error error;
        assert_int_equal(fw_erase_verify(f->data, NULL, NULL, &v, &error), FW_OK);
        assert_int_equal(v.invalid + v.still_here, 0);
        if (status == 200) assert_int_equal(v.tombstones, 1);
        assert_int_equal(fw_file_exists(path), v.tombstones == 0);
        assert_int_equal(found(f, ""), v.tombstones ? 2 : 3);
        fixture_close(&opened);
        if (!reached) return;
    }
    fail_msg("an erasure takes over 40 writes");
}

static void a_forged_tombstone_is_seen(void **state) {
    fixture *f = *state;
    char command[300];
    fw_hash hash;
    fw_erase_verdict v;
    fw_error error;
    prepare(f, &hash);
    assert_int_equal(erase(f, "7", NULL), 200);
    snprintf(command, sizeof command, "sed -i 's/owner/nobody/' %s/tombstones/*.json", f->data);
    assert_int_equal(system(command), 0);
    assert_int_equal(fw_erase_verify(f->data, NULL, NULL, &v, &error), FW_OK);
    assert_int_equal(v.invalid, 1);
}

static void bytes_are_gone_from_the_catalogue_too(void **state) {
    fixture *f = *state;
    fw_hash hash;
    drive d = {.unit = "very-secret-unit", .campaign = "hush-hush", .seconds = 12, .speed_mps = 7};
    prepare(f, &hash);
    assert_int_equal(put_drive(f, d.unit, &d, NULL), 201);
    assert_true(anywhere(f->data, "hush-hush"));
    assert_int_equal(erase(f, d.unit, NULL), 200);
    assert_false(anywhere(f->data, "hush-hush"));
}

static void wrong_calls_are_refused(void **state) {
    fixture *f = *state;
    fw_hash hash;
    prepare(f, &hash);
    assert_int_equal(erase(f, "nobody", NULL), 404);
    assert_int_equal(call(f, "POST", "/v1/units/7/erase", "{}", NULL), 400);
    assert_int_equal(call(f, "POST", "/v1/units/7/erase", "{\"reason\":\"\"}", NULL), 400);
    assert_int_equal(call(f, "POST", "/v1/units/7/erase", "{\"reason\":\"a\\nb\"}", NULL), 400);
    assert_int_equal(found(f, ""), 3);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_left_but_the_statement), TEST(whoever_asks_is_told),
        TEST(a_generation_on_erased_data_gives_up), TEST(models_it_touched_are_listed),
        cmocka_unit_test(a_crash_anywhere_is_gone_on_with), TEST(a_forged_tombstone_is_seen),
        TEST(bytes_are_gone_from_the_catalogue_too), TEST(wrong_calls_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
