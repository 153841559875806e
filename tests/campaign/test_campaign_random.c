/* Random conditions over random drives: fw_campaign_step against trees that are evaluated by looking
 * back through the whole history in every tick. The trees' text has brackets only where the grammar
 * needs them (and some more by chance), so that precedence is checked as well. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/random.h"
#include "campaign/campaign.h"

enum { SIGNALS = 4, TICKS = 80, NODES_MAX = 40, TEXT_MAX = 2000, ROUNDS = 4000 };
static const char *const names[SIGNALS] = {"/a.x", "/a.y", "/b.on", "/b.z_mps"};
static const fw_campaign_signals signals = {"driving", names, SIGNALS};

typedef enum kind { NUMBER, SIGNAL, RATE, ABS, MINUS, PLUS, DIFFERENCE, COMPARE, TRUTH, NOT, AND, OR,
                    RISING, HELD } kind;

typedef struct node {
    kind kind;
    int a, b, which; /* children; of a signal or a comparison */
    double number;
} node;

typedef struct tree {
    node nodes[NODES_MAX];
    int count, memories;
    fw_random random;
    char text[TEXT_MAX];
    size_t size;
} tree;

typedef struct history {
    double rows[TICKS][SIGNALS];
    int64_t times[TICKS];
    bool starts[TICKS]; /* nothing before */
} history;

/* ---- trees ---- */

static int make_number(tree *t, int depth);

static int add(tree *t, node n) {
    t->nodes[t->count] = n;
    return t->count++;
}

static bool may_remember(tree *t) {
    return fw_random_below(&t->random, 4) == 0 && t->memories < FW_CAMPAIGN_MEMORIES_MAX;
}

static int make_condition(tree *t, int depth) {
    uint32_t roll = fw_random_below(&t->random, 12);
    if (may_remember(t)) {
        t->memories++;
        int a = make_condition(t, depth - 1);
        if (roll % 2) return add(t, (node){.kind = RISING, .a = a});
        return add(t, (node){.kind = HELD, .a = a,
                             .number = (double)fw_random_below(&t->random, 6) * 0.1});
    }
    if (depth <= 0 || t->count > NODES_MAX / 2)
        return add(t, (node){.kind = TRUTH, .which = (int)(roll % SIGNALS)});
    if (roll < 5) {
        int a = make_condition(t, depth - 1), b = make_condition(t, depth - 1);
        return add(t, (node){.kind = roll < 3 ? AND : OR, .a = a, .b = b});
    }
    if (roll < 7) return add(t, (node){.kind = NOT, .a = make_condition(t, depth - 1)});
    int a = make_number(t, depth - 1), b = make_number(t, depth - 1);
    return add(t, (node){.kind = COMPARE, .a = a, .b = b, .which = (int)(roll % 6)});
}

static int make_number(tree *t, int depth) {
    uint32_t roll = fw_random_below(&t->random, 10);
    if (may_remember(t)) {
        t->memories++;
        return add(t, (node){.kind = RATE, .which = (int)(roll % SIGNALS)});
    }
    if (roll < 3 || t->count > NODES_MAX / 2)
        return add(t, (node){.kind = NUMBER, .number = (double)fw_random_below(&t->random, 9) / 4});
    if (roll < 6 || depth <= 0) return add(t, (node){.kind = SIGNAL, .which = (int)(roll % SIGNALS)});
    if (roll == 6) return add(t, (node){.kind = ABS, .a = make_number(t, depth - 1)});
    if (roll == 7) return add(t, (node){.kind = MINUS, .a = make_number(t, depth - 1)});
    int a = make_number(t, depth - 1), b = make_number(t, depth - 1);
    return add(t, (node){.kind = roll == 8 ? PLUS : DIFFERENCE, .a = a, .b = b});
}

/* ---- as text ---- */

static void put(tree *t, const char *text) {
    size_t size = strlen(text), spaces = fw_random_below(&t->random, 3);
    assert_true(t->size + size + spaces + 2 < TEXT_MAX);
    memcpy(t->text + t->size, text, size);
    t->size += size;
    t->text[t->size++] = ' '; /* words need one */
    while (spaces-- > 0 && spaces < 2) t->text[t->size++] = "\t "[spaces];
    t->text[t->size] = '\0';
}

static int tightness(kind k) {
    static const int of[] = {[OR] = 1, [AND] = 2, [NOT] = 3, [COMPARE] = 4,
                             [PLUS] = 5, [DIFFERENCE] = 5, [MINUS] = 6};
    return k <= OR && of[k] ? of[k] : 9;
}

/* `least`: how tightly it must bind to stand without brackets. */
static void write_node(tree *t, int i, int least) {
    static const char *const comparisons[] = {"<", "<=", ">", ">=", "==", "!="};
    const node *n = &t->nodes[i];
    int own = tightness(n->kind);
    bool bracket = own < least || fw_random_below(&t->random, 8) == 0;
    char text[40];
    if (bracket) put(t, "(");
    switch (n->kind) {
    case NUMBER: snprintf(text, sizeof text, "%.2f", n->number), put(t, text); break;
    case SIGNAL:
    case TRUTH: put(t, names[n->which]); break;
    case RATE: put(t, "rate ("), put(t, names[n->which]), put(t, ")"); break;
    case ABS: put(t, "abs ("), write_node(t, n->a, 0), put(t, ")"); break;
    case MINUS: put(t, "-"), write_node(t, n->a, own); break;
    case NOT: put(t, "not"), write_node(t, n->a, own); break;
    case RISING: put(t, "rising("), write_node(t, n->a, 0), put(t, ")"); break;
    case HELD:
        put(t, "held("), write_node(t, n->a, 0);
        snprintf(text, sizeof text, ", %.1f )", n->number), put(t, text);
        break;
    default:
        write_node(t, n->a, n->kind == COMPARE ? own + 1 : own);
        put(t, n->kind == COMPARE ? comparisons[n->which] : n->kind == PLUS ? "+"
               : n->kind == DIFFERENCE ? "-" : n->kind == AND ? "and" : "or");
        write_node(t, n->b, own + 1);
    }
    if (bracket) put(t, ")");
}

/* ---- by looking back ---- */

static bool truth(const tree *t, const history *h, int i, int tick);

static double value(const tree *t, const history *h, int i, int tick) {
    const node *n = &t->nodes[i];
    switch (n->kind) {
    case NUMBER: return n->number;
    case SIGNAL: return h->rows[tick][n->which];
    case RATE:
        if (h->starts[tick]) return NAN;
        return (h->rows[tick][n->which] - h->rows[tick - 1][n->which]) /
               ((double)(h->times[tick] - h->times[tick - 1]) * 1e-9);
    case ABS: return fabs(value(t, h, n->a, tick));
    case MINUS: return -value(t, h, n->a, tick);
    case PLUS: return value(t, h, n->a, tick) + value(t, h, n->b, tick);
    default: return value(t, h, n->a, tick) - value(t, h, n->b, tick);
    }
}

static bool compare(int which, double a, double b) {
    if (isnan(a) || isnan(b)) return false;
    switch (which) {
    case 0: return a < b;
    case 1: return a <= b;
    case 2: return a > b;
    case 3: return a >= b;
    case 4: return a == b;
    default: return a != b;
    }
}

static bool held(const tree *t, const history *h, const node *n, int tick) {
    int first = tick;
    if (!truth(t, h, n->a, tick)) return false;
    while (!h->starts[first] && truth(t, h, n->a, first - 1)) first--;
    return h->times[tick] - h->times[first] >= llround(n->number * 1000) * 1000000;
}

static bool truth(const tree *t, const history *h, int i, int tick) {
    const node *n = &t->nodes[i];
    switch (n->kind) {
    case TRUTH: return !isnan(h->rows[tick][n->which]) && h->rows[tick][n->which] != 0;
    case NOT: return !truth(t, h, n->a, tick);
    case AND: return truth(t, h, n->a, tick) && truth(t, h, n->b, tick);
    case OR: return truth(t, h, n->a, tick) || truth(t, h, n->b, tick);
    case RISING:
        return truth(t, h, n->a, tick) && !h->starts[tick] && !truth(t, h, n->a, tick - 1);
    case HELD: return held(t, h, n, tick);
    default: return compare(n->which, value(t, h, n->a, tick), value(t, h, n->b, tick));
    }
}

/* ---- the comparison ---- */

static void make_history(history *h, fw_random *r) {
    static const double values[] = {-1, 0, 0, 0.25, 0.5, 1, 1, 2, NAN};
    int64_t time_ns = (int64_t)fw_random_u32(r) - INT32_MAX;
    for (int i = 0; i < TICKS; i++) {
        bool gap = fw_random_below(r, 30) == 0;
        time_ns += gap ? 1000000001 : 100000000;
        h->starts[i] = i == 0 || gap;
        h->times[i] = time_ns;
        for (int k = 0; k < SIGNALS; k++)
            h->rows[i][k] = i > 0 && fw_random_below(r, 2) ? h->rows[i - 1][k]
                                                           : values[fw_random_below(r, 9)];
    }
}

static bool fits(const tree *t, fw_campaign *out) {
    char json[TEXT_MAX + 100], *to = json;
    fw_error error = {""};
    to += snprintf(json, sizeof json, "{\"id\":\"c\",\"when\":\"");
    for (size_t i = 0; i < t->size; i++) {
        if (t->text[i] == '\t') *to++ = '\\';
        *to++ = t->text[i] == '\t' ? 't' : t->text[i];
    }
    to += snprintf(to, 4, "\"}");
    if (fw_campaign_parse(json, (size_t)(to - json), &signals, NULL, out, NULL, &error) == FW_OK)
        return true;
    /* over a limit is fine, anything else is not */
    if (!strstr(error.text, "at most ")) fail_msg("%s: %s", t->text, error.text);
    return false;
}

static void test_against_trees(void **state) {
    (void)state;
    const char *given = getenv("FLYWHEEL_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("seed %llu (FLYWHEEL_TEST_SEED repeats it)\n", (unsigned long long)seed);
    static tree t;
    static history h;
    int compared = 0, triggered = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        t = (tree){.random = fw_random_indexed(seed, round)};
        fw_campaign campaign;
        fw_campaign_state s = {0};
        int root = make_condition(&t, 5);
        write_node(&t, root, 0);
        if (!fits(&t, &campaign)) continue;
        make_history(&h, &t.random);
        compared++;
        for (int i = 0; i < TICKS; i++) {
            bool want = truth(&t, &h, root, i);
            triggered += want;
            if (fw_campaign_step(&campaign, &s, "7", h.rows[i], h.times[i], 0) != want)
                fail_msg("seed %llu round %u tick %d: want %d: %s", (unsigned long long)seed, round,
                         i, want, t.text);
        }
    }
    assert_true(compared > ROUNDS / 2);
    assert_in_range(triggered, compared * TICKS / 10, compared * TICKS * 9 / 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_trees)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
