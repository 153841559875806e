/* catalogue.h - what the factory knows, in one SQLite file: the durable half of every station.
 *
 *   objects -- recordings -- events          units          log
 *      |            | generation                             (what was decided, in words)
 *      +-- models   +-- datasets -- generations -- leases    settings (champion)
 *
 * Write-ahead log with synchronous=FULL: a commit that returned survives a power cut. One
 * connection, one lock: fw_catalogue_begin takes it and opens a transaction, fw_catalogue_end
 * commits (or rolls back) and lets go. Everything that speaks SQL does so between the two, but for
 * what people ask (queries, slices, lists): that may take long, so it has a connection and a lock of
 * its own (fw_catalogue_ask), sees what was committed when it began, and ends after FW_CATALOGUE_ASK_S.
 *
 * The format's version stands in user_version, and "FWHL" in application_id:
 *   0 in an empty file      a new catalogue, all steps are run
 *   1 .. newest-1           migrated: the steps from there on, in one transaction
 *   newest                  opened
 *   more                    refused: made by a newer Flywheel
 * To change the format: 1. append a step to fw_catalogue_steps in catalogue.c (never edit one that
 * was released), 2. a test in tests/factory/test_catalogue.c, 3. a line in CHANGELOG.
 */
#ifndef FW_FACTORY_CATALOGUE_H
#define FW_FACTORY_CATALOGUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "factory/catalogue/db.h"

typedef struct fw_catalogue fw_catalogue;

/* Opens or creates; migrates an older one. FW_UNSUPPORTED for a newer or a foreign file. */
fw_status fw_catalogue_open(const char *path, fw_catalogue **out, fw_error *error) FW_MUST;
/* The same with other steps, for tests of migration. */
fw_status fw_catalogue_open_with(const char *path, const char *const *steps, int step_count,
                                 fw_catalogue **out, fw_error *error) FW_MUST;
void fw_catalogue_close(fw_catalogue *catalogue);
int fw_catalogue_version(void); /* the newest this program knows */

/* Takes the lock and opens a transaction; NULL with the reason, and no lock, when that fails. */
sqlite3 *fw_catalogue_begin(fw_catalogue *catalogue, fw_error *error);
/* Commits when status is FW_OK, else rolls back; lets go of the lock. Returns status, or the
 * commit's failure. Commits nothing while fw_json_short (base/json.h). */
fw_status fw_catalogue_end(fw_catalogue *catalogue, fw_status status, fw_error *error) FW_MUST;
/* For reading only: the lock without a transaction. */
sqlite3 *fw_catalogue_read(fw_catalogue *catalogue);
void fw_catalogue_read_end(fw_catalogue *catalogue);
/* For questions of people: reading only, without holding up anybody who commits. One that runs past
 * FW_CATALOGUE_ASK_S fails with FW_TOO_BIG. FW_TIMEOUT: FW_CATALOGUE_ASKS_MAX are waiting. Never with the
 * other lock held. */
enum { FW_CATALOGUE_ASK_S = 10, FW_CATALOGUE_ASKS_MAX = 8 };
fw_status fw_catalogue_ask(fw_catalogue *catalogue, sqlite3 **db, fw_error *error) FW_MUST;
void fw_catalogue_ask_end(fw_catalogue *catalogue);
void fw_catalogue_ask_limit(fw_catalogue *catalogue, int64_t limit_ns); /* for tests */
/* Counts commits (and fw_catalogue_touch): who waits for news compares it. */
uint64_t fw_catalogue_changes(const fw_catalogue *catalogue);
void fw_catalogue_touch(fw_catalogue *catalogue);

/* One row's JSON text: the SQL gives it; malloc'd. Takes the lock itself. */
fw_status fw_catalogue_json(fw_catalogue *catalogue, char **json, fw_error *error,
                            const char *sql) FW_MUST;

/* Inside a transaction: a line in the log of decisions, and settings by name. */
fw_status fw_log_add(sqlite3 *db, int64_t time_ns, const char *kind, const char *text,
                     fw_error *error) FW_MUST;
fw_status fw_setting_get(sqlite3 *db, const char *name, char *out, size_t out_size,
                         fw_error *error) FW_MUST; /* "" when not set */
fw_status fw_setting_set(sqlite3 *db, const char *name, const char *value, fw_error *error) FW_MUST;

#endif
