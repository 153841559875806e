/* Every allocation failed once: the n-th call of malloc, calloc or realloc gives NULL, for every n
 * until the work gets through. Each time: FW_NO_MEMORY with a line, or the right result; nothing
 * leaked, nothing broken. */
#include "support.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mcap/format.h"

/* ----------------------------------------------------------------------------- allocator ----- */

static long fail_at = -1, calls, live; /* fail_at < 0: none */
static bool armed, failed;

static bool must_fail(void) {
    if (!armed) return false;
    bool now = calls++ == fail_at;
    failed = failed || now;
    return now;
}

/* All of the program's calls come here, those of zstd and lz4 too. Behind a sanitizer it is its
 * allocator that serves them, and its leak check that counts. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define THEIRS(name) __interceptor_##name
enum { COUNTED = 0 };
#else
#define THEIRS(name) __libc_##name
enum { COUNTED = 1 };
void __libc_free(void *old);
void free(void *old) {
    if (old != NULL) live--;
    __libc_free(old);
}
#endif
void *THEIRS(malloc)(size_t size);
void *THEIRS(calloc)(size_t count, size_t size);
void *THEIRS(realloc)(void *old, size_t size);

void *malloc(size_t size) {
    void *made = must_fail() ? NULL : THEIRS(malloc)(size);
    live += made != NULL;
    return made;
}
void *calloc(size_t count, size_t size) {
    void *made = must_fail() ? NULL : THEIRS(calloc)(count, size);
    live += made != NULL;
    return made;
}
void *realloc(void *old, size_t size) {
    void *made = must_fail() ? NULL : THEIRS(realloc)(old, size);
    live += made != NULL && old == NULL;
    return made;
}

/* ------------------------------------------------------------------------------- harness ----- */

static made_file file, fixed;
static char path[64];
static uint64_t in_first_chunk; /* messages */

typedef fw_status (*work)(uint64_t *messages, fw_error *error);

static void fail_each(const char *name, work run, uint64_t wanted) {
    long n = 0;
    for (;; n++) {
        fw_error error = {.text = ""};
        uint64_t messages = 0;
        long before = live;
        fail_at = n;
        calls = 0;
        failed = false;
        armed = true;
        fw_status status = run(&messages, &error);
        armed = false;
        if (COUNTED && live != before) {
            fail_msg("%s, allocation %ld failed: %ld blocks leaked", name, n, live - before);
        }
        if (status != FW_OK && (status != FW_NO_MEMORY || error.text[0] == '\0')) {
            fail_msg("%s, allocation %ld failed: %s: '%s'", name, n, fw_status_text(status),
                     error.text);
        }
        if (status == FW_OK) assert_int_equal(messages, wanted);
        if (!failed) {
            assert_int_equal(status, FW_OK);
            break;
        }
    }
    assert_true(n > 0);
    print_message("%s: %ld allocations failed, one each time\n", name, n);
}

/* --------------------------------------------------------------------------------- works ----- */

static fw_status read_all(fw_mcap_reader *r, uint64_t *messages, fw_error *error) {
    fw_mcap_message m;
    fw_status status;
    while ((status = fw_mcap_reader_next_message(r, &m, error)) == FW_OK) ++*messages;
    fw_mcap_reader_close(r);
    return status == FW_END ? FW_OK : status;
}

static fw_status read_mapped(uint64_t *messages, fw_error *error) {
    fw_mcap_reader *r = NULL;
    FW_TRY(fw_mcap_reader_open_bytes(NULL, file.at, file.memory.size_bytes, &r, error));
    return read_all(r, messages, error);
}

static fw_status read_streamed(uint64_t *messages, fw_error *error) {
    fw_mcap_reader *r = NULL;
    FW_TRY(fw_mcap_reader_open_path(NULL, path, &r, error));
    return read_all(r, messages, error);
}

static fw_status query_all(fw_mcap_indexed *ix, uint64_t *messages, fw_error *error) {
    for (int order = FW_MCAP_ORDER_TIME; order <= FW_MCAP_ORDER_FILE; order++) {
        const fw_mcap_query query = {.order = (fw_mcap_order)order};
        FW_TRY(fw_mcap_indexed_query(ix, &query, error));
        fw_mcap_message m;
        fw_status status;
        while ((status = fw_mcap_indexed_next(ix, &m, error)) == FW_OK) ++*messages;
        if (status != FW_END) return status;
    }
    return FW_OK;
}

static fw_status read_indexed(uint64_t *messages, fw_error *error) {
    fw_mcap_indexed *ix = NULL;
    FW_TRY(fw_mcap_indexed_open_path(NULL, path, &ix, error));
    fw_status status = query_all(ix, messages, error);
    fw_mcap_indexed_close(ix);
    return status;
}

/* Cut: no summary, so the file is scanned. */
static fw_status read_scanned(uint64_t *messages, fw_error *error) {
    fw_mcap_indexed *ix = NULL;
    FW_TRY(fw_mcap_indexed_open_bytes(NULL, file.at, file.memory.size_bytes - 1, &ix, error));
    fw_status status = query_all(ix, messages, error);
    fw_mcap_indexed_close(ix);
    return status;
}

static fw_status recover_cut(uint64_t *messages, fw_error *error) {
    fw_mcap_recovered report = {0};
    FW_TRY(fw_mcap_recover(NULL, NULL, file.at, file.memory.size_bytes - 1, made_file_sink(&fixed),
                           &report, error));
    *messages = report.messages;
    return FW_OK;
}

/* The first chunk's length is destroyed: it has to be searched for the next. */
static fw_status recover_searching(uint64_t *messages, fw_error *error) {
    fw_mcap_recovered report = {0};
    uint8_t *length = file.at + 8 + 9 + 10 + 7; /* behind magic and header: its highest bytes */
    *length ^= 0x80;
    fw_status status = fw_mcap_recover(NULL, NULL, file.at, file.memory.size_bytes,
                                       made_file_sink(&fixed), &report, error);
    *length ^= 0x80;
    if (status != FW_OK) return status;
    *messages = report.messages + in_first_chunk;
    return FW_OK;
}

static fw_status validate_path(uint64_t *messages, fw_error *error) {
    fw_mcap_info info;
    FW_TRY(fw_mcap_validate(NULL, path, &info, error));
    *messages = info.message_count;
    fw_mcap_info_free(&info);
    return FW_OK;
}

static fw_mcap_compression writing;

static fw_status write_file(uint64_t *messages, fw_error *error) {
    fw_mcap_writer_options o = {.compression = writing};
    fw_mcap_writer *w = NULL;
    FW_TRY(fw_mcap_writer_open(&o, &w, error));
    bool was = armed;
    armed = false; /* the helper's own checks allocate; the writer does not, after open */
    write_sample(w, made_file_sink(&fixed), 20);
    *messages = fw_mcap_writer_message_count(w);
    armed = was;
    fw_mcap_writer_close(w);
    return FW_OK;
}

static void make_file(fw_mcap_compression compression) {
    fw_mcap_writer_options o = {.compression = compression, .chunk_bytes = 3000};
    fw_mcap_writer *w = NULL;
    uint16_t id;
    ok(fw_mcap_writer_open(&o, &w, error));
    ok(fw_mcap_writer_begin(w, made_file_sink(&file), "p", "l", error));
    ok(fw_mcap_writer_add_channel(w, 0, "/a", "json", NULL, 0, &id, error));
    for (unsigned i = 0; i < 400; i++) { /* times that overlap and are out of order */
        uint8_t data[300];
        ok(fw_mcap_writer_message(w, id, i, (i * 7919u) % 401u + i, 0, data,
                                  sample_message(i, data), error));
    }
    ok(fw_mcap_writer_metadata(w, "m", NULL, 0, error));
    ok(fw_mcap_writer_attachment(w, 0, 0, "a", "t", "x", 1, error));
    ok(fw_mcap_writer_end(w, error));
    fw_mcap_writer_close(w);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, file.at, file.memory.size_bytes), file.memory.size_bytes);
    close(fd);
}

static void count_first_chunk(void) {
    fw_mcap_reader *r = NULL;
    fw_mcap_record record;
    uint64_t chunks = 0;
    in_first_chunk = 0;
    ok(fw_mcap_reader_open_bytes(NULL, file.at, file.memory.size_bytes, &r, error));
    while (chunks < 2 && fw_mcap_reader_next(r, &record, NULL) == FW_OK) {
        chunks += record.opcode == FW_MCAP_CHUNK;
        in_first_chunk += chunks == 1 && record.opcode == FW_MCAP_MESSAGE;
    }
    fw_mcap_reader_close(r);
}

static void test_every_allocation(void **state) {
    (void)state;
    int fd = memfd_create("f.mcap", MFD_CLOEXEC); /* a killed test leaves nothing behind */
    assert_true(fd >= 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    for (int compression = FW_MCAP_ZSTD; compression <= FW_MCAP_NONE; compression++) {
        make_file((fw_mcap_compression)compression);
        count_first_chunk();
        fail_each("read, mapped", read_mapped, 400);
        fail_each("read, streamed", read_streamed, 400);
        fail_each("indexed", read_indexed, 3 * 400);
        fail_each("indexed by a scan", read_scanned, 3 * 400);
        fail_each("recover", recover_cut, 400);
        fail_each("recover, searching", recover_searching, 400);
        fail_each("validate", validate_path, 400);
        writing = (fw_mcap_compression)compression;
        fail_each("write", write_file, 20);
    }
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_allocation)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
