#include "cli/stop.h"

#include <stddef.h>

volatile sig_atomic_t fw_cli_stopped;

static void on_stop(int number) {
    (void)number;
    fw_cli_stopped = 1;
}

void fw_cli_catch_stop(void) {
    struct sigaction action = {.sa_handler = on_stop, .sa_flags = (int)SA_RESETHAND};
    fw_cli_stopped = 0;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}
