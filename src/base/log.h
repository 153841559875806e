/* log.h - talk for people and services, one line each, on stderr. stdout is for data.
 *
 * Line: "2026-01-31T12:00:00.123Z program info: text". Level from FLYWHEEL_LOG
 * (debug, info, warn, error; default info).
 */
#ifndef FW_BASE_LOG_H
#define FW_BASE_LOG_H

typedef enum fw_log_level { FW_LOG_DEBUG, FW_LOG_INFO, FW_LOG_WARN, FW_LOG_ERROR } fw_log_level;

/* Names the program in each line; `program` must outlive the process's logging. */
void fw_log_start(const char *program);
/* From now on every line of any level goes to `take` instead of stderr; NULL: to stderr again. For a
 * program that runs others' code in it (src/sim/). One thread. */
void fw_log_divert(void (*take)(void *self, fw_log_level level, const char *line), void *self);
void fw_log(fw_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define fw_log_debug(...) fw_log(FW_LOG_DEBUG, __VA_ARGS__)
#define fw_log_info(...) fw_log(FW_LOG_INFO, __VA_ARGS__)
#define fw_log_warn(...) fw_log(FW_LOG_WARN, __VA_ARGS__)
#define fw_log_error(...) fw_log(FW_LOG_ERROR, __VA_ARGS__)

#endif
