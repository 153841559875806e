/* objects.h - bytes by their hash in a folder: DIR/objects/ab/ab12..., never changed once there.
 *
 *   ab12....part   an upload under way; what it holds so far may be resumed
 *   ab12....       whole: its SHA-256 is its name
 *
 * Invariants: (1) an object's name appears only after its bytes are durable (fdatasync, rename, fsync
 * of the folder, all through fw_env); both names lie in one folder, so no rename crosses folders.
 * (2) After a failed flush a part's bytes are unknown: the part is given up at once, so that no resume
 * counts them. (3) A part that is resumed is written over itself first: pages that a failed flush
 * before a crash left behind as clean are dirty again, and the flush at the end covers them.
 */
#ifndef FW_FACTORY_OBJECTS_H
#define FW_FACTORY_OBJECTS_H

#include "base/env.h"
#include "base/file.h"
#include "base/hash.h"

typedef struct fw_objects {
    const fw_env *env;
    char folder[FW_PATH_MAX]; /* DIR/objects */
} fw_objects;

/* Makes the folders. */
fw_status fw_objects_open(const fw_env *env, const char *data_folder, fw_objects *out,
                          fw_error *error) FW_MUST;
/* Removes uploads left alone for over part_age_s, and what a crash left behind. */
void fw_objects_sweep(const fw_objects *objects, int64_t part_age_s);
void fw_objects_path(const fw_objects *objects, const char *sha256, char out[FW_PATH_MAX]);
void fw_objects_part_path(const fw_objects *objects, const char *sha256, char out[FW_PATH_MAX]);
/* The part's bytes so far, 0 when none. */
uint64_t fw_objects_part_bytes(const fw_objects *objects, const char *sha256);
/* The part's bytes that are durable: it is flushed first. 0 when there is none. When the flush fails
 * the part is given up, and this fails. */
fw_status fw_objects_part_durable(const fw_objects *objects, const char *sha256,
                                  uint64_t *size_bytes, fw_error *error) FW_MUST;
/* Opens the part to go on at `offset`: cuts it there, and calls `add` with its bytes up to there,
 * written anew (invariant 3). The caller closes *fd. */
fw_status fw_objects_part_open(const fw_objects *objects, const char *sha256, uint64_t offset,
                               void (*add)(void *self, const void *bytes, size_t size_bytes),
                               void *self, int *fd, fw_error *error) FW_MUST;
/* Flushes a part; gives it up when that fails. */
fw_status fw_objects_part_sync(const fw_objects *objects, const char *sha256, int fd,
                               fw_error *error) FW_MUST;
void fw_objects_part_remove(const fw_objects *objects, const char *sha256);
/* Calls visit for each part there is; false ends early. */
typedef bool (*fw_objects_visit)(void *self, const char *sha256, uint64_t size_bytes);
void fw_objects_each_part(const fw_objects *objects, fw_objects_visit visit, void *self);
/* A complete part that is durable gets its name, which is durable after fw_objects_folder_sync. */
fw_status fw_objects_name(const fw_objects *objects, const char *sha256, fw_error *error) FW_MUST;
/* Flushes the folder that the object lies in. */
fw_status fw_objects_folder_sync(const fw_objects *objects, const char *sha256,
                                 fw_error *error) FW_MUST;
/* Stores bytes under their hash. */
fw_status fw_objects_put(const fw_objects *objects, const void *bytes, size_t size_bytes,
                         fw_hash *hash, fw_error *error) FW_MUST;
/* Copies a file in, under its hash. */
fw_status fw_objects_put_file(const fw_objects *objects, const char *path, size_t max_bytes,
                              fw_hash *hash, uint64_t *size_bytes, fw_error *error) FW_MUST;
void fw_objects_remove(const fw_objects *objects, const char *sha256);

#endif
