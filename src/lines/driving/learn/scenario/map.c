#include "lines/driving/learn/scenario/map.h"

#include <math.h>
#include <stdlib.h>

/* ---- bounds and centre lines ---- */

static double chord(fw_scene_point a, fw_scene_point b) { return hypot(b.x_m - a.x_m, b.y_m - a.y_m); }

/* The place at `share` (0 .. 1) of a bound's length. */
static fw_scene_point along(const fw_scene_point *points, uint32_t count, double share) {
    double whole = 0;
    for (uint32_t i = 1; i < count; i++) whole += chord(points[i - 1], points[i]);
    double left = share * whole;
    for (uint32_t i = 1; i < count; i++) {
        double step = chord(points[i - 1], points[i]);
        if (left <= step && step > 0) {
            double f = left / step;
            return (fw_scene_point){points[i - 1].x_m + f * (points[i].x_m - points[i - 1].x_m),
                                    points[i - 1].y_m + f * (points[i].y_m - points[i - 1].y_m)};
        }
        left -= step;
    }
    return points[count - 1];
}

static void pair_bounds(const fw_scene *scene, const fw_scene_lanelet *lanelet, uint32_t count,
                        fw_scenario_lane_point *out) {
    const fw_scene_point *left = scene->points + lanelet->left_first, *right = scene->points + lanelet->right_first;
    for (uint32_t i = 0; i < count; i++) {
        double share = (double)i / (double)(count - 1);
        fw_scene_point l = lanelet->left_count == count ? left[i] : along(left, lanelet->left_count, share);
        fw_scene_point r = lanelet->right_count == count ? right[i] : along(right, lanelet->right_count, share);
        out[i] = (fw_scenario_lane_point){(float)l.x_m, (float)l.y_m, (float)r.x_m, (float)r.y_m};
    }
}

static void centre_line(const fw_scenario_lane_point *bounds, fw_map_lane *lane, fw_map_point *out) {
    lane->low_x_m = lane->low_y_m = INFINITY;
    lane->high_x_m = lane->high_y_m = -INFINITY;
    for (uint32_t i = 0; i < lane->count; i++) {
        double lx = (double)bounds[i].left_x_m, ly = (double)bounds[i].left_y_m;
        double rx = (double)bounds[i].right_x_m, ry = (double)bounds[i].right_y_m;
        out[i] = (fw_map_point){.x_m = (lx + rx) / 2, .y_m = (ly + ry) / 2, .width_m = hypot(lx - rx, ly - ry)};
        if (i > 0) out[i].s_m = out[i - 1].s_m + hypot(out[i].x_m - out[i - 1].x_m, out[i].y_m - out[i - 1].y_m);
        lane->low_x_m = fmin(lane->low_x_m, fmin(lx, rx)), lane->low_y_m = fmin(lane->low_y_m, fmin(ly, ry));
        lane->high_x_m = fmax(lane->high_x_m, fmax(lx, rx)), lane->high_y_m = fmax(lane->high_y_m, fmax(ly, ry));
    }
    lane->length_m = out[lane->count - 1].s_m;
}

/* ---- who follows whom ---- */

typedef struct edge {
    uint32_t from, kind, to; /* kind: SUCCESSOR, PREDECESSOR, LEFT (beside) */
} edge;

static int compare_edges(const void *a, const void *b) {
    const edge *x = a, *y = b;
    if (x->from != y->from) return x->from < y->from ? -1 : 1;
    if (x->kind != y->kind) return x->kind < y->kind ? -1 : 1;
    return x->to < y->to ? -1 : x->to > y->to;
}

/* Each link in both directions, sorted; doubles are passed over when they are taken. */
static size_t both_ways(const fw_scene *scene, edge *edges) {
    size_t count = 0;
    for (uint32_t i = 0; i < scene->lanelet_count; i++) {
        const fw_scene_lanelet *lanelet = &scene->lanelets[i];
        for (uint32_t j = 0; j < lanelet->link_count; j++) {
            fw_scene_link link = scene->links[lanelet->link_first + j];
            uint32_t kind = link.kind == FW_SCENE_RIGHT ? FW_SCENE_LEFT : link.kind;
            uint32_t back = kind == FW_SCENE_SUCCESSOR     ? FW_SCENE_PREDECESSOR
                            : kind == FW_SCENE_PREDECESSOR ? FW_SCENE_SUCCESSOR
                                                           : FW_SCENE_LEFT;
            edges[count++] = (edge){i, kind, link.lanelet};
            edges[count++] = (edge){link.lanelet, back, i};
        }
    }
    if (count > 0) qsort(edges, count, sizeof *edges, compare_edges);
    return count;
}

static void take_edges(fw_map *map, const edge *edges, size_t count) {
    uint32_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && compare_edges(&edges[i - 1], &edges[i]) == 0) continue;
        fw_map_lane *lane = &map->lanes[edges[i].from];
        uint32_t *first = edges[i].kind == FW_SCENE_SUCCESSOR     ? &lane->next_first
                          : edges[i].kind == FW_SCENE_PREDECESSOR ? &lane->before_first
                                                                  : &lane->beside_first;
        uint32_t *many = edges[i].kind == FW_SCENE_SUCCESSOR     ? &lane->next_count
                         : edges[i].kind == FW_SCENE_PREDECESSOR ? &lane->before_count
                                                                 : &lane->beside_count;
        if ((*many)++ == 0) *first = used;
        map->links[used++] = edges[i].to;
    }
}

static fw_status link_lanes(const fw_scene *scene, fw_map *map, fw_error *error) {
    size_t room = 2 * (size_t)scene->link_count + 1;
    edge *edges = calloc(room, sizeof *edges);
    map->links = calloc(room, sizeof *map->links);
    bool fine = edges && map->links;
    if (fine) take_edges(map, edges, both_ways(scene, edges));
    free(edges);
    return fine ? FW_OK : fw_fail(error, FW_NO_MEMORY, "scene: no memory for its map");
}

fw_status fw_map_make(const fw_scene *scene, fw_map *out, fw_error *error) {
    fw_map map = {.lane_count = scene->lanelet_count};
    for (uint32_t i = 0; i < scene->lanelet_count; i++) {
        const fw_scene_lanelet *lanelet = &scene->lanelets[i];
        map.point_count += lanelet->left_count > lanelet->right_count ? lanelet->left_count : lanelet->right_count;
    }
    map.lanes = calloc((size_t)map.lane_count + 1, sizeof *map.lanes);
    map.points = calloc((size_t)map.point_count + 1, sizeof *map.points);
    map.bounds = calloc((size_t)map.point_count + 1, sizeof *map.bounds);
    fw_status status = map.lanes && map.points && map.bounds
                           ? link_lanes(scene, &map, error)
                           : fw_fail(error, FW_NO_MEMORY, "scene: no memory for its map");
    uint32_t first = 0;
    for (uint32_t i = 0; status == FW_OK && i < map.lane_count; i++) {
        const fw_scene_lanelet *lanelet = &scene->lanelets[i];
        fw_map_lane *lane = &map.lanes[i];
        lane->first = first;
        lane->count = lanelet->left_count > lanelet->right_count ? lanelet->left_count : lanelet->right_count;
        lane->limit_mps = lanelet->limit_mps;
        pair_bounds(scene, lanelet, lane->count, map.bounds + first);
        centre_line(map.bounds + first, lane, map.points + first);
        first += lane->count;
    }
    if (status == FW_OK)
        *out = map;
    else
        fw_map_clear(&map);
    return status;
}

void fw_map_clear(fw_map *map) {
    free(map->lanes);
    free(map->points);
    free(map->bounds);
    free(map->links);
    *map = (fw_map){.lanes = NULL};
}

/* ---- places ---- */

fw_map_spot fw_map_project(const fw_map_point *points, uint32_t count, double x_m, double y_m) {
    fw_map_spot best = {.distance_m = INFINITY};
    for (uint32_t i = 0; i + 1 < count; i++) {
        const fw_map_point *a = &points[i];
        double dx = a[1].x_m - a->x_m, dy = a[1].y_m - a->y_m, length = hypot(dx, dy);
        if (length <= 0) continue;
        double along_m = ((x_m - a->x_m) * dx + (y_m - a->y_m) * dy) / length;
        double within_m = fmax(0, fmin(length, along_m));
        double off_m = hypot(x_m - a->x_m - dx * within_m / length, y_m - a->y_m - dy * within_m / length);
        if (off_m >= best.distance_m) continue;
        best.distance_m = off_m;
        best.s_m = a->s_m + within_m;
        best.side_m = (dx * (y_m - a->y_m) - dy * (x_m - a->x_m)) / length;
        best.heading_rad = atan2(dy, dx);
    }
    return best;
}

fw_map_place fw_map_at(const fw_map_point *points, uint32_t count, double s_m) {
    uint32_t low = 0, high = count - 1; /* the segment low .. low + 1 that has s_m */
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (points[middle].s_m <= s_m)
            low = middle;
        else
            high = middle;
    }
    while (low > 0 && points[low + 1].s_m <= points[low].s_m) low--;
    const fw_map_point *a = &points[low], *b = a + 1;
    double length = b->s_m - a->s_m, f = length > 0 ? (s_m - a->s_m) / length : 0, w = fmax(0, fmin(1, f));
    return (fw_map_place){.x_m = a->x_m + f * (b->x_m - a->x_m), .y_m = a->y_m + f * (b->y_m - a->y_m),
                          .heading_rad = atan2(b->y_m - a->y_m, b->x_m - a->x_m),
                          .width_m = a->width_m + w * (b->width_m - a->width_m), .limit_mps = a->limit_mps};
}

uint32_t fw_map_straightest(const fw_map *map, uint32_t from, bool backwards) {
    const fw_map_lane *lane = &map->lanes[from];
    uint32_t count = backwards ? lane->before_count : lane->next_count, best = FW_SCENARIO_NONE;
    const uint32_t *links = map->links + (backwards ? lane->before_first : lane->next_first);
    double here = fw_map_at(map->points + lane->first, lane->count, backwards ? 0 : lane->length_m).heading_rad;
    double least = INFINITY;
    for (uint32_t i = 0; i < count; i++) {
        const fw_map_lane *other = &map->lanes[links[i]];
        double there = fw_map_at(map->points + other->first, other->count, other->length_m / 2).heading_rad;
        double turn = fabs(remainder(there - here, 2 * M_PI));
        if (turn >= least) continue;
        least = turn;
        best = links[i];
    }
    return best;
}
