/* history.h - the last ticks in memory, from which captures take their seconds before.
 *
 *   bytes:  [ entry | obs as on the bus ][ entry | obs ] ...      a ring, entries never split
 *   places: sequence % FW_UNIT_HISTORY_TICKS -> place of the entry
 *
 * Sequences count ticks from 0 and never repeat. The oldest are dropped when the bytes or the places
 * are used up.
 *
 * Invariants: (1) memory is allocated in open alone: FW_UNIT_HISTORY_BYTES and the places, about
 * 8.1 MiB; that is 240 s at 10 Hz in the densest traffic the bus can say; (2) what get returns is
 * whole, and stays until the next push.
 */
#ifndef FW_UNIT_HISTORY_H
#define FW_UNIT_HISTORY_H

#include "lines/driving/act/channels.h"

enum {
    FW_UNIT_HISTORY_TICKS = 2400, /* before, after and the others' turns, at 10 Hz */
    FW_UNIT_HISTORY_BYTES = 8 << 20,
};

typedef struct fw_unit_past {
    uint32_t obs_bytes; /* of the observation behind it, in its wire form */
    uint32_t run;       /* stretch without a break: a drive or a part of it */
    uint32_t drive, events;
    int64_t time_ns, mono_ns; /* the line's; the unit's clock */
    double values[FW_DRIVE_EVENT_COUNT];
    fw_drive_decision decision;
} fw_unit_past;

typedef struct fw_unit_history fw_unit_history;

fw_status fw_unit_history_open(fw_unit_history **out, fw_error *error) FW_MUST;
void fw_unit_history_close(fw_unit_history *history);
/* Adds a tick; past->obs_bytes bytes at obs, at most FW_DRIVE_OBS_WIRE_MAX. */
void fw_unit_history_push(fw_unit_history *history, const fw_unit_past *past, const void *obs);
/* The oldest sequence kept, and the one the next tick will get; equal when it is empty. */
uint64_t fw_unit_history_oldest(const fw_unit_history *history);
uint64_t fw_unit_history_next(const fw_unit_history *history);
/* A tick that is kept; *obs is its observation's wire form. */
const fw_unit_past *fw_unit_history_get(const fw_unit_history *history, uint64_t sequence,
                                        const void **obs);

#endif
