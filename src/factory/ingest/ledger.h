/* ledger.h - what came with each upload, kept beside the objects: DIR/objects/ledger.ndjson.
 *
 *   {"v":1,"sequence":17,"sha256":"ab..","kind":"recording","size_bytes":9,"received_ns":1,
 *    "unit":"7","recorded_ns":1,"boot":"..","unit_mono_ns":1,"unit_wall_ns":1,"moved_ns":0}
 *
 * Unit, clocks, time of receipt and sequence are not in the file that a unit sent. With this ledger the
 * folder of objects alone says all that a new catalogue needs (rebuild.h), and every receipt stays
 * what it was. One line an object, in the order of sequences; one flush for a whole group of uploads.
 *
 *   transaction: INSERT ... --fw_ledger_append--> lines durable --> COMMIT --> receipts
 *
 * Invariants: (1) an object's line is durable before its row is committed, so before its receipt;
 * (2) a line without a row can only be the end of the file, left by a crash or a failed commit: it is
 * cut off at the next start or append; nobody had a receipt for it; (3) a catalogue that lacks more
 * than one group of the ledger's last lines is not the folder's own: refused with what to do.
 */
#ifndef FW_FACTORY_LEDGER_H
#define FW_FACTORY_LEDGER_H

#include "base/env.h"
#include "base/file.h"
#include "factory/catalogue/catalogue.h"

enum { FW_LEDGER_LINE_MAX = 1024, FW_LEDGER_TAIL_MAX = 65 }; /* a group (FW_INGEST_GROUP_MAX), and the line before it */

#define FW_LEDGER_SETTING "ledger" /* set in a catalogue that has one */

typedef struct fw_ledger {
    const fw_env *env;
    int fd;
    char path[FW_PATH_MAX];
    uint64_t size_bytes;   /* of lines known to be committed */
    int64_t sequence;      /* of the last of them */
    uint64_t written_bytes; /* with lines whose commit is not known yet */
    int64_t written_sequence, written_received_ns;
    char written_sha256[65];
} fw_ledger;

/* Opens or makes it; a folder without one gets its lines from the catalogue. FW_CORRUPT: the
 * catalogue lacks uploads that the ledger has. The caller closes it. */
fw_status fw_ledger_open(const fw_env *env, const char *data_folder, fw_catalogue *catalogue,
                         fw_ledger *out, fw_error *error) FW_MUST;
void fw_ledger_close(fw_ledger *ledger);
/* Inside the transaction that added rows to objects, as its last step: their lines become durable.
 * On failure the transaction must be rolled back. */
fw_status fw_ledger_append(fw_ledger *ledger, sqlite3 *db, fw_error *error) FW_MUST;

/* One line read back. */
typedef struct fw_ledger_line {
    char sha256[65], kind[16], unit[64], boot[40];
    int64_t sequence, size_bytes, received_ns, recorded_ns, unit_mono_ns, unit_wall_ns, moved_ns;
    bool clock_given;
} fw_ledger_line;
/* Calls visit for each whole line; false ends early. FW_CORRUPT names the line. FW_NOT_FOUND: none. */
fw_status fw_ledger_each(const char *data_folder,
                         bool (*visit)(void *self, const fw_ledger_line *line), void *self,
                         fw_error *error) FW_MUST;

#endif
