/* set.h - the scenarios of a training: every recording it was given that can be driven, both kinds apart.
 *
 *   paths (sorted by hash) --fw_scenario_read, shared out over threads--> items: scenes first, then units'
 *
 * A recording that makes no scenario is counted, not fatal: a unit's may be too short, a scene's tracks may
 * have no route. The order of items follows the paths, so that the set does not depend on threads.
 */
#ifndef FW_LINES_DRIVING_LEARN_SET_H
#define FW_LINES_DRIVING_LEARN_SET_H

#include "base/pool.h"
#include "lines/driving/learn/scenario/scenario.h"

typedef struct fw_learn_set {
    fw_scenario **items; /* (count) owned; [0, scene_count) are scenes, the rest units' */
    uint32_t count, scene_count, refused;
} fw_learn_set;

/* FW_INVALID when none of them can be driven, with the reason of the first. */
fw_status fw_learn_set_read(const char *const *paths, uint32_t count, fw_pool *pool, fw_learn_set *out,
                            fw_error *error) FW_MUST;
void fw_learn_set_clear(fw_learn_set *set);

#endif
