/* records_streams.c - where each stream stands: in memory, and in the catalogue (records.h). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "factory/records/records_store.h"

/* FNV-1a of unit and boot: the streams of one boot share a bucket, so that they can be counted. */
static fw_records_stream **bucket_of(fw_records *r, const fw_records_name *name) {
    uint32_t hash = 2166136261u;
    for (const char *c = name->unit; *c; c++) hash = (hash ^ (uint8_t)*c) * 16777619u;
    for (const char *c = name->boot; *c; c++) hash = (hash ^ (uint8_t)*c) * 16777619u;
    return &r->buckets[(hash ^ hash >> 15) % FW_RECORDS_BUCKETS];
}

static bool same_boot(const fw_records_name *a, const fw_records_name *b) {
    return strcmp(a->unit, b->unit) == 0 && strcmp(a->boot, b->boot) == 0;
}

static fw_records_stream *find(fw_records *r, const fw_records_name *name) {
    for (fw_records_stream *s = *bucket_of(r, name); s; s = s->next_in_bucket)
        if (same_boot(&s->name, name) && strcmp(s->name.stream, name->stream) == 0) return s;
    return NULL;
}

static fw_records_stream *add(fw_records *r, const fw_records_name *name, uint64_t next) {
    fw_records_stream **bucket = bucket_of(r, name), *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->name = *name;
    s->next = next;
    s->unsaved = next == 0;
    s->next_in_bucket = *bucket;
    *bucket = s;
    r->stream_count++;
    return s;
}

/* Streams of this boot that the catalogue does not have yet. */
static int64_t unsaved_count(fw_records *r, const fw_records_name *name) {
    int64_t count = 0;
    for (fw_records_stream *s = *bucket_of(r, name); s; s = s->next_in_bucket)
        count += s->unsaved && same_boot(&s->name, name);
    return count;
}

/* *next from the catalogue, 0 when it is not there; *others how many the boot has there. */
static fw_status look_up(fw_records *r, const fw_records_name *name, uint64_t *next,
                         int64_t *others, fw_error *error) {
    int64_t found = 0;
    sqlite3 *db = fw_catalogue_read(r->config.catalogue);
    fw_status status = fw_db_int(db, error, &found,
                                 "SELECT coalesce(max(next),0) FROM record_streams WHERE unit=? "
                                 "AND boot=? AND stream=?",
                                 "ttt", name->unit, name->boot, name->stream);
    if (status == FW_OK)
        status = fw_db_int(db, error, others,
                           "SELECT count(*) FROM record_streams WHERE unit=? AND boot=?", "tt",
                           name->unit, name->boot);
    fw_catalogue_read_end(r->config.catalogue);
    *next = (uint64_t)found;
    return status;
}

/* The stream is in neither memory nor, when next is 0, the catalogue. The lock is held. */
static fw_status admit(fw_records *r, const fw_records_name *name, uint64_t next, int64_t others,
                       fw_records_stream **out, fw_error *error) {
    if (next == 0 && others + unsaved_count(r, name) >= FW_RECORDS_STREAMS_MAX)
        return fw_fail(error, FW_TOO_BIG, "unit %s has %d streams since it started, the limit",
                       name->unit, FW_RECORDS_STREAMS_MAX);
    *out = add(r, name, next);
    return *out ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory for a stream of records");
}

fw_status fw_records_hold(fw_records *r, const fw_records_name *name, fw_records_stream **out,
                          fw_error *error) {
    pthread_mutex_lock(&r->lock);
    fw_records_stream *stream;
    fw_status status = FW_OK;
    while (!(stream = find(r, name)) && status == FW_OK) {
        uint64_t next, dropped = r->dropped;
        int64_t others;
        pthread_mutex_unlock(&r->lock);
        FW_TRY(look_up(r, name, &next, &others, error));
        pthread_mutex_lock(&r->lock);
        if (dropped != r->dropped || find(r, name)) continue; /* memory's word is newer */
        status = admit(r, name, next, others, &stream, error);
    }
    if (status == FW_OK) {
        stream->users++;
        stream->recent = true;
        *out = stream;
    }
    pthread_mutex_unlock(&r->lock);
    return status;
}

static void unlink_stream(fw_records *r, fw_records_stream *stream) {
    fw_records_stream **at = bucket_of(r, &stream->name);
    while (*at != stream) at = &(*at)->next_in_bucket;
    *at = stream->next_in_bucket;
    r->stream_count--;
    free(stream);
}

void fw_records_release(fw_records *r, fw_records_stream *stream) {
    FW_ASSERT(stream->users > 0);
    stream->users--;
    if (stream->users == 0 && stream->next == 0) unlink_stream(r, stream);
}

fw_status fw_records_replay(fw_records *r, const fw_records_frame *frame, fw_error *error) {
    fw_records_stream *stream;
    FW_TRY(fw_records_hold(r, &frame->name, &stream, error));
    uint64_t next = frame->first + frame->count;
    pthread_mutex_lock(&r->lock);
    if (next > stream->next) {
        stream->next = next;
        stream->dirty = true;
    }
    uint64_t sequence = frame->sequence + frame->count - 1;
    if (sequence > r->sequence) r->sequence = sequence;
    fw_records_release(r, stream);
    pthread_mutex_unlock(&r->lock);
    return FW_OK;
}

void fw_records_forget_all(fw_records *r) {
    for (int i = 0; i < FW_RECORDS_BUCKETS; i++)
        while (r->buckets[i]) unlink_stream(r, r->buckets[i]);
}

/* ---- checkpoints ---- */

typedef struct place {
    fw_records_name name;
    uint64_t next;
} place;

typedef struct snapshot {
    place *places; /* (count), owned */
    size_t count;
    uint64_t number, bytes, sequence;
} snapshot;

/* What is to be written down, as of one moment; the streams count as clean from here on. */
static fw_status take_snapshot(fw_records *r, snapshot *out, fw_error *error) {
    size_t dirty = 0;
    for (int i = 0; i < FW_RECORDS_BUCKETS; i++)
        for (fw_records_stream *s = r->buckets[i]; s; s = s->next_in_bucket) dirty += s->dirty;
    *out = (snapshot){.sequence = r->sequence};
    out->places = malloc((dirty + 1) * sizeof *out->places);
    if (!out->places) return fw_fail(error, FW_NO_MEMORY, "no memory to write down the streams");
    for (int i = 0; i < FW_RECORDS_BUCKETS; i++)
        for (fw_records_stream *s = r->buckets[i]; s; s = s->next_in_bucket) {
            if (!s->dirty) continue;
            out->places[out->count++] = (place){s->name, s->next};
            s->dirty = s->unsaved = false;
        }
    if (r->file_count > 0) {
        out->number = r->files[r->file_count - 1].header.number;
        out->bytes = r->files[r->file_count - 1].bytes;
        if (r->sealed) { /* nothing of what there is has to be read again */
            out->number++;
            out->bytes = 0;
        }
    }
    r->since_checkpoint_bytes = 0;
    return FW_OK;
}

static fw_status write_down(fw_records *r, const snapshot *snap, fw_error *error) {
    char text[80];
    sqlite3 *db = fw_catalogue_begin(r->config.catalogue, error);
    if (!db) return FW_IO;
    fw_status status = FW_OK;
    for (size_t i = 0; i < snap->count && status == FW_OK; i++) {
        const place *p = &snap->places[i];
        status = fw_db_run(db, error,
                           "INSERT INTO record_streams(unit,boot,stream,next) VALUES(?,?,?,?) "
                           "ON CONFLICT(unit,boot,stream) DO UPDATE SET next=excluded.next",
                           "ttti", p->name.unit, p->name.boot, p->name.stream, (int64_t)p->next);
    }
    snprintf(text, sizeof text, "%" PRIu64 " %" PRIu64 " %" PRIu64, snap->number, snap->bytes,
             snap->sequence);
    if (status == FW_OK) status = fw_setting_set(db, "records_position", text, error);
    if (status == FW_OK && r->config.save) status = r->config.save(r->config.self, db, error);
    return fw_catalogue_end(r->config.catalogue, status, error);
}

/* After a checkpoint that went well: what it has need not be held. The lock is held. */
static void settle(fw_records *r, const snapshot *snap) {
    bool crowded = r->stream_count > FW_RECORDS_CACHED_STREAMS;
    for (int i = 0; i < FW_RECORDS_BUCKETS; i++)
        for (fw_records_stream *s = r->buckets[i], *next; s; s = next) {
            next = s->next_in_bucket;
            if (s->dirty || s->next == 0) continue;
            bool goes = crowded && s->users == 0 && !s->recent;
            s->recent = s->users > 0;
            if (!goes) continue;
            unlink_stream(r, s);
            r->dropped++;
        }
    r->saved_number = snap->number;
}

/* The lock is held: nothing of it is written down, so all counts as moved. */
static void mark_dirty(fw_records *r) {
    for (int i = 0; i < FW_RECORDS_BUCKETS; i++)
        for (fw_records_stream *s = r->buckets[i]; s; s = s->next_in_bucket)
            s->dirty = s->next > 0;
}

fw_status fw_records_checkpoint(fw_records *r, fw_error *error) {
    snapshot snap;
    pthread_mutex_lock(&r->checkpoint_lock);
    pthread_mutex_lock(&r->lock);
    fw_status status = take_snapshot(r, &snap, error);
    pthread_mutex_unlock(&r->lock);
    if (status == FW_OK) {
        status = write_down(r, &snap, error);
        pthread_mutex_lock(&r->lock);
        if (status == FW_OK)
            settle(r, &snap);
        else
            mark_dirty(r);
        pthread_mutex_unlock(&r->lock);
        free(snap.places);
    }
    pthread_mutex_unlock(&r->checkpoint_lock);
    return status;
}
