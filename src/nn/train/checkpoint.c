#include "nn/train/checkpoint.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/args.h"
#include "base/file.h"
#include "base/hash.h"
#include "nn/run/model.h"
#include "nn/run/safetensors.h"
#include "nn/train/cpu/dnnl.h"

enum { VECTORS_MAX = 4 };

/* The vectors in the order of the file. */
typedef struct vectors {
    uint32_t count;
    const char *names[VECTORS_MAX];
    float *values[VECTORS_MAX];
} vectors;

static vectors vectors_of(const fw_nn_trainer_state *s) {
    vectors v = {3, {"params", "m", "v"}, {s->params, s->m, s->v}};
    if (s->average) {
        v.names[v.count] = "average";
        v.values[v.count++] = s->average;
    }
    return v;
}

/* ---- what must be the same ---- */

static void set_u64(json_t *json, const char *key, uint64_t value) {
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    json_object_set_new(json, key, json_string(text));
}

/* Exact: nine digits tell every float. */
static void set_float(json_t *json, const char *key, float value) {
    char text[32];
    snprintf(text, sizeof text, "%.9g", (double)value);
    json_object_set_new(json, key, json_string(text));
}

static void set_options(json_t *json, const fw_nn_trainer_options *o) {
    set_u64(json, "batch", o->batch);
    set_u64(json, "tile_rows", o->tile_rows);
    set_u64(json, "lanes", o->lanes);
    json_object_set_new(json, "precision",
                        json_string(o->precision == FW_NN_BF16 ? "bf16" : "fp32"));
    set_u64(json, "seed", o->seed);
    set_u64(json, "method", o->optimiser.method);
    set_float(json, "rate", o->optimiser.rate);
    set_float(json, "beta1", o->optimiser.beta1);
    set_float(json, "beta2", o->optimiser.beta2);
    set_float(json, "epsilon", o->optimiser.epsilon);
    set_float(json, "momentum", o->optimiser.momentum);
    set_float(json, "decay", o->optimiser.decay);
    set_float(json, "clip_norm", o->optimiser.clip_norm);
    set_float(json, "average_keep", o->optimiser.average_keep);
    set_u64(json, "schedule", o->optimiser.schedule);
    set_u64(json, "warmup_steps", o->optimiser.warmup_steps);
    set_u64(json, "total_steps", o->optimiser.total_steps);
    set_float(json, "final_share", o->optimiser.final_share);
}

static fw_status hash_graph(const fw_nn_graph *graph, fw_hash *out, fw_error *error) {
    json_t *json = NULL;
    FW_TRY(fw_nn_graph_to_json(graph, true, &json, error));
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(json);
    if (!text) return fw_fail(error, FW_NO_MEMORY, "no memory for a checkpoint");
    *out = fw_hash_bytes(text, strlen(text));
    free(text);
    return FW_OK;
}

/* All but step, cpu and digest. */
static fw_status wanted_metadata(fw_nn_trainer *trainer, json_t **out, fw_error *error) {
    fw_nn_trainer_state state = fw_nn_trainer_state_of(trainer);
    fw_hash hash;
    FW_TRY(hash_graph(fw_nn_trainer_graph(trainer), &hash, error));
    json_t *json = json_object();
    set_u64(json, "flywheel.checkpoint", FW_NN_CHECKPOINT_VERSION);
    json_object_set_new(json, "graph", json_string(hash.hex));
    set_options(json, state.options);
    *out = json;
    return FW_OK;
}

/* Over the metadata but "digest", and the vectors. */
static fw_status digest_of(const json_t *metadata, const vectors *v, size_t floats, fw_hash *out,
                           fw_error *error) {
    json_t *copy = json_copy((json_t *)metadata);
    json_object_del(copy, "digest");
    char *text = json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(copy);
    fw_sha256 *sha = fw_sha256_try();
    if (!text || !sha) {
        free(text);
        if (sha) (void)fw_sha256_end(sha);
        return fw_fail(error, FW_NO_MEMORY, "no memory for a checkpoint");
    }
    fw_sha256_add(sha, text, strlen(text));
    for (uint32_t i = 0; i < v->count; i++) fw_sha256_add(sha, v->values[i], floats * sizeof(float));
    *out = fw_sha256_end(sha);
    free(text);
    return FW_OK;
}

/* ---- saving ---- */

fw_status fw_nn_checkpoint_write(fw_nn_trainer *trainer, char **bytes, size_t *size_bytes,
                                 fw_error *error) {
    fw_nn_trainer_state state = fw_nn_trainer_state_of(trainer);
    vectors v = vectors_of(&state);
    fw_tensor tensors[VECTORS_MAX] = {0};
    fw_safetensors file = {.count = v.count, .tensors = tensors};
    fw_hash digest;
    FW_TRY(wanted_metadata(trainer, &file.metadata, error));
    for (uint32_t i = 0; i < v.count; i++) {
        tensors[i] = (fw_tensor){.dims = 1, .shape = {state.floats}, .data = v.values[i]};
        snprintf(tensors[i].name, sizeof tensors[i].name, "%s", v.names[i]);
    }
    set_u64(file.metadata, "step", *state.steps);
    json_object_set_new(file.metadata, "cpu", json_string(state.classes));
    fw_status status = digest_of(file.metadata, &v, state.floats, &digest, error);
    if (status == FW_OK) {
        json_object_set_new(file.metadata, "digest", json_string(digest.hex));
        status = fw_safetensors_write(&file, bytes, size_bytes, error);
    }
    fw_safetensors_clear(&file);
    return status;
}

static fw_status save(fw_nn_trainer *trainer, const fw_env *env, const char *path,
                      fw_error *error) {
    char *bytes = NULL;
    size_t size = 0;
    FW_TRY(fw_nn_checkpoint_write(trainer, &bytes, &size, error));
    fw_status status = fw_file_write_durable(env, path, bytes, size, error);
    free(bytes);
    return status;
}

fw_status fw_nn_trainer_save(fw_nn_trainer *trainer, const fw_env *env, const char *path,
                             fw_error *error) {
    const fw_nn_ranks *ranks = fw_nn_trainer_state_of(trainer).options->ranks;
    fw_status status = ranks->rank == 0 ? save(trainer, env, path, error) : FW_OK;
    return fw_nn_ranks_agree(ranks, status, error);
}

/* ---- restoring ---- */

static fw_status check_metadata(const fw_safetensors *file, const json_t *wanted,
                                fw_error *error) {
    const char *version = fw_safetensors_text(file, "flywheel.checkpoint"), *key;
    const char *ours = json_string_value(json_object_get(wanted, "flywheel.checkpoint"));
    json_t *value;
    if (!version) return fw_fail(error, FW_CORRUPT, "checkpoint: this file is none");
    if (strcmp(version, ours) != 0)
        return fw_fail(error, FW_UNSUPPORTED, "checkpoint: version %.20s, this program reads %s",
                       version, ours);
    json_object_foreach((json_t *)wanted, key, value) {
        const char *here = json_string_value(value), *there = fw_safetensors_text(file, key);
        if (there && strcmp(here, there) == 0) continue;
        if (strcmp(key, "graph") == 0)
            return fw_fail(error, FW_MISMATCH, "checkpoint: it is of another network");
        return fw_fail(error, FW_MISMATCH, "checkpoint: its %s is %.40s, this training's is %s", key,
                       there ? there : "missing", here);
    }
    return FW_OK;
}

static fw_status copy_vectors(const fw_safetensors *file, const fw_nn_trainer_state *state,
                              vectors *v, fw_error *error) {
    if (file->count != v->count)
        return fw_fail(error, FW_CORRUPT, "checkpoint: %u vectors, not %u", file->count, v->count);
    for (uint32_t i = 0; i < v->count; i++) {
        const fw_tensor *tensor = fw_safetensors_find_any(file, v->names[i]);
        if (!tensor || tensor->dtype != FW_TENSOR_F32 ||
            fw_tensor_elements(tensor) != state->floats)
            return fw_fail(error, FW_CORRUPT, "checkpoint: no vector %s of %zu numbers",
                           v->names[i], state->floats);
        memcpy(v->values[i], tensor->data, state->floats * sizeof(float));
        for (size_t n = 0; n < state->floats; n++)
            if (!isfinite(v->values[i][n]) || (i == 2 && v->values[i][n] < 0))
                return fw_fail(error, FW_CORRUPT, "checkpoint: %s holds what no training makes",
                               v->names[i]);
    }
    return FW_OK;
}

static fw_status check_digest(const fw_safetensors *file, const vectors *v, size_t floats,
                              uint64_t *steps, fw_error *error) {
    const char *digest = fw_safetensors_text(file, "digest");
    const char *step = fw_safetensors_text(file, "step");
    fw_hash hash;
    FW_TRY(digest_of(file->metadata, v, floats, &hash, error));
    if (!digest || strcmp(digest, hash.hex) != 0)
        return fw_fail(error, FW_CORRUPT, "checkpoint: damaged, its digest does not match");
    if (!step || fw_parse_u64(step, steps, NULL) != FW_OK)
        return fw_fail(error, FW_CORRUPT, "checkpoint: no step");
    return FW_OK;
}

/* The classes the file names, and this machine's if it is another. */
static fw_status add_classes(const fw_safetensors *file, char classes[FW_NN_CLASSES_MAX],
                             fw_error *error) {
    const char *there = fw_safetensors_text(file, "cpu");
    char here[FW_NN_CLASS_MAX];
    fw_nn_training_class(here);
    if (!there) there = "unknown";
    if (strlen(there) >= FW_NN_CLASSES_MAX)
        return fw_fail(error, FW_CORRUPT, "checkpoint: a CPU class of %zu characters", strlen(there));
    if (strstr(there, here)) snprintf(classes, FW_NN_CLASSES_MAX, "%s", there);
    else snprintf(classes, FW_NN_CLASSES_MAX, "%s; %s", there, here);
    return FW_OK;
}

/* Into vectors of its own first, so that a refused file changes nothing. */
static fw_status restore(fw_nn_trainer *trainer, const fw_safetensors *file, fw_error *error) {
    fw_nn_trainer_state state = fw_nn_trainer_state_of(trainer);
    vectors v = vectors_of(&state), copy = v;
    json_t *wanted = NULL;
    uint64_t steps = 0;
    char classes[FW_NN_CLASSES_MAX];
    FW_TRY(add_classes(file, classes, error));
    FW_TRY(wanted_metadata(trainer, &wanted, error));
    fw_status status = check_metadata(file, wanted, error);
    json_decref(wanted);
    FW_TRY(status);
    float *room = fw_nn_vector_new(v.count * state.floats);
    if (!room) return fw_fail(error, FW_NO_MEMORY, "no memory for a checkpoint");
    for (uint32_t i = 0; i < v.count; i++) copy.values[i] = room + i * state.floats;
    status = copy_vectors(file, &state, &copy, error);
    if (status == FW_OK) status = check_digest(file, &copy, state.floats, &steps, error);
    for (uint32_t i = 0; i < v.count && status == FW_OK; i++)
        memcpy(v.values[i], copy.values[i], state.floats * sizeof(float));
    if (status == FW_OK) {
        *state.steps = steps;
        memcpy(state.classes, classes, sizeof classes);
    }
    free(room);
    return status;
}

fw_status fw_nn_checkpoint_read(fw_nn_trainer *trainer, const void *bytes, size_t size_bytes,
                                fw_error *error) {
    fw_safetensors file;
    FW_TRY(fw_safetensors_read(bytes, size_bytes, &file, error));
    fw_status status = restore(trainer, &file, error);
    fw_safetensors_clear(&file);
    return status;
}

static fw_status read_file(fw_nn_trainer *trainer, const char *path, char **bytes, size_t *size,
                           fw_error *error) {
    size_t floats = fw_nn_trainer_state_of(trainer).floats;
    size_t limit = VECTORS_MAX * floats * sizeof(float) + FW_SAFETENSORS_HEADER_MAX;
    return fw_file_read(path, limit, bytes, size, error);
}

/* Rank 0 reads, the others are told: one file for all, wherever they run. */
static fw_status share_file(fw_nn_trainer *trainer, const char *path, char **bytes, size_t *size,
                            fw_error *error) {
    const fw_nn_ranks *ranks = fw_nn_trainer_state_of(trainer).options->ranks;
    bool reads = ranks->rank == 0;
    fw_status status = reads ? read_file(trainer, path, bytes, size, error) : FW_OK;
    FW_TRY(fw_nn_ranks_agree(ranks, status, error));
    FW_TRY(fw_nn_ranks_broadcast(ranks, size, sizeof *size, error));
    if (!reads && !(*bytes = malloc(*size + 1)))
        status = fw_fail(error, FW_NO_MEMORY, "no memory for a checkpoint");
    FW_TRY(fw_nn_ranks_agree(ranks, status, error));
    return fw_nn_ranks_broadcast(ranks, *bytes, *size, error);
}

fw_status fw_nn_trainer_restore(fw_nn_trainer *trainer, const char *path, fw_error *error) {
    const fw_nn_ranks *ranks = fw_nn_trainer_state_of(trainer).options->ranks;
    size_t size = 0;
    char *bytes = NULL;
    fw_error why = {""};
    fw_status status = share_file(trainer, path, &bytes, &size, error);
    if (status == FW_OK) {
        status = fw_nn_checkpoint_read(trainer, bytes, size, &why);
        if (status != FW_OK) status = fw_fail(error, status, "%s: %s", path, why.text);
        status = fw_nn_ranks_agree(ranks, status, error);
    }
    free(bytes);
    return status;
}

/* ---- long runs ---- */

static volatile sig_atomic_t stop_asked;

static void ask_to_stop(int number) {
    (void)number;
    stop_asked = 1;
}

void fw_nn_stop_on_signals(void) {
    struct sigaction action = {.sa_handler = ask_to_stop};
    sigemptyset(&action.sa_mask);
    stop_asked = 0;
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGUSR1, &action, NULL);
}

bool fw_nn_stop_wanted(void) {
    return stop_asked != 0;
}

fw_status fw_nn_keep(const fw_nn_keeper *keeper, fw_nn_trainer *trainer, bool *stop,
                     fw_error *error) {
    const fw_nn_ranks *ranks = fw_nn_trainer_state_of(trainer).options->ranks;
    uint64_t steps = fw_nn_trainer_steps(trainer);
    bool wanted = false;
    FW_TRY(fw_nn_ranks_any(ranks, fw_nn_stop_wanted(), &wanted, error));
    bool due = keeper->every_steps > 0 && steps % keeper->every_steps == 0;
    if (wanted || due) FW_TRY(fw_nn_trainer_save(trainer, keeper->env, keeper->path, error));
    *stop = wanted;
    return FW_OK;
}
