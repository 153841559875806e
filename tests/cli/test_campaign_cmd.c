/* `flywheel campaign` against a real factory: estimate, launch with and without a terminal, list, end. */
#include <pty.h>

#include "program.h"
#include <jansson.h>

#include "base/file.h"
#include "factory/factory.h"
#include "factory/generations/launcher.h"

static char folder[64], output[1 << 16];
static fw_factory *factory;
static fw_http_server *server;

static int start(void **state) {
    (void)state;
    char data[100], url[60];
    fw_error error = {""};
    snprintf(folder, sizeof folder, "/tmp/fw-campaign-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(data, sizeof data, "%s/data", folder);
    fw_factory_config config = {.data_folder = strdup(data), .program = "/no/flywheel",
                                .env = fw_env_real(), .line = &fw_line_driving,
                                .launcher = fw_launcher_processes(), .threads = 1};
    if (fw_factory_open(&config, &factory, &error) != FW_OK) fail_msg("%s", error.text);
    fw_http_app app = fw_factory_app(factory);
    fw_http_config http = {.address = "127.0.0.1", .body_max_bytes = 1 << 20};
    if (fw_http_server_start(&http, &app, &server, &error) != FW_OK) fail_msg("%s", error.text);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", (unsigned)fw_http_server_port(server));
    return setenv("FLYWHEEL_URL", url, 1);
}

static int stop(void **state) {
    (void)state;
    char *data = (char *)(uintptr_t)factory->config.data_folder;
    fw_http_server_stop(server);
    fw_factory_close(factory);
    free(data);
    return fw_folder_remove(folder, NULL) == FW_OK ? 0 : -1;
}

/* Runs `flywheel campaign WORDS`; stdout and stderr into output. Returns the exit status. */
static int run(const char *words) {
    char command[1200];
    snprintf(command, sizeof command, "cd %s && %s campaign %s </dev/null 2>&1", folder, PROGRAM,
             words);
    return run_command(command, output, sizeof output);
}

static void expect(const char *words, int status, const char *text) {
    int got = run(words);
    expect_outcome(words, got, status, text, output);
}

/* The same on a terminal, with a person who types answer. */
static int run_on_terminal(const char *words, const char *answer) {
    char command[600];
    int terminal, status;
    size_t used = 0;
    ssize_t got;
    snprintf(command, sizeof command, "%s campaign %s", PROGRAM, words);
    pid_t pid = forkpty(&terminal, NULL, NULL, NULL);
    assert_true(pid >= 0);
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", command, NULL);
        _exit(127);
    }
    assert_int_equal(write(terminal, answer, strlen(answer)), strlen(answer));
    while (used < sizeof output - 1 &&
           (got = read(terminal, output + used, sizeof output - 1 - used)) > 0)
        used += (size_t)got;
    output[used] = '\0';
    close(terminal);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WEXITSTATUS(status);
}

#define VETOES "--when 'rising(/guard.veto)'"

static void test_launch_list_end(void **state) {
    (void)state;
    expect("", 0, "campaign ");
    expect("add --id vetoes " VETOES, 1, "say --yes");
    assert_non_null(strstr(output, "nothing to look at"));
    expect("list --json", 0, "[]");
    expect("add --id vetoes " VETOES " --expires +7d --budget-count 9 --yes", 0, "vetoes");
    expect("list", 0, "rising(/guard.veto)");
    expect("add --id vetoes " VETOES " --yes", 1, "is there already");
    expect("show vetoes", 0, "\"budget_count\": 9");
    expect("end vetoes", 0, "vetoes");
    expect("list", 0, "person");
    expect("end other", 1, "no campaign other");
    expect("show '../status'", 1, "is no campaign's name");
}

static void test_estimate_only(void **state) {
    (void)state;
    expect("add --estimate-only --id x " VETOES, 0, "estimate: there is nothing to look at");
    expect("add --estimate-only --json --id x " VETOES, 0, "\"recordings_looked_at\":0");
    json_t *json = json_loads(output, 0, NULL);
    assert_true(json_is_object(json));
    json_decref(json);
    expect("show x", 1, "no campaign x");
    expect("add --estimate-only --id x --when '/gard.veto'", 1,
           "when: column 1: unknown signal /gard.veto; did you mean /guard.veto?");
}

static void test_options_become_fields(void **state) {
    (void)state;
    expect("add --id all " VETOES " --before 2.5 --after 0 --sample 0.1 --cooldown 30 --priority 7 "
           "--budget-bytes 1000 --expires 2099-12-31T12:00:00Z --units 0,car-7 --yes --json",
           0, "\"before_s\":2.5,\"after_s\":0.0,\"sample\":0.1,\"cooldown_s\":30.0,\"expires_ns\":"
              "4102401600000000000,\"priority\":7,\"budget_bytes\":1000,\"units\":[\"0\",\"car-7\"]");
}

static void test_file_with_options_over_it(void **state) {
    (void)state;
    char path[100];
    static const char text[] = "{\"id\": \"c\", \"when\": \"/event.veto\", \"before_s\": 3}";
    snprintf(path, sizeof path, "%s/c.json", folder);
    assert_int_equal(fw_file_write_durable(fw_env_real(), path, text, strlen(text), NULL), FW_OK);
    expect("add --file c.json --id d --yes", 0, "d");
    expect("show d --json", 0, "\"when\":\"/event.veto\",\"before_s\":3");
    expect("add --file gone.json --yes", 1, "gone.json");
    expect("add --file c.json --before 61 --yes", 1, "before_s: want a number from 0 to 60");
}

static void test_wrong_usage(void **state) {
    (void)state;
    expect("dance", 2, "want list");
    expect("add --id x", 2, "want list");
    expect("show", 2, "want list");
    expect("add --id x " VETOES " --priority 101", 2, "--priority");
    expect("add --id x " VETOES " --expires soon", 1, "--expires: 'soon' is no time");
    expect("add --id x " VETOES " --expires 2099-02-30x", 1, "is no time");
    expect("add --id x " VETOES " --expires 2001-01-01 --yes", 1, "in the past");
    expect("add --id x " VETOES " --before -1", 1, "--before: '-1' is no number");
    expect("add --id x " VETOES " --sample nan", 1, "--sample: 'nan' is no number");
}

static void test_a_person_is_asked(void **state) {
    (void)state;
    assert_int_equal(run_on_terminal("add --id asked " VETOES, "n\n"), 1);
    assert_non_null(strstr(output, "launch it? [y/N]"));
    assert_non_null(strstr(output, "nothing is launched"));
    expect("show asked", 1, "no campaign asked");
    assert_int_equal(run_on_terminal("add --id asked " VETOES, "\n"), 1);
    assert_int_equal(run_on_terminal("add --id asked " VETOES, "y\n"), 0);
    expect("show asked", 0, "\"open\"");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_launch_list_end),      cmocka_unit_test(test_estimate_only),
        cmocka_unit_test(test_options_become_fields), cmocka_unit_test(test_file_with_options_over_it),
        cmocka_unit_test(test_wrong_usage),          cmocka_unit_test(test_a_person_is_asked),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
