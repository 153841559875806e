/* Small records: acked means durable, and each is there once, whatever fails. */
#include <pthread.h>
#include <sys/stat.h>

#include "base/random.h"
#include "fixture.h"

/* ---- a store alone ---- */

typedef struct store {
    char root[64], folder[80];
    faulty faults;
    fw_catalogue *catalogue;
    fw_records *records;
    fw_records_config config;
} store;

static void store_open(store *s) {
    char path[120];
    fw_error error = {""};
    snprintf(path, sizeof path, "%s/catalogue.sqlite", s->folder);
    if (fw_catalogue_open(path, &s->catalogue, &error) != FW_OK) fail_msg("%s", error.text);
    s->config.env = &s->faults.env;
    s->config.catalogue = s->catalogue;
    s->config.data_folder = s->folder;
    if (fw_records_open(&s->config, &s->records, &error) != FW_OK) fail_msg("%s", error.text);
}

static void store_close(store *s) {
    fw_records_close(s->records);
    fw_catalogue_close(s->catalogue);
    s->records = NULL;
    s->catalogue = NULL;
}

static int store_setup(void **state) {
    store *s = calloc(1, sizeof *s);
    snprintf(s->root, sizeof s->root, "/tmp/fw_records_XXXXXX");
    if (!mkdtemp(s->root)) return -1;
    snprintf(s->folder, sizeof s->folder, "%s/a", s->root);
    if (mkdir(s->folder, 0755) != 0) return -1;
    s->faults.env = (fw_env){.self = &s->faults, .wall_ns = faulty_wall, .mono_ns = faulty_mono,
                           .sleep_ns = faulty_sleep, .write = faulty_write,
                           .fdatasync = faulty_sync, .rename = faulty_rename};
    s->config.segment_bytes = 20000;
    store_open(s);
    *state = s;
    return 0;
}

static int store_teardown(void **state) {
    store *s = *state;
    fw_error error;
    store_close(s);
    fw_status status = fw_folder_remove(s->root, &error);
    free(s);
    return status == FW_OK ? 0 : -1;
}

/* What a machine that lost power now would find: a copy of the files, opened anew. The store as it
 * was stays as it is. */
static void crash_into(const store *s, const char *name, store *out) {
    char command[300];
    *out = (store){.config = s->config};
    FW_ASSERT(s->root[0] != '\0'); /* a copy of a copy lies beside it */
    snprintf(out->root, sizeof out->root, "%s", s->root);
    snprintf(out->folder, sizeof out->folder, "%s/%s", s->root, name);
    snprintf(command, sizeof command, "rm -rf %s && cp -r %s %s", out->folder, s->folder,
             out->folder);
    assert_int_equal(system(command), 0);
    out->faults.env = (fw_env){.self = &out->faults, .wall_ns = faulty_wall, .mono_ns = faulty_mono,
                           .sleep_ns = faulty_sleep, .write = faulty_write,
                           .fdatasync = faulty_sync, .rename = faulty_rename};
}

static void segment_path(const store *s, int number, char out[160]) {
    snprintf(out, 160, "%s/records/%08d.fwr", s->folder, number);
}

static long segment_size(const store *s, int number) {
    char path[160];
    struct stat info;
    segment_path(s, number, path);
    return stat(path, &info) == 0 ? (long)info.st_size : -1;
}

/* Records "<unit> <n>\n" from first on. */
static size_t make_batch(char *out, const char *unit, uint64_t first, uint32_t count) {
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++)
        at += (size_t)sprintf(out + at, "%s %llu\n", unit, (unsigned long long)(first + i));
    return at;
}

static fw_status append(store *s, const char *unit, uint64_t first, uint32_t count,
                        fw_records_ack *ack) {
    static _Thread_local char bytes[200000];
    fw_error error;
    fw_records_batch batch = {.name = {.boot = "b-1", .stream = "free"},
                              .first = first,
                              .payload = (uint8_t *)bytes,
                              .payload_bytes = make_batch(bytes, unit, first, count)};
    snprintf(batch.name.unit, sizeof batch.name.unit, "%s", unit);
    return fw_records_append(s->records, &batch, ack, &error);
}

/* The unit's records are exactly first .. end-1, each once, in order, with rising sequences. */
static void expect_records(store *s, const char *unit, uint64_t first, uint64_t end) {
    fw_records_query q = {.unit = unit, .limit = FW_RECORDS_READ_MAX};
    uint64_t last_sequence = 0;
    bool more = true;
    while (more) {
        char *lines, *rest, want[80];
        size_t size;
        fw_error error;
        assert_int_equal(fw_records_read(s->records, &q, &lines, &size, &q.since, &more, &error),
                         FW_OK);
        for (char *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
            json_t *json = json_loads(line, 0, NULL);
            assert_non_null(json);
            snprintf(want, sizeof want, "%s %llu", unit, (unsigned long long)first);
            assert_string_equal(json_string_value(json_object_get(json, "record")), want);
            assert_int_equal(json_integer_value(json_object_get(json, "number")), first);
            uint64_t sequence = (uint64_t)json_integer_value(json_object_get(json, "sequence"));
            assert_true(sequence > last_sequence);
            last_sequence = sequence;
            first++;
            json_decref(json);
        }
        free(lines);
    }
    assert_int_equal(first, end);
}

static void a_batch_is_taken_once(void **state) {
    store *s = *state;
    fw_records_ack ack;
    assert_int_equal(append(s, "a", 0, 10, &ack), FW_OK);
    assert_int_equal(ack.taken, 10);
    assert_int_equal(ack.next, 10);
    assert_int_equal(ack.sequence, 10);
    assert_int_equal(append(s, "a", 0, 10, &ack), FW_OK); /* the ack was lost */
    assert_int_equal(ack.taken, 0);
    assert_int_equal(ack.repeated, 10);
    assert_int_equal(ack.next, 10);
    assert_int_equal(append(s, "a", 7, 10, &ack), FW_OK);
    assert_int_equal(ack.taken, 7);
    assert_int_equal(ack.repeated, 3);
    assert_int_equal(ack.next, 17);
    assert_int_equal(append(s, "a", 18, 1, &ack), FW_MISMATCH);
    assert_int_equal(ack.next, 17);
    assert_int_equal(append(s, "b", 1, 1, &ack), FW_MISMATCH); /* nothing of it was ever here */
    assert_int_equal(ack.next, 0);
    assert_int_equal(append(s, "b", 0, 5, &ack), FW_OK);
    assert_int_equal(ack.sequence, 22);
    expect_records(s, "a", 0, 17);
    expect_records(s, "b", 0, 5);
}

static void streams_stand_where_they_stood(void **state) {
    store *s = *state, after;
    fw_records_ack ack;
    fw_error error;
    assert_int_equal(append(s, "a", 0, 10, &ack), FW_OK);
    store_close(s);
    store_open(s);
    assert_int_equal(append(s, "a", 5, 10, &ack), FW_OK);
    assert_int_equal(ack.repeated, 5);
    assert_int_equal(ack.sequence, 15);
    assert_int_equal(fw_records_state_of(s->records).segments, 1); /* goes on in the same file */
    crash_into(s, "b", &after);
    store_open(&after);
    assert_int_equal(append(&after, "a", 10, 10, &ack), FW_OK);
    assert_int_equal(ack.repeated, 5);
    expect_records(&after, "a", 0, 20);
    assert_int_equal(fw_records_checkpoint(after.records, &error), FW_OK);
    store again;
    crash_into(&after, "c", &again); /* with all of it in the checkpoint */
    store_open(&again);
    assert_int_equal(append(&again, "a", 21, 1, &ack), FW_MISMATCH);
    assert_int_equal(ack.next, 20);
    assert_int_equal(append(&again, "a", 20, 1, &ack), FW_OK);
    assert_int_equal(ack.sequence, 21);
    expect_records(&again, "a", 0, 21);
    store_close(&after);
    store_close(&again);
}

static void a_torn_end_is_cut_off_at_any_byte(void **state) {
    store *s = *state, after;
    fw_records_ack ack;
    long ends[4] = {FW_RECORDS_SEGMENT_HEADER};
    char path[160];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(append(s, "a", (uint64_t)i * 4, 4, &ack), FW_OK);
        ends[i + 1] = segment_size(s, 1);
    }
    for (long cut = 0; cut <= ends[3]; cut += cut == ends[3] ? 1 : 3) {
        int whole = 0;
        crash_into(s, "b", &after);
        segment_path(&after, 1, path);
        assert_int_equal(truncate(path, cut), 0);
        while (whole < 3 && ends[whole + 1] <= cut) whole++;
        store_open(&after);
        expect_records(&after, "a", 0, (uint64_t)whole * 4);
        assert_int_equal(append(&after, "a", 0, 20, &ack), FW_OK);
        assert_int_equal(ack.repeated, whole * 4);
        expect_records(&after, "a", 0, 20);
        store_close(&after);
        if (cut + 3 > ends[3] && cut < ends[3]) cut = ends[3] - 3;
    }
}

static void damage_in_the_middle_costs_its_batch_alone(void **state) {
    store *s = *state, after;
    fw_records_ack ack;
    char path[160];
    assert_int_equal(append(s, "a", 0, 4, &ack), FW_OK);
    long from = segment_size(s, 1);
    assert_int_equal(append(s, "b", 0, 4, &ack), FW_OK);
    long to = segment_size(s, 1);
    assert_int_equal(append(s, "a", 4, 4, &ack), FW_OK);
    for (long at = from; at < to; at += 5) {
        crash_into(s, "b", &after);
        segment_path(&after, 1, path);
        FILE *file = fopen(path, "r+b");
        fseek(file, at, SEEK_SET);
        int byte = fgetc(file);
        fseek(file, at, SEEK_SET);
        fputc(byte ^ 0x41, file);
        fclose(file);
        store_open(&after);
        assert_int_equal(fw_records_state_of(after.records).damaged_bytes, to - from);
        expect_records(&after, "a", 0, 8);
        expect_records(&after, "b", 0, 0);
        assert_int_equal(append(&after, "a", 8, 2, &ack), FW_OK); /* in a new segment */
        assert_true(segment_size(&after, 2) > 0);
        expect_records(&after, "a", 0, 10);
        store_close(&after);
    }
}

static void what_was_not_durable_never_counts_later(void **state) {
    store *s = *state, after;
    fw_records_ack ack;
    char path[160];
    assert_int_equal(append(s, "a", 0, 4, &ack), FW_OK);
    long good = segment_size(s, 1);
    store_close(s);
    store_open(s);
    s->faults.fail_at = s->faults.calls + 2; /* the flush of the next batch */
    s->faults.fail_errno = EIO;
    assert_int_equal(append(s, "a", 4, 4, &ack), FW_IO);
    assert_int_equal(segment_size(s, 1), good); /* cut off */
    assert_int_equal(append(s, "a", 4, 4, &ack), FW_OK);
    assert_int_equal(ack.taken, 4);
    assert_int_equal(ack.sequence, 8);
    assert_true(segment_size(s, 2) > 0); /* never in the same file again */
    crash_into(s, "b", &after);
    segment_path(&after, 1, path); /* as if the cut had not reached the disk */
    uint8_t frame[400];
    char lines[100];
    fw_records_frame again = {.name = {"a", "b-1", "free"}, .sequence = 5, .first = 4, .count = 4,
                              .time_ns = 1, .payload = (uint8_t *)lines};
    again.payload_bytes = (uint32_t)make_batch(lines, "a", 4, 4);
    again.payload_crc = fw_records_crc(again.payload, again.payload_bytes);
    FILE *file = fopen(path, "ab");
    fwrite(frame, 1, fw_records_frame_write(&again, frame), file);
    fclose(file);
    uint8_t *second; /* nor a segment whose first flush failed: one with the next number counts */
    size_t size;
    fw_error error;
    segment_path(&after, 2, path);
    assert_int_equal(fw_file_read(path, 1 << 20, (char **)&second, &size, &error), FW_OK);
    fw_records_segment header;
    assert_int_equal(fw_records_segment_parse(second, size, &header, &error), FW_OK);
    header.number = 3;
    fw_records_segment_write(&header, second);
    segment_path(&after, 3, path);
    assert_int_equal(fw_file_write_durable(fw_env_real(), path, second, size, &error), FW_OK);
    free(second);
    store_open(&after);
    expect_records(&after, "a", 0, 8);
    assert_int_equal(segment_size(&after, 2), -1);
    store_close(&after);
}

/* Sends until it is acked, as a unit does. */
static void append_until_acked(store *s, const char *unit, uint64_t first, uint32_t count) {
    fw_records_ack ack;
    for (int i = 0; i < 1000; i++)
        if (append(s, unit, first, count, &ack) == FW_OK) {
            assert_int_equal(ack.next, first + count);
            return;
        }
    fail_msg("never acked");
}

static void any_write_or_flush_may_fail(void **state) {
    store *s = *state, after;
    const int errors[] = {EIO, ENOSPC};
    uint64_t next = 0;
    for (unsigned at = 1; at <= 9; at++)
        for (int e = 0; e < 2; e++)
            for (int times = 1; times <= 3; times++) {
                fw_records_ack ack;
                s->faults.fail_at = s->faults.calls + at;
                s->faults.fail_errno = errors[e];
                for (int i = 0; i < 3; i++, next += 7) {
                    fw_status status = append(s, "a", next, 7, &ack);
                    if (status != FW_OK) {
                        assert_int_equal(status, errors[e] == EIO ? FW_IO : FW_NO_SPACE);
                        append_until_acked(s, "a", next, 7);
                    }
                }
                s->faults.fail_at = 0;
                if (times < 3) continue;
                crash_into(s, "b", &after);
                store_open(&after);
                expect_records(&after, "a", 0, next);
                store_close(&after);
            }
    expect_records(s, "a", 0, next);
    assert_true(fw_records_state_of(s->records).failures > 0);
}

static void a_disk_that_stays_full_loses_nothing_acked(void **state) {
    store *s = *state, after;
    fw_records_ack ack;
    append_until_acked(s, "a", 0, 10);
    s->faults.fail_at = s->faults.calls + 1;
    s->faults.fail_errno = ENOSPC;
    s->faults.stays = true;
    for (int i = 0; i < 5; i++) assert_int_equal(append(s, "a", 10, 10, &ack), FW_NO_SPACE);
    crash_into(s, "b", &after);
    store_open(&after);
    expect_records(&after, "a", 0, 10);
    store_close(&after);
    s->faults.fail_at = 0;
    append_until_acked(s, "a", 10, 10);
    expect_records(s, "a", 0, 20);
}

static void opening_may_fail_and_harms_nothing(void **state) {
    store *s = *state, after;
    fw_error error = {""};
    char path[120];
    append_until_acked(s, "a", 0, 10);
    crash_into(s, "b", &after);
    unsigned at = 1;
    for (;; at++) {
        after.faults.fail_at = after.faults.calls + at;
        after.faults.fail_errno = EIO;
        snprintf(path, sizeof path, "%s/catalogue.sqlite", after.folder);
        assert_int_equal(fw_catalogue_open(path, &after.catalogue, &error), FW_OK);
        after.config.env = &after.faults.env;
        after.config.catalogue = after.catalogue;
        after.config.data_folder = after.folder;
        if (fw_records_open(&after.config, &after.records, &error) == FW_OK) break;
        fw_catalogue_close(after.catalogue);
    }
    assert_true(at > 3);
    after.faults.fail_at = 0;
    expect_records(&after, "a", 0, 10);
    store_close(&after);
}

/* ---- many at once ---- */

/* A disk on which every 17th call fails. */
static atomic_uint flaky_calls;
static bool flaky(void) {
    unsigned call = atomic_fetch_add(&flaky_calls, 1);
    errno = call % 2 ? EIO : ENOSPC;
    return call % 17 == 5;
}
static ssize_t flaky_write(void *self, int fd, const void *bytes, size_t size) {
    (void)self;
    if (!flaky()) return write(fd, bytes, size);
    int why = errno;
    (void)!write(fd, bytes, size / 2);
    errno = why;
    return -1;
}
static int flaky_sync(void *self, int fd) {
    (void)self;
    return flaky() ? -1 : fdatasync(fd);
}

typedef struct sender {
    store *s;
    char unit[16];
    uint64_t seed, sent;
} sender;

/* A disk that fails to flush a file loses all of the file. */
static int losing_sync(void *self, int fd) {
    faulty *f = self;
    struct stat info;
    char own[64], path[300];
    if (!faulty_hits(f)) return fdatasync(fd);
    snprintf(own, sizeof own, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(own, path, sizeof path - 1);
    assert_true(size > 0);
    path[size] = '\0';
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && strstr(path, "/records/")) {
        assert_int_equal(truncate(path, 0), 0);
        assert_int_equal(truncate(path, info.st_size), 0);
    }
    errno = EIO;
    return -1;
}

static void a_flush_that_fails_while_opening_costs_nothing_acked(void **state) {
    store *s = *state, crashed;
    fw_records_ack ack;
    fw_error error;
    char path[120];
    assert_int_equal(append(s, "a", 0, 50, &ack), FW_OK);
    assert_int_equal(append(s, "a", 50, 50, &ack), FW_OK);
    bool opened = false;
    for (unsigned at = 1; !opened; at++) {
        crash_into(s, "crashed", &crashed);
        snprintf(path, sizeof path, "%s/catalogue.sqlite", crashed.folder);
        assert_int_equal(fw_catalogue_open(path, &crashed.catalogue, &error), FW_OK);
        crashed.faults.env.fdatasync = losing_sync;
        crashed.faults.fail_at = at;
        crashed.faults.fail_errno = EIO;
        crashed.config.env = &crashed.faults.env;
        crashed.config.catalogue = crashed.catalogue;
        crashed.config.data_folder = crashed.folder;
        opened = fw_records_open(&crashed.config, &crashed.records, &error) == FW_OK;
        crashed.faults.fail_at = 0;
        store_close(&crashed);
        store_open(&crashed);
        expect_records(&crashed, "a", 0, 100);
        store_close(&crashed);
    }
}

static void *send_many(void *self) {
    sender *w = self;
    fw_random random = fw_random_indexed(w->seed, 1);
    for (int i = 0; i < 60; i++) {
        uint32_t count = 1 + fw_random_below(&random, 20);
        append_until_acked(w->s, w->unit, w->sent, count);
        w->sent += count;
    }
    return NULL;
}

static void many_units_share_commits(void **state) {
    store *s = *state, after;
    enum { SENDERS = 8 };
    pthread_t threads[SENDERS];
    sender senders[SENDERS];
    fw_metrics metrics = {0};
    uint64_t seed = (uint64_t)fw_env_mono_ns(fw_env_real()), records = 0;
    print_message("seed %llu\n", (unsigned long long)seed);
    store_close(s);
    s->config.metrics = &metrics;
    store_open(s);
    s->faults.env.write = flaky_write;
    s->faults.env.fdatasync = flaky_sync;
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (sender){.s = s, .seed = seed + (uint64_t)i};
        snprintf(senders[i].unit, sizeof senders[i].unit, "unit-%d", i);
        assert_int_equal(pthread_create(&threads[i], NULL, send_many, &senders[i]), 0);
    }
    for (int i = 0; i < SENDERS; i++) pthread_join(threads[i], NULL);
    s->faults.env.write = faulty_write;
    s->faults.env.fdatasync = faulty_sync;
    assert_true(fw_records_state_of(s->records).failures > 0);
    crash_into(s, "b", &after);
    store_open(&after);
    for (int i = 0; i < SENDERS; i++) {
        records += senders[i].sent;
        expect_records(s, senders[i].unit, 0, senders[i].sent);
        expect_records(&after, senders[i].unit, 0, senders[i].sent);
    }
    assert_int_equal(fw_metrics_get(&metrics.records), records);
    assert_int_equal(fw_metrics_get(&metrics.batches), SENDERS * 60);
    assert_true(fw_metrics_get(&metrics.record_commits) < SENDERS * 60);
    store_close(&after);
    store_close(s);
    s->config.metrics = NULL;
    store_open(s);
}

static void *send_same(void *self) {
    sender *w = self;
    fw_records_ack ack;
    for (uint64_t n = 0; n < 200;) { /* the same stream from several connections */
        fw_status status = append(w->s, "same", n, 5, &ack);
        if (status != FW_OK) fail_msg("%s", fw_status_text(status));
        n = ack.next;
        w->sent += ack.taken;
    }
    return NULL;
}

static void one_stream_from_many_connections(void **state) {
    store *s = *state;
    pthread_t threads[4];
    sender senders[4];
    uint64_t taken = 0;
    for (int i = 0; i < 4; i++) {
        senders[i] = (sender){.s = s};
        assert_int_equal(pthread_create(&threads[i], NULL, send_same, &senders[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        taken += senders[i].sent;
    }
    assert_int_equal(taken, 200);
    expect_records(s, "same", 0, 200);
}

/* ---- size ---- */

static void segments_end_and_the_oldest_go(void **state) {
    store *s = *state;
    fw_error error;
    store_close(s);
    s->config.max_bytes = 100000;
    store_open(s);
    uint64_t next = 0;
    for (int i = 0; i < 60; i++, next += 500) append_until_acked(s, "a", next, 500);
    uint64_t before = fw_records_state_of(s->records).segments;
    assert_true(before > 10);
    assert_int_equal(fw_records_tick(s->records, &error), FW_OK);
    s->faults.skip_ns += 3600LL * 1000000000; /* time for a checkpoint */
    assert_int_equal(fw_records_tick(s->records, &error), FW_OK);
    fw_records_state now = fw_records_state_of(s->records);
    assert_true(now.segments < before);
    assert_true(now.bytes <= 100000);
    assert_int_equal(segment_size(s, 1), -1);
    fw_records_query q = {.limit = 1};
    char *lines;
    size_t size;
    bool more;
    uint64_t since;
    assert_int_equal(fw_records_read(s->records, &q, &lines, &size, &since, &more, &error), FW_OK);
    json_t *json = json_loads(lines, JSON_DISABLE_EOF_CHECK, NULL);
    uint64_t oldest = (uint64_t)json_integer_value(json_object_get(json, "number"));
    json_decref(json);
    free(lines);
    assert_true(oldest > 0);
    expect_records(s, "a", oldest, next);
    store_close(s);
    store_open(s);
    fw_records_ack ack;
    assert_int_equal(append(s, "a", 0, 500, &ack), FW_OK); /* repeats stay repeats */
    assert_int_equal(ack.repeated, 500);
    assert_int_equal(ack.next, next);
    s->config.max_bytes = 0;
}

static void opening_reads_what_came_after_the_checkpoint_alone(void **state) {
    store *s = *state;
    char path[160];
    uint64_t next = 0;
    for (int i = 0; i < 20; i++, next += 500) append_until_acked(s, "a", next, 500);
    store_close(s);
    segment_path(s, 1, path);
    FILE *file = fopen(path, "r+b"); /* damage that only a reader of the old would meet */
    fseek(file, 300, SEEK_SET);
    fputs("XXXXXXXX", file);
    fclose(file);
    store_open(s);
    assert_int_equal(fw_records_state_of(s->records).damaged_bytes, 0);
    fw_records_ack ack;
    assert_int_equal(append(s, "a", next, 5, &ack), FW_OK);
    assert_int_equal(ack.sequence, next + 5);
}

static void one_unit_is_erased_and_the_others_stay(void **state) {
    store *s = *state, after;
    fw_error error;
    fw_records_ack ack;
    char command[200];
    uint64_t next = 0;
    for (int i = 0; i < 6; i++, next += 300) { /* over several segments */
        append_until_acked(s, "keep", next, 300);
        append_until_acked(s, "gone", next, 300);
    }
    for (unsigned at = 1;; at++) { /* whatever fails, it can be done again */
        crash_into(s, "b", &after);
        store_open(&after);
        after.faults.fail_errno = ENOSPC;
        after.faults.fail_at = after.faults.calls + at;
        fw_status status = fw_records_erase(after.records, "gone", &error);
        bool reached = after.faults.calls >= after.faults.fail_at;
        after.faults.fail_at = 0;
        if (reached) {
            store again;
            assert_int_not_equal(status, FW_OK);
            crash_into(&after, "c", &again);
            store_open(&again);
            expect_records(&again, "keep", 0, next);
            assert_int_equal(fw_records_state_of(again.records).damaged_bytes, 0);
            assert_int_equal(fw_records_erase(again.records, "gone", &error), FW_OK);
            expect_records(&again, "keep", 0, next);
            expect_records(&again, "gone", 0, 0);
            store_close(&again);
            store_close(&after);
            continue;
        }
        assert_int_equal(status, FW_OK);
        assert_true(at > 5);
        break;
    }
    snprintf(command, sizeof command, "! grep -rq 'gone 1' %s/records", after.folder);
    assert_int_equal(system(command), 0); /* not a byte of it is left in the files */
    expect_records(&after, "keep", 0, next);
    assert_int_equal(append(&after, "gone", next - 300, 300, &ack), FW_OK);
    assert_int_equal(ack.repeated, 300); /* sent again, it is a repeat */
    append_until_acked(&after, "keep", next, 5);
    store_close(&after);
    store_open(&after);
    expect_records(&after, "keep", 0, next + 5);
    expect_records(&after, "gone", 0, 0);
    assert_int_equal(fw_records_state_of(after.records).damaged_bytes, 0);
    store_close(&after);
}

static void a_unit_has_at_most_32_streams_a_boot(void **state) {
    store *s = *state;
    fw_error error;
    fw_records_ack ack;
    fw_records_batch batch = {.name = {.unit = "a", .boot = "b-1"}, .payload = (uint8_t *)"x",
                              .payload_bytes = 1};
    for (int i = 0; i < 33; i++) {
        if (i == 10) assert_int_equal(fw_records_checkpoint(s->records, &error), FW_OK);
        snprintf(batch.name.stream, sizeof batch.name.stream, "s%d", i);
        assert_int_equal(fw_records_append(s->records, &batch, &ack, &error),
                         i < 32 ? FW_OK : FW_TOO_BIG);
    }
    snprintf(batch.name.boot, sizeof batch.name.boot, "b-2");
    assert_int_equal(fw_records_append(s->records, &batch, &ack, &error), FW_OK);
}

/* ---- over HTTP ---- */

typedef struct asked {
    headers h;
    const char *names[4], *values[4];
} asked;

static const char *asked_header(const void *native, const char *name) {
    return header_of(&((const asked *)native)->h, name);
}
static const char *asked_query(const void *native, const char *name) {
    const asked *a = native;
    for (int i = 0; i < 4 && a->names[i]; i++)
        if (strcmp(a->names[i], name) == 0) return a->values[i];
    return NULL;
}

static fw_http_response post_with(fixture *f, headers h, const char *body) {
    char length[24];
    asked a = {.h = h};
    fw_http_response response = {0};
    int i = 0;
    snprintf(length, sizeof length, "%zu", strlen(body));
    while (a.h.names[i]) i++;
    a.h.names[i] = "Content-Length", a.h.values[i] = length;
    fw_http_request request = {.method = "POST", .path = "/v1/records", .header = asked_header,
                               .query = asked_query, .native = &a};
    if (*body) request.sink = f->app.open_sink(f->app.self, &request, &response);
    if (response.status) return response;
    size_t half = strlen(body) / 2;
    if (request.sink)
        (void)(f->app.sink_write(f->app.self, request.sink, body, half) &&
               f->app.sink_write(f->app.self, request.sink, body + half, strlen(body) - half));
    f->app.handle(f->app.self, &request, &response);
    if (request.sink) f->app.close_sink(f->app.self, request.sink);
    return response;
}

static headers records_of(const char *unit, const char *stream, const char *first) {
    return (headers){{"Flywheel-Unit", "Flywheel-Boot", "Flywheel-Stream", "Flywheel-First"},
                     {unit, "0b-1", stream, first}};
}

static void expect_post(fixture *f, headers h, const char *body, int status, const char *word) {
    fw_http_response r = post_with(f, h, body);
    if (r.status != status || !r.body || !strstr(r.body, word))
        fail_msg("%d, not %d: %s", r.status, status, r.body ? r.body : "");
    if (status == 429 || status >= 500) assert_non_null(answer_header(&r, "Retry-After"));
    free(r.body);
}

static void batches_over_http(void **state) {
    fixture *f = *state;
    char big[70000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    expect_post(f, records_of("7", "free", "0"), "one\ntwo\n", 200, "\"next\":2,\"taken\":2");
    expect_post(f, records_of("7", "free", "1"), "two\nthree", 200, "\"taken\":1,\"repeated\":1");
    expect_post(f, records_of("7", "free", "4"), "five", 409, "\"next\":3");
    expect_post(f, records_of("7", "free", "3"), "a\n\nb", 400, "empty");
    expect_post(f, records_of("7", "free", "3"), "", 400, "no records");
    expect_post(f, records_of("7", "free", "3"), big, 413, "limit");
    expect_post(f, records_of("7", "health", "0"), "{\"a\":1}\n[1]\n", 422, "record 1");
    expect_post(f, records_of("/7", "free", "0"), "x", 400, "Flywheel-Unit");
    expect_post(f, records_of("7", "Free", "0"), "x", 400, "Flywheel-Stream");
    expect_post(f, records_of("7", NULL, "0"), "x", 400, "Flywheel-Stream");
    expect_post(f, records_of("7", "free", "-1"), "x", 400, "Flywheel-First");
    expect_post(f, records_of("7", "free", "9223372036854775807"), "x", 400, "Flywheel-First");
    headers h = records_of("7", "free", "0");
    h.values[1] = "0123456789012345678901234567890123456";
    expect_post(f, h, "x", 400, "Flywheel-Boot");
    f->faults.fail_errno = EIO;
    f->faults.fail_at = f->faults.calls + 1;
    expect_post(f, records_of("7", "free", "3"), "four", 503, "records");
    f->faults.fail_errno = ENOSPC;
    f->faults.fail_at = f->faults.calls + 2;
    expect_post(f, records_of("7", "free", "3"), "four", 507, "durable");
    f->faults.fail_at = 0;
    expect_post(f, records_of("7", "free", "3"), "four", 200, "\"next\":4,\"taken\":1");
}

static void a_full_cap_is_507(void **state) {
    fixture *f = *state;
    f->factory->ingest.disk_cap_bytes = 1000;
    expect_post(f, records_of("7", "free", "0"), "one", 507, "--disk-cap-bytes");
}

static void too_many_bodies_are_429(void **state) {
    fixture *f = *state;
    f->factory->bodies_bytes = 64 << 20;
    expect_post(f, records_of("7", "free", "0"), "one", 429, "too many");
    assert_int_equal(f->factory->bodies_bytes, 64 << 20);
}

static void a_units_health_is_shown(void **state) {
    fixture *f = *state;
    json_t *units;
    assert_int_equal(call(f, "POST", "/v1/units/7/report", "{}", NULL), 200);
    expect_post(f, records_of("7", "health", "0"), "{\"cpu\":0.25}\n{\"cpu\":0.5}\n", 200, "next");
    expect_post(f, records_of("8", "health", "0"), "{\"cpu\":1}\n", 200, "next");
    for (int i = 0; i < 2; i++) { /* over a restart too */
        assert_int_equal(call(f, "GET", "/v1/units", NULL, &units), 200);
        assert_int_equal(json_array_size(units), 1); /* 8 never reported */
        json_t *health = json_object_get(json_array_get(units, 0), "health");
        assert_true(json_real_value(json_object_get(health, "cpu")) == 0.5);
        assert_true(json_is_null(json_object_get(json_array_get(units, 0), "versions")));
        json_decref(units);
        fixture_stop(f);
        fixture_start(f);
    }
}

static json_t *get_records(fixture *f, asked a, size_t *count, uint64_t *next) {
    fw_http_request request = {.method = "GET", .path = "/v1/records", .header = asked_header,
                               .query = asked_query, .native = &a};
    fw_http_response r = {0};
    char *rest;
    json_t *list = json_array();
    f->app.handle(f->app.self, &request, &r);
    assert_int_equal(r.status, 200);
    for (char *line = strtok_r(r.body, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        assert_int_equal(json_array_append_new(list, json_loads(line, 0, NULL)), 0);
    *count = json_array_size(list);
    *next = strtoull(answer_header(&r, "Flywheel-Next"), NULL, 10);
    free(r.body);
    return list;
}

static void records_are_read_back_in_pages(void **state) {
    fixture *f = *state;
    size_t count;
    uint64_t next;
    expect_post(f, records_of("7", "free", "0"), "{\"a\":1}\nplain \"text\"\n\xff\xfe\n", 200, "");
    expect_post(f, records_of("8", "free", "0"), "eight", 200, "");
    expect_post(f, records_of("7", "other", "0"), "other", 200, "");
    json_t *all = get_records(f, (asked){0}, &count, &next);
    assert_int_equal(count, 5);
    assert_int_equal(next, 5);
    assert_int_equal(json_integer_value(json_object_get(
                         json_object_get(json_array_get(all, 0), "record"), "a")), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(all, 1), "record")),
                        "plain \"text\"");
    assert_string_equal(json_string_value(json_object_get(json_array_get(all, 2), "record_hex")),
                        "fffe");
    json_decref(all);
    json_decref(get_records(f, (asked){.names = {"unit"}, .values = {"8"}}, &count, &next));
    assert_int_equal(count, 1);
    json_decref(get_records(f, (asked){.names = {"stream", "since"}, .values = {"free", "2"}},
                            &count, &next));
    assert_int_equal(count, 2);
    json_decref(get_records(f, (asked){.names = {"limit"}, .values = {"2"}}, &count, &next));
    assert_int_equal(count, 2);
    assert_int_equal(next, 2);
    json_decref(get_records(f, (asked){.names = {"since"}, .values = {"5"}}, &count, &next));
    assert_int_equal(count, 0);
    assert_int_equal(next, 5);
    assert_int_equal(status_number(f, "units"), 0);
}

#define STORE(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)
#define HTTP(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)
int main(void) {
    const struct CMUnitTest tests[] = {
        STORE(a_batch_is_taken_once),
        STORE(streams_stand_where_they_stood),
        STORE(a_torn_end_is_cut_off_at_any_byte),
        STORE(damage_in_the_middle_costs_its_batch_alone),
        STORE(what_was_not_durable_never_counts_later),
        STORE(any_write_or_flush_may_fail),
        STORE(a_disk_that_stays_full_loses_nothing_acked),
        STORE(opening_may_fail_and_harms_nothing),
        STORE(a_flush_that_fails_while_opening_costs_nothing_acked),
        STORE(many_units_share_commits),
        STORE(one_stream_from_many_connections),
        STORE(segments_end_and_the_oldest_go),
        STORE(opening_reads_what_came_after_the_checkpoint_alone),
        STORE(one_unit_is_erased_and_the_others_stay),
        STORE(a_unit_has_at_most_32_streams_a_boot),
        HTTP(batches_over_http),
        HTTP(a_full_cap_is_507),
        HTTP(too_many_bodies_are_429),
        HTTP(a_units_health_is_shown),
        HTTP(records_are_read_back_in_pages),
    };
    return cmocka_run_group_tests_name("records", tests, NULL, NULL);
}
