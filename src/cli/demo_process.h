/* demo_process.h - the conductor's children: started beside its own program, logged, never left.
 *
 * Invariants: (1) a child gets SIGTERM when the conductor dies, however it dies (PR_SET_PDEATHSIG);
 * (2) it runs in its own process group, so that Ctrl-C reaches the conductor first and the stop is
 * ordered; (3) only the given pipes and its log are open in it.
 */
#ifndef FW_CLI_DEMO_PROCESS_H
#define FW_CLI_DEMO_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/file.h"
#include "base/status.h"

enum { FW_CHILD_ARGS_MAX = 32 };

typedef struct fw_child {
    char name[32];
    pid_t pid;     /* 0: not running */
    int in_fd;     /* its stdin, or -1 */
    int out_fd;    /* its stdout, or -1 */
    int wait_status; /* of waitpid, once it has ended */
} fw_child;

typedef struct fw_child_spec {
    const char *name;
    const char *const *argv;  /* NULL-terminated; argv[0] is the program's path */
    const char *log_path;     /* stderr (and stdout without `lines`) are appended here */
    const char *out_path;     /* stdout goes to this new file instead; may be NULL */
    bool lines;               /* pipes for stdin and stdout */
    bool low_priority;
} fw_child_spec;

/* The folder of the running program, where its siblings lie. */
fw_status fw_child_folder(char out[FW_PATH_MAX], fw_error *error) FW_MUST;
/* A sibling program's path. FW_NOT_FOUND with what to do. */
fw_status fw_child_program(const char *name, char out[FW_PATH_MAX], fw_error *error) FW_MUST;
fw_status fw_child_start(const fw_child_spec *spec, fw_child *out, fw_error *error) FW_MUST;
/* Looks without waiting; when it has ended: pid is 0, wait_status is set, descriptors closed. */
bool fw_child_running(fw_child *child);
bool fw_child_succeeded(const fw_child *child);
/* The last line of a log: why a child ended. */
void fw_child_last_words(const char *log_path, char *out, size_t out_size);
/* Sends `sig`, waits at most wait_ms, then kills. Nothing to do for a child that is not running. */
void fw_child_stop(fw_child *child, int sig, int wait_ms);

#endif
