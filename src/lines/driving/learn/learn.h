/* learn.h - the factory's half of the driving line: recordings -> scenarios -> PPO -> candidate.
 * The gate's evidence on held-out scenarios: score/gate.h.
 *
 * Jobs call these; they read recordings and model files, and nothing else. Same inputs, same seed,
 * same build and CPU class -> same bytes out, whatever the number of threads and ranks.
 */
#ifndef FW_LINES_DRIVING_LEARN_H
#define FW_LINES_DRIVING_LEARN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/status.h"
#include "nn/train/ranks.h"

/* A point of the training curve: what the last update (of `agent_steps` in all so far) came to. */
typedef struct fw_driving_point {
    uint64_t agent_steps;
    double loss;          /* of the whole objective, the mean over the update's minibatches */
    double value_loss, entropy; /* of the network that drove, before the update: means over its steps;
                                   entropy of both choices together, in nats */
    double gradient_norm; /* before clipping, the mean over the minibatches */
    double clean_share;   /* of the drives that ended in this update; NaN: none did */
    double collision_share, off_road_share; /* likewise: how the others failed */
    double vacant_share;  /* of the batch's rows: nobody drove in them */
} fw_driving_point;

typedef struct fw_driving_progress {
    void *self;
    /* Called about once a second with counts and a short phase name; returns false to stop the
       job (FW_INTERRUPTED). */
    bool (*report)(void *self, const char *phase, uint64_t done, uint64_t total, double reward);
    /* Called after each update of training; NULL: nobody listens. */
    void (*point)(void *self, const fw_driving_point *point);
} fw_driving_progress;

typedef struct fw_driving_train_config {
    const char *const *recordings; /* (recording_count) paths, sorted by hash: training share only */
    uint32_t recording_count;
    const char *base_path;  /* champion's model file; a rule file means: start from scratch */
    uint64_t seed;
    uint64_t imitation_steps; /* first: of the humans in recorded scenes; 0: none */
    uint64_t agent_steps;   /* budget of what follows; 0: imitation is all */
    uint32_t threads;       /* 1 .. 16; changes nothing but the time */
    const char *out_path;   /* safetensors, written durably */
    fw_driving_progress progress;
    const fw_nn_ranks *ranks; /* 1, 2, 4 or 8 that train together; each reads the recordings, the first
                                 writes the model; NULL: alone */
} fw_driving_train_config;

typedef struct fw_driving_train_result {
    uint64_t agent_steps;
    uint32_t scenarios, scenarios_refused; /* recordings too short or without a route */
    double core_s;       /* CPU time of all threads of all ranks */
    double clean_share;  /* of the training drives in the last tenth of the run */
    double uncertainty_threshold; /* stands in the model's file */
    fw_hash model;
} fw_driving_train_result;

fw_status fw_driving_train(const fw_driving_train_config *config, fw_driving_train_result *out,
                           fw_error *error) FW_MUST;

/* An untrained network's model file for a seed (the baseline "untrained"). */
fw_status fw_driving_untrained(uint64_t seed, const char *out_path, fw_hash *hash,
                               fw_error *error) FW_MUST;

#endif
