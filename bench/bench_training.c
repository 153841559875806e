/* bench_training.c - how many agent-steps a second a training learns from, end to end: simulator, features,
 * network, advantages, gradients, optimiser.
 *
 *     bench_training [--smoke] [--threads N] [--updates U] [RECORDING.mcap ...]
 *
 * A training from nothing on the files that are named (units' recordings, scenes, or both); without any, on a
 * made-up street and a made-up recording. Wall and CPU time of each update; the best and the median. Rows
 * without a car are no agent-steps.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../tests/lines/street.h"
#include "../tests/lines/synthetic.h"
#include "lines/driving/learn/train/run.h"

enum { UPDATES_MAX = 1000 };

typedef struct timing {
    double wall_s, cpu_s;
    uint64_t agent_steps;
    uint32_t count;
    double wall_us[UPDATES_MAX], cpu_us[UPDATES_MAX]; /* an agent-step */
} timing;

static double seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void note(void *self, const fw_driving_point *point) {
    timing *t = self;
    double wall_s = seconds(CLOCK_MONOTONIC), cpu_s = seconds(CLOCK_PROCESS_CPUTIME_ID);
    double steps = (double)(point->agent_steps - t->agent_steps);
    if (t->agent_steps > 0 && t->count < UPDATES_MAX) { /* the first one's start was not seen */
        t->wall_us[t->count] = 1e6 * (wall_s - t->wall_s) / steps;
        t->cpu_us[t->count++] = 1e6 * (cpu_s - t->cpu_s) / steps;
    }
    t->wall_s = wall_s, t->cpu_s = cpu_s, t->agent_steps = point->agent_steps;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* ---- what is driven ---- */

static fw_status made_up(fw_learn_set *set, fw_error *error) {
    street_car cars[24];
    for (int i = 0; i < 24; i++)
        cars[i] = (street_car){.x_m = 18.0f * (float)(i / 3), .y_m = 4.0f * (float)(i % 3 - 1),
                               .speed_mps = 8 + (float)(i % 5)};
    fw_drive_recording *recording = synthetic_recording(300, 5);
    *set = (fw_learn_set){.items = calloc(2, sizeof(fw_scenario *)), .count = 2, .scene_count = 1};
    if (!set->items) return fw_fail(error, FW_NO_MEMORY, "no memory");
    set->items[0] = street(cars, 24, 100);
    fw_status status = fw_scenario_of_unit(recording, fw_vehicles_builtin(), &set->items[1], error);
    fw_drive_recording_free(recording);
    return status == FW_OK ? fw_learn_set_group(set, error) : status;
}

/* ---- the training ---- */

static fw_status learn(const fw_learn_set *set, fw_pool *pool, uint32_t threads, uint64_t updates,
                       timing *out, fw_error *error) {
    const fw_learn_run_config config = {.set = set, .threads = threads, .ranks = &fw_nn_ranks_alone, .seed = 1,
                                        .agent_steps = updates * FW_LEARN_ROWS,
                                        .progress = {.self = out, .point = note}};
    fw_nn_graph *network;
    fw_nn_layout layout;
    fw_learn_run_report report;
    FW_TRY(fw_drive_network_graph(FW_DRIVE_HIDDEN, &network, error));
    FW_TRY(fw_nn_layout_make(network, &layout, error));
    float *params = fw_nn_vector_new(layout.floats);
    if (!params) return fw_fail(error, FW_NO_MEMORY, "no memory");
    fw_nn_initialise(network, &layout, 1, params);
    fw_status status = fw_learn_run(&config, pool, network, params, &report, error);
    free(params);
    fw_nn_layout_clear(&layout);
    fw_nn_graph_free(network);
    return status;
}

static void print(timing *t, uint32_t threads) {
    qsort(t->wall_us, t->count, sizeof *t->wall_us, ascending);
    qsort(t->cpu_us, t->count, sizeof *t->cpu_us, ascending);
    printf("agent-steps/s, %u thread%s: best %.0f, median %.0f\n", threads, threads == 1 ? "" : "s",
           1e6 / t->wall_us[0], 1e6 / t->wall_us[t->count / 2]);
    printf("CPU time of an agent-step: best %.2f us, median %.2f us\n", t->cpu_us[0], t->cpu_us[t->count / 2]);
}

int main(int argc, char **argv) {
    static timing t;
    uint32_t threads = 1;
    uint64_t updates = 40;
    fw_error error = {""};
    fw_pool *pool = NULL;
    fw_learn_set set = {0};
    int first = 1;
    for (; first < argc && strncmp(argv[first], "--", 2) == 0; first++) {
        bool more = first + 1 < argc;
        if (strcmp(argv[first], "--smoke") == 0) updates = 3;
        else if (more && strcmp(argv[first], "--threads") == 0) threads = (uint32_t)strtoul(argv[++first], NULL, 10);
        else if (more && strcmp(argv[first], "--updates") == 0) updates = strtoull(argv[++first], NULL, 10);
        else return fprintf(stderr, "bench_training: %s?\n", argv[first]), 2;
    }
    if (threads < 1 || threads > 16 || updates < 2 || updates > UPDATES_MAX)
        return fprintf(stderr, "bench_training: 1 to 16 threads, 2 to %d updates\n", UPDATES_MAX), 2;
    fw_status status = fw_pool_new(threads, &pool, &error);
    if (status == FW_OK)
        status = first < argc ? fw_learn_set_read((const char *const *)argv + first, (uint32_t)(argc - first), pool,
                                                  &set, &error)
                              : made_up(&set, &error);
    if (status == FW_OK) status = learn(&set, pool, threads, updates, &t, &error);
    if (status == FW_OK) print(&t, threads);
    else fprintf(stderr, "bench_training: %s\n", error.text);
    fw_learn_set_clear(&set);
    if (pool) fw_pool_free(pool);
    return status == FW_OK ? 0 : 1;
}
