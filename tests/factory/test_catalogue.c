/* The catalogue's versions: new, same, older, newer, foreign, broken. */
#include "fixture.h"

#include "factory/catalogue/catalogue.h"

static char folder[64], path[96];

static int make(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/fw_catalogue_XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/catalogue.sqlite", folder);
    return 0;
}
static int clean(void **state) {
    (void)state;
    fw_error error;
    return fw_folder_remove(folder, &error) == FW_OK ? 0 : -1;
}

static void script(const char *sql) {
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static int64_t number(fw_catalogue *catalogue, const char *sql) {
    int64_t value = -1;
    fw_error error;
    sqlite3 *db = fw_catalogue_read(catalogue);
    assert_int_equal(fw_db_int(db, &error, &value, sql, ""), FW_OK);
    fw_catalogue_read_end(catalogue);
    return value;
}

static void a_new_one_is_durable_and_reopens(void **state) {
    (void)state;
    fw_catalogue *catalogue;
    fw_error error;
    assert_int_equal(fw_catalogue_open(path, &catalogue, &error), FW_OK);
    assert_int_equal(number(catalogue, "PRAGMA user_version"), fw_catalogue_version());
    assert_int_equal(number(catalogue, "PRAGMA synchronous"), 2); /* FULL */
    sqlite3 *db = fw_catalogue_begin(catalogue, &error);
    assert_non_null(db);
    assert_int_equal(fw_catalogue_end(catalogue, fw_setting_set(db, "a", "b", &error), &error),
                     FW_OK);
    fw_catalogue_close(catalogue);
    char value[8];
    assert_int_equal(fw_catalogue_open(path, &catalogue, &error), FW_OK);
    assert_int_equal(fw_setting_get(fw_catalogue_read(catalogue), "a", value, sizeof value, &error),
                     FW_OK);
    fw_catalogue_read_end(catalogue);
    assert_string_equal(value, "b");
    fw_catalogue_close(catalogue);
}

static void a_failed_transaction_leaves_nothing(void **state) {
    (void)state;
    fw_catalogue *catalogue;
    fw_error error;
    assert_int_equal(fw_catalogue_open(path, &catalogue, &error), FW_OK);
    uint64_t changes = fw_catalogue_changes(catalogue);
    sqlite3 *db = fw_catalogue_begin(catalogue, &error);
    assert_int_equal(fw_setting_set(db, "a", "b", &error), FW_OK);
    assert_int_equal(fw_catalogue_end(catalogue, FW_IO, &error), FW_IO);
    assert_int_equal(number(catalogue, "SELECT count(*) FROM settings"), 0);
    assert_int_equal(fw_catalogue_changes(catalogue), changes);
    fw_catalogue_close(catalogue);
}

static void a_newer_one_is_refused_and_untouched(void **state) {
    (void)state;
    fw_catalogue *catalogue;
    fw_error error;
    fw_hash before, after;
    script("PRAGMA application_id=0x4657484c; PRAGMA user_version=99; CREATE TABLE t(a)");
    assert_int_equal(fw_hash_file(path, &before, &error), FW_OK);
    assert_int_equal(fw_catalogue_open(path, &catalogue, &error), FW_UNSUPPORTED);
    assert_non_null(strstr(error.text, "99"));
    assert_non_null(strstr(error.text, "newer"));
    assert_int_equal(fw_hash_file(path, &after, &error), FW_OK);
    assert_string_equal(before.hex, after.hex);
}

static void a_foreign_or_broken_one_is_refused(void **state) {
    (void)state;
    fw_catalogue *catalogue;
    fw_error error;
    script("CREATE TABLE somebody_elses(a)");
    assert_int_equal(fw_catalogue_open(path, &catalogue, &error), FW_UNSUPPORTED);
    assert_non_null(strstr(error.text, "no catalogue of Flywheel"));
    write_text(path, "this was never a database, and it is long enough to be read as one. "
                     "this was never a database, and it is long enough to be read as one.");
    assert_int_equal(fw_catalogue_open(path, &catalogue, &error), FW_CORRUPT);
}

static void an_older_one_is_migrated_in_one_piece(void **state) {
    (void)state;
    fw_catalogue *catalogue;
    fw_error error;
    const char *const one[] = {"CREATE TABLE cars(name TEXT); INSERT INTO cars VALUES('a')"};
    const char *const two[] = {one[0], "ALTER TABLE cars ADD COLUMN wheels INTEGER DEFAULT 4"};
    const char *const bad[] = {one[0], two[1],
                               "CREATE TABLE half(a); INSERT INTO nowhere VALUES(1)"};
    assert_int_equal(fw_catalogue_open_with(path, one, 1, &catalogue, &error), FW_OK);
    fw_catalogue_close(catalogue);
    assert_int_equal(fw_catalogue_open_with(path, bad, 3, &catalogue, &error), FW_IO);
    assert_int_equal(fw_catalogue_open_with(path, two, 2, &catalogue, &error), FW_OK);
    assert_int_equal(number(catalogue, "PRAGMA user_version"), 2);
    assert_int_equal(number(catalogue, "SELECT sum(wheels) FROM cars"), 4);
    assert_int_equal(number(catalogue, "SELECT count(*) FROM sqlite_master WHERE name='half'"), 0);
    fw_catalogue_close(catalogue);
    assert_int_equal(fw_catalogue_open_with(path, one, 1, &catalogue, &error), FW_UNSUPPORTED);
}

static void one_serve_per_folder(void **state) {
    fixture *f = *state;
    fw_factory *second = NULL;
    fw_error error;
    assert_int_equal(fw_factory_open(&f->config, &second, &error), FW_BUSY);
    assert_non_null(strstr(error.text, "in use by another flywheel serve"));
    assert_null(second);
}

static void a_question_holds_nobody_up(void **state) {
    (void)state;
    fw_catalogue *catalogue;
    fw_error error;
    int64_t count = -1;
    sqlite3 *asked, *db;
    const char *sql = "SELECT count(*) FROM settings";
    assert_int_equal(fw_catalogue_open(path, &catalogue, &error), FW_OK);
    assert_int_equal(fw_catalogue_ask(catalogue, &asked, &error), FW_OK);
    assert_int_equal(fw_db_int(asked, &error, &count, sql, ""), FW_OK);
    assert_int_equal(count, 0);
    db = fw_catalogue_begin(catalogue, &error); /* would wait for ever on the same lock */
    assert_non_null(db);
    assert_int_equal(fw_catalogue_end(catalogue, fw_setting_set(db, "a", "b", &error), &error),
                     FW_OK);
    assert_int_equal(fw_db_int(asked, &error, &count, sql, ""), FW_OK);
    assert_int_equal(count, 0); /* as of when it was asked */
    assert_int_equal(fw_db_script(asked, &error, "DELETE FROM settings"), FW_DENIED);
    fw_catalogue_ask_end(catalogue);
    assert_int_equal(fw_catalogue_ask(catalogue, &asked, &error), FW_OK);
    assert_int_equal(fw_db_int(asked, &error, &count, sql, ""), FW_OK);
    assert_int_equal(count, 1);
    fw_catalogue_ask_end(catalogue);
    fw_catalogue_close(catalogue);
}

static void an_endless_question_ends(void **state) {
    (void)state;
    fw_catalogue *catalogue;
    fw_error error;
    int64_t count = -1;
    sqlite3 *asked;
    assert_int_equal(fw_catalogue_open(path, &catalogue, &error), FW_OK);
    fw_catalogue_ask_limit(catalogue, 1000000);
    assert_int_equal(fw_catalogue_ask(catalogue, &asked, &error), FW_OK);
    assert_int_equal(fw_db_int(asked, &error, &count,
                               "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) "
                               "SELECT count(*) FROM n",
                               ""),
                     FW_TOO_BIG);
    assert_non_null(strstr(error.text, "narrow it"));
    fw_catalogue_ask_end(catalogue);
    fw_catalogue_ask_limit(catalogue, 10000000000);
    assert_int_equal(fw_catalogue_ask(catalogue, &asked, &error), FW_OK);
    assert_int_equal(fw_db_int(asked, &error, &count, "SELECT count(*) FROM settings", ""), FW_OK);
    fw_catalogue_ask_end(catalogue);
    fw_catalogue_close(catalogue);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, clean)
    const struct CMUnitTest tests[] = {
        TEST(a_new_one_is_durable_and_reopens),
        TEST(a_failed_transaction_leaves_nothing),
        TEST(a_newer_one_is_refused_and_untouched),
        TEST(a_foreign_or_broken_one_is_refused),
        TEST(an_older_one_is_migrated_in_one_piece),
        TEST(a_question_holds_nobody_up),
        TEST(an_endless_question_ends),
        cmocka_unit_test_setup_teardown(one_serve_per_folder, fixture_open, fixture_close),
    };
    return cmocka_run_group_tests_name("catalogue", tests, NULL, NULL);
}
