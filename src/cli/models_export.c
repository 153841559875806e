/* flywheel models export: a model as a folder that other tools read.
 *
 *   FOLDER/model.safetensors   the model
 *   FOLDER/lineage.json        what it is made of, byte for byte as it was signed
 *   FOLDER/model.sig           the statement over both, as OpenSSF's model signing has it
 *   FOLDER/card.json           the card, with what was decided since
 *   FOLDER/model.onnx          for other engines, where ONNX has all of the model's operators
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/models.h"
#include "nn/onnx/onnx.h"
#include "nn/run/model.h"
#include "trust/dsse.h"

static fw_status put(const char *folder, const char *name, const void *bytes, size_t size, fw_error *error) {
    char path[FW_PATH_MAX];
    fw_path_join(path, sizeof path, folder, name);
    return fw_file_write_durable(fw_env_real(), path, bytes, size, error);
}

static fw_status put_json(const char *folder, const char *name, const json_t *json, fw_error *error) {
    char *text = json_dumps(json, JSON_INDENT(1));
    if (!text) return fw_fail(error, FW_NO_MEMORY, "no memory for %s", name);
    fw_status status = put(folder, name, text, strlen(text), error);
    free(text);
    return status;
}

/* A rule has no network, and ONNX not every operator: then there is no such file, and stderr says why. */
static fw_status put_onnx(const char *folder, const char *path, fw_error *error) {
    fw_nn_model model;
    fw_error why = {""};
    char *bytes = NULL;
    size_t size;
    fw_status status = fw_nn_model_load(path, &model, &why);
    if (status == FW_OK) {
        status = fw_onnx_export(&model, &bytes, &size, &why);
        fw_nn_model_clear(&model);
    }
    if (status != FW_OK) {
        fprintf(stderr, "no model.onnx: %s\n", why.text);
        return FW_OK;
    }
    status = put(folder, "model.onnx", bytes, size, error);
    free(bytes);
    return status;
}

/* The envelope in the bundle that OpenSSF's tool reads, which names the key; without one the envelope alone. */
static fw_status put_signature(fw_models_source *s, const char *folder, const json_t *statement, fw_error *error) {
    fw_public_key *key = NULL;
    fw_error why = {""};
    char *bundle = NULL, *envelope = json_dumps(statement, JSON_COMPACT);
    if (!envelope) return fw_fail(error, FW_NO_MEMORY, "no memory for model.sig");
    fw_status status = fw_models_key(s->options, &key, &why);
    if (status == FW_OK) {
        status = fw_dsse_bundle(envelope, key, &bundle, error);
        fw_public_key_free(key);
    } else {
        fprintf(stderr, "model.sig is the bare envelope: %s\n", why.text);
        status = FW_OK;
    }
    const char *text = bundle ? bundle : envelope;
    if (status == FW_OK) status = put(folder, "model.sig", text, strlen(text), error);
    free(bundle);
    free(envelope);
    return status;
}

static fw_status export(fw_models_source *s, json_t *card, const char *folder, fw_error *error) {
    char from[FW_PATH_MAX], *bytes;
    const char *hash = fw_models_text(card, "hash");
    size_t size;
    FW_TRY(fw_models_object(s, hash, from, error));
    FW_TRY(fw_models_check_file(from, hash, error));
    FW_TRY(fw_folder_make(folder, 0755, error));
    FW_TRY(fw_file_read(from, FW_MODELS_FILE_MAX, &bytes, &size, error));
    fw_status status = put(folder, "model.safetensors", bytes, size, error);
    free(bytes);
    FW_TRY(status);
    fw_lineage lineage;
    char *text = NULL;
    fw_error why = {""};
    if (fw_models_lineage(card, &lineage, &text, &why) == FW_OK) {
        status = put(folder, "lineage.json", text, strlen(text), error);
        free(text);
        FW_TRY(status);
    }
    json_t *statement = json_object_get(card, "statement");
    if (json_is_object(statement))
        FW_TRY(put_signature(s, folder, statement, error));
    else
        fprintf(stderr, "no model.sig: this model was never released\n");
    json_object_del(card, "statement");
    json_object_del(card, "lineage");
    FW_TRY(put_json(folder, "card.json", card, error));
    return put_onnx(folder, from, error);
}

fw_status fw_models_export(const fw_models_options *o, const char *const *words, fw_error *error) {
    fw_models_source s;
    json_t *card = NULL;
    if (strlen(words[1]) > FW_PATH_MAX / 2) return fw_fail(error, FW_TOO_BIG, "the folder's path is too long");
    FW_TRY(fw_models_open(o, &s, error));
    fw_status status = fw_models_card(&s, words[0], &card, error);
    if (status == FW_OK) status = export(&s, card, words[1], error);
    if (status == FW_OK) puts(fw_models_text(card, "hash"));
    json_decref(card);
    fw_models_close(&s);
    return status;
}
