/* flywheel log doctor: everything the format promises, and what could be better. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd_log.h"
#include "payload/payload.h"
#include "payload/text.h"

enum {
    IDS = 65536,
    CHUNK_LARGE_BYTES = 32 << 20,
    CHUNK_SMALL_BYTES = 4096,
    LINES_MAX = 64,
    SCHEMAS_MAX_BYTES = 1 << 28
};

typedef struct advice {
    char kind[24], text[200];
} advice;

/* What one look at all records shows. */
typedef struct look {
    uint64_t last_time_ns, late, outside_chunks; /* late: messages before an earlier one's time */
    uint64_t chunks, chunk_largest, chunk_bytes, overlaps, without_crc;
    uint64_t chunk_end_ns; /* latest end of the chunks so far */
    uint64_t tried_bytes;  /* of schemas compiled, to bound the time of a hostile file */
    bool has_statistics, has_chunk_index, has_summary_crc;
    uint8_t seen[IDS / 8]; /* channels with a message */
    advice lines[LINES_MAX];
    size_t line_count;
} look;

__attribute__((format(printf, 3, 4))) static void advise(look *l, const char *kind,
                                                         const char *format, ...) {
    if (l->line_count == LINES_MAX) return;
    advice *a = &l->lines[l->line_count++];
    va_list list;
    snprintf(a->kind, sizeof a->kind, "%s", kind);
    va_start(list, format);
    vsnprintf(a->text, sizeof a->text, format, list);
    va_end(list);
    for (char *c = a->text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f || *c & 0x80 || *c == '"' || *c == '\\')
            *c = '?';
}

/* The first message of a channel is decoded. */
static void try_channel(look *l, const fw_mcap_message *m) {
    uint8_t bit = (uint8_t)(1 << m->channel_id % 8);
    fw_payload_plan *plan = NULL;
    fw_error error = {""};
    const char *json;
    size_t size;
    if (l->seen[m->channel_id / 8] & bit) return;
    l->seen[m->channel_id / 8] |= bit;
    l->tried_bytes += m->schema ? m->schema->size_bytes : 0;
    if (l->tried_bytes > SCHEMAS_MAX_BYTES || l->line_count == LINES_MAX) return;
    fw_mcap_text topic = m->channel->topic, encoding = m->channel->message_encoding;
    int topic_bytes = topic.size_bytes < 60 ? (int)topic.size_bytes : 60;
    fw_status status = fw_payload_plan_open(NULL, m->channel, m->schema, &plan, &error);
    if (status == FW_OK && !fw_payload_plan_is_known(plan))
        advise(l, "unknown_encoding", "%.*s: nobody here decodes '%.*s'%s", topic_bytes,
               topic.bytes, (int)(encoding.size_bytes < 30 ? encoding.size_bytes : 30),
               encoding.bytes, m->schema ? " with its schema" : ", which has no schema");
    else if (status == FW_OK)
        status = fw_payload_decode(plan, m->data, (size_t)m->size_bytes, &json, &size, &error);
    if (status != FW_OK)
        advise(l, "undecodable", "%.*s: %.120s", topic_bytes, topic.bytes, error.text);
    fw_payload_plan_close(plan);
}

static void look_at_chunk(look *l, const fw_mcap_chunk *c) {
    l->chunks++;
    l->chunk_bytes += c->uncompressed_size_bytes;
    if (c->uncompressed_size_bytes > l->chunk_largest)
        l->chunk_largest = c->uncompressed_size_bytes;
    if (c->uncompressed_crc == 0 && c->uncompressed_size_bytes > 0) l->without_crc++;
    if (l->chunks > 1 && c->message_start_time_ns < l->chunk_end_ns) l->overlaps++;
    if (c->message_end_time_ns > l->chunk_end_ns) l->chunk_end_ns = c->message_end_time_ns;
}

static void look_at_record(look *l, const fw_mcap_record *r) {
    if (r->opcode == FW_MCAP_CHUNK) look_at_chunk(l, &r->of.chunk);
    if (r->opcode == FW_MCAP_STATISTICS) l->has_statistics = true;
    if (r->opcode == FW_MCAP_CHUNK_INDEX) l->has_chunk_index = true;
    if (r->opcode == FW_MCAP_FOOTER) l->has_summary_crc = r->of.footer.summary_crc != 0;
    if (r->opcode != FW_MCAP_MESSAGE) return;
    const fw_mcap_message *m = &r->of.message;
    l->outside_chunks += !r->in_chunk;
    l->late += m->log_time_ns < l->last_time_ns;
    if (m->log_time_ns > l->last_time_ns) l->last_time_ns = m->log_time_ns;
    try_channel(l, m);
}

static fw_status look_at_all(const fw_mcap_file *file, look *l, fw_error *error) {
    fw_mcap_reader *reader;
    fw_mcap_record record;
    FW_TRY(
        fw_mcap_reader_open_bytes(&fw_log_limits, file->bytes, file->size_bytes, &reader, error));
    fw_status status;
    while ((status = fw_mcap_reader_next(reader, &record, error)) == FW_OK)
        look_at_record(l, &record);
    fw_mcap_reader_close(reader);
    return status == FW_END ? FW_OK : status;
}

static void conclude(look *l, const fw_mcap_info *info) {
    if (l->late > 0)
        advise(
            l, "not_sorted",
            "%" PRIu64
            " messages are earlier than one before them; flywheel log merge FILE --out NEW sorts",
            l->late);
    if (l->overlaps > 0)
        advise(l, "overlapping_chunks",
               "%" PRIu64
               " chunks begin before an earlier one ends: reading by time holds several in memory",
               l->overlaps);
    if (!info->has_summary || (l->chunks > 0 && !l->has_chunk_index))
        advise(
            l, "no_index",
            "no index of the chunks: a reader must scan it all; flywheel log convert writes one");
    if (!l->has_statistics && info->message_count > 0)
        advise(l, "no_statistics", "no statistics: counts are known only by reading it all");
    if (l->outside_chunks > 0)
        advise(l, "no_chunks",
               "%" PRIu64 " messages lie outside of chunks: not compressed, not indexed",
               l->outside_chunks);
    if (l->chunk_largest > CHUNK_LARGE_BYTES)
        advise(l, "huge_chunks",
               "a chunk of %" PRIu64 " bytes: each message in it costs unpacking all of it; "
               "flywheel log convert --chunk-bytes 1048576",
               l->chunk_largest);
    if (l->chunks > 16 && l->chunk_bytes / l->chunks < CHUNK_SMALL_BYTES)
        advise(l, "tiny_chunks",
               "chunks of %" PRIu64
               " bytes: they compress badly; flywheel log convert --chunk-bytes 1048576",
               l->chunk_bytes / l->chunks);
    if (l->without_crc > 0 || (info->has_summary && !l->has_summary_crc))
        advise(l, "no_crc", "%" PRIu64 " chunks%s without a CRC: damage would go unseen",
               l->without_crc, l->has_summary_crc ? "" : " and the summary are");
    uint32_t empty = 0;
    for (uint32_t i = 0; i < info->channel_count; i++)
        empty += info->channels[i].message_count == 0;
    if (empty > 0) advise(l, "empty_channels", "%" PRIu32 " channels have no message", empty);
    if (info->message_count == 0) advise(l, "empty", "no messages");
}

static void print_quoted(const char *text) {
    fw_payload_text quoted = {.max_bytes = 1 << 20};
    fw_payload_put_string(&quoted, text, strlen(text));
    bool is_made = fw_payload_text_status(&quoted) == FW_OK;
    fputs(is_made ? quoted.bytes : "\"\"", stdout);
    free(quoted.bytes);
}

static void print_result(const char *path, const look *l, const char *broken, bool json) {
    if (!json) {
        printf("%s: %s%s\n", path, broken ? "broken: " : "intact", broken ? broken : "");
        if (broken) printf("  flywheel log recover FILE --out NEW saves what can be read\n");
        for (size_t i = 0; l && i < l->line_count; i++)
            printf("  %s: %s\n", l->lines[i].kind, l->lines[i].text);
        return;
    }
    fputs("{\"file\":", stdout);
    print_quoted(path);
    printf(",\"intact\":%s,\"problem\":", broken ? "false" : "true");
    if (broken)
        print_quoted(broken);
    else
        fputs("null", stdout);
    fputs(",\"advice\":[", stdout);
    for (size_t i = 0; l && i < l->line_count; i++) {
        printf("%s{\"kind\":\"%s\",\"text\":", i > 0 ? "," : "", l->lines[i].kind);
        print_quoted(l->lines[i].text);
        putchar('}');
    }
    puts("]}");
}

static int examine(const char *path, bool json) {
    fw_mcap_file file;
    fw_mcap_info info;
    fw_error error = {""};
    if (fw_mcap_file_map(path, &file, &error) != FW_OK) return fw_cli_fail(&error);
    look *l = calloc(1, sizeof *l);
    fw_status status =
        l ? fw_mcap_validate_bytes(&fw_log_limits, file.bytes, file.size_bytes, &info, &error)
          : fw_fail(&error, FW_NO_MEMORY, "out of memory");
    if (status == FW_OK) {
        status = look_at_all(&file, l, &error);
        if (status == FW_OK) conclude(l, &info);
        fw_mcap_info_free(&info);
    }
    print_result(path, l, status == FW_OK ? NULL : error.text, json);
    free(l);
    fw_mcap_file_unmap(&file);
    return status == FW_OK ? FW_CLI_DONE : FW_CLI_FAILED;
}

int fw_cmd_log_doctor(int argc, char **argv) {
    fw_log_options options;
    fw_error error = {""};
    int exit_status = FW_CLI_DONE;
    const unsigned takes = FW_LOG_TAKES_MANY | FW_LOG_TAKES_JSON;
    if (fw_log_read_options(argc, argv, takes, "doctor FILE", &options, &error) != FW_OK)
        return fw_cli_usage("log", &error);
    for (int i = 0; i < options.file_count; i++)
        if (examine(options.files[i], options.json) != FW_CLI_DONE) exit_status = FW_CLI_FAILED;
    return exit_status;
}
