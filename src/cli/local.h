/* local.h - commands that work on a data folder themselves, beside a running serve. */
#ifndef FW_CLI_LOCAL_H
#define FW_CLI_LOCAL_H

#include "factory/catalogue/catalogue.h"

/* Makes the folder when it is not there, and opens its catalogue. The caller closes it. */
fw_status fw_cli_catalogue(const char *data_folder, fw_catalogue **out, fw_error *error) FW_MUST;

#endif
