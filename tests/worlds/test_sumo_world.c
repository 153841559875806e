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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
