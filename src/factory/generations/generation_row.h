/* generation_row.h - one row of the generations table, and the commits that move its stage. Private
 * to generations*.c.
 */
#ifndef FW_FACTORY_GENERATION_ROW_H
#define FW_FACTORY_GENERATION_ROW_H

#include "factory/generations/generations.h"

typedef struct fw_generation_row {
    bool found;
    int64_t n, seed, agent_steps, crashes;
    char stage[12];
    char parent[FW_HASH_HEX + 1], dataset[FW_HASH_HEX + 1], candidate[FW_HASH_HEX + 1];
} fw_generation_row;

/* The one generation in work; found false when there is none. */
fw_status fw_generation_running(fw_catalogue *catalogue, fw_generation_row *out,
                                fw_error *error) FW_MUST;
/* DIR/jobs/generation-N, and a file in it. */
void fw_generation_folder(const fw_generations *g, int64_t n, char out[FW_PATH_MAX]);
void fw_generation_file(const fw_generations *g, int64_t n, const char *name,
                        char out[FW_PATH_MAX]);

/* The stages; each returns FW_OK when it did all that could be done in this tick. */
fw_status fw_generation_dataset(fw_generations *g, const fw_generation_row *row,
                                fw_error *error) FW_MUST;
fw_status fw_generation_job(fw_generations *g, const fw_generation_row *row,
                            fw_error *error) FW_MUST;
fw_status fw_generation_rollout(fw_generations *g, const fw_generation_row *row,
                                fw_error *error) FW_MUST;
/* Takes a job's finished result into the catalogue. FW_NOT_FOUND: there is none (yet). */
fw_status fw_generation_take_result(fw_generations *g, const fw_generation_row *row,
                                    fw_error *error) FW_MUST;
/* Writes a job's input. */
fw_status fw_generation_write_input(fw_generations *g, const fw_generation_row *row,
                                    fw_error *error) FW_MUST;
fw_status fw_generation_fail(fw_generations *g, const fw_generation_row *row, const char *reason,
                             fw_error *error) FW_MUST;

#endif
