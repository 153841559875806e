/* A unit's recording as a scenario, and driven again: what was filled in, meetings and lights by their places, and the
 * same view as the unit's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "lines/driving/learn/scenario/parts.h"
#include "lines/driving/learn/sim/inside.h"
#include "synthetic.h"

enum { TICKS = 200 };
static const uint32_t own[] = {0};

static fw_scenario *scenario_of(fw_drive_recording *recording) {
    fw_scenario *scenario = NULL;
    fw_error error = {""};
    if (fw_scenario_of_unit(recording, fw_vehicles_builtin(), &scenario, &error) != FW_OK) fail_msg("%s", error.text);
    fw_drive_recording_free(recording);
    return scenario;
}

static fw_sim *sim_at(const fw_scenario *s, uint32_t tick, fw_sim_traffic traffic) {
    fw_sim *sim = NULL;
    const fw_sim_start start = {.scenario = s, .tick = tick, .traffic = traffic, .tracks = own, .track_count = 1};
    assert_int_equal(fw_sim_new(3, &sim, NULL), FW_OK);
    assert_int_equal(fw_sim_begin(sim, &start, NULL), FW_OK);
    return sim;
}

/* At 60 m of the route a light, red from tick 40 on; a crossing car (id 9) comes from the south to x = 90. */
static fw_drive_recording *at_the_crossing(void) {
    fw_drive_recording *r = synthetic_recording(TICKS, 100);
    snprintf(r->unit, sizeof r->unit, "car-7");
    snprintf(r->network, sizeof r->network, "made");
    for (uint32_t t = 0; t < TICKS; t++) {
        fw_drive_obs *o = &r->ticks[t].obs;
        float y = -60 + 0.5f * (float)t;
        o->light = o->s_m + 4 < 60 ? (t < 40 ? FW_DRIVE_LIGHT_GREEN : FW_DRIVE_LIGHT_RED) : FW_DRIVE_LIGHT_NONE;
        o->light_s_m = 60;
        if (t == 33) r->ticks[t].events = 1;
        if (fabsf(y) > 40) continue;
        if (hypotf(90 - o->x_m, y) > 49) continue;
        o->conflicts[o->conflict_count++] =
            (fw_drive_conflict){o->user_count, FW_DRIVE_CONFLICT_CROSS, 1, o->s_m + 4 <= 84 ? 84 : 88, 92, -2 - (y + 2),
                                2 - (y + 2)}; /* the line to wait at, then the zone */
        o->users[o->user_count++] = (fw_drive_user){9, 4, 90, y, 1.57079633f, 5, 4, 1.8f};
    }
    return r;
}

static void test_what_a_scenario_is_made_of(void **state) {
    (void)state;
    fw_scenario *s = scenario_of(at_the_crossing());
    assert_false(s->scene);
    assert_int_equal(s->recorded, TICKS);
    assert_int_equal(s->ticks, TICKS + FW_SCENARIO_TAIL);
    assert_string_equal(s->tags.site, "made");
    assert_string_equal(s->tags.group, "made/car-7/0");
    assert_int_equal(s->route_count, 1);
    assert_int_equal(s->tracks[0].count, s->ticks);
    assert_int_equal(s->track_count, 3); /* our own, the one ahead, the one that crosses */
    assert_int_equal(s->event_count, 1);
    assert_int_equal(s->event_ticks[0], 33);
    assert_int_equal(s->start_count, 4); /* at 0, 50, 100 and 150 */
    assert_int_equal(s->starts[3].tick, 150);
    assert_int_equal(s->starts[3].ticks, 50);
    assert_int_equal(s->light_count, 1);
    assert_int_equal(s->lights[0].state[39], FW_DRIVE_LIGHT_GREEN);
    assert_int_equal(s->lights[0].state[s->ticks - 1], FW_DRIVE_LIGHT_RED); /* held */
    assert_int_equal(s->meeting_count, 1);
    const fw_scenario_meeting *m = &s->meetings[0];
    assert_true(m->wait_s_m == 84 && m->enter_s_m == 88 && m->exit_s_m == 92);
    const fw_scenario_track *foe = &s->tracks[m->track];
    assert_int_equal(foe->id, 9);
    /* The zone begins at y = -2: where its centre is then, on its own way. */
    uint32_t in = (uint32_t)((-2.0f + 60) / 0.5f) - foe->first;
    assert_true(fabsf(foe->way_m[in] - m->foe_enter_m) < 0.02f);
    /* Our box's centre, from the rear axle; path length as measured. */
    assert_true(fabsf(s->tracks[0].x_m[0] - 11.5f) < 1e-5f);
    assert_true(fabsf(s->tracks[0].way_m[100] - 90) < 1e-3f);
    assert_true(fabsf(s->tracks[0].way_m[TICKS + 9] - (10 + 0.8f * (TICKS + 9))) < 1e-2f);
    fw_scenario_free(s);
}

static void test_who_is_seen_at_the_edge_goes_on(void **state) {
    (void)state;
    fw_scenario *s = scenario_of(at_the_crossing());
    for (uint32_t k = 1; k < s->track_count; k++) {
        const fw_scenario_track *track = &s->tracks[k];
        if (track->id == 9) {
            /* First seen at the edge, at y >= -40: carried back at 5 m/s. */
            assert_true(track->y_m[0] <= -40); /* lies before where it was first seen */
            assert_true(fabsf(track->y_m[1] - track->y_m[0] - 0.5f) < 1e-3f);
        } else {
            assert_int_equal(track->first, 0);
        }
    }
    fw_scenario_free(s);
}

static void test_too_short_is_refused(void **state) {
    (void)state;
    fw_drive_recording *recording = synthetic_recording(FW_SCENARIO_TICKS_MIN - 1, 1);
    fw_scenario *scenario = NULL;
    fw_error error = {""};
    assert_int_equal(fw_scenario_of_unit(recording, fw_vehicles_builtin(), &scenario, &error), FW_INVALID);
    assert_non_null(strstr(error.text, "ticks"));
    assert_null(scenario);
    recording->tick_count = 0; /* whatever else */
    fw_drive_recording_free(recording);
    recording = synthetic_recording(TICKS, 1);
    recording->path_count = 5;
    assert_int_equal(fw_scenario_of_unit(recording, fw_vehicles_builtin(), &scenario, &error), FW_INVALID);
    assert_non_null(strstr(error.text, "route points"));
    fw_drive_recording_free(recording);
}

/* As recorded, the simulator's scene is the recorded message's. */
static void test_the_view_is_the_units_own(void **state) {
    (void)state;
    fw_drive_recording *r = at_the_crossing(), *again = at_the_crossing();
    for (uint32_t t = 0; t < TICKS; t++) { /* a message has its window of the route */
        fw_drive_obs *o = &again->ticks[t].obs;
        o->path_first = (uint32_t)(o->s_m / FW_DRIVE_GRID_M) - 5;
        o->path_count = FW_DRIVE_PATH_MAX;
        memcpy(o->path, again->path + o->path_first, sizeof o->path);
    }
    fw_scenario *s = scenario_of(r);
    fw_sim *sim = sim_at(s, 0, FW_SIM_REPLAYED);
    static float mine[FW_FEATURES], theirs[FW_FEATURES];
    fw_drive_view views[1], view;
    uint32_t with_conflict = 0;
    for (uint32_t t = 0; t < TICKS && fw_sim_running(sim, 0); t++) {
        fw_drive_obs *o = &again->ticks[t].obs;
        fw_drive_scene_room room;
        fw_drive_scene scene;
        fw_drive_scene_of(o, &room, &scene);
        fw_drive_look(&scene, &view);
        fw_drive_features(&scene, &view, theirs);
        fw_sim_observe(sim, mine, views);
        fw_sim_scene(sim, 0, &scene);
        /* Beyond what was seen, the simulator knows more: cars carried on. */
        if (scene.user_count == o->user_count && scene.conflict_count == o->conflict_count &&
            scene.light == o->light)
            for (uint32_t f = 0; f < FW_FEATURES; f++) assert_true(fabsf(mine[f] - theirs[f]) < 1e-3f);
        with_conflict += scene.conflict_count > 0 && scene.conflict_count == o->conflict_count;
        fw_sim_outcome out;
        fw_sim_step_logged(sim, &out);
    }
    assert_true(with_conflict > 30);
    fw_sim_free(sim);
    fw_scenario_free(s);
    fw_drive_recording_free(again);
}

static void test_a_red_light_run_is_seen_once(void **state) {
    (void)state;
    fw_scenario *s = scenario_of(at_the_crossing());
    fw_sim *sim = sim_at(s, 0, FW_SIM_REPLAYED);
    fw_sim_outcome out;
    uint32_t runs = 0;
    while (fw_sim_running(sim, 0)) {
        fw_drive_action action = {0, 0}; /* 8 m/s: over the line, 46 m on, after 5.8 s */
        fw_sim_step(sim, &action, &out);
        if (fw_sim_tick(sim) == 58) assert_true(out.reward < -5);
        runs += out.reward < -5 && out.end == FW_SIM_RUNS;
    }
    assert_int_equal(runs, 1);
    assert_true(fw_sim_drive_of(sim, 0)->red_light && fw_sim_drive_of(sim, 0)->light_seen);
    fw_sim_free(sim);
    fw_scenario_free(s);
}

static void test_a_drive_is_cut_where_the_recording_saw_too_little(void **state) {
    (void)state;
    fw_scenario *s = scenario_of(synthetic_recording(TICKS, 100));
    fw_sim *sim = sim_at(s, 0, FW_SIM_REACTIVE);
    fw_sim_outcome out;
    fw_drive_action stand = {-8, 0};
    while (fw_sim_running(sim, 0)) fw_sim_step(sim, &stand, &out);
    assert_int_equal(out.end, FW_SIM_TIME_OUT);
    /* The recorded car is 60 m ahead: after about 60 / 8 s and the way it took to stop. */
    assert_true(fw_sim_tick(sim) > 75 && fw_sim_tick(sim) < 95);
    fw_sim_free(sim);
    fw_scenario_free(s);
}

static void test_beside_the_lane_is_off_the_road(void **state) {
    (void)state;
    fw_scenario *s = scenario_of(synthetic_recording(TICKS, 100));
    fw_sim *sim = sim_at(s, 10, FW_SIM_REPLAYED);
    fw_sim_outcome out;
    fw_drive_action left = {0, 0.05f};
    while (fw_sim_running(sim, 0)) fw_sim_step(sim, &left, &out);
    assert_int_equal(out.end, FW_SIM_OFF_ROAD);
    assert_true(sim->agents[0].y_m > 1.6f && sim->agents[0].y_m < 2.5f); /* half of 3.2 m */
    fw_sim_free(sim);
    fw_scenario_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_scenario_is_made_of),
        cmocka_unit_test(test_who_is_seen_at_the_edge_goes_on),
        cmocka_unit_test(test_too_short_is_refused),
        cmocka_unit_test(test_the_view_is_the_units_own),
        cmocka_unit_test(test_a_red_light_run_is_seen_once),
        cmocka_unit_test(test_a_drive_is_cut_where_the_recording_saw_too_little),
        cmocka_unit_test(test_beside_the_lane_is_off_the_road),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
