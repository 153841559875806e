/* slice.c - recordings merged by time into one file (slice.h). */
#include "factory/query/slice.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mcap/mcap.h"

enum { CHUNK_BYTES = 1 << 20, MESSAGE_MAX_BYTES = 16 << 20, TEXT_MAX_BYTES = 16 << 20 };

typedef struct window {
    int64_t from_ns, to_ns; /* from <= time <= to */
} window;

/* A channel of a source and its number in the slice. */
typedef struct mapped {
    uint16_t from, to;
} mapped;

typedef struct source {
    char sha256[FW_HASH_HEX + 1], unit[64], line[64];
    int64_t start_ns, end_ns;
    uint32_t order;
    window *windows; /* (window_count) sorted, apart; none: the whole recording */
    size_t window_count, window_at;
    fw_mcap_indexed *reader; /* while open */
    fw_mcap_message message; /* the next one */
    mapped *channels;
    size_t channel_count;
    uint64_t messages;
} source;

/* A channel or a schema of the slice. */
typedef struct known {
    char unit[64];
    fw_hash hash; /* of topic, encoding and schema */
    uint16_t id;
} known;

typedef struct slice {
    const fw_objects *objects;
    const fw_slice_options *options;
    fw_mcap_writer *writer;
    int fd;
    source *sources;
    size_t source_count, next_source; /* sorted by start; opened in that order */
    source *heap[FW_SLICE_OPEN_MAX];
    size_t heap_count;
    known channels[FW_SLICE_CHANNELS_MAX], schemas[FW_SLICE_CHANNELS_MAX];
    size_t channel_count, schema_count;
    fw_slice_report report;
    bool failed; /* no memory for a source */
    fw_error *error;
} slice;

/* ---- what goes in ---- */

static bool take_source(void *self, sqlite3_stmt *row) {
    slice *s = self;
    if (s->source_count % 256 == 0) {
        source *grown = realloc(s->sources, (s->source_count + 256) * sizeof *grown);
        s->failed = !grown;
        if (!grown) return false;
        s->sources = grown;
    }
    source *o = &s->sources[s->source_count];
    *o = (source){.start_ns = sqlite3_column_int64(row, 2),
                  .end_ns = sqlite3_column_int64(row, 3),
                  .order = (uint32_t)s->source_count};
    snprintf(o->sha256, sizeof o->sha256, "%s", fw_db_column(row, 0));
    snprintf(o->unit, sizeof o->unit, "%s", fw_db_column(row, 1));
    snprintf(o->line, sizeof o->line, "%s", fw_db_column(row, 4));
    s->source_count++;
    return true;
}

typedef struct windows {
    const fw_slice_options *options;
    source *source;
    bool failed;
} windows;

static bool take_window(void *self, sqlite3_stmt *row) {
    windows *w = self;
    source *o = w->source;
    int64_t time_ns = sqlite3_column_int64(row, 0);
    window next = {time_ns > w->options->before_ns ? time_ns - w->options->before_ns : 0,
                   time_ns < INT64_MAX - w->options->after_ns ? time_ns + w->options->after_ns
                                                              : INT64_MAX};
    if (o->window_count > 0 && next.from_ns <= o->windows[o->window_count - 1].to_ns) {
        o->windows[o->window_count - 1].to_ns = next.to_ns;
        return true;
    }
    window *grown = realloc(o->windows, (o->window_count + 1) * sizeof *grown);
    w->failed = !grown;
    if (!grown) return false;
    o->windows = grown;
    o->windows[o->window_count++] = next;
    return true;
}

/* The seconds around its events; a recording without any goes. */
static fw_status find_windows(slice *s, sqlite3 *db, const fw_query *query, fw_error *error) {
    size_t kept = 0;
    for (size_t i = 0; i < s->source_count; i++) {
        windows w = {s->options, &s->sources[i], false};
        FW_TRY(fw_db_each(db, error, take_window, &w,
                          "SELECT time_ns FROM events WHERE recording=?1 AND (?2='[]' OR kind IN "
                          "(SELECT value FROM json_each(?2))) ORDER BY time_ns",
                          "tt", s->sources[i].sha256, fw_query_events(query)));
        if (w.failed) return fw_fail(error, FW_NO_MEMORY, "no memory for a slice");
        if (s->sources[i].window_count == 0) continue;
        source moved = s->sources[i];
        s->sources[i].windows = NULL;
        s->sources[kept] = moved;
        s->sources[kept].order = (uint32_t)kept;
        kept++;
    }
    s->source_count = kept;
    return FW_OK;
}

static fw_status choose(slice *s, sqlite3 *db, const fw_query *query, fw_error *error) {
    char *sql = NULL;
    FW_TRY(fw_query_check_erased(db, query, error));
    if (asprintf(&sql,
                 "SELECT r.sha256,r.unit,r.start_ns,r.end_ns,r.line FROM recordings r JOIN objects "
                 "o USING(sha256) WHERE (%s) AND o.state='kept' AND ?1 IS NOT NULL ORDER BY "
                 "r.start_ns,o.sequence LIMIT ?2",
                 fw_query_condition(query)) < 0)
        return fw_fail(error, FW_NO_MEMORY, "no memory for a slice");
    fw_status status = fw_db_each(db, error, take_source, s, sql, "ti", fw_query_values(query),
                                  (int64_t)FW_SLICE_RECORDINGS_MAX + 1);
    free(sql);
    if (status == FW_OK && s->failed)
        status = fw_fail(error, FW_NO_MEMORY, "no memory for a slice");
    if (status == FW_OK && s->source_count > FW_SLICE_RECORDINGS_MAX)
        status = fw_fail(error, FW_TOO_BIG, "over %d recordings match; narrow the query",
                         FW_SLICE_RECORDINGS_MAX);
    if (status == FW_OK && s->options->around_events) status = find_windows(s, db, query, error);
    if (status == FW_OK && s->source_count == 0)
        status = fw_fail(error, FW_NOT_FOUND, "no recording that is kept matches");
    return status;
}

/* ---- channels ---- */

static fw_hash hash_texts(const fw_mcap_text *texts, size_t count, const void *more, size_t size) {
    fw_sha256 *sha = fw_sha256_begin();
    for (size_t i = 0; i < count; i++) {
        fw_sha256_add(sha, &texts[i].size_bytes, sizeof texts[i].size_bytes);
        fw_sha256_add(sha, texts[i].bytes, texts[i].size_bytes);
    }
    fw_sha256_add(sha, more, size);
    return fw_sha256_end(sha);
}

static fw_status schema_id(slice *s, const fw_mcap_schema *schema, fw_hash *hash, uint16_t *id) {
    char name[256], encoding[64];
    *id = 0;
    *hash = fw_hash_bytes("", 0);
    if (!schema) return FW_OK;
    fw_mcap_text texts[2] = {schema->name, schema->encoding};
    *hash = hash_texts(texts, 2, schema->data, schema->size_bytes);
    for (size_t i = 0; i < s->schema_count; i++)
        if (fw_hash_compare(&s->schemas[i].hash, hash) == 0) {
            *id = s->schemas[i].id;
            return FW_OK;
        }
    if (s->schema_count == FW_SLICE_CHANNELS_MAX ||
        !fw_mcap_text_copy(schema->name, name, sizeof name) ||
        !fw_mcap_text_copy(schema->encoding, encoding, sizeof encoding))
        return fw_fail(s->error, FW_TOO_BIG, "over %d schemas, or one with an odd name",
                       FW_SLICE_CHANNELS_MAX);
    FW_TRY(fw_mcap_writer_add_schema(s->writer, name, encoding, schema->data, schema->size_bytes,
                                     id, s->error));
    s->schemas[s->schema_count++] = (known){.hash = *hash, .id = *id};
    return FW_OK;
}

/* The slice's channel for a unit's topic, made when it is new. */
static fw_status channel_id(slice *s, const source *o, const fw_mcap_message *m, uint16_t *id) {
    char topic[300], encoding[64], full[400];
    fw_hash schema_hash;
    uint16_t schema;
    FW_TRY(schema_id(s, m->schema, &schema_hash, &schema));
    fw_mcap_text texts[2] = {m->channel->topic, m->channel->message_encoding};
    fw_hash hash = hash_texts(texts, 2, schema_hash.hex, FW_HASH_HEX);
    for (size_t i = 0; i < s->channel_count; i++) {
        const known *k = &s->channels[i];
        if (fw_hash_compare(&k->hash, &hash) != 0 || strcmp(k->unit, o->unit) != 0) continue;
        *id = k->id;
        return FW_OK;
    }
    if (s->channel_count == FW_SLICE_CHANNELS_MAX ||
        !fw_mcap_text_copy(m->channel->topic, topic, sizeof topic) ||
        !fw_mcap_text_copy(m->channel->message_encoding, encoding, sizeof encoding))
        return fw_fail(s->error, FW_TOO_BIG, "over %d channels, or one with an odd name",
                       FW_SLICE_CHANNELS_MAX);
    const fw_mcap_pair pairs[] = {{"unit", o->unit}, {"topic", topic}};
    snprintf(full, sizeof full, "/unit/%s%s%s", o->unit, topic[0] == '/' ? "" : "/", topic);
    FW_TRY(fw_mcap_writer_add_channel(s->writer, schema, full, encoding, pairs, 2, id, s->error));
    known *k = &s->channels[s->channel_count++];
    *k = (known){.hash = hash, .id = *id};
    snprintf(k->unit, sizeof k->unit, "%s", o->unit);
    return FW_OK;
}

static fw_status map_channel(slice *s, source *o, const fw_mcap_message *m, uint16_t *id) {
    for (size_t i = 0; i < o->channel_count; i++)
        if (o->channels[i].from == m->channel_id) {
            *id = o->channels[i].to;
            return FW_OK;
        }
    FW_TRY(channel_id(s, o, m, id));
    mapped *grown = realloc(o->channels, (o->channel_count + 1) * sizeof *grown);
    if (!grown) return fw_fail(s->error, FW_NO_MEMORY, "no memory for a slice");
    o->channels = grown;
    o->channels[o->channel_count++] = (mapped){m->channel_id, *id};
    return FW_OK;
}

/* ---- merging ---- */

static bool before(const source *a, const source *b) {
    if (a->message.log_time_ns != b->message.log_time_ns)
        return a->message.log_time_ns < b->message.log_time_ns;
    return a->order < b->order;
}

static void sift_down(slice *s, size_t at) {
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2; child++)
            if (child < s->heap_count && before(s->heap[child], s->heap[least])) least = child;
        if (least == at) return;
        source *moved = s->heap[at];
        s->heap[at] = s->heap[least];
        s->heap[least] = moved;
        at = least;
    }
}

static void sift_up(slice *s, size_t at) {
    for (; at > 0 && before(s->heap[at], s->heap[(at - 1) / 2]); at = (at - 1) / 2) {
        source *moved = s->heap[at];
        s->heap[at] = s->heap[(at - 1) / 2];
        s->heap[(at - 1) / 2] = moved;
    }
}

static bool inside(source *o, uint64_t time_ns) {
    if (!o->windows) return true;
    while (o->window_at < o->window_count && (int64_t)time_ns > o->windows[o->window_at].to_ns)
        o->window_at++;
    return o->window_at < o->window_count && (int64_t)time_ns >= o->windows[o->window_at].from_ns;
}

/* The source's next message; FW_END after the last. */
static fw_status step(slice *s, source *o) {
    fw_status status;
    do {
        status = fw_mcap_indexed_next(o->reader, &o->message, s->error);
    } while (status == FW_OK && !inside(o, o->message.log_time_ns));
    return status;
}

static void close_source(source *o) {
    fw_mcap_indexed_close(o->reader);
    o->reader = NULL;
    free(o->channels);
    o->channels = NULL;
    o->channel_count = 0;
}

static fw_status open_source(slice *s, source *o) {
    char path[FW_PATH_MAX];
    fw_mcap_query query = {.topics = s->options->topics, .topic_count = s->options->topic_count};
    if (o->windows) {
        query.start_time_ns = (uint64_t)o->windows[0].from_ns;
        int64_t last_ns = o->windows[o->window_count - 1].to_ns;
        query.end_time_ns = last_ns < INT64_MAX ? (uint64_t)last_ns + 1 : 0;
    }
    if (s->heap_count == FW_SLICE_OPEN_MAX)
        return fw_fail(s->error, FW_TOO_BIG,
                       "over %d recordings overlap in time; narrow the query by unit or time",
                       FW_SLICE_OPEN_MAX);
    fw_objects_path(s->objects, o->sha256, path);
    FW_TRY(fw_mcap_indexed_open_path(NULL, path, &o->reader, s->error));
    FW_TRY(fw_mcap_indexed_query(o->reader, &query, s->error));
    fw_status status = step(s, o);
    if (status == FW_END) {
        close_source(o);
        return FW_OK;
    }
    FW_TRY(status);
    s->heap[s->heap_count++] = o;
    sift_up(s, s->heap_count - 1);
    return FW_OK;
}

/* Opens what begins no later than the next message. */
static fw_status open_due(slice *s) {
    while (s->next_source < s->source_count) {
        source *o = &s->sources[s->next_source];
        if (s->heap_count > 0 && o->start_ns > (int64_t)s->heap[0]->message.log_time_ns) break;
        FW_TRY(open_source(s, o));
        s->next_source++;
    }
    return FW_OK;
}

static fw_status merge(slice *s) {
    uint64_t max = s->options->max_bytes ? s->options->max_bytes : FW_SLICE_BYTES_DEFAULT;
    for (;;) {
        uint16_t id;
        FW_TRY(open_due(s));
        if (s->heap_count == 0) return FW_OK;
        source *o = s->heap[0];
        const fw_mcap_message *m = &o->message;
        if (fw_mcap_writer_size_bytes(s->writer) +
                fw_mcap_writer_rest_max_bytes(s->writer, (size_t)m->size_bytes) > max) {
            s->report.cut = true;
            return FW_OK;
        }
        FW_TRY(map_channel(s, o, m, &id));
        FW_TRY(fw_mcap_writer_message(s->writer, id, m->sequence, m->log_time_ns,
                                      m->publish_time_ns, m->data, (size_t)m->size_bytes,
                                      s->error));
        o->messages++;
        s->report.messages++;
        fw_status status = step(s, o);
        if (status == FW_END) {
            close_source(o);
            s->heap[0] = s->heap[--s->heap_count];
        } else if (status != FW_OK) {
            return status;
        }
        sift_down(s, 0);
    }
}

/* ---- the file ---- */

static fw_status write_sources(slice *s, const char *query_text) {
    char start[24], end[24], messages[24], count[24];
    for (size_t i = 0; i < s->source_count; i++) {
        const source *o = &s->sources[i];
        if (o->messages == 0) continue;
        s->report.recordings++;
        snprintf(start, sizeof start, "%" PRId64, o->start_ns);
        snprintf(end, sizeof end, "%" PRId64, o->end_ns);
        snprintf(messages, sizeof messages, "%" PRIu64, o->messages);
        const fw_mcap_pair pairs[] = {{"sha256", o->sha256}, {"unit", o->unit}, {"start_ns", start},
                                      {"end_ns", end},       {"messages", messages}};
        FW_TRY(fw_mcap_writer_metadata(s->writer, "flywheel.source", pairs, 5, s->error));
    }
    snprintf(count, sizeof count, "%" PRIu64, s->report.recordings);
    const fw_mcap_pair whole[] = {
        {"query", query_text}, {"recordings", count}, {"cut", s->report.cut ? "true" : "false"}};
    const fw_mcap_pair flywheel[] = {{"line", s->sources[0].line}, {"form", "slice"}};
    FW_TRY(fw_mcap_writer_metadata(s->writer, "flywheel.slice", whole, 3, s->error));
    return fw_mcap_writer_metadata(s->writer, "flywheel", flywheel, 2, s->error);
}

static fw_status sink_write(void *self, const void *bytes, size_t size_bytes, fw_error *error) {
    const slice *s = self;
    return fw_file_write_all(s->objects->env, s->fd, bytes, size_bytes, "the slice", error);
}

static fw_status write_file(slice *s, const char *query_text) {
    uint64_t max = s->options->max_bytes ? s->options->max_bytes : FW_SLICE_BYTES_DEFAULT;
    if (max > FW_SLICE_BYTES_MAX) max = FW_SLICE_BYTES_MAX;
    uint64_t chunks = 2 * max / CHUNK_BYTES + 16; /* compressed ones hold more than they take */
    const fw_mcap_writer_options options = {
        .chunk_bytes = CHUNK_BYTES,
        .message_max_bytes = MESSAGE_MAX_BYTES,
        .schemas_max = FW_SLICE_CHANNELS_MAX,
        .channels_max = FW_SLICE_CHANNELS_MAX,
        .chunks_max = chunks < 4096 ? (uint32_t)chunks : 4096,
        .metadata_max = (uint32_t)s->source_count + 2,
        .text_max_bytes = TEXT_MAX_BYTES,
    };
    FW_TRY(fw_mcap_writer_open(&options, &s->writer, s->error));
    FW_TRY(fw_mcap_writer_begin(s->writer, (fw_mcap_sink){s, sink_write}, "", "flywheel",
                                s->error));
    FW_TRY(merge(s));
    FW_TRY(write_sources(s, query_text));
    FW_TRY(fw_mcap_writer_end(s->writer, s->error));
    s->report.size_bytes = fw_mcap_writer_size_bytes(s->writer);
    return FW_OK;
}

static void free_slice(slice *s) {
    for (size_t i = 0; i < s->source_count; i++) {
        if (s->sources[i].reader) close_source(&s->sources[i]);
        free(s->sources[i].channels);
        free(s->sources[i].windows);
    }
    free(s->sources);
    fw_mcap_writer_close(s->writer);
    free(s);
}

fw_status fw_slice_write(fw_catalogue *catalogue, const fw_objects *objects, const fw_query *query,
                         const char *query_text, const fw_slice_options *options, const char *path,
                         fw_slice_report *report, fw_error *error) {
    char part[FW_PATH_MAX + 8];
    slice *s = calloc(1, sizeof *s);
    if (!s) return fw_fail(error, FW_NO_MEMORY, "no memory for a slice");
    s->objects = objects, s->options = options, s->error = error, s->fd = -1;
    sqlite3 *db;
    fw_status status = fw_catalogue_ask(catalogue, &db, error);
    if (status == FW_OK) {
        status = choose(s, db, query, error);
        fw_catalogue_ask_end(catalogue);
    }
    snprintf(part, sizeof part, "%s.part", path);
    if (status == FW_OK && (s->fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) < 0)
        status = fw_fail_errno(error, "cannot create %s", part);
    if (status == FW_OK) status = write_file(s, query_text);
    if (s->fd >= 0) close(s->fd);
    if (status == FW_OK && objects->env->rename(objects->env->self, part, path) != 0)
        status = fw_fail_errno(error, "cannot create %s", path);
    if (status == FW_OK)
        *report = s->report;
    else if (s->fd >= 0)
        unlink(part);
    free_slice(s);
    return status;
}
