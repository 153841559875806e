/* experiment_cell.c - one cell: living phase, generation, sealed evaluation; see experiment.h */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/random.h"
#include "cli/experiment_choose.h"
#include "cli/experiment_exam.h"
#include "cli/experiment_files.h"
#include "cli/experiment_fix.h"
#include "cli/experiment_place.h"

enum { FOLDER_MODE = 0700 };

/* What a cell holds while it is worked on. */
typedef struct hand {
    const fw_experiment *e;
    const fw_experiment_cell *cell;
    fw_experiment_place place;
    fw_hash driven_by, model; /* before and after */
    uint64_t recorded_bytes;
    json_t *row;   /* the factory's, of the generation; NULL: none was made */
    json_t *exams, *windows;
    double living_s, learning_s, exam_s;
} hand;

static double now_s(void) { return (double)fw_env_mono_ns(fw_env_real()) / 1e9; }

/* ---- places and processes ---- */

/* The world's seed is the same in all arms; another one in every generation. */
static uint64_t living_seed(const fw_experiment_cell *cell) {
    char name[48];
    snprintf(name, sizeof name, "living/%" PRIu64, cell->generation);
    return fw_seed_mix(cell->seed, name) & (UINT64_MAX >> 1);
}

static fw_status set_up(hand *h, fw_error *error) {
    char name[FW_EXPERIMENT_NAME_MAX], snapshot[FW_PATH_MAX], conditions[200];
    fw_experiment_cell before;
    const bool goes_on = fw_experiment_parent(h->cell, &before);
    fw_experiment_cell_name(h->cell, name);
    if (goes_on) fw_experiment_snapshot_path(h->e, &before, snapshot);
    fw_experiment_conditions(&h->e->set, h->cell->generation, conditions);
    return fw_experiment_place_open(h->e, name, goes_on ? snapshot : NULL, living_seed(h->cell), conditions,
                                    &h->place, error);
}

static void put_down(hand *h) {
    fw_experiment_place_close(&h->place);
    json_decref(h->row);
    json_decref(h->exams);
    json_decref(h->windows);
    free(h);
}

/* ---- the phases ---- */

/* The fleet drives through the generation's world; what its arm chose is in the factory afterwards. */
static fw_status live(hand *h, fw_error *error) {
    bool wanted[FW_DEMO_UNITS_MAX];
    double begin = now_s();
    FW_TRY(fw_demo_start_factory(&h->place.demo, error));
    FW_TRY(fw_demo_first_model(&h->place.demo, &h->driven_by, error));
    FW_TRY(fw_experiment_launch(h->e, h->cell, &h->place.demo, wanted, error));
    FW_TRY(fw_demo_start_fleet(&h->place.demo, error));
    FW_TRY(fw_experiment_wait_launched(&h->place.demo, wanted, error));
    FW_TRY(fw_demo_live(&h->place.demo, error));
    h->living_s = now_s() - begin;
    return FW_OK;
}

static const char *text(const json_t *row, const char *name) {
    const char *value = json_string_value(json_object_get(row, name));
    return value ? value : "";
}

/* Data set, training, gate; the fleet takes what the gate lets through. */
static fw_status learn(hand *h, fw_error *error) {
    char units[FW_PATH_MAX];
    double begin = now_s();
    h->model = h->driven_by;
    if (h->cell->arm != FW_EXPERIMENT_FROZEN) {
        uint64_t seed = fw_demo_phase_seed(h->cell->seed, (uint32_t)h->cell->generation);
        FW_TRY(fw_demo_learn(&h->place.demo, seed, &h->row, error));
        if (strcmp(text(h->row, "stage"), "failed") == 0)
            return fw_fail(error, FW_IO, "the generation failed: %.200s", text(h->row, "reason"));
        if (strcmp(text(h->row, "decision"), "promoted") == 0)
            FW_TRY(fw_hash_parse(text(h->row, "model"), &h->model, error));
    }
    fw_demo_stop_fleet(&h->place.demo); /* everything recorded is on the units' disks then */
    fw_path_join(units, sizeof units, h->place.demo.base, "units");
    h->recorded_bytes = fw_experiment_bytes(units, ".mcap");
    h->learning_s = now_s() - begin;
    return FW_OK;
}

static fw_status examine(hand *h, fw_error *error) {
    char before[FW_PATH_MAX], after[FW_PATH_MAX], folder[FW_PATH_MAX];
    double begin = now_s();
    FW_TRY(fw_experiment_model_file(&h->place, &h->driven_by, before, error));
    FW_TRY(fw_experiment_model_file(&h->place, &h->model, after, error));
    fw_path_join(folder, sizeof folder, h->place.demo.base, "windows");
    if (h->cell->arm != FW_EXPERIMENT_FROZEN)
        FW_TRY(fw_experiment_drive_windows(h->cell, &h->place.demo, before, after, folder, &h->windows, error));
    FW_TRY(fw_experiment_examine(h->e, after, h->place.demo.logs, &h->exams, error));
    h->exam_s = now_s() - begin;
    return FW_OK;
}

/* ---- the result ---- */

static json_t *copy_or_null(const json_t *row, const char *name) {
    json_t *value = json_object_get(row, name);
    return value ? json_incref(value) : json_null();
}

static json_t *counts(const hand *h, const char *name) {
    return json_object_get(json_object_get(h->place.demo.veto_by_model, h->driven_by.hex), name);
}

static json_t *result_of(const hand *h) {
    static const char *const names[] = {"decision", "reason", "gate", "train", "train_core_s",
                                        "agent_steps", "dataset"};
    json_t *r = json_pack(
        "{s:i, s:I, s:s, s:I, s:s, s:s, s:s, s:O, s:I, s:I, s:I, s:I, s:I, s:O, s:{s:f, s:f, s:f}}", "version",
        FW_EXPERIMENT_FORMAT, "seed", (json_int_t)h->cell->seed, "arm",
        fw_experiment_arm_names[h->cell->arm], "generation", (json_int_t)h->cell->generation, "conditions", h->place.conditions, "driven_by",
        h->driven_by.hex, "model", h->model.hex, "prequential", h->place.demo.truth, "ticks",
        json_integer_value(counts(h, "ticks")), "vetoes", json_integer_value(counts(h, "vetoes")),
        "captures", json_integer_value(json_object_get(h->row, "recordings")), "uploaded_bytes",
        json_integer_value(json_object_get(h->row, "bytes_uploaded")), "recorded_bytes",
        (json_int_t)h->recorded_bytes, "exams", h->exams, "seconds", "living", h->living_s, "learning",
        h->learning_s, "exam", h->exam_s);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        json_object_set_new(r, names[i], copy_or_null(h->row, names[i]));
    json_object_set_new(r, "windows", h->windows ? json_incref(h->windows) : json_array());
    return r;
}

/* The factory's folder becomes the snapshot, then the result makes the cell done. */
static fw_status keep(hand *h, fw_error *error) {
    char from[FW_PATH_MAX], to[FW_PATH_MAX], path[FW_PATH_MAX], folder[FW_PATH_MAX];
    fw_path_join(from, sizeof from, h->place.demo.base, "factory");
    fw_experiment_snapshot_path(h->e, h->cell, to);
    fw_experiment_result_path(h->e, h->cell, path);
    FW_TRY(fw_folder_remove(to, error));
    FW_TRY(fw_folder_make(to, FOLDER_MODE, error));
    if (h->cell->arm != FW_EXPERIMENT_FROZEN && rename(from, to) != 0)
        return fw_fail_errno(error, "cannot move %s to %s", from, to);
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = 0;
    FW_TRY(fw_folder_make(folder, FOLDER_MODE, error));
    json_t *result = result_of(h);
    char *bytes = json_dumps(result, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    json_decref(result);
    if (bytes == NULL) return fw_fail(error, FW_NO_MEMORY, "no memory for a cell's result");
    fw_status status = fw_file_write_durable(fw_env_real(), path, bytes, strlen(bytes), error);
    free(bytes);
    return status;
}

static fw_status work(hand *h, fw_error *error) {
    FW_TRY(set_up(h, error));
    FW_TRY(live(h, error));
    FW_TRY(learn(h, error));
    FW_TRY(examine(h, error));
    if (h->place.demo.faults > 0)
        return fw_fail(error, FW_BUSY, "%u faults on the way: the clock had a say", h->place.demo.faults);
    fw_demo_stop_all(&h->place.demo);
    FW_TRY(keep(h, error));
    return fw_folder_remove(h->place.demo.base, error);
}

fw_status fw_experiment_cell_run(const fw_experiment *e, const fw_experiment_cell *cell,
                                 fw_error *error) {
    fw_status status = FW_BUSY;
    for (int i = 0; i < FW_EXPERIMENT_TRIES && status == FW_BUSY; i++) {
        hand *h = calloc(1, sizeof *h);
        if (h == NULL) return fw_fail(error, FW_NO_MEMORY, "no memory for a cell");
        h->e = e;
        h->cell = cell;
        status = work(h, error);
        if (status == FW_BUSY) fw_log_warn("%s; again", error->text);
        put_down(h);
    }
    return status;
}
