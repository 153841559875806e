#include "factory/generations/job.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "factory/gate/gate_job.h"
#include "factory/generations/job_confine.h"
#include "factory/registry/lineage.h"
#include "lines/driving/learn/learn.h"
#include "nn/run/cpu/class.h"

enum { INPUT_MAX_BYTES = 64 << 20, RECORDINGS_MAX = 1 << 20 };

typedef struct input {
    json_t *json; /* owns every text below */
    const char *dataset, *champion, *candidate, *candidate_hash;
    uint64_t seed, agent_steps;
    const char **recordings;
    uint32_t recording_count;
} input;

static void say(json_t *line) {
    char *text = json_dumps(line, JSON_COMPACT);
    if (text) printf("%s\n", text);
    fflush(stdout);
    free(text);
    json_decref(line);
}

static void put(json_t *object, const char *name, double value) {
    json_t *real = json_real(value); /* NULL for NaN */
    if (real) json_object_set_new(object, name, real);
}

static bool report(void *self, const char *phase, uint64_t done, uint64_t total, double reward) {
    (void)self;
    json_t *line = json_pack("{s:s,s:I,s:I}", "phase", phase, "done", (json_int_t)done, "total",
                             (json_int_t)total);
    put(line, "reward", reward);
    say(line);
    return !ferror(stdout);
}

static void point(void *self, const fw_driving_point *p) {
    (void)self;
    json_t *figures = json_pack("{s:I}", "agent_steps", (json_int_t)p->agent_steps);
    put(figures, "loss", p->loss);
    put(figures, "value_loss", p->value_loss);
    put(figures, "entropy", p->entropy);
    put(figures, "gradient_norm", p->gradient_norm);
    put(figures, "clean_share", p->clean_share);
    say(json_pack("{s:o}", "point", figures));
}

/* ---- input ---- */

static fw_status take_recordings(input *in, fw_error *error) {
    const json_t *list = json_object_get(in->json, "recordings");
    size_t count = json_array_size(list);
    if (!json_is_array(list) || count > RECORDINGS_MAX)
        return fw_fail(error, FW_CORRUPT, "the job's input lists no recordings");
    in->recordings = calloc(count + 1, sizeof *in->recordings);
    if (!in->recordings) return fw_fail(error, FW_NO_MEMORY, "no memory for the job's input");
    for (size_t i = 0; i < count; i++) {
        in->recordings[i] = json_string_value(json_array_get(list, i));
        if (!in->recordings[i])
            return fw_fail(error, FW_CORRUPT, "the job's input lists a recording without a path");
    }
    in->recording_count = (uint32_t)count;
    return FW_OK;
}

static fw_status take_fields(input *in, const char *name, fw_error *error) {
    const char *job = json_string_value(json_object_get(in->json, "job"));
    in->dataset = json_string_value(json_object_get(in->json, "dataset"));
    in->champion = json_string_value(json_object_get(in->json, "champion"));
    in->candidate = json_string_value(json_object_get(in->json, "candidate"));
    in->candidate_hash = json_string_value(json_object_get(in->json, "candidate_hash"));
    in->seed = (uint64_t)json_integer_value(json_object_get(in->json, "seed"));
    in->agent_steps = (uint64_t)json_integer_value(json_object_get(in->json, "agent_steps"));
    if (json_integer_value(json_object_get(in->json, "version")) != FW_JOB_VERSION)
        return fw_fail(error, FW_UNSUPPORTED, "the job's input has another version");
    if (!job || strcmp(job, name) != 0 || !in->dataset || !in->champion || !in->candidate ||
        !in->candidate_hash)
        return fw_fail(error, FW_CORRUPT, "the job's input is incomplete");
    return take_recordings(in, error);
}

static void input_clear(input *in) {
    free(in->recordings);
    json_decref(in->json);
}

static fw_status input_read(const char *path, const char *name, input *out, fw_error *error) {
    char *text;
    size_t size;
    FW_TRY(fw_file_read(path, INPUT_MAX_BYTES, &text, &size, error));
    input in = {.json = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL)};
    free(text);
    fw_status status =
        in.json ? take_fields(&in, name, error) : fw_fail(error, FW_CORRUPT, "%s is no JSON", path);
    if (status == FW_OK)
        *out = in;
    else
        input_clear(&in);
    return status;
}

/* ---- the work ---- */

static fw_status train(const input *in, unsigned threads, json_t **out, fw_error *error) {
    fw_driving_train_config config = {.recordings = in->recordings,
                                      .recording_count = in->recording_count,
                                      .base_path = in->champion,
                                      .seed = in->seed,
                                      .agent_steps = in->agent_steps,
                                      .threads = threads,
                                      .out_path = in->candidate,
                                      .progress = {.report = report, .point = point}};
    fw_driving_train_result got;
    FW_TRY(fw_driving_train(&config, &got, error));
    const fw_recipe recipe = {.agent_steps = in->agent_steps, .seed = in->seed};
    *out =
        json_pack("{s:o,s:o,s:o,s:s,s:I,s:s,s:I,s:i,s:i,s:f,s:f}", "recipe", fw_recipe_json(&recipe), "code",
                  fw_lineage_code(), "machine", fw_lineage_machine(), "candidate", got.model.hex,
                  "seed", (json_int_t)in->seed, "cpu_class", fw_nn_cpu_class(), "agent_steps", (json_int_t)got.agent_steps, "scenarios",
                  (int)got.scenarios, "scenarios_refused", (int)got.scenarios_refused, "core_s",
                  got.core_s, "clean_share", got.clean_share);
    return *out ? FW_OK : fw_fail(error, FW_CORRUPT, "training gave a figure that is no number");
}

static fw_status gate(const input *in, unsigned threads, const char *replays_path, json_t **out,
                      fw_error *error) {
    const fw_gate_job job = {.input = in->json,
                             .recordings = in->recordings,
                             .recording_count = in->recording_count,
                             .threads = threads,
                             .replays_path = replays_path,
                             .progress = {.report = report}};
    return fw_gate_job_run(&job, out, error);
}

/* Before the first recording is opened: job_confine.h. *sealed: what of, for the result. */
static fw_status confine(const input *in, const char *name, const char *folder, const char **sealed,
                         fw_error *error) {
    const fw_job_reach reach = {.folder = folder,
                                .champion = in->champion,
                                .candidate = strcmp(name, "gate") == 0 ? in->candidate : NULL,
                                .recordings = in->recordings,
                                .recording_count = in->recording_count};
    fw_status status = fw_job_confine(&reach, error);
    *sealed = status == FW_OK ? "Landlock" : "nothing";
    if (status != FW_UNSUPPORTED) return status;
    fw_log_warn("%s is NOT sealed from the held-out recordings: %s", name, error ? error->text : "");
    return FW_OK;
}

static fw_status path_of(const char *data_folder, int64_t generation, const char *file, char out[FW_PATH_MAX],
                         fw_error *error) {
    int used = snprintf(out, FW_PATH_MAX, "%s/jobs/generation-%lld/%s", data_folder, (long long)generation, file);
    if (used < 0 || used >= FW_PATH_MAX)
        return fw_fail(error, FW_TOO_BIG, "the path of the data folder is too long");
    return FW_OK;
}

static fw_status write_result(const char *name, const input *in, const char *path, json_t *result,
                              fw_error *error) {
    json_object_set_new(result, "version", json_integer(FW_JOB_VERSION));
    json_object_set_new(result, "job", json_string(name));
    json_object_set_new(result, "dataset", json_string(in->dataset));
    char *text = json_dumps(result, JSON_COMPACT);
    if (!text) return fw_fail(error, FW_NO_MEMORY, "no memory for the result");
    fw_status status = fw_file_write_durable(fw_env_real(), path, text, strlen(text), error);
    free(text);
    return status;
}

static fw_status run(const char *name, const char *data_folder, int64_t generation,
                     unsigned threads, fw_error *error) {
    char from[FW_PATH_MAX], to[FW_PATH_MAX], replays[FW_PATH_MAX], folder[FW_PATH_MAX], file[32];
    snprintf(file, sizeof file, "%.8s.in.json", name);
    FW_TRY(path_of(data_folder, generation, file, from, error));
    snprintf(file, sizeof file, "%.8s.json", name);
    FW_TRY(path_of(data_folder, generation, file, to, error));
    FW_TRY(path_of(data_folder, generation, "replays.json", replays, error));
    FW_TRY(path_of(data_folder, generation, "", folder, error));
    input in;
    FW_TRY(input_read(from, name, &in, error));
    json_t *result = NULL;
    bool is_train = strcmp(name, "train") == 0;
    const char *sealed = NULL;
    fw_status status = confine(&in, name, folder, &sealed, error);
    if (status == FW_OK)
        status = is_train ? train(&in, threads, &result, error) : gate(&in, threads, replays, &result, error);
    if (status == FW_OK) json_object_set_new(result, "sealed_by", json_string(sealed));
    if (status == FW_OK) status = write_result(name, &in, to, result, error);
    json_decref(result);
    input_clear(&in);
    return status;
}

const char *fw_job_unit(const char *name) {
    return strcmp(name, "train") == 0 ? "agent-steps" : "scenarios";
}

int fw_job_run(const char *name, const char *data_folder, int64_t generation, unsigned threads) {
    fw_error error = {""};
    FW_ASSERT(strcmp(name, "train") == 0 || strcmp(name, "gate") == 0);
    fw_status status = run(name, data_folder, generation, threads, &error);
    if (status == FW_OK) return 0;
    say(json_pack("{s:s}", "error", error.text));
    bool retry = status == FW_NO_SPACE || status == FW_NO_MEMORY || status == FW_IO ||
                 status == FW_INTERRUPTED || status == FW_BUSY;
    return retry ? FW_JOB_EXIT_RETRY : 1;
}
