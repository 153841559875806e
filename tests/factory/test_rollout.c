/* Rollouts through the factory's API: rings, looks, refusals, fallbacks, people's words, restarts, groups. */
#include "fixture.h"

enum { UNITS = 8 };

typedef struct world {
    fixture *f;
    fw_hash champion, model;
    const char *runs[UNITS], *refuses[UNITS];
    int ticks[UNITS], events[UNITS];
} world;

static void factory_ticks(fixture *f, int n) {
    fw_error error = {""};
    for (int i = 0; i < n; i++)
        if (fw_factory_tick(f->factory, &error) != FW_OK) fail_msg("%s", error.text);
}

static const char *word(const json_t *json, const char *name) {
    const char *text = json_string_value(json_object_get(json, name));
    return text ? text : "";
}

/* What unit i is answered as its target. */
static void report(world *w, int i, char target[FW_HASH_HEX + 1]) {
    char path[40], body[700];
    json_t *json;
    snprintf(path, sizeof path, "/v1/units/car-%d/report", i);
    snprintf(body, sizeof body,
             "{\"active\":\"%s\",\"staged\":\"%s\",\"refused\":\"%s\",\"tick\":%d,\"health\":{\"model\":\"%s\",\"ticks\":%d,"
             "\"distance_m\":%d,\"events\":%d}}",
             w->runs[i], w->runs[i], w->refuses[i] ? w->refuses[i] : "", w->ticks[i], w->runs[i], w->ticks[i],
             10 * w->ticks[i], w->events[i]);
    assert_int_equal(call(w->f, "POST", path, body, &json), 200);
    snprintf(target, FW_HASH_HEX + 1, "%s", word(json, "target"));
    json_decref(json);
}

static void all_report(world *w) {
    char target[FW_HASH_HEX + 1];
    for (int i = 0; i < UNITS; i++) report(w, i, target);
}

/* Every unit does as it is told and lives some ticks. */
static void all_obey(world *w) {
    char target[FW_HASH_HEX + 1];
    for (int i = 0; i < UNITS; i++) {
        report(w, i, target);
        const char *next = strcmp(target, w->model.hex) == 0 && !w->refuses[i] ? w->model.hex : w->champion.hex;
        if (strcmp(next, w->runs[i]) != 0) w->ticks[i] = w->events[i] = 0;
        w->runs[i] = next;
        w->ticks[i] += 50;
    }
    all_report(w);
    factory_ticks(w->f, 1);
}

static int told(world *w) {
    char target[FW_HASH_HEX + 1];
    int count = 0;
    for (int i = 0; i < UNITS; i++) {
        report(w, i, target);
        count += strcmp(target, w->model.hex) == 0;
    }
    return count;
}

static json_t *rollout(world *w, int n) {
    char path[40];
    json_t *json;
    snprintf(path, sizeof path, "/v1/rollouts/%d", n);
    assert_int_equal(call(w->f, "GET", path, NULL, &json), 200);
    return json;
}

static void expect_state(world *w, int n, const char *state) {
    json_t *json = rollout(w, n);
    assert_string_equal(word(json, "state"), state);
    json_decref(json);
}

static int ring_of(world *w, int n) {
    json_t *json = rollout(w, n);
    int ring = (int)json_integer_value(json_object_get(json, "ring"));
    json_decref(json);
    return ring;
}

static void expect_champion(world *w, const fw_hash *hash) {
    json_t *json;
    assert_int_equal(call(w->f, "GET", "/v1/status", NULL, &json), 200);
    assert_string_equal(word(json, "champion"), hash->hex);
    json_decref(json);
}

static void begin(world *w, fixture *f) {
    *w = (world){.f = f};
    w->model = add_champion(f, "the next model");
    w->champion = add_champion(f, "the model before");
    for (int i = 0; i < UNITS; i++) w->runs[i] = w->champion.hex;
    all_report(w);
}

static int start_with(world *w, const char *plan, json_t **json) {
    char body[1000];
    snprintf(body, sizeof body, "{\"model\":\"%s\"%s%s}", w->model.hex, plan ? ",\"plan\":" : "", plan ? plan : "");
    return call(w->f, "POST", "/v1/rollouts", body, json);
}

static void start(world *w, const char *plan) {
    assert_int_equal(start_with(w, plan, NULL), 201);
}

static const char three_rings[] = "{\"rings\":[{\"name\":\"canary\",\"share\":0.125,\"ticks_min\":60},{\"name\":\"half\",\"share\":"
                                  "0.5,\"ticks_min\":60},{\"name\":\"all\",\"share\":1,\"ticks_min\":60}]}";

static void ring_by_ring(void **state) {
    world w;
    begin(&w, *state);
    start(&w, three_rings);
    assert_int_equal(start_with(&w, NULL, NULL), 409); /* one at a time */
    assert_int_equal(told(&w), 1);
    for (int i = 0; i < 5; i++) factory_ticks(w.f, 1);
    assert_int_equal(ring_of(&w, 1), 0); /* nobody runs it */
    all_obey(&w);
    assert_int_equal(ring_of(&w, 1), 0); /* 50 ticks of 60 */
    all_obey(&w);
    assert_int_equal(ring_of(&w, 1), 1);
    assert_int_equal(told(&w), 4);
    expect_champion(&w, &w.champion);
    all_obey(&w);
    all_obey(&w);
    assert_int_equal(told(&w), 8);
    all_obey(&w);
    expect_state(&w, 1, "rolling");
    expect_champion(&w, &w.champion);
    all_obey(&w);
    expect_state(&w, 1, "done");
    expect_champion(&w, &w.model);
    assert_int_equal(told(&w), 8);
    json_t *json = rollout(&w, 1);
    assert_int_equal(json_integer_value(json_object_get(json, "active")), 8);
    assert_int_equal(json_array_size(json_object_get(json, "steps")), 4); /* start, two rings, done */
    json_decref(json);
    assert_int_equal(start_with(&w, NULL, NULL), 400); /* it is the fleet's already */
}

static void a_refusal_turns_it_back(void **state) {
    world w;
    begin(&w, *state);
    start(&w, three_rings);
    for (int i = 0; i < UNITS; i++) w.refuses[i] = w.model.hex;
    all_report(&w);
    factory_ticks(w.f, 1);
    expect_state(&w, 1, "rolling_back");
    assert_int_equal(told(&w), 0);
    factory_ticks(w.f, 2);
    expect_state(&w, 1, "rolled_back");
    expect_champion(&w, &w.champion);
}

static void a_fallback_turns_it_back(void **state) {
    world w;
    begin(&w, *state);
    start(&w, three_rings);
    all_obey(&w);
    for (int i = 0; i < UNITS; i++) w.runs[i] = w.champion.hex; /* by itself */
    all_report(&w);
    factory_ticks(w.f, 1);
    json_t *json = rollout(&w, 1);
    assert_string_equal(word(json, "state"), "rolling_back");
    assert_non_null(strstr(word(json, "reason"), "1 fallbacks"));
    assert_int_equal(json_integer_value(json_object_get(json, "failed")), 1);
    json_decref(json);
}

static void harm_turns_it_back(void **state) {
    world w;
    begin(&w, *state);
    start(&w, three_rings);
    for (int round = 0; round < 40 && ring_of(&w, 1) < 1; round++) all_obey(&w);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < UNITS; i++)
            if (w.runs[i] == w.model.hex) w.events[i] += 10; /* in half a kilometre */
        all_obey(&w);
    }
    json_t *json = rollout(&w, 1);
    assert_true(strncmp(word(json, "state"), "roll", 4) == 0 && strcmp(word(json, "state"), "rolling") != 0);
    json_decref(json);
    for (int round = 0; round < 3; round++) all_obey(&w);
    expect_state(&w, 1, "rolled_back");
    expect_champion(&w, &w.champion);
    json = rollout(&w, 1);
    size_t last = json_array_size(json_object_get(json, "steps")) - 2;
    const json_t *halt = json_array_get(json_object_get(json, "steps"), last);
    assert_string_equal(word(halt, "kind"), "halt");
    assert_non_null(strstr(word(halt, "text"), "harm shown"));
    assert_true(json_is_object(json_object_get(halt, "evidence")));
    json_decref(json);
}

static void people_have_the_last_word(void **state) {
    world w;
    begin(&w, *state);
    start(&w, three_rings);
    assert_int_equal(call(w.f, "POST", "/v1/rollouts/1/resume", "{}", NULL), 409);
    assert_int_equal(call(w.f, "POST", "/v1/rollouts/1/halt", "{\"reason\":\"a holiday\"}", NULL), 200);
    for (int i = 0; i < 4; i++) all_obey(&w);
    expect_state(&w, 1, "halted");
    assert_int_equal(ring_of(&w, 1), 0);
    assert_int_equal(told(&w), 1); /* who has it keeps it */
    assert_int_equal(call(w.f, "POST", "/v1/rollouts/1/resume", NULL, NULL), 200);
    all_obey(&w);
    all_obey(&w);
    assert_int_equal(ring_of(&w, 1), 1);
    assert_int_equal(call(w.f, "POST", "/v1/rollouts/1/rollback", NULL, NULL), 200);
    assert_int_equal(call(w.f, "POST", "/v1/rollouts/1/rollback", NULL, NULL), 409);
    all_obey(&w);
    all_obey(&w);
    expect_state(&w, 1, "rolled_back");
    assert_int_equal(call(w.f, "POST", "/v1/rollouts/1/halt", NULL, NULL), 404);
    assert_int_equal(call(w.f, "POST", "/v1/rollouts/7/halt", NULL, NULL), 404);
    assert_int_equal(call(w.f, "GET", "/v1/rollouts/x", NULL, NULL), 404);
    start(&w, three_rings); /* it may be tried again */
    expect_state(&w, 2, "rolling");
}

static void what_is_done_can_be_turned_back(void **state) {
    world w;
    begin(&w, *state);
    start(&w, NULL);
    for (int i = 0; i < 8; i++) all_obey(&w);
    expect_champion(&w, &w.model);
    assert_int_equal(call(w.f, "POST", "/v1/rollouts/1/rollback", "{\"reason\":\"complaints\"}", NULL), 200);
    expect_champion(&w, &w.champion);
    assert_int_equal(told(&w), 0);
    all_obey(&w);
    all_obey(&w);
    expect_state(&w, 1, "rolled_back");
    assert_int_equal(call(w.f, "POST", "/v1/rollouts/1/rollback", NULL, NULL), 409);
}

static void it_goes_on_after_a_restart(void **state) {
    world w;
    begin(&w, *state);
    start(&w, three_rings);
    for (int round = 0; round < 16; round++) {
        fixture_stop(w.f);
        fixture_start(w.f);
        all_obey(&w);
        if (round == 1) assert_int_equal(told(&w), 4);
    }
    expect_state(&w, 1, "done");
    expect_champion(&w, &w.model);
}

/* An hour without a factory is neither a time limit that is over nor a fleet that is silent. */
static void being_down_decides_nothing(void **state) {
    const char plan[] = "{\"rings\":[{\"name\":\"canary\",\"share\":0.125,\"time_max_s\":180},{\"name\":\"half\",\"share\":0.5,"
                        "\"time_max_s\":180},{\"name\":\"all\",\"share\":1,\"time_max_s\":180}]}";
    const int64_t hour_ns = 3600 * INT64_C(1000000000);
    char target[FW_HASH_HEX + 1];
    int with = 0;
    world w;
    begin(&w, *state);
    start(&w, plan);
    fixture_stop(w.f);
    w.f->faults.skip_ns += hour_ns;
    fixture_start(w.f);
    factory_ticks(w.f, 2);
    expect_state(&w, 1, "rolling"); /* 180 s are over by the clock */
    all_obey(&w);
    assert_int_equal(ring_of(&w, 1), 1);
    while (with < UNITS && w.runs[with] != w.model.hex) with++;
    fixture_stop(w.f);
    w.f->faults.skip_ns += hour_ns;
    fixture_start(w.f);
    report(&w, with, target);
    factory_ticks(w.f, 2);
    assert_int_equal(ring_of(&w, 1), 1); /* three have not said anything since: they may not have had the time */
    w.f->faults.skip_ns += hour_ns / 40;
    report(&w, with, target);
    factory_ticks(w.f, 2);
    assert_int_equal(ring_of(&w, 1), 2); /* now they are silent */
}

static void looks_when_asked(void **state) {
    world w;
    begin(&w, *state);
    start(&w, "{\"looks\":\"asked\"}");
    for (int i = 0; i < 5; i++) all_obey(&w);
    assert_int_equal(ring_of(&w, 1), 0);
    assert_int_equal(call(w.f, "POST", "/v1/rollouts/1/look", NULL, NULL), 200);
    assert_int_equal(ring_of(&w, 1), 1);
    assert_int_equal(call(w.f, "POST", "/v1/rollouts/1/look", NULL, NULL), 200);
    assert_int_equal(ring_of(&w, 1), 1); /* the next ring has not had its model yet */
    for (int i = 0; i < 4; i++) {
        all_obey(&w);
        (void)call(w.f, "POST", "/v1/rollouts/1/look", NULL, NULL);
    }
    expect_state(&w, 1, "done");
}

static void a_group_keeps_its_own(void **state) {
    world w;
    begin(&w, *state);
    start(&w, "{\"group\":[\"car-1\",\"car-2\"]}");
    for (int i = 0; i < 6; i++) all_obey(&w);
    expect_state(&w, 1, "done");
    expect_champion(&w, &w.champion);
    assert_int_equal(told(&w), 2);
    fixture_stop(w.f);
    fixture_start(w.f);
    assert_int_equal(told(&w), 2);
    start(&w, NULL); /* the whole fleet */
    for (int i = 0; i < 8; i++) all_obey(&w);
    expect_champion(&w, &w.model);
    assert_int_equal(told(&w), 8);
}

static void who_comes_late_comes_last(void **state) {
    world w;
    begin(&w, *state);
    start(&w, three_rings);
    json_t *json;
    assert_int_equal(call(w.f, "POST", "/v1/units/new/report", "{}", &json), 200);
    assert_string_equal(word(json, "target"), w.champion.hex);
    json_decref(json);
    factory_ticks(w.f, 2);
    json = rollout(&w, 1);
    assert_int_equal(json_integer_value(json_object_get(json, "units")), UNITS + 1);
    assert_int_equal(json_integer_value(json_object_get(json, "told")), 1);
    json_decref(json);
}

static void shadows_are_told(void **state) {
    world w;
    char target[FW_HASH_HEX + 1];
    int shadows = 0;
    begin(&w, *state);
    start(&w, "{\"rings\":[{\"name\":\"shadow\",\"mode\":\"shadow\",\"share\":0.25,\"ticks_min\":10},{\"name\":\"all\",\"share\":1}]}");
    assert_int_equal(told(&w), 0);
    for (int i = 0; i < UNITS; i++) {
        char path[40], body[400];
        json_t *json;
        snprintf(path, sizeof path, "/v1/units/car-%d/report", i);
        assert_int_equal(call(w.f, "POST", path, "{}", &json), 200);
        bool shadow = strcmp(word(json, "shadow"), w.model.hex) == 0;
        json_decref(json);
        shadows += shadow;
        if (!shadow) continue;
        snprintf(body, sizeof body, "{\"active\":\"%s\",\"shadow\":\"%s\",\"health\":{\"model\":\"%s\",\"ticks\":20,\"shadow_ticks\":20}}",
                 w.champion.hex, w.model.hex, w.champion.hex);
        assert_int_equal(call(w.f, "POST", path, body, NULL), 200);
    }
    assert_int_equal(shadows, 2);
    factory_ticks(w.f, 1);
    assert_int_equal(ring_of(&w, 1), 1);
    report(&w, 0, target);
    assert_string_equal(target, w.model.hex);
}

static void what_cannot_start(void **state) {
    world w;
    begin(&w, *state);
    assert_int_equal(call(w.f, "POST", "/v1/rollouts", "{}", NULL), 400);
    assert_int_equal(call(w.f, "POST", "/v1/rollouts", "no json", NULL), 400);
    assert_int_equal(start_with(&w, "{\"rings\":[]}", NULL), 400);
    assert_int_equal(start_with(&w, "5", NULL), 400);
    w.model = fw_hash_bytes("nobody", 6);
    assert_int_equal(start_with(&w, NULL, NULL), 404);
    assert_int_equal(call(w.f, "POST", "/v1/rollout-plan", "{\"alpha\":7}", NULL), 400);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {TEST(ring_by_ring),
                                       TEST(a_refusal_turns_it_back),
                                       TEST(a_fallback_turns_it_back),
                                       TEST(harm_turns_it_back),
                                       TEST(people_have_the_last_word),
                                       TEST(what_is_done_can_be_turned_back),
                                       TEST(it_goes_on_after_a_restart),
                                       TEST(being_down_decides_nothing),
                                       TEST(looks_when_asked),
                                       TEST(a_group_keeps_its_own),
                                       TEST(who_comes_late_comes_last),
                                       TEST(shadows_are_told),
                                       TEST(what_cannot_start)};
    return cmocka_run_group_tests_name("rollout", tests, NULL, NULL);
}
