/* ingest.h - the door: uploads by hash, resumable, repeatable, acked only when durable.
 *
 *   PUT headers --> fw_ingest_open --> fw_ingest_write ... --> fw_ingest_finish --> receipt
 *                        |                  |                       |
 *                  refuse at once     part file + SHA-256     hash, content (scan.h), fdatasync,
 *                  (limits, disk)     (Content-Range resume)  rename, fsync folder, catalogue
 * commit
 *
 * Answers: 201 receipt; 200 the same receipt again; 202 part taken, Upload-Offset says how much;
 * 400 malformed request; 409 another upload of the same hash runs, or the offset does not fit
 * (Upload-Offset says what does); 413 over the limit; 422 wrong hash or content, with the reason;
 * 507 disk full or over the cap, with Retry-After.
 *
 * Invariants: (1) a receipt is sent only after object, folder and catalogue are durable; (2) what
 * was refused is never in the catalogue; (3) the same hash gives the same receipt, always (an expired one says so); (4) one
 * upload of a hash at a time; (5) on a full disk nothing acked is touched.
 *
 * Disk cap: for what is kept of the objects, the catalogue's pages, parts left behind, and what each
 * open upload announced (or may have at most), together. Over it are expired (bytes go, the row
 * stays, state 'expired'): the oldest held-out recordings older than all that the newest data set
 * holds out, then the oldest recordings without events, then the oldest with. Never those of a
 * generation that is in work, never models and manifests. Of what was expired, HEAD and GET say 410
 * and a PUT answers the old receipt with "expired": true, taking nothing.
 */
#ifndef FW_FACTORY_INGEST_H
#define FW_FACTORY_INGEST_H

#include <pthread.h>

#include "factory/catalogue.h"
#include "factory/line.h"
#include "factory/objects.h"
#include "http/server.h"

typedef struct fw_upload fw_upload;

typedef struct fw_ingest {
    const fw_env *env;
    fw_catalogue *catalogue;
    const fw_objects *objects;
    const fw_factory_line *line;
    uint64_t upload_max_bytes, disk_cap_bytes;
    pthread_mutex_t lock;      /* guards active and idle_parts */
    pthread_mutex_t scan_lock; /* one content check at a time: bounds memory */
    fw_upload *active;
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

bool fw_unit_name_valid(const char *unit);

#endif
