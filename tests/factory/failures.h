/* The nth allocation, or the nth write or flush, fails: what a test counts and fails them by.
 *
 *   memory  malloc and its like of our own code (the linker's --wrap), jansson's (base/json.h), SQLite's
 *   disk    write, fdatasync and rename of fw_env (fixture.h), SQLite's writes, flushes, truncations
 *
 * Only calls between failures_arm and failures_disarm are counted. failures_setup comes before
 * anything of SQLite and jansson is used.
 */
#ifndef FW_TESTS_FACTORY_FAILURES_H
#define FW_TESTS_FACTORY_FAILURES_H

#include <sqlite3.h>

#include "fixture.h"

typedef enum failure { FAIL_MEMORY, FAIL_MEMORY_STAYS, FAIL_DISK, FAIL_DISK_STAYS } failure;
static const char *const failure_names[] = {"memory", "memory from there on", "disk",
                                            "disk from there on"};

static struct {
    bool armed, stays;
    unsigned calls, fail_at;
} memory_faults;
static faulty *disk_faults; /* while armed */

static inline bool memory_fails(void) {
    if (!memory_faults.armed) return false;
    memory_faults.calls++;
    if (memory_faults.calls < memory_faults.fail_at) return false;
    if (memory_faults.calls > memory_faults.fail_at && !memory_faults.stays) return false;
    errno = ENOMEM;
    return true;
}

/* Counts from here on. */
static inline void failures_arm(fixture *f, failure kind, unsigned nth) {
    f->faults.calls = 0;
    f->faults.fail_at = kind >= FAIL_DISK ? nth : 0;
    f->faults.fail_errno = nth % 2 ? EIO : ENOSPC;
    f->faults.stays = kind == FAIL_DISK_STAYS;
    memory_faults.calls = 0;
    memory_faults.fail_at = nth;
    memory_faults.stays = kind == FAIL_MEMORY_STAYS;
    disk_faults = &f->faults;
    memory_faults.armed = kind < FAIL_DISK;
}

/* Did something fail? */
static inline bool failures_disarm(fixture *f) {
    bool memory = memory_faults.armed && memory_faults.calls >= memory_faults.fail_at;
    bool disk = f->faults.fail_at && f->faults.calls >= f->faults.fail_at;
    memory_faults.armed = false;
    f->faults.fail_at = 0;
    f->faults.stays = false;
    disk_faults = NULL;
    return memory || disk;
}

/* ---- our own allocations: the linker sends them here (tests/CMakeLists.txt) ---- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);
FILE *__real_open_memstream(char **text, size_t *size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);
FILE *__wrap_open_memstream(char **text, size_t *size);
int __wrap_asprintf(char **out, const char *format, ...) __attribute__((format(printf, 2, 3)));

void *__wrap_malloc(size_t size) {
    return memory_fails() ? NULL : __real_malloc(size);
}
void *__wrap_calloc(size_t count, size_t size) {
    return memory_fails() ? NULL : __real_calloc(count, size);
}
void *__wrap_realloc(void *old, size_t size) {
    return memory_fails() ? NULL : __real_realloc(old, size);
}
char *__wrap_strdup(const char *text) {
    return memory_fails() ? NULL : __real_strdup(text);
}
char *__wrap_strndup(const char *text, size_t size) {
    return memory_fails() ? NULL : __real_strndup(text, size);
}
FILE *__wrap_open_memstream(char **text, size_t *size) {
    return memory_fails() ? NULL : __real_open_memstream(text, size);
}
int __wrap_asprintf(char **out, const char *format, ...) {
    *out = (char *)(uintptr_t)1; /* undefined after a failure: nobody may free it */
    if (memory_fails()) return -1;
    va_list args;
    va_start(args, format);
    int size = vasprintf(out, format, args);
    va_end(args);
    return size;
}

/* ---- SQLite's ---- */

static sqlite3_mem_methods sqlite_memory;

static inline void *sqlite_malloc(int size) {
    return memory_fails() ? NULL : sqlite_memory.xMalloc(size);
}
static inline void *sqlite_realloc(void *old, int size) {
    return memory_fails() ? NULL : sqlite_memory.xRealloc(old, size);
}

static inline bool disk_fails(void) {
    return disk_faults && faulty_hits(disk_faults);
}

/* The methods of unix's files, with three of them ours: for locking with WAL, and for without. */
static struct {
    const sqlite3_io_methods *real;
    sqlite3_io_methods ours;
} sqlite_files[4];

static inline const sqlite3_io_methods *real_of(const sqlite3_file *file) {
    for (size_t i = 0; i < 4; i++)
        if (file->pMethods == &sqlite_files[i].ours) return sqlite_files[i].real;
    abort();
}
static inline int sqlite_write(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 at) {
    if (!disk_fails()) return real_of(file)->xWrite(file, bytes, size, at);
    int why = errno;
    (void)real_of(file)->xWrite(file, bytes, size / 2, at); /* torn */
    return why == ENOSPC ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}
static inline int sqlite_sync(sqlite3_file *file, int flags) {
    return disk_fails() ? SQLITE_IOERR_FSYNC : real_of(file)->xSync(file, flags);
}
static inline int sqlite_truncate(sqlite3_file *file, sqlite3_int64 size) {
    return disk_fails() ? SQLITE_IOERR_TRUNCATE : real_of(file)->xTruncate(file, size);
}

static sqlite3_vfs *real_vfs, faulty_vfs;
static inline int sqlite_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                              int *out_flags) {
    (void)vfs;
    int code = real_vfs->xOpen(real_vfs, name, file, flags, out_flags);
    if (!file->pMethods) return code;
    size_t i = 0;
    while (i < 4 && sqlite_files[i].real && sqlite_files[i].real != file->pMethods) i++;
    if (i == 4) abort();
    if (!sqlite_files[i].real) {
        sqlite_files[i].ours = *file->pMethods;
        sqlite_files[i].ours.xWrite = sqlite_write;
        sqlite_files[i].ours.xSync = sqlite_sync;
        sqlite_files[i].ours.xTruncate = sqlite_truncate;
        sqlite_files[i].real = file->pMethods;
    }
    file->pMethods = &sqlite_files[i].ours;
    return code;
}

static inline void failures_setup(void) {
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_memory), SQLITE_OK);
    sqlite3_mem_methods ours = sqlite_memory;
    ours.xMalloc = sqlite_malloc;
    ours.xRealloc = sqlite_realloc;
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &ours), SQLITE_OK);
    real_vfs = sqlite3_vfs_find(NULL);
    assert_non_null(real_vfs);
    faulty_vfs = *real_vfs;
    faulty_vfs.zName = "faulty";
    faulty_vfs.pNext = NULL;
    faulty_vfs.xOpen = sqlite_open;
    assert_int_equal(sqlite3_vfs_register(&faulty_vfs, 1), SQLITE_OK);
}

#endif
