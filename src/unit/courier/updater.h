/* updater.h - how a unit gets another model: from what the factory says to what drives.
 *
 *   the report's answer says that the target changed (a hint, and nothing more)
 *     --> choose: director and image repository agree (trusted.h)          nothing, or an offer
 *     --> fetch in pieces of FW_UNIT_FETCH_BYTES, from where the last one ended, over restarts
 *     --> length, SHA-256, self-test
 *     --> install: slot on disk, state on trial (slots.h)
 *     --> stage: ready bytes in shared memory (staging.h); the tick swaps between two ticks and watches (tick/watch.h)
 *     <-- approved: last-known-good                refused: back, and never again until another one is offered
 *
 * One round makes one step, so that reports go on while a model is on its way.
 *
 * Invariants: (1) only what `choose` gave is fetched or staged; (2) a model is staged after its slot and the state
 * are durable; (3) the verdicts of the tick reach the disk, whoever dies in between; (4) what the tick drives is
 * what `state` calls active, or the one before it until the tick has looked.
 */
#ifndef FW_UNIT_UPDATER_H
#define FW_UNIT_UPDATER_H

#include "unit/courier/slots.h"
#include "unit/shared.h"

enum { FW_UNIT_FETCH_BYTES = 256 << 10 };

/* Parses a model file into the pointer-free form the tick takes from its slot, and runs its self-test.
 * custom: JSON of the image repository, may be NULL. FW_MISMATCH: the self-test says no. */
typedef fw_status (*fw_unit_model_load)(const void *file, size_t file_bytes, const char *custom, void *out,
                                        size_t out_max_bytes, size_t *out_bytes, fw_error *error);

/* Who says what may run here. */
typedef struct fw_unit_chooser {
    void *self;
    /* What this unit is to run; out->sha256 empty: nothing. FW_MISMATCH, FW_TIMEOUT ...: as fw_uptane_choose. */
    fw_status (*choose)(void *self, const fw_hash *hint, uint64_t release_counter, fw_unit_offer *out,
                        fw_error *error);
    /* A released model, for the shadow. FW_NOT_FOUND. */
    fw_status (*genuine)(void *self, const fw_hash *sha256, fw_unit_offer *out, fw_error *error);
} fw_unit_chooser;

/* Where bytes come from: those of an object from offset on, `wanted` at most; *bytes is malloc'd. FW_END: there are
 * none so far on. */
typedef struct fw_unit_source {
    void *self;
    fw_status (*fetch)(void *self, const fw_hash *sha256, uint64_t offset, size_t wanted, char **bytes,
                       size_t *size_bytes, fw_error *error);
} fw_unit_source;

typedef struct fw_unit_updater_config {
    const fw_env *env;
    uint32_t unit;
    const char *data_folder;
    fw_unit_shared *shared;
    fw_unit_model_load load;
    fw_unit_chooser chooser; /* choose NULL: nothing comes from the network */
    fw_unit_source source;
} fw_unit_updater_config;

typedef enum fw_unit_update {
    FW_UNIT_UPDATE_NOTHING, /* all is as it should be */
    FW_UNIT_UPDATE_WAITS,   /* what is signed is here, but it is not what was hinted at: look again in a moment */
    FW_UNIT_UPDATE_GOES_ON, /* another round makes sense at once */
    FW_UNIT_UPDATE_STAGED,
    FW_UNIT_UPDATE_REFUSED,
    FW_UNIT_UPDATE_FAILED, /* again later */
} fw_unit_update;

typedef struct fw_unit_updater {
    fw_unit_updater_config config;
    fw_unit_slots slots;
    fw_unit_offer offer;  /* on its way; empty: none */
    uint64_t part_bytes;  /* of it, on disk */
    bool begun, anew;     /* anew: a whole download had another hash; this is the second one */
    fw_hash begun_for;    /* the hint that it was chosen at: another one, and who decides is asked again */
    fw_hash settled;      /* the hint that was signed, and looked at to the end */
    fw_hash shadow;       /* staged as shadow; empty: none */
} fw_unit_updater;

/* Opens the slots; at a start of the unit, boots them and stages what is to drive and what it falls back to. */
fw_status fw_unit_updater_open(fw_unit_updater *updater, const fw_unit_updater_config *config,
                               fw_error *error) FW_MUST;
void fw_unit_updater_close(fw_unit_updater *updater);
/* Takes the tick's verdicts to disk; true when something changed. */
bool fw_unit_updater_notice(fw_unit_updater *updater);
/* The next step towards what the factory hints at. *error is of FAILED and REFUSED. */
fw_unit_update fw_unit_updater_round(fw_unit_updater *updater, const fw_hash *hint, fw_error *error);
/* Ask who decides again, though the hint is the same and something may be on its way: what cannot be fetched any more
 * holds up nothing. */
void fw_unit_updater_doubt(fw_unit_updater *updater);

/* Names for the report; empty: none. */
fw_hash fw_unit_updater_staged(const fw_unit_updater *updater);
fw_hash fw_unit_updater_active(const fw_unit_updater *updater);

/* ---- shadow.c ---- */

/* The model that is to run in shadow (empty: none) is fetched, checked and staged: all of it in one round. */
fw_unit_update fw_unit_updater_shadow(fw_unit_updater *updater, const fw_hash *wanted, fw_error *error);

#endif
