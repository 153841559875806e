/* JSON passed through, encodings that nobody knows, and the printing of numbers. */
#include "support.h"

#include <stdio.h>
#include <time.h>

#include "base/random.h"
#include "payload/text.h"

static const kind json = {.message_encoding = "json"};

static void passes(const char *in, const char *out) {
    expect(&json, in, strlen(in), out);
}

static void refuses(const char *in, const char *why) {
    expect_failure(&json, in, strlen(in), FW_CORRUPT, why);
}

static void json_is_copied_without_space(void **state) {
    (void)state;
    passes("{}", "{}");
    passes(" [ ] ", "[]");
    passes("\t{ \"a\" : [ 1 , -2.50 , 1e+9 , true ,false, null ] , \"b\":{}}\r\n",
           "{\"a\":[1,-2.50,1e+9,true,false,null],\"b\":{}}");
    passes("\"a\\n\\u00e9\xc3\xa9\"", "\"a\\n\\u00e9\xc3\xa9\"");
    passes("\"\x7f\xff\"", "\"\\u007f\xef\xbf\xbd\""); /* no way to steer a terminal */
    passes("0", "0");
    passes("18446744073709551616", "18446744073709551616"); /* digits are not touched */
}

static void broken_json_is_refused_with_its_byte(void **state) {
    (void)state;
    refuses("", "byte 0: no value");
    refuses("{\"a\":1,}", "byte 7: no key");
    refuses("[1,]", "byte 3: no value");
    refuses("[1 2]", "byte 3: no comma");
    refuses("{\"a\" 1}", "no colon");
    refuses("{1:2}", "no key");
    refuses("[1}", "no comma and no end");
    refuses("01", "leading zero");
    refuses("1.", "without digits");
    refuses("-", "without digits");
    refuses("1 2", "more than one value");
    refuses("tru", "no value");
    refuses("\"a", "without an end");
    refuses("\"\\x\"", "unknown escape");
    refuses("\"\\u12g4\"", "broken \\u");
    refuses("\"\\u12", "broken \\u");
    refuses("\"a\nb\"", "control character");
    refuses("]", "no value");
    refuses("[", "no value");
    char deep[400];
    memset(deep, '[', sizeof deep);
    expect_failure(&json, deep, sizeof deep, FW_CORRUPT, "byte 100: nested too deeply");
}

static void unknown_encodings_are_base64(void **state) {
    (void)state;
    const kind k = {.message_encoding = "cb\"or"};
    expect(&k, "\0\xff", 2, "{\"encoding\":\"cb\\\"or\",\"base64\":\"AP8=\"}");
    expect(&k, "", 0, "{\"encoding\":\"cb\\\"or\",\"base64\":\"\"}");
    expect(&k, "abc", 3, "{\"encoding\":\"cb\\\"or\",\"base64\":\"YWJj\"}");
    const kind no_schema = {.message_encoding = "protobuf"};
    expect(&no_schema, "a", 1, "{\"encoding\":\"protobuf\",\"base64\":\"YQ==\"}");
}

static void output_has_a_limit(void **state) {
    (void)state;
    const fw_payload_limits limits = {.output_max_bytes = 10};
    const kind k = {.message_encoding = "json", .limits = &limits};
    expect(&k, "[1,2,3,45]", 10, "[1,2,3,45]");
    expect_failure(&k, "[1,2,3,456]", 11, FW_TOO_BIG, "over 10 bytes");
}

static const char *printed(double value, bool narrow) {
    static char text[64];
    fw_payload_text t = {.max_bytes = 60};
    if (narrow)
        fw_payload_put_float(&t, (float)value);
    else
        fw_payload_put_double(&t, value);
    assert_int_equal(fw_payload_text_status(&t), FW_OK);
    snprintf(text, sizeof text, "%s", t.bytes);
    free(t.bytes);
    return text;
}

static void numbers_are_short_and_exact(void **state) {
    (void)state;
    assert_string_equal(printed(0.1, false), "0.1");
    assert_string_equal(printed((double)0.1f, true), "0.1");
    assert_string_equal(printed(-0.0, false), "-0");
    assert_string_equal(printed(3, false), "3");
    assert_string_equal(printed(1e300, false), "1e+300");
    assert_string_equal(printed(5e-324, false), "5e-324");
    assert_string_equal(printed(1.0 / 3, false), "0.3333333333333333");
    assert_string_equal(printed((double)16777216.0f, true), "16777216");
    uint64_t seed = (uint64_t)time(NULL);
    fw_random random = fw_random_indexed(seed, 1);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = (uint64_t)fw_random_u32(&random) << 32 | fw_random_u32(&random);
        uint32_t low = (uint32_t)bits;
        double wide;
        float narrow;
        memcpy(&wide, &bits, sizeof wide);
        memcpy(&narrow, &low, sizeof narrow);
        if (wide - wide == 0 && strtod(printed(wide, false), NULL) != wide)
            fail_msg("seed %llu: %a", (unsigned long long)seed, wide);
        if (narrow - narrow == 0 && strtof(printed((double)narrow, true), NULL) != narrow)
            fail_msg("seed %llu: %a", (unsigned long long)seed, (double)narrow);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_copied_without_space),
        cmocka_unit_test(broken_json_is_refused_with_its_byte),
        cmocka_unit_test(unknown_encodings_are_base64),
        cmocka_unit_test(output_has_a_limit),
        cmocka_unit_test(numbers_are_short_and_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
