/* unit_inner.h - what unit.c, unit_drive.c and unit_check.c share. */
#ifndef FW_SIM_UNIT_INNER_H
#define FW_SIM_UNIT_INNER_H

#include "sim/unit.h"

uint64_t fw_sim_unit_spool_max(void);

/* unit_drive.c: a few ticks, when it drives. */
fw_status fw_sim_unit_tick_open(fw_sim_unit *unit, fw_error *error) FW_MUST;
void fw_sim_unit_tick_close(fw_sim_unit *unit);
void fw_sim_unit_drive(struct fw_sim_world *world, fw_sim_unit *unit);

/* unit_check.c. After a drain: which recordings are whole now. */
void fw_sim_unit_look(struct fw_sim_world *world, fw_sim_unit *unit);
/* After a step: nothing whole is gone without a receipt or a count; the spool is within its bound. */
void fw_sim_unit_check(struct fw_sim_world *world, fw_sim_unit *unit);
/* After a start: all that was whole is still there, with its bytes. */
void fw_sim_unit_check_start(struct fw_sim_world *world, fw_sim_unit *unit);

/* unit_model.c. After a step: what runs was released, and its ring has come. After a start: what it starts with. */
void fw_sim_unit_check_model(struct fw_sim_world *world, fw_sim_unit *unit);
void fw_sim_unit_check_boot(struct fw_sim_world *world, fw_sim_unit *unit);

#endif
