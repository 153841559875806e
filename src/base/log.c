#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *log_program = "flywheel";
static fw_log_level log_level = FW_LOG_INFO;
static const char *const level_names[] = {"debug", "info", "warn", "error"};

void fw_log_start(const char *program) {
    log_program = program;
    const char *wanted = getenv("FLYWHEEL_LOG");
    for (int i = 0; wanted && i < 4; i++)
        if (strcmp(wanted, level_names[i]) == 0) log_level = (fw_log_level)i;
}

static void (*log_take)(void *self, fw_log_level level, const char *line);
static void *log_self;

void fw_log_divert(void (*take)(void *self, fw_log_level level, const char *line), void *self) {
    log_take = take;
    log_self = self;
}

void fw_log(fw_log_level level, const char *format, ...) {
    if (level < log_level && !log_take) return;
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    char stamp[32], line[1024];
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (log_take) {
        log_take(log_self, level, line);
        return;
    }
    fprintf(stderr, "%s.%03ldZ %s %s: %s\n", stamp, now.tv_nsec / 1000000, log_program,
            level_names[level], line);
}
