/* vfs.c - SQLite's writes and syncs through the disk (vfs.h). */
#include "sim/vfs.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct {
    sqlite3_vfs vfs, *unix_vfs;
    fw_sim_disk *disk;
    const fw_env *env;
} sim;

/* An open file; the unix VFS's own follows. */
typedef struct file {
    sqlite3_file base;
    bool watched; /* of the disk's folder */
    bool fresh;   /* made by this opening: its first sync makes its name durable too */
    ino_t inode;
    char path[FW_PATH_MAX];
} file;

static sqlite3_file *inner(sqlite3_file *f) { return (sqlite3_file *)((file *)f + 1); }

/* ---- methods that matter ---- */

static int failed(void) { return errno == ENOSPC ? SQLITE_FULL : SQLITE_IOERR; }

static int sim_write(sqlite3_file *self, const void *bytes, int size, sqlite3_int64 at) {
    file *f = (file *)self;
    sqlite3_file *to = inner(self);
    sqlite3_int64 now = 0;
    if (!f->watched) return to->pMethods->xWrite(to, bytes, size, at);
    int code = to->pMethods->xFileSize(to, &now);
    if (code != SQLITE_OK) return code;
    sqlite3_int64 left = now > at ? now - at : 0;
    size_t had = left < size ? (size_t)left : (size_t)size;
    void *old = malloc((size_t)size + 1);
    if (!old) return SQLITE_NOMEM;
    if (had > 0) code = to->pMethods->xRead(to, old, (int)had, at);
    bool noted = code == SQLITE_OK && fw_sim_disk_note(sim.disk, f->inode, (uint64_t)now, (uint64_t)at,
                                                       old, had, bytes, (size_t)size);
    free(old);
    if (code != SQLITE_OK) return code;
    return noted ? to->pMethods->xWrite(to, bytes, size, at) : failed();
}

static int sim_truncate(sqlite3_file *self, sqlite3_int64 size) {
    sqlite3_file *to = inner(self);
    if (((file *)self)->watched && sim.disk->dead) return SQLITE_IOERR_TRUNCATE;
    return to->pMethods->xTruncate(to, size);
}

static void folder_of(const char *path, char out[FW_PATH_MAX]) {
    snprintf(out, FW_PATH_MAX, "%s", path);
    char *slash = strrchr(out, '/');
    if (slash) *slash = '\0';
}

static int sim_sync(sqlite3_file *self, int flags) {
    (void)flags;
    file *f = (file *)self;
    if (!f->watched) return SQLITE_OK; /* nothing outside the disk is worth a flush */
    if (!fw_sim_disk_sync_inode(sim.disk, f->inode)) return SQLITE_IOERR_FSYNC;
    if (f->fresh) {
        char folder[FW_PATH_MAX];
        folder_of(f->path, folder);
        f->fresh = false;
        if (!fw_sim_disk_sync_folder(sim.disk, folder)) return SQLITE_IOERR_DIR_FSYNC;
    }
    return SQLITE_OK;
}

/* ---- methods that pass on ---- */

static int sim_close(sqlite3_file *f) { return inner(f)->pMethods->xClose(inner(f)); }
static int sim_read(sqlite3_file *f, void *out, int size, sqlite3_int64 at) {
    return inner(f)->pMethods->xRead(inner(f), out, size, at);
}
static int sim_size(sqlite3_file *f, sqlite3_int64 *size) {
    return inner(f)->pMethods->xFileSize(inner(f), size);
}
static int sim_lock(sqlite3_file *f, int level) { return inner(f)->pMethods->xLock(inner(f), level); }
static int sim_unlock(sqlite3_file *f, int level) {
    return inner(f)->pMethods->xUnlock(inner(f), level);
}
static int sim_reserved(sqlite3_file *f, int *out) {
    return inner(f)->pMethods->xCheckReservedLock(inner(f), out);
}
static int sim_control(sqlite3_file *f, int operation, void *argument) {
    return inner(f)->pMethods->xFileControl(inner(f), operation, argument);
}
static int sim_sector(sqlite3_file *f) { return inner(f)->pMethods->xSectorSize(inner(f)); }
/* Powersafe overwrite, as the unix VFS says: what a torn write leaves beside it is as before here too. */
static int sim_traits(sqlite3_file *f) {
    return inner(f)->pMethods->xDeviceCharacteristics(inner(f));
}
static int sim_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out) {
    return inner(f)->pMethods->xShmMap(inner(f), page, size, extend, out);
}
static int sim_shm_lock(sqlite3_file *f, int offset, int n, int flags) {
    return inner(f)->pMethods->xShmLock(inner(f), offset, n, flags);
}
static void sim_shm_barrier(sqlite3_file *f) { inner(f)->pMethods->xShmBarrier(inner(f)); }
static int sim_shm_unmap(sqlite3_file *f, int removes) {
    return inner(f)->pMethods->xShmUnmap(inner(f), removes);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = sim_close,
    .xRead = sim_read,
    .xWrite = sim_write,
    .xTruncate = sim_truncate,
    .xSync = sim_sync,
    .xFileSize = sim_size,
    .xLock = sim_lock,
    .xUnlock = sim_unlock,
    .xCheckReservedLock = sim_reserved,
    .xFileControl = sim_control,
    .xSectorSize = sim_sector,
    .xDeviceCharacteristics = sim_traits,
    .xShmMap = sim_shm_map,
    .xShmLock = sim_shm_lock,
    .xShmBarrier = sim_shm_barrier,
    .xShmUnmap = sim_shm_unmap,
};

/* ---- the VFS ---- */

static bool is_ours(const char *path) {
    return path && strncmp(path, sim.disk->root, strlen(sim.disk->root)) == 0;
}

static int sim_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *self, int flags, int *out) {
    (void)vfs;
    file *f = (file *)self;
    struct stat info;
    *f = (file){.watched = is_ours(path)};
    if (f->watched && sim.disk->dead) return SQLITE_CANTOPEN;
    bool there = f->watched && stat(path, &info) == 0;
    int code = sim.unix_vfs->xOpen(sim.unix_vfs, path, inner(self), flags, out);
    if (code != SQLITE_OK) return code;
    f->base.pMethods = &methods;
    if (!f->watched || stat(path, &info) != 0) return SQLITE_OK;
    f->inode = info.st_ino;
    f->fresh = !there;
    snprintf(f->path, sizeof f->path, "%s", path);
    return SQLITE_OK;
}

static int sim_delete(sqlite3_vfs *vfs, const char *path, int syncs) {
    (void)vfs;
    if (is_ours(path) && sim.disk->dead) return SQLITE_IOERR_DELETE;
    int code = sim.unix_vfs->xDelete(sim.unix_vfs, path, 0);
    if (code != SQLITE_OK || !syncs || !is_ours(path)) return code;
    char folder[FW_PATH_MAX];
    folder_of(path, folder);
    return fw_sim_disk_sync_folder(sim.disk, folder) ? SQLITE_OK : SQLITE_IOERR_DIR_FSYNC;
}

static int sim_randomness(sqlite3_vfs *vfs, int size, char *out) {
    (void)vfs;
    return fw_env_random(sim.env, out, (size_t)size) ? size : 0;
}

static int sim_time(sqlite3_vfs *vfs, sqlite3_int64 *out) {
    (void)vfs;
    *out = 210866760000000 + fw_env_wall_ns(sim.env) / 1000000; /* ms since the Julian epoch */
    return SQLITE_OK;
}

static int sim_sleep(sqlite3_vfs *vfs, int us) {
    (void)vfs;
    fw_env_sleep_ns(sim.env, (int64_t)us * 1000);
    return us;
}

fw_status fw_sim_vfs_install(fw_sim_disk *disk, const fw_env *env, fw_error *error) {
    sim.unix_vfs = sqlite3_vfs_find("unix");
    if (!sim.unix_vfs) return fw_fail(error, FW_UNSUPPORTED, "SQLite has no VFS \"unix\"");
    sim.disk = disk;
    sim.env = env;
    sim.vfs = *sim.unix_vfs;
    sim.vfs.zName = "fw-sim";
    sim.vfs.szOsFile = (int)sizeof(file) + sim.unix_vfs->szOsFile;
    sim.vfs.xOpen = sim_open;
    sim.vfs.xDelete = sim_delete;
    sim.vfs.xRandomness = sim_randomness;
    sim.vfs.xCurrentTimeInt64 = sim_time;
    sim.vfs.xSleep = sim_sleep;
    if (sqlite3_vfs_register(&sim.vfs, 1) != SQLITE_OK)
        return fw_fail(error, FW_IO, "SQLite does not take the simulation's VFS");
    sqlite3_randomness(0, NULL); /* whatever ran in this process before: seeded anew, by this VFS */
    return FW_OK;
}

void fw_sim_vfs_remove(void) {
    sqlite3_vfs_unregister(&sim.vfs);
    if (sim.unix_vfs) sqlite3_vfs_register(sim.unix_vfs, 1);
}
