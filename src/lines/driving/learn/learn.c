#include "lines/driving/learn/learn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/random.h"
#include "base/statistics.h"
#include "lines/driving/act/features.h"
#include "lines/driving/act/policy.h"
#include "lines/driving/learn/ppo.h"
#include "lines/driving/learn/sim.h"
#include "nn/run/safetensors.h"

typedef struct scenario_set {
    fw_scenario **items;
    uint32_t count, refused;
} scenario_set;

static void set_free(scenario_set *set) {
    for (uint32_t i = 0; i < set->count; i++) fw_scenario_free(set->items[i]);
    free(set->items);
}

/* Reading is shared out; slot i belongs to recording i. */
typedef struct reading {
    const char *const *paths;
    fw_scenario **slots;
} reading;

static void read_one(void *self, uint32_t i) {
    reading *r = self;
    fw_drive_recording *recording;
    fw_error error;
    if (fw_drive_recording_read(r->paths[i], &recording, &error) != FW_OK) return;
    if (fw_scenario_new(recording, &r->slots[i], &error) != FW_OK) r->slots[i] = NULL;
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

static fw_status write_network(const float *params, const char *path, fw_hash *hash,
                               fw_error *error) {
    fw_mlp_shape s = fw_ppo_shape();
    char version[16];
    snprintf(version, sizeof version, "%d", FW_FEATURES_VERSION);
    fw_tensor tensors[6] = {0};
    fw_safetensors file = {
        .count = 6,
        .tensors = tensors,
        .metadata = json_pack("{s:s, s:s, s:s}", "line", "driving", "policy", "network",
                              "features_version", version)};
    const uint64_t shapes[6][2] = {{s.in, s.hidden}, {s.hidden, 0}, {s.hidden, s.hidden},
                                   {s.hidden, 0},    {s.hidden, s.out}, {s.out, 0}};
    static const char *const names[6] = {"w0", "b0", "w1", "b1", "w2", "b2"};
    for (uint32_t i = 0; i < 6; i++) {
        fw_tensor *tensor = &file.tensors[i];
        strcpy(tensor->name, names[i]);
        tensor->dims = shapes[i][1] ? 2 : 1;
        tensor->shape[0] = shapes[i][0];
        tensor->shape[1] = shapes[i][1];
        tensor->data = params;
        params += shapes[i][0] * (shapes[i][1] ? shapes[i][1] : 1);
    }
    char *bytes = NULL;
    size_t size_bytes = 0;
    fw_status status = fw_safetensors_write(&file, &bytes, &size_bytes, error);
    fw_safetensors_clear(&file);
    if (status != FW_OK) return status;
    status = fw_file_write_durable(fw_env_real(), path, bytes, size_bytes, error);
    if (status == FW_OK) *hash = fw_hash_bytes(bytes, size_bytes);
    free(bytes);
    return status;
}

/* Parameters to start from: the champion's network, or fresh ones. */
static fw_status start_params(const char *base_path, uint64_t seed, float *params, bool *warm,
                              fw_error *error) {
    fw_policy *base = calloc(1, sizeof *base);
    if (!base) return fw_fail(error, FW_NO_MEMORY, "no memory for the base model");
    fw_status status = base_path ? fw_policy_load_file(base_path, base, error) : FW_OK;
    if (status == FW_OK) {
        *warm = base_path && base->kind == FW_POLICY_NETWORK &&
                base->network.hidden == fw_ppo_shape().hidden;
        if (*warm) fw_mlp_pack(&base->network, params);
        else fw_mlp_init(fw_ppo_shape(), params, seed);
    }
    free(base);
    return status;
}

static double cpu_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static fw_status train_in(const fw_driving_train_config *config, fw_pool *pool, float *params,
                          fw_driving_train_result *out, fw_error *error) {
    scenario_set set;
    bool warm = false;
    double before = cpu_seconds();
    FW_TRY(start_params(config->base_path, config->seed, params, &warm, error));
    FW_TRY(set_load(config->recordings, config->recording_count, pool, &set, error));
    fw_ppo_config ppo = {.scenarios = (const fw_scenario *const *)set.items,
                         .scenario_count = set.count,
                         .seed = config->seed,
                         .agent_steps = config->agent_steps,
                         .warm = warm,
                         .progress = config->progress};
    fw_ppo_report report = {0};
    fw_driving_train_result result = {.scenarios = set.count, .scenarios_refused = set.refused};
    fw_status status = fw_ppo_train(&ppo, pool, params, &report, error);
    if (status == FW_OK) status = write_network(params, config->out_path, &result.model, error);
    set_free(&set);
    if (status != FW_OK) return status;
    result.agent_steps = report.agent_steps;
    result.clean_share = report.clean_share;
    result.core_s = cpu_seconds() - before;
    *out = result;
    return FW_OK;
}

fw_status fw_driving_train(const fw_driving_train_config *config, fw_driving_train_result *out,
                           fw_error *error) {
    if (config->agent_steps == 0 || config->threads == 0)
        return fw_fail(error, FW_INVALID, "training needs agent_steps and threads above 0");
    float *params = calloc(fw_mlp_parameters(fw_ppo_shape()), sizeof *params);
    if (!params) return fw_fail(error, FW_NO_MEMORY, "no memory for the network");
    fw_pool *pool = NULL;
    fw_status status = fw_pool_new(config->threads, &pool, error);
    if (status == FW_OK) status = train_in(config, pool, params, out, error);
    fw_pool_free(pool);
    free(params);
    return status;
}

fw_status fw_driving_untrained(uint64_t seed, const char *out_path, fw_hash *hash,
                               fw_error *error) {
    float *params = calloc(fw_mlp_parameters(fw_ppo_shape()), sizeof *params);
    if (!params) return fw_fail(error, FW_NO_MEMORY, "no memory for the network");
    fw_mlp_init(fw_ppo_shape(), params, seed);
    fw_status status = write_network(params, out_path, hash, error);
    free(params);
    return status;
}

/* The gate's drives: every held-out scenario from its start and then from every ten seconds on, for
 * at most thirty seconds, without jitter, once per policy. Drives of one recording are a cluster. */
enum { TRIAL_EVERY = 100, TRIAL_TICKS = 300, TRIALS_MAX = 16, INTERVAL_DRAWS = 2000 };
static const double moves_share = 0.3; /* of the champion's metres: standing still is no skill */
static const double margin = 0.03; /* how far below the champion's the share may lie */

typedef struct score {
    uint32_t drives;
    uint32_t clean[2]; /* champion, candidate */
    double metres[2];
} score;

typedef struct trial {
    const scenario_set *set;
    const fw_policy *policies[2];
    score *scores; /* (set->count) */
} trial;

static bool drive_clean(const fw_policy *policy, fw_sim *sim, const fw_scenario *scenario,
                        uint32_t tick, double *metres) {
    fw_policy_session session = {0};
    fw_drive_obs obs;
    fw_drive_action action;
    fw_sim_outcome out = {0, FW_SIM_RUNS};
    fw_sim_begin(sim, scenario, tick, 0);
    float start = sim->s_m;
    for (uint32_t k = 0; k < TRIAL_TICKS && out.end == FW_SIM_RUNS; k++) {
        fw_sim_observe(sim, &obs);
        fw_policy_act(policy, &session, &obs, &action);
        out = fw_sim_step(sim, action);
    }
    *metres += (double)(sim->s_m - start);
    return out.end != FW_SIM_COLLISION && out.end != FW_SIM_OFF_LANE && !sim->red_run &&
           !sim->stuck;
}

static void try_one(void *self, uint32_t i) {
    trial *t = self;
    const fw_scenario *scenario = t->set->items[i];
    score *own = &t->scores[i];
    for (uint32_t k = 0; k < TRIALS_MAX; k++) {
        uint32_t tick = k * TRIAL_EVERY;
        if (tick + FW_SCENARIO_TICKS_MIN > scenario->recorded) break;
        for (int p = 0; p < 2; p++) {
            fw_sim sim = fw_sim_new((uint64_t)i * TRIALS_MAX + k); /* same lights for both */
            own->clean[p] += drive_clean(t->policies[p], &sim, scenario, tick, &own->metres[p]);
            fw_sim_free(&sim);
        }
        own->drives++;
    }
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

static fw_status gate_in(const fw_driving_gate_config *config, fw_pool *pool, fw_policy *policies,
                         fw_driving_gate_result *out, fw_error *error) {
    scenario_set set;
    FW_TRY(fw_policy_load_file(config->champion_path, &policies[0], error));
    FW_TRY(fw_policy_load_file(config->candidate_path, &policies[1], error));
    FW_TRY(set_load(config->recordings, config->recording_count, pool, &set, error));
    trial t = {&set, {&policies[0], &policies[1]}, calloc(set.count, sizeof(score))};
    FW_ASSERT(t.scores);
    fw_pool_run(pool, set.count, try_one, &t);
    decide(&t, set.count, out);
    free(t.scores);
    set_free(&set);
    return FW_OK;
}

fw_status fw_driving_gate(const fw_driving_gate_config *config, fw_driving_gate_result *out,
                          fw_error *error) {
    fw_policy *policies = calloc(2, sizeof *policies);
    fw_pool *pool = NULL;
    if (!policies) return fw_fail(error, FW_NO_MEMORY, "no memory for two models");
    fw_status status = fw_pool_new(config->threads ? config->threads : 1, &pool, error);
    if (status == FW_OK) status = gate_in(config, pool, policies, out, error);
    fw_pool_free(pool);
    free(policies);
    return status;
}
