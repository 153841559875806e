/* docs/guard.md has the guard's own table: figure for figure, word for word. FLYWHEEL_BLESS=1 writes it there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/env.h"
#include "base/file.h"
#include "lines/driving/act/guard.h"

static const char *const page = FW_SOURCE_DIR "/docs/guard.md";
static const char *const head = "| figure | value | what it is |\n|---|---|---|\n";

static size_t put_rows(char *out, size_t size) {
    int used = snprintf(out, size, "%s", head);
#define X(field, value, text) used += snprintf(out + used, size - (size_t)used, "| `%s` | %g | %s |\n", #field, (double)value, text);
    FW_GUARD_FIGURES(X)
#undef X
    assert_true((size_t)used < size);
    return (size_t)used;
}

static void bless(char *text, const char *rows) {
    char *old = strstr(text, head);
    assert_non_null(old);
    char *after = strstr(old, "\n\n");
    assert_non_null(after);
    FILE *f = fopen(page, "w");
    assert_non_null(f);
    fprintf(f, "%.*s%s%s", (int)(old - text), text, rows, after + 1);
    assert_int_equal(fclose(f), 0);
}

static void test_the_table_is_the_programs(void **state) {
    (void)state;
    char *text, rows[8192];
    size_t size;
    fw_error error;
    put_rows(rows, sizeof rows);
    if (fw_file_read(page, 1 << 20, &text, &size, &error) != FW_OK) fail_msg("%s", error.text);
    if (getenv("FLYWHEEL_BLESS")) bless(text, rows);
    else if (!strstr(text, rows)) fail_msg("docs/guard.md has another table (FLYWHEEL_BLESS=1 writes it):\n%s", rows);
    free(text);
}

static void test_every_rule_is_explained(void **state) {
    (void)state;
    char *text;
    size_t size;
    assert_int_equal(fw_file_read(page, 1 << 20, &text, &size, NULL), FW_OK);
    for (int i = FW_GUARD_NONE + 1; i < FW_GUARD_COUNT; i++) {
        char row[64];
        snprintf(row, sizeof row, "| %d `%s` |", i, fw_guard_veto_name((fw_guard_veto)i));
        if (!strstr(text, row)) fail_msg("docs/guard.md has no row %s", row);
    }
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table_is_the_programs),
        cmocka_unit_test(test_every_rule_is_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
