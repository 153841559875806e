/* figures.h - tables of drives to figures with intervals, and to differences between two rows.
 *
 *   table row --sums by cluster--> top[], bottom[] --resampled--> value [low, high]
 *   rows a, b --the same clusters drawn for both----------------> a - b [low, high]
 *
 * Cars of one scene meet the same street and each other, so drives are not independent; overlap groups or
 * runs are. Intervals therefore resample whole clusters and widen for few of them (base/statistics.h); with
 * one cluster there is none. Wilson's over drives stands beside it, as if each drive were independent.
 */
#ifndef FW_LINES_DRIVING_SCORE_FIGURES_H
#define FW_LINES_DRIVING_SCORE_FIGURES_H

#include "base/statistics.h"
#include "lines/driving/learn/score/metrics.h"
#include "lines/driving/learn/score/score.h"

typedef struct fw_figure {
    uint32_t n, clusters; /* drives that count, clusters they lie in; n 0: n/a, the rest is NaN */
    double value;
    fw_interval cluster; /* 95 %; NaN with fewer than 2 clusters */
    fw_interval wilson;  /* of shares of drives; NaN otherwise */
} fw_figure;

/* Which cases of a table: all that are equal to what is given. */
typedef struct fw_figure_slice {
    const char *site, *vehicle; /* NULL: any */
    int manoeuvre, light;       /* -1: any; light 1: the scenario has one */
} fw_figure_slice;
extern const fw_figure_slice fw_figure_all;
bool fw_figure_in(const fw_figure_slice *slice, const fw_scenario *const *scenarios, const fw_score_case *one);

typedef struct fw_figures {
    const fw_scenario *const *scenarios; /* those of the score's config */
    const fw_score *score;
    fw_sim_traffic traffic;
    const fw_figure_slice *slice; /* NULL: all */
} fw_figures;

fw_status fw_figure_of(const fw_figures *from, uint32_t driver, fw_metric_id metric, fw_figure *out,
                       fw_error *error) FW_MUST;
/* Row a minus row b. */
fw_status fw_figure_difference(const fw_figures *from, uint32_t a, uint32_t b, fw_metric_id metric,
                               fw_figure *out, fw_error *error) FW_MUST;

#endif
