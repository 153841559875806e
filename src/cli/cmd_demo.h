/* cmd_demo.h - `flywheel demo`; argv without the program's and the command's names. Exit code. */
#ifndef FW_CLI_CMD_DEMO_H
#define FW_CLI_CMD_DEMO_H

int fw_cmd_demo(int argc, char **argv);

#endif
