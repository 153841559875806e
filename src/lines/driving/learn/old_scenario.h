/* scenario.h - a recording turned into something to drive in again.
 *
 *   recording (what one car saw, tick by tick)
 *        |  route polyline            -> path     (P points on the 2 m grid)
 *        |  boxes seen, by track id   -> tracks   (where each was at each tick, and its own way)
 *        |  whom to yield to          -> meetings (zone on our way, zone on the track's own way)
 *        |  signals passed            -> lights   (stop line, state at each tick)
 *        v
 *   scenario: read-only, shared by all simulated cars; what changes lives in sim.h
 *
 * A meeting's place on a track's own way is a constant of the pair: (way of the track at t) +
 * (its distance to the zone as observed at t). So it holds when the simulated car is early or late.
 *
 * A road user is seen only within the car's range. What it did just before it was first seen and just
 * after it was last seen is filled in at its speed then (standing: 6 s, driving: 2.5 s), so that a
 * simulated car somewhat ahead of or behind the recorded one does not meet cars out of nowhere.
 *
 * A recording often ends in the failure that matters. The scenario goes on for FW_OLD_SCENARIO_TAIL ticks
 * beyond it, everybody carried on as they were, so that a simulated car lives through that moment.
 *
 * Invariants: (1) every track lies within [0, ticks); (2) way_m of a track never decreases;
 * (3) indices in active, meetings are in range.
 */
#ifndef FW_LINES_DRIVING_OLD_SCENARIO_H
#define FW_LINES_DRIVING_OLD_SCENARIO_H

#include "lines/driving/learn/recording.h"

enum { FW_OLD_SCENARIO_TICKS_MIN = 30, FW_OLD_SCENARIO_TAIL = 30, FW_OLD_SCENARIO_TRACKS_MAX = 512, FW_OLD_SCENARIO_LIGHTS_MAX = 16 };

typedef struct fw_old_scenario_track {
    uint32_t id, first, count; /* ticks [first, first + count) */
    float length_m, width_m;
    uint32_t lane;
    float *x_m, *y_m, *yaw_rad, *speed_mps, *way_m; /* (count) each, owned by the scenario */
    float *cos_yaw, *sin_yaw;                       /* (count) each, in the same block */
} fw_old_scenario_track;

typedef struct fw_old_scenario_meeting {
    uint32_t track, kind, must_yield;
    float enter_s_m, exit_s_m;       /* on our path */
    float foe_enter_m, foe_exit_m;   /* on the track's way: of its box centre */
    uint32_t first_tick, last_tick;  /* when it was listed */
    bool passed;                     /* the recorded car had left the zone when listing ended */
} fw_old_scenario_meeting;

typedef struct fw_old_scenario_light {
    float stop_s_m;
    uint32_t last_tick; /* when it was last seen */
    uint8_t *state; /* (ticks): fw_drive_light, held before first and after last */
} fw_old_scenario_light;

typedef struct fw_old_scenario_ego {
    float x_m, y_m, yaw_rad, speed_mps, s_m, accel_mps2, curvature_pm;
} fw_old_scenario_ego;

typedef struct fw_old_scenario {
    fw_hash recording;
    uint32_t ticks;    /* to drive in: what was recorded and FW_OLD_SCENARIO_TAIL more */
    uint32_t recorded; /* ticks of the recording: a drive begins within these */
    uint32_t path_first, path_count, track_count, meeting_count, light_count, event_count;
    float length_m, width_m, rear_overhang_m, route_end_s_m;
    fw_drive_point *path;         /* (path_count) */
    fw_old_scenario_ego *ego;         /* (ticks): what the recorded car did */
    fw_old_scenario_track *tracks;    /* (track_count) */
    fw_old_scenario_meeting *meetings;/* (meeting_count) */
    fw_old_scenario_light lights[FW_OLD_SCENARIO_LIGHTS_MAX];
    uint32_t *event_ticks;        /* (event_count) */
    uint32_t *active_at;          /* (ticks + 1): start of each tick's list in `active` */
    uint16_t *active;             /* track numbers, by tick */
} fw_old_scenario;

/* FW_INVALID with a reason when the recording is too short or has no route. Owned by the caller. */
fw_status fw_old_scenario_new(const fw_drive_recording *recording, fw_old_scenario **out,
                          fw_error *error) FW_MUST;
void fw_old_scenario_free(fw_old_scenario *scenario);

#endif
