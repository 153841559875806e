/* scan.c - one recording looked through (scan.h). */
#include "factory/catalogue/scan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "factory/catalogue/json_fields.h"
#include "mcap/mcap.h"

static const fw_mcap_limits limits = {.record_max_bytes = 16 << 20,
                                      .chunk_max_bytes = 16 << 20,
                                      .text_max_bytes = 4 << 20,
                                      .chunks_max = 1 << 16,
                                      .messages_max = 1 << 22};

enum { NONE = UINT16_MAX, NOT_LISTED = UINT16_MAX - 1, CHANNEL_IDS = 1 << 16 };

/* A file being looked through. Indexes are into scan's lists. */
typedef struct collector {
    fw_scan scan;
    uint16_t listed[CHANNEL_IDS]; /* by channel id: its place in scan.channels, NONE: not yet */
    uint16_t first_field[FW_SCAN_CHANNELS_MAX], cursor[FW_SCAN_CHANNELS_MAX];
    bool is_json[FW_SCAN_CHANNELS_MAX];
    uint16_t next_field[FW_SCAN_FIELDS_MAX]; /* the next of the same channel */
    int64_t place_cells[FW_SCAN_PLACES_MAX][2];
    uint32_t last_place;
    uint16_t place_channel; /* the first topic that gave a place; NONE: none so far */
    uint32_t second_samples;
    /* of the message being read */
    uint16_t channel;
    bool has_x, has_y;
    double x_m, y_m, speed_mps;
} collector;

/* ---- words ---- */

static bool printable(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (text[i] < 0x21 || text[i] > 0x7e || text[i] == '"' || text[i] == '\\') return false;
    return size > 0;
}

static bool kind_valid(const char *kind) {
    size_t size = strlen(kind);
    return size > 0 && size < FW_SCAN_KIND_MAX &&
           strspn(kind, "abcdefghijklmnopqrstuvwxyz0123456789_") == size;
}

/* ---- events ---- */

static fw_status add_event(fw_scan *scan, const fw_mcap_message *message, fw_error *error) {
    if (scan->event_count == FW_SCAN_EVENTS_MAX)
        return fw_fail(error, FW_TOO_BIG, "more than %d events in one recording",
                       FW_SCAN_EVENTS_MAX);
    json_t *json = fw_json_load((const char *)message->data, (size_t)message->size_bytes,
                              JSON_REJECT_DUPLICATES, NULL);
    const char *kind = json_string_value(json_object_get(json, "event"));
    json_t *value = json_object_get(json, "value");
    if (!kind || !kind_valid(kind) || message->log_time_ns > INT64_MAX) {
        json_decref(json);
        return fw_fail(error, FW_CORRUPT, "event %u is not {\"event\": name, \"value\": number}",
                       scan->event_count);
    }
    if (scan->event_count % 64 == 0) {
        fw_scan_event *grown =
            realloc(scan->events, (scan->event_count + 64) * sizeof *scan->events);
        if (!grown) {
            json_decref(json);
            return fw_fail(error, FW_NO_MEMORY, "no memory for events");
        }
        scan->events = grown;
    }
    fw_scan_event *event = &scan->events[scan->event_count++];
    snprintf(event->kind, sizeof event->kind, "%s", kind);
    event->time_ns = (int64_t)message->log_time_ns;
    event->value = json_is_number(value) ? json_number_value(value) : NAN;
    json_decref(json);
    return FW_OK;
}

/* ---- models, fields ---- */

static void add_model(fw_scan *scan, const char *text, size_t size) {
    char hex[FW_HASH_HEX + 1];
    if (size != FW_HASH_HEX) return;
    memcpy(hex, text, size);
    hex[size] = '\0';
    for (uint32_t i = scan->model_count; i-- > 0;)
        if (memcmp(scan->models[i], hex, FW_HASH_HEX) == 0) return;
    if (scan->model_count == FW_SCAN_MODELS_MAX || !fw_hash_valid(hex)) return;
    memcpy(scan->models[scan->model_count++], hex, sizeof hex);
}

/* Where the name of a field of this channel begins: behind "topic.". */
static bool named(const collector *c, uint16_t field, const fw_json_field *f) {
    const char *name = c->scan.fields[field].name + strlen(c->scan.channels[c->channel].topic) + 1;
    return strncmp(name, f->name, f->name_bytes) == 0 && name[f->name_bytes] == '\0';
}

/* The field's place in the list; fields come in the same order in every message, so the search starts
 * behind the one before. NONE when the list is full. */
static uint16_t find_field(collector *c, const fw_json_field *f) {
    uint16_t last = NONE, start = c->cursor[c->channel];
    for (uint16_t i = start; i != NONE; last = i, i = c->next_field[i])
        if (named(c, i, f)) return i;
    for (uint16_t i = c->first_field[c->channel]; i != start; i = c->next_field[i])
        if (named(c, i, f)) return i;
    const char *topic = c->scan.channels[c->channel].topic;
    fw_scan_field *field = &c->scan.fields[c->scan.field_count];
    if (c->scan.field_count == FW_SCAN_FIELDS_MAX || !printable(f->name, f->name_bytes) ||
        strlen(topic) + f->name_bytes + 2 > sizeof field->name)
        return NONE;
    snprintf(field->name, sizeof field->name, "%s.%.*s", topic, (int)f->name_bytes, f->name);
    uint16_t index = (uint16_t)c->scan.field_count++;
    if (start == NONE) { /* the search began at the end: find the last one */
        for (uint16_t i = c->first_field[c->channel]; i != NONE; i = c->next_field[i]) last = i;
    }
    c->next_field[index] = NONE;
    if (last == NONE)
        c->first_field[c->channel] = index;
    else
        c->next_field[last] = index;
    return index;
}

static void count_number(collector *c, const fw_json_field *f) {
    uint16_t index = find_field(c, f);
    if (index == NONE) return;
    fw_scan_field *field = &c->scan.fields[index];
    c->cursor[c->channel] = c->next_field[index];
    if (field->count == 0 || f->number < field->min) field->min = f->number;
    if (field->count == 0 || f->number > field->max) field->max = f->number;
    field->sum += f->number;
    field->count++;
}

static bool is(const fw_json_field *f, const char *name) {
    return strlen(name) == f->name_bytes && memcmp(name, f->name, f->name_bytes) == 0;
}

static void take_field(void *self, const fw_json_field *f) {
    collector *c = self;
    if (!f->is_number) {
        if (is(f, "model")) add_model(&c->scan, f->text, f->text_bytes);
        return;
    }
    if (!(fabs(f->number) < 1e300)) return;
    count_number(c, f);
    if (is(f, "x_m")) c->has_x = true, c->x_m = f->number;
    if (is(f, "y_m")) c->has_y = true, c->y_m = f->number;
    if (is(f, "speed_mps")) c->speed_mps = f->number;
}

/* ---- places ---- */

static void widen(fw_scan_place *p, double x_m, double y_m) {
    if (x_m < p->x_min) p->x_min = x_m;
    if (x_m > p->x_max) p->x_max = x_m;
    if (y_m < p->y_min) p->y_min = y_m;
    if (y_m > p->y_max) p->y_max = y_m;
}

static void add_place(collector *c, double x_m, double y_m) {
    fw_scan *scan = &c->scan;
    if (!(fabs(x_m) < 1e9 && fabs(y_m) < 1e9)) return;
    int64_t cell[2] = {(int64_t)floor(x_m / FW_SCAN_PLACE_M), (int64_t)floor(y_m / FW_SCAN_PLACE_M)};
    uint32_t at = c->last_place;
    if (at >= scan->place_count || memcmp(c->place_cells[at], cell, sizeof cell) != 0)
        for (at = 0; at < scan->place_count; at++)
            if (memcmp(c->place_cells[at], cell, sizeof cell) == 0) break;
    if (at == scan->place_count) {
        if (at == FW_SCAN_PLACES_MAX) { /* the last box takes the rest of a long way */
            widen(&scan->places[at - 1], x_m, y_m);
            return;
        }
        memcpy(c->place_cells[at], cell, sizeof cell);
        scan->places[scan->place_count++] = (fw_scan_place){x_m, x_m, y_m, y_m};
    }
    widen(&scan->places[at], x_m, y_m);
    c->last_place = at;
}

/* Means by second of the topic that first said where it was. */
static void add_second(collector *c, int64_t time_ns) {
    fw_scan *scan = &c->scan;
    if (c->place_channel == NONE) c->place_channel = c->channel;
    if (c->place_channel != c->channel || !(fabs(c->x_m) < 1e9 && fabs(c->y_m) < 1e9)) return;
    int64_t index = (time_ns - scan->start_ns) / 1000000000;
    fw_scan_second *s = &scan->seconds[scan->second_count > 0 ? scan->second_count - 1 : 0];
    if (scan->second_count == 0 || s->index != index) {
        if (scan->second_count == FW_SCAN_SECONDS_MAX) return;
        s = &scan->seconds[scan->second_count++];
        *s = (fw_scan_second){.index = index};
        c->second_samples = 0;
    }
    double share = 1.0 / ++c->second_samples;
    s->x_m += (c->x_m - s->x_m) * share;
    s->y_m += (c->y_m - s->y_m) * share;
    s->speed_mps += (c->speed_mps - s->speed_mps) * share;
}

/* ---- messages ---- */

/* The channel's place in the list, or NOT_LISTED. */
static uint16_t list_channel(collector *c, const fw_mcap_message *m) {
    fw_scan_channel found = {.messages = 0};
    fw_scan *scan = &c->scan;
    if (!fw_mcap_text_copy(m->channel->topic, found.topic, sizeof found.topic) ||
        !printable(found.topic, strlen(found.topic)))
        return NOT_LISTED;
    for (uint32_t i = 0; i < scan->channel_count; i++)
        if (strcmp(scan->channels[i].topic, found.topic) == 0) return (uint16_t)i;
    if (scan->channel_count == FW_SCAN_CHANNELS_MAX) return NOT_LISTED;
    fw_mcap_text encoding = m->channel->message_encoding;
    if (!printable(encoding.bytes, encoding.size_bytes) ||
        !fw_mcap_text_copy(encoding, found.encoding, sizeof found.encoding))
        found.encoding[0] = '\0';
    if (!m->schema || !printable(m->schema->name.bytes, m->schema->name.size_bytes) ||
        !fw_mcap_text_copy(m->schema->name, found.schema, sizeof found.schema))
        found.schema[0] = '\0';
    uint16_t at = (uint16_t)scan->channel_count++;
    scan->channels[at] = found;
    c->is_json[at] = strcmp(found.encoding, "json") == 0;
    c->first_field[at] = c->cursor[at] = NONE;
    return at;
}

static fw_status take_message(collector *c, const fw_mcap_message *m, fw_error *error) {
    uint16_t *listed = &c->listed[m->channel_id];
    if (fw_mcap_text_is(m->channel->topic, "/event")) FW_TRY(add_event(&c->scan, m, error));
    if (*listed == NONE) *listed = list_channel(c, m);
    if (*listed == NOT_LISTED) return FW_OK;
    c->channel = *listed;
    fw_scan_channel *channel = &c->scan.channels[c->channel];
    channel->messages++;
    channel->bytes += (int64_t)m->size_bytes;
    if (!c->is_json[c->channel]) return FW_OK;
    c->has_x = c->has_y = false;
    c->speed_mps = 0;
    c->cursor[c->channel] = c->first_field[c->channel];
    (void)fw_json_fields(m->data, (size_t)m->size_bytes, take_field, c);
    if (!c->has_x || !c->has_y) return FW_OK;
    add_place(c, c->x_m, c->y_m);
    add_second(c, (int64_t)m->log_time_ns);
    return FW_OK;
}

/* ---- the metadata record ---- */

static fw_status take_name(fw_mcap_map map, const char *key, char out[FW_SCAN_NAME_MAX],
                           fw_error *error) {
    fw_mcap_text text;
    if (!fw_mcap_map_find(map, key, &text)) return FW_OK;
    if (text.size_bytes == 0 || !fw_mcap_text_copy(text, out, FW_SCAN_NAME_MAX) ||
        !printable(out, strlen(out)))
        return fw_fail(error, FW_CORRUPT,
                       "%s in the metadata record \"flywheel\" is not 1 to %d printable characters",
                       key, FW_SCAN_NAME_MAX - 1);
    return FW_OK;
}

static fw_status take_metadata(fw_scan *scan, const fw_mcap_metadata *metadata, fw_error *error) {
    fw_mcap_text model;
    if (!fw_mcap_text_is(metadata->name, "flywheel")) return FW_OK;
    if (scan->described)
        return fw_fail(error, FW_CORRUPT, "two metadata records \"flywheel\" in one recording");
    scan->described = true;
    FW_TRY(take_name(metadata->map, "line", scan->line, error));
    FW_TRY(take_name(metadata->map, "form", scan->form, error));
    FW_TRY(take_name(metadata->map, "unit", scan->unit, error));
    FW_TRY(take_name(metadata->map, "campaign", scan->campaign, error));
    if (fw_mcap_map_find(metadata->map, "model", &model) &&
        fw_mcap_text_copy(model, scan->model, sizeof scan->model) && !fw_hash_valid(scan->model))
        scan->model[0] = '\0';
    if (scan->model[0]) add_model(scan, scan->model, FW_HASH_HEX);
    return FW_OK;
}

/* ---- the file ---- */

static fw_status collect(collector *c, const char *path, fw_error *error) {
    fw_mcap_reader *reader;
    fw_mcap_record record;
    FW_TRY(fw_mcap_reader_open_path(&limits, path, &reader, error));
    fw_status status;
    while ((status = fw_mcap_reader_next(reader, &record, error)) == FW_OK) {
        if (record.opcode == FW_MCAP_MESSAGE)
            status = take_message(c, &record.of.message, error);
        else if (record.opcode == FW_MCAP_METADATA)
            status = take_metadata(&c->scan, &record.of.metadata, error);
        if (status != FW_OK) break;
    }
    fw_mcap_reader_close(reader);
    return status == FW_END ? FW_OK : status;
}

static fw_status start(collector *c, const fw_mcap_info *info, fw_error *error) {
    fw_scan *scan = &c->scan;
    if (info->start_time_ns > INT64_MAX || info->end_time_ns > INT64_MAX)
        return fw_fail(error, FW_CORRUPT, "message times after the year 2262");
    if (info->message_count == 0)
        return fw_fail(error, FW_CORRUPT, "the recording holds no message");
    scan->messages = (int64_t)info->message_count;
    scan->start_ns = (int64_t)info->start_time_ns;
    scan->end_ns = (int64_t)info->end_time_ns;
    strcpy(scan->line, "driving");
    strcpy(scan->form, "drive");
    memset(c->listed, 0xff, sizeof c->listed);
    c->place_channel = NONE;
    scan->channels = calloc(FW_SCAN_CHANNELS_MAX, sizeof *scan->channels);
    scan->fields = calloc(FW_SCAN_FIELDS_MAX, sizeof *scan->fields);
    scan->places = calloc(FW_SCAN_PLACES_MAX, sizeof *scan->places);
    scan->seconds = calloc(FW_SCAN_SECONDS_MAX, sizeof *scan->seconds);
    if (scan->channels && scan->fields && scan->places && scan->seconds) return FW_OK;
    return fw_fail(error, FW_NO_MEMORY, "no memory to look through a recording");
}

/* What is not of the factory's own line and form only has to say what it is. */
static fw_status check_line(const fw_scan *scan, const char *path, const fw_factory_line *line,
                            fw_error *error) {
    if (strcmp(scan->line, line->name) == 0 && strcmp(scan->form, "drive") == 0)
        return line->check_recording(path, error);
    return FW_OK;
}

fw_status fw_scan_recording(const char *path, const fw_factory_line *line, fw_scan *out,
                            fw_error *error) {
    fw_mcap_info info;
    FW_TRY(fw_mcap_validate(&limits, path, &info, error));
    collector *c = calloc(1, sizeof *c);
    fw_status status = c ? start(c, &info, error)
                         : fw_fail(error, FW_NO_MEMORY, "no memory to look through a recording");
    fw_mcap_info_free(&info);
    if (status == FW_OK) status = collect(c, path, error);
    if (status == FW_OK) status = check_line(&c->scan, path, line, error);
    if (status == FW_OK)
        *out = c->scan;
    else if (c)
        fw_scan_clear(&c->scan);
    free(c);
    return status;
}

fw_status fw_scan_check_unit(const fw_scan *scan, const char *unit, fw_error *error) {
    if (!scan->unit[0] || strcmp(scan->unit, unit) == 0) return FW_OK;
    return fw_fail(error, FW_CORRUPT, "the recording is of unit %s, sent as unit %s", scan->unit,
                   unit);
}

void fw_scan_clear(fw_scan *scan) {
    free(scan->events);
    free(scan->channels);
    free(scan->fields);
    free(scan->places);
    free(scan->seconds);
    *scan = (fw_scan){0};
}
