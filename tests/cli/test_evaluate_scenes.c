/* flywheel evaluate on scenes and suites: its figures are what its drives add up to. */
#include "suite_folder.h"

#include <math.h>

#include "../lines/synthetic_file.h"

enum { COLUMNS = 25, ROWS_MAX = 4, TRAFFICS = 3 };

static const json_t *row_of(const json_t *json, size_t traffic, const char *list, size_t row) {
    const json_t *all = json_object_get(json, "traffics");
    return json_array_get(json_object_get(json_array_get(all, traffic), list), row);
}

static double value_of(const json_t *row, const char *metric) {
    const json_t *value = json_object_get(json_object_get(json_object_get(row, "metrics"), metric), "value");
    if (!json_is_number(value)) fail_msg("no figure %s", metric);
    return json_number_value(value);
}

/* ---- the drives add up to the figures ---- */

typedef struct sums {
    char traffic[16], driver[16];
    unsigned drives, goals, off_road, ticks;
    double progress, distance_m;
} sums;

static sums *sums_of(sums *all, size_t *count, const char *traffic, const char *driver) {
    for (size_t i = 0; i < *count; i++)
        if (strcmp(all[i].traffic, traffic) == 0 && strcmp(all[i].driver, driver) == 0) return &all[i];
    assert_true(*count < ROWS_MAX * TRAFFICS);
    sums *s = &all[(*count)++];
    *s = (sums){.drives = 0};
    snprintf(s->traffic, sizeof s->traffic, "%s", traffic);
    snprintf(s->driver, sizeof s->driver, "%s", driver);
    return s;
}

static void add_line(char *line, sums *all, size_t *count) {
    char *cells[COLUMNS], *rest = line;
    size_t i = 0;
    while (i < COLUMNS && (cells[i] = strsep(&rest, ","))) i++;
    assert_int_equal(i, COLUMNS);
    assert_null(rest);
    sums *s = sums_of(all, count, cells[0], cells[1]);
    s->drives++;
    s->goals += strcmp(cells[9], "goal") == 0 && strcmp(cells[12], "0") == 0; /* red_light */
    s->off_road += strcmp(cells[9], "off_road") == 0;
    s->ticks += (unsigned)strtoul(cells[14], NULL, 10);
    s->distance_m += strtod(cells[20], NULL);
    s->progress += strtod(cells[22], NULL);
}

static size_t read_csv(const char *name, sums *all) {
    size_t size, count = 0;
    char *text = suite_read(name, &size), *rest = text, *line = strsep(&rest, "\n");
    assert_int_equal(strncmp(line, "traffic,driver,scenario,site,group,track,tick,", 46), 0);
    while ((line = strsep(&rest, "\n")) && *line) add_line(line, all, &count);
    free(text);
    return count;
}

static void near_to(double a, double b, double most, const char *what) {
    if (fabs(a - b) > most) fail_msg("%s: %g and %g", what, a, b);
}

static void drives_add_up_to_figures(void **state) {
    (void)state;
    sums all[ROWS_MAX * TRAFFICS];
    json_t *json = suite_json("evaluate --suite ngsim/us101.json ngsim/lanker.json --baseline log,constant,idm "
                                      "--traffic all --json --csv drives.csv");
    size_t count = read_csv("drives.csv", all);
    assert_int_equal(count, 3 * TRAFFICS);
    for (size_t i = 0; i < count; i++) {
        const json_t *row = row_of(json, i / 3, "rows", i % 3);
        assert_string_equal(all[i].driver, json_string_value(json_object_get(row, "driver")));
        assert_true(all[i].drives > 0);
        near_to(value_of(row, "clean_goal"), (double)all[i].goals / all[i].drives, 1e-9, "clean goal");
        near_to(value_of(row, "off_road"), (double)all[i].off_road / all[i].drives, 1e-9, "off road");
        near_to(value_of(row, "progress"), all[i].progress / all[i].drives, 1e-4, "progress");
        near_to(value_of(row, "speed_mps"), all[i].distance_m / (0.1 * all[i].ticks), 1e-3, "speed");
    }
    json_decref(json);
}

/* Every row drives the same drives, so a difference is that of the rows. */
static void differences_are_of_the_same_drives(void **state) {
    (void)state;
    json_t *json = suite_json("evaluate --suite ngsim/us101.json --baseline constant,pursuit,idm --traffic reactive --json");
    static const char *const metrics[] = {"clean_goal", "off_road", "progress", "speed_mps"};
    const json_t *idm = row_of(json, 0, "rows", 2);
    for (size_t row = 0; row < 2; row++) {
        const json_t *less = row_of(json, 0, "differences", row);
        assert_string_equal(json_string_value(json_object_get(less, "against")), "idm");
        for (size_t m = 0; m < sizeof metrics / sizeof *metrics; m++)
            near_to(value_of(less, metrics[m]),
                    value_of(row_of(json, 0, "rows", row), metrics[m]) - value_of(idm, metrics[m]), 1e-9, metrics[m]);
    }
    assert_true(value_of(row_of(json, 0, "differences", 0), "clean_goal") < -0.9); /* the bend */
    json_decref(json);
}

static void the_table_says_what_json_says(void **state) {
    (void)state;
    static const char words[] = "evaluate --suite ngsim/lanker.json --baseline constant,idm --traffic reactive";
    char output[16000], line[200], expected[100];
    snprintf(line, sizeof line, "%s --json", words);
    json_t *json = suite_json(line);
    assert_int_equal(suite_run(words, false, output, sizeof output), 0);
    for (size_t row = 0; row < 2; row++) {
        const json_t *from = row_of(json, 0, "rows", row);
        const json_t *figure = json_object_get(json_object_get(from, "metrics"), "clean_goal");
        snprintf(expected, sizeof expected, "%.1f [%.1f %.1f]", 100 * value_of(from, "clean_goal"),
                 100 * json_number_value(json_object_get(figure, "low")),
                 100 * json_number_value(json_object_get(figure, "high")));
        snprintf(line, sizeof line, "\n%s ", row == 0 ? "constant" : "idm");
        const char *at = strstr(output, line);
        if (!at || !strstr(at, expected) || strstr(at, expected) > at + 40)
            fail_msg("no '%s' in the row of%s: %s", expected, line, output);
    }
    json_decref(json);
}

/* ---- what is not driven ---- */

static void empty_and_hollow_suites(void **state) {
    (void)state;
    char command[400], output[400];
    snprintf(command, sizeof command,
             "cd %s && echo '{\"format\":1,\"name\":\"none\",\"items\":[]}' > none.json && echo '{\"format\":2}' > new.json && "
             "sed 's/\"sha256\": \"[0-9a-f]*\"/\"sha256\": \"x\"/' ngsim/lanker.json > wrong.json && mkdir -p hollow", folder);
    assert_int_equal(run_command(command, output, sizeof output), 0);
    suite_expect("evaluate --suite none.json", 1, "the suite is empty");
    suite_expect("evaluate --suite new.json", 1, "its format is not 1");
    suite_expect("evaluate --suite wrong.json", 1, "sha256 is none");
    suite_expect("evaluate --suite hollow", 1, "holds no *.mcap");
    suite_expect("evaluate --suite nowhere.json", 1, "cannot read nowhere.json");
    suite_expect("evaluate --suite raw/index.csv", 1, "flywheel: ");
}

static void suites_add_up(void **state) {
    (void)state;
    suite_expect("evaluate --suite ngsim/us101.json --suite ngsim/lanker.json --baseline log --traffic replayed", 0,
                 "12 scenarios in 12 groups");
    suite_expect("evaluate ngsim/us101.json --baseline log --suite ngsim/lanker.json ngsim/us101.json --traffic replayed", 0,
                 "12 scenarios in 12 groups");
    suite_expect("evaluate --baseline log --suite", 2, "--suite needs a value");
    suite_expect("evaluate --suite --json", 2, "--suite needs a value");
    suite_expect("evaluate --suite ngsim/us101.json --csv nowhere/drives.csv", 1, "cannot write nowhere/drives.csv");
}

/* ---- Ctrl-C ---- */

/* Waits until the process catches SIGINT. */
static void await_handler(pid_t pid) {
    char path[40], line[200];
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    for (unsigned long long caught = 0; !(caught >> (SIGINT - 1) & 1); usleep(1000)) {
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        while (fgets(line, sizeof line, file))
            if (strncmp(line, "SigCgt:", 7) == 0) caught = strtoull(line + 7, NULL, 16);
        fclose(file);
    }
}

static void a_stop_prints_nothing(void **state) {
    (void)state;
    char suite[100], csv[100], said[2000];
    int status = 0;
    FILE *log;
    snprintf(suite, sizeof suite, "%s/many", folder);
    snprintf(csv, sizeof csv, "%s/never.csv", folder);
    assert_int_equal(fw_folder_make(suite, 0755, NULL), FW_OK);
    for (int i = 0; i < 60; i++) {
        char path[140];
        snprintf(path, sizeof path, "%s/%d.mcap", suite, i);
        synthetic_file(path, "car", 3 + 0.3f * (float)i);
    }
    const char *words[] = {"flywheel", "evaluate", "--suite", suite, "--csv", csv, "--threads", "1", "--baseline",
                           "idm,idm,idm,idm,idm,idm,idm,idm", NULL};
    pid_t pid = start_program(words, &log);
    await_handler(pid);
    kill(pid, SIGINT);
    size_t used = fread(said, 1, sizeof said - 1, log);
    said[used] = '\0';
    fclose(log);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    expect_outcome("evaluate", WEXITSTATUS(status), 1, "interrupted", said);
    assert_false(fw_file_exists(csv));
}

/* ---- the real scenes ---- */

/* The people's own drives, put through the judge: noisy tracks touch now and then, most reach their goal. */
static void real_people(void **state) {
    (void)state;
    const char *data = getenv("FLYWHEEL_DATA");
    char words[900], output[4000];
    snprintf(words, sizeof words, "%.300s/ngsim/USA_US101-5_1_T-1.xml.gz", data ? data : "");
    if (!data || !fw_file_exists(words)) skip();
    snprintf(words, sizeof words,
             "import commonroad '%.300s/ngsim/USA_US101-5_1_T-1.xml.gz' --unit ngsim --metadata site=US101 --metadata group=131 "
             "--out people", data);
    assert_int_equal(suite_run(words, true, output, sizeof output), 0);
    json_t *json = suite_json("evaluate --suite people --baseline log --traffic replayed --json");
    const json_t *row = row_of(json, 0, "rows", 0), *metrics = json_object_get(row, "metrics");
    assert_true(value_of(row, "collision") < 0.1);
    assert_true(value_of(row, "clean_goal") > 0.7);
    assert_true(json_is_null(json_object_get(metrics, "red_light"))); /* a motorway */
    json_decref(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drives_add_up_to_figures),
        cmocka_unit_test(differences_are_of_the_same_drives),
        cmocka_unit_test(the_table_says_what_json_says),
        cmocka_unit_test(empty_and_hollow_suites),
        cmocka_unit_test(suites_add_up),
        cmocka_unit_test(a_stop_prints_nothing),
        cmocka_unit_test(real_people),
    };
    return cmocka_run_group_tests(tests, suite_open_made, suite_close);
}
