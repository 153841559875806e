/* zones.c - where other ways through a junction meet ours (path.h).
 *
 * Both ways are sampled every SAMPLE_M; a zone is the stretch of each on which it is nearer to the
 * other than two cars abreast need. Where both end in the same lane, the zone reaches a car's
 * width beyond the junction.
 */
#include <math.h>

#include "worlds/sumo/path.h"

enum { SAMPLES_MAX = 256 };
#define SAMPLE_M 0.5
#define CLEAR_M 2.2  /* two cars of 1.8 m abreast, and 0.4 m */
#define BESIDE_M 1.9 /* two cars abreast, and nothing */
#define BEYOND_M 4.0 /* of a merge beyond the junction */

typedef struct line {
    uint32_t count;
    float x_m[SAMPLES_MAX], y_m[SAMPLES_MAX], d_m[SAMPLES_MAX];
} line;

static void add_lane(const fw_net *net, uint32_t lane, double *way, line *out) {
    if (lane == FW_NET_NONE) return;
    const double length = net->lanes[lane].length_m;
    const uint32_t steps = (uint32_t)ceil(length / SAMPLE_M);
    for (uint32_t i = 0; i <= steps && out->count < SAMPLES_MAX; i++) {
        double x, y;
        fw_net_lane_at(net, lane, (double)i / steps, &x, &y);
        out->x_m[out->count] = (float)x;
        out->y_m[out->count] = (float)y;
        out->d_m[out->count++] = (float)(*way + length * i / steps);
    }
    *way += length;
}

/* Our own way through the link, from the smoothed path. */
static void add_path(const fw_path *p, const fw_path_link *link, line *out) {
    const float end = link->s1_m + (float)BEYOND_M;
    for (float s = link->s0_m; s <= end && out->count < SAMPLES_MAX; s += (float)SAMPLE_M) {
        const float at = s / FW_DRIVE_GRID_M;
        const int i = (int)at;
        if (i < 0 || i + 1 >= (int)p->point_count) continue;
        const float t = at - (float)i;
        out->x_m[out->count] = p->points[i].x_m + t * (p->points[i + 1].x_m - p->points[i].x_m);
        out->y_m[out->count] = p->points[i].y_m + t * (p->points[i + 1].y_m - p->points[i].y_m);
        out->d_m[out->count++] = s;
    }
}

/* First and last way on `a` that is near `b`; false where they stay apart. */
static bool near_range(const line *a, const line *b, float clear, float *first, float *last) {
    bool any = false;
    for (uint32_t i = 0; i < a->count; i++) {
        bool near = false;
        for (uint32_t j = 0; j < b->count && !near; j++) {
            const float dx = a->x_m[i] - b->x_m[j], dy = a->y_m[i] - b->y_m[j];
            near = dx * dx + dy * dy < clear * clear;
        }
        if (!near) continue;
        if (!any) *first = a->d_m[i];
        *last = a->d_m[i];
        any = true;
    }
    return any;
}

static void meet(const fw_net *net, fw_path *p, uint32_t own, uint32_t foe, bool beside,
                 const line *ours) {
    const fw_net_link *link = &net->links[foe];
    line theirs = {0};
    double way = 0;
    add_lane(net, link->via, &way, &theirs);
    add_lane(net, link->via2, &way, &theirs);
    fw_path_zone zone = {.own = own, .foe_link = foe, .beside = beside};
    zone.merge = link->to_lane == net->links[p->links[own].link].to_lane;
    const float clear = (float)(beside ? BESIDE_M : CLEAR_M);
    if (!near_range(ours, &theirs, clear, &zone.enter_s_m, &zone.exit_s_m) ||
        !near_range(&theirs, ours, clear, &zone.foe_enter_m, &zone.foe_exit_m))
        return;
    if (zone.merge) {
        zone.exit_s_m = p->links[own].s1_m + (float)BEYOND_M;
        zone.foe_exit_m = (float)(way + BEYOND_M);
    }
    p->zones[p->zone_count++] = zone;
}

void fw_path_find_zones(const fw_net *net, fw_path *path) {
    path->zone_count = 0;
    for (uint32_t own = 0; own < path->link_count; own++) {
        const uint32_t id = path->links[own].link, junction_id = net->links[id].junction;
        if (junction_id == FW_NET_NONE) continue;
        const fw_net_junction *junction = &net->junctions[junction_id];
        line ours = {0};
        add_path(path, &path->links[own], &ours);
        for (uint32_t i = 0; i < junction->count; i++) {
            const uint32_t foe = junction->links[i];
            if (foe == FW_NET_NONE || foe == id || path->zone_count == FW_PATH_ZONES_MAX) continue;
            /* Ways that part from one lane are no conflict; ways that start or end side by side are
             * none to the net either, though some of its lanes bend into each other. */
            if (net->links[foe].from_lane == net->links[id].from_lane) continue;
            const bool foes = fw_net_links_meet(net, id, foe) || fw_net_links_meet(net, foe, id);
            meet(net, path, own, foe, !foes, &ours);
        }
    }
}
