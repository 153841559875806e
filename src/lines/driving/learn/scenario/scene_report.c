/* scene_report.c - what was made of a scene, in figures (scene.h). */
#include <math.h>
#include <stdlib.h>

#include "lines/driving/learn/scenario/scene.h"
#include "lines/driving/learn/scenario/scene_report.h"

typedef struct numbers {
    double *values;
    size_t count;
} numbers;

static int compare_numbers(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double percentile(const numbers *n, double share) {
    if (n->count == 0) return 0;
    size_t rank = (size_t)ceil(share * (double)n->count);
    return n->values[rank > 0 ? rank - 1 : 0];
}

static fw_scene_spread spread(numbers *n) {
    if (n->count > 0) qsort(n->values, n->count, sizeof *n->values, compare_numbers);
    return (fw_scene_spread){percentile(n, 0.005), percentile(n, 0.5), percentile(n, 0.995)};
}

static void residuals(const fw_scene *scene, const fw_scene_object **objects, const fw_scenario *s, numbers *n,
                      fw_scene_report *report) {
    double squares = 0;
    n->count = 0;
    for (uint32_t t = 0; t < s->track_count; t++)
        for (uint32_t i = 0; !objects[t]->still && i < objects[t]->state_count; i++) {
            const fw_scene_state *state = &scene->states[objects[t]->state_first + i];
            uint32_t tick = state->step - s->tracks[t].first;
            double off = hypot((double)s->tracks[t].x_m[tick] - state->x_m, (double)s->tracks[t].y_m[tick] - state->y_m);
            squares += off * off;
            n->values[n->count++] = off;
        }
    if (n->count == 0) return;
    qsort(n->values, n->count, sizeof *n->values, compare_numbers);
    report->residual_rms_m = sqrt(squares / (double)n->count);
    report->residual_p99_m = percentile(n, 0.99);
}

static void accelerations(const fw_scene *scene, const fw_scene_object **objects, const fw_scenario *s, numbers *n,
                          fw_scene_report *report) {
    const double tick_s = (double)FW_DRIVE_TICK_S;
    n->count = 0;
    for (uint32_t t = 0; t < s->track_count; t++)
        for (uint32_t i = 1; !objects[t]->still && i < objects[t]->state_count; i++) {
            const fw_scene_state *state = &scene->states[objects[t]->state_first + i];
            double a = (state->speed_mps - state[-1].speed_mps) / tick_s;
            if (state->step == state[-1].step + 1 && isfinite(a)) n->values[n->count++] = a;
        }
    report->accel_before = spread(n);
    n->count = 0;
    for (uint32_t t = 0; t < s->track_count; t++)
        for (uint32_t i = 1; !objects[t]->still && i < s->tracks[t].count; i++)
            n->values[n->count++] = (double)(s->tracks[t].speed_mps[i] - s->tracks[t].speed_mps[i - 1]) / tick_s;
    report->accel_after = spread(n);
}

static uint32_t count_off(const fw_scenario *s) {
    uint32_t count = 0;
    for (uint32_t k = 0; k < s->start_count; k++) {
        const fw_scenario_track *track = &s->tracks[s->starts[k].track];
        bool off = false;
        for (uint32_t i = s->starts[k].tick - track->first; i < track->count && !off; i++)
            off = fw_scenario_off_area(s, track, i);
        count += off;
    }
    return count;
}

fw_status fw_scene_report_fill(const fw_scene *scene, const fw_scene_object **objects, const fw_scenario *s,
                               fw_scene_report *report, fw_error *error) {
    size_t most = scene->state_count + 1;
    for (uint32_t t = 0; t < s->track_count; t++) most += s->tracks[t].count;
    numbers n = {.values = malloc(most * sizeof *n.values)};
    if (!n.values) return fw_fail(error, FW_NO_MEMORY, "scene: no memory for its figures");
    report->tracks = s->track_count;
    report->ticks = s->ticks;
    report->lanelets = s->lane_count;
    report->starts = s->start_count;
    report->off_area = count_off(s);
    residuals(scene, objects, s, &n, report);
    accelerations(scene, objects, s, &n, report);
    free(n.values);
    return FW_OK;
}
