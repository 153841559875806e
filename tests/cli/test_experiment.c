/* flywheel experiment without its fleets: which cells there are and what they wait for, what leaves a unit,
 * figures from made-up cells, intervals, and that equal cells give the same report. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/experiment_choose.h"
#include "cli/experiment_drill.h"
#include "cli/experiment_figures.h"
#include "cli/experiment_files.h"
#include "cli/experiment_fix.h"
#include "lines/driving/act/policy.h"

enum { RUNS = 4, DRIVES = 20 };

static int setup(void **state) {
    fw_experiment *e = calloc(1, sizeof *e);
    char folder[] = "/tmp/flywheel-experiment-XXXXXX";
    if (e == NULL || mkdtemp(folder) == NULL) return -1;
    snprintf(e->root, sizeof e->root, "%s", folder);
    e->set = (fw_experiment_settings){.seed = 7, .seeds = 3, .generations = 4, .cars = 16, .ticks = 1200,
                                      .share_percent = 6, .exam_runs = RUNS, .exam_drives = RUNS * DRIVES};
    e->jobs = 2;
    *state = e;
    return 0;
}

static int teardown(void **state) {
    fw_experiment *e = *state;
    fw_status status = fw_folder_remove(e->root, NULL);
    free(e);
    return status == FW_OK ? 0 : -1;
}

/* ---- made-up cells ---- */

static json_t *exam_of(const char *slice, int clean) {
    json_t *drives = json_array(), *cleans = json_array();
    for (int r = 0; r < RUNS; r++) {
        json_array_append_new(drives, json_integer(DRIVES));
        json_array_append_new(cleans, json_integer(clean + (r % 2 ? 1 : -1))); /* runs differ a little */
    }
    return json_pack("{s:s, s:{s:o, s:o}}", "slice", slice, "per_run", "drives", drives, "clean", cleans);
}

static void write_cell(const fw_experiment *e, const fw_experiment_cell *cell, int clean, double bytes,
                       json_t *windows) {
    char path[FW_PATH_MAX], folder[FW_PATH_MAX];
    fw_error error;
    fw_experiment_result_path(e, cell, path);
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = 0;
    assert_int_equal(fw_folder_make(folder, 0700, &error), FW_OK);
    json_t *r = json_pack("{s:{s:i, s:i}, s:i, s:i, s:i, s:f, s:f, s:f, s:f, s:s, s:[o, o], s:o}",
                          "prequential", "drives", 30, "clean", clean, "ticks", 19200, "vetoes", 100,
                          "captures", 10, "uploaded_bytes", bytes, "recorded_bytes", 1e6, "agent_steps", 5e5,
                          "train_core_s", 1.5, "decision", "promoted", "exams", exam_of("acosta", clean),
                          exam_of("pasubio", clean), "windows", windows ? windows : json_array());
    assert_int_equal(json_dump_file(r, path, 0), 0);
    json_decref(r);
}

/* frozen stays at 8 of 20; random gains 1 a generation, loop 2. */
static void write_all(const fw_experiment *e) {
    static const int gain[FW_EXPERIMENT_ARMS] = {0, 0, 2, 1};
    for (uint32_t i = 0; i < fw_experiment_cells(e); i++) {
        const fw_experiment_cell c = fw_experiment_cell_at(e, i);
        write_cell(e, &c, 8 + gain[c.arm] * (int)(c.generation - 1), c.arm == FW_EXPERIMENT_FROZEN ? 0 : 5e4,
                   NULL);
    }
}

/* ---- the plan ---- */

static void test_every_cell_is_there_once_and_in_an_order_that_works(void **state) {
    const fw_experiment *e = *state;
    assert_int_equal(fw_experiment_cells(e), 3 * (1 + 3 * 3));
    for (uint32_t i = 0; i < fw_experiment_cells(e); i++) {
        char name[FW_EXPERIMENT_NAME_MAX];
        fw_experiment_cell cell = fw_experiment_cell_at(e, i), again;
        fw_experiment_cell_name(&cell, name);
        assert_int_equal(fw_experiment_cell_parse(e, name, &again, NULL), FW_OK);
        assert_true(cell.seed == again.seed && cell.arm == again.arm && cell.generation == again.generation);
        assert_true(fw_experiment_ready(e, &cell)); /* all before it are done */
        assert_false(fw_experiment_done(e, &cell));
        write_cell(e, &cell, 5, 1000, NULL);
        assert_true(fw_experiment_done(e, &cell));
    }
    fw_experiment_cell none;
    assert_int_equal(fw_experiment_cell_parse(e, "seed-7/loop/gen-9", &none, NULL), FW_INVALID);
}

static void test_random_waits_for_what_loop_uploaded(void **state) {
    const fw_experiment *e = *state;
    const fw_experiment_cell first = {7, 1, FW_EXPERIMENT_FIRST}, loop = {7, 2, FW_EXPERIMENT_LOOP},
                             drawn = {7, 2, FW_EXPERIMENT_RANDOM};
    assert_false(fw_experiment_ready(e, &loop));
    write_cell(e, &first, 5, 1000, NULL);
    assert_true(fw_experiment_ready(e, &loop));
    assert_false(fw_experiment_ready(e, &drawn));
    write_cell(e, &loop, 5, 1000, NULL);
    assert_true(fw_experiment_ready(e, &drawn));
}

static void test_a_broken_result_is_named(void **state) {
    const fw_experiment *e = *state;
    const fw_experiment_cell first = {7, 1, FW_EXPERIMENT_FIRST};
    char path[FW_PATH_MAX];
    fw_error error;
    json_t *result = NULL;
    write_cell(e, &first, 5, 1000, NULL);
    fw_experiment_result_path(e, &first, path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("{", file);
    fclose(file);
    assert_int_equal(fw_experiment_result(e, &first, &result, &error), FW_CORRUPT);
    assert_non_null(strstr(error.text, "gen-1.json"));
}

/* ---- what leaves a unit ---- */

static void test_windows_come_to_the_share_and_some_are_held_out(void **state) {
    fw_experiment *e = *state;
    for (uint64_t share = 1; share <= 20; share++)
        for (uint64_t g = 2; g <= 4; g++) {
            const fw_experiment_cell cell = {7, g, FW_EXPERIMENT_LOOP};
            uint32_t sum = 0, held = 0, most = 0, least = UINT32_MAX;
            e->set.share_percent = share;
            for (uint32_t u = 0; u < 16; u++) {
                uint32_t windows = fw_experiment_windows(e, &cell, u);
                sum += windows;
                held += u % 4 == 3 ? windows : 0;
                most = windows > most ? windows : most;
                least = windows < least ? windows : least;
            }
            double wanted = 16 * 120.0 * (double)share / 100 / 12;
            assert_true(fabs(sum - fmax(2, wanted)) <= 1);
            assert_true(held >= 1 && most - least <= 1);
        }
}

static void test_random_makes_up_for_what_it_uploaded_too_much(void **state) {
    const fw_experiment *e = *state;
    const fw_experiment_cell cell = {7, 3, FW_EXPERIMENT_RANDOM};
    double share = 0;
    for (uint64_t g = 1; g <= 3; g++)
        for (int arm = 0; arm < FW_EXPERIMENT_ARMS; arm++) {
            const fw_experiment_cell one = {7, g, (fw_experiment_arm)arm};
            write_cell(e, &one, 5, arm == FW_EXPERIMENT_RANDOM ? 70000 : 50000, NULL);
        }
    /* loop 2 x 50000, random 70000 so far: 30000 are left; a window has (50000 + 70000) / 20 bytes: 5 windows
       in 16 * 120 s */
    assert_int_equal(fw_experiment_draw_share(e, &cell, &share, NULL), FW_OK);
    assert_true(fabs(share - 5.0 / 1920) < 1e-12);
    const fw_experiment_cell loop = {7, 2, FW_EXPERIMENT_LOOP}, loop3 = {7, 3, FW_EXPERIMENT_LOOP};
    write_cell(e, &loop, 5, 10000, NULL);
    write_cell(e, &loop3, 5, 10000, NULL);
    assert_int_equal(fw_experiment_draw_share(e, &cell, &share, NULL), FW_OK);
    assert_true(share == 0);
}

static void test_shifts_add_up(void **state) {
    fw_experiment *e = *state;
    fw_experiment_shift shifts[FW_EXPERIMENT_SHIFTS_MAX];
    uint32_t count = 0;
    char text[200];
    fw_error error;
    snprintf(e->set.shifts, sizeof e->set.shifts, "3:demand 2; 4:kind van:0.3");
    assert_int_equal(fw_experiment_shifts(&e->set, shifts, &count, &error), FW_OK);
    assert_int_equal(count, 2);
    fw_experiment_conditions(&e->set, 2, text);
    assert_string_equal(text, "");
    fw_experiment_conditions(&e->set, 3, text);
    assert_string_equal(text, "demand 2");
    fw_experiment_conditions(&e->set, 4, text);
    assert_string_equal(text, "demand 2, kind van:0.3");
    static const char *const bad[] = {"demand 2", "1:demand 2", "9:demand 2", "3:", "4:demand 2;3:traffic 1",
                                      "3:demand 2, traffic 1", "x:demand 2"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(e->set.shifts, sizeof e->set.shifts, "%s", bad[i]);
        assert_int_equal(fw_experiment_shifts(&e->set, shifts, &count, &error), FW_INVALID);
        assert_non_null(strstr(error.text, "--shifts"));
    }
}

/* ---- figures ---- */

static void test_differences_are_those_of_the_cells(void **state) {
    const fw_experiment *e = *state;
    fw_experiment_all all;
    write_all(e);
    assert_int_equal(fw_experiment_load(e, &all, NULL), FW_OK);
    assert_int_equal(all.slices, 2);
    const fw_experiment_scope last = {FW_EXPERIMENT_EVERY, 4, 4}, mean = {0, 2, 4},
                              living = {FW_EXPERIMENT_LIVING, 3, 4};
    fw_experiment_difference d = fw_experiment_compare(&all, FW_EXPERIMENT_LOOP, FW_EXPERIMENT_FROZEN, last);
    assert_true(fabs(d.mean - 6.0 / DRIVES) < 1e-12);
    d = fw_experiment_compare(&all, FW_EXPERIMENT_LOOP, FW_EXPERIMENT_RANDOM, last);
    assert_true(fabs(d.mean - 3.0 / DRIVES) < 1e-12);
    /* all runs of all seeds agree on the difference: whatever is drawn, it is the same */
    assert_true(fabs(d.interval.low - d.mean) < 1e-12 && fabs(d.interval.high - d.mean) < 1e-12);
    d = fw_experiment_compare(&all, FW_EXPERIMENT_LOOP, FW_EXPERIMENT_FROZEN, mean);
    assert_true(fabs(d.mean - 4.0 / DRIVES) < 1e-12);
    d = fw_experiment_compare(&all, FW_EXPERIMENT_RANDOM, FW_EXPERIMENT_FROZEN, living);
    assert_true(fabs(d.mean - 2.5 / 30) < 1e-12);
    d = fw_experiment_compare(&all, FW_EXPERIMENT_LOOP, FW_EXPERIMENT_LOOP, mean);
    assert_true(d.mean == 0 && d.interval.low == 0 && d.interval.high == 0);
    fw_experiment_clear(&all);
}

/* Loop wins 6 of 20 in two seeds and loses as much in the third: no interval may exclude 0. */
static void test_seeds_that_disagree_are_not_apart(void **state) {
    const fw_experiment *e = *state;
    fw_experiment_all all;
    const fw_experiment_scope last = {FW_EXPERIMENT_EVERY, 4, 4};
    write_all(e);
    const fw_experiment_cell worse = {9, 4, FW_EXPERIMENT_LOOP};
    write_cell(e, &worse, 2, 5e4, NULL);
    assert_int_equal(fw_experiment_load(e, &all, NULL), FW_OK);
    fw_experiment_difference d = fw_experiment_compare(&all, FW_EXPERIMENT_LOOP, FW_EXPERIMENT_FROZEN, last);
    assert_true(fabs(d.mean - 2.0 / DRIVES) < 1e-12);
    assert_true(d.interval.low < 0 && d.interval.high > 0.2);
    fw_experiment_clear(&all);
}

static char *report_text(const fw_experiment *e) {
    json_t *report = NULL;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    assert_int_equal(fw_experiment_report(e, &report, NULL), FW_OK);
    fw_experiment_print(report, out);
    fw_experiment_draw(report, out);
    fclose(out);
    json_decref(report);
    return text;
}

static void test_equal_cells_give_the_same_report(void **state) {
    fw_experiment *e = *state;
    e->set.short_form = true;
    write_all(e);
    char *one = report_text(e), *two = report_text(e);
    assert_string_equal(one, two);
    assert_non_null(strstr(one, "claims nothing"));
    assert_non_null(strstr(one, "loop - random"));
    assert_non_null(strstr(one, "<svg"));
    free(one);
    free(two);
}

/* Loop falls behind random in every seed: the report says so in words, and never that it is better. */
static void test_words_follow_the_sign(void **state) {
    const fw_experiment *e = *state;
    write_all(e);
    char *text = report_text(e);
    assert_non_null(strstr(text, "loop is 15.0 points above random on sealed drives, 95 % from +15.0 to +15.0: better"));
    assert_non_null(strstr(text, "loop uploaded 5.0 % of the bytes that its fleet recorded (0.45 of 9.00 MB)"));
    free(text);
    for (uint64_t seed = 7; seed < 10; seed++) {
        const fw_experiment_cell last = {seed, 4, FW_EXPERIMENT_LOOP};
        write_cell(e, &last, 4, 5e4, NULL);
    }
    text = report_text(e);
    assert_non_null(strstr(text, "After the last generation loop is 35.0 points BELOW random"));
    assert_non_null(strstr(text, "WORSE, the interval excludes 0"));
    free(text);
}

/* ---- the copycat ---- */

/* It repeats the acceleration it has, and is the same file each time. */
static void test_the_copycat_keeps_its_acceleration(void **state) {
    const fw_experiment *e = *state;
    static const float had_mps2[] = {-5, -1.5f, -0.5f, 0, 0.7f, 1.5f};
    char path[2][FW_PATH_MAX];
    fw_hash hash[2];
    fw_policy policy;
    fw_policy_session session;
    for (int i = 0; i < 2; i++) {
        snprintf(path[i], FW_PATH_MAX, "%.300s/copycat-%d", e->root, i);
        assert_int_equal(fw_experiment_copycat(path[i], NULL), FW_OK);
        assert_int_equal(fw_hash_file(path[i], &hash[i], NULL), FW_OK);
    }
    assert_string_equal(hash[0].hex, hash[1].hex);
    assert_int_equal(fw_policy_load_file(path[0], &policy, NULL), FW_OK);
    assert_int_equal(fw_policy_session_open(&policy, &session, NULL), FW_OK);
    for (size_t i = 0; i < sizeof had_mps2 / sizeof had_mps2[0]; i++) {
        fw_drive_obs obs = {.length_m = 4.5f, .width_m = 1.8f, .speed_mps = 8, .accel_mps2 = had_mps2[i],
                            .route_left_m = 100, .path_count = 20, .light = FW_DRIVE_LIGHT_RED, .light_s_m = 12};
        fw_drive_action action;
        for (uint32_t k = 0; k < obs.path_count; k++) obs.path[k] = (fw_drive_point){(float)k * 2, 0, 3.2f, 13.9f};
        fw_policy_act(&policy, &session, &obs, &action);
        assert_true(fabsf(action.accel_mps2 - had_mps2[i]) < 0.25f);
    }
    fw_policy_session_close(&session);
    fw_policy_clear(&policy);
}

static json_t *window(const char *hash, int generation, json_t *before, bool after) {
    return json_pack("{s:s, s:i, s:o, s:b}", "sha256", hash, "generation", generation, "before", before, "after",
                     after);
}

static void test_failures_last_until_a_model_passes_them(void **state) {
    fw_experiment *e = *state;
    e->set.seeds = 1;
    write_all(e);
    const fw_experiment_cell two = {7, 2, FW_EXPERIMENT_LOOP}, three = {7, 3, FW_EXPERIMENT_LOOP},
                             four = {7, 4, FW_EXPERIMENT_LOOP};
    /* a: fixed at once; b: by the second model; c: never; d: never failed */
    write_cell(e, &two, 5, 1, json_pack("[o, o, o, o]", window("a", 2, json_false(), true),
                                        window("b", 2, json_false(), false),
                                        window("c", 2, json_false(), false), window("d", 2, json_true(), true)));
    write_cell(e, &three, 5, 1, json_pack("[o, o]", window("b", 2, json_null(), true),
                                          window("c", 2, json_null(), false)));
    write_cell(e, &four, 5, 1, json_pack("[o]", window("c", 2, json_null(), false)));
    json_t *fixes = NULL;
    assert_int_equal(fw_experiment_fixes(e, FW_EXPERIMENT_LOOP, &fixes, NULL), FW_OK);
    assert_int_equal(json_integer_value(json_object_get(fixes, "windows")), 4);
    assert_int_equal(json_integer_value(json_object_get(fixes, "failures")), 3);
    assert_int_equal(json_integer_value(json_object_get(fixes, "fixed")), 2);
    assert_true(json_number_value(json_object_get(fixes, "median_generations")) == 2);
    json_decref(fixes);
}

/* ---- files ---- */

static void test_folders_are_copied_whole(void **state) {
    const fw_experiment *e = *state;
    char from[FW_PATH_MAX], to[FW_PATH_MAX], path[FW_PATH_MAX], *bytes = NULL;
    size_t size = 0;
    fw_path_join(from, sizeof from, e->root, "from/inner");
    assert_int_equal(fw_folder_make(from, 0700, NULL), FW_OK);
    fw_path_join(path, sizeof path, from, "a.mcap");
    assert_int_equal(fw_file_write_durable(fw_env_real(), path, "hello", 5, NULL), FW_OK);
    fw_path_join(path, sizeof path, from, "b.txt");
    assert_int_equal(fw_file_write_durable(fw_env_real(), path, "x", 1, NULL), FW_OK);
    fw_path_join(from, sizeof from, e->root, "from");
    fw_path_join(to, sizeof to, e->root, "to");
    assert_int_equal(fw_experiment_copy(from, to, NULL), FW_OK);
    fw_path_join(path, sizeof path, to, "inner/a.mcap");
    assert_int_equal(fw_file_read(path, 100, &bytes, &size, NULL), FW_OK);
    assert_string_equal(bytes, "hello");
    free(bytes);
    assert_int_equal(fw_experiment_bytes(to, ".mcap"), 5);
    fw_path_join(from, sizeof from, e->root, "nowhere");
    fw_path_join(to, sizeof to, e->root, "to2");
    assert_int_not_equal(fw_experiment_copy(from, to, NULL), FW_OK);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_every_cell_is_there_once_and_in_an_order_that_works),
        T(test_random_waits_for_what_loop_uploaded),
        T(test_a_broken_result_is_named),
        T(test_windows_come_to_the_share_and_some_are_held_out),
        T(test_random_makes_up_for_what_it_uploaded_too_much),
        T(test_shifts_add_up),
        T(test_differences_are_those_of_the_cells),
        T(test_seeds_that_disagree_are_not_apart),
        T(test_equal_cells_give_the_same_report),
        T(test_words_follow_the_sign),
        T(test_the_copycat_keeps_its_acceleration),
        T(test_failures_last_until_a_model_passes_them),
        T(test_folders_are_copied_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
