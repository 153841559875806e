#include "import/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mcap/mcap.h"

enum {
    MESSAGE_MAX = 4 << 20,
    ROW_MAX = 16 << 10,
    CHUNK_BYTES = 1 << 20,
    CHUNK_MESSAGES = 32768,
    CHUNKS_MAX = 512,
    TEXT_MAX = 16 << 20
};

typedef struct channel {
    char *topic, *schema_name, *schema;
    char **fields; /* (field_count) names, for fw_import_log_numbers */
    size_t field_count;
    uint16_t id; /* in the file that is open; 0: not added to it yet */
    uint32_t sequence;
} channel;

struct fw_import_log {
    const fw_import_request *request;
    const char *form;
    fw_sha256 *source;
    fw_hash source_hash;
    fw_mcap_writer *writer; /* opened for the first file: a source may hold nothing */
    int fd; /* -1: no file is open */
    char part[FW_PATH_MAX];
    uint64_t file_messages, file_bytes; /* as they go into chunks */
    uint64_t file_start_ns;
    channel *channels; /* (channel_count) */
    uint32_t channel_count, channel_room;
    fw_import_result result;
    bool ended;
};

fw_status fw_import_log_open(const fw_import_request *request, fw_import_log **out,
                             fw_error *error) {
    fw_import_log *log = calloc(1, sizeof *log);
    if (!log) return fw_fail(error, FW_NO_MEMORY, "import: no memory");
    log->request = request;
    log->form = "telemetry";
    log->fd = -1;
    log->source = fw_sha256_begin();
    *out = log;
    return FW_OK;
}

static uint32_t channels_max(const fw_import_log *log) {
    uint32_t asked = log->request->channels_max;
    return asked > 0 && asked < FW_IMPORT_CHANNELS_MAX ? asked : FW_IMPORT_CHANNELS_MAX;
}

static fw_status open_writer(fw_import_log *log, fw_error *error) {
    const fw_mcap_writer_options options = {
        .message_max_bytes = MESSAGE_MAX,
        .schemas_max = channels_max(log),
        .channels_max = channels_max(log),
        .chunks_max = CHUNKS_MAX,
        .chunk_bytes = CHUNK_BYTES,
        .chunk_messages_max = CHUNK_MESSAGES,
        .text_max_bytes = TEXT_MAX / FW_IMPORT_CHANNELS_MAX * channels_max(log),
    };
    return log->writer ? FW_OK : fw_mcap_writer_open(&options, &log->writer, error);
}

static void drop_part(fw_import_log *log) {
    if (log->fd < 0) return;
    close(log->fd);
    unlink(log->part);
    log->fd = -1;
}

void fw_import_log_close(fw_import_log *log) {
    if (!log) return;
    drop_part(log);
    if (!log->ended)
        for (uint32_t i = 0; i < log->result.count; i++)
            if (!log->result.files[i].was_there) unlink(log->result.files[i].path);
    for (uint32_t i = 0; i < log->channel_count; i++) {
        channel *c = &log->channels[i];
        for (size_t f = 0; f < c->field_count; f++) free(c->fields[f]);
        free(c->fields);
        free(c->topic);
        free(c->schema_name);
        free(c->schema);
    }
    free(log->channels);
    if (log->source) (void)fw_sha256_end(log->source);
    fw_mcap_writer_close(log->writer);
    fw_import_result_clear(&log->result);
    free(log);
}

void fw_import_log_form(fw_import_log *log, const char *form) {
    log->form = form;
}

void fw_import_log_source(fw_import_log *log, const void *bytes, size_t size_bytes) {
    if (log->source) fw_sha256_add(log->source, bytes, size_bytes);
}

void fw_import_log_skip(fw_import_log *log, uint64_t count) {
    log->result.skipped += count;
}

/* ---- channels ---- */

/* {"title":..,"type":"object","properties":{"speed_mps":{"type":"number","description":"m/s"}}} */
static char *schema_of(const char *name, const fw_import_field *fields, size_t count) {
    static const char *const types[] = {"number", "string", NULL};
    json_t *properties = json_object();
    for (size_t i = 0; i < count; i++) {
        json_t *one = json_object();
        const char *type = types[fields[i].type];
        if (type) json_object_set_new(one, "type", json_string(type));
        if (fields[i].unit && fields[i].unit[0])
            json_object_set_new(one, "description", json_string(fields[i].unit));
        json_object_set_new(properties, fields[i].name, one);
    }
    json_t *schema = json_pack("{s:s,s:s,s:o}", "title", name, "type", "object", "properties",
                               properties);
    char *text = schema ? json_dumps(schema, JSON_COMPACT) : NULL;
    json_decref(schema);
    return text;
}

static bool valid_text(const char *text) {
    json_t *json = json_string(text); /* NULL: not UTF-8 */
    json_decref(json);
    return json != NULL && text[0] != '\0';
}

static bool fill_channel(channel *c, const char *topic, const char *schema_name,
                         const fw_import_field *fields, size_t field_count) {
    c->topic = strdup(topic);
    c->schema_name = strdup(schema_name);
    c->schema = schema_of(schema_name, fields, field_count);
    c->fields = calloc(field_count ? field_count : 1, sizeof *c->fields);
    if (!c->topic || !c->schema_name || !c->schema || !c->fields) return false;
    for (; c->field_count < field_count; c->field_count++) {
        c->fields[c->field_count] = strdup(fields[c->field_count].name);
        if (!c->fields[c->field_count]) return false;
    }
    return true;
}

fw_status fw_import_log_channel(fw_import_log *log, const char *topic, const char *schema_name,
                                const fw_import_field *fields, size_t field_count, uint32_t *id,
                                fw_error *error) {
    if (log->channel_count == channels_max(log) || field_count > FW_IMPORT_FIELDS_MAX)
        return fw_fail(error, FW_TOO_BIG, "more than %d channels, or than %d fields in %s",
                       (int)channels_max(log), FW_IMPORT_FIELDS_MAX, topic);
    for (uint32_t i = 0; i < log->channel_count; i++)
        if (strcmp(log->channels[i].topic, topic) == 0)
            return fw_fail(error, FW_EXISTS, "the topic %s comes twice", topic);
    bool valid = valid_text(topic) && valid_text(schema_name);
    for (size_t i = 0; i < field_count && valid; i++) valid = valid_text(fields[i].name);
    if (!valid)
        return fw_fail(error, FW_CORRUPT, "a channel's or a field's name is empty or no UTF-8");
    if (log->channel_count == log->channel_room) {
        uint32_t room = log->channel_room ? 2 * log->channel_room : 16;
        channel *grown = realloc(log->channels, room * sizeof *grown);
        if (!grown) return fw_fail(error, FW_NO_MEMORY, "import: no memory");
        log->channels = grown;
        log->channel_room = room;
    }
    channel *c = &log->channels[log->channel_count];
    *c = (channel){0};
    *id = log->channel_count++; /* from here on close frees it */
    if (!fill_channel(c, topic, schema_name, fields, field_count))
        return fw_fail(error, FW_NO_MEMORY, "import: no memory");
    return FW_OK;
}

/* ---- files ---- */

static fw_status to_file(void *self, const void *bytes, size_t size_bytes, fw_error *error) {
    const fw_import_log *log = self;
    if (log->request->interrupted && *log->request->interrupted)
        return fw_fail(error, FW_INTERRUPTED, "interrupted");
    return fw_file_write_all(fw_env_real(), log->fd, bytes, size_bytes, "a recording", error);
}

static fw_status begin_file(fw_import_log *log, fw_error *error) {
    FW_TRY(open_writer(log, error));
    errno = EEXIST; /* a killed import may have left one of this number: in a container they repeat */
    for (int i = 0; i < 100 && log->fd < 0 && errno == EEXIST; i++) {
        snprintf(log->part, sizeof log->part, "%.400s/import-%d-%u-%d.part", log->request->folder,
                 (int)getpid(), log->result.count, i);
        log->fd = open(log->part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    }
    if (log->fd < 0) return fw_fail_errno(error, "cannot create %s", log->part);
    log->file_messages = log->file_bytes = 0;
    log->file_start_ns = UINT64_MAX;
    for (uint32_t i = 0; i < log->channel_count; i++) {
        log->channels[i].id = 0;
        log->channels[i].sequence = 0;
    }
    fw_mcap_sink sink = {.self = log, .write = to_file};
    return fw_mcap_writer_begin(log->writer, sink, "", "flywheel", error);
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static fw_status write_labels(fw_import_log *log, fw_error *error) {
    fw_mcap_pair pairs[FW_IMPORT_LABELS_MAX];
    uint32_t count = log->request->label_count;
    FW_ASSERT(count <= FW_IMPORT_LABELS_MAX);
    for (uint32_t i = 0; i < count; i++)
        pairs[i] = (fw_mcap_pair){log->request->labels[i].key, log->request->labels[i].value};
    return count > 0 ? fw_mcap_writer_metadata(log->writer, "labels", pairs, count, error) : FW_OK;
}

static fw_status write_metadata(fw_import_log *log, fw_error *error) {
    char part[16], size[24];
    snprintf(part, sizeof part, "%u", log->result.count);
    snprintf(size, sizeof size, "%" PRIu64, log->file_messages);
    fw_mcap_pair pairs[] = {
        {"line", log->request->line}, {"version", "1"},
        {"form", log->form},          {"unit", log->request->unit},
        {"part", part},               {"messages", size},
        {"source", base_name(log->request->source)},
        {"source_sha256", log->source_hash.hex},
    };
    FW_TRY(fw_mcap_writer_metadata(log->writer, "flywheel", pairs, sizeof pairs / sizeof *pairs,
                                   error));
    return write_labels(log, error);
}

/* FOLDER/<sha256>.mcap: the same import again finds the same name. */
static fw_status name_file(fw_import_log *log, fw_imported *file, fw_error *error) {
    struct stat stat;
    if (fsync(log->fd) != 0 || fstat(log->fd, &stat) != 0)
        return fw_fail_errno(error, "cannot complete %s", log->part);
    FW_TRY(fw_hash_file(log->part, &file->hash, error));
    file->size_bytes = (uint64_t)stat.st_size;
    file->messages = log->file_messages;
    file->start_ns = log->file_start_ns;
    snprintf(file->path, sizeof file->path, "%.400s/%s.mcap", log->request->folder,
             file->hash.hex);
    file->was_there = fw_file_exists(file->path);
    if (rename(log->part, file->path) != 0)
        return fw_fail_errno(error, "cannot rename %s", log->part);
    close(log->fd);
    log->fd = -1;
    return FW_OK;
}

static fw_status end_file(fw_import_log *log, fw_error *error) {
    if (log->fd < 0) return FW_OK;
    if (log->source) { /* everything was read before the first message: one hash for all parts */
        log->source_hash = fw_sha256_end(log->source);
        log->source = NULL;
    }
    fw_imported *grown = realloc(log->result.files, (log->result.count + 1) * sizeof *grown);
    if (!grown) return fw_fail(error, FW_NO_MEMORY, "import: no memory");
    log->result.files = grown;
    FW_TRY(write_metadata(log, error));
    FW_TRY(fw_mcap_writer_end(log->writer, error));
    FW_TRY(name_file(log, &grown[log->result.count], error));
    log->result.messages += log->file_messages;
    log->result.count++;
    return FW_OK;
}

fw_status fw_import_log_end(fw_import_log *log, fw_import_result *out, fw_error *error) {
    FW_TRY(end_file(log, error));
    if (log->result.count == 0)
        return fw_fail(error, FW_CORRUPT, "%s holds nothing to import", log->request->source);
    FW_TRY(fw_folder_sync(fw_env_real(), log->request->folder, error));
    *out = log->result;
    log->result = (fw_import_result){0};
    log->ended = true;
    return FW_OK;
}

/* ---- messages ---- */

static fw_status join_file(fw_import_log *log, channel *c, fw_error *error) {
    uint16_t schema_id = 0;
    FW_TRY(fw_mcap_writer_add_schema(log->writer, c->schema_name, "jsonschema", c->schema,
                                     strlen(c->schema), &schema_id, error));
    return fw_mcap_writer_add_channel(log->writer, schema_id, c->topic, "json", NULL, 0, &c->id,
                                      error);
}

/* Every closed chunk has CHUNK_BYTES or CHUNK_MESSAGES; schemas and channels add TEXT_MAX at most. */
static bool is_full(const fw_import_log *log) {
    const uint64_t kept_free = TEXT_MAX / CHUNK_BYTES + 4;
    uint64_t chunks = log->file_bytes / CHUNK_BYTES + log->file_messages / CHUNK_MESSAGES;
    return fw_mcap_writer_size_bytes(log->writer) > FW_IMPORT_PART_BYTES ||
           chunks >= CHUNKS_MAX - kept_free;
}

fw_status fw_import_log_text(fw_import_log *log, uint32_t id, int64_t time_ns, const char *json,
                             size_t size_bytes, fw_error *error) {
    FW_ASSERT(id < log->channel_count);
    channel *c = &log->channels[id];
    if (time_ns < 0) return fw_fail(error, FW_CORRUPT, "%s: a time before 1970", c->topic);
    if (log->fd >= 0 && is_full(log)) FW_TRY(end_file(log, error));
    if (log->fd < 0) FW_TRY(begin_file(log, error));
    if (c->id == 0) FW_TRY(join_file(log, c, error));
    log->file_messages++;
    if ((uint64_t)time_ns < log->file_start_ns) log->file_start_ns = (uint64_t)time_ns;
    log->file_bytes += size_bytes + 31; /* a message record's head */
    return fw_mcap_writer_message(log->writer, c->id, c->sequence++, (uint64_t)time_ns,
                                  (uint64_t)time_ns, json, size_bytes, error);
}

size_t fw_import_number(double value, char *out) {
    if (!isfinite(value)) return (size_t)sprintf(out, "null");
    return (size_t)snprintf(out, 32, "%.15g", value == 0 ? 0.0 : value);
}

/* "name": as JSON text, which escapes what must be. */
static size_t put_name(const char *name, char *out, size_t room) {
    json_t *text = json_string(name);
    size_t used = text ? json_dumpb(text, out, room, JSON_ENCODE_ANY | JSON_COMPACT) : 0;
    json_decref(text);
    return used > 0 && used < room ? used : 0;
}

fw_status fw_import_log_numbers(fw_import_log *log, uint32_t id, int64_t time_ns,
                                const double *values, fw_error *error) {
    char row[ROW_MAX];
    size_t used = 1;
    FW_ASSERT(id < log->channel_count);
    const channel *c = &log->channels[id];
    row[0] = '{';
    for (size_t i = 0; i < c->field_count; i++) {
        if (used + 80 >= sizeof row)
            return fw_fail(error, FW_TOO_BIG, "%s: a row is too long", c->topic);
        if (i > 0) row[used++] = ',';
        size_t name = put_name(c->fields[i], row + used, sizeof row - used - 40);
        if (name == 0) return fw_fail(error, FW_TOO_BIG, "%s: a row is too long", c->topic);
        used += name;
        row[used++] = ':';
        used += fw_import_number(values[i], row + used);
    }
    row[used++] = '}';
    return fw_import_log_text(log, id, time_ns, row, used, error);
}
