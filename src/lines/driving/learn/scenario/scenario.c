/* scenario.c - what both makers of scenarios share: reading a file, room, the last touches, the end. */
#include "lines/driving/learn/scenario/scenario.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "lines/driving/act/scene.h"
#include "lines/driving/learn/scenario/parts.h"
#include "lines/driving/learn/scenario/scene.h"

/* ---- room ---- */

fw_status fw_scenario_make_track(fw_scenario_track *track, uint32_t first, uint32_t count, fw_error *error) {
    enum { ARRAYS = 9 };
    FW_ASSERT(count >= 1);
    float *block = calloc((size_t)count * ARRAYS, sizeof *block);
    if (!block) return fw_fail(error, FW_NO_MEMORY, "scenario: no memory for a track");
    float **arrays[ARRAYS] = {&track->x_m,     &track->y_m,     &track->yaw_rad,    &track->speed_mps,   &track->way_m,
                              &track->cos_yaw, &track->sin_yaw, &track->accel_mps2, &track->curvature_pm};
    for (size_t i = 0; i < ARRAYS; i++) *arrays[i] = block + i * count;
    track->first = first;
    track->count = count;
    track->lane = track->route = FW_SCENARIO_NONE;
    return FW_OK;
}

fw_status fw_scenario_make_route(fw_scenario_route *route, uint32_t count, fw_error *error) {
    FW_ASSERT(count >= 2);
    const size_t point = sizeof *route->points + 2 * sizeof(float);
    char *block = calloc(count, point);
    if (!block) return fw_fail(error, FW_NO_MEMORY, "scenario: no memory for a route");
    route->points = (fw_drive_point *)(void *)block;
    route->heading_rad = (float *)(void *)(block + count * sizeof *route->points);
    route->curvature_pm = route->heading_rad + count;
    route->count = count;
    return FW_OK;
}

void fw_scenario_free(fw_scenario *scenario) {
    if (!scenario) return;
    for (uint32_t i = 0; scenario->tracks && i < scenario->track_count; i++) free(scenario->tracks[i].x_m);
    for (uint32_t i = 0; scenario->routes && i < scenario->route_count; i++) free(scenario->routes[i].points);
    for (uint32_t i = 0; i < scenario->light_count; i++) free(scenario->lights[i].state);
    free(scenario->area.distance_m);
    free(scenario->lanes);
    free(scenario->lane_points);
    free(scenario->routes);
    free(scenario->tracks);
    free(scenario->meetings);
    free(scenario->event_ticks);
    free(scenario->starts);
    free(scenario->active_at);
    free(scenario->active);
    free(scenario);
}

/* ---- the last touches ---- */

static float turned(float from_rad, float to_rad) { return remainderf(to_rad - from_rad, 2 * (float)M_PI); }

void fw_scenario_make_kinematics(fw_scenario_track *track) {
    const float slow_m = 0.05f; /* of one tick: below, a turn of the box says nothing about the steering */
    float back_m = track->kind.length_m / 2 - track->kind.rear_overhang_m;
    for (uint32_t i = 0; i + 1 < track->count; i++) {
        const float *yaw = track->yaw_rad + i, *x = track->x_m + i, *y = track->y_m + i;
        float dx = x[1] - x[0] - back_m * (cosf(yaw[1]) - cosf(yaw[0]));
        float dy = y[1] - y[0] - back_m * (sinf(yaw[1]) - sinf(yaw[0]));
        float way = hypotf(dx, dy), curvature = turned(yaw[0], yaw[1]) * way / (way * way + slow_m * slow_m);
        track->accel_mps2[i] = (track->speed_mps[i + 1] - track->speed_mps[i]) / FW_DRIVE_TICK_S;
        track->curvature_pm[i] = fmaxf(-FW_DRIVE_CURVATURE_MAX_PM, fminf(FW_DRIVE_CURVATURE_MAX_PM, curvature));
    }
    if (track->count < 2) return;
    track->accel_mps2[track->count - 1] = track->accel_mps2[track->count - 2];
    track->curvature_pm[track->count - 1] = track->curvature_pm[track->count - 2];
}

static void finish_track(fw_scenario_track *track) {
    for (uint32_t i = 0; i < track->count; i++) {
        track->cos_yaw[i] = cosf(track->yaw_rad[i]);
        track->sin_yaw[i] = sinf(track->yaw_rad[i]);
        if (i == 0) continue;
        float ahead = (track->x_m[i] - track->x_m[i - 1]) * track->cos_yaw[i - 1] +
                      (track->y_m[i] - track->y_m[i - 1]) * track->sin_yaw[i - 1];
        track->way_m[i] = track->way_m[i - 1] + fmaxf(0, ahead);
    }
}

fw_status fw_scenario_finish(fw_scenario *scenario, fw_error *error) {
    size_t total = 0;
    for (uint32_t i = 0; i < scenario->track_count; i++) total += scenario->tracks[i].count;
    scenario->active_at = calloc((size_t)scenario->ticks + 1, sizeof *scenario->active_at);
    scenario->active = calloc(total + 1, sizeof *scenario->active);
    if (!scenario->active_at || !scenario->active)
        return fw_fail(error, FW_NO_MEMORY, "scenario: no memory for its lists");
    uint32_t used = 0;
    for (uint32_t tick = 0; tick < scenario->ticks; tick++) {
        scenario->active_at[tick] = used;
        for (uint32_t i = 0; i < scenario->track_count; i++)
            if (tick - scenario->tracks[i].first < scenario->tracks[i].count) scenario->active[used++] = (uint16_t)i;
    }
    scenario->active_at[scenario->ticks] = used;
    FW_ASSERT(used == total);
    for (uint32_t i = 0; i < scenario->track_count; i++) finish_track(&scenario->tracks[i]);
    for (uint32_t i = 0; i < scenario->route_count; i++) {
        fw_scenario_route *route = &scenario->routes[i];
        fw_drive_path_shape(route->points, route->count, route->heading_rad, route->curvature_pm);
    }
    return FW_OK;
}

/* ---- reading ---- */

static fw_status of_recording(const char *bytes, size_t size_bytes, const fw_vehicles *vehicles, fw_scenario **out,
                              fw_error *error) {
    fw_drive_recording *recording = NULL;
    FW_TRY(fw_drive_recording_parse(bytes, size_bytes, &recording, error));
    fw_status status = fw_scenario_of_unit(recording, vehicles, out, error);
    fw_drive_recording_free(recording);
    return status;
}

static fw_status of_scene(const char *bytes, size_t size_bytes, const fw_vehicles *vehicles, fw_scenario **out,
                          fw_error *error) {
    fw_scene *scene = NULL;
    fw_scene_report report;
    FW_TRY(fw_scene_parse(bytes, size_bytes, &scene, error));
    fw_status status = fw_scenario_of_scene(scene, vehicles, out, &report, error);
    fw_scene_free(scene);
    return status;
}

fw_status fw_scenario_parse(const void *bytes, size_t size_bytes, const fw_vehicles *vehicles, fw_scenario **out,
                            fw_error *error) {
    return fw_scene_is(bytes, size_bytes) ? of_scene(bytes, size_bytes, vehicles, out, error)
                                          : of_recording(bytes, size_bytes, vehicles, out, error);
}

fw_status fw_scenario_read(const char *path, const fw_vehicles *vehicles, fw_scenario **out, fw_error *error) {
    char *bytes = NULL;
    size_t size_bytes = 0;
    FW_TRY(fw_file_read(path, FW_SCENARIO_FILE_MAX, &bytes, &size_bytes, error));
    fw_status status = fw_scenario_parse(bytes, size_bytes, vehicles, out, error);
    free(bytes);
    return status;
}
