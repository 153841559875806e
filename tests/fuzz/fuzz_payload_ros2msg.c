/* fuzz_payload_ros2msg - schemas and data of ros2msg (payload_target.h). */
/* links: fw_payload */
#include "payload_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes) {
    fuzz_payload("cdr", "ros2msg", "pkg/msg/T", bytes, size_bytes);
    return 0;
}
