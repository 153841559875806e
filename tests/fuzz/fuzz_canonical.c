/* links: fw_trust */
/* Any bytes as signed JSON: refused with a reason; or a canonical text, which reads as a value with the same one. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "trust/canonical.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

/* NULL: there are numbers with a fraction, or it is no JSON (control characters stand raw in canonical text). */
static char *canonical_of(const void *bytes, size_t size_bytes, size_t *out_bytes) {
    json_t *value = NULL;
    char *text = NULL;
    fw_error error = {""};
    if (fw_canonical_read(bytes, size_bytes, &value, &error) != FW_OK) {
        FW_ASSERT(error.text[0] && !value);
        return NULL;
    }
    if (fw_canonical_write(value, &text, out_bytes, &error) != FW_OK) FW_ASSERT(error.text[0] && !text);
    json_decref(value);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes) {
    size_t first_bytes = 0, second_bytes = 0;
    char *first = canonical_of(bytes, size_bytes, &first_bytes);
    char *second = first ? canonical_of(first, first_bytes, &second_bytes) : NULL;
    if (second) FW_ASSERT(first_bytes == second_bytes && !memcmp(first, second, first_bytes));
    free(first);
    free(second);
    return 0;
}
