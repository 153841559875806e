/* api_erase.c - POST /v1/units/{id}/erase, GET /v1/erasures, and retention's settings (api.h). */
#include <stdlib.h>
#include <string.h>

#include "factory/api/api_erase.h"
#include "base/json.h"
#include "factory/custody/retention.h"

/* What the factory holds of a unit outside of catalogue and objects. */
static fw_status forget(void *self, const char *unit, fw_error *error) {
    fw_factory *factory = self;
    fw_units_forget(&factory->units, unit);
    return fw_records_erase(factory->records, unit, error);
}

fw_eraser fw_factory_eraser(fw_factory *factory) {
    return (fw_eraser){.env = factory->config.env,
                       .catalogue = factory->catalogue,
                       .objects = &factory->objects,
                       .data_folder = factory->config.data_folder,
                       .erase_records = forget,
                       .records = factory};
}

void fw_api_erase_post(const fw_api_call *c) {
    fw_error error = {""};
    char *answer = NULL;
    json_t *json = fw_json_load(c->request->body ? c->request->body : "", c->request->body_bytes,
                              JSON_REJECT_DUPLICATES, NULL);
    const char *reason = json_string_value(json_object_get(json, "reason"));
    fw_eraser eraser = fw_factory_eraser(c->factory);
    fw_status status = reason ? fw_erase_unit(&eraser, c->argument, reason, &answer, &error)
                              : fw_fail(&error, FW_INVALID, "want {\"reason\": \"...\"}");
    json_decref(json);
    fw_api_answer(c, status, 200, answer, &error);
}

void fw_api_erasures_get(const fw_api_call *c) {
    fw_error error = {""};
    char *json = NULL;
    fw_status status = fw_catalogue_json(
        c->factory->catalogue, &json, &error,
        "SELECT coalesce(json_group_array(json(j)),'[]') FROM (SELECT json_patch(json(statement),"
        "json_object('id',id,'state',state)) j FROM erasures ORDER BY time_ns DESC,id)");
    fw_api_answer(c, status, 200, json, &error);
}

void fw_api_retention_get(const fw_api_call *c) {
    fw_error error = {""};
    char *json = NULL;
    fw_status status = fw_retention_json(c->factory->catalogue, &json, &error);
    fw_api_answer(c, status, 200, json, &error);
}

void fw_api_retention_post(const fw_api_call *c) {
    fw_error error = {""};
    char *json = NULL;
    fw_status status = fw_retention_set(c->factory->catalogue, c->factory->config.env,
                                        c->request->body ? c->request->body : "",
                                        c->request->body_bytes, &error);
    if (status == FW_OK) status = fw_retention_json(c->factory->catalogue, &json, &error);
    fw_api_answer(c, status, 200, json, &error);
}
