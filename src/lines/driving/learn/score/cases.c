#include "lines/driving/learn/score/cases.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- clusters ---- */

/* A group's name is its site's own: another site may count from 1 as well. */
static int by_group(const void *a, const void *b, void *self) {
    const fw_scenario *const *scenarios = self;
    const fw_scenario_tags *x = &scenarios[*(const uint32_t *)a]->tags, *y = &scenarios[*(const uint32_t *)b]->tags;
    int order = strcmp(x->site, y->site);
    return order != 0 ? order : strcmp(x->group, y->group);
}

fw_status fw_score_clusters(const fw_score_config *config, uint32_t **out, uint32_t *count, fw_error *error) {
    uint32_t n = config->scenario_count, clusters = 0;
    uint32_t *order = malloc(((size_t)n + 1) * sizeof *order), *of = malloc(((size_t)n + 1) * sizeof *of);
    if (!order || !of) {
        free(order);
        free(of);
        return fw_fail(error, FW_NO_MEMORY, "no memory for %u scenarios", n);
    }
    for (uint32_t i = 0; i < n; i++) order[i] = i;
    qsort_r(order, n, sizeof *order, by_group, (void *)(uintptr_t)config->scenarios);
    for (uint32_t i = 0; i < n; i++) {
        bool first = i == 0 || by_group(&order[i - 1], &order[i], (void *)(uintptr_t)config->scenarios) != 0;
        clusters += first;
        of[order[i]] = clusters - 1;
    }
    free(order);
    *out = of;
    *count = clusters;
    return FW_OK;
}

/* ---- cases ---- */

/* The way of a case: from where its track is at its tick to the goal, or as far as the log went. */
static fw_score_manoeuvre manoeuvre_of(const fw_scenario *scenario, const fw_scenario_start *start) {
    const fw_scenario_track *track = &scenario->tracks[start->track];
    if (track->route >= scenario->route_count) return FW_SCORE_STRAIGHT;
    const fw_scenario_route *route = &scenario->routes[track->route];
    uint32_t tick = start->tick - track->first;
    float near = FLT_MAX, from = 0, way = track->way_m[track->count - 1] - track->way_m[tick];
    for (uint32_t i = 0; i < route->count; i++) {
        float d = hypotf(route->points[i].x_m - track->x_m[tick], route->points[i].y_m - track->y_m[tick]);
        if (d < near) near = d, from = (float)(route->first + i) * FW_DRIVE_GRID_M;
    }
    return fw_score_manoeuvre_of(route, from, from + way);
}

/* Who stands at its goal from the start on has nothing to drive. */
static bool there_already(const fw_scenario *scenario, const fw_scenario_start *start) {
    const fw_scenario_track *track = &scenario->tracks[start->track];
    if (!scenario->scene || track->route >= scenario->route_count) return false;
    const fw_scenario_route *route = &scenario->routes[track->route];
    uint32_t tick = start->tick - track->first;
    return hypotf(track->x_m[tick] - route->goal_x_m, track->y_m[tick] - route->goal_y_m) <= FW_SIM_GOAL_M;
}

/* In self-play a car's one case begins with its log; units' recordings may be thinned. */
static bool wanted(const fw_score_config *config, fw_sim_traffic traffic, const fw_scenario *scenario, uint32_t i) {
    const fw_scenario_start *start = &scenario->starts[i];
    if (traffic == FW_SIM_SELF_PLAY) return i == 0 || scenario->starts[i - 1].track != start->track;
    return scenario->scene || config->every == 0 || start->tick % config->every == 0;
}

/* Of `count` cases of a group, is number k one of `most` spread evenly? */
static bool kept(uint32_t k, uint32_t count, uint32_t most) {
    if (most == 0 || most >= count) return true;
    return (uint64_t)(k + 1) * most / count != (uint64_t)k * most / count;
}

/* seen: (2, cluster_count): how many a cluster has, how many of them were looked at. */
static uint32_t thin(fw_score_case *cases, uint32_t count, uint32_t most, uint32_t *seen, uint32_t cluster_count) {
    uint32_t left = 0;
    for (uint32_t i = 0; i < count; i++) seen[cases[i].cluster]++;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t cluster = cases[i].cluster;
        if (kept(seen[cluster_count + cluster]++, seen[cluster], most)) cases[left++] = cases[i];
    }
    return left;
}

static uint32_t list(const fw_score_config *config, fw_sim_traffic traffic, const uint32_t *clusters,
                     fw_score_case *out) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < config->scenario_count; i++) {
        const fw_scenario *scenario = config->scenarios[i];
        for (uint32_t k = 0; k < scenario->start_count; k++) {
            const fw_scenario_start *start = &scenario->starts[k];
            if (!wanted(config, traffic, scenario, k) || there_already(scenario, start)) continue;
            out[count++] = (fw_score_case){i, start->track, start->tick, clusters[i], manoeuvre_of(scenario, start)};
        }
    }
    return count;
}

fw_status fw_score_cases(const fw_score_config *config, fw_sim_traffic traffic, const uint32_t *clusters,
                         uint32_t cluster_count, fw_score_case **out, uint32_t *count, fw_error *error) {
    size_t most = 1;
    for (uint32_t i = 0; i < config->scenario_count; i++) most += config->scenarios[i]->start_count;
    fw_score_case *cases = malloc(most * sizeof *cases);
    uint32_t *seen = calloc(2 * (size_t)cluster_count + 1, sizeof *seen);
    if (!cases || !seen) {
        free(cases);
        free(seen);
        return fw_fail(error, FW_NO_MEMORY, "no memory for %zu drives", most);
    }
    uint32_t most_each = traffic == FW_SIM_SELF_PLAY ? 0 : config->per_group; /* they drive together */
    *count = thin(cases, list(config, traffic, clusters, cases), most_each, seen, cluster_count);
    *out = cases;
    free(seen);
    return FW_OK;
}
