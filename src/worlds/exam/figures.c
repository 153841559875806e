/* figures.c - see figures.h */
#include "worlds/exam/figures.h"

#include <math.h>
#include <stdlib.h>

#include "base/random.h"

enum { DRAWS = 2000, SEED = 1979 };

static double drives(const fw_exam_sums *s) { return s->drives; }
static double clean(const fw_exam_sums *s) { return s->clean; }
static double collisions(const fw_exam_sums *s) { return s->collisions; }
static double at_fault(const fw_exam_sums *s) { return s->at_fault; }
static double off_lane(const fw_exam_sums *s) { return s->off_lane; }
static double stuck(const fw_exam_sums *s) { return s->stuck; }
static double red_lights(const fw_exam_sums *s) { return (double)s->red_light_runs; }
static double hard_brakes(const fw_exam_sums *s) { return (double)s->hard_brakes; }
static double distance(const fw_exam_sums *s) { return s->distance_m; }
static double km(const fw_exam_sums *s) { return s->distance_m / 1000; }
static double seconds(const fw_exam_sums *s) { return s->time_s; }
static double jerk2(const fw_exam_sums *s) { return s->jerk2_s; }

const fw_exam_figure *fw_exam_figures(void) {
    static const fw_exam_figure figures[] = {
        {"clean", clean, drives, false, +1},
        {"collision", collisions, drives, false, -1},
        {"at_fault", at_fault, drives, false, -1},
        {"off_lane", off_lane, drives, false, -1},
        {"stuck", stuck, drives, false, -1},
        {"mean_speed_mps", distance, seconds, false, +1},
        {"hard_brakes_per_km", hard_brakes, km, false, -1},
        {"jerk_rms", jerk2, seconds, true, -1},
        {"collisions_per_km", collisions, km, false, -1},
        {"at_fault_per_km", at_fault, km, false, -1},
        {"red_light_runs_per_km", red_lights, km, false, -1},
        {NULL, NULL, NULL, false, 0},
    };
    return figures;
}

static double ratio(const fw_exam_figure *f, double top, double bottom) {
    const double value = bottom > 0 ? top / bottom : 0;
    return f->root ? sqrt(value) : value;
}

double fw_exam_value(const fw_exam_figure *f, const fw_exam_sums *runs, uint32_t count) {
    double top = 0, bottom = 0;
    for (uint32_t i = 0; i < count; i++) {
        top += f->top(&runs[i]);
        bottom += f->bottom(&runs[i]);
    }
    return ratio(f, top, bottom);
}

fw_interval fw_exam_interval(const fw_exam_figure *f, const fw_exam_sums *runs, uint32_t count) {
    double top[FW_EXAM_RUNS_MAX], bottom[FW_EXAM_RUNS_MAX];
    FW_ASSERT(count >= 1 && count <= FW_EXAM_RUNS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        top[i] = f->top(&runs[i]);
        bottom[i] = f->bottom(&runs[i]);
    }
    const fw_interval of = fw_cluster_bootstrap95(top, bottom, count, DRAWS, SEED);
    return f->root ? (fw_interval){sqrt(of.low), sqrt(of.high)} : of;
}

static int compare_double(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

fw_interval fw_exam_difference(const fw_exam_figure *f, const fw_exam_sums *a, const fw_exam_sums *b,
                               uint32_t count) {
    double drawn[DRAWS];
    FW_ASSERT(count >= 1 && count <= FW_EXAM_RUNS_MAX);
    fw_random random = fw_random_named(SEED, "exam/difference");
    for (int d = 0; d < DRAWS; d++) {
        double top[2] = {0, 0}, bottom[2] = {0, 0};
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t pick = fw_random_below(&random, count);
            top[0] += f->top(&a[pick]), bottom[0] += f->bottom(&a[pick]);
            top[1] += f->top(&b[pick]), bottom[1] += f->bottom(&b[pick]);
        }
        drawn[d] = ratio(f, top[1], bottom[1]) - ratio(f, top[0], bottom[0]);
    }
    qsort(drawn, DRAWS, sizeof *drawn, compare_double);
    return (fw_interval){drawn[DRAWS * 25 / 1000], drawn[DRAWS * 975 / 1000]};
}
