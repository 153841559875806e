#include "lines/driving/learn/scenario/area.h"

#include <math.h>
#include <stdlib.h>

typedef struct place {
    double x_m, y_m;
} place;

/* A lanelet, or what was added where the map ends, as a polygon counter-clockwise or not. */
typedef struct polygon {
    uint32_t first, count; /* places */
    fw_area_box box;
} polygon;

typedef struct edge {
    place a, b;
} edge;

typedef struct drawing {
    polygon *polygons;
    place *places;
    edge *edges; /* the outer ones */
    uint32_t polygon_count, place_count;
    size_t edge_count, edge_room;
    fw_error *error;
} drawing;

/* ---- polygons ---- */

static void add_place(drawing *d, polygon *p, place at) {
    d->places[d->place_count++] = at;
    p->count++;
    p->box.low_x_m = fmin(p->box.low_x_m, at.x_m), p->box.low_y_m = fmin(p->box.low_y_m, at.y_m);
    p->box.high_x_m = fmax(p->box.high_x_m, at.x_m), p->box.high_y_m = fmax(p->box.high_y_m, at.y_m);
}

static polygon *begin_polygon(drawing *d) {
    polygon *p = &d->polygons[d->polygon_count++];
    *p = (polygon){.first = d->place_count, .box = {INFINITY, INFINITY, -INFINITY, -INFINITY}};
    return p;
}

static place left_of(fw_scenario_lane_point p) { return (place){(double)p.left_x_m, (double)p.left_y_m}; }
static place right_of(fw_scenario_lane_point p) { return (place){(double)p.right_x_m, (double)p.right_y_m}; }

/* Right bound forwards, left bound backwards. */
static void draw_lane(drawing *d, const fw_map *map, const fw_map_lane *lane) {
    polygon *p = begin_polygon(d);
    const fw_scenario_lane_point *bounds = map->bounds + lane->first;
    for (uint32_t i = 0; i < lane->count; i++) add_place(d, p, right_of(bounds[i]));
    for (uint32_t i = lane->count; i-- > 0;) add_place(d, p, left_of(bounds[i]));
}

/* Does a lane other than `self` of about this heading pass within a lane's width of the place? */
static bool passes(const fw_map *map, const fw_map_lane *self, fw_map_place at) {
    const double near_m = 5;
    for (uint32_t i = 0; i < map->lane_count; i++) {
        const fw_map_lane *lane = &map->lanes[i];
        if (lane == self || at.x_m < lane->low_x_m - near_m || at.x_m > lane->high_x_m + near_m ||
            at.y_m < lane->low_y_m - near_m || at.y_m > lane->high_y_m + near_m)
            continue;
        fw_map_spot spot = fw_map_project(map->points + lane->first, lane->count, at.x_m, at.y_m);
        if (spot.distance_m < near_m && fabs(remainder(spot.heading_rad - at.heading_rad, 2 * M_PI)) < 0.6) return true;
    }
    return false;
}

/* The road goes on where the map ends: from the lane's end (or start) on straight. */
static void draw_beyond(drawing *d, const fw_map *map, const fw_map_lane *lane, bool at_start) {
    const double look_m = 15;
    if ((at_start ? lane->before_count : lane->next_count) > 0 || lane->length_m <= 0) return;
    double sign = at_start ? -1 : 1, s = at_start ? 0 : lane->length_m;
    const fw_map_point *points = map->points + lane->first;
    if (passes(map, lane, fw_map_at(points, lane->count, s + sign * look_m))) return;
    double heading = fw_map_at(points, lane->count, s).heading_rad;
    double dx = sign * FW_AREA_BEYOND_M * cos(heading), dy = sign * FW_AREA_BEYOND_M * sin(heading);
    fw_scenario_lane_point end = map->bounds[lane->first + (at_start ? 0 : lane->count - 1)];
    place l = left_of(end), r = right_of(end);
    polygon *p = begin_polygon(d);
    add_place(d, p, r);
    add_place(d, p, (place){r.x_m + dx, r.y_m + dy});
    add_place(d, p, (place){l.x_m + dx, l.y_m + dy});
    add_place(d, p, l);
}

static fw_status draw_polygons(drawing *d, const fw_map *map) {
    d->polygons = calloc((size_t)map->lane_count * 3 + 1, sizeof *d->polygons);
    d->places = calloc((size_t)map->point_count * 2 + (size_t)map->lane_count * 8 + 1, sizeof *d->places);
    if (!d->polygons || !d->places) return fw_fail(d->error, FW_NO_MEMORY, "scene: no memory for its area");
    for (uint32_t i = 0; i < map->lane_count; i++) {
        draw_lane(d, map, &map->lanes[i]);
        draw_beyond(d, map, &map->lanes[i], true);
        draw_beyond(d, map, &map->lanes[i], false);
    }
    return FW_OK;
}

/* ---- outer edges ---- */

static bool contains(const drawing *d, const polygon *p, place at) {
    if (at.x_m < p->box.low_x_m || at.x_m > p->box.high_x_m || at.y_m < p->box.low_y_m || at.y_m > p->box.high_y_m)
        return false;
    const place *places = d->places + p->first;
    bool inside = false;
    for (uint32_t i = 0, j = p->count - 1; i < p->count; j = i++) {
        place a = places[i], b = places[j];
        if ((a.y_m > at.y_m) != (b.y_m > at.y_m) &&
            at.x_m < (b.x_m - a.x_m) * (at.y_m - a.y_m) / (b.y_m - a.y_m) + a.x_m)
            inside = !inside;
    }
    return inside;
}

/* Is the place, or one up to FW_AREA_GAP_M from it outwards, on another lanelet? */
static bool goes_on(const drawing *d, uint32_t self, place at, place out) {
    static const double probes[] = {0.01, FW_AREA_GAP_M / 2, FW_AREA_GAP_M};
    for (uint32_t i = 0; i < d->polygon_count; i++) {
        const fw_area_box *box = &d->polygons[i].box;
        if (i == self || at.x_m < box->low_x_m - FW_AREA_GAP_M || at.x_m > box->high_x_m + FW_AREA_GAP_M ||
            at.y_m < box->low_y_m - FW_AREA_GAP_M || at.y_m > box->high_y_m + FW_AREA_GAP_M)
            continue;
        for (size_t k = 0; k < sizeof probes / sizeof *probes; k++)
            if (contains(d, &d->polygons[i], (place){at.x_m + probes[k] * out.x_m, at.y_m + probes[k] * out.y_m}))
                return true;
    }
    return false;
}

static fw_status keep_edge(drawing *d, place a, place b) {
    if (d->edge_count == d->edge_room) {
        size_t wanted = d->edge_room ? 2 * d->edge_room : 256;
        edge *grown = realloc(d->edges, wanted * sizeof *grown);
        if (!grown) return fw_fail(d->error, FW_NO_MEMORY, "scene: no memory for its area");
        d->edges = grown;
        d->edge_room = wanted;
    }
    d->edges[d->edge_count++] = (edge){a, b};
    return FW_OK;
}

static place between(place a, place b, double f) {
    return (place){a.x_m + f * (b.x_m - a.x_m), a.y_m + f * (b.y_m - a.y_m)};
}

/* Keeps the parts of one edge where nothing drivable goes on. Their ends are found by halves. */
static fw_status cut_edge(drawing *d, uint32_t self, place a, place b, place out) {
    double length = hypot(b.x_m - a.x_m, b.y_m - a.y_m), from = 0;
    uint32_t steps = (uint32_t)fmin(1e6, ceil(length / FW_AREA_CELL_M));
    bool was = goes_on(d, self, between(a, b, 1e-6), out);
    for (uint32_t i = 1; i <= steps; i++) {
        double low = (double)(i - 1) / steps, high = (double)i / steps;
        bool is = goes_on(d, self, between(a, b, fmin(high, 1 - 1e-6)), out);
        if (is == was) continue;
        while ((high - low) * length > FW_AREA_CUT_M) {
            double middle = (low + high) / 2;
            if (goes_on(d, self, between(a, b, middle), out) == was)
                low = middle;
            else
                high = middle;
        }
        if (is) FW_TRY(keep_edge(d, between(a, b, from), between(a, b, low)));
        from = high;
        was = is;
    }
    return was || length <= 0 ? FW_OK : keep_edge(d, between(a, b, from), b);
}

static double twice_area(const drawing *d, const polygon *p) {
    const place *q = d->places + p->first;
    double sum = 0;
    for (uint32_t i = 0, j = p->count - 1; i < p->count; j = i++)
        sum += (q[j].x_m - q[0].x_m) * (q[i].y_m - q[0].y_m) - (q[i].x_m - q[0].x_m) * (q[j].y_m - q[0].y_m);
    return sum;
}

static fw_status find_outer_edges(drawing *d) {
    double total_m = 0;
    for (uint32_t i = 0; i < d->polygon_count; i++) {
        const polygon *p = &d->polygons[i];
        double out = twice_area(d, p) >= 0 ? 1 : -1;
        for (uint32_t k = 0; k < p->count; k++) {
            place a = d->places[p->first + k], b = d->places[p->first + (k + 1) % p->count];
            double length = hypot(b.x_m - a.x_m, b.y_m - a.y_m);
            if (length <= 0) continue;
            total_m += length;
            if (total_m > FW_AREA_EDGES_MAX_M)
                return fw_fail(d->error, FW_TOO_BIG, "scene: over %.0f km of lanelets' edges", FW_AREA_EDGES_MAX_M / 1000);
            place outwards = {out * (b.y_m - a.y_m) / length, -out * (b.x_m - a.x_m) / length};
            FW_TRY(cut_edge(d, i, a, b, outwards));
        }
    }
    return FW_OK;
}

/* ---- the field ---- */

static double to_edge(place a, place b, double x_m, double y_m) {
    double dx = b.x_m - a.x_m, dy = b.y_m - a.y_m, length2 = dx * dx + dy * dy;
    double f = length2 > 0 ? fmax(0, fmin(1, ((x_m - a.x_m) * dx + (y_m - a.y_m) * dy) / length2)) : 0;
    return hypot(a.x_m + f * dx - x_m, a.y_m + f * dy - y_m);
}

/* The first grid line at or beyond a coordinate, and the last at or before one; within [0, count). */
static uint32_t line_from(double at_m, double origin_m, double cell_m, uint32_t count) {
    return (uint32_t)fmax(0, fmin((double)count, ceil((at_m - origin_m) / cell_m)));
}

static uint32_t line_end(double at_m, double origin_m, double cell_m, uint32_t count) {
    return (uint32_t)fmax(0, fmin((double)count, floor((at_m - origin_m) / cell_m) + 1));
}

/* Lowers the distance of all corners within far_m of the edge. */
static void splat(fw_scenario_area *area, float *distance_m, edge e, double far_m) {
    double x0 = (double)area->x_m, y0 = (double)area->y_m, cell = (double)area->cell_m;
    uint32_t left = line_from(fmin(e.a.x_m, e.b.x_m) - far_m, x0, cell, area->columns);
    uint32_t right = line_end(fmax(e.a.x_m, e.b.x_m) + far_m, x0, cell, area->columns);
    uint32_t low = line_from(fmin(e.a.y_m, e.b.y_m) - far_m, y0, cell, area->rows);
    uint32_t high = line_end(fmax(e.a.y_m, e.b.y_m) + far_m, y0, cell, area->rows);
    for (uint32_t r = low; r < high; r++)
        for (uint32_t c = left; c < right; c++) {
            float *at = &distance_m[(size_t)r * area->columns + c];
            *at = fminf(*at, (float)to_edge(e.a, e.b, x0 + cell * c, y0 + cell * r));
        }
}

static int compare_numbers(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Marks the corners inside one polygon, row by row. crossings: room for its places. */
static void fill(const drawing *d, const polygon *p, const fw_scenario_area *area, uint8_t *inside,
                 double *crossings) {
    double x0 = (double)area->x_m, y0 = (double)area->y_m, cell = (double)area->cell_m;
    const place *places = d->places + p->first;
    uint32_t low = line_from(p->box.low_y_m, y0, cell, area->rows), high = line_end(p->box.high_y_m, y0, cell, area->rows);
    for (uint32_t r = low; r < high; r++) {
        double y = y0 + cell * r;
        uint32_t count = 0;
        for (uint32_t i = 0, j = p->count - 1; i < p->count; j = i++) {
            place a = places[i], b = places[j];
            if ((a.y_m > y) != (b.y_m > y)) crossings[count++] = a.x_m + (b.x_m - a.x_m) * (y - a.y_m) / (b.y_m - a.y_m);
        }
        if (count > 0) qsort(crossings, count, sizeof *crossings, compare_numbers);
        for (uint32_t k = 0; k + 1 < count; k += 2)
            for (uint32_t c = line_from(crossings[k], x0, cell, area->columns),
                          end = line_end(crossings[k + 1], x0, cell, area->columns); c < end; c++)
                inside[(size_t)r * area->columns + c] = 1;
    }
}

/* A corner outside all polygons but nearer to an edge that does not count than to one that does lies in a gap. */
static void sign(const fw_scenario_area *area, const uint8_t *inside, const float *any_m) {
    size_t cells = (size_t)area->rows * area->columns;
    for (size_t i = 0; i < cells; i++) {
        bool in_gap = any_m[i] <= (float)FW_AREA_GAP_M && any_m[i] + (float)FW_AREA_CUT_M < area->distance_m[i];
        if (!inside[i] && !in_gap) area->distance_m[i] = -area->distance_m[i];
    }
}

static void place_grid(const fw_map *map, fw_area_box box, fw_scenario_area *area) {
    fw_area_box all = {INFINITY, INFINITY, -INFINITY, -INFINITY};
    for (uint32_t i = 0; i < map->lane_count; i++) {
        const fw_map_lane *lane = &map->lanes[i];
        all.low_x_m = fmin(all.low_x_m, lane->low_x_m), all.low_y_m = fmin(all.low_y_m, lane->low_y_m);
        all.high_x_m = fmax(all.high_x_m, lane->high_x_m), all.high_y_m = fmax(all.high_y_m, lane->high_y_m);
    }
    const double margin = FW_AREA_BEYOND_M + (double)FW_SCENARIO_AREA_FAR_M, around = FW_AREA_AROUND_M;
    double x0 = fmax(all.low_x_m - margin, box.low_x_m - around), y0 = fmax(all.low_y_m - margin, box.low_y_m - around);
    double x1 = fmin(all.high_x_m + margin, box.high_x_m + around);
    double y1 = fmin(all.high_y_m + margin, box.high_y_m + around);
    double width = fmax(1, x1 - x0), height = fmax(1, y1 - y0), cell = FW_AREA_CELL_M;
    while ((floor(width / cell) + 2) * (floor(height / cell) + 2) > FW_AREA_CELLS_MAX) cell *= 1.25;
    *area = (fw_scenario_area){.x_m = (float)x0, .y_m = (float)y0, .cell_m = (float)cell,
                               .columns = (uint32_t)floor(width / cell) + 2, .rows = (uint32_t)floor(height / cell) + 2};
}

static fw_status draw_field(const drawing *d, fw_scenario_area *area) {
    size_t cells = (size_t)area->rows * area->columns;
    float *any_m = malloc(cells * sizeof *any_m);
    uint8_t *inside = calloc(cells, 1);
    double *crossings = malloc(((size_t)d->place_count + 1) * sizeof *crossings);
    area->distance_m = malloc(cells * sizeof *area->distance_m);
    bool fine = any_m && inside && crossings && area->distance_m;
    for (size_t i = 0; fine && i < cells; i++) any_m[i] = area->distance_m[i] = FW_SCENARIO_AREA_FAR_M;
    for (size_t i = 0; fine && i < d->edge_count; i++)
        splat(area, area->distance_m, d->edges[i], (double)FW_SCENARIO_AREA_FAR_M);
    for (uint32_t i = 0; fine && i < d->polygon_count; i++) {
        const polygon *p = &d->polygons[i];
        fill(d, p, area, inside, crossings);
        for (uint32_t k = 0; k < p->count; k++)
            splat(area, any_m, (edge){d->places[p->first + k], d->places[p->first + (k + 1) % p->count]}, FW_AREA_GAP_M);
    }
    if (fine) sign(area, inside, any_m);
    free(any_m);
    free(inside);
    free(crossings);
    if (fine) return FW_OK;
    free(area->distance_m);
    return fw_fail(d->error, FW_NO_MEMORY, "scene: no memory for its area");
}

fw_status fw_area_make(const fw_map *map, fw_area_box box, fw_scenario_area *out, fw_error *error) {
    drawing d = {.error = error};
    fw_scenario_area area = {.rows = 0};
    fw_status status = FW_OK;
    if (map->lane_count > 0) {
        place_grid(map, box, &area);
        status = draw_polygons(&d, map);
        if (status == FW_OK) status = find_outer_edges(&d);
        if (status == FW_OK) status = draw_field(&d, &area);
    }
    free(d.polygons);
    free(d.places);
    free(d.edges);
    if (status == FW_OK) *out = area;
    return status;
}

float fw_scenario_area_at(const fw_scenario_area *area, float x_m, float y_m) {
    float c = (x_m - area->x_m) / area->cell_m, r = (y_m - area->y_m) / area->cell_m;
    if (!(c >= 0 && r >= 0 && c < (float)(area->columns - 1) && r < (float)(area->rows - 1)) || area->rows == 0)
        return -FW_SCENARIO_AREA_FAR_M;
    uint32_t column = (uint32_t)c, row = (uint32_t)r;
    float fc = c - (float)column, fr = r - (float)row;
    const float *low = area->distance_m + (size_t)row * area->columns + column, *high = low + area->columns;
    float below = low[0] + fc * (low[1] - low[0]), above = high[0] + fc * (high[1] - high[0]);
    return below + fr * (above - below);
}

bool fw_scenario_off_area(const fw_scenario *scenario, const fw_scenario_track *track, uint32_t i) {
    float ahead = track->kind.length_m / 2, side = track->kind.width_m / 2, c = track->cos_yaw[i], s = track->sin_yaw[i];
    if (scenario->area.rows == 0) return false;
    for (int k = 0; k < 4; k++) {
        float a = k & 1 ? ahead : -ahead, b = k & 2 ? side : -side;
        float x = track->x_m[i] + a * c - b * s, y = track->y_m[i] + a * s + b * c;
        if (fw_scenario_area_at(&scenario->area, x, y) < 0) return true;
    }
    return false;
}
