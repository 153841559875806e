#include "lines/driving/learn/learn.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lines/driving/act/policy.h"
#include "lines/driving/learn/train/run.h"

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
static fw_status compare_sets(const fw_nn_ranks *ranks, const fw_learn_set *set, fw_error *error) {
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
static fw_status save(const fw_driving_train_config *config, const beginning *trained,
                      const fw_learn_run_report *report, fw_hash *out, fw_error *error) {
    const fw_drive_card card = {report->uncertainty_threshold, report->agent_steps};
    if (config->ranks->rank == 0)
        FW_TRY(fw_drive_network_save(trained->network, trained->params, &card, config->out_path, out, error));
    return fw_nn_ranks_broadcast(config->ranks, out, sizeof *out, error);
}

static fw_status train_set(const fw_driving_train_config *config, fw_pool *pool, const fw_learn_set *set,
                           beginning *from, fw_driving_train_result *out, fw_error *error) {
    fw_learn_run_report report;
    const fw_learn_run_config run = {.set = set, .threads = config->threads, .ranks = config->ranks,
                                     .seed = config->seed, .imitation_steps = config->imitation_steps,
                                     .agent_steps = config->agent_steps, .warm = from->warm,
                                     .progress = config->progress};
    FW_TRY(compare_sets(config->ranks, set, error));
    FW_TRY(fw_learn_run(&run, pool, from->network, from->params, &report, error));
    FW_TRY(save(config, from, &report, &out->model, error));
    out->scenarios = set->count;
    out->scenarios_refused = set->refused;
    out->agent_steps = report.agent_steps;
    out->clean_share = report.clean_share;
    out->uncertainty_threshold = report.uncertainty_threshold;
    return FW_OK;
}

static fw_status train_in(const fw_driving_train_config *config, fw_pool *pool, beginning *from,
                          fw_driving_train_result *out, fw_error *error) {
    fw_learn_set set;
    fw_driving_train_result result = {0};
    double before = cpu_seconds();
    FW_TRY(fw_learn_set_read(config->recordings, config->recording_count, pool, &set, error));
    fw_status status = train_set(config, pool, &set, from, &result, error);
    fw_learn_set_clear(&set);
    FW_TRY(status);
    FW_TRY(add_times(config->ranks, cpu_seconds() - before, &result.core_s, error));
    *out = result;
    return FW_OK;
}

fw_status fw_driving_train(const fw_driving_train_config *config, fw_driving_train_result *out,
                           fw_error *error) {
    beginning from;
    fw_pool *pool = NULL;
    fw_driving_train_config with = *config;
    if (!with.ranks) with.ranks = &fw_nn_ranks_alone;
    if (config->agent_steps + config->imitation_steps == 0 || config->threads == 0)
        return fw_fail(error, FW_INVALID, "training needs agent_steps or imitation_steps, and threads, above 0");
    fw_status status = begin_from(config->base_path, config->seed, &from, error);
    if (status == FW_OK) status = fw_pool_new(config->threads, &pool, error);
    if (status == FW_OK) status = train_in(&with, pool, &from, out, error);
    if (pool) fw_pool_free(pool);
    beginning_clear(&from);
    return status;
}

fw_status fw_driving_untrained(uint64_t seed, const char *out_path, fw_hash *hash, fw_error *error) {
    beginning fresh = {0};
    fw_status status = begin_fresh(seed, &fresh, error);
    if (status == FW_OK) status = fw_drive_network_save(fresh.network, fresh.params, NULL, out_path, hash, error);
    beginning_clear(&fresh);
    return status;
}
