/* receipts.h - the factory's receipts: what others wrote into the catalogue, put together, proved, signed and kept.
 *
 *   event --facts.c: catalogue, manifests--> tries: the generations that learned from its recording
 *         --line: drive_again, old model and new--> the first try whose model passes (else the first)
 *         --receipt.h--> statement --trust.h--> DSSE envelope --> table receipts
 *
 * A receipt is made when it is asked for. The one kept answers as long as the facts are the same; when they moved on
 * (a decision, a rollout, another generation) it is made again. Driving takes some tens of milliseconds a model; one
 * receipt is made at a time.
 *
 * Invariants: (1) reads what others wrote and writes its own table alone; (2) same facts, same hops but for the time and the
 * core-seconds of the replay; (3) a receipt goes with its recording's row when its unit is erased.
 */
#ifndef FW_FACTORY_RECEIPTS_H
#define FW_FACTORY_RECEIPTS_H

#include "base/env.h"
#include "factory/catalogue/catalogue.h"
#include "factory/ingest/objects.h"
#include "factory/line.h"
#include "factory/trust/trust.h"

enum { FW_RECEIPT_TRIES_MAX = 4, FW_RECEIPTS_LIST_DEFAULT = 200 };

/* What a receipt is made from; all borrowed. */
typedef struct fw_receipts {
    const fw_env *env;
    fw_catalogue *catalogue;
    const fw_objects *objects;
    const fw_factory_line *line;
    fw_trust *trust;
} fw_receipts;

/* The signed receipt of an event by its id: DSSE envelope, malloc'd text. FW_NOT_FOUND: no such event. */
fw_status fw_receipts_of(const fw_receipts *receipts, int64_t event, char **envelope, fw_error *error) FW_MUST;
/* Both drives of its replay as pictures (docs/formats/replay.md): {"proof":{..}|null,"replays":[one or none],"why":TEXT|null},
 * malloc'd JSON. FW_NOT_FOUND: no such event. */
fw_status fw_receipts_replay(const fw_receipts *receipts, int64_t event, char **json, fw_error *error) FW_MUST;
/* Those made so far, newest event first, and what they come to:
 *   {"events","receipts","complete","fixed","not_reproduced","not_fixed","open","share_complete",
 *    "failure_to_fixed_s":{"median","low","high","n","clusters"}|null,
 *    "rows":[{"event","unit","kind","recording","generation","outcome","complete","event_ns","fixed_s"|null},..]}
 * The interval is the 95 % one of resampled generations; null for fewer than two. malloc'd JSON. */
fw_status fw_receipts_json(const fw_receipts *receipts, int64_t limit, char **json, fw_error *error) FW_MUST;

#endif
