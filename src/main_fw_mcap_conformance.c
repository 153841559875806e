/* fw-mcap-conformance - the MCAP library as the official conformance suite asks for it.
 *
 *   fw-mcap-conformance read FILE.mcap           {"records":[...]} in the order of the file
 *   fw-mcap-conformance read-mapped FILE.mcap    the same over the mapped file
 *   fw-mcap-conformance read-indexed FILE.mcap   {"schemas","channels","messages","statistics"}:
 *                                                through the index, messages in order of log time
 *   fw-mcap-conformance write FILE.json          the bytes of the file that a case describes
 *
 * A record is {"type":"Message","fields":[["channel_id","1"],...]}: fields in alphabetical order,
 * numbers as strings, bytes as arrays of them, as in github foxglove/mcap, tests/conformance.
 * Exit 0 done, 1 failed with one line on stderr, 2 usage.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "mcap/mcap.h"

enum { PAIRS_MAX = 256 };

static fw_error error;

static int failed(const char *what) {
    fprintf(stderr, "fw-mcap-conformance: %s: %s\n", what, error.text);
    return 1;
}

/* ------------------------------------------------------------------- record to JSON ----- */

static json_t *number(uint64_t value) {
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    return json_string(text);
}

static json_t *text(fw_mcap_text t) {
    json_t *made = json_stringn(t.bytes, t.size_bytes);
    return made == NULL ? json_string("(not UTF-8)") : made;
}

static json_t *data(const uint8_t *at, uint64_t size) {
    json_t *list = json_array();
    for (uint64_t i = 0; i < size; i++) json_array_append_new(list, number(at[i]));
    return list;
}

static json_t *map(fw_mcap_map m) {
    json_t *object = json_object();
    fw_mcap_text key, value;
    for (uint32_t at = 0; fw_mcap_map_next(m, &at, &key, &value);) {
        json_object_setn_new(object, key.bytes, key.size_bytes, text(value));
    }
    return object;
}

static uint64_t load(const uint8_t *at, int size) {
    uint64_t value = 0;
    for (int i = 0; i < size; i++) value |= (uint64_t)at[i] << (8 * i);
    return value;
}

/* Packed pairs of u16 and u64. */
static json_t *counts(const uint8_t *at, uint32_t count) {
    json_t *object = json_object();
    for (uint32_t i = 0; i < count; i++, at += 10) {
        char name[16];
        snprintf(name, sizeof name, "%u", (unsigned)load(at, 2));
        json_object_set_new(object, name, number(load(at + 2, 8)));
    }
    return object;
}

static void add(json_t *fields, const char *name, json_t *value) {
    json_array_append_new(fields, json_pack("[s, o]", name, value));
}

static void add_chunk_index(json_t *f, const fw_mcap_chunk_index *x) {
    add(f, "chunk_length", number(x->chunk_length_bytes));
    add(f, "chunk_start_offset", number(x->chunk_offset));
    add(f, "compressed_size", number(x->compressed_size_bytes));
    add(f, "compression", text(x->compression));
    add(f, "message_end_time", number(x->message_end_time_ns));
    add(f, "message_index_length", number(x->message_index_length_bytes));
    add(f, "message_index_offsets", counts(x->index_offsets, x->index_offset_count));
    add(f, "message_start_time", number(x->message_start_time_ns));
    add(f, "uncompressed_size", number(x->uncompressed_size_bytes));
}

static void add_statistics(json_t *f, const fw_mcap_statistics *s) {
    add(f, "attachment_count", number(s->attachment_count));
    add(f, "channel_count", number(s->channel_count));
    add(f, "channel_message_counts", counts(s->channel_counts, s->channel_count_count));
    add(f, "chunk_count", number(s->chunk_count));
    add(f, "message_count", number(s->message_count));
    add(f, "message_end_time", number(s->message_end_time_ns));
    add(f, "message_start_time", number(s->message_start_time_ns));
    add(f, "metadata_count", number(s->metadata_count));
    add(f, "schema_count", number(s->schema_count));
}

static void add_index_fields(json_t *f, const fw_mcap_record *r) {
    if (r->opcode == FW_MCAP_CHUNK_INDEX) {
        add_chunk_index(f, &r->of.chunk_index);
    } else if (r->opcode == FW_MCAP_STATISTICS) {
        add_statistics(f, &r->of.statistics);
    } else if (r->opcode == FW_MCAP_ATTACHMENT_INDEX) {
        const fw_mcap_attachment_index *x = &r->of.attachment_index;
        add(f, "create_time", number(x->create_time_ns));
        add(f, "data_size", number(x->data_size_bytes));
        add(f, "length", number(x->length_bytes));
        add(f, "log_time", number(x->log_time_ns));
        add(f, "media_type", text(x->media_type));
        add(f, "name", text(x->name));
        add(f, "offset", number(x->offset));
    } else if (r->opcode == FW_MCAP_METADATA_INDEX) {
        add(f, "length", number(r->of.metadata_index.length_bytes));
        add(f, "name", text(r->of.metadata_index.name));
        add(f, "offset", number(r->of.metadata_index.offset));
    } else if (r->opcode == FW_MCAP_SUMMARY_OFFSET) {
        add(f, "group_length", number(r->of.summary_offset.group_length_bytes));
        add(f, "group_opcode", number(r->of.summary_offset.group_opcode));
        add(f, "group_start", number(r->of.summary_offset.group_start));
    }
}

static void add_content_fields(json_t *f, const fw_mcap_record *r) {
    if (r->opcode == FW_MCAP_SCHEMA) {
        add(f, "data", data(r->of.schema.data, r->of.schema.size_bytes));
        add(f, "encoding", text(r->of.schema.encoding));
        add(f, "id", number(r->of.schema.id));
        add(f, "name", text(r->of.schema.name));
    } else if (r->opcode == FW_MCAP_CHANNEL) {
        add(f, "id", number(r->of.channel.id));
        add(f, "message_encoding", text(r->of.channel.message_encoding));
        add(f, "metadata", map(r->of.channel.metadata));
        add(f, "schema_id", number(r->of.channel.schema_id));
        add(f, "topic", text(r->of.channel.topic));
    } else if (r->opcode == FW_MCAP_MESSAGE) {
        add(f, "channel_id", number(r->of.message.channel_id));
        add(f, "data", data(r->of.message.data, r->of.message.size_bytes));
        add(f, "log_time", number(r->of.message.log_time_ns));
        add(f, "publish_time", number(r->of.message.publish_time_ns));
        add(f, "sequence", number(r->of.message.sequence));
    } else if (r->opcode == FW_MCAP_ATTACHMENT) {
        add(f, "create_time", number(r->of.attachment.create_time_ns));
        add(f, "data", data(r->of.attachment.data, r->of.attachment.size_bytes));
        add(f, "log_time", number(r->of.attachment.log_time_ns));
        add(f, "media_type", text(r->of.attachment.media_type));
        add(f, "name", text(r->of.attachment.name));
    } else if (r->opcode == FW_MCAP_METADATA) {
        add(f, "metadata", map(r->of.metadata.map));
        add(f, "name", text(r->of.metadata.name));
    }
}

static json_t *record_json(const fw_mcap_record *r) {
    json_t *f = json_array();
    add_content_fields(f, r);
    add_index_fields(f, r);
    if (r->opcode == FW_MCAP_HEADER) {
        add(f, "library", text(r->of.header.library));
        add(f, "profile", text(r->of.header.profile));
    } else if (r->opcode == FW_MCAP_DATA_END) {
        add(f, "data_section_crc", number(r->of.data_end.data_section_crc));
    } else if (r->opcode == FW_MCAP_FOOTER) {
        add(f, "summary_crc", number(r->of.footer.summary_crc));
        add(f, "summary_offset_start", number(r->of.footer.summary_offset_start));
        add(f, "summary_start", number(r->of.footer.summary_start));
    }
    return json_pack("{s:s, s:o}", "type", fw_mcap_opcode_name(r->opcode), "fields", f);
}

/* Prints and gives up the reference. */
static int print(json_t *whole) {
    bool good = json_dumpf(whole, stdout, JSON_COMPACT) == 0 && putchar('\n') == '\n';
    json_decref(whole);
    if (good && fflush(stdout) == 0) return 0;
    (void)fw_fail(&error, FW_IO, "cannot write");
    return failed("standard output");
}

/* ---------------------------------------------------------------------------- reading ----- */

static fw_status read_records(fw_mcap_reader *reader, json_t *records) {
    fw_mcap_record record;
    fw_status status;
    while ((status = fw_mcap_reader_next(reader, &record, &error)) == FW_OK) {
        if (record.opcode == FW_MCAP_CHUNK || record.opcode == FW_MCAP_MESSAGE_INDEX) continue;
        json_array_append_new(records, record_json(&record));
    }
    return status == FW_END ? FW_OK : status;
}

static int read_file(const char *path, bool mapped) {
    fw_mcap_reader *reader = NULL;
    fw_mcap_file file = {0};
    fw_status status;
    if (mapped) {
        status = fw_mcap_file_map(path, &file, &error);
        if (status != FW_OK) return failed(path);
        status = fw_mcap_reader_open_bytes(NULL, file.bytes, file.size_bytes, &reader, &error);
    } else {
        status = fw_mcap_reader_open_path(NULL, path, &reader, &error);
    }
    json_t *records = json_array();
    if (status == FW_OK) status = read_records(reader, records);
    fw_mcap_reader_close(reader);
    fw_mcap_file_unmap(&file);
    if (status == FW_OK) return print(json_pack("{s:o}", "records", records));
    json_decref(records);
    return failed(path);
}

static int by_id(const void *a, const void *b) {
    const fw_mcap_record *x = a, *y = b;
    unsigned i = x->opcode == FW_MCAP_SCHEMA ? x->of.schema.id : x->of.channel.id;
    unsigned k = y->opcode == FW_MCAP_SCHEMA ? y->of.schema.id : y->of.channel.id;
    return i < k ? -1 : i > k;
}

/* The schemas or the channels, ids rising. */
static json_t *known_json(const fw_mcap_indexed *x, fw_mcap_opcode opcode) {
    static fw_mcap_record records[65536 + 1];
    size_t count = 0;
    const fw_mcap_channel *channel;
    const fw_mcap_schema *schema;
    for (;; count++) {
        records[count].opcode = (uint8_t)opcode;
        if (opcode == FW_MCAP_SCHEMA) {
            if (!fw_mcap_indexed_schema(x, count, &schema)) break;
            records[count].of.schema = *schema;
        } else {
            if (!fw_mcap_indexed_channel(x, count, &channel, &schema)) break;
            records[count].of.channel = *channel;
        }
    }
    qsort(records, count, sizeof records[0], by_id);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) json_array_append_new(list, record_json(&records[i]));
    return list;
}

static fw_status messages_json(fw_mcap_indexed *x, json_t *list) {
    fw_mcap_record record = {.opcode = FW_MCAP_MESSAGE};
    fw_status status = fw_mcap_indexed_query(x, NULL, &error);
    while (status == FW_OK) {
        status = fw_mcap_indexed_next(x, &record.of.message, &error);
        if (status == FW_OK) json_array_append_new(list, record_json(&record));
    }
    return status == FW_END ? FW_OK : status;
}

static int read_indexed(const char *path) {
    fw_mcap_indexed *x = NULL;
    if (fw_mcap_indexed_open_path(NULL, path, &x, &error) != FW_OK) return failed(path);
    json_t *messages = json_array(), *statistics = json_array();
    fw_status status = messages_json(x, messages);
    fw_mcap_record record = {.opcode = FW_MCAP_STATISTICS};
    if (status == FW_OK) {
        status = fw_mcap_indexed_statistics(x, &record.of.statistics, &error);
        if (status == FW_OK) json_array_append_new(statistics, record_json(&record));
        if (status == FW_NOT_FOUND) status = FW_OK;
    }
    json_t *whole =
        json_pack("{s:o, s:o, s:o, s:o}", "schemas", known_json(x, FW_MCAP_SCHEMA), "channels",
                  known_json(x, FW_MCAP_CHANNEL), "messages", messages, "statistics", statistics);
    fw_mcap_indexed_close(x);
    if (status == FW_OK) return print(whole);
    json_decref(whole);
    return failed(path);
}

/* ---------------------------------------------------------------------------- writing ----- */

static bool feature(const json_t *whole, const char *name) {
    const json_t *variant = json_object_get(json_object_get(whole, "meta"), "variant");
    const json_t *features = json_object_get(variant, "features");
    size_t i;
    const json_t *value;
    json_array_foreach(features, i, value) {
        if (json_is_string(value) && strcmp(json_string_value(value), name) == 0) return true;
    }
    return false;
}

static uint32_t omissions(const json_t *whole) {
    static const struct {
        const char *name;
        uint32_t bit;
    } parts[] = {{"ch", FW_MCAP_OMIT_CHUNKS},
                 {"mx", FW_MCAP_OMIT_MESSAGE_INDEX},
                 {"st", FW_MCAP_OMIT_STATISTICS},
                 {"rsh", FW_MCAP_OMIT_SUMMARY_SCHEMAS},
                 {"rch", FW_MCAP_OMIT_SUMMARY_CHANNELS},
                 {"chx", FW_MCAP_OMIT_CHUNK_INDEX},
                 {"sum", FW_MCAP_OMIT_SUMMARY_OFFSET},
                 {"ax", FW_MCAP_OMIT_ATTACHMENT_INDEX},
                 {"mdx", FW_MCAP_OMIT_METADATA_INDEX}};
    uint32_t omit = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (!feature(whole, parts[i].name)) omit |= parts[i].bit;
    }
    return omit;
}

/* The value of a record's field; NULL when it is not there. */
static json_t *field(const json_t *record, const char *name) {
    const json_t *fields = json_object_get(record, "fields");
    size_t i;
    json_t *pair;
    json_array_foreach(fields, i, pair) {
        const char *found = json_string_value(json_array_get(pair, 0));
        if (found != NULL && strcmp(found, name) == 0) return json_array_get(pair, 1);
    }
    return NULL;
}

static const char *string(const json_t *record, const char *name) {
    const char *value = json_string_value(field(record, name));
    return value == NULL ? "" : value;
}

static uint64_t integer(const json_t *record, const char *name) {
    return strtoull(string(record, name), NULL, 10);
}

/* Bytes of "data", to free. */
static uint8_t *bytes(const json_t *record, size_t *size) {
    const json_t *list = field(record, "data");
    *size = json_array_size(list);
    uint8_t *made = malloc(*size + 1);
    if (made == NULL) return NULL;
    for (size_t i = 0; i < *size; i++) {
        const char *value = json_string_value(json_array_get(list, i));
        made[i] = (uint8_t)strtoul(value == NULL ? "" : value, NULL, 10);
    }
    return made;
}

static size_t pairs_of(const json_t *record, fw_mcap_pair pairs[PAIRS_MAX]) {
    size_t count = 0;
    const char *key;
    json_t *value;
    json_object_foreach(field(record, "metadata"), key, value) {
        if (count < PAIRS_MAX) pairs[count++] = (fw_mcap_pair){key, json_string_value(value)};
    }
    return count;
}

/* The writer gives ids from 1 on; a case that wants others cannot be written. */
static fw_status same_id(const json_t *record, uint16_t id) {
    if (integer(record, "id") == id) return FW_OK;
    return fw_fail(&error, FW_UNSUPPORTED, "ids other than 1, 2, ... in the order of the records");
}

static fw_status write_known(fw_mcap_writer *w, const json_t *r, const uint8_t *at, size_t size) {
    fw_mcap_pair pairs[PAIRS_MAX];
    uint16_t id;
    if (strcmp(json_string_value(json_object_get(r, "type")), "Schema") == 0) {
        FW_TRY(fw_mcap_writer_add_schema(w, string(r, "name"), string(r, "encoding"), at, size, &id,
                                         &error));
    } else {
        FW_TRY(fw_mcap_writer_add_channel(w, (uint16_t)integer(r, "schema_id"), string(r, "topic"),
                                          string(r, "message_encoding"), pairs, pairs_of(r, pairs),
                                          &id, &error));
    }
    return same_id(r, id);
}

static fw_status write_record(fw_mcap_writer *w, const json_t *r, const char *type) {
    size_t size = 0;
    uint8_t *at = bytes(r, &size);
    if (at == NULL) return fw_fail(&error, FW_NO_MEMORY, "no memory for a record");
    fw_status status = FW_OK;
    fw_mcap_pair pairs[PAIRS_MAX];
    if (strcmp(type, "Schema") == 0 || strcmp(type, "Channel") == 0) {
        status = write_known(w, r, at, size);
    } else if (strcmp(type, "Message") == 0) {
        status = fw_mcap_writer_message(w, (uint16_t)integer(r, "channel_id"),
                                        (uint32_t)integer(r, "sequence"), integer(r, "log_time"),
                                        integer(r, "publish_time"), at, size, &error);
    } else if (strcmp(type, "Attachment") == 0) {
        status =
            fw_mcap_writer_attachment(w, integer(r, "log_time"), integer(r, "create_time"),
                                      string(r, "name"), string(r, "media_type"), at, size, &error);
    } else if (strcmp(type, "Metadata") == 0) {
        status = fw_mcap_writer_metadata(w, string(r, "name"), pairs, pairs_of(r, pairs), &error);
    } else {
        status = fw_fail(&error, FW_INVALID, "a record of unknown type '%s'", type);
    }
    free(at);
    return status;
}

static fw_status to_stdout(void *self, const void *at, size_t size, fw_error *why) {
    (void)self;
    return fwrite(at, 1, size, stdout) == size ? FW_OK : fw_fail_errno(why, "cannot write");
}

/* Everything up to DataEnd; what follows there is what the writer makes of it. */
static fw_status write_records(fw_mcap_writer *w, const json_t *records) {
    size_t i;
    const json_t *r;
    fw_mcap_sink sink = {.write = to_stdout};
    json_array_foreach(records, i, r) {
        const char *type = json_string_value(json_object_get(r, "type"));
        if (type == NULL) return fw_fail(&error, FW_INVALID, "record %zu has no type", i);
        if (strcmp(type, "DataEnd") == 0) return fw_mcap_writer_end(w, &error);
        if (strcmp(type, "Header") == 0) {
            FW_TRY(
                fw_mcap_writer_begin(w, sink, string(r, "profile"), string(r, "library"), &error));
            continue;
        }
        FW_TRY(write_record(w, r, type));
    }
    return fw_fail(&error, FW_INVALID, "no DataEnd among the records");
}

static int write_file(const char *path) {
    json_error_t where;
    json_t *whole = json_load_file(path, 0, &where);
    if (whole == NULL) {
        (void)fw_fail(&error, FW_INVALID, "line %d: %s", where.line, where.text);
        return failed(path);
    }
    fw_mcap_writer_options o = {.compression = FW_MCAP_NONE, .omit = omissions(whole)};
    fw_mcap_writer *w = NULL;
    fw_status status = FW_OK;
    if (feature(whole, "pad"))
        status = fw_fail(&error, FW_UNSUPPORTED, "the writer adds no padding to records");
    if (status == FW_OK) status = fw_mcap_writer_open(&o, &w, &error);
    if (status == FW_OK) status = write_records(w, json_object_get(whole, "records"));
    if (status == FW_OK && fflush(stdout) != 0) status = fw_fail_errno(&error, "cannot write");
    fw_mcap_writer_close(w);
    json_decref(whole);
    return status == FW_OK ? 0 : failed(path);
}

int main(int argc, char **argv) {
    const char *how = argc == 3 ? argv[1] : "";
    if (strcmp(how, "read") == 0) return read_file(argv[2], false);
    if (strcmp(how, "read-mapped") == 0) return read_file(argv[2], true);
    if (strcmp(how, "read-indexed") == 0) return read_indexed(argv[2]);
    if (strcmp(how, "write") == 0) return write_file(argv[2]);
    fprintf(stderr, "usage: fw-mcap-conformance read|read-mapped|read-indexed|write FILE\n");
    return 2;
}
