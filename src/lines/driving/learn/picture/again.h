/* again.h - the moment of an event, driven again by other models: what a receipt proves.
 *
 *   recording ----------[start]------[event]------[end]-------   reactive traffic, the guard on, a fixed seed
 *                          |<- 5 s ->|<- 5 s ->|
 *                       model A drives from start to end, then model B, each closed loop
 *
 * A drive passes when it does not fail (trace.h), the event's own kind does not begin in it, and the car does not
 * stand still instead: it goes at least FW_AGAIN_MOVES of the metres that the rule IDM drives in the same moment (who
 * waits at a red light or lets others through is not asked for more than the rule). "uncertain" is a unit's feeling and
 * not looked for: such a drive passes when it does not fail.
 *
 * Invariant: the proof depends on the recording, the event and the two models alone, and has no numbers but whole
 * ones, so that anybody who has the three files gets the same bytes (on a CPU of the same class, nn.md).
 */
#ifndef FW_LINES_DRIVING_AGAIN_H
#define FW_LINES_DRIVING_AGAIN_H

#include <jansson.h>

#include "base/status.h"

enum { FW_AGAIN_BEFORE_TICKS = 50, FW_AGAIN_AFTER_TICKS = 50, FW_AGAIN_SEED = 17, FW_AGAIN_MODELS = 2 };
#define FW_AGAIN_MOVES 0.3

typedef struct fw_again {
    const char *recording;               /* path */
    const char *models[FW_AGAIN_MODELS]; /* paths: the one that drove then, the one that shall pass */
    int64_t time_ns;                     /* of the event, as the recording has it */
    const char *kind;                    /* "hard_brake" ... */
} fw_again;

/* *proof: {"scenario","first_tick","event_tick","ticks_max","seed","traffic","guard","cpu_class","recorded_mm","rule_mm",
 * "drives":[{"model","end","failed","red_light","stuck","again","moves","passed","ticks","distance_mm","hard_brakes",
 * "low_ttc_ticks","vetoes"}, ...]}; *pictures (NULL: not wanted): docs/formats/replay.md, one replay. Both are the
 * caller's. FW_INVALID: nothing to drive there. */
fw_status fw_again_drive(const fw_again *what, json_t **proof, json_t **pictures, fw_error *error) FW_MUST;

#endif
