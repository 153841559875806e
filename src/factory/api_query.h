/* api_query.h - handlers of the catalogue's questions (api.h; docs/formats/http.md). */
#ifndef FW_FACTORY_API_QUERY_H
#define FW_FACTORY_API_QUERY_H

#include "factory/api.h"

/* GET /v1/query?q=&limit=&after= */
void fw_api_query_get(const fw_api_call *c);
/* GET /v1/recordings with any of the query's parameters; wanted says whether one is there. */
bool fw_api_query_wanted(const fw_api_call *c);
void fw_api_query_recordings(const fw_api_call *c);

#endif
