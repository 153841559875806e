/* gate_print.c - a decision for people, and progress on stderr. */
#include <math.h>
#include <unistd.h>

#include "base/env.h"
#include "cli/gate.h"
#include "cli/stop.h"
#include "cli/table.h"

static double figure(const json_t *row, const char *name) {
    const json_t *value = json_object_get(row, name);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static const char *text(const json_t *row, const char *name) {
    const char *value = json_string_value(json_object_get(row, name));
    return value ? value : "";
}

static void print_slices(const json_t *rows, FILE *out) {
    json_t *row = NULL;
    size_t i = 0;
    fw_table t = {.columns = 5, .titles = {"slice", "recordings", "drives", "difference", "verdict"},
                  .right = {false, true, true, true, false}};
    json_array_foreach((json_t *)(uintptr_t)rows, i, row) {
        fw_table_cell(&t, "%s", text(row, "slice"));
        fw_table_cell(&t, "%.0f", figure(row, "recordings"));
        fw_table_cell(&t, "%.0f", figure(row, "drives"));
        fw_table_cell(&t, "%+.3f", figure(row, "difference"));
        fw_table_cell(&t, "%s", text(row, "verdict"));
    }
    if (i > 0) fw_table_print(&t, out);
    fw_table_clear(&t);
}

static void print_limits(const json_t *rows, FILE *out) {
    json_t *row = NULL;
    size_t i = 0;
    fw_table t = {.columns = 4, .titles = {"limit", "value", "bound", ""}, .right = {false, true, false, false}};
    json_array_foreach((json_t *)(uintptr_t)rows, i, row) {
        fw_table_cell(&t, "%s", text(row, "limit"));
        fw_table_cell(&t, "%.4g %s", figure(row, "value"), text(row, "unit"));
        fw_table_cell(&t, "%s %.4g", text(row, "wanted"), figure(row, "bound"));
        fw_table_cell(&t, "%s", json_is_true(json_object_get(row, "held")) ? "held" : "BROKEN");
    }
    if (i > 0) fw_table_print(&t, out);
    fw_table_clear(&t);
}

void fw_gate_print(const json_t *record, FILE *out) {
    const json_t *primary = json_object_get(record, "primary"), *suite = json_object_get(record, "suite");
    const json_t *hypotheses = json_object_get(record, "hypotheses");
    fprintf(out, "%s: %s\n", json_is_true(json_object_get(record, "promote")) ? "promoted" : "refused",
            text(record, "reason"));
    fprintf(out, "suite %.12s, epoch %.0f, place %.0f: alpha_t %.4g, an e-value of %.4g is wanted\n", text(suite, "hash"),
            figure(suite, "epoch"), figure(suite, "place"), figure(hypotheses, "alpha_t"), figure(hypotheses, "e_wanted"));
    fprintf(out, "%s after %.0f of %.0f recordings; mean difference %+.3f; e-value %.3g against H0, %.3g against H1\n",
            text(primary, "outcome"), figure(primary, "decided_at"), figure(primary, "recordings"),
            figure(primary, "mean_difference"), exp(figure(primary, "log_e")), exp(figure(primary, "futile_log_e")));
    print_slices(json_object_get(record, "slices"), out);
    print_limits(json_object_get(record, "limits"), out);
}

/* ---- progress ---- */

bool fw_gate_say(fw_gate_talk *talk, double done, double total) {
    char words[96] = "";
    const int64_t now_ns = fw_env_mono_ns(fw_env_real());
    if (fw_cli_stopped) return false;
    if (!talk->begun) fw_pace_start(&talk->pace, now_ns, done);
    else fw_pace_note(&talk->pace, now_ns, done);
    talk->begun = true;
    if (!isatty(STDERR_FILENO)) return true;
    fw_pace_words(fw_pace_per_s(&talk->pace), fw_pace_left_s(&talk->pace, total), talk->unit, words, sizeof words);
    fprintf(stderr, "\r\033[K%s %.0f of %.0f%s%s", talk->what, done, total, words[0] ? ", " : "", words);
    return true;
}

void fw_gate_hush(fw_gate_talk *talk) {
    if (talk->begun && isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
    talk->begun = false;
}

bool fw_gate_report(void *self, const char *phase, uint64_t done, uint64_t total, double reward) {
    (void)phase, (void)reward;
    return fw_gate_say(self, (double)done, (double)total);
}
