/* slots.h - a unit's models on its disk: two slots, and one small file that says which of them drives.
 *
 *   DIR/slots/state                  which is active, which is the last-known-good, tries left
 *   DIR/slots/A/model.safetensors    the model
 *   DIR/slots/A/bundle.json          what allowed it: target, hash, length, release counter, self-test
 *   DIR/slots/A/<sha256>.part        on its way into this slot; survives restarts
 *   DIR/slots/B/...                  the same
 *
 *                  begin           append..., install        activate        approve
 *   A active, good -----> B empty ------------------> B whole ------> B active, -----> B active, good
 *        ^                                                            A good    
 *        '---------------------- fall_back (watch, crash, tries used up) --'   B refused
 *
 * Each arrow is one durable write of `state` (but `append`), made after all that it speaks of is durable. So whenever
 * power goes, the next start finds the old model or the new one, checks its hash, and runs it; the other one
 * is there to fall back to.
 *
 * Invariants: (1) the slots that `state` calls active and good are never written; (2) `state` names a slot only
 * when its files are whole and durable; (3) nothing read from a slot is used unless it has the hash that `state`
 * names; (4) a start with a model on trial takes a try away before that model may run; (5) the release counter
 * never goes down. docs/formats/slots.md is the page.
 */
#ifndef FW_UNIT_SLOTS_H
#define FW_UNIT_SLOTS_H

#include <stdbool.h>

#include "base/env.h"
#include "base/file.h"
#include "base/hash.h"

enum {
    FW_UNIT_TRIES = 3, /* starts of the unit that a model on trial has */
    FW_UNIT_CUSTOM_MAX = 64 << 10,
    FW_UNIT_MODEL_FILE_MAX = 4 << 20,
    FW_UNIT_SLOT_PATH_MAX = FW_PATH_MAX - 160,
};

typedef enum fw_unit_slot_name { FW_UNIT_SLOT_A, FW_UNIT_SLOT_B, FW_UNIT_SLOT_NONE } fw_unit_slot_name;

/* A model that may run here, as signed metadata says it. */
typedef struct fw_unit_offer {
    char target[256];      /* "driving/<sha256>.safetensors" */
    fw_hash sha256;        /* empty: nothing */
    uint64_t length_bytes, release_counter;
    char *custom;          /* JSON of the image repository, with the self-test; malloc'd; may be NULL */
} fw_unit_offer;
void fw_unit_offer_clear(fw_unit_offer *offer);

typedef struct fw_unit_slot_entry {
    fw_hash sha256; /* empty: the slot holds nothing */
    uint64_t length_bytes, release_counter;
} fw_unit_slot_entry;

typedef struct fw_unit_slots_state {
    fw_unit_slot_entry entries[2];
    fw_unit_slot_name active, good; /* different: active is on trial */
    uint32_t tries_left;
    uint64_t release_counter; /* the highest that ever proved itself here */
    fw_hash refused;          /* the last one that was fallen back from; empty none */
    char refused_why[16];
} fw_unit_slots_state;

typedef struct fw_unit_slots {
    const fw_env *env;
    char folder[FW_UNIT_SLOT_PATH_MAX]; /* DIR/slots */
    fw_unit_slots_state state;          /* as it is on disk */
    bool lost; /* opening found slots, but no state that could be read */
} fw_unit_slots;

/* Makes the folders, reads the state. A state that is not whole is made again of what the slots hold. */
fw_status fw_unit_slots_open(fw_unit_slots *slots, const fw_env *env, const char *data_folder,
                             fw_error *error) FW_MUST;
bool fw_unit_slots_on_trial(const fw_unit_slots *slots);
fw_unit_slot_name fw_unit_slots_other(fw_unit_slot_name slot);
/* The slot that holds this model; NONE. */
fw_unit_slot_name fw_unit_slots_find(const fw_unit_slots *slots, const fw_hash *sha256);

/* A start of the unit: takes a try, gives up what has none left or is not whole. Afterwards state.active is what
 * is to run, checked; NONE: nothing is whole. FW_OK also when the disk takes no writes: then a model on
 * trial does not run where there is another one. */
fw_status fw_unit_slots_boot(fw_unit_slots *slots, fw_error *error) FW_MUST;
/* A slot's model, checked against the state. The caller frees *bytes and *custom (may be NULL where there is none). */
fw_status fw_unit_slots_read(const fw_unit_slots *slots, fw_unit_slot_name slot, char **bytes,
                             size_t *size_bytes, char **custom, fw_error *error) FW_MUST;

/* Does the slot hold what the state says? */
bool fw_unit_slots_whole(const fw_unit_slots *slots, fw_unit_slot_name slot);

/* Empties the slot that neither drives nor is good; FW_BUSY while a model is on trial. *part_bytes: what an earlier
 * download of this model left there. */
fw_status fw_unit_slots_begin(fw_unit_slots *slots, const fw_hash *sha256, uint64_t *part_bytes,
                              fw_error *error) FW_MUST;
/* More of it, durable. */
fw_status fw_unit_slots_append(fw_unit_slots *slots, const fw_hash *sha256, const void *bytes, size_t size_bytes,
                               fw_error *error) FW_MUST;
/* All of it, for a look before it is installed. FW_MISMATCH: not the length and hash of the offer; then it is gone. */
fw_status fw_unit_slots_part(fw_unit_slots *slots, const fw_unit_offer *offer, char **bytes, size_t *size_bytes,
                             fw_error *error) FW_MUST;
/* The part becomes the slot's model, and the slot the active one, on trial against the good one. */
fw_status fw_unit_slots_install(fw_unit_slots *slots, const fw_unit_offer *offer, fw_error *error) FW_MUST;
/* What is downloaded is not wanted after all. */
void fw_unit_slots_drop_part(fw_unit_slots *slots, const fw_hash *sha256);

/* A model that lies in a slot already is to run, on trial again. */
fw_status fw_unit_slots_activate(fw_unit_slots *slots, fw_unit_slot_name slot, uint64_t release_counter,
                                 fw_error *error) FW_MUST;
/* The active one is good. */
fw_status fw_unit_slots_approve(fw_unit_slots *slots, fw_error *error) FW_MUST;
/* Back to the good one. why: remembered with the model's hash as refused; NULL: it is only put aside. */
fw_status fw_unit_slots_fall_back(fw_unit_slots *slots, const char *why, fw_error *error) FW_MUST;
/* Never wanted again, though it never lay in a slot. */
fw_status fw_unit_slots_refuse(fw_unit_slots *slots, const fw_hash *sha256, const char *why, fw_error *error) FW_MUST;

/* Removes the files of a folder whose names end so, but for the one that begins with the 64 characters of keep (may be
 * NULL): what a power cut left in the making. */
void fw_unit_drop_ending(const char *folder, const char *ending, const char *keep);

/* ---- slots_state.c ---- */

/* The file's text, malloc'd; NULL without memory. */
char *fw_unit_slots_state_text(const fw_unit_slots_state *state);
/* FW_CORRUPT with the reason; *out untouched then. */
fw_status fw_unit_slots_state_read(const char *text, size_t size_bytes, fw_unit_slots_state *out,
                                   fw_error *error) FW_MUST;

#endif
