/* flywheel gate trials: how often the gate promotes what is no better, and finds what is. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/args.h"
#include "base/file.h"
#include "base/statistics.h"
#include "cli/cli.h"
#include "cli/gate.h"
#include "cli/stop.h"
#include "cli/table.h"
#include "lines/driving/learn/score/gate_twins.h"

enum { RECORDINGS_MAX = FW_GATE_CLUSTERS_MAX, RECORD_MAX_BYTES = 1 << 20, TWIN_STARTS = 2, TWIN_TICKS = 250 };

typedef struct wish {
    const char *record, *model;
    uint64_t trials, twins, seed, threads;
    bool json, brief;
    const char *recordings[RECORDINGS_MAX];
    int recording_count;
    fw_gate_population population; /* owned */
    fw_gate_talk talk;
    json_t *rows, *power, *epochs; /* what came out; owned */
} wish;

static fw_status read_words(int argc, char **argv, wish *w, fw_error *error) {
    static const char *const flags[] = {"--json", "--short", NULL};
    bool brief = false;
    const fw_arg table[] = {{"--record", FW_ARG_TEXT, &w->record, 1, 500},
                            {"--model", FW_ARG_TEXT, &w->model, 1, 500},
                            {"--trials", FW_ARG_U64, &w->trials, 10, 1000000},
                            {"--seed", FW_ARG_U64, &w->seed, 0, INT64_MAX},
                            {"--threads", FW_ARG_U64, &w->threads, 1, 16},
                            {"--short", FW_ARG_FLAG, &brief, 0, 0},
                            {"--json", FW_ARG_FLAG, &w->json, 0, 0}};
    FW_TRY(fw_cli_words(&argc, argv, flags, w->recordings, RECORDINGS_MAX, &w->recording_count, error));
    FW_TRY(fw_args_parse(argc, argv, table, sizeof table / sizeof *table, error));
    if ((w->model == NULL) != (w->recording_count == 0))
        return fw_fail(error, FW_INVALID, "--model FILE and RECORDING... belong together");
    if (brief) w->trials /= 10, w->twins /= 10;
    return FW_OK;
}

/* ---- the population ---- */

/* For who has no record at hand: a dozen recordings of about four drives, 5 of which tell the two models apart. */
static const fw_gate_pairs usual[] = {{4, 0, 0, 0}, {3, 0, 1, 0}, {4, 0, 0, 0}, {2, 1, 1, 0}, {3, 1, 0, 0}, {4, 0, 0, 0},
                                      {2, 0, 2, 0}, {4, 0, 0, 0}, {3, 0, 0, 1}, {6, 0, 0, 0}, {3, 0, 3, 0}, {4, 0, 0, 0}};

static fw_status take_population(wish *w, fw_error *error) {
    char *text;
    size_t size;
    if (!w->record) {
        w->population.clusters = malloc(sizeof usual);
        if (!w->population.clusters) return fw_fail(error, FW_NO_MEMORY, "no memory for trials");
        memcpy(w->population.clusters, usual, sizeof usual);
        w->population.count = sizeof usual / sizeof *usual;
        return FW_OK;
    }
    FW_TRY(fw_file_read(w->record, RECORD_MAX_BYTES, &text, &size, error));
    fw_status status = fw_gate_population_read(text, size, &w->population, error);
    free(text);
    return status;
}

/* ---- rows ---- */

static json_t *tally_json(const fw_gate_tally *t, uint64_t trials) {
    const fw_interval i = fw_wilson95(t->promoted, trials);
    return json_pack("{s:f,s:f,s:f,s:f,s:f}", "promoted", (double)t->promoted / (double)trials, "low", i.low, "high", i.high,
                     "stopped_early", (double)t->futile / (double)trials, "recordings",
                     (double)t->clusters / (double)trials);
}

static void add_row(json_t *rows, const char *what, uint32_t clusters, double alpha, const fw_gate_trials *t) {
    json_array_append_new(rows, json_pack("{s:s,s:i,s:f,s:I,s:f,s:o,s:o}", "outcomes", what, "suite", (int)clusters, "alpha",
                                          alpha, "trials", (json_int_t)t->trials, "effect", t->mean_difference, "gate",
                                          tally_json(&t->ours, t->trials), "fishtest", tally_json(&t->peer, t->trials)));
}

static fw_gate_trials_config config_of(const wish *w, fw_gate_null kind, uint32_t clusters, double alpha) {
    return (fw_gate_trials_config){.population = &w->population, .kind = kind, .trials = (uint32_t)w->trials,
                                   .clusters = clusters, .alpha = alpha, .beta = fw_gate_usual.beta,
                                   .delta = fw_gate_usual.delta, .seed = w->seed};
}

static bool say(wish *w, double done, double total) { return fw_gate_say(&w->talk, done, total); }

/* False promotions: each kind of null, small and large suites; the gate's own alpha, and an epoch's first place. */
static bool nulls(wish *w) {
    static const char *const names[] = {[FW_GATE_MEASURED] = "measured pairs", [FW_GATE_SKEWED] = "skewed",
                                        [FW_GATE_COINS] = "coins"};
    static const uint32_t suites[] = {20, 40, 120};
    for (int kind = 0; kind < 3; kind++)
        for (size_t s = 0; s < 3; s++) {
            fw_gate_trials_config c = config_of(w, (fw_gate_null)kind, suites[s], fw_gate_usual.alpha);
            fw_gate_trials got = fw_gate_trials_run(&c);
            add_row(w->rows, names[kind], suites[s], c.alpha, &got);
            if (!say(w, 3.0 * kind + (double)s + 1, 9)) return false;
        }
    return true;
}

static bool power(wish *w) {
    static const double effects[] = {0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4};
    static const uint32_t suites[] = {20, 40, 120};
    const double most = fw_gate_effect_most(&w->population), alpha = fw_gate_alpha(fw_gate_usual.alpha, 1, 0);
    for (size_t e = 0; e < sizeof effects / sizeof *effects && effects[e] <= most; e++)
        for (size_t s = 0; s < 3; s++) {
            fw_gate_trials_config c = config_of(w, FW_GATE_MEASURED, suites[s], alpha);
            c.effect = effects[e];
            fw_gate_trials got = fw_gate_trials_run(&c);
            got.mean_difference = effects[e];
            add_row(w->power, "measured pairs", suites[s], alpha, &got);
            if (!say(w, 3.0 * (double)e + (double)s, 24)) return false;
        }
    return true;
}

/* Whole epochs of twenty candidates: none of them better, every fourth, every second. */
static bool epochs(wish *w) {
    static const uint32_t every[] = {0, 4, 2};
    for (size_t i = 0; i < 3; i++) {
        fw_gate_trials_config c = config_of(w, FW_GATE_MEASURED, 120, fw_gate_usual.alpha);
        c.effect = fmin(0.1, fw_gate_effect_most(&w->population));
        const fw_gate_epochs got = fw_gate_epochs_run(&c, every[i]);
        const fw_interval with = fw_wilson95(got.with_false, got.epochs);
        json_array_append_new(w->epochs, json_pack("{s:i,s:f,s:I,s:f,s:f,s:f,s:f,s:f}", "better_every", (int)every[i],
                                                   "effect", c.effect, "epochs", (json_int_t)got.epochs, "promotions",
                                                   (double)got.promotions / (double)got.epochs, "false_share",
                                                   got.false_share, "with_false",
                                                   (double)got.with_false / (double)got.epochs, "low", with.low, "high",
                                                   with.high));
        if (!say(w, (double)i, 3)) return false;
    }
    return true;
}

static fw_status twins(wish *w, fw_error *error) {
    fw_gate_twins got;
    char what[80];
    w->talk = (fw_gate_talk){.what = "the same weights on independent seeds: trial", .unit = "trials"};
    const fw_gate_twins_config config = {.recordings = w->recordings, .recording_count = (uint32_t)w->recording_count,
                                         .model_path = w->model, .trials = (uint32_t)w->twins, .starts = TWIN_STARTS,
                                         .ticks = TWIN_TICKS, .alpha = fw_gate_usual.alpha, .beta = fw_gate_usual.beta,
                                         .delta = fw_gate_usual.delta, .threads = (uint32_t)w->threads, .seed = w->seed,
                                         .progress = {&w->talk, fw_gate_report, NULL}};
    FW_TRY(fw_gate_twins_run(&config, &got, error));
    snprintf(what, sizeof what, "same weights, clean %.2f, differ %.2f", got.clean, got.discordant);
    add_row(w->rows, what, got.recordings, config.alpha, &got.trials);
    return FW_OK;
}

static fw_status run(wish *w, fw_error *error) {
    w->rows = json_array(), w->power = json_array(), w->epochs = json_array();
    FW_TRY(take_population(w, error));
    w->talk = (fw_gate_talk){.what = "drawn outcomes: part", .unit = "parts"};
    if (!nulls(w) || !power(w) || !epochs(w)) return fw_fail(error, FW_INTERRUPTED, "interrupted");
    if (w->model) FW_TRY(twins(w, error));
    fw_gate_hush(&w->talk);
    return FW_OK;
}

/* ---- for people ---- */

static double in(const json_t *row, const char *group, const char *name) {
    return json_number_value(json_object_get(group ? json_object_get(row, group) : row, name));
}

static void print_rows(const char *title, const json_t *rows, bool effect) {
    const json_t *row = NULL;
    size_t i = 0;
    fw_table t = {.columns = 9,
                  .titles = {"outcomes", effect ? "effect" : "alpha", "suite", "trials", "promoted", "95 %",
                             "mean recordings", "Fishtest's", "95 %"},
                  .right = {false, true, true, true, true, false, true, true, false}};
    json_array_foreach((json_t *)(uintptr_t)rows, i, row) {
        fw_table_cell(&t, "%s", json_string_value(json_object_get(row, "outcomes")));
        fw_table_cell(&t, "%.3g", in(row, NULL, effect ? "effect" : "alpha"));
        fw_table_cell(&t, "%.0f", in(row, NULL, "suite"));
        fw_table_cell(&t, "%.0f", in(row, NULL, "trials"));
        fw_table_cell(&t, "%.4f", in(row, "gate", "promoted"));
        fw_table_cell(&t, "[%.4f %.4f]", in(row, "gate", "low"), in(row, "gate", "high"));
        fw_table_cell(&t, "%.1f", in(row, "gate", "recordings"));
        fw_table_cell(&t, "%.4f", in(row, "fishtest", "promoted"));
        fw_table_cell(&t, "[%.4f %.4f]", in(row, "fishtest", "low"), in(row, "fishtest", "high"));
    }
    printf("%s\n", title);
    fw_table_print(&t, stdout);
    fw_table_clear(&t);
}

static void print_epochs(const json_t *rows) {
    const json_t *row = NULL;
    size_t i = 0;
    fw_table t = {.columns = 6,
                  .titles = {"better, of 20", "epochs", "promotions", "false share", "with a false one", "95 %"},
                  .right = {true, true, true, true, true, false}};
    json_array_foreach((json_t *)(uintptr_t)rows, i, row) {
        const double every = in(row, NULL, "better_every");
        fw_table_cell(&t, "%.0f by %.2g", every > 0 ? floor(FW_GATE_PLACES / every) : 0, in(row, NULL, "effect"));
        fw_table_cell(&t, "%.0f", in(row, NULL, "epochs"));
        fw_table_cell(&t, "%.2f", in(row, NULL, "promotions"));
        fw_table_cell(&t, "%.4f", in(row, NULL, "false_share"));
        fw_table_cell(&t, "%.4f", in(row, NULL, "with_false"));
        fw_table_cell(&t, "[%.4f %.4f]", in(row, NULL, "low"), in(row, NULL, "high"));
    }
    puts("\nepochs of 20 candidates on 120 recordings, levels by e-LOND");
    fw_table_print(&t, stdout);
    fw_table_clear(&t);
}

static void print_all(const wish *w) {
    if (w->json) {
        json_t *all = json_pack("{s:s,s:I,s:O,s:O,s:O}", "population", w->record ? w->record : "usual", "seed",
                                (json_int_t)w->seed, "nulls", w->rows, "power", w->power, "epochs", w->epochs);
        json_dumpf(all, stdout, JSON_COMPACT);
        fputc('\n', stdout);
        json_decref(all);
        return;
    }
    printf("pairs of drives drawn from %s (%u recordings, mean distance %.3f), seed %llu; beta %.2g, delta %.2g\n\n",
           w->record ? w->record : "a usual decision", w->population.count, fw_gate_effect_most(&w->population),
           (unsigned long long)w->seed, fw_gate_usual.beta, fw_gate_usual.delta);
    print_rows("no better (false promotions)", w->rows, false);
    print_rows("\nbetter by this much (power), first place of an epoch: alpha_t 0.025", w->power, true);
    print_epochs(w->epochs);
}

int fw_gate_trials_verb(int argc, char **argv) {
    fw_error error = {""};
    wish *w = calloc(1, sizeof *w);
    if (!w) return fw_cli_fail(&(fw_error){"no memory"});
    w->trials = 2000, w->twins = 500, w->seed = w->threads = 1;
    int exit_status = FW_CLI_DONE;
    if (read_words(argc, argv, w, &error) != FW_OK) {
        exit_status = fw_cli_usage("gate", &error);
    } else {
        fw_cli_catch_stop();
        if (run(w, &error) == FW_OK) print_all(w);
        else exit_status = fw_cli_fail(&error);
    }
    json_decref(w->rows);
    json_decref(w->power);
    json_decref(w->epochs);
    fw_gate_population_clear(&w->population);
    free(w);
    return exit_status;
}
