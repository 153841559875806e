/* world.h - the inside of a simulation, shared by its files alone: world.c (whose step is next),
 * factory.c, unit.c, byzantine.c, link.c, promises.c. */
#ifndef FW_SIM_WORLD_H
#define FW_SIM_WORLD_H

#include "factory/factory.h"
#include "sim/byzantine.h"
#include "sim/factory.h"
#include "sim/link.h"
#include "sim/machine.h"
#include "sim/operator.h"
#include "sim/promises.h"
#include "sim/sim.h"
#include "sim/trace.h"
#include "sim/unit.h"

typedef struct fw_sim_world {
    const fw_sim_config *config;
    int64_t now_ns; /* true time since the beginning */
    bool faults;    /* while they last */
    fw_sim_trace trace;
    fw_sim_promises promises;
    fw_sim_result result;
    fw_sim_factory factory;
    fw_sim_unit *units; /* (config->units) */
    fw_sim_byzantine byzantine;
    fw_sim_operator op;
} fw_sim_world;

/* An exponential wait of this mean. */
int64_t fw_sim_wait_ns(fw_random *random, double mean_s);

#endif
