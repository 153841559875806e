/* disk.h - the disk of one simulated machine: what a power cut leaves of its folder.
 *
 *   files lie in DIR as ever; beside them it is remembered what is not durable yet
 *
 *   write, SQLite's xWrite --> DIR/x, and (place, old bytes, new bytes) is noted for x
 *   fdatasync of x         --> x's notes are forgotten: all of x is durable
 *   fdatasync of a folder  --> its names are durable; DIR.held/<inode> keeps what they name
 *
 *   power cut: DIR is made anew, folder by folder
 *     a name that came, went or was replaced since its folder's last sync: as before or as now
 *     a file: its durable bytes, and of the notes, in their order: none | all | the first n | any |
 *             the first n and a part of the next, cut at a sector (512 bytes)
 *
 * So writes are lost, torn and reordered, and names too, as POSIX allows. A rename within one folder is
 * one step: both of its names or neither. Every choice comes from the machine's own random stream.
 *
 * When the power goes (fw_sim_disk_cut, or at a chosen operation: cut_after) the picture is taken at
 * once; from then on every operation fails, and whatever the dying program still does to DIR is thrown
 * away with it by fw_sim_disk_restart.
 *
 * Not modelled: folders themselves are durable when made; ftruncate, unlink and creation are seen at
 * the next sync only (so between two syncs a name has two states, not more); bytes written by other ways
 * than the two above are durable at once.
 *
 * Plan of faults beside cuts: no_space (writes fail with ENOSPC), flush_fails (an fdatasync fails once
 * and, as on Linux, the notes it should have made durable can still be lost after a later good one).
 */
#ifndef FW_SIM_DISK_H
#define FW_SIM_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/file.h"
#include "base/random.h"

typedef struct fw_sim_inode fw_sim_inode;
typedef struct fw_sim_folder fw_sim_folder;

typedef struct fw_sim_disk {
    char root[FW_PATH_MAX - 64]; /* DIR */
    fw_random random;
    bool dead, no_space;
    bool drops_file_syncs, drops_folder_syncs, drops_vfs_syncs; /* planted faults */
    uint32_t cut_after;    /* the power goes at the n-th operation from now; 0: not planned */
    uint32_t flush_fails;  /* the n-th fdatasync from now fails; 0: none */
    uint64_t operations, cuts, lost_writes, torn_writes, lost_names;
    fw_sim_inode *inodes;
    fw_sim_folder *folders;
} fw_sim_disk;

/* Makes DIR, empty. */
fw_status fw_sim_disk_open(fw_sim_disk *disk, const char *root, fw_random random,
                           fw_error *error) FW_MUST;
/* Removes everything. */
void fw_sim_disk_close(fw_sim_disk *disk);

/* The operations of fw_env; errno as the system's. */
ssize_t fw_sim_disk_write(fw_sim_disk *disk, int fd, const void *bytes, size_t size_bytes);
int fw_sim_disk_sync(fw_sim_disk *disk, int fd);
int fw_sim_disk_rename(fw_sim_disk *disk, const char *from, const char *to);

/* For SQLite's files (vfs.h). About to write: `old` are the file's bytes there, as far as it goes. False:
 * the write must not happen (errno). */
bool fw_sim_disk_note(fw_sim_disk *disk, ino_t inode, uint64_t file_bytes, uint64_t offset,
                      const void *old, size_t old_bytes, const void *fresh, size_t size_bytes);
bool fw_sim_disk_sync_inode(fw_sim_disk *disk, ino_t inode);
bool fw_sim_disk_sync_folder(fw_sim_disk *disk, const char *path);

/* The power goes now. */
void fw_sim_disk_cut(fw_sim_disk *disk);
/* After the program's end: DIR is what the cut left. Without a cut before it: nothing changes, but what is
 * not durable is still not. */
fw_status fw_sim_disk_restart(fw_sim_disk *disk, fw_error *error) FW_MUST;

#endif
