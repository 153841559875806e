/* receipt_verify.c - does a receipt hold? By the public key alone, and with its files (receipt.h). */
#include "cli/receipt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "factory/line.h"
#include "trust/canonical.h"

/* ---- signature and chain ---- */

static fw_status read_key(const char *text, fw_public_key **out, fw_error *error) {
    json_t *json = NULL;
    FW_TRY(fw_canonical_read(text, strlen(text), &json, error));
    fw_status status = fw_public_key_read(json, out, error);
    json_decref(json);
    return status;
}

static fw_status check_payload(const char *payload, size_t payload_bytes, fw_receipt_checked *out, fw_error *error) {
    json_t *statement = NULL;
    fw_receipt_view view;
    if (payload_bytes > FW_RECEIPT_MAX_BYTES) return fw_fail(error, FW_TOO_BIG, "the receipt is too big");
    FW_TRY(fw_canonical_read(payload, payload_bytes, &statement, error));
    fw_status status = fw_receipt_check(statement, &view, error);
    if (status == FW_OK) *out = (fw_receipt_checked){.statement = statement, .view = view};
    else json_decref(statement);
    return status;
}

fw_status fw_receipt_verify(const char *envelope, size_t envelope_bytes, const char *key, fw_receipt_checked *out,
                            fw_error *error) {
    fw_public_key *public_key = NULL;
    char *payload = NULL;
    size_t payload_bytes = 0;
    FW_TRY(read_key(key, &public_key, error));
    fw_status status =
        fw_dsse_check(envelope, envelope_bytes, FW_DSSE_IN_TOTO, public_key, &payload, &payload_bytes, error);
    if (status == FW_OK) status = check_payload(payload, payload_bytes, out, error);
    if (status == FW_OK) out->key = fw_public_key_id(public_key);
    free(payload);
    fw_public_key_free(public_key);
    return status;
}

void fw_receipt_checked_clear(fw_receipt_checked *checked) {
    json_decref(checked->statement);
    *checked = (fw_receipt_checked){0};
}

/* ---- files ---- */

static const json_t *facts_of(const fw_receipt_view *view, fw_receipt_hop hop) {
    return json_object_get(fw_receipt_hop_of(view, hop), "facts");
}

static const char *sha256_of(const fw_receipt_view *view, fw_receipt_hop hop) {
    return json_string_value(json_object_get(fw_receipt_hop_of(view, hop), "sha256"));
}

static const char *model_of(const fw_receipt_view *view, size_t drive) {
    const json_t *drives = json_object_get(facts_of(view, FW_RECEIPT_REPLAY), "drives");
    return json_string_value(json_object_get(json_array_get(drives, drive), "model"));
}

uint32_t fw_receipt_files(const fw_receipt_view *view, fw_receipt_file out[FW_RECEIPT_FILES_MAX]) {
    const fw_receipt_file all[FW_RECEIPT_FILES_MAX] = {{"recording", sha256_of(view, FW_RECEIPT_RECORDING), true},
                                                       {"data set", sha256_of(view, FW_RECEIPT_DATASET), false},
                                                       {"old model", model_of(view, 0), true},
                                                       {"new model", sha256_of(view, FW_RECEIPT_RUN), true}};
    uint32_t count = 0;
    for (int i = 0; i < FW_RECEIPT_FILES_MAX; i++)
        if (fw_hash_valid(all[i].sha256)) out[count++] = all[i];
    return count;
}

fw_status fw_receipt_find_file(const char *folder, const char *sha256, char path[FW_PATH_MAX], fw_error *error) {
    const struct { const char *below; int digits; } places[] = {{"", 0}, {"/", 2}, {"/objects/", 2}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        int used = snprintf(path, FW_PATH_MAX, "%s%s%.*s/%s", folder, places[i].below, places[i].digits, sha256, sha256);
        if (used < 0 || used >= FW_PATH_MAX) return fw_fail(error, FW_TOO_BIG, "the path of %s is too long", folder);
        if (fw_file_exists(path)) return FW_OK;
    }
    return fw_fail(error, FW_NOT_FOUND, "%s has no file %.12s", folder, sha256);
}

fw_status fw_receipt_check_files(const fw_receipt_view *view, const char *folder, uint32_t *found, fw_error *error) {
    fw_receipt_file files[FW_RECEIPT_FILES_MAX];
    uint32_t count = fw_receipt_files(view, files);
    char path[FW_PATH_MAX];
    fw_hash hash;
    *found = 0;
    for (uint32_t i = 0; i < count; i++) {
        fw_status status = fw_receipt_find_file(folder, files[i].sha256, path, error);
        if (status == FW_NOT_FOUND) continue;
        FW_TRY(status);
        FW_TRY(fw_hash_file(path, &hash, error));
        if (strcmp(hash.hex, files[i].sha256) != 0)
            return fw_fail(error, FW_MISMATCH, "%s is not the %s of the receipt: it has the hash %.12s", path,
                           files[i].what, hash.hex);
        ++*found;
    }
    return FW_OK;
}

/* ---- the same drives again ---- */

/* A field of the new proof is what the receipt says; "drives" as a whole. */
static bool same(const json_t *proof, const json_t *facts, const char *name) {
    return json_equal(json_object_get(proof, name), json_object_get(facts, name));
}

static fw_status compare(const fw_receipt_view *view, const json_t *proof, fw_error *error) {
    static const char *const fields[] = {"first_tick", "event_tick", "ticks_max", "seed", "traffic", "guard",
                                         "recorded_mm", "rule_mm"};
    const json_t *scenario = facts_of(view, FW_RECEIPT_SCENARIO), *replay = facts_of(view, FW_RECEIPT_REPLAY);
    const char *other = same(proof, replay, "cpu_class")
                            ? "" : "; this CPU is of another class than the one that made the receipt";
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (!same(proof, scenario, fields[i]))
            return fw_fail(error, FW_MISMATCH, "driven again, \"%s\" is another%s", fields[i], other);
    if (same(proof, replay, "drives")) return FW_OK;
    return fw_fail(error, FW_MISMATCH, "driven again, the drives have other figures%s", other);
}

fw_status fw_receipt_drive(const fw_receipt_view *view, const char *folder, fw_error *error) {
    const json_t *event = facts_of(view, FW_RECEIPT_EVENT);
    const char *names[] = {sha256_of(view, FW_RECEIPT_RECORDING), model_of(view, 0), model_of(view, 1)};
    const char *kind = json_string_value(json_object_get(event, "kind"));
    char paths[3][FW_PATH_MAX];
    json_t *proof = NULL;
    for (int i = 0; i < 3; i++) {
        if (!fw_hash_valid(names[i]) || !kind)
            return fw_fail(error, FW_INVALID, "this receipt has no replay to drive again");
        FW_TRY(fw_receipt_find_file(folder, names[i], paths[i], error));
    }
    const fw_line_moment moment = {.recording = paths[0], .kind = kind,
                                   .time_ns = json_integer_value(json_object_get(event, "time_ns"))};
    FW_TRY(fw_line_driving.drive_again(&moment, (const char *const[]){paths[1], paths[2]}, &proof, NULL, error));
    fw_status status = compare(view, proof, error);
    json_decref(proof);
    return status;
}
