/* Names to places, against a plain list, through many additions and removals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "factory/names.h"

enum { COUNT = 3000 };

static void name_of(uint32_t i, char out[FW_NAMES_TEXT_MAX]) {
    snprintf(out, FW_NAMES_TEXT_MAX, i % 3 ? "car-%u" : "%u", i);
}

static void check(const fw_names *names, const uint32_t *list, uint32_t count) {
    char name[FW_NAMES_TEXT_MAX];
    assert_int_equal(names->count, count);
    for (uint32_t i = 0; i < count; i++) {
        name_of(list[i], name);
        assert_int_equal(fw_names_find(names, name), i);
        assert_string_equal(names->names[i], name);
    }
}

static void test_as_a_list(void **state) {
    (void)state;
    static uint32_t list[COUNT];
    uint64_t seed = 20261122;
    fw_random random = fw_random_named(seed, "names");
    fw_names names = {0};
    char name[FW_NAMES_TEXT_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        name_of(i, name);
        assert_int_equal(fw_names_find(&names, name), FW_NAMES_NONE);
        assert_true(fw_names_add(&names, name));
        assert_false(fw_names_add(&names, name));
        list[count++] = i;
        if (fw_random_below(&random, 4) == 0) {
            uint32_t place = fw_random_below(&random, count);
            name_of(list[place], name);
            fw_names_remove(&names, place);
            memmove(list + place, list + place + 1, (--count - place) * sizeof *list);
            assert_int_equal(fw_names_find(&names, name), FW_NAMES_NONE);
        }
        if (i % 100 == 0) check(&names, list, count);
    }
    print_message("seed %llu\n", (unsigned long long)seed);
    check(&names, list, count);
    fw_names_free(&names);
    assert_int_equal(fw_names_find(&names, "1"), FW_NAMES_NONE);
}

static void test_too_long_is_no_name(void **state) {
    (void)state;
    fw_names names = {0};
    assert_false(fw_names_add(&names, "0123456789012345678901234567890123456789"));
    assert_int_equal(names.count, 0);
    fw_names_free(&names);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_as_a_list), cmocka_unit_test(test_too_long_is_no_name)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
