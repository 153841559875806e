/* updater.c - choose, fetch, check, install, stage; and the tick's verdicts (updater.h). */
#include "unit/courier/updater.h"

#include <stdlib.h>

#include "base/log.h"
#include "unit/courier/staging.h"

/* ---- disk --> shared memory ---- */

/* What the tick drives or is about to: the one staged last, unless refused (tick/seat.h). */
static uint64_t driving(const fw_unit_shared *shared) {
    uint64_t staged = atomic_load(&shared->models.staged);
    bool bad = staged != 0 && atomic_load(&shared->model_bad[staged & 1]) == staged;
    if (!bad && fw_unit_lane_has(&shared->models, staged)) return staged;
    uint64_t other = staged ? atomic_load(&shared->models.slots[(staged & 1) ^ 1].sequence) : 0;
    return other < staged && atomic_load(&shared->model_bad[other & 1]) != other ? other : 0;
}

static const fw_hash *name_of(const fw_unit_updater *u, fw_unit_slot_name slot) {
    static const fw_hash none;
    return slot == FW_UNIT_SLOT_NONE ? &none : &u->slots.state.entries[slot].sha256;
}

static bool same(const fw_hash *a, const fw_hash *b) { return strcmp(a->hex, b->hex) == 0; }

/* A slot's model, ready, under a new number; 0 when it cannot be had. */
static uint64_t put_slot(fw_unit_updater *u, fw_unit_slot_name slot, fw_error *error) {
    fw_unit_shared *shared = u->config.shared;
    char *bytes = NULL, *custom = NULL;
    size_t size = 0, ready_bytes = 0;
    uint64_t sequence = 0;
    void *ready = calloc(1, FW_UNIT_MODEL_MAX);
    fw_status status = ready ? FW_OK : fw_fail(error, FW_NO_MEMORY, "unit: no memory for a model");
    if (status == FW_OK) status = fw_unit_slots_read(&u->slots, slot, &bytes, &size, &custom, error);
    if (status == FW_OK) status = u->config.load(bytes, size, custom, ready, FW_UNIT_MODEL_MAX, &ready_bytes, error);
    if (status == FW_OK)
        sequence = fw_unit_lane_put(&shared->models, atomic_load(&shared->model_good), name_of(u, slot), ready,
                                    ready_bytes);
    free(bytes), free(custom), free(ready);
    return sequence;
}

/* Sees to it that what the state calls active is what the tick drives. */
static fw_status follow_state(fw_unit_updater *u, fw_error *error) {
    fw_unit_shared *shared = u->config.shared;
    const fw_unit_slots_state *state = &u->slots.state;
    uint64_t now = driving(shared);
    fw_hash name = fw_unit_lane_name(&shared->models, now);
    bool trial = fw_unit_slots_on_trial(&u->slots);
    if (state->active == FW_UNIT_SLOT_NONE) return FW_OK;
    if (now == 0 || !same(&name, name_of(u, state->active))) {
        if (!(now = put_slot(u, state->active, error))) return FW_IO;
        if (!trial) atomic_store(&shared->model_good, now);
        fw_unit_lane_stage(&shared->models, now);
    } else if (!trial) {
        atomic_store(&shared->model_good, now);
    }
    return FW_OK;
}

/* The start of a unit: first what is fallen back to, then what drives. */
static void stage_at_start(fw_unit_updater *u) {
    fw_unit_slots *s = &u->slots;
    fw_error error = {""};
    bool had = s->lost || s->state.active != FW_UNIT_SLOT_NONE || s->state.refused.hex[0];
    if (fw_unit_slots_boot(s, &error) != FW_OK) fw_log_warn("unit %u: %s", u->config.unit, error.text);
    for (int i = 0; i < 2 && s->state.active != FW_UNIT_SLOT_NONE; i++) {
        fw_unit_slot_name other = fw_unit_slots_other(s->state.active);
        uint64_t spare = s->state.entries[other].sha256.hex[0] ? put_slot(u, other, &error) : 0;
        if (fw_unit_slots_on_trial(s) && other == s->state.good) atomic_store(&u->config.shared->model_good, spare);
        if (follow_state(u, &error) == FW_OK) return;
        fw_log_error("unit %u: the model of the last time cannot drive: %s", u->config.unit, error.text);
        if (fw_unit_slots_fall_back(s, "model", &error) != FW_OK) break;
    }
    if (!had) return;
    fw_log_error("unit %u: no model is whole; the safe controller stops the car", u->config.unit);
    atomic_store(&u->config.shared->safe_wanted, true);
}

fw_status fw_unit_updater_open(fw_unit_updater *u, const fw_unit_updater_config *config, fw_error *error) {
    *u = (fw_unit_updater){.config = *config};
    FW_TRY(fw_unit_slots_open(&u->slots, config->env, config->data_folder, error));
    if (atomic_load(&config->shared->models.staged) == 0) {
        stage_at_start(u);
        return FW_OK;
    }
    fw_error why; /* replaces a courier that died: perhaps between the disk and the memory */
    u->shadow = fw_unit_lane_name(&config->shared->shadows, atomic_load(&config->shared->shadows.staged));
    (void)fw_unit_updater_notice(u);
    if (follow_state(u, &why) != FW_OK) fw_log_warn("unit %u: %s", config->unit, why.text);
    return FW_OK;
}

void fw_unit_updater_close(fw_unit_updater *u) { fw_unit_offer_clear(&u->offer); }

/* ---- verdicts ---- */

/* The newest sequence in memory of what the state calls active; 0: it is not there. */
static uint64_t sequence_of_active(const fw_unit_updater *u) {
    const fw_unit_lane *lane = &u->config.shared->models;
    uint64_t newest = 0;
    for (int i = 0; i < 2; i++) {
        uint64_t sequence = atomic_load(&lane->slots[i].sequence);
        fw_hash name = fw_unit_lane_name(lane, sequence);
        if (sequence > newest && same(&name, name_of(u, u->slots.state.active))) newest = sequence;
    }
    return newest;
}

/* Writes down that the active one is refused, and then, perhaps, the one behind it: the tick may have gone through
 * both since the last look. */
static fw_status give_up_refused(fw_unit_updater *u, fw_error *error) {
    fw_unit_shared *shared = u->config.shared;
    for (int i = 0; i < 2 && u->slots.state.active != FW_UNIT_SLOT_NONE; i++) {
        uint64_t sequence = sequence_of_active(u);
        if (sequence == 0 || atomic_load(&shared->model_bad[sequence & 1]) != sequence) break;
        fw_hash name = fw_unit_lane_name(&shared->models, sequence);
        const char *why = fw_unit_refusal_name(atomic_load(&shared->bad_why[sequence & 1]));
        FW_TRY(fw_unit_slots_fall_back(&u->slots, why, error));
        fw_log_warn("unit %u: model %.12s is refused (%s)", u->config.unit, name.hex, why);
    }
    return FW_OK;
}

static bool notice_refusal(fw_unit_updater *u) {
    fw_unit_shared *shared = u->config.shared;
    uint64_t refused = atomic_load(&shared->model_refused);
    fw_error error;
    if (refused == atomic_load(&shared->refused_noticed)) return false;
    if (give_up_refused(u, &error) != FW_OK) {
        fw_log_warn("unit %u: %s", u->config.unit, error.text);
        return false; /* again with the next round */
    }
    atomic_store(&shared->refused_noticed, refused);
    if (follow_state(u, &error) != FW_OK) fw_log_warn("unit %u: %s", u->config.unit, error.text);
    return true;
}

static bool notice_approval(fw_unit_updater *u) {
    fw_unit_shared *shared = u->config.shared;
    uint64_t approved = atomic_load(&shared->model_approved);
    fw_error error;
    if (approved == 0 || approved != driving(shared) || !fw_unit_slots_on_trial(&u->slots)) return false;
    fw_hash name = fw_unit_lane_name(&shared->models, approved);
    if (!same(&name, name_of(u, u->slots.state.active))) return false;
    if (fw_unit_slots_approve(&u->slots, &error) != FW_OK) {
        fw_log_warn("unit %u: %s", u->config.unit, error.text);
        return false;
    }
    atomic_store(&shared->model_good, approved);
    fw_log_info("unit %u: model %.12s is the last-known-good now", u->config.unit, name.hex);
    return true;
}

bool fw_unit_updater_notice(fw_unit_updater *u) {
    bool refused = notice_refusal(u);
    return notice_approval(u) || refused;
}

/* ---- towards another model ---- */

static fw_unit_update settle(fw_unit_updater *u, const fw_hash *hint, fw_unit_update how) {
    if (same(&u->offer.sha256, hint))
        u->settled = *hint;
    else if (how == FW_UNIT_UPDATE_NOTHING)
        how = FW_UNIT_UPDATE_WAITS; /* a hint may be a moment ahead of the director */
    u->begun = u->anew = false;
    fw_unit_offer_clear(&u->offer);
    return how;
}

/* Writes down that this model is not to be had here. */
static fw_unit_update refuse(fw_unit_updater *u, const fw_hash *hint, fw_unit_refusal why, fw_error *error) {
    fw_error ignored;
    fw_unit_slots_drop_part(&u->slots, &u->offer.sha256);
    if (fw_unit_slots_refuse(&u->slots, &u->offer.sha256, fw_unit_refusal_name(why), &ignored) != FW_OK)
        fw_log_warn("unit %u: %s", u->config.unit, ignored.text);
    fw_log_error("unit %u: model %.12s refused, the one before stays: %s", u->config.unit, u->offer.sha256.hex,
                 error->text);
    return settle(u, hint, FW_UNIT_UPDATE_REFUSED);
}

/* It lies in a slot already: a model of before, or the same one released again. */
static fw_unit_update activate(fw_unit_updater *u, const fw_hash *hint, fw_unit_slot_name slot, fw_error *error) {
    const fw_unit_slots_state *state = &u->slots.state;
    bool moves = slot != state->active;
    bool counts = state->entries[slot].release_counter != u->offer.release_counter;
    if (moves || counts)
        if (fw_unit_slots_activate(&u->slots, slot, u->offer.release_counter, error) != FW_OK)
            return FW_UNIT_UPDATE_FAILED;
    if (follow_state(u, error) != FW_OK) return FW_UNIT_UPDATE_FAILED;
    return settle(u, hint, moves ? FW_UNIT_UPDATE_STAGED : FW_UNIT_UPDATE_NOTHING);
}

/* Is the offer what was given up last? Not when its file had rotted: that is the disk's fault, and it comes again. */
static bool is_refused(const fw_unit_updater *u) {
    const fw_unit_slots_state *state = &u->slots.state;
    return same(&u->offer.sha256, &state->refused) &&
           strcmp(state->refused_why, fw_unit_refusal_name(FW_UNIT_REFUSED_SLOT)) != 0;
}

/* The slot where the offered model lies whole, or one that cannot be emptied. */
static fw_unit_slot_name find_whole(const fw_unit_updater *u) {
    const fw_unit_slots *s = &u->slots;
    fw_unit_slot_name slot = fw_unit_slots_find(s, &u->offer.sha256);
    bool needed = slot == s->state.active || slot == s->state.good;
    return slot == FW_UNIT_SLOT_NONE || needed || fw_unit_slots_whole(s, slot) ? slot : FW_UNIT_SLOT_NONE;
}

/* Asks who decides, and clears the way for what they say. */
static fw_unit_update choose(fw_unit_updater *u, const fw_hash *hint, fw_error *error) {
    fw_unit_slots *s = &u->slots;
    fw_unit_offer_clear(&u->offer);
    u->begun = false;
    if (u->config.chooser.choose(u->config.chooser.self, hint, s->state.release_counter, &u->offer, error) != FW_OK)
        return FW_UNIT_UPDATE_FAILED;
    if (!u->offer.sha256.hex[0]) return settle(u, hint, FW_UNIT_UPDATE_NOTHING);
    if (is_refused(u)) return settle(u, hint, FW_UNIT_UPDATE_NOTHING);
    const fw_hash none = {{0}};
    if (s->state.refused.hex[0] && fw_unit_slots_refuse(s, &none, "", error) != FW_OK) return FW_UNIT_UPDATE_FAILED;
    fw_unit_slot_name slot = find_whole(u);
    if (slot != FW_UNIT_SLOT_NONE) return activate(u, hint, slot, error);
    if (fw_unit_slots_on_trial(s) && s->state.good != FW_UNIT_SLOT_NONE &&
        fw_unit_slots_fall_back(s, NULL, error) != FW_OK) /* another one is wanted before this one proved itself */
        return FW_UNIT_UPDATE_FAILED;
    if (fw_unit_slots_begin(s, &u->offer.sha256, &u->part_bytes, error) != FW_OK) return FW_UNIT_UPDATE_FAILED;
    u->begun = true;
    u->begun_for = *hint;
    return FW_UNIT_UPDATE_GOES_ON;
}

static fw_status fetch_piece(fw_unit_updater *u, fw_error *error) {
    uint64_t left = u->offer.length_bytes - u->part_bytes;
    char *bytes = NULL;
    size_t size = 0, wanted = left < FW_UNIT_FETCH_BYTES ? (size_t)left : FW_UNIT_FETCH_BYTES;
    FW_TRY(u->config.source.fetch(u->config.source.self, &u->offer.sha256, u->part_bytes, wanted, &bytes, &size, error));
    fw_status status = size > 0 && size <= wanted
                           ? fw_unit_slots_append(&u->slots, &u->offer.sha256, bytes, size, error)
                           : fw_fail(error, FW_CORRUPT, "%zu bytes came where %zu were wanted", size, wanted);
    free(bytes);
    if (status == FW_OK) u->part_bytes += size;
    else u->begun = false; /* what is on disk is looked at again */
    return status;
}

/* All bytes are here: are they the model, and does it answer as it should? Then it is installed. */
static fw_status install(fw_unit_updater *u, fw_unit_refusal *why, fw_error *error) {
    fw_unit_shared *shared = u->config.shared;
    char *bytes = NULL;
    size_t size = 0, ready_bytes = 0;
    void *ready = NULL;
    FW_TRY(fw_unit_slots_part(&u->slots, &u->offer, &bytes, &size, error));
    fw_status status = (ready = calloc(1, FW_UNIT_MODEL_MAX)) ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory for a model");
    if (status == FW_OK)
        status = u->config.load(bytes, size, u->offer.custom, ready, FW_UNIT_MODEL_MAX, &ready_bytes, error);
    if (status == FW_MISMATCH) *why = FW_UNIT_REFUSED_SELF_TEST;
    if (status == FW_CORRUPT || status == FW_UNSUPPORTED || status == FW_INVALID || status == FW_TOO_BIG)
        *why = FW_UNIT_REFUSED_MODEL;
    if (status == FW_OK) status = fw_unit_slots_install(&u->slots, &u->offer, error);
    if (status == FW_OK)
        fw_unit_lane_stage(&shared->models, fw_unit_lane_put(&shared->models, atomic_load(&shared->model_good),
                                                             &u->offer.sha256, ready, ready_bytes));
    free(bytes), free(ready);
    return status;
}

static fw_unit_update finish(fw_unit_updater *u, const fw_hash *hint, fw_error *error) {
    fw_unit_refusal why = FW_UNIT_REFUSED_NOT;
    fw_status status = install(u, &why, error);
    if (why != FW_UNIT_REFUSED_NOT) return refuse(u, hint, why, error);
    if (status == FW_OK) {
        fw_log_info("unit %u: staged model %.12s", u->config.unit, u->offer.sha256.hex);
        return settle(u, hint, FW_UNIT_UPDATE_STAGED);
    }
    bool again = status == FW_MISMATCH && !u->anew; /* a beginning from before a power cut may be bent */
    u->begun = false;
    u->anew |= status == FW_MISMATCH;
    return again ? FW_UNIT_UPDATE_GOES_ON : FW_UNIT_UPDATE_FAILED;
}

fw_unit_update fw_unit_updater_round(fw_unit_updater *u, const fw_hash *hint, fw_error *error) {
    if (!u->config.chooser.choose || !hint->hex[0]) return FW_UNIT_UPDATE_NOTHING;
    if (u->begun && !same(hint, &u->begun_for)) return choose(u, hint, error); /* what is on its way may be put aside */
    if (same(hint, &u->settled)) return FW_UNIT_UPDATE_NOTHING;
    if (!u->begun) return choose(u, hint, error);
    if (u->part_bytes == u->offer.length_bytes) return finish(u, hint, error);
    if (u->part_bytes > u->offer.length_bytes) {
        fw_unit_slots_drop_part(&u->slots, &u->offer.sha256);
        u->part_bytes = 0;
    }
    return fetch_piece(u, error) == FW_OK ? FW_UNIT_UPDATE_GOES_ON : FW_UNIT_UPDATE_FAILED;
}

void fw_unit_updater_doubt(fw_unit_updater *u) {
    u->settled = (fw_hash){{0}};
    u->begun = false;
}

fw_hash fw_unit_updater_staged(const fw_unit_updater *u) {
    return fw_unit_lane_name(&u->config.shared->models, driving(u->config.shared));
}

fw_hash fw_unit_updater_active(const fw_unit_updater *u) {
    return fw_unit_lane_name(&u->config.shared->models, atomic_load(&u->config.shared->model_active));
}
