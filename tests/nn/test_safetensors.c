/* Model files: what is written reads back; hostile files are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nn/run/safetensors.h"

static char *made(size_t *size) {
    static const float a[6] = {1, 2, 3, 4, 5, 6}, b[2] = {7, 8};
    fw_safetensors file = {.count = 2, .metadata = json_pack("{s:s}", "policy", "network")};
    file.tensors[0] = (fw_tensor){.name = "a", .dims = 2, .shape = {2, 3}, .data = a};
    file.tensors[1] = (fw_tensor){.name = "b", .dims = 1, .shape = {2}, .data = b};
    char *bytes = NULL;
    assert_int_equal(fw_safetensors_write(&file, &bytes, size, NULL), FW_OK);
    fw_safetensors_clear(&file);
    return bytes;
}

static void test_round_trip(void **state) {
    (void)state;
    size_t size;
    char *bytes = made(&size);
    fw_safetensors file;
    fw_error error = {""};
    assert_int_equal(fw_safetensors_read(bytes, size, &file, &error), FW_OK);
    assert_int_equal(file.count, 2);
    const fw_tensor *a = fw_safetensors_find(&file, "a", 6);
    assert_non_null(a);
    float last;
    memcpy(&last, a->data + 5, sizeof last);
    assert_true(last == 6);
    assert_null(fw_safetensors_find(&file, "a", 5));
    assert_null(fw_safetensors_find(&file, "c", 0));
    assert_string_equal(json_string_value(json_object_get(file.metadata, "policy")), "network");
    fw_safetensors_clear(&file);
    free(bytes);
}

static void test_truncated_everywhere(void **state) {
    (void)state;
    size_t size;
    char *bytes = made(&size);
    for (size_t cut = 0; cut < size; cut++) {
        char *copy = malloc(cut ? cut : 1);
        memcpy(copy, bytes, cut);
        fw_safetensors file;
        assert_int_not_equal(fw_safetensors_read(copy, cut, &file, NULL), FW_OK);
        free(copy);
    }
    free(bytes);
}

static fw_status read_header(const char *header, size_t data_bytes) {
    size_t n = strlen(header);
    char *bytes = calloc(1, 8 + n + data_bytes);
    for (int i = 0; i < 8; i++) bytes[i] = (char)((uint64_t)n >> (8 * i));
    memcpy(bytes + 8, header, n);
    fw_safetensors file;
    fw_error error = {""};
    fw_status status = fw_safetensors_read(bytes, 8 + n + data_bytes, &file, &error);
    if (status == FW_OK) fw_safetensors_clear(&file);
    else assert_true(strlen(error.text) > 0);
    free(bytes);
    return status;
}

static void test_hostile(void **state) {
    (void)state;
    static const char *const bad[] = {
        "{", "[]", "{\"a\":1}",
        "{\"a\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,40]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,4]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[65536,65536,65536],\"data_offsets\":[0,4]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
        "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
        "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
        "{\"__metadata__\":{\"x\":1}}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_not_equal(read_header(bad[i], 8), FW_OK);
    assert_int_equal(
        read_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8), FW_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_truncated_everywhere),
        cmocka_unit_test(test_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
