/* erase_sign.h - tombstones as files: two lines, the statement and its signature (erase.h). */
#ifndef FW_FACTORY_ERASE_SIGN_H
#define FW_FACTORY_ERASE_SIGN_H

#include "base/env.h"
#include "base/file.h"
#include "base/hash.h"

enum { FW_TOMBSTONE_MAX_BYTES = 64 << 20 };

/* Signs and stores the statement (JSON in one line); *id is its hash. Makes the key when there is none. */
fw_status fw_tombstone_write(const fw_env *env, const char *data_folder, const char *statement,
                             fw_hash *id, fw_error *error) FW_MUST;
/* Calls visit with each tombstone's id and statement; *valid tells whether name and signature fit. */
typedef fw_status (*fw_tombstone_visit)(void *self, const char *id, const char *statement,
                                        bool valid, fw_error *error);
fw_status fw_tombstone_each(const char *data_folder, fw_tombstone_visit visit, void *self,
                            fw_error *error) FW_MUST;

#endif
