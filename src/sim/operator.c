/* operator.c - releases and rollouts (operator.h). */
#include "sim/operator.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "factory/registry/release.h"
#include "lines/driving/act/policy.h"
#include "lines/driving/learn/learn.h"
#include "sim/world.h"

enum { EVERY_S = 600 };

/* ---- calls ---- */

/* The answer's JSON when it is good, else NULL; *status: HTTP's, 0 without an answer. */
static json_t *call(fw_sim_world *w, const char *method, const char *target, const char *const *headers,
                    const void *body, size_t size, int *status) {
    fw_http_response answer;
    fw_sim_request r = {.method = method, .target = target, .headers = headers, .body = body,
                        .body_bytes = size, .cut = SIZE_MAX};
    bool there = fw_sim_ask(w, &r, &answer);
    *status = there ? answer.status : 0;
    fw_sim_say(&w->trace, w->now_ns, "operator", "%s %.60s -> %d", method, target, *status);
    json_t *json = there && answer.status / 100 == 2 && answer.body
                       ? json_loadb(answer.body, answer.body_bytes, 0, NULL) : NULL;
    free(answer.body);
    return json;
}

static bool upload(fw_sim_world *w, const void *bytes, size_t size, fw_hash *hash) {
    char target[120];
    int status;
    static const char *const headers[] = {"Flywheel-Kind: model", NULL};
    *hash = fw_hash_bytes(bytes, size);
    snprintf(target, sizeof target, "/v1/objects/%s", hash->hex);
    json_decref(call(w, "PUT", target, headers, bytes, size, &status));
    return status / 100 == 2;
}

static bool post(fw_sim_world *w, const char *target, const char *text, json_t **json) {
    int status;
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    *json = call(w, "POST", target, headers, text, strlen(text), &status);
    return status / 100 == 2;
}

/* ---- models ---- */

static bool untrained(fw_sim_world *w, uint64_t seed, char **bytes, size_t *size) {
    char path[FW_PATH_MAX];
    fw_hash hash;
    fw_error error;
    snprintf(path, sizeof path, "%s/untrained", w->config->scratch);
    bool made = fw_driving_untrained(seed, path, &hash, &error) == FW_OK &&
                fw_file_read(path, FW_POLICY_FILE_MAX, bytes, size, &error) == FW_OK;
    unlink(path);
    return made;
}

/* Model number n: two rules, then networks nobody trained. */
static bool make(fw_sim_world *w, uint32_t n, char **bytes, size_t *size) {
    fw_error error;
    *bytes = NULL;
    if (n < 2)
        return fw_policy_rule_file(n == 0 ? FW_POLICY_CONSTANT : FW_POLICY_IDM, bytes, size, &error) == FW_OK;
    return untrained(w, fw_seed_mix(w->config->seed, "model") + n, bytes, size);
}

bool fw_sim_operator_released(const fw_sim_operator *op, const fw_hash *model) {
    for (uint32_t i = 0; i < op->released_count; i++)
        if (strcmp(op->released[i].hex, model->hex) == 0) return true;
    return false;
}

/* From here on units may run it: it may be released even when the answer is lost with the factory's power. */
static void remember(fw_sim_operator *op, const fw_hash *model) {
    if (fw_sim_operator_released(op, model) || op->released_count == FW_SIM_MODELS_MAX) return;
    op->released[op->released_count++] = *model;
}

static void first_model(fw_sim_world *w) {
    fw_sim_operator *op = &w->op;
    char text[200], *bytes;
    size_t size;
    fw_hash hash;
    json_t *json = NULL;
    if (!make(w, 0, &bytes, &size)) return;
    if (upload(w, bytes, size, &hash)) {
        remember(op, &hash);
        snprintf(text, sizeof text, "{\"hash\":\"%s\",\"card\":{},\"champion\":true}", hash.hex);
        if (post(w, "/v1/models", text, &json)) op->made = 1;
        json_decref(json);
    }
    free(bytes);
}

/* ---- rollouts ---- */

static void roll_out(fw_sim_world *w, const fw_hash *model) {
    fw_sim_operator *op = &w->op;
    char text[160], *body = NULL;
    json_t *json = NULL;
    fw_error error;
    snprintf(text, sizeof text, "{\"hash\":\"%s\",\"card\":{}}", model->hex);
    bool known = post(w, "/v1/models", text, &json);
    json_decref(json);
    if (!known) return;
    remember(op, model);
    if (fw_registry_release(&w->factory.factory->registry, model->hex, &error) != FW_OK) return; /* as a gate does */
    if (asprintf(&body,
                 "{\"model\":\"%s\",\"plan\":{\"version\":1,\"group\":%s,\"crashes_max\":50,\"fallbacks_max\":1,"
                 "\"rings\":[{\"name\":\"canary\",\"mode\":\"active\",\"share\":0.3,\"units_min\":1,\"advance\":"
                 "\"exposure\",\"ticks_min\":60,\"time_max_s\":3600},{\"name\":\"all\",\"mode\":\"active\","
                 "\"share\":1,\"advance\":\"exposure\",\"ticks_min\":10,\"time_max_s\":3600}]}}",
                 model->hex, op->group) < 0)
        return;
    if (post(w, "/v1/rollouts", body, &json)) op->rollout = json_integer_value(json_object_get(json, "n"));
    json_decref(json);
    free(body);
}

/* A planted fault: the director is told of every unit, rings or not. */
static void assign_all(fw_sim_world *w, const fw_hash *model) {
    fw_error error;
    fw_factory *f = w->factory.factory;
    for (uint32_t i = 0; i < w->config->units; i++) {
        char unit[16];
        snprintf(unit, sizeof unit, "%u", i + 1);
        sqlite3 *db = fw_catalogue_begin(f->catalogue, &error);
        if (!db) return;
        fw_status status = fw_trust_assign(f->trust, db, unit, model, &error);
        (void)!fw_catalogue_end(f->catalogue, status, &error);
    }
}

static void next_model(fw_sim_world *w) {
    fw_sim_operator *op = &w->op;
    char *bytes;
    size_t size;
    fw_hash hash;
    if (!make(w, op->made, &bytes, &size)) return;
    if (upload(w, bytes, size, &hash)) {
        op->made++;
        roll_out(w, &hash);
        if (w->config->mutant == FW_SIM_MUTANT_ALL_AT_ONCE) assign_all(w, &hash);
    }
    free(bytes);
}

/* What no unit may ever run. */
static void never_released(fw_sim_world *w) {
    char *bytes;
    size_t size;
    if (w->op.never.hex[0] || !make(w, 1000000, &bytes, &size)) return;
    fw_hash hash;
    if (upload(w, bytes, size, &hash)) w->op.never = hash;
    free(bytes);
}

static void no_model(fw_sim_world *w) {
    char text[64];
    fw_hash hash;
    snprintf(text, sizeof text, "no model %u", fw_random_u32(&w->op.random));
    if (upload(w, text, strlen(text), &hash))
        fw_sim_broken(w, "receipt", "operator", "what is no model was taken as one");
}

static void change_mind(fw_sim_world *w, const char *verb) {
    char target[80];
    json_t *json = NULL;
    if (w->op.rollout == 0) return;
    snprintf(target, sizeof target, "/v1/rollouts/%" PRId64 "/%s", w->op.rollout, verb);
    (void)post(w, target, "{\"reason\":\"simulated\"}", &json);
    json_decref(json);
}

/* ---- rings ---- */

typedef struct reach {
    bool open;
    int64_t n, ring, told;
    char plan[4096];
} reach;

static bool take_reach(void *self, sqlite3_stmt *row) {
    reach *r = self;
    r->open = true;
    r->n = sqlite3_column_int64(row, 0);
    r->ring = sqlite3_column_int64(row, 1);
    r->told = sqlite3_column_int64(row, 2);
    snprintf(r->plan, sizeof r->plan, "%s", fw_db_column(row, 3));
    return true;
}

void fw_sim_operator_check(fw_sim_world *w) {
    reach r = {0};
    fw_rollout_plan plan;
    fw_error error;
    fw_factory *factory = w->factory.factory;
    if (!factory || w->factory.machine.disk.dead) return;
    sqlite3 *db = fw_catalogue_read(factory->catalogue);
    fw_status status = fw_db_each(db, &error, take_reach, &r,
                                  "SELECT n,ring,(SELECT count(*) FROM rollout_units WHERE rollout=n AND state IN("
                                  "'told','active')),plan FROM rollouts WHERE state='rolling'", "");
    fw_catalogue_read_end(factory->catalogue);
    if (status != FW_OK || !r.open) return;
    if (fw_rollout_plan_parse(r.plan, strlen(r.plan), w->config->units, &plan, &error) != FW_OK) return;
    uint32_t most = fw_rollout_plan_reach(&plan, (uint32_t)r.ring, w->config->units);
    if (r.told > most)
        fw_sim_broken(w, "rings", "factory", "rollout %" PRId64 ": %" PRId64 " units were told, ring %" PRId64
                      " reaches %u", r.n, r.told, r.ring, most);
    fw_rollout_plan_free(&plan);
    w->result.counts.checks++;
}

/* ---- life ---- */

static char *names(const fw_sim_world *w) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < w->config->units; i++) {
        char name[16];
        snprintf(name, sizeof name, "%u", i + 1);
        json_array_append_new(list, json_string(name));
    }
    char *text = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    return text;
}

void fw_sim_operator_open(fw_sim_world *w) {
    fw_sim_operator *op = &w->op;
    op->random = fw_random_named(w->config->seed, "operator");
    op->released = calloc(FW_SIM_MODELS_MAX, sizeof *op->released);
    op->group = names(w);
    FW_ASSERT(op->released && op->group);
}

void fw_sim_operator_close(fw_sim_world *w) {
    free(w->op.released);
    free(w->op.group);
}

void fw_sim_operator_step(fw_sim_world *w) {
    fw_sim_operator *op = &w->op;
    op->due_ns = w->now_ns + 20 * FW_SIM_SECOND_NS;
    if (!w->factory.factory) return;
    if (op->made == 0) {
        first_model(w);
        return;
    }
    op->due_ns = w->now_ns + fw_sim_wait_ns(&op->random, EVERY_S / 2);
    switch (fw_random_below(&op->random, 10)) {
    case 0: never_released(w); break;
    case 1: no_model(w); break;
    case 2: change_mind(w, "halt"); break;
    case 3: change_mind(w, "rollback"); break;
    case 4: change_mind(w, "resume"); break;
    default: next_model(w);
    }
}
