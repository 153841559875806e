/* rebuild_build.h - a catalogue being rebuilt: rebuild.c makes it, check.c compares it. */
#ifndef FW_FACTORY_REBUILD_BUILD_H
#define FW_FACTORY_REBUILD_BUILD_H

#include "factory/custody/erase.h"
#include "factory/ingest/ledger.h"
#include "factory/ingest/objects.h"
#include "factory/catalogue/rebuild.h"

typedef struct build {
    sqlite3 *db; /* the new one; "old" is attached when had_old */
    fw_objects objects;
    const fw_factory_line *line;
    fw_rebuild_report report;
    fw_status status;
    fw_error *error;
} build;

/* The new catalogue at new_path, nothing else is changed. The folder's lock is held. */
fw_status fw_rebuild_into(const fw_env *env, const char *data_folder, const fw_factory_line *line,
                          const char *new_path, fw_rebuild_report *report,
                          fw_error *error) FW_MUST;

#endif
