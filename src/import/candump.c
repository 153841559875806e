/* candump.c - logs of can-utils' `candump -l`, with a DBC file their signals by name.
 *
 *   (1436509052.249713) can0 044#2A366C2BBA         11-bit id, data
 *   (1436509052.449847) can0 18FEF1FE#0102           29-bit id (8 digits)
 *   (1436509052.649847) can0 213##311223344          CAN FD: flags, data
 *   (1436509052.749847) can0 0F6#R4                  remote request: no data
 *   (1436509052.849847) can0 20000004#0000...        error frame
 *
 * Every data frame goes to /can/<interface> as it is; one that the DBC knows also to
 * /can/<interface>/<message> with its signals. Remote and error frames are counted as skipped.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "import/dbc.h"

enum { INTERFACES_MAX = 16, INTERFACE_MAX = 16, DATA_MAX = 64 };

typedef struct frame {
    int64_t time_ns;
    char interface[INTERFACE_MAX];
    uint32_t id;
    bool extended, data_frame;
    uint8_t data[DATA_MAX];
    size_t size_bytes;
} frame;

typedef struct interface {
    char name[INTERFACE_MAX];
    uint32_t raw;
    uint32_t *messages; /* (dbc.count) channel + 1; 0: none yet; owned */
} interface;

typedef struct candump {
    fw_import_log *log;
    fw_dbc dbc;
    interface interfaces[INTERFACES_MAX];
    size_t interface_count;
    uint64_t line;
} candump;

static int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "(seconds.micros) " with up to nine digits after the point, exactly. */
static bool take_time(const char **at, int64_t *out) {
    const char *p = *at;
    int64_t seconds = 0, fraction = 0, unit = 1000000000;
    if (*p++ != '(' || *p < '0' || *p > '9') return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (seconds > 9000000000) return false;
        seconds = 10 * seconds + (*p - '0');
    }
    if (*p == '.')
        for (p++; *p >= '0' && *p <= '9' && unit > 1; p++) {
            unit /= 10;
            fraction += (*p - '0') * unit;
        }
    while (*p >= '0' && *p <= '9') p++;
    if (p[0] != ')' || p[1] != ' ' || seconds > 9000000000) return false;
    *out = seconds * 1000000000 + fraction;
    *at = p + 2;
    return true;
}

static bool take_interface(const char **at, char out[INTERFACE_MAX]) {
    size_t size = strcspn(*at, " ");
    if (size == 0 || size >= INTERFACE_MAX || (*at)[size] != ' ') return false;
    for (size_t i = 0; i < size; i++)
        if ((*at)[i] < '!' || (*at)[i] > '~' || (*at)[i] == '/') return false;
    memcpy(out, *at, size);
    out[size] = '\0';
    *at += size + 1;
    return true;
}

static bool take_id(const char **at, frame *out) {
    size_t digits = 0;
    out->id = 0;
    for (; digits <= 8 && hex((*at)[digits]) >= 0; digits++)
        out->id = out->id << 4 | (uint32_t)hex((*at)[digits]);
    if ((digits != 3 && digits != 8) || (*at)[digits] != '#') return false;
    out->extended = digits == 8;
    out->data_frame = out->id < 0x20000000u; /* above: error frames */
    *at += digits + 1;
    return true;
}

static bool take_data(const char *at, frame *out) {
    out->size_bytes = 0;
    if (*at == 'R') {
        out->data_frame = false;
        return true;
    }
    if (*at == '#') { /* CAN FD: one digit of flags */
        if (hex(at[1]) < 0) return false;
        at += 2;
    }
    while (hex(at[0]) >= 0 && hex(at[1]) >= 0) {
        if (out->size_bytes == DATA_MAX) return false;
        out->data[out->size_bytes++] = (uint8_t)(hex(at[0]) << 4 | hex(at[1]));
        at += 2;
        if (*at == '.') at++;
    }
    return *at == '\0' || *at == ' ' || *at == '_';
}

static bool parse_frame(const char *line, frame *out) {
    return take_time(&line, &out->time_ns) && take_interface(&line, out->interface) &&
           take_id(&line, out) && take_data(line, out);
}

/* ---- channels ---- */

static fw_status find_interface(candump *c, const char *name, interface **out, fw_error *error) {
    static const fw_import_field fields[] = {{"id", "", FW_IMPORT_NUMBER},
                                             {"extended", "1: 29-bit id", FW_IMPORT_NUMBER},
                                             {"data", "bytes as hex", FW_IMPORT_TEXT}};
    char topic[FW_IMPORT_NAME_MAX];
    for (size_t i = 0; i < c->interface_count; i++) {
        *out = &c->interfaces[i];
        if (strcmp((*out)->name, name) == 0) return FW_OK;
    }
    if (c->interface_count == INTERFACES_MAX)
        return fw_fail(error, FW_TOO_BIG, "more than %d interfaces", INTERFACES_MAX);
    interface *made = &c->interfaces[c->interface_count];
    snprintf(made->name, sizeof made->name, "%s", name);
    snprintf(topic, sizeof topic, "/can/%s", name);
    FW_TRY(fw_import_log_channel(c->log, topic, "can.Frame", fields, 3, &made->raw, error));
    made->messages = calloc(c->dbc.count + 1, sizeof *made->messages);
    if (!made->messages) return fw_fail(error, FW_NO_MEMORY, "import: no memory");
    c->interface_count++;
    *out = made;
    return FW_OK;
}

static fw_status find_message(candump *c, interface *of, const fw_dbc_message *message,
                              uint32_t *channel, fw_error *error) {
    uint32_t *slot = &of->messages[message - c->dbc.messages];
    fw_import_field fields[FW_DBC_SIGNALS_MAX];
    char topic[FW_IMPORT_NAME_MAX], schema[FW_IMPORT_NAME_MAX];
    if (*slot == 0) {
        for (uint32_t i = 0; i < message->signal_count; i++)
            fields[i] = (fw_import_field){message->signals[i].name, message->signals[i].unit,
                                          FW_IMPORT_NUMBER};
        snprintf(topic, sizeof topic, "/can/%s/%s", of->name, message->name);
        snprintf(schema, sizeof schema, "dbc.%s", message->name);
        FW_TRY(fw_import_log_channel(c->log, topic, schema, fields, message->signal_count, channel,
                                     error));
        *slot = *channel + 1;
    }
    *channel = *slot - 1;
    return FW_OK;
}

/* ---- messages ---- */

static fw_status send_raw(candump *c, const interface *of, const frame *f, fw_error *error) {
    static const char digits[] = "0123456789abcdef";
    char data[2 * DATA_MAX + 1], text[256];
    for (size_t i = 0; i < f->size_bytes; i++) {
        data[2 * i] = digits[f->data[i] >> 4];
        data[2 * i + 1] = digits[f->data[i] & 15];
    }
    data[2 * f->size_bytes] = '\0';
    int size = snprintf(text, sizeof text, "{\"id\":%" PRIu32 ",\"extended\":%d,\"data\":\"%s\"}",
                        f->id, f->extended, data);
    return fw_import_log_text(c->log, of->raw, f->time_ns, text, (size_t)size, error);
}

static fw_status send_frame(candump *c, const frame *f, fw_error *error) {
    interface *of = NULL;
    double values[FW_DBC_SIGNALS_MAX];
    uint32_t channel = 0;
    FW_TRY(find_interface(c, f->interface, &of, error));
    FW_TRY(send_raw(c, of, f, error));
    const fw_dbc_message *message =
        fw_dbc_find(&c->dbc, f->extended ? f->id | 0x80000000u : f->id);
    if (!message || message->signal_count == 0) return FW_OK;
    FW_TRY(find_message(c, of, message, &channel, error));
    fw_dbc_decode(message, f->data, f->size_bytes, values);
    return fw_import_log_numbers(c->log, channel, f->time_ns, values, error);
}

static fw_status read_log(candump *c, const char *bytes, size_t size_bytes, fw_error *error) {
    const char *at = bytes, *line;
    size_t size;
    while (fw_import_line(&at, bytes + size_bytes, &line, &size, &c->line)) {
        char text[512];
        frame f;
        if (size == 0) continue;
        bool fits = size < sizeof text && !memchr(line, '\0', size);
        if (fits) snprintf(text, sizeof text, "%.*s", (int)size, line);
        if (!fits || !parse_frame(text, &f))
            return fw_fail(error, FW_CORRUPT,
                           "line %" PRIu64 " is not: (seconds) interface id#data (candump -l)",
                           c->line);
        if (f.data_frame)
            FW_TRY(send_frame(c, &f, error));
        else
            fw_import_log_skip(c->log, 1);
    }
    return FW_OK;
}

fw_status fw_import_candump(const fw_import_request *request, fw_import_log *log,
                            fw_error *error) {
    char *bytes = NULL, *dbc = NULL;
    size_t size = 0, dbc_size = 0;
    candump *c = calloc(1, sizeof *c);
    if (!c) return fw_fail(error, FW_NO_MEMORY, "import: no memory");
    c->log = log;
    fw_status status = fw_import_read(log, request->source, &bytes, &size, error);
    if (status == FW_OK && request->mapping) {
        status = fw_import_read(log, request->mapping, &dbc, &dbc_size, error);
        if (status == FW_OK) status = fw_dbc_parse(dbc, dbc_size, &c->dbc, error);
    }
    if (status == FW_OK) status = read_log(c, bytes, size, error);
    for (size_t i = 0; i < c->interface_count; i++) free(c->interfaces[i].messages);
    fw_dbc_clear(&c->dbc);
    free(c);
    free(dbc);
    free(bytes);
    return status;
}
