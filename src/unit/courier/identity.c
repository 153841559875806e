/* identity.c - the unit's key (identity.h). */
#include "unit/courier/identity.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "trust/uptane.h"

enum { TOLD_AGAIN_MS = 60000 };

fw_status fw_unit_identity_open(fw_unit_courier *c, fw_error *error) {
    char path[FW_PATH_MAX];
    snprintf(path, sizeof path, "%.400s/unit.key", c->config.data_folder);
    if (fw_file_exists(path)) return fw_private_key_load(path, &c->key, error);
    fw_private_key *key = NULL;
    FW_TRY(fw_private_key_make(FW_KEY_ED25519, &key, error));
    fw_status status = fw_private_key_save(c->config.env, key, path, error);
    if (status == FW_OK)
        c->key = key;
    else
        fw_private_key_free(key);
    return status;
}

static char *public_text(const fw_private_key *key, fw_error *error) {
    fw_public_key *public = NULL;
    if (fw_private_key_public(key, &public, error) != FW_OK) return NULL;
    json_t *json = json_pack("{s:o}", "public", fw_public_key_json(public));
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    fw_public_key_free(public);
    return text;
}

void fw_unit_identity_tell(fw_unit_courier *c) {
    char url[300];
    fw_http_reply reply = {.upload_offset = -1};
    fw_error error = {"no memory for a key"};
    if (c->key_told || !c->key || !c->nonce[0] || !fw_unit_may_try(c, &c->tellings)) return;
    char *text = public_text(c->key, &error);
    snprintf(url, sizeof url, "%s/v1/units/%u/key", c->config.factory, c->config.unit);
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    fw_http_call call = {.method = "POST", .url = url, .headers = headers, .body = text,
                         .body_bytes = text ? strlen(text) : 0};
    fw_status status = text ? fw_unit_call(c, &call, &reply, &error) : FW_NO_MEMORY;
    if (status == FW_OK && reply.status / 100 != 2) {
        char reason[400];
        fw_unit_reason_of(&reply, reason, sizeof reason);
        status = fw_fail(&error, FW_DENIED, "%s", reason);
    }
    c->key_told = status == FW_OK;
    if (status == FW_OK)
        fw_unit_succeeded(c, &c->tellings, "telling the factory this unit's key");
    else
        fw_unit_failed(c, &c->tellings, "telling the factory this unit's key",
                       status == FW_DENIED ? TOLD_AGAIN_MS / 1000 : reply.retry_after_s, error.text);
    free(text);
    fw_unit_clear_reply(&reply);
}

char *fw_unit_identity_versions(fw_unit_courier *c) {
    const fw_unit_slots *slots = &c->updater.slots;
    fw_hash active = fw_unit_updater_active(&c->updater);
    fw_unit_slot_name slot = fw_unit_slots_find(slots, &active);
    fw_error error;
    char *text = NULL;
    if (!c->key || !c->key_told || !c->nonce[0] || slot == FW_UNIT_SLOT_NONE) return NULL;
    fw_version_report report = {.sha256 = active, .release_counter = slots->state.entries[slot].release_counter,
                                .tick = atomic_load(&c->shared->tick), .time_ns = fw_env_wall_ns(c->config.env)};
    snprintf(report.unit, sizeof report.unit, "%u", c->config.unit);
    snprintf(report.hardware_id, sizeof report.hardware_id, "%s", c->config.hardware_id);
    snprintf(report.target, sizeof report.target, "driving/%.64s.safetensors", active.hex);
    snprintf(report.nonce, sizeof report.nonce, "%s", c->nonce);
    snprintf(report.attack, sizeof report.attack, "%s", c->attack);
    if (fw_version_report_sign(&report, c->key, &text, &error) == FW_OK) return text;
    fw_log_warn("unit %u: %s", c->config.unit, error.text);
    return NULL;
}
