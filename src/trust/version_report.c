/* version_report.c - what a unit signs of what it runs (uptane.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trust/canonical.h"
#include "trust/sign.h"
#include "trust/uptane.h"

fw_status fw_version_report_sign(const fw_version_report *r, const fw_private_key *key, char **out, fw_error *error) {
    size_t size = 0;
    json_t *attacks = json_array();
    if (attacks && *r->attack) json_array_append_new(attacks, json_string(r->attack));
    json_t *body = json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:s,s:o}", "unit", r->unit, "hardware_id", r->hardware_id,
                             "target", r->target, "sha256", r->sha256.hex, "release_counter",
                             (json_int_t)r->release_counter, "tick", (json_int_t)r->tick, "time_ns",
                             (json_int_t)r->time_ns, "nonce", r->nonce, "attacks", attacks);
    if (!body) return fw_fail(error, FW_NO_MEMORY, "no memory for a version report");
    const fw_private_key *const keys[1] = {key};
    fw_status status = fw_sign_metadata(body, keys, 1, out, &size, error);
    json_decref(body);
    return status;
}

/* A text of the body, which must fit. */
static bool take_text(const json_t *body, const char *name, char *out, size_t out_size) {
    const json_t *value = json_object_get(body, name);
    size_t size = json_string_length(value);
    if (!json_is_string(value) || size >= out_size || strlen(json_string_value(value)) != size) return false;
    memcpy(out, json_string_value(value), size + 1);
    return true;
}

static bool take_count(const json_t *body, const char *name, uint64_t *out) {
    const json_t *value = json_object_get(body, name);
    if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

/* The first of the attacks, cut to what fits. */
static bool take_attacks(const json_t *body, fw_version_report *out) {
    const json_t *attacks = json_object_get(body, "attacks");
    if (!json_is_array(attacks)) return false;
    const char *first = json_string_value(json_array_get(attacks, 0));
    if (json_array_size(attacks) > 0 && !first) return false;
    snprintf(out->attack, sizeof out->attack, "%s", first ? first : "");
    return true;
}

static fw_status parse_body(const json_t *body, fw_version_report *out, fw_error *error) {
    const json_t *time_ns = json_object_get(body, "time_ns");
    bool good = take_text(body, "unit", out->unit, sizeof out->unit) &&
                take_text(body, "hardware_id", out->hardware_id, sizeof out->hardware_id) &&
                take_text(body, "target", out->target, sizeof out->target) &&
                take_text(body, "sha256", out->sha256.hex, sizeof out->sha256.hex) &&
                take_text(body, "nonce", out->nonce, sizeof out->nonce) &&
                take_count(body, "release_counter", &out->release_counter) && take_count(body, "tick", &out->tick) &&
                take_attacks(body, out) && json_is_integer(time_ns) &&
                (!*out->sha256.hex || fw_hash_valid(out->sha256.hex));
    if (!good) return fw_fail(error, FW_CORRUPT, "this is no version report");
    out->time_ns = json_integer_value(time_ns);
    return FW_OK;
}

/* One signature, by this key, over the body's canonical bytes. */
static fw_status check_signature(const json_t *whole, const fw_public_key *key, fw_error *error) {
    uint8_t signature[FW_SIGNATURE_MAX];
    const json_t *list = json_object_get(whole, "signatures");
    const char *text = json_string_value(json_object_get(json_array_get(list, 0), "sig"));
    char *message = NULL;
    size_t message_bytes = 0, size = text ? strlen(text) / 2 : 0;
    if (json_array_size(list) != 1 || size == 0 || size > sizeof signature || !fw_hex_read(text, signature, size))
        return fw_fail(error, FW_CORRUPT, "a version report has one signature");
    FW_TRY(fw_canonical_write(json_object_get(whole, "signed"), &message, &message_bytes, error));
    fw_status status = fw_public_key_verify(key, signature, size, message, message_bytes, error);
    free(message);
    return status;
}

fw_status fw_version_report_check(const void *bytes, size_t size_bytes, const fw_public_key *key,
                                  fw_version_report *out, fw_error *error) {
    fw_version_report report = {0};
    json_t *whole = NULL;
    if (size_bytes > FW_VERSION_REPORT_MAX_BYTES)
        return fw_fail(error, FW_TOO_BIG, "a version report of %zu bytes", size_bytes);
    FW_TRY(fw_canonical_read(bytes, size_bytes, &whole, error));
    fw_status status = json_is_object(json_object_get(whole, "signed"))
                           ? check_signature(whole, key, error)
                           : fw_fail(error, FW_CORRUPT, "a version report has a signed part");
    if (status == FW_OK) status = parse_body(json_object_get(whole, "signed"), &report, error);
    json_decref(whole);
    if (status == FW_OK) *out = report;
    return status;
}
