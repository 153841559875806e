/* slots_state.c - DIR/slots/state as text: one line of JSON, then its SHA-256 (docs/formats/slots.md). */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/courier/slots.h"

enum { VERSION = 1 };
static const char *const names[] = {"A", "B"};

static json_t *entry_json(const fw_unit_slot_entry *entry) {
    if (!entry->sha256.hex[0]) return json_null();
    return json_pack("{s:s,s:I,s:I}", "sha256", entry->sha256.hex, "length", (json_int_t)entry->length_bytes,
                     "release_counter", (json_int_t)entry->release_counter);
}

static json_t *name_json(fw_unit_slot_name slot) {
    return slot == FW_UNIT_SLOT_NONE ? json_null() : json_string(names[slot]);
}

char *fw_unit_slots_state_text(const fw_unit_slots_state *s) {
    json_t *json = json_pack("{s:i,s:o,s:o,s:I,s:I,s:o,s:o,s:s,s:s}", "version", VERSION, "active",
                             name_json(s->active), "good", name_json(s->good), "tries_left",
                             (json_int_t)s->tries_left, "release_counter", (json_int_t)s->release_counter, "A",
                             entry_json(&s->entries[0]), "B", entry_json(&s->entries[1]), "refused",
                             s->refused.hex, "refused_why", s->refused_why);
    char *line = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (!line) return NULL;
    fw_hash hash;
    size_t used = strlen(line), room = used + FW_HASH_HEX + 3;
    char *text = fw_hash_bytes_try(line, used, &hash, NULL) == FW_OK ? malloc(room) : NULL;
    if (text) snprintf(text, room, "%s\n%.64s\n", line, hash.hex);
    free(line);
    return text;
}

static bool take_name(const json_t *json, fw_unit_slot_name *out) {
    const char *text = json_string_value(json);
    *out = FW_UNIT_SLOT_NONE;
    if (json_is_null(json)) return true;
    for (int i = 0; i < 2; i++)
        if (text && strcmp(text, names[i]) == 0) *out = (fw_unit_slot_name)i;
    return *out != FW_UNIT_SLOT_NONE;
}

static bool take_number(const json_t *json, uint64_t *out) {
    if (!json_is_integer(json) || json_integer_value(json) < 0) return false;
    *out = (uint64_t)json_integer_value(json);
    return true;
}

static bool take_entry(const json_t *json, fw_unit_slot_entry *out) {
    const char *hash = json_string_value(json_object_get(json, "sha256"));
    if (json_is_null(json)) return true;
    return hash && fw_hash_parse(hash, &out->sha256, NULL) == FW_OK &&
           take_number(json_object_get(json, "length"), &out->length_bytes) &&
           take_number(json_object_get(json, "release_counter"), &out->release_counter);
}

/* A slot that is named holds something. */
static bool is_held(const fw_unit_slots_state *s, fw_unit_slot_name slot) {
    return slot == FW_UNIT_SLOT_NONE || s->entries[slot].sha256.hex[0];
}

static bool take_state(const json_t *json, fw_unit_slots_state *s) {
    const char *refused = json_string_value(json_object_get(json, "refused"));
    const char *why = json_string_value(json_object_get(json, "refused_why"));
    uint64_t tries = 0;
    bool fine = take_name(json_object_get(json, "active"), &s->active) &&
                take_name(json_object_get(json, "good"), &s->good) &&
                take_number(json_object_get(json, "tries_left"), &tries) && tries <= FW_UNIT_TRIES &&
                take_number(json_object_get(json, "release_counter"), &s->release_counter) &&
                take_entry(json_object_get(json, "A"), &s->entries[0]) &&
                take_entry(json_object_get(json, "B"), &s->entries[1]) && refused && why &&
                strlen(why) < sizeof s->refused_why && is_held(s, s->active) && is_held(s, s->good);
    if (fine && refused[0]) fine = fw_hash_parse(refused, &s->refused, NULL) == FW_OK;
    if (!fine) return false;
    s->tries_left = (uint32_t)tries;
    snprintf(s->refused_why, sizeof s->refused_why, "%s", why);
    return true;
}

fw_status fw_unit_slots_state_read(const char *text, size_t size_bytes, fw_unit_slots_state *out, fw_error *error) {
    const char *end = memchr(text, '\n', size_bytes);
    fw_unit_slots_state state = {.active = FW_UNIT_SLOT_NONE, .good = FW_UNIT_SLOT_NONE};
    size_t used = end ? (size_t)(end - text) : 0;
    fw_hash hash;
    FW_TRY(fw_hash_bytes_try(text, used, &hash, error));
    if (!end || size_bytes != used + FW_HASH_HEX + 2 || text[size_bytes - 1] != '\n' ||
        memcmp(end + 1, hash.hex, FW_HASH_HEX) != 0)
        return fw_fail(error, FW_CORRUPT, "slots/state does not have its own hash");
    json_t *json = json_loadb(text, used, 0, NULL);
    bool known = json_integer_value(json_object_get(json, "version")) == VERSION;
    bool fine = known && take_state(json, &state);
    json_decref(json);
    if (!known) return fw_fail(error, FW_UNSUPPORTED, "slots/state is of another version");
    if (!fine) return fw_fail(error, FW_CORRUPT, "slots/state does not say what it must");
    *out = state;
    return FW_OK;
}
