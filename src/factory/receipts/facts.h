/* facts.h - private to receipts/: what the catalogue and the manifests know of one event (receipt.h).
 *
 *   {"event":{..},"recording":{..},"tries":[{"generation":{..},"entry":{..}|null,"decision":..,"model":..,"rollout":..}]}
 *
 * Tries: the promoted generations from the one that owns the recording on whose data set lists it, oldest first, at
 * most FW_RECEIPT_TRIES_MAX; without any, the newest generation that owns or lists it.
 */
#ifndef FW_FACTORY_RECEIPT_FACTS_H
#define FW_FACTORY_RECEIPT_FACTS_H

#include "factory/receipts/receipts.h"

/* The caller owns *out. FW_NOT_FOUND: no such event. */
fw_status fw_receipt_facts_read(const fw_receipts *receipts, int64_t event, json_t **out, fw_error *error) FW_MUST;

#endif
