#include "lines/driving/act/self_test.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/random.h"

#define TOLERANCE_MPS2 0.02f
#define CURVATURE_SHARE 0.01f /* 1/m of curvature for each m/s2 of tolerance */
enum { ACTION_TEXT_MAX = 32, USERS_MAX = 6 };

/* ---- frames ---- */

static float within(fw_random *r, float low, float high) {
    return low + (high - low) * fw_random_unit(r);
}

/* A road of one curvature through the car, which is a little beside it and a little askew. */
static void lay_road(fw_random *r, fw_drive_obs *o) {
    float curvature = within(r, -0.02f, 0.02f), heading = within(r, -3.0f, 3.0f);
    float limit = within(r, 8.0f, 20.0f), width = within(r, 3.0f, 3.75f);
    o->path_count = FW_DRIVE_PATH_MAX / 2;
    o->s_m = 5 * FW_DRIVE_GRID_M;
    o->route_left_m = within(r, 20.0f, 400.0f);
    for (uint32_t i = 0; i < o->path_count; i++) {
        float s = (float)i * FW_DRIVE_GRID_M - o->s_m, turn = curvature * s;
        float ahead = s * (1 - turn * turn / 6), left = s * turn / 2;
        o->path[i] = (fw_drive_point){.x_m = ahead * cosf(heading) - left * sinf(heading),
                                      .y_m = ahead * sinf(heading) + left * cosf(heading),
                                      .width_m = width,
                                      .limit_mps = limit};
    }
    float beside = within(r, -0.5f, 0.5f);
    o->x_m = -beside * sinf(heading);
    o->y_m = beside * cosf(heading);
    o->yaw_rad = heading + within(r, -0.08f, 0.08f);
}

/* One road user at `distance_m`, anywhere around. */
static fw_drive_user user_at(fw_random *r, const fw_drive_obs *o, uint32_t id, float distance_m) {
    float bearing = within(r, -3.0f, 3.0f);
    return (fw_drive_user){.id = id,
                           .lane = UINT32_MAX,
                           .x_m = o->x_m + distance_m * cosf(o->yaw_rad + bearing),
                           .y_m = o->y_m + distance_m * sinf(o->yaw_rad + bearing),
                           .yaw_rad = within(r, -3.1f, 3.1f),
                           .speed_mps = within(r, 0.0f, 15.0f),
                           .length_m = within(r, 3.5f, 12.0f),
                           .width_m = within(r, 1.6f, 2.5f)};
}

void fw_drive_self_test_frame(uint64_t seed, uint32_t index, fw_drive_obs *out) {
    fw_random r = fw_random_indexed(fw_seed_mix(seed, "driving/self-test"), index);
    *out = (fw_drive_obs){.drive = 1, .tick = index};
    out->time_ns = (int64_t)index * 100000000;
    lay_road(&r, out);
    out->speed_mps = within(&r, 0.0f, 18.0f);
    out->accel_mps2 = within(&r, -2.0f, 2.0f);
    out->length_m = 4.6f, out->width_m = 1.85f, out->rear_overhang_m = 0.9f;
    out->light = fw_random_below(&r, FW_DRIVE_LIGHT_RED + 1);
    out->light_s_m = out->s_m + within(&r, 6.0f, 45.0f);
    out->user_count = fw_random_below(&r, USERS_MAX + 1);
    for (uint32_t i = 0; i < out->user_count; i++)
        out->users[i] = user_at(&r, out, i + 1, 8.0f + 6.0f * (float)i + within(&r, 0.0f, 5.0f));
    if (out->user_count == 0) return;
    out->conflict_count = 1;
    out->conflicts[0] = (fw_drive_conflict){.user = fw_random_below(&r, out->user_count),
                                            .kind = FW_DRIVE_CONFLICT_CROSS,
                                            .must_yield = fw_random_below(&r, 2),
                                            .enter_s_m = out->s_m + 14,
                                            .exit_s_m = out->s_m + 20,
                                            .foe_enter_m = within(&r, 2.0f, 30.0f)};
    out->conflicts[0].foe_exit_m = out->conflicts[0].foe_enter_m + 6;
}

/* ---- text ---- */

/* Decimal text with a point, whatever the locale. */
static json_t *text_of(float value) {
    char text[ACTION_TEXT_MAX];
    if (!isfinite(value)) return NULL;
    long long millionths = llround((double)value * 1e6);
    unsigned long long size = (unsigned long long)(millionths < 0 ? -millionths : millionths);
    snprintf(text, sizeof text, "%s%llu.%06llu", millionths < 0 ? "-" : "", size / 1000000, size % 1000000);
    return json_string(text);
}

/* The inverse: digits, at most six behind the point. */
static bool number_of(const json_t *json, float *out) {
    const char *text = json_string_value(json);
    if (!text || strlen(text) >= ACTION_TEXT_MAX) return false;
    bool minus = *text == '-';
    double value = 0, place = 1;
    const char *at = text + minus;
    if (*at < '0' || *at > '9') return false;
    for (; *at >= '0' && *at <= '9'; at++) value = value * 10 + (*at - '0');
    if (*at == '.')
        for (at++; *at >= '0' && *at <= '9'; at++) value += (*at - '0') * (place /= 10);
    if (*at || value > 1e6) return false;
    *out = (float)(minus ? -value : value);
    return true;
}

static fw_status answer_all(const fw_policy *policy, uint64_t seed, uint32_t frames, json_t *actions,
                            fw_error *error) {
    fw_policy_session session;
    fw_drive_obs obs;
    FW_TRY(fw_policy_session_open(policy, &session, error));
    for (uint32_t i = 0; i < frames; i++) {
        fw_drive_action action;
        fw_drive_self_test_frame(seed, i, &obs);
        fw_policy_act(policy, &session, &obs, &action);
        json_array_append_new(actions, text_of(action.accel_mps2));
        json_array_append_new(actions, text_of(action.curvature_pm));
    }
    fw_policy_session_close(&session);
    if (json_array_size(actions) != 2 * (size_t)frames)
        return fw_fail(error, FW_UNSUPPORTED, "the model answers a self-test with what is no number");
    return FW_OK;
}

fw_status fw_drive_self_test_make(const fw_policy *policy, uint64_t seed, uint32_t frames, char **json,
                                  fw_error *error) {
    FW_ASSERT(frames >= 1 && frames <= FW_DRIVE_SELF_TEST_FRAMES_MAX);
    seed &= INT64_MAX; /* what JSON holds */
    json_t *actions = json_array();
    fw_status status = answer_all(policy, seed, frames, actions, error);
    json_t *test = json_pack("{s:I,s:i,s:o,s:o}", "seed", (json_int_t)seed, "frames", (int)frames,
                             "actions", actions, "tolerance", text_of(TOLERANCE_MPS2));
    char *text = status == FW_OK && test ? json_dumps(test, JSON_COMPACT) : NULL;
    json_decref(test);
    if (status != FW_OK) return status;
    if (!text) return fw_fail(error, FW_NO_MEMORY, "no memory for a self-test");
    *json = text;
    return FW_OK;
}

static fw_status read_object(const json_t *json, fw_drive_self_test *out, fw_error *error) {
    fw_drive_self_test test = {0};
    json_int_t seed = json_integer_value(json_object_get(json, "seed"));
    json_int_t frames = json_integer_value(json_object_get(json, "frames"));
    const json_t *actions = json_object_get(json, "actions");
    if (!json_is_object(json) || seed < 0 || frames < 1 || frames > FW_DRIVE_SELF_TEST_FRAMES_MAX ||
        json_array_size(actions) != 2 * (size_t)frames)
        return fw_fail(error, FW_CORRUPT, "self-test: want seed, 1 to %d frames and two numbers a frame",
                       FW_DRIVE_SELF_TEST_FRAMES_MAX);
    bool good = number_of(json_object_get(json, "tolerance"), &test.tolerance_mps2) &&
                test.tolerance_mps2 >= 0 && test.tolerance_mps2 <= 1;
    for (uint32_t i = 0; i < (uint32_t)frames && good; i++)
        good = number_of(json_array_get(actions, 2 * (size_t)i), &test.actions[i].accel_mps2) &&
               number_of(json_array_get(actions, 2 * (size_t)i + 1), &test.actions[i].curvature_pm);
    if (!good) return fw_fail(error, FW_CORRUPT, "self-test: a number is no decimal text, or the tolerance over 1");
    test.seed = (uint64_t)seed;
    test.frames = (uint32_t)frames;
    *out = test;
    return FW_OK;
}

fw_status fw_drive_self_test_read(const void *json, size_t size_bytes, fw_drive_self_test *out, fw_error *error) {
    if (size_bytes > FW_DRIVE_SELF_TEST_MAX_BYTES)
        return fw_fail(error, FW_CORRUPT, "self-test: over %d bytes", FW_DRIVE_SELF_TEST_MAX_BYTES);
    json_t *value = fw_json_load(json, size_bytes, JSON_REJECT_DUPLICATES, NULL);
    fw_status status = read_object(value, out, error);
    json_decref(value);
    return status;
}

/* ---- asking ---- */

fw_status fw_drive_self_test_run(const fw_drive_self_test *test, const fw_policy *policy, fw_policy_session *session,
                                 fw_error *error) {
    for (uint32_t i = 0; i < test->frames; i++) {
        fw_drive_obs obs;
        fw_drive_action action, wanted = test->actions[i];
        fw_drive_self_test_frame(test->seed, i, &obs);
        fw_policy_act(policy, session, &obs, &action);
        bool same = fabsf(action.accel_mps2 - wanted.accel_mps2) <= test->tolerance_mps2 &&
                    fabsf(action.curvature_pm - wanted.curvature_pm) <= CURVATURE_SHARE * test->tolerance_mps2;
        if (!same)
            return fw_fail(error, FW_MISMATCH,
                           "self-test: in frame %u the model asks for %.4f m/s2 and %.5f 1/m, in the factory it was %.4f "
                           "and %.5f",
                           i, (double)action.accel_mps2, (double)action.curvature_pm, (double)wanted.accel_mps2,
                           (double)wanted.curvature_pm);
    }
    return FW_OK;
}

fw_status fw_drive_self_test_check(const fw_policy *policy, const void *json, size_t size_bytes, fw_error *error) {
    fw_drive_self_test test;
    fw_policy_session session;
    FW_TRY(fw_drive_self_test_read(json, size_bytes, &test, error));
    FW_TRY(fw_policy_session_open(policy, &session, error));
    fw_status status = fw_drive_self_test_run(&test, policy, &session, error);
    fw_policy_session_close(&session);
    return status;
}
