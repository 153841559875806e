/* api_query.h - handlers of the catalogue's questions (api.h; docs/formats/http.md). */
#ifndef FW_FACTORY_API_QUERY_H
#define FW_FACTORY_API_QUERY_H

#include "factory/api/api.h"

/* GET /v1/query?q=&limit=&after= */
void fw_api_query_get(const fw_api_call *c);
/* GET /v1/recordings with any of the query's parameters; wanted says whether one is there. */
bool fw_api_query_wanted(const fw_api_call *c);
void fw_api_query_recordings(const fw_api_call *c);
/* GET /v1/slice?q=&topics=&before_s=&after_s=&max_bytes= makes a slice and sends it; POST says its
 * name instead, under which GET /v1/slices/NAME sends it, by ranges too, for an hour. */
void fw_api_slice_get(const fw_api_call *c);
void fw_api_slice_post(const fw_api_call *c);
void fw_api_slices_get(const fw_api_call *c);
/* Removes slices over an hour old. */
void fw_slices_sweep(const fw_env *env, const char *data_folder);

#endif
