#include "lines/driving/learn/learn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/random.h"
#include "base/statistics.h"
#include "lines/driving/act/features.h"
#include "lines/driving/act/policy.h"
#include "lines/driving/learn/ppo.h"
#include "lines/driving/learn/old_sim.h"
#include "lines/driving/learn/score/gate.h"

typedef struct scenario_set {
    fw_old_scenario **items;
    uint32_t count, refused;
} scenario_set;

static void set_free(scenario_set *set) {
    for (uint32_t i = 0; i < set->count; i++) fw_old_scenario_free(set->items[i]);
    free(set->items);
}

/* Reading is shared out; slot i belongs to recording i. */
typedef struct reading {
    const char *const *paths;
    fw_old_scenario **slots;
} reading;

static void read_one(void *self, uint32_t i) {
    reading *r = self;
    fw_drive_recording *recording;
    fw_error error;
    if (fw_drive_recording_read(r->paths[i], &recording, &error) != FW_OK) return;
    if (fw_old_scenario_new(recording, &r->slots[i], &error) != FW_OK) r->slots[i] = NULL;
    fw_drive_recording_free(recording);
}

static fw_status set_load(const char *const *paths, uint32_t count, fw_pool *pool,
                          scenario_set *out, fw_error *error) {
    reading r = {paths, calloc(count ? count : 1, sizeof *r.slots)};
    if (!r.slots) return fw_fail(error, FW_NO_MEMORY, "no memory for %u scenarios", count);
    fw_pool_run(pool, count, read_one, &r);
    scenario_set set = {.items = r.slots};
    for (uint32_t i = 0; i < count; i++) {
        if (r.slots[i]) set.items[set.count++] = r.slots[i];
        else set.refused++;
    }
    if (set.count == 0) {
        set_free(&set);
        return fw_fail(error, FW_INVALID, "none of %u recordings makes a scenario", count);
    }
    *out = set;
    return FW_OK;
}

/* What training starts from. */
typedef struct beginning {
    fw_nn_graph *network; /* owned */
    float *params;        /* owned */
    bool warm;            /* a champion's, not fresh ones */
} beginning;

static void beginning_clear(beginning *b) {
    fw_nn_graph_free(b->network);
    free(b->params);
}

static fw_status begin_fresh(uint64_t seed, beginning *b, fw_error *error) {
    fw_nn_layout layout;
    FW_TRY(fw_drive_network_graph(FW_DRIVE_HIDDEN, &b->network, error));
    FW_TRY(fw_nn_layout_make(b->network, &layout, error));
    b->params = fw_nn_vector_new(layout.floats);
    if (b->params) fw_nn_initialise(b->network, &layout, seed, b->params);
    fw_nn_layout_clear(&layout);
    return b->params ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory for the network");
}

/* The champion's network, where it is one that can be trained; else a fresh one. */
static fw_status begin_from(const char *base_path, uint64_t seed, beginning *b, fw_error *error) {
    fw_policy base = {0};
    *b = (beginning){0};
    if (base_path) FW_TRY(fw_policy_load_file(base_path, &base, error));
    b->warm = base.kind == FW_POLICY_NETWORK && base.ends.value != FW_NN_NONE;
    if (b->warm) {
        b->network = base.model.graph, base.model.graph = NULL;
        b->params = base.model.params, base.model.params = NULL;
    }
    fw_policy_clear(&base);
    return b->warm ? FW_OK : begin_fresh(seed, b, error);
}

static double cpu_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* All ranks saw the same recordings; what they cost together. */
static fw_status compare_sets(const fw_nn_ranks *ranks, const scenario_set *set, fw_error *error) {
    char text[64];
    snprintf(text, sizeof text, "%u of %u", set->count, set->count + set->refused);
    return fw_nn_ranks_same(ranks, "usable recordings", text, error);
}

static fw_status add_times(const fw_nn_ranks *ranks, double own_s, double *out_s, fw_error *error) {
    double of[FW_NN_RANKS_MAX] = {0}, sum_s = 0;
    of[ranks->rank] = own_s;
    FW_TRY(fw_nn_ranks_gather(ranks, of, sizeof *of, error));
    for (uint32_t i = 0; i < ranks->count; i++) sum_s += of[i];
    *out_s = sum_s;
    return FW_OK;
}

/* Written by the first rank; its name is known to all. */
static fw_status save(const fw_driving_train_config *config, const beginning *trained, fw_hash *out,
                      fw_error *error) {
    if (config->ranks->rank == 0)
        FW_TRY(fw_drive_network_save(trained->network, trained->params, NULL, config->out_path, out,
                                     error));
    return fw_nn_ranks_broadcast(config->ranks, out, sizeof *out, error);
}

static fw_status train_in(const fw_driving_train_config *config, fw_pool *pool, beginning *from,
                          fw_driving_train_result *out, fw_error *error) {
    scenario_set set;
    double before = cpu_seconds();
    FW_TRY(set_load(config->recordings, config->recording_count, pool, &set, error));
    fw_ppo_config ppo = {.scenarios = (const fw_old_scenario *const *)set.items,
                         .scenario_count = set.count,
                         .threads = config->threads,
                         .ranks = config->ranks,
                         .seed = config->seed,
                         .agent_steps = config->agent_steps,
                         .warm = from->warm,
                         .progress = config->progress};
    fw_ppo_report report = {0};
    fw_driving_train_result result = {.scenarios = set.count, .scenarios_refused = set.refused};
    fw_status status = compare_sets(config->ranks, &set, error);
    if (status == FW_OK)
        status = fw_ppo_train(&ppo, pool, from->network, from->params, &report, error);
    if (status == FW_OK) status = save(config, from, &result.model, error);
    set_free(&set);
    if (status != FW_OK) return status;
    FW_TRY(add_times(config->ranks, cpu_seconds() - before, &result.core_s, error));
    result.agent_steps = report.agent_steps;
    result.clean_share = report.clean_share;
    *out = result;
    return FW_OK;
}

fw_status fw_driving_train(const fw_driving_train_config *config, fw_driving_train_result *out,
                           fw_error *error) {
    beginning from;
    fw_pool *pool = NULL;
    fw_driving_train_config with = *config;
    if (!with.ranks) with.ranks = &fw_nn_ranks_alone;
    if (config->agent_steps == 0 || config->threads == 0)
        return fw_fail(error, FW_INVALID, "training needs agent_steps and threads above 0");
    fw_status status = begin_from(config->base_path, config->seed, &from, error);
    if (status == FW_OK) status = fw_pool_new(config->threads, &pool, error);
    if (status == FW_OK) status = train_in(&with, pool, &from, out, error);
    if (pool) fw_pool_free(pool);
    beginning_clear(&from);
    return status;
}

fw_status fw_driving_untrained(uint64_t seed, const char *out_path, fw_hash *hash,
                               fw_error *error) {
    beginning fresh = {0};
    fw_status status = begin_fresh(seed, &fresh, error);
    if (status == FW_OK)
        status = fw_drive_network_save(fresh.network, fresh.params, NULL, out_path, hash, error);
    beginning_clear(&fresh);
    return status;
}

/* The gate's drives: every held-out scenario from its start and then from every ten seconds on, for
 * at most thirty seconds, without jitter, once per policy. Drives of one recording are a cluster. */
enum { TRIAL_EVERY = 100, TRIAL_TICKS = 300, TRIALS_MAX = 16, INTERVAL_DRAWS = 2000 };
static const double moves_share = 0.3; /* of the champion's metres: standing still is no skill */
static const double margin = 0.03; /* how far below the champion's the share may lie */

typedef struct score {
    fw_status status;
    fw_error error;
    uint32_t drives;
    uint32_t clean[2]; /* champion, candidate */
    double metres[2];
} score;

typedef struct trial {
    const scenario_set *set;
    const fw_policy *policies[2];
    score *scores; /* (set->count) */
} trial;

static bool drive_clean(const fw_policy *policy, fw_policy_session *session, fw_old_sim *sim,
                        const fw_old_scenario *scenario, uint32_t tick, double *metres) {
    fw_drive_obs obs;
    fw_drive_action action;
    fw_old_sim_outcome out = {0, FW_OLD_SIM_RUNS};
    fw_old_sim_begin(sim, scenario, tick, 0);
    float start = sim->s_m;
    for (uint32_t k = 0; k < TRIAL_TICKS && out.end == FW_OLD_SIM_RUNS; k++) {
        fw_old_sim_observe(sim, &obs);
        fw_policy_act(policy, session, &obs, &action);
        out = fw_old_sim_step(sim, action);
    }
    *metres += (double)(sim->s_m - start);
    return out.end != FW_OLD_SIM_COLLISION && out.end != FW_OLD_SIM_OFF_LANE && !sim->red_run &&
           !sim->stuck;
}

static void drive_all(const trial *t, uint32_t i, fw_policy_session *sessions, score *own) {
    const fw_old_scenario *scenario = t->set->items[i];
    for (uint32_t k = 0; k < TRIALS_MAX; k++) {
        uint32_t tick = k * TRIAL_EVERY;
        if (tick + FW_OLD_SCENARIO_TICKS_MIN > scenario->recorded) break;
        for (int p = 0; p < 2; p++) {
            fw_old_sim sim = fw_old_sim_new((uint64_t)i * TRIALS_MAX + k); /* same lights for both */
            own->clean[p] += drive_clean(t->policies[p], &sessions[p], &sim, scenario, tick,
                                         &own->metres[p]);
            fw_old_sim_free(&sim);
        }
        own->drives++;
    }
}

static void try_one(void *self, uint32_t i) {
    trial *t = self;
    score *own = &t->scores[i];
    fw_policy_session sessions[2] = {0};
    for (int p = 0; p < 2 && own->status == FW_OK; p++)
        own->status = fw_policy_session_open(t->policies[p], &sessions[p], &own->error);
    if (own->status == FW_OK) drive_all(t, i, sessions, own);
    for (int p = 0; p < 2; p++) fw_policy_session_close(&sessions[p]);
}

static void decide(const trial *t, uint32_t clusters, fw_driving_gate_result *out) {
    double *gain = calloc(clusters, 2 * sizeof *gain), *weight = gain + clusters;
    FW_ASSERT(gain);
    score sum = {0};
    for (uint32_t i = 0; i < clusters; i++) {
        const score *one = &t->scores[i];
        gain[i] = (double)one->clean[1] - (double)one->clean[0];
        weight[i] = one->drives;
        sum.drives += one->drives;
        for (int p = 0; p < 2; p++) sum.clean[p] += one->clean[p], sum.metres[p] += one->metres[p];
    }
    fw_interval interval = fw_cluster_bootstrap95(gain, weight, clusters, INTERVAL_DRAWS, 1);
    free(gain);
    double n = sum.drives;
    out->scenarios = sum.drives;
    out->champion_clean = sum.clean[0] / n;
    out->candidate_clean = sum.clean[1] / n;
    out->difference = out->candidate_clean - out->champion_clean;
    out->low = interval.low;
    out->high = interval.high;
    double way = sum.metres[0] > 0 ? sum.metres[1] / sum.metres[0] : 0;
    bool moves = way > moves_share;
    /* worse: shown to be so by the whole interval, or by more than the margin */
    bool worse = out->high < 0 || out->difference < -margin;
    out->promote = moves && !worse;
    snprintf(out->reason, sizeof out->reason,
             "%s: clean %.3f, champion %.3f, on %u held-out drives of %u recordings; difference "
             "%+.3f [%+.3f %+.3f]; %.2f of its metres",
             out->promote ? "not worse" : moves ? "worse" : "hardly moves", out->candidate_clean,
             out->champion_clean, sum.drives, clusters, out->difference, out->low, out->high, way);
}

/* The first that could not be driven. */
static fw_status all_driven(const trial *t, fw_error *error) {
    for (uint32_t i = 0; i < t->set->count; i++)
        if (t->scores[i].status != FW_OK)
            return fw_fail(error, t->scores[i].status, "%s", t->scores[i].error.text);
    return FW_OK;
}

static fw_status gate_in(const fw_driving_gate_config *config, fw_pool *pool, fw_policy *policies,
                         fw_driving_gate_result *out, fw_error *error) {
    scenario_set set;
    FW_TRY(fw_policy_load_file(config->champion_path, &policies[0], error));
    FW_TRY(fw_policy_load_file(config->candidate_path, &policies[1], error));
    FW_TRY(set_load(config->recordings, config->recording_count, pool, &set, error));
    trial t = {&set, {&policies[0], &policies[1]}, calloc(set.count, sizeof(score))};
    FW_ASSERT(t.scores);
    fw_pool_run(pool, set.count, try_one, &t);
    fw_status status = all_driven(&t, error);
    if (status == FW_OK) decide(&t, set.count, out);
    free(t.scores);
    set_free(&set);
    return status;
}

fw_status fw_driving_gate(const fw_driving_gate_config *config, fw_driving_gate_result *out,
                          fw_error *error) {
    fw_policy policies[2] = {0};
    fw_pool *pool = NULL;
    fw_status status = fw_pool_new(config->threads ? config->threads : 1, &pool, error);
    if (status == FW_OK) status = gate_in(config, pool, policies, out, error);
    fw_pool_free(pool);
    for (int p = 0; p < 2; p++) fw_policy_clear(&policies[p]);
    return status;
}
