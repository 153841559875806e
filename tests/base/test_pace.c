/* Rate and time left: of the last seconds, of the right unit, and none before there is one. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/pace.h"

static int64_t seconds(double s) {
    return (int64_t)(s * 1e9);
}

static void near(double value, double wanted) {
    if (!(fabs(value - wanted) <= 1e-9 * (1 + fabs(wanted)))) fail_msg("%g, not %g", value, wanted);
}

static void a_steady_rate(void **unused) {
    (void)unused;
    fw_pace pace;
    fw_pace_start(&pace, seconds(100), 1000);
    assert_true(isnan(fw_pace_per_s(&pace)));
    fw_pace_note(&pace, seconds(100.5), 1050);
    assert_true(isnan(fw_pace_per_s(&pace))); /* too early to say */
    for (int s = 1; s <= 90; s++) {
        fw_pace_note(&pace, seconds(100 + s), 1000 + 100 * s);
        near(fw_pace_per_s(&pace), 100);
        near(fw_pace_left_s(&pace, 20000), (20000 - 1000 - 100 * s) / 100.0);
    }
    near(fw_pace_left_s(&pace, 5000), 0); /* more was done than was meant to be */
}

static void the_past_is_forgotten(void **unused) {
    (void)unused;
    fw_pace pace;
    double done = 0;
    fw_pace_start(&pace, 0, 0);
    for (int s = 1; s <= 60; s++) fw_pace_note(&pace, seconds(s), done += 1000);
    near(fw_pace_per_s(&pace), 1000);
    for (int s = 61; s <= 95; s++) fw_pace_note(&pace, seconds(s), done += 10);
    near(fw_pace_per_s(&pace), 10);
}

static void standing_still_has_no_rate(void **unused) {
    (void)unused;
    fw_pace pace;
    fw_pace_start(&pace, 0, 5);
    for (int s = 1; s <= 40; s++) fw_pace_note(&pace, seconds(s), 5);
    assert_true(isnan(fw_pace_per_s(&pace)));
    assert_true(isnan(fw_pace_left_s(&pace, 10)));
}

static void going_back_begins_again(void **unused) {
    (void)unused;
    fw_pace pace;
    fw_pace_start(&pace, 0, 0);
    fw_pace_note(&pace, seconds(10), 1000);
    fw_pace_note(&pace, seconds(11), 0);
    assert_true(isnan(fw_pace_per_s(&pace)));
    fw_pace_note(&pace, seconds(13), 40);
    near(fw_pace_per_s(&pace), 20);
}

static void expect_words(double per_s, double left_s, const char *wanted) {
    char text[80];
    fw_pace_words(per_s, left_s, "steps", text, sizeof text);
    assert_string_equal(text, wanted);
}

static void words(void **unused) {
    (void)unused;
    expect_words(0.25, 8, "15 steps/min, 8 s left");
    expect_words(0.05, NAN, "3.0 steps/min");
    expect_words(51234, 12.4, "51 k steps/s, 12 s left");
    expect_words(9999, 119.6, "9999 steps/s, 2 min 0 s left");
    expect_words(1234567, 125, "1.2 M steps/s, 2 min 5 s left");
    expect_words(10, 7200, "10 steps/s, 2.0 h left");
    expect_words(3, 1e300, "3.0 steps/s, 277777.8 h left");
    expect_words(3, NAN, "3.0 steps/s");
    expect_words(NAN, 3, "");
    char small[8];
    fw_pace_words(51234, 12, "steps", small, sizeof small);
    assert_string_equal(small, "51 k st");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_steady_rate),
        cmocka_unit_test(the_past_is_forgotten),
        cmocka_unit_test(standing_still_has_no_rate),
        cmocka_unit_test(going_back_begins_again),
        cmocka_unit_test(words),
    };
    return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
