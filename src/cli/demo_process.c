/* demo_process.c - see demo_process.h */
#include "cli/demo_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHECK_MS = 20, LOW_PRIORITY_NICE = 5 };

fw_status fw_child_folder(char out[FW_PATH_MAX], fw_error *error) {
    ssize_t size = readlink("/proc/self/exe", out, FW_PATH_MAX - 1);
    if (size < 0) return fw_fail_errno(error, "cannot find the running program");
    out[size] = 0;
    char *slash = strrchr(out, '/');
    FW_ASSERT(slash != NULL);
    *slash = 0;
    return FW_OK;
}

fw_status fw_child_program(const char *name, char out[FW_PATH_MAX], fw_error *error) {
    char folder[FW_PATH_MAX];
    FW_TRY(fw_child_folder(folder, error));
    if (strlen(folder) + strlen(name) + 2 > FW_PATH_MAX)
        return fw_fail(error, FW_TOO_BIG, "the program's folder has too long a name");
    fw_path_join(out, FW_PATH_MAX, folder, name);
    if (access(out, X_OK) != 0)
        return fw_fail(error, FW_NOT_FOUND, "%s is missing in %s: build all programs first", name,
                       folder);
    return FW_OK;
}

/* In the child, between fork and exec: only async-signal-safe calls. */
static void become(const fw_child_spec *spec, const int in[2], const int out[2], int log_fd,
                   pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(127);
    setpgid(0, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    if (spec->low_priority) (void)!setpriority(PRIO_PROCESS, 0, LOW_PRIORITY_NICE);
    int in_fd = spec->lines ? in[0] : open("/dev/null", O_RDONLY | O_CLOEXEC);
    int out_fd = log_fd;
    if (spec->lines) out_fd = out[1];
    else if (spec->out_path)
        out_fd = open(spec->out_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (dup2(in_fd, 0) < 0 || dup2(out_fd, 1) < 0 || dup2(log_fd, 2) < 0) _exit(127);
    execv(spec->argv[0], (char *const *)(uintptr_t)spec->argv);
    dprintf(2, "cannot run %s: %s\n", spec->argv[0], strerror(errno));
    _exit(127);
}

static void close_pair(int pair[2]) {
    for (int i = 0; i < 2; i++)
        if (pair[i] >= 0) close(pair[i]);
}

static void close_pipes(fw_child *child) {
    if (child->in_fd >= 0) close(child->in_fd);
    if (child->out_fd >= 0) close(child->out_fd);
    child->in_fd = child->out_fd = -1;
}

fw_status fw_child_start(const fw_child_spec *spec, fw_child *out, fw_error *error) {
    int in[2] = {-1, -1}, to[2] = {-1, -1};
    int log_fd = open(spec->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0) return fw_fail_errno(error, "cannot write log %s", spec->log_path);
    if (spec->lines && (pipe2(in, O_CLOEXEC) != 0 || pipe2(to, O_CLOEXEC) != 0)) {
        fw_status status = fw_fail_errno(error, "cannot make pipes for %s", spec->name);
        close_pair(in);
        close(log_fd);
        return status;
    }
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) become(spec, in, to, log_fd, parent);
    close(log_fd);
    if (pid < 0) {
        fw_status status = fw_fail_errno(error, "cannot start %s", spec->name);
        close_pair(in);
        close_pair(to);
        return status;
    }
    *out = (fw_child){.pid = pid, .in_fd = in[1], .out_fd = to[0]};
    snprintf(out->name, sizeof out->name, "%s", spec->name);
    if (in[0] >= 0) close(in[0]);
    if (to[1] >= 0) close(to[1]);
    return FW_OK;
}

bool fw_child_running(fw_child *child) {
    if (child->pid == 0) return false;
    int status = 0;
    pid_t got = waitpid(child->pid, &status, WNOHANG);
    if (got == 0 || (got < 0 && errno == EINTR)) return true;
    child->wait_status = got < 0 ? -1 : status;
    child->pid = 0;
    close_pipes(child);
    return false;
}

void fw_child_last_words(const char *log_path, char *out, size_t out_size) {
    char text[2048];
    snprintf(out, out_size, "(%s is empty)", log_path);
    int fd = open(log_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    off_t end = lseek(fd, 0, SEEK_END), at = end > (off_t)sizeof text ? end - (off_t)sizeof text : 0;
    ssize_t got = pread(fd, text, sizeof text - 1, at);
    close(fd);
    while (got > 0 && text[got - 1] == '\n') got--;
    if (got <= 0) return;
    text[got] = 0;
    const char *line = strrchr(text, '\n');
    snprintf(out, out_size, "%s", line ? line + 1 : text);
}

bool fw_child_succeeded(const fw_child *child) {
    return child->pid == 0 && WIFEXITED(child->wait_status) &&
           WEXITSTATUS(child->wait_status) == 0;
}

void fw_child_stop(fw_child *child, int sig, int wait_ms) {
    if (!fw_child_running(child)) return;
    kill(child->pid, sig);
    for (int waited = 0; waited < wait_ms && fw_child_running(child); waited += CHECK_MS)
        nanosleep(&(struct timespec){0, CHECK_MS * 1000000L}, NULL);
    if (!fw_child_running(child)) return;
    kill(child->pid, SIGKILL);
    (void)!waitpid(child->pid, &child->wait_status, 0);
    child->pid = 0;
    close_pipes(child);
}
