/* flywheel log info: what recordings hold, found by reading all of them. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cmd_log.h"

/* Names from a file must not steer the terminal. */
static void print_name(const char *text) {
    for (; *text; text++) putchar((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
}

static void print_line(const char *label, const char *text) {
    printf("%-10s", label);
    print_name(text);
    putchar('\n');
}

static void print_text(const fw_mcap_info *info, const char *path) {
    double seconds = (double)(info->end_time_ns - info->start_time_ns) / 1e9;
    printf("file      %s\nsize      %" PRIu64 " bytes\n", path, info->size_bytes);
    print_line("profile", info->profile);
    print_line("library", info->library);
    printf("messages  %" PRIu64 " over %.3f s\nchunks    %" PRIu64 " (zstd %" PRIu64
           ", lz4 %" PRIu64 ", none %" PRIu64 ")\n",
           info->message_count, seconds,
           info->chunk_count[0] + info->chunk_count[1] + info->chunk_count[2], info->chunk_count[0],
           info->chunk_count[1], info->chunk_count[2]);
    if (info->chunk_compressed_bytes > 0)
        printf("packed    %" PRIu64 " of %" PRIu64 " bytes (%.2f times smaller)\n",
               info->chunk_compressed_bytes, info->chunk_uncompressed_bytes,
               (double)info->chunk_uncompressed_bytes / (double)info->chunk_compressed_bytes);
    printf("metadata  %u\nattached  %u\nchannels  %u\n", info->metadata_count,
           info->attachment_count, info->channel_count);
    for (uint32_t i = 0; i < info->channel_count; i++) {
        const fw_mcap_channel_info *c = &info->channels[i];
        double span = (double)(c->end_time_ns - c->start_time_ns) / 1e9;
        printf("  %5u  ", c->id);
        print_name(c->topic);
        printf("  %" PRIu64 " messages", c->message_count);
        if (c->message_count > 1 && span > 0)
            printf(" (%.2f Hz)", (double)(c->message_count - 1) / span);
        printf("  ");
        print_name(c->message_encoding);
        printf("  ");
        print_name(c->schema_name);
        putchar('\n');
    }
}

/* A name as JSON; bytes that are no UTF-8 become question marks. */
static json_t *name_json(const char *text) {
    json_t *json = json_string(text);
    if (json != NULL) return json;
    char copy[128];
    size_t used = 0;
    for (; *text && used + 1 < sizeof copy; text++) copy[used++] = *text & 0x80 ? '?' : *text;
    copy[used] = '\0';
    return json_string(copy);
}

static json_t *channels_json(const fw_mcap_info *info) {
    json_t *channels = json_array();
    for (uint32_t i = 0; i < info->channel_count; i++) {
        const fw_mcap_channel_info *c = &info->channels[i];
        json_array_append_new(channels, json_pack("{s:i,s:o,s:o,s:o,s:I,s:I,s:I}", "id", (int)c->id,
                                                  "topic", name_json(c->topic), "encoding",
                                                  name_json(c->message_encoding), "schema",
                                                  name_json(c->schema_name), "messages",
                                                  (json_int_t)c->message_count, "start_time_ns",
                                                  (json_int_t)c->start_time_ns, "end_time_ns",
                                                  (json_int_t)c->end_time_ns));
    }
    return channels;
}

static void print_json(const fw_mcap_info *info, const char *path) {
    json_t *chunks =
        json_pack("{s:I,s:I,s:I}", "zstd", (json_int_t)info->chunk_count[0], "lz4",
                  (json_int_t)info->chunk_count[1], "none", (json_int_t)info->chunk_count[2]);
    json_t *json = json_pack(
        "{s:o,s:o,s:o,s:I,s:I,s:I,s:I,s:o,s:I,s:I,s:i,s:i,s:o}", "file", name_json(path), "profile",
        name_json(info->profile), "library", name_json(info->library), "size_bytes",
        (json_int_t)info->size_bytes, "messages", (json_int_t)info->message_count, "start_time_ns",
        (json_int_t)info->start_time_ns, "end_time_ns", (json_int_t)info->end_time_ns, "chunks",
        chunks, "chunk_compressed_bytes", (json_int_t)info->chunk_compressed_bytes,
        "chunk_uncompressed_bytes", (json_int_t)info->chunk_uncompressed_bytes, "metadata",
        (int)info->metadata_count, "attachments", (int)info->attachment_count, "channels",
        channels_json(info));
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    if (text) puts(text);
    free(text);
    json_decref(json);
}

int fw_cmd_log_info(int argc, char **argv) {
    fw_log_options options;
    fw_error error = {""};
    int exit_status = FW_CLI_DONE;
    const unsigned takes = FW_LOG_TAKES_MANY | FW_LOG_TAKES_JSON;
    if (fw_log_read_options(argc, argv, takes, "info FILE", &options, &error) != FW_OK)
        return fw_cli_usage("log", &error);
    for (int i = 0; i < options.file_count; i++) {
        fw_mcap_info info;
        if (fw_log_validate(options.files[i], &info, &error) != FW_OK) {
            exit_status = fw_cli_fail(&error);
            continue;
        }
        if (options.json)
            print_json(&info, options.files[i]);
        else
            print_text(&info, options.files[i]);
        fw_mcap_info_free(&info);
    }
    return exit_status;
}
