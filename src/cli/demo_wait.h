/* demo_wait.h - what every wait of the demonstration's conductor is made of (demo.h).
 *
 * Waits end by themselves. In lockstep, while nothing has gone wrong, only after FW_DEMO_LOCKSTEP_MS, and giving up is a
 * fault; once equality is no longer claimed, a part that died must not hold up the rest.
 */
#ifndef FW_CLI_DEMO_WAIT_H
#define FW_CLI_DEMO_WAIT_H

#include "cli/demo.h"

enum { FW_DEMO_LOCKSTEP_MS = 180000 };

int64_t fw_demo_now_ms(void);
/* One beat of every wait: children are looked after, then a short sleep. */
fw_status fw_demo_beat(fw_demo *demo, fw_error *error) FW_MUST;
int64_t fw_demo_patience_ms(const fw_demo *demo, int64_t otherwise_ms);
void fw_demo_give_up(fw_demo *demo, const char *what);
/* Asks the factory, over its restarts. */
fw_status fw_demo_get(fw_demo *demo, const char *path, json_t **out, fw_error *error) FW_MUST;
/* A text of a row, "" when there is none. */
const char *fw_demo_text(const json_t *row, const char *name);
/* Our unit's number from its name in the factory ("7"); FW_DEMO_UNITS_MAX when it is not ours. */
uint32_t fw_demo_unit_index(const json_t *row, const char *field);

/* demo_rollout.c: the plan of the demonstration's rollouts, once, before the first one. */
fw_status fw_demo_plan_rollouts(fw_demo *demo, fw_error *error) FW_MUST;
/* Leads the rollout of a generation to its end: every ring's units have the model ready, some ticks so that they
 * swap and live with it, a look. In lockstep; in realtime rollouts look by themselves. */
fw_status fw_demo_roll_out(fw_demo *demo, json_int_t generation, fw_error *error) FW_MUST;

#endif
