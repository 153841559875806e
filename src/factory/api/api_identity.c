/* api_identity.c - may this sender make this request? The rules stand in the routes (api.h). */
#include <stdio.h>
#include <string.h>

#include "factory/api/answers.h"
#include "factory/api/api.h"

static bool refuse(fw_http_response *response, const char *text) {
    fw_http_respond_error(response, 403, "%s", text);
    return false;
}

/* Of what is whole here, a unit sees its own recordings and the fleet's models; of what is not, as
 * much as anybody who knows the hash: how far its upload has got. */
static bool may_fetch(fw_factory *factory, const fw_who *who, const char *sha256,
                      fw_http_response *response) {
    int64_t good = 0;
    fw_error error = {""};
    sqlite3 *db = fw_catalogue_read(factory->catalogue);
    fw_status status =
        fw_db_int(db, &error, &good,
                  "SELECT NOT EXISTS(SELECT 1 FROM objects WHERE sha256=?1) OR EXISTS(SELECT 1 "
                  "FROM recordings WHERE sha256=?1 AND unit=?2) OR EXISTS(SELECT 1 FROM settings "
                  "WHERE name='champion' AND value=?1) OR EXISTS(SELECT 1 FROM models WHERE "
                  "hash=?1 AND decision='promoted') OR EXISTS(SELECT 1 FROM rollouts WHERE model=?1) OR "
                  "EXISTS(SELECT 1 FROM unit_keys WHERE unit=?2 AND assigned=?1)",
                  "tt", sha256, who->name);
    fw_catalogue_read_end(factory->catalogue);
    if (status != FW_OK) {
        fw_answer_failure(response, status, &error);
        return false;
    }
    return good ? true
                : refuse(response, "a unit fetches its own recordings and the fleet's models");
}

static bool may_send(const fw_who *who, const fw_http_request *request,
                     fw_http_response *response) {
    const char *unit = request->header(request->native, "Flywheel-Unit");
    const char *kind = request->header(request->native, "Flywheel-Kind");
    if (!unit || strcmp(unit, who->name) != 0)
        return refuse(response, "Flywheel-Unit must name the unit of the certificate");
    if (kind && strcmp(kind, "recording") != 0)
        return refuse(response, "a unit sends recordings alone");
    return true;
}

/* "7/timestamp.json" for unit 7 */
static bool is_below(const char *argument, const char *name) {
    size_t size = strlen(name);
    return strncmp(argument, name, size) == 0 && argument[size] == '/';
}

static bool unit_may(fw_factory *factory, const fw_api_route *route, const char *argument,
                     const fw_who *who, const fw_http_request *request,
                     fw_http_response *response) {
    switch (route->unit) {
    case FW_UNIT_NEVER:
        return refuse(response, "this is not for units");
    case FW_UNIT_ITSELF:
        return strcmp(argument, who->name) == 0
                   ? true
                   : refuse(response, "a unit speaks for itself alone");
    case FW_UNIT_SENDS:
        return may_send(who, request, response);
    case FW_UNIT_FETCHES:
        return may_fetch(factory, who, argument, response);
    case FW_UNIT_BELOW:
        return is_below(argument, who->name) ? true : refuse(response, "a unit asks for itself alone");
    case FW_UNIT_ANY:
        return true;
    }
    return refuse(response, "this is not for units");
}

bool fw_api_may(fw_factory *factory, const fw_api_route *route, const char *argument,
                const fw_who *who, const fw_http_request *request, fw_http_response *response) {
    if (who->unit) return unit_may(factory, route, argument, who, request, response);
    if (who->scope >= route->scope) return true;
    fw_http_respond_error(response, 403, "this needs a token that may %s; '%s' may %s",
                          fw_scope_text(route->scope), who->name, fw_scope_text(who->scope));
    return false;
}
