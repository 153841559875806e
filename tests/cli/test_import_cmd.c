/* `flywheel import` against a factory, as a person meets it. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

#define PROGRAM FW_BINARY_DIR "/src/flywheel"

typedef struct place {
    char folder[64], output[1 << 14];
    pid_t server;
    unsigned port;
} place;

static void start(place *p) {
    int ends[2];
    char line[400] = "", data[100];
    snprintf(data, sizeof data, "%s/data", p->folder);
    assert_int_equal(pipe(ends), 0);
    p->server = fork();
    if (p->server == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        execl(PROGRAM, "flywheel", "serve", "--data", data, "--listen", "127.0.0.1:0", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *log = fdopen(ends[0], "r");
    while (!p->port && fgets(line, sizeof line, log)) {
        const char *at = strstr(line, "http://127.0.0.1:");
        if (at) p->port = (unsigned)strtoul(at + 17, NULL, 10);
    }
    fclose(log);
    assert_int_not_equal(p->port, 0);
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
    FILE *pipe = popen(command, "r");
    size_t used = fread(p->output, 1, sizeof p->output - 1, pipe);
    p->output[used] = '\0';
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
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
        cmocka_unit_test(wrong_words_are_told),
        cmocka_unit_test(a_failed_write_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, open_place, close_place);
}
