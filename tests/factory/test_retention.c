/* Retention: what is due goes, what must stay stays, and the log says so. */
#include "drives.h"

#include "factory/custody/retention.h"

#define DAYS(n) ((n) * 86400000000000LL)

static void set(fixture *f, const char *body, int status) {
    json_t *json;
    assert_int_equal(call(f, "POST", "/v1/retention", body, &json), status);
    json_decref(json);
}

/* A minute later, so that the policy is applied. */
static void tick(fixture *f) {
    fw_error error = {""};
    f->faults.skip_ns += (FW_RETENTION_EVERY_S + 1) * 1000000000LL;
    if (fw_factory_tick(f->factory, &error) != FW_OK) fail_msg("%s", error.text);
}

/* Units 0 to 2 train; seconds makes them differ. */
static int put_one(fixture *f, const char *unit, int seconds, int brakes, fw_hash *hash) {
    drive d = {.unit = unit, .seconds = seconds, .brakes = brakes, .speed_mps = 1 + 3 * seconds};
    return put_drive(f, unit, &d, hash);
}

static void the_policy_is_kept_and_checked(void **state) {
    fixture *f = *state;
    json_t *json;
    set(f, "{\"keep_days\":30,\"keep_events_days\":365}", 200);
    set(f, "{\"cap_bytes\":1000000,\"drop_duplicates\":true}", 200);
    fixture_stop(f);
    fixture_start(f);
    assert_int_equal(call(f, "GET", "/v1/retention", NULL, &json), 200);
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(text, "{\"cap_bytes\":1000000,\"drop_duplicates\":true,\"keep_days\":30,"
                              "\"keep_events_days\":365}");
    free(text);
    json_decref(json);
    const char *const bad[] = {"", "{}", "[]", "{\"keep_days\":-1}", "{\"keep_days\":\"30\"}",
                               "{\"keep_days\":40000}", "{\"days\":1}", "{\"drop_duplicates\":1}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) set(f, bad[i], 400);
}

static void age_decides_and_events_live_longer(void **state) {
    fixture *f = *state;
    fw_hash hash;
    char path[FW_PATH_MAX];
    json_t *log;
    assert_int_equal(put_one(f, "1", 5, 0, &hash), 201);
    assert_int_equal(put_one(f, "1", 6, 2, NULL), 201);
    set(f, "{\"keep_days\":30,\"keep_events_days\":365}", 200);
    f->faults.skip_ns += DAYS(29);
    tick(f);
    assert_int_equal(found(f, "state = kept"), 2);
    f->faults.skip_ns += DAYS(2);
    tick(f);
    assert_int_equal(found(f, "state = expired and event != hard_brake"), 1);
    assert_int_equal(found(f, "state = kept"), 1);
    fw_objects_path(&f->factory->objects, hash.hex, path);
    assert_false(fw_file_exists(path));
    assert_int_equal(call(f, "GET", "/v1/log", NULL, &log), 200);
    const char *line = json_string_value(json_object_get(json_array_get(log, 0), "text"));
    assert_non_null(strstr(line, "retention: 1 recordings expired"));
    json_decref(log);
    f->faults.skip_ns += DAYS(340);
    tick(f);
    assert_int_equal(found(f, "state = kept"), 0);
}

static void over_the_cap_the_oldest_without_events_go(void **state) {
    fixture *f = *state;
    json_t *json;
    for (int i = 0; i < 6; i++) assert_int_equal(put_one(f, "1", 10 + i, i % 2, NULL), 201);
    assert_int_equal(query(f, "sequence > 3 or events > 0", &json), 200);
    int64_t cap = json_integer_value(json_object_get(json, "bytes"));
    json_decref(json);
    char body[80];
    snprintf(body, sizeof body, "{\"cap_bytes\":%lld}", (long long)cap);
    set(f, body, 200);
    tick(f);
    assert_int_equal(found(f, "state = expired"), 2);
    assert_int_equal(found(f, "state = expired and sequence in (1, 3)"), 2);
    tick(f); /* and then there is peace */
    assert_int_equal(found(f, "state = expired"), 2);
}

static void near_duplicates_go_only_when_told(void **state) {
    fixture *f = *state;
    drive d = {.unit = "1", .x_m = 3.4, .speed_mps = 11.3, .seconds = 30};
    assert_int_equal(put_drive(f, "1", &d, NULL), 201);
    d.start_ns = 77;
    assert_int_equal(put_drive(f, "1", &d, NULL), 201);
    assert_int_equal(found(f, "duplicate_of != none"), 1);
    set(f, "{\"keep_days\":30}", 200);
    tick(f);
    assert_int_equal(found(f, "state = kept"), 2);
    set(f, "{\"drop_duplicates\":true}", 200);
    tick(f);
    assert_int_equal(found(f, "state = expired and duplicate_of != none"), 1);
    assert_int_equal(found(f, "state = kept"), 1);
}

/* What a generation in work reads, and what is held out newest, is not for the policy. */
static void what_is_needed_stays(void **state) {
    fixture *f = *state;
    fw_error error;
    add_champion(f, "generation 0");
    for (int i = 0; i < 4; i++) {
        char unit[8];
        snprintf(unit, sizeof unit, "%d", i);
        assert_int_equal(put_one(f, unit, 5 + i, 0, NULL), 201);
    }
    f->jobs.script[0] = ACT_HANG;
    assert_int_equal(call(f, "POST", "/v1/generations", "{\"seed\":7,\"agent_steps\":10}", NULL), 201);
    for (int i = 0; i < 3; i++) assert_int_equal(fw_factory_tick(f->factory, &error), FW_OK);
    set(f, "{\"keep_days\":1}", 200);
    f->faults.skip_ns += DAYS(2);
    int64_t count = 0;
    assert_int_equal(fw_retention_apply(f->factory->catalogue, &f->factory->objects, f->config.env,
                                        &count, &error),
                     FW_OK);
    assert_int_equal(count, 0);
    sqlite3 *db = fw_catalogue_begin(f->factory->catalogue, &error);
    assert_int_equal(fw_db_run(db, &error, "UPDATE generations SET stage='done'", ""), FW_OK);
    assert_int_equal(fw_catalogue_end(f->factory->catalogue, FW_OK, &error), FW_OK);
    assert_int_equal(fw_retention_apply(f->factory->catalogue, &f->factory->objects, f->config.env,
                                        &count, &error),
                     FW_OK);
    assert_int_equal(count, 3);
    assert_int_equal(found(f, "state = kept and role = held_out"), 1);
}

/* Ended between the commit and the unlinking: the next start removes the file. */
static void a_crash_leaves_no_file_behind(void **state) {
    fixture *f = *state;
    fw_hash hash;
    char path[FW_PATH_MAX];
    fw_error error;
    assert_int_equal(put_one(f, "1", 5, 0, &hash), 201);
    sqlite3 *db = fw_catalogue_begin(f->factory->catalogue, &error);
    assert_int_equal(fw_db_run(db, &error, "UPDATE objects SET state='expired'", ""), FW_OK);
    assert_int_equal(fw_catalogue_end(f->factory->catalogue, FW_OK, &error), FW_OK);
    fw_objects_path(&f->factory->objects, hash.hex, path);
    assert_true(fw_file_exists(path));
    fixture_stop(f);
    fixture_start(f);
    assert_false(fw_file_exists(path));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(the_policy_is_kept_and_checked),
        TEST(age_decides_and_events_live_longer),
        TEST(over_the_cap_the_oldest_without_events_go),
        TEST(near_duplicates_go_only_when_told),
        TEST(what_is_needed_stays),
        TEST(a_crash_leaves_no_file_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
