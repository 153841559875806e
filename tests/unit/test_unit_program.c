/* The whole program as a user starts it: a world on the bus, a factory over HTTP, children killed,
 * the factory away, stop and start. Nothing handed over may be lost. */
#include "support.h"

#include "program.h"
#include "unit/courier/courier.h"

static void test_lives_records_uploads_and_stops(void **state) {
    (void)state;
    rig r = {.record = NULL};
    make_rig(&r);
    int fd = accept_unit(&r);
    fw_bus_act act = drive(fd, 1, 0, 100);
    assert_string_equal(act.model.hex, r.factory.target.hex);
    assert_int_equal(say(fd, FW_BUS_FLUSH, 100).recordings, 1);
    drive(fd, 1, 100, 50);
    assert_int_equal(say(fd, FW_BUS_END, 150).recordings, 2);
    await_objects(&r.factory, 2);
    aim(&r.factory, FW_POLICY_IDM); /* a new model reaches the tick by itself */
    fw_hash target = r.factory.target;
    for (uint32_t i = 0; i < PATIENCE_S * 50; i++) {
        act = drive(fd, 2, 200 + i, 1);
        if (strcmp(act.model.hex, target.hex) == 0) break;
        usleep(20000);
    }
    assert_string_equal(act.model.hex, target.hex);
    for (int i = 0; i < PATIENCE_S * 50 && !signs(&r.factory, &target); i++) usleep(20000);
    assert_true(signs(&r.factory, &target));
    drive(fd, 3, 9000, 60); /* watched to the end */
    stop_unit(&r); /* closes the recording and keeps it */
    close(fd);
    uint32_t before = object_count(&r.factory);
    start_unit(&r);
    fd = accept_unit(&r);
    for (int i = 0; i < PATIENCE_S * 50 && object_count(&r.factory) < 4; i++) usleep(20000);
    assert_true(object_count(&r.factory) >= 4 && before <= object_count(&r.factory));
    stop_unit(&r);
    close(fd);
    drop_rig(&r);
}

static void test_children_die_and_the_factory_goes_away(void **state) {
    (void)state;
    rig r = {.record = NULL};
    make_rig(&r);
    int fd = accept_unit(&r);
    drive(fd, 1, 0, 60);
    assert_int_equal(say(fd, FW_BUS_END, 60).recordings, 1);
    await_objects(&r.factory, 1);
    stop_factory(&r.factory);
    for (uint32_t i = 0; i < 3; i++) { /* the tick is kept without a factory */
        drive(fd, 2 + i, 100 * (i + 1), 40);
        assert_int_equal(say(fd, FW_BUS_END, 0).recordings, 2 + i);
    }
    pid_t courier = child_pid(&r, 1);
    assert_true(courier > 0);
    kill(courier, SIGKILL);
    drive(fd, 7, 1000, 40); /* meanwhile */
    assert_int_equal(say(fd, FW_BUS_END, 0).recordings, 5);
    pid_t tick = child_pid(&r, 0);
    drive(fd, 8, 2000, 40); /* this one dies with its tick */
    for (int i = 0; i < PATIENCE_S * 50 && child_pid(&r, 1) == 0; i++) usleep(20000);
    kill(tick, SIGKILL);
    close(fd);
    fd = accept_unit(&r); /* the next tick comes back by itself */
    drive(fd, 9, 3000, 40);
    assert_int_equal(say(fd, FW_BUS_END, 0).recordings, 6);
    start_factory(&r.factory);
    await_objects(&r.factory, 6);
    stop_unit(&r);
    close(fd);
    assert_int_equal(object_count(&r.factory), 6);
    drop_rig(&r);
}

static void test_a_power_cut_keeps_what_was_closed(void **state) {
    (void)state;
    rig r = {.record = NULL};
    make_rig(&r);
    int fd = accept_unit(&r);
    drive(fd, 1, 0, 60); /* connected, so the model is on disk */
    stop_factory(&r.factory);
    assert_int_equal(say(fd, FW_BUS_END, 60).recordings, 1);
    char spool[128];
    snprintf(spool, sizeof spool, "%s/spool", r.data);
    for (int i = 0; i < PATIENCE_S * 50 && fw_folder_size_bytes(spool) == 0; i++) usleep(20000);
    usleep(300000);
    kill(r.unit, SIGKILL); /* takes both children with it */
    waitpid(r.unit, NULL, 0);
    close(fd);
    start_unit(&r);
    fd = accept_unit(&r); /* without a factory: the last model drives */
    fw_bus_act act = drive(fd, 2, 100, 40);
    assert_string_equal(act.model.hex, r.factory.target.hex);
    assert_int_equal(say(fd, FW_BUS_END, 140).recordings, 1);
    start_factory(&r.factory);
    await_objects(&r.factory, 2);
    stop_unit(&r);
    close(fd);
    drop_rig(&r);
}

/* Private memory of a process, in bytes: what /proc calls RssAnon. */
static uint64_t private_bytes(pid_t pid) {
    char path[64], line[200];
    unsigned long long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        if (strncmp(line, "RssAnon:", 8) == 0) sscanf(line + 8, "%llu", &kib);
    fclose(file);
    return kib << 10;
}

static fw_bus_act bump(int fd, uint32_t number, uint32_t tick) {
    fw_drive_obs obs;
    straight_road(number, tick, &obs);
    obs.impact_mps2 = 9;
    send_obs(fd, UNIT, &obs);
    return take_act(fd, NULL);
}

static const char bumps[] =
    "{\"version\":\"v1\",\"campaigns\":[{\"id\":\"bumps\",\"when\":\"/ego.impact_mps2 > 5\","
    "\"before_s\":2,\"after_s\":1,\"priority\":60}]}";

/* With --record campaigns only the capture leaves the unit; a kill in the middle of a drive loses
 * little of it; the courier stays under its stated memory all the while. */
static void test_only_what_campaigns_want_leaves_the_unit(void **state) {
    (void)state;
    rig r = {.record = "campaigns", .factory.campaigns = bumps};
    make_rig(&r);
    int fd = accept_unit(&r);
    char path[128];
    snprintf(path, sizeof path, "%s/campaigns.json", r.data);
    for (int i = 0; i < PATIENCE_S * 50 && !fw_file_exists(path); i++) usleep(20000);
    usleep(100000);
    drive(fd, 1, 0, 60);
    assert_int_equal(bump(fd, 1, 60).recordings, 0);
    drive(fd, 1, 61, 30);
    assert_int_equal(say(fd, FW_BUS_END, 91).recordings, 1); /* the routine one is not counted */
    await_objects(&r.factory, 1);
    drive(fd, 2, 100, 200); /* chunks of two seconds reach the disk */
    usleep(600000);
    kill(r.unit, SIGKILL);
    waitpid(r.unit, NULL, 0);
    close(fd);
    stop_factory(&r.factory); /* and without a network the campaigns are known */
    start_unit(&r);
    fd = accept_unit(&r);
    snprintf(path, sizeof path, "%s/spool", r.data);
    assert_true(fw_folder_size_bytes(path) > 10000); /* both drives: in the ring */
    drive(fd, 3, 400, 30);
    bump(fd, 3, 430);
    drive(fd, 3, 431, 30);
    assert_int_equal(say(fd, FW_BUS_END, 461).recordings, 1);
    start_factory(&r.factory);
    await_objects(&r.factory, 2);
    usleep(300000);
    uint64_t used = private_bytes(child_pid(&r, 1));
    printf("the courier uses %llu KiB, stated %d\n", (unsigned long long)used >> 10,
           FW_UNIT_COURIER_MEMORY_MAX >> 10);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(used > 0 && used < FW_UNIT_COURIER_MEMORY_MAX);
#endif
    for (int i = 0; i < PATIENCE_S * 50 && !r.factory.knows_versions; i++) usleep(20000);
    assert_true(r.factory.knows_versions);
    stop_unit(&r);
    close(fd);
    assert_int_equal(object_count(&r.factory), 2);
    drop_rig(&r);
}

static int run_unit(const char *a, const char *b, const char *c, const char *d) {
    int how = 0;
    pid_t pid = fork();
    if (pid == 0) {
        close(1), close(2);
        execl(FW_BINARY_DIR "/src/flywheel-unit", "flywheel-unit", a, b, c, d, (char *)NULL);
        _exit(127);
    }
    waitpid(pid, &how, 0);
    return WIFEXITED(how) ? WEXITSTATUS(how) : -1;
}

static void test_usage(void **state) {
    (void)state;
    assert_int_equal(run_unit("--help", NULL, NULL, NULL), 0);
    assert_int_equal(run_unit("--version", NULL, NULL, NULL), 0);
    assert_int_equal(run_unit(NULL, NULL, NULL, NULL), 2);
    assert_int_equal(run_unit("--unit", "x", NULL, NULL), 2);
    assert_int_equal(run_unit("--unit", "-1", NULL, NULL), 2);
    assert_int_equal(run_unit("--factory", "ftp://x", NULL, NULL), 2);
    assert_int_equal(run_unit("--spool-max-bytes", "5", NULL, NULL), 2);
    assert_int_equal(run_unit("--unit", "1", "--wheels", NULL), 2);
    assert_int_equal(run_unit("--record", "some", NULL, NULL), 2);
    assert_int_equal(run_unit("--ring-max-bytes", "5", NULL, NULL), 2);
    assert_int_equal(run_unit("--chunk-s", "-1", NULL, NULL), 2);
    assert_int_equal(run_unit("--quiet-hours", "22:00", NULL, NULL), 2);
    assert_int_equal(run_unit("--quiet-hours", "22:00-24:00", NULL, NULL), 2);
    assert_int_equal(run_unit("--quiet-hours", "22:00-06:00x", NULL, NULL), 2);
    assert_int_equal(run_unit("--upload-rate-bytes-per-s", "fast", NULL, NULL), 2);
}

int main(void) {
    if (access(FW_BINARY_DIR "/src/flywheel-unit", X_OK) != 0) {
        puts("skipped: flywheel-unit is not built");
        return 77;
    }
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lives_records_uploads_and_stops),
        cmocka_unit_test(test_children_die_and_the_factory_goes_away),
        cmocka_unit_test(test_a_power_cut_keeps_what_was_closed),
        cmocka_unit_test(test_only_what_campaigns_want_leaves_the_unit),
        cmocka_unit_test(test_usage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
