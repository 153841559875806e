/* Data folders that earlier programs wrote (tests/factory/upgrade): format 2 through its API, format 1
 * the same without the columns that format 2 added. This program opens them, all is there, and a
 * rebuild of the catalogue says the same. */
#include "drives.h"

#include <sys/stat.h>

#include "factory/line.h"
#include "factory/catalogue/rebuild.h"

#define EXPIRED "06386769e81aea2908239c07ae9e4d16c248cc75c5f837aea55b30d37701cf01"
#define EVENTFUL "16f944595d075d6e9f016a2c364ae0f5fab6c61802f9e47594e1810956c6b9c5"
#define QUIET "82e2bb2ea983eea7f72defabc949afc91418e1960567e8c9f21f08a14ffd348f"
#define CHAMPION "6229042e43b02cbb87960ce6ded0a7ae8ce59ca812b51916985205855618c468"
#define FIRST_MODEL "5a7d58d6c1bc09f86ef6b437f1b0077acb62f148f881ff5a5db5e3a1c390638a"
#define MANIFEST "2434bf81b1c5da440a678499ef474002adec4ff37b3c7308425b124e0180b04d"

static const char *const kept[] = {EVENTFUL, QUIET, CHAMPION, FIRST_MODEL, MANIFEST};

/* ---- the folder ---- */

static char *read_whole(const char *path, size_t *size) {
    char *bytes;
    fw_error error = {""};
    if (fw_file_read(path, 1 << 20, &bytes, size, &error) != FW_OK) fail_msg("%s", error.text);
    return bytes;
}

static void catalogue_path(const fixture *f, char out[140]) {
    snprintf(out, 140, "%s/catalogue.sqlite", f->data);
}

static void put_object(const fixture *f, const char *sha256) {
    char from[FW_PATH_MAX], to[FW_PATH_MAX];
    size_t size;
    fw_error error = {""};
    snprintf(from, sizeof from, "%s/tests/factory/upgrade/objects/%s", FW_SOURCE_DIR, sha256);
    snprintf(to, sizeof to, "%s/objects/%.2s", f->data, sha256);
    assert_int_equal(fw_folder_make(to, 0755, &error), FW_OK);
    snprintf(to, sizeof to, "%s/objects/%.2s/%s", f->data, sha256, sha256);
    char *bytes = read_whole(from, &size);
    assert_int_equal(fw_file_write_durable(fw_env_real(), to, bytes, size, &error), FW_OK);
    free(bytes);
}

static void load_sql(const fixture *f, int format) {
    char path[FW_PATH_MAX], *message = NULL;
    size_t size;
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/tests/factory/upgrade/format_%d.sql", FW_SOURCE_DIR, format);
    char *sql = read_whole(path, &size);
    char to[140];
    catalogue_path(f, to);
    assert_int_equal(sqlite3_open(to, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK) fail_msg("%s", message);
    sqlite3_close(db);
    free(sql);
}

/* The data folder as the program of that format left it; no factory runs. */
static void write_folder(fixture *f, int format) {
    fw_error error = {""};
    char folder[140];
    if (f->factory) fixture_stop(f);
    assert_int_equal(fw_folder_remove(f->data, &error), FW_OK);
    snprintf(folder, sizeof folder, "%s/objects", f->data);
    assert_int_equal(fw_folder_make(f->data, 0755, &error), FW_OK);
    assert_int_equal(fw_folder_make(folder, 0755, &error), FW_OK);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) put_object(f, kept[i]);
    load_sql(f, format);
}

static int setup(void **state) {
    fixture_open(state);
    fixture *f = *state;
    f->config.line = &fw_line_driving;
    return 0;
}

/* ---- what is there ---- */

static json_t *list(fixture *f, const char *path, size_t count) {
    json_t *json;
    assert_int_equal(call(f, "GET", path, NULL, &json), 200);
    assert_int_equal(json_array_size(json), count);
    return json;
}

static const char *text_at(const json_t *rows, size_t at, const char *name) {
    const char *text = json_string_value(json_object_get(json_array_get(rows, at), name));
    return text ? text : "";
}

static int64_t number_at(const json_t *rows, size_t at, const char *name) {
    return json_integer_value(json_object_get(json_array_get(rows, at), name));
}

static void expect_recordings(fixture *f) {
    json_t *rows = list(f, "/v1/recordings", 3); /* newest first */
    assert_string_equal(text_at(rows, 0, "sha256"), QUIET);
    assert_string_equal(text_at(rows, 1, "sha256"), EVENTFUL);
    assert_string_equal(text_at(rows, 2, "sha256"), EXPIRED);
    assert_string_equal(text_at(rows, 2, "state"), "expired");
    assert_string_equal(text_at(rows, 1, "unit"), "8");
    assert_string_equal(text_at(rows, 1, "role"), "train");
    assert_int_equal(number_at(rows, 0, "messages"), 162);
    assert_int_equal(number_at(rows, 0, "generation"), 1);
    assert_int_equal(number_at(rows, 1, "received_ns"), 1795306404715619672);
    json_decref(rows);
    rows = list(f, "/v1/events", 2);
    assert_string_equal(text_at(rows, 0, "kind"), "impact");
    assert_string_equal(text_at(rows, 1, "kind"), "hard_brake");
    assert_string_equal(text_at(rows, 1, "recording"), EVENTFUL);
    json_decref(rows);
}

static void expect_rest(fixture *f) {
    json_t *rows = list(f, "/v1/models", 2), *json;
    for (size_t i = 0; i < 2; i++)
        assert_true(strcmp(text_at(rows, i, "hash"), CHAMPION) == 0 ||
                    strcmp(text_at(rows, i, "hash"), FIRST_MODEL) == 0);
    json_decref(rows);
    rows = list(f, "/v1/generations", 2);
    json_decref(rows);
    assert_int_equal(call(f, "GET", "/v1/generations/1", NULL, &json), 200);
    assert_string_equal(json_string_value(json_object_get(json, "stage")), "done");
    assert_int_equal(json_integer_value(json_object_get(json, "recordings")), 3);
    json_decref(json);
    assert_int_equal(call(f, "GET", "/v1/generations/1/curve", NULL, &json), 200);
    assert_int_equal(json_array_size(json_object_get(json, "points")), 0);
    json_decref(json);
    rows = list(f, "/v1/units", 2);
    assert_int_equal(number_at(rows, 1, "tick"), 9);
    json_decref(rows);
    json_decref(list(f, "/v1/log", 2));
    assert_int_equal(call(f, "POST", "/v1/units/7/report", "{}", &json), 200);
    assert_string_equal(json_string_value(json_object_get(json, "target")), CHAMPION);
    json_decref(json);
}

/* What any format could answer. */
static void expect_answers(fixture *f) {
    assert_int_equal(found(f, ""), 3);
    assert_int_equal(found(f, "unit = 7"), 2);
    assert_int_equal(found(f, "event = hard_brake"), 1);
    assert_int_equal(found(f, "state = expired"), 1);
    assert_int_equal(found(f, "generation = 1"), 3);
    assert_int_equal(found(f, "generation = 1 and role = train"), 1);
    assert_int_equal(found(f, "form = drive and line = driving"), 3);
    assert_int_equal(found(f, "duplicate_of != none"), 0);
}

static void expect_objects(fixture *f) {
    char path[120];
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        snprintf(path, sizeof path, "/v1/objects/%s", kept[i]);
        fw_http_response r = ask_raw(f, "GET", path, NULL, NULL);
        assert_int_equal(r.status, 200);
        assert_true(fw_file_exists(r.file_path));
    }
    fw_http_response gone = ask_raw(f, "GET", "/v1/objects/" EXPIRED, NULL, NULL);
    assert_int_equal(gone.status, 410);
    free(gone.body);
}

static void expect_all(fixture *f) {
    expect_recordings(f);
    expect_answers(f);
    expect_objects(f);
    expect_rest(f);
}

/* A repeated upload of what the old program took: its old receipt; a new one goes on counting. */
static void expect_receipts(fixture *f) {
    char path[FW_PATH_MAX];
    size_t size;
    snprintf(path, sizeof path, "%s/tests/factory/upgrade/objects/%s", FW_SOURCE_DIR, EVENTFUL);
    char *bytes = read_whole(path, &size);
    fw_http_response r = put_cut(f, EVENTFUL, bytes, size, size, unit_headers("8"));
    assert_int_equal(r.status, 200);
    json_t *json = json_loadb(r.body, r.body_bytes, 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(json, "sequence")), 2);
    assert_int_equal(json_integer_value(json_object_get(json, "server_time_ns")),
                     1795306404715619672);
    json_decref(json);
    free(r.body);
    free(bytes);
}

static void rebuild(fixture *f) {
    fw_rebuild_report report;
    fw_error error = {""};
    if (f->factory) fixture_stop(f);
    if (fw_rebuild(f->config.env, f->data, f->config.line, &report, &error) != FW_OK)
        fail_msg("%s", error.text);
    assert_int_equal(report.recordings, 3);
    assert_int_equal(report.broken, 0);
    fixture_start(f);
}

static void expect_equal(fixture *f, bool deep) {
    fw_check_report report;
    fw_error error = {""};
    fixture_stop(f);
    if (fw_catalogue_check(f->config.env, f->data, f->config.line, deep, &report, &error) != FW_OK)
        fail_msg("%s", error.text);
    assert_true(fw_check_equal(&report));
    fixture_start(f);
}

static char *answer_of(fixture *f, const char *q) {
    fw_http_response r =
        ask_raw(f, "GET", "/v1/query", (const char *const[]){"q", q, NULL}, NULL);
    assert_int_equal(r.status, 200);
    char *text = strndup(r.body, r.body_bytes);
    free(r.body);
    return text;
}

/* ---- tests ---- */

static void older_folders_open_and_answer(void **state) {
    fixture *f = *state;
    for (int format = 1; format <= 2; format++) {
        write_folder(f, format);
        fixture_start(f);
        expect_all(f);
        expect_receipts(f);
        expect_equal(f, false); /* the ledger of what came before there was one */
        expect_all(f);
    }
}

/* Figures, topics and places of old recordings are found by a rebuild; all else is as it was. */
static void a_rebuild_says_the_same_and_more(void **state) {
    fixture *f = *state;
    for (int format = 1; format <= 2; format++) {
        write_folder(f, format);
        fixture_start(f);
        rebuild(f);
        expect_all(f);
        assert_int_equal(found(f, "size(/ego) > 0"), 2);
        expect_equal(f, true);
        char *one = answer_of(f, "");
        rebuild(f);
        char *other = answer_of(f, "");
        assert_string_equal(one, other);
        free(one);
        free(other);
    }
}

static void a_rebuild_opens_an_older_folder_itself(void **state) {
    fixture *f = *state;
    for (int format = 1; format <= 2; format++) {
        write_folder(f, format);
        rebuild(f);
        expect_all(f);
        expect_equal(f, true);
    }
}

static void a_newer_format_is_refused_and_untouched(void **state) {
    fixture *f = *state;
    char path[140], sql[60], ledger[140];
    fw_hash before, after;
    fw_error error = {""};
    fw_rebuild_report report;
    sqlite3 *db;
    write_folder(f, 2);
    catalogue_path(f, path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    snprintf(sql, sizeof sql, "PRAGMA user_version=%d", fw_catalogue_version() + 1);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(fw_hash_file(path, &before, &error), FW_OK);
    assert_int_equal(fw_factory_open(&f->config, &f->factory, &error), FW_UNSUPPORTED);
    assert_non_null(strstr(error.text, "newer"));
    assert_int_equal(fw_rebuild(f->config.env, f->data, f->config.line, &report, &error),
                     FW_UNSUPPORTED);
    assert_int_equal(fw_hash_file(path, &after, &error), FW_OK);
    assert_string_equal(before.hex, after.hex);
    snprintf(ledger, sizeof ledger, "%s/objects/ledger.ndjson", f->data);
    assert_false(fw_file_exists(ledger));
}

int main(void) {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, fixture_close)
    const struct CMUnitTest tests[] = {
        T(older_folders_open_and_answer),
        T(a_rebuild_says_the_same_and_more),
        T(a_rebuild_opens_an_older_folder_itself),
        T(a_newer_format_is_refused_and_untouched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
