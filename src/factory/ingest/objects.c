#include "factory/ingest/objects.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

void fw_objects_path(const fw_objects *objects, const char *sha256, char out[FW_PATH_MAX]) {
    FW_ASSERT(fw_hash_valid(sha256));
    int used = snprintf(out, FW_PATH_MAX, "%s/%.2s/%s", objects->folder, sha256, sha256);
    FW_ASSERT(used > 0 && used < FW_PATH_MAX);
}

void fw_objects_part_path(const fw_objects *objects, const char *sha256, char out[FW_PATH_MAX]) {
    FW_ASSERT(fw_hash_valid(sha256));
    int used = snprintf(out, FW_PATH_MAX, "%s/%.2s/%s.part", objects->folder, sha256, sha256);
    FW_ASSERT(used > 0 && used < FW_PATH_MAX);
}

/* Removes .part and .tmp files not written to for part_age_s. */
static void sweep_folder(const fw_objects *objects, const char *folder, int64_t part_age_s) {
    char path[FW_PATH_MAX + 300];
    struct stat info;
    DIR *dir = opendir(folder);
    if (!dir) return;
    int64_t now_s = fw_env_wall_ns(objects->env) / 1000000000;
    for (struct dirent *entry; (entry = readdir(dir));) {
        const char *dot = strrchr(entry->d_name, '.');
        if (!dot || (strcmp(dot, ".part") != 0 && strcmp(dot, ".tmp") != 0)) continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (stat(path, &info) == 0 && now_s - (int64_t)info.st_mtime >= part_age_s) unlink(path);
    }
    closedir(dir);
}

void fw_objects_sweep(const fw_objects *objects, int64_t part_age_s) {
    char folder[FW_PATH_MAX + 8];
    for (unsigned i = 0; i < 256; i++) {
        snprintf(folder, sizeof folder, "%s/%02x", objects->folder, i);
        sweep_folder(objects, folder, part_age_s);
    }
}

fw_status fw_objects_open(const fw_env *env, const char *data_folder, fw_objects *out,
                          fw_error *error) {
    fw_objects objects = {.env = env};
    char folder[FW_PATH_MAX + 8];
    if (strlen(data_folder) > FW_PATH_MAX - 120)
        return fw_fail(error, FW_TOO_BIG, "the path of the data folder is too long");
    fw_path_join(objects.folder, sizeof objects.folder, data_folder, "objects");
    FW_TRY(fw_folder_make(objects.folder, 0755, error));
    for (unsigned i = 0; i < 256; i++) {
        snprintf(folder, sizeof folder, "%s/%02x", objects.folder, i);
        if (mkdir(folder, 0755) != 0 && errno != EEXIST)
            return fw_fail_errno(error, "cannot create %s", folder);
    }
    FW_TRY(fw_folder_sync(env, objects.folder, error));
    *out = objects;
    return FW_OK;
}

uint64_t fw_objects_part_bytes(const fw_objects *objects, const char *sha256) {
    char path[FW_PATH_MAX];
    struct stat info;
    fw_objects_part_path(objects, sha256, path);
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) ? (uint64_t)info.st_size : 0;
}

/* The hash in a part's file name; false for every other name. */
static bool part_hash(const char *name, char sha256[FW_HASH_HEX + 1]) {
    const char *dot = strrchr(name, '.');
    if (!dot || dot - name != FW_HASH_HEX || strcmp(dot, ".part") != 0) return false;
    snprintf(sha256, FW_HASH_HEX + 1, "%.*s", FW_HASH_HEX, name);
    return fw_hash_valid(sha256);
}

void fw_objects_each_part(const fw_objects *objects, fw_objects_visit visit, void *self) {
    char folder[FW_PATH_MAX + 8], sha256[FW_HASH_HEX + 1];
    bool going = true;
    for (unsigned i = 0; i < 256 && going; i++) {
        snprintf(folder, sizeof folder, "%s/%02x", objects->folder, i);
        DIR *dir = opendir(folder);
        if (!dir) continue;
        for (struct dirent *entry; going && (entry = readdir(dir));)
            if (part_hash(entry->d_name, sha256))
                going = visit(self, sha256, fw_objects_part_bytes(objects, sha256));
        closedir(dir);
    }
}

/* ---- parts ---- */

void fw_objects_part_remove(const fw_objects *objects, const char *sha256) {
    char path[FW_PATH_MAX];
    fw_objects_part_path(objects, sha256, path);
    if (unlink(path) != 0 && errno != ENOENT && truncate(path, 0) != 0)
        fw_log_error("cannot give up %s", path);
}

fw_status fw_objects_part_sync(const fw_objects *objects, const char *sha256, int fd,
                               fw_error *error) {
    if (objects->env->fdatasync(objects->env->self, fd) == 0) return FW_OK;
    fw_status status = fw_fail_errno(error, "cannot make the upload durable");
    fw_objects_part_remove(objects, sha256);
    return status;
}

fw_status fw_objects_part_durable(const fw_objects *objects, const char *sha256,
                                  uint64_t *size_bytes, fw_error *error) {
    char path[FW_PATH_MAX];
    struct stat info;
    *size_bytes = 0;
    fw_objects_part_path(objects, sha256, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT ? FW_OK : fw_fail_errno(error, "cannot open %s", path);
    fw_status status = fstat(fd, &info) == 0 ? FW_OK : fw_fail_errno(error, "cannot read %s", path);
    if (status == FW_OK && info.st_size > 0)
        status = fw_objects_part_sync(objects, sha256, fd, error);
    close(fd);
    if (status == FW_OK) *size_bytes = (uint64_t)info.st_size;
    return status;
}

/* One piece at `at` read, and written over itself. */
static fw_status renew(const fw_objects *objects, int fd, uint64_t at, void *bytes, size_t size,
                       size_t *used, fw_error *error) {
    ssize_t got = pread(fd, bytes, size, (off_t)at);
    if (got == 0) return fw_fail(error, FW_IO, "an upload became shorter while it was resumed");
    if (got < 0 || lseek(fd, (off_t)at, SEEK_SET) < 0)
        return fw_fail_errno(error, "cannot read an upload back");
    *used = (size_t)got;
    return fw_file_write_all(objects->env, fd, bytes, *used, "the upload", error);
}

fw_status fw_objects_part_open(const fw_objects *objects, const char *sha256, uint64_t offset,
                               void (*add)(void *self, const void *bytes, size_t size_bytes),
                               void *self, int *fd, fw_error *error) {
    char path[FW_PATH_MAX], buffer[65536];
    fw_objects_part_path(objects, sha256, path);
    int part = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (part < 0) return fw_fail_errno(error, "cannot create an upload");
    fw_status status = FW_OK;
    if (ftruncate(part, (off_t)offset) != 0)
        status = fw_fail_errno(error, "cannot resume an upload");
    for (uint64_t at = 0; at < offset && status == FW_OK;) {
        uint64_t left = offset - at;
        size_t used = 0;
        status = renew(objects, part, at, buffer, left < sizeof buffer ? left : sizeof buffer,
                       &used, error);
        if (status == FW_OK) add(self, buffer, used);
        at += used;
    }
    if (status == FW_OK)
        *fd = part;
    else
        close(part);
    return status;
}

fw_status fw_objects_name(const fw_objects *objects, const char *sha256, fw_error *error) {
    char part[FW_PATH_MAX], path[FW_PATH_MAX];
    fw_objects_part_path(objects, sha256, part);
    fw_objects_path(objects, sha256, path);
    if (objects->env->rename(objects->env->self, part, path) != 0)
        return fw_fail_errno(error, "cannot store the upload");
    return FW_OK;
}

fw_status fw_objects_folder_sync(const fw_objects *objects, const char *sha256, fw_error *error) {
    char folder[FW_PATH_MAX];
    fw_objects_path(objects, sha256, folder);
    *strrchr(folder, '/') = '\0';
    return fw_folder_sync(objects->env, folder, error);
}

fw_status fw_objects_put(const fw_objects *objects, const void *bytes, size_t size_bytes,
                         fw_hash *hash, fw_error *error) {
    char path[FW_PATH_MAX];
    fw_hash name = fw_hash_bytes(bytes, size_bytes);
    fw_objects_path(objects, name.hex, path);
    FW_TRY(fw_file_write_durable(objects->env, path, bytes, size_bytes, error));
    *hash = name;
    return FW_OK;
}

fw_status fw_objects_put_file(const fw_objects *objects, const char *path, size_t max_bytes,
                              fw_hash *hash, uint64_t *size_bytes, fw_error *error) {
    char *bytes;
    size_t size;
    FW_TRY(fw_file_read(path, max_bytes, &bytes, &size, error));
    fw_status status = fw_objects_put(objects, bytes, size, hash, error);
    free(bytes);
    if (status == FW_OK) *size_bytes = size;
    return status;
}

void fw_objects_remove(const fw_objects *objects, const char *sha256) {
    char path[FW_PATH_MAX];
    fw_objects_path(objects, sha256, path);
    unlink(path);
}
