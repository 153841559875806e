/* tuf_download.c - a target's bytes into a file, at once or in several goes (tuf.h; section 5.7). */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trust/tuf_digest.h"
#include "trust/tuf_inner.h"

enum { PIECE_BYTES = 1 << 16, PART_PATH_MAX = FW_PATH_MAX + 8, ADDRESS_MAX = 1024 };

/* ---- is it the target? ---- */

static fw_status digest_file(int fd, fw_tuf_digest *digest, uint64_t *size_bytes, fw_error *error) {
    uint8_t piece[PIECE_BYTES];
    for (*size_bytes = 0;;) {
        ssize_t got = pread(fd, piece, sizeof piece, (off_t)*size_bytes);
        if (got < 0) return fw_fail_errno(error, "cannot read a target");
        if (got == 0) return FW_OK;
        fw_tuf_digest_add(digest, piece, (size_t)got);
        *size_bytes += (uint64_t)got;
    }
}

/* FW_OK, FW_MISMATCH, or why it cannot be said. */
static fw_status check_file(int fd, const fw_tuf_target *target, fw_error *error) {
    fw_tuf_hashes hashes = {{*target->sha256.hex ? target->sha256.hex : NULL, *target->sha512 ? target->sha512 : NULL}};
    fw_tuf_digest digest;
    uint64_t size_bytes = 0;
    fw_error ignored;
    FW_TRY(fw_tuf_digest_begin(&digest, error));
    fw_status status = digest_file(fd, &digest, &size_bytes, error);
    fw_status compared = fw_tuf_digest_end(&digest, &hashes, target->path, status == FW_OK ? error : &ignored);
    if (status != FW_OK) return status;
    if (size_bytes != target->length_bytes)
        return fw_fail(error, FW_MISMATCH, "%s has %" PRIu64 " bytes, %" PRIu64 " were signed", target->path, size_bytes,
                       target->length_bytes);
    return compared;
}

static bool is_there(const char *path, const fw_tuf_target *target) {
    fw_error ignored;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool good = check_file(fd, target, &ignored) == FW_OK;
    close(fd);
    return good;
}

/* ---- fetching ---- */

/* "a/b.bin" is "a/HASH.b.bin" in a repository of consistent snapshots. */
static fw_status address_of(const fw_tuf_client *c, const fw_tuf_target *target, char out[ADDRESS_MAX], fw_error *error) {
    char named[sizeof target->path + sizeof target->sha512 + 1];
    const char *slash = strrchr(target->path, '/');
    int folder = slash ? (int)(slash + 1 - target->path) : 0;
    if (fw_tuf_consistent(c))
        snprintf(named, sizeof named, "%.*s%s.%s", folder, target->path,
                 *target->sha256.hex ? target->sha256.hex : target->sha512, target->path + folder);
    else snprintf(named, sizeof named, "%s", target->path);
    return fw_tuf_quote(named, true, out, ADDRESS_MAX, error);
}

static fw_status size_of(int fd, uint64_t *out, fw_error *error) {
    struct stat info;
    if (fstat(fd, &info) != 0) return fw_fail_errno(error, "cannot look at a partial download");
    *out = (uint64_t)info.st_size;
    return FW_OK;
}

static fw_status empty(int fd, fw_error *error) {
    return ftruncate(fd, 0) == 0 ? FW_OK : fw_fail_errno(error, "cannot empty a partial download");
}

/* One go: from where the file ends to the target's end. *from: where it began. What was cut stays for the next. */
static fw_status fetch_rest(const fw_tuf_client *c, const fw_tuf_target *target, const char *address, int fd, uint64_t *from,
                            fw_error *error) {
    uint64_t end = target->length_bytes;
    FW_TRY(size_of(fd, from, error));
    if (*from > end) {
        FW_TRY(empty(fd, error));
        *from = 0;
    }
    if (lseek(fd, (off_t)*from, SEEK_SET) < 0) return fw_fail_errno(error, "cannot go on with a partial download");
    if (*from < end) {
        FW_TRY(c->fetch.target(c->fetch.self, address, *from, (size_t)(target->length_bytes - *from), fd, error));
        FW_TRY(size_of(fd, &end, error));
    }
    if (end < target->length_bytes)
        return fw_fail(error, FW_CLOSED, "%s was cut after %" PRIu64 " of %" PRIu64 " bytes", target->path, end,
                       target->length_bytes);
    return check_file(fd, target, error);
}

/* What lies there from before may be of another file: a wrong whole is fetched once more from its first byte. */
static fw_status fetch_all(const fw_tuf_client *c, const fw_tuf_target *target, int fd, fw_error *error) {
    char address[ADDRESS_MAX];
    uint64_t from = 0;
    FW_TRY(address_of(c, target, address, error));
    fw_status status = fetch_rest(c, target, address, fd, &from, error);
    if (status != FW_MISMATCH && status != FW_TOO_BIG) return status;
    FW_TRY(empty(fd, error));
    return from > 0 ? fetch_rest(c, target, address, fd, &from, error) : status;
}

static fw_status settle(const fw_tuf_client *c, int fd, const char *part, const char *path, fw_error *error) {
    char folder[FW_PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + (slash == path) : 1, slash ? path : ".");
    if (c->env->fdatasync(c->env->self, fd) != 0) return fw_fail_errno(error, "cannot make %s durable", part);
    if (c->env->rename(c->env->self, part, path) != 0) return fw_fail_errno(error, "cannot rename %s", part);
    return fw_folder_sync(c->env, folder, error);
}

fw_status fw_tuf_download(fw_tuf_client *c, const fw_tuf_target *target, const char *path, fw_error *error) {
    char part[PART_PATH_MAX];
    if (strlen(path) >= FW_PATH_MAX) return fw_fail(error, FW_TOO_BIG, "the path for a target is too long");
    if (is_there(path, target)) return FW_OK;
    snprintf(part, sizeof part, "%s.part", path);
    int fd = open(part, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0) return fw_fail_errno(error, "cannot open %s", part);
    fw_status status = fetch_all(c, target, fd, error);
    if (status == FW_OK) status = settle(c, fd, part, path, error);
    close(fd);
    if (status == FW_MISMATCH || status == FW_TOO_BIG) unlink(part);
    return status;
}
