/* promises.c - remembering promises, and looking at them (promises.h). */
#include "sim/promises.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "factory/catalogue/rebuild.h"
#include "sim/world.h"

/* ---- remembering ---- */

void fw_sim_promises_free(fw_sim_promises *p) {
    for (size_t i = 0; i < p->stream_count; i++) free(p->streams[i].lines);
    free(p->streams);
    free(p->recordings);
    *p = (fw_sim_promises){0};
}

static fw_sim_recording *place_of(fw_sim_recording *table, size_t room, const char *hash) {
    size_t at = (size_t)fw_seed_mix(0, hash) & (room - 1);
    while (table[at].hash.hex[0] && strcmp(table[at].hash.hex, hash) != 0) at = (at + 1) & (room - 1);
    return &table[at];
}

static void grow(fw_sim_promises *p) {
    size_t room = p->room ? 2 * p->room : 256;
    fw_sim_recording *table = calloc(room, sizeof *table);
    FW_ASSERT(table);
    for (size_t i = 0; i < p->room; i++)
        if (p->recordings[i].hash.hex[0])
            *place_of(table, room, p->recordings[i].hash.hex) = p->recordings[i];
    free(p->recordings);
    p->recordings = table;
    p->room = room;
}

fw_sim_recording *fw_sim_recording_of(fw_sim_promises *p, const char *hash) {
    if (2 * (p->count + 1) > p->room) grow(p);
    fw_sim_recording *r = place_of(p->recordings, p->room, hash);
    if (!r->hash.hex[0]) {
        snprintf(r->hash.hex, sizeof r->hash.hex, "%s", hash);
        p->count++;
    }
    return r;
}

void fw_sim_broken(fw_sim_world *w, const char *promise, const char *who, const char *format, ...) {
    va_list args;
    if (w->result.broken) return;
    w->result.broken = true;
    w->result.when_ns = w->now_ns;
    snprintf(w->result.promise, sizeof w->result.promise, "%s", promise);
    snprintf(w->result.who, sizeof w->result.who, "%s", who);
    va_start(args, format);
    vsnprintf(w->result.what, sizeof w->result.what, format, args);
    va_end(args);
    fw_sim_say(&w->trace, w->now_ns, who, "BROKEN %s: %.120s", promise, w->result.what);
}

/* ---- receipts ---- */

void fw_sim_promise_receipt(fw_sim_world *w, const char *hash, const char *answer, size_t answer_bytes) {
    json_t *json = json_loadb(answer, answer_bytes, 0, NULL);
    fw_sim_recording *r = fw_sim_recording_of(&w->promises, hash);
    int64_t sequence = json_integer_value(json_object_get(json, "sequence"));
    int64_t time_ns = json_integer_value(json_object_get(json, "server_time_ns"));
    const char *named = json_string_value(json_object_get(json, "sha256"));
    if (!named || strcmp(named, hash) != 0)
        fw_sim_broken(w, "receipt", "factory", "a receipt for %.12s names %.12s", hash, named ? named : "-");
    else if (r->received && (r->sequence != sequence || r->received_ns != time_ns))
        fw_sim_broken(w, "receipt", "factory",
                      "two receipts for %.12s: sequence %" PRId64 " and %" PRId64, hash, r->sequence, sequence);
    if (!r->received) {
        r->size_bytes = (uint64_t)json_integer_value(json_object_get(json, "size_bytes"));
        w->result.counts.recordings_received++;
    }
    r->received = true;
    r->sequence = sequence;
    r->received_ns = time_ns;
    json_decref(json);
}

/* The factory's row for a receipt, against the receipt. */
typedef struct row {
    bool found, kept;
    int64_t sequence, received_ns, size_bytes;
} row;

static bool take_row(void *self, sqlite3_stmt *statement) {
    row *out = self;
    *out = (row){.found = true, .sequence = sqlite3_column_int64(statement, 0),
                 .received_ns = sqlite3_column_int64(statement, 1),
                 .size_bytes = sqlite3_column_int64(statement, 2),
                 .kept = strcmp(fw_db_column(statement, 3), "kept") == 0};
    return true;
}

static void check_one(fw_sim_world *w, sqlite3 *db, const fw_sim_recording *r, bool deep) {
    row found = {0};
    char path[FW_PATH_MAX];
    struct stat info;
    fw_error error;
    fw_hash hash;
    if (fw_db_each(db, &error, take_row, &found,
                   "SELECT sequence,received_ns,size_bytes,state FROM objects WHERE sha256=?", "t",
                   r->hash.hex) != FW_OK) {
        fw_sim_broken(w, "receipt", "factory", "the catalogue does not answer: %s", error.text);
        return;
    }
    fw_objects_path(&w->factory.factory->objects, r->hash.hex, path);
    if (!found.found)
        fw_sim_broken(w, "receipt", "factory", "%.12s had a receipt and is not in the catalogue", r->hash.hex);
    else if (found.sequence != r->sequence || found.received_ns != r->received_ns)
        fw_sim_broken(w, "receipt", "factory", "%.12s is in the catalogue with another receipt", r->hash.hex);
    else if (found.kept && (stat(path, &info) != 0 || info.st_size != found.size_bytes))
        fw_sim_broken(w, "receipt", "factory", "%.12s had a receipt and its object is not whole", r->hash.hex);
    else if (found.kept && deep &&
             (fw_hash_file(path, &hash, &error) != FW_OK || strcmp(hash.hex, r->hash.hex) != 0))
        fw_sim_broken(w, "receipt", "factory", "%.12s had a receipt and its object has other bytes", r->hash.hex);
}

void fw_sim_check_receipts(fw_sim_world *w, bool deep) {
    fw_factory *factory = w->factory.factory;
    if (!factory || w->factory.machine.disk.dead) return;
    sqlite3 *db = fw_catalogue_read(factory->catalogue);
    for (size_t i = 0; i < w->promises.room && !w->result.broken; i++)
        if (w->promises.recordings[i].received) check_one(w, db, &w->promises.recordings[i], deep);
    fw_catalogue_read_end(factory->catalogue);
    w->result.counts.checks++;
}

void fw_sim_check_arrived(fw_sim_world *w) {
    for (size_t i = 0; i < w->promises.room; i++) {
        const fw_sim_recording *r = &w->promises.recordings[i];
        char who[24];
        snprintf(who, sizeof who, "unit-%u", r->unit);
        if (r->whole && !r->received && !r->excused)
            fw_sim_broken(w, "arrives", who, "recording %.12s never reached the factory", r->hash.hex);
    }
}

/* ---- records ---- */

static fw_sim_stream *stream_of(fw_sim_promises *p, const char *name) {
    for (size_t i = p->stream_count; i > 0; i--) /* the newest boot is asked for most */
        if (strcmp(p->streams[i - 1].name, name) == 0) return &p->streams[i - 1];
    if (p->stream_count == p->stream_room) {
        p->stream_room = p->stream_room ? 2 * p->stream_room : 64;
        p->streams = realloc(p->streams, p->stream_room * sizeof *p->streams);
        FW_ASSERT(p->streams);
    }
    fw_sim_stream *s = &p->streams[p->stream_count++];
    *s = (fw_sim_stream){.next = 0};
    snprintf(s->name, sizeof s->name, "%s", name);
    return s;
}

static uint64_t mix_line(const char *text, size_t size) {
    return fw_seed_mix(size, fw_hash_bytes(text, size).hex);
}

static void add_line(fw_sim_promises *p, fw_sim_stream *s, uint64_t line) {
    if (s->next == s->room) {
        s->room = s->room ? 2 * s->room : 64;
        s->lines = realloc(s->lines, s->room * sizeof *s->lines);
        FW_ASSERT(s->lines);
    }
    s->lines[s->next++] = line;
    p->records++;
}

void fw_sim_promise_records(fw_sim_world *w, const char *unit, const char *boot, const char *stream,
                            uint64_t first, const char *body, size_t body_bytes, uint64_t next) {
    char name[100];
    if (!unit || !boot || !stream) return;
    snprintf(name, sizeof name, "%.31s %.39s %.20s", unit, boot, stream);
    fw_sim_stream *s = stream_of(&w->promises, name);
    if (next < s->next)
        fw_sim_broken(w, "records", "factory", "%s: %" PRIu64 " were acknowledged, now it is %" PRIu64,
                      name, s->next, next);
    const char *at = body, *end = body + body_bytes;
    for (uint64_t number = first; at < end; number++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) stop = end;
        if (number == s->next && number < next) add_line(&w->promises, s, mix_line(at, (size_t)(stop - at)));
        at = stop + 1;
    }
    w->result.counts.records_acked = w->promises.records;
}

/* One line of GET /v1/records against what was acknowledged. */
static void check_line(fw_sim_world *w, const char *line, size_t size, uint64_t *seen) {
    json_t *json = json_loadb(line, size, 0, NULL);
    const char *key = "\"record\":", *value = memmem(line, size, key, strlen(key));
    char name[100];
    snprintf(name, sizeof name, "%.31s %.39s %.20s", json_string_value(json_object_get(json, "unit")),
             json_string_value(json_object_get(json, "boot")),
             json_string_value(json_object_get(json, "stream")));
    uint64_t number = (uint64_t)json_integer_value(json_object_get(json, "number"));
    fw_sim_stream *s = stream_of(&w->promises, name);
    size_t at = (size_t)(s - w->promises.streams);
    if (number != seen[at])
        fw_sim_broken(w, "records", "factory", "%s: %" PRIu64 " comes after %" PRIu64 " of them", name,
                      number, seen[at]);
    seen[at] = number + 1;
    if (number < s->next && value) {
        value += strlen(key);
        if (mix_line(value, (size_t)(line + size - 1 - value)) != s->lines[number])
            fw_sim_broken(w, "records", "factory", "%s: number %" PRIu64 " is not what was sent", name, number);
    }
    json_decref(json);
}

/* One page; false at the end. */
static bool check_page(fw_sim_world *w, uint64_t *since, uint64_t *seen) {
    char target[80];
    fw_http_response answer;
    snprintf(target, sizeof target, "/v1/records?since=%" PRIu64 "&limit=10000", *since);
    fw_sim_request request = {.method = "GET", .target = target, .cut = SIZE_MAX};
    if (!fw_sim_ask(w, &request, &answer) || answer.status != 200) {
        fw_sim_broken(w, "records", "factory", "GET /v1/records says %d", answer.status);
        free(answer.body);
        return false;
    }
    uint64_t before = *since;
    for (const char *at = answer.body, *end = at + answer.body_bytes; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) stop = end;
        check_line(w, at, (size_t)(stop - at), seen);
        const char *sequence = memmem(at, (size_t)(stop - at), "\"sequence\":", 11);
        if (sequence) *since = strtoull(sequence + 11, NULL, 10);
        at = stop + 1;
    }
    free(answer.body);
    return *since > before && !w->result.broken;
}

void fw_sim_check_records(fw_sim_world *w) {
    uint64_t since = 0, *seen = calloc(w->promises.stream_count + 100000, sizeof *seen);
    FW_ASSERT(seen);
    if (w->factory.factory && !w->factory.machine.disk.dead)
        while (check_page(w, &since, seen)) continue;
    for (size_t i = 0; i < w->promises.stream_count && !w->result.broken; i++)
        if (seen[i] < w->promises.streams[i].next)
            fw_sim_broken(w, "records", "factory", "%s: %" PRIu64 " were acknowledged, %" PRIu64 " are there",
                          w->promises.streams[i].name, w->promises.streams[i].next, seen[i]);
    free(seen);
    w->result.counts.checks++;
}

/* ---- the whole ---- */

void fw_sim_check_equal(fw_sim_world *w, bool deep) {
    fw_check_report report;
    fw_error error;
    fw_sim_factory *f = &w->factory;
    fw_status status =
        fw_catalogue_check(&f->machine.env, f->machine.disk.root, &fw_line_driving, deep, &report, &error);
    if (status != FW_OK)
        fw_sim_broken(w, "equal", "factory", "flywheel catalogue check: %.300s", error.text);
    else if (!fw_check_equal(&report))
        fw_sim_broken(w, "equal", "factory",
                      "%" PRId64 " objects missing, %" PRId64 " left over, %" PRId64 " rows not in the ledger, %"
                      PRId64 " lines not in the catalogue, %" PRId64 " rows differ",
                      report.missing, report.left_over, report.unlisted, report.unknown, report.differing);
    w->result.counts.checks++;
}
