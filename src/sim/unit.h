/* unit.h - one simulated unit: the real tick, spool, updater and courier.
 *
 *   road.h --frames--> tick --> ring --> spool --> courier --> link
 *                        ^------- models, checked and staged --'
 *
 * The power goes and comes back; the courier is killed and replaced, with the memory that it shared with the
 * tick left as it was; the disk fills; the clock jumps. After each step and each start what lies in
 * the spool is compared with what was recorded.
 */
#ifndef FW_SIM_UNIT_H
#define FW_SIM_UNIT_H

#include "sim/link.h"
#include "sim/machine.h"
#include "sim/road.h"
#include "unit/courier/courier.h"
#include "unit/tick/tick.h"

struct fw_sim_world;

typedef struct fw_sim_unit {
    uint32_t number;
    fw_sim_machine machine;
    char root_path[FW_PATH_MAX]; /* the owner's bundle of first roots, once the factory has made it */
    fw_sim_link link;
    fw_random random;
    fw_unit_shared *shared; /* NULL: off */
    fw_unit_spool *spool;
    fw_unit_courier *courier;
    fw_http_client client;
    int64_t due_ns, fault_due_ns, deadline_ns, room_due_ns;
    uint64_t steps;
    /* the drive under way */
    fw_unit_tick *tick;
    int world_fd, tick_fd;
    fw_sim_road road;
    bool driving;
    uint32_t drives, recordings_seen; /* seen: of shared->recordings */
    int64_t drive_due_ns;
    /* models, over restarts; empty: none */
    fw_hash model, last;    /* what runs, or ran last; the one before it */
    fw_hash staged, before; /* what was staged last; before it */
    bool credulous;         /* planted: it runs what it is told, signed or not */
    bool ring_unchecked;    /* the factory was off when it began to run */
    fw_hash *whole; /* (whole_count) in the spool, without a receipt so far */
    uint32_t whole_count, whole_room;
    uint64_t lost_seen; /* of what the unit counts as lost */
} fw_sim_unit;

fw_status fw_sim_unit_open(struct fw_sim_world *world, fw_sim_unit *unit, uint32_t number,
                           fw_error *error) FW_MUST;
void fw_sim_unit_close(fw_sim_unit *unit);
void fw_sim_unit_step(struct fw_sim_world *world, fw_sim_unit *unit);
/* No more faults, and no more drives. */
void fw_sim_unit_calm(fw_sim_unit *unit);
/* Nothing is left to send. */
bool fw_sim_unit_is_done(fw_sim_unit *unit);

#endif
