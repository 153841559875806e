/* The simulator on a street made by arithmetic: who moves how, what ends a drive, what it was worth, and that the
 * same drive is the same drive. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "lines/driving/learn/sim/inside.h"
#include "lines/driving/learn/sim/reward.h"
#include "street.h"

enum { CARS = 12 };

static const uint32_t first_only[] = {0};

/* Allocations of the C library are counted where no sanitizer owns them. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define COUNTS_MALLOC
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
static volatile bool counting;
static volatile unsigned long calls;

void *malloc(size_t size) {
    calls += counting;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    calls += counting;
    return __libc_calloc(count, size);
}
#endif

static fw_sim *sim_of(uint64_t seed) {
    fw_sim *sim = NULL;
    assert_int_equal(fw_sim_new(seed, &sim, NULL), FW_OK);
    return sim;
}

static fw_status begin(fw_sim *sim, const fw_scenario *s, fw_sim_traffic traffic, const uint32_t *tracks,
                       uint32_t count) {
    const fw_sim_start start = {.scenario = s, .traffic = traffic, .tracks = tracks, .track_count = count};
    return fw_sim_begin(sim, &start, NULL);
}

/* One agent with one action until it ends; returns how, and what the last tick was worth. */
static fw_sim_outcome drive_on(fw_sim *sim, fw_drive_action action) {
    fw_drive_action actions[FW_SIM_AGENTS_MAX];
    fw_sim_outcome out[FW_SIM_AGENTS_MAX] = {{0}};
    for (uint32_t a = 0; a < FW_SIM_AGENTS_MAX; a++) actions[a] = action;
    while (fw_sim_running(sim, 0)) fw_sim_step(sim, actions, out);
    return out[0];
}

/* ---- how drives end ---- */

static void test_goal_at_the_speed_of_the_log(void **state) {
    (void)state;
    const street_car cars[] = {{0, 0, 0, 10, 0, 50, 0, 0, false}};
    fw_scenario *s = street(cars, 1, 60);
    fw_sim *sim = sim_of(1);
    assert_int_equal(begin(sim, s, FW_SIM_REPLAYED, first_only, 1), FW_OK);
    fw_sim_outcome out = drive_on(sim, (fw_drive_action){0, 0});
    const fw_sim_drive *drive = fw_sim_drive_of(sim, 0);
    /* The log ends 49 m on; the goal counts 3 m before: after 46 m, or 46 ticks. */
    assert_int_equal(out.end, FW_SIM_GOAL);
    assert_int_equal(drive->ticks, 46);
    assert_true(fabsf(drive->distance_m - 46) < 1e-3f);
    assert_true(fabsf(drive->goal_left_m - 3) < 1e-2f);
    assert_true(fabsf(drive->progress - 46.0f / 49) < 1e-3f);
    assert_true(drive->deviation_sum_m < 1e-2);
    assert_int_equal(drive->accel_ticks + drive->jerk_ticks + drive->lateral_ticks + drive->ttc_ticks, 0);
    assert_true(fabsf(out.reward - (fw_sim_reward.goal + fw_sim_reward.metre)) < 1e-3f);
    assert_true(fw_sim_over(sim));
    fw_sim_free(sim);
    fw_scenario_free(s);
}

static void test_goal_has_two_seconds_more_than_the_log(void **state) {
    (void)state;
    const street_car cars[] = {{0, 0, 0, 10, 0, 50, 0, 0, false}};
    fw_scenario *s = street(cars, 1, 60);
    fw_sim *sim = sim_of(1);
    assert_int_equal(begin(sim, s, FW_SIM_REPLAYED, first_only, 1), FW_OK);
    fw_sim_outcome out = drive_on(sim, (fw_drive_action){-3, 0}); /* stops after 17 m */
    const fw_sim_drive *drive = fw_sim_drive_of(sim, 0);
    assert_int_equal(out.end, FW_SIM_TIME_OUT);
    assert_int_equal(drive->ticks, 49 + 20);
    assert_true(drive->distance_m < 18);
    /* At the log's end it is 49 m on, we stand where we stopped. */
    assert_true(fabsf(drive->final_deviation_m - (49 - drive->distance_m)) < 1e-2f);
    assert_true(sim->agents[0].state.speed_mps == 0);
    fw_sim_free(sim);
    fw_scenario_free(s);
}

static void test_full_size_boxes_collide(void **state) {
    (void)state;
    /* A car stands 40 m ahead, its side 2.0 m off: 1.8 m wide boxes pass; 0.1 m nearer and wider they touch. */
    for (int wide = 0; wide < 2; wide++) {
        const street_car cars[] = {{0, 0, 0, 10, 0, 80, 4.5f, 1.8f, false},
                                   {40, 2.0f, 0, 0, 0, 80, 4.5f, wide ? 2.4f : 2.0f, true}};
        fw_scenario *s = street(cars, 2, 100);
        fw_sim *sim = sim_of(1);
        assert_int_equal(begin(sim, s, FW_SIM_REPLAYED, first_only, 1), FW_OK);
        fw_sim_outcome out = drive_on(sim, (fw_drive_action){0, 0});
        assert_int_equal(out.end, wide ? FW_SIM_COLLISION : FW_SIM_GOAL);
        assert_int_equal(fw_sim_drive_of(sim, 0)->at_fault, wide);
        if (wide) {
            /* Bumpers meet after 40 - 4.5 = 35.5 m. */
            assert_int_equal(fw_sim_drive_of(sim, 0)->ticks, 36);
            assert_true(fw_sim_drive_of(sim, 0)->ttc_ticks > 0);
            float ride = fw_sim_reward.metre * (sim->agents[0].place.s_m - 20 - 35) + fw_sim_reward.close;
            assert_true(fabsf(out.reward - fw_sim_reward.collision - ride) < 1e-3f);
        }
        fw_sim_free(sim);
        fw_scenario_free(s);
    }
}

static void test_who_stands_is_not_at_fault(void **state) {
    (void)state;
    const street_car cars[] = {{30, 0, 0, 0, 0, 80, 0, 0, false}, {0, 0, 0, 10, 0, 80, 0, 0, true}};
    fw_scenario *s = street(cars, 2, 100);
    s->routes[0].goal_x_m += 60; /* elsewhere */
    fw_sim *sim = sim_of(1);
    assert_int_equal(begin(sim, s, FW_SIM_REPLAYED, first_only, 1), FW_OK);
    fw_sim_outcome out = drive_on(sim, (fw_drive_action){0, 0});
    assert_int_equal(out.end, FW_SIM_COLLISION);
    assert_false(fw_sim_drive_of(sim, 0)->at_fault);
    assert_true(fabsf(out.reward - fw_sim_reward.bumped) < 1e-3f);
    fw_sim_free(sim);
    fw_scenario_free(s);
}

static void test_one_corner_off_is_off_the_road(void **state) {
    (void)state;
    /* Straight on, its side 0.1 m inside of the edge; turned left a little, one corner is out. */
    const float y = 6 - 0.9f - 0.1f;
    for (int turned = 0; turned < 2; turned++) {
        const street_car cars[] = {{0, y, turned ? 0.04f : 0, 10, 0, 50, 0, 0, false}};
        fw_scenario *s = street(cars, 1, 60);
        fw_sim *sim = sim_of(1);
        fw_status status = begin(sim, s, FW_SIM_REPLAYED, first_only, 1);
        assert_int_equal(status, FW_OK);
        fw_sim_outcome out = drive_on(sim, (fw_drive_action){0, 0});
        assert_int_equal(out.end, turned ? FW_SIM_OFF_ROAD : FW_SIM_GOAL);
        if (turned) {
            /* The front left corner is 0.9996 + 2.2494 * tan(.04) + .. above the centre, which rises .04 a tick. */
            float corner = 2.25f * sinf(0.04f) + 0.9f * cosf(0.04f) - 0.9f;
            uint32_t ticks = (uint32_t)ceilf((0.1f - corner) / (1 * sinf(0.04f)));
            assert_int_equal(fw_sim_drive_of(sim, 0)->ticks, ticks > 0 ? ticks : 1);
            assert_true(s->tracks[0].y_m[1] < 6); /* its centre is on the road */
        }
        fw_sim_free(sim);
        fw_scenario_free(s);
    }
}

static void test_a_taken_place_cannot_begin(void **state) {
    (void)state;
    const street_car cars[] = {{0, 0, 0, 10, 0, 50, 0, 0, false}, {3, 0, 0, 10, 0, 50, 0, 0, true},
                               {0, 6, 0, 10, 0, 50, 0, 0, false}};
    fw_scenario *s = street(cars, 3, 60);
    fw_sim *sim = sim_of(1);
    fw_error error = {""};
    fw_sim_start start = {.scenario = s, .traffic = FW_SIM_REPLAYED, .tracks = first_only, .track_count = 1};
    assert_int_equal(fw_sim_begin(sim, &start, &error), FW_INVALID);
    assert_non_null(strstr(error.text, "track 0"));
    const uint32_t off[] = {2}, none[] = {1}, twice[] = {2, 2};
    start.tracks = off;
    assert_int_equal(fw_sim_begin(sim, &start, &error), FW_INVALID);
    start.tracks = none;
    assert_int_equal(fw_sim_begin(sim, &start, &error), FW_INVALID);
    assert_non_null(strstr(error.text, "no route"));
    start.tracks = twice;
    start.track_count = 2;
    assert_int_equal(fw_sim_begin(sim, &start, &error), FW_INVALID);
    start.tick = 60;
    assert_int_equal(fw_sim_begin(sim, &start, &error), FW_INVALID);
    fw_sim_free(sim);
    fw_scenario_free(s);
}

static void test_limits_of_the_car_are_kept(void **state) {
    (void)state;
    const street_car cars[] = {{0, 0, 0, 10, 0, 0, 0, 0, false}};
    fw_scenario *s = street(cars, 1, 200);
    fw_sim *sim = sim_of(1);
    const fw_vehicle_kind *kind = &s->tracks[0].kind;
    assert_int_equal(begin(sim, s, FW_SIM_REPLAYED, first_only, 1), FW_OK);
    fw_drive_action hard = {-50, 5};
    fw_sim_outcome out;
    float accel = 0, curvature = 0;
    while (fw_sim_running(sim, 0)) {
        fw_sim_step(sim, &hard, &out);
        const fw_vehicle_state *now = &sim->agents[0].state;
        assert_true(now->speed_mps >= 0);
        /* What stops the car within the tick is no braking that anybody asked for. */
        if (now->speed_mps > 0)
            assert_true(fabsf(now->accel_mps2 - accel) <= kind->jerk_max_mps3 * FW_DRIVE_TICK_S + 1e-3f);
        assert_true(fabsf(now->curvature_pm - curvature) <= kind->curvature_rate_max_pm_s * FW_DRIVE_TICK_S + 1e-5f);
        assert_true(fabsf(now->curvature_pm) * now->speed_mps * now->speed_mps <= kind->lateral_max_mps2 + 1e-3f);
        accel = now->accel_mps2, curvature = now->curvature_pm;
    }
    fw_sim_free(sim);
    fw_scenario_free(s);
}

/* ---- the others ---- */

static void test_replayed_traffic_ignores_us(void **state) {
    (void)state;
    const street_car cars[] = {{20, 0, 0, 5, 0, 80, 0, 0, false}, {0, 0, 0, 10, 0, 80, 0, 0, true}};
    fw_scenario *s = street(cars, 2, 100);
    fw_sim *sim = sim_of(1);
    assert_int_equal(begin(sim, s, FW_SIM_REPLAYED, first_only, 1), FW_OK);
    fw_drive_action action = {-8, 0};
    fw_sim_outcome out;
    for (uint32_t t = 1; fw_sim_running(sim, 0); t++) {
        fw_sim_step(sim, &action, &out);
        assert_true(sim->others[1].x_m == s->tracks[1].x_m[t]);
    }
    assert_int_equal(fw_sim_drive_of(sim, 0)->end, FW_SIM_COLLISION);
    fw_sim_free(sim);
    fw_scenario_free(s);
}

static void test_reactive_traffic_stops_behind_us(void **state) {
    (void)state;
    const street_car cars[] = {{40, 0, 0, 10, 0, 200, 0, 0, false}, {0, 0, 0, 12, 0, 200, 0, 0, true},
                               {-20, 0, 0, 12, 0, 200, 0, 0, true}};
    fw_scenario *s = street(cars, 3, 250);
    fw_sim *sim = sim_of(1);
    assert_int_equal(begin(sim, s, FW_SIM_REACTIVE, first_only, 1), FW_OK);
    fw_sim_outcome out = drive_on(sim, (fw_drive_action){-4, 0}); /* stops, and stays */
    assert_int_equal(out.end, FW_SIM_TIME_OUT);
    float gap = sim->agents[0].x_m - sim->others[1].x_m - 4.5f;
    float second = sim->others[1].x_m - sim->others[2].x_m - 4.5f;
    assert_true(gap > 0.5f && gap < 6);
    assert_true(second > 0.5f && second < 8);
    assert_true(sim->others[1].speed_mps < 0.5f && sim->others[2].speed_mps < 0.5f);
    fw_sim_free(sim);
    fw_scenario_free(s);
}

static void test_reactive_traffic_without_cause_does_as_logged(void **state) {
    (void)state;
    const street_car cars[] = {{0, 0, 0, 10, 0, 90, 0, 0, false}, {20, 0, 0, 10, 0, 90, 0, 0, true},
                               {-15, 4, 0, 12, 0, 90, 0, 0, true}};
    fw_scenario *s = street(cars, 3, 100);
    fw_sim *sim = sim_of(1);
    assert_int_equal(begin(sim, s, FW_SIM_REACTIVE, first_only, 1), FW_OK);
    fw_drive_action action = {0, 0};
    fw_sim_outcome out;
    for (uint32_t t = 1; fw_sim_running(sim, 0); t++) {
        fw_sim_step(sim, &action, &out);
        assert_true(sim->others[1].x_m == s->tracks[1].x_m[t]);
        assert_true(sim->others[2].x_m == s->tracks[2].x_m[t]);
    }
    assert_int_equal(out.end, FW_SIM_GOAL);
    fw_sim_free(sim);
    fw_scenario_free(s);
}

static void test_reactive_traffic_yields_to_who_crosses_first(void **state) {
    (void)state;
    /* It comes from the south and would be at x = 50 a little after us. As logged we were faster. */
    const float north = 1.57079633f;
    const street_car cars[] = {{20, 0, 0, 10, 0, 90, 0, 0, false}, {50, -42, north, 10, 0, 90, 0, 0, true}};
    for (int reactive = 0; reactive < 2; reactive++) {
        fw_scenario *s = street(cars, 2, 100);
        fw_sim *sim = sim_of(1);
        assert_int_equal(begin(sim, s, reactive ? FW_SIM_REACTIVE : FW_SIM_REPLAYED, first_only, 1), FW_OK);
        sim->agents[0].state.speed_mps = 7.6f; /* arrives at 3.9 s; it does at 4.2 s */
        fw_sim_outcome out = drive_on(sim, (fw_drive_action){0, 0});
        assert_int_equal(out.end == FW_SIM_COLLISION, !reactive);
        fw_sim_free(sim);
        fw_scenario_free(s);
    }
}

static void test_drivers_differ_when_manners_do(void **state) {
    (void)state;
    fw_random random = fw_random_named(5, "manners");
    fw_sim_manners usual = fw_sim_manners_draw(&random, 0), again = fw_sim_manners_draw(&random, 0);
    assert_memory_equal(&usual, &again, sizeof usual);
    float slowest = 9, fastest = 0;
    for (int i = 0; i < 1000; i++) {
        fw_sim_manners m = fw_sim_manners_draw(&random, 1);
        slowest = fminf(slowest, m.speed_factor), fastest = fmaxf(fastest, m.speed_factor);
        assert_true(m.headway_s >= 0.7f && m.headway_s <= 2 && m.accel_mps2 >= 1 && m.accel_mps2 <= 2.5f);
    }
    assert_true(slowest > 0.849f && slowest < 0.87f && fastest > 1.18f && fastest < 1.201f);
    /* At the gap it wants at its speed, it neither brakes nor accelerates but for the free road's term. */
    float gap = usual.standstill_m + 10 * usual.headway_s;
    assert_true(fabsf(fw_sim_manners_accel(&usual, 10, 1e6f, gap, 10)) < 1e-5f);
    assert_true(fw_sim_manners_accel(&usual, 10, 1e6f, gap, 5) < -1);
}

/* ---- self-play ---- */

static void test_self_play_is_the_same_for_all(void **state) {
    (void)state;
    /* Two that drive towards each other, mirrored at x = 40. */
    const street_car cars[] = {{0, 0, 0, 10, 0, 80, 0, 0, false}, {80, 0, 3.14159265f, 10, 0, 80, 0, 0, false}};
    const uint32_t both[] = {0, 1};
    fw_scenario *s = street(cars, 2, 100);
    fw_sim *sim = sim_of(1);
    assert_int_equal(begin(sim, s, FW_SIM_SELF_PLAY, both, 2), FW_OK);
    fw_sim_outcome out = drive_on(sim, (fw_drive_action){1, 0});
    const fw_sim_drive *a = fw_sim_drive_of(sim, 0), *b = fw_sim_drive_of(sim, 1);
    assert_int_equal(out.end, FW_SIM_COLLISION);
    assert_int_equal(b->end, FW_SIM_COLLISION);
    assert_int_equal(a->ticks, b->ticks);
    assert_true(a->at_fault && b->at_fault);
    assert_true(fabsf(a->distance_m - b->distance_m) < 1e-3f);
    assert_true(fw_sim_over(sim));
    fw_sim_free(sim);
    fw_scenario_free(s);
}

static void test_late_comers_wait_for_their_place(void **state) {
    (void)state;
    /* The second begins at tick 10 where the first drives slowly; the third's place is never free. */
    const street_car cars[] = {{0, 0, 0, 4, 0, 150, 0, 0, false}, {6, 0, 0, 10, 10, 60, 0, 0, false},
                               {60, 4, 0, 10, 5, 60, 0, 0, false}, {60, 4, 0, 0, 0, 190, 0, 0, true}};
    const uint32_t all[] = {0, 1, 2};
    fw_scenario *s = street(cars, 4, 200);
    fw_sim *sim = sim_of(1);
    assert_int_equal(begin(sim, s, FW_SIM_SELF_PLAY, all, 3), FW_OK);
    fw_drive_action actions[3] = {{0, 0}, {0, 0}, {0, 0}};
    fw_sim_outcome out[3];
    uint32_t came = 0;
    for (uint32_t t = 1; t < 40; t++) {
        fw_sim_step(sim, actions, out);
        if (!came && fw_sim_running(sim, 1)) came = t;
        assert_false(fw_sim_running(sim, 2));
    }
    /* Free when the first's rear is past 6 + 2.25 m: its centre past 10.5 m, at 4 m/s in tick 27. */
    assert_int_equal(came, 27);
    assert_int_equal(fw_sim_drive_of(sim, 2)->ticks, 0);
    assert_int_equal(sim->agents[2].phase, FW_SIM_DONE);
    fw_sim_free(sim);
    fw_scenario_free(s);
}

/* ---- the log's own drive ---- */

static void test_the_log_reaches_its_goal(void **state) {
    (void)state;
    const street_car cars[] = {{0, 0, 0, 10, 3, 50, 0, 0, false}, {9, 4, 0, 10, 0, 60, 0, 0, true}};
    fw_scenario *s = street(cars, 2, 60);
    fw_sim *sim = sim_of(1);
    const fw_sim_start start = {.scenario = s, .tick = 5, .traffic = FW_SIM_REPLAYED, .tracks = first_only,
                                .track_count = 1};
    assert_int_equal(fw_sim_begin(sim, &start, NULL), FW_OK);
    fw_sim_outcome out;
    while (fw_sim_running(sim, 0)) fw_sim_step_logged(sim, &out);
    const fw_sim_drive *drive = fw_sim_drive_of(sim, 0);
    assert_int_equal(drive->end, FW_SIM_GOAL);
    assert_int_equal(drive->ticks, 44); /* 49 m from tick 3; 3 m before that, from tick 5 */
    assert_true(drive->deviation_sum_m == 0 && drive->final_deviation_m == 0);
    fw_sim_free(sim);
    fw_scenario_free(s);
}

/* ---- observation ---- */

/* A world of many cars, all driven but every fourth. */
static fw_scenario *crowd(uint64_t seed, uint32_t cars_wanted, uint32_t ticks, uint32_t *tracks, uint32_t *driven) {
    fw_random random = fw_random_named(seed, "crowd");
    street_car cars[64];
    *driven = 0;
    for (uint32_t k = 0; k < cars_wanted; k++) {
        cars[k] = (street_car){.x_m = 9 * (float)(k / 3) + 3 * fw_random_unit(&random),
                               .y_m = 4 * (float)(k % 3) - 4 + 0.6f * (fw_random_unit(&random) - 0.5f),
                               .yaw_rad = 0.02f * (fw_random_unit(&random) - 0.5f),
                               .speed_mps = 15 * fw_random_unit(&random),
                               .first = k % 5 == 4 ? fw_random_below(&random, ticks / 2) : 0,
                               .no_route = k % 4 == 3};
        if (!cars[k].no_route) tracks[(*driven)++] = k;
    }
    return street(cars, cars_wanted, ticks);
}

/* The message a unit would have got of the same moment. */
static void message_of(const fw_sim *sim, const fw_drive_scene *scene, uint32_t agent, fw_drive_obs *obs) {
    static fw_sim_box boxes[FW_SIM_SLOTS];
    uint32_t count = fw_sim_boxes(sim, boxes, FW_SIM_SLOTS);
    *obs = (fw_drive_obs){.x_m = scene->x_m, .y_m = scene->y_m, .yaw_rad = scene->yaw_rad,
                          .speed_mps = scene->speed_mps, .accel_mps2 = scene->accel_mps2,
                          .curvature_pm = scene->curvature_pm, .length_m = scene->length_m,
                          .width_m = scene->width_m, .rear_overhang_m = scene->rear_overhang_m,
                          .s_m = scene->s_m, .route_left_m = scene->route_left_m,
                          .path_first = scene->path_first, .path_count = scene->path_count};
    memcpy(obs->path, scene->path, scene->path_count * sizeof *scene->path);
    for (uint32_t j = 0; j < count && obs->user_count < FW_DRIVE_USERS_MAX; j++) {
        const fw_sim_box *box = &boxes[count - 1 - j]; /* in another order */
        if (box->track == sim->agents[agent].slot) continue;
        obs->users[obs->user_count++] =
            (fw_drive_user){box->id, UINT32_MAX, box->x_m, box->y_m, box->yaw_rad, box->speed_mps,
                            box->length_m, box->width_m};
    }
}

static void test_observation_is_what_a_unit_would_see(void **state) {
    (void)state;
    uint32_t tracks[64], driven;
    fw_scenario *s = crowd(3, 40, 80, tracks, &driven);
    fw_sim *sim = sim_of(1);
    static float features[FW_SIM_AGENTS_MAX * FW_FEATURES], theirs[FW_FEATURES];
    static fw_drive_view views[FW_SIM_AGENTS_MAX];
    fw_drive_action actions[FW_SIM_AGENTS_MAX];
    fw_sim_outcome out[FW_SIM_AGENTS_MAX];
    assert_int_equal(begin(sim, s, FW_SIM_SELF_PLAY, tracks, driven), FW_OK);
    uint32_t compared = 0;
    while (!fw_sim_over(sim) && fw_sim_tick(sim) < 60) {
        fw_sim_observe(sim, features, views);
        for (uint32_t a = 0; a < driven; a++) {
            if (!fw_sim_running(sim, a)) continue;
            fw_drive_scene mine, his;
            fw_drive_scene_room room;
            fw_drive_obs obs;
            fw_drive_view view;
            fw_sim_scene(sim, a, &mine);
            message_of(sim, &mine, a, &obs);
            fw_drive_scene_of(&obs, &room, &his);
            fw_drive_look(&his, &view);
            fw_drive_features(&his, &view, theirs);
            for (uint32_t f = 0; f < FW_FEATURES; f++)
                assert_true(fabsf(theirs[f] - features[a * FW_FEATURES + f]) < 1e-5f);
            compared++;
            actions[a] = (fw_drive_action){0.2f, views[a].pursuit_pm};
        }
        fw_sim_step(sim, actions, out);
    }
    assert_true(compared > 300);
    fw_sim_free(sim);
    fw_scenario_free(s);
}

/* ---- determinism, allocation, anything goes ---- */

/* Drives at random, `ticks` of them, worlds anew when they are over; a sum over all that happened. */
static double drive_at_random(fw_sim *sim, const fw_scenario *s, const uint32_t *tracks, uint32_t driven,
                              uint64_t seed, uint32_t ticks) {
    fw_random random = fw_random_named(seed, "actions");
    fw_drive_action actions[FW_SIM_AGENTS_MAX];
    fw_sim_outcome out[FW_SIM_AGENTS_MAX];
    double sum = 0;
    fw_sim_seed(sim, seed);
    bool over = true;
    for (uint32_t t = 0; t < ticks; t++) {
        if (over) {
            fw_sim_traffic traffic = (fw_sim_traffic)fw_random_below(&random, FW_SIM_TRAFFIC_COUNT);
            const fw_sim_start start = {.scenario = s, .traffic = traffic, .tracks = tracks,
                                        .track_count = traffic == FW_SIM_SELF_PLAY ? driven : 1,
                                        .jitter = fw_random_unit(&random), .manners = fw_random_unit(&random)};
            assert_int_equal(fw_sim_begin(sim, &start, NULL), FW_OK);
        }
        for (uint32_t a = 0; a < fw_sim_agents(sim); a++)
            actions[a] = (fw_drive_action){12 * fw_random_unit(&random) - 8, 0.2f * (fw_random_unit(&random) - 0.5f)};
        fw_sim_step(sim, actions, out);
        for (uint32_t a = 0; a < fw_sim_agents(sim); a++) {
            const fw_sim_agent *agent = &sim->agents[a];
            if (agent->phase == FW_SIM_WAITS) continue;
            sum += (double)agent->x_m * 1e-3 + (double)agent->y_m + (double)agent->state.speed_mps;
            assert_true(isfinite(sum) && agent->state.speed_mps >= 0);
        }
        over = fw_sim_over(sim);
    }
    return sum;
}

static void test_same_seed_same_bits_in_any_order(void **state) {
    (void)state;
    uint32_t tracks[64], driven;
    fw_scenario *s = crowd(7, 30, 100, tracks, &driven);
    fw_sim *a = sim_of(1), *b = sim_of(2);
    double one = drive_at_random(a, s, tracks, driven, 11, 300), two = drive_at_random(a, s, tracks, driven, 12, 300);
    double two_first = drive_at_random(b, s, tracks, driven, 12, 300);
    double one_second = drive_at_random(b, s, tracks, driven, 11, 300);
    assert_true(one == one_second && two == two_first);
    assert_true(one != two);
    fw_sim_free(a);
    fw_sim_free(b);
    fw_scenario_free(s);
}

static void test_random_worlds_stay_finite_and_allocate_nothing(void **state) {
    (void)state;
    static float features[FW_SIM_AGENTS_MAX * FW_FEATURES];
    static fw_drive_view views[FW_SIM_AGENTS_MAX];
    uint32_t agent_ticks = 0;
    for (uint64_t seed = 1; agent_ticks < 100000; seed++) {
        uint32_t tracks[64], driven;
        fw_scenario *s = crowd(seed, 40, 120, tracks, &driven);
        fw_sim *sim = sim_of(seed);
        print_message("seed %llu\n", (unsigned long long)seed);
#ifdef COUNTS_MALLOC
        calls = 0;
        counting = true;
#endif
        drive_at_random(sim, s, tracks, driven, seed, 400);
        fw_sim_observe(sim, features, views);
#ifdef COUNTS_MALLOC
        counting = false;
        assert_int_equal(calls, 0);
#endif
        for (uint32_t a = 0; a < fw_sim_agents(sim); a++)
            for (uint32_t f = 0; f < FW_FEATURES && fw_sim_running(sim, a); f++)
                assert_true(isfinite(features[a * FW_FEATURES + f]));
        agent_ticks += 400 * 10;
        fw_sim_free(sim);
        fw_scenario_free(s);
    }
}

static void test_boxes_overlap_as_drive_h_has_it(void **state) {
    (void)state;
    fw_random random = fw_random_named(9, "boxes");
    uint32_t touching = 0;
    for (int i = 0; i < 20000; i++) {
        float n[8];
        for (int k = 0; k < 8; k++) n[k] = fw_random_unit(&random);
        float ya = 6.28f * n[0], yb = 6.28f * n[1], dx = 12 * n[2] - 6, dy = 12 * n[3] - 6;
        fw_drive_neighbour a = {0, 0, 0, cosf(ya), sinf(ya), 0, 2 + 6 * n[4], 1 + 2 * n[5]};
        fw_drive_neighbour b = {0, dx, dy, cosf(yb), sinf(yb), 0, 2 + 6 * n[6], 1 + 2 * n[7]};
        bool ours = fw_sim_boxes_overlap(&a, &b);
        bool theirs = fw_drive_boxes_overlap(0, 0, ya, a.length_m, a.width_m, dx, dy, yb, b.length_m, b.width_m);
        assert_int_equal(ours, theirs);
        touching += ours;
    }
    assert_true(touching > 4000 && touching < 16000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goal_at_the_speed_of_the_log),
        cmocka_unit_test(test_goal_has_two_seconds_more_than_the_log),
        cmocka_unit_test(test_full_size_boxes_collide),
        cmocka_unit_test(test_who_stands_is_not_at_fault),
        cmocka_unit_test(test_one_corner_off_is_off_the_road),
        cmocka_unit_test(test_a_taken_place_cannot_begin),
        cmocka_unit_test(test_limits_of_the_car_are_kept),
        cmocka_unit_test(test_replayed_traffic_ignores_us),
        cmocka_unit_test(test_reactive_traffic_stops_behind_us),
        cmocka_unit_test(test_reactive_traffic_without_cause_does_as_logged),
        cmocka_unit_test(test_reactive_traffic_yields_to_who_crosses_first),
        cmocka_unit_test(test_drivers_differ_when_manners_do),
        cmocka_unit_test(test_self_play_is_the_same_for_all),
        cmocka_unit_test(test_late_comers_wait_for_their_place),
        cmocka_unit_test(test_the_log_reaches_its_goal),
        cmocka_unit_test(test_observation_is_what_a_unit_would_see),
        cmocka_unit_test(test_same_seed_same_bits_in_any_order),
        cmocka_unit_test(test_random_worlds_stay_finite_and_allocate_nothing),
        cmocka_unit_test(test_boxes_overlap_as_drive_h_has_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
