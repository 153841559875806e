/* experiment_place.h - the folder and the processes of one cell or drill, while it is worked on. */
#ifndef FW_CLI_EXPERIMENT_PLACE_H
#define FW_CLI_EXPERIMENT_PLACE_H

#include "cli/demo.h"
#include "cli/experiment.h"

/* Not to be moved once it is open: demo points into it. */
typedef struct fw_experiment_place {
    char listen[40], conditions[200];
    const char *world_words[3];
    fw_demo_options options;
    fw_demo demo;
} fw_experiment_place;

/* A folder of its own in DIR/running, the factory's data as `snapshot` has them (NULL: none), a free port.
 * conditions: of the city, "" as measured. Nothing is started. `place` is zeroed by the caller, who closes it
 * also after a failure. */
fw_status fw_experiment_place_open(const fw_experiment *e, const char *name, const char *snapshot, uint64_t seed,
                                   const char *conditions, fw_experiment_place *place,
                                   fw_error *error) FW_MUST;
/* Stops whatever runs; the folder stays. */
void fw_experiment_place_close(fw_experiment_place *place);
/* A model of the running factory as a file. */
fw_status fw_experiment_model_file(fw_experiment_place *place, const fw_hash *hash, char path[FW_PATH_MAX],
                                   fw_error *error) FW_MUST;

#endif
