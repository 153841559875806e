/* cmd_train.h - `flywheel train`: a candidate out of recordings, without a factory.
 *
 *      flywheel train                    one process
 *      flywheel train --ranks 4          starts mpirun -n 4 flywheel-ranks train ..., and waits for it
 *      mpirun -n 4 flywheel train ...    becomes flywheel-ranks, which links MPI; under srun too
 *
 * flywheel-ranks lies beside flywheel and runs the same fw_train_run; rank 0 alone talks and writes.
 * Ctrl-C and SIGTERM stop all ranks after the update under way; nothing is written then.
 */
#ifndef FW_CLI_CMD_TRAIN_H
#define FW_CLI_CMD_TRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "nn/train/ranks.h"

enum { FW_TRAIN_SOURCES_MAX = 4096, FW_TRAIN_SUITES_MAX = 64 };

typedef struct fw_train_words {
    const char *sources[FW_TRAIN_SOURCES_MAX + 1]; /* recordings and folders of them */
    const char *suites[FW_TRAIN_SUITES_MAX];
    int source_count, suite_count;
    const char *base, *out, *curve;
    uint64_t imitation_steps, agent_steps, seed, threads, ranks; /* threads 0: share the processors; ranks 0: not said */
    bool leave_sealed, json, help;
} fw_train_words;

/* argv behind the command's name; it is put in another order. */
fw_status fw_train_read(int argc, char **argv, fw_train_words *out, fw_error *error) FW_MUST;
extern const char *const fw_train_help;
/* Trains, and says what came of it. fw_nn_stop_on_signals comes before. */
fw_status fw_train_run(const fw_train_words *words, const fw_nn_ranks *ranks,
                       fw_error *error) FW_MUST;

/* Whether mpirun or srun started this process as one of several. */
bool fw_train_is_rank(void);
/* This process becomes flywheel-ranks; returns only where that fails. words: the command's, NULL behind. */
fw_status fw_train_become_rank(char **words, fw_error *error) FW_MUST;
/* Runs flywheel-ranks under mpirun until it ends; what stops this process stops all ranks. */
fw_status fw_train_launch(uint64_t ranks, char **words, int *exit_status, fw_error *error) FW_MUST;

#endif
