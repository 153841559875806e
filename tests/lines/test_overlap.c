/* Which scenes show the same people: in any frame, at any hour, and nobody who only drives alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lines/driving/learn/scenario/overlap.h"
#include "synthetic_scene.h"

enum { STEPS = 60 };

/* A car whose speed nobody else has: `who` decides. Seen from tick `from` of its drive on. */
static void add_car(fw_scene *s, unsigned who, uint32_t from, double turn_rad, double shift_m) {
    double way = 30.0 * who;
    synthetic_car(s);
    s->objects[s->object_count - 1].length_m = 4 + 0.25 * (who % 4);
    for (uint32_t i = 0; i < from + STEPS; i++) {
        way += 0.1 * (10 + 2 * sin(0.31 * i + who) + sin(0.173 * i * (1 + 0.1 * who)));
        if (i < from) continue;
        double x = way, y = 3.5 * (who % 3);
        synthetic_state(s, i - from, shift_m + x * cos(turn_rad) - y * sin(turn_rad), x * sin(turn_rad) + y * cos(turn_rad),
                        turn_rad, 10);
    }
}

/* Three cars, `who` and the next two. */
static fw_scene *scene_of(unsigned who, uint32_t from, double turn_rad, double shift_m) {
    fw_scene *s = synthetic_scene(1, 3, STEPS);
    for (unsigned k = 0; k < 3; k++) add_car(s, who + k, from, turn_rad, shift_m);
    return s;
}

static void expect_joined(fw_scene **scenes, uint32_t count, const uint32_t *wanted) {
    fw_overlap *overlap = NULL;
    fw_error error = {""};
    uint32_t first[8];
    assert_int_equal(fw_overlap_new(&overlap, &error), FW_OK);
    for (uint32_t i = 0; i < count; i++) {
        first[i] = i;
        assert_int_equal(fw_overlap_add(overlap, scenes[i], &error), FW_OK);
        fw_scene_free(scenes[i]);
    }
    assert_int_equal(fw_overlap_join(overlap, first, &error), FW_OK);
    for (uint32_t i = 0; i < count; i++) assert_int_equal(first[i], wanted[i]);
    fw_overlap_free(overlap);
}

static void another_frame_and_hour(void **state) {
    (void)state;
    fw_scene *scenes[] = {scene_of(0, 0, 0, 0), scene_of(10, 0, 0, 0), scene_of(0, 17, 0.7, -123.4)};
    expect_joined(scenes, 3, (const uint32_t[]){0, 1, 0});
}

/* Cars 2 and 3 are in the first and the second, 4 and 5 in the second and the third. */
static void followed_through(void **state) {
    (void)state;
    fw_scene *a = synthetic_scene(1, 4, STEPS), *b = synthetic_scene(1, 4, STEPS), *c = synthetic_scene(1, 4, STEPS);
    for (unsigned k = 0; k < 4; k++) {
        add_car(a, k, 9, 0.2, 5);
        add_car(b, 2 + k, 0, 0, 0);
        add_car(c, 4 + k, 3, -1, 70);
    }
    fw_scene *scenes[] = {c, scene_of(20, 0, 0, 0), b, a};
    expect_joined(scenes, 4, (const uint32_t[]){0, 1, 0, 0});
}

/* One car alone may be chance; two at different times are no moment in common. */
static void not_enough(void **state) {
    (void)state;
    fw_scene *one = synthetic_scene(1, 2, STEPS), *apart = synthetic_scene(1, 2, STEPS);
    add_car(one, 0, 0, 0, 0), add_car(one, 30, 0, 0, 0);
    add_car(apart, 0, 5, 0, 0), add_car(apart, 1, 12, 0, 0);
    fw_scene *scenes[] = {scene_of(0, 0, 0, 0), one, apart};
    expect_joined(scenes, 3, (const uint32_t[]){0, 1, 2});
}

/* Constant speeds, gaps in a track, nobody at all. */
static void says_nothing(void **state) {
    (void)state;
    fw_scene *gaps = scene_of(0, 0, 0, 0), *whole = scene_of(0, 0, 0, 0), *empty = synthetic_scene(1, 1, STEPS);
    for (uint32_t i = 0; i < gaps->state_count; i++) gaps->states[i].step *= 2;
    fw_scene *scenes[] = {synthetic_street(STEPS), synthetic_street(STEPS), gaps, whole, empty};
    expect_joined(scenes, 5, (const uint32_t[]){0, 1, 2, 3, 4});
    expect_joined(NULL, 0, NULL);
}

/* What the caller joined stays joined, and what overlaps with either of them comes along. */
static void with_what_was_joined(void **state) {
    (void)state;
    fw_overlap *overlap = NULL;
    fw_scene *scenes[] = {scene_of(0, 0, 0, 0), scene_of(10, 0, 0, 0), scene_of(10, 8, 1, 2)};
    uint32_t first[] = {0, 0, 2};
    assert_int_equal(fw_overlap_new(&overlap, NULL), FW_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fw_overlap_add(overlap, scenes[i], NULL), FW_OK);
        fw_scene_free(scenes[i]);
    }
    assert_int_equal(fw_overlap_join(overlap, first, NULL), FW_OK);
    for (int i = 0; i < 3; i++) assert_int_equal(first[i], 0);
    fw_overlap_free(overlap);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_frame_and_hour), cmocka_unit_test(followed_through), cmocka_unit_test(not_enough),
        cmocka_unit_test(says_nothing),           cmocka_unit_test(with_what_was_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
