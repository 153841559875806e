/* flywheel replay: the drive that one driver fails and another passes, found and drawn. */
#include "suite_folder.h"

static bool is_there(const char *name) {
    char path[300];
    fw_path_join(path, sizeof path, folder, name);
    return fw_file_exists(path);
}

/* In the bend constant speed leaves the road. */
static void a_failure_and_its_fix(void **state) {
    (void)state;
    suite_expect("replay ngsim/us101.json --baseline constant,idm --out bend", 0, "constant: off the road after");
    suite_expect("replay ngsim/us101.json --baseline constant,idm --out bend", 0, "idm: at the goal after");
    assert_true(suite_svg("bend.svg") > 20);
    assert_true(suite_svg("bend-moving.svg") > 20);
    size_t size;
    char output[2000], *strip = suite_read("bend.svg", &size);
    suite_run("replay ngsim/us101.json --baseline constant,idm --out bend", true, output, sizeof output);
    const char *after = strstr(output, "after "); /* the same in words and in the picture */
    assert_non_null(after);
    *strchr(after, '\n') = '\0';
    assert_non_null(strstr(strip, after));
    free(strip);
}

/* The same words, the same pictures, whatever the threads. */
static void pictures_are_the_same_again(void **state) {
    (void)state;
    suite_expect("replay ngsim/us101.json --baseline constant,idm --out one --threads 1", 0, "one-moving.svg");
    suite_expect("replay ngsim/us101.json --baseline constant,idm --out four --threads 4", 0, "four-moving.svg");
    static const char *const endings[] = {".svg", "-moving.svg"};
    for (int i = 0; i < 2; i++) {
        char names[2][40];
        size_t sizes[2];
        snprintf(names[0], sizeof names[0], "one%s", endings[i]);
        snprintf(names[1], sizeof names[1], "four%s", endings[i]);
        char *one = suite_read(names[0], &sizes[0]), *four = suite_read(names[1], &sizes[1]);
        assert_int_equal(sizes[0], sizes[1]);
        assert_memory_equal(one, four, sizes[0]);
        free(one), free(four);
    }
}

static const json_t *drive_of(const json_t *json, size_t row, const char *driver) {
    const json_t *drive = json_array_get(json_object_get(json, "drives"), row);
    const char *name = json_string_value(json_object_get(drive, "driver"));
    if (!name || strcmp(name, driver) != 0) fail_msg("row %zu is %s, not %s", row, name ? name : "none", driver);
    return drive;
}

static void as_json(void **state) {
    (void)state;
    json_t *json = suite_json("replay ngsim/us101.json --baseline constant,idm --json --out never");
    assert_int_equal(json_integer_value(json_object_get(json, "format")), 1);
    assert_string_equal(json_string_value(json_object_get(json, "site")), "US101");
    const json_t *failed = drive_of(json, 0, "constant"), *passed = drive_of(json, 1, "idm"), *frame;
    assert_true(json_is_true(json_object_get(failed, "failed")));
    assert_true(json_is_false(json_object_get(passed, "failed")));
    assert_string_equal(json_string_value(json_object_get(passed, "end")), "at the goal");
    size_t i;
    assert_true(json_array_size(json_object_get(passed, "frames")) > 20);
    json_array_foreach(json_object_get(passed, "frames"), i, frame) {
        const json_t *own = json_array_get(json_object_get(frame, "boxes"), 0);
        assert_int_equal(json_array_size(own), 7);
        assert_int_equal(json_integer_value(json_array_get(own, 0)), json_integer_value(json_object_get(passed, "track")));
    }
    json_decref(json);
    assert_false(is_there("never.svg"));
}

/* A drive that is named is drawn whether anybody fails it or not; the log drives it too. */
static void a_drive_by_name(void **state) {
    (void)state;
    suite_expect("replay ngsim/lanker.json --baseline log,idm --traffic replayed --track 0 --tick 0 --out named", 0, "log: at the goal");
    assert_true(suite_svg("named.svg") > 20);
    suite_expect("replay ngsim/lanker.json --baseline idm --track 99 --tick 0 --out no", 1, "the scenario has 3 tracks");
    suite_expect("replay ngsim/lanker.json --baseline idm --track 0 --tick 5000 --out no", 1, "flywheel: ");
    assert_false(is_there("no.svg"));
}

static void no_such_drive(void **state) {
    (void)state;
    suite_expect("replay ngsim/us101.json --baseline idm --out none", 1, "idm failed none of 8 drives");
    suite_expect("replay ngsim/us101.json --baseline idm,constant --out none", 1, "that were passed by constant");
    assert_false(is_there("none.svg") || is_there("none-moving.svg"));
}

/* What a model file is called goes into tables, CSV and JSON. */
static void names_of_models(void **state) {
    (void)state;
    char command[400], output[1000];
    snprintf(command, sizeof command, PROGRAM " train --recordings %s/ngsim/scenes --imitation-steps 1 --agent-steps 0 --out '%s/a,b\"\xff.model' 2>&1", folder, folder);
    expect_outcome("train", run_command(command, output, sizeof output), 0, "", output);
    json_t *json = suite_json("replay ngsim/lanker.json --track 0 --tick 0 --model 'a,b\"\xff.model' --json");
    drive_of(json, 0, "a_b__");
    json_decref(json);
}

static void wrong_words(void **state) {
    (void)state;
    suite_expect("replay --baseline idm", 2, "say which recording");
    suite_expect("replay ngsim/us101.json", 2, "say --model FILE");
    suite_expect("replay ngsim/us101.json --baseline idm --traffic all", 2, "one kind of traffic");
    suite_expect("replay ngsim/us101.json --baseline idm --traffic reactive,replayed", 2, "one kind of traffic");
    suite_expect("replay ngsim/us101.json --model", 2, "--model needs a value");
    suite_expect("replay ngsim/us101.json --model raw/index.csv --out no", 1, "index.csv");
    suite_expect("replay nowhere.json --baseline idm --out no", 1, "nowhere.json");
    suite_expect("replay ngsim/us101.json --baseline idm --tick 5", 2, "say --track N");
    suite_expect("replay --help", 0, "usage: flywheel replay");
    assert_false(is_there("no.svg"));
}

static void a_place_that_cannot_be_written(void **state) {
    (void)state;
    suite_expect("replay ngsim/us101.json --baseline constant,idm --out nowhere/bend", 1, "nowhere/bend.svg");
    assert_false(is_there("nowhere"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_and_its_fix),
        cmocka_unit_test(pictures_are_the_same_again),
        cmocka_unit_test(as_json),
        cmocka_unit_test(a_drive_by_name),
        cmocka_unit_test(no_such_drive),
        cmocka_unit_test(names_of_models),
        cmocka_unit_test(wrong_words),
        cmocka_unit_test(a_place_that_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, suite_open_made, suite_close);
}
