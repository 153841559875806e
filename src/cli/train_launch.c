/* Ranks of a training: found, started under mpirun, stopped. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/cli.h"
#include "cli/cmd_train.h"

enum { NO_PROGRAM = 127 };

bool fw_train_is_rank(void) {
    const char *mpi = getenv("OMPI_COMM_WORLD_SIZE"), *slurm = getenv("SLURM_NTASKS");
    if (mpi) return strtol(mpi, NULL, 10) > 1;
    return slurm && strtol(slurm, NULL, 10) > 1 && (getenv("PMIX_RANK") || getenv("PMI_RANK"));
}

/* Beside this program. */
static fw_status find_program(char path[FW_PATH_MAX], fw_error *error) {
    char own[FW_PATH_MAX - 20];
    ssize_t size = readlink("/proc/self/exe", own, sizeof own - 1);
    if (size < 0) return fw_fail_errno(error, "cannot find this program's folder");
    own[size] = '\0';
    char *slash = strrchr(own, '/');
    if (slash) *slash = '\0';
    snprintf(path, FW_PATH_MAX, "%s/flywheel-ranks", own);
    if (access(path, X_OK) == 0) return FW_OK;
    return fw_fail(error, FW_NOT_FOUND, "training over ranks needs %s", path);
}

static size_t count_words(char **words) {
    size_t count = 0;
    while (words[count]) count++;
    return count;
}

/* `before`, the program, "train", the command's words. */
static char **join_words(char **before, size_t before_count, char *program, char **words,
                         fw_error *error) {
    static char command[] = "train";
    size_t count = count_words(words), at = before_count;
    char **all = calloc(before_count + count + 3, sizeof *all);
    if (!all) {
        (void)fw_fail(error, FW_NO_MEMORY, "no memory for %zu words", count);
        return NULL;
    }
    for (size_t i = 0; i < before_count; i++) all[i] = before[i];
    all[at++] = program;
    all[at++] = command;
    for (size_t i = 0; i < count; i++) all[at++] = words[i];
    return all;
}

fw_status fw_train_become_rank(char **words, fw_error *error) {
    char program[FW_PATH_MAX];
    FW_TRY(find_program(program, error));
    char **all = join_words(NULL, 0, program, words, error);
    if (!all) return FW_NO_MEMORY;
    execv(program, all);
    free(all);
    return fw_fail_errno(error, "cannot start %s", program);
}

/* ---- under mpirun ---- */

static volatile sig_atomic_t job, stops; /* mpirun's pid; how often a stop was asked for */

/* mpirun passes SIGUSR1 on, and the ranks stop together; asked again, it ends them. */
static void pass_on(int number) {
    (void)number;
    if (job > 0) (void)kill((pid_t)job, stops == 0 ? SIGUSR1 : SIGTERM);
    stops++;
}

static void catch_signals(void) {
    struct sigaction action = {.sa_handler = pass_on};
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

/* In a group of its own: Ctrl-C reaches the ranks through us alone. A container's root may. */
static void run_mpirun(char **all) {
    int nothing = open("/dev/null", O_RDONLY);
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (nothing >= 0) (void)dup2(nothing, STDIN_FILENO);
    if (geteuid() == 0) {
        (void)setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 0);
        (void)setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 0);
    }
    execvp(all[0], all);
    _exit(NO_PROGRAM);
}

static fw_status wait_for_job(int *exit_status, fw_error *error) {
    int status = 0;
    pid_t ended;
    do ended = waitpid((pid_t)job, &status, 0);
    while (ended < 0 && errno == EINTR);
    job = 0;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (code == NO_PROGRAM)
        return fw_fail(error, FW_NOT_FOUND, "cannot start mpirun: install openmpi-bin");
    if (code > FW_CLI_USAGE)
        return fw_fail(error, FW_CLOSED, "the job was ended from outside (mpirun: exit %d%s%s)", code,
                       code > 128 ? ", " : "", code > 128 ? strsignal(code - 128) : "");
    *exit_status = code;
    return FW_OK;
}

static fw_status start_job(char **all, int *exit_status, fw_error *error) {
    catch_signals();
    pid_t pid = fork();
    if (pid < 0) return fw_fail_errno(error, "cannot start mpirun");
    if (pid == 0) run_mpirun(all);
    job = (sig_atomic_t)pid;
    return wait_for_job(exit_status, error);
}

fw_status fw_train_launch(uint64_t ranks, char **words, int *exit_status, fw_error *error) {
    char program[FW_PATH_MAX], count[24];
    snprintf(count, sizeof count, "%u", (unsigned)ranks);
    /* Quiet: what failed is said by the ranks. Threads are not bound to one processor. */
    char mpirun[] = "mpirun", quiet[] = "--quiet", more[] = "--oversubscribe", bind[] = "--bind-to",
         none[] = "none", n[] = "-n";
    char *before[] = {mpirun, quiet, more, bind, none, n, count};
    FW_TRY(find_program(program, error));
    char **all = join_words(before, sizeof before / sizeof *before, program, words, error);
    if (!all) return FW_NO_MEMORY;
    fw_status status = start_job(all, exit_status, error);
    free(all);
    return status;
}
