/* sim_many.h - simulations of many seeds, side by side in processes, and what came of them (cmd_sim.c).
 *
 *   parent --fork--> J children, child k runs seeds first + k, first + k + J, ..
 *          <--one JSON line a seed, through a pipe--
 */
#ifndef FW_CLI_SIM_MANY_H
#define FW_CLI_SIM_MANY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct fw_sim_many {
    uint64_t first, last; /* seeds */
    uint32_t units;
    unsigned jobs;
    double hours;
    const char *scratch;
    bool range, twice, story, json;
} fw_sim_many;

/* Prints one line a seed (or JSON), and a summary of a range. *kept: every seed kept every promise. */
fw_status fw_sim_many_run(const fw_sim_many *many, bool *kept, fw_error *error) FW_MUST;

#endif
