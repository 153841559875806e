/* line.h - what the stations ask of a production line: the checks at the door, and what campaigns
 * may ask of its recordings.
 *
 * Training and gating run in jobs (job.h); the stations themselves only need to know whether a
 * file is what it says. Tests put a line of their own here.
 */
#ifndef FW_FACTORY_LINE_H
#define FW_FACTORY_LINE_H

#include <stdint.h>

#include "base/status.h"
#include "campaign/campaign.h"

enum { FW_LINE_KIND_MAX = 16 };

/* One tick of a replay; false ends it. signals: (count) as a unit's tick had them. */
typedef bool (*fw_line_tick)(void *self, const double *signals, int64_t time_ns);

typedef struct fw_factory_line {
    const char *name; /* "driving" */
    /* The recording can be read back whole; FW_CORRUPT with the reason otherwise. */
    fw_status (*check_recording)(const char *path, fw_error *error);
    /* The model file loads; its kind ("constant", "idm", "network") into kind. */
    fw_status (*check_model)(const char *path, char kind[FW_LINE_KIND_MAX], fw_error *error);
    /* What the conditions of campaigns may name; NULL: this line knows no campaigns. */
    const fw_campaign_signals *signals;
    /* A recording's ticks again, in order. */
    fw_status (*replay)(const char *path, fw_line_tick tick, void *self, fw_error *error);
} fw_factory_line;

extern const fw_factory_line fw_line_driving;

#endif
