/* figures.h - the figures of an exam as ratios of sums, so that one table gives the value, the interval and the
 * difference of two exams.
 *
 *   value = sum of top over the runs / sum of bottom          jerk_rms is the root of it
 *   interval: whole runs drawn with replacement, 2,000 times  (statistics.h)
 *   difference B - A: the SAME runs drawn for both, since run r of both is the same hour of the same city
 *
 * To add a figure: 1. a line in `figures` (figures.c), 2. its definition in docs/exam.md.
 */
#ifndef FW_WORLDS_EXAM_FIGURES_H
#define FW_WORLDS_EXAM_FIGURES_H

#include "base/statistics.h"
#include "worlds/exam/exam.h"

typedef struct fw_exam_figure {
    const char *name;
    double (*top)(const fw_exam_sums *sums), (*bottom)(const fw_exam_sums *sums);
    bool root;
    int better; /* +1: more is better, -1: less is, 0: neither */
} fw_exam_figure;

/* The table, ended by a name of NULL. */
const fw_exam_figure *fw_exam_figures(void);
double fw_exam_value(const fw_exam_figure *figure, const fw_exam_sums *runs, uint32_t count);
/* 95 % of the value. */
fw_interval fw_exam_interval(const fw_exam_figure *figure, const fw_exam_sums *runs, uint32_t count);
/* 95 % of value(b) - value(a), paired by run. */
fw_interval fw_exam_difference(const fw_exam_figure *figure, const fw_exam_sums *a, const fw_exam_sums *b,
                               uint32_t count);

#endif
