#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

fw_status fw_file_read(const char *path, size_t max_bytes, char **bytes, size_t *size_bytes,
                       fw_error *error) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fw_fail_errno(error, "cannot open %s", path);
    fw_status status = FW_OK;
    char *buffer = NULL;
    struct stat info;
    size_t at = 0;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        status = fw_fail(error, FW_INVALID, "%s is not a plain file", path);
    } else if ((uint64_t)info.st_size > max_bytes) {
        status = fw_fail(error, FW_TOO_BIG, "%s has %lld bytes, the limit is %zu", path,
                         (long long)info.st_size, max_bytes);
    } else if (!(buffer = malloc((size_t)info.st_size + 1))) {
        status = fw_fail(error, FW_NO_MEMORY, "no memory to read %s", path);
    } else {
        ssize_t got = 1;
        while (at < (size_t)info.st_size && got > 0) {
            got = read(fd, buffer + at, (size_t)info.st_size - at);
            if (got > 0) at += (size_t)got;
        }
        if (got < 0) status = fw_fail_errno(error, "cannot read %s", path);
    }
    close(fd);
    if (status != FW_OK) {
        free(buffer);
        return status;
    }
    buffer[at] = '\0';
    *bytes = buffer;
    *size_bytes = at;
    return FW_OK;
}

fw_status fw_file_write_all(const fw_env *env, int fd, const void *bytes, size_t size_bytes,
                            const char *what, fw_error *error) {
    const char *at = bytes;
    while (size_bytes > 0) {
        ssize_t put = env->write(env->self, fd, at, size_bytes);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return fw_fail_errno(error, "cannot write %s", what);
        at += put;
        size_bytes -= (size_t)put;
    }
    return FW_OK;
}

fw_status fw_folder_sync(const fw_env *env, const char *path, fw_error *error) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return fw_fail_errno(error, "cannot open folder %s", path);
    fw_status status = FW_OK;
    if (env->fdatasync(env->self, fd) != 0)
        status = fw_fail_errno(error, "cannot make folder %s durable", path);
    close(fd);
    return status;
}

static fw_status write_and_sync(const fw_env *env, const char *path, const void *bytes,
                                size_t size_bytes, fw_error *error) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return fw_fail_errno(error, "cannot create %s", path);
    fw_status status = fw_file_write_all(env, fd, bytes, size_bytes, path, error);
    if (status == FW_OK && env->fdatasync(env->self, fd) != 0)
        status = fw_fail_errno(error, "cannot make %s durable", path);
    close(fd);
    return status;
}

static fw_status sync_folder_of(const fw_env *env, const char *path, fw_error *error) {
    char folder[FW_PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash) *slash = '\0';
    return fw_folder_sync(env, slash ? (folder[0] ? folder : "/") : ".", error);
}

fw_status fw_file_write_durable(const fw_env *env, const char *path, const void *bytes,
                                size_t size_bytes, fw_error *error) {
    char temporary[FW_PATH_MAX + 32];
    snprintf(temporary, sizeof temporary, "%s.%ld.tmp", path, (long)getpid());
    fw_status status = write_and_sync(env, temporary, bytes, size_bytes, error);
    if (status == FW_OK && env->rename(env->self, temporary, path) != 0)
        status = fw_fail_errno(error, "cannot rename %s", temporary);
    if (status != FW_OK) {
        unlink(temporary);
        return status;
    }
    return sync_folder_of(env, path, error);
}

/* `fresh` is made anew: never through a link, never with another mode. */
static fw_status write_fresh(const fw_env *env, const char *fresh, const void *bytes, size_t size_bytes,
                             unsigned mode, fw_error *error) {
    unlink(fresh); /* left by a crash */
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0) return fw_fail_errno(error, "cannot create %s", fresh);
    fw_status status = FW_OK;
    if (fchmod(fd, mode) != 0) status = fw_fail_errno(error, "cannot protect %s", fresh);
    if (status == FW_OK) status = fw_file_write_all(env, fd, bytes, size_bytes, fresh, error);
    if (status == FW_OK && env->fdatasync(env->self, fd) != 0)
        status = fw_fail_errno(error, "cannot make %s durable", fresh);
    close(fd);
    return status;
}

fw_status fw_file_write_mode(const fw_env *env, const char *path, const void *bytes, size_t size_bytes,
                             unsigned mode, fw_error *error) {
    char fresh[FW_PATH_MAX + 8];
    snprintf(fresh, sizeof fresh, "%s.new", path);
    fw_status status = write_fresh(env, fresh, bytes, size_bytes, mode, error);
    if (status == FW_OK && env->rename(env->self, fresh, path) != 0)
        status = fw_fail_errno(error, "cannot write %s", path);
    if (status != FW_OK) {
        unlink(fresh);
        return status;
    }
    return sync_folder_of(env, path, error);
}

fw_status fw_folder_make(const char *path, unsigned mode, fw_error *error) {
    char partial[FW_PATH_MAX];
    if (strlen(path) >= sizeof partial) return fw_fail(error, FW_TOO_BIG, "path too long");
    snprintf(partial, sizeof partial, "%s", path);
    for (char *c = partial + 1; *c; c++) {
        if (*c != '/') continue;
        *c = '\0';
        if (mkdir(partial, 0755) != 0 && errno != EEXIST)
            return fw_fail_errno(error, "cannot create folder %s", partial);
        *c = '/';
    }
    if (mkdir(partial, mode) != 0 && errno != EEXIST)
        return fw_fail_errno(error, "cannot create folder %s", path);
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        return fw_fail(error, FW_INVALID, "%s is not a folder", path);
    return FW_OK;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *ftw) {
    (void)info, (void)type, (void)ftw;
    return remove(path);
}

fw_status fw_folder_remove(const char *path, fw_error *error) {
    if (!fw_file_exists(path)) return FW_OK;
    if (nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS) != 0)
        return fw_fail_errno(error, "cannot remove %s", path);
    return FW_OK;
}

bool fw_file_exists(const char *path) { return access(path, F_OK) == 0; }

static _Thread_local uint64_t size_sum;
static int add_size(const char *path, const struct stat *info, int type, struct FTW *ftw) {
    (void)path, (void)ftw;
    if (type == FTW_F) size_sum += (uint64_t)info->st_size;
    return 0;
}

uint64_t fw_folder_size_bytes(const char *path) {
    size_sum = 0;
    nftw(path, add_size, 32, FTW_PHYS);
    return size_sum;
}

void fw_path_join(char *out, size_t out_size, const char *a, const char *b) {
    int used = snprintf(out, out_size, "%s/%s", a, b);
    FW_ASSERT(used >= 0 && (size_t)used < out_size);
}
