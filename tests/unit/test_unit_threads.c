/* What the tick, the draining, the net and the uploading thread share, all at once in one process: made for
 * the thread sanitizer (-DFW_TSAN=ON), which sees no other process's accesses. */
#include "support.h"

#include <pthread.h>

#include "unit/courier/campaigns.h"
#include "unit/courier/courier.h"
#include "unit/tick/capture.h"

enum { RECORDINGS = 300, SIZE = 6000 };

static struct {
    _Atomic bool done;
    fw_unit_shared *shared;
    fw_unit_spool *spool;
    fw_unit_courier *courier;
    uint64_t made_bytes, taken_bytes; /* the tick's, the uploader's */
} all;

/* Takes everything, but for every seventh. */
static fw_status perform(void *self, const fw_http_call *call, fw_http_reply *reply, fw_error *error) {
    static unsigned puts;
    char text[300];
    (void)self;
    *reply = (fw_http_reply){.upload_offset = -1, .status = 200};
    if (strcmp(call->method, "PUT") == 0) {
        size_t size = 0;
        char *bytes = NULL;
        if (fw_file_read(call->body_path, 1 << 20, &bytes, &size, error) != FW_OK) return FW_NOT_FOUND;
        reply->status = ++puts % 7 ? 201 : 503;
        if (reply->status == 201) all.taken_bytes += size;
        snprintf(text, sizeof text,
                 "{\"sha256\":\"%s\",\"size_bytes\":%zu,\"server_time_ns\":1,\"sequence\":1}",
                 fw_hash_bytes(bytes, size).hex, size);
        free(bytes);
    } else {
        snprintf(text, sizeof text, "{\"next\":1,\"target\":null}");
    }
    reply->body = strdup(text);
    reply->body_bytes = strlen(text);
    return FW_OK;
}

static void put(fw_unit_piece p, const void *payload) {
    while (!fw_unit_ring_put(&all.shared->ring, &p, payload)) fw_env_sleep_ns(fw_env_real(), 1000000);
}

/* The tick: recordings into the ring, campaigns and models out of their slots. */
static void *tick_main(void *self) {
    fw_unit_tick_config config = {.unit = 3, .bus_path = ""};
    fw_unit_tick *tick = NULL;
    fw_unit_captures *captures = NULL;
    fw_error error;
    (void)self;
    if (fw_unit_tick_open(&config, all.shared, &tick, &error) != FW_OK) abort();
    if (fw_unit_captures_open(all.shared, "3", 0, &captures, &error) != FW_OK) abort();
    while (atomic_load(&all.shared->campaign_active) == 0 || atomic_load(&all.shared->model_active) == 0) {
        fw_unit_captures_take_campaigns(captures);
        (void)fw_unit_tick_take_model(tick);
    }
    for (uint64_t serial = 1; serial <= RECORDINGS; serial++) {
        uint8_t bytes[SIZE];
        fw_unit_begin begin = {.mono_ns = 5, .wall_ns = 6};
        for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(serial >> (i % 2 ? 8 : 0));
        put((fw_unit_piece){.kind = FW_UNIT_PIECE_BEGIN, .serial = serial, .size_bytes = sizeof begin}, &begin);
        put((fw_unit_piece){.kind = FW_UNIT_PIECE_BYTES, .serial = serial, .size_bytes = SIZE}, bytes);
        put((fw_unit_piece){.kind = FW_UNIT_PIECE_END, .serial = serial, .offset = SIZE}, NULL);
        all.made_bytes += SIZE;
        fw_unit_wake(all.shared->ring_wake);
        fw_unit_captures_take_campaigns(captures);
        (void)fw_unit_tick_take_model(tick);
    }
    fw_unit_captures_close(captures);
    fw_unit_tick_close(tick);
    atomic_store(&all.shared->tick_gone, true);
    return NULL;
}

static void *upload_main(void *self) {
    (void)self;
    while (!atomic_load(&all.done)) {
        (void)fw_unit_courier_upload(all.courier);
        fw_env_sleep_ns(fw_env_real(), 100000);
    }
    return NULL;
}

/* Talks, and stages models and campaigns as often as can be. */
static void *net_main(void *folder) {
    static const char json[] = "{\"campaigns\":[{\"id\":\"a\",\"when\":\"/guard.veto\"}]}";
    fw_unit_courier_config config = {.env = fw_env_real(), .unit = 3, .data_folder = folder,
                                     .load = fw_unit_tick_load, .signals = &fw_drive_signals};
    static fw_unit_campaign_list list;
    char version[16];
    fw_error error;
    fw_unit_campaigns_open(&list, &config, all.shared);
    for (int i = 0; !atomic_load(&all.done); i++) {
        (void)fw_unit_courier_talk(all.courier);
        snprintf(version, sizeof version, "v%d", i);
        if (fw_unit_campaigns_take(&list, version, json, sizeof json - 1, &error) != FW_OK) abort();
        (void)stage_rule(all.shared, i & 1 ? FW_POLICY_IDM : FW_POLICY_CONSTANT);
    }
    return NULL;
}

static void test_all_at_once(void **state) {
    (void)state;
    char folder[64], other[64];
    pthread_t tick, net, upload;
    fw_error error;
    make_folder(folder);
    make_folder(other);
    all.shared = make_shared();
    fw_unit_spool_config spool = {.env = fw_env_real(), .data_folder = folder, .max_bytes = 20 * SIZE, .unit = 3};
    fw_unit_courier_config config = {.env = fw_env_real(), .unit = 3, .factory = "http://factory",
                                     .data_folder = folder, .load = fw_unit_tick_load, .health_ms = 5};
    fw_http_client client = {.perform = perform};
    assert_int_equal(fw_unit_spool_open(&spool, all.shared, &all.spool, &error), FW_OK);
    assert_int_equal(fw_unit_courier_open(&config, all.shared, all.spool, &client, &all.courier, &error), FW_OK);
    assert_int_equal(pthread_create(&tick, NULL, tick_main, NULL), 0);
    assert_int_equal(pthread_create(&net, NULL, net_main, other), 0);
    assert_int_equal(pthread_create(&upload, NULL, upload_main, NULL), 0);
    while (!atomic_load(&all.shared->tick_gone) || fw_unit_ring_used_bytes(&all.shared->ring) > 0) {
        (void)fw_unit_spool_drain(all.spool);
        fw_unit_wait(all.shared->ring_wake, 1);
    }
    assert_int_equal(pthread_join(tick, NULL), 0);
    for (int i = 0; i < 20000 && fw_unit_spool_count(all.spool) > 0; i++)
        fw_env_sleep_ns(fw_env_real(), 1000000);
    atomic_store(&all.done, true);
    assert_int_equal(pthread_join(net, NULL), 0);
    assert_int_equal(pthread_join(upload, NULL), 0);
    assert_true(atomic_load(&all.shared->campaign_active) > 0);
    assert_true(atomic_load(&all.shared->model_active) > 0);
    assert_int_equal(atomic_load(&all.shared->model_refused), 0);
    /* what is neither there nor counted is lost without a word; one evicted while it was sent is in both */
    printf("%llu bytes made, %llu taken, %llu lost\n", (unsigned long long)all.made_bytes,
           (unsigned long long)all.taken_bytes, (unsigned long long)fw_unit_lost_bytes(all.shared));
    assert_int_equal(fw_unit_spool_count(all.spool), 0);
    assert_true(all.taken_bytes + fw_unit_lost_bytes(all.shared) >= all.made_bytes);
    fw_unit_courier_close(all.courier);
    fw_unit_spool_close(all.spool);
    fw_unit_shared_free(all.shared);
    drop_folder(folder);
    drop_folder(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_at_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
