/* outlet.h - one stream of recordings into the ring: what stands behind a recorder's sink.
 *
 *   begin --BEGIN--> bytes bytes --BYTES--> end --END-->      or drop --DROP-->
 *
 * Invariants: (1) a full ring never stops the recorder: the recording is lost from there on, its bytes
 * are counted, end says so, and the courier salvages what came before; (2) a recording has one serial, unique among both streams' of a unit.
 */
#ifndef FW_UNIT_OUTLET_H
#define FW_UNIT_OUTLET_H

#include "mcap/mcap.h"
#include "unit/shared.h"

typedef struct fw_unit_outlet {
    fw_unit_shared *shared;
    fw_unit_stream stream;
    bool open;
    bool lost;  /* a piece did not fit: the whole recording is given up */
    bool fault; /* the writer failed; as lost */
    uint64_t serial, offset, handed; /* handed: the bytes before the first piece that did not fit */
    uint32_t events; /* so far, for the value of a part */
} fw_unit_outlet;

/* What END says of a recording. */
typedef struct fw_unit_ended {
    uint32_t events, ticks, drive, first_tick;
    int64_t first_ns, last_ns;
} fw_unit_ended;

void fw_unit_outlet_begin(fw_unit_outlet *outlet, const fw_unit_begin *begin);
/* The sink of the recorder; the outlet must stay where it is. */
fw_mcap_sink fw_unit_outlet_sink(fw_unit_outlet *outlet);
/* Hands the whole recording over; false when the ring had no room for it or the writer failed: the courier
 * saves what it has of it, what did not fit is counted. Wakes the courier. */
bool fw_unit_outlet_end(fw_unit_outlet *outlet, const fw_unit_ended *ended);
/* It is not wanted after all. */
void fw_unit_outlet_drop(fw_unit_outlet *outlet);

#endif
