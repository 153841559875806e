/* Campaigns: JSON and conditions in, triggers out. The random conditions are checked against an
 * evaluator of trees that looks back through the whole history in every tick. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/random.h"
#include "campaign/ops.h"

static const char *const names[] = {"/a.x", "/a.y", "/b.on"};
static const fw_campaign_signals signals = {.line = "driving", .names = names, .count = 3};
enum { SIGNALS = 3 };
static const int64_t tick_ns = 100000000;

/* ---- helpers ---- */

static fw_status parse(const char *json, fw_campaign *out, fw_error *error) {
    return fw_campaign_parse(json, strlen(json), &signals, NULL, out, NULL, error);
}

static fw_campaign campaign_of(const char *when, const char *rest) {
    fw_campaign out;
    fw_error error = {""};
    char json[4096];
    snprintf(json, sizeof json, "{\"id\":\"c\",\"when\":\"%s\"%s}", when, rest);
    if (parse(json, &out, &error) != FW_OK) fail_msg("%s: %s", when, error.text);
    return out;
}

/* The line with which a condition is refused. */
static void refused(const char *when, const char *text) {
    fw_campaign out;
    fw_error error = {""};
    json_t *json = json_pack("{s:s, s:s}", "id", "c", "when", when);
    char *dump = json_dumps(json, 0);
    assert_int_equal(parse(dump, &out, &error), FW_INVALID);
    assert_string_equal(error.text, text);
    free(dump);
    json_decref(json);
}

static void refused_json(const char *json, const char *text) {
    fw_campaign out = {.priority = 77};
    bool wanted = true;
    fw_error error = {""};
    assert_int_equal(
        fw_campaign_parse(json, strlen(json), &signals, "7", &out, &wanted, &error), FW_INVALID);
    if (!strstr(error.text, text)) fail_msg("%s: '%s' lacks '%s'", json, error.text, text);
    assert_int_equal(out.priority, 77); /* untouched */
    assert_true(wanted);
}

/* Steps through rows of signals 0.1 s apart; returns '^' and '.' for each tick. */
static const char *run(const fw_campaign *campaign, fw_campaign_state *state, int64_t *time_ns,
                       const double *x, int count) {
    static char out[256];
    for (int i = 0; i < count; i++) {
        double row[SIGNALS] = {x[i], NAN, x[i] > 1};
        out[i] = fw_campaign_step(campaign, state, "7", row, *time_ns, 0) ? '^' : '.';
        *time_ns += tick_ns;
    }
    out[count] = '\0';
    return out;
}

static const char *run_new(const char *when, const char *rest, const double *x, int count) {
    fw_campaign campaign = campaign_of(when, rest);
    fw_campaign_state state = {0};
    int64_t time_ns = 5000000000;
    return run(&campaign, &state, &time_ns, x, count);
}
#define RUN(when, rest, ...)                                                                       \
    run_new(when, rest, (const double[]){__VA_ARGS__},                                             \
            (int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)))

/* ---- conditions ---- */

static void test_truth_tables(void **state) {
    (void)state;
    static const struct {
        const char *when, *ticks; /* for x = -1 0 1 2 NaN */
    } rows[] = {
        {"/a.x < 1", "^^..."},
        {"/a.x <= 1", "^^^.."},
        {"/a.x > 1", "...^."},
        {"/a.x >= 1", "..^^."},
        {"/a.x == 1", "..^.."},
        {"/a.x != 1", "^^.^."},
        {"/a.x", "^.^^."},
        {"not /a.x", ".^..^"},
        {"not /a.x < 1", "..^^^"},
        {"not not /a.x < 1", "^^..."},
        {"/a.y == /a.y", "....."},
        {"/a.y != /a.y", "....."},
        {"/b.on", "...^."},
        {"/a.x < 0 or /a.x > 1", "^..^."},
        {"/a.x > -1 and /a.x < 2", ".^^.."},
        {"/a.x < 0 or /a.x > -1 and /a.x < 1", "^^..."},
        {"(/a.x < 0 or /a.x > -1) and /a.x < 1", "^^..."},
        {"(/a.x < 0 or /a.x > -1) and /a.x > 0", "..^^."},
        {"/a.x < 0 or /b.on and not /a.y", "^..^."},
        {"abs(/a.x) == 1", "^.^.."},
        {"abs(/a.x - 1) > 1", "^...."},
        {"-/a.x > 0", "^...."},
        {"- -/a.x > 0", "..^^."},
        {"/a.x - 1 - 1 == 0", "...^."},
        {"/a.x - (1 - 1) == 0", ".^..."},
        {"1 - /a.x + 1 == 0", "...^."},
        {"-1 - -/a.x == 0", "..^.."},
        {"/a.x + /a.x == 4", "...^."},
        {"/a.x > 5e-1 and/a.x<1.5", "..^.."},
        {"\\n( ( (/a.x) ) )\\t", "^.^^."},
        {"((/a.x)) + 1 == 1", ".^..."},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *got = RUN(rows[i].when, "", -1, 0, 1, 2, NAN);
        if (strcmp(got, rows[i].ticks) != 0)
            fail_msg("%s: %s, not %s", rows[i].when, got, rows[i].ticks);
    }
}

static void test_rising(void **state) {
    (void)state;
    assert_string_equal(RUN("rising(/a.x > 0)", "", 0, 1, 1, 0, 1, NAN, 1), ".^..^.^");
    assert_string_equal(RUN("rising(/a.x > 0)", "", 1, 1, 0, 1), "...^"); /* not in the first */
    assert_string_equal(RUN("rising(/a.x)", "", 0, 1, 2, 0, -1), ".^..^");
    assert_string_equal(RUN("rising(rising(/a.x))", "", 0, 1, 1, 0, 1), ".^..^");
    assert_string_equal(RUN("rising(not /a.x)", "", 1, 0, 0, 1, 0), ".^..^");
}

static void test_held(void **state) {
    (void)state;
    assert_string_equal(RUN("held(/a.x, 0)", "", 0, 1, 1, 0, 1), ".^^.^");
    assert_string_equal(RUN("held(/a.x, 0.1)", "", 0, 1, 1, 0, 1, 1), "..^..^");
    assert_string_equal(RUN("held(/a.x, 0.3)", "", 1, 1, 1, 1, 1, 0, 1, 1, 1, 1), "...^^....^");
    assert_string_equal(RUN("held(/a.x, 0.3)", "", 1, 1, NAN, 1, 1, 1, 1), "......^");
    assert_string_equal(RUN("rising(held(/a.x, 0.2))", "", 1, 1, 1, 1, 1), "..^..");
}

static void test_rate(void **state) {
    (void)state;
    assert_string_equal(RUN("rate(/a.x) > 9", "", 0, 1, 1, 2, 1, NAN, 3, 4), ".^.^...^");
    assert_string_equal(RUN("rate(/a.x) < -9", "", 5, 4, 3.5, 1), ".^.^");
    assert_string_equal(RUN("rate(/a.x) < 9 or rate(/a.x) >= 9", "", 5, 4, 3, NAN, 3, 3), ".^^..^");
}

/* A new drive, a gap and a clock that stands or goes back: nothing was before. */
static void test_gaps(void **state) {
    (void)state;
    fw_campaign campaign = campaign_of("rising(/a.x > 0) or rate(/a.x) > 0 or held(/a.x > 1, 0.1)",
                                       "");
    static const struct {
        int64_t step_ns;
        bool restart, triggers;
    } rows[] = {{100000000, false, true},   {1000000000, false, true}, {1000000001, false, false},
                {0, false, false},          {-5, false, false},        {100000000, true, false},
                {INT64_MAX / 2, false, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fw_campaign_state s = {0};
        int64_t time_ns = -1000;
        assert_string_equal(run(&campaign, &s, &time_ns, (double[]){0}, 1), ".");
        if (rows[i].restart) fw_campaign_restart(&s);
        time_ns = s.time_ns + rows[i].step_ns;
        assert_string_equal(run(&campaign, &s, &time_ns, (double[]){2}, 1),
                            rows[i].triggers ? "^" : ".");
    }
}

/* ---- triggers ---- */

static void test_cooldown(void **state) {
    (void)state;
    assert_string_equal(RUN("/a.x", ",\"cooldown_s\":0.3", 1, 1, 1, 1, 1, 0, 1, 1), "^..^..^.");
    assert_string_equal(RUN("/a.x", ",\"cooldown_s\":0.3", 1, 0, 0, 0, 1, 0, 1, 1), "^...^..^");
    fw_campaign campaign = campaign_of("/a.x", ",\"cooldown_s\":60");
    fw_campaign_state s = {0};
    int64_t time_ns = 5000000000000;
    assert_string_equal(run(&campaign, &s, &time_ns, (double[]){1, 1}, 2), "^.");
    time_ns = 1000; /* a new clock has no old cooldown */
    assert_string_equal(run(&campaign, &s, &time_ns, (double[]){1, 1}, 2), "^.");
    fw_campaign_restart(&s); /* a new drive does */
    assert_string_equal(run(&campaign, &s, &time_ns, (double[]){1, 1}, 2), "..");
    assert_int_equal(s.triggers, 2);
}

static void test_ticks_in_a_row_are_one_trigger(void **state) {
    (void)state;
    fw_campaign campaign = campaign_of("/a.x", "");
    fw_campaign_state s = {0};
    int64_t time_ns = 0;
    assert_string_equal(run(&campaign, &s, &time_ns, (double[]){1, 1, 1, 0, 1, 1}, 6), "^^^.^^");
    assert_int_equal(s.triggers, 2);
    assert_int_equal(s.last_trigger_ns, 5 * tick_ns);
    assert_int_equal(s.captures, 0); /* the caller's */
}

static void test_budgets(void **state) {
    (void)state;
    fw_campaign campaign = campaign_of("/a.x", ",\"budget_count\":2,\"budget_bytes\":1000");
    fw_campaign_state s = {.captures = 1};
    int64_t time_ns = 0;
    assert_string_equal(run(&campaign, &s, &time_ns, (double[]){0, 1}, 2), ".^");
    s.captures = 2; /* the caller opened a file: it may go on, and no other */
    assert_string_equal(run(&campaign, &s, &time_ns, (double[]){1, 1, 0, 1}, 4), "^^..");
    s = (fw_campaign_state){.captured_bytes = 999};
    assert_string_equal(run(&campaign, &s, &time_ns, (double[]){0, 1, 1}, 3), ".^^");
    s.captured_bytes = 1000; /* ends it in the middle */
    assert_string_equal(run(&campaign, &s, &time_ns, (double[]){1, 0, 1}, 3), "...");
    assert_int_equal(s.triggers, 1);
}

static void test_expiry(void **state) {
    (void)state;
    fw_campaign campaign = campaign_of("rising(/a.x)", ",\"expires_ns\":1000");
    fw_campaign_state s = {0};
    double off[SIGNALS] = {0}, on[SIGNALS] = {1};
    assert_false(fw_campaign_step(&campaign, &s, "7", off, 1 * tick_ns, 0));
    assert_true(fw_campaign_step(&campaign, &s, "7", on, 2 * tick_ns, 999));
    assert_false(fw_campaign_step(&campaign, &s, "7", off, 3 * tick_ns, 1000));
    assert_false(fw_campaign_step(&campaign, &s, "7", on, 4 * tick_ns, 1000));
    /* The clock was set back: memories went on, so nothing rises that was on. */
    assert_false(fw_campaign_step(&campaign, &s, "7", on, 5 * tick_ns, 500));
    assert_false(fw_campaign_step(&campaign, &s, "7", off, 6 * tick_ns, 500));
    assert_true(fw_campaign_step(&campaign, &s, "7", on, 7 * tick_ns, 500));
}

/* Share of `triggers` triggers that were captured by a unit. */
static double share_of(const char *id, const char *unit, float sample, int triggers) {
    fw_campaign campaign = campaign_of("/a.x", "");
    fw_campaign_state s = {0};
    int captured = 0;
    campaign.sample = sample;
    snprintf(campaign.id, sizeof campaign.id, "%s", id);
    for (int i = 0; i < 2 * triggers; i++) {
        double row[SIGNALS] = {i % 2};
        captured += fw_campaign_step(&campaign, &s, unit, row, i * tick_ns, 0);
    }
    assert_int_equal(s.triggers, triggers);
    return (double)captured / triggers;
}

static void test_sampling_converges(void **state) {
    (void)state;
    enum { N = 20000 };
    static const float shares[] = {0.001f, 0.1f, 0.5f, 0.9f, 1};
    for (int i = 0; i < 5; i++) {
        double p = (double)shares[i], five_sigma = 5 * sqrt(p * (1 - p) / N);
        for (int unit = 0; unit < 4; unit++) {
            char name[8];
            snprintf(name, sizeof name, "%d", unit);
            assert_true(fabs(share_of("hard-brakes", name, shares[i], N) - p) <= five_sigma);
        }
    }
    /* Over units that each had few triggers as well. */
    double sum = 0;
    for (int unit = 0; unit < 2000; unit++) {
        char name[8];
        snprintf(name, sizeof name, "%d", unit);
        sum += share_of("x", name, 0.3f, 3);
    }
    assert_true(fabs(sum / 2000 - 0.3) < 5 * sqrt(0.3 * 0.7 / 6000));
}

/* The dice fall once a trigger, not once a tick: a long one is no likelier taken. */
static void test_sampling_is_per_trigger_and_repeats(void **state) {
    (void)state;
    fw_campaign campaign = campaign_of("/a.x", ",\"sample\":0.5");
    fw_campaign_state s = {0}, again = {0};
    char first[256];
    double x[200];
    int64_t time_ns = 0, mixed = 0;
    for (int i = 0; i < 200; i++) x[i] = i % 10 < 7;
    snprintf(first, sizeof first, "%s", run(&campaign, &s, &time_ns, x, 200));
    for (int i = 0; i < 200; i += 10) {
        const char *seven = memchr(first + i, '^', 7) ? "^^^^^^^..." : "..........";
        assert_memory_equal(first + i, seven, 10);
        mixed += first[i] == '^';
    }
    assert_in_range(mixed, 1, 19);
    time_ns = 777; /* another clock changes nothing */
    assert_string_equal(run(&campaign, &again, &time_ns, x, 200), first);
}

/* ---- what is refused ---- */

static void test_refused_conditions(void **state) {
    (void)state;
    static const struct {
        const char *when, *error;
    } rows[] = {
        {"/a.z > 1", "when: column 1: unknown signal /a.z; did you mean /a.x?"},
        {"/a.x > 1 and /b.onn", "when: column 14: unknown signal /b.onn; did you mean /b.on?"},
        {"/nothing/like.it", "when: column 1: unknown signal /nothing/like.it"},
        {"  ", "when: column 3: the condition ends where a signal, a number or a condition should be"},
        {"/a.x >", "when: column 7: the condition ends where a signal, a number or a condition should be"},
        {"/a.x 3", "when: column 6: here should be and, or, a comparison or the end, not 3"},
        {"/a.x not /b.on", "when: column 6: here should be and, or, a comparison or the end, not not"},
        {"* 3", "when: column 1: '*' is not known here"},
        {"/a.x = 3", "when: column 6: '=' is not known here; write =="},
        {"/a.x && /a.y", "when: column 6: '&' is not known here; write and"},
        {"!/a.x", "when: column 1: '!' is not known here; write not"},
        {"/a.x \x01", "when: column 6: a byte 0x01 has no place here"},
        {"/a.x > \xc3\xa4", "when: column 8: a byte 0xc3 has no place here"},
        {"a.x > 3", "when: column 1: unknown word a; signals begin with /"},
        {"/a.x adn /a.y", "when: column 6: unknown word adn; did you mean and?"},
        {"raising(/a.x)", "when: column 1: unknown word raising; did you mean rising?"},
        {"infinity > /a.x", "when: column 1: unknown word infinity; signals begin with /"},
        {"/a.x > 1e13", "when: column 8: 1e13 is beyond 1e12"},
        {"/a.x > 1e999", "when: column 8: 1e999 is beyond 1e12"},
        {"/a.x > 1.0000000000000000000000000000000000000001",
         "when: column 8: a number of over 39 digits"},
        {"3", "when: column 1: this is a number, not a condition; compare it with something"},
        {"/a.x + 1", "when: column 1: this is a number, not a condition; compare it with something"},
        {"/a.x + 1 and /a.y",
         "when: column 10: and takes conditions, and this is a number; compare it with something"},
        {"/a.y or 3",
         "when: column 6: or takes conditions, and this is a number; compare it with something"},
        {"not 3", "when: column 1: not takes conditions, and this is a number; compare it with something"},
        {"rising(abs(/a.x))",
         "when: column 1: rising takes conditions, and this is a number; compare it with something"},
        {"1 < /a.x < 2", "when: column 10: < takes numbers, and this is a condition"},
        {"1 < not /a.x", "when: column 3: < takes numbers, and this is a condition"},
        {"(/a.x < 1) + 1 > 1", "when: column 12: + takes numbers, and this is a condition"},
        {"-(/a.x < 1)", "when: column 1: - takes numbers, and this is a condition"},
        {"abs(/a.x > 1)", "when: column 1: abs takes numbers, and this is a condition"},
        {"(/a.x", "when: column 1: this bracket is never closed"},
        {"/a.x)", "when: column 5: this ) has no open bracket"},
        {"()", "when: column 2: here should be a signal, a number or a condition, not )"},
        {"rising /a.x", "when: column 8: here should be a (, not /a.x"},
        {"rate(3)", "when: column 6: here should be a signal, not 3"},
        {"rate(/a.x + 1)", "when: column 11: here should be the ) of rate(, not +"},
        {"rate(/a.q) > 1", "when: column 6: unknown signal /a.q; did you mean /a.x?"},
        {"held(/a.x)", "when: column 10: held( takes a condition, a comma and seconds"},
        {"held(/a.x, )", "when: column 12: here should be a number of seconds, not )"},
        {"held(/a.x, -1)", "when: column 12: here should be a number of seconds, not -"},
        {"held(/a.x, 3601)", "when: column 12: held( takes at most 3600 s"},
        {"held(/a.x, 1, 2)", "when: column 13: here should be the ) of held(, not ,"},
        {"held(3, 1)", "when: column 1: held takes conditions, and this is a number; compare it with something"},
        {"rising(/a.x, 1)", "when: column 12: a comma belongs into held(condition, seconds) alone"},
        {"/a.x, 1", "when: column 5: this , has no open bracket"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) refused(rows[i].when, rows[i].error);
}

/* `count` times `part`, then `end`. */
static char *repeated(const char *part, int count, const char *end) {
    char *text = calloc(1, strlen(part) * (size_t)count + strlen(end) + 1);
    for (int i = 0; i < count; i++) strcat(text, part);
    return strcat(text, end);
}

static void test_limits_of_conditions(void **state) {
    (void)state;
    static const struct {
        const char *part, *end, *closing;
        int most; /* parts that are taken; one more is refused with the text */
        const char *error;
    } rows[] = {
        /* each part is a signal, its truth and an or; the end is two operations */
        {"/a.x or ", "/a.y", "", 20, "the condition is too long; at most 64 operations"},
        {"rising(/a.x) and ", "/a.x > 3", "", 15, "the condition is too long"},
        {"rising(", "/a.x", ")", 16, "too many of rising, held and rate; at most 16"},
        {"(", "/a.x", ")", 64, "too deep; at most 64 open brackets and operators"},
        {"not ", "/a.x", "", 62, "the condition is too long"},
        {"/a.x-(", "1", ")", 15, "too much waits to be computed; at most 16 values"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int more = 0; more < 2; more++) {
            char *closing = repeated(rows[i].closing, rows[i].most + more, "");
            char *end = repeated(rows[i].end, 1, closing);
            char *number = repeated(end, 1, strstr(rows[i].part, "-(") ? " > 1" : "");
            char *when = repeated(rows[i].part, rows[i].most + more, number), json[4096];
            fw_campaign out;
            fw_error error = {""};
            snprintf(json, sizeof json, "{\"id\":\"c\",\"when\":\"%s\"}", when);
            fw_status status = parse(json, &out, &error);
            if (status != (more ? FW_INVALID : FW_OK)) fail_msg("%s: %s", when, error.text);
            if (more && !strstr(error.text, rows[i].error)) fail_msg("%s: %s", when, error.text);
            free(closing), free(end), free(number), free(when);
        }
    }
}

static void test_refused_fields(void **state) {
    (void)state;
#define W "\"id\":\"c\",\"when\":\"/a.x\","
    static const struct {
        const char *json, *error;
    } rows[] = {
        {"", "no JSON: line 1 column 0"},
        {"[]", "a campaign is a JSON object"},
        {"{} {}", "no JSON"},
        {"{\"id\":\"c\",\"id\":\"d\"}", "duplicate"},
        {"{\"id\":\"c\\u0000\",\"when\":\"/a.x\"}", "no JSON"},
        {"{}", "id: a campaign needs one"},
        {"{\"id\":\"c\"}", "when: a campaign needs a condition"},
        {"{\"id\":\"c\",\"when\":\"\"}", "when: want a text of 1 to 2048 bytes"},
        {"{\"id\":7,\"when\":\"/a.x\"}", "id: want a text of 1 to 63 bytes"},
        {"{\"id\":\"\",\"when\":\"/a.x\"}", "id: want a text"},
        {"{\"id\":\"..\",\"when\":\"/a.x\"}", "id: want letters"},
        {"{\"id\":\"a/b\",\"when\":\"/a.x\"}", "id: want letters"},
        {"{" W "\"beforre_s\":3}", "beforre_s: a campaign has no such field; did you mean before_s?"},
        {"{" W "\"colour\":3}", "colour: a campaign has no such field"},
        {"{" W "\"col\\nour\\u00e4\":3}", "col?our??: a campaign has no such field"},
        {"{" W "\"line\":\"a\\nb\"}", "no signals of a?b are known"},
        {"{\xc3\xa4\n}", "no JSON: line 1"},
        {"{" W "\"line\":\"robots\"}", "line: want driving; no signals of robots are known here"},
        {"{" W "\"before_s\":-1}", "before_s: want a number from 0 to 60"},
        {"{" W "\"before_s\":60.1}", "before_s: want a number from 0 to 60"},
        {"{" W "\"after_s\":\"5\"}", "after_s: want a number from 0 to 60"},
        {"{" W "\"sample\":0}", "sample: want a share over 0 and up to 1"},
        {"{" W "\"sample\":1e-60}", "sample: want a share over 0"},
        {"{" W "\"sample\":1.01}", "sample: want a number from 0 to 1"},
        {"{" W "\"priority\":101}", "priority: want a whole number from 0 to 100"},
        {"{" W "\"priority\":1.5}", "priority: want a whole number"},
        {"{" W "\"cooldown_s\":86401}", "cooldown_s: want a number from 0 to 86400"},
        {"{" W "\"budget_bytes\":-1}", "budget_bytes: want a whole number from 0"},
        {"{" W "\"budget_count\":9007199254740993}", "budget_count: want a whole number from 0"},
        {"{" W "\"expires_ns\":\"soon\"}", "expires_ns: want a whole number from 0"},
        {"{" W "\"expires_ns\":9223372036854775808}", "no JSON"},
        {"{" W "\"units\":\"7\"}", "units: want a list of 1 to 64 names"},
        {"{" W "\"units\":[]}", "units: want a list of 1 to 64 names"},
        {"{" W "\"units\":[\"7\",8]}", "units: name 2: want 1 to 31 of"},
        {"{" W "\"units\":[\"a b\"]}", "units: name 1: want 1 to 31 of"},
        {"{" W "\"units\":[\"\"]}", "units: name 1"},
        {"{" W "\"units\":[\"01234567890123456789012345678901\"]}", "units: name 1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        refused_json(rows[i].json, rows[i].error);
    char *big = repeated(" ", FW_CAMPAIGN_JSON_MAX, "{}");
    refused_json(big, "a campaign of 16386 bytes; at most 16384");
    free(big);
}

static void test_fields(void **state) {
    (void)state;
    fw_campaign c = campaign_of("/a.x", "");
    assert_string_equal(c.id, "c");
    assert_true(c.before_s == 10 && c.after_s == 5 && c.sample == 1 && c.cooldown_s == 0);
    assert_true(c.priority == 50 && c.budget_bytes == 0 && c.budget_count == 0 && c.expires_ns == 0);
    c = campaign_of("/a.x", ",\"line\":\"driving\",\"before_s\":0,\"after_s\":60,\"sample\":0.25,"
                            "\"priority\":100,\"cooldown_s\":86400,\"budget_bytes\":9007199254740992,"
                            "\"budget_count\":3,\"expires_ns\":1790000000000000001");
    assert_true(c.before_s == 0 && c.after_s == 60 && c.sample == 0.25f && c.cooldown_s == 86400);
    assert_true(c.priority == 100 && c.budget_bytes == 1ull << 53 && c.budget_count == 3);
    assert_int_equal(c.expires_ns, 1790000000000000001);
}

static void test_units(void **state) {
    (void)state;
    static const struct {
        const char *units, *unit;
        bool wanted;
    } rows[] = {{"", "7", true},
                {"", NULL, true},
                {",\"units\":[\"0\",\"7\"]", "7", true},
                {",\"units\":[\"0\",\"7\"]", "77", false},
                {",\"units\":[\"0\",\"7\"]", NULL, true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char json[200];
        bool wanted = !rows[i].wanted;
        fw_campaign out;
        fw_error error = {""};
        snprintf(json, sizeof json, "{\"id\":\"c\",\"when\":\"/a.x\"%s}", rows[i].units);
        assert_int_equal(fw_campaign_parse(json, strlen(json), &signals, rows[i].unit, &out,
                                           &wanted, &error),
                         FW_OK);
        assert_int_equal(wanted, rows[i].wanted);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truth_tables),
        cmocka_unit_test(test_rising),
        cmocka_unit_test(test_held),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_cooldown),
        cmocka_unit_test(test_ticks_in_a_row_are_one_trigger),
        cmocka_unit_test(test_budgets),
        cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_sampling_converges),
        cmocka_unit_test(test_sampling_is_per_trigger_and_repeats),
        cmocka_unit_test(test_refused_conditions),
        cmocka_unit_test(test_limits_of_conditions),
        cmocka_unit_test(test_refused_fields),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
