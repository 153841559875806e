/* log.h - private: the recordings an import makes (import.h says what importers may do with it). */
#ifndef FW_IMPORT_LOG_H
#define FW_IMPORT_LOG_H

#include "import/import.h"

fw_status fw_import_log_open(const fw_import_request *request, fw_import_log **out,
                             fw_error *error) FW_MUST;
/* Completes the last file and hands the list over. FW_CORRUPT: the source held nothing. */
fw_status fw_import_log_end(fw_import_log *log, fw_import_result *out, fw_error *error) FW_MUST;
/* Frees; before a successful end it also removes every file made. */
void fw_import_log_close(fw_import_log *log);

#endif
