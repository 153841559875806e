/* An evaluation as tables for people: a kind of traffic after the other. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/evaluate.h"
#include "cli/table.h"

static const fw_metric_id outcomes[] = {FW_METRIC_CLEAN_GOAL, FW_METRIC_CLEAN,     FW_METRIC_GOAL,
                                        FW_METRIC_COLLISION,  FW_METRIC_AT_FAULT,  FW_METRIC_OFF_ROAD,
                                        FW_METRIC_RED_LIGHT,  FW_METRIC_TIME_OUT,  FW_METRIC_PROGRESS};
static const fw_metric_id manners[] = {FW_METRIC_ADE,  FW_METRIC_FDE,     FW_METRIC_TTC,  FW_METRIC_ACCEL,
                                       FW_METRIC_JERK, FW_METRIC_LATERAL, FW_METRIC_SPEED};
static const fw_metric_id brief[] = {FW_METRIC_CLEAN_GOAL, FW_METRIC_CLEAN, FW_METRIC_COLLISION,
                                     FW_METRIC_OFF_ROAD,   FW_METRIC_PROGRESS};
#define COUNT(list) (sizeof(list) / sizeof *(list))

/* What stands in a part of the page: rows are drivers, columns metrics. */
typedef struct part {
    const fw_evaluation *e;
    fw_sim_traffic traffic;
    const fw_metric_id *metrics;
    size_t metric_count;
    bool pairs; /* less the row that all are compared with */
} part;

/* Shares of anything in percent. */
static double shown_in(const fw_metric *metric) { return metric->unit[0] ? 1 : 100; }

static const char *number(double value, const fw_metric *metric, bool sign, char out[24]) {
    snprintf(out, 24, sign ? "%+.*f" : "%.*f", metric->unit[0] ? 2 : 1, value * shown_in(metric));
    return out;
}

static void figure_cell(fw_table *table, const fw_figure *f, const fw_metric *metric, bool sign) {
    char value[24], low[24], high[24];
    if (f->n == 0) {
        fw_table_cell(table, "n/a");
        return;
    }
    number(f->value, metric, sign, value);
    if (isnan(f->cluster.low)) fw_table_cell(table, "%s [-]", value);
    else
        fw_table_cell(table, "%s [%s %s]", value, number(f->cluster.low, metric, sign, low),
                      number(f->cluster.high, metric, sign, high));
}

static fw_status figure_of(const part *p, const fw_figure_slice *slice, uint32_t driver, fw_metric_id metric,
                           fw_figure *out, fw_error *error) {
    fw_figures from = fw_evaluate_figures(p->e, p->traffic, slice);
    return p->pairs ? fw_figure_difference(&from, driver, (uint32_t)p->e->against_row, metric, out, error)
                    : fw_figure_of(&from, driver, metric, out, error);
}

/* A goal where there are goals; the red light's column always stands. */
static fw_status applies(const part *p, fw_metric_id metric, bool *out, fw_error *error) {
    fw_figure f;
    FW_TRY(figure_of(p, NULL, 0, metric, &f, error));
    *out = f.n > 0 || (metric == FW_METRIC_RED_LIGHT && !p->pairs);
    return FW_OK;
}

static fw_status columns_of(const part *p, fw_metric_id *out, size_t *count, fw_error *error) {
    *count = 0;
    for (size_t i = 0; i < p->metric_count; i++) {
        bool applied;
        FW_TRY(applies(p, p->metrics[i], &applied, error));
        if (applied) out[(*count)++] = p->metrics[i];
    }
    return FW_OK;
}

static const char *title_of(const fw_metric *metric, char *out, size_t room) {
    snprintf(out, room, "%s %s", metric->title, metric->unit[0] ? metric->unit : "%");
    return out;
}

static void time_cells(fw_table *table, const part *p, uint32_t driver) {
    const fw_score_cost *cost = &p->e->score.traffic[p->traffic].costs[driver];
    double median = fw_score_cost_us(cost, 0.5), p99 = fw_score_cost_us(cost, 0.99);
    double core_s = p->e->drivers[driver].training_core_s, steps = p->e->drivers[driver].training_agent_steps;
    if (isnan(median)) fw_table_cell(table, "-"), fw_table_cell(table, "-");
    else fw_table_cell(table, "%.1f", median), fw_table_cell(table, "%.1f", p99);
    if (isnan(core_s)) fw_table_cell(table, "-");
    else fw_table_cell(table, "%.0f", core_s);
    fw_table_cell(table, "%s", isnan(steps) ? "-" : fw_cli_scaled(steps, ""));
}

static fw_status fill_rows(fw_table *table, const part *p, const fw_evaluate_slice *slice,
                           const fw_metric_id *metrics, size_t count, bool times, fw_error *error) {
    for (uint32_t d = 0; d < p->e->driver_count; d++) {
        fw_figure f;
        if (p->pairs && (int)d == p->e->against_row) continue;
        if (slice) fw_table_cell(table, "%s: %s", slice->kind, slice->value);
        fw_table_cell(table, "%s", p->e->drivers[d].name);
        for (size_t m = 0; m < count; m++) {
            FW_TRY(figure_of(p, slice ? &slice->which : NULL, d, metrics[m], &f, error));
            if (m == 0 && slice) fw_table_cell(table, "%u", f.n);
            figure_cell(table, &f, &fw_metrics[metrics[m]], p->pairs);
        }
        if (times) time_cells(table, p, d);
    }
    return FW_OK;
}

static void add_title(fw_table *table, const char *title, bool right) {
    table->titles[table->columns] = title;
    table->right[table->columns++] = right;
}

static fw_status print_part(const part *p, const fw_evaluate_slice *slices, uint32_t slice_count, bool times,
                            fw_error *error) {
    fw_metric_id metrics[FW_METRIC_COUNT];
    char titles[FW_METRIC_COUNT][32];
    size_t count;
    fw_table table = {0};
    FW_TRY(columns_of(p, metrics, &count, error));
    if (slices) add_title(&table, "slice", false);
    add_title(&table, "driver", false);
    if (slices) add_title(&table, "n", true);
    for (size_t m = 0; m < count; m++) add_title(&table, title_of(&fw_metrics[metrics[m]], titles[m], 32), true);
    static const char *const more[] = {"us median", "us p99", "core-s", "agent-steps"};
    for (int i = 0; times && i < 4; i++) add_title(&table, more[i], true);
    fw_status status = slices ? FW_OK : fill_rows(&table, p, NULL, metrics, count, times, error);
    for (uint32_t i = 0; i < slice_count && status == FW_OK; i++)
        status = fill_rows(&table, p, &slices[i], metrics, count, times, error);
    if (status == FW_OK) fw_table_print(&table, stdout);
    fw_table_clear(&table);
    return status;
}

static void print_head(const fw_evaluation *e, fw_sim_traffic traffic) {
    const fw_score_table *table = &e->score.traffic[traffic];
    printf("%s traffic: %u drives, %u scenarios in %u groups", fw_sim_traffic_name(traffic), table->case_count,
           e->set.count, e->score.cluster_count);
    if (table->left_out > 0) printf("; %u could not begin and are left out", table->left_out);
    printf("\n[95 %% intervals: whole groups resampled]\n\n");
}

static fw_status print_traffic(const fw_evaluation *e, fw_sim_traffic traffic, fw_error *error) {
    part p = {e, traffic, outcomes, COUNT(outcomes), false};
    fw_evaluate_slice slices[FW_EVALUATE_SLICES_MAX];
    print_head(e, traffic);
    FW_TRY(print_part(&p, NULL, 0, false, error));
    p.metrics = manners, p.metric_count = COUNT(manners);
    putchar('\n');
    FW_TRY(print_part(&p, NULL, 0, true, error));
    uint32_t slice_count = e->slices ? fw_evaluate_slices(e, traffic, slices) : 0;
    p.metrics = brief, p.metric_count = COUNT(brief);
    if (slice_count > 0) putchar('\n');
    if (slice_count > 0) FW_TRY(print_part(&p, slices, slice_count, false, error));
    if (e->against_row == FW_EVALUATE_NONE || e->driver_count < 2) return FW_OK;
    printf("\nless %s, on the same drives\n\n", e->drivers[e->against_row].name);
    p.pairs = true, p.metrics = outcomes, p.metric_count = COUNT(outcomes);
    FW_TRY(print_part(&p, NULL, 0, false, error));
    putchar('\n');
    p.metrics = manners, p.metric_count = COUNT(manners);
    return print_part(&p, NULL, 0, false, error);
}

fw_status fw_evaluate_print_tables(const fw_evaluation *e, fw_error *error) {
    bool first = true;
    for (int t = 0; t < FW_SIM_TRAFFIC_COUNT; t++) {
        if (!e->traffic[t]) continue;
        if (!first) printf("\n\n");
        first = false;
        FW_TRY(print_traffic(e, (fw_sim_traffic)t, error));
    }
    return FW_OK;
}
