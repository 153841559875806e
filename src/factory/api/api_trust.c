/* api_trust.c - the calls of api_trust.h. */
#include "factory/api/api_trust.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "factory/api/answers.h"

void fw_api_trust_image(const fw_api_call *c) {
    fw_error error = {""};
    fw_status status = fw_trust_image_path(c->factory->trust, c->argument, c->response->file_path,
                                           sizeof c->response->file_path, &error);
    if (status != FW_OK) {
        c->response->file_path[0] = '\0';
        fw_answer_failure(c->response, status, &error);
        return;
    }
    c->response->status = 200;
    c->response->content_type = "application/json";
    fw_http_add_header(c->response, "Cache-Control", "no-store");
}

/* argument: "unit/file" */
void fw_api_trust_director(const fw_api_call *c) {
    char unit[FW_API_ARGUMENT_MAX], *bytes = NULL;
    const char *slash = strchr(c->argument, '/');
    size_t size = 0;
    fw_error error = {""};
    snprintf(unit, sizeof unit, "%.*s", slash ? (int)(slash - c->argument) : 0, c->argument);
    fw_status status = slash ? fw_trust_director_file(c->factory->trust, unit, slash + 1, &bytes, &size, &error)
                             : fw_fail(&error, FW_NOT_FOUND, "want /v1/tuf/director/UNIT/FILE");
    fw_api_answer(c, status, 200, bytes, &error);
}

/* A person's token, or nobody's where there is no TLS: only units are known by certificate. */
static bool is_operator(const fw_api_call *c) {
    const fw_http_peer *peer = c->request->peer;
    return !peer || !peer->tls || strncmp(peer->identity, "unit ", 5) != 0;
}

void fw_api_trust_key_get(const fw_api_call *c) {
    char *json = NULL;
    fw_error error = {""};
    fw_status status = fw_trust_unit_json(c->factory->trust, c->argument, &json, &error);
    fw_api_answer(c, status, 200, json, &error);
}

void fw_api_trust_key_post(const fw_api_call *c) {
    char *json = NULL;
    fw_error error = {""};
    fw_trust *trust = c->factory->trust;
    fw_status status = fw_trust_unit_key(trust, c->argument, c->request->body, c->request->body_bytes, is_operator(c),
                                         &error);
    if (status == FW_EXISTS) { /* waiting does not help: no Retry-After */
        fw_http_respond_error(c->response, 409, "%s", error.text);
        return;
    }
    if (status == FW_OK) status = fw_trust_unit_json(trust, c->argument, &json, &error);
    fw_api_answer(c, status, 201, json, &error);
}

void fw_api_trust_report(const fw_api_call *c, char nonce[33]) {
    fw_error error;
    fw_version_report report;
    json_t *json = fw_json_load(c->request->body, c->request->body_bytes, JSON_REJECT_DUPLICATES, NULL);
    const json_t *versions = json_object_get(json, "versions");
    if (json_is_string(versions))
        (void)!fw_trust_report(c->factory->trust, c->argument, json_string_value(versions),
                               json_string_length(versions), &report, &error);
    json_decref(json);
    fw_trust_nonce(c->factory->trust, c->argument, nonce);
}
