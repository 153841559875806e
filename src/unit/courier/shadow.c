/* shadow.c - the model that runs in shadow: from the slots or from the factory, checked, staged (updater.h). */
#include <stdlib.h>

#include "base/log.h"
#include "unit/courier/staging.h"
#include "unit/courier/updater.h"

/* All of a released model's bytes, in memory. */
static fw_status fetch_whole(const fw_unit_updater *u, const fw_unit_offer *offer, char **bytes, fw_error *error) {
    char *whole = NULL, *piece = NULL;
    fw_hash has;
    fw_status status = FW_OK;
    if (offer->length_bytes == 0 || offer->length_bytes > FW_UNIT_MODEL_FILE_MAX)
        return fw_fail(error, FW_TOO_BIG, "a model of %llu bytes", (unsigned long long)offer->length_bytes);
    if (!(whole = malloc(offer->length_bytes))) return fw_fail(error, FW_NO_MEMORY, "no memory for a model");
    for (uint64_t at = 0; status == FW_OK && at < offer->length_bytes;) {
        size_t size = 0, left = (size_t)(offer->length_bytes - at);
        size_t wanted = left < FW_UNIT_FETCH_BYTES ? left : FW_UNIT_FETCH_BYTES;
        status = u->config.source.fetch(u->config.source.self, &offer->sha256, at, wanted, &piece, &size, error);
        if (status != FW_OK) break;
        if (size == 0 || size > wanted) status = fw_fail(error, FW_CORRUPT, "a piece of another size");
        else memcpy(whole + at, piece, size);
        free(piece);
        at += size;
    }
    if (status == FW_OK) status = fw_hash_bytes_try(whole, offer->length_bytes, &has, error);
    if (status == FW_OK && strcmp(has.hex, offer->sha256.hex) != 0)
        status = fw_fail(error, FW_MISMATCH, "the shadow's bytes have another hash");
    if (status != FW_OK) {
        free(whole);
        return status;
    }
    *bytes = whole;
    return FW_OK;
}

/* From a slot when it lies there, else from the factory when it is genuine. */
static fw_status get_bytes(fw_unit_updater *u, const fw_hash *wanted, char **bytes, size_t *size_bytes,
                           char **custom, fw_error *error) {
    fw_unit_slot_name slot = fw_unit_slots_find(&u->slots, wanted);
    if (slot != FW_UNIT_SLOT_NONE) return fw_unit_slots_read(&u->slots, slot, bytes, size_bytes, custom, error);
    fw_unit_offer offer = {.custom = NULL};
    if (!u->config.chooser.genuine) return fw_fail(error, FW_DENIED, "nobody says which models are genuine");
    FW_TRY(u->config.chooser.genuine(u->config.chooser.self, wanted, &offer, error));
    fw_status status = fetch_whole(u, &offer, bytes, error);
    if (status == FW_OK) {
        *size_bytes = offer.length_bytes;
        *custom = offer.custom;
        offer.custom = NULL;
    }
    fw_unit_offer_clear(&offer);
    return status;
}

fw_unit_update fw_unit_updater_shadow(fw_unit_updater *u, const fw_hash *wanted, fw_error *error) {
    fw_unit_lane *lane = &u->config.shared->shadows;
    char *bytes = NULL, *custom = NULL;
    size_t size = 0, ready_bytes = 0;
    if (strcmp(u->shadow.hex, wanted->hex) == 0) return FW_UNIT_UPDATE_NOTHING;
    if (!wanted->hex[0]) {
        u->shadow = *wanted;
        fw_unit_lane_stage(lane, 0);
        return FW_UNIT_UPDATE_STAGED;
    }
    void *ready = calloc(1, FW_UNIT_MODEL_MAX);
    fw_status status = ready ? get_bytes(u, wanted, &bytes, &size, &custom, error)
                             : fw_fail(error, FW_NO_MEMORY, "no memory for a model");
    if (status == FW_OK) status = u->config.load(bytes, size, custom, ready, FW_UNIT_MODEL_MAX, &ready_bytes, error);
    if (status == FW_OK) {
        u->shadow = *wanted;
        fw_unit_lane_stage(lane, fw_unit_lane_put(lane, 0, wanted, ready, ready_bytes));
        fw_log_info("unit %u: model %.12s runs in shadow", u->config.unit, wanted->hex);
    }
    free(bytes), free(custom), free(ready);
    return status == FW_OK ? FW_UNIT_UPDATE_STAGED : FW_UNIT_UPDATE_FAILED;
}
