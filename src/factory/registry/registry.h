/* registry.h - models by hash, each with a card that says where it comes from.
 *
 *   card: {"hash","version","parent","dataset","seed","line","kind","metrics":{},"gate":{}|null,"decision","reason",
 *          "created_ns","champion":bool,"release_counter","tags":{},"aliases":[]}
 *   of one model, besides: "lineage":{}|null (lineage.h), "self_test":{}|null, "statement":{}|null (release.h)
 *
 * A model's bytes are an object uploaded before; registering checks that they load. The champion is the fleet's
 * target where no rollout is under way; setting it releases it first (release.h). The first champion is
 * generation 0. `version` numbers the models, 1, 2 ...: what other tools call them by (mlflow.h).
 */
#ifndef FW_FACTORY_REGISTRY_H
#define FW_FACTORY_REGISTRY_H

#include <jansson.h>

#include "base/env.h"
#include "base/hash.h"
#include "factory/catalogue/catalogue.h"
#include "factory/line.h"
#include "factory/ingest/objects.h"

struct fw_trust;

typedef struct fw_registry {
    const fw_env *env;
    fw_catalogue *catalogue;
    const fw_objects *objects;
    const fw_factory_line *line;
    struct fw_trust *trust; /* NULL: nothing is signed (tests) */
} fw_registry;

typedef struct fw_model_card {
    const char *hash, *parent, *dataset, *kind, *line; /* parent, dataset: NULL none */
    int64_t seed, created_ns;
    const char *metrics, *lineage; /* JSON texts; NULL: none */
} fw_model_card;

/* POST /v1/models: {"hash","card":{...}?,"champion":bool?}. FW_NOT_FOUND: upload it first. */
fw_status fw_registry_post(const fw_registry *registry, const char *body, size_t body_bytes, fw_hash *hash,
                           fw_error *error) FW_MUST;
/* Inside a transaction: adds a card (kept as it is when the hash is known). */
fw_status fw_registry_add(sqlite3 *db, const fw_model_card *card, fw_error *error) FW_MUST;
/* The fleet's target, "" when there is none. */
fw_status fw_registry_champion(fw_catalogue *catalogue, char out[FW_HASH_HEX + 1],
                               fw_error *error) FW_MUST;
/* All cards, or one with all it has (FW_NOT_FOUND), as JSON text, malloc'd. */
fw_status fw_registry_json(fw_catalogue *catalogue, char **json, fw_error *error) FW_MUST;
fw_status fw_registry_json_of(fw_catalogue *catalogue, const char *hash, char **json,
                              fw_error *error) FW_MUST;
/* The text of a model's lineage as it was signed, malloc'd; "" when it has none. FW_NOT_FOUND. */
fw_status fw_registry_lineage(fw_catalogue *catalogue, const char *hash, char **text, fw_error *error) FW_MUST;

#endif
