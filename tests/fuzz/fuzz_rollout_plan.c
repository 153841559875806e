/* Plans of rollouts and units' health from outside: a byte for the size of the fleet, then JSON.
 *
 * A plan that is accepted says the same as text, reaches further from ring to ring, and can be looked at. */
/* links: fw_factory */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "factory/rollout/engine.h"

static void check_text(const fw_rollout_plan *plan) {
    fw_rollout_plan again;
    fw_error error;
    json_t *json = fw_rollout_plan_json(plan);
    char *text = json_dumps(json, JSON_COMPACT);
    FW_ASSERT(text);
    if (strlen(text) <= FW_ROLLOUT_PLAN_MAX_BYTES) {
        FW_ASSERT(fw_rollout_plan_parse(text, strlen(text), 8, &again, &error) == FW_OK);
        json_t *same = fw_rollout_plan_json(&again);
        FW_ASSERT(json_equal(json, same));
        json_decref(same);
        fw_rollout_plan_free(&again);
    }
    free(text);
    json_decref(json);
}

static void check_looks(const fw_rollout_plan *plan, uint32_t units) {
    fw_rollout_unit fleet[4] = {{.state = FW_ROLLOUT_ACTIVE, .heard = true, .lived = {.ticks = 500, .distance_m = 1e4, .events = 3}},
                                {.state = FW_ROLLOUT_TOLD},
                                {.state = FW_ROLLOUT_FAILED, .fallbacks = 1},
                                {.heard = true, .window = {.ticks = 900, .distance_m = 3e4, .events = 1}}};
    uint32_t before = 0;
    for (uint32_t i = 0; i < plan->ring_count; i++) {
        fw_rollout_evidence seen;
        uint32_t reach = fw_rollout_plan_reach(plan, i, units);
        FW_ASSERT(reach <= units && (plan->rings[i].shadow || plan->rings[i].units_min > 1 || reach >= before || before == units ||
                                     i == 0 || plan->rings[i - 1].units_min > 1));
        if (!plan->rings[i].shadow) before = reach;
        fw_rollout_look(plan, i, 50, i % 2, fleet, 4, &seen);
        FW_ASSERT(memchr(seen.reason, 0, sizeof seen.reason));
        json_decref(fw_rollout_evidence_json(&seen));
    }
    (void)fw_rollout_plan_takes(plan, "car-1");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fw_rollout_plan plan;
    fw_health health;
    fw_error error = {""};
    if (size == 0) return 0;
    uint32_t units = data[0] < 200 ? data[0] : 40u * data[0];
    if (fw_rollout_plan_parse((const char *)data + 1, size - 1, units, &plan, &error) == FW_OK) {
        check_text(&plan);
        check_looks(&plan, units);
        fw_rollout_plan_free(&plan);
    }
    json_t *json = fw_json_load(data + 1, size - 1, 0, NULL);
    if (fw_health_parse(json, &health, &error) == FW_OK) {
        fw_health sum = {0};
        fw_health_since(&health, &health, &sum);
        FW_ASSERT(isfinite(sum.distance_m) && sum.ticks == 0);
    }
    json_decref(json);
    return 0;
}
