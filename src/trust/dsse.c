/* dsse.c - envelopes, model statements, bundles (dsse.h). */
#include "trust/dsse.h"

#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trust/canonical.h"

enum { TYPE_MAX = 200 };

static fw_status no_memory(fw_error *error) { return fw_fail(error, FW_NO_MEMORY, "no memory for an envelope"); }

/* ---- base64, RFC 4648, with padding ---- */

static char *base64_of(const void *bytes, size_t size_bytes) {
    char *text = malloc(4 * ((size_bytes + 2) / 3) + 1);
    if (text) EVP_EncodeBlock((unsigned char *)text, bytes, (int)size_bytes);
    return text;
}

/* Malloc'd with a 0 behind it; NULL: no base64 (or no memory, then *short_of is set). */
static uint8_t *base64_read(const char *text, size_t *size_bytes, bool *short_of) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t size = strlen(text), signs = strspn(text, alphabet), padding = size - signs;
    if (size % 4 != 0 || padding > 2 || strspn(text + signs, "=") != padding) return NULL;
    uint8_t *bytes = malloc(size / 4 * 3 + 1);
    if (!bytes) {
        *short_of = true;
        return NULL;
    }
    int got = EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)size);
    if (got < 0) {
        free(bytes);
        return NULL;
    }
    *size_bytes = (size_t)got - padding;
    bytes[*size_bytes] = 0;
    return bytes;
}

/* ---- envelopes ---- */

/* "DSSEv1 SP LEN(type) SP type SP LEN(payload) SP payload"; malloc'd. */
static char *pre_authentication(const char *type, const void *payload, size_t payload_bytes, size_t *size_bytes) {
    char head[TYPE_MAX + 64];
    int used = snprintf(head, sizeof head, "DSSEv1 %zu %s %zu ", strlen(type), type, payload_bytes);
    FW_ASSERT(used > 0 && (size_t)used < sizeof head);
    char *bytes = malloc((size_t)used + payload_bytes + 1);
    if (!bytes) return NULL;
    memcpy(bytes, head, (size_t)used);
    if (payload_bytes) memcpy(bytes + used, payload, payload_bytes);
    *size_bytes = (size_t)used + payload_bytes;
    return bytes;
}

static fw_status key_id(const fw_private_key *key, fw_hash *id, fw_error *error) {
    fw_public_key *public_half = NULL;
    FW_TRY(fw_private_key_public(key, &public_half, error));
    *id = fw_public_key_id(public_half);
    fw_public_key_free(public_half);
    return FW_OK;
}

fw_status fw_dsse_sign(const char *type, const void *payload, size_t payload_bytes, const fw_private_key *key,
                       char **out, fw_error *error) {
    uint8_t signature[FW_SIGNATURE_MAX];
    size_t size = 0, signature_bytes = 0;
    fw_hash id;
    if (strlen(type) > TYPE_MAX || payload_bytes > FW_DSSE_MAX_BYTES)
        return fw_fail(error, FW_TOO_BIG, "a payload of %zu bytes; the limit is %d", payload_bytes, FW_DSSE_MAX_BYTES);
    FW_TRY(key_id(key, &id, error));
    char *message = pre_authentication(type, payload, payload_bytes, &size);
    if (!message) return no_memory(error);
    fw_status status = fw_private_key_sign(key, message, size, signature, &signature_bytes, error);
    free(message);
    if (status != FW_OK) return status;
    char *body = base64_of(payload, payload_bytes), *sig = base64_of(signature, signature_bytes);
    json_t *json = body && sig ? json_pack("{s:s,s:s,s:[{s:s,s:s}]}", "payloadType", type, "payload", body,
                                           "signatures", "keyid", id.hex, "sig", sig)
                               : NULL;
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    free(body);
    free(sig);
    if (!text) return no_memory(error);
    *out = text;
    return FW_OK;
}

/* Whatever the key id says: a name is no proof, and may be missing. */
static fw_status one_holds(const json_t *signatures, const fw_public_key *key, const char *message, size_t size_bytes,
                           fw_error *error) {
    size_t count = json_array_size(signatures);
    if (count == 0 || count > FW_DSSE_SIGNATURES_MAX)
        return fw_fail(error, FW_CORRUPT, "an envelope has 1 to %d signatures", FW_DSSE_SIGNATURES_MAX);
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_object_get(json_array_get(signatures, i), "sig"));
        size_t used = 0;
        bool short_of = false;
        uint8_t *signature = text ? base64_read(text, &used, &short_of) : NULL;
        if (short_of) return no_memory(error);
        if (!signature) continue;
        fw_status status = fw_public_key_verify(key, signature, used, message, size_bytes, error);
        free(signature);
        if (status != FW_MISMATCH) return status;
    }
    return fw_fail(error, FW_MISMATCH, "no signature of this key holds");
}

static fw_status check_envelope(const json_t *envelope, const char *type, const fw_public_key *key, char **payload,
                                size_t *payload_bytes, fw_error *error) {
    const char *stated = json_string_value(json_object_get(envelope, "payloadType"));
    const char *text = json_string_value(json_object_get(envelope, "payload"));
    size_t used = 0, size = 0;
    bool short_of = false;
    if (!stated || !text) return fw_fail(error, FW_CORRUPT, "an envelope has payloadType, payload and signatures");
    if (strcmp(stated, type) != 0) return fw_fail(error, FW_MISMATCH, "the envelope holds %.80s, not %s", stated, type);
    uint8_t *bytes = base64_read(text, &used, &short_of);
    if (!bytes) return short_of ? no_memory(error) : fw_fail(error, FW_CORRUPT, "the payload is no base64");
    char *message = pre_authentication(type, bytes, used, &size);
    fw_status status = message ? one_holds(json_object_get(envelope, "signatures"), key, message, size, error)
                               : no_memory(error);
    free(message);
    if (status != FW_OK) {
        free(bytes);
        return status;
    }
    *payload = (char *)bytes;
    *payload_bytes = used;
    return FW_OK;
}

fw_status fw_dsse_check(const void *bytes, size_t size_bytes, const char *payload_type, const fw_public_key *key,
                        char **payload, size_t *payload_bytes, fw_error *error) {
    json_t *json = NULL;
    if (size_bytes > 2 * (size_t)FW_DSSE_MAX_BYTES)
        return fw_fail(error, FW_TOO_BIG, "an envelope of %zu bytes", size_bytes);
    FW_ASSERT(strlen(payload_type) <= TYPE_MAX);
    FW_TRY(fw_canonical_read(bytes, size_bytes, &json, error));
    const json_t *inner = json_object_get(json, "dsseEnvelope");
    fw_status status = check_envelope(inner ? inner : json, payload_type, key, payload, payload_bytes, error);
    json_decref(json);
    return status;
}

/* ---- models ---- */

static int by_name(const void *a, const void *b) {
    return strcmp(((const fw_dsse_file *)a)->name, ((const fw_dsse_file *)b)->name);
}

/* The files' raw digests one after another, hashed. */
static fw_hash root_digest(const fw_dsse_file *files, size_t count) {
    uint8_t raw[FW_DSSE_FILES_MAX * 32];
    for (size_t i = 0; i < count; i++) FW_ASSERT(fw_hex_read(files[i].sha256.hex, raw + 32 * i, 32));
    return fw_hash_bytes(raw, 32 * count);
}

static json_t *resources_of(const fw_dsse_file *files, size_t count) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:s,s:s,s:s}", "name", files[i].name, "algorithm", "sha256", "digest",
                                              files[i].sha256.hex));
    return list;
}

fw_status fw_dsse_model(const char *name, const fw_dsse_file *files, size_t count, const json_t *more, char **out,
                        size_t *out_bytes, fw_error *error) {
    fw_dsse_file sorted[FW_DSSE_FILES_MAX];
    if (count == 0 || count > FW_DSSE_FILES_MAX)
        return fw_fail(error, FW_INVALID, "a model has 1 to %d files", FW_DSSE_FILES_MAX);
    for (size_t i = 0; i < count; i++) {
        if (!fw_hash_valid(files[i].sha256.hex)) return fw_fail(error, FW_INVALID, "a file without its SHA-256");
        sorted[i] = files[i];
    }
    qsort(sorted, count, sizeof *sorted, by_name);
    fw_hash root = root_digest(sorted, count);
    json_t *predicate = json_pack("{s:{s:s,s:s,s:b,s:[]}}", "serialization", "method", "files", "hash_type", "sha256",
                                  "allow_symlinks", 0, "ignore_paths");
    if (predicate && more) json_object_update(predicate, (json_t *)(uintptr_t)more);
    if (predicate) json_object_set_new(predicate, "resources", resources_of(sorted, count)); /* always our own */
    json_t *statement = json_pack("{s:s,s:[{s:s,s:{s:s}}],s:s,s:o}", "_type", FW_STATEMENT_TYPE, "subject", "name",
                                  name, "digest", "sha256", root.hex, "predicateType", FW_MODEL_SIGNING, "predicate",
                                  predicate);
    char *text = statement ? json_dumps(statement, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(statement);
    if (!text) return no_memory(error);
    *out = text;
    *out_bytes = strlen(text);
    return FW_OK;
}

/* Verifiers know a key by the SHA-256 of its PEM text. */
static fw_hash hint_of(const fw_public_key *key) {
    json_t *json = fw_public_key_json(key);
    const char *text = json_string_value(json_object_get(json_object_get(json, "keyval"), "public"));
    fw_hash hint = text ? fw_hash_bytes(text, strlen(text)) : (fw_hash){""};
    json_decref(json);
    return hint;
}

fw_status fw_dsse_bundle(const char *envelope, const fw_public_key *key, char **out, fw_error *error) {
    json_t *inner = NULL;
    FW_TRY(fw_canonical_read(envelope, strlen(envelope), &inner, error));
    fw_hash hint = hint_of(key);
    json_t *bundle = json_pack("{s:s,s:{s:{s:s},s:[]},s:o}", "mediaType", FW_SIGSTORE_BUNDLE, "verificationMaterial",
                               "publicKey", "hint", hint.hex, "tlogEntries", "dsseEnvelope", inner);
    char *text = bundle ? json_dumps(bundle, JSON_COMPACT) : NULL;
    json_decref(bundle);
    if (!text) return no_memory(error);
    *out = text;
    return FW_OK;
}
