/* hinted.c - a unit without a trusted root takes what the factory hints at, as it always did. */
#include <stdio.h>
#include <stdlib.h>

#include "unit/courier/trusted.h"

fw_status fw_unit_hinted_choose(void *self, const fw_hash *hint, uint64_t release_counter, fw_unit_offer *out,
                                fw_error *error) {
    fw_unit_courier *c = self;
    char url[400];
    fw_http_reply reply;
    (void)release_counter;
    if (fw_unit_slots_find(&c->updater.slots, hint) != FW_UNIT_SLOT_NONE) {
        *out = (fw_unit_offer){.sha256 = *hint};
        return FW_OK;
    }
    snprintf(url, sizeof url, "%s/v1/objects/%s", c->config.factory, hint->hex);
    fw_http_call call = {.method = "GET", .url = url, .reply_max_bytes = FW_UNIT_MODEL_FILE_MAX};
    FW_TRY(fw_unit_call(c, &call, &reply, error));
    c->fetches.retry_after_s = reply.retry_after_s;
    fw_status status = FW_OK;
    if (reply.status != 200)
        status = fw_fail(error, FW_IO, "the factory answered %d for model %.12s", reply.status, hint->hex);
    if (status == FW_OK) {
        *out = (fw_unit_offer){.sha256 = *hint, .length_bytes = reply.body_bytes};
        snprintf(out->target, sizeof out->target, "driving/%.64s.safetensors", hint->hex);
        free(c->hinted);
        c->hinted = reply.body, c->hinted_bytes = reply.body_bytes;
        return FW_OK;
    }
    fw_unit_clear_reply(&reply);
    return status;
}
