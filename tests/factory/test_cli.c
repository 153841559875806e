/* The command line as a user meets it: help, exit statuses, one-line errors, models, recordings. */
#include <sys/stat.h>
#include <sys/wait.h>

#include "../cli/program.h"
#include "fixture.h"

static char folder[64], output[1 << 16];

static int make(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/fw_cli_XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}
static int clean(void **state) {
    (void)state;
    fw_error error;
    return fw_folder_remove(folder, &error) == FW_OK ? 0 : -1;
}

/* Runs `flywheel WORDS`; stdout and stderr into output. Returns the exit status. */
static int run(const char *words) {
    char command[900];
    snprintf(command, sizeof command, "cd %s && FLYWHEEL_URL=http://127.0.0.1:9 %s %s 2>&1", folder,
             PROGRAM, words);
    return run_command(command, output, sizeof output);
}

static void expect(const char *words, int status, const char *text) {
    int got = run(words);
    expect_outcome(words, got, status, text, output);
}

static void expect_one_line(const char *words, int status, const char *text) {
    expect(words, status, text);
    char *end = strchr(output, '\n');
    if (!end || end[1] != '\0') fail_msg("flywheel %s says more than one line: %s", words, output);
}

static void every_command_has_help(void **state) {
    (void)state;
    const char *const names[] = {"serve",       "status", "recordings", "events", "units",
                                 "generations", "models", "log",        "demo",   "version"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char words[64], text[64];
        snprintf(words, sizeof words, "%s --help", names[i]);
        snprintf(text, sizeof text, "usage: flywheel %s", names[i]);
        expect(words, 0, text);
    }
    expect("help", 0, "generations");
    expect("--help", 0, "serve");
    expect("version", 0, FW_VERSION);
}

static void wrong_usage_is_2_in_one_line(void **state) {
    (void)state;
    expect_one_line("", 2, "which command");
    expect_one_line("fly", 2, "no command 'fly'");
    expect_one_line("serve", 2, "--data");
    expect_one_line("serve --data x --threads 99", 2, "--threads");
    expect_one_line("status --nonsense", 2, "--nonsense");
    expect_one_line("models dance", 2, "want list");
    expect_one_line("models show", 2, "want list");
    expect_one_line("log info", 2, "want info FILE");
    expect_one_line("job dance --data x", 2, "train or gate");
    expect_one_line("recordings --limit x", 2, "--limit");
}

static void failures_are_1_in_one_line(void **state) {
    (void)state;
    expect_one_line("status", 1, "no factory answers at http://127.0.0.1:9");
    expect_one_line("models", 1, "flywheel serve");
    expect_one_line("models add nothing.safetensors", 1, "cannot open nothing.safetensors");
    expect_one_line("models make idm /no/such/folder/file", 1, "/no/such/folder");
    expect_one_line("log info nothing.mcap", 1, "nothing.mcap");
    expect_one_line("serve --data d --listen nonsense", 1, "ADDRESS:PORT");
    char path[100];
    snprintf(path, sizeof path, "%s/file", folder);
    write_text(path, "x");
    expect_one_line("serve --data file/data", 1, "file");
    expect_one_line("serve --data file", 1, "not a folder");
    snprintf(path, sizeof path, "%s/old", folder);
    assert_int_equal(mkdir(path, 0755), 0);
    strcat(path, "/catalogue.sqlite");
    write_text(path, "an older program's file, of no form that we know");
    expect_one_line("serve --data old --listen 127.0.0.1:0", 1, "not a database");
}

static void rules_are_made_with_their_hash(void **state) {
    (void)state;
    char path[100], first[FW_HASH_HEX + 1];
    fw_hash hash;
    fw_error error;
    expect("models make constant m", 0, "");
    snprintf(path, sizeof path, "%s/m", folder);
    assert_int_equal(fw_hash_file(path, &hash, &error), FW_OK);
    assert_int_equal(strncmp(output, hash.hex, FW_HASH_HEX), 0);
    expect("models make untrained m --seed 3", 0, "");
    snprintf(first, sizeof first, "%.64s", output);
    expect("models make untrained m --seed 3", 0, first);
    assert_int_equal(run("models make untrained m --seed 4"), 0);
    assert_null(strstr(output, first));
}

static void a_recording_is_described(void **state) {
    (void)state;
    static uint8_t bytes[MCAP_MAX];
    char path[100];
    fw_error error;
    size_t size = make_mcap(bytes, 1, 2);
    snprintf(path, sizeof path, "%s/a.mcap", folder);
    assert_int_equal(fw_file_write_durable(fw_env_real(), path, bytes, size, &error), FW_OK);
    expect("log info a.mcap", 0, "/event");
    expect("log info a.mcap --json", 0, "\"messages\":52");
    assert_int_equal(fw_file_write_durable(fw_env_real(), path, bytes, size - 20, &error), FW_OK);
    expect_one_line("log info a.mcap", 1, "byte");
}

int main(void) {
    if (access(PROGRAM, X_OK) != 0) return 77;
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, clean)
    const struct CMUnitTest tests[] = {
        TEST(every_command_has_help),     TEST(wrong_usage_is_2_in_one_line),
        TEST(failures_are_1_in_one_line), TEST(rules_are_made_with_their_hash),
        TEST(a_recording_is_described),
    };
    return cmocka_run_group_tests_name("cli", tests, NULL, NULL);
}
