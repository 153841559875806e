/* experiment_plan.c - which cells there are, where each lies, and what it waits for; see experiment.h */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/experiment.h"

enum { RESULT_MAX_BYTES = 1 << 20 };

const char *const fw_experiment_arm_names[FW_EXPERIMENT_ARMS] = {"first", "frozen", "loop", "random"};

/* All seeds' first cells, then generation by generation, seed by seed: frozen, loop, random. */
uint32_t fw_experiment_cells(const fw_experiment *e) {
    return (uint32_t)(e->set.seeds * (1 + 3 * (e->set.generations - 1)));
}

fw_experiment_cell fw_experiment_cell_at(const fw_experiment *e, uint32_t index) {
    const uint64_t seeds = e->set.seeds;
    FW_ASSERT(index < fw_experiment_cells(e));
    if (index < seeds) return (fw_experiment_cell){e->set.seed + index, 1, FW_EXPERIMENT_FIRST};
    uint64_t rest = index - seeds, generation = 2 + rest / (3 * seeds);
    uint64_t seed = rest % (3 * seeds) / 3;
    return (fw_experiment_cell){e->set.seed + seed, generation,
                                (fw_experiment_arm)(FW_EXPERIMENT_FROZEN + rest % 3)};
}

void fw_experiment_cell_name(const fw_experiment_cell *cell, char out[FW_EXPERIMENT_NAME_MAX]) {
    snprintf(out, FW_EXPERIMENT_NAME_MAX, "seed-%" PRIu64 "/%s/gen-%" PRIu64, cell->seed,
             fw_experiment_arm_names[cell->arm], cell->generation);
}

fw_status fw_experiment_cell_parse(const fw_experiment *e, const char *name, fw_experiment_cell *out,
                                   fw_error *error) {
    for (uint32_t i = 0; i < fw_experiment_cells(e); i++) {
        char one[FW_EXPERIMENT_NAME_MAX];
        fw_experiment_cell cell = fw_experiment_cell_at(e, i);
        fw_experiment_cell_name(&cell, one);
        if (strcmp(one, name) != 0) continue;
        *out = cell;
        return FW_OK;
    }
    return fw_fail(error, FW_INVALID, "this experiment has no cell '%.60s'", name);
}

/* ---- places ---- */

static void place(const fw_experiment *e, const char *folder, const fw_experiment_cell *cell,
                  const char *end, char out[FW_PATH_MAX]) {
    char name[FW_EXPERIMENT_NAME_MAX];
    fw_experiment_cell_name(cell, name);
    int size = snprintf(out, FW_PATH_MAX, "%.300s/%s/%s%s", e->root, folder, name, end);
    FW_ASSERT(size > 0 && size < FW_PATH_MAX);
}

void fw_experiment_result_path(const fw_experiment *e, const fw_experiment_cell *cell,
                               char out[FW_PATH_MAX]) {
    place(e, "cells", cell, ".json", out);
}

void fw_experiment_snapshot_path(const fw_experiment *e, const fw_experiment_cell *cell,
                                 char out[FW_PATH_MAX]) {
    place(e, "snapshots", cell, "", out);
}

/* ---- who waits for whom ---- */

bool fw_experiment_parent(const fw_experiment_cell *cell, fw_experiment_cell *out) {
    if (cell->arm == FW_EXPERIMENT_FIRST) return false;
    bool from_first = cell->generation == 2 || cell->arm == FW_EXPERIMENT_FROZEN;
    *out = from_first ? (fw_experiment_cell){cell->seed, 1, FW_EXPERIMENT_FIRST}
                      : (fw_experiment_cell){cell->seed, cell->generation - 1, cell->arm};
    return true;
}

bool fw_experiment_done(const fw_experiment *e, const fw_experiment_cell *cell) {
    char path[FW_PATH_MAX];
    fw_experiment_result_path(e, cell, path);
    return fw_file_exists(path);
}

bool fw_experiment_ready(const fw_experiment *e, const fw_experiment_cell *cell) {
    fw_experiment_cell before;
    if (!fw_experiment_parent(cell, &before)) return true;
    if (!fw_experiment_done(e, &before)) return false;
    const fw_experiment_cell loop = {cell->seed, cell->generation, FW_EXPERIMENT_LOOP};
    return cell->arm != FW_EXPERIMENT_RANDOM || fw_experiment_done(e, &loop);
}

fw_status fw_experiment_result(const fw_experiment *e, const fw_experiment_cell *cell, json_t **out,
                               fw_error *error) {
    char path[FW_PATH_MAX], *bytes = NULL;
    size_t size = 0;
    fw_experiment_result_path(e, cell, path);
    FW_TRY(fw_file_read(path, RESULT_MAX_BYTES, &bytes, &size, error));
    json_t *result = json_loadb(bytes, size, 0, NULL);
    free(bytes);
    if (!json_is_object(result)) {
        json_decref(result);
        return fw_fail(error, FW_CORRUPT, "%s is no cell's result: remove it, and the cell is done again",
                       path);
    }
    *out = result;
    return FW_OK;
}
