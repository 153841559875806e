/* lineage.h - what a model is made of, complete enough to make it again (docs/formats/lineage.md).
 *
 *   recordings <-- data set (manifest) --+
 *   parent ------------------------------+--> training --> model --> gate
 *   recipe, seed, program, CPU class ----+                 ^ lineage: all of this, by hash
 *
 *   {"version":1,"line","model","origin":"trained"|"uploaded","parent","dataset","generation",
 *    "recordings":{"train","held_out"},"recipe":{"trainer","features","imitation_steps","agent_steps","seed"},
 *    "code":{"version","commit","build_id"},
 *    "machine":{"cpu_class","training_class","caches_bytes":[..],"libc","compiler"},
 *    "cost":{"core_s","agent_steps","dataset_ns","trained_ns"},"gate":{"sha256","decision","reason"}|null}
 *
 * `flywheel models rebuild` reads it: the same recordings, parent, recipe and program on the same CPU class give the
 * same bytes. What it cannot hold is said as null or "".
 *
 * Invariants: (1) hashes are of objects in the factory's store; (2) it is written in the same commit as what it is
 * about: the model, then the gate's decision; (3) a seed is decimal text, because JSON readers lose whole numbers
 * over 2^53.
 */
#ifndef FW_FACTORY_LINEAGE_H
#define FW_FACTORY_LINEAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/status.h"

enum { FW_LINEAGE_VERSION = 1, FW_LINEAGE_MAX_BYTES = 1 << 16 };

/* This program and this machine; the caller owns them. NULL without memory. */
json_t *fw_lineage_code(void);
json_t *fw_lineage_machine(void);

/* What a training was asked for. */
typedef struct fw_recipe {
    uint64_t imitation_steps, agent_steps, seed;
} fw_recipe;
/* Its JSON, for the training's result; the caller owns it. NULL without memory. */
json_t *fw_recipe_json(const fw_recipe *recipe);

/* A trained model. texts as in the catalogue; result: what the training job wrote. */
typedef struct fw_lineage_trained {
    const char *line, *model, *parent, *dataset;
    int64_t generation, train_recordings, held_out_recordings, dataset_ns, trained_ns;
    const json_t *result; /* "recipe","code","machine","core_s","agent_steps" */
} fw_lineage_trained;
/* Text, malloc'd. */
fw_status fw_lineage_of_training(const fw_lineage_trained *trained, char **text, fw_error *error) FW_MUST;
/* A model that somebody brought: its parent and data set as its card says, NULL where it does not. */
fw_status fw_lineage_of_upload(const char *line, const char *model, const char *parent, const char *dataset,
                               char **text, fw_error *error) FW_MUST;
/* The same with what the gate decided; gate: the text of its record. A lineage "" stays "". */
fw_status fw_lineage_with_gate(const char *lineage, const char *gate, const char *decision, const char *reason,
                               char **text, fw_error *error) FW_MUST;

/* What a rebuild needs. */
typedef struct fw_lineage {
    bool trained; /* false: nothing tells how it was made */
    char line[32], model[FW_HASH_HEX + 1], parent[FW_HASH_HEX + 1], dataset[FW_HASH_HEX + 1]; /* "" none */
    char gate[FW_HASH_HEX + 1];
    char commit[64], build_id[64], training_class[64];
    fw_recipe recipe;
} fw_lineage;
/* FW_CORRUPT with the reason; FW_UNSUPPORTED: another version. */
fw_status fw_lineage_read(const void *text, size_t size_bytes, fw_lineage *out, fw_error *error) FW_MUST;

#endif
