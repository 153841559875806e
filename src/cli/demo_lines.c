/* demo_lines.c - see demo_lines.h */
#include "cli/demo_lines.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static fw_status take(fw_demo_lines *lines, json_t **out, fw_error *error) {
    char *end = memchr(lines->text, '\n', lines->used);
    if (end == NULL) return FW_TIMEOUT;
    size_t size = (size_t)(end - lines->text);
    json_t *object = json_loadb(lines->text, size, 0, NULL);
    lines->used -= size + 1;
    memmove(lines->text, end + 1, lines->used);
    if (!json_is_object(object)) {
        json_decref(object);
        return fw_fail(error, FW_CORRUPT, "a line of a child is no JSON object");
    }
    *out = object;
    return FW_OK;
}

fw_status fw_demo_lines_next(fw_demo_lines *lines, int fd, int timeout_ms, json_t **out,
                             fw_error *error) {
    fw_status status = take(lines, out, error);
    if (status != FW_TIMEOUT) return status;
    if (lines->used == sizeof lines->text)
        return fw_fail(error, FW_CORRUPT, "a line of a child is too long");
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    int ready = poll(&wait, 1, timeout_ms);
    if (ready <= 0) return fw_fail(error, FW_TIMEOUT, "no line yet");
    ssize_t got = read(fd, lines->text + lines->used, sizeof lines->text - lines->used);
    if (got < 0 && errno == EINTR) return fw_fail(error, FW_TIMEOUT, "no line yet");
    if (got <= 0) return fw_fail(error, FW_CLOSED, "the child closed its output");
    lines->used += (size_t)got;
    status = take(lines, out, error);
    return status == FW_TIMEOUT ? fw_fail(error, status, "no line yet") : status;
}

fw_status fw_demo_lines_tell(int fd, const char *line, fw_error *error) {
    char text[128];
    int size = snprintf(text, sizeof text, "%s\n", line);
    FW_ASSERT(size > 0 && (size_t)size < sizeof text);
    if (write(fd, text, (size_t)size) != size)
        return fw_fail(error, FW_CLOSED, "a child does not listen any more");
    return FW_OK;
}
