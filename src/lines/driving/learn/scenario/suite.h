/* suite.h - a list of files to drive in: what is trained on, what is held out (docs/formats/suite.md).
 *
 *   DIR/train.json    --+
 *   DIR/heldout.json  --+--> {file, sha256, site, group, sealed} ...  file: DIR/scenes/<sha256>.mcap
 *
 * Data is split by overlap group, never by file: scenes cut from the same minutes of the same road show the same
 * people. An item of a held-out group is sealed: nobody may learn from it, and training refuses it. A suite of
 * units' recordings has the same form; group is then the run it comes from.
 *
 * Invariants: (1) a file lies in the suite's folder or below it; (2) no hash twice; (3) site and group fit
 * fw_scenario_tags; (4) the same items give the same bytes.
 */
#ifndef FW_LINES_DRIVING_SCENARIO_SUITE_H
#define FW_LINES_DRIVING_SCENARIO_SUITE_H

#include "base/file.h"
#include "lines/driving/learn/scenario/scenario.h"

enum { FW_SUITE_ITEMS_MAX = 1 << 16, FW_SUITE_FILE_MAX = 200, FW_SUITE_BYTES_MAX = 32 << 20 };

typedef struct fw_suite_item {
    char file[FW_SUITE_FILE_MAX]; /* beside the suite: "scenes/<sha256>.mcap" */
    fw_hash hash;                 /* of the file */
    fw_scenario_tags tags;
    bool sealed; /* of a held-out group: never to learn from */
} fw_suite_item;

typedef struct fw_suite {
    char name[48]; /* "heldout" */
    uint32_t count;
    fw_suite_item *items; /* (count), owned */
} fw_suite;

/* FW_CORRUPT or FW_TOO_BIG with the item and the reason. The caller ends it with fw_suite_clear. */
fw_status fw_suite_parse(const char *text, size_t size_bytes, fw_suite *out, fw_error *error) FW_MUST;
fw_status fw_suite_read(const char *path, fw_suite *out, fw_error *error) FW_MUST;
/* Writes path, durably. FW_EXISTS when it is there with other content; the same content is left as it is. */
fw_status fw_suite_write(const char *path, const fw_suite *suite, fw_error *error) FW_MUST;
void fw_suite_clear(fw_suite *suite);

/* Where an item of the suite at `suite_path` lies. FW_TOO_BIG when that is over FW_PATH_MAX. */
fw_status fw_suite_path(const char *suite_path, const fw_suite_item *item, char out[FW_PATH_MAX],
                        fw_error *error) FW_MUST;

/* Which of `count` groups of one site are held out: of the groups in order of SHA-256("SITE/GROUP") the first
 * quarter, rounded. So nobody chose them, and what was made of the data has no say. */
fw_status fw_suite_hold_out(const char *site, const char *const *groups, uint32_t count, bool *held_out,
                            fw_error *error) FW_MUST;

#endif
