/* sign.c - bodies signed (sign.h). */
#include "trust/sign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "trust/canonical.h"

void fw_sign_time(int64_t time_s, char out[FW_SIGN_TIME_MAX]) {
    const int64_t last_s = 253402300799; /* the end of the year 9999 */
    time_t t = (time_t)(time_s < 0 ? 0 : time_s > last_s ? last_s : time_s);
    struct tm parts;
    gmtime_r(&t, &parts);
    strftime(out, FW_SIGN_TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

fw_status fw_sign_key_id(const fw_private_key *key, fw_hash *id, fw_error *error) {
    fw_public_key *public_half = NULL;
    FW_TRY(fw_private_key_public(key, &public_half, error));
    *id = fw_public_key_id(public_half);
    fw_public_key_free(public_half);
    return FW_OK;
}

static void to_hex(const uint8_t *bytes, size_t size_bytes, char *out) {
    for (size_t i = 0; i < size_bytes; i++) snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

/* One more {"keyid","sig"} over the message. */
static fw_status add_signature(json_t *list, const fw_private_key *key, const char *message, size_t message_bytes,
                               fw_error *error) {
    uint8_t signature[FW_SIGNATURE_MAX];
    char hex[2 * FW_SIGNATURE_MAX + 1];
    size_t size = 0;
    fw_hash id;
    FW_TRY(fw_sign_key_id(key, &id, error));
    FW_TRY(fw_private_key_sign(key, message, message_bytes, signature, &size, error));
    to_hex(signature, size, hex);
    if (json_array_append_new(list, json_pack("{s:s,s:s}", "keyid", id.hex, "sig", hex)) != 0)
        return fw_fail(error, FW_NO_MEMORY, "no memory for a signature");
    return FW_OK;
}

fw_status fw_sign_metadata(const json_t *body, const fw_private_key *const *keys, size_t count, char **out,
                           size_t *size_bytes, fw_error *error) {
    char *message = NULL, *text = NULL;
    size_t message_bytes = 0;
    json_t *signatures = json_array();
    fw_status status = fw_canonical_write(body, &message, &message_bytes, error);
    for (size_t i = 0; i < count && status == FW_OK; i++)
        status = add_signature(signatures, keys[i], message, message_bytes, error);
    free(message);
    if (status == FW_OK) {
        json_t *whole = json_pack("{s:O,s:O}", "signatures", signatures, "signed", body);
        text = json_dumps(whole, JSON_COMPACT | JSON_SORT_KEYS);
        json_decref(whole);
        if (!text) status = fw_fail(error, FW_NO_MEMORY, "no memory for signed metadata");
    }
    json_decref(signatures);
    if (status != FW_OK) return status;
    *out = text;
    *size_bytes = strlen(text);
    return FW_OK;
}
