/* receipt.h - the document: how one failure became a fixed fleet, hop by hop, each hop holding the hash of the one before.
 *
 *   event <- recording <- scenario <- dataset <- run <- gate <- signature <- rollout <- replay
 *     |          |  "previous" = SHA-256 of the canonical JSON of the hop before             |
 *     null                                                                                "chain"
 *
 *   predicate {"format":1,"event":7,"made_ns":..,"complete":bool,"outcome":WORD,"failure_to_fixed_ns":n|null,
 *              "bytes":n,"core_ms":n,"hops":[HOP, ...9],"chain":SHA-256 of the last hop}
 *   HOP       {"hop":NAME,"done":bool,"previous":SHA-256|null,"time_ns":n|null,"since_event_ns":n|null,"bytes":n|null,
 *              "core_ms":n|null,"sha256":hash|null,"why":TEXT|null,"facts":{...}}
 *
 * A hop that has not happened says so in "why" and has neither time nor hash: a receipt may be incomplete, it
 * never invents. The predicate is that of an in-toto statement whose subjects are the files it names, signed with the
 * factory's release key (trust/dsse.h). All numbers are whole (trust/canonical.h). Fields: docs/formats/receipt.md.
 *
 *   outcome   "fixed"           the old model fails the event's scenario again, the new one passes it
 *             "not reproduced"  the old model passes it as well: the replay proves nothing about this event
 *             "not fixed"       the new model fails it too
 *             "open"            there is no new model yet, or nothing to drive
 *   complete  every hop is done and the new model passes
 *
 * Building and checking are pure: no clock, no file. To add a hop: its name in FW_RECEIPT_HOPS, a builder in
 * receipt_hops.c, a section in docs/formats/receipt.md, a new format.
 */
#ifndef FW_FACTORY_RECEIPT_H
#define FW_FACTORY_RECEIPT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/status.h"

#define FW_RECEIPT_TYPE "urn:flywheel:receipt:1" /* the predicate's type */
enum { FW_RECEIPT_FORMAT = 1, FW_RECEIPT_MAX_BYTES = 1 << 20 };

#define FW_RECEIPT_HOPS(X)                                                                                             \
    X(EVENT, "event")                                                                                                  \
    X(RECORDING, "recording")                                                                                          \
    X(SCENARIO, "scenario")                                                                                            \
    X(DATASET, "dataset")                                                                                              \
    X(RUN, "run")                                                                                                      \
    X(GATE, "gate")                                                                                                    \
    X(SIGNATURE, "signature")                                                                                          \
    X(ROLLOUT, "rollout")                                                                                              \
    X(REPLAY, "replay")
typedef enum fw_receipt_hop {
#define X(name, text) FW_RECEIPT_##name,
    FW_RECEIPT_HOPS(X)
#undef X
        FW_RECEIPT_HOP_COUNT
} fw_receipt_hop;
extern const char *const fw_receipt_hop_names[FW_RECEIPT_HOP_COUNT];

/* What the factory knows of one event and one try to fix it; borrowed, any but `event` may be NULL or JSON null. The
 * fields of each are the facts of its hop (receipts.c selects them). */
typedef struct fw_receipt_facts {
    const json_t *event, *recording, *generation, *entry, *decision, *model, *rollout, *proof;
    int64_t proof_ns, proof_core_ms; /* when it was driven again, and what that took */
    const char *not_driven;          /* why there is no proof; NULL: nothing to drive yet */
} fw_receipt_facts;

/* The in-toto statement; the caller owns it. */
fw_status fw_receipt_build(const fw_receipt_facts *facts, int64_t made_ns, json_t **out, fw_error *error) FW_MUST;

/* What a checked receipt says; the texts live as long as the statement. */
typedef struct fw_receipt_view {
    const json_t *predicate, *hops;
    bool complete;
    const char *outcome;
    int64_t event, failure_to_fixed_ns; /* -1: not fixed */
} fw_receipt_view;
/* Checks a statement without its envelope: form, the chain of hashes, that its totals and its "complete" follow from
 * its hops, and that the subjects are what the hops name. FW_CORRUPT says at which hop. */
fw_status fw_receipt_check(const json_t *statement, fw_receipt_view *out, fw_error *error) FW_MUST;
/* A hop of a checked receipt. */
const json_t *fw_receipt_hop_of(const fw_receipt_view *view, fw_receipt_hop hop);

/* SHA-256 of the canonical JSON. */
fw_status fw_receipt_hash(const json_t *value, fw_hash *out, fw_error *error) FW_MUST;

#endif
