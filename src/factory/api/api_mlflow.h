/* api_mlflow.h - MLflow's model registry over HTTP (registry/mlflow.h): the calls of its REST API 2.0 that list and
 * fetch models and write tags and aliases, with its own error codes.
 *
 *   /api/2.0/mlflow/registered-models/{call}   get search get-latest-versions alias create set-tag delete-tag
 *   /api/2.0/mlflow/model-versions/{call}      get search get-download-uri set-tag delete-tag
 *   /api/2.0/mlflow-artifacts/artifacts        ?path=HASH: a model's files;  /HASH/FILE: one of them
 *
 * GET takes parameters from the query, POST and DELETE from a JSON body. A failure is {"error_code","message"}.
 */
#ifndef FW_FACTORY_API_MLFLOW_H
#define FW_FACTORY_API_MLFLOW_H

#include "factory/api/api.h"

/* {call} is the argument; one handler for each half, whatever the method. */
void fw_api_mlflow_models(const fw_api_call *c);
void fw_api_mlflow_versions(const fw_api_call *c);
/* POST registered-models/get-latest-versions, which only reads. */
void fw_api_mlflow_latest(const fw_api_call *c);
/* api_mlflow_files.c */
void fw_api_mlflow_list(const fw_api_call *c);
void fw_api_mlflow_file(const fw_api_call *c);

/* MLflow's form of a failure. */
void fw_api_mlflow_failure(const fw_api_call *c, fw_status status, const fw_error *error);

#endif
