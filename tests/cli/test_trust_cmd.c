/* `flywheel trust` as a person meets it: whose the folder is, and what a mistyped one does. */
#include <sys/stat.h>

#include "program.h"

#include "base/file.h"

static char folder[] = "/tmp/fw_trust_cmd_XXXXXX", output[1 << 16];

static int run(const char *words) {
    char command[400];
    snprintf(command, sizeof command, "cd %s && umask 022 && %s trust %s 2>&1", folder, PROGRAM, words);
    return run_command(command, output, sizeof output);
}

static void expect(const char *words, int status, const char *text) {
    expect_outcome(words, run(words), status, text, output);
}

static mode_t mode_of(const char *name) {
    char path[200];
    struct stat info;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(stat(path, &info), 0);
    return info.st_mode & 0777;
}

static void test_a_new_folder_is_its_users_alone(void **state) {
    (void)state;
    expect("init --data data", 0, "keys and roots are in data/trust");
    assert_int_equal(mode_of("data"), 0700);
    assert_int_equal(mode_of("data/trust/keys"), 0700);
    assert_int_equal(mode_of("data/trust/keys/image/targets.pem"), 0600);
    assert_int_equal(mode_of("data/trust/keys/director/root.pem"), 0600);
    assert_int_equal(mode_of("data/trust/keys/release.pem"), 0600);
    expect("export-root root.json --data another", 0, "");
    assert_int_equal(mode_of("another"), 0700);
    expect("verify --data data", 0, "verified: 0 releases");
}

static void test_a_mistyped_folder_gets_no_keys(void **state) {
    (void)state;
    const char *const verbs[] = {"status", "verify", "rotate timestamp", "delegate driving 'driving/*'",
                                 "sign --keys stick", "release-key"};
    char words[200], path[200];
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        snprintf(words, sizeof words, "%s --data dtaa", verbs[i]);
        expect(words, 1, "no folder dtaa");
        snprintf(path, sizeof path, "%s/dtaa", folder);
        assert_false(fw_file_exists(path));
    }
}

int main(void) {
    fw_error error;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_folder_is_its_users_alone),
        cmocka_unit_test(test_a_mistyped_folder_gets_no_keys),
    };
    if (!mkdtemp(folder)) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return fw_folder_remove(folder, &error) == FW_OK ? failed : 1;
}
