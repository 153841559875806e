/* campaigns.c - lists of campaigns to the tick (campaigns.h). */
#include "unit/courier/campaigns.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "unit/courier/crc.h"

/* Compiles one; it joins the set when it is for this unit. */
static void add_one(const fw_unit_campaign_list *l, const json_t *json, fw_unit_campaigns *set) {
    char unit[16];
    fw_error error;
    bool wanted = true;
    char *text = json_dumps(json, JSON_COMPACT);
    if (!text) return;
    snprintf(unit, sizeof unit, "%u", l->unit);
    fw_campaign campaign;
    memset(&campaign, 0, sizeof campaign); /* compared and summed as bytes */
    if (fw_campaign_parse(text, strlen(text), l->signals, unit, &campaign, &wanted, &error) != FW_OK)
        fw_log_warn("unit %u: a campaign is left out: %s", l->unit, error.text);
    else if (wanted)
        memcpy(&set->list[set->count++], &campaign, sizeof campaign);
    free(text);
}

static fw_status compile(const fw_unit_campaign_list *l, const char *json, size_t size_bytes,
                         fw_unit_campaigns *set, fw_error *error) {
    json_t *root = size_bytes <= FW_UNIT_CAMPAIGNS_JSON_MAX ? json_loadb(json, size_bytes, 0, NULL)
                                                            : NULL;
    const json_t *list = json_object_get(root, "campaigns");
    if (!json_is_array(list)) {
        json_decref(root);
        return fw_fail(error, FW_INVALID, "the factory's answer is no list of campaigns");
    }
    for (size_t i = 0; i < json_array_size(list) && set->count < FW_CAMPAIGNS_MAX; i++)
        add_one(l, json_array_get(list, i), set);
    const char *version = json_string_value(json_object_get(root, "version"));
    if (!set->version[0] && version && strlen(version) < sizeof set->version)
        strcpy(set->version, version);
    json_decref(root);
    return FW_OK;
}

static void stage(fw_unit_campaign_list *l, const fw_unit_campaigns *set) {
    fw_unit_shared *shared = l->shared;
    uint64_t sequence = atomic_load(&shared->campaign_writing) + 1;
    atomic_store(&shared->campaign_writing, sequence);
    atomic_thread_fence(memory_order_release); /* announced before a byte of it changes */
    fw_unit_campaign_slot *slot = &shared->sets[sequence & 1];
    fw_unit_slot_put(&slot->set, set, sizeof *set);
    atomic_store(&slot->crc, fw_unit_crc32(set, sizeof *set));
    atomic_store_explicit(&shared->campaign_staged, sequence, memory_order_release);
    memcpy(l->version, set->version, sizeof l->version);
}

void fw_unit_campaigns_open(fw_unit_campaign_list *l, const fw_unit_courier_config *config,
                            fw_unit_shared *shared) {
    static fw_unit_campaigns set; /* one courier a process */
    char *text = NULL;
    size_t size = 0;
    fw_error error;
    *l = (fw_unit_campaign_list){.env = config->env, .shared = shared, .signals = config->signals,
                                 .unit = config->unit};
    fw_path_join(l->path, sizeof l->path, config->data_folder, "campaigns.json");
    uint64_t staged = atomic_load(&shared->campaign_staged);
    if (staged != 0 && staged == atomic_load(&shared->campaign_writing)) { /* replaces one that died */
        memcpy(l->version, shared->sets[staged & 1].set.version, sizeof l->version);
        return;
    }
    if (!l->signals ||
        fw_file_read(l->path, FW_UNIT_CAMPAIGNS_JSON_MAX, &text, &size, &error) != FW_OK)
        return;
    memset(&set, 0, sizeof set);
    if (compile(l, text, size, &set, &error) == FW_OK)
        stage(l, &set);
    else
        fw_log_warn("unit %u: %s: %s", l->unit, l->path, error.text);
    free(text);
}

fw_status fw_unit_campaigns_take(fw_unit_campaign_list *l, const char *version, const char *json,
                                 size_t size_bytes, fw_error *error) {
    static fw_unit_campaigns set;
    memset(&set, 0, sizeof set);
    snprintf(set.version, sizeof set.version, "%s", version);
    FW_TRY(compile(l, json, size_bytes, &set, error));
    FW_TRY(fw_file_write_durable(l->env, l->path, json, size_bytes, error));
    stage(l, &set);
    fw_log_info("unit %u: %u campaigns, version %s", l->unit, set.count, set.version);
    return FW_OK;
}
