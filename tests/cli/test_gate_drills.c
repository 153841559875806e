/* The short form of `flywheel gate drills`: every bad candidate made of synthetic streets, and refused for its reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../lines/synthetic_file.h"
#include "base/file.h"
#include "cli/gate_drill.h"
#include "lines/driving/act/policy.h"

enum { RECORDINGS = 9, HELD_OUT = 3, DRILLS = 11, STEPS = 2000 };

static const char *text(const json_t *row, const char *name) { return json_string_value(json_object_get(row, name)); }

/* What a drill's reason must say. */
static const struct {
    const char *drill, *says;
} wanted[DRILLS] = {{"same", "not shown to be better"},
                    {"stands", "way 0"},
                    {"flipped", "not "},
                    {"poisoned", "not "},
                    {"overfit", "not "},
                    {"offline-good", "not "},
                    {"noise", "not "},
                    {"corrupted", "not the file that was trained"},
                    {"cut", "no model for this line"},
                    {"schema", "version 1 of the features"},
                    {"slow", "decision time p99"}};

static void lay_out(fw_gate_ground *g, char paths[RECORDINGS][FW_PATH_MAX]) {
    char *bytes;
    size_t size;
    strcpy(g->folder, "/tmp/flywheel-drills-XXXXXX");
    assert_non_null(mkdtemp(g->folder));
    g->held_out = calloc(RECORDINGS, sizeof *g->held_out);
    g->train = calloc(RECORDINGS, sizeof *g->train);
    for (int i = 0; i < RECORDINGS; i++) {
        char name[24];
        snprintf(name, sizeof name, "%d.mcap", i);
        fw_path_join(paths[i], FW_PATH_MAX, g->folder, name);
        synthetic_file(paths[i], "car-1", 4 + 0.5f * (float)i);
        if (i < HELD_OUT) g->held_out[g->held_out_count++] = paths[i];
        else g->train[g->train_count++] = paths[i];
    }
    fw_path_join(g->champion, sizeof g->champion, g->folder, "idm");
    fw_path_join(g->trained, sizeof g->trained, g->folder, "trained");
    assert_int_equal(fw_policy_rule_file(FW_POLICY_IDM, &bytes, &size, NULL), FW_OK);
    assert_int_equal(fw_file_write_durable(fw_env_real(), g->champion, bytes, size, NULL), FW_OK);
    free(bytes);
}

static void test_all_are_refused_each_for_its_reason(void **state) {
    (void)state;
    static char paths[RECORDINGS][FW_PATH_MAX];
    fw_gate_ground g = {.seed = 1, .agent_steps = STEPS, .threads = 2};
    fw_error error = {""};
    json_t *rows = json_array(), *row = NULL;
    size_t i = 0;
    lay_out(&g, paths);
    if (fw_gate_train(&g, g.train, g.train_count, NULL, g.trained, &error) != FW_OK) fail_msg("%s", error.text);
    if (fw_gate_drill_all(&g, rows, &error) != FW_OK) fail_msg("%s", error.text);
    assert_int_equal(json_array_size(rows), DRILLS);
    json_array_foreach(rows, i, row) {
        assert_string_equal(text(row, "drill"), wanted[i].drill);
        if (!json_is_true(json_object_get(row, "held")) || !strstr(text(row, "reason"), wanted[i].says))
            fail_msg("%s: %s", wanted[i].drill, text(row, "reason"));
    }
    json_decref(rows);
    free(g.held_out);
    free(g.train);
    assert_int_equal(fw_folder_remove(g.folder, NULL), FW_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_are_refused_each_for_its_reason)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
