/* registry.h - models by hash, each with a card that says where it comes from.
 *
 *   card: {"hash","parent","dataset","seed","line","kind","metrics":{},"gate":{}|null,
 *          "decision","reason","created_ns","champion":bool}
 *
 * A model's bytes are an object uploaded before; registering checks that they load. The champion is
 * the fleet's target: every unit is told its hash in answer to each report. The first champion is
 * generation 0.
 */
#ifndef FW_FACTORY_REGISTRY_H
#define FW_FACTORY_REGISTRY_H

#include <jansson.h>

#include "base/env.h"
#include "base/hash.h"
#include "factory/catalogue/catalogue.h"
#include "factory/line.h"
#include "factory/ingest/objects.h"

typedef struct fw_model_card {
    const char *hash, *parent, *dataset, *kind, *line; /* parent, dataset: NULL none */
    int64_t seed, created_ns;
    const char *metrics; /* JSON text */
} fw_model_card;

/* POST /v1/models: {"hash","card":{...}?,"champion":bool?}. FW_NOT_FOUND: upload it first. */
fw_status fw_registry_post(fw_catalogue *catalogue, const fw_objects *objects,
                           const fw_factory_line *line, const fw_env *env, const char *body,
                           size_t body_bytes, fw_hash *hash, fw_error *error) FW_MUST;
/* Inside a transaction: adds a card (kept as it is when the hash is known). */
fw_status fw_registry_add(sqlite3 *db, const fw_model_card *card, fw_error *error) FW_MUST;
/* The fleet's target, "" when there is none. */
fw_status fw_registry_champion(fw_catalogue *catalogue, char out[FW_HASH_HEX + 1],
                               fw_error *error) FW_MUST;
/* All cards, or one (FW_NOT_FOUND), as JSON text, malloc'd. */
fw_status fw_registry_json(fw_catalogue *catalogue, char **json, fw_error *error) FW_MUST;
fw_status fw_registry_json_of(fw_catalogue *catalogue, const char *hash, char **json,
                              fw_error *error) FW_MUST;

#endif
