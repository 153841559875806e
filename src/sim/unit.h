/* unit.h - one simulated unit: the real spool and courier behind a ring that a generator fills.
 *
 *   drive.h --BEGIN, BYTES.., END as time goes--> ring --> spool --> courier --> link
 *
 * The power goes and comes back; the courier is killed and replaced, with the memory that it shared with the
 * tick left as it was; the disk fills; the clock jumps. After each step and each start what lies in
 * the spool is compared with what was recorded.
 */
#ifndef FW_SIM_UNIT_H
#define FW_SIM_UNIT_H

#include "sim/drive.h"
#include "sim/link.h"
#include "sim/machine.h"
#include "unit/courier/courier.h"

struct fw_sim_world;

typedef struct fw_sim_unit {
    uint32_t number;
    fw_sim_machine machine;
    fw_sim_link link;
    fw_random random;
    fw_unit_shared *shared; /* NULL: off */
    fw_unit_spool *spool;
    fw_unit_courier *courier;
    fw_http_client client;
    int64_t due_ns, fault_due_ns, deadline_ns, room_due_ns;
    uint64_t steps;
    /* the recording under way */
    fw_sim_drive drive;
    bool recording;
    size_t handed; /* bytes of it */
    uint32_t drives;
    uint64_t serial;
    int64_t drive_due_ns;
    fw_hash waiting[8]; /* (waiting_count) ended, not seen in the spool yet */
    uint32_t waiting_count;
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
