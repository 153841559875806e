/* The ring between two threads: every piece arrives once, whole, in order, or is refused whole. */
#include "support.h"

#include <pthread.h>
#include <sched.h>

#include "base/random.h"

enum { PIECES = 20000, PIECE_BYTES_MAX = 3000 };

static void fill(uint8_t *out, size_t size_bytes, uint64_t serial) {
    for (size_t i = 0; i < size_bytes; i++) out[i] = (uint8_t)(serial * 7 + i);
}

static void *writer_main(void *arg) {
    fw_unit_shared *shared = arg;
    fw_random r = fw_random_named(1, "ring");
    uint8_t bytes[PIECE_BYTES_MAX];
    for (uint64_t serial = 1; serial <= PIECES; serial++) {
        fw_unit_piece piece = {.kind = FW_UNIT_PIECE_BYTES, .serial = serial,
                               .size_bytes = fw_random_below(&r, PIECE_BYTES_MAX + 1)};
        fill(bytes, piece.size_bytes, serial);
        while (!fw_unit_ring_put(&shared->ring, &piece, bytes)) sched_yield();
    }
    return NULL;
}

static void test_two_threads(void **state) {
    (void)state;
    fw_unit_shared *shared = make_shared();
    static uint8_t got[FW_UNIT_PIECE_MAX], wanted[PIECE_BYTES_MAX];
    pthread_t writer;
    fw_unit_piece piece;
    assert_int_equal(pthread_create(&writer, NULL, writer_main, shared), 0);
    for (uint64_t serial = 1; serial <= PIECES; serial++) {
        while (!fw_unit_ring_peek(&shared->ring, &piece, got)) sched_yield();
        assert_true(piece.serial == serial);
        fill(wanted, piece.size_bytes, serial);
        assert_memory_equal(got, wanted, piece.size_bytes);
        fw_unit_ring_pop(&shared->ring, &piece);
    }
    pthread_join(writer, NULL);
    assert_int_equal(fw_unit_ring_used_bytes(&shared->ring), 0);
    fw_unit_shared_free(shared);
}

static void test_full_means_nothing_was_added(void **state) {
    (void)state;
    fw_unit_shared *shared = make_shared();
    static uint8_t bytes[FW_UNIT_PIECE_MAX];
    fw_unit_piece piece = {.kind = FW_UNIT_PIECE_BYTES, .size_bytes = sizeof bytes};
    uint64_t pieces = 0;
    while (fw_unit_ring_put(&shared->ring, &piece, bytes)) pieces++;
    uint64_t used = fw_unit_ring_used_bytes(&shared->ring);
    assert_true(used == pieces * (sizeof piece + sizeof bytes));
    assert_false(fw_unit_ring_put(&shared->ring, &piece, bytes));
    assert_true(fw_unit_ring_used_bytes(&shared->ring) == used);
    assert_true(fw_unit_ring_peek(&shared->ring, &piece, bytes));
    fw_unit_ring_pop(&shared->ring, &piece);
    assert_true(fw_unit_ring_put(&shared->ring, &piece, bytes));
    fw_unit_shared_free(shared);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_threads),
        cmocka_unit_test(test_full_means_nothing_was_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
