/* links: fw_trust */
/* Envelopes and bundles: whatever comes, nothing breaks, and a payload that holds is the one that was signed. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trust/dsse.h"

static fw_public_key *key;

static void make_key(void) {
    static const uint8_t seed[32] = "flywheel fuzz_dsse, a key of it.";
    fw_private_key *half = NULL;
    if (fw_private_key_of_seed(seed, &half, NULL) != FW_OK || fw_private_key_public(half, &key, NULL) != FW_OK) abort();
    fw_private_key_free(half);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes) {
    char *payload = NULL;
    size_t payload_bytes = 0;
    fw_error error = {""};
    if (!key) make_key();
    fw_status status = fw_dsse_check(bytes, size_bytes, FW_DSSE_IN_TOTO, key, &payload, &payload_bytes, &error);
    if (status == FW_OK && (payload_bytes != 7 || memcmp(payload, "{\"x\":1}", 7) != 0)) abort();
    if (status != FW_OK && (payload || !error.text[0])) abort();
    free(payload);
    return 0;
}
