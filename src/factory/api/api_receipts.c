/* api_receipts.c - the calls of receipts (api_receipts.h). */
#include "factory/api/api_receipts.h"

#include <stdlib.h>

#include "factory/receipts/receipts.h"

static fw_receipts receipts_of(const fw_factory *f) {
    return (fw_receipts){.env = f->config.env, .catalogue = f->catalogue, .objects = &f->objects,
                         .line = f->config.line, .trust = f->trust};
}

static fw_status event_named(const fw_api_call *c, int64_t *event, fw_error *error) {
    char *end;
    *event = strtoll(c->argument, &end, 10);
    if (*end || end == c->argument) return fw_fail(error, FW_NOT_FOUND, "no event %s", c->argument);
    return FW_OK;
}

static void answer_of(const fw_api_call *c, fw_status (*make)(const fw_receipts *, int64_t, char **, fw_error *)) {
    int64_t event;
    char *json = NULL;
    fw_error error = {""};
    const fw_receipts receipts = receipts_of(c->factory);
    fw_status status = event_named(c, &event, &error);
    if (status == FW_OK) status = make(&receipts, event, &json, &error);
    fw_api_answer(c, status, 200, json, &error);
}

void fw_api_receipts_get(const fw_api_call *c) {
    answer_of(c, fw_receipts_of);
}

void fw_api_receipts_replay(const fw_api_call *c) {
    answer_of(c, fw_receipts_replay);
}

void fw_api_receipts_list(const fw_api_call *c) {
    char *json = NULL;
    fw_error error = {""};
    const fw_receipts receipts = receipts_of(c->factory);
    fw_status status = fw_receipts_json(&receipts, fw_api_limit(c, FW_RECEIPTS_LIST_DEFAULT), &json, &error);
    fw_api_answer(c, status, 200, json, &error);
}

void fw_api_receipts_key(const fw_api_call *c) {
    char *json = NULL;
    fw_error error = {""};
    fw_status status = fw_trust_release_key(c->factory->trust, &json, &error);
    fw_api_answer(c, status, 200, json, &error);
}
