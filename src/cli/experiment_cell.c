/* experiment_cell.c - one cell: living phase, generation, sealed evaluation; see experiment.h */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/random.h"
#include "cli/demo.h"
#include "cli/experiment_choose.h"
#include "cli/experiment_exam.h"
#include "cli/experiment_files.h"
#include "cli/experiment_fix.h"

enum { DISK_CAP_BYTES = 2000 << 20, FOLDER_MODE = 0700 };

/* What a cell holds while it is worked on. */
typedef struct hand {
    const fw_experiment *e;
    const fw_experiment_cell *cell;
    char listen[40], conditions[200];
    const char *world_words[3];
    fw_demo_options options;
    fw_demo demo;
    fw_hash driven_by, model; /* before and after */
    uint64_t recorded_bytes;
    json_t *row;   /* the factory's, of the generation; NULL: none was made */
    json_t *exams, *windows;
    double living_s, learning_s, exam_s;
} hand;

static double now_s(void) { return (double)fw_env_mono_ns(fw_env_real()) / 1e9; }

/* ---- places and processes ---- */

static fw_status make_folders(hand *h, fw_error *error) {
    fw_demo *demo = &h->demo;
    char name[FW_EXPERIMENT_NAME_MAX], from[FW_PATH_MAX], to[FW_PATH_MAX];
    fw_experiment_cell before;
    fw_experiment_cell_name(h->cell, name);
    /* a folder of its own: what a killed run left may still be ending */
    snprintf(demo->base, sizeof demo->base, "%.300s/work/%s.%ld", h->e->root, name, (long)getpid());
    FW_TRY(fw_folder_remove(demo->base, error));
    FW_TRY(fw_folder_make(demo->base, FOLDER_MODE, error));
    fw_path_join(demo->logs, sizeof demo->logs, demo->base, "logs");
    fw_path_join(demo->models, sizeof demo->models, demo->base, "models");
    FW_TRY(fw_folder_make(demo->logs, FOLDER_MODE, error));
    FW_TRY(fw_folder_make(demo->models, FOLDER_MODE, error));
    snprintf(demo->bus, sizeof demo->bus, "/tmp/flywheel-%u-%ld.sock", getuid(), (long)getpid());
    if (!fw_experiment_parent(h->cell, &before)) return FW_OK;
    fw_experiment_snapshot_path(h->e, &before, from);
    fw_path_join(to, sizeof to, demo->base, "factory");
    return fw_experiment_copy(from, to, error);
}

/* The world's seed is the same in all arms; another one in every generation. */
static uint64_t living_seed(const fw_experiment_cell *cell) {
    char name[48];
    snprintf(name, sizeof name, "living/%" PRIu64, cell->generation);
    return fw_seed_mix(cell->seed, name) & (UINT64_MAX >> 1);
}

static fw_status set_up(hand *h, fw_error *error) {
    static const char *const unit_words[] = {"--record", "campaigns", NULL};
    const fw_experiment_settings *s = &h->e->set;
    fw_demo *demo = &h->demo;
    uint16_t port = 0;
    FW_TRY(fw_experiment_port(&port, error));
    snprintf(h->listen, sizeof h->listen, "127.0.0.1:%u", port);
    fw_experiment_conditions(s, h->cell->generation, h->conditions);
    if (h->conditions[0]) h->world_words[0] = "--conditions", h->world_words[1] = h->conditions;
    h->options = (fw_demo_options){.data = h->e->root, .listen = h->listen, .seed = living_seed(h->cell),
                                   .cars = s->cars, .ticks = s->ticks, .agent_steps = s->agent_steps,
                                   .disk_cap_bytes = DISK_CAP_BYTES, .headless = true, .parked = true,
                                   .unit_words = unit_words, .world_words = h->world_words, .no_examiner = true,
                                   .factory_threads = h->e->jobs > 1 ? 1 : 2};
    demo->options = &h->options;
    snprintf(demo->factory.base_url, sizeof demo->factory.base_url, "http://%s", h->listen);
    snprintf(demo->serve_program, sizeof demo->serve_program, "%s", h->e->program);
    snprintf(demo->unit_program, sizeof demo->unit_program, "%s", h->e->unit_program);
    snprintf(demo->world_program, sizeof demo->world_program, "%s", h->e->world_program);
    demo->veto_by_model = json_object();
    demo->truth = json_object();
    FW_TRY(make_folders(h, error));
    return fw_http_client_curl(&demo->factory.http, error);
}

static void put_down(hand *h) {
    fw_demo *demo = &h->demo;
    fw_demo_stop_all(demo);
    unlink(demo->bus);
    if (demo->factory.http.free) demo->factory.http.free(demo->factory.http.self);
    json_decref(demo->veto_by_model);
    json_decref(demo->truth);
    json_decref(demo->paused);
    json_decref(h->row);
    json_decref(h->exams);
    json_decref(h->windows);
    free(h);
}

/* ---- the phases ---- */

/* The fleet drives through the generation's world; what its arm chose is in the factory afterwards. */
static fw_status live(hand *h, fw_error *error) {
    bool wanted[FW_DEMO_UNITS_MAX];
    char units[FW_PATH_MAX];
    double begin = now_s();
    FW_TRY(fw_demo_start_factory(&h->demo, error));
    FW_TRY(fw_demo_first_model(&h->demo, &h->driven_by, error));
    FW_TRY(fw_experiment_launch(h->e, h->cell, &h->demo, wanted, error));
    FW_TRY(fw_demo_start_fleet(&h->demo, error));
    FW_TRY(fw_experiment_wait_launched(&h->demo, wanted, error));
    FW_TRY(fw_demo_live(&h->demo, error));
    fw_path_join(units, sizeof units, h->demo.base, "units");
    h->recorded_bytes = fw_experiment_bytes(units, ".mcap");
    h->living_s = now_s() - begin;
    return FW_OK;
}

static const char *text(const json_t *row, const char *name) {
    const char *value = json_string_value(json_object_get(row, name));
    return value ? value : "";
}

/* Data set, training, gate; the fleet takes what the gate lets through. */
static fw_status learn(hand *h, fw_error *error) {
    double begin = now_s();
    h->model = h->driven_by;
    if (h->cell->arm != FW_EXPERIMENT_FROZEN) {
        uint64_t seed = fw_demo_phase_seed(h->cell->seed, (uint32_t)h->cell->generation);
        FW_TRY(fw_demo_learn(&h->demo, seed, &h->row, error));
        if (strcmp(text(h->row, "stage"), "failed") == 0)
            return fw_fail(error, FW_IO, "the generation failed: %.200s", text(h->row, "reason"));
        if (strcmp(text(h->row, "decision"), "promoted") == 0)
            FW_TRY(fw_hash_parse(text(h->row, "model"), &h->model, error));
    }
    fw_demo_stop_fleet(&h->demo);
    h->learning_s = now_s() - begin;
    return FW_OK;
}

/* A model of the factory as a file. */
static fw_status model_file(hand *h, const fw_hash *hash, char path[FW_PATH_MAX], fw_error *error) {
    char name[FW_HASH_HEX + 16];
    snprintf(name, sizeof name, "%s.safetensors", hash->hex);
    fw_path_join(path, FW_PATH_MAX, h->demo.models, name);
    return fw_demo_factory_fetch(&h->demo.factory, hash->hex, path, error);
}

static fw_status examine(hand *h, fw_error *error) {
    char before[FW_PATH_MAX], after[FW_PATH_MAX], folder[FW_PATH_MAX];
    double begin = now_s();
    FW_TRY(model_file(h, &h->driven_by, before, error));
    FW_TRY(model_file(h, &h->model, after, error));
    fw_path_join(folder, sizeof folder, h->demo.base, "windows");
    if (h->cell->arm != FW_EXPERIMENT_FROZEN)
        FW_TRY(fw_experiment_drive_windows(h->cell, &h->demo, before, after, folder, &h->windows, error));
    FW_TRY(fw_experiment_examine(h->e, after, h->demo.logs, &h->exams, error));
    h->exam_s = now_s() - begin;
    return FW_OK;
}

/* ---- the result ---- */

static json_t *copy_or_null(const json_t *row, const char *name) {
    json_t *value = json_object_get(row, name);
    return value ? json_incref(value) : json_null();
}

static json_t *counts(const hand *h, const char *name) {
    return json_object_get(json_object_get(h->demo.veto_by_model, h->driven_by.hex), name);
}

static json_t *result_of(const hand *h) {
    static const char *const names[] = {"decision", "reason", "gate", "train", "train_core_s",
                                        "agent_steps", "dataset"};
    json_t *r = json_pack(
        "{s:i, s:I, s:s, s:I, s:s, s:s, s:s, s:O, s:I, s:I, s:I, s:I, s:I, s:O, s:{s:f, s:f, s:f}}", "version",
        FW_EXPERIMENT_FORMAT, "seed", (json_int_t)h->cell->seed, "arm",
        fw_experiment_arm_names[h->cell->arm], "generation", (json_int_t)h->cell->generation, "conditions", h->conditions, "driven_by",
        h->driven_by.hex, "model", h->model.hex, "prequential", h->demo.truth, "ticks",
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
    fw_path_join(from, sizeof from, h->demo.base, "factory");
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
    if (h->demo.faults > 0)
        return fw_fail(error, FW_BUSY, "%u faults on the way: the clock had a say", h->demo.faults);
    fw_demo_stop_all(&h->demo);
    FW_TRY(keep(h, error));
    return fw_folder_remove(h->demo.base, error);
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
