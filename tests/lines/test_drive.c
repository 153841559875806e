/* The driving line's messages and boxes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "lines/driving/act/drive.h"

static fw_drive_obs sample(void) {
    fw_drive_obs o;
    memset(&o, 0, sizeof o);
    o.drive = 3, o.tick = 17, o.time_ns = -1700000000;
    o.x_m = 1.5f, o.y_m = -2.5f, o.yaw_rad = 0.25f, o.speed_mps = 9;
    o.length_m = 4.5f, o.width_m = 1.8f, o.rear_overhang_m = 0.9f, o.s_m = 10;
    o.light = FW_DRIVE_LIGHT_RED, o.light_s_m = 44, o.route_left_m = 321;
    o.path_first = 2, o.path_count = 5, o.user_count = 3, o.conflict_count = 2;
    for (uint32_t i = 0; i < o.path_count; i++)
        o.path[i] =
            (fw_drive_point){.x_m = (float)i, .y_m = 1, .width_m = 3.2f, .limit_mps = 13.9f};
    for (uint32_t i = 0; i < o.user_count; i++)
        o.users[i] = (fw_drive_user){.id = i, .lane = UINT32_MAX, .x_m = (float)i, .length_m = 4};
    o.conflicts[0] =
        (fw_drive_conflict){.user = 2, .kind = FW_DRIVE_CONFLICT_CHANGE, .must_yield = 1};
    o.conflicts[1] = (fw_drive_conflict){.user = 0, .enter_s_m = 9, .foe_enter_m = -3};
    return o;
}

static void round_trip_keeps_every_field(void **state) {
    (void)state;
    fw_drive_obs in = sample(), out;
    uint8_t wire[FW_DRIVE_OBS_WIRE_MAX];
    size_t size = fw_drive_obs_encode(&in, wire);
    assert_int_equal(size, 88 + 5 * 16 + 3 * 32 + 2 * 28);
    assert_int_equal(wire[0], 3); /* little endian */
    assert_int_equal(fw_drive_obs_decode(wire, size, &out, NULL), FW_OK);
    assert_memory_equal(&in, &out, sizeof in);
}

static void full_message_fits(void **state) {
    (void)state;
    fw_drive_obs in = sample(), out;
    in.path_count = FW_DRIVE_PATH_MAX, in.user_count = FW_DRIVE_USERS_MAX;
    in.conflict_count = FW_DRIVE_CONFLICTS_MAX;
    uint8_t wire[FW_DRIVE_OBS_WIRE_MAX];
    size_t size = fw_drive_obs_encode(&in, wire);
    assert_int_equal(size, FW_DRIVE_OBS_WIRE_MAX);
    assert_int_equal(fw_drive_obs_decode(wire, size, &out, NULL), FW_OK);
}

static void every_other_length_is_refused(void **state) {
    (void)state;
    fw_drive_obs in = sample(), out;
    uint8_t *wire = malloc(FW_DRIVE_OBS_WIRE_MAX + 8);
    size_t size = fw_drive_obs_encode(&in, wire);
    fw_error error;
    for (size_t n = 0; n < size + 8; n++) {
        if (n == size) continue;
        uint8_t *exact = malloc(n ? n : 1); /* asan sees a read past the end */
        memcpy(exact, wire, n < size ? n : size);
        if (n > size) memset(exact + size, 0, n - size);
        assert_int_equal(fw_drive_obs_decode(exact, n, &out, &error), FW_CORRUPT);
        free(exact);
    }
    free(wire);
}

static void refused(fw_drive_obs bad, const char *word) {
    uint8_t wire[FW_DRIVE_OBS_WIRE_MAX];
    fw_drive_obs out;
    fw_error error;
    size_t size = fw_drive_obs_encode(&bad, wire);
    assert_int_equal(fw_drive_obs_decode(wire, size, &out, &error), FW_CORRUPT);
    assert_non_null(strstr(error.text, word));
}

static void hostile_values_are_refused(void **state) {
    (void)state;
    fw_drive_obs o = sample();
    o.speed_mps = NAN;
    refused(o, "finite");
    o = sample(), o.light_s_m = INFINITY;
    refused(o, "finite");
    o = sample(), o.path[4].limit_mps = NAN;
    refused(o, "finite");
    o = sample(), o.users[2].width_m = NAN;
    refused(o, "finite");
    o = sample(), o.conflicts[1].foe_exit_m = -INFINITY;
    refused(o, "finite");
    o = sample(), o.light = 4;
    refused(o, "light");
    o = sample(), o.conflicts[0].kind = 3;
    refused(o, "kind");
    o = sample(), o.conflicts[0].must_yield = 2;
    refused(o, "must_yield");

    uint8_t wire[FW_DRIVE_OBS_WIRE_MAX];
    fw_drive_obs in = sample(), out;
    size_t size = fw_drive_obs_encode(&in, wire);
    const uint32_t huge = UINT32_MAX, one_past = 3;
    for (size_t word = 19; word < 22; word++) { /* the three counts */
        fw_drive_obs_encode(&in, wire);
        memcpy(wire + 4 * word, &huge, 4);
        assert_int_equal(fw_drive_obs_decode(wire, size, &out, NULL), FW_CORRUPT);
    }
    fw_drive_obs_encode(&in, wire);
    memcpy(wire + 88 + 5 * 16 + 3 * 32, &one_past, 4); /* conflicts[0].user */
    assert_int_equal(fw_drive_obs_decode(wire, size, &out, NULL), FW_CORRUPT);
}

static void random_bytes_never_break_the_invariants(void **state) {
    (void)state;
    fw_random r = fw_random_named(5, "test/drive");
    fw_drive_obs in = sample(), out;
    uint8_t wire[FW_DRIVE_OBS_WIRE_MAX];
    size_t size = fw_drive_obs_encode(&in, wire);
    for (int i = 0; i < 20000; i++) {
        fw_drive_obs_encode(&in, wire);
        wire[fw_random_below(&r, (uint32_t)size)] = (uint8_t)fw_random_u32(&r);
        wire[fw_random_below(&r, (uint32_t)size)] = (uint8_t)fw_random_u32(&r);
        if (fw_drive_obs_decode(wire, size, &out, NULL) != FW_OK) continue;
        assert_true(out.path_count <= FW_DRIVE_PATH_MAX && isfinite(out.x_m));
        for (uint32_t c = 0; c < out.conflict_count; c++)
            assert_true(out.conflicts[c].user < out.user_count);
    }
}

static void boxes(void **state) {
    (void)state;
    const float q = (float)M_PI / 4;
    assert_true(fw_drive_boxes_overlap(0, 0, 0, 4, 2, 3.9f, 0, 0, 4, 2));
    assert_false(fw_drive_boxes_overlap(0, 0, 0, 4, 2, 4.1f, 0, 0, 4, 2));
    assert_true(fw_drive_boxes_overlap(0, 0, 0, 4, 2, 0, 1.9f, 0, 4, 2));
    assert_false(fw_drive_boxes_overlap(0, 0, 0, 4, 2, 0, 2.1f, 0, 4, 2));
    /* a diamond's corner past a corner: only the diamond's own axis tells them apart */
    assert_false(fw_drive_boxes_overlap(0, 0, 0, 4, 4, 3, 3, q, 2.6f, 2.6f));
    assert_true(fw_drive_boxes_overlap(0, 0, 0, 4, 4, 2.8f, 2.8f, q, 2.6f, 2.6f));
    assert_true(fw_drive_boxes_overlap(0, 0, 0.3f, 12, 2.5f, 0, 0, 2, 1, 1)); /* inside */
    for (int i = 0; i < 64; i++) {                                            /* symmetric */
        const float t = (float)i * 0.1f, d = 2 + 0.05f * (float)i;
        assert_int_equal(fw_drive_boxes_overlap(0, 0, 0.2f, 4, 2, d, 1, t, 5, 1.8f),
                         fw_drive_boxes_overlap(d, 1, t, 5, 1.8f, 0, 0, 0.2f, 4, 2));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip_keeps_every_field),
        cmocka_unit_test(full_message_fits),
        cmocka_unit_test(every_other_length_is_refused),
        cmocka_unit_test(hostile_values_are_refused),
        cmocka_unit_test(random_bytes_never_break_the_invariants),
        cmocka_unit_test(boxes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
