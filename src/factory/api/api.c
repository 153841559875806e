/* api.c - the table of routes, and the handlers that only read or pass on (api.h). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "factory/api/answers.h"
#include "factory/api/api.h"
#include "factory/api/api_records.h"
#include "factory/api/api_erase.h"
#include "factory/api/api_mlflow.h"
#include "factory/api/api_gate.h"
#include "factory/api/api_query.h"
#include "factory/api/api_receipts.h"
#include "factory/api/api_rollouts.h"
#include "factory/api/api_trust.h"
#include "factory/api/assets.h"
#include "factory/factory.h"
#include "factory/registry/registry.h"
#include "factory/generations/replays.h"

enum { LIST_DEFAULT = 1000, LIST_MAX = 100000, ARGUMENT_MAX = FW_API_ARGUMENT_MAX };

void fw_api_answer(const fw_api_call *c, fw_status status, int http_status, char *json,
                   const fw_error *error) {
    if (status != FW_OK) {
        fw_answer_failure(c->response, status, error);
        return;
    }
    fw_http_respond_json(c->response, http_status, json);
    fw_http_add_header(c->response, "Cache-Control", "no-store");
}

/* ---- lists ---- */

int64_t fw_api_limit(const fw_api_call *c, int64_t otherwise) {
    const char *text = c->request->query(c->request->native, "limit");
    if (!text || text[0] < '0' || text[0] > '9') return otherwise;
    unsigned long long limit = strtoull(text, NULL, 10);
    return limit > LIST_MAX ? LIST_MAX : (int64_t)limit;
}

static void answer_list(const fw_api_call *c, int64_t limit, const char *sql) {
    char *json = NULL;
    fw_error error = {""};
    sqlite3 *db;
    fw_status status = fw_catalogue_ask(c->factory->catalogue, &db, &error);
    if (status == FW_OK) {
        status = fw_db_text(db, &error, &json, sql, "i", fw_api_limit(c, limit));
        fw_catalogue_ask_end(c->factory->catalogue);
    }
    fw_api_answer(c, status, 200, json, &error);
}

static void get_recordings(const fw_api_call *c) {
    if (fw_api_query_wanted(c)) {
        fw_api_query_recordings(c);
        return;
    }
    answer_list(c, LIST_MAX,
                "SELECT coalesce(json_group_array(json(j)),'[]') FROM (SELECT json_object("
                "'sha256',sha256,'unit',unit,'role',role,'size_bytes',size_bytes,'received_ns',"
                "received_ns,'start_ns',start_ns,'end_ns',end_ns,'messages',messages,'events',"
                "events,'generation',generation,'state',state,'sequence',sequence) j FROM "
                "recordings JOIN objects USING(sha256) ORDER BY sequence DESC LIMIT ?)");
}

static void get_events(const fw_api_call *c) {
    answer_list(c, LIST_DEFAULT,
                "SELECT coalesce(json_group_array(json(j)),'[]') FROM (SELECT json_object("
                "'id',id,'unit',unit,'kind',kind,'time_ns',time_ns,'value',value,'recording',"
                "recording,'received_ns',received_ns) j FROM events ORDER BY id DESC LIMIT ?)");
}

static void get_log(const fw_api_call *c) {
    answer_list(c, LIST_DEFAULT,
                "SELECT coalesce(json_group_array(json(j)),'[]') FROM (SELECT json_object("
                "'sequence',sequence,'time_ns',time_ns,'kind',kind,'text',text) j FROM log "
                "ORDER BY sequence DESC LIMIT ?)");
}

static void get_models(const fw_api_call *c) {
    char *json = NULL;
    fw_error error = {""};
    fw_status status = fw_registry_json(c->factory->catalogue, &json, &error);
    fw_api_answer(c, status, 200, json, &error);
}

static void get_model(const fw_api_call *c) {
    char *json = NULL;
    fw_error error = {""};
    fw_status status = fw_registry_json_of(c->factory->catalogue, c->argument, &json, &error);
    fw_api_answer(c, status, 200, json, &error);
}

static void get_generations(const fw_api_call *c) {
    char *json = NULL;
    fw_error error = {""};
    fw_status status = fw_generations_json(&c->factory->generations, &json, &error);
    fw_api_answer(c, status, 200, json, &error);
}

static fw_status generation_named(const fw_api_call *c, int64_t *index, fw_error *error) {
    char *end;
    *index = strtoll(c->argument, &end, 10);
    if (*end || end == c->argument)
        return fw_fail(error, FW_NOT_FOUND, "no generation %s", c->argument);
    return FW_OK;
}

static void get_generation(const fw_api_call *c) {
    int64_t index;
    char *json = NULL;
    fw_error error = {""};
    fw_status status = generation_named(c, &index, &error);
    if (status == FW_OK)
        status = fw_generations_json_of(&c->factory->generations, index, &json, &error);
    fw_api_answer(c, status, 200, json, &error);
}

static void get_curve(const fw_api_call *c) {
    int64_t index;
    char *json = NULL;
    fw_error error = {""};
    fw_status status = generation_named(c, &index, &error);
    if (status == FW_OK) status = fw_curve_json(c->factory->catalogue, index, &json, &error);
    fw_api_answer(c, status, 200, json, &error);
}

static void get_replays(const fw_api_call *c) {
    int64_t index;
    char *json = NULL;
    fw_error error = {""};
    fw_status status = generation_named(c, &index, &error);
    if (status == FW_OK) status = fw_replays_json(&c->factory->generations, index, &json, &error);
    fw_api_answer(c, status, 200, json, &error);
}

static void get_units(const fw_api_call *c) {
    fw_api_answer(c, FW_OK, 200, fw_units_json(&c->factory->units), NULL);
}

static void get_status(const fw_api_call *c) {
    fw_api_answer(c, FW_OK, 200, fw_factory_status_json(c->factory), NULL);
}

static void get_live(const fw_api_call *c) {
    fw_factory_live(c->factory, c->response);
}

/* ---- changes ---- */

static json_t *hash_or_null(const char *hash) {
    return hash[0] ? json_string(hash) : json_null();
}

static char *report_answer(const fw_api_call *c) {
    char model[FW_HASH_HEX + 1], shadow[FW_HASH_HEX + 1], version[FW_CAMPAIGNS_VERSION_MAX], nonce[33];
    fw_campaigns_version(&c->factory->campaigns, c->argument, version);
    fw_rollout_target(c->factory->rollouts, c->argument, model);
    fw_rollout_shadow(c->factory->rollouts, c->argument, shadow);
    fw_api_trust_report(c, nonce);
    json_t *json = json_pack("{s:o,s:o,s:s,s:s}", "target", hash_or_null(model), "shadow", hash_or_null(shadow),
                             "campaigns", version, "nonce", nonce);
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

static void post_report(const fw_api_call *c) {
    fw_error error = {""};
    fw_status status = fw_units_report(&c->factory->units, c->argument, c->request->body,
                                       c->request->body_bytes, NULL, &error);
    fw_api_answer(c, status, 200, status == FW_OK ? report_answer(c) : NULL, &error);
}

static void post_model(const fw_api_call *c) {
    fw_hash hash;
    char *json = NULL;
    fw_error error = {""};
    fw_status status = fw_registry_post(&c->factory->registry, c->request->body, c->request->body_bytes, &hash, &error);
    if (status == FW_OK)
        status = fw_registry_json_of(c->factory->catalogue, hash.hex, &json, &error);
    fw_api_answer(c, status, 201, json, &error);
}

static void post_generation(const fw_api_call *c) {
    int64_t index = 0;
    char *json = NULL;
    fw_error error = {""};
    fw_status status = fw_generations_post(&c->factory->generations, c->request->body,
                                           c->request->body_bytes, &index, &error);
    if (status == FW_NOT_FOUND) { /* the call is right, the factory is not ready for it */
        fw_http_respond_error(c->response, 409, "%s", error.text);
        return;
    }
    if (status == FW_OK)
        status = fw_generations_json_of(&c->factory->generations, index, &json, &error);
    fw_api_answer(c, status, 201, json, &error);
}

/* ---- objects ---- */

static bool valid_hash(const fw_api_call *c) {
    if (fw_hash_valid(c->argument)) return true;
    fw_http_respond_error(c->response, 400, "want 64 lower-case hex digits of a SHA-256");
    return false;
}

static void head_object(const fw_api_call *c) {
    if (valid_hash(c)) fw_ingest_head(&c->factory->ingest, c->argument, c->response);
}

static void get_object(const fw_api_call *c) {
    if (valid_hash(c)) fw_ingest_get(&c->factory->ingest, c->argument, c->response);
}

/* Where a body goes: one of the two. */
typedef struct sink {
    fw_upload *upload;
    fw_records_body *records;
} sink;

static void put_object(const fw_api_call *c) {
    const sink *s = c->request->sink;
    if (s)
        fw_ingest_finish(&c->factory->ingest, s->upload, c->response);
    else
        fw_http_respond_error(c->response, 400, "the upload has no body");
}

static void post_records(const fw_api_call *c) {
    const sink *s = c->request->sink;
    fw_api_records_post(c, s ? s->records : NULL);
}

/* ---- routes ---- */

#define MLFLOW "/api/2.0/mlflow/"
#define MLFLOW_FILES "/api/2.0/mlflow-artifacts/artifacts"

static const fw_api_route routes[] = {
    {"PUT", "/v1/objects/", "", put_object, FW_SCOPE_OPERATE, FW_UNIT_SENDS},
    {"HEAD", "/v1/objects/", "", head_object, FW_SCOPE_READ, FW_UNIT_FETCHES},
    {"GET", "/v1/objects/", "", get_object, FW_SCOPE_READ, FW_UNIT_FETCHES},
    {"POST", "/v1/units/", "/report", post_report, FW_SCOPE_OPERATE, FW_UNIT_ITSELF},
    {"GET", "/v1/units/", "/campaigns", fw_api_campaigns_of_unit, FW_SCOPE_READ, FW_UNIT_ITSELF},
    {"POST", "/v1/units/", "/key", fw_api_trust_key_post, FW_SCOPE_OPERATE, FW_UNIT_ITSELF},
    {"GET", "/v1/units/", "/key", fw_api_trust_key_get, FW_SCOPE_READ, FW_UNIT_ITSELF},
    {"GET", "/v1/tuf/image/", "", fw_api_trust_image, FW_SCOPE_READ, FW_UNIT_ANY},
    {"GET", "/v1/tuf/director/", "", fw_api_trust_director, FW_SCOPE_READ, FW_UNIT_BELOW},
    {"POST", "/v1/campaigns", NULL, fw_api_campaigns_add, FW_SCOPE_OPERATE, FW_UNIT_NEVER},
    {"GET", "/v1/campaigns", NULL, fw_api_campaigns_list, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"POST", "/v1/campaigns/estimate", NULL, fw_api_campaigns_estimate, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"GET", "/v1/campaigns/", "", fw_api_campaigns_show, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"POST", "/v1/campaigns/", "/end", fw_api_campaigns_end, FW_SCOPE_OPERATE, FW_UNIT_NEVER},
    {"GET", "/v1/units", NULL, get_units, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"GET", "/v1/recordings", NULL, get_recordings, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"GET", "/v1/query", NULL, fw_api_query_get, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"GET", "/v1/slice", NULL, fw_api_slice_get, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"POST", "/v1/slice", NULL, fw_api_slice_post, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"GET", "/v1/slices/", "", fw_api_slices_get, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"POST", "/v1/units/", "/erase", fw_api_erase_post, FW_SCOPE_ADMIN, FW_UNIT_NEVER},
    {"GET", "/v1/erasures", NULL, fw_api_erasures_get, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"GET", "/v1/retention", NULL, fw_api_retention_get, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"POST", "/v1/retention", NULL, fw_api_retention_post, FW_SCOPE_ADMIN, FW_UNIT_NEVER},
    {"GET", "/v1/events", NULL, get_events, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"GET", "/v1/events/", "/receipt", fw_api_receipts_get, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"GET", "/v1/events/", "/replay", fw_api_receipts_replay, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"GET", "/v1/receipts", NULL, fw_api_receipts_list, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"GET", "/v1/receipts/key", NULL, fw_api_receipts_key, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"GET", "/v1/log", NULL, get_log, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"GET", "/v1/models", NULL, get_models, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"POST", "/v1/models", NULL, post_model, FW_SCOPE_OPERATE, FW_UNIT_NEVER},
    {"GET", "/v1/models/", "", get_model, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"POST", MLFLOW "registered-models/get-latest-versions", NULL, fw_api_mlflow_latest, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"GET", MLFLOW "registered-models/", "", fw_api_mlflow_models, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"POST", MLFLOW "registered-models/", "", fw_api_mlflow_models, FW_SCOPE_OPERATE, FW_UNIT_NEVER},
    {"DELETE", MLFLOW "registered-models/", "", fw_api_mlflow_models, FW_SCOPE_OPERATE, FW_UNIT_NEVER},
    {"GET", MLFLOW "model-versions/", "", fw_api_mlflow_versions, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"POST", MLFLOW "model-versions/", "", fw_api_mlflow_versions, FW_SCOPE_OPERATE, FW_UNIT_NEVER},
    {"DELETE", MLFLOW "model-versions/", "", fw_api_mlflow_versions, FW_SCOPE_OPERATE, FW_UNIT_NEVER},
    {"GET", MLFLOW_FILES, NULL, fw_api_mlflow_list, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"GET", MLFLOW_FILES "/", "/model.safetensors", fw_api_mlflow_file, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"GET", MLFLOW_FILES "/", "/lineage.json", fw_api_mlflow_file, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"GET", MLFLOW_FILES "/", "/card.json", fw_api_mlflow_file, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"GET", MLFLOW_FILES "/", "/model.sig", fw_api_mlflow_file, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"GET", MLFLOW_FILES "/", "/MLmodel", fw_api_mlflow_file, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"GET", "/v1/gate/decisions", NULL, fw_api_gate_list, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"GET", "/v1/gate/decisions/", "", fw_api_gate_show, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"GET", "/v1/generations", NULL, get_generations, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"POST", "/v1/generations", NULL, post_generation, FW_SCOPE_OPERATE, FW_UNIT_NEVER},
    {"GET", "/v1/generations/", "", get_generation, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"GET", "/v1/generations/", "/curve", get_curve, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"GET", "/v1/generations/", "/replays", get_replays, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"POST", "/v1/rollouts", NULL, fw_api_rollouts_start, FW_SCOPE_OPERATE, FW_UNIT_NEVER},
    {"GET", "/v1/rollouts", NULL, fw_api_rollouts_list, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"GET", "/v1/rollouts/", "", fw_api_rollouts_show, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"POST", "/v1/rollouts/", "/look", fw_api_rollouts_look, FW_SCOPE_OPERATE, FW_UNIT_NEVER},
    {"POST", "/v1/rollouts/", "/halt", fw_api_rollouts_halt, FW_SCOPE_OPERATE, FW_UNIT_NEVER},
    {"POST", "/v1/rollouts/", "/resume", fw_api_rollouts_resume, FW_SCOPE_OPERATE, FW_UNIT_NEVER},
    {"POST", "/v1/rollouts/", "/rollback", fw_api_rollouts_rollback, FW_SCOPE_OPERATE, FW_UNIT_NEVER},
    {"GET", "/v1/rollout-plan", NULL, fw_api_rollout_plan_get, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"POST", "/v1/rollout-plan", NULL, fw_api_rollout_plan_post, FW_SCOPE_OPERATE, FW_UNIT_NEVER},
    {"POST", "/v1/records", NULL, post_records, FW_SCOPE_OPERATE, FW_UNIT_SENDS},
    {"GET", "/v1/records", NULL, fw_api_records_get, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"GET", "/metrics", NULL, fw_api_metrics_get, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"GET", "/v1/status", NULL, get_status, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"GET", "/v1/live", NULL, get_live, FW_SCOPE_READ, FW_UNIT_NEVER},
    {"GET", "/v1/openapi.json", NULL, fw_api_openapi_get, FW_SCOPE_READ, FW_UNIT_NEVER},
};
enum { ROUTE_COUNT = sizeof routes / sizeof *routes };

const fw_api_route *fw_api_routes(int *count) {
    *count = ROUTE_COUNT;
    return routes;
}

static bool path_matches(const fw_api_route *r, const char *path, char argument[ARGUMENT_MAX]) {
    argument[0] = '\0';
    if (!r->after) return strcmp(path, r->before) == 0;
    size_t size = strlen(path), before = strlen(r->before), after = strlen(r->after);
    if (size <= before + after || strncmp(path, r->before, before) != 0 ||
        strcmp(path + size - after, r->after) != 0)
        return false;
    size_t used = size - before - after;
    if (used >= ARGUMENT_MAX) return false;
    const char *slash = memchr(path + before, '/', used);
    if (slash && (r->unit != FW_UNIT_BELOW || strchr(slash + 1, '/'))) return false;
    memcpy(argument, path + before, used);
    argument[used] = '\0';
    return true;
}

static bool serve_asset(const fw_http_request *request, fw_http_response *response) {
    const fw_asset *asset = fw_asset_find(request->path);
    bool reads = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    if (!asset || !reads) return false;
    response->status = 200;
    response->content_type = asset->content_type;
    response->static_body = asset->bytes;
    response->body_bytes = asset->size_bytes;
    fw_http_add_header(response, "Content-Security-Policy",
                       "default-src 'self'; connect-src 'self' http://127.0.0.1:*; "
                       "img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'");
    fw_http_add_header(response, "Referrer-Policy", "no-referrer");
    fw_http_add_header(response, "Cache-Control", "no-cache");
    return true;
}

static void answer(void *self, const fw_http_request *request, fw_http_response *response) {
    fw_api_call c = {.factory = self, .request = request, .response = response};
    char allowed[64] = "";
    if (serve_asset(request, response)) return;
    for (int i = 0; i < ROUTE_COUNT; i++) {
        if (!path_matches(&routes[i], request->path, c.argument)) continue;
        bool head = strcmp(request->method, "HEAD") == 0 && strcmp(routes[i].method, "GET") == 0 &&
                    routes[i].handle != get_live && routes[i].handle != get_object;
        if (head || strcmp(request->method, routes[i].method) == 0) {
            routes[i].handle(&c);
            return;
        }
        snprintf(allowed + strlen(allowed), sizeof allowed - strlen(allowed), "%s%s",
                 allowed[0] ? ", " : "", routes[i].method);
    }
    if (allowed[0]) {
        fw_http_respond_error(response, 405, "%s takes %s", request->path, allowed);
        fw_http_add_header(response, "Allow", allowed);
    } else {
        fw_http_respond_error(response, 404, "no %s here", request->path);
    }
}

/* Whatever was made of a text while memory was short is no answer, least of all "your text is wrong". */
static void ask_again_if_short(fw_http_response *response) {
    if (!fw_json_short() || response->status >= 500 || response->stream) return;
    free(response->body);
    *response = (fw_http_response){0};
    fw_answer_retry(response, 503, 1, "no memory for this request");
}

static void handle(void *self, const fw_http_request *request, fw_http_response *response) {
    fw_metrics *metrics = &((fw_factory *)self)->metrics;
    fw_metrics_add(&metrics->requests_open, 1);
    fw_json_watch();
    answer(self, request, response);
    ask_again_if_short(response);
    atomic_fetch_sub(&metrics->requests_open, 1);
    fw_metrics_answered(metrics, response->status);
}

/* ---- who may ---- */

/* The route of a request, HEAD counted as GET; NULL for a page's file and for what is not here. */
static const fw_api_route *route_of(const fw_http_request *request, char argument[ARGUMENT_MAX]) {
    const fw_api_route *as_get = NULL;
    bool head = strcmp(request->method, "HEAD") == 0;
    for (int i = 0; i < ROUTE_COUNT; i++) {
        char found[ARGUMENT_MAX];
        bool same = strcmp(request->method, routes[i].method) == 0;
        if (!same && !(head && strcmp(routes[i].method, "GET") == 0)) continue;
        if (!path_matches(&routes[i], request->path, found)) continue;
        memcpy(argument, found, ARGUMENT_MAX);
        if (same) return &routes[i];
        as_get = &routes[i];
    }
    return as_get;
}

static bool admit(void *self, const fw_http_request *request, fw_http_response *response) {
    static const fw_api_route page = {"GET", "/", NULL, NULL, FW_SCOPE_READ, FW_UNIT_NEVER};
    fw_factory *factory = self;
    fw_http_peer *peer = request->peer;
    char argument[ARGUMENT_MAX] = "";
    fw_who who;
    if (!peer || !peer->tls) return true;
    if (!fw_identity_of(factory->identity, request, &who, response)) return false;
    snprintf(peer->identity, sizeof peer->identity, "%s %s", who.unit ? "unit" : "token", who.name);
    const fw_api_route *route = route_of(request, argument);
    return fw_api_may(factory, route ? route : &page, argument, &who, request, response);
}

/* ---- the body of an upload ---- */

static void *open_sink(void *self, const fw_http_request *request, fw_http_response *response) {
    fw_factory *factory = self;
    char argument[ARGUMENT_MAX];
    bool upload =
        strcmp(request->method, "PUT") == 0 && path_matches(&routes[0], request->path, argument);
    bool records =
        strcmp(request->method, "POST") == 0 && strcmp(request->path, "/v1/records") == 0;
    if (!upload && !records) return NULL;
    sink *s = calloc(1, sizeof *s);
    if (!s) {
        fw_answer_retry(response, 503, 1, "no memory for a body");
        return NULL;
    }
    if (upload)
        s->upload = fw_ingest_open(&factory->ingest, argument, request, response);
    else
        s->records = fw_records_body_open(factory, request, response);
    if (s->upload || s->records) return s;
    fw_metrics_answered(&factory->metrics, response->status);
    free(s);
    return NULL;
}

static bool sink_write(void *self, void *opened, const void *bytes, size_t size_bytes) {
    sink *s = opened;
    return s->upload ? fw_ingest_write(&((fw_factory *)self)->ingest, s->upload, bytes, size_bytes)
                     : fw_records_body_write(s->records, bytes, size_bytes);
}

static void close_sink(void *self, void *opened) {
    sink *s = opened;
    fw_ingest_close(&((fw_factory *)self)->ingest, s->upload);
    fw_records_body_close(self, s->records);
    free(s);
}

fw_http_app fw_factory_app(fw_factory *factory) {
    return (fw_http_app){.self = factory,
                         .handle = handle,
                         .open_sink = open_sink,
                         .sink_write = sink_write,
                         .close_sink = close_sink,
                         .admit = admit};
}
