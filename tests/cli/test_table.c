/* Tables: as wide as what stands in them, long cells cut in their middle; numbers with units. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/table.h"

static void test_columns(void **state) {
    (void)state;
    char text[400] = {0};
    fw_table t = {.columns = 3, .titles = {"name", "number", "last"}, .right = {[1] = true}};
    FILE *out = fmemopen(text, sizeof text - 1, "w");
    assert_non_null(out);
    fw_table_cell(&t, "%s", "a");
    fw_table_cell(&t, "%d", 1234567);
    fw_table_cell(&t, "x");
    fw_table_cell(&t, "longer");
    fw_table_cell(&t, "%d", 8);
    fw_table_cell(&t, "%s", "0123456789012345678901234567890123456789 and on");
    fw_table_print(&t, out);
    fclose(out);
    fw_table_clear(&t);
    assert_string_equal(text, "name     number  last\n"
                              "a       1234567  x\n"
                              "longer        8  012345678901234567..90123456789 and on\n");
}

static void test_numbers(void **state) {
    (void)state;
    assert_string_equal(fw_cli_bytes(0), "0 B");
    assert_string_equal(fw_cli_bytes(1023), "1023 B");
    assert_string_equal(fw_cli_bytes(1536), "1.50 KiB");
    assert_string_equal(fw_cli_bytes(3.0 * (1 << 30)), "3 GiB");
    assert_string_equal(fw_cli_scaled(999, "FLOP"), "999 FLOP");
    assert_string_equal(fw_cli_scaled(46500, "FLOP"), "46.5 kFLOP");
    assert_string_equal(fw_cli_scaled(123456789, "FLOP"), "123 MFLOP");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
