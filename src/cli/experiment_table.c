/* experiment_table.c - a report for people, as Markdown; see experiment.h */
#include <math.h>
#include <string.h>

#include "cli/experiment.h"
#include "cli/table.h"

static double number(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static const char *text(const json_t *object, const char *name) {
    const char *value = json_string_value(json_object_get(object, name));
    return value ? value : "";
}

/* A share as 0.873, or "-". */
static void share_cell(fw_table *t, double value) {
    if (isfinite(value)) fw_table_cell(t, "%.3f", value);
    else fw_table_cell(t, "-");
}

static void count_cell(fw_table *t, double value) {
    if (isfinite(value)) fw_table_cell(t, "%.0f", value);
    else fw_table_cell(t, "-");
}

static void rate_cell(fw_table *t, double value) {
    if (isfinite(value)) fw_table_cell(t, "%.1f", value);
    else fw_table_cell(t, "-");
}

static void finish(fw_table *t, FILE *out) {
    fw_table_print(t, out);
    fw_table_clear(t);
}

/* Tables stand in fences, so that the same text is a page and a terminal's. */
static void head(FILE *out, const char *title, const char *words) {
    fprintf(out, "\n## %s\n\n%s\n\n```\n", title, words);
}

static void print_rows(const json_t *report, FILE *out) {
    fw_table t = {.columns = 11,
                  .titles = {"gen", "arm", "clean", "living clean", "fail/car-h", "veto share", "windows",
                             "kB up", "share up", "k steps", "promoted"},
                  .right = {true, false, true, true, true, true, true, true, true, true, true}};
    json_t *row = NULL;
    size_t i = 0;
    head(out, "Generations",
         "`clean`: sealed drives of the model that came out, policy alone, mean over slices and seeds. `living "
         "clean`: drives of\nthe generation's living phase, by the model that came in, with its guard, before "
         "anything of it was learned.");
    json_array_foreach(json_object_get(report, "rows"), i, row) {
        count_cell(&t, number(row, "generation"));
        fw_table_cell(&t, "%s", text(row, "arm"));
        share_cell(&t, number(row, "clean"));
        share_cell(&t, number(row, "living_clean"));
        if (isfinite(number(row, "failures_per_car_hour")))
            fw_table_cell(&t, "%.1f", number(row, "failures_per_car_hour"));
        else fw_table_cell(&t, "-");
        share_cell(&t, number(row, "veto_share"));
        count_cell(&t, number(row, "captures"));
        count_cell(&t, number(row, "uploaded_bytes") / 1000);
        share_cell(&t, number(row, "uploaded_bytes") / number(row, "recorded_bytes"));
        count_cell(&t, number(row, "agent_steps") / 1000);
        fw_table_cell(&t, "%.0f/%.0f", number(row, "promoted"), number(row, "seeds"));
    }
    finish(&t, out);
    fputs("```\n", out);
}

static void print_differences(const json_t *report, FILE *out) {
    fw_table t = {.columns = 6, .titles = {"difference", "of", "generations", "mean", "95 %", ""},
                  .right = {false, false, false, true, true, false}};
    json_t *row = NULL;
    size_t i = 0;
    head(out, "Differences of clean shares",
         "Bootstrap at two levels: seeds, and within a seed the sealed simulation runs, the same for both arms; "
         "widened for few seeds.");
    json_array_foreach(json_object_get(report, "differences"), i, row) {
        fw_table_cell(&t, "%s", text(row, "what"));
        fw_table_cell(&t, "%s", text(row, "figure"));
        fw_table_cell(&t, "%s", strcmp(text(row, "when"), "last") == 0 ? "the last" : "mean");
        if (isfinite(number(row, "mean"))) fw_table_cell(&t, "%+.3f", number(row, "mean"));
        else fw_table_cell(&t, "-");
        if (isfinite(number(row, "low")))
            fw_table_cell(&t, "[%+.3f %+.3f]", number(row, "low"), number(row, "high"));
        else fw_table_cell(&t, "-");
        fw_table_cell(&t, "%s", json_is_true(json_object_get(row, "apart")) ? "apart" : "not apart");
    }
    finish(&t, out);
    fputs("```\n", out);
}

static double nth(const json_t *row, const char *name, size_t i) {
    const json_t *value = json_array_get(json_object_get(row, name), i);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static void print_shifts(const json_t *report, FILE *out) {
    fw_table t = {.columns = 12,
                  .titles = {"shift", "from", "arm", "before", "dip", "at the end", "vetoes before", "then",
                             "at the end", "windows/car-h before", "then", "at the end"},
                  .right = {false, true, false, true, true, true, true, true, true, true, true, true}};
    json_t *row = NULL;
    size_t i = 0;
    if (json_array_size(json_object_get(report, "shifts")) == 0) return;
    head(out, "Shifts", "Clean share of the living phase, share of ticks with a veto, which triggers a capture, and "
         "windows uploaded (no more\nthan the budget allows): in the generation before a change of the city, in its "
         "first, and in the last. Changes stay,\nso that later ones weigh on the last, too.");
    json_array_foreach(json_object_get(report, "shifts"), i, row) {
        fw_table_cell(&t, "%s", text(row, "shift"));
        count_cell(&t, number(row, "generation"));
        fw_table_cell(&t, "%s", text(row, "arm"));
        for (size_t k = 0; k < 3; k++) share_cell(&t, nth(row, "living_clean", k));
        for (size_t k = 0; k < 3; k++) share_cell(&t, nth(row, "veto_share", k));
        for (size_t k = 0; k < 3; k++) rate_cell(&t, nth(row, "windows_per_car_hour", k));
    }
    finish(&t, out);
    fputs("```\n", out);
}

static void print_fixes(const json_t *report, FILE *out) {
    fw_table t = {.columns = 5, .titles = {"arm", "windows", "failures", "fixed", "median generations"},
                  .right = {false, true, true, true, true}};
    json_t *row = NULL;
    size_t i = 0;
    head(out, "From a failure to a fleet that passes it",
         "Captured windows driven again, guarded, by the model that drove then (failures) and by every later one.");
    json_array_foreach(json_object_get(report, "fixes"), i, row) {
        fw_table_cell(&t, "%s", text(row, "arm"));
        count_cell(&t, number(row, "windows"));
        count_cell(&t, number(row, "failures"));
        count_cell(&t, number(row, "fixed"));
        count_cell(&t, number(row, "median_generations"));
    }
    finish(&t, out);
    fputs("```\n", out);
}

static void print_memory(const json_t *report, FILE *out) {
    json_t *row = NULL, *share = NULL;
    size_t i = 0, g = 0;
    head(out, "Slices: clean share after each generation",
         "forgotten: the best before the last generation less the last; transfer: the last less the first.");
    fprintf(out, "%-8s %-24s", "arm", "slice");
    json_array_foreach(json_object_get(json_array_get(json_object_get(report, "memory"), 0), "clean"), g, share)
        fprintf(out, "  gen %-2zu", g + 1);
    fputs("  forgotten  transfer\n", out);
    json_array_foreach(json_object_get(report, "memory"), i, row) {
        fprintf(out, "%-8s %-24s", text(row, "arm"), text(row, "slice"));
        json_array_foreach(json_object_get(row, "clean"), g, share)
            if (json_is_number(share)) fprintf(out, "  %6.3f", json_number_value(share));
            else fprintf(out, "  %6s", "-");
        fprintf(out, "  %9.3f  %+8.3f\n", number(row, "forgotten"), number(row, "backward_transfer"));
    }
    fputs("```\n", out);
}

static void print_budgets(const json_t *report, FILE *out) {
    fw_table t = {.columns = 5, .titles = {"arm", "uploaded", "recorded", "share", "agent-steps"},
                  .right = {false, true, true, true, true}};
    json_t *row = NULL;
    size_t i = 0;
    head(out, "Budgets from generation 2 on, all seeds", "Equal for loop and random: bytes as nearly as whole "
         "windows allow, agent-steps exactly.");
    json_array_foreach(json_object_get(report, "budgets"), i, row) {
        fw_table_cell(&t, "%s", text(row, "arm"));
        fw_table_cell(&t, "%.0f", number(row, "uploaded_bytes"));
        fw_table_cell(&t, "%.0f", number(row, "recorded_bytes"));
        share_cell(&t, number(row, "uploaded_share"));
        fw_table_cell(&t, "%.0f", number(row, "agent_steps"));
    }
    finish(&t, out);
    fputs("```\n", out);
}

static void print_costs(const json_t *report, FILE *out) {
    fw_table t = {.columns = 5, .titles = {"arm", "training core-s", "living s", "learning s", "exams s"},
                  .right = {false, true, true, true, true}};
    json_t *row = NULL;
    size_t i = 0;
    head(out, "Times", "Of the machine that ran it: the only figures that another run does not repeat.");
    json_array_foreach(json_object_get(report, "costs"), i, row) {
        fw_table_cell(&t, "%s", text(row, "arm"));
        fw_table_cell(&t, "%.1f", number(row, "training_core_s"));
        fw_table_cell(&t, "%.1f", number(row, "living_wall_s"));
        fw_table_cell(&t, "%.1f", number(row, "learning_wall_s"));
        fw_table_cell(&t, "%.1f", number(row, "exam_wall_s"));
    }
    finish(&t, out);
    fputs("```\n", out);
}

void fw_experiment_print(const json_t *report, FILE *out) {
    const json_t *s = json_object_get(report, "settings");
    fprintf(out, "# Experiment: %.0f seeds from %.0f, %.0f generations, %.0f cars, %.0f ticks, %.0f agent-steps\n",
            number(s, "seeds"), number(s, "seed"), number(s, "generations"), number(s, "cars"),
            number(s, "ticks"), number(s, "agent_steps"));
    if (json_is_true(json_object_get(s, "short"))) fputs("\nSmoke test: claims nothing.\n", out);
    fw_experiment_say(report, out);
    print_rows(report, out);
    print_differences(report, out);
    print_shifts(report, out);
    print_memory(report, out);
    print_fixes(report, out);
    print_budgets(report, out);
    print_costs(report, out);
}
