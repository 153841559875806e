/* `flywheel import` against a factory, as a person meets it. */

#include "program.h"

#include "base/file.h"

typedef struct place {
    char folder[64], output[1 << 14];
    pid_t server;
    unsigned port;
} place;

static void start(place *p) {
    p->server = start_serve(p->folder, NULL, "http", &p->port);
}

static int open_place(void **state) {
    place *p = calloc(1, sizeof *p);
    snprintf(p->folder, sizeof p->folder, "/tmp/fw_import_cmd_XXXXXX");
    *state = p;
    if (!mkdtemp(p->folder)) return -1;
    start(p);
    return 0;
}

static int close_place(void **state) {
    place *p = *state;
    fw_error error;
    if (p->server > 0) {
        kill(p->server, SIGTERM);
        waitpid(p->server, NULL, 0);
    }
    fw_status status = fw_folder_remove(p->folder, &error);
    free(p);
    return status == FW_OK ? 0 : -1;
}

static void put(place *p, const char *name, const char *text) {
    char path[FW_PATH_MAX];
    fw_error error;
    fw_path_join(path, sizeof path, p->folder, name);
    assert_int_equal(fw_file_write_durable(fw_env_real(), path, text, strlen(text), &error), FW_OK);
}

/* Runs `flywheel WORDS` in the folder with its temporary files in temp/. */
static int run(place *p, const char *words) {
    char command[1000];
    snprintf(command, sizeof command,
             "cd %s && mkdir -p temp && TMPDIR=%s/temp FLYWHEEL_URL=http://127.0.0.1:%u %s %s 2>&1",
             p->folder, p->folder, p->port, PROGRAM, words);
    return run_command(command, p->output, sizeof p->output);
}

static bool temp_is_empty(place *p) {
    char temp[100];
    snprintf(temp, sizeof temp, "%s/temp", p->folder);
    return rmdir(temp) == 0;
}

static void a_dated_source_is_found_by_its_time(void **state) {
    place *p = *state;
    put(p, "dated.csv", "time,x\n1700000000,1\n1700000060,2\n");
    put(p, "undated.csv", "time,x\n0.5,1\n");
    assert_int_equal(run(p, "import csv dated.csv undated.csv --unit press-12"), 0);
    assert_true(temp_is_empty(p));
    assert_int_equal(run(p, "query --json 'time > 2023-11-14 and time < 2023-11-15'"), 0);
    assert_non_null(strstr(p->output, "\"start_ns\":1700000000000000000"));
    assert_null(strstr(p->output, "\"start_ns\":500000000,"));
    assert_int_equal(run(p, "query --json 'time > 2024-01-01'"), 0); /* undated: when it came */
    assert_non_null(strstr(p->output, "\"start_ns\":500000000,"));
}

/* What is known of a source goes into its recording, once a key; wrong words write nothing. */
static void metadata_goes_into_the_recording(void **state) {
    place *p = *state;
    put(p, "scene.csv", "time,x\n1,1\n");
    assert_int_equal(run(p, "import csv scene.csv --unit maps --metadata site=Hill --metadata 'group=a b=c' --out kept"), 0);
    char command[300];
    snprintf(command, sizeof command, "grep -aq 'site....Hill' %s/kept/*.mcap && grep -aq 'group....a b=c' %s/kept/*.mcap",
             p->folder, p->folder); /* records of metadata are not compressed */
    assert_int_equal(run_command(command, p->output, sizeof p->output), 0);
    static const char *const wrong[] = {"site", "=Hill", "site=", "Site=x", "site=x --metadata site=y"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char words[200];
        snprintf(words, sizeof words, "import csv scene.csv --unit maps --out never --metadata %s", wrong[i]);
        assert_int_equal(run(p, words), 2);
    }
    assert_int_equal(run(p, "import csv scene.csv --unit maps --out never --metadata"), 2);
    snprintf(command, sizeof command, "%s/never", p->folder);
    assert_false(fw_file_exists(command));
    assert_true(temp_is_empty(p));
}

static void wrong_words_are_told(void **state) {
    place *p = *state;
    put(p, "a.csv", "time,x\n1,1\n");
    assert_int_equal(run(p, "import xls a.csv --unit 7"), 2);
    assert_non_null(strstr(p->output, "xls"));
    assert_int_equal(run(p, "import csv a.csv"), 2);
    assert_int_equal(run(p, "import csv a.csv --unit a/b --out there"), 2);
    assert_int_equal(run(p, "import csv none.csv --unit 7"), 1);
    assert_true(temp_is_empty(p));
}

/* Under a limit on a file's size, which like a full disk ends the writing half-way. */
static void a_failed_write_leaves_nothing(void **state) {
    place *p = *state;
    char *text = malloc(1 << 20);
    assert_non_null(text);
    size_t size = (size_t)sprintf(text, "time,x\n");
    for (uint32_t i = 0, noise = 1; size < (1 << 20) - 100; i++)
        size += (size_t)sprintf(text + size, "%u,%u\n", i, noise = noise * 1664525u + 1013904223u);
    put(p, "noise.csv", text);
    free(text);
    char command[300];
    snprintf(command, sizeof command,
             "cd %s && mkdir -p temp && ulimit -f 8 && TMPDIR=%s/temp %s import csv noise.csv "
             "--unit 7 2>/dev/null", p->folder, p->folder, PROGRAM);
    int status = system(command);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_true(temp_is_empty(p));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dated_source_is_found_by_its_time),
        cmocka_unit_test(metadata_goes_into_the_recording),
        cmocka_unit_test(wrong_words_are_told),
        cmocka_unit_test(a_failed_write_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, open_place, close_place);
}
