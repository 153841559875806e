#include "factory/rollout/health.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static fw_status get_count(const json_t *json, const char *name, uint64_t *out, fw_error *error) {
    const json_t *value = json_object_get(json, name);
    if (!value) return FW_OK;
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return fw_fail(error, FW_INVALID, "\"health\": \"%s\" is no count", name);
    *out = (uint64_t)json_integer_value(value);
    return FW_OK;
}

static fw_status get_model(const json_t *json, fw_hash *out, fw_error *error) {
    const json_t *value = json_object_get(json, "model");
    if (!value || json_is_null(value) || (json_is_string(value) && !*json_string_value(value)))
        return FW_OK;
    if (!json_is_string(value) || fw_hash_parse(json_string_value(value), out, error) != FW_OK)
        return fw_fail(error, FW_INVALID, "\"health\": \"model\" is no hash");
    return FW_OK;
}

fw_status fw_health_parse(const json_t *json, fw_health *out, fw_error *error) {
    fw_health found = {0};
    if (json && !json_is_null(json)) {
        if (!json_is_object(json)) return fw_fail(error, FW_INVALID, "\"health\" is no object");
        const json_t *distance = json_object_get(json, "distance_m");
        double distance_m = json_number_value(distance);
        if (distance && !(json_is_number(distance) && distance_m >= 0 && distance_m < 1e15))
            return fw_fail(error, FW_INVALID, "\"health\": \"distance_m\" is no distance");
        found.distance_m = distance_m;
        FW_TRY(get_model(json, &found.model, error));
#define X(name) FW_TRY(get_count(json, #name, &found.name, error));
        FW_HEALTH_COUNTS(X)
#undef X
    }
    *out = found;
    return FW_OK;
}

json_t *fw_health_json(const fw_health *health) {
    json_t *json = json_pack("{s:s,s:f}", "model", health->model.hex, "distance_m", health->distance_m);
#define X(name) json_object_set_new(json, #name, json_integer((json_int_t)health->name));
    FW_HEALTH_COUNTS(X)
#undef X
    return json;
}

void fw_health_since(const fw_health *before, const fw_health *now, fw_health *sum) {
    bool goes_on = strcmp(before->model.hex, now->model.hex) == 0 && now->ticks >= before->ticks;
    const fw_health zero = {0}, *from = goes_on ? before : &zero;
#define X(name) sum->name += now->name >= from->name ? now->name - from->name : now->name;
    FW_HEALTH_COUNTS(X)
#undef X
    sum->distance_m += fmax(now->distance_m - from->distance_m, 0);
    sum->model = now->model;
}
