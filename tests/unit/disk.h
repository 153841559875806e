/* disk.h - a disk that forgets: an fw_env over a real folder that remembers what was made durable, and after a cut makes
 * the folder that a machine could find at its next start.
 *
 *   write, fdatasync, rename are counted; the one with the number `cut_at` does not happen (a write: half of it),
 *   and nothing after it does.
 *
 *   a file's bytes are durable at its last fdatasync, a folder's names at the folder's last one. After the cut,
 *   each folder has its durable names or its last ones (or any mixture of entries: reordered), and each file
 *   its durable bytes, its last ones, half of what came since (torn), or zeros in their place.
 */
#ifndef FW_TESTS_UNIT_DISK_H
#define FW_TESTS_UNIT_DISK_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/env.h"
#include "base/random.h"

enum { DISK_FILES = 64, DISK_FOLDERS = 8 };

typedef enum disk_bytes { DISK_DURABLE, DISK_LAST, DISK_TORN, DISK_ZEROS, DISK_BYTES_COUNT } disk_bytes;

typedef struct disk_file { /* what is known of an inode */
    ino_t inode;
    int held; /* keeps the inode from being used again */
    char *durable, *last;
    size_t durable_bytes, last_bytes;
} disk_file;

typedef struct disk_name {
    char name[96];
    ino_t inode;
} disk_name;

typedef struct disk_folder {
    char path[128]; /* below the root; "" the root */
    disk_name durable[DISK_FILES], last[DISK_FILES];
    uint32_t durable_count, last_count;
} disk_folder;

typedef struct disk {
    char root[64];
    fw_env env;
    uint64_t operations, cut_at; /* cut_at 0: never */
    bool dead;
    disk_file files[DISK_FILES];
    disk_folder folders[DISK_FOLDERS];
    uint32_t file_count, folder_count;
} disk;

static inline disk_file *disk_file_of(disk *d, ino_t inode) {
    for (uint32_t i = 0; i < d->file_count; i++)
        if (d->files[i].inode == inode) return &d->files[i];
    return NULL;
}

static inline disk_file *disk_file_new(disk *d, int fd, ino_t inode) {
    assert_true(d->file_count < DISK_FILES);
    d->files[d->file_count] = (disk_file){.inode = inode, .held = dup(fd)};
    return &d->files[d->file_count++];
}

/* All bytes of an open file, malloc'd. */
static inline char *disk_read(int fd, size_t *size_bytes) {
    char path[40];
    struct stat info;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int own = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(own >= 0 && fstat(own, &info) == 0);
    char *bytes = malloc((size_t)info.st_size + 1);
    assert_int_equal(read(own, bytes, (size_t)info.st_size), info.st_size);
    close(own);
    *size_bytes = (size_t)info.st_size;
    return bytes;
}

static inline uint32_t disk_list(const disk *d, const disk_folder *folder, disk_name *out) {
    char path[256];
    uint32_t count = 0;
    struct stat info;
    snprintf(path, sizeof path, "%s/%s", d->root, folder->path);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (fstatat(dirfd(dir), entry->d_name, &info, 0) != 0 || !S_ISREG(info.st_mode)) continue;
        assert_true(count < DISK_FILES && strlen(entry->d_name) < sizeof out->name);
        snprintf(out[count].name, sizeof out[count].name, "%.95s", entry->d_name);
        out[count++].inode = info.st_ino;
    }
    closedir(dir);
    return count;
}

/* Everything as it is now; files that were never synced get a place too. */
static inline void disk_look(disk *d) {
    for (uint32_t f = 0; f < d->folder_count; f++) {
        disk_folder *folder = &d->folders[f];
        folder->last_count = disk_list(d, folder, folder->last);
        for (uint32_t i = 0; i < folder->last_count; i++) {
            char path[300];
            snprintf(path, sizeof path, "%s/%s/%s", d->root, folder->path, folder->last[i].name);
            int fd = open(path, O_RDONLY | O_CLOEXEC);
            assert_true(fd >= 0);
            disk_file *file = disk_file_of(d, folder->last[i].inode);
            if (!file) file = disk_file_new(d, fd, folder->last[i].inode);
            free(file->last);
            file->last = disk_read(fd, &file->last_bytes);
            close(fd);
        }
    }
}

/* Everything that is there now is durable. */
static inline void disk_settle(disk *d) {
    disk_look(d);
    for (uint32_t i = 0; i < d->file_count; i++) {
        disk_file *file = &d->files[i];
        free(file->durable);
        file->durable = file->last ? memcpy(malloc(file->last_bytes + 1), file->last, file->last_bytes) : NULL;
        file->durable_bytes = file->last_bytes;
    }
    for (uint32_t i = 0; i < d->folder_count; i++) {
        memcpy(d->folders[i].durable, d->folders[i].last, sizeof d->folders[i].last);
        d->folders[i].durable_count = d->folders[i].last_count;
    }
}

/* Counts; true when this operation is the one that power is cut in. */
static inline bool disk_cut(disk *d) {
    if (d->dead) return true;
    d->dead = ++d->operations == d->cut_at;
    return d->dead;
}

static inline ssize_t disk_write(void *self, int fd, const void *bytes, size_t size_bytes) {
    disk *d = self;
    bool was_dead = d->dead;
    if (!disk_cut(d)) return write(fd, bytes, size_bytes);
    if (!was_dead) {
        ssize_t half = write(fd, bytes, size_bytes / 2);
        (void)half;
        disk_look(d);
    }
    errno = EIO;
    return -1;
}

static inline int disk_sync(void *self, int fd) {
    disk *d = self;
    bool was_dead = d->dead;
    struct stat info;
    char link[40], path[256];
    if (disk_cut(d)) {
        if (!was_dead) disk_look(d);
        errno = EIO;
        return -1;
    }
    assert_int_equal(fstat(fd, &info), 0);
    if (S_ISREG(info.st_mode)) {
        disk_file *file = disk_file_of(d, info.st_ino);
        if (!file) file = disk_file_new(d, fd, info.st_ino);
        free(file->durable);
        file->durable = disk_read(fd, &file->durable_bytes);
        return 0;
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t used = readlink(link, path, sizeof path - 1);
    assert_true(used > 0);
    path[used] = '\0';
    for (uint32_t i = 0; i < d->folder_count; i++) {
        char full[256];
        snprintf(full, sizeof full, "%s%s%s", d->root, d->folders[i].path[0] ? "/" : "", d->folders[i].path);
        if (strcmp(full, path) == 0) d->folders[i].durable_count = disk_list(d, &d->folders[i], d->folders[i].durable);
    }
    return 0;
}

static inline int disk_rename(void *self, const char *from, const char *to) {
    disk *d = self;
    bool was_dead = d->dead;
    if (!disk_cut(d)) return rename(from, to);
    if (!was_dead) disk_look(d);
    errno = EIO;
    return -1;
}

/* The machine, in a hurry: nothing is flushed. */
static inline int disk_no_sync(void *self, int fd) { return (void)self, (void)fd, 0; }
static inline fw_env disk_hasty_env(void) {
    fw_env env = *fw_env_real();
    env.fdatasync = disk_no_sync;
    return env;
}

/* A folder in memory where there is one: thousands of starts need no disk of this machine's. */
static inline void disk_make_folder(char out[64]) {
    if (access("/dev/shm", W_OK) != 0) {
        make_folder(out);
        return;
    }
    snprintf(out, 64, "/dev/shm/fw_unit_XXXXXX");
    assert_non_null(mkdtemp(out));
}

/* A disk over the folder `root`, which has these folders (NULL-terminated) that matter; all in it is durable. */
static inline disk *disk_make(const char *root, const char *const *folders) {
    disk *d = calloc(1, sizeof *d);
    char path[300];
    snprintf(d->root, sizeof d->root, "%s", root);
    d->env = *fw_env_real();
    d->env.self = d;
    d->env.write = disk_write, d->env.fdatasync = disk_sync, d->env.rename = disk_rename;
    d->env.random = NULL;
    for (; *folders; folders++) {
        snprintf(path, sizeof path, "%s/%s", root, *folders);
        assert_int_equal(fw_folder_make(path, 0755, NULL), FW_OK);
        snprintf(d->folders[d->folder_count++].path, sizeof d->folders[0].path, "%s", *folders);
    }
    disk_settle(d);
    return d;
}

static inline void disk_free(disk *d) {
    for (uint32_t i = 0; i < d->file_count; i++) {
        if (d->files[i].held >= 0) close(d->files[i].held);
        free(d->files[i].durable);
        free(d->files[i].last);
    }
    free(d);
}

/* What a start finds: one possible world of many. */
typedef struct disk_world {
    uint32_t last_names; /* bit f: folder f has its last names, else its durable ones */
    disk_bytes bytes;    /* of files whose last bytes are not durable */
    fw_random *random;   /* not NULL: each entry and each file by itself */
} disk_world;

static inline void disk_put(const disk *d, const disk_folder *folder, const disk_name *name, const char *to,
                            const disk_world *world) {
    char path[400];
    const disk_file *file = disk_file_of((disk *)(uintptr_t)d, name->inode);
    assert_non_null(file);
    disk_bytes how = world->random ? (disk_bytes)fw_random_below(world->random, DISK_BYTES_COUNT) : world->bytes;
    bool gone = !file->last; /* replaced by now: only what was durable is known */
    size_t size = how == DISK_DURABLE || gone ? file->durable_bytes : file->last_bytes;
    size_t known = file->durable_bytes < size ? file->durable_bytes : size;
    if (how == DISK_TORN && !gone) size = known + (size - known) / 2;
    char *bytes = calloc(1, size + 1);
    if (how == DISK_DURABLE || gone)
        memcpy(bytes, file->durable ? file->durable : "", file->durable ? size : 0);
    else
        memcpy(bytes, file->last, how == DISK_ZEROS ? known : size);
    snprintf(path, sizeof path, "%s/%s/%s", to, folder->path, name->name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
    close(fd);
    free(bytes);
}

static inline const disk_name *disk_find(const disk_name *names, uint32_t count, const char *name) {
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(names[i].name, name) == 0) return &names[i];
    return NULL;
}

/* Makes that world in the empty folder `to`. After a cut. */
static inline void disk_make_world(const disk *d, const char *to, const disk_world *world) {
    for (uint32_t f = 0; f < d->folder_count; f++) {
        const disk_folder *folder = &d->folders[f];
        char path[300];
        snprintf(path, sizeof path, "%s/%s", to, folder->path);
        assert_int_equal(fw_folder_make(path, 0755, NULL), FW_OK);
        bool last = world->last_names >> f & 1;
        for (uint32_t i = 0; i < folder->last_count; i++) {
            const disk_name *now = &folder->last[i];
            const disk_name *then = disk_find(folder->durable, folder->durable_count, now->name);
            bool take = world->random ? fw_random_below(world->random, 2) : last;
            const disk_name *chosen = take ? now : then;
            if (chosen) disk_put(d, folder, chosen, to, world);
        }
        for (uint32_t i = 0; i < folder->durable_count; i++) { /* names that are gone by now */
            const disk_name *then = &folder->durable[i];
            if (disk_find(folder->last, folder->last_count, then->name)) continue;
            bool take = world->random ? fw_random_below(world->random, 2) : !last;
            if (take) disk_put(d, folder, then, to, world);
        }
    }
}

#endif
