/* What ranks say to each other, with threads as ranks: sums by the tree, gathering, agreeing. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/random.h"
#include "nn/train/ranks.h"

enum { MOST = 8, FLOATS = 1003 };

/* Two threads meet: each shows what it sends, takes what the other shows, and both go. */
typedef struct crowd {
    struct {
        const void *bytes;
        size_t size;
    } shown[MOST][MOST]; /* by sender and receiver */
    pthread_barrier_t doors[MOST][MOST];
} crowd;

typedef struct member {
    fw_nn_ranks ranks;
    crowd *crowd;
    void (*work)(struct member *);
    float values[FLOATS], wanted[FLOATS];
    size_t count;
    char text[200];
    fw_status status;
} member;

static fw_status meet(void *self, uint32_t partner, const void *out, size_t out_bytes, void *in,
                      size_t in_bytes, fw_error *error) {
    member *m = self;
    crowd *c = m->crowd;
    uint32_t own = m->ranks.rank, low = own < partner ? own : partner, high = own ^ partner ^ low;
    (void)error;
    c->shown[own][partner].bytes = out;
    c->shown[own][partner].size = out_bytes;
    pthread_barrier_wait(&c->doors[low][high]);
    FW_ASSERT(c->shown[partner][own].size == in_bytes);
    if (in_bytes > 0) memcpy(in, c->shown[partner][own].bytes, in_bytes);
    pthread_barrier_wait(&c->doors[low][high]);
    return FW_OK;
}

static void *run_member(void *self) {
    member *m = self;
    m->work(m);
    return NULL;
}

/* Runs `work` on `count` ranks; members keeps what they came to. */
static void together(member *members, uint32_t count, void (*work)(member *)) {
    static crowd c;
    pthread_t threads[MOST];
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = i + 1; k < count; k++) pthread_barrier_init(&c.doors[i][k], NULL, 2);
    for (uint32_t i = 0; i < count; i++) {
        members[i].crowd = &c;
        members[i].work = work;
        members[i].ranks = (fw_nn_ranks){i, count, &members[i], meet};
        assert_int_equal(pthread_create(&threads[i], NULL, run_member, &members[i]), 0);
    }
    for (uint32_t i = 0; i < count; i++) pthread_join(threads[i], NULL);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = i + 1; k < count; k++) pthread_barrier_destroy(&c.doors[i][k]);
}

static void sum(member *m) {
    float scratch[FLOATS / 2 + 1];
    fw_error error;
    m->status = fw_nn_ranks_sum(&m->ranks, m->values, m->count, scratch, &error);
}

/* The tree of trainer.h, straightforwardly. */
static void add_up(member *members, uint32_t count, size_t floats, float *out) {
    float all[MOST][FLOATS];
    for (uint32_t i = 0; i < count; i++) memcpy(all[i], members[i].values, floats * sizeof(float));
    for (uint32_t apart = 1; apart < count; apart *= 2)
        for (uint32_t i = 0; i + apart < count; i += 2 * apart)
            for (size_t n = 0; n < floats; n++) all[i][n] += all[i + apart][n];
    memcpy(out, all[0], floats * sizeof(float));
}

static void sums_by_the_tree(void **state) {
    (void)state;
    uint64_t seed = (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)seed);
    fw_random random = fw_random_named(seed, "ranks");
    static const size_t sizes[] = {0, 1, 2, 3, 7, 8, 64, 999, FLOATS};
    static member members[MOST];
    float wanted[FLOATS];
    for (uint32_t count = 1; count <= MOST; count *= 2)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            for (uint32_t i = 0; i < count; i++) {
                members[i].count = sizes[s];
                for (size_t n = 0; n < FLOATS; n++)
                    members[i].values[n] = fw_random_normal(&random) * (n % 3 ? 1.0f : 1e6f);
            }
            float beyond = members[0].values[FLOATS - 1];
            add_up(members, count, sizes[s], wanted);
            together(members, count, sum);
            for (uint32_t i = 0; i < count; i++) {
                assert_int_equal(members[i].status, FW_OK);
                assert_memory_equal(members[i].values, wanted, sizes[s] * sizeof(float));
            }
            if (sizes[s] < FLOATS) assert_true(members[0].values[FLOATS - 1] == beyond);
        }
}

static void tell(member *m) {
    fw_error error;
    uint32_t numbers[MOST] = {0}, word = 100 + m->ranks.rank;
    bool any = true;
    numbers[m->ranks.rank] = 7 * m->ranks.rank + 1;
    FW_ASSERT(fw_nn_ranks_gather(&m->ranks, numbers, sizeof *numbers, &error) == FW_OK);
    for (uint32_t i = 0; i < m->ranks.count; i++) FW_ASSERT(numbers[i] == 7 * i + 1);
    FW_ASSERT(fw_nn_ranks_broadcast(&m->ranks, &word, sizeof word, &error) == FW_OK);
    FW_ASSERT(word == 100);
    FW_ASSERT(fw_nn_ranks_any(&m->ranks, false, &any, &error) == FW_OK && !any);
    FW_ASSERT(fw_nn_ranks_any(&m->ranks, m->ranks.rank == m->ranks.count - 1, &any, &error) ==
                  FW_OK && any);
}

static void all_are_told(void **state) {
    (void)state;
    static member members[MOST];
    for (uint32_t count = 1; count <= MOST; count *= 2) together(members, count, tell);
}

static void agree(member *m) {
    fw_error error = {""};
    if (m->status != FW_OK) snprintf(error.text, sizeof error.text, "%s", m->text);
    m->status = fw_nn_ranks_agree(&m->ranks, m->status, &error);
    snprintf(m->text, sizeof m->text, "%.199s", error.text);
}

static void expect(const member *members, uint32_t count, fw_status status, const char *text) {
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(members[i].status, status);
        if (text) assert_string_equal(members[i].text, text);
    }
}

static void one_failure_is_everyones(void **state) {
    (void)state;
    static member members[MOST];
    together(members, 4, agree);
    expect(members, 4, FW_OK, NULL);
    members[3].status = FW_IO, strcpy(members[3].text, "no disk");
    together(members, 4, agree);
    expect(members, 4, FW_IO, "rank 3: no disk");
    together(members, 4, agree); /* what all say is said once */
    expect(members, 4, FW_IO, "rank 3: no disk");
    for (uint32_t i = 0; i < 4; i++) members[i].status = FW_OK;
    members[1].status = FW_CLOSED, strcpy(members[1].text, "another has stopped");
    together(members, 4, agree);
    expect(members, 4, FW_CLOSED, "rank 1: another has stopped");
    members[0].status = FW_OK, members[1].status = FW_CLOSED;
    members[2].status = FW_NO_MEMORY, strcpy(members[2].text, "no memory");
    members[3].status = FW_IO;
    together(members, 4, agree);
    expect(members, 4, FW_NO_MEMORY, "rank 2: no memory");
    together(members, 1, agree);
    expect(members, 1, FW_NO_MEMORY, "rank 2: no memory");
}

static void compare(member *m) {
    fw_error error = {""};
    m->status = fw_nn_ranks_same(&m->ranks, "CPU class", m->text, &error);
    snprintf(m->text, sizeof m->text, "%.199s", error.text);
}

static void ranks_must_be_alike(void **state) {
    (void)state;
    static member members[MOST];
    for (uint32_t i = 0; i < MOST; i++) strcpy(members[i].text, "x86-64-v3");
    together(members, MOST, compare);
    expect(members, MOST, FW_OK, "");
    for (uint32_t i = 0; i < MOST; i++) strcpy(members[i].text, i == 5 ? "x86-64-v4" : "x86-64-v3");
    together(members, MOST, compare);
    expect(members, MOST, FW_MISMATCH,
           "ranks need the same CPU class: rank 0 has x86-64-v3, rank 5 x86-64-v4");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_by_the_tree),
        cmocka_unit_test(all_are_told),
        cmocka_unit_test(one_failure_is_everyones),
        cmocka_unit_test(ranks_must_be_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
