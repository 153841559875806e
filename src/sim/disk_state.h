/* disk_state.h - what disk.c (what is noted) and disk_cut.c (what is left) share. */
#ifndef FW_SIM_DISK_STATE_H
#define FW_SIM_DISK_STATE_H

#include "sim/disk.h"

enum { FW_SIM_SECTOR_BYTES = 512, FW_SIM_NAME_MAX = 128 };

/* One write that is not durable. */
typedef struct fw_sim_note {
    struct fw_sim_note *next;
    uint64_t offset, file_bytes; /* the file's size before it */
    size_t size_bytes, old_bytes;
    uint8_t *old, *fresh; /* (old_bytes), (size_bytes) */
    bool doomed;          /* a flush that failed was to make it durable */
} fw_sim_note;

struct fw_sim_inode {
    fw_sim_inode *next;
    ino_t number;
    fw_sim_note *notes, **last; /* oldest first */
};

typedef struct fw_sim_name {
    char text[FW_SIM_NAME_MAX];
    ino_t inode;
} fw_sim_name;

/* The durable names of plain files in a folder, sorted. */
struct fw_sim_folder {
    fw_sim_folder *next;
    char path[FW_PATH_MAX]; /* below DIR; "" is DIR itself */
    fw_sim_name *names;     /* (count) */
    uint32_t count;
};

fw_sim_inode *fw_sim_inode_find(const fw_sim_disk *disk, ino_t number);
void fw_sim_inodes_free(fw_sim_disk *disk);

/* disk_names.c. The names of files in a folder, sorted; *folders too when not NULL. Caller frees. */
uint32_t fw_sim_names_read(const char *path, fw_sim_name **files, fw_sim_name **folders,
                           uint32_t *folder_count);
const fw_sim_name *fw_sim_names_find(const fw_sim_name *names, uint32_t count, const char *text);
/* NULL: it was never synced, no name in it is durable. `below`: path below DIR. */
const fw_sim_folder *fw_sim_folder_find(const fw_sim_disk *disk, const char *below);
/* Its names as they are now are durable. */
void fw_sim_folder_settle(fw_sim_disk *disk, const char *path);
/* All that lies in DIR is durable. */
fw_status fw_sim_folders_begin(fw_sim_disk *disk, fw_error *error) FW_MUST;
void fw_sim_folders_free(fw_sim_disk *disk);
/* Where a durable file's bytes are, whatever became of its name. */
void fw_sim_held_path(const fw_sim_disk *disk, ino_t number, char out[FW_PATH_MAX]);

#endif
