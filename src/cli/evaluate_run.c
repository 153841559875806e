/* What is asked for becomes drivers and scenarios, and is driven. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/env.h"
#include "base/pace.h"
#include "cli/evaluate.h"
#include "cli/stop.h"

enum { SHOW_EVERY_MS = 250, SAY_EVERY_MS = 5000 };

fw_status fw_evaluate_take_models(int *argc, char **argv, fw_evaluation *e, fw_error *error) {
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], "--model") != 0) {
            argv[kept++] = argv[i];
            continue;
        }
        if (i + 1 == *argc) return fw_fail(error, FW_INVALID, "--model needs a value");
        if (e->model_count == FW_SCORE_DRIVERS_MAX)
            return fw_fail(error, FW_INVALID, "over %d models", FW_SCORE_DRIVERS_MAX);
        e->models[e->model_count++] = argv[++i];
    }
    *argc = kept;
    return FW_OK;
}

/* ---- what is said meanwhile ---- */

typedef struct talk {
    const char *phase, *unit;
    bool terminal, begun, shown;
    fw_pace pace;
    int64_t said_ns;
} talk;

static bool report(void *self, uint64_t done, uint64_t total) {
    talk *t = self;
    char words[96] = "";
    int64_t now_ns = fw_env_mono_ns(fw_env_real()), every_ms = t->terminal ? SHOW_EVERY_MS : SAY_EVERY_MS;
    if (!t->begun) fw_pace_start(&t->pace, now_ns, (double)done), t->said_ns = now_ns;
    t->begun = true;
    fw_pace_note(&t->pace, now_ns, (double)done);
    if (now_ns - t->said_ns >= every_ms * 1000000) {
        t->said_ns = now_ns;
        t->shown = true;
        fw_pace_words(fw_pace_per_s(&t->pace), fw_pace_left_s(&t->pace, (double)total), t->unit, words, sizeof words);
        fprintf(stderr, "%s%s: %" PRIu64 " of %" PRIu64 "%s%s%s", t->terminal ? "\r\033[K" : "", t->phase, done, total,
                *words ? ", " : "", words, t->terminal ? "" : "\n");
        fflush(stderr);
    }
    return !fw_cli_stopped;
}

static talk talk_of(const char *phase, const char *unit) {
    return (talk){.phase = phase, .unit = unit, .terminal = isatty(STDERR_FILENO) != 0};
}

static void hush(const talk *t) {
    if (t->shown && t->terminal) fputs("\r\033[K", stderr);
}

/* ---- who drives ---- */

/* Calls take for each word of a list with commas. */
static fw_status each_word(const char *list, fw_evaluation *e, fw_status (*take)(fw_evaluation *, const char *, fw_error *),
                           fw_error *error) {
    char word[64];
    for (const char *at = list; *at;) {
        size_t size = strcspn(at, ",");
        snprintf(word, sizeof word, "%.*s", (int)(size < 60 ? size : 60), at);
        FW_TRY(take(e, word, error));
        at += size + (at[size] == ',');
    }
    return FW_OK;
}

static fw_driver *next_driver(fw_evaluation *e, fw_error *error) {
    if (e->driver_count < FW_SCORE_DRIVERS_MAX) return &e->drivers[e->driver_count];
    (void)fw_fail(error, FW_INVALID, "over %d rows", FW_SCORE_DRIVERS_MAX);
    return NULL;
}

/* The row, and with --guard once more with it. model NULL: a baseline of this name. */
static fw_status add_driver(fw_evaluation *e, const char *name, const char *model, fw_error *error) {
    for (int guarded = 0; guarded <= e->guard; guarded++) {
        fw_driver *driver = next_driver(e, error);
        if (!driver) return FW_INVALID;
        FW_TRY(model ? fw_driver_model(model, driver, error) : fw_driver_baseline(name, driver, error));
        e->driver_count++;
        driver->guard = guarded != 0;
        if (guarded) {
            size_t size = strlen(driver->name), most = sizeof driver->name - sizeof "+guard";
            strcpy(driver->name + (size < most ? size : most), "+guard");
        }
        if (driver->kind == FW_DRIVER_LOG) break;
    }
    return FW_OK;
}

static fw_status add_baseline(fw_evaluation *e, const char *word, fw_error *error) {
    return add_driver(e, word, NULL, error);
}

/* Names tell rows apart: a second of the same gets a number. */
static void tell_apart(fw_evaluation *e) {
    for (uint32_t i = 1; i < e->driver_count; i++) {
        char plain[FW_DRIVER_NAME_MAX];
        uint32_t same = 1;
        strcpy(plain, e->drivers[i].name);
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(e->drivers[k].name, e->drivers[i].name) == 0) {
                snprintf(e->drivers[i].name, sizeof plain, "%.40s#%u", plain, ++same);
                k = UINT32_MAX; /* once more from the first */
            }
    }
}

static fw_status find_against(fw_evaluation *e, fw_error *error) {
    e->against_row = FW_EVALUATE_NONE;
    for (uint32_t i = 0; i < e->driver_count; i++)
        if (strcmp(e->drivers[i].name, e->against ? e->against : "idm") == 0) e->against_row = (int)i;
    if (e->against && e->against_row == FW_EVALUATE_NONE)
        return fw_fail(error, FW_INVALID, "--against %.48s: no row has this name", e->against);
    return FW_OK;
}

static fw_status seat_models(fw_evaluation *e, fw_error *error) {
    for (int i = 0; i < e->model_count; i++) FW_TRY(add_driver(e, NULL, e->models[i], error));
    tell_apart(e);
    return find_against(e, error);
}

static fw_status add_traffic(fw_evaluation *e, const char *word, fw_error *error) {
    bool all = strcmp(word, "all") == 0, found = all;
    for (int t = 0; t < FW_SIM_TRAFFIC_COUNT; t++) {
        bool this = all || strcmp(word, fw_sim_traffic_name((fw_sim_traffic)t)) == 0;
        e->traffic[t] = e->traffic[t] || this;
        found = found || this;
    }
    return found ? FW_OK : fw_fail(error, FW_INVALID, "no traffic '%.40s': replayed, reactive, self-play or all", word);
}

/* ---- the run ---- */

static uint32_t threads_of(const fw_evaluation *e) {
    long own = sysconf(_SC_NPROCESSORS_ONLN);
    if (e->threads > 0) return (uint32_t)e->threads;
    return own < 1 ? 1 : own > 16 ? 16 : (uint32_t)own;
}

static fw_status read_scenarios(fw_evaluation *e, fw_error *error) {
    talk t = talk_of("reading", "files");
    fw_status status = fw_evaluate_read(e, threads_of(e), (fw_score_progress){&t, report}, error);
    hush(&t);
    if (status == FW_OK && e->set.refused > 0)
        fprintf(stderr, "evaluate: %u of %u files make no scenario; the first: %s\n", e->set.refused,
                e->set.refused + e->set.count, e->set.why.text);
    return status;
}

static fw_status drive(fw_evaluation *e, fw_error *error) {
    talk t = talk_of("driving", "drives");
    fw_score_config config = {.scenarios = (const fw_scenario *const *)e->set.items,
                              .scenario_count = e->set.count,
                              .drivers = e->drivers,
                              .driver_count = e->driver_count,
                              .per_group = (uint32_t)e->per_group,
                              .threads = threads_of(e),
                              .seed = e->seed,
                              .progress = {&t, report}};
    memcpy(config.traffic, e->traffic, sizeof config.traffic);
    fw_status status = fw_score_run(&config, &e->score, error);
    hush(&t);
    return status;
}

fw_status fw_evaluate_words(fw_evaluation *e, fw_error *error) {
    FW_TRY(each_word(e->traffics, e, add_traffic, error));
    FW_TRY(each_word(e->baselines, e, add_baseline, error));
    bool nobody = e->driver_count == 0 && e->model_count == 0;
    return nobody ? fw_fail(error, FW_INVALID, "nobody drives: say --model or --baseline") : FW_OK;
}

fw_status fw_evaluate_run(fw_evaluation *e, fw_error *error) {
    fw_cli_catch_stop();
    FW_TRY(seat_models(e, error));
    FW_TRY(read_scenarios(e, error));
    return drive(e, error);
}

void fw_evaluate_clear(fw_evaluation *e) {
    for (uint32_t i = 0; i < e->driver_count; i++) fw_driver_clear(&e->drivers[i]);
    fw_score_set_clear(&e->set);
    fw_score_clear(&e->score);
}
