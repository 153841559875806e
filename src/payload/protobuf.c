/* Protobuf data to JSON without recursion and without a tree.
 *
 *   push:  the spans of one message (several, where a singular field came in parts: they merge by
 *          being read one behind the other) become entries, sorted by (group, field, place)
 *   step:  the top frame writes its next field, or pushes the next message, or pops
 *
 * Entries of the open messages lie in one array, those of the top message last.
 */
#include "payload/protobuf.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "payload/wire.h"

enum { SCALAR = UINT32_MAX };

typedef struct entry {
    uint32_t group, field, place; /* field: position in its message; place: on the wire */
    uint32_t size_bytes;          /* SCALAR: value counts */
    const uint8_t *at;
    uint64_t value;
} entry;

typedef struct frame {
    uint32_t message, field;        /* field: being written, for messages about errors */
    uint32_t first, end;            /* entries of this message */
    uint32_t at, item, run_end, to; /* next entry; next item of a list, its end; entry behind it */
    bool is_map_entry, in_list, has_comma, is_value_done;
} frame;

struct fw_payload_protobuf {
    fw_pb_schema schema;
    entry *entries;
    size_t entry_count, entry_room, entries_max;
    frame *frames; /* (depth_max) */
    uint32_t depth, depth_max;
    fw_payload_text *out;
    fw_error *error;
};
typedef fw_payload_protobuf decoder;

static const fw_pb_field *field_of(const decoder *d, const frame *f) {
    return d->schema.fields + d->schema.messages[f->message].first_field + f->field;
}

/* "pkg.Root: pose.points[3].x: why" */
static fw_status fail(decoder *d, fw_status status, const char *why) {
    char path[220] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < d->depth && used + 2 < sizeof path; i++) {
        const frame *f = d->frames + i;
        const fw_pb_message *m = d->schema.messages + f->message;
        if (f->is_map_entry || f->field >= m->field_count) continue;
        int wrote = f->in_list ? snprintf(path + used, sizeof path - used, "%s%.60s[%" PRIu32 "]",
                                          used ? "." : "", field_of(d, f)->name,
                                          f->item > f->at ? f->item - f->at - 1 : 0)
                               : snprintf(path + used, sizeof path - used, "%s%.60s",
                                          used ? "." : "", field_of(d, f)->name);
        used += wrote > 0 ? (size_t)wrote : 0;
    }
    return fw_fail(d->error, status, "protobuf: %.100s: %s%s%s",
                   d->schema.messages[d->schema.root].name, path, *path ? ": " : "", why);
}

/* ----------------------------------------------------------------------- entries ----- */

static fw_wire_type wire_type_of(const fw_pb_field *f) {
    switch ((fw_pb_type)f->type) {
    case FW_PB_DOUBLE:
    case FW_PB_FIXED64:
    case FW_PB_SFIXED64:
        return FW_WIRE_I64;
    case FW_PB_FLOAT:
    case FW_PB_FIXED32:
    case FW_PB_SFIXED32:
        return FW_WIRE_I32;
    case FW_PB_STRING:
    case FW_PB_BYTES:
    case FW_PB_MESSAGE:
        return FW_WIRE_LEN;
    case FW_PB_GROUP:
        return FW_WIRE_GROUP;
    default:
        return FW_WIRE_VARINT;
    }
}

static bool is_scalar(const fw_pb_field *f) {
    fw_wire_type type = wire_type_of(f);
    return type != FW_WIRE_LEN && type != FW_WIRE_GROUP;
}

/* Adds the entries of one span; unknown fields and unexpected wire types are passed over. */
static fw_status add_entries(decoder *d, const fw_pb_message *m, const uint8_t *at, size_t size) {
    fw_wire wire = {at, at + size};
    fw_wire_item item;
    for (bool done;;) {
        const char *why = fw_wire_next(&wire, &item, &done);
        if (why != NULL) return fail(d, FW_CORRUPT, why);
        if (done) return FW_OK;
        const fw_pb_field *f = fw_pb_field_of(&d->schema, m, item.number);
        if (f == NULL) continue;
        bool is_packed = f->is_repeated && is_scalar(f) && item.type == FW_WIRE_LEN;
        if (item.type != wire_type_of(f) && !is_packed) continue;
        if (!fw_payload_grow((void **)&d->entries, &d->entry_room, d->entry_count,
                             sizeof *d->entries, d->entries_max))
            return fail(d, FW_TOO_BIG, "too many values");
        bool is_span = is_packed || !is_scalar(f);
        d->entries[d->entry_count] = (entry){
            .group = f->group,
            .field = (uint32_t)(f - (d->schema.fields + m->first_field)),
            .place = (uint32_t)d->entry_count,
            .size_bytes = is_span ? (uint32_t)item.size_bytes : SCALAR,
            .at = item.at,
            .value = item.value,
        };
        d->entry_count++;
    }
}

static int compare_entries(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->group != y->group) return x->group < y->group ? -1 : 1;
    if (x->field != y->field) return x->field < y->field ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

static void sort_entries(entry *entries, size_t count) {
    for (size_t i = 1; i < count; i++) {
        if (compare_entries(entries + i - 1, entries + i) < 0) continue;
        qsort(entries, count, sizeof *entries, compare_entries);
        return;
    }
}

/* ------------------------------------------------------------------------ values ----- */

static double as_double(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float as_float(uint64_t bits) {
    uint32_t low = (uint32_t)bits;
    float value;
    memcpy(&value, &low, sizeof value);
    return value;
}

static void put_enum(decoder *d, const fw_pb_field *f, int32_t number) {
    const fw_pb_enum *e = d->schema.enums + f->target;
    const char *name = fw_pb_value_name(&d->schema, e, number);
    if (e->is_null)
        fw_payload_put(d->out, "null", 4);
    else if (name != NULL)
        fw_payload_put_string(d->out, name, strlen(name));
    else
        fw_payload_put_i64(d->out, number);
}

/* 64-bit integers stand in quotes. */
static void put_long(decoder *d, uint64_t value, bool is_signed) {
    fw_payload_put_char(d->out, '"');
    if (is_signed)
        fw_payload_put_i64(d->out, (int64_t)value);
    else
        fw_payload_put_u64(d->out, value);
    fw_payload_put_char(d->out, '"');
}

static void put_value(decoder *d, const fw_pb_field *f, uint64_t v) {
    switch ((fw_pb_type)f->type) {
    case FW_PB_DOUBLE:
        fw_payload_put_double(d->out, as_double(v));
        break;
    case FW_PB_FLOAT:
        fw_payload_put_float(d->out, as_float(v));
        break;
    case FW_PB_INT64:
    case FW_PB_SFIXED64:
        put_long(d, v, true);
        break;
    case FW_PB_SINT64:
        put_long(d, v >> 1 ^ (0 - (v & 1)), true);
        break;
    case FW_PB_UINT64:
    case FW_PB_FIXED64:
        put_long(d, v, false);
        break;
    case FW_PB_INT32:
    case FW_PB_SFIXED32:
        fw_payload_put_i64(d->out, (int32_t)(uint32_t)v);
        break;
    case FW_PB_SINT32: {
        uint32_t low = (uint32_t)v;
        fw_payload_put_i64(d->out, (int32_t)(low >> 1 ^ (0 - (low & 1))));
        break;
    }
    case FW_PB_UINT32:
    case FW_PB_FIXED32:
        fw_payload_put_u64(d->out, (uint32_t)v);
        break;
    case FW_PB_BOOL:
        fw_payload_put(d->out, v ? "true" : "false", v ? 4 : 5);
        break;
    case FW_PB_ENUM:
        put_enum(d, f, (int32_t)(uint32_t)v);
        break;
    default:
        FW_ASSERT(false && "a scalar type");
    }
}

/* Everything but messages. entry NULL: the type's default. */
static void put_entry(decoder *d, const fw_pb_field *f, const entry *e) {
    static const uint8_t nothing[1];
    const uint8_t *at = e ? e->at : nothing;
    size_t size = e ? e->size_bytes : 0;
    if (f->type == FW_PB_STRING)
        fw_payload_put_string(d->out, at, size);
    else if (f->type == FW_PB_BYTES)
        fw_payload_put_base64(d->out, at, size);
    else
        put_value(d, f, e ? e->value : 0);
}

static fw_status put_packed(decoder *d, frame *f, const fw_pb_field *field, const entry *e) {
    fw_wire wire = {e->at, e->at + e->size_bytes};
    fw_wire_type type = wire_type_of(field);
    while (wire.at < wire.end && d->out->failed == FW_OK) {
        uint64_t value;
        bool ok = type == FW_WIRE_VARINT
                      ? fw_wire_varint(&wire, &value)
                      : fw_wire_fixed(&wire, type == FW_WIRE_I64 ? 8 : 4, &value);
        if (!ok) return fail(d, FW_CORRUPT, "a packed list that is cut off");
        if (f->has_comma) fw_payload_put_char(d->out, ',');
        f->has_comma = true;
        put_value(d, field, value);
    }
    return FW_OK;
}

/* ------------------------------------------------------------ Timestamp, Duration ----- */

/* The last values of fields 1 (seconds) and 2 (nanos). */
static void find_time(const decoder *d, const fw_pb_message *m, uint32_t first, int64_t *seconds,
                      int64_t *nanos) {
    *seconds = *nanos = 0;
    for (size_t i = first; i < d->entry_count; i++) {
        const fw_pb_field *f = d->schema.fields + m->first_field + d->entries[i].field;
        if (f->type == FW_PB_INT64 && f->number == 1) *seconds = (int64_t)d->entries[i].value;
        if (f->type == FW_PB_INT32 && f->number == 2) *nanos = (int32_t)d->entries[i].value;
    }
}

/* ".5", ".000001", with 3, 6 or 9 digits; nothing for 0. */
static void print_nanos(char *out, size_t size, int64_t nanos) {
    if (nanos == 0) {
        out[0] = '\0';
        return;
    }
    int digits = nanos % 1000000 == 0 ? 3 : nanos % 1000 == 0 ? 6 : 9;
    int64_t scaled = digits == 3 ? nanos / 1000000 : digits == 6 ? nanos / 1000 : nanos;
    snprintf(out, size, ".%0*" PRId64, digits, scaled);
}

/* Days since 1970-01-01 to a date (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms"). */
static void civil(int64_t days, int64_t *year, int *month, int *day) {
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t of_era = days - era * 146097;
    int64_t years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * years + years / 4 - years / 100);
    int64_t shifted = (5 * of_year + 2) / 153;
    *day = (int)(of_year - (153 * shifted + 2) / 5 + 1);
    *month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year = years + era * 400 + (*month <= 2);
}

/* Writes a time as text; false when it is outside of what the mapping allows. */
static bool put_time(decoder *d, const fw_pb_message *m, uint32_t first) {
    int64_t seconds, nanos, year;
    char fraction[16], text[64];
    int month, day;
    find_time(d, m, first, &seconds, &nanos);
    if (m->special == FW_PB_DURATION) {
        bool is_negative = seconds < 0 || nanos < 0;
        bool ok = seconds >= -315576000000 && seconds <= 315576000000 && nanos > -1000000000 &&
                  nanos < 1000000000 && (seconds <= 0 || nanos >= 0) &&
                  (seconds >= 0 || nanos <= 0);
        if (!ok) return false;
        print_nanos(fraction, sizeof fraction, nanos < 0 ? -nanos : nanos);
        snprintf(text, sizeof text, "\"%s%" PRId64 "%ss\"", is_negative ? "-" : "",
                 seconds < 0 ? -seconds : seconds, fraction);
    } else {
        bool ok =
            seconds >= -62135596800 && seconds <= 253402300799 && nanos >= 0 && nanos < 1000000000;
        if (!ok) return false;
        int64_t days = seconds / 86400 - (seconds % 86400 < 0), rest = seconds - days * 86400;
        civil(days, &year, &month, &day);
        print_nanos(fraction, sizeof fraction, nanos);
        snprintf(text, sizeof text, "\"%04d-%02d-%02dT%02d:%02d:%02d%sZ\"", (int)year, month, day,
                 (int)(rest / 3600), (int)(rest / 60 % 60), (int)(rest % 60), fraction);
    }
    fw_payload_put(d->out, text, strlen(text));
    return true;
}

/* ------------------------------------------------------------------------ frames ----- */

/* Opens the message whose spans are the entries [from, to). */
static fw_status push(decoder *d, uint32_t message, uint32_t from, uint32_t to, bool is_map_entry) {
    const fw_pb_message *m = d->schema.messages + message;
    if (d->depth == d->depth_max) return fail(d, FW_TOO_BIG, "nested too deeply");
    uint32_t first = (uint32_t)d->entry_count;
    for (uint32_t i = from; i < to; i++)
        FW_TRY(add_entries(d, m, d->entries[i].at, d->entries[i].size_bytes));
    if ((m->special == FW_PB_TIMESTAMP || m->special == FW_PB_DURATION) && put_time(d, m, first)) {
        d->entry_count = first;
        return FW_OK;
    }
    if (d->entry_count > first) sort_entries(d->entries + first, d->entry_count - first);
    d->frames[d->depth++] = (frame){.message = message,
                                    .field = UINT32_MAX,
                                    .first = first,
                                    .at = first,
                                    .end = (uint32_t)d->entry_count,
                                    .is_map_entry = is_map_entry};
    if (!is_map_entry) fw_payload_put_char(d->out, '{');
    return FW_OK;
}

static void pop(decoder *d) {
    d->entry_count = d->frames[--d->depth].first;
}

static bool is_message(const fw_pb_field *f) {
    return f->type == FW_PB_MESSAGE || f->type == FW_PB_GROUP;
}

/* The entries of the next field to write, as [*from, *to): of a oneof only the member that came
 * last. Returns the entry behind the group. */
static uint32_t next_run(const decoder *d, const frame *f, uint32_t *from, uint32_t *to) {
    const entry *e = d->entries;
    uint32_t end = f->at, last = f->at;
    for (; end < f->end && e[end].group == e[f->at].group; end++)
        if (e[end].place > e[last].place) last = end;
    *from = *to = last;
    while (*from > f->at && e[*from - 1].field == e[last].field) (*from)--;
    while (*to < end && e[*to].field == e[last].field) (*to)++;
    return end;
}

static fw_status begin_field(decoder *d, frame *f) {
    uint32_t from, to, end = next_run(d, f, &from, &to);
    f->field = d->entries[from].field;
    const fw_pb_field *field = field_of(d, f);
    if (f->has_comma) fw_payload_put_char(d->out, ',');
    f->has_comma = true;
    fw_payload_put(d->out, field->key, field->key_bytes);
    if (field->is_repeated) {
        fw_payload_put_char(d->out, field->is_map ? '{' : '[');
        f->at = f->item = from;
        f->run_end = to;
        f->to = end;
        f->in_list = true;
        f->has_comma = false;
        return FW_OK;
    }
    f->at = end;
    if (is_message(field)) return push(d, field->target, from, to, false);
    put_entry(d, field, d->entries + to - 1);
    return FW_OK;
}

static fw_status list_item(decoder *d, frame *f) {
    const fw_pb_field *field = field_of(d, f);
    if (f->item == f->run_end) {
        fw_payload_put_char(d->out, field->is_map ? '}' : ']');
        f->at = f->to;
        f->in_list = false;
        f->has_comma = true;
        return FW_OK;
    }
    uint32_t item = f->item++;
    const entry *e = d->entries + item;
    if (is_scalar(field) && e->size_bytes != SCALAR) return put_packed(d, f, field, e);
    if (f->has_comma) fw_payload_put_char(d->out, ',');
    f->has_comma = true;
    if (is_message(field)) return push(d, field->target, item, item + 1, field->is_map);
    put_entry(d, field, e);
    return FW_OK;
}

/* The entries of one field of a map's entry. */
static void find_run(const decoder *d, const frame *f, const fw_pb_field *field, uint32_t *from,
                     uint32_t *to) {
    uint32_t position =
        (uint32_t)(field - (d->schema.fields + d->schema.messages[f->message].first_field));
    *from = f->first;
    while (*from < f->end && d->entries[*from].field != position) (*from)++;
    *to = *from;
    while (*to < f->end && d->entries[*to].field == position) (*to)++;
}

static fw_status step_map_entry(decoder *d, frame *f) {
    const fw_pb_message *m = d->schema.messages + f->message;
    const fw_pb_field *key = fw_pb_field_of(&d->schema, m, 1);
    const fw_pb_field *value = fw_pb_field_of(&d->schema, m, 2);
    uint32_t from, to;
    if (f->is_value_done) {
        pop(d);
        return FW_OK;
    }
    find_run(d, f, key, &from, &to);
    /* Strings and 64-bit integers bring their quotes. */
    bool quotes = key->type != FW_PB_STRING && key->type != FW_PB_INT64 &&
                  key->type != FW_PB_UINT64 && key->type != FW_PB_SINT64 &&
                  key->type != FW_PB_FIXED64 && key->type != FW_PB_SFIXED64;
    if (quotes) fw_payload_put_char(d->out, '"');
    put_entry(d, key, to > from ? d->entries + to - 1 : NULL);
    if (quotes) fw_payload_put_char(d->out, '"');
    fw_payload_put_char(d->out, ':');
    find_run(d, f, value, &from, &to);
    f->is_value_done = true;
    if (is_message(value)) return push(d, value->target, from, to, false);
    put_entry(d, value, to > from ? d->entries + to - 1 : NULL);
    return FW_OK;
}

static fw_status step(decoder *d) {
    frame *f = d->frames + d->depth - 1;
    if (f->is_map_entry) return step_map_entry(d, f);
    if (f->in_list) return list_item(d, f);
    if (f->at < f->end) return begin_field(d, f);
    fw_payload_put_char(d->out, '}');
    pop(d);
    return FW_OK;
}

/* ------------------------------------------------------------------------ public ----- */

fw_status fw_payload_protobuf_open(const fw_payload_limits *limits, fw_mcap_text root,
                                   const uint8_t *set, size_t size_bytes, fw_payload_protobuf **out,
                                   fw_error *error) {
    decoder *d = calloc(1, sizeof *d);
    frame *frames = calloc(limits->depth_max, sizeof *frames);
    fw_status status = fw_fail(error, FW_NO_MEMORY, "protobuf: out of memory");
    if (d != NULL && frames != NULL)
        status = fw_pb_schema_open(&d->schema, limits, root, set, size_bytes, error);
    if (status != FW_OK) {
        free(frames);
        fw_payload_protobuf_close(d);
        return status;
    }
    d->frames = frames;
    d->depth_max = limits->depth_max;
    d->entries_max = limits->values_max;
    *out = d;
    return FW_OK;
}

void fw_payload_protobuf_close(fw_payload_protobuf *protobuf) {
    if (protobuf == NULL) return;
    fw_pb_schema_close(&protobuf->schema);
    free(protobuf->entries);
    free(protobuf->frames);
    free(protobuf);
}

fw_status fw_payload_decode_protobuf(fw_payload_protobuf *protobuf, const uint8_t *bytes,
                                     size_t size_bytes, fw_payload_text *out, fw_error *error) {
    decoder *d = protobuf;
    d->depth = 0;
    d->entry_count = 0;
    d->out = out;
    d->error = error;
    static const uint8_t nothing[1];
    if (size_bytes >= SCALAR) return fail(d, FW_TOO_BIG, "a message of over 4 GiB");
    if (!fw_payload_grow((void **)&d->entries, &d->entry_room, 0, sizeof *d->entries,
                         d->entries_max))
        return fail(d, FW_NO_MEMORY, "out of memory");
    d->entries[d->entry_count++] =
        (entry){.size_bytes = (uint32_t)size_bytes, .at = bytes ? bytes : nothing};
    FW_TRY(push(d, d->schema.root, 0, 1, false));
    while (d->depth > 0 && out->failed == FW_OK) FW_TRY(step(d));
    return FW_OK;
}
