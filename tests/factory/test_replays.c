/* Replays of a generation: kept when the gate's result is taken, served, and let go when they are old. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "factory/generations/generation_row.h"
#include "factory/generations/replays.h"

static char folder[FW_PATH_MAX];
static fw_generations g;

static int open_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/fw-replays-XXXXXX");
    assert_non_null(mkdtemp(folder));
    g = (fw_generations){.data_folder = folder};
    return 0;
}

static int close_folder(void **state) {
    fw_error error;
    (void)state;
    return fw_folder_remove(folder, &error) != FW_OK;
}

static void job_writes(int64_t generation, const char *text, size_t size_bytes) {
    char path[FW_PATH_MAX];
    fw_error error;
    fw_generation_folder(&g, generation, path);
    assert_int_equal(fw_folder_make(path, 0755, &error), FW_OK);
    fw_generation_file(&g, generation, "replays.json", path);
    assert_int_equal(fw_file_write_durable(fw_env_real(), path, text, size_bytes, &error), FW_OK);
}

static void kept_and_let_go(void **state) {
    char *json = NULL;
    fw_error error;
    (void)state;
    assert_int_equal(fw_replays_json(&g, 1, &json, &error), FW_NOT_FOUND);
    fw_replays_keep(&g, 1); /* the job wrote none */
    assert_int_equal(fw_replays_json(&g, 1, &json, &error), FW_NOT_FOUND);
    for (int64_t n = 1; n <= FW_REPLAYS_KEPT + 1; n++) {
        char text[32];
        int size = snprintf(text, sizeof text, "{\"generation\":%lld}", (long long)n);
        job_writes(n, text, (size_t)size);
        fw_replays_keep(&g, n);
    }
    assert_int_equal(fw_replays_json(&g, 1, &json, &error), FW_NOT_FOUND);
    assert_int_equal(fw_replays_json(&g, 2, &json, &error), FW_OK);
    assert_string_equal(json, "{\"generation\":2}");
    free(json);
}

static void too_big_is_left(void **state) {
    char *json = NULL, *text = calloc(1, FW_REPLAYS_MAX_BYTES + 1);
    fw_error error;
    (void)state;
    assert_non_null(text);
    job_writes(9, text, FW_REPLAYS_MAX_BYTES + 1);
    fw_replays_keep(&g, 9);
    assert_int_equal(fw_replays_json(&g, 9, &json, &error), FW_NOT_FOUND);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(kept_and_let_go, open_folder, close_folder),
        cmocka_unit_test_setup_teardown(too_big_is_left, open_folder, close_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
