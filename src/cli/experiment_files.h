/* experiment_files.h - folders copied and counted, and a port nobody has. */
#ifndef FW_CLI_EXPERIMENT_FILES_H
#define FW_CLI_EXPERIMENT_FILES_H

#include <stdint.h>

#include "base/file.h"

/* Copies files and folders of `from` into `to`, which is made; links and sockets are left out. */
fw_status fw_experiment_copy(const char *from, const char *to, fw_error *error) FW_MUST;
/* Bytes of the files under `folder` whose names end with `end`; 0 where absent. */
uint64_t fw_experiment_bytes(const char *folder, const char *end);
/* A port of the loopback that is free now. */
fw_status fw_experiment_port(uint16_t *out, fw_error *error) FW_MUST;

#endif
