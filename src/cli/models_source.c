#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/local.h"
#include "cli/models.h"
#include "factory/registry/registry.h"

const char *fw_models_text(const json_t *card, const char *name) {
    const char *text = json_string_value(json_object_get(card, name));
    return text ? text : "";
}

/* ---- life ---- */

static fw_status open_folder(const char *data, fw_models_source *s, fw_error *error) {
    char path[FW_PATH_MAX];
    fw_path_join(path, sizeof path, data, "catalogue.sqlite");
    if (!fw_file_exists(path)) return fw_fail(error, FW_NOT_FOUND, "no factory's data in %s", data);
    FW_TRY(fw_cli_catalogue(data, &s->catalogue, error));
    return fw_objects_open(fw_env_real(), data, &s->objects, error);
}

static fw_status open_cache(fw_models_source *s, fw_error *error) {
    const char *base = getenv("TMPDIR");
    snprintf(s->cache, sizeof s->cache, "%.40s/flywheel-XXXXXX", base && *base && strlen(base) < 40 ? base : "/tmp");
    if (!mkdtemp(s->cache)) {
        s->cache[0] = '\0';
        return fw_fail_errno(error, "no temporary folder");
    }
    return fw_objects_open(fw_env_real(), s->cache, &s->objects, error);
}

fw_status fw_models_open(const fw_models_options *options, fw_models_source *out, fw_error *error) {
    fw_models_source s = {.options = options};
    fw_status status = options->data ? open_folder(options->data, &s, error) : open_cache(&s, error);
    if (status == FW_OK)
        *out = s;
    else
        fw_models_close(&s);
    return status;
}

void fw_models_close(fw_models_source *s) {
    fw_error ignored;
    fw_catalogue_close(s->catalogue);
    if (s->cache[0]) (void)!fw_folder_remove(s->cache, &ignored);
}

/* ---- cards ---- */

static fw_status get(fw_models_source *s, const char *path, char **text, fw_error *error) {
    fw_http_call call = {.method = "GET"};
    return fw_ask_perform(&s->options->ask, &call, path, text, error);
}

static fw_status parse(char *text, bool array, json_t **out, fw_error *error) {
    json_t *json = json_loads(text, 0, NULL);
    free(text);
    if (array ? json_is_array(json) : json_is_object(json)) {
        *out = json;
        return FW_OK;
    }
    json_decref(json);
    return fw_fail(error, FW_CORRUPT, "the answer is no %s: is this a Flywheel factory?", array ? "list" : "model");
}

fw_status fw_models_list(fw_models_source *s, json_t **rows, fw_error *error) {
    char *text = NULL;
    FW_TRY(s->catalogue ? fw_registry_json(s->catalogue, &text, error) : get(s, "/v1/models", &text, error));
    return parse(text, true, rows, error);
}

/* The one hash that begins so. */
static fw_status complete(fw_models_source *s, const char *prefix, char hash[FW_HASH_HEX + 1], fw_error *error) {
    json_t *rows, *row;
    size_t at, count = 0, size = strlen(prefix);
    if (size < 6 || size > FW_HASH_HEX || strspn(prefix, "0123456789abcdef") != size)
        return fw_fail(error, FW_INVALID, "'%.70s' is no hash (6 to 64 hex digits)", prefix);
    FW_TRY(fw_models_list(s, &rows, error));
    json_array_foreach(rows, at, row) {
        const char *name = fw_models_text(row, "hash");
        if (strncmp(name, prefix, size) != 0 || !fw_hash_valid(name)) continue;
        memcpy(hash, name, FW_HASH_HEX + 1);
        count++;
    }
    json_decref(rows);
    if (count == 1) return FW_OK;
    return fw_fail(error, FW_NOT_FOUND, count ? "more than one model begins with %s" : "no model begins with %s",
                   prefix);
}

fw_status fw_models_card(fw_models_source *s, const char *prefix, json_t **card, fw_error *error) {
    char hash[FW_HASH_HEX + 1], path[FW_HASH_HEX + 16], *text = NULL;
    FW_TRY(complete(s, prefix, hash, error));
    snprintf(path, sizeof path, "/v1/models/%s", hash);
    FW_TRY(s->catalogue ? fw_registry_json_of(s->catalogue, hash, &text, error) : get(s, path, &text, error));
    return parse(text, false, card, error);
}

fw_status fw_models_lineage(const json_t *card, fw_lineage *out, char **text, fw_error *error) {
    const json_t *lineage = json_object_get(card, "lineage");
    if (!json_is_object(lineage))
        return fw_fail(error, FW_NOT_FOUND, "model %.12s has no lineage: it is older than they are",
                       fw_models_text(card, "hash"));
    char *found = json_dumps(lineage, JSON_COMPACT);
    if (!found) return fw_fail(error, FW_NO_MEMORY, "no memory for a lineage");
    fw_status status = fw_lineage_read(found, strlen(found), out, error);
    if (status == FW_OK && strcmp(out->model, fw_models_text(card, "hash")) != 0)
        status = fw_fail(error, FW_CORRUPT, "the lineage is another model's");
    if (status == FW_OK && text)
        *text = found;
    else
        free(found);
    return status;
}

/* ---- objects ---- */

fw_status fw_models_check_file(const char *path, const char *hash, fw_error *error) {
    fw_hash found;
    FW_TRY(fw_hash_file(path, &found, error));
    if (strcmp(found.hex, hash) == 0) return FW_OK;
    return fw_fail(error, FW_MISMATCH, "%s has SHA-256 %.12s, not %.12s", path, found.hex, hash);
}

static fw_status fetch(fw_models_source *s, const char *hash, fw_error *error) {
    char path[FW_HASH_HEX + 16];
    fw_http_call call = {.method = "GET"};
    fw_http_reply reply;
    fw_hash found;
    snprintf(path, sizeof path, "/v1/objects/%s", hash);
    FW_TRY(fw_ask_reply(&s->options->ask, &call, path, &reply, error));
    fw_status status = fw_objects_put(&s->objects, reply.body, reply.body_bytes, &found, error);
    fw_http_reply_clear(&reply);
    if (status == FW_OK && strcmp(found.hex, hash) != 0)
        return fw_fail(error, FW_CORRUPT, "the factory sent %.12s for %.12s", found.hex, hash);
    return status;
}

fw_status fw_models_object(fw_models_source *s, const char *hash, char path[FW_PATH_MAX], fw_error *error) {
    if (!fw_hash_valid(hash)) return fw_fail(error, FW_CORRUPT, "'%.70s' is no hash", hash);
    fw_objects_path(&s->objects, hash, path);
    if (!fw_file_exists(path) && s->cache[0]) FW_TRY(fetch(s, hash, error));
    if (!fw_file_exists(path))
        return fw_fail(error, FW_NOT_FOUND, "object %.12s is not here any more (expired or erased)", hash);
    return FW_OK;
}

fw_status fw_models_manifest(fw_models_source *s, const char *dataset, json_t **manifest, fw_error *error) {
    char path[FW_PATH_MAX], *text;
    size_t size;
    FW_TRY(fw_models_object(s, dataset, path, error));
    FW_TRY(fw_models_check_file(path, dataset, error));
    FW_TRY(fw_file_read(path, FW_MODELS_TEXT_MAX, &text, &size, error));
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    if (json_is_array(json_object_get(json, "recordings"))) {
        *manifest = json;
        return FW_OK;
    }
    json_decref(json);
    return fw_fail(error, FW_CORRUPT, "data set %.12s is no manifest", dataset);
}

/* ---- the key ---- */

fw_status fw_models_key(const fw_models_options *o, fw_public_key **out, fw_error *error) {
    char path[FW_PATH_MAX], *text;
    size_t size;
    if (!o->key && !o->data)
        return fw_fail(error, FW_INVALID, "say --key FILE, the factory's public release key (flywheel trust release-key)");
    if (!o->key) {
        fw_private_key *own;
        snprintf(path, sizeof path, "%.400s/trust/keys/release.pem", o->data);
        FW_TRY(fw_private_key_load(path, &own, error));
        fw_status status = fw_private_key_public(own, out, error);
        fw_private_key_free(own);
        return status;
    }
    FW_TRY(fw_file_read(o->key, FW_KEY_PEM_MAX, &text, &size, error));
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    fw_status status = json ? fw_public_key_read(json, out, error)
                            : fw_fail(error, FW_CORRUPT, "%s is no public key (JSON)", o->key);
    json_decref(json);
    return status;
}
