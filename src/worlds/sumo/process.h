/* process.h - SUMO as a child process that never outlives us (PR_SET_PDEATHSIG).
 *
 * The signal comes when the THREAD that started it ends: open a world in a thread that lives as
 * long as the world.
 */
#ifndef FW_WORLDS_SUMO_PROCESS_H
#define FW_WORLDS_SUMO_PROCESS_H

#include <sys/types.h>

#include "worlds/sumo/city.h"

/* Starts SUMO and connects to it; FW_NOT_FOUND names the missing package or file. */
fw_status fw_sumo_start(const fw_city_config *config, pid_t *pid, int *talk, fw_traci **traci,
                        fw_error *error) FW_MUST;
/* The end of what SUMO said on stderr, in one line. */
void fw_sumo_last_words(int talk, char *out, size_t out_size);
/* Kills and reaps. */
void fw_sumo_stop(pid_t pid, int talk);

#endif
