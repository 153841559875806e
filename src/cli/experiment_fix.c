/* experiment_fix.c - see experiment_fix.h */
#include "cli/experiment_fix.h"

#include <stdlib.h>
#include <string.h>

#include "lines/driving/learn/score/score.h"

enum { LIST_MAX = 4096, SEED = 17, DRIVERS = 2, BEFORE = 0, AFTER = 1 };

typedef struct windows {
    uint32_t count;
    char (*paths)[FW_PATH_MAX];
    const char **path_of; /* (count) into paths */
    json_t *rows;         /* (count) */
} windows;

static int by_hash(const void *a, const void *b) {
    const char *x = json_string_value(json_object_get(*(json_t *const *)a, "sha256"));
    const char *y = json_string_value(json_object_get(*(json_t *const *)b, "sha256"));
    return strcmp(x ? x : "", y ? y : "");
}

/* Rows that have a hash and were owned by a generation, in order of hash. */
static json_t *sorted(const json_t *rows) {
    json_t *list = json_array(), *row = NULL, **order = calloc(json_array_size(rows) + 1, sizeof *order);
    size_t i = 0, count = 0;
    FW_ASSERT(order != NULL);
    json_array_foreach((json_t *)(uintptr_t)rows, i, row)
        if (fw_hash_valid(json_string_value(json_object_get(row, "sha256"))) &&
            json_is_integer(json_object_get(row, "generation")))
            order[count++] = row;
    qsort(order, count, sizeof *order, by_hash);
    for (i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:O, s:O, s:n, s:n}", "sha256",
                                              json_object_get(order[i], "sha256"), "generation",
                                              json_object_get(order[i], "generation"), "before", "after"));
    free(order);
    return list;
}

static fw_status fetch(fw_demo *demo, const char *folder, windows *w, fw_error *error) {
    json_t *rows = NULL, *row = NULL;
    size_t i = 0;
    FW_TRY(fw_demo_factory_get(&demo->factory, "/v1/recordings?limit=4096", &rows, error));
    w->rows = sorted(rows);
    json_decref(rows);
    w->count = (uint32_t)json_array_size(w->rows);
    w->paths = calloc(w->count + 1, sizeof *w->paths);
    w->path_of = calloc(w->count + 1, sizeof *w->path_of);
    if (!w->paths || !w->path_of) return fw_fail(error, FW_NO_MEMORY, "no memory for windows");
    json_array_foreach(w->rows, i, row) {
        const char *hash = json_string_value(json_object_get(row, "sha256"));
        snprintf(w->paths[i], FW_PATH_MAX, "%.400s/%.64s.mcap", folder, hash);
        w->path_of[i] = w->paths[i];
        FW_TRY(fw_demo_factory_fetch(&demo->factory, hash, w->paths[i], error));
    }
    return FW_OK;
}

static bool clean(const fw_sim_drive *d) {
    return d->end != FW_SIM_COLLISION && d->end != FW_SIM_OFF_ROAD && !d->red_light && !d->stuck;
}

/* clean of each scenario by each driver; `any` of those that were driven at all. */
static void judge(const fw_score *score, bool (*is_clean)[DRIVERS], bool *any) {
    const fw_score_table *t = &score->traffic[FW_SIM_REACTIVE];
    for (uint32_t c = 0; c < t->case_count; c++) {
        uint32_t scenario = t->cases[c].scenario;
        for (int d = 0; d < DRIVERS; d++)
            is_clean[scenario][d] = (!any[scenario] || is_clean[scenario][d]) && clean(&t->drives[d][c]);
        any[scenario] = true;
    }
}

static fw_status drive(const fw_score_set *set, const fw_driver *drivers, const fw_experiment_cell *cell,
                       windows *w, fw_error *error) {
    fw_score score = {0};
    bool(*is_clean)[DRIVERS] = calloc(set->count, sizeof *is_clean), *any = calloc(set->count, sizeof *any);
    const fw_score_config config = {.scenarios = (const fw_scenario *const *)set->items,
                                    .scenario_count = set->count, .drivers = drivers,
                                    .driver_count = DRIVERS, .traffic = {[FW_SIM_REACTIVE] = true},
                                    .threads = 1, .seed = SEED};
    fw_status status = is_clean && any ? fw_score_run(&config, &score, error)
                                       : fw_fail(error, FW_NO_MEMORY, "no memory for windows");
    if (status == FW_OK) judge(&score, is_clean, any);
    for (uint32_t i = 0; status == FW_OK && i < set->count; i++) {
        json_t *row = json_array_get(w->rows, set->path_of[i]);
        bool now = json_integer_value(json_object_get(row, "generation")) == (json_int_t)cell->generation;
        if (!any[i]) continue;
        if (now) json_object_set_new(row, "before", json_boolean(is_clean[i][BEFORE]));
        json_object_set_new(row, "after", json_boolean(is_clean[i][AFTER]));
    }
    if (status == FW_OK) fw_score_clear(&score);
    free(is_clean);
    free(any);
    return status;
}

static fw_status drive_all(windows *w, const fw_experiment_cell *cell, const char *before_path,
                           const char *after_path, fw_error *error) {
    fw_driver drivers[DRIVERS] = {0};
    fw_score_set set = {0};
    const fw_score_read_config read = {.paths = w->path_of, .count = w->count, .threads = 1};
    FW_TRY(fw_driver_model(before_path, &drivers[BEFORE], error));
    fw_status status = fw_driver_model(after_path, &drivers[AFTER], error);
    drivers[BEFORE].guard = drivers[AFTER].guard = true;
    if (status == FW_OK) status = fw_score_read(&read, &set, error);
    if (status == FW_OK) status = drive(&set, drivers, cell, w, error);
    fw_score_set_clear(&set);
    for (int d = 0; d < DRIVERS; d++) fw_driver_clear(&drivers[d]);
    return status;
}

fw_status fw_experiment_drive_windows(const fw_experiment_cell *cell, fw_demo *demo, const char *before_path,
                                      const char *after_path, const char *folder, json_t **out,
                                      fw_error *error) {
    windows w = {0};
    FW_TRY(fw_folder_make(folder, 0700, error));
    fw_status status = fetch(demo, folder, &w, error);
    if (status == FW_OK && w.count > 0) {
        status = drive_all(&w, cell, before_path, after_path, error);
        if (status == FW_INVALID) status = FW_OK; /* all too short for a scenario: they stay undriven */
    }
    if (status == FW_OK) *out = json_incref(w.rows);
    json_decref(w.rows);
    free(w.paths);
    free(w.path_of);
    return status;
}
