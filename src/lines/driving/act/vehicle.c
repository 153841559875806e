#include "lines/driving/act/vehicle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"

enum { FORMAT = 1, FILE_MAX_BYTES = 64 << 10 };

/* ---- the table ---- */

/* What is a vehicle: from a pedal car to a road train. */
static const struct field {
    const char *name;
    size_t offset;
    double low, high;
} fields[] = {
#define FIELD(name, low, high) {#name, offsetof(fw_vehicle_kind, name), low, high}
    FIELD(length_m, 0.5, 30),        FIELD(width_m, 0.3, 4),
    FIELD(rear_overhang_m, 0, 15),   FIELD(accel_max_mps2, 0.1, 20),
    FIELD(brake_max_mps2, 0.5, 20),  FIELD(jerk_max_mps3, 1, 1000),
    FIELD(curvature_max_pm, 0.01, 2), FIELD(curvature_rate_max_pm_s, 0.01, 20),
    FIELD(lateral_max_mps2, 0.5, 20),
#undef FIELD
};
enum { FIELDS = sizeof fields / sizeof *fields };

static fw_status read_name(const json_t *entry, size_t index, fw_vehicle_kind *kind, fw_error *error) {
    const char *name = json_string_value(json_object_get(entry, "name"));
    if (!name || !*name || strlen(name) >= sizeof kind->name)
        return fw_fail(error, FW_CORRUPT, "vehicles: kind %zu needs a name of 1 to %zu letters", index,
                       sizeof kind->name - 1);
    if (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(name))
        return fw_fail(error, FW_CORRUPT, "vehicles: kind %zu: a name has a-z, 0-9 and - only", index);
    strcpy(kind->name, name);
    return FW_OK;
}

static fw_status read_field(const json_t *entry, const struct field *field, fw_vehicle_kind *kind,
                            fw_error *error) {
    const json_t *value = json_object_get(entry, field->name);
    double number = json_number_value(value);
    if (!json_is_number(value))
        return fw_fail(error, FW_CORRUPT, "vehicles: %s needs a number %s", kind->name, field->name);
    if (!(number >= field->low && number <= field->high))
        return fw_fail(error, FW_CORRUPT, "vehicles: %s: %s %g is not within %g to %g", kind->name,
                       field->name, number, field->low, field->high);
    *(float *)((char *)kind + field->offset) = (float)number;
    return FW_OK;
}

/* FW_CORRUPT naming a field that no kind has. */
static fw_status refuse_unknown(json_t *entry, const fw_vehicle_kind *kind, fw_error *error) {
    const char *key;
    json_t *value;
    json_object_foreach(entry, key, value) {
        bool known = strcmp(key, "name") == 0;
        for (size_t i = 0; i < FIELDS && !known; i++) known = strcmp(key, fields[i].name) == 0;
        if (!known)
            return fw_fail(error, FW_CORRUPT, "vehicles: %s: there is no field %.40s", kind->name, key);
    }
    return FW_OK;
}

static fw_status read_kind(json_t *entry, size_t index, fw_vehicle_kind *out, fw_error *error) {
    fw_vehicle_kind kind = {.name = ""};
    FW_TRY(read_name(entry, index, &kind, error));
    for (size_t i = 0; i < FIELDS; i++) FW_TRY(read_field(entry, &fields[i], &kind, error));
    FW_TRY(refuse_unknown(entry, &kind, error));
    if (kind.rear_overhang_m >= kind.length_m)
        return fw_fail(error, FW_CORRUPT, "vehicles: %s: rear_overhang_m %g is as long as the vehicle",
                       kind.name, (double)kind.rear_overhang_m);
    *out = kind;
    return FW_OK;
}

static fw_status read_table(const json_t *root, fw_vehicles *out, fw_error *error) {
    const json_t *list = json_object_get(root, "vehicles");
    fw_vehicles all = {.count = 0};
    if (json_integer_value(json_object_get(root, "format")) != FORMAT)
        return fw_fail(error, FW_CORRUPT, "vehicles: its format is not %d", FORMAT);
    if (json_array_size(list) == 0 || json_array_size(list) > FW_VEHICLE_KINDS_MAX)
        return fw_fail(error, FW_CORRUPT, "vehicles: 1 to %d kinds, there are %zu", FW_VEHICLE_KINDS_MAX,
                       json_array_size(list));
    for (size_t i = 0; i < json_array_size(list); i++) {
        fw_vehicle_kind kind;
        FW_TRY(read_kind(json_array_get(list, i), i, &kind, error));
        if (fw_vehicles_find(&all, kind.name))
            return fw_fail(error, FW_CORRUPT, "vehicles: %s stands there twice", kind.name);
        all.kinds[all.count++] = kind;
    }
    *out = all;
    return FW_OK;
}

fw_status fw_vehicles_parse(const char *text, size_t size_bytes, fw_vehicles *out, fw_error *error) {
    json_error_t where;
    if (size_bytes > FILE_MAX_BYTES)
        return fw_fail(error, FW_TOO_BIG, "vehicles: %zu bytes, at most %d", size_bytes, FILE_MAX_BYTES);
    json_t *root = fw_json_load(text, size_bytes, JSON_REJECT_DUPLICATES, &where);
    if (!root) return fw_fail(error, FW_CORRUPT, "vehicles: line %d: %s", where.line, where.text);
    fw_status status = read_table(root, out, error);
    json_decref(root);
    return status;
}

fw_status fw_vehicles_read(const char *path, fw_vehicles *out, fw_error *error) {
    char *text;
    size_t size_bytes;
    FW_TRY(fw_file_read(path, FILE_MAX_BYTES, &text, &size_bytes, error));
    fw_status status = fw_vehicles_parse(text, size_bytes, out, error);
    free(text);
    return status;
}

const fw_vehicle_kind *fw_vehicles_find(const fw_vehicles *vehicles, const char *name) {
    for (uint32_t i = 0; i < vehicles->count; i++)
        if (strcmp(vehicles->kinds[i].name, name) == 0) return &vehicles->kinds[i];
    return NULL;
}

fw_vehicle_kind fw_vehicles_like(const fw_vehicles *vehicles, float length_m, float width_m) {
    const fw_vehicle_kind *best = &vehicles->kinds[0];
    float least = INFINITY;
    for (uint32_t i = 0; i < vehicles->count; i++) {
        const fw_vehicle_kind *kind = &vehicles->kinds[i];
        float apart = fabsf(kind->length_m - length_m) + fabsf(kind->width_m - width_m);
        if (apart < least) least = apart, best = kind;
    }
    fw_vehicle_kind like = *best;
    like.rear_overhang_m *= length_m / like.length_m;
    like.length_m = length_m, like.width_m = width_m;
    return like;
}

/* ---- motion ---- */

static float clamp(float value, float low, float high) {
    return value < low ? low : value > high ? high : value;
}

/* sin(x)/x. */
static float sinc(float x) {
    float square = x * x;
    return square < 0.25f ? 1 - square * (1 / 6.0f - square * (1 / 120.0f - square / 5040)) : sinf(x) / x;
}

/* What is carried out of an acceleration and a curvature asked for. An answer that is no number is a fault
 * of the driver's: brake fully, wheels straight. */
static float accel_of(const fw_vehicle_kind *kind, const fw_vehicle_state *state, float asked, float dt_s) {
    float step = kind->jerk_max_mps3 * dt_s, wanted = isnan(asked) ? -kind->brake_max_mps2 : asked;
    wanted = clamp(wanted, state->accel_mps2 - step, state->accel_mps2 + step);
    return clamp(wanted, -kind->brake_max_mps2, kind->accel_max_mps2);
}

static float curvature_of(const fw_vehicle_kind *kind, const fw_vehicle_state *state, float asked,
                          float fastest_mps, float dt_s) {
    float step = kind->curvature_rate_max_pm_s * dt_s, wanted = isnan(asked) ? 0.0f : asked;
    float grip = kind->lateral_max_mps2 / fmaxf(fastest_mps * fastest_mps, 1e-6f);
    float most = fminf(kind->curvature_max_pm, grip);
    wanted = clamp(wanted, state->curvature_pm - step, state->curvature_pm + step);
    return clamp(wanted, -most, most);
}

void fw_vehicle_move(const fw_vehicle_kind *kind, fw_vehicle_state *state, fw_drive_action wanted, float dt_s) {
    const float pi = 3.14159265f, v0 = state->speed_mps;
    float v1 = fmaxf(0.0f, v0 + accel_of(kind, state, wanted.accel_mps2, dt_s) * dt_s);
    float curvature = curvature_of(kind, state, wanted.curvature_pm, fmaxf(v0, v1), dt_s);

    /* Along an arc of length d and turn a, the chord is d * sinc(a/2) in direction yaw + a/2. */
    float distance = 0.5f * (v0 + v1) * dt_s, arc = curvature * distance;
    float chord = distance * sinc(0.5f * arc), along = state->yaw_rad + 0.5f * arc;
    float yaw = state->yaw_rad + arc;
    if (fabsf(yaw) > pi) yaw = remainderf(yaw, 2 * pi);
    state->x_m += chord * cosf(along);
    state->y_m += chord * sinf(along);
    state->yaw_rad = yaw;
    state->speed_mps = v1;
    state->accel_mps2 = (v1 - v0) / dt_s;
    state->curvature_pm = curvature;
}
