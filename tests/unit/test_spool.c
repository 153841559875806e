/* The spool: ring to disk, crash in the middle, disk faults, the cap, and what is given up first. */
#include "support.h"

#include <errno.h>
#include <sys/stat.h>

#include "unit/courier/spool.h"

typedef struct rig {
    char folder[64];
    fw_unit_shared *shared;
    fw_env env; /* the machine, with switches */
    bool fail_write, fail_sync, fail_rename;
    fw_unit_spool *spool;
    uint64_t max_bytes, ring_max_bytes, serial;
    int full_writes; /* so many writes find a full disk */
} rig;

/* Files written to since their last fdatasync: none of them may get its name. */
static ino_t unsynced[8];

static void note_written(int fd, bool synced) {
    struct stat info;
    assert_int_equal(fstat(fd, &info), 0);
    for (int i = 0; i < 8; i++)
        if (unsynced[i] == info.st_ino) unsynced[i] = 0;
    for (int i = 0; i < 8 && !synced; i++)
        if (unsynced[i] == 0) {
            unsynced[i] = info.st_ino;
            return;
        }
}

static bool is_synced(const char *path) {
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    for (int i = 0; i < 8; i++)
        if (unsynced[i] == info.st_ino) return false;
    return true;
}

static ssize_t rig_write(void *self, int fd, const void *bytes, size_t size_bytes) {
    rig *r = self;
    note_written(fd, false);
    if (r->fail_write || (r->full_writes > 0 && r->full_writes--)) return errno = ENOSPC, -1;
    return write(fd, bytes, size_bytes > 1000 ? 1000 : size_bytes); /* always torn */
}

static int rig_sync(void *self, int fd) {
    if (((rig *)self)->fail_sync) return errno = EIO, -1;
    note_written(fd, true);
    return 0;
}

static int rig_rename(void *self, const char *from, const char *to) {
    if (!is_synced(from)) fail_msg("%s gets its name before it is durable", from);
    return ((rig *)self)->fail_rename ? (errno = EIO, -1) : rename(from, to);
}

static void open_spool(rig *r) {
    fw_error error;
    fw_unit_spool_config config = {.env = &r->env, .data_folder = r->folder,
                                   .max_bytes = r->max_bytes, .unit = 4,
                                   .ring_max_bytes = r->ring_max_bytes};
    fw_status status = fw_unit_spool_open(&config, r->shared, &r->spool, &error);
    if (status != FW_OK) fail_msg("%s", error.text);
}

static rig *make_rig(uint64_t max_bytes) {
    memset(unsynced, 0, sizeof unsynced);
    rig *r = calloc(1, sizeof *r);
    make_folder(r->folder);
    r->shared = make_shared();
    r->max_bytes = max_bytes;
    r->env = *fw_env_real();
    r->env.self = r;
    r->env.write = rig_write, r->env.fdatasync = rig_sync, r->env.rename = rig_rename;
    open_spool(r);
    return r;
}

static void drop_rig(rig *r) {
    fw_unit_spool_close(r->spool);
    fw_unit_shared_free(r->shared);
    drop_folder(r->folder);
    free(r);
}

/* As the tick: a recording of `size_bytes` of `letter`, in two pieces; END left out on request. */
static fw_hash put_recording(rig *r, char letter, size_t size_bytes, uint32_t events, bool end) {
    uint8_t *bytes = malloc(size_bytes);
    memset(bytes, letter, size_bytes);
    size_t half = size_bytes / 2;
    fw_unit_piece p = {.kind = FW_UNIT_PIECE_BEGIN, .serial = ++r->serial};
    assert_true(fw_unit_ring_put(&r->shared->ring, &p, NULL));
    p.kind = FW_UNIT_PIECE_BYTES, p.size_bytes = (uint32_t)half, p.events = events;
    assert_true(fw_unit_ring_put(&r->shared->ring, &p, bytes));
    p.offset = half, p.size_bytes = (uint32_t)(size_bytes - half);
    assert_true(fw_unit_ring_put(&r->shared->ring, &p, bytes + half));
    p = (fw_unit_piece){.kind = FW_UNIT_PIECE_END, .serial = r->serial, .offset = size_bytes,
                        .events = events};
    if (end) assert_true(fw_unit_ring_put(&r->shared->ring, &p, NULL));
    fw_hash hash = fw_hash_bytes(bytes, size_bytes);
    free(bytes);
    return hash;
}

/* A piece of a stream, as the tick puts it. */
static void put_piece(rig *r, fw_unit_piece piece, const void *payload) {
    assert_true(fw_unit_ring_put(&r->shared->ring, &piece, payload));
}

/* One of two streams: BEGIN, two pieces of bytes, END; `step` 0 to 3. */
static void put_step(rig *r, fw_unit_stream stream, uint64_t serial, int step, size_t size_bytes,
                     uint32_t priority) {
    static uint8_t bytes[FW_UNIT_PIECE_MAX];
    fw_unit_begin begin = {.priority = priority, .trigger_ns = 77, .mono_ns = 5, .wall_ns = 6};
    fw_unit_piece p = {.serial = serial, .stream = (uint32_t)stream};
    size_t half = size_bytes / 2;
    memset(bytes, 'A' + (int)serial, size_bytes);
    if (stream == FW_UNIT_CAPTURE) strcpy(begin.campaign, "bump");
    if (step == 0) {
        p.kind = FW_UNIT_PIECE_BEGIN, p.size_bytes = sizeof begin;
        put_piece(r, p, &begin);
    } else if (step < 3) {
        p.kind = FW_UNIT_PIECE_BYTES;
        p.offset = step == 1 ? 0 : half;
        p.size_bytes = (uint32_t)(step == 1 ? half : size_bytes - half);
        put_piece(r, p, bytes + p.offset);
    } else {
        p.kind = FW_UNIT_PIECE_END, p.offset = size_bytes, p.drive = 3, p.ticks = 9;
        p.first_ns = (int64_t)serial * 100, p.last_ns = (int64_t)serial * 100 + 99;
        put_piece(r, p, NULL);
    }
}

static fw_hash hash_of(uint64_t serial, size_t size_bytes) {
    static uint8_t bytes[FW_UNIT_PIECE_MAX];
    memset(bytes, 'A' + (int)serial, size_bytes);
    return fw_hash_bytes(bytes, size_bytes);
}

static fw_hash put_whole(rig *r, fw_unit_stream stream, size_t size_bytes, uint32_t priority) {
    r->serial++;
    for (int step = 0; step < 4; step++)
        put_step(r, stream, r->serial, step, size_bytes, priority);
    return hash_of(r->serial, size_bytes);
}

static bool on_disk(const rig *r, const fw_hash *hash) {
    char path[FW_PATH_MAX];
    fw_hash found;
    fw_unit_spool_path(r->spool, hash, path);
    if (!fw_file_exists(path)) return false;
    assert_int_equal(fw_hash_file(path, &found, NULL), FW_OK);
    assert_string_equal(found.hex, hash->hex);
    return true;
}

static void test_ring_to_disk_and_away(void **state) {
    (void)state;
    rig *r = make_rig(1 << 20);
    assert_false(fw_unit_spool_drain(r->spool));
    fw_hash a = put_recording(r, 'a', 5000, 0, true), b = put_recording(r, 'b', 7001, 2, true);
    assert_true(fw_unit_spool_drain(r->spool));
    assert_true(on_disk(r, &a) && on_disk(r, &b));
    assert_int_equal(atomic_load(&r->shared->spool_bytes), 12001);
    fw_unit_spooled file;
    assert_true(fw_unit_spool_next(r->spool, 0, 0, &file)); /* events first */
    assert_string_equal(file.hash.hex, b.hex);
    assert_int_equal(file.events, 2);
    fw_unit_spool_delay(r->spool, &b, 0, 100, 1000);
    assert_true(fw_unit_spool_next(r->spool, 0, 0, &file)); /* while it waits, the next */
    assert_string_equal(file.hash.hex, a.hex);
    assert_true(fw_unit_spool_next(r->spool, 100000000, 0, &file));
    assert_string_equal(file.hash.hex, b.hex);
    fw_unit_spool_remove(r->spool, &b);
    fw_unit_spool_remove(r->spool, &a);
    assert_false(fw_unit_spool_next(r->spool, 0, 0, &file));
    assert_int_equal(atomic_load(&r->shared->spool_bytes), 0);
    assert_false(on_disk(r, &a));
    assert_int_equal(fw_unit_lost_bytes(r->shared), 0);
    drop_rig(r);
}

static void test_a_restart_takes_up_what_was_left_in_order(void **state) {
    (void)state;
    rig *r = make_rig(1 << 20);
    fw_hash hashes[6];
    for (int i = 0; i < 6; i++) hashes[i] = put_recording(r, (char)('a' + i), 100, (uint32_t)i + 1, true);
    fw_unit_spool_drain(r->spool);
    char part[FW_PATH_MAX];
    snprintf(part, sizeof part, "%s/spool/99.mcap.part", r->folder);
    FILE *file = fopen(part, "w"); /* a power cut's */
    fputs("half", file);
    fclose(file);
    fw_unit_spool_close(r->spool);
    fw_unit_shared_free(r->shared); /* everything stopped: new shared memory */
    r->shared = make_shared();
    open_spool(r);
    assert_false(fw_file_exists(part));
    for (uint32_t i = 0; i < 6; i++) {
        fw_unit_spooled next;
        assert_true(fw_unit_spool_next(r->spool, 0, 0, &next));
        assert_string_equal(next.hash.hex, hashes[i].hex);
        assert_int_equal(next.events, i + 1);
        fw_unit_spool_remove(r->spool, &next.hash);
    }
    drop_rig(r);
}

static void test_a_courier_that_dies_anywhere_loses_nothing(void **state) {
    (void)state;
    for (uint32_t stage = 0; stage <= 5; stage++) {
        uint32_t dies_after = stage < 4 ? stage : 4; /* 5: after the rename, before forgetting */
        rig *r = make_rig(1 << 20);
        static uint8_t payload[FW_UNIT_PIECE_MAX];
        /* the pieces handled before the death, one of them handled but not yet popped */
        fw_hash hash = put_recording(r, 'k', 4000, 1, true);
        uint64_t tail = 0;
        if (dies_after > 0) {
            fw_unit_piece piece, kept[4];
            uint32_t count = 0;
            while (fw_unit_ring_peek(&r->shared->ring, &piece, payload)) {
                kept[count++] = piece;
                fw_unit_ring_pop(&r->shared->ring, &piece);
            }
            assert_int_equal(count, 4);
            atomic_store(&r->shared->ring.tail, 0);
            for (uint32_t i = 0; i + 1 < dies_after; i++)
                tail += sizeof kept[i] + kept[i].size_bytes;
            uint64_t head = atomic_load(&r->shared->ring.head), cut = tail;
            cut += sizeof kept[dies_after - 1] + kept[dies_after - 1].size_bytes;
            atomic_store(&r->shared->ring.head, cut);
            fw_unit_spool_drain(r->spool);
            atomic_store(&r->shared->ring.head, head);
        }
        atomic_store(&r->shared->ring.tail, tail); /* the last pop never happened */
        if (stage == 5) r->shared->open[0].serial = r->serial;
        fw_unit_spool_close(r->spool);
        open_spool(r);
        fw_unit_spool_drain(r->spool);
        assert_true(on_disk(r, &hash));
        assert_int_equal(fw_unit_spool_count(r->spool), 1);
        assert_int_equal(fw_unit_lost_bytes(r->shared), 0);
        drop_rig(r);
    }
}

static void test_a_tick_that_dies_costs_its_recording_only(void **state) {
    (void)state;
    rig *r = make_rig(1 << 20);
    put_recording(r, 'x', 3000, 0, false);
    fw_hash next = put_recording(r, 'y', 500, 0, true);
    fw_unit_spool_drain(r->spool);
    assert_true(on_disk(r, &next));
    assert_int_equal(fw_unit_spool_count(r->spool), 1);
    assert_int_equal(fw_unit_lost_bytes(r->shared), 3000);
    put_recording(r, 'z', 2000, 0, false);
    fw_unit_spool_drain(r->spool);
    assert_int_equal(atomic_load(&r->shared->spool_bytes), 2500);
    fw_unit_spool_finish(r->spool);
    assert_int_equal(fw_unit_lost_bytes(r->shared), 5000);
    assert_int_equal(atomic_load(&r->shared->spool_bytes), 500);
    drop_rig(r);
}

static void test_a_dropped_recording_is_no_loss(void **state) {
    (void)state;
    rig *r = make_rig(1 << 20);
    put_recording(r, 'x', 3000, 0, false);
    fw_unit_piece drop = {.kind = FW_UNIT_PIECE_DROP, .serial = r->serial};
    assert_true(fw_unit_ring_put(&r->shared->ring, &drop, NULL));
    fw_unit_spool_drain(r->spool);
    assert_int_equal(fw_unit_lost_bytes(r->shared), 0);
    assert_int_equal(atomic_load(&r->shared->spool_bytes), 0);
    drop_rig(r);
}

static void test_over_the_cap_recordings_without_events_go_first(void **state) {
    (void)state;
    rig *r = make_rig(10000);
    fw_hash event_old = put_recording(r, 'a', 3000, 1, true);
    fw_hash plain_old = put_recording(r, 'b', 3000, 0, true);
    fw_hash plain_new = put_recording(r, 'c', 3000, 0, true);
    fw_unit_spool_drain(r->spool);
    assert_int_equal(fw_unit_lost_bytes(r->shared), 0);
    fw_hash event_new = put_recording(r, 'd', 3000, 5, true);
    fw_unit_spool_drain(r->spool);
    assert_false(on_disk(r, &plain_old));
    assert_true(on_disk(r, &event_old) && on_disk(r, &plain_new) && on_disk(r, &event_new));
    assert_int_equal(fw_unit_lost_bytes(r->shared), 3000);
    put_recording(r, 'e', 3000, 1, true);
    put_recording(r, 'f', 3000, 1, true);
    fw_unit_spool_drain(r->spool);
    assert_false(on_disk(r, &plain_new));
    assert_false(on_disk(r, &event_old)); /* only then the oldest with events */
    assert_true(atomic_load(&r->shared->spool_bytes) <= 10000);
    assert_int_equal(fw_unit_lost_bytes(r->shared), 9000);
    char spool[FW_PATH_MAX];
    fw_path_join(spool, sizeof spool, r->folder, "spool");
    assert_true(fw_folder_size_bytes(spool) < 10000 + 3 * 200);
    drop_rig(r);
}

static void test_disk_faults_cost_the_recording_not_the_unit(void **state) {
    (void)state;
    rig *r = make_rig(1 << 20);
    r->fail_write = true;
    put_recording(r, 'a', 2000, 0, true);
    fw_unit_spool_drain(r->spool);
    assert_int_equal(fw_unit_lost_bytes(r->shared), 2000);
    r->fail_write = false, r->fail_sync = true;
    put_recording(r, 'b', 2000, 0, true);
    fw_unit_spool_drain(r->spool);
    assert_int_equal(fw_unit_lost_bytes(r->shared), 4000);
    r->fail_sync = false, r->fail_rename = true;
    put_recording(r, 'c', 2000, 0, true);
    fw_unit_spool_drain(r->spool);
    assert_int_equal(fw_unit_lost_bytes(r->shared), 6000);
    assert_int_equal(fw_unit_spool_count(r->spool), 0);
    assert_int_equal(atomic_load(&r->shared->spool_bytes), 0);
    r->fail_rename = false;
    fw_hash good = put_recording(r, 'd', 2000, 0, true);
    fw_unit_spool_drain(r->spool);
    assert_true(on_disk(r, &good));
    put_recording(r, 'e', 2 << 20, 0, true); /* larger than the whole spool */
    fw_unit_spool_drain(r->spool);
    uint64_t left = atomic_load(&r->shared->spool_bytes);
    assert_true(fw_unit_lost_bytes(r->shared) == 6000 + (2 << 20) + 2000 - left);
    good = put_recording(r, 'f', 2000, 0, true);
    fw_unit_spool_drain(r->spool);
    assert_true(on_disk(r, &good));
    drop_rig(r);
}

static void test_refused_recordings_are_kept_with_their_reason(void **state) {
    (void)state;
    rig *r = make_rig(10000);
    char path[FW_PATH_MAX], *text = NULL;
    size_t size = 0;
    fw_hash hash = put_recording(r, 'a', 4000, 0, true);
    fw_unit_spool_drain(r->spool);
    fw_unit_spool_refuse(r->spool, &hash, "HTTP 422: not to its taste");
    assert_int_equal(fw_unit_spool_count(r->spool), 0);
    assert_int_equal(atomic_load(&r->shared->spool_bytes), 0);
    snprintf(path, sizeof path, "%s/spool/refused/%s.reason", r->folder, hash.hex);
    assert_int_equal(fw_file_read(path, 1000, &text, &size, NULL), FW_OK);
    assert_string_equal(text, "HTTP 422: not to its taste");
    free(text);
    snprintf(path, sizeof path, "%s/spool/refused/%s.mcap", r->folder, hash.hex);
    assert_true(fw_file_exists(path));
    put_recording(r, 'b', 7000, 0, true); /* the refused one makes room first */
    fw_unit_spool_drain(r->spool);
    assert_false(fw_file_exists(path));
    assert_int_equal(fw_unit_spool_count(r->spool), 1);
    drop_rig(r);
}

/* Every interleaving point of a routine recording and a capture, with the courier dying after each
 * piece, popped or not. */
static void test_two_open_recordings_and_a_courier_that_dies(void **state) {
    (void)state;
    static uint8_t payload[FW_UNIT_PIECE_MAX];
    for (uint32_t stage = 0; stage < 16; stage++) {
        bool popped = stage & 1;
        rig *r = make_rig(1 << 20);
        fw_unit_piece piece;
        static const int order[8][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}, {0, 2}, {1, 2}, {1, 3}, {0, 3}};
        for (int i = 0; i < 8; i++)
            put_step(r, (fw_unit_stream)order[i][0], (uint64_t)order[i][0] + 1, order[i][1], 3000, 20);
        uint64_t ends[9] = {0}, head = atomic_load(&r->shared->ring.head);
        for (int i = 0; i < 8; i++) {
            assert_true(fw_unit_ring_peek(&r->shared->ring, &piece, payload));
            fw_unit_ring_pop(&r->shared->ring, &piece);
            ends[i + 1] = atomic_load(&r->shared->ring.tail);
        }
        uint32_t done = stage / 2 + 1;
        atomic_store(&r->shared->ring.tail, 0);
        atomic_store(&r->shared->ring.head, ends[done]);
        fw_unit_spool_drain(r->spool);
        atomic_store(&r->shared->ring.head, head);
        if (!popped) atomic_store(&r->shared->ring.tail, ends[done - 1]);
        fw_unit_spool_close(r->spool);
        open_spool(r);
        fw_unit_spool_drain(r->spool);
        fw_hash routine = hash_of(1, 3000), capture = hash_of(2, 3000);
        assert_true(on_disk(r, &routine) && on_disk(r, &capture));
        assert_int_equal(fw_unit_spool_count(r->spool), 2);
        assert_int_equal(fw_unit_lost_bytes(r->shared), 0);
        fw_unit_spooled file;
        assert_true(fw_unit_spool_next(r->spool, 0, 0, &file));
        assert_string_equal(file.hash.hex, capture.hex); /* the capture first */
        assert_string_equal(file.campaign, "bump");
        assert_int_equal(file.value, FW_UNIT_VALUE_CAPTURE + 20);
        assert_int_equal(file.trigger_ns, 77);
        assert_int_equal(file.wall_ns, 6);
        assert_string_equal(file.boot, r->shared->boot);
        char folder[FW_PATH_MAX];
        fw_path_join(folder, sizeof folder, r->folder, "spool");
        assert_true(fw_folder_size_bytes(folder) < 2 * 3000 + 2 * 600); /* nothing left behind */
        drop_rig(r);
    }
}

static void test_value_decides_what_stays(void **state) {
    (void)state;
    rig *r = make_rig(10000);
    fw_hash low = put_whole(r, FW_UNIT_CAPTURE, 3000, 10);
    fw_hash high = put_whole(r, FW_UNIT_CAPTURE, 3000, 90);
    fw_hash event = put_recording(r, 'e', 3000, 1, true);
    fw_unit_spool_drain(r->spool);
    assert_int_equal(fw_unit_lost_bytes(r->shared), 0);
    fw_hash plain = put_recording(r, 'p', 3000, 0, true); /* worth less than all: gives way itself */
    fw_unit_spool_drain(r->spool);
    assert_false(on_disk(r, &plain));
    assert_true(on_disk(r, &low) && on_disk(r, &high) && on_disk(r, &event));
    assert_int_equal(atomic_load(&r->shared->lost_bytes[FW_UNIT_LOSS_EVICTED]), 3000);
    fw_hash more = put_whole(r, FW_UNIT_CAPTURE, 3000, 50);
    fw_unit_spool_drain(r->spool);
    assert_false(on_disk(r, &event));
    fw_hash most = put_whole(r, FW_UNIT_CAPTURE, 3000, 60);
    fw_unit_spool_drain(r->spool);
    assert_false(on_disk(r, &low));
    assert_true(on_disk(r, &high) && on_disk(r, &more) && on_disk(r, &most));
    fw_unit_spooled file;
    assert_true(fw_unit_spool_next(r->spool, 0, 0, &file));
    assert_string_equal(file.hash.hex, high.hex);
    assert_false(fw_unit_spool_next(r->spool, 0, FW_UNIT_VALUE_CAPTURE + 91, &file));
    assert_int_equal(fw_unit_lost_bytes(r->shared), 9000);
    drop_rig(r);
}

static void test_a_full_disk_costs_the_least_valuable(void **state) {
    (void)state;
    rig *r = make_rig(1 << 20);
    fw_hash plain = put_recording(r, 'p', 3000, 0, true);
    fw_hash event = put_recording(r, 'e', 3000, 1, true);
    fw_unit_spool_drain(r->spool);
    put_step(r, FW_UNIT_CAPTURE, 9, 0, 4000, 5);
    fw_unit_spool_drain(r->spool);
    r->full_writes = 1;
    for (int step = 1; step < 4; step++) put_step(r, FW_UNIT_CAPTURE, 9, step, 4000, 5);
    fw_unit_spool_drain(r->spool);
    fw_hash capture = hash_of(9, 4000);
    assert_true(on_disk(r, &capture) && on_disk(r, &event));
    assert_false(on_disk(r, &plain));
    assert_int_equal(atomic_load(&r->shared->lost_bytes[FW_UNIT_LOSS_EVICTED]), 3000);
    assert_int_equal(atomic_load(&r->shared->lost_bytes[FW_UNIT_LOSS_DISK]), 0);
    drop_rig(r);
}

static void test_the_ring_on_disk_and_what_a_campaign_takes_out_of_it(void **state) {
    (void)state;
    rig *r = calloc(1, sizeof *r);
    make_folder(r->folder);
    r->shared = make_shared();
    r->max_bytes = 1 << 20, r->ring_max_bytes = 10000;
    r->env = *fw_env_real();
    r->env.self = r;
    r->env.write = rig_write, r->env.fdatasync = rig_sync, r->env.rename = rig_rename;
    open_spool(r);
    fw_hash hashes[6];
    for (int i = 0; i < 6; i++) {
        hashes[i] = put_whole(r, FW_UNIT_ROUTINE, 3000, 0);
        fw_unit_spool_drain(r->spool);
    }
    for (int i = 0; i < 6; i++) assert_int_equal(on_disk(r, &hashes[i]), i >= 3); /* the ring */
    assert_int_equal(fw_unit_lost_bytes(r->shared), 0); /* goes round: no loss */
    assert_int_equal(fw_unit_spool_count(r->spool), 0); /* and nothing leaves the unit */
    /* serial n has n * 100 to n * 100 + 99 of drive 3; one that begins where the memory does has nothing more */
    fw_unit_promote wanted = {.campaign = "late", .priority = 70, .drive = 3, .from_ns = 350,
                              .to_ns = 400};
    fw_unit_piece piece = {.kind = FW_UNIT_PIECE_PROMOTE, .size_bytes = sizeof wanted};
    put_piece(r, piece, &wanted);
    fw_unit_spool_drain(r->spool);
    assert_int_equal(fw_unit_spool_count(r->spool), 0);
    wanted.from_ns = 510, wanted.to_ns = 520;
    put_piece(r, piece, &wanted);
    fw_unit_spool_drain(r->spool);
    fw_unit_spooled file;
    assert_int_equal(fw_unit_spool_count(r->spool), 1);
    assert_true(fw_unit_spool_next(r->spool, 0, 0, &file));
    assert_string_equal(file.hash.hex, hashes[4].hex);
    assert_string_equal(file.campaign, "late");
    assert_int_equal(file.value, FW_UNIT_VALUE_CAPTURE + 70);
    /* it stays so over a restart, and one that is open is promoted at its end */
    put_step(r, FW_UNIT_ROUTINE, 7, 0, 3000, 0);
    wanted.from_ns = 700, wanted.to_ns = 710;
    put_piece(r, piece, &wanted);
    fw_unit_spool_drain(r->spool);
    fw_unit_spool_close(r->spool);
    open_spool(r);
    assert_int_equal(fw_unit_spool_count(r->spool), 1);
    for (int step = 1; step < 4; step++) put_step(r, FW_UNIT_ROUTINE, 7, step, 3000, 0);
    fw_unit_spool_drain(r->spool);
    assert_int_equal(fw_unit_spool_count(r->spool), 2);
    drop_rig(r);
}

/* Given up, then the courier dies: its successor must not take the rest for a recording with a hole. */
static void test_what_was_given_up_stays_so_when_the_courier_dies(void **state) {
    (void)state;
    rig *r = make_rig(1 << 20);
    put_step(r, FW_UNIT_ROUTINE, 1, 0, 4000, 0);
    r->fail_write = true;
    put_step(r, FW_UNIT_ROUTINE, 1, 1, 4000, 0);
    fw_unit_spool_drain(r->spool);
    r->fail_write = false;
    assert_int_equal(atomic_load(&r->shared->lost_bytes[FW_UNIT_LOSS_DISK]), 2000);
    fw_unit_spool_close(r->spool);
    open_spool(r);
    for (int step = 2; step < 4; step++) put_step(r, FW_UNIT_ROUTINE, 1, step, 4000, 0);
    fw_unit_spool_drain(r->spool);
    assert_int_equal(fw_unit_spool_count(r->spool), 0);
    assert_int_equal(fw_unit_lost_bytes(r->shared), 4000);
    drop_rig(r);
}

static int64_t late_ns;
static int64_t rig_mono(void *self) { return (void)self, late_ns + fw_env_mono_ns(fw_env_real()); }

/* A courier dies before its fdatasync, and no piece comes any more: its successor makes the part durable, and counts
 * it against the quota. */
static void test_a_successor_makes_the_part_durable(void **state) {
    (void)state;
    rig *r = make_rig(1 << 20);
    char path[200];
    for (int step = 0; step < 2; step++) put_step(r, FW_UNIT_ROUTINE, 1, step, 4000, 0);
    fw_unit_spool_drain(r->spool);
    snprintf(path, sizeof path, "%s/spool/1.mcap.part", r->folder);
    assert_false(is_synced(path));
    r->env.mono_ns = rig_mono;
    fw_unit_spool_close(r->spool);
    open_spool(r);
    assert_int_equal(atomic_load(&r->shared->spool_bytes), 2000);
    late_ns = INT64_C(3000000000);
    fw_unit_spool_drain(r->spool);
    assert_true(is_synced(path));
    late_ns = 0;
    drop_rig(r);
}

/* The disk is full just when a capture that is whole gets its sidecar. */
static void test_a_full_disk_at_the_end_costs_the_least_valuable(void **state) {
    (void)state;
    rig *r = make_rig(1 << 20);
    fw_hash plain = put_recording(r, 'p', 3000, 0, true);
    fw_unit_spool_drain(r->spool);
    for (int step = 0; step < 3; step++) put_step(r, FW_UNIT_CAPTURE, 9, step, 4000, 5);
    fw_unit_spool_drain(r->spool);
    r->full_writes = 1;
    put_step(r, FW_UNIT_CAPTURE, 9, 3, 4000, 5);
    fw_unit_spool_drain(r->spool);
    fw_hash capture = hash_of(9, 4000);
    assert_true(on_disk(r, &capture));
    assert_false(on_disk(r, &plain));
    assert_int_equal(atomic_load(&r->shared->lost_bytes[FW_UNIT_LOSS_EVICTED]), 3000);
    assert_int_equal(atomic_load(&r->shared->lost_bytes[FW_UNIT_LOSS_DISK]), 0);
    drop_rig(r);
}

/* No whole file to give up: the open routine recording goes, not the open capture. */
static void test_an_open_part_gives_way_to_a_better_one(void **state) {
    (void)state;
    rig *r = make_rig(10000);
    for (int step = 0; step < 3; step++) put_step(r, FW_UNIT_ROUTINE, 1, step, 8000, 0);
    for (int step = 0; step < 4; step++) put_step(r, FW_UNIT_CAPTURE, 2, step, 4000, 5);
    put_step(r, FW_UNIT_ROUTINE, 1, 3, 8000, 0);
    fw_unit_spool_drain(r->spool);
    fw_hash capture = hash_of(2, 4000), routine = hash_of(1, 8000);
    assert_true(on_disk(r, &capture));
    assert_false(on_disk(r, &routine));
    assert_int_equal(atomic_load(&r->shared->lost_bytes[FW_UNIT_LOSS_EVICTED]), 8000);
    assert_int_equal(fw_unit_lost_bytes(r->shared), 8000);
    drop_rig(r);
}

/* Of equal value the one that is on its way to the factory goes last. */
static void test_the_one_being_sent_is_not_the_first_to_go(void **state) {
    (void)state;
    rig *r = make_rig(10000);
    fw_unit_spooled file;
    fw_hash first = put_recording(r, 'a', 3000, 0, true), second = put_recording(r, 'b', 3000, 0, true);
    fw_unit_spool_drain(r->spool);
    assert_true(fw_unit_spool_next(r->spool, 0, 0, &file));
    assert_string_equal(file.hash.hex, first.hex);
    fw_hash third = put_recording(r, 'c', 5000, 0, true);
    fw_unit_spool_drain(r->spool);
    assert_true(on_disk(r, &first) && on_disk(r, &third));
    assert_false(on_disk(r, &second));
    put_recording(r, 'd', 3000, 1, true); /* worth more: nothing is left to spare it */
    put_recording(r, 'e', 6000, 1, true);
    fw_unit_spool_drain(r->spool);
    assert_false(on_disk(r, &first));
    drop_rig(r);
}

/* Somebody else removed a recording: a loss that is counted; an evicted one was counted before. */
static void test_a_file_that_vanishes_is_a_loss(void **state) {
    (void)state;
    rig *r = make_rig(1 << 20);
    char path[FW_PATH_MAX];
    fw_hash hash = put_recording(r, 'a', 3000, 0, true);
    fw_unit_spool_drain(r->spool);
    fw_unit_spool_path(r->spool, &hash, path);
    assert_int_equal(unlink(path), 0);
    fw_unit_spool_missing(r->spool, &hash);
    fw_unit_spool_missing(r->spool, &hash);
    assert_int_equal(fw_unit_spool_count(r->spool), 0);
    assert_int_equal(atomic_load(&r->shared->lost_bytes[FW_UNIT_LOSS_DISK]), 3000);
    assert_int_equal(atomic_load(&r->shared->spool_bytes), 0);
    drop_rig(r);
}

/* What campaigns captured is known to the next start of the unit, and of the tick. */
static void test_spent_budgets_are_kept(void **state) {
    (void)state;
    rig *r = make_rig(1 << 20);
    put_whole(r, FW_UNIT_CAPTURE, 3000, 10);
    put_whole(r, FW_UNIT_CAPTURE, 4000, 10);
    put_whole(r, FW_UNIT_ROUTINE, 4000, 0);
    fw_unit_spool_drain(r->spool);
    for (int start = 0; start < 2; start++) {
        fw_unit_spent *spent = fw_unit_spent_find(r->shared, "bump");
        assert_non_null(spent);
        assert_int_equal(atomic_load(&spent->captures), 2);
        assert_int_equal(atomic_load(&spent->bytes), 7000);
        assert_int_equal(atomic_load(&r->shared->spent_count), 1);
        fw_unit_spool_close(r->spool);
        fw_unit_shared_free(r->shared);
        r->shared = make_shared();
        open_spool(r);
    }
    /* more campaigns than there is room for: the newest stay over a start */
    fw_unit_begin begin = {.priority = 1};
    uint8_t byte = 1;
    for (uint32_t i = 0; i < FW_UNIT_SPENT_MAX + 10; i++) {
        fw_unit_piece p = {.serial = 100 + i, .stream = FW_UNIT_CAPTURE};
        snprintf(begin.campaign, sizeof begin.campaign, "many-%u", i);
        p.kind = FW_UNIT_PIECE_BEGIN, p.size_bytes = sizeof begin;
        put_piece(r, p, &begin);
        p.kind = FW_UNIT_PIECE_BYTES, p.size_bytes = 1, byte = (uint8_t)(i + 1);
        put_piece(r, p, &byte);
        p.kind = FW_UNIT_PIECE_END, p.size_bytes = 0, p.offset = 1;
        put_piece(r, p, NULL);
        fw_unit_spool_drain(r->spool);
    }
    assert_int_equal(atomic_load(&r->shared->spent_count), FW_UNIT_SPENT_MAX);
    fw_unit_spool_close(r->spool);
    fw_unit_shared_free(r->shared);
    r->shared = make_shared();
    open_spool(r);
    assert_int_equal(atomic_load(&r->shared->spent_count), FW_UNIT_SPENT_MAX / 2);
    assert_null(fw_unit_spent_find(r->shared, "bump"));
    assert_non_null(fw_unit_spent_find(r->shared, "many-62"));
    drop_rig(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring_to_disk_and_away),
        cmocka_unit_test(test_a_restart_takes_up_what_was_left_in_order),
        cmocka_unit_test(test_a_courier_that_dies_anywhere_loses_nothing),
        cmocka_unit_test(test_a_tick_that_dies_costs_its_recording_only),
        cmocka_unit_test(test_a_dropped_recording_is_no_loss),
        cmocka_unit_test(test_over_the_cap_recordings_without_events_go_first),
        cmocka_unit_test(test_disk_faults_cost_the_recording_not_the_unit),
        cmocka_unit_test(test_refused_recordings_are_kept_with_their_reason),
        cmocka_unit_test(test_two_open_recordings_and_a_courier_that_dies),
        cmocka_unit_test(test_value_decides_what_stays),
        cmocka_unit_test(test_a_full_disk_costs_the_least_valuable),
        cmocka_unit_test(test_the_ring_on_disk_and_what_a_campaign_takes_out_of_it),
        cmocka_unit_test(test_what_was_given_up_stays_so_when_the_courier_dies),
        cmocka_unit_test(test_a_successor_makes_the_part_durable),
        cmocka_unit_test(test_a_full_disk_at_the_end_costs_the_least_valuable),
        cmocka_unit_test(test_an_open_part_gives_way_to_a_better_one),
        cmocka_unit_test(test_the_one_being_sent_is_not_the_first_to_go),
        cmocka_unit_test(test_a_file_that_vanishes_is_a_loss),
        cmocka_unit_test(test_spent_budgets_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
