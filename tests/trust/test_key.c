/* Keys: what signs verifies, and nothing else does; what others wrote is read in one form. */
#include "trust/key.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

static const char message[] = "the bytes that are signed";

static fw_public_key *public_of(const fw_private_key *key) {
    fw_public_key *public = NULL;
    assert_int_equal(fw_private_key_public(key, &public, NULL), FW_OK);
    return public;
}

static fw_status read_text(const char *text, fw_public_key **out) {
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    fw_status status = fw_public_key_read(json, out, NULL);
    json_decref(json);
    return status;
}

/* ---- signing and verifying ---- */

static void signs_and_verifies(fw_key_kind kind) {
    fw_private_key *key = NULL, *other = NULL;
    uint8_t signature[FW_SIGNATURE_MAX];
    size_t size = 0;
    assert_int_equal(fw_private_key_make(kind, &key, NULL), FW_OK);
    assert_int_equal(fw_private_key_make(kind, &other, NULL), FW_OK);
    assert_int_equal(fw_private_key_sign(key, message, sizeof message, signature, &size, NULL), FW_OK);
    fw_public_key *public = public_of(key), *stranger = public_of(other);
    assert_int_equal(fw_public_key_verify(public, signature, size, message, sizeof message, NULL), FW_OK);
    assert_int_equal(fw_public_key_verify(stranger, signature, size, message, sizeof message, NULL), FW_MISMATCH);
    assert_int_equal(fw_public_key_verify(public, signature, size, message, sizeof message - 1, NULL), FW_MISMATCH);
    assert_int_equal(fw_public_key_verify(public, signature, size - 1, message, sizeof message, NULL), FW_MISMATCH);
    assert_int_equal(fw_public_key_verify(public, signature, 0, message, sizeof message, NULL), FW_MISMATCH);
    signature[size / 2] ^= 1;
    assert_int_equal(fw_public_key_verify(public, signature, size, message, sizeof message, NULL), FW_MISMATCH);
    fw_public_key_free(public);
    fw_public_key_free(stranger);
    fw_private_key_free(key);
    fw_private_key_free(other);
}

static void test_sign(void **state) {
    (void)state;
    signs_and_verifies(FW_KEY_ED25519);
    signs_and_verifies(FW_KEY_ECDSA_P256);
    fw_private_key *key = NULL;
    assert_int_equal(fw_private_key_make(FW_KEY_RSA_PSS, &key, NULL), FW_UNSUPPORTED);
    assert_null(key);
}

/* RFC 8032, 7.1, test 1: the empty message. */
static void test_ed25519_vector(void **state) {
    (void)state;
    static const uint8_t seed[32] = {0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a,
                                     0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32,
                                     0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60};
    fw_private_key *key = NULL;
    uint8_t signature[FW_SIGNATURE_MAX];
    size_t size = 0;
    assert_int_equal(fw_private_key_of_seed(seed, &key, NULL), FW_OK);
    fw_public_key *public = public_of(key);
    json_t *json = fw_public_key_json(public);
    assert_string_equal(json_string_value(json_object_get(json_object_get(json, "keyval"), "public")),
                        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    json_decref(json);
    assert_int_equal(fw_private_key_sign(key, "", 0, signature, &size, NULL), FW_OK);
    assert_int_equal(size, 64);
    assert_int_equal(signature[0], 0xe5);
    assert_int_equal(signature[63], 0x0b);
    assert_int_equal(fw_public_key_verify(public, signature, size, "", 0, NULL), FW_OK);
    fw_public_key_free(public);
    fw_private_key_free(key);
}

/* ---- RSA, which others sign with ---- */

static json_t *rsa_json(EVP_PKEY *pkey) {
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    assert_int_equal(PEM_write_bio_PUBKEY(bio, pkey), 1);
    long size = BIO_get_mem_data(bio, &text);
    json_t *json = json_pack("{s:s,s:s,s:{s:s%}}", "keytype", "rsa", "scheme", "rsassa-pss-sha256", "keyval", "public",
                             text, (size_t)size);
    BIO_free(bio);
    return json;
}

static size_t rsa_sign(EVP_PKEY *pkey, int padding, int salt, uint8_t *out) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *options = NULL;
    size_t size = FW_SIGNATURE_MAX;
    assert_int_equal(EVP_DigestSignInit(context, &options, EVP_sha256(), NULL, pkey), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(options, padding), 1);
    if (padding == RSA_PKCS1_PSS_PADDING) assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(options, salt), 1);
    assert_int_equal(EVP_DigestSign(context, out, &size, (const uint8_t *)message, sizeof message), 1);
    EVP_MD_CTX_free(context);
    return size;
}

static void test_rsa(void **state) {
    (void)state;
    uint8_t signature[FW_SIGNATURE_MAX];
    EVP_PKEY *pkey = EVP_RSA_gen(2048);
    json_t *json = rsa_json(pkey);
    fw_public_key *key = NULL;
    assert_int_equal(fw_public_key_read(json, &key, NULL), FW_OK);
    size_t size = rsa_sign(pkey, RSA_PKCS1_PSS_PADDING, RSA_PSS_SALTLEN_DIGEST, signature);
    assert_int_equal(fw_public_key_verify(key, signature, size, message, sizeof message, NULL), FW_OK);
    size = rsa_sign(pkey, RSA_PKCS1_PSS_PADDING, RSA_PSS_SALTLEN_MAX, signature);
    assert_int_equal(fw_public_key_verify(key, signature, size, message, sizeof message, NULL), FW_OK);
    size = rsa_sign(pkey, RSA_PKCS1_PADDING, 0, signature);
    assert_int_equal(fw_public_key_verify(key, signature, size, message, sizeof message, NULL), FW_MISMATCH);
    assert_int_equal(fw_public_key_verify(key, signature, 1, message, sizeof message, NULL), FW_MISMATCH);
    fw_public_key_free(key);
    json_object_set_new(json, "scheme", json_string("rsa-pkcs1v15-sha256"));
    assert_int_equal(fw_public_key_read(json, &key, NULL), FW_UNSUPPORTED);
    /* A key of one kind under the name of another. */
    json_object_set_new(json, "keytype", json_string("ecdsa"));
    json_object_set_new(json, "scheme", json_string("ecdsa-sha2-nistp256"));
    assert_int_equal(fw_public_key_read(json, &key, NULL), FW_CORRUPT);
    json_decref(json);
    EVP_PKEY_free(pkey);
    EVP_PKEY *weak = EVP_RSA_gen(1024);
    json_t *small = rsa_json(weak);
    assert_int_equal(fw_public_key_read(small, &key, NULL), FW_CORRUPT);
    json_decref(small);
    EVP_PKEY_free(weak);
}

/* ---- reading ---- */

#define ED25519(text) "{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\",\"keyval\":{\"public\":\"" text "\"}}"
#define ECDSA(type, pem) "{\"keytype\":\"" type "\",\"scheme\":\"ecdsa-sha2-nistp256\",\"keyval\":{\"public\":\"" pem "\"}}"
#define PEM_BEGIN "-----BEGIN PUBLIC KEY-----\\n"
#define PEM_END "-----END PUBLIC KEY-----"
#define HEX32 "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
#define ED25519_CANONICAL "{\"keytype\":\"ed25519\",\"keyval\":{\"public\":\"" HEX32 "\"},\"scheme\":\"ed25519\"}"
/* The generator of P-256, as a point with both coordinates, and compressed. */
#define P256 \
    PEM_BEGIN "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\\n" \
              "6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\\n" PEM_END
#define P256_COMPRESSED \
    PEM_BEGIN "MDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgADaxfR8uEsQkf4vOblY6RA8ncDfYEt\\n6zOg9KE5RdiYwpY=\\n" PEM_END
/* A point of secp256k1. */
#define K256 \
    PEM_BEGIN "MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEeb5mfvncu6xVoGKVzocLBwKb/NstzijZ\\n" \
              "WfKBWxb4F5hIOtp3JqPEZV2k+/wOEQio/Re0SKaFVBmcR9CP+xDUuA==\\n" PEM_END

static void test_read(void **state) {
    (void)state;
    static const struct {
        const char *text;
        fw_status expect;
    } cases[] = {
        {ED25519(HEX32), FW_OK},
        {ED25519("D75A980182B10AB7D54BFED3C964073A0EE172F3DAA62325AF021A68F707511A"), FW_OK},
        {ED25519("d75a"), FW_CORRUPT},
        {ED25519("g75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"), FW_CORRUPT},
        {ED25519("dg5a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"), FW_CORRUPT},
        {ECDSA("ecdsa", P256), FW_OK},
        {ECDSA("ecdsa-sha2-nistp256", P256), FW_OK},
        {ECDSA("ecdsa", P256_COMPRESSED), FW_CORRUPT},
        {ECDSA("ecdsa", K256), FW_CORRUPT},
        {ECDSA("ecdsa", "no PEM"), FW_CORRUPT},
        {ECDSA("ecdsa", PEM_BEGIN "AAAA\\n" PEM_END), FW_CORRUPT},
        {"{\"keytype\":\"ed25519\",\"scheme\":\"ecdsa-sha2-nistp256\",\"keyval\":{\"public\":\"\"}}", FW_UNSUPPORTED},
        {"{\"keytype\":\"sphincs\",\"scheme\":\"sphincs-shake-128s\",\"keyval\":{\"public\":\"\"}}", FW_UNSUPPORTED},
        {"{\"scheme\":\"ed25519\",\"keyval\":{\"public\":\"\"}}", FW_CORRUPT},
        {"{\"keytype\":\"ed25519\",\"keyval\":{\"public\":\"\"}}", FW_CORRUPT},
        {"{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\",\"keyval\":{\"public\":7}}", FW_CORRUPT},
        {"{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\",\"keyval\":7}", FW_CORRUPT},
        {"[]", FW_CORRUPT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fw_public_key *key = NULL;
        if (read_text(cases[i].text, &key) != cases[i].expect) fail_msg("case %zu: %s", i, cases[i].text);
        fw_public_key_free(key);
    }
}

/* Larger than any PEM text that we take. */
static void test_read_long(void **state) {
    (void)state;
    size_t size = FW_KEY_PEM_MAX + 1;
    char *text = malloc(size + 1);
    memset(text, 'A', size);
    text[size] = '\0';
    json_t *json = json_pack("{s:s,s:s,s:{s:s}}", "keytype", "ecdsa", "scheme", "ecdsa-sha2-nistp256", "keyval",
                             "public", text);
    fw_public_key *key = NULL;
    assert_int_equal(fw_public_key_read(json, &key, NULL), FW_CORRUPT);
    json_decref(json);
    free(text);
}

/* One key, however it is written and whatever stands beside it, has one id: SHA-256 of its canonical JSON. */
static void test_id(void **state) {
    (void)state;
    fw_public_key *a = NULL, *b = NULL, *c = NULL;
    assert_int_equal(read_text(ED25519(HEX32), &a), FW_OK);
    assert_int_equal(read_text("{\"more\":1,\"scheme\":\"ed25519\",\"keytype\":\"ed25519\",\"keyval\":{\"public\":"
                               "\"D75A980182B10AB7D54BFED3C964073A0EE172F3DAA62325AF021A68F707511A\"}}", &b), FW_OK);
    assert_int_equal(read_text(ECDSA("ecdsa", P256), &c), FW_OK);
    fw_hash expect = fw_hash_bytes(ED25519_CANONICAL, strlen(ED25519_CANONICAL));
    assert_string_equal(fw_public_key_id(a).hex, expect.hex);
    assert_string_equal(fw_public_key_id(b).hex, expect.hex);
    assert_string_not_equal(fw_public_key_id(c).hex, expect.hex);
    fw_public_key_free(b);
    assert_int_equal(read_text(ECDSA("ecdsa-sha2-nistp256", P256 "\\n\\n"), &b), FW_OK);
    assert_string_equal(fw_public_key_id(b).hex, fw_public_key_id(c).hex);
    fw_public_key_free(a);
    fw_public_key_free(b);
    fw_public_key_free(c);
    fw_public_key_free(NULL);
}

/* ---- files ---- */

static void saves_and_loads(fw_key_kind kind, const char *path) {
    fw_private_key *key = NULL, *again = NULL;
    struct stat info;
    assert_int_equal(fw_private_key_make(kind, &key, NULL), FW_OK);
    assert_int_equal(fw_private_key_save(fw_env_real(), key, path, NULL), FW_OK);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(fw_private_key_save(fw_env_real(), key, path, NULL), FW_EXISTS);
    assert_int_equal(fw_private_key_load(path, &again, NULL), FW_OK);
    fw_public_key *a = public_of(key), *b = public_of(again);
    assert_string_equal(fw_public_key_id(a).hex, fw_public_key_id(b).hex);
    fw_public_key_free(a);
    fw_public_key_free(b);
    fw_private_key_free(key);
    fw_private_key_free(again);
    unlink(path);
}

/* Refused without asking a person for a password. */
static void refuses_encrypted(const char *path) {
    EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    FILE *file = fopen(path, "w");
    fw_private_key *key = NULL;
    assert_int_equal(PEM_write_PKCS8PrivateKey(file, pkey, EVP_aes_256_cbc(), "word", 4, NULL, NULL), 1);
    fclose(file);
    EVP_PKEY_free(pkey);
    assert_int_equal(fw_private_key_load(path, &key, NULL), FW_CORRUPT);
    unlink(path);
}

static void refuses_rsa(const char *path) {
    EVP_PKEY *pkey = EVP_RSA_gen(2048);
    FILE *file = fopen(path, "w");
    fw_private_key *key = NULL;
    assert_int_equal(PEM_write_PKCS8PrivateKey(file, pkey, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
    EVP_PKEY_free(pkey);
    assert_int_equal(fw_private_key_load(path, &key, NULL), FW_UNSUPPORTED);
    unlink(path);
}

static void test_files(void **state) {
    (void)state;
    char folder[] = "/tmp/fw_key_XXXXXX", path[64];
    fw_private_key *key = NULL;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/key.pem", folder);
    assert_int_equal(fw_private_key_load(path, &key, NULL), FW_NOT_FOUND);
    saves_and_loads(FW_KEY_ED25519, path);
    saves_and_loads(FW_KEY_ECDSA_P256, path);
    refuses_encrypted(path);
    refuses_rsa(path);
    assert_int_equal(fw_file_write_durable(fw_env_real(), path, "no key", 6, NULL), FW_OK);
    assert_int_equal(fw_private_key_load(path, &key, NULL), FW_CORRUPT);
    unlink(path);
    rmdir(folder);
    fw_private_key_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sign), cmocka_unit_test(test_ed25519_vector), cmocka_unit_test(test_rsa),
        cmocka_unit_test(test_read), cmocka_unit_test(test_read_long),      cmocka_unit_test(test_id),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
