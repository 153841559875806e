/* fuzz_mcap_recover - recovery of any bytes: a valid file with as many messages as it reports, all
 * of them when the input is valid; or one clear refusal. */
/* links: fw_mcap */
#include <stdlib.h>
#include <string.h>

#include "mcap/mcap.h"

static const fw_mcap_limits limits = {.record_max_bytes = 1 << 20,
                                      .chunk_max_bytes = 1 << 18,
                                      .text_max_bytes = 1 << 16,
                                      .chunks_max = 200,
                                      .messages_max = 20000};
static uint8_t out[1 << 24];

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes) {
    const fw_mcap_writer_options options = {.compression = FW_MCAP_NONE, /* small: many runs */
                                            .chunk_bytes = 4096,
                                            .message_max_bytes = 1024,
                                            .chunk_messages_max = 64,
                                            .metadata_max_bytes = 1024,
                                            .text_max_bytes = 4096};
    fw_mcap_memory memory = {.bytes = out, .capacity_bytes = sizeof out};
    fw_mcap_recovered report;
    fw_error error = {.text = ""};
    fw_status status = fw_mcap_recover(&limits, &options, bytes, size_bytes,
                                       fw_mcap_memory_sink(&memory), &report, &error);
    if (status == FW_NO_SPACE || status == FW_TOO_BIG) return 0;
    if (status != FW_OK) {
        if (status != FW_CORRUPT || strstr(error.text, "nothing to recover") == NULL) abort();
        return 0;
    }
    fw_mcap_info info, before;
    if (fw_mcap_validate_bytes(NULL, out, memory.size_bytes, &info, &error) != FW_OK) abort();
    if (info.message_count != report.messages || info.attachment_count != report.attachments ||
        info.metadata_count != report.metadata || report.bytes_read > size_bytes) {
        abort();
    }
    bool whole = fw_mcap_validate_bytes(&limits, bytes, size_bytes, &before, NULL) == FW_OK;
    if (whole != report.was_whole) abort();
    if (whole) {
        if (report.records_lost == 0 && (before.message_count != info.message_count ||
                                         before.message_bytes != info.message_bytes ||
                                         before.metadata_count != info.metadata_count)) {
            abort();
        }
        fw_mcap_info_free(&before);
    }
    fw_mcap_info_free(&info);
    return 0;
}
