/* links: fw_factory */
/* What outsiders put before the identities: first byte even, an Authorization header; odd, a
 * certificate request as a file. What is taken for a token holds a token's letters alone, and what
 * is taken for a request gives a key and a name that ends. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "factory/identity/authority.h"
#include "factory/identity/identity.h"

static void check(int good, const char *what) {
    if (good) return;
    fprintf(stderr, "broken: %s\n", what);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes) {
    char token[FW_IDENTITY_TOKEN_MAX], name[64], *text;
    if (size_bytes == 0 || size_bytes > FW_IDENTITY_CSR_MAX_BYTES) return 0;
    text = malloc(size_bytes);
    if (!text) return 0;
    memcpy(text, bytes + 1, size_bytes - 1);
    text[size_bytes - 1] = '\0';
    if (bytes[0] % 2 == 0) {
        if (fw_identity_parse_authorization(text, token))
            check(token[0] && strspn(token, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                            "0123456789_-") == strlen(token),
                  "a token has its letters alone");
    } else {
        EVP_PKEY *key = NULL;
        fw_error error;
        if (fw_authority_read_request(text, &key, name, &error) == FW_OK)
            check(key && memchr(name, '\0', sizeof name), "a request has a key and a name");
        EVP_PKEY_free(key);
    }
    free(text);
    return 0;
}
