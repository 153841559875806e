/* OMG IDL as ROS 2 and DDS use it: modules, structs, enums, typedefs, constants, annotations.
 *
 * One token of look-ahead; modules and sequences nest on counters, not on the stack of the program.
 * What changes the bytes in ways that are not handled (unions, optional members, inheritance, ...)
 * is refused, never guessed.
 */
#include <stdlib.h>
#include <string.h>

#include "payload/cdr.h"

enum { SCOPE_MAX_BYTES = 400, NAME_MAX_BYTES = 200, SEQUENCES_MAX = 16 };

typedef enum token { END, NAME, NUMBER, TEXT, SIGN } token;

typedef struct parser {
    fw_cdr_schema *schema;
    const char *at, *end;
    uint32_t line;
    bool is_line_start;
    token token;
    const char *word; /* of the token */
    size_t word_bytes;
    char scope[SCOPE_MAX_BYTES];
} parser;

/* ------------------------------------------------------------------------ tokens ----- */

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool ahead(const parser *p, const char *text) {
    size_t size = strlen(text);
    return (size_t)(p->end - p->at) >= size && memcmp(p->at, text, size) == 0;
}

static void skip_line(parser *p) {
    while (p->at < p->end && *p->at != '\n') p->at++;
}

static void skip_comment(parser *p) {
    p->at += 2;
    while (p->at < p->end && !ahead(p, "*/")) {
        if (*p->at == '\n') p->line++;
        p->at++;
    }
    p->at += p->at < p->end ? 2 : 0;
}

/* White space, comments, preprocessor lines, and the lines between files ("====", "IDL: name"). */
static void skip_space(parser *p) {
    while (p->at < p->end) {
        char c = *p->at;
        if (c == '\n') {
            p->line++;
            p->is_line_start = true;
            p->at++;
        } else if (c == ' ' || c == '\t' || c == '\r') {
            p->at++;
        } else if (ahead(p, "//") ||
                   (p->is_line_start && (c == '#' || ahead(p, "===") || ahead(p, "IDL:")))) {
            skip_line(p);
        } else if (ahead(p, "/*")) {
            skip_comment(p);
        } else {
            return;
        }
    }
}

/* A text or character in quotes, with escapes. */
static void read_text(parser *p, char quote) {
    p->at++;
    while (p->at < p->end && *p->at != quote) {
        if (*p->at == '\n') p->line++;
        p->at += *p->at == '\\' && p->at + 1 < p->end ? 2 : 1;
    }
    if (p->at < p->end) p->at++;
}

/* Names take their colons along: a::b, ::a. */
static void read_name(parser *p) {
    if (ahead(p, "::")) p->at += 2;
    while (p->at < p->end) {
        if (is_letter(*p->at) || is_digit(*p->at))
            p->at++;
        else if (ahead(p, "::") && p->end - p->at > 2 && is_letter(p->at[2]))
            p->at += 2;
        else
            return;
    }
}

static void next(parser *p) {
    skip_space(p);
    p->is_line_start = false;
    p->word = p->at;
    if (p->at == p->end) {
        p->token = END;
    } else if (is_letter(*p->at) || (ahead(p, "::") && p->end - p->at > 2 && is_letter(p->at[2]))) {
        p->token = NAME;
        read_name(p);
    } else if (is_digit(*p->at)) {
        p->token = NUMBER;
        while (p->at < p->end && (is_letter(*p->at) || is_digit(*p->at) || *p->at == '.')) p->at++;
    } else if (*p->at == '"' || *p->at == '\'') {
        p->token = TEXT;
        read_text(p, *p->at);
    } else {
        p->token = SIGN;
        p->at++;
    }
    p->word_bytes = (size_t)(p->at - p->word);
}

static bool is(const parser *p, const char *text) {
    return p->token != TEXT && p->word_bytes == strlen(text) &&
           memcmp(p->word, text, p->word_bytes) == 0;
}

static bool take(parser *p, const char *text) {
    if (!is(p, text)) return false;
    next(p);
    return true;
}

static fw_status fail_as(const parser *p, fw_status status, const char *why) {
    char word[60];
    size_t size = p->word_bytes < sizeof word - 1 ? p->word_bytes : sizeof word - 1;
    memcpy(word, p->word, size);
    word[size] = '\0';
    return fw_cdr_fail(p->schema, status, p->line, p->token == END ? "the end" : word, why);
}

static fw_status fail(const parser *p, const char *why) {
    return fail_as(p, FW_CORRUPT, why);
}

static fw_status expect(parser *p, const char *text, const char *why) {
    return take(p, text) ? FW_OK : fail(p, why);
}

/* ------------------------------------------------------------------------- names ----- */

/* "scope::name" into out (SCOPE_MAX_BYTES). */
static fw_status join(const parser *p, char *out) {
    size_t scope = strlen(p->scope), colons = scope > 0 ? 2 : 0;
    if (scope + colons + p->word_bytes + 1 > SCOPE_MAX_BYTES || p->word_bytes > NAME_MAX_BYTES)
        return fail(p, "a name that is too long");
    memcpy(out, p->scope, scope);
    memcpy(out + scope, "::", colons);
    memcpy(out + scope + colons, p->word, p->word_bytes);
    out[scope + colons + p->word_bytes] = '\0';
    return FW_OK;
}

static fw_status want_name(const parser *p) {
    bool ok = p->token == NAME && memchr(p->word, ':', p->word_bytes) == NULL;
    return ok ? FW_OK : fail(p, "no name where one must stand");
}

static fw_status copy_scope(parser *p, const char **out) {
    return fw_cdr_copy(p->schema, p->scope, strlen(p->scope), out);
}

/* Words of a list; true when the token is one. */
static bool is_one_of(const parser *p, const char *const *words) {
    for (; *words; words++)
        if (is(p, *words)) return true;
    return false;
}

/* A whole number, decimal or 0x; false otherwise. */
static bool number_of(const parser *p, int64_t *out) {
    char digits[24];
    char *end;
    if (p->token != NUMBER || p->word_bytes >= sizeof digits) return false;
    memcpy(digits, p->word, p->word_bytes);
    digits[p->word_bytes] = '\0';
    *out = strtoll(digits, &end, digits[0] == '0' && (digits[1] | 32) == 'x' ? 16 : 10);
    return *end == '\0';
}

/* ------------------------------------------------------------------- annotations ----- */

/* "@name" or "@name(...)"; those that change the bytes are refused. *value: of @value(n). */
static fw_status skip_annotations(parser *p, bool *has_value, int64_t *value) {
    static const char *const refused[] = {"optional", "mutable",          "bit_bound", "external",
                                          "shared",   "nested_delimited", NULL};
    while (take(p, "@")) {
        bool is_value = is(p, "value"), is_extensibility = is(p, "extensibility");
        if (is_one_of(p, refused))
            return fail_as(p, FW_UNSUPPORTED, "an annotation that changes the bytes");
        if (p->token != NAME) return fail(p, "no annotation behind @");
        next(p);
        if (!is(p, "(")) continue;
        bool is_negative = false;
        for (uint32_t depth = 0;;) {
            if (p->token == END) return fail(p, "an annotation without its )");
            if (is(p, "(")) depth++;
            if (is(p, ")") && --depth == 0) break;
            if (is(p, "-")) is_negative = true;
            if (is_extensibility && is(p, "MUTABLE"))
                return fail_as(p, FW_UNSUPPORTED, "mutable types are not plain CDR");
            if (is_value && has_value != NULL && number_of(p, value)) {
                *has_value = true;
                *value = is_negative ? -*value : *value;
            }
            next(p);
        }
        next(p);
    }
    return FW_OK;
}

/* ------------------------------------------------------------------------- types ----- */

/* The words of a primitive type; false: it is a name. */
static bool read_primitive(parser *p, fw_cdr_kind *kind) {
    static const struct {
        const char *word;
        fw_cdr_kind kind;
    } kinds[] = {{"boolean", FW_CDR_BOOL},  {"octet", FW_CDR_OCTET},    {"char", FW_CDR_OCTET},
                 {"uint8", FW_CDR_OCTET},   {"int8", FW_CDR_I8},        {"wchar", FW_CDR_U16},
                 {"short", FW_CDR_I16},     {"int16", FW_CDR_I16},      {"uint16", FW_CDR_U16},
                 {"int32", FW_CDR_I32},     {"uint32", FW_CDR_U32},     {"int64", FW_CDR_I64},
                 {"uint64", FW_CDR_U64},    {"float", FW_CDR_F32},      {"double", FW_CDR_F64},
                 {"string", FW_CDR_STRING}, {"wstring", FW_CDR_WSTRING}};
    bool is_unsigned = take(p, "unsigned");
    if (take(p, "long")) {
        bool is_long = take(p, "long");
        *kind = is_long ? (is_unsigned ? FW_CDR_U64 : FW_CDR_I64)
                        : (is_unsigned ? FW_CDR_U32 : FW_CDR_I32);
        return true;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!take(p, kinds[i].word)) continue;
        *kind = is_unsigned && kinds[i].kind == FW_CDR_I16 ? FW_CDR_U16 : kinds[i].kind;
        return true;
    }
    return false;
}

/* A size: digits or the name of a constant. */
static fw_status read_bound(parser *p, fw_cdr_type *t) {
    int64_t value;
    t->line = p->line;
    if (p->token == NAME) {
        FW_TRY(fw_cdr_copy(p->schema, p->word, p->word_bytes, &t->bound_name));
        FW_TRY(copy_scope(p, &t->scope));
    } else if (number_of(p, &value) && value >= 0 && value <= UINT32_MAX) {
        t->bound = (uint32_t)value;
    } else {
        return fail(p, "no size");
    }
    next(p);
    return FW_OK;
}

/* "<n>" behind a string: checked, not needed. */
static fw_status skip_string_bound(parser *p) {
    fw_cdr_type unused = {0};
    if (!take(p, "<")) return FW_OK;
    FW_TRY(read_bound(p, &unused));
    return expect(p, ">", "a bound without its >");
}

static fw_status read_base(parser *p, uint32_t *type) {
    static const char *const refused[] = {"union",     "map",    "fixed",   "any",
                                          "valuetype", "bitset", "bitmask", "Object",
                                          "struct",    "enum",   NULL};
    fw_cdr_kind kind;
    FW_TRY(skip_annotations(p, NULL, NULL));
    if (is_one_of(p, refused))
        return fail_as(p, FW_UNSUPPORTED, "not handled as the type of a member");
    if (read_primitive(p, &kind)) {
        *type = kind;
        if (kind == FW_CDR_I32 && is(p, "double"))
            return fail_as(p, FW_UNSUPPORTED, "long double is not handled");
        return kind >= FW_CDR_PRIMITIVES ? skip_string_bound(p) : FW_OK;
    }
    if (p->token != NAME) return fail(p, "no type where one must stand");
    fw_cdr_type t = {.kind = FW_CDR_NAME, .line = p->line};
    FW_TRY(fw_cdr_copy(p->schema, p->word, p->word_bytes, &t.name));
    FW_TRY(copy_scope(p, &t.scope));
    next(p);
    return fw_cdr_add_type(p->schema, t, type);
}

/* A type, with sequence<...> around it any number of times. */
static fw_status read_type(parser *p, uint32_t *type) {
    unsigned open = 0;
    FW_TRY(skip_annotations(p, NULL, NULL));
    while (take(p, "sequence")) {
        if (++open > SEQUENCES_MAX) return fail(p, "sequences nested too deeply");
        FW_TRY(expect(p, "<", "sequence without its <"));
    }
    FW_TRY(read_base(p, type));
    for (; open > 0; open--) {
        fw_cdr_type t = {
            .kind = FW_CDR_SEQUENCE, .element = *type, .bound = UINT32_MAX, .line = p->line};
        if (take(p, ",")) FW_TRY(read_bound(p, &t));
        FW_TRY(expect(p, ">", "sequence without its >"));
        FW_TRY(fw_cdr_add_type(p->schema, t, type));
    }
    return FW_OK;
}

/* "[3][4]" behind a name: an array of 3 arrays of 4. */
static fw_status read_dimensions(parser *p, uint32_t *type) {
    fw_cdr_type dimensions[SEQUENCES_MAX];
    unsigned count = 0;
    while (take(p, "[")) {
        if (count == SEQUENCES_MAX) return fail(p, "too many dimensions");
        dimensions[count] = (fw_cdr_type){.kind = FW_CDR_ARRAY};
        FW_TRY(read_bound(p, dimensions + count++));
        FW_TRY(expect(p, "]", "a [ without its ]"));
    }
    while (count > 0) {
        dimensions[--count].element = *type;
        FW_TRY(fw_cdr_add_type(p->schema, dimensions[count], type));
    }
    return FW_OK;
}

/* ------------------------------------------------------------------- definitions ----- */

/* "TYPE a, b[3];" of a struct. */
static fw_status read_members(parser *p, fw_cdr_type *owner) {
    uint32_t base;
    FW_TRY(read_type(p, &base));
    do {
        uint32_t type = base;
        FW_TRY(skip_annotations(p, NULL, NULL));
        FW_TRY(want_name(p));
        const char *name = p->word;
        size_t name_bytes = p->word_bytes;
        next(p);
        FW_TRY(read_dimensions(p, &type));
        FW_TRY(fw_cdr_add_field(p->schema, name, name_bytes, type));
        owner->count++;
    } while (take(p, ","));
    return expect(p, ";", "a member without its ;");
}

static fw_status read_struct(parser *p) {
    char full[SCOPE_MAX_BYTES];
    fw_cdr_type t = {
        .kind = FW_CDR_STRUCT, .first = (uint32_t)p->schema->field_count, .line = p->line};
    uint32_t position;
    FW_TRY(want_name(p));
    FW_TRY(join(p, full));
    next(p);
    if (is(p, ";")) return FW_OK; /* a forward declaration */
    if (is(p, ":")) return fail_as(p, FW_UNSUPPORTED, "inheritance is not handled");
    FW_TRY(expect(p, "{", "struct without its {"));
    while (!take(p, "}")) FW_TRY(read_members(p, &t));
    FW_TRY(fw_cdr_copy(p->schema, full, strlen(full), &t.name));
    FW_TRY(fw_cdr_add_type(p->schema, t, &position));
    return fw_cdr_add_symbol(p->schema, full, position, 0);
}

static fw_status read_enum(parser *p) {
    char full[SCOPE_MAX_BYTES];
    fw_cdr_type t = {
        .kind = FW_CDR_ENUM, .first = (uint32_t)p->schema->value_count, .line = p->line};
    uint32_t position;
    int64_t number = 0;
    FW_TRY(want_name(p));
    FW_TRY(join(p, full));
    next(p);
    FW_TRY(expect(p, "{", "enum without its {"));
    do {
        bool has_value = false;
        if (is(p, "}") && t.count > 0) break;
        FW_TRY(skip_annotations(p, &has_value, &number));
        FW_TRY(want_name(p));
        FW_TRY(fw_cdr_add_value(p->schema, p->word, p->word_bytes, number, t.count++));
        next(p);
        number++;
    } while (take(p, ","));
    FW_TRY(expect(p, "}", "enum without its }"));
    FW_TRY(fw_cdr_copy(p->schema, full, strlen(full), &t.name));
    fw_cdr_sort_values(p->schema, &t);
    FW_TRY(fw_cdr_add_type(p->schema, t, &position));
    return fw_cdr_add_symbol(p->schema, full, position, 0);
}

static fw_status read_typedef(parser *p) {
    uint32_t base;
    FW_TRY(read_type(p, &base));
    do {
        char full[SCOPE_MAX_BYTES];
        uint32_t type = base;
        FW_TRY(want_name(p));
        FW_TRY(join(p, full));
        next(p);
        FW_TRY(read_dimensions(p, &type));
        FW_TRY(fw_cdr_add_symbol(p->schema, full, type, 0));
    } while (take(p, ","));
    return FW_OK;
}

/* Whole numbers are kept, as they may be sizes; others are passed over. */
static fw_status read_const(parser *p) {
    char full[SCOPE_MAX_BYTES];
    uint32_t type;
    int64_t value = 0;
    FW_TRY(read_type(p, &type));
    FW_TRY(want_name(p));
    FW_TRY(join(p, full));
    next(p);
    FW_TRY(expect(p, "=", "const without its ="));
    bool is_whole = number_of(p, &value);
    if (is_whole) {
        next(p);
        if (is(p, ";")) return fw_cdr_add_symbol(p->schema, full, UINT32_MAX, value);
    }
    while (p->token != END && !is(p, ";")) next(p);
    return FW_OK;
}

static fw_status open_module(parser *p) {
    char full[SCOPE_MAX_BYTES];
    FW_TRY(want_name(p));
    FW_TRY(join(p, full));
    memcpy(p->scope, full, sizeof full);
    next(p);
    return expect(p, "{", "module without its {");
}

static void close_module(parser *p) {
    size_t size = strlen(p->scope);
    while (size > 0 && p->scope[size - 1] != ':') size--;
    p->scope[size > 2 ? size - 2 : 0] = '\0';
}

static fw_status read_definition(parser *p) {
    FW_TRY(skip_annotations(p, NULL, NULL));
    if (take(p, "struct"))
        FW_TRY(read_struct(p));
    else if (take(p, "enum"))
        FW_TRY(read_enum(p));
    else if (take(p, "typedef"))
        FW_TRY(read_typedef(p));
    else if (take(p, "const"))
        FW_TRY(read_const(p));
    else if (is(p, "union") || is(p, "bitset") || is(p, "bitmask") || is(p, "interface"))
        return fail_as(p, FW_UNSUPPORTED, "not handled");
    else
        return fail(p, "no definition");
    return expect(p, ";", "a definition without its ;");
}

/* "pkg/msg/Type" as "pkg::msg::Type". */
static fw_status root_name(parser *p, fw_mcap_text name, const char **root) {
    char full[SCOPE_MAX_BYTES];
    size_t used = 0;
    for (uint32_t i = 0; i < name.size_bytes && used + 3 < sizeof full; i++) {
        full[used++] = name.bytes[i] == '/' ? ':' : name.bytes[i];
        if (name.bytes[i] == '/') full[used++] = ':';
    }
    return fw_cdr_copy(p->schema, full, used, root);
}

fw_status fw_cdr_read_idl(fw_cdr_schema *schema, fw_mcap_text name, const char *text,
                          size_t size_bytes, const char **root) {
    parser p = {
        .schema = schema, .at = text, .end = text + size_bytes, .line = 1, .is_line_start = true};
    FW_TRY(root_name(&p, name, root));
    next(&p);
    while (p.token != END) {
        if (take(&p, "module")) {
            FW_TRY(open_module(&p));
        } else if (*p.scope && take(&p, "}")) {
            FW_TRY(expect(&p, ";", "a module without its ;"));
            close_module(&p);
        } else {
            FW_TRY(read_definition(&p));
        }
    }
    return *p.scope ? fail(&p, "a module without its }") : FW_OK;
}
