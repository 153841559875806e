/* A scene made by arithmetic: a straight street to the east with three lanes of 4 m, one route a car, cars at
 * constant speed or standing. For tests of the simulator; y = 0 is the middle lane's centre.
 *
 *      y = 6  ================================== edge
 *      y = 4   - - - - - lane 2
 *      y = 0   - - - - - lane 1
 *      y = -4  - - - - - lane 0
 *      y = -6 ================================== edge            x from -40 on
 */
#ifndef FW_TESTS_STREET_H
#define FW_TESTS_STREET_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lines/driving/act/scene.h"
#include "lines/driving/learn/scenario/parts.h"

typedef struct street_car {
    float x_m, y_m, yaw_rad, speed_mps; /* box centre at its first tick */
    uint32_t first, count;
    float length_m, width_m; /* 0: 4.5 x 1.8 */
    bool no_route;
} street_car;

static inline void street_area(fw_scenario *s) {
    fw_scenario_area *area = &s->area;
    *area = (fw_scenario_area){.x_m = -60, .y_m = -12, .cell_m = 0.5f, .columns = 1400, .rows = 49};
    area->distance_m = malloc((size_t)area->columns * area->rows * sizeof *area->distance_m);
    for (uint32_t row = 0; row < area->rows; row++)
        for (uint32_t column = 0; column < area->columns; column++) {
            float y = area->y_m + (float)row * area->cell_m;
            area->distance_m[row * area->columns + column] = 6 - fabsf(y);
        }
}

/* From 20 m behind the car's begin, as long as it takes. */
static inline void street_route(fw_scenario_route *route, const fw_scenario_track *track) {
    uint32_t last = track->count - 1;
    float c = cosf(track->yaw_rad[0]), n = sinf(track->yaw_rad[0]);
    float length = track->way_m[last] + 20 + FW_SCENARIO_BEYOND_M;
    uint32_t count = (uint32_t)(length / FW_DRIVE_GRID_M) + 1;
    if (fw_scenario_make_route(route, count, NULL) != FW_OK) abort();
    float middle = 0.5f * track->kind.length_m - track->kind.rear_overhang_m;
    for (uint32_t i = 0; i < count; i++) {
        float way = (float)i * FW_DRIVE_GRID_M - 20 - middle;
        route->points[i] =
            (fw_drive_point){track->x_m[0] + way * c, track->y_m[0] + way * n, 4, 15};
    }
    route->end_s_m = (float)(count - 1) * FW_DRIVE_GRID_M;
    route->goal_s_m = 20 + track->way_m[last];
    route->goal_x_m = track->x_m[last];
    route->goal_y_m = track->y_m[last];
}

static inline fw_scenario *street(const street_car *cars, uint32_t count, uint32_t ticks) {
    fw_scenario *s = calloc(1, sizeof *s);
    s->scene = true;
    s->ticks = s->recorded = ticks;
    snprintf(s->tags.group, sizeof s->tags.group, "street");
    street_area(s);
    s->tracks = calloc(count, sizeof *s->tracks);
    s->routes = calloc(count, sizeof *s->routes);
    s->starts = calloc(count, sizeof *s->starts);
    for (uint32_t k = 0; k < count; k++) {
        const street_car *car = &cars[k];
        fw_scenario_track *track = &s->tracks[k];
        uint32_t first = car->first, n = car->count ? car->count : ticks - first;
        if (fw_scenario_make_track(track, first, n, NULL) != FW_OK) abort();
        s->track_count++;
        track->id = 100 + k;
        float length = car->length_m > 0 ? car->length_m : 4.5f, width = car->width_m > 0 ? car->width_m : 1.8f;
        track->kind = fw_vehicles_like(fw_vehicles_builtin(), length, width);
        for (uint32_t i = 0; i < n; i++) {
            float way = car->speed_mps * FW_DRIVE_TICK_S * (float)i;
            track->x_m[i] = car->x_m + way * cosf(car->yaw_rad);
            track->y_m[i] = car->y_m + way * sinf(car->yaw_rad);
            track->yaw_rad[i] = car->yaw_rad;
            track->speed_mps[i] = car->speed_mps;
        }
    }
    if (fw_scenario_finish(s, NULL) != FW_OK) abort();
    for (uint32_t k = 0; k < count; k++) {
        if (cars[k].no_route) continue;
        fw_scenario_route *route = &s->routes[s->route_count];
        street_route(route, &s->tracks[k]);
        fw_drive_path_shape(route->points, route->count, route->heading_rad, route->curvature_pm);
        s->tracks[k].route = s->route_count++;
        s->starts[s->start_count++] = (fw_scenario_start){k, s->tracks[k].first, s->tracks[k].count};
    }
    return s;
}

#endif
