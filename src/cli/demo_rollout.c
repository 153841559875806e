/* demo_rollout.c - the conductor's part in a rollout (demo_wait.h): it gives the units ticks to live, ring by ring, and
 * asks the factory for a look while the world stands still, so that every swap has its named tick.
 *
 *   told units have taken the model -> "go" -> look -> next ring, or over
 *                                     (turned back: the same with the model before)
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/demo_wait.h"

/* A rollout that does not come to its end in so many rounds is left to the factory's own limit of time. */
enum { ROUNDS = 24, STAGE_MS = 60000, ROLLOUT_MS = 15000, FIND_MS = 30000 };

fw_status fw_demo_plan_rollouts(fw_demo *demo, fw_error *error) {
    const fw_demo_options *o = demo->options;
    json_int_t ticks = o->parked || o->realtime ? 0 : FW_DEMO_RING_TICKS;
    json_t *rings = json_pack("[{s:s,s:f,s:i,s:I,s:i},{s:s,s:f,s:I,s:i},{s:s,s:i,s:I,s:i}]", "name", "canary", "share",
                              0.125, "units_min", 1, "ticks_min", ticks, "time_max_s", 600, "name", "half", "share", 0.5,
                              "ticks_min", ticks, "time_max_s", 600, "name", "all", "share", 1, "ticks_min", ticks,
                              "time_max_s", 600);
    json_t *shadow = json_pack("{s:s,s:s,s:f,s:i,s:I,s:i}", "name", "shadow", "mode", "shadow", "share", 0.125, "units_min", 1,
                               "ticks_min", ticks, "time_max_s", 600);
    if (o->parked) json_decref(shadow); /* nothing is lived beside anything */
    else json_array_insert_new(rings, 0, shadow);
    json_t *plan = json_pack("{s:i,s:s,s:o}", "version", 1, "looks", o->realtime ? "always" : "asked", "rings", rings);
    json_t *answer = NULL;
    fw_status status = fw_demo_factory_post(&demo->factory, "/v1/rollout-plan", plan, &answer, NULL, error);
    json_decref(answer);
    return status;
}

/* ---- one rollout ---- */

/* The rollout of a generation; *n 0: none yet. */
static fw_status find(fw_demo *demo, json_int_t generation, json_int_t *n, fw_error *error) {
    json_t *answer = NULL, *row = NULL;
    size_t i = 0;
    FW_TRY(fw_demo_get(demo, "/v1/rollouts", &answer, error));
    json_array_foreach(answer, i, row) {
        if (*n == 0 && json_integer_value(json_object_get(row, "generation")) == generation)
            *n = json_integer_value(json_object_get(row, "n"));
    }
    json_decref(answer);
    return FW_OK;
}

static fw_status show(fw_demo *demo, json_int_t n, json_t **out, fw_error *error) {
    char path[64];
    snprintf(path, sizeof path, "/v1/rollouts/%" JSON_INTEGER_FORMAT, n);
    return fw_demo_get(demo, path, out, error);
}

static bool state_is(const json_t *row, const char *state) {
    return strcmp(fw_demo_text(row, "state"), state) == 0;
}

static bool is_over(const json_t *rollout) {
    return state_is(rollout, "done") || state_is(rollout, "rolled_back");
}

/* A round is over when the rollout is somewhere else. */
static bool same_place(const json_t *a, const json_t *b) {
    return state_is(a, fw_demo_text(b, "state")) &&
           json_equal(json_object_get(a, "ring"), json_object_get(b, "ring"));
}

static const json_t *row_of(const json_t *units, const char *name) {
    size_t i = 0;
    json_t *row = NULL;
    json_array_foreach(units, i, row) {
        if (strcmp(fw_demo_text(row, "id"), name) == 0) return row;
    }
    return NULL;
}

/* How many units of the rollout should run a model and do not say so. A tick that waits for its world takes a staged
 * model too; one that is staged only may be taken a tick later, which is another drive. */
static uint32_t missing(const json_t *rollout, const json_t *units) {
    bool back = state_is(rollout, "rolling_back");
    const char *model = fw_demo_text(rollout, back ? "previous" : "model");
    uint32_t count = 0;
    size_t i = 0;
    json_t *member = NULL;
    json_array_foreach(json_object_get(rollout, "members"), i, member) {
        const json_t *unit = row_of(units, fw_demo_text(member, "unit"));
        bool shadow = state_is(member, "shadow");
        bool concerned = back ? state_is(member, "back") : shadow || state_is(member, "told") || state_is(member, "active");
        if (!concerned || !unit) continue;
        bool has = strcmp(fw_demo_text(unit, shadow ? "shadow" : "active"), model) == 0 ||
                   strcmp(fw_demo_text(unit, "refused"), model) == 0;
        count += !has;
    }
    return count;
}

static fw_status wait_members(fw_demo *demo, const json_t *rollout, int timeout_ms, fw_error *error) {
    int64_t begin = fw_demo_now_ms();
    for (;;) {
        json_t *units = NULL;
        FW_TRY(fw_demo_get(demo, "/v1/units", &units, error));
        uint32_t left = missing(rollout, units);
        json_decref(units);
        if (left == 0) return FW_OK;
        if (fw_demo_now_ms() - begin > fw_demo_patience_ms(demo, timeout_ms)) break;
        FW_TRY(fw_demo_beat(demo, error));
    }
    fw_demo_give_up(demo, "not every unit reports the new model");
    return FW_OK;
}

/* Looks until the rollout is somewhere else, or for some time. */
static fw_status look(fw_demo *demo, json_int_t n, const json_t *before, fw_error *error) {
    char path[64];
    int64_t begin = fw_demo_now_ms();
    snprintf(path, sizeof path, "/v1/rollouts/%" JSON_INTEGER_FORMAT "/look", n);
    for (;;) {
        json_t *now = NULL;
        fw_error answer;
        (void)!fw_demo_factory_post(&demo->factory, path, json_object(), NULL, NULL, &answer);
        FW_TRY(show(demo, n, &now, error));
        bool moved = !same_place(before, now);
        json_decref(now);
        if (moved || fw_demo_now_ms() - begin > fw_demo_patience_ms(demo, ROLLOUT_MS)) return FW_OK;
        FW_TRY(fw_demo_beat(demo, error));
    }
}

static fw_status round_of(fw_demo *demo, json_int_t n, const json_t *rollout, fw_error *error) {
    FW_TRY(wait_members(demo, rollout, STAGE_MS, error));
    if (!demo->options->parked)
        FW_TRY(fw_demo_run(demo, FW_DEMO_ROLLOUT_TICKS + FW_DEMO_RING_TICKS, false, error));
    FW_TRY(wait_members(demo, rollout, ROLLOUT_MS, error));
    return look(demo, n, rollout, error);
}

/* The rollout of the generation begins with the factory's next tick. */
static fw_status wait_begun(fw_demo *demo, json_int_t generation, json_int_t *n, fw_error *error) {
    int64_t begin = fw_demo_now_ms();
    *n = 0;
    for (;;) {
        FW_TRY(find(demo, generation, n, error));
        if (*n || fw_demo_now_ms() - begin > fw_demo_patience_ms(demo, FIND_MS)) return FW_OK;
        FW_TRY(fw_demo_beat(demo, error));
    }
}

fw_status fw_demo_roll_out(fw_demo *demo, json_int_t generation, fw_error *error) {
    json_int_t n = 0;
    FW_TRY(wait_begun(demo, generation, &n, error));
    for (int round = 0; n && round < ROUNDS; round++) {
        json_t *rollout = NULL;
        FW_TRY(show(demo, n, &rollout, error));
        bool over = is_over(rollout);
        fw_status status = over ? FW_OK : round_of(demo, n, rollout, error);
        json_decref(rollout);
        if (over || status != FW_OK) return status;
    }
    fw_demo_give_up(demo, "the rollout has not ended");
    return FW_OK;
}
