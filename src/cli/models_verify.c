/* flywheel models verify: is this the model that the factory released, and is what it was made of still there?
 *
 *   MODEL    of a factory (--data or --url): statement, the file's hash, the lineage's objects
 *   FOLDER   made by `flywheel models export`: statement and both files, with nothing but the public key
 *
 * stdout: a line for each check, "ok" or "NO" in front; exit status 1 when one of them is NO.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "cli/models.h"
#include "trust/dsse.h"

enum { SIGNATURE_MAX_BYTES = 1 << 20 };

/* What was found so far. */
typedef struct findings {
    json_t *checks; /* [{"check","ok","why"}] */
    bool bad;
} findings;

static void note(findings *f, const char *check, bool ok, const char *why) {
    json_array_append_new(f->checks, json_pack("{s:s,s:b,s:s}", "check", check, "ok", (int)ok, "why", why));
    f->bad = f->bad || !ok;
}

static void note_status(findings *f, const char *check, fw_status status, const fw_error *why) {
    note(f, check, status == FW_OK, status == FW_OK ? "" : why->text);
}

/* ---- the statement ---- */

/* The digest that the statement gives a file; "" none. */
static const char *digest_of(const json_t *statement, const char *name) {
    size_t at;
    json_t *row;
    json_array_foreach(json_object_get(json_object_get(statement, "predicate"), "resources"), at, row)
        if (strcmp(fw_models_text(row, "name"), name) == 0) return fw_models_text(row, "digest");
    return "";
}

/* The signed statement of an envelope or a bundle; the caller owns it. */
static fw_status open_statement(const char *envelope, const fw_public_key *key, json_t **out, fw_error *error) {
    char *payload = NULL;
    size_t size;
    FW_TRY(fw_dsse_check(envelope, strlen(envelope), FW_DSSE_IN_TOTO, key, &payload, &size, error));
    json_t *json = json_loadb(payload, size, JSON_REJECT_DUPLICATES, NULL);
    free(payload);
    if (json_is_object(json)) {
        *out = json;
        return FW_OK;
    }
    json_decref(json);
    return fw_fail(error, FW_CORRUPT, "the statement is no JSON object");
}

/* The statement must be signed, and say these hashes; lineage: its text, NULL none. */
static void check_statement(findings *f, const char *envelope, const fw_public_key *key, const char *model,
                            const char *lineage) {
    json_t *statement = NULL;
    fw_error why = {""};
    fw_status status = open_statement(envelope, key, &statement, &why);
    note_status(f, "the statement is signed with this key", status, &why);
    if (status != FW_OK) return;
    note(f, "the statement names this model", strcmp(digest_of(statement, "model.safetensors"), model) == 0,
         "model.safetensors has another hash there");
    fw_hash of_lineage = fw_hash_bytes(lineage ? lineage : "", lineage ? strlen(lineage) : 0);
    note(f, "the statement names this lineage",
         strcmp(digest_of(statement, "lineage.json"), lineage ? of_lineage.hex : "") == 0,
         "lineage.json has another hash there");
    json_decref(statement);
}

/* ---- a model of a factory ---- */

static void check_object(findings *f, fw_models_source *s, const char *what, const char *hash) {
    char path[FW_PATH_MAX], check[120];
    fw_error why = {""};
    snprintf(check, sizeof check, "%s %.12s is here and whole", what, hash);
    fw_status status = fw_models_object(s, hash, path, &why);
    if (status == FW_OK) status = fw_models_check_file(path, hash, &why);
    note_status(f, check, status, &why);
}

static void check_recordings(findings *f, fw_models_source *s, const char *dataset) {
    json_t *manifest, *row;
    size_t at, bad = 0;
    char path[FW_PATH_MAX], check[120];
    fw_error why = {""}, first = {""};
    fw_status status = fw_models_manifest(s, dataset, &manifest, &why);
    snprintf(check, sizeof check, "data set %.12s and its recordings are here and whole", dataset);
    if (status != FW_OK) {
        note_status(f, check, status, &why);
        return;
    }
    json_array_foreach(json_object_get(manifest, "recordings"), at, row) {
        const char *hash = fw_models_text(row, "sha256");
        status = fw_models_object(s, hash, path, &why);
        if (status == FW_OK) status = fw_models_check_file(path, hash, &why);
        if (status != FW_OK && bad++ == 0) first = why;
    }
    note(f, check, bad == 0, first.text);
    json_decref(manifest);
}

static fw_status verify_model(fw_models_source *s, const char *prefix, const fw_public_key *key, findings *f,
                              fw_error *error) {
    json_t *card;
    fw_lineage lineage = {0};
    char *text = NULL;
    fw_error why = {""};
    FW_TRY(fw_models_card(s, prefix, &card, error));
    const char *hash = fw_models_text(card, "hash");
    check_object(f, s, "model", hash);
    fw_status status = fw_models_lineage(card, &lineage, &text, &why);
    note_status(f, "it has a lineage", status, &why);
    char *envelope = json_dumps(json_object_get(card, "statement"), JSON_COMPACT);
    if (envelope)
        check_statement(f, envelope, key, hash, text);
    else
        note(f, "it has a statement", false, "it was never released");
    if (*lineage.dataset) check_recordings(f, s, lineage.dataset);
    if (*lineage.parent) check_object(f, s, "parent", lineage.parent);
    free(envelope);
    free(text);
    json_decref(card);
    return FW_OK;
}

/* ---- a folder ---- */

static fw_status verify_folder(const char *folder, const fw_public_key *key, findings *f, fw_error *error) {
    char path[FW_PATH_MAX], *signature = NULL, *lineage = NULL;
    size_t size;
    fw_hash model;
    fw_error ignored;
    fw_path_join(path, sizeof path, folder, "model.safetensors");
    FW_TRY(fw_hash_file(path, &model, error));
    fw_path_join(path, sizeof path, folder, "model.sig");
    FW_TRY(fw_file_read(path, SIGNATURE_MAX_BYTES, &signature, &size, error));
    fw_path_join(path, sizeof path, folder, "lineage.json");
    if (fw_file_exists(path) && fw_file_read(path, FW_LINEAGE_MAX_BYTES, &lineage, &size, &ignored) != FW_OK)
        note(f, "lineage.json can be read", false, ignored.text);
    check_statement(f, signature, key, model.hex, lineage);
    free(lineage);
    free(signature);
    return FW_OK;
}

/* ---- the answer ---- */

static void print(const fw_models_options *o, const findings *f) {
    size_t at;
    json_t *row;
    if (o->ask.json) {
        json_t *json = json_pack("{s:b,s:O}", "ok", (int)!f->bad, "checks", f->checks);
        json_dumpf(json, stdout, JSON_COMPACT), putchar('\n');
        json_decref(json);
        return;
    }
    json_array_foreach(f->checks, at, row) {
        bool ok = json_is_true(json_object_get(row, "ok"));
        printf("%s  %s%s%s\n", ok ? "ok" : "NO", fw_models_text(row, "check"), ok ? "" : ": ",
               ok ? "" : fw_models_text(row, "why"));
    }
}

static fw_status verify(const fw_models_options *o, const char *what, const fw_public_key *key, findings *f,
                        fw_error *error) {
    struct stat info;
    fw_models_source s;
    if (stat(what, &info) == 0 && S_ISDIR(info.st_mode) && strlen(what) < FW_PATH_MAX / 2)
        return verify_folder(what, key, f, error);
    FW_TRY(fw_models_open(o, &s, error));
    fw_status status = verify_model(&s, what, key, f, error);
    fw_models_close(&s);
    return status;
}

fw_status fw_models_verify(const fw_models_options *o, const char *const *words, fw_error *error) {
    fw_public_key *key;
    findings f = {.checks = json_array()};
    fw_status status = fw_models_key(o, &key, error);
    if (status == FW_OK) {
        status = verify(o, words[0], key, &f, error);
        fw_public_key_free(key);
    }
    if (status == FW_OK) print(o, &f);
    json_decref(f.checks);
    return status == FW_OK && f.bad ? fw_fail(error, FW_MISMATCH, "this model is not to be trusted as it is") : status;
}
