/* recorder.c - the driving line's recordings (recorder.h). */
#include "lines/driving/act/recorder.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_TICKS_MIN = 8 }; /* between two chunks closed by time: chunks_max below holds */

struct fw_drive_recorder {
    fw_mcap_writer *mcap;
    char unit[32];
    char campaign[64]; /* empty: no capture */
    int64_t trigger_ns;
    int64_t chunk_ns; /* 0: chunks close by size alone */
    int64_t chunk_since_ns;
    uint32_t chunk_ticks;
    fw_drive_writer writer;
    fw_drive_recorded so_far;
    uint32_t last_tick;
    int64_t last_time_ns;
    uint16_t channels[FW_DRIVE_CHANNEL_COUNT];
    uint32_t sequences[FW_DRIVE_CHANNEL_COUNT];
    char message[FW_DRIVE_MESSAGE_MAX];
};

const fw_mcap_writer_options fw_drive_file_options = {
    .zstd_level = 1,
    .chunk_bytes = 256 << 10,
    .message_max_bytes = FW_DRIVE_MESSAGE_MAX + 1024,
    .schemas_max = FW_DRIVE_CHANNEL_COUNT,
    .channels_max = FW_DRIVE_CHANNEL_COUNT,
    /* every message at its largest, six a tick */
    .chunks_max = FW_DRIVE_RECORDING_TICKS_MAX / 2,
};

fw_status fw_drive_recorder_open(fw_drive_recorder **out, fw_error *error) {
    fw_drive_recorder *recorder = calloc(1, sizeof *recorder);
    if (!recorder) return fw_fail(error, FW_NO_MEMORY, "recorder: no memory");
    fw_status status = fw_mcap_writer_open(&fw_drive_file_options, &recorder->mcap, error);
    if (status != FW_OK) {
        free(recorder);
        return status;
    }
    *out = recorder;
    return FW_OK;
}

void fw_drive_recorder_close(fw_drive_recorder *recorder) {
    if (!recorder) return;
    fw_mcap_writer_close(recorder->mcap);
    free(recorder);
}

fw_status fw_drive_file_channels(fw_mcap_writer *mcap, uint16_t ids[FW_DRIVE_CHANNEL_COUNT],
                                 fw_error *error) {
    for (int i = 0; i < FW_DRIVE_CHANNEL_COUNT; i++) {
        fw_drive_channel channel = (fw_drive_channel)i;
        const char *schema = fw_drive_channel_schema(channel);
        uint16_t schema_id = 0;
        FW_TRY(fw_mcap_writer_add_schema(mcap, fw_drive_channel_schema_name(channel), "jsonschema",
                                         schema, strlen(schema), &schema_id, error));
        FW_TRY(fw_mcap_writer_add_channel(mcap, schema_id, fw_drive_channel_topic(channel), "json",
                                          NULL, 0, &ids[i], error));
    }
    return FW_OK;
}

fw_status fw_drive_recorder_begin(fw_drive_recorder *r, fw_mcap_sink sink, const char *unit,
                                  fw_error *error) {
    memset(&r->writer, 0, sizeof r->writer);
    memset(&r->so_far, 0, sizeof r->so_far);
    memset(r->sequences, 0, sizeof r->sequences);
    FW_ASSERT(strlen(unit) < sizeof r->unit);
    strcpy(r->unit, unit);
    r->campaign[0] = '\0';
    r->chunk_ticks = 0;
    FW_TRY(fw_mcap_writer_begin(r->mcap, sink, "", "flywheel", error));
    return fw_drive_file_channels(r->mcap, r->channels, error);
}

void fw_drive_recorder_mark(fw_drive_recorder *r, const char *campaign, int64_t trigger_ns) {
    FW_ASSERT(strlen(campaign) < sizeof r->campaign);
    strcpy(r->campaign, campaign);
    r->trigger_ns = trigger_ns;
}

void fw_drive_recorder_set_chunk_ns(fw_drive_recorder *r, int64_t chunk_ns) {
    r->chunk_ns = chunk_ns;
}

/* Closes the chunk when it has lasted long enough. */
static fw_status close_chunk(fw_drive_recorder *r, int64_t time_ns, fw_error *error) {
    if (r->chunk_ns == 0) return FW_OK;
    if (r->chunk_ticks++ == 0) r->chunk_since_ns = time_ns;
    if (r->chunk_ticks < CHUNK_TICKS_MIN || time_ns - r->chunk_since_ns < r->chunk_ns) return FW_OK;
    r->chunk_ticks = 0;
    return fw_mcap_writer_flush(r->mcap, error);
}

static fw_status add_message(fw_drive_recorder *r, fw_drive_channel channel, int64_t time_ns,
                             size_t size_bytes, fw_error *error) {
    if (size_bytes == 0) return FW_OK;
    return fw_mcap_writer_message(r->mcap, r->channels[channel], r->sequences[channel]++,
                                  (uint64_t)time_ns, (uint64_t)time_ns, r->message, size_bytes,
                                  error);
}

bool fw_drive_recorder_continues(const fw_drive_recorder *r, const fw_drive_obs *obs) {
    if (r->so_far.ticks == 0) return true;
    bool route_gap = obs->path_count > 0 && r->writer.route_next > 0 &&
                     obs->path_first > r->writer.route_next;
    return r->so_far.ticks < FW_DRIVE_RECORDING_TICKS_MAX && obs->drive == r->so_far.drive &&
           obs->tick > r->last_tick && obs->time_ns >= r->last_time_ns && !route_gap;
}

fw_status fw_drive_recorder_tick(fw_drive_recorder *r, const fw_drive_obs *obs,
                                 const fw_drive_decision *decision, uint32_t events,
                                 const double values[FW_DRIVE_EVENT_COUNT], fw_error *error) {
    if (r->so_far.ticks == FW_DRIVE_RECORDING_TICKS_MAX)
        return fw_fail(error, FW_TOO_BIG, "recorder: the file has its %d ticks",
                       FW_DRIVE_RECORDING_TICKS_MAX);
    if (r->so_far.ticks == 0) {
        r->so_far.drive = obs->drive;
        r->so_far.first_tick = obs->tick;
    }
    for (int i = 0; i < FW_DRIVE_CHANNEL_EVENT; i++) {
        fw_drive_channel channel = (fw_drive_channel)i;
        size_t size = fw_drive_write(&r->writer, channel, obs, decision, r->message,
                                     sizeof r->message);
        FW_TRY(add_message(r, channel, obs->time_ns, size, error));
    }
    for (int i = 0; i < FW_DRIVE_EVENT_COUNT; i++) {
        if (!(events & 1u << i)) continue;
        size_t size = fw_drive_write_event((fw_drive_event)i, obs, values[i], r->message,
                                           sizeof r->message);
        FW_TRY(add_message(r, FW_DRIVE_CHANNEL_EVENT, obs->time_ns, size, error));
        r->so_far.event_counts[i]++;
    }
    r->so_far.ticks++;
    r->last_tick = obs->tick;
    r->last_time_ns = obs->time_ns;
    r->so_far.model = decision->model;
    return close_chunk(r, obs->time_ns, error);
}

/* {"hard_brake":2,"low_ttc":1}: only those that came. */
static void summarise_events(const fw_drive_recorded *so_far, char *out, size_t out_size) {
    size_t used = (size_t)snprintf(out, out_size, "{");
    for (int i = 0; i < FW_DRIVE_EVENT_COUNT; i++) {
        if (so_far->event_counts[i] == 0) continue;
        int put = snprintf(out + used, out_size - used, "%s\"%s\":%u", used > 1 ? "," : "",
                           fw_drive_event_name((fw_drive_event)i), so_far->event_counts[i]);
        used += (size_t)put;
        FW_ASSERT(used + 2 < out_size);
    }
    out[used] = '}';
    out[used + 1] = '\0';
}

fw_status fw_drive_file_metadata(fw_mcap_writer *mcap, const char *unit, const char *campaign,
                                 int64_t trigger_ns, const fw_drive_recorded *what,
                                 fw_error *error) {
    char drive[16], first_tick[16], ticks[16], version[16], events[256], trigger[24];
    snprintf(drive, sizeof drive, "%u", what->drive);
    snprintf(first_tick, sizeof first_tick, "%u", what->first_tick);
    snprintf(ticks, sizeof ticks, "%u", what->ticks);
    snprintf(version, sizeof version, "%d", FW_DRIVE_VERSION);
    snprintf(trigger, sizeof trigger, "%" PRId64, trigger_ns);
    summarise_events(what, events, sizeof events);
    const fw_mcap_pair pairs[] = {
        {"line", "driving"}, {"version", version}, {"unit", unit},
        {"drive", drive}, {"first_tick", first_tick}, {"ticks", ticks},
        {"model", what->model.hex}, {"events", events},
        {"campaign", campaign}, {"trigger_ns", trigger},
    };
    size_t count = sizeof pairs / sizeof *pairs - (campaign && campaign[0] ? 0 : 2);
    return fw_mcap_writer_metadata(mcap, "flywheel", pairs, count, error);
}

fw_status fw_drive_recorder_end(fw_drive_recorder *r, fw_drive_recorded *out, fw_error *error) {
    FW_TRY(fw_drive_file_metadata(r->mcap, r->unit, r->campaign, r->trigger_ns, &r->so_far, error));
    FW_TRY(fw_mcap_writer_end(r->mcap, error));
    *out = r->so_far;
    return FW_OK;
}

const fw_drive_recorded *fw_drive_recorder_so_far(const fw_drive_recorder *r) { return &r->so_far; }

uint64_t fw_drive_recorder_size_bytes(const fw_drive_recorder *r) {
    return fw_mcap_writer_size_bytes(r->mcap);
}
