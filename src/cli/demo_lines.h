/* demo_lines.h - one JSON object a line from a child, and command lines to it. */
#ifndef FW_CLI_DEMO_LINES_H
#define FW_CLI_DEMO_LINES_H

#include <jansson.h>
#include <stddef.h>

#include "base/status.h"

enum { FW_DEMO_LINE_MAX = 1 << 16 };

/* Bytes read and not yet used; the caller zeroes it when the child starts. */
typedef struct fw_demo_lines {
    size_t used;
    char text[FW_DEMO_LINE_MAX];
} fw_demo_lines;

/* The next object from fd, waiting at most timeout_ms. FW_TIMEOUT, FW_CLOSED (end of the pipe),
 * FW_CORRUPT (a line that is no object or too long). The caller owns *out. */
fw_status fw_demo_lines_next(fw_demo_lines *lines, int fd, int timeout_ms, json_t **out,
                             fw_error *error) FW_MUST;
/* Writes one command line. FW_CLOSED when the child is gone. */
fw_status fw_demo_lines_tell(int fd, const char *line, fw_error *error) FW_MUST;

#endif
