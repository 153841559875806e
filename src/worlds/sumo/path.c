/* path.c - lanes along a route, and the smooth line over them (path.h). */
#include "worlds/sumo/path.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LANES_MAX = 12, EDGES_MAX = 96, FINE_MAX = 4096, SMOOTH_PASSES = 5 };
enum { TIGHT_ROUNDS = 40, TIGHT_PASSES = 6, FOLD_BEFORE = 6 };
#define CURVATURE_WANTED_PM 0.20   /* radius 5 m */
#define CURVATURE_DRIVABLE_PM 0.24 /* a little below what a car can */
#define FINE_M 0.5                 /* sampling of the raw line */
#define BLEND_M 30.0               /* a lane change's length where the edge has it */
#define BLEND_MIN_M 12.0
#define CHANGE_AFTER_M 10.0 /* a change begins this far into its edge */
#define CHANGE_BEFORE_M 3.0 /* and ends this far before its end */
#define ENTER_SHARE 0.25    /* of the blend's offset where our box reaches over the line */

/* ---- choosing lanes: the fewest changes, by dynamic programming over the edges ---- */

typedef struct choice {
    double cost;
    uint8_t lane_before, out_before; /* lane entered and left on the edge before */
    uint32_t link;                   /* from there to here */
} choice;

typedef struct plan {
    uint32_t edge_count;
    uint8_t lane_in[EDGES_MAX], lane_out[EDGES_MAX];
    uint32_t link[EDGES_MAX]; /* from edge k to k + 1 */
} plan;

static bool all_open(const fw_net *net, const fw_net_edge *edge, uint32_t a, uint32_t b) {
    for (uint32_t i = a < b ? a : b; i <= (a < b ? b : a); i++)
        if (!net->lanes[edge->lane_first + i].passenger) return false;
    return true;
}

/* Cost of changing from lane a to lane b within `room_m`; infinite where it does not fit. */
static double change_cost(double room_m, uint32_t a, uint32_t b) {
    const double changes = a < b ? b - a : a - b;
    if (changes == 0) return 0;
    if (room_m < changes * BLEND_MIN_M) return INFINITY;
    return changes + (room_m < changes * BLEND_M ? 2 : 0) + 5.0 / room_m;
}

static double room_on(const fw_net *net, const fw_path_start *start, uint32_t k, uint32_t edge) {
    const double length = net->lanes[net->edges[edge].lane_first].length_m;
    const double after = k == 0 ? start->position_m + 2 : fmin(CHANGE_AFTER_M, 0.25 * length);
    return length - after - CHANGE_BEFORE_M;
}

static void relax(const fw_net *net, const fw_path_start *start, uint32_t k,
                  choice table[][LANES_MAX]) {
    const uint32_t here = start->edges[k];
    const fw_net_edge *edge = &net->edges[here];
    const double room = room_on(net, start, k, here);
    for (uint32_t in = 0; in < edge->lane_count; in++) {
        if (!isfinite(table[k][in].cost)) continue;
        for (uint32_t out = 0; out < edge->lane_count; out++) {
            const double cost = table[k][in].cost + change_cost(room, in, out);
            if (!isfinite(cost) || !all_open(net, edge, in, out)) continue;
            const fw_net_lane *lane = &net->lanes[edge->lane_first + out];
            for (uint32_t i = 0; i < lane->link_count; i++) {
                const uint32_t link = net->lane_links[lane->link_first + i];
                const fw_net_lane *to = &net->lanes[net->links[link].to_lane];
                if (to->edge != start->edges[k + 1] || !to->passenger) continue;
                choice *next = &table[k + 1][to->index];
                if (cost < next->cost) *next = (choice){cost, (uint8_t)in, (uint8_t)out, link};
            }
        }
    }
}

static uint32_t edges_in_horizon(const fw_net *net, const fw_path_start *start) {
    double way = -start->position_m;
    uint32_t k = 0;
    while (k < start->edge_count && k < EDGES_MAX && way < FW_PATH_HORIZON_M)
        way += net->lanes[net->edges[start->edges[k++]].lane_first].length_m;
    return k;
}

static fw_status choose_lanes(const fw_net *net, const fw_path_start *start, plan *out,
                              fw_error *error) {
    choice(*table)[LANES_MAX] = malloc(EDGES_MAX * sizeof *table);
    FW_ASSERT(table);
    const uint32_t count = edges_in_horizon(net, start);
    fw_status status = FW_OK;
    for (uint32_t k = 0; k < count; k++) {
        if (net->edges[start->edges[k]].lane_count > LANES_MAX)
            status = fw_fail(error, FW_NOT_FOUND, "an edge of more than %d lanes", LANES_MAX);
        for (uint32_t i = 0; i < LANES_MAX; i++) table[k][i].cost = INFINITY;
    }
    uint32_t best = 0;
    if (status == FW_OK) {
        table[0][net->lanes[start->lane].index].cost = 0;
        for (uint32_t k = 0; k + 1 < count; k++) relax(net, start, k, table);
        for (uint32_t i = 1; i < LANES_MAX; i++)
            if (table[count - 1][i].cost < table[count - 1][best].cost) best = i;
        if (!isfinite(table[count - 1][best].cost))
            status = fw_fail(error, FW_NOT_FOUND, "no lanes lead along the route");
    }
    if (status == FW_OK) {
        out->edge_count = count;
        out->lane_in[count - 1] = out->lane_out[count - 1] = (uint8_t)best;
        for (uint32_t k = count - 1; k > 0; k--) {
            const choice *c = &table[k][out->lane_in[k]];
            out->link[k - 1] = c->link;
            out->lane_in[k - 1] = c->lane_before;
            out->lane_out[k - 1] = c->out_before;
        }
    }
    free(table);
    return status;
}

/* ---- stretches, links and changes in u ---- */

static void add_stretch(fw_path *p, const fw_net *net, uint32_t in, uint32_t out, double *u) {
    FW_ASSERT(p->stretch_count < FW_PATH_STRETCHES_MAX);
    const fw_net_lane *lane = &net->lanes[in];
    p->stretches[p->stretch_count++] = (fw_path_stretch){
        .edge = lane->edge,
        .lane_in = in,
        .lane_out = out,
        .u0_m = *u,
        .length_m = lane->length_m,
        .internal = net->edges[lane->edge].internal,
    };
    *u += lane->length_m;
}

static void add_changes(fw_path *p, const fw_path_start *start, const fw_net *net, uint32_t k) {
    const uint32_t stretch = p->stretch_count - 1;
    const fw_path_stretch *s = &p->stretches[stretch];
    const uint32_t edge = s->edge;
    const double room = room_on(net, start, k, edge);
    const uint32_t in = net->lanes[s->lane_in].index, out = net->lanes[s->lane_out].index;
    const uint32_t changes = in < out ? out - in : in - out;
    const double blend = changes ? fmin(BLEND_M, room / changes) : 0;
    double u = s->u0_m + s->length_m - CHANGE_BEFORE_M - room;
    for (uint32_t i = 0; i < changes && p->change_count < FW_PATH_CHANGES_MAX; i++) {
        const uint32_t from = in < out ? s->lane_in + i : s->lane_in - i;
        fw_path_change change = {.stretch = stretch,
                                 .from_lane = from,
                                 .to_lane = in < out ? from + 1 : from - 1,
                                 .u0_m = u,
                                 .u1_m = u + blend};
        /* share(t) = (1 - cos(pi t)) / 2 */
        change.u_enter_m = u + blend * acos(1 - 2 * ENTER_SHARE) / M_PI;
        p->changes[p->change_count++] = change;
        u += blend;
    }
}

static fw_status lay_stretches(const fw_net *net, const fw_path_start *start, const plan *way,
                               fw_path *p, fw_error *error) {
    double u = 0;
    for (uint32_t k = 0; k < way->edge_count; k++) {
        if (p->stretch_count + 3 > FW_PATH_STRETCHES_MAX || p->link_count == FW_PATH_LINKS_MAX)
            break; /* a route of very many short edges: the path ends here */
        const uint32_t first = net->edges[start->edges[k]].lane_first;
        add_stretch(p, net, first + way->lane_in[k], first + way->lane_out[k], &u);
        add_changes(p, start, net, k);
        if (k + 1 == way->edge_count) break;
        const fw_net_link *link = &net->links[way->link[k]];
        fw_path_link own = {.link = way->link[k], .u0_m = u};
        if (link->via != FW_NET_NONE) add_stretch(p, net, link->via, link->via, &u);
        if (link->via2 != FW_NET_NONE) add_stretch(p, net, link->via2, link->via2, &u);
        own.u1_m = u;
        p->links[p->link_count++] = own;
    }
    if (u - start->position_m < 30)
        return fw_fail(error, FW_NOT_FOUND, "less than 30 m of route are left");
    return FW_OK;
}

/* ---- the line ---- */

typedef struct fine {
    double x_m, y_m, u_m;
} fine;

static double blend_share(const fw_path_change *c, double u) {
    const double t = fmin(fmax((u - c->u0_m) / (c->u1_m - c->u0_m), 0), 1);
    return 0.5 * (1 - cos(M_PI * t));
}

/* Lane width and place at u on a stretch. */
static fine raw_at(const fw_net *net, const fw_path *p, uint32_t stretch, double u) {
    const fw_path_stretch *s = &p->stretches[stretch];
    const double share = (u - s->u0_m) / s->length_m;
    fine at = {.u_m = u};
    fw_net_lane_at(net, s->lane_in, share, &at.x_m, &at.y_m);
    for (uint32_t i = 0; i < p->change_count; i++) {
        const fw_path_change *c = &p->changes[i];
        if (c->stretch != stretch || u <= c->u0_m) continue;
        const double w = blend_share(c, u);
        double ax, ay, bx, by;
        fw_net_lane_at(net, c->from_lane, share, &ax, &ay);
        fw_net_lane_at(net, c->to_lane, share, &bx, &by);
        at.x_m = ax + w * (bx - ax);
        at.y_m = ay + w * (by - ay);
    }
    return at;
}

/* A straight line back from the first lane's start, so that the path has points behind the car. */
static uint32_t lay_prefix(const fw_net *net, const fw_path *p, double u_start, fine *line) {
    uint32_t count = 0;
    const fine a = raw_at(net, p, 0, 0), b = raw_at(net, p, 0, 1);
    const double gap = fmax(hypot(b.x_m - a.x_m, b.y_m - a.y_m), 1e-6);
    for (double u = u_start; u < -FINE_M / 2; u += FINE_M)
        line[count++] =
            (fine){a.x_m + u * (b.x_m - a.x_m) / gap, a.y_m + u * (b.y_m - a.y_m) / gap, u};
    return count;
}

static uint32_t lay_raw(const fw_net *net, const fw_path *p, double u_start, double u_end,
                        fine *line) {
    uint32_t count = lay_prefix(net, p, u_start, line);
    for (uint32_t k = 0; k < p->stretch_count; k++) {
        const fw_path_stretch *s = &p->stretches[k];
        const double from = fmax(s->u0_m, u_start), to = fmin(s->u0_m + s->length_m, u_end);
        const uint32_t steps = to > from ? (uint32_t)ceil((to - from) / FINE_M) : 0;
        for (uint32_t i = 0; i <= steps && steps && count < FINE_MAX; i++) {
            const fine at = raw_at(net, p, k, from + (to - from) * i / steps);
            const fine *last = count ? &line[count - 1] : NULL;
            if (last && hypot(at.x_m - last->x_m, at.y_m - last->y_m) < 0.05) continue;
            if (last && at.u_m <= last->u_m) continue;
            line[count++] = at;
        }
    }
    return count;
}

/* Even points `step` apart along the line. */
static uint32_t resample(const fine *line, uint32_t count, double step, fine *out) {
    uint32_t made = 0;
    double left = 0;
    for (uint32_t i = 0; i + 1 < count; i++) {
        const double dx = line[i + 1].x_m - line[i].x_m, dy = line[i + 1].y_m - line[i].y_m;
        const double du = line[i + 1].u_m - line[i].u_m, gap = hypot(dx, dy);
        double at = left;
        for (; at < gap && made < FINE_MAX; at += step) {
            const double t = at / gap;
            out[made++] = (fine){line[i].x_m + t * dx, line[i].y_m + t * dy, line[i].u_m + t * du};
        }
        left = at - gap;
    }
    return made;
}

/* Passes of [1 2 1] / 4; weight (NULL: all 1) says how much each point may move. */
static void smooth(fine *line, uint32_t count, fine *scratch, const double *weight, int passes) {
    for (int pass = 0; pass < passes; pass++) {
        memcpy(scratch, line, count * sizeof *line);
        for (uint32_t i = 1; i + 1 < count; i++) {
            const fine *a = &scratch[i - 1], *b = &scratch[i], *c = &scratch[i + 1];
            const double w = 0.25 * (weight ? weight[i] : 1);
            line[i].x_m += w * (a->x_m + c->x_m - 2 * b->x_m);
            line[i].y_m += w * (a->y_m + c->y_m - 2 * b->y_m);
            line[i].u_m += w * (a->u_m + c->u_m - 2 * b->u_m);
        }
    }
}

/* Curvature of the circle through the points i - 2, i, i + 2 (Menger). */
static double curvature_at(const fine *line, uint32_t count, uint32_t i) {
    if (i < 2 || i + 2 >= count) return 0;
    const fine *a = &line[i - 2], *b = &line[i], *c = &line[i + 2];
    const double ab = hypot(b->x_m - a->x_m, b->y_m - a->y_m);
    const double bc = hypot(c->x_m - b->x_m, c->y_m - b->y_m);
    const double ac = hypot(c->x_m - a->x_m, c->y_m - a->y_m);
    const double area =
        fabs((b->x_m - a->x_m) * (c->y_m - a->y_m) - (b->y_m - a->y_m) * (c->x_m - a->x_m));
    return 2 * area / fmax(ab * bc * ac, 1e-9);
}

/* Weighs the surroundings of every place that is too tight to be driven; false when none is. */
static bool find_tight(const fine *line, uint32_t count, double *weight) {
    enum { AROUND = 7 };
    bool any = false;
    memset(weight, 0, count * sizeof *weight);
    for (uint32_t i = 0; i < count; i++) {
        if (curvature_at(line, count, i) < CURVATURE_WANTED_PM) continue;
        for (uint32_t j = i < AROUND ? 0 : i - AROUND; j < count && j <= i + AROUND; j++)
            weight[j] = fmax(weight[j], 1 - fabs((double)j - (double)i) / (AROUND + 1.0));
        any = true;
    }
    return any;
}

/* Even points 1 m apart, without corners that no car can drive: lightly smoothed everywhere, and
 * more only around tight corners. `raw` is used up; returns the count in `line`. */
static uint32_t smooth_drivable(fine *raw, uint32_t count, fine *line, fine *scratch) {
    double *weight = malloc(FINE_MAX * sizeof *weight);
    FW_ASSERT(weight);
    count = resample(raw, count, 1.0, line);
    smooth(line, count, scratch, NULL, SMOOTH_PASSES);
    for (int round = 0; round < TIGHT_ROUNDS && find_tight(line, count, weight); round++) {
        smooth(line, count, scratch, weight, TIGHT_PASSES);
        memcpy(raw, line, count * sizeof *line);
        count = resample(raw, count, 1.0, line);
    }
    free(weight);
    return count;
}

/* Walks the line in chords of the grid's length. */
static void lay_grid(const fine *line, uint32_t count, fw_path *p) {
    const double grid = (double)FW_DRIVE_GRID_M;
    fine at = line[0];
    uint32_t i = 1;
    p->point_count = 0;
    for (;;) {
        p->points[p->point_count].x_m = (float)at.x_m;
        p->points[p->point_count].y_m = (float)at.y_m;
        p->u_m[p->point_count++] = at.u_m;
        if (p->point_count == FW_PATH_POINTS_MAX) return;
        while (i < count && hypot(line[i].x_m - at.x_m, line[i].y_m - at.y_m) < grid) i++;
        if (i == count) return;
        /* On the piece from a (or the current place) to b the distance passes `grid`: bisect. */
        const fine a = line[i - 1].u_m > at.u_m ? line[i - 1] : at, b = line[i];
        double low = 0, high = 1;
        for (int step = 0; step < 30; step++) {
            const double t = 0.5 * (low + high);
            const double d =
                hypot(a.x_m + t * (b.x_m - a.x_m) - at.x_m, a.y_m + t * (b.y_m - a.y_m) - at.y_m);
            *(d < grid ? &low : &high) = t;
        }
        at = (fine){a.x_m + high * (b.x_m - a.x_m), a.y_m + high * (b.y_m - a.y_m),
                    a.u_m + high * (b.u_m - a.u_m)};
    }
}

/* Ends the path before a place that stays undrivable (the net has lanes that fold back). */
static void cut_folds(fw_path *p) {
    for (uint32_t i = 1; i + 1 < p->point_count; i++) {
        const fw_drive_point *a = &p->points[i - 1], *b = a + 1, *c = a + 2;
        const float turn = remainderf(atan2f(c->y_m - b->y_m, c->x_m - b->x_m) -
                                          atan2f(b->y_m - a->y_m, b->x_m - a->x_m),
                                      2 * (float)M_PI);
        if (fabsf(turn) < (float)CURVATURE_DRIVABLE_PM * FW_DRIVE_GRID_M) continue;
        p->point_count = i > FOLD_BEFORE ? i - FOLD_BEFORE : 0;
        return;
    }
}

static void paint_grid(const fw_net *net, fw_path *p) {
    uint32_t k = 0;
    for (uint32_t i = 0; i < p->point_count; i++) {
        const double u = p->u_m[i];
        while (k + 1 < p->stretch_count && u >= p->stretches[k + 1].u0_m) k++;
        const fw_net_lane *lane = &net->lanes[fw_path_lane_at(p, k, u)];
        p->points[i].width_m = (float)lane->width_m;
        p->points[i].limit_mps = (float)lane->speed_mps;
    }
}

static fw_status lay_line(const fw_net *net, const fw_path_start *start, fw_path *p,
                          fw_error *error) {
    const fw_path_stretch *last = &p->stretches[p->stretch_count - 1];
    const double u_start = start->position_m - start->front_m - FW_PATH_BEHIND_M;
    const double u_end = fmin(last->u0_m + last->length_m, start->position_m + FW_PATH_HORIZON_M);
    fine *raw = malloc(3 * FINE_MAX * sizeof *raw);
    FW_ASSERT(raw);
    fine *line = raw + FINE_MAX, *scratch = line + FINE_MAX;
    uint32_t count = lay_raw(net, p, u_start, u_end, raw);
    count = smooth_drivable(raw, count, line, scratch);
    if (count > 1) lay_grid(line, count, p);
    free(raw);
    cut_folds(p);
    if (p->point_count < 20) return fw_fail(error, FW_NOT_FOUND, "the path is too short");
    paint_grid(net, p);
    return FW_OK;
}

static void measure(fw_path *p) {
    for (uint32_t i = 0; i < p->link_count; i++) {
        p->links[i].s0_m = fw_path_s_at(p, p->links[i].u0_m);
        p->links[i].s1_m = fw_path_s_at(p, p->links[i].u1_m);
    }
    for (uint32_t i = 0; i < p->change_count; i++) {
        fw_path_change *c = &p->changes[i];
        c->s0_m = fw_path_s_at(p, c->u0_m);
        c->s1_m = fw_path_s_at(p, c->u1_m);
        c->s_enter_m = fw_path_s_at(p, c->u_enter_m);
    }
}

fw_status fw_path_build(const fw_net *net, const fw_path_start *start, fw_path *out,
                        fw_error *error) {
    plan way;
    memset(out, 0, sizeof *out);
    if (!start->edge_count) return fw_fail(error, FW_NOT_FOUND, "no route is left");
    FW_TRY(choose_lanes(net, start, &way, error));
    FW_TRY(lay_stretches(net, start, &way, out, error));
    FW_TRY(lay_line(net, start, out, error));
    measure(out);
    fw_path_find_zones(net, out);
    return FW_OK;
}

/* ---- reading a path ---- */

float fw_path_length_m(const fw_path *path) {
    return (float)(path->point_count - 1) * FW_DRIVE_GRID_M;
}

double fw_path_u_at(const fw_path *path, double s_m) {
    const double at = s_m / (double)FW_DRIVE_GRID_M, last = path->point_count - 1;
    if (at <= 0) return path->u_m[0] + s_m;
    if (at >= last) return path->u_m[path->point_count - 1] + s_m - last * (double)FW_DRIVE_GRID_M;
    const uint32_t i = (uint32_t)at;
    return path->u_m[i] + (at - i) * (path->u_m[i + 1] - path->u_m[i]);
}

float fw_path_s_at(const fw_path *path, double u_m) {
    const uint32_t last = path->point_count - 1;
    if (u_m <= path->u_m[0]) return (float)(u_m - path->u_m[0]);
    if (u_m >= path->u_m[last]) return fw_path_length_m(path) + (float)(u_m - path->u_m[last]);
    uint32_t low = 0, high = last;
    while (high - low > 1) {
        const uint32_t middle = (low + high) / 2;
        *(path->u_m[middle] <= u_m ? &low : &high) = middle;
    }
    const double t = (u_m - path->u_m[low]) / (path->u_m[high] - path->u_m[low]);
    return (float)((low + t) * (double)FW_DRIVE_GRID_M);
}

float fw_path_project(const fw_path *path, float x_m, float y_m, float near_s_m, float *lateral_m) {
    const int around = (int)(near_s_m / FW_DRIVE_GRID_M), last = (int)path->point_count - 2;
    int from = around - 3, to = around + 5;
    from = from < 0 ? 0 : from > last ? last : from;
    to = to < from ? from : to > last ? last : to;
    float best = INFINITY, s = near_s_m;
    for (int i = from; i <= to; i++) {
        const fw_drive_point *a = &path->points[i], *b = a + 1;
        const float dx = b->x_m - a->x_m, dy = b->y_m - a->y_m, square = dx * dx + dy * dy;
        const float px = x_m - a->x_m, py = y_m - a->y_m;
        float t = square > 0 ? (px * dx + py * dy) / square : 0;
        t = fminf(fmaxf(t, 0), 1);
        const float d = hypotf(px - t * dx, py - t * dy);
        if (d >= best) continue;
        best = d;
        s = ((float)i + t) * FW_DRIVE_GRID_M;
        if (lateral_m) *lateral_m = dx * py - dy * px >= 0 ? d : -d;
    }
    return s;
}

uint32_t fw_path_lane_at(const fw_path *path, uint32_t stretch, double u_m) {
    uint32_t lane = path->stretches[stretch].lane_in;
    for (uint32_t i = 0; i < path->change_count; i++) {
        const fw_path_change *c = &path->changes[i];
        if (c->stretch == stretch && u_m >= 0.5 * (c->u0_m + c->u1_m)) lane = c->to_lane;
    }
    return lane;
}

uint32_t fw_path_stretch_of(const fw_path *path, uint32_t edge, double near_u_m) {
    uint32_t best = FW_NET_NONE;
    double gap = INFINITY;
    for (uint32_t i = 0; i < path->stretch_count; i++) {
        const fw_path_stretch *s = &path->stretches[i];
        if (s->edge != edge) continue;
        const double d = fmax(fmax(s->u0_m - near_u_m, near_u_m - s->u0_m - s->length_m), 0);
        if (d < gap) {
            gap = d;
            best = i;
        }
    }
    return best;
}

float fw_path_yaw_at(const fw_path *path, float s_m) {
    int i = (int)(s_m / FW_DRIVE_GRID_M);
    const int last = (int)path->point_count - 2;
    i = i < 0 ? 0 : i > last ? last : i;
    return atan2f(path->points[i + 1].y_m - path->points[i].y_m,
                  path->points[i + 1].x_m - path->points[i].x_m);
}
