#include "factory/generations/launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void sleep_ms(long ms) {
    struct timespec wait = {.tv_nsec = ms * 1000000};
    nanosleep(&wait, NULL);
}

/* Field 22 of /proc/PID/stat (proc(5)): start time in clock ticks; -1 when there is no process. */
static int64_t start_ticks_of(pid_t pid) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    FILE *file = fopen(path, "re");
    if (!file) return -1;
    size_t got = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[got] = '\0';
    const char *at = strrchr(text, ')'); /* the name before it may hold anything */
    for (int field = 2; at && field < 22; field++) at = strchr(at + 1, ' ');
    return at ? strtoll(at, NULL, 10) : -1;
}

/* Between fork and exec: only what is safe there. */
static void become(const char *const *argv, int out, pid_t parent) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0); /* Ctrl-C at the terminal is for serve, which then ends its job */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(125); /* serve died meanwhile */
    int null = open("/dev/null", O_RDONLY);
    if (null >= 0) dup2(null, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0U); /* whatever a library left open: a job is to open its files itself */
    execv(argv[0], (char *const *)(uintptr_t)argv);
    _exit(126);
}

static fw_status start(void *self, const char *const *argv, fw_job *job, fw_error *error) {
    int ends[2];
    (void)self;
    if (pipe2(ends, O_CLOEXEC) != 0) return fw_fail_errno(error, "cannot start a job");
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) become(argv, ends[1], parent);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return fw_fail_errno(error, "cannot start a job");
    }
    *job = (fw_job){.pid = pid, .out_fd = ends[0], .start_ticks = start_ticks_of(pid)};
    return FW_OK;
}

static long read_output(void *self, fw_job *job, char *out, size_t out_bytes) {
    (void)self;
    ssize_t got = read(job->out_fd, out, out_bytes);
    if (got > 0) return got;
    return got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static bool ended(void *self, fw_job *job, int *wait_status) {
    (void)self;
    pid_t got = waitpid(job->pid, wait_status, WNOHANG);
    if (got == 0 || (got < 0 && errno == EINTR)) return false;
    if (got < 0) *wait_status = SIGKILL; /* not our child any more */
    job->pid = 0;
    return true;
}

static void stop(void *self, fw_job *job) {
    int wait_status;
    (void)self;
    if (job->pid > 0) {
        kill(job->pid, SIGKILL);
        while (waitpid(job->pid, &wait_status, 0) < 0 && errno == EINTR) continue;
    }
    if (job->out_fd >= 0) close(job->out_fd);
    *job = (fw_job){.out_fd = -1};
}

static void end_stale(void *self, pid_t pid, int64_t start_ticks) {
    (void)self;
    if (pid <= 1 || start_ticks < 0 || start_ticks_of(pid) != start_ticks) return;
    kill(pid, SIGKILL);
    for (int i = 0; i < 500 && start_ticks_of(pid) == start_ticks; i++) sleep_ms(10);
}

const fw_launcher *fw_launcher_processes(void) {
    static const fw_launcher launcher = {NULL, start, read_output, ended, stop, end_stale};
    return &launcher;
}
