#include "factory/api/answers.h"

#include <stdio.h>

enum { RETRY_BUSY_S = 1, RETRY_FULL_S = 15 };

int fw_answer_status(fw_status status) {
    switch (status) {
    case FW_NO_SPACE:
        return 507;
    case FW_TOO_BIG:
        return 413;
    case FW_BUSY:
        return 409;
    case FW_INVALID:
        return 400;
    case FW_NOT_FOUND:
        return 404;
    case FW_ERASED:
        return 410;
    case FW_NO_MEMORY:
    case FW_TIMEOUT:
        return 503;
    case FW_CORRUPT:
    case FW_MISMATCH:
    case FW_UNSUPPORTED:
        return 422;
    default:
        return 500;
    }
}

void fw_answer_retry(fw_http_response *response, int http_status, int retry_s, const char *text) {
    char seconds[16];
    fw_http_respond_error(response, http_status, "%s", text);
    snprintf(seconds, sizeof seconds, "%d", retry_s);
    fw_http_add_header(response, "Retry-After", seconds);
}

void fw_answer_failure(fw_http_response *response, fw_status status, const fw_error *error) {
    int code = fw_answer_status(status);
    if (code == 507)
        fw_answer_retry(response, code, RETRY_FULL_S, error->text);
    else if (code == 409 || code == 503)
        fw_answer_retry(response, code, RETRY_BUSY_S, error->text);
    else
        fw_http_respond_error(response, code, "%s", error->text);
}
