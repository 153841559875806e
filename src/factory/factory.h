/* factory.h - the factory as one object: stations put together around a data folder.
 *
 *   DIR/lock               one serve per folder (flock)
 *   DIR/catalogue.sqlite   what is known (catalogue.h)
 *   DIR/objects/           bytes by hash (objects.h)
 *   DIR/records/           small records (records.h)
 *   DIR/trust/             keys, the image repository, the director (trust.h)
 *   DIR/identity/          the factory's authority and the server's certificate (identity.h)
 *   DIR/jobs/              jobs' files; may be deleted while serve is stopped
 *
 *   fw_factory_app    what the HTTP server calls, from its threads (api.c)
 *   fw_factory_tick   what serve calls from its main thread
 */
#ifndef FW_FACTORY_FACTORY_H
#define FW_FACTORY_FACTORY_H

#include "factory/campaigns/campaigns.h"
#include "factory/generations/generations.h"
#include "factory/identity/identity.h"
#include "factory/ingest/ingest.h"
#include "factory/metrics.h"
#include "factory/records/records.h"
#include "factory/registry/registry.h"
#include "factory/trust/trust.h"
#include "factory/rollout/rollout.h"
#include "http/server.h"

#define FW_FACTORY_UPLOAD_MAX_BYTES (64ull << 20)
#define FW_FACTORY_DISK_CAP_BYTES (4ull << 30)
enum {
    FW_FACTORY_BODY_MAX_BYTES = 1 << 20,
    FW_FACTORY_PART_AGE_S = 3600,
    FW_FACTORY_SWEEP_S = 600
};

typedef struct fw_factory_config {
    const char *data_folder, *program; /* outlive the factory */
    const fw_env *env;
    const fw_factory_line *line;
    const fw_launcher *launcher;
    uint64_t disk_cap_bytes, upload_max_bytes; /* 0: the defaults above */
    unsigned threads;                          /* of a job */
    bool confined;                             /* told in the status */
} fw_factory_config;

typedef struct fw_factory {
    fw_factory_config config;
    int lock_fd;
    int64_t started_ns, swept_ns; /* monotonic; swept_ns is the ticking thread's */
    int64_t retained_ns;          /* when the retention policy was last applied; as swept_ns */
    fw_catalogue *catalogue;
    fw_identity *identity;
    fw_trust *trust;
    fw_objects objects;
    fw_ledger ledger;
    fw_units units;
    fw_ingest ingest;
    fw_records *records;
    fw_metrics metrics;
    atomic_uint_fast64_t bodies_bytes; /* batches of records coming in (api_records.c) */
    atomic_uint slices_open;           /* being written (api_query.c) */
    fw_campaigns campaigns;
    fw_registry registry;
    fw_rollouts *rollouts;
    fw_generations generations;
} fw_factory;

/* Opens or makes the data folder. FW_BUSY: another serve has it. The caller closes it, after the
 * HTTP server has stopped. */
fw_status fw_factory_open(const fw_factory_config *config, fw_factory **out,
                          fw_error *error) FW_MUST;
void fw_factory_close(fw_factory *factory);
/* Takes DIR/lock; closing *fd lets go. FW_BUSY: a serve has the folder. */
fw_status fw_factory_lock(const char *data_folder, int *fd, fw_error *error) FW_MUST;
fw_status fw_factory_tick(fw_factory *factory, fw_error *error) FW_MUST;
fw_http_app fw_factory_app(fw_factory *factory);
/* GET /v1/status; malloc'd, NULL when the catalogue fails. */
char *fw_factory_status_json(fw_factory *factory);
/* GET /v1/live. */
void fw_factory_live(fw_factory *factory, fw_http_response *response);

#endif
