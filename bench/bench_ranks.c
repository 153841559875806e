/* bench_ranks.c - what ranks cost: a step of training by one process with as many threads as there are ranks,
 * against a step by all ranks with one thread each, in turn in the same run.
 *
 *     mpirun -n 2 --bind-to none bench_ranks [--smoke]
 *
 * Wall time, the best of several steps; other programs on the machine lengthen both.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/random.h"
#include "nn/mpi/mpi.h"
#include "nn/train/trainer.h"
#include "nn_networks.h"

typedef struct network {
    const char *title;
    bench_build *build;
    uint32_t rows, tile_rows;
    int steps; /* in a row */
} network;

static const network networks[] = {{"MLP 64-256-256-8, batch 4096", bench_build_mlp, 4096, 256, 10},
                                   {"LSTM 2 x 64 over 30 x 14, batch 1024", bench_build_lstm, 1024, 32, 4},
                                   {"GPT 6 layers of 384, 256 words, batch 8", bench_build_gpt, 8, 1, 1}};
enum { NETWORKS = sizeof networks / sizeof *networks, LANES = 8, ROUNDS = 3, INPUTS = 4 };

typedef struct training {
    fw_nn_trainer *trainer;
    void *inputs[INPUTS];
    uint32_t input_count, rows;
} training;

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *random_numbers(const fw_nn_value_info *value, uint32_t rows, fw_random *r) {
    size_t count = rows * fw_nn_elements(value->shape);
    float *out = malloc((count + 1) * sizeof *out);
    for (size_t i = 0; out && i < count; i++) {
        int32_t index = (int32_t)fw_random_below(r, 256);
        out[i] = fw_random_normal(r);
        if (value->dtype == FW_NN_I32) memcpy(&out[i], &index, sizeof index);
    }
    return out;
}

static fw_status open_training(const network *n, const fw_nn_ranks *ranks, uint32_t threads,
                               training *out, fw_error *error) {
    fw_nn_graph *g;
    fw_random random = fw_random_named(1, "bench");
    *out = (training){.rows = n->rows};
    FW_TRY(fw_nn_graph_new(&g, error));
    n->build(g, true);
    for (uint32_t i = 0; i < g->value_count; i++)
        if (g->values[i].kind == FW_NN_INPUT)
            out->inputs[out->input_count++] = random_numbers(&g->values[i], n->rows, &random);
    fw_nn_trainer_options options = {.batch = n->rows, .tile_rows = n->tile_rows, .lanes = LANES,
                                     .threads = threads, .ranks = ranks, .seed = 1};
    fw_status status = fw_nn_trainer_new(g, fw_nn_find(g, "loss"), &options, &out->trainer, error);
    fw_nn_graph_free(g);
    return status;
}

static void close_training(training *t) {
    fw_nn_trainer_free(t->trainer);
    for (uint32_t i = 0; i < t->input_count; i++) free(t->inputs[i]);
}

static fw_status best_of(training *t, int steps, double *best_s, fw_error *error) {
    for (int i = 0; i < steps; i++) {
        double start_s = now_s();
        FW_TRY(fw_nn_trainer_step(t->trainer, (const void *const *)t->inputs, t->rows, NULL, error));
        double took_s = now_s() - start_s;
        if (took_s < *best_s) *best_s = took_s;
    }
    return FW_OK;
}

static fw_status compare(const network *n, const fw_nn_ranks *ranks, int rounds, fw_error *error) {
    training alone = {0}, all = {0};
    double alone_s = 1e9, all_s = 1e9;
    bool ignored;
    if (ranks->rank == 0) FW_TRY(open_training(n, &fw_nn_ranks_alone, ranks->count, &alone, error));
    FW_TRY(open_training(n, ranks, 1, &all, error));
    for (int i = 0; i < rounds; i++) {
        if (ranks->rank == 0) FW_TRY(best_of(&alone, n->steps, &alone_s, error));
        FW_TRY(fw_nn_ranks_any(ranks, false, &ignored, error)); /* the others wait */
        FW_TRY(best_of(&all, n->steps, &all_s, error));
    }
    size_t floats = fw_nn_trainer_layout(all.trainer)->floats;
    if (ranks->rank == 0) {
        bool same = memcmp(fw_nn_trainer_parameters(alone.trainer),
                           fw_nn_trainer_parameters(all.trainer), floats * sizeof(float)) == 0;
        printf("%-42s %10.2f ms %10.2f ms %6.2f   %s\n", n->title, alone_s * 1e3, all_s * 1e3,
               alone_s / all_s, same ? "the same weights" : "OTHER WEIGHTS");
        close_training(&alone);
    }
    close_training(&all);
    return FW_OK;
}

static fw_status work(const fw_nn_ranks *ranks, bool smoke, fw_error *error) {
    if (ranks->rank == 0)
        printf("%-42s %2u threads   %2u ranks     ratio\n", "a step of", ranks->count, ranks->count);
    for (int i = 0; i < (smoke ? 1 : NETWORKS); i++)
        FW_TRY(compare(&networks[i], ranks, smoke ? 1 : ROUNDS, error));
    return FW_OK;
}

int main(int argc, char **argv) {
    fw_nn_mpi *mpi;
    fw_error error = {""};
    if (fw_nn_mpi_start(&mpi, &error) != FW_OK) {
        fprintf(stderr, "bench_ranks: %s\n", error.text);
        return 1;
    }
    uint32_t rank = fw_nn_mpi_ranks(mpi)->rank;
    fw_status status = work(fw_nn_mpi_ranks(mpi), argc > 1 && strcmp(argv[1], "--smoke") == 0, &error);
    bool together = fw_nn_mpi_end(mpi, &status, &error);
    if (status != FW_OK && (!together || rank == 0)) fprintf(stderr, "bench_ranks: %s\n", error.text);
    fw_nn_mpi_leave(mpi, together);
    return status != FW_OK;
}
