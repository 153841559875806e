/* courier.h - the process that carries: recordings and records to the factory, models and campaigns to
 * the tick.
 *
 *   main thread   ring --> spool (never waits on the network)
 *   net thread    report --> hints (report.h) --> models (updater.h), shadow, campaigns
 *                 health, versions --> records.h --> send
 *   uploader      spool --> upload (upload.c), however long one takes
 *
 *   upload of one recording, the most valuable first (spool.h):
 *     PUT --2xx, receipt matches--> removed            PUT --409 or cut--> HEAD, PUT from Upload-Offset
 *         --400, 410, 413, 422 and why--> refused/     --401, 403, 412, other 4xx--> kept, tried rarely
 *         --408, 429, 5xx, no answer, wrong receipt--> again later
 *
 * Waits between failures grow from 0.25 s to 5 s with jitter, one each for reports, models, campaigns,
 * records and uploads; a Retry-After is kept to. A recording that fails waits by itself too (0.25 to
 * 5 s; 5 to 300 s for 401, 403, 412 and the other 4xx), so that one bad recording does not hold up the
 * others. In quiet hours nothing leaves but reports and captures of priority >= 80.
 *
 * Invariants: (1) a recording leaves the disk only for a receipt with its hash and size, or by the
 * quota; (2) a model is staged only after signed metadata named it, its SHA-256 and self-test were checked and
 * its slot is durable (slots.h); without a trusted root none comes from the network; campaigns only after all of them were parsed or left out, and DIR/campaigns.json is
 * durable; (3) the process stays under FW_UNIT_COURIER_MEMORY_MAX of private memory, measured by
 * tests/unit/test_unit_program.c: spool 2.4 MiB, one model file, one reply, one batch of records, a
 * salvage of 4 MiB at its start.
 */
#ifndef FW_UNIT_COURIER_H
#define FW_UNIT_COURIER_H

#include "http/client.h"
#include "unit/courier/spool.h"
#include "unit/courier/updater.h"

enum {
    FW_UNIT_COURIER_MEMORY_MAX = 16 << 20,
    FW_UNIT_REPORT_MS = 500,
    FW_UNIT_HEALTH_MS = 10000,
    FW_UNIT_QUIET_PRIORITY = 80, /* captures of at least this leave in quiet hours */
};

#define FW_UNIT_HARDWARE "flywheel-unit"

typedef struct fw_unit_courier_config {
    const fw_env *env;
    uint32_t unit;
    const char *factory;     /* "http://127.0.0.1:8080", no slash at its end */
    const char *data_folder; /* DIR */
    fw_unit_model_load load;
    const fw_campaign_signals *signals; /* of the line; NULL: no campaigns */
    uint64_t upload_rate_bytes_per_s;   /* 0: no limit */
    uint32_t quiet_from_min, quiet_to_min; /* of the local day; equal: none */
    uint32_t upload_timeout_ms, call_timeout_ms, health_ms; /* 0: 60000, 10000, FW_UNIT_HEALTH_MS */
    const char *root_path;   /* the owner's bundle of first roots (trust/uptane.h); NULL: DIR/trust as it is */
    const char *hardware_id; /* NULL: FW_UNIT_HARDWARE */
    fw_unit_chooser chooser; /* in place of signed metadata: simulations and tests; choose NULL: none */
    const fw_http_client_options *http; /* for fw_unit_courier_run; may be NULL */
} fw_unit_courier_config;

typedef struct fw_unit_courier fw_unit_courier;

/* Stages the model that drove last, if its slot is whole. The client and the spool stay the caller's. */
fw_status fw_unit_courier_open(const fw_unit_courier_config *config, fw_unit_shared *shared,
                               fw_unit_spool *spool, const fw_http_client *client,
                               fw_unit_courier **out, fw_error *error) FW_MUST;
void fw_unit_courier_close(fw_unit_courier *courier);

/* Uploads go through a client of their own, which stays the caller's: then one thread may talk while
 * another uploads. */
void fw_unit_courier_upload_through(fw_unit_courier *courier, const fw_http_client *client);

/* One round of talk: a report if due, the model and the campaigns it asks for, a health record if due, at most
 * one batch of records. Returns the milliseconds after which another round makes sense (0: at once). */
int fw_unit_courier_talk(fw_unit_courier *courier);
/* At most one upload; returns the same. */
int fw_unit_courier_upload(fw_unit_courier *courier);
/* Both, in one thread. */
int fw_unit_courier_step(fw_unit_courier *courier);

/* Runs the whole process until shared->stop and shared->tick_gone: everything in the ring is on disk
 * when it returns. */
fw_status fw_unit_courier_run(const fw_unit_courier_config *config,
                              const fw_unit_spool_config *spool_config, fw_unit_shared *shared,
                              fw_error *error) FW_MUST;

#endif
