/* The city with our cars in it, on a real SUMO; skipped where SUMO is not installed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "worlds/sumo/internal.h"

enum { CARS = 8, TICKS = 150 };

/* Pure pursuit, and a gap to whatever stands in the strip of our path: enough to stay in traffic.
 */
static fw_drive_action drive(const fw_drive_obs *o) {
    const float front = o->s_m + o->length_m - o->rear_overhang_m;
    const float look = fmaxf(4, 0.8f * o->speed_mps);
    int i = (int)((o->s_m + look) / FW_DRIVE_GRID_M) - (int)o->path_first;
    if (i > (int)o->path_count - 1) i = (int)o->path_count - 1;
    const float dx = o->path[i].x_m - o->x_m, dy = o->path[i].y_m - o->y_m;
    const float left = -sinf(o->yaw_rad) * dx + cosf(o->yaw_rad) * dy;
    float free_m = 60;
    for (uint32_t u = 0; u < o->user_count; u++)
        for (uint32_t p = 0; p < o->path_count; p++) {
            const float s = (float)(o->path_first + p) * FW_DRIVE_GRID_M;
            const float d =
                hypotf(o->users[u].x_m - o->path[p].x_m, o->users[u].y_m - o->path[p].y_m);
            if (d < 2 && s > o->s_m + 2) free_m = fminf(free_m, s - front - 4);
        }
    if (o->light == FW_DRIVE_LIGHT_RED || o->light == FW_DRIVE_LIGHT_YELLOW)
        free_m = fminf(free_m, o->light_s_m - front - 1);
    const float wanted = fminf(8, sqrtf(fmaxf(0, 2 * 2.5f * (free_m - 2))));
    return (fw_drive_action){fminf(2, 2 * (wanted - o->speed_mps)),
                             2 * left / fmaxf(dx * dx + dy * dy, 1)};
}

static void check_observation(const fw_drive_obs *o) {
    uint8_t wire[FW_DRIVE_OBS_WIRE_MAX];
    fw_drive_obs again;
    assert_int_equal(fw_drive_obs_decode(wire, fw_drive_obs_encode(o, wire), &again, NULL), FW_OK);
    for (uint32_t i = 1; i < o->path_count; i++)
        assert_true(
            fabsf(hypotf(o->path[i].x_m - o->path[i - 1].x_m, o->path[i].y_m - o->path[i - 1].y_m) -
                  FW_DRIVE_GRID_M) < 0.02f);
    for (uint32_t i = 0; i < o->conflict_count; i++) {
        assert_true(o->conflicts[i].enter_s_m <= o->conflicts[i].exit_s_m);
        assert_true(o->conflicts[i].foe_exit_m > 0);
    }
    assert_true(o->path_count > 4 && o->length_m > 2 && o->impact_mps2 == 0);
}

typedef struct outcome {
    fw_hash observations;
    double gap_mean_m;
    uint32_t car_ticks, desyncs, drives, conflicts, lights;
} outcome;

/* SUMO dies under the world: told at once, and again. */
static void kill_sumo(fw_world *world) {
    fw_error error = {""};
    const fw_drive_action still[CARS] = {{0}};
    assert_int_equal(kill(fw_world_sumo_pid(world), SIGKILL), 0);
    assert_int_equal(fw_world_step(world, still, &error), FW_CLOSED);
    assert_non_null(strstr(error.text, "SUMO"));
    assert_int_equal(fw_world_step(world, still, &error), FW_CLOSED);
}

static void run_city(const fw_world_config *config, bool kill_it, outcome *out) {
    fw_world *world;
    fw_error error = {""};
    if (fw_world_open(config, &world, &error) != FW_OK) fail_msg("%s", error.text);
    memset(out, 0, sizeof *out);
    fw_sha256 *sum = fw_sha256_begin();
    for (uint32_t tick = 0; tick < TICKS; tick++) {
        fw_drive_action actions[CARS] = {{0}};
        assert_int_equal(fw_world_tick(world), tick);
        for (uint32_t i = 0; i < config->cars; i++) {
            const fw_drive_obs *o = fw_world_obs(world, i);
            if (!o) continue;
            check_observation(o);
            fw_sha256_add(sum, o, sizeof *o);
            actions[i] = drive(o);
            out->car_ticks++;
            out->conflicts += o->conflict_count;
            out->lights += o->light != FW_DRIVE_LIGHT_NONE;
        }
        if (fw_world_step(world, actions, &error) != FW_OK) fail_msg("%s", error.text);
        fw_drive_result result;
        while (fw_world_take_result(world, &result)) {
            fw_sha256_add(sum, &result.distance_m, sizeof result.distance_m);
            out->drives++;
            out->desyncs += result.desync;
            assert_int_equal(result.collision, fw_world_last_obs(world, result.car) != NULL);
            assert_true(!result.collision || fw_world_last_obs(world, result.car)->impact_mps2 > 0);
        }
    }
    double gap_max;
    fw_world_gap(world, &out->gap_mean_m, &gap_max);
    out->observations = fw_sha256_end(sum);
    if (kill_it) kill_sumo(world);
    fw_world_close(world);
}

static void same_seed_same_city(void **state) {
    (void)state;
    outcome first, second;
    const fw_world_config config = {.network = "acosta", .seed = 11, .cars = CARS};
    run_city(&config, false, &first);
    run_city(&config, false, &second);
    assert_string_equal(first.observations.hex, second.observations.hex);
    assert_true(first.car_ticks > CARS * TICKS * 9 / 10);
    assert_int_equal(first.desyncs, 0);
    assert_true(first.gap_mean_m < 0.3);
    assert_true(first.conflicts > 0 && first.lights > 0);
}

static void watched_drivers_and_a_killed_sumo(void **state) {
    (void)state;
    outcome watched;
    const fw_world_config config = {
        .network = "pasubio", .seed = 4, .cars = CARS, .sumo_drives = true};
    run_city(&config, true, &watched);
    assert_int_equal(watched.desyncs, 0);
    assert_true(watched.car_ticks > CARS * TICKS * 9 / 10);
}

/* The driver of `same_seed_same_city` treats left and right alike, so that in the mirror it drives the same city. */
static void left_hand_traffic_is_the_city_in_a_mirror(void **state) {
    (void)state;
    fw_world *world[2];
    fw_error error = {""};
    for (int k = 0; k < 2; k++) {
        const fw_world_config config = {.network = "acosta", .seed = 5, .cars = 4,
                                        .conditions = {.demand = 1, .left_hand = k == 1}};
        if (fw_world_open(&config, &world[k], &error) != FW_OK) fail_msg("%s", error.text);
    }
    uint32_t seen = 0, turning = 0;
    for (uint32_t tick = 0; tick < 80; tick++) {
        fw_drive_action actions[2][CARS] = {{{0}}};
        for (uint32_t i = 0; i < 4; i++) {
            const fw_drive_obs *a = fw_world_obs(world[0], i), *b = fw_world_obs(world[1], i);
            assert_int_equal(a == NULL, b == NULL);
            if (!a) continue;
            assert_true(a->x_m == b->x_m && a->y_m == -b->y_m && a->yaw_rad == -b->yaw_rad);
            assert_true(a->curvature_pm == -b->curvature_pm && a->s_m == b->s_m);
            assert_int_equal(a->user_count, b->user_count);
            for (uint32_t u = 0; u < a->user_count; u++)
                assert_true(a->users[u].y_m == -b->users[u].y_m && a->users[u].yaw_rad == -b->users[u].yaw_rad);
            for (uint32_t p = 0; p < a->path_count; p++) assert_true(a->path[p].y_m == -b->path[p].y_m);
            actions[0][i] = drive(a);
            actions[1][i] = drive(b);
            seen++;
            turning += a->curvature_pm != 0;
        }
        for (int k = 0; k < 2; k++)
            if (fw_world_step(world[k], actions[k], &error) != FW_OK) fail_msg("%s", error.text);
    }
    assert_true(seen > 200 && turning > 50);
    fw_world_close(world[0]);
    fw_world_close(world[1]);
}

/* What a shifted city shows: vans of ours, vehicles on the road, and the same again from the same seed. */
typedef struct shifted {
    uint32_t vans, drives, vehicles;
    fw_hash hash;
} shifted;

/* at_tick FROM_START: the world is opened so. */
enum { FROM_START = 1 << 30 };
static void run_shifted(const char *text, uint32_t at_tick, uint32_t ticks, shifted *out) {
    fw_world *world;
    fw_error error = {""};
    fw_conditions conditions = FW_CONDITIONS_MEASURED;
    assert_int_equal(fw_conditions_parse(text, fw_vehicles_builtin(), &conditions, &error), FW_OK);
    fw_world_config config = {.network = "acosta", .seed = 21, .cars = CARS};
    if (at_tick == FROM_START) config.conditions = conditions;
    if (fw_world_open(&config, &world, &error) != FW_OK) fail_msg("%s", error.text);
    memset(out, 0, sizeof *out);
    fw_sha256 *sum = fw_sha256_begin();
    uint32_t known[CARS] = {0};
    for (uint32_t tick = 0; tick < ticks; tick++) {
        fw_drive_action actions[CARS] = {{0}};
        if (tick == at_tick && fw_world_shift(world, &conditions, &error) != FW_OK) fail_msg("%s", error.text);
        for (uint32_t i = 0; i < CARS; i++) {
            const fw_drive_obs *o = fw_world_obs(world, i);
            if (!o) continue;
            check_observation(o);
            fw_sha256_add(sum, o, sizeof *o);
            if (o->drive != known[i]) {
                known[i] = o->drive;
                out->drives++;
                out->vans += o->length_m > 5.5f;
            }
            actions[i] = drive(o);
        }
        if (fw_world_step(world, actions, &error) != FW_OK) fail_msg("%s", error.text);
        fw_drive_result result;
        while (fw_world_take_result(world, &result)) continue;
    }
    for (uint32_t i = 0; i < world->city.vehicle_count; i++) out->vehicles += world->city.vehicles[i].used;
    out->hash = fw_sha256_end(sum);
    fw_world_close(world);
}

static void shifts_change_the_city_and_come_again(void **state) {
    (void)state;
    shifted measured, dense, again, vans;
    run_shifted("", TICKS, 250, &measured);
    run_shifted("demand 4, traffic 1", 10, 250, &dense);
    run_shifted("demand 4, traffic 1", 10, 250, &again);
    assert_int_equal(measured.vans, 0);
    assert_true(dense.vehicles > measured.vehicles + measured.vehicles / 20);
    assert_string_equal(dense.hash.hex, again.hash.hex);
    assert_string_not_equal(dense.hash.hex, measured.hash.hex);
    run_shifted("kind van:1", FROM_START, 20, &vans);
    assert_true(vans.drives >= CARS / 2 && vans.vans == vans.drives);
}

static void conditions_are_read_and_written(void **state) {
    (void)state;
    static const char *const wrong[] = {"demand", "demand 0", "demand 9", "demand 2x", "traffic -1", "left-hand",
                                        "left-hand maybe", "kind van", "kind van:2", "kind spaceship:0.5",
                                        "weather 1", "demand 2 3", "kind van:nan"};
    const fw_vehicles *kinds = fw_vehicles_builtin();
    fw_conditions c = FW_CONDITIONS_MEASURED, before;
    fw_error error = {""};
    char text[FW_CONDITIONS_TEXT_MAX];
    assert_int_equal(fw_conditions_parse(" demand 2,kind van:0.3 , left-hand on", kinds, &c, &error), FW_OK);
    assert_true(c.demand == 2 && c.kind_share == 0.3 && c.left_hand && c.traffic == 0);
    assert_string_equal(c.kind, "van");
    fw_conditions_write(&c, text);
    assert_string_equal(text, "demand 2, traffic 0, kind van:0.3, left-hand on");
    before = c;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(fw_conditions_parse(wrong[i], kinds, &c, &error), FW_INVALID);
        assert_memory_equal(&c, &before, sizeof c);
    }
    assert_int_equal(fw_conditions_parse("left-hand off, kind van:0", kinds, &c, &error), FW_OK);
    assert_true(!c.left_hand && !c.kind[0]);
}

static void bad_configs_are_refused(void **state) {
    (void)state;
    fw_world *world = NULL;
    fw_error error = {""};
    fw_world_config config = {.network = "atlantis", .seed = 1, .cars = 1};
    assert_int_equal(fw_world_open(&config, &world, &error), FW_INVALID);
    config = (fw_world_config){.network = "acosta", .cars = 0};
    assert_int_equal(fw_world_open(&config, &world, &error), FW_INVALID);
    config.cars = FW_WORLD_CARS_MAX + 1;
    assert_int_equal(fw_world_open(&config, &world, &error), FW_INVALID);
    config.cars = 1;
    assert_int_equal(setenv("FLYWHEEL_SUMO_SCENARIOS", "/nonexistent", 1), 0);
    assert_int_equal(fw_world_open(&config, &world, &error), FW_NOT_FOUND);
    assert_non_null(strstr(error.text, "apt-get install"));
    assert_int_equal(unsetenv("FLYWHEEL_SUMO_SCENARIOS"), 0);
    assert_null(world);
}

static bool sumo_is_there(void) {
    char path[512];
    return system("command -v sumo >/dev/null 2>&1") == 0 &&
           fw_city_net_path("acosta", path, sizeof path, NULL) == FW_OK;
}

int main(void) {
    if (!sumo_is_there()) {
        (void)fprintf(stderr, "skipped: sumo and sumo-tools are not installed\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_configs_are_refused),
        cmocka_unit_test(watched_drivers_and_a_killed_sumo),
        cmocka_unit_test(same_seed_same_city),
        cmocka_unit_test(left_hand_traffic_is_the_city_in_a_mirror),
        cmocka_unit_test(shifts_change_the_city_and_come_again),
        cmocka_unit_test(conditions_are_read_and_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
