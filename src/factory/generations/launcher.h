/* launcher.h - how serve starts its jobs: child processes that talk on stdout, one JSON line each.
 *
 * The real launcher forks; the child asks to die with its parent (PR_SET_PDEATHSIG), so the caller
 * must be a thread that lives as long as serve (its main thread). A test puts a scripted one here;
 * a cluster's (srun) would be another.
 */
#ifndef FW_FACTORY_LAUNCHER_H
#define FW_FACTORY_LAUNCHER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/status.h"

typedef struct fw_job {
    pid_t pid;           /* 0: none */
    int out_fd;          /* its stdout, not blocking */
    int64_t start_ticks; /* with pid, names a process for ever (/proc/PID/stat, field 22) */
} fw_job;

typedef struct fw_launcher {
    void *self;
    fw_status (*start)(void *self, const char *const *argv, fw_job *job, fw_error *error);
    /* Bytes of stdout: > 0 read, 0 none now, < 0 closed. */
    long (*read)(void *self, fw_job *job, char *out, size_t out_bytes);
    /* True when it ended; *wait_status as waitpid gives it. The job is reaped then (pid 0), its
       output can still be read. */
    bool (*ended)(void *self, fw_job *job, int *wait_status);
    /* Kills and reaps if it still runs; closes its output. */
    void (*stop)(void *self, fw_job *job);
    /* Ends a job of an earlier serve, if that process still is the one; waits until it is gone. */
    void (*end_stale)(void *self, pid_t pid, int64_t start_ticks);
} fw_launcher;

/* Child processes of this one; argv[0] is a path. */
const fw_launcher *fw_launcher_processes(void);

#endif
