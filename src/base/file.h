/* file.h - whole files, folders and durable writes, behind fw_env (env.h) where it decides.
 *
 * Invariant: after fw_file_write_durable returns FW_OK, the file has exactly the new bytes after
 * a power cut; on failure the old file, if any, is untouched (temporary file in the same folder,
 * fdatasync, rename, fsync of the folder).
 */
#ifndef FW_BASE_FILE_H
#define FW_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "base/status.h"

/* Reads a whole file of at most max_bytes; *bytes is malloc'd (one extra zero byte at its end),
 * the caller frees it. FW_TOO_BIG over the limit. */
fw_status fw_file_read(const char *path, size_t max_bytes, char **bytes, size_t *size_bytes,
                       fw_error *error) FW_MUST;
fw_status fw_file_write_durable(const fw_env *env, const char *path, const void *bytes,
                                size_t size_bytes, fw_error *error) FW_MUST;
/* The same with the file's mode given (keys: 0600), from its first byte on; one writer at a time. */
fw_status fw_file_write_mode(const fw_env *env, const char *path, const void *bytes, size_t size_bytes,
                             unsigned mode, fw_error *error) FW_MUST;
/* Writes all of a buffer to a descriptor through env. */
fw_status fw_file_write_all(const fw_env *env, int fd, const void *bytes, size_t size_bytes,
                            const char *what, fw_error *error) FW_MUST;
/* fsync of a folder. */
fw_status fw_folder_sync(const fw_env *env, const char *path, fw_error *error) FW_MUST;
/* mkdir -p with the given mode for the last folder. */
fw_status fw_folder_make(const char *path, unsigned mode, fw_error *error) FW_MUST;
/* Removes a folder and everything in it; absent is fine. */
fw_status fw_folder_remove(const char *path, fw_error *error) FW_MUST;
bool fw_file_exists(const char *path);
/* Sum of the sizes of all files under path, in bytes; 0 where absent. */
uint64_t fw_folder_size_bytes(const char *path);
/* "a/b" into out; asserts that it fits. */
void fw_path_join(char *out, size_t out_size, const char *a, const char *b);
enum { FW_PATH_MAX = 512 };

#endif
