/* rollout.h - the parts of `flywheel rollout` (cmd_rollout.c). */
#ifndef FW_CLI_ROLLOUT_H
#define FW_CLI_ROLLOUT_H

/* argv: what comes after "simulate". Returns the exit status. */
int fw_cli_rollout_simulate(int argc, char **argv);

#endif
