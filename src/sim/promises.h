/* promises.h - what was promised in a simulation, and whether it is kept (sim.h).
 *
 * The link tells of every answer that the factory gave, whether it reached anybody or not; units tell of
 * what they recorded. This remembers both beside the product, in the plainest form there is.
 */
#ifndef FW_SIM_PROMISES_H
#define FW_SIM_PROMISES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"

struct fw_sim_world;

/* A recording, known by what a unit made or by a receipt. */
typedef struct fw_sim_recording {
    fw_hash hash;
    uint32_t unit;
    uint64_t size_bytes;
    bool whole;    /* the unit's spool has it, named and durable */
    bool received; /* the factory gave a receipt */
    bool excused;  /* its loss is counted by the unit, or a power cut came before it was whole */
    int64_t sequence, received_ns; /* of the receipt */
} fw_sim_recording;

/* One stream of records. */
typedef struct fw_sim_stream {
    char name[100]; /* "unit boot stream" */
    uint64_t next;  /* acknowledged so far */
    uint64_t *lines; /* (next) a hash of each */
    uint64_t room;
} fw_sim_stream;

typedef struct fw_sim_promises {
    fw_sim_recording *recordings; /* open addressing, (room) a power of two */
    size_t count, room;
    fw_sim_stream *streams;
    size_t stream_count, stream_room;
    uint64_t records;
} fw_sim_promises;

void fw_sim_promises_free(fw_sim_promises *promises);
/* Found or added. */
fw_sim_recording *fw_sim_recording_of(fw_sim_promises *promises, const char *hash);

/* The first broken one is kept: which, whose, and how. */
void fw_sim_broken(struct fw_sim_world *world, const char *promise, const char *who, const char *format,
                   ...) __attribute__((format(printf, 4, 5)));

/* An answer of the factory to PUT, with a receipt. */
void fw_sim_promise_receipt(struct fw_sim_world *world, const char *hash, const char *answer,
                            size_t answer_bytes);
/* An answer to POST /v1/records: lines from `first` on were sent; all below `next` are the factory's. */
void fw_sim_promise_records(struct fw_sim_world *world, const char *unit, const char *boot,
                            const char *stream, uint64_t first, const char *body, size_t body_bytes,
                            uint64_t next);

/* Does the factory have what it gave receipts for? deep: the bytes too. */
void fw_sim_check_receipts(struct fw_sim_world *world, bool deep);
/* And the records. */
void fw_sim_check_records(struct fw_sim_world *world);
/* The factory is closed: catalogue and objects, compared by the product's own check. */
void fw_sim_check_equal(struct fw_sim_world *world, bool deep);
/* Everything that was whole is with the factory. */
void fw_sim_check_arrived(struct fw_sim_world *world);

#endif
