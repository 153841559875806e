/* What the catalogue knows of recordings, and the language that asks for it. */
#include "drives.h"

#include "factory/query/query.h"

#define MODEL_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define MODEL_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* Three drives, a capture and an import. */
static void prepare(fixture *f) {
    const drive drives[] = {
        {.unit = "7", .model = MODEL_A, .x_m = 0, .y_m = 0, .speed_mps = 10, .seconds = 20,
         .brakes = 2, .start_ns = 1000},
        {.unit = "7", .model = MODEL_B, .x_m = 1000, .y_m = 500, .speed_mps = 25, .seconds = 20,
         .start_ns = 2000},
        {.unit = "8", .model = MODEL_A, .x_m = 5000, .y_m = 0, .speed_mps = 5, .seconds = 40,
         .brakes = 5, .start_ns = 3000},
        {.unit = "8", .model = MODEL_A, .x_m = -300, .y_m = 0, .speed_mps = 8, .seconds = 12,
         .brakes = 1, .campaign = "wet-roads", .start_ns = 4000},
        {.unit = "9", .line = "driving", .form = "scene", .x_m = 9000, .speed_mps = 3, .seconds = 5,
         .start_ns = 5000},
    };
    for (size_t i = 0; i < sizeof drives / sizeof *drives; i++)
        assert_int_equal(put_drive(f, drives[i].unit, &drives[i], NULL), 201);
}

static void every_column_and_function_selects(void **state) {
    fixture *f = *state;
    prepare(f);
    const struct {
        const char *text;
        int count;
    } cases[] = {
        {"", 5},
        {"unit = 7", 2},
        {"unit=\"7\"", 2},
        {"unit != 7", 3},
        {"not unit = 7", 3},
        {"not not unit = 7", 2},
        {"unit in (7, 9)", 3},
        {"unit not in (7, 9)", 2},
        {"unit = 7 or unit = 8 and event = hard_brake", 4},
        {"(unit = 7 or unit = 8) and event = hard_brake", 3},
        {"not (unit = 7 or unit = 8)", 1},
        {"((unit = 7))", 2},
        {"event = hard_brake", 3},
        {"event != hard_brake", 2},
        {"event in (veto, hard_brake)", 3},
        {"event = nothing", 0},
        {"count(hard_brake) > 1", 2},
        {"count(hard_brake) = 0", 2},
        {"events >= 5", 1},
        {"max(/ego.speed_mps) > 20", 1},
        {"min(/ego.speed_mps) < 6", 2},
        {"mean(/ego.speed_mps) = 8", 1},
        {"count(/ego.tick) = 40", 1},
        {"count(/ego) = 40", 1},
        {"size(/ego) > 100", 5},
        {"max(/no.such) > 0", 0},
        {"model = aaaaaa", 3},
        {"model = " MODEL_B, 1},
        {"model != aaaaaaaa", 2},
        {"topic = /ego", 5},
        {"topic = /event", 3},
        {"campaign = wet-roads", 1},
        {"campaign = none", 4},
        {"campaign != none", 1},
        {"campaign != wet-roads", 4},
        {"form = scene", 1},
        {"line = driving", 5},
        {"role = train", 3},
        {"state = kept", 5},
        {"generation = none", 5},
        {"duplicate_of = none", 5},
        {"messages > 20", 2},
        {"duration_s >= 19", 3},
        {"time > 2020-01-01", 5},
        {"time > 2020-01-01T10:30 and time < 2020-01-02", 0},
        {"received < 2020-01-01T00:00:00.5Z", 0},
        {"sequence <= 2", 2},
        {"near(100, 0, 20)", 1},
        {"near(100, 60, 20)", 0},
        {"near(100, 60, 61)", 1},
        {"near(-300, 0, 1)", 1},
        {"near(0,0,1e5)", 5},
        {"near(1200, 500, 0.5)", 1},
        {"unit = 7 and event = hard_brake and max(/ego.speed_mps) < 20 and near(100, 0, 50) and "
         "time > 2020-11-01",
         1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int count = found(f, cases[i].text);
        if (count != cases[i].count)
            fail_msg("%s: %d, not %d", cases[i].text, count, cases[i].count);
    }
}

static void an_error_names_the_column(void **state) {
    fixture *f = *state;
    const char *const cases[][2] = {
        {"unit", "column 5"},
        {"unit = ", "column 8"},
        {"unit = 7 and", "column 13"},
        {"unit = 7 7", "column 10"},
        {"unit < 7", "column 6: unit can be compared with = and != only"},
        {"colour = red", "column 1: no column or function 'colour'"},
        {"unit = 7 and (line = driving", "column 29: a ) is missing"},
        {"unit = 7)", "column 9"},
        {"bytes > many", "column 9: bytes takes a number"},
        {"time > yesterday", "column 8: time takes a time"},
        {"time > 2026-13-01", "column 8"},
        {"model = xyz", "column 9"},
        {"model = aaa", "column 9"},
        {"near(1, 2)", "column 10"},
        {"near(1, 2, -3)", "column 12: the radius is negative"},
        {"max(speed) > 2", "column 5: max takes a field"},
        {"size(/a.b) > 2", "column 6: size takes a topic"},
        {"unit = 'x", "the quote has no end"},
        {"unit in ()", "column 10"},
        {"unit in (7", "column 11"},
        {"unit = 7; DROP TABLE recordings", "column 9"},
        {"()", "column 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *json;
        assert_int_equal(query(f, cases[i][0], &json), 400);
        const char *reason = json_string_value(json_object_get(json, "error"));
        if (!strstr(reason, cases[i][1])) fail_msg("%s: %s", cases[i][0], reason);
        json_decref(json);
    }
}

static void its_size_is_bounded(void **state) {
    (void)state;
    char text[FW_QUERY_MAX_BYTES + 100] = "";
    fw_query *q;
    fw_error error;
    for (int i = 0; i <= FW_QUERY_DEPTH_MAX; i++) strcat(text, "(");
    assert_int_equal(fw_query_parse(text, &q, &error), FW_INVALID);
    assert_non_null(strstr(error.text, "deep"));
    strcpy(text, "events>1");
    for (int i = 0; i < FW_QUERY_TERMS_MAX; i++) strcat(text, " or events>1");
    assert_int_equal(fw_query_parse(text, &q, &error), FW_INVALID);
    assert_non_null(strstr(error.text, "over 64 tests"));
    memset(text, ' ', sizeof text);
    text[FW_QUERY_MAX_BYTES + 1] = '\0';
    assert_int_equal(fw_query_parse(text, &q, &error), FW_INVALID);
    memset(text, 0, sizeof text); /* the most that is allowed of the longest test */
    strcpy(text, "near(1,2,3)");
    for (int i = 1; i < FW_QUERY_TERMS_MAX; i++) strcat(text, " or near(1,2,3)");
    assert_int_equal(fw_query_parse(text, &q, &error), FW_OK);
    fw_query_free(q);
}

static void an_answer_says_all_of_a_recording(void **state) {
    fixture *f = *state;
    json_t *json, *row;
    prepare(f);
    assert_int_equal(query(f, "unit = 7 and event = hard_brake", &json), 200);
    row = json_array_get(json_object_get(json, "recordings"), 0);
    const char *const texts[][2] = {{"unit", "7"},       {"line", "driving"}, {"form", "drive"},
                                    {"model", MODEL_A},  {"state", "kept"},   {"role", "held_out"}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_string_equal(json_string_value(json_object_get(row, texts[i][0])), texts[i][1]);
    assert_int_equal(json_integer_value(json_object_get(row, "messages")), 22);
    assert_int_equal(json_integer_value(json_object_get(row, "start_ns")), 1000);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(row, "event_kinds"), "hard_brake")), 2);
    assert_true(json_number_value(json_object_get(row, "x_max")) == 190);
    assert_int_equal(json_array_size(json_object_get(row, "models")), 1);
    assert_true(json_is_null(json_object_get(row, "moved_ns")));
    assert_int_equal(json_integer_value(json_object_get(row, "recorded_ns")),
                     json_integer_value(json_object_get(row, "received_ns")));
    assert_int_equal(json_integer_value(json_object_get(json, "bytes")),
                     json_integer_value(json_object_get(row, "size_bytes")));
    json_decref(json);
}

static void pages_join_to_the_whole(void **state) {
    fixture *f = *state;
    char after[64] = "", seen[64] = "";
    prepare(f);
    for (int page = 0; page < 3; page++) {
        json_t *json, *row;
        size_t at;
        assert_int_equal(ask(f, "/v1/query",
                             (const char *const[]){"q", "unit in (7,8,9)", "limit", "2", "after",
                                                   after, NULL},
                             &json),
                         200);
        assert_int_equal(json_integer_value(json_object_get(json, "count")), 5);
        json_array_foreach(json_object_get(json, "recordings"), at, row) {
            size_t used = strlen(seen);
            snprintf(seen + used, sizeof seen - used, "%" JSON_INTEGER_FORMAT " ",
                     json_integer_value(json_object_get(row, "sequence")));
        }
        const char *next = json_string_value(json_object_get(json, "next"));
        assert_int_equal(next != NULL, page < 2);
        snprintf(after, sizeof after, "%s", next ? next : "");
        json_decref(json);
    }
    assert_string_equal(seen, "5 4 3 2 1 ");
    json_t *json;
    const char *const bad[][4] = {{"after", "soon"}, {"limit", "-1"}, {"limit", "many"}};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ask(f, "/v1/query", bad[i], &json), 400);
        json_decref(json);
    }
}

static void the_list_takes_parameters_and_else_stays_as_it_was(void **state) {
    fixture *f = *state;
    json_t *json;
    prepare(f);
    assert_int_equal(ask(f, "/v1/recordings", (const char *const[]){NULL}, &json), 200);
    assert_true(json_is_array(json));
    assert_int_equal(json_array_size(json), 5);
    json_decref(json);
    const struct {
        const char *parameters[7];
        int count;
    } cases[] = {
        {{"unit", "8", NULL}, 2},
        {{"unit", "8", "event", "hard_brake", NULL}, 2},
        {{"campaign", "wet-roads", NULL}, 1},
        {{"form", "scene", NULL}, 1},
        {{"near", "100,0,50", NULL}, 1},
        {{"where", "unit = 7 or unit = 9", "line", "driving", NULL}, 3},
        {{"since", "2020-01-01", "until", "2020-01-02", NULL}, 0},
        {{"model", "bbbbbbbb", "state", "kept", NULL}, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(ask(f, "/v1/recordings", cases[i].parameters, &json), 200);
        assert_int_equal(json_integer_value(json_object_get(json, "count")), cases[i].count);
        json_decref(json);
    }
    assert_int_equal(
        ask(f, "/v1/recordings", (const char *const[]){"unit", "7\" or unit=\"8", NULL}, &json),
        400);
    json_decref(json);
}

static void a_recording_of_another_unit_is_refused(void **state) {
    fixture *f = *state;
    drive d = {.unit = "7", .seconds = 5, .speed_mps = 1};
    assert_int_equal(put_drive(f, "8", &d, NULL), 422);
    assert_int_equal(put_drive(f, "7", &d, NULL), 201);
}

static void near_duplicates_are_labelled(void **state) {
    fixture *f = *state;
    fw_hash original, copy, noisy;
    drive d = {.unit = "7", .model = MODEL_A, .x_m = 3.4, .y_m = 4, .speed_mps = 11.3,
               .seconds = 60};
    assert_int_equal(put_drive(f, "7", &d, &original), 201);
    d.model = MODEL_B, d.unit = "8", d.start_ns = 777; /* the same drive by another model */
    assert_int_equal(put_drive(f, "8", &d, &copy), 201);
    d.noise_m = 0.1, d.seed = 5; /* and as other sensors would have it */
    assert_int_equal(put_drive(f, "8", &d, &noisy), 201);
    d.noise_m = 0, d.speed_mps = 16; /* faster */
    assert_int_equal(put_drive(f, "8", &d, NULL), 201);
    d.speed_mps = 11.3, d.y_m = 44; /* in the next street */
    assert_int_equal(put_drive(f, "8", &d, NULL), 201);
    d.y_m = 4, d.seconds = 20; /* a third of it */
    assert_int_equal(put_drive(f, "8", &d, NULL), 201);
    d.seconds = 9; /* too short to say */
    assert_int_equal(put_drive(f, "8", &d, NULL), 201);
    d.seconds = 60, d.form = "scene"; /* another form is another thing */
    assert_int_equal(put_drive(f, "8", &d, NULL), 201);
    char text[240];
    snprintf(text, sizeof text, "duplicate_of = %s", original.hex);
    assert_int_equal(found(f, text), 2);
    assert_int_equal(found(f, "duplicate_of != none"), 2);
    snprintf(text, sizeof text, "(id = %s or id = %s) and duplicate_of != none", copy.hex,
             noisy.hex);
    assert_int_equal(found(f, text), 2);
}

/* Units that send whole drives do not train on their captures too; other forms never train. */
static void captures_and_other_forms_stay_out_of_training(void **state) {
    fixture *f = *state;
    json_t *json;
    add_champion(f, "generation 0");
    drive d = {.seconds = 5, .speed_mps = 1};
    assert_int_equal(put_drive(f, "1", &d, NULL), 201);
    d.seconds = 6, d.campaign = "c"; /* beside a whole drive: out */
    assert_int_equal(put_drive(f, "1", &d, NULL), 201);
    d.seconds = 7; /* sends nothing else: in */
    assert_int_equal(put_drive(f, "2", &d, NULL), 201);
    d.seconds = 8, d.campaign = NULL, d.form = "scene";
    assert_int_equal(put_drive(f, "2", &d, NULL), 201);
    d.form = NULL, d.line = "robots";
    assert_int_equal(put_drive(f, "2", &d, NULL), 201);
    assert_int_equal(call(f, "POST", "/v1/generations", "{\"seed\":7,\"agent_steps\":10}", NULL),
                     409); /* nothing held out yet */
    d.line = NULL;
    assert_int_equal(put_drive(f, "3", &d, NULL), 201);
    assert_int_equal(call(f, "POST", "/v1/generations", "{\"seed\":7,\"agent_steps\":10}", &json),
                     201);
    json_decref(json);
    assert_int_equal(found(f, "generation = 1"), 3);
    assert_int_equal(found(f, "generation = 1 and campaign = c and unit = 2"), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_column_and_function_selects, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(an_error_names_the_column, fixture_open, fixture_close),
        cmocka_unit_test(its_size_is_bounded),
        cmocka_unit_test_setup_teardown(an_answer_says_all_of_a_recording, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(pages_join_to_the_whole, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(the_list_takes_parameters_and_else_stays_as_it_was,
                                        fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(a_recording_of_another_unit_is_refused, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(near_duplicates_are_labelled, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(captures_and_other_forms_stay_out_of_training, fixture_open,
                                        fixture_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
