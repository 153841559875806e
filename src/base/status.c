#include "base/status.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *fw_status_text(fw_status status) {
    static const char *const texts[] = {
#define X(name, text) [FW_##name] = text,
        FW_STATUS_LIST(X)
#undef X
    };
    return (size_t)status < sizeof texts / sizeof *texts ? texts[status] : "unknown status";
}

fw_status fw_fail(fw_error *error, fw_status status, const char *format, ...) {
    if (error) {
        va_list args;
        va_start(args, format);
        vsnprintf(error->text, sizeof error->text, format, args);
        va_end(args);
    }
    return status;
}

static fw_status status_of_errno(int code) {
    switch (code) {
    case ENOSPC:
    case EDQUOT: return FW_NO_SPACE;
    case EACCES:
    case EPERM: return FW_DENIED;
    case ENOENT: return FW_NOT_FOUND;
    case EEXIST: return FW_EXISTS;
    case EINTR: return FW_INTERRUPTED;
    case ENOMEM: return FW_NO_MEMORY;
    default: return FW_IO;
    }
}

fw_status fw_fail_errno(fw_error *error, const char *format, ...) {
    int code = errno;
    if (error) {
        va_list args;
        va_start(args, format);
        int used = vsnprintf(error->text, sizeof error->text, format, args);
        va_end(args);
        size_t at = used < 0 ? 0 : (size_t)used;
        if (at < sizeof error->text)
            snprintf(error->text + at, sizeof error->text - at, ": %s", strerror(code));
    }
    return status_of_errno(code);
}

void fw_assert_failed(const char *condition, const char *file, int line) {
    fprintf(stderr, "flywheel: broken invariant %s at %s:%d\n", condition, file, line);
    abort();
}
