#include "import/text.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

void fw_import_text_clear(fw_import_text *text) {
    free(text->bytes);
    *text = (fw_import_text){0};
}

static void add(fw_import_text *text, const char *bytes, size_t size) {
    if (text->size_bytes + size + 1 > text->room_bytes) {
        size_t room = 2 * (text->size_bytes + size) + 256;
        char *grown = text->failed ? NULL : realloc(text->bytes, room);
        if (!grown) {
            text->failed = true;
            return;
        }
        text->bytes = grown;
        text->room_bytes = room;
    }
    memcpy(text->bytes + text->size_bytes, bytes, size);
    text->size_bytes += size;
    text->bytes[text->size_bytes] = '\0';
}

/* A comma where a value follows a value. */
static void separate(fw_import_text *text) {
    if (text->size_bytes > 0 && !strchr("[{,:", text->bytes[text->size_bytes - 1]))
        add(text, ",", 1);
}

void fw_import_text_raw(fw_import_text *text, const char *raw) {
    if (raw[0] != ']' && raw[0] != '}') separate(text);
    add(text, raw, strlen(raw));
}

void fw_import_text_string(fw_import_text *text, const char *value) {
    json_t *json = json_string(value);
    char *dump = json ? json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    fw_import_text_raw(text, dump ? dump : "null"); /* no UTF-8: no text */
    free(dump);
    json_decref(json);
}

void fw_import_text_key(fw_import_text *text, const char *name) {
    fw_import_text_string(text, name);
    add(text, ":", 1);
}

void fw_import_text_number(fw_import_text *text, double value) {
    char number[32];
    size_t size = fw_import_number(value, number);
    separate(text);
    add(text, number, size);
}

fw_status fw_import_text_send(fw_import_text *text, fw_import_log *log, uint32_t channel,
                              int64_t time_ns, fw_error *error) {
    if (text->failed) return fw_fail(error, FW_NO_MEMORY, "import: no memory");
    size_t size = text->size_bytes;
    text->size_bytes = 0;
    return fw_import_log_text(log, channel, time_ns, text->bytes, size, error);
}
