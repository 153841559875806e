#include "factory/api/api_mlflow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "factory/registry/mlflow.h"

/* ---- what was asked ---- */

typedef struct asked {
    const fw_api_call *c;
    json_t *body; /* of POST and DELETE; NULL for GET */
    char number[24];
} asked;

/* Text, or one of the whole numbers that MLflow's clients may also write as such. */
static const char *optional(asked *a, const char *name) {
    if (!a->body) return a->c->request->query(a->c->request->native, name);
    const json_t *value = json_object_get(a->body, name);
    bool number = strcmp(name, "version") == 0 || strcmp(name, "max_results") == 0;
    if (!number || !json_is_integer(value)) return json_string_value(value);
    snprintf(a->number, sizeof a->number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return a->number;
}

static fw_status required(asked *a, const char *name, const char **out, fw_error *error) {
    *out = optional(a, name);
    if (*out && **out) return FW_OK;
    return fw_fail(error, FW_INVALID, "Missing value for required parameter '%s'", name);
}

static fw_status read_max(asked *a, int64_t otherwise, int64_t max, int64_t *out, fw_error *error) {
    const char *text = optional(a, "max_results");
    *out = otherwise;
    if (!text || !*text) return FW_OK;
    size_t size = strlen(text);
    int64_t value = size <= 9 && strspn(text, "0123456789") == size ? strtoll(text, NULL, 10) : 0;
    if (value < 1 || value > max)
        return fw_fail(error, FW_INVALID, "max_results must be a whole number from 1 to %lld", (long long)max);
    *out = value;
    return FW_OK;
}

/* order_by is a list in MLflow; its first one counts. */
static const char *first_order(asked *a) {
    const json_t *list = a->body ? json_object_get(a->body, "order_by") : NULL;
    return json_is_array(list) ? json_string_value(json_array_get(list, 0)) : optional(a, "order_by");
}

static fw_catalogue *catalogue_of(const asked *a) {
    return a->c->factory->catalogue;
}

/* ---- calls of both halves ---- */

typedef fw_status (*call)(asked *a, json_t **answer, fw_error *error);

static fw_status wrapped(const char *name, json_t *value, json_t **answer, fw_error *error) {
    *answer = json_pack("{s:o}", name, value);
    return *answer ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory for an answer");
}

static fw_status search(asked *a, const char *name, json_t *rows, int64_t otherwise, int64_t max, json_t **answer,
                        fw_error *error) {
    char next[24];
    json_t *page = NULL;
    fw_mlflow_search s = {.filter = optional(a, "filter"), .page_token = optional(a, "page_token"),
                          .order_by = first_order(a)};
    fw_status status = read_max(a, otherwise, max, &s.max_results, error);
    if (status == FW_OK) status = fw_mlflow_page(rows, &s, &page, next, error);
    json_decref(rows);
    FW_TRY(status);
    FW_TRY(wrapped(name, page, answer, error));
    if (*next) json_object_set_new(*answer, "next_page_token", json_string(next));
    return FW_OK;
}

static fw_status write_tag(asked *a, bool of_version, bool set, json_t **answer, fw_error *error) {
    const char *name, *version = NULL, *key, *value = NULL;
    FW_TRY(required(a, "name", &name, error));
    FW_TRY(required(a, "key", &key, error));
    if (set && !(value = json_string_value(json_object_get(a->body, "value"))))
        return fw_fail(error, FW_INVALID, "Missing value for required parameter 'value'");
    if (of_version) FW_TRY(required(a, "version", &version, error));
    FW_TRY(fw_mlflow_tag(catalogue_of(a), name, version, key, value, error));
    *answer = json_object();
    return FW_OK;
}

/* ---- registered models ---- */

static fw_status get_model(asked *a, json_t **answer, fw_error *error) {
    const char *name;
    json_t *row;
    FW_TRY(required(a, "name", &name, error));
    FW_TRY(fw_mlflow_model(catalogue_of(a), name, &row, error));
    return wrapped("registered_model", row, answer, error);
}

static fw_status search_models(asked *a, json_t **answer, fw_error *error) {
    json_t *rows;
    FW_TRY(fw_mlflow_models(catalogue_of(a), &rows, error));
    return search(a, "registered_models", rows, FW_MLFLOW_MODELS_DEFAULT, FW_MLFLOW_MODELS_MAX, answer, error);
}

/* Of "stages", a list or one of them; without it all. */
static bool stage_wanted(asked *a, const json_t *version) {
    const json_t *list = a->body ? json_object_get(a->body, "stages") : NULL;
    const char *stage = json_string_value(json_object_get(version, "current_stage"));
    size_t at;
    json_t *name;
    if (!json_is_array(list)) {
        const char *one = optional(a, "stages");
        return !one || !*one || strcasecmp(one, stage) == 0;
    }
    json_array_foreach(list, at, name) if (json_is_string(name) && strcasecmp(json_string_value(name), stage) == 0)
        return true;
    return json_array_size(list) == 0;
}

static fw_status latest_versions(asked *a, json_t **answer, fw_error *error) {
    const char *name;
    json_t *row, *version, *taken = json_array();
    size_t at;
    fw_status status = required(a, "name", &name, error);
    if (status == FW_OK) status = fw_mlflow_model(catalogue_of(a), name, &row, error);
    if (status != FW_OK) {
        json_decref(taken);
        return status;
    }
    json_array_foreach(json_object_get(row, "latest_versions"), at, version)
        if (stage_wanted(a, version)) json_array_append(taken, version);
    json_decref(row);
    return wrapped("model_versions", taken, answer, error);
}

static fw_status get_alias(asked *a, json_t **answer, fw_error *error) {
    const char *name, *alias;
    json_t *row;
    FW_TRY(required(a, "name", &name, error));
    FW_TRY(required(a, "alias", &alias, error));
    FW_TRY(fw_mlflow_version_by_alias(catalogue_of(a), name, alias, &row, error));
    return wrapped("model_version", row, answer, error);
}

static fw_status set_alias(asked *a, json_t **answer, fw_error *error) {
    const char *name, *alias, *version;
    FW_TRY(required(a, "name", &name, error));
    FW_TRY(required(a, "alias", &alias, error));
    FW_TRY(required(a, "version", &version, error));
    FW_TRY(fw_mlflow_alias(catalogue_of(a), name, alias, version, error));
    *answer = json_object();
    return FW_OK;
}

static fw_status delete_alias(asked *a, json_t **answer, fw_error *error) {
    const char *name, *alias;
    FW_TRY(required(a, "name", &name, error));
    FW_TRY(required(a, "alias", &alias, error));
    FW_TRY(fw_mlflow_alias(catalogue_of(a), name, alias, NULL, error));
    *answer = json_object();
    return FW_OK;
}

static fw_status create_model(asked *a, json_t **answer, fw_error *error) {
    const char *name;
    json_t *row = NULL;
    (void)answer;
    FW_TRY(required(a, "name", &name, error));
    fw_status status = fw_mlflow_model(catalogue_of(a), name, &row, error);
    json_decref(row);
    if (status == FW_OK)
        return fw_fail(error, FW_EXISTS, "Registered Model (name=%.100s) already exists", name);
    if (status != FW_NOT_FOUND) return status;
    return fw_fail(error, FW_DENIED, "a registered model is a line of the factory: it comes with its first model "
                                     "(flywheel models add)");
}

static fw_status set_model_tag(asked *a, json_t **answer, fw_error *error) {
    return write_tag(a, false, true, answer, error);
}

static fw_status delete_model_tag(asked *a, json_t **answer, fw_error *error) {
    return write_tag(a, false, false, answer, error);
}

/* ---- versions ---- */

static fw_status find_version(asked *a, json_t **row, fw_error *error) {
    const char *name, *version;
    FW_TRY(required(a, "name", &name, error));
    FW_TRY(required(a, "version", &version, error));
    return fw_mlflow_version(catalogue_of(a), name, version, row, error);
}

static fw_status get_version(asked *a, json_t **answer, fw_error *error) {
    json_t *row;
    FW_TRY(find_version(a, &row, error));
    return wrapped("model_version", row, answer, error);
}

static fw_status search_versions(asked *a, json_t **answer, fw_error *error) {
    json_t *rows;
    FW_TRY(fw_mlflow_versions(catalogue_of(a), &rows, error));
    return search(a, "model_versions", rows, FW_MLFLOW_VERSIONS_DEFAULT, FW_MLFLOW_VERSIONS_MAX, answer, error);
}

static fw_status get_download_uri(asked *a, json_t **answer, fw_error *error) {
    json_t *row;
    FW_TRY(find_version(a, &row, error));
    json_t *source = json_incref(json_object_get(row, "source"));
    json_decref(row);
    return wrapped("artifact_uri", source, answer, error);
}

static fw_status set_version_tag(asked *a, json_t **answer, fw_error *error) {
    return write_tag(a, true, true, answer, error);
}

static fw_status delete_version_tag(asked *a, json_t **answer, fw_error *error) {
    return write_tag(a, true, false, answer, error);
}

/* ---- answering ---- */

void fw_api_mlflow_failure(const fw_api_call *c, fw_status status, const fw_error *error) {
    static const struct {
        fw_status status;
        int http_status;
        const char *code;
    } codes[] = {{FW_NOT_FOUND, 404, "RESOURCE_DOES_NOT_EXIST"},  {FW_INVALID, 400, "INVALID_PARAMETER_VALUE"},
                 {FW_EXISTS, 400, "RESOURCE_ALREADY_EXISTS"},     {FW_DENIED, 403, "PERMISSION_DENIED"},
                 {FW_UNSUPPORTED, 404, "ENDPOINT_NOT_FOUND"},     {FW_BUSY, 503, "TEMPORARILY_UNAVAILABLE"},
                 {FW_TIMEOUT, 503, "TEMPORARILY_UNAVAILABLE"},    {FW_NO_MEMORY, 503, "TEMPORARILY_UNAVAILABLE"},
                 {FW_NO_SPACE, 507, "TEMPORARILY_UNAVAILABLE"}};
    int http_status = 500;
    const char *code = "INTERNAL_ERROR";
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].status == status) http_status = codes[i].http_status, code = codes[i].code;
    json_t *json = json_pack("{s:s,s:s}", "error_code", code, "message", error->text);
    fw_http_respond_json(c->response, http_status, json ? json_dumps(json, JSON_COMPACT) : NULL);
    json_decref(json);
}

static fw_status read_body(asked *a, fw_error *error) {
    const fw_http_request *r = a->c->request;
    if (strcmp(r->method, "GET") == 0 || strcmp(r->method, "HEAD") == 0) return FW_OK;
    a->body = fw_json_load(r->body ? r->body : "", r->body_bytes, JSON_REJECT_DUPLICATES, NULL);
    return json_is_object(a->body) ? FW_OK : fw_fail(error, FW_INVALID, "the body is no JSON object");
}

static void perform(const fw_api_call *c, call handler) {
    asked a = {.c = c};
    fw_error error = {""};
    json_t *answer = NULL;
    fw_status status = handler ? read_body(&a, &error)
                               : fw_fail(&error, FW_UNSUPPORTED, "this registry has no %s of '%.40s'",
                                         c->request->method, c->argument);
    if (status == FW_OK) status = handler(&a, &answer, &error);
    if (status == FW_OK)
        fw_api_answer(c, FW_OK, 200, json_dumps(answer, JSON_COMPACT), &error);
    else
        fw_api_mlflow_failure(c, status, &error);
    json_decref(answer);
    json_decref(a.body);
}

typedef struct entry {
    const char *method, *name;
    call handler;
} entry;

static call find(const entry *table, size_t count, const fw_api_call *c) {
    const char *method = strcmp(c->request->method, "HEAD") == 0 ? "GET" : c->request->method;
    for (size_t i = 0; i < count; i++)
        if (strcmp(table[i].method, method) == 0 && strcmp(table[i].name, c->argument) == 0) return table[i].handler;
    return NULL;
}

void fw_api_mlflow_models(const fw_api_call *c) {
    static const entry table[] = {{"GET", "get", get_model},
                                  {"GET", "search", search_models},
                                  {"GET", "get-latest-versions", latest_versions},
                                  {"GET", "alias", get_alias},
                                  {"POST", "alias", set_alias},
                                  {"DELETE", "alias", delete_alias},
                                  {"POST", "create", create_model},
                                  {"POST", "set-tag", set_model_tag},
                                  {"DELETE", "delete-tag", delete_model_tag}};
    perform(c, find(table, sizeof table / sizeof *table, c));
}

void fw_api_mlflow_latest(const fw_api_call *c) {
    perform(c, latest_versions);
}

void fw_api_mlflow_versions(const fw_api_call *c) {
    static const entry table[] = {{"GET", "get", get_version},
                                  {"GET", "search", search_versions},
                                  {"GET", "get-download-uri", get_download_uri},
                                  {"POST", "set-tag", set_version_tag},
                                  {"DELETE", "delete-tag", delete_version_tag}};
    perform(c, find(table, sizeof table / sizeof *table, c));
}
