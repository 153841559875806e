/* An evaluation as JSON: docs/cli.md says what stands where. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>

#include "cli/evaluate.h"

/* JSON has no NaN: null. */
static json_t *number(double value) { return isnan(value) ? json_null() : json_real(value); }

static json_t *figure_json(const fw_figure *f, bool wilson) {
    json_t *out = json_pack("{s:i, s:i, s:o, s:o, s:o}", "n", (int)f->n, "clusters", (int)f->clusters, "value",
                            number(f->value), "low", number(f->cluster.low), "high", number(f->cluster.high));
    if (out && wilson)
        json_object_set_new(out, "wilson", json_pack("[o,o]", number(f->wilson.low), number(f->wilson.high)));
    return out;
}

/* A metric that nothing applies to is null. against -1: the row's own. */
static fw_status metrics_json(const fw_figures *from, uint32_t driver, int against, json_t **out, fw_error *error) {
    json_t *json = json_object();
    for (int m = 0; m < FW_METRIC_COUNT; m++) {
        fw_figure f;
        fw_metric_id metric = (fw_metric_id)m;
        fw_status status = against < 0 ? fw_figure_of(from, driver, metric, &f, error)
                                       : fw_figure_difference(from, driver, (uint32_t)against, metric, &f, error);
        if (status != FW_OK) {
            json_decref(json);
            return status;
        }
        bool wilson = against < 0 && fw_metrics[m].of_drives;
        json_object_set_new(json, fw_metrics[m].name, f.n == 0 ? json_null() : figure_json(&f, wilson));
    }
    *out = json;
    return json ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory for the figures");
}

static json_t *about_driver(const fw_evaluation *e, fw_sim_traffic traffic, uint32_t driver) {
    static const char *const kinds[] = {"log", "straight", "policy"};
    const fw_driver *who = &e->drivers[driver];
    const fw_score_cost *cost = &e->score.traffic[traffic].costs[driver];
    return json_pack("{s:s, s:s, s:s*, s:b, s:{s:o, s:o}, s:{s:o, s:o}}", "driver", who->name, "kind", kinds[who->kind],
                     "sha256", who->policy.hash.hex[0] ? who->policy.hash.hex : NULL, "guard", (int)who->guard,
                     "decision_us", "median", number(fw_score_cost_us(cost, 0.5)), "p99",
                     number(fw_score_cost_us(cost, 0.99)), "training", "core_s", number(who->training_core_s),
                     "agent_steps", number(who->training_agent_steps));
}

static fw_status rows_json(const fw_evaluation *e, const fw_figures *from, bool about, json_t *out, fw_error *error) {
    for (uint32_t d = 0; d < e->driver_count; d++) {
        json_t *metrics;
        FW_TRY(metrics_json(from, d, -1, &metrics, error));
        json_t *row = about ? about_driver(e, from->traffic, d) : json_pack("{s:s}", "driver", e->drivers[d].name);
        json_object_set_new(row, "metrics", metrics);
        json_array_append_new(out, row);
    }
    return FW_OK;
}

static fw_status differences_json(const fw_evaluation *e, const fw_figures *from, json_t *out, fw_error *error) {
    for (uint32_t d = 0; d < e->driver_count && e->against_row != FW_EVALUATE_NONE; d++) {
        json_t *metrics;
        if ((int)d == e->against_row) continue;
        FW_TRY(metrics_json(from, d, e->against_row, &metrics, error));
        json_array_append_new(out, json_pack("{s:s, s:s, s:o}", "driver", e->drivers[d].name, "against",
                                             e->drivers[e->against_row].name, "metrics", metrics));
    }
    return FW_OK;
}

static fw_status slices_json(const fw_evaluation *e, fw_sim_traffic traffic, json_t *out, fw_error *error) {
    fw_evaluate_slice slices[FW_EVALUATE_SLICES_MAX];
    uint32_t count = e->slices ? fw_evaluate_slices(e, traffic, slices) : 0;
    for (uint32_t i = 0; i < count; i++) {
        fw_figures from = fw_evaluate_figures(e, traffic, &slices[i].which);
        json_t *rows = json_array(), *differences = json_array();
        json_array_append_new(out, json_pack("{s:s, s:s, s:o, s:o}", "slice", slices[i].kind, "value", slices[i].value,
                                             "rows", rows, "differences", differences));
        FW_TRY(rows_json(e, &from, false, rows, error));
        FW_TRY(differences_json(e, &from, differences, error));
    }
    return FW_OK;
}

static fw_status traffic_json(const fw_evaluation *e, fw_sim_traffic traffic, json_t *out, fw_error *error) {
    const fw_score_table *table = &e->score.traffic[traffic];
    fw_figures from = fw_evaluate_figures(e, traffic, NULL);
    json_t *rows = json_array(), *differences = json_array(), *slices = json_array();
    json_array_append_new(out, json_pack("{s:s, s:i, s:i, s:o, s:o, s:o}", "traffic", fw_sim_traffic_name(traffic),
                                         "drives", (int)table->case_count, "left_out", (int)table->left_out, "rows",
                                         rows, "differences", differences, "slices", slices));
    FW_TRY(rows_json(e, &from, true, rows, error));
    FW_TRY(differences_json(e, &from, differences, error));
    return slices_json(e, traffic, slices, error);
}

fw_status fw_evaluate_print_json(const fw_evaluation *e, fw_error *error) {
    json_t *traffics = json_array();
    json_t *json = json_pack("{s:i, s:i, s:i, s:i, s:I, s:o}", "format", 1, "scenarios", (int)e->set.count, "refused",
                             (int)e->set.refused, "groups", (int)e->score.cluster_count, "seed", (json_int_t)e->seed,
                             "traffics", traffics);
    fw_status status = json ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory for the figures");
    for (int t = 0; t < FW_SIM_TRAFFIC_COUNT && status == FW_OK; t++)
        if (e->traffic[t]) status = traffic_json(e, (fw_sim_traffic)t, traffics, error);
    if (status == FW_OK) json_dumpf(json, stdout, JSON_COMPACT), putchar('\n');
    json_decref(json);
    return status;
}
