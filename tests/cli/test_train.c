/* flywheel train: the same model whatever threads and ranks; stops and deaths that leave nothing behind. */
#include "program.h"

#include "../lines/synthetic_file.h"
#include "../ranks/launch.h"

/* One update. */
#define STEPS "--agent-steps 16384"

static char folder[] = "/tmp/fw_train_XXXXXX";

/* [BEFORE] flywheel train WORDS, with $D for the folder. */
static int train(const char *before, const char *words, char *output, size_t size) {
    char command[600];
    snprintf(command, sizeof command, "D=%s; %s " PROGRAM " train %s 2>&1", folder, before, words);
    return run_command(command, output, size);
}

static void refuses(const char *words, int status, const char *text) {
    char output[2000];
    expect_outcome(words, train("", words, output, sizeof output), status, text, output);
}

static void wrong_words(void **state) {
    (void)state;
    refuses("--out $D/m", 2, "say --recordings");
    refuses("--recordings $D/rec", 2, "say --out");
    refuses("--recordings $D/rec --out $D/m --ranks 3", 2, "--ranks is 1, 2, 4 or 8");
    refuses("--recordings $D/rec --out $D/m --seed x", 2, "--seed");
    refuses("--recordings $D/none --out $D/m", 1, "cannot read");
    refuses("--recordings $D --out $D/m", 1, "holds no *.mcap");
    refuses("--recordings /dev/zero --out $D/m", 1, "/dev/zero is not a plain file");
    refuses("--recordings $D/rec --out $D/none/m", 1, "cannot write");
    refuses("--recordings $D/rec --out $D", 1, "is not a plain file");
    refuses("--recordings $D/rec --out $D/m --curve $D", 1, "is not a plain file");
    refuses("--recordings $D/rec --out $D/m --base $D/rec/0.mcap", 1, "flywheel: ");
    char output[2000];
    expect_outcome("two of four", train("mpirun -q -n 2", "--recordings $D/rec --out $D/m --ranks 4",
                                        output, sizeof output), 1, "--ranks says 4, 2 were started",
                   output);
}

/* Trains into $D/NAME; the model must be the one of $D/first, byte for byte, and so must the curve. */
static void same(const char *before, const char *words, const char *name) {
    char line[300], output[3000];
    snprintf(line, sizeof line, "%s " STEPS " --out $D/%s --curve $D/%s.csv", words, name, name);
    expect_outcome(line, train(before, line, output, sizeof output), 0, "agent-steps on 3 recordings", output);
    snprintf(line, sizeof line, "cd %s && cmp first %s && cmp first.csv %s.csv && rm -f last last.csv",
             folder, name, name);
    expect_outcome(line, run_command(line, output, sizeof output), 0, "", output);
}

static void ranks_and_threads_change_nothing(void **state) {
    (void)state;
    char output[3000], command[300];
    same("", "--recordings $D/rec --threads 1", "first");
    same("", "--recordings $D/rec/2.mcap $D/rec/0.mcap $D/rec/1.mcap $D/copy --threads 2", "last");
    same("", "--recordings $D/rec --threads 1 --ranks 2", "last");
    same("mpirun -q -n 4", "--recordings $D/rec --threads 1", "last");
    snprintf(command, sizeof command, "cat %s/first.csv", folder);
    assert_int_equal(run_command(command, output, sizeof output), 0);
    assert_non_null(strstr(output, "agent_steps,loss,value_loss,entropy,gradient_norm,vacant_share,"
                                   "clean_share,collision_share,off_road_share\n1"));
    assert_int_equal(train("", "--recordings $D/rec --seed 2 --json " STEPS " --out $D/last", output,
                           sizeof output), 0);
    assert_non_null(strstr(output, "\"cpu_class\":\""));
    snprintf(command, sizeof command, "cmp -s %s/first %s/last", folder, folder);
    assert_int_equal(run_command(command, output, sizeof output), 1);
    assert_int_equal(train("", "--recordings $D/rec --base $D/first " STEPS " --out $D/last", output,
                           sizeof output), 0);
    snprintf(command, sizeof command, "rm %s/last", folder);
    assert_int_equal(run_command(command, output, sizeof output), 0);
}

/* ---- suites ---- */

/* Writes $D/NAME.json: the three recordings, the last one sealed or not; the second under a wrong hash or not. */
static void write_suite(const char *name, const char *sealed, const char *wrong) {
    char command[900], output[200];
    snprintf(command, sizeof command,
             "cd %s && item() { h=$(sha256sum rec/$1.mcap | cut -c1-64); echo '{\"file\":\"rec/'$1'.mcap\",\"sha256\":\"'"
             "$(echo $h | sed s/^./$3/)'\",\"site\":\"\",\"group\":\"'$1'\",\"sealed\":'$2'}'; }; "
             "echo '{\"format\":1,\"name\":\"%s\",\"items\":['$(item 0 false '&'),"
             "$(item 1 false '%s'),$(item 2 %s '&')']}' > %s.json", folder, name, wrong, sealed, name);
    expect_outcome("suite", run_command(command, output, sizeof output), 0, "", output);
}

static void sealed_is_not_learned_from(void **state) {
    (void)state;
    char output[3000], command[100];
    write_suite("open", "false", "&");
    write_suite("held", "true", "&");
    write_suite("bad", "false", "x");
    refuses("--suite --out $D/m", 2, "--suite needs");
    refuses("--suite $D/held.json --suite $D/open.json --out $D/m", 1, "1 of its 3 items are sealed");
    refuses("--suite $D/held.json --out $D/m", 1, "1 of its 3 items are sealed");
    refuses("--suite $D/none.json --out $D/m", 1, "none.json");
    refuses("--suite $D/bad.json --out $D/m", 1, "flywheel: ");
    refuses("--suite $D/open.json --out $D/m --agent-steps 0", 2, "above 0");
    refuses("--suite $D/open.json --out $D/m --imitation-steps 1", 1, "imitation needs recorded scenes");
    same("", "--suite $D/open.json --threads 1", "last");
    expect_outcome("two of three", train("", "--suite $D/held.json --leave-sealed " STEPS " --out $D/last", output,
                                         sizeof output), 0, "on 2 recordings (0 refused, 1 sealed left out)", output);
    /* both count, and what is in both counts once: the last one alone would leave 2, the first one alone nothing out */
    expect_outcome("two suites", train("", "--suite $D/open.json --suite $D/held.json --leave-sealed " STEPS
                                       " --out $D/last", output, sizeof output), 0,
                   "on 3 recordings (0 refused, 1 sealed left out)", output);
    snprintf(command, sizeof command, "rm %s/last", folder);
    assert_int_equal(run_command(command, output, sizeof output), 0);
}

/* ---- stopped, killed ---- */

static pid_t start(const char *ranks, FILE **log) {
    char recordings[100], out[100], line[300] = "";
    snprintf(recordings, sizeof recordings, "%s/rec", folder);
    snprintf(out, sizeof out, "%s/never", folder);
    const char *words[] = {"flywheel", "train", "--recordings", recordings, "--out", out, "--ranks",
                           ranks, "--threads", "1", "--agent-steps", "1000000000", NULL};
    pid_t pid = start_program(words, log);
    while (!strstr(line, "reading 3 recordings")) assert_non_null(fgets(line, sizeof line, *log));
    return pid;
}

/* What it still said, its exit status, and that it left nothing. */
static void expect_end(pid_t pid, FILE *log, const char *text) {
    char said[4000], command[100], output[400];
    int status = 0;
    size_t used = fread(said, 1, sizeof said - 1, log);
    said[used] = '\0';
    fclose(log);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    expect_outcome("train", WEXITSTATUS(status), 1, text, said);
    snprintf(command, sizeof command, "ls %s | grep never", folder);
    assert_int_equal(run_command(command, output, sizeof output), 1);
}

static void a_stop_leaves_nothing(void **state) {
    (void)state;
    static const char *const ranks[] = {"1", "2"};
    for (int i = 0; i < 2; i++) {
        FILE *log;
        pid_t pid = start(ranks[i], &log);
        kill(pid, i == 0 ? SIGINT : SIGTERM);
        expect_end(pid, log, "/never was not written");
    }
}

/* flywheel, then mpirun, then its ranks. */
static pid_t child_of(pid_t pid) {
    char command[60], output[200];
    snprintf(command, sizeof command, "pgrep -P %d", pid);
    assert_int_equal(run_command(command, output, sizeof output), 0);
    return (pid_t)strtol(output, NULL, 10);
}

static void a_killed_rank_ends_it(void **state) {
    (void)state;
    FILE *log;
    pid_t pid = start("2", &log), rank = child_of(child_of(pid));
    kill(rank, SIGKILL);
    expect_end(pid, log, "the job was ended from outside (mpirun: exit 137, Killed)");
}

static int open_folder(void **state) {
    (void)state;
    char path[100], output[100];
    launch_prepare();
    if (!mkdtemp(folder)) return 1;
    snprintf(path, sizeof path, "mkdir %s/rec", folder);
    if (run_command(path, output, sizeof output) != 0) return 1;
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/rec/%d.mcap", folder, i);
        synthetic_file(path, "7", 3 + 4 * (float)i);
    }
    snprintf(path, sizeof path, "cp %s/rec/1.mcap %s/copy", folder, folder); /* one more, by name */
    return run_command(path, output, sizeof output);
}

static int close_folder(void **state) {
    (void)state;
    char command[100], output[100];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return run_command(command, output, sizeof output);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_words),
        cmocka_unit_test(ranks_and_threads_change_nothing),
        cmocka_unit_test(sealed_is_not_learned_from),
        cmocka_unit_test(a_stop_leaves_nothing),
        cmocka_unit_test(a_killed_rank_ends_it),
    };
    return cmocka_run_group_tests(tests, open_folder, close_folder);
}
