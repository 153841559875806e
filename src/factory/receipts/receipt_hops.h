/* receipt_hops.h - private to receipts/: one builder for each hop of a receipt (receipt.h). */
#ifndef FW_FACTORY_RECEIPT_HOPS_H
#define FW_FACTORY_RECEIPT_HOPS_H

#include "factory/receipts/receipt.h"

/* A hop before it is chained: "hop", "done", "time_ns", "bytes", "core_ms", "sha256", "why", "facts". NULL without
 * memory; the caller owns it. */
json_t *fw_receipt_hop_make(fw_receipt_hop hop, const fw_receipt_facts *facts);
/* When the event happened by the factory's clock: where the recording's start was placed there, but never after its
 * arrival (simulated time runs faster). */
int64_t fw_receipt_event_ns(const json_t *event);
/* fixed, not reproduced, not fixed, open: from the two drives of a proof (NULL: open). */
const char *fw_receipt_outcome(const json_t *proof);

#endif
