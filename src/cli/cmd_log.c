/* flywheel log info FILE: what a recording holds, found by reading all of it. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/args.h"
#include "cli/cli.h"
#include "mcap/mcap.h"

static const char help_text[] =
    "usage: flywheel log info FILE [--json]\n\n"
    "Checks a recording (MCAP) from its first byte to its last and says what it holds.\n"
    "Exit status 1 and one line with the byte offset when it is broken.\n";

static void print_text(const fw_mcap_info *info, const char *path) {
    double seconds = (double)(info->end_time_ns - info->start_time_ns) / 1e9;
    printf("file      %s\nsize      %" PRIu64 " bytes\nprofile   %s\nlibrary   %s\n", path,
           info->size_bytes, info->profile, info->library);
    printf("messages  %" PRIu64 " over %.3f s\nchunks    %" PRIu64 " (zstd %" PRIu64
           ", lz4 %" PRIu64 ", none %" PRIu64 ")\n",
           info->message_count, seconds,
           info->chunk_count[0] + info->chunk_count[1] + info->chunk_count[2], info->chunk_count[0],
           info->chunk_count[1], info->chunk_count[2]);
    printf("metadata  %u\nattached  %u\nchannels  %u\n", info->metadata_count,
           info->attachment_count, info->channel_count);
    for (uint32_t i = 0; i < info->channel_count; i++)
        printf("  %5u  %-24s %8" PRIu64 " messages  %s  %s\n", info->channels[i].id,
               info->channels[i].topic, info->channels[i].message_count,
               info->channels[i].message_encoding, info->channels[i].schema_name);
}

static void print_json(const fw_mcap_info *info) {
    json_t *channels = json_array();
    for (uint32_t i = 0; i < info->channel_count; i++) {
        const fw_mcap_channel_info *c = &info->channels[i];
        json_array_append_new(channels,
                              json_pack("{s:i,s:s,s:s,s:s,s:I}", "id", (int)c->id, "topic",
                                        c->topic, "encoding", c->message_encoding, "schema",
                                        c->schema_name, "messages", (json_int_t)c->message_count));
    }
    json_t *json =
        json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:o}", "profile", info->profile, "library",
                  info->library, "size_bytes", (json_int_t)info->size_bytes, "messages",
                  (json_int_t)info->message_count, "start_time_ns", (json_int_t)info->start_time_ns,
                  "end_time_ns", (json_int_t)info->end_time_ns, "channels", channels);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    if (text) puts(text);
    free(text);
    json_decref(json);
}

int fw_cmd_log(int argc, char **argv) {
    static const char *const flags[] = {"--json", "--help", NULL};
    const char *words[2] = {NULL, NULL};
    int count = 0;
    bool json = false, help = false;
    fw_error error = {""};
    const fw_arg table[] = {{"--json", FW_ARG_FLAG, &json, 0, 0},
                            {"--help", FW_ARG_FLAG, &help, 0, 0}};
    if (fw_cli_words(&argc, argv, flags, words, 2, &count, &error) != FW_OK ||
        fw_args_parse(argc, argv, table, 2, &error) != FW_OK)
        return fw_cli_usage("log", &error);
    if (help) {
        fputs(help_text, stdout);
        return FW_CLI_DONE;
    }
    if (count != 2 || strcmp(words[0], "info") != 0)
        return fw_cli_usage("log", &(fw_error){"want info FILE"});
    fw_mcap_info info;
    if (fw_mcap_validate(NULL, words[1], &info, &error) != FW_OK) return fw_cli_fail(&error);
    if (json)
        print_json(&info);
    else
        print_text(&info, words[1]);
    fw_mcap_info_free(&info);
    return FW_CLI_DONE;
}
