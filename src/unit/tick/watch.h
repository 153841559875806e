/* watch.h - is the model that drives fit to drive? A verdict after every tick, from what everybody can count.
 *
 *   taken --FW_UNIT_WATCH_TICKS ticks without a fault--> approved: it is the last-known-good now
 *     |
 *     +--fault--> refused; the next tick is driven by the last-known-good, which lies ready
 *
 * | fault   | always                                             | only while watched                      |
 * |---------|----------------------------------------------------|-----------------------------------------|
 * | numbers | an answer that is no finite number: at once        |                                         |
 * | late    | LATE_ROW decisions in a row beyond DECIDE_MAX_MS   |                                         |
 * | vetoes  |                                                    | more than WATCH_VETOES lone vetoes      |
 *
 * A lone veto is one where the last-known-good, asked the same thing in the same tick, would have had none: a car that
 * stands in a queue may be vetoed for minutes, whoever drives. Without a last-known-good there is none.
 *
 * A decision's time is the CPU time of the tick's thread, so that a busy machine is not the model's fault; answers
 * that came late by the clock are counted all the same (late_ticks). A model cannot be interrupted while it
 * decides: a late answer is sent when it is there, guarded, and the vehicle has braked by its own rule until
 * then (worlds/fleet/fleet.h). A model that never answers at all is ended by the supervisor, as a crash.
 *
 * Same observations, same verdicts, but for `late`.
 */
#ifndef FW_UNIT_WATCH_H
#define FW_UNIT_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "unit/shared.h"

enum {
    FW_UNIT_WATCH_TICKS = 50,   /* 5 s of driving */
    FW_UNIT_WATCH_VETOES = 25,  /* lone ones of those: more is a storm */
    FW_UNIT_DECIDE_MAX_MS = 50, /* half a tick; a network may ask for about 1 ms (policy.h) */
    FW_UNIT_LATE_ROW = 3,
    FW_UNIT_CRASH_ROW = 3, /* deaths of the process without WATCH_TICKS ticks between: a proven model is blamed too */
};

typedef struct fw_unit_watch {
    bool on;
    uint32_t ticks, vetoes, late_row;
} fw_unit_watch;

/* One tick as it was lived. */
typedef struct fw_unit_watched {
    bool finite, lone_veto;
    int64_t decide_cpu_ns;
} fw_unit_watched;

/* Adds a tick. FW_UNIT_REFUSED_NOT: no fault. `on` becomes false with the last tick of a watch that ended well. */
fw_unit_refusal fw_unit_watch_tick(fw_unit_watch *watch, const fw_unit_watched *tick);

#endif
