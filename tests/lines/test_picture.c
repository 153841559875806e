/* Pictures of drives: what a trace holds, which drives are worth looking at, and files that are whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <expat.h>

#include "base/file.h"
#include "lines/driving/learn/picture/animation.h"
#include "lines/driving/learn/picture/drawing.h"
#include "lines/driving/learn/picture/fixes.h"
#include "lines/driving/learn/picture/strip.h"
#include "street.h"

enum { CONSTANT, IDM, ROWS };

/* Somebody stands in our lane: constant speed hits it, IDM stops. */
static fw_scenario *blocked_street(void) {
    const street_car cars[] = {{.speed_mps = 10, .count = 80}, {.x_m = 45, .count = 80, .no_route = true}};
    return street(cars, 2, 80);
}

static fw_scenario *empty_street(void) {
    const street_car cars[] = {{.speed_mps = 10, .count = 60}};
    return street(cars, 1, 60);
}

static void make_rows(fw_driver rows[ROWS]) {
    assert_int_equal(fw_driver_baseline("constant", &rows[CONSTANT], NULL), FW_OK);
    assert_int_equal(fw_driver_baseline("idm", &rows[IDM], NULL), FW_OK);
}

static void run(const fw_scenario *s, fw_trace traces[ROWS]) {
    fw_driver rows[ROWS];
    fw_error error = {""};
    const fw_replay_case what = {.scenario = s, .traffic = FW_SIM_REPLAYED, .seed = 1};
    make_rows(rows);
    if (fw_replay_run(&what, rows, ROWS, traces, &error) != FW_OK) fail_msg("%s", error.text);
}

static void clear(fw_trace traces[ROWS], fw_scenario *s) {
    for (int i = 0; i < ROWS; i++) fw_trace_clear(&traces[i]);
    fw_scenario_free(s);
}

/* ---- traces ---- */

static void a_trace_holds_every_moment(void **state) {
    (void)state;
    fw_scenario *s = blocked_street();
    fw_trace traces[ROWS];
    run(s, traces);
    assert_int_equal(traces[CONSTANT].drive.end, FW_SIM_COLLISION);
    assert_true(fw_trace_failed(&traces[CONSTANT].drive));
    assert_false(fw_trace_failed(&traces[IDM].drive));
    for (int row = 0; row < ROWS; row++) {
        const fw_trace *t = &traces[row];
        assert_true(t->frame_count > 10);
        for (uint32_t i = 0; i < t->frame_count; i++) {
            const fw_trace_frame *f = &t->frames[i];
            assert_true(f->box_count == 2 && f->box_first + f->box_count <= t->box_count);
            assert_int_equal(t->boxes[f->box_first].track, 0); /* our own first */
        }
        float first = t->boxes[0].x_m, second = t->boxes[t->frames[1].box_first].x_m;
        assert_true(fabsf(second - first - 1) < 0.2f); /* a tick of 10 m/s */
    }
    clear(traces, s);
}

static void a_drive_that_cannot_begin(void **state) {
    (void)state;
    fw_scenario *s = blocked_street();
    fw_driver rows[ROWS];
    fw_trace traces[ROWS];
    fw_error error = {""};
    make_rows(rows);
    fw_replay_case what = {.scenario = s, .traffic = FW_SIM_REPLAYED, .tick = 5000, .seed = 1};
    assert_int_equal(fw_replay_run(&what, rows, ROWS, traces, &error), FW_INVALID);
    what.tick = 0, what.track = 1; /* it has no route */
    assert_int_equal(fw_replay_run(&what, rows, ROWS, traces, &error), FW_INVALID);
    fw_scenario_free(s);
}

/* ---- SVG ---- */

static void well_formed(const char *text, size_t size) {
    XML_Parser parser = XML_ParserCreate(NULL);
    assert_non_null(parser);
    if (XML_Parse(parser, text, (int)size, 1) != XML_STATUS_OK)
        fail_msg("line %lu: %s", (unsigned long)XML_GetCurrentLineNumber(parser), XML_ErrorString(XML_GetErrorCode(parser)));
    XML_ParserFree(parser);
}

typedef fw_status (*picture)(const fw_scenario *, const fw_trace *, uint32_t, char **, size_t *, fw_error *);
static const picture pictures[] = {fw_strip_svg, fw_animation_svg};

static void names_may_hold_anything(void **state) {
    (void)state;
    fw_scenario *s = blocked_street();
    fw_trace traces[ROWS];
    run(s, traces);
    strcpy(traces[0].driver, "<b>&\"'\x01]]>");
    for (int i = 0; i < 2; i++) {
        char *text = NULL;
        size_t size = 0;
        assert_int_equal(pictures[i](s, traces, ROWS, &text, &size, NULL), FW_OK);
        well_formed(text, size);
        assert_non_null(strstr(text, "&lt;b&gt;&amp;"));
        assert_non_null(strstr(text, FW_DRAWING_BAD)); /* the failure's ring */
        free(text);
    }
    clear(traces, s);
}

static void nothing_to_draw_is_refused(void **state) {
    (void)state;
    fw_scenario *s = empty_street();
    fw_trace traces[FW_STRIP_TRACES_MAX + 1];
    fw_error error;
    for (int i = 0; i <= FW_STRIP_TRACES_MAX; i++) fw_trace_begin(&traces[i], "nobody", 0, 0);
    for (int i = 0; i < 2; i++) {
        char *text = NULL;
        size_t size = 7;
        assert_int_equal(pictures[i](s, traces, 1, &text, &size, &error), FW_INVALID);
        assert_int_equal(pictures[i](s, traces, FW_STRIP_TRACES_MAX + 1, &text, &size, &error), FW_INVALID);
        assert_true(!text && size == 7);
    }
    fw_scenario_free(s);
}

static void json_of_drives(void **state) {
    (void)state;
    fw_scenario *s = blocked_street();
    fw_trace traces[ROWS];
    run(s, traces);
    json_t *json = fw_trace_json(s, traces, ROWS), *drives = json_object_get(json, "drives");
    assert_int_equal(json_array_size(drives), ROWS);
    for (size_t i = 0; i < ROWS; i++) {
        const json_t *drive = json_array_get(drives, i);
        assert_int_equal(json_array_size(json_object_get(drive, "frames")), traces[i].frame_count);
        assert_int_equal(json_is_true(json_object_get(drive, "failed")), i == CONSTANT);
    }
    assert_true(json_array_size(json_object_get(json, "route")) > 20);
    json_decref(json);
    clear(traces, s);
}

/* ---- which drives ---- */

static fw_score score_of(const fw_scenario *const *list, uint32_t count, const fw_driver *rows, fw_score_config *config) {
    fw_score out;
    fw_error error = {""};
    *config = (fw_score_config){.scenarios = list, .scenario_count = count, .drivers = rows, .driver_count = ROWS,
                                .threads = 1, .seed = 1, .traffic[FW_SIM_REPLAYED] = true};
    if (fw_score_run(config, &out, &error) != FW_OK) fail_msg("%s", error.text);
    return out;
}

static void finds_what_one_failed_and_another_passed(void **state) {
    (void)state;
    fw_scenario *s[] = {empty_street(), blocked_street(), blocked_street()};
    fw_driver rows[ROWS];
    fw_score_config config;
    uint32_t cases[8];
    make_rows(rows);
    fw_score score = score_of((const fw_scenario *const *)s, 3, rows, &config);
    const fw_score_table *table = &score.traffic[FW_SIM_REPLAYED];
    assert_int_equal(fw_replay_find(table, CONSTANT, IDM, cases, 8), 2);
    for (int i = 0; i < 2; i++) assert_int_equal(table->cases[cases[i]].scenario, i + 1);
    assert_int_equal(fw_replay_find(table, CONSTANT, IDM, cases, 1), 1);
    assert_int_equal(fw_replay_find(table, CONSTANT, FW_REPLAY_ANYBODY, cases, 8), 2);
    assert_int_equal(fw_replay_find(table, IDM, CONSTANT, cases, 8), 0);
    assert_int_equal(fw_replay_find(table, CONSTANT, CONSTANT, cases, 8), 0); /* nobody passes what it fails */
    fw_score_clear(&score);
    for (int i = 0; i < 3; i++) fw_scenario_free(s[i]);
}

static json_t *fixes_of(const fw_driver *rows) {
    char path[] = "/tmp/fw_picture_XXXXXX";
    fw_scenario *s[] = {empty_street(), blocked_street()};
    fw_score_config config;
    fw_error error = {""};
    int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    fw_score score = score_of((const fw_scenario *const *)s, 2, rows, &config);
    if (fw_fixes_write(path, &config, FW_SIM_REPLAYED, &score.traffic[FW_SIM_REPLAYED], &error) != FW_OK)
        fail_msg("%s", error.text);
    json_t *json = json_load_file(path, 0, NULL);
    assert_non_null(json);
    unlink(path);
    fw_score_clear(&score);
    for (int i = 0; i < 2; i++) fw_scenario_free(s[i]);
    return json;
}

/* Both from the same moment on, the failing one to its end. */
static void fixes_are_written_and_cut(void **state) {
    (void)state;
    fw_driver rows[ROWS], worse[ROWS];
    make_rows(rows);
    json_t *json = fixes_of(rows), *list = json_object_get(json, "replays");
    assert_int_equal(json_array_size(list), 1);
    const json_t *drives = json_object_get(json_array_get(list, 0), "drives");
    size_t failed = json_array_size(json_object_get(json_array_get(drives, 0), "frames"));
    size_t passed = json_array_size(json_object_get(json_array_get(drives, 1), "frames"));
    assert_true(failed > 10 && failed <= FW_FIXES_TICKS_MAX);
    assert_true(passed > failed && passed <= failed + FW_FIXES_AFTER_TICKS);
    json_decref(json);
    worse[0] = rows[IDM], worse[1] = rows[CONSTANT];
    json = fixes_of(worse);
    assert_int_equal(json_array_size(json_object_get(json, "replays")), 0);
    json_decref(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trace_holds_every_moment),
        cmocka_unit_test(a_drive_that_cannot_begin),
        cmocka_unit_test(names_may_hold_anything),
        cmocka_unit_test(nothing_to_draw_is_refused),
        cmocka_unit_test(json_of_drives),
        cmocka_unit_test(finds_what_one_failed_and_another_passed),
        cmocka_unit_test(fixes_are_written_and_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
