#include "factory/rollout/plan.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/random.h"

enum { DAY_S = 86400, NAMES_MAX = 20000, PATTERN_MAX = 64, STARS_MAX = 4 };

/* A few units cannot rule a harm out in reasonable time: rings by exposure. */
static const fw_rollout_plan few = {.alpha = 0.01,
                                    .beta = 0.05,
                                    .harm_ratio = 2,
                                    .late_share_max = 0.2,
                                    .disagreement_max = 1,
                                    .control_units_min = 20,
                                    .crashes_max = 2,
                                    .ring_count = 3,
                                    .rings = {{.name = "canary", .share = 0.1, .units_min = 1, .time_max_s = 180},
                                              {.name = "half", .share = 0.5, .units_min = 1, .time_max_s = 180},
                                              {.name = "all", .share = 1, .units_min = 1, .time_max_s = 180}}};

/* Nothing harmful passes the ring of one percent. */
static const fw_rollout_plan many = {
    .alpha = 0.01,
    .beta = 1e-5,
    .harm_ratio = 2,
    .failures_share_max = 0.002,
    .late_share_max = 0.02,
    .disagreement_max = 1,
    .control_units_min = 20,
    .refusals_max = 1,
    .fallbacks_max = 1,
    .crashes_max = 2,
    .ring_count = 6,
    .rings = {{.name = "shadow", .shadow = true, .share = 0.002, .units_min = 10, .ticks_min = 3000, .time_max_s = 3 * DAY_S},
              {.name = "canary", .share = 0.001, .units_min = 5, .distance_min_m = 100e3, .time_max_s = 3 * DAY_S},
              {.name = "1 %", .share = 0.01, .units_min = 10, .rule_out = true, .time_max_s = 7 * DAY_S},
              {.name = "10 %", .share = 0.1, .units_min = 20, .rule_out = true, .time_max_s = 7 * DAY_S},
              {.name = "50 %", .share = 0.5, .units_min = 50, .rule_out = true, .time_max_s = 7 * DAY_S},
              {.name = "all", .share = 1, .units_min = 1, .time_max_s = 7 * DAY_S}}};

static fw_status no_memory(fw_error *error) {
    return fw_fail(error, FW_NO_MEMORY, "no memory for a rollout's plan");
}

fw_status fw_rollout_plan_default(uint32_t units, fw_rollout_plan *out, fw_error *error) {
    json_t *group = json_string("*");
    if (!group) return no_memory(error);
    *out = units >= FW_ROLLOUT_FLEET ? many : few;
    out->group = group;
    return FW_OK;
}

void fw_rollout_plan_free(fw_rollout_plan *plan) {
    json_decref(plan->group);
    plan->group = NULL;
}

/* ---- as text ---- */

static fw_status get_number(const json_t *json, const char *name, double low, double high, double *out,
                            fw_error *error) {
    const json_t *value = json_object_get(json, name);
    if (!value) return FW_OK;
    double number = json_number_value(value);
    if (!json_is_number(value) || !(number >= low && number <= high))
        return fw_fail(error, FW_INVALID, "a rollout's plan: \"%s\" is no number from %g to %g", name, low, high);
    *out = number;
    return FW_OK;
}

static fw_status get_u32(const json_t *json, const char *name, uint32_t *out, fw_error *error) {
    double number = *out;
    FW_TRY(get_number(json, name, 0, 1e9, &number, error));
    if (number != floor(number)) return fw_fail(error, FW_INVALID, "a rollout's plan: \"%s\" is no whole number", name);
    *out = (uint32_t)number;
    return FW_OK;
}

/* A word of two; *first says which. */
static fw_status get_word(const json_t *json, const char *name, const char *one, const char *other, bool *first,
                          fw_error *error) {
    const json_t *value = json_object_get(json, name);
    const char *text = json_string_value(value);
    if (!value) return FW_OK;
    if (!text || (strcmp(text, one) != 0 && strcmp(text, other) != 0))
        return fw_fail(error, FW_INVALID, "a rollout's plan: \"%s\" is \"%s\" or \"%s\"", name, one, other);
    *first = strcmp(text, one) == 0;
    return FW_OK;
}

static fw_status parse_ring(const json_t *json, fw_ring *out, fw_error *error) {
    const char *name = json_string_value(json_object_get(json, "name"));
    double ticks = 0;
    fw_ring ring = {.units_min = 1, .time_max_s = DAY_S};
    if (!name || !*name || strlen(name) >= sizeof ring.name)
        return fw_fail(error, FW_INVALID, "a rollout's plan: a ring's \"name\" has 1 to %d bytes", FW_RING_NAME_MAX - 1);
    snprintf(ring.name, sizeof ring.name, "%s", name);
    FW_TRY(get_word(json, "mode", "shadow", "active", &ring.shadow, error));
    FW_TRY(get_word(json, "advance", "ruled_out", "exposure", &ring.rule_out, error));
    FW_TRY(get_number(json, "share", 0, 1, &ring.share, error));
    FW_TRY(get_u32(json, "units_min", &ring.units_min, error));
    FW_TRY(get_number(json, "ticks_min", 0, 1e15, &ticks, error));
    FW_TRY(get_number(json, "distance_min_m", 0, 1e15, &ring.distance_min_m, error));
    FW_TRY(get_number(json, "time_min_s", 0, 1e9, &ring.time_min_s, error));
    FW_TRY(get_number(json, "time_max_s", 0, 1e9, &ring.time_max_s, error));
    ring.ticks_min = (uint64_t)ticks;
    *out = ring;
    return FW_OK;
}

static fw_status parse_rings(const json_t *json, fw_rollout_plan *plan, fw_error *error) {
    const json_t *rings = json_object_get(json, "rings");
    if (!rings) return FW_OK;
    size_t count = json_array_size(rings);
    if (!json_is_array(rings) || count == 0 || count > FW_RINGS_MAX)
        return fw_fail(error, FW_INVALID, "a rollout's plan: \"rings\" lists 1 to %d rings", FW_RINGS_MAX);
    for (size_t i = 0; i < count; i++) FW_TRY(parse_ring(json_array_get(rings, i), &plan->rings[i], error));
    plan->ring_count = (uint32_t)count;
    return FW_OK;
}

static fw_status check_rings(const fw_rollout_plan *plan, fw_error *error) {
    double share = 0;
    bool active = false;
    for (uint32_t i = 0; i < plan->ring_count; i++) {
        const fw_ring *ring = &plan->rings[i];
        if (ring->shadow && active)
            return fw_fail(error, FW_INVALID, "a rollout's plan: shadow rings come before active ones");
        if (ring->shadow && ring->rule_out)
            return fw_fail(error, FW_INVALID, "a rollout's plan: a shadow ring rules nothing out: nothing acts on it");
        if (!ring->shadow && ring->share < share)
            return fw_fail(error, FW_INVALID, "a rollout's plan: shares grow from ring to ring");
        active = active || !ring->shadow;
        share = ring->shadow ? share : ring->share;
    }
    if (share != 1) return fw_fail(error, FW_INVALID, "a rollout's plan: the last ring's \"share\" is 1");
    return FW_OK;
}

/* Each star may multiply the work of matching. */
static int stars_of(const char *pattern) {
    int stars = 0;
    for (; *pattern; pattern++) stars += *pattern == '*';
    return stars;
}

static bool group_is_valid(const json_t *group) {
    size_t i, size = json_string_length(group);
    const json_t *name;
    if (json_is_string(group))
        return size > 0 && size <= PATTERN_MAX && stars_of(json_string_value(group)) <= STARS_MAX;
    if (!json_is_array(group) || json_array_size(group) == 0 || json_array_size(group) > NAMES_MAX) return false;
    json_array_foreach(group, i, name) {
        if (!json_is_string(name)) return false;
    }
    return true;
}

static fw_status parse_group(const json_t *json, fw_rollout_plan *plan, fw_error *error) {
    json_t *group = json_object_get(json, "group");
    if (!group) return FW_OK;
    if (!group_is_valid(group))
        return fw_fail(error, FW_INVALID, "a rollout's plan: \"group\" is a pattern (at most 4 stars) or a list of units' names");
    json_t *copy = json_deep_copy(group);
    if (!copy) return no_memory(error);
    json_decref(plan->group);
    plan->group = copy;
    return FW_OK;
}

static fw_status parse_fields(const json_t *json, fw_rollout_plan *plan, fw_error *error) {
    double version = FW_ROLLOUT_PLAN_VERSION;
    if (!json_is_object(json)) return fw_fail(error, FW_INVALID, "a rollout's plan is a JSON object");
    FW_TRY(get_number(json, "version", FW_ROLLOUT_PLAN_VERSION, FW_ROLLOUT_PLAN_VERSION, &version, error));
    FW_TRY(parse_group(json, plan, error));
    FW_TRY(get_word(json, "looks", "asked", "always", &plan->looks_asked, error));
    FW_TRY(get_number(json, "alpha", 1e-9, 0.5, &plan->alpha, error));
    FW_TRY(get_number(json, "beta", 1e-9, 0.5, &plan->beta, error));
    FW_TRY(get_number(json, "harm_ratio", 1.01, 1000, &plan->harm_ratio, error));
    FW_TRY(get_number(json, "failures_share_max", 0, 1, &plan->failures_share_max, error));
    FW_TRY(get_number(json, "late_share_max", 0, 1, &plan->late_share_max, error));
    FW_TRY(get_number(json, "disagreement_max", 0, 1, &plan->disagreement_max, error));
    FW_TRY(get_u32(json, "control_units_min", &plan->control_units_min, error));
    FW_TRY(get_u32(json, "refusals_max", &plan->refusals_max, error));
    FW_TRY(get_u32(json, "fallbacks_max", &plan->fallbacks_max, error));
    FW_TRY(get_u32(json, "crashes_max", &plan->crashes_max, error));
    FW_TRY(parse_rings(json, plan, error));
    return check_rings(plan, error);
}

fw_status fw_rollout_plan_parse(const char *text, size_t size_bytes, uint32_t units, fw_rollout_plan *out,
                                fw_error *error) {
    fw_rollout_plan plan;
    if (size_bytes > FW_ROLLOUT_PLAN_MAX_BYTES)
        return fw_fail(error, FW_TOO_BIG, "a rollout's plan has over %d bytes", FW_ROLLOUT_PLAN_MAX_BYTES);
    FW_TRY(fw_rollout_plan_default(units, &plan, error));
    json_t *json = fw_json_load(text ? text : "", size_bytes, JSON_REJECT_DUPLICATES, NULL);
    fw_status status = parse_fields(json, &plan, error);
    json_decref(json);
    if (status == FW_OK)
        *out = plan;
    else
        fw_rollout_plan_free(&plan);
    return status;
}

static json_t *ring_json(const fw_ring *ring) {
    return json_pack("{s:s,s:s,s:f,s:I,s:s,s:I,s:f,s:f,s:f}", "name", ring->name, "mode",
                     ring->shadow ? "shadow" : "active", "share", ring->share, "units_min", (json_int_t)ring->units_min,
                     "advance", ring->rule_out ? "ruled_out" : "exposure", "ticks_min", (json_int_t)ring->ticks_min,
                     "distance_min_m", ring->distance_min_m, "time_min_s", ring->time_min_s, "time_max_s",
                     ring->time_max_s);
}

json_t *fw_rollout_plan_json(const fw_rollout_plan *plan) {
    json_t *rings = json_array();
    for (uint32_t i = 0; i < plan->ring_count; i++) json_array_append_new(rings, ring_json(&plan->rings[i]));
    return json_pack("{s:i,s:O,s:s,s:f,s:f,s:f,s:f,s:f,s:f,s:I,s:I,s:I,s:I,s:o}", "version", FW_ROLLOUT_PLAN_VERSION,
                     "group", plan->group, "looks", plan->looks_asked ? "asked" : "always", "alpha", plan->alpha, "beta",
                     plan->beta, "harm_ratio", plan->harm_ratio, "failures_share_max", plan->failures_share_max,
                     "late_share_max", plan->late_share_max, "disagreement_max", plan->disagreement_max,
                     "control_units_min", (json_int_t)plan->control_units_min, "refusals_max",
                     (json_int_t)plan->refusals_max, "fallbacks_max", (json_int_t)plan->fallbacks_max, "crashes_max",
                     (json_int_t)plan->crashes_max, "rings", rings);
}

/* ---- who and in which order ---- */

bool fw_rollout_plan_takes(const fw_rollout_plan *plan, const char *unit) {
    size_t i;
    const json_t *name;
    if (json_is_string(plan->group)) return fnmatch(json_string_value(plan->group), unit, 0) == 0;
    json_array_foreach(plan->group, i, name) {
        if (strcmp(json_string_value(name), unit) == 0) return true;
    }
    return false;
}

uint32_t fw_rollout_plan_reach(const fw_rollout_plan *plan, uint32_t ring, uint32_t units) {
    const fw_ring *r = &plan->rings[ring];
    double wanted = fmax(r->share * units, r->units_min);
    return wanted >= units ? units : (uint32_t)wanted;
}

uint64_t fw_rollout_order(int64_t rollout, const char *unit) {
    return fw_seed_mix((uint64_t)rollout, unit);
}
