/* Observations and decisions -> JSON in MCAP -> the same back, to the precision the page states. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/random.h"
#include "lines/driving/act/recorder.h"
#include "lines/driving/learn/recording.h"

enum { TICKS = 300, FILE_MAX = 8 << 20 };
static const uint64_t seed = 20240607;

static float between(fw_random *r, float low, float high) {
    return low + (high - low) * fw_random_unit(r);
}

/* A drive along a bent road: the window moves one point every few ticks. */
static void make_obs(uint32_t tick, fw_drive_obs *o) {
    fw_random r = fw_random_indexed(seed, tick);
    memset(o, 0, sizeof *o);
    o->drive = 3, o->tick = 1000 + tick, o->time_ns = (int64_t)tick * 100000000;
    o->s_m = 10.0f + (float)tick * 0.7f;
    o->x_m = o->s_m - 2000.5f, o->y_m = -17.25f, o->yaw_rad = between(&r, -3.14f, 3.14f);
    o->speed_mps = 7, o->accel_mps2 = between(&r, -8, 3), o->curvature_pm = between(&r, -.2f, .2f);
    o->length_m = 4.3f, o->width_m = 1.8f, o->rear_overhang_m = 0.86f;
    o->impact_mps2 = tick == 77 ? 31.5f : 0, o->route_left_m = 500.0f - o->s_m;
    o->light = fw_random_below(&r, 4), o->light_s_m = o->light ? o->s_m + 33.3f : 0;
    o->path_first = (uint32_t)(o->s_m / FW_DRIVE_GRID_M) - 5;
    o->path_count = 60;
    for (uint32_t i = 0; i < o->path_count; i++) {
        float s = (float)(o->path_first + i) * FW_DRIVE_GRID_M;
        o->path[i] = (fw_drive_point){s - 2000.5f, sinf(s / 40) * 9, 3.2f, 13.889f};
    }
    o->user_count = fw_random_below(&r, FW_DRIVE_USERS_MAX + 1);
    for (uint32_t i = 0; i < o->user_count; i++)
        o->users[i] = (fw_drive_user){
            .id = fw_random_u32(&r), .lane = i % 5 == 0 ? UINT32_MAX : fw_random_below(&r, 9999),
            .x_m = o->x_m + between(&r, -50, 50), .y_m = between(&r, -50, 50),
            .yaw_rad = between(&r, -3.14f, 3.14f), .speed_mps = between(&r, 0, 20),
            .length_m = 4.5f, .width_m = 1.75f};
    o->conflict_count = o->user_count ? fw_random_below(&r, FW_DRIVE_CONFLICTS_MAX + 1) : 0;
    for (uint32_t i = 0; i < o->conflict_count; i++)
        o->conflicts[i] = (fw_drive_conflict){
            fw_random_below(&r, o->user_count), fw_random_below(&r, 3), fw_random_below(&r, 2),
            between(&r, 0, 90), between(&r, 90, 99), between(&r, -9, 40), between(&r, 40, 50)};
}

static fw_drive_decision make_decision(uint32_t tick) {
    fw_random r = fw_random_indexed(seed + 1, tick);
    fw_drive_decision d = {.policy = {between(&r, -8, 3), between(&r, -.2f, .2f)},
                           .veto = (fw_guard_veto)fw_random_below(&r, FW_GUARD_COUNT),
                           .uncertainty = tick % 3 ? between(&r, 0, 2) : 0, .uncertain = tick % 50 < 3,
                           .model = fw_hash_bytes(&(char){tick < TICKS / 2 ? 'a' : 'b'}, 1)};
    d.action = d.policy;
    if (d.veto != FW_GUARD_NONE) d.action.accel_mps2 -= 1;
    return d;
}

/* Records ticks into out; returns the file's bytes. */
static size_t record(uint32_t first, uint32_t ticks, uint8_t *out, fw_drive_recorded *recorded) {
    fw_error error;
    fw_drive_recorder *recorder = NULL;
    fw_mcap_memory memory = {.bytes = out, .capacity_bytes = FILE_MAX};
    assert_int_equal(fw_drive_recorder_open(&recorder, &error), FW_OK);
    assert_int_equal(
        fw_drive_recorder_begin(recorder, fw_mcap_memory_sink(&memory), "12", &error), FW_OK);
    fw_drive_event_state state = {0};
    for (uint32_t i = first; i < first + ticks; i++) {
        fw_drive_obs obs;
        make_obs(i, &obs);
        fw_drive_decision decision = make_decision(i);
        double values[FW_DRIVE_EVENT_COUNT];
        uint32_t events = fw_drive_events(&state, &obs, &decision, values);
        assert_int_equal(fw_drive_recorder_tick(recorder, &obs, &decision, events, values, &error),
                         FW_OK);
    }
    assert_int_equal(fw_drive_recorder_end(recorder, recorded, &error), FW_OK);
    fw_drive_recorder_close(recorder);
    return memory.size_bytes;
}

static void near(float got, float wanted, double step) {
    double slack = step / 2 + fabs((double)wanted) * 1e-6;
    if (fabs((double)got - (double)wanted) > slack)
        fail_msg("%.9g read back, %.9g written, step %g", (double)got, (double)wanted, step);
}

static void check_head(const fw_drive_obs *got, const fw_drive_obs *o) {
    assert_int_equal(got->drive, o->drive);
    assert_int_equal(got->tick, o->tick);
    assert_true(got->time_ns == o->time_ns);
    near(got->x_m, o->x_m, 1e-3), near(got->y_m, o->y_m, 1e-3);
    near(got->yaw_rad, o->yaw_rad, 1e-5), near(got->speed_mps, o->speed_mps, 1e-3);
    near(got->accel_mps2, o->accel_mps2, 1e-3), near(got->curvature_pm, o->curvature_pm, 1e-5);
    near(got->length_m, o->length_m, 1e-3), near(got->width_m, o->width_m, 1e-3);
    near(got->rear_overhang_m, o->rear_overhang_m, 1e-3);
    near(got->impact_mps2, o->impact_mps2, 1e-3), near(got->s_m, o->s_m, 1e-3);
    near(got->route_left_m, o->route_left_m, 1e-3);
    assert_int_equal(got->light, o->light);
    near(got->light_s_m, o->light_s_m, 1e-3);
    assert_int_equal(got->path_count, 0);
}

static void check_others(const fw_drive_obs *got, const fw_drive_obs *o) {
    assert_int_equal(got->user_count, o->user_count);
    for (uint32_t i = 0; i < o->user_count; i++) {
        const fw_drive_user *a = &got->users[i], *b = &o->users[i];
        assert_int_equal(a->id, b->id);
        assert_int_equal(a->lane, b->lane);
        near(a->x_m, b->x_m, 1e-3), near(a->y_m, b->y_m, 1e-3);
        near(a->yaw_rad, b->yaw_rad, 1e-5), near(a->speed_mps, b->speed_mps, 1e-3);
        near(a->length_m, b->length_m, 1e-3), near(a->width_m, b->width_m, 1e-3);
    }
    assert_int_equal(got->conflict_count, o->conflict_count);
    for (uint32_t i = 0; i < o->conflict_count; i++) {
        const fw_drive_conflict *a = &got->conflicts[i], *b = &o->conflicts[i];
        assert_int_equal(a->user, b->user);
        assert_int_equal(a->kind, b->kind);
        assert_int_equal(a->must_yield, b->must_yield);
        near(a->enter_s_m, b->enter_s_m, 1e-3), near(a->exit_s_m, b->exit_s_m, 1e-3);
        near(a->foe_enter_m, b->foe_enter_m, 1e-3), near(a->foe_exit_m, b->foe_exit_m, 1e-3);
    }
}

static void test_what_is_written_is_read_back(void **state) {
    (void)state;
    printf("seed %llu\n", (unsigned long long)seed);
    uint8_t *file = malloc(FILE_MAX);
    fw_drive_recorded recorded;
    size_t size = record(0, TICKS, file, &recorded);
    printf("%d ticks: %zu bytes, %zu a tick\n", TICKS, size, size / TICKS);
    assert_int_equal(recorded.ticks, TICKS);
    assert_int_equal(recorded.first_tick, 1000);
    fw_error error;
    fw_drive_recording *back = NULL;
    fw_status status = fw_drive_recording_parse(file, size, &back, &error);
    if (status != FW_OK) fail_msg("%s", error.text);
    assert_string_equal(back->unit, "12");
    assert_string_equal(back->network, "");
    assert_string_equal(back->hash.hex, fw_hash_bytes(file, size).hex);
    assert_string_equal(back->model.hex, fw_hash_bytes("b", 1).hex);
    assert_int_equal(back->tick_count, TICKS);
    fw_drive_event_state events = {0};
    uint32_t counts[FW_DRIVE_EVENT_COUNT] = {0};
    for (uint32_t i = 0; i < TICKS; i++) {
        fw_drive_obs o;
        make_obs(i, &o);
        check_head(&back->ticks[i].obs, &o);
        check_others(&back->ticks[i].obs, &o);
        fw_drive_decision d = make_decision(i);
        near(back->ticks[i].policy.accel_mps2, d.policy.accel_mps2, 1e-3);
        near(back->ticks[i].policy.curvature_pm, d.policy.curvature_pm, 1e-5);
        near(back->ticks[i].action.accel_mps2, d.action.accel_mps2, 1e-3);
        near(back->ticks[i].action.curvature_pm, d.action.curvature_pm, 1e-5);
        assert_int_equal(back->ticks[i].veto, d.veto);
        near(back->ticks[i].uncertainty, d.uncertainty, 1e-5);
        double values[FW_DRIVE_EVENT_COUNT];
        uint32_t begun = fw_drive_events(&events, &o, &d, values);
        assert_int_equal(back->ticks[i].events, begun);
        for (int e = 0; e < FW_DRIVE_EVENT_COUNT; e++) counts[e] += begun >> e & 1;
    }
    assert_memory_equal(counts, recorded.event_counts, sizeof counts);
    assert_int_equal(counts[FW_DRIVE_EVENT_IMPACT], 1);
    assert_true(counts[FW_DRIVE_EVENT_HARD_BRAKE] > 3);
    fw_drive_recording_free(back);
    free(file);
}

static void test_the_route_comes_back_as_one_line(void **state) {
    (void)state;
    uint8_t *file = malloc(FILE_MAX);
    fw_drive_recorded recorded;
    size_t size = record(40, 200, file, &recorded); /* begins in the middle of a drive */
    fw_error error;
    fw_drive_recording *back = NULL;
    assert_int_equal(fw_drive_recording_parse(file, size, &back, &error), FW_OK);
    fw_drive_obs first, last;
    make_obs(40, &first), make_obs(239, &last);
    assert_int_equal(back->path_first, first.path_first);
    assert_int_equal(back->path_first + back->path_count, last.path_first + last.path_count);
    for (uint32_t i = 0; i < last.path_count; i++) {
        const fw_drive_point *p = &back->path[last.path_first + i - back->path_first];
        near(p->x_m, last.path[i].x_m, 1e-3), near(p->y_m, last.path[i].y_m, 1e-3);
        near(p->width_m, 3.2f, 1e-3), near(p->limit_mps, 13.889f, 1e-3);
    }
    fw_drive_recording_free(back);
    free(file);
}

static void test_same_calls_same_bytes(void **state) {
    (void)state;
    uint8_t *a = malloc(FILE_MAX), *b = malloc(FILE_MAX);
    fw_drive_recorded recorded;
    size_t size_a = record(0, 50, a, &recorded), size_b = record(0, 50, b, &recorded);
    assert_int_equal(size_a, size_b);
    assert_memory_equal(a, b, size_a);
    free(a), free(b);
}

static void test_schemas_are_json_with_titles(void **state) {
    (void)state;
    for (int i = 0; i < FW_DRIVE_CHANNEL_COUNT; i++) {
        fw_drive_channel channel = (fw_drive_channel)i;
        json_t *schema = json_loads(fw_drive_channel_schema(channel), JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(schema);
        assert_string_equal(json_string_value(json_object_get(schema, "title")),
                            fw_drive_channel_schema_name(channel));
        assert_string_equal(json_string_value(json_object_get(schema, "type")), "object");
        json_t *properties = json_object_get(schema, "properties");
        assert_true(json_object_size(properties) > 0);
        /* every field written is described */
        char text[FW_DRIVE_MESSAGE_MAX];
        fw_drive_writer writer = {0};
        fw_drive_obs obs;
        make_obs(5, &obs);
        fw_drive_decision decision = make_decision(5);
        size_t size = channel == FW_DRIVE_CHANNEL_EVENT
                          ? fw_drive_write_event(FW_DRIVE_EVENT_VETO, &obs, 1.5, text, sizeof text)
                          : fw_drive_write(&writer, channel, &obs, &decision, text, sizeof text);
        json_t *message = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(message);
        const char *key;
        json_t *value;
        assert_int_equal(json_object_size(message), json_object_size(properties));
        json_object_foreach(message, key, value) assert_non_null(json_object_get(properties, key));
        json_decref(message), json_decref(schema);
    }
}

static void test_extreme_numbers_fit_and_are_json(void **state) {
    (void)state;
    const float extremes[] = {3.4e38f, -3.4e38f, 1e-30f, -1e-30f, 999999.9995f, -0.0004f, 1e12f};
    fw_drive_obs o;
    memset(&o, 0, sizeof o);
    o.user_count = FW_DRIVE_USERS_MAX, o.conflict_count = FW_DRIVE_CONFLICTS_MAX;
    o.path_first = UINT32_MAX - FW_DRIVE_PATH_MAX, o.path_count = FW_DRIVE_PATH_MAX;
    for (size_t e = 0; e < sizeof extremes / sizeof *extremes; e++) {
        float v = extremes[e];
        o.x_m = o.yaw_rad = v;
        for (int i = 0; i < FW_DRIVE_USERS_MAX; i++)
            o.users[i] = (fw_drive_user){UINT32_MAX, UINT32_MAX - 1, v, v, v, v, v, v};
        for (int i = 0; i < FW_DRIVE_PATH_MAX; i++) o.path[i] = (fw_drive_point){v, v, v, v};
        for (int i = 0; i < FW_DRIVE_CONFLICTS_MAX; i++)
            o.conflicts[i] = (fw_drive_conflict){47, 2, 1, v, v, v, v};
        fw_drive_decision d = {.policy = {v, v}, .action = {NAN, INFINITY}};
        for (int i = 0; i < FW_DRIVE_CHANNEL_EVENT; i++) {
            char text[FW_DRIVE_MESSAGE_MAX];
            fw_drive_writer writer = {0};
            size_t size = fw_drive_write(&writer, (fw_drive_channel)i, &o, &d, text, sizeof text);
            json_t *json = json_loadb(text, size, 0, NULL);
            assert_non_null(json);
            json_decref(json);
        }
        double values[FW_DRIVE_EVENT_COUNT];
        fw_drive_event_state events = {0};
        (void)fw_drive_events(&events, &o, &d, values);
    }
}

static void test_a_cut_or_bent_file_is_refused(void **state) {
    (void)state;
    uint8_t *file = malloc(FILE_MAX), *bent = malloc(FILE_MAX);
    fw_drive_recorded recorded;
    size_t size = record(0, 20, file, &recorded);
    fw_error error;
    for (size_t cut = 0; cut < size; cut += cut < 64 ? 1 : 37) {
        fw_drive_recording *back = NULL;
        assert_int_equal(fw_drive_recording_parse(file, cut, &back, &error), FW_CORRUPT);
        assert_null(back);
        assert_true(strlen(error.text) > 0);
    }
    fw_random r = fw_random_named(seed, "bend");
    for (int i = 0; i < 300; i++) {
        memcpy(bent, file, size);
        bent[fw_random_below(&r, (uint32_t)size)] ^= (uint8_t)(1 + fw_random_below(&r, 255));
        fw_drive_recording *back = NULL;
        if (fw_drive_recording_parse(bent, size, &back, NULL) == FW_OK)
            fw_drive_recording_free(back);
    }
    free(file), free(bent);
}

/* One message of each channel, to be changed by the hostile cases below. */
static const char *const good[FW_DRIVE_CHANNEL_COUNT] = {
    "{\"drive\":1,\"tick\":5,\"x_m\":1,\"y_m\":2,\"yaw_rad\":0,\"speed_mps\":3,\"accel_mps2\":0,"
    "\"curvature_pm\":0,\"length_m\":4,\"width_m\":2,\"rear_overhang_m\":1,\"impact_mps2\":0,"
    "\"s_m\":10,\"route_left_m\":99}",
    "{\"users\":[[1,-1,0,0,0,0,4,2]]}",
    "{\"first\":3,\"points\":[[0,0,3,13],[2,0,3,13]]}",
    "{\"light\":3,\"light_s_m\":30}",
    "{\"conflicts\":[[0,1,1,20,30,5,9]]}",
    "{\"policy_accel_mps2\":1,\"policy_curvature_pm\":0,\"accel_mps2\":1,\"curvature_pm\":0,"
    "\"veto\":0,\"model\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}",
    "{\"event\":\"impact\",\"value\":9,\"tick\":5,\"x_m\":1,\"y_m\":2}",
};

/* Writes the good tick with one channel's text replaced (NULL: left out) and parses it. */
static fw_status parse_changed(int changed, const char *text, const char *version,
                               fw_error *error) {
    static uint8_t bytes[1 << 16];
    fw_mcap_memory memory = {.bytes = bytes, .capacity_bytes = sizeof bytes};
    fw_mcap_writer *w = NULL;
    assert_int_equal(fw_mcap_writer_open(NULL, &w, error), FW_OK);
    assert_int_equal(fw_mcap_writer_begin(w, fw_mcap_memory_sink(&memory), "", "", error), FW_OK);
    for (int i = 0; i < FW_DRIVE_CHANNEL_COUNT; i++) {
        uint16_t id;
        const char *message = i == changed ? text : good[i];
        assert_int_equal(fw_mcap_writer_add_channel(w, 0, fw_drive_channel_topic((fw_drive_channel)i),
                                                    "json", NULL, 0, &id, error), FW_OK);
        if (message)
            assert_int_equal(
                fw_mcap_writer_message(w, id, 0, 9, 9, message, strlen(message), error), FW_OK);
    }
    const fw_mcap_pair pairs[] = {{"line", "driving"}, {"version", version}, {"unit", "1"}};
    assert_int_equal(fw_mcap_writer_metadata(w, "flywheel", pairs, 3, error), FW_OK);
    assert_int_equal(fw_mcap_writer_end(w, error), FW_OK);
    fw_mcap_writer_close(w);
    fw_drive_recording *back = NULL;
    fw_status status = fw_drive_recording_parse(bytes, memory.size_bytes, &back, error);
    if (status == FW_OK) fw_drive_recording_free(back);
    return status;
}

static void test_hostile_messages_are_refused(void **state) {
    (void)state;
    fw_error error;
    assert_int_equal(parse_changed(-1, NULL, "1", &error), FW_OK);
    assert_int_equal(parse_changed(-1, NULL, "2", &error), FW_UNSUPPORTED);
    const struct {
        fw_drive_channel channel;
        const char *text;
    } hostile[] = {
        {FW_DRIVE_CHANNEL_EGO, NULL},
        {FW_DRIVE_CHANNEL_EGO, "{}"},
        {FW_DRIVE_CHANNEL_EGO, "[]"},
        {FW_DRIVE_CHANNEL_EGO, "{\"drive\":-1,\"tick\":5}"},
        {FW_DRIVE_CHANNEL_USERS, NULL},
        {FW_DRIVE_CHANNEL_USERS, "{\"users\":7}"},
        {FW_DRIVE_CHANNEL_USERS, "{\"users\":[]}"}, /* the conflict then names nobody */
        {FW_DRIVE_CHANNEL_USERS, "{\"users\":[[1,2,3]]}"},
        {FW_DRIVE_CHANNEL_USERS, "{\"users\":[[1,-2,0,0,0,0,4,2]]}"},
        {FW_DRIVE_CHANNEL_USERS, "{\"users\":[[1,-1,1e300,0,0,0,4,2]]}"},
        {FW_DRIVE_CHANNEL_USERS, "{\"users\":[[1,-1,\"x\",0,0,0,4,2]]}"},
        {FW_DRIVE_CHANNEL_ROUTE, "{\"first\":4294967295,\"points\":[[0,0,3,13]]}"},
        {FW_DRIVE_CHANNEL_ROUTE, "{\"first\":1,\"points\":[[0,0,3]]}"},
        {FW_DRIVE_CHANNEL_SIGNAL, "{\"light\":4,\"light_s_m\":30}"},
        {FW_DRIVE_CHANNEL_SIGNAL, "{\"light\":3}"},
        {FW_DRIVE_CHANNEL_SIGNAL, NULL},
        {FW_DRIVE_CHANNEL_CONFLICTS, "{\"conflicts\":[[1,1,1,20,30,5,9]]}"},
        {FW_DRIVE_CHANNEL_CONFLICTS, "{\"conflicts\":[[0,3,1,20,30,5,9]]}"},
        {FW_DRIVE_CHANNEL_CONFLICTS, "{\"conflicts\":[[0,1,2,20,30,5,9]]}"},
        {FW_DRIVE_CHANNEL_CONFLICTS, "{\"conflicts\":[0]}"},
        {FW_DRIVE_CHANNEL_ACTION, "{\"policy_accel_mps2\":1}"},
        {FW_DRIVE_CHANNEL_ACTION, "not json"},
        {FW_DRIVE_CHANNEL_ACTION, NULL},
        {FW_DRIVE_CHANNEL_EVENT, "{\"event\":5}"},
    };
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        fw_status status = parse_changed((int)hostile[i].channel, hostile[i].text, "1", &error);
        if (status != FW_CORRUPT) fail_msg("case %zu: %s", i, fw_status_text(status));
    }
    static char many[4096];
    size_t used = (size_t)snprintf(many, sizeof many, "{\"users\":[[1,-1,0,0,0,0,4,2]");
    for (int i = 0; i < FW_DRIVE_USERS_MAX; i++)
        used += (size_t)snprintf(many + used, sizeof many - used, ",[1,-1,0,0,0,0,4,2]");
    snprintf(many + used, sizeof many - used, "]}");
    assert_int_equal(parse_changed(FW_DRIVE_CHANNEL_USERS, many, "1", &error), FW_CORRUPT);
}

/* Finite, well-formed, and of no car in no city: one message with one word replaced. */
static void test_numbers_out_of_this_world_are_refused(void **state) {
    (void)state;
    fw_error error;
    const struct {
        fw_drive_channel channel;
        const char *from, *to, *reason;
    } cases[] = {
        {FW_DRIVE_CHANNEL_EGO, "\"x_m\":1", "\"x_m\":3e37", "x_m"},
        {FW_DRIVE_CHANNEL_EGO, "\"y_m\":2", "\"y_m\":-1000000", "y_m"},
        {FW_DRIVE_CHANNEL_EGO, "\"yaw_rad\":0", "\"yaw_rad\":1001", "yaw_rad"},
        {FW_DRIVE_CHANNEL_EGO, "\"speed_mps\":3", "\"speed_mps\":-1", "speed_mps"},
        {FW_DRIVE_CHANNEL_EGO, "\"speed_mps\":3", "\"speed_mps\":100", "speed_mps"},
        {FW_DRIVE_CHANNEL_EGO, "\"accel_mps2\":0", "\"accel_mps2\":-1e9", "accel_mps2"},
        {FW_DRIVE_CHANNEL_EGO, "\"length_m\":4", "\"length_m\":0", "length_m"},
        {FW_DRIVE_CHANNEL_EGO, "\"length_m\":4", "\"length_m\":40", "length_m"},
        {FW_DRIVE_CHANNEL_EGO, "\"width_m\":2", "\"width_m\":-2", "width_m"},
        {FW_DRIVE_CHANNEL_EGO, "\"s_m\":10", "\"s_m\":-1", "s_m"},
        {FW_DRIVE_CHANNEL_EGO, "\"s_m\":10", "\"s_m\":29", "s_m"}, /* the route ends at 8 m */
        {FW_DRIVE_CHANNEL_USERS, "4,2]", "-4,2]", "user"},
        {FW_DRIVE_CHANNEL_USERS, "4,2]", "4,11]", "user"},
        {FW_DRIVE_CHANNEL_USERS, "-1,0,", "-1,2e6,", "user"},
        {FW_DRIVE_CHANNEL_ROUTE, "[2,0,3,13]", "[0,0,3,13]", "apart"},
        {FW_DRIVE_CHANNEL_ROUTE, "[2,0,3,13]", "[5,0,3,13]", "apart"},
        {FW_DRIVE_CHANNEL_ROUTE, "[2,0,3,13]", "[2,0,3,0]", "route point"},
        {FW_DRIVE_CHANNEL_ROUTE, "[2,0,3,13]", "[2,0,3,100]", "route point"},
        {FW_DRIVE_CHANNEL_ROUTE, "[2,0,3,13]", "[2,0,-3,13]", "route point"},
        {FW_DRIVE_CHANNEL_SIGNAL, "30", "1e30", "light_s_m"},
        {FW_DRIVE_CHANNEL_CONFLICTS, "20,30", "20,30000", "conflict"},
        {FW_DRIVE_CHANNEL_ACTION, ",\"accel_mps2\":1", ",\"accel_mps2\":1e6", "accel_mps2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        const char *whole = good[cases[i].channel], *at = strstr(whole, cases[i].from);
        assert_non_null(at);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - whole), whole, cases[i].to,
                 at + strlen(cases[i].from));
        fw_status status = parse_changed((int)cases[i].channel, text, "1", &error);
        if (status != FW_CORRUPT) fail_msg("%s: %s", cases[i].to, fw_status_text(status));
        if (!strstr(error.text, cases[i].reason)) fail_msg("%s: %s", cases[i].to, error.text);
    }
}

static void test_events_begin_once(void **state) {
    (void)state;
    fw_drive_obs o;
    make_obs(0, &o);
    o.user_count = o.conflict_count = 0, o.accel_mps2 = 0;
    for (uint32_t i = 0; i < o.path_count; i++) o.path[i].y_m = o.y_m;
    o.yaw_rad = 0;
    fw_drive_decision d = {.veto = FW_GUARD_NONE};
    fw_drive_event_state s = {0};
    double values[FW_DRIVE_EVENT_COUNT];
    assert_int_equal(fw_drive_events(&s, &o, &d, values), 0);
    o.user_count = 1; /* 7 m/s towards a standing car whose rear is 7 m before our front */
    o.users[0] = (fw_drive_user){.x_m = o.x_m + 4.3f - 0.86f + 7 + 2, .y_m = o.y_m,
                                 .length_m = 4, .width_m = 1.8f};
    assert_int_equal(fw_drive_events(&s, &o, &d, values), 1u << FW_DRIVE_EVENT_LOW_TTC);
    assert_true(fabs(values[FW_DRIVE_EVENT_LOW_TTC] - 1.0) < 0.01);
    assert_int_equal(fw_drive_events(&s, &o, &d, values), 0);
    o.users[0].y_m += 3; /* beside our way */
    assert_int_equal(fw_drive_events(&s, &o, &d, values), 0);
    o.users[0].y_m -= 3;
    o.accel_mps2 = -4, d.veto = FW_GUARD_ZONE, o.impact_mps2 = 9;
    d.uncertain = true, d.uncertainty = 0.5f;
    assert_int_equal(fw_drive_events(&s, &o, &d, values), 31);
    assert_true(values[FW_DRIVE_EVENT_VETO] == FW_GUARD_ZONE && values[FW_DRIVE_EVENT_UNCERTAIN] == 0.5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_is_read_back),
        cmocka_unit_test(test_the_route_comes_back_as_one_line),
        cmocka_unit_test(test_same_calls_same_bytes),
        cmocka_unit_test(test_schemas_are_json_with_titles),
        cmocka_unit_test(test_extreme_numbers_fit_and_are_json),
        cmocka_unit_test(test_a_cut_or_bent_file_is_refused),
        cmocka_unit_test(test_hostile_messages_are_refused),
        cmocka_unit_test(test_numbers_out_of_this_world_are_refused),
        cmocka_unit_test(test_events_begin_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
