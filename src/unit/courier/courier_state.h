/* courier_state.h - what the courier's files share. */
#ifndef FW_UNIT_COURIER_STATE_H
#define FW_UNIT_COURIER_STATE_H

#include <jansson.h>

#include "base/random.h"
#include "unit/courier/campaigns.h"
#include "unit/courier/courier.h"
#include "trust/uptane.h"
#include "unit/courier/records.h"
#include "unit/courier/updater.h"

/* When something may be tried again, and how long the next failure will wait. */
typedef struct fw_unit_backoff {
    int64_t not_before_ns;
    uint32_t wait_ms;
    bool failing;
    int retry_after_s; /* the last answer's */
} fw_unit_backoff;

struct fw_unit_courier {
    fw_unit_courier_config config;
    fw_unit_shared *shared;
    fw_unit_spool *spool;
    fw_http_client client, upload_client;
    fw_unit_updater updater;
    fw_unit_campaign_list campaigns;
    fw_unit_records records;
    fw_random random, upload_random; /* spread the fleet's retries */
    fw_unit_backoff reports, fetches, shadowings, tellings, campaign_fetches, sendings, uploads;
    int64_t started_ns, report_due_ns, health_due_ns;
    uint64_t reported_state; /* what the last report said, mixed into one number */
    fw_hash target, shadow_wanted; /* what the factory hints at */
    fw_private_key *key;           /* this unit's (identity.h) */
    bool key_told;
    char nonce[33]; /* of the factory's last answer */
    char attack[160];  /* signed metadata that did not agree, not told yet; "": none */
    bool attack_sent;  /* the report on its way says it */
    int64_t choose_due_ns; /* look at the metadata again, whatever is hinted */
    struct fw_unit_trusted *trusted; /* NULL: no root, or the caller chooses */
    bool no_roots;                   /* the owner brought none: that is said once */
    char campaigns_wanted[FW_UNIT_VERSION_MAX]; /* the version of the last report's answer */
    /* the uploader's, as uploads above, upload_client and upload_random */
    bool ask_offset;      /* an upload failed: ask before sending again */
    int64_t rate_free_ns; /* the rate's budget is used up until then */
};

int64_t fw_unit_now_ns(const fw_unit_courier *courier);
bool fw_unit_may_try(const fw_unit_courier *courier, const fw_unit_backoff *backoff);
void fw_unit_succeeded(fw_unit_courier *courier, fw_unit_backoff *backoff, const char *what);
/* Logs the first failure of a row, and waits longer after each. */
void fw_unit_failed(fw_unit_courier *courier, fw_unit_backoff *backoff, const char *what,
                    int retry_after_s, const char *why);
/* A call with the courier's bounds; the reply is cleared by fw_unit_clear_reply. */
fw_status fw_unit_call(fw_unit_courier *courier, fw_http_call *call, fw_http_reply *reply,
                       fw_error *error) FW_MUST;
fw_status fw_unit_upload_call(fw_unit_courier *courier, fw_http_call *call, fw_http_reply *reply,
                              fw_error *error) FW_MUST;
void fw_unit_clear_reply(fw_http_reply *reply);
/* NULL when the body is no JSON. */
json_t *fw_unit_reply_json(const fw_http_reply *reply);
/* The factory's own words, one line. */
void fw_unit_reason_of(const fw_http_reply *reply, char *out, size_t out_size);

/* The factory itself says that it will never take this content: 400, 413 or 422, and why as JSON.
 * Without that they are the words of something between (a proxy's limit, the wrong port). */
bool fw_unit_condemns(const fw_http_reply *reply);

/* ---- upload.c ---- */

bool fw_unit_is_quiet(const fw_unit_courier *courier);
/* At most one recording. */
void fw_unit_upload(fw_unit_courier *courier);
/* When another makes sense; INT64_MAX: nothing waits. */
int64_t fw_unit_upload_due_ns(fw_unit_courier *courier);

#endif
