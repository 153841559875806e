/* Campaigns in the factory: launched, listed, handed to units, ended in three ways, estimated. */
#include <math.h>

#include "drives.h"

/* ---- a line with two signals whose recordings all replay the same minute ---- */

static const char *const names[] = {"/a.x", "/a.y"};
static const fw_campaign_signals signals = {"driving", names, 2};
static int64_t *clock_skip; /* each replay takes replay_takes_ns */
static int64_t replay_takes_ns;

/* 600 ticks; /a.x is 1 in three of them from 10, 30 and 50 s on. */
static fw_status replay_minute(const char *path, fw_line_tick tick, void *self, fw_error *error) {
    if (!fw_file_exists(path)) return fw_fail(error, FW_NOT_FOUND, "no such recording");
    *clock_skip += replay_takes_ns;
    for (int i = 0; i < 600; i++) {
        double row[2] = {i % 200 >= 100 && i % 200 <= 102, NAN};
        if (!tick(self, row, 7000000000LL + i * 100000000LL)) break;
    }
    return FW_OK;
}

static fw_factory_line line; /* made in open */

static int open_factory(void **state) {
    fixture_open(state);
    fixture *f = *state;
    line = any_line;
    line.signals = &signals;
    line.replay = replay_minute;
    clock_skip = &f->faults.skip_ns;
    replay_takes_ns = 0;
    fixture_stop(f);
    f->config.line = &line;
    fixture_start(f);
    return 0;
}

/* ---- calls ---- */

static json_t *post(fixture *f, const char *path, const char *body, int want_status) {
    json_t *json;
    int status = call(f, "POST", path, body, &json);
    if (status != want_status)
        fail_msg("%s %s: %d %s", path, body, status, json_string_value(json_object_get(json, "error")));
    return json;
}

static void add(fixture *f, const char *id, const char *rest) {
    char body[600];
    snprintf(body, sizeof body, "{\"id\":\"%s\",\"when\":\"rising(/a.x)\"%s}", id, rest);
    json_decref(post(f, "/v1/campaigns", body, 201));
}

static json_t *get(fixture *f, const char *path) {
    json_t *json;
    if (call(f, "GET", path, NULL, &json) != 200) fail_msg("%s is not there", path);
    return json;
}

static const char *text_at(const json_t *json, const char *name) {
    const char *text = json_string_value(json_object_get(json, name));
    return text ? text : "";
}

/* The version told to a unit with its report. */
static void version(fixture *f, const char *unit, char out[20]) {
    char path[60];
    snprintf(path, sizeof path, "/v1/units/%s/report", unit);
    json_t *json = post(f, path, "{}", 200);
    assert_non_null(json_object_get(json, "target"));
    snprintf(out, 20, "%s", text_at(json, "campaigns"));
    json_decref(json);
}

/* Ids of a unit's list, joined; its version must be the one told with a report. */
static const char *ids_of(fixture *f, const char *unit) {
    static char out[2000];
    char path[60], told[20];
    size_t at;
    json_t *item;
    *out = '\0';
    snprintf(path, sizeof path, "/v1/units/%s/campaigns", unit);
    json_t *json = get(f, path);
    json_array_foreach(json_object_get(json, "campaigns"), at, item)
        snprintf(out + strlen(out), sizeof out - strlen(out), "%s ", text_at(item, "id"));
    version(f, unit, told);
    assert_string_equal(text_at(json, "version"), told);
    json_decref(json);
    return out;
}

static void assert_state(fixture *f, const char *id, const char *state, const char *why) {
    char path[100];
    snprintf(path, sizeof path, "/v1/campaigns/%s", id);
    json_t *json = get(f, path);
    assert_string_equal(text_at(json, "state"), state);
    assert_string_equal(text_at(json, "why"), why);
    assert_int_equal(json_is_integer(json_object_get(json, "ended_ns")), *why != '\0');
    json_decref(json);
}

static void pass_s(fixture *f, int64_t seconds) {
    f->faults.skip_ns += seconds * 1000000000;
}

/* A capture arrives; its bytes. */
static int64_t capture(fixture *f, const char *unit, const char *campaign, int seed) {
    static uint8_t bytes[MCAP_MAX];
    drive d = {.unit = unit, .campaign = campaign, .seconds = 20, .seed = seed, .noise_m = 3,
               .start_ns = seed * 100000000000LL};
    size_t size = make_drive(bytes, &d);
    assert_int_equal(put(f, unit, bytes, size), 201);
    return (int64_t)size;
}

/* ---- launching and ending ---- */

static void test_add_show_end(void **state) {
    fixture *f = *state;
    json_t *json = post(f, "/v1/campaigns",
                        "{ \"id\" : \"hard-brakes\", \"when\":\"/a.x > 0.5\", \"before_s\": 0.1 }",
                        201);
    assert_string_equal(text_at(json, "id"), "hard-brakes");
    assert_string_equal(text_at(json, "state"), "open");
    assert_int_equal(json_integer_value(json_object_get(json, "captures")), 0);
    const json_t *own = json_object_get(json, "campaign");
    assert_string_equal(text_at(own, "when"), "/a.x > 0.5");
    assert_true(json_real_value(json_object_get(own, "before_s")) == 0.1);
    json_decref(json);
    assert_string_equal(ids_of(f, "0"), "hard-brakes ");

    json_decref(post(f, "/v1/campaigns/hard-brakes/end", NULL, 200));
    assert_state(f, "hard-brakes", "ended", "person");
    assert_string_equal(ids_of(f, "0"), "");
    json_decref(post(f, "/v1/campaigns/hard-brakes/end", NULL, 200)); /* again: as it was */
    json_decref(post(f, "/v1/campaigns/other/end", NULL, 404));
    assert_int_equal(call(f, "GET", "/v1/campaigns/other", NULL, &json), 404);
    json_decref(json);
    /* an id is used once */
    json_decref(post(f, "/v1/campaigns", "{\"id\":\"hard-brakes\",\"when\":\"/a.x\"}", 409));

    json = get(f, "/v1/log");
    assert_string_equal(text_at(json_array_get(json, 0), "text"),
                        "campaign hard-brakes ended, by a person: 0 captures, 0 bytes");
    assert_string_equal(text_at(json_array_get(json, 1), "text"), "campaign hard-brakes launched");
    json_decref(json);
}

static void test_refused(void **state) {
    fixture *f = *state;
    static const struct {
        const char *body, *error;
        int status;
    } rows[] = {
        {"", "no JSON", 400},
        {"{\"id\":\"c\",\"when\":\"/a.z > 1\"}",
         "when: column 1: unknown signal /a.z; did you mean /a.x?", 400},
        {"{\"id\":\"c\",\"when\":\"/a.x\",\"expires_ns\":1000}", "expires_ns: this is in the past", 400},
        {"{\"id\":\"c\",\"when\":\"/a.x\",\"line\":\"city\"}", "line: want driving", 400},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *json = post(f, "/v1/campaigns", rows[i].body, rows[i].status);
        assert_non_null(strstr(text_at(json, "error"), rows[i].error));
        json_decref(json);
        json = post(f, "/v1/campaigns/estimate", rows[i].body, rows[i].status);
        assert_non_null(strstr(text_at(json, "error"), rows[i].error));
        json_decref(json);
    }
    json_t *json = get(f, "/v1/campaigns");
    assert_int_equal(json_array_size(json), 0);
    json_decref(json);
    assert_int_equal(call(f, "GET", "/v1/units/a b/campaigns", NULL, &json), 400);
    json_decref(json);
}

static void test_too_many_are_open(void **state) {
    fixture *f = *state;
    char id[20], body[100];
    for (int i = 0; i < FW_CAMPAIGNS_OPEN_MAX; i++) {
        snprintf(id, sizeof id, "c%d", i);
        add(f, id, "");
    }
    snprintf(body, sizeof body, "{\"id\":\"more\",\"when\":\"/a.x\"}");
    json_decref(post(f, "/v1/campaigns", body, 409));
    json_decref(post(f, "/v1/campaigns/c7/end", NULL, 200));
    json_decref(post(f, "/v1/campaigns", body, 201));
}

static void test_a_line_without_signals(void **state) {
    fixture *f = *state;
    line.signals = NULL;
    json_decref(post(f, "/v1/campaigns", "{\"id\":\"c\",\"when\":\"/a.x\"}", 422));
    assert_string_equal(ids_of(f, "0"), "");
}

/* ---- what units are told ---- */

static void test_units_lists(void **state) {
    fixture *f = *state;
    char none[20], before[20], after[20], other[20];
    version(f, "7", none);
    assert_string_equal(none, "none");
    add(f, "all", ",\"priority\":10");
    add(f, "some", ",\"priority\":90,\"units\":[\"0\",\"7\"]");
    add(f, "one", ",\"units\":[\"7\"]");
    add(f, "same", "");
    assert_string_equal(ids_of(f, "7"), "some one same all ");
    assert_string_equal(ids_of(f, "0"), "some same all ");
    assert_string_equal(ids_of(f, "77"), "same all ");
    version(f, "7", before);
    version(f, "0", other);
    assert_string_not_equal(before, other);
    json_decref(post(f, "/v1/campaigns/one/end", NULL, 200));
    version(f, "7", after);
    assert_string_not_equal(before, after);
    assert_string_equal(after, other); /* the same list */
    fixture_stop(f); /* and after a restart */
    fixture_start(f);
    version(f, "7", other);
    assert_string_equal(after, other);
}

static void test_a_unit_gets_the_most_urgent(void **state) {
    fixture *f = *state;
    for (int i = 0; i < FW_CAMPAIGNS_MAX + 3; i++) {
        char id[20], rest[60];
        snprintf(id, sizeof id, "c%d", i);
        snprintf(rest, sizeof rest, ",\"priority\":%d", i);
        add(f, id, rest);
    }
    const char *ids = ids_of(f, "0");
    assert_true(strncmp(ids, "c18 c17 ", 8) == 0);
    assert_non_null(strstr(ids, " c3 "));
    assert_null(strstr(ids, "c2 "));
}

/* ---- captures, budgets, expiry ---- */

static void test_captures_are_counted(void **state) {
    fixture *f = *state;
    add(f, "c", "");
    add(f, "d", "");
    int64_t bytes = capture(f, "1", "c", 1) + capture(f, "2", "c", 2) + capture(f, "2", "c", 3);
    capture(f, "2", "d", 4);
    capture(f, "2", NULL, 5);
    json_t *json = get(f, "/v1/campaigns/c");
    assert_int_equal(json_integer_value(json_object_get(json, "captures")), 3);
    assert_int_equal(json_integer_value(json_object_get(json, "captured_bytes")), bytes);
    assert_int_equal(json_integer_value(json_object_get(json, "captured_units")), 2);
    assert_true(json_integer_value(json_object_get(json, "last_capture_ns")) > 0);
    json_decref(json);
    json = get(f, "/v1/campaigns"); /* newest first */
    assert_string_equal(text_at(json_array_get(json, 0), "id"), "d");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(json, 0), "captures")), 1);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(json, 1), "captures")), 3);
    json_decref(json);
}

static void test_budgets_end_it(void **state) {
    fixture *f = *state;
    add(f, "count", ",\"budget_count\":2");
    add(f, "bytes", ",\"budget_bytes\":500");
    assert_string_equal(ids_of(f, "0"), "count bytes ");
    capture(f, "1", "count", 1);
    assert_state(f, "count", "open", "");
    capture(f, "2", "count", 2);
    assert_true(capture(f, "2", "bytes", 3) >= 500);
    pass_s(f, 2); /* the list in memory is at most a second old */
    assert_string_equal(ids_of(f, "0"), "");
    assert_state(f, "count", "ended", "budget");
    assert_state(f, "bytes", "ended", "budget");
    json_decref(post(f, "/v1/campaigns/count/end", NULL, 200));
    assert_state(f, "count", "ended", "budget");
}

static void test_expiry_ends_it(void **state) {
    fixture *f = *state;
    char rest[80];
    int64_t now_ns = fw_env_wall_ns(f->config.env);
    snprintf(rest, sizeof rest, ",\"expires_ns\":%lld", (long long)now_ns + 60000000000LL);
    add(f, "c", rest);
    pass_s(f, 50);
    assert_string_equal(ids_of(f, "0"), "c ");
    pass_s(f, 20);
    assert_string_equal(ids_of(f, "0"), "");
    assert_state(f, "c", "ended", "expired");
    pass_s(f, -60); /* a clock that was set back opens nothing again */
    assert_state(f, "c", "ended", "expired");
}

/* ---- estimates ---- */

static double number_at(const json_t *json, const char *name) {
    const json_t *value = json_object_get(json, name);
    if (!value) fail_msg("no %s", name);
    return json_is_null(value) ? (double)NAN : json_number_value(value);
}

static void assert_near(double a, double b) {
    if (!(fabs(a - b) <= 1e-6 * fabs(b))) fail_msg("%g is not %g", a, b);
}

static json_t *estimate(fixture *f, const char *rest) {
    char body[300];
    snprintf(body, sizeof body, "{\"id\":\"c\",\"when\":\"/a.x\"%s}", rest);
    return post(f, "/v1/campaigns/estimate", body, 200);
}

static void test_estimate_of_nothing(void **state) {
    fixture *f = *state;
    json_t *json = estimate(f, "");
    assert_int_equal(number_at(json, "recordings_looked_at"), 0);
    assert_true(isnan(number_at(json, "bytes_per_unit_hour")));
    assert_true(isnan(number_at(json, "bytes_expected")));
    assert_non_null(strstr(text_at(json, "text"), "nothing to look at"));
    json_decref(json);
}

/* Captures do not count, whole drives do, of both roles. */
static void test_estimate(void **state) {
    fixture *f = *state;
    char unused[20], rest[100];
    capture(f, "1", "other", 9);
    double bytes = (double)(capture(f, "1", NULL, 1) + capture(f, "3", NULL, 2));
    double hours = 2 * 59.9 / 3600;
    version(f, "1", unused), version(f, "2", unused), version(f, "3", unused);

    json_t *json = estimate(f, "");
    assert_int_equal(number_at(json, "recordings_looked_at"), 2);
    assert_near(number_at(json, "hours_looked_at"), hours);
    assert_int_equal(number_at(json, "triggers"), 6);
    assert_near(number_at(json, "captures_per_unit_hour"), 6 / hours);
    /* [0, 15.2] [20, 35.2] [40, 55.2] of 59.9 s */
    assert_near(number_at(json, "bytes_per_unit_hour"), bytes * 45.6 / 59.9 / hours);
    assert_int_equal(number_at(json, "units"), 3);
    assert_true(isnan(number_at(json, "bytes_expected"))); /* it never ends */
    assert_true(json_is_true(json_object_get(json, "complete")));
    json_decref(json);

    json = estimate(f, ",\"before_s\":20"); /* [0, 15.2] [10, 35.2] [30, 55.2] */
    assert_near(number_at(json, "captures_per_unit_hour"), 6 / hours);
    assert_near(number_at(json, "bytes_per_unit_hour"), bytes * 65.6 / 59.9 / hours);
    json_decref(json);

    json = estimate(f, ",\"after_s\":25"); /* one goes on: [0, 59.9] */
    assert_near(number_at(json, "captures_per_unit_hour"), 2 / hours);
    assert_near(number_at(json, "bytes_per_unit_hour"), bytes / hours);
    json_decref(json);

    json = estimate(f, ",\"before_s\":0,\"after_s\":20,\"cooldown_s\":30,\"sample\":0.25");
    assert_int_equal(number_at(json, "triggers"), 4); /* 10 and 50 s, cut at the end: 59.9 */
    assert_near(number_at(json, "bytes_per_unit_hour"), bytes * 29.9 / 59.9 / hours / 4);
    json_decref(json);

    int64_t now_ns = fw_env_wall_ns(f->config.env);
    snprintf(rest, sizeof rest, ",\"units\":[\"2\",\"9\"],\"expires_ns\":%lld",
             (long long)now_ns + 7200000000000LL);
    json = estimate(f, rest);
    assert_int_equal(number_at(json, "units"), 1);
    assert_true(fabs(number_at(json, "hours_expected") - 2) < 0.01);
    assert_true(fabs(number_at(json, "captures_expected") / (2 * 6 / hours) - 1) < 0.01);
    json_decref(json);

    json = estimate(f, ",\"budget_bytes\":1000000,\"budget_count\":100000");
    assert_near(number_at(json, "bytes_expected"), 1e6);
    json_decref(json);
    json = estimate(f, ",\"budget_count\":100");
    assert_near(number_at(json, "captures_expected"), 100);
    assert_near(number_at(json, "hours_expected"), 100 / (3 * 6 / hours));
    json_decref(json);

    pass_s(f, 120); /* nobody is there */
    json = estimate(f, "");
    assert_int_equal(number_at(json, "units"), 0);
    assert_non_null(strstr(text_at(json, "text"), "no unit"));
    json_decref(json);
}

static void test_estimate_never_triggers(void **state) {
    fixture *f = *state;
    char unused[20];
    capture(f, "1", NULL, 1);
    version(f, "1", unused);
    json_t *json = post(f, "/v1/campaigns/estimate",
                        "{\"id\":\"c\",\"when\":\"/a.y\",\"budget_bytes\":1000}", 200);
    assert_int_equal(number_at(json, "triggers"), 0);
    assert_true(number_at(json, "bytes_expected") == 0);
    json_decref(json);
}

static void test_estimate_stops_in_time(void **state) {
    fixture *f = *state;
    for (int i = 1; i <= 6; i++) capture(f, "1", NULL, i);
    replay_takes_ns = 1500000000;
    json_t *json = estimate(f, "");
    assert_int_equal(number_at(json, "recordings_looked_at"), 3); /* 1.5, 3.0, 4.5 s */
    assert_true(json_is_false(json_object_get(json, "complete")));
    json_decref(json);
}

/* ---- a disk that is full ---- */

static void test_a_full_disk_keeps_the_list(void **state) {
    fixture *f = *state;
    add(f, "c", ",\"budget_count\":1");
    capture(f, "1", "c", 1);
    assert_string_equal(ids_of(f, "0"), "c "); /* looked at less than a second ago */
    sqlite3 *db = fw_catalogue_read(f->factory->catalogue);
    sqlite3_exec(db, "PRAGMA query_only=1", NULL, NULL, NULL);
    fw_catalogue_read_end(f->factory->catalogue);
    pass_s(f, 2);
    json_t *json = get(f, "/v1/units/0/campaigns");
    assert_int_equal(json_array_size(json_object_get(json, "campaigns")), 1);
    json_decref(json);
    db = fw_catalogue_read(f->factory->catalogue);
    sqlite3_exec(db, "PRAGMA query_only=0", NULL, NULL, NULL);
    fw_catalogue_read_end(f->factory->catalogue);
    pass_s(f, 2);
    assert_string_equal(ids_of(f, "0"), "");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_factory, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(test_add_show_end),
        TEST(test_refused),
        TEST(test_too_many_are_open),
        TEST(test_a_line_without_signals),
        TEST(test_units_lists),
        TEST(test_a_unit_gets_the_most_urgent),
        TEST(test_captures_are_counted),
        TEST(test_budgets_end_it),
        TEST(test_expiry_ends_it),
        TEST(test_estimate_of_nothing),
        TEST(test_estimate),
        TEST(test_estimate_never_triggers),
        TEST(test_estimate_stops_in_time),
        TEST(test_a_full_disk_keeps_the_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
