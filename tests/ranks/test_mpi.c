/* Trainings under a real mpirun: the bits of one rank, one file for all, and ends that are ends. */
#include <signal.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "../cli/program.h"
#include "launch.h"

#define WORKER FW_BINARY_DIR "/tests/ranks-worker"

static char folder[] = "/tmp/fw_ranks_XXXXXX";

/* mpirun -n RANKS worker WORDS */
static int worker(int ranks, const char *words, char *output, size_t size) {
    char command[400];
    snprintf(command, sizeof command, "mpirun -q -n %d " WORKER " %s 2>&1", ranks, words);
    return run_command(command, output, size);
}

static void expect_same(int ranks, const char *words, const char *wanted) {
    char output[1000];
    expect_outcome(words, worker(ranks, words, output, sizeof output), 0, "", output);
    assert_string_equal(output, wanted);
}

static void ranks_change_nothing(void **state) {
    (void)state;
    char alone[1000], two_lanes[1000];
    assert_int_equal(run_command(WORKER " hash 1", alone, sizeof alone), 0);
    assert_non_null(strstr(alone, "transformer "));
    expect_same(1, "hash 2", alone);
    expect_same(2, "hash 1", alone);
    expect_same(2, "hash 2", alone);
    expect_same(4, "hash 1", alone);
    assert_int_equal(run_command(WORKER " hash 1 2", two_lanes, sizeof two_lanes), 0);
    assert_string_not_equal(two_lanes, alone); /* lanes are part of the sum, ranks are not */
    expect_same(2, "hash 1 2", two_lanes);
}

static void lanes_must_be_enough(void **state) {
    (void)state;
    char output[1000];
    expect_outcome("hash", worker(4, "hash 1 2", output, sizeof output), 1,
                   "4 ranks cannot share 2 lanes", output);
    expect_outcome("hash", worker(3, "hash 1 4", output, sizeof output), 1, "a power of two", output);
}

static void a_resumed_run_may_have_other_ranks(void **state) {
    (void)state;
    char words[200], output[400], whole[400] = "", last[400] = "";
    snprintf(words, sizeof words, "save %s/whole 12", folder);
    assert_int_equal(worker(1, words, whole, sizeof whole), 0);
    snprintf(words, sizeof words, "save %s/parts 4", folder);
    for (int ranks = 1; ranks <= 4; ranks *= 2)
        expect_outcome(words, worker(ranks, words, last, sizeof last), 0, "mlp ", last);
    assert_string_equal(last, whole);
    snprintf(words, sizeof words, "cmp %s/whole %s/parts && ls %s", folder, folder, folder);
    assert_int_equal(run_command(words, output, sizeof output), 0);
    assert_string_equal(output, "parts\nwhole\n"); /* nobody else wrote */
}

static uint32_t lines_with(const char *text, const char *wanted) {
    uint32_t count = 0;
    for (const char *at = text; (at = strstr(at, wanted)); at++) count++;
    return count;
}

static void a_nan_on_one_rank_is_blamed_by_all(void **state) {
    (void)state;
    char output[4000];
    for (int ranks = 1; ranks <= 4; ranks *= 2) {
        expect_outcome("nan", worker(ranks, "nan", output, sizeof output), 1,
                       "worker: step 3: node l0 (linear) made a NaN; nothing was changed\n", output);
        assert_int_equal(lines_with(output, "worker:"), 1);
    }
}

static void who_fails_alone_ends_all(void **state) {
    (void)state;
    char output[4000];
    for (int ranks = 2; ranks <= 4; ranks *= 2) {
        expect_outcome("fail", worker(ranks, "fail", output, sizeof output), 1,
                       "a disk is on fire", output);
        assert_int_equal(lines_with(output, "worker:"), 1); /* rank 0 says it for the other */
        /* its partner says so too, where mpirun leaves it the time; mpirun says it in any case */
        char command[200];
        snprintf(command, sizeof command, "mpirun -n %d " WORKER " die 2>&1", ranks);
        expect_outcome("die", run_command(command, output, sizeof output), 128 + SIGKILL,
                       "exited on signal 9", output);
    }
}

/* Starts mpirun and gives the pid of one of its ranks, once all train. */
static pid_t start_stopping(FILE **log, pid_t *rank) {
    int ends[2];
    char line[200];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        execlp("mpirun", "mpirun", "-q", "-n", "2", WORKER, "stop", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    *log = fdopen(ends[0], "r");
    for (int i = 0; i < 2;) {
        assert_non_null(fgets(line, sizeof line, *log));
        i += sscanf(line, "pid %d", rank) == 1;
    }
    return pid;
}

/* A process that has ended and that nobody has asked about has no words. */
static bool runs(pid_t pid) {
    char path[40], word[4];
    snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
    FILE *words = fopen(path, "r");
    bool has = words && fread(word, 1, sizeof word, words) > 0;
    if (words) fclose(words);
    return has;
}

/* SIGUSR1 to mpirun, or SIGTERM to one rank: all stop after the same step. SIGTERM to mpirun leaves them a
 * second. */
static void a_stop_is_everyones(void **state) {
    (void)state;
    for (int which = 0; which < 3; which++) {
        FILE *log;
        char said[2000] = "";
        int status = 0;
        pid_t rank = 0, pid = start_stopping(&log, &rank);
        kill(which == 1 ? rank : pid, which == 0 ? SIGUSR1 : SIGTERM);
        size_t used = fread(said, 1, sizeof said - 1, log);
        said[used] = '\0';
        fclose(log);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 0);
        assert_false(runs(rank));
        if (which == 2) continue;
        assert_int_equal(WEXITSTATUS(status), 1);
        assert_non_null(strstr(said, "worker: rank 0: cannot create /dev/null/none"));
        assert_int_equal(lines_with(said, "worker:"), 1);
    }
}

static int close_folder(void **state) {
    (void)state;
    char command[100], output[100];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return run_command(command, output, sizeof output);
}

int main(void) {
    launch_prepare();
    if (!mkdtemp(folder)) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_change_nothing),
        cmocka_unit_test(lanes_must_be_enough),
        cmocka_unit_test(a_resumed_run_may_have_other_ranks),
        cmocka_unit_test(a_nan_on_one_rank_is_blamed_by_all),
        cmocka_unit_test(who_fails_alone_ends_all),
        cmocka_unit_test(a_stop_is_everyones),
    };
    return cmocka_run_group_tests(tests, NULL, close_folder);
}
