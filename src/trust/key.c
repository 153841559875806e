/* key.c - keys over OpenSSL's EVP interface (key.h). */
#include "trust/key.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "trust/canonical.h"

enum { ED25519_BYTES = 32, P256_SPKI_BYTES = 91, RSA_MIN_BITS = 2048, RSA_MAX_BITS = 8 * FW_SIGNATURE_MAX };

struct fw_public_key {
    fw_key_kind kind;
    EVP_PKEY *pkey;
    json_t *json; /* in one form for one key, however it was written: so ids say which keys are the same */
    fw_hash id;
};

struct fw_private_key {
    fw_key_kind kind;
    EVP_PKEY *pkey;
};

/* ---- the kinds ---- */

typedef struct kind_row {
    const char *keytype, *scheme;
    fw_key_kind kind;
} kind_row;

/* The first row of a kind is how we write it. */
static const kind_row kinds[] = {
    {"ed25519", "ed25519", FW_KEY_ED25519},
    {"ecdsa", "ecdsa-sha2-nistp256", FW_KEY_ECDSA_P256},
    {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", FW_KEY_ECDSA_P256},
    {"rsa", "rsassa-pss-sha256", FW_KEY_RSA_PSS},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static const kind_row *row_of_kind(fw_key_kind kind) {
    size_t i = 0;
    while (kinds[i].kind != kind) i++;
    return &kinds[i];
}

static const kind_row *row_of_names(const char *keytype, const char *scheme) {
    for (size_t i = 0; i < KINDS; i++)
        if (!strcmp(kinds[i].keytype, keytype) && !strcmp(kinds[i].scheme, scheme)) return &kinds[i];
    return NULL;
}

/* What OpenSSL made of a key: one of the kinds, with a curve or modulus that we take? A point that is written
 * compressed, or a curve by its parameters, has another length than the one form that we know. */
static bool kind_of_pkey(EVP_PKEY *pkey, fw_key_kind *out) {
    char curve[32] = "";
    switch (EVP_PKEY_get_base_id(pkey)) {
    case EVP_PKEY_ED25519: *out = FW_KEY_ED25519; return true;
    case EVP_PKEY_EC:
        *out = FW_KEY_ECDSA_P256;
        return EVP_PKEY_get_group_name(pkey, curve, sizeof curve, NULL) == 1 && !strcmp(curve, "prime256v1") &&
               i2d_PUBKEY(pkey, NULL) == P256_SPKI_BYTES;
    case EVP_PKEY_RSA:
        *out = FW_KEY_RSA_PSS;
        return EVP_PKEY_get_bits(pkey) >= RSA_MIN_BITS && EVP_PKEY_get_bits(pkey) <= RSA_MAX_BITS;
    default: return false;
    }
}

/* OpenSSL fails for want of memory, or because of what it was given: its queue tells. Emptied. */
static fw_status openssl_failed(fw_error *error, fw_status otherwise, const char *what) {
    bool memory = false;
    for (unsigned long code; (code = ERR_get_error()) != 0;) memory |= ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;
    if (memory) return fw_fail(error, FW_NO_MEMORY, "no memory: %s", what);
    return fw_fail(error, otherwise, "%s", what);
}

/* A PEM text that is encrypted is refused, not asked a person about. */
static int no_password(char *buffer, int size, int writing, void *self) {
    (void)buffer, (void)size, (void)writing, (void)self;
    return -1;
}

/* ---- public keys: reading ---- */

static EVP_PKEY *pkey_of_hex(const char *hex) {
    uint8_t raw[ED25519_BYTES];
    if (!fw_hex_read(hex, raw, sizeof raw)) return NULL;
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, raw, sizeof raw);
}

static EVP_PKEY *pkey_of_pem(const char *pem, size_t size_bytes, bool private) {
    if (size_bytes > FW_KEY_PEM_MAX) return NULL;
    BIO *bio = BIO_new_mem_buf(pem, (int)size_bytes);
    if (!bio) return NULL;
    EVP_PKEY *pkey = private ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL)
                             : PEM_read_bio_PUBKEY(bio, NULL, no_password, NULL);
    BIO_free(bio);
    return pkey;
}

/* ---- public keys: writing ---- */

static json_t *hex_json(const EVP_PKEY *pkey) {
    uint8_t raw[ED25519_BYTES];
    size_t size = sizeof raw;
    char hex[2 * sizeof raw + 1];
    if (EVP_PKEY_get_raw_public_key(pkey, raw, &size) != 1) return NULL;
    for (size_t i = 0; i < size; i++) snprintf(hex + 2 * i, 3, "%02x", raw[i]);
    return json_string(hex);
}

static json_t *pem_json(const EVP_PKEY *pkey) {
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    json_t *json = NULL;
    if (bio && PEM_write_bio_PUBKEY(bio, pkey) == 1) {
        long size = BIO_get_mem_data(bio, &text);
        json = json_stringn(text, (size_t)size);
    }
    BIO_free(bio);
    return json;
}

static json_t *key_json(fw_key_kind kind, const EVP_PKEY *pkey) {
    const kind_row *row = row_of_kind(kind);
    json_t *public = kind == FW_KEY_ED25519 ? hex_json(pkey) : pem_json(pkey);
    return json_pack("{s:s, s:s, s:{s:o}}", "keytype", row->keytype, "scheme", row->scheme, "keyval", "public", public);
}

/* Takes pkey, also when it fails. */
static fw_status public_key_of(fw_key_kind kind, EVP_PKEY *pkey, fw_public_key **out, fw_error *error) {
    char *canonical = NULL;
    size_t size_bytes = 0;
    fw_public_key *key = calloc(1, sizeof *key);
    if (!key) {
        EVP_PKEY_free(pkey);
        return fw_fail(error, FW_NO_MEMORY, "no memory for a key");
    }
    *key = (fw_public_key){.kind = kind, .pkey = pkey, .json = key_json(kind, pkey)};
    fw_status status = fw_canonical_write(key->json, &canonical, &size_bytes, error);
    if (status == FW_OK) status = fw_hash_bytes_try(canonical, size_bytes, &key->id, error);
    free(canonical);
    if (status != FW_OK) {
        fw_public_key_free(key);
        return status;
    }
    *out = key;
    return FW_OK;
}

fw_status fw_public_key_read(const json_t *json, fw_public_key **out, fw_error *error) {
    const char *keytype = json_string_value(json_object_get(json, "keytype"));
    const char *scheme = json_string_value(json_object_get(json, "scheme"));
    const json_t *public = json_object_get(json_object_get(json, "keyval"), "public");
    fw_key_kind kind;
    if (!keytype || !scheme || !json_is_string(public))
        return fw_fail(error, FW_CORRUPT, "a key has keytype, scheme and keyval.public as texts");
    const kind_row *row = row_of_names(keytype, scheme);
    if (!row) return fw_fail(error, FW_UNSUPPORTED, "no key of keytype %.40s with scheme %.40s", keytype, scheme);
    const char *text = json_string_value(public);
    size_t size_bytes = json_string_length(public);
    EVP_PKEY *pkey = row->kind == FW_KEY_ED25519 ? pkey_of_hex(text) : pkey_of_pem(text, size_bytes, false);
    if (!pkey) return openssl_failed(error, FW_CORRUPT, "keyval.public is no public key of that keytype");
    if (!kind_of_pkey(pkey, &kind) || kind != row->kind) {
        EVP_PKEY_free(pkey);
        return openssl_failed(error, FW_CORRUPT, "keyval.public is another kind of key than keytype and scheme say");
    }
    return public_key_of(kind, pkey, out, error);
}

json_t *fw_public_key_json(const fw_public_key *key) { return json_deep_copy(key->json); }

fw_hash fw_public_key_id(const fw_public_key *key) { return key->id; }

void fw_public_key_free(fw_public_key *key) {
    if (!key) return;
    EVP_PKEY_free(key->pkey);
    json_decref(key->json);
    free(key);
}

/* ---- signing and verifying ---- */

/* Ed25519 hashes by itself; the others take SHA-256. */
static const EVP_MD *digest_of(fw_key_kind kind) { return kind == FW_KEY_ED25519 ? NULL : EVP_sha256(); }

/* A PSS signature says by itself how long its salt is; writers differ (digest's length, the longest). */
static bool verifies(const fw_public_key *key, EVP_MD_CTX *context, const void *signature, size_t signature_bytes,
                     const void *message, size_t message_bytes) {
    EVP_PKEY_CTX *options = NULL;
    if (EVP_DigestVerifyInit(context, &options, digest_of(key->kind), NULL, key->pkey) != 1) return false;
    if (key->kind == FW_KEY_RSA_PSS && (EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) != 1 ||
                                        EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_AUTO) != 1))
        return false;
    return EVP_DigestVerify(context, signature, signature_bytes, message, message_bytes) == 1;
}

fw_status fw_public_key_verify(const fw_public_key *key, const void *signature, size_t signature_bytes,
                               const void *message, size_t message_bytes, fw_error *error) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!context) return fw_fail(error, FW_NO_MEMORY, "no memory to check a signature");
    bool good = verifies(key, context, signature, signature_bytes, message, message_bytes);
    EVP_MD_CTX_free(context);
    if (!good) return openssl_failed(error, FW_MISMATCH, "the signature is not of this key and these bytes");
    ERR_clear_error();
    return FW_OK;
}

fw_status fw_private_key_sign(const fw_private_key *key, const void *message, size_t message_bytes, uint8_t *out,
                              size_t *out_bytes, fw_error *error) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t size = FW_SIGNATURE_MAX;
    bool good = context && EVP_DigestSignInit(context, NULL, digest_of(key->kind), NULL, key->pkey) == 1 &&
                EVP_DigestSign(context, out, &size, message, message_bytes) == 1;
    EVP_MD_CTX_free(context);
    if (!good) return openssl_failed(error, FW_NO_MEMORY, "cannot sign");
    *out_bytes = size;
    return FW_OK;
}

/* ---- private keys ---- */

/* Takes pkey, also when it fails; NULL: OpenSSL could not. */
static fw_status private_key_of(EVP_PKEY *pkey, fw_private_key **out, fw_error *error) {
    fw_key_kind kind;
    if (!pkey) return openssl_failed(error, FW_CORRUPT, "no private key that we know");
    if (!kind_of_pkey(pkey, &kind) || kind == FW_KEY_RSA_PSS) {
        EVP_PKEY_free(pkey);
        return fw_fail(error, FW_UNSUPPORTED, "we sign with Ed25519 and ECDSA P-256 keys alone");
    }
    fw_private_key *key = malloc(sizeof *key);
    if (!key) {
        EVP_PKEY_free(pkey);
        return fw_fail(error, FW_NO_MEMORY, "no memory for a key");
    }
    *key = (fw_private_key){.kind = kind, .pkey = pkey};
    *out = key;
    return FW_OK;
}

fw_status fw_private_key_make(fw_key_kind kind, fw_private_key **out, fw_error *error) {
    if (kind == FW_KEY_RSA_PSS) return fw_fail(error, FW_UNSUPPORTED, "RSA keys check signatures; we make none");
    return private_key_of(kind == FW_KEY_ED25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") : EVP_EC_gen("P-256"), out,
                          error);
}

fw_status fw_private_key_of_seed(const uint8_t seed[32], fw_private_key **out, fw_error *error) {
    return private_key_of(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, ED25519_BYTES), out, error);
}

fw_status fw_private_key_load(const char *path, fw_private_key **out, fw_error *error) {
    char *pem = NULL;
    size_t size_bytes = 0;
    FW_TRY(fw_file_read(path, FW_KEY_PEM_MAX, &pem, &size_bytes, error));
    EVP_PKEY *pkey = pkey_of_pem(pem, size_bytes, true);
    OPENSSL_cleanse(pem, size_bytes);
    free(pem);
    return private_key_of(pkey, out, error);
}

fw_status fw_private_key_save(const fw_env *env, const fw_private_key *key, const char *path, fw_error *error) {
    char *pem = NULL;
    fw_status status = FW_OK;
    if (fw_file_exists(path)) return fw_fail(error, FW_EXISTS, "%s is there; a key is never written over", path);
    BIO *bio = BIO_new(BIO_s_secmem());
    if (!bio || PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL, NULL) != 1)
        status = openssl_failed(error, FW_NO_MEMORY, "cannot write a key as PEM");
    if (status == FW_OK) {
        size_t size_bytes = (size_t)BIO_get_mem_data(bio, &pem);
        status = fw_file_write_mode(env, path, pem, size_bytes, 0600, error);
    }
    BIO_free(bio);
    return status;
}

fw_status fw_private_key_public(const fw_private_key *key, fw_public_key **out, fw_error *error) {
    EVP_PKEY_up_ref(key->pkey);
    return public_key_of(key->kind, key->pkey, out, error);
}

void fw_private_key_free(fw_private_key *key) {
    if (!key) return;
    EVP_PKEY_free(key->pkey); /* wipes */
    free(key);
}
