/* Messages of one or several files into a new one: filter, merge and convert.
 *
 *   survey:  all chosen messages once, for the sizes the writer is opened with
 *   define:  schemas and channels; those that say the same share an id
 *   copy:    metadata, messages, attachments
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd_log.h"

enum { IDS = 65536, MEMORY_OF_INDEX_BYTES = 1 << 28 };

typedef struct schema {
    uint64_t hash; /* of name, encoding and data: equal ones are compared in full */
    const fw_mcap_schema *of;
    uint16_t id;
} schema;

typedef struct channel {
    uint64_t hash;
    const fw_mcap_channel *of;
    uint16_t schema_id, id; /* of the new file */
} channel;

typedef struct ids {
    uint16_t channel[IDS]; /* of the new file; 0: not there yet */
    uint64_t seen[IDS];    /* messages, for --every */
} ids;

typedef struct copy {
    const fw_log_options *options;
    fw_log_inputs inputs;
    ids *ids; /* (inputs.count) */
    fw_mcap_writer *writer;
    schema *schemas;
    channel *channels;
    size_t schema_count, channel_count; /* in the new file */
    uint64_t messages, bytes, largest;  /* of the survey */
    uint64_t text_bytes, attachments, metadata, metadata_largest;
    size_t schemas_max, channels_max;
} copy;

/* ------------------------------------------------------------------------- texts ----- */

fw_status fw_log_terminated(fw_mcap_text text, char **out, fw_error *error) {
    if (text.size_bytes > 0 && memchr(text.bytes, 0, text.size_bytes) != NULL)
        return fw_fail(error, FW_UNSUPPORTED, "a name with a zero byte in it: %.60s", text.bytes);
    char *copied = calloc(1, (size_t)text.size_bytes + 1);
    if (copied == NULL) return fw_fail(error, FW_NO_MEMORY, "out of memory");
    if (text.size_bytes > 0) memcpy(copied, text.bytes, text.size_bytes);
    *out = copied;
    return FW_OK;
}

typedef struct pairs {
    fw_mcap_pair *items;
    size_t count;
} pairs;

static void free_pairs(pairs *p) {
    for (size_t i = 0; i < p->count; i++) {
        free((void *)(uintptr_t)p->items[i].key);
        free((void *)(uintptr_t)p->items[i].value);
    }
    free(p->items);
    *p = (pairs){0};
}

static fw_status read_pairs(fw_mcap_map map, pairs *out, fw_error *error) {
    fw_mcap_text key, value;
    size_t count = 0;
    for (uint32_t at = 0; fw_mcap_map_next(map, &at, &key, &value);) count++;
    *out = (pairs){.items = calloc(count + 1, sizeof *out->items)};
    fw_status status = out->items ? FW_OK : fw_fail(error, FW_NO_MEMORY, "out of memory");
    for (uint32_t at = 0; status == FW_OK && fw_mcap_map_next(map, &at, &key, &value);) {
        fw_mcap_pair *pair = &out->items[out->count++];
        char *text = NULL;
        status = fw_log_terminated(key, &text, error);
        pair->key = text;
        text = NULL;
        if (status == FW_OK) status = fw_log_terminated(value, &text, error);
        pair->value = text;
    }
    if (status != FW_OK) free_pairs(out);
    return status;
}

static uint64_t add_hash(uint64_t hash, const void *bytes, size_t size) { /* FNV-1a */
    for (size_t i = 0; i < size; i++) hash = (hash ^ ((const uint8_t *)bytes)[i]) * 1099511628211u;
    return (hash ^ size) * 1099511628211u;
}

static bool same_text(fw_mcap_text a, fw_mcap_text b) {
    return a.size_bytes == b.size_bytes &&
           (a.size_bytes == 0 || memcmp(a.bytes, b.bytes, a.size_bytes) == 0);
}

static fw_mcap_text map_text(fw_mcap_map map) {
    return (fw_mcap_text){(const char *)map.bytes, map.size_bytes};
}

static fw_mcap_text data_text(const fw_mcap_schema *s) {
    return (fw_mcap_text){(const char *)s->data, s->size_bytes};
}

/* ------------------------------------------------------------------------ define ----- */

static fw_status define_schema(copy *c, const fw_mcap_schema *s, uint16_t *id, fw_error *error) {
    uint64_t hash = add_hash(14695981039346656037u, s->name.bytes, s->name.size_bytes);
    hash =
        add_hash(add_hash(hash, s->encoding.bytes, s->encoding.size_bytes), s->data, s->size_bytes);
    for (size_t i = 0; i < c->schema_count; i++) {
        const schema *known = &c->schemas[i];
        if (known->hash != hash || !same_text(known->of->name, s->name) ||
            !same_text(known->of->encoding, s->encoding) ||
            !same_text(data_text(known->of), data_text(s)))
            continue;
        *id = known->id;
        return FW_OK;
    }
    char *name = NULL, *encoding = NULL;
    fw_status status = fw_log_terminated(s->name, &name, error);
    if (status == FW_OK) status = fw_log_terminated(s->encoding, &encoding, error);
    if (status == FW_OK)
        status =
            fw_mcap_writer_add_schema(c->writer, name, encoding, s->data, s->size_bytes, id, error);
    if (status == FW_OK) c->schemas[c->schema_count++] = (schema){hash, s, *id};
    free(name);
    free(encoding);
    return status;
}

static fw_status write_channel(copy *c, const fw_mcap_channel *of, uint16_t schema_id, uint16_t *id,
                               fw_error *error) {
    char *topic = NULL, *encoding = NULL;
    pairs metadata = {0};
    fw_status status = fw_log_terminated(of->topic, &topic, error);
    if (status == FW_OK) status = fw_log_terminated(of->message_encoding, &encoding, error);
    if (status == FW_OK) status = read_pairs(of->metadata, &metadata, error);
    if (status == FW_OK)
        status = fw_mcap_writer_add_channel(c->writer, schema_id, topic, encoding, metadata.items,
                                            metadata.count, id, error);
    free(topic);
    free(encoding);
    free_pairs(&metadata);
    return status;
}

/* The id of a channel in the new file, the same for all that say the same. */
static fw_status define_channel(copy *c, const fw_mcap_channel *of, const fw_mcap_schema *s,
                                uint16_t *id, fw_error *error) {
    uint16_t schema_id = 0;
    if (s != NULL) FW_TRY(define_schema(c, s, &schema_id, error));
    uint64_t hash =
        add_hash(14695981039346656037u + schema_id, of->topic.bytes, of->topic.size_bytes);
    hash = add_hash(add_hash(hash, of->message_encoding.bytes, of->message_encoding.size_bytes),
                    of->metadata.bytes, of->metadata.size_bytes);
    for (size_t i = 0; i < c->channel_count; i++) {
        const channel *known = &c->channels[i];
        if (known->hash != hash || known->schema_id != schema_id ||
            !same_text(known->of->topic, of->topic) ||
            !same_text(known->of->message_encoding, of->message_encoding) ||
            !same_text(map_text(known->of->metadata), map_text(of->metadata)))
            continue;
        *id = known->id;
        return FW_OK;
    }
    FW_TRY(write_channel(c, of, schema_id, id, error));
    c->channels[c->channel_count++] = (channel){hash, of, schema_id, *id};
    return FW_OK;
}

static fw_status define_all(copy *c, fw_error *error) {
    for (size_t i = 0; i < c->inputs.count; i++) {
        const fw_mcap_indexed *indexed = c->inputs.items[i].indexed;
        const fw_mcap_channel *of;
        const fw_mcap_schema *s;
        uint16_t id;
        for (size_t k = 0; fw_mcap_indexed_schema(indexed, k, &s); k++)
            FW_TRY(define_schema(c, s, &id, error));
        for (size_t k = 0; fw_mcap_indexed_channel(indexed, k, &of, &s); k++)
            FW_TRY(define_channel(c, of, s, &c->ids[i].channel[of->id], error));
    }
    return FW_OK;
}

/* ------------------------------------------------------------------------ survey ----- */

static fw_status survey_definitions(copy *c, const fw_log_input *input, fw_error *error) {
    const fw_mcap_channel *of;
    const fw_mcap_schema *s;
    fw_mcap_metadata metadata;
    fw_mcap_attachment attachment;
    fw_status status;
    for (size_t i = 0; fw_mcap_indexed_schema(input->indexed, i, &s); i++, c->schemas_max++)
        c->text_bytes += 64 + (uint64_t)s->name.size_bytes + s->encoding.size_bytes + s->size_bytes;
    for (size_t i = 0; fw_mcap_indexed_channel(input->indexed, i, &of, &s); i++, c->channels_max++)
        c->text_bytes += 64 + (uint64_t)of->topic.size_bytes + of->message_encoding.size_bytes +
                         of->metadata.size_bytes;
    for (size_t i = 0;
         (status = fw_mcap_indexed_metadata(input->indexed, i, &metadata, error)) == FW_OK; i++) {
        uint64_t size = 64 + (uint64_t)metadata.name.size_bytes + metadata.map.size_bytes;
        c->text_bytes += size;
        if (size > c->metadata_largest) c->metadata_largest = size;
        c->metadata++;
    }
    if (status != FW_END) return status;
    for (size_t i = 0;
         (status = fw_mcap_indexed_attachment(input->indexed, i, &attachment, error)) == FW_OK;
         i++) {
        c->text_bytes +=
            64 + (uint64_t)attachment.name.size_bytes + attachment.media_type.size_bytes;
        c->attachments++;
    }
    return status == FW_END ? FW_OK : status;
}

/* What the inputs say they hold; 0 where they do not say. */
static uint64_t count_claimed(const copy *c) {
    fw_mcap_statistics statistics;
    uint64_t count = 0;
    for (size_t i = 0; i < c->inputs.count; i++)
        if (fw_mcap_indexed_statistics(c->inputs.items[i].indexed, &statistics, NULL) == FW_OK)
            count += statistics.message_count;
    return count;
}

static fw_status survey_messages(copy *c, fw_mcap_order order, fw_error *error) {
    fw_log_progress progress = fw_log_progress_start("reading", count_claimed(c));
    const fw_mcap_message *m;
    size_t which;
    fw_status status = fw_log_inputs_query(&c->inputs, c->options, order, error);
    while (status == FW_OK &&
           (status = fw_log_inputs_next(&c->inputs, &which, &m, error)) == FW_OK) {
        c->messages++;
        c->bytes += m->size_bytes + 31;
        if (m->size_bytes > c->largest) c->largest = m->size_bytes;
        fw_log_progress_step(&progress, 1);
        if (c->messages % 4096 == 0) status = fw_log_check_interrupt(error);
    }
    fw_log_progress_end(&progress);
    return status == FW_END ? FW_OK : status;
}

static fw_status survey(copy *c, fw_mcap_order order, fw_error *error) {
    for (size_t i = 0; i < c->inputs.count; i++) {
        const fw_log_input *input = &c->inputs.items[i];
        if (input->is_cut)
            return fw_fail(error, FW_CORRUPT,
                           "%.200s is cut or broken; run flywheel log recover on it first",
                           input->path);
        FW_TRY(survey_definitions(c, input, error));
    }
    return survey_messages(c, order, error);
}

/* ------------------------------------------------------------------------- write ----- */

static uint32_t at_most(uint64_t value, uint64_t most) {
    return (uint32_t)(value < most ? value : most);
}

static fw_status open_writer(copy *c, fw_error *error) {
    uint64_t chunk = c->options->chunk_bytes, channels = c->channels_max + 1, chunks;
    uint64_t largest = c->largest > c->text_bytes ? c->largest : c->text_bytes;
    do { /* the index of the chunks lies in memory: larger chunks when there would be too many */
        chunks = c->bytes / chunk + c->messages / 8192 + 16;
        if (chunks * (64 + 10 * channels) <= MEMORY_OF_INDEX_BYTES) break;
        chunk *= 2;
    } while (chunk < 1 << 28);
    fw_mcap_writer_options o = {.compression = c->options->compression,
                                .chunk_bytes = (uint32_t)chunk,
                                .chunk_messages_max = at_most(chunk / 32 + 8192, 1 << 26),
                                .message_max_bytes = at_most(largest + 256, 1 << 30),
                                .schemas_max = at_most(c->schemas_max + 1, IDS - 1),
                                .channels_max = at_most(channels, IDS - 1),
                                .chunks_max = at_most(chunks, 1 << 24),
                                .attachments_max = at_most(c->attachments + 1, UINT32_MAX),
                                .metadata_max = at_most(c->metadata + 1, UINT32_MAX),
                                .metadata_max_bytes = at_most(c->metadata_largest + 65536, 1 << 30),
                                .text_max_bytes = at_most(c->text_bytes + 65536, 1 << 30)};
    c->schemas = calloc(c->schemas_max + 1, sizeof *c->schemas);
    c->channels = calloc(c->channels_max + 1, sizeof *c->channels);
    if (c->schemas == NULL || c->channels == NULL)
        return fw_fail(error, FW_NO_MEMORY, "out of memory");
    return fw_mcap_writer_open(&o, &c->writer, error);
}

/* The profile that all inputs agree on, or none. */
static fw_status begin(copy *c, fw_log_output *output, fw_error *error) {
    fw_mcap_text profile, other, library;
    char *name = NULL;
    fw_mcap_indexed_header(c->inputs.items[0].indexed, &profile, &library);
    for (size_t i = 1; i < c->inputs.count; i++) {
        fw_mcap_indexed_header(c->inputs.items[i].indexed, &other, &library);
        if (!same_text(profile, other)) profile = (fw_mcap_text){"", 0};
    }
    FW_TRY(fw_log_terminated(profile, &name, error));
    fw_status status = fw_mcap_writer_begin(c->writer, fw_log_output_sink(output), name,
                                            "flywheel " FW_VERSION, error);
    free(name);
    return status;
}

static fw_status write_metadata(copy *c, const fw_log_input *input, fw_error *error) {
    fw_mcap_metadata metadata;
    fw_status status;
    for (size_t i = 0;
         (status = fw_mcap_indexed_metadata(input->indexed, i, &metadata, error)) == FW_OK; i++) {
        pairs p = {0};
        char *name = NULL;
        status = fw_log_terminated(metadata.name, &name, error);
        if (status == FW_OK) status = read_pairs(metadata.map, &p, error);
        if (status == FW_OK)
            status = fw_mcap_writer_metadata(c->writer, name, p.items, p.count, error);
        free(name);
        free_pairs(&p);
        if (status != FW_OK) return status;
    }
    return status == FW_END ? FW_OK : status;
}

static fw_status write_attachments(copy *c, const fw_log_input *input, fw_error *error) {
    fw_mcap_attachment a;
    fw_status status;
    for (size_t i = 0; (status = fw_mcap_indexed_attachment(input->indexed, i, &a, error)) == FW_OK;
         i++) {
        char *name = NULL, *media_type = NULL;
        status = fw_log_terminated(a.name, &name, error);
        if (status == FW_OK) status = fw_log_terminated(a.media_type, &media_type, error);
        if (status == FW_OK)
            status = fw_mcap_writer_attachment(c->writer, a.log_time_ns, a.create_time_ns, name,
                                               media_type, a.data, a.size_bytes, error);
        free(name);
        free(media_type);
        if (status != FW_OK) return status;
    }
    return status == FW_END ? FW_OK : status;
}

static fw_status write_message(copy *c, size_t which, const fw_mcap_message *m, fw_error *error) {
    ids *map = &c->ids[which];
    if (map->seen[m->channel_id]++ % c->options->every != 0) return FW_OK;
    uint16_t *id = &map->channel[m->channel_id];
    if (*id == 0) FW_TRY(define_channel(c, m->channel, m->schema, id, error));
    return fw_mcap_writer_message(c->writer, *id, m->sequence, m->log_time_ns, m->publish_time_ns,
                                  m->data, m->size_bytes, error);
}

static fw_status write_messages(copy *c, fw_mcap_order order, fw_error *error) {
    fw_log_progress progress = fw_log_progress_start("writing", c->messages);
    const fw_mcap_message *m;
    size_t which;
    fw_status status = fw_log_inputs_query(&c->inputs, c->options, order, error);
    while (status == FW_OK &&
           (status = fw_log_inputs_next(&c->inputs, &which, &m, error)) == FW_OK) {
        status = write_message(c, which, m, error);
        fw_log_progress_step(&progress, 1);
        if (status == FW_OK && progress.done % 4096 == 0) status = fw_log_check_interrupt(error);
    }
    fw_log_progress_end(&progress);
    return status == FW_END ? FW_OK : status;
}

static fw_status write_all(copy *c, fw_log_output *output, fw_mcap_order order, bool all_channels,
                           fw_error *error) {
    FW_TRY(survey(c, order, error));
    FW_TRY(open_writer(c, error));
    FW_TRY(begin(c, output, error));
    if (all_channels) FW_TRY(define_all(c, error));
    for (size_t i = 0; i < c->inputs.count; i++)
        FW_TRY(write_metadata(c, &c->inputs.items[i], error));
    FW_TRY(write_messages(c, order, error));
    for (size_t i = 0; i < c->inputs.count; i++)
        FW_TRY(write_attachments(c, &c->inputs.items[i], error));
    return fw_mcap_writer_end(c->writer, error);
}

static fw_status run(copy *c, fw_log_output *output, fw_mcap_order order, bool all_channels,
                     fw_error *error) {
    FW_TRY(fw_log_inputs_open(c->options, &c->inputs, error));
    c->ids = calloc(c->inputs.count, sizeof *c->ids);
    if (c->ids == NULL) return fw_fail(error, FW_NO_MEMORY, "out of memory");
    FW_TRY(fw_log_output_open(c->options, output, error));
    fw_status status = write_all(c, output, order, all_channels, error);
    if (status == FW_OK) return fw_log_output_commit(output, error);
    fw_log_output_abandon(output);
    return status;
}

int fw_log_copy(const fw_log_options *options, fw_mcap_order order, bool all_channels) {
    copy c = {.options = options};
    fw_log_output output;
    fw_error error = {""};
    fw_status status = run(&c, &output, order, all_channels, &error);
    if (status == FW_OK && options->json)
        printf("{\"messages\":%" PRIu64 ",\"channels\":%zu,\"bytes\":%" PRIu64 "}\n",
               fw_mcap_writer_message_count(c.writer), c.channel_count, output.size_bytes);
    else if (status == FW_OK)
        fprintf(stderr, "%s: %" PRIu64 " messages, %zu channels, %" PRIu64 " bytes\n", options->out,
                fw_mcap_writer_message_count(c.writer), c.channel_count, output.size_bytes);
    fw_mcap_writer_close(c.writer);
    fw_log_inputs_close(&c.inputs);
    free(c.ids);
    free(c.schemas);
    free(c.channels);
    return status == FW_OK ? FW_CLI_DONE : fw_cli_fail(&error);
}
