/* The guard: each rule on both sides of each of its boundaries, with the braking it asks for; and, whatever
 * numbers come in, that it only ever lowers the acceleration.
 *
 * Boundaries lie so close to a figure of the table that a figure 20 % off fails here (guard_mutants.sh).
 * FLYWHEEL_ROUNDS=N: so many random scenes instead of 100,000. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../nn/seed.h"
#include "base/random.h"
#include "lines/driving/act/guard.h"

/* A scene by hand: on a straight, free street of 3.2 m lanes in a car of 5 x 1.8 m, at 10 m/s. */
typedef struct hand {
    fw_drive_scene scene;
    fw_drive_view view;
    fw_drive_neighbour user;
} hand;

typedef struct situation {
    const char *name;
    fw_guard_veto wanted;
    float accel_mps2; /* wanted of the guard */
    float speed_mps;  /* 0: 10; negative: none */
    float asked_mps2; /* by the policy */
    float was_mps2;   /* carried out before */
    fw_drive_leader leader;
    fw_drive_light light;
    float light_m;
    bool light_is_past;
    int bend; /* preview that has a curvature */
    float curvature_pm, lane_m;
    fw_drive_meeting meeting;
    bool meets;
    struct {
        bool exists;
        float forward_m, left_m, cos_turn, sin_turn;
    } box; /* of 5 x 1.8 m */
} situation;

static void set(hand *h, const situation *s) {
    memset(h, 0, sizeof *h);
    h->scene.speed_mps = s->speed_mps < 0 ? 0 : s->speed_mps > 0 ? s->speed_mps : 10;
    h->scene.accel_mps2 = s->was_mps2;
    h->scene.length_m = 5, h->scene.width_m = 1.8f, h->scene.rear_overhang_m = 1;
    h->scene.users = &h->user;
    h->user = (fw_drive_neighbour){.length_m = 5, .width_m = 1.8f};
    h->view.leader = s->leader;
    h->view.light = s->light, h->view.light_m = s->light_m;
    h->view.light_matters = s->light != FW_DRIVE_LIGHT_NONE && !s->light_is_past;
    for (int k = 0; k < FW_DRIVE_PREVIEWS; k++) h->view.lane_m[k] = s->lane_m > 0 ? s->lane_m : 3.2f;
    h->view.curvature_pm[s->bend] = s->curvature_pm;
    h->view.meetings[0] = s->meeting, h->view.meeting_count = s->meets;
    h->view.user_count = h->scene.user_count = s->box.exists;
    h->view.users.forward_m[0] = s->box.forward_m, h->view.users.left_m[0] = s->box.left_m;
    h->view.users.cos_turn[0] = s->box.cos_turn, h->view.users.sin_turn[0] = s->box.sin_turn;
}

static void check(const situation *s, size_t count) {
    for (size_t i = 0; i < count; i++) {
        hand h;
        set(&h, &s[i]);
        fw_drive_action action = {s[i].asked_mps2, 0.01f};
        fw_guard_veto veto = fw_guard(&h.scene, &h.view, &action);
        if (veto != s[i].wanted)
            fail_msg("%s: rule %s, not %s", s[i].name, fw_guard_veto_name(veto),
                     fw_guard_veto_name(s[i].wanted));
        float accel = veto == FW_GUARD_NONE ? s[i].asked_mps2 : s[i].accel_mps2;
        if (!(fabsf(action.accel_mps2 - accel) < 1e-3f))
            fail_msg("%s: %g m/s2, not %g", s[i].name, (double)action.accel_mps2, (double)accel);
        assert_true(action.curvature_pm == 0.01f);
    }
}

#define CHECK(cases) check(cases, sizeof(cases) / sizeof *(cases))

static void test_leader(void **state) {
    (void)state;
    static const situation cases[] = {
        {"a free street", FW_GUARD_NONE, .asked_mps2 = 2},
        {"no leader, whatever its gap", FW_GUARD_NONE, .leader = {false, 3, 0}},
        {"standing, 17.4 m", FW_GUARD_NONE, .leader = {true, 17.4f, 0}},
        {"standing, 17.2 m", FW_GUARD_LEADER, -3.0305f, .leader = {true, 17.2f, 0}},
        {"standing, 8 m: all there is", FW_GUARD_LEADER, -8, .leader = {true, 8, 0}},
        {"driving, 14.3 m", FW_GUARD_NONE, .leader = {true, 14.3f, 6}},
        {"driving, 14.2 m", FW_GUARD_LEADER, -3.0305f, .leader = {true, 14.2f, 6}},
        {"let go at last", FW_GUARD_NONE, .was_mps2 = -2.1f, .leader = {true, 28.05f, 0}},
        {"not let go", FW_GUARD_LEADER, -2, .was_mps2 = -2.1f, .leader = {true, 27.9f, 0}},
        {"hardly braking", FW_GUARD_NONE, .was_mps2 = -1.9f, .leader = {true, 27.9f, 0}},
        {"braking already", FW_GUARD_NONE, .asked_mps2 = -4, .leader = {true, 14, 0}},
        {"braking too little", FW_GUARD_LEADER, -3.4679f, .asked_mps2 = -3, .leader = {true, 15.4f, 0}},
        {"standing still", FW_GUARD_NONE, .speed_mps = -1, .leader = {true, 0.5f, 0}},
        {"starting into it", FW_GUARD_LEADER, -2, .speed_mps = -1, .asked_mps2 = 2, .leader = {true, 0.9f, 0}},
        {"time to collision 0.82 s", FW_GUARD_NONE, .speed_mps = 3, .leader = {true, 3.05f, 0}},
        {"time to collision 0.78 s", FW_GUARD_LEADER, -2, .speed_mps = 3, .leader = {true, 2.95f, 0}},
        {"both moving, in time", FW_GUARD_NONE, .speed_mps = 3, .leader = {true, 2.955f, 0.05f}},
        {"both moving, not in time", FW_GUARD_LEADER, -2, .speed_mps = 3, .leader = {true, 2.945f, 0.05f}},
        {"much less than that", FW_GUARD_LEADER, -3.9478f, .speed_mps = 3, .leader = {true, 2.2f, 0}},
    };
    CHECK(cases);
}

static void test_lights(void **state) {
    (void)state;
    static const situation cases[] = {
        {"red, 16.5 m", FW_GUARD_NONE, .light = FW_DRIVE_LIGHT_RED, .light_m = 16.5f},
        {"red, 16.47 m", FW_GUARD_RED_LIGHT, -3.0157f, .light = FW_DRIVE_LIGHT_RED, .light_m = 16.47f},
        {"green", FW_GUARD_NONE, .light = FW_DRIVE_LIGHT_GREEN, .light_m = 10},
        {"none", FW_GUARD_NONE, .light = FW_DRIVE_LIGHT_NONE, .light_m = 10},
        {"of no matter", FW_GUARD_NONE, .light = FW_DRIVE_LIGHT_RED, .light_m = 10, .light_is_past = true},
        {"passed", FW_GUARD_NONE, .light = FW_DRIVE_LIGHT_RED, .light_m = -0.3f},
        {"red, at the last moment", FW_GUARD_RED_LIGHT, -8, .light = FW_DRIVE_LIGHT_RED, .light_m = 6.5f},
        {"red, too late", FW_GUARD_NONE, .light = FW_DRIVE_LIGHT_RED, .light_m = 6.4f},
        {"yellow, to be kept", FW_GUARD_RED_LIGHT, -4.0720f, .light = FW_DRIVE_LIGHT_YELLOW, .light_m = 12.75f},
        {"yellow, too late", FW_GUARD_NONE, .light = FW_DRIVE_LIGHT_YELLOW, .light_m = 12.65f},
        {"yellow, braking for it", FW_GUARD_RED_LIGHT, -4.1107f, .was_mps2 = -2.1f,
         .light = FW_DRIVE_LIGHT_YELLOW, .light_m = 12.65f},
        {"red, pulling off at the line", FW_GUARD_RED_LIGHT, -2, .speed_mps = -1, .asked_mps2 = 2,
         .light = FW_DRIVE_LIGHT_RED, .light_m = 0.2f},
    };
    CHECK(cases);
}

static void test_corridor(void **state) {
    (void)state;
    static const situation cases[] = {
        {"bend in 10 m", FW_GUARD_NONE, .bend = 5, .curvature_pm = 0.0726f},
        {"a tighter one", FW_GUARD_CORRIDOR, -2.6353f, .bend = 5, .curvature_pm = 0.0728f},
        {"to the right", FW_GUARD_CORRIDOR, -2.6353f, .bend = 5, .curvature_pm = -0.0728f},
        {"wide in a narrow lane", FW_GUARD_NONE, .bend = 5, .curvature_pm = 0.0450f, .lane_m = 2.4f},
        {"tight in a narrow lane", FW_GUARD_CORRIDOR, -2.6399f, .bend = 5, .curvature_pm = 0.0452f, .lane_m = 2.4f},
        {"wide in a lane too narrow", FW_GUARD_NONE, .bend = 5, .curvature_pm = 0.0150f, .lane_m = 1.7f},
        {"tight in a lane too narrow", FW_GUARD_CORRIDOR, -2.6369f, .bend = 5, .curvature_pm = 0.01505f,
         .lane_m = 1.7f},
        {"in the bend", FW_GUARD_NONE, .speed_mps = 4.41f, .curvature_pm = 0.2f},
        {"in the bend, faster", FW_GUARD_CORRIDOR, -2, .speed_mps = 4.42f, .curvature_pm = 0.2f},
        {"in the bend, pulling off", FW_GUARD_CORRIDOR, -2, .speed_mps = 4, .asked_mps2 = 3, .curvature_pm = 0.2f},
        {"the last preview", FW_GUARD_NONE, .speed_mps = 16, .bend = FW_DRIVE_PREVIEWS - 1, .curvature_pm = 0.25f},
        {"the last preview, faster", FW_GUARD_CORRIDOR, -3.3729f, .speed_mps = 18, .bend = FW_DRIVE_PREVIEWS - 1,
         .curvature_pm = 0.25f},
    };
    CHECK(cases);
}

/* A foe at 10 m/s whose time in the zone is ours. */
#define FOE .foe_speed_mps = 10, .foe_enter_m = 15, .foe_clear_m = 25
#define ZONE(enter) .enter_m = enter, .clear_m = enter + 10.5f

static void test_zones_to_yield(void **state) {
    (void)state;
    static const situation cases[] = {
        {"16.6 m", FW_GUARD_NONE, .meets = true, .meeting = {.must_yield = true, ZONE(16.6f), FOE}},
        {"16.57 m", FW_GUARD_ZONE, -3.0157f, .meets = true, .meeting = {.must_yield = true, ZONE(16.57f), FOE}},
        {"nobody", FW_GUARD_NONE, .meeting = {.must_yield = true, ZONE(15), FOE}},
        {"it yields", FW_GUARD_NONE, .meets = true, .meeting = {ZONE(15), FOE}},
        {"still to stop", FW_GUARD_ZONE, -6.6839f, .meets = true, .meeting = {.must_yield = true, ZONE(8.7f), FOE}},
        {"too late to stop", FW_GUARD_NONE, .meets = true, .meeting = {.must_yield = true, ZONE(8.6f), FOE}},
        {"it has left", FW_GUARD_NONE, .meets = true,
         .meeting = {.must_yield = true, ZONE(16.3f), .foe_speed_mps = 10, .foe_enter_m = -0.2f, .foe_clear_m = 7.95f}},
        {"it has hardly left", FW_GUARD_ZONE, -2, .meets = true,
         .meeting = {.must_yield = true, ZONE(16.3f), .foe_speed_mps = 10, .foe_enter_m = -0.2f, .foe_clear_m = 8.1f}},
        {"we have left", FW_GUARD_NONE, .meets = true,
         .meeting = {.must_yield = true, ZONE(16.3f), .foe_speed_mps = 10, .foe_enter_m = 31.7f, .foe_clear_m = 42}},
        {"we have hardly left", FW_GUARD_ZONE, -3.0736f, .meets = true,
         .meeting = {.must_yield = true, ZONE(16.3f), .foe_speed_mps = 10, .foe_enter_m = 31.4f, .foe_clear_m = 42}},
        {"it waits at 0.45 m/s", FW_GUARD_NONE, .meets = true,
         .meeting = {.must_yield = true, ZONE(16.3f), .foe_speed_mps = 0.45f, .foe_enter_m = 1, .foe_clear_m = 5}},
        {"it comes at 0.55 m/s", FW_GUARD_ZONE, -3.0736f, .meets = true,
         .meeting = {.must_yield = true, ZONE(16.3f), .foe_speed_mps = 0.55f, .foe_enter_m = 1, .foe_clear_m = 5}},
    };
    CHECK(cases);
}

static void test_zones_taken(void **state) {
    (void)state;
    static const situation cases[] = {
        {"a nose in", FW_GUARD_NONE, .meets = true, .meeting = {ZONE(16.3f), .foe_enter_m = -0.45f, .foe_clear_m = 5}},
        {"standing in", FW_GUARD_ZONE, -3.0736f, .meets = true,
         .meeting = {ZONE(16.3f), .foe_enter_m = -0.55f, .foe_clear_m = 5}},
        {"standing in, we yield", FW_GUARD_ZONE, -3.0736f, .meets = true,
         .meeting = {.must_yield = true, ZONE(16.3f), .foe_enter_m = -0.55f, .foe_clear_m = 5}},
        {"driving out slowly", FW_GUARD_ZONE, -3.0736f, .meets = true,
         .meeting = {ZONE(16.3f), .foe_speed_mps = 1, .foe_enter_m = -0.55f, .foe_clear_m = 5}},
        {"driving out in time", FW_GUARD_NONE, .meets = true,
         .meeting = {ZONE(16.3f), .foe_speed_mps = 10, .foe_enter_m = -1, .foe_clear_m = 2}},
        {"pulling off into it", FW_GUARD_ZONE, -2, .speed_mps = -1, .asked_mps2 = 2, .meets = true,
         .meeting = {ZONE(-0.45f), .foe_enter_m = -1, .foe_clear_m = 5}},
        {"with our nose in", FW_GUARD_NONE, .speed_mps = -1, .asked_mps2 = 2, .meets = true,
         .meeting = {ZONE(-0.55f), .foe_enter_m = -1, .foe_clear_m = 5}},
    };
    CHECK(cases);
}

#define CREEPING .speed_mps = -1, .asked_mps2 = 2

static void test_creep(void **state) {
    (void)state;
    static const situation cases[] = {
        {"0.45 m ahead", FW_GUARD_NONE, CREEPING, .box = {true, 5.45f, 0, 1, 0}},
        {"0.35 m ahead", FW_GUARD_CREEP, -2, CREEPING, .box = {true, 5.35f, 0, 1, 0}},
        {"facing us", FW_GUARD_CREEP, -2, CREEPING, .box = {true, 5.35f, 0, -1, 0}},
        {"a corner ahead", FW_GUARD_CREEP, -2, CREEPING, .box = {true, 5.35f, 1.75f, 1, 0}},
        {"a corner ahead, right", FW_GUARD_CREEP, -2, CREEPING, .box = {true, 5.35f, -1.75f, 1, 0}},
        {"beside, ahead", FW_GUARD_NONE, CREEPING, .box = {true, 5.35f, -1.85f, 1, 0}},
        {"beside us", FW_GUARD_NONE, CREEPING, .box = {true, 2.4f, 0, 1, 0}},
        {"across, near", FW_GUARD_CREEP, -2, CREEPING, .box = {true, 3.75f, 0, 0, 1}},
        {"across, far", FW_GUARD_NONE, CREEPING, .box = {true, 3.85f, 0, 0, -1}},
        {"across, its front ahead", FW_GUARD_CREEP, -2, CREEPING, .box = {true, 3.7f, 3.3f, 0, -1}},
        {"across, its front beside", FW_GUARD_NONE, CREEPING, .box = {true, 3.7f, 3.5f, 0, -1}},
        {"at 0.95 m/s", FW_GUARD_CREEP, -8, .speed_mps = 0.95f, .box = {true, 5.35f, 0, 1, 0}},
        {"at 1.05 m/s", FW_GUARD_NONE, .speed_mps = 1.05f, .box = {true, 5.35f, 0, 1, 0}},
        {"not moving", FW_GUARD_NONE, .speed_mps = -1, .box = {true, 5.35f, 0, 1, 0}},
    };
    CHECK(cases);
}

static void test_the_largest_counts(void **state) {
    (void)state;
    static const situation cases[] = {
        {"the light", FW_GUARD_RED_LIGHT, -3.7377f, .leader = {true, 15.5f, 0}, .light = FW_DRIVE_LIGHT_RED,
         .light_m = 13.7f},
        {"the leader", FW_GUARD_LEADER, -3.7377f, .leader = {true, 14.5f, 0}, .light = FW_DRIVE_LIGHT_RED,
         .light_m = 15},
        {"the bend now, the leader after braking", FW_GUARD_CORRIDOR, -3.0199f, .bend = 5, .curvature_pm = 0.0735f,
         .leader = {true, 17.25f, 0}},
    };
    CHECK(cases);
    assert_string_equal(fw_guard_veto_name(FW_GUARD_NONE), "none");
    assert_string_equal(fw_guard_veto_name(FW_GUARD_CREEP), "creep");
}

/* ---- whatever comes in ---- */

static float hostile(fw_random *r, float low, float high) {
    static const float odd[] = {0, -0.0f, 1e-30f, -1e-30f, 1e30f, -1e30f, NAN, INFINITY, -INFINITY, 3.4e38f};
    if (fw_random_below(r, 8) == 0) return odd[fw_random_below(r, sizeof odd / sizeof *odd)];
    return low + (high - low) * fw_random_unit(r);
}

static fw_drive_obs hostile_obs(fw_random *r) {
    static const uint32_t lengths[] = {0, 1, 2, 3, 20, FW_DRIVE_PATH_MAX};
    fw_drive_obs o = {.x_m = hostile(r, 0, 20), .y_m = hostile(r, -2, 2), .yaw_rad = hostile(r, -3, 3),
                      .speed_mps = hostile(r, 0, 15), .length_m = hostile(r, 3, 8),
                      .width_m = hostile(r, 1, 3), .rear_overhang_m = hostile(r, 0, 2),
                      .s_m = hostile(r, 0, 20), .light = fw_random_below(r, 4),
                      .light_s_m = hostile(r, 0, 60), .path_count = lengths[fw_random_below(r, 6)]};
    for (uint32_t i = 0; i < o.path_count; i++)
        o.path[i] = (fw_drive_point){2.0f * (float)i, hostile(r, -1, 1), hostile(r, 2, 4), hostile(r, 5, 15)};
    o.user_count = fw_random_below(r, 20);
    for (uint32_t i = 0; i < o.user_count; i++)
        o.users[i] = (fw_drive_user){i, 0, hostile(r, -20, 60), hostile(r, -5, 5), hostile(r, -3, 3),
                                     hostile(r, 0, 12), hostile(r, 2, 8), hostile(r, 1, 3)};
    for (uint32_t k = 0; k < o.user_count && k < FW_DRIVE_CONFLICTS_MAX; k++)
        o.conflicts[o.conflict_count++] = (fw_drive_conflict){
            k, fw_random_below(r, 3), fw_random_below(r, 2), hostile(r, 5, 60), hostile(r, 10, 70),
            hostile(r, -5, 40), hostile(r, 0, 50)};
    return o;
}

static void test_only_lowers(void **state) {
    (void)state;
    const char *given = getenv("FLYWHEEL_ROUNDS");
    long rounds = given ? strtol(given, NULL, 10) : 100000;
    fw_random r = fw_random_named(seed_of_run(), "guard");
    long by_rule[FW_GUARD_COUNT] = {0};
    for (long round = 0; round < rounds; round++) {
        fw_drive_obs o = hostile_obs(&r);
        fw_drive_scene_room room;
        fw_drive_scene scene;
        fw_drive_view view;
        fw_drive_scene_of(&o, &room, &scene);
        fw_drive_look(&scene, &view);
        fw_drive_action before = {hostile(&r, -8, 3), hostile(&r, -0.25f, 0.25f)}, after = before;
        fw_guard_veto veto = fw_guard(&scene, &view, &after);
        by_rule[veto]++;
        assert_memory_equal(&after.curvature_pm, &before.curvature_pm, sizeof(float));
        if (veto == FW_GUARD_NONE)
            assert_memory_equal(&after, &before, sizeof after);
        else
            assert_true(after.accel_mps2 < before.accel_mps2 && after.accel_mps2 >= -8);
    }
    for (int i = 0; rounds >= 100000 && i < FW_GUARD_COUNT; i++) assert_true(by_rule[i] > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leader),
        cmocka_unit_test(test_lights),
        cmocka_unit_test(test_corridor),
        cmocka_unit_test(test_zones_to_yield),
        cmocka_unit_test(test_zones_taken),
        cmocka_unit_test(test_creep),
        cmocka_unit_test(test_the_largest_counts),
        cmocka_unit_test(test_only_lowers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
