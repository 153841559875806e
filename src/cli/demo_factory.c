/* demo_factory.c - see demo_factory.h */
#include "cli/demo_factory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

enum { REPLY_MAX = 64 << 20, CALL_MS = 10000 };

static fw_status perform(fw_demo_factory *factory, const char *method, const char *path,
                         const char *const *headers, const void *body, size_t body_bytes,
                         fw_http_reply *reply, fw_error *error) {
    char url[512];
    int size = snprintf(url, sizeof url, "%s%s", factory->base_url, path);
    FW_ASSERT(size > 0 && (size_t)size < sizeof url);
    fw_http_call call = {.method = method, .url = url, .headers = headers, .body = body,
                         .body_bytes = body_bytes, .reply_max_bytes = REPLY_MAX,
                         .timeout_ms = CALL_MS};
    fw_error why = {""};
    if (factory->http.perform(factory->http.self, &call, reply, &why) != FW_OK)
        return fw_fail(error, FW_BUSY, "the factory does not answer: %s", why.text);
    return FW_OK;
}

/* An answer of the factory into JSON, or into its reason. Clears the reply. */
static fw_status understand(const char *path, fw_http_reply *reply, json_t **out,
                            fw_error *error) {
    json_t *object = json_loadb(reply->body ? reply->body : "", reply->body_bytes, 0, NULL);
    int http = reply->status;
    fw_http_reply_clear(reply);
    if (http >= 200 && http < 300 && (object || out == NULL)) {
        if (out) *out = object;
        else json_decref(object);
        return FW_OK;
    }
    const char *reason = json_string_value(json_object_get(object, "error"));
    fw_status status = http == 503 || http == 429 ? FW_BUSY : http == 404 ? FW_NOT_FOUND : FW_INVALID;
    fw_fail(error, status, "the factory answered %d to %s: %s", http, path,
            reason ? reason : "no reason given");
    json_decref(object);
    return status;
}

fw_status fw_demo_factory_get(fw_demo_factory *factory, const char *path, json_t **out,
                              fw_error *error) {
    fw_http_reply reply = {0};
    FW_TRY(perform(factory, "GET", path, NULL, NULL, 0, &reply, error));
    return understand(path, &reply, out, error);
}

fw_status fw_demo_factory_post(fw_demo_factory *factory, const char *path, json_t *body,
                               json_t **out, int *http_status, fw_error *error) {
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    fw_http_reply reply = {0};
    char *text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    FW_ASSERT(text != NULL);
    fw_status status = perform(factory, "POST", path, headers, text, strlen(text), &reply, error);
    free(text);
    if (status != FW_OK) return status;
    if (http_status) *http_status = reply.status;
    return understand(path, &reply, out, error);
}

fw_status fw_demo_factory_model(fw_demo_factory *factory, const void *bytes, size_t size_bytes,
                                json_t *card, bool champion, fw_hash *hash, fw_error *error) {
    static const char *const headers[] = {"Flywheel-Kind: model",
                                          "Content-Type: application/octet-stream", NULL};
    fw_http_reply reply = {0};
    char path[128];
    *hash = fw_hash_bytes(bytes, size_bytes);
    snprintf(path, sizeof path, "/v1/objects/%s", hash->hex);
    fw_status status = perform(factory, "PUT", path, headers, bytes, size_bytes, &reply, error);
    if (status == FW_OK) status = understand(path, &reply, NULL, error);
    if (status != FW_OK) {
        json_decref(card);
        return status;
    }
    json_t *body = json_pack("{s:s, s:o, s:b}", "hash", hash->hex, "card", card, "champion",
                             champion);
    return fw_demo_factory_post(factory, "/v1/models", body, NULL, NULL, error);
}

fw_status fw_demo_factory_fetch(fw_demo_factory *factory, const char *hash, const char *path,
                                fw_error *error) {
    fw_hash have = {""};
    fw_http_reply reply = {0};
    char from[128];
    if (fw_hash_file(path, &have, NULL) == FW_OK && strcmp(have.hex, hash) == 0) return FW_OK;
    snprintf(from, sizeof from, "/v1/objects/%.64s", hash);
    FW_TRY(perform(factory, "GET", from, NULL, NULL, 0, &reply, error));
    if (reply.status != 200) return understand(from, &reply, NULL, error);
    have = fw_hash_bytes(reply.body, reply.body_bytes);
    fw_status status = FW_OK;
    if (strcmp(have.hex, hash) != 0)
        status = fw_fail(error, FW_MISMATCH, "object %.12s came with hash %.12s", hash, have.hex);
    if (status == FW_OK)
        status = fw_file_write_durable(fw_env_real(), path, reply.body, reply.body_bytes, error);
    fw_http_reply_clear(&reply);
    return status;
}
