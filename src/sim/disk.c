/* disk.c - noting what is not durable (disk.h); disk_cut.c says what a power cut leaves. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "sim/disk_state.h"

/* ---- inodes ---- */

fw_sim_inode *fw_sim_inode_find(const fw_sim_disk *d, ino_t number) {
    for (fw_sim_inode *i = d->inodes; i; i = i->next)
        if (i->number == number) return i;
    return NULL;
}

static fw_sim_inode *inode_of(fw_sim_disk *d, ino_t number) {
    fw_sim_inode *i = fw_sim_inode_find(d, number);
    if (i) return i;
    i = calloc(1, sizeof *i);
    FW_ASSERT(i);
    *i = (fw_sim_inode){.next = d->inodes, .number = number};
    return d->inodes = i;
}

static void free_note(fw_sim_note *n) {
    free(n->old);
    free(n->fresh);
    free(n);
}

/* All of them, or those that no failed flush made doubtful. */
static void forget_notes(fw_sim_inode *i, bool doomed_too) {
    fw_sim_note **at = &i->notes;
    while (*at) {
        fw_sim_note *n = *at;
        if (n->doomed && !doomed_too) {
            at = &n->next;
            continue;
        }
        *at = n->next;
        free_note(n);
    }
    i->last = at;
}

void fw_sim_inodes_free(fw_sim_disk *d) {
    while (d->inodes) {
        fw_sim_inode *i = d->inodes;
        d->inodes = i->next;
        forget_notes(i, true);
        free(i);
    }
}

static void *copy_of(const void *bytes, size_t size_bytes) {
    void *copy = malloc(size_bytes ? size_bytes : 1);
    FW_ASSERT(copy);
    memcpy(copy, bytes, size_bytes);
    return copy;
}

/* The part [from, to) of a note, as a note of its own; NULL when there is none. */
static fw_sim_note *part_of(const fw_sim_note *n, uint64_t from, uint64_t to) {
    if (from < n->offset) from = n->offset;
    if (to > n->offset + n->size_bytes) to = n->offset + n->size_bytes;
    if (from >= to) return NULL;
    size_t skip = (size_t)(from - n->offset), size = (size_t)(to - from);
    size_t had = n->old_bytes > skip ? n->old_bytes - skip : 0;
    fw_sim_note *part = calloc(1, sizeof *part);
    FW_ASSERT(part);
    *part = (fw_sim_note){.offset = from, .size_bytes = size, .file_bytes = n->file_bytes,
                          .old_bytes = had < size ? had : size, .doomed = n->doomed};
    part->old = copy_of(n->old + (had ? skip : 0), part->old_bytes);
    part->fresh = copy_of(n->fresh + skip, size);
    return part;
}

/* What is written over is no longer in doubt: what a failed flush left shrinks to what lies beside. */
static void forget_doomed(fw_sim_inode *i, uint64_t from, uint64_t to) {
    for (fw_sim_note **at = &i->notes; *at;) {
        fw_sim_note *n = *at, *after = n->next;
        if (!n->doomed || n->offset >= to || n->offset + n->size_bytes <= from) {
            at = &n->next;
            continue;
        }
        fw_sim_note *left = part_of(n, 0, from), *right = part_of(n, to, UINT64_MAX);
        *at = left ? left : right ? right : after;
        if (left) left->next = right ? right : after;
        if (right) right->next = after;
        while (*at != after) at = &(*at)->next;
        free_note(n);
    }
    i->last = &i->notes;
    while (*i->last) i->last = &(*i->last)->next;
}

/* ---- operations ---- */

/* Counts an operation; false when there is no power (any more). */
static bool powered(fw_sim_disk *d) {
    if (!d->dead) {
        d->operations++;
        if (d->cut_after > 0 && --d->cut_after == 0) fw_sim_disk_cut(d);
    }
    if (d->dead) errno = EIO;
    return !d->dead;
}

bool fw_sim_disk_note(fw_sim_disk *d, ino_t number, uint64_t file_bytes, uint64_t offset,
                      const void *old, size_t old_bytes, const void *fresh, size_t size_bytes) {
    if (!powered(d)) return false;
    if (d->no_space) {
        errno = ENOSPC;
        return false;
    }
    fw_sim_inode *i = inode_of(d, number);
    if (file_bytes == 0) forget_notes(i, true); /* a new file, or one cut to nothing */
    if (!i->last) i->last = &i->notes;
    forget_doomed(i, offset, offset + size_bytes);
    fw_sim_note *n = calloc(1, sizeof *n);
    FW_ASSERT(n);
    *n = (fw_sim_note){.offset = offset, .size_bytes = size_bytes, .file_bytes = file_bytes,
                       .old_bytes = old_bytes, .old = copy_of(old, old_bytes),
                       .fresh = copy_of(fresh, size_bytes)};
    *i->last = n;
    i->last = &n->next;
    return true;
}

ssize_t fw_sim_disk_write(fw_sim_disk *d, int fd, const void *bytes, size_t size_bytes) {
    struct stat info;
    int flags = fcntl(fd, F_GETFL);
    if (fstat(fd, &info) != 0 || flags < 0) return -1;
    if (!S_ISREG(info.st_mode)) return write(fd, bytes, size_bytes);
    off_t at = (flags & O_APPEND) ? info.st_size : lseek(fd, 0, SEEK_CUR);
    if (at < 0) return -1;
    char path[64], *old = malloc(size_bytes ? size_bytes : 1);
    FW_ASSERT(old);
    ssize_t had = 0;
    if (at < info.st_size) { /* the descriptor may be for writing alone */
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        int reader = open(path, O_RDONLY | O_CLOEXEC);
        had = reader >= 0 ? pread(reader, old, size_bytes, at) : -1;
        if (reader >= 0) close(reader);
    }
    bool noted = had >= 0 && fw_sim_disk_note(d, info.st_ino, (uint64_t)info.st_size, (uint64_t)at,
                                              old, (size_t)had, bytes, size_bytes);
    free(old);
    return noted ? write(fd, bytes, size_bytes) : -1;
}

/* Linux says so once, and takes the pages for clean. */
static bool flush_fails(fw_sim_disk *d, fw_sim_inode *i) {
    if (d->flush_fails == 0 || --d->flush_fails > 0) return false;
    uint32_t count = 0;
    for (fw_sim_note *n = i ? i->notes : NULL; n; n = n->next, count++) n->doomed = true;
    fw_log_debug("simulated: a flush fails, %u writes in doubt", count);
    errno = EIO;
    return true;
}

static bool sync_inode(fw_sim_disk *d, ino_t number) {
    fw_sim_inode *i = fw_sim_inode_find(d, number);
    if (flush_fails(d, i)) return false;
    if (i) forget_notes(i, false);
    return true;
}

bool fw_sim_disk_sync_inode(fw_sim_disk *d, ino_t number) {
    if (!powered(d)) return false;
    return d->drops_vfs_syncs || sync_inode(d, number);
}

bool fw_sim_disk_sync_folder(fw_sim_disk *d, const char *path) {
    if (!powered(d)) return false;
    if (!d->drops_folder_syncs) fw_sim_folder_settle(d, path);
    return true;
}

int fw_sim_disk_sync(fw_sim_disk *d, int fd) {
    struct stat info;
    if (fstat(fd, &info) != 0) return -1;
    if (S_ISDIR(info.st_mode)) {
        char link[64], path[FW_PATH_MAX];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t size = readlink(link, path, sizeof path - 1);
        if (size < 0) return -1;
        path[size] = '\0';
        return fw_sim_disk_sync_folder(d, path) ? 0 : -1;
    }
    if (!powered(d)) return -1;
    return d->drops_file_syncs || sync_inode(d, info.st_ino) ? 0 : -1;
}

int fw_sim_disk_rename(fw_sim_disk *d, const char *from, const char *to) {
    return powered(d) ? rename(from, to) : -1;
}

/* ---- life ---- */

fw_status fw_sim_disk_open(fw_sim_disk *d, const char *root, fw_random random, fw_error *error) {
    *d = (fw_sim_disk){.random = random};
    if (strlen(root) >= sizeof d->root) return fw_fail(error, FW_TOO_BIG, "path too long");
    strcpy(d->root, root);
    FW_TRY(fw_folder_make(d->root, 0755, error));
    return fw_sim_folders_begin(d, error);
}

void fw_sim_disk_close(fw_sim_disk *d) {
    char path[FW_PATH_MAX];
    fw_error error;
    fw_sim_inodes_free(d);
    fw_sim_folders_free(d);
    (void)!fw_folder_remove(d->root, &error);
    snprintf(path, sizeof path, "%s.held", d->root);
    (void)!fw_folder_remove(path, &error);
    snprintf(path, sizeof path, "%s.next", d->root);
    (void)!fw_folder_remove(path, &error);
}
