/* lines.c - see lines.h */
#include "worlds/fleet/lines.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/args.h"
#include "base/file.h"

enum { TICKS_MAX = 10000000 };

fw_status fw_fleet_command_parse(const char *line, fw_fleet_command *out, fw_error *error) {
    if (strcmp(line, "quit") == 0) {
        *out = (fw_fleet_command){.word = FW_FLEET_QUIT};
        return FW_OK;
    }
    if (strncmp(line, "shift ", 6) == 0) {
        fw_fleet_command shift = {.word = FW_FLEET_SHIFT};
        if (strlen(line + 6) >= sizeof shift.conditions)
            return fw_fail(error, FW_INVALID, "conditions are at most %zu characters",
                           sizeof shift.conditions - 1);
        memcpy(shift.conditions, line + 6, strlen(line + 6));
        *out = shift;
        return FW_OK;
    }
    fw_fleet_word word = FW_FLEET_NOTHING;
    const char *number = NULL;
    if (strncmp(line, "run ", 4) == 0) word = FW_FLEET_RUN, number = line + 4;
    if (strncmp(line, "go ", 3) == 0) word = FW_FLEET_GO, number = line + 3;
    uint64_t ticks = 0;
    if (number == NULL)
        return fw_fail(error, FW_INVALID, "unknown command '%.40s': run TICKS, go TICKS, "
                       "shift CONDITIONS or quit",
                       line);
    FW_TRY(fw_parse_u64(number, &ticks, error));
    if (ticks == 0 || ticks > TICKS_MAX)
        return fw_fail(error, FW_INVALID, "TICKS is 1 to %d", TICKS_MAX);
    *out = (fw_fleet_command){.word = word, .ticks = (uint32_t)ticks};
    return FW_OK;
}

void fw_fleet_lines_say(fw_fleet_lines *lines, json_t *object) {
    char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    FW_ASSERT(text != NULL);
    size_t size = strlen(text);
    text[size] = '\n'; /* the line's end takes the terminator's place */
    if (fw_file_write_all(fw_env_real(), lines->out_fd, text, size + 1, "stdout", NULL) != FW_OK)
        lines->ended = true;
    free(text);
}

/* Takes one whole line out of the buffer into `line`; false when there is none. */
static bool take_line(fw_fleet_lines *lines, char line[FW_FLEET_LINE_MAX]) {
    char *end = memchr(lines->text, '\n', lines->used);
    if (end == NULL) {
        if (lines->used == sizeof lines->text) lines->skipping = true, lines->used = 0;
        return false;
    }
    size_t size = (size_t)(end - lines->text);
    memcpy(line, lines->text, size);
    line[size] = 0;
    lines->used -= size + 1;
    memmove(lines->text, end + 1, lines->used);
    return true;
}

static bool fill(fw_fleet_lines *lines, int timeout_ms) {
    struct pollfd wait = {.fd = lines->in_fd, .events = POLLIN};
    int ready = poll(&wait, 1, timeout_ms);
    if (ready <= 0) return false;
    ssize_t got = read(lines->in_fd, lines->text + lines->used, sizeof lines->text - lines->used);
    if (got < 0 && errno == EINTR) return false;
    if (got <= 0) {
        lines->ended = true;
        return false;
    }
    lines->used += (size_t)got;
    return true;
}

static void refuse(fw_fleet_lines *lines, const char *why) {
    fw_fleet_lines_say(lines, json_pack("{s:s, s:s}", "event", "error", "error", why));
}

fw_fleet_command fw_fleet_lines_next(fw_fleet_lines *lines, int timeout_ms) {
    char line[FW_FLEET_LINE_MAX];
    do {
        while (take_line(lines, line)) {
            fw_fleet_command command;
            fw_error why;
            if (lines->skipping) {
                lines->skipping = false;
                refuse(lines, "a command is at most 255 bytes");
            } else if (fw_fleet_command_parse(line, &command, &why) == FW_OK) {
                return command;
            } else {
                refuse(lines, why.text);
            }
        }
    } while (!lines->ended && fill(lines, timeout_ms));
    return (fw_fleet_command){.word = lines->ended ? FW_FLEET_QUIT : FW_FLEET_NOTHING};
}
