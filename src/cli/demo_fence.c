/* demo_fence.c - see demo_fence.h */
#include "cli/demo_fence.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"

/* Rights of the first Landlock version: open, list, execute, make and remove. */
#define FILE_RIGHTS                                                                                \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE)
#define FOLDER_RIGHTS                                                                              \
    (FILE_RIGHTS | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR |                   \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | \
     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |   \
     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

static long version(void) {
    return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

bool fw_fence_available(void) { return version() >= 2; }

/* Version 2 names renames between folders, which are refused unless allowed; version 1 always
 * refuses them, so that it cannot be used. */
static uint64_t folder_rights(void) { return FOLDER_RIGHTS | LANDLOCK_ACCESS_FS_REFER; }

/* Lets everything at `path` through; entries that vanish or cannot be opened stay closed. */
static void allow(int ruleset, const char *path) {
    struct stat info;
    int fd = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return;
    if (fstat(fd, &info) == 0 && !S_ISLNK(info.st_mode)) {
        struct landlock_path_beneath_attr rule = {
            .allowed_access = S_ISDIR(info.st_mode) ? folder_rights() : FILE_RIGHTS,
            .parent_fd = fd};
        (void)!syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    }
    close(fd);
}

/* Allows every entry of `folder` except the one called `closed`. */
static fw_status allow_all_but(int ruleset, const char *folder, const char *closed,
                               fw_error *error) {
    DIR *dir = opendir(folder);
    if (dir == NULL) return fw_fail_errno(error, "cannot list %s", folder);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[PATH_MAX];
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, closed) == 0) continue;
        if ((size_t)snprintf(path, sizeof path, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder,
                             name) < sizeof path)
            allow(ruleset, path);
    }
    closedir(dir);
    return FW_OK;
}

/* Walks from / to the fenced folder, one level of the path at a time. */
static fw_status allow_around(int ruleset, char *fenced, fw_error *error) {
    char folder[PATH_MAX] = "/";
    size_t used = 0;
    for (char *save = NULL, *name = strtok_r(fenced, "/", &save); name;
         name = strtok_r(NULL, "/", &save)) {
        FW_TRY(allow_all_but(ruleset, folder, name, error));
        int size = snprintf(folder + used, sizeof folder - used, "/%s", name);
        if (size < 0 || (size_t)size >= sizeof folder - used)
            return fw_fail(error, FW_TOO_BIG, "path too long");
        used += (size_t)size;
    }
    return FW_OK;
}

fw_status fw_fence_off(const char *path, fw_error *error) {
    char fenced[PATH_MAX];
    if (!fw_fence_available())
        return fw_fail(error, FW_UNSUPPORTED, "this kernel has no Landlock (Linux 5.19)");
    if (realpath(path, fenced) == NULL || strcmp(fenced, "/") == 0)
        return fw_fail_errno(error, "cannot fence off %s", path);
    struct landlock_ruleset_attr attr = {.handled_access_fs = folder_rights()};
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (ruleset < 0) return fw_fail_errno(error, "cannot make a Landlock ruleset");
    fw_status status = allow_around(ruleset, fenced, error);
    if (status == FW_OK && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
                            syscall(SYS_landlock_restrict_self, ruleset, 0) != 0))
        status = fw_fail_errno(error, "cannot put up the fence around %s", path);
    close(ruleset);
    return status;
}
