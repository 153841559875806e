/* api_gate.h - the calls of the gate's book (gate/ledger.h, api.h). */
#ifndef FW_FACTORY_API_GATE_H
#define FW_FACTORY_API_GATE_H

#include "factory/api/api.h"

void fw_api_gate_list(const fw_api_call *c);
void fw_api_gate_show(const fw_api_call *c);

#endif
