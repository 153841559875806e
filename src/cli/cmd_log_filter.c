/* flywheel log filter: some topics, a range of time, every Nth message; the order of the file
 * stays. */
#include "cli/cmd_log.h"

int fw_cmd_log_filter(int argc, char **argv) {
    fw_log_options options;
    fw_error error = {""};
    const unsigned takes = FW_LOG_TAKES_OUT | FW_LOG_TAKES_JSON | FW_LOG_TAKES_RANGE | FW_LOG_TAKES_EVERY;
    if (fw_log_read_options(argc, argv, takes, "filter FILE --out NEW", &options, &error) != FW_OK)
        return fw_cli_usage("log", &error);
    return fw_log_copy(&options, FW_MCAP_ORDER_FILE, false);
}
