/* openapi.h - openapi.json, the description of the HTTP API (OpenAPI 3.1), as part of the program;
 * it is served at GET /v1/openapi.json. tests/factory/test_openapi.c compares it with the routes of
 * api.c and with what the server really answers.
 */
#ifndef FW_FACTORY_OPENAPI_H
#define FW_FACTORY_OPENAPI_H

#include <stddef.h>

extern const char *const fw_openapi_json; /* terminated */
extern const size_t fw_openapi_json_bytes;

#endif
