#include "factory/registry/mlflow_filter.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    fw_mlflow_field field;
} names[] = {{"name", FW_MLFLOW_NAME},
             {"version_number", FW_MLFLOW_VERSION},
             {"run_id", FW_MLFLOW_RUN},
             {"source_path", FW_MLFLOW_SOURCE},
             {"creation_timestamp", FW_MLFLOW_CREATED},
             {"last_updated_timestamp", FW_MLFLOW_UPDATED}};

static bool is_number(fw_mlflow_field field) {
    return field == FW_MLFLOW_VERSION || field == FW_MLFLOW_CREATED || field == FW_MLFLOW_UPDATED;
}

/* ---- reading ---- */

typedef struct reader {
    const char *text, *at;
    fw_error *error;
} reader;

static fw_status refuse(const reader *r, const char *want) {
    return fw_fail(r->error, FW_INVALID, "filter, at character %zu: want %s", (size_t)(r->at - r->text) + 1, want);
}

static void skip_blanks(reader *r) {
    while (isspace((unsigned char)*r->at)) r->at++;
}

static bool part_of_word(char c) {
    return isalnum((unsigned char)c) || (c && strchr("_-./", c));
}

static fw_mlflow_text take_word(reader *r) {
    fw_mlflow_text word = {r->at, 0};
    while (part_of_word(*r->at)) r->at++;
    word.size = (size_t)(r->at - word.at);
    return word;
}

static bool is_word(fw_mlflow_text word, const char *name) {
    return word.size == strlen(name) && strncasecmp(word.at, name, word.size) == 0;
}

/* Takes this word and the blanks around it, or nothing. */
static bool take_keyword(reader *r, const char *name) {
    skip_blanks(r);
    reader before = *r;
    if (is_word(take_word(r), name)) {
        skip_blanks(r);
        return true;
    }
    r->at = before.at;
    return false;
}

/* What stands between two quotes of a kind. */
static bool take_quoted(reader *r, char quote, fw_mlflow_text *out) {
    if (*r->at != quote) return false;
    const char *end = strchr(r->at + 1, quote);
    if (!end) return false;
    *out = (fw_mlflow_text){r->at + 1, (size_t)(end - r->at - 1)};
    r->at = end + 1;
    return true;
}

/* "tags.KEY" and "tag.KEY": the word holds the key too, or ends with the point before a quoted one. */
static fw_status take_tag(reader *r, fw_mlflow_text word, fw_mlflow_term *term) {
    size_t head = strncasecmp(word.at, "tags.", 5) == 0 ? 5 : 4;
    term->field = FW_MLFLOW_TAG;
    term->key = (fw_mlflow_text){word.at + head, word.size - head};
    if (term->key.size == 0 && !take_quoted(r, '`', &term->key) && !take_quoted(r, '"', &term->key))
        return refuse(r, "a tag's key");
    return FW_OK;
}

static fw_status take_field(reader *r, fw_mlflow_term *term) {
    skip_blanks(r);
    const char *start = r->at;
    fw_mlflow_text word = take_word(r);
    if ((word.size >= 5 && strncasecmp(word.at, "tags.", 5) == 0) ||
        (word.size >= 4 && strncasecmp(word.at, "tag.", 4) == 0))
        return take_tag(r, word, term);
    if (word.size > 10 && strncasecmp(word.at, "attribute.", 10) == 0)
        word = (fw_mlflow_text){word.at + 10, word.size - 10};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (is_word(word, names[i].name)) {
            term->field = names[i].field;
            return FW_OK;
        }
    r->at = start;
    return refuse(r, "name, version_number, run_id, source_path, creation_timestamp, last_updated_timestamp or tags.KEY");
}

static fw_status take_operator(reader *r, fw_mlflow_term *term) {
    static const struct {
        const char *sign;
        fw_mlflow_operator operator_;
    } signs[] = {{"!=", FW_MLFLOW_UNEQUAL}, {"<=", FW_MLFLOW_AT_MOST}, {">=", FW_MLFLOW_AT_LEAST},
                 {"=", FW_MLFLOW_EQUAL},    {"<", FW_MLFLOW_LESS},     {">", FW_MLFLOW_MORE}};
    static const struct {
        const char *word;
        fw_mlflow_operator operator_;
    } words[] = {{"LIKE", FW_MLFLOW_LIKE}, {"ILIKE", FW_MLFLOW_ILIKE}, {"IN", FW_MLFLOW_IN}};
    skip_blanks(r);
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (strncmp(r->at, signs[i].sign, strlen(signs[i].sign)) == 0) {
            r->at += strlen(signs[i].sign);
            term->operator_ = signs[i].operator_;
            return FW_OK;
        }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (take_keyword(r, words[i].word)) {
            term->operator_ = words[i].operator_;
            return FW_OK;
        }
    return refuse(r, "an operator: = != < <= > >= LIKE ILIKE IN");
}

/* Which operators go with which fields. */
static fw_status check_operator(const reader *r, const fw_mlflow_term *term) {
    fw_mlflow_operator o = term->operator_;
    bool ordered = o == FW_MLFLOW_LESS || o == FW_MLFLOW_AT_MOST || o == FW_MLFLOW_MORE || o == FW_MLFLOW_AT_LEAST;
    bool equal = o == FW_MLFLOW_EQUAL || o == FW_MLFLOW_UNEQUAL;
    if (is_number(term->field) && !ordered && !equal) return refuse(r, "one of = != < <= > >= behind a number");
    if (!is_number(term->field) && ordered) return refuse(r, "one of = != LIKE ILIKE behind a text");
    if (o == FW_MLFLOW_IN && term->field != FW_MLFLOW_RUN) return refuse(r, "IN behind run_id alone");
    return FW_OK;
}

static fw_status take_text(reader *r, fw_mlflow_filter *f, fw_mlflow_term *term) {
    fw_mlflow_text text;
    skip_blanks(r);
    if (!take_quoted(r, '\'', &text) && !take_quoted(r, '"', &text)) return refuse(r, "a text in quotes");
    if (f->text_count == sizeof f->texts / sizeof *f->texts) return refuse(r, "fewer texts");
    f->texts[f->text_count++] = text;
    term->count++;
    return FW_OK;
}

static fw_status take_list(reader *r, fw_mlflow_filter *f, fw_mlflow_term *term) {
    skip_blanks(r);
    if (*r->at != '(') return refuse(r, "( behind IN");
    do {
        r->at++;
        FW_TRY(take_text(r, f, term));
        skip_blanks(r);
    } while (*r->at == ',');
    if (*r->at != ')') return refuse(r, ") at the end of a list");
    r->at++;
    return FW_OK;
}

static fw_status take_number(reader *r, fw_mlflow_term *term) {
    skip_blanks(r);
    size_t digits = strspn(r->at, "0123456789");
    if (digits == 0 || digits > 18) return refuse(r, "a whole number of up to 18 digits");
    term->number = strtoll(r->at, NULL, 10);
    r->at += digits;
    return FW_OK;
}

static fw_status take_term(reader *r, fw_mlflow_filter *f) {
    fw_mlflow_term term = {.first = f->text_count};
    if (f->count == FW_MLFLOW_TERMS) return refuse(r, "fewer comparisons");
    FW_TRY(take_field(r, &term));
    FW_TRY(take_operator(r, &term));
    FW_TRY(check_operator(r, &term));
    if (term.operator_ == FW_MLFLOW_IN)
        FW_TRY(take_list(r, f, &term));
    else
        FW_TRY(is_number(term.field) ? take_number(r, &term) : take_text(r, f, &term));
    f->terms[f->count++] = term;
    return FW_OK;
}

fw_status fw_mlflow_filter_read(const char *text, fw_mlflow_filter *out, fw_error *error) {
    reader r = {text, text, error};
    *out = (fw_mlflow_filter){0};
    if (strlen(text) > FW_MLFLOW_FILTER_MAX)
        return fw_fail(error, FW_INVALID, "filter: over %d characters", FW_MLFLOW_FILTER_MAX);
    skip_blanks(&r);
    if (!*r.at) return FW_OK;
    do FW_TRY(take_term(&r, out));
    while (take_keyword(&r, "AND"));
    skip_blanks(&r);
    return *r.at ? refuse(&r, "AND, or the end") : FW_OK;
}

fw_status fw_mlflow_order_read(const char *text, fw_mlflow_field *field, bool *descending, fw_error *error) {
    reader r = {text, text, error};
    fw_mlflow_term term = {0};
    FW_TRY(take_field(&r, &term));
    if (term.field == FW_MLFLOW_TAG) return refuse(&r, "an order by a field, not by a tag");
    bool down = take_keyword(&r, "DESC");
    if (!down) (void)take_keyword(&r, "ASC");
    skip_blanks(&r);
    if (*r.at) return refuse(&r, "ASC, DESC or the end");
    *field = term.field;
    *descending = down;
    return FW_OK;
}

/* ---- matching ---- */

static bool same_char(char a, char b, bool any_case) {
    return a == b || (any_case && tolower((unsigned char)a) == tolower((unsigned char)b));
}

/* SQL's LIKE. At a mismatch it goes back to the last %, once for each character: no recursion. */
static bool like(const char *text, fw_mlflow_text pattern, bool any_case) {
    const char *p = pattern.at, *end = pattern.at + pattern.size, *after = NULL, *again = NULL;
    while (*text) {
        if (p < end && *p == '%') {
            after = ++p;
            again = text;
        } else if (p < end && (*p == '_' || same_char(*p, *text, any_case))) {
            p++;
            text++;
        } else if (after) {
            p = after;
            text = ++again;
        } else {
            return false;
        }
    }
    while (p < end && *p == '%') p++;
    return p == end;
}

static bool equal(const char *text, fw_mlflow_text other) {
    return strlen(text) == other.size && memcmp(text, other.at, other.size) == 0;
}

static bool match_number(const fw_mlflow_term *t, int64_t value) {
    switch (t->operator_) {
    case FW_MLFLOW_EQUAL: return value == t->number;
    case FW_MLFLOW_UNEQUAL: return value != t->number;
    case FW_MLFLOW_LESS: return value < t->number;
    case FW_MLFLOW_AT_MOST: return value <= t->number;
    case FW_MLFLOW_MORE: return value > t->number;
    default: return value >= t->number;
    }
}

static bool match_term(const fw_mlflow_filter *f, const fw_mlflow_term *t, const fw_mlflow_row *row) {
    const char *value = row->field(row->self, t->field, t->key);
    if (!value) return false;
    if (is_number(t->field)) return match_number(t, strtoll(value, NULL, 10));
    const fw_mlflow_text *texts = f->texts + t->first;
    if (t->operator_ == FW_MLFLOW_LIKE || t->operator_ == FW_MLFLOW_ILIKE)
        return like(value, texts[0], t->operator_ == FW_MLFLOW_ILIKE);
    bool found = false;
    for (uint32_t i = 0; i < t->count; i++) found = found || equal(value, texts[i]);
    return found != (t->operator_ == FW_MLFLOW_UNEQUAL);
}

bool fw_mlflow_filter_match(const fw_mlflow_filter *filter, const fw_mlflow_row *row) {
    for (uint32_t i = 0; i < filter->count; i++)
        if (!match_term(filter, &filter->terms[i], row)) return false;
    return true;
}
