/* spent.c - DIR/spent.json and shared->spent (spent.h). */
#include "unit/courier/spent.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"

enum { ENTRY_MAX = FW_CAMPAIGN_ID_MAX + 100, TEXT_MAX = FW_UNIT_SPENT_MAX * ENTRY_MAX + 64 };

/* The campaign's place, made where it has none; NULL: all are taken. */
static fw_unit_spent *place_of(fw_unit_shared *shared, const char *campaign) {
    uint32_t count = atomic_load(&shared->spent_count);
    fw_unit_spent *found = fw_unit_spent_find(shared, campaign);
    if (found || count == FW_UNIT_SPENT_MAX) return found;
    fw_unit_spent *fresh = &shared->spent[count];
    snprintf(fresh->campaign, sizeof fresh->campaign, "%s", campaign);
    atomic_store(&shared->spent_count, count + 1);
    return fresh;
}

static void take_entry(fw_unit_shared *shared, const json_t *entry) {
    const char *campaign = json_string_value(json_object_get(entry, "campaign"));
    json_int_t captures = json_integer_value(json_object_get(entry, "captures"));
    json_int_t bytes = json_integer_value(json_object_get(entry, "bytes"));
    if (!campaign || !campaign[0] || strlen(campaign) >= FW_CAMPAIGN_ID_MAX) return;
    if (captures < 0 || bytes < 0) return;
    fw_unit_spent *spent = place_of(shared, campaign);
    if (!spent) return;
    atomic_store(&spent->captures, (uint64_t)captures);
    atomic_store(&spent->bytes, (uint64_t)bytes);
}

void fw_unit_spent_load(fw_unit_shared *shared, const char *data_folder) {
    char path[FW_PATH_MAX], *text = NULL;
    size_t size = 0;
    fw_error error;
    if (atomic_load(&shared->spent_count) > 0) return;
    fw_path_join(path, sizeof path, data_folder, "spent.json");
    if (fw_file_read(path, TEXT_MAX, &text, &size, &error) != FW_OK) return;
    json_t *json = json_loadb(text, size, 0, NULL);
    const json_t *list = json_object_get(json, "spent");
    size_t count = json_array_size(list), most = FW_UNIT_SPENT_MAX / 2;
    for (size_t i = count > most ? count - most : 0; i < count; i++)
        take_entry(shared, json_array_get(list, i));
    json_decref(json);
    free(text);
}

static size_t put_entry(char *out, size_t room, fw_unit_spent *s, bool last) {
    int size = snprintf(out, room, "{\"campaign\":\"%s\",\"captures\":%" PRIu64 ",\"bytes\":%" PRIu64 "}%s",
                        s->campaign, atomic_load(&s->captures), atomic_load(&s->bytes), last ? "" : ",");
    FW_ASSERT(size > 0 && (size_t)size < room);
    return (size_t)size;
}

/* The one used last comes last: a start that must choose keeps it. */
static fw_status keep(fw_unit_shared *shared, const fw_env *env, const char *data_folder,
                      fw_unit_spent *newest, fw_error *error) {
    char path[FW_PATH_MAX], text[TEXT_MAX];
    size_t used = (size_t)snprintf(text, sizeof text, "{\"version\":1,\"spent\":[");
    for (uint32_t i = 0; i < atomic_load(&shared->spent_count); i++)
        if (&shared->spent[i] != newest)
            used += put_entry(text + used, sizeof text - used, &shared->spent[i], false);
    used += put_entry(text + used, sizeof text - used, newest, true);
    used += (size_t)snprintf(text + used, sizeof text - used, "]}\n");
    fw_path_join(path, sizeof path, data_folder, "spent.json");
    return fw_file_write_durable(env, path, text, used, error);
}

void fw_unit_spent_add(fw_unit_shared *shared, const fw_env *env, const char *data_folder,
                       const char *campaign, uint64_t size_bytes) {
    fw_error error;
    fw_unit_spent *spent = place_of(shared, campaign);
    if (!spent) {
        fw_log_warn("unit: campaign %s: its budget is not kept over a restart: too many campaigns", campaign);
        return;
    }
    atomic_fetch_add(&spent->captures, 1);
    atomic_fetch_add(&spent->bytes, size_bytes);
    if (keep(shared, env, data_folder, spent, &error) != FW_OK)
        fw_log_warn("unit: campaign %s: its budget is not kept over a restart: %s", campaign, error.text);
}
