/* flywheel scenario: what there is to drive in recordings and scenes, in figures and as a picture. */
#include "suite_folder.h"

#include "../lines/synthetic_file.h"

/* bend.mcap, street.mcap, short.mcap: scenes; unit.mcap: a unit's recording. */
static int set_up(void **state) {
    char path[100], output[2000];
    static const char *const names[] = {"bend", "street", "short"};
    if (suite_open(state) != 0) return 1;
    for (int i = 0; i < 3; i++) {
        char words[200];
        snprintf(path, sizeof path, "%s/%s.xml", folder, names[i]);
        synthetic_xml(path, i == 0 ? synthetic_curve(60) : i == 1 ? synthetic_street(60) : synthetic_curve(12));
        snprintf(words, sizeof words, "import commonroad %s.xml --unit maps --metadata site=Hill --metadata group=%d "
                                      "--out made && mv made/*.mcap %s.mcap", names[i], 40 + i, names[i]);
        if (suite_run(words, true, output, sizeof output) != 0) return 1;
    }
    snprintf(path, sizeof path, "%s/unit.mcap", folder);
    synthetic_file(path, "car-1", 5);
    return 0;
}

static json_int_t number(const json_t *json, const char *name) {
    const json_t *value = json_object_get(json, name);
    if (!json_is_integer(value)) fail_msg("no number %s", name);
    return json_integer_value(value);
}

static void figures(void **state) {
    (void)state;
    json_t *bend = suite_json("scenario bend.mcap --json"), *street = suite_json("scenario street.mcap --json");
    assert_string_equal(json_string_value(json_object_get(bend, "site")), "Hill");
    assert_string_equal(json_string_value(json_object_get(bend, "group")), "40");
    assert_true(json_is_true(json_object_get(bend, "scene")));
    assert_int_equal(number(bend, "ticks"), 60);
    assert_int_equal(number(bend, "lanelets"), 1);
    assert_int_equal(number(bend, "tracks"), 1);
    assert_int_equal(number(street, "tracks"), 3);
    assert_int_equal(number(street, "lanelets"), 8);
    assert_int_equal(number(street, "routes"), 3);
    assert_int_equal(number(street, "starts_off_area"), 0);
    assert_true(json_real_value(json_object_get(street, "residual_rms_m")) < 0.05); /* nothing to smooth */
    double curvature = json_real_value(json_object_get(bend, "curvature_max_pm"));
    assert_true(curvature > 0.025 && curvature < 0.05); /* 1/30 */
    json_decref(bend), json_decref(street);
}

static void nothing_to_drive_is_an_answer(void **state) {
    (void)state;
    json_t *json = suite_json("scenario short.mcap --json");
    assert_int_equal(number(json, "starts"), 0);
    assert_int_equal(number(json_object_get(json, "fates"), "too short"), 1);
    json_decref(json);
    suite_expect("scenario short.mcap --svg none.svg", 1, "nothing to drive in it");
    suite_expect("scenario short.mcap bend.mcap", 0, "2 files (1 with nothing to drive), 2 tracks, 1 starts");
}

static void units_and_scenes_in_one_table(void **state) {
    (void)state;
    suite_expect("scenario unit.mcap street.mcap", 0, "unit.mcap");
    suite_expect("scenario unit.mcap street.mcap", 0, "street");
    json_t *json = suite_json("scenario unit.mcap --json");
    assert_true(json_is_false(json_object_get(json, "scene")));
    assert_true(number(json, "starts") > 0);
    assert_null(json_object_get(json, "fates"));
    json_decref(json);
}

static void pictures_are_well_formed(void **state) {
    (void)state;
    suite_expect("scenario street.mcap --svg street.svg", 0, "1 files");
    assert_true(suite_svg("street.svg") > 8); /* lanes, routes, ways, boxes */
    suite_expect("scenario unit.mcap --svg unit.svg", 0, "1 files");
    assert_true(suite_svg("unit.svg") > 3);
}

static void wrong_words(void **state) {
    (void)state;
    suite_expect("scenario", 2, "which files?");
    suite_expect("scenario --help", 0, "usage: flywheel scenario");
    suite_expect("scenario bend.mcap street.mcap --svg x.svg", 2, "--svg draws one file");
    suite_expect("scenario bend.mcap --png x.png", 2, "--png");
    suite_expect("scenario none.mcap", 1, "none.mcap");
    suite_expect("scenario bend.xml", 1, "bend.xml: ");
    suite_expect("scenario bend.mcap --svg none/x.svg", 1, "none/x.svg");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures),
        cmocka_unit_test(nothing_to_drive_is_an_answer),
        cmocka_unit_test(units_and_scenes_in_one_table),
        cmocka_unit_test(pictures_are_well_formed),
        cmocka_unit_test(wrong_words),
    };
    return cmocka_run_group_tests(tests, set_up, suite_close);
}
