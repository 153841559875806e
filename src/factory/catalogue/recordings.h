/* recordings.h - what the catalogue keeps of a recording: a row, its events, and what else can be
 * asked for (query.h). Everything here is found in the object itself or came with its upload, so
 * that the rows can be made again.
 */
#ifndef FW_FACTORY_RECORDINGS_H
#define FW_FACTORY_RECORDINGS_H

#include "factory/catalogue/db.h"
#include "factory/catalogue/scan.h"

/* What the unit's clocks and the server's say about one upload (docs/formats/http.md,
 * Flywheel-Clock). given false: the unit said nothing; recorded_ns is then the time of receipt. */
typedef struct fw_recording_clock {
    char boot[40];               /* the unit's boot id, "" when not given */
    int64_t mono_ns, wall_ns;    /* the unit's clocks at the start of the recording */
    int64_t recorded_ns;         /* the same moment on the server's clock, best estimate */
    int64_t moved_ns;            /* recorded_ns - wall_ns */
    bool given;
} fw_recording_clock;

/* SQL: may the recording r train or be held out for the driving line? Drives of the line, and of a
 * campaign's captures only those of units that send nothing else: captures are chosen by their
 * trigger, and beside whole drives they would count the same seconds twice. */
#define FW_RECORDINGS_TRAIN                                                                        \
    "r.line='driving' AND r.form='drive' AND (r.campaign IS NULL OR NOT EXISTS(SELECT 1 FROM "      \
    "recordings w WHERE w.unit=r.unit AND w.campaign IS NULL AND w.line='driving' AND "             \
    "w.form='drive'))"

/* "held_out" for about one unit in four (number % 4 == 3, or by hash of a name), else "train". */
const char *fw_recordings_role(const char *unit);
/* Inside a transaction, after the row in objects. clock NULL: not given. */
fw_status fw_recordings_insert(sqlite3 *db, const char *sha256, const char *unit,
                               const fw_scan *scan, const fw_recording_clock *clock,
                               int64_t now_ns, fw_error *error) FW_MUST;
/* Inside a transaction: the row and all that hangs on it; the row in objects stays. */
fw_status fw_recordings_delete(sqlite3 *db, const char *sha256, fw_error *error) FW_MUST;

#endif
