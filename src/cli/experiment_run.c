/* experiment_run.c - cells as child processes, side by side; see experiment.h */
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/pace.h"
#include "cli/demo.h"
#include "cli/experiment.h"

enum { POLL_MS = 100, STOP_MS = 30000, SAY_EVERY_S = 30 };

typedef struct crew {
    const fw_experiment *e;
    uint32_t count;  /* of cells */
    bool *done;      /* (count) */
    uint32_t finished;
    fw_child child[FW_EXPERIMENT_JOBS_MAX];
    uint32_t cell_of[FW_EXPERIMENT_JOBS_MAX];
    fw_pace pace;
    int64_t said_ns;
} crew;

static int64_t now_ns(void) { return fw_env_mono_ns(fw_env_real()); }

/* ---- talk ---- */

static void say(crew *c, const char *what) {
    char words[96];
    fw_pace_words(fw_pace_per_s(&c->pace), fw_pace_left_s(&c->pace, c->count), "cells", words, sizeof words);
    fprintf(stderr, "  %u of %u cells done%s%s%s%s\n", c->finished, c->count, words[0] ? ", " : "", words,
            what[0] ? ": " : "", what);
    c->said_ns = now_ns();
}

/* Mean wall time of the done cells of an arm, in seconds; NaN: none. */
static double mean_s(const fw_experiment *e, fw_experiment_arm arm) {
    double sum = 0, count = 0;
    for (uint32_t i = 0; i < fw_experiment_cells(e); i++) {
        fw_experiment_cell cell = fw_experiment_cell_at(e, i);
        json_t *result = NULL;
        fw_error ignored;
        if (cell.arm != arm || !fw_experiment_done(e, &cell)) continue;
        if (fw_experiment_result(e, &cell, &result, &ignored) != FW_OK) continue;
        const char *name = NULL;
        json_t *part = NULL;
        json_object_foreach(json_object_get(result, "seconds"), name, part) sum += json_number_value(part);
        json_decref(result);
        count++;
    }
    return count > 0 ? sum / count : NAN;
}

/* Core-seconds of a cell before any was measured, from rates of a 2-core Zen 3 machine at 16 cars. */
static double guess_s(const fw_experiment *e, fw_experiment_arm arm) {
    const fw_experiment_settings *s = &e->set;
    double living = 6 + (double)(s->ticks * s->cars) / 1500, training = (double)s->agent_steps / 65000;
    double exam = 9 * (double)s->exam_runs + (double)s->exam_drives / 10; /* of both cities */
    return arm == FW_EXPERIMENT_FROZEN ? living : living + training + exam;
}

static void say_estimate(const crew *c) {
    double sum = 0;
    bool measured = true;
    for (uint32_t i = 0; i < c->count; i++) {
        fw_experiment_arm arm = fw_experiment_cell_at(c->e, i).arm;
        double one = mean_s(c->e, arm);
        measured = measured && isfinite(one);
        if (!c->done[i]) sum += isfinite(one) ? one : guess_s(c->e, arm);
    }
    fprintf(stderr, "  about %.0f min with %" PRIu64 " side by side (%s)\n",
            ceil(sum / (double)c->e->jobs / 60), c->e->jobs,
            measured ? "by the cells that are done" : "a guess, until every arm has a cell done");
}

/* ---- children ---- */

static void log_path(const fw_experiment *e, const fw_experiment_cell *cell, char out[FW_PATH_MAX]) {
    char name[FW_EXPERIMENT_NAME_MAX];
    fw_experiment_cell_name(cell, name);
    for (char *p = name; *p; p++)
        if (*p == '/') *p = '_';
    snprintf(out, FW_PATH_MAX, "%.300s/logs/%s.log", e->root, name);
}

static fw_status start(crew *c, uint32_t job, uint32_t index, fw_error *error) {
    const fw_experiment_cell cell = fw_experiment_cell_at(c->e, index);
    char name[FW_EXPERIMENT_NAME_MAX], log[FW_PATH_MAX];
    fw_experiment_cell_name(&cell, name);
    log_path(c->e, &cell, log);
    const char *const argv[] = {c->e->program, "experiment", "--data", c->e->root, "--cell", name, NULL};
    const fw_child_spec spec = {.name = "cell", .argv = argv, .log_path = log};
    c->cell_of[job] = index;
    return fw_child_start(&spec, &c->child[job], error);
}

static fw_status collect(crew *c, uint32_t job, fw_error *error) {
    const fw_experiment_cell cell = fw_experiment_cell_at(c->e, c->cell_of[job]);
    char name[FW_EXPERIMENT_NAME_MAX], log[FW_PATH_MAX], words[240];
    fw_experiment_cell_name(&cell, name);
    if (fw_child_succeeded(&c->child[job]) && fw_experiment_done(c->e, &cell)) {
        c->done[c->cell_of[job]] = true;
        fw_pace_note(&c->pace, now_ns(), ++c->finished);
        say(c, name);
        return FW_OK;
    }
    log_path(c->e, &cell, log);
    fw_child_last_words(log, words, sizeof words);
    return fw_fail(error, FW_IO, "cell %s failed: %s (%s)", name, words, log);
}

static bool in_hand(const crew *c, uint32_t index) {
    for (uint32_t j = 0; j < c->e->jobs; j++)
        if (c->child[j].pid && c->cell_of[j] == index) return true;
    return false;
}

/* The first cell that could be started; count: none. */
static uint32_t next_cell(const crew *c) {
    for (uint32_t i = 0; i < c->count; i++) {
        const fw_experiment_cell cell = fw_experiment_cell_at(c->e, i);
        if (!c->done[i] && !in_hand(c, i) && fw_experiment_ready(c->e, &cell)) return i;
    }
    return c->count;
}

static fw_status round_of(crew *c, fw_error *error) {
    for (uint32_t j = 0; j < c->e->jobs; j++) {
        if (c->child[j].pid && !fw_child_running(&c->child[j])) FW_TRY(collect(c, j, error));
        if (c->child[j].pid) continue;
        uint32_t index = next_cell(c);
        if (index < c->count) FW_TRY(start(c, j, index, error));
    }
    return FW_OK;
}

static fw_status work(crew *c, fw_error *error) {
    for (uint32_t i = 0; i < c->count; i++) {
        const fw_experiment_cell cell = fw_experiment_cell_at(c->e, i);
        c->done[i] = fw_experiment_done(c->e, &cell);
        c->finished += c->done[i];
    }
    if (c->finished < c->count) say_estimate(c);
    fw_pace_start(&c->pace, now_ns(), c->finished);
    c->said_ns = now_ns();
    while (c->finished < c->count) {
        if (fw_demo_stopping()) return fw_fail(error, FW_INTERRUPTED, "stopped; the same command goes on");
        FW_TRY(round_of(c, error));
        if (now_ns() - c->said_ns > SAY_EVERY_S * INT64_C(1000000000)) say(c, "");
        fw_env_sleep_ns(fw_env_real(), POLL_MS * INT64_C(1000000));
    }
    return FW_OK;
}

fw_status fw_experiment_run(const fw_experiment *e, fw_error *error) {
    crew *c = calloc(1, sizeof *c);
    bool *done = calloc(fw_experiment_cells(e), sizeof *done);
    fw_status status = FW_NO_MEMORY;
    if (c && done) {
        c->e = e;
        c->count = fw_experiment_cells(e);
        c->done = done;
        status = work(c, error);
        for (uint32_t j = 0; j < e->jobs; j++) fw_child_stop(&c->child[j], SIGTERM, STOP_MS);
    } else {
        status = fw_fail(error, FW_NO_MEMORY, "no memory for the cells");
    }
    free(done);
    free(c);
    return status;
}
