/* Model files of the driving line: its own network, any graph with the right ends, refused ones, and
 * without pointers through the unit's slot. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/random.h"
#include "lines/driving/act/features.h"
#include "lines/driving/act/flattened.h"
#include "nn/run/layers.h"
#include "nn/run/safetensors.h"

enum { HIDDEN = 20, WIDE = 300, AGAIN = 300 };

/* A car somewhere on a straight street, others around it. */
static fw_drive_obs street(fw_random *r) {
    fw_drive_obs o = {.drive = 1, .x_m = 10, .y_m = fw_random_unit(r), .s_m = 10,
                      .speed_mps = 14 * fw_random_unit(r), .length_m = 5, .width_m = 1.8f,
                      .rear_overhang_m = 1, .route_left_m = 500, .path_count = FW_DRIVE_PATH_MAX,
                      .light = fw_random_below(r, 4), .light_s_m = 60 * fw_random_unit(r)};
    for (uint32_t i = 0; i < FW_DRIVE_PATH_MAX; i++)
        o.path[i] = (fw_drive_point){2.0f * (float)i, 0, 3.2f, 13.9f};
    for (uint32_t k = fw_random_below(r, 6); k > 0; k--)
        o.users[o.user_count++] = (fw_drive_user){
            o.user_count + 1, 0, 14 + 40 * fw_random_unit(r), 4 * fw_random_unit(r) - 2, 0,
            10 * fw_random_unit(r), 5, 1.8f};
    return o;
}

/* ---- the line's own network ---- */

/* Its file with weights of order one, at a path of a new folder. */
static const fw_drive_card own_card = {.uncertainty_threshold = 0.375, .agent_steps = 7};

static void own_file(char folder[32], char path[64], fw_hash *hash) {
    fw_nn_graph *g;
    fw_nn_layout layout;
    fw_random r = fw_random_named(3, "weights");
    strcpy(folder, "/tmp/fw_policy_XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, 64, "%s/model", folder);
    assert_int_equal(fw_drive_network_graph(HIDDEN, &g, NULL), FW_OK);
    assert_int_equal(fw_nn_layout_make(g, &layout, NULL), FW_OK);
    float *params = fw_nn_vector_new(layout.floats);
    for (size_t i = 0; i < layout.floats; i++) params[i] = 0.3f * fw_random_normal(&r);
    assert_int_equal(fw_drive_network_save(g, params, &own_card, path, hash, NULL), FW_OK);
    free(params);
    fw_nn_layout_clear(&layout);
    fw_nn_graph_free(g);
}

/* A parameter of the policy by name. */
static const float *parameter(const fw_policy *policy, const char *name) {
    fw_nn_value value = fw_nn_find(policy->model.graph, name);
    assert_true(value != FW_NN_NONE);
    return policy->model.params + policy->model.layout.offsets[value];
}

/* y (n) = w (n, m) x (m) + b, in float64. */
static void layer(const fw_policy *policy, const char *name, const double *x, uint32_t m, uint32_t n,
                  double *y) {
    char full[32];
    snprintf(full, sizeof full, "%s.weight", name);
    const float *w = parameter(policy, full);
    snprintf(full, sizeof full, "%s.bias", name);
    const float *b = parameter(policy, full);
    for (uint32_t j = 0; j < n; j++) {
        y[j] = (double)b[j];
        for (uint32_t i = 0; i < m; i++) y[j] += x[i] * (double)w[j * m + i];
    }
}

/* The drawing of network.h, once more. */
static void scores_of(const fw_policy *policy, const float *features, double scores[FW_OUTPUTS]) {
    double x[FW_FEATURES], state[FW_FEATURES_EGO + FW_DRIVE_USER_HIDDEN] = {0}, one[FW_DRIVE_USER_HIDDEN];
    double h0[HIDDEN], h1[HIDDEN], *most = state + FW_FEATURES_EGO;
    for (int i = 0; i < FW_FEATURES; i++) x[i] = (double)features[i];
    memcpy(state, x, FW_FEATURES_EGO * sizeof *x);
    for (int k = 0; k < FW_FEATURE_USERS; k++) {
        if (x[FW_FEATURES_MASK_AT + k] < 0.5) continue;
        layer(policy, "user", x + FW_FEATURES_USERS_AT + k * FW_FEATURE_EACH, FW_FEATURE_EACH,
              FW_DRIVE_USER_HIDDEN, one);
        for (int i = 0; i < FW_DRIVE_USER_HIDDEN; i++) most[i] = fmax(most[i], one[i]);
    }
    layer(policy, "l0", state, FW_FEATURES_EGO + FW_DRIVE_USER_HIDDEN, HIDDEN, h0);
    for (int i = 0; i < HIDDEN; i++) h0[i] = tanh(h0[i]);
    layer(policy, "l1", h0, HIDDEN, HIDDEN, h1);
    for (int i = 0; i < HIDDEN; i++) h1[i] = tanh(h1[i]);
    layer(policy, "heads", h1, HIDDEN, FW_OUTPUTS, scores);
}

static void compare(const fw_policy *policy, const fw_policy_session *session, const double *scores) {
    const float *accel = fw_nn_session_value(session->network, policy->ends.accel);
    const float *steer = fw_nn_session_value(session->network, policy->ends.steer);
    const float *value = fw_nn_session_value(session->network, policy->ends.value);
    double mean = 0, square = 0;
    for (int i = 0; i < FW_ACCELS; i++) assert_true(fabs((double)accel[i] - scores[i]) < 1e-4);
    for (int i = 0; i < FW_STEERS; i++) assert_true(fabs((double)steer[i] - scores[FW_ACCELS + i]) < 1e-4);
    for (int i = 0; i < FW_VALUES; i++) assert_true(fabs((double)value[i] - scores[FW_VALUE_AT + i]) < 1e-4);
    for (int i = 0; i < FW_VALUES; i++) mean += scores[FW_VALUE_AT + i] / FW_VALUES;
    for (int i = 0; i < FW_VALUES; i++) square += pow(scores[FW_VALUE_AT + i] - mean, 2) / FW_VALUES;
    assert_true(fabs((double)session->uncertainty - sqrt(square) * (double)FW_DRIVE_VALUE_SCALE) < 1e-3);
}

static void test_the_network_is_the_one_drawn(void **state) {
    (void)state;
    char folder[32], path[64];
    fw_hash hash;
    fw_policy policy;
    fw_policy_session session;
    fw_random r = fw_random_named(4, "street");
    own_file(folder, path, &hash);
    assert_int_equal(fw_policy_load_file(path, &policy, NULL), FW_OK);
    assert_string_equal(policy.hash.hex, hash.hex);
    assert_true(policy.uncertainty_threshold == 0.375f);
    assert_int_equal(fw_policy_session_open(&policy, &session, NULL), FW_OK);
    for (int round = 0; round < 100; round++) {
        fw_drive_obs o = street(&r);
        fw_drive_scene_room room;
        fw_drive_scene scene;
        fw_drive_view view;
        fw_drive_action action, again;
        float features[FW_FEATURES];
        double scores[FW_OUTPUTS];
        fw_policy_act(&policy, &session, &o, &action);
        fw_drive_scene_of(&o, &room, &scene);
        fw_drive_look(&scene, &view);
        fw_drive_features(&scene, &view, features);
        scores_of(&policy, features, scores);
        compare(&policy, &session, scores);
        fw_policy_act_scene(&policy, &session, &scene, &view, &again);
        assert_memory_equal(&action, &again, sizeof action);
    }
    fw_policy_session_close(&session);
    fw_policy_clear(&policy);
    assert_int_equal(fw_folder_remove(folder, NULL), FW_OK);
}

/* Acceleration changes gently; firm braking comes at once, and goes as gently as the rest. */
static void test_choices_are_gentle_but_for_firm_braking(void **state) {
    (void)state;
    fw_drive_view view = {.aim_x_m = 6, .aim_cos = 1, .accel_mps2 = 0.5f};
    const float most = FW_DRIVE_GENTLE_MPS3 * FW_DRIVE_TICK_S;
    for (uint32_t k = 0; k < FW_ACCELS; k++) {
        float wanted = fw_drive_accels_mps2[k], got = fw_drive_choice(&view, k, 2).accel_mps2;
        if (wanted <= FW_DRIVE_FIRM_MPS2) assert_true(got == wanted);
        else assert_true(fabsf(got - 0.5f) <= most + 1e-6f && fabsf(got - wanted) <= fabsf(0.5f - wanted));
    }
    assert_true(fabsf(fw_drive_choice(&view, FW_ACCELS - 1, 2).accel_mps2 - (0.5f + most)) < 1e-6f);
    view.accel_mps2 = -8;
    assert_true(fabsf(fw_drive_choice(&view, FW_ACCELS - 1, 2).accel_mps2 - (-8 + most)) < 1e-6f);
}

static void refuse(const char *bytes, size_t size, fw_status wanted, const char *word) {
    fw_policy policy;
    fw_error error = {""};
    assert_int_equal(fw_policy_load(bytes, size, &policy, &error), wanted);
    if (!strstr(error.text, word)) fail_msg("\"%s\" does not say %s", error.text, word);
}

/* ---- answers ---- */

static void test_driving_goes_between_two_choices(void **state) {
    (void)state;
    const fw_drive_view view = {.aim_x_m = 6, .aim_cos = 1, .accel_mps2 = -1};
    float accel[FW_ACCELS], steer[FW_STEERS] = {0};
    for (int i = 0; i < FW_ACCELS; i++) accel[i] = -100;
    accel[3] = 2, steer[4] = 90;
    fw_drive_action a = fw_drive_blend(&view, accel, steer);
    assert_true(a.accel_mps2 == fw_drive_accels_mps2[3]); /* certain: the choice itself */
    assert_true(a.curvature_pm == fw_drive_choice(&view, 3, 4).curvature_pm && a.curvature_pm > 0.03f);
    accel[4] = 2, steer[3] = 90;
    a = fw_drive_blend(&view, accel, steer);
    assert_true(fabsf(a.accel_mps2 - 0.5f * (fw_drive_accels_mps2[3] + fw_drive_accels_mps2[4])) < 1e-6f);
    float middle = 0.5f * (fw_drive_steers_m[3] + fw_drive_steers_m[4]);
    assert_true(fabsf(a.curvature_pm - fw_drive_pursuit(&view, middle)) < 1e-6f);
    accel[8] = 1.9f; /* a far rival of the best is no neighbour */
    assert_true(fw_drive_blend(&view, accel, steer).accel_mps2 == a.accel_mps2);
    for (int i = 0; i < FW_ACCELS; i++) accel[i] = NAN;
    assert_true(fw_drive_blend(&view, accel, steer).accel_mps2 == fw_drive_accels_mps2[0]);
}

/* ---- graphs ---- */

typedef enum fault { NO_FAULT, OTHER_FEATURES, NO_STEER, WIDE_ACCEL, SECOND_INPUT, MANY_NODES, COSTLY, LARGE,
                     NO_THRESHOLD, FAULTS } fault;

/* Another network than the line's own: one layer, rectified, two heads, no value. */
static void graph_file(fault with, char **bytes, size_t *size_bytes) {
    fw_nn_graph *g;
    fw_nn_layout layout;
    fw_error error;
    assert_int_equal(fw_nn_graph_new(&g, NULL), FW_OK);
    fw_nn_value x = fw_nn_input(g, "features", FW_NN_F32, fw_nn_shape1(FW_FEATURES)), h = x;
    if (with == SECOND_INPUT) {
        fw_nn_value more = fw_nn_input(g, "more", FW_NN_F32, fw_nn_shape1(FW_FEATURES));
        h = fw_nn_apply2(g, FW_NN_ADD, "sum", h, more);
    }
    if (with == COSTLY) h = fw_nn_linear(g, "wide", h, WIDE, true);
    fw_nn_value again = with == COSTLY ? fw_nn_parameter(g, "again", fw_nn_shape2(WIDE, WIDE),
                                                         FW_NN_INIT_NORMAL, 0.01f) : x;
    for (int i = 0; with == COSTLY && i < AGAIN; i++) {
        char name[16];
        snprintf(name, sizeof name, "again%d", i);
        h = fw_nn_apply2(g, FW_NN_LINEAR, name, h, again);
    }
    if (with == LARGE) h = fw_nn_linear(g, "large", h, FW_POLICY_FLAT_MAX / 4 / FW_FEATURES, true);
    for (int i = 0; with == MANY_NODES && i < FW_POLICY_NODES_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "r%d", i);
        h = fw_nn_apply(g, FW_NN_RELU, name, h);
    }
    h = fw_nn_apply(g, FW_NN_RELU, "act", fw_nn_linear(g, "l0", h, 30, true));
    fw_nn_output_add(g, "accel", fw_nn_linear(g, "a", h, FW_ACCELS + (with == WIDE_ACCEL), true));
    fw_nn_output_add(g, with == NO_STEER ? "other" : "steer", fw_nn_linear(g, "s", h, FW_STEERS, false));
    if (fw_nn_graph_check(g, &error) != FW_OK) fail_msg("%s", error.text);
    assert_int_equal(fw_nn_layout_make(g, &layout, NULL), FW_OK);
    float *params = fw_nn_vector_new(layout.floats);
    fw_nn_initialise(g, &layout, 9, params);
    json_t *words = json_pack("{s:s, s:s, s:s}", "line", "driving", "policy", "network",
                              "features_version", with == OTHER_FEATURES ? "1" : "2");
    if (with == NO_THRESHOLD) json_object_set_new(words, "uncertainty_threshold", json_string("much"));
    assert_int_equal(fw_nn_model_write(g, params, words, bytes, size_bytes, NULL), FW_OK);
    json_decref(words);
    free(params);
    fw_nn_layout_clear(&layout);
    fw_nn_graph_free(g);
}

static void test_graphs_without_the_ends_are_refused(void **state) {
    (void)state;
    static const struct {
        fw_status status;
        const char *word;
    } wanted[FAULTS] = {[OTHER_FEATURES] = {FW_UNSUPPORTED, "version 1 of the features"},
                        [NO_STEER] = {FW_UNSUPPORTED, "steer"},
                        [WIDE_ACCEL] = {FW_UNSUPPORTED, "accel"},
                        [SECOND_INPUT] = {FW_UNSUPPORTED, "features"},
                        [MANY_NODES] = {FW_TOO_BIG, "nodes"},
                        [COSTLY] = {FW_TOO_BIG, "operations"},
                        [LARGE] = {FW_TOO_BIG, "graph and parameters"},
                        [NO_THRESHOLD] = {FW_CORRUPT, "uncertainty_threshold"}};
    for (fault i = NO_FAULT + 1; i < FAULTS; i++) {
        char *bytes;
        size_t size;
        graph_file(i, &bytes, &size);
        refuse(bytes, size, wanted[i].status, wanted[i].word);
        free(bytes);
    }
}

/* ---- through the slot ---- */

static void same_actions(const fw_policy *a, const fw_policy *b) {
    fw_policy_session of_a, of_b, second;
    fw_random r = fw_random_named(6, "street");
    assert_int_equal(fw_policy_session_open(a, &of_a, NULL), FW_OK);
    assert_int_equal(fw_policy_session_open(a, &second, NULL), FW_OK);
    assert_int_equal(fw_policy_session_open(b, &of_b, NULL), FW_OK);
    assert_string_equal(a->hash.hex, b->hash.hex);
    for (int round = 0; round < 100; round++) {
        fw_drive_obs o = street(&r), other = street(&r);
        fw_drive_action by_a, by_b, unused;
        fw_policy_act(a, &of_a, &o, &by_a);
        fw_policy_act(a, &second, &other, &unused);
        fw_policy_act(b, &of_b, &o, &by_b);
        assert_memory_equal(&by_a, &by_b, sizeof by_a);
        if (a->kind == FW_POLICY_NETWORK) /* the other session changed nothing of this one */
            assert_memory_equal(fw_nn_session_value(of_a.network, a->ends.accel),
                                fw_nn_session_value(of_b.network, b->ends.accel),
                                FW_ACCELS * sizeof(float));
    }
    fw_policy_session_close(&of_a);
    fw_policy_session_close(&of_b);
    fw_policy_session_close(&second);
}

static void round_trip(const char *bytes, size_t size) {
    enum { ROOM = 1 << 18 };
    uint8_t *flat_bytes = malloc(ROOM);
    size_t flat_size = 0, unused = 0;
    fw_policy policy, back;
    fw_error error;
    if (fw_policy_load(bytes, size, &policy, &error) != FW_OK) fail_msg("%s", error.text);
    assert_int_equal(fw_policy_flatten(&policy, flat_bytes, ROOM, &flat_size, &error), FW_OK);
    assert_int_equal(fw_policy_flatten(&policy, flat_bytes, flat_size - 1, &unused, &error), FW_TOO_BIG);
    assert_int_equal(fw_policy_unflatten(flat_bytes, flat_size, &back, &error), FW_OK);
    same_actions(&policy, &back);
    assert_true(back.uncertainty_threshold == policy.uncertainty_threshold);
    fw_policy_clear(&back);
    for (size_t cut = 0; cut < flat_size; cut += 37) {
        uint8_t *part = malloc(cut + 1); /* so that asan sees a step too far */
        memcpy(part, flat_bytes, cut);
        assert_int_equal(fw_policy_unflatten(part, cut, &back, &error), FW_CORRUPT);
        free(part);
    }
    fw_random r = fw_random_named(8, "bent");
    for (int round = 0; round < 300; round++) { /* bent bytes: refused or another model, never a crash */
        size_t at = fw_random_below(&r, (uint32_t)flat_size);
        uint8_t keep = flat_bytes[at];
        flat_bytes[at] ^= (uint8_t)(1 + fw_random_below(&r, 255));
        if (fw_policy_unflatten(flat_bytes, flat_size, &back, &error) == FW_OK) fw_policy_clear(&back);
        flat_bytes[at] = keep;
    }
    fw_policy_clear(&policy);
    free(flat_bytes);
}

static void test_policies_go_through_the_slot(void **state) {
    (void)state;
    char *bytes;
    size_t size;
    for (fw_policy_kind kind = FW_POLICY_CONSTANT; kind <= FW_POLICY_IDM; kind++) {
        assert_int_equal(fw_policy_rule_file(kind, &bytes, &size, NULL), FW_OK);
        round_trip(bytes, size);
        free(bytes);
    }
    graph_file(NO_FAULT, &bytes, &size);
    round_trip(bytes, size);
    free(bytes);
    char folder[32], path[64];
    fw_hash hash;
    own_file(folder, path, &hash);
    assert_int_equal(fw_file_read(path, FW_POLICY_FILE_MAX, &bytes, &size, NULL), FW_OK);
    round_trip(bytes, size);
    free(bytes);
    assert_int_equal(fw_folder_remove(folder, NULL), FW_OK);
}

/* The line's own network, saved and read: the same file again. */
static void test_saved_networks_are_read_back(void **state) {
    (void)state;
    char folder[32], path[64];
    fw_policy policy;
    fw_hash hash[2];
    own_file(folder, path, &hash[0]);
    assert_int_equal(fw_policy_load_file(path, &policy, NULL), FW_OK);
    assert_string_equal(policy.hash.hex, hash[0].hex);
    assert_true(policy.ends.value != FW_NN_NONE);
    assert_int_equal(fw_drive_network_save(policy.model.graph, policy.model.params, &own_card, path,
                                           &hash[1], NULL), FW_OK);
    assert_string_equal(hash[0].hex, hash[1].hex);
    fw_policy_clear(&policy);
    assert_int_equal(fw_folder_remove(folder, NULL), FW_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_network_is_the_one_drawn),
        cmocka_unit_test(test_driving_goes_between_two_choices),
        cmocka_unit_test(test_choices_are_gentle_but_for_firm_braking),
        cmocka_unit_test(test_graphs_without_the_ends_are_refused),
        cmocka_unit_test(test_policies_go_through_the_slot),
        cmocka_unit_test(test_saved_networks_are_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
