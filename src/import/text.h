/* text.h - private: JSON text put together piece by piece. A failed allocation and text that is no
 * UTF-8 are remembered and told once, by fw_import_text_send. */
#ifndef FW_IMPORT_TEXT_H
#define FW_IMPORT_TEXT_H

#include "import/import.h"

typedef struct fw_import_text {
    char *bytes;
    size_t size_bytes, room_bytes;
    bool failed, not_utf8;
} fw_import_text;

void fw_import_text_clear(fw_import_text *text); /* frees */
/* Adds bytes as they are; a comma first when what is there does not end in one of [{,: or nothing. */
void fw_import_text_raw(fw_import_text *text, const char *raw);
void fw_import_text_key(fw_import_text *text, const char *name);
void fw_import_text_number(fw_import_text *text, double value);
void fw_import_text_string(fw_import_text *text, const char *value);
/* Sends what was put together as a message, and starts anew. */
fw_status fw_import_text_send(fw_import_text *text, fw_import_log *log, uint32_t channel,
                              int64_t time_ns, fw_error *error) FW_MUST;

#endif
