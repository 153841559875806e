/* staging.h - the courier's side of the shared slots (unit/shared.h): a model's ready bytes go in, the tick is told.
 *
 *   put    the slot says n, then its bytes change            nothing is asked of the tick
 *   stage  put, then lane->staged = n                        the tick takes it between two ticks
 *
 * Invariant: the slot of `keep` is never written: numbers that would fall on it are passed over.
 */
#ifndef FW_UNIT_STAGING_H
#define FW_UNIT_STAGING_H

#include "unit/shared.h"

/* Writes `bytes` (at most FW_UNIT_MODEL_MAX) under a new number, which it returns. keep: a number whose slot stays,
 * 0 none. */
uint64_t fw_unit_lane_put(fw_unit_lane *lane, uint64_t keep, const fw_hash *name, const void *bytes,
                          size_t size_bytes);
/* What was put is to be taken. */
void fw_unit_lane_stage(fw_unit_lane *lane, uint64_t sequence);
/* Is it still there whole? */
bool fw_unit_lane_has(const fw_unit_lane *lane, uint64_t sequence);

#endif
