/* names.h - from a unit's name to its place in an array, in constant time.
 *
 *   names   "7" "car-0" "12" ...          in the array's own order
 *   slots   [ . 2 . . 1 . 3 . ]           place + 1, open addressing, at most half full
 *
 * Invariant: name i is the array's element i. Whoever owns the array adds and removes in both.
 */
#ifndef FW_FACTORY_NAMES_H
#define FW_FACTORY_NAMES_H

#include <stdbool.h>
#include <stdint.h>

enum { FW_NAMES_TEXT_MAX = 32 };
#define FW_NAMES_NONE UINT32_MAX

typedef struct fw_names {
    char (*names)[FW_NAMES_TEXT_MAX]; /* (count) */
    uint32_t *slots;                  /* (slot_count), a power of two */
    uint32_t count, slot_count;
} fw_names; /* all zero: empty */

uint32_t fw_names_find(const fw_names *names, const char *name);
/* At the end. False without memory, or when the name is there or too long; then nothing changed. */
bool fw_names_add(fw_names *names, const char *name);
/* The ones behind it move up by one, as memmove does in the array. */
void fw_names_remove(fw_names *names, uint32_t place);
void fw_names_free(fw_names *names);

#endif
