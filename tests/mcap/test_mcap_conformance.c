/* The official conformance vectors, where FLYWHEEL_DATA holds them (docs/data.md), through
 * fw-mcap-conformance: all 416 are read, streamed, mapped and through the index (the suite's own
 * indexed runners ask for 16 of them: messages, chunks and every index), and the 208 without
 * padding are written again, byte for byte. Skipped (77) where the vectors are absent. */
#include <dirent.h>
#include <unistd.h>

#include "conformance.h"

static char folder[1024];
static int vectors, indexed_by_suite, written;

static void check_vector(const char *path) {
    char json_path[2100];
    snprintf(json_path, sizeof json_path, "%.*sjson", (int)strlen(path) - 4, path);
    json_error_t where;
    json_t *whole = json_load_file(json_path, 0, &where);
    if (whole == NULL) fail_msg("%s: %s", json_path, where.text);
    check_reading(path, whole);
    vectors++;
    if (suite_runs_indexed(whole)) indexed_by_suite++;
    if (!has_feature(whole, "pad")) {
        check_writing(path, json_path);
        written++;
    }
    json_decref(whole);
}

static void check_folder(const char *name) {
    char path[2000];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    DIR *dir = opendir(path);
    if (dir == NULL) return;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        size_t size = strlen(e->d_name);
        if (size < 5 || strcmp(e->d_name + size - 5, ".mcap") != 0) continue;
        snprintf(path, sizeof path, "%s/%s/%s", folder, name, e->d_name);
        check_vector(path);
    }
    closedir(dir);
}

static void test_vectors(void **state) {
    (void)state;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (e->d_name[0] != '.') check_folder(e->d_name);
    }
    closedir(dir);
    print_message("%d vectors read, streamed, mapped and indexed (%d asked for by the suite's "
                  "indexed runners); %d written\n",
                  vectors, indexed_by_suite, written);
    assert_int_equal(vectors, 416);
    assert_int_equal(written, 208);
    assert_true(indexed_by_suite > 0);
}

int main(void) {
    const char *data_folder = getenv("FLYWHEEL_DATA");
    if (data_folder != NULL) snprintf(folder, sizeof folder, "%s/mcap-conformance", data_folder);
    if (data_folder == NULL || access(folder, R_OK) != 0) {
        fprintf(stderr, "skipped: no FLYWHEEL_DATA/mcap-conformance (docs/data.md)\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
