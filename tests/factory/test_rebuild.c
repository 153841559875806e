/* The catalogue made again from the objects: the same answers, whatever was lost of the old one. */
#include "drives.h"

#include "factory/catalogue/rebuild.h"

static const drive drives[] = {
    {.unit = "7", .x_m = 3.4, .speed_mps = 11.3, .seconds = 30, .brakes = 2, .start_ns = 1000},
    {.unit = "8", .x_m = 3.4, .speed_mps = 11.3, .seconds = 30, .start_ns = 500}, /* as the first */
    {.unit = "9", .form = "scene", .x_m = -100, .speed_mps = 3, .seconds = 12, .brakes = 1},
    {.unit = "7", .campaign = "wet", .x_m = 900, .speed_mps = 20, .seconds = 15, .brakes = 4},
};
enum { DRIVES = sizeof drives / sizeof *drives };

/* With a clock that was wrong by an hour, for one of them. */
static int put_with_clock(fixture *f, const drive *d) {
    static uint8_t bytes[MCAP_MAX];
    char clock[300];
    size_t size = make_drive(bytes, d);
    fw_hash hash = fw_hash_bytes(bytes, size);
    int64_t now_ns = fw_env_wall_ns(f->config.env), hour_ns = 3600000000000LL;
    snprintf(clock, sizeof clock,
             "boot=abc-1; start-mono=5000000000; start-wall=%lld; sent-mono=15000000000; "
             "sent-wall=%lld",
             (long long)(now_ns - hour_ns - 10000000000LL), (long long)(now_ns - hour_ns));
    headers h = {{"Flywheel-Unit", "Flywheel-Kind", "Flywheel-Clock"},
                 {d->unit, "recording", clock}};
    fw_http_response r = put_cut(f, hash.hex, bytes, size, size, h);
    free(r.body);
    return r.status;
}

static void prepare(fixture *f) {
    add_champion(f, "generation 0");
    for (int i = 0; i < DRIVES; i++)
        assert_int_equal(i == 2 ? put_with_clock(f, &drives[i])
                                : put_drive(f, drives[i].unit, &drives[i], NULL),
                         201);
}

static const char *const questions[] = {
    "",
    "duplicate_of != none",
    "unit = 7 and event = hard_brake and max(/ego.speed_mps) > 10 and near(100, 0, 50)",
    "form = scene and moved_s > 3000",
    "boot = abc-1",
    "campaign = wet and count(hard_brake) = 4 and size(/ego) > 10",
    "state = expired",
    "generation = 1",
};
enum { QUESTIONS = sizeof questions / sizeof *questions };

static void ask_all(fixture *f, char *answers[QUESTIONS]) {
    for (int i = 0; i < QUESTIONS; i++) {
        fw_http_response r = ask_raw(f, "GET", "/v1/query",
                                     (const char *const[]){"q", questions[i], NULL}, NULL);
        assert_int_equal(r.status, 200);
        answers[i] = strndup(r.body, r.body_bytes);
        free(r.body);
    }
}

static void expect_same(fixture *f, char *answers[QUESTIONS]) {
    char *now[QUESTIONS];
    ask_all(f, now);
    for (int i = 0; i < QUESTIONS; i++) {
        assert_string_equal(now[i], answers[i]);
        free(now[i]);
        free(answers[i]);
    }
}

static fw_rebuild_report rebuild(fixture *f) {
    fw_rebuild_report report;
    fw_error error = {""};
    fixture_stop(f);
    if (fw_rebuild(f->config.env, f->data, &any_line, &report, &error) != FW_OK)
        fail_msg("%s", error.text);
    fixture_start(f);
    return report;
}

static fw_check_report check(fixture *f, bool deep) {
    fw_check_report report;
    fw_error error = {""};
    fixture_stop(f);
    if (fw_catalogue_check(f->config.env, f->data, &any_line, deep, &report, &error) != FW_OK)
        fail_msg("%s", error.text);
    fixture_start(f);
    return report;
}

static void in_catalogue(fixture *f, const char *end, char path[140]) {
    snprintf(path, 140, "%s/catalogue.sqlite%s", f->data, end);
}

static void the_same_answers_byte_for_byte(void **state) {
    fixture *f = *state;
    char *answers[QUESTIONS];
    json_t *models[2], *events[2];
    prepare(f);
    ask_all(f, answers);
    assert_non_null(strstr(answers[1], "\"count\":1"));
    assert_non_null(strstr(answers[3], "\"count\":1"));
    assert_int_equal(call(f, "GET", "/v1/models", NULL, &models[0]), 200);
    assert_int_equal(call(f, "GET", "/v1/events", NULL, &events[0]), 200);
    fw_rebuild_report r = rebuild(f);
    assert_int_equal(r.objects, DRIVES + 1);
    assert_int_equal(r.recordings, DRIVES);
    assert_int_equal(r.broken + r.expired + r.erased, 0);
    assert_true(r.had_old);
    expect_same(f, answers);
    assert_int_equal(call(f, "GET", "/v1/models", NULL, &models[1]), 200);
    assert_int_equal(call(f, "GET", "/v1/events", NULL, &events[1]), 200);
    assert_true(json_equal(models[0], models[1]) && json_equal(events[0], events[1]));
    for (int i = 0; i < 2; i++) json_decref(models[i]), json_decref(events[i]);
    drive more = {.unit = "7", .seconds = 3, .speed_mps = 1}; /* sequences go on */
    assert_int_equal(put_drive(f, "7", &more, NULL), 201);
    char text[40];
    snprintf(text, sizeof text, "sequence = %d", DRIVES + 2);
    assert_int_equal(found(f, text), 1);
}

static void without_the_old_catalogue_too(void **state) {
    fixture *f = *state;
    char *answers[QUESTIONS], path[140];
    prepare(f);
    ask_all(f, answers);
    fixture_stop(f);
    const char *const ends[] = {"", "-wal", "-shm"};
    for (int i = 0; i < 3; i++) {
        in_catalogue(f, ends[i], path);
        unlink(path);
    }
    fw_factory *factory; /* an empty catalogue beside these objects is not taken for theirs */
    fw_error error;
    assert_int_equal(fw_factory_open(&f->config, &factory, &error), FW_CORRUPT);
    assert_non_null(strstr(error.text, "flywheel catalogue rebuild"));
    for (int i = 0; i < 3; i++) {
        in_catalogue(f, ends[i], path);
        unlink(path);
    }
    fw_rebuild_report r;
    assert_int_equal(fw_rebuild(f->config.env, f->data, &any_line, &r, &error), FW_OK);
    assert_false(r.had_old);
    fixture_start(f);
    expect_same(f, answers);
}

static void a_damaged_catalogue_is_replaced(void **state) {
    fixture *f = *state;
    char *answers[QUESTIONS], path[140];
    prepare(f);
    ask_all(f, answers);
    fixture_stop(f);
    in_catalogue(f, "", path);
    FILE *file = fopen(path, "r+b");
    for (int i = 0; i < 3000; i++) fputs("no database ", file);
    fclose(file);
    fw_rebuild_report r;
    fw_error error;
    assert_int_equal(fw_rebuild(f->config.env, f->data, &any_line, &r, &error), FW_OK);
    assert_false(r.had_old);
    fixture_start(f);
    expect_same(f, answers);
}

static void expired_ones_keep_their_rows(void **state) {
    fixture *f = *state;
    char *answers[QUESTIONS];
    prepare(f);
    f->factory->ingest.disk_cap_bytes = 1;
    fw_error error;
    assert_int_equal(fw_ingest_make_room(&f->factory->ingest, 0, &error), FW_NO_SPACE);
    assert_true(found(f, "state = expired") > 0);
    ask_all(f, answers);
    assert_true(rebuild(f).expired > 0);
    expect_same(f, answers);
}

static void the_check_sees_every_difference(void **state) {
    fixture *f = *state;
    fw_check_report r;
    char path[FW_PATH_MAX], other[FW_PATH_MAX];
    fw_hash hash;
    fw_error error;
    prepare(f);
    drive d = {.unit = "7", .seconds = 4, .speed_mps = 1};
    assert_int_equal(put_drive(f, "7", &d, &hash), 201);
    r = check(f, true);
    assert_true(fw_check_equal(&r));
    assert_int_equal(r.objects, DRIVES + 2);
    fw_objects_path(&f->factory->objects, hash.hex, path);
    snprintf(other, sizeof other, "%s/kept", f->folder);
    assert_int_equal(rename(path, other), 0);
    r = check(f, false);
    assert_int_equal(r.missing, 1);
    assert_false(fw_check_equal(&r));
    assert_int_equal(rename(other, path), 0);
    sqlite3 *db = fw_catalogue_begin(f->factory->catalogue, &error);
    assert_int_equal(fw_db_run(db, &error, "UPDATE fields SET max=max+1 WHERE recording=?", "t",
                               hash.hex),
                     FW_OK);
    assert_int_equal(fw_catalogue_end(f->factory->catalogue, FW_OK, &error), FW_OK);
    r = check(f, false);
    assert_true(fw_check_equal(&r));
    r = check(f, true);
    assert_true(r.differing > 0);
    (void)rebuild(f);
    r = check(f, true);
    assert_true(fw_check_equal(&r));
}

/* A crash between the ledger and the commit: the line goes, the upload is taken again. */
static void a_line_without_its_commit_is_cut_off(void **state) {
    fixture *f = *state;
    char path[140];
    fw_hash hash;
    fw_error error;
    prepare(f);
    drive d = {.unit = "7", .seconds = 4, .speed_mps = 1};
    assert_int_equal(put_drive(f, "7", &d, &hash), 201);
    sqlite3 *db = fw_catalogue_begin(f->factory->catalogue, &error); /* as if it never committed */
    assert_int_equal(fw_recordings_delete(db, hash.hex, &error), FW_OK);
    assert_int_equal(fw_db_run(db, &error, "DELETE FROM objects WHERE sha256=?", "t", hash.hex),
                     FW_OK);
    assert_int_equal(fw_catalogue_end(f->factory->catalogue, FW_OK, &error), FW_OK);
    fixture_stop(f);
    snprintf(path, sizeof path, "%s/objects/ledger.ndjson", f->data);
    FILE *file = fopen(path, "ab"); /* and a torn line behind it */
    fputs("{\"v\":1,\"sequence\":99,", file);
    fclose(file);
    fixture_start(f);
    fw_check_report r = check(f, true);
    assert_true(fw_check_equal(&r));
    assert_int_equal(r.unacked, 1);
    assert_int_equal(put_drive(f, "7", &d, NULL), 201);
    r = check(f, true);
    assert_true(fw_check_equal(&r));
    assert_int_equal(r.unacked, 0);
}

/* A catalogue brought back from before more uploads than one commit takes: no receipt is cut off. */
static void an_old_catalogue_beside_a_newer_ledger_is_refused(void **state) {
    fixture *f = *state;
    uint8_t bytes[MCAP_MAX];
    char command[400];
    fw_error error;
    assert_int_equal(put(f, "1", bytes, make_mcap(bytes, 1, 0)), 201);
    fixture_stop(f);
    snprintf(command, sizeof command, "cp %s/catalogue.sqlite %s/old", f->data, f->folder);
    assert_int_equal(system(command), 0);
    fixture_start(f);
    for (int i = 0; i < FW_INGEST_GROUP_MAX + 1; i++)
        assert_int_equal(put(f, "1", bytes, make_mcap(bytes, 100 + i, 0)), 201);
    fixture_stop(f);
    snprintf(command, sizeof command, "cp %s/old %s/catalogue.sqlite", f->folder, f->data);
    assert_int_equal(system(command), 0);
    assert_int_equal(fw_factory_open(&f->config, &f->factory, &error), FW_CORRUPT);
    assert_non_null(strstr(error.text, "flywheel catalogue rebuild"));
    fw_rebuild_report report;
    assert_int_equal(fw_rebuild(f->config.env, f->data, f->config.line, &report, &error), FW_OK);
    fixture_start(f);
    assert_int_equal(status_number(f, "recordings"), FW_INGEST_GROUP_MAX + 2);
}

/* Every write and flush of one upload failed once: what was acked is in the ledger, once. */
static void no_failing_write_breaks_the_pair(void **state) {
    fixture *f = *state;
    prepare(f);
    for (unsigned n = 1; n <= 12; n++) {
        drive d = {.unit = "7", .seconds = 4 + (int)n, .speed_mps = 1};
        f->faults.calls = 0, f->faults.fail_at = n, f->faults.fail_errno = EIO;
        (void)put_drive(f, "7", &d, NULL);
        f->faults.fail_at = 0;
        int status = put_drive(f, "7", &d, NULL);
        assert_true(status == 201 || status == 200);
    }
    fw_check_report r = check(f, true);
    assert_true(fw_check_equal(&r));
    assert_int_equal(r.objects, DRIVES + 1 + 12);
}

static void it_waits_for_nobody(void **state) {
    fixture *f = *state;
    fw_rebuild_report r;
    fw_error error;
    assert_int_equal(fw_rebuild(f->config.env, f->data, &any_line, &r, &error), FW_BUSY);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(the_same_answers_byte_for_byte),       TEST(without_the_old_catalogue_too),
        TEST(a_damaged_catalogue_is_replaced),      TEST(expired_ones_keep_their_rows),
        TEST(the_check_sees_every_difference),      TEST(a_line_without_its_commit_is_cut_off),
        TEST(an_old_catalogue_beside_a_newer_ledger_is_refused),
        TEST(no_failing_write_breaks_the_pair),     TEST(it_waits_for_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
