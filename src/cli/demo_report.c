/* demo_report.c - evidence: which exams there are, and how they are shown; see demo.h */
#include <stdio.h>
#include <string.h>

#include "cli/demo.h"

static const char *const networks[] = {"acosta", "pasubio"};
enum { NETWORKS = sizeof networks / sizeof networks[0] };

void fw_demo_add_exams(fw_demo_exams *exams, const char *policy, const char *label, bool guarded) {
    for (int guard = 0; guard <= (int)guarded; guard++)
        for (size_t i = 0; i < NETWORKS; i++)
            (void)fw_demo_exams_add(exams, policy, label, networks[i], guard != 0);
}

json_t *fw_demo_evals(const fw_demo_exams *exams, const char *policy) {
    json_t *alone = json_array(), *guarded = json_array();
    for (uint32_t i = 0; i < exams->count; i++) {
        const fw_demo_exam *exam = &exams->list[i];
        if (strcmp(exam->policy, policy) == 0 && exam->result)
            json_array_append(exam->guard ? guarded : alone, exam->result);
    }
    return json_pack("{s:o, s:o}", "eval", alone, "eval_guarded", guarded);
}

static void add_vetoes(const json_t *sums, double *vetoes, double *ticks) {
    *vetoes += json_number_value(json_object_get(sums, "vetoes"));
    *ticks += json_number_value(json_object_get(sums, "ticks"));
}

double fw_demo_veto_share(const fw_demo *demo, const char *model) {
    double vetoes = 0, ticks = 0;
    const char *hash = NULL;
    json_t *sums = NULL;
    json_object_foreach(demo->veto_by_model, hash, sums) {
        if (model == NULL || strcmp(hash, model) == 0) add_vetoes(sums, &vetoes, &ticks);
    }
    return ticks > 0 ? vetoes / ticks : 0;
}

static double figure(const json_t *object, const char *name) {
    return json_number_value(json_object_get(object, name));
}

static void print_cell(const json_t *evals, const char *network) {
    const json_t *one = NULL;
    size_t i = 0;
    json_array_foreach((json_t *)(uintptr_t)evals, i, one) {
        const char *name = json_string_value(json_object_get(one, "network"));
        if (name == NULL || strcmp(name, network) != 0) continue;
        printf("  %.3f [%.3f %.3f] %4.0f", figure(one, "clean"), figure(one, "clean_low"),
               figure(one, "clean_high"), figure(one, "drives"));
        return;
    }
    printf("  %-24s", "-");
}

static void print_row(const char *name, const json_t *row) {
    const char *model = json_string_value(json_object_get(row, "model"));
    printf("%-14s %-10.10s", name, model ? model : "");
    static const char *const arms[] = {"eval", "eval_guarded"};
    for (size_t n = 0; n < NETWORKS; n++)
        for (size_t a = 0; a < 2; a++) print_cell(json_object_get(row, arms[a]), networks[n]);
    printf("\n");
}

static void print_loop(const json_t *generations) {
    const json_t *row = NULL;
    size_t i = 0;
    json_array_foreach((json_t *)(uintptr_t)generations, i, row) {
        const char *decision = json_string_value(json_object_get(row, "decision"));
        printf("generation %-3zu %-9s loop %6.1f s, training %6.1f core-s, %9.0f agent-steps, %4.0f "
               "recordings, vetoed %.2f %% of ticks\n", i, decision ? decision : "?",
               figure(row, "loop_s"), figure(row, "train_core_s"), figure(row, "agent_steps"),
               figure(row, "recordings"), 100 * figure(row, "veto_share"));
    }
}

void fw_demo_print_table(const json_t *report) {
    const json_t *generations = json_object_get(report, "generations");
    const json_t *row = NULL;
    json_t *baseline = NULL;
    const char *name = NULL;
    size_t i = 0;
    printf("\nshare of clean drives [95 %% interval] n, in the sealed world\n%-25s", "");
    printf("  %-24s  %-24s  %-24s  %-24s\n", "acosta alone", "acosta guarded", "pasubio alone",
           "pasubio guarded");
    json_array_foreach((json_t *)(uintptr_t)generations, i, row) {
        char label[32];
        snprintf(label, sizeof label, "generation %zu", i);
        print_row(label, row);
    }
    json_object_foreach(json_object_get(report, "baselines"), name, baseline)
        print_row(name, baseline);
    printf("\n");
    print_loop(generations);
    printf("\nveto share %.4f, loops %.1f s in all\n", figure(report, "veto_share"),
           figure(report, "loop_total_s"));
}
