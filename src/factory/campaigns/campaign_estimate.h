/* campaign_estimate.h - what a campaign would cost, before it is launched: its condition runs over
 * the newest recordings that the factory has, as it would have run on the unit.
 *
 *   recording  |-------------------------------------------|     bytes / s of this recording
 *   triggers        ^ ^^              ^
 *   windows     [before + after )  [         )                    one while it is open
 *
 *   bytes per unit and hour = sum of (window s x bytes / s) x sample / hours looked at
 *
 * As on the unit, a trigger in an open window moves its end, up to FW_ESTIMATE_WINDOW_MAX_S in all, and
 * one after its end opens the next, whose seconds before may be in both. Captures themselves are not looked at: they are chosen by their triggers. Windows are cut at the
 * ends of a recording, which makes the estimate a little low. The units it is for are those heard of
 * in the last 60 s. Bounded: FW_ESTIMATE_RECORDINGS_MAX recordings, FW_ESTIMATE_TIME_MAX_MS; one
 * estimate at a time.
 */
#ifndef FW_FACTORY_CAMPAIGN_ESTIMATE_H
#define FW_FACTORY_CAMPAIGN_ESTIMATE_H

#include "factory/campaigns/campaigns.h"
#include "factory/ingest/objects.h"
#include "factory/units.h"

enum { FW_ESTIMATE_RECORDINGS_MAX = 50, FW_ESTIMATE_TIME_MAX_MS = 4000, FW_ESTIMATE_WINDOW_MAX_S = 120 };

/* JSON object (docs/formats/http.md), malloc'd. FW_INVALID as fw_campaigns_add; FW_BUSY: another
 * estimate is under way. */
fw_status fw_campaign_estimate(fw_campaigns *campaigns, fw_units *units, const fw_objects *objects,
                               const char *json, size_t size_bytes, char **out,
                               fw_error *error) FW_MUST;

#endif
