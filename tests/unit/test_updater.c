/* What must not stop a unit from getting its next model: a download that cannot end, a slot that rotted, two models
 * refused at once, a courier that was replaced, a disk that takes no writes. */
#include "support.h"

#include "base/log.h"
#include "device.h"
#include "unit/courier/staging.h"

enum { OLD = 0, NEW = 1, OTHER = 2 };

typedef struct rig {
    char root[64];
    fw_env env;
    device d;
    uint32_t gone; /* this model's bytes are not to be had */
} rig;

static rig *now; /* the source has the device alone */

static fw_status fetch(void *self, const fw_hash *sha256, uint64_t offset, size_t wanted, char **bytes,
                       size_t *size_bytes, fw_error *error) {
    if (device_number(sha256) == now->gone) return fw_fail(error, FW_IO, "the factory answered 404");
    return device_fetch(self, sha256, offset, wanted, bytes, size_bytes, error);
}

static void start(rig *r) {
    assert_true(device_start(&r->d, &r->env, r->root));
    r->d.updater.config.source.fetch = fetch;
}

static void restart(rig *r) {
    device_stop(&r->d);
    start(r);
}

/* OLD is the last-known-good. */
static rig *make_rig(void) {
    static rig r;
    r = (rig){.env = disk_hasty_env(), .d = {.target = OLD, .counter = 1}, .gone = UINT32_MAX};
    now = &r;
    disk_make_folder(r.root);
    start(&r);
    assert_int_equal(device_update(&r.d, NULL), FW_UNIT_UPDATE_STAGED);
    device_approve(&r.d);
    return &r;
}

static void drop_rig(rig *r) {
    device_stop(&r->d);
    drop_folder(r->root);
}

static void aim(rig *r, uint32_t target) {
    r->d.target = target;
    r->d.counter++;
}

static void damage(const rig *r, fw_unit_slot_name slot) {
    char path[160];
    snprintf(path, sizeof path, "%s/slots/%c/model.safetensors", r->root, slot == FW_UNIT_SLOT_A ? 'A' : 'B');
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fputc('X', file), 'X');
    assert_int_equal(fclose(file), 0);
}

static void test_a_download_that_cannot_end_does_not_hold_up_the_next(void **state) {
    (void)state;
    rig *r = make_rig();
    fw_error error;
    aim(r, NEW);
    fw_hash hint = device_hash(NEW);
    for (int i = 0; i < 2; i++) /* chosen, and a first piece */
        assert_int_equal(fw_unit_updater_round(&r->d.updater, &hint, &error), FW_UNIT_UPDATE_GOES_ON);
    r->gone = NEW;
    for (int i = 0; i < 5; i++) assert_int_equal(device_update(&r->d, NULL), FW_UNIT_UPDATE_FAILED);
    aim(r, OTHER); /* the factory has thought better of it */
    assert_int_equal(device_update(&r->d, NULL), FW_UNIT_UPDATE_STAGED);
    assert_int_equal(device_drives(&r->d), OTHER);
    drop_rig(r);
}

/* A rollout that was halted in the middle of a download: what was on its way is not activated after all. */
static void test_a_download_is_put_aside_when_the_factory_goes_back(void **state) {
    (void)state;
    for (uint32_t back = OLD; back <= OTHER; back += OTHER) { /* to what drives, or to a third one */
        rig *r = make_rig();
        fw_error error;
        aim(r, NEW);
        fw_hash hint = device_hash(NEW);
        for (int i = 0; i < 3; i++)
            assert_int_equal(fw_unit_updater_round(&r->d.updater, &hint, &error), FW_UNIT_UPDATE_GOES_ON);
        aim(r, back);
        assert_int_equal(device_update(&r->d, NULL), back == OLD ? FW_UNIT_UPDATE_NOTHING : FW_UNIT_UPDATE_STAGED);
        assert_int_equal(device_drives(&r->d), back);
        assert_false(r->d.updater.begun);
        assert_int_equal(fw_unit_slots_find(&r->d.updater.slots, &hint), FW_UNIT_SLOT_NONE);
        drop_rig(r);
    }
}

/* The same when nobody hints at it. */
static void test_doubt_ends_a_download(void **state) {
    (void)state;
    rig *r = make_rig();
    fw_error error;
    aim(r, NEW);
    fw_hash hint = device_hash(NEW);
    assert_int_equal(fw_unit_updater_round(&r->d.updater, &hint, &error), FW_UNIT_UPDATE_GOES_ON);
    r->gone = NEW;
    aim(r, OTHER);
    assert_int_equal(fw_unit_updater_round(&r->d.updater, &hint, &error), FW_UNIT_UPDATE_FAILED);
    fw_unit_updater_doubt(&r->d.updater);
    for (int i = 0; i < 20; i++) (void)fw_unit_updater_round(&r->d.updater, &hint, &error);
    assert_int_equal(device_drives(&r->d), OTHER);
    drop_rig(r);
}

static void test_a_slot_that_rotted_is_fetched_again(void **state) {
    (void)state;
    rig *r = make_rig();
    aim(r, NEW);
    assert_int_equal(device_update(&r->d, NULL), FW_UNIT_UPDATE_STAGED);
    device_approve(&r->d);
    damage(r, fw_unit_slots_find(&r->d.updater.slots, &(fw_hash[]){device_hash(OLD)}[0]));
    aim(r, OLD); /* it lies in a slot, as the state says */
    assert_int_equal(device_update(&r->d, NULL), FW_UNIT_UPDATE_STAGED);
    assert_int_equal(device_drives(&r->d), OLD);
    device_approve(&r->d);
    damage(r, r->d.updater.slots.state.active); /* and the one that drives, found by a start */
    restart(r);
    assert_int_equal(device_drives(&r->d), NEW);
    assert_string_equal(r->d.updater.slots.state.refused_why, "slot");
    r->d.counter++;
    assert_int_equal(device_update(&r->d, NULL), FW_UNIT_UPDATE_STAGED);
    assert_int_equal(device_drives(&r->d), OLD);
    drop_rig(r);
}

/* The tick goes on while the courier waits for an answer: what it refused first must not come back. */
static void test_two_refusals_at_once_are_both_noticed(void **state) {
    (void)state;
    rig *r = make_rig();
    fw_unit_shared *shared = r->d.shared;
    aim(r, NEW);
    assert_int_equal(device_update(&r->d, NULL), FW_UNIT_UPDATE_STAGED);
    device_tick(&r->d);
    uint64_t trial = atomic_load(&shared->models.staged), good = atomic_load(&shared->model_good);
    assert_true(good != 0 && good < trial);
    for (int i = 0; i < 2; i++) {
        uint64_t refused = i == 0 ? trial : good;
        atomic_store(&shared->bad_why[refused & 1], i == 0 ? FW_UNIT_REFUSED_VETOES : FW_UNIT_REFUSED_NUMBERS);
        atomic_store(&shared->model_bad[refused & 1], refused);
        atomic_store(&shared->refused_why, FW_UNIT_REFUSED_NUMBERS);
        atomic_store(&shared->model_refused, refused);
    }
    assert_true(fw_unit_updater_notice(&r->d.updater));
    assert_int_equal(r->d.updater.slots.state.active, FW_UNIT_SLOT_NONE);
    assert_int_equal(atomic_load(&shared->models.staged), trial); /* nothing was put in its place */
    assert_int_equal(device_drives(&r->d), UINT32_MAX);
    restart(r);
    assert_int_equal(device_drives(&r->d), UINT32_MAX);
    assert_true(atomic_load(&r->d.shared->safe_wanted));
    drop_rig(r);
}

static void test_a_courier_that_was_replaced_ends_the_shadow(void **state) {
    (void)state;
    rig *r = make_rig();
    fw_error error;
    fw_hash wanted = device_hash(OLD), none = {{0}}; /* it lies in a slot: no one is asked */
    assert_int_equal(fw_unit_updater_shadow(&r->d.updater, &wanted, &error), FW_UNIT_UPDATE_STAGED);
    fw_unit_updater_config config = r->d.updater.config;
    fw_unit_updater_close(&r->d.updater);
    assert_int_equal(fw_unit_updater_open(&r->d.updater, &config, &error), FW_OK);
    assert_true(atomic_load(&r->d.shared->shadows.staged) != 0);
    assert_int_equal(fw_unit_updater_shadow(&r->d.updater, &none, &error), FW_UNIT_UPDATE_STAGED);
    assert_int_equal(atomic_load(&r->d.shared->shadows.staged), 0);
    drop_rig(r);
}

static ssize_t full(void *self, int fd, const void *bytes, size_t size_bytes) {
    (void)self, (void)fd, (void)bytes, (void)size_bytes;
    errno = ENOSPC;
    return -1;
}

/* The first model, still on trial, is better than none. */
static void test_a_full_disk_does_not_take_the_only_model(void **state) {
    (void)state;
    rig *r = make_rig();
    drop_rig(r);
    disk_make_folder(r->root);
    start(r);
    assert_int_equal(device_update(&r->d, NULL), FW_UNIT_UPDATE_STAGED);
    r->env.write = full;
    restart(r);
    assert_int_equal(device_drives(&r->d), OLD);
    drop_rig(r);
}

static void hush(void *self, fw_log_level level, const char *line) { (void)self, (void)level, (void)line; }

int main(void) {
    fw_log_divert(hush, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_download_that_cannot_end_does_not_hold_up_the_next),
        cmocka_unit_test(test_a_download_is_put_aside_when_the_factory_goes_back),
        cmocka_unit_test(test_doubt_ends_a_download),
        cmocka_unit_test(test_a_slot_that_rotted_is_fetched_again),
        cmocka_unit_test(test_two_refusals_at_once_are_both_noticed),
        cmocka_unit_test(test_a_courier_that_was_replaced_ends_the_shadow),
        cmocka_unit_test(test_a_full_disk_does_not_take_the_only_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
