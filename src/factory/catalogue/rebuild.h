/* rebuild.h - the catalogue made again from the folder of objects, and compared with it.
 *
 *   DIR/objects/ledger.ndjson   who sent what, when, under which sequence   \
 *   DIR/objects/ab/ab12...      the recordings, looked through again (scan)  > catalogue.sqlite
 *   DIR/tombstones/             what was erased                             /
 *   the old catalogue, when it can be read: what is in no object (below)
 *
 * From the objects: every column that can be asked for (query.h), events, topics, figures, places,
 * near-duplicates. From the old catalogue, when it opens: models with their lineage, data sets,
 * generations and which recordings each owns, units' reports, settings (champion, retention), the log
 * of decisions, campaigns, positions of record streams, and the rows of recordings whose bytes
 * have expired. Without it those are gone, and expired recordings keep receipt, unit and clocks alone.
 *
 * Invariants: (1) the same answers to every query as before; (2) the new catalogue takes the old one's
 * place by one rename, after it is whole and durable: a crash leaves the old one; (3) serve must be
 * stopped (DIR/lock).
 */
#ifndef FW_FACTORY_REBUILD_H
#define FW_FACTORY_REBUILD_H

#include "base/env.h"
#include "factory/line.h"

typedef struct fw_rebuild_report {
    int64_t objects, recordings; /* rows written */
    int64_t expired;             /* of them, bytes given up or not found */
    int64_t erased, broken;      /* broken: bytes there, but no longer what they were */
    bool had_old;                /* the old catalogue could be read */
} fw_rebuild_report;

/* FW_BUSY: serve runs. FW_NOT_FOUND: no ledger there. FW_UNSUPPORTED: the catalogue is a newer
 * Flywheel's, or another program's file; it is left as it is. */
fw_status fw_rebuild(const fw_env *env, const char *data_folder, const fw_factory_line *line,
                     fw_rebuild_report *report, fw_error *error) FW_MUST;

typedef struct fw_check_report {
    int64_t objects;      /* rows */
    int64_t missing;      /* kept by the catalogue, but no such file, or of another size */
    int64_t left_over;    /* files of expired or erased objects */
    int64_t unlisted;     /* rows without their line in the ledger */
    int64_t unknown;      /* lines of the ledger without their row */
    int64_t differing;    /* deep: rows that a rebuilt catalogue would have differently */
    int64_t unacked;      /* files that no receipt names (an upload cut off by a crash): no difference */
} fw_check_report;

/* deep: rebuilds into a temporary file and compares all that can be asked for. */
fw_status fw_catalogue_check(const fw_env *env, const char *data_folder,
                             const fw_factory_line *line, bool deep, fw_check_report *report,
                             fw_error *error) FW_MUST;
/* Catalogue and objects say the same. */
bool fw_check_equal(const fw_check_report *report);

#endif
