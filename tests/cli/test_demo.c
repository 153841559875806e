/* The conductor's parts: its children, their lines, and its exams with a scripted examiner. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/demo.h"

static char folder[32];

static int make_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/fw-demo-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    return fw_folder_remove(folder, NULL) == FW_OK ? 0 : -1;
}

static void in_folder(const char *name, char path[FW_PATH_MAX]) {
    fw_path_join(path, FW_PATH_MAX, folder, name);
}

/* Starts `sh -c script` as a child. */
static fw_child start_shell(const char *script, bool lines, const char *out_path) {
    char log[FW_PATH_MAX];
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    fw_child child;
    in_folder("log", log);
    fw_child_spec spec = {.name = "shell", .argv = argv, .log_path = log, .lines = lines,
                          .out_path = out_path};
    assert_int_equal(fw_child_start(&spec, &child, NULL), FW_OK);
    return child;
}

static void wait_end(fw_child *child) {
    for (int i = 0; i < 1000 && fw_child_running(child); i++) usleep(10000);
    assert_int_equal(child->pid, 0);
}

static void children_say_how_they_ended(void **state) {
    (void)state;
    char log[FW_PATH_MAX], words[80];
    fw_child good = start_shell("exit 0", false, NULL);
    wait_end(&good);
    assert_true(fw_child_succeeded(&good));
    fw_child bad = start_shell("echo first >&2; echo the port is busy >&2; exit 3", false, NULL);
    wait_end(&bad);
    assert_false(fw_child_succeeded(&bad));
    in_folder("log", log);
    fw_child_last_words(log, words, sizeof words);
    assert_string_equal(words, "the port is busy");
}

static void a_child_that_will_not_stop_is_killed(void **state) {
    (void)state;
    fw_child child = start_shell("trap '' TERM; echo up; while :; do sleep 0.05; done", true, NULL);
    fw_demo_lines *lines = calloc(1, sizeof *lines);
    json_t *none = NULL;
    /* "up" is no JSON, but its coming says that the trap is set */
    fw_status status = FW_TIMEOUT;
    for (int i = 0; i < 100 && status == FW_TIMEOUT; i++)
        status = fw_demo_lines_next(lines, child.out_fd, 100, &none, NULL);
    assert_int_equal(status, FW_CORRUPT);
    fw_child_stop(&child, SIGTERM, 200);
    assert_int_equal(child.pid, 0);
    assert_int_equal(child.in_fd, -1);
    free(lines);
}

static void lines_come_whole(void **state) {
    (void)state;
    fw_child child = start_shell("read word; printf '{\"event\":\"%s\"}\\n{\"a\":' \"$word\"; "
                                 "sleep 0.1; printf '1}\\n'", true, NULL);
    fw_demo_lines *lines = calloc(1, sizeof *lines);
    json_t *object = NULL;
    assert_int_equal(fw_demo_lines_next(lines, child.out_fd, 10, &object, NULL), FW_TIMEOUT);
    assert_int_equal(fw_demo_lines_tell(child.in_fd, "hello", NULL), FW_OK);
    fw_status status = FW_TIMEOUT;
    while (status == FW_TIMEOUT)
        status = fw_demo_lines_next(lines, child.out_fd, 100, &object, NULL);
    assert_int_equal(status, FW_OK);
    assert_string_equal(json_string_value(json_object_get(object, "event")), "hello");
    json_decref(object);
    for (status = FW_TIMEOUT; status == FW_TIMEOUT;)
        status = fw_demo_lines_next(lines, child.out_fd, 100, &object, NULL);
    assert_int_equal(status, FW_OK);
    assert_int_equal(json_integer_value(json_object_get(object, "a")), 1);
    json_decref(object);
    for (status = FW_TIMEOUT; status == FW_TIMEOUT;)
        status = fw_demo_lines_next(lines, child.out_fd, 100, &object, NULL);
    assert_int_equal(status, FW_CLOSED);
    wait_end(&child);
    free(lines);
}

/* An examiner that fails its first call, and counts them. */
static fw_demo_exams *scripted_examiner(const char *script) {
    fw_demo_exams *exams = calloc(1, sizeof *exams);
    assert_non_null(exams);
    in_folder("examiner", exams->program);
    assert_int_equal(fw_file_write_durable(fw_env_real(), exams->program, script, strlen(script),
                                           NULL), FW_OK);
    assert_int_equal(chmod(exams->program, 0700), 0);
    snprintf(exams->store, sizeof exams->store, "%s", folder);
    snprintf(exams->logs, sizeof exams->logs, "%s", folder);
    exams->drives = 80, exams->drives_per_run = 8, exams->workers = 2;
    return exams;
}

static fw_status pump_all(fw_demo_exams *exams, fw_error *error) {
    bool all_done = false;
    fw_status status = FW_OK;
    for (int i = 0; i < 1000 && !all_done && status == FW_OK; i++) {
        status = fw_demo_exams_pump(exams, &all_done, error);
        usleep(10000);
    }
    return status;
}

static void exams_are_done_once_and_again_after_a_failure(void **state) {
    (void)state;
    fw_error error;
    fw_demo_exams *exams = scripted_examiner(
        "#!/bin/sh\ncase \"$*\" in *pasubio*) [ -e \"$0.tried\" ] || { : >\"$0.tried\"; exit 1; } ;; "
        "esac\necho \"{\\\"network\\\":\\\"$5\\\",\\\"runs\\\":\\\"${11}\\\"}\"\n");
    fw_demo_add_exams(exams, "a.model", NULL, true, false);
    fw_demo_add_exams(exams, "a.model", "again", true, true); /* found: stays in its turn */
    fw_demo_add_exams(exams, "sumo", "sumo", false, false);
    assert_int_equal(exams->count, 6);
    assert_int_equal(pump_all(exams, &error), FW_OK);
    assert_int_equal(exams->done, 6);
    assert_true(fw_demo_exams_idle(exams));
    json_t *evals = fw_demo_evals(exams, "a.model");
    assert_int_equal(json_array_size(json_object_get(evals, "eval")), 2);
    assert_int_equal(json_array_size(json_object_get(evals, "eval_guarded")), 2);
    const json_t *first = json_array_get(json_object_get(evals, "eval"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "network")), "acosta");
    assert_string_equal(json_string_value(json_object_get(first, "runs")), "10");
    json_decref(evals);
    fw_demo_exams_stop(exams);
    free(exams);
}

static void late_exams_wait_for_all_others(void **state) {
    (void)state;
    fw_error error;
    char out[FW_PATH_MAX], *text = NULL;
    size_t size = 0;
    fw_demo_exams *exams = scripted_examiner("#!/bin/sh\necho \"$3\" >>\"$0.order\"\necho '{}'\n");
    exams->workers = 1;
    fw_demo_add_exams(exams, "rule", "idm", false, true);
    fw_demo_add_exams(exams, "newest", NULL, false, false);
    assert_false(fw_demo_exams_only_late(exams));
    assert_int_equal(pump_all(exams, &error), FW_OK);
    assert_true(fw_demo_exams_only_late(exams));
    in_folder("examiner.order", out);
    assert_int_equal(fw_file_read(out, 1000, &text, &size, NULL), FW_OK);
    assert_int_equal(size, strlen("newest\nnewest\nrule\nrule\n"));
    assert_memory_equal(text, "newest\nnewest\nrule\nrule\n", size);
    free(text);
    /* one that is found takes the label it lacks, and its turn */
    fw_demo_add_exams(exams, "newest", "constant", false, true);
    assert_int_equal(exams->count, 4);
    assert_string_equal(exams->list[2].label, "constant");
    assert_false(exams->list[2].late);
    fw_demo_add_exams(exams, "rule", NULL, false, false);
    assert_false(exams->list[0].late);
    fw_demo_exams_stop(exams);
    free(exams);
}

static json_t *eval_of(const char *network, double low, double clean, double high, double brakes) {
    return json_pack("{s:s, s:f, s:f, s:f, s:f, s:f, s:i, s:i, s:f}", "network", network, "clean",
                     clean, "clean_low", low, "clean_high", high, "clean_cluster_low", low - 0.2,
                     "clean_cluster_high", high + 0.2, "drives", 320, "runs", 10,
                     "hard_brakes_per_km", brakes);
}

static json_t *row_of(double clean) {
    return json_pack("{s:[o], s:[o]}", "eval",
                     eval_of("acosta", clean - 0.05, clean, clean + 0.05, clean), "eval_guarded",
                     eval_of("acosta", clean - 0.05, clean, clean + 0.05, clean));
}

static void claims_are_computed_by_both_intervals(void **state) {
    (void)state;
    char *text = NULL;
    size_t size = 0;
    json_t *report = json_pack("{s:[o,o], s:{s:o, s:o, s:o}}", "generations", row_of(0.25),
                               row_of(0.75), "baselines", "constant", row_of(0.5), "untrained",
                               row_of(0.9), "idm", row_of(0.8));
    FILE *out = open_memstream(&text, &size);
    fw_demo_print_table(out, report);
    fclose(out);
    assert_non_null(strstr(text, "resampled over 10 simulation runs"));
    assert_non_null(strstr(text, "0.750 [0.700 0.800] {0.500 1.000}  320"));
    assert_non_null(strstr(text, "alone against generation 0: apart over drives (low 0.700 > high "
                                 "0.300), not apart over runs ([0.500 1.000] and [0.000 0.500])"));
    assert_non_null(strstr(text, "against constant guarded: apart over drives"));
    assert_non_null(strstr(text, "against untrained guarded: apart, and worse, over drives (high "
                                 "0.800 < low 0.850)"));
    assert_non_null(strstr(text, "both alone: not apart over drives ([0.750 0.850] and [0.700 "));
    assert_non_null(strstr(text, "alone: idm 0.800, last generation 0.750\n"));
    assert_non_null(strstr(text, "pasubio  last generation alone against generation 0: not examined"));
    free(text);
    json_decref(report);
}

static void an_examiner_that_fails_twice_ends_it(void **state) {
    (void)state;
    fw_error error = {""};
    fw_demo_exams *exams = scripted_examiner("#!/bin/sh\necho '[]'\n");
    fw_demo_exams_add(exams, "a.model", NULL, "acosta", false);
    assert_int_equal(pump_all(exams, &error), FW_IO);
    assert_non_null(strstr(error.text, "a.model"));
    assert_true(fw_demo_exams_idle(exams));
    fw_demo_exams_stop(exams);
    free(exams);
}

static void seeds_of_phases_differ_and_stay_exact_in_json(void **state) {
    (void)state;
    for (uint32_t i = 1; i < 50; i++) {
        assert_true(fw_demo_phase_seed(1, i) < UINT64_C(1) << 31);
        assert_true(fw_demo_phase_seed(1, i) != fw_demo_phase_seed(1, i + 1));
        assert_true(fw_demo_phase_seed(1, i) != fw_demo_phase_seed(2, i));
    }
}

static void vetoes_are_shared_out_by_model(void **state) {
    (void)state;
    fw_demo *demo = calloc(1, sizeof *demo);
    demo->veto_by_model = json_pack("{s:{s:i,s:i}, s:{s:i,s:i}}", "a", "ticks", 100, "vetoes", 50,
                                    "b", "ticks", 300, "vetoes", 30);
    assert_true(fw_demo_veto_share(demo, "a") == 0.5);
    assert_true(fw_demo_veto_share(demo, "b") == 0.1);
    assert_true(fw_demo_veto_share(demo, NULL) == 0.2);
    assert_true(fw_demo_veto_share(demo, "c") == 0);
    json_decref(demo->veto_by_model);
    free(demo);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(children_say_how_they_ended, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_child_that_will_not_stop_is_killed, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(lines_come_whole, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(exams_are_done_once_and_again_after_a_failure, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(late_exams_wait_for_all_others, make_folder, remove_folder),
        cmocka_unit_test(claims_are_computed_by_both_intervals),
        cmocka_unit_test_setup_teardown(an_examiner_that_fails_twice_ends_it, make_folder,
                                        remove_folder),
        cmocka_unit_test(seeds_of_phases_differ_and_stay_exact_in_json),
        cmocka_unit_test(vetoes_are_shared_out_by_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
