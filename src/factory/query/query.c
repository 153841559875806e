/* query.c - the query language to SQL, and its answers (query.h). */
#include "factory/query/query.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"

enum { CONDITION_MAX = 48 << 10, WORD_MAX = 200, LIST_MAX = 256, PREFIX_MIN = 6 };

struct fw_query {
    json_t *values, *named_units, *named_ids, *named_events;
    char *values_text, *events_text;
    size_t used;
    char condition[CONDITION_MAX];
};

/* ---- the words ---- */

typedef enum token_kind { WORD, QUOTED, COMPARE, OPEN, CLOSE, COMMA, END } token_kind;

typedef struct token {
    token_kind kind;
    size_t column; /* from 1 */
    char text[WORD_MAX];
} token;

typedef struct parser {
    const char *text;
    size_t at;
    token now;
    fw_query *query;
    fw_error *error;
    unsigned terms, depth;
} parser;

typedef enum column_kind { TEXT, HASH, NUMBER, TIME, EVENT, MODEL, TOPIC } column_kind;

static const struct column {
    const char *name, *sql;
    column_kind kind;
} columns[] = {
    {"unit", "r.unit", TEXT},
    {"line", "r.line", TEXT},
    {"form", "r.form", TEXT},
    {"role", "r.role", TEXT},
    {"campaign", "r.campaign", TEXT},
    {"state", "o.state", TEXT},
    {"boot", "r.boot", TEXT},
    {"kind", "o.kind", TEXT},
    {"id", "r.sha256", HASH},
    {"sha256", "r.sha256", HASH},
    {"duplicate_of", "r.duplicate_of", HASH},
    {"bytes", "o.size_bytes", NUMBER},
    {"messages", "r.messages", NUMBER},
    {"events", "r.events", NUMBER},
    {"sequence", "o.sequence", NUMBER},
    {"generation", "r.generation", NUMBER},
    {"duration_s", "((r.end_ns-r.start_ns)/1e9)", NUMBER},
    {"moved_s", "(r.moved_ns/1e9)", NUMBER},
    {"time", "r.recorded_ns", TIME},
    {"received", "o.received_ns", TIME},
    {"event", "kind FROM events", EVENT},
    {"model", "model FROM recording_models", MODEL},
    {"topic", "topic FROM channels", TOPIC},
};
enum { COLUMN_COUNT = sizeof columns / sizeof *columns };

__attribute__((format(printf, 2, 3))) static fw_status complain(const parser *p, const char *format,
                                                                ...) {
    char text[300];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return fw_fail(p->error, FW_INVALID, "the query, column %zu: %s", p->now.column, text);
}

static bool word_byte(char byte) {
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
           (byte >= 'A' && byte <= 'Z') || (byte && strchr("_./:+-#@%*", byte));
}

static fw_status take_quoted(parser *p, char quote) {
    size_t size = 0;
    for (p->at++; p->text[p->at] && p->text[p->at] != quote; p->at++) {
        if ((unsigned char)p->text[p->at] < 0x20 || size + 1 == WORD_MAX)
            return complain(p, "a quoted value of up to %d printable bytes", WORD_MAX - 1);
        p->now.text[size++] = p->text[p->at];
    }
    if (!p->text[p->at]) return complain(p, "the quote has no end");
    p->at++;
    p->now.text[size] = '\0';
    p->now.kind = QUOTED;
    return FW_OK;
}

static fw_status take_word(parser *p) {
    size_t size = 0;
    for (; word_byte(p->text[p->at]); p->at++) {
        if (size + 1 == WORD_MAX) return complain(p, "a word of over %d bytes", WORD_MAX - 1);
        p->now.text[size++] = p->text[p->at];
    }
    p->now.text[size] = '\0';
    p->now.kind = WORD;
    return size > 0 ? FW_OK : complain(p, "this character has no meaning here; quote values");
}

/* "=", "==", "!=", "<>", "<", "<=", ">", ">=" as SQL has them. */
static bool take_compare(parser *p) {
    static const char *const table[][2] = {{"==", "="}, {"=", "="},   {"!=", "!="}, {"<>", "!="},
                                           {"<=", "<="}, {"<", "<"}, {">=", ">="}, {">", ">"}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        size_t size = strlen(table[i][0]);
        if (strncmp(p->text + p->at, table[i][0], size) != 0) continue;
        p->at += size;
        p->now.kind = COMPARE;
        snprintf(p->now.text, sizeof p->now.text, "%s", table[i][1]);
        return true;
    }
    return false;
}

static fw_status advance(parser *p) {
    while (p->text[p->at] && strchr(" \t\r\n", p->text[p->at])) p->at++;
    char byte = p->text[p->at];
    p->now.column = p->at + 1;
    p->now.text[0] = '\0';
    if (byte == '\0') {
        p->now.kind = END;
        return FW_OK;
    }
    if (byte == '"' || byte == '\'') return take_quoted(p, byte);
    if (take_compare(p)) return FW_OK;
    if (byte != '(' && byte != ')' && byte != ',') return take_word(p);
    p->now.kind = byte == '(' ? OPEN : byte == ')' ? CLOSE : COMMA;
    p->now.text[0] = byte;
    p->now.text[1] = '\0';
    p->at++;
    return FW_OK;
}

static bool is_word(const parser *p, const char *word) {
    return p->now.kind == WORD && strcmp(p->now.text, word) == 0;
}

static fw_status expect(parser *p, token_kind kind, const char *what) {
    if (p->now.kind != kind)
        return complain(p, "want %s, not %s%.40s", what, p->now.kind == END ? "the end" : "",
                        p->now.text);
    return advance(p);
}

/* ---- writing ---- */

__attribute__((format(printf, 2, 3))) static fw_status put(parser *p, const char *format, ...) {
    fw_query *q = p->query;
    va_list args;
    va_start(args, format);
    int size = vsnprintf(q->condition + q->used, CONDITION_MAX - q->used, format, args);
    va_end(args);
    if (size < 0 || (size_t)size >= CONDITION_MAX - q->used)
        return fw_fail(p->error, FW_TOO_BIG, "the query is too long");
    q->used += (size_t)size;
    return FW_OK;
}

/* Takes a value; its number, for "(?1->>N)". */
static size_t bind(parser *p, json_t *value) {
    json_array_append_new(p->query->values, value);
    return json_array_size(p->query->values) - 1;
}

/* ---- values ---- */

static bool parse_number(const char *text, double *out) {
    char *end;
    if (!strchr("+-.0123456789", text[0]) || !text[0] || strpbrk(text, "xXnNpP")) return false;
    *out = strtod(text, &end);
    return *end == '\0' && isfinite(*out);
}

static bool digits(const char *text, int from, int count, int *out) {
    *out = 0;
    for (int i = from; i < from + count; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        *out = *out * 10 + text[i] - '0';
    }
    return true;
}

/* ":15", ":15.25" behind hours and minutes. */
static bool parse_seconds(const char **at, int *seconds, int64_t *rest_ns) {
    if (**at != ':') return true;
    if (!digits(*at, 1, 2, seconds)) return false;
    *at += 3;
    if (**at != '.') return true;
    int64_t unit_ns = 100000000;
    for (++*at; **at >= '0' && **at <= '9'; ++*at, unit_ns /= 10) *rest_ns += (**at - '0') * unit_ns;
    return true;
}

bool fw_query_parse_time(const char *text, int64_t *time_ns) {
    struct tm t = {0};
    int year = 0, month = 0;
    int64_t rest_ns = 0;
    size_t number = strspn(text, "0123456789");
    if (number > 0 && number < 19 && !text[number]) {
        *time_ns = strtoll(text, NULL, 10);
        return true;
    }
    if (strlen(text) < 10 || strlen(text) > 40 || !digits(text, 0, 4, &year) || text[4] != '-' ||
        !digits(text, 5, 2, &month) || text[7] != '-' || !digits(text, 8, 2, &t.tm_mday))
        return false;
    const char *at = text + 10;
    if (*at == 'T' || *at == ' ') {
        if (!digits(at, 1, 2, &t.tm_hour) || at[3] != ':' || !digits(at, 4, 2, &t.tm_min))
            return false;
        at += 6;
        if (!parse_seconds(&at, &t.tm_sec, &rest_ns)) return false;
    }
    if (*at == 'Z') at++;
    if (*at || year < 1970 || year > 2200 || month < 1 || month > 12 || t.tm_mday < 1 ||
        t.tm_mday > 31 || t.tm_hour > 23 || t.tm_min > 59 || t.tm_sec > 60)
        return false;
    t.tm_year = year - 1900;
    t.tm_mon = month - 1;
    *time_ns = (int64_t)timegm(&t) * 1000000000 + rest_ns;
    return true;
}

static bool hash_start(const char *text) {
    size_t size = strlen(text);
    return size >= PREFIX_MIN && size <= FW_HASH_HEX && strspn(text, "0123456789abcdef") == size;
}

/* The value before us, as the column wants it; the caller owns it. */
static fw_status take_value(parser *p, const struct column *c, json_t **out) {
    double number;
    int64_t time_ns;
    const char *text = p->now.text;
    if (p->now.kind != WORD && p->now.kind != QUOTED) return complain(p, "want a value");
    switch (c->kind) {
    case NUMBER:
        if (!parse_number(text, &number)) return complain(p, "%s takes a number", c->name);
        *out = json_real(number);
        break;
    case TIME:
        if (!fw_query_parse_time(text, &time_ns))
            return complain(p, "%s takes a time such as 2026-11-01 or 2026-11-01T12:30Z", c->name);
        *out = json_integer(time_ns);
        break;
    case HASH:
    case MODEL:
        if (!hash_start(text)) return complain(p, "%s takes %d or more digits of a hash", c->name,
                                               PREFIX_MIN);
        *out = json_string(text);
        break;
    default:
        *out = json_string(text);
        if (!*out) return complain(p, "the value is no UTF-8");
    }
    return FW_OK;
}

/* Remembers what is asked for by name: units and recordings may have been erased, and the seconds
 * around events are those of the kinds named. */
static void remember(parser *p, const struct column *c, json_t *value) {
    if (strcmp(c->sql, "r.unit") == 0) json_array_append(p->query->named_units, value);
    if (strcmp(c->sql, "r.sha256") == 0) json_array_append(p->query->named_ids, value);
    if (c->kind == EVENT) json_array_append(p->query->named_events, value);
}

/* ---- tests ---- */

static bool is_set(const struct column *c) {
    return c->kind == EVENT || c->kind == MODEL || c->kind == TOPIC;
}

static bool has_order(const struct column *c) {
    return c->kind == NUMBER || c->kind == TIME;
}

/* "EXISTS(SELECT kind FROM events WHERE recording=r.sha256 AND kind" of a column that is a set. */
static fw_status put_set(parser *p, const struct column *c, bool wanted) {
    char name[16];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(c->sql, " "), c->sql);
    return put(p, "%sEXISTS(SELECT 1%s WHERE recording=r.sha256 AND %s", wanted ? "" : "NOT ",
               strchr(c->sql, ' '), name);
}

/* A hash is meant by its first digits. */
static fw_status put_hash(parser *p, const struct column *c, bool wanted, size_t value) {
    if (c->kind == MODEL) {
        FW_TRY(put_set(p, c, wanted));
        return put(p, ">=(?1->>%zu) AND model<(?1->>%zu)||'g')", value, value);
    }
    return put(p, "%s(%s IS NOT NULL AND %s>=(?1->>%zu) AND %s<(?1->>%zu)||'g')",
               wanted ? "" : "NOT ", c->sql, c->sql, value, c->sql, value);
}

static fw_status put_test(parser *p, const struct column *c, const char *compare, json_t *value) {
    bool equal = strcmp(compare, "=") == 0, differs = strcmp(compare, "!=") == 0;
    if (equal) remember(p, c, value);
    size_t at = bind(p, value);
    if (c->kind == HASH || c->kind == MODEL) return put_hash(p, c, equal, at);
    if (is_set(c)) {
        FW_TRY(put_set(p, c, equal));
        return put(p, "=(?1->>%zu))", at);
    }
    if (equal || differs) return put(p, "%s IS %s(?1->>%zu)", c->sql, differs ? "NOT " : "", at);
    return put(p, "(%s IS NOT NULL AND %s%s(?1->>%zu))", c->sql, c->sql, compare, at);
}

static fw_status take_compared(parser *p, const struct column *c) {
    char compare[4];
    json_t *value = NULL;
    snprintf(compare, sizeof compare, "%.3s", p->now.text);
    if (!has_order(c) && strcmp(compare, "=") != 0 && strcmp(compare, "!=") != 0)
        return complain(p, "%s can be compared with = and != only", c->name);
    FW_TRY(advance(p));
    if (is_word(p, "none") && c->kind != TIME) {
        if (is_set(c) || (strcmp(compare, "=") != 0 && strcmp(compare, "!=") != 0))
            return complain(p, "none does not fit here");
        FW_TRY(put(p, "%s IS %sNULL", c->sql, compare[0] == '!' ? "NOT " : ""));
        return advance(p);
    }
    FW_TRY(take_value(p, c, &value));
    FW_TRY(put_test(p, c, compare, value));
    return advance(p);
}

/* "in (1, 2, 3)" behind the column. */
static fw_status take_list(parser *p, const struct column *c, bool wanted) {
    if (c->kind == HASH || c->kind == MODEL)
        return complain(p, "%s takes no list; join with or", c->name);
    json_t *list = json_array(), *value = NULL;
    size_t at = bind(p, list); /* values own it from here on */
    FW_TRY(advance(p));
    FW_TRY(expect(p, OPEN, "("));
    for (;;) {
        FW_TRY(take_value(p, c, &value));
        json_array_append_new(list, value);
        if (wanted) remember(p, c, value);
        if (json_array_size(list) > LIST_MAX) return complain(p, "over %d values", LIST_MAX);
        FW_TRY(advance(p));
        if (p->now.kind != COMMA) break;
        FW_TRY(advance(p));
    }
    FW_TRY(expect(p, CLOSE, ", or )"));
    if (is_set(c)) {
        FW_TRY(put_set(p, c, wanted));
        return put(p, " IN (SELECT value FROM json_each(?1->%zu)))", at);
    }
    return put(p, "%s(%s IS NOT NULL AND %s IN (SELECT value FROM json_each(?1->%zu)))",
               wanted ? "" : "NOT ", c->sql, c->sql, at);
}

static fw_status take_column(parser *p, const struct column *c) {
    FW_TRY(advance(p));
    if (is_word(p, "not")) {
        FW_TRY(advance(p));
        if (!is_word(p, "in")) return complain(p, "want in behind not");
        return take_list(p, c, false);
    }
    if (is_word(p, "in")) return take_list(p, c, true);
    if (p->now.kind != COMPARE) return complain(p, "want = != < <= > >= or in behind %s", c->name);
    return take_compared(p, c);
}

/* min max mean count size */
static fw_status take_function(parser *p, const char *function) {
    static const struct column number = {"it", "", NUMBER};
    json_t *value = NULL;
    FW_TRY(advance(p));
    FW_TRY(expect(p, OPEN, "("));
    if (p->now.kind != WORD && p->now.kind != QUOTED)
        return complain(p, "want a name such as /ego.speed_mps");
    bool field = p->now.text[0] == '/' && strchr(p->now.text, '.'), topic = p->now.text[0] == '/';
    bool sum = strcmp(function, "count") == 0, size = strcmp(function, "size") == 0;
    if (size ? field || !topic : !sum && !field)
        return complain(p, "%s takes a %s", function, size ? "topic such as /ego"
                                                           : "field such as /ego.speed_mps");
    json_t *name = json_string(p->now.text);
    if (!name) return complain(p, "the name is no UTF-8");
    size_t name_at = bind(p, name);
    FW_TRY(advance(p));
    FW_TRY(expect(p, CLOSE, ")"));
    if (p->now.kind != COMPARE) return complain(p, "want = != < <= > >= behind )");
    char compare[4];
    snprintf(compare, sizeof compare, "%.3s", p->now.text);
    FW_TRY(advance(p));
    FW_TRY(take_value(p, &number, &value));
    size_t value_at = bind(p, value);
    FW_TRY(advance(p));
    if (!sum && !size)
        return put(p, "EXISTS(SELECT 1 FROM fields f WHERE f.recording=r.sha256 AND f.name="
                      "(?1->>%zu) AND f.%s%s(?1->>%zu))", name_at, function, compare, value_at);
    const char *from = field   ? "SELECT count FROM fields WHERE recording=r.sha256 AND name"
                       : size  ? "SELECT bytes FROM channels WHERE recording=r.sha256 AND topic"
                       : topic ? "SELECT messages FROM channels WHERE recording=r.sha256 AND topic"
                               : "SELECT count(*) FROM events WHERE recording=r.sha256 AND kind";
    return put(p, "coalesce((%s=(?1->>%zu)),0)%s(?1->>%zu)", from, name_at, compare, value_at);
}

static fw_status take_near(parser *p) {
    static const struct column number = {"near", "", NUMBER};
    size_t at[3] = {0};
    FW_TRY(advance(p));
    FW_TRY(expect(p, OPEN, "("));
    for (int i = 0; i < 3; i++) {
        json_t *value = NULL;
        FW_TRY(take_value(p, &number, &value));
        if (i == 2 && json_number_value(value) < 0) {
            json_decref(value);
            return complain(p, "the radius is negative");
        }
        at[i] = bind(p, value);
        FW_TRY(advance(p));
        FW_TRY(expect(p, i < 2 ? COMMA : CLOSE, i < 2 ? "," : ")"));
    }
    FW_TRY(put(p, "(r.x_min IS NOT NULL AND r.x_min<=(?1->>%zu)+(?1->>%zu) AND r.x_max>=(?1->>%zu)-"
                  "(?1->>%zu) AND r.y_min<=(?1->>%zu)+(?1->>%zu) AND r.y_max>=(?1->>%zu)-(?1->>%zu) ",
               at[0], at[2], at[0], at[2], at[1], at[2], at[1], at[2]));
    return put(p,
               "AND EXISTS(SELECT 1 FROM places p WHERE p.recording=r.sha256 AND "
               "max(p.x_min-(?1->>%zu),(?1->>%zu)-p.x_max,0)*max(p.x_min-(?1->>%zu),(?1->>%zu)-"
               "p.x_max,0)+max(p.y_min-(?1->>%zu),(?1->>%zu)-p.y_max,0)*max(p.y_min-(?1->>%zu),"
               "(?1->>%zu)-p.y_max,0)<=(?1->>%zu)*(?1->>%zu)))",
               at[0], at[0], at[0], at[0], at[1], at[1], at[1], at[1], at[2], at[2]);
}

static fw_status take_test(parser *p) {
    static const char *const functions[] = {"min", "max", "mean", "count", "size"};
    if (++p->terms > FW_QUERY_TERMS_MAX)
        return complain(p, "over %d tests in one query", FW_QUERY_TERMS_MAX);
    if (p->now.kind != WORD) return complain(p, "want a column, a function, not or (");
    if (is_word(p, "near")) return take_near(p);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (is_word(p, functions[i])) return take_function(p, functions[i]);
    for (int i = 0; i < COLUMN_COUNT; i++)
        if (is_word(p, columns[i].name)) return take_column(p, &columns[i]);
    return complain(p, "no column or function '%.40s'", p->now.text);
}

/* One round: a test or "(", then ")"s, up to "and", "or" or the end. */
static fw_status take_round(parser *p, bool *more) {
    unsigned nots = 0;
    for (; is_word(p, "not"); nots++) FW_TRY(advance(p));
    if (nots % 2) FW_TRY(put(p, "NOT "));
    *more = true;
    if (p->now.kind == OPEN) {
        if (++p->depth > FW_QUERY_DEPTH_MAX)
            return complain(p, "brackets over %d deep", FW_QUERY_DEPTH_MAX);
        FW_TRY(put(p, "("));
        return advance(p);
    }
    FW_TRY(put(p, "("));
    FW_TRY(take_test(p));
    FW_TRY(put(p, ")"));
    for (; p->now.kind == CLOSE && p->depth > 0; p->depth--) {
        FW_TRY(put(p, ")"));
        FW_TRY(advance(p));
    }
    if (p->now.kind == END) {
        *more = false;
        return p->depth == 0 ? FW_OK : complain(p, "a ) is missing");
    }
    if (!is_word(p, "and") && !is_word(p, "or"))
        return complain(p, "want and, or%s, not %.40s", p->depth ? " or )" : "", p->now.text);
    FW_TRY(put(p, is_word(p, "and") ? " AND " : " OR "));
    return advance(p);
}

static fw_status parse(parser *p) {
    bool more = true;
    FW_TRY(advance(p));
    if (p->now.kind == END) return put(p, "1");
    while (more) FW_TRY(take_round(p, &more));
    p->query->values_text = json_dumps(p->query->values, JSON_COMPACT | JSON_REAL_PRECISION(17));
    p->query->events_text = json_dumps(p->query->named_events, JSON_COMPACT);
    return p->query->values_text && p->query->events_text
               ? FW_OK
               : fw_fail(p->error, FW_NO_MEMORY, "no memory for a query");
}

fw_status fw_query_parse(const char *text, fw_query **out, fw_error *error) {
    if (strlen(text) > FW_QUERY_MAX_BYTES)
        return fw_fail(error, FW_INVALID, "the query is over %d bytes", FW_QUERY_MAX_BYTES);
    fw_query *q = calloc(1, sizeof *q);
    if (!q) return fw_fail(error, FW_NO_MEMORY, "no memory for a query");
    q->values = json_array();
    q->named_units = json_array();
    q->named_ids = json_array();
    q->named_events = json_array();
    parser p = {.text = text, .query = q, .error = error};
    fw_status status = parse(&p);
    if (status != FW_OK) {
        fw_query_free(q);
        return status;
    }
    *out = q;
    return FW_OK;
}

void fw_query_free(fw_query *q) {
    if (!q) return;
    json_decref(q->values);
    json_decref(q->named_units);
    json_decref(q->named_ids);
    json_decref(q->named_events);
    free(q->events_text);
    free(q->values_text);
    free(q);
}

const char *fw_query_condition(const fw_query *query) {
    return query->condition;
}

const char *fw_query_values(const fw_query *query) {
    return query->values_text ? query->values_text : "[]";
}

const char *fw_query_events(const fw_query *query) {
    return query->events_text ? query->events_text : "[]";
}

/* ---- answers ---- */

/* A page's rows come newest first; the page after begins behind (recorded_ns, sequence). */
static const char row_sql[] =
    "json_object('sha256',r.sha256,'sequence',o.sequence,'unit',r.unit,'line',r.line,'form',r.form,"
    "'role',r.role,'model',r.model,'models',(SELECT json_group_array(model) FROM (SELECT model FROM "
    "recording_models WHERE recording=r.sha256 ORDER BY model)),'campaign',r.campaign,'state',"
    "o.state,'size_bytes',o.size_bytes,'messages',r.messages,'events',r.events,'event_kinds',"
    "(SELECT json_group_object(kind,n) FROM (SELECT kind,count(*) n FROM events WHERE "
    "recording=r.sha256 GROUP BY kind ORDER BY kind)),'recorded_ns',r.recorded_ns,'received_ns',"
    "o.received_ns,'moved_ns',r.moved_ns,'unit_wall_ns',r.unit_wall_ns,'unit_mono_ns',"
    "r.unit_mono_ns,'boot',r.boot,'start_ns',r.start_ns,'end_ns',r.end_ns,'x_min',r.x_min,'x_max',"
    "r.x_max,'y_min',r.y_min,'y_max',r.y_max,'duplicate_of',r.duplicate_of,'generation',"
    "r.generation)";

static bool parse_after(const char *after, int64_t *time_ns, int64_t *sequence) {
    char *end;
    *time_ns = *sequence = INT64_MAX;
    if (!after[0]) return true;
    *time_ns = strtoll(after, &end, 10);
    if (end == after || *end != '.') return false;
    after = end + 1;
    *sequence = strtoll(after, &end, 10);
    return end != after && *end == '\0';
}

typedef struct named {
    char text[200];
} named;

static bool take_named(void *self, sqlite3_stmt *row) {
    named *n = self;
    snprintf(n->text, sizeof n->text, "%s (erasure %.12s)", fw_db_column(row, 0),
             fw_db_column(row, 1));
    return false;
}

fw_status fw_query_check_erased(sqlite3 *db, const fw_query *q, fw_error *error) {
    named n = {""};
    char *units = json_dumps(q->named_units, JSON_COMPACT),
         *ids = json_dumps(q->named_ids, JSON_COMPACT);
    fw_status status = units && ids ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory for a query");
    if (status == FW_OK)
        status = fw_db_each(db, error, take_named, &n,
                            "SELECT 'unit '||unit,id FROM erasures WHERE unit IN (SELECT value FROM "
                            "json_each(?)) AND NOT EXISTS(SELECT 1 FROM recordings r WHERE r.unit="
                            "erasures.unit) LIMIT 1",
                            "t", units);
    if (status == FW_OK && !n.text[0])
        status = fw_db_each(db, error, take_named, &n,
                            "SELECT 'recording '||o.sha256,'' FROM json_each(?) j JOIN objects o ON "
                            "o.sha256>=j.value AND o.sha256<j.value||'g' AND o.state='erased' LIMIT 1",
                            "t", ids);
    free(units);
    free(ids);
    if (status != FW_OK || !n.text[0]) return status;
    return fw_fail(error, FW_ERASED, "erased: %s", n.text);
}

/* A page being gathered. */
typedef struct page {
    FILE *out;
    int64_t limit, rows, count, bytes, last_time_ns, last_sequence;
    bool more;
} page;

static bool take_row(void *self, sqlite3_stmt *row) {
    page *p = self;
    if (p->rows == p->limit) {
        p->more = true;
        return false;
    }
    fprintf(p->out, "%s%s", p->rows++ ? "," : "", fw_db_column(row, 0));
    p->last_time_ns = sqlite3_column_int64(row, 1);
    p->last_sequence = sqlite3_column_int64(row, 2);
    return true;
}

static bool take_total(void *self, sqlite3_stmt *row) {
    page *p = self;
    p->count = sqlite3_column_int64(row, 0);
    p->bytes = sqlite3_column_int64(row, 1);
    return false;
}

static fw_status read_rows(sqlite3 *db, const fw_query *q, const char *after, page *p,
                           fw_error *error) {
    int64_t time_ns, sequence;
    char *sql = NULL;
    if (!parse_after(after, &time_ns, &sequence))
        return fw_fail(error, FW_INVALID, "after takes the next of an earlier answer");
    if (asprintf(&sql,
                 "SELECT %s,r.recorded_ns,o.sequence FROM recordings r JOIN objects o "
                 "USING(sha256) WHERE (%s) AND ?1 IS NOT NULL AND (r.recorded_ns<?2 OR "
                 "(r.recorded_ns=?2 AND o.sequence<?3)) ORDER BY r.recorded_ns DESC,o.sequence DESC "
                 "LIMIT ?4",
                 row_sql, q->condition) < 0)
        return fw_fail(error, FW_NO_MEMORY, "no memory for a query");
    fw_status status = fw_db_each(db, error, take_row, p, sql, "tiii", fw_query_values(q), time_ns,
                                  sequence, p->limit + 1);
    free(sql);
    return status;
}

static fw_status read_total(sqlite3 *db, const fw_query *q, page *p, fw_error *error) {
    char *sql = NULL;
    if (asprintf(&sql,
                 "SELECT count(*),coalesce(sum(o.size_bytes),0) FROM recordings r JOIN objects o "
                 "USING(sha256) WHERE (%s) AND ?1 IS NOT NULL",
                 q->condition) < 0)
        return fw_fail(error, FW_NO_MEMORY, "no memory for a query");
    fw_status status = fw_db_each(db, error, take_total, p, sql, "t", fw_query_values(q));
    free(sql);
    return status;
}

static fw_status answer(sqlite3 *db, const fw_query *q, const char *after, page *p,
                        fw_error *error) {
    FW_TRY(read_total(db, q, p, error));
    if (p->count == 0) FW_TRY(fw_query_check_erased(db, q, error));
    fputs("{\"recordings\":[", p->out);
    FW_TRY(read_rows(db, q, after, p, error));
    fprintf(p->out, "],\"count\":%" PRId64 ",\"bytes\":%" PRId64 ",\"next\":", p->count, p->bytes);
    if (p->more)
        fprintf(p->out, "\"%" PRId64 ".%" PRId64 "\"}", p->last_time_ns, p->last_sequence);
    else
        fputs("null}", p->out);
    return FW_OK;
}

fw_status fw_query_json(fw_catalogue *catalogue, const fw_query *query, int64_t limit,
                        const char *after, char **json, fw_error *error) {
    char *text = NULL;
    size_t size = 0;
    page p = {.out = open_memstream(&text, &size), .limit = limit};
    if (!p.out) return fw_fail(error, FW_NO_MEMORY, "no memory for an answer");
    sqlite3 *db;
    fw_status status = fw_catalogue_ask(catalogue, &db, error);
    if (status == FW_OK) {
        status = answer(db, query, after, &p, error);
        fw_catalogue_ask_end(catalogue);
    }
    if ((ferror(p.out) | fclose(p.out)) && status == FW_OK)
        status = fw_fail(error, FW_NO_MEMORY, "no memory for an answer");
    if (status != FW_OK) {
        free(text);
        return status;
    }
    *json = text;
    return FW_OK;
}
