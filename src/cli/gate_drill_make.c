/* gate_drill_make.c - bad candidates; see gate_drill.h */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "cli/experiment_drill.h"
#include "cli/gate_drill.h"
#include "lines/driving/act/policy.h"
#include "nn/run/layers.h"

enum { MODEL_MAX_BYTES = FW_POLICY_FILE_MAX, SLOW_WIDTH = 320, SLOW_LAYERS = 200 };

static void place(const fw_gate_ground *g, const char *name, fw_gate_candidate *out) {
    char file[48];
    snprintf(file, sizeof file, "%.30s.safetensors", name);
    fw_path_join(out->path, sizeof out->path, g->folder, file);
}

fw_status fw_gate_train(const fw_gate_ground *g, const char *const *recordings, uint32_t count, const char *base,
                        const char *out_path, fw_error *error) {
    const fw_driving_train_config config = {.recordings = recordings, .recording_count = count, .base_path = base,
                                            .seed = g->seed, .agent_steps = g->agent_steps, .threads = g->threads,
                                            .out_path = out_path, .progress = g->progress};
    fw_driving_train_result got;
    return fw_driving_train(&config, &got, error);
}

/* ---- nothing new, nothing done ---- */

fw_status fw_gate_make_same(const fw_gate_ground *g, fw_gate_candidate *out, fw_error *error) {
    (void)error;
    snprintf(out->path, sizeof out->path, "%s", g->champion);
    return FW_OK;
}

/* ---- networks changed by hand ---- */

typedef void (*change)(fw_nn_model *model, uint64_t seed);

static fw_status changed(const fw_gate_ground *g, change how, const char *path, fw_error *error) {
    fw_policy policy;
    FW_TRY(fw_policy_load_file(g->trained, &policy, error));
    fw_status status = FW_OK;
    if (policy.kind != FW_POLICY_NETWORK) status = fw_fail(error, FW_INVALID, "%s is no network", g->trained);
    if (status == FW_OK) {
        how(&policy.model, g->seed);
        status = fw_drive_network_save(policy.model.graph, policy.model.params, NULL, path, NULL, error);
    }
    fw_policy_clear(&policy);
    return status;
}

static float *parameter(fw_nn_model *model, const char *name, size_t *count) {
    const fw_nn_value value = fw_nn_find(model->graph, name);
    if (value == FW_NN_NONE) return NULL;
    *count = fw_nn_elements(model->graph->values[value].shape);
    return model->params + model->layout.offsets[value];
}

static void stand(fw_nn_model *model, uint64_t seed) {
    size_t count = 0;
    float *bias = parameter(model, "heads.bias", &count);
    (void)seed;
    if (bias) bias[0] = 1000; /* accelerations ascend: the hardest braking */
}

static void swap(float *a, float *b) {
    const float kept = *a;
    *a = *b, *b = kept;
}

/* Choices [first, first + count) the other way round. */
static void turn_round(float *weight, float *bias, size_t width, size_t first, size_t count) {
    for (size_t i = 0; i < count / 2; i++) {
        const size_t a = first + i, b = first + count - 1 - i;
        for (size_t k = 0; k < width; k++) swap(&weight[a * width + k], &weight[b * width + k]);
        swap(&bias[a], &bias[b]);
    }
}

static void flip(fw_nn_model *model, uint64_t seed) {
    size_t weights = 0, biases = 0;
    float *weight = parameter(model, "heads.weight", &weights), *bias = parameter(model, "heads.bias", &biases);
    (void)seed;
    if (!weight || !bias || biases < FW_OUTPUTS) return;
    turn_round(weight, bias, weights / biases, 0, FW_ACCELS);
    turn_round(weight, bias, weights / biases, FW_ACCELS, FW_STEERS);
}

static void shake(fw_nn_model *model, uint64_t seed) {
    fw_random r = fw_random_named(seed, "gate/noise");
    for (size_t i = 0; i < model->layout.floats; i++) model->params[i] += fabsf(model->params[i]) * fw_random_normal(&r);
}

fw_status fw_gate_make_stands(const fw_gate_ground *g, fw_gate_candidate *out, fw_error *error) {
    place(g, "stands", out);
    return changed(g, stand, out->path, error);
}

fw_status fw_gate_make_flipped(const fw_gate_ground *g, fw_gate_candidate *out, fw_error *error) {
    place(g, "flipped", out);
    return changed(g, flip, out->path, error);
}

fw_status fw_gate_make_noise(const fw_gate_ground *g, fw_gate_candidate *out, fw_error *error) {
    place(g, "noise", out);
    return changed(g, shake, out->path, error);
}

/* ---- bad training ---- */

static fw_status falsify(const fw_gate_ground *g, uint32_t i, char path[FW_PATH_MAX], fw_error *error) {
    char name[32], *bytes = NULL;
    size_t size = 0;
    fw_drive_recording *recording = NULL;
    snprintf(name, sizeof name, "lies-%u.mcap", i);
    fw_path_join(path, FW_PATH_MAX, g->folder, name);
    FW_TRY(fw_drive_recording_read(g->train[i], &recording, error));
    fw_status status = fw_experiment_falsify(recording, &bytes, &size, error);
    fw_drive_recording_free(recording);
    if (status == FW_OK) status = fw_file_write_durable(fw_env_real(), path, bytes, size, error);
    free(bytes);
    return status;
}

fw_status fw_gate_make_poisoned(const fw_gate_ground *g, fw_gate_candidate *out, fw_error *error) {
    char(*paths)[FW_PATH_MAX] = calloc(g->train_count, sizeof *paths);
    const char **list = calloc(g->train_count, sizeof *list);
    fw_status status = paths && list ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory for a drill");
    for (uint32_t i = 0; i < g->train_count && status == FW_OK; i++) {
        status = falsify(g, i, paths[i], error);
        list[i] = paths[i];
    }
    place(g, "poisoned", out);
    snprintf(out->note, sizeof out->note, "%u recordings that lie", g->train_count);
    if (status == FW_OK) status = fw_gate_train(g, list, g->train_count, g->trained, out->path, error);
    free(list);
    free(paths);
    return status;
}

fw_status fw_gate_make_overfit(const fw_gate_ground *g, fw_gate_candidate *out, fw_error *error) {
    place(g, "overfit", out);
    snprintf(out->note, sizeof out->note, "one recording, %llu agent-steps", (unsigned long long)g->agent_steps);
    return fw_gate_train(g, g->train, 1, NULL, out->path, error);
}

fw_status fw_gate_make_offline_good(const fw_gate_ground *g, fw_gate_candidate *out, fw_error *error) {
    fw_experiment_offline champion, copycat;
    place(g, "copycat", out);
    FW_TRY(fw_experiment_copycat(out->path, error));
    FW_TRY(fw_experiment_offline_of(g->champion, g->held_out, g->held_out_count, &champion, error));
    FW_TRY(fw_experiment_offline_of(out->path, g->held_out, g->held_out_count, &copycat, error));
    snprintf(out->note, sizeof out->note, "from the log: champion %.3f m/s2, candidate %.3f%s", champion.error_mps2,
             copycat.error_mps2, copycat.error_mps2 <= champion.error_mps2 ? "" : ": NOT better offline");
    return FW_OK;
}

/* ---- files gone wrong ---- */

/* The trained network's file with something done to it; its hash before that is what the gate expects. */
static fw_status damaged(const fw_gate_ground *g, fw_gate_candidate *out, size_t (*damage)(char *, size_t),
                         fw_error *error) {
    char *bytes;
    size_t size;
    FW_TRY(fw_file_read(g->trained, MODEL_MAX_BYTES, &bytes, &size, error));
    out->trained = fw_hash_bytes(bytes, size);
    size = damage(bytes, size);
    fw_status status = fw_file_write_durable(fw_env_real(), out->path, bytes, size, error);
    free(bytes);
    return status;
}

static size_t flip_bit(char *bytes, size_t size) {
    bytes[size - 6] ^= 0x10;
    return size;
}

static size_t halve(char *bytes, size_t size) {
    (void)bytes;
    return size / 2;
}

static size_t other_version(char *bytes, size_t size) {
    static const char word[] = "\"features_version\":\"";
    char *at = memmem(bytes, size, word, sizeof word - 1);
    if (at) at[sizeof word - 1] = '1';
    return size;
}

fw_status fw_gate_make_corrupted(const fw_gate_ground *g, fw_gate_candidate *out, fw_error *error) {
    place(g, "corrupted", out);
    return damaged(g, out, flip_bit, error);
}

fw_status fw_gate_make_cut(const fw_gate_ground *g, fw_gate_candidate *out, fw_error *error) {
    place(g, "cut", out);
    return damaged(g, out, halve, error);
}

fw_status fw_gate_make_schema(const fw_gate_ground *g, fw_gate_candidate *out, fw_error *error) {
    place(g, "schema", out);
    FW_TRY(damaged(g, out, other_version, error));
    memset(&out->trained, 0, sizeof out->trained); /* it was trained so */
    return FW_OK;
}

/* ---- too slow ---- */

/* One matrix, used over and over: few parameters, many products. */
static fw_nn_value deep(fw_nn_graph *g, fw_nn_value features) {
    fw_nn_value x = fw_nn_apply(g, FW_NN_TANH, "in.tanh", fw_nn_linear(g, "in", features, SLOW_WIDTH, true));
    const fw_nn_value weight = fw_nn_parameter(g, "deep.weight", fw_nn_shape2(SLOW_WIDTH, SLOW_WIDTH), FW_NN_INIT_NORMAL,
                                               1 / sqrtf(SLOW_WIDTH));
    const fw_nn_value bias = fw_nn_parameter(g, "deep.bias", fw_nn_shape1(SLOW_WIDTH), FW_NN_INIT_ZERO, 0);
    for (int i = 0; i < SLOW_LAYERS; i++) {
        char name[24];
        const fw_nn_value inputs[] = {x, weight, bias};
        snprintf(name, sizeof name, "deep%d", i);
        x = fw_nn_node_add(g, FW_NN_LINEAR, name, inputs, 3, (fw_nn_attr){0}, NULL);
        snprintf(name, sizeof name, "deep%d.tanh", i);
        x = fw_nn_apply(g, FW_NN_TANH, name, x);
    }
    return x;
}

static fw_status slow_graph(fw_nn_graph **out, fw_error *error) {
    fw_nn_graph *g;
    FW_TRY(fw_nn_graph_new(&g, error));
    const fw_nn_value x = deep(g, fw_nn_input(g, "features", FW_NN_F32, fw_nn_shape1(FW_FEATURES)));
    fw_nn_output_add(g, "accel", fw_nn_linear(g, "accel", x, FW_ACCELS, true));
    fw_nn_output_add(g, "steer", fw_nn_linear(g, "steer", x, FW_STEERS, true));
    fw_status status = fw_nn_graph_check(g, error);
    if (status == FW_OK) *out = g;
    else fw_nn_graph_free(g);
    return status;
}

fw_status fw_gate_make_slow(const fw_gate_ground *g, fw_gate_candidate *out, fw_error *error) {
    fw_nn_graph *graph = NULL;
    fw_nn_layout layout = {0};
    place(g, "slow", out);
    FW_TRY(slow_graph(&graph, error));
    fw_status status = fw_nn_layout_make(graph, &layout, error);
    float *params = status == FW_OK ? fw_nn_vector_new(layout.floats) : NULL;
    if (status == FW_OK && !params) status = fw_fail(error, FW_NO_MEMORY, "no memory for a network");
    if (status == FW_OK) {
        fw_nn_initialise(graph, &layout, g->seed, params);
        status = fw_drive_network_save(graph, params, NULL, out->path, NULL, error);
    }
    free(params);
    fw_nn_layout_clear(&layout);
    fw_nn_graph_free(graph);
    return status;
}
