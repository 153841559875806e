/* The official conformance vectors, where FLYWHEEL_DATA holds them (docs/data.md): every file is
 * read, streamed and mapped, into the very records its .json lists; it validates; and every file
 * without padding is written again, byte for byte. Skipped (77) where the vectors are absent. */
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "support.h"

static char folder[1024];

/* ------------------------------------------------------------------- record to JSON ----- */

static json_t *number(uint64_t value) {
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    return json_string(text);
}

static json_t *text(fw_mcap_text t) {
    return json_stringn(t.bytes, t.size_bytes);
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
        char name[64];
        assert_true(fw_mcap_text_copy(key, name, sizeof name));
        json_object_set_new(object, name, text(value));
    }
    return object;
}

static uint64_t load(const uint8_t *at, int size) {
    uint64_t value = 0;
    for (int i = 0; i < size; i++) value |= (uint64_t)at[i] << (8 * i);
    return value;
}

/* Packed u16 -> u64 pairs. */
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

/* Fields in alphabetical order, as the vectors have them. */
static void add_index_fields(json_t *f, const fw_mcap_record *r) {
    if (r->opcode == FW_MCAP_CHUNK_INDEX) {
        const fw_mcap_chunk_index *x = &r->of.chunk_index;
        add(f, "chunk_length", number(x->chunk_length_bytes));
        add(f, "chunk_start_offset", number(x->chunk_offset));
        add(f, "compressed_size", number(x->compressed_size_bytes));
        add(f, "compression", text(x->compression));
        add(f, "message_end_time", number(x->message_end_time_ns));
        add(f, "message_index_length", number(x->message_index_length_bytes));
        add(f, "message_index_offsets", counts(x->index_offsets, x->index_offset_count));
        add(f, "message_start_time", number(x->message_start_time_ns));
        add(f, "uncompressed_size", number(x->uncompressed_size_bytes));
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
    } else if (r->opcode == FW_MCAP_STATISTICS) {
        add_statistics(f, &r->of.statistics);
    } else if (r->opcode == FW_MCAP_DATA_END) {
        add(f, "data_section_crc", number(r->of.data_end.data_section_crc));
    } else if (r->opcode == FW_MCAP_FOOTER) {
        add(f, "summary_crc", number(r->of.footer.summary_crc));
        add(f, "summary_offset_start", number(r->of.footer.summary_offset_start));
        add(f, "summary_start", number(r->of.footer.summary_start));
    }
    return json_pack("{s:s, s:o}", "type", fw_mcap_opcode_name(r->opcode), "fields", f);
}

static json_t *read_all(fw_mcap_reader *r, const char *path) {
    json_t *records = json_array();
    fw_mcap_record record;
    fw_error error;
    fw_status status;
    while ((status = fw_mcap_reader_next(r, &record, &error)) == FW_OK) {
        if (record.opcode == FW_MCAP_CHUNK || record.opcode == FW_MCAP_MESSAGE_INDEX) continue;
        json_array_append_new(records, record_json(&record));
    }
    if (status != FW_END) fail_msg("%s: %s", path, error.text);
    fw_mcap_reader_close(r);
    return records;
}

/* --------------------------------------------------------------------- writing back ----- */

static bool feature(const json_t *expected, const char *name) {
    const json_t *meta = json_object_get(expected, "meta");
    const json_t *features = json_object_get(json_object_get(meta, "variant"), "features");
    size_t i;
    const json_t *value;
    json_array_foreach(features, i, value) {
        if (strcmp(json_string_value(value), name) == 0) return true;
    }
    return false;
}

static uint32_t omissions(const json_t *expected) {
    const struct {
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
        if (!feature(expected, parts[i].name)) omit |= parts[i].bit;
    }
    return omit;
}

/* The terminated copy of a text, in one of a few static places. */
static const char *copied(fw_mcap_text t) {
    static char places[4][64];
    static int next;
    char *place = places[next++ % 4];
    assert_true(fw_mcap_text_copy(t, place, sizeof places[0]));
    return place;
}

static size_t copy_pairs(fw_mcap_map m, fw_mcap_pair *pairs) {
    size_t count = 0;
    fw_mcap_text key, value;
    for (uint32_t at = 0; fw_mcap_map_next(m, &at, &key, &value); count++) {
        pairs[count] = (fw_mcap_pair){copied(key), copied(value)};
    }
    return count;
}

static void write_record(fw_mcap_writer *w, const fw_mcap_record *r) {
    uint16_t id;
    fw_mcap_pair pairs[8];
    if (r->opcode == FW_MCAP_SCHEMA) {
        const fw_mcap_schema *s = &r->of.schema;
        ok(fw_mcap_writer_add_schema(w, copied(s->name), copied(s->encoding), s->data,
                                     s->size_bytes, &id, error));
    } else if (r->opcode == FW_MCAP_CHANNEL) {
        const fw_mcap_channel *c = &r->of.channel;
        size_t count = copy_pairs(c->metadata, pairs);
        ok(fw_mcap_writer_add_channel(w, c->schema_id, copied(c->topic),
                                      copied(c->message_encoding), pairs, count, &id, error));
    } else if (r->opcode == FW_MCAP_MESSAGE) {
        const fw_mcap_message *m = &r->of.message;
        ok(fw_mcap_writer_message(w, m->channel_id, m->sequence, m->log_time_ns, m->publish_time_ns,
                                  m->data, m->size_bytes, error));
    } else if (r->opcode == FW_MCAP_METADATA) {
        size_t count = copy_pairs(r->of.metadata.map, pairs);
        ok(fw_mcap_writer_metadata(w, copied(r->of.metadata.name), pairs, count, error));
    } else if (r->opcode == FW_MCAP_ATTACHMENT) {
        const fw_mcap_attachment *a = &r->of.attachment;
        ok(fw_mcap_writer_attachment(w, a->log_time_ns, a->create_time_ns, copied(a->name),
                                     copied(a->media_type), a->data, a->size_bytes, error));
    }
}

static made_file written;

static void write_again(const json_t *expected, const fw_mcap_file *file, const char *path) {
    fw_mcap_writer_options o = {.compression = FW_MCAP_NONE, .omit = omissions(expected)};
    fw_mcap_writer *w = NULL;
    ok(fw_mcap_writer_open(&o, &w, error));
    ok(fw_mcap_writer_begin(w, made_file_sink(&written), "", "", error));
    fw_mcap_reader *r = NULL;
    ok(fw_mcap_reader_open_bytes(NULL, file->bytes, file->size_bytes, &r, error));
    fw_mcap_record record;
    while (fw_mcap_reader_next(r, &record, NULL) == FW_OK) {
        if (!record.in_summary) write_record(w, &record);
    }
    fw_mcap_reader_close(r);
    ok(fw_mcap_writer_end(w, error));
    fw_mcap_writer_close(w);
    if (written.memory.size_bytes != file->size_bytes ||
        memcmp(written.at, file->bytes, file->size_bytes) != 0) {
        fail_msg("%s: written differently (%zu bytes, expected %zu)", path,
                 written.memory.size_bytes, file->size_bytes);
    }
}

/* --------------------------------------------------------------------------- vectors ----- */

static int vectors;

static void check_records(const json_t *expected, json_t *got, const char *path) {
    if (!json_equal(json_object_get(expected, "records"), got)) {
        char *dump = json_dumps(got, 0);
        print_error("%s: got %s\n", path, dump);
        free(dump);
        fail_msg("%s: other records than expected", path);
    }
    json_decref(got);
}

static void check_vector(const char *path) {
    char json_path[1200];
    snprintf(json_path, sizeof json_path, "%.*sjson", (int)strlen(path) - 4, path);
    json_error_t where;
    json_t *expected = json_load_file(json_path, 0, &where);
    if (expected == NULL) fail_msg("%s: %s", json_path, where.text);
    fw_mcap_reader *r = NULL;
    ok(fw_mcap_reader_open_path(NULL, path, &r, error));
    check_records(expected, read_all(r, path), path);
    fw_mcap_file file;
    ok(fw_mcap_file_map(path, &file, error));
    ok(fw_mcap_reader_open_bytes(NULL, file.bytes, file.size_bytes, &r, error));
    check_records(expected, read_all(r, path), path);
    fw_error error;
    if (fw_mcap_validate(NULL, path, NULL, &error) != FW_OK) fail_msg("%s: %s", path, error.text);
    if (!feature(expected, "pad")) write_again(expected, &file, path);
    fw_mcap_file_unmap(&file);
    json_decref(expected);
    vectors++;
}

static void check_folder(const char *name) {
    char path[1200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    DIR *dir = opendir(path);
    if (dir == NULL) return;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        size_t size = strlen(e->d_name);
        if (size < 5 || strcmp(e->d_name + size - 5, ".mcap") != 0) continue;
        snprintf(path, sizeof path, "%s/%s/%s", folder, name, e->d_name);
        check_vector(path);
    }
    closedir(dir);
}

static void test_vectors(void **state) {
    (void)state;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (e->d_name[0] != '.') check_folder(e->d_name);
    }
    closedir(dir);
    print_message("%d conformance vectors\n", vectors);
    assert_true(vectors >= 400);
}

int main(void) {
    const char *data_folder = getenv("FLYWHEEL_DATA");
    if (data_folder != NULL) snprintf(folder, sizeof folder, "%s/mcap-conformance", data_folder);
    if (data_folder == NULL || access(folder, R_OK) != 0) {
        fprintf(stderr, "skipped: no FLYWHEEL_DATA/mcap-conformance (docs/data.md)\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
