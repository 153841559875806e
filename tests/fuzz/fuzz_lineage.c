/* links: fw_factory */
/* A model's lineage from elsewhere. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/json.h"
#include "factory/registry/lineage.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes) {
    fw_lineage lineage;
    fw_error error;
    fw_json_start();
    if (fw_lineage_read(bytes, size_bytes, &lineage, &error) != FW_OK) return 0;
    if (!fw_hash_valid(lineage.model) || (lineage.trained && !fw_hash_valid(lineage.dataset))) abort();
    return 0;
}
