/* demo_report.c - evidence: which exams there are, and how they are shown; see demo.h */
#include <stdio.h>
#include <string.h>

#include "cli/demo.h"

static const char *const networks[] = {"acosta", "pasubio"};
enum { NETWORKS = sizeof networks / sizeof networks[0] };

void fw_demo_add_exams(fw_demo_exams *exams, const char *policy, const char *label, bool guarded,
                       bool late) {
    for (int guard = 0; guard <= (int)guarded; guard++)
        for (size_t i = 0; i < NETWORKS; i++) {
            uint32_t before = exams->count;
            uint32_t index = fw_demo_exams_add(exams, policy, label, networks[i], guard != 0);
            if (index == before || !late) exams->list[index].late = late;
        }
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

/* The entry of one network in an "eval" or "eval_guarded" list; NULL when it is not there. */
static const json_t *entry_of(const json_t *evals, const char *network) {
    const json_t *one = NULL;
    size_t i = 0;
    json_array_foreach((json_t *)(uintptr_t)evals, i, one) {
        const char *name = json_string_value(json_object_get(one, "network"));
        if (name && strcmp(name, network) == 0) return one;
    }
    return NULL;
}

/* ---- the table ---- */

static void print_cell(FILE *out, const json_t *one) {
    if (one == NULL) {
        fprintf(out, "  %-38s", "-");
        return;
    }
    fprintf(out, "  %.3f [%.3f %.3f] {%.3f %.3f} %4.0f", figure(one, "clean"),
            figure(one, "clean_low"), figure(one, "clean_high"), figure(one, "clean_cluster_low"),
            figure(one, "clean_cluster_high"), figure(one, "drives"));
}

static void print_row(FILE *out, const char *name, const json_t *row) {
    const char *model = json_string_value(json_object_get(row, "model"));
    fprintf(out, "%-14s %-10.10s", name, model ? model : "");
    static const char *const arms[] = {"eval", "eval_guarded"};
    for (size_t n = 0; n < NETWORKS; n++)
        for (size_t a = 0; a < 2; a++)
            print_cell(out, entry_of(json_object_get(row, arms[a]), networks[n]));
    fprintf(out, "\n");
}

static void print_head(FILE *out, const json_t *generations) {
    const json_t *evals = json_object_get(json_array_get(generations, 0), "eval");
    fprintf(out, "\nshare of clean drives in the sealed world: [95 %% Wilson over drives], {95 %% "
            "resampled over %.0f simulation runs}, n drives\n%-25s",
            figure(json_array_get(evals, 0), "runs"), "");
    for (size_t n = 0; n < NETWORKS; n++) {
        char alone[40], guarded[40];
        snprintf(alone, sizeof alone, "%s alone", networks[n]);
        snprintf(guarded, sizeof guarded, "%s guarded", networks[n]);
        fprintf(out, "  %-38s  %-38s", alone, guarded);
    }
    fprintf(out, "\n");
}

/* acosta again, over the drives that never came to the two junctions where SUMO's own boxes overlap. */
static void print_unlisted_row(FILE *out, const char *name, const json_t *row) {
    static const char *const arms[] = {"eval", "eval_guarded"};
    fprintf(out, "%-25s", name);
    for (size_t a = 0; a < 2; a++) {
        const json_t *one = entry_of(json_object_get(row, arms[a]), networks[0]);
        print_cell(out, json_object_get(one, "clean_without_listed_junctions"));
    }
    fprintf(out, "\n");
}

static void print_unlisted(FILE *out, const json_t *report) {
    const json_t *row = NULL;
    json_t *baseline = NULL;
    const char *name = NULL;
    size_t i = 0;
    fprintf(out, "\nacosta without the drives that came to junctions 78 and 51: alone, guarded\n");
    json_array_foreach(json_object_get(report, "generations"), i, row) {
        char label[32];
        snprintf(label, sizeof label, "generation %zu", i);
        print_unlisted_row(out, label, row);
    }
    json_object_foreach(json_object_get(report, "baselines"), name, baseline)
        print_unlisted_row(out, name, baseline);
}

static void print_loop(FILE *out, const json_t *generations) {
    const json_t *row = NULL;
    size_t i = 0;
    json_array_foreach((json_t *)(uintptr_t)generations, i, row) {
        const char *decision = json_string_value(json_object_get(row, "decision"));
        fprintf(out, "generation %-3zu %-9s loop %6.1f s, training %6.1f core-s, %9.0f agent-steps, "
                "%4.0f recordings, vetoed %.2f %% of ticks\n", i, decision ? decision : "?",
                figure(row, "loop_s"), figure(row, "train_core_s"), figure(row, "agent_steps"),
                figure(row, "recordings"), 100 * figure(row, "veto_share"));
    }
}

/* ---- the claims ---- */

/* Two shares by one of their intervals, in words for a above b, below it, and neither. */
static void print_verdict(FILE *out, const json_t *a, const json_t *b, const char *interval,
                          const char *words[3], const char *over) {
    char low[32], high[32];
    snprintf(low, sizeof low, "%s_low", interval);
    snprintf(high, sizeof high, "%s_high", interval);
    if (figure(a, low) > figure(b, high))
        fprintf(out, "%s over %s (low %.3f > high %.3f)", words[0], over, figure(a, low),
                figure(b, high));
    else if (figure(a, high) < figure(b, low))
        fprintf(out, "%s over %s (high %.3f < low %.3f)", words[1], over, figure(a, high),
                figure(b, low));
    else
        fprintf(out, "%s over %s ([%.3f %.3f] and [%.3f %.3f])", words[2], over, figure(a, low),
                figure(a, high), figure(b, low), figure(b, high));
}

/* One line: is the share of `a` apart from that of `b`? By both intervals. */
static void print_claim(FILE *out, const char *network, const char *name, const json_t *a,
                        const json_t *b, const char *words[3]) {
    fprintf(out, "%-8s %s: ", network, name);
    if (a == NULL || b == NULL) {
        fprintf(out, "not examined\n");
        return;
    }
    print_verdict(out, a, b, "clean", words, "drives");
    fprintf(out, ", ");
    print_verdict(out, a, b, "clean_cluster", words, "runs");
    fprintf(out, "\n");
}

static void print_claims(FILE *out, const json_t *report) {
    static const char *apart[] = {"apart", "apart, and worse,", "not apart"};
    static const char *bar[] = {"idm wins", "idm loses", "not apart"};
    const json_t *generations = json_object_get(report, "generations");
    const json_t *baselines = json_object_get(report, "baselines");
    const json_t *first = json_array_get(generations, 0);
    const json_t *last = json_array_get(generations, json_array_size(generations) - 1);
    static const char *const weak[] = {"constant", "untrained"};
    for (size_t n = 0; n < NETWORKS; n++) {
        const json_t *alone = entry_of(json_object_get(last, "eval"), networks[n]);
        const json_t *guarded = entry_of(json_object_get(last, "eval_guarded"), networks[n]);
        const json_t *idm = entry_of(json_object_get(json_object_get(baselines, "idm"), "eval"),
                                     networks[n]);
        print_claim(out, networks[n], "last generation alone against generation 0", alone,
                    entry_of(json_object_get(first, "eval"), networks[n]), apart);
        for (size_t i = 0; i < sizeof weak / sizeof weak[0]; i++) {
            const json_t *row = json_object_get(baselines, weak[i]);
            char name[64];
            snprintf(name, sizeof name, "last generation guarded against %s guarded", weak[i]);
            print_claim(out, networks[n], name, guarded,
                        entry_of(json_object_get(row, "eval_guarded"), networks[n]), apart);
        }
        print_claim(out, networks[n], "idm against last generation, both alone", idm, alone, bar);
        if (idm == NULL || alone == NULL) continue;
        fprintf(out, "%-8s hard brakes per km alone: idm %.3f, last generation %.3f\n", networks[n],
                figure(idm, "hard_brakes_per_km"), figure(alone, "hard_brakes_per_km"));
    }
}

void fw_demo_print_table(FILE *out, const json_t *report) {
    const json_t *generations = json_object_get(report, "generations");
    const json_t *row = NULL;
    json_t *baseline = NULL;
    const char *name = NULL;
    size_t i = 0;
    print_head(out, generations);
    json_array_foreach((json_t *)(uintptr_t)generations, i, row) {
        char label[32];
        snprintf(label, sizeof label, "generation %zu", i);
        print_row(out, label, row);
    }
    json_object_foreach(json_object_get(report, "baselines"), name, baseline)
        print_row(out, name, baseline);
    print_unlisted(out, report);
    fprintf(out, "\n");
    print_loop(out, generations);
    fprintf(out, "\n");
    print_claims(out, report);
    fprintf(out, "\nveto share %.4f, loops %.1f s in all, faults %.0f\n", figure(report, "veto_share"),
            figure(report, "loop_total_s"), figure(report, "faults"));
}
