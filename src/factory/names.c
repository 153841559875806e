#include "factory/names.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"

enum { SLOTS_FIRST = 64 };

/* The slot that has the name, or the free one where it belongs. */
static uint32_t slot_of(const fw_names *n, const char *name) {
    uint32_t slot = (uint32_t)fw_seed_mix(0, name) & (n->slot_count - 1);
    while (n->slots[slot] && strcmp(n->names[n->slots[slot] - 1], name) != 0) slot = (slot + 1) & (n->slot_count - 1);
    return slot;
}

uint32_t fw_names_find(const fw_names *n, const char *name) {
    if (n->slot_count == 0) return FW_NAMES_NONE;
    uint32_t found = n->slots[slot_of(n, name)];
    return found ? found - 1 : FW_NAMES_NONE;
}

static void fill_slots(fw_names *n) {
    memset(n->slots, 0, n->slot_count * sizeof *n->slots);
    for (uint32_t i = 0; i < n->count; i++) n->slots[slot_of(n, n->names[i])] = i + 1;
}

static bool grow(fw_names *n) {
    uint32_t slot_count = n->slot_count ? 2 * n->slot_count : SLOTS_FIRST;
    void *names = realloc(n->names, slot_count / 2 * sizeof *n->names);
    if (names) n->names = names;
    uint32_t *slots = names ? malloc(slot_count * sizeof *slots) : NULL;
    if (!slots) return false;
    free(n->slots);
    n->slots = slots;
    n->slot_count = slot_count;
    fill_slots(n);
    return true;
}

bool fw_names_add(fw_names *n, const char *name) {
    if (strlen(name) >= FW_NAMES_TEXT_MAX || fw_names_find(n, name) != FW_NAMES_NONE) return false;
    if (n->count == n->slot_count / 2 && !grow(n)) return false;
    n->slots[slot_of(n, name)] = n->count + 1;
    memccpy(n->names[n->count++], name, '\0', FW_NAMES_TEXT_MAX);
    return true;
}

void fw_names_remove(fw_names *n, uint32_t place) {
    n->count--;
    memmove(n->names + place, n->names + place + 1, (n->count - place) * sizeof *n->names);
    fill_slots(n);
}

void fw_names_free(fw_names *n) {
    free(n->names);
    free(n->slots);
    *n = (fw_names){0};
}
