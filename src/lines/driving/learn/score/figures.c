#include "lines/driving/learn/score/figures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { INTERVAL_DRAWS = 2000, INTERVAL_SEED = 1979 };

const fw_figure_slice fw_figure_all = {.manoeuvre = -1, .light = -1};

bool fw_figure_in(const fw_figure_slice *slice, const fw_scenario *const *scenarios, const fw_score_case *one) {
    const fw_scenario *scenario = scenarios[one->scenario];
    if (slice->site && strcmp(slice->site, scenario->tags.site) != 0) return false;
    if (slice->vehicle && strcmp(slice->vehicle, scenario->tracks[one->track].kind.name) != 0) return false;
    if (slice->manoeuvre >= 0 && slice->manoeuvre != (int)one->manoeuvre) return false;
    return slice->light < 0 || slice->light == (scenario->light_count > 0);
}

/* Sums by cluster for one or two rows; clusters without a drive that counts are taken out. */
typedef struct sums {
    double *top[2], *bottom[2]; /* (clusters); one block, at top[0] */
    size_t clusters;
    uint32_t n;
} sums;

static fw_status sums_new(size_t clusters, sums *out, fw_error *error) {
    double *block = calloc(4 * clusters + 1, sizeof *block);
    if (!block) return fw_fail(error, FW_NO_MEMORY, "no memory for %zu clusters", clusters);
    *out = (sums){{block, block + clusters}, {block + 2 * clusters, block + 3 * clusters}, clusters, 0};
    return FW_OK;
}

/* Drives that count in all `rows`: a pair needs both. */
static void add_all(const fw_figures *from, const uint32_t *drivers, int rows, fw_metric_id metric, sums *out) {
    const fw_score_table *table = &from->score->traffic[from->traffic];
    const fw_figure_slice *slice = from->slice ? from->slice : &fw_figure_all;
    for (uint32_t i = 0; i < table->case_count; i++) {
        const fw_score_case *one = &table->cases[i];
        double top[2] = {0}, bottom[2] = {0, 1};
        if (!fw_figure_in(slice, from->scenarios, one)) continue;
        for (int r = 0; r < rows; r++)
            fw_metrics[metric].of(&table->drives[drivers[r]][i], from->scenarios[one->scenario]->scene, &top[r],
                                  &bottom[r]);
        if (bottom[0] <= 0 || bottom[1] <= 0) continue;
        for (int r = 0; r < rows; r++) out->top[r][one->cluster] += top[r], out->bottom[r][one->cluster] += bottom[r];
        out->n++;
    }
}

static void drop_empty(sums *s) {
    size_t kept = 0;
    for (size_t i = 0; i < s->clusters; i++) {
        if (s->bottom[0][i] <= 0) continue;
        for (int r = 0; r < 2; r++) s->top[r][kept] = s->top[r][i], s->bottom[r][kept] = s->bottom[r][i];
        kept++;
    }
    s->clusters = kept;
}

static double total(const double *of, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += of[i];
    return sum;
}

static double ratio_of(const sums *s, int row) {
    return total(s->top[row], s->clusters) / total(s->bottom[row], s->clusters);
}

static fw_figure no_figure(void) {
    const fw_interval none = {NAN, NAN};
    return (fw_figure){.value = NAN, .cluster = none, .wilson = none};
}

static fw_figure figure_of(const sums *s, const fw_metric *metric) {
    fw_figure out = no_figure();
    if (s->n == 0) return out;
    out.n = s->n;
    out.clusters = (uint32_t)s->clusters;
    out.value = ratio_of(s, 0);
    if (s->clusters > 1)
        out.cluster = fw_cluster_bootstrap95(s->top[0], s->bottom[0], s->clusters, INTERVAL_DRAWS, INTERVAL_SEED);
    if (metric->of_drives) out.wilson = fw_wilson95((uint64_t)llround(total(s->top[0], s->clusters)), s->n);
    return out;
}

static fw_figure difference_of(const sums *s) {
    fw_figure out = no_figure();
    if (s->n == 0) return out;
    out.n = s->n;
    out.clusters = (uint32_t)s->clusters;
    out.value = ratio_of(s, 0) - ratio_of(s, 1);
    if (s->clusters > 1)
        out.cluster = fw_cluster_difference95((fw_ratio){s->top[0], s->bottom[0]},
                                              (fw_ratio){s->top[1], s->bottom[1]}, s->clusters,
                                              INTERVAL_DRAWS, INTERVAL_SEED);
    return out;
}

fw_status fw_figure_of(const fw_figures *from, uint32_t driver, fw_metric_id metric, fw_figure *out,
                       fw_error *error) {
    sums s;
    FW_TRY(sums_new(from->score->cluster_count, &s, error));
    add_all(from, &driver, 1, metric, &s);
    drop_empty(&s);
    *out = figure_of(&s, &fw_metrics[metric]);
    free(s.top[0]);
    return FW_OK;
}

fw_status fw_figure_difference(const fw_figures *from, uint32_t a, uint32_t b, fw_metric_id metric,
                               fw_figure *out, fw_error *error) {
    sums s;
    FW_TRY(sums_new(from->score->cluster_count, &s, error));
    add_all(from, (const uint32_t[]){a, b}, 2, metric, &s);
    drop_empty(&s);
    *out = difference_of(&s);
    free(s.top[0]);
    return FW_OK;
}
