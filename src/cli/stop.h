/* stop.h - Ctrl-C for commands that take long: they take away what is unfinished and end with FW_INTERRUPTED.
 *
 *   fw_cli_catch_stop();
 *   while (work) if (fw_cli_stopped) return fw_fail(error, FW_INTERRUPTED, "interrupted");
 */
#ifndef FW_CLI_STOP_H
#define FW_CLI_STOP_H

#include <signal.h>

/* 1 after the first Ctrl-C or SIGTERM since fw_cli_catch_stop. */
extern volatile sig_atomic_t fw_cli_stopped;
/* From here on they set it; pressed again they end the program at once. */
void fw_cli_catch_stop(void);

#endif
