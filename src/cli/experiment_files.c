/* experiment_files.c - see experiment_files.h */
#include "cli/experiment_files.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static fw_status copy_bytes(const char *from, const char *to, fw_error *error) {
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0) return fw_fail_errno(error, "cannot open %s", from);
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t sent = out < 0 ? -1 : 1;
    while (sent > 0) sent = sendfile(out, in, NULL, 1 << 20);
    fw_status status = sent < 0 ? fw_fail_errno(error, "cannot copy %s to %s", from, to) : FW_OK;
    if (out >= 0 && close(out) != 0 && status == FW_OK)
        status = fw_fail_errno(error, "cannot write %s", to);
    close(in);
    return status;
}

static fw_status copy_one(const FTSENT *entry, size_t root, const char *to, fw_error *error) {
    char path[FW_PATH_MAX];
    int size = snprintf(path, sizeof path, "%s%s", to, entry->fts_path + root);
    if (size < 0 || (size_t)size >= sizeof path)
        return fw_fail(error, FW_TOO_BIG, "%s: too long a path", entry->fts_path);
    if (entry->fts_info == FTS_D) return fw_folder_make(path, 0700, error);
    if (entry->fts_info == FTS_F) return copy_bytes(entry->fts_path, path, error);
    if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR || entry->fts_info == FTS_NS)
        return fw_fail(error, FW_IO, "cannot read %s: %s", entry->fts_path, strerror(entry->fts_errno));
    return FW_OK;
}

static FTS *walk(const char *folder) {
    char root[FW_PATH_MAX];
    char *const roots[] = {root, NULL};
    snprintf(root, sizeof root, "%s", folder);
    return fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
}

fw_status fw_experiment_copy(const char *from, const char *to, fw_error *error) {
    fw_status status = FW_OK;
    FTS *tree = walk(from);
    if (tree == NULL) return fw_fail_errno(error, "cannot read %s", from);
    for (FTSENT *entry; status == FW_OK && (entry = fts_read(tree)) != NULL;)
        status = copy_one(entry, strlen(from), to, error);
    fts_close(tree);
    return status;
}

static bool ends_with(const char *name, const char *end) {
    size_t size = strlen(name), tail = strlen(end);
    return size >= tail && strcmp(name + size - tail, end) == 0;
}

uint64_t fw_experiment_bytes(const char *folder, const char *end) {
    uint64_t sum = 0;
    FTS *tree = walk(folder);
    if (tree == NULL) return 0;
    for (FTSENT *entry; (entry = fts_read(tree)) != NULL;)
        if (entry->fts_info == FTS_F && ends_with(entry->fts_name, end))
            sum += (uint64_t)entry->fts_statp->st_size;
    fts_close(tree);
    return sum;
}

fw_status fw_experiment_port(uint16_t *out, fw_error *error) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return fw_fail_errno(error, "cannot open a socket");
    fw_status status = FW_OK;
    if (bind(fd, (struct sockaddr *)&address, size) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        status = fw_fail_errno(error, "no port is free");
    close(fd);
    if (status == FW_OK) *out = ntohs(address.sin_port);
    return status;
}
