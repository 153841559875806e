/* tick.h - the process that drives: one observation in, one action out, and a recording beside it.
 *
 *   OBSERVE -> decode -> policy -> guard -> ACT -> recorder -> ring
 *                                            \-> campaigns -> captures (capture.h) -> ring
 *   END, FLUSH -> recording closed, captures written -> ACT without an action
 *
 * The model is watched while it is new (watch.h). When it fails, the next tick is driven by the last-known-good,
 * which lies ready (seat.h); when that fails too, by fixed rules that stop the car (safe.h). A candidate may
 * decide beside it without a say (shadow.h).
 *
 * States of the recording:
 *
 *   none --OBSERVE--> open --OBSERVE that goes on--> open
 *                      |--END, FLUSH, peer gone, stop, another drive--> none
 *                              two ticks or more, all in the ring: END piece, counted
 *                              fewer: DROP piece; cut by a full ring: counted in lost bytes
 *
 * Invariants: (1) after fw_unit_tick_open a tick allocates nothing, and neither disk nor network is
 * touched (tests/unit/test_tick_alloc.c); (2) the model changes only between two ticks, before the next
 * observation is taken: a network is planned then, the one thing that takes memory; (3) a
 * recording's bytes depend on observations, models and the unit's number alone.
 */
#ifndef FW_UNIT_TICK_H
#define FW_UNIT_TICK_H

#include "unit/salvage.h"
#include "unit/shared.h"

typedef struct fw_unit_tick_config {
    uint32_t unit;
    const char *bus_path; /* outlives the tick */
    bool captures_only;   /* routine recordings stay on the unit: they are not counted as handed over */
    int64_t chunk_ns;     /* recordings reach the courier at least this often; 0: by size alone */
    const fw_env *env;    /* NULL: the machine */
    int64_t (*cpu_ns)(void); /* CPU time of the tick's thread; NULL: the system's */
} fw_unit_tick_config;

typedef struct fw_unit_tick fw_unit_tick;

/* Allocates everything. The caller ends it with fw_unit_tick_close. */
fw_status fw_unit_tick_open(const fw_unit_tick_config *config, fw_unit_shared *shared,
                            fw_unit_tick **out, fw_error *error) FW_MUST;
void fw_unit_tick_close(fw_unit_tick *tick);

/* Lets the model drive that is to (seat.h), or the safe controller; false: there is nothing yet. */
bool fw_unit_tick_take_model(fw_unit_tick *tick);
/* Receives one frame of fd and answers it. FW_TIMEOUT: none came; other failures: cut the peer off.
 * Needs a model. */
fw_status fw_unit_tick_once(fw_unit_tick *tick, int fd, int timeout_ms, fw_error *error) FW_MUST;
/* Closes the open recording, if any, and writes all captures. */
void fw_unit_tick_end_recording(fw_unit_tick *tick);
/* Waits for a model, connects, ticks, reconnects, until shared->stop. */
void fw_unit_tick_run(fw_unit_tick *tick);

/* The slot's bytes of a model file, for the courier: parses a driving policy into `out`. custom: what the image
 * repository says of the model (JSON, may be NULL); its self-test is passed first. FW_MISMATCH: it is not. */
fw_status fw_unit_tick_load(const void *file, size_t file_bytes, const char *custom, void *out,
                            size_t out_max_bytes, size_t *out_bytes, fw_error *error) FW_MUST;
/* A cut driving recording made whole (fw_unit_salvage of unit/salvage.h), for the courier. */
fw_status fw_unit_tick_salvage(const fw_env *env, const char *from, int to, uint32_t unit,
                               const fw_unit_begin *begin, fw_unit_salvaged *out,
                               fw_error *error) FW_MUST;

#endif
