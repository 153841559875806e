/* ingest.h - the door: uploads by hash, resumable, repeatable, acked only when durable.
 *
 *   PUT headers --> fw_ingest_open --> fw_ingest_write ... --> fw_ingest_finish --> receipt
 *                        |                  |                       |
 *                  refuse at once     part file + SHA-256     hash, content (scan.h), fdatasync,
 *                  (limits, disk)     (Content-Range resume)  rename | fsync folder, catalogue commit
 *                                                                    | together with all that wait
 *
 * Answers: 201 receipt; 200 the same receipt again; 202 part taken, Upload-Offset says how much;
 * 400 malformed request; 409 another upload of the same hash runs, or the offset does not fit
 * (Upload-Offset says what does); 413 over the limit; 422 wrong hash or content, with the reason;
 * 429 uploads_max are open; 503 no memory; 507 disk full or over the cap; each of the last four but
 * 422 with Retry-After.
 *
 * Invariants: (1) a receipt is sent only after object, folder and catalogue are durable; (2) what
 * was refused is never in the catalogue; (3) the same hash gives the same receipt, always (an expired one says so); (4) one
 * upload of a hash at a time; (5) on a full disk nothing acked is touched; (6) every Upload-Offset of
 * a part is durable: the part was flushed before it was told; (7) a part that could not be flushed is
 * gone, and is sent again from 0.
 *
 * Disk cap: for what is kept of the objects, the catalogue's pages, the records store, parts left
 * behind, and what each open upload announced (or may have at most), together. Over it are expired (bytes go, the row
 * stays, state 'expired'): the oldest held-out recordings older than all that the newest data set
 * holds out, then the oldest recordings without events, then the oldest with. Never those of a
 * generation that is in work, never models and manifests. Of what was expired, HEAD and GET say 410
 * and a PUT answers the old receipt with "expired": true, taking nothing.
 */
#ifndef FW_FACTORY_INGEST_H
#define FW_FACTORY_INGEST_H

#include <pthread.h>

#include "factory/catalogue/catalogue.h"
#include "factory/ingest/group.h"
#include "factory/ingest/ledger.h"
#include "factory/line.h"
#include "factory/metrics.h"
#include "factory/ingest/objects.h"
#include "http/server.h"

enum { FW_INGEST_UPLOADS_MAX = 128, FW_INGEST_GROUP_MAX = 64 };

typedef struct fw_upload fw_upload;

typedef struct fw_ingest {
    const fw_env *env;
    fw_catalogue *catalogue;
    const fw_objects *objects;
    const fw_factory_line *line;
    uint64_t upload_max_bytes, disk_cap_bytes;
    unsigned uploads_max;      /* open at once; FW_INGEST_UPLOADS_MAX */
    fw_metrics *metrics;       /* set after init; NULL: nothing is counted */
    fw_ledger *ledger;         /* set after init; NULL: none is kept */
    /* Set after init; NULL: none. Bytes beside objects and catalogue that count under the cap. */
    uint64_t (*other_bytes)(void *self);
    void *other_self;
    fw_group group;            /* whole uploads on their way into the catalogue */
    pthread_mutex_t lock;      /* guards active, open_count and idle_parts */
    pthread_mutex_t scan_lock; /* one content check at a time: bounds memory */
    fw_upload *active;
    unsigned open_count;
    bool idle_parts_known; /* false: look at the folder */
    uint64_t idle_parts_bytes;
} fw_ingest;

void fw_ingest_init(fw_ingest *ingest, const fw_env *env, fw_catalogue *catalogue,
                    const fw_objects *objects, const fw_factory_line *line,
                    uint64_t upload_max_bytes, uint64_t disk_cap_bytes);
void fw_ingest_destroy(fw_ingest *ingest);

/* The three steps of a PUT (see fw_http_app). open gives NULL with response set when refused. */
fw_upload *fw_ingest_open(fw_ingest *ingest, const char *sha256, const fw_http_request *request,
                          fw_http_response *response);
bool fw_ingest_write(fw_ingest *ingest, fw_upload *upload, const void *bytes, size_t size_bytes);
void fw_ingest_finish(fw_ingest *ingest, fw_upload *upload, fw_http_response *response);
void fw_ingest_close(fw_ingest *ingest, fw_upload *upload);

/* HEAD and GET of an object. */
void fw_ingest_head(fw_ingest *ingest, const char *sha256, fw_http_response *response);
void fw_ingest_get(fw_ingest *ingest, const char *sha256, fw_http_response *response);

/* Expires recordings until `wanted_bytes` more fit under the cap. FW_NO_SPACE when nothing more may
 * go. */
fw_status fw_ingest_make_room(fw_ingest *ingest, uint64_t wanted_bytes, fw_error *error) FW_MUST;

/* What counts under the cap just now; 0 when the catalogue fails. */
uint64_t fw_ingest_used_bytes(fw_ingest *ingest);

bool fw_unit_name_valid(const char *unit);

#endif
