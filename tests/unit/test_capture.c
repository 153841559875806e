/* Campaigns on the tick: windows around triggers, before and after, several at once, ends of drives,
 * budgets, and that all of it is the same each time. */
#include "support.h"

#include <time.h>

#include "base/random.h"
#include "lines/driving/learn/recording.h"
#include "unit/tick/capture.h"
#include "unit/tick/history.h"

enum { UNIT = 7, BRAKE_TICKS_MAX = 64 };

typedef struct rig {
    fw_unit_shared *shared;
    fw_unit_tick *tick;
    int world, unit; /* the two ends */
} rig;

static rig make_rig(const char *const *campaigns) {
    rig r = {.shared = make_shared()};
    int fds[2];
    fw_error error;
    fw_unit_tick_config config = {.unit = UNIT, .bus_path = "unused"};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    r.world = fds[0], r.unit = fds[1];
    assert_int_equal(fw_unit_tick_open(&config, r.shared, &r.tick, &error), FW_OK);
    stage_rule(r.shared, FW_POLICY_CONSTANT);
    assert_true(fw_unit_tick_take_model(r.tick));
    stage_campaigns(r.shared, "7", campaigns);
    return r;
}

static void drop_rig(rig *r) {
    fw_unit_tick_close(r->tick);
    close(r->world), close(r->unit);
    fw_unit_shared_free(r->shared);
}

/* One tick; `impact` is the accelerometer's bump, which campaigns here trigger on. */
static void live(rig *r, uint32_t drive, uint32_t tick, float impact_mps2) {
    fw_drive_obs obs;
    fw_error error;
    straight_road(drive, tick, &obs);
    obs.impact_mps2 = impact_mps2;
    send_obs(r->world, UNIT, &obs);
    assert_int_equal(fw_unit_tick_once(r->tick, r->unit, 1000, &error), FW_OK);
    (void)take_act(r->world, NULL);
}

static void say(rig *r, fw_bus_kind kind, uint32_t tick) {
    fw_error error;
    assert_int_equal(fw_bus_send(r->world, kind, UNIT, tick, NULL, 0, &error), FW_OK);
    assert_int_equal(fw_unit_tick_once(r->tick, r->unit, 1000, &error), FW_OK);
    (void)take_act(r->world, NULL);
}

/* The metadata of a capture, and that the learning half reads it as a recording like any other. */
static void check_capture(const ring_recording *file, const char *campaign, int64_t trigger_ns) {
    fw_mcap_reader *reader = NULL;
    fw_mcap_record record;
    fw_error error;
    char text[64], wanted[32];
    bool found = false;
    assert_int_equal(fw_mcap_reader_open_bytes(NULL, file->bytes, file->size_bytes, &reader, &error), FW_OK);
    while (fw_mcap_reader_next(reader, &record, &error) == FW_OK) {
        fw_mcap_text value;
        if (record.opcode != FW_MCAP_METADATA) continue;
        assert_true(fw_mcap_map_find(record.of.metadata.map, "campaign", &value));
        assert_true(fw_mcap_text_is(value, campaign));
        assert_true(fw_mcap_map_find(record.of.metadata.map, "trigger_ns", &value));
        assert_true(fw_mcap_text_copy(value, text, sizeof text));
        snprintf(wanted, sizeof wanted, "%lld", (long long)trigger_ns);
        assert_string_equal(text, wanted);
        found = true;
    }
    assert_true(found);
    fw_mcap_reader_close(reader);
    assert_int_equal(fw_mcap_validate_bytes(NULL, file->bytes, file->size_bytes, NULL, &error), FW_OK);
    assert_string_equal(file->begin.campaign, campaign);
    assert_int_equal(file->begin.trigger_ns, trigger_ns);
}

static void check_readable(const ring_recording *file) {
    fw_drive_recording *recording = NULL;
    fw_error error;
    fw_status status =
        fw_drive_recording_parse(file->bytes, file->size_bytes, &recording, &error);
    if (status != FW_OK) fail_msg("%s", error.text);
    fw_drive_recording_free(recording);
}

static int64_t ns(uint32_t tick) { return (int64_t)tick * 100000000; }

static const char *const bump[] = {
    "{\"id\":\"bump\",\"when\":\"/ego.impact_mps2 > 5\",\"before_s\":3,\"after_s\":2,\"priority\":40}",
    NULL};

static void test_before_and_after(void **state) {
    (void)state;
    rig r = make_rig(bump);
    for (uint32_t i = 0; i < 200; i++) live(&r, 1, i, i == 100 ? 9 : 0);
    assert_int_equal(atomic_load(&r.shared->captures), 1); /* long before the drive's end */
    ring_recording file = take_stream(r.shared, FW_UNIT_CAPTURE);
    assert_true(file.ended);
    assert_int_equal(file.first_tick, 70);
    assert_int_equal(file.ticks, 51); /* 70 to 120 */
    assert_int_equal(file.first_ns, ns(70));
    assert_int_equal(file.last_ns, ns(120));
    assert_int_equal(file.begin.priority, 40);
    assert_true(file.begin.mono_ns > 0 && file.begin.wall_ns > 0);
    check_capture(&file, "bump", ns(100));
    check_readable(&file);
    free(file.bytes);
    drop_rig(&r);
}

/* Seconds that a float cannot hold: 0.7 is a little less, 0.1 a little more. */
static void test_seconds_are_counted_to_the_millisecond(void **state) {
    (void)state;
    static const char *const short_ones[] = {
        "{\"id\":\"bump\",\"when\":\"/ego.impact_mps2 > 5\",\"before_s\":0.7,\"after_s\":0.1}", NULL};
    rig r = make_rig(short_ones);
    for (uint32_t i = 0; i < 60; i++) live(&r, 1, i, i == 30 ? 9 : 0);
    ring_recording file = take_stream(r.shared, FW_UNIT_CAPTURE);
    assert_true(file.ended);
    assert_int_equal(file.first_tick, 23);
    assert_int_equal(file.ticks, 9);
    free(file.bytes);
    drop_rig(&r);
}

static void test_a_trigger_again_makes_it_longer(void **state) {
    (void)state;
    rig r = make_rig(bump);
    for (uint32_t i = 0; i < 200; i++) live(&r, 1, i, i == 100 || i == 115 || i == 130 ? 9 : 0);
    ring_recording file = take_stream(r.shared, FW_UNIT_CAPTURE);
    assert_int_equal(file.first_tick, 70);
    assert_int_equal(file.ticks, 81); /* to 150 */
    check_capture(&file, "bump", ns(100));
    free(file.bytes);
    assert_false(take_stream(r.shared, FW_UNIT_CAPTURE).ended);
    drop_rig(&r);
    r = make_rig(bump); /* for ever: cut at the stated maximum */
    for (uint32_t i = 0; i < 1500; i++) live(&r, 1, i, i >= 100 ? 9 : 0);
    file = take_stream(r.shared, FW_UNIT_CAPTURE);
    assert_int_equal(file.first_tick, 70);
    assert_int_equal(file.ticks, FW_UNIT_CAPTURE_MAX_S * 10 + 1);
    free(file.bytes);
    drop_rig(&r);
}

static void test_the_end_of_a_drive_completes_it(void **state) {
    (void)state;
    for (int how = 0; how < 3; how++) {
        rig r = make_rig(bump);
        for (uint32_t i = 0; i < 105; i++) live(&r, 1, i, i == 100 ? 9 : 0);
        if (how == 0) say(&r, FW_BUS_END, 105);
        if (how == 1) say(&r, FW_BUS_FLUSH, 105);
        if (how == 2) /* its END was lost: written while the next drive goes on */
            for (uint32_t i = 105; i < 140; i++) live(&r, 2, i, 0);
        assert_int_equal(atomic_load(&r.shared->captures), 1);
        ring_recording file = take_stream(r.shared, FW_UNIT_CAPTURE);
        assert_int_equal(file.first_tick, 70);
        assert_int_equal(file.ticks, 35); /* 70 to 104 */
        check_capture(&file, "bump", ns(100));
        check_readable(&file);
        free(file.bytes);
        drop_rig(&r);
    }
}

static void test_seconds_before_stop_at_the_drives_beginning(void **state) {
    (void)state;
    rig r = make_rig(bump);
    for (uint32_t i = 0; i < 50; i++) live(&r, 1, i, 0);
    for (uint32_t i = 50; i < 100; i++) live(&r, 2, i, i == 60 ? 9 : 0);
    ring_recording file = take_stream(r.shared, FW_UNIT_CAPTURE);
    assert_int_equal(file.first_tick, 50);
    assert_int_equal(file.ticks, 31); /* 50 to 80 */
    check_readable(&file);
    free(file.bytes);
    drop_rig(&r);
}

static void test_many_campaigns_at_once(void **state) {
    (void)state;
    static char texts[FW_CAMPAIGNS_MAX][200];
    const char *list[FW_CAMPAIGNS_MAX + 1] = {NULL};
    for (int i = 0; i < FW_CAMPAIGNS_MAX; i++) {
        snprintf(texts[i], sizeof texts[i],
                 "{\"id\":\"c%d\",\"when\":\"/ego.impact_mps2 > 5\",\"before_s\":60,\"after_s\":60}", i);
        list[i] = texts[i];
    }
    rig r = make_rig(list);
    bool seen[FW_CAMPAIGNS_MAX] = {false};
    for (uint32_t i = 0; i < 2600; i++) {
        live(&r, 1, i, i == 650 ? 9 : 0);
        ring_recording routine = take_stream(r.shared, FW_UNIT_STREAM_COUNT); /* nothing: empties */
        free(routine.bytes);
    }
    assert_int_equal(atomic_load(&r.shared->captures), FW_CAMPAIGNS_MAX);
    assert_int_equal(atomic_load(&r.shared->missed_ticks), 0);
    drop_rig(&r);
    r = make_rig(list); /* again, with a look at each */
    for (uint32_t i = 0; i < 1300; i++) live(&r, 1, i, i == 650 ? 9 : 0);
    say(&r, FW_BUS_END, 1300);
    assert_true(atomic_load(&r.shared->captures) < FW_CAMPAIGNS_MAX); /* END waits for some only */
    fw_unit_tick_end_recording(r.tick);
    for (int i = 0; i < FW_CAMPAIGNS_MAX; i++) {
        ring_recording file = take_stream(r.shared, FW_UNIT_CAPTURE);
        assert_true(file.ended);
        assert_int_equal(file.first_tick, 50);
        assert_int_equal(file.ticks, 1201);
        int number = atoi(file.begin.campaign + 1);
        assert_false(seen[number]);
        seen[number] = true;
        free(file.bytes);
    }
    drop_rig(&r);
}

static void test_budgets_and_new_lists(void **state) {
    (void)state;
    static const char *const twice[] = {
        "{\"id\":\"bump\",\"when\":\"/ego.impact_mps2 > 5\",\"before_s\":1,\"after_s\":1,\"budget_count\":2}",
        NULL};
    static const char *const more[] = {
        "{\"id\":\"other\",\"when\":\"/ego.speed_mps > 100\"}",
        "{\"id\":\"bump\",\"when\":\"/ego.impact_mps2 > 5\",\"before_s\":1,\"after_s\":1,\"budget_count\":3}",
        NULL};
    static const char *const none[] = {NULL};
    rig r = make_rig(twice);
    for (uint32_t i = 0; i < 300; i++) live(&r, 1, i, i % 60 == 30 ? 9 : 0);
    assert_int_equal(atomic_load(&r.shared->captures), 2);
    stage_campaigns(r.shared, "7", more); /* counts stay with the campaign */
    for (uint32_t i = 300; i < 600; i++) live(&r, 1, i, i % 60 == 30 ? 9 : 0);
    assert_int_equal(atomic_load(&r.shared->captures), 3);
    assert_int_equal(atomic_load(&r.shared->campaign_active), 2);
    stage_campaigns(r.shared, "7", none);
    stage_campaigns(r.shared, "7", bump);
    r.shared->sets[0].set.list[0].id[0] ^= 1; /* sequence 4: bent; the one before goes on */
    for (uint32_t i = 600; i < 700; i++) live(&r, 1, i, i % 60 == 30 ? 9 : 0);
    assert_int_equal(atomic_load(&r.shared->campaign_active), 2);
    stage_campaigns(r.shared, "7", none);
    for (uint32_t i = 700; i < 800; i++) live(&r, 1, i, i % 60 == 30 ? 9 : 0);
    assert_int_equal(atomic_load(&r.shared->campaign_active), 5);
    assert_int_equal(atomic_load(&r.shared->captures), 3);
    drop_rig(&r);
}

/* What a campaign captured before this process still counts. */
static void test_budgets_over_a_restart(void **state) {
    (void)state;
    static const char *const twice[] = {
        "{\"id\":\"bump\",\"when\":\"/ego.impact_mps2 > 5\",\"before_s\":1,\"after_s\":1,\"budget_count\":2}",
        NULL};
    rig r = make_rig(twice);
    strcpy(r.shared->spent[0].campaign, "bump");
    atomic_store(&r.shared->spent[0].captures, 1);
    atomic_store(&r.shared->spent_count, 1);
    for (uint32_t i = 0; i < 300; i++) live(&r, 1, i, i % 60 == 30 ? 9 : 0);
    assert_int_equal(atomic_load(&r.shared->captures), 1);
    drop_rig(&r);
}

/* A tick process dies: what it had not handed over yet is counted by the one that follows. */
static void test_the_ticks_of_a_dead_process_are_counted(void **state) {
    (void)state;
    static const char *const none[] = {NULL};
    rig r = make_rig(none);
    fw_unit_tick_config config = {.unit = UNIT, .bus_path = "unused"};
    fw_unit_tick *next = NULL;
    fw_error error;
    for (uint32_t i = 0; i < 20; i++) live(&r, 1, i, 0);
    say(&r, FW_BUS_END, 20);
    assert_int_equal(atomic_load(&r.shared->unhanded_ticks), 0); /* whole */
    for (uint32_t i = 0; i < 5; i++) live(&r, 2, i, 0);
    assert_int_equal(atomic_load(&r.shared->lost_ticks), 0);
    assert_int_equal(fw_unit_tick_open(&config, r.shared, &next, &error), FW_OK);
    assert_int_equal(atomic_load(&r.shared->lost_ticks), 5);
    fw_unit_tick_close(next);
    drop_rig(&r);
}

static void test_the_same_drive_gives_the_same_capture(void **state) {
    (void)state;
    ring_recording files[2];
    for (int round = 0; round < 2; round++) {
        rig r = make_rig(bump);
        for (uint32_t i = 0; i < 20u * (uint32_t)round; i++) live(&r, 9, i, 0); /* another past */
        for (uint32_t i = 100; i < 300; i++) live(&r, 1, i, i == 200 ? 9 : 0);
        files[round] = take_stream(r.shared, FW_UNIT_CAPTURE);
        drop_rig(&r);
    }
    assert_int_equal(files[0].size_bytes, files[1].size_bytes);
    assert_memory_equal(files[0].bytes, files[1].bytes, files[0].size_bytes);
    free(files[0].bytes), free(files[1].bytes);
}

/* The ring of the last ticks against a plain list. */
static void test_history_against_a_list(void **state) {
    (void)state;
    enum { PUSHES = 20000 };
    fw_unit_history *h = NULL;
    fw_error error;
    uint64_t seed = (uint64_t)time(NULL);
    printf("seed %llu\n", (unsigned long long)seed);
    fw_random random = fw_random_named(seed, "history");
    static uint8_t obs[FW_DRIVE_OBS_WIRE_MAX];
    static uint32_t sizes[PUSHES];
    assert_int_equal(fw_unit_history_open(&h, &error), FW_OK);
    for (uint32_t i = 0; i < PUSHES; i++) {
        uint32_t most = i / 4000 % 2 == 0 ? FW_DRIVE_OBS_WIRE_MAX : 200;
        sizes[i] = 8 + fw_random_below(&random, most - 8);
        fw_unit_past past = {.obs_bytes = sizes[i], .run = i};
        memset(obs, (int)(i & 255), sizes[i]);
        fw_unit_history_push(h, &past, obs);
        uint64_t oldest = fw_unit_history_oldest(h), next = fw_unit_history_next(h);
        assert_int_equal(next, i + 1);
        assert_true(next - oldest <= FW_UNIT_HISTORY_TICKS);
        if (i > FW_UNIT_HISTORY_TICKS) assert_true(next - oldest >= 1800); /* 8 MiB of the largest */
        uint64_t at = oldest + fw_random_below(&random, (uint32_t)(next - oldest));
        const void *wire;
        const fw_unit_past *got = fw_unit_history_get(h, at, &wire);
        assert_int_equal(got->run, at);
        assert_int_equal(got->obs_bytes, sizes[at]);
        assert_int_equal(((const uint8_t *)wire)[0], at & 255);
        assert_int_equal(((const uint8_t *)wire)[got->obs_bytes - 1], at & 255);
    }
    fw_unit_history_close(h);
}

/* The densest tick the bus can say. */
static void dense(uint32_t tick, fw_drive_obs *obs) {
    straight_road(1, tick, obs);
    obs->path_count = FW_DRIVE_PATH_MAX;
    for (uint32_t i = 0; i < obs->path_count; i++)
        obs->path[i] = (fw_drive_point){(float)(obs->path_first + i) * FW_DRIVE_GRID_M, 0, 3.2f, 13.9f};
    obs->user_count = FW_DRIVE_USERS_MAX;
    for (uint32_t i = 0; i < obs->user_count; i++)
        obs->users[i] = (fw_drive_user){.id = i, .lane = i, .x_m = obs->x_m + 8 + (float)i, .y_m = 5,
                                        .speed_mps = 7.123f, .length_m = 4.5f, .width_m = 1.8f};
    obs->conflict_count = FW_DRIVE_CONFLICTS_MAX;
    for (uint32_t i = 0; i < obs->conflict_count; i++)
        obs->conflicts[i] = (fw_drive_conflict){.user = i, .enter_s_m = obs->s_m + 10,
                                                .exit_s_m = obs->s_m + 15, .foe_enter_m = 12.345f,
                                                .foe_exit_m = 17.89f};
}

/* Not asserted: printed, for docs/unit.md. One drive in the densest traffic, 16 captures of 120 s. */
static void test_print_the_worst_tick(void **state) {
    (void)state;
    static char texts[FW_CAMPAIGNS_MAX][200];
    const char *list[FW_CAMPAIGNS_MAX + 1] = {NULL};
    for (int i = 0; i < FW_CAMPAIGNS_MAX; i++) {
        snprintf(texts[i], sizeof texts[i],
                 "{\"id\":\"c%d\",\"when\":\"/ego.impact_mps2 > 5\",\"before_s\":60,\"after_s\":60}", i);
        list[i] = texts[i];
    }
    rig r = make_rig(list);
    uint64_t worst_idle_ns = 0;
    for (uint32_t i = 0; i < 2400; i++) {
        fw_drive_obs obs;
        fw_error error;
        dense(i, &obs);
        if (i == 650) obs.impact_mps2 = 9;
        send_obs(r.world, UNIT, &obs);
        assert_int_equal(fw_unit_tick_once(r.tick, r.unit, 1000, &error), FW_OK);
        (void)take_act(r.world, NULL);
        if (i == 640) worst_idle_ns = atomic_exchange(&r.shared->worst_tick_ns, 0);
        free(take_stream(r.shared, FW_UNIT_STREAM_COUNT).bytes); /* empties the ring */
    }
    printf("worst tick, densest traffic: %llu us while %u captures of 120 s were made and written, "
           "%llu us before\n", (unsigned long long)atomic_load(&r.shared->worst_tick_ns) / 1000,
           (unsigned)atomic_load(&r.shared->captures), (unsigned long long)worst_idle_ns / 1000);
    drop_rig(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_before_and_after),
        cmocka_unit_test(test_seconds_are_counted_to_the_millisecond),
        cmocka_unit_test(test_a_trigger_again_makes_it_longer),
        cmocka_unit_test(test_the_end_of_a_drive_completes_it),
        cmocka_unit_test(test_seconds_before_stop_at_the_drives_beginning),
        cmocka_unit_test(test_many_campaigns_at_once),
        cmocka_unit_test(test_budgets_and_new_lists),
        cmocka_unit_test(test_budgets_over_a_restart),
        cmocka_unit_test(test_the_ticks_of_a_dead_process_are_counted),
        cmocka_unit_test(test_the_same_drive_gives_the_same_capture),
        cmocka_unit_test(test_history_against_a_list),
        cmocka_unit_test(test_print_the_worst_tick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
