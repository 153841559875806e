#include "lines/driving/learn/scenario/match.h"

#include <math.h>
#include <stdlib.h>

enum { CANDIDATES = 12, HOPS = 4 };
#define SEARCH_M 8.0
#define SLOW_MPS 1.0

/* ---- what follows what ---- */

/* Marks what can be reached from `from` within HOPS lanes straight on, and the lanes beside those. */
static void mark_from(const fw_map *map, uint32_t from, uint8_t *step, uint32_t *queue) {
    uint32_t head = 0, tail = 0, until = 1;
    queue[tail++] = from;
    step[from] = FW_MATCH_STEP_ON;
    for (uint32_t hop = 0; hop < HOPS; hop++, until = tail)
        for (; head < until; head++) {
            const fw_map_lane *lane = &map->lanes[queue[head]];
            for (uint32_t i = 0; i < lane->next_count; i++) {
                uint32_t next = map->links[lane->next_first + i];
                if (step[next] == FW_MATCH_STEP_ON) continue;
                step[next] = FW_MATCH_STEP_ON;
                queue[tail++] = next;
            }
        }
    for (uint32_t q = 0; q < tail; q++) {
        const fw_map_lane *lane = &map->lanes[queue[q]];
        for (uint32_t i = 0; i < lane->beside_count; i++) {
            uint32_t beside = map->links[lane->beside_first + i];
            if (step[beside] == FW_MATCH_STEP_JUMP) step[beside] = FW_MATCH_STEP_CHANGE;
        }
    }
}

fw_status fw_match_graph_make(const fw_map *map, fw_match_graph *out, fw_error *error) {
    size_t n = map->lane_count;
    fw_match_graph graph = {.lane_count = map->lane_count, .step = calloc(n * n + 1, 1)};
    uint32_t *queue = calloc(n + 1, sizeof *queue);
    bool fine = graph.step && queue;
    for (uint32_t i = 0; fine && i < map->lane_count; i++) mark_from(map, i, graph.step + i * n, queue);
    free(queue);
    if (!fine) {
        free(graph.step);
        return fw_fail(error, FW_NO_MEMORY, "scene: no memory to match its tracks");
    }
    *out = graph;
    return FW_OK;
}

void fw_match_graph_clear(fw_match_graph *graph) {
    free(graph->step);
    *graph = (fw_match_graph){.lane_count = 0};
}

/* ---- a tick's candidates ---- */

typedef struct candidate {
    uint32_t lane, from; /* from: the candidate of the tick before on the best way here */
    double cost, best;
} candidate;

typedef struct tick {
    uint32_t count;
    candidate candidates[CANDIDATES];
    double nearest_m;
} tick;

/* Keeps the cheapest, in order. */
static void keep(tick *at, candidate made) {
    uint32_t place = at->count;
    if (place == CANDIDATES && at->candidates[place - 1].cost <= made.cost) return;
    if (place == CANDIDATES)
        place--;
    else
        at->count++;
    for (; place > 0 && at->candidates[place - 1].cost > made.cost; place--)
        at->candidates[place] = at->candidates[place - 1];
    at->candidates[place] = made;
}

static void look(const fw_map *map, const fw_scenario_track *track, uint32_t i, double within_m, tick *out) {
    double x = (double)track->x_m[i], y = (double)track->y_m[i], yaw = (double)track->yaw_rad[i];
    double trust = fmin(1, (double)track->speed_mps[i] / SLOW_MPS);
    *out = (tick){.nearest_m = INFINITY};
    for (uint32_t l = 0; l < map->lane_count; l++) {
        const fw_map_lane *lane = &map->lanes[l];
        if (x < lane->low_x_m - within_m || x > lane->high_x_m + within_m || y < lane->low_y_m - within_m ||
            y > lane->high_y_m + within_m)
            continue;
        fw_map_spot spot = fw_map_project(map->points + lane->first, lane->count, x, y);
        if (!(spot.distance_m <= within_m)) continue;
        double turn = remainder(yaw - spot.heading_rad, 2 * M_PI) / FW_MATCH_HEADING_RAD;
        double side = spot.distance_m / FW_MATCH_SIDE_M;
        double cost = 0.5 * side * side + 0.5 * turn * turn * (0.05 + 0.95 * trust);
        keep(out, (candidate){.lane = l, .cost = cost});
        if (fabs(turn) * FW_MATCH_HEADING_RAD < M_PI / 2) out->nearest_m = fmin(out->nearest_m, spot.distance_m);
    }
}

/* ---- the path ---- */

static double going(const fw_match_graph *graph, uint32_t from, uint32_t to) {
    static const double cost[] = {FW_MATCH_JUMP, FW_MATCH_CHANGE, 0};
    return cost[graph->step[(size_t)from * graph->lane_count + to]];
}

static void advance(const fw_match_graph *graph, const tick *before, tick *now) {
    for (uint32_t i = 0; i < now->count; i++) {
        candidate *to = &now->candidates[i];
        to->best = INFINITY;
        for (uint32_t j = 0; j < before->count; j++) {
            double cost = before->candidates[j].best + going(graph, before->candidates[j].lane, to->lane) + to->cost;
            if (cost >= to->best) continue;
            to->best = cost;
            to->from = j;
        }
    }
}

static void walk_back(const tick *ticks, uint32_t count, uint32_t *lanes) {
    const tick *last = &ticks[count - 1];
    uint32_t at = 0;
    for (uint32_t i = 1; i < last->count; i++)
        if (last->candidates[i].best < last->candidates[at].best) at = i;
    for (uint32_t i = count; i-- > 0;) {
        lanes[i] = ticks[i].candidates[at].lane;
        at = ticks[i].candidates[at].from;
    }
}

fw_status fw_match_track(const fw_map *map, const fw_match_graph *graph, const fw_scenario_track *track,
                         uint32_t *lanes, double *far_share, fw_error *error) {
    uint32_t far = 0;
    if (map->lane_count == 0) {
        for (uint32_t i = 0; i < track->count; i++) lanes[i] = FW_SCENARIO_NONE;
        *far_share = 1;
        return FW_OK;
    }
    tick *ticks = calloc(track->count, sizeof *ticks);
    if (!ticks) return fw_fail(error, FW_NO_MEMORY, "scene: no memory to match a track");
    for (uint32_t i = 0; i < track->count; i++) {
        look(map, track, i, SEARCH_M, &ticks[i]);
        if (ticks[i].count == 0) look(map, track, i, INFINITY, &ticks[i]);
        if (!(ticks[i].nearest_m <= FW_MATCH_FAR_M)) far++;
        if (i > 0)
            advance(graph, &ticks[i - 1], &ticks[i]);
        else
            for (uint32_t c = 0; c < ticks[0].count; c++) ticks[0].candidates[c].best = ticks[0].candidates[c].cost;
    }
    FW_ASSERT(ticks[track->count - 1].count > 0); /* a map with lanes has one that is nearest */
    walk_back(ticks, track->count, lanes);
    *far_share = (double)far / (double)track->count;
    free(ticks);
    return FW_OK;
}
