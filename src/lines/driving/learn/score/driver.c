#include "lines/driving/learn/score/driver.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

fw_status fw_driver_baseline(const char *name, fw_driver *out, fw_error *error) {
    static const struct {
        const char *name;
        fw_driver_kind kind;
        fw_policy_kind policy;
    } baselines[] = {{"log", FW_DRIVER_LOG, 0},
                     {"constant", FW_DRIVER_STRAIGHT, 0},
                     {"pursuit", FW_DRIVER_POLICY, FW_POLICY_CONSTANT},
                     {"idm", FW_DRIVER_POLICY, FW_POLICY_IDM}};
    for (size_t i = 0; i < sizeof baselines / sizeof *baselines; i++) {
        if (strcmp(name, baselines[i].name) != 0) continue;
        *out = (fw_driver){.kind = baselines[i].kind,
                           .policy.kind = baselines[i].policy,
                           .training_core_s = NAN,
                           .training_agent_steps = NAN};
        snprintf(out->name, sizeof out->name, "%s", name);
        return FW_OK;
    }
    return fw_fail(error, FW_INVALID, "no baseline '%.40s': log, constant, pursuit or idm", name);
}

static double word_number(const fw_policy *policy, const char *name) {
    const char *text = json_string_value(json_object_get(policy->model.words, name));
    char *end = NULL;
    double number = text ? strtod(text, &end) : NAN;
    return text && end != text && *end == '\0' ? number : NAN;
}

/* The file's name without its ending. It goes into tables, CSV and JSON: what would break one of them becomes _. */
static void name_of(const char *path, char *out, size_t room) {
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *dot = strrchr(base, '.');
    int size = (int)(dot && dot > base ? (size_t)(dot - base) : strlen(base));
    snprintf(out, room, "%.*s", size, base);
    for (char *c = out; *c; c++)
        if (*c <= ' ' || *c > '~' || strchr(",\"", *c)) *c = '_';
}

fw_status fw_driver_card_path(const char *model_path, char out[FW_PATH_MAX], fw_error *error) {
    const char *slash = strrchr(model_path, '/'), *dot = strrchr(model_path, '.');
    size_t stem = dot && (!slash || dot > slash + 1) ? (size_t)(dot - model_path) : strlen(model_path);
    if (stem + sizeof ".json" > FW_PATH_MAX) return fw_fail(error, FW_TOO_BIG, "%.200s: too long a path", model_path);
    snprintf(out, FW_PATH_MAX, "%.*s.json", (int)stem, model_path);
    return FW_OK;
}

/* CPU seconds by the card of this very model; NaN: there is none. */
static double card_core_s(const char *model_path, const char *sha256) {
    enum { CARD_MAX_BYTES = 1 << 16 };
    char path[FW_PATH_MAX], *text;
    size_t size;
    fw_error ignored;
    if (fw_driver_card_path(model_path, path, &ignored) != FW_OK) return NAN;
    if (fw_file_read(path, CARD_MAX_BYTES, &text, &size, &ignored) != FW_OK) return NAN;
    json_t *card = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    const char *of = json_string_value(json_object_get(card, "sha256"));
    const json_t *core_s = json_object_get(card, "core_s");
    double found = of && strcmp(of, sha256) == 0 && json_is_number(core_s) ? json_number_value(core_s) : NAN;
    json_decref(card);
    return found;
}

fw_status fw_driver_model(const char *path, fw_driver *out, fw_error *error) {
    fw_driver driver = {.kind = FW_DRIVER_POLICY};
    fw_error why = {""};
    fw_status status = fw_policy_load_file(path, &driver.policy, &why);
    if (status != FW_OK) return fw_fail(error, status, "%.200s: %.190s", path, why.text);
    name_of(path, driver.name, sizeof driver.name);
    driver.training_core_s = card_core_s(path, driver.policy.hash.hex);
    driver.training_agent_steps = word_number(&driver.policy, "agent_steps");
    *out = driver;
    return FW_OK;
}

void fw_driver_clear(fw_driver *driver) {
    fw_policy_clear(&driver->policy);
    *driver = (fw_driver){0};
}

fw_status fw_driver_sit(const fw_driver *driver, fw_driver_seat *out, fw_error *error) {
    fw_driver_seat seat = {0};
    if (driver->kind == FW_DRIVER_POLICY)
        FW_TRY(fw_policy_session_open(&driver->policy, &seat.session, error));
    *out = seat;
    return FW_OK;
}

void fw_driver_rise(fw_driver_seat *seat) { fw_policy_session_close(&seat->session); }

fw_guard_veto fw_driver_act(const fw_driver *driver, fw_driver_seat *seat, const fw_drive_scene *scene,
                            fw_drive_action *action) {
    fw_drive_view view;
    FW_ASSERT(driver->kind != FW_DRIVER_LOG);
    *action = (fw_drive_action){0, 0};
    if (driver->kind == FW_DRIVER_STRAIGHT && !driver->guard) return FW_GUARD_NONE;
    fw_drive_look(scene, &view);
    if (driver->kind == FW_DRIVER_POLICY)
        fw_policy_act_scene(&driver->policy, &seat->session, scene, &view, action);
    fw_drive_action lowered = *action; /* weighed: nobody carries it out */
    if (driver->guard) return fw_guard(scene, &view, action);
    return driver->weighed ? fw_guard(scene, &view, &lowered) : FW_GUARD_NONE;
}
