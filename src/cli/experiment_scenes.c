/* experiment_scenes.c - see experiment_scenes.h */
#include "cli/experiment_scenes.h"

#include <stdlib.h>
#include <string.h>

#include "cli/evaluate.h"
#include "lines/driving/learn/score/metrics.h"

enum { SLICES_MAX = 12, NAME_MAX_BYTES = 40 };

typedef struct slice {
    char name[NAME_MAX_BYTES];
    double drives[FW_EXPERIMENT_RUNS_MAX], clean[FW_EXPERIMENT_RUNS_MAX]; /* by cluster */
} slice;

typedef struct slices {
    uint32_t count, clusters;
    slice list[SLICES_MAX];
} slices;

static void add(slices *s, const char *name, uint32_t cluster, double drives, double clean) {
    uint32_t i = 0;
    while (i < s->count && strcmp(s->list[i].name, name) != 0) i++;
    if (i == SLICES_MAX) return; /* more sites than a report has room for */
    if (i == s->count) snprintf(s->list[s->count++].name, NAME_MAX_BYTES, "%s", name);
    s->list[i].drives[cluster] += drives;
    s->list[i].clean[cluster] += clean;
}

static void add_case(const fw_evaluation *e, const fw_score_table *t, uint32_t c, slices *out) {
    const fw_score_case *one = &t->cases[c];
    const fw_scenario *scenario = e->set.items[one->scenario];
    char name[NAME_MAX_BYTES];
    double top = 0, bottom = 0;
    fw_metrics[FW_METRIC_CLEAN_GOAL].of(&t->drives[0][c], scenario->scene, &top, &bottom);
    if (bottom <= 0) return;
    uint32_t cluster = one->cluster % FW_EXPERIMENT_RUNS_MAX; /* of very many groups some share a place */
    add(out, "scenes", cluster, bottom, top);
    snprintf(name, sizeof name, "scenes %.24s", scenario->tags.site[0] ? scenario->tags.site : "elsewhere");
    add(out, name, cluster, bottom, top);
    snprintf(name, sizeof name, "scenes %s", fw_score_manoeuvre_name(one->manoeuvre));
    add(out, name, cluster, bottom, top);
}

static json_t *slice_json(const slice *s, uint32_t clusters) {
    json_t *drives = json_array(), *clean = json_array();
    double top = 0, bottom = 0;
    for (uint32_t i = 0; i < clusters; i++) {
        json_array_append_new(drives, json_real(s->drives[i]));
        json_array_append_new(clean, json_real(s->clean[i]));
        top += s->clean[i];
        bottom += s->drives[i];
    }
    return json_pack("{s:s, s:b, s:f, s:{s:o, s:o}}", "slice", s->name, "detail", strcmp(s->name, "scenes") != 0,
                     "clean", bottom > 0 ? top / bottom : 0, "per_run", "drives", drives, "clean", clean);
}

static fw_status drive(const fw_experiment *e, const char *model_path, fw_evaluation *evaluation, json_t *list,
                       fw_error *error) {
    slices *s = calloc(1, sizeof *s);
    if (s == NULL) return fw_fail(error, FW_NO_MEMORY, "no memory for scenes");
    *evaluation = (fw_evaluation){.sources = {e->set.suite}, .source_count = 1, .models = {model_path},
                                  .model_count = 1, .baselines = "", .traffics = "reactive", .threads = 1,
                                  .seed = 1};
    fw_status status = fw_evaluate_words(evaluation, error);
    if (status == FW_OK) status = fw_evaluate_run(evaluation, error);
    const fw_score_table *t = &evaluation->score.traffic[FW_SIM_REACTIVE];
    for (uint32_t c = 0; status == FW_OK && c < t->case_count; c++) add_case(evaluation, t, c, s);
    uint32_t clusters = evaluation->score.cluster_count;
    if (clusters > FW_EXPERIMENT_RUNS_MAX) clusters = FW_EXPERIMENT_RUNS_MAX;
    for (uint32_t i = 0; status == FW_OK && i < s->count; i++)
        json_array_append_new(list, slice_json(&s->list[i], clusters));
    free(s);
    return status;
}

fw_status fw_experiment_scenes(const fw_experiment *e, const char *model_path, json_t *list,
                               fw_error *error) {
    fw_evaluation *evaluation = calloc(1, sizeof *evaluation);
    if (evaluation == NULL) return fw_fail(error, FW_NO_MEMORY, "no memory for scenes");
    fw_status status = drive(e, model_path, evaluation, list, error);
    fw_evaluate_clear(evaluation);
    free(evaluation);
    return status;
}
