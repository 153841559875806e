/* api_openapi.c - GET /v1/openapi.json (openapi.h). */
#include "factory/api/api.h"
#include "factory/api/openapi.h"

void fw_api_openapi_get(const fw_api_call *c) {
    c->response->status = 200;
    c->response->content_type = "application/json";
    c->response->static_body = fw_openapi_json;
    c->response->body_bytes = fw_openapi_json_bytes;
    fw_http_add_header(c->response, "Cache-Control", "no-cache");
}
