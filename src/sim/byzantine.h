/* byzantine.h - somebody who speaks the protocol and means no good: wrong hashes, broken bodies, replays, reports
 * of models that do not exist, floods; under names of its own and of others. Nothing of it may break a promise
 * to the honest. */
#ifndef FW_SIM_BYZANTINE_H
#define FW_SIM_BYZANTINE_H

#include <stdint.h>

#include "base/random.h"

struct fw_sim_world;

typedef struct fw_sim_byzantine {
    fw_random random;
    int64_t due_ns;
} fw_sim_byzantine;

void fw_sim_byzantine_open(struct fw_sim_world *world);
void fw_sim_byzantine_step(struct fw_sim_world *world);

#endif
