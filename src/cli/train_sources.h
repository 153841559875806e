/* train_sources.h - which recordings a training takes: files, folders of them, suites.
 *
 *   --recordings FILE|FOLDER...  --+
 *   --suite FILE --items-----------+--> each hashed --> sorted by content, each once
 *
 * By content, so that names and places change nothing. What a suite has sealed is held out: nobody learns from
 * it. A suite with such items is refused, or they are left out where that was asked for.
 */
#ifndef FW_CLI_TRAIN_SOURCES_H
#define FW_CLI_TRAIN_SOURCES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"

typedef struct fw_train_source {
    fw_hash hash;
    char *path;
} fw_train_source;

typedef struct fw_train_sources {
    fw_train_source *items;
    const char **paths; /* (count) of items, by fw_train_sources_sort */
    uint32_t count, room;
    uint32_t sealed; /* items of suites that were left out */
} fw_train_sources;

/* All zero is empty; the caller clears it, after a failure too. FW_INTERRUPTED: a signal asked to stop. */
fw_status fw_train_sources_add(fw_train_sources *sources, const char *file_or_folder, fw_error *error) FW_MUST;
/* FW_DENIED when items are sealed and leave_sealed is not set; FW_MISMATCH when a file is not what the suite
 * says it is. */
fw_status fw_train_sources_add_suite(fw_train_sources *sources, const char *path, bool leave_sealed,
                                     fw_error *error) FW_MUST;
fw_status fw_train_sources_sort(fw_train_sources *sources, fw_error *error) FW_MUST;
void fw_train_sources_clear(fw_train_sources *sources);

#endif
