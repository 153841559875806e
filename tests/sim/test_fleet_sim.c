/* A fleet from one seed: small ones keep every promise; the same seed tells the same story; planted faults
 * are found.
 *
 * FW_SIM_FIRST and FW_SIM_COUNT choose other seeds, FW_SIM_STORY=1 prints what happens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "sim/sim.h"

enum { SEEDS = 50, UNITS = 3, FIND_WITHIN = 40 };
#define HOURS 0.3 /* a core-second or so a seed */

static void print_line(void *self, const char *line) {
    (void)self;
    puts(line);
}

static fw_sim_result run(uint64_t seed, double hours, fw_sim_mutant mutant) {
    char scratch[64];
    fw_error error = {""};
    fw_sim_result result = {0};
    snprintf(scratch, sizeof scratch, "%s/fw_test_sim_%ld", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp",
             (long)getpid());
    fw_sim_config config = {.seed = seed, .units = UNITS, .hours = hours, .scratch = scratch, .mutant = mutant};
    if (getenv("FW_SIM_STORY")) config.each = print_line;
    if (fw_sim_run(&config, &result, &error) != FW_OK) fail_msg("%s", error.text);
    assert_false(fw_file_exists(scratch));
    return result;
}

static uint64_t number(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void test_seeds(void **state) {
    (void)state;
    uint64_t first = number("FW_SIM_FIRST", 1), count = number("FW_SIM_COUNT", SEEDS), received = 0, cuts = 0;
    for (uint64_t seed = first; seed < first + count; seed++) {
        fw_sim_result r = run(seed, HOURS, FW_SIM_MUTANT_NONE);
        if (r.broken) {
            puts(r.tail);
            fail_msg("seed %llu: %s of %s: %s", (unsigned long long)seed, r.promise, r.who, r.what);
        }
        received += r.counts.recordings_received;
        cuts += r.counts.factory_cuts + r.counts.unit_cuts;
    }
    assert_true(received >= count && cuts >= count); /* something was at stake */
}

static void test_the_same_seed_tells_the_same_story(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 2; seed++) {
        fw_sim_result a = run(seed, HOURS, FW_SIM_MUTANT_NONE), b = run(seed, HOURS, FW_SIM_MUTANT_NONE);
        assert_string_equal(a.trace.hex, b.trace.hex);
        assert_true(a.lines > 100 && a.lines == b.lines);
    }
    fw_sim_result other = run(3, HOURS, FW_SIM_MUTANT_NONE), one = run(1, HOURS, FW_SIM_MUTANT_NONE);
    assert_string_not_equal(other.trace.hex, one.trace.hex);
}

/* The first seed that finds it, and as which broken promise; it breaks the same way again. */
static void find(const char *name, fw_sim_mutant mutant, const char *promises) {
    for (uint64_t seed = 1; seed <= FIND_WITHIN; seed++) {
        fw_sim_result r = run(seed, 0.7, mutant);
        if (!r.broken) continue;
        printf("%s: found by seed %llu after %d s: %s: %s\n", name, (unsigned long long)seed,
               (int)(r.when_ns / 1000000000), r.promise, r.what);
        assert_non_null(strstr(promises, r.promise));
        fw_sim_result again = run(seed, 0.7, mutant);
        assert_true(again.broken && again.when_ns == r.when_ns);
        assert_string_equal(again.trace.hex, r.trace.hex);
        free(r.tail);
        free(again.tail);
        return;
    }
    fail_msg("%s: not found in %d seeds", name, FIND_WITHIN);
}

static void test_a_flush_that_the_factory_leaves_out_is_found(void **state) {
    (void)state;
    find("no fdatasync of files", FW_SIM_MUTANT_NO_SYNC, "receipt records equal starts");
}

static void test_a_folder_that_is_not_flushed_is_found(void **state) {
    (void)state;
    find("no fdatasync of folders", FW_SIM_MUTANT_NO_FOLDER_SYNC, "receipt records equal starts");
}

static void test_a_catalogue_that_is_not_flushed_is_found(void **state) {
    (void)state;
    find("no xSync", FW_SIM_MUTANT_NO_WAL_SYNC, "receipt records equal starts");
}

static void test_a_unit_that_does_not_flush_is_found(void **state) {
    (void)state;
    find("no fdatasync on units", FW_SIM_MUTANT_UNIT_NO_SYNC, "spool arrives records starts release");
}

static void test_a_unit_that_believes_hints_is_found(void **state) {
    (void)state;
    find("a unit that believes", FW_SIM_MUTANT_CREDULOUS, "release");
}

static void test_a_rollout_without_rings_is_found(void **state) {
    (void)state;
    find("all at once", FW_SIM_MUTANT_ALL_AT_ONCE, "rings");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_the_same_seed_tells_the_same_story),
        cmocka_unit_test(test_a_flush_that_the_factory_leaves_out_is_found),
        cmocka_unit_test(test_a_folder_that_is_not_flushed_is_found),
        cmocka_unit_test(test_a_catalogue_that_is_not_flushed_is_found),
        cmocka_unit_test(test_a_unit_that_does_not_flush_is_found),
        cmocka_unit_test(test_a_unit_that_believes_hints_is_found),
        cmocka_unit_test(test_a_rollout_without_rings_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
