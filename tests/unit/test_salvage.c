/* A recording cut anywhere becomes a shorter, valid one with all its whole ticks, or nothing. */
#include "support.h"

#include <time.h>

#include "base/random.h"
#include "lines/driving/act/salvage.h"
#include "lines/driving/learn/recording.h"

enum { TICKS = 300, FILE_MAX = 8 << 20 };

static const double values[FW_DRIVE_EVENT_COUNT] = {-6, 1, 2, 1};

/* A drive with an event every 40 ticks; chunks close every second of it. */
static size_t record(uint8_t *bytes, size_t ends[TICKS + 1], bool end) {
    fw_drive_recorder *recorder = NULL;
    fw_mcap_memory memory = {.bytes = bytes, .capacity_bytes = FILE_MAX};
    fw_drive_recorded done;
    fw_error error;
    assert_int_equal(fw_drive_recorder_open(&recorder, &error), FW_OK);
    fw_drive_recorder_set_chunk_ns(recorder, 1000000000);
    assert_int_equal(fw_drive_recorder_begin(recorder, fw_mcap_memory_sink(&memory), "7", &error), FW_OK);
    for (uint32_t i = 0; i < TICKS; i++) {
        fw_drive_obs obs;
        fw_drive_decision decision = {.model = fw_hash_bytes("m", 1)};
        straight_road(4, i, &obs);
        ends[i] = memory.size_bytes;
        assert_int_equal(fw_drive_recorder_tick(recorder, &obs, &decision, i % 40 == 39 ? 5 : 0, values,
                                                &error), FW_OK);
    }
    ends[TICKS] = memory.size_bytes;
    if (end) assert_int_equal(fw_drive_recorder_end(recorder, &done, &error), FW_OK);
    fw_drive_recorder_close(recorder);
    return memory.size_bytes;
}

static void write_file(const char *path, const uint8_t *bytes, size_t size_bytes) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size_bytes, file), size_bytes);
    fclose(file);
}

/* Ticks saved; 0: none. What is saved must be a recording. */
static uint32_t salvage(const char *path, const char *campaign) {
    static uint8_t out[FILE_MAX];
    fw_mcap_memory memory = {.bytes = out, .capacity_bytes = sizeof out};
    fw_drive_salvaged saved;
    fw_drive_recording *recording = NULL;
    fw_error error;
    fw_status status =
        fw_drive_salvage(path, fw_mcap_memory_sink(&memory), "7", campaign, 99, &saved, &error);
    if (status != FW_OK) {
        assert_int_equal(status, FW_CORRUPT);
        return 0;
    }
    assert_int_equal(saved.size_bytes, memory.size_bytes);
    assert_int_equal(fw_mcap_validate_bytes(NULL, out, memory.size_bytes, NULL, &error), FW_OK);
    status = fw_drive_recording_parse(out, memory.size_bytes, &recording, &error);
    if (status != FW_OK) fail_msg("%s", error.text);
    assert_int_equal(recording->tick_count, saved.what.ticks);
    assert_int_equal(recording->ticks[0].obs.tick, 0);
    assert_string_equal(recording->unit, "7");
    uint32_t events = 0;
    for (uint32_t i = 0; i < recording->tick_count; i++) {
        assert_int_equal(recording->ticks[i].obs.tick, i);
        events += (uint32_t)__builtin_popcount(recording->ticks[i].events);
    }
    for (int i = 0; i < FW_DRIVE_EVENT_COUNT; i++) events -= saved.what.event_counts[i];
    assert_int_equal(events, 0);
    assert_int_equal(saved.last_ns, (int64_t)(saved.what.ticks - 1) * 100000000);
    fw_drive_recording_free(recording);
    return saved.what.ticks;
}

static void test_cut_at_random_places(void **state) {
    (void)state;
    static uint8_t bytes[FILE_MAX];
    static size_t ends[TICKS + 1];
    char folder[64], path[96];
    uint64_t seed = (uint64_t)time(NULL);
    printf("seed %llu\n", (unsigned long long)seed);
    fw_random random = fw_random_named(seed, "cut");
    make_folder(folder);
    snprintf(path, sizeof path, "%s/1.mcap.part", folder);
    size_t size = record(bytes, ends, true);
    for (uint32_t i = 0; i < 300; i++) {
        size_t cut = i == 0 ? size : i < 50 ? i : fw_random_below(&random, (uint32_t)size);
        uint32_t whole = 0; /* ticks whose chunk lies before the cut */
        write_file(path, bytes, cut);
        uint32_t saved = salvage(path, "");
        for (uint32_t t = 1; t <= TICKS; t++)
            if (ends[t] != ends[t - 1] && ends[t] <= cut) whole = t;
        if (cut == size) assert_int_equal(saved, TICKS);
        if (whole > 2) assert_true(saved + 1 >= whole && saved <= TICKS);
        else assert_true(saved <= whole + 11);
    }
    drop_folder(folder);
}

static void test_bent_files(void **state) {
    (void)state;
    static uint8_t bytes[FILE_MAX], bent[FILE_MAX];
    static size_t ends[TICKS + 1];
    char folder[64], path[96];
    uint64_t seed = (uint64_t)time(NULL);
    printf("seed %llu\n", (unsigned long long)seed);
    fw_random random = fw_random_named(seed, "bend");
    make_folder(folder);
    snprintf(path, sizeof path, "%s/1.mcap.part", folder);
    size_t size = record(bytes, ends, false);
    for (uint32_t i = 0; i < 200; i++) {
        memcpy(bent, bytes, size);
        for (uint32_t k = 0; k < 1 + i % 4; k++)
            bent[fw_random_below(&random, (uint32_t)size)] ^= (uint8_t)(1u << fw_random_below(&random, 8));
        if (i % 10 == 0) memset(bent + size / 2, 0, size / 4); /* pages that never reached the disk */
        write_file(path, bent, size);
        (void)salvage(path, "bump");
    }
    drop_folder(folder);
}

/* A chunk whose kind was bent is passed over by a reader of MCAP: what comes after it does not go on. */
static void test_lost_chunk(void **state) {
    (void)state;
    static uint8_t bytes[FILE_MAX];
    static size_t ends[TICKS + 1];
    char folder[64], path[96];
    make_folder(folder);
    snprintf(path, sizeof path, "%s/1.mcap.part", folder);
    size_t size = record(bytes, ends, false);
    uint32_t chunks = 0;
    for (size_t at = 8; at + 9 <= size;) {
        uint64_t length = 0;
        memcpy(&length, bytes + at + 1, 8);
        if (bytes[at] == 0x06) {
            uint32_t before = 0; /* ticks in the chunks before it */
            for (uint32_t t = 1; t <= TICKS; t++)
                if (ends[t] != ends[t - 1] && ends[t] <= at) before = t;
            bytes[at] = 0x7f;
            write_file(path, bytes, size);
            assert_true(salvage(path, "") <= before + 1);
            bytes[at] = 0x06;
            chunks++;
        }
        at += 9 + length;
    }
    assert_true(chunks > 10);
    drop_folder(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lost_chunk),
        cmocka_unit_test(test_cut_at_random_places),
        cmocka_unit_test(test_bent_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
