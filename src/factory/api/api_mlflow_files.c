/* api_mlflow_files.c - a model's files, as MLflow's clients download them: mlflow-artifacts:/HASH (api_mlflow.h).
 *
 *   model.safetensors   the object itself    lineage.json, card.json   of the registry
 *   model.sig           the signed statement, where it was released    MLmodel   what MLflow calls a model
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "factory/api/api_mlflow.h"
#include "factory/registry/registry.h"

static const char weights[] = "model.safetensors";
static const char *const texts[] = {"MLmodel", "card.json", "lineage.json", "model.sig"};

static fw_status load_card(const fw_api_call *c, const char *hash, json_t **card, fw_error *error) {
    char *text = NULL;
    FW_TRY(fw_registry_json_of(c->factory->catalogue, hash, &text, error));
    *card = fw_json_load_text(text);
    free(text);
    return *card ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory for a card");
}

/* The descriptor of MLflow's format: one flavor, ours. */
static char *descriptor(const json_t *card) {
    char *text = NULL;
    const char *hash = json_string_value(json_object_get(card, "hash"));
    const char *line = json_string_value(json_object_get(card, "line"));
    if (asprintf(&text,
                 "artifact_path: %s\nflavors:\n  flywheel:\n    data: %s\n    line: %s\nmodel_uuid: %.32s\n", hash,
                 weights, line, hash) < 0)
        return NULL;
    return text;
}

/* A file's text, malloc'd; NULL: the model has no such file (or memory is short, which fw_json_short says). */
static char *text_of(const fw_api_call *c, const json_t *card, const char *file) {
    char *text = NULL;
    fw_error ignored;
    const char *hash = json_string_value(json_object_get(card, "hash"));
    if (strcmp(file, "MLmodel") == 0) return descriptor(card);
    if (strcmp(file, "card.json") == 0) return json_dumps(card, JSON_INDENT(1));
    if (strcmp(file, "model.sig") == 0) {
        const json_t *statement = json_object_get(card, "statement");
        return json_is_object(statement) ? json_dumps(statement, JSON_COMPACT) : NULL;
    }
    if (fw_registry_lineage(c->factory->catalogue, hash, &text, &ignored) != FW_OK) return NULL;
    if (*text) return text;
    free(text);
    return NULL;
}

/* ---- the list ---- */

static void add_file(json_t *files, const char *name, int64_t size_bytes) {
    json_array_append_new(files, json_pack("{s:s,s:b,s:I}", "path", name, "is_dir", 0, "file_size",
                                           (json_int_t)size_bytes));
}

static fw_status list_files(const fw_api_call *c, const char *hash, json_t *files, fw_error *error) {
    char path[FW_PATH_MAX];
    struct stat file;
    json_t *card;
    FW_TRY(load_card(c, hash, &card, error));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char *text = text_of(c, card, texts[i]);
        if (text) add_file(files, texts[i], (int64_t)strlen(text));
        free(text);
    }
    fw_objects_path(&c->factory->objects, hash, path);
    if (stat(path, &file) == 0) add_file(files, weights, (int64_t)file.st_size);
    json_decref(card);
    return FW_OK;
}

/* ?path=HASH; a file's own path has nothing below it, and an empty one names no model. */
void fw_api_mlflow_list(const fw_api_call *c) {
    const char *path = c->request->query(c->request->native, "path");
    char hash[FW_HASH_HEX + 1] = "";
    fw_error error = {""};
    json_t *files = json_array();
    size_t size = path ? strlen(path) : 0;
    while (size > 0 && path[size - 1] == '/') size--;
    if (size == FW_HASH_HEX) snprintf(hash, sizeof hash, "%.64s", path);
    fw_status status = FW_OK;
    if (fw_hash_valid(hash)) status = list_files(c, hash, files, &error);
    if (status == FW_OK) {
        json_t *json = json_pack("{s:O}", "files", files);
        fw_api_answer(c, FW_OK, 200, json ? json_dumps(json, JSON_COMPACT) : NULL, &error);
        json_decref(json);
    } else {
        fw_api_mlflow_failure(c, status, &error);
    }
    json_decref(files);
}

/* ---- one file ---- */

static void answer_text(const fw_api_call *c, const char *file, char *text) {
    c->response->status = 200;
    c->response->content_type = strcmp(file, texts[0]) == 0 ? "text/plain" : "application/json";
    c->response->body = text;
    c->response->body_bytes = strlen(text);
}

static fw_status send_file(const fw_api_call *c, const char *file, fw_error *error) {
    json_t *card;
    FW_TRY(load_card(c, c->argument, &card, error));
    if (strcmp(file, weights) == 0) {
        json_decref(card);
        fw_ingest_get(&c->factory->ingest, c->argument, c->response);
        return FW_OK;
    }
    char *text = text_of(c, card, file);
    json_decref(card);
    if (!text) return fw_fail(error, FW_NOT_FOUND, "model %.12s has no %s", c->argument, file);
    answer_text(c, file, text);
    return FW_OK;
}

void fw_api_mlflow_file(const fw_api_call *c) {
    fw_error error = {""};
    const char *slash = strrchr(c->request->path, '/');
    fw_status status = fw_hash_valid(c->argument) ? send_file(c, slash + 1, &error)
                                                  : fw_fail(&error, FW_INVALID, "want a model's SHA-256 in the path");
    if (status != FW_OK) fw_api_mlflow_failure(c, status, &error);
}
