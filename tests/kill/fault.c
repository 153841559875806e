/* fault.c - a library put before libc in the factory's process: writes and flushes that fail.
 *
 * A flush that fails also loses what was written since the last one that did not: those bytes are
 * overwritten with zeros, as a disk does that dropped them, so that a program which goes on as if
 * they were there is found out. Only regular files below FW_FAULT_FOLDER are touched.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "kill.h"

enum { FDS = 4096, RANGES = 64 };

typedef struct range {
    off_t from, to;
} range;

/* What was written to a descriptor and not yet flushed; count RANGES + 1: too many to tell apart. */
static struct {
    range ranges[RANGES];
    int count;
} dirty[FDS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static kill_faults *faults;
static char folder[FW_PATH_MAX];
static pthread_once_t once = PTHREAD_ONCE_INIT;
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_fdatasync)(int), (*real_fsync)(int), (*real_close)(int);

static void start(void) {
    *(void **)&real_write = dlsym(RTLD_NEXT, "write");
    *(void **)&real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    *(void **)&real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    *(void **)&real_fsync = dlsym(RTLD_NEXT, "fsync");
    *(void **)&real_close = dlsym(RTLD_NEXT, "close");
    const char *control = getenv("FW_FAULT_CONTROL"), *below = getenv("FW_FAULT_FOLDER");
    int fd = control && below ? open(control, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *map = mmap(NULL, sizeof *faults, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    real_close(fd);
    if (map == MAP_FAILED) return;
    snprintf(folder, sizeof folder, "%s", below);
    faults = map;
}

static bool ours(int fd) {
    char link[64], path[FW_PATH_MAX];
    pthread_once(&once, start);
    if (!faults || fd < 0 || fd >= FDS) return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size <= 0) return false;
    path[size] = '\0';
    return strncmp(path, folder, strlen(folder)) == 0;
}

static bool hits(uint32_t ppm) {
    static _Thread_local uint64_t state;
    if (state == 0) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        state = (uint64_t)now.tv_nsec * 2654435761u + (uint64_t)(uintptr_t)&state + 1;
    }
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % 1000000 < ppm;
}

/* True: the write fails, errno is set. */
static bool write_fails(int fd, off_t to) {
    struct stat stat;
    if (atomic_load(&faults->no_space) && fstat(fd, &stat) == 0 && to > stat.st_size)
        errno = ENOSPC;
    else if (hits(atomic_load(&faults->write_ppm)))
        errno = EIO;
    else
        return false;
    atomic_fetch_add(&faults->failed_writes, 1);
    return true;
}

static void remember(int fd, off_t from, off_t to) {
    pthread_mutex_lock(&lock);
    int count = dirty[fd].count;
    range *last = count > 0 && count <= RANGES ? &dirty[fd].ranges[count - 1] : NULL;
    if (last && last->to == from)
        last->to = to;
    else if (count < RANGES)
        dirty[fd].ranges[dirty[fd].count++] = (range){from, to};
    else
        dirty[fd].count = RANGES + 1;
    pthread_mutex_unlock(&lock);
}

static void forget(int fd) {
    pthread_mutex_lock(&lock);
    dirty[fd].count = 0;
    pthread_mutex_unlock(&lock);
}

/* The disk dropped what was not flushed. */
static void wipe(int fd) {
    static const char zeros[4096];
    pthread_mutex_lock(&lock);
    int count = dirty[fd].count <= RANGES ? dirty[fd].count : RANGES;
    for (int i = 0; i < count; i++) {
        range *r = &dirty[fd].ranges[i];
        for (off_t at = r->from; at < r->to;) {
            size_t size = r->to - at < 4096 ? (size_t)(r->to - at) : sizeof zeros;
            if (real_pwrite(fd, zeros, size, at) <= 0) break;
            at += (off_t)size;
        }
        atomic_fetch_add(&faults->wiped_bytes, (uint64_t)(r->to - r->from));
    }
    dirty[fd].count = 0;
    pthread_mutex_unlock(&lock);
}

static bool regular(int fd) {
    struct stat stat;
    return fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode);
}

ssize_t write(int fd, const void *bytes, size_t size) {
    if (!ours(fd) || !regular(fd)) return real_write(fd, bytes, size);
    off_t at = lseek(fd, 0, SEEK_CUR);
    if (write_fails(fd, at + (off_t)size)) {
        if (size < 2 || !hits(500000)) return -1;
        size /= 2; /* half of it, then the next one fails or not */
    }
    ssize_t put = real_write(fd, bytes, size);
    if (put > 0) remember(fd, at, at + put);
    return put;
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at) {
    if (!ours(fd) || !regular(fd)) return real_pwrite(fd, bytes, size, at);
    if (write_fails(fd, at + (off_t)size)) return -1;
    ssize_t put = real_pwrite(fd, bytes, size, at);
    if (put > 0) remember(fd, at, at + put);
    return put;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at) {
    return pwrite64(fd, bytes, size, at);
}

static int flush(int fd, int (*real)(int)) {
    if (hits(atomic_load(&faults->sync_ppm))) {
        if (regular(fd)) wipe(fd);
        atomic_fetch_add(&faults->failed_syncs, 1);
        errno = EIO;
        return -1;
    }
    int result = real(fd);
    if (result == 0) forget(fd);
    return result;
}

int fdatasync(int fd) {
    return ours(fd) ? flush(fd, real_fdatasync) : real_fdatasync(fd);
}

int fsync(int fd) {
    return ours(fd) ? flush(fd, real_fsync) : real_fsync(fd);
}

int close(int fd) {
    pthread_once(&once, start);
    if (fd >= 0 && fd < FDS) forget(fd);
    return real_close(fd);
}
