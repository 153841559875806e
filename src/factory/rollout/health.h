/* health.h - what a unit says of how it fares: counts since its active model became active.
 *
 *   report: "health":{"model":hash,"ticks":n,"distance_m":x,"events":n,"vetoes":n,"late_ticks":n,"crashes":n,
 *                     "fallbacks":n,"shadow_ticks":n,"shadow_disagreements":n}
 *
 * Counts only grow while the model stays; a unit that starts again may begin at zero. Who wants a window of time
 * takes differences (fw_health_since), so that neither the past of a unit nor its restart is counted twice.
 */
#ifndef FW_FACTORY_HEALTH_H
#define FW_FACTORY_HEALTH_H

#include <jansson.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/status.h"

#define FW_HEALTH_COUNTS(X)                                                                        \
    X(ticks) X(events) X(vetoes) X(late_ticks) X(crashes) X(fallbacks) X(shadow_ticks)             \
    X(shadow_disagreements)

typedef struct fw_health {
    fw_hash model; /* what these counts are of; empty: the unit said nothing */
#define X(name) uint64_t name;
    FW_HEALTH_COUNTS(X)
#undef X
    double distance_m;
} fw_health;

/* `json` NULL: an empty one. FW_INVALID with the field that is no count. */
fw_status fw_health_parse(const json_t *json, fw_health *out, fw_error *error) FW_MUST;
json_t *fw_health_json(const fw_health *health);
/* Adds what `now` counts beyond `before` (of another model, or smaller: all of it) to *sum. */
void fw_health_since(const fw_health *before, const fw_health *now, fw_health *sum);

#endif
