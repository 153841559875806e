/* units.h - the units on the bus, as the world sees them: who is connected, what is in flight.
 *
 *   absent --HELLO--> idle --OBSERVE/END/FLUSH--> waiting --ACT--> idle
 *      ^                                             |
 *      +------ closed, broken frame, no answer ------+
 *
 * Invariants: (1) a frame is sent only to an idle unit; (2) a unit that breaks the form is cut off
 * with a logged reason; (3) what a unit reported last stays when it is gone.
 */
#ifndef FW_WORLDS_FLEET_UNITS_H
#define FW_WORLDS_FLEET_UNITS_H

#include "bus/bus.h"
#include "lines/driving/act/drive.h"
#include "worlds/fleet/fleet.h"
#include "worlds/sumo/world.h"

typedef struct fw_fleet_unit {
    int fd;           /* -1: absent */
    bool waiting;     /* a frame is in flight */
    bool drive_open;  /* it has seen `drive` and no END yet */
    uint32_t drive;   /* number sent to it */
    float curvature_pm; /* last asked for, kept when it falls silent */
    /* its own reports */
    fw_hash model;
    uint32_t recordings;
    uint64_t lost_bytes;
    /* since the last "paused" */
    uint64_t ticks, vetoes, misses, cuts; /* cuts: times it was cut off */
    uint32_t misses_in_row;
} fw_fleet_unit;

typedef struct fw_fleet_units {
    int listener;
    uint32_t count;
    fw_fleet_unit unit[FW_WORLD_CARS_MAX];
    unsigned char wire[FW_BUS_PAYLOAD_MAX];
} fw_fleet_units;

/* Listens at path. The caller closes with fw_fleet_units_close, also after a failure. */
fw_status fw_fleet_units_open(fw_fleet_units *units, const char *path, uint32_t count,
                              fw_error *error) FW_MUST;
void fw_fleet_units_close(fw_fleet_units *units);
/* Takes every unit that knocks now. */
void fw_fleet_units_admit(fw_fleet_units *units);
uint32_t fw_fleet_units_present(const fw_fleet_units *units);
/* Sends a frame to an idle unit; cuts it off on failure. False when nothing was sent. */
bool fw_fleet_units_send(fw_fleet_units *units, uint32_t index, fw_bus_kind kind, uint32_t tick,
                         const void *payload, size_t size_bytes);
/* Waits for the answer in flight and takes its report; *acted says whether *action holds the
 * line's action. FW_TIMEOUT leaves it in flight; every other failure cuts the unit off. */
fw_status fw_fleet_units_answer(fw_fleet_units *units, uint32_t index, int timeout_ms,
                                bool *acted, fw_drive_action *action) FW_MUST;
/* Sends END or FLUSH and waits for its acknowledgement. */
void fw_fleet_units_tell(fw_fleet_units *units, uint32_t index, fw_bus_kind kind, uint32_t tick);
void fw_fleet_units_cut(fw_fleet_units *units, uint32_t index, const char *why);

#endif
