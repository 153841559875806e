/* line.h - what the stations ask of a production line: the checks at the door.
 *
 * Training and gating run in jobs (job.h); the stations themselves only need to know whether a
 * file is what it says. Tests put a line of their own here.
 */
#ifndef FW_FACTORY_LINE_H
#define FW_FACTORY_LINE_H

#include "base/status.h"

enum { FW_LINE_KIND_MAX = 16 };

typedef struct fw_factory_line {
    const char *name; /* "driving" */
    /* The recording can be read back whole; FW_CORRUPT with the reason otherwise. */
    fw_status (*check_recording)(const char *path, fw_error *error);
    /* The model file loads; its kind ("constant", "idm", "network") into kind. */
    fw_status (*check_model)(const char *path, char kind[FW_LINE_KIND_MAX], fw_error *error);
} fw_factory_line;

extern const fw_factory_line fw_line_driving;

#endif
