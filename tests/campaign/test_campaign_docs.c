/* The schema, the pages and the parser say the same: names, limits, defaults, examples, signals. */
#include <float.h>
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

#include "base/file.h"
#include "campaign/ops.h"
#include "lines/driving/act/signals.h"

static char *read_page(const char *name) {
    char path[FW_PATH_MAX], *text;
    size_t size;
    fw_error error = {""};
    fw_path_join(path, sizeof path, FW_SOURCE_DIR, name);
    if (fw_file_read(path, 1 << 20, &text, &size, &error) != FW_OK) fail_msg("%s", error.text);
    return text;
}

static json_t *schema; /* the whole, and its properties */
static const json_t *properties;

static int load_schema(void **state) {
    (void)state;
    char *text = read_page("docs/formats/campaign.schema.json");
    schema = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    properties = json_object_get(schema, "properties");
    return json_is_object(properties) ? 0 : -1;
}

static int free_schema(void **state) {
    (void)state;
    json_decref(schema);
    return 0;
}

static bool parses(const json_t *campaign, fw_campaign *out) {
    char *text = json_dumps(campaign, JSON_COMPACT);
    fw_campaign ignored;
    fw_error error = {""};
    assert_non_null(text);
    fw_status status = fw_campaign_parse(text, strlen(text), &fw_drive_signals, NULL,
                                         out ? out : &ignored, NULL, &error);
    free(text);
    return status == FW_OK;
}

static json_t *smallest(void) {
    return json_pack("{s:s, s:s}", "id", "c", "when", "/guard.veto");
}

/* Does the parser take a campaign whose field has this value (stolen)? */
static bool takes(const char *field, json_t *value) {
    json_t *campaign = smallest();
    assert_int_equal(json_object_set_new(campaign, field, value), 0);
    bool good = parses(campaign, NULL);
    json_decref(campaign);
    return good;
}

/* A text of so many letters; as a condition: a signal and spaces. */
static json_t *text_of(const char *field, size_t size) {
    char *text = calloc(1, size + 1);
    memset(text, strcmp(field, "when") == 0 ? ' ' : 'a', size);
    if (strcmp(field, "when") == 0 && size >= 11) memcpy(text, "/guard.veto", 11);
    json_t *json = json_string(text);
    free(text);
    return json;
}

static json_t *names_of(size_t count, size_t size) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) json_array_append_new(list, text_of("units", size));
    return list;
}

/* ---- the schema ---- */

static void check_text(const char *field, const json_t *p) {
    size_t most = (size_t)json_integer_value(json_object_get(p, "maxLength"));
    assert_int_equal(json_integer_value(json_object_get(p, "minLength")), 1);
    assert_false(takes(field, json_string("")));
    assert_false(takes(field, text_of(field, most + 1)));
    assert_false(takes(field, json_integer(1)));
    if (strcmp(field, "line") != 0) assert_true(takes(field, text_of(field, most)));
}

static void check_number(const char *field, const json_t *p) {
    double most = json_number_value(json_object_get(p, "maximum"));
    const json_t *above = json_object_get(p, "exclusiveMinimum");
    assert_true(takes(field, json_real(most)));
    assert_false(takes(field, json_real(nextafter(most, INFINITY))));
    assert_false(takes(field, json_real(-DBL_MIN)));
    assert_true(takes(field, json_real(above ? 1e-6 : 0)));
    if (above) assert_false(takes(field, json_real(0)));
    if (!above) assert_int_equal(json_integer_value(json_object_get(p, "minimum")), 0);
    assert_false(takes(field, json_string("1")));
}

static void check_integer(const char *field, const json_t *p) {
    json_int_t most = json_integer_value(json_object_get(p, "maximum"));
    assert_int_equal(json_integer_value(json_object_get(p, "minimum")), 0);
    assert_true(takes(field, json_integer(0)));
    assert_true(takes(field, json_integer(most)));
    assert_false(takes(field, json_integer(-1)));
    if (most < INT64_MAX) assert_false(takes(field, json_integer(most + 1)));
    assert_false(takes(field, json_real(1.5)));
    assert_false(takes(field, json_string("1")));
}

static void check_array(const char *field, const json_t *p) {
    size_t most = (size_t)json_integer_value(json_object_get(p, "maxItems"));
    size_t letters = (size_t)json_integer_value(
        json_object_get(json_object_get(p, "items"), "maxLength"));
    assert_int_equal(json_integer_value(json_object_get(p, "minItems")), 1);
    assert_true(takes(field, names_of(1, letters)));
    assert_true(takes(field, names_of(most, 1)));
    assert_false(takes(field, names_of(0, 1)));
    assert_false(takes(field, names_of(most + 1, 1)));
    assert_false(takes(field, names_of(1, letters + 1)));
    assert_false(takes(field, json_string("a")));
}

static void test_limits(void **state) {
    (void)state;
    const char *field;
    json_t *p;
    json_object_foreach((json_t *)properties, field, p) {
        const char *type = json_string_value(json_object_get(p, "type"));
        assert_true(json_string_length(json_object_get(p, "description")) > 0);
        assert_false(takes(field, json_null()));
        if (strcmp(type, "string") == 0) check_text(field, p);
        else if (strcmp(type, "number") == 0) check_number(field, p);
        else if (strcmp(type, "integer") == 0) check_integer(field, p);
        else check_array(field, p);
    }
}

/* Every byte in an id, first and later, against the schema's pattern (which is what the id's may be). */
static void test_letters(void **state) {
    (void)state;
    const json_t *id = json_object_get(properties, "id");
    assert_string_equal(json_string_value(json_object_get(id, "pattern")),
                        "^[A-Za-z0-9][A-Za-z0-9._-]*$");
    for (int c = 1; c < 128; c++) {
        char first[3] = {(char)c, 'a', 0}, later[3] = {'a', (char)c, 0};
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        bool mark = c == '.' || c == '_' || c == '-';
        assert_int_equal(takes("id", json_string(first)), plain);
        assert_int_equal(takes("id", json_string(later)), plain || mark);
        assert_int_equal(takes("units", json_pack("[s]", first)), plain || mark);
    }
}

static void test_names(void **state) {
    (void)state;
    assert_true(json_is_false(json_object_get(schema, "additionalProperties")));
    assert_false(takes("other", json_integer(1)));
    uint32_t count = 0;
    for (; fw_campaign_field(count); count++)
        assert_non_null(json_object_get(properties, fw_campaign_field(count)));
    assert_int_equal(count, json_object_size(properties));
    const json_t *required = json_object_get(schema, "required");
    const char *field;
    json_t *p, *all = json_array_get(json_object_get(schema, "examples"), 1);
    assert_int_equal(json_object_size(all), json_object_size(properties));
    json_object_foreach((json_t *)properties, field, p) {
        json_t *less = json_deep_copy(all);
        bool needed = false, has_default = json_object_get(p, "default") != NULL;
        for (size_t i = 0; i < json_array_size(required); i++)
            needed = needed || strcmp(json_string_value(json_array_get(required, i)), field) == 0;
        json_object_del(less, field);
        assert_int_equal(parses(less, NULL), !needed);
        assert_int_equal(has_default, !needed && strcmp(field, "units") != 0);
        json_decref(less);
    }
}

/* A campaign that states every default is the one that states none. */
static void test_defaults(void **state) {
    (void)state;
    json_t *bare = smallest(), *full = smallest(), *p;
    const char *field;
    static fw_campaign a, b;
    json_object_foreach((json_t *)properties, field, p) {
        json_t *value = json_object_get(p, "default");
        if (value) json_object_set(full, field, value);
    }
    assert_true(parses(bare, &a) && parses(full, &b));
    assert_true(a.before_s == b.before_s && a.after_s == b.after_s && a.sample == b.sample);
    assert_true(a.cooldown_s == b.cooldown_s && a.priority == b.priority);
    assert_true(a.budget_bytes == b.budget_bytes && a.budget_count == b.budget_count);
    assert_true(a.expires_ns == b.expires_ns);
    json_decref(bare);
    json_decref(full);
}

static void test_examples(void **state) {
    (void)state;
    const json_t *examples = json_object_get(schema, "examples"), *example;
    size_t at;
    assert_true(json_array_size(examples) >= 2);
    json_array_foreach(examples, at, example) assert_true(parses(example, NULL));
}

/* ---- the pages ---- */

/* Calls check with each ```KIND block of a page, its lines in one text; returns how many. */
static int each_block(const char *page, const char *kind, void (*check)(const char *text)) {
    char *text = read_page(page), mark[40], *at = text;
    int count = 0;
    snprintf(mark, sizeof mark, "\n```%s\n", kind);
    while ((at = strstr(at, mark)) != NULL) {
        char *end = strstr(at += strlen(mark), "\n```");
        assert_non_null(end);
        *end = '\0';
        check(at);
        at = end + 1;
        count++;
    }
    free(text);
    return count;
}

static void check_json(const char *text) {
    fw_campaign out;
    fw_error error = {""};
    if (fw_campaign_parse(text, strlen(text), &fw_drive_signals, NULL, &out, NULL, &error) != FW_OK)
        fail_msg("%s: %s", text, error.text);
}

static void check_conditions(const char *text) {
    char *copy = strdup(text), *rest = copy, *line;
    while ((line = strsep(&rest, "\n")) != NULL) {
        json_t *campaign = json_pack("{s:s, s:s}", "id", "c", "when", line);
        if (!parses(campaign, NULL)) fail_msg("%s", line);
        json_decref(campaign);
    }
    free(copy);
}

static void test_pages_examples(void **state) {
    (void)state;
    static const char *const pages[] = {"docs/campaigns.md", "docs/formats/campaign.md"};
    for (int i = 0; i < 2; i++) {
        assert_true(each_block(pages[i], "json", check_json) > 0);
        assert_true(each_block(pages[i], "condition", check_conditions) > 0);
    }
}

/* Every field and every signal stands on the page; every `/x.y` there is a signal. */
static void test_page_names(void **state) {
    (void)state;
    char *page = read_page("docs/formats/campaign.md"), quoted[100];
    const char *field;
    json_t *p;
    json_object_foreach((json_t *)properties, field, p) {
        snprintf(quoted, sizeof quoted, "`%s`", field);
        if (!strstr(page, quoted)) fail_msg("the page lacks %s", quoted);
    }
    for (uint32_t i = 0; i < fw_drive_signals.count; i++) {
        snprintf(quoted, sizeof quoted, "`%s`", fw_drive_signals.names[i]);
        if (!strstr(page, quoted)) fail_msg("the page lacks %s", quoted);
    }
    for (char *at = page; (at = strstr(at, "`/")) != NULL; at++) {
        size_t size = strspn(at + 1, "abcdefghijklmnopqrstuvwxyz0123456789_./");
        if (at[1 + size] != '`' || !memchr(at + 1, '.', size)) continue;
        bool known = false;
        for (uint32_t i = 0; i < fw_drive_signals.count && !known; i++)
            known = strlen(fw_drive_signals.names[i]) == size &&
                    memcmp(at + 1, fw_drive_signals.names[i], size) == 0;
        if (!known) fail_msg("no signal %.*s", (int)size, at + 1);
    }
    free(page);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),   cmocka_unit_test(test_letters),
        cmocka_unit_test(test_names),    cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_examples), cmocka_unit_test(test_pages_examples),
        cmocka_unit_test(test_page_names),
    };
    return cmocka_run_group_tests(tests, load_schema, free_schema);
}
