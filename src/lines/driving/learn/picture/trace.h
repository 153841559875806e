/* trace.h - a drive written down tick by tick, so that people can look at it.
 *
 *   fw_sim, each tick --fw_trace_add--> trace --strip.h-----> SVG: moments side by side
 *                                         |---animation.h--> SVG that moves
 *                                         `---fw_trace_json--> the dashboard's page plays it
 *
 * A frame holds every box on the road near the car, the car's own pose, and what it had in mind: the arc
 * its wheels were on and the acceleration it chose, from which pictures draw where it would be in two
 * seconds. The last frame is the moment before the drive ended.
 *
 * Invariants: (1) frames are one tick apart; (2) a frame's boxes are boxes[first, first + count), the own
 * car's is the first; (3) nothing of a trace refers to the simulator it came from.
 */
#ifndef FW_LINES_DRIVING_TRACE_H
#define FW_LINES_DRIVING_TRACE_H

#include <jansson.h>

#include "lines/driving/act/guard.h"
#include "lines/driving/learn/sim/sim.h"

#define FW_TRACE_NEAR_M 70.0f /* boxes farther from the car are left out */
enum { FW_TRACE_NAME_MAX = 64 };

typedef struct fw_trace_frame {
    uint32_t box_first, box_count;
    float speed_mps, accel_mps2, curvature_pm; /* as chosen for the next tick */
    fw_guard_veto veto;
    uint32_t light; /* fw_drive_light; its stop line's place on the route: */
    float light_s_m;
} fw_trace_frame;

typedef struct fw_trace {
    char driver[FW_TRACE_NAME_MAX]; /* what the row is called */
    uint32_t track, first_tick;     /* of the scenario */
    fw_sim_drive drive;             /* how it went */
    uint32_t frame_count, frame_room, box_count, box_room;
    fw_trace_frame *frames; /* owned */
    fw_sim_box *boxes;      /* owned */
} fw_trace;

/* An empty trace; the caller clears it. */
void fw_trace_begin(fw_trace *trace, const char *driver, uint32_t track, uint32_t first_tick);
/* What is on the road now, and what `agent` is about to do. */
fw_status fw_trace_add(fw_trace *trace, const fw_sim *sim, uint32_t agent, fw_drive_action action,
                       fw_guard_veto veto, fw_error *error) FW_MUST;
void fw_trace_clear(fw_trace *trace);

/* True when the drive is what nobody wants: a collision, off the road, over a red light, stuck. */
bool fw_trace_failed(const fw_sim_drive *drive);
/* "collision", "off the road", "at the goal" ...: in a reader's words, with the time. */
const char *fw_trace_end_words(const fw_sim_drive *drive);

/* The scenario's map and the traces on it, for the page (docs/formats/replay.md); the caller owns it. NULL
 * when memory ran out. */
json_t *fw_trace_json(const fw_scenario *scenario, const fw_trace *traces, uint32_t count);

#endif
