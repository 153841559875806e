/* experiment_drill.c - see experiment_drill.h */
#include "cli/experiment_drill.h"

#include <stdlib.h>
#include <string.h>

#include "cli/experiment_exam.h"
#include "cli/experiment_place.h"

enum { POLL_MS = 200, CALL_MS = 20000, REPLY_MAX = 1 << 20, SEED = 1977 };
#define WORSE_AT_MOST 0.05

static const char *text(const json_t *row, const char *name) {
    const char *value = json_string_value(json_object_get(row, name));
    return value ? value : "";
}

/* ---- poison ---- */

static fw_status upload(fw_demo *demo, const char *unit, const void *bytes, size_t size_bytes, fw_error *error) {
    char url[300], from[64];
    const char *const headers[] = {from, "Content-Type: application/octet-stream", NULL};
    fw_http_reply reply = {0};
    snprintf(from, sizeof from, "Flywheel-Unit: %.31s", unit);
    snprintf(url, sizeof url, "%s/v1/objects/%s", demo->factory.base_url, fw_hash_bytes(bytes, size_bytes).hex);
    const fw_http_call call = {.method = "PUT", .url = url, .headers = headers, .body = bytes,
                               .body_bytes = size_bytes, .reply_max_bytes = REPLY_MAX, .timeout_ms = CALL_MS};
    FW_TRY(demo->factory.http.perform(demo->factory.http.self, &call, &reply, error));
    int http = reply.status;
    fw_http_reply_clear(&reply);
    return http / 100 == 2 ? FW_OK : fw_fail(error, FW_IO, "the factory answered %d to a falsified window", http);
}

static fw_status poison_one(fw_demo *demo, const char *hash, const char *unit, fw_error *error) {
    char path[FW_PATH_MAX], name[FW_HASH_HEX + 8], *bytes = NULL;
    size_t size = 0;
    fw_drive_recording *recording = NULL;
    snprintf(name, sizeof name, "%.64s.mcap", hash);
    fw_path_join(path, sizeof path, demo->models, name);
    FW_TRY(fw_demo_factory_fetch(&demo->factory, hash, path, error));
    FW_TRY(fw_drive_recording_read(path, &recording, error));
    fw_status status = fw_experiment_falsify(recording, &bytes, &size, error);
    fw_drive_recording_free(recording);
    if (status == FW_OK) status = upload(demo, unit, bytes, size, error);
    free(bytes);
    return status;
}

static fw_status poison(fw_demo *demo, uint32_t *falsified, fw_error *error) {
    json_t *rows = NULL, *row = NULL;
    size_t i = 0;
    FW_TRY(fw_demo_factory_get(&demo->factory, "/v1/recordings?limit=4096", &rows, error));
    fw_status status = FW_OK;
    json_array_foreach(rows, i, row) {
        if (strcmp(text(row, "role"), "train") != 0) continue;
        status = poison_one(demo, text(row, "sha256"), text(row, "unit"), error);
        if (status != FW_OK) break;
        ++*falsified;
    }
    json_decref(rows);
    return status;
}

/* ---- the generation ---- */

/* Until the gate has decided; a rollout is not waited for, since no fleet is there. */
static fw_status decide(const fw_experiment *e, fw_demo *demo, json_t **row, fw_error *error) {
    json_t *answer = NULL;
    char path[64];
    FW_TRY(fw_demo_factory_post(&demo->factory, "/v1/generations",
                                json_pack("{s:i, s:I}", "seed", SEED, "agent_steps",
                                          (json_int_t)e->set.agent_steps), &answer, NULL, error));
    snprintf(path, sizeof path, "/v1/generations/%" JSON_INTEGER_FORMAT,
             json_integer_value(json_object_get(answer, "index")));
    json_decref(answer);
    for (;;) {
        FW_TRY(fw_demo_supervise(demo, error));
        FW_TRY(fw_demo_factory_get(&demo->factory, path, row, error));
        if (strcmp(text(*row, "stage"), "failed") == 0 || text(*row, "decision")[0]) return FW_OK;
        json_decref(*row);
        *row = NULL;
        fw_env_sleep_ns(fw_env_real(), POLL_MS * INT64_C(1000000));
    }
}

/* ---- the sealed evaluation ---- */

static fw_status clean_of(const fw_experiment *e, fw_experiment_place *place, const char *hash, double *out,
                          fw_error *error) {
    char path[FW_PATH_MAX];
    json_t *exams = NULL, *exam = NULL;
    double sum = 0, count = 0;
    size_t i = 0;
    fw_hash model;
    FW_TRY(fw_hash_parse(hash, &model, error));
    FW_TRY(fw_experiment_model_file(place, &model, path, error));
    FW_TRY(fw_experiment_examine(e, path, place->demo.logs, &exams, error));
    json_array_foreach(exams, i, exam) {
        if (json_is_true(json_object_get(exam, "detail"))) continue;
        sum += json_number_value(json_object_get(exam, "clean"));
        count++;
    }
    json_decref(exams);
    *out = count > 0 ? sum / count : 0;
    return FW_OK;
}

/* ---- the whole ---- */

static fw_status run(const fw_experiment *e, const char *name, fw_experiment_place *place, json_t **out,
                     fw_error *error) {
    json_t *row = NULL;
    uint32_t falsified = 0;
    double champion = 0, candidate = 0;
    FW_TRY(fw_demo_start_factory(&place->demo, error));
    if (strcmp(name, "poison") == 0) FW_TRY(poison(&place->demo, &falsified, error));
    FW_TRY(decide(e, &place->demo, &row, error));
    const char *decision = text(row, "decision");
    fw_status status = decision[0] ? FW_OK : fw_fail(error, FW_IO, "the generation failed: %.200s",
                                                     text(row, "reason"));
    if (status == FW_OK) status = clean_of(e, place, text(row, "parent"), &champion, error);
    if (status == FW_OK) status = clean_of(e, place, text(row, "candidate"), &candidate, error);
    bool held = strcmp(decision, "promoted") != 0 || candidate >= champion - WORSE_AT_MOST;
    if (status == FW_OK)
        *out = json_pack("{s:s, s:s, s:s, s:i, s:I, s:f, s:f, s:b}", "drill", name, "decision", decision, "reason",
                         text(row, "reason"), "falsified", (int)falsified, "new_recordings",
                         json_integer_value(json_object_get(row, "recordings")), "champion_clean", champion,
                         "candidate_clean", candidate, "held", held);
    json_decref(row);
    return status;
}

fw_status fw_experiment_drill(const fw_experiment *e, const char *name, json_t **out, fw_error *error) {
    const fw_experiment_cell cell = {e->set.seed, e->set.generations, FW_EXPERIMENT_LOOP};
    char snapshot[FW_PATH_MAX], folder[40];
    if (strcmp(name, "stale") != 0 && strcmp(name, "poison") != 0)
        return fw_fail(error, FW_INVALID, "--drill is stale or poison");
    if (!fw_experiment_done(e, &cell))
        return fw_fail(error, FW_NOT_FOUND, "a drill begins where an experiment ended: finish this one first");
    fw_experiment_snapshot_path(e, &cell, snapshot);
    snprintf(folder, sizeof folder, "drill-%.20s", name);
    fw_experiment_place *place = calloc(1, sizeof *place);
    fw_status status = place ? fw_experiment_place_open(e, folder, snapshot, SEED, "", place, error)
                             : fw_fail(error, FW_NO_MEMORY, "no memory for a drill");
    if (status == FW_OK) status = run(e, name, place, out, error);
    if (place) fw_experiment_place_close(place);
    if (status == FW_OK) status = fw_folder_remove(place->demo.base, error);
    free(place);
    return status;
}
