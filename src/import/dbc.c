#include "import/dbc.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fw_dbc_clear(fw_dbc *dbc) {
    for (uint32_t i = 0; i < dbc->count; i++) free(dbc->messages[i].signals);
    free(dbc->messages);
    *dbc = (fw_dbc){0};
}

/* Starts with a keyword and a space. */
static bool begins(const char *line, const char *word) {
    size_t size = strlen(word);
    return strncmp(line, word, size) == 0 && line[size] == ' ';
}

static void *grown(void *items, uint32_t count, size_t item_bytes) {
    bool full = count == 0 || (count >= 8 && (count & (count - 1)) == 0);
    return full ? realloc(items, (count < 8 ? 8 : 2 * (size_t)count) * item_bytes) : items;
}

/* BO_ 500 EngineData: 8 ECU */
static fw_status take_message(fw_dbc *dbc, const char *line, fw_error *error) {
    fw_dbc_message message = {0};
    unsigned long id, size;
    if (sscanf(line, "BO_ %lu %63[^: ] : %lu", &id, message.name, &size) != 3 ||
        id > UINT32_MAX || size > 64)
        return fw_fail(error, FW_CORRUPT, "BO_ is not: BO_ id name: bytes sender");
    if (dbc->count == FW_DBC_MESSAGES_MAX)
        return fw_fail(error, FW_TOO_BIG, "more than %d messages", FW_DBC_MESSAGES_MAX);
    message.id = (uint32_t)id;
    message.size_bytes = (uint16_t)size;
    fw_dbc_message *items = grown(dbc->messages, dbc->count, sizeof *items);
    if (!items) return fw_fail(error, FW_NO_MEMORY, "import: no memory");
    dbc->messages = items;
    dbc->messages[dbc->count++] = message;
    return FW_OK;
}

/* What stands between a signal's name and the colon: nothing, "M", "m3". */
static bool take_multiplexing(const char *text, fw_dbc_signal *signal) {
    char *end;
    signal->multiplexed = -1;
    if (text[0] == '\0') return true;
    if (strcmp(text, "M") == 0) {
        signal->is_switch = true;
        return true;
    }
    if (text[0] != 'm') return false;
    unsigned long value = strtoul(text + 1, &end, 10);
    if (end == text + 1 || *end || value > INT32_MAX) return false; /* m0M: more than one level */
    signal->multiplexed = (int32_t)value;
    return true;
}

/* Reads a finite number at *at and the character behind it. */
static bool take_number(const char **at, char behind, double *out) {
    char *end = NULL;
    const char *from = *at;
    *out = strtod(from, &end);
    if (end == from || *end != behind || !isfinite(*out)) return false;
    *at = from + (end - from) + 1;
    return true;
}

/* 24|16@1+ (0.1,-40) [0|250] "degC" ... */
static bool take_layout(const char *at, fw_dbc_signal *signal) {
    unsigned start, bits, used = 0;
    char order, sign;
    if (sscanf(at, " %u|%u@%c%c (%n", &start, &bits, &order, &sign, (int *)&used) != 4 || !used)
        return false;
    at += used;
    if (!take_number(&at, ',', &signal->factor) || !take_number(&at, ')', &signal->offset))
        return false;
    const char *quote = strchr(at, '"'), *end = quote ? strchr(quote + 1, '"') : NULL;
    if (end)
        snprintf(signal->unit, sizeof signal->unit, "%.*s", (int)(end - quote - 1), quote + 1);
    if (start >= 512 || bits < 1 || bits > 64 || (order != '0' && order != '1') ||
        (sign != '+' && sign != '-'))
        return false;
    signal->start_bit = (uint16_t)start;
    signal->bits = (uint16_t)bits;
    signal->intel = order == '1';
    signal->is_signed = sign == '-';
    return true;
}

/* SG_ Speed m1 : 24|16@1+ (0.1,0) [0|250] "km/h" Receiver */
static fw_status take_signal(fw_dbc *dbc, const char *line, fw_error *error) {
    fw_dbc_signal signal = {0};
    char switching[16] = "";
    const char *colon = strchr(line, ':');
    if (dbc->count == 0) return fw_fail(error, FW_CORRUPT, "SG_ stands before any BO_");
    fw_dbc_message *message = &dbc->messages[dbc->count - 1];
    int names = sscanf(line, "SG_ %63[^: ] %15[^: ]", signal.name, switching);
    if (!colon || names < 1 || !take_layout(colon + 1, &signal))
        return fw_fail(error, FW_CORRUPT,
                       "SG_ is not: SG_ name : start|bits@order sign (factor,offset) [..] \"unit\"");
    if (!take_multiplexing(names == 2 ? switching : "", &signal))
        return fw_fail(error, FW_UNSUPPORTED, "signal %s: multiplexing '%s' is not read",
                       signal.name, switching);
    if (message->signal_count == FW_DBC_SIGNALS_MAX)
        return fw_fail(error, FW_TOO_BIG, "message %s has more than %d signals", message->name,
                       FW_DBC_SIGNALS_MAX);
    fw_dbc_signal *items = grown(message->signals, message->signal_count, sizeof *items);
    if (!items) return fw_fail(error, FW_NO_MEMORY, "import: no memory");
    message->signals = items;
    message->signals[message->signal_count++] = signal;
    return FW_OK;
}

/* SIG_VALTYPE_ 500 Speed : 1; */
static void take_float(fw_dbc *dbc, const char *line) {
    unsigned long id;
    char name[FW_DBC_NAME_MAX];
    unsigned type;
    if (sscanf(line, "SIG_VALTYPE_ %lu %63[^: ] : %u", &id, name, &type) != 3) return;
    for (uint32_t m = 0; m < dbc->count; m++) {
        fw_dbc_message *message = &dbc->messages[m];
        for (uint32_t i = 0; message->id == id && i < message->signal_count; i++) {
            fw_dbc_signal *signal = &message->signals[i];
            if (strcmp(signal->name, name) != 0) continue;
            if (type == 1 && signal->bits == 32) signal->float_bytes = 4;
            if (type == 2 && signal->bits == 64) signal->float_bytes = 8;
        }
    }
}

static fw_status take_line(fw_dbc *dbc, const char *line, fw_error *error) {
    while (*line == ' ' || *line == '\t') line++;
    if (begins(line, "BO_")) return take_message(dbc, line, error);
    if (begins(line, "SG_")) return take_signal(dbc, line, error);
    if (begins(line, "SIG_VALTYPE_")) take_float(dbc, line);
    return FW_OK;
}

static int by_id(const void *a, const void *b) {
    const fw_dbc_message *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static fw_status check(fw_dbc *dbc, fw_error *error) {
    if (dbc->count == 0) return fw_fail(error, FW_CORRUPT, "the DBC file names no message");
    qsort(dbc->messages, dbc->count, sizeof *dbc->messages, by_id);
    for (uint32_t i = 1; i < dbc->count; i++)
        if (dbc->messages[i].id == dbc->messages[i - 1].id)
            return fw_fail(error, FW_CORRUPT, "message %u comes twice", dbc->messages[i].id);
    return FW_OK;
}

fw_status fw_dbc_parse(const char *bytes, size_t size_bytes, fw_dbc *out, fw_error *error) {
    fw_dbc dbc = {0};
    const char *at = bytes, *line;
    size_t size;
    uint64_t number = 0;
    fw_error why = {""};
    fw_status status = FW_OK;
    while (status == FW_OK && fw_import_line(&at, bytes + size_bytes, &line, &size, &number)) {
        char text[1024];
        snprintf(text, sizeof text, "%.*s", (int)(size < 1023 ? size : 1023), line);
        status = take_line(&dbc, text, &why);
        if (status != FW_OK)
            fw_fail(error, status, "DBC line %llu: %s", (unsigned long long)number, why.text);
    }
    if (status == FW_OK) status = check(&dbc, error);
    if (status == FW_OK)
        *out = dbc;
    else
        fw_dbc_clear(&dbc);
    return status;
}

const fw_dbc_message *fw_dbc_find(const fw_dbc *dbc, uint32_t id) {
    fw_dbc_message key = {.id = id};
    return dbc->count ? bsearch(&key, dbc->messages, dbc->count, sizeof key, by_id) : NULL;
}

/* The signal's bits, lowest at bit 0; false when it reaches outside the data. */
static bool take_raw(const fw_dbc_signal *signal, const uint8_t *data, size_t size_bytes,
                     uint64_t *out) {
    uint64_t raw = 0;
    size_t bit = signal->start_bit;
    for (unsigned i = 0; i < signal->bits; i++) {
        if (bit / 8 >= size_bytes) return false;
        uint64_t one = (data[bit / 8] >> (bit % 8)) & 1u;
        if (signal->intel) {
            raw |= one << i;
            bit++;
        } else {
            raw = raw << 1 | one;
            bit = bit % 8 == 0 ? bit + 15 : bit - 1;
        }
    }
    *out = raw;
    return true;
}

static double scale(const fw_dbc_signal *signal, uint64_t raw) {
    double value = (double)raw;
    if (signal->float_bytes == 8) {
        memcpy(&value, &raw, sizeof value);
    } else if (signal->float_bytes == 4) {
        uint32_t word = (uint32_t)raw;
        float single;
        memcpy(&single, &word, sizeof single);
        value = (double)single;
    } else if (signal->is_signed) {
        unsigned unused = 64u - signal->bits;
        value = (double)((int64_t)(raw << unused) >> unused);
    }
    return value * signal->factor + signal->offset;
}

void fw_dbc_decode(const fw_dbc_message *message, const uint8_t *data, size_t size_bytes,
                   double *values) {
    uint64_t raw, selected = UINT64_MAX;
    for (uint32_t i = 0; i < message->signal_count; i++)
        if (message->signals[i].is_switch &&
            take_raw(&message->signals[i], data, size_bytes, &raw))
            selected = raw;
    for (uint32_t i = 0; i < message->signal_count; i++) {
        const fw_dbc_signal *signal = &message->signals[i];
        bool there = signal->multiplexed < 0 || (uint64_t)signal->multiplexed == selected;
        values[i] = there && take_raw(signal, data, size_bytes, &raw) ? scale(signal, raw)
                                                                     : (double)NAN;
    }
}
