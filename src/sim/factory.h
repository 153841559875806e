/* factory.h - the simulated factory: the real one on a machine whose power goes, whose disk fills, whose
 * clock jumps. Jobs do not start there (a launcher that refuses): training has no place in a simulation. */
#ifndef FW_SIM_FACTORY_H
#define FW_SIM_FACTORY_H

#include "factory/factory.h"
#include "sim/machine.h"

struct fw_sim_world;

typedef struct fw_sim_factory {
    fw_sim_machine machine;
    fw_factory *factory; /* NULL: off */
    fw_random random;
    int64_t due_ns;      /* the next step */
    int64_t fault_due_ns, deadline_ns, room_due_ns, check_due_ns;
    uint8_t keys[32];    /* what its keys are made from */
} fw_sim_factory;

fw_status fw_sim_factory_open(struct fw_sim_world *world, fw_error *error) FW_MUST;
void fw_sim_factory_close(struct fw_sim_world *world);
/* Starts it when it is off, else lets it tick; and whatever the seed has for it. */
void fw_sim_factory_step(struct fw_sim_world *world);
/* Its power went in somebody's call: it is off. */
void fw_sim_factory_fell(struct fw_sim_world *world);
/* No more faults: whatever keeps it from working ends. */
void fw_sim_factory_calm(struct fw_sim_world *world);

#endif
