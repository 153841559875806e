/* compile.c - a condition's text to postfix operations: an operator-precedence parser.
 *
 *   text --next_token--> tokens --> pending (operators and open brackets, a stack)
 *                               \-> ops of the campaign, types (what their run-time stack will hold)
 *
 * Both stacks are bounded, nothing recurses. The types' depth is the run-time stack's depth, so what
 * compiles runs (campaign.h, invariant 1).
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "campaign/ops.h"

enum { PENDING_MAX = 64, NUMBER_TEXT_MAX = 40, WORD_MAX = 64 };
static const double number_max = 1e12;

/* What an expression gives. A bare signal may stand for either. */
typedef enum type { TYPE_NUMBER, TYPE_SIGNAL, TYPE_CONDITION } type;

typedef enum token_kind {
    TOKEN_END,
    TOKEN_NUMBER,
    TOKEN_SIGNAL,
    TOKEN_OPEN,
    TOKEN_CLOSE,
    TOKEN_COMMA,
    TOKEN_OPERATOR, /* also "not" and "-" */
    TOKEN_FUNCTION, /* rising held abs rate */
} token_kind;

typedef struct token {
    token_kind kind;
    uint16_t op; /* of an operator or a function */
    size_t at, size_bytes;
} token;

/* An operator that waits for its right side, or an open bracket. */
typedef struct pending {
    uint16_t op;  /* of a bracket: RISING, HELD, ABS or FW_CAMPAIGN_OP_NUMBER for a plain one */
    bool bracket;
    size_t at;
} pending;

typedef struct compiler {
    const char *text;
    size_t size_bytes, at; /* next byte to read */
    token now;
    const fw_campaign_signals *signals;
    fw_campaign *out;
    type types[FW_CAMPAIGN_STACK_MAX];
    uint32_t depth;
    pending pendings[PENDING_MAX];
    uint32_t pending_count;
    fw_error *error;
} compiler;

/* "when: column N: ...", N of a place in the text. */
static fw_status fail_at(compiler *c, size_t place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static fw_status fail_at(compiler *c, size_t place, const char *format, ...) {
    char text[300];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return fw_fail(c->error, FW_INVALID, "when: column %zu: %s", place + 1, text);
}

/* ---- tokens ---- */

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c);
}

static bool is_signal(char c) {
    return is_word(c) || c == '/' || c == '.';
}

/* Bytes from `at` on of which each is good. */
static size_t span(const compiler *c, size_t at, bool (*good)(char)) {
    size_t end = at;
    while (end < c->size_bytes && good(c->text[end])) end++;
    return end - at;
}

/* Digits, perhaps a fraction and an exponent; nothing else that strtod knows. */
static size_t number_span(const compiler *c, size_t at) {
    size_t end = at + span(c, at, is_digit);
    if (end < c->size_bytes && c->text[end] == '.') end += 1 + span(c, end + 1, is_digit);
    if (end < c->size_bytes && (c->text[end] == 'e' || c->text[end] == 'E')) {
        size_t sign = end + 1 < c->size_bytes && (c->text[end + 1] == '-' || c->text[end + 1] == '+');
        size_t digits = span(c, end + 1 + sign, is_digit);
        if (digits > 0) end += 1 + sign + digits;
    }
    return end - at;
}

static const struct {
    const char *text;
    uint16_t op;
    token_kind kind;
} words[] = {
    {"and", FW_CAMPAIGN_OP_AND, TOKEN_OPERATOR},   {"or", FW_CAMPAIGN_OP_OR, TOKEN_OPERATOR},
    {"not", FW_CAMPAIGN_OP_NOT, TOKEN_OPERATOR},   {"rising", FW_CAMPAIGN_OP_RISING, TOKEN_FUNCTION},
    {"held", FW_CAMPAIGN_OP_HELD, TOKEN_FUNCTION}, {"abs", FW_CAMPAIGN_OP_ABS, TOKEN_FUNCTION},
    {"rate", FW_CAMPAIGN_OP_RATE, TOKEN_FUNCTION},
};
/* Longer ones first. */
static const struct {
    const char *text;
    uint16_t op;
    token_kind kind;
} marks[] = {
    {"<=", FW_CAMPAIGN_OP_LESS_EQUAL, TOKEN_OPERATOR},
    {">=", FW_CAMPAIGN_OP_GREATER_EQUAL, TOKEN_OPERATOR},
    {"==", FW_CAMPAIGN_OP_EQUAL, TOKEN_OPERATOR},
    {"!=", FW_CAMPAIGN_OP_NOT_EQUAL, TOKEN_OPERATOR},
    {"<", FW_CAMPAIGN_OP_LESS, TOKEN_OPERATOR},
    {">", FW_CAMPAIGN_OP_GREATER, TOKEN_OPERATOR},
    {"+", FW_CAMPAIGN_OP_ADD, TOKEN_OPERATOR},
    {"-", FW_CAMPAIGN_OP_SUBTRACT, TOKEN_OPERATOR},
    {"(", 0, TOKEN_OPEN},
    {")", 0, TOKEN_CLOSE},
    {",", 0, TOKEN_COMMA},
};
enum { WORD_COUNT = sizeof words / sizeof *words, MARK_COUNT = sizeof marks / sizeof *marks };

static fw_status read_word(compiler *c) {
    const char *text = c->text + c->now.at;
    const char *names[WORD_COUNT];
    c->now.size_bytes = span(c, c->now.at, is_word);
    for (int i = 0; i < WORD_COUNT; i++) {
        names[i] = words[i].text;
        if (strlen(names[i]) != c->now.size_bytes || memcmp(names[i], text, c->now.size_bytes) != 0)
            continue;
        c->now.kind = words[i].kind;
        c->now.op = words[i].op;
        return FW_OK;
    }
    const char *near = fw_campaign_nearest(text, c->now.size_bytes, names, WORD_COUNT);
    int shown = c->now.size_bytes > WORD_MAX ? WORD_MAX : (int)c->now.size_bytes;
    return fail_at(c, c->now.at, "unknown word %.*s; %s%s%s", shown, text,
                   near ? "did you mean " : "signals begin with /", near ? near : "",
                   near ? "?" : "");
}

static fw_status read_mark(compiler *c) {
    const char *text = c->text + c->now.at;
    size_t left = c->size_bytes - c->now.at;
    for (int i = 0; i < MARK_COUNT; i++) {
        size_t size = strlen(marks[i].text);
        if (size > left || memcmp(text, marks[i].text, size) != 0) continue;
        c->now.kind = marks[i].kind;
        c->now.op = marks[i].op;
        c->now.size_bytes = size;
        return FW_OK;
    }
    static const struct {
        char mark;
        const char *instead;
    } habits[] = {{'=', "=="}, {'&', "and"}, {'|', "or"}, {'!', "not"}};
    for (size_t i = 0; i < sizeof habits / sizeof *habits; i++)
        if (*text == habits[i].mark)
            return fail_at(c, c->now.at, "'%c' is not known here; write %s", *text,
                           habits[i].instead);
    if (*text > ' ' && *text < 0x7f)
        return fail_at(c, c->now.at, "'%c' is not known here", *text);
    return fail_at(c, c->now.at, "a byte 0x%02x has no place here", (unsigned char)*text);
}

/* Reads one token into c->now. */
static fw_status next_token(compiler *c) {
    while (c->at < c->size_bytes && memchr(" \t\r\n", c->text[c->at], 4)) c->at++;
    c->now = (token){.kind = TOKEN_END, .at = c->at};
    if (c->at == c->size_bytes) return FW_OK;
    char first = c->text[c->at];
    if (is_digit(first)) {
        c->now.kind = TOKEN_NUMBER;
        c->now.size_bytes = number_span(c, c->at);
    } else if (first == '/') {
        c->now.kind = TOKEN_SIGNAL;
        c->now.size_bytes = span(c, c->at, is_signal);
    } else if (is_word(first)) {
        FW_TRY(read_word(c));
    } else {
        FW_TRY(read_mark(c));
    }
    c->at += c->now.size_bytes;
    return FW_OK;
}

/* Fails with what was wanted and what is there. */
static fw_status unexpected(compiler *c, const char *wanted) {
    int shown = c->now.size_bytes > WORD_MAX ? WORD_MAX : (int)c->now.size_bytes;
    if (c->now.kind == TOKEN_END)
        return fail_at(c, c->now.at, "the condition ends where %s should be", wanted);
    return fail_at(c, c->now.at, "here should be %s, not %.*s", wanted, shown,
                   c->text + c->now.at);
}

/* Reads the next token, which must be of that kind. */
static fw_status want(compiler *c, token_kind kind, const char *wanted) {
    FW_TRY(next_token(c));
    return c->now.kind == kind ? FW_OK : unexpected(c, wanted);
}

/* ---- operations ---- */

static fw_status emit(compiler *c, size_t at, uint16_t kind, uint16_t index, float number) {
    if (c->out->op_count == FW_CAMPAIGN_OPS_MAX)
        return fail_at(c, at, "the condition is too long; at most %d operations",
                       FW_CAMPAIGN_OPS_MAX);
    c->out->ops[c->out->op_count++] = (fw_campaign_op){kind, index, number};
    return FW_OK;
}

static fw_status push(compiler *c, size_t at, type of) {
    if (c->depth == FW_CAMPAIGN_STACK_MAX)
        return fail_at(c, at, "too much waits to be computed; at most %d values, write it with "
                              "fewer brackets",
                       FW_CAMPAIGN_STACK_MAX);
    c->types[c->depth++] = of;
    return FW_OK;
}

static fw_status memory(compiler *c, size_t at, uint16_t *index) {
    if (c->out->memory_count == FW_CAMPAIGN_MEMORIES_MAX)
        return fail_at(c, at, "too many of rising, held and rate; at most %d",
                       FW_CAMPAIGN_MEMORIES_MAX);
    *index = (uint16_t)c->out->memory_count++;
    return FW_OK;
}

/* What an operator or function is called, for messages. */
static const char *text_of(uint16_t op) {
    for (int i = 0; i < WORD_COUNT; i++)
        if (words[i].op == op) return words[i].text;
    for (int i = 0; i < MARK_COUNT; i++)
        if (marks[i].kind == TOKEN_OPERATOR && marks[i].op == op) return marks[i].text;
    return "-"; /* negate */
}

/* The top of the stack as a condition; `at` and `op` say whose. */
static fw_status make_condition(compiler *c, size_t at, uint16_t op) {
    type *top = &c->types[c->depth - 1];
    if (*top == TYPE_NUMBER)
        return fail_at(c, at, "%s takes conditions, and this is a number; compare it with something",
                       text_of(op));
    if (*top == TYPE_SIGNAL) FW_TRY(emit(c, at, FW_CAMPAIGN_OP_TRUTH, 0, 0));
    *top = TYPE_CONDITION;
    return FW_OK;
}

static fw_status make_number(compiler *c, size_t at, uint16_t op) {
    type *top = &c->types[c->depth - 1];
    if (*top == TYPE_CONDITION)
        return fail_at(c, at, "%s takes numbers, and this is a condition", text_of(op));
    *top = TYPE_NUMBER;
    return FW_OK;
}

/* ---- operators ---- */

static int precedence(uint16_t op) {
    switch ((fw_campaign_op_kind)op) {
    case FW_CAMPAIGN_OP_OR: return 1;
    case FW_CAMPAIGN_OP_AND: return 2;
    case FW_CAMPAIGN_OP_NOT: return 3;
    case FW_CAMPAIGN_OP_ADD:
    case FW_CAMPAIGN_OP_SUBTRACT: return 5;
    case FW_CAMPAIGN_OP_NEGATE: return 6;
    default: return 4; /* comparisons */
    }
}

static bool joins_conditions(uint16_t op) {
    return op == FW_CAMPAIGN_OP_AND || op == FW_CAMPAIGN_OP_OR || op == FW_CAMPAIGN_OP_NOT;
}

/* Applies an operator to its complete right side; a left side was checked when it was read. */
static fw_status apply(compiler *c, const pending *p) {
    fw_campaign_op *last = &c->out->ops[c->out->op_count - 1];
    if (joins_conditions(p->op))
        FW_TRY(make_condition(c, p->at, p->op));
    else
        FW_TRY(make_number(c, p->at, p->op));
    if (p->op == FW_CAMPAIGN_OP_NEGATE && last->kind == FW_CAMPAIGN_OP_NUMBER) {
        last->number = -last->number; /* it is its whole right side: the last operation made it */
        return FW_OK;
    }
    FW_TRY(emit(c, p->at, p->op, 0, 0));
    if (p->op == FW_CAMPAIGN_OP_NOT || p->op == FW_CAMPAIGN_OP_NEGATE) return FW_OK;
    c->depth--;
    c->types[c->depth - 1] = p->op == FW_CAMPAIGN_OP_ADD || p->op == FW_CAMPAIGN_OP_SUBTRACT
                                 ? TYPE_NUMBER
                                 : TYPE_CONDITION;
    return FW_OK;
}

/* Applies what waits and binds at least that tightly, down to the innermost open bracket. */
static fw_status reduce(compiler *c, int at_least) {
    while (c->pending_count > 0) {
        const pending *top = &c->pendings[c->pending_count - 1];
        if (top->bracket || precedence(top->op) < at_least) break;
        FW_TRY(apply(c, top));
        c->pending_count--;
    }
    return FW_OK;
}

static fw_status wait_for(compiler *c, size_t at, uint16_t op, bool bracket) {
    if (c->pending_count == PENDING_MAX)
        return fail_at(c, at, "too deep; at most %d open brackets and operators", PENDING_MAX);
    c->pendings[c->pending_count++] = (pending){.op = op, .bracket = bracket, .at = at};
    return FW_OK;
}

/* An operator between two sides. */
static fw_status binary(compiler *c) {
    uint16_t op = c->now.op;
    size_t at = c->now.at;
    FW_TRY(reduce(c, precedence(op)));
    if (joins_conditions(op))
        FW_TRY(make_condition(c, at, op));
    else
        FW_TRY(make_number(c, at, op));
    return wait_for(c, at, op, false);
}

/* ---- operands ---- */

static fw_status read_number(compiler *c, double *out) {
    char text[NUMBER_TEXT_MAX], *end;
    size_t size = c->now.size_bytes;
    if (size >= sizeof text)
        return fail_at(c, c->now.at, "a number of over %d digits", NUMBER_TEXT_MAX - 1);
    memcpy(text, c->text + c->now.at, size);
    text[size] = '\0';
    double number = strtod(text, &end);
    if (end != text + size) return fail_at(c, c->now.at, "%s is no number", text);
    if (!(number <= number_max)) return fail_at(c, c->now.at, "%s is beyond 1e12", text);
    *out = number;
    return FW_OK;
}

static fw_status read_signal(compiler *c, uint16_t *index) {
    const char *text = c->text + c->now.at;
    size_t size = c->now.size_bytes;
    const fw_campaign_signals *signals = c->signals;
    for (uint32_t i = 0; i < signals->count; i++) {
        if (strlen(signals->names[i]) != size || memcmp(signals->names[i], text, size) != 0)
            continue;
        *index = (uint16_t)i;
        return FW_OK;
    }
    const char *near = fw_campaign_nearest(text, size, signals->names, signals->count);
    return fail_at(c, c->now.at, "unknown signal %.*s%s%s%s",
                   size > WORD_MAX ? WORD_MAX : (int)size, text, near ? "; did you mean " : "",
                   near ? near : "", near ? "?" : "");
}

/* rate ( signal ) */
static fw_status read_rate(compiler *c, size_t at) {
    uint16_t index = 0, slot = 0;
    FW_TRY(want(c, TOKEN_SIGNAL, "a signal"));
    FW_TRY(read_signal(c, &index));
    FW_TRY(memory(c, at, &slot));
    FW_TRY(emit(c, at, FW_CAMPAIGN_OP_SIGNAL, index, 0));
    FW_TRY(emit(c, at, FW_CAMPAIGN_OP_RATE, slot, 0));
    FW_TRY(push(c, at, TYPE_NUMBER));
    return want(c, TOKEN_CLOSE, "the ) of rate(");
}

static fw_status read_function(compiler *c, bool *complete) {
    uint16_t op = c->now.op;
    size_t at = c->now.at;
    FW_TRY(want(c, TOKEN_OPEN, "a ("));
    *complete = op == FW_CAMPAIGN_OP_RATE;
    return *complete ? read_rate(c, at) : wait_for(c, at, op, true);
}

/* Where a value should begin; *complete says that one was read to its end. */
static fw_status operand(compiler *c, bool *complete) {
    static const char wanted[] = "a signal, a number or a condition";
    double number = 0;
    uint16_t index = 0;
    *complete = false;
    switch (c->now.kind) {
    case TOKEN_NUMBER:
        *complete = true;
        FW_TRY(read_number(c, &number));
        FW_TRY(emit(c, c->now.at, FW_CAMPAIGN_OP_NUMBER, 0, (float)number));
        return push(c, c->now.at, TYPE_NUMBER);
    case TOKEN_SIGNAL:
        *complete = true;
        FW_TRY(read_signal(c, &index));
        FW_TRY(emit(c, c->now.at, FW_CAMPAIGN_OP_SIGNAL, index, 0));
        return push(c, c->now.at, TYPE_SIGNAL);
    case TOKEN_FUNCTION: return read_function(c, complete);
    case TOKEN_OPEN: return wait_for(c, c->now.at, FW_CAMPAIGN_OP_NUMBER, true);
    case TOKEN_OPERATOR:
        if (c->now.op == FW_CAMPAIGN_OP_NOT) return wait_for(c, c->now.at, c->now.op, false);
        if (c->now.op == FW_CAMPAIGN_OP_SUBTRACT)
            return wait_for(c, c->now.at, FW_CAMPAIGN_OP_NEGATE, false);
        return unexpected(c, wanted);
    default: return unexpected(c, wanted);
    }
}

/* ---- brackets ---- */

/* Reduces to the innermost open bracket and takes it off. */
static fw_status take_bracket(compiler *c, pending *out) {
    FW_TRY(reduce(c, 0));
    if (c->pending_count == 0)
        return fail_at(c, c->now.at, "this %c has no open bracket", c->text[c->now.at]);
    *out = c->pendings[--c->pending_count];
    return FW_OK;
}

static fw_status close_bracket(compiler *c) {
    pending bracket;
    uint16_t slot = 0;
    FW_TRY(take_bracket(c, &bracket));
    switch ((fw_campaign_op_kind)bracket.op) {
    case FW_CAMPAIGN_OP_ABS:
        FW_TRY(make_number(c, bracket.at, bracket.op));
        return emit(c, bracket.at, bracket.op, 0, 0);
    case FW_CAMPAIGN_OP_RISING:
        FW_TRY(make_condition(c, bracket.at, bracket.op));
        FW_TRY(memory(c, bracket.at, &slot));
        return emit(c, bracket.at, bracket.op, slot, 0);
    case FW_CAMPAIGN_OP_HELD:
        return fail_at(c, c->now.at, "held( takes a condition, a comma and seconds");
    default: return FW_OK;
    }
}

/* held ( condition , seconds ) from its comma on. */
static fw_status comma(compiler *c) {
    pending bracket;
    uint16_t slot = 0;
    double seconds = 0;
    size_t at = c->now.at;
    FW_TRY(take_bracket(c, &bracket));
    if (bracket.op != FW_CAMPAIGN_OP_HELD)
        return fail_at(c, at, "a comma belongs into held(condition, seconds) alone");
    FW_TRY(make_condition(c, bracket.at, bracket.op));
    FW_TRY(memory(c, bracket.at, &slot));
    FW_TRY(want(c, TOKEN_NUMBER, "a number of seconds"));
    FW_TRY(read_number(c, &seconds));
    if (seconds > FW_CAMPAIGN_HELD_MAX_S)
        return fail_at(c, c->now.at, "held( takes at most %d s", FW_CAMPAIGN_HELD_MAX_S);
    float ms = (float)(int)(seconds * 1000 + 0.5); /* exact: under 2^24 */
    FW_TRY(emit(c, bracket.at, FW_CAMPAIGN_OP_HELD, slot, ms));
    return want(c, TOKEN_CLOSE, "the ) of held(");
}

/* ---- the whole ---- */

static fw_status finish(compiler *c) {
    FW_TRY(reduce(c, 0));
    if (c->pending_count > 0)
        return fail_at(c, c->pendings[c->pending_count - 1].at, "this bracket is never closed");
    FW_ASSERT(c->depth == 1);
    if (c->types[0] == TYPE_NUMBER)
        return fail_at(c, 0, "this is a number, not a condition; compare it with something");
    if (c->types[0] == TYPE_SIGNAL) FW_TRY(emit(c, 0, FW_CAMPAIGN_OP_TRUTH, 0, 0));
    return FW_OK;
}

static fw_status compile(compiler *c) {
    bool complete = false; /* a value has just ended: an operator or a bracket's end may follow */
    for (;;) {
        FW_TRY(next_token(c));
        if (!complete) {
            FW_TRY(operand(c, &complete));
        } else if (c->now.kind == TOKEN_END) {
            return finish(c);
        } else if (c->now.kind == TOKEN_CLOSE) {
            FW_TRY(close_bracket(c));
        } else if (c->now.kind == TOKEN_COMMA) {
            FW_TRY(comma(c));
        } else if (c->now.kind == TOKEN_OPERATOR && c->now.op != FW_CAMPAIGN_OP_NOT) {
            FW_TRY(binary(c));
            complete = false;
        } else {
            return unexpected(c, "and, or, a comparison or the end");
        }
    }
}

fw_status fw_campaign_compile(const char *when, size_t size_bytes,
                              const fw_campaign_signals *signals, fw_campaign *out,
                              fw_error *error) {
    compiler c = {.text = when,
                  .size_bytes = size_bytes,
                  .signals = signals,
                  .out = out,
                  .error = error};
    out->op_count = out->memory_count = 0;
    return compile(&c);
}

/* ---- did you mean ---- */

/* Levenshtein's distance (1966), one row of the table at a time; texts of at most WORD_MAX bytes. */
static uint32_t distance(const char *a, size_t a_size, const char *b, size_t b_size) {
    uint32_t row[WORD_MAX + 1];
    for (uint32_t j = 0; j <= b_size; j++) row[j] = j;
    for (uint32_t i = 1; i <= a_size; i++) {
        uint32_t corner = row[0];
        row[0] = i;
        for (uint32_t j = 1; j <= b_size; j++) {
            uint32_t changed = corner + (a[i - 1] != b[j - 1]);
            uint32_t shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            corner = row[j];
            row[j] = changed < shorter ? changed : shorter;
        }
    }
    return row[b_size];
}

const char *fw_campaign_nearest(const char *text, size_t size_bytes, const char *const *names,
                                uint32_t count) {
    const char *best = NULL;
    uint32_t best_distance = (uint32_t)size_bytes / 3 + 1; /* beyond it nothing is near */
    if (size_bytes > WORD_MAX) return NULL;
    for (uint32_t i = 0; i < count; i++) {
        size_t size = strlen(names[i]);
        if (size > WORD_MAX) continue;
        uint32_t found = distance(text, size_bytes, names[i], size);
        if (found > best_distance || (best && found == best_distance)) continue;
        best = names[i];
        best_distance = found;
    }
    return best;
}
