/* Every allocation of the courier's start and of its first rounds fails once, and then all from there on: no
 * crash; it starts or says why not, and what it was given arrives once there is memory again, or is counted as
 * lost. */
#include "support.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
int main(void) {
    puts("skipped: a sanitizer owns malloc in this build");
    return 77;
}
#else
#include <errno.h>

#include "unit/courier/courier.h"

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

static volatile bool armed, stays;
static volatile unsigned calls, fail_at;

static bool fails(void) {
    if (!armed) return false;
    calls++;
    if (calls < fail_at || (calls > fail_at && !stays)) return false;
    errno = ENOMEM;
    return true;
}

/* All of the program's allocations pass through these, the libraries' too. */
void *malloc(size_t size) { return fails() ? NULL : __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return fails() ? NULL : __libc_calloc(count, size); }
void *realloc(void *old, size_t size) { return fails() ? NULL : __libc_realloc(old, size); }

/* A factory that has all its memory. */
static struct {
    char target[FW_HASH_HEX + 1];
    char *model;
    size_t model_bytes;
    uint64_t taken_bytes;
    uint32_t reports;
} factory;

static void reply_text(fw_http_reply *reply, int status, const char *text, size_t size) {
    reply->status = status;
    reply->body = calloc(1, size + 1);
    memcpy(reply->body, text, size);
    reply->body_bytes = size;
}

static void take_put(const fw_http_call *call, fw_http_reply *reply) {
    char text[300], *bytes = NULL;
    size_t size = 0;
    assert_int_equal(fw_file_read(call->body_path, 1 << 24, &bytes, &size, NULL), FW_OK);
    factory.taken_bytes += size;
    int length = snprintf(text, sizeof text,
                          "{\"sha256\":\"%s\",\"size_bytes\":%zu,\"server_time_ns\":1,\"sequence\":1}",
                          fw_hash_bytes(bytes, size).hex, size);
    free(bytes);
    reply_text(reply, 201, text, (size_t)length);
}

static fw_status perform(void *self, const fw_http_call *call, fw_http_reply *reply, fw_error *error) {
    static const char campaigns[] =
        "{\"version\":\"v1\",\"campaigns\":[{\"id\":\"a\",\"when\":\"rising(/guard.veto)\"}]}";
    bool was = armed;
    char text[300];
    (void)self, (void)error;
    armed = false;
    *reply = (fw_http_reply){.upload_offset = -1};
    if (strcmp(call->method, "PUT") == 0) {
        take_put(call, reply);
    } else if (strstr(call->url, "/report")) {
        factory.reports++;
        int size = snprintf(text, sizeof text, "{\"target\":\"%s\",\"campaigns\":\"v1\"}", factory.target);
        reply_text(reply, 200, text, (size_t)size);
    } else if (strstr(call->url, "/campaigns")) {
        reply_text(reply, 200, campaigns, sizeof campaigns - 1);
    } else if (strstr(call->url, "/records")) {
        reply_text(reply, 200, "{\"next\":1}", 10);
    } else if (strcmp(call->method, "GET") == 0) {
        reply_text(reply, 200, factory.model, factory.model_bytes);
    } else {
        reply->status = 404;
    }
    armed = was;
    return FW_OK;
}

/* One recording in the ring. */
static uint64_t put_recording(fw_unit_shared *shared, uint64_t serial) {
    static uint8_t bytes[3000];
    fw_unit_begin begin = {.mono_ns = 5, .wall_ns = 6};
    fw_unit_piece p = {.kind = FW_UNIT_PIECE_BEGIN, .serial = serial, .size_bytes = sizeof begin};
    memset(bytes, (int)serial, sizeof bytes);
    assert_true(fw_unit_ring_put(&shared->ring, &p, &begin));
    p.kind = FW_UNIT_PIECE_BYTES, p.size_bytes = sizeof bytes;
    assert_true(fw_unit_ring_put(&shared->ring, &p, bytes));
    p.kind = FW_UNIT_PIECE_END, p.offset = sizeof bytes, p.size_bytes = 0;
    assert_true(fw_unit_ring_put(&shared->ring, &p, NULL));
    return sizeof bytes;
}

static fw_status choose(void *self, const fw_hash *hint, uint64_t counter, fw_unit_offer *out, fw_error *error) {
    (void)self, (void)counter, (void)error;
    *out = (fw_unit_offer){.sha256 = *hint, .length_bytes = factory.model_bytes};
    return FW_OK;
}

static int no_sync(void *self, int fd) { return (void)self, (void)fd, 0; }

/* A courier's life: start, drain, three rounds. */
static fw_status live(const char *folder, fw_unit_shared *shared, fw_error *error) {
    fw_env env = *fw_env_real();
    env.fdatasync = no_sync; /* two thousand lives */
    fw_unit_spool_config spool_config = {.env = &env, .data_folder = folder, .unit = 3,
                                         .max_bytes = 1 << 20, .salvage = fw_unit_tick_salvage};
    fw_unit_courier_config config = {.env = &env, .unit = 3, .factory = "http://factory",
                                     .data_folder = folder, .load = fw_unit_tick_load,
                                     .chooser = {.choose = choose}, .signals = &fw_drive_signals,
                                     .health_ms = 1};
    fw_http_client client = {.perform = perform};
    fw_unit_spool *spool = NULL;
    fw_unit_courier *courier = NULL;
    error->text[0] = '\0';
    FW_TRY(fw_unit_spool_open(&spool_config, shared, &spool, error));
    fw_status status = fw_unit_courier_open(&config, shared, spool, &client, &courier, error);
    if (status == FW_OK) {
        (void)fw_unit_spool_drain(spool);
        for (int i = 0; i < 5; i++) (void)fw_unit_courier_step(courier);
        for (int i = 0; i < 100 && !armed && fw_unit_spool_count(spool) > 0; i++) {
            fw_env_sleep_ns(fw_env_real(), 20000000); /* whatever failed waits 0.25 s */
            (void)fw_unit_courier_step(courier);
        }
        fw_unit_courier_close(courier);
    }
    fw_unit_spool_close(spool);
    return status;
}

/* True when something failed. */
static bool one_run(unsigned nth, bool from_there_on) {
    char folder[64];
    fw_error error;
    factory.taken_bytes = 0;
    make_folder(folder);
    fw_unit_shared *shared = make_shared();
    uint64_t made = put_recording(shared, 1);
    calls = 0, fail_at = nth, stays = from_there_on;
    armed = true;
    fw_status status = live(folder, shared, &error);
    armed = false;
    bool failed = calls >= nth;
    if (status != FW_OK && !error.text[0]) fail_msg("allocation %u: no reason given", nth);
    if (status != FW_OK && !failed) fail_msg("allocation %u: %s", nth, error.text);
    uint32_t before = factory.reports;
    if (live(folder, shared, &error) != FW_OK) fail_msg("allocation %u: for good: %s", nth, error.text);
    assert_true(factory.reports > before);
    uint64_t known = factory.taken_bytes + fw_unit_lost_bytes(shared);
    if (known < made) fail_msg("allocation %u: %llu of %llu bytes", nth, (unsigned long long)known,
                               (unsigned long long)made);
    fw_unit_shared_free(shared);
    drop_folder(folder);
    return failed;
}

static void test_every_allocation_fails(void **state) {
    (void)state;
    fw_error error;
    assert_int_equal(fw_policy_rule_file(FW_POLICY_IDM, &factory.model, &factory.model_bytes, &error), FW_OK);
    snprintf(factory.target, sizeof factory.target, "%s",
             fw_hash_bytes(factory.model, factory.model_bytes).hex);
    for (int from_there_on = 0; from_there_on < 2; from_there_on++) {
        unsigned nth = 1;
        while (one_run(nth, from_there_on)) nth++;
        printf("%u allocations%s\n", nth - 1, from_there_on ? ", and all after each" : "");
        assert_true(nth > 20);
    }
    free(factory.model);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_allocation_fails)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
