/* metadata.c - signed files of TUF: reading, signatures, hashes (metadata.h). */
#include "trust/metadata.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "trust/canonical.h"
#include "trust/key.h"
#include "trust/metadata_form.h"
#include "trust/tuf_digest.h"

/* ---- reading ---- */

/* What the four types have in common, and the form of each. */
static fw_status take_content(fw_tuf_role type, fw_metadata *m, fw_error *error) {
    const char *expires = json_string_value(json_object_get(m->content, "expires"));
    const char *spec = json_string_value(json_object_get(m->content, "spec_version"));
    const char *text = json_string_value(json_object_get(m->content, "_type"));
    if (!text || strcmp(text, fw_tuf_role_text(type)) != 0)
        return fw_fail(error, FW_CORRUPT, "is no %s metadata but %.20s", fw_tuf_role_text(type), text ? text : "nothing");
    if (!spec) return fw_fail(error, FW_CORRUPT, "no spec_version");
    if (strncmp(spec, "1.", 2) != 0)
        return fw_fail(error, FW_UNSUPPORTED, "written for version %.20s of the specification, we know 1", spec);
    if (!fw_metadata_form_version(json_object_get(m->content, "version"), &m->version))
        return fw_fail(error, FW_CORRUPT, "version is no positive whole number");
    if (!expires || !fw_tuf_time_read(expires, &m->expires_s))
        return fw_fail(error, FW_CORRUPT, "expires is no time");
    return fw_metadata_form(type, m->content, error);
}

/* {keyid: sig} of the list: a key id that stands twice is refused. */
static fw_status take_signatures(fw_metadata *m, fw_error *error) {
    const json_t *list = json_object_get(m->whole, "signatures"), *entry;
    size_t i;
    if (!json_is_array(list)) return fw_fail(error, FW_CORRUPT, "no signatures");
    json_array_foreach(list, i, entry) {
        const char *id = json_string_value(json_object_get(entry, "keyid"));
        json_t *sig = json_object_get(entry, "sig");
        if (!id || !json_is_string(sig)) return fw_fail(error, FW_CORRUPT, "a signature has keyid and sig as texts");
        if (json_object_get(m->signatures, id)) return fw_fail(error, FW_CORRUPT, "key %.70s signs twice", id);
        if (json_object_set(m->signatures, id, sig) != 0) return fw_fail(error, FW_NO_MEMORY, "no memory for metadata");
    }
    return FW_OK;
}

static fw_status take(fw_tuf_role type, const void *bytes, size_t size_bytes, fw_metadata *m, fw_error *error) {
    m->bytes = malloc(size_bytes + 1);
    m->signatures = json_object();
    if (!m->bytes || !m->signatures) return fw_fail(error, FW_NO_MEMORY, "no memory for metadata");
    memcpy(m->bytes, bytes, size_bytes);
    m->bytes[size_bytes] = '\0';
    m->size_bytes = size_bytes;
    FW_TRY(fw_canonical_read(bytes, size_bytes, &m->whole, error));
    m->content = json_object_get(m->whole, "signed");
    if (!json_is_object(m->content)) return fw_fail(error, FW_CORRUPT, "nothing signed");
    FW_TRY(take_signatures(m, error));
    FW_TRY(take_content(type, m, error));
    fw_status status = fw_canonical_write(m->content, &m->canonical, &m->canonical_bytes, error);
    return status == FW_INVALID ? FW_CORRUPT : status; /* a number with a fraction */
}

fw_status fw_metadata_read(fw_tuf_role type, const void *bytes, size_t size_bytes, fw_metadata **out, fw_error *error) {
    fw_metadata *m = calloc(1, sizeof *m);
    if (!m) return fw_fail(error, FW_NO_MEMORY, "no memory for metadata");
    fw_status status = take(type, bytes, size_bytes, m, error);
    if (status != FW_OK) {
        fw_metadata_free(m);
        return status;
    }
    *out = m;
    return FW_OK;
}

void fw_metadata_free(fw_metadata *m) {
    if (!m) return;
    json_decref(m->whole);
    json_decref(m->signatures);
    free(m->bytes);
    free(m->canonical);
    free(m);
}

/* ---- signatures ---- */

/* 0: no signature in hex. */
static size_t signature_bytes(const char *hex, uint8_t out[FW_SIGNATURE_MAX]) {
    size_t size_bytes = strlen(hex) / 2;
    return size_bytes <= FW_SIGNATURE_MAX && fw_hex_read(hex, out, size_bytes) ? size_bytes : 0;
}

/* Adds the key to `good` when it signed: keys are told apart by what they are, not by what they are called. A key
 * or a signature that cannot be read is no failure; it does not count. */
static fw_status count_key(const fw_metadata *m, const json_t *key_json, const char *sig, json_t *good, fw_error *error) {
    uint8_t signature[FW_SIGNATURE_MAX];
    fw_public_key *key = NULL;
    size_t size_bytes = signature_bytes(sig, signature);
    if (size_bytes == 0) return FW_OK;
    fw_status status = fw_public_key_read(key_json, &key, error);
    if (status == FW_OK) {
        status = fw_public_key_verify(key, signature, size_bytes, m->canonical, m->canonical_bytes, error);
        if (status == FW_OK && json_object_set_new(good, fw_public_key_id(key).hex, json_true()) != 0)
            status = FW_NO_MEMORY;
        fw_public_key_free(key);
    }
    return status == FW_NO_MEMORY ? status : FW_OK;
}

fw_status fw_metadata_verify(const fw_metadata *m, const json_t *keys, const json_t *role, const char *name,
                             fw_error *error) {
    const json_t *ids = json_object_get(role, "keyids"), *id;
    size_t threshold = (size_t)json_integer_value(json_object_get(role, "threshold")), i, count;
    json_t *good = json_object();
    fw_status status = good ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory to check signatures");
    json_array_foreach(ids, i, id) {
        const json_t *key = json_object_get(keys, json_string_value(id));
        const char *sig = json_string_value(json_object_get(m->signatures, json_string_value(id)));
        if (status == FW_OK && key && sig) status = count_key(m, key, sig, good, error);
    }
    count = json_object_size(good);
    json_decref(good);
    if (status == FW_OK && count < threshold)
        return fw_fail(error, FW_MISMATCH, "%.80s is signed by %zu of its keys, %zu must sign", name, count, threshold);
    return status;
}

static const json_t *role_of(const fw_metadata *root, fw_tuf_role role) {
    return json_object_get(json_object_get(root->content, "roles"), fw_tuf_role_text(role));
}

static const json_t *keys_of(const fw_metadata *root) { return json_object_get(root->content, "keys"); }

fw_status fw_metadata_verify_role(const fw_metadata *m, const fw_metadata *root, fw_tuf_role role, fw_error *error) {
    return fw_metadata_verify(m, keys_of(root), role_of(root, role), fw_tuf_role_text(role), error);
}

static bool has_key(const fw_metadata *root, const json_t *role, const json_t *key) {
    const json_t *id;
    size_t i;
    json_array_foreach(json_object_get(role, "keyids"), i, id)
        if (json_equal(json_object_get(keys_of(root), json_string_value(id)), key)) return true;
    return false;
}

bool fw_metadata_rotated(const fw_metadata *before, const fw_metadata *after, fw_tuf_role role) {
    const json_t *old = role_of(before, role), *fresh = role_of(after, role), *id;
    size_t i;
    json_array_foreach(json_object_get(old, "keyids"), i, id) {
        const json_t *key = json_object_get(keys_of(before), json_string_value(id));
        if (key && !has_key(after, fresh, key)) return true;
    }
    return false;
}

/* ---- hashes ---- */

fw_status fw_metadata_check_file(const json_t *said, const void *bytes, size_t size_bytes, const char *name,
                                 fw_error *error) {
    const json_t *length = json_object_get(said, "length");
    if (length && (size_t)json_integer_value(length) != size_bytes)
        return fw_fail(error, FW_MISMATCH, "%.80s has %zu bytes, %lld were signed", name, size_bytes,
                       (long long)json_integer_value(length));
    if (!json_object_get(said, "hashes")) return FW_OK;
    fw_tuf_hashes hashes = fw_tuf_hashes_of(json_object_get(said, "hashes"));
    fw_tuf_digest digest;
    FW_TRY(fw_tuf_digest_begin(&digest, error));
    fw_tuf_digest_add(&digest, bytes, size_bytes);
    return fw_tuf_digest_end(&digest, &hashes, name, error);
}
