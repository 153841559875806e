/* metrics.h - what is counted of drives, each figure as one ratio of sums.
 *
 *   drive --of--> (top, bottom)        sum of tops / sum of bottoms = the figure
 *
 *   share of drives   goal:         top 1 if reached,       bottom 1            + Wilson's interval
 *   mean of drives    ADE:          top its mean deviation, bottom 1
 *   share of time     TTC < 1.5 s:  top ticks of it,        bottom ticks driven
 *
 * A drive with bottom 0 does not count (a red light where there is no light, a goal in a recording that
 * has none); a figure whose bottoms are all 0 is "n/a". Because every figure is a ratio of sums, one
 * interval serves all: whole clusters are resampled (base/statistics.h). Definitions with pictures:
 * docs/metrics.md.
 *
 * To add a metric: a line in the table of metrics.c, its enum below, its section in docs/metrics.md.
 */
#ifndef FW_LINES_DRIVING_SCORE_METRICS_H
#define FW_LINES_DRIVING_SCORE_METRICS_H

#include "lines/driving/learn/sim/sim.h"

typedef enum fw_metric_id {
    FW_METRIC_CLEAN_GOAL, /* scenes */
    FW_METRIC_CLEAN,      /* recordings of units */
    FW_METRIC_GOAL,
    FW_METRIC_COLLISION,
    FW_METRIC_AT_FAULT,
    FW_METRIC_OFF_ROAD,
    FW_METRIC_RED_LIGHT,
    FW_METRIC_TIME_OUT,
    FW_METRIC_PROGRESS,
    FW_METRIC_ADE,
    FW_METRIC_FDE,
    FW_METRIC_TTC,
    FW_METRIC_ACCEL,
    FW_METRIC_JERK,
    FW_METRIC_LATERAL,
    FW_METRIC_SPEED,
    FW_METRIC_COUNT,
} fw_metric_id;

typedef struct fw_metric {
    const char *name;  /* in JSON: "clean_goal" */
    const char *title; /* in tables: "clean goal" */
    const char *unit;  /* "m", "m/s", or "" for a share */
    int better;        /* +1: more is better, -1: less is, 0: neither by itself */
    bool of_drives;    /* a share of drives: Wilson's interval holds as well */
    void (*of)(const fw_sim_drive *drive, bool scene, double *top, double *bottom);
} fw_metric;

extern const fw_metric fw_metrics[FW_METRIC_COUNT]; /* by fw_metric_id */

#endif
