/* api_rollouts.c - rollouts over HTTP (api.h, rollout.h). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "factory/api/api.h"
#include "factory/api/api_rollouts.h"

enum { REASON_MAX = 200 };

void fw_api_rollouts_list(const fw_api_call *c) {
    char *json = NULL;
    fw_error error = {""};
    fw_status status = fw_rollouts_json(c->factory->rollouts, &json, &error);
    fw_api_answer(c, status, 200, json, &error);
}

static fw_status number_of(const fw_api_call *c, int64_t *n, fw_error *error) {
    char *end;
    errno = 0;
    *n = strtoll(c->argument, &end, 10);
    if (*end || end == c->argument || errno || *n < 1)
        return fw_fail(error, FW_NOT_FOUND, "no rollout %s", c->argument);
    return FW_OK;
}

static void answer_one(const fw_api_call *c, fw_status status, int http_status, int64_t n, fw_error *error) {
    char *json = NULL;
    if (status == FW_INVALID) { /* the call is right, this is not the time for it */
        fw_http_respond_error(c->response, 409, "%s", error->text);
        return;
    }
    if (status == FW_OK) status = fw_rollouts_json_of(c->factory->rollouts, n, &json, error);
    fw_api_answer(c, status, http_status, json, error);
}

void fw_api_rollouts_show(const fw_api_call *c) {
    int64_t n = 0;
    fw_error error = {""};
    fw_status status = number_of(c, &n, &error);
    answer_one(c, status, 200, n, &error);
}

/* The text of "plan", malloc'd; NULL when there is none. */
static fw_status plan_text(const json_t *json, char **out, fw_error *error) {
    const json_t *plan = json_object_get(json, "plan");
    *out = NULL;
    if (!plan || json_is_null(plan)) return FW_OK;
    *out = json_dumps(plan, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
    return *out ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory for a rollout's plan");
}

void fw_api_rollouts_start(const fw_api_call *c) {
    int64_t n = 0;
    char *plan = NULL;
    fw_error error = {""};
    json_t *json = fw_json_load(c->request->body ? c->request->body : "", c->request->body_bytes,
                                JSON_REJECT_DUPLICATES, NULL);
    const char *model = json_string_value(json_object_get(json, "model"));
    fw_status status = fw_hash_valid(model) ? plan_text(json, &plan, &error)
                                            : fw_fail(&error, FW_INVALID, "want {\"model\":hash,\"plan\":{...}?}");
    if (status == FW_OK) status = fw_rollouts_start(c->factory->rollouts, 0, model, plan, &n, &error);
    json_decref(json);
    free(plan);
    char *answer = NULL;
    if (status == FW_OK) status = fw_rollouts_json_of(c->factory->rollouts, n, &answer, &error);
    fw_api_answer(c, status, 201, answer, &error);
}

/* ---- what people say of an open one ---- */

/* {"reason"}? of the body. */
static void reason_of(const fw_api_call *c, const char *otherwise, char out[REASON_MAX]) {
    json_t *json = fw_json_load(c->request->body ? c->request->body : "", c->request->body_bytes, 0, NULL);
    const char *reason = json_string_value(json_object_get(json, "reason"));
    snprintf(out, REASON_MAX, "%s", reason && *reason ? reason : otherwise);
    json_decref(json);
}

void fw_api_rollouts_halt(const fw_api_call *c) {
    int64_t n = 0;
    char reason[REASON_MAX];
    fw_error error = {""};
    reason_of(c, "halted by a person", reason);
    fw_status status = number_of(c, &n, &error);
    if (status == FW_OK) status = fw_rollouts_halt(c->factory->rollouts, n, reason, &error);
    answer_one(c, status, 200, n, &error);
}

void fw_api_rollouts_resume(const fw_api_call *c) {
    int64_t n = 0;
    fw_error error = {""};
    fw_status status = number_of(c, &n, &error);
    if (status == FW_OK) status = fw_rollouts_resume(c->factory->rollouts, n, &error);
    answer_one(c, status, 200, n, &error);
}

void fw_api_rollouts_rollback(const fw_api_call *c) {
    int64_t n = 0;
    char reason[REASON_MAX];
    fw_error error = {""};
    reason_of(c, "rolled back by a person", reason);
    fw_status status = number_of(c, &n, &error);
    if (status == FW_OK) status = fw_rollouts_rollback(c->factory->rollouts, n, reason, &error);
    answer_one(c, status, 200, n, &error);
}

void fw_api_rollouts_look(const fw_api_call *c) {
    int64_t n = 0;
    fw_error error = {""};
    fw_status status = number_of(c, &n, &error);
    if (status == FW_OK) status = fw_rollouts_look(c->factory->rollouts, n, &error);
    answer_one(c, status, 200, n, &error);
}

/* ---- the plan of all to come ---- */

void fw_api_rollout_plan_get(const fw_api_call *c) {
    char *json = NULL;
    fw_error error = {""};
    fw_status status = fw_rollouts_plan(c->factory->rollouts, &json, &error);
    fw_api_answer(c, status, 200, json, &error);
}

void fw_api_rollout_plan_post(const fw_api_call *c) {
    char *json = NULL;
    fw_error error = {""};
    fw_status status =
        fw_rollouts_set_plan(c->factory->rollouts, c->request->body, c->request->body_bytes, &error);
    if (status == FW_OK) status = fw_rollouts_plan(c->factory->rollouts, &json, &error);
    fw_api_answer(c, status, 200, json, &error);
}
