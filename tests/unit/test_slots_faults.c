/* Power is cut in every write, fdatasync and rename of an update, one after the other; of what the disk may have
 * kept, every mixture of folders' names and files' bytes, and some where each entry is lost, torn or reordered by
 * itself. Each time the unit starts with exactly the old model or the new one, its hash right, and the update
 * can be finished from there. */
#include "support.h"

#include "base/log.h"
#include "device.h"

enum { OLD = 0, NEW = 1, OLDER = 2, REORDERED = 16 };

static const char *const folders[] = {"", "slots", "slots/A", "slots/B", NULL};
static uint64_t starts;

typedef enum story { APPROVED, REFUSED, ROLLED_BACK, SUPERSEDED, OVERWRITES, FIRST } story;
static const char *const story_names[] = {"approved", "refused", "rolled back", "superseded", "in an older one's slot",
                                          "the first model"};

/* A folder in which OLD is the last-known-good; for ROLLED_BACK NEW is, and OLD lies in the other slot; for
 * OVERWRITES an older one lies there. */
static void prepare(const char *root, story which) {
    device d = {.target = which == OVERWRITES ? OLDER : OLD, .counter = 1};
    fw_env env = disk_hasty_env();
    if (which == FIRST) return;
    assert_true(device_start(&d, &env, root));
    assert_int_equal(device_update(&d, NULL), FW_UNIT_UPDATE_STAGED);
    device_approve(&d);
    if (which == ROLLED_BACK || which == OVERWRITES) {
        d.target = which == ROLLED_BACK ? NEW : OLD, d.counter = 2;
        assert_int_equal(device_update(&d, NULL), FW_UNIT_UPDATE_STAGED);
        device_approve(&d);
    }
    device_stop(&d);
}

/* What happens while power may go. */
static void live(device *d, story which, const disk *under) {
    d->target = which == ROLLED_BACK ? OLD : NEW;
    d->counter = 3;
    (void)device_update(d, under);
    if (under->dead) return;
    if (which == SUPERSEDED) { /* another one is wanted before NEW has proved itself */
        d->target = OLD, d->counter = 4;
        (void)device_update(d, under);
        return;
    }
    if (which == REFUSED) device_refuse(d);
    else device_approve(d);
}

/* One possible disk: the unit starts, drives one of the two, and goes on. */
static void check_world(const disk *under, story which, const disk_world *world) {
    char root[64];
    device d = {.target = which == ROLLED_BACK ? OLD : NEW, .counter = 5};
    fw_env env = disk_hasty_env();
    disk_make_folder(root);
    disk_make_world(under, root, world);
    assert_true(device_start(&d, &env, root));
    starts++;
    uint32_t drives = device_drives(&d);
    if (which == FIRST ? drives != NEW && drives != UINT32_MAX : drives != OLD && drives != NEW)
        fail_msg("%s: cut in operation %d: the unit drives %d", story_names[which], (int)under->cut_at, (int)drives);
    if (!device_slots_are_whole(&d))
        fail_msg("%s: cut in operation %d: the state names what is not whole", story_names[which], (int)under->cut_at);
    fw_hash target = device_hash(d.target);
    bool refused = strcmp(d.updater.slots.state.refused.hex, target.hex) == 0;
    fw_unit_update done = device_update(&d, NULL);
    assert_true(done == FW_UNIT_UPDATE_STAGED || done == FW_UNIT_UPDATE_NOTHING);
    assert_int_equal(device_drives(&d), refused ? OLD : d.target);
    device_approve(&d);
    device_stop(&d);
    assert_true(device_start(&d, &env, root)); /* and once more: nothing was a matter of luck */
    assert_int_equal(device_drives(&d), refused ? OLD : d.target);
    device_stop(&d);
    drop_folder(root);
}

/* Every mixture of names and bytes, then REORDERED ones by chance. */
static void check_all_worlds(const disk *under, story which) {
    for (uint32_t names = 0; names < 8; names++)
        for (disk_bytes bytes = DISK_DURABLE; bytes < DISK_BYTES_COUNT; bytes++)
            check_world(under, which, &(disk_world){.last_names = names << 1, .bytes = bytes});
    fw_random random = fw_random_indexed(which, under->cut_at);
    for (int i = 0; i < REORDERED; i++) check_world(under, which, &(disk_world){.random = &random});
}

/* The story with power cut in operation `cut_at`; false when it ends before. */
static bool cut(story which, uint64_t cut_at) {
    char root[64];
    device d = {.counter = 5};
    disk_make_folder(root);
    prepare(root, which);
    disk *under = disk_make(root, folders);
    under->cut_at = cut_at;
    if (device_start(&d, &under->env, root)) live(&d, which, under);
    device_stop(&d);
    bool was_cut = under->dead;
    if (was_cut) check_all_worlds(under, which);
    disk_free(under);
    drop_folder(root);
    return was_cut;
}

static void test_power_goes_in_every_operation(void **state) {
    (void)state;
    for (story which = APPROVED; which <= FIRST; which++) {
        uint64_t operations = 0;
        starts = 0;
        while (cut(which, operations + 1)) operations++;
        printf("%s: %d operations cut, %d starts\n", story_names[which], (int)operations, (int)starts);
        assert_true(operations >= 6);
    }
}

static void hush(void *self, fw_log_level level, const char *line) { (void)self, (void)level, (void)line; }

int main(void) {
    fw_log_divert(hush, NULL); /* thousands of starts */
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_power_goes_in_every_operation)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
