/* api_gate.c - the calls of the gate's book (api_gate.h). */
#include "factory/api/api_gate.h"

#include "base/args.h"
#include "factory/gate/ledger.h"

void fw_api_gate_list(const fw_api_call *c) {
    char *json = NULL;
    fw_error error = {""};
    fw_status status = fw_gate_ledger_json(c->factory->catalogue, &json, &error);
    fw_api_answer(c, status, 200, json, &error);
}

void fw_api_gate_show(const fw_api_call *c) {
    uint64_t n = 0;
    char *json = NULL;
    fw_error error = {""};
    fw_status status = fw_parse_u64(c->argument, &n, NULL);
    if (status != FW_OK) status = fw_fail(&error, FW_NOT_FOUND, "no decision %s", c->argument);
    if (status == FW_OK) status = fw_gate_ledger_json_of(c->factory->catalogue, (int64_t)n, &json, &error);
    fw_api_answer(c, status, 200, json, &error);
}
