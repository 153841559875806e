/* mlflow.h - the registry in the words of MLflow's model registry, so that its clients list and fetch.
 *
 *   registered model   a line ("driving")
 *   version            a model of it, by its number (registry.h)
 *   alias              champion: the fleet's target; candidate: what a gate or a rollout has in hand; others: people's
 *   stage              Production: the champion; Staging: the candidate; Archived: was promoted; None
 *   run_id             "generation-N", where it was trained; source: mlflow-artifacts:/HASH
 *   tags               people's, and of each version flywheel.sha256, .kind, .parent, .dataset, .seed, .decision and
 *                      .release_counter, which nobody sets
 *
 * Rows are JSON objects with the fields of MLflow's messages ModelVersion and RegisteredModel (its public
 * model_registry.proto); times are milliseconds, versions text, and whole numbers stand as numbers, as its own server
 * writes them. docs/howto/mlflow.md shows clients.
 *
 * Invariants: (1) what the factory decides (champion, candidate, flywheel.*) cannot be written from here; (2) reading
 * happens on the connection for questions, so nobody who commits waits for it.
 */
#ifndef FW_FACTORY_MLFLOW_H
#define FW_FACTORY_MLFLOW_H

#include <jansson.h>

#include "factory/catalogue/catalogue.h"

enum {
    FW_MLFLOW_MODELS_DEFAULT = 100,
    FW_MLFLOW_MODELS_MAX = 1000,
    FW_MLFLOW_VERSIONS_DEFAULT = 10000,
    FW_MLFLOW_VERSIONS_MAX = 200000,
    FW_MLFLOW_KEY_MAX = 250,
    FW_MLFLOW_VALUE_MAX = 5000,
    FW_MLFLOW_ALIAS_MAX = 255
};

/* Every version, every registered model: arrays, in the order of their numbers, of their names. The caller owns them. */
fw_status fw_mlflow_versions(fw_catalogue *catalogue, json_t **rows, fw_error *error) FW_MUST;
fw_status fw_mlflow_models(fw_catalogue *catalogue, json_t **rows, fw_error *error) FW_MUST;
/* One of them; the caller owns it. FW_NOT_FOUND; FW_INVALID: the version is no number. */
fw_status fw_mlflow_version(fw_catalogue *catalogue, const char *line, const char *version, json_t **row,
                            fw_error *error) FW_MUST;
fw_status fw_mlflow_model(fw_catalogue *catalogue, const char *line, json_t **row, fw_error *error) FW_MUST;
fw_status fw_mlflow_version_by_alias(fw_catalogue *catalogue, const char *line, const char *alias, json_t **row,
                                     fw_error *error) FW_MUST;

/* A page of a search. Texts may be NULL. */
typedef struct fw_mlflow_search {
    const char *filter, *order_by, *page_token;
    int64_t max_results; /* 1 .. max */
} fw_mlflow_search;
/* Takes those of `rows` that match, in order: the page, and the token of the next one ("" none). FW_INVALID. */
fw_status fw_mlflow_page(const json_t *rows, const fw_mlflow_search *search, json_t **page, char next[24],
                         fw_error *error) FW_MUST;

/* Writes; version NULL: of the registered model. FW_NOT_FOUND, FW_INVALID, FW_DENIED: the factory's own. value NULL: takes
 * the tag away, which may not be there. */
fw_status fw_mlflow_tag(fw_catalogue *catalogue, const char *line, const char *version, const char *key,
                        const char *value, fw_error *error) FW_MUST;
/* version NULL: takes the alias away. */
fw_status fw_mlflow_alias(fw_catalogue *catalogue, const char *line, const char *alias, const char *version,
                          fw_error *error) FW_MUST;

#endif
