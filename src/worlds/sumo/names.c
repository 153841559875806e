/* names.c - text to index (names.h). */
#include "worlds/sumo/names.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"

static uint32_t hash_of(fw_text text) {
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < text.size; i++) h = (h ^ (uint8_t)text.at[i]) * 16777619u;
    return h;
}

static bool same(const char *own, fw_text text) {
    return strncmp(own, text.at, text.size) == 0 && own[text.size] == '\0';
}

static fw_name *probe(const fw_names *names, fw_text text) {
    if (!names->capacity) return NULL;
    const uint32_t mask = names->capacity - 1;
    for (uint32_t i = hash_of(text) & mask;; i = (i + 1) & mask) {
        fw_name *slot = &names->slots[i];
        if (!slot->used) return NULL;
        if (slot->text && same(slot->text, text)) return slot;
    }
}

static void insert(fw_names *names, char *own, uint32_t index) {
    const uint32_t mask = names->capacity - 1;
    uint32_t i = hash_of(fw_text_of(own)) & mask;
    while (names->slots[i].used) i = (i + 1) & mask;
    names->slots[i] = (fw_name){.text = own, .index = index, .used = 1};
    names->filled++;
    names->live++;
}

/* Makes room and sweeps out slots of removed names. */
static void grow(fw_names *names) {
    fw_names old = *names;
    names->capacity = 64;
    while (names->capacity < 4 * (old.live + 1)) names->capacity *= 2;
    names->slots = calloc(names->capacity, sizeof *names->slots);
    FW_ASSERT(names->slots);
    names->filled = names->live = 0;
    for (uint32_t i = 0; i < old.capacity; i++)
        if (old.slots[i].text) insert(names, old.slots[i].text, old.slots[i].index);
    free(old.slots);
}

void fw_names_put(fw_names *names, fw_text text, uint32_t index) {
    fw_name *slot = probe(names, text);
    if (slot) {
        slot->index = index;
        return;
    }
    if (2 * (names->filled + 1) > names->capacity) grow(names);
    char *own = malloc(text.size + 1);
    FW_ASSERT(own);
    memcpy(own, text.at, text.size);
    own[text.size] = '\0';
    insert(names, own, index);
}

uint32_t fw_names_find(const fw_names *names, fw_text text) {
    const fw_name *slot = probe(names, text);
    return slot ? slot->index : FW_NAME_NONE;
}

void fw_names_remove(fw_names *names, fw_text text) {
    fw_name *slot = probe(names, text);
    if (!slot) return;
    free(slot->text);
    slot->text = NULL;
    names->live--;
}

void fw_names_free(fw_names *names) {
    for (uint32_t i = 0; i < names->capacity; i++) free(names->slots[i].text);
    free(names->slots);
    *names = (fw_names){0};
}
