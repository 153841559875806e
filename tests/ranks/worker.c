/* A training over ranks for test_mpi.c to start under mpirun:
 *
 *   worker hash THREADS LANES     four networks; prints each one's SHA-256 of weights
 *   worker save FILE STEPS        an MLP, STEPS steps from FILE where it is there; writes FILE, prints the hash
 *   worker nan                    an input of the last rank's tiles is NaN
 *   worker fail                   the last rank gives up by itself
 *   worker die                    the last rank is killed
 *   worker stop                   trains until a stop is asked for; each rank prints its pid first
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../nn/zoo.h"
#include "base/hash.h"
#include "nn/mpi/mpi.h"
#include "nn/train/checkpoint.h"

enum { BATCH = 50, TILE = 7, STEPS = 5, INPUTS = 4 };

typedef struct network {
    fw_nn_trainer *trainer;
    void *inputs[INPUTS];
    uint32_t input_count;
} network;

/* The zoo's network with a target for its first output. */
static fw_status network_open(const char *name, const fw_nn_ranks *ranks, uint32_t threads,
                              uint32_t lanes, network *out, fw_error *error) {
    fw_nn_graph *g = NULL;
    *out = (network){0};
    FW_TRY(fw_nn_graph_new(&g, error));
    for (uint32_t i = 0; i < ZOO; i++)
        if (strcmp(zoo[i].name, name) == 0) zoo[i].build(g);
    fw_nn_value y = g->outputs[0].value;
    fw_nn_value target = fw_nn_input(g, "wanted", FW_NN_F32, g->values[y].shape);
    fw_nn_value loss = fw_nn_apply2(g, FW_NN_MSE, "distance", y, target);
    fw_random random = fw_random_named(4, name);
    for (uint32_t i = 0; i < g->value_count; i++)
        if (g->values[i].kind == FW_NN_INPUT)
            out->inputs[out->input_count++] = zoo_values(&g->values[i], BATCH, &random);
    fw_nn_trainer_options options = {
        .batch = BATCH, .tile_rows = TILE, .lanes = lanes, .threads = threads, .ranks = ranks, .seed = 6,
        .optimiser = {.rate = 1e-2f, .decay = 0.01f, .clip_norm = 0.5f, .average_keep = 0.9f}};
    fw_status status = fw_nn_trainer_new(g, loss, &options, &out->trainer, error);
    fw_nn_graph_free(g);
    return status;
}

static void network_close(network *n) {
    fw_nn_trainer_free(n->trainer);
    for (uint32_t i = 0; i < n->input_count; i++) free(n->inputs[i]);
}

static fw_status steps(network *n, uint32_t count, fw_error *error) {
    fw_nn_step_report report;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t rows = BATCH - (uint32_t)fw_nn_trainer_steps(n->trainer) % 3;
        FW_TRY(fw_nn_trainer_step(n->trainer, (const void *const *)n->inputs, rows, &report, error));
    }
    return FW_OK;
}

/* Losses of a step and of an evaluation count too: every rank must know them. */
static void print_hash(const char *name, network *n, const fw_nn_ranks *ranks) {
    size_t bytes = fw_nn_trainer_layout(n->trainer)->floats * sizeof(float);
    double loss = 0;
    fw_error error;
    fw_sha256 *sha = fw_sha256_begin();
    FW_ASSERT(fw_nn_trainer_loss(n->trainer, (const void *const *)n->inputs, BATCH, &loss, &error) ==
              FW_OK);
    fw_sha256_add(sha, fw_nn_trainer_parameters(n->trainer), bytes);
    fw_sha256_add(sha, fw_nn_trainer_average(n->trainer), bytes);
    fw_sha256_add(sha, &loss, sizeof loss);
    fw_hash hash = fw_sha256_end(sha);
    FW_ASSERT(fw_nn_ranks_same(ranks, "weights", hash.hex, &error) == FW_OK);
    if (ranks->rank == 0) printf("%s %s\n", name, hash.hex);
}

static fw_status hashes(const fw_nn_ranks *ranks, int argc, char **argv, fw_error *error) {
    static const char *const names[] = {"mlp", "cnn", "recurrent", "transformer"};
    uint32_t threads = argc > 0 ? (uint32_t)atoi(argv[0]) : 1;
    uint32_t lanes = argc > 1 ? (uint32_t)atoi(argv[1]) : 4;
    for (int i = 0; i < 4; i++) {
        network n;
        FW_TRY(network_open(names[i], ranks, threads, lanes, &n, error));
        FW_TRY(steps(&n, STEPS, error));
        print_hash(names[i], &n, ranks);
        network_close(&n);
    }
    return FW_OK;
}

static fw_status save(const fw_nn_ranks *ranks, int argc, char **argv, fw_error *error) {
    network n;
    if (argc < 2) return fw_fail(error, FW_INVALID, "save FILE STEPS");
    FW_TRY(network_open("mlp", ranks, 1, 4, &n, error));
    fw_status status = fw_nn_trainer_restore(n.trainer, argv[0], error);
    if (status != FW_OK && status != FW_NOT_FOUND) return status;
    FW_TRY(steps(&n, (uint32_t)atoi(argv[1]), error));
    FW_TRY(fw_nn_trainer_save(n.trainer, fw_env_real(), argv[0], error));
    print_hash("mlp", &n, ranks);
    network_close(&n);
    return FW_OK;
}

static fw_status not_a_number(const fw_nn_ranks *ranks, fw_error *error) {
    network n;
    FW_TRY(network_open("mlp", ranks, 1, 4, &n, error));
    FW_TRY(steps(&n, 2, error));
    float *x = n.inputs[0];
    x[13 * (3 * TILE + 2)] = 0.0f / 0.0f; /* tile 3: lane 3, the last rank's */
    return steps(&n, 1, error);
}

static fw_status without_the_last(const fw_nn_ranks *ranks, bool dies, fw_error *error) {
    network n;
    FW_TRY(network_open("mlp", ranks, 1, 4, &n, error));
    FW_TRY(steps(&n, 2, error));
    if (ranks->rank == ranks->count - 1) {
        if (dies) (void)raise(SIGKILL);
        return fw_fail(error, FW_IO, "a disk is on fire");
    }
    return steps(&n, 1 << 20, error);
}

static fw_status until_stopped(const fw_nn_ranks *ranks, fw_error *error) {
    network n;
    bool stop = false;
    fw_nn_keeper keeper = {.path = "/dev/null/none", .every_steps = 0, .env = fw_env_real()};
    FW_TRY(network_open("mlp", ranks, 1, 4, &n, error));
    fprintf(stderr, "pid %d\n", getpid());
    fw_status status = FW_OK;
    while (!stop && status == FW_OK) {
        status = steps(&n, 1, error);
        /* the file cannot be written: all learn it from rank 0 */
        if (status == FW_OK) status = fw_nn_keep(&keeper, n.trainer, &stop, error);
    }
    return status;
}

static fw_status work(const fw_nn_ranks *ranks, int argc, char **argv, fw_error *error) {
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "hash") == 0) return hashes(ranks, argc - 2, argv + 2, error);
    if (strcmp(what, "save") == 0) return save(ranks, argc - 2, argv + 2, error);
    if (strcmp(what, "nan") == 0) return not_a_number(ranks, error);
    if (strcmp(what, "fail") == 0) return without_the_last(ranks, false, error);
    if (strcmp(what, "die") == 0) return without_the_last(ranks, true, error);
    if (strcmp(what, "stop") == 0) return until_stopped(ranks, error);
    return fw_fail(error, FW_INVALID, "say what");
}

int main(int argc, char **argv) {
    fw_nn_mpi *mpi = NULL;
    fw_error error = {""};
    fw_nn_stop_on_signals();
    if (fw_nn_mpi_start(&mpi, &error) != FW_OK) {
        fprintf(stderr, "worker: %s\n", error.text);
        return 1;
    }
    uint32_t rank = fw_nn_mpi_ranks(mpi)->rank;
    fw_status status = work(fw_nn_mpi_ranks(mpi), argc, argv, &error);
    bool together = fw_nn_mpi_end(mpi, &status, &error);
    if (status != FW_OK && (!together || rank == 0))
        fprintf(stderr, "worker: %s%s\n", together ? "" : "alone: ", error.text);
    fw_nn_mpi_leave(mpi, together);
    return status != FW_OK;
}
