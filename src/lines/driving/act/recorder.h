/* recorder.h - a unit's recording as a file: the driving line's channels in MCAP.
 *
 *   begin --> tick tick tick ... --> end        one file; then begin again
 *     |          |                     |
 *     |          /ego /users /route /signal /conflicts /action (/event)
 *     header, schemas, channels        metadata "flywheel", index, magic
 *
 * Invariants: (1) memory is allocated in fw_drive_recorder_open alone; (2) the bytes depend on the
 * unit's number, the observations, decisions and events, and on nothing else; (3) after a failure of
 * tick the file is lost: the caller drops it and begins the next one.
 */
#ifndef FW_LINES_DRIVING_RECORDER_H
#define FW_LINES_DRIVING_RECORDER_H

#include <stdbool.h>

#include "lines/driving/act/channels.h"
#include "mcap/mcap.h"

/* What a finished file holds. */
typedef struct fw_drive_recorded {
    uint32_t drive, first_tick, ticks;
    uint32_t event_counts[FW_DRIVE_EVENT_COUNT];
    fw_hash model; /* of its last tick */
} fw_drive_recorded;

typedef struct fw_drive_recorder fw_drive_recorder;

/* zstd level 1, chunks of 256 KiB. The caller ends it with fw_drive_recorder_close. */
fw_status fw_drive_recorder_open(fw_drive_recorder **out, fw_error *error) FW_MUST;
void fw_drive_recorder_close(fw_drive_recorder *recorder);

/* Starts a file into sink; `unit` names the unit in its metadata ("7"), at most 31 bytes. */
fw_status fw_drive_recorder_begin(fw_drive_recorder *recorder, fw_mcap_sink sink, const char *unit,
                                  fw_error *error) FW_MUST;
/* True when obs can go on in the open file: same drive, later tick, no gap in its route, room left. */
bool fw_drive_recorder_continues(const fw_drive_recorder *recorder, const fw_drive_obs *obs);
/* One tick; `events` and `values` as fw_drive_events gave them. */
fw_status fw_drive_recorder_tick(fw_drive_recorder *recorder, const fw_drive_obs *obs,
                                 const fw_drive_decision *decision, uint32_t events,
                                 const double values[FW_DRIVE_EVENT_COUNT],
                                 fw_error *error) FW_MUST;
/* Completes the file. */
fw_status fw_drive_recorder_end(fw_drive_recorder *recorder, fw_drive_recorded *out,
                                fw_error *error) FW_MUST;
/* What was recorded since begin. */
const fw_drive_recorded *fw_drive_recorder_so_far(const fw_drive_recorder *recorder);
/* Bytes given to the sink since begin. */
uint64_t fw_drive_recorder_size_bytes(const fw_drive_recorder *recorder);

#endif
