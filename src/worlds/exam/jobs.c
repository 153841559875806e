/* jobs.c - see jobs.h */
#include "worlds/exam/jobs.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a child says: it fits into a pipe, so that no child waits for its parent. */
typedef struct letter {
    fw_status status;
    fw_error error;
    fw_exam_run run;
} letter;
_Static_assert(sizeof(letter) < 65536, "a pipe holds a letter");

typedef struct job {
    pid_t pid; /* 0: free */
    int fd;
    uint32_t index;
    size_t got;
    letter letter;
} job;

static void be_child(fw_exam_work *work, const void *context, uint32_t index, int fd, pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    letter *l = calloc(1, sizeof *l);
    if (l == NULL) _exit(1);
    l->status = work(context, index, &l->run, &l->error);
    const char *at = (const char *)l;
    for (size_t left = sizeof *l; left;) {
        const ssize_t put = write(fd, at, left);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) _exit(1);
        at += put;
        left -= (size_t)put;
    }
    _exit(0);
}

static fw_status start(job *j, fw_exam_work *work, const void *context, uint32_t index, fw_error *error) {
    int ends[2];
    if (pipe(ends) != 0) return fw_fail_errno(error, "a pipe for exam run %u", index + 1);
    const pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        close(ends[0]);
        be_child(work, context, index, ends[1], parent);
    }
    close(ends[1]);
    if (pid < 0) {
        const fw_status status = fw_fail_errno(error, "a process for exam run %u", index + 1);
        close(ends[0]);
        return status;
    }
    j->pid = pid;
    j->fd = ends[0];
    j->index = index;
    j->got = 0;
    return FW_OK;
}

static void reap(job *j) {
    close(j->fd);
    while (waitpid(j->pid, NULL, 0) < 0 && errno == EINTR) continue;
    j->pid = 0;
}

/* Reads what is there; *over when the child has closed its end. */
static void hear(job *j, bool *over) {
    char spare;
    char *to = j->got < sizeof j->letter ? (char *)&j->letter + j->got : &spare;
    const size_t room = j->got < sizeof j->letter ? sizeof j->letter - j->got : 1;
    const ssize_t got = read(j->fd, to, room);
    if (got > 0) j->got += (size_t)got;
    *over = got == 0 || (got < 0 && errno != EINTR);
}

static fw_status outcome(const job *j, fw_error *error) {
    if (j->got != sizeof j->letter)
        return fw_fail(error, FW_CLOSED, "the process of exam run %u ended early", j->index + 1);
    if (j->letter.status != FW_OK) return fw_fail(error, j->letter.status, "%s", j->letter.error.text);
    return FW_OK;
}

/* Waits until one of them says something; takes what is finished. */
static fw_status collect(job *jobs, uint32_t count, fw_exam_run *out, uint32_t *ended, const void *context,
                         void (*done)(const void *, uint32_t, const fw_exam_run *), fw_error *error) {
    struct pollfd fds[FW_EXAM_JOBS_MAX];
    for (uint32_t i = 0; i < count; i++)
        fds[i] = (struct pollfd){.fd = jobs[i].pid ? jobs[i].fd : -1, .events = POLLIN};
    if (poll(fds, count, -1) < 0 && errno != EINTR) return fw_fail_errno(error, "waiting for exam runs");
    for (uint32_t i = 0; i < count; i++) {
        bool over = false;
        if (fds[i].fd < 0 || !fds[i].revents) continue;
        hear(&jobs[i], &over);
        if (!over) continue;
        reap(&jobs[i]);
        FW_TRY(outcome(&jobs[i], error));
        out[jobs[i].index] = jobs[i].letter.run;
        (*ended)++;
        if (done) done(context, jobs[i].index, &out[jobs[i].index]);
    }
    return FW_OK;
}

fw_status fw_exam_jobs(fw_exam_work *work, const void *context, uint32_t count, uint32_t job_count, fw_exam_run *out,
                       void (*done)(const void *, uint32_t, const fw_exam_run *), fw_error *error) {
    FW_ASSERT(job_count >= 1 && job_count <= FW_EXAM_JOBS_MAX);
    job *jobs = calloc(job_count, sizeof *jobs);
    if (jobs == NULL) return fw_fail(error, FW_NO_MEMORY, "no memory for an exam's runs");
    uint32_t begun = 0, ended = 0;
    fw_status status = FW_OK;
    while (status == FW_OK && ended < count) {
        for (uint32_t i = 0; i < job_count && begun < count && status == FW_OK; i++)
            if (!jobs[i].pid) status = start(&jobs[i], work, context, begun++, error);
        if (status == FW_OK) status = collect(jobs, job_count, out, &ended, context, done, error);
    }
    for (uint32_t i = 0; i < job_count; i++) {
        if (!jobs[i].pid) continue;
        (void)kill(jobs[i].pid, SIGKILL);
        reap(&jobs[i]);
    }
    free(jobs);
    return status;
}
