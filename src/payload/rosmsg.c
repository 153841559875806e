/* ROS message text (ros2msg and ros1msg): lines, and further types behind lines of "====". */
#include <stdlib.h>
#include <string.h>

#include "payload/cdr.h"

typedef struct span {
    const char *at;
    size_t size;
} span;

typedef struct reader {
    fw_cdr_schema *schema;
    const char *at, *end;
    uint32_t line;
    span package;            /* of the section */
    uint32_t type;           /* of the section */
    uint32_t time, duration; /* ROS's own types */
} reader;

static bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

static span trim(span s) {
    while (s.size > 0 && is_space(s.at[0])) s = (span){s.at + 1, s.size - 1};
    while (s.size > 0 && is_space(s.at[s.size - 1])) s.size--;
    return s;
}

static bool starts(span s, const char *text) {
    return s.size >= strlen(text) && memcmp(s.at, text, strlen(text)) == 0;
}

static bool is(span s, const char *text) {
    return s.size == strlen(text) && starts(s, text);
}

static bool next_line(reader *r, span *line) {
    if (r->at == r->end) return false;
    const char *end = memchr(r->at, '\n', (size_t)(r->end - r->at));
    if (end == NULL) end = r->end;
    *line = trim((span){r->at, (size_t)(end - r->at)});
    r->at = end == r->end ? end : end + 1;
    r->line++;
    return true;
}

static fw_status fail(const reader *r, span what, const char *why) {
    char text[80];
    size_t size = what.size < sizeof text - 1 ? what.size : sizeof text - 1;
    memcpy(text, what.at, size);
    text[size] = '\0';
    return fw_cdr_fail(r->schema, FW_CORRUPT, r->line, text, why);
}

/* "pkg/msg/Type" and "pkg/Type" as "pkg/Type", "Type" with the package of its section. */
static fw_status full_name(reader *r, span name, const char **out) {
    char joined[300];
    const char *slash = memchr(name.at, '/', name.size);
    span package = r->package, last = name;
    if (slash != NULL) {
        package.at = name.at;
        package.size = (size_t)(slash - name.at);
        for (const char *c = name.at; c < name.at + name.size; c++)
            if (*c == '/') last = (span){c + 1, (size_t)(name.at + name.size - c - 1)};
    } else if (is(name, "Header") && r->schema->language == FW_PAYLOAD_ROS1MSG) {
        package = (span){"std_msgs", 8};
    }
    if (package.size + last.size + 2 > sizeof joined || last.size == 0)
        return fail(r, name, "no name of a type");
    memcpy(joined, package.at, package.size);
    joined[package.size] = '/';
    memcpy(joined + package.size + 1, last.at, last.size);
    return fw_cdr_copy(r->schema, joined, package.size + 1 + last.size, out);
}

/* Begins the type of a section; its fields follow one another. */
static fw_status begin_section(reader *r, span name, const char **full) {
    const char *slash = memchr(name.at, '/', name.size);
    r->package = (span){name.at, slash ? (size_t)(slash - name.at) : 0};
    FW_TRY(full_name(r, name, full));
    FW_TRY(fw_cdr_add_type(r->schema,
                           (fw_cdr_type){.kind = FW_CDR_STRUCT,
                                         .name = *full,
                                         .line = r->line,
                                         .first = (uint32_t)r->schema->field_count},
                           &r->type));
    return fw_cdr_add_symbol(r->schema, *full, r->type, 0);
}

/* -------------------------------------------------------------------------- types ----- */

static bool primitive(const reader *r, span name, uint32_t *type) {
    static const struct {
        const char *name;
        fw_cdr_kind kind, kind_of_ros1;
    } kinds[] = {
        {"bool", FW_CDR_BOOL, FW_CDR_BOOL},       {"byte", FW_CDR_OCTET, FW_CDR_I8},
        {"char", FW_CDR_OCTET, FW_CDR_OCTET},     {"int8", FW_CDR_I8, FW_CDR_I8},
        {"uint8", FW_CDR_OCTET, FW_CDR_OCTET},    {"int16", FW_CDR_I16, FW_CDR_I16},
        {"uint16", FW_CDR_U16, FW_CDR_U16},       {"int32", FW_CDR_I32, FW_CDR_I32},
        {"uint32", FW_CDR_U32, FW_CDR_U32},       {"int64", FW_CDR_I64, FW_CDR_I64},
        {"uint64", FW_CDR_U64, FW_CDR_U64},       {"float32", FW_CDR_F32, FW_CDR_F32},
        {"float64", FW_CDR_F64, FW_CDR_F64},      {"string", FW_CDR_STRING, FW_CDR_STRING},
        {"wstring", FW_CDR_WSTRING, FW_CDR_NAME},
    };
    bool is_ros1 = r->schema->language == FW_PAYLOAD_ROS1MSG;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!is(name, kinds[i].name)) continue;
        *type = is_ros1 ? kinds[i].kind_of_ros1 : kinds[i].kind;
        return *type != FW_CDR_NAME;
    }
    *type = is(name, "time") ? r->time : r->duration;
    return is(name, "time") || is(name, "duration");
}

/* Digits to the end. */
static bool size_of(span digits, uint32_t *out) {
    uint64_t value = 0;
    for (size_t i = 0; i < digits.size; i++) {
        if (digits.at[i] < '0' || digits.at[i] > '9') return false;
        value = value * 10 + (uint64_t)(digits.at[i] - '0');
        if (value > UINT32_MAX) return false;
    }
    *out = (uint32_t)value;
    return digits.size > 0;
}

/* What stands in the brackets: "", "5" or "<=5". */
static fw_status add_array(reader *r, span inside, uint32_t element, uint32_t *type) {
    fw_cdr_type t = {
        .kind = FW_CDR_SEQUENCE, .element = element, .bound = UINT32_MAX, .line = r->line};
    bool has_bound = starts(inside, "<=");
    span digits = has_bound ? (span){inside.at + 2, inside.size - 2} : inside;
    if (!has_bound && inside.size > 0) t.kind = FW_CDR_ARRAY;
    if (inside.size > 0 && !size_of(digits, &t.bound))
        return fail(r, inside, "no size of an array");
    return fw_cdr_add_type(r->schema, t, type);
}

/* "int32", "string<=10", "pkg/Type[<=3]", ... */
static fw_status read_type(reader *r, span text, uint32_t *type) {
    const char *bracket = memchr(text.at, '[', text.size);
    span base = {text.at, bracket ? (size_t)(bracket - text.at) : text.size};
    const char *less = memchr(base.at, '<', base.size);
    uint32_t unused;
    if (less != NULL) {
        span bound = {less, (size_t)(base.at + base.size - less)};
        base.size = (size_t)(less - base.at);
        bool ok = (is(base, "string") || is(base, "wstring")) && starts(bound, "<=") &&
                  size_of((span){bound.at + 2, bound.size - 2}, &unused);
        if (!ok) return fail(r, text, "no bound of a string");
    }
    for (size_t i = 0; i < base.size; i++)
        if (!is_name_char(base.at[i]) && base.at[i] != '/') return fail(r, text, "no type");
    if (base.size == 0) return fail(r, text, "no type");
    if (!primitive(r, base, type)) {
        fw_cdr_type t = {.kind = FW_CDR_NAME, .line = r->line};
        FW_TRY(full_name(r, base, &t.name));
        FW_TRY(fw_cdr_add_type(r->schema, t, type));
    }
    if (bracket == NULL) return FW_OK;
    span inside = {bracket + 1, (size_t)(text.at + text.size - bracket - 1)};
    if (inside.size == 0 || inside.at[inside.size - 1] != ']')
        return fail(r, text, "a [ without its ]");
    inside.size--;
    return add_array(r, inside, *type, type);
}

/* A line: "TYPE NAME", "TYPE NAME default", "TYPE NAME=constant", with a comment. */
static fw_status read_field(reader *r, span line) {
    size_t i = 0;
    while (i < line.size && !is_space(line.at[i]) && line.at[i] != '#') i++;
    span type_text = {line.at, i};
    while (i < line.size && is_space(line.at[i])) i++;
    size_t start = i;
    while (i < line.size && is_name_char(line.at[i])) i++;
    span name = {line.at + start, i - start};
    bool is_end = i == line.size || is_space(line.at[i]) || line.at[i] == '#' || line.at[i] == '=';
    while (i < line.size && is_space(line.at[i])) i++;
    if (name.size == 0 || !is_end) return fail(r, line, "no field of the form TYPE NAME");
    if (i < line.size && line.at[i] == '=') return FW_OK; /* a constant takes no bytes */
    uint32_t type;
    FW_TRY(read_type(r, type_text, &type));
    FW_TRY(fw_cdr_add_field(r->schema, name.at, name.size, type));
    r->schema->types[r->type].count++;
    return FW_OK;
}

/* Seconds and nanoseconds: ROS 1's own types, and ROS 2's where the text leaves them out. */
static fw_status add_time(reader *r, fw_cdr_kind seconds, const char *name, uint32_t *type) {
    bool is_ros1 = r->schema->language == FW_PAYLOAD_ROS1MSG;
    fw_cdr_type t = {
        .kind = FW_CDR_STRUCT, .name = name, .first = (uint32_t)r->schema->field_count, .count = 2};
    FW_TRY(fw_cdr_add_field(r->schema, "sec", 3, seconds));
    FW_TRY(is_ros1 ? fw_cdr_add_field(r->schema, "nsec", 4, seconds)
                   : fw_cdr_add_field(r->schema, "nanosec", 7, FW_CDR_U32));
    return fw_cdr_add_type(r->schema, t, type);
}

fw_status fw_cdr_read_rosmsg(fw_cdr_schema *schema, fw_mcap_text name, const char *text,
                             size_t size_bytes, const char **root) {
    reader r = {.schema = schema, .at = text, .end = text + size_bytes};
    const char *full;
    span line;
    bool wants_name = false;
    const char *const time = "builtin_interfaces/Time", *const duration =
                                                            "builtin_interfaces/Duration";
    bool is_ros1 = schema->language == FW_PAYLOAD_ROS1MSG;
    FW_TRY(add_time(&r, is_ros1 ? FW_CDR_U32 : FW_CDR_I32, time, &r.time));
    FW_TRY(add_time(&r, FW_CDR_I32, duration, &r.duration));
    FW_TRY(begin_section(&r, (span){name.bytes ? name.bytes : "", name.size_bytes}, root));
    while (next_line(&r, &line)) {
        if (line.size == 0 || line.at[0] == '#') continue;
        if (starts(line, "===")) {
            wants_name = true;
        } else if (wants_name) {
            if (!starts(line, "MSG:")) return fail(&r, line, "no \"MSG: \" behind a line of =");
            FW_TRY(begin_section(&r, trim((span){line.at + 4, line.size - 4}), &full));
            wants_name = false;
        } else {
            FW_TRY(read_field(&r, line));
        }
    }
    /* Behind the text's own definitions, which come first. */
    FW_TRY(fw_cdr_add_symbol(schema, time, r.time, 0));
    return fw_cdr_add_symbol(schema, duration, r.duration, 0);
}
