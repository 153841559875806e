/* line.h - what the stations ask of a production line: the checks at the door, and what campaigns
 * may ask of its recordings.
 *
 * Training and gating run in jobs (job.h); the stations themselves only need to know whether a
 * file is what it says. Tests put a line of their own here.
 */
#ifndef FW_FACTORY_LINE_H
#define FW_FACTORY_LINE_H

#include <jansson.h>
#include <stdint.h>

#include "base/status.h"
#include "campaign/campaign.h"

enum { FW_LINE_KIND_MAX = 16 };

/* One tick of a replay; false ends it. signals: (count) as a unit's tick had them. */
typedef bool (*fw_line_tick)(void *self, const double *signals, int64_t time_ns);

/* An event in a recording (path), as the recording has it. */
typedef struct fw_line_moment {
    const char *recording, *kind;
    int64_t time_ns;
} fw_line_moment;

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
    /* The moment of an event driven again, closed loop, by two models (paths): what came of it, in whole numbers alone,
     * with "drives": [{"passed":bool, ...} of each]; pictures NULL: not wanted. NULL: this line cannot.
     * FW_INVALID: nothing to drive there. */
    fw_status (*drive_again)(const fw_line_moment *moment, const char *const models[2], json_t **proof,
                             json_t **pictures, fw_error *error);
    /* What a unit asks the model before it drives (act/self_test.h), malloc'd JSON text; NULL: this line has none. */
    fw_status (*self_test)(const char *model_path, uint64_t seed, char **json, fw_error *error);
} fw_factory_line;

extern const fw_factory_line fw_line_driving;

#endif
