#include "lines/driving/learn/score/gate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/statistics.h"
#include "lines/driving/learn/picture/fixes.h"
#include "lines/driving/learn/score/gate_slices.h"
#include "lines/driving/learn/score/metrics.h"

enum {
    EVERY_TICKS = 100,
    MOST_TICKS = 300,
    PROBE_TICKS = 60,
    INTERVAL_DRAWS = 2000,
    BATCH = 16, /* recordings between two looks at the test; not the threads', so that they change nothing */
    TRAFFIC = FW_SIM_REACTIVE
};
static const double way_share = 0.3, veto_ratio = 1.5, veto_level = 0.05, quantile = 0.99;

enum { CHAMPION, CANDIDATE, BOTH };

/* A decision being made. */
typedef struct judging {
    const fw_driving_gate_config *config;
    fw_gate gate;
    fw_driver drivers[BOTH];
    fw_score_set set;      /* in the gate's order */
    fw_score_table drives; /* of all batches so far; cases name scenarios of the set */
    struct road { /* by recording that was driven: (road_count) */
        double metres[BOTH], vetoes[BOTH];
    } *roads;
    uint32_t road_count;
    uint64_t no_numbers;
    char vetoes_words[80];
    uint32_t at; /* scenarios driven */
} judging;

/* ---- order ---- */

typedef struct place {
    fw_hash key;
    fw_scenario *scenario;
} place;

static int by_key(const void *a, const void *b) { return fw_hash_compare(&((const place *)a)->key, &((const place *)b)->key); }

/* The suite's name where the plan has none, then the order. */
static fw_status put_in_order(judging *j, fw_error *error) {
    fw_score_set *set = &j->set;
    place *places = calloc(set->count, sizeof *places);
    const char **names = calloc(set->count, sizeof *names);
    fw_status status = places && names ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory for %u recordings", set->count);
    for (uint32_t i = 0; i < set->count && status == FW_OK; i++) names[i] = set->items[i]->source.hex;
    if (status == FW_OK && !j->gate.plan.suite[0])
        memcpy(j->gate.plan.suite, fw_gate_suite(names, set->count).hex, sizeof j->gate.plan.suite);
    for (uint32_t i = 0; i < set->count && status == FW_OK; i++)
        places[i] = (place){fw_gate_order(j->gate.plan.suite, set->items[i]->source.hex), set->items[i]};
    if (status == FW_OK) {
        qsort(places, set->count, sizeof *places, by_key);
        for (uint32_t i = 0; i < set->count; i++) set->items[i] = places[i].scenario;
    }
    free(names);
    free(places);
    return status;
}

/* ---- drives ---- */

static bool clean(const fw_sim_drive *drive, bool scene) {
    double top, counts;
    fw_metrics[scene ? FW_METRIC_CLEAN_GOAL : FW_METRIC_CLEAN].of(drive, scene, &top, &counts);
    return top > 0;
}

/* Progress in recordings: how many are decided on is not known before. */
static bool report(void *self, uint64_t done, uint64_t total) {
    const judging *j = self;
    const fw_driving_progress *progress = &j->config->progress;
    uint64_t left = j->set.count - j->at, batch = left < BATCH ? left : BATCH;
    return !progress->report ||
           progress->report(progress->self, "gate", j->at + (total ? batch * done / total : 0), j->set.count, 0);
}

static fw_score_config drives_of(const judging *j) {
    return (fw_score_config){.scenarios = (const fw_scenario *const *)j->set.items,
                             .scenario_count = j->set.count,
                             .drivers = j->drivers,
                             .driver_count = BOTH,
                             .traffic[TRAFFIC] = true,
                             .every = EVERY_TICKS,
                             .ticks_max = MOST_TICKS,
                             .threads = j->config->threads ? j->config->threads : 1,
                             .seed = 1,
                             .progress = {(void *)(uintptr_t)j, report}};
}

static void *grown(void *old, size_t count, size_t size) { return realloc(old, (count + 1) * size); }

/* A batch's drives behind those there are. */
static fw_status keep(judging *j, const fw_score_table *batch, fw_error *error) {
    fw_score_table *all = &j->drives;
    size_t count = (size_t)all->case_count + batch->case_count;
    void *room = grown(all->cases, count, sizeof *all->cases);
    if (room) all->cases = room;
    for (uint32_t who = 0; who < BOTH && room; who++) {
        room = grown(all->drives[who], count, sizeof **all->drives);
        if (room) all->drives[who] = room;
    }
    if (!room) return fw_fail(error, FW_NO_MEMORY, "no memory for %zu drives", count);
    for (uint32_t i = 0; i < batch->case_count; i++, all->case_count++) {
        all->cases[all->case_count] = batch->cases[i];
        all->cases[all->case_count].scenario += j->at;
        for (uint32_t who = 0; who < BOTH; who++) all->drives[who][all->case_count] = batch->drives[who][i];
    }
    for (uint32_t who = 0; who < BOTH; who++)
        for (uint32_t b = 0; b < FW_SCORE_BINS; b++) all->costs[who].bins[b] += batch->costs[who].bins[b];
    return FW_OK;
}

static void count_seen(judging *j, const fw_score_table *batch) {
    for (uint32_t i = 0; i < batch->case_count; i++) {
        j->road_count += i == 0 || batch->cases[i].scenario != batch->cases[i - 1].scenario;
        struct road *road = &j->roads[j->road_count - 1];
        for (uint32_t who = 0; who < BOTH; who++) {
            road->metres[who] += (double)batch->drives[who][i].distance_m;
            road->vetoes[who] += batch->seen[who][i].vetoes;
        }
        j->no_numbers += batch->seen[CANDIDATE][i].no_numbers;
    }
}

/* The batch's recordings, one observation each. */
static void observe(judging *j, const fw_score_table *batch) {
    for (uint32_t i = 0; i < batch->case_count;) {
        const uint32_t of = batch->cases[i].scenario;
        const fw_scenario *scenario = j->set.items[j->at + of];
        fw_gate_cluster cluster = {.part_count = 0};
        memcpy(cluster.name, scenario->source.hex, sizeof cluster.name);
        for (; i < batch->case_count && batch->cases[i].scenario == of; i++)
            fw_gate_slices_add(&cluster, scenario, &batch->cases[i], clean(&batch->drives[CHAMPION][i], scenario->scene),
                               clean(&batch->drives[CANDIDATE][i], scenario->scene));
        fw_gate_add(&j->gate, &cluster);
    }
}

static fw_status drive_batch(judging *j, fw_error *error) {
    fw_score score;
    fw_score_config drive = drives_of(j);
    drive.scenarios += j->at;
    drive.scenario_count = j->set.count - j->at < BATCH ? j->set.count - j->at : BATCH;
    fw_status status = fw_score_run(&drive, &score, error);
    if (status == FW_OK) {
        status = keep(j, &score.traffic[TRAFFIC], error);
        count_seen(j, &score.traffic[TRAFFIC]);
        observe(j, &score.traffic[TRAFFIC]);
        fw_score_clear(&score);
    } else if (status == FW_INVALID) status = FW_OK; /* nothing in these can begin */
    j->at += drive.scenario_count;
    return status;
}

/* ---- limits ---- */

static double p99_us(const fw_score_cost *cost) { return fw_score_cost_us(cost, quantile); }

static void limit_time(judging *j, const fw_score_cost *cost) {
    const uint32_t deadline_us = j->config->deadline_us ? j->config->deadline_us : FW_DRIVING_GATE_DEADLINE_US;
    fw_gate_limit(&j->gate, "decision time p99", "us", p99_us(cost), deadline_us, false);
}

/* Whether the candidate is in time at all, before it drives everything: its first decisions. */
static fw_status probe(judging *j, fw_error *error) {
    fw_score score;
    fw_score_config drive = drives_of(j);
    drive.scenario_count = 1, drive.per_group = 1, drive.ticks_max = PROBE_TICKS, drive.threads = 1;
    drive.drivers = &j->drivers[CANDIDATE], drive.driver_count = 1;
    drive.progress = (fw_score_progress){NULL, NULL};
    fw_status status = fw_score_run(&drive, &score, error);
    if (status == FW_INVALID) return FW_OK;
    FW_TRY(status);
    const uint32_t deadline_us = j->config->deadline_us ? j->config->deadline_us : FW_DRIVING_GATE_DEADLINE_US;
    if (p99_us(&score.traffic[TRAFFIC].costs[0]) > deadline_us) limit_time(j, &score.traffic[TRAFFIC].costs[0]);
    fw_score_clear(&score);
    return FW_OK;
}

static void limit_parameters(judging *j) {
    const fw_policy *policy = &j->drivers[CANDIDATE].policy;
    double count = policy->kind == FW_POLICY_NETWORK ? (double)policy->model.layout.floats : 0;
    fw_gate_limit(&j->gate, "parameters", "", count, FW_DRIVING_GATE_PARAMETERS, false);
}

/* How much more the recordings' vetoes differ than Poisson's would: Pearson's X2 over its degrees of freedom, at least 1. */
static double dispersion_of(const judging *j, int who, const struct road *all) {
    double sum = 0;
    for (uint32_t i = 0; i < j->road_count; i++) {
        const double expected = all->vetoes[who] * j->roads[i].metres[who] / fmax(all->metres[who], 1);
        const double off = j->roads[i].vetoes[who] - expected;
        if (expected > 0) sum += off * off / expected;
    }
    return j->road_count > 1 ? fmax(1, sum / (j->road_count - 1)) : 1;
}

/* Vetoes come in streaks and by recording, so the test of two rates is toned down by their dispersion (quasi-Poisson:
 * Wedderburn 1974). */
static void limit_vetoes(judging *j, const struct road *all) {
    const double *m = all->metres, *v = all->vetoes;
    const double spread = fmax(dispersion_of(j, CHAMPION, all), dispersion_of(j, CANDIDATE, all));
    const double log_e = fw_rate_log_e((uint64_t)v[CANDIDATE], m[CANDIDATE], (uint64_t)v[CHAMPION], m[CHAMPION], veto_ratio,
                                       true);
    snprintf(j->vetoes_words, sizeof j->vetoes_words, "vetoes per km %.2f, champion's %.2f:",
             1000 * v[CANDIDATE] / fmax(m[CANDIDATE], 1), 1000 * v[CHAMPION] / fmax(m[CHAMPION], 1));
    fw_gate_limit(&j->gate, j->vetoes_words, "e-value of over 1.5 times", exp(log_e / spread), 1 / veto_level, false);
}

static void limit_drives(judging *j) {
    struct road all = {{0}, {0}};
    const double *m = all.metres;
    for (uint32_t i = 0; i < j->road_count; i++)
        for (int who = 0; who < BOTH; who++) {
            all.metres[who] += j->roads[i].metres[who];
            all.vetoes[who] += j->roads[i].vetoes[who];
        }
    limit_time(j, &j->drives.costs[CANDIDATE]);
    fw_gate_limit(&j->gate, "decisions that are no numbers", "", (double)j->no_numbers, 0, false);
    fw_gate_limit(&j->gate, "way", "of the champion's", m[CHAMPION] > 0 ? m[CANDIDATE] / m[CHAMPION] : 1, way_share, true);
    limit_vetoes(j, &all);
}

/* ---- the decision ---- */

/* Whole recordings resampled: their drives pass the same cars. For people; the test is the gate's. */
static fw_interval interval_of(const judging *j) {
    double gain[FW_GATE_CLUSTERS_MAX], weight[FW_GATE_CLUSTERS_MAX];
    size_t i = 0, count = 0;
    json_t *row = NULL;
    json_array_foreach(j->gate.clusters, i, row) {
        double n[4];
        for (size_t k = 0; k < 4; k++) n[k] = (double)json_integer_value(json_array_get(row, k + 1));
        gain[count] = n[2] - n[1];
        weight[count++] = n[0] + n[1] + n[2] + n[3];
    }
    return count ? fw_cluster_bootstrap95(gain, weight, count, INTERVAL_DRAWS, 1) : (fw_interval){0, 0};
}

static void show(const judging *j) {
    fw_error error;
    fw_score_config drive = drives_of(j);
    if (!j->config->replays_path) return;
    if (fw_fixes_write(j->config->replays_path, &drive, (fw_sim_traffic)TRAFFIC, &j->drives, &error) != FW_OK)
        fw_log_warn("no replays: %s", error.text);
}

static fw_status drive_all(judging *j, fw_error *error) {
    fw_score_read_config read = {.paths = j->config->recordings,
                                 .count = j->config->recording_count,
                                 .threads = j->config->threads ? j->config->threads : 1};
    FW_TRY(fw_score_read(&read, &j->set, error));
    FW_TRY(put_in_order(j, error));
    j->roads = calloc(j->set.count, sizeof *j->roads);
    if (!j->roads) return fw_fail(error, FW_NO_MEMORY, "no memory for %u recordings", j->set.count);
    limit_parameters(j);
    FW_TRY(probe(j, error));
    while (j->at < j->set.count && !fw_gate_lost(&j->gate)) FW_TRY(drive_batch(j, error));
    if (j->at == 0) return FW_OK;
    if (j->drives.case_count == 0) return fw_fail(error, FW_INVALID, "none of the held-out drives can begin");
    limit_drives(j);
    show(j);
    return FW_OK;
}

static fw_status give(judging *j, fw_driving_gate_result *out, fw_error *error) {
    const fw_gate_pairs *p = &j->gate.pairs;
    const uint32_t n = fw_gate_pairs_count(p);
    const fw_interval interval = interval_of(j);
    *out = (fw_driving_gate_result){.scenarios = n,
                                    .champion_clean = n ? (double)(p->both + p->champion) / n : 0,
                                    .candidate_clean = n ? (double)(p->both + p->candidate) / n : 0,
                                    .low = interval.low,
                                    .high = interval.high,
                                    .promote = j->gate.promote,
                                    .record = fw_gate_record(&j->gate)};
    out->difference = n ? fw_gate_pairs_difference(p) : 0;
    memcpy(out->reason, j->gate.reason, sizeof out->reason);
    return out->record ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory for a record");
}

/* The candidate; one that is no model, or not the one that was trained, is refused: then *refused. */
static fw_status take_candidate(judging *j, bool *refused, fw_error *error) {
    char reason[FW_GATE_REASON_MAX];
    fw_error why = {""};
    fw_driver *driver = &j->drivers[CANDIDATE];
    fw_status status = fw_driver_model(j->config->candidate_path, driver, &why);
    *refused = status == FW_CORRUPT || status == FW_UNSUPPORTED || status == FW_TOO_BIG || status == FW_INVALID;
    if (*refused) {
        const size_t path = strlen(j->config->candidate_path); /* the file's place says nothing in a record */
        const bool named = strncmp(why.text, j->config->candidate_path, path) == 0 && why.text[path] == ':';
        snprintf(reason, sizeof reason, "no model for this line: %.280s", named ? why.text + path + 2 : why.text);
        fw_gate_refuse(&j->gate, reason);
        return FW_OK;
    }
    if (status != FW_OK) return fw_fail(error, status, "%s", why.text);
    const char *hash = driver->policy.hash.hex;
    *refused = j->config->candidate_hash && strcmp(hash, j->config->candidate_hash) != 0;
    if (!*refused) return FW_OK;
    snprintf(reason, sizeof reason, "not the file that was trained: it is %.12s, not %.12s", hash, j->config->candidate_hash);
    fw_gate_refuse(&j->gate, reason);
    return FW_OK;
}

static fw_status judge(judging *j, fw_error *error) {
    bool refused = false;
    FW_TRY(fw_driver_model(j->config->champion_path, &j->drivers[CHAMPION], error));
    FW_TRY(take_candidate(j, &refused, error));
    if (refused) return FW_OK;
    if (j->gate.alpha_t <= 0) {
        fw_gate_refuse(&j->gate, "the sealed suite is worn: it has served all of its decisions, and too few held-out "
                                 "recordings came since");
        return FW_OK;
    }
    for (int who = 0; who < BOTH; who++) j->drivers[who].weighed = true;
    FW_TRY(drive_all(j, error));
    fw_gate_end(&j->gate);
    return FW_OK;
}

fw_status fw_driving_gate(const fw_driving_gate_config *config, fw_driving_gate_result *out, fw_error *error) {
    judging *j = calloc(1, sizeof *j);
    if (!j) return fw_fail(error, FW_NO_MEMORY, "no memory for a decision");
    j->config = config;
    fw_gate_begin(&j->gate, config->plan ? config->plan : &fw_gate_usual);
    fw_status status = judge(j, error);
    if (status == FW_OK) status = give(j, out, error);
    fw_score_set_clear(&j->set);
    for (int who = 0; who < BOTH; who++) {
        fw_driver_clear(&j->drivers[who]);
        free(j->drives.drives[who]);
    }
    free(j->drives.cases);
    free(j->roads);
    fw_gate_clear(&j->gate);
    free(j);
    return status;
}

void fw_driving_gate_clear(fw_driving_gate_result *result) {
    json_decref(result->record);
    result->record = NULL;
}
