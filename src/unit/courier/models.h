/* models.h - the courier's model files, and the way into the tick's slots.
 *
 *   DIR/models/<sha256>.safetensors     the two last ones; older ones are removed
 *   DIR/models/current                  hash of the one staged last, durable
 */
#ifndef FW_UNIT_MODELS_H
#define FW_UNIT_MODELS_H

#include "unit/courier/courier.h"

typedef struct fw_unit_models {
    const fw_env *env;
    fw_unit_shared *shared;
    fw_unit_model_load load;
    char folder[FW_PATH_MAX - 128];
    fw_hash staged; /* empty: none */
} fw_unit_models;

/* Makes the folder and stages the current model if there is a whole one. */
fw_status fw_unit_models_open(fw_unit_models *models, const fw_unit_courier_config *config,
                              fw_unit_shared *shared, fw_error *error) FW_MUST;
/* The stored file of `hash`, checked; FW_NOT_FOUND, FW_MISMATCH. The caller frees *bytes. */
fw_status fw_unit_models_find(const fw_unit_models *models, const fw_hash *hash, char **bytes,
                              size_t *size_bytes, fw_error *error) FW_MUST;
/* Checks the hash, makes the file durable, parses it and stages it. FW_MISMATCH for wrong bytes;
 * on any failure the model before stays. */
fw_status fw_unit_models_stage(fw_unit_models *models, const fw_hash *hash, const void *bytes,
                               size_t size_bytes, fw_error *error) FW_MUST;
/* The hash that belongs to a sequence; empty where it is 0. */
fw_hash fw_unit_models_name(const fw_unit_models *models, uint64_t sequence);

#endif
