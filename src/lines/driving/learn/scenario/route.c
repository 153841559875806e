#include "lines/driving/learn/scenario/route.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lines/driving/learn/scenario/parts.h"
#include "lines/driving/learn/scenario/smooth.h"

enum { HOPS = 4, EXTENSION_MAX = 64, HOP_QUEUE = 256, POINTS_MAX = 1 << 18 };
#define STEP_M 0.5      /* of the dense polyline */
#define SHORT_M 8.0     /* a stay on a lane shorter than this, between two others, is none */
#define AHEAD_M (2 * (double)FW_SCENARIO_BEYOND_M)
#define BEHIND_M 60.0
#define SAME_POINT_M 0.05

/* ---- growing arrays ---- */

typedef struct line {
    fw_map_point *points;
    uint32_t count, room;
} line;

typedef struct lane_list {
    uint32_t *lanes;
    uint32_t count, room;
} lane_list;

static fw_status no_memory(fw_error *error) { return fw_fail(error, FW_NO_MEMORY, "scene: no memory for a route"); }

/* Adds a point and gives it its s_m; one that lies on the last is left out. */
static fw_status add_point(line *l, fw_map_point point, fw_error *error) {
    const fw_map_point *last = l->count > 0 ? &l->points[l->count - 1] : NULL;
    double step = last ? hypot(point.x_m - last->x_m, point.y_m - last->y_m) : 0;
    if (last && step < SAME_POINT_M) return FW_OK;
    point.s_m = last ? last->s_m + step : 0; /* before growing moves `last` */
    if (l->count == POINTS_MAX) return fw_fail(error, FW_TOO_BIG, "scene: a route over %d points", POINTS_MAX);
    if (l->count == l->room) {
        uint32_t wanted = l->room ? 2 * l->room : 128;
        fw_map_point *grown = realloc(l->points, wanted * sizeof *grown);
        if (!grown) return no_memory(error);
        l->points = grown;
        l->room = wanted;
    }
    l->points[l->count++] = point;
    return FW_OK;
}

static fw_status add_lane(lane_list *list, uint32_t lane, fw_error *error) {
    if (list->count == list->room) {
        uint32_t wanted = list->room ? 2 * list->room : 32;
        uint32_t *grown = realloc(list->lanes, wanted * sizeof *grown);
        if (!grown) return no_memory(error);
        list->lanes = grown;
        list->room = wanted;
    }
    list->lanes[list->count++] = lane;
    return FW_OK;
}

/* ---- chains: lanes that follow each other ---- */

/* The lanes from `from` (left out) to `to` (the last of *between) along successors; 0: not within HOPS. */
static uint32_t hops(const fw_map *map, uint32_t from, uint32_t to, uint32_t between[HOPS]) {
    uint32_t lanes[HOP_QUEUE] = {from}, parents[HOP_QUEUE] = {0}, depth[HOP_QUEUE] = {0}, tail = 1;
    for (uint32_t head = 0; head < tail && depth[head] < HOPS; head++) {
        const fw_map_lane *lane = &map->lanes[lanes[head]];
        for (uint32_t i = 0; i < lane->next_count && tail < HOP_QUEUE; i++) {
            lanes[tail] = map->links[lane->next_first + i];
            parents[tail] = head;
            depth[tail] = depth[head] + 1;
            if (lanes[tail++] != to) continue;
            uint32_t count = depth[tail - 1], at = tail - 1;
            for (uint32_t k = count; k-- > 0; at = parents[at]) between[k] = lanes[at];
            return count;
        }
    }
    return 0;
}

/* One chain and when the track left it. */
typedef struct chain {
    uint32_t first_tick, end_tick;
    line line;
} chain;

/* Ticks [first, *end) that stay on lanes which follow each other. */
static fw_status run_of(const fw_map *map, const uint32_t *lanes, uint32_t count, uint32_t first, lane_list *list,
                        uint32_t *end, fw_error *error) {
    uint32_t between[HOPS], i = first + 1;
    FW_TRY(add_lane(list, lanes[first], error));
    for (; i < count; i++) {
        if (lanes[i] == lanes[i - 1]) continue;
        uint32_t many = hops(map, lanes[i - 1], lanes[i], between);
        if (many == 0) break;
        for (uint32_t k = 0; k < many; k++) FW_TRY(add_lane(list, between[k], error));
    }
    *end = i;
    return FW_OK;
}

/* The lanes before the list's first (backwards) or after its last until they are `far_m` long. */
static uint32_t extension(const fw_map *map, uint32_t from, bool backwards, double far_m,
                          uint32_t out[EXTENSION_MAX]) {
    uint32_t count = 0;
    for (double length = 0; count < EXTENSION_MAX && length < far_m;) {
        from = fw_map_straightest(map, from, backwards);
        if (from == FW_SCENARIO_NONE) break;
        length += map->lanes[from].length_m;
        out[count++] = from;
    }
    return count;
}

static fw_status draw_lane(const fw_map *map, uint32_t lane, line *out, fw_error *error) {
    for (uint32_t i = 0; i < map->lanes[lane].count; i++)
        FW_TRY(add_point(out, map->points[map->lanes[lane].first + i], error));
    return FW_OK;
}

static fw_status draw_chain(const fw_map *map, const lane_list *list, line *out, fw_error *error) {
    uint32_t more[EXTENSION_MAX], count = extension(map, list->lanes[0], true, BEHIND_M, more);
    while (count-- > 0) FW_TRY(draw_lane(map, more[count], out, error));
    for (uint32_t i = 0; i < list->count; i++) FW_TRY(draw_lane(map, list->lanes[i], out, error));
    count = extension(map, list->lanes[list->count - 1], false, AHEAD_M, more);
    for (uint32_t i = 0; i < count; i++) FW_TRY(draw_lane(map, more[i], out, error));
    return out->count >= 2 ? FW_OK : fw_fail(error, FW_CORRUPT, "scene: a lanelet without length");
}

static void free_chains(chain *chains, uint32_t count) {
    for (uint32_t i = 0; chains && i < count; i++) free(chains[i].line.points);
    free(chains);
}

static double way_m(const fw_scenario_track *track, uint32_t first, uint32_t end) {
    double way = 0;
    for (uint32_t i = first + 1; i < end; i++)
        way += hypot((double)(track->x_m[i] - track->x_m[i - 1]), (double)(track->y_m[i] - track->y_m[i - 1]));
    return way;
}

/* Gives one short stay between two others to the lane before it; false when there is none. */
static bool forget_short_stay(const fw_map *map, const fw_scenario_track *track, uint32_t *lanes) {
    uint32_t between[HOPS], first = 0;
    for (uint32_t i = 1; i < track->count; i++) {
        if (lanes[i] == lanes[i - 1] || hops(map, lanes[i - 1], lanes[i], between) > 0) continue;
        if (first > 0 && way_m(track, first, i) < SHORT_M) {
            for (uint32_t k = first; k < i; k++) lanes[k] = lanes[first - 1];
            return true;
        }
        first = i;
    }
    return false;
}

static fw_status make_chains(const fw_map *map, const fw_scenario_track *track, const uint32_t *lanes,
                             chain **out, uint32_t *out_count, fw_error *error) {
    chain *chains = calloc(track->count, sizeof *chains);
    uint32_t count = 0;
    fw_status status = chains ? FW_OK : no_memory(error);
    for (uint32_t first = 0; status == FW_OK && first < track->count; count++) {
        lane_list list = {.count = 0};
        chains[count].first_tick = first;
        status = run_of(map, lanes, track->count, first, &list, &chains[count].end_tick, error);
        if (status == FW_OK) status = draw_chain(map, &list, &chains[count].line, error);
        free(list.lanes);
        first = chains[count].end_tick;
    }
    if (status == FW_OK) {
        *out = chains;
        *out_count = count;
    } else {
        free_chains(chains, count);
    }
    return status;
}

/* ---- from chain to chain ---- */

static fw_map_spot project(const line *l, double x_m, double y_m) {
    return fw_map_project(l->points, l->count, x_m, y_m);
}

static fw_map_place at(const line *l, double s_m) { return fw_map_at(l->points, l->count, s_m); }

static fw_status add_place(line *out, fw_map_place p, fw_error *error) {
    return add_point(out, (fw_map_point){.x_m = p.x_m, .y_m = p.y_m, .width_m = p.width_m, .limit_mps = p.limit_mps},
                     error);
}

/* A change between two chains, `half_m` to either side of where the log crossed. */
typedef struct change {
    double from_s_m, to_s_m, half_m;
} change;

static fw_map_place blend(const line *from, const line *to, const change *c, double u_m) {
    double t = fmax(0, fmin(1, (u_m / c->half_m + 1) / 2)), w = t * t * t * (t * (6 * t - 15) + 10);
    fw_map_place a = at(from, c->from_s_m + u_m), b = at(to, c->to_s_m + u_m);
    return (fw_map_place){.x_m = a.x_m + w * (b.x_m - a.x_m), .y_m = a.y_m + w * (b.y_m - a.y_m),
                          .width_m = a.width_m + b.width_m, .limit_mps = t < 0.5 ? a.limit_mps : b.limit_mps};
}

/* Where each change lies; changes[k] leads from chain k to chain k + 1. */
static void place_changes(const fw_scenario_track *track, const chain *chains, uint32_t count, change *changes) {
    for (uint32_t k = 0; k + 1 < count; k++) {
        uint32_t i = chains[k].end_tick;
        double x = (double)(track->x_m[i] + track->x_m[i - 1]) / 2, y = (double)(track->y_m[i] + track->y_m[i - 1]) / 2;
        double whole = fmax(FW_ROUTE_CHANGE_M, FW_ROUTE_CHANGE_S * (double)track->speed_mps[i]);
        changes[k] = (change){project(&chains[k].line, x, y).s_m, project(&chains[k + 1].line, x, y).s_m, whole / 2};
    }
    for (uint32_t k = 1; k + 1 < count; k++) {
        double stay = fmax(SHORT_M / 2, changes[k].from_s_m - changes[k - 1].to_s_m);
        changes[k - 1].half_m = fmin(changes[k - 1].half_m, stay / 2);
        changes[k].half_m = fmin(changes[k].half_m, stay / 2);
    }
}

static double back_m(const fw_scenario_track *track) {
    return (double)(track->kind.length_m / 2 - track->kind.rear_overhang_m);
}

static fw_map_spot project_axle(const line *l, const fw_scenario_track *track, uint32_t i) {
    double yaw = (double)track->yaw_rad[i], back = back_m(track);
    return project(l, (double)track->x_m[i] - back * cos(yaw), (double)track->y_m[i] - back * sin(yaw));
}

static fw_status draw_dense(const fw_scenario_track *track, const chain *chains, uint32_t count,
                            const change *changes, line *out, fw_error *error) {
    double s = project_axle(&chains[0].line, track, 0).s_m - FW_ROUTE_BACK_M;
    for (uint32_t k = 0; k + 1 < count; k++) {
        const change *c = &changes[k];
        for (; s < c->from_s_m - c->half_m; s += STEP_M) FW_TRY(add_place(out, at(&chains[k].line, s), error));
        double u = fmin(c->half_m, s - c->from_s_m);
        for (; u < c->half_m; u += STEP_M)
            FW_TRY(add_place(out, blend(&chains[k].line, &chains[k + 1].line, c, u), error));
        s = c->to_s_m + u;
    }
    const line *last = &chains[count - 1].line;
    double end = project_axle(last, track, track->count - 1).s_m + (double)(FW_SCENARIO_BEYOND_M + 2 * FW_DRIVE_GRID_M);
    for (; s <= end; s += STEP_M) FW_TRY(add_place(out, at(last, s), error));
    return out->count >= 2 ? FW_OK : fw_fail(error, FW_CORRUPT, "scene: a route without length");
}

/* ---- the grid ---- */

static uint32_t grid_count(const line *l) {
    return (uint32_t)floor(l->points[l->count - 1].s_m / (double)FW_DRIVE_GRID_M) + 1;
}

/* The line again, a point every two metres. */
static fw_status to_grid(const line *l, line *out, fw_error *error) {
    for (uint32_t i = 0, count = grid_count(l); i < count; i++)
        FW_TRY(add_place(out, at(l, (double)i * (double)FW_DRIVE_GRID_M), error));
    return FW_OK;
}

static fw_status smooth_kinks(line *l, fw_error *error) {
    uint32_t n = l->count;
    double *room = calloc((size_t)n * 8, sizeof *room);
    if (!room) return no_memory(error);
    double *given = room, *weight = given + n, *smooth = weight + n, *first = smooth + n, *work = first + n;
    double lambda = fw_smooth_lambda((double)FW_DRIVE_GRID_M, FW_ROUTE_KINK_M);
    for (uint32_t i = 0; i < n; i++) given[i] = l->points[i].x_m, weight[i] = 1;
    fw_smooth_line(given, weight, n, lambda, first, work);
    for (uint32_t i = 0; i < n; i++) given[i] = l->points[i].y_m;
    fw_smooth_line(given, weight, n, lambda, smooth, work);
    for (uint32_t i = 0; i < n; i++) {
        l->points[i].x_m = first[i], l->points[i].y_m = smooth[i];
        if (i == 0) continue;
        const fw_map_point *p = &l->points[i - 1];
        l->points[i].s_m = p->s_m + hypot(first[i] - p->x_m, smooth[i] - p->y_m);
    }
    free(room);
    return FW_OK;
}

static fw_status take(const line *grid, const fw_scenario_track *track, fw_scenario_route *out, fw_error *error) {
    fw_scenario_route route = {.first = 0};
    uint32_t last = track->count - 1;
    if (grid->count < 3) return fw_fail(error, FW_CORRUPT, "scene: a route without length");
    FW_TRY(fw_scenario_make_route(&route, grid->count, error));
    for (uint32_t i = 0; i < grid->count; i++) {
        const fw_map_point *p = &grid->points[i];
        route.points[i] = (fw_drive_point){(float)p->x_m, (float)p->y_m, (float)fmax(2, fmin(12, p->width_m)),
                                           (float)p->limit_mps};
    }
    route.end_s_m = (float)(grid->count - 1) * FW_DRIVE_GRID_M;
    route.goal_s_m = (float)project_axle(grid, track, last).s_m;
    route.goal_x_m = track->x_m[last];
    route.goal_y_m = track->y_m[last];
    *out = route;
    return FW_OK;
}

static fw_status to_route(const line *dense, const fw_scenario_track *track, fw_scenario_route *out,
                          fw_error *error) {
    line rough = {.count = 0}, grid = {.count = 0};
    fw_status status = to_grid(dense, &rough, error);
    if (status == FW_OK) status = smooth_kinks(&rough, error);
    if (status == FW_OK) status = to_grid(&rough, &grid, error);
    if (status == FW_OK) status = take(&grid, track, out, error);
    free(rough.points);
    free(grid.points);
    return status;
}

/* ---- all of it ---- */

static fw_status make(const fw_map *map, const fw_scenario_track *track, uint32_t *lanes, fw_scenario_route *out,
                      fw_error *error) {
    chain *chains = NULL;
    uint32_t count = 0;
    line dense = {.count = 0};
    while (forget_short_stay(map, track, lanes)) continue;
    FW_TRY(make_chains(map, track, lanes, &chains, &count, error));
    change *changes = calloc(count, sizeof *changes);
    fw_status status = changes ? FW_OK : no_memory(error);
    if (status == FW_OK) place_changes(track, chains, count, changes);
    if (status == FW_OK) status = draw_dense(track, chains, count, changes, &dense, error);
    if (status == FW_OK) status = to_route(&dense, track, out, error);
    free(changes);
    free(dense.points);
    free_chains(chains, count);
    return status;
}

fw_status fw_route_make(const fw_map *map, const fw_scenario_track *track, const uint32_t *lanes,
                        fw_scenario_route *out, fw_error *error) {
    uint32_t *own = malloc(track->count * sizeof *own);
    if (!own) return no_memory(error);
    memcpy(own, lanes, track->count * sizeof *own);
    fw_status status = make(map, track, own, out, error);
    free(own);
    return status;
}

double fw_route_side_m(const fw_scenario_route *route, double x_m, double y_m) {
    double nearest = INFINITY;
    for (uint32_t i = 0; i + 1 < route->count; i++) {
        const fw_drive_point *a = &route->points[i];
        fw_map_point ends[2] = {{.x_m = (double)a->x_m, .y_m = (double)a->y_m},
                                {.x_m = (double)a[1].x_m, .y_m = (double)a[1].y_m}};
        nearest = fmin(nearest, fw_map_project(ends, 2, x_m, y_m).distance_m);
    }
    return nearest;
}
