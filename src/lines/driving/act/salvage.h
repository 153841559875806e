/* salvage.h - a shorter, valid recording out of one that was cut off.
 *
 *   cut file --reader--> messages of whole chunks --> ticks --> writer --> whole file
 *
 * A tick is taken when the next one has begun, so the last one, which may lack its end, is left out.
 * Messages, their times and sequences stay as they were; the metadata record is made from them, as
 * the recorder would have (docs/formats/driving-recording.md).
 *
 * Invariants: (1) memory is bounded: one chunk of at most FW_DRIVE_SALVAGE_CHUNK_MAX bytes, one tick, one
 * writer, about 4 MiB; (2) the result is what the line's reader takes, or nothing.
 */
#ifndef FW_LINES_DRIVING_SALVAGE_H
#define FW_LINES_DRIVING_SALVAGE_H

#include "lines/driving/act/recorder.h"

enum { FW_DRIVE_SALVAGE_CHUNK_MAX = 1 << 20 };

typedef struct fw_drive_salvaged {
    fw_drive_recorded what;
    int64_t first_ns, last_ns;
    uint64_t size_bytes;
} fw_drive_salvaged;

/* campaign NULL or empty: no capture. FW_CORRUPT when fewer than two ticks are whole; the sink has
 * taken bytes then all the same. */
fw_status fw_drive_salvage(const char *path, fw_mcap_sink sink, const char *unit,
                           const char *campaign, int64_t trigger_ns, fw_drive_salvaged *out,
                           fw_error *error) FW_MUST;

#endif
