/* spent.h - what of their budgets campaigns have used up on this unit, over restarts.
 *
 *   a capture is whole --> shared->spent (the tick reads it when it takes a campaign it does not know)
 *                      --> DIR/spent.json, durable
 *
 * Invariants: (1) the draining thread alone writes; a place, once given to a campaign, stays its own until all
 * three processes are gone, and its name is whole before spent_count says that it is there; (2) a
 * courier that dies between the file and the ring's pop counts that capture twice: a budget is spent a capture
 * early, never late; (3) at most FW_UNIT_SPENT_MAX campaigns, a start keeps the half used last.
 */
#ifndef FW_UNIT_SPENT_H
#define FW_UNIT_SPENT_H

#include "base/env.h"
#include "unit/shared.h"

/* Reads DIR/spent.json, unless a courier before this one did; what is bent in it counts as nothing. */
void fw_unit_spent_load(fw_unit_shared *shared, const char *data_folder);
/* One more capture. A file that cannot be written is logged: then only a restart forgets it. */
void fw_unit_spent_add(fw_unit_shared *shared, const fw_env *env, const char *data_folder,
                       const char *campaign, uint64_t size_bytes);

#endif
