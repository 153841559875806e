/* scene.c - a scenario of a scene: the steps in the order of scene.h, and a report of what came of it. */
#include "lines/driving/learn/scenario/scene.h"

#include <math.h>
#include <stdlib.h>

#include "lines/driving/act/scene.h"
#include "lines/driving/learn/scenario/area.h"
#include "lines/driving/learn/scenario/match.h"
#include "lines/driving/learn/scenario/parts.h"
#include "lines/driving/learn/scenario/route.h"
#include "lines/driving/learn/scenario/scene_report.h"
#include "lines/driving/learn/scenario/smooth.h"

/* The speed that people are told is the map's limit, or what 85 % of them keep below where that is more: the
 * percentile by which limits are set (Manual on Uniform Traffic Control Devices, 2B.21). People who are logged
 * exceed limits, and a map may have none. It informs the driver; no metric judges by it. */
#define LIMIT_PERCENTILE 0.85
#define LIMIT_SAMPLES 10     /* ticks on a lane, and */
#define LIMIT_PEOPLE 3       /* cars; with fewer its traffic says nothing, or what the driven car itself did */
#define LIMIT_UNKNOWN_MPS 13.9 /* at least that where the map is silent */

typedef struct making {
    const fw_scene *scene;
    const fw_vehicles *vehicles;
    fw_scenario *scenario;
    fw_map map;
    fw_match_graph graph;
    uint32_t **lanes;     /* by track: the lane of each tick; NULL: not matched */
    fw_scene_fate *fates; /* by track */
    const fw_scene_object **objects; /* by track */
    fw_scene_report *report;
    fw_error *error;
} making;

const char *fw_scene_fate_text(fw_scene_fate fate) {
    static const char *const texts[FW_SCENE_FATE_COUNT] = {
        "driven",          "no car",           "too short",       "stands",
        "off every lane", "route too sharp", "goal off its route",
    };
    return (size_t)fate < FW_SCENE_FATE_COUNT ? texts[fate] : "unknown";
}

static fw_status no_memory(const making *m) { return fw_fail(m->error, FW_NO_MEMORY, "scene: no memory"); }

/* ---- tracks ---- */

static uint32_t ticks_of(const making *m, const fw_scene_object *object) {
    const fw_scene_state *states = m->scene->states + object->state_first;
    return object->still ? m->scene->steps : states[object->state_count - 1].step - states[0].step + 1;
}

static fw_status smooth(const making *m, const fw_scene_object *object, fw_scenario_track *track) {
    uint32_t count = track->count;
    double *room = malloc((size_t)count * 3 * sizeof *room);
    if (!room) return no_memory(m);
    double *x = room, *y = x + count, *yaw = y + count;
    for (uint32_t i = 0; i < 3 * count; i++) room[i] = NAN;
    for (uint32_t i = 0; i < object->state_count; i++) {
        const fw_scene_state *state = &m->scene->states[object->state_first + i];
        uint32_t tick = state->step - track->first;
        if (object->still && i > 0) break;
        if (object->still) tick = 0;
        x[tick] = state->x_m, y[tick] = state->y_m, yaw[tick] = state->yaw_rad;
    }
    for (uint32_t i = 1; object->still && i < count; i++) x[i] = x[0], y[i] = y[0], yaw[i] = yaw[0];
    fw_smooth_given given = {x, y, yaw, count};
    fw_status status = fw_smooth_track(&given, track, m->error);
    free(room);
    return status;
}

/* Ids are what neighbours are told apart by: a scene's are texts, so a track's is its place. */
static fw_status make_track(making *m, const fw_scene_object *object) {
    uint32_t at = m->scenario->track_count;
    fw_scenario_track *track = &m->scenario->tracks[at];
    uint32_t first = object->still ? 0 : m->scene->states[object->state_first].step;
    FW_TRY(fw_scenario_make_track(track, first, ticks_of(m, object), m->error));
    m->objects[at] = object;
    m->scenario->track_count++;
    track->id = at + 1;
    track->kind = fw_vehicles_like(m->vehicles, (float)object->length_m, (float)object->width_m);
    FW_TRY(smooth(m, object, track));
    fw_scenario_make_kinematics(track);
    return FW_OK;
}

static fw_status make_tracks(making *m) {
    const fw_scene *scene = m->scene;
    uint32_t count = 0;
    for (uint32_t i = 0; i < scene->object_count; i++) count += scene->objects[i].state_count > 0;
    if (count > FW_SCENARIO_TRACKS_MAX)
        return fw_fail(m->error, FW_TOO_BIG, "scene: %u road users, at most %d", count, FW_SCENARIO_TRACKS_MAX);
    m->scenario->tracks = calloc((size_t)count + 1, sizeof *m->scenario->tracks);
    m->lanes = calloc((size_t)count + 1, sizeof *m->lanes);
    m->fates = calloc((size_t)count + 1, sizeof *m->fates);
    m->objects = calloc((size_t)count + 1, sizeof *m->objects);
    if (!m->scenario->tracks || !m->lanes || !m->fates || !m->objects) return no_memory(m);
    for (uint32_t i = 0; i < scene->object_count; i++)
        if (scene->objects[i].state_count > 0) FW_TRY(make_track(m, &scene->objects[i]));
    return FW_OK;
}

static float way_from(const fw_scenario_track *track, uint32_t tick) {
    float way = 0;
    for (uint32_t i = tick + 1; i < track->count; i++)
        way += hypotf(track->x_m[i] - track->x_m[i - 1], track->y_m[i] - track->y_m[i - 1]);
    return way;
}

static fw_status match(making *m, uint32_t t) {
    const fw_scenario_track *track = &m->scenario->tracks[t];
    double far_share = 1;
    m->fates[t] = !m->objects[t]->vehicle                         ? FW_SCENE_NO_VEHICLE
                  : track->count < FW_SCENARIO_TICKS_MIN          ? FW_SCENE_SHORT
                  : way_from(track, 0) < FW_SCENE_MOVES_M ? FW_SCENE_STOOD
                                                          : FW_SCENE_DRIVEN;
    if (m->fates[t] != FW_SCENE_DRIVEN) return FW_OK;
    m->lanes[t] = calloc(track->count, sizeof **m->lanes);
    if (!m->lanes[t]) return no_memory(m);
    FW_TRY(fw_match_track(&m->map, &m->graph, track, m->lanes[t], &far_share, m->error));
    if (far_share > FW_MATCH_FAR_SHARE) m->fates[t] = FW_SCENE_NO_LANE;
    return FW_OK;
}

/* ---- limits ---- */

static int compare_floats(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

static double percentile(float *values, size_t count, double share) {
    if (count == 0) return 0;
    qsort(values, count, sizeof *values, compare_floats);
    size_t rank = (size_t)ceil(share * (double)count);
    return (double)values[rank > 0 ? rank - 1 : 0];
}

/* Speeds logged on a lane (FW_SCENARIO_NONE: on any); returns how many, 0 when they are too few to say anything. */
static size_t speeds_on(const making *m, uint32_t lane, float *out) {
    size_t count = 0;
    uint32_t people = 0;
    for (uint32_t t = 0; t < m->scenario->track_count; t++) {
        size_t before = count;
        for (uint32_t i = 0; m->lanes[t] && i < m->scenario->tracks[t].count; i++)
            if (lane == FW_SCENARIO_NONE || m->lanes[t][i] == lane) out[count++] = m->scenario->tracks[t].speed_mps[i];
        people += count > before;
    }
    return count >= LIMIT_SAMPLES && people >= LIMIT_PEOPLE ? count : 0;
}

static fw_status decide_limits(making *m) {
    size_t total = 1;
    for (uint32_t t = 0; t < m->scenario->track_count; t++) total += m->scenario->tracks[t].count;
    float *speeds = malloc(total * sizeof *speeds);
    if (!speeds) return no_memory(m);
    double any = fmax(LIMIT_UNKNOWN_MPS, percentile(speeds, speeds_on(m, FW_SCENARIO_NONE, speeds), LIMIT_PERCENTILE));
    for (uint32_t l = 0; l < m->map.lane_count; l++) {
        fw_map_lane *lane = &m->map.lanes[l];
        size_t count = speeds_on(m, l, speeds);
        double kept = percentile(speeds, count, LIMIT_PERCENTILE);
        lane->limit_mps = fmax(lane->limit_mps > 0 ? lane->limit_mps : any, kept);
        for (uint32_t i = 0; i < lane->count; i++) m->map.points[lane->first + i].limit_mps = lane->limit_mps;
    }
    free(speeds);
    return FW_OK;
}

/* ---- routes and starts ---- */

static fw_status make_route(making *m, uint32_t t) {
    fw_scenario *s = m->scenario;
    fw_scenario_route *route = &s->routes[s->route_count];
    if (m->fates[t] != FW_SCENE_DRIVEN) return FW_OK;
    FW_TRY(fw_route_make(&m->map, &s->tracks[t], m->lanes[t], route, m->error));
    s->route_count++; /* from here on its points are the scenario's */
    fw_drive_path_shape(route->points, route->count, route->heading_rad, route->curvature_pm);
    double sharpest = 0, side = fw_route_side_m(route, (double)route->goal_x_m, (double)route->goal_y_m);
    for (uint32_t i = 0; i < route->count; i++) sharpest = fmax(sharpest, fabs((double)route->curvature_pm[i]));
    if (sharpest > (double)FW_DRIVE_CURVATURE_MAX_PM) m->fates[t] = FW_SCENE_SHARP;
    else if (side > (double)FW_SCENE_GOAL_SIDE_M) m->fates[t] = FW_SCENE_SIDEWAYS;
    if (m->fates[t] != FW_SCENE_DRIVEN) {
        free(route->points);
        *route = (fw_scenario_route){.first = 0};
        s->route_count--;
        return FW_OK;
    }
    m->report->curvature_max_pm = fmax(m->report->curvature_max_pm, sharpest);
    m->report->goal_side_max_m = fmax(m->report->goal_side_max_m, side);
    s->tracks[t].route = s->route_count - 1;
    return FW_OK;
}

static bool can_start(const fw_scenario_track *track, uint32_t tick) {
    return track->route != FW_SCENARIO_NONE && track->count - tick >= FW_SCENARIO_TICKS_MIN &&
           way_from(track, tick) >= FW_SCENE_MOVES_M;
}

static fw_status make_starts(making *m) {
    fw_scenario *s = m->scenario;
    size_t most = 1;
    for (uint32_t t = 0; t < s->track_count; t++) most += s->tracks[t].count / FW_SCENARIO_EVERY + 1;
    s->starts = calloc(most, sizeof *s->starts);
    if (!s->starts) return no_memory(m);
    for (uint32_t t = 0; t < s->track_count; t++)
        for (uint32_t tick = 0; tick < s->tracks[t].count; tick += FW_SCENARIO_EVERY)
            if (can_start(&s->tracks[t], tick))
                s->starts[s->start_count++] =
                    (fw_scenario_start){t, s->tracks[t].first + tick, s->tracks[t].count - tick};
    return FW_OK;
}

/* ---- the map for pictures, the area ---- */

static fw_status take_lanes(making *m) {
    fw_scenario *s = m->scenario;
    s->lanes = calloc((size_t)m->map.lane_count + 1, sizeof *s->lanes);
    if (!s->lanes) return no_memory(m);
    for (uint32_t i = 0; i < m->map.lane_count; i++) {
        const fw_map_lane *lane = &m->map.lanes[i];
        s->lanes[i] = (fw_scenario_lane){lane->first, lane->count, (float)lane->limit_mps};
    }
    s->lane_count = m->map.lane_count;
    s->lane_points = m->map.bounds; /* they change hands */
    s->lane_point_count = m->map.point_count;
    m->map.bounds = NULL;
    return FW_OK;
}

static fw_status make_area(making *m) {
    fw_area_box box = {INFINITY, INFINITY, -INFINITY, -INFINITY};
    for (uint32_t t = 0; t < m->scenario->track_count; t++) {
        const fw_scenario_track *track = &m->scenario->tracks[t];
        for (uint32_t i = 0; i < track->count; i++) {
            box.low_x_m = fmin(box.low_x_m, (double)track->x_m[i]), box.low_y_m = fmin(box.low_y_m, (double)track->y_m[i]);
            box.high_x_m = fmax(box.high_x_m, (double)track->x_m[i]);
            box.high_y_m = fmax(box.high_y_m, (double)track->y_m[i]);
        }
    }
    return fw_area_make(&m->map, box, &m->scenario->area, m->error);
}

/* ---- all of it ---- */

static fw_status make(making *m) {
    fw_scenario *s = m->scenario;
    s->source = m->scene->source;
    s->tags = m->scene->tags;
    s->scene = true;
    s->ticks = s->recorded = m->scene->steps;
    if (m->scene->state_count == 0) return fw_fail(m->error, FW_INVALID, "scene: nobody is in it");
    FW_TRY(fw_map_make(m->scene, &m->map, m->error));
    FW_TRY(fw_match_graph_make(&m->map, &m->graph, m->error));
    FW_TRY(make_tracks(m));
    for (uint32_t t = 0; t < s->track_count; t++) FW_TRY(match(m, t));
    FW_TRY(decide_limits(m));
    s->routes = calloc((size_t)s->track_count + 1, sizeof *s->routes);
    if (!s->routes) return no_memory(m);
    for (uint32_t t = 0; t < s->track_count; t++) FW_TRY(make_route(m, t));
    FW_TRY(make_starts(m));
    FW_TRY(make_area(m));
    FW_TRY(take_lanes(m));
    FW_TRY(fw_scenario_finish(s, m->error));
    FW_TRY(fw_scene_report_fill(m->scene, m->objects, s, m->report, m->error));
    if (s->start_count == 0) return fw_fail(m->error, FW_INVALID, "scene: nobody in it can be driven");
    return FW_OK;
}

fw_status fw_scenario_of_scene(const fw_scene *scene, const fw_vehicles *vehicles, fw_scenario **out,
                               fw_scene_report *report, fw_error *error) {
    fw_error unheard;
    making m = {.scene = scene, .vehicles = vehicles, .report = report, .error = error ? error : &unheard};
    *report = (fw_scene_report){0};
    m.scenario = calloc(1, sizeof *m.scenario);
    fw_status status = m.scenario ? make(&m) : no_memory(&m);
    for (uint32_t t = 0; m.scenario && t < m.scenario->track_count; t++) {
        report->fates[m.fates[t]]++;
        free(m.lanes[t]);
    }
    fw_map_clear(&m.map);
    fw_match_graph_clear(&m.graph);
    free(m.lanes);
    free(m.fates);
    free(m.objects);
    if (status == FW_OK)
        *out = m.scenario;
    else
        fw_scenario_free(m.scenario);
    return status;
}
