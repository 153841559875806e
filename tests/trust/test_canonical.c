/* Canonical JSON: one text for one value, and no text for what could mean two things. */
#include "trust/canonical.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static fw_error error;

static void encodes(const char *text, const char *expect) {
    json_t *value = NULL;
    char *canonical = NULL;
    size_t size = 0;
    if (fw_canonical_read(text, strlen(text), &value, &error) != FW_OK) fail_msg("%s: %s", text, error.text);
    assert_int_equal(fw_canonical_write(value, &canonical, &size, &error), FW_OK);
    assert_string_equal(canonical, expect);
    assert_int_equal(size, strlen(expect));
    free(canonical);
    json_decref(value);
}

static void test_encoding(void **state) {
    (void)state;
    encodes("{}", "{}");
    encodes(" { \"b\" : [ 1 , true , false , null ] ,\n\"a\" : { } }\t", "{\"a\":{},\"b\":[1,true,false,null]}");
    encodes("[]", "[]");
    encodes("[[[]],{\"x\":[]}]", "[[[]],{\"x\":[]}]");
    encodes("[-0, 0, -1, 9223372036854775807, -9223372036854775808]", "[0,0,-1,9223372036854775807,-9223372036854775808]");
    /* Only the quote and the backslash are escaped; control characters and all others stand as they are. */
    encodes("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f\"]", "[\"\\\"\\\\/\b\f\n\r\t\x01\x1f\x7f\"]");
    encodes("[\"\\u00e4\\u20ac\\ud83d\\ude00\xC3\xA4\"]", "[\"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\xC3\xA4\"]");
    encodes("[\"\"]", "[\"\"]");
}

/* Keys by their bytes: that is by code points in UTF-8, not as UTF-16 would have it. */
static void test_order(void **state) {
    (void)state;
    encodes("{\"b\":1,\"a\":2,\"ab\":3,\"B\":4,\"\":5,\"10\":6,\"9\":7}", "{\"\":5,\"10\":6,\"9\":7,\"B\":4,\"a\":2,\"ab\":3,\"b\":1}");
    encodes("{\"\xC3\xA4\":1,\"z\":2}", "{\"z\":2,\"\xC3\xA4\":1}");
    encodes("{\"\xF0\x9F\x98\x80\":1,\"\xEF\xBF\xBD\":2}", "{\"\xEF\xBF\xBD\":2,\"\xF0\x9F\x98\x80\":1}");
    encodes("{\"a\\\"\":1,\"a\\u0001\":2}", "{\"a\x01\":2,\"a\\\"\":1}");
}

static void test_refused(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "{",
        "{\"a\":1,\"a\":1}",
        "{\"a\":1,\"\\u0061\":2}",
        "{\"x\":{\"a\":1,\"a\":2}}",
        "{} {}",
        "{}x",
        "[\"\\u0000\"]",
        "{\"\\u0000\":1}",
        "[\"\xC3\"]",
        "[\"\xFF\"]",
        "[\"\xED\xA0\x80\"]",
        "[\"\\ud83d\"]",
        "[\"\n\"]",
        "[01]",
        "[1,]",
        "[9223372036854775808]",
        "[NaN]",
        "['a']",
        "\xEF\xBB\xBF{}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        json_t *value = NULL;
        fw_status status = fw_canonical_read(texts[i], strlen(texts[i]), &value, &error);
        if (status != FW_CORRUPT) fail_msg("%s: %s", texts[i], fw_status_text(status));
        assert_null(value);
    }
}

/* Numbers with a fraction have no canonical text. */
static void test_reals(void **state) {
    (void)state;
    static const char *const texts[] = {"[1.5]", "{\"a\":[1,{\"b\":1e3}]}", "[-0.0]"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        json_t *value = NULL;
        char *canonical = NULL;
        size_t size = 7;
        assert_int_equal(fw_canonical_read(texts[i], strlen(texts[i]), &value, &error), FW_OK);
        assert_int_equal(fw_canonical_write(value, &canonical, &size, &error), FW_INVALID);
        assert_null(canonical);
        assert_int_equal(size, 7);
        json_decref(value);
    }
    char *canonical = NULL;
    size_t size = 0;
    assert_int_equal(fw_canonical_write(NULL, &canonical, &size, &error), FW_NO_MEMORY);
}

/* Brackets in texts, also behind an escaped quote, are no nesting. */
static void test_depth(void **state) {
    (void)state;
    char text[4 * FW_CANONICAL_DEPTH_MAX];
    for (int depth = FW_CANONICAL_DEPTH_MAX - 1; depth <= FW_CANONICAL_DEPTH_MAX + 1; depth++) {
        json_t *value = NULL;
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        fw_status expect = depth <= FW_CANONICAL_DEPTH_MAX ? FW_OK : FW_CORRUPT;
        assert_int_equal(fw_canonical_read(text, 2 * (size_t)depth, &value, &error), expect);
        json_decref(value);
    }
    memset(text, '[', sizeof text);
    text[0] = text[sizeof text - 2] = '"';
    memcpy(text, "[\"\\\"", 4);
    text[sizeof text - 1] = ']';
    json_t *value = NULL, *deep = json_array();
    assert_int_equal(fw_canonical_read(text, sizeof text, &value, &error), FW_OK);
    json_decref(value);
    /* A value that was built, not read. */
    for (int i = 0; i < FW_CANONICAL_DEPTH_MAX; i++) deep = json_pack("[o]", deep);
    char *canonical = NULL;
    size_t size = 0;
    assert_int_equal(fw_canonical_write(deep, &canonical, &size, &error), FW_INVALID);
    json_decref(deep);
    deep = json_object();
    for (int i = 0; i < FW_CANONICAL_DEPTH_MAX; i++) deep = json_pack("{s:o}", "x", deep);
    assert_int_equal(fw_canonical_write(deep, &canonical, &size, &error), FW_INVALID);
    json_decref(deep);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encoding), cmocka_unit_test(test_order), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_reals),    cmocka_unit_test(test_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
