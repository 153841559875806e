/* status.h - how every function of Flywheel says that it failed.
 *
 * Operating errors (files, network, bad input) return an fw_status and fill the caller's
 * fw_error with one line for a person: what was wrong, where, and what to do. Programmer
 * errors stop the program through FW_ASSERT. Libraries never exit. Outputs stay untouched on
 * failure.
 *
 * To add a status: add one line to FW_STATUS_LIST. Enum value and text come from that line.
 */
#ifndef FW_BASE_STATUS_H
#define FW_BASE_STATUS_H

#include <stdarg.h>
#include <stddef.h>

#define FW_STATUS_LIST(X)                                                                          \
    X(OK, "ok")                                                                                    \
    X(INVALID, "invalid input")                                                                    \
    X(CORRUPT, "corrupt data")                                                                     \
    X(TOO_BIG, "over a limit")                                                                     \
    X(NOT_FOUND, "not found")                                                                      \
    X(EXISTS, "already there")                                                                     \
    X(MISMATCH, "does not match")                                                                  \
    X(IO, "input/output error")                                                                    \
    X(NO_SPACE, "no space left")                                                                   \
    X(DENIED, "not allowed")                                                                       \
    X(BUSY, "busy, try again")                                                                     \
    X(CLOSED, "the other side closed")                                                             \
    X(TIMEOUT, "timed out")                                                                        \
    X(NO_MEMORY, "out of memory")                                                                  \
    X(UNSUPPORTED, "not supported")                                                                \
    X(INTERRUPTED, "interrupted")                                                                  \
    X(ERASED, "erased")                                                                            \
    X(END, "end of data")

typedef enum fw_status {
#define X(name, text) FW_##name,
    FW_STATUS_LIST(X)
#undef X
} fw_status;

/* The caller owns it; `text` is one line, always terminated. */
typedef struct fw_error {
    char text[400];
} fw_error;

#define FW_MUST __attribute__((warn_unused_result))

/* Text of a status, for example "corrupt data". Never NULL. */
const char *fw_status_text(fw_status status);

/* Fills *error (may be NULL) with the formatted line and returns `status`, so that a failing
 * path reads `return fw_fail(error, FW_INVALID, "...", ...)`. */
fw_status fw_fail(fw_error *error, fw_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As fw_fail, from errno: appends ": strerror" and picks NO_SPACE, DENIED, NOT_FOUND, EXISTS,
 * INTERRUPTED or IO. */
fw_status fw_fail_errno(fw_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Stops the program with place and condition: for broken invariants only, never for input. */
#define FW_ASSERT(condition)                                                                       \
    ((condition) ? (void)0 : fw_assert_failed(#condition, __FILE__, __LINE__))
void fw_assert_failed(const char *condition, const char *file, int line) __attribute__((noreturn));

/* Returns early with a status that is not FW_OK. */
#define FW_TRY(expression)                                                                         \
    do {                                                                                           \
        fw_status fw_try_status = (expression);                                                    \
        if (fw_try_status != FW_OK) return fw_try_status;                                          \
    } while (0)

#endif
