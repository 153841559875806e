/* seat.h - a model made ready to drive, and which one it is to be.
 *
 *   lane->slots[n & 1] --copy, CRC--> flat bytes --plan, check--> seat {policy, session}
 *
 *   which:  the one staged last, unless refused
 *           else what lies in the other slot: the last-known-good, or the one before it
 *           else none: the safe controller (safe.h)
 *
 * Invariants: (1) a seat is opened only between two ticks, the one thing that takes memory; (2) a refused sequence
 * is never chosen again; (3) what is chosen was staged, or lay ready, before what was staged last.
 */
#ifndef FW_UNIT_SEAT_H
#define FW_UNIT_SEAT_H

#include "lines/driving/act/policy.h"
#include "unit/shared.h"

typedef struct fw_unit_seat {
    uint64_t sequence; /* 0: empty */
    fw_policy policy;
    fw_policy_session session;
} fw_unit_seat;

typedef enum fw_unit_seated { FW_UNIT_SEATED, FW_UNIT_SEAT_BENT, FW_UNIT_SEAT_OVERTAKEN } fw_unit_seated;

/* Sequence that is to drive now; 0 none. */
uint64_t fw_unit_seat_wanted(fw_unit_shared *shared);
/* Never again; why is told to the courier. */
void fw_unit_seat_refuse(fw_unit_shared *shared, uint64_t sequence, fw_unit_refusal why);
/* Fills an empty seat from the lane. copy: (FW_UNIT_MODEL_MAX) of room. OVERTAKEN: the courier writes there
 * now, look again; BENT: it is no model that answers a plain situation with finite numbers. */
fw_unit_seated fw_unit_seat_take(fw_unit_seat *seat, fw_unit_lane *lane, uint64_t sequence, uint8_t *copy);
void fw_unit_seat_clear(fw_unit_seat *seat);
/* True for numbers a car can be driven with. */
bool fw_unit_seat_finite(const fw_drive_action *action);

#endif
