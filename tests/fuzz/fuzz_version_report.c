/* links: fw_trust */
/* What units send as version reports: whatever comes, nothing breaks, and nothing holds that the key did not sign. The
 * key's other half is known to nobody here but the corpus: what is taken has the unit that was signed. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trust/uptane.h"

static fw_public_key *key;

static void make_key(void) {
    static const uint8_t seed[32] = "flywheel fuzz_version_report key";
    fw_private_key *half = NULL;
    if (fw_private_key_of_seed(seed, &half, NULL) != FW_OK || fw_private_key_public(half, &key, NULL) != FW_OK) abort();
    fw_private_key_free(half);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes) {
    fw_version_report report;
    fw_error error = {""};
    if (!key) make_key();
    memset(&report, 0xaa, sizeof report);
    fw_status status = fw_version_report_check(bytes, size_bytes, key, &report, &error);
    if (status == FW_OK && strcmp(report.unit, "7") != 0) abort(); /* the corpus signs for unit 7 alone */
    if (status != FW_OK && (!error.text[0] || (uint8_t)report.unit[0] != 0xaa)) abort();
    return 0;
}
