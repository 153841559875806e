/* salvage.c - whole ticks out of a cut recording (salvage.h). */
#include "lines/driving/act/salvage.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum {
    MESSAGES_MAX = FW_DRIVE_CHANNEL_COUNT + FW_DRIVE_EVENT_COUNT, /* of one tick */
    TICK_BYTES_MAX = MESSAGES_MAX * FW_DRIVE_MESSAGE_MAX,
    TEXT_MAX = 256 << 10, /* schemas and channels */
};

typedef struct held_message {
    uint32_t sequence, channel;
    uint64_t log_time_ns, publish_time_ns;
    size_t at, size_bytes; /* in the tick's bytes */
} held_message;

/* The tick that may not be whole yet. */
typedef struct held_tick {
    bool begun;
    uint32_t drive, tick, message_count;
    int64_t time_ns;
    uint32_t seen; /* bit set of channels */
    uint32_t events[FW_DRIVE_EVENT_COUNT];
    fw_hash model;
    held_message messages[MESSAGES_MAX];
    size_t used;
    uint8_t bytes[TICK_BYTES_MAX];
} held_tick;

typedef struct salvage {
    fw_mcap_reader *reader;
    fw_mcap_writer *writer;
    uint16_t ids[FW_DRIVE_CHANNEL_COUNT];
    fw_drive_salvaged result;
    uint32_t last_tick;
    uint32_t sequences[FW_DRIVE_CHANNEL_COUNT]; /* of the next message: a gap is a chunk that was lost */
    held_tick tick;
} salvage;

/* ---- what messages say ---- */

static bool find_channel(const fw_mcap_message *m, uint32_t *out) {
    for (uint32_t i = 0; i < FW_DRIVE_CHANNEL_COUNT; i++)
        if (fw_mcap_text_is(m->channel->topic, fw_drive_channel_topic((fw_drive_channel)i))) {
            *out = i;
            return true;
        }
    return false;
}

static bool read_count(const json_t *json, const char *name, uint32_t *out) {
    const json_t *value = json_object_get(json, name);
    if (!json_is_integer(value)) return false;
    int64_t number = json_integer_value(value);
    if (number < 0 || number > UINT32_MAX) return false;
    *out = (uint32_t)number;
    return true;
}

static void count_event(held_tick *t, const char *name) {
    for (int i = 0; name && i < FW_DRIVE_EVENT_COUNT; i++)
        if (strcmp(name, fw_drive_event_name((fw_drive_event)i)) == 0) t->events[i]++;
}

/* Takes from a message what the metadata will need; false when it is not what it should be. */
static bool understand(held_tick *t, uint32_t channel, const fw_mcap_message *m) {
    bool good = true;
    if (channel != FW_DRIVE_CHANNEL_EGO && channel != FW_DRIVE_CHANNEL_ACTION &&
        channel != FW_DRIVE_CHANNEL_EVENT)
        return true;
    json_t *json = json_loadb((const char *)m->data, (size_t)m->size_bytes, 0, NULL);
    if (channel == FW_DRIVE_CHANNEL_EGO) {
        good = read_count(json, "drive", &t->drive) && read_count(json, "tick", &t->tick);
    } else if (channel == FW_DRIVE_CHANNEL_ACTION) {
        const char *model = json_string_value(json_object_get(json, "model"));
        good = model && (!model[0] || fw_hash_parse(model, &t->model, NULL) == FW_OK);
    } else {
        count_event(t, json_string_value(json_object_get(json, "event")));
    }
    json_decref(json);
    return good;
}

/* ---- ticks ---- */

static bool is_whole(const held_tick *t) {
    static const uint32_t needed = 1u << FW_DRIVE_CHANNEL_EGO | 1u << FW_DRIVE_CHANNEL_USERS |
                                   1u << FW_DRIVE_CHANNEL_SIGNAL |
                                   1u << FW_DRIVE_CHANNEL_CONFLICTS | 1u << FW_DRIVE_CHANNEL_ACTION;
    return t->begun && (t->seen & needed) == needed;
}

static bool follows(const salvage *s) {
    const fw_drive_recorded *what = &s->result.what;
    return what->ticks == 0 ||
           (s->tick.drive == what->drive && s->tick.tick > s->last_tick &&
            s->tick.time_ns >= s->result.last_ns && what->ticks < FW_DRIVE_RECORDING_TICKS_MAX);
}

/* Writes the held tick; FW_END when the file must end before it. */
static fw_status write_tick(salvage *s, fw_error *error) {
    held_tick *t = &s->tick;
    fw_drive_recorded *what = &s->result.what;
    if (!is_whole(t) || !follows(s)) return FW_END;
    for (uint32_t i = 0; i < t->message_count; i++) {
        const held_message *m = &t->messages[i];
        FW_TRY(fw_mcap_writer_message(s->writer, s->ids[m->channel], m->sequence, m->log_time_ns,
                                      m->publish_time_ns, t->bytes + m->at, m->size_bytes, error));
    }
    if (what->ticks == 0) {
        what->drive = t->drive;
        what->first_tick = t->tick;
        s->result.first_ns = t->time_ns;
    }
    for (int i = 0; i < FW_DRIVE_EVENT_COUNT; i++) what->event_counts[i] += t->events[i];
    what->ticks++;
    what->model = t->model;
    s->last_tick = t->tick;
    s->result.last_ns = t->time_ns;
    return FW_OK;
}

static void begin_tick(held_tick *t, const fw_mcap_message *m) {
    t->begun = true;
    t->message_count = t->seen = 0;
    t->used = 0;
    t->time_ns = (int64_t)m->log_time_ns;
    memset(t->events, 0, sizeof t->events);
    memset(&t->model, 0, sizeof t->model);
}

/* FW_END when nothing more can be taken. */
static fw_status take_message(salvage *s, const fw_mcap_message *m, fw_error *error) {
    held_tick *t = &s->tick;
    uint32_t channel = 0;
    bool ours = find_channel(m, &channel);
    if (ours && channel == FW_DRIVE_CHANNEL_EGO) {
        if (t->begun) FW_TRY(write_tick(s, error));
        begin_tick(t, m);
    }
    if (!t->begun || !ours || m->sequence != s->sequences[channel]++ || t->message_count == MESSAGES_MAX || m->size_bytes > TICK_BYTES_MAX - t->used ||
        m->size_bytes > FW_DRIVE_MESSAGE_MAX || !understand(t, channel, m)) {
        t->begun = false; /* not a tick the recorder writes */
        return FW_END;
    }
    t->messages[t->message_count++] =
        (held_message){.sequence = m->sequence, .channel = channel, .log_time_ns = m->log_time_ns,
                       .publish_time_ns = m->publish_time_ns, .at = t->used,
                       .size_bytes = (size_t)m->size_bytes};
    memcpy(t->bytes + t->used, m->data, (size_t)m->size_bytes);
    t->used += (size_t)m->size_bytes;
    t->seen |= 1u << channel;
    return FW_OK;
}

/* ---- the whole ---- */

/* All ticks up to where the file breaks off. */
static fw_status copy_ticks(salvage *s, fw_error *error) {
    for (;;) {
        fw_mcap_message m;
        fw_error why;
        fw_status status = fw_mcap_reader_next_message(s->reader, &m, &why);
        if (status == FW_END && s->tick.begun) { /* it was whole after all: so is its last tick */
            status = write_tick(s, error);
            return status == FW_END ? FW_OK : status;
        }
        if (status == FW_NO_MEMORY || status == FW_IO) return fw_fail(error, status, "%s", why.text);
        if (status != FW_OK) return FW_OK;
        status = take_message(s, &m, error);
        if (status == FW_END) return FW_OK;
        FW_TRY(status);
    }
}

static fw_status run(salvage *s, const char *path, fw_mcap_sink sink, const char *unit,
                     const char *campaign, int64_t trigger_ns, fw_error *error) {
    static const fw_mcap_limits limits = {.record_max_bytes = FW_DRIVE_SALVAGE_CHUNK_MAX,
                                          .chunk_max_bytes = FW_DRIVE_SALVAGE_CHUNK_MAX,
                                          .text_max_bytes = TEXT_MAX};
    FW_TRY(fw_mcap_reader_open_path(&limits, path, &s->reader, error));
    FW_TRY(fw_mcap_writer_open(&fw_drive_file_options, &s->writer, error));
    FW_TRY(fw_mcap_writer_begin(s->writer, sink, "", "flywheel", error));
    FW_TRY(fw_drive_file_channels(s->writer, s->ids, error));
    FW_TRY(copy_ticks(s, error));
    if (s->result.what.ticks < 2)
        return fw_fail(error, FW_CORRUPT, "%s holds no two whole ticks", path);
    FW_TRY(fw_drive_file_metadata(s->writer, unit, campaign, trigger_ns, &s->result.what, error));
    FW_TRY(fw_mcap_writer_end(s->writer, error));
    s->result.size_bytes = fw_mcap_writer_size_bytes(s->writer);
    return FW_OK;
}

fw_status fw_drive_salvage(const char *path, fw_mcap_sink sink, const char *unit,
                           const char *campaign, int64_t trigger_ns, fw_drive_salvaged *out,
                           fw_error *error) {
    salvage *s = calloc(1, sizeof *s);
    if (!s) return fw_fail(error, FW_NO_MEMORY, "salvage: no memory");
    fw_status status = run(s, path, sink, unit, campaign, trigger_ns, error);
    if (status == FW_OK) *out = s->result;
    fw_mcap_reader_close(s->reader);
    fw_mcap_writer_close(s->writer);
    free(s);
    return status;
}
