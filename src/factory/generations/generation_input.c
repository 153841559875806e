/* generation_input.c - what a job is told: its recordings, the two models, and for the gate its turn. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/random.h"
#include "factory/gate/ledger.h"
#include "factory/generations/generation_row.h"
#include "factory/generations/job.h"

enum { MANIFEST_MAX_BYTES = 1 << 20 };

/* The manifest says what a job reads: hashes of its recordings of a role, in its order. */
static fw_status list_hashes(fw_generations *g, const fw_generation_row *row, const char *role, json_t *hashes,
                             fw_error *error) {
    char path[FW_PATH_MAX], *text;
    size_t size, i;
    json_t *entry;
    fw_objects_path(g->objects, row->dataset, path);
    FW_TRY(fw_file_read(path, MANIFEST_MAX_BYTES, &text, &size, error));
    json_t *json = fw_json_load(text, size, 0, NULL);
    free(text);
    json_array_foreach(json_object_get(json, "recordings"), i, entry) {
        const char *sha256 = json_string_value(json_object_get(entry, "sha256"));
        const char *of = json_string_value(json_object_get(entry, "role"));
        if (!of || !fw_hash_valid(sha256) || strcmp(of, role) != 0) continue;
        json_array_append_new(hashes, json_string(sha256));
    }
    bool good = json != NULL;
    json_decref(json);
    return good ? FW_OK : fw_fail(error, FW_CORRUPT, "%s is no manifest", path);
}

static json_t *paths_of(fw_generations *g, const json_t *hashes) {
    json_t *paths = json_array();
    for (size_t i = 0; i < json_array_size(hashes); i++) {
        char path[FW_PATH_MAX];
        fw_objects_path(g->objects, json_string_value(json_array_get(hashes, i)), path);
        json_array_append_new(paths, json_string(path));
    }
    return paths;
}

/* The gate's turn: its suite is what is left in hashes. */
static fw_status take_turn(fw_generations *g, json_t *hashes, json_t **out, fw_error *error) {
    fw_gate_turn turn;
    sqlite3 *db = fw_catalogue_read(g->catalogue);
    fw_status status = fw_gate_turn_next(db, hashes, &turn, error);
    fw_catalogue_read_end(g->catalogue);
    if (status == FW_OK) *out = fw_gate_turn_json(&turn);
    return status;
}

static json_t *pack(fw_generations *g, const fw_generation_row *row, const json_t *hashes, json_t *turn) {
    char name[40], champion[FW_PATH_MAX], candidate[FW_PATH_MAX];
    fw_objects_path(g->objects, row->parent, champion);
    if (turn) fw_objects_path(g->objects, row->candidate, candidate);
    else fw_generation_file(g, row->n, "candidate.safetensors", candidate);
    snprintf(name, sizeof name, "generation/%lld", (long long)row->n);
    return json_pack("{s:i,s:s,s:I,s:s,s:I,s:I,s:s,s:s,s:s,s:o,s:o*}", "version", FW_JOB_VERSION, "job", row->stage,
                     "generation", (json_int_t)row->n, "dataset", row->dataset, "seed",
                     (json_int_t)fw_seed_mix((uint64_t)row->seed, name), "agent_steps", (json_int_t)row->agent_steps,
                     "champion", champion, "candidate", candidate, "candidate_hash", row->candidate, "recordings",
                     paths_of(g, hashes), "gate", turn);
}

static fw_status write_text(fw_generations *g, const fw_generation_row *row, const char *text, fw_error *error) {
    char name[40], path[FW_PATH_MAX], folder[FW_PATH_MAX];
    snprintf(name, sizeof name, "%s.in.json", row->stage);
    fw_generation_file(g, row->n, name, path);
    fw_generation_folder(g, row->n, folder);
    FW_TRY(fw_folder_make(folder, 0755, error));
    return fw_file_write_durable(g->env, path, text, strlen(text), error);
}

fw_status fw_generation_write_input(fw_generations *g, const fw_generation_row *row, fw_error *error) {
    const bool train = strcmp(row->stage, "train") == 0;
    json_t *hashes = json_array(), *turn = NULL;
    fw_status status = list_hashes(g, row, train ? "train" : "held_out", hashes, error);
    if (status == FW_OK && !train) status = take_turn(g, hashes, &turn, error);
    json_t *json = status == FW_OK && (train || turn) ? pack(g, row, hashes, turn) : NULL;
    char *text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
    json_decref(json);
    json_decref(hashes);
    if (status != FW_OK) return status;
    if (!text) return fw_fail(error, FW_NO_MEMORY, "no memory for a job's input");
    status = write_text(g, row, text, error);
    free(text);
    return status;
}
