/* retention.h - which recordings' bytes are given up with time, by a policy of the factory's people.
 *
 *   flywheel retention set --keep-days 30 --keep-events-days 365 --cap-bytes 500000000000
 *   every FW_RETENTION_EVERY_S, serve: recordings older than allowed --> 'expired', at most
 *   FW_RETENTION_STEP at once, with one line in the log of decisions that says what went
 *
 * Age counts from receipt. keep_days is for recordings without events, keep_events_days for those with;
 * 0 keeps for ever. cap_bytes is for recordings alone: over it the oldest without events go, then the
 * oldest with; the disk cap of serve (ingest.h) holds beside it. drop_duplicates gives up near-duplicates
 * (duplicates.h) as soon as their original is kept.
 *
 * Invariants: (1) nothing goes that a generation in work may read, or that the newest data set holds
 * out; (2) rows stay: what expired can still be asked for, and its receipt stays the same.
 */
#ifndef FW_FACTORY_RETENTION_H
#define FW_FACTORY_RETENTION_H

#include "factory/catalogue/catalogue.h"
#include "factory/ingest/objects.h"

enum { FW_RETENTION_EVERY_S = 60, FW_RETENTION_STEP = 1000, FW_RETENTION_DAYS_MAX = 36500 };

typedef struct fw_retention {
    int64_t keep_days, keep_events_days, cap_bytes; /* 0: no limit */
    bool drop_duplicates;
} fw_retention;

fw_status fw_retention_get(sqlite3 *db, fw_retention *out, fw_error *error) FW_MUST;
/* {"keep_days","keep_events_days","cap_bytes","drop_duplicates"} of the policy; malloc'd. */
fw_status fw_retention_json(fw_catalogue *catalogue, char **json, fw_error *error) FW_MUST;
/* Takes the fields that the JSON names; the others stay. FW_INVALID names the field. */
fw_status fw_retention_set(fw_catalogue *catalogue, const fw_env *env, const char *body,
                           size_t body_bytes, fw_error *error) FW_MUST;
/* Gives up what is due; *count recordings. */
fw_status fw_retention_apply(fw_catalogue *catalogue, const fw_objects *objects, const fw_env *env,
                             int64_t *count, fw_error *error) FW_MUST;
/* At the start: files of recordings that had just expired when the factory ended. */
fw_status fw_retention_finish(fw_catalogue *catalogue, const fw_objects *objects,
                              fw_error *error) FW_MUST;

#endif
