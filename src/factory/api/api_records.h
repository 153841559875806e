/* api_records.h - the calls of the records store and of the metrics (api.h). */
#ifndef FW_FACTORY_API_RECORDS_H
#define FW_FACTORY_API_RECORDS_H

#include "factory/api/api.h"

/* The body of one POST /v1/records, in one piece of memory of its own. */
typedef struct fw_records_body fw_records_body;

/* NULL with response set: over the limit (413), too many bodies at once (429), no memory (503). */
fw_records_body *fw_records_body_open(fw_factory *factory, const fw_http_request *request,
                                      fw_http_response *response);
bool fw_records_body_write(fw_records_body *body, const void *bytes, size_t size_bytes);
void fw_records_body_close(fw_factory *factory, fw_records_body *body);

/* body NULL: the request has none. */
void fw_api_records_post(const fw_api_call *c, const fw_records_body *body);
void fw_api_records_get(const fw_api_call *c);
void fw_api_metrics_get(const fw_api_call *c);

#endif
