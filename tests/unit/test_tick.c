/* The tick over a socketpair: answers, recordings, models between two ticks, a full ring. */
#include "support.h"

enum { UNIT = 7 };

typedef struct rig {
    fw_unit_shared *shared;
    fw_unit_tick *tick;
    int world, unit; /* the two ends */
    fw_hash model;
} rig;

static rig make_rig(void) {
    rig r = {.shared = make_shared()};
    int fds[2];
    fw_error error;
    fw_unit_tick_config config = {.unit = UNIT, .bus_path = "unused"};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    r.world = fds[0], r.unit = fds[1];
    assert_int_equal(fw_unit_tick_open(&config, r.shared, &r.tick, &error), FW_OK);
    assert_false(fw_unit_tick_take_model(r.tick));
    r.model = stage_rule(r.shared, FW_POLICY_CONSTANT);
    assert_true(fw_unit_tick_take_model(r.tick));
    return r;
}

static void drop_rig(rig *r) {
    fw_unit_tick_close(r->tick);
    close(r->world), close(r->unit);
    fw_unit_shared_free(r->shared);
}

static fw_bus_act one_tick(rig *r, uint32_t drive, uint32_t tick, fw_drive_action *action) {
    fw_drive_obs obs;
    fw_error error;
    straight_road(drive, tick, &obs);
    send_obs(r->world, UNIT, &obs);
    assert_int_equal(fw_unit_tick_once(r->tick, r->unit, 1000, &error), FW_OK);
    return take_act(r->world, action);
}

static fw_bus_act say(rig *r, fw_bus_kind kind, uint32_t tick) {
    fw_error error;
    assert_int_equal(fw_bus_send(r->world, kind, UNIT, tick, NULL, 0, &error), FW_OK);
    assert_int_equal(fw_unit_tick_once(r->tick, r->unit, 1000, &error), FW_OK);
    fw_bus_act act = take_act(r->world, NULL);
    assert_int_equal(act.acted, 0);
    return act;
}

static void test_every_observation_is_answered(void **state) {
    (void)state;
    rig r = make_rig();
    fw_drive_action action = {9, 9};
    for (uint32_t i = 0; i < 30; i++) {
        fw_bus_act act = one_tick(&r, 1, i, &action);
        assert_int_equal(act.acted, 1);
        assert_int_equal(act.recordings, 0);
        assert_string_equal(act.model.hex, r.model.hex);
        assert_true(action.accel_mps2 <= 3.0f && action.accel_mps2 >= -8.0f);
    }
    assert_int_equal(say(&r, FW_BUS_END, 30).recordings, 1);
    ring_recording file = take_recording(r.shared);
    assert_true(file.ended);
    assert_int_equal(file.ticks, 30);
    fw_mcap_info info;
    fw_error error;
    fw_status status = fw_mcap_validate_bytes(NULL, file.bytes, file.size_bytes, &info, &error);
    if (status != FW_OK) fail_msg("%s", error.text);
    assert_int_equal(info.channel_count, FW_DRIVE_CHANNEL_COUNT);
    assert_int_equal(info.metadata_count, 1);
    assert_true(info.message_count >= 30 * 5);
    fw_mcap_info_free(&info);
    free(file.bytes);
    drop_rig(&r);
}

static void test_flush_cuts_a_drive_into_two_recordings(void **state) {
    (void)state;
    rig r = make_rig();
    for (uint32_t i = 0; i < 10; i++) one_tick(&r, 1, i, NULL);
    assert_int_equal(say(&r, FW_BUS_FLUSH, 10).recordings, 1);
    assert_int_equal(say(&r, FW_BUS_FLUSH, 10).recordings, 1); /* nothing open: nothing more */
    for (uint32_t i = 10; i < 15; i++) one_tick(&r, 1, i, NULL);
    for (uint32_t i = 15; i < 18; i++) one_tick(&r, 2, i, NULL); /* a new drive, END lost */
    assert_int_equal(say(&r, FW_BUS_END, 18).recordings, 3);
    const uint32_t ticks[] = {10, 5, 3};
    for (int i = 0; i < 3; i++) {
        ring_recording file = take_recording(r.shared);
        assert_true(file.ended);
        assert_int_equal(file.ticks, ticks[i]);
        assert_int_equal(
            fw_mcap_validate_bytes(NULL, file.bytes, file.size_bytes, NULL, NULL), FW_OK);
        free(file.bytes);
    }
    drop_rig(&r);
}

static void test_a_jump_on_the_route_starts_a_new_recording(void **state) {
    (void)state;
    rig r = make_rig();
    for (uint32_t i = 0; i < 5; i++) one_tick(&r, 1, i, NULL);
    for (uint32_t i = 400; i < 405; i++) one_tick(&r, 1, i, NULL); /* 316 m further on */
    assert_int_equal(one_tick(&r, 1, 405, NULL).recordings, 1);
    for (uint32_t i = 300; i < 303; i++) one_tick(&r, 1, i, NULL); /* time goes back */
    assert_int_equal(say(&r, FW_BUS_END, 303).recordings, 3);
    drop_rig(&r);
}

static void test_one_tick_makes_no_recording(void **state) {
    (void)state;
    rig r = make_rig();
    one_tick(&r, 1, 0, NULL);
    assert_int_equal(say(&r, FW_BUS_END, 1).recordings, 0);
    ring_recording file = take_recording(r.shared);
    assert_true(file.dropped);
    free(file.bytes);
    assert_int_equal(fw_unit_lost_bytes(r.shared), 0);
    drop_rig(&r);
}

static void test_same_observations_same_bytes(void **state) {
    (void)state;
    ring_recording files[2];
    for (int round = 0; round < 2; round++) {
        rig r = make_rig();
        if (round == 1) { /* another history before it changes nothing */
            for (uint32_t i = 0; i < 7; i++) one_tick(&r, 8, i, NULL);
            say(&r, FW_BUS_END, 7);
            free(take_recording(r.shared).bytes);
        }
        for (uint32_t i = 100; i < 150; i++) one_tick(&r, 3, i, NULL);
        say(&r, FW_BUS_FLUSH, 150);
        files[round] = take_recording(r.shared);
        drop_rig(&r);
    }
    assert_int_equal(files[0].size_bytes, files[1].size_bytes);
    assert_memory_equal(files[0].bytes, files[1].bytes, files[0].size_bytes);
    free(files[0].bytes), free(files[1].bytes);
}

static void test_models_change_between_two_ticks(void **state) {
    (void)state;
    rig r = make_rig();
    assert_string_equal(one_tick(&r, 1, 0, NULL).model.hex, r.model.hex);
    fw_hash next = stage_rule(r.shared, FW_POLICY_IDM);
    assert_string_not_equal(next.hex, r.model.hex);
    assert_string_equal(one_tick(&r, 1, 1, NULL).model.hex, next.hex);
    assert_int_equal(atomic_load(&r.shared->model_active), 2);
    fw_hash third = stage_rule(r.shared, FW_POLICY_CONSTANT);
    assert_string_equal(one_tick(&r, 1, 2, NULL).model.hex, third.hex);
    fw_hash network = stage_network(r.shared, 7), other = stage_network(r.shared, 8);
    assert_string_not_equal(network.hex, other.hex);
    for (uint32_t i = 3; i < 10; i++)
        assert_string_equal(one_tick(&r, 1, i, NULL).model.hex, other.hex);
    assert_int_equal(atomic_load(&r.shared->model_active), 5);
    drop_rig(&r);
}

static void test_a_bent_model_is_refused_and_the_old_one_drives_on(void **state) {
    (void)state;
    rig r = make_rig();
    one_tick(&r, 1, 0, NULL);
    stage_rule(r.shared, FW_POLICY_IDM);
    r.shared->models.slots[0].bytes[3] ^= 1; /* sequence 2 */
    assert_string_equal(one_tick(&r, 1, 1, NULL).model.hex, r.model.hex);
    assert_int_equal(atomic_load(&r.shared->model_refused), 2);
    assert_int_equal(atomic_load(&r.shared->model_active), 1);
    fw_hash good = stage_rule(r.shared, FW_POLICY_IDM);
    assert_string_equal(one_tick(&r, 1, 2, NULL).model.hex, good.hex);
    drop_rig(&r);
}

static void test_a_full_ring_costs_the_recording_and_is_counted(void **state) {
    (void)state;
    rig r = make_rig();
    static uint8_t junk[FW_UNIT_PIECE_MAX];
    fw_unit_piece filler = {.kind = FW_UNIT_PIECE_BYTES, .size_bytes = sizeof junk - 200};
    while (fw_unit_ring_put(&r.shared->ring, &filler, junk)) continue;
    filler.size_bytes = 1; /* leave less than a file's head */
    while (fw_unit_ring_put(&r.shared->ring, &filler, junk)) continue;
    for (uint32_t i = 0; i < 40; i++) assert_int_equal(one_tick(&r, 1, i, NULL).acted, 1);
    fw_bus_act act = say(&r, FW_BUS_END, 40);
    assert_int_equal(act.recordings, 0);
    assert_true(act.lost_bytes > 500);
    fw_unit_piece piece;
    while (fw_unit_ring_peek(&r.shared->ring, &piece, junk)) {
        assert_true(piece.kind != FW_UNIT_PIECE_END);
        fw_unit_ring_pop(&r.shared->ring, &piece);
    }
    for (uint32_t i = 50; i < 60; i++) one_tick(&r, 2, i, NULL); /* room again: works again */
    assert_int_equal(say(&r, FW_BUS_END, 60).recordings, 1);
    ring_recording file = take_recording(r.shared);
    assert_int_equal(fw_mcap_validate_bytes(NULL, file.bytes, file.size_bytes, NULL, NULL), FW_OK);
    free(file.bytes);
    drop_rig(&r);
}

static void test_a_world_that_breaks_the_form_is_cut_off(void **state) {
    (void)state;
    rig r = make_rig();
    fw_error error;
    uint8_t junk[100] = {1};
    fw_drive_obs obs;
    straight_road(1, 0, &obs);
    assert_int_equal(fw_bus_send(r.world, FW_BUS_OBSERVE, UNIT, 0, junk, sizeof junk, &error), FW_OK);
    assert_int_equal(fw_unit_tick_once(r.tick, r.unit, 1000, &error), FW_CORRUPT);
    send_obs(r.world, UNIT + 1, &obs);
    assert_int_equal(fw_unit_tick_once(r.tick, r.unit, 1000, &error), FW_CORRUPT);
    assert_int_equal(fw_bus_send(r.world, FW_BUS_HELLO, UNIT, 0, NULL, 0, &error), FW_OK);
    assert_int_equal(fw_unit_tick_once(r.tick, r.unit, 1000, &error), FW_CORRUPT);
    assert_int_equal(fw_unit_tick_once(r.tick, r.unit, 10, &error), FW_TIMEOUT);
    close(r.world);
    assert_int_equal(fw_unit_tick_once(r.tick, r.unit, 1000, &error), FW_CLOSED);
    r.world = dup(0);
    drop_rig(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_observation_is_answered),
        cmocka_unit_test(test_flush_cuts_a_drive_into_two_recordings),
        cmocka_unit_test(test_a_jump_on_the_route_starts_a_new_recording),
        cmocka_unit_test(test_one_tick_makes_no_recording),
        cmocka_unit_test(test_same_observations_same_bytes),
        cmocka_unit_test(test_models_change_between_two_ticks),
        cmocka_unit_test(test_a_bent_model_is_refused_and_the_old_one_drives_on),
        cmocka_unit_test(test_a_full_ring_costs_the_recording_and_is_counted),
        cmocka_unit_test(test_a_world_that_breaks_the_form_is_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
