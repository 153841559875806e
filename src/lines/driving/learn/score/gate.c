#include "lines/driving/learn/score/gate.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/statistics.h"
#include "lines/driving/learn/picture/fixes.h"
#include "lines/driving/learn/score/metrics.h"
#include "lines/driving/learn/score/score.h"

enum { EVERY_TICKS = 100, MOST_TICKS = 300, INTERVAL_DRAWS = 2000, TRAFFIC = FW_SIM_REACTIVE };
static const double moves_share = 0.3; /* of the champion's metres: standing still is no skill */
static const double margin = 0.03;     /* how far below the champion's the share may lie */

enum { CHAMPION, CANDIDATE, BOTH };

/* ---- figures ---- */

/* A recording's drives: how many, how many of them clean, how far. */
typedef struct sums {
    double drives, clean[BOTH], metres[BOTH];
} sums;

static void add(sums *s, const fw_sim_drive *drive, int who, bool scene) {
    double clean, counts;
    fw_metrics[scene ? FW_METRIC_CLEAN_GOAL : FW_METRIC_CLEAN].of(drive, scene, &clean, &counts);
    s->clean[who] += clean;
    s->metres[who] += (double)drive->distance_m;
}

/* by_recording: (scenario_count), zeroes. Returns the whole. */
static sums sum_up(const fw_score_table *table, const fw_score_set *set, sums *by_recording) {
    sums whole = {0};
    for (uint32_t i = 0; i < table->case_count; i++) {
        uint32_t scenario = table->cases[i].scenario;
        by_recording[scenario].drives++;
        whole.drives++;
        for (int who = 0; who < BOTH; who++) {
            add(&by_recording[scenario], &table->drives[who][i], who, set->items[scenario]->scene);
            add(&whole, &table->drives[who][i], who, set->items[scenario]->scene);
        }
    }
    return whole;
}

/* Whole recordings resampled: their drives pass the same cars. */
static fw_interval interval_of(const sums *by_recording, uint32_t count, double *room) {
    double *gain = room, *weight = room + count;
    uint32_t clusters = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (by_recording[i].drives <= 0) continue;
        gain[clusters] = by_recording[i].clean[CANDIDATE] - by_recording[i].clean[CHAMPION];
        weight[clusters++] = by_recording[i].drives;
    }
    return fw_cluster_bootstrap95(gain, weight, clusters, INTERVAL_DRAWS, 1);
}

static void decide(const sums *whole, fw_interval interval, uint32_t recordings, fw_driving_gate_result *out) {
    out->scenarios = (uint32_t)whole->drives;
    out->champion_clean = whole->clean[CHAMPION] / whole->drives;
    out->candidate_clean = whole->clean[CANDIDATE] / whole->drives;
    out->difference = out->candidate_clean - out->champion_clean;
    out->low = interval.low;
    out->high = interval.high;
    double way = whole->metres[CHAMPION] > 0 ? whole->metres[CANDIDATE] / whole->metres[CHAMPION] : 0;
    bool moves = way > moves_share;
    /* worse: shown to be so by the whole interval, or by more than the margin */
    bool worse = out->high < 0 || out->difference < -margin;
    out->promote = moves && !worse;
    snprintf(out->reason, sizeof out->reason,
             "%s: clean %.3f, champion %.3f, on %u held-out drives of %u recordings; difference %+.3f [%+.3f %+.3f]; "
             "%.2f of its metres",
             out->promote ? "not worse" : moves ? "worse" : "hardly moves", out->candidate_clean, out->champion_clean,
             out->scenarios, recordings, out->difference, out->low, out->high, way);
}

/* ---- drives ---- */

/* Progress in pairs. */
static bool report(void *self, uint64_t done, uint64_t total) {
    const fw_driving_progress *progress = self;
    return !progress->report || progress->report(progress->self, "gate", done / BOTH, total / BOTH, 0);
}

static void show(const fw_driving_gate_config *config, const fw_score_config *drive, const fw_score_table *table) {
    fw_error error;
    if (!config->replays_path) return;
    if (fw_fixes_write(config->replays_path, drive, (fw_sim_traffic)TRAFFIC, table, &error) != FW_OK)
        fw_log_warn("no replays: %s", error.text);
}

static fw_status compare(const fw_driving_gate_config *config, const fw_score_set *set, const fw_driver *drivers,
                         fw_driving_gate_result *out, fw_error *error) {
    fw_score score;
    fw_score_config drive = {.scenarios = (const fw_scenario *const *)set->items,
                             .scenario_count = set->count,
                             .drivers = drivers,
                             .driver_count = BOTH,
                             .traffic[TRAFFIC] = true,
                             .every = EVERY_TICKS,
                             .ticks_max = MOST_TICKS,
                             .threads = config->threads ? config->threads : 1,
                             .seed = 1,
                             .progress = {(void *)(uintptr_t)&config->progress, report}};
    FW_TRY(fw_score_run(&drive, &score, error));
    const fw_score_table *table = &score.traffic[TRAFFIC];
    sums *by_recording = calloc(set->count, sizeof *by_recording);
    double *room = calloc(2 * (size_t)set->count, sizeof *room);
    fw_status status = FW_OK;
    if (!by_recording || !room) status = fw_fail(error, FW_NO_MEMORY, "no memory for %u recordings", set->count);
    else if (table->case_count == 0) status = fw_fail(error, FW_INVALID, "none of the held-out drives can begin");
    if (status == FW_OK) {
        sums whole = sum_up(table, set, by_recording);
        decide(&whole, interval_of(by_recording, set->count, room), set->count, out);
        show(config, &drive, table);
    }
    free(by_recording);
    free(room);
    fw_score_clear(&score);
    return status;
}

fw_status fw_driving_gate(const fw_driving_gate_config *config, fw_driving_gate_result *out, fw_error *error) {
    fw_driver drivers[BOTH] = {0};
    fw_score_set set = {0};
    fw_score_read_config read = {.paths = config->recordings,
                                 .count = config->recording_count,
                                 .threads = config->threads ? config->threads : 1};
    fw_status status = fw_driver_model(config->champion_path, &drivers[CHAMPION], error);
    if (status == FW_OK) status = fw_driver_model(config->candidate_path, &drivers[CANDIDATE], error);
    if (status == FW_OK) status = fw_score_read(&read, &set, error);
    if (status == FW_OK) status = compare(config, &set, drivers, out, error);
    fw_score_set_clear(&set);
    for (int who = 0; who < BOTH; who++) fw_driver_clear(&drivers[who]);
    return status;
}
