/* device.h - the updater of one unit on a disk that forgets, with a factory and a tick that do as they are told. */
#ifndef FW_TESTS_UNIT_DEVICE_H
#define FW_TESTS_UNIT_DEVICE_H

#include "disk.h"
#include "unit/courier/updater.h"

enum { DEVICE_MODEL_MAX = 4000, DEVICE_MODELS = 8 };

/* Model n of the test: any bytes that begin with 'M'. */
static inline size_t device_model(uint32_t n, uint8_t *out) {
    fw_random random = fw_random_indexed(77, n);
    size_t size = 200 + fw_random_below(&random, DEVICE_MODEL_MAX - 200);
    for (size_t i = 0; i < size; i++) out[i] = (uint8_t)fw_random_below(&random, 256);
    out[0] = 'M';
    return size;
}

static inline fw_hash device_hash(uint32_t n) {
    uint8_t bytes[DEVICE_MODEL_MAX];
    size_t size = device_model(n, bytes);
    return fw_hash_bytes(bytes, size);
}

/* The number of the model with this hash; UINT32_MAX none. */
static inline uint32_t device_number(const fw_hash *hash) {
    for (uint32_t n = 0; n < DEVICE_MODELS; n++)
        if (strcmp(device_hash(n).hex, hash->hex) == 0) return n;
    return UINT32_MAX;
}

typedef struct device {
    disk *disk;
    fw_unit_shared *shared;
    fw_unit_updater updater;
    uint32_t target; /* what the director says */
    uint64_t counter;
    uint64_t bytes_fetched;
} device;

static inline fw_status device_choose(void *self, const fw_hash *hint, uint64_t counter, fw_unit_offer *out,
                                      fw_error *error) {
    device *d = self;
    uint8_t bytes[DEVICE_MODEL_MAX];
    (void)hint, (void)error;
    assert_true(counter <= d->counter);
    *out = (fw_unit_offer){.sha256 = device_hash(d->target), .length_bytes = device_model(d->target, bytes),
                           .release_counter = d->counter, .custom = strdup("{\"release_counter\":1}")};
    snprintf(out->target, sizeof out->target, "driving/%.64s.safetensors", out->sha256.hex);
    return FW_OK;
}

/* At most a third of what is wanted, so that there are pieces. */
static inline fw_status device_fetch(void *self, const fw_hash *sha256, uint64_t offset, size_t wanted, char **bytes,
                                     size_t *size_bytes, fw_error *error) {
    device *d = self;
    uint8_t model[DEVICE_MODEL_MAX];
    uint32_t number = device_number(sha256);
    size_t size = device_model(number, model);
    (void)error;
    assert_true(number < DEVICE_MODELS && offset < size);
    if (wanted > size / 3) wanted = size / 3;
    if (wanted > size - offset) wanted = size - (size_t)offset;
    *bytes = memcpy(malloc(wanted), model + offset, wanted);
    *size_bytes = wanted;
    d->bytes_fetched += wanted;
    return FW_OK;
}

static inline fw_status device_load(const void *file, size_t file_bytes, const char *custom, void *out,
                                    size_t out_max_bytes, size_t *out_bytes, fw_error *error) {
    assert_non_null(custom);
    assert_true(file_bytes <= out_max_bytes);
    if (((const char *)file)[0] != 'M') return fw_fail(error, FW_CORRUPT, "no model");
    memcpy(out, file, file_bytes);
    *out_bytes = file_bytes;
    return FW_OK;
}

/* Starts the unit in `root`; false when power went before it was up. */
static inline bool device_start(device *d, const fw_env *env, const char *root) {
    fw_error error;
    d->shared = make_shared();
    fw_unit_updater_config config = {.env = env, .unit = 1, .data_folder = root, .shared = d->shared,
                                     .load = device_load,
                                     .chooser = {.self = d, .choose = device_choose},
                                     .source = {.self = d, .fetch = device_fetch}};
    fw_status status = fw_unit_updater_open(&d->updater, &config, &error);
    return status == FW_OK;
}

static inline void device_stop(device *d) {
    fw_unit_updater_close(&d->updater);
    fw_unit_shared_free(d->shared);
    d->shared = NULL;
}

/* The tick takes what is staged, as tick/seat.h says. */
static inline void device_tick(device *d) {
    fw_hash name = fw_unit_updater_staged(&d->updater);
    uint64_t staged = atomic_load(&d->shared->models.staged);
    if (!name.hex[0]) return;
    if (atomic_load(&d->shared->model_bad[staged & 1]) != staged) atomic_store(&d->shared->model_active, staged);
}

static inline void device_approve(device *d) {
    device_tick(d);
    atomic_store(&d->shared->model_approved, atomic_load(&d->shared->models.staged));
    (void)fw_unit_updater_notice(&d->updater);
}

static inline void device_refuse(device *d) {
    uint64_t staged = atomic_load(&d->shared->models.staged);
    atomic_store(&d->shared->bad_why[staged & 1], FW_UNIT_REFUSED_NUMBERS);
    atomic_store(&d->shared->model_bad[staged & 1], staged);
    atomic_store(&d->shared->refused_why, FW_UNIT_REFUSED_NUMBERS);
    atomic_store(&d->shared->model_refused, staged);
    (void)fw_unit_updater_notice(&d->updater);
}

/* Rounds until the updater is content, refuses, or the disk is dead; its last word. */
static inline fw_unit_update device_update(device *d, const disk *under) {
    fw_error error;
    fw_hash hint = device_hash(d->target);
    fw_unit_update done = FW_UNIT_UPDATE_GOES_ON;
    for (int i = 0; i < 40 && done == FW_UNIT_UPDATE_GOES_ON && !(under && under->dead); i++)
        done = fw_unit_updater_round(&d->updater, &hint, &error);
    return done;
}

/* Whatever the state names is there whole. */
static inline bool device_slots_are_whole(const device *d) {
    for (int i = 0; i < 2; i++) {
        char *bytes = NULL, *custom = NULL;
        size_t size = 0;
        if (!d->updater.slots.state.entries[i].sha256.hex[0]) continue;
        if (fw_unit_slots_read(&d->updater.slots, (fw_unit_slot_name)i, &bytes, &size, &custom, NULL) != FW_OK)
            return false;
        free(bytes), free(custom);
    }
    return true;
}

/* The model that the unit drives with now, its bytes compared with the test's own; UINT32_MAX: none. */
static inline uint32_t device_drives(const device *d) {
    fw_hash name = fw_unit_updater_staged(&d->updater);
    uint32_t number = device_number(&name);
    uint8_t model[DEVICE_MODEL_MAX], ready[DEVICE_MODEL_MAX];
    if (number == UINT32_MAX) return number;
    size_t size = device_model(number, model);
    uint64_t staged = atomic_load(&d->shared->models.staged);
    bool bad = atomic_load(&d->shared->model_bad[staged & 1]) == staged;
    fw_unit_slot *slot = &d->shared->models.slots[(staged & 1) ^ bad];
    assert_int_equal(atomic_load(&slot->size_bytes), size);
    fw_unit_slot_get(ready, slot->bytes, size);
    assert_memory_equal(ready, model, size);
    return number;
}

#endif
