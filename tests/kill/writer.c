/* writer.c - a unit as the kill test has it: sends records and files, believes only receipts, writes
 * down each promise in its journal, and after a kill -9 goes on from there. */
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/random.h"
#include "http/client.h"
#include "kill.h"

enum { BATCH_MAX = 256, TIMEOUT_MS = 4000, WAIT_MS = 50 };

typedef struct writer {
    const kill_plan *plan;
    uint32_t unit;
    fw_random random;
    fw_http_client client;
    int journal;
    kill_promise promise;
    uint64_t records_wanted, files_wanted;
    char *body;
} writer;

static void note(writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(writer *w, const char *format, ...) {
    char line[256];
    va_list list;
    va_start(list, format);
    int size = vsnprintf(line, sizeof line, format, list);
    va_end(list);
    if (write(w->journal, line, (size_t)size) != size) _exit(3);
}

static void wait_a_little(writer *w) {
    fw_env_sleep_ns(fw_env_real(), (int64_t)(1 + fw_random_below(&w->random, WAIT_MS)) * 1000000);
}

static json_int_t member(const fw_http_reply *reply, const char *name) {
    json_t *json = reply->body ? json_loadb(reply->body, reply->body_bytes, 0, NULL) : NULL;
    json_t *value = json_object_get(json, name);
    json_int_t number = json_is_integer(value) ? json_integer_value(value) : -1;
    json_decref(json);
    return number;
}

/* ---- records ---- */

static bool post(writer *w, uint32_t stream, uint64_t first, uint32_t count,
                 fw_http_reply *reply) {
    char unit[40], boot[40], name[40], number[48], url[80];
    size_t size = 0;
    for (uint32_t i = 0; i < count; i++) {
        size += kill_record(w->unit, w->promise.boot, stream, first + i, w->body + size);
        w->body[size++] = '\n';
    }
    snprintf(unit, sizeof unit, "Flywheel-Unit: %u", w->unit);
    snprintf(boot, sizeof boot, "Flywheel-Boot: boot-%u", w->promise.boot);
    snprintf(name, sizeof name, "Flywheel-Stream: kill%u", stream);
    snprintf(number, sizeof number, "Flywheel-First: %" PRIu64, first);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/v1/records", w->plan->proxy_port);
    const char *const headers[] = {unit, boot, name, number, NULL};
    fw_http_call call = {.method = "POST", .url = url, .headers = headers, .body = w->body,
                         .body_bytes = size, .reply_max_bytes = 65536, .timeout_ms = TIMEOUT_MS};
    fw_error error;
    return w->client.perform(w->client.self, &call, reply, &error) == FW_OK;
}

/* The next batch out of turn: it must be refused, or its like was taken before. */
static void send_ahead(writer *w, uint32_t stream, uint64_t first) {
    fw_http_reply reply = {0};
    if (!post(w, stream, first + 5, 3, &reply)) return;
    json_int_t next = member(&reply, "next");
    if (reply.status == 200 && member(&reply, "taken") > 0 && next == (json_int_t)first + 8)
        note(w, "X unit %u stream %u: %" PRIu64 " was taken before %" PRIu64 "\n", w->unit, stream,
             first + 5, first);
    fw_http_reply_clear(&reply);
}

/* An acked batch again: nothing of it may be taken. */
static void send_again(writer *w, uint32_t stream, uint64_t first) {
    fw_http_reply reply = {0};
    uint32_t count = first < 10 ? (uint32_t)first : 10;
    if (count == 0 || !post(w, stream, first - count, count, &reply)) return;
    if (reply.status == 200 && member(&reply, "taken") != 0)
        note(w, "X unit %u stream %u: %u records before %" PRIu64 " were taken twice\n", w->unit,
             stream, count, first);
    if (reply.status == 409)
        note(w, "X unit %u stream %u: the factory forgot what lies before %" PRIu64 "\n", w->unit,
             stream, first);
    fw_http_reply_clear(&reply);
}

static void send_records(writer *w, uint32_t stream) {
    fw_http_reply reply = {0};
    uint64_t first = w->promise.next[stream];
    uint32_t count = 1 + fw_random_below(&w->random, BATCH_MAX);
    uint64_t left = w->records_wanted - w->promise.records;
    if (count > left) count = (uint32_t)left;
    if (fw_random_below(&w->random, 50) == 0) send_ahead(w, stream, first);
    if (fw_random_below(&w->random, 50) == 0) send_again(w, stream, first);
    if (!post(w, stream, first, count, &reply)) {
        wait_a_little(w);
        return;
    }
    json_int_t next = member(&reply, "next");
    if (reply.status == 200 && next >= (json_int_t)(first + count)) {
        note(w, "R %u %u %" PRIu64 " %" PRIu64 "\n", w->promise.boot, stream, first,
             first + count);
        w->promise.next[stream] = first + count;
        w->promise.records += count;
    } else if (reply.status == 409 && next >= 0 && next < (json_int_t)first) {
        note(w, "X unit %u stream %u: acked up to %" PRIu64 ", the factory stands at %lld\n",
             w->unit, stream, first, (long long)next);
        _exit(0);
    } else if (reply.status == 400 || reply.status == 413 || reply.status == 422) {
        note(w, "X unit %u: a good batch was refused: %.120s\n", w->unit, reply.body);
        _exit(0);
    } else {
        wait_a_little(w); /* full, busy, or the disk failed: again */
    }
    fw_http_reply_clear(&reply);
}

/* ---- files ---- */

static bool put(writer *w, const fw_hash *hash, const uint8_t *bytes, size_t from, size_t to,
                size_t total, fw_http_reply *reply) {
    char unit[40], range[100], url[160];
    snprintf(unit, sizeof unit, "Flywheel-Unit: %u", w->unit);
    snprintf(range, sizeof range, "Content-Range: bytes %zu-%zu/%zu", from, to - 1, total);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/v1/objects/%s", w->plan->proxy_port, hash->hex);
    const char *const headers[] = {unit, range, NULL};
    fw_http_call call = {.method = "PUT", .url = url, .headers = headers, .body = bytes + from,
                         .body_bytes = to - from, .reply_max_bytes = 65536,
                         .timeout_ms = TIMEOUT_MS};
    fw_error error;
    return w->client.perform(w->client.self, &call, reply, &error) == FW_OK;
}

/* How much the factory says it has; 0 when it does not say. */
static size_t ask_offset(writer *w, const fw_hash *hash, size_t total) {
    char url[160];
    fw_http_reply reply = {0};
    fw_error error;
    snprintf(url, sizeof url, "http://127.0.0.1:%u/v1/objects/%s", w->plan->proxy_port, hash->hex);
    fw_http_call call = {.method = "HEAD", .url = url, .reply_max_bytes = 65536,
                         .timeout_ms = TIMEOUT_MS};
    if (w->client.perform(w->client.self, &call, &reply, &error) != FW_OK) return 0;
    size_t offset = reply.upload_offset > 0 ? (size_t)reply.upload_offset : 0;
    fw_http_reply_clear(&reply);
    return offset < total ? offset : 0;
}

static bool receipt_fits(const fw_http_reply *reply, const fw_hash *hash, size_t total) {
    json_t *json = reply->body ? json_loadb(reply->body, reply->body_bytes, 0, NULL) : NULL;
    const char *named = json_string_value(json_object_get(json, "sha256"));
    bool fits = named && strcmp(named, hash->hex) == 0 &&
                json_integer_value(json_object_get(json, "size_bytes")) == (json_int_t)total;
    json_decref(json);
    return fits;
}

/* One try at one file; true when it is acked. */
static bool try_file(writer *w, const fw_hash *hash, const uint8_t *bytes, size_t total,
                     json_int_t *sequence) {
    fw_http_reply reply = {0};
    size_t from = fw_random_below(&w->random, 2) ? ask_offset(w, hash, total) : 0;
    size_t to = total;
    bool acked = false;
    if (fw_random_below(&w->random, 3) == 0)
        to = from + 1 + fw_random_below(&w->random, (uint32_t)(total - from));
    if (!put(w, hash, bytes, from, to, total, &reply)) return false;
    if (reply.status == 200 || reply.status == 201) {
        acked = receipt_fits(&reply, hash, total);
        *sequence = member(&reply, "sequence");
        if (!acked) note(w, "X unit %u: a receipt that does not fit %s\n", w->unit, hash->hex);
    } else if (reply.status == 400 || reply.status == 413 || reply.status == 422) {
        note(w, "X unit %u: a good file was refused: %.120s\n", w->unit, reply.body);
        _exit(0);
    } else if (reply.status == 410) {
        note(w, "X unit %u: %s is said to be gone\n", w->unit, hash->hex);
        _exit(0);
    }
    fw_http_reply_clear(&reply);
    return acked;
}

static void send_file(writer *w) {
    uint8_t *bytes = NULL;
    size_t size = 0;
    fw_error error;
    json_int_t sequence = -1, again = -1;
    uint32_t number = (uint32_t)w->promise.files;
    if (kill_file(w->unit, number, &bytes, &size, &error) != FW_OK) _exit(3);
    fw_hash hash = fw_hash_bytes(bytes, size);
    while (!try_file(w, &hash, bytes, size, &sequence)) wait_a_little(w);
    note(w, "F %u %s %zu %lld\n", number, hash.hex, size, (long long)sequence);
    w->promise.files++;
    if (fw_random_below(&w->random, 8) == 0 && try_file(w, &hash, bytes, size, &again) &&
        again != sequence)
        note(w, "X unit %u: %s got receipt %lld, then %lld\n", w->unit, hash.hex,
             (long long)sequence, (long long)again);
    free(bytes);
}

/* ---- the process ---- */

static uint64_t share(uint64_t total, uint32_t writers, uint32_t unit) {
    return total / writers + (unit < total % writers ? 1 : 0);
}

/* A new boot now and then, as after a power cut. */
static void start_boot(writer *w) {
    if (w->promise.boot != 0 && fw_random_below(&w->random, 3) != 0) return;
    w->promise.boot++;
    memset(w->promise.next, 0, sizeof w->promise.next);
    note(w, "B %u\n", w->promise.boot);
}

/* The last line may be half a line: ends it, so that what follows counts. */
static void end_half_line(writer *w, const char *path) {
    char last = '\n';
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
    if (size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n') note(w, "~\n");
    if (fd >= 0) close(fd);
}

void kill_writer(const kill_plan *plan, uint32_t unit) {
    writer w = {.plan = plan, .unit = unit};
    char path[FW_PATH_MAX];
    fw_error error;
    kill_journal_path(plan, unit, path);
    w.promise = kill_journal_read(plan, unit);
    w.journal = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    w.body = malloc(BATCH_MAX * (KILL_RECORD_MAX + 1));
    if (w.journal < 0 || !w.body || fw_http_client_curl(&w.client, &error) != FW_OK) _exit(3);
    w.random = fw_random_indexed(plan->seed ^ (uint64_t)getpid() << 32, unit);
    w.records_wanted = share(plan->records, plan->writers, unit);
    w.files_wanted = share(plan->files, plan->writers, unit);
    end_half_line(&w, path);
    start_boot(&w);
    while (w.promise.records < w.records_wanted || w.promise.files < w.files_wanted) {
        /* both come to their end at about the same time */
        uint64_t due = w.records_wanted
                           ? w.files_wanted * w.promise.records / w.records_wanted
                           : w.files_wanted;
        bool file = w.promise.files < w.files_wanted &&
                    (w.promise.files < due || w.promise.records >= w.records_wanted);
        if (file)
            send_file(&w);
        else
            send_records(&w, fw_random_below(&w.random, KILL_STREAMS));
    }
    note(&w, "E\n");
    _exit(0);
}
