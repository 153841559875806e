/* tuf_digest.c - SHA-256 and SHA-512 side by side (tuf_digest.h). */
#include "trust/tuf_digest.h"

#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { DIGEST_MAX = 64 };

static const struct {
    const char *name;
    size_t size_bytes;
    const EVP_MD *(*kind)(void);
} kinds[FW_TUF_DIGEST_KINDS] = {{"sha256", 32, EVP_sha256}, {"sha512", 64, EVP_sha512}};

fw_tuf_hashes fw_tuf_hashes_of(const json_t *hashes) {
    fw_tuf_hashes out;
    for (int i = 0; i < FW_TUF_DIGEST_KINDS; i++) out.hex[i] = json_string_value(json_object_get(hashes, kinds[i].name));
    return out;
}

bool fw_tuf_digest_form(const char *kind, const char *value) {
    for (int i = 0; i < FW_TUF_DIGEST_KINDS; i++)
        if (!strcmp(kind, kinds[i].name))
            return strlen(value) == 2 * kinds[i].size_bytes && strspn(value, "0123456789abcdef") == strlen(value);
    return true;
}

static void end(fw_tuf_digest *digest) {
    for (int i = 0; i < FW_TUF_DIGEST_KINDS; i++) EVP_MD_CTX_free(digest->state[i]);
}

fw_status fw_tuf_digest_begin(fw_tuf_digest *digest, fw_error *error) {
    bool good = true;
    for (int i = 0; i < FW_TUF_DIGEST_KINDS; i++) {
        digest->state[i] = EVP_MD_CTX_new();
        good = good && digest->state[i] && EVP_DigestInit_ex(digest->state[i], kinds[i].kind(), NULL) == 1;
    }
    if (good) return FW_OK;
    end(digest);
    return fw_fail(error, FW_NO_MEMORY, "no memory for a hash");
}

void fw_tuf_digest_add(fw_tuf_digest *digest, const void *bytes, size_t size_bytes) {
    for (int i = 0; i < FW_TUF_DIGEST_KINDS; i++) EVP_DigestUpdate(digest->state[i], bytes, size_bytes);
}

static void finish(void *state, char hex[2 * DIGEST_MAX + 1]) {
    uint8_t raw[DIGEST_MAX];
    unsigned size = 0;
    EVP_DigestFinal_ex(state, raw, &size);
    for (unsigned i = 0; i < size; i++) snprintf(hex + 2 * i, 3, "%02x", raw[i]);
}

fw_status fw_tuf_digest_end(fw_tuf_digest *digest, const fw_tuf_hashes *expect, const char *name, fw_error *error) {
    const char *wrong = NULL;
    int known = 0;
    for (int i = 0; i < FW_TUF_DIGEST_KINDS; i++) {
        char hex[2 * DIGEST_MAX + 1] = "";
        if (!expect->hex[i]) continue;
        finish(digest->state[i], hex);
        if (strcmp(hex, expect->hex[i]) != 0) wrong = kinds[i].name;
        known++;
    }
    end(digest);
    if (wrong) return fw_fail(error, FW_MISMATCH, "%.80s has another %s than was signed", name, wrong);
    if (known == 0) return fw_fail(error, FW_UNSUPPORTED, "no hash of %.80s is of a kind that we know", name);
    return FW_OK;
}
