#include "factory/scan.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mcap/mcap.h"

static const fw_mcap_limits limits = {.record_max_bytes = 16 << 20,
                                      .chunk_max_bytes = 16 << 20,
                                      .text_max_bytes = 4 << 20,
                                      .chunks_max = 1 << 16,
                                      .messages_max = 1 << 22};

static bool kind_valid(const char *kind) {
    size_t size = strlen(kind);
    return size > 0 && size < FW_SCAN_KIND_MAX &&
           strspn(kind, "abcdefghijklmnopqrstuvwxyz0123456789_") == size;
}

static fw_status add_event(fw_scan *scan, const fw_mcap_message *message, fw_error *error) {
    if (scan->event_count == FW_SCAN_EVENTS_MAX)
        return fw_fail(error, FW_TOO_BIG, "more than %d events in one recording",
                       FW_SCAN_EVENTS_MAX);
    json_t *json = json_loadb((const char *)message->data, (size_t)message->size_bytes,
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

static fw_status read_events(const char *path, fw_scan *scan, fw_error *error) {
    fw_mcap_reader *reader;
    fw_mcap_message message;
    FW_TRY(fw_mcap_reader_open_path(&limits, path, &reader, error));
    fw_status status;
    while ((status = fw_mcap_reader_next_message(reader, &message, error)) == FW_OK) {
        if (!fw_mcap_text_is(message.channel->topic, "/event")) continue;
        status = add_event(scan, &message, error);
        if (status != FW_OK) break;
    }
    fw_mcap_reader_close(reader);
    return status == FW_END ? FW_OK : status;
}

fw_status fw_scan_recording(const char *path, const fw_factory_line *line, fw_scan *out,
                            fw_error *error) {
    fw_mcap_info info;
    fw_scan scan = {0};
    FW_TRY(fw_mcap_validate(&limits, path, &info, error));
    scan.messages = (int64_t)info.message_count;
    bool times_fit = info.start_time_ns <= INT64_MAX && info.end_time_ns <= INT64_MAX;
    scan.start_ns = times_fit ? (int64_t)info.start_time_ns : 0;
    scan.end_ns = times_fit ? (int64_t)info.end_time_ns : 0;
    fw_mcap_info_free(&info);
    fw_status status =
        times_fit ? FW_OK : fw_fail(error, FW_CORRUPT, "message times after the year 2262");
    if (status == FW_OK && scan.messages == 0)
        status = fw_fail(error, FW_CORRUPT, "the recording holds no message");
    if (status == FW_OK) status = line->check_recording(path, error);
    if (status == FW_OK) status = read_events(path, &scan, error);
    if (status != FW_OK) {
        fw_scan_clear(&scan);
        return status;
    }
    *out = scan;
    return FW_OK;
}

void fw_scan_clear(fw_scan *scan) {
    free(scan->events);
    *scan = (fw_scan){0};
}
