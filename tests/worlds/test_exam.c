/* The examiner: figures against sums done by hand, a fixed set of drives, and a store that hands
 * out nothing made under other conditions. The world is a fake one. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/confine.h"
#include "base/statistics.h"
#include "fake_world.h"
#include "lines/driving/act/policy.h"
#include "worlds/exam/compare.h"
#include "worlds/exam/jobs.h"
#include "worlds/exam/publish.h"

static char folder[32], model_path[64];

static int make_folder(void **state) {
    (void)state;
    char *bytes = NULL;
    size_t size = 0;
    snprintf(folder, sizeof folder, "/tmp/fw-exam-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(model_path, sizeof model_path, "%s/model", folder);
    assert_int_equal(fw_policy_rule_file(FW_POLICY_CONSTANT, &bytes, &size, NULL), FW_OK);
    assert_int_equal(fw_file_write_durable(fw_env_real(), model_path, bytes, size, NULL), FW_OK);
    free(bytes);
    memset(&fake, 0, sizeof fake);
    fake.desync_car = FW_WORLD_CARS_MAX;
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    return fw_folder_remove(folder, NULL) == FW_OK ? 0 : -1;
}

static double figure(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

static bool near(double a, double b) { return fabs(a - b) < 1e-6; }

static void figures_are_sums_of_drives(void **state) {
    (void)state;
    fw_exam_config config = {.network = "acosta", .policy = "x", .drives = 4, .cars = 2, .runs = 2};
    fw_exam_run sums[2] = {0};
    fw_exam_add(&sums[0], &(fw_drive_result){.ticks = 600, .distance_m = 500, .jerk_rms_mps3 = 2,
                                             .listed_junction = true});
    fw_exam_add(&sums[0], &(fw_drive_result){.ticks = 200, .distance_m = 100, .collision = true,
                                             .at_fault = true, .listed_junction = true});
    fw_exam_add(&sums[1], &(fw_drive_result){.ticks = 600, .distance_m = 400, .red_light = true,
                                             .red_light_runs = 2, .hard_brakes = 3});
    fw_exam_add(&sums[1], &(fw_drive_result){.ticks = 10, .desync = true});
    json_t *r = fw_exam_result(&config, sums);
    fw_interval wilson = fw_wilson95(1, 3);
    assert_int_equal(figure(r, "drives"), 3);
    assert_int_equal(figure(r, "desync"), 1);
    assert_true(near(figure(r, "clean"), 1.0 / 3));
    assert_true(near(figure(r, "clean_low"), wilson.low));
    assert_true(near(figure(r, "clean_high"), wilson.high));
    assert_true(near(figure(r, "clean_cluster_low"), 0));
    assert_true(near(figure(r, "clean_cluster_high"), 0.5));
    assert_true(near(figure(r, "collisions_per_km"), 1));
    assert_true(near(figure(r, "at_fault_per_km"), 1));
    assert_true(near(figure(r, "red_light_runs_per_km"), 2));
    assert_true(near(figure(r, "hard_brakes_per_km"), 3));
    assert_true(near(figure(r, "mean_speed_mps"), 1000.0 / 140));
    assert_true(near(figure(r, "jerk_rms"), sqrt(4.0 * 60 / 140)));
    const json_t *without = json_object_get(r, "clean_without_listed_junctions");
    assert_int_equal(figure(without, "drives"), 1); /* clean drives there are left out too */
    assert_true(near(figure(without, "clean"), 0));
    assert_true(near(figure(r, "clean_lost_failed"), 0.25));
    json_decref(r);
}

/* A failure counts although the world lost the car afterwards. */
static void desync_hides_no_failure(void **state) {
    (void)state;
    fw_exam_run run = {0};
    fw_exam_add(&run, &(fw_drive_result){.ticks = 90, .desync = true, .red_light = true});
    assert_int_equal(run.sums.drives, 1);
    assert_int_equal(run.sums.clean, 0);
    assert_int_equal(run.sums.desync, 1);
}

static void sealed_seeds_differ_and_are_sealed(void **state) {
    (void)state;
    for (uint32_t i = 0; i < 32; i++) {
        assert_true(fw_exam_seed("acosta", i) & FW_EXAM_SEED_SEALED);
        assert_true(fw_exam_seed("acosta", i) != fw_exam_seed("acosta", i + 1));
        assert_true(fw_exam_seed("acosta", i) != fw_exam_seed("pasubio", i));
    }
}

/* The set: first drives only, however many follow in the same slots. */
static void each_run_scores_a_fixed_set(void **state) {
    (void)state;
    fw_exam_config config = {.network = "acosta", .policy = model_path, .drives = 10, .cars = 32,
                             .runs = 2};
    json_t *r = NULL;
    fake.drive_ticks = 20;
    assert_int_equal(fw_exam_quota(&config), 6); /* 5 and one spare */
    assert_int_equal(fw_exam_take(&config, &r, NULL), FW_OK);
    assert_int_equal(figure(r, "drives"), 12);
    assert_int_equal(figure(r, "not_started"), 0);
    assert_int_equal(fake.steps, 40);
    assert_int_equal(fake.opened, 2);
    assert_true(fake.seeds[0] == fw_exam_seed("acosta", 0));
    json_decref(r);
}

static void more_drives_than_cars_are_taken_one_after_another(void **state) {
    (void)state;
    fw_exam_config config = {.network = "acosta", .policy = model_path, .drives = 28, .cars = 4,
                             .runs = 2};
    json_t *r = NULL;
    fake.drive_ticks = 10;
    fake.desync_car = 1;
    assert_int_equal(fw_exam_take(&config, &r, NULL), FW_OK);
    assert_int_equal(figure(r, "drives") + figure(r, "desync"), 2 * fw_exam_quota(&config));
    assert_int_equal(figure(r, "desync"), 8);
    json_decref(r);
}

static double first_of(const json_t *result, const char *name) {
    return json_number_value(json_array_get(json_object_get(json_object_get(result, "per_run"), name), 0));
}

/* 24 m ahead is at a signal, 26 m and one passed are not; failures count as drives alone. */
static void drives_at_signals_are_counted(void **state) {
    (void)state;
    fw_exam_config config = {.network = "acosta", .policy = model_path, .drives = 2, .cars = 2, .runs = 1};
    static const struct {
        float light_s_m;
        bool bump;
        int signal, clean;
    } cases[] = {{34, false, 3, 3}, {34, true, 3, 0}, {36, false, 0, 0}, {9, false, 0, 0}, {0, false, 0, 0}};
    fake.drive_ticks = 10;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *r = NULL;
        fw_exam_sums sums;
        fake.light_s_m = cases[i].light_s_m;
        fake.bump = cases[i].bump;
        assert_int_equal(fw_exam_take(&config, &r, NULL), FW_OK);
        assert_int_equal(first_of(r, "signal"), cases[i].signal);
        assert_int_equal(first_of(r, "signal_clean"), cases[i].clean);
        json_t *runs = json_object_get(r, "per_run");
        json_object_del(runs, "signal"); /* as older programs wrote it */
        assert_int_equal(fw_exam_sums_read(runs, &sums, 1, NULL), FW_OK);
        assert_int_equal(sums.signal, 0);
        json_decref(r);
    }
}

static void a_run_whose_sumo_died_is_done_again(void **state) {
    (void)state;
    fw_exam_config config = {.network = "acosta", .policy = "sumo", .drives = 2, .cars = 2,
                             .runs = 1};
    json_t *r = NULL;
    fake.drive_ticks = 10;
    fake.die_at_tick = 5;
    assert_int_equal(fw_exam_take(&config, &r, NULL), FW_OK);
    assert_int_equal(fake.opened, 2);
    assert_int_equal(figure(r, "drives"), 3);
    json_decref(r);
}

/* Runs in processes of their own give the result of one process, to the last byte. */
static void jobs_change_nothing(void **state) {
    (void)state;
    fw_exam_config config = {.network = "acosta", .policy = model_path, .drives = 28, .cars = 4,
                             .runs = 5};
    json_t *alone = NULL, *together = NULL;
    fake.drive_ticks = 10;
    fake.bump = true;
    assert_int_equal(fw_exam_take(&config, &alone, NULL), FW_OK);
    config.jobs = 3;
    assert_int_equal(fw_exam_take(&config, &together, NULL), FW_OK);
    assert_true(json_equal(alone, together));
    assert_int_equal(json_array_size(json_object_get(alone, "failures")), 35);
    json_decref(alone), json_decref(together);
}

static fw_status two_go_wrong(const void *context, uint32_t index, fw_exam_run *out, fw_error *error) {
    (void)context;
    out->sums.drives = index + 1;
    if (index == 1) raise(SIGKILL);
    return index == 3 ? fw_fail(error, FW_CLOSED, "run %u said so", index) : FW_OK;
}

static fw_status last_goes_wrong(const void *context, uint32_t index, fw_exam_run *out, fw_error *error) {
    if (index == 1) return FW_OK;
    return two_go_wrong(context, index, out, error);
}

static void a_failed_job_ends_the_exam(void **state) {
    (void)state;
    fw_exam_run runs[4];
    fw_error error = {""};
    assert_int_equal(fw_exam_jobs(two_go_wrong, NULL, 4, 1, runs, NULL, &error), FW_CLOSED);
    assert_non_null(strstr(error.text, "exam run 2 ended early"));
    assert_int_equal(fw_exam_jobs(last_goes_wrong, NULL, 4, 2, runs, NULL, &error), FW_CLOSED);
    assert_string_equal(error.text, "run 3 said so");
    assert_int_equal(fw_exam_jobs(last_goes_wrong, NULL, 3, 2, runs, NULL, &error), FW_OK);
    assert_int_equal(runs[2].sums.drives, 3);
}

/* A result of `runs` runs, in run i: clean[i] of 10 drives, 1 km in 100 s. */
static json_t *result_of(const uint32_t *clean, uint32_t runs, double speed) {
    fw_exam_run run[8] = {0};
    fw_exam_config config = {.network = "acosta", .policy = "x", .drives = 10 * runs, .cars = 2, .runs = runs};
    for (uint32_t i = 0; i < runs; i++)
        for (uint32_t d = 0; d < 10; d++)
            fw_exam_add(&run[i], &(fw_drive_result){.ticks = 100, .distance_m = 10 * speed, .jerk_rms_mps3 = 2,
                                                    .stuck = d >= clean[i]});
    return fw_exam_result(&config, run);
}

static const json_t *row_of(const json_t *comparison, const char *name) {
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(comparison, "figures"), i, row)
        if (strcmp(json_string_value(json_object_get(row, "name")), name) == 0) return row;
    fail_msg("no figure %s", name);
    return NULL;
}

/* Runs differ more than policies do: only the pairing shows that B is one drive in ten better in each. */
static void differences_are_paired_by_run(void **state) {
    (void)state;
    static const uint32_t first[] = {9, 2, 7, 4, 1, 8}, second[] = {10, 3, 8, 5, 2, 9};
    json_t *a = result_of(first, 6, 10), *b = result_of(second, 6, 10), *c = NULL, *back = NULL;
    assert_int_equal(fw_exam_compare(a, b, &c, NULL), FW_OK);
    const json_t *clean = row_of(c, "clean");
    assert_true(near(figure(clean, "difference"), 0.1));
    assert_true(near(figure(clean, "low"), 0.1) && near(figure(clean, "high"), 0.1));
    assert_string_equal(json_string_value(json_object_get(clean, "better")), "b");
    assert_string_equal(json_string_value(json_object_get(row_of(c, "mean_speed_mps"), "better")), "");
    assert_true(near(figure(row_of(c, "jerk_rms"), "a"), 2));
    assert_int_equal(fw_exam_compare(b, a, &back, NULL), FW_OK);
    assert_string_equal(json_string_value(json_object_get(row_of(back, "stuck"), "better")), "a");
    json_decref(a), json_decref(b), json_decref(c), json_decref(back);
}

static void only_the_same_runs_are_compared(void **state) {
    (void)state;
    static const uint32_t some[] = {9, 2, 7};
    static const char *const must_match[] = {"exam_version", "network", "runs", "cars", "drives_wanted",
                                              "conditions"};
    json_t *a = result_of(some, 3, 10), *b = result_of(some, 3, 10), *c = NULL;
    for (size_t i = 0; i < sizeof must_match / sizeof *must_match; i++) {
        json_t *other = json_deep_copy(b);
        assert_non_null(json_object_get(other, must_match[i]));
        json_object_set_new(other, must_match[i], json_string("another"));
        assert_int_equal(fw_exam_compare(a, other, &c, NULL), FW_INVALID);
        json_object_del(other, must_match[i]);
        assert_int_equal(fw_exam_compare(a, other, &c, NULL), FW_INVALID);
        json_decref(other);
    }
    json_t *list = json_object_get(json_object_get(b, "per_run"), "clean");
    json_array_set_new(list, 1, json_string("9"));
    assert_int_equal(fw_exam_compare(a, b, &c, NULL), FW_CORRUPT);
    json_array_remove(list, 1);
    assert_int_equal(fw_exam_compare(a, b, &c, NULL), FW_CORRUPT);
    assert_null(c);
    json_decref(a), json_decref(b);
}

static void nonsense_is_refused(void **state) {
    (void)state;
    fw_exam_config config = {.network = "acosta", .policy = model_path, .drives = 1, .cars = 2,
                             .runs = 2};
    json_t *r = NULL;
    assert_int_equal(fw_exam_take(&config, &r, NULL), FW_INVALID);
    config.drives = 4;
    config.policy = folder;
    assert_true(fw_exam_take(&config, &r, NULL) != FW_OK);
    assert_null(r);
}

static void the_store_hands_out_only_what_matches(void **state) {
    (void)state;
    fw_exam_config config = {.network = "acosta", .policy = model_path, .drives = 4, .cars = 2,
                             .runs = 2};
    json_t *key = NULL, *found = NULL, *list = NULL;
    json_t *result = json_pack("{s:s, s:f}", "network", "acosta", "clean", 0.5);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(fw_exam_store_open(folder, NULL), FW_OK);
    struct stat info;
    assert_int_equal(stat(folder, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_int_equal(fw_exam_key(&config, &key, NULL), FW_OK);
    assert_int_equal(fw_exam_store_find(folder, key, &found, NULL), FW_NOT_FOUND);
    assert_int_equal(fw_exam_store_put(fw_env_real(), folder, key, "rule", result, NULL), FW_OK);
    assert_int_equal(fw_exam_store_find(folder, key, &found, NULL), FW_OK);
    assert_true(near(figure(found, "clean"), 0.5));
    json_decref(found);
    static const char *const parts[] = {"exam_version", "program", "policy", "guard", "network",
                                        "drives", "cars", "runs", "conditions", "vehicles"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        json_t *other = json_deep_copy(key);
        assert_non_null(json_object_get(other, parts[i]));
        json_object_set_new(other, parts[i], json_string("other"));
        assert_int_equal(fw_exam_store_find(folder, other, &found, NULL), FW_NOT_FOUND);
        json_decref(other);
    }
    assert_int_equal(fw_exam_store_list(folder, &list, NULL), FW_OK);
    const json_t *row = json_array_get(json_object_get(list, "exams"), 0);
    assert_string_equal(json_string_value(json_object_get(row, "label")), "rule");
    assert_int_equal(strlen(json_string_value(json_object_get(row, "policy"))), 64);
    json_decref(list), json_decref(result), json_decref(key);
}

/* The file under the right name, but with another key inside: a result moved by hand. */
static void a_result_under_a_false_name_is_passed_over(void **state) {
    (void)state;
    fw_exam_config config = {.network = "acosta", .policy = "sumo", .drives = 4, .cars = 2,
                             .runs = 2};
    json_t *key = NULL, *found = NULL, *list = NULL;
    json_t *result = json_pack("{s:f}", "clean", 0.5);
    char path[FW_PATH_MAX];
    assert_int_equal(fw_exam_key(&config, &key, NULL), FW_OK);
    assert_int_equal(fw_exam_store_put(fw_env_real(), folder, key, NULL, result, NULL), FW_OK);
    assert_int_equal(fw_exam_store_list(folder, &list, NULL), FW_OK);
    const json_t *row = json_array_get(json_object_get(list, "exams"), 0);
    snprintf(path, sizeof path, "%s/%s.json", folder, json_string_value(json_object_get(row, "id")));
    static const char *const forged[] = {"{\"key\":{},\"result\":{\"clean\":1}}", "{}", "",
                                         "{\"key\":[],\"result\":7}"};
    for (size_t i = 0; i < sizeof forged / sizeof forged[0]; i++) {
        assert_int_equal(fw_file_write_durable(fw_env_real(), path, forged[i], strlen(forged[i]),
                                               NULL), FW_OK);
        assert_int_equal(fw_exam_store_find(folder, key, &found, NULL), FW_NOT_FOUND);
    }
    json_decref(list), json_decref(result), json_decref(key);
}

/* What the factory and its jobs are: confined to a data folder beside the store. */
static int as_the_factory(const char *data, const char *result_path) {
    json_t *list = NULL;
    fw_error error;
    if (fw_confine_to(data, "/usr/bin", &error) != FW_OK) return 1;
    if (open(result_path, O_RDONLY | O_CLOEXEC) >= 0 || errno != EACCES) return 2;
    if (open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0 || errno != EACCES) return 3;
    if (fw_exam_store_list(folder, &list, &error) == FW_OK) return 4;
    return 0;
}

static void a_confined_process_cannot_open_a_result(void **state) {
    (void)state;
    if (fw_confine_version() == 0) skip();
    fw_exam_config config = {.network = "acosta", .policy = "sumo", .drives = 4, .cars = 2,
                             .runs = 2};
    json_t *key = NULL, *list = NULL, *result = json_pack("{s:f}", "clean", 0.5);
    char path[FW_PATH_MAX], data[64];
    int status = 0;
    assert_int_equal(fw_exam_key(&config, &key, NULL), FW_OK);
    assert_int_equal(fw_exam_store_put(fw_env_real(), folder, key, NULL, result, NULL), FW_OK);
    assert_int_equal(fw_exam_store_list(folder, &list, NULL), FW_OK);
    const json_t *row = json_array_get(json_object_get(list, "exams"), 0);
    snprintf(path, sizeof path, "%s/%s.json", folder, json_string_value(json_object_get(row, "id")));
    snprintf(data, sizeof data, "%s/factory", folder);
    assert_int_equal(mkdir(data, 0700), 0);
    assert_int_equal(access(path, R_OK), 0);
    pid_t pid = fork();
    if (pid == 0) _exit(as_the_factory(data, path));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    json_decref(list), json_decref(result), json_decref(key);
}

static const char *no_value(const void *native, const char *name) {
    (void)native, (void)name;
    return NULL;
}

static int status_of(const char *method, const char *path) {
    fw_exam_door door = {.folder = folder};
    fw_http_request request = {.method = method, .path = path, .header = no_value,
                               .query = no_value};
    fw_http_response response = {0};
    fw_exam_door_handle(&door, &request, &response);
    free(response.body);
    return response.status;
}

static void the_door_only_reads_two_names(void **state) {
    (void)state;
    assert_int_equal(status_of("GET", "/exams.json"), 200);
    assert_int_equal(status_of("GET", "/report.json"), 404);
    assert_int_equal(status_of("GET", "/../model"), 404);
    assert_int_equal(status_of("GET", "/model"), 404);
    assert_int_equal(status_of("PUT", "/exams.json"), 405);
    assert_int_equal(status_of("POST", "/report.json"), 405);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_are_sums_of_drives),
        cmocka_unit_test(desync_hides_no_failure),
        cmocka_unit_test(sealed_seeds_differ_and_are_sealed),
        cmocka_unit_test_setup_teardown(each_run_scores_a_fixed_set, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(more_drives_than_cars_are_taken_one_after_another,
                                        make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(drives_at_signals_are_counted, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_run_whose_sumo_died_is_done_again, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(jobs_change_nothing, make_folder, remove_folder),
        cmocka_unit_test(a_failed_job_ends_the_exam),
        cmocka_unit_test(differences_are_paired_by_run),
        cmocka_unit_test(only_the_same_runs_are_compared),
        cmocka_unit_test_setup_teardown(nonsense_is_refused, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(the_store_hands_out_only_what_matches, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_result_under_a_false_name_is_passed_over, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_confined_process_cannot_open_a_result, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(the_door_only_reads_two_names, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
