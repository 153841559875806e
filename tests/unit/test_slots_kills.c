/* A unit that is killed at random moments of its updates, thousands of times, on one disk that forgets: it never
 * starts with anything but the model of before or the one on its way, and its release counter never goes back.
 * The long form: test_slots_kills --kills 10000 [--seed N]. */
#include "support.h"

#include "base/args.h"
#include "base/log.h"
#include "device.h"

enum { OPERATIONS_MAX = 70 };

static const char *const folders[] = {"", "slots", "slots/A", "slots/B", NULL};
static uint64_t kills = 600, seed = 0;

typedef struct history {
    uint32_t good;    /* the last one whose approval was answered: always good enough */
    uint32_t allowed; /* bit n: model n may drive now */
    uint64_t counter; /* that came back with that approval */
    uint64_t old_starts, new_starts;
} history;

static void look(const device *d, history *h, uint64_t life) {
    uint32_t drives = device_drives(d);
    bool none = drives == UINT32_MAX; /* before the first one has proved itself there may be none */
    if (none ? h->good != UINT32_MAX : !(h->allowed >> drives & 1))
        fail_msg("seed %llu, life %llu: the unit drives %d", (unsigned long long)seed, (unsigned long long)life,
                 (int)drives);
    if (!device_slots_are_whole(d))
        fail_msg("seed %llu, life %llu: the state names what is not whole", (unsigned long long)seed,
                 (unsigned long long)life);
    if (d->updater.slots.state.release_counter < h->counter)
        fail_msg("seed %llu, life %llu: the release counter went back", (unsigned long long)seed,
                 (unsigned long long)life);
    if (none) return;
    if (drives == h->good) h->old_starts++;
    else h->new_starts++;
}

/* One thing that happens to a unit. */
static void happen(device *d, disk *under, history *h, fw_random *random) {
    switch (fw_random_below(random, 4)) {
    case 0:
        d->target = fw_random_below(random, DEVICE_MODELS);
        d->counter++;
        break;
    case 1:
        if (!fw_unit_slots_on_trial(&d->updater.slots)) break;
        device_approve(d);
        if (under->dead || fw_unit_slots_on_trial(&d->updater.slots)) break;
        h->good = device_drives(d);
        h->allowed = 1u << h->good;
        h->counter = d->updater.slots.state.release_counter;
        break;
    case 2:
        if (fw_unit_slots_on_trial(&d->updater.slots)) device_refuse(d);
        break;
    default: break;
    }
    h->allowed |= 1u << d->target;
    (void)device_update(d, under);
    device_tick(d);
}

/* From a start to the cut; then the next folder is what was left. */
static void live(device *d, char root[64], history *h, fw_random *random, uint64_t life) {
    char next[64];
    disk *under = disk_make(root, folders);
    under->cut_at = 1 + fw_random_below(random, OPERATIONS_MAX);
    if (device_start(d, &under->env, root)) {
        if (!under->dead) look(d, h, life);
        while (!under->dead) happen(d, under, h, random);
    }
    device_stop(d);
    disk_make_folder(next);
    disk_make_world(under, next, &(disk_world){.random = random});
    disk_free(under);
    drop_folder(root);
    memcpy(root, next, 64);
}

static void test_killed_at_random(void **state) {
    (void)state;
    char root[64];
    fw_random random = fw_random_named(seed, "kills");
    history h = {.good = UINT32_MAX};
    device d = {.target = 0, .counter = 1};
    disk_make_folder(root);
    for (uint64_t life = 1; life <= kills; life++) live(&d, root, &h, &random, life);
    printf("seed %llu: %llu kills, %llu starts with the last approved model, %llu with another one on its way\n",
           (unsigned long long)seed, (unsigned long long)kills, (unsigned long long)h.old_starts,
           (unsigned long long)h.new_starts);
    assert_true(h.old_starts > kills / 20 && h.new_starts > kills / 20);
    drop_folder(root);
}

static void hush(void *self, fw_log_level level, const char *line) { (void)self, (void)level, (void)line; }

int main(int argc, char **argv) {
    fw_error error;
    seed = (uint64_t)fw_env_wall_ns(fw_env_real()) / 1000000;
    const fw_arg table[] = {{"--kills", FW_ARG_U64, &kills, 100, 100000000}, {"--seed", FW_ARG_U64, &seed, 0, INT64_MAX}};
    if (fw_args_parse(argc - 1, argv + 1, table, sizeof table / sizeof *table, &error) != FW_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 2;
    }
    fw_log_divert(hush, NULL); /* thousands of starts */
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_killed_at_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
