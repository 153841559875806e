/* checkpoint.h - a training that stops and goes on to the same bits (docs/formats/checkpoint.md).
 *
 *   trainer --save--> safetensors: params, m, v, [average]; step, options, hash of the graph, digest
 *           <-restore-- only into a trainer of the same graph, options and seed
 *
 * Invariants: (1) train 100 = train 50, save, a new trainer, restore, train 50: bit for bit; (2) the file
 * is whole or the old one (written durably); (3) a restore changes all or nothing: a damaged file, or
 * one of another graph or other options, is refused with the name of what differs. Threads, ranks and
 * backends may differ; the same bits need the same backends and the same CPU class.
 *
 * With several ranks (ranks.h) rank 0 alone reads and writes the file; each function that takes a trainer and
 * a path is called by all of them.
 */
#ifndef FW_NN_TRAIN_CHECKPOINT_H
#define FW_NN_TRAIN_CHECKPOINT_H

#include "base/env.h"
#include "nn/train/trainer.h"

enum { FW_NN_CHECKPOINT_VERSION = 1 };

fw_status fw_nn_trainer_save(fw_nn_trainer *trainer, const fw_env *env, const char *path,
                             fw_error *error) FW_MUST;
/* FW_NOT_FOUND; FW_MISMATCH: of another graph or other options; FW_CORRUPT; FW_UNSUPPORTED. */
fw_status fw_nn_trainer_restore(fw_nn_trainer *trainer, const char *path, fw_error *error) FW_MUST;
/* The same from and to memory. *bytes is malloc'd. */
fw_status fw_nn_checkpoint_write(fw_nn_trainer *trainer, char **bytes, size_t *size_bytes,
                                 fw_error *error) FW_MUST;
fw_status fw_nn_checkpoint_read(fw_nn_trainer *trainer, const void *bytes, size_t size_bytes,
                                fw_error *error) FW_MUST;

/* For programs that train long: SIGTERM, SIGINT and SIGUSR1 (which mpirun passes on) only ask to stop from
 * now on. */
void fw_nn_stop_on_signals(void);
bool fw_nn_stop_wanted(void);

typedef struct fw_nn_keeper {
    const char *path;
    uint64_t every_steps; /* 0: only when it stops */
    const fw_env *env;
} fw_nn_keeper;
/* After each step: saves when every_steps have passed or a stop is wanted, and then says so. */
fw_status fw_nn_keep(const fw_nn_keeper *keeper, fw_nn_trainer *trainer, bool *stop,
                     fw_error *error) FW_MUST;

#endif
