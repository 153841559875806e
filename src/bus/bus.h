/* bus.h - the socket between a unit and its world or vehicle: one message each way per tick.
 *
 * A Unix stream socket, the world listens, each unit connects. Frames, little endian:
 *
 *     u32 magic "FWB1" | u32 kind | u32 unit | u32 tick | u32 size_bytes | payload
 *
 *     unit  -> world   HELLO   payload: name of the line ("driving"), then the unit waits
 *     world -> unit    OBSERVE payload: the line's observation (lines/driving/act/drive.h)
 *     unit  -> world   ACT     payload: fw_bus_act, then the line's action
 *     world -> unit    END     payload: none; this drive is over, close its recording (no reason
 *                              is given: truth stays with the world). Answered by ACT with no action.
 *     world -> unit    FLUSH   payload: none; close the recording now, the drive goes on (a data
 *                              set closes at this tick). Answered by ACT with no action.
 *
 * fw_bus_act on the wire is its fields in order, little endian, the model as 64 hex digits (or 64
 * zero bytes: no model) and 8 zero bytes: FW_BUS_ACT_BYTES, the layout it has in memory on a little
 * endian machine. fw_bus_act_encode and _decode are the pair. Page: docs/formats/bus.md.
 *
 * Invariants: (1) one frame is in flight per unit; (2) size_bytes <= FW_BUS_PAYLOAD_MAX;
 * (3) a peer that breaks the form is cut off with a reason, never waited for;
 * (4) nothing is allocated after fw_bus_* setup returns.
 */
#ifndef FW_BUS_H
#define FW_BUS_H

#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/status.h"

enum {
    FW_BUS_PAYLOAD_MAX = 16384,
    FW_BUS_HEAD_BYTES = 20,
    FW_BUS_ACT_BYTES = 96,
    FW_BUS_FRAME_TIMEOUT_MS = 10000, /* a frame that has begun must be whole within it */
};

typedef enum fw_bus_kind {
    FW_BUS_HELLO = 1,
    FW_BUS_OBSERVE,
    FW_BUS_ACT,
    FW_BUS_END,
    FW_BUS_FLUSH,
} fw_bus_kind;

typedef struct fw_bus_head {
    uint32_t magic, kind, unit, tick, size_bytes;
} fw_bus_head;

/* The unit's own report, carried with every ACT. */
typedef struct fw_bus_act {
    uint32_t recordings;   /* closed by this unit since it started */
    uint32_t vetoed;       /* 1: the guard replaced the policy's action this tick */
    uint32_t acted;        /* 1: the line's action follows */
    uint32_t decide_ns;    /* time of policy + guard */
    uint64_t lost_bytes;   /* recorder bytes dropped since start, with the spool full */
    fw_hash model;         /* hash of the model that decided */
} fw_bus_act;

/* The report as bytes, FW_BUS_ACT_BYTES of them. decode takes the first bytes of a payload and
 * refuses flags other than 0 and 1 and a model that is no hash: FW_CORRUPT. */
void fw_bus_act_encode(const fw_bus_act *act, void *out);
fw_status fw_bus_act_decode(const void *bytes, size_t size_bytes, fw_bus_act *out,
                            fw_error *error) FW_MUST;

/* World side: listens at path (an old socket file is replaced). */
fw_status fw_bus_listen(const char *path, int *fd, fw_error *error) FW_MUST;
/* Waits at most timeout_ms for one unit and its HELLO (checked against line). */
fw_status fw_bus_accept(int listener, const char *line, int timeout_ms, int *fd, uint32_t *unit,
                        fw_error *error) FW_MUST;
/* Unit side: connects and says HELLO; retries until timeout_ms. */
fw_status fw_bus_connect(const char *path, uint32_t unit, const char *line, int timeout_ms, int *fd,
                         fw_error *error) FW_MUST;
/* Sends one whole frame. FW_CLOSED when the peer is gone (never SIGPIPE), FW_TIMEOUT when it takes
 * nothing for FW_BUS_FRAME_TIMEOUT_MS. */
fw_status fw_bus_send(int fd, fw_bus_kind kind, uint32_t unit, uint32_t tick, const void *payload,
                      size_t size_bytes, fw_error *error) FW_MUST;
/* Receives one whole frame into payload (FW_BUS_PAYLOAD_MAX bytes); timeout_ms < 0 waits for
 * ever. FW_TIMEOUT (nothing has arrived: call again), FW_CLOSED (the peer left between two frames),
 * FW_CORRUPT (broken form, or a frame that stopped in the middle: cut the peer off). */
fw_status fw_bus_receive(int fd, fw_bus_head *head, void *payload, int timeout_ms,
                         fw_error *error) FW_MUST;

#endif
