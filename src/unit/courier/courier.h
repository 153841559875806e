/* courier.h - the process that carries: recordings to the factory, models to the tick.
 *
 *   main thread   ring --> spool (never waits on the network)
 *   net thread    report --> target --> fetch, check, persist, stage;  spool --> upload
 *
 *   upload of one recording:
 *     PUT --2xx, receipt matches--> removed        PUT --409 or cut--> HEAD, PUT from Upload-Offset
 *         --429, 5xx, no answer, wrong receipt--> again later        --other 4xx--> refused/
 *
 * Waits between failures grow from 0.25 s to 5 s, one each for reports, models and uploads; a
 * Retry-After is kept to. Invariants: (1) a recording leaves the disk only for a receipt with its
 * hash and size; (2) a model is staged only after its SHA-256 was checked, its file is durable in
 * DIR/models and it was parsed; (3) heap in use stays under FW_UNIT_COURIER_HEAP_MAX beside libcurl's
 * own: spool 1.4 MiB, one model file, one reply, a record of one recording at a time.
 */
#ifndef FW_UNIT_COURIER_H
#define FW_UNIT_COURIER_H

#include "http/client.h"
#include "unit/courier/spool.h"

enum {
    FW_UNIT_COURIER_HEAP_MAX = 16 << 20,
    FW_UNIT_MODEL_FILE_MAX = 4 << 20,
    FW_UNIT_REPORT_MS = 500,
};

/* Parses a model file into the pointer-free form the tick takes from its slot. */
typedef fw_status (*fw_unit_model_load)(const void *file, size_t file_bytes, void *out,
                                        size_t out_max_bytes, size_t *out_bytes, fw_error *error);

typedef struct fw_unit_courier_config {
    const fw_env *env;
    uint32_t unit;
    const char *factory;     /* "http://127.0.0.1:8080", no slash at its end */
    const char *data_folder; /* DIR */
    fw_unit_model_load load;
    uint32_t upload_timeout_ms, call_timeout_ms; /* 0: 60000, 10000 */
} fw_unit_courier_config;

typedef struct fw_unit_courier fw_unit_courier;

/* Makes DIR/models and stages the model that drove last, if its file is whole. The client and the
 * spool stay the caller's. */
fw_status fw_unit_courier_open(const fw_unit_courier_config *config, fw_unit_shared *shared,
                               fw_unit_spool *spool, const fw_http_client *client,
                               fw_unit_courier **out, fw_error *error) FW_MUST;
void fw_unit_courier_close(fw_unit_courier *courier);

/* One round: a report if due, the model it asks for, at most one upload. Returns the milliseconds
 * after which another round makes sense (0: at once). */
int fw_unit_courier_step(fw_unit_courier *courier);

/* Runs the whole process until shared->stop and shared->tick_gone: everything in the ring is on disk
 * when it returns. */
fw_status fw_unit_courier_run(const fw_unit_courier_config *config,
                              const fw_unit_spool_config *spool_config, fw_unit_shared *shared,
                              fw_error *error) FW_MUST;

#endif
