/* Scenes made by arithmetic, for tests that must not need a data set: no file, no noise.
 *
 *   synthetic_street()   two lanes eastwards, 400 m, y = 0 and y = 3.5, cut into lanelets of 100 m;
 *                        a car of 12 m/s on lane 0, one 30 m ahead of it at 8 m/s, one on lane 1 at 14 m/s
 *   synthetic_curve()    one lane: 60 m straight, a left quarter circle of 30 m radius, 60 m straight; one car, 8 m/s
 *   synthetic_change()   the street; one car that changes from lane 0 to lane 1 around x = 150
 *
 *   fw_scenario *s = synthetic_scenario(synthetic_street(60));   ticks; frees the scene
 */
#ifndef FW_TESTS_SYNTHETIC_SCENE_H
#define FW_TESTS_SYNTHETIC_SCENE_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lines/driving/learn/scenario/scene.h"

#define SYNTHETIC_LANE_M 3.5

static inline fw_scene *synthetic_scene(uint32_t lanelets, uint32_t objects, uint32_t steps) {
    fw_scene *s = calloc(1, sizeof *s);
    s->lanelets = calloc(lanelets, sizeof *s->lanelets);
    s->points = calloc((size_t)lanelets * 256, sizeof *s->points);
    s->links = calloc((size_t)lanelets * 8, sizeof *s->links);
    s->objects = calloc(objects, sizeof *s->objects);
    s->states = calloc((size_t)objects * steps, sizeof *s->states);
    s->steps = steps;
    snprintf(s->tags.site, sizeof s->tags.site, "synthetic");
    snprintf(s->tags.group, sizeof s->tags.group, "1");
    return s;
}

/* A lanelet of `count` cross sections: centre, heading; limit 15 m/s. */
static inline void synthetic_lanelet(fw_scene *s, uint32_t count, const double *x, const double *y,
                                     const double *heading) {
    fw_scene_lanelet *l = &s->lanelets[s->lanelet_count];
    snprintf(l->id, sizeof l->id, "%u", 100 + s->lanelet_count++);
    l->limit_mps = 15;
    l->left_first = s->point_count, l->right_first = s->point_count + count;
    l->left_count = l->right_count = count;
    l->link_first = s->link_count;
    for (uint32_t i = 0; i < count; i++) {
        double dx = -sin(heading[i]) * SYNTHETIC_LANE_M / 2, dy = cos(heading[i]) * SYNTHETIC_LANE_M / 2;
        s->points[l->left_first + i] = (fw_scene_point){x[i] + dx, y[i] + dy};
        s->points[l->right_first + i] = (fw_scene_point){x[i] - dx, y[i] - dy};
    }
    s->point_count += 2 * count;
}

/* Of the lanelet made last. */
static inline void synthetic_link(fw_scene *s, fw_scene_link_kind kind, uint32_t other) {
    s->links[s->link_count++] = (fw_scene_link){kind, other};
    s->lanelets[s->lanelet_count - 1].link_count++;
}

static inline void synthetic_car(fw_scene *s) {
    fw_scene_object *o = &s->objects[s->object_count];
    snprintf(o->id, sizeof o->id, "%u", 7 + s->object_count++);
    o->vehicle = true, o->length_m = 4.8, o->width_m = 1.9;
    o->state_first = s->state_count;
}

/* Of the car made last; its box's centre. */
static inline void synthetic_state(fw_scene *s, uint32_t step, double x, double y, double yaw, double speed) {
    s->states[s->state_count++] = (fw_scene_state){s->object_count - 1, step, x, y, yaw, speed};
    s->objects[s->object_count - 1].state_count++;
}

static inline void synthetic_straight(fw_scene *s, uint32_t steps, double x, double y, double speed) {
    synthetic_car(s);
    for (uint32_t i = 0; i < steps; i++) synthetic_state(s, i, x + 0.1 * speed * i, y, 0, speed);
}

/* Lanelets 0..3 are lane 0 from west to east, 4..7 lane 1, left of it. */
static inline fw_scene *synthetic_road(uint32_t cars, uint32_t steps) {
    fw_scene *s = synthetic_scene(8, cars, steps);
    for (uint32_t lane = 0; lane < 2; lane++)
        for (uint32_t k = 0; k < 4; k++) {
            double x[] = {100.0 * k, 100.0 * k + 50, 100.0 * k + 100}, y[3], heading[3] = {0, 0, 0};
            for (int i = 0; i < 3; i++) y[i] = SYNTHETIC_LANE_M * lane;
            synthetic_lanelet(s, 3, x, y, heading);
            if (k < 3) synthetic_link(s, FW_SCENE_SUCCESSOR, 4 * lane + k + 1);
            synthetic_link(s, lane ? FW_SCENE_RIGHT : FW_SCENE_LEFT, lane ? k : 4 + k);
        }
    return s;
}

static inline fw_scene *synthetic_street(uint32_t steps) {
    fw_scene *s = synthetic_road(3, steps);
    synthetic_straight(s, steps, 40, 0, 12);
    synthetic_straight(s, steps, 70, 0, 8);
    synthetic_straight(s, steps, 50, SYNTHETIC_LANE_M, 14);
    return s;
}

static inline fw_scene *synthetic_change(uint32_t steps) {
    fw_scene *s = synthetic_road(1, steps);
    synthetic_car(s);
    for (uint32_t i = 0; i < steps; i++) {
        double x = 60 + 1.2 * i, t = fmax(0, fmin(1, (x - 130) / 40));
        synthetic_state(s, i, x, SYNTHETIC_LANE_M * t * t * (3 - 2 * t), 0, 12);
    }
    return s;
}

/* The place at s of the curve's centre line. */
static inline void synthetic_bend(double s_m, double *x, double *y, double *heading) {
    const double radius = 30, arc = radius * M_PI / 2;
    double turn = fmax(0, fmin(arc, s_m - 60)) / radius, before = fmin(s_m, 60), after = fmax(0, s_m - 60 - arc);
    *x = before + radius * sin(turn) + after * cos(turn);
    *y = radius * (1 - cos(turn)) + after * sin(turn);
    *heading = turn;
}

static inline fw_scene *synthetic_curve(uint32_t steps) {
    enum { SECTIONS = 84 };
    fw_scene *s = synthetic_scene(1, 1, steps);
    double x[SECTIONS], y[SECTIONS], heading[SECTIONS];
    for (uint32_t i = 0; i < SECTIONS; i++) synthetic_bend(2.0 * i, &x[i], &y[i], &heading[i]);
    synthetic_lanelet(s, SECTIONS, x, y, heading);
    synthetic_car(s);
    for (uint32_t i = 0; i < steps; i++) {
        double px, py, yaw;
        synthetic_bend(30 + 0.8 * i, &px, &py, &yaw);
        synthetic_state(s, i, px, py, yaw, 8);
    }
    return s;
}

/* NULL when nothing in it can be driven. */
static inline fw_scenario *synthetic_scenario(fw_scene *scene) {
    fw_scenario *scenario = NULL;
    fw_scene_report report;
    fw_error error = {""};
    if (fw_scenario_of_scene(scene, fw_vehicles_builtin(), &scenario, &report, &error) != FW_OK) {
        fprintf(stderr, "synthetic scene: %s\n", error.text);
        scenario = NULL;
    }
    fw_scene_free(scene);
    return scenario;
}

#endif
