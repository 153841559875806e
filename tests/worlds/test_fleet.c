/* The bus server against a fake world and units in threads: who is told what, and in which order. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "bus/bus.h"
#include "fake_world.h"
#include "worlds/fleet/lines.h"

enum { UNITS = 2, FRAMES_MAX = 200, CONNECT_MS = 5000, RECEIVE_MS = 10000 };

/* One unit: answers every frame and keeps what it saw. */
typedef struct fake_unit {
    pthread_t thread;
    uint32_t number;
    const char *bus;
    uint32_t leave_after;  /* hangs up after so many frames, then comes back once; 0: never */
    uint32_t late_at;      /* answers this frame only after 350 ms; 0: never */
    uint32_t poison_at;    /* its answer to this frame is not finite; 0: never */
    bool came_back;
    uint32_t count;
    struct { uint32_t kind, tick, drive; int64_t time_ns; float impact; } frames[FRAMES_MAX];
} fake_unit;

static void keep(fake_unit *u, const fw_bus_head *head, const unsigned char *payload) {
    fw_drive_obs obs = {0};
    if (head->kind == FW_BUS_OBSERVE)
        assert_int_equal(fw_drive_obs_decode(payload, head->size_bytes, &obs, NULL), FW_OK);
    assert_true(u->count < FRAMES_MAX);
    u->frames[u->count].kind = head->kind;
    u->frames[u->count].tick = head->tick;
    u->frames[u->count].drive = obs.drive;
    u->frames[u->count].time_ns = obs.time_ns;
    u->frames[u->count++].impact = obs.impact_mps2;
}

static fw_status answer(fake_unit *u, int fd, const fw_bus_head *head) {
    struct { fw_bus_act act; fw_drive_action action; } out;
    memset(&out, 0, sizeof out);
    out.act.recordings = head->kind == FW_BUS_OBSERVE ? 0 : 7;
    out.act.acted = head->kind == FW_BUS_OBSERVE;
    out.act.vetoed = u->number == 1;
    out.action = (fw_drive_action){0.5f + (float)u->number, 0.02f};
    if (u->count == u->poison_at) out.action.accel_mps2 = NAN;
    out.act.model = fw_hash_bytes("model", 5);
    size_t size = sizeof out.act + (out.act.acted ? sizeof out.action : 0);
    return fw_bus_send(fd, FW_BUS_ACT, u->number, head->tick, &out, size, NULL);
}

static void *unit_main(void *self) {
    fake_unit *u = self;
    unsigned char payload[FW_BUS_PAYLOAD_MAX];
    fw_bus_head head;
    int fd = -1;
    assert_int_equal(fw_bus_connect(u->bus, u->number, "driving", CONNECT_MS, &fd, NULL), FW_OK);
    while (fw_bus_receive(fd, &head, payload, RECEIVE_MS, NULL) == FW_OK) {
        keep(u, &head, payload);
        if (u->leave_after && u->count == u->leave_after) {
            u->leave_after = 0;
            close(fd);
            assert_int_equal(fw_bus_connect(u->bus, u->number, "driving", CONNECT_MS, &fd, NULL),
                             FW_OK);
            u->came_back = true;
            continue;
        }
        if (u->count == u->late_at) usleep(350000);
        if (answer(u, fd, &head) != FW_OK) break;
    }
    close(fd);
    return NULL;
}

/* A whole served session: commands in, events out. */
typedef struct session {
    fake_unit unit[UNITS];
    char bus[64], folder[32];
    fw_status status;
    fw_error error;
    json_t *events[64];
    uint32_t event_count;
    int commands_fd, events_fd;
    bool realtime;
} session;

static void set_up(session *s) {
    memset(s, 0, sizeof *s);
    memset(&fake, 0, sizeof fake);
    fake.desync_car = FW_WORLD_CARS_MAX;
    snprintf(s->folder, sizeof s->folder, "/tmp/fw-fleet-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    snprintf(s->bus, sizeof s->bus, "%s/bus", s->folder);
    for (uint32_t i = 0; i < UNITS; i++) s->unit[i].number = i, s->unit[i].bus = s->bus;
}

/* The conductor: keeps the events, and quits once the world has paused. */
static void *conduct(void *self) {
    session *s = self;
    char line[4096];
    FILE *in = fdopen(s->events_fd, "r");
    while (fgets(line, sizeof line, in)) {
        json_t *event = json_loads(line, 0, NULL);
        assert_non_null(event);
        assert_true(s->event_count < 64);
        s->events[s->event_count++] = event;
        if (strcmp(json_string_value(json_object_get(event, "event")), "paused") == 0)
            assert_int_equal(write(s->commands_fd, "quit\n", 5), 5);
    }
    fclose(in);
    return NULL;
}

static void serve(session *s, const char *command, uint64_t seed) {
    int in[2], out[2];
    pthread_t conductor;
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    assert_int_equal(write(in[1], command, strlen(command)), (ssize_t)strlen(command));
    s->commands_fd = in[1];
    s->events_fd = out[0];
    fw_fleet_config config = {.network = "acosta", .seed = seed, .cars = UNITS, .bus_path = s->bus,
                              .in_fd = in[0], .out_fd = out[1], .realtime = s->realtime,
                              .env = fw_env_real()};
    for (uint32_t i = 0; i < UNITS; i++)
        assert_int_equal(pthread_create(&s->unit[i].thread, NULL, unit_main, &s->unit[i]), 0);
    assert_int_equal(pthread_create(&conductor, NULL, conduct, s), 0);
    s->status = fw_fleet_serve(&config, &s->error);
    close(out[1]);
    for (uint32_t i = 0; i < UNITS; i++) pthread_join(s->unit[i].thread, NULL);
    pthread_join(conductor, NULL);
    close(in[0]);
    close(in[1]);
}

static void tear_down(session *s) {
    for (uint32_t i = 0; i < s->event_count; i++) json_decref(s->events[i]);
    unlink(s->bus);
    rmdir(s->folder);
}

static const json_t *event_named(const session *s, const char *name) {
    for (uint32_t i = 0; i < s->event_count; i++)
        if (strcmp(json_string_value(json_object_get(s->events[i], "event")), name) == 0)
            return s->events[i];
    return NULL;
}

static json_int_t of_unit(const json_t *paused, size_t unit, const char *name) {
    return json_integer_value(
        json_object_get(json_array_get(json_object_get(paused, "units"), unit), name));
}

static void run_observes_acts_and_flushes(void **state) {
    (void)state;
    session s;
    set_up(&s);
    serve(&s, "run 5\n", 7);
    assert_int_equal(s.status, FW_OK);
    assert_int_equal(json_integer_value(json_object_get(event_named(&s, "ready"), "units")), UNITS);
    for (int i = 0; i < UNITS; i++) {
        assert_int_equal(s.unit[i].count, 6);
        for (uint32_t f = 0; f < 5; f++) {
            assert_int_equal(s.unit[i].frames[f].kind, FW_BUS_OBSERVE);
            assert_int_equal(s.unit[i].frames[f].tick, f);
        }
        assert_int_equal(s.unit[i].frames[5].kind, FW_BUS_FLUSH);
        assert_true(fabsf(fake.last[i].accel_mps2 - (0.5f + (float)i)) < 1e-6f);
    }
    const json_t *paused = event_named(&s, "paused");
    assert_int_equal(json_integer_value(json_object_get(paused, "tick")), 5);
    assert_int_equal(of_unit(paused, 0, "ticks"), 5);
    assert_int_equal(of_unit(paused, 0, "vetoes"), 0);
    assert_int_equal(of_unit(paused, 1, "vetoes"), 5);
    assert_int_equal(of_unit(paused, 1, "recordings"), 7);
    tear_down(&s);
}

static void go_leaves_recordings_open(void **state) {
    (void)state;
    session s;
    set_up(&s);
    serve(&s, "go 3\n", 7);
    assert_int_equal(s.status, FW_OK);
    assert_int_equal(s.unit[0].count, 3);
    assert_non_null(event_named(&s, "paused"));
    tear_down(&s);
}

static void a_bump_is_felt_then_the_drive_ends(void **state) {
    (void)state;
    session s;
    set_up(&s);
    fake.drive_ticks = 3;
    fake.bump = true;
    serve(&s, "run 4\n", 7);
    const uint32_t kinds[] = {FW_BUS_OBSERVE, FW_BUS_OBSERVE, FW_BUS_OBSERVE, FW_BUS_OBSERVE,
                              FW_BUS_END, FW_BUS_OBSERVE, FW_BUS_FLUSH};
    assert_int_equal(s.unit[0].count, 7);
    for (int f = 0; f < 7; f++) assert_int_equal(s.unit[0].frames[f].kind, kinds[f]);
    assert_true(s.unit[0].frames[2].impact == 0);
    assert_true(s.unit[0].frames[3].impact > 0);
    assert_int_equal(s.unit[0].frames[3].drive, 0);
    assert_int_equal(s.unit[0].frames[5].drive, 1);
    const json_t *drives = json_object_get(event_named(&s, "paused"), "drives");
    assert_int_equal(json_integer_value(json_object_get(drives, "collisions")), UNITS);
    tear_down(&s);
}

/* The end of the training hours is no fault: as often as it comes, and told as planned. */
static void hours_that_are_over_begin_anew(void **state) {
    (void)state;
    session s;
    set_up(&s);
    fake.over_at_tick = 2;
    serve(&s, "run 30\n", 31);
    assert_int_equal(s.status, FW_OK);
    assert_true(json_is_true(json_object_get(event_named(&s, "restarted"), "planned")));
    assert_true(fake.opened > 10);
    tear_down(&s);
}

static void a_dead_sumo_is_replaced_and_nothing_goes_back(void **state) {
    (void)state;
    session s;
    set_up(&s);
    fake.die_at_tick = 3;
    serve(&s, "run 6\n", 7);
    assert_int_equal(s.status, FW_OK);
    assert_non_null(event_named(&s, "restarted"));
    assert_int_equal(fake.opened, 2);
    assert_true(fake.seeds[0] != fake.seeds[1]);
    assert_false(fake.seeds[1] & FW_SEED_SEALED);
    const fake_unit *u = &s.unit[0];
    bool ended = false;
    for (uint32_t f = 1; f < u->count; f++) {
        ended = ended || u->frames[f].kind == FW_BUS_END;
        assert_true(u->frames[f].tick >= u->frames[f - 1].tick);
        if (u->frames[f].kind != FW_BUS_OBSERVE || u->frames[f - 1].kind != FW_BUS_OBSERVE) continue;
        assert_true(u->frames[f].time_ns > u->frames[f - 1].time_ns);
    }
    assert_true(ended);
    assert_true(u->frames[u->count - 2].drive > u->frames[0].drive);
    assert_true(u->frames[u->count - 2].time_ns > u->frames[0].time_ns);
    tear_down(&s);
}

static void a_unit_that_hangs_up_may_come_back(void **state) {
    (void)state;
    session s;
    set_up(&s);
    s.unit[1].leave_after = 2;
    serve(&s, "run 100\n", 7);
    assert_int_equal(s.status, FW_OK);
    assert_true(s.unit[1].came_back);
    assert_true(of_unit(event_named(&s, "paused"), 0, "ticks") == 100);
    assert_true(of_unit(event_named(&s, "paused"), 1, "ticks") < 100);
    tear_down(&s);
}

static void an_action_that_is_no_number_cuts_the_unit_off(void **state) {
    (void)state;
    session s;
    set_up(&s);
    s.unit[1].poison_at = 2;
    serve(&s, "run 4\n", 7);
    assert_int_equal(s.status, FW_OK);
    assert_int_equal(s.unit[1].count, 2);
    assert_true(of_unit(event_named(&s, "paused"), 1, "cuts") == 1);
    assert_true(of_unit(event_named(&s, "paused"), 0, "cuts") == 0);
    assert_true(fabsf(fake.last[1].accel_mps2 - FW_FLEET_LOST_ACCEL_MPS2) < 1e-6f);
    assert_true(fabsf(fake.last[1].curvature_pm - 0.01f) < 1e-6f);
    tear_down(&s);
}

static void in_realtime_a_late_answer_is_a_miss_and_thrown_away(void **state) {
    (void)state;
    session s;
    set_up(&s);
    s.realtime = true;
    s.unit[1].late_at = 2;
    serve(&s, "run 8\n", 7);
    assert_int_equal(s.status, FW_OK);
    const json_t *paused = event_named(&s, "paused");
    assert_true(of_unit(paused, 1, "misses") >= 1);
    assert_true(of_unit(paused, 1, "ticks") < 8);
    assert_true(json_is_true(json_object_get(
        json_array_get(json_object_get(paused, "units"), 1), "connected")));
    for (uint32_t f = 1; f < s.unit[1].count; f++) /* it never saw a tick twice or out of order */
        assert_true(s.unit[1].frames[f].tick > s.unit[1].frames[f - 1].tick);
    tear_down(&s);
}

/* The city's conditions: before a run and in the middle of it; a wrong one changes nothing; a new SUMO has them too. */
static void shifts_reach_the_world_and_stay(void **state) {
    (void)state;
    session s;
    set_up(&s);
    fake.die_at_tick = 3;
    serve(&s, "shift demand 2\nshift weather 1\nrun 8\nshift left-hand on, kind van:0.5\n", 7);
    assert_int_equal(s.status, FW_OK);
    assert_int_equal(fake.shifts, 2);
    assert_int_equal(fake.opened, 2);
    assert_true(fake.conditions.demand == 2 && fake.conditions.left_hand && fake.conditions.kind_share == 0.5);
    assert_string_equal(fake.conditions.kind, "van");
    const json_t *shifted = event_named(&s, "shifted");
    assert_int_equal(json_integer_value(json_object_get(shifted, "tick")), 0);
    assert_string_equal(json_string_value(json_object_get(shifted, "conditions")),
                        "demand 2, traffic 0, kind car:0, left-hand off");
    assert_non_null(strstr(json_string_value(json_object_get(event_named(&s, "error"), "error")), "weather"));
    tear_down(&s);
}

static void sealed_seeds_are_refused(void **state) {
    (void)state;
    fw_fleet_config config = {.network = "acosta", .seed = FW_SEED_SEALED | 3, .cars = 1,
                              .bus_path = "/nowhere", .env = fw_env_real()};
    fw_error error;
    assert_int_equal(fw_fleet_serve(&config, &error), FW_INVALID);
    assert_non_null(strstr(error.text, "examiner"));
}

static void bad_commands_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"", "run", "run ", "run 0", "run -1", "run 1x", "RUN 1",
                                      "quit now", "run 99999999999999999999", "go"};
    fw_fleet_command command;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(fw_fleet_command_parse(bad[i], &command, NULL), FW_INVALID);
    assert_int_equal(fw_fleet_command_parse("run 12", &command, NULL), FW_OK);
    assert_int_equal(command.ticks, 12);
    assert_int_equal(fw_fleet_command_parse("shift demand 2", &command, NULL), FW_OK);
    assert_int_equal(command.word, FW_FLEET_SHIFT);
    assert_string_equal(command.conditions, "demand 2");
}

static void a_line_too_long_is_skipped_whole(void **state) {
    (void)state;
    int in[2], out[2];
    char text[600];
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    memset(text, 'x', sizeof text);
    memcpy(text + 500, "\nrun 3\n", 7);
    assert_int_equal(write(in[1], text, 507), 507);
    fw_fleet_lines lines = {.in_fd = in[0], .out_fd = out[1]};
    fw_fleet_command command = fw_fleet_lines_next(&lines, 1000);
    assert_int_equal(command.word, FW_FLEET_RUN);
    assert_int_equal(command.ticks, 3);
    close(in[1]);
    assert_int_equal(fw_fleet_lines_next(&lines, 1000).word, FW_FLEET_QUIT);
    close(in[0]), close(out[0]), close(out[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_observes_acts_and_flushes),
        cmocka_unit_test(go_leaves_recordings_open),
        cmocka_unit_test(shifts_reach_the_world_and_stay),
        cmocka_unit_test(a_bump_is_felt_then_the_drive_ends),
        cmocka_unit_test(hours_that_are_over_begin_anew),
        cmocka_unit_test(a_dead_sumo_is_replaced_and_nothing_goes_back),
        cmocka_unit_test(a_unit_that_hangs_up_may_come_back),
        cmocka_unit_test(an_action_that_is_no_number_cuts_the_unit_off),
        cmocka_unit_test(in_realtime_a_late_answer_is_a_miss_and_thrown_away),
        cmocka_unit_test(sealed_seeds_are_refused),
        cmocka_unit_test(bad_commands_are_refused),
        cmocka_unit_test(a_line_too_long_is_skipped_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
