/* program.h - `flywheel` as a person runs it: for tests that start the built program. */
#ifndef FW_TESTS_CLI_PROGRAM_H
#define FW_TESTS_CLI_PROGRAM_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PROGRAM FW_BINARY_DIR "/src/flywheel"

/* Runs a shell command; what it prints into output, terminated. Returns its exit status. */
static inline int run_command(const char *command, char *output, size_t output_size) {
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t used = fread(output, 1, output_size - 1, pipe);
    output[used] = '\0';
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* The run came to `status` and printed `text`. */
static inline void expect_outcome(const char *words, int got, int status, const char *text,
                                  const char *output) {
    if (got != status || !strstr(output, text))
        fail_msg("flywheel %s: status %d, not %d, or no '%s' in: %s", words, got, status, text,
                 output);
}

/* Starts `flywheel` with `words` (ended by NULL); *log reads what it says on stderr. The caller ends the
 * process. */
static inline pid_t start_program(const char *const *words, FILE **log) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        execv(PROGRAM, (char *const *)(uintptr_t)words);
        _exit(127);
    }
    close(ends[1]);
    *log = fdopen(ends[0], "r");
    assert_non_null(*log);
    return pid;
}

/* Starts `flywheel serve OPTION --data FOLDER/data` on a port of its choice (option may be NULL) and
 * waits until it says its address, which begins with `scheme`. The caller ends the process. */
static inline pid_t start_serve(const char *folder, const char *option, const char *scheme,
                                unsigned *port) {
    char line[400] = "", data[100], address[40];
    FILE *log = NULL;
    const char *words[] = {"flywheel", "serve", "--data", data, "--listen", "127.0.0.1:0", option,
                           NULL};
    snprintf(data, sizeof data, "%s/data", folder);
    size_t size = (size_t)snprintf(address, sizeof address, "%s://127.0.0.1:", scheme);
    pid_t pid = start_program(words, &log);
    *port = 0;
    while (*port == 0 && fgets(line, sizeof line, log)) {
        const char *at = strstr(line, address);
        if (at) *port = (unsigned)strtoul(at + size, NULL, 10);
    }
    if (*port == 0) fail_msg("serve did not start: %s", line);
    /* log stays open: what it says later fits a pipe */
    return pid;
}

#endif
