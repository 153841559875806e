/* openapi.json against the server: the same calls in both, and every real answer has a documented
 * status and the documented fields. */
#include "fixture.h"

#include "factory/api/api.h"
#include "factory/api/openapi.h"

static json_t *doc;

static fw_factory_line line; /* believes everything, and knows the signals of cars */

static fw_status replay_nothing(const char *path, fw_line_tick tick, void *self, fw_error *error) {
    (void)path, (void)tick, (void)self, (void)error;
    return FW_OK;
}

static int load(void **state) {
    json_error_t why;
    fixture *f;
    doc = json_loadb(fw_openapi_json, fw_openapi_json_bytes, JSON_REJECT_DUPLICATES, &why);
    if (!doc) fail_msg("openapi.json, line %d: %s", why.line, why.text);
    assert_int_equal(fixture_open(state), 0);
    f = *state;
    line = any_line;
    line.signals = fw_line_driving.signals;
    line.replay = replay_nothing;
    fixture_stop(f);
    f->config.line = &line;
    fixture_start(f);
    return 0;
}
static int unload(void **state) {
    json_decref(doc);
    return fixture_close(state);
}

/* ---- the document ---- */

static const json_t *at(const json_t *json, const char *a, const char *b) {
    return json_object_get(json_object_get(json, a), b);
}

/* Follows "#/components/KIND/NAME". */
static const json_t *resolve(const json_t *json) {
    const char *ref = json_string_value(json_object_get(json, "$ref"));
    char kind[40], name[60];
    if (!ref) return json;
    if (sscanf(ref, "#/components/%39[a-zA-Z]/%59[a-zA-Z]", kind, name) != 2)
        fail_msg("a reference of another kind: %s", ref);
    const json_t *found = at(json_object_get(doc, "components"), kind, name);
    if (!found) fail_msg("%s is not there", ref);
    return found;
}

static void lower(const char *method, char out[16]) {
    snprintf(out, 16, "%s", method);
    for (char *c = out; *c; c++) *c = (char)(*c + ('a' - 'A'));
}

/* Does "/v1/units/{id}/report" stand for this route? Of "/v1/tuf/director/{unit}/{file}" both are its argument. */
static bool is_path_of(const char *path, const fw_api_route *r) {
    const char *open = strchr(path, '{'), *close = strrchr(path, '}');
    if (!r->after) return strcmp(path, r->before) == 0;
    if (!open || !close) return false;
    return strlen(r->before) == (size_t)(open - path) &&
           strncmp(path, r->before, (size_t)(open - path)) == 0 && strcmp(close + 1, r->after) == 0;
}

static const json_t *operation_of(const fw_api_route *r) {
    const char *path;
    json_t *item;
    char method[16];
    lower(r->method, method);
    json_object_foreach(json_object_get(doc, "paths"), path, item) {
        const json_t *operation = json_object_get(item, method);
        if (operation && is_path_of(path, r)) return operation;
    }
    return NULL;
}

static void every_route_is_described(void **state) {
    (void)state;
    int count;
    const fw_api_route *routes = fw_api_routes(&count);
    for (int i = 0; i < count; i++)
        if (!operation_of(&routes[i]))
            fail_msg("openapi.json lacks %s %s%s", routes[i].method, routes[i].before,
                     routes[i].after ? routes[i].after : "");
}

static void every_description_is_a_route(void **state) {
    (void)state;
    int count;
    const char *path, *method;
    json_t *item, *operation;
    const fw_api_route *routes = fw_api_routes(&count);
    json_object_foreach(json_object_get(doc, "paths"), path, item) {
        json_object_foreach(item, method, operation) {
            bool found = false;
            for (int i = 0; i < count && !found; i++) {
                char name[16];
                lower(routes[i].method, name);
                found = strcmp(name, method) == 0 && is_path_of(path, &routes[i]);
            }
            if (!found) fail_msg("no route for %s %s of openapi.json", method, path);
        }
    }
}

/* Path parameters are declared, every reference leads somewhere, every operation has its own name.
 */
static void walk_references(const json_t *json) {
    const char *key;
    json_t *value;
    size_t i;
    if (json_is_object(json)) (void)resolve(json);
    json_object_foreach((json_t *)(uintptr_t)json, key, value) walk_references(value);
    json_array_foreach(json, i, value) walk_references(value);
}

static void the_document_is_whole(void **state) {
    (void)state;
    json_t *names = json_object();
    const char *path, *method;
    json_t *item, *operation, *parameter;
    size_t i;
    assert_string_equal(json_string_value(json_object_get(doc, "openapi")), "3.1.0");
    walk_references(doc);
    json_object_foreach(json_object_get(doc, "paths"), path, item) {
        json_object_foreach(item, method, operation) {
            const char *id = json_string_value(json_object_get(operation, "operationId"));
            assert_non_null(id);
            if (json_object_get(names, id)) fail_msg("two operations are called %s", id);
            json_object_set_new(names, id, json_true());
            int in_path = 0;
            json_array_foreach(json_object_get(operation, "parameters"), i, parameter) {
                char braced[80];
                if (strcmp(json_string_value(json_object_get(parameter, "in")), "path") != 0)
                    continue;
                in_path++;
                snprintf(braced, sizeof braced, "{%s}",
                         json_string_value(json_object_get(parameter, "name")));
                assert_non_null(strstr(path, braced));
            }
            int named = 0;
            for (const char *c = path; *c; c++) named += *c == '{';
            assert_int_equal(in_path, named);
        }
    }
    json_decref(names);
}

/* ---- real answers ---- */

static bool is_type(const json_t *value, const char *type) {
    return strcmp(type, "object") == 0    ? json_is_object(value)
           : strcmp(type, "array") == 0   ? json_is_array(value)
           : strcmp(type, "string") == 0  ? json_is_string(value)
           : strcmp(type, "integer") == 0 ? json_is_integer(value)
           : strcmp(type, "number") == 0  ? json_is_number(value)
           : strcmp(type, "boolean") == 0 ? json_is_boolean(value)
                                          : strcmp(type, "null") == 0 && json_is_null(value);
}

/* What is wrong with value; "" nothing. Covers type, required, properties, items and oneOf. */
static void check(const json_t *value, const json_t *schema, const char *where, char why[300]) {
    const json_t *s = resolve(schema), *type = json_object_get(s, "type"), *one;
    const char *key;
    json_t *sub;
    size_t i;
    bool fits = !type || (json_is_string(type) && is_type(value, json_string_value(type)));
    json_array_foreach(type, i, one) fits = fits || is_type(value, json_string_value(one));
    if (!fits) snprintf(why, 300, "%s is of another type", where);
    bool any = json_array_size(json_object_get(s, "oneOf")) == 0;
    json_array_foreach(json_object_get(s, "oneOf"), i, one) {
        char ignored[300] = "";
        check(value, one, where, ignored);
        any = any || !ignored[0];
    }
    if (!any) snprintf(why, 300, "%s is none of oneOf", where);
    json_array_foreach(json_object_get(s, "required"), i,
                       one) if (json_is_object(value) &&
                                !json_object_get(value, json_string_value(one)))
        snprintf(why, 300, "%s lacks %s", where, json_string_value(one));
    json_object_foreach(json_object_get(s, "properties"), key, sub) if (json_object_get(value, key))
        check(json_object_get(value, key), sub, key, why);
    const json_t *items = json_object_get(s, "items");
    if (items) json_array_foreach(value, i, one) check(one, items, where, why);
}

static void check_answer(const fw_api_route *r, const char *path, const fw_http_response *answer) {
    char status[8], why[300] = "";
    snprintf(status, sizeof status, "%d", answer->status);
    const json_t *response = at(operation_of(r), "responses", status);
    if (!response)
        fail_msg("%s %s answered %s, which is not described: %s", r->method, path, status,
                 answer->body ? answer->body : "");
    const json_t *content = json_object_get(resolve(response), "content"), *form = NULL;
    size_t type_bytes = answer->content_type ? strcspn(answer->content_type, ";") : 0;
    const char *type;
    json_t *one;
    json_object_foreach((json_t *)(uintptr_t)content, type,
                        one) if (strlen(type) == type_bytes &&
                                 strncmp(type, answer->content_type, type_bytes) == 0) form = one;
    bool head = strcmp(r->method, "HEAD") == 0;
    if (!form && content && !head)
        fail_msg("%s %s answered %s as %s, which is not described", r->method, path, status,
                 answer->content_type);
    const json_t *schema = json_object_get(form, "schema");
    const char *text = answer->body ? answer->body : answer->static_body;
    if (!schema || !text) return;
    json_t *json = json_loadb(text, answer->body_bytes, 0, NULL);
    if (!json) fail_msg("%s %s answered no JSON", r->method, path);
    check(json, schema, "the answer", why);
    if (why[0]) fail_msg("%s %s, %s: %s: %s", r->method, path, status, why, text);
    json_decref(json);
}

typedef struct queries {
    headers headers;
    const char *q;
} queries;
static const char *header_in(const void *native, const char *name) {
    return header_of(&((const queries *)native)->headers, name);
}
static const char *query_in(const void *native, const char *name) {
    const queries *x = native;
    return x->q && strcmp(name, "q") == 0 ? x->q : NULL;
}

/* One call as the server makes it: admit is for TLS; a body goes to its sink, if it has one. */
static fw_http_response answer_of(fixture *f, const fw_api_route *r, const char *path,
                                  const char *body, queries *x) {
    char length[24];
    fw_http_response response = {0};
    size_t size = body ? strlen(body) : 0;
    int i = 0;
    while (x->headers.names[i]) i++;
    snprintf(length, sizeof length, "%zu", size);
    x->headers.names[i] = "Content-Length", x->headers.values[i] = length;
    fw_http_request request = {
        .method = r->method, .path = path, .header = header_in, .query = query_in, .native = x};
    if (size > 0) request.sink = f->app.open_sink(f->app.self, &request, &response);
    if (request.sink) {
        (void)f->app.sink_write(f->app.self, request.sink, body, size);
    } else {
        request.body = body;
        request.body_bytes = size;
    }
    if (!response.status) f->app.handle(f->app.self, &request, &response);
    if (request.sink) f->app.close_sink(f->app.self, request.sink);
    if (response.stream_free) response.stream_free(response.stream_self);
    return response;
}

static fw_hash other_model; /* not the champion */

#define MLFLOW "/api/2.0/mlflow"

/* {call} of MLflow's, and the model whose files are asked for. */
static const char *mlflow_argument(const fw_api_route *r, const char *model) {
    if (strncmp(r->before, MLFLOW "-", strlen(MLFLOW "-")) == 0) return model;
    return r->method[0] == 'G' ? "search" : r->method[0] == 'P' ? "set-tag" : "delete-tag";
}

/* Bodies that do well on the fixture, by path; others get what they refuse. */
static const char *body_for(const fw_api_route *r, const char *model) {
    static char text[200];
    if (strcmp(r->before, "/v1/campaigns") == 0 || strcmp(r->before, "/v1/campaigns/estimate") == 0)
        return "{\"id\":\"c\",\"when\":\"rising(/action.accel_mps2 < -4)\"}";
    if (strcmp(r->before, "/v1/generations") == 0) return "{\"seed\":1,\"agent_steps\":10}";
    if (r->after && strcmp(r->after, "/erase") == 0) return "{\"reason\":\"sold\"}";
    if (r->after && strcmp(r->after, "/key") == 0)
        return "{\"public\":{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\",\"keyval\":{\"public\":"
               "\"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\"}}}"; /* RFC 8032, test 1 */
    if (strcmp(r->before, "/v1/retention") == 0) return "{\"keep_days\":30}";
    if (strcmp(r->before, "/v1/rollout-plan") == 0) return "{\"alpha\":0.01}";
    snprintf(text, sizeof text, "{\"model\":\"%s\"}", other_model.hex);
    if (strcmp(r->before, "/v1/rollouts") == 0) return text;
    if (strcmp(r->before, "/v1/records") == 0) return "{\"a\":1}\n";
    if (strncmp(r->before, MLFLOW, strlen(MLFLOW)) == 0)
        return "{\"name\":\"driving\",\"version\":\"1\",\"key\":\"a\",\"value\":\"b\"}";
    snprintf(text, sizeof text, "{\"hash\":\"%s\",\"card\":{}}", model);
    return strcmp(r->before, "/v1/models") == 0 ? text : "{}";
}

/* Asks every call with an argument that is there, one that is not, and one that cannot be. */
/* As the gate of generation 1 leaves them. */
static void keep_replays(const fixture *f) {
    char folder[120], path[160];
    fw_error error;
    snprintf(folder, sizeof folder, "%s/replays", f->data);
    snprintf(path, sizeof path, "%s/generation-1.json", folder);
    assert_int_equal(fw_folder_make(folder, 0755, &error), FW_OK);
    assert_int_equal(fw_file_write_durable(fw_env_real(), path, "{\"replays\":[]}", 14, &error), FW_OK);
}

/* As a gate job leaves its decision. */
static void keep_decision(const fixture *f) {
    fw_error error = {""};
    sqlite3 *db = fw_catalogue_begin(f->factory->catalogue, &error);
    fw_status status = fw_db_script(db, &error,
                                    "INSERT INTO gate_decisions VALUES(1,1,'a','b','c',1,1,0.025,0.1,-1.5,0,'not shown',"
                                    "'{\"version\":1}',1)");
    assert_int_equal(fw_catalogue_end(f->factory->catalogue, status, &error), FW_OK);
}

static void answers_are_as_described(void **state) {
    fixture *f = *state;
    static uint8_t bytes[MCAP_MAX];
    int count;
    bool did_well[100] = {false};
    json_t *json;
    other_model = add_champion(f, "a model to roll out");
    fw_hash model = add_champion(f, "a model for all");
    for (int i = 0; i < 4; i++) assert_int_equal(put_mcap(f, i == 3 ? "3" : "0", 10 + i, 1), 201);
    fw_hash recording = fw_hash_bytes(bytes, make_mcap(bytes, 10, 1));
    assert_int_equal(put_mcap(f, "gone", 20, 1), 201);
    assert_int_equal(call(f, "POST", "/v1/units/0/report", "{}", &json), 200);
    json_decref(json);
    keep_replays(f);
    keep_decision(f);
    char slice[80] = "1";
    const fw_api_route *routes = fw_api_routes(&count);
    assert_true(count <= 100);
    for (int pass = 0; pass < 4; pass++) {
        for (int i = 0; i < count; i++) {
            const fw_api_route *r = &routes[i];
            bool object = strcmp(r->before, "/v1/objects/") == 0;
            const char *argument = pass == 2   ? "%"
                                   : pass == 3 ? "0000000000000000000000000000000000000000000000000"
                                                 "000000000000000"
                                   : object    ? recording.hex
                                   : strcmp(r->before, "/v1/models/") == 0    ? model.hex
                                   : strncmp(r->before, MLFLOW, strlen(MLFLOW)) == 0 ? mlflow_argument(r, model.hex)
                                   : strcmp(r->before, "/v1/slices/") == 0    ? slice
                                   : strcmp(r->before, "/v1/campaigns/") == 0 ? "c"
                                   : strcmp(r->before, "/v1/tuf/image/") == 0 ? "timestamp.json"
                                   : strcmp(r->before, "/v1/tuf/director/") == 0 ? "1/timestamp.json"
                                                                              : "1";
            char path[200];
            if (pass < 2 && r->after && strcmp(r->after, "/erase") == 0) argument = "gone";
            snprintf(path, sizeof path, "%s%s%s", r->before, r->after ? argument : "",
                     r->after ? r->after : "");
            bool sends = r->method[0] == 'P' || r->method[0] == 'D';
            queries x = {
                .headers = {{"Flywheel-Unit", "Flywheel-Boot", "Flywheel-Stream", "Flywheel-First"},
                            {"0", "b", "health", "0"}},
                .q = pass == 2 ? "no ( query" : ""};
            const char *body = !sends ? NULL : pass == 3 ? "no json" : body_for(r, model.hex);
            fw_http_response answer = answer_of(f, r, path, body, &x);
            check_answer(r, path, &answer);
            if (answer.status == 201 && strcmp(r->before, "/v1/slice") == 0)
                sscanf(answer.body, "{\"slice\":\"%79[^\"]", slice);
            if (pass < 2 && answer.status < 400) did_well[i] = true;
            free(answer.body);
        }
    }
    for (int i = 0; i < count; i++) /* the second pass finds what the first one made */
        if (!did_well[i])
            fail_msg("%s %s%s never did well on the fixture", routes[i].method, routes[i].before,
                     routes[i].after ? routes[i].after : "");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, load, unload)
    const struct CMUnitTest tests[] = {
        TEST(every_route_is_described),
        TEST(every_description_is_a_route),
        TEST(the_document_is_whole),
        TEST(answers_are_as_described),
    };
    return cmocka_run_group_tests_name("openapi", tests, NULL, NULL);
}
