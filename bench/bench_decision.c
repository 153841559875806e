/* bench_decision - what a decision of the driving line costs on one core, piece by piece.
 *
 *   bench_decision [--smoke] [--users N]
 *
 * Scenes are drawn at random: a curvy street, N road users around (12 unless told), four conflicts, a light.
 * The pieces are timed over many scenes in turn, best of several passes by the clock of this process's
 * CPU; whole decisions are timed one by one, and their quantiles printed. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/random.h"
#include "lines/driving/act/policy.h"
#include "nn/run/cpu/fast.h"
#include "nn/run/memory.h"

enum { SCENES = 256, PASSES = 15, ROWS = 32 };

typedef struct drawn {
    fw_drive_obs obs;
    fw_drive_scene_room room;
    fw_drive_scene scene;
    fw_drive_view view;
} drawn;

typedef struct bench {
    drawn *scenes; /* (SCENES) */
    uint32_t users, decisions;
    fw_policy policy;
    fw_policy_session session;
    fw_nn_plan *plan; /* of ROWS rows */
    fw_nn_session *many;
    float *features; /* (ROWS, FW_FEATURES) */
    float sink;
} bench;

static double cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void draw(fw_random *r, uint32_t users, drawn *d) {
    fw_drive_obs *o = &d->obs;
    float x = 0, y = 0, heading = 0, bend = 0;
    *o = (fw_drive_obs){.speed_mps = 14 * fw_random_unit(r), .length_m = 4.8f, .width_m = 1.8f,
                        .rear_overhang_m = 0.96f, .s_m = 10 + fw_random_unit(r), .route_left_m = 200,
                        .light = fw_random_below(r, 4), .light_s_m = 40, .path_count = FW_DRIVE_PATH_MAX};
    for (uint32_t i = 0; i < FW_DRIVE_PATH_MAX; i++) {
        o->path[i] = (fw_drive_point){x, y, 3.2f, 13.9f};
        x += FW_DRIVE_GRID_M * cosf(heading), y += FW_DRIVE_GRID_M * sinf(heading);
        bend = 0.9f * bend + 0.05f * fw_random_normal(r);
        heading += bend;
    }
    o->x_m = o->path[5].x_m, o->y_m = o->path[5].y_m;
    o->yaw_rad = atan2f(o->path[6].y_m - o->y_m, o->path[6].x_m - o->x_m);
    for (uint32_t k = 0; k < users; k++)
        o->users[o->user_count++] = (fw_drive_user){
            .id = k, .x_m = o->x_m + 50 * fw_random_unit(r) - 15, .y_m = o->y_m + 40 * fw_random_unit(r) - 20,
            .yaw_rad = 6 * fw_random_unit(r) - 3, .speed_mps = 12 * fw_random_unit(r), .length_m = 4.8f,
            .width_m = 1.8f};
    for (uint32_t k = 0; k < 4 && k < users; k++)
        o->conflicts[o->conflict_count++] = (fw_drive_conflict){
            .user = k, .must_yield = k % 2, .enter_s_m = 30, .exit_s_m = 36, .foe_enter_m = 20 + (float)k,
            .foe_exit_m = 28 + (float)k};
    fw_drive_scene_of(o, &d->room, &d->scene);
    fw_drive_look(&d->scene, &d->view);
}

static fw_status make_policy(bench *b, fw_error *error) {
    fw_nn_model model = {0};
    FW_TRY(fw_drive_network_graph(FW_DRIVE_HIDDEN, &model.graph, error));
    FW_TRY(fw_nn_layout_make(model.graph, &model.layout, error));
    model.params = fw_nn_vector_new(model.layout.floats);
    b->features = fw_nn_vector_new(ROWS * FW_FEATURES);
    if (!model.params || !b->features) return fw_fail(error, FW_NO_MEMORY, "no memory");
    fw_nn_initialise(model.graph, &model.layout, 7, model.params);
    FW_TRY(fw_policy_of_model(&model, &b->policy, error));
    FW_TRY(fw_policy_session_open(&b->policy, &b->session, error));
    const fw_nn_plan_options options = {.rows = ROWS, .backends = fw_nn_backends_run};
    FW_TRY(fw_nn_plan_make(b->policy.model.graph, &options, &b->plan, error));
    return fw_nn_session_new(b->plan, &b->many, error);
}

/* ---- the pieces: each works through all scenes once ---- */

static void scenes_of(bench *b) {
    for (int i = 0; i < SCENES; i++) {
        drawn *d = &b->scenes[i];
        fw_drive_scene_of(&d->obs, &d->room, &d->scene);
    }
}

static void looks(bench *b) {
    for (int i = 0; i < SCENES; i++) fw_drive_look(&b->scenes[i].scene, &b->scenes[i].view);
}

static void features(bench *b) {
    for (int i = 0; i < SCENES; i++)
        fw_drive_features(&b->scenes[i].scene, &b->scenes[i].view, b->features + i % ROWS * FW_FEATURES);
}

static void idm(bench *b) {
    for (int i = 0; i < SCENES; i++) b->sink += fw_idm_accel(&b->scenes[i].scene, &b->scenes[i].view);
}

static void acts(bench *b) {
    for (int i = 0; i < SCENES; i++) {
        fw_drive_action action;
        fw_policy_act_scene(&b->policy, &b->session, &b->scenes[i].scene, &b->scenes[i].view, &action);
        b->sink += action.accel_mps2;
    }
}

static void many_rows(bench *b) {
    for (int i = 0; i < SCENES; i += ROWS)
        fw_nn_session_run(b->many, &(fw_nn_run_args){.parameters = b->policy.model.params,
                                                     .inputs = (const void *const[]){b->features},
                                                     .rows = ROWS});
}

static double best_ns(bench *b, void (*piece)(bench *)) {
    double best = INFINITY;
    for (int i = 0; i < PASSES; i++) {
        double begin = cpu_ns();
        piece(b);
        best = fmin(best, (cpu_ns() - begin) / SCENES);
    }
    return best;
}

/* ---- whole decisions ---- */

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_decisions(bench *b) {
    double *each = calloc(b->decisions, sizeof *each);
    if (!each) return;
    for (uint32_t i = 0; i < b->decisions; i++) {
        fw_drive_action action;
        double begin = cpu_ns();
        fw_policy_act(&b->policy, &b->session, &b->scenes[i % SCENES].obs, &action);
        each[i] = cpu_ns() - begin;
        b->sink += action.accel_mps2;
    }
    qsort(each, b->decisions, sizeof *each, ascending);
    printf("a unit's decision, message to action: p50 %.2f us, p99 %.2f us, largest %.1f us, n %u\n",
           each[b->decisions / 2] / 1e3, each[(size_t)b->decisions * 99 / 100] / 1e3,
           each[b->decisions - 1] / 1e3, b->decisions);
    free(each);
}

static void print_pieces(bench *b) {
    static const struct {
        const char *name;
        void (*run)(bench *);
    } pieces[] = {{"scene of a message", scenes_of}, {"look", looks}, {"features", features}, {"idm", idm},
                  {"act on a scene, one row", acts}, {"network alone, 32 rows, a row", many_rows}};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        printf("%-32s %8.0f ns\n", pieces[i].name, best_ns(b, pieces[i].run));
}

int main(int argc, char **argv) {
    bench b = {.users = 12, .decisions = 100000};
    fw_error error;
    fw_random r = fw_random_named(1, "bench");
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--smoke") == 0) b.decisions = 100;
        else if (strcmp(argv[i], "--users") == 0 && i + 1 < argc) b.users = (uint32_t)atoi(argv[++i]);
        else return fprintf(stderr, "bench_decision [--smoke] [--users N]\n"), 2;
    }
    if (b.users > FW_DRIVE_USERS_MAX) return fprintf(stderr, "at most %d users\n", FW_DRIVE_USERS_MAX), 2;
    b.scenes = calloc(SCENES, sizeof *b.scenes);
    if (!b.scenes || make_policy(&b, &error) != FW_OK) return fprintf(stderr, "%s\n", error.text), 1;
    for (int i = 0; i < SCENES; i++) draw(&r, b.users, &b.scenes[i]);
    printf("%u road users, %zu parameters\n", b.users, b.policy.model.layout.floats);
    print_pieces(&b);
    print_decisions(&b);
    fw_policy_session_close(&b.session);
    fw_nn_session_free(b.many);
    fw_nn_plan_free(b.plan);
    fw_policy_clear(&b.policy);
    free(b.features);
    free(b.scenes);
    return b.sink == 42.5f; /* so that nothing of it is left out */
}
