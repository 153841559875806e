#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "kill.h"
#include "mcap/mcap.h"

size_t kill_record(uint32_t unit, uint32_t boot, uint32_t stream, uint64_t sequence, char *out) {
    uint64_t mix = (uint64_t)unit * 0x9e3779b97f4a7c15u ^ (uint64_t)boot << 40 ^
                   (uint64_t)stream << 56 ^ sequence * 0xbf58476d1ce4e5b9u;
    mix ^= mix >> 31;
    mix *= 0x94d049bb133111ebu;
    size_t pad = (size_t)(mix >> 32) % 256;
    if (mix % 50 == 0) pad *= 4;
    int used = snprintf(out, KILL_RECORD_MAX,
                        "{\"unit\":%u,\"boot\":%u,\"stream\":%u,\"sequence\":%" PRIu64
                        ",\"pad\":\"", unit, boot, stream, sequence);
    for (size_t i = 0; i < pad; i++) out[(size_t)used + i] = (char)('a' + (mix >> (i % 56)) % 26);
    size_t size = (size_t)used + pad;
    memcpy(out + size, "\"}", 3);
    return size + 2;
}

static fw_status add_messages(fw_mcap_writer *writer, uint32_t unit, uint32_t file,
                              fw_error *error) {
    uint16_t channel = 0;
    char text[200];
    uint32_t count = 20 + (unit * 7919u + file * 104729u) % 1500;
    FW_TRY(fw_mcap_writer_add_channel(writer, 0, "/telemetry", "json", NULL, 0, &channel, error));
    for (uint32_t i = 0; i < count; i++) {
        uint64_t mix = ((uint64_t)unit << 40 ^ (uint64_t)file << 20 ^ i) * 0x9e3779b97f4a7c15u;
        int size = snprintf(text, sizeof text, "{\"i\":%u,\"a\":%" PRIu64 ",\"b\":%" PRIu64 "}", i,
                            mix % 100000, (mix >> 20) % 1000000007);
        uint64_t time_ns = 1700000000000000000u + (uint64_t)file * 1000000000u + i * 1000000u;
        FW_TRY(fw_mcap_writer_message(writer, channel, i, time_ns, time_ns, text, (size_t)size,
                                      error));
    }
    return FW_OK;
}

static fw_status write_file(fw_mcap_writer *writer, fw_mcap_sink sink, uint32_t unit,
                            uint32_t file, fw_error *error) {
    char name[16], number[16];
    snprintf(name, sizeof name, "%u", unit);
    snprintf(number, sizeof number, "%u", file);
    const fw_mcap_pair pairs[] = {{"line", "driving"}, {"version", "1"}, {"form", "telemetry"},
                                  {"unit", name}, {"file", number}};
    FW_TRY(fw_mcap_writer_begin(writer, sink, "", "kill test", error));
    FW_TRY(add_messages(writer, unit, file, error));
    FW_TRY(fw_mcap_writer_metadata(writer, "flywheel", pairs, 5, error));
    return fw_mcap_writer_end(writer, error);
}

fw_status kill_file(uint32_t unit, uint32_t file, uint8_t **bytes, size_t *size_bytes,
                    fw_error *error) {
    static const fw_mcap_writer_options options = {.compression = FW_MCAP_NONE};
    fw_mcap_writer *writer = NULL;
    fw_mcap_memory memory = {.capacity_bytes = 1 << 20};
    memory.bytes = malloc(memory.capacity_bytes);
    if (!memory.bytes) return fw_fail(error, FW_NO_MEMORY, "no memory");
    fw_status status = fw_mcap_writer_open(&options, &writer, error);
    if (status == FW_OK)
        status = write_file(writer, fw_mcap_memory_sink(&memory), unit, file, error);
    fw_mcap_writer_close(writer);
    if (status != FW_OK) {
        free(memory.bytes);
        return status;
    }
    *bytes = memory.bytes;
    *size_bytes = memory.size_bytes;
    return FW_OK;
}

/* ---- the journal: one line a promise ---- */

void kill_journal_path(const kill_plan *plan, uint32_t unit, char out[FW_PATH_MAX]) {
    snprintf(out, FW_PATH_MAX, "%.400s/journal-%u", plan->folder, unit);
}

kill_promise kill_journal_read(const kill_plan *plan, uint32_t unit) {
    char path[FW_PATH_MAX], line[256];
    kill_promise promise = {0};
    kill_journal_path(plan, unit, path);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        unsigned boot, stream;
        uint64_t first, next;
        if (!strchr(line, '\n')) break; /* killed while it wrote: not a promise it noticed */
        if (line[0] == 'F') promise.files++;
        if (sscanf(line, "B %u", &boot) == 1) {
            promise.boot = boot;
            memset(promise.next, 0, sizeof promise.next);
        }
        if (sscanf(line, "R %u %u %" SCNu64 " %" SCNu64, &boot, &stream, &first, &next) == 4 &&
            stream < KILL_STREAMS) {
            promise.next[stream] = next;
            promise.records += next - first;
        }
    }
    if (file) fclose(file);
    return promise;
}
