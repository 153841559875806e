#include "factory/registry/release.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/log.h"
#include "base/random.h"
#include "factory/trust/trust.h"
#include "trust/dsse.h"

void fw_release_clear(fw_release *release) {
    free(release->self_test);
    free(release->statement);
    *release = (fw_release){0};
}

/* ---- the statement ---- */

fw_status fw_release_statement(const char *line, const char *hash, const char *lineage, int64_t counter, char **text,
                               fw_error *error) {
    char name[128];
    size_t size;
    fw_dsse_file files[2] = {{.name = "model.safetensors"}, {.name = "lineage.json"}};
    FW_TRY(fw_hash_parse(hash, &files[0].sha256, error));
    files[1].sha256 = fw_hash_bytes(lineage, strlen(lineage));
    snprintf(name, sizeof name, "%.32s/%.64s", line, hash);
    json_t *more = json_pack("{s:{s:s,s:s,s:b,s:[s,s,s]},s:{s:s,s:I}}", "serialization", "method", "files",
                             "hash_type", "sha256", "allow_symlinks", 0, "ignore_paths", "card.json", "model.onnx",
                             "model.sig", "release", "line", line, "release_counter", (json_int_t)counter);
    if (!more) return fw_fail(error, FW_NO_MEMORY, "no memory for a model's statement");
    fw_status status = fw_dsse_model(name, files, *lineage ? 2 : 1, more, text, &size, error);
    json_decref(more);
    return status;
}

static fw_status sign(const fw_registry *r, const char *hash, const char *lineage, fw_release *out, fw_error *error) {
    char *statement = NULL;
    FW_TRY(fw_release_statement(r->line->name, hash, lineage, out->counter, &statement, error));
    fw_status status = fw_trust_sign_statement(r->trust, statement, strlen(statement), &out->statement, error);
    free(statement);
    return status;
}

/* ---- the image repository ---- */

/* The line's next counter, durable before it is used. */
static fw_status take_counter(const fw_registry *r, int64_t *out, fw_error *error) {
    char name[64], text[24] = "";
    snprintf(name, sizeof name, "release_counter/%.32s", r->line->name);
    sqlite3 *db = fw_catalogue_begin(r->catalogue, error);
    if (!db) return FW_IO;
    fw_status status = fw_setting_get(db, name, text, sizeof text, error);
    int64_t counter = strtoll(text, NULL, 10) + 1;
    snprintf(text, sizeof text, "%lld", (long long)counter);
    if (status == FW_OK) status = fw_setting_set(db, name, text, error);
    FW_TRY(fw_catalogue_end(r->catalogue, status, error));
    *out = counter;
    return FW_OK;
}

/* {"hardware_ids":[..],"release_counter":n,"self_test":{..}?} as in trust/uptane.h. */
static json_t *custom_of(const fw_release *release) {
    json_t *custom = json_pack("{s:[s],s:I}", "hardware_ids", FW_TRUST_HARDWARE, "release_counter",
                               (json_int_t)release->counter);
    json_t *test = release->self_test ? fw_json_load_text(release->self_test) : NULL;
    if (test) json_object_set_new(custom, "self_test", test);
    if (custom && !test == !release->self_test) return custom;
    json_decref(custom);
    return NULL;
}

static fw_status publish(const fw_registry *r, const fw_hash *model, const char *path, const fw_release *release,
                         fw_error *error) {
    struct stat file;
    if (stat(path, &file) != 0) return fw_fail_errno(error, "no file of model %.12s", model->hex);
    json_t *custom = custom_of(release);
    if (!custom) return fw_fail(error, FW_NO_MEMORY, "no memory for a release");
    fw_status status =
        fw_trust_release(r->trust, r->line->name, model, (uint64_t)file.st_size, custom, error);
    json_decref(custom);
    if (status == FW_DENIED) fw_log_warn("model %.12s waits for its signature: %s", model->hex, error->text);
    return status == FW_DENIED ? FW_OK : status;
}

static fw_status make(const fw_registry *r, const fw_hash *model, const char *lineage, fw_release *out,
                      fw_error *error) {
    char path[FW_PATH_MAX];
    fw_objects_path(r->objects, model->hex, path);
    FW_TRY(take_counter(r, &out->counter, error));
    if (r->line->self_test)
        FW_TRY(r->line->self_test(path, fw_seed_mix((uint64_t)out->counter, model->hex), &out->self_test, error));
    FW_TRY(publish(r, model, path, out, error));
    return sign(r, model->hex, lineage, out, error);
}

fw_status fw_release_make(const fw_registry *r, const char *hash, const char *lineage, fw_release *out,
                          fw_error *error) {
    fw_hash model;
    fw_release found = {0};
    FW_TRY(fw_hash_parse(hash, &model, error));
    fw_status status = r->trust ? make(r, &model, lineage, &found, error) : FW_OK;
    if (status == FW_OK)
        *out = found;
    else
        fw_release_clear(&found);
    return status;
}

fw_status fw_release_write(sqlite3 *db, const char *hash, const fw_release *release, fw_error *error) {
    if (release->counter == 0) return FW_OK;
    return fw_db_run(db, error, "UPDATE models SET release_counter=?,self_test=?,statement=? WHERE hash=?", "ittt",
                     release->counter, release->self_test, release->statement, hash);
}

fw_status fw_registry_release(const fw_registry *r, const char *hash, fw_error *error) {
    char *lineage = NULL;
    fw_release release;
    FW_TRY(fw_registry_lineage(r->catalogue, hash, &lineage, error));
    fw_status status = fw_release_make(r, hash, lineage, &release, error);
    free(lineage);
    FW_TRY(status);
    sqlite3 *db = fw_catalogue_begin(r->catalogue, error);
    status = db ? fw_release_write(db, hash, &release, error) : FW_IO;
    if (db) status = fw_catalogue_end(r->catalogue, status, error);
    fw_release_clear(&release);
    return status;
}
