/* recordings.h - what the catalogue keeps of a recording: a row, its events, and what else can be
 * asked for (query.h). Everything here is found in the object itself or came with its upload, so
 * that the rows can be made again.
 */
#ifndef FW_FACTORY_RECORDINGS_H
#define FW_FACTORY_RECORDINGS_H

#include "factory/db.h"
#include "factory/scan.h"

/* "held_out" for about one unit in four (number % 4 == 3, or by hash of a name), else "train". */
const char *fw_recordings_role(const char *unit);
/* Inside a transaction, after the row in objects. */
fw_status fw_recordings_insert(sqlite3 *db, const char *sha256, const char *unit,
                               const fw_scan *scan, int64_t now_ns, fw_error *error) FW_MUST;

#endif
