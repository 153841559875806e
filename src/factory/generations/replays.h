/* replays.h - drives of champion and candidate that people can look at, generation by generation.
 *
 *   gate job --writes--> jobs/generation-N/replays.json --its result is taken--> DIR/replays/generation-N.json
 *                                                                                   |
 *   GET /v1/generations/{n}/replays <-----------------------------------------------+
 *
 * Pictures, no evidence: a decision never reads them, and one that cannot be kept stops nothing. The last
 * FW_REPLAYS_KEPT generations' are there, each of at most FW_REPLAYS_MAX_BYTES. Format: docs/formats/replay.md.
 */
#ifndef FW_FACTORY_REPLAYS_H
#define FW_FACTORY_REPLAYS_H

#include "factory/generations/generations.h"

enum { FW_REPLAYS_KEPT = 50, FW_REPLAYS_MAX_BYTES = 4 << 20 };

/* Takes what the gate job of a generation wrote, if anything, and lets an old one go. */
void fw_replays_keep(const fw_generations *generations, int64_t generation);
/* Its JSON text, malloc'd. FW_NOT_FOUND: none was written, or it is no longer kept. */
fw_status fw_replays_json(const fw_generations *generations, int64_t generation, char **json,
                          fw_error *error) FW_MUST;

#endif
