/* erase.h - everything of one unit is forgotten, and a signed statement says so.
 *
 *   unit --> what is there: recordings, data sets that name them, models trained on those
 *        --> DIR/tombstones/ID.json, signed and durable             (1) from here on it will happen
 *        --> rows gone, objects 'erased', near-duplicates anew      (2) one transaction
 *        --> files unlinked, slices too; small records gone         (3)
 *        --> the catalogue's log emptied, free pages are zeros      (4) the row in erasures says 'done'
 *
 * After a crash behind (1) the next start goes on with what is missing. What was erased is refused
 * when it is sent again, and whatever asks for it is told 'erased' (410): the object, a query or a
 * slice that names it, a generation whose data set holds it.
 *
 * A tombstone is two lines (docs/formats/tombstone.md): the statement, and its Ed25519 signature by
 * DIR/identity/erase.key, made at the first erasure; erase.pub beside it verifies. ID is the SHA-256
 * of the statement.
 *
 * Invariants: (1) no recording of the unit that was acked before the call is left; (2) a tombstone is
 * never changed; (3) all steps may be done twice.
 */
#ifndef FW_FACTORY_ERASE_H
#define FW_FACTORY_ERASE_H

#include "factory/catalogue/catalogue.h"
#include "factory/ingest/objects.h"

enum { FW_ERASE_REASON_MAX = 400 };

/* What an erasure works on. erase_records: the store of small records forgets the unit; NULL: none. */
typedef struct fw_eraser {
    const fw_env *env;
    fw_catalogue *catalogue;
    const fw_objects *objects;
    const char *data_folder;
    fw_status (*erase_records)(void *self, const char *unit, fw_error *error);
    void *records;
} fw_eraser;

/* Answers the statement's JSON with "id"; malloc'd. FW_NOT_FOUND: nothing is known of the unit;
 * FW_INVALID: the reason is empty, too long or no text. */
fw_status fw_erase_unit(const fw_eraser *eraser, const char *unit, const char *reason, char **json,
                        fw_error *error) FW_MUST;
/* At the start: goes on with erasures that were cut off. */
fw_status fw_erase_resume(const fw_eraser *eraser, fw_error *error) FW_MUST;
/* Reads every tombstone: into erasures, and its recordings into temp.erased_objects (rebuild.h). */
fw_status fw_erase_read_tombstones(sqlite3 *db, const char *data_folder, fw_error *error) FW_MUST;

typedef struct fw_erase_verdict {
    int64_t tombstones, recordings;
    int64_t invalid;    /* signature, key or name wrong */
    int64_t still_here; /* objects that lie there all the same */
} fw_erase_verdict;
/* Checks every tombstone's signature, and that what it names is gone. say is called for each. */
fw_status fw_erase_verify(const char *data_folder,
                          void (*say)(void *self, const char *id, const char *statement, bool valid),
                          void *self, fw_erase_verdict *verdict, fw_error *error) FW_MUST;

#endif
