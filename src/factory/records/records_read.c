/* records_read.c - records out again, as JSON lines, oldest first (records.h). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "factory/records/records_store.h"

enum { SCAN_MAX_BYTES = 256 << 20 }; /* looked through for one answer, at least one segment */

typedef struct reader {
    const fw_records_query *query;
    char *lines;
    size_t size, room;
    uint32_t found;
    uint64_t next;
    bool full, no_memory;
} reader;

static bool add_text(reader *d, const char *text, size_t size) {
    if (d->size + size + 1 > d->room) {
        size_t room = (d->room ? 2 * d->room : 65536) + size;
        char *grown = realloc(d->lines, room);
        if (!grown) {
            d->no_memory = true;
            return false;
        }
        d->lines = grown;
        d->room = room;
    }
    memcpy(d->lines + d->size, text, size);
    d->size += size;
    d->lines[d->size] = '\0';
    return true;
}

/* Bytes that are no UTF-8: as hex, under another name. */
static char *hex_text(const char *record, size_t size) {
    static const char digits[] = "0123456789abcdef";
    char *text = malloc(2 * size + 3);
    if (!text) return NULL;
    size_t at = 0;
    text[at++] = '"';
    for (size_t i = 0; i < size; i++) {
        text[at++] = digits[(uint8_t)record[i] >> 4];
        text[at++] = digits[(uint8_t)record[i] & 15];
    }
    text[at++] = '"';
    text[at] = '\0';
    return text;
}

/* The record as JSON: itself when it is a JSON object, else a text, else hex. */
static char *value_text(const char *record, size_t size, const char **key) {
    *key = "record";
    json_t *value = record[0] == '{' ? fw_json_load(record, size, 0, NULL) : NULL;
    if (!value) value = json_stringn(record, size);
    if (!value) {
        *key = "record_hex";
        return hex_text(record, size);
    }
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(value);
    return text;
}

static bool add_record(reader *d, const fw_records_frame *frame, uint32_t i, const char *record,
                       size_t size) {
    char head[400];
    const char *key;
    char *value = value_text(record, size, &key);
    if (!value) {
        d->no_memory = true;
        return false;
    }
    int used = snprintf(head, sizeof head,
                        "{\"sequence\":%" PRIu64 ",\"unit\":\"%s\",\"boot\":\"%s\",\"stream\":"
                        "\"%s\",\"number\":%" PRIu64 ",\"server_time_ns\":%" PRId64 ",\"%s\":",
                        frame->sequence + i, frame->name.unit, frame->name.boot,
                        frame->name.stream, frame->first + i, frame->time_ns, key);
    bool added = add_text(d, head, (size_t)used) && add_text(d, value, strlen(value)) &&
                 add_text(d, "}\n", 2);
    free(value);
    return added;
}

static bool wanted(const fw_records_query *q, const fw_records_name *name) {
    return (!q->unit || strcmp(q->unit, name->unit) == 0) &&
           (!q->stream || strcmp(q->stream, name->stream) == 0);
}

static bool take_frame(void *self, const fw_records_frame *frame, uint64_t at) {
    reader *d = self;
    (void)at;
    uint64_t end = frame->sequence + frame->count; /* behind it */
    if (end - 1 <= d->next) return true;
    if (!wanted(d->query, &frame->name)) {
        d->next = end - 1;
        return true;
    }
    const char *record = (const char *)frame->payload, *stop = record + frame->payload_bytes;
    for (uint32_t i = 0; i < frame->count; i++) {
        const char *line_end = memchr(record, '\n', (size_t)(stop - record));
        size_t size = (size_t)((line_end ? line_end : stop) - record);
        if (frame->sequence + i > d->next) {
            if (!add_record(d, frame, i, record, size)) return false;
            d->next = frame->sequence + i;
            d->full = ++d->found >= d->query->limit || d->size >= FW_RECORDS_READ_BYTES;
            if (d->full) return false;
        }
        record += size + 1;
    }
    return true;
}

/* The files as they stand, from the one with the record after `since` on. */
static fw_status copy_files(fw_records *r, uint64_t since, fw_records_file **out, uint32_t *count,
                            fw_error *error) {
    pthread_mutex_lock(&r->lock);
    uint32_t first = 0;
    while (first + 1 < r->file_count && r->files[first + 1].header.first_sequence <= since + 1)
        first++;
    *count = r->file_count - (r->file_count > 0 ? first : 0);
    *out = malloc((*count + 1) * sizeof **out);
    if (*out && *count > 0) memcpy(*out, r->files + first, *count * sizeof **out);
    pthread_mutex_unlock(&r->lock);
    return *out ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory to read records");
}

fw_status fw_records_read(fw_records *r, const fw_records_query *query, char **lines,
                          size_t *lines_bytes, uint64_t *next, bool *more, fw_error *error) {
    fw_records_file *files;
    uint32_t count, i = 0;
    reader d = {.query = query, .next = query->since};
    const fw_records_visitor visitor = {&d, take_frame, NULL};
    FW_TRY(copy_files(r, query->since, &files, &count, error));
    fw_status status = add_text(&d, "", 0) ? FW_OK
                                           : fw_fail(error, FW_NO_MEMORY, "no memory for records");
    for (uint64_t looked = 0; i < count && status == FW_OK && !d.full; i++) {
        char path[FW_RECORDS_PATH];
        uint64_t good;
        if (looked >= SCAN_MAX_BYTES) break;
        fw_records_path(r, files[i].header.number, path);
        status = fw_records_scan(path, FW_RECORDS_SEGMENT_HEADER, files[i].bytes, &visitor, &good,
                                 error);
        if (status == FW_NOT_FOUND) status = FW_OK; /* given up under a limit meanwhile */
        if (d.no_memory) status = fw_fail(error, FW_NO_MEMORY, "no memory for records");
        looked += files[i].bytes;
    }
    free(files);
    if (status != FW_OK) {
        free(d.lines);
        return status;
    }
    *lines = d.lines;
    *lines_bytes = d.size;
    *next = d.next;
    *more = d.full || i < count;
    return FW_OK;
}
