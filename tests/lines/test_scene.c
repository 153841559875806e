/* What a car knows of a message: the path's shape, which users are kept, where they are on a curvy path, and
 * that the features are a set. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "lines/driving/act/features.h"

static const uint64_t seed = 11;

/* A path that turns at will, no sharper than any car can; we stand on its sixth point. */
static fw_drive_obs curvy(fw_random *r, float bend) {
    fw_drive_obs o = {.length_m = 4.8f, .width_m = 1.8f, .rear_overhang_m = 0.96f, .s_m = 10,
                      .speed_mps = 12 * fw_random_unit(r), .route_left_m = 90,
                      .path_count = FW_DRIVE_PATH_MAX};
    float x = 300 * fw_random_unit(r), y = -500, heading = 6 * fw_random_unit(r) - 3, curvature = 0;
    for (uint32_t i = 0; i < FW_DRIVE_PATH_MAX; i++) {
        o.path[i] = (fw_drive_point){x, y, 3.2f, 13.9f};
        if (i % 6 == 0) curvature = fmaxf(-0.25f, fminf(0.25f, bend * fw_random_normal(r)));
        heading += curvature * FW_DRIVE_GRID_M;
        x += FW_DRIVE_GRID_M * cosf(heading), y += FW_DRIVE_GRID_M * sinf(heading);
    }
    o.x_m = o.path[5].x_m, o.y_m = o.path[5].y_m;
    o.yaw_rad = atan2f(o.path[6].y_m - o.y_m, o.path[6].x_m - o.x_m);
    return o;
}

static void add_user(fw_drive_obs *o, uint32_t id, float x, float y, fw_random *r) {
    o->users[o->user_count++] = (fw_drive_user){
        .id = id, .x_m = x, .y_m = y, .yaw_rad = 6 * fw_random_unit(r) - 3,
        .speed_mps = 12 * fw_random_unit(r), .length_m = 4 + 8 * fw_random_unit(r), .width_m = 2};
}

/* ---- the path ---- */

static void a_circle_has_its_curvature(void **state) {
    (void)state;
    fw_drive_point p[40];
    float heading[40], curvature[40];
    for (int i = 0; i < 40; i++) {
        float turn = (float)i * FW_DRIVE_GRID_M / 20 + 2.5f; /* through the jump of the angle */
        p[i] = (fw_drive_point){20 * sinf(turn), -20 * cosf(turn), 3, 14};
    }
    fw_drive_path_shape(p, 40, heading, curvature);
    for (int i = 2; i < 38; i++) assert_true(fabsf(curvature[i] - 0.05f) < 1e-3f);
    for (int i = 0; i < 39; i++) {
        float wanted = remainderf((float)i * FW_DRIVE_GRID_M / 20 + 2.55f, 2 * (float)M_PI);
        assert_true(fabsf(remainderf(heading[i] - wanted, 2 * (float)M_PI)) < 1e-3f);
    }
    assert_true(heading[39] == heading[38]);
    fw_drive_path_shape(p, 1, heading, curvature);
    assert_true(heading[0] == 0 && curvature[0] == 0);
    fw_drive_path_shape(p, 2, heading, curvature);
    assert_true(heading[1] == heading[0] && curvature[0] == 0 && curvature[1] == 0);
}

static void a_message_without_a_route_gives_a_path(void **state) {
    (void)state;
    fw_drive_obs o = {.x_m = 7, .y_m = 3, .yaw_rad = 1, .s_m = 33, .length_m = 5, .width_m = 2,
                      .rear_overhang_m = 1, .speed_mps = 5};
    fw_drive_scene_room room;
    fw_drive_scene scene;
    fw_drive_view view;
    fw_drive_scene_of(&o, &room, &scene);
    assert_int_equal(scene.path_count, 2);
    fw_drive_look(&scene, &view);
    assert_true(fabsf(view.lateral_m) < 1e-4f && fabsf(view.heading_rad) < 1e-4f && view.limit_mps[0] == 0);
    assert_true(fw_idm_accel(&scene, &view) < 0);
}

/* ---- the users ---- */

static void the_nearest_are_kept_and_who_has_a_conflict(void **state) {
    (void)state;
    printf("seed %llu\n", (unsigned long long)seed);
    fw_random r = fw_random_named(seed, "keep");
    for (int round = 0; round < 2000; round++) {
        fw_drive_obs o = curvy(&r, 0.02f);
        fw_drive_scene_room room;
        fw_drive_scene scene;
        uint32_t n = fw_random_below(&r, FW_DRIVE_USERS_MAX + 1);
        for (uint32_t k = 0; k < n; k++)
            add_user(&o, 100 - k, o.x_m + 120 * fw_random_unit(&r) - 60, o.y_m + 60 * fw_random_unit(&r) - 30, &r);
        for (uint32_t k = fw_random_below(&r, 7); n > 0 && k > 0; k--)
            o.conflicts[o.conflict_count++] = (fw_drive_conflict){.user = fw_random_below(&r, n), .exit_s_m = 40,
                                                                  .enter_s_m = (float)k, .foe_exit_m = 30};
        fw_drive_scene_of(&o, &room, &scene);
        assert_true(scene.user_count <= FW_DRIVE_SCENE_USERS);
        float mx = o.x_m + 1.44f * cosf(o.yaw_rad), my = o.y_m + 1.44f * sinf(o.yaw_rad), farthest = 0;
        bool kept[101] = {false}, meets[101] = {false};
        for (uint32_t i = 0; i < scene.user_count; i++) {
            float d = hypotf(scene.users[i].x_m - mx, scene.users[i].y_m - my);
            assert_true(d <= FW_DRIVE_RANGE_M + 1e-3f && d >= farthest - 1e-3f); /* nearest first */
            farthest = d;
            kept[scene.users[i].id] = true;
        }
        uint32_t known = 0;
        for (uint32_t i = 0; i < o.conflict_count; i++) meets[o.users[o.conflicts[i].user].id] = true;
        for (uint32_t k = 0; k < n; k++) {
            float d = hypotf(o.users[k].x_m - mx, o.users[k].y_m - my);
            bool near = d < FW_DRIVE_RANGE_M - 1e-3f;
            if (near && meets[o.users[k].id]) assert_true(kept[o.users[k].id]);
            if (near && !kept[o.users[k].id]) /* nobody without a conflict was preferred to a nearer one */
                for (uint32_t i = 0; i < scene.user_count; i++)
                    assert_true(meets[scene.users[i].id] ||
                                hypotf(scene.users[i].x_m - mx, scene.users[i].y_m - my) < d + 1e-3f);
        }
        for (uint32_t i = 0; i < o.conflict_count; i++) {
            const fw_drive_user *u = &o.users[o.conflicts[i].user];
            if (!kept[u->id]) continue;
            assert_int_equal(scene.users[scene.conflicts[known].user].id, u->id);
            assert_true(scene.conflicts[known++].enter_s_m == o.conflicts[i].enter_s_m);
        }
        assert_int_equal(scene.conflict_count, known);
    }
}

/* Nearest point of the path by trying every segment but those within `apart_m` of path length `away_m`:
 * distance, and path length of it. */
static float exhaustive(const fw_drive_obs *o, float x, float y, float away_m, float apart_m, float *s_m) {
    float best = INFINITY;
    for (uint32_t i = 0; i < 33; i++) {
        const fw_drive_point *p = &o->path[i], *q = p + 1;
        float ex = q->x_m - p->x_m, ey = q->y_m - p->y_m;
        float u = ((x - p->x_m) * ex + (y - p->y_m) * ey) / (ex * ex + ey * ey);
        u = fmaxf(0, fminf(1, u));
        float d = hypotf(x - p->x_m - u * ex, y - p->y_m - u * ey), s = ((float)i + u) * FW_DRIVE_GRID_M;
        if (d < best && fabsf(s - away_m) >= apart_m) best = d, *s_m = s;
    }
    return best;
}

/* Users beside a path with bends as sharp as cars can drive: found where the exhaustive search finds them,
 * unless the path comes by a second time and about as near. */
static void users_are_found_on_sharp_bends(void **state) {
    (void)state;
    fw_random r = fw_random_named(seed, "bends");
    uint32_t compared = 0, elsewhere = 0;
    for (int round = 0; round < 4000; round++) {
        fw_drive_obs o = curvy(&r, 0.12f);
        fw_drive_scene_room room;
        fw_drive_scene scene;
        fw_drive_view view;
        for (uint32_t k = 0; k < 12; k++) {
            const fw_drive_point *p = &o.path[4 + fw_random_below(&r, 24)];
            add_user(&o, k, p->x_m + 12 * fw_random_unit(&r) - 6, p->y_m + 12 * fw_random_unit(&r) - 6, &r);
        }
        fw_drive_scene_of(&o, &room, &scene);
        fw_drive_look(&scene, &view);
        for (uint32_t k = 0; k < scene.user_count; k++) {
            const fw_drive_neighbour *u = &scene.users[k];
            float s_m = 0, other_m, distance = exhaustive(&o, u->x_m, u->y_m, 0, 0, &s_m);
            float again = exhaustive(&o, u->x_m, u->y_m, s_m, 8, &other_m);
            bool on_extension = view.users.gap_m[k] < -11; /* of the first segment: what lies behind us */
            if (s_m < 1 || s_m > 64 || on_extension) continue;
            compared++;
            assert_true(fabsf(view.users.lateral_m[k]) >= distance - 1e-3f);
            if (distance < 3.5f && again > distance + 2) /* whoever may be in our way */
                assert_true(fabsf(view.users.lateral_m[k]) < distance + 0.1f);
            assert_true(fabsf(view.users.lateral_m[k]) < distance + 2); /* the points tried are 4 m apart */
            elsewhere += fabsf(view.users.lateral_m[k]) > distance + 0.01f;
        }
    }
    printf("%u users, %u not at the very nearest place\n", compared, elsewhere);
    assert_true(compared > 20000 && elsewhere < compared / 50);
}

static void a_bus_across_the_street_is_in_the_way(void **state) {
    (void)state;
    fw_drive_obs o = {.length_m = 5, .width_m = 1.8f, .rear_overhang_m = 1, .s_m = 10, .x_m = 10,
                      .path_count = 40, .speed_mps = 8};
    for (uint32_t i = 0; i < 40; i++) o.path[i] = (fw_drive_point){2 * (float)i, 0, 3.2f, 13.9f};
    o.users[o.user_count++] = (fw_drive_user){.id = 1, .x_m = 40, .y_m = 5, .yaw_rad = (float)M_PI / 2,
                                              .speed_mps = 4, .length_m = 12, .width_m = 2.5f};
    o.users[o.user_count++] = (fw_drive_user){.id = 2, .x_m = 30, .y_m = 3, .speed_mps = 4, .length_m = 5,
                                              .width_m = 1.8f};
    o.users[o.user_count++] = (fw_drive_user){.id = 3, .x_m = 48, .y_m = 0.5f, .speed_mps = 6, .length_m = 5,
                                              .width_m = 1.8f};
    fw_drive_scene_room room;
    fw_drive_scene scene;
    fw_drive_view view;
    fw_drive_scene_of(&o, &room, &scene);
    fw_drive_look(&scene, &view);
    assert_true(view.leader.exists && fabsf(view.leader.gap_m - (40 - 1.25f - 14)) < 1e-3f);
    assert_true(view.leader.speed_mps < 1e-3f); /* along our path it does not move */
    assert_true(view.second.exists && fabsf(view.second.gap_m - (48 - 2.5f - 14)) < 1e-3f);
    assert_true(view.second.speed_mps == 6);
    assert_int_equal(scene.users[0].id, 2);
    assert_true(fabsf(view.users.aside_m[0] - (3 - 0.9f - 0.9f)) < 1e-3f); /* beside the strip */
    assert_true(fabsf(view.users.forward_m[0] - 18.5f) < 1e-3f && fabsf(view.users.left_m[0] - 3) < 1e-3f);
}

/* ---- the features ---- */

static int by_bytes(const void *a, const void *b) { return memcmp(a, b, FW_FEATURE_EACH * sizeof(float)); }

/* The rows of the same users, sent and numbered in another order, are the same set. */
static void the_order_of_users_is_nothing(void **state) {
    (void)state;
    enum { AT = FW_FEATURES_USERS_AT, EACH = FW_FEATURE_EACH, ROWS = FW_FEATURE_USERS };
    fw_random r = fw_random_named(seed, "order");
    for (int round = 0; round < 500; round++) {
        float x[2][FW_FEATURES];
        fw_drive_obs o = curvy(&r, 0.05f);
        uint32_t n = fw_random_below(&r, ROWS + 1);
        for (uint32_t k = 0; k < n; k++)
            add_user(&o, k, o.x_m + 50 * fw_random_unit(&r) - 25, o.y_m + 50 * fw_random_unit(&r) - 25, &r);
        for (uint32_t k = 0; k < n; k += 3)
            o.conflicts[o.conflict_count++] = (fw_drive_conflict){
                .user = k, .must_yield = k % 2, .enter_s_m = 30 + (float)k, .exit_s_m = 40, .foe_enter_m = 9, .foe_exit_m = 30};
        for (int i = 0; i < 2; i++) {
            fw_drive_scene_room room;
            fw_drive_scene scene;
            fw_drive_view view;
            fw_drive_scene_of(&o, &room, &scene);
            if (i == 1) { /* another order within the scene: rows are exchanged */
                for (uint32_t k = 0; k + 1 < scene.user_count; k += 2) {
                    fw_drive_neighbour keep = room.users[k];
                    room.users[k] = room.users[k + 1], room.users[k + 1] = keep;
                }
                for (uint32_t k = 0; k < scene.conflict_count; k++) {
                    uint32_t *user = &room.conflicts[k].user;
                    if ((*user ^ 1) < scene.user_count) *user ^= 1;
                }
            }
            fw_drive_look(&scene, &view);
            fw_drive_features(&scene, &view, x[i]);
            for (uint32_t k = 0; k < ROWS; k++) assert_true(x[i][FW_FEATURES_MASK_AT + k] == (k < n));
            for (uint32_t k = n; k < ROWS; k++)
                for (int j = 0; j < EACH; j++) assert_true(x[i][AT + (int)k * EACH + j] == 0);
            qsort(x[i] + AT, n, EACH * sizeof(float), by_bytes);
        }
        assert_memory_equal(x[0], x[1], sizeof x[0]);
    }
}

/* A user with a conflict is among the rows however far down it stands. */
static void who_has_a_conflict_gets_a_row(void **state) {
    (void)state;
    fw_random r = fw_random_named(seed, "row");
    fw_drive_obs o = curvy(&r, 0.0f);
    fw_drive_scene_room room;
    fw_drive_scene scene;
    fw_drive_view view;
    float x[FW_FEATURES];
    for (uint32_t k = 0; k < 16; k++) add_user(&o, k, o.x_m + 2 * (float)k, o.y_m + 10, &r);
    o.conflicts[o.conflict_count++] = (fw_drive_conflict){.user = 15, .must_yield = 1, .enter_s_m = 30,
                                                          .exit_s_m = 40, .foe_enter_m = 9, .foe_exit_m = 30};
    fw_drive_scene_of(&o, &room, &scene);
    fw_drive_look(&scene, &view);
    fw_drive_features(&scene, &view, x);
    uint32_t yields = 0;
    for (int k = 0; k < FW_FEATURE_USERS; k++) {
        const float *row = x + FW_FEATURES_USERS_AT + k * FW_FEATURE_EACH;
        if (row[11] == 0) continue;
        yields++;
        assert_true(row[12] == 0 && fabsf(row[13] - (30 - 10 - 3.84f) / 20) < 1e-5f);
    }
    assert_int_equal(yields, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_circle_has_its_curvature),
        cmocka_unit_test(a_message_without_a_route_gives_a_path),
        cmocka_unit_test(the_nearest_are_kept_and_who_has_a_conflict),
        cmocka_unit_test(users_are_found_on_sharp_bends),
        cmocka_unit_test(a_bus_across_the_street_is_in_the_way),
        cmocka_unit_test(the_order_of_users_is_nothing),
        cmocka_unit_test(who_has_a_conflict_gets_a_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
