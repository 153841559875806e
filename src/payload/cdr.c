/* CDR (and ROS 1) data to JSON: one frame an open struct, array or sequence, no recursion.
 *
 *   CDR:    4 bytes: 0, representation, 2 of options | values, each aligned to its own size from
 * there ROS 1:  values, packed, little-endian string: u32 length, bytes (CDR: the length counts a
 * closing zero)     sequence: u32 count, items
 */
#include "payload/cdr.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PADDING_MAX_BYTES = 7 };

typedef struct frame {
    uint32_t type, at, count; /* count: fields or items */
} frame;

struct fw_payload_cdr {
    fw_cdr_schema schema;
    frame *frames; /* (depth_max) */
    uint32_t depth, depth_max;
    const uint8_t *start, *at, *end; /* start: where alignment counts from */
    bool is_big_endian, is_aligned;
    fw_payload_text *out;
    fw_error *error;
};
typedef fw_payload_cdr decoder;

/* "pkg/msg/Root: pose.points[3].x: why" */
static fw_status fail(const decoder *d, fw_status status, const char *why) {
    char path[220] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < d->depth && used + 2 < sizeof path; i++) {
        const frame *f = d->frames + i;
        const fw_cdr_type *t = d->schema.types + f->type;
        int wrote = 0;
        if (t->kind != FW_CDR_STRUCT)
            wrote = snprintf(path + used, sizeof path - used, "[%" PRIu32 "]",
                             f->at > 0 ? f->at - 1 : 0);
        else if (f->at > 0)
            wrote = snprintf(path + used, sizeof path - used, "%s%.60s", used ? "." : "",
                             d->schema.fields[t->first + f->at - 1].name);
        used += wrote > 0 ? (size_t)wrote : 0;
    }
    const char *name = d->schema.types[d->schema.root].name;
    return fw_fail(d->error, status, "cdr: %.100s: %s%s%s", name ? name : "", path,
                   *path ? ": " : "", why);
}

/* ----------------------------------------------------------------------- numbers ----- */

static const uint8_t sizes[FW_CDR_PRIMITIVES] = {1, 1, 1, 2, 2, 4, 4, 8, 8, 4, 8};

/* False: the bytes end before. */
static bool align(decoder *d, size_t size_bytes) {
    size_t over = d->is_aligned ? (size_t)(d->at - d->start) % size_bytes : 0;
    size_t skip = over ? size_bytes - over : 0;
    if ((size_t)(d->end - d->at) < skip) return false;
    d->at += skip;
    return true;
}

static uint64_t load(const decoder *d, const uint8_t *at, size_t size_bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < size_bytes; i++)
        value |= (uint64_t)at[i] << 8 * (d->is_big_endian ? size_bytes - 1 - i : i);
    return value;
}

static bool get_u32(decoder *d, uint32_t *out) {
    if (!align(d, 4) || d->end - d->at < 4) return false;
    *out = (uint32_t)load(d, d->at, 4);
    d->at += 4;
    return true;
}

static void put_number(decoder *d, fw_cdr_kind kind, uint64_t v) {
    double wide;
    float narrow;
    uint32_t low = (uint32_t)v;
    switch (kind) {
    case FW_CDR_BOOL:
        fw_payload_put(d->out, v ? "true" : "false", v ? 4 : 5);
        break;
    case FW_CDR_I8:
        fw_payload_put_i64(d->out, (int8_t)(uint8_t)v);
        break;
    case FW_CDR_I16:
        fw_payload_put_i64(d->out, (int16_t)(uint16_t)v);
        break;
    case FW_CDR_I32:
        fw_payload_put_i64(d->out, (int32_t)low);
        break;
    case FW_CDR_I64:
        fw_payload_put_i64(d->out, (int64_t)v);
        break;
    case FW_CDR_F32:
        memcpy(&narrow, &low, sizeof narrow);
        fw_payload_put_float(d->out, narrow);
        break;
    case FW_CDR_F64:
        memcpy(&wide, &v, sizeof wide);
        fw_payload_put_double(d->out, wide);
        break;
    default:
        fw_payload_put_u64(d->out, v);
    }
}

/* `count` numbers of one kind with commas between. */
static fw_status put_numbers(decoder *d, fw_cdr_kind kind, uint32_t count) {
    size_t size = sizes[kind];
    if (count == 0) return FW_OK;
    if (!align(d, size) || (uint64_t)(d->end - d->at) < (uint64_t)count * size)
        return fail(d, FW_CORRUPT, "the data ends before");
    for (uint32_t i = 0; i < count && d->out->failed == FW_OK; i++, d->at += size) {
        if (i > 0) fw_payload_put_char(d->out, ',');
        put_number(d, kind, load(d, d->at, size));
    }
    return FW_OK;
}

static fw_status put_octets(decoder *d, uint32_t count) {
    if ((uint64_t)(d->end - d->at) < count) return fail(d, FW_CORRUPT, "the data ends before");
    fw_payload_put_base64(d->out, d->at, count);
    d->at += count;
    return FW_OK;
}

/* ----------------------------------------------------------------------- strings ----- */

static fw_status put_string(decoder *d) {
    uint32_t size;
    if (!get_u32(d, &size) || (size_t)(d->end - d->at) < size)
        return fail(d, FW_CORRUPT, "a string longer than the data");
    size_t shown = size;
    if (d->is_aligned && size > 0) { /* CDR counts the closing zero; some writers send 0 for "" */
        if (d->at[size - 1] != 0) return fail(d, FW_CORRUPT, "a string without its closing zero");
        shown = size - 1;
    }
    fw_payload_put_string(d->out, d->at, shown);
    d->at += size;
    return FW_OK;
}

static fw_status put_wstring(decoder *d) {
    uint32_t count;
    if (!get_u32(d, &count) || (uint64_t)(d->end - d->at) < 2 * (uint64_t)count)
        return fail(d, FW_CORRUPT, "a wide string longer than the data");
    fw_payload_put_char(d->out, '"');
    for (uint32_t i = 0; i < count && d->out->failed == FW_OK; i++) {
        uint32_t unit = (uint32_t)load(d, d->at + 2 * i, 2);
        bool is_high = unit >= 0xd800 && unit < 0xdc00 && i + 1 < count;
        uint32_t low = is_high ? (uint32_t)load(d, d->at + 2 * (size_t)(i + 1), 2) : 0;
        if (low >= 0xdc00 && low < 0xe000) {
            unit = 0x10000 + ((unit - 0xd800) << 10 | (low - 0xdc00));
            i++;
        }
        fw_payload_put_point(d->out, unit);
    }
    fw_payload_put_char(d->out, '"');
    d->at += 2 * (size_t)count;
    return FW_OK;
}

static fw_status put_enum(decoder *d, const fw_cdr_type *t) {
    uint32_t number, low = 0, high = t->count;
    if (!get_u32(d, &number)) return fail(d, FW_CORRUPT, "the data ends before");
    const fw_cdr_value *values = d->schema.values + t->first;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (values[middle].number < (int32_t)number)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < t->count && values[low].number == (int32_t)number)
        fw_payload_put_string(d->out, values[low].name, strlen(values[low].name));
    else
        fw_payload_put_i64(d->out, (int32_t)number);
    return FW_OK;
}

/* ------------------------------------------------------------------------ frames ----- */

static fw_status push(decoder *d, uint32_t type, uint32_t count, char bracket) {
    if (d->depth == d->depth_max) return fail(d, FW_TOO_BIG, "nested too deeply");
    d->frames[d->depth++] = (frame){.type = type, .count = count};
    fw_payload_put_char(d->out, bracket);
    return FW_OK;
}

/* A struct without fields is one byte in ROS 2, which C needs; the end of the data may lack it. */
static fw_status put_struct(decoder *d, uint32_t type) {
    const fw_cdr_type *t = d->schema.types + type;
    if (t->count == 0 && d->schema.language == FW_PAYLOAD_ROS2MSG && d->at < d->end) d->at++;
    return push(d, type, t->count, '{');
}

static fw_status put_array(decoder *d, uint32_t type) {
    const fw_cdr_type *t = d->schema.types + type;
    uint32_t count = t->bound;
    if (t->kind == FW_CDR_SEQUENCE) {
        if (!get_u32(d, &count)) return fail(d, FW_CORRUPT, "the data ends before");
        if (count > t->bound) return fail(d, FW_CORRUPT, "a sequence longer than its bound");
    }
    if (t->element == FW_CDR_OCTET) return put_octets(d, count);
    if (t->element >= FW_CDR_PRIMITIVES) return push(d, type, count, '[');
    fw_payload_put_char(d->out, '[');
    FW_TRY(put_numbers(d, (fw_cdr_kind)t->element, count));
    fw_payload_put_char(d->out, ']');
    return FW_OK;
}

static fw_status put_value(decoder *d, uint32_t type) {
    const fw_cdr_type *t = d->schema.types + type;
    switch (t->kind) {
    case FW_CDR_STRING:
        return put_string(d);
    case FW_CDR_WSTRING:
        return put_wstring(d);
    case FW_CDR_ENUM:
        return put_enum(d, t);
    case FW_CDR_STRUCT:
        return put_struct(d, type);
    case FW_CDR_ARRAY:
    case FW_CDR_SEQUENCE:
        return put_array(d, type);
    default:
        return put_numbers(d, t->kind, 1);
    }
}

static fw_status step(decoder *d) {
    frame *f = d->frames + d->depth - 1;
    const fw_cdr_type *t = d->schema.types + f->type;
    bool is_struct = t->kind == FW_CDR_STRUCT;
    if (f->at == f->count) {
        fw_payload_put_char(d->out, is_struct ? '}' : ']');
        d->depth--;
        return FW_OK;
    }
    if (f->at > 0) fw_payload_put_char(d->out, ',');
    uint32_t at = f->at++;
    if (!is_struct) return put_value(d, t->element);
    const fw_cdr_field *field = d->schema.fields + t->first + at;
    fw_payload_put(d->out, field->key, field->key_bytes);
    return put_value(d, field->type);
}

/* ------------------------------------------------------------------------ public ----- */

static fw_status read_header(decoder *d) {
    static const char *const names[] = {"CDR_BE",    "CDR_LE",    "PL_CDR_BE",  "PL_CDR_LE",
                                        NULL,        NULL,        "CDR2_BE",    "CDR2_LE",
                                        "D_CDR2_BE", "D_CDR2_LE", "PL_CDR2_BE", "PL_CDR2_LE"};
    if (d->end - d->at < 4) return fail(d, FW_CORRUPT, "shorter than the header of CDR");
    uint8_t kind = d->at[1];
    if (d->at[0] != 0 || kind > 1) {
        bool is_named = d->at[0] == 0 && kind < sizeof names / sizeof *names && names[kind];
        return fw_fail(d->error, is_named ? FW_UNSUPPORTED : FW_CORRUPT,
                       "cdr: %.100s: representation 0x%02x%02x (%s); only plain CDR is read",
                       d->schema.types[d->schema.root].name, d->at[0], kind,
                       is_named ? names[kind] : "unknown");
    }
    d->is_big_endian = kind == 0;
    d->at += 4;
    d->start = d->at;
    return FW_OK;
}

fw_status fw_payload_decode_cdr(fw_payload_cdr *cdr, const uint8_t *bytes, size_t size_bytes,
                                fw_payload_text *out, fw_error *error) {
    decoder *d = cdr;
    static const uint8_t nothing[1];
    d->depth = 0;
    d->out = out;
    d->error = error;
    d->start = d->at = bytes ? bytes : nothing;
    d->end = d->at + size_bytes;
    d->is_big_endian = false;
    d->is_aligned = d->schema.language != FW_PAYLOAD_ROS1MSG;
    if (d->is_aligned) FW_TRY(read_header(d));
    FW_TRY(put_value(d, d->schema.root));
    while (d->depth > 0 && out->failed == FW_OK) FW_TRY(step(d));
    if (out->failed == FW_OK && d->end - d->at > PADDING_MAX_BYTES)
        return fw_fail(error, FW_CORRUPT, "cdr: %.100s: %td bytes are left behind the last field",
                       d->schema.types[d->schema.root].name, d->end - d->at);
    return FW_OK;
}

static fw_status build(fw_cdr_schema *s, fw_mcap_text name, const char *text, size_t size_bytes) {
    const char *root = NULL;
    for (uint32_t kind = 0, position; kind < FW_CDR_NAMED_KINDS; kind++) {
        FW_TRY(fw_cdr_add_type(s, (fw_cdr_type){.kind = (fw_cdr_kind)kind}, &position));
        FW_ASSERT(position == kind);
    }
    if (s->language == FW_PAYLOAD_IDL)
        FW_TRY(fw_cdr_read_idl(s, name, text, size_bytes, &root));
    else
        FW_TRY(fw_cdr_read_rosmsg(s, name, text, size_bytes, &root));
    return fw_cdr_resolve(s, root);
}

fw_status fw_payload_cdr_open(const fw_payload_limits *limits, fw_payload_language language,
                              fw_mcap_text root, const uint8_t *text, size_t size_bytes,
                              fw_payload_cdr **out, fw_error *error) {
    decoder *d = calloc(1, sizeof *d);
    if (d != NULL) d->frames = calloc(limits->depth_max, sizeof *d->frames);
    if (d == NULL || d->frames == NULL) {
        free(d);
        return fw_fail(error, FW_NO_MEMORY, "cdr: out of memory");
    }
    d->depth_max = limits->depth_max;
    d->schema =
        (fw_cdr_schema){.language = language, .items_max = limits->fields_max, .error = error};
    d->schema.arena.max_bytes = limits->schema_max_bytes;
    fw_status status = build(&d->schema, root, text ? (const char *)text : "", size_bytes);
    d->schema.error = NULL;
    if (status != FW_OK)
        fw_payload_cdr_close(d);
    else
        *out = d;
    return status;
}

void fw_payload_cdr_close(fw_payload_cdr *cdr) {
    if (cdr == NULL) return;
    free(cdr->schema.types);
    free(cdr->schema.fields);
    free(cdr->schema.values);
    free(cdr->schema.symbols);
    fw_payload_arena_free(&cdr->schema.arena);
    free(cdr->frames);
    free(cdr);
}
