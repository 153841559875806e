/* campaigns.h - what units are asked to capture: kept, handed to units, ended (campaign.h says what
 * a campaign is).
 *
 *   POST --> open --+-- ended by a person
 *                   +-- expired               wall clock
 *                   +-- its budget is spent   captures or bytes that all units together uploaded
 *
 *   a unit's list: the open ones that are for it, by priority, at most FW_CAMPAIGNS_MAX; its version is
 *   a hash of it, told with every report, so that a unit asks for the list only when it changed.
 *
 * A budget is the whole fleet's; each unit also keeps to it alone, so that between the spending and
 * the news of it no unit exceeds it. Captures and bytes are counted from the recordings that carry
 * the campaign's name, so they are what has arrived. What the disk cap took since still counts.
 *
 * Invariants: (1) an id is used once, for ever: recordings are named by it; (2) ended stays ended;
 * (3) reports cost no query: the open ones are in memory and are looked at again once a second.
 */
#ifndef FW_FACTORY_CAMPAIGNS_H
#define FW_FACTORY_CAMPAIGNS_H

#include <jansson.h>
#include <pthread.h>

#include "base/env.h"
#include "factory/catalogue/catalogue.h"
#include "factory/line.h"

enum {
    FW_CAMPAIGNS_OPEN_MAX = 64, /* in the factory at once */
    FW_CAMPAIGNS_VERSION_MAX = 17,
    FW_CAMPAIGNS_LIST_MAX = 1000 /* of GET /v1/campaigns */
};

/* One that is open. */
typedef struct fw_campaigns_open {
    char id[FW_CAMPAIGN_ID_MAX];
    char *text;   /* its JSON, owned */
    json_t *json; /* the same, owned */
} fw_campaigns_open;

typedef struct fw_campaigns_items {
    uint32_t count;
    fw_campaigns_open list[FW_CAMPAIGNS_OPEN_MAX]; /* (count), by priority, then the older first */
} fw_campaigns_items;

typedef struct fw_campaigns {
    const fw_env *env;
    fw_catalogue *catalogue;
    const fw_factory_line *line;
    pthread_mutex_t lock; /* guards the rest; taken before the catalogue's */
    fw_campaigns_items open;
    bool stale;
    int64_t looked_ns; /* monotonic */
} fw_campaigns;

void fw_campaigns_open_station(fw_campaigns *campaigns, const fw_env *env, fw_catalogue *catalogue,
                               const fw_factory_line *line);
void fw_campaigns_close(fw_campaigns *campaigns);

/* Is this a campaign that could be launched now? FW_INVALID with the reason, FW_UNSUPPORTED: a line
 * without campaigns. */
fw_status fw_campaigns_check(fw_campaigns *campaigns, const char *json, size_t size_bytes,
                             fw_campaign *out, fw_error *error) FW_MUST;
/* Launches. FW_INVALID with the reason, FW_EXISTS, FW_BUSY: too many are open, FW_UNSUPPORTED: a
 * line without campaigns. id: what it is called. */
fw_status fw_campaigns_add(fw_campaigns *campaigns, const char *json, size_t size_bytes,
                           char id[FW_CAMPAIGN_ID_MAX], fw_error *error) FW_MUST;
/* Ends it, by a person; one that has ended stays as it is. FW_NOT_FOUND. */
fw_status fw_campaigns_end(fw_campaigns *campaigns, const char *id, fw_error *error) FW_MUST;
/* JSON array, newest first; an object. Malloc'd. */
fw_status fw_campaigns_json(fw_campaigns *campaigns, char **json, fw_error *error) FW_MUST;
fw_status fw_campaigns_json_of(fw_campaigns *campaigns, const char *id, char **json,
                               fw_error *error) FW_MUST;
/* What a unit is to know: {"version","campaigns"}, malloc'd; and the version alone. */
fw_status fw_campaigns_unit_json(fw_campaigns *campaigns, const char *unit, char **json,
                                 fw_error *error) FW_MUST;
void fw_campaigns_version(fw_campaigns *campaigns, const char *unit,
                          char out[FW_CAMPAIGNS_VERSION_MAX]);

#endif
