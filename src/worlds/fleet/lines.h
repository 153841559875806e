/* lines.h - the conductor's lines: commands in, one JSON object a line out.
 *
 * Invariants: (1) a line over FW_FLEET_LINE_MAX bytes or an unknown word is refused with an
 * "error" line and changes nothing; (2) nothing waits for the conductor while ticks run.
 */
#ifndef FW_WORLDS_FLEET_LINES_H
#define FW_WORLDS_FLEET_LINES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "worlds/fleet/fleet.h"

typedef enum fw_fleet_word {
    FW_FLEET_NOTHING,
    FW_FLEET_RUN,
    FW_FLEET_GO,
    FW_FLEET_SHIFT,
    FW_FLEET_QUIT,
} fw_fleet_word;

typedef struct fw_fleet_command {
    fw_fleet_word word;
    uint32_t ticks;
    char conditions[FW_FLEET_LINE_MAX]; /* of a shift: what follows the word */
} fw_fleet_command;

/* Zero it, then set the descriptors. */
typedef struct fw_fleet_lines {
    int in_fd, out_fd;
    char text[FW_FLEET_LINE_MAX]; /* bytes read and not yet used */
    size_t used;
    bool skipping; /* inside a line that is too long */
    bool ended;    /* end of input: the next command is QUIT */
} fw_fleet_lines;

/* Parses one line without its newline. FW_INVALID with a reason. */
fw_status fw_fleet_command_parse(const char *line, fw_fleet_command *out, fw_error *error) FW_MUST;
/* The next command, waiting at most timeout_ms (negative: for ever); NOTHING when none came.
 * Bad lines are answered with an "error" line and skipped. */
fw_fleet_command fw_fleet_lines_next(fw_fleet_lines *lines, int timeout_ms);
/* Writes the object as one line and releases it. A conductor that is gone is no error: the end of
 * stdin says so. */
void fw_fleet_lines_say(fw_fleet_lines *lines, json_t *object);

#endif
