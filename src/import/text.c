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

/* Printable ASCII that JSON needs no escapes for: nearly every name and cell. */
static bool is_plain(const char *value) {
    for (; *value >= 0x20 && *value < 0x7f && *value != '"' && *value != '\\'; value++) continue;
    return *value == '\0';
}

void fw_import_text_string(fw_import_text *text, const char *value) {
    if (is_plain(value)) {
        separate(text);
        add(text, "\"", 1);
        add(text, value, strlen(value));
        add(text, "\"", 1);
        return;
    }
    json_t *json = json_string(value);
    char *dump = json ? json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    text->not_utf8 |= !json;
    text->failed |= json && !dump;
    fw_import_text_raw(text, dump ? dump : "null");
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
    if (text->not_utf8) {
        text->not_utf8 = false;
        return fw_fail(error, FW_CORRUPT, "text that is no UTF-8");
    }
    return fw_import_log_text(log, channel, time_ns, text->bytes, size, error);
}
