/* objects.h - bytes by their hash in a folder: DIR/objects/ab/ab12..., never changed once there.
 *
 *   ab12....part   an upload under way; what it holds so far may be resumed
 *   ab12....       whole: its SHA-256 is its name
 *
 * Invariant: an object's name appears only after its bytes are durable (fdatasync, rename, fsync of
 * the folder, all through fw_env). Both names lie in one folder, so no rename crosses folders.
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
/* Calls visit for each part there is; false ends early. */
typedef bool (*fw_objects_visit)(void *self, const char *sha256, uint64_t size_bytes);
void fw_objects_each_part(const fw_objects *objects, fw_objects_visit visit, void *self);
/* Makes a complete part durable and gives it its name. fd is the part's descriptor. */
fw_status fw_objects_seal(const fw_objects *objects, const char *sha256, int fd,
                          fw_error *error) FW_MUST;
/* Stores bytes under their hash. */
fw_status fw_objects_put(const fw_objects *objects, const void *bytes, size_t size_bytes,
                         fw_hash *hash, fw_error *error) FW_MUST;
/* Copies a file in, under its hash. */
fw_status fw_objects_put_file(const fw_objects *objects, const char *path, size_t max_bytes,
                              fw_hash *hash, uint64_t *size_bytes, fw_error *error) FW_MUST;
void fw_objects_remove(const fw_objects *objects, const char *sha256);

#endif
