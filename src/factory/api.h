/* api.h - the HTTP API: one table of routes (api.c), each a pure function of a call.
 *
 *   request --> routes --> fw_api_<station>_<verb>(call) --> response
 *
 * Handlers of a station with state of its own live in its api_<station>.c and are declared below.
 * To add a call: 1. a handler, 2. a line in `routes` of api.c, 3. the table in ARCHITECTURE.md and
 * docs/formats/http.md, 4. a test in tests/factory/.
 */
#ifndef FW_FACTORY_API_H
#define FW_FACTORY_API_H

#include "factory/factory.h"

enum { FW_API_ARGUMENT_MAX = 96 };

/* What a handler gets: argument is the path's * part, "" when it has none. */
typedef struct fw_api_call {
    fw_factory *factory;
    const fw_http_request *request;
    fw_http_response *response;
    char argument[FW_API_ARGUMENT_MAX];
} fw_api_call;

/* Answers with the JSON text (taken) when status is FW_OK, else with the failure's status code. */
void fw_api_answer(const fw_api_call *c, fw_status status, int http_status, char *json,
                   const fw_error *error);

#endif
