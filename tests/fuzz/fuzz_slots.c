/* A unit's slots/state: as it comes, and with its own hash behind it so that the inside is reached; what is read is
 * written and read again. */
/* links: fw_unit_courier */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/courier/slots.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *text, size_t size) {
    fw_unit_slots_state state, again;
    fw_error error;
    if (fw_unit_slots_state_read(text, size, &state, &error) != FW_OK) return;
    char *written = fw_unit_slots_state_text(&state);
    FW_ASSERT(written && fw_unit_slots_state_read(written, strlen(written), &again, &error) == FW_OK);
    FW_ASSERT(again.active == state.active && again.good == state.good && again.tries_left == state.tries_left &&
              again.release_counter == state.release_counter && strcmp(again.refused.hex, state.refused.hex) == 0);
    free(written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check((const char *)data, size);
    const uint8_t *end = memchr(data, '\n', size);
    size_t used = end ? (size_t)(end - data) : size;
    char *text = malloc(used + FW_HASH_HEX + 3);
    if (!text) return 0;
    memcpy(text, data, used);
    snprintf(text + used, FW_HASH_HEX + 3, "\n%.64s\n", fw_hash_bytes(data, used).hex);
    check(text, used + FW_HASH_HEX + 2);
    free(text);
    return 0;
}
