/* links: fw_driving_act */
/* A model's self-test from outside: read, and answered by a rule. */
#include <stddef.h>
#include <stdint.h>

#include "lines/driving/act/self_test.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes) {
    static const fw_policy rule = {.kind = FW_POLICY_IDM};
    fw_error error;
    (void)!fw_drive_self_test_check(&rule, bytes, size_bytes, &error);
    return 0;
}
