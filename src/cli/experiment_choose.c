/* experiment_choose.c - see experiment_choose.h */
#include "cli/experiment_choose.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/random.h"

enum { WAIT_MS = 60000, POLL_MS = 50, HELD_OUT_EVERY = 4, PRIORITY = 90, TICKS_PER_S = 10,
       HELD_FROM_S = 8, HELD_SPAN_S = 13 };
#define WINDOW_S (FW_EXPERIMENT_BEFORE_S + FW_EXPERIMENT_AFTER_S)
#define SAMPLE_MIN 1e-6

static const char trigger_text[] =
    "/event.impact or /event.low_ttc or /event.veto or /event.hard_brake or /event.uncertain";
static const char always_text[] = "/ego.speed_mps >= 0";

static bool held_out(uint32_t unit) { return unit % HELD_OUT_EVERY == HELD_OUT_EVERY - 1; }

/* ---- how much ---- */

static double driven_s(const fw_experiment *e) {
    return (double)e->set.cars * (double)e->set.ticks / TICKS_PER_S;
}

/* A unit's place in the draw among those of its kind: how many come before it. */
static uint32_t place_of(const fw_experiment *e, const fw_experiment_cell *cell, uint32_t unit) {
    char name[48];
    snprintf(name, sizeof name, "windows/%" PRIu64, cell->generation);
    const uint64_t draw = fw_seed_mix(cell->seed, name);
    const uint64_t own = fw_random_indexed(draw, unit).state;
    uint32_t before = 0;
    for (uint32_t i = 0; i < e->set.cars; i++) {
        uint64_t other = fw_random_indexed(draw, i).state;
        bool first = other < own || (other == own && i < unit);
        before += held_out(i) == held_out(unit) && i != unit && first;
    }
    return before;
}

uint32_t fw_experiment_windows(const fw_experiment *e, const fw_experiment_cell *cell, uint32_t unit) {
    const uint32_t cars = (uint32_t)e->set.cars, held = cars / HELD_OUT_EVERY;
    double all = floor(driven_s(e) * (double)e->set.share_percent / 100 / WINDOW_S + 0.5);
    double for_held = fmax(1, floor(all / HELD_OUT_EVERY + 0.5));
    double part = held_out(unit) ? for_held : fmax(1, all - for_held);
    uint32_t kind = held_out(unit) ? held : cars - held, windows = (uint32_t)part;
    return windows / kind + (place_of(e, cell, unit) < windows % kind);
}

/* Sums of a seed's arm over generations from..to. */
static fw_status sums(const fw_experiment *e, uint64_t seed, fw_experiment_arm arm, uint64_t from,
                      uint64_t to, double *bytes, double *captures, fw_error *error) {
    for (uint64_t g = from; g <= to; g++) {
        json_t *result = NULL;
        const fw_experiment_cell cell = {seed, g, arm};
        FW_TRY(fw_experiment_result(e, &cell, &result, error));
        *bytes += json_number_value(json_object_get(result, "uploaded_bytes"));
        *captures += json_number_value(json_object_get(result, "captures"));
        json_decref(result);
    }
    return FW_OK;
}

fw_status fw_experiment_draw_share(const fw_experiment *e, const fw_experiment_cell *cell, double *out,
                                   fw_error *error) {
    const uint64_t s = cell->seed, g = cell->generation;
    double loop = 0, mine = 0, window = 0, windows = 0, unused = 0;
    if (cell->arm == FW_EXPERIMENT_FIRST) {
        *out = (double)e->set.share_percent / 100 / WINDOW_S;
        return FW_OK;
    }
    FW_TRY(sums(e, s, FW_EXPERIMENT_LOOP, 2, g, &loop, &unused, error));
    FW_TRY(sums(e, s, FW_EXPERIMENT_RANDOM, 2, g - 1, &mine, &unused, error));
    FW_TRY(sums(e, s, FW_EXPERIMENT_FIRST, 1, 1, &window, &windows, error));
    FW_TRY(sums(e, s, FW_EXPERIMENT_RANDOM, 2, g - 1, &window, &windows, error));
    double share = windows > 0 && window > 0 ? (loop - mine) / (window / windows) / driven_s(e) : 0;
    *out = fmin(1, fmax(0, share));
    return FW_OK;
}

/* ---- campaigns ---- */

static fw_status end_earlier(fw_demo *demo, fw_error *error) {
    json_t *rows = NULL, *row = NULL;
    size_t i = 0;
    FW_TRY(fw_demo_factory_get(&demo->factory, "/v1/campaigns", &rows, error));
    fw_status status = FW_OK;
    json_array_foreach(rows, i, row) {
        char path[160];
        const char *state = json_string_value(json_object_get(row, "state"));
        const char *id = json_string_value(json_object_get(row, "id"));
        if (!state || !id || strcmp(state, "open") != 0) continue;
        snprintf(path, sizeof path, "/v1/campaigns/%.63s/end", id);
        status = fw_demo_factory_post(&demo->factory, path, json_object(), NULL, NULL, error);
        if (status != FW_OK) break;
    }
    json_decref(rows);
    return status;
}

static fw_status launch(fw_demo *demo, const char *id, const char *when, double cooldown_s, json_t *more,
                        fw_error *error) {
    json_t *campaign = json_pack("{s:s, s:s, s:i, s:i, s:f, s:i}", "id", id, "when", when, "before_s",
                                 FW_EXPERIMENT_BEFORE_S, "after_s", FW_EXPERIMENT_AFTER_S, "cooldown_s",
                                 cooldown_s, "priority", PRIORITY);
    json_object_update(campaign, more);
    json_decref(more);
    return fw_demo_factory_post(&demo->factory, "/v1/campaigns", campaign, NULL, NULL, error);
}

static fw_status launch_loop(const fw_experiment *e, const fw_experiment_cell *cell, fw_demo *demo,
                             bool wanted[FW_DEMO_UNITS_MAX], fw_error *error) {
    for (uint32_t u = 0; u < e->set.cars; u++) {
        char id[48], unit[12];
        uint32_t windows = fw_experiment_windows(e, cell, u);
        wanted[u] = windows > 0;
        if (windows == 0) continue;
        snprintf(id, sizeof id, "loop-%" PRIu64 "-%" PRIu64 "-u%u", cell->seed, cell->generation, u);
        snprintf(unit, sizeof unit, "%u", u);
        FW_TRY(launch(demo, id, trigger_text, WINDOW_S,
                      json_pack("{s:i, s:[s]}", "budget_count", (int)windows, "units", unit), error));
    }
    return FW_OK;
}

/* The first model needs something to be held out against, also where a draw would give nothing: each unit
 * that is held out sends one window, from a drawn moment of its first drive that is long enough. */
static fw_status launch_held_out(const fw_experiment *e, const fw_experiment_cell *cell, fw_demo *demo,
                                 fw_error *error) {
    for (uint32_t u = 0; u < e->set.cars; u++) {
        char id[48], unit[12], when[80];
        if (!held_out(u)) continue;
        fw_random r = fw_random_indexed(fw_seed_mix(cell->seed, "held-out"), u);
        snprintf(id, sizeof id, "first-%" PRIu64 "-u%u", cell->seed, u);
        snprintf(unit, sizeof unit, "%u", u);
        snprintf(when, sizeof when, "held(%s, %u)", always_text, HELD_FROM_S + fw_random_below(&r, HELD_SPAN_S));
        FW_TRY(launch(demo, id, when, WINDOW_S, json_pack("{s:i, s:[s]}", "budget_count", 1, "units", unit),
                      error));
    }
    return FW_OK;
}

static fw_status launch_random(const fw_experiment *e, const fw_experiment_cell *cell, fw_demo *demo,
                               bool wanted[FW_DEMO_UNITS_MAX], fw_error *error) {
    char id[48];
    double share = 0;
    FW_TRY(fw_experiment_draw_share(e, cell, &share, error));
    if (cell->arm == FW_EXPERIMENT_FIRST) FW_TRY(launch_held_out(e, cell, demo, error));
    for (uint32_t u = 0; u < e->set.cars; u++)
        wanted[u] = share >= SAMPLE_MIN || (cell->arm == FW_EXPERIMENT_FIRST && held_out(u));
    if (share < SAMPLE_MIN) return FW_OK;
    snprintf(id, sizeof id, "random-%" PRIu64 "-%" PRIu64, cell->seed, cell->generation);
    return launch(demo, id, always_text, 1, json_pack("{s:f}", "sample", share), error);
}

fw_status fw_experiment_launch(const fw_experiment *e, const fw_experiment_cell *cell, fw_demo *demo,
                               bool wanted[FW_DEMO_UNITS_MAX], fw_error *error) {
    memset(wanted, 0, FW_DEMO_UNITS_MAX * sizeof *wanted);
    FW_TRY(end_earlier(demo, error));
    if (cell->arm == FW_EXPERIMENT_FROZEN) return FW_OK;
    if (cell->arm == FW_EXPERIMENT_LOOP) return launch_loop(e, cell, demo, wanted, error);
    return launch_random(e, cell, demo, wanted, error);
}

fw_status fw_experiment_wait_launched(fw_demo *demo, const bool wanted[FW_DEMO_UNITS_MAX],
                                      fw_error *error) {
    const fw_env *env = fw_env_real();
    int64_t deadline_ns = fw_env_mono_ns(env) + WAIT_MS * INT64_C(1000000);
    for (;;) {
        bool all = true;
        for (uint32_t u = 0; u < demo->options->cars && all; u++) {
            char path[FW_PATH_MAX];
            snprintf(path, sizeof path, "%.400s/units/%u/campaigns.json", demo->base, u);
            all = !wanted[u] || fw_file_exists(path);
        }
        FW_TRY(fw_demo_supervise(demo, error));
        fw_env_sleep_ns(env, POLL_MS * INT64_C(1000000)); /* a written list is staged at once after */
        if (all) return FW_OK;
        if (fw_env_mono_ns(env) > deadline_ns)
            return fw_fail(error, FW_TIMEOUT, "not every unit took its campaign");
    }
}
