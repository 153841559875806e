#include "lines/driving/learn/picture/trace.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BOXES_MAX = FW_SCENARIO_TRACKS_MAX };

void fw_trace_begin(fw_trace *trace, const char *driver, uint32_t track, uint32_t first_tick) {
    *trace = (fw_trace){.track = track, .first_tick = first_tick};
    snprintf(trace->driver, sizeof trace->driver, "%s", driver);
}

void fw_trace_clear(fw_trace *trace) {
    free(trace->frames);
    free(trace->boxes);
    *trace = (fw_trace){0};
}

/* Makes room for `more` items behind `count`; the room doubles. */
static bool reserve(void **items, uint32_t *room, uint32_t count, uint32_t more, size_t size) {
    if (count + more <= *room) return true;
    uint32_t wanted = *room ? 2 * *room : 64;
    while (wanted < count + more) wanted *= 2;
    void *bigger = realloc(*items, wanted * size);
    if (!bigger) return false;
    *items = bigger;
    *room = wanted;
    return true;
}

static bool is_near(const fw_sim_box *own, const fw_sim_box *other) {
    float dx = other->x_m - own->x_m, dy = other->y_m - own->y_m;
    return dx * dx + dy * dy <= FW_TRACE_NEAR_M * FW_TRACE_NEAR_M;
}

/* The own car's box first, then the others near it. */
static bool add_boxes(fw_trace *trace, const fw_sim *sim, fw_trace_frame *frame) {
    fw_sim_box boxes[BOXES_MAX];
    uint32_t count = fw_sim_boxes(sim, boxes, BOXES_MAX), own = 0;
    while (own < count && boxes[own].track != trace->track) own++;
    if (own == count) return true;
    if (!reserve((void **)&trace->boxes, &trace->box_room, trace->box_count, count, sizeof *boxes)) return false;
    frame->box_first = trace->box_count;
    trace->boxes[trace->box_count++] = boxes[own];
    for (uint32_t i = 0; i < count; i++)
        if (i != own && is_near(&boxes[own], &boxes[i])) trace->boxes[trace->box_count++] = boxes[i];
    frame->box_count = trace->box_count - frame->box_first;
    return true;
}

static fw_status add(fw_trace *trace, const fw_sim *sim, const fw_trace_frame *from, fw_error *error) {
    if (!reserve((void **)&trace->frames, &trace->frame_room, trace->frame_count, 1, sizeof *trace->frames))
        return fw_fail(error, FW_NO_MEMORY, "no memory for a drive's frames");
    fw_trace_frame *frame = &trace->frames[trace->frame_count];
    *frame = *from;
    if (!add_boxes(trace, sim, frame)) return fw_fail(error, FW_NO_MEMORY, "no memory for a drive's boxes");
    if (frame->box_count > 0) trace->frame_count++; /* the car has left the road: the frame before was the last */
    return FW_OK;
}

fw_status fw_trace_add(fw_trace *trace, const fw_sim *sim, uint32_t agent, fw_drive_action action,
                       fw_guard_veto veto, fw_error *error) {
    fw_drive_scene scene;
    fw_sim_scene(sim, agent, &scene);
    const fw_trace_frame frame = {.speed_mps = scene.speed_mps, .accel_mps2 = action.accel_mps2,
                                  .curvature_pm = action.curvature_pm, .veto = veto, .light = scene.light,
                                  .light_s_m = scene.light == FW_DRIVE_LIGHT_NONE ? 0 : scene.light_s_m};
    return add(trace, sim, &frame, error);
}

const char *fw_trace_end_words(const fw_sim_drive *drive) {
    switch (drive->end) {
    case FW_SIM_COLLISION: return drive->at_fault ? "collision, at fault" : "collision, hit by another";
    case FW_SIM_OFF_ROAD: return "off the road";
    case FW_SIM_GOAL: return "at the goal";
    case FW_SIM_ROUTE_DONE: return "route driven";
    case FW_SIM_TIME_OUT: return "time is over";
    case FW_SIM_RUNS: break;
    }
    return "still driving";
}

bool fw_trace_failed(const fw_sim_drive *d) {
    return d->end == FW_SIM_COLLISION || d->end == FW_SIM_OFF_ROAD || d->red_light || d->stuck;
}

/* ---- for the page ---- */

static double round_to(float value, double unit) {
    return isfinite(value) ? round((double)value / unit) * unit : 0;
}

static json_t *numbers(const double *values, size_t count) {
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) json_array_append_new(array, json_real(values[i]));
    return array;
}

static json_t *box_json(const fw_sim_box *b) {
    const double values[] = {b->track, round_to(b->x_m, 0.01), round_to(b->y_m, 0.01), round_to(b->yaw_rad, 0.001),
                             round_to(b->length_m, 0.01), round_to(b->width_m, 0.01), round_to(b->speed_mps, 0.01)};
    return numbers(values, sizeof values / sizeof *values);
}

static json_t *frame_json(const fw_trace *trace, const fw_trace_frame *f) {
    json_t *boxes = json_array();
    for (uint32_t i = 0; i < f->box_count; i++)
        json_array_append_new(boxes, box_json(&trace->boxes[f->box_first + i]));
    return json_pack("{s:f, s:f, s:f, s:i, s:i, s:o}", "speed", round_to(f->speed_mps, 0.01), "accel",
                     round_to(f->accel_mps2, 0.01), "curvature", round_to(f->curvature_pm, 1e-5), "veto", (int)f->veto,
                     "light", (int)f->light, "boxes", boxes);
}

static json_t *trace_json(const fw_trace *trace) {
    json_t *frames = json_array();
    for (uint32_t i = 0; i < trace->frame_count; i++)
        json_array_append_new(frames, frame_json(trace, &trace->frames[i]));
    return json_pack("{s:s, s:i, s:s, s:b, s:b, s:o}", "driver", trace->driver, "track", (int)trace->track, "end",
                     fw_trace_end_words(&trace->drive), "failed", fw_trace_failed(&trace->drive), "red_light", trace->drive.red_light, "frames",
                     frames);
}

static json_t *lane_json(const fw_scenario *s, const fw_scenario_lane *lane) {
    json_t *left = json_array(), *right = json_array();
    for (uint32_t i = 0; i < lane->count; i++) {
        const fw_scenario_lane_point *p = &s->lane_points[lane->first + i];
        json_array_append_new(left, numbers((double[]){round_to(p->left_x_m, 0.01), round_to(p->left_y_m, 0.01)}, 2));
        json_array_append_new(right,
                              numbers((double[]){round_to(p->right_x_m, 0.01), round_to(p->right_y_m, 0.01)}, 2));
    }
    return json_pack("{s:o, s:o}", "left", left, "right", right);
}

static json_t *route_json(const fw_scenario_route *r) {
    json_t *points = json_array();
    for (uint32_t i = 0; i < r->count; i++)
        json_array_append_new(points, numbers((double[]){round_to(r->points[i].x_m, 0.01),
                                                         round_to(r->points[i].y_m, 0.01),
                                                         round_to(r->points[i].width_m, 0.01)}, 3));
    return points;
}

json_t *fw_trace_json(const fw_scenario *s, const fw_trace *traces, uint32_t count) {
    json_t *lanes = json_array(), *list = json_array();
    for (uint32_t i = 0; i < s->lane_count; i++) json_array_append_new(lanes, lane_json(s, &s->lanes[i]));
    for (uint32_t i = 0; i < count; i++) json_array_append_new(list, trace_json(&traces[i]));
    uint32_t route = count > 0 ? s->tracks[traces[0].track].route : FW_SCENARIO_NONE;
    return json_pack("{s:i, s:s, s:s, s:f, s:i, s:o, s:o, s:o}", "format", 1, "scenario", s->source.hex, "site", s->tags.site,
                     "tick_s", (double)FW_DRIVE_TICK_S, "first_tick", count > 0 ? (int)traces[0].first_tick : 0, "lanes",
                     lanes, "route", route == FW_SCENARIO_NONE ? json_array()
                                                               : route_json(&s->routes[route]), "drives",
                     list);
}
