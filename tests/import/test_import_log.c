/* Imports that are large, repeated, interrupted or full of what a careless reader would change. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "import/import.h"
#include "import/log.h"
#include "mcap/mcap.h"

static char folder[] = "/tmp/fw_import_XXXXXX";

static fw_import_request request_of(const char *source) {
    return (fw_import_request){
        .source = source, .unit = "7", .line = "driving", .folder = folder};
}

/* Imports a CSV with this text; the file keeps its name, so that runs can be compared. */
static fw_status run_csv(const char *text, fw_import_result *made, fw_error *error) {
    char path[FW_PATH_MAX];
    fw_path_join(path, sizeof path, folder, "t.csv");
    assert_int_equal(fw_file_write_durable(fw_env_real(), path, text, strlen(text), error), FW_OK);
    fw_import_request request = request_of(path);
    return fw_import("csv", &request, made, error);
}

static void done(fw_import_result *made) {
    for (uint32_t i = 0; i < made->count; i++) unlink(made->files[i].path);
    fw_import_result_clear(made);
}

/* The first message of a recording as text. */
static void first_text(const fw_imported *file, char *out, size_t room) {
    fw_mcap_reader *reader;
    fw_mcap_message message;
    fw_error error;
    assert_int_equal(fw_mcap_reader_open_path(NULL, file->path, &reader, &error), FW_OK);
    assert_int_equal(fw_mcap_reader_next_message(reader, &message, &error), FW_OK);
    snprintf(out, room, "%.*s", (int)message.size_bytes, (const char *)message.data);
    fw_mcap_reader_close(reader);
}

static void numbers_keep_their_digits(void **state) {
    (void)state;
    fw_import_result made;
    fw_error error;
    char text[256];
    assert_int_equal(run_csv("t,id,x,zip,n,e\n1,1234567890123456789,0.12345678901234567,007,-0.50,"
                             "1e3\n", &made, &error), FW_OK);
    first_text(&made.files[0], text, sizeof text);
    assert_string_equal(text, "{\"id\":1234567890123456789,\"x\":0.12345678901234567,\"zip\":7,"
                              "\"n\":-0.50,\"e\":1e3}");
    done(&made);
}

static void text_that_is_no_utf8_is_told(void **state) {
    (void)state;
    fw_import_result made;
    fw_error error;
    assert_int_equal(run_csv("t,name\n1,Ada\n2,M\xfcller\n", &made, &error), FW_CORRUPT);
    assert_non_null(strstr(error.text, "row 3"));
    assert_non_null(strstr(error.text, "UTF-8"));
}

static void times_beyond_the_range(void **state) {
    (void)state;
    static const char *const texts[] = {"t,x\n9000000000,1\n", "t,x\n9e9,1\n"};
    char mapping[FW_PATH_MAX], source[FW_PATH_MAX];
    const char *json = "{\"time\":{\"column\":\"t\",\"unit\":\"s\",\"start\":\"2255-01-01T00:00:00Z\"},"
                       "\"channels\":[{\"topic\":\"/x\",\"fields\":{\"x\":\"x\"}}]}";
    fw_import_result made;
    fw_error error;
    fw_path_join(mapping, sizeof mapping, folder, "m.json");
    fw_path_join(source, sizeof source, folder, "t.csv");
    assert_int_equal(
        fw_file_write_durable(fw_env_real(), mapping, json, strlen(json), &error), FW_OK);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(fw_file_write_durable(fw_env_real(), source, texts[i], strlen(texts[i]),
                                               &error), FW_OK);
        fw_import_request request = request_of(source);
        request.mapping = mapping;
        assert_int_equal(fw_import("csv", &request, &made, &error), FW_CORRUPT);
        assert_non_null(strstr(error.text, "is no time"));
    }
}

/* Data that packs so well that a part's chunks are used up long before its bytes. */
static void data_that_packs_well_gets_parts(void **state) {
    (void)state;
    enum { COUNT = 600, SIZE = 1 << 20 };
    fw_import_request request = request_of("zeros");
    const fw_import_field field = {"zeros", "", FW_IMPORT_TEXT};
    fw_import_log *log = NULL;
    fw_import_result made;
    fw_error error;
    uint32_t id = 0;
    char *json = malloc(SIZE);
    assert_non_null(json);
    memset(json, '0', SIZE);
    memcpy(json, "{\"zeros\":\"", 10);
    memcpy(json + SIZE - 2, "\"}", 2);
    assert_int_equal(fw_import_log_open(&request, &log, &error), FW_OK);
    assert_int_equal(fw_import_log_channel(log, "/z", "z", &field, 1, &id, &error), FW_OK);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(fw_import_log_text(log, id, i, json, SIZE, &error), FW_OK);
    assert_int_equal(fw_import_log_end(log, &made, &error), FW_OK);
    fw_import_log_close(log);
    assert_int_equal(made.count, 2);
    assert_int_equal(made.messages, COUNT);
    assert_int_equal(made.files[0].messages + made.files[1].messages, COUNT);
    done(&made);
    free(json);
}

static void a_row_too_long_is_told(void **state) {
    (void)state;
    enum { FIELDS = FW_IMPORT_FIELDS_MAX };
    static char names[FIELDS][FW_IMPORT_NAME_MAX];
    fw_import_field fields[FIELDS];
    double values[FIELDS];
    fw_import_request request = request_of("wide");
    fw_import_log *log = NULL;
    fw_error error;
    uint32_t id = 0;
    for (int i = 0; i < FIELDS; i++) {
        memset(names[i], 'n', sizeof names[i] - 1);
        snprintf(names[i] + 80, 8, "%d", i);
        fields[i] = (fw_import_field){names[i], "", FW_IMPORT_NUMBER};
        values[i] = i / 7.0;
    }
    request.channels_max = 1;
    assert_int_equal(fw_import_log_open(&request, &log, &error), FW_OK);
    assert_int_equal(fw_import_log_channel(log, "/w", "w", fields, FIELDS, &id, &error), FW_OK);
    assert_int_equal(fw_import_log_channel(log, "/v", "w", fields, 1, &id, &error), FW_TOO_BIG);
    assert_int_equal(fw_import_log_numbers(log, id, 1, values, &error), FW_TOO_BIG);
    fw_import_log_close(log);
}

/* A second import of the same source that fails half-way takes nothing away from the first. */
static void a_failed_repeat_leaves_the_first(void **state) {
    (void)state;
    enum { COUNT = 40, SIZE = 1 << 20 };
    const fw_import_field field = {"a", "", FW_IMPORT_TEXT};
    fw_import_request request = request_of("noise");
    fw_import_result made = {0};
    fw_error error;
    char *json = malloc(SIZE);
    assert_non_null(json);
    for (int round = 0; round < 2; round++) {
        fw_import_log *log = NULL;
        uint32_t id = 0, seed = 1;
        assert_int_equal(fw_import_log_open(&request, &log, &error), FW_OK);
        assert_int_equal(fw_import_log_channel(log, "/a", "a", &field, 1, &id, &error), FW_OK);
        for (int i = 0; i < COUNT; i++) {
            for (int k = 0; k < SIZE; k++) json[k] = (char)((seed = seed * 1664525 + 1013904223) >> 24);
            assert_int_equal(fw_import_log_text(log, id, i, json, SIZE, &error), FW_OK);
        }
        if (round == 0) assert_int_equal(fw_import_log_end(log, &made, &error), FW_OK);
        fw_import_log_close(log); /* the second time with one part made and no end */
    }
    assert_int_equal(made.count, 2);
    for (uint32_t i = 0; i < made.count; i++)
        assert_int_equal(access(made.files[i].path, F_OK), 0);
    done(&made);
    free(json);
}

static void an_interrupted_import_leaves_nothing(void **state) {
    (void)state;
    volatile sig_atomic_t interrupted = 1;
    char path[FW_PATH_MAX];
    fw_import_result made;
    fw_error error;
    fw_path_join(path, sizeof path, folder, "t.csv");
    assert_int_equal(fw_file_write_durable(fw_env_real(), path, "t,x\n1,2\n", 8, &error), FW_OK);
    fw_import_request request = request_of(path);
    request.interrupted = &interrupted;
    assert_int_equal(fw_import("csv", &request, &made, &error), FW_INTERRUPTED);
    assert_int_equal(made.count, 0);
    interrupted = 0;
    assert_int_equal(fw_import("csv", &request, &made, &error), FW_OK);
    done(&made);
}

static void a_folder_is_no_file(void **state) {
    (void)state;
    fw_import_request request = request_of(folder);
    fw_import_result made;
    fw_error error;
    assert_int_not_equal(fw_import("csv", &request, &made, &error), FW_OK);
    assert_non_null(strstr(error.text, "directory"));
}

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    fw_error error;
    return fw_folder_remove(folder, &error) == FW_OK ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_keep_their_digits),
        cmocka_unit_test(text_that_is_no_utf8_is_told),
        cmocka_unit_test(times_beyond_the_range),
        cmocka_unit_test(data_that_packs_well_gets_parts),
        cmocka_unit_test(a_row_too_long_is_told),
        cmocka_unit_test(a_failed_repeat_leaves_the_first),
        cmocka_unit_test(an_interrupted_import_leaves_nothing),
        cmocka_unit_test(a_folder_is_no_file),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
