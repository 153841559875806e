/* A confined child is kept out of what it was not given, and in what it was. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/confine.h"
#include "base/file.h"

static char root[64], mine[96], secret_folder[96], secret[128];

static int make_folders(void **unused) {
    (void)unused;
    fw_error error;
    snprintf(root, sizeof root, "/tmp/fw_confine_XXXXXX");
    if (!mkdtemp(root)) return -1;
    snprintf(mine, sizeof mine, "%s/mine", root);
    snprintf(secret_folder, sizeof secret_folder, "%s/exam", root);
    snprintf(secret, sizeof secret, "%s/results", secret_folder);
    if (mkdir(mine, 0755) != 0 || mkdir(secret_folder, 0755) != 0) return -1;
    return fw_file_write_durable(fw_env_real(), secret, "truth", 5, &error) == FW_OK ? 0 : -1;
}
static int remove_folders(void **unused) {
    (void)unused;
    fw_error error;
    return fw_folder_remove(root, &error) == FW_OK ? 0 : -1;
}

/* errno of opening, 0 when it opens. */
static int open_errno(const char *path, int flags) {
    int fd = open(path, flags | O_CLOEXEC, 0644);
    int code = fd < 0 ? errno : 0;
    if (fd >= 0) close(fd);
    return code;
}

/* Each check has a number: the child's exit status says which failed. */
static int inside(void) {
    char path[160], other[160], link_path[160];
    fw_error error;
    if (fw_confine_to(mine, "/usr/bin", &error) != FW_OK) return 1;
    if (open_errno(secret, O_RDONLY) != EACCES) return 2;
    if (open_errno(secret_folder, O_RDONLY | O_DIRECTORY) != EACCES) return 3;
    snprintf(path, sizeof path, "%s/new", secret_folder);
    if (open_errno(path, O_WRONLY | O_CREAT) != EACCES) return 4;
    snprintf(path, sizeof path, "%s/file", mine);
    if (open_errno(path, O_WRONLY | O_CREAT) != 0) return 5;
    snprintf(other, sizeof other, "%s/other", mine);
    if (rename(path, other) != 0) return 6;
    snprintf(link_path, sizeof link_path, "%s/link", mine);
    if (symlink(secret, link_path) != 0) return 7;
    if (open_errno(link_path, O_RDONLY) != EACCES) return 8; /* no way round by a link */
    if (open_errno("/etc/passwd", O_RDONLY) != 0) return 9;
    if (open_errno("/etc/passwd", O_WRONLY) != EACCES) return 10;
    if (open_errno("/dev/null", O_WRONLY) != 0) return 11;
    if (unlink(secret) == 0) return 12;
    return 0;
}

/* What the confined one starts is confined too. */
static int inside_child(void) {
    fw_error error;
    if (fw_confine_to(mine, "/usr/bin", &error) != FW_OK) return 1;
    pid_t pid = fork();
    int status = 0;
    if (pid == 0) {
        execl("/bin/cat", "cat", secret, (char *)NULL);
        _exit(99);
    }
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) return 2;
    return WEXITSTATUS(status) == 1 ? 0 : 3;
}

/* What the confined process can open and what fw_confine_reaches says agree. */
static int inside_agrees(void) {
    char kept[160], link_path[160];
    bool reaches = true;
    fw_error error;
    snprintf(kept, sizeof kept, "%s/kept", mine);
    if (mkdir(kept, 0700) != 0) return 1;
    snprintf(link_path, sizeof link_path, "%s/door", root);
    if (symlink(mine, link_path) != 0) return 2;
    const char *const open_to_it[] = {mine, kept, link_path, "/usr/bin", "/lib", "/etc/passwd"};
    const char *const closed[] = {secret, secret_folder, root};
    bool said[6], said_closed[3];
    for (int i = 0; i < 6; i++)
        if (fw_confine_reaches(mine, "/usr/bin", open_to_it[i], &said[i], &error) != FW_OK) return 3;
    for (int i = 0; i < 3; i++)
        if (fw_confine_reaches(mine, "/usr/bin", closed[i], &said_closed[i], &error) != FW_OK)
            return 4;
    if (fw_confine_reaches(mine, "/usr/bin", "/not/there", &reaches, &error) == FW_OK) return 5;
    if (fw_confine_to(mine, "/usr/bin", &error) != FW_OK) return 6;
    for (int i = 0; i < 6; i++)
        if (!said[i] || open_errno(open_to_it[i], O_RDONLY) != 0) return 10 + i;
    for (int i = 0; i < 3; i++)
        if (said_closed[i] || open_errno(closed[i], O_RDONLY) != EACCES) return 20 + i;
    return 0;
}

static int in_a_child(int (*body)(void)) {
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        freopen("/dev/null", "w", stderr);
        _exit(body());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void confined_process(void **unused) {
    (void)unused;
    if (fw_confine_version() == 0) skip();
    assert_int_equal(in_a_child(inside), 0);
    assert_int_equal(open_errno(secret, O_RDONLY), 0); /* we are still free */
}

static void confined_children(void **unused) {
    (void)unused;
    if (fw_confine_version() == 0) skip();
    assert_int_equal(in_a_child(inside_child), 0);
}

static void what_is_reached_is_known_before(void **unused) {
    (void)unused;
    if (fw_confine_version() == 0) skip();
    assert_int_equal(in_a_child(inside_agrees), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(confined_process, make_folders, remove_folders),
        cmocka_unit_test_setup_teardown(confined_children, make_folders, remove_folders),
        cmocka_unit_test_setup_teardown(what_is_reached_is_known_before, make_folders,
                                        remove_folders),
    };
    return cmocka_run_group_tests_name("confine", tests, NULL, NULL);
}
