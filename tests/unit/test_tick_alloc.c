/* After its start the tick allocates nothing: 1000 ticks with events, networks and rules that drive, model swaps, ends, flushes and captures,
 * while malloc and its relatives are counted. */
#include "support.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
int main(void) {
    puts("skipped: a sanitizer owns malloc in this build");
    return 77;
}
#else

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static volatile bool counting;
static volatile unsigned long calls;

/* All programs' allocations pass through these, the libraries' too. */
void *malloc(size_t size) {
    calls += counting;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    calls += counting;
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
    calls += counting;
    return __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    calls += counting;
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size) {
    calls += counting;
    *out = __libc_memalign(alignment, size);
    return *out ? 0 : 12;
}

enum { UNIT = 2, TICKS = 1000 };

static void test_the_counter_counts(void **state) {
    (void)state;
    counting = true;
    void *volatile one = malloc(10);
    counting = false;
    assert_int_equal(calls, 1);
    calls = 0;
    free(one);
}

static void test_a_thousand_ticks_allocate_nothing(void **state) {
    (void)state;
    fw_unit_shared *shared = make_shared();
    fw_unit_tick *tick = NULL;
    fw_unit_tick_config config = {.unit = UNIT, .bus_path = "unused"};
    static uint8_t piece_bytes[FW_UNIT_PIECE_MAX];
    int fds[2];
    fw_error error;
    fw_unit_piece piece;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(fw_unit_tick_open(&config, shared, &tick, &error), FW_OK);
    stage_rule(shared, FW_POLICY_CONSTANT);
    assert_true(fw_unit_tick_take_model(tick));
    static const char *const campaigns[] = {
        "{\"id\":\"brakes\",\"when\":\"rising(/ego.accel_mps2 < -4)\",\"before_s\":5,\"after_s\":2}",
        "{\"id\":\"long\",\"when\":\"/event.hard_brake\",\"before_s\":60,\"after_s\":20}", NULL};
    stage_campaigns(shared, "2", campaigns);
    for (uint32_t i = 0; i < TICKS; i++) {
        if (i % 300 == 299) stage_rule(shared, i % 600 == 299 ? FW_POLICY_IDM : FW_POLICY_CONSTANT);
        if (i % 200 == 99) { /* planned between two ticks */
            stage_network(shared, i);
            assert_true(fw_unit_tick_take_model(tick));
            assert_true(atomic_load(&shared->model_active) == atomic_load(&shared->models.staged));
        }
        if (i % 250 == 50) { /* a shadow beside it, changed between two ticks as well */
            static uint8_t ready[FW_UNIT_MODEL_MAX];
            char *bytes = NULL;
            size_t size = 0, ready_bytes = 0;
            assert_int_equal(fw_policy_rule_file(FW_POLICY_IDM, &bytes, &size, &error), FW_OK);
            fw_hash hash = fw_hash_bytes(bytes, size);
            assert_int_equal(fw_unit_tick_load(bytes, size, NULL, ready, sizeof ready, &ready_bytes, &error), FW_OK);
            fw_unit_lane_stage(&shared->shadows, fw_unit_lane_put(&shared->shadows, 0, &hash, ready, ready_bytes));
            free(bytes);
        }
        if (i == 700) /* falls back to what lies ready */
            atomic_store(&shared->model_bad[atomic_load(&shared->models.staged) & 1], atomic_load(&shared->models.staged));
        if (i % 350 == 349) stage_campaigns(shared, "2", campaigns);
        fw_drive_obs obs;
        straight_road(i / 400, i, &obs);
        if (i % 50 == 0) obs.accel_mps2 = -6, obs.users[0].x_m = obs.x_m + 6; /* events */
        counting = true;
        send_obs(fds[0], UNIT, &obs);
        assert_int_equal(fw_unit_tick_once(tick, fds[1], 1000, &error), FW_OK);
        (void)take_act(fds[0], NULL);
        if (i % 170 == 169) {
            fw_bus_kind kind = i % 340 == 169 ? FW_BUS_FLUSH : FW_BUS_END;
            assert_int_equal(fw_bus_send(fds[0], kind, UNIT, i, NULL, 0, &error), FW_OK);
            assert_int_equal(fw_unit_tick_once(tick, fds[1], 1000, &error), FW_OK);
            (void)take_act(fds[0], NULL);
        }
        counting = false;
        while (fw_unit_ring_peek(&shared->ring, &piece, piece_bytes))
            fw_unit_ring_pop(&shared->ring, &piece);
    }
    printf("%d ticks, %u recordings, %u of them captures, %lu allocations\n", TICKS,
           atomic_load(&shared->recordings), (unsigned)atomic_load(&shared->captures), calls);
    assert_true(atomic_load(&shared->captures) >= 8);
    assert_true(atomic_load(&shared->recordings) >= 5);
    assert_int_equal(calls, 0);
    assert_true(atomic_load(&shared->health.shadow_ticks) > 100);
    fw_unit_tick_close(tick);
    close(fds[0]), close(fds[1]);
    fw_unit_shared_free(shared);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_counter_counts),
        cmocka_unit_test(test_a_thousand_ticks_allocate_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
