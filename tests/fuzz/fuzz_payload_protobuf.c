/* fuzz_payload_protobuf - schemas and data of protobuf (payload_target.h). */
/* links: fw_payload */
#include "payload_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes) {
    fuzz_payload("protobuf", "protobuf", "R", bytes, size_bytes);
    return 0;
}
