/* api.h - the HTTP API: one table of routes (api.c), each a pure function of a call.
 *
 *   request --> routes --> fw_api_<station>_<verb>(call) --> response
 *
 * Handlers of a station with state of its own live in its api_<station>.c and are declared below.
 * Who may call it stands in the route's own line: the least scope of a person's token, and what a
 * unit may (identity.h). It is checked before a handler or an upload is opened, with TLS alone.
 * To add a call: 1. a handler, 2. a line in `routes` of api.c, 3. openapi.json and the table in ARCHITECTURE.md and
 * docs/formats/http.md, 4. a test in tests/factory/.
 */
#ifndef FW_FACTORY_API_H
#define FW_FACTORY_API_H

#include "factory/factory.h"
#include "factory/identity/identity.h"

enum { FW_API_ARGUMENT_MAX = 96 };

/* What a handler gets: argument is the path's * part, "" when it has none. */
typedef struct fw_api_call {
    fw_factory *factory;
    const fw_http_request *request;
    fw_http_response *response;
    char argument[FW_API_ARGUMENT_MAX];
} fw_api_call;

/* What a unit's certificate lets it do with a route. */
typedef enum fw_api_unit {
    FW_UNIT_NEVER,
    FW_UNIT_ITSELF,  /* the path's * is its own name */
    FW_UNIT_SENDS,   /* header Flywheel-Unit is its own name; of objects, recordings alone */
    FW_UNIT_FETCHES, /* an object that it sent, or a model that the fleet is to drive */
    FW_UNIT_BELOW,   /* the path's * is its own name, a slash and a file; other routes' * has no slash */
    FW_UNIT_ANY,     /* what every unit may read */
} fw_api_unit;

/* path: before * after; after NULL: no *. */
typedef struct fw_api_route {
    const char *method, *before, *after;
    void (*handle)(const fw_api_call *c);
    fw_scope scope;
    fw_api_unit unit;
} fw_api_route;

/* The table, for the test that compares it with openapi.json. */
const fw_api_route *fw_api_routes(int *count);
/* May its sender make this request? False with response set (403, 500). */
bool fw_api_may(fw_factory *factory, const fw_api_route *route, const char *argument,
                const fw_who *who, const fw_http_request *request, fw_http_response *response);

/* api_openapi.c */
void fw_api_openapi_get(const fw_api_call *c);

/* Answers with the JSON text (taken) when status is FW_OK, else with the failure's status code. */
void fw_api_answer(const fw_api_call *c, fw_status status, int http_status, char *json,
                   const fw_error *error);

/* ?limit=N of the request (at most 100000), else the default. */
int64_t fw_api_limit(const fw_api_call *c, int64_t otherwise);

/* api_campaigns.c */
void fw_api_campaigns_list(const fw_api_call *c);
void fw_api_campaigns_show(const fw_api_call *c);
void fw_api_campaigns_add(const fw_api_call *c);
void fw_api_campaigns_end(const fw_api_call *c);
void fw_api_campaigns_estimate(const fw_api_call *c);
void fw_api_campaigns_of_unit(const fw_api_call *c);

#endif
