/* csv.c - a CSV file (RFC 4180; the first row names the columns) by a small mapping in JSON:
 *
 *   {"separator": ",",
 *    "time": {"column": "t", "unit": "s", "start": "2026-01-31T12:00:00Z"},
 *    "channels": [{"topic": "/engine", "fields": {
 *        "rpm": "Engine RPM",
 *        "coolant_degc": {"column": "T1", "scale": 0.1, "offset": -40, "unit": "degC"}}}]}
 *
 * unit: s, ms, us, ns (numbers, since 1970 or since "start") or iso8601. Without a mapping the time is
 * the column time, timestamp, t, time_s, time_ms, time_us or time_ns, and all other columns are fields
 * of /csv. A cell that reads as a number is one, an empty cell is left out, everything else is text.
 */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "import/text.h"

enum { COLUMNS_MAX = 1024, CHANNELS_MAX = 64, CELL_MAX = 64 << 10 };

typedef struct field {
    char *name;
    uint32_t column;
    double scale, offset;
    bool scaled;
} field;

typedef struct csv_channel {
    uint32_t id;
    size_t field_count;
    field fields[FW_IMPORT_FIELDS_MAX];
} csv_channel;

typedef struct table {
    fw_import_log *log;
    const char *at, *end;
    char separator;
    uint64_t row;
    char *cells[COLUMNS_MAX]; /* into line; this row's */
    size_t cell_count, column_count;
    char *line; /* the row, unquoted in place; owned */
    size_t line_room;
    char *columns[COLUMNS_MAX]; /* names; owned */
    uint32_t time_column;
    bool iso;
    int64_t time_unit_ns, start_ns;
    size_t channel_count;
    csv_channel *channels; /* (CHANNELS_MAX), owned */
    fw_import_text text;
} table;

/* ---- rows ---- */

/* Bytes of the row that begins here, quotes respected; *closed false: a quote is left open. */
static size_t row_size(const table *t, bool *closed) {
    bool quoted = false;
    const char *p = t->at;
    for (; p < t->end && (quoted || *p != '\n'); p++)
        if (*p == '"') quoted = !quoted;
    *closed = !quoted;
    return (size_t)(p - t->at);
}

/* One cell of t->line from *from on, unquoted in place; false after the row's last one. */
static bool take_cell(table *t, char **from, bool *more) {
    char *in = *from, *out = *from;
    bool quoted = *in == '"';
    if (quoted) in++;
    for (; *in; in++) {
        if (quoted && in[0] == '"' && in[1] == '"') {
            *out++ = *++in;
        } else if (quoted && in[0] == '"') {
            quoted = false;
        } else if (!quoted && in[0] == t->separator) {
            break;
        } else {
            *out++ = *in;
        }
    }
    *more = *in != '\0';
    char *next = *more ? in + 1 : in;
    *out = '\0';
    if (t->cell_count == COLUMNS_MAX || (size_t)(out - *from) > CELL_MAX) return false;
    t->cells[t->cell_count++] = *from;
    *from = next;
    return true;
}

/* The next row's cells; FW_END after the last. */
static fw_status next_row(table *t, fw_error *error) {
    bool closed, more = true;
    do {
        if (t->at == t->end) return FW_END;
        size_t size = row_size(t, &closed);
        t->row++;
        if (!closed)
            return fw_fail(error, FW_CORRUPT, "row %" PRIu64 ": a quote is never closed", t->row);
        if (memchr(t->at, '\0', size))
            return fw_fail(error, FW_CORRUPT, "row %" PRIu64 " holds a zero byte", t->row);
        if (size + 1 > t->line_room) {
            char *grown = realloc(t->line, 2 * size + 256);
            if (!grown) return fw_fail(error, FW_NO_MEMORY, "import: no memory");
            t->line = grown;
            t->line_room = 2 * size + 256;
        }
        memcpy(t->line, t->at, size);
        if (size > 0 && t->line[size - 1] == '\r') size--;
        t->line[size] = '\0';
        t->at += row_size(t, &closed);
        if (t->at < t->end) t->at++;
    } while (t->line[0] == '\0');
    t->cell_count = 0;
    for (char *from = t->line; more;)
        if (!take_cell(t, &from, &more))
            return fw_fail(error, FW_TOO_BIG,
                           "row %" PRIu64 ": more than %d columns, or a cell over %d bytes", t->row,
                           COLUMNS_MAX, CELL_MAX);
    return FW_OK;
}

static fw_status read_header(table *t, fw_error *error) {
    if (t->end - t->at >= 3 && memcmp(t->at, "\xef\xbb\xbf", 3) == 0) t->at += 3;
    fw_status status = next_row(t, error);
    if (status == FW_END) return fw_fail(error, FW_CORRUPT, "the CSV file is empty");
    FW_TRY(status);
    for (; t->column_count < t->cell_count; t->column_count++) {
        t->columns[t->column_count] = strdup(t->cells[t->column_count]);
        if (!t->columns[t->column_count]) return fw_fail(error, FW_NO_MEMORY, "import: no memory");
    }
    return FW_OK;
}

/* ---- the mapping ---- */

static fw_status find_column(const table *t, const char *name, uint32_t *out, fw_error *error) {
    for (size_t i = 0; name && i < t->column_count; i++) {
        if (strcmp(t->columns[i], name) != 0) continue;
        *out = (uint32_t)i;
        return FW_OK;
    }
    return fw_fail(error, FW_INVALID, "the CSV file has no column '%s'", name ? name : "");
}

static bool take_unit(table *t, const char *unit) {
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {{"s", 1000000000}, {"ms", 1000000}, {"us", 1000}, {"ns", 1}};
    t->iso = unit && strcmp(unit, "iso8601") == 0;
    for (size_t i = 0; unit && i < sizeof units / sizeof *units; i++)
        if (strcmp(unit, units[i].name) == 0) t->time_unit_ns = units[i].ns;
    return t->iso || t->time_unit_ns != 0;
}

/* 2026-01-31T12:00:00[.123456789][Z|+01:00]; without a zone it is UTC. */
static bool parse_iso(const char *text, int64_t *out_ns) {
    struct tm tm = {0};
    const char *at = strptime(text, "%Y-%m-%d", &tm);
    if (!at || (*at != 'T' && *at != ' ')) return false;
    at = strptime(at + 1, "%H:%M:%S", &tm);
    if (!at) return false;
    int64_t fraction_ns = 0, unit_ns = 100000000, zone_s = 0;
    if (*at == '.')
        for (at++; *at >= '0' && *at <= '9'; at++, unit_ns /= 10)
            fraction_ns += (*at - '0') * unit_ns;
    if (*at == '+' || *at == '-') {
        int hours, minutes;
        if (sscanf(at + 1, "%2d:%2d", &hours, &minutes) != 2) return false;
        zone_s = (*at == '-' ? -1 : 1) * (3600 * hours + 60 * minutes);
    } else if (*at && strcmp(at, "Z") != 0) {
        return false;
    }
    time_t seconds = timegm(&tm);
    if (seconds < 0 || seconds > 9000000000) return false;
    *out_ns = ((int64_t)seconds - zone_s) * 1000000000 + fraction_ns;
    return true;
}

static fw_status map_time(table *t, const json_t *time, fw_error *error) {
    const char *start = json_string_value(json_object_get(time, "start"));
    FW_TRY(find_column(t, json_string_value(json_object_get(time, "column")), &t->time_column,
                       error));
    if (!take_unit(t, json_string_value(json_object_get(time, "unit"))))
        return fw_fail(error, FW_INVALID, "the mapping's time.unit must be s, ms, us, ns, iso8601");
    if (start && !parse_iso(start, &t->start_ns))
        return fw_fail(error, FW_INVALID, "the mapping's time.start is not like "
                                          "2026-01-31T12:00:00Z");
    return FW_OK;
}

static fw_status map_field(const table *t, const char *name, const json_t *value, field *out,
                           const char **unit, fw_error *error) {
    const char *column = json_string_value(value);
    *out = (field){.scale = 1};
    *unit = "";
    if (json_is_object(value)) {
        json_t *scale = json_object_get(value, "scale"), *offset = json_object_get(value, "offset");
        column = json_string_value(json_object_get(value, "column"));
        out->scaled = scale || offset;
        if (scale) out->scale = json_number_value(scale);
        if (offset) out->offset = json_number_value(offset);
        if (json_string_value(json_object_get(value, "unit")))
            *unit = json_string_value(json_object_get(value, "unit"));
    }
    FW_TRY(find_column(t, column, &out->column, error));
    out->name = strdup(name);
    return out->name ? FW_OK : fw_fail(error, FW_NO_MEMORY, "import: no memory");
}

static fw_status add_channel(table *t, const char *topic, const json_t *fields, fw_error *error) {
    fw_import_field columns[FW_IMPORT_FIELDS_MAX];
    const char *name;
    json_t *value;
    if (!topic || topic[0] != '/' || json_object_size(fields) == 0 ||
        json_object_size(fields) > FW_IMPORT_FIELDS_MAX || t->channel_count == CHANNELS_MAX)
        return fw_fail(error, FW_INVALID,
                       "the mapping's channels need a topic with a / and 1 to %d fields; at most "
                       "%d channels", FW_IMPORT_FIELDS_MAX, CHANNELS_MAX);
    csv_channel *c = &t->channels[t->channel_count++];
    json_object_foreach((json_t *)fields, name, value) {
        field *one = &c->fields[c->field_count];
        const char *unit;
        FW_TRY(map_field(t, name, value, one, &unit, error));
        columns[c->field_count++] =
            (fw_import_field){one->name, unit, one->scaled ? FW_IMPORT_NUMBER : FW_IMPORT_ANY};
    }
    return fw_import_log_channel(t->log, topic, topic + 1, columns, c->field_count, &c->id, error);
}

static fw_status map_channels(table *t, const json_t *channels, fw_error *error) {
    size_t i;
    json_t *one;
    if (json_array_size(channels) == 0)
        return fw_fail(error, FW_INVALID, "the mapping has no list of channels");
    json_array_foreach((json_t *)channels, i, one)
        FW_TRY(add_channel(t, json_string_value(json_object_get(one, "topic")),
                           json_object_get(one, "fields"), error));
    return FW_OK;
}

static fw_status parse_mapping(const char *bytes, size_t size, json_t **out, fw_error *error) {
    json_error_t why;
    *out = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &why);
    if (*out && json_is_object(*out)) return FW_OK;
    json_decref(*out);
    *out = NULL;
    return fw_fail(error, FW_INVALID, "the mapping is no JSON object: line %d: %.200s", why.line,
                   why.text);
}

/* Without a mapping: the time by its name, the rest as they are called. */
static fw_status guess_mapping(table *t, json_t **out, fw_error *error) {
    static const char *const names[][2] = {{"time", "s"},     {"timestamp", "s"}, {"t", "s"},
                                           {"time_s", "s"},   {"time_ms", "ms"},
                                           {"time_us", "us"}, {"time_ns", "ns"}};
    const char *column = NULL, *unit = NULL;
    json_t *fields = json_object();
    for (size_t i = 0; i < t->column_count; i++) {
        const char *name = t->columns[i];
        bool is_time = false;
        for (size_t n = 0; !column && n < sizeof names / sizeof *names; n++)
            if (strcmp(name, names[n][0]) == 0) {
                column = name;
                unit = names[n][1];
                is_time = true;
            }
        if (!is_time && name[0] && json_object_size(fields) < FW_IMPORT_FIELDS_MAX)
            json_object_set_new(fields, name, json_string(name));
    }
    if (!column) {
        json_decref(fields);
        return fw_fail(error, FW_INVALID,
                       "no column is called time, timestamp, t or time_s, _ms, _us, _ns: say with "
                       "--mapping which one is the time");
    }
    *out = json_pack("{s:{s:s,s:s},s:[{s:s,s:o}]}", "time", "column", column, "unit", unit,
                     "channels", "topic", "/csv", "fields", fields);
    return *out ? FW_OK : fw_fail(error, FW_CORRUPT, "the columns' names are no UTF-8");
}

/* ---- messages ---- */

static fw_status row_time(const table *t, int64_t *out, fw_error *error) {
    const char *cell = t->time_column < t->cell_count ? t->cells[t->time_column] : "";
    if (t->iso && parse_iso(cell, out)) return FW_OK;
    char *end;
    bool whole = !t->iso && cell[0] && !strpbrk(cell, ".eE");
    long long count = whole ? strtoll(cell, &end, 10) : 0; /* whole numbers keep every digit */
    if (whole && *end == '\0' && count >= 0 && count < INT64_MAX / t->time_unit_ns &&
        !__builtin_add_overflow(t->start_ns, count * t->time_unit_ns, out))
        return FW_OK;
    double value = t->iso ? (double)NAN : strtod(cell, &end);
    if (!t->iso && end != cell && *end == '\0' && value >= 0 &&
        value * (double)t->time_unit_ns < 9e18 &&
        !__builtin_add_overflow(t->start_ns, (int64_t)llround(value * (double)t->time_unit_ns), out))
        return FW_OK;
    return fw_fail(error, FW_CORRUPT, "row %" PRIu64 ": '%.40s' is no time", t->row, cell);
}

/* A cell that is a number as JSON writes it (no leading zeros) keeps every digit. */
static bool is_json_number(const char *cell) {
    const char *p = cell + (*cell == '-');
    size_t digits = strspn(p, "0123456789");
    if (digits == 0 || (digits > 1 && *p == '0')) return false;
    p += digits;
    if (*p == '.') {
        digits = strspn(p + 1, "0123456789");
        if (digits == 0) return false;
        p += 1 + digits;
    }
    if (*p == 'e' || *p == 'E') {
        p += 1 + (p[1] == '+' || p[1] == '-');
        digits = strspn(p, "0123456789");
        if (digits == 0) return false;
        p += digits;
    }
    return *p == '\0';
}

static void put_cell(table *t, const field *f) {
    const char *cell = t->cells[f->column];
    char *end;
    double value = strtod(cell, &end);
    while (*end == ' ') end++;
    bool number = end != cell && *end == '\0' && isfinite(value) && !strpbrk(cell, "xX");
    fw_import_text_key(&t->text, f->name);
    if (number && !f->scaled && is_json_number(cell))
        fw_import_text_raw(&t->text, cell);
    else if (number)
        fw_import_text_number(&t->text, value * f->scale + f->offset);
    else
        fw_import_text_string(&t->text, cell);
}

static fw_status send_row(table *t, fw_error *error) {
    int64_t time_ns = 0;
    FW_TRY(row_time(t, &time_ns, error));
    for (size_t i = 0; i < t->channel_count; i++) {
        const csv_channel *c = &t->channels[i];
        bool any = false;
        t->text.size_bytes = 0;
        fw_import_text_raw(&t->text, "{");
        for (size_t f = 0; f < c->field_count; f++) {
            if (c->fields[f].column >= t->cell_count || !t->cells[c->fields[f].column][0]) continue;
            put_cell(t, &c->fields[f]);
            any = true;
        }
        fw_import_text_raw(&t->text, "}");
        fw_error why = {""};
        fw_status status = !any ? FW_OK : fw_import_text_send(&t->text, t->log, c->id, time_ns, &why);
        if (status != FW_OK)
            return fw_fail(error, status, "row %" PRIu64 ": %s", t->row, why.text);
    }
    return FW_OK;
}

static fw_status read_rows(table *t, fw_error *error) {
    fw_status status;
    while ((status = next_row(t, error)) == FW_OK) {
        if (t->cell_count > t->column_count)
            return fw_fail(error, FW_CORRUPT,
                           "row %" PRIu64 " has %zu cells, the header names %zu columns", t->row,
                           t->cell_count, t->column_count);
        FW_TRY(send_row(t, error));
    }
    return status == FW_END ? FW_OK : status;
}

static fw_status import_with(table *t, json_t *given, fw_error *error) {
    json_t *mapping = given;
    const char *separator = json_string_value(json_object_get(given, "separator"));
    if (separator && (strlen(separator) != 1 || strchr("\"\n\r", separator[0])))
        return fw_fail(error, FW_INVALID, "the mapping's separator must be one character");
    t->separator = separator ? separator[0] : ',';
    FW_TRY(read_header(t, error));
    if (!given) FW_TRY(guess_mapping(t, &mapping, error));
    fw_status status = map_time(t, json_object_get(mapping, "time"), error);
    if (status == FW_OK) status = map_channels(t, json_object_get(mapping, "channels"), error);
    if (status == FW_OK) status = read_rows(t, error);
    if (!given) json_decref(mapping);
    return status;
}

static void clear(table *t) {
    for (size_t i = 0; i < t->column_count; i++) free(t->columns[i]);
    for (size_t i = 0; i < t->channel_count; i++)
        for (size_t f = 0; f < t->channels[i].field_count; f++) free(t->channels[i].fields[f].name);
    free(t->channels);
    free(t->line);
    fw_import_text_clear(&t->text);
    free(t);
}

fw_status fw_import_csv(const fw_import_request *request, fw_import_log *log, fw_error *error) {
    char *bytes = NULL, *text = NULL;
    size_t size = 0, text_size = 0;
    json_t *mapping = NULL;
    table *t = calloc(1, sizeof *t);
    if (!t) return fw_fail(error, FW_NO_MEMORY, "import: no memory");
    t->log = log;
    t->channels = calloc(CHANNELS_MAX, sizeof *t->channels);
    fw_status status = t->channels ? fw_import_read(log, request->source, &bytes, &size, error)
                                   : fw_fail(error, FW_NO_MEMORY, "import: no memory");
    if (status == FW_OK && request->mapping) {
        status = fw_import_read(log, request->mapping, &text, &text_size, error);
        if (status == FW_OK) status = parse_mapping(text, text_size, &mapping, error);
    }
    t->at = bytes;
    t->end = bytes ? bytes + size : NULL;
    if (status == FW_OK) status = import_with(t, mapping, error);
    json_decref(mapping);
    clear(t);
    free(text);
    free(bytes);
    return status;
}
