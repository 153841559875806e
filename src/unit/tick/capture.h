/* capture.h - campaigns on the unit: conditions every tick, windows around triggers, captures into the
 * ring.
 *
 *            trigger      again        window complete
 *   ----[before|==========|====== after]----------------> time
 *       ^ from the history in memory   ^ then written, FW_UNIT_CAPTURE_TICKS a tick
 *
 *   window:  open --trigger of the same campaign--> open, longer (at most FW_UNIT_CAPTURE_MAX_S)
 *            open --its time is over, or the run ends--> complete --its turn--> writing --> gone
 *
 * A run is a stretch of ticks without a break: one drive, no gap in its route, no time going back.
 * Each campaign has at most one open window. Complete windows are written one after the other, each
 * as a recording of its own (recorder.h, mark). What is wanted but no longer in memory is counted in
 * missed_ticks, and the routine recordings on disk that hold it are promoted (PROMOTE piece).
 *
 * Invariants: (1) memory is allocated in open alone; (2) a tick writes at most FW_UNIT_CAPTURE_TICKS
 * ticks of captures, and whatever else it does at most FW_UNIT_CAPTURE_REST_TICKS at a time; (3) the same observations and campaigns give the same captures.
 */
#ifndef FW_UNIT_CAPTURE_H
#define FW_UNIT_CAPTURE_H

#include "lines/driving/act/recorder.h"
#include "unit/shared.h"

enum {
    FW_UNIT_CAPTURE_TICKS = 20,       /* written in a tick */
    FW_UNIT_CAPTURE_REST_TICKS = 600, /* written at an END, a FLUSH, or while no tick comes */
    FW_UNIT_CAPTURE_MAX_S = 120,
    FW_UNIT_WINDOWS_MAX = 2 * FW_CAMPAIGNS_MAX, /* open and complete ones */
};

typedef struct fw_unit_captures fw_unit_captures;

/* One tick's facts. */
typedef struct fw_unit_lived {
    const fw_drive_obs *obs;
    const void *wire; /* obs as it came */
    size_t wire_bytes;
    const fw_drive_decision *decision;
    uint32_t events;
    const double *values; /* (FW_DRIVE_EVENT_COUNT) */
    int64_t mono_ns, wall_ns;
} fw_unit_lived;

/* `unit` names the unit in metadata, at most 15 bytes. chunk_ns: as fw_drive_recorder_set_chunk_ns. */
fw_status fw_unit_captures_open(fw_unit_shared *shared, const char *unit, int64_t chunk_ns,
                                fw_unit_captures **out, fw_error *error) FW_MUST;
void fw_unit_captures_close(fw_unit_captures *captures);

/* Takes a newly staged list of campaigns, if any; campaigns that stay keep their counts. */
void fw_unit_captures_take_campaigns(fw_unit_captures *captures);
/* Campaigns in force. */
uint32_t fw_unit_captures_campaigns(const fw_unit_captures *captures);
/* One tick: remembers it, steps the campaigns, writes a bounded piece. */
void fw_unit_captures_tick(fw_unit_captures *captures, const fw_unit_lived *lived);
/* The drive is over, or its recording closes: open windows are complete. */
void fw_unit_captures_end(fw_unit_captures *captures);
/* Nobody waits for an action: writes a bounded piece; false when nothing is left. */
bool fw_unit_captures_rest(fw_unit_captures *captures);

#endif
