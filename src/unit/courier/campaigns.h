/* campaigns.h - the factory's list of campaigns on the unit: file, compiled set, the tick's slot.
 *
 *   report's answer: another version --> GET /v1/units/{id}/campaigns --> parsed, compiled
 *                     --> DIR/campaigns.json (durable) --> slot (shared.h) --> tick
 *
 * A unit that starts without a network goes on with the file. A campaign that does not compile here
 * is left out with a log line; the others stay.
 */
#ifndef FW_UNIT_CAMPAIGNS_H
#define FW_UNIT_CAMPAIGNS_H

#include "unit/courier/courier.h"

enum { FW_UNIT_CAMPAIGNS_JSON_MAX = FW_CAMPAIGNS_MAX * FW_CAMPAIGN_JSON_MAX + 4096 };

typedef struct fw_unit_campaign_list {
    const fw_env *env;
    fw_unit_shared *shared;
    const fw_campaign_signals *signals; /* NULL: none are taken */
    char path[FW_PATH_MAX];
    uint32_t unit;
    char version[FW_UNIT_VERSION_MAX]; /* of what is staged; empty: none yet */
} fw_unit_campaign_list;

/* Stages what the file holds, unless a courier before this one did. */
void fw_unit_campaigns_open(fw_unit_campaign_list *list, const fw_unit_courier_config *config,
                            fw_unit_shared *shared);
/* Takes the factory's answer as version `version`: checks, keeps and stages it. FW_INVALID: it is no
 * list of campaigns, the one before stays. */
fw_status fw_unit_campaigns_take(fw_unit_campaign_list *list, const char *version,
                                 const char *json, size_t size_bytes, fw_error *error) FW_MUST;

#endif
