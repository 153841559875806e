/* recorder.h - a unit's recording as a file: the driving line's channels in MCAP.
 *
 *   begin --> tick tick tick ... --> end        one file; then begin again
 *     |          |                     |
 *     |          /ego /users /route /signal /conflicts /action (/event)
 *     header, schemas, channels        metadata "flywheel", index, magic
 *
 * A capture is such a file too, cut out around a campaign's trigger: its metadata says so (mark).
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

/* ---- what makes a file a driving recording, also for salvage.h ---- */

/* zstd level 1, chunks of 256 KiB. */
extern const fw_mcap_writer_options fw_drive_file_options;
/* The line's schemas and channels, in their order; *ids by fw_drive_channel. */
fw_status fw_drive_file_channels(fw_mcap_writer *mcap, uint16_t ids[FW_DRIVE_CHANNEL_COUNT],
                                 fw_error *error) FW_MUST;
/* The metadata record "flywheel"; campaign NULL or empty: no capture. */
fw_status fw_drive_file_metadata(fw_mcap_writer *mcap, const char *unit, const char *campaign,
                                 int64_t trigger_ns, const fw_drive_recorded *what,
                                 fw_error *error) FW_MUST;

/* ---- the recorder ---- */

typedef struct fw_drive_recorder fw_drive_recorder;

/* The caller ends it with fw_drive_recorder_close. */
fw_status fw_drive_recorder_open(fw_drive_recorder **out, fw_error *error) FW_MUST;
void fw_drive_recorder_close(fw_drive_recorder *recorder);

/* Starts a file into sink; `unit` names the unit in its metadata ("7"), at most 31 bytes. */
fw_status fw_drive_recorder_begin(fw_drive_recorder *recorder, fw_mcap_sink sink, const char *unit,
                                  fw_error *error) FW_MUST;
/* The open file is a campaign's capture: two more keys in its metadata. An id of at most 63 bytes. */
void fw_drive_recorder_mark(fw_drive_recorder *recorder, const char *campaign, int64_t trigger_ns);
/* A chunk is closed after this much of the line's time too (0: never), so that what was recorded
 * reaches the sink soon; of files begun after it. */
void fw_drive_recorder_set_chunk_ns(fw_drive_recorder *recorder, int64_t chunk_ns);
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
