/* Health and version records: numbered once, kept over crashes, taken exactly once by a factory that
 * loses answers and its own memory; bounded when nobody takes them. */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>
#include <time.h>

#include "base/random.h"
#include "unit/courier/courier.h"
#include "unit/courier/records.h"

enum { UNIT = 5, STREAMS_MAX = 512, LINES_MAX = 4096 };

/* What the factory has of one (boot, stream). */
typedef struct taken {
    char boot[40], stream[32];
    uint64_t next;
} taken;

typedef struct factory {
    fw_random random;
    taken streams[STREAMS_MAX];
    uint32_t stream_count;
    uint64_t lines[LINES_MAX]; /* the "n" of each record taken */
    uint32_t line_count;
    uint64_t repeated;
} factory;

static taken *find(factory *f, const char *boot, const char *stream) {
    for (uint32_t i = 0; i < f->stream_count; i++)
        if (strcmp(f->streams[i].boot, boot) == 0 && strcmp(f->streams[i].stream, stream) == 0)
            return &f->streams[i];
    assert_true(f->stream_count < STREAMS_MAX);
    taken *t = &f->streams[f->stream_count++];
    snprintf(t->boot, sizeof t->boot, "%s", boot);
    snprintf(t->stream, sizeof t->stream, "%s", stream);
    return t;
}

/* As docs/formats say: the status and `next`. */
static int take(factory *f, const fw_unit_batch *b, uint64_t *next) {
    taken *t = find(f, b->boot, b->stream);
    uint64_t number = b->first;
    *next = t->next;
    if (b->first > t->next) return 409;
    for (char *line = b->body; line < b->body + b->body_bytes; number++) {
        char *end = memchr(line, '\n', (size_t)(b->body + b->body_bytes - line));
        assert_non_null(end);
        json_t *json = json_loadb(line, (size_t)(end - line), 0, NULL);
        assert_non_null(json);
        if (number == t->next) {
            assert_true(f->line_count < LINES_MAX);
            f->lines[f->line_count++] = (uint64_t)json_integer_value(json_object_get(json, "n"));
            t->next++;
        } else {
            f->repeated++;
        }
        json_decref(json);
        line = end + 1;
    }
    assert_int_equal(number, b->first + b->count);
    *next = t->next;
    return 200;
}

static bool fail_write;
static ssize_t torn_write(void *self, int fd, const void *bytes, size_t size_bytes) {
    (void)self;
    if (!fail_write) return write(fd, bytes, size_bytes);
    if (size_bytes > 3 && write(fd, bytes, size_bytes / 2) < 0) return -1;
    return errno = ENOSPC, -1;
}

static void append(fw_unit_records *r, uint64_t n) {
    char text[200];
    fw_error error;
    snprintf(text, sizeof text, "{\"n\":%llu,\"filler\":\"%0100d\"}", (unsigned long long)n, 7);
    fw_status status = fw_unit_records_append(r, FW_UNIT_RECORDS_HEALTH, text, &error);
    assert_int_equal(status, fail_write ? FW_NO_SPACE : FW_OK);
}

/* Sends all that is there; answers are lost at times. */
static void send_all(fw_unit_records *r, factory *f, bool lossy) {
    fw_unit_batch batch;
    fw_error error;
    while (fw_unit_records_next(r, &batch, &error) == FW_OK) {
        uint64_t next = 0;
        int status = take(f, &batch, &next);
        free(batch.body);
        if (lossy && fw_random_below(&f->random, 3) == 0) return; /* the answer is lost */
        assert_true(status == 200 || status == 409);
        fw_unit_records_acked(r, next);
    }
}

static void test_exactly_once_over_crashes_and_lost_answers(void **state) {
    (void)state;
    uint64_t seed = (uint64_t)time(NULL), made = 0;
    printf("seed %llu\n", (unsigned long long)seed);
    static factory f;
    memset(&f, 0, sizeof f);
    f.random = fw_random_named(seed, "records");
    char folder[64];
    make_folder(folder);
    fw_unit_shared *shared = make_shared();
    static fw_unit_records r;
    fw_env env = *fw_env_real();
    fw_error error;
    env.write = torn_write;
    assert_int_equal(fw_unit_records_open(&r, &env, folder, shared, &error), FW_OK);
    for (int step = 0; step < 2000; step++) {
        uint32_t dice = fw_random_below(&f.random, 100);
        if (dice < 60) {
            append(&r, made++);
        } else if (dice < 65) {
            fail_write = true;
            append(&r, 999999);
            fail_write = false;
        } else if (dice < 85) {
            send_all(&r, &f, true);
        } else if (dice < 95) { /* the courier dies */
            assert_int_equal(fw_unit_records_open(&r, &env, folder, shared, &error), FW_OK);
        } else { /* the unit does */
            fw_unit_shared_free(shared);
            shared = make_shared();
            assert_int_equal(fw_unit_records_open(&r, &env, folder, shared, &error), FW_OK);
        }
    }
    send_all(&r, &f, false);
    assert_int_equal(f.line_count, made);
    assert_int_equal(r.count, 0);
    bool *seen = calloc(made, sizeof *seen);
    for (uint32_t i = 0; i < f.line_count; i++) {
        assert_true(f.lines[i] < made);
        assert_false(seen[f.lines[i]]);
        seen[f.lines[i]] = true;
    }
    printf("%llu records, %llu sent twice, %u boots\n", (unsigned long long)made,
           (unsigned long long)f.repeated, f.stream_count);
    free(seen);
    fw_unit_shared_free(shared);
    drop_folder(folder);
}

static void test_a_factory_that_lost_its_memory_and_a_full_queue(void **state) {
    (void)state;
    static factory f;
    memset(&f, 0, sizeof f);
    char folder[64];
    make_folder(folder);
    fw_unit_shared *shared = make_shared();
    static fw_unit_records r;
    fw_error error;
    assert_int_equal(fw_unit_records_open(&r, fw_env_real(), folder, shared, &error), FW_OK);
    for (uint64_t n = 0; n < 5; n++) append(&r, n);
    send_all(&r, &f, false);
    assert_int_equal(f.line_count, 5);
    f.stream_count = 0; /* a restored backup: it wants number 0 again */
    for (uint64_t n = 5; n < 9; n++) append(&r, n);
    send_all(&r, &f, false);
    assert_int_equal(f.line_count, 9);
    append(&r, 9); /* and goes on under the new boot */
    send_all(&r, &f, false);
    assert_int_equal(f.line_count, 10);
    assert_int_equal(f.lines[9], 9);
    /* nobody takes them: the oldest go, the rest still arrives */
    uint64_t made = 10;
    while (r.lost == 0) append(&r, made++);
    assert_true(fw_unit_records_bytes(&r) <= FW_UNIT_RECORDS_BYTES_MAX);
    uint64_t lost = r.lost;
    static factory g; /* with room for them */
    memset(&g, 0, sizeof g);
    fw_unit_batch batch;
    uint64_t sent = 0, next = 0;
    while (fw_unit_records_next(&r, &batch, &error) == FW_OK) {
        g.line_count = 0;
        taken *t = find(&g, batch.boot, batch.stream);
        if (t->next == 0 && g.stream_count == 1) t->next = 10; /* it knew the ten above */
        int status = take(&g, &batch, &next);
        if (status == 200) sent += g.line_count;
        free(batch.body);
        fw_unit_records_acked(&r, next);
    }
    assert_int_equal(sent + lost, made - 10);
    fw_unit_shared_free(shared);
    drop_folder(folder);
}

/* The wall clock goes back and the courier starts again: numbers still go up. */
static void test_a_clock_that_goes_back(void **state) {
    (void)state;
    static factory f;
    static fw_unit_records r;
    char folder[64], path[400];
    fw_error error;
    memset(&f, 0, sizeof f);
    make_folder(folder);
    fw_unit_shared *shared = make_shared();
    assert_int_equal(fw_unit_records_open(&r, fw_env_real(), folder, shared, &error), FW_OK);
    uint64_t made = 0;
    while (r.count < 3) append(&r, made++);
    for (uint32_t i = 0; i < r.count; i++) { /* the first file is the youngest */
        struct timespec times[2] = {{.tv_sec = 2000000 - i}, {.tv_sec = 2000000 - i}};
        snprintf(path, sizeof path, "%s/records/%s.health.%llu.ndjson", folder, r.files[i].boot,
                 (unsigned long long)r.files[i].first);
        assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    }
    assert_int_equal(fw_unit_records_open(&r, fw_env_real(), folder, shared, &error), FW_OK);
    send_all(&r, &f, false);
    assert_int_equal(f.line_count, made);
    assert_int_equal(f.stream_count, 1); /* nobody had to number anew */
    assert_int_equal(r.lost, 0);
    fw_unit_shared_free(shared);
    drop_folder(folder);
}

static int fail_folder_sync;
static int folder_sync_fails(void *self, int fd) {
    (void)self;
    struct stat info;
    if (fail_folder_sync && fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) return errno = EIO, -1;
    return 0;
}

/* A record that is lost leaves no line behind that another number would point at. */
static void test_a_new_file_whose_folder_is_not_durable(void **state) {
    (void)state;
    static factory f;
    static fw_unit_records r;
    char folder[64];
    fw_error error;
    memset(&f, 0, sizeof f);
    make_folder(folder);
    fw_unit_shared *shared = make_shared();
    fw_env env = *fw_env_real();
    env.fdatasync = folder_sync_fails;
    assert_int_equal(fw_unit_records_open(&r, &env, folder, shared, &error), FW_OK);
    fail_folder_sync = 1;
    assert_int_equal(fw_unit_records_append(&r, FW_UNIT_RECORDS_HEALTH, "{\"n\":1234567}", &error), FW_IO);
    fail_folder_sync = 0;
    append(&r, 0);
    send_all(&r, &f, false);
    assert_int_equal(f.line_count, 1);
    assert_int_equal(f.lines[0], 0);
    assert_int_equal(r.lost, 1);
    fw_unit_shared_free(shared);
    drop_folder(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exactly_once_over_crashes_and_lost_answers),
        cmocka_unit_test(test_a_factory_that_lost_its_memory_and_a_full_queue),
        cmocka_unit_test(test_a_clock_that_goes_back),
        cmocka_unit_test(test_a_new_file_whose_folder_is_not_durable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
