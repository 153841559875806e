/* links: fw_factory */
/* A receipt's statement from anywhere: refused with a reason, or whole: nine hops, and sums that follow from them. */
#include <stdint.h>
#include <string.h>

#include "factory/receipts/receipt.h"
#include "trust/canonical.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes) {
    json_t *statement = NULL;
    fw_receipt_view view;
    fw_error error = {""};
    if (fw_canonical_read(bytes, size_bytes, &statement, &error) != FW_OK) return 0;
    if (fw_receipt_check(statement, &view, &error) == FW_OK) {
        bool all = true;
        for (fw_receipt_hop h = 0; h < FW_RECEIPT_HOP_COUNT; h++)
            all = all && json_is_true(json_object_get(fw_receipt_hop_of(&view, h), "done"));
        FW_ASSERT(!view.complete || all);
        FW_ASSERT(strcmp(view.outcome, "fixed") == 0 || view.failure_to_fixed_ns == -1);
    } else {
        FW_ASSERT(error.text[0]);
    }
    json_decref(statement);
    return 0;
}
