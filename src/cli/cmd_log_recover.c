/* flywheel log recover: what can be read of a cut or broken file, as a valid one. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/cmd_log.h"

static void print_report(const char *path, const fw_mcap_recovered *r, uint64_t size_bytes) {
    printf("saved     %" PRIu64 " messages, %" PRIu64 " chunks, %" PRIu64 " attachments, %" PRIu64
           " metadata\n",
           r->messages, r->chunks, r->attachments, r->metadata);
    printf("lost      %" PRIu64 " chunks, %" PRIu64 " records, %" PRIu64 " names of channels\n",
           r->chunks_lost, r->records_lost, r->channels_lost);
    printf("read      %" PRIu64 " of %" PRIu64 " bytes\ninput     %s\nwritten   %s\n",
           r->bytes_read, size_bytes, r->was_whole ? "was whole" : "was cut or broken", path);
}

static void print_json(const fw_mcap_recovered *r, uint64_t size_bytes) {
    printf("{\"messages\":%" PRIu64 ",\"chunks\":%" PRIu64 ",\"attachments\":%" PRIu64
           ",\"metadata\":%" PRIu64 ",\"chunks_lost\":%" PRIu64 ",\"records_lost\":%" PRIu64
           ",\"channels_lost\":%" PRIu64 ",\"bytes_read\":%" PRIu64 ",\"bytes\":%" PRIu64
           ",\"was_whole\":%s}\n",
           r->messages, r->chunks, r->attachments, r->metadata, r->chunks_lost, r->records_lost,
           r->channels_lost, r->bytes_read, size_bytes, r->was_whole ? "true" : "false");
}

static fw_status recover(const fw_log_options *options, const fw_mcap_file *file,
                         fw_mcap_recovered *report, fw_error *error) {
    fw_log_output output;
    const fw_mcap_writer_options writing = {.chunk_bytes = 1048576};
    FW_TRY(fw_log_output_open(options, &output, error));
    fw_status status = fw_mcap_recover(&fw_log_limits, &writing, file->bytes, file->size_bytes,
                                       fw_log_output_sink(&output), report, error);
    if (status == FW_OK) return fw_log_output_commit(&output, error);
    fw_log_output_abandon(&output);
    return status;
}

int fw_cmd_log_recover(int argc, char **argv) {
    fw_log_options options;
    fw_mcap_recovered report = {0};
    fw_mcap_file file;
    fw_error error = {""};
    const unsigned takes = FW_LOG_TAKES_OUT | FW_LOG_TAKES_JSON;
    if (fw_log_read_options(argc, argv, takes, "recover FILE --out NEW", &options, &error) != FW_OK)
        return fw_cli_usage("log", &error);
    if (fw_mcap_file_map(options.files[0], &file, &error) != FW_OK) return fw_cli_fail(&error);
    fw_status status = recover(&options, &file, &report, &error);
    if (status == FW_OK && options.json) print_json(&report, file.size_bytes);
    if (status == FW_OK && !options.json) print_report(options.out, &report, file.size_bytes);
    fw_mcap_file_unmap(&file);
    return status == FW_OK ? FW_CLI_DONE : fw_cli_fail(&error);
}
