/* set.h - the scenarios of a training: every recording it was given that can be driven, both kinds apart.
 *
 *   paths (sorted by hash) --fw_scenario_read, shared out over threads--> items: scenes first, then units'
 *
 *   items   [ scene scene | scene | scene scene scene | unit unit unit ... ]
 *   groups    0             2       3                 6 = scene_count
 *
 * A recording that makes no scenario is counted, not fatal: a unit's may be too short, a scene's tracks may
 * have no route. The order of items follows the paths, scenes of one overlap group together, so that the set
 * does not depend on threads.
 */
#ifndef FW_LINES_DRIVING_LEARN_SET_H
#define FW_LINES_DRIVING_LEARN_SET_H

#include "base/pool.h"
#include "lines/driving/learn/scenario/scenario.h"

typedef struct fw_learn_set {
    fw_scenario **items; /* (count) owned; [0, scene_count) are scenes, the rest units' */
    uint32_t *groups;    /* (group_count + 1) owned; where each overlap group's scenes begin, and where all end */
    uint32_t count, scene_count, group_count, refused;
} fw_learn_set;

/* FW_INVALID when none of them can be driven, with the reason of the first. */
fw_status fw_learn_set_read(const char *const *paths, uint32_t count, fw_pool *pool, fw_learn_set *out,
                            fw_error *error) FW_MUST;
/* Brings the scenes of items into the order above and makes groups; by fw_learn_set_read already. */
fw_status fw_learn_set_group(fw_learn_set *set, fw_error *error) FW_MUST;
void fw_learn_set_clear(fw_learn_set *set);

#endif
