/* `flywheel evaluate` as a person runs it, on recordings of a synthetic street. */
#include "program.h"

#include <jansson.h>

#include "../lines/synthetic_file.h"
#include "base/file.h"
#include "base/hash.h"

static char folder[64];

static int set_up(void **state) {
    char path[120];
    (void)state;
    strcpy(folder, "/tmp/flywheel-evaluate-XXXXXX");
    assert_non_null(mkdtemp(folder));
    for (int i = 0; i < 3; i++) {
        char unit[16];
        snprintf(path, sizeof path, "%s/%d.mcap", folder, i);
        snprintf(unit, sizeof unit, "car-%d", i);
        synthetic_file(path, unit, 4 + (float)i);
    }
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    return fw_folder_remove(folder, NULL) != FW_OK;
}

/* Words after `flywheel evaluate`; %s is the folder. stderr goes where `talk` says: "2>&1" or "2>/dev/null". */
static int evaluate(const char *words, const char *talk, char *output, size_t size) {
    char filled[600], command[900];
    snprintf(filled, sizeof filled, words, folder, folder);
    snprintf(command, sizeof command, PROGRAM " evaluate %s %s", filled, talk);
    return run_command(command, output, size);
}

static void test_wrong_words(void **state) {
    (void)state;
    static const struct {
        const char *words, *text;
        int status;
    } cases[] = {{"", "say --suite", 2},
                 {"--suite %s --limit-per-group 0", "--limit-per-group", 2},
                 {"--suite %s --model", "--model needs a value", 2},
                 {"--suite %s --baseline nobody", "no baseline 'nobody'", 2},
                 {"--suite %s --traffic jam", "no traffic 'jam'", 2},
                 {"--suite %s --against other", "no row has this name", 1},
                 {"--suite %s --baseline ''", "nobody drives", 2},
                 {"--suite %s/none", "cannot read", 1},
                 {"--suite %s --model %s/0.mcap", "0.mcap", 1},
                 {"--help", "usage: flywheel evaluate", 0}};
    char output[8000];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int got = evaluate(cases[i].words, "2>&1", output, sizeof output);
        expect_outcome(cases[i].words, got, cases[i].status, cases[i].text, output);
    }
}

static void test_tables(void **state) {
    (void)state;
    char output[20000];
    int got = evaluate("--suite %s --traffic reactive --guard --slices", "2>/dev/null", output, sizeof output);
    expect_outcome("tables", got, 0, "reactive traffic: ", output);
    static const char *const texts[] = {"3 scenarios in 3 groups", "clean %", "idm+guard", "less idm", "us p99", "n/a"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!strstr(output, texts[i])) fail_msg("no '%s' in: %s", texts[i], output);
    assert_null(strstr(output, "goal %")); /* a unit's recording has none */
    assert_null(strstr(output, "replayed traffic"));
}

static json_t *evaluate_json(const char *words) {
    static char output[200000];
    int got = evaluate(words, "2>/dev/null", output, sizeof output);
    if (got != 0) fail_msg("status %d: %s", got, output);
    json_t *json = json_loads(output, 0, NULL);
    assert_non_null(json);
    return json;
}

static double value_at(const json_t *json, size_t traffic, size_t row, const char *metric) {
    const json_t *rows = json_object_get(json_array_get(json_object_get(json, "traffics"), traffic), "rows");
    const json_t *metrics = json_object_get(json_array_get(rows, row), "metrics");
    return json_number_value(json_object_get(json_object_get(metrics, metric), "value"));
}

static void test_json(void **state) {
    (void)state;
    json_t *json = evaluate_json("--suite %s --baseline constant,pursuit,idm --traffic reactive --json --threads 2");
    const json_t *traffic = json_array_get(json_object_get(json, "traffics"), 0);
    assert_int_equal(json_integer_value(json_object_get(json, "scenarios")), 3);
    assert_int_equal(json_array_size(json_object_get(traffic, "rows")), 3);
    assert_int_equal(json_array_size(json_object_get(traffic, "differences")), 2);
    assert_string_equal(json_string_value(json_object_get(traffic, "traffic")), "reactive");
    assert_true(value_at(json, 0, 1, "collision") > value_at(json, 0, 2, "collision")); /* IDM brakes */
    assert_true(value_at(json, 0, 2, "clean") > 0.5);
    const json_t *metrics = json_object_get(json_array_get(json_object_get(traffic, "rows"), 0), "metrics");
    assert_true(json_is_null(json_object_get(metrics, "goal")));
    assert_true(json_is_null(json_object_get(metrics, "red_light")));
    json_decref(json);
}

/* Decision times aside, the same words give the same figures. */
static void test_threads_change_nothing(void **state) {
    (void)state;
    json_t *one = evaluate_json("--suite %s --traffic all --json --threads 1");
    json_t *four = evaluate_json("--suite %s --traffic all --json --threads 4");
    for (size_t t = 0; t < 3; t++)
        for (size_t row = 0; row < 3; row++)
            for (int which = 0; which < 2; which++) {
                json_t *from = which ? four : one;
                const json_t *traffic = json_array_get(json_object_get(from, "traffics"), t);
                json_object_del(json_array_get(json_object_get(traffic, "rows"), row), "decision_us");
            }
    assert_true(json_equal(one, four));
    json_decref(one);
    json_decref(four);
}

static void test_a_line_for_each_drive(void **state) {
    (void)state;
    char path[120], *text;
    size_t size, lines = 0;
    json_t *json = evaluate_json("--suite %s --baseline idm --traffic reactive --csv %s/drives.csv --json");
    const json_t *traffic = json_array_get(json_object_get(json, "traffics"), 0);
    snprintf(path, sizeof path, "%s/drives.csv", folder);
    assert_int_equal(fw_file_read(path, 1 << 20, &text, &size, NULL), FW_OK);
    for (size_t i = 0; i < size; i++) lines += text[i] == '\n';
    assert_int_equal(lines, 1 + json_integer_value(json_object_get(traffic, "drives")));
    assert_int_equal(strncmp(text, "traffic,driver,scenario,", 24), 0);
    free(text);
    json_decref(json);
}

/* A suite gives group and site, and names bytes: another file in its place is refused. */
static void test_suites(void **state) {
    (void)state;
    char path[120], text[800], output[8000];
    fw_hash hash;
    snprintf(path, sizeof path, "%s/0.mcap", folder);
    assert_int_equal(fw_hash_file(path, &hash, NULL), FW_OK);
    for (int right = 1; right >= 0; right--) {
        if (!right) hash.hex[0] = hash.hex[0] == '0' ? '1' : '0';
        snprintf(text, sizeof text,
                 "{\"format\":1,\"name\":\"test\",\"items\":[{\"file\":\"0.mcap\",\"sha256\":\"%s\","
                 "\"site\":\"street\",\"group\":\"7\",\"sealed\":true}]}",
                 hash.hex);
        snprintf(path, sizeof path, "%s/suite.json", folder);
        assert_int_equal(fw_file_write_durable(fw_env_real(), path, text, strlen(text), NULL), FW_OK);
        int got = evaluate("--suite %s/suite.json --traffic reactive", "2>&1", output, sizeof output);
        expect_outcome("suite", got, right ? 0 : 1, right ? "1 scenarios in 1 groups" : "not the file", output);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_words),
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_threads_change_nothing),
        cmocka_unit_test(test_a_line_for_each_drive),
        cmocka_unit_test(test_suites),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
