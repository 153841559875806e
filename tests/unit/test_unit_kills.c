/* The real program under real SIGKILLs, at random moments of its updates: after each one its slots hold exactly the model of
 * before or the one on its way, hash verified, and at the end it drives what the factory wants.
 * The long form: test_unit_kills --kills 300 [--seed N]. */
#include "support.h"

#include <poll.h>

#include "program.h"

#include "base/args.h"
#include "base/random.h"
#include "unit/courier/slots.h"

static uint64_t kills = 12, seed = 0;

typedef struct tally {
    uint64_t supervisors, ticks, couriers, driven, with_new, with_old;
} tally;

static void kill_child(const rig *r, int which, uint64_t *count) {
    pid_t pid = child_pid(r, which);
    if (pid > 0 && kill(pid, SIGKILL) == 0) (*count)++;
}

static void kill_unit(rig *r, tally *t) {
    kill(r->unit, SIGKILL); /* takes both children with it */
    waitpid(r->unit, NULL, 0);
    t->supervisors++;
}

/* What is on the disk now: one of the two, whole; nothing only before the first one was ever there. */
static void look(const rig *r, const fw_hash *target, bool *had, tally *t) {
    fw_unit_slots slots;
    fw_error error;
    char *bytes = NULL, *custom = NULL;
    size_t size = 0;
    usleep(20000); /* the children are going */
    if (fw_unit_slots_open(&slots, fw_env_real(), r->data, &error) != FW_OK) fail_msg("%s", error.text);
    if (slots.lost) fail_msg("seed %llu: the state was lost", (unsigned long long)seed);
    if (slots.state.active == FW_UNIT_SLOT_NONE) {
        assert_false(*had);
        return;
    }
    *had = true;
    for (int i = 0; i < 2; i++) {
        if (!slots.state.entries[i].sha256.hex[0]) continue;
        fw_status status = fw_unit_slots_read(&slots, (fw_unit_slot_name)i, &bytes, &size, &custom, &error);
        if (status != FW_OK) fail_msg("seed %llu: %s", (unsigned long long)seed, error.text);
        free(bytes), free(custom);
    }
    bool is_new = strcmp(slots.state.entries[slots.state.active].sha256.hex, target->hex) == 0;
    t->with_new += is_new;
    t->with_old += !is_new;
}

/* Connections of units that are dead by now. */
static void drop_the_dead(const rig *r) {
    struct pollfd waiting = {.fd = r->listener, .events = POLLIN};
    while (poll(&waiting, 1, 0) > 0) close(accept(r->listener, NULL, NULL));
}

/* A start, something of a life, its end. */
static void live(rig *r, fw_random *random, tally *t) {
    bool drives = fw_random_below(random, 3) == 0;
    char bus[96];
    memcpy(bus, r->bus, sizeof bus);
    drop_the_dead(r);
    if (!drives) snprintf(r->bus, sizeof r->bus, "%s/nobody", r->folder);
    start_unit(r);
    memcpy(r->bus, bus, sizeof bus);
    if (drives) {
        int fd = accept_unit(r);
        drive(fd, 1, 0, fw_random_below(random, 90));
        t->driven++;
        usleep(fw_random_below(random, 60000));
        close(fd);
    } else {
        usleep(fw_random_below(random, 250000));
    }
    uint32_t which = fw_random_below(random, 5);
    if (which == 0) kill_child(r, 0, &t->ticks);
    if (which == 1) kill_child(r, 1, &t->couriers);
    if (which < 2) usleep(fw_random_below(random, 150000));
    kill_unit(r, t);
}

static void test_killed_for_real(void **state) {
    (void)state;
    rig r = {.record = NULL};
    tally t = {0};
    fw_random random = fw_random_named(seed, "kills");
    bool had = false;
    make_rig(&r);
    close(accept_unit(&r));
    kill_unit(&r, &t);
    for (uint64_t i = 1; i < kills; i++) {
        if (fw_random_below(&random, 2) == 0) aim(&r.factory, i & 1 ? FW_POLICY_IDM : FW_POLICY_CONSTANT);
        fw_hash target = r.factory.target;
        live(&r, &random, &t);
        look(&r, &target, &had, &t);
    }
    aim(&r.factory, FW_POLICY_IDM);
    aim(&r.factory, FW_POLICY_CONSTANT); /* whatever was refused before, another one was offered since */
    drop_the_dead(&r);
    start_unit(&r);
    int fd = accept_unit(&r);
    fw_bus_act act = {0};
    for (uint32_t i = 0; i < PATIENCE_S * 50 && strcmp(act.model.hex, r.factory.target.hex) != 0; i++) {
        act = drive(fd, 2, i, 1);
        usleep(20000);
    }
    assert_string_equal(act.model.hex, r.factory.target.hex);
    stop_unit(&r);
    close(fd);
    printf("seed %llu: killed %llu times (and %llu ticks, %llu couriers), %llu lives on the road; found with the new model %llu "
           "times, with the old one %llu times\n",
           (unsigned long long)seed, (unsigned long long)t.supervisors, (unsigned long long)t.ticks,
           (unsigned long long)t.couriers, (unsigned long long)t.driven, (unsigned long long)t.with_new,
           (unsigned long long)t.with_old);
    drop_rig(&r);
}

int main(int argc, char **argv) {
    fw_error error;
    if (access(FW_BINARY_DIR "/src/flywheel-unit", X_OK) != 0) {
        puts("skipped: flywheel-unit is not built");
        return 77;
    }
    seed = (uint64_t)fw_env_wall_ns(fw_env_real()) / 1000000;
    const fw_arg table[] = {{"--kills", FW_ARG_U64, &kills, 2, 1000000}, {"--seed", FW_ARG_U64, &seed, 0, INT64_MAX}};
    if (fw_args_parse(argc - 1, argv + 1, table, sizeof table / sizeof *table, &error) != FW_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_killed_for_real)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
