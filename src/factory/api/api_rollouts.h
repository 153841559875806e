/* api_rollouts.h - rollouts over HTTP (rollout.h). */
#ifndef FW_FACTORY_API_ROLLOUTS_H
#define FW_FACTORY_API_ROLLOUTS_H

#include "factory/api/api.h"

void fw_api_rollouts_list(const fw_api_call *c);
void fw_api_rollouts_show(const fw_api_call *c);
void fw_api_rollouts_start(const fw_api_call *c);
void fw_api_rollouts_halt(const fw_api_call *c);
void fw_api_rollouts_resume(const fw_api_call *c);
void fw_api_rollouts_rollback(const fw_api_call *c);
void fw_api_rollouts_look(const fw_api_call *c);
void fw_api_rollout_plan_get(const fw_api_call *c);
void fw_api_rollout_plan_post(const fw_api_call *c);

#endif
