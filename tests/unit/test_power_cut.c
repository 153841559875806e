/* The bound on what a power cut can lose, tested: a drive in simulated time, a disk that remembers what
 * was made durable, the power gone at a random moment. Only what was synced is left; nothing of the
 * drive older than BOUND_MS is missing from what the next start salvages.
 *
 *   BOUND_MS = a chunk of CHUNK_MS + FW_UNIT_SYNC_MS to the next fdatasync + DRAIN_MS of draining + one
 *   tick that may lack its end + one more until the chunk closes
 */
#include "support.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "base/random.h"
#include "lines/driving/learn/recording.h"
#include "unit/courier/spool.h"

enum {
    UNIT = 6,
    TICK_MS = 100,
    CHUNK_MS = 2000,
    DRAIN_MS = 200,
    BOUND_MS = CHUNK_MS + FW_UNIT_SYNC_MS + DRAIN_MS + 2 * TICK_MS,
    FILES_MAX = 64,
};

/* What a file would have after the cut. */
typedef struct synced {
    ino_t file;
    off_t size;
} synced;

typedef struct rig {
    char folder[64];
    fw_unit_shared *shared;
    fw_unit_tick *tick;
    fw_unit_spool *spool;
    fw_env env;
    int world, unit;
    int64_t time_ns;
    synced files[FILES_MAX];
    uint32_t file_count;
} rig;

static int64_t rig_time(void *self) { return ((rig *)self)->time_ns; }
static ssize_t rig_write(void *self, int fd, const void *bytes, size_t size_bytes) {
    (void)self;
    return write(fd, bytes, size_bytes);
}
static int rig_rename(void *self, const char *a, const char *b) { return (void)self, rename(a, b); }

static int rig_sync(void *self, int fd) {
    rig *r = self;
    struct stat info;
    assert_int_equal(fstat(fd, &info), 0);
    for (uint32_t i = 0; i < r->file_count; i++)
        if (r->files[i].file == info.st_ino) return r->files[i].size = info.st_size, 0;
    assert_true(r->file_count < FILES_MAX);
    r->files[r->file_count++] = (synced){info.st_ino, info.st_size};
    return 0;
}

static void open_spool(rig *r) {
    fw_error error;
    fw_unit_spool_config config = {.env = &r->env, .data_folder = r->folder, .max_bytes = 64 << 20,
                                   .unit = UNIT, .salvage = fw_unit_tick_salvage};
    assert_int_equal(fw_unit_spool_open(&config, r->shared, &r->spool, &error), FW_OK);
}

static rig *make_rig(void) {
    rig *r = calloc(1, sizeof *r);
    int fds[2];
    fw_error error;
    make_folder(r->folder);
    r->shared = make_shared();
    r->time_ns = 1000000000;
    r->env = *fw_env_real();
    r->env.self = r;
    r->env.mono_ns = rig_time, r->env.wall_ns = rig_time;
    r->env.write = rig_write, r->env.fdatasync = rig_sync, r->env.rename = rig_rename;
    fw_unit_tick_config config = {.unit = UNIT, .bus_path = "unused",
                                  .chunk_ns = (int64_t)CHUNK_MS * 1000000};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    r->world = fds[0], r->unit = fds[1];
    assert_int_equal(fw_unit_tick_open(&config, r->shared, &r->tick, &error), FW_OK);
    stage_rule(r->shared, FW_POLICY_CONSTANT);
    assert_true(fw_unit_tick_take_model(r->tick));
    open_spool(r);
    return r;
}

/* Ticks first to end - 1 of drive 1, drained as the courier does. */
static void drive_on(rig *r, uint32_t first, uint32_t end, bool drained) {
    for (uint32_t i = first; i < end; i++) {
        fw_drive_obs obs;
        fw_error error;
        straight_road(1, i, &obs);
        send_obs(r->world, UNIT, &obs);
        assert_int_equal(fw_unit_tick_once(r->tick, r->unit, 1000, &error), FW_OK);
        (void)take_act(r->world, NULL);
        r->time_ns += (int64_t)TICK_MS * 1000000;
        if (drained && i % (DRAIN_MS / TICK_MS) == 0) (void)fw_unit_spool_drain(r->spool);
    }
}

static void drive(rig *r, uint32_t count) { drive_on(r, 0, count, true); }

/* The part as the disk has it. */
static void cut_power(rig *r) {
    char path[FW_PATH_MAX];
    struct stat info;
    off_t left = 0;
    snprintf(path, sizeof path, "%s/spool/1.mcap.part", r->folder);
    assert_int_equal(stat(path, &info), 0);
    for (uint32_t i = 0; i < r->file_count; i++)
        if (r->files[i].file == info.st_ino) left = r->files[i].size;
    assert_int_equal(truncate(path, left), 0);
    fw_unit_spool_close(r->spool);
    fw_unit_tick_close(r->tick);
    close(r->world), close(r->unit);
    fw_unit_shared_free(r->shared);
    r->shared = make_shared();
}

/* Ticks that the next start finds; they must be a recording. */
static uint32_t found_ticks(rig *r) {
    char path[FW_PATH_MAX];
    fw_unit_spooled file;
    fw_drive_recording *recording = NULL;
    fw_error error;
    if (!fw_unit_spool_next(r->spool, 0, 0, &file)) return 0;
    assert_true(file.salvaged);
    assert_true(file.boot[0] != '\0');
    fw_unit_spool_path(r->spool, &file.hash, path);
    assert_int_equal(fw_drive_recording_read(path, &recording, &error), FW_OK);
    uint32_t ticks = recording->tick_count;
    assert_int_equal(ticks, file.ticks);
    fw_drive_recording_free(recording);
    return ticks;
}

static void test_nothing_older_than_the_bound_is_lost(void **state) {
    (void)state;
    uint64_t seed = (uint64_t)time(NULL);
    uint32_t worst_ms = 0;
    fw_random random = fw_random_named(seed, "power");
    for (int round = 0; round < 20; round++) {
        rig *r = make_rig();
        uint32_t lived = 20 + fw_random_below(&random, 400);
        drive(r, lived);
        cut_power(r);
        open_spool(r);
        uint32_t found = found_ticks(r), lost_ms = (lived - found) * TICK_MS;
        if (lost_ms > worst_ms) worst_ms = lost_ms;
        if (lost_ms > BOUND_MS)
            fail_msg("seed %llu: %u of %u ticks were found", (unsigned long long)seed, found, lived);
        assert_int_equal(atomic_load(&r->shared->salvaged), found > 0);
        fw_unit_spool_close(r->spool);
        fw_unit_shared_free(r->shared);
        drop_folder(r->folder);
        free(r);
    }
    printf("seed %llu: at most %u ms of a drive lost, stated %d ms\n", (unsigned long long)seed,
           worst_ms, BOUND_MS);
}

/* A disk that stands still for so long that the ring fills costs the rest of the recording, not what
 * came before. */
static void test_a_full_ring_costs_the_rest(void **state) {
    (void)state;
    static uint8_t junk[FW_UNIT_PIECE_MAX];
    rig *r = make_rig();
    drive(r, 100);
    (void)fw_unit_spool_drain(r->spool);
    fw_unit_piece filler = {.kind = FW_UNIT_PIECE_BYTES, .serial = 999, .size_bytes = sizeof junk - 200};
    while (fw_unit_ring_put(&r->shared->ring, &filler, junk)) continue;
    filler.size_bytes = 1;
    while (fw_unit_ring_put(&r->shared->ring, &filler, junk)) continue;
    drive_on(r, 100, 200, false);
    (void)fw_unit_spool_drain(r->spool);
    drive_on(r, 200, 300, true);
    fw_unit_tick_end_recording(r->tick);
    (void)fw_unit_spool_drain(r->spool);
    uint32_t found = found_ticks(r);
    assert_true(found > 60 && found < 121);
    assert_true(atomic_load(&r->shared->lost_bytes[FW_UNIT_LOSS_RING]) > 0);
    fw_unit_spool_close(r->spool);
    fw_unit_tick_close(r->tick);
    close(r->world), close(r->unit);
    fw_unit_shared_free(r->shared);
    drop_folder(r->folder);
    free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_older_than_the_bound_is_lost),
        cmocka_unit_test(test_a_full_ring_costs_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
