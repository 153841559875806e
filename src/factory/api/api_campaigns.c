/* api_campaigns.c - campaigns over HTTP (api.h, campaigns.h). */
#include <string.h>

#include "factory/api/api.h"
#include "factory/campaigns/campaign_estimate.h"
#include "factory/ingest/ingest.h"

void fw_api_campaigns_list(const fw_api_call *c) {
    char *json = NULL;
    fw_error error = {""};
    fw_status status = fw_campaigns_json(&c->factory->campaigns, &json, &error);
    fw_api_answer(c, status, 200, json, &error);
}

void fw_api_campaigns_show(const fw_api_call *c) {
    char *json = NULL;
    fw_error error = {""};
    fw_status status = fw_campaigns_json_of(&c->factory->campaigns, c->argument, &json, &error);
    fw_api_answer(c, status, 200, json, &error);
}

void fw_api_campaigns_add(const fw_api_call *c) {
    char *json = NULL, id[FW_CAMPAIGN_ID_MAX] = "";
    fw_error error = {""};
    fw_campaigns *campaigns = &c->factory->campaigns;
    fw_status status =
        fw_campaigns_add(campaigns, c->request->body, c->request->body_bytes, id, &error);
    if (status == FW_EXISTS || status == FW_BUSY) { /* waiting does not help: no Retry-After */
        fw_http_respond_error(c->response, 409, "%s", error.text);
        return;
    }
    if (status == FW_OK) status = fw_campaigns_json_of(campaigns, id, &json, &error);
    fw_api_answer(c, status, 201, json, &error);
}

void fw_api_campaigns_end(const fw_api_call *c) {
    char *json = NULL;
    fw_error error = {""};
    fw_campaigns *campaigns = &c->factory->campaigns;
    fw_status status = fw_campaigns_end(campaigns, c->argument, &error);
    if (status == FW_OK) status = fw_campaigns_json_of(campaigns, c->argument, &json, &error);
    fw_api_answer(c, status, 200, json, &error);
}

void fw_api_campaigns_estimate(const fw_api_call *c) {
    char *json = NULL;
    fw_error error = {""};
    fw_factory *f = c->factory;
    fw_status status = fw_campaign_estimate(&f->campaigns, &f->units, &f->objects,
                                            c->request->body, c->request->body_bytes, &json, &error);
    fw_api_answer(c, status, 200, json, &error);
}

void fw_api_campaigns_of_unit(const fw_api_call *c) {
    char *json = NULL;
    fw_error error = {""};
    fw_status status =
        fw_unit_name_valid(c->argument)
            ? fw_campaigns_unit_json(&c->factory->campaigns, c->argument, &json, &error)
            : fw_fail(&error, FW_INVALID, "not a unit's name");
    fw_api_answer(c, status, 200, json, &error);
}
