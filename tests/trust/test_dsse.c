/* Envelopes and model statements: round trips, foreign keys, every bit flipped, the published example. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trust/canonical.h"
#include "trust/dsse.h"

static fw_private_key *private_key(uint8_t fill, fw_key_kind kind) {
    uint8_t seed[32];
    fw_private_key *key = NULL;
    memset(seed, fill, sizeof seed);
    if (kind == FW_KEY_ED25519) assert_int_equal(fw_private_key_of_seed(seed, &key, NULL), FW_OK);
    else assert_int_equal(fw_private_key_make(kind, &key, NULL), FW_OK);
    return key;
}

static fw_public_key *public_key(const fw_private_key *key) {
    fw_public_key *half = NULL;
    assert_int_equal(fw_private_key_public(key, &half, NULL), FW_OK);
    return half;
}

static void an_envelope_comes_back(void **state) {
    (void)state;
    const fw_key_kind kinds[] = {FW_KEY_ED25519, FW_KEY_ECDSA_P256};
    for (size_t k = 0; k < 2; k++)
        for (size_t size = 0; size < 70; size++) {
            fw_private_key *key = private_key(7, kinds[k]);
            fw_public_key *half = public_key(key);
            char payload[70], *text = NULL, *back = NULL;
            size_t back_size = 99;
            for (size_t i = 0; i < size; i++) payload[i] = (char)(i * 37 + size);
            assert_int_equal(fw_dsse_sign("a/b", payload, size, key, &text, NULL), FW_OK);
            assert_int_equal(fw_dsse_check(text, strlen(text), "a/b", half, &back, &back_size, NULL), FW_OK);
            assert_int_equal(back_size, size);
            assert_memory_equal(back, payload, size);
            assert_int_equal(back[size], 0);
            free(back);
            free(text);
            fw_public_key_free(half);
            fw_private_key_free(key);
        }
}

/* The protocol's own example of what is signed: "DSSEv1 29 http://example.com/HelloWorld 11 hello world". */
static void what_is_signed_is_as_published(void **state) {
    (void)state;
    static const char message[] = "DSSEv1 29 http://example.com/HelloWorld 11 hello world";
    fw_private_key *key = private_key(1, FW_KEY_ED25519);
    fw_public_key *half = public_key(key);
    char *text = NULL;
    assert_int_equal(fw_dsse_sign("http://example.com/HelloWorld", "hello world", 11, key, &text, NULL), FW_OK);
    json_t *json = json_loads(text, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(json, "payload")), "aGVsbG8gd29ybGQ=");
    uint8_t signature[FW_SIGNATURE_MAX];
    size_t size = 0;
    assert_int_equal(fw_private_key_sign(key, message, strlen(message), signature, &size, NULL), FW_OK);
    /* Ed25519 is deterministic: the same bytes signed give the same signature */
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *sig = json_string_value(json_object_get(json_array_get(json_object_get(json, "signatures"), 0), "sig"));
    for (size_t i = 0; i + 2 < size; i += 3) {
        unsigned three = (unsigned)signature[i] << 16 | (unsigned)signature[i + 1] << 8 | signature[i + 2];
        for (unsigned k = 0; k < 4; k++) assert_int_equal(sig[i / 3 * 4 + k], digits[three >> (18 - 6 * k) & 63]);
    }
    json_decref(json);
    free(text);
    fw_public_key_free(half);
    fw_private_key_free(key);
}

static void another_key_or_type_is_refused(void **state) {
    (void)state;
    fw_private_key *key = private_key(1, FW_KEY_ED25519), *other = private_key(2, FW_KEY_ED25519);
    fw_public_key *half = public_key(key), *other_half = public_key(other);
    char *text = NULL, *back = NULL;
    size_t size = 0;
    fw_error error;
    assert_int_equal(fw_dsse_sign("a/b", "xyz", 3, key, &text, NULL), FW_OK);
    assert_int_equal(fw_dsse_check(text, strlen(text), "a/b", other_half, &back, &size, &error), FW_MISMATCH);
    assert_int_equal(fw_dsse_check(text, strlen(text), "a/c", half, &back, &size, &error), FW_MISMATCH);
    assert_null(back);
    free(text);
    fw_public_key_free(half);
    fw_public_key_free(other_half);
    fw_private_key_free(key);
    fw_private_key_free(other);
}

/* Whatever bit of the text is flipped: refused, or the very same payload (key ids are names alone). */
static void a_flipped_bit_changes_nothing(void **state) {
    (void)state;
    fw_private_key *key = private_key(3, FW_KEY_ED25519);
    fw_public_key *half = public_key(key);
    char *text = NULL;
    assert_int_equal(fw_dsse_sign("a/b", "{\"x\":1}", 7, key, &text, NULL), FW_OK);
    size_t length = strlen(text), good = 0;
    for (size_t bit = 0; bit < 8 * length; bit++) {
        char *back = NULL;
        size_t size = 0;
        text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
        if (fw_dsse_check(text, length, "a/b", half, &back, &size, NULL) == FW_OK) {
            assert_int_equal(size, 7);
            assert_memory_equal(back, "{\"x\":1}", 7);
            good++;
        }
        free(back);
        text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
    }
    assert_true(good < 8 * (64 + 10)); /* within the key id, and the names around it */
    free(text);
    fw_public_key_free(half);
    fw_private_key_free(key);
}

static void broken_envelopes(void **state) {
    (void)state;
    static const char *const texts[] = {
        "", "[]", "{}", "{\"payloadType\":\"a/b\"}", "{\"payloadType\":\"a/b\",\"payload\":\"!\",\"signatures\":[]}",
        "{\"payloadType\":\"a/b\",\"payload\":\"QQ==\",\"signatures\":[]}",
        "{\"payloadType\":\"a/b\",\"payload\":\"QQ==\",\"signatures\":{}}",
        "{\"payloadType\":\"a/b\",\"payload\":\"QQ=\",\"signatures\":[{\"sig\":\"QQ==\"}]}",
        "{\"payloadType\":\"a/b\",\"payload\":\"Q===\",\"signatures\":[{\"sig\":\"QQ==\"}]}",
        "{\"payloadType\":\"a/b\",\"payload\":7,\"signatures\":[{\"sig\":\"QQ==\"}]}"};
    fw_private_key *key = private_key(3, FW_KEY_ED25519);
    fw_public_key *half = public_key(key);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char *back = NULL;
        size_t size = 0;
        fw_error error = {""};
        assert_int_equal(fw_dsse_check(texts[i], strlen(texts[i]), "a/b", half, &back, &size, &error), FW_CORRUPT);
        assert_true(error.text[0]);
    }
    fw_public_key_free(half);
    fw_private_key_free(key);
}

/* Two files, "b" and "a": by name, and the subject is the hash of their raw digests. */
static void a_models_statement(void **state) {
    (void)state;
    const fw_dsse_file files[2] = {{"b", fw_hash_bytes("2", 1)}, {"a", fw_hash_bytes("1", 1)}};
    json_t *more = json_pack("{s:s,s:s}", "lineage", "L", "resources", "never over ours");
    char *text = NULL;
    size_t size = 0;
    assert_int_equal(fw_dsse_model("m", files, 2, more, &text, &size, NULL), FW_OK);
    json_t *json = json_loads(text, 0, NULL);
    const json_t *predicate = json_object_get(json, "predicate"), *resources = json_object_get(predicate, "resources");
    assert_string_equal(json_string_value(json_object_get(json, "_type")), "https://in-toto.io/Statement/v1");
    assert_string_equal(json_string_value(json_object_get(json, "predicateType")), FW_MODEL_SIGNING);
    assert_int_equal(json_array_size(resources), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(resources, 0), "name")), "a");
    assert_string_equal(json_string_value(json_object_get(json_array_get(resources, 1), "digest")), files[0].sha256.hex);
    assert_string_equal(json_string_value(json_object_get(predicate, "lineage")), "L");
    /* printf 1 | sha256sum ... | xxd -r -p | sha256sum */
    assert_string_equal(json_string_value(json_object_get(
                            json_object_get(json_array_get(json_object_get(json, "subject"), 0), "digest"), "sha256")),
                        "4295f72eeb1e3507b8461e240e3b8d18c1e7bd2f1122b11fc9ec40a65894031a");
    json_decref(json);
    json_decref(more);
    free(text);
    assert_int_equal(fw_dsse_model("m", files, 0, NULL, &text, &size, NULL), FW_INVALID);
}

static void a_bundle_is_checked_like_its_envelope(void **state) {
    (void)state;
    fw_private_key *key = private_key(0, FW_KEY_ECDSA_P256);
    fw_public_key *half = public_key(key);
    char *envelope = NULL, *bundle = NULL, *back = NULL;
    size_t size = 0;
    assert_int_equal(fw_dsse_sign(FW_DSSE_IN_TOTO, "{}", 2, key, &envelope, NULL), FW_OK);
    assert_int_equal(fw_dsse_bundle(envelope, half, &bundle, NULL), FW_OK);
    assert_non_null(strstr(bundle, "application/vnd.dev.sigstore.bundle.v0.3+json"));
    assert_int_equal(fw_dsse_check(bundle, strlen(bundle), FW_DSSE_IN_TOTO, half, &back, &size, NULL), FW_OK);
    assert_string_equal(back, "{}");
    free(back);
    free(bundle);
    free(envelope);
    fw_public_key_free(half);
    fw_private_key_free(key);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_envelope_comes_back),
        cmocka_unit_test(what_is_signed_is_as_published),
        cmocka_unit_test(another_key_or_type_is_refused),
        cmocka_unit_test(a_flipped_bit_changes_nothing),
        cmocka_unit_test(broken_envelopes),
        cmocka_unit_test(a_models_statement),
        cmocka_unit_test(a_bundle_is_checked_like_its_envelope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
