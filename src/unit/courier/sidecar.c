/* sidecar.c - what a recording's file itself does not say: value, order, clocks (docs/formats/spool.md). */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "unit/courier/spool_state.h"

enum { SIDECAR_MAX = 4096 };

void fw_unit_sidecar_path(const fw_unit_spool *s, const fw_hash *hash, char out[FW_PATH_MAX]) {
    snprintf(out, FW_PATH_MAX, "%s/%.64s.json", s->folder, hash->hex);
}

void fw_unit_part_sidecar_path(const fw_unit_spool *s, uint64_t serial, char out[FW_PATH_MAX]) {
    snprintf(out, FW_PATH_MAX, "%s/%" PRIu64 ".part.json", s->folder, serial);
}

fw_status fw_unit_sidecar_write(const fw_unit_spool *s, const fw_unit_spooled *f, fw_error *error) {
    char path[FW_PATH_MAX], text[1024];
    fw_unit_sidecar_path(s, &f->hash, path);
    int size = snprintf(
        text, sizeof text,
        "{\"version\":1,\"order\":%" PRIu64 ",\"value\":%u,\"events\":%u,\"unit\":%u,\"drive\":%u,"
        "\"first_tick\":%u,\"ticks\":%u,\"campaign\":\"%s\",\"priority\":%u,\"held\":%s,"
        "\"salvaged\":%s,\"first_ns\":%" PRId64 ",\"last_ns\":%" PRId64 ",\"trigger_ns\":%" PRId64
        ",\"boot\":\"%s\",\"mono_ns\":%" PRId64 ",\"wall_ns\":%" PRId64 "}\n",
        f->order, f->value, f->events, s->config.unit, f->drive, f->first_tick, f->ticks,
        f->campaign, f->priority, f->held ? "true" : "false", f->salvaged ? "true" : "false",
        f->first_ns, f->last_ns, f->trigger_ns, f->boot, f->mono_ns, f->wall_ns);
    FW_ASSERT(size > 0 && (size_t)size < sizeof text);
    return fw_file_write_durable(s->config.env, path, text, (size_t)size, error);
}

/* ---- reading: nothing of it is believed unchecked ---- */

static json_t *read_json(const char *path) {
    char *text = NULL;
    size_t size = 0;
    fw_error error;
    if (fw_file_read(path, SIDECAR_MAX, &text, &size, &error) != FW_OK) return NULL;
    json_t *json = json_loadb(text, size, 0, NULL);
    free(text);
    return json;
}

static int64_t number_of(const json_t *json, const char *name, int64_t otherwise) {
    const json_t *value = json_object_get(json, name);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

static uint32_t count_of(const json_t *json, const char *name) {
    int64_t value = number_of(json, name, 0);
    return value > 0 && value <= UINT32_MAX ? (uint32_t)value : 0;
}

/* A word of letters, digits and . _ -, or nothing. */
static void word_of(const json_t *json, const char *name, char *out, size_t out_size) {
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    const char *text = json_string_value(json_object_get(json, name));
    out[0] = '\0';
    if (text && strlen(text) < out_size && strspn(text, letters) == strlen(text))
        strcpy(out, text);
}

void fw_unit_sidecar_read(const fw_unit_spool *s, fw_unit_spooled *f) {
    char path[FW_PATH_MAX];
    fw_unit_sidecar_path(s, &f->hash, path);
    json_t *json = read_json(path);
    if (!json) return;
    int64_t order = number_of(json, "order", 0);
    if (order > 0) f->order = (uint64_t)order;
    f->events = count_of(json, "events");
    f->drive = count_of(json, "drive");
    f->first_tick = count_of(json, "first_tick");
    f->ticks = count_of(json, "ticks");
    f->priority = count_of(json, "priority");
    if (f->priority > FW_CAMPAIGN_PRIORITY_MAX) f->priority = FW_CAMPAIGN_PRIORITY_MAX;
    f->held = json_is_true(json_object_get(json, "held"));
    f->salvaged = json_is_true(json_object_get(json, "salvaged"));
    f->first_ns = number_of(json, "first_ns", 0);
    f->last_ns = number_of(json, "last_ns", 0);
    f->trigger_ns = number_of(json, "trigger_ns", 0);
    f->mono_ns = number_of(json, "mono_ns", 0);
    f->wall_ns = number_of(json, "wall_ns", 0);
    word_of(json, "boot", f->boot, sizeof f->boot);
    word_of(json, "campaign", f->campaign, sizeof f->campaign);
    json_decref(json);
}

fw_status fw_unit_part_sidecar_write(const fw_unit_spool *s, uint64_t serial,
                                     const fw_unit_begin *b, fw_error *error) {
    char path[FW_PATH_MAX], text[512];
    fw_unit_part_sidecar_path(s, serial, path);
    int size = snprintf(text, sizeof text,
                        "{\"version\":1,\"campaign\":\"%.63s\",\"priority\":%u,\"trigger_ns\":%" PRId64
                        ",\"boot\":\"%.39s\",\"mono_ns\":%" PRId64 ",\"wall_ns\":%" PRId64 "}\n",
                        b->campaign, b->priority, b->trigger_ns, s->shared->boot, b->mono_ns,
                        b->wall_ns);
    FW_ASSERT(size > 0 && (size_t)size < sizeof text);
    return fw_file_write_durable(s->config.env, path, text, (size_t)size, error);
}

void fw_unit_part_sidecar_read(const fw_unit_spool *s, uint64_t serial, fw_unit_begin *b,
                               char boot[FW_UNIT_BOOT_MAX]) {
    char path[FW_PATH_MAX];
    fw_unit_part_sidecar_path(s, serial, path);
    json_t *json = read_json(path);
    if (!json) return;
    word_of(json, "campaign", b->campaign, sizeof b->campaign);
    b->priority = count_of(json, "priority");
    if (b->priority > FW_CAMPAIGN_PRIORITY_MAX) b->priority = FW_CAMPAIGN_PRIORITY_MAX;
    b->trigger_ns = number_of(json, "trigger_ns", 0);
    b->mono_ns = number_of(json, "mono_ns", 0);
    b->wall_ns = number_of(json, "wall_ns", 0);
    word_of(json, "boot", boot, FW_UNIT_BOOT_MAX);
    json_decref(json);
}
